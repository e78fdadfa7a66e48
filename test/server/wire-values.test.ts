/** Values on the wire: every type in text and binary, both directions, byte for byte as PostgreSQL's. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { RawClient } from '../support/raw-client.js'

interface WireValue {
  readonly type: string
  /** What is read, where it is not `text`. */
  readonly input?: string
  readonly settings?: Readonly<Record<string, string>>
  /** As PostgreSQL prints it. */
  readonly text: string
  /** The bytes of PostgreSQL's send function. */
  readonly hex: string
}

interface RefusedValue {
  readonly type: string
  readonly input: string
  readonly settings?: Readonly<Record<string, string>>
  /** SQLSTATE. */
  readonly error: string
}

/** Held to a real PostgreSQL by test/clients/wire-values.mjs. */
const recorded = JSON.parse(
  readFileSync(fileURLToPath(new URL('../clients/wire-values.json', import.meta.url)), 'utf8'),
) as readonly (WireValue | RefusedValue)[]
const values = recorded.filter((value): value is WireValue => !('error' in value))
const refused = recorded.filter((value): value is RefusedValue => 'error' in value)

const PLAIN = { TimeZone: 'UTC', IntervalStyle: 'postgres', DateStyle: 'ISO, MDY' }

let gateway: TestGateway
const clients = new Map<string, Promise<RawClient>>()

/** A session with these settings; one for all values that have them. */
function clientOf(settings: Readonly<Record<string, string>> = PLAIN): Promise<RawClient> {
  const key = JSON.stringify(settings)
  const client = clients.get(key) ?? RawClient.start(gateway.port, settings)
  clients.set(key, client)
  return client
}

beforeAll(async () => {
  gateway = await startGateway()
})

afterAll(async () => {
  for (const client of clients.values()) (await client).close()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

/** How a value comes back, as text or in hexadecimal, or the SQLSTATE and message of an error. */
async function back(
  client: RawClient,
  sql: string,
  bytes: Uint8Array | null,
  format: 0 | 1,
  resultFormat: 0 | 1,
): Promise<string | null> {
  const rows = await client
    .rows(sql, { values: bytes === null ? [] : [bytes], format, resultFormat })
    .catch((thrown: Error) => thrown.message)
  if (typeof rows === 'string') return rows
  const cell = rows[0]?.[0]
  return cell?.toString(resultFormat === 0 ? 'utf8' : 'hex') ?? null
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

const WAYS: readonly {
  readonly name: string
  readonly show: (client: RawClient, value: WireValue) => Promise<string | null>
  readonly want: (value: WireValue) => string
}[] = [
  {
    name: 'literals are shown as PostgreSQL shows them',
    show: (client, { type, text, input = text }) =>
      back(client, `SELECT ${quoted(input)}::${type}`, null, 0, 0),
    want: ({ text }) => text,
  },
  {
    name: 'text comes back as text',
    show: (client, { type, text, input = text }) =>
      back(client, `SELECT $1::${type}`, Buffer.from(input), 0, 0),
    want: ({ text }) => text,
  },
  {
    name: 'text comes back as bytes',
    show: (client, { type, text, input = text }) =>
      back(client, `SELECT $1::${type}`, Buffer.from(input), 0, 1),
    want: ({ hex }) => hex,
  },
  {
    name: 'bytes come back as text',
    show: (client, { type, hex }) =>
      back(client, `SELECT $1::${type}`, Buffer.from(hex, 'hex'), 1, 0),
    want: ({ text }) => text,
  },
  {
    name: 'bytes come back as bytes',
    show: (client, { type, hex }) =>
      back(client, `SELECT $1::${type}`, Buffer.from(hex, 'hex'), 1, 1),
    want: ({ hex }) => hex,
  },
]

describe.each([...new Set(values.map(({ type }) => type))])('of type %s', (type) => {
  const ofType = values.filter((value) => value.type === type)

  it.each(WAYS)('$name', async ({ show, want }) => {
    const shown: unknown[] = []
    for (const value of ofType) shown.push(await show(await clientOf(value.settings), value))
    expect(shown).toEqual(ofType.map(want))
  })
})

describe('what is no value', () => {
  it.each(refused)('$type $input is $error, as a literal and as a parameter', async (value) => {
    const { type, input, error } = value
    const client = await clientOf(value.settings)
    const literal = await back(client, `SELECT ${quoted(input)}::${type}`, null, 0, 0)
    const parameter = await back(client, `SELECT $1::${type}`, Buffer.from(input), 0, 0)
    expect([literal?.slice(0, 5), parameter?.slice(0, 5)]).toEqual([error, error])
  })

  /** An array's head: dimensions, flags, element type, then count and lower bound of each. */
  const array = (dimensions: readonly (readonly [number, number])[], ...cells: string[]): string =>
    [dimensions.length, 0, 23, ...dimensions.flat()]
      .map((n) => (n >>> 0).toString(16).padStart(8, '0'))
      .join('') + cells.join('')
  const one = '0000000400000001'
  it.each([
    ['int4', '0000', '22P03'],
    ['int4', '0000000000', '22P03'],
    ['numeric', '00010000', '22P03'],
    ['numeric', '00010000000000002710', '22P03'],
    ['uuid', '00', '22P03'],
    ['jsonb', '027b7d', '22P03'],
    ['text', 'ff', '22021'],
    ['text', '00', '22021'],
    ['date', '7ffffff0', '22008'],
    ['time', 'ffffffffffffffff', '22008'],
    ['"char"', '6162', '22P03'],
    ['name', '61'.repeat(64), '42622'],
    ['int4[]', array([[2, 1]], one), '22P03'],
    ['int4[]', array([[-1, 1]]), '22P03'],
    ['int4[]', array([[1_000_000_000, 1]]), '22P03'],
    ['int4[]', array([[1, 0]], one), '0A000'],
    [
      'int4[]',
      array(
        Array.from({ length: 7 }, () => [1, 1] as const),
        one,
      ),
      '54000',
    ],
    ['text[]', array([[1, 1]], one), '42804'],
  ])('%s cannot be made of the bytes %s (%s %s)', async (type, hex, state) => {
    const client = await clientOf()
    const shown = await back(client, `SELECT $1::${type}`, Buffer.from(hex, 'hex'), 1, 0)
    expect(shown?.slice(0, 5)).toBe(state)
  })
})

describe('arrays of several dimensions as parameters', () => {
  it('are compared, converted, counted and taken apart', async () => {
    const client = await clientOf()
    const ask = (sql: string, text = '{{1,2},{3,4}}') => back(client, sql, Buffer.from(text), 0, 0)
    expect(await ask('SELECT $1::int4[] = ARRAY[[1,2],[3,4]]')).toBe('t')
    expect(await ask('SELECT $1::int4[]::text[]')).toBe('{{1,2},{3,4}}')
    expect(await ask('SELECT ($1::int4[])[2][1]')).toBe('3')
    expect(await ask('SELECT array_length($1::int4[], 2)')).toBe('2')
    expect(await ask('SELECT array_ndims($1::int4[])')).toBe('2')
    expect(await ask('SELECT string_agg(n::text, $$-$$) FROM unnest($1::int4[]) n')).toBe('1-2-3-4')
    expect(await ask('SELECT 3 = ANY ($1::int4[])')).toBe('t')
    expect(await ask('SELECT ($1::int4[])[1][2][1]')).toBe(null)
    expect(await ask('SELECT ($1::int4[])[1][2]', '{1,2}')).toBe(null)
  })
})
