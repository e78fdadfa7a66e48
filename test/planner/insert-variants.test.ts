/**
 * Goal: INSERT in a lakehouse's words - OVERWRITE, BY NAME, REPLACE WHERE, WITH SCHEMA EVOLUTION -
 * changes a table as Delta's own do, and identity columns count as PostgreSQL's.
 * Method: scripts on a real gateway; every table made is held against Delta's rules at the end.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintLake } from '../support/lint-lake.js'
import { connect, outcome, script } from '../support/session-script.js'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
})

afterAll(async () => {
  await gateway.settle()
  const engine = await Engine.open({})
  expect(await lintLake(gateway.lake, engine)).toEqual([])
  await engine.close()
  await gateway.close()
  expect(gateway.bugs).toEqual([])
})

const check = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('INSERT OVERWRITE', () => {
  check(
    'replaces the rows of the whole table',
    `CREATE TABLE silver.o1 (a int, b text)
     INSERT INTO silver.o1 VALUES (1, 'x'), (2, 'y')
     INSERT OVERWRITE silver.o1 SELECT a + 10, b FROM silver.o1 WHERE a = 1 -> INSERT 1
     SELECT * FROM silver.o1 -> 11,x
     INSERT OVERWRITE TABLE silver.o1 VALUES (3, DEFAULT) RETURNING a -> 3
     SELECT * FROM silver.o1 -> 3,∅
     INSERT OVERWRITE INTO silver.o1 (b) VALUES ('z') -> INSERT 1
     SELECT * FROM silver.o1 -> ∅,z
     WITH w AS (SELECT 7 AS a) INSERT OVERWRITE silver.o1 (a) SELECT a FROM w -> INSERT 1
     SELECT * FROM silver.o1 -> 7,∅
     INSERT OVERWRITE silver.o1 SELECT 1, 'a' WHERE false -> INSERT 0
     SELECT count(*) FROM silver.o1 -> 0
     SELECT count(*) FROM silver.o1 VERSION AS OF 1 -> 2`,
  )

  check(
    'replaces all partitions, or those it writes to when the setting says so',
    `CREATE TABLE silver.o2 (id int, day date, kind text) PARTITIONED BY (day, kind)
     INSERT INTO silver.o2 VALUES (1, '2026-01-01', 'a'), (2, '2026-01-02', 'a'), (3, NULL, 'a'), (4, '2026-01-02', 'b')
     SET lakegate.partition_overwrite_mode = dynamic
     INSERT OVERWRITE silver.o2 VALUES (5, '2026-01-02', 'a'), (6, NULL, 'a'), (7, '2026-01-03', 'a')
     SELECT * FROM silver.o2 ORDER BY id -> 1,2026-01-01,a|4,2026-01-02,b|5,2026-01-02,a|6,∅,a|7,2026-01-03,a
     SET lakegate.partition_overwrite_mode = static
     INSERT OVERWRITE silver.o2 VALUES (8, '2026-01-02', 'a')
     SELECT * FROM silver.o2 ORDER BY id -> 8,2026-01-02,a
     SET lakegate.partition_overwrite_mode = sideways -> !22023`,
  )

  check(
    'is part of a transaction block',
    `CREATE TABLE silver.o3 AS SELECT 1 AS a
     BEGIN
     INSERT INTO silver.o3 VALUES (2)
     INSERT OVERWRITE silver.o3 SELECT a * 10 FROM silver.o3
     SELECT a FROM silver.o3 ORDER BY a -> 10|20
     ROLLBACK
     SELECT a FROM silver.o3 ORDER BY a -> 1`,
  )

  check(
    'is refused where rows may not go, and where it would mean something else',
    `CREATE TABLE silver.o4 (a int) TBLPROPERTIES ('delta.appendOnly' = 'true')
     INSERT INTO silver.o4 VALUES (1)
     INSERT OVERWRITE silver.o4 VALUES (2) -> !55000
     INSERT OVERWRITE silver.o4 PARTITION (a = 1) SELECT 1 -> !0A000
     CREATE TEMP TABLE o5 (a int)
     INSERT OVERWRITE o5 VALUES (2) -> !0A000
     INSERT OVERWRITE silver.nosuch VALUES (2) -> !42P01`,
  )
})

describe('INSERT BY NAME', () => {
  check(
    'matches columns by their names',
    `CREATE TABLE silver.n1 (a int, b text DEFAULT 'none', c int)
     INSERT INTO silver.n1 BY NAME SELECT 3 AS c, 1 AS a -> INSERT 1
     INSERT INTO silver.n1 BY NAME SELECT 'x' AS b, 2 AS a RETURNING a, b, c -> 2,x,∅
     INSERT INTO silver.n1 BY POSITION SELECT 4, 'y', 5
     SELECT * FROM silver.n1 ORDER BY a -> 1,none,3|2,x,∅|4,y,5
     INSERT INTO silver.n1 BY NAME SELECT 1 AS nosuch -> !42703
     INSERT INTO silver.n1 BY NAME SELECT 1 AS a, 2 AS a -> !42701
     INSERT INTO silver.n1 (a) BY NAME SELECT 1 AS a -> !42601
     INSERT INTO silver.n1 BY NAME VALUES (1) -> !0A000
     INSERT OVERWRITE silver.n1 BY NAME SELECT c AS a, a AS c FROM silver.n1 WHERE c = 3
     SELECT * FROM silver.n1 -> 3,none,1`,
  )
})

describe('INSERT … REPLACE WHERE', () => {
  check(
    'replaces the rows of which the predicate is true, files that hold others in part',
    `CREATE TABLE silver.r1 (id int, day date, n int)
     INSERT INTO silver.r1 VALUES (1, '2026-01-01', 1), (2, '2026-01-02', 2), (3, NULL, 3)
     INSERT INTO silver.r1 VALUES (4, '2026-01-02', 4)
     INSERT INTO silver.r1 REPLACE WHERE day = '2026-01-02' SELECT id + 10, day, n FROM silver.r1 WHERE id = 2 -> INSERT 1
     SELECT id FROM silver.r1 ORDER BY id -> 1|3|12
     INSERT INTO silver.r1 REPLACE WHERE day = '2026-01-02' VALUES (5, '2026-01-03', 5) -> !23514
     INSERT INTO silver.r1 REPLACE WHERE day = '2026-01-02' VALUES (5, NULL, 5) -> !23514
     INSERT INTO silver.r1 BY NAME REPLACE WHERE day >= date '2026-01-02' AND n IN (1, 2) SELECT 2 AS n, 20 AS id, date '2026-02-01' AS day
     SELECT id FROM silver.r1 ORDER BY id -> 1|3|20
     INSERT INTO silver.r1 REPLACE WHERE nosuch = 1 SELECT 1, NULL, 1 -> !42703
     INSERT INTO silver.r1 REPLACE WHERE id SELECT 1, NULL, 1 -> !42804
     INSERT INTO silver.r1 REPLACE WHERE id IN (SELECT 1) SELECT 1, NULL, 1 -> !0A000
     INSERT INTO silver.r1 REPLACE WHERE SELECT 1 -> !42601
     INSERT INTO silver.r1 REPLACE USING (id) SELECT 1, NULL, 1 -> !0A000
     INSERT INTO silver.r1 REPLACE WHERE id = 3 SELECT 1, NULL, 1 WHERE false -> INSERT 0
     SELECT id FROM silver.r1 ORDER BY id -> 1|20
`,
  )

  it('takes parameters in its predicate, in PREPARE too, and tells places in the client’s text', async () => {
    const session = await connect(gateway)
    const { client } = session
    await client.query('CREATE TABLE silver.r2 AS SELECT 1 AS a, 0 AS b UNION ALL SELECT 2, 0')
    await client.query('INSERT INTO silver.r2 REPLACE WHERE a = $1 SELECT $1, $2::int', [2, 5])
    expect(await outcome(session, 'SELECT * FROM silver.r2 ORDER BY a')).toBe('1,0|2,5')
    await client.query('PREPARE r2 AS INSERT INTO silver.r2 REPLACE WHERE a = $1 VALUES ($1, 7)')
    await client.query('EXECUTE r2 (1)')
    expect(await outcome(session, 'SELECT * FROM silver.r2 ORDER BY a')).toBe('1,7|2,5')
    const wrong = `INSERT INTO silver.r2 REPLACE WHERE 'ä' = 'ä' AND nosuch = 1 SELECT 1, 1`
    const position = await client
      .query(wrong)
      .catch((error: { position?: string }) => error.position)
    expect(Number(position)).toBe(wrong.indexOf('nosuch') + 1)
    await client.end()
  })

  it('is told in the history as one write', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE TABLE silver.r3 AS SELECT generate_series(1, 9) AS a')
    await client.query('INSERT INTO silver.r3 REPLACE WHERE a < 5 VALUES (2)')
    const { rows } = await client.query('DESCRIBE HISTORY silver.r3')
    expect(rows.map(({ operation }) => operation)).toEqual(['WRITE', 'CREATE TABLE AS SELECT'])
    expect(JSON.parse(rows[0].operation_parameters)).toEqual({
      mode: 'Overwrite',
      predicate: 'a < 5',
    })
    await client.end()
  })
})

describe('INSERT WITH SCHEMA EVOLUTION', () => {
  check(
    'adds the columns that the table lacks, behind the others and nullable',
    `CREATE TABLE silver.e1 (a int)
     INSERT INTO silver.e1 VALUES (1)
     INSERT INTO silver.e1 BY NAME SELECT 2 AS a, 'x' AS b -> !42703
     INSERT WITH SCHEMA EVOLUTION INTO silver.e1 BY NAME SELECT 'x' AS b, 2 AS a RETURNING * -> 2,x
     INSERT WITH SCHEMA EVOLUTION INTO silver.e1 SELECT 3, 'y', 1.5 AS c
     INSERT WITH SCHEMA EVOLUTION INTO silver.e1 (a, d) VALUES (4, date '2026-01-01')
     SELECT * FROM silver.e1 ORDER BY a -> 1,∅,∅,∅|2,x,∅,∅|3,y,1.5,∅|4,∅,∅,2026-01-01
     SELECT * FROM silver.e1 VERSION AS OF 1 -> 1
     INSERT WITH SCHEMA EVOLUTION INTO silver.e1 SELECT 'text'::text, 'y' -> !42804
     SET lakegate.schema_evolution = on
     INSERT INTO silver.e1 BY NAME SELECT 5 AS a, true AS e
     SELECT a, e FROM silver.e1 WHERE e -> 5,t
     INSERT INTO silver.e1 SELECT 1, 'b', 1, NULL, true, 1 AS a -> !42701`,
  )

  check(
    'is taken back with its transaction block, and works under column mapping',
    `CREATE TABLE silver.e2 (a int) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')
     INSERT INTO silver.e2 VALUES (1)
     BEGIN
     INSERT WITH SCHEMA EVOLUTION INTO silver.e2 BY NAME SELECT 2 AS a, 'x' AS "b c"
     SELECT a, "b c" FROM silver.e2 ORDER BY a -> 1,∅|2,x
     SAVEPOINT s
     INSERT WITH SCHEMA EVOLUTION INTO silver.e2 BY NAME SELECT 3 AS d
     ROLLBACK TO s
     SELECT * FROM silver.e2 ORDER BY a -> 1,∅|2,x
     COMMIT
     SELECT * FROM silver.e2 ORDER BY a -> 1,∅|2,x
     INSERT OVERWRITE silver.e2 SELECT 9, 'z'
     SELECT * FROM silver.e2 -> 9,z`,
  )
})

describe('INSERT in PostgreSQL’s words', () => {
  check(
    'gives a row of defaults, and generated columns DEFAULT only',
    `CREATE TABLE silver.d1 (a int DEFAULT 7, b int GENERATED ALWAYS AS (a + 1) STORED, c text)
     INSERT INTO silver.d1 DEFAULT VALUES RETURNING * -> 7,8,∅
     INSERT INTO silver.d1 VALUES (1, DEFAULT, 'x') -> INSERT 1
     INSERT INTO silver.d1 (c, a) VALUES ('y', DEFAULT), ('z', 2) RETURNING a, b, c -> 7,8,y|2,3,z
     INSERT INTO silver.d1 VALUES (1, 5, 'x') -> !428C9
     INSERT INTO silver.d1 SELECT 1, 5 -> !428C9`,
  )
})

describe('a VALUES of many rows', () => {
  const types = `id int, a smallint, b bigint, c numeric(12,3), d float8, e varchar(12), f text,
    g boolean DEFAULT true, h date, i timestamptz, j text[], k bytea, l jsonb, m timestamp`

  /** Texts of the cells of row `n`, as someone might write them by hand. */
  function literals(n: number): string {
    const pick = (...texts: string[]): string => texts[n % texts.length] ?? ''
    return [
      n,
      pick('1', '-2', 'NULL', '3 + 4', "'5'"),
      pick('5000000000', '-1', '7', "'8'::int", 'NULL::bigint', '-9000000000000000000'),
      pick('1.5', '-0.005', '12', 'NULL', '123456789.1239', '1e3', "'2.25'"),
      pick('0.1', '1e300', '-7', 'NULL', "'infinity'", "'NaN'"),
      pick("'it''s'", "''", 'NULL', "'a' || 'b'", String.raw`E'\\\n'`),
      pick("'SELECT'", "upper('x')", "'1'", 'DEFAULT', "'ä😀'", '5::text'),
      pick('true', 'false', 'NULL', 'DEFAULT', '1 = 1', "'yes'"),
      pick("'2026-01-02'", "date '1999-12-31'", 'NULL', "'2026-02-03'::date + 1"),
      pick("'2026-01-02 03:04:05+02'", "timestamptz '2000-01-01'", 'NULL', "'2026-07-01'"),
      pick("'{a,NULL}'", "array['x', 'y']", 'NULL', "'{}'"),
      pick(String.raw`'\x00ff'`, 'NULL', "'abc'"),
      pick(`'{"a": [1, 2]}'`, 'NULL', "'5'"),
      pick("'2026-01-02 03:04:05.678'", 'NULL', "timestamp '1970-01-01'"),
    ].join(', ')
  }

  it('gives what its rows would give one by one', async () => {
    const session = await connect(gateway)
    const { client } = session
    await client.query(`CREATE TABLE silver.v1 (${types})`)
    await client.query(`CREATE TABLE silver.v2 (${types})`)
    const rows = Array.from({ length: 120 }, (_, n) => `(${literals(n)})`)
    await client.query(`INSERT INTO silver.v1 VALUES ${rows.join(', ')}`)
    await client.query('BEGIN')
    for (const row of rows) await client.query(`INSERT INTO silver.v2 VALUES ${row}`)
    await client.query('COMMIT')
    const all = (table: string): string => `SELECT * FROM silver.${table} ORDER BY id`
    const whole = await outcome(session, all('v1'))
    expect(whole.split('|')).toHaveLength(120)
    expect(whole).toBe(await outcome(session, all('v2')))
    await client.end()
  })

  it('binds 65,535 parameters in the order they are written in, nulls among them', async () => {
    const session = await connect(gateway)
    const { client } = session
    await client.query('CREATE TABLE silver.v3 (a int, b text, c numeric(12,4), d date, e boolean)')
    const count = 13_107
    const rows = Array.from({ length: count }, (_, n) => [
      n,
      n % 7 === 0 ? null : `row ${n}`,
      n % 5 === 0 ? null : n % 2 === 0 ? `${n}.25` : `-${n}`,
      n % 3 === 0 ? null : '2026-01-02',
      n % 2 === 0,
    ])
    const order = [5, 1, 2, 3, 4]
    const places = rows.map((_, n) => `(${order.map((i) => `$${5 * n + i}`).join(', ')})`)
    const before = process.cpuUsage()
    const result = await client.query(
      `INSERT INTO silver.v3 (e, a, b, c, d) VALUES ${places.join(', ')}`,
      rows.flat(),
    )
    expect(result.rowCount).toBe(count)
    // Far more than it takes, and less than it took with an expression for every cell; the time of
    // the processor, since the machine may be busy.
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(7000)
    const shown = await client.query<Record<string, string | null>>(
      'SELECT * FROM silver.v3 ORDER BY a',
    )
    const number = (value: unknown): string | null =>
      value === null ? null : Number(value).toFixed(4)
    expect(shown.rows.map(({ a, b, c, d, e }) => [Number(a), b, number(c), d, e === 't'])).toEqual(
      rows.map(([a, b, c, d, e]) => [a, b, number(c), d, e]),
    )
    await client.end()
  })

  it('tells which cell is wrong as one row does', async () => {
    const session = await connect(gateway)
    await session.client.query('CREATE TABLE silver.v4 (a int, b varchar(3))')
    const rows = (bad: string): string =>
      [...Array.from({ length: 50 }, (_, n) => `(${n}, 'x')`), bad].join(', ')
    const insert = (bad: string): Promise<string> =>
      outcome(session, `INSERT INTO silver.v4 VALUES ${rows(bad)}`)
    expect(await insert("(1, 'long')")).toBe('!22001')
    expect(await insert('(99999999999, NULL)')).toBe('!22003')
    expect(await insert("('x', NULL)")).toBe('!22P02')
    expect(await insert('(true, NULL)')).toBe('!42804')
    expect(await insert('(1)')).toBe('!42601')
    expect(await insert('(1 / 0, NULL)')).toBe('!22012')
    expect(await insert('((SELECT max(a) FROM silver.v4), NULL)')).toBe('INSERT 51')
    await session.client.end()
  })
})
