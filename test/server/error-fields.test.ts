/** What an error tells beside its code: the place in the client's text, and what was violated. */

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
  })
  await client.connect()
  await client.query('CREATE TABLE silver.held (id int NOT NULL, n int CHECK (n > 0))')
  await client.query('CREATE TABLE silver.parts (n int, day text NOT NULL) PARTITIONED BY (day)')
  await client.query('INSERT INTO silver.held VALUES (1, 1)')
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
})

function failure(sql: string, values?: readonly unknown[]): Promise<pg.DatabaseError> {
  return client.query(sql, values as unknown[]).then(
    () => expect.unreachable(`no error: ${sql}`),
    (thrown: pg.DatabaseError) => thrown,
  )
}

it.each([
  ["SELECT '€ä😀', nothing FROM silver.orders", 15],
  ["SELECT '😀'; SELECT '😀', nothing FROM silver.orders", 25],
  ["SELECT '😀' +", 13],
  ["SELECT 1 + 'x'", 12],
  ["SELECT * FROM silver.orders WHERE order_id = 'x'", 46],
  ["SELECT abs(1) + coalesce(1, 'x')", 29],
])('of %s points at character %i', async (sql, position) => {
  expect((await failure(sql)).position).toBe(String(position))
})

it('points at characters in prepared statements too', async () => {
  expect((await failure("SELECT $1::int, '😀', nothing FROM silver.orders", [1])).position).toBe(
    '22',
  )
})

it.each([
  ['INSERT INTO silver.held VALUES (NULL, 1)', '23502', 'held', 'id', undefined],
  ['INSERT INTO silver.held VALUES (1, 0)', '23514', 'held', undefined, 'held_n_check'],
  ['UPDATE silver.held SET id = NULL', '23502', 'held', 'id', undefined],
  ['UPDATE silver.held SET n = -1', '23514', 'held', undefined, 'held_n_check'],
  [
    'MERGE INTO silver.held h USING (SELECT 5) s(id) ON h.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0)',
    '23514',
    'held',
    undefined,
    'held_n_check',
  ],
  ['INSERT INTO silver.parts VALUES (1, NULL)', '23502', 'parts', 'day', undefined],
])('of %s names what is violated', async (sql, code, table, column, constraint) => {
  const error = await failure(sql)
  expect([error.code, error.schema, error.table, error.column, error.constraint]).toEqual([
    code,
    'silver',
    table,
    column,
    constraint,
  ])
})
