/** SparkValue: an expression with its type by Spark's rules, and the conversions between such types. */

import { quoteLiteral } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { type DataType, engineTypeOf, type PrimitiveName } from '../storage/schema.js'
import { untranslatable } from './spark-expression.js'

/** An expression in DuckDB's words whose values are those that Spark computes. */
export interface SparkValue {
  /** Stands for itself wherever a primary may stand, and has exactly `type`. */
  readonly sql: string
  readonly type: DataType
  /** Whether it raises an error for rows about which Spark's modes or versions differ. */
  readonly fails: boolean
  /** The value of a literal, as it was written. */
  readonly constant?: string | undefined
}

/**
 * The zone in which times are taken apart.
 *
 * Spark takes that of the session that writes; two writers with two zones would disagree about one
 * row. Lakes are written in UTC, and clients of ours set zones for what they look at.
 */
const ZONE = 'UTC'

export const STRING: DataType = { kind: 'primitive', name: 'string' }
export const BOOLEAN: DataType = { kind: 'primitive', name: 'boolean' }
export const INTEGER: DataType = { kind: 'primitive', name: 'integer' }
export const LONG: DataType = { kind: 'primitive', name: 'long' }
export const DOUBLE: DataType = { kind: 'primitive', name: 'double' }
export const DATE: DataType = { kind: 'primitive', name: 'date' }
export const TIMESTAMP: DataType = { kind: 'primitive', name: 'timestamp' }
export const NTZ: DataType = { kind: 'primitive', name: 'timestamp_ntz' }
export const VOID: DataType = { kind: 'primitive', name: 'void' }

export function isPrimitive(type: DataType, ...names: readonly PrimitiveName[]): boolean {
  return type.kind === 'primitive' && names.includes(type.name)
}

export function sameType(a: DataType, b: DataType): boolean {
  return printEngineType(engineTypeOf(a)) === printEngineType(engineTypeOf(b))
}

/** Spark's name of a type, for messages. */
export function sparkTypeName(type: DataType): string {
  if (type.kind === 'decimal') return `decimal(${type.precision},${type.scale})`
  return type.kind === 'primitive' ? type.name : type.kind
}

/** Decimal digits of the integer types. */
const DIGITS: Readonly<Partial<Record<PrimitiveName, number>>> = {
  byte: 3,
  short: 5,
  integer: 10,
  long: 20,
}

const RANKS: Readonly<Partial<Record<PrimitiveName, number>>> = {
  byte: 1,
  short: 2,
  integer: 3,
  long: 4,
  float: 5,
  double: 6,
}

export function isIntegral(type: DataType): boolean {
  return type.kind === 'primitive' && DIGITS[type.name] !== undefined
}

export function isFloating(type: DataType): boolean {
  return isPrimitive(type, 'float', 'double')
}

export function isNumeric(type: DataType): boolean {
  return type.kind === 'decimal' || isIntegral(type) || isFloating(type)
}

export function isTime(type: DataType): boolean {
  return isPrimitive(type, 'date', 'timestamp', 'timestamp_ntz')
}

/** decimal(precision, scale); 0A000 beyond 38 digits, where Spark begins to round. */
export function decimal(precision: number, scale: number): DataType & { readonly kind: 'decimal' } {
  if (precision > 38) throw untranslatable('a decimal of more than 38 digits')
  return { kind: 'decimal', precision, scale }
}

export function made(sql: string, type: DataType, ...parts: readonly SparkValue[]): SparkValue {
  return { sql, type, fails: parts.some((part) => part.fails) }
}

export function failing(sql: string, type: DataType): SparkValue {
  return { sql, type, fails: true }
}

/** `sql` as a value of `type`, whatever DuckDB takes it for. */
export function typed(sql: string, type: DataType, ...parts: readonly SparkValue[]): SparkValue {
  return made(`CAST(${sql} AS ${printEngineType(engineTypeOf(type))})`, type, ...parts)
}

/**
 * A value of `type` whose computation raises an error where it leaves the type's range.
 *
 * DuckDB's optimizer moves constants and casts across comparisons, and then computes nothing that
 * could overflow: it would find `i + 1 > 2` true where Spark wraps around. It does not look through these.
 */
export function ranged(sql: string, type: DataType): SparkValue {
  const name = printEngineType(engineTypeOf(type))
  return isIntegral(type)
    ? failing(`CAST(CAST(${sql} AS ${name}) | CAST(0 AS ${name}) AS ${name})`, type)
    : failing(`list_extract(list_value(CAST(${sql} AS ${name})), 1)`, type)
}

/**
 * `value`, and an error for rows in which `condition` holds: their value would depend on the
 * version or the settings of Spark.
 */
export function guarded(
  condition: string,
  value: SparkValue,
  message: string,
  sqlState = '0A000',
): SparkValue {
  const raised = `error(${quoteLiteral(`lakegate!${sqlState}!${message}`)})`
  const type = printEngineType(engineTypeOf(value.type))
  return failing(
    `CAST(CASE WHEN ${condition} THEN ${raised} ELSE ${value.sql} END AS ${type})`,
    value.type,
  )
}

/** The decimal type in which `value` takes part in decimal arithmetic; undefined for other types. */
export function decimalTypeOf(
  value: SparkValue,
): (DataType & { readonly kind: 'decimal' }) | undefined {
  const { type, constant } = value
  if (type.kind === 'decimal') return type
  if (type.kind !== 'primitive') return undefined
  const digits = DIGITS[type.name]
  if (digits === undefined) return undefined
  return constant === undefined
    ? decimal(digits, 0)
    : decimal(Math.max(1, constant.replace(/^[-+]?0*/, '').length), 0)
}

/** The type to which Spark widens both numbers; undefined where it has none, or one too wide. */
export function widerNumber(a: SparkValue, b: SparkValue): DataType | undefined {
  if (!isNumeric(a.type) || !isNumeric(b.type)) return undefined
  if (a.type.kind === 'primitive' && b.type.kind === 'primitive') {
    return (RANKS[a.type.name] ?? 0) >= (RANKS[b.type.name] ?? 0) ? a.type : b.type
  }
  if (isFloating(a.type) || isFloating(b.type)) return DOUBLE
  const [left, right] = [decimalTypeOf(a), decimalTypeOf(b)]
  if (left === undefined || right === undefined) return undefined
  const scale = Math.max(left.scale, right.scale)
  const range = Math.max(left.precision - left.scale, right.precision - right.scale)
  return decimal(range + scale, scale)
}

/** Wall-clock time of a date or timestamp, as DuckDB's TIMESTAMP. */
export function wallClock(value: SparkValue): string {
  if (isPrimitive(value.type, 'timestamp')) return `(${value.sql} AT TIME ZONE '${ZONE}')`
  return `CAST(${value.sql} AS TIMESTAMP)`
}

/** The moment of a wall-clock time. */
export function momentOf(sql: string): string {
  return `(CAST(${sql} AS TIMESTAMP) AT TIME ZONE '${ZONE}')`
}

/** Condition for dates and times whose text no two engines agree on. */
export function isOddYear(value: SparkValue): string {
  return `year(${wallClock(value)}) NOT BETWEEN 1 AND 9999`
}

const ODD_YEAR = 'years before 1 and after 9999 cannot be printed as Spark prints them'

/**
 * `value` as Spark casts it to `type`.
 *
 * Texts that are read otherwise in Spark's ANSI mode than without it raise an error. 0A000 for
 * casts whose results differ, such as texts of floating-point numbers.
 */
export function castTo(value: SparkValue, type: DataType): SparkValue {
  const from = value.type
  if (sameType(from, type)) return value
  const refused = (): Error =>
    untranslatable(`a cast from ${sparkTypeName(from)} to ${sparkTypeName(type)}`)
  if (isPrimitive(from, 'void')) return typed('NULL', type)
  if (from.kind !== 'primitive' && from.kind !== 'decimal') throw refused()
  if (isNumeric(from) && isNumeric(type)) return numberTo(value, type)
  if (isPrimitive(type, 'string')) return toText(value, refused)
  if (isPrimitive(from, 'string')) return textTo(value, type, refused)
  if (isTime(from) && isPrimitive(type, 'date')) return typed(wallClock(value), DATE, value)
  if (isTime(from) && isPrimitive(type, 'timestamp_ntz')) return made(wallClock(value), NTZ, value)
  if (isTime(from) && isPrimitive(type, 'timestamp')) {
    return made(momentOf(wallClock(value)), TIMESTAMP, value)
  }
  if (isIntegral(from) && isPrimitive(type, 'boolean')) return typed(value.sql, type, value)
  if (isPrimitive(from, 'boolean') && isIntegral(type)) return typed(value.sql, type, value)
  throw refused()
}

function numberTo(value: SparkValue, type: DataType): SparkValue {
  const from = value.type
  const isWidening =
    from.kind === 'primitive' &&
    type.kind === 'primitive' &&
    (RANKS[from.name] ?? 0) <= (RANKS[type.name] ?? 0)
  if (isWidening) return typed(value.sql, type, value)
  if (isIntegral(type)) {
    // DuckDB rounds, Spark cuts off.
    const sql = isIntegral(from) ? value.sql : `trunc(${value.sql})`
    return ranged(sql, type)
  }
  if (from.kind === 'decimal' && isFloating(type)) {
    if (value.constant !== undefined) return typed(quoteLiteral(value.constant), type)
    // Beyond, DuckDB's quotient of two inexact numbers may be off by a bit.
    if (from.precision > 15 || isPrimitive(type, 'float')) {
      throw untranslatable(`${sparkTypeName(from)} as ${sparkTypeName(type)}`)
    }
    return typed(value.sql, type, value)
  }
  if (type.kind === 'decimal' && !isFloating(from)) return ranged(value.sql, type)
  if (isPrimitive(from, 'double') && isPrimitive(type, 'float')) {
    return ranged(value.sql, type)
  }
  throw untranslatable(`a cast from ${sparkTypeName(from)} to ${sparkTypeName(type)}`)
}

function toText(value: SparkValue, refused: () => Error): SparkValue {
  const { type } = value
  if (isIntegral(type) || isPrimitive(type, 'boolean')) return typed(value.sql, STRING, value)
  // Smaller numbers are printed with an exponent.
  if (type.kind === 'decimal' && type.scale <= 6) {
    // DuckDB prints no zero before the point of a number that has no place for it.
    const { precision, scale } = type
    return typed(
      typed(value.sql, decimal(Math.max(precision, scale + 1), scale)).sql,
      STRING,
      value,
    )
  }
  if (isPrimitive(type, 'date')) {
    return guarded(isOddYear(value), typed(value.sql, STRING), ODD_YEAR)
  }
  if (isPrimitive(type, 'timestamp', 'timestamp_ntz')) {
    return guarded(isOddYear(value), typed(wallClock(value), STRING), ODD_YEAR)
  }
  throw refused()
}

/** Texts that every mode of Spark reads, and reads the same, by the type they are cast to. */
const READABLE: Readonly<Partial<Record<PrimitiveName | 'decimal', string>>> = {
  byte: '[-+]?[0-9]+',
  short: '[-+]?[0-9]+',
  integer: '[-+]?[0-9]+',
  long: '[-+]?[0-9]+',
  decimal: '[-+]?[0-9]+(\\.[0-9]+)?',
  float: '[-+]?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?',
  double: '[-+]?[0-9]+(\\.[0-9]+)?([eE][-+]?[0-9]+)?',
  boolean: '[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]',
  date: '[0-9]{4}-[0-9]{2}-[0-9]{2}',
  timestamp: '[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?',
  timestamp_ntz: '[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?',
}

function textTo(value: SparkValue, type: DataType, refused: () => Error): SparkValue {
  const name = type.kind === 'primitive' ? type.name : type.kind
  const pattern = READABLE[name as keyof typeof READABLE]
  if (pattern === undefined) throw refused()
  const text = value.sql
  const read = isPrimitive(type, 'timestamp') ? made(momentOf(text), TIMESTAMP) : typed(text, type)
  return guarded(
    `NOT regexp_full_match(${text}, ${quoteLiteral(pattern)})`,
    read,
    `a text cannot be read as ${sparkTypeName(type)} as every version of Spark reads it`,
  )
}

/** The type that CAST names; 0A000 for one that casts cannot make here. */
export function castType(text: string): DataType {
  const known = CAST_TYPES[text]
  if (known !== undefined) return { kind: 'primitive', name: known }
  const found = /^(?:decimal|dec|numeric)(?:\((\d+)(?:,(\d+))?\))?$/.exec(text)
  if (found === null) throw untranslatable(`a cast to ${text}`)
  return decimal(Number(found[1] ?? 10), Number(found[2] ?? 0))
}

const CAST_TYPES: Readonly<Record<string, PrimitiveName>> = {
  boolean: 'boolean',
  byte: 'byte',
  tinyint: 'byte',
  short: 'short',
  smallint: 'short',
  int: 'integer',
  integer: 'integer',
  long: 'long',
  bigint: 'long',
  float: 'float',
  real: 'float',
  double: 'double',
  date: 'date',
  timestamp: 'timestamp',
  timestamp_ltz: 'timestamp',
  timestamp_ntz: 'timestamp_ntz',
  string: 'string',
}
