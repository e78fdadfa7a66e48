/**
 * Goal: rows that the encoder writes straight from DuckDB's vectors are those that JavaScript makes
 * value by value.
 * Method: columns of every type, over their whole range, with nulls, encoded both ways in all
 * formats of rows and of COPY; random choices of columns, of null patterns and of the rows of a chunk.
 */

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pgTypeOf } from '../../catalog/pg-types.js'
import type { CopyFormat, OutputStyle, ResultColumn, RowBatch } from '../../planner/result.js'
import { CopyEncoder } from '../../server/copy-encoder.js'
import { EncoderKind } from '../../server/encoder-column.js'
import { RowEncoder } from '../../server/row-encoder.js'
import { Engine, type EngineConnection, readRows } from '../../storage/engine.js'

let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  engine = await Engine.open({})
  connection = await engine.connect()
  await connection.run("SET TimeZone = 'UTC'")
})

afterAll(() => engine?.close())

const STYLE: OutputStyle = {
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
}

/** Values over the whole range of a type, edges among them; `i` counts the rows. */
const EXPRESSIONS: readonly string[] = [
  'i % 3 = 0',
  'CASE i % 50 WHEN 1 THEN -128 WHEN 2 THEN 127 ELSE (hash(i) % 256)::INTEGER - 128 END::TINYINT',
  'CASE i % 50 WHEN 1 THEN -32768 WHEN 2 THEN 32767 ELSE (hash(i) % 65536)::INTEGER - 32768 END::SMALLINT',
  'CASE i % 50 WHEN 1 THEN -2147483648 WHEN 2 THEN 2147483647 ELSE (hash(i) % 4294967296)::BIGINT - 2147483648 END::INTEGER',
  '((hash(i) % 4294967296)::BIGINT >> (1 + i % 31))::INTEGER',
  'CASE i % 50 WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 WHEN 3 THEN 9007199254740993 ELSE ((hash(i) >> 1)::BIGINT >> (i % 60)) * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) END::BIGINT',
  'CASE i % 9 WHEN 1 THEN 10 ^ (i % 19) WHEN 2 THEN 10 ^ (i % 19) - 1 ELSE -(10 ^ (i % 19)) END::BIGINT',
  '(hash(i) % 256)::UTINYINT',
  '(hash(i) % 65536)::USMALLINT',
  '(hash(i) % 4294967296)::UINTEGER',
  'hash(i)::UBIGINT',
  "CASE i % 9 WHEN 1 THEN '-170141183460469231731687303715884105728'::HUGEINT WHEN 2 THEN '170141183460469231731687303715884105727'::HUGEINT WHEN 3 THEN -1 WHEN 4 THEN 18446744073709551616 WHEN 5 THEN -9223372036854775809 ELSE (hash(i) >> 1)::HUGEINT * (hash(i + 1) >> (i % 64)::INTEGER)::HUGEINT END",
  '((hash(i) % 20000)::INTEGER - 10000)::DECIMAL(5,0) % 10000',
  '(((hash(i) % 19999)::INTEGER - 9999) / 100.0)::DECIMAL(4,2)',
  '(((hash(i) % 19999)::INTEGER - 9999) / 10000.0)::DECIMAL(4,4)',
  '(((hash(i) % 1000000000)::BIGINT - 500000000) / 1000.0)::DECIMAL(9,3)',
  'CASE i % 50 WHEN 1 THEN -0.01 WHEN 2 THEN 0 WHEN 3 THEN 9999999999999.99 WHEN 4 THEN -9999999999999.99 ELSE ((hash(i) >> 1)::BIGINT >> (i % 60)) % 1000000000000000 / 100.0 END::DECIMAL(15,2)',
  'CASE i % 9 WHEN 1 THEN 9999999999999999.99 WHEN 2 THEN -9999999999999999.99 WHEN 3 THEN 0 WHEN 4 THEN 0.01 WHEN 5 THEN 10000 ELSE 123456789012.5 END::DECIMAL(18,2)',
  'CASE i % 4 WHEN 1 THEN 999999999999999999 WHEN 2 THEN -999999999999999999 ELSE ((hash(i) >> 1)::BIGINT >> (i % 60)) % 1000000000000000000 END::DECIMAL(18,0)',
  '(hash(i)::DECIMAL(38,0) / 1000)::DECIMAL(38,5)',
  "CASE i % 5 WHEN 1 THEN '0.00000000000000000000000000000000000001' WHEN 2 THEN '-0.99999999999999999999999999999999999999' WHEN 3 THEN '0' ELSE '0.' || hash(i) || hash(i + 1) END::DECIMAL(38,38)",
  "CASE i % 5 WHEN 1 THEN '99999999999999999999999999999999999999' WHEN 2 THEN '-99999999999999999999999999999999999999' WHEN 3 THEN '18446744073709551616' WHEN 4 THEN '-100000000000000000000000000000000000' ELSE left((hash(i)::VARCHAR || hash(i + 1)), 1 + (i % 37)::INTEGER) END::DECIMAL(38,0)",
  'left((hash(i)::VARCHAR || hash(i + 1)), 1 + (i % 30)::INTEGER)::DECIMAL(37,7)',
  '(i * 1.5)::DOUBLE',
  '(i % 1000) / 8.0::DOUBLE',
  "CASE i % 9 WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf' WHEN 4 THEN '-0' WHEN 5 THEN '5e-324' WHEN 6 THEN '1.7976931348623157e308' WHEN 7 THEN '0.0001' WHEN 8 THEN '1e15' ELSE '123456789012345' END::DOUBLE",
  '(hash(i)::DOUBLE / 1e18) * (10.0::DOUBLE ^ ((i % 600) - 300)) * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END)',
  '((hash(i) % 1000000) / 1000.0)::DOUBLE',
  "CASE i % 9 WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf' WHEN 4 THEN '-0' WHEN 5 THEN '1e-45' WHEN 6 THEN '3.4028235e38' WHEN 7 THEN '0.0001' WHEN 8 THEN '1e6' ELSE '16777216' END::FLOAT",
  '((hash(i)::DOUBLE / 1e18) * (10.0::DOUBLE ^ ((i % 70) - 38)))::FLOAT',
  '((i % 100) / 4.0)::REAL',
  "CASE i % 50 WHEN 1 THEN 'infinity'::DATE WHEN 2 THEN '-infinity'::DATE WHEN 3 THEN '0044-03-15 (BC)'::DATE WHEN 4 THEN '12345-01-01'::DATE WHEN 5 THEN '5877642-06-25 (BC)'::DATE WHEN 6 THEN '5881580-07-10'::DATE WHEN 7 THEN '0001-12-31 (BC)'::DATE ELSE DATE '0001-01-01' + (hash(i) % 3600000)::INTEGER END",
  "DATE '2000-02-25' + (i % 1500)::INTEGER",
  "DATE '0005-02-25 (BC)' + (i * 30 % 100000)::INTEGER",
  "TIME '00:00:00' + to_microseconds((hash(i) % 86400000000)::BIGINT)",
  "CASE i % 4 WHEN 0 THEN TIME '24:00:00' WHEN 1 THEN TIME '12:34:56.7' ELSE TIME '00:00:00' END",
  "CASE i % 50 WHEN 1 THEN 'infinity'::TIMESTAMP WHEN 2 THEN '-infinity'::TIMESTAMP WHEN 3 THEN '290309-12-22 (BC) 00:00:00'::TIMESTAMP WHEN 4 THEN '294247-01-10 04:00:54.775806'::TIMESTAMP WHEN 5 THEN TIMESTAMP '1969-12-31 23:59:59.999999' ELSE TIMESTAMP '1600-01-01' + to_microseconds((hash(i) % 25000000000000000)::BIGINT) END",
  "TIMESTAMP '2024-01-01 00:00:00' + to_seconds(i)",
  "TIMESTAMP '2024-01-01 00:00:00' - to_milliseconds(i * 37)",
  "CASE i % 50 WHEN 1 THEN 'infinity'::TIMESTAMPTZ WHEN 2 THEN '-infinity'::TIMESTAMPTZ WHEN 3 THEN TIMESTAMPTZ '1890-03-31 12:00:00+00' WHEN 4 THEN TIMESTAMPTZ '0044-03-15 (BC) 00:00:00+00' ELSE TIMESTAMPTZ '1960-01-01 00:00:00+00' + to_microseconds((hash(i) % 3000000000000000)::BIGINT) END",
  "TIMESTAMPTZ '2024-03-30 00:00:00+00' + to_seconds(i * 60)",
  "repeat('é', (i % 40)::INTEGER) || i",
  "CASE i % 3 WHEN 0 THEN 'AIR' WHEN 1 THEN '' ELSE 'a constant of the dictionary' END",
  "CASE i % 11 WHEN 0 THEN '\\N' WHEN 1 THEN '\\.' WHEN 2 THEN 'tab' || chr(9) || 'line' || chr(10) WHEN 3 THEN '\"quoted, \" text' WHEN 4 THEN chr(13) WHEN 5 THEN 'back\\slash' WHEN 6 THEN chr(8) || chr(11) || chr(12) ELSE 'x' || i END",
  "CASE WHEN i % 100 = 7 THEN repeat('long text ' || chr(10), 3000) ELSE repeat('ab', (i % 300)::INTEGER) END",
  "CASE i % 4 WHEN 0 THEN ''::BLOB WHEN 1 THEN '\\x00\\xFF'::BLOB ELSE encode(repeat('blob ', (i % 30)::INTEGER)) END",
  "CASE i % 4 WHEN 0 THEN '00000000-0000-0000-0000-000000000000'::UUID WHEN 1 THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID ELSE md5(i::VARCHAR)::UUID END",
  'to_days((i % 10)::INTEGER)',
  '[i, NULL, i + 1]',
  "{'a': i, 'b': 'x' || i}",
  '(\'{"b": \' || i || \', "a": 1}\')::JSON',
  "'1011'::BIT",
  'NULL::INTEGER',
]

const COPIES: readonly CopyFormat[] = [
  { format: 'text', delimiter: '\t', nullText: '\\N', quote: '"', escape: '"' },
  { format: 'text', delimiter: ':', nullText: 'N', quote: '"', escape: '"' },
  { format: 'text', delimiter: '-', nullText: '', quote: '"', escape: '"' },
  { format: 'csv', delimiter: ',', nullText: '', quote: '"', escape: '"' },
  { format: 'csv', delimiter: '1', nullText: '0', quote: "'", escape: '\\' },
  { format: 'csv', delimiter: ';', nullText: 't', quote: '-', escape: '-' },
  { format: 'csv', delimiter: ',', nullText: 'é', quote: '"', escape: '\\' },
  { format: 'binary', delimiter: '\t', nullText: '\\N', quote: '"', escape: '"' },
].map((copy) => ({ header: false, forceQuote: [], ...copy }) as CopyFormat)

interface Table {
  readonly columns: readonly ResultColumn[]
  readonly batches: (from: number, to: number) => readonly (readonly [RowBatch, RowBatch])[]
}

/** A table of those expressions, as chunks and as values. */
async function query(expressions: readonly string[], rowCount: number): Promise<Table> {
  const prepared = await connection.prepare(
    `SELECT ${expressions.join(', ')} FROM range(${rowCount}) t(i)`,
  )
  const columns = prepared.columns.map((column, i) => ({
    name: `c${i}`,
    pgType: pgTypeOf(column.type),
    engineType: column.type,
    tableOid: 0,
    attributeNumber: 0,
  }))
  const { chunks } = await prepared.collect()
  const types = prepared.columns
  prepared.destroy()
  return {
    columns,
    batches: (from, to) =>
      chunks.flatMap((chunk) => {
        const end = Math.min(to, chunk.rowCount)
        if (from >= end) return []
        const rows = readRows(chunk, types).slice(from, end)
        return [
          [
            { kind: 'chunk', chunk, from, to: end },
            { kind: 'values', rows },
          ],
        ] as const
      }),
  }
}

function withNulls(expression: string, pattern: string): string {
  return `CASE WHEN ${pattern} THEN NULL ELSE ${expression} END`
}

interface Encoder {
  encode(batch: RowBatch): Iterable<Uint8Array>
}

function bytesOf(encoder: Encoder, batch: RowBatch): Buffer {
  return Buffer.concat([...encoder.encode(batch)])
}

function check(made: Encoder, expected: Encoder, [chunk, values]: readonly [RowBatch, RowBatch]) {
  const actual = bytesOf(made, chunk)
  const wanted = bytesOf(expected, values)
  if (actual.equals(wanted)) return
  // Only now, since printing what differs is slow.
  expect(actual.toString('latin1')).toBe(wanted.toString('latin1'))
}

function checkRows(table: Table, binary: boolean, style: OutputStyle, from = 0, to = 2048): void {
  const formats = table.columns.map(() => (binary ? 1 : 0) as 0 | 1)
  for (const pair of table.batches(from, to)) {
    const [made, wanted] = [0, 1].map(() => new RowEncoder(table.columns, formats, style))
    check(made as RowEncoder, wanted as RowEncoder, pair)
  }
}

function checkCopy(table: Table, copy: CopyFormat, style: OutputStyle, from = 0, to = 2048): void {
  const [made, wanted] = [0, 1].map(() => new CopyEncoder(table.columns, copy, style))
  for (const each of [made, wanted]) each?.header()
  for (const pair of table.batches(from, to)) {
    check(made as CopyEncoder, wanted as CopyEncoder, pair)
  }
}

it('kinds of columns have the same numbers in TypeScript and in AssemblyScript', () => {
  const source = readFileSync(new URL('../../server/encoder/column.ts', import.meta.url), 'utf8')
  const numbers = [...source.matchAll(/export const (\w+) = (\d+)$/gm)].map(
    ([, name, number]) => [name, Number(number)] as const,
  )
  expect(Object.fromEntries(numbers)).toEqual(EncoderKind)
})

describe('rows from vectors are rows from values', () => {
  it.each(EXPRESSIONS)('of %s', async (expression) => {
    const table = await query([withNulls(expression, 'i % 7 = 0')], 3000)
    for (const timeZone of ['UTC', 'Europe/Berlin', 'America/New_York', '<+0530>-05:30']) {
      checkRows(table, false, { ...STYLE, timeZone }, 5)
    }
    checkRows(table, true, STYLE, 5)
    for (const copy of COPIES) checkCopy(table, copy, STYLE, 5)
  })

  it('in other styles of dates, floats and bytes', async () => {
    const table = await query(EXPRESSIONS, 300)
    for (const dateStyle of ['SQL', 'Postgres', 'German'] as const) {
      checkRows(table, false, { ...STYLE, dateStyle, timeZone: 'Asia/Kolkata' })
    }
    checkRows(table, false, { ...STYLE, extraFloatDigits: 0 })
    checkRows(table, false, { ...STYLE, extraFloatDigits: -3, byteaOutput: 'escape' })
  })

  it('with values that are quoted always', async () => {
    const table = await query([withNulls('i', 'i % 3 = 0'), "'a' || i", 'i % 2 = 0'], 100)
    for (const copy of COPIES) {
      checkCopy(table, { ...copy, forceQuote: 'all' }, STYLE)
      checkCopy(table, { ...copy, forceQuote: [1, 2] }, STYLE)
    }
  })

  it('in rows that are larger than the memory of the encoder', async () => {
    const table = await query(
      [
        'i',
        "CASE i % 5 WHEN 0 THEN repeat('wide\\', 300000) WHEN 1 THEN repeat('x', 700000) ELSE 'short' END",
        "CASE WHEN i % 4 = 0 THEN repeat('y', 600000) END",
        "CASE i WHEN 3 THEN encode(repeat('z', 900000)) END",
        "CASE WHEN i % 3 = 0 THEN [repeat('list', 100000)] END",
      ],
      40,
    )
    checkRows(table, false, STYLE)
    checkRows(table, true, STYLE)
    for (const copy of COPIES) checkCopy(table, copy, STYLE)
  })

  it('in rows of very many columns', async () => {
    const many = Array.from({ length: 1600 }, (_, i) => EXPRESSIONS[i % 45] as string)
    const table = await query(many, 70)
    checkRows(table, false, STYLE)
    checkRows(table, true, STYLE)
    checkCopy(table, COPIES[0] as CopyFormat, STYLE)
    checkCopy(table, COPIES[4] as CopyFormat, STYLE)
  })

  it('with long texts that stand in no order', async () => {
    await connection.run(
      'CREATE OR REPLACE TEMP TABLE texts AS SELECT i, repeat(chr(97 + (i % 26)::INTEGER), 13 + (hash(i) % 3000)::INTEGER) AS t FROM range(5000) r(i)',
    )
    const prepared = await connection.prepare(
      'SELECT t, i, t AS again FROM texts WHERE hash(i) % 3 = 0 ORDER BY hash(i)',
    )
    const columns = prepared.columns.map((column) => ({
      name: column.name,
      pgType: pgTypeOf(column.type),
      engineType: column.type,
      tableOid: 0,
      attributeNumber: 0,
    }))
    const { chunks } = await prepared.collect()
    for (const chunk of chunks) {
      const rows = readRows(chunk, prepared.columns)
      const [made, wanted] = [0, 1].map(() => new RowEncoder(columns, [0, 0, 0], STYLE))
      check(made as RowEncoder, wanted as RowEncoder, [
        { kind: 'chunk', chunk, from: 0, to: chunk.rowCount },
        { kind: 'values', rows },
      ])
    }
    prepared.destroy()
  })

  it('for any columns, nulls, formats and parts of a chunk', { timeout: 120_000 }, async () => {
    const pattern = fc.constantFrom(
      'FALSE',
      'TRUE',
      'i % 2 = 0',
      'hash(i) % 5 = 0',
      'i BETWEEN 60 AND 70',
      'hash(i) % 100 > 0',
    )
    const column = fc.tuple(fc.constantFrom(...EXPRESSIONS), pattern)
    await fc.assert(
      fc.asyncProperty(
        fc.array(column, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 2500 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 1, max: 2048 }),
        fc.constantFrom(...COPIES),
        fc.constantFrom('UTC', 'Australia/Lord_Howe', '<-03>+03'),
        async (chosen, rowCount, from, to, copy, timeZone) => {
          const style = { ...STYLE, timeZone }
          const table = await query(
            chosen.map(([expression, nulls]) => withNulls(expression, nulls)),
            rowCount,
          )
          checkRows(table, false, style, from, to)
          checkRows(table, true, style, from, to)
          checkCopy(table, copy, style, from, to)
        },
      ),
      { seed: 20261121, numRuns: 40 },
    )
  })
})
