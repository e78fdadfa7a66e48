/** SET, SHOW, RESET and pg_settings, as PostgreSQL answers them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, outcome, script, type ScriptClient } from '../support/session-script.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let session: ScriptClient

beforeAll(async () => {
  gateway = await startGateway()
  session = await connect(gateway)
})

afterAll(async () => {
  await session?.client.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

describe('a setting', () => {
  it.each([
    ['statement_timeout', '5000', '5s'],
    ['statement_timeout', "'90min'", '90min'],
    ['statement_timeout', "'1.5s'", '1500ms'],
    ['statement_timeout', "'1d'", '1d'],
    ['statement_timeout', '0', '0'],
    ['idle_session_timeout', "'2h'", '2h'],
    ['work_mem', "'64MB'", '64MB'],
    ['work_mem', '65536', '64MB'],
    ['work_mem', "'1.5GB'", '1536MB'],
    ['temp_buffers', '800', '6400kB'],
    ['vacuum_cost_delay', "'1500us'", '1500us'],
    ['seq_page_cost', '2.5', '2.5'],
    ['seq_page_cost', "'1e3'", '1000'],
    ['extra_float_digits', '2.5', '2'],
    ['extra_float_digits', '-15', '-15'],
    ['geqo_threshold', '3.5', '4'],
    ['enable_seqscan', 'fals', 'off'],
    ['enable_seqscan', 'TRUE', 'on'],
    ['enable_seqscan', '0', 'off'],
    ['synchronous_commit', 'true', 'on'],
    ['bytea_output', 'ESCAPE', 'escape'],
    ['intervalstyle', 'SQL_STANDARD', 'sql_standard'],
    ['client_min_messages', 'debug', 'debug2'],
    ['datestyle', "'SQL, DMY'", 'SQL, DMY'],
    ['datestyle', 'German', 'German, DMY'],
    ['datestyle', 'ymd', 'ISO, YMD'],
    ['timezone', "'europe/berlin'", 'Europe/Berlin'],
    ['timezone', '3', '<+03>-03'],
    ['timezone', '-7', '<-07>+07'],
    ['timezone', "INTERVAL '-08:00' HOUR TO MINUTE", '<-08>+08'],
    ['search_path', 'a, "B c", public', 'a, "B c", public'],
    ['search_path', "'x,y'", '"x,y"'],
    ['search_path', "''", '""'],
    ['application_name', "'häß'", 'h\\xc3\\xa4\\xc3\\x9f'],
    ['lakegate.anything', "'x y'", 'x y'],
    ['sort_mem', "'8MB'", '8MB'],
  ])('%s takes %s and shows %s', async (name, value, shown) => {
    const assign = name === 'timezone' ? `SET TIME ZONE ${value}` : `SET ${name} = ${value}`
    await session.client.query('RESET ALL')
    expect(await outcome(session, assign)).toBe('SET')
    expect(await outcome(session, `SHOW ${name}`)).toBe(shown)
    expect(await outcome(session, `SELECT current_setting('${name}')`)).toBe(shown)
  })

  it.each([
    [
      "SET statement_timeout = '-1'",
      '22023',
      '-1 ms is outside the valid range for parameter "statement_timeout" (0 .. 2147483647)',
    ],
    [
      "SET statement_timeout = '5 parsec'",
      '22023',
      'invalid value for parameter "statement_timeout": "5 parsec"',
    ],
    [
      "SET statement_timeout = 'x'",
      '22023',
      'invalid value for parameter "statement_timeout": "x"',
    ],
    ["SET work_mem = '99999GB'", '22023', 'invalid value for parameter "work_mem": "99999GB"'],
    ['SET work_mem = on', '22023', 'invalid value for parameter "work_mem": "on"'],
    [
      'SET extra_float_digits = 9',
      '22023',
      '9 is outside the valid range for parameter "extra_float_digits" (-15 .. 3)',
    ],
    [
      "SET seq_page_cost = '-1'",
      '22023',
      '-1 is outside the valid range for parameter "seq_page_cost" (0 .. 1.79769e+308)',
    ],
    ["SET jit = 'maybe'", '22023', 'parameter "jit" requires a Boolean value'],
    ["SET bytea_output = 'x'", '22023', 'invalid value for parameter "bytea_output": "x"'],
    [
      "SET bytea_output = 'constructor'",
      '22023',
      'invalid value for parameter "bytea_output": "constructor"',
    ],
    ['SET geqo_threshold = 1, 2', '22023', 'SET geqo_threshold takes only one argument'],
    ["SET DateStyle = 'foo'", '22023', 'invalid value for parameter "DateStyle": "foo"'],
    [
      "SET DateStyle = 'constructor'",
      '22023',
      'invalid value for parameter "DateStyle": "constructor"',
    ],
    ["SET TimeZone = 'x/y'", '22023', 'invalid value for parameter "TimeZone": "x/y"'],
    ['SET TIME ZONE 5.5', '0A000', 'a time zone given by hours and minutes is not supported'],
    [
      "SELECT set_config('search_path', '\"a', false)",
      '22023',
      'invalid value for parameter "search_path": ""a"',
    ],
    [
      "SET default_tablespace = 'x'",
      '22023',
      'invalid value for parameter "default_tablespace": "x"',
    ],
    [
      "SET client_encoding = 'nope'",
      '22023',
      'invalid value for parameter "client_encoding": "nope"',
    ],
    [
      "SET client_encoding = 'LATIN1'",
      '0A000',
      'conversion between LATIN1 and UTF8 is not supported',
    ],
    [
      'SET standard_conforming_strings = off',
      '0A000',
      'standard_conforming_strings = off is not supported',
    ],
    ['SET transform_null_equals = on', '0A000', 'transform_null_equals = on is not supported'],
    ['SET ROLE nobody', '22023', 'role "nobody" does not exist'],
    ['SET SESSION AUTHORIZATION nobody', '22023', 'role "nobody" does not exist'],
    ['SET nothing = 1', '42704', 'unrecognized configuration parameter "nothing"'],
    ['SHOW nothing', '42704', 'unrecognized configuration parameter "nothing"'],
    ['RESET nothing', '42704', 'unrecognized configuration parameter "nothing"'],
    [
      "SELECT current_setting('no.thing')",
      '42704',
      'unrecognized configuration parameter "no.thing"',
    ],
    ['SET "a-b.c" = 1', '42602', 'invalid configuration parameter name "a-b.c"'],
    ["SET server_version = '1'", '55P02', 'parameter "server_version" cannot be changed'],
    [
      'SET max_connections = 4',
      '55P02',
      'parameter "max_connections" cannot be changed without restarting the server',
    ],
    ['SET fsync = off', '55P02', 'parameter "fsync" cannot be changed now'],
    [
      'SET ignore_system_indexes = on',
      '55P02',
      'parameter "ignore_system_indexes" cannot be set after connection start',
    ],
    ['RESET transaction_isolation', '0A000', 'parameter "transaction_isolation" cannot be reset'],
    ["SELECT set_config(NULL, 'x', false)", '22004', 'SET requires parameter name'],
  ])('refuses %s with %s', async (sql, code, message) => {
    await session.client.query('RESET ALL')
    const error: unknown = await session.client.query(sql).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, message })
  })

  it('is set by the startup message, and RESET goes back to that', async () => {
    const options = '-c statement_timeout=7s -c work_mem=8MB'
    const other = await connect(gateway, { options, application_name: 'from startup' })
    expect(await outcome(other, 'SHOW statement_timeout')).toBe('7s')
    await other.client.query("SET application_name = 'other'; RESET ALL")
    expect(await outcome(other, 'SHOW application_name')).toBe('from startup')
    expect(
      await outcome(other, "SELECT setting, source FROM pg_settings WHERE name = 'work_mem'"),
    ).toBe('8192,client')
    await other.client.end()
  })

  it('that is wrong in the startup message keeps the session from beginning', async () => {
    const refused = connect(gateway, { options: '-c work_mem=lots' })
    await expect(refused).rejects.toMatchObject({ code: '22023', severity: 'FATAL' })
  })

  it('that clients follow is told of when it changes, and when it is rolled back', async () => {
    const other = await connect(gateway)
    const told: string[] = []
    const { connection } = other.client as unknown as {
      readonly connection: { on(event: string, listener: (message: unknown) => void): void }
    }
    connection.on('parameterStatus', (message) => {
      const { parameterName, parameterValue } = message as Record<string, string>
      told.push(`${parameterName}=${parameterValue}`)
    })
    await other.client.query("BEGIN; SET TIME ZONE 'Asia/Tokyo'")
    await other.client.query('ROLLBACK')
    expect(told).toEqual(['TimeZone=Asia/Tokyo', 'TimeZone=UTC'])
    await other.client.end()
  })
})

describe('a transaction block', () => {
  const run = (name: string, lines: string): void => script(() => gateway, name, lines)

  run(
    'takes SET back with ROLLBACK and keeps it with COMMIT',
    `BEGIN
     SET work_mem = '11MB'
     ROLLBACK
     SHOW work_mem -> 4MB
     BEGIN; SET work_mem = '11MB'; COMMIT
     SHOW work_mem -> 11MB
     BEGIN; RESET work_mem
     SHOW work_mem -> 4MB
     ROLLBACK
     SHOW work_mem -> 11MB`,
  )

  run(
    'ends SET LOCAL, whatever it ends with',
    `BEGIN; SET LOCAL work_mem = '5MB'
     SHOW work_mem -> 5MB
     COMMIT
     SHOW work_mem -> 4MB
     BEGIN; SET work_mem = '6MB'; SET LOCAL work_mem = '7MB'; COMMIT
     SHOW work_mem -> 6MB
     BEGIN; SET LOCAL work_mem = '8MB'; SET work_mem = '9MB'; COMMIT
     SHOW work_mem -> 9MB
     BEGIN; SET LOCAL work_mem TO DEFAULT
     SHOW work_mem -> 4MB
     COMMIT
     SHOW work_mem -> 9MB
     SET LOCAL work_mem = '5MB' -> SET ~WARNING 25P01
     SHOW work_mem -> 9MB`,
  )

  run(
    'goes back to what a savepoint saw',
    `BEGIN
     SET work_mem = '8MB'
     SAVEPOINT s
     SET work_mem = '9MB'
     SET LOCAL jit = on
     ROLLBACK TO s
     SHOW work_mem -> 8MB
     SHOW jit -> off
     SET LOCAL work_mem = '10MB'
     RELEASE s
     SHOW work_mem -> 10MB
     COMMIT
     SHOW work_mem -> 8MB`,
  )

  run(
    'holds set_config to the same rules',
    `BEGIN
     SELECT set_config('work_mem', '16MB', true) -> 16MB
     SHOW work_mem -> 16MB
     COMMIT
     SHOW work_mem -> 4MB
     SELECT set_config('statement_timeout', '7000', false) -> 7s
     SHOW statement_timeout -> 7s
     SELECT set_config('statement_timeout', NULL, false) -> 0
     SELECT set_config('a.b', 'x' || 1, false), set_config('a.c', 'y', false) -> x1,y
     SHOW a.c -> y
     RESET a.c
     SHOW a.c
     SELECT current_setting('no.such', true) -> ∅`,
  )

  run(
    'has characteristics of its own',
    `SHOW transaction_isolation -> repeatable read
     BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY
     SHOW transaction_isolation -> serializable
     SHOW transaction_read_only -> on
     SET TRANSACTION READ WRITE
     SHOW transaction_read_only -> off
     COMMIT
     SHOW transaction_isolation -> repeatable read
     SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED
     SHOW transaction_read_only -> on
     SHOW TRANSACTION ISOLATION LEVEL -> read committed
     CREATE VIEW gold.never AS SELECT 1 -> !25006
     INSERT INTO silver.orders SELECT * FROM silver.orders -> !25006
     RESET ALL
     SHOW transaction_read_only -> off`,
  )

  run(
    'has its characteristics set before it begins to read',
    `BEGIN; SELECT 1
     SET TRANSACTION ISOLATION LEVEL SERIALIZABLE -> !25001
     ROLLBACK
     BEGIN READ ONLY; SELECT 1
     SET TRANSACTION READ WRITE -> !25001
     ROLLBACK
     BEGIN; SAVEPOINT a
     SET TRANSACTION ISOLATION LEVEL SERIALIZABLE -> !25001
     ROLLBACK
     SET TRANSACTION READ ONLY -> SET ~WARNING 25P01`,
  )

  run(
    'is followed by one like it after AND CHAIN',
    `BEGIN READ ONLY
     COMMIT AND CHAIN
     SHOW transaction_read_only -> on
     ROLLBACK AND CHAIN
     SHOW transaction_read_only -> on
     ROLLBACK
     COMMIT AND CHAIN -> !25P01`,
  )

  run(
    'begins once and ends once',
    `BEGIN
     BEGIN -> BEGIN ~WARNING 25001
     COMMIT
     COMMIT -> COMMIT ~WARNING 25P01
     ROLLBACK -> ROLLBACK ~WARNING 25P01
     SAVEPOINT x -> !25P01
     RELEASE x -> !25P01
     ROLLBACK TO x -> !25P01
     BEGIN; SAVEPOINT a; SAVEPOINT b; RELEASE a
     ROLLBACK TO b -> !3B001
     ROLLBACK
     BEGIN; SAVEPOINT a; SAVEPOINT a
     SELECT 1/0 -> !22012
     SELECT 1 -> !25P02
     ROLLBACK TO a
     RELEASE a
     ROLLBACK TO a
     COMMIT -> COMMIT`,
  )
})

describe('pg_settings', () => {
  const run = (name: string, lines: string): void => script(() => gateway, name, lines)

  run(
    "shows the session's own values in base units",
    `SET work_mem = '8MB'
     SELECT setting, unit, vartype, source, boot_val, reset_val, min_val, context FROM pg_settings WHERE name = 'work_mem' -> 8192,kB,integer,session,4096,4096,64,user
     SELECT category FROM pg_catalog.pg_settings s WHERE s.name = 'work_mem' -> Resource Usage / Memory
     SELECT enumvals FROM pg_settings WHERE name = 'bytea_output' -> {escape,hex}
     SELECT count(*) FROM pg_settings WHERE short_desc = '' AND name LIKE 'enable%' -> 0
     SELECT count(*) > 300 FROM pg_settings -> t
     BEGIN; SET LOCAL work_mem = '13MB'
     SELECT setting FROM pg_settings WHERE name = 'work_mem' -> 13312
     ROLLBACK
     SELECT setting FROM pg_show_all_settings() WHERE name = 'work_mem' -> 8192`,
  )

  run(
    'and its functions may be used in queries over system catalogs',
    `SET statement_timeout = '90s'
     SELECT current_setting('statement_timeout'), relname FROM pg_class WHERE relname = 'pg_class' -> 90s,pg_class
     SELECT current_setting('nope') FROM pg_class -> !42704
     SELECT current_setting('nope', true) FROM pg_class LIMIT 1 -> ∅
     SELECT set_config('work_mem', '9MB', false) FROM pg_show_all_settings() WHERE name = 'work_mem' -> 9MB
     SHOW work_mem -> 9MB
     SELECT set_config(name, '10MB', false) FROM pg_settings WHERE name = 'no such' -> SELECT 0
     SHOW work_mem -> 9MB`,
  )

  it('agrees with SHOW ALL', async () => {
    const { rows } = await session.client.query('SHOW ALL')
    expect(rows.length).toBeGreaterThan(300)
    expect(rows.find(({ name }) => name === 'DateStyle')).toEqual({
      name: 'DateStyle',
      setting: 'ISO, MDY',
      description: 'Sets the display format for date and time values.',
    })
    const answer = await outcome(session, 'SELECT count(*) FROM pg_settings')
    expect(answer).toBe(String(rows.length))
  })
})
