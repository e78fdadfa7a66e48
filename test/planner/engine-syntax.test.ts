/**
 * Goal: statements that only DuckDB's parser reads run over the lake with DuckDB's meaning, and reach
 * nothing but the lake's tables.
 * Method: a real client against a real gateway; where the meaning is DuckDB's own, a plain DuckDB
 * table with the same rows answers too.
 */

import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { connect, script } from '../support/session-script.js'

let gateway: TestGateway
let client: pg.Client
let engine: Engine
let plain: EngineConnection

const COLUMNS = 'a integer, b text, c double precision, ts timestamp'
const ROWS = [
  "(1,'x',1.5,'2024-01-01'),(2,'y',2.5,'2024-01-02'),(3,'x',3.5,'2024-01-03')",
  "(4,'z',4.5,'2024-01-04'),(5,NULL,NULL,NULL)",
]

beforeAll(async () => {
  gateway = await startGateway()
  client = (await connect(gateway)).client
  engine = await Engine.open({})
  plain = await engine.connect()
  await plain.run("SET default_null_order = 'postgres'")
  await plain.run(`CREATE SCHEMA silver`)
  await client.query(`CREATE TABLE silver.w (${COLUMNS})`)
  await plain.run(`CREATE TABLE silver.w (${COLUMNS})`)
  for (const rows of ROWS) {
    await client.query(`INSERT INTO silver.w VALUES ${rows}`)
    await plain.run(`INSERT INTO silver.w VALUES ${rows}`)
  }
  await client.query(
    'CREATE VIEW silver.v AS SELECT a AS aa, upper(b) AS "B b" FROM silver.w WHERE a > 1',
  )
})

afterAll(async () => {
  await client?.end()
  await engine?.close()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

async function ask(sql: string, values?: unknown[]): Promise<pg.QueryArrayResult> {
  const query: pg.QueryArrayConfig = { text: sql, rowMode: 'array' }
  return client.query(values === undefined ? query : { ...query, values })
}

/** A value's text, whether PostgreSQL's or DuckDB's. */
function shown(value: unknown): unknown {
  return typeof value !== 'string'
    ? value
    : value.replace(/^(\d+)\.0$/, '$1').replace(/^(t|f)(?:rue|alse)$/, '$1')
}

async function failure(sql: string): Promise<pg.DatabaseError> {
  return ask(sql).then(
    () => {
      throw new Error(`${sql} succeeded`)
    },
    (thrown: pg.DatabaseError) => thrown,
  )
}

describe('a query in the syntax of DuckDB', () => {
  it.each([
    'FROM silver.w ORDER BY ALL',
    'FROM silver.w SELECT a + 1 AS n WHERE b = $$x$$ ORDER BY n',
    'SELECT * EXCLUDE (c, ts) FROM silver.w ORDER BY ALL',
    'SELECT * REPLACE (a * 2 AS a) FROM silver.w ORDER BY a',
    "SELECT COLUMNS('a|b') FROM silver.w ORDER BY a",
    'SELECT COLUMNS(* EXCLUDE (ts)) FROM silver.w ORDER BY a',
    'SELECT b, sum(a) AS total, count(*) AS n FROM silver.w GROUP BY ALL ORDER BY ALL',
    'SELECT a, b FROM silver.w QUALIFY row_number() OVER (PARTITION BY b ORDER BY a DESC) = 1 ORDER BY a',
    "PIVOT (SELECT a, b FROM silver.w) ON b IN ('x', 'y') USING sum(a) ORDER BY ALL",
    "FROM silver.w PIVOT (max(a) FOR b IN ('x', 'z')) ORDER BY ALL",
    'UNPIVOT (SELECT a, c FROM silver.w) ON a, c ORDER BY ALL',
    'DESCRIBE FROM silver.w',
    'DESCRIBE SELECT * EXCLUDE (a) FROM silver.w',
    'SELECT column_name, column_type, count FROM (SUMMARIZE silver.w) ORDER BY column_name',
    'SELECT l.a, r.a AS before FROM silver.w l ASOF JOIN silver.w r ON l.b = r.b AND l.ts > r.ts ORDER BY ALL',
    'SELECT count(*) AS n FROM silver.w SEMI JOIN (SELECT 1 AS a) USING (a)',
    'SELECT count(*) AS n FROM silver.w ANTI JOIN (SELECT 1 AS a) USING (a)',
    'SELECT list_transform([1, 2], lambda x: x + 1)[2] AS n',
    'SELECT list_filter(list(a), x -> x > 2).len() AS n FROM silver.w',
    'SELECT [x * 2 for x in list(a ORDER BY a) if x > 2]::VARCHAR AS l FROM silver.w',
    "SELECT {'a': a, 'b': b}.b AS inside FROM silver.w ORDER BY ALL",
    'WITH w AS (FROM silver.w SELECT a) FROM w SELECT max(a) AS m',
    'WITH w AS (FROM silver.w) SELECT (FROM w SELECT count(*)) AS n, (SELECT max(a) FROM silver.w) AS m',
    'WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL FROM n SELECT i + 1 WHERE i < 5) FROM n ORDER BY ALL',
    'FROM silver.w SELECT a UNION BY NAME (FROM silver.w SELECT b, a) ORDER BY ALL',
    'FROM x: silver.w SELECT x.a ORDER BY a LIMIT 1',
    'FROM range(3) SELECT range AS n',
    '/* ä€😀 */ FROM silver.w -- the table\n SELECT max(a) AS "größte"',
    'FROM "silver" . "w" AS "W w"(n) SELECT "W w".n ORDER BY n LIMIT 1',
    'FROM Silver.W SELECT A ORDER BY A LIMIT 1',
  ])('%s gives the rows DuckDB gives', async (sql) => {
    const { rows, fields } = await ask(sql)
    const own = await plain.prepare(sql)
    const names = own.columns.map(({ name }) => name)
    own.destroy()
    expect(fields.map(({ name }) => name)).toEqual(names)
    const texts = names.map((name) => `"${name.replaceAll('"', '""')}"::VARCHAR`).join(', ')
    const body = /^(?:DESCRIBE|SUMMARIZE)/.test(sql) ? `(${sql})` : `(${sql}\n)`
    const expected = await plain.query(`SELECT ${texts} FROM ${body}`)
    expect(rows.map((row) => row.map(shown))).toEqual(expected.map((row) => row.map(shown)))
  })

  it('reads views, and their columns by the names they have', async () => {
    const { rows, fields } = await ask('FROM silver.v ORDER BY ALL LIMIT 2')
    expect(fields.map(({ name }) => name)).toEqual(['aa', 'B b'])
    expect(rows).toEqual([
      ['2', 'Y'],
      ['3', 'X'],
    ])
  })

  it('travels in time wherever a table may', async () => {
    const count = async (from: string) => (await ask(`${from} SELECT count(*)`)).rows[0]?.[0]
    expect(await count('FROM silver.w')).toBe('5')
    expect(await count('FROM silver.w VERSION AS OF 1')).toBe('3')
    expect(await count('FROM silver.w@v1')).toBe('3')
    expect(await count('FROM silver.w AT (VERSION => 1)')).toBe('3')
    expect((await ask('SUMMARIZE silver.w VERSION AS OF 1')).rows[0]?.[10]).toBe('3')
    const joined = await ask(
      'FROM silver.w VERSION AS OF $1 AS o, silver.w AS n SELECT [count(*)]',
      [1],
    )
    expect(joined.rows).toEqual([['{15}']])
  })

  it('takes parameters of the types DuckDB infers, or of those the client gives', async () => {
    const { rows } = await ask(
      'FROM silver.w SELECT a WHERE a > $1 AND b <> $2 ORDER BY ALL LIMIT $3',
      ['1', 'y', '5'],
    )
    expect(rows).toEqual([['3'], ['4']])
    expect((await ask("SELECT $1 || '!', [$2]", ['a', 'b'])).rows).toEqual([['a!', '{b}']])
    expect((await ask('FROM silver.w SELECT count(*) WHERE $2 = a', [null, 2])).rows).toEqual([
      ['1'],
    ])
  })

  it('tells the types of its columns as PostgreSQL names them', async () => {
    const { fields } = await ask(
      "SELECT 1::UTINYINT, 1::HUGEINT, [1], {'a': 1}, MAP {'k': 1}, [[1.5]], now(), 'a'::ENUM ('a')",
    )
    expect(fields.map((field) => field.dataTypeID)).toEqual([
      21, 1700, 1007, 3802, 3802, 1231, 1184, 25,
    ])
  })

  it('does not show what stands for its tables in the names of columns', async () => {
    const { fields } = await ask('SELECT (FROM silver.w SELECT max(a)), [1] AS l')
    expect(fields.map(({ name }) => name)).toEqual(['?column?', 'l'])
  })
})

describe('the files of a table', () => {
  const COUNT = 8

  beforeAll(async () => {
    await client.query(
      'CREATE TABLE silver.p (k bigint, n integer, t text, d date, m numeric(10,2))',
    )
    await plain.run('CREATE TABLE silver.p (k bigint, n integer, t text, d date, m decimal(10,2))')
    for (let i = 0; i < COUNT; i++) {
      const rows = [0, 1, 2].map((j) => {
        const k = i * 10 + j * 3
        const t = j === 2 ? 'NULL' : `'${'abcdefgh'.charAt(i)}${j}'`
        return `(${k}, ${j === 1 ? 'NULL' : i}, ${t}, DATE '2024-01-0${i + 1}', ${k}.50)`
      })
      await client.query(`INSERT INTO silver.p VALUES ${rows.join(', ')}`)
      await plain.run(`INSERT INTO silver.p VALUES ${rows.join(', ')}`)
    }
  })

  const read = async (sql: string): Promise<number> => {
    const { rows } = await ask(`EXPLAIN ${sql}`)
    return Number(/: (\d+) of 8 files/.exec(String(rows[0]?.[0]))?.[1])
  }

  it.each([
    ['FROM silver.p', 8],
    ['FROM silver.p SELECT * WHERE k = 30', 1],
    ['FROM silver.p SELECT * EXCLUDE (k) WHERE 30 > K AND n IS NOT NULL', 3],
    ["FROM silver.p SELECT * WHERE d BETWEEN '2024-01-03' AND DATE '2024-01-04'", 2],
    ["FROM silver.p x SELECT * WHERE x.t IN ('a0', 'h1')", 2],
    ['FROM silver.p SELECT [k] WHERE p.k < 10 QUALIFY row_number() OVER () = 1', 1],
    ['SELECT [(SELECT max(k) FROM silver.p WHERE n = 2)]', 1],
    // Nothing is left out where rows are needed before the condition, or its meaning is not certain.
    ['FROM silver.p TABLESAMPLE 3 ROWS SELECT * WHERE k = 30', 8],
    ['FROM silver.p SELECT [k] WHERE k = 30 OR n = 1', 8],
    ["FROM silver.p SELECT [k] WHERE k = '30'", 8],
    ['FROM silver.p SELECT [k], k AS n2 WHERE n2 = 30', 8],
    ['FROM silver.p SELECT [k] WHERE m = 30.5', 8],
  ])('of %s that are read are %d', async (sql, files) => {
    expect(await read(sql)).toBe(files)
  })

  it('that are left out hold no row of the answer', async () => {
    const operator = fc.constantFrom('=', '<', '<=', '>', '>=', '<>')
    const number = fc.integer({ min: -5, max: 85 }).map(String)
    const date = fc.integer({ min: 1, max: 9 }).map((day) => `'2024-01-0${day}'`)
    const text = fc
      .tuple(fc.constantFrom('a', 'c', 'g', 'i'), fc.constantFrom('', '0', '1'))
      .map(([letter, digit]) => `'${letter}${digit}'`)
    const column = fc.oneof(
      fc.tuple(fc.constantFrom('k', 'N', 'p.n', 'm'), number),
      fc.tuple(fc.constantFrom('d', 'p.D'), date),
      fc.tuple(fc.constant('t'), text),
    )
    const condition = fc.oneof(
      fc.tuple(column, operator).map(([[name, value], op]) => `${name} ${op} ${value}`),
      fc.tuple(column, operator).map(([[name, value], op]) => `${value} ${op} ${name}`),
      fc
        .tuple(column, column)
        .map(([[name, low], [, high]]) => `${name} BETWEEN ${low} AND ${high}`),
      column.map(([name, value]) => `${name} IN (${value})`),
      column.map(([name]) => `${name} IS NULL`),
      column.map(([name]) => `NOT ${name} IS NULL`),
    )
    let compared = 0
    await fc.assert(
      fc.asyncProperty(fc.array(condition, { minLength: 1, maxLength: 3 }), async (conditions) => {
        const sql = `FROM silver.p SELECT list(k ORDER BY k)::VARCHAR AS l WHERE ${conditions.join(' AND ')}`
        const own = await plain.query(sql).catch(() => null)
        if (own === null) return
        compared++
        expect((await ask(sql)).rows).toEqual(own)
      }),
      { seed: 5, numRuns: 150 },
    )
    expect(compared).toBeGreaterThan(75)
  })

  it('are chosen by parameters, too', async () => {
    const { rows } = await ask('FROM silver.p SELECT [k] WHERE k = $1 AND d <= $2', [
      '30',
      '2024-01-04',
    ])
    expect(rows).toEqual([['{30}']])
  })
})

describe('inside of another statement', () => {
  script(
    () => gateway,
    'it is explained, prepared, fetched and kept',
    `
    EXPLAIN FROM silver.w
    EXPLAIN (ANALYZE, FORMAT json) FROM silver.w SELECT max(a)
    PREPARE p AS FROM silver.w SELECT b WHERE a = $1
    EXECUTE p(2) -> y
    CREATE TEMP TABLE t AS FROM silver.w SELECT a WHERE a < 3
    FROM t ORDER BY ALL -> 1|2
    CREATE TABLE gold.k AS FROM silver.w SELECT a, [a] AS l
    SELECT l FROM gold.k WHERE a = 2 -> {2}
    BEGIN
    INSERT INTO silver.w VALUES (6, 'own')
    FROM silver.w SELECT b WHERE a = 6 -> own
    DECLARE c CURSOR FOR FROM silver.w SELECT a ORDER BY ALL
    FETCH 2 FROM c -> 1|2
    ROLLBACK
    FROM silver.w SELECT count(*) -> 5
    SET search_path = silver
    FROM w SELECT count(*) -> 5
    SELECT 1 AS x; FROM w SELECT min(a) -> 1 ; 1
  `,
  )
})

describe('what PostgreSQL reads', () => {
  script(
    () => gateway,
    'stays PostgreSQL’s where words of DuckDB’s are names',
    `
    WITH columns (n) AS (SELECT 7) SELECT n / 2 FROM columns -> 3
    WITH anti AS (SELECT 1 AS n), b AS (SELECT 2 AS n) SELECT anti.n FROM anti JOIN b ON true -> 1
    SELECT semi.n FROM (SELECT 1 AS n) AS semi JOIN (SELECT 1 AS n) b USING (n) -> 1
    SELECT filter.n FROM (SELECT 1 AS n) filter -> 1
    SELECT '{"a": {"b": 1}}'::jsonb -> 'a' -> {"b": 1}
  `.replace("-> 'a' ->", "->'a' ->"),
  )
})

describe('what both parsers refuse', () => {
  it.each([
    ['SELEC 1', 1, 'syntax error at or near "SELEC"'],
    ['SELECT 1; SELECT * FORM x', 20, 'syntax error at or near "FORM"'],
    ['FROM silver.w x y z', 1, 'syntax error at or near "FROM"'],
    ['ATTACH $$x$$', 1, 'syntax error at or near "ATTACH"'],
    ['INSTALL httpfs', 1, 'syntax error at or near "INSTALL"'],
    ['PRAGMA version', 1, 'syntax error at or near "PRAGMA"'],
    ['SHOW ALL TABLES', 10, 'syntax error at or near "TABLES"'],
    ['EXPLAIN COPY silver.w TO', 9, 'syntax error at or near "COPY"'],
    ['FROM silver.w; DROP TABLE', 26, 'syntax error at end of input'],
  ])('%s is an error of PostgreSQL’s at %i', async (sql, position, message) => {
    const error = await failure(sql)
    expect([error.code, Number(error.position), error.message]).toEqual([
      '42601',
      position,
      message,
    ])
  })
})

describe('what is beyond the lake', () => {
  it.each([
    ["FROM read_csv('/etc/passwd')", '42501', 6],
    ["FROM '/etc/passwd'", '42P01', 6],
    ["FROM glob('/*')", '42501', 6],
    ['FROM duckdb_settings()', '42501', 6],
    ['FROM duckdb_settings', '42P01', 6],
    ["FROM query('SELECT 1')", '42501', 6],
    ["FROM query_table('w')", '42501', 6],
    ["FROM parquet_metadata('x')", '42501', 6],
    ["SELECT [getvariable('x')]", '42501', 9],
    ["SELECT [current_setting('x')]", '42501', 9],
    ["SELECT [getenv('HOME')]", '42501', 9],
    ["SELECT [('x').getvariable()]", '42501', undefined],
    ["SELECT [json_serialize_plan('SELECT 1')]", '42501', 9],
    ["SELECT [nextval('s')]", '42501', 9],
    ['SELECT [setseed(1)]', '42501', 9],
    ["SELECT [write_log('x')]", '42501', 9],
    ["SELECT [lakegate_char('x')]", '42501', 9],
    ['SELECT [current_user]', '42501', 9],
    ['SELECT [nothing_of_the_kind(1)]', '42501', 9],
    ['SELECT [1], sum(1) EXPORT_STATE', '0A000', 13],
    ['FROM pg_catalog.pg_class', '0A000', 6],
    ['FROM other.silver.w', '0A000', 6],
    ['FROM silver.nothing', '42P01', 6],
    ['FROM silver.w SELECT nothing', '42703', undefined],
    ['WITH duckdb_settings AS (FROM silver.w) FROM duckdb_settings', '0A000', undefined],
    ['WITH "x.csv" AS (FROM silver.w) FROM "x.csv"', '0A000', undefined],
    ['WITH a AS (WITH b AS (SELECT [1]) FROM b) FROM b', '42P01', 48],
    ['PIVOT silver.w ON b USING sum(a)', '0A000', undefined],
    ['SELECT ?, [1]', '0A000', undefined],
    ["SELECT [1], '\u00010\u0001'", '0A000', undefined],
    ['FROM (SHOW ALL TABLES)', '0A000', undefined],
  ])('%s is refused with %s', async (sql, code, position) => {
    const error = await failure(sql)
    expect(error.code).toBe(code)
    if (position !== undefined) expect(Number(error.position)).toBe(position)
  })

  it.each([
    ['(SELECT count(*) FROM duckdb_settings())', '42501'],
    ["getvariable('x')", '42501'],
    ['(SELECT max(a) FROM silver.w)', '0A000'],
    ["(SELECT count(*) FROM read_text('/etc/passwd'))", '42501'],
  ])('is not reached by the version %s either', async (version, code) => {
    expect((await failure(`SELECT count(*) FROM silver.w VERSION AS OF ${version}`)).code).toBe(
      code,
    )
    expect((await failure(`RESTORE TABLE silver.w TO VERSION AS OF ${version}`)).code).toBe(code)
  })
})

describe('characters that stand for something in the gateway', () => {
  it.each(['\u00010\u0001', '\u00021\u0002', "\u00010\u0001') --", "\\\u0001\\n\u0002'"])(
    'mean themselves in the literal %j',
    async (text) => {
      const literal = `'${text.replaceAll("'", "''")}'`
      const { rows } = await ask(
        `SELECT ${literal}, ARRAY[${literal}] = ARRAY[$1] FROM silver.w LIMIT 1`,
        [text],
      )
      expect(rows).toEqual([[text, 't']])
      expect((await failure(`SELECT 1 AS "${text}" FROM silver.w`)).code).toBe('0A000')
    },
  )
})
