/** Texts of a column read while a query runs: what PostgreSQL 15 answered to the same casts. */

import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let client: pg.Client

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
    types: { getTypeParser: () => (value: unknown) => value },
  })
  await client.connect()
  await client.query('CREATE TABLE silver.texts (c text)')
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
})

/** The value of the text in a column, or the SQLSTATE. */
async function read(type: string, text: string): Promise<string> {
  await client.query('DELETE FROM silver.texts')
  await client.query('INSERT INTO silver.texts VALUES ($1)', [text])
  return client.query(`SELECT c::${type} AS v FROM silver.texts`).then(
    ({ rows }) => rows[0].v as string,
    (error: pg.DatabaseError) => error.code ?? String(error),
  )
}

it.each([
  ['date', '2024-01-02', '2024-01-02'],
  ['date', '0001-12-31 BC', '0001-12-31 BC'],
  ['date', '4714-11-24 BC', '4714-11-24 BC'],
  ['date', '4714-11-23 BC', '22008'],
  ['date', '5874897-12-31', '5874897-12-31'],
  ['date', '5874898-01-01', '22008'],
  ['date', '0000-01-01', '22008'],
  ['date', '2023-02-29', '22008'],
  ['date', '20240102', '2024-01-02'],
  ['date', ' infinity ', 'infinity'],
  ['date', 'inf', '22007'],
  ['date', 'abc', '22007'],
  ['date', '2024-01-02 25:00:00', '22008'],
  ['timestamp', '0001-12-31 23:00:00 BC', '0001-12-31 23:00:00 BC'],
  ['timestamp', '2024-01-02 03:04:05 -0800', '2024-01-02 03:04:05'],
  ['timestamp', '0000-01-01', '22008'],
  ['timestamptz', '2024-01-02 03:04:05 -0800', '2024-01-02 11:04:05+00'],
  ['timestamptz', '2024-01-02T03:04:05+5', '2024-01-01 22:04:05+00'],
  ['timestamptz', '2024-07-02 03:04:05 Europe/Berlin', '2024-07-02 01:04:05+00'],
  ['time(1)', '24:00:00', '24:00:00'],
  ['timetz', '03:04:05+05:30', '03:04:05+05:30'],
  ['interval', '1 year -2 days 03:04:05.6', '1 year -2 days +03:04:05.6'],
  ['interval', 'abc', '22007'],
  ['float8', '1e400', '22003'],
  ['float8', '1e-400', '22003'],
  ['float8', '0e500', '0'],
  ['float8', '1_000', '22P02'],
  ['float8', '-Infinity', '-Infinity'],
  ['float4', '1e39', '22003'],
  ['float4', '1e-46', '22003'],
  ['int2', '32768', '22003'],
  ['int8', '9223372036854775808', '22003'],
  ['oid', '4294967296', '22003'],
  ['oid', '-1', '4294967295'],
  ['oid', '1.5', '22P02'],
  ['numeric(10,2)', '1e20', '22003'],
  ['numeric(10,2)', 'inf', '22003'],
  ['bool', '\ttrue\n', 't'],
  ['uuid', '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['uuid', 'a-0eebc999c0b4ef8bb6d6bb9bd380a11', '22P02'],
  ['bytea', 'a\\001b', '\\x610162'],
  ['bytea', 'a\\b', '22P02'],
  ['name', 'é'.repeat(40), 'é'.repeat(31)],
  ['"char"', '\\377', '\\377'],
  ['json', '{"a":1,}', '22P02'],
  ['json', '{"a":",}"}', '{"a":",}"}'],
  ['jsonb', 'NaN', '22P02'],
  ['jsonb', '"\\u0000"', '22P05'],
  ['jsonb', '{"bb":1,"a":2,"a":3}', '{"a": 3, "bb": 1}'],
])('as %s, %j is %j', async (type, text, expected) => {
  expect(await read(type, text)).toBe(expected)
})

it.each([
  ['date', '1/2/2024'],
  ['date', '24-01-02'],
  ['timestamp', '2024-01-02 03:04:05.1234567'],
  ['timestamptz', '2024-07-02 03:04:05 PST'],
  ['time', '03:04:05 PM'],
  ['interval', '1 day 1 day'],
  ['interval day', '1 day'],
  ['numeric', '1e-45'],
  ['float8', '0x1F'],
  ['jsonb::text', '{"bb":1,"a":2}'],
])('as %s, %j is refused rather than misread', async (type, text) => {
  expect(await read(type, text)).toBe('0A000')
})
