/** TypedExpression: an analysed expression - its type, its DuckDB text, and what it is made of. */

import type { EngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import type { QueryLevel } from './query-level.js'
import type { RangeColumn } from './scope.js'
import type { SqlType } from './sql-type.js'
import type { Node } from './syntax-tree.js'

/** What an expression is, for those who look inside: pruning, grouping checks, constant folding. */
export type Shape =
  /** `path` leads into a struct; `outer` says that an enclosing query owns the column. */
  | {
      readonly kind: 'column'
      readonly column: RangeColumn
      readonly path: readonly string[]
      readonly outer: boolean
    }
  /** A literal: `text` is its value's PostgreSQL text, null for NULL. */
  | { readonly kind: 'constant'; readonly text: string | null }
  | { readonly kind: 'parameter'; readonly number: number }
  /** A conversion; `implicit` for what no one wrote. */
  | { readonly kind: 'cast' }
  | { readonly kind: 'call'; readonly name: string }
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'and' | 'or' | 'not' | 'is-null' | 'is-not-null' | 'in' | 'not-in' }
  /** A value that no one wrote, known while a statement is planned; it has no text. */
  | { readonly kind: 'value'; readonly value: EngineValue }
  | { readonly kind: 'subquery'; readonly semiJoin?: SemiJoin | undefined }
  | { readonly kind: 'aggregate' | 'window' | 'set-returning' | 'grouping' | 'other' }

/** A condition over the rows of a subquery that is true only of what one of these rows matches. */
export type SemiJoin =
  /** IN: the expression's parts equal the columns of a row of `sql`. */
  | { readonly kind: 'in'; readonly sql: string; readonly types: readonly SqlType[] }
  /** EXISTS: a row of `level`'s ranges satisfies its conditions, some of which name columns outside. */
  | { readonly kind: 'exists'; readonly level: QueryLevel }

/**
 * An expression in DuckDB's words.
 *
 * - `sql` stands for itself wherever a primary may stand: it is parenthesised where needed.
 * - `parts` are the operands, in order; a subquery's are not among them.
 * - `location` is the byte offset the parser gives, or -1.
 */
export interface TypedExpression {
  readonly sql: string
  readonly type: SqlType
  readonly shape: Shape
  readonly parts: readonly TypedExpression[]
  readonly location: number
}

/** Builds an expression that is none of the shapes that others look into. */
export function expression(
  sql: string,
  type: SqlType,
  parts: readonly TypedExpression[],
  location = -1,
  shape: Shape = { kind: 'other' },
): TypedExpression {
  return { sql, type, shape, parts, location }
}

/** The place of a syntax node in its text, or -1. */
export function locationOf(fields: Node | undefined): number {
  // protobuf leaves a zero out: an absent location is the text's beginning.
  if (fields === undefined) return -1
  const location = fields.location
  return typeof location === 'number' ? location : 0
}

/** Whether any part of `root`, itself included, satisfies `test`; subqueries are not entered. */
export function anyPart(root: TypedExpression, test: (part: TypedExpression) => boolean): boolean {
  return test(root) || root.parts.some((part) => anyPart(part, test))
}

export function sameEngineType(a: EngineType, b: EngineType): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}
