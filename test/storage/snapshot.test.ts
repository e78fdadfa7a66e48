/** Snapshots of hand-written logs: reconciliation, checkpoints, and every way a log can be wrong. */

import { mkdtempSync, rmSync, truncateSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as fc from 'fast-check'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { quoteNumbers } from '../../storage/lossless-json.js'
import { liveFiles, loadSnapshot, refreshSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { SnapshotCache } from '../../storage/snapshot-cache.js'
import { add, LogFixture, metadata, PROTOCOL, remove, versionName } from '../support/log-fixture.js'

let folder: string
let engine: Engine
let connection: EngineConnection
let store: LocalStore
let log: LogFixture
let tables = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-snapshot-'))
  engine = await Engine.open({})
  connection = await engine.connect()
  store = new LocalStore(folder)
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

beforeEach(() => {
  log = new LogFixture(folder, `silver/t${tables++}`)
})

async function load(version: number | null = null): Promise<Snapshot> {
  const snapshot = await loadSnapshot(store, connection, log.tablePath, version)
  expect(snapshot).not.toBeNull()
  return snapshot as Snapshot
}

function names(snapshot: Snapshot): string[] {
  return [...snapshot.files].map((file) => file.path.replace(`${log.tablePath}/`, '')).sort()
}

/** Everything of a snapshot that must not depend on how it was loaded. */
function state(snapshot: Snapshot): unknown {
  return {
    version: snapshot.version,
    metadata: snapshot.metadata.id,
    protocol: snapshot.protocol.minReaderVersion,
    sizeBytes: snapshot.sizeBytes,
    files: [...snapshot.files]
      .map((file) => `${file.path} ${JSON.stringify(file.add.deletionVector ?? null)}`)
      .sort(),
  }
}

const vector = (cardinality: number): { readonly [key: string]: unknown } => ({
  deletionVector: {
    storageType: 'i',
    pathOrInlineDv: `x${cardinality}`,
    offset: null,
    sizeInBytes: 1,
    cardinality,
  },
})

describe('reconciliation', () => {
  it('keeps what was added and not removed', async () => {
    log
      .commit(0, PROTOCOL, metadata(), add('a'), add('b'))
      .commit(1, remove('a'), add('c'))
      .commit(2, remove('c'), add('a'))
    const snapshot = await load()
    expect(snapshot.version).toBe(2)
    expect(names(snapshot)).toEqual(['a', 'b'])
    expect(names(await load(0))).toEqual(['a', 'b'])
    expect(names(await load(1))).toEqual(['b', 'c'])
  })

  it('removes before it adds, whatever the order of the lines', async () => {
    log
      .commit(0, PROTOCOL, metadata(), add('a'))
      .commit(1, add('a', vector(1)), remove('a'))
      .commit(2, add('a', vector(2)), remove('a', vector(1)))
    const snapshot = await load()
    expect(names(snapshot)).toEqual(['a'])
    expect([...snapshot.files][0]?.add.deletionVector?.cardinality).toBe(2)
  })

  it('takes a file and the same file with a deletion vector for two', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a', vector(1))).commit(1, remove('a'))
    expect(names(await load())).toEqual(['a'])
  })

  it.each([
    ['p=a%20b/x', 'p=a b/x'],
    ['./a', 'a'],
    ['d//a', 'd/a'],
    ['d/../a', 'a'],
    ['%C3%A4', 'ä'],
    ['ä', '%C3%A4'],
    ['100%', '100%'],
  ])('knows %s for the file %s', async (added, removed) => {
    log.commit(0, PROTOCOL, metadata(), add(added), add('z')).commit(1, remove(removed))
    expect(names(await load())).toEqual(['z'])
  })

  it('decodes a path once only', async () => {
    log.commit(0, PROTOCOL, metadata(), add('p=a%252Fb/x'), add('p=a%2Fb/x'))
    expect(names(await load())).toEqual(['p=a%2Fb/x', 'p=a/b/x'])
  })

  it.each(['file:', 'file://', ''])(
    'knows an absolute path (%s) under the table for a relative one',
    async (scheme) => {
      log
        .commit(0, PROTOCOL, metadata(), add(`${scheme}${join(folder, log.tablePath)}/a`), add('z'))
        .commit(1, remove('a'))
      expect(names(await load())).toEqual(['z'])
    },
  )

  it('keeps a path that climbs out of the lake outside of it', async () => {
    log.commit(0, PROTOCOL, metadata(), add('../../../elsewhere/a'), add('../t/a'))
    expect([...(await load()).files].map((file) => file.path)).toEqual([
      join(folder, '..', 'elsewhere/a'),
      'silver/t/a',
    ])
  })

  it('passes over blank lines, unknown actions and unknown fields', async () => {
    log.write(
      `${versionName(0)}.json`,
      [PROTOCOL, { future: { x: 1 } }, metadata(), add('a', { future: [1] }), { commitInfo: null }]
        .map((action) => JSON.stringify(action))
        .join('\r\n\n'),
    )
    expect(names(await load())).toEqual(['a'])
  })

  it('is null for a folder without a log', async () => {
    expect(await loadSnapshot(store, connection, 'silver/none', null)).toBeNull()
  })
})

describe('a corrupt log', () => {
  async function failure(
    version: number | null = null,
  ): Promise<{ sqlState: string; message: string }> {
    const thrown = await loadSnapshot(store, connection, log.tablePath, version).then(
      (snapshot) => ({
        sqlState: 'none',
        message: `it was read as ${snapshot?.files.length} files`,
      }),
      (error: unknown) => error,
    )
    return thrown as { sqlState: string; message: string }
  }

  async function isNamed(file: string): Promise<void> {
    expect(await failure()).toMatchObject({
      sqlState: SqlState.dataCorrupted,
      message: expect.stringContaining(file),
    })
  }

  it('with a commit cut off half-way is an error that names it', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b'), add('c'))
    const file = log.file(`${versionName(1)}.json`)
    truncateSync(file, statSync(file).size - 8)
    await isNamed(`${versionName(1)}.json`)
  })

  it.each([
    ['text', 'garbage\n'],
    ['a number', '5\n'],
    ['an array', '[]\n'],
    ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ['an add without a path', '{"add":{"size":1}}\n'],
    ['an add without a size', '{"add":{"path":"x"}}\n'],
    ['an add whose size is text', '{"add":{"path":"x","size":"1"}}\n'],
    ['a remove without a path', '{"remove":{}}\n'],
    [
      'a vector without a size',
      '{"add":{"path":"x","size":1,"deletionVector":{"storageType":"i"}}}\n',
    ],
    ['a protocol without versions', '{"protocol":{}}\n'],
    ['a metaData without a schema', '{"metaData":{"id":"x"}}\n'],
  ])('with a commit of %s is an error that names it', async (_, text) => {
    log.commit(0, PROTOCOL, metadata(), add('a')).write(`${versionName(1)}.json`, text)
    await isNamed(`${versionName(1)}.json`)
  })

  it('with a gap is an error that names the missing commit', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b')).commit(3, add('c'))
    await isNamed(`${versionName(2)}.json`)
  })

  it('without its first commit and a checkpoint is an error that names the commit', async () => {
    log.commit(1, PROTOCOL, metadata(), add('a')).commit(2, add('b'))
    await isNamed(`${versionName(0)}.json`)
  })

  it.each([
    ['protocol', [metadata(), add('a')]],
    ['metaData', [PROTOCOL, add('a')]],
  ])('without %s is an error', async (missing, actions) => {
    log.commit(0, ...actions)
    expect(await failure()).toMatchObject({
      sqlState: SqlState.dataCorrupted,
      message: expect.stringContaining(missing),
    })
  })

  it('with a garbled checkpoint alone is an error that names it', async () => {
    log.write(`${versionName(1)}.checkpoint.parquet`, 'garbage').commit(2, add('b'))
    await isNamed(`${versionName(1)}.checkpoint.parquet`)
  })

  it('with a garbled checkpoint is read from its commits when all are there', async () => {
    log
      .commit(0, PROTOCOL, metadata(), add('a'))
      .commit(1, add('b'))
      .write(`${versionName(1)}.checkpoint.parquet`, 'garbage')
      .write('_last_checkpoint', '{"version":1,"size":3}')
    expect(names(await load())).toEqual(['a', 'b'])
  })

  it.each(['', '{', '[]', '{"version":"x"}', '{"version":77,"size":1}'])(
    'with the hint %j reads the same',
    async (hint) => {
      log.commit(0, PROTOCOL, metadata(), add('a')).write('_last_checkpoint', hint)
      expect(names(await load())).toEqual(['a'])
    },
  )

  it('with a part of a checkpoint missing is read from its commits, or an error', async () => {
    const part = (n: number): string =>
      `${versionName(1)}.checkpoint.${String(n).padStart(10, '0')}.0000000002.parquet`
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b'))
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a')], part(1))
    expect(names(await load())).toEqual(['a', 'b'])
    rmSync(log.file(`${versionName(0)}.json`))
    expect((await failure()).sqlState).toBe(SqlState.dataCorrupted)
  })

  it('with a sidecar missing is an error that names it', async () => {
    const checkpoint = `${versionName(1)}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json`
    log.write(
      checkpoint,
      [
        { checkpointMetadata: { version: 1 } },
        PROTOCOL,
        metadata(),
        { sidecar: { path: 'gone.parquet', sizeInBytes: 1, modificationTime: 1 } },
      ]
        .map((action) => `${JSON.stringify(action)}\n`)
        .join(''),
    )
    await isNamed('_sidecars/gone.parquet')
  })
})

describe('a log that changes while it is read', () => {
  it('is read once a commit that was half written is whole', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a'))
    const whole = `${JSON.stringify(add('b'))}\n${JSON.stringify(add('c'))}\n`
    log.write(`${versionName(1)}.json`, whole.slice(0, -20))
    const loading = load()
    setTimeout(() => log.write(`${versionName(1)}.json`, whole), 10)
    expect(names(await loading)).toEqual(['a', 'b', 'c'])
  })

  it('has no gap because one listing missed a commit', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, add('b')).commit(2, add('c'))
    let listings = 0
    class TornListing extends LocalStore {
      override async listFolder(
        prefix: string,
        startAt?: string,
      ): ReturnType<LocalStore['listFolder']> {
        const found = await super.listFolder(prefix, startAt)
        return listings++ > 0 ? found : found.filter((object) => !object.path.endsWith('1.json'))
      }
    }
    const snapshot = await loadSnapshot(new TornListing(folder), connection, log.tablePath, null)
    expect(names(snapshot as Snapshot)).toEqual(['a', 'b', 'c'])
  })
})

describe('a checkpoint', () => {
  it('in two parts is read whole', async () => {
    const part = (n: number): string =>
      `${versionName(1)}.checkpoint.${String(n).padStart(10, '0')}.0000000002.parquet`
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a')], part(1))
    await log.checkpoint(connection, 1, [add('b', vector(3)), remove('c')], part(2))
    log.commit(2, add('d'), remove('a'))
    const snapshot = await load()
    expect(names(snapshot)).toEqual(['b', 'd'])
    expect(
      [...snapshot.files].find((file) => file.path.endsWith('/b'))?.add.deletionVector,
    ).toMatchObject({ cardinality: 3 })
  })

  it('with sidecars is read whole', async () => {
    await log.checkpoint(connection, 1, [add('a'), add('b')], '_sidecars/one.parquet')
    await log.checkpoint(connection, 1, [add('c')], '_sidecars/two files.parquet')
    const sidecars = ['one.parquet', 'two%20files.parquet'].map((path) => ({
      sidecar: { path, sizeInBytes: 1, modificationTime: 1 },
    }))
    log.write(
      `${versionName(1)}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json`,
      [PROTOCOL, metadata(), ...sidecars].map((action) => `${JSON.stringify(action)}\n`).join(''),
    )
    expect(names(await load())).toEqual(['a', 'b', 'c'])
  })

  it('stands for the commits before it, whatever these hold', async () => {
    log.commit(0, PROTOCOL, metadata(), add('wrong')).commit(2, add('b'))
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a')])
    expect(names(await load())).toEqual(['a', 'b'])
  })

  it('names partition values by column, null and empty ones too', async () => {
    await log.checkpoint(connection, 0, [
      PROTOCOL,
      metadata({}, ['p']),
      add('a', { partitionValues: { p: 'x "y" \\ ü' } }),
      add('b', { partitionValues: { p: null } }),
      add('c', { partitionValues: { p: '' } }),
    ])
    const values = [...(await load()).files].map((file) => file.add.partitionValues.p)
    expect(values).toEqual(['x "y" \\ ü', null, ''])
  })

  it('with statistics as structs alone keeps NaN, infinities and every digit', async () => {
    await log.checkpoint(connection, 1, [PROTOCOL, metadata(), add('a')], 'plain.parquet')
    const numbers = `{n: 9223372036854775807, d: 0.12345678901234567890123456::DECIMAL(38,26), x: 'NaN'::DOUBLE, y: '-Infinity'::DOUBLE}`
    const statistics = `{numRecords: 5, minValues: ${numbers}, maxValues: ${numbers}}`
    const withStatistics = `CASE WHEN add IS NOT NULL THEN struct_insert(add, stats_parsed := ${statistics}) END AS add`
    await connection.run(
      `COPY (SELECT * REPLACE (${withStatistics}) FROM '${log.file('plain.parquet')}') TO '${log.file(`${versionName(1)}.checkpoint.parquet`)}' (FORMAT parquet)`,
    )
    const stats = [...liveFiles(await load())][0]?.add.stats ?? ''
    expect(JSON.parse(quoteNumbers(stats))).toMatchObject({
      numRecords: '5',
      maxValues: {
        n: '9223372036854775807',
        d: '0.12345678901234567890123456',
        x: 'NaN',
        y: '-Infinity',
      },
    })
  })

  it('gives the snapshot its commits give, for random histories', async () => {
    const operation = fc.record({
      name: fc.integer({ min: 0, max: 7 }),
      remove: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(operation, { maxLength: 5 }), { minLength: 1, maxLength: 8 }),
        fc.nat(),
        async (commits, at) => {
          log = new LogFixture(folder, `silver/t${tables++}`)
          // A model: the map of live names, and each commit as the difference it makes.
          const live = new Set<string>()
          log.commit(0, PROTOCOL, metadata())
          const checkpointVersion = 1 + (at % commits.length)
          for (const [i, operations] of commits.entries()) {
            const actions = new Map<string, ReturnType<typeof add>>()
            for (const { name, remove: removes } of operations) {
              const path = `f${name}`
              if (actions.has(path) || live.has(path) !== removes) continue
              actions.set(path, removes ? remove(path) : add(path))
            }
            for (const [path, action] of actions) {
              if ('add' in action) live.add(path)
              else live.delete(path)
            }
            log.commit(i + 1, ...actions.values())
            if (i + 1 === checkpointVersion) {
              await log.checkpoint(connection, i + 1, [
                PROTOCOL,
                metadata(),
                ...[...live].map((path) => add(path)),
                remove('gone'),
              ])
            }
          }
          const whole = await load()
          expect(names(whole)).toEqual([...live].sort())
          rmSync(log.file(`${versionName(checkpointVersion)}.checkpoint.parquet`))
          expect(state(await load())).toEqual(state(whole))
          // And step by step, as a warm table is kept.
          let stepwise = await load(0)
          stepwise = await refreshSnapshot(store, stepwise)
          expect(state(stepwise)).toEqual(state(whole))
        },
      ),
      { seed: 20261121, numRuns: 25 },
    )
  })
})

describe('a protocol', () => {
  it.each([
    [
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['futureFeature'],
        writerFeatures: ['futureFeature'],
      },
      'futureFeature',
    ],
    [
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['catalogManaged'],
        writerFeatures: ['catalogManaged'],
      },
      'catalogManaged',
    ],
    [
      { minReaderVersion: 3, minWriterVersion: 6, readerFeatures: [], writerFeatures: [] },
      'writer version 6',
    ],
    [{ minReaderVersion: 4, minWriterVersion: 7, readerFeatures: [] }, 'reader version 4'],
    [{ minReaderVersion: 99, minWriterVersion: 7 }, 'reader version 99'],
    [{ minReaderVersion: 0, minWriterVersion: 2 }, 'reader version 0'],
  ])('of %j is refused by name', async (protocol, named) => {
    log.commit(0, { protocol }, metadata(), add('a'))
    await expect(load()).rejects.toMatchObject({
      sqlState: SqlState.featureNotSupported,
      message: expect.stringContaining(named),
    })
  })

  it('of features that only writers need is read', async () => {
    log.commit(
      0,
      {
        protocol: {
          minReaderVersion: 1,
          minWriterVersion: 7,
          writerFeatures: ['someWriterFeature'],
        },
      },
      metadata(),
      add('a'),
    )
    expect(names(await load())).toEqual(['a'])
  })

  it('is judged at the version that is read', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).commit(1, {
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['futureFeature'],
        writerFeatures: ['futureFeature'],
      },
    })
    expect(names(await load(0))).toEqual(['a'])
    await expect(load(1)).rejects.toMatchObject({ sqlState: SqlState.featureNotSupported })
  })
})

describe('a warm table', () => {
  it('sees a commit another writer made, and is the same object without one', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a'))
    const cache = new SnapshotCache(store, engine, 1_000_000)
    const first = await cache.latest(log.tablePath)
    expect(await cache.latest(log.tablePath)).toBe(first)
    log.commit(1, add('b'), remove('a')).commit(2, add('c'))
    const second = await cache.latest(log.tablePath)
    expect(names(second as Snapshot)).toEqual(['b', 'c'])
    expect(names(first as Snapshot)).toEqual(['a'])
    expect(await cache.at(log.tablePath, 0)).toBe(first)
  })

  it('dropped and made anew is another table', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a')).committedAt(0, 1_000_000)
    const cache = new SnapshotCache(store, engine, 1_000_000)
    await cache.latest(log.tablePath)
    rmSync(join(folder, log.tablePath), { recursive: true })
    expect(await cache.latest(log.tablePath)).toBeNull()
    log.commit(0, PROTOCOL, metadata(), add('b')).committedAt(0, 2_000_000)
    expect(names((await cache.latest(log.tablePath)) as Snapshot)).toEqual(['b'])
    expect(names((await cache.at(log.tablePath, 0)) as Snapshot)).toEqual(['b'])
  })

  it('is loaded once for callers that ask at the same time', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a'))
    const cache = new SnapshotCache(store, engine, 1_000_000)
    const loaded = await Promise.all(Array.from({ length: 8 }, () => cache.latest(log.tablePath)))
    expect(new Set(loaded).size).toBe(1)
  })

  it('shows what was committed before it was asked for, though a look is under way', async () => {
    log.commit(0, PROTOCOL, metadata(), add('a'))
    let hold: Promise<void> | undefined
    const slow = new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        if (name !== 'stat') return value.bind(target) as unknown
        // The answer is known to the store before it is known here.
        return async (path: string) => {
          const found = await target.stat(path)
          if (found === null) await hold
          return found
        }
      },
    })
    const cache = new SnapshotCache(slow, engine, 1_000_000)
    await cache.latest(log.tablePath)
    let release = (): void => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    const early = cache.latest(log.tablePath)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const late = (): Promise<Snapshot | null> => cache.latest(log.tablePath)
    log.commit(1, add('b'))
    const asked = [late(), late()]
    release()
    await early
    for (const answer of asked) expect(names((await answer) as Snapshot)).toEqual(['a', 'b'])
  })
})
