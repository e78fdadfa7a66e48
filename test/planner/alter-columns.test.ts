/**
 * Goal: ALTER TABLE changes columns as PostgreSQL does, and leaves tables that keep Delta's rules.
 * Method: scripts on a real gateway through a real driver; every table is linted afterwards.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect, outcome, type ScriptClient, script } from '../support/session-script.js'

let gateway: LintedGateway

beforeAll(async () => {
  gateway = await lintedGateway()
})

afterAll(async () => {
  await gateway.close()
})

const columns = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('ADD COLUMN', () => {
  columns(
    'shows nulls in the rows there are, and the default in later ones only when there is none',
    `CREATE TABLE silver.a1 AS SELECT i AS id FROM generate_series(1, 3) i
     ALTER TABLE silver.a1 ADD COLUMN s text -> ALTER
     ALTER TABLE silver.a1 ADD COLUMN IF NOT EXISTS s int -> ALTER ~NOTICE 42701
     ALTER TABLE silver.a1 ADD COLUMN s int -> !42701
     ALTER TABLE silver.a1 ADD n int DEFAULT 5 NOT NULL CHECK (n > 0), ADD COLUMN f numeric(4,1) DEFAULT 1.5 -> ALTER
     SELECT * FROM silver.a1 ORDER BY id -> 1,∅,5,1.5|2,∅,5,1.5|3,∅,5,1.5
     INSERT INTO silver.a1 (id) VALUES (4) -> INSERT 1
     SELECT * FROM silver.a1 WHERE id = 4 -> 4,∅,5,1.5
     INSERT INTO silver.a1 (id, n) VALUES (5, 0) -> !23514
     INSERT INTO silver.a1 (id, n) VALUES (5, NULL) -> !23502
     SELECT id FROM silver.a1 VERSION AS OF 0 ORDER BY id -> 1|2|3
     ALTER TABLE silver.a1 ADD COLUMN m int NOT NULL -> !23502
     ALTER TABLE silver.a1 ADD COLUMN m int DEFAULT 0 CHECK (m > 0) -> !23514
     ALTER TABLE silver.a1 ADD COLUMN m int DEFAULT 'x' -> !22P02
     ALTER TABLE silver.a1 ADD COLUMN m int DEFAULT true -> !42804
     ALTER TABLE silver.a1 ADD COLUMN m int DEFAULT id -> !0A000
     ALTER TABLE silver.a1 ADD COLUMN m int CHECK (nosuch > 0) -> !42703
     ALTER TABLE silver.a1 ADD COLUMN m serial -> !0A000
     ALTER TABLE silver.a1 ADD COLUMN t time -> !0A000
     ALTER TABLE silver.nosuch ADD COLUMN m int -> !42P01
     ALTER TABLE IF EXISTS silver.nosuch ADD COLUMN m int -> ALTER ~NOTICE 00000`,
  )

  columns(
    'computes generated columns for the rows there are',
    `CREATE TABLE silver.a2 AS SELECT i AS id FROM generate_series(1, 3) i
     ALTER TABLE silver.a2 ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED
     INSERT INTO silver.a2 VALUES (4)
     SELECT * FROM silver.a2 ORDER BY id -> 1,2|2,4|3,6|4,8`,
  )

  columns(
    'needs no rows for NOT NULL without a default',
    `CREATE TABLE silver.a3 (id int)
     ALTER TABLE silver.a3 ADD COLUMN n int NOT NULL
     INSERT INTO silver.a3 (id) VALUES (1) -> !23502
     INSERT INTO silver.a3 VALUES (1, 2)
     SELECT * FROM silver.a3 -> 1,2`,
  )

  columns(
    'takes lakehouse spellings, with comments and places',
    `CREATE TABLE silver.a4 AS SELECT 1 AS a, 2 AS b
     ALTER TABLE silver.a4 ADD COLUMNS (c int COMMENT 'it''s c' AFTER a, d decimal(10,2) FIRST, e text)
     SELECT * FROM silver.a4 -> ∅,1,∅,2,∅
     DESCRIBE silver.a4 -> d,decimal(10,2),∅|a,int,∅|c,int,it's c|b,int,∅|e,string,∅
     ALTER TABLE silver.a4 ALTER COLUMN b COMMENT 'the b', ALTER COLUMN b FIRST
     DESCRIBE TABLE silver.a4 -> b,int,the b|d,decimal(10,2),∅|a,int,∅|c,int,it's c|e,string,∅
     ALTER TABLE silver.a4 ALTER COLUMN b AFTER e
     ALTER TABLE silver.a4 CHANGE COLUMN a a bigint COMMENT 'wide'
     ALTER TABLE silver.a4 DROP COLUMNS (d, e)
     DESC silver.a4 -> a,bigint,wide|c,int,it's c|b,int,the b
     ALTER TABLE silver.a4 ADD COLUMN "odd name" int
     SELECT * FROM silver.a4 -> 1,∅,2,∅
     ALTER TABLE silver.a4 ALTER COLUMN b AFTER nosuch -> !42703
     ALTER TABLE silver.a4 ADD COLUMNS (x int COMMENT) -> !42601`,
  )
})

describe('DROP COLUMN and RENAME COLUMN', () => {
  columns(
    'switch column mapping on, and keep old values away from a column that takes the name',
    `CREATE TABLE silver.d1 AS SELECT i AS id, i * 10 AS v, 'x' || i AS s FROM generate_series(1, 3) i
     ALTER TABLE silver.d1 DROP COLUMN v -> ALTER ~NOTICE 00000
     ALTER TABLE silver.d1 ADD COLUMN v int -> ALTER
     SELECT * FROM silver.d1 ORDER BY id -> 1,x1,∅|2,x2,∅|3,x3,∅
     ALTER TABLE silver.d1 RENAME COLUMN s TO name -> ALTER
     SELECT name FROM silver.d1 WHERE name > 'x1' ORDER BY 1 -> x2|x3
     SELECT s FROM silver.d1 -> !42703
     INSERT INTO silver.d1 VALUES (4, 'x4', 40)
     UPDATE silver.d1 SET v = 1 WHERE id = 1
     SELECT * FROM silver.d1 ORDER BY id -> 1,x1,1|2,x2,∅|3,x3,∅|4,x4,40
     SELECT * FROM silver.d1 VERSION AS OF 0 ORDER BY id -> 1,10,x1|2,20,x2|3,30,x3
     ALTER TABLE silver.d1 DROP COLUMN nosuch -> !42703
     ALTER TABLE silver.d1 DROP COLUMN IF EXISTS nosuch -> ALTER ~NOTICE 00000
     ALTER TABLE silver.d1 RENAME COLUMN nosuch TO x -> !42703
     ALTER TABLE silver.d1 RENAME COLUMN id TO v -> !42701
     ALTER TABLE silver.d1 DROP COLUMN id, DROP COLUMN name, DROP COLUMN v -> !42P17
     SHOW TBLPROPERTIES silver.d1 ('delta.columnMapping.mode') -> delta.columnMapping.mode,name`,
  )

  columns(
    'carry partition columns, checks, keys and generated columns along',
    `CREATE TABLE silver.d2 (id int PRIMARY KEY, p text, n int CHECK (n > 0), twice int GENERATED ALWAYS AS (n * 2) STORED, CHECK (id + n < 100)) PARTITIONED BY (p)
     INSERT INTO silver.d2 (id, p, n) VALUES (1, 'a', 1), (2, 'b', 2)
     ALTER TABLE silver.d2 RENAME COLUMN p TO part
     ALTER TABLE silver.d2 RENAME COLUMN n TO number
     ALTER TABLE silver.d2 RENAME COLUMN id TO key
     SELECT key, part, number, twice FROM silver.d2 WHERE part = 'b' -> 2,b,2,4
     INSERT INTO silver.d2 (key, part, number) VALUES (3, 'c', 0) -> !23514
     INSERT INTO silver.d2 (key, part, number) VALUES (99, 'c', 3) -> !23514
     INSERT INTO silver.d2 (key, part, number) VALUES (3, 'c', 3)
     SELECT twice FROM silver.d2 WHERE key = 3 -> 6
     ALTER TABLE silver.d2 DROP COLUMN part -> !42P16
     ALTER TABLE silver.d2 DROP COLUMN number -> !2BP01
     ALTER TABLE silver.d2 DROP COLUMN number CASCADE
     INSERT INTO silver.d2 VALUES (999, 'c')
     ALTER TABLE silver.d2 ALTER COLUMN key DROP NOT NULL -> !42P16
     ALTER TABLE silver.d2 DROP CONSTRAINT d2_pkey
     ALTER TABLE silver.d2 ALTER COLUMN key DROP NOT NULL
     SELECT count(*) FROM silver.d2 -> 4`,
  )

  columns(
    'are refused where a view would lose what it reads',
    `CREATE TABLE silver.d3 AS SELECT 1 AS a, 2 AS b, 3 AS c
     CREATE VIEW silver.d3_view AS SELECT a, b FROM silver.d3
     CREATE VIEW silver.d3_over AS SELECT b FROM silver.d3_view
     ALTER TABLE silver.d3 DROP COLUMN b -> !2BP01
     ALTER TABLE silver.d3 RENAME COLUMN b TO x -> !0A000
     ALTER TABLE silver.d3 ALTER COLUMN b TYPE text -> !0A000
     ALTER TABLE silver.d3 DROP COLUMN c
     SELECT * FROM silver.d3_over -> 2
     ALTER TABLE silver.d3_view DROP COLUMN a -> !42809`,
  )
})

describe('ALTER COLUMN', () => {
  columns(
    'sets and drops NOT NULL, validating the rows',
    `CREATE TABLE silver.n1 AS SELECT i AS id, nullif(i, 2) AS n FROM generate_series(1, 3) i
     ALTER TABLE silver.n1 ALTER COLUMN n SET NOT NULL -> !23502
     DELETE FROM silver.n1 WHERE n IS NULL
     ALTER TABLE silver.n1 ALTER COLUMN n SET NOT NULL
     INSERT INTO silver.n1 VALUES (5, NULL) -> !23502
     ALTER TABLE silver.n1 ALTER n DROP NOT NULL
     INSERT INTO silver.n1 VALUES (5, NULL)
     ALTER TABLE silver.n1 ALTER COLUMN nosuch SET NOT NULL -> !42703`,
  )

  columns(
    'sets and drops defaults for later rows',
    `CREATE TABLE silver.n2 AS SELECT 1 AS id, 'x' AS s
     ALTER TABLE silver.n2 ALTER COLUMN s SET DEFAULT 'new', ALTER id SET DEFAULT -7
     INSERT INTO silver.n2 DEFAULT VALUES
     ALTER TABLE silver.n2 ALTER COLUMN s DROP DEFAULT
     INSERT INTO silver.n2 (id) VALUES (3)
     SELECT * FROM silver.n2 ORDER BY id -> -7,new|1,x|3,∅
     ALTER TABLE silver.n2 ALTER COLUMN id SET DEFAULT 'text' -> !22P02
     ALTER TABLE silver.n2 ALTER COLUMN id SET DEFAULT current_date -> !42804
     ALTER TABLE silver.n2 ADD COLUMN g int GENERATED ALWAYS AS (id + 1) STORED
     ALTER TABLE silver.n2 ALTER COLUMN g SET DEFAULT 3 -> !42601
     ALTER TABLE silver.n2 ALTER COLUMN id DROP EXPRESSION -> !55000
     ALTER TABLE silver.n2 ALTER COLUMN g DROP EXPRESSION
     INSERT INTO silver.n2 (id, g) VALUES (4, 0)
     SELECT g FROM silver.n2 ORDER BY id -> -6|2|4|0`,
  )

  columns(
    'widens types without writing rows anew',
    `CREATE TABLE silver.n3 (a smallint, b int, c real, d numeric(6,2), e date, f int, g int[], h varchar(3))
     INSERT INTO silver.n3 VALUES (1, 2, 0.5, 1.25, '2024-02-29', 3, '{1,NULL}', 'abc')
     ALTER TABLE silver.n3 ALTER a TYPE int, ALTER b TYPE bigint, ALTER c TYPE double precision, ALTER d TYPE numeric(10,3), ALTER e TYPE timestamp, ALTER f TYPE numeric(12,1), ALTER g TYPE bigint[], ALTER h TYPE varchar(5)
     SELECT * FROM silver.n3 -> 1,2,0.5,1.250,2024-02-29 00:00:00,3.0,{1,NULL},abc
     INSERT INTO silver.n3 VALUES (70000, 5000000000, 1e300, 1234567.125, '2024-03-01 12:00:00', 12345678901.5, '{5000000000}', 'abcde')
     SELECT a, b, d, e, f, g, h FROM silver.n3 WHERE b > 2 AND e > '2024-02-29' AND f > 3 AND a > 1 -> 70000,5000000000,1234567.125,2024-03-01 12:00:00,12345678901.5,{5000000000},abcde
     SELECT a FROM silver.n3 WHERE e = '2024-02-29' AND b = 2 AND f = 3 AND d = 1.25 -> 1
     ALTER TABLE silver.n3 ALTER a TYPE bigint
     SELECT count(*) FROM silver.n3 WHERE a = 1 -> 1
     SELECT a, h FROM silver.n3 VERSION AS OF 1 -> 1,abc
     SHOW TBLPROPERTIES silver.n3 (delta.enableTypeWidening) -> delta.enableTypeWidening,true`,
  )

  columns(
    'writes rows anew where a type cannot be widened',
    `CREATE TABLE silver.n4 AS SELECT i AS id, (i * 10)::text AS s, 7 AS n, date '2024-01-01' AS d FROM generate_series(1, 2) i
     ALTER TABLE silver.n4 ALTER COLUMN s TYPE int -> !42804
     ALTER TABLE silver.n4 ALTER COLUMN s TYPE int USING s::int + id
     ALTER TABLE silver.n4 ALTER COLUMN n TYPE text
     ALTER TABLE silver.n4 ALTER COLUMN d TYPE varchar(4) -> !22001
     ALTER TABLE silver.n4 ALTER COLUMN id TYPE smallint
     SELECT * FROM silver.n4 ORDER BY id -> 1,11,7,2024-01-01|2,22,7,2024-01-01
     INSERT INTO silver.n4 VALUES (70000, 1, 'a', '2024-01-01') -> !22003
     ALTER TABLE silver.n4 ALTER COLUMN n TYPE int USING (SELECT 1) -> !0A000
     ALTER TABLE silver.n4 ALTER COLUMN n TYPE int USING nosuch -> !42703
     SELECT s FROM silver.n4 VERSION AS OF 0 ORDER BY id -> 10|20
     ALTER TABLE silver.n4 SET (delta.enableTypeWidening = false)
     ALTER TABLE silver.n4 ALTER COLUMN id TYPE bigint
     SELECT id FROM silver.n4 ORDER BY id -> 1|2
     DESCRIBE silver.n4 -> id,bigint,∅|s,int,∅|n,string,∅|d,date,∅`,
  )

  columns(
    'refuses types of columns that others depend on',
    `CREATE TABLE silver.n5 (p int, n int, g int GENERATED ALWAYS AS (n + 1) STORED, c int CHECK (c > 0)) PARTITIONED BY (p)
     INSERT INTO silver.n5 (p, n, c) VALUES (1, 2, 3)
     ALTER TABLE silver.n5 ALTER p TYPE bigint -> !42P16
     ALTER TABLE silver.n5 ALTER n TYPE bigint -> !0A000
     ALTER TABLE silver.n5 ALTER g TYPE bigint -> !0A000
     ALTER TABLE silver.n5 ALTER c TYPE bigint
     ALTER TABLE silver.n5 ALTER c TYPE int USING -c -> !23514
     INSERT INTO silver.n5 (p, n, c) VALUES (1, 2, 0) -> !23514`,
  )
})

it('a widened type costs one commit and no file', async () => {
  const session = await connect(gateway)
  const history = await session.client.query('DESCRIBE HISTORY silver.n3')
  const widening = history.rows.find((row) => row.operation === 'CHANGE COLUMN')
  expect(JSON.parse(widening?.operation_metrics)).toMatchObject({
    numAddedFiles: '0',
    numRemovedFiles: '0',
  })
  await session.client.end()
})

describe('in a transaction block', () => {
  columns(
    'own statements see the change, and ROLLBACK and savepoints take it back',
    `CREATE TABLE silver.t1 AS SELECT 1 AS a
     BEGIN
     INSERT INTO silver.t1 VALUES (2)
     ALTER TABLE silver.t1 ADD COLUMN b int DEFAULT 7
     SAVEPOINT s
     ALTER TABLE silver.t1 RENAME COLUMN a TO x
     INSERT INTO silver.t1 VALUES (3, 8)
     SELECT x, b FROM silver.t1 ORDER BY x -> 1,7|2,7|3,8
     ROLLBACK TO s
     SELECT a, b FROM silver.t1 ORDER BY a -> 1,7|2,7
     ALTER TABLE silver.t1 DROP COLUMN a
     DESCRIBE silver.t1 -> b,int,∅
     COMMIT
     SELECT * FROM silver.t1 -> 7|7
     BEGIN
     ALTER TABLE silver.t1 ADD COLUMN c int
     ROLLBACK
     SELECT c FROM silver.t1 -> !42703
     BEGIN READ ONLY
     ALTER TABLE silver.t1 ADD COLUMN c int -> !25006
     ROLLBACK
     BEGIN
     CREATE TABLE silver.t2 (a int)
     ALTER TABLE silver.t2 ADD COLUMN b int DEFAULT 1
     INSERT INTO silver.t2 (a) VALUES (1)
     ALTER TABLE silver.t2 DROP COLUMN a
     COMMIT
     SELECT * FROM silver.t2 -> 1`,
  )

  it('conflicts with what others append meanwhile only when rows were looked at', async () => {
    const [one, two] = [await connect(gateway), await connect(gateway)]
    const steps: readonly (readonly [ScriptClient, string, string])[] = [
      [one, 'CREATE TABLE silver.t3 AS SELECT 1 AS a', 'SELECT 1'],
      [one, 'BEGIN', 'BEGIN'],
      [one, 'ALTER TABLE silver.t3 ADD COLUMN b int', 'ALTER'],
      [two, 'INSERT INTO silver.t3 VALUES (2)', 'INSERT 1'],
      [one, 'COMMIT', 'COMMIT'],
      [one, 'BEGIN', 'BEGIN'],
      [one, 'ALTER TABLE silver.t3 ALTER COLUMN a SET NOT NULL', 'ALTER'],
      [two, 'INSERT INTO silver.t3 VALUES (NULL)', 'INSERT 1'],
      [one, 'COMMIT', '!40001'],
      [one, 'BEGIN', 'BEGIN'],
      [one, 'INSERT INTO silver.t3 VALUES (4)', 'INSERT 1'],
      [two, 'ALTER TABLE silver.t3 ADD COLUMN c int', 'ALTER'],
      [one, 'COMMIT', '!40001'],
      [one, 'SELECT a FROM silver.t3 ORDER BY a', '1|2|∅'],
    ]
    for (const [client, sql, expected] of steps) {
      expect(`${sql} -> ${await outcome(client, sql)}`).toBe(`${sql} -> ${expected}`)
    }
    await one.client.end()
    await two.client.end()
  })
})
