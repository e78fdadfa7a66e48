/**
 * Goal: table properties, comments and constraints are changed and shown as PostgreSQL and Spark do.
 * Method: scripts on a real gateway through a real driver; every table is linted afterwards.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect, script } from '../support/session-script.js'

let gateway: LintedGateway

beforeAll(async () => {
  gateway = await lintedGateway()
})

afterAll(async () => {
  await gateway.close()
})

const check = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('table properties', () => {
  check(
    'are set and reset in both spellings, and shown',
    `CREATE TABLE silver.p1 (a int) TBLPROPERTIES ('delta.checkpointInterval' = '7', 'delta.enableDeletionVectors' = 'false')
     ALTER TABLE silver.p1 SET TBLPROPERTIES ('delta.appendOnly' = 'true', owner.team = "data", 'n' = 3)
     ALTER TABLE silver.p1 SET (delta.logRetentionDuration = 'interval 90 days', "my.own" = 'it''s')
     SHOW TBLPROPERTIES silver.p1 -> delta.appendOnly,true|delta.checkpointInterval,7|delta.enableDeletionVectors,false|delta.logRetentionDuration,interval 90 days|delta.minReaderVersion,1|delta.minWriterVersion,2|my.own,it's|n,3|owner.team,data
     SHOW TBLPROPERTIES silver.p1 ('delta.appendonly') -> delta.appendOnly,true
     SHOW TBLPROPERTIES silver.p1 (nosuch) -> nosuch,Table silver.p1 does not have property: nosuch
     SHOW TBLPROPERTIES silver.nosuch -> !42P01
     INSERT INTO silver.p1 VALUES (1)
     DELETE FROM silver.p1 -> !55000
     ALTER TABLE silver.p1 ADD COLUMN b int DEFAULT 1 -> !55000
     ALTER TABLE silver.p1 UNSET TBLPROPERTIES IF EXISTS ('delta.appendOnly', 'n')
     ALTER TABLE silver.p1 RESET (delta.logRetentionDuration, "my.own", nosuch)
     DELETE FROM silver.p1 -> DELETE 1
     SHOW TBLPROPERTIES silver.p1 -> delta.checkpointInterval,7|delta.enableDeletionVectors,false|delta.minReaderVersion,1|delta.minWriterVersion,2|owner.team,data`,
  )

  check(
    'that Delta does not know, or keeps itself, are refused',
    `CREATE TABLE silver.p2 (a int)
     ALTER TABLE silver.p2 SET (delta.nosuch = 1) -> !22023
     ALTER TABLE silver.p2 SET (delta.appendOnly = 'maybe') -> !22023
     ALTER TABLE silver.p2 SET (delta.checkpointInterval = 0) -> !22023
     ALTER TABLE silver.p2 SET (delta.deletedFileRetentionDuration = 'soon') -> !22023
     ALTER TABLE silver.p2 SET (delta.appendOnly = true, delta.appendOnly = false) -> !22023
     ALTER TABLE silver.p2 SET TBLPROPERTIES ('delta.constraints.c' = 'a > 0') -> !55P02
     ALTER TABLE silver.p2 SET ("delta.columnMapping.maxColumnId" = 9) -> !55P02
     ALTER TABLE silver.p2 SET ("lakegate.primaryKey" = 'a') -> !55P02
     ALTER TABLE silver.p2 SET (delta.enableRowTracking = true) -> !0A000
     ALTER TABLE silver.p2 SET ("delta.columnMapping.mode" = 'id') -> !0A000
     ALTER TABLE silver.p2 SET ("delta.columnMapping.mode" = 'name')
     ALTER TABLE silver.p2 SET ("delta.columnMapping.mode" = 'none') -> !0A000
     ALTER TABLE silver.p2 RESET ("delta.columnMapping.mode") -> !55P02
     ALTER TABLE silver.p2 SET ("delta.feature.nosuch" = 'supported') -> !0A000
     ALTER TABLE silver.p2 SET TBLPROPERTIES ('a') -> !42601
     ALTER TABLE silver.p2 OWNER TO lakegate
     ALTER TABLE silver.p2 ENABLE ROW LEVEL SECURITY -> !0A000`,
  )

  check(
    'raise the protocol where they need it, and never lower it',
    `CREATE TABLE silver.p3 (a int) TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')
     INSERT INTO silver.p3 VALUES (1)
     ALTER TABLE silver.p3 SET (delta.enableDeletionVectors = true) -> ALTER ~NOTICE 00000
     ALTER TABLE silver.p3 SET (delta.enableInCommitTimestamps = true)
     SHOW TBLPROPERTIES silver.p3 (delta.minReaderVersion) -> delta.minReaderVersion,3
     SHOW TBLPROPERTIES silver.p3 ("delta.inCommitTimestampEnablementVersion") -> "delta.inCommitTimestampEnablementVersion",Table silver.p3 does not have property: "delta.inCommitTimestampEnablementVersion"
     SHOW TBLPROPERTIES silver.p3 ('delta.inCommitTimestampEnablementVersion') -> delta.inCommitTimestampEnablementVersion,3
     ALTER TABLE silver.p3 RESET (delta.enableDeletionVectors)
     SHOW TBLPROPERTIES silver.p3 ('delta.feature.deletionVectors') -> delta.feature.deletionVectors,supported
     SELECT * FROM silver.p3 -> 1`,
  )
})

describe('COMMENT ON', () => {
  check(
    'tables, columns, views and schemas is seen by PostgreSQL and by Spark',
    `CREATE TABLE silver.c1 AS SELECT 1 AS a, 'x' AS b
     COMMENT ON TABLE silver.c1 IS 'all of it' -> COMMENT
     COMMENT ON COLUMN silver.c1.b IS 'it''s b'
     DESCRIBE silver.c1 -> a,int,∅|b,string,it's b
     SELECT obj_description('silver.c1'::regclass), col_description('silver.c1'::regclass, 2) -> all of it,it's b
     COMMENT ON COLUMN silver.c1.b IS NULL
     COMMENT ON TABLE silver.c1 IS ''
     SELECT obj_description('silver.c1'::regclass), col_description('silver.c1'::regclass, 2) -> ∅,∅
     COMMENT ON COLUMN silver.c1.nosuch IS 'x' -> !42703
     COMMENT ON TABLE silver.nosuch IS 'x' -> !42P01
     CREATE VIEW silver.c2 AS SELECT a FROM silver.c1
     COMMENT ON VIEW silver.c2 IS 'a view'
     COMMENT ON VIEW silver.c1 IS 'x' -> !42809
     COMMENT ON TABLE silver.c2 IS 'x' -> !42809
     COMMENT ON SCHEMA silver IS 'cleaned'
     COMMENT ON SCHEMA nosuch IS 'x' -> !3F000
     SELECT obj_description('silver.c2'::regclass), obj_description('silver'::regnamespace) -> a view,cleaned
     COMMENT ON DATABASE lake IS 'x' -> !0A000
     BEGIN
     COMMENT ON TABLE silver.c1 IS 'gone'
     ROLLBACK
     SELECT obj_description('silver.c1'::regclass) -> ∅`,
  )
})

describe('constraints', () => {
  check(
    'are validated when added, and can be dropped and renamed',
    `CREATE TABLE silver.k1 AS SELECT i AS id, nullif(i, 2) AS n FROM generate_series(1, 3) i
     ALTER TABLE silver.k1 ADD CONSTRAINT small CHECK (id < 3) -> !23514
     ALTER TABLE silver.k1 ADD CONSTRAINT small CHECK (id < 10)
     ALTER TABLE silver.k1 ADD CONSTRAINT small CHECK (id < 10) -> !42710
     ALTER TABLE silver.k1 ADD CHECK (n > 0), ADD CHECK (n < 100)
     INSERT INTO silver.k1 VALUES (4, NULL)
     INSERT INTO silver.k1 VALUES (5, 0) -> !23514
     INSERT INTO silver.k1 VALUES (11, 1) -> !23514
     ALTER TABLE silver.k1 RENAME CONSTRAINT small TO limited
     ALTER TABLE silver.k1 RENAME CONSTRAINT nosuch TO x -> !42704
     ALTER TABLE silver.k1 RENAME CONSTRAINT limited TO k1_n_check -> !42710
     ALTER TABLE silver.k1 VALIDATE CONSTRAINT limited
     ALTER TABLE silver.k1 VALIDATE CONSTRAINT small -> !42704
     ALTER TABLE silver.k1 DROP CONSTRAINT small -> !42704
     ALTER TABLE silver.k1 DROP CONSTRAINT IF EXISTS small -> ALTER ~NOTICE 00000
     ALTER TABLE silver.k1 DROP CONSTRAINT limited, DROP CONSTRAINT k1_n_check, DROP CONSTRAINT k1_n_check1
     INSERT INTO silver.k1 VALUES (11, 0)
     ALTER TABLE silver.k1 ADD CHECK (id > 0) NOT VALID -> !0A000
     ALTER TABLE silver.k1 ADD CHECK (nosuch > 0) -> !42703
     ALTER TABLE silver.k1 ADD CHECK (id + 1) -> !42804
     ALTER TABLE silver.k1 ADD UNIQUE (id) -> !0A000
     ALTER TABLE silver.k1 ADD FOREIGN KEY (id) REFERENCES silver.k1 (id) -> !0A000`,
  )

  check(
    'keep the order of evaluation that their parentheses give',
    `CREATE TABLE silver.k2 (a int, b int, c int, CHECK ((a + b) * c = 20), CHECK (NOT (a = b AND c IS NULL)), CHECK (a - (b - c) > -16))
     INSERT INTO silver.k2 VALUES (2, 3, 4)
     INSERT INTO silver.k2 VALUES (2, 18, 1)
     INSERT INTO silver.k2 VALUES (8, 3, 4) -> !23514
     INSERT INTO silver.k2 VALUES (1, 1, NULL) -> !23514`,
  )

  check(
    'of a primary key are informational, but for its columns being NOT NULL',
    `CREATE TABLE silver.k3 AS SELECT i AS id, nullif(i, 2) AS n FROM generate_series(1, 3) i
     ALTER TABLE silver.k3 ADD PRIMARY KEY (n) -> !23502
     ALTER TABLE silver.k3 ADD CONSTRAINT pk PRIMARY KEY (id) -> ALTER ~NOTICE 00000
     ALTER TABLE silver.k3 ADD PRIMARY KEY (id) -> !42P16
     INSERT INTO silver.k3 VALUES (NULL, 1) -> !23502
     ALTER TABLE silver.k3 RENAME CONSTRAINT pk TO key
     ALTER TABLE silver.k3 DROP CONSTRAINT pk -> !42704
     ALTER TABLE silver.k3 DROP CONSTRAINT key
     ALTER TABLE silver.k3 ADD PRIMARY KEY (nosuch) -> !42703`,
  )
})

describe('system catalogs', () => {
  check(
    'show defaults, checks, keys and generated columns as they are now',
    `CREATE TABLE silver.i1 (id int, n int DEFAULT 3 CHECK (n > 0), twice int GENERATED ALWAYS AS (n * 2) STORED, name varchar(5))
     ALTER TABLE silver.i1 ADD CONSTRAINT pk PRIMARY KEY (id), ALTER name SET DEFAULT 'it''s', ADD CONSTRAINT bound CHECK (n + id < 100 OR name IS NULL)
     SELECT column_name, is_nullable, column_default, is_generated FROM information_schema.columns WHERE table_name = 'i1' ORDER BY ordinal_position -> id,NO,∅,NEVER|n,YES,3,NEVER|twice,YES,∅,ALWAYS|name,YES,'it''s'::character varying,NEVER
     SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'silver.i1'::regclass AND contype <> 'n' ORDER BY 1 -> bound,c,CHECK ((((n + id) < 100) OR (name IS NULL)))|i1_n_check,c,CHECK ((n > 0))|pk,p,PRIMARY KEY (id)
     ALTER TABLE silver.i1 DROP CONSTRAINT bound, DROP CONSTRAINT pk, ALTER n DROP DEFAULT, ALTER COLUMN id DROP NOT NULL
     SELECT conname FROM pg_constraint WHERE conrelid = 'silver.i1'::regclass -> i1_n_check
     SELECT column_name FROM information_schema.columns WHERE table_name = 'i1' AND column_default IS NOT NULL -> name`,
  )
})

describe('defaults', () => {
  check(
    'are negative and decimal numbers too',
    `CREATE TABLE silver.n1 (id int)
     INSERT INTO silver.n1 VALUES (1)
     ALTER TABLE silver.n1 ADD COLUMN a numeric(24,2) DEFAULT -3.00
     ALTER TABLE silver.n1 ADD COLUMN b double precision DEFAULT -1.25
     ALTER TABLE silver.n1 ADD COLUMN c smallint DEFAULT -3, ADD CHECK (a > -3.5)
     SELECT * FROM silver.n1 -> 1,-3.00,-1.25,-3`,
  )
})

describe('DESCRIBE', () => {
  check(
    'shows columns, partitions and what the table is',
    `CREATE TABLE silver.s1 (id bigint, name varchar(5), tags text[], day date) PARTITIONED BY (day) COMMENT 'all'
     DESCRIBE silver.s1 -> id,bigint,∅|name,varchar(5),∅|tags,array<string>,∅|day,date,∅|# Partition Information,,|# col_name,data_type,comment|day,date,∅
     CREATE VIEW silver.s2 AS SELECT id, name AS called FROM silver.s1
     DESCRIBE silver.s2 -> id,bigint,∅|called,string,∅
     CREATE TEMP TABLE own (a int, b text)
     DESCRIBE own -> a,int,∅|b,string,∅
     DESCRIBE silver.nosuch -> !42P01
     DESCRIBE silver.s1 nosuch -> !42703`,
  )

  it('EXTENDED, DETAIL and HISTORY tell what Spark tells', async () => {
    const { client } = await connect(gateway)
    const extended = await client.query('DESCRIBE TABLE EXTENDED silver.s1')
    const rows = new Map(extended.rows.map((row) => [row.col_name, row.data_type]))
    expect(rows.get('Name')).toBe('silver.s1')
    expect(rows.get('Comment')).toBe('all')
    expect(rows.get('Location')).toBe(`${gateway.lake}/silver/s1`)
    await client.query('ALTER TABLE silver.s1 SET (delta.checkpointInterval = 5)')
    const [detail] = (await client.query('DESCRIBE DETAIL silver.s1')).rows
    expect(detail.table_features).toBe('appendOnly, deletionVectors, invariants')
    expect(detail.partition_columns).toBe('day')
    const [newest] = (await client.query('DESCRIBE HISTORY silver.s1 LIMIT 1')).rows
    expect(newest).toMatchObject({
      operation: 'SET TBLPROPERTIES',
      read_version: '0',
      isolation_level: 'WriteSerializable',
      is_blind_append: 'f',
    })
    await client.query('ALTER TABLE silver.s1 ADD COLUMN extra int')
    await client.query('ALTER TABLE silver.s1 RENAME COLUMN extra TO more')
    await client.query('ALTER TABLE silver.s1 ADD CONSTRAINT c CHECK (more > 1)')
    const history = await client.query('DESCRIBE HISTORY silver.s1 LIMIT 3')
    expect(
      history.rows.map((row) => [row.operation, JSON.parse(row.operation_parameters)]),
    ).toEqual([
      ['ADD CONSTRAINT', { name: 'c', expr: '(more > 1) IS NOT FALSE' }],
      ['RENAME COLUMN', { oldColumnPath: 'extra', newColumnPath: 'more' }],
      [
        'ADD COLUMNS',
        { columns: '[{"column":{"name":"extra","type":"integer","nullable":true,"metadata":{}}}]' },
      ],
    ])
    await client.end()
  })
})
