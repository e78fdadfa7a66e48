/**
 * Goal: a row of a table with row tracking keeps its id for as long as it lives, whatever file it is in,
 * and its commit version is that of the last change of its values.
 * Method: random statements run through a real client on rows with a key of their own; after each one
 * the ids and versions that the files tell must be those of a model that knows rows by their key.
 */

import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { LocalStore } from '../../storage/local-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { loadSnapshot } from '../../storage/snapshot.js'
import { keptColumns, trackedRelation } from '../../storage/tracked-rows.js'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect } from '../support/session-script.js'

let gateway: LintedGateway
let client: pg.Client
let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  gateway = await lintedGateway()
  client = (await connect(gateway)).client
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(async () => {
  await client?.end()
  await engine?.close()
  await gateway?.settle()
  await gateway?.close()
}, 120_000)

interface Tracked {
  readonly id: number
  readonly version: number
}

/** By key, the id of each row and the version it was last changed in, as the files tell. */
async function trackedRows(table: string): Promise<Map<number, Tracked>> {
  const store = new LocalStore(gateway.lake)
  const snapshot = await loadSnapshot(store, connection, table.replace('.', '/'), null)
  if (snapshot === null) throw new Error('no table')
  const kept = keptColumns(snapshot)
  if (kept === null) throw new Error('rows are not tracked')
  const scan = planScan(snapshot, UNKNOWN)
  const relation = await trackedRelation(store, connection, scan, kept)
  const rows = await connection.query(
    `SELECT k, "${kept[0].name}", "${kept[1].name}" FROM ${relation} AS r`,
  )
  const found = new Map<number, Tracked>()
  for (const [key, id, version] of rows) {
    expect(found.has(Number(key))).toBe(false)
    found.set(Number(key), { id: Number(id), version: Number(version) })
  }
  const ids = [...found.values()].map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  return found
}

/** A statement and the keys whose rows it changes, removes and makes. */
interface Step {
  readonly sql: string
  readonly changes: (key: number) => boolean
  readonly removes: (key: number) => boolean
}

const never = (): boolean => false
const range = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 12 }))
  .map(([from, count]) => ({ from, to: from + count }))

const step: fc.Arbitrary<Step> = fc.oneof(
  range.map(({ from, to }) => ({
    sql: `UPDATE $t SET v = v + 1 WHERE k BETWEEN ${from} AND ${to}`,
    changes: (key: number) => key >= from && key <= to,
    removes: never,
  })),
  range.map(({ from, to }) => ({
    sql: `DELETE FROM $t WHERE k BETWEEN ${from} AND ${to}`,
    changes: never,
    removes: (key: number) => key >= from && key <= to,
  })),
  range.map(({ from, to }) => ({
    sql: `MERGE INTO $t AS t USING (SELECT i FROM generate_series(${from}, ${to}) i) AS s ON t.k = s.i WHEN MATCHED AND s.i % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET p = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.i, 0, 'n')`,
    changes: (key: number) => key >= from && key <= to && key % 3 !== 0,
    removes: (key: number) => key >= from && key <= to && key % 3 === 0,
  })),
  range.map(({ from, to }) => ({
    sql: `INSERT INTO $t AS t SELECT i, 5, 'c' FROM generate_series(${from}, ${to}) i ON CONFLICT (k) DO UPDATE SET v = excluded.v WHERE t.k % 2 = 0`,
    changes: (key: number) => key >= from && key <= to && key % 2 === 0,
    removes: never,
  })),
  fc.constantFrom(
    { sql: 'OPTIMIZE $t', changes: never, removes: never },
    { sql: 'REORG TABLE $t APPLY (PURGE)', changes: never, removes: never },
    {
      sql: "ALTER TABLE $t ADD COLUMN IF NOT EXISTS extra text DEFAULT 'e'",
      changes: never,
      removes: never,
    },
  ),
)

let nextTable = 1

describe('row tracking', () => {
  it.each([
    ['always', ''],
    ['never', ''],
    ['auto', 'PARTITIONED BY (p)'],
    ['always', 'PARTITIONED BY (p)'],
  ])(
    'keeps the ids of rows, deletion vectors %s %s',
    async (policy, partitions) => {
      await client.query(`SET lakegate.deletion_vectors = ${policy}`)
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
          const table = `silver.rt${nextTable++}`
          await client.query(
            `CREATE TABLE ${table} (k int PRIMARY KEY, v int, p text) ${partitions} TBLPROPERTIES ('delta.enableRowTracking' = 'true', 'delta.autoOptimize.autoCompact' = 'false')`,
          )
          await client.query(
            `INSERT INTO ${table} SELECT i, 0, CASE WHEN i % 2 = 0 THEN 'a' END FROM generate_series(0, 20) i`,
          )
          let before = await trackedRows(table)
          const everGiven = new Set([...before.values()].map(({ id }) => id))
          for (const { sql, changes, removes } of steps) {
            // Rows are written anew by ALTER only when it adds its column.
            const addsColumn =
              sql.startsWith('ALTER') &&
              (await client.query(`SELECT * FROM ${table} LIMIT 0`)).fields.length === 3
            await client.query(sql.replaceAll('$t', table))
            const history = await client.query(`DESCRIBE HISTORY ${table} LIMIT 1`)
            const version = Number((history.rows[0] as { version: string }).version)
            const after = await trackedRows(table)
            for (const [key, row] of before) {
              const now = after.get(key)
              if (removes(key)) expect({ sql, key, now }).toEqual({ sql, key, now: undefined })
              else {
                const wanted = changes(key) || addsColumn ? { ...row, version } : row
                expect({ sql, key, now }).toEqual({ sql, key, now: wanted })
              }
            }
            for (const [key, row] of after) {
              if (before.has(key)) continue
              expect({ sql, key, isNew: !everGiven.has(row.id) }).toEqual({ sql, key, isNew: true })
              expect(row.version).toBe(version)
              everGiven.add(row.id)
            }
            before = after
          }
        }),
        { numRuns: Number(process.env.LAKEGATE_RUNS ?? 8), endOnFailure: true },
      )
    },
    240_000,
  )

  it('gives ids once to rows that a block makes and changes', async () => {
    await client.query('RESET lakegate.deletion_vectors')
    await client.query(
      "CREATE TABLE silver.rt_block (k int, v int) TBLPROPERTIES ('delta.enableRowTracking' = 'true', 'delta.enableChangeDataFeed' = 'true')",
    )
    await client.query('INSERT INTO silver.rt_block SELECT i, 0 FROM generate_series(0, 4) i')
    const before = await trackedRows('silver.rt_block')
    await client.query('BEGIN')
    await client.query('INSERT INTO silver.rt_block VALUES (10, 0), (11, 0)')
    await client.query('UPDATE silver.rt_block SET v = 1 WHERE k IN (3, 10)')
    await client.query('UPDATE silver.rt_block SET v = 2 WHERE k IN (3, 4)')
    await client.query('ALTER TABLE silver.rt_block ADD COLUMN w int DEFAULT 7')
    await client.query('COMMIT')
    const after = await trackedRows('silver.rt_block')
    for (const [key, { id }] of before) expect([key, after.get(key)?.id]).toEqual([key, id])
    for (const key of [10, 11]) expect(after.get(key)?.id).toBeGreaterThan(4)
    expect([...after.values()].every(({ version }) => version === 2)).toBe(true)
  })

  it('refuses to write rows anew where their ids would be lost', async () => {
    await client.query(
      "CREATE TABLE silver.rt_ids (k int) TBLPROPERTIES ('delta.enableRowTracking' = 'true', 'delta.columnMapping.mode' = 'id')",
    )
    await client.query('INSERT INTO silver.rt_ids VALUES (1), (2)')
    await expect(client.query('UPDATE silver.rt_ids SET k = 3 WHERE k = 1')).rejects.toMatchObject({
      code: '0A000',
    })
    expect((await client.query('DELETE FROM silver.rt_ids')).rowCount).toBe(2)
  })
})
