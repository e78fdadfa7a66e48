/** Row order: sorting rows so that those alike in several columns come to lie in the same files. */

import { type EngineConnection, quoteIdentifier, quoteLiteral } from './engine.js'
import { scalarType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import { hilbertIndex } from './hilbert.js'

/** The curve along which rows are laid: Z-order for ZORDER BY, Hilbert's for clustered tables. */
export type Curve = 'z-order' | 'hilbert'

/** Ranges a column is divided into; Delta's `MultiDimClustering` uses as many. */
const RANGES = 1000

/** Rows of the sample whose quantiles are the bounds of the ranges. */
const SAMPLE_ROWS = 100_000

/** Bits of a position on a Z-order curve: what fits into a BIGINT. */
const KEY_BITS = 60

/** Cells of a Hilbert curve, which is laid out as a table: 2 to this. */
const HILBERT_BITS = 18

/**
 * `SELECT * FROM relation`, its rows in the order of a space-filling curve over `columns`.
 *
 * - Each column is divided into ranges of about as many rows, by quantiles of a sample, so that its
 *   type and distribution do not matter; nulls come first.
 * - The numbers of the ranges give the position on the curve. One column is simply sorted.
 * - The engine sorts, and spills what does not fit into memory.
 *
 * `columns` are paths of logical names. The text is to be run on `connection`, which keeps what it
 * needs.
 */
export async function orderedRows(
  connection: EngineConnection,
  relation: string,
  columns: readonly (readonly string[])[],
  curve: Curve,
): Promise<string> {
  const values = columns.map((path) => expressionOf(path))
  const [only] = values
  if (only === undefined) return `SELECT * FROM ${relation} AS t`
  if (values.length === 1) return `SELECT * FROM ${relation} AS t ORDER BY ${only} NULLS FIRST`
  const { bits, bounds } = await measure(connection, relation, values, curve)
  const cellOf = (leaf: (range: number, column: number) => string): string =>
    values
      .map((value, i) => rangeNumber(value, bounds[i] ?? [], (range) => leaf(range, i)))
      .join(' + ')
  const last = values.length - 1
  if (curve === 'z-order') {
    const place = cellOf((range, i) => String(spread(range, bits, values.length, last - i)))
    return `SELECT * FROM ${relation} AS t ORDER BY ${place}`
  }
  const cell = cellOf((range, i) => String(range * 2 ** (bits * (last - i))))
  const places = await keepHilbert(connection, values.length, bits)
  return `SELECT t.* FROM ${relation} AS t LEFT JOIN ${places} AS p ON p.cell = ${cell} ORDER BY p.place`
}

/** Bits each of `columns` has in the position of a row: few rows need few cells. */
function bitsOf(columns: number, rows: number, curve: Curve): number {
  const whole = curve === 'z-order' ? KEY_BITS : HILBERT_BITS
  const useful = Math.ceil(Math.log2(Math.max(2, rows)))
  const own = curve === 'z-order' ? useful - 1 : Math.ceil((useful + 2) / columns)
  return Math.max(1, Math.min(10, Math.floor(whole / columns), Math.max(2, own)))
}

function expressionOf([top = '', ...path]: readonly string[]): string {
  let value = `t.${quoteIdentifier(top)}`
  for (const name of path) value = `struct_extract(${value}, ${quoteLiteral(name)})`
  return value
}

// Names differ, so that two samples on one connection never meet.
let nextSample = 1

/** The bits that the number of a range has, and the bounds of the ranges of each value as literals. */
async function measure(
  connection: EngineConnection,
  relation: string,
  values: readonly string[],
  curve: Curve,
): Promise<{ readonly bits: number; readonly bounds: readonly (readonly string[])[] }> {
  const items = values.map((value, i) => `${value} AS v${i}`).join(', ')
  const sample = `lakegate_sample_${nextSample++}`
  await connection.run(
    `CREATE TEMP TABLE ${sample} AS SELECT ${items} FROM ${relation} AS t USING SAMPLE reservoir(${SAMPLE_ROWS} ROWS) REPEATABLE (1)`,
  )
  try {
    const [size] = await connection.query(`SELECT count(*) FROM ${sample}`)
    const bits = bitsOf(values.length, Number(size?.[0] ?? 0), curve)
    const ranges = Math.min(RANGES, 2 ** bits)
    const steps = Array.from({ length: ranges - 1 }, (_, i) => (i + 1) / ranges).join(', ')
    const bounds: string[][] = []
    for (const [i] of values.entries()) {
      // As texts: a bound that lost a digit on its way is as good a bound.
      const [row] = await connection.query(
        `SELECT list_transform(list_sort(list_distinct(quantile_disc(v${i}, [${steps}]))), lambda v: CAST(v AS VARCHAR)), any_value(typeof(v${i})) FROM ${sample}`,
      )
      // A text with a NUL cannot stand in a query.
      const texts = ((row?.[0] ?? []) as readonly string[]).filter((text) => !text.includes('\0'))
      bounds.push(texts.map((text) => `CAST(${quoteLiteral(text)} AS ${String(row?.[1])})`))
    }
    return { bits, bounds }
  } finally {
    await connection.run(`DROP TABLE ${sample}`)
  }
}

/**
 * What `leaf` says of the number of the range that `value` lies in: the bounds that are not above it,
 * 0 for null. A tree of comparisons, since the engine has no search in a list.
 */
function rangeNumber(
  value: string,
  bounds: readonly string[],
  leaf: (range: number) => string,
): string {
  const tree = (from: number, to: number): string => {
    if (from >= to) return leaf(from)
    const middle = (from + to + 1) >> 1
    return `CASE WHEN ${value} < ${bounds[middle - 1]} THEN ${tree(from, middle - 1)} ELSE ${tree(middle, to)} END`
  }
  return `CASE WHEN ${value} IS NULL THEN ${leaf(0)} ELSE ${tree(0, bounds.length)} END`
}

/** Bit b of `number` moved to bit `b * stride + offset`. */
export function spread(number: number, bits: number, stride: number, offset: number): bigint {
  let moved = 0n
  for (let bit = 0; bit < bits; bit++) {
    if (((number >> bit) & 1) === 1) moved |= 1n << BigInt(bit * stride + offset)
  }
  return moved
}

/** A table of the connection with the place on the curve of each cell; answers its name. */
async function keepHilbert(
  connection: EngineConnection,
  dimensions: number,
  bits: number,
): Promise<string> {
  const name = `lakegate_hilbert_${dimensions}_${bits}`
  const places = new Array<number>(2 ** (dimensions * bits))
  const mask = 2 ** bits - 1
  for (let cell = 0; cell < places.length; cell++) {
    const point = Array.from(
      { length: dimensions },
      (_, i) => (cell >> (bits * (dimensions - 1 - i))) & mask,
    )
    places[cell] = hilbertIndex(point, bits)
  }
  await connection.run(
    `CREATE TEMP TABLE IF NOT EXISTS ${name} AS SELECT unnest(range(len($1))) AS cell, unnest($1) AS place`,
    [{ type: { kind: 'list', child: scalarType('INTEGER') }, value: places }],
  )
  return name
}

/** 42P10 for a type whose values have no order that means anything to skipping. */
export function requireSortable(name: string, kind: string): void {
  if (kind !== 'array' && kind !== 'map' && kind !== 'struct') return
  throw new SqlError(
    SqlState.invalidColumnReference,
    `rows cannot be ordered by column "${name}", whose type is ${kind}`,
  )
}
