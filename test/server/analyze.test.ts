/**
 * Goal: ANALYZE counts different values for good, where no other engine looks, and the counts let the
 * planner read keys of joins that it would otherwise not look for.
 * Method: a real gateway on a lake; counts are compared with count(DISTINCT), read back through another
 * gateway, and the files that a join reads are told by EXPLAIN before and after.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ColumnStatistics } from '../../storage/column-statistics.js'
import { LocalStore } from '../../storage/local-store.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateways: readonly [TestGateway, TestGateway]
let client: pg.Client
let other: pg.Client

async function connect({ port }: TestGateway): Promise<pg.Client> {
  const made = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database: 'lake' })
  await made.connect()
  return made
}

beforeAll(async () => {
  const first = await startGateway()
  gateways = [first, await startGateway({ lake: first.lake })]
  client = await connect(first)
  other = await connect(gateways[1])
})

afterAll(async () => {
  await client.end()
  await other.end()
  await gateways[1].close()
  await gateways[0].close()
  expect([...gateways[0].bugs, ...gateways[1].bugs]).toEqual([])
})

async function rows(text: string, by: pg.Client = client): Promise<unknown[][]> {
  return (await by.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function facts(table: string, column: string, by = client): Promise<Record<string, unknown>> {
  return Object.fromEntries(await rows(`DESCRIBE EXTENDED ${table} ${column}`, by))
}

async function codeOf(text: string): Promise<string | undefined> {
  return client.query(text).then(
    () => undefined,
    (error: pg.DatabaseError) => error.code,
  )
}

describe('ANALYZE', () => {
  it('counts rows, nulls and different values, for every gateway', async () => {
    await client.query(
      'CREATE TABLE silver.counted (id int, kind text, n numeric(9,2), tags int[])',
    )
    await client.query(`INSERT INTO silver.counted
      SELECT i, CASE WHEN i % 4 > 0 THEN 'k' || i % 7 END, i / 10, ARRAY[1] FROM generate_series(1, 2000) g(i)`)
    expect(await facts('silver.counted', 'kind')).toMatchObject({ distinct_count: null })
    const { command } = await client.query('ANALYZE silver.counted')
    expect(command).toBe('ANALYZE')
    const [kind, id] = [
      await facts('silver.counted', 'kind'),
      await facts('silver.counted', 'id', other),
    ]
    expect(kind).toMatchObject({
      col_name: 'kind',
      data_type: 'string',
      num_nulls: '500',
      version: '1',
    })
    const near = (told: unknown, real: number): void => {
      expect(Math.abs(Number(told) - real)).toBeLessThanOrEqual(Math.max(1, real * 0.3))
    }
    near(kind.distinct_count, 7)
    near(id.distinct_count, 2000)
    expect(await facts('silver.counted', 'tags')).toMatchObject({ distinct_count: null })
  })

  it('counts single columns, and keeps what it knows of the others', async () => {
    await client.query('CREATE TABLE silver.some (a int, b int)')
    await client.query('INSERT INTO silver.some SELECT i, i % 2 FROM generate_series(1, 100) g(i)')
    await client.query('ANALYZE silver.some (b)')
    expect(await facts('silver.some', 'a')).toMatchObject({ distinct_count: null })
    expect(await facts('silver.some', 'b')).toMatchObject({ distinct_count: '2' })
    await client.query('INSERT INTO silver.some VALUES (1, 3)')
    await client.query('ANALYZE TABLE silver.some COMPUTE STATISTICS FOR COLUMNS a')
    expect(await facts('silver.some', 'b')).toMatchObject({ distinct_count: '2' })
    await client.query('ANALYZE TABLE silver.some COMPUTE STATISTICS FOR COLUMNS (A, b)')
    expect(await facts('silver.some', 'b')).toMatchObject({ distinct_count: '3', version: '2' })
    await client.query('ALTER TABLE silver.some RENAME COLUMN b TO c')
    expect(await facts('silver.some', 'c')).toMatchObject({ distinct_count: '3' })
  })

  it.each([
    'ANALYZE',
    'ANALYZE VERBOSE silver.each',
    'ANALYZE silver.each, silver.orders',
    'ANALYZE TABLE silver.each COMPUTE STATISTICS',
    'ANALYZE TABLE silver.each COMPUTE STATISTICS FOR ALL COLUMNS',
    'VACUUM (ANALYZE) silver.each',
  ])('%s counts', async (text) => {
    await client.query('CREATE OR REPLACE TABLE silver.each (n int)')
    await client.query('INSERT INTO silver.each VALUES (1), (2)')
    await client.query(text)
    const counts = text.endsWith('STATISTICS') ? null : '2'
    expect((await facts('silver.each', 'n')).distinct_count).toBe(counts)
    await client.query('DROP TABLE silver.each')
  })

  it.each([
    ['ANALYZE silver.nowhere', '42P01'],
    ['ANALYZE silver.orders (nowhere)', '42703'],
    ['ANALYZE TABLE silver.orders COMPUTE STATISTICS FOR COLUMNS nowhere', '42703'],
    ['ANALYZE TABLE silver.orders COMPUTE STATISTICS FOR nonsense', '42601'],
    ['ANALYZE TABLE silver.orders', '42601'],
    ['DESCRIBE EXTENDED silver.orders nowhere', '42703'],
  ])('%s is %s', async (text, code) => {
    expect(await codeOf(text)).toBe(code)
  })

  it('changes neither the log nor the folder of the table', async () => {
    await client.query('CREATE TABLE silver.untouched (n int)')
    await client.query('INSERT INTO silver.untouched VALUES (1)')
    await gateways[0].settle()
    const list = (): string[] =>
      readdirSync(join(gateways[0].lake, 'silver/untouched'), { recursive: true }).map(String)
    const before = list()
    await client.query('ANALYZE silver.untouched')
    expect(list()).toEqual(before)
    await client.query('BEGIN')
    await client.query('ANALYZE silver.untouched')
    await client.query('ROLLBACK')
  })

  it('by many at a time leaves one file that is whole', async () => {
    const store = new LocalStore(gateways[0].lake)
    const counts = (n: number) => ({
      version: n,
      rowCount: n,
      analyzedMs: n,
      columns: { [`c${n}`]: { distinctCount: n, nullCount: 0 } },
    })
    await Promise.all(
      Array.from({ length: 10 }, (_, n) => new ColumnStatistics(store).keep('t/..%1', counts(n))),
    )
    const known = await new ColumnStatistics(store).of('t/..%1')
    expect(Object.keys(known?.columns ?? {})).toHaveLength(10)
    const folder = join(gateways[0].lake, '_lakegate/statistics', 't%2F%2E%2E%251')
    expect(readdirSync(folder).length).toBeLessThan(10)
    for (const name of readdirSync(folder)) JSON.parse(readFileSync(join(folder, name), 'utf8'))
  })
})

describe('the planner', () => {
  it('reads the keys of many rows beforehand once they are known to be few', async () => {
    await client.query('CREATE TABLE silver.sales (store int, amount int) PARTITIONED BY (store)')
    await client.query(
      'INSERT INTO silver.sales SELECT i % 40, i FROM generate_series(1, 4000) g(i)',
    )
    await client.query('CREATE TABLE silver.hits (store int, at int)')
    await client.query(
      'INSERT INTO silver.hits SELECT i % 3, 1 FROM generate_series(1, 150000) g(i)',
    )
    const query = `SELECT count(*)::int, sum(amount)::int FROM silver.sales s
      WHERE EXISTS (SELECT 1 FROM silver.hits h WHERE h.store = s.store AND h.at = 1)`
    const joined = `SELECT count(*)::int FROM silver.sales s JOIN silver.hits h ON h.store = s.store`
    const files = async (text: string): Promise<string | undefined> =>
      /silver\.sales[^\n]*?(\d+) of 40/.exec((await rows(`EXPLAIN ${text}`)).join('\n'))?.[1]
    const answers = [await rows(query), await rows(joined)]
    expect(await files(joined)).toBe('40')
    await client.query('ANALYZE silver.hits')
    expect(await files(joined)).toBe('3')
    expect([await rows(query), await rows(joined)]).toEqual(answers)
    // Wrong counts change no answer.
    await client.query('INSERT INTO silver.hits SELECT i % 40, 2 FROM generate_series(1, 400) g(i)')
    await client.query('SET lakegate.join_pruning = off')
    const plain = await rows(joined)
    await client.query('RESET lakegate.join_pruning')
    expect(await rows(joined)).toEqual(plain)
  })
})
