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
