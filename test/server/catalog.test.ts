/** System catalogs, answered by a real PostgreSQL over the shadow of the lake. */

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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

async function rowsOf(text: string, values: unknown[] = []): Promise<unknown[][]> {
  return (await client.query({ text, values, rowMode: 'array' })).rows as unknown[][]
}

describe('a system catalog', () => {
  it('lists the tables of a layer', async () => {
    const sql =
      "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY 1"
    expect(await rowsOf(sql, ['silver'])).toEqual([['customers'], ['orders']])
  })

  it('knows the types of columns', async () => {
    const sql =
      "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'silver.orders'::regclass AND attnum > 0 ORDER BY attnum"
    expect((await rowsOf(sql)).slice(2, 5)).toEqual([
      ['status', 'text'],
      ['amount', 'numeric(12,2)'],
      ['ordered_at', 'timestamp with time zone'],
    ])
  })

  it('sees a view as soon as it is made', async () => {
    const sql = "SELECT table_name FROM information_schema.tables WHERE table_name = 'shadowed'"
    expect(await rowsOf(sql)).toEqual([])
    await client.query('CREATE VIEW gold.shadowed AS SELECT 1 AS a')
    expect(await rowsOf(sql)).toEqual([['shadowed']])
    await client.query('DROP VIEW gold.shadowed')
  })

  it('answers functions about itself', async () => {
    expect(await rowsOf('SELECT current_schemas(false)::text')).toEqual([
      ['{public,silver,gold,bronze}'],
    ])
  })

  it('gives its own errors', async () => {
    const error: unknown = await client
      .query('SELECT nothing FROM pg_class')
      .catch((e: unknown) => e)
    expect((error as { code: string }).code).toBe('42703')
  })
})
