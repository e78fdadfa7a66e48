/**
 * Goal: COPY FROM STDIN is a statement like others: it keeps to the protocol, to its transaction and
 * to the table's conditions, and whatever goes wrong leaves nothing behind.
 * Method: real clients; where drivers behave too well, raw messages on a socket.
 */

import { readdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyIn } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let client: pg.Client

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  made.on('error', () => {})
  await made.connect()
  return made
}

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect()
})

afterAll(async () => {
  await client?.end()
  expect(await stages()).toEqual([])
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

let next = 1

async function newTable(columns = 'a int, b text', on: pg.Client = client): Promise<string> {
  const name = `s${next++}`
  await on.query(`CREATE TABLE silver.${name} (${columns})`)
  return `silver.${name}`
}

async function rowsOf(sql: string, on: pg.Client = client): Promise<unknown[][]> {
  return (await on.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

const text = (...lines: string[]): Uint8Array[] => [Buffer.from(`${lines.join('\n')}\n`)]

/** Data files and staging folders of a table, whether a version names them or not. */
function filesOf(table: string): string[] {
  const names = readdirSync(join(gateway.lake, table.replace('.', '/')))
  return names.filter((name) => name.endsWith('.parquet') || name.startsWith('_staging'))
}

/** Schemas of the engine that keep rows on their way. */
async function stages(): Promise<unknown[][]> {
  const connection = await gateway.engine.connect()
  try {
    return await connection.query(
      "SELECT schema_name FROM duckdb_schemas() WHERE schema_name LIKE 'lakegate_copy%'",
    )
  } finally {
    connection.close()
  }
}

// ---- raw messages --------------------------------------------------------------------------------

function message(type: string, ...parts: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const query = (sql: string): Buffer => message('Q', `${sql}\0`)

/** Parse, Bind, Describe, Execute; without Sync. */
const extended = (sql: string): Buffer =>
  Buffer.concat([
    message('P', `\0${sql}\0`, Buffer.alloc(2)),
    message('B', '\0\0', Buffer.alloc(6)),
    message('D', 'P\0'),
    message('E', '\0', Buffer.alloc(4)),
  ])

const SYNC = message('S')
const DONE = message('c')
const data = (bytes: string): Buffer => message('d', bytes)

/** A socket past its start, and what it hears: types of messages, tags and codes along. */
class RawClient {
  readonly socket: net.Socket
  #pending = Buffer.alloc(0)
  heard: string[] = []
  closed = false

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('close', () => {
      this.closed = true
    })
    socket.on('error', () => {})
  }

  static async open(): Promise<RawClient> {
    const socket = net.connect(gateway.port, '127.0.0.1')
    const made = new RawClient(socket)
    const body = Buffer.from('\0\x03\0\0user\0lakegate\0database\0lake\0\0', 'latin1')
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    socket.write(Buffer.concat([length, body]))
    await made.until('Z:I')
    made.heard = []
    return made
  }

  #read(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes])
    while (this.#pending.length >= 5) {
      const end = 1 + this.#pending.readInt32BE(1)
      if (this.#pending.length < end) return
      const type = String.fromCharCode(this.#pending[0] ?? 0)
      const body = this.#pending.toString('latin1', 5, end)
      this.#pending = this.#pending.subarray(end)
      if (type === 'C') this.heard.push(`C:${body.slice(0, -1)}`)
      else if (type === 'E') this.heard.push(`E:${/\0C([^\0]*)/.exec(body)?.[1]}`)
      else if (type === 'Z') this.heard.push(`Z:${body}`)
      else this.heard.push(type)
    }
  }

  send(...messages: Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages))
  }

  async until(what: string): Promise<readonly string[]> {
    for (let i = 0; i < 3000; i++) {
      if (this.heard.includes(what) || (what === 'closed' && this.closed)) return this.heard
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`heard ${this.heard.join(' ')} instead of ${what}`)
  }
}

async function heardOf(...messages: Uint8Array[]): Promise<string> {
  const raw = await RawClient.open()
  raw.send(...messages)
  await raw.until('Z:I')
  // What comes too much would come by now.
  await new Promise((resolve) => setTimeout(resolve, 20))
  raw.socket.destroy()
  return raw.heard.join(' ')
}

describe('the protocol of COPY FROM STDIN', () => {
  it('takes data cut anywhere, byte by byte too', async () => {
    const table = await newTable()
    const input = '1\tä€😀\n2\t\\x41\\\\\n\\N\tlonger than twelve bytes\n'
    const chunks = [...Buffer.from(input)].map((byte) => Buffer.of(byte))
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, chunks)).toEqual({ tag: 'COPY 3' })
    expect(await rowsOf(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      [1, 'ä€😀'],
      [2, 'A\\'],
      [null, 'longer than twelve bytes'],
    ])
  })

  it('speaks the simple protocol', async () => {
    const table = await newTable()
    expect(await heardOf(query(`COPY ${table} FROM STDIN`), data('1\tx\n'), DONE)).toBe(
      'G C:COPY 1 Z:I',
    )
  })

  it('speaks the extended protocol, the Sync of libpq along with Execute', async () => {
    const table = await newTable()
    const sql = `COPY ${table} FROM STDIN`
    expect(await heardOf(extended(sql), SYNC, data('1\tx\n'), message('H'), DONE, SYNC)).toBe(
      '1 2 n G C:COPY 1 Z:I',
    )
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([[1, 'x']])
  })

  it('goes on with what follows COPY in one query string', async () => {
    const table = await newTable()
    const sql = `COPY ${table} FROM STDIN; SELECT 1; COPY ${table} FROM STDIN`
    expect(await heardOf(query(sql), data('1\tx\n'), DONE, data('2\ty\n'), DONE)).toBe(
      'G C:COPY 1 T D C:SELECT 1 G C:COPY 1 Z:I',
    )
    expect(await rowsOf(`SELECT a FROM ${table} ORDER BY a`)).toEqual([[1], [2]])
  })

  it('takes back the first of two copies when the second fails', async () => {
    const table = await newTable()
    const sql = `COPY ${table} FROM STDIN; COPY ${table} FROM STDIN`
    expect(await heardOf(query(sql), data('1\tx\n'), DONE, data('bad\n'), DONE)).toBe(
      'G C:COPY 1 G E:22P02 Z:I',
    )
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
  })

  it('ends with 57014 when the client gives up', async () => {
    const table = await newTable()
    const outcome = await copyIn(client, `COPY ${table} FROM STDIN`, [...text('1\tx'), 'no more'])
    expect(outcome).toMatchObject({ code: '57014', message: 'COPY from stdin failed: no more' })
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
  })

  it('ignores data that is still on its way after an error', async () => {
    const table = await newTable()
    const stray = [data('2\ty\n'), data('3\tz\n'), DONE, query('SELECT 1')]
    const raw = await RawClient.open()
    raw.send(
      query(`COPY ${table} FROM STDIN (FORMAT binary)`),
      data('garbage garbage'),
      DONE,
      ...stray,
    )
    await raw.until('C:SELECT 1')
    expect(raw.heard.join(' ')).toContain('G E:22P04 Z:I T D C:SELECT 1')
    raw.socket.destroy()
  })

  it('skips to Sync after an error of the extended protocol', async () => {
    const table = await newTable()
    expect(
      await heardOf(extended(`COPY ${table} FROM STDIN`), data('x\n'), DONE, data('1\n'), SYNC),
    ).toBe('1 2 n G E:22P02 Z:I')
  })

  it('refuses other messages in between', async () => {
    const table = await newTable()
    const raw = await RawClient.open()
    raw.send(query(`COPY ${table} FROM STDIN`), data('1\tx\n'), query('SELECT 1'))
    await raw.until('closed')
    expect(raw.heard).toEqual(['G', 'E:08P01'])
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
  })

  it('leaves nothing when the connection is lost', async () => {
    const table = await newTable()
    const raw = await RawClient.open()
    raw.send(query(`COPY ${table} FROM STDIN`), data('1\tx\n'))
    await raw.until('G')
    // More than is collected before it is decoded, so that there are rows on their way.
    raw.send(...Array.from({ length: 40 }, () => data('1\tx\n'.repeat(16_000))))
    await expect.poll(stages).not.toEqual([])
    raw.socket.destroy()
    await expect.poll(stages).toEqual([])
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
    expect(filesOf(table)).toEqual([])
  })

  it('is ended by CancelRequest while it waits', async () => {
    const table = await newTable()
    const own = await connect()
    const pid = (await rowsOf('SELECT pg_backend_pid()', own))[0]?.[0]
    const ended = new Promise<string>((resolve) => {
      own.query({
        submit: (connection: { query(sql: string): void }) =>
          connection.query(`COPY ${table} FROM STDIN`),
        handleCopyInResponse: () => void client.query('SELECT pg_cancel_backend($1)', [pid]),
        handleError: ({ code }: { readonly code: string }) => resolve(code),
        handleReadyForQuery: () => {},
      } as unknown as pg.Submittable)
    })
    expect(await ended).toBe('57014')
    expect(await rowsOf('SELECT 1', own)).toEqual([[1]])
    await own.end()
  })

  it('is ended by statement_timeout while it waits', async () => {
    const table = await newTable()
    const raw = await RawClient.open()
    raw.send(query(`SET statement_timeout = 50`), query(`COPY ${table} FROM STDIN`), data('1\tx\n'))
    await raw.until('E:57014')
    raw.heard = []
    raw.send(data('2\ty\n'), DONE, query('SELECT 1'))
    await raw.until('C:SELECT 1')
    raw.socket.destroy()
  })

  it('does not hold more than some megabytes of a client that is faster', async () => {
    const table = await newTable('a bigint, b text')
    const line = `123456789\t${'x'.repeat(990)}\n`
    const chunk = Buffer.from(line.repeat(64))
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }, 5)
    const raw = await RawClient.open()
    raw.send(query(`COPY ${table} FROM STDIN`))
    for (let i = 0; i < 4000; i++) {
      if (!raw.socket.write(message('d', chunk))) {
        await new Promise((resolve) => raw.socket.once('drain', resolve))
      }
    }
    raw.send(DONE)
    await raw.until('C:COPY 256000')
    clearInterval(watch)
    raw.socket.destroy()
    // 256 MB have been sent; what waits to be collected as garbage counts, too.
    expect(most).toBeLessThan(128 * 1024 * 1024)
  }, 60_000)
})

describe('the transaction of COPY FROM', () => {
  it('is one version of the table, and shows in its block before', async () => {
    const table = await newTable()
    await client.query('BEGIN')
    await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx', '2\ty'))
    await client.query(`INSERT INTO ${table} VALUES (3, 'z')`)
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`)).toEqual([[3]])
    const other = await connect()
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`, other)).toEqual([[0]])
    await client.query('COMMIT')
    expect(await rowsOf(`SELECT count(*)::int FROM ${table}`, other)).toEqual([[3]])
    expect(await rowsOf(`SELECT count(*)::int FROM ${table} VERSION AS OF 1`, other)).toEqual([[3]])
    await other.end()
  })

  it('is taken back to a savepoint, and by ROLLBACK', async () => {
    const table = await newTable()
    await client.query('BEGIN')
    await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx'))
    await client.query('SAVEPOINT s')
    await copyIn(client, `COPY ${table} FROM STDIN`, text('2\ty'))
    await client.query('ROLLBACK TO s')
    expect(await rowsOf(`SELECT a FROM ${table}`)).toEqual([[1]])
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, text('bad'))).toMatchObject({
      code: '22P02',
    })
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx'))).toMatchObject({
      code: '25P02',
    })
    await client.query('ROLLBACK')
    expect(await rowsOf(`SELECT a FROM ${table}`)).toEqual([])
  })

  it('fills temporary tables, and takes that back too', async () => {
    await client.query(
      'CREATE TEMP TABLE tt (a int DEFAULT 5, b text NOT NULL, c interval, d uuid, e json)',
    )
    const id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
    await copyIn(client, 'COPY tt FROM STDIN', text(`1\tx\t1 day\t${id}\t{"k": [1]}`))
    await copyIn(client, 'COPY tt (b) FROM STDIN', text('y'))
    await client.query('BEGIN')
    await copyIn(client, 'COPY tt (b) FROM STDIN', text('z'))
    await client.query('ROLLBACK')
    expect(await rowsOf('SELECT a, b, c::text, d, e::text FROM tt ORDER BY a')).toEqual([
      [1, 'x', '1 day', id, '{"k": [1]}'],
      [5, 'y', null, null, null],
    ])
    expect(await copyIn(client, 'COPY tt (a) FROM STDIN', text('1'))).toMatchObject({
      code: '23502',
    })
  })

  it('is refused in a read-only transaction', async () => {
    const table = await newTable()
    await client.query('BEGIN READ ONLY')
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx'))).toMatchObject({
      code: '25006',
    })
    await client.query('ROLLBACK')
  })

  it('names the line that breaks a CHECK, behind many others', async () => {
    const table = await newTable('a int CHECK (a <> 7777), b text')
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i}\tx`)
    const outcome = await copyIn(client, `COPY ${table} FROM STDIN`, text(...lines))
    expect(outcome).toMatchObject({ code: '23514' })
    expect(outcome.where).toMatch(/, line 7778$/)
  })

  it('leaves no files when it fails', async () => {
    const table = await newTable('a int CHECK (a > 0), b text')
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx', '0\ty'))).toMatchObject({
      code: '23514',
    })
    expect(await copyIn(client, `COPY ${table} FROM STDIN`, text('1\tx', 'y\ty'))).toMatchObject({
      code: '22P02',
    })
    expect(filesOf(table)).toEqual([])
  })
})

describe('the columns of COPY FROM', () => {
  it('computes defaults, generated columns and partitions', async () => {
    const table = await newTable(
      'a int, b int DEFAULT 7, c int GENERATED ALWAYS AS (a + b) STORED, d date',
    )
    await copyIn(client, `COPY ${table} (a, d) FROM STDIN`, text('1\t2026-01-02', '2\t\\N'))
    expect(await rowsOf(`SELECT a, b, c, d::text FROM ${table} ORDER BY a`)).toEqual([
      [1, 7, 8, '2026-01-02'],
      [2, 7, 9, null],
    ])
    const parts = await newTable('a int, day date) PARTITIONED BY (day')
    await copyIn(client, `COPY ${parts} FROM STDIN`, text('1\t2026-01-01', '2\t2026-01-02'))
    expect(await rowsOf(`SELECT a FROM ${parts} WHERE day = '2026-01-02'`)).toEqual([[2]])
  })

  it('takes the default where its text stands', async () => {
    const table = await newTable("a int DEFAULT 7, b text DEFAULT 'd'")
    const sql = `COPY ${table} FROM STDIN (DEFAULT '\\D')`
    await copyIn(client, sql, text('\\D\t\\D', '1\tx', '\\N\t\\N'))
    expect(await rowsOf(`SELECT * FROM ${table} ORDER BY a NULLS LAST`)).toEqual([
      [1, 'x'],
      [7, 'd'],
      [null, null],
    ])
  })

  it('numbers rows whose identity column is left out, and keeps numbers that are given', async () => {
    await client.query(
      'CREATE TABLE silver.counted (id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5), a int)',
    )
    const copied = (sql: string, lines: string): Promise<unknown> =>
      copyIn(client, sql, text(lines))
    const ids = async (): Promise<unknown[]> =>
      (await client.query('SELECT id::int, a FROM silver.counted ORDER BY a')).rows.map(
        ({ id }) => id,
      )
    await copied('COPY silver.counted (a) FROM STDIN', '1\n2')
    expect(await ids()).toEqual([10, 15])
    // As in PostgreSQL, COPY overrides what is generated always, and moves no counter on.
    await copied('COPY silver.counted FROM STDIN', '1000\t3')
    await client.query('INSERT INTO silver.counted (a) VALUES (4)')
    expect(await ids()).toEqual([10, 15, 1000, 20])
    await copied("COPY silver.counted FROM STDIN (DEFAULT 'next')", 'next\t5\n7\t6\nnext\t7')
    expect(await ids()).toEqual([10, 15, 1000, 20, 25, 7, 35])
    // Rows that WHERE leaves out have had their numbers.
    await copied('COPY silver.counted (a) FROM STDIN WHERE id > 40', '8\n9')
    expect(await ids()).toEqual([10, 15, 1000, 20, 25, 7, 35, 45])
    await client.query('BEGIN')
    await copied('COPY silver.counted (a) FROM STDIN', '10')
    await copied('COPY silver.counted (a) FROM STDIN', '11')
    await client.query('COMMIT')
    expect((await ids()).slice(-2)).toEqual([50, 55])
    expect(await copied('COPY silver.counted FROM STDIN', '\\N\t1')).toMatchObject({
      code: '23502',
    })
  })

  const refused: readonly (readonly [string, string])[] = [
    ['COPY silver.nowhere FROM STDIN', '42P01'],
    ['COPY $ (nope) FROM STDIN', '42703'],
    ['COPY $ (a, a) FROM STDIN', '42701'],
    ['COPY $ (c) FROM STDIN', '42P10'],
    ["COPY $ FROM PROGRAM 'true'", '42501'],
    ["COPY $ FROM '/etc/passwd'", '42501'],
    ['COPY $ FROM STDIN (FORMAT nope)', '22023'],
    ['COPY $ FROM STDIN (FORMAT csv, FORMAT csv)', '42601'],
    ['COPY $ FROM STDIN (NOPE)', '42601'],
    ["COPY $ FROM STDIN (DELIMITER 'ab')", '0A000'],
    ["COPY $ FROM STDIN (DELIMITER 'a')", '22023'],
    ["COPY $ FROM STDIN (DELIMITER E'\\n')", '22023'],
    ["COPY $ FROM STDIN (NULL E'a\\nb')", '22023'],
    ["COPY $ FROM STDIN (QUOTE 'x')", '0A000'],
    ["COPY $ FROM STDIN (FORMAT csv, QUOTE 'xy')", '0A000'],
    ["COPY $ FROM STDIN (FORMAT csv, QUOTE ',')", '22023'],
    ['COPY $ FROM STDIN (FORCE_NULL (a))', '0A000'],
    ['COPY $ FROM STDIN (FORCE_NOT_NULL (a))', '0A000'],
    ['COPY $ FROM STDIN (FORMAT csv, FORCE_NULL (nope))', '42703'],
    ['COPY $ FROM STDIN (FORMAT csv, FORCE_QUOTE (a))', '0A000'],
    ["COPY $ FROM STDIN (FORMAT binary, DELIMITER ',')", '42601'],
    ["COPY $ FROM STDIN (FORMAT binary, NULL '')", '42601'],
    ["COPY $ FROM STDIN (ENCODING 'latin1')", '22023'],
    ['COPY $ FROM STDIN (HEADER maybe)', '42601'],
    ["COPY $ FROM STDIN (DEFAULT '\\N')", '22023'],
    ['COPY $ FROM STDIN (ON_ERROR nope)', '22023'],
    ['COPY $ FROM STDIN (FORMAT binary, ON_ERROR ignore)', '42601'],
    ['COPY $ FROM STDIN (REJECT_LIMIT 1)', '22023'],
    ['COPY $ FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 0)', '22023'],
    ['COPY $ FROM STDIN WHERE count(*) > 1', '42803'],
    ['COPY $ FROM STDIN WHERE a IN (SELECT 1)', '0A000'],
    ['COPY $ FROM STDIN WHERE nope = 1', '42703'],
    ['COPY $ FROM STDIN WHERE a', '42804'],
    ['COPY (SELECT 1) TO STDOUT (ON_ERROR ignore)', '0A000'],
  ]
  it.each(refused)('%s gives %s', async (sql, code) => {
    const table = await newTable('a int, b int, c int GENERATED ALWAYS AS (a + 1) STORED')
    expect(await copyIn(client, sql.replace('$', table), text('1\t2'))).toMatchObject({ code })
  })
})

describe('ON_ERROR ignore', () => {
  async function noticesOf(sql: string, input: Uint8Array[]): Promise<string[]> {
    const heard: string[] = []
    const listen = ({ message: words }: { readonly message: string | undefined }): void => {
      heard.push(words ?? '')
    }
    client.on('notice', listen as (notice: unknown) => void)
    const outcome = await copyIn(client, sql, input)
    client.off('notice', listen as (notice: unknown) => void)
    return [outcome.tag ?? `!${outcome.code} ${outcome.message}`, ...heard]
  }

  it('leaves out rows whose values are of no such type, and counts them', async () => {
    const table = await newTable('a int, b varchar(3), c date')
    const lines = [
      '1\tx\t2026-01-02',
      'y\tx\t2026-01-02',
      '2\tlong\t2026-01-02',
      '3\tz\t2026-02-30',
      '4\t\\N\t\\N',
    ]
    expect(await noticesOf(`COPY ${table} FROM STDIN (ON_ERROR ignore)`, text(...lines))).toEqual([
      'COPY 2',
      '3 rows were skipped due to data type incompatibility',
    ])
    expect(await rowsOf(`SELECT a FROM ${table} ORDER BY a`)).toEqual([[1], [4]])
  })

  it('leaves out bad rows wherever they stand among many', async () => {
    const table = await newTable('a int, b text')
    const lines = Array.from({ length: 10_000 }, (_, i) =>
      i % 7 === 3 ? `x${i}\ttext of row ${i}` : `${i}\ttext of row ${i}`,
    )
    const good = lines.filter((line) => !line.startsWith('x')).length
    expect((await noticesOf(`COPY ${table} FROM STDIN (ON_ERROR ignore)`, text(...lines)))[0]).toBe(
      `COPY ${good}`,
    )
    expect(
      await rowsOf(`SELECT count(*)::int FROM ${table} WHERE b <> 'text of row ' || a`),
    ).toEqual([[0]])
  })

  it('tells each row when it is to be verbose, and nothing when silent', async () => {
    const table = await newTable()
    const sql = `COPY ${table} FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)`
    expect(await noticesOf(sql, text('1\tx', 'bad\ty'))).toEqual([
      'COPY 1',
      'skipping row due to data type incompatibility at line 2 for column "a": "bad"',
      '1 row was skipped due to data type incompatibility',
    ])
    expect(await noticesOf(sql.replace('verbose', 'silent'), text('bad\ty'))).toEqual(['COPY 0'])
  })

  it('stops beyond REJECT_LIMIT', async () => {
    const table = await newTable()
    const sql = `COPY ${table} FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 1)`
    expect((await noticesOf(sql, text('1\tx', 'y\ty')))[0]).toBe('COPY 1')
    expect((await noticesOf(sql, text('y\ty', 'z\tz')))[0]).toBe(
      '!22P02 skipped more than REJECT_LIMIT (1) rows due to data type incompatibility',
    )
  })

  it('does not forgive rows of another shape, or nulls where none may be', async () => {
    const table = await newTable('a int NOT NULL, b text')
    const sql = `COPY ${table} FROM STDIN (ON_ERROR ignore)`
    expect(await copyIn(client, sql, text('1'))).toMatchObject({ code: '22P04' })
    expect(await copyIn(client, sql, text('\\N\tx'))).toMatchObject({ code: '23502' })
    // What is wrong with a value is met before what is missing.
    expect(await copyIn(client, sql, text('x', '1\ty'))).toMatchObject({ tag: 'COPY 1' })
  })
})
