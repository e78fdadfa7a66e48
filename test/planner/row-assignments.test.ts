/**
 * Goal: several columns are assigned from one row, as in PostgreSQL, wherever rows are updated.
 * Method: scripts on a real gateway.
 */

import { afterAll, beforeAll, describe } from 'vitest'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { script } from '../support/session-script.js'

let gateway: LintedGateway

beforeAll(async () => {
  gateway = await lintedGateway()
})

afterAll(async () => {
  await gateway.close()
})

const check = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('SET (a, b) =', () => {
  check(
    'takes the row of a subquery, nulls where there is none',
    `CREATE TABLE silver.t (id int, a int, b text)
     INSERT INTO silver.t VALUES (1, 0, 'x'), (2, 0, 'y'), (3, 0, 'z')
     CREATE TABLE silver.s AS VALUES (1, 10, 'ten'), (2, 20, 'twenty')
     UPDATE silver.t SET (a, b) = (SELECT s.column2, s.column3 FROM silver.s AS s WHERE s.column1 = t.id) RETURNING id, a, b -> 1,10,ten|2,20,twenty|3,∅,∅
     SELECT * FROM silver.t ORDER BY id -> 1,10,ten|2,20,twenty|3,∅,∅
     UPDATE silver.t SET (b, a) = (SELECT 'five', 5), id = 4 WHERE id = 3
     SELECT * FROM silver.t WHERE id = 4 -> 4,5,five
     UPDATE silver.t SET (a, b) = ROW(6, DEFAULT) WHERE id = 4
     SELECT a, b FROM silver.t WHERE id = 4 -> 6,∅
     UPDATE silver.t SET (a) = (SELECT 7) WHERE id = 4
     SELECT a FROM silver.t WHERE id = 4 -> 7
     UPDATE silver.t SET (a, b) = (SELECT x.a, x.b FROM silver.t AS x WHERE x.id = 1) FROM silver.s AS s WHERE t.id = 4
     SELECT a, b FROM silver.t WHERE id = 4 -> 10,ten`,
  )

  check(
    'evaluates the subquery once a row',
    `CREATE TABLE silver.once AS SELECT i AS id, 0.0::float8 AS a, 0.0::float8 AS b FROM generate_series(1, 50) AS g(i)
     UPDATE silver.once SET (a, b) = (SELECT r, r FROM (SELECT random() + once.id * 0 AS r) AS q)
     SELECT count(*) FROM silver.once WHERE a = b AND a <> 0 -> 50`,
  )

  check(
    'refuses what is no row of that many columns, and more rows than one',
    `CREATE TABLE silver.w (id int, a int, b int, g int GENERATED ALWAYS AS (a + 1) STORED)
     INSERT INTO silver.w (id, a, b) VALUES (1, 1, 1)
     UPDATE silver.w SET (a, b) = (SELECT 1) -> !42601
     UPDATE silver.w SET (a, b) = ROW(1) -> !42601
     UPDATE silver.w SET (a, b) = (SELECT 1, 2, 3) -> !42601
     UPDATE silver.w SET (a, a) = (SELECT 1, 2) -> !42601
     UPDATE silver.w SET (a, b) = (SELECT 1, 'x'::text) -> !42804
     UPDATE silver.w SET (a, g) = (SELECT 1, 2) -> !428C9
     UPDATE silver.w SET (a, b) = (SELECT i, i FROM generate_series(1, 2) AS q(i)) -> !21000
     UPDATE silver.w SET (a, b) = abs(1) -> !0A000
     SELECT id, a, b, g FROM silver.w -> 1,1,1,2`,
  )

  check(
    'works in MERGE, for rows of its own clause',
    `CREATE TABLE silver.m AS VALUES (1, 1, 1), (2, 2, 2)
     ALTER TABLE silver.m RENAME COLUMN column1 TO id
     MERGE INTO silver.m AS m USING (VALUES (1, 10), (2, 20), (3, 30)) AS s(k, v) ON m.id = s.k WHEN MATCHED AND s.k = 1 THEN UPDATE SET (column2, column3) = (SELECT s.v, s.v + i FROM generate_series(1, s.k) AS q(i)) WHEN MATCHED THEN UPDATE SET (column3, column2) = ROW(s.v, 0) WHEN NOT MATCHED THEN INSERT VALUES (s.k, s.v, s.v)
     SELECT * FROM silver.m ORDER BY id -> 1,10,11|2,0,20|3,30,30`,
  )

  check(
    'works in ON CONFLICT',
    `CREATE TABLE silver.u (id int PRIMARY KEY, a int, b int)
     INSERT INTO silver.u VALUES (1, 1, 1)
     INSERT INTO silver.u VALUES (1, 5, 6), (2, 7, 8) ON CONFLICT (id) DO UPDATE SET (a, b) = (SELECT u.a + excluded.a, excluded.b * 10)
     SELECT * FROM silver.u ORDER BY id -> 1,6,60|2,7,8`,
  )
})
