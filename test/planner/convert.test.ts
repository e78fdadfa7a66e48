/**
 * Goal: CONVERT TO DELTA makes a table of a folder of Parquet files, which stay where they are, with
 * the rows that the files have, or refuses.
 * Method: folders written by DuckDB into a real lake, converted by a client; rows, statistics and
 * skipped files are looked at, and every log is linted.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { type LintedGateway, lintedGateway } from '../support/linted-gateway.js'

let gateway: LintedGateway
let client: pg.Client
let engine: Engine
let notices: string[] = []
let next = 1

beforeAll(async () => {
  gateway = await lintedGateway()
  engine = await Engine.open({})
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  client.on('notice', ({ message }) => notices.push(message ?? ''))
})

afterAll(async () => {
  await client.end()
  await gateway.settle()
  await engine.close()
  await gateway.close()
}, 60_000)

async function rows(text: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function outcome(text: string): Promise<string> {
  return client.query(text).then(
    ({ command }) => command,
    (error: pg.DatabaseError) => `${error.code}`,
  )
}

/** A folder of the lake with the rows of each query as a file, by name. */
async function folder(files: { readonly [name: string]: string }): Promise<string> {
  const name = `files${next++}`
  const connection = await engine.connect()
  for (const [file, query] of Object.entries(files)) {
    const path = join(gateway.lake, 'silver', name, file)
    mkdirSync(join(path, '..'), { recursive: true })
    if (query.startsWith('SELECT')) {
      await connection.run(`COPY (${query}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet)`)
    } else writeFileSync(path, query)
  }
  connection.close()
  return name
}

function logOf(name: string): Record<string, never>[] {
  const path = join(gateway.lake, 'silver', name, '_delta_log/00000000000000000000.json')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line))
}

describe('CONVERT TO DELTA', () => {
  it('makes a table of files, by its name and by its path', async () => {
    const files = {
      'a.parquet': "SELECT i AS id, 'x' || i AS t, i / 4.0 AS d FROM range(10) AS r(i)",
      'b.parquet': "SELECT i AS id, 'x' || i AS t, i / 4.0 AS d FROM range(10, 20) AS r(i)",
      _SUCCESS: '',
      '_temporary/c.parquet': 'no parquet',
    }
    for (const by of ['silver.$', 'parquet.`$lake/silver/$`', 'parquet."silver/$"']) {
      const name = await folder(files)
      const source = by.replaceAll('$lake', gateway.lake).replaceAll('$', name)
      expect(await outcome(`CONVERT TO DELTA ${source}`)).toBe('CONVERT')
      expect(await rows(`SELECT count(*)::int, sum(id)::int, min(t) FROM silver.${name}`)).toEqual([
        [20, 190, 'x0'],
      ])
      const plan = (await rows(`EXPLAIN SELECT * FROM silver.${name} WHERE id = 15`)).join('\n')
      expect(plan).toMatch(/1 of 2/)
      await client.query(`INSERT INTO silver.${name} VALUES (99, 'y', 1.5)`)
      await client.query(`DELETE FROM silver.${name} WHERE id < 5`)
      expect(await rows(`SELECT count(*)::int FROM silver.${name}`)).toEqual([[16]])
      const [[version, , , , operation] = []] = (
        await rows(`DESCRIBE HISTORY silver.${name}`)
      ).slice(-1)
      expect([version, operation]).toEqual(['0', 'CONVERT'])
    }
  })

  it('is done once, whoever asks at the same time', async () => {
    const name = await folder({ 'a.parquet': 'SELECT 1 AS n' })
    notices = []
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe('CONVERT')
    expect(notices).toEqual([])
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe('CONVERT')
    expect(notices).toEqual([expect.stringContaining('already')])
    const twice = await folder({ 'a.parquet': 'SELECT 1 AS n' })
    const other = new pg.Client({
      host: '127.0.0.1',
      port: gateway.port,
      user: 'lakegate',
      database: 'lake',
    })
    await other.connect()
    await Promise.all([client, other].map((one) => one.query(`CONVERT TO DELTA silver.${twice}`)))
    await other.end()
    expect(await rows(`SELECT n FROM silver.${twice}`)).toEqual([[1]])
  })

  it('reads partitions out of folders', async () => {
    const name = await folder({
      'day=2026-01-01/p=a%2Fb c/x.parquet': 'SELECT 1 AS id',
      'day=2026-01-02/p=__HIVE_DEFAULT_PARTITION__/x.parquet': 'SELECT 2 AS id',
      "day=2026-01-02/p=o'clock/y.parquet": 'SELECT 3 AS id',
    })
    const convert = `CONVERT TO DELTA silver.${name}`
    expect(await outcome(convert)).toBe('42P16')
    expect(await outcome(`${convert} PARTITIONED BY (day date)`)).toBe('42P16')
    expect(await outcome(`${convert} PARTITIONED BY (p text, day date)`)).toBe('42P16')
    expect(await outcome(`${convert} PARTITIONED BY (day int, p text)`)).toBe('22P02')
    expect(await outcome(`${convert} PARTITIONED BY (day)`)).toBe('42601')
    expect(existsSync(join(gateway.lake, 'silver', name, '_delta_log'))).toBe(false)
    expect(await outcome(`${convert} PARTITIONED BY (day DATE, p STRING)`)).toBe('CONVERT')
    expect(await rows(`SELECT id, day::text, p FROM silver.${name} ORDER BY id`)).toEqual([
      [1, '2026-01-01', 'a/b c'],
      [2, '2026-01-02', null],
      [3, '2026-01-02', "o'clock"],
    ])
    await client.query(`INSERT INTO silver.${name} VALUES (4, '2026-01-01', 'a/b c')`)
    const plan = (await rows(`EXPLAIN SELECT * FROM silver.${name} WHERE day = '2026-01-01'`)).join(
      '\n',
    )
    expect(plan).toMatch(/2 of 4/)
    const numbers = await folder({ 'month=01/a.parquet': 'SELECT 1 AS id, 7 AS month' })
    await client.query(`CONVERT TO DELTA silver.${numbers} PARTITIONED BY (month int)`)
    expect(await rows(`SELECT id, month FROM silver.${numbers} WHERE month = 1`)).toEqual([[1, 1]])
  })

  it('merges columns that some files lack', async () => {
    const name = await folder({
      'a.parquet': 'SELECT 1 AS id',
      'b.parquet': "SELECT 'new' AS t, 2 AS id",
      'c.parquet':
        'SELECT 3 AS id, [1, 2] AS l, {a: 1, b: NULL::DATE} AS s, MAP {1: 2.5::DOUBLE} AS m',
      'empty.parquet': 'SELECT 4 AS id WHERE false',
    })
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe('CONVERT')
    expect(await rows(`SELECT id, t, l FROM silver.${name} ORDER BY id`)).toEqual([
      [1, null, null],
      [2, 'new', null],
      [3, null, [1, 2]],
    ])
    expect(await rows(`SELECT s->>'a' FROM silver.${name} WHERE id = 3`)).toEqual([['1']])
  })

  it('knows every type, and collects statistics unless it is told not to', async () => {
    const query = `SELECT true AS b, 1::TINYINT AS i1, 2::SMALLINT AS i2, 3::INTEGER AS i4, 4::BIGINT AS i8,
      1.5::FLOAT AS f4, 2.5::DOUBLE AS f8, 1.25::DECIMAL(9,2) AS n, 'x' AS t, 'y'::BLOB AS y,
      DATE '2026-01-02' AS d, TIMESTAMP '2026-01-02 03:04:05' AS ts, TIMESTAMPTZ '2026-01-02 03:04:05+00' AS tz`
    const name = await folder({ 'a.parquet': query })
    await client.query(`CONVERT TO DELTA silver.${name}`)
    expect((await rows(`DESCRIBE silver.${name}`)).map(([, type]) => type)).toEqual([
      'boolean',
      'tinyint',
      'smallint',
      'int',
      'bigint',
      'float',
      'double',
      'decimal(9,2)',
      'string',
      'binary',
      'date',
      'timestamp_ntz',
      'timestamp',
    ])
    expect(await rows(`SELECT i8, n, t, d::text, ts::text FROM silver.${name}`)).toEqual([
      ['4', '1.25', 'x', '2026-01-02', '2026-01-02 03:04:05'],
    ])
    const add = logOf(name).find((line) => 'add' in line) as unknown as { add: { stats: string } }
    expect(JSON.parse(add.add.stats)).toMatchObject({ numRecords: 1, minValues: { i8: 4, t: 'x' } })
    const without = await folder({ 'a.parquet': query })
    await client.query(`CONVERT TO DELTA silver.${without} NO STATISTICS`)
    const bare = logOf(without).find((line) => 'add' in line) as unknown as { add: object }
    expect('stats' in bare.add).toBe(false)
    expect(await rows(`SELECT i8 FROM silver.${without} WHERE i8 = 4`)).toEqual([['4']])
    await client.query(`UPDATE silver.${without} SET i8 = 5`)
    expect(await rows(`SELECT i8 FROM silver.${without}`)).toEqual([['5']])
  })

  it('leaves the files as they are', async () => {
    const name = await folder({ 'x y%z.parquet': 'SELECT 1 AS id' })
    const before = readdirSync(join(gateway.lake, 'silver', name))
    await client.query(`CONVERT TO DELTA silver.${name}`)
    expect(readdirSync(join(gateway.lake, 'silver', name)).sort()).toEqual(
      ['_delta_log', ...before].sort(),
    )
    expect(await rows(`SELECT id FROM silver.${name}`)).toEqual([[1]])
  })

  it('takes folders that have no name yet', async () => {
    const name = await folder({ 'deep/er/a.parquet': 'SELECT 5 AS id' })
    notices = []
    const path = `silver/${name}/deep/er`
    expect(await outcome(`CONVERT TO DELTA parquet.\`${path}\``)).toBe('CONVERT')
    expect(notices).toEqual([expect.stringContaining('no name')])
    await client.query(`CREATE TABLE gold.named${next} USING DELTA LOCATION '${path}'`)
    expect(await rows(`SELECT id FROM gold.named${next}`)).toEqual([[5]])
    // A table around a table would have the files of both.
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe('42P16')
  })

  it.each([
    [
      'types that differ',
      { 'a.parquet': 'SELECT 1 AS id', 'b.parquet': "SELECT 'x' AS id" },
      '42804',
    ],
    [
      'names that differ by case',
      { 'a.parquet': 'SELECT 1 AS id', 'b.parquet': 'SELECT 1 AS "ID"' },
      '42701',
    ],
    ['types that Delta lacks', { 'a.parquet': 'SELECT 1::UINTEGER AS id' }, '0A000'],
    ['names that need column mapping', { 'a.parquet': 'SELECT 1 AS "a b"' }, '42602'],
    ['what is no Parquet', { 'a.parquet': 'SELECT 1 AS id', 'b.parquet': 'text' }, '22P04'],
    ['other files', { 'a.parquet': 'SELECT 1 AS id', 'readme.txt': 'text' }, '22P04'],
    ['an empty folder', { _SUCCESS: 'x' }, '58P01'],
  ])('refuses %s', async (_, files, code) => {
    const name = await folder(files as unknown as Record<string, string>)
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe(code)
    expect(existsSync(join(gateway.lake, 'silver', name, '_delta_log'))).toBe(false)
  })

  it.each([
    ['CONVERT TO DELTA silver.nowhere', '42P01'],
    ['CONVERT TO DELTA parquet.`/etc`', '42501'],
    ['CONVERT TO DELTA parquet.`../outside`', '42501'],
    ['CONVERT TO DELTA csv.`silver/x`', '0A000'],
    ['CONVERT TO DELTA silver.orders words', '42601'],
    ['CONVERT TO DELTA', '42601'],
    ['CONVERT TO ICEBERG silver.orders', '42601'],
  ])('answers %s with %s', async (text, code) => {
    expect(await outcome(text)).toBe(code)
  })

  it('does not run inside of blocks', async () => {
    const name = await folder({ 'a.parquet': 'SELECT 1 AS id' })
    await client.query('BEGIN')
    expect(await outcome(`CONVERT TO DELTA silver.${name}`)).toBe('25001')
    await client.query('ROLLBACK')
  })
})
