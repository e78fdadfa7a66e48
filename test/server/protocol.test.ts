/** The gateway as a real driver sees it. */

import net from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { bind, cellsOf, execute, fieldsOf, parse, RawClient, sync } from '../support/raw-client.js'

let gateway: TestGateway
let client: pg.Client

// Values as text, so that what is compared is what the wire said.
const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

async function connect(more: pg.ClientConfig = {}): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
    types,
    ...more,
  })
  made.on('error', () => {})
  await made.connect()
  return made
}

async function codeOf(run: Promise<unknown>): Promise<string | undefined> {
  return run.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  )
}

async function rowsOf(text: string, values: unknown[] = []): Promise<unknown[][]> {
  return (await client.query({ text, values, rowMode: 'array' })).rows as unknown[][]
}

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect()
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

describe('a value in text format', () => {
  it.each([
    ['1::smallint', 21, '1'],
    ['-2147483647', 23, '-2147483647'],
    ['9223372036854775807', 20, '9223372036854775807'],
    ['true', 16, 't'],
    ['1.50::numeric(10,2)', 1700, '1.50'],
    ['1e20::float8', 701, '1e+20'],
    ["'NaN'::float8", 701, 'NaN'],
    ['0.1::float4', 700, '0.1'],
    ["'häß'::text", 25, 'häß'],
    ["'\\xdeadbeef'::bytea", 17, '\\xdeadbeef'],
    ["date '2024-02-29'", 1082, '2024-02-29'],
    ["timestamp '2024-02-29 01:02:03.45'", 1114, '2024-02-29 01:02:03.45'],
    ["timestamptz '2024-02-29 01:02:03+02'", 1184, '2024-02-28 23:02:03+00'],
    ["interval '1 year 2 mons 3 days 04:05:06'", 1186, '1 year 2 mons 3 days 04:05:06'],
    ["'00000000-0000-0000-0000-000000000001'::uuid", 2950, '00000000-0000-0000-0000-000000000001'],
    ['ARRAY[1,2,NULL]', 1007, '{1,2,NULL}'],
    ["ARRAY['a b','','x\"y']", 1009, '{"a b","","x\\"y"}'],
    ['NULL::int', 23, null],
    ['7/2', 23, '3'],
    ["'abc' ~ 'b'", 16, 't'],
    ["'abc' ~* '^AB'", 16, 't'],
    ["'abc' !~ 'z'", 16, 't'],
    ["to_char(date '2024-02-29', 'YYYY-MM-DD')", 25, '2024-02-29'],
    ["quote_ident('A')", 25, '"A"'],
    ["E'a\\nb' ~ 'a.b'", 16, 't'],
    ["octet_length('héé')", 23, '5'],
    ["'1.123456789012345'::numeric", 1700, '1.123456789012345'],
  ])('of %s is as PostgreSQL prints it', async (sql, oid, text) => {
    const { rows, fields } = await client.query({ text: `SELECT ${sql} AS v`, rowMode: 'array' })
    expect(rows).toEqual([[text]])
    expect(fields[0]?.dataTypeID).toBe(oid)
  })
})

it('generate_series makes rows in a select list and in FROM', async () => {
  expect(await rowsOf('SELECT generate_series(1, 3)')).toEqual([['1'], ['2'], ['3']])
  expect(await rowsOf('SELECT i FROM generate_series(1, 2) g(i)')).toEqual([['1'], ['2']])
})

describe('a parameter', () => {
  it.each([
    ['$1::int', 42, '42'],
    ['$1::text', "it's", "it's"],
    ['$1::numeric(20,4)', '12345678901234.5678', '12345678901234.5678'],
    ['$1::date', '2024-02-29', '2024-02-29'],
    ['$1::timestamptz', '2024-02-29T01:02:03Z', '2024-02-29 01:02:03+00'],
    ['$1::bool', true, 't'],
    ['$1::int[]', [1, 2, 3], '{1,2,3}'],
    ['$1', 'untyped', 'untyped'],
    ['$1::bytea', Buffer.from([1, 2, 255]), '\\x0102ff'],
  ])('as %s comes back', async (sql, value, text) => {
    expect(await rowsOf(`SELECT ${sql} AS v`, [value])).toEqual([[text]])
  })
})

describe('a portal of the protocol', () => {
  it('is a cursor that FETCH, MOVE and CLOSE know by its name', async () => {
    const raw = await RawClient.start(gateway.port)
    const send = async (...messages: readonly Uint8Array[]): Promise<readonly string[]> => {
      raw.send(...messages, sync)
      return (await raw.untilReady()).map(({ type, body }) =>
        type === 'D'
          ? String(cellsOf(body)[0])
          : type === 'C'
            ? body.toString('utf8', 0, body.length - 1)
            : type === 'E'
              ? (fieldsOf(body).C ?? '')
              : '',
      )
    }
    const said = async (...messages: readonly Uint8Array[]): Promise<string> =>
      (await send(...messages)).filter((part) => part !== '').join(' ')
    const simple = (sql: string): Uint8Array[] => [parse('', sql), bind('', ''), execute('')]
    await send(...simple('BEGIN'))
    await send(
      parse('s', 'SELECT i FROM generate_series(1, $1::int) i'),
      bind('p', 's', [Buffer.from('20')]),
    )
    expect(await said(...simple('MOVE FORWARD 3 p'))).toBe('MOVE 3')
    expect(await said(execute('p', 2))).toBe('4 5')
    expect(await said(...simple('FETCH 2 FROM p'))).toBe('6 7 FETCH 2')
    expect(await said(execute('p', 1))).toBe('8')
    expect(await said(...simple('CLOSE p'))).toBe('CLOSE CURSOR')
    expect(await said(...simple('FETCH 2 FROM p'))).toBe('34000')
    raw.socket.destroy()
  })
})

it('a parameter declared as unknown is read as what it is cast to', async () => {
  const raw = await RawClient.start(gateway.port)
  const cell = async (sql: string, text: string): Promise<string> => {
    raw.send(parse('', sql, [705]), bind('', '', [Buffer.from(text)]), execute(''), sync)
    const messages = await raw.untilReady()
    const row = messages.find(({ type }) => type === 'D')
    const error = messages.find(({ type }) => type === 'E')
    return row === undefined
      ? (fieldsOf(error?.body ?? Buffer.of()).C ?? '')
      : String(cellsOf(row.body)[0])
  }
  expect(await cell('SELECT $1::bool', 'yes')).toBe('t')
  expect(await cell('SELECT $1::numeric(5,2)', '1.005')).toBe('1.01')
  expect(await cell('SELECT $1::int[]', '{1,x}')).toBe('22P02')
  expect(await cell('SELECT $1 + 1', '41')).toBe('42')
  raw.socket.destroy()
})

describe('an error', () => {
  it.each([
    ['SELECT 1/0', '22012'],
    ['SELEC 1', '42601'],
    ['SELECT * FROM silver.nothing', '42P01'],
    ['SELECT nothing FROM silver.orders', '42703'],
    ['SELECT nothing(1)', '42883'],
    ["SELECT 'x'::int", '22P02'],
    ["SELECT * FROM read_parquet('/etc/passwd')", '42501'],
    ['SET nothing = 1', '42704'],
    ["SET timezone = 'Nowhere/Land'", '22023'],
    ['SELECT * FROM silver.orders VERSION AS OF 99', '22023'],
    ['CREATE SEQUENCE numbers', '0A000'],
    ["SELECT has_table_privilege('silver.orders', 'SELECT') FROM silver.orders", '0A000'],
    ['SELECT pg_get_viewdef(1) FROM silver.orders', '0A000'],
    ['CREATE UNIQUE INDEX by_id ON silver.orders (order_id)', '0A000'],
    ['FETCH 1 FROM nothing', '34000'],
    ['EXECUTE nothing', '26000'],
    ['SELECT order_id, count(*) FROM silver.orders', '42803'],
  ])('of %s has code %s', async (sql, code) => {
    expect(await codeOf(client.query(sql))).toBe(code)
  })

  it('points into the text of the client', async () => {
    const error: unknown = await client
      .query('SELECT 1,\n  nothing FROM silver.orders')
      .catch((e: unknown) => e)
    expect((error as { position?: string }).position).toBe('13')
  })

  it('in the middle of rows ends the statement without a tag', async () => {
    const sql =
      "SELECT CASE WHEN i = 90000 THEN 'x' ELSE '1' END::int FROM generate_series(0, 99999) t(i)"
    expect(await codeOf(client.query(sql))).toBe('22P02')
  })
})

describe('time travel', () => {
  it.each([
    ['silver.orders VERSION AS OF 0', '400'],
    ['silver.orders FOR VERSION AS OF 1', '600'],
    ['silver.orders@v3', '1000'],
    ['silver.orders AT (VERSION => 4)', '933'],
    ['silver.orders VERSION AS OF 1 + 2 o WHERE o.order_id >= 0', '1000'],
    ['silver.orders FOR SYSTEM_VERSION AS OF 0 AS o', '400'],
    ["silver.orders TIMESTAMP AS OF '2000-01-01'", '22023'],
  ])('reads %s', async (from, expected) => {
    const answer = await rowsOf(`SELECT count(*) FROM ${from}`).then(
      (rows) => rows[0]?.[0],
      (error: { code: string }) => error.code,
    )
    expect(answer).toBe(expected)
  })

  it('takes its version from a parameter', async () => {
    expect(await rowsOf('SELECT count(*) FROM silver.orders VERSION AS OF $1', [1])).toEqual([
      ['600'],
    ])
  })

  it('joins a table with itself at two versions', async () => {
    const sql =
      'SELECT count(*) FROM silver.orders VERSION AS OF 3 n LEFT JOIN silver.orders VERSION AS OF 0 o USING (order_id) WHERE o.order_id IS NULL'
    expect(await rowsOf(sql)).toEqual([['600']])
  })

  it('says which versions exist', async () => {
    const error: unknown = await client
      .query('SELECT * FROM silver.orders VERSION AS OF 6')
      .catch((e: unknown) => e)
    expect((error as { detail?: string }).detail).toBe('Available versions are 0 to 5.')
  })
})

describe('a session', () => {
  it('keeps a failed block failed until ROLLBACK', async () => {
    await client.query('BEGIN')
    expect(await codeOf(client.query('SELECT 1/0'))).toBe('22012')
    expect(await codeOf(client.query('SELECT 1'))).toBe('25P02')
    await client.query('ROLLBACK')
    expect(await rowsOf('SELECT 1')).toEqual([['1']])
  })

  it('goes back to a savepoint', async () => {
    await client.query('BEGIN')
    await client.query('SAVEPOINT s')
    await codeOf(client.query('SELECT 1/0'))
    await client.query('ROLLBACK TO s')
    expect(await rowsOf('SELECT 1')).toEqual([['1']])
    await client.query('COMMIT')
  })

  it('undoes SET with its block', async () => {
    await client.query("BEGIN; SET timezone = 'Europe/Berlin'; ROLLBACK")
    expect((await client.query('SHOW timezone')).rows).toEqual([{ TimeZone: 'UTC' }])
  })

  it('shows timestamps in its time zone', async () => {
    await client.query("SET timezone = 'Asia/Kolkata'")
    const rows = await rowsOf("SELECT timestamptz '2024-01-01 00:00:00Z' AS t")
    await client.query('RESET timezone')
    expect(rows).toEqual([['2024-01-01 05:30:00+05:30']])
  })

  it('walks a cursor forward', async () => {
    await client.query('BEGIN')
    await client.query(
      'DECLARE c CURSOR FOR SELECT order_id FROM silver.orders WHERE order_id < 30 ORDER BY 1',
    )
    const first = await client.query({ text: 'FETCH 2 FROM c', rowMode: 'array' })
    await client.query('MOVE 1 FROM c')
    const rest = await client.query('FETCH ALL FROM c')
    expect(first.rowCount).toBe(2)
    expect(rest.command).toBe('FETCH')
    expect(rest.rowCount).toBeGreaterThan(10)
    expect(await codeOf(client.query('FETCH PRIOR FROM c'))).toBe('55000')
    await client.query('ROLLBACK')
  })

  it('prepares and executes by SQL', async () => {
    await client.query('PREPARE p(int) AS SELECT $1 + 1 AS n')
    expect((await client.query('EXECUTE p(41)')).rows).toEqual([{ n: '42' }])
    await client.query('DEALLOCATE p')
  })

  it('keeps a view in the lake', async () => {
    await client.query(
      "CREATE OR REPLACE VIEW silver.german AS SELECT * FROM silver.orders VERSION AS OF 3 WHERE country = 'DE'",
    )
    const other = await connect()
    const { rows } = await other.query({
      text: 'SELECT count(*) FROM silver.german',
      rowMode: 'array',
    })
    expect(rows).toEqual([['250']])
    await other.query('DROP VIEW silver.german')
    await other.end()
    expect(await codeOf(client.query('SELECT * FROM silver.german'))).toBe('42P01')
  })

  it('has temporary tables of its own', async () => {
    await client.query('CREATE TEMP TABLE mine AS SELECT count(*) AS n FROM silver.orders')
    expect(await rowsOf('SELECT n FROM mine')).toEqual([['1133']])
    const other = await connect()
    expect(await codeOf(other.query('SELECT * FROM mine'))).toBe('42P01')
    await other.end()
    await client.query('DROP TABLE mine')
  })

  it('hears what another notifies', async () => {
    const heard = new Promise<pg.Notification>((resolve) => client.once('notification', resolve))
    await client.query('LISTEN news')
    const other = await connect()
    await other.query("NOTIFY news, 'hello'")
    expect((await heard).payload).toBe('hello')
    await other.end()
  })

  it('runs several statements of one message', async () => {
    const results = (await client.query(
      'SELECT 1 AS a; SELECT 2 AS a',
    )) as unknown as pg.QueryResult[]
    expect(results.map((result) => result.rows)).toEqual([[{ a: '1' }], [{ a: '2' }]])
  })
})

describe('a running statement', () => {
  const slow = 'SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE i + j = 7'

  it('is cancelled from another connection', async () => {
    const running = codeOf(client.query(slow))
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    await new Promise((resolve) => setTimeout(resolve, 100))
    const message = Buffer.alloc(16)
    message.writeInt32BE(16, 0)
    message.writeInt32BE(80877102, 4)
    message.writeInt32BE(processID, 8)
    message.writeInt32BE(secretKey, 12)
    net.connect(gateway.port, '127.0.0.1').write(message)
    expect(await running).toBe('57014')
  })

  it('is ended by statement_timeout', async () => {
    await client.query("SET statement_timeout = '100ms'")
    expect(await codeOf(client.query(slow))).toBe('57014')
    expect(await codeOf(client.query('SELECT pg_sleep(10)'))).toBe('57014')
    await client.query('RESET statement_timeout')
  })
})

it('lets a password in by SCRAM and nothing else, over TLS too', async () => {
  const guarded = await startGateway({ password: 'sécret' })
  const login = async (
    password: string,
    user = 'lakegate',
    ssl: false | object = false,
  ): Promise<string> => {
    const made = new pg.Client({
      host: '127.0.0.1',
      port: guarded.port,
      user,
      password,
      database: 'lake',
      ssl,
    })
    try {
      await made.connect()
      await made.query('SELECT 1')
      await made.end()
      return 'in'
    } catch (thrown) {
      return (thrown as { code: string }).code
    }
  }
  expect(await login('sécret')).toBe('in')
  expect(await login('wrong')).toBe('28P01')
  expect(await login('sécret', 'nobody')).toBe('28P01')
  expect(await login('sécret', 'lakegate', { rejectUnauthorized: false })).toBe('in')
  await guarded.close()
})

it('refuses a database it does not have', async () => {
  expect(await codeOf(connect({ database: 'other' }))).toBe('3D000')
})
