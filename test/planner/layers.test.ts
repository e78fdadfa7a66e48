/**
 * Goal: layers with ranks and defaults, DROP with RESTRICT and CASCADE, UNDROP TABLE and ALTER TABLE …
 * CLUSTER BY, kept in the lake for every gateway.
 * Method: scripts on a real gateway, and a second Catalog on the same lake that must agree.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Catalog } from '../../catalog/catalog.js'
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

/** The names of the lake as another gateway finds them. */
function otherCatalog(): Catalog {
  return new Catalog(gateway.store, (path) => {
    const folder = join(gateway.lake, path, '_delta_log')
    const ids = readdirSync(folder)
      .filter((name) => /^\d+\.json$/.test(name))
      .sort()
      .flatMap((name) => [
        ...readFileSync(join(folder, name), 'utf8').matchAll(/"metaData":\{"id":"([^"]+)"/g),
      ])
    return Promise.resolve(ids.at(-1)?.[1] ?? null)
  })
}

describe('a layer', () => {
  check(
    'has a rank behind the one it follows',
    `SHOW LAYERS -> bronze,1,1|silver,2,2|gold,3,1|public,∅,0
     CREATE LAYER platinum
     CREATE LAYER refined AFTER bronze
     CREATE SCHEMA scratch
     CREATE LAYER refined -> !42P06
     CREATE LAYER IF NOT EXISTS refined -> CREATE ~NOTICE 42P06
     CREATE LAYER nowhere AFTER scratch -> !3F000
     CREATE LAYER nowhere AFTER -> !42601
     CREATE LAYER nowhere WITH (colour = 'red') -> !22023
     CREATE LAYER nowhere WITH (retention = 'soon') -> !22023
     CREATE LAYER nowhere WITH (append_only = maybe) -> !22023
     CREATE LAYER "no/where" -> !42602
     DROP LAYER IF EXISTS nowhere -> DROP ~NOTICE 00000
     DESCRIBE LAYER nowhere -> !3F000`,
  )

  it('is the same for another gateway', async () => {
    const layers = await otherCatalog().layerDefinitions()
    expect(layers.map(({ name, rank }) => `${name} ${rank}`)).toEqual([
      'bronze 1',
      'refined 2',
      'silver 3',
      'gold 4',
      'platinum 5',
      'public null',
      'scratch null',
    ])
  })

  check(
    'gives its tables what they do not say themselves',
    `CREATE LAYER raw AFTER bronze WITH (append_only = true, retention = '30 days', partition_by = 'day', required_columns = 'id', 'delta.columnMapping.mode' = 'name')
     COMMENT ON SCHEMA raw IS 'as it came'
     DESCRIBE LAYER raw -> name,raw|rank,2|after,bronze|comment,as it came|tables,0|partition_by,day|required_columns,id|delta.appendOnly,true|delta.columnMapping.mode,name|delta.deletedFileRetentionDuration,interval 30 days|delta.logRetentionDuration,interval 30 days
     CREATE TABLE raw.t1 (a int) -> !42P17
     CREATE TABLE raw.t1 AS SELECT 1 AS a -> !42P17
     CREATE TABLE raw.t1 (id int, day date)
     INSERT INTO raw.t1 VALUES (1, '2026-01-01'), (2, '2026-01-02')
     DELETE FROM raw.t1 -> !55000
     CREATE TABLE raw.t2 (id int) TBLPROPERTIES ('delta.appendOnly' = 'false')
     INSERT INTO raw.t2 VALUES (1)
     DELETE FROM raw.t2 -> DELETE 1
     CREATE TABLE raw.t3 AS SELECT 1 AS id, date '2026-01-01' AS day
     CREATE TABLE raw.t4 (id int, day date) CLUSTER BY (id)`,
  )

  it('partitions its tables unless they are clustered or partitioned already', () => {
    const partitions = (table: string): unknown => {
      const folder = join(gateway.lake, 'raw', table, '_delta_log')
      const text = readFileSync(join(folder, `${'0'.repeat(20)}.json`), 'utf8')
      return /"partitionColumns":(\[[^\]]*\])/.exec(text)?.[1]
    }
    expect([partitions('t1'), partitions('t2'), partitions('t3'), partitions('t4')]).toEqual([
      '["day"]',
      '[]',
      '["day"]',
      '[]',
    ])
  })
})

describe('DROP SCHEMA', () => {
  check(
    'refuses what is not empty, and takes all of it along with CASCADE',
    `CREATE SCHEMA s1
     CREATE TABLE s1.t AS SELECT 1 AS a
     CREATE VIEW s1.v AS SELECT a FROM s1.t
     CREATE VIEW gold.over_s1 AS SELECT a FROM s1.v
     DROP SCHEMA s1 -> !2BP01
     DROP SCHEMA s1 RESTRICT -> !2BP01
     DROP SCHEMA nosuch -> !3F000
     DROP SCHEMA IF EXISTS nosuch -> DROP ~NOTICE 00000
     BEGIN
     DROP SCHEMA s1 CASCADE -> DROP ~NOTICE 00000 ~NOTICE 00000
     SELECT * FROM gold.over_s1 -> !42P01
     ROLLBACK
     ALTER SCHEMA s1 RENAME TO s2 -> !0A000
     DROP SCHEMA s1 CASCADE -> DROP ~NOTICE 00000 ~NOTICE 00000
     SELECT * FROM s1.t -> !42P01
     SELECT * FROM gold.over_s1 -> !42P01
     CREATE TABLE s1.t (a int) -> !3F000
     SELECT count(*) FROM information_schema.schemata WHERE schema_name = 's1' -> 0
     CREATE SCHEMA s1
     SELECT * FROM s1.t -> !42P01
     UNDROP TABLE s1.t
     SELECT * FROM s1.t -> 1
     DROP TABLE s1.t CASCADE
     DROP SCHEMA s1, scratch -> DROP`,
  )

  it('tells what is in the way, and what went along', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE SCHEMA s3')
    await client.query('CREATE TABLE s3.t AS SELECT 1 AS a')
    await client.query('CREATE VIEW s3.v AS SELECT a FROM s3.t')
    const error = await client.query('DROP SCHEMA s3').catch((thrown) => thrown)
    expect(error.message).toBe('cannot drop schema s3 because other objects depend on it')
    expect(error.detail).toBe('table s3.t depends on schema s3\nview s3.v depends on schema s3')
    expect(error.hint).toBe('Use DROP ... CASCADE to drop the dependent objects too.')
    const told: string[] = []
    client.on('notice', ({ message, detail }) => told.push(`${message}: ${detail}`))
    await client.query('DROP SCHEMA s3 CASCADE')
    expect(told[0]).toBe(
      'drop cascades to 2 other objects: drop cascades to table s3.t\ndrop cascades to view s3.v',
    )
    await client.end()
  })

  it('is undone by a table that another engine puts there', async () => {
    const session = await connect(gateway)
    await session.client.query('CREATE TABLE silver.moved AS SELECT 5 AS a')
    await session.client.query('CREATE SCHEMA s4')
    await session.client.query('DROP SCHEMA s4')
    expect(await outcome(session, 'SELECT * FROM s4.moved')).toBe('!42P01')
    mkdirSync(join(gateway.lake, 's4'))
    renameSync(join(gateway.lake, 'silver/moved'), join(gateway.lake, 's4/moved'))
    expect(await outcome(session, 'SELECT * FROM s4.moved')).toBe('5')
    expect(await otherCatalog().layers()).toContain('s4')
    await session.client.end()
  })
})

describe('DROP TABLE', () => {
  check(
    'takes several tables, all or none',
    `CREATE TABLE silver.d1 AS SELECT 1 AS a
     CREATE TABLE silver.d2 AS SELECT 2 AS a
     CREATE TEMP TABLE d3 (a int)
     DROP TABLE silver.d1, d3, silver.nosuch -> !42P01
     SELECT * FROM silver.d1, d3 -> SELECT 0
     DROP TABLE IF EXISTS silver.d1, silver.nosuch, d3, silver.d2 -> DROP ~NOTICE 00000 ~NOTICE 00000 ~NOTICE 00000
     SELECT * FROM silver.d2 -> !42P01
     SELECT * FROM d3 -> !42P01
     DROP VIEW silver.orders -> !42809
     CREATE VIEW silver.d4 AS SELECT 1 AS a
     DROP TABLE silver.d4 -> !42809
     DROP VIEW silver.d4 -> DROP`,
  )

  check(
    'spares tables that views name, and takes the views along with CASCADE',
    `CREATE TABLE silver.d5 AS SELECT 1 AS a
     CREATE VIEW gold.d6 AS SELECT a FROM silver.d5
     CREATE VIEW gold.d7 AS SELECT a FROM gold.d6
     DROP TABLE silver.d5 -> !2BP01
     DROP VIEW gold.d6 -> !2BP01
     DROP VIEW gold.d6, gold.d7 -> DROP
     CREATE VIEW gold.d6 AS SELECT x.a FROM silver.d5 AS x
     CREATE VIEW gold.d7 AS SELECT a FROM gold.d6
     DROP TABLE silver.d5 CASCADE -> DROP ~NOTICE 00000 ~NOTICE 00000
     SELECT * FROM gold.d7 -> !42P01
     SELECT * FROM gold.d6 -> !42P01`,
  )
})

describe('UNDROP TABLE', () => {
  check(
    'brings back what was dropped last under the name',
    `CREATE TABLE silver.u1 AS SELECT 1 AS a
     UNDROP TABLE silver.u1 -> !42P01
     DROP TABLE silver.u1
     UNDROP TABLE silver.u1 -> UNDROP
     SELECT * FROM silver.u1 -> 1
     DROP TABLE silver.u1
     CREATE TABLE silver.u1 AS SELECT 2 AS a
     UNDROP TABLE silver.u1 -> !42P01
     DROP TABLE silver.u1
     UNDROP TABLE silver.u1
     SELECT * FROM silver.u1 -> 2
     UNDROP silver.u1 -> !42601
     DROP TABLE silver.u1
     BEGIN
     UNDROP TABLE silver.u1
     SELECT * FROM silver.u1 -> 2
     ROLLBACK
     SELECT * FROM silver.u1 -> !42P01`,
  )

  check(
    'knows names that are not those of folders',
    `CREATE TABLE silver.u2 (a int) LOCATION 'landing/u2'
     INSERT INTO silver.u2 VALUES (7)
     DROP TABLE silver.u2
     CREATE TABLE silver.u2 AS SELECT 8 AS a
     SELECT * FROM silver.u2 -> 8
     DROP TABLE silver.u2
     UNDROP TABLE silver.u2
     SELECT * FROM silver.u2 -> 8
     ALTER TABLE silver.u2 RENAME TO u3
     DROP TABLE silver.u3
     CREATE TABLE silver.u2 AS SELECT 9 AS a
     UNDROP TABLE silver.u3
     SELECT * FROM silver.u3, silver.u2 -> 8,9
     CREATE TABLE silver.u4 LOCATION 'landing/u2'
     SELECT * FROM silver.u4 -> 7`,
  )

  it('shows what could come back, to other gateways too', async () => {
    const session = await connect(gateway)
    await session.client.query('CREATE TABLE gold.u5 AS SELECT 1 AS a')
    await session.client.query('DROP TABLE gold.u5')
    const { rows } = await session.client.query('SHOW TABLES DROPPED')
    expect(rows.at(-1)).toMatchObject({ layer: 'gold', table: 'u5', location: 'gold/u5' })
    expect(rows.at(-1).dropped_at).toMatch(/^20\d\d-/)
    expect((await otherCatalog().dropped()).at(-1)).toMatchObject({ layer: 'gold', name: 'u5' })
    expect(existsSync(join(gateway.lake, 'gold/u5/_delta_log'))).toBe(true)
    await session.client.end()
  })
})

describe('ALTER TABLE … CLUSTER BY', () => {
  check(
    'changes the columns, and ends the clustering with NONE',
    `CREATE TABLE silver.k1 (a int, b text)
     ALTER TABLE silver.k1 CLUSTER BY (b, a) -> ALTER
     INSERT INTO silver.k1 VALUES (1, 'x')
     BEGIN
     ALTER TABLE silver.k1 CLUSTER BY (a)
     INSERT INTO silver.k1 VALUES (2, 'y')
     COMMIT
     ALTER TABLE silver.k1 DROP COLUMN a -> !2BP01
     ALTER TABLE silver.k1 CLUSTER BY NONE
     ALTER TABLE silver.k1 CLUSTER BY (nosuch) -> !42703
     ALTER TABLE silver.k1 CLUSTER BY -> !42601
     ALTER TABLE silver.nosuch CLUSTER BY (a) -> !42P01
     ALTER TABLE IF EXISTS silver.nosuch CLUSTER BY (a) -> ALTER ~NOTICE 00000
     CREATE TABLE silver.k2 (a int, b int) PARTITIONED BY (b)
     ALTER TABLE silver.k2 CLUSTER BY (a) -> !42P17
     ALTER TABLE silver.k2 CLUSTER BY NONE -> ALTER`,
  )

  it('is a change of one domain in the log', () => {
    const folder = join(gateway.lake, 'silver/k1/_delta_log')
    const domains = readdirSync(folder)
      .filter((name) => /^\d+\.json$/.test(name))
      .sort()
      .map((name) =>
        [
          ...readFileSync(join(folder, name), 'utf8').matchAll(
            /\{\\"clusteringColumns\\":(\[.*?\]),\\"domainName/g,
          ),
        ].map((match) => match[1]?.replaceAll('\\', '')),
      )
    expect(domains).toEqual([[], ['[["b"],["a"]]'], [], ['[["a"]]'], ['[]']])
  })
})
