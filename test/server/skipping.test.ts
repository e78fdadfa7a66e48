/**
 * Goal: leaving files out never changes an answer.
 * Method: random predicates over the demonstration lake, each counted twice, as it stands and
 * inside a CASE that no pruning looks into.
 */

import fc from 'fast-check'
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
  expect(gateway.bugs).toEqual([])
})

const operator = fc.constantFrom('=', '<>', '<', '<=', '>', '>=')
const id = fc.integer({ min: -10, max: 1300 })
const amount = fc.integer({ min: 0, max: 10_000 }).map((cents) => (cents / 100).toFixed(2))
const country = fc.constantFrom("'DE'", "'FR'", "'US'", "'JP'", "'XX'", "''", "'É'")
const status = fc.constantFrom("'open'", "'paid'", "'shipped'", "'nothing'")
const moment = fc
  .integer({ min: 0, max: 400 })
  .map((hours) => `'${new Date(Date.UTC(2026, 0, 1) + hours * 3_600_000).toISOString()}'`)

const leaf = fc.oneof(
  fc.tuple(operator, id).map(([op, value]) => `order_id ${op} ${value}`),
  fc.tuple(operator, id).map(([op, value]) => `${value} ${op} o.order_id`),
  fc.tuple(operator, amount).map(([op, value]) => `amount ${op} ${value}`),
  // Conversions that cut or round are not what the column's bounds are of.
  fc.tuple(operator, id).map(([op, value]) => `amount::numeric(12,0) ${op} ${value}`),
  fc.tuple(operator, country).map(([op, value]) => `country::varchar(1) ${op} ${value}`),
  fc.tuple(operator, country).map(([op, value]) => `country ${op} ${value}`),
  fc.tuple(operator, status).map(([op, value]) => `status ${op} ${value}`),
  fc.tuple(operator, moment).map(([op, value]) => `ordered_at ${op} ${value}`),
  fc.tuple(id, id).map(([low, high]) => `order_id BETWEEN ${low} AND ${high}`),
  fc.tuple(id, id).map(([low, high]) => `order_id NOT BETWEEN ${low} AND ${high}`),
  fc
    .array(country, { minLength: 1, maxLength: 3 })
    .map((list) => `country IN (${list.join(', ')})`),
  fc
    .array(id, { minLength: 1, maxLength: 3 })
    .map((list) => `order_id NOT IN (${list.join(', ')})`),
  fc.constantFrom(
    "status LIKE 'o%'",
    "status NOT LIKE 'pa%'",
    "country LIKE 'D_'",
    "status LIKE '%d'",
  ),
  fc.constantFrom(
    'status IS NULL',
    'country IS NOT NULL',
    'amount IS NULL',
    'NOT (country IS NULL)',
  ),
  fc.constantFrom('order_id = NULL', 'country <> NULL', 'order_id % 7 = 3', 'length(country) = 2'),
)

const predicate = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a} AND ${b})`),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a} OR ${b})`),
    tie('tree').map((a) => `NOT (${a})`),
  ),
})).tree

async function count(from: string, where: string): Promise<unknown> {
  const { rows } = await client.query(`SELECT count(*) AS n FROM ${from} WHERE ${where}`)
  return rows[0]?.n
}

it('rows with skipping are the rows without', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 5 }), predicate, async (version, where) => {
      const from = `silver.orders VERSION AS OF ${version} o`
      expect(await count(from, where)).toBe(
        await count(from, `CASE WHEN ${where} THEN true ELSE false END`),
      )
    }),
    { numRuns: Number(process.env.LAKEGATE_SKIPPING_RUNS ?? 150), seed: 11 },
  )
})

it('rows of an outer join with skipping are the rows without', async () => {
  const from =
    'silver.customers c LEFT JOIN silver.orders o ON c.customer_id = o.customer_id AND o.order_id < 300'
  await fc.assert(
    fc.asyncProperty(predicate, async (where) => {
      const qualified = where.replace(
        /(?<![.\w'])(order_id|amount|country|status|ordered_at)\b/g,
        'o.$1',
      )
      expect(await count(from, qualified)).toBe(
        await count(from, `CASE WHEN ${qualified} THEN true ELSE false END`),
      )
    }),
    { numRuns: 60, seed: 12 },
  )
})

it('skips what cannot match', async () => {
  const { rows } = await client.query(
    "EXPLAIN SELECT * FROM silver.orders WHERE country = 'DE' AND order_id >= 1000",
  )
  expect(rows[0]?.['QUERY PLAN']).toContain(
    '1 of 12 files (3 after partition pruning, 1 after statistics)',
  )
})
