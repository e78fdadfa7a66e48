/**
 * Goal: the first predicate on a column of a table of many files keeps nobody else waiting.
 * Method: an index of files with statistics, in memory; what else runs while it is prepared is counted.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { scalarType } from '../../storage/engine-type.js'
import { FileIndex } from '../../storage/file-index.js'
import { LocalStore } from '../../storage/local-store.js'
import type { Predicate } from '../../storage/predicate.js'
import { planScan, prepareScan } from '../../storage/scan.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { LogFixture, PROTOCOL } from '../support/log-fixture.js'

const FILES = 40_000

let folder: string
let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-prepare-'))
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

let tables = 0

/** A snapshot of a table with columns id, other and part, two parts of FILES / 2 files each. */
async function snapshotOfMany(): Promise<Snapshot> {
  const log = new LogFixture(folder, `silver/t${tables++}`)
  const field = (name: string): object => ({ name, type: 'long', nullable: true, metadata: {} })
  const schema = { type: 'struct', fields: [field('id'), field('other'), field('part')] }
  log.commit(0, PROTOCOL, {
    metaData: {
      id: 'many',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify(schema),
      partitionColumns: ['part'],
      configuration: {},
    },
  })
  const store = new LocalStore(folder)
  const snapshot = (await loadSnapshot(store, connection, log.tablePath, null)) as Snapshot
  let files = FileIndex.empty
  for (const part of [0, 1]) {
    const adds = Array.from({ length: FILES / 2 }, (_, i) => {
      const id = part * FILES + i
      const bounds = { id, other: -id }
      return {
        path: `f${id}`,
        partitionValues: { part: String(part) },
        size: 1,
        modificationTime: 1,
        stats: JSON.stringify({ numRecords: 1, minValues: bounds, maxValues: bounds }),
      }
    })
    files = files.with([], adds, (path) => path)
  }
  return { ...snapshot, files }
}

const equal = (name: string, value: bigint): Predicate => ({
  kind: 'compare',
  operator: '=',
  term: { kind: 'column', path: [name] },
  value: { type: scalarType('BIGINT'), value },
})

it('lets others run while statistics are read', async () => {
  const snapshot = await snapshotOfMany()
  let turns = 0
  let isDone = false
  const others = (async (): Promise<void> => {
    for (; !isDone; turns++) await new Promise((done) => setImmediate(done))
  })()
  await prepareScan(snapshot, equal('id', 77n))
  isDone = true
  await others
  expect(turns).toBeGreaterThan(5)
  expect(planScan(snapshot, equal('id', 77n)).files.map((file) => file.path)).toEqual(['f77'])
})

it('reads a column once for all who ask meanwhile, and no more when it is there', async () => {
  const snapshot = await snapshotOfMany()
  const parse = vi.spyOn(JSON, 'parse')
  try {
    await Promise.all([1n, 2n, 3n].map((value) => prepareScan(snapshot, equal('id', value))))
    expect(parse).toHaveBeenCalledTimes(FILES)
    planScan(snapshot, equal('id', 4n))
    await prepareScan(snapshot, equal('id', 5n))
    expect(parse).toHaveBeenCalledTimes(FILES)
    await prepareScan(snapshot, { kind: 'and', parts: [equal('id', 6n), equal('other', -6n)] })
    expect(parse).toHaveBeenCalledTimes(2 * FILES)
  } finally {
    parse.mockRestore()
  }
})

it('reads nothing of a block that the partitions rule out', async () => {
  const snapshot = await snapshotOfMany()
  const parse = vi.spyOn(JSON, 'parse')
  try {
    await prepareScan(snapshot, { kind: 'and', parts: [equal('part', 7n), equal('id', 1n)] })
    expect(parse).not.toHaveBeenCalled()
  } finally {
    parse.mockRestore()
  }
})
