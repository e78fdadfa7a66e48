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
 * `columns` are paths of logical names. The text is to be run on `connection`, on which the bounds
 * are kept.
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
  const bits = bitsOf(values.length, curve)
  const bounds = `lakegate_bounds_${nextName++}`
  const lists = await measure(connection, relation, values, Math.min(RANGES, 2 ** bits), bounds)
  if (curve === 'z-order') {
    const parts = values.map((value, i) =>
      rangeNumber(value, `${bounds}_${i}`, lists[i] ?? 0, (range) =>
        String(spread(range, bits, values.length, values.length - 1 - i)),
      ),
    )
    return `SELECT * FROM ${relation} AS t ORDER BY ${parts.join(' + ')}`
  }
  const cells = values.map((value, i) =>
    rangeNumber(value, `${bounds}_${i}`, lists[i] ?? 0, (range) =>
      String(range * 2 ** (bits * (values.length - 1 - i))),
    ),
  )
  const places = await keepHilbert(connection, values.length, bits)
  return `SELECT t.* FROM ${relation} AS t LEFT JOIN ${places} AS p ON p.cell = ${cells.join(' + ')} ORDER BY p.place`
}

/** Bits a column has in the position of a row among `count` columns. */
function bitsOf(count: number, curve: Curve): number {
  const whole = curve === 'z-order' ? KEY_BITS : HILBERT_BITS
  return Math.max(1, Math.min(10, Math.floor(whole / count)))
}

function expressionOf([top = '', ...path]: readonly string[]): string {
  let value = `t.${quoteIdentifier(top)}`
  for (const name of path) value = `struct_extract(${value}, ${quoteLiteral(name)})`
  return value
}

// Names differ, so that two orders on one connection never share bounds.
let nextName = 1

/** Puts the bounds of the ranges of each value into a variable of the connection; answers how many there are. */
async function measure(
  connection: EngineConnection,
  relation: string,
  values: readonly string[],
  ranges: number,
  name: string,
): Promise<readonly number[]> {
  const items = values.map((value, i) => `${value} AS v${i}`).join(', ')
  const sample = `${name}_sample`
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE ${sample} AS SELECT ${items} FROM ${relation} AS t USING SAMPLE reservoir(${SAMPLE_ROWS} ROWS) REPEATABLE (1)`,
  )
  try {
    const counts: number[] = []
    const steps = Array.from({ length: ranges - 1 }, (_, i) => (i + 1) / ranges)
    for (const [i] of values.entries()) {
      await connection.run(
        `SET VARIABLE ${name}_${i} = (SELECT list_sort(list_distinct(quantile_disc(v${i}, [${steps.join(', ')}]))) FROM ${sample})`,
      )
      const [row] = await connection.query(`SELECT len(getvariable('${name}_${i}'))`)
      counts.push(Number(row?.[0] ?? 0))
    }
    return counts
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
  bounds: string,
  count: number,
  leaf: (range: number) => string,
): string {
  const tree = (from: number, to: number): string => {
    if (from >= to) return leaf(from)
    const middle = (from + to + 1) >> 1
    return `CASE WHEN ${value} < getvariable('${bounds}')[${middle}] THEN ${tree(from, middle - 1)} ELSE ${tree(middle, to)} END`
  }
  return `CASE WHEN ${value} IS NULL THEN ${leaf(0)} ELSE ${tree(0, count)} END`
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
