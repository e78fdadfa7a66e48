/** What one session sees of the system catalogs, and what tools ask of a server besides. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { connect, outcome, type ScriptClient } from '../support/session-script.js'

let gateway: TestGateway
let one: ScriptClient
let two: ScriptClient

beforeAll(async () => {
  gateway = await startGateway()
  one = await connect(gateway)
  two = await connect(gateway)
})

afterAll(async () => {
  await one?.client.end()
  await two?.client.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

describe('the system catalogs of a session', () => {
  const tables =
    "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relname IN ('own', 'orders') ORDER BY 1"

  it('show its temporary tables, with the same OID each time, to nobody else', async () => {
    await outcome(one, 'CREATE TEMP TABLE own (id int PRIMARY KEY, t text DEFAULT $$x$$ NOT NULL)')
    expect(await outcome(one, tables)).toBe('orders|own')
    expect(await outcome(two, tables)).toBe('orders')
    const oid = await outcome(one, "SELECT 'own'::regclass::oid")
    expect(await outcome(one, "SELECT 'own'::regclass::oid")).toBe(oid)
    expect(await outcome(two, "SELECT to_regclass('own')")).toBe('∅')
    const columns = `SELECT attname, attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = ${oid} AND attnum > 0`
    expect(await outcome(one, columns)).toBe("id,t,∅|t,t,'x'::text")
    expect(
      await outcome(
        one,
        'SELECT pg_table_is_visible(oid), relpersistence FROM pg_class WHERE oid = pg_my_temp_schema() OR relname = $$own$$',
      ),
    ).toBe('t,t')
    await outcome(one, 'DROP TABLE own')
    expect(await outcome(one, tables)).toBe('orders')
  })

  it('show what its open block has changed, to nobody else', async () => {
    const extra =
      "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'extra'"
    await outcome(one, 'BEGIN')
    await outcome(one, 'ALTER TABLE silver.orders ADD COLUMN extra text')
    await outcome(one, 'CREATE TABLE gold.made (a int)')
    expect(await outcome(one, extra)).toBe('1')
    expect(await outcome(one, "SELECT to_regclass('gold.made')")).toBe('made')
    expect(await outcome(two, extra)).toBe('0')
    expect(await outcome(two, "SELECT to_regclass('gold.made')")).toBe('∅')
    await outcome(one, 'ROLLBACK')
    expect(await outcome(one, extra)).toBe('0')
  })

  it('are joined with tables of the lake', async () => {
    const sql = `SELECT c.relname, c.reltuples::bigint = o.n, c.oid > 16384 FROM pg_class c
      JOIN (SELECT 'orders' AS name, count(*) AS n FROM silver.orders) o ON o.name = c.relname`
    expect(await outcome(one, sql)).toBe('orders,t,t')
    const prepared = await one.client.query({
      text: 'SELECT t.table_type FROM information_schema.tables t, silver.orders WHERE t.table_name = $1 LIMIT 1',
      values: ['orders'],
      rowMode: 'array',
    })
    expect(prepared.rows).toEqual([['BASE TABLE']])
  })

  it.each([
    ["UPDATE pg_class SET relname = 'x'", '!42501'],
    ['DELETE FROM pg_catalog.pg_type', '!42501'],
    ['INSERT INTO information_schema.sql_parts VALUES (1)', '!42501'],
    ['TRUNCATE pg_authid', '!42501'],
    ['CREATE TABLE pg_catalog.mine (a int)', '!42501'],
    ['ALTER TABLE pg_class ADD COLUMN a int', '!42501'],
    ['SELECT nextval(oid::regclass) FROM pg_class LIMIT 1', '!42809'],
    ["SELECT lo_create(0), 'pg_class'::regclass", '!25006'],
  ])('are changed by nobody: %s', async (sql, expected) => {
    expect(await outcome(one, sql)).toBe(expected)
  })
})

describe('an advisory lock', () => {
  it('keeps other sessions waiting until it is given up', async () => {
    expect(await outcome(one, 'SELECT pg_advisory_lock(42)')).toBe('')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(42)')).toBe('f')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(0, 42)')).toBe('t')
    const waiting = outcome(two, 'SELECT pg_advisory_lock(42)')
    await expect
      .poll(() => outcome(one, 'SELECT objid, granted FROM pg_locks WHERE objsubid = 1 ORDER BY 2'))
      .toBe('42,f|42,t')
    expect(await outcome(one, 'SELECT pg_advisory_unlock(42)')).toBe('t')
    expect(await waiting).toBe('')
    expect(await outcome(one, 'SELECT pg_advisory_unlock(42)')).toBe('f ~WARNING 01000')
    expect(await outcome(two, 'SELECT pg_advisory_unlock_all()')).toBe('')
    expect(await outcome(one, 'SELECT count(*) FROM pg_locks')).toBe('0')
  })

  it('is shared, ends with its transaction, and with its savepoint', async () => {
    await outcome(one, 'BEGIN')
    expect(await outcome(one, 'SELECT pg_advisory_xact_lock_shared(7)')).toBe('')
    expect(await outcome(two, 'SELECT pg_try_advisory_xact_lock_shared(7)')).toBe('t')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(7)')).toBe('f')
    await outcome(one, 'SAVEPOINT s')
    await outcome(one, 'SELECT pg_advisory_xact_lock(8)')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(8)')).toBe('f')
    await outcome(one, 'ROLLBACK TO s')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(8)')).toBe('t')
    await outcome(one, 'COMMIT')
    expect(await outcome(two, 'SELECT pg_try_advisory_lock(7)')).toBe('t')
    await outcome(two, 'DISCARD ALL')
    expect(await outcome(one, 'SELECT count(*) FROM pg_locks')).toBe('0')
  })

  it('is not waited for longer than lock_timeout, nor in a circle', async () => {
    await outcome(one, 'SELECT pg_advisory_lock(1)')
    await outcome(two, 'SELECT pg_advisory_lock(2)')
    await outcome(two, "SET lock_timeout = '50ms'")
    expect(await outcome(two, 'SELECT pg_advisory_lock(1)')).toBe('!55P03')
    await outcome(two, 'SET lock_timeout = 0')
    const waiting = outcome(one, 'SELECT pg_advisory_lock(2)')
    await expect
      .poll(() => outcome(two, 'SELECT count(*) FROM pg_locks WHERE NOT granted'))
      .toBe('1')
    expect(await outcome(two, 'SELECT pg_advisory_lock(1)')).toBe('!40P01')
    await outcome(two, 'SELECT pg_advisory_unlock_all()')
    expect(await waiting).toBe('')
    await outcome(one, 'SELECT pg_advisory_unlock_all()')
  })

  it('ends with its session', async () => {
    const other = await connect(gateway)
    await outcome(other, 'SELECT pg_advisory_lock(9)')
    await other.client.end()
    await expect.poll(() => outcome(one, 'SELECT pg_try_advisory_lock(9)')).toBe('t')
    await outcome(one, 'SELECT pg_advisory_unlock(9)')
  })
})

describe('what tools send to any PostgreSQL', () => {
  it('LOCK TABLE makes the block read the table as it is', async () => {
    expect(await outcome(one, 'LOCK TABLE silver.orders')).toBe('!25P01')
    await outcome(one, 'BEGIN')
    expect(await outcome(one, 'LOCK TABLE silver.orders IN ACCESS SHARE MODE')).toBe('LOCK')
    await outcome(two, 'INSERT INTO silver.orders (order_id) VALUES (-5)')
    const counted = 'SELECT count(*) FROM silver.orders WHERE order_id = -5'
    expect(await outcome(one, counted)).toBe('0')
    expect(await outcome(one, 'LOCK silver.customers IN EXCLUSIVE MODE')).toBe('LOCK ~NOTICE 00000')
    await outcome(one, 'COMMIT')
    expect(await outcome(one, counted)).toBe('1')
    await outcome(one, 'BEGIN')
    expect(await outcome(one, 'LOCK silver.nothing')).toBe('!42P01')
    await outcome(one, 'ROLLBACK')
  })

  it('CREATE INDEX makes nothing and says so, or is refused', async () => {
    expect(await outcome(one, 'CREATE INDEX i ON silver.orders (status)')).toBe(
      'CREATE ~NOTICE 00000',
    )
    expect(await outcome(one, 'CREATE INDEX i ON silver.orders (nothing)')).toBe('!42703')
    expect(await outcome(one, 'CREATE INDEX i ON silver.nothing (a)')).toBe('!42P01')
    expect(await outcome(one, 'CREATE UNIQUE INDEX i ON silver.orders (order_id)')).toBe('!0A000')
    await outcome(one, 'SET lakegate.create_index = error')
    expect(await outcome(one, 'CREATE INDEX i ON silver.orders (status)')).toBe('!0A000')
    await outcome(one, 'RESET lakegate.create_index')
  })

  it('pg_terminate_backend ends the session that pg_stat_activity shows', async () => {
    const other = await connect(gateway, { application_name: 'to be ended' })
    const sql =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended'"
    expect(await outcome(one, sql)).toBe('t')
    await expect
      .poll(() =>
        outcome(
          one,
          "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'to be ended'",
        ),
      )
      .toBe('0')
    await other.client.end().catch(() => {})
  })
})
