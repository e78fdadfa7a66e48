/** The shadow behind the system catalogs: its objects, their OIDs, and the process that holds it. */

import { execFileSync } from 'node:child_process'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient } from '../support/raw-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let client: pg.Client

// Values as text, so that what is compared is what the wire said.
const types = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig

async function connect(to: TestGateway): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: to.port,
    user: 'lakegate',
    database: 'lake',
    application_name: 'shadow test',
    types,
  })
  await made.connect()
  return made
}

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect(gateway)
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

async function rowsOf(
  text: string,
  values: unknown[] = [],
  from: pg.Client = client,
): Promise<unknown[][]> {
  return (await from.query({ text, values, rowMode: 'array' })).rows as unknown[][]
}

async function codeOf(text: string, from: pg.Client = client): Promise<string | undefined> {
  return from.query(text).then(
    () => undefined,
    (thrown: unknown) => (thrown as { code: string }).code,
  )
}

const OIDS = `SELECT n.nspname || '.' || c.relname, c.oid, c.reltype FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('bronze', 'silver', 'gold') ORDER BY 1`

describe('the shadow of a table', () => {
  it('has its columns, defaults, checks, keys, comments and identity', async () => {
    await client.query(`CREATE TABLE gold.shown (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 5),
      code varchar(12) NOT NULL DEFAULT 'none', price numeric(10,2) CHECK (price > 0), tags text[],
      n int, next int GENERATED ALWAYS AS (n + 1) STORED, PRIMARY KEY (id))`)
    await client.query("COMMENT ON TABLE gold.shown IS 'what is sold'")
    await client.query("COMMENT ON COLUMN gold.shown.code IS 'as printed'")
    const columns = await rowsOf(
      `SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
         pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)
       FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = 'gold.shown'::regclass AND a.attnum > 0 ORDER BY a.attnum`,
    )
    expect(columns).toEqual([
      ['id', 'bigint', 't', 'a', '', null, null],
      ['code', 'character varying(12)', 't', '', '', "'none'::character varying", 'as printed'],
      ['price', 'numeric(10,2)', 'f', '', '', null, null],
      ['tags', 'text[]', 'f', '', '', null, null],
      ['n', 'integer', 'f', '', '', null, null],
      ['next', 'integer', 'f', '', 's', '(n + 1)', null],
    ])
    const constraints = await rowsOf(
      `SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'gold.shown'::regclass ORDER BY 1`,
    )
    expect(constraints).toEqual([
      ['shown_pkey', 'PRIMARY KEY (id)'],
      ['shown_price_check', 'CHECK ((price > (0)::numeric))'],
    ])
    expect(await rowsOf("SELECT obj_description('gold.shown'::regclass)")).toEqual([
      ['what is sold'],
    ])
    expect(
      await rowsOf(
        "SELECT pg_get_serial_sequence('gold.shown', 'id'), last_value FROM pg_sequences",
      ),
    ).toEqual([['gold.shown_id_seq', null]])
    await client.query('DROP TABLE gold.shown')
    expect(await rowsOf("SELECT to_regclass('gold.shown')")).toEqual([[null]])
    expect(await rowsOf("SELECT FROM pg_type WHERE typname ~ '^_?shown'")).toEqual([])
  })

  it('tells rows and bytes by its statistics', async () => {
    const [counted] = await rowsOf('SELECT count(*) FROM silver.orders')
    const told = await rowsOf(
      `SELECT reltuples::bigint, pg_total_relation_size(c.oid) > 1000,
         pg_database_size(current_database()) > 1000 FROM pg_class c WHERE oid = 'silver.orders'::regclass`,
    )
    expect(told).toEqual([[counted?.[0], 't', 't']])
  })

  it('keeps its OIDs through changes, and has them on other gateways too', async () => {
    const before = await rowsOf(OIDS)
    await client.query('CREATE TABLE gold.other (a int)')
    await client.query('ALTER TABLE gold.other ADD COLUMN b int')
    const withOther = await rowsOf(OIDS)
    expect(withOther.filter(([name]) => name !== 'gold.other')).toEqual(before)
    const second = await startGateway({ lake: gateway.lake })
    const other = await connect(second)
    try {
      expect(await rowsOf(OIDS, [], other)).toEqual(withOther)
      await other.query('DROP TABLE gold.other')
      await expect.poll(() => rowsOf(OIDS), { timeout: 5000 }).toEqual(before)
    } finally {
      await other.end()
      await second.close()
    }
  })
})

describe('the shadow of a view', () => {
  it("has PostgreSQL's words for it, and its own where PostgreSQL does not read it", async () => {
    await client.query(
      'CREATE VIEW gold.plain AS SELECT status, count(*) AS n FROM silver.orders GROUP BY 1',
    )
    await client.query(
      'CREATE VIEW gold.past AS SELECT order_id, amount FROM silver.orders VERSION AS OF 0',
    )
    try {
      expect(
        await rowsOf(`SELECT table_name, column_name, data_type FROM information_schema.columns
          WHERE table_name IN ('plain', 'past') ORDER BY 1, ordinal_position`),
      ).toEqual([
        ['past', 'order_id', 'bigint'],
        ['past', 'amount', 'numeric'],
        ['plain', 'status', 'text'],
        ['plain', 'n', 'bigint'],
      ])
      const [plain] = await rowsOf("SELECT pg_get_viewdef('gold.plain'::regclass)")
      expect(plain?.[0]).toMatch(
        /^ SELECT status,\n {4}count\(\*\) AS n\n {3}FROM (?:silver\.)?orders/,
      )
      const past = [[' SELECT order_id, amount FROM silver.orders VERSION AS OF 0;']]
      expect(await rowsOf("SELECT pg_get_viewdef('gold.past'::regclass, true)")).toEqual(past)
      expect(
        await rowsOf(
          "SELECT view_definition FROM information_schema.views WHERE table_name = 'past'",
        ),
      ).toEqual(past)
    } finally {
      await client.query('DROP VIEW gold.plain, gold.past')
    }
  })
})

describe('an answer of the system catalogs', () => {
  it('comes in binary where it is asked for, arrays and names of objects too', async () => {
    const text =
      "SELECT conkey, 'pg_class'::regclass AS c, true AS b FROM pg_constraint WHERE conrelid = 'pg_class'::regclass AND contype = 'p'"
    const raw = await RawClient.start(gateway.port)
    const [row] = await raw.rows(text, { resultFormat: 1 })
    raw.close()
    expect(row?.[1]?.readUInt32BE(0)).toBe(1259)
    expect(row?.[0]?.readInt32BE(8)).toBe(21)
    expect([...(row?.[2] ?? [])]).toEqual([1])
  })

  it('takes parameters of types that only PostgreSQL knows', async () => {
    const found = await rowsOf(
      'SELECT relname FROM pg_class WHERE oid = ANY($1::regclass[]) ORDER BY 1',
      [['silver.orders', 'pg_type']],
    )
    expect(found).toEqual([['orders'], ['pg_type']])
  })

  it('names table and column of what it gives', async () => {
    const { fields } = await client.query('SELECT oid, relname FROM pg_class LIMIT 0')
    expect(fields.map(({ tableID, columnID }) => [tableID, columnID])).toEqual([
      [1259, 1],
      [1259, 2],
    ])
  })
})

describe('the process behind the system catalogs', () => {
  const slow = 'SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c'

  async function running(): Promise<number> {
    await rowsOf('SELECT 1 FROM pg_class LIMIT 1')
    const pid = gateway.catalogProcessId()
    expect(pid).toBeDefined()
    return pid ?? 0
  }

  it('is replaced when it is killed in the middle of a statement, which is run again', async () => {
    const pid = await running()
    const asked = rowsOf(
      "SELECT count(*) > 0 FROM pg_attribute a, pg_class b WHERE a.attname || b.relname ~ 'x'",
    )
    setTimeout(() => process.kill(pid, 'SIGKILL'), 20)
    expect(await asked).toEqual([['t']])
    expect(await rowsOf("SELECT relname FROM pg_class WHERE relname = 'orders'")).toEqual([
      ['orders'],
    ])
  })

  it.skipIf(process.platform !== 'linux')(
    'is replaced when it is stopped, while the lake is queried',
    async () => {
      const pid = await running()
      process.kill(pid, 'SIGSTOP')
      const asked = rowsOf("SELECT relname FROM pg_class WHERE relname = 'customers'")
      const other = await connect(gateway)
      try {
        expect(await rowsOf('SELECT 1 + 1 FROM silver.orders LIMIT 1', [], other)).toEqual([['2']])
      } finally {
        await other.end()
      }
      expect(await asked).toEqual([['customers']])
      expect(() => execFileSync('kill', ['-0', String(pid)], { stdio: 'ignore' })).toThrow()
    },
  )

  it('gives up a statement that is cancelled, and answers the next one', async () => {
    await running()
    const other = await connect(gateway)
    const [backend] = await rowsOf('SELECT pg_backend_pid()', [], other)
    const asked = codeOf(slow, other)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await rowsOf('SELECT pg_cancel_backend($1::int)', [backend?.[0]])
    expect(await asked).toBe('57014')
    expect(
      await rowsOf("SELECT relname FROM pg_class WHERE relname = 'orders'", [], other),
    ).toEqual([['orders']])
    await other.end()
  })
})

describe('a session', () => {
  it('is in pg_stat_activity with what it does', async () => {
    const shown = await rowsOf(
      `SELECT usename, application_name, datname, client_addr, state, query ~ 'pg_stat_activity',
         pid = pg_backend_pid(), query_start > backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()`,
    )
    expect(shown).toEqual([
      ['lakegate', 'shadow test', 'lake', '127.0.0.1', 'active', 't', 't', 't'],
    ])
  })

  it('knows its ends', async () => {
    const told = await rowsOf(
      'SELECT inet_client_addr(), inet_server_port(), host(inet_server_addr()), pg_postmaster_start_time() < now()',
    )
    expect(told).toEqual([['127.0.0.1', String(gateway.port), '127.0.0.1', 't']])
  })
})
