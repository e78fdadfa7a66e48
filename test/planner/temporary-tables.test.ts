/** Temporary tables: declared, filled, changed, rolled back and gone, as in PostgreSQL. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, outcome, script } from '../support/session-script.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
})

afterAll(async () => {
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

const run = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('CREATE TEMP TABLE', () => {
  run(
    'holds rows against what is declared',
    `CREATE TEMP TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x, y', c numeric(10,2) CHECK (c > 0), d varchar(3)) -> CREATE
     INSERT INTO t VALUES (1, 'one', 1.5, 'abc') -> INSERT 1
     INSERT INTO t (a) VALUES (2) -> INSERT 1
     SELECT * FROM t ORDER BY a -> 1,one,1.50,abc|2,x, y,∅,∅
     INSERT INTO t (a) VALUES (2) -> !23505
     INSERT INTO t (a, b) VALUES (3, NULL) -> !23502
     INSERT INTO t (b) VALUES ('k') -> !23502
     INSERT INTO t (a, c) VALUES (3, -1) -> !23514
     INSERT INTO t (a, d) VALUES (3, 'toolong') -> !22001
     INSERT INTO t (a, nope) VALUES (3, 1) -> !42703
     INSERT INTO t (a) VALUES ('x') -> !22P02
     SELECT count(*) FROM t -> 2`,
  )

  run(
    'finds expressions of defaults and checks whatever stands around them',
    `CREATE TEMP TABLE t (x int DEFAULT (1 + 2) * 3 CHECK (x > 0) NOT NULL, y text DEFAULT 'a,b' || ')' /* , */, z int GENERATED ALWAYS AS (x * 2) STORED)
     INSERT INTO t DEFAULT VALUES
     INSERT INTO t (x, y) VALUES (4, DEFAULT)
     INSERT INTO t (x, z) VALUES (4, 1) -> !428C9
     SELECT * FROM t ORDER BY x -> 4,a,b),8|9,a,b),18
     CREATE TEMP TABLE u (x int CONSTRAINT pos CHECK (x > 0), CONSTRAINT few CHECK (x < 10))
     INSERT INTO u VALUES (0) -> !23514
     INSERT INTO u VALUES (10) -> !23514
     INSERT INTO u VALUES (NULL), (5)
     SELECT count(*) FROM u -> 2`,
  )

  run(
    'keeps values of every type',
    `CREATE TEMP TABLE t (a uuid, b json, c time, d interval, e timestamptz, f int[], g bytea, h date, i bool, j float8, k bigint, l smallint, m jsonb, n char(4), o real, p numeric)
     INSERT INTO t VALUES ('00000000-0000-0000-0000-000000000001', '{"a":1}', '01:02:03', '1 day', '2024-01-01 00:00:00+00', '{1,2}', '\\x01', '2024-01-01', true, 1.5, 5, 6, '{"b":2}', 'ab', 2.5, 1.25)
     SELECT a, b, c, d, e FROM t -> 00000000-0000-0000-0000-000000000001,{"a":1},01:02:03,1 day,2024-01-01 00:00:00+00
     SELECT f, g, h, i, j, k, l, m, n, o, p FROM t -> {1,2},\\x01,2024-01-01,t,1.5,5,6,{"b": 2},ab  ,2.5,1.25
     INSERT INTO t (a) VALUES (1) -> !42804
     INSERT INTO t (l) VALUES (70000) -> !22003
     INSERT INTO t (k) VALUES (1.5), ('7')
     SELECT k FROM t WHERE k <> 5 ORDER BY 1 -> 2|7`,
  )

  run(
    'refuses what PostgreSQL refuses, and what is not there yet',
    `CREATE TEMP TABLE public.t (a int) -> !42P16
     CREATE TEMP TABLE t (a int, a int) -> !42701
     CREATE TEMP TABLE t (cmin int) -> !42701
     CREATE TEMP TABLE t (a int PRIMARY KEY, b int PRIMARY KEY) -> !42P16
     CREATE TEMP TABLE t (a nope) -> !42704
     CREATE TEMP TABLE t (a int, UNIQUE (b)) -> !42703
     CREATE TEMP TABLE t (a serial) -> !0A000
     CREATE TEMP TABLE t (a int REFERENCES t) -> !0A000
     CREATE TEMP TABLE t (LIKE silver.orders) -> !0A000
     CREATE TEMP TABLE t () -> !0A000
     CREATE TEMP VIEW v AS SELECT 1 -> !0A000
     CREATE TEMP TABLE t (a int)
     CREATE TEMP TABLE t (a int) -> !42P07
     CREATE TEMP TABLE IF NOT EXISTS t (a int) -> CREATE ~NOTICE 42P07
     CREATE TEMP TABLE IF NOT EXISTS t AS SELECT 1 -> CREATE ~NOTICE 42P07`,
  )

  it('is of one session alone, and hides a table of the lake', async () => {
    const [one, other] = [await connect(gateway), await connect(gateway)]
    await one.client.query('CREATE TEMP TABLE orders AS SELECT 1 AS mine')
    await one.client.query('SET search_path = silver')
    await other.client.query('SET search_path = silver')
    expect(await outcome(one, 'SELECT * FROM orders')).toBe('1')
    expect(await outcome(one, 'SELECT count(*) FROM silver.orders')).toBe('1133')
    expect(await outcome(other, 'SELECT count(*) FROM orders')).toBe('1133')
    expect(await outcome(other, 'SELECT * FROM pg_temp.orders')).toBe('!42P01')
    await one.client.end()
    await other.client.end()
  })
})

describe('a temporary table', () => {
  run(
    'is changed like any other',
    `CREATE TEMP TABLE t AS SELECT g AS a, 'g' || g AS b FROM generate_series(1, 5) g -> SELECT 5
     INSERT INTO t VALUES (6, 'six'), (7, 'seven') RETURNING a * 10 AS ten, b || '!' AS bang, * -> 60,six!,6,six|70,seven!,7,seven
     INSERT INTO t SELECT a + 100, b FROM t WHERE a = 7 -> INSERT 1
     INSERT INTO t WITH q AS (SELECT 200 AS a) SELECT a, 'cte' FROM q
     UPDATE t SET b = upper(b), a = a + 1 WHERE a > 100 -> UPDATE 2
     UPDATE t SET b = 'none' WHERE a = 12345 -> UPDATE 0
     DELETE FROM t WHERE a < 6 -> DELETE 5
     SELECT * FROM t ORDER BY a -> 6,six|7,seven|108,SEVEN|201,CTE
     SELECT count(*) FROM t x JOIN t y USING (a) -> 4
     SELECT count(*) FROM t, silver.orders WHERE order_id = a -> 4
     DELETE FROM t -> DELETE 4
     INSERT INTO pg_temp.t VALUES (1, 'one')
     SELECT * FROM pg_temp.t -> 1,one
     TRUNCATE t
     SELECT count(*) FROM t -> 0
     DROP TABLE t, nope -> !42P01
     SELECT count(*) FROM t -> 0
     DROP TABLE t
     DROP TABLE t -> !42P01
     DROP TABLE IF EXISTS t -> DROP ~NOTICE 00000
     SELECT * FROM t -> !42P01`,
  )

  run(
    'goes back with its block and to its savepoints',
    `CREATE TEMP TABLE t (a int PRIMARY KEY, b text)
     INSERT INTO t VALUES (1, 'one'), (2, 'two')
     BEGIN
     INSERT INTO t VALUES (3, 'three')
     SAVEPOINT s
     INSERT INTO t VALUES (4, 'four')
     UPDATE t SET b = 'changed'
     SELECT count(*), min(b) FROM t -> 4,changed
     ROLLBACK TO s
     SELECT count(*), max(b) FROM t -> 3,two
     DELETE FROM t WHERE a = 1
     SAVEPOINT u
     TRUNCATE t
     INSERT INTO t VALUES (9, 'nine')
     SELECT * FROM t -> 9,nine
     ROLLBACK TO u
     SELECT a FROM t ORDER BY a -> 2|3
     INSERT INTO t VALUES (2, 'again') -> !23505
     ROLLBACK TO s
     INSERT INTO t VALUES (4, 'four')
     SELECT a FROM t ORDER BY a -> 1|2|3|4
     ROLLBACK
     SELECT * FROM t ORDER BY a -> 1,one|2,two
     INSERT INTO t VALUES (5, 'five'); SELECT 1/0 -> !22012
     SELECT count(*) FROM t -> 2`,
  )

  run(
    'comes and goes with the block that makes or drops it',
    `BEGIN
     CREATE TEMP TABLE t AS SELECT 1 AS a
     SAVEPOINT s
     DROP TABLE t
     SELECT * FROM t -> !42P01
     ROLLBACK TO s
     SELECT * FROM t -> 1
     CREATE TEMP TABLE u (b int)
     ROLLBACK TO s
     SELECT * FROM u -> !42P01
     ROLLBACK
     SELECT * FROM t -> !42P01
     CREATE TEMP TABLE t AS SELECT 1 AS a
     BEGIN
     DROP TABLE t
     CREATE TEMP TABLE t AS SELECT 2 AS b
     SELECT b FROM t -> 2
     ROLLBACK
     SELECT a FROM t -> 1`,
  )

  run(
    'obeys ON COMMIT',
    `CREATE TEMP TABLE p ON COMMIT DELETE ROWS AS SELECT 1 AS a
     SELECT count(*) FROM p -> 0
     BEGIN
     INSERT INTO p VALUES (1), (2)
     SELECT count(*) FROM p -> 2
     COMMIT
     SELECT count(*) FROM p -> 0
     CREATE TEMP TABLE d (a int) ON COMMIT DROP
     SELECT * FROM d -> !42P01
     BEGIN
     CREATE TEMP TABLE d (a int) ON COMMIT DROP
     INSERT INTO d VALUES (5)
     SELECT * FROM d -> 5
     COMMIT
     SELECT * FROM d -> !42P01
     CREATE TEMP TABLE k (a int) ON COMMIT PRESERVE ROWS
     BEGIN; INSERT INTO k VALUES (1); COMMIT
     SELECT * FROM k -> 1`,
  )

  run(
    'may be written in a read-only transaction, but not made',
    `CREATE TEMP TABLE t (a int)
     BEGIN READ ONLY
     INSERT INTO t VALUES (2)
     UPDATE t SET a = 3
     SELECT * FROM t -> 3
     CREATE TEMP TABLE u (a int) -> !25006
     ROLLBACK
     BEGIN READ ONLY
     TRUNCATE t -> !25006
     ROLLBACK`,
  )

  run(
    'is discarded',
    `CREATE TEMP TABLE t (a int)
     DISCARD TEMP
     SELECT * FROM t -> !42P01
     CREATE TEMP TABLE t AS SELECT 1 AS a
     BEGIN
     DISCARD TEMP
     ROLLBACK
     SELECT * FROM t -> 1
     PREPARE p AS SELECT 1
     SET work_mem = '8MB'
     DISCARD ALL -> DISCARD
     SELECT * FROM t -> !42P01
     EXECUTE p -> !26000
     SHOW work_mem -> 4MB
     BEGIN
     DISCARD ALL -> !25001`,
  )

  it('outlives the portal that reads it, and the portal the table', async () => {
    const session = await connect(gateway)
    const { client } = session
    await client.query('CREATE TEMP TABLE t AS SELECT g AS a FROM generate_series(1, 10000) g')
    await client.query('DECLARE c CURSOR WITH HOLD FOR SELECT a FROM t ORDER BY a')
    expect(await outcome(session, 'FETCH c')).toBe('1')
    await client.query('UPDATE t SET a = -a; DELETE FROM t WHERE a < -10; DROP TABLE t')
    expect(await outcome(session, 'MOVE ABSOLUTE 9999 FROM c')).toBe('MOVE 1')
    expect(await outcome(session, 'FETCH c')).toBe('10000')
    await client.end()
  })

  it('takes typed parameters, by its own columns', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE TEMP TABLE t (a int, b date, c bool)')
    const inserted = await client.query('INSERT INTO t VALUES ($1, $2, $3) RETURNING b, a', [
      '7',
      '2024-02-29',
      true,
    ])
    expect(inserted.rows).toEqual([{ b: '2024-02-29', a: '7' }])
    await client.query('UPDATE t SET a = $2 WHERE b = $1', ['2024-02-29', 8])
    const { rows } = await client.query('SELECT * FROM t WHERE a = $1', [8])
    expect(rows).toEqual([{ a: '8', b: '2024-02-29', c: 't' }])
    expect((await client.query('DELETE FROM t WHERE a = $1', [8])).rowCount).toBe(1)
    await client.end()
  })

  it('keeps the answers of a statement that was prepared before it changed', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE TEMP TABLE t AS SELECT 1 AS a')
    const query = { name: 'again', text: 'SELECT * FROM t' }
    expect((await client.query(query)).rows).toEqual([{ a: '1' }])
    await client.query("DROP TABLE t; CREATE TEMP TABLE t AS SELECT 'x'::text AS a")
    await expect(client.query(query)).rejects.toMatchObject({ code: '0A000' })
    await client.end()
  })
})

describe('SELECT INTO and CREATE TABLE AS', () => {
  run(
    'keep rows under the names that are given',
    `SELECT 7 AS a, 'q' AS b INTO TEMP i -> SELECT 1
     SELECT * FROM i -> 7,q
     SELECT 1 AS into, 'into' AS x INTO TEMPORARY TABLE "in to" FROM (SELECT 'into' AS x) y /* INTO */ UNION ALL SELECT 2, 'TEMP' -> SELECT 2
     SELECT * FROM "in to" ORDER BY 1 -> 1,into|2,TEMP
     CREATE TEMP TABLE n AS SELECT 1 AS a WITH NO DATA -> CREATE
     SELECT * FROM n -> SELECT 0
     CREATE TEMP TABLE m (x, y) AS SELECT 1, 2
     SELECT y, x FROM m -> 2,1
     CREATE TEMP TABLE mm (x, y, z) AS SELECT 1, 2 -> !42601
     CREATE TEMP TABLE k AS SELECT 1 AS as, 'with data' AS data
     SELECT * FROM k -> 1,with data
     PREPARE pp(int) AS SELECT $1 + 1 AS a
     CREATE TEMP TABLE e AS EXECUTE pp(4)
     SELECT * FROM e -> 5
     CREATE TEMP TABLE l AS SELECT * FROM silver.orders VERSION AS OF 0
     SELECT count(*) FROM l -> 400
     CREATE TEMP TABLE c AS SELECT * FROM pg_class -> !0A000
     CREATE TEMP TABLE q (a) ON COMMIT DROP AS SELECT 1 WITH DATA -> SELECT 1`,
  )
})
