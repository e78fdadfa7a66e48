/**
 * Goal: GRANT and REVOKE leave exactly the privileges that PostgreSQL's leave, with the same errors and warnings.
 * Method: random GRANTs and REVOKEs by several users on the gateway and on a real PostgreSQL, whose aclitems
 * must be equal afterwards; scripts for default privileges, ownership and what only some may do.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AccessObject } from '../../catalog/access-action.js'
import { aclText } from '../../catalog/access-sql.js'
import { Catalog } from '../../catalog/catalog.js'
import { LocalStore } from '../../storage/local-store.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { findServer, startPostgres } from '../support/servers.mjs'
import { connect } from '../support/session-script.js'
import { Users, userScript } from '../support/user-script.js'

let gateway: TestGateway
let ours: Users
let theirs: Users | undefined
let postgres: { readonly port: number; readonly stop: () => void } | undefined
const work = mkdtempSync(join(tmpdir(), 'lakegate-grants-'))

const SCHEMA = [
  'CREATE ROLE amy LOGIN',
  'CREATE ROLE bea LOGIN',
  'CREATE ROLE cyd LOGIN',
  'CREATE ROLE team',
  'GRANT team TO cyd',
  'CREATE SCHEMA lab',
  'GRANT ALL ON SCHEMA lab TO PUBLIC',
  'CREATE TABLE lab.t (a int, b text)',
  'ALTER TABLE lab.t OWNER TO amy',
  'CREATE VIEW lab.v AS SELECT 1 AS a',
]

beforeAll(async () => {
  gateway = await startGateway()
  ours = new Users((user) => connect(gateway, { user }))
  for (const sql of SCHEMA) await ours.outcome({ user: 'lakegate', sql })
  const bin = findServer()
  if (bin === undefined) return
  postgres = await startPostgres(bin, work)
  const { port = 0 } = postgres ?? {}
  const server = new Users((user) =>
    connect({ ...gateway, port }, { user, database: user === 'lakegate' ? 'postgres' : 'lake' }),
  )
  await server.outcome({ user: 'lakegate', sql: 'CREATE DATABASE lake' })
  await server.close()
  theirs = new Users((user) => connect({ ...gateway, port }, { user, database: 'lake' }))
  for (const sql of SCHEMA) await theirs.outcome({ user: 'lakegate', sql })
}, 120_000)

afterAll(async () => {
  await ours.close()
  await theirs?.close()
  postgres?.stop()
  await gateway.close()
  rmSync(work, { recursive: true, force: true })
  expect(gateway.bugs).toEqual([])
})

const check = (name: string, lines: string): void => userScript(() => gateway, name, lines)

/** Id of the table lab.t by its log. */
function tableId(path: string): Promise<string | null> {
  const folder = join(gateway.lake, path, '_delta_log')
  const ids = readdirSync(folder)
    .filter((name) => /^\d+\.json$/.test(name))
    .sort()
    .flatMap((name) => [
      ...readFileSync(join(folder, name), 'utf8').matchAll(/"metaData":\{"id":"([^"]+)"/g),
    ])
  return Promise.resolve(ids.at(-1)?.[1] ?? null)
}

/** The items of aclitem[] texts, whatever their order. */
const items = (texts: readonly (string | null)[]): readonly (readonly string[])[] =>
  texts.map((text) =>
    (text ?? '')
      .replaceAll(/[{}"]/g, '')
      .split(',')
      .filter((item) => item !== '' && !item.includes('=/'))
      .sort(),
  )

async function ourAcls(): Promise<readonly (readonly string[])[]> {
  const catalog = new Catalog(new LocalStore(gateway.lake), tableId)
  const access = await catalog.access()
  const table: AccessObject = {
    kind: 'table',
    path: 'lab/t',
    id: (await tableId('lab/t')) ?? '',
  }
  const view: AccessObject = { kind: 'view', layer: 'lab', name: 'v' }
  const layer: AccessObject = { kind: 'layer', name: 'lab' }
  const of = (object: AccessObject): string | null => {
    const { acl } = access.of(object)
    // PostgreSQL 15 does not know MAINTAIN.
    return acl === null ? null : aclText(access, acl).replaceAll(/m\*?(?=\/)/g, '')
  }
  const { columns } = access.of(table)
  const column = (name: string): string | null => {
    const acl = columns.get(name)
    return acl === undefined ? null : aclText(access, acl)
  }
  return items([of(table), of(view), of(layer), column('a'), column('b')])
}

async function theirAcls(server: Users): Promise<readonly (readonly string[])[]> {
  const { client } = await server.client('lakegate')
  const { rows } = await client.query(`
    SELECT (SELECT relacl::text FROM pg_class WHERE oid = 'lab.t'::regclass) AS t,
      (SELECT relacl::text FROM pg_class WHERE oid = 'lab.v'::regclass) AS v,
      (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'lab') AS s,
      (SELECT attacl::text FROM pg_attribute WHERE attrelid = 'lab.t'::regclass AND attname = 'a') AS a,
      (SELECT attacl::text FROM pg_attribute WHERE attrelid = 'lab.t'::regclass AND attname = 'b') AS b`)
  const [row] = rows as Record<string, string | null>[]
  return items(['t', 'v', 's', 'a', 'b'].map((name) => row?.[name] ?? null))
}

/** PostgreSQL warns of each system column too, which tables have none of here. */
const once = (outcome: string | undefined): string =>
  [...new Set((outcome ?? '').split(' ~'))].join(' ~')

describe('random grants', () => {
  const user = fc.constantFrom('lakegate', 'amy', 'bea', 'cyd')
  const grantee = fc.constantFrom('amy', 'bea', 'cyd', 'team', 'PUBLIC', 'lakegate')
  const object = fc.oneof(
    fc
      .tuple(
        fc.subarray(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'], {
          minLength: 1,
          maxLength: 3,
        }),
        fc.constantFrom('lab.t', 'lab.v'),
      )
      .map(([names, on]) => `${names.join(', ')} ON ${on}`),
    fc.constantFrom(
      // ALL of a table is more here: PostgreSQL 15 has no MAINTAIN.
      'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON TABLE lab.v',
      'SELECT (a) ON lab.t',
      'SELECT (a, b), UPDATE (b) ON lab.t',
      'SELECT (a), DELETE ON lab.t',
      'ALL (b) ON lab.t',
      'USAGE ON SCHEMA lab',
      'ALL ON SCHEMA lab',
      'SELECT ON ALL TABLES IN SCHEMA lab',
      'DELETE (a) ON lab.t',
      'USAGE ON lab.t',
      'SELECT ON SCHEMA lab',
      'SELECT (nothing) ON lab.t',
    ),
  )
  const statement = fc
    .record({
      user,
      object,
      grantee,
      grants: fc.boolean(),
      option: fc.boolean(),
      cascade: fc.boolean(),
    })
    .map((one) => ({
      user: one.user,
      sql: one.grants
        ? `GRANT ${one.object} TO ${one.grantee}${one.option ? ' WITH GRANT OPTION' : ''}`
        : `REVOKE ${one.option ? 'GRANT OPTION FOR ' : ''}${one.object} FROM ${one.grantee}${one.cascade ? ' CASCADE' : ''}`,
    }))

  it('leave the same privileges, errors and warnings', async () => {
    const server = theirs
    if (server === undefined) return
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { minLength: 5, maxLength: 25 }), async (all) => {
        for (const one of all) {
          const [here, there] = await Promise.all([ours.outcome(one), server.outcome(one)])
          expect({ ...one, outcome: once(here) }).toEqual({ ...one, outcome: once(there) })
        }
        expect(await ourAcls()).toEqual(await theirAcls(server))
      }),
      { seed: 20261121, numRuns: 40, endOnFailure: true },
    )
  }, 600_000)
})

describe('default privileges', () => {
  check(
    'are given to what is made later, by whom they are for and where',
    `CREATE ROLE maker LOGIN
     CREATE ROLE reader LOGIN
     GRANT CREATE, USAGE ON SCHEMA gold TO maker
     GRANT CREATE, USAGE ON SCHEMA bronze TO maker
     GRANT USAGE ON SCHEMA gold, bronze TO reader
     maker: CREATE TABLE gold.before (a int)
     maker: ALTER DEFAULT PRIVILEGES IN SCHEMA gold GRANT SELECT ON TABLES TO reader
     reader: ALTER DEFAULT PRIVILEGES FOR ROLE maker GRANT SELECT ON TABLES TO reader -> !42501
     ALTER DEFAULT PRIVILEGES IN SCHEMA nowhere GRANT SELECT ON TABLES TO reader -> !3F000
     ALTER DEFAULT PRIVILEGES IN SCHEMA gold GRANT USAGE ON SCHEMAS TO reader -> !0LP01
     maker: CREATE TABLE gold.later (a int)
     maker: CREATE TABLE bronze.later (a int)
     maker: CREATE VIEW gold.seen AS SELECT a FROM gold.before
     maker: CREATE TABLE gold.copied AS SELECT 1 AS a
     reader: SELECT count(*) FROM gold.before -> !42501
     reader: SELECT count(*) FROM gold.later -> 0
     reader: SELECT count(*) FROM gold.copied -> 1
     reader: SELECT count(*) FROM gold.seen -> 0
     reader: SELECT count(*) FROM bronze.later -> !42501
     reader: INSERT INTO gold.later VALUES (1) -> !42501
     ALTER DEFAULT PRIVILEGES FOR ROLE maker GRANT INSERT ON TABLES TO PUBLIC
     maker: CREATE TABLE bronze.third (a int)
     reader: INSERT INTO bronze.third VALUES (1) -> INSERT 1
     ALTER DEFAULT PRIVILEGES FOR ROLE maker REVOKE INSERT ON TABLES FROM PUBLIC
     maker: CREATE TABLE bronze.fourth (a int)
     reader: INSERT INTO bronze.fourth VALUES (1) -> !42501
     DROP ROLE reader -> !2BP01
     DROP OWNED BY maker, reader CASCADE
     DROP ROLE maker, reader`,
  )
})

describe('ownership', () => {
  check(
    'goes to who may be become, and takes its privileges along',
    `CREATE ROLE old LOGIN
     CREATE ROLE new LOGIN
     GRANT ALL ON SCHEMA gold TO old
     old: CREATE TABLE gold.owned (a int)
     old: GRANT SELECT ON gold.owned TO new
     old: ALTER TABLE gold.owned OWNER TO new -> !42501
     GRANT new TO old
     old: ALTER TABLE gold.owned OWNER TO new -> !42501
     GRANT USAGE, CREATE ON SCHEMA gold TO new
     old: ALTER TABLE gold.owned OWNER TO new -> ALTER
     REVOKE new FROM old
     old: SELECT * FROM gold.owned -> !42501
     new: SELECT count(*) FROM gold.owned -> 0
     REASSIGN OWNED BY new TO old
     new: SELECT * FROM gold.owned -> !42501
     old: SELECT count(*) FROM gold.owned -> 0
     old: REASSIGN OWNED BY old TO lakegate -> !42501
     new: DROP OWNED BY old -> !42501
     REASSIGN OWNED BY lakegate TO old -> !2BP01
     DROP ROLE old -> !2BP01
     ALTER SCHEMA gold OWNER TO old
     old: CREATE VIEW gold.counted AS SELECT count(*) AS n FROM gold.owned
     old: DROP SCHEMA gold -> !2BP01
     ALTER SCHEMA gold OWNER TO lakegate
     DROP OWNED BY old
     SELECT * FROM gold.owned -> !42P01
     DROP OWNED BY new
     DROP ROLE old, new`,
  )

  check(
    'is not inherited by a table made in the place of a dropped one, nor its past',
    `CREATE ROLE first LOGIN
     CREATE ROLE second LOGIN
     GRANT ALL ON SCHEMA gold TO first, second
     first: CREATE TABLE gold.place (a int)
     first: INSERT INTO gold.place VALUES (1)
     first: GRANT SELECT ON gold.place TO PUBLIC
     second: SELECT * FROM gold.place -> 1
     first: REVOKE SELECT ON gold.place FROM PUBLIC
     first: DROP TABLE gold.place
     second: CREATE TABLE gold.place (b int)
     first: SELECT * FROM gold.place -> !42501
     second: INSERT INTO gold.place VALUES (2)
     second: SELECT * FROM gold.place -> 2
     second: SELECT * FROM gold.place VERSION AS OF 1 -> !42501
     second: RESTORE TABLE gold.place TO VERSION AS OF 1 -> !42501
     second: CREATE TABLE gold.stolen LOCATION 'silver/orders' -> !42501
     second: DROP TABLE gold.place
     first: UNDROP TABLE gold.place -> !42501
     second: UNDROP TABLE gold.place
     DROP OWNED BY first, second
     DROP ROLE first, second`,
  )
})

describe('a view', () => {
  check(
    'reads as its owner what its maker meant, whatever its reader puts in the way',
    `CREATE SCHEMA shown
     CREATE SCHEMA trap
     CREATE TABLE shown.data (a int)
     INSERT INTO shown.data VALUES (1)
     CREATE TABLE trap.data (a int)
     INSERT INTO trap.data VALUES (666)
     CREATE ROLE owner LOGIN
     CREATE ROLE peeker LOGIN
     GRANT ALL ON SCHEMA shown TO owner
     GRANT SELECT ON shown.data TO owner
     owner: SET search_path = shown
     owner: CREATE VIEW shown.only AS SELECT a FROM data
     owner: CREATE VIEW shown.asker WITH (security_invoker = true) AS SELECT a FROM data
     GRANT USAGE ON SCHEMA shown TO peeker
     owner: GRANT SELECT ON shown.only, shown.asker TO peeker
     peeker: SELECT * FROM shown.only -> 1
     peeker: SELECT * FROM shown.asker -> !42501
     peeker: SELECT * FROM shown.data -> !42501
     peeker: SET search_path = trap
     peeker: SELECT * FROM shown.only -> 1
     peeker: CREATE TEMP TABLE data AS SELECT 7 AS a
     peeker: SELECT * FROM shown.only -> 1
     peeker: SELECT a FROM (FROM shown.only) -> 1
     SET search_path = trap
     SELECT * FROM shown.only -> 1
     RESET search_path
     REVOKE SELECT ON shown.data FROM owner
     peeker: SELECT * FROM shown.only -> !42501
     SELECT * FROM shown.only -> !42501
     GRANT SELECT ON shown.data TO owner
     owner: CREATE OR REPLACE VIEW shown.only AS SELECT a + 1 AS a FROM data
     peeker: SELECT * FROM shown.only -> 2
     owner: ALTER VIEW shown.only RENAME TO renamed
     peeker: SELECT * FROM shown.renamed -> 2
     DROP OWNED BY owner, peeker CASCADE
     DROP SCHEMA shown CASCADE
     DROP SCHEMA trap CASCADE
     DROP ROLE owner, peeker`,
  )
})

describe('the past', () => {
  check(
    'is seen with the privileges of now, and a view of the past is not its namesake’s',
    `CREATE SCHEMA olden
     CREATE TABLE olden.data (a int)
     INSERT INTO olden.data VALUES (1)
     CREATE VIEW olden.shown AS SELECT a FROM olden.data
     CREATE ROLE looks LOGIN
     CREATE ROLE other LOGIN
     GRANT USAGE ON SCHEMA olden TO looks, other
     GRANT CREATE ON SCHEMA olden TO other
     GRANT SELECT ON olden.data, olden.shown TO looks
     looks: SELECT pg_sleep(0.05)
     looks: SET lakegate.as_of = 'now'
     looks: SELECT * FROM olden.data -> 1
     looks: SELECT * FROM olden.shown -> 1
     REVOKE SELECT ON olden.data FROM looks
     looks: SELECT * FROM olden.data -> !42501
     looks: SELECT * FROM olden.shown -> 1
     REVOKE SELECT ON olden.shown FROM looks
     looks: SELECT * FROM olden.shown -> !42501
     looks: GRANT SELECT ON olden.data TO looks -> !25006
     DROP VIEW olden.shown
     other: CREATE VIEW olden.shown AS SELECT 1 AS a
     other: GRANT SELECT ON olden.shown TO looks
     looks: SELECT * FROM olden.shown -> !42501
     looks: RESET lakegate.as_of
     looks: SELECT * FROM olden.shown -> 1
     DROP OWNED BY looks, other CASCADE
     DROP SCHEMA olden CASCADE
     DROP ROLE looks, other`,
  )
})

describe('a column', () => {
  check(
    'keeps its privileges under another name, and one made anew has none',
    `CREATE SCHEMA cols
     CREATE TABLE cols.t (a int, b int)
     INSERT INTO cols.t VALUES (1, 2)
     CREATE ROLE looker LOGIN
     GRANT USAGE ON SCHEMA cols TO looker
     GRANT SELECT (a) ON cols.t TO looker
     ALTER TABLE cols.t RENAME COLUMN a TO z
     looker: SELECT z FROM cols.t -> 1
     looker: SELECT b FROM cols.t -> !42501
     ALTER TABLE cols.t ADD COLUMN a int
     looker: SELECT a FROM cols.t -> !42501
     ALTER TABLE cols.t RENAME TO s
     looker: SELECT z FROM cols.s -> 1
     DROP OWNED BY looker
     DROP SCHEMA cols CASCADE
     DROP ROLE looker`,
  )
})

describe('files and sessions', () => {
  check(
    'are for the roles that PostgreSQL has for them',
    `CREATE ROLE plain LOGIN
     CREATE ROLE boss LOGIN SUPERUSER
     GRANT ALL ON SCHEMA gold TO plain
     plain: CREATE TABLE gold.copied_in (a int)
     plain: COPY gold.copied_in FROM '/etc/passwd' -> !42501
     plain: COPY INTO gold.copied_in FROM '/etc' FILEFORMAT = CSV -> !42501
     plain: CONVERT TO DELTA parquet.\`silver/orders\` -> !42501
     plain: COPY gold.copied_in TO '/tmp/x' -> !42501
     plain: COPY gold.copied_in FROM PROGRAM 'ls' -> !42501
     boss: COPY gold.copied_in FROM PROGRAM 'ls' -> !42501
     plain: SELECT count(*) FROM silver.orders -> !42501
     GRANT pg_read_all_data TO plain
     plain: SELECT count(*) > 0 FROM silver.orders -> t
     plain: DELETE FROM silver.orders -> !42501
     GRANT pg_write_all_data TO plain
     plain: BEGIN
     plain: DELETE FROM silver.orders WHERE false -> DELETE 0
     plain: ROLLBACK
     REVOKE pg_read_all_data, pg_write_all_data FROM plain
     plain: OPTIMIZE silver.orders -> !42501
     plain: VACUUM silver.orders -> !42501
     GRANT USAGE ON SCHEMA silver TO plain
     plain: VACUUM silver.orders -> VACUUM ~WARNING 01000
     plain: ANALYZE silver.orders -> ANALYZE ~WARNING 01000
     GRANT pg_maintain TO plain
     plain: OPTIMIZE silver.orders
     REVOKE TEMPORARY ON DATABASE lake FROM PUBLIC
     plain: CREATE TEMP TABLE x (a int) -> !42501
     GRANT TEMPORARY ON DATABASE lake TO PUBLIC
     plain: CREATE TEMP TABLE x (a int)
     plain: LISTEN news
     DROP OWNED BY plain
     DROP ROLE plain
     DROP ROLE boss`,
  )
})
