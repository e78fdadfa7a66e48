/**
 * Goal: roles that log in, own things and are granted privileges, the same through every gateway of a lake.
 * Method: scripts of several users on two real gateways over one lake, and raw exchanges at login.
 */

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { connect, outcome } from '../support/session-script.js'
import { Users, userScript } from '../support/user-script.js'

let gateway: TestGateway
let other: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
  other = await startGateway({ lake: gateway.lake })
})

afterAll(async () => {
  await other.close()
  await gateway.close()
  expect(gateway.bugs).toEqual([])
  expect(other.bugs).toEqual([])
})

const check = (name: string, lines: string): void => userScript(() => gateway, name, lines)

describe('a role', () => {
  check(
    'is made, altered and dropped in the words of PostgreSQL',
    `CREATE ROLE plain -> CREATE
     CREATE ROLE plain -> !42710
     CREATE ROLE pg_mine -> !42939
     CREATE USER walter -> CREATE
     ALTER ROLE walter CREATEDB CREATEROLE -> ALTER
     ALTER ROLE nobody CREATEDB -> !42704
     ALTER ROLE lakegate NOSUPERUSER -> !42501
     ALTER ROLE pg_monitor CREATEDB -> !42939
     ALTER ROLE walter CREATEDB NOCREATEDB -> !42601
     ALTER ROLE walter CONNECTION LIMIT -2 -> !22023
     ALTER ROLE walter PASSWORD 'md5a3556571e93b0d20722ba62be61e8c2d' -> !0A000
     ALTER ROLE walter VALID UNTIL 'never' -> !22007
     ALTER ROLE walter SET work_mem = '1 parsec' -> !22023
     ALTER ROLE walter SET no_such_thing = 1 -> !42704
     ALTER ROLE walter RENAME TO jesse -> ALTER
     ALTER ROLE walter RENAME TO jesse -> !42704
     DROP ROLE walter -> !42704
     DROP ROLE IF EXISTS walter -> DROP ~NOTICE 00000
     DROP ROLE jesse, plain -> DROP
     DROP ROLE lakegate -> !55006
     DROP ROLE pg_monitor -> !2BP01`,
  )

  check(
    'is kept from what only superusers and CREATEROLE may do',
    `CREATE ROLE maker LOGIN CREATEROLE
     CREATE ROLE small LOGIN
     small: CREATE ROLE x -> !42501
     small: ALTER ROLE small PASSWORD 'mine' -> ALTER
     small: ALTER ROLE maker PASSWORD 'mine' -> !42501
     small: ALTER ROLE small CREATEROLE -> !42501
     small: DROP ROLE maker -> !42501
     maker: CREATE ROLE made LOGIN -> CREATE
     maker: CREATE ROLE boss SUPERUSER -> !42501
     maker: CREATE ROLE builder CREATEDB -> !42501
     maker: ALTER ROLE made CONNECTION LIMIT 3 -> ALTER
     maker: ALTER ROLE made SUPERUSER -> !42501
     maker: ALTER ROLE small CONNECTION LIMIT 3 -> !42501
     maker: ALTER ROLE lakegate CONNECTION LIMIT 3 -> !42501
     maker: GRANT made TO small -> GRANT
     maker: GRANT pg_read_all_data TO small -> !42501
     maker: DROP ROLE small -> !42501
     maker: DROP ROLE made -> DROP
     DROP ROLE maker, small -> DROP`,
  )

  check(
    'is a member of others with and without INHERIT, SET and ADMIN',
    `CREATE ROLE readers
     CREATE ROLE ann LOGIN
     CREATE ROLE ben LOGIN
     GRANT USAGE ON SCHEMA silver TO readers
     GRANT SELECT ON silver.orders TO readers
     ann: SELECT count(*) > 0 FROM silver.orders -> !42501
     GRANT readers TO ann WITH INHERIT FALSE -> GRANT
     GRANT readers TO ann WITH INHERIT FALSE -> GRANT ~NOTICE 00000
     ann: SELECT count(*) > 0 FROM silver.orders -> !42501
     ann: SET ROLE readers
     ann: SELECT current_user, session_user -> readers,ann
     ann: SELECT count(*) > 0 FROM silver.orders -> t
     ann: RESET ROLE
     GRANT readers TO ann WITH INHERIT TRUE, SET FALSE
     ann: SELECT count(*) > 0 FROM silver.orders -> t
     ann: SET ROLE readers -> !42501
     ann: GRANT readers TO ben -> !42501
     GRANT readers TO ann WITH ADMIN OPTION
     ann: GRANT readers TO ben -> GRANT
     ben: SELECT count(*) > 0 FROM silver.orders -> t
     GRANT ann TO readers -> !0LP01
     REVOKE ADMIN OPTION FOR readers FROM ann -> !2BP01
     REVOKE ADMIN OPTION FOR readers FROM ann CASCADE -> REVOKE
     ben: SELECT count(*) > 0 FROM silver.orders -> !42501
     REVOKE readers FROM ann -> REVOKE
     REVOKE readers FROM ann -> REVOKE ~WARNING 01000
     ann: SELECT count(*) > 0 FROM silver.orders -> !42501
     DROP ROLE readers -> !2BP01
     DROP OWNED BY readers
     DROP ROLE readers, ann, ben`,
  )

  check(
    'is set for a session, a transaction and a savepoint, and only where it may be',
    `CREATE ROLE team
     CREATE ROLE cara LOGIN
     GRANT team TO cara
     SELECT current_user, session_user -> lakegate,lakegate
     SET SESSION AUTHORIZATION cara
     SELECT current_user, session_user -> cara,cara
     SHOW is_superuser -> off
     SET ROLE lakegate -> !42501
     SELECT count(*) FROM silver.orders -> !42501
     SET ROLE team
     SELECT current_user, session_user -> team,cara
     RESET SESSION AUTHORIZATION
     SELECT current_user, session_user -> lakegate,lakegate
     SHOW is_superuser -> on
     cara: SET SESSION AUTHORIZATION lakegate -> !42501
     cara: SELECT set_config('session_authorization', 'lakegate', false) -> !42501
     cara: SELECT set_config('role', 'lakegate', false) -> !42501
     cara: SET ROLE nobody -> !22023
     cara: BEGIN
     cara: SET LOCAL ROLE team
     cara: SELECT current_user -> team
     cara: COMMIT
     cara: SELECT current_user -> cara
     cara: BEGIN
     cara: SET ROLE team
     cara: ROLLBACK
     cara: SELECT current_user -> cara
     cara: SET ROLE team
     REVOKE team FROM cara
     cara: SELECT 1 FROM silver.orders -> !42501
     cara: RESET ROLE
     cara: SET work_mem = '1MB'
     cara: SET track_activities = off -> !42501
     DROP ROLE team, cara`,
  )

  it('is known to all gateways of the lake at once, and a revocation counts for what is prepared', async () => {
    const one = new Users((user) => connect(gateway, { user }))
    const two = new Users((user) => connect(other, { user }))
    const root = async (sql: string): Promise<string> => one.outcome({ user: 'lakegate', sql })
    const far = async (sql: string): Promise<string> => two.outcome({ user: 'dora', sql })
    await root('CREATE ROLE dora LOGIN')
    expect(await far('PREPARE p AS SELECT count(*) FROM silver.orders')).toBe('!42501')
    await root('GRANT USAGE ON SCHEMA silver TO dora')
    expect(await far('PREPARE p AS SELECT count(*) FROM silver.orders')).toBe('PREPARE')
    expect(await far('EXECUTE p')).toBe('!42501')
    await root('GRANT SELECT ON silver.orders TO dora')
    expect(await far('EXECUTE p')).not.toMatch(/^!/)
    await root('REVOKE SELECT ON silver.orders FROM dora')
    expect(await far('EXECUTE p')).toBe('!42501')
    expect(await root('DROP ROLE dora')).toBe('!2BP01')
    await root('DROP OWNED BY dora')
    await root('DROP ROLE dora')
    expect(await far('SELECT 1 FROM silver.orders')).toBe('!28000')
    await one.close()
    await two.close()
  })

  it('loses no grant where gateways race', async () => {
    const root = await connect(gateway)
    const names = Array.from({ length: 12 }, (_, i) => `racer${i}`)
    const sessions = await Promise.all(names.map((_, i) => connect(i % 2 === 0 ? other : gateway)))
    const made = sessions.map(async (session, i) => {
      await outcome(session, `CREATE ROLE ${names[i]} LOGIN`)
      return outcome(session, `GRANT SELECT ON bronze.events TO ${names[i]}`)
    })
    expect(new Set(await Promise.all(made))).toEqual(new Set(['GRANT']))
    await outcome(root, `GRANT USAGE ON SCHEMA bronze TO ${names.join(', ')}`)
    const seen = await Promise.all(
      names.map(async (name, i) => {
        const client = await connect(i % 2 === 0 ? other : gateway, { user: name })
        const answer = await outcome(client, 'SELECT count(*) >= 0 FROM bronze.events')
        await client.client.end()
        return answer
      }),
    )
    expect(new Set(seen)).toEqual(new Set(['t']))
    await outcome(root, `DROP OWNED BY ${names.join(', ')}`)
    await outcome(root, `DROP ROLE ${names.join(', ')}`)
    for (const { client } of [root, ...sessions]) await client.end()
  })
})

describe('statements about roles', () => {
  check(
    'are taken back by ROLLBACK, and seen by nobody before COMMIT',
    `CREATE ROLE eve LOGIN
     GRANT USAGE ON SCHEMA silver TO eve
     BEGIN
     GRANT SELECT ON silver.orders TO eve
     CREATE ROLE ghost
     eve: SELECT 1 FROM silver.orders LIMIT 1 -> !42501
     ROLLBACK
     eve: SELECT 1 FROM silver.orders LIMIT 1 -> !42501
     DROP ROLE ghost -> !42704
     BEGIN
     CREATE ROLE ghost
     GRANT SELECT ON silver.orders TO ghost
     SAVEPOINT s
     GRANT ghost TO eve
     ROLLBACK TO s
     COMMIT
     eve: SELECT 1 FROM silver.orders LIMIT 1 -> !42501
     BEGIN
     GRANT ghost TO eve
     COMMIT
     eve: SELECT 1 FROM silver.orders LIMIT 1 -> 1
     BEGIN
     CREATE SCHEMA fresh
     CREATE TABLE fresh.t (a int)
     INSERT INTO fresh.t VALUES (7)
     CREATE VIEW fresh.v AS SELECT a FROM fresh.t
     GRANT USAGE ON SCHEMA fresh TO eve
     GRANT SELECT ON fresh.t, fresh.v TO eve
     ALTER TABLE fresh.t OWNER TO ghost
     COMMIT
     eve: SELECT a FROM fresh.t -> 7
     eve: SELECT a FROM fresh.v -> 7
     DROP SCHEMA fresh CASCADE
     BEGIN READ ONLY
     GRANT ghost TO eve -> !25006
     ROLLBACK
     DROP OWNED BY ghost, eve
     DROP ROLE ghost, eve`,
  )
})

describe('login', () => {
  const login = async (
    port: { readonly port: number },
    user: string,
    password: string | undefined,
  ): Promise<string> => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: port.port,
      user,
      database: 'lake',
      ...(password === undefined ? {} : { password }),
    })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query('SELECT current_user AS name')
      return `in as ${rows[0].name}`
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string }
      return `${code} ${message}`
    } finally {
      await client.end().catch(() => {})
    }
  }

  it('is by SCRAM for whoever has a password, and tells wrong names from wrong passwords by nothing', async () => {
    const { client } = await connect(gateway)
    await client.query("CREATE ROLE frank LOGIN PASSWORD 'right'")
    await client.query("CREATE ROLE closed NOLOGIN PASSWORD 'right'")
    await client.query("CREATE ROLE past LOGIN PASSWORD 'right' VALID UNTIL '2020-01-01'")
    await client.query("CREATE ROLE later LOGIN PASSWORD 'right' VALID UNTIL 'infinity'")
    for (const one of [gateway, other]) {
      expect(await login(one, 'frank', 'right')).toBe('in as frank')
      expect(await login(one, 'later', 'right')).toBe('in as later')
      const refused = (user: string): string =>
        `28P01 password authentication failed for user "${user}"`
      expect(await login(one, 'frank', 'wrong')).toBe(refused('frank'))
      expect(await login(one, 'francis', 'wrong')).toBe(refused('francis'))
      expect(await login(one, 'past', 'right')).toBe(refused('past'))
      expect(await login(one, 'closed', 'right')).toBe(
        '28000 role "closed" is not permitted to log in',
      )
      expect(await login(one, 'closed', 'wrong')).toBe(refused('closed'))
    }
    await client.query('REVOKE CONNECT ON DATABASE lake FROM PUBLIC')
    expect(await login(gateway, 'frank', 'right')).toBe(
      '42501 permission denied for database "lake"',
    )
    await client.query('GRANT CONNECT ON DATABASE lake TO PUBLIC')
    await client.query('ALTER ROLE frank PASSWORD NULL')
    expect(await login(gateway, 'frank', undefined)).toBe('in as frank')
    await client.query('DROP ROLE frank, closed, past, later')
    expect(await login(gateway, 'frank', 'right')).toBe('in as frank')
    await client.end()
  })

  it('is for as many sessions as the role may have', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE ROLE few LOGIN CONNECTION LIMIT 1')
    const first = await connect(gateway, { user: 'few' })
    expect(await login(gateway, 'few', undefined)).toBe('53300 too many connections for role "few"')
    await first.client.end()
    await client.query('DROP ROLE few')
    await client.end()
  })

  it('begins with the settings of the role, which the client may say otherwise', async () => {
    const { client } = await connect(gateway)
    await client.query('CREATE ROLE gina LOGIN')
    await client.query('ALTER ROLE gina SET search_path = gold, silver')
    await client.query("ALTER ROLE gina SET TimeZone = 'Europe/Berlin'")
    const gina = await connect(gateway, { user: 'gina' })
    expect(await outcome(gina, 'SHOW search_path')).toBe('gold, silver')
    expect(await outcome(gina, 'SHOW TimeZone')).toBe('Europe/Berlin')
    await gina.client.end()
    const told = await connect(gateway, { user: 'gina', options: '-c timezone=UTC' })
    expect(await outcome(told, 'SHOW TimeZone')).toBe('UTC')
    await told.client.end()
    await client.query('DROP ROLE gina')
    await client.end()
  })

  it('with the gateway’s password is for the superuser, and for roles by theirs', async () => {
    const closed = await startGateway({ lake: gateway.lake, password: 'master' })
    const { client } = await connect(gateway)
    await client.query("CREATE ROLE hugo LOGIN PASSWORD 'own'")
    await client.query('CREATE ROLE bare LOGIN')
    expect(await login(closed, 'lakegate', 'master')).toBe('in as lakegate')
    expect(await login(closed, 'hugo', 'own')).toBe('in as hugo')
    expect(await login(closed, 'hugo', 'master')).toMatch(/^28P01 /)
    expect(await login(closed, 'bare', '')).toMatch(/^28P01 |^undefined/)
    expect(await login(closed, 'nobody', 'master')).toMatch(/^28P01 /)
    await client.query('DROP ROLE hugo, bare')
    await client.end()
    await closed.close()
  })

  it('keeps no clear password anywhere in the lake', async () => {
    const { execFileSync } = await import('node:child_process')
    const { client } = await connect(gateway)
    await client.query("CREATE ROLE ida LOGIN PASSWORD 'a-secret-nobody-writes-down'")
    await client.query("ALTER ROLE ida PASSWORD 'another-secret-nobody-writes-down'")
    await client.query('DROP ROLE ida')
    await client.end()
    const found = execFileSync(
      'sh',
      ['-c', `grep -rl nobody-writes-down ${gateway.lake} || true`],
      { encoding: 'utf8' },
    )
    expect(found).toBe('')
  })
})
