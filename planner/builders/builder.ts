/** Builder: a function of PostgreSQL's whose DuckDB text depends on more than its arguments' texts. */

import { Oid } from '../../catalog/pg-types.js'
import { printEngineType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { type SqlType, numericType, sqlType } from '../sql-type.js'
import type { Node } from '../syntax-tree.js'
import type { TypedExpression } from '../typed-expression.js'

/** One call, its arguments coerced to the parameters' types. */
export interface Call {
  readonly name: string
  /** What the table says behind `=`. */
  readonly word: string
  readonly args: readonly TypedExpression[]
  /** Arguments as they were before coercion, for functions that take anything. */
  readonly given: readonly TypedExpression[]
  /** The table's result type, where it names one. */
  readonly result: SqlType | undefined
  /** An aggregate's arguments with DISTINCT and ORDER BY, put inside its parentheses. */
  readonly inside: (args: string) => string
  /** An aggregate's FILTER and OVER, put behind its parentheses. */
  readonly after: string
  readonly syntax: readonly Node[]
  readonly sessionFunction: (name: string, args: readonly Node[]) => string | undefined
}

export interface Built {
  readonly sql: string
  readonly type: SqlType
}

export type Builder = (call: Call) => Built

export function arg(call: Call, i: number): TypedExpression {
  const found = call.args[i]
  if (found === undefined) throw new Error(`${call.name} was called without argument ${i + 1}`)
  return found
}

export function sql(call: Call, i: number): string {
  return arg(call, i).sql
}

/** The text of a constant argument; undefined for NULL and for what is known only when it runs. */
export function constant(call: Call, i: number): string | undefined {
  const shape = call.args[i]?.shape
  return shape?.kind === 'constant' ? (shape.text ?? undefined) : undefined
}

export function needConstant(call: Call, i: number, what: string): string {
  const text = constant(call, i)
  if (text === undefined) {
    throw new SqlError(SqlState.featureNotSupported, `${what} of ${call.name} must be a constant`)
  }
  return text
}

export function digitsOf(...types: readonly SqlType[]): SqlType['digits'] {
  if (types.some((type) => type.digits === 'quotient')) return 'quotient'
  return types.some((type) => type.digits === 'trimmed') ? 'trimmed' : undefined
}

export function text(call: Call, sqlText: string): Built {
  return { sql: sqlText, type: call.result ?? sqlType(Oid.text) }
}

/** `sqlText` forced to be a numeric of `scale` digits. */
export function numeric(
  sqlText: string,
  scale: number,
  digits?: SqlType['digits'],
  width = 38,
): Built {
  const type = { ...numericType(scale, -1, width), digits }
  return { sql: `CAST(${sqlText} AS ${printEngineType(type.engine)})`, type }
}

export function refuse(call: Call): Built {
  throw new SqlError(SqlState.featureNotSupported, `${call.word} is not supported`)
}
