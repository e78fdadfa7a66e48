/**
 * Goal: OPTIMIZE makes fewer, or better sorted, files and changes no row of any version.
 * Method: a real client against a real gateway; every table is linted in the end.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateway: TestGateway
let client: pg.Client

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await made.connect()
  return made
}

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect()
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

let nextTable = 1

function newTable(): string {
  const name = `o${nextTable++}`
  tables.add(name)
  return `silver.${name}`
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

async function fileCount(table: string): Promise<number> {
  const [row] = (await client.query(`DESCRIBE DETAIL ${table}`)).rows as { num_files: string }[]
  return Number(row?.num_files)
}

describe('OPTIMIZE', () => {
  it('packs small files into one and tells what it did', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, s text)`)
    for (let i = 0; i < 5; i++) await client.query(`INSERT INTO ${table} VALUES (${i}, 'x${i}')`)
    const before = await rowsOf(`SELECT * FROM ${table} ORDER BY id`)
    const result = await client.query(`OPTIMIZE ${table}`)
    expect(result.command).toBe('OPTIMIZE')
    expect(result.rows[0]).toMatchObject({
      version: '6',
      num_files_added: '1',
      num_files_removed: '5',
      num_batches: '1',
      total_considered_files: '5',
    })
    expect(await rowsOf(`SELECT * FROM ${table} ORDER BY id`)).toEqual(before)
    expect(await rowsOf(`SELECT count(*)::int FROM ${table} VERSION AS OF 3`)).toEqual([[3]])
    expect((await client.query(`OPTIMIZE ${table}`)).rows[0]).toMatchObject({
      version: null,
      num_files_removed: '0',
    })
    const [commit] = (await client.query(`DESCRIBE HISTORY ${table} LIMIT 1`)).rows
    expect(commit).toMatchObject({ operation: 'OPTIMIZE' })
    expect(JSON.parse(commit.operation_metrics)).toMatchObject({ numRemovedFiles: '5' })
  })

  it('keeps every partition apart, odd ones too', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, p text) PARTITIONED BY (p)`)
    for (let i = 0; i < 3; i++) {
      await client.query(
        `INSERT INTO ${table} VALUES (${i}, 'a/b'), (${i}, NULL), (${i}, 'ü=%'), (${i}, 'c d')`,
      )
    }
    const before = await rowsOf(`SELECT * FROM ${table} ORDER BY p, id`)
    const [row] = (await client.query(`OPTIMIZE ${table}`)).rows
    expect(row).toMatchObject({ partitions_optimized: '4', num_files_removed: '12' })
    expect(await rowsOf(`SELECT * FROM ${table} ORDER BY p, id`)).toEqual(before)
    expect(await fileCount(table)).toBe(4)
  })

  it('looks at the partitions of its WHERE alone', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, day date) PARTITIONED BY (day)`)
    for (let i = 0; i < 3; i++) {
      await client.query(
        `INSERT INTO ${table} SELECT ${i}, date '2026-01-01' + d FROM generate_series(0, 3) d`,
      )
    }
    const optimized = async (where: string): Promise<unknown> =>
      (await client.query(`OPTIMIZE ${table} WHERE ${where}`)).rows[0].num_files_removed
    expect(await optimized("day = '2026-01-02'")).toBe('3')
    expect(await optimized("extract(day from day) > 2 and day < date '2026-01-04'")).toBe('3')
    expect(await optimized('day IS NULL')).toBe('0')
    expect(await codeOf(`OPTIMIZE ${table} WHERE id = 1`)).toBe('42P10')
    expect(await codeOf(`OPTIMIZE ${table} WHERE nosuch = 1`)).toBe('42703')
    expect(await codeOf(`OPTIMIZE ${table} WHERE day`)).toBe('42804')
    expect(await codeOf(`OPTIMIZE ${table} WHERE count(*) > 1`)).toBe('42803')
    expect(await codeOf(`OPTIMIZE ${table} WHERE day = (SELECT max(day) FROM ${table})`)).toBe(
      '0A000',
    )
  })

  it('sorts rows by ZORDER BY, so that fewer files hold what is looked for', async () => {
    const table = newTable()
    await client.query(
      `CREATE TABLE ${table} (a int, b int, c text, d int) TBLPROPERTIES ('delta.targetFileSize' = '50kb')`,
    )
    // Rows of all values in each file.
    await client.query(
      `INSERT INTO ${table} SELECT (i::bigint * 7919) % 1000, (i::bigint * 104729) % 1009, 'c' || i, i FROM generate_series(1, 60000) i`,
    )
    const read = async (where: string): Promise<number[]> => {
      const [plan] = await rowsOf(`EXPLAIN SELECT * FROM ${table} WHERE ${where}`)
      const found = /(\d+) of (\d+) files/.exec(String(plan?.[0]))
      return [Number(found?.[1]), Number(found?.[2])]
    }
    const sum = `SELECT count(*), sum(a), sum(b), sum(d), max(c) FROM ${table}`
    const before = await rowsOf(sum)
    const [allA, files] = await read('a = 100')
    expect(allA).toBe(files)
    await client.query(`OPTIMIZE ${table} ZORDER BY (a, b)`)
    expect(await rowsOf(sum)).toEqual(before)
    for (const where of ['a = 100', 'b = 100']) {
      const [some, all] = await read(where)
      expect(some).toBeLessThan((all ?? 0) * 0.7)
    }
    const [both, all] = await read('a = 100 AND b = 100')
    expect(both).toBeLessThan((all ?? 0) * 0.4)
  })

  it('sorts the rows of clustered tables by their columns, and only what is new', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (a int, b text) CLUSTER BY (b, a)`)
    for (let i = 0; i < 3; i++) {
      await client.query(
        `INSERT INTO ${table} SELECT x, 'b' || x % 7 FROM generate_series(1, 100) x`,
      )
    }
    const removed = async (more = ''): Promise<unknown> =>
      (await client.query(`OPTIMIZE ${table}${more}`)).rows[0].num_files_removed
    expect(await removed()).toBe('3')
    expect(await removed()).toBe('0')
    expect(await removed(' FULL')).toBe('0')
    await client.query(`INSERT INTO ${table} VALUES (1, 'x')`)
    expect(await removed()).toBe('2')
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`)).toEqual([[301]])
    expect(await codeOf(`OPTIMIZE ${table} ZORDER BY (a)`)).toBe('0A000')
    expect(await codeOf(`OPTIMIZE ${table} WHERE a = 1`)).toBe('0A000')
    const [commit] = (await client.query(`DESCRIBE HISTORY ${table} LIMIT 1`)).rows
    expect(JSON.parse(commit.operation_parameters).clusterBy).toBe('["b","a"]')
  })

  it('writes files without their deleted rows', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} AS SELECT i AS id FROM generate_series(1, 100) i`)
    await client.query(`DELETE FROM ${table} WHERE id % 3 = 0`)
    await client.query(`REORG TABLE ${table} APPLY (PURGE)`)
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`)).toEqual([[67]])
  })

  const refused: readonly (readonly [string, string])[] = [
    ['OPTIMIZE silver.nosuch', '42P01'],
    ['OPTIMIZE', '42601'],
    ['OPTIMIZE silver.orders ZORDER', '42601'],
    ['OPTIMIZE silver.orders ZORDER BY ()', '42601'],
    ['OPTIMIZE silver.orders WHERE', '42601'],
    ['OPTIMIZE silver.orders nonsense', '42601'],
    ['OPTIMIZE silver.orders ZORDER BY (nosuch)', '42703'],
    ['OPTIMIZE silver.orders FULL', '0A000'],
    ['REORG TABLE silver.orders', '42601'],
  ]
  it.each(refused)('%s gives %s', async (sql, code) => {
    expect(await codeOf(sql)).toBe(code)
  })

  it('refuses to sort by a partition column', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, p text, q int[]) PARTITIONED BY (p)`)
    expect(await codeOf(`OPTIMIZE ${table} ZORDER BY (p)`)).toBe('42P10')
    expect(await codeOf(`OPTIMIZE ${table} ZORDER BY (q)`)).toBe('42P10')
  })

  it('runs in no transaction block, as VACUUM in PostgreSQL', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int)`)
    for (const sql of [
      `OPTIMIZE ${table}`,
      `VACUUM ${table}`,
      `RESTORE ${table} VERSION AS OF 0`,
    ]) {
      await client.query('BEGIN')
      expect(await codeOf(sql)).toBe('25001')
      await client.query('ROLLBACK')
    }
  })

  it('runs by itself where many small files gather, and loses no row', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, p int) PARTITIONED BY (p)`)
    const others = await Promise.all(Array.from({ length: 3 }, connect))
    let next = 0
    const insertAll = async (one: pg.Client): Promise<void> => {
      for (let id = next++; id < 300; id = next++) {
        await one.query(`INSERT INTO ${table} VALUES (${id}, ${id % 2})`)
      }
    }
    await Promise.all([client, ...others].map(insertAll))
    await Promise.all(others.map((one) => one.end()))
    // Files of the last inserts may be too few for another turn.
    await expect.poll(() => fileCount(table), { timeout: 10_000 }).toBeLessThan(110)
    expect(await rowsOf(`SELECT count(*)::int, count(DISTINCT id)::int FROM ${table}`)).toEqual([
      [300, 300],
    ])
    const history = await client.query(`DESCRIBE HISTORY ${table}`)
    const auto = history.rows.filter(({ operation }) => operation === 'OPTIMIZE')
    expect(auto.length).toBeGreaterThan(0)
    expect(JSON.parse(auto[0].operation_parameters).auto).toBe('true')
  })

  it('does not run by itself where the table says so', async () => {
    const table = newTable()
    await client.query(
      `CREATE TABLE ${table} (id int) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'false')`,
    )
    for (let i = 0; i < 60; i++) await client.query(`INSERT INTO ${table} VALUES (${i})`)
    expect(await fileCount(table)).toBe(60)
  })

  it('leaves no staging folder', () => {
    for (const table of tables) {
      const names = readdirSync(join(gateway.lake, 'silver', table))
      expect(names.filter((name) => name.startsWith('_staging'))).toEqual([])
    }
  })
})
