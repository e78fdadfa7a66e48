/**
 * Goal: VACUUM removes what no version within retention needs, and nothing else.
 * Method: a real client against a real gateway; files are made old by their times.
 */

import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { s3Server } from '../support/test-store.js'

let gateway: TestGateway
let client: pg.Client
const notices: string[] = []

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  client.on('notice', ({ message }) => notices.push(String(message)))
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

/** The local file of a path as VACUUM shows it. */
function fileOf(path: unknown): string {
  return String(path).replace(gateway.store.root, gateway.lake)
}

async function rowsOf(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

async function codeOf(sql: string): Promise<string | undefined> {
  return client.query(sql).then(
    () => undefined,
    (error: { readonly code?: string }) => error.code,
  )
}

let nextTable = 1

interface Made {
  readonly name: string
  readonly folder: string
  files(): string[]
}

/** A table of one row that was updated twice: three files, of which one is live. */
async function updatedTable(properties = ''): Promise<Made> {
  const table = `v${nextTable++}`
  const name = `silver.${table}`
  const folder = join(gateway.lake, 'silver', table)
  await client.query(`CREATE TABLE ${name} ${properties} AS SELECT 1 AS id`)
  await client.query(`UPDATE ${name} SET id = 2`)
  await client.query(`UPDATE ${name} SET id = 3`)
  const files = (): string[] => readdirSync(folder).filter((one) => !/^[._]/.test(one))
  expect(files().length).toBe(3)
  return { name, folder, files }
}

/** Makes every file under `folder` that old, its log too. */
function age(folder: string, days: number): void {
  const time = Date.now() / 1000 - days * 86_400
  for (const name of readdirSync(folder, { recursive: true }).map(String)) {
    utimesSync(join(folder, name), time, time)
  }
}

describe('VACUUM', () => {
  it('removes nothing that was changed within the retention', async () => {
    const { name, files } = await updatedTable()
    await client.query(`VACUUM ${name}`)
    expect(files().length).toBe(3)
    expect(await rowsOf(`SELECT id FROM ${name} VERSION AS OF 0`)).toEqual([[1]])
  })

  it('keeps old files that were removed from the table of late', async () => {
    const { name, folder, files } = await updatedTable()
    age(folder, 30)
    await client.query(`VACUUM ${name}`)
    // Their commits say that they were removed today.
    expect(files().length).toBe(3)
    expect(await rowsOf(`SELECT id FROM ${name} VERSION AS OF 1`)).toEqual([[2]])
  })

  it('refuses a short retention until the session takes it upon itself', async () => {
    const { name, folder, files } = await updatedTable()
    age(folder, 1)
    expect(await codeOf(`VACUUM ${name} RETAIN 0 HOURS`)).toBe('22023')
    await client.query('SET lakegate.vacuum_retention_check = off')
    const listed = await rowsOf(`VACUUM ${name} RETAIN 0 HOURS DRY RUN`)
    expect(listed.length).toBe(2)
    expect(files().length).toBe(3)
    for (const [path] of listed) expect(existsSync(fileOf(path))).toBe(true)
    await client.query(`VACUUM ${name} RETAIN 0 HOURS`)
    await client.query('RESET lakegate.vacuum_retention_check')
    for (const [path] of listed) expect(existsSync(fileOf(path))).toBe(false)
    expect(files().length).toBe(1)
    expect(await rowsOf(`SELECT id FROM ${name}`)).toEqual([[3]])
    expect(notices.at(-1)).toMatch(/^removed 2 files of \d+ bytes/)
    const history = await client.query(`DESCRIBE HISTORY ${name} LIMIT 2`)
    expect(history.rows.map((row) => row.operation)).toEqual(['VACUUM END', 'VACUUM START'])
    expect(await codeOf(`RESTORE TABLE ${name} TO VERSION AS OF 0`)).toBe('55000')
  })

  it('removes files of changed rows with the retention, not before', async () => {
    const { name, folder } = await updatedTable(
      "TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
    )
    const changed = join(folder, '_change_data')
    // A bucket has no folder without objects.
    const changes = (): string[] => (existsSync(changed) ? readdirSync(changed) : [])
    expect(changes().length).toBe(2)
    age(changed, 30)
    await client.query(`VACUUM ${name}`)
    // The commits that name them are of today.
    expect(changes().length).toBe(2)
    age(folder, 30)
    const listed = (await rowsOf(`VACUUM ${name} DRY RUN`)).map(String)
    expect(listed.length).toBe(2)
    expect(listed.every((path) => path.includes('/_change_data/'))).toBe(true)
    await client.query(`VACUUM ${name}`)
    expect(changes()).toEqual([])
    expect(await codeOf(`SELECT * FROM table_changes('${name}', 1)`)).toBe('55000')
  })

  it('removes files that no commit names, once they are old', async () => {
    const { name, folder } = await updatedTable()
    const orphans = ['orphan.parquet', 'p=1/orphan.parquet']
    const kept = ['_hidden/file', '.dotted', '_file']
    for (const one of [...orphans, ...kept, '_staging-0/rows.parquet']) {
      mkdirSync(join(folder, one, '..'), { recursive: true })
      writeFileSync(join(folder, one), 'x')
    }
    await client.query(`VACUUM ${name}`)
    for (const one of orphans) expect(existsSync(join(folder, one))).toBe(true)
    age(folder, 8)
    await client.query(`VACUUM ${name}`)
    for (const one of orphans) expect(existsSync(join(folder, one))).toBe(false)
    for (const one of kept) expect(existsSync(join(folder, one))).toBe(true)
    // A bucket has no staging folders: what is not whole is no object.
    if (s3Server === null) expect(existsSync(join(folder, '_staging-0'))).toBe(false)
  })

  it('leaves files that a writer may be about to commit, however short the retention', async () => {
    const { name, folder } = await updatedTable()
    writeFileSync(join(folder, 'uncommitted.parquet'), 'x')
    mkdirSync(join(folder, '_staging-1'))
    await client.query('SET lakegate.vacuum_retention_check = off')
    await client.query(`VACUUM ${name} RETAIN 0 HOURS`)
    await client.query('RESET lakegate.vacuum_retention_check')
    expect(existsSync(join(folder, 'uncommitted.parquet'))).toBe(true)
    expect(existsSync(join(folder, '_staging-1'))).toBe(true)
  })

  it('finds with LITE, by the log alone, what was removed from the table', async () => {
    const { name, folder, files } = await updatedTable()
    writeFileSync(join(folder, 'orphan.parquet'), 'x')
    age(folder, 1)
    await client.query('SET lakegate.vacuum_retention_check = off')
    await client.query(`VACUUM ${name} LITE RETAIN 1 HOURS`)
    expect(files().length).toBe(4)
    await client.query(`VACUUM ${name} RETAIN 0 HOURS LITE`)
    await client.query('RESET lakegate.vacuum_retention_check')
    expect(files().sort()).toContain('orphan.parquet')
    expect(files().length).toBe(2)
  })

  it('keeps to the retention that the table asks for', async () => {
    const { name, folder, files } = await updatedTable()
    await client.query(
      `CREATE TABLE silver.short TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 hours') AS SELECT 1 AS id`,
    )
    await client.query('UPDATE silver.short SET id = 2')
    age(join(gateway.lake, 'silver', 'short'), 1)
    age(folder, 1)
    await client.query(`VACUUM silver.short, ${name}`)
    expect(files().length).toBe(3)
    expect(
      readdirSync(join(gateway.lake, 'silver', 'short')).filter((one) => one.endsWith('.parquet'))
        .length,
    ).toBe(1)
  })
})

describe("PostgreSQL's own words", () => {
  const accepted = [
    'VACUUM silver.orders',
    'VACUUM (ANALYZE, VERBOSE, FREEZE) silver.orders',
    'VACUUM ANALYZE silver.orders (order_id)',
    'VACUUM FULL silver.orders',
    'VACUUM',
    'ANALYZE',
    'ANALYZE silver.orders',
    'ANALYZE VERBOSE silver.orders (order_id)',
  ]
  it.each(accepted)('%s', async (sql) => {
    const result = await client.query(sql)
    expect(result.command).toBe(sql.split(/\W/)[0])
  })

  const refused: readonly (readonly [string, string])[] = [
    ['VACUUM silver.nosuch', '42P01'],
    ['VACUUM (NONSENSE) silver.orders', '42601'],
    ['ANALYZE silver.orders (nosuch)', '42703'],
    ['VACUUM silver.orders (order_id)', '0A000'],
    ['VACUUM silver.orders RETAIN', '42601'],
    ['VACUUM silver.orders RETAIN 1 DAY', '42601'],
    ['VACUUM silver.orders DRY', '42601'],
  ]
  it.each(refused)('%s gives %s', async (sql, code) => {
    expect(await codeOf(sql)).toBe(code)
  })

  it('VACUUM FULL makes few files of many, as it makes a table small in PostgreSQL', async () => {
    await client.query('CREATE TABLE silver.bloated (id int)')
    for (let i = 0; i < 4; i++) await client.query(`INSERT INTO silver.bloated VALUES (${i})`)
    await client.query('VACUUM FULL silver.bloated')
    const [row] = (await client.query('DESCRIBE DETAIL silver.bloated')).rows
    expect(row.num_files).toBe('1')
    expect(await rowsOf('SELECT sum(id)::int FROM silver.bloated')).toEqual([[6]])
  })

  it('VACUUM of everything empties tables that were dropped longer ago than they keep files', async () => {
    const kept = await updatedTable()
    const emptied = await updatedTable(
      "TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 hours')",
    )
    for (const { name, folder } of [kept, emptied]) {
      await client.query(`DROP TABLE ${name}`)
      age(folder, 8)
    }
    await client.query('VACUUM')
    expect(kept.files().length).toBe(3)
    expect(emptied.files().length).toBe(0)
    expect(await codeOf(`SELECT * FROM ${emptied.name}`)).toBe('42P01')
  })
})
