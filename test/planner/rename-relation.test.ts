/**
 * Goal: tables and views get other names and layers as in PostgreSQL, while no file moves.
 * Method: scripts on a real gateway through a real driver, and a second gateway on the same lake.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Catalog } from '../../catalog/catalog.js'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect, outcome, script } from '../support/session-script.js'

let gateway: LintedGateway

beforeAll(async () => {
  gateway = await lintedGateway()
})

afterAll(async () => {
  await gateway.close()
})

const check = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('ALTER TABLE … RENAME TO and SET SCHEMA', () => {
  check(
    'give tables other names, and take names that have become free',
    `CREATE TABLE silver.r1 AS SELECT 1 AS a
     ALTER TABLE silver.r1 RENAME TO r2
     SELECT * FROM silver.r1 -> !42P01
     INSERT INTO silver.r2 VALUES (2)
     SELECT r2.a FROM silver.r2 ORDER BY 1 -> 1|2
     SELECT a FROM silver.r2 VERSION AS OF 0 -> 1
     ALTER TABLE silver.r2 ADD COLUMN b int
     CREATE TABLE silver.r2 (x int) -> !42P07
     CREATE TABLE silver.r3 AS SELECT 3 AS a
     ALTER TABLE silver.r3 RENAME TO r2 -> !42P07
     ALTER TABLE silver.r3 RENAME TO r1
     SELECT * FROM silver.r1 -> 3
     ALTER TABLE silver.r2 SET SCHEMA gold
     SELECT * FROM silver.r2 -> !42P01
     SELECT a FROM gold.r2 ORDER BY 1 -> 1|2
     ALTER TABLE gold.r2 SET SCHEMA nowhere -> !3F000
     ALTER TABLE gold.r2 SET SCHEMA gold
     SELECT table_schema, table_name FROM information_schema.tables WHERE table_name ~ '^r[123]$' ORDER BY 1, 2 -> gold,r2|silver,r1
     ALTER TABLE gold.nosuch RENAME TO x -> !42P01
     ALTER TABLE IF EXISTS gold.nosuch RENAME TO x -> ALTER ~NOTICE 00000
     ALTER TABLE gold.r2 RENAME TO "../x" -> !42602
     ALTER TABLE gold.r2 RENAME TO r4
     ALTER TABLE gold.r4 SET SCHEMA silver
     UPDATE silver.r4 SET b = 1 WHERE a = 1
     DELETE FROM silver.r4 WHERE a = 2
     SELECT * FROM silver.r4 -> 1,1
     DROP TABLE silver.r4
     SELECT * FROM silver.r4 -> !42P01`,
  )

  it('leave the folder where it is, for engines that know the lake by its folders', async () => {
    expect(existsSync(join(gateway.lake, 'silver/r3/_delta_log'))).toBe(true)
    expect(existsSync(join(gateway.lake, 'silver/r1/_delta_log/00000000000000000000.json'))).toBe(
      true,
    )
  })

  it('are seen by other gateways of the lake', async () => {
    const other = new Catalog(gateway.store, () => Promise.resolve(null))
    expect(await other.resolve(['silver', 'r1'], [])).toEqual({
      kind: 'table',
      table: { layer: 'silver', name: 'r1', path: 'silver/r3' },
    })
  })

  check(
    'never give a new table the log of one that was renamed',
    `CREATE TABLE silver.f1 AS SELECT 1 AS a
     ALTER TABLE silver.f1 RENAME TO f2
     CREATE TABLE silver.f1 AS SELECT 2 AS b
     SELECT * FROM silver.f2 -> 1
     SELECT * FROM silver.f1 -> 2
     ALTER TABLE silver.f1 RENAME TO f3
     ALTER TABLE silver.f2 RENAME TO f1
     SELECT * FROM silver.f1 -> 1
     SELECT * FROM silver.f3 -> 2
     DROP TABLE silver.f1
     CREATE TABLE silver.f1 AS SELECT 3 AS c
     SELECT * FROM silver.f1 -> 3
     SELECT * FROM silver.f3 -> 2`,
  )

  check(
    'take views along that name the table',
    `CREATE TABLE silver.v1 AS SELECT 1 AS a, 2 AS b
     INSERT INTO silver.v1 VALUES (3, 4)
     CREATE VIEW silver.v_plain AS SELECT a, v1.b FROM silver.v1 WHERE v1.a > 0
     CREATE VIEW silver.v_self AS SELECT x.a, v1.b FROM silver.v1 AS x JOIN silver.v1 ON x.a = v1.a, (SELECT 1) one
     CREATE VIEW silver.v_old AS SELECT a FROM silver.v1 VERSION AS OF 0
     CREATE VIEW silver.v_at AS SELECT v1.a FROM silver.v1@v0
     CREATE VIEW silver.v_named AS SELECT silver.v1.a FROM silver.v1
     ALTER TABLE silver.v1 RENAME TO v2 -> !0A000
     DROP VIEW silver.v_named
     ALTER TABLE silver.v1 RENAME TO "V 2"
     SELECT * FROM silver.v_plain ORDER BY a -> 1,2|3,4
     SELECT * FROM silver.v_self ORDER BY a -> 1,2|3,4
     SELECT * FROM silver.v_old -> 1
     SELECT * FROM silver.v_at -> 1
     ALTER TABLE silver."V 2" SET SCHEMA gold
     SELECT * FROM silver.v_self ORDER BY a -> 1,2|3,4
     SELECT * FROM silver.v_old -> 1`,
  )
})

describe('ALTER VIEW', () => {
  check(
    'renames views and their columns',
    `CREATE TABLE silver.w1 AS SELECT 1 AS a, 2 AS b
     CREATE VIEW silver.w2 AS SELECT a, b FROM silver.w1
     CREATE VIEW silver.w3 AS SELECT w2.a FROM silver.w2
     COMMENT ON VIEW silver.w2 IS 'kept'
     ALTER VIEW silver.w2 RENAME TO w4
     SELECT * FROM silver.w3 -> 1
     SELECT * FROM silver.w2 -> !42P01
     ALTER VIEW silver.w4 SET SCHEMA gold
     SELECT * FROM gold.w4 -> 1,2
     SELECT obj_description('gold.w4'::regclass) -> kept
     ALTER VIEW gold.w4 RENAME COLUMN b TO c -> !2BP01
     DROP VIEW silver.w3
     ALTER VIEW gold.w4 RENAME COLUMN b TO c
     SELECT c FROM gold.w4 -> 2
     ALTER VIEW gold.w4 RENAME COLUMN nosuch TO d -> !42703
     ALTER VIEW gold.w4 RENAME COLUMN a TO c -> !42701
     ALTER VIEW silver.w1 RENAME TO x -> !42809
     ALTER VIEW silver.w1 SET SCHEMA gold -> !42809
     ALTER TABLE gold.w4 RENAME TO w5
     SELECT c FROM gold.w5 -> 2
     ALTER VIEW gold.w5 RENAME TO orders
     ALTER TABLE silver.w1 RENAME TO orders -> !42P07`,
  )
})

describe('a view', () => {
  check(
    'keeps the columns it was made with, whatever its tables get',
    `CREATE TABLE silver.x1 AS SELECT 1 AS a, 2 AS "Bb"
     CREATE TABLE silver.x2 AS SELECT 1 AS a, 3 AS c
     CREATE VIEW silver.x_all AS SELECT *, 9 AS z FROM silver.x1
     CREATE VIEW silver.x_join AS SELECT t.*, 'é' AS "é", x2.c FROM silver.x1 AS t JOIN silver.x2 USING (a)
     CREATE VIEW silver.x_using AS SELECT * FROM silver.x1 JOIN silver.x2 USING (a)
     CREATE VIEW silver.x_inside (p, q) AS SELECT * FROM (SELECT * FROM silver.x1) s
     CREATE VIEW silver.x_both (p, q, r, s) AS SELECT * FROM silver.x1, silver.x2
     CREATE VIEW silver.x_union AS SELECT * FROM silver.x1 UNION ALL SELECT * FROM silver.x2
     CREATE VIEW silver.x_cte AS WITH w AS (SELECT * FROM silver.x1) SELECT w.*, count(*) OVER () FROM w
     CREATE VIEW silver.x_old AS SELECT * FROM silver.x1 VERSION AS OF 0
     ALTER TABLE silver.x1 ADD COLUMN c int FIRST
     SELECT * FROM silver.x_all -> 1,2,9
     SELECT * FROM silver.x_join -> 1,2,é,3
     SELECT * FROM silver.x_using -> 1,2,3
     SELECT p, q FROM silver.x_inside -> 1,2
     SELECT * FROM silver.x_both -> 1,2,1,3
     SELECT * FROM silver.x_union -> 1,2|1,3
     SELECT * FROM silver.x_cte -> 1,2,1
     SELECT * FROM silver.x_old -> 1,2
     ALTER TABLE silver.x1 DROP COLUMN c
     ALTER TABLE silver.x1 DROP COLUMN a -> !2BP01
     ALTER TABLE silver.x1 RENAME TO x3
     SELECT * FROM silver.x_all -> 1,2,9
     SELECT p FROM silver.x_both -> 1`,
  )
})

describe('in a transaction block', () => {
  check(
    'tables change places, and ROLLBACK and savepoints give the names back',
    `CREATE TABLE silver.b1 AS SELECT 1 AS a
     CREATE TABLE silver.b2 AS SELECT 2 AS a
     CREATE VIEW silver.b_view AS SELECT a FROM silver.b1
     BEGIN
     ALTER TABLE silver.b1 RENAME TO b_old
     SELECT * FROM silver.b1 -> !42P01
     ROLLBACK
     BEGIN
     ALTER TABLE silver.b1 RENAME TO b_old
     SELECT * FROM silver.b_old, silver.b_view -> 1,1
     ALTER TABLE silver.b2 RENAME TO b1
     SELECT * FROM silver.b1 -> 2
     SAVEPOINT s
     ALTER TABLE silver.b_old SET SCHEMA gold
     SELECT * FROM gold.b_old -> 1
     CREATE VIEW silver.b_more AS SELECT a + 1 AS b FROM gold.b_old
     COMMENT ON VIEW silver.b_more IS 'more'
     SELECT * FROM silver.b_more -> 2
     ROLLBACK TO s
     SELECT * FROM silver.b_old -> 1
     ALTER VIEW silver.b_view RENAME TO b_seen
     INSERT INTO silver.b1 VALUES (3)
     SELECT count(*) FROM silver.b1 -> 2
     ROLLBACK TO s
     ALTER VIEW silver.b_view RENAME TO b_seen
     COMMIT
     SELECT * FROM silver.b1 -> 2
     SELECT * FROM silver.b_old -> 1
     SELECT * FROM silver.b_seen -> 1
     SELECT * FROM silver.b_view -> !42P01
     SELECT * FROM silver.b_more -> !42P01
     BEGIN
     INSERT INTO silver.b1 VALUES (3)
     ALTER TABLE silver.b1 RENAME TO b3
     SELECT count(*) FROM silver.b3 -> 2
     ROLLBACK
     BEGIN READ ONLY
     ALTER TABLE silver.b1 RENAME TO b3 -> !25006
     ROLLBACK`,
  )

  it('others see nothing before COMMIT, and a name that was taken meanwhile is refused', async () => {
    const [one, two] = [await connect(gateway), await connect(gateway)]
    const steps: readonly (readonly [typeof one, string, string])[] = [
      [one, 'CREATE TABLE silver.o1 AS SELECT 1 AS a', 'SELECT 1'],
      [one, 'CREATE TABLE silver.o2 AS SELECT 2 AS a', 'SELECT 1'],
      [one, 'BEGIN', 'BEGIN'],
      [one, 'ALTER TABLE silver.o1 RENAME TO o3', 'ALTER'],
      [two, 'SELECT * FROM silver.o1', '1'],
      [two, 'SELECT * FROM silver.o3', '!42P01'],
      [two, "COMMENT ON SCHEMA gold IS 'meanwhile'", 'COMMENT'],
      [one, 'COMMIT', 'COMMIT'],
      [two, 'SELECT * FROM silver.o3', '1'],
      [one, 'BEGIN', 'BEGIN'],
      [one, 'ALTER TABLE silver.o3 RENAME TO o4', 'ALTER'],
      [two, 'ALTER TABLE silver.o2 RENAME TO o4', 'ALTER'],
      [one, 'COMMIT', '!42P07'],
      [one, 'SELECT * FROM silver.o3', '1'],
      [one, 'SELECT * FROM silver.o4', '2'],
    ]
    for (const [client, sql, expected] of steps) {
      expect(`${sql} -> ${await outcome(client, sql)}`).toBe(`${sql} -> ${expected}`)
    }
    await one.client.end()
    await two.client.end()
  })
})
