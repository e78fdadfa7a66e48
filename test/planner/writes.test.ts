/**
 * Goal: INSERT, UPDATE, DELETE, CREATE TABLE and transaction blocks change lake tables as they would
 * PostgreSQL's, and leave logs that keep Delta's rules.
 * Method: a real client against a real gateway; random sequences of statements are run on a plain
 * DuckDB table too and must give equal rows after every step.
 */

import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateway: TestGateway
let client: pg.Client
let engine: Engine
let plain: EngineConnection

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
  engine = await Engine.open({})
  plain = await engine.connect()
})

afterAll(async () => {
  await client?.end()
  await gateway?.settle()
  for (const table of tables) {
    const report = await lintTable(gateway.lake, table, plain)
    expect(report.faults.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine?.close()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

/** Folders of the tables made here, for the linter. */
const tables = new Set<string>()
let nextTable = 1

function newTable(): string {
  const name = `w${nextTable++}`
  tables.add(`silver/${name}`)
  return `silver.${name}`
}

async function rowsOf(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: { readonly code?: string }) => error.code,
  )
}

describe('CREATE TABLE', () => {
  it('makes a table of every type Delta has, and shows the types again', async () => {
    const table = newTable()
    await client.query(
      `CREATE TABLE ${table} (a smallint, b int, c bigint, d real, e double precision, f numeric(12,3),
       g text, h varchar(3), i boolean, j date, k timestamp, l timestamptz, m bytea, n int[], o uuid)`,
    )
    await client.query(
      `INSERT INTO ${table} VALUES (1, 2, 3, 0.5, 0.25, 1.125, 'g', 'h', true, '2026-01-02',
       '2026-01-02 03:04:05', '2026-01-02 03:04:05+00', '\\x00ff', '{1,NULL,3}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')`,
    )
    const result = await client.query({ text: `SELECT * FROM ${table}`, rowMode: 'array' })
    expect(result.fields.map((field) => field.dataTypeID)).toEqual([
      21, 23, 20, 700, 701, 1700, 25, 25, 16, 1082, 1114, 1184, 17, 1007, 25,
    ])
    expect(result.rows[0]?.[13]).toEqual([1, null, 3])
  })

  const refused: readonly (readonly [string, string])[] = [
    ['CREATE TABLE silver.orders (a int)', '42P07'],
    ['CREATE TABLE nowhere.t (a int)', '3F000'],
    ['CREATE TABLE silver.bad (a int, a text)', '42701'],
    ['CREATE TABLE silver.bad (a time)', '0A000'],
    ['CREATE TABLE silver.bad (a int UNIQUE)', '0A000'],
    ['CREATE TABLE silver.bad (a nosuch)', '42704'],
    ['CREATE TABLE silver.bad (a int) PARTITIONED BY (b)', '42703'],
    ['CREATE TABLE silver.bad (a int) USING parquet', '0A000'],
    ["CREATE TABLE silver.bad (a int) LOCATION '/tmp/x'", '42501'],
    ['CREATE TABLE silver."../bad" (a int)', '42602'],
  ]
  it.each(refused)('%s gives %s', async (sql, code) => {
    expect(await codeOf(client.query(sql))).toBe(code)
  })

  it('does not make the table again with IF NOT EXISTS', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} AS SELECT 1 AS a`)
    await client.query(`CREATE TABLE IF NOT EXISTS ${table} (b text)`)
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([[1]])
  })

  it('makes partitions that readers skip', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (id int, day date) USING DELTA PARTITIONED BY (day)`)
    await client.query(
      `INSERT INTO ${table} SELECT i, date '2026-01-01' + i % 4 FROM generate_series(1, 40) i`,
    )
    const [plan] = await rowsOf(`EXPLAIN SELECT * FROM ${table} WHERE day = '2026-01-02'`)
    expect(String(plan?.[0])).toContain('1 of 4 files')
  })

  it('takes a dropped name again, and keeps what was there for time travel', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} AS SELECT 1 AS old`)
    await client.query(`DROP TABLE ${table}`)
    expect(await codeOf(client.query(`SELECT * FROM ${table}`))).toBe('42P01')
    await client.query(`CREATE TABLE ${table} (fresh text)`)
    await client.query(`INSERT INTO ${table} VALUES ('x')`)
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([['x']])
    expect(await rowsOf(`SELECT * FROM ${table} VERSION AS OF 0`)).toEqual([[1]])
  })
})

describe('a row that breaks a rule', () => {
  const table = 'silver.rules'
  beforeAll(async () => {
    tables.add('silver/rules')
    await client.query(
      `CREATE TABLE ${table} (id int NOT NULL, name varchar(3) DEFAULT 'abc', n numeric(4,1) CHECK (n > 0), CHECK (id < 100 OR name IS NULL))`,
    )
  })

  const broken: readonly (readonly [string, string])[] = [
    [`INSERT INTO ${table} (id) VALUES (NULL)`, '23502'],
    [`INSERT INTO ${table} VALUES (1, 'abcd', 1)`, '22001'],
    [`INSERT INTO ${table} VALUES (1, 'abc', 0)`, '23514'],
    [`INSERT INTO ${table} VALUES (100, 'abc', 1)`, '23514'],
    [`INSERT INTO ${table} VALUES (1, 'abc', 1000)`, '22003'],
    [`INSERT INTO ${table} VALUES (99999999999, 'abc', 1)`, '22003'],
    [`INSERT INTO ${table} VALUES (1, 2, 3, 4)`, '42601'],
    [`INSERT INTO ${table} (id, name) VALUES (1)`, '42601'],
    [`INSERT INTO ${table} (id, id) VALUES (1, 1)`, '42701'],
    [`INSERT INTO ${table} (nosuch) VALUES (1)`, '42703'],
    [`INSERT INTO ${table} (id) VALUES (true)`, '42804'],
    [`INSERT INTO ${table} SELECT 1 / 0`, '22012'],
    [`INSERT INTO silver.nosuch VALUES (1)`, '42P01'],
    [`UPDATE ${table} SET nosuch = 1`, '42703'],
    [`UPDATE ${table} SET id = 1, id = 2`, '42601'],
    [`DELETE FROM ${table} WHERE id`, '42804'],
  ]
  it.each(broken)('%s gives %s and changes nothing', async (sql, code) => {
    expect(await codeOf(client.query(sql))).toBe(code)
    expect(await rowsOf(`SELECT count(*) FROM ${table}`)).toEqual([['0']])
  })

  it('is refused after an UPDATE as after an INSERT', async () => {
    await client.query(`INSERT INTO ${table} VALUES (1, DEFAULT, 1)`)
    expect(await rowsOf(`SELECT name FROM ${table}`)).toEqual([['abc']])
    expect(await codeOf(client.query(`UPDATE ${table} SET n = -n`))).toBe('23514')
    expect(await codeOf(client.query(`UPDATE ${table} SET id = NULL`))).toBe('23502')
    await client.query(`DELETE FROM ${table}`)
  })
})

describe('a transaction block', () => {
  it('sees its own rows, and others see them after COMMIT only', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} AS SELECT 1 AS a`)
    const other = await connect()
    const count = async (from: pg.Client): Promise<string | undefined> =>
      (await from.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n
    await client.query('BEGIN')
    await client.query(`INSERT INTO ${table} VALUES (2), (3)`)
    await client.query('SAVEPOINT a')
    await client.query(`DELETE FROM ${table} WHERE a = 1`)
    await client.query(`UPDATE ${table} SET a = a * 10 WHERE a = 2`)
    expect(await rowsOf(`SELECT a FROM ${table} ORDER BY a`)).toEqual([[3], [20]])
    await client.query('ROLLBACK TO a')
    expect(await rowsOf(`SELECT a FROM ${table} ORDER BY a`)).toEqual([[1], [2], [3]])
    expect(await count(other)).toBe('1')
    await client.query('COMMIT')
    expect(await count(other)).toBe('3')
    const history = await client.query(`DESCRIBE HISTORY ${table}`)
    expect(history.rowCount).toBe(2)
    await other.end()
  })

  it('leaves nothing behind after ROLLBACK, tables made in it neither', async () => {
    await client.query('BEGIN')
    await client.query('CREATE TABLE silver.never (a int)')
    await client.query('INSERT INTO silver.never VALUES (1)')
    expect(await rowsOf('SELECT * FROM silver.never')).toEqual([[1]])
    await client.query('ROLLBACK')
    expect(await codeOf(client.query('SELECT * FROM silver.never'))).toBe('42P01')
  })

  it('refuses to write when it is read-only', async () => {
    const one = newTable()
    await client.query(`CREATE TABLE ${one} (a int)`)
    await client.query('BEGIN READ ONLY')
    expect(await codeOf(client.query(`INSERT INTO ${one} VALUES (1)`))).toBe('25006')
    await client.query('ROLLBACK')
    expect(await rowsOf(`SELECT count(*) FROM ${one}`)).toEqual([['0']])
  })

  it('gets 40001 when another one changed the rows it changed', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} AS SELECT 1 AS a`)
    const other = await connect()
    await client.query('BEGIN')
    await client.query(`UPDATE ${table} SET a = 2`)
    await other.query(`UPDATE ${table} SET a = 3`)
    expect(await codeOf(client.query('COMMIT'))).toBe('40001')
    expect(await rowsOf(`SELECT a FROM ${table}`)).toEqual([[3]])
    await other.end()
  })
})

describe('the extended protocol', () => {
  it('infers parameters from the columns they are for', async () => {
    const table = newTable()
    await client.query(
      `CREATE TABLE ${table} (id bigint, day date, amount numeric(10,2), tags text[])`,
    )
    const result = await client.query(
      `INSERT INTO ${table} VALUES ($1, $2, $3, $4) RETURNING id + 1 AS next`,
      ['7', '2026-02-03', '12.50', ['x', 'y']],
    )
    expect(result.rows).toEqual([{ next: '8' }])
    expect(result.command).toBe('INSERT')
    const updated = await client.query(`UPDATE ${table} SET amount = amount + $1 WHERE id = $2`, [
      '0.25',
      7,
    ])
    expect(updated.rowCount).toBe(1)
    expect(await rowsOf(`SELECT id, amount, tags FROM ${table}`)).toEqual([
      ['7', '12.75', ['x', 'y']],
    ])
    const deleted = await client.query(`DELETE FROM ${table} WHERE id = ANY ($1)`, [[7, 8]])
    expect(deleted.rowCount).toBe(1)
  })

  it('takes thousands of parameters in one INSERT', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (a int, b text)`)
    const rows = Array.from({ length: 2000 }, (_, i) => [i, `row ${i}`])
    const places = rows.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`)
    const result = await client.query(
      `INSERT INTO ${table} VALUES ${places.join(', ')}`,
      rows.flat(),
    )
    expect(result.rowCount).toBe(2000)
    expect(await rowsOf(`SELECT count(*), sum(a) FROM ${table}`)).toEqual([['2000', '1999000']])
  })
})

describe('writers that race', () => {
  it('twenty connections append at once and none sees an error', async () => {
    const table = newTable()
    await client.query(`CREATE TABLE ${table} (a int)`)
    const clients = await Promise.all(Array.from({ length: 20 }, connect))
    await Promise.all(clients.map((one, i) => one.query(`INSERT INTO ${table} VALUES (${i})`)))
    await Promise.all(clients.map((one) => one.end()))
    expect(await rowsOf(`SELECT count(*), sum(a) FROM ${table}`)).toEqual([['20', '190']])
  })
})

describe('random statements', () => {
  const value = fc.constantFrom('NULL', '0', '1', '2', '3', '5', '8')
  const condition = fc.oneof(
    fc
      .tuple(fc.constantFrom('a', 'b'), fc.constantFrom('=', '<', '>', '<>'), value)
      .map((p) => p.join(' ')),
    fc.constantFrom('a IS NULL', 'b IS NOT NULL', 'a + b > 4', 'a IN (1, 2)', 'true', 'a = b'),
  )
  const statement = fc.oneof(
    fc
      .array(fc.tuple(value, value), { minLength: 1, maxLength: 4 })
      .map(
        (rows) => (t: string) =>
          `INSERT INTO ${t} VALUES ${rows.map(([a, b]) => `(${a}, ${b})`).join(', ')}`,
      ),
    fc.tuple(value, condition).map(
      ([v, c]) =>
        (t: string) =>
          `UPDATE ${t} SET a = ${v} WHERE ${c}`,
    ),
    condition.map((c) => (t: string) => `UPDATE ${t} SET b = b + 1, a = b WHERE ${c}`),
    condition.map((c) => (t: string) => `DELETE FROM ${t} WHERE ${c}`),
    fc.constant((t: string) => `INSERT INTO ${t} SELECT b, a FROM ${t} WHERE a > 1`),
  )

  it('give the rows that a plain table would hold after each', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { minLength: 3, maxLength: 8 }), async (steps) => {
        const table = newTable()
        const model = table.replace('silver.', '')
        await client.query(`CREATE TABLE ${table} (a int, b int)`)
        await plain.run(`CREATE TABLE ${model} (a INTEGER, b INTEGER)`)
        for (const step of steps) {
          await client.query(step(table))
          await plain.run(step(model))
          const order = 'ORDER BY a NULLS LAST, b NULLS LAST'
          expect(await rowsOf(`SELECT a, b FROM ${table} ${order}`)).toEqual(
            await plain.query(`SELECT a, b FROM ${model} ${order}`),
          )
        }
      }),
      { seed: 20261121, numRuns: 12 },
    )
  })
})
