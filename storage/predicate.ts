/** Predicate: the part of a WHERE clause that storage can reason about. */

import type { EngineType } from './engine-type.js'
import type { EngineValue } from './engine-value.js'

/** Logical column names from the table's column down through structs: `['address', 'city']`. */
export type ColumnPath = readonly string[]

/** What is compared: a column, or a function of one that keeps enough order to reason about. */
export type Term =
  | { readonly kind: 'column'; readonly path: ColumnPath }
  /** `date_trunc(unit, of)`; `timeZone` matters when `of` is a timestamp with time zone. */
  | {
      readonly kind: 'date-trunc'
      readonly unit: string
      readonly of: Term
      readonly timeZone: string
    }
  /** `extract(field from of)`. */
  | {
      readonly kind: 'extract'
      readonly field: string
      readonly of: Term
      readonly timeZone: string
    }
  /** `cast(of as to)`. */
  | { readonly kind: 'cast'; readonly to: EngineType; readonly of: Term; readonly timeZone: string }

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>='

/**
 * A condition over one table's columns, in SQL's three-valued logic.
 *
 * `unknown` stands for whatever could not be expressed: it may be true for any row. A literal's
 * value is never null here except in `compare` and `in`, where it makes the comparison null.
 */
export type Predicate =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'constant'; readonly value: boolean | null }
  | { readonly kind: 'and'; readonly parts: readonly Predicate[] }
  | { readonly kind: 'or'; readonly parts: readonly Predicate[] }
  | { readonly kind: 'not'; readonly part: Predicate }
  | {
      readonly kind: 'compare'
      readonly operator: ComparisonOperator
      readonly term: Term
      readonly value: EngineValue
    }
  | { readonly kind: 'in'; readonly term: Term; readonly values: readonly EngineValue[] }
  | { readonly kind: 'is-null'; readonly term: Term }
  | { readonly kind: 'is-not-null'; readonly term: Term }
  /** The text begins with `prefix`, as in `LIKE 'prefix%'`. */
  | { readonly kind: 'starts-with'; readonly term: Term; readonly prefix: string }

/** The predicate that excludes nothing. */
export const UNKNOWN: Predicate = { kind: 'unknown' }

/**
 * The conjunction of `parts`, flattened.
 *
 * @example
 * and([UNKNOWN])   // { kind: 'unknown' }
 */
export function and(parts: readonly Predicate[]): Predicate {
  const flat = parts.flatMap((part) => (part.kind === 'and' ? part.parts : [part]))
  const known = flat.filter((part) => part.kind !== 'unknown')
  if (known.length === 0) return UNKNOWN
  if (known.length === 1) return known[0] as Predicate
  return { kind: 'and', parts: known }
}
