/**
 * Goal: what a table's metadata says in Spark SQL has the values here that Spark gives it, or is refused.
 * Method: a table of expressions over rows, whose values Spark 3.5 computed (`spark-expressions.json`,
 * held against Spark by `test/clients/spark_expressions.py`), is evaluated row by row in a session of
 * another time zone than Spark's. An error is right where Spark's ANSI mode disagrees with its default
 * one, and for the rows that the data lists.
 */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableCondition, tableExpression } from '../../planner/table-expression.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { printEngineType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { engineTypeOf, parseSchemaString, type StructField } from '../../storage/schema.js'
import { sparkTypeName } from '../../planner/spark-value.js'
import { sparkName, sparkString } from '../../planner/spark-token.js'
import { parseSparkExpression } from '../../planner/spark-expression.js'
import fc from 'fast-check'

type Expected =
  | string
  | number
  | boolean
  | null
  | { readonly unlessAnsi: string | number | boolean | null | object }

interface Data {
  readonly columns: {
    readonly [name: string]: { readonly type: string; readonly values: readonly (string | null)[] }
  }
  readonly cases: readonly {
    readonly expression: string
    readonly type: string
    readonly values: readonly Expected[]
    readonly raises?: readonly number[]
  }[]
}

const data = JSON.parse(
  readFileSync(new URL('./spark-expressions.json', import.meta.url), 'utf8'),
) as Data

const DELTA_NAMES: Readonly<Record<string, string>> = {
  tinyint: 'byte',
  smallint: 'short',
  int: 'integer',
  bigint: 'long',
}

const fields: readonly StructField[] = parseSchemaString(
  JSON.stringify({
    type: 'struct',
    fields: [
      ...Object.entries(data.columns).map(([name, { type }]) => ({
        name,
        type: DELTA_NAMES[type] ?? type,
        nullable: true,
        metadata: {},
      })),
      {
        name: 'st',
        type: {
          type: 'struct',
          fields: [
            { name: 'a', type: 'integer', nullable: true, metadata: {} },
            {
              name: 'n',
              type: {
                type: 'struct',
                fields: [{ name: 'x', type: 'string', nullable: true, metadata: {} }],
              },
              nullable: true,
              metadata: {},
            },
          ],
        },
        nullable: true,
        metadata: {},
      },
    ],
  }),
).fields

let engine: Engine
let connection: EngineConnection
let rowCount = 0

beforeAll(async () => {
  engine = await Engine.open({})
  connection = await engine.connect()
  await connection.run("SET TimeZone = 'America/New_York'")
  const names = Object.keys(data.columns)
  rowCount = data.columns.i?.values.length ?? 0
  const items = fields.slice(0, -1).map(({ name, type }) => {
    const quoted = `"${name.replaceAll('"', '""')}"`
    const zone = type.kind === 'primitive' && type.name === 'timestamp' ? " || '+00'" : ''
    return `CAST(${quoted}${zone} AS ${printEngineType(engineTypeOf(type))}) AS ${quoted}`
  })
  const rows = Array.from({ length: rowCount }, (_, row) => {
    const values = names.map((name) => {
      const value = data.columns[name]?.values[row] ?? null
      return value === null ? 'NULL' : `'${value}'`
    })
    return `(${row}, ${values.join(', ')})`
  })
  const list = names.map((name) => `"${name}"`).join(', ')
  const struct = fields.at(-1)?.type
  await connection.run(
    `CREATE TABLE t AS SELECT r, ${items.join(', ')}, CASE WHEN i IS NOT NULL THEN CAST({a: CAST(i AS INTEGER), n: {x: x}} AS ${printEngineType(engineTypeOf(struct as StructField['type']))}) END AS st FROM (VALUES ${rows.join(', ')}) v(r, ${list})`,
  )
}, 60_000)

afterAll(async () => {
  await engine?.close()
})

/** The value of an expression in each row, in the words of the data; `error <code>` where it raises. */
async function evaluate(text: string): Promise<{ type: string; values: (Expected | string)[] }> {
  const value = tableExpression(text, fields, 't', 'the expression')
  const name = sparkTypeName(value.type)
  const printed = (PRINTED[name] ?? 'CAST(% AS VARCHAR)').replace('%', () => value.sql)
  const values: (Expected | string)[] = []
  for (let row = 0; row < rowCount; row++) {
    try {
      const [found] = await connection.query(
        `SELECT ${printed}, typeof(${value.sql}) FROM t WHERE r = ${row}`,
      )
      if (name !== 'void') {
        expect(found?.[1], text).toBe(printEngineType(engineTypeOf(value.type)))
      }
      const got = found?.[0] as string | number | boolean | null
      values.push(
        typeof got === 'number' && !Number.isFinite(got)
          ? String(got).replace('Infinity', 'inf').replace('NaN', 'nan')
          : typeof got === 'string' && name.startsWith('decimal')
            ? got.replace(/^(-?)\./, '$10.')
            : got,
      )
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown
      values.push(`error ${thrown.sqlState}`)
    }
  }
  return { type: name, values }
}

/** How values are printed that are no texts in the data. */
const PRINTED: Readonly<Record<string, string>> = {
  boolean: '%',
  float: '%',
  double: '%',
  date: "CAST(% - DATE '1970-01-01' AS VARCHAR)",
  timestamp: 'CAST(epoch_us(%) AS VARCHAR)',
  timestamp_ntz: 'CAST(epoch_us(%) AS VARCHAR)',
}

const SPARK_NAMES = new Map(Object.entries(DELTA_NAMES).map(([spark, delta]) => [delta, spark]))

/** Whether `found` is Spark's value; an error is right where the data says that the row is refused. */
function isRight(found: Expected | string, wanted: Expected, isRefused: boolean): boolean {
  if (isRefused) return typeof found === 'string' && /^error (?:0A000|22003|22008)$/.test(found)
  if (typeof wanted !== 'object' || wanted === null) return Object.is(found, wanted)
  // Its ANSI mode has no value: Spark's other one is right, and so is an error.
  return Object.is(found, wanted.unlessAnsi) || /^error (?:0A000|22...)$/.test(String(found))
}

describe('an expression of Spark’s', () => {
  it.each(data.cases)('$expression', async ({ expression, type, values, raises = [] }) => {
    const found = await evaluate(expression)
    expect(SPARK_NAMES.get(found.type) ?? found.type).toBe(type)
    for (const [row, wanted] of values.entries()) {
      const got = found.values[row] ?? null
      if (!isRight(got, wanted, raises.includes(row))) {
        expect({ row, value: got }).toEqual({ row, value: wanted })
      }
    }
  })

  it.each([
    'round(d, 2)',
    'm / 2',
    'm % 2',
    'd % m',
    's = 1',
    'i = s',
    "i = '01'",
    "d = '1.5'",
    "dt = '2024-1-1'",
    "ts > '2024-01-01'",
    'y = 1',
    'st = st',
    'w * w * w',
    'cast(d as string)',
    'cast(d as decimal(10,2))',
    'cast(bin as string)',
    'cast(i as timestamp)',
    'cast(s as binary)',
    'cast(s as interval)',
    "coalesce(i, 's')",
    'if(i, 1, 2)',
    "date_format(ts, 'MMM yyyy')",
    "date_format(ts, 'hh:mm a')",
    'date_format(ts, s)',
    "to_date(s, 'dd.MM.yyyy')",
    "date_trunc('decade', ts)",
    'substring(s, i, 2)',
    's LIKE u',
    "s LIKE 'a\\\\b'",
    "s LIKE 'a|_' ESCAPE '|'",
    "s LIKE ANY ('a', 'b')",
    "s RLIKE '(?i)a'",
    "s RLIKE 'a(?=b)'",
    "s RLIKE '\\\\bword'",
    "s RLIKE '(a)\\\\1'",
    "s RLIKE '[[:alpha:]]'",
    "s RLIKE 'a++'",
    "s RLIKE '['",
    'i = h = y',
    'l IN (f, d)',
    'i > 3 = y',
    'i BETWEEN 1 AND 2 = y',
    'i = NOT y',
    "'it''s'",
    "'a' 'b'",
    "r'a\\d'",
    "X'1F'",
    "DATE '2024-02-30'",
    "DATE '2024'",
    "TIMESTAMP 'now'",
    "TIMESTAMP_NTZ '2024-01-01 00:00:00Z'",
    'INTERVAL 1 DAY',
    'ts + INTERVAL 1 DAY',
    'dt - dt',
    '300Y',
    '1e400',
    'i -- comment',
    'i /* comment */',
    'nosuch > 1',
    'st.nosuch',
    't.i > 1',
    'nosuch(i)',
    'rand() > 0.5',
    'uuid()',
    'count(*) > 1',
    'i IN (SELECT 1)',
    'exists(SELECT 1)',
    'i & 1',
    '~i',
    'i',
    'i AND y',
    '',
    'i >',
    '(i > 1',
    'i > 1)',
    'i > 1; y',
    'CASE WHEN y THEN 1',
    'a b',
    'y AS z',
    '1a > 2',
  ])('is refused as a condition: %s', (text) => {
    try {
      tableCondition(text, fields, 't', 'the constraint')
      expect.unreachable()
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(SqlError)
      expect((thrown as SqlError).sqlState).toBe(SqlState.featureNotSupported)
      expect((thrown as SqlError).message).toContain(text.replaceAll("'", "''"))
    }
  })

  it('is grouped as its parentheses would say, however long it is', () => {
    const chain = Array.from({ length: 300 }, (_, i) => `i + ${i} > ${i}`).join(' AND ')
    expect(() => tableCondition(chain, fields, 't', 'the constraint')).not.toThrow()
    const nested = Array.from({ length: 40 }).reduce((text: string) => `upper(${text})`, 's')
    expect(() => tableExpression(nested, fields, 't', 'the default')).toThrow(SqlError)
    const deep = `${'('.repeat(200)}i > 1${')'.repeat(200)}`
    expect(tableCondition(deep, fields, 't', '')).toBe(tableCondition('i > 1', fields, 't', ''))
  })

  it('takes back every text and name that is written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = text.replaceAll('\0', '')
        expect(parseSparkExpression(sparkString(clean))).toEqual({
          kind: 'literal',
          type: 'string',
          text: clean,
        })
        const name = `x${clean}`
        expect(parseSparkExpression(sparkName(name))).toMatchObject({
          kind: 'column',
          path: [name],
        })
      }),
      { seed: 3 },
    )
  })
})
