/**
 * Goal: COPY FROM reads text, csv and binary by PostgreSQL's rules, and says what is wrong in its words.
 * Method: a table of inputs, each sent to the gateway and, where PostgreSQL is installed, to it too:
 * both must end in the same rows, or in the same error with the same place.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CopyOutcome, copyIn } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { findServer, startPostgres } from '../support/servers.mjs'

const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

let gateway: TestGateway
let client: pg.Client
let postgres: { readonly port: number; readonly stop: () => void } | undefined
let oracle: pg.Client | undefined
const work = mkdtempSync(join(tmpdir(), 'lakegate-copy-in-'))

async function connect(port: number, database: string): Promise<pg.Client> {
  const made = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database, types })
  made.on('error', () => {})
  await made.connect()
  await made.query("SET timezone = 'UTC'")
  return made
}

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect(gateway.port, 'lake')
  const bin = findServer()
  if (bin === undefined) return
  postgres = await startPostgres(bin, work)
  oracle = await connect(postgres?.port ?? 0, 'postgres')
  await oracle.query('CREATE SCHEMA silver')
}, 60_000)

afterAll(async () => {
  await client?.end()
  await oracle?.end()
  postgres?.stop()
  await gateway?.close()
  rmSync(work, { recursive: true, force: true })
  expect(gateway.bugs).toEqual([])
})

interface Case {
  readonly name: string
  /** Columns of the table; `a int, b text` unless given. */
  readonly columns?: string
  /** What follows `COPY t`: a column list or nothing. */
  readonly list?: string
  readonly options?: string
  readonly input: string | Uint8Array
  /** What makes this gateway answer otherwise than PostgreSQL; its own outcome is then in `expected`. */
  readonly differs?: string
  readonly expected?: CopyOutcome
}

const bytes = (...list: (string | number)[]): Uint8Array =>
  Buffer.concat(list.map((one) => (typeof one === 'string' ? Buffer.from(one) : Buffer.of(one))))

const int16 = (value: number): Buffer => {
  const made = Buffer.alloc(2)
  made.writeInt16BE(value)
  return made
}
const int32 = (value: number): Buffer => {
  const made = Buffer.alloc(4)
  made.writeInt32BE(value)
  return made
}
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER = Buffer.concat([SIGNATURE, int32(0), int32(0)])
const field = (value: Uint8Array | null): Buffer =>
  value === null ? int32(-1) : Buffer.concat([int32(value.length), value])
const tuple = (...fields: (Uint8Array | null)[]): Buffer =>
  Buffer.concat([int16(fields.length), ...fields.map(field)])
const binary = (...parts: Uint8Array[]): Buffer => Buffer.concat([HEADER, ...parts])
const END = int16(-1)

const TEXT: readonly Case[] = [
  { name: 'plain rows', input: '1\tone\n2\ttwo\n' },
  { name: 'a last line without newline', input: '1\tone\n2\ttwo' },
  { name: 'no rows', input: '' },
  { name: 'null', input: '\\N\t\\N\n' },
  { name: 'an escape that only begins like null', input: '1\t\\Nx\n' },
  { name: 'another null text', options: "NULL 'nil'", input: 'nil\tnil\n1\t\\N\n' },
  { name: 'an empty null text', options: "NULL ''", input: '\t\n' },
  { name: 'a null text with a backslash', options: "NULL '\\x'", input: '1\t\\x\n' },
  { name: 'letters escaped', input: '1\t\\b\\f\\n\\r\\t\\v\\\\\\a\\"\n' },
  { name: 'octal and hexadecimal', input: '1\t\\101\\60\\7x\\x41\\x4\\xg\\x4a4\n' },
  { name: 'octal of more than a byte', input: '1\t\\501\n' },
  { name: 'a newline escaped', input: '1\ta\\\nb\n2\tc\n' },
  { name: 'a carriage return escaped', input: '1\ta\\\rb\n' },
  { name: 'a delimiter escaped', input: '1\ta\\\tb\n' },
  { name: 'a backslash at the end of the line', input: '1\ta\\' },
  { name: 'a UTF-8 character of escapes', input: '1\t\\xc3\\xa4\\303\\266\n' },
  { name: 'half a character of escapes', input: '1\tx\n2\t\\xc3\n' },
  { name: 'a zero byte of escapes', input: '1\t\\0\n' },
  { name: 'a zero byte', input: bytes('1\ta', 0, 'b\n') },
  { name: 'bytes that are no UTF-8', input: bytes('1\tx\n2\t', 0xff, 0xfe, '\n') },
  { name: 'a character cut off', input: bytes('1\t', 0xe2, 0x82, '\n') },
  { name: 'a surrogate', input: bytes('1\t', 0xed, 0xa0, 0x80, '\n') },
  { name: 'a byte order mark is part of the first field', input: '\ufeff1\tx\n' },
  { name: 'too few fields', input: '1\tx\n2\n' },
  { name: 'too many fields', input: '1\tx\n2\ty\tz\n' },
  { name: 'an empty line', input: '1\tx\n\n' },
  { name: 'an empty line for one column', columns: 'b text', input: 'x\n\ny\n' },
  { name: 'a wrong value before a missing field', input: 'x\n' },
  { name: 'returns as line ends', input: '1\tx\r2\ty\r' },
  { name: 'returns and newlines as line ends', input: '1\tx\r\n2\ty\r\n' },
  { name: 'a newline after returns', input: '1\tx\r2\ty\n' },
  { name: 'a newline after both', input: '1\tx\r\n2\ty\n' },
  { name: 'a return after newlines', input: '1\tx\n2\ty\r3\tz\n' },
  { name: 'a return after both', input: '1\tx\r\n2\ty\r3\n' },
  { name: 'the end marked', input: '1\tx\n\\.\n2\ty\n' },
  { name: 'the end marked with both', input: '1\tx\r\n\\.\r\nxx' },
  { name: 'the end marked behind data', input: '1\tx\\.\n' },
  { name: 'the end marked in another style', input: '1\tx\r\n\\.\n' },
  { name: 'the end marked with the wrong newline', input: '1\tx\r\\.\n' },
  { name: 'a broken mark', input: '1\tx\n\\.x\n' },
  { name: 'a broken mark within a line', input: '1\tx\\.y\n' },
  { name: 'another delimiter', options: "DELIMITER '|'", input: '1|x\ty\n' },
  { name: 'the old syntax', options: "WITH DELIMITER AS '|' NULL AS ''", input: '|x\n' },
  { name: 'columns in another order', list: '(b, a)', input: 'x\t1\n' },
  { name: 'a column left out', columns: 'a int DEFAULT 7, b text', list: '(b)', input: 'x\n' },
  { name: 'a header', options: '(HEADER)', input: 'a\tb\n1\tx\n' },
  { name: 'a header that matches', options: '(HEADER match)', input: 'a\tb\n1\tx\n' },
  { name: 'a header of other names', options: '(HEADER match)', input: 'a\tc\n1\tx\n' },
  { name: 'a header too short', options: '(HEADER match)', input: 'a\n1\tx\n' },
  { name: 'a header with a null', options: '(HEADER match)', input: 'a\t\\N\n1\tx\n' },
  { name: 'WHERE', options: "WHERE a > 1 AND b <> 'z'", input: '1\tx\n2\ty\n3\tz\n\\N\tw\n' },
  { name: 'a wrong value that WHERE would leave out', options: 'WHERE a > 1', input: 'x\ty\n' },
  { name: 'a null where none may be', columns: 'a int NOT NULL, b text', input: '1\tx\n\\N\ty\n' },
  {
    name: 'a null in a column left out',
    columns: 'a int NOT NULL, b text',
    list: '(b)',
    input: 'x\n',
    differs: 'no line is known',
    expected: { code: '23502' },
  },
  {
    name: 'a row that breaks a CHECK',
    columns: 'a int CHECK (a > 0), b text',
    input: '1\tx\n0\ty\n',
    differs: 'the line is named, but not shown',
    expected: { code: '23514', where: 'COPY t, line 2' },
  },
  { name: 'a long line in an error', input: `1\tx\n2${'\ty'.repeat(200)}\n` },
  { name: 'a long value in an error', input: `${'x'.repeat(300)}\ty\n` },
  {
    name: 'a long value cut within a character',
    input: `${'x'.repeat(99)}ä${'y'.repeat(99)}\tz\n`,
  },
  {
    name: 'texts shorter and longer than DuckDB keeps inline',
    input: `1\t${'x'.repeat(12)}\n2\t${'y'.repeat(13)}\n3\t\n`,
  },
]

const CSV: readonly Case[] = [
  { name: 'plain rows', input: '1,one\n2,two\n' },
  { name: 'empty is null, quoted empty is not', input: '1,\n2,""\n' },
  { name: 'quotes', input: '1,"a,b"\n2,"say ""hi"""\n3,a"b"c\n4,"a"b"c"\n' },
  { name: 'quoted lines', input: '1,"a\nb\n\nc"\n2,"d\r\ne"\n' },
  { name: 'the line of an error behind quoted lines', input: '1,"a\nb"\nx,y\n' },
  { name: 'a number in quotes', input: '"1","x"\n' },
  { name: 'spaces are kept', input: '1, x \n' },
  { name: 'a quote that does not end', input: '1,"x\n2,y\n' },
  { name: 'another quote', options: "(FORMAT csv, QUOTE '''')", input: "1,'a''b'\n2,\"x\"\n" },
  {
    name: 'another escape',
    options: "(FORMAT csv, ESCAPE '\\')",
    input: '1,"a\\"b\\\\c\\d"\n2,\\x\n3,""\n',
  },
  { name: 'another delimiter', options: "(FORMAT csv, DELIMITER ';')", input: '1;x\n' },
  { name: 'another null', options: "(FORMAT csv, NULL 'NULL')", input: '1,NULL\n2,"NULL"\n3,\n' },
  {
    name: 'FORCE_NULL',
    options: "(FORMAT csv, NULL 'nil', FORCE_NULL (b))",
    input: '1,"nil"\n2,nil\n3,""\n',
  },
  { name: 'FORCE_NOT_NULL', options: '(FORMAT csv, FORCE_NOT_NULL (b))', input: '1,\n2,""\n' },
  {
    name: 'FORCE_NULL and FORCE_NOT_NULL',
    options: '(FORMAT csv, FORCE_NOT_NULL (b), FORCE_NULL (b))',
    input: '1,\n2,""\n',
  },
  { name: 'a header', options: '(FORMAT csv, HEADER)', input: 'anything,at,all\n1,x\n' },
  { name: 'a header in quotes', options: '(FORMAT csv, HEADER match)', input: '"a",b\n1,x\n' },
  { name: 'only a header', options: '(FORMAT csv, HEADER)', input: 'a,b' },
  { name: 'backslashes are letters', input: '1,a\\tb\n2,\\N\n' },
  { name: 'the end marked', input: '1,x\n\\.\n2,y\n' },
  { name: 'a mark within a line', input: '1,x\\.\n' },
  { name: 'what only looks like a mark', columns: 'b text', input: 'x\n\\.y\n"\\."\n' },
  { name: 'both as line ends', input: '1,x\r\n2,"y\r\nz"\r\n' },
  { name: 'a return without quotes', input: '1,x\n2,y\rz\n' },
  { name: 'too many fields', input: '1,x,y\n' },
  { name: 'too few fields', input: '1\n' },
  { name: 'the old syntax', options: "WITH CSV HEADER DELIMITER ','", input: 'a,b\n1,x\n' },
  { name: 'bytes that are no UTF-8', input: bytes('1,"x\n', 0xff, '"\n') },
  { name: 'an empty line for one column', columns: 'b text', input: 'x\n\n""\n' },
]

const VALUES: readonly (readonly [type: string, ...inputs: string[]])[] = [
  [
    'smallint',
    '32767',
    '-32768',
    '32768',
    '-32769',
    ' 7 ',
    '+7',
    '007',
    '',
    '1.5',
    '1e3',
    'x',
    '99999999999999999999',
  ],
  [
    'int',
    '2147483647',
    '-2147483648',
    '2147483648',
    '-2147483649',
    '\\t7',
    '- 7',
    '',
    '000000000000000000001',
  ],
  [
    'bigint',
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '123456789012345',
    '1234567890123456',
    '-0',
  ],
  [
    'real',
    '1.5',
    '1e10',
    'NaN',
    'Infinity',
    '-infinity',
    'inf',
    '1e39',
    '1e-50',
    'x',
    '.5',
    '5.',
    '-0',
    '3.4028235e38',
    '16777217',
    '',
  ],
  [
    'double precision',
    '0.1',
    '1e308',
    '1e309',
    '123456789012345678',
    '0.000001',
    '-.5e-3',
    'nan',
    ' 1 ',
    '1 2',
    '4.35',
    '2.2250738585072014e-308',
  ],
  [
    'numeric(5,2)',
    '1',
    '1.005',
    '1.004',
    '-1.005',
    '999.99',
    '999.995',
    '1000',
    '1e2',
    '12345e-3',
    '.5',
    '5.',
    'x',
    '',
    '0.00000000000000000000000000000001',
    '-0',
    ' 3 ',
    '+3',
  ],
  ['numeric(4,0)', '9999', '9999.4', '9999.5', '-0.5'],
  [
    'numeric(38,10)',
    '1234567890123456789012345678.0123456789',
    '-0.00000000005',
    '12345678901234567890123456789',
  ],
  ['numeric(18,6)', '123456789012.123456', '-123456789012.1234565', '0.0000005'],
  [
    'boolean',
    't',
    'f',
    'true',
    'FALSE',
    'yes',
    'n',
    'on',
    'off',
    'of',
    'o',
    '1',
    '0',
    ' t ',
    'tr',
    '2',
    '',
  ],
  [
    'date',
    '2026-02-28',
    '2026-02-29',
    '2024-02-29',
    '2026-13-01',
    '2026-1-5',
    '20260105',
    'x',
    '',
    '1999-12-31',
    '0001-01-01',
    '2026-00-10',
  ],
  [
    'timestamp',
    '2026-01-02 03:04:05',
    '2026-01-02 03:04:05.5',
    '2026-01-02 03:04:05.123456',
    '2026-01-02 03:04:05.1234567',
    '2026-01-02T03:04:05',
    '2026-01-02',
    '2026-01-02 24:00:00',
    '2026-01-02 25:00:00',
    '2026-01-02 03:04:05+02',
    '1900-01-01 00:00:00',
    'x',
    '2026-01-02 03:04',
  ],
  [
    'timestamptz',
    '2026-01-02 03:04:05+02',
    '2026-01-02 03:04:05.25-05:30',
    '2026-01-02 03:04:05',
    '2026-01-02 03:04:05Z',
    '2026-01-02 03:04:05+16',
    '2026-01-02 03:04:05+0530',
  ],
  ['varchar(3)', 'abc', 'abcd', 'abc   ', 'äöü', 'äöüx', ''],
  ['char(3)', 'a', 'abcd', 'abc  '],
  ['text', 'x', '', ' y '],
  ['bytea', '\\\\x00ff', '\\\\xABCD', '\\\\x0', '\\\\xzz', 'abc', 'a\\\\\\\\b', '\\\\101', '\\\\9'],
  ['int[]', '{}', '{1,2}', '{1,NULL}', '{ 1 , 2 }', '{1', '1', '{x}', '{"1"}', '{1}}'],
  ['text[]', '{a,"b c",NULL,"NULL","q\\\\"x"}', '{a,}', '{"a}'],
  ['numeric(6,2)[]', '{1,2.5,3.005}', '{99999}', '{NULL}'],
  ['date[]', '{2026-01-02,NULL}', '{x}'],
  ['boolean[]', '{t,f,yes}'],
  ['bytea[]', '{"\\\\\\\\x00"}'],
]

const BINARY: readonly Case[] = [
  { name: 'rows', input: binary(tuple(int32(1), Buffer.from('x')), tuple(null, null), END) },
  { name: 'rows without a trailer', input: binary(tuple(int32(1), Buffer.from('x'))) },
  { name: 'no rows', input: binary(END) },
  { name: 'another signature', input: Buffer.from('PGCOPY\n\xff\r\nX'.padEnd(40), 'latin1') },
  { name: 'nothing at all', input: '' },
  { name: 'a signature alone', input: SIGNATURE },
  { name: 'a header without its length', input: Buffer.concat([SIGNATURE, int32(0)]) },
  {
    name: 'an extension',
    input: Buffer.concat([
      SIGNATURE,
      int32(0),
      int32(3),
      Buffer.from('abc'),
      tuple(int32(1), null),
      END,
    ]),
  },
  {
    name: 'an extension that is not whole',
    input: Buffer.concat([SIGNATURE, int32(0), int32(30)]),
  },
  { name: 'flags that matter', input: Buffer.concat([SIGNATURE, int32(1 << 17), int32(0), END]) },
  { name: 'object ids', input: Buffer.concat([SIGNATURE, int32(1 << 16), int32(0), END]) },
  { name: 'too few fields', input: binary(tuple(int32(1))) },
  { name: 'too many fields', input: binary(tuple(int32(1), null, null)) },
  { name: 'a negative length', input: binary(int16(2), int32(-2)) },
  {
    name: 'a field cut off',
    input: binary(tuple(int32(1), Buffer.from('x')), int16(2), int32(4), Buffer.of(0)),
  },
  { name: 'a field of another size', input: binary(tuple(Buffer.of(0, 0, 0, 0, 1), null), END) },
  { name: 'a text that is no UTF-8', input: binary(tuple(int32(1), Buffer.of(0xff)), END) },
  {
    name: 'bytes behind the trailer',
    input: binary(tuple(int32(1), null), END, Buffer.from('xx')),
  },
  {
    name: 'a null where none may be',
    columns: 'a int NOT NULL, b text',
    input: binary(tuple(int32(1), null), tuple(null, null), END),
  },
]

let next = 1

/** The outcome of a case and the rows it left. */
async function run(on: pg.Client, one: Case): Promise<{ outcome: CopyOutcome; rows: unknown }> {
  const table = `silver.c${next++}`
  await on.query(`CREATE TABLE ${table} (${one.columns ?? 'a int, b text'})`)
  const chunks = [typeof one.input === 'string' ? Buffer.from(one.input) : one.input]
  const outcome = await copyIn(
    on,
    `COPY ${table} ${one.list ?? ''} FROM STDIN ${one.options ?? ''}`,
    chunks,
  )
  const rows = (await on.query({ text: `SELECT * FROM ${table}`, rowMode: 'array' })).rows
  await on.query(`DROP TABLE ${table}`)
  const name = table.slice('silver.'.length)
  const plain = Object.entries(outcome).map(([key, text]) => [
    key,
    String(text).replaceAll(name, 't'),
  ])
  return { outcome: Object.fromEntries(plain) as CopyOutcome, rows }
}

/** What both must agree on: the failing row is not shown here. */
function comparable({ outcome, rows }: { outcome: CopyOutcome; rows: unknown }): string {
  const { tag, code, message, where, hint } = outcome
  return `${tag ?? code} ${message}\n${where}\n${hint}\n${JSON.stringify(rows)}`
}

async function check(one: Case): Promise<void> {
  const own = await run(client, one)
  if (one.expected !== undefined) expect(own.outcome).toMatchObject(one.expected)
  if (oracle === undefined || one.differs !== undefined) {
    expect(own.outcome.tag ?? own.outcome.where ?? one.differs).toBeDefined()
    return
  }
  expect(comparable(own)).toBe(comparable(await run(oracle, one)))
}

it('compares with a PostgreSQL', (context) => {
  if (findServer() === undefined) context.skip('no PostgreSQL server on this machine')
  expect(oracle).toBeDefined()
})

describe('COPY FROM in text', () => {
  it.each(TEXT.map((one) => [one.name, one] as const))('takes as PostgreSQL does: %s', (_, one) =>
    check(one),
  )
})

describe('COPY FROM in csv', () => {
  it.each(CSV.map((one) => [one.name, one] as const))('takes as PostgreSQL does: %s', (_, one) =>
    check({ options: '(FORMAT csv)', ...one }),
  )
})

describe('COPY FROM in binary', () => {
  it.each(BINARY.map((one) => [one.name, one] as const))('takes as PostgreSQL does: %s', (_, one) =>
    check({ options: '(FORMAT binary)', ...one }),
  )
})

describe('values', () => {
  const cases = VALUES.flatMap(([type, ...inputs]) => inputs.map((input) => [type, input] as const))
  it.each(cases)('of %s are read as PostgreSQL reads them: %s', (type, input) =>
    check({ name: input, columns: `v ${type}`, input: `${input}\n` }),
  )
})

describe('settings', () => {
  const cases: readonly (readonly [setting: string, type: string, ...inputs: string[]])[] = [
    ["timezone = 'Europe/Berlin'", 'timestamptz', '2026-01-02 03:04:05', '2026-07-02 03:04:05.25'],
    ["timezone = 'Europe/Berlin'", 'timestamptz', '2026-03-29 02:30:00', '2026-10-25 02:30:00'],
    ["timezone = 'Europe/Berlin'", 'timestamptz', '2026-01-02 03:04:05+05', '2026-01-02'],
    ["timezone = 'Europe/Berlin'", 'timestamp', '2026-01-02 03:04:05', '2026-01-02 03:04:05+05'],
    ["datestyle = 'SQL, DMY'", 'date', '02/01/2026', '31/12/2026', '12/31/2026', '2026-01-02'],
    ["datestyle = 'SQL, DMY'", 'timestamp', '02/01/2026 03:04:05', '2026-01-02 03:04:05'],
    ["datestyle = 'German'", 'date', '31.12.2026', '12.31.2026'],
    ["datestyle = 'ISO, MDY'", 'date', '12/31/2026', '31/12/2026', '31.12.2026'],
  ]
  const flat = cases.flatMap(([setting, type, ...inputs]) =>
    inputs.map((input) => [setting, type, input] as const),
  )
  it.each(flat)('with %s a %s is read as PostgreSQL reads it: %s', async (setting, type, input) => {
    for (const on of [client, oracle]) await on?.query(`SET ${setting}`)
    try {
      await check({ name: input, columns: `v ${type}`, input: `${input}\n` })
    } finally {
      for (const on of [client, oracle]) await on?.query("RESET datestyle; SET timezone = 'UTC'")
    }
  })
})
