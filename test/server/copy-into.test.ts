/**
 * Goal: COPY INTO makes rows of files, each file once, whoever runs it how often at the same time.
 * Method: real files in Parquet, CSV and JSON under an allowed directory, loaded by clients of two
 * gateways over one lake; rows, counts and errors are compared, and what the log remembers is read
 * back from checkpoints.
 */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let work: string
let inbox: string
let gateways: readonly [TestGateway, TestGateway]
let client: pg.Client
let engine: Engine
let next = 1
const tables = new Set<string>()

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'lakegate-into-'))
  inbox = join(work, 'inbox')
  mkdirSync(inbox)
  engine = await Engine.open({})
  const first = await startGateway({ copyDirectories: [inbox] })
  gateways = [first, await startGateway({ lake: first.lake, copyDirectories: [inbox] })]
  client = await connect(0)
})

afterAll(async () => {
  await client?.end()
  const [first, second] = gateways
  await second.close()
  await first.settle()
  const connection = await engine.connect()
  for (const table of tables) {
    const { faults } = await lintTable(first.lake, table, connection)
    expect(faults.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine.close()
  await first.close()
  rmSync(work, { recursive: true, force: true })
  expect([...first.bugs, ...second.bugs]).toEqual([])
}, 60_000)

async function connect(index: 0 | 1): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateways[index].port,
    user: 'lakegate',
    database: 'lake',
  })
  await made.connect()
  return made
}

async function rows(text: string, by: pg.Client = client): Promise<unknown[][]> {
  return (await by.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function newTable(columns: string, more = ''): Promise<string> {
  const name = `into${next++}`
  tables.add(`silver/${name}`)
  await client.query(`CREATE TABLE silver.${name} (${columns}) ${more}`)
  return `silver.${name}`
}

/** A folder of its own under the inbox, with those files. */
function folder(files: { readonly [name: string]: string } = {}): string {
  const made = join(inbox, `d${next++}`)
  mkdirSync(made)
  for (const [name, text] of Object.entries(files)) put(join(made, name), text)
  return made
}

function put(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
}

async function parquet(path: string, query: string): Promise<void> {
  mkdirSync(join(path, '..'), { recursive: true })
  const connection = await engine.connect()
  await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet)`)
  connection.close()
}

/** What a COPY INTO answers: rows loaded and corrupt files; or its error. */
async function load(text: string, by: pg.Client = client): Promise<unknown> {
  try {
    const { rows: [row] = [], fields } = await by.query<unknown[]>({ text, rowMode: 'array' })
    expect(fields.map(({ name }) => name)).toEqual([
      'num_affected_rows',
      'num_inserted_rows',
      'num_skipped_corrupt_files',
    ])
    expect(row?.[0]).toBe(row?.[1])
    return [Number(row?.[1]), Number(row?.[2])]
  } catch (thrown) {
    return (thrown as pg.DatabaseError).code
  }
}

describe('COPY INTO loads each file once', () => {
  it('in Parquet, and again when there are more, or force says so', async () => {
    const into = await newTable('a int, b text')
    const from = folder()
    await parquet(join(from, 'one.parquet'), "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    const copy = `COPY INTO ${into} FROM '${from}' FILEFORMAT = PARQUET`
    expect(await load(copy)).toEqual([2, 0])
    expect(await load(copy)).toEqual([0, 0])
    await parquet(join(from, 'deeper/two.parquet'), "SELECT 3 AS a, 'z' AS b")
    await parquet(join(from, '_hidden/three.parquet'), "SELECT 4 AS a, 'z' AS b")
    await parquet(join(from, '.four.parquet'), "SELECT 5 AS a, 'z' AS b")
    expect(await load(copy)).toEqual([1, 0])
    // The same file by another name is the same file.
    expect(await load(`COPY INTO ${into} FROM '${from}/*.parquet' FILEFORMAT = PARQUET`)).toEqual([
      0, 0,
    ])
    symlinkSync(from, join(inbox, `link${next}`))
    expect(
      await load(`COPY INTO ${into} FROM 'file:${inbox}/link${next}' FILEFORMAT = PARQUET`),
    ).toEqual([0, 0])
    expect(await load(`${copy} COPY_OPTIONS ('force' = 'true')`)).toEqual([3, 0])
    expect(await load(copy)).toEqual([0, 0])
    expect(await rows(`SELECT a, count(*)::int FROM ${into} GROUP BY a ORDER BY a`)).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
    ])
    const history = await rows(`DESCRIBE HISTORY ${into}`)
    expect(history.map((row) => row[4])).toEqual([
      'COPY INTO',
      'COPY INTO',
      'COPY INTO',
      'CREATE TABLE',
    ])
  })

  it('by FILES and by PATTERN', async () => {
    const into = await newTable('a int')
    const from = folder({ 'a.csv': '1\n', 'b.csv': '2\n', 'c.txt': '3\n', 'sub/d.csv': '4\n' })
    const copy = `COPY INTO ${into} BY POSITION FROM '${from}' FILEFORMAT = CSV`
    expect(await load(`${copy} FILES = ('b.csv')`)).toEqual([1, 0])
    expect(await load(`${copy} FILES = ('b.csv', 'nowhere.csv')`)).toBe('58P01')
    expect(await load(`${copy} PATTERN = '*.csv'`)).toEqual([1, 0])
    expect(await load(`${copy} PATTERN = '{c,x}.t?t'`)).toEqual([1, 0])
    expect(await load(`${copy} PATTERN = '**.csv'`)).toEqual([1, 0])
    expect(await rows(`SELECT a FROM ${into} ORDER BY a`)).toEqual([[1], [2], [3], [4]])
  })

  it('through checkpoints, and not by what was rolled back', async () => {
    const into = await newTable('a int', "TBLPROPERTIES ('delta.checkpointInterval' = '2')")
    const from = folder({ 'a.csv': 'a\n1\n' })
    const copy = `COPY INTO ${into} FROM '${from}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')`
    await client.query('BEGIN')
    expect(await load(copy)).toEqual([1, 0])
    // The block knows what it has loaded itself.
    expect(await load(copy)).toEqual([0, 0])
    await client.query('ROLLBACK')
    expect(await load(copy)).toEqual([1, 0])
    for (let i = 0; i < 5; i++) await client.query(`INSERT INTO ${into} VALUES (${i})`)
    await gateways[0].settle()
    const other = await connect(1)
    expect(await load(copy, other)).toEqual([0, 0])
    await other.end()
    await client.query(`RESTORE TABLE ${into} TO VERSION AS OF 0`)
    expect(await load(copy)).toEqual([0, 0])
  })

  it('notes a file without rows, and nothing where a row is refused', async () => {
    const into = await newTable('a int NOT NULL CHECK (a > 0)')
    const from = folder({ 'a.csv': 'a\n' })
    const copy = `COPY INTO ${into} FROM '${from}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')`
    expect(await load(copy)).toEqual([0, 0])
    put(join(from, 'a.csv'), 'a\n1\n')
    expect(await load(copy)).toEqual([0, 0])
    put(join(from, 'b.csv'), 'a\n1\n-1\n')
    expect(await load(copy)).toBe('23514')
    put(join(from, 'b.csv'), 'a\n1\n\n"x"\n')
    expect(await load(copy)).toBe('22P02')
    put(join(from, 'b.csv'), 'a\n7\n')
    expect(await load(copy)).toEqual([1, 0])
    expect(await rows(`SELECT * FROM ${into}`)).toEqual([[7]])
  })

  it('when clients of two gateways load the same folder at the same time', async () => {
    const into = await newTable('a int')
    const files: Record<string, string> = {}
    for (let i = 0; i < 12; i++) files[`f${i}.csv`] = `${i}\n`
    const from = folder(files)
    const clients = await Promise.all([connect(0), connect(1), connect(0), connect(1)])
    const copy = `COPY INTO ${into} BY POSITION FROM '${from}' FILEFORMAT = CSV`
    const parts = ['[0-5].csv', '[3-9].csv', '*.csv', '1[01].csv'].map(
      (pattern) => `${copy} PATTERN = 'f${pattern}'`,
    )
    const answers = await Promise.all(
      clients.map(async (one, i) => {
        const counts: unknown[] = []
        for (let n = 0; n < 3; n++) counts.push(await load(parts[(i + n) % 4] ?? '', one))
        return counts
      }),
    )
    for (const one of clients) await one.end()
    const total = answers.flat().reduce<number>((sum, one) => sum + Number((one as number[])[0]), 0)
    expect(total).toBe(12)
    expect(await rows(`SELECT count(*)::int, count(DISTINCT a)::int FROM ${into}`)).toEqual([
      [12, 12],
    ])
  })

  it('of a block that lost is 40001', async () => {
    const into = await newTable('a int')
    const from = folder({ 'a.csv': '1\n' })
    const copy = `COPY INTO ${into} BY POSITION FROM '${from}' FILEFORMAT = CSV`
    const other = await connect(1)
    await client.query('BEGIN')
    expect(await load(copy)).toEqual([1, 0])
    expect(await load(copy, other)).toEqual([1, 0])
    expect(await load('COMMIT')).toBe('40001')
    await other.end()
    expect(await rows(`SELECT a FROM ${into}`)).toEqual([[1]])
  })
})

describe('what COPY INTO makes of files', () => {
  it.each([
    {
      what: 'CSV by names, in any order, missing ones by their defaults',
      files: { 'a.csv': 'B,a\nx,1\n"y ""q"", z",2\n,3\n"",4\n' },
      format: "CSV FORMAT_OPTIONS ('header' = 'true')",
      rows: [
        [1, 'x', 'd'],
        [2, 'y "q", z', 'd'],
        [3, null, 'd'],
        [4, '', 'd'],
      ],
    },
    {
      what: 'CSV with signs of its own',
      files: { 'a.csv': "a;b\n1;'x;y'\n2;-\n# 3;no\n" },
      format: `CSV FORMAT_OPTIONS ('header' = true, 'sep' = ';', 'quote' = '''', 'nullValue' = '-', 'comment' = '#')`,
      rows: [
        [1, 'x;y', 'd'],
        [2, null, 'd'],
      ],
    },
    {
      what: 'JSON by names, numbers and texts as they are written',
      files: {
        'a.json': '{"a": 1, "b": "2026-01-01T00:00:00Z"}\n{"b": 1.50, "a": "2", "c": null}\n',
        'b.json': '{"a": 3, "c": "given"}\n',
      },
      format: 'JSON',
      rows: [
        [1, '2026-01-01T00:00:00Z', null],
        [2, '1.5', null],
        [3, null, 'given'],
      ],
    },
    {
      what: 'JSON of several lines',
      files: { 'a.json': '[{"a": 1,\n "b": "x"},\n {"a": 2}]' },
      format: "JSON FORMAT_OPTIONS ('multiLine' = 'true')",
      rows: [
        [1, 'x', 'd'],
        [2, null, 'd'],
      ],
    },
    {
      what: 'folders that name columns',
      files: { 'a=1/x.csv': 'b\nx\n', 'a=2/b=y%20z/x.csv': 'c\nC\n' },
      format: "CSV FORMAT_OPTIONS ('header' = 'true')",
      rows: [
        [1, 'x', null],
        [2, 'y z', 'C'],
      ],
    },
  ])('$what', async ({ files, format, rows: expected }) => {
    const into = await newTable("a int, b text, c text DEFAULT 'd'")
    const from = folder(files)
    expect(await load(`COPY INTO ${into} FROM '${from}' FILEFORMAT = ${format}`)).toEqual([
      expected.length,
      0,
    ])
    expect(await rows(`SELECT a, b, c FROM ${into} ORDER BY a`)).toEqual(expected)
  })

  it('a SELECT over them, by the names of its columns', async () => {
    const into = await newTable('a int, b text')
    const from = folder({ 'a.csv': '1,x\n2,y\n3,z\n' })
    expect(
      await load(
        `COPY INTO ${into} FROM (SELECT _c1 || '!' AS b, _c0::int + 10 AS a FROM '${from}' WHERE _c0 <> '2')
         FILEFORMAT = CSV`,
      ),
    ).toEqual([2, 0])
    expect(await rows(`SELECT * FROM ${into} ORDER BY a`)).toEqual([
      [11, 'x!'],
      [13, 'z!'],
    ])
    const more = folder({ 'b.json': '{"n": 5, "s": {"t": [1, 2]}}\n' })
    expect(
      await load(
        `COPY INTO ${into} (a, b) FROM (SELECT n + 1, 'json' FROM '${more}' f) FILEFORMAT = JSON`,
      ),
    ).toEqual([1, 0])
    expect(await rows(`SELECT * FROM ${into} WHERE b = 'json'`)).toEqual([[6, 'json']])
  })

  it('new columns with mergeSchema, and 42703 without', async () => {
    const into = await newTable('a int')
    const from = folder()
    await parquet(join(from, 'a.parquet'), 'SELECT 1::INTEGER AS a')
    await parquet(join(from, 'b.parquet'), "SELECT 2::INTEGER AS a, DATE '2026-01-02' AS d")
    const copy = `COPY INTO ${into} FROM '${from}' FILEFORMAT = PARQUET`
    expect(await load(copy)).toBe('42703')
    expect(await load(`${copy} COPY_OPTIONS ('mergeSchema' = 'true')`)).toEqual([2, 0])
    expect(await rows(`SELECT a, d::text FROM ${into} ORDER BY a`)).toEqual([
      [1, null],
      [2, '2026-01-02'],
    ])
    const text = folder({ 'a.csv': 'a,n,t\n3,7,x\n' })
    const csv = `COPY INTO ${into} FROM '${text}' FILEFORMAT = CSV
      FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true') COPY_OPTIONS ('mergeSchema' = 'true')`
    expect(await load(csv)).toEqual([1, 0])
    expect(await rows(`SELECT n + 1, t FROM ${into} WHERE a = 3`)).toEqual([['8', 'x']])
  })

  it('numbers of identity columns, generated columns and types by assignment', async () => {
    const into = await newTable(
      `id bigint GENERATED ALWAYS AS IDENTITY, a smallint, n numeric(6,2), t timestamp,
       twice int GENERATED ALWAYS AS (a * 2) STORED, v varchar(3)`,
    )
    const from = folder({ 'a.csv': 'a,n,t,v\n1,1.005,2026-01-02 03:04:05,abc\n2,,,x\n' })
    const copy = (where: string): string =>
      `COPY INTO ${into} FROM '${where}' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true')`
    expect(await load(copy(from))).toEqual([2, 0])
    expect(await rows(`SELECT a, n, t::text, twice, v FROM ${into} ORDER BY a`)).toEqual([
      [1, '1.01', '2026-01-02 03:04:05', 2, 'abc'],
      [2, null, null, 4, 'x'],
    ])
    expect(await rows(`SELECT count(DISTINCT id)::int FROM ${into}`)).toEqual([[2]])
    expect(await load(copy(folder({ 'a.csv': 'a\n70000\n' })))).toBe('22003')
    expect(await load(copy(folder({ 'a.csv': 'v\nabcd\n' })))).toBe('22001')
    const big = folder()
    await parquet(join(big, 'a.parquet'), 'SELECT 70000 AS a')
    expect(await load(`COPY INTO ${into} FROM '${big}' FILEFORMAT = PARQUET`)).toBe('22003')
  })

  it('corrupt files are refused, or skipped, counted and looked at again', async () => {
    const into = await newTable('a int')
    const from = folder({ 'bad.parquet': 'no parquet' })
    await parquet(join(from, 'good.parquet'), 'SELECT 1 AS a')
    const copy = `COPY INTO ${into} FROM '${from}' FILEFORMAT = PARQUET`
    expect(await load(copy)).toBe('22P04')
    const skipping = `${copy} FORMAT_OPTIONS ('ignoreCorruptFiles' = 'true')`
    expect(await load(skipping)).toEqual([1, 1])
    expect(await load(skipping)).toEqual([0, 1])
    await parquet(join(from, 'bad.parquet'), 'SELECT 2 AS a')
    expect(await load(skipping)).toEqual([1, 0])
  })
})

describe('COPY INTO refuses', () => {
  it.each([
    ['folders that are not set aside', `FROM '/etc' FILEFORMAT = CSV`, '42501'],
    ['relative names', `FROM 'inbox' FILEFORMAT = CSV`, '42602'],
    ['what is not there', `FROM '$inbox/nowhere' FILEFORMAT = CSV`, '58P01'],
    ['ways out', `FROM '$inbox/../outside' FILEFORMAT = CSV`, '42501'],
    ['links that lead out', `FROM '$inbox/out' FILEFORMAT = CSV`, '42501'],
    ['formats that it does not read', `FROM '$inbox' FILEFORMAT = AVRO`, '0A000'],
    ['formats that there are not', `FROM '$inbox' FILEFORMAT = FOO`, '22023'],
    [
      'options that it does not know',
      `FROM '$inbox' FILEFORMAT = CSV FORMAT_OPTIONS ('x' = 'y')`,
      '22023',
    ],
    [
      'copy options that it does not know',
      `FROM '$inbox' FILEFORMAT = CSV COPY_OPTIONS ('x' = 'y')`,
      '22023',
    ],
    [
      'a mode that makes nulls of faults',
      `FROM '$inbox' FILEFORMAT = CSV FORMAT_OPTIONS ('mode' = 'PERMISSIVE')`,
      '0A000',
    ],
    ['VALIDATE', `FROM '$inbox' FILEFORMAT = CSV VALIDATE ALL`, '0A000'],
    ['nonsense behind it', `FROM '$inbox' FILEFORMAT = CSV nonsense`, '42601'],
    ['a query without files', `FROM (SELECT 1) FILEFORMAT = CSV`, '42601'],
  ])('%s', async (what, text, code) => {
    const into = await newTable('a int')
    if (what.includes('links')) {
      mkdirSync(join(work, 'secret'))
      put(join(work, 'secret/s.csv'), '1\n')
      symlinkSync(join(work, 'secret'), join(inbox, 'out'))
    }
    expect(await load(`COPY INTO ${into} ${text.replaceAll('$inbox', inbox)}`)).toBe(code)
    if (what.includes('links')) rmSync(join(inbox, 'out'))
    expect(await rows(`SELECT * FROM ${into}`)).toEqual([])
  })

  it('tables that forget, views, temporary tables and read-only blocks', async () => {
    const from = folder({ 'a.csv': '1\n' })
    const copy = (into: string): string =>
      `COPY INTO ${into} BY POSITION FROM '${from}' FILEFORMAT = CSV`
    const forgets = await newTable(
      'a int',
      "TBLPROPERTIES ('delta.setTransactionRetentionDuration' = 'interval 1 days')",
    )
    expect(await load(copy(forgets))).toBe('0A000')
    expect(await load(copy('silver.nowhere'))).toBe('42P01')
    await client.query('CREATE TEMPORARY TABLE mine (a int)')
    expect(await load(copy('mine'))).toBe('0A000')
    const into = await newTable('a int')
    await client.query('BEGIN READ ONLY')
    expect(await load(copy(into))).toBe('25006')
    await client.query('ROLLBACK')
  })
})
