/**
 * Goal: system catalogs tell the truth about roles, memberships, owners and privileges, to each role.
 * Method: what psql's \du, \dp, \dn+, \ddp and \drg ask, and has_*_privilege, over grants made before.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { Users, userScript } from '../support/user-script.js'
import { connect } from '../support/session-script.js'

let gateway: TestGateway

const SETUP = [
  'CREATE ROLE analysts',
  "CREATE ROLE ann LOGIN CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2099-01-01 00:00:00+00'",
  'CREATE ROLE "Odd Name" LOGIN',
  'GRANT analysts TO ann WITH ADMIN OPTION, INHERIT FALSE',
  'ALTER ROLE ann SET search_path = gold, silver',
  'GRANT USAGE ON SCHEMA silver TO analysts',
  'GRANT USAGE, CREATE ON SCHEMA gold TO ann',
  'GRANT SELECT, UPDATE ON silver.orders TO ann WITH GRANT OPTION',
  'GRANT SELECT (customer_id) ON silver.customers TO analysts',
  'GRANT SELECT ON silver.customers TO "Odd Name"',
  'ALTER DEFAULT PRIVILEGES FOR ROLE ann IN SCHEMA gold GRANT SELECT ON TABLES TO analysts',
  'REVOKE TEMPORARY ON DATABASE lake FROM PUBLIC',
]

beforeAll(async () => {
  gateway = await startGateway()
  const users = new Users((user) => connect(gateway, { user }))
  for (const sql of SETUP) {
    expect(`${sql}: ${await users.outcome({ user: 'lakegate', sql })}`).not.toContain(': !')
  }
  for (const sql of [
    'GRANT SELECT ON silver.orders TO analysts',
    'CREATE TABLE gold.hers (a int)',
    'CREATE VIEW gold.seen AS SELECT a FROM gold.hers',
  ]) {
    // What ann grants is hers to take back.
    if (sql.startsWith('GRANT')) {
      await users.outcome({ user: 'lakegate', sql: 'GRANT USAGE ON SCHEMA silver TO ann' })
    }
    expect(`${sql}: ${await users.outcome({ user: 'ann', sql })}`).not.toContain(': !')
  }
  await users.close()
}, 60_000)

afterAll(async () => {
  await gateway.close()
  expect(gateway.bugs).toEqual([])
})

const check = (name: string, lines: string): void => userScript(() => gateway, name, lines)

describe('system catalogs', () => {
  check(
    'show roles and memberships',
    `SELECT rolname, rolsuper, rolinherit, rolcreatedb, rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1 -> Odd Name,f,t,f,t,-1|analysts,f,t,f,f,-1|ann,f,t,t,t,5|lakegate,t,t,t,t,-1
     SELECT rolvaliduntil AT TIME ZONE 'UTC' FROM pg_roles WHERE rolname = 'ann' -> 2099-01-01 00:00:00
     SELECT r.rolname, m.rolname, g.rolname, admin_option, inherit_option, set_option FROM pg_auth_members a JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member JOIN pg_roles g ON g.oid = grantor WHERE r.rolname = 'analysts' -> analysts,ann,lakegate,t,f,t
     SELECT setconfig FROM pg_db_role_setting -> {"search_path=gold, silver"}
     SELECT rolpassword FROM pg_authid WHERE rolname = 'ann' -> ∅
     SELECT pg_has_role('ann', 'analysts', 'MEMBER'), pg_has_role('ann', 'analysts', 'USAGE') -> t,f`,
  )

  check(
    'show owners and privileges as PostgreSQL prints them',
    `SELECT relacl FROM pg_class WHERE oid = 'silver.orders'::regclass -> {lakegate=arwdDxtm/lakegate,ann=r*w*/lakegate,analysts=r/ann}
     SELECT relacl FROM pg_class WHERE oid = 'silver.customers'::regclass -> {lakegate=arwdDxtm/lakegate,"\\"Odd Name\\"=r/lakegate"}
     SELECT attacl FROM pg_attribute WHERE attrelid = 'silver.customers'::regclass AND attname = 'customer_id' -> {analysts=r/lakegate}
     SELECT nspacl FROM pg_namespace WHERE nspname = 'gold' -> {lakegate=UC/lakegate,ann=UC/lakegate}
     SELECT pg_get_userbyid(relowner), relacl FROM pg_class WHERE oid = 'gold.hers'::regclass -> ann,{ann=arwdDxtm/ann,analysts=r/ann}
     SELECT viewowner FROM pg_views WHERE viewname = 'seen' -> ann
     SELECT pg_get_userbyid(defaclrole), defaclobjtype, defaclacl FROM pg_default_acl -> ann,r,{analysts=r/ann}
     SELECT has_table_privilege('ann', 'silver.orders', 'UPDATE WITH GRANT OPTION'), has_table_privilege('ann', 'silver.orders', 'DELETE') -> t,f
     SELECT has_table_privilege('analysts', 'silver.orders', 'SELECT'), has_column_privilege('analysts', 'silver.customers', 'customer_id', 'SELECT'), has_any_column_privilege('analysts', 'silver.customers', 'UPDATE') -> t,t,f
     SELECT has_schema_privilege('analysts', 'gold', 'USAGE'), has_schema_privilege('ann', 'gold', 'CREATE') -> f,t
     SELECT has_database_privilege('ann', 'lake', 'TEMP'), has_database_privilege('ann', 'lake', 'CONNECT') -> f,t`,
  )

  check(
    'answer each role as itself',
    `SELECT current_user -> lakegate
     ann: SELECT current_user, session_user -> ann,ann
     ann: SELECT has_table_privilege('silver.orders', 'UPDATE'), has_table_privilege('silver.customers', 'SELECT') -> t,f
     ann: SELECT table_name FROM information_schema.tables WHERE table_schema IN ('silver', 'gold') ORDER BY 1 -> hers|orders|seen
     ann: SELECT rolpassword FROM pg_authid -> !42501
     ann: SET ROLE analysts
     ann: SELECT current_user, has_table_privilege('silver.orders', 'UPDATE') FROM pg_class LIMIT 1 -> analysts,f
     ann: SELECT privilege_type FROM information_schema.table_privileges WHERE table_name = 'orders' AND grantee = 'analysts' -> SELECT
     ann: SELECT DISTINCT query FROM pg_stat_activity WHERE usename = 'lakegate' -> <insufficient privilege>
     ann: RESET ROLE
     SELECT count(*) > 3 FROM information_schema.tables WHERE table_schema IN ('silver', 'gold', 'bronze') -> t`,
  )

  it('follow a change within the next statement, and keep passwords to themselves', async () => {
    const users = new Users((user) => connect(gateway, { user }))
    const root = (sql: string): Promise<string> => users.outcome({ user: 'lakegate', sql })
    const may = "SELECT has_table_privilege('ann', 'bronze.events', 'SELECT')"
    expect(await root(may)).toBe('f')
    await root('GRANT SELECT ON bronze.events TO ann')
    expect(await root(may)).toBe('t')
    await root('REVOKE SELECT ON bronze.events FROM ann')
    expect(await root(may)).toBe('f')
    await root("CREATE ROLE told LOGIN PASSWORD 'said-aloud'")
    const seen = await users.outcome({
      user: 'ann',
      sql: "SELECT string_agg(query, '|') FROM pg_stat_activity",
    })
    expect(seen).not.toContain('said-aloud')
    const boss = await connect(gateway)
    const { rows } = await boss.client.query('SELECT query FROM pg_stat_activity')
    expect(JSON.stringify(rows)).not.toContain('said-aloud')
    await boss.client.end()
    await root('DROP ROLE told')
    await users.close()
  })
})
