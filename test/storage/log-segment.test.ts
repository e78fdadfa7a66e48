/** Which files of a log are read: hints that lie, compactions, and what a refresh shares. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { liveFiles, loadSnapshot, refreshSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { SnapshotCache } from '../../storage/snapshot-cache.js'
import { add, LogFixture, metadata, PROTOCOL, remove, versionName } from '../support/log-fixture.js'

/** A store that remembers what was read and from where listings began. */
class WatchedStore extends LocalStore {
  readonly reads: string[] = []
  readonly listings: (string | undefined)[] = []

  override async read(path: string): Promise<Uint8Array | null> {
    this.reads.push(path.slice(path.lastIndexOf('/') + 1))
    return super.read(path)
  }

  override async listFolder(
    prefix: string,
    startAt?: string,
  ): ReturnType<LocalStore['listFolder']> {
    this.listings.push(startAt)
    return super.listFolder(prefix, startAt)
  }
}

let folder: string
let engine: Engine
let connection: EngineConnection
let store: WatchedStore
let log: LogFixture
let tables = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-segment-'))
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

beforeEach(() => {
  store = new WatchedStore(folder)
  log = new LogFixture(folder, `silver/t${tables++}`)
})

async function load(version: number | null = null): Promise<Snapshot> {
  return (await loadSnapshot(store, connection, log.tablePath, version)) as Snapshot
}

function names(snapshot: Snapshot): string[] {
  return [...liveFiles(snapshot)].map((file) => file.add.path).sort()
}

describe('the hint of the last checkpoint', () => {
  it('is where the listing begins', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b')).commit(2, add('c'))
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a'), add('b')])
    log.write('_last_checkpoint', '{"version":1,"size":4}')
    expect(names(await load())).toEqual(['a', 'b', 'c'])
    expect(store.listings).toEqual([versionName(1)])
    expect(names(await load(0))).toEqual(['a'])
  })

  it.each([0, 2, 77])(
    'that names version %i, which has no checkpoint, is passed over',
    async (n) => {
      log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b')).commit(2, remove('a'))
      await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a'), add('b')])
      log.write('_last_checkpoint', `{"version":${n},"size":4}`)
      expect(names(await load())).toEqual(['b'])
      expect(names(await load(1))).toEqual(['a', 'b'])
    },
  )

  it('that names a garbled checkpoint leads back to an older one', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b')).commit(2, add('c'))
    await log.checkpoint(connection, 0, [PROTOCOL, metadata(), add('a')])
    log.write(`${versionName(2)}.checkpoint.parquet`, 'garbage')
    log.write('_last_checkpoint', '{"version":2,"size":4}')
    rmSync(log.file(`${versionName(0)}.json`))
    expect(names(await load())).toEqual(['a', 'b', 'c'])
  })

  it('does not hide which versions exist', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b'))
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a'), add('b')])
    log.write('_last_checkpoint', '{"version":1,"size":4}')
    await expect(load(9)).rejects.toMatchObject({
      sqlState: SqlState.invalidParameterValue,
      detail: 'Available versions are 0 to 1.',
    })
  })
})

describe('a log compaction', () => {
  const compaction = (from: number, to: number): string =>
    `${versionName(from)}.${versionName(to)}.compacted.json`
  const lines = (...actions: readonly object[]): string =>
    actions.map((action) => `${JSON.stringify(action)}\n`).join('')

  beforeEach(() => {
    log
      .commit(0, PROTOCOL, metadata(), add('a'))
      .commit(1, add('b'), remove('a'))
      .commit(2, add('c'))
      .commit(3, remove('c'), add('d'))
      .commit(4, add('e'))
  })

  it('is read instead of the commits it sums up, the widest that fits', async () => {
    log.write(compaction(1, 2), lines(add('b'), remove('a'), add('c')))
    log.write(compaction(1, 3), lines(add('b'), remove('a'), remove('c'), add('d')))
    expect(names(await load())).toEqual(['b', 'd', 'e'])
    expect(store.reads.slice(-3)).toEqual([
      `${versionName(0)}.json`,
      compaction(1, 3),
      `${versionName(4)}.json`,
    ])
    expect(names(await load(2))).toEqual(['b', 'c'])
    expect(names(await load(1))).toEqual(['b'])
  })

  it('that is garbled is passed over for its commits', async () => {
    log.write(compaction(1, 3), '{"add":')
    expect(names(await load())).toEqual(['b', 'd', 'e'])
  })
})

describe('an add action', () => {
  it.each(['commit', 'compaction of blocks'])('comes back whole after a %s', async (how) => {
    const whole = {
      partitionValues: { p: 'x', q: null },
      size: 12,
      modificationTime: 34,
      stats: '{"numRecords":9223372036854775807}',
      tags: { k: 'v' },
      baseRowId: 5,
      defaultRowCommitVersion: 6,
      clusteringProvider: 'liquid',
      unknown: [1, { a: null }],
      deletionVector: {
        storageType: 'i',
        pathOrInlineDv: 'xyz',
        offset: null,
        sizeInBytes: 1,
        cardinality: 2,
      },
    }
    log.commit(0, PROTOCOL, metadata(), add('p=%20/a', whole))
    let snapshot = await load()
    if (how !== 'commit') {
      for (let version = 1; version < 40; version++) {
        log.commit(version, add(`f${version}`))
        snapshot = await refreshSnapshot(store, snapshot)
      }
      expect(snapshot.files.segments.length).toBeLessThan(8)
    }
    const { dataChange: _, ...wanted } = add('p=%20/a', whole).add as { dataChange: boolean }
    expect([...liveFiles(snapshot)][0]?.add).toEqual(wanted)
  })

  it('comes back from a checkpoint with every digit of its statistics', async () => {
    const stats = `{"numRecords": 1,  "maxValues":{"n":9007199254740993,"s":"ü\\u0001"}}`
    await log.checkpoint(connection, 0, [
      PROTOCOL,
      metadata({}, ['p']),
      add('a', { stats, partitionValues: { p: 'x' } }),
      add('b', { partitionValues: { other: 'y' } }),
      add('c', { partitionValues: {} }),
    ])
    expect([...liveFiles(await load())].map((file) => file.add)).toEqual([
      { path: 'a', size: 10, modificationTime: 1, stats, partitionValues: { p: 'x' } },
      { path: 'b', size: 10, modificationTime: 1, partitionValues: { other: 'y' } },
      { path: 'c', size: 10, modificationTime: 1, partitionValues: {} },
    ])
  })
})

describe('a new version', () => {
  const many = Array.from({ length: 2000 }, (_, i) => add(`f${i}`))

  it('shares the files of the one before', async () => {
    log.commit(0, PROTOCOL, metadata(), ...many)
    const first = await load()
    log.commit(1, add('x'), remove('f7'))
    const second = await refreshSnapshot(store, first)
    expect(second.files.segments[0]?.block).toBe(first.files.segments[0]?.block)
    expect(first.files.length).toBe(2000)
    expect(second.files.length).toBe(2000)
    expect(names(first)).toContain('f7')
    expect(names(second)).not.toContain('f7')
    expect(second.sizeBytes).toBe(20_000)
  })

  it('is charged to the cache for what it does not share', async () => {
    log.commit(0, PROTOCOL, metadata(), ...many)
    const cache = new SnapshotCache(store, engine, 10_000_000)
    await cache.latest(log.tablePath)
    const before = cache.byteLength
    for (let version = 1; version <= 10; version++) {
      log.commit(version, remove(`f${version}`))
      await cache.latest(log.tablePath)
    }
    expect(cache.byteLength).toBeGreaterThan(before)
    expect(cache.byteLength).toBeLessThan(before * 2)
  })

  it('is dropped from a cache that is too small for it', async () => {
    log.commit(0, PROTOCOL, metadata(), ...many)
    const cache = new SnapshotCache(store, engine, 10_000)
    expect((await cache.latest(log.tablePath))?.files.length).toBe(2000)
    expect(cache.byteLength).toBeLessThanOrEqual(10_000)
  })
})
