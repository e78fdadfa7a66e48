/** Partition values of few and of many files, as columns of a scan. */

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { add, LogFixture, PROTOCOL } from '../support/log-fixture.js'

let folder: string
let engine: Engine
let connection: EngineConnection
let tables = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-partitions-'))
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

async function scan(
  columns: readonly (readonly [string, string])[],
  partitions: readonly string[],
  query: string,
  values: readonly { readonly [name: string]: string | null }[],
): Promise<string> {
  const log = new LogFixture(folder, `silver/t${tables++}`)
  const fields = columns.map(([name, type]) => ({ name, type, nullable: true, metadata: {} }))
  const schemaString = JSON.stringify({ type: 'struct', fields })
  const metaData = {
    id: 'x',
    format: { provider: 'parquet' },
    schemaString,
    partitionColumns: partitions,
    configuration: {},
  }
  log.commit(
    0,
    PROTOCOL,
    { metaData },
    ...values.map((partitionValues, i) => add(`f${i}.parquet`, { partitionValues })),
  )
  const file = (i: number): string => join(folder, log.tablePath, `f${i}.parquet`)
  await connection.run(`COPY (${query}) TO '${file(0)}' (FORMAT parquet)`)
  for (let i = 1; i < values.length; i++) copyFileSync(file(0), file(i))
  const store = new LocalStore(folder)
  const snapshot = (await loadSnapshot(store, connection, log.tablePath, null)) as Snapshot
  return scanRelation(store, connection, planScan(snapshot, UNKNOWN))
}

it.each([3, 49, 50, 300])('%i files have each its own values', async (count) => {
  const days = (i: number): string => new Date(i * 86_400_000).toISOString().slice(0, 10)
  const text = (i: number): string => (i === 1 ? "it's\n two" : `x${i}`)
  const values = Array.from({ length: count }, (_, i) => ({
    p: i % 7 === 2 ? null : String(i),
    day: days(i),
    s: i % 7 === 2 ? '' : text(i),
    z: `1970-01-01 00:00:00.${String(i).padStart(6, '0')}`,
  }))
  const relation = await scan(
    [
      ['v', 'long'],
      ['p', 'integer'],
      ['day', 'date'],
      ['s', 'string'],
      ['z', 'timestamp'],
    ],
    ['p', 'day', 's', 'z'],
    'SELECT 7::BIGINT AS v',
    values,
  )
  const rows = await connection.query(
    `SELECT v, p, day, s, epoch_us(z) FROM ${relation} AS t ORDER BY day`,
  )
  expect(rows).toEqual(
    values.map((value, i) => [
      7n,
      value.p === null ? null : i,
      i,
      value.s === '' ? null : text(i),
      BigInt(i),
    ]),
  )
})

it('a data column named like a virtual one is refused, not taken for it', async () => {
  const scanning = scan(
    [
      ['file_index', 'long'],
      ['p', 'integer'],
    ],
    ['p'],
    'SELECT 1::BIGINT AS file_index',
    [{ p: '10' }, { p: '20' }],
  )
  await expect(scanning).rejects.toMatchObject({ sqlState: SqlState.featureNotSupported })
})
