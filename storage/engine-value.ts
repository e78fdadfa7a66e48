/** EngineValue: one typed value on its way into DuckDB, as plain data. */

import type { EngineType } from './engine-type.js'

/** An interval as both PostgreSQL and DuckDB keep it. */
export interface IntervalValue {
  readonly months: number
  readonly days: number
  readonly micros: bigint
}

/** A time of day with its offset east of UTC. */
export interface TimeTzValue {
  readonly micros: bigint
  readonly offsetSeconds: number
}

/**
 * The JavaScript form of a value, by the type it belongs to:
 *
 * - BOOLEAN: boolean
 * - TINYINT .. INTEGER, UTINYINT .. UINTEGER, FLOAT, DOUBLE: number; DATE: days since 1970-01-01
 * - BIGINT, UBIGINT, HUGEINT, UHUGEINT: bigint; TIME, TIMESTAMP*, TIMESTAMPTZ: bigint in the
 *   type's own unit (microseconds for TIME, TIMESTAMP and TIMESTAMPTZ), 2^63-1 and -(2^63-1)
 *   being the infinities
 * - DECIMAL: bigint, the value without its decimal point
 * - VARCHAR, enum, UUID (canonical text): string; BLOB, BIT: bytes
 * - TIMETZ: TimeTzValue; INTERVAL: IntervalValue
 * - list, array: array; struct, union: an object by field name; map: [key, value] pairs
 */
export type Scalar =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | IntervalValue
  | TimeTzValue
  | readonly Scalar[]
  | { readonly [field: string]: Scalar }

/** A value with the type it is bound as; a null needs no type. */
export interface EngineValue {
  readonly type: EngineType
  readonly value: Scalar
  /** As the client sent it, for statements that another PostgreSQL answers; `value` is null then. */
  readonly wire?: { readonly bytes: Uint8Array | null; readonly format: 0 | 1 }
}
