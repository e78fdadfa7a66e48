/**
 * Goal: what COPY TO writes, COPY FROM reads back as the same rows, of every type and in every format.
 * Method: random rows of hostile values, copied out and in again in random pieces, from a lake table
 * into another and from a temporary table into another.
 */

import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyIn, copyOut } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

let gateway: TestGateway
let client: pg.Client

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
    types,
  })
  await client.connect()
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

const digits = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: length })

const decimal = (whole: number, scale: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom('', '-'), digits(whole), digits(scale))
    .map(([sign, left, right]) => `${sign}${left}.${right}`)

const hostile = fc.oneof(
  fc.constantFrom(
    '',
    '\\N',
    '\\.',
    '\\',
    '"',
    '""',
    ',',
    "'",
    '\n',
    '\r\n',
    '\t',
    'NULL',
    '{}',
    ' x ',
  ),
  fc.string({
    unit: fc.constantFrom(
      'a',
      'B',
      '7',
      ',',
      '"',
      '\\',
      '\t',
      '\n',
      '\r',
      '\b',
      '\v',
      'ä',
      '€',
      '😀',
      '.',
    ),
    maxLength: 40,
  }),
)

const two = (max: number, min = 0): fc.Arbitrary<string> =>
  fc.integer({ min, max }).map((value) => String(value).padStart(2, '0'))

const date = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), two(12, 1), two(28, 1))
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${month}-${day}`)

const clock = fc
  .tuple(two(23), two(59), two(59), fc.integer({ min: 0, max: 999_999 }))
  .map(([h, m, s, f]) => `${h}:${m}:${s}.${String(f).padStart(6, '0')}`)

const timestamp = fc.tuple(date, clock).map((parts) => parts.join(' '))

const double = fc.oneof(
  fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value))),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0.1', '1e-300', '123456789.125'),
)

const hex = fc
  .uint8Array({ maxLength: 30 })
  .map((value) => `\\x${Buffer.from(value).toString('hex')}`)

/** An array's text out of those of its elements. */
const array = (element: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(fc.option(element), { maxLength: 5 }).map((items) => {
    const quoted = items.map((item) =>
      item === null ? 'NULL' : `"${item.replaceAll(/["\\]/g, '\\$&')}"`,
    )
    return `{${quoted.join(',')}}`
  })

const LAKE: Readonly<Record<string, fc.Arbitrary<string>>> = {
  smallint: fc.integer({ min: -32_768, max: 32_767 }).map(String),
  int: fc.integer().map(String),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  real: fc.oneof(fc.float().map(String), fc.constantFrom('NaN', '-Infinity', '0.1')),
  'double precision': double,
  'numeric(4,1)': decimal(3, 1),
  'numeric(9,4)': decimal(5, 4),
  'numeric(18,6)': decimal(12, 6),
  'numeric(38,10)': decimal(28, 10),
  boolean: fc.constantFrom('t', 'f'),
  text: hostile,
  'varchar(40)': hostile,
  date,
  timestamp,
  timestamptz: timestamp.map((value) => `${value}+00`),
  bytea: hex,
  'int[]': array(fc.integer().map(String)),
  'text[]': array(hostile),
  'bigint[]': array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  'double precision[]': array(double),
  'boolean[]': array(fc.constantFrom('t', 'f')),
  'timestamp[]': array(timestamp),
  'bytea[]': array(hex),
}

const TEMPORARY: Readonly<Record<string, fc.Arbitrary<string>>> = {
  time: clock,
  interval: fc
    .tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -99, max: 99 }), clock)
    .map(([months, days, time]) => `${months} mons ${days} days ${time}`),
  uuid: fc.uuid(),
  json: fc.json(),
  jsonb: fc.json({ maxDepth: 1 }).filter((value) => !/[eE]/.test(value)),
  'char(5)': fc.string({ unit: fc.constantFrom('a', 'ä', ','), maxLength: 5 }),
  'uuid[]': array(fc.uuid()),
  text: hostile,
}

const FORMATS = [
  '',
  "(DELIMITER '|', NULL 'nil')",
  '(HEADER match)',
  '(FORMAT csv)',
  '(FORMAT csv, HEADER match)',
  "(FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';', NULL 'nil')",
  '(FORMAT csv, FORCE_QUOTE *)',
  '(FORMAT binary)',
]

/** A field of text format. */
function escaped(value: string | null): string {
  if (value === null) return '\\N'
  const letters: Readonly<Record<string, string>> = { '\n': 'n', '\r': 'r', '\t': 't', '\\': '\\' }
  return value.replaceAll(/[\n\r\t\\]/g, (char) => `\\${letters[char]}`)
}

/** `bytes` cut at random places. */
function cut(bytes: Buffer, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...ends, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end))
}

async function rowsOf(table: string): Promise<unknown[][]> {
  return (
    await client.query<unknown[]>({ text: `SELECT * FROM ${table} ORDER BY id`, rowMode: 'array' })
  ).rows
}

let next = 1

function roundTrips(
  create: string,
  place: string,
  columns: Readonly<Record<string, fc.Arbitrary<string>>>,
): void {
  const entries = Object.entries(columns)
  const row = fc.tuple(...entries.map(([, values]) => fc.option(values, { freq: 6 })))
  it.each(FORMATS.map((format) => [format || 'text'] as const))(
    'in %s',
    async (words) => {
      const format = words === 'text' ? '' : words
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { minLength: 1, maxLength: 30 }),
          fc.array(fc.nat(), { maxLength: 20 }),
          async (rows, places) => {
            const [from, to] = [`${place}r${next++}`, `${place}r${next++}`]
            const list = entries.map(([type], i) => `c${i} ${type}`).join(', ')
            for (const table of [from, to])
              await client.query(`${create} ${table} (id int, ${list})`)
            const lines = rows.map((values, i) => `${i}\t${values.map(escaped).join('\t')}\n`)
            const first = await copyIn(client, `COPY ${from} FROM STDIN`, [
              Buffer.from(lines.join('')),
            ])
            expect(first).toEqual({ tag: `COPY ${rows.length}` })
            const written = format.replace(' match', '')
            const bytes = await copyOut(client, `COPY ${from} TO STDOUT ${written}`)
            const options = format.replace(', FORCE_QUOTE *', '')
            const second = await copyIn(
              client,
              `COPY ${to} FROM STDIN ${options}`,
              cut(bytes, places),
            )
            expect(second).toEqual({ tag: `COPY ${rows.length}` })
            const expected = await rowsOf(from)
            expect(expected.length).toBe(rows.length)
            expect(await rowsOf(to)).toEqual(expected)
            for (const table of [from, to]) await client.query(`DROP TABLE ${table}`)
          },
        ),
        { seed: 20261121, numRuns: 12 },
      )
    },
    60_000,
  )
}

describe('rows of a lake table come back', () => {
  roundTrips('CREATE TABLE', 'silver.', LAKE)
})

describe('rows of a temporary table come back', () => {
  roundTrips('CREATE TEMP TABLE', '', TEMPORARY)
})

it('rows of many batches come back', async () => {
  await client.query(`CREATE TABLE silver.many AS SELECT i AS id, i::bigint * 1000000007 AS b,
    CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('ä', i % 50) || i END AS c, i / 7.0::float8 AS d,
    timestamp '2020-01-01' + i * interval '1.5 second' AS e FROM generate_series(1, 50000) i`)
  for (const format of ['text', 'csv', 'binary']) {
    await client.query(
      `CREATE TABLE silver.again_${format} (id int, b bigint, c text, d float8, e timestamp)`,
    )
    const bytes = await copyOut(client, `COPY silver.many TO STDOUT (FORMAT ${format})`)
    const chunks: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 100_003) chunks.push(bytes.subarray(at, at + 100_003))
    expect(
      await copyIn(client, `COPY silver.again_${format} FROM STDIN (FORMAT ${format})`, chunks),
    ).toEqual({ tag: 'COPY 50000' })
    const { rows } = await client.query(
      `SELECT * FROM silver.again_${format} EXCEPT SELECT * FROM silver.many`,
    )
    expect(rows).toEqual([])
    const { rows: counted } = await client.query(`SELECT count(*) AS n FROM silver.again_${format}`)
    expect(counted).toEqual([{ n: '50000' }])
  }
}, 60_000)
