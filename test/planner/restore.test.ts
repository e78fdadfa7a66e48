/**
 * Goal: RESTORE makes a table what it was, as a new version, and says what it did.
 * Method: a real client against a real gateway; every table is linted in the end.
 */

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateway: TestGateway
let client: pg.Client

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
})

const tables = new Set<string>()

afterAll(async () => {
  await client?.end()
  const engine = await Engine.open({})
  const connection = await engine.connect()
  for (const table of tables) {
    const report = await lintTable(gateway.lake, `silver/${table}`, connection)
    expect(report.faults.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine.close()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

async function rowsOf(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

async function errorOf(sql: string): Promise<{ code?: string; detail?: string }> {
  return client.query(sql).then(
    () => ({}),
    (error: { code?: string; detail?: string }) => error,
  )
}

let nextTable = 1

/** A table of versions 0 (empty), 1 (ids 1 to 3), 2 (4 more), 3 (1 deleted), 4 (emptied). */
async function changedTable(): Promise<string> {
  const name = `r${nextTable++}`
  tables.add(name)
  const table = `silver.${name}`
  await client.query(`CREATE TABLE ${table} (id int, s text)`)
  await client.query(`INSERT INTO ${table} VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
  await client.query(`INSERT INTO ${table} VALUES (4, 'd')`)
  await client.query(`DELETE FROM ${table} WHERE id = 1`)
  await client.query(`TRUNCATE ${table}`)
  return table
}

describe('RESTORE', () => {
  it('brings every version back, forth and back again', async () => {
    const table = await changedTable()
    const ids = async (more = ''): Promise<unknown> =>
      (await rowsOf(`SELECT array_agg(id ORDER BY id) FROM ${table}${more}`))[0]?.[0]
    const versions = [null, [1, 2, 3], [1, 2, 3, 4], [2, 3, 4], null]
    for (const version of [3, 1, 0, 2, 4, 3]) {
      await client.query(`RESTORE TABLE ${table} TO VERSION AS OF ${version}`)
      expect(await ids()).toEqual(versions[version])
    }
    for (const [version, wanted] of versions.entries()) {
      expect(await ids(` VERSION AS OF ${version}`)).toEqual(wanted)
    }
  })

  it('tells its metrics, in its answer and in the history', async () => {
    const table = await changedTable()
    const result = await client.query(`RESTORE ${table} VERSION AS OF 2`)
    expect(result.command).toBe('RESTORE')
    expect(result.rows[0]).toMatchObject({
      num_of_files_after_restore: '2',
      num_removed_files: '0',
      num_restored_files: '2',
    })
    const [commit] = (await client.query(`DESCRIBE HISTORY ${table} LIMIT 1`)).rows
    expect(commit.operation).toBe('RESTORE')
    expect(JSON.parse(commit.operation_metrics)).toMatchObject({ numRestoredFiles: '2' })
    expect(JSON.parse(commit.operation_parameters)).toMatchObject({ version: '2' })
  })

  it('finds a version by its time', async () => {
    const table = await changedTable()
    const history = await client.query(`DESCRIBE HISTORY ${table}`)
    const at = (history.rows as { version: string; timestamp: Date }[]).find(
      (row) => row.version === '1',
    )?.timestamp
    await client.query(`RESTORE TABLE ${table} TO TIMESTAMP AS OF '${at?.toISOString()}'`)
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`)).toEqual([[3]])
  })

  it('names the files that are gone', async () => {
    const table = await changedTable()
    const folder = join(gateway.lake, 'silver', table.slice('silver.'.length))
    const [gone] = readdirSync(folder).filter((name) => name.endsWith('.parquet'))
    rmSync(join(folder, String(gone)))
    const errors = await Promise.all(
      [1, 2, 3].map((version) => errorOf(`RESTORE TABLE ${table} TO VERSION AS OF ${version}`)),
    )
    expect(
      errors.some(({ code, detail }) => code === '55000' && detail?.includes(String(gone))),
    ).toBe(true)
    tables.delete(table.slice('silver.'.length))
  })

  const refused: readonly (readonly [string, string])[] = [
    ['RESTORE TABLE silver.nosuch TO VERSION AS OF 1', '42P01'],
    ['RESTORE TABLE silver.orders', '42601'],
    ['RESTORE TABLE silver.orders TO', '42601'],
    ['RESTORE TABLE silver.orders TO VERSION AS OF 999', '22023'],
    ['RESTORE TABLE silver.orders TO VERSION AS OF NULL', '22023'],
    ["RESTORE TABLE silver.orders TO TIMESTAMP AS OF '1999-01-01'", '22023'],
  ]
  it.each(refused)('%s gives %s', async (sql, code) => {
    expect((await errorOf(sql)).code).toBe(code)
  })
})
