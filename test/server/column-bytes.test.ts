/** Cells made straight from DuckDB's vectors are those made value by value. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { pgTypeOf } from '../../catalog/pg-types.js'
import { columnBytes } from '../../server/column-bytes.js'
import { textContext } from '../../server/value-text.js'
import { Engine, type EngineConnection, readRows } from '../../storage/engine.js'

let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(() => engine?.close())

const style = {
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
} as const

/** Values over the whole range of a type, edges among them, with every seventh row null. */
const EXPRESSIONS: readonly string[] = [
  'CASE i % 50 WHEN 1 THEN -32768 WHEN 2 THEN 32767 ELSE (hash(i) % 1000)::INTEGER - 500 END::SMALLINT',
  'CASE i % 50 WHEN 1 THEN -2147483648 WHEN 2 THEN 2147483647 ELSE (hash(i) % 100000)::INTEGER END::INTEGER',
  'CASE i % 50 WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 WHEN 3 THEN 9007199254740993 ELSE (hash(i) % 100000000000)::BIGINT - 50000000000 END::BIGINT',
  '((hash(i) % 10000)::INTEGER - 5000)::DECIMAL(4,0)',
  '(((hash(i) % 10000)::INTEGER - 5000) / 100.0)::DECIMAL(4,2)',
  '(((hash(i) % 1000000000)::BIGINT - 500000000) / 1000.0)::DECIMAL(9,3)',
  '(((hash(i) % 1000000000000)::BIGINT - 500000000000) / 100.0)::DECIMAL(15,2)',
  'CASE i % 9 WHEN 1 THEN 9999999999999999.99 WHEN 2 THEN -9999999999999999.99 WHEN 3 THEN 0 WHEN 4 THEN 0.01 WHEN 5 THEN 10000 ELSE 123456789012.5 END::DECIMAL(18,2)',
  '(hash(i)::DECIMAL(38,0) / 1000)::DECIMAL(38,5)',
  "CASE i % 50 WHEN 1 THEN 'infinity'::DATE WHEN 2 THEN '-infinity'::DATE WHEN 3 THEN '0044-03-15 (BC)'::DATE WHEN 4 THEN '12345-01-01'::DATE ELSE DATE '0001-01-01' + (hash(i) % 3600000)::INTEGER END",
  "CASE i % 50 WHEN 1 THEN 'infinity'::TIMESTAMP WHEN 2 THEN '-infinity'::TIMESTAMP ELSE TIMESTAMP '1600-01-01' + to_microseconds((hash(i) % 25000000000000000)::BIGINT) END",
  "CASE i % 50 WHEN 1 THEN 'infinity'::TIMESTAMPTZ ELSE TIMESTAMPTZ '1960-01-01 00:00:00+00' + to_microseconds((hash(i) % 3000000000000000)::BIGINT) END",
  "TIMESTAMP '2024-01-01 00:00:00' + to_seconds(i)",
  "repeat('é', (i % 40)::INTEGER) || i",
  '(i % 2 = 0)',
  '(i * 1.5)::DOUBLE',
  'to_days((i % 10)::INTEGER)',
]

it.each(EXPRESSIONS)('of %s', async (expression) => {
  const prepared = await connection.prepare(
    `SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE ${expression} END AS v FROM range(3000) t(i)`,
  )
  const [column] = prepared.columns
  if (column === undefined) throw new Error('no column')
  const described = {
    name: 'v',
    pgType: pgTypeOf(column.type),
    engineType: column.type,
    tableOid: 0,
    attributeNumber: 0,
  }
  for (const timeZone of ['UTC', 'Europe/Berlin']) {
    for (const binary of [false, true]) {
      const format = { column: described, binary, context: textContext({ ...style, timeZone }) }
      for (const chunk of (await prepared.collect()).chunks) {
        const from = 5
        const rows = readRows(chunk, prepared.columns).slice(from)
        const fast = columnBytes({ kind: 'chunk', chunk, from, to: chunk.rowCount }, 0, format)
        const slow = columnBytes({ kind: 'values', rows }, 0, format)
        const cells = (made: typeof fast): (string | null)[] =>
          [...made.ends].map((end, i) =>
            made.nulls[i] === 1
              ? null
              : made.bytes.subarray(i === 0 ? 0 : made.ends[i - 1], end).toString('latin1'),
          )
        expect(cells(fast)).toEqual(cells(slow))
      }
    }
  }
  prepared.destroy()
})
