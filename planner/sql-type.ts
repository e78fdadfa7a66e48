/** SqlType: the type of an expression, as PostgreSQL names it and as DuckDB computes it. */

import {
  numericTypmod,
  Oid,
  pgTypeByName,
  pgTypeByOid,
  pgTypeOf,
  engineTypeOfOid,
} from '../catalog/pg-types.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { constantOf, listOf, namesOf, type Node } from './syntax-tree.js'

/**
 * A type with both of its faces.
 *
 * - `oid` and `typmod` are what PostgreSQL's rules are applied to and what clients are told.
 * - `engine` is what DuckDB holds. A numeric always has a fixed scale there.
 */
export interface SqlType {
  readonly oid: number
  readonly typmod: number
  readonly engine: EngineType
  /**
   * How a numeric's digits are shown where PostgreSQL would choose them by value: a quotient's by
   * its size, a trimmed one without trailing zeros. Left out where the scale is the type's own.
   */
  readonly digits?: 'quotient' | 'trimmed' | undefined
}

/** Digits DuckDB's widest DECIMAL holds. */
export const DECIMAL_DIGITS_MAX = 38

/** Scale given to numerics whose digits nobody knows before they are read, such as text cast. */
const UNKNOWN_SCALE = 10

/** The type of `oid` as DuckDB holds it by default. */
export function sqlType(oid: number, typmod = -1): SqlType {
  if (oid === Oid.numeric) return numericType(typmodScale(typmod) ?? UNKNOWN_SCALE, typmod)
  const elementOid = pgTypeByOid(oid)?.elementOid ?? 0
  if (elementOid !== 0) return arrayOf(sqlType(elementOid, typmod))
  return { oid, typmod, engine: engineTypeOfOid(oid) ?? scalarType('VARCHAR') }
}

/** A numeric with `scale` digits behind the point. */
export function numericType(
  scale: number,
  typmod = -1,
  width: number = DECIMAL_DIGITS_MAX,
): SqlType {
  return { oid: Oid.numeric, typmod, engine: { kind: 'decimal', width, scale } }
}

/** The array over `element`; jsonb where PostgreSQL has no such array. */
export function arrayOf(element: SqlType): SqlType {
  // An array of arrays is an array of more dimensions: one type in PostgreSQL, nested lists here.
  const oid = isArrayOid(element.oid) ? element.oid : (pgTypeByOid(element.oid)?.arrayOid ?? 0)
  const engine: EngineType = { kind: 'list', child: element.engine }
  return oid === 0
    ? { oid: Oid.jsonb, typmod: -1, engine }
    : { oid, typmod: element.typmod, engine }
}

/** What a subscript of `array` gives; null for what is no array. */
export function elementOf(array: SqlType): SqlType | null {
  const oid = pgTypeByOid(array.oid)?.elementOid ?? 0
  if (oid === 0) return null
  const child =
    array.engine.kind === 'list' || array.engine.kind === 'array'
      ? array.engine.child
      : sqlType(oid).engine
  if (child.kind === 'list' || child.kind === 'array') return { ...array, engine: child }
  return { oid, typmod: array.typmod, engine: child }
}

export function isArrayOid(oid: number): boolean {
  return (pgTypeByOid(oid)?.elementOid ?? 0) !== 0
}

/** How clients see a column of DuckDB's type `engine`. */
export function typeOfEngine(engine: EngineType): SqlType {
  const { oid, typmod } = pgTypeOf(engine)
  return { oid, typmod, engine }
}

/** Digits behind the point of a numeric; 0 for any other type. */
export function scaleOf(type: SqlType): number {
  return type.engine.kind === 'decimal' ? type.engine.scale : 0
}

/** Digits before the point that a value of an exact type may have. */
export function integerDigitsOf(type: SqlType): number {
  if (type.engine.kind === 'decimal') return type.engine.width - type.engine.scale
  switch (type.oid) {
    case Oid.int2:
      return 5
    case Oid.int4:
      return 10
    case Oid.int8:
      return 19
    default:
      return DECIMAL_DIGITS_MAX
  }
}

/** Scale that the modifier of numeric(p, s) says; undefined without one. */
export function typmodScale(typmod: number): number | undefined {
  return typmod < 4 ? undefined : (((typmod - 4) & 0x7ff) ^ 1024) - 1024
}

/** The name `format_type` gives, modifier included. */
export function typeName(type: { readonly oid: number; readonly typmod?: number }): string {
  return pgTypeByOid(type.oid)?.displayName ?? `type ${type.oid}`
}

/** Whether DuckDB holds a value of `type` in the form functions of its PostgreSQL type expect. */
export function isCanonical(type: SqlType): boolean {
  if (type.oid === Oid.numeric) return type.engine.kind === 'decimal'
  if (isArrayOid(type.oid)) return type.engine.kind === 'list'
  const canonical = engineTypeOfOid(type.oid)
  if (canonical === null) return true
  return (
    canonical.kind === type.engine.kind &&
    (canonical.kind !== 'scalar' ||
      (type.engine.kind === 'scalar' &&
        canonical.name === type.engine.name &&
        (canonical.alias ?? '') === (type.engine.alias ?? '')))
  )
}

const ALIASES: Readonly<Record<string, string>> = {
  int: 'int4',
  integer: 'int4',
  bigint: 'int8',
  smallint: 'int2',
  tinyint: 'int2',
  byte: 'int2',
  short: 'int2',
  long: 'int8',
  real: 'float4',
  float: 'float8',
  double: 'float8',
  decimal: 'numeric',
  dec: 'numeric',
  string: 'text',
  boolean: 'bool',
  character: 'bpchar',
  binary: 'bytea',
  blob: 'bytea',
  timestamp_ntz: 'timestamp',
  serial: 'int4',
  bigserial: 'int8',
  smallserial: 'int2',
  serial4: 'int4',
  serial8: 'int8',
  citext: 'text',
}

/** Types that DuckDB has nothing like: a statement without tables is PostgreSQL's own to answer. */
const UNSUPPORTED: ReadonlySet<number> = new Set([
  Oid.money,
  Oid.inet,
  Oid.cidr,
  Oid.macaddr,
  Oid.xml,
  Oid.tid,
  Oid.xid,
  Oid.cid,
])

/**
 * The type a `TypeName` node of the parser names, Delta's own spellings included.
 *
 * 42704 for a type that does not exist, 22023 for modifiers out of range.
 */
export function typeOfName(node: Node): SqlType {
  const names = namesOf(node.names)
  const word = names.at(-1) ?? ''
  const type = pgTypeByName(word) ?? pgTypeByName(ALIASES[word.toLowerCase()] ?? '')
  if (type === undefined || (names.length > 1 && names[0] !== 'pg_catalog')) {
    throw new SqlError(SqlState.undefinedObject, `type "${names.join('.')}" does not exist`)
  }
  if (UNSUPPORTED.has(type.oid) || UNSUPPORTED.has(type.elementOid)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `type ${type.displayName} is not supported over tables of the lake`,
    )
  }
  const modifiers = listOf(node.typmods).map((one) => constantOf(one))
  let result = withModifiers(type.oid, modifiers)
  for (const _ of listOf(node.arrayBounds)) result = arrayOf(result)
  return result
}

function withModifiers(oid: number, modifiers: readonly unknown[]): SqlType {
  const [first, second] = modifiers
  if (oid === Oid.interval && typeof first === 'number') {
    return sqlType(oid, (first << 16) | (typeof second === 'number' ? second : 0xffff))
  }
  if (first === undefined) return sqlType(oid)
  const invalid = (message: string): SqlError =>
    new SqlError(SqlState.invalidParameterValue, message)
  if (typeof first !== 'number') throw invalid('type modifiers must be simple constants')
  switch (oid) {
    case Oid.numeric: {
      const scale = typeof second === 'number' ? second : 0
      if (first < 1 || first > 1000) {
        throw invalid(`NUMERIC precision ${first} must be between 1 and 1000`)
      }
      if (first > DECIMAL_DIGITS_MAX || scale < 0 || scale > first) {
        throw new SqlError(
          SqlState.featureNotSupported,
          `numeric(${first},${scale}) is not supported`,
          { hint: `Use at most ${DECIMAL_DIGITS_MAX} digits and a scale from 0 to the precision.` },
        )
      }
      return numericType(scale, numericTypmod(first, scale), first)
    }
    case Oid.varchar:
    case Oid.bpchar:
      if (first < 1)
        throw invalid(
          `length for type ${oid === Oid.varchar ? 'varchar' : 'char'} must be at least 1`,
        )
      return sqlType(oid, first + 4)
    case Oid.time:
    case Oid.timetz:
    case Oid.timestamp:
    case Oid.timestamptz:
      return sqlType(oid, Math.min(first, 6))
    case Oid.bit:
    case Oid.varbit:
      throw new SqlError(SqlState.featureNotSupported, 'bit(n) is not supported')
    default:
      throw new SqlError(
        SqlState.syntaxError,
        `type modifier is not allowed for type "${pgTypeByOid(oid)?.name ?? ''}"`,
      )
  }
}

const INTERVAL_FIELDS: readonly (readonly [number, string])[] = [
  [1 << 12, 'second'],
  [1 << 11, 'minute'],
  [1 << 10, 'hour'],
  [1 << 3, 'day'],
  [1 << 1, 'month'],
  [1 << 2, 'year'],
]

/**
 * How the text of an interval of modifier `typmod` is read: a bare number counts the smallest field
 * that the type names.
 */
export function intervalReading(typmod: number): {
  readonly unit: string
  readonly minuteToSecond: boolean
} {
  const mask = typmod < 0 ? 0x7fff : (typmod >> 16) & 0x7fff
  return {
    unit: INTERVAL_FIELDS.find(([bit]) => (mask & bit) !== 0)?.[1] ?? 'second',
    minuteToSecond: mask === ((1 << 11) | (1 << 12)),
  }
}

/** PostgreSQL's type categories, as far as overload resolution needs them. */
export type Category = 'B' | 'N' | 'S' | 'D' | 'T' | 'A' | 'U' | 'X' | 'P' | 'V' | 'I'

const CATEGORIES: ReadonlyMap<number, Category> = new Map<number, Category>([
  [Oid.bool, 'B'],
  [Oid.int2, 'N'],
  [Oid.int4, 'N'],
  [Oid.int8, 'N'],
  [Oid.float4, 'N'],
  [Oid.float8, 'N'],
  [Oid.numeric, 'N'],
  [Oid.money, 'N'],
  [Oid.oid, 'N'],
  [Oid.regclass, 'N'],
  [Oid.regtype, 'N'],
  [Oid.regproc, 'N'],
  [Oid.regnamespace, 'N'],
  [Oid.regrole, 'N'],
  [Oid.text, 'S'],
  [Oid.varchar, 'S'],
  [Oid.bpchar, 'S'],
  [Oid.name, 'S'],
  [Oid.char, 'S'],
  [Oid.date, 'D'],
  [Oid.time, 'D'],
  [Oid.timetz, 'D'],
  [Oid.timestamp, 'D'],
  [Oid.timestamptz, 'D'],
  [Oid.interval, 'T'],
  [Oid.bit, 'V'],
  [Oid.varbit, 'V'],
  [Oid.inet, 'I'],
  [Oid.cidr, 'I'],
  [Oid.unknown, 'X'],
  [Oid.record, 'P'],
])

export function categoryOf(oid: number): Category {
  return CATEGORIES.get(oid) ?? (isArrayOid(oid) ? 'A' : 'U')
}

const PREFERRED: ReadonlySet<number> = new Set([
  Oid.bool,
  Oid.float8,
  Oid.oid,
  Oid.text,
  Oid.timestamptz,
  Oid.interval,
  Oid.varbit,
  Oid.inet,
])

/** Whether `oid` is the one its category's other types are turned into when in doubt. */
export function isPreferred(oid: number): boolean {
  return PREFERRED.has(oid)
}
