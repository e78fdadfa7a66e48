/** Values cast to text while a query runs: as PostgreSQL's output functions print them. */

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
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
})

// A parameter keeps the cast from being done before the query runs.
it.each([
  ['float4', '1000000', '1e+06'],
  ['float4', '-16777216', '-1.6777216e+07'],
  ['float4', '1234567', '1.234567e+06'],
  ['float8', '1e15', '1e+15'],
  [
    'numeric(38,38)',
    '0.00000000000000000000000000000000000001',
    '0.00000000000000000000000000000000000001',
  ],
  ['numeric(38,38)', '-0.5', '-0.50000000000000000000000000000000000000'],
  ['numeric(4,4)', '-0.5', '-0.5000'],
  ['bool[]', '{t,f,NULL}', '{t,f,NULL}'],
  ['bool[]', '{{t},{f}}', '{{t},{f}}'],
  ['bpchar(3)[]', '{a,abc}', '{"a  ",abc}'],
])('%s %s becomes %s', async (type, input, text) => {
  const { rows } = await client.query(`SELECT ($1::${type})::text AS v`, [input])
  expect(rows[0].v).toBe(text)
})
