/** Data skipping: decides whether a data file may hold a row for which a predicate is true. */

import type { DataType } from './schema.js'
import type { EngineValue } from './engine-value.js'
import type { ColumnPath, ComparisonOperator, Predicate, Term } from './predicate.js'

/** A value in a form that orders as DuckDB orders it; only two of one kind are ever compared. */
export type Comparable =
  | { readonly kind: 'number'; readonly unscaled: bigint; readonly scale: number }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'date'; readonly days: number }
  | { readonly kind: 'timestamp' | 'timestamptz'; readonly micros: bigint }
  | { readonly kind: 'string'; readonly bytes: Buffer }

/** What is known of one column in one file; null is "not known". */
export interface ColumnFacts {
  readonly min: Comparable | null
  readonly max: Comparable | null
  /** Whether some, or every, row is null. */
  readonly mayBeNull: boolean
  readonly mayBeValue: boolean
  /** min and max are values that occur, not mere bounds. */
  readonly exact: boolean
}

/** Facts of one file: null for a column nothing is known of. */
export type FileFacts = (path: ColumnPath) => ColumnFacts | null

/** The truth values that are not disproved. */
export interface Outcomes {
  readonly mayBeTrue: boolean
  readonly mayBeFalse: boolean
  readonly mayBeNull: boolean
}

const ANY: Outcomes = { mayBeTrue: true, mayBeFalse: true, mayBeNull: true }

/**
 * Which of SQL's three truth values `predicate` may have for a row of a file.
 *
 * False is a proof; true is a maybe. Any doubt (no statistics, truncated bounds, a type that is
 * not compared, a literal that cannot be converted) answers true, so skipping never changes a
 * result.
 */
export function outcomesOf(predicate: Predicate, facts: FileFacts): Outcomes {
  switch (predicate.kind) {
    case 'unknown':
      return ANY
    case 'constant':
      return {
        mayBeTrue: predicate.value === true,
        mayBeFalse: predicate.value === false,
        mayBeNull: predicate.value === null,
      }
    case 'and': {
      const parts = predicate.parts.map((part) => outcomesOf(part, facts))
      return {
        mayBeTrue: parts.every((part) => part.mayBeTrue),
        mayBeFalse: parts.some((part) => part.mayBeFalse),
        mayBeNull: parts.some((part) => part.mayBeNull),
      }
    }
    case 'or': {
      const parts = predicate.parts.map((part) => outcomesOf(part, facts))
      return {
        mayBeTrue: parts.some((part) => part.mayBeTrue),
        mayBeFalse: parts.every((part) => part.mayBeFalse),
        mayBeNull: parts.some((part) => part.mayBeNull),
      }
    }
    case 'not': {
      const part = outcomesOf(predicate.part, facts)
      return {
        mayBeTrue: part.mayBeFalse,
        mayBeFalse: part.mayBeTrue,
        mayBeNull: part.mayBeNull,
      }
    }
    case 'is-null': {
      const known = termFacts(predicate.term, facts)
      if (known === null) return ANY
      return { mayBeTrue: known.mayBeNull, mayBeFalse: known.mayBeValue, mayBeNull: false }
    }
    case 'is-not-null': {
      const known = termFacts(predicate.term, facts)
      if (known === null) return ANY
      return { mayBeTrue: known.mayBeValue, mayBeFalse: known.mayBeNull, mayBeNull: false }
    }
    case 'compare': {
      if (predicate.value.value === null) {
        return { mayBeTrue: false, mayBeFalse: false, mayBeNull: true }
      }
      const known = termFacts(predicate.term, facts)
      return known === null ? ANY : compareOutcomes(predicate.operator, known, predicate.value)
    }
    case 'in': {
      const parts = predicate.values.map((value) =>
        outcomesOf({ kind: 'compare', operator: '=', term: predicate.term, value }, facts),
      )
      return {
        mayBeTrue: parts.some((part) => part.mayBeTrue),
        mayBeFalse: parts.every((part) => part.mayBeFalse),
        mayBeNull: parts.some((part) => part.mayBeNull),
      }
    }
    case 'starts-with': {
      const known = termFacts(predicate.term, facts)
      if (known === null) return ANY
      const prefix = Buffer.from(predicate.prefix, 'utf8')
      // A string with the prefix is at least the prefix, and its first bytes are no more than it.
      const { min, max } = known
      const above =
        min?.kind === 'string' && firstBytes(min.bytes, prefix.length).compare(prefix) > 0
      const below =
        max?.kind === 'string' && firstBytes(max.bytes, prefix.length).compare(prefix) < 0
      return {
        mayBeTrue: known.mayBeValue && !above && !below,
        mayBeFalse: known.mayBeValue,
        mayBeNull: known.mayBeNull,
      }
    }
  }
}

function firstBytes(bytes: Buffer, count: number): Buffer {
  return bytes.subarray(0, count)
}

function compareOutcomes(
  operator: ComparisonOperator,
  known: ColumnFacts,
  value: EngineValue,
): Outcomes {
  if (!known.mayBeValue) return { mayBeTrue: false, mayBeFalse: false, mayBeNull: true }
  const some = known.min ?? known.max
  const literal = some === null ? null : literalFor(value, some.kind)
  if (literal === null) return { mayBeTrue: true, mayBeFalse: true, mayBeNull: known.mayBeNull }
  const low = known.min === null ? null : compare(known.min, literal)
  // NaN is greater than every number, and not every writer counts it into the maximum.
  const open = literal.kind === 'double'
  const high = known.max === null ? null : compare(known.max, literal)
  const mayBeLess = low === null || low < 0
  const mayBeGreater = high === null || high > 0 || open
  const mayBeEqual =
    (low === null || low <= 0) &&
    (high === null || high >= 0 || (open && Number.isNaN(doubleOf(literal))))
  const onlyEqual = known.exact && low === 0 && high === 0 && !open
  const may = (less: boolean, equal: boolean, greater: boolean): boolean =>
    (less && mayBeLess && !onlyEqual) ||
    (equal && mayBeEqual) ||
    (greater && mayBeGreater && !onlyEqual)
  const [less, equal, greater] = TRUTH[operator]
  return {
    mayBeTrue: may(less, equal, greater),
    mayBeFalse: may(!less, !equal, !greater),
    mayBeNull: known.mayBeNull,
  }
}

/** For each operator: is it true when the column is less than, equal to, greater than the literal. */
const TRUTH: Readonly<Record<ComparisonOperator, readonly [boolean, boolean, boolean]>> = {
  '=': [false, true, false],
  '<>': [true, false, true],
  '<': [true, false, false],
  '<=': [true, true, false],
  '>': [false, false, true],
  '>=': [false, true, true],
}

function doubleOf(value: Comparable): number {
  return value.kind === 'double' ? value.value : 0
}

/** Facts of a function of a column, by those of the column; null where nothing is known of that. */
export function termFacts(term: Term, facts: FileFacts): ColumnFacts | null {
  if (term.kind === 'column') return facts(term.path)
  const of = termFacts(term.of, facts)
  if (of === null) return null
  const map = monotone(term)
  const through = (bound: Comparable | null): Comparable | null =>
    bound === null ? null : map(bound)
  return { ...of, min: through(of.min), max: through(of.max) }
}

/** The function of `term`, which never decreases; null for what it does not know. */
function monotone(
  term: Exclude<Term, { kind: 'column' }>,
): (value: Comparable) => Comparable | null {
  return (value) => {
    const date = dateOf(value)
    if (date === null) return null
    switch (term.kind) {
      case 'date-trunc': {
        const start = truncate(date, term.unit)
        return start === null
          ? null
          : { kind: 'timestamp', micros: BigInt(start.getTime()) * 1000n }
      }
      case 'extract':
        return term.field === 'year'
          ? { kind: 'number', unscaled: BigInt(date.getUTCFullYear()), scale: 0 }
          : null
      case 'cast':
        return term.to.kind === 'scalar' && term.to.name === 'DATE'
          ? { kind: 'date', days: Math.floor(date.getTime() / 86_400_000) }
          : null
    }
  }
}

/** The moment of a date or zone-less timestamp, to the millisecond below; null for anything else. */
function dateOf(value: Comparable): Date | null {
  if (value.kind === 'date') return new Date(value.days * 86_400_000)
  if (value.kind !== 'timestamp') return null
  const millis = value.micros / 1000n - (value.micros % 1000n < 0n ? 1n : 0n)
  const date = new Date(Number(millis))
  return Number.isNaN(date.getTime()) ? null : date
}

function truncate(date: Date, unit: string): Date | null {
  const year = date.getUTCFullYear()
  const month = date.getUTCMonth()
  // Date.UTC reads years below 100 as 19xx: those are left alone.
  if (year < 100) return null
  switch (unit.toLowerCase()) {
    case 'year':
      return new Date(Date.UTC(year, 0, 1))
    case 'quarter':
      return new Date(Date.UTC(year, month - (month % 3), 1))
    case 'month':
      return new Date(Date.UTC(year, month, 1))
    case 'day':
      return new Date(Date.UTC(year, month, date.getUTCDate()))
    case 'hour':
      return new Date(Math.floor(date.getTime() / 3_600_000) * 3_600_000)
    default:
      return null
  }
}

/** Negative, zero or positive as `a` sorts before, with or after `b`; both of one kind. */
export function compare(a: Comparable, b: Comparable): number {
  if (a.kind === 'number' && b.kind === 'number') {
    const left = a.unscaled * 10n ** BigInt(Math.max(0, b.scale - a.scale))
    const right = b.unscaled * 10n ** BigInt(Math.max(0, a.scale - b.scale))
    return left < right ? -1 : left > right ? 1 : 0
  }
  if (a.kind === 'double' && b.kind === 'double') {
    if (Number.isNaN(a.value)) return Number.isNaN(b.value) ? 0 : 1
    if (Number.isNaN(b.value)) return -1
    return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
  }
  if (a.kind === 'boolean' && b.kind === 'boolean') return Number(a.value) - Number(b.value)
  if (a.kind === 'date' && b.kind === 'date') return a.days - b.days
  if (a.kind === 'string' && b.kind === 'string') return a.bytes.compare(b.bytes)
  if ('micros' in a && 'micros' in b && a.kind === b.kind) {
    return a.micros < b.micros ? -1 : a.micros > b.micros ? 1 : 0
  }
  throw new Error(`assertion failed: ${a.kind} is not compared with ${b.kind}`)
}

/** The literal in the form of a column of `kind`; null when the comparison would not be the engine's own. */
export function literalFor(literal: EngineValue, kind: Comparable['kind']): Comparable | null {
  const { type, value } = literal
  if (value === null) return null
  if (type.kind === 'decimal' && kind === 'number') {
    return { kind, unscaled: value as bigint, scale: type.scale }
  }
  if (type.kind !== 'scalar') return null
  switch (type.name) {
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT':
    case 'HUGEINT': {
      const whole = BigInt(value as number | bigint)
      if (kind === 'number') return { kind, unscaled: whole, scale: 0 }
      const small = whole < 2n ** 31n && whole > -(2n ** 31n)
      return kind === 'double' && small ? { kind, value: Number(whole) } : null
    }
    case 'DOUBLE':
      return kind === 'double' ? { kind, value: value as number } : null
    case 'BOOLEAN':
      return kind === 'boolean' ? { kind, value: value as boolean } : null
    case 'DATE':
      if (kind === 'date') return { kind, days: value as number }
      return kind === 'timestamp'
        ? { kind, micros: BigInt(value as number) * 86_400_000_000n }
        : null
    case 'TIMESTAMP':
      return kind === 'timestamp' ? { kind, micros: value as bigint } : null
    case 'TIMESTAMPTZ':
      return kind === 'timestamptz' ? { kind, micros: value as bigint } : null
    case 'VARCHAR':
      return kind === 'string' ? { kind, bytes: Buffer.from(value as string, 'utf8') } : null
    default:
      return null
  }
}

/** What a timestamp bound may have lost, cut to milliseconds; Delta protocol, "Per-file Statistics". */
const LOST_MICROS = 1000n

/**
 * A value out of the statistics JSON, or a partition value, as a Comparable; null when unknown.
 *
 * `bound` says which side of a range it stands for, so that what the writer cut off is given back.
 */
export function parseComparable(
  text: string,
  type: DataType,
  bound: 'min' | 'max' | 'exact',
): Comparable | null {
  if (type.kind === 'decimal') return parseNumber(text)
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
      return parseNumber(text)
    case 'float':
    case 'double': {
      const value = parseDouble(text)
      // NaN as a bound says nothing: writers differ in whether it counts at all.
      if (value === null || (bound !== 'exact' && Number.isNaN(value))) return null
      if (type.name === 'double') return { kind: 'double', value }
      return bound === 'exact'
        ? { kind: 'double', value: Math.fround(value) }
        : { kind: 'double', value: nextFloat(value, bound) }
    }
    case 'boolean':
      return bound === 'exact' ? { kind: 'boolean', value: text === 'true' } : null
    case 'date': {
      const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
      if (match === null) return null
      const millis = Date.parse(`${text}T00:00:00Z`)
      return Number.isNaN(millis) ? null : { kind: 'date', days: millis / 86_400_000 }
    }
    case 'timestamp':
    case 'timestamp_ntz': {
      const micros = parseTimestampMicros(text)
      if (micros === null) return null
      // Some writers cut odd zone offsets of old times to minutes: such bounds prove nothing.
      if (bound !== 'exact' && micros < -2_208_988_800_000_000n) return null
      const kind = type.name === 'timestamp' ? 'timestamptz' : 'timestamp'
      return { kind, micros: bound === 'max' ? micros + LOST_MICROS : micros }
    }
    case 'string':
      // A pair of surrogates cut in two has no place in the order of bytes.
      if (bound !== 'exact' && /\p{Surrogate}/u.test(text)) return null
      return { kind: 'string', bytes: Buffer.from(text, 'utf8') }
    default:
      return null
  }
}

function parseNumber(text: string): Comparable | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text)
  if (match === null) return null
  const fraction = match[3] ?? ''
  let unscaled = BigInt((match[2] ?? '') + fraction)
  let scale = fraction.length - Number(match[4] ?? 0)
  if (scale < 0) {
    unscaled *= 10n ** BigInt(-scale)
    scale = 0
  }
  return { kind: 'number', unscaled: match[1] === '-' ? -unscaled : unscaled, scale }
}

function parseDouble(text: string): number | null {
  if (text === 'NaN' || /^[+-]?Infinity$/.test(text)) return Number(text)
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : null
}

/**
 * A single-precision bound moved outwards by one step: its text is shorter than its value, and
 * the engine may compare in single precision too.
 */
function nextFloat(value: number, bound: 'min' | 'max'): number {
  if (!Number.isFinite(value)) return value
  const step = Math.max(Math.abs(value) * 2 ** -22, 2 ** -148)
  return bound === 'min' ? value - step : value + step
}

/** Microseconds since 1970 of an ISO or space-separated timestamp, UTC unless it says otherwise; null when it is none. */
export function parseTimestampMicros(text: string): bigint | null {
  const match =
    /^([+-]?\d{4,6})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|UTC|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?$/.exec(
      text,
    )
  if (match === null) return null
  const [, year, month, day, hour, minute, second, fraction, zone] = match
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour), Number(minute), Number(second ?? 0))
  let micros =
    BigInt(date.getTime()) * 1000n + BigInt((fraction ?? '').padEnd(6, '0').slice(0, 6) || 0)
  if (zone !== undefined && zone !== 'Z' && zone !== 'UTC') {
    const digits = zone.slice(1).replaceAll(':', '')
    const seconds =
      Number(digits.slice(0, 2)) * 3600 +
      Number(digits.slice(2, 4) || 0) * 60 +
      Number(digits.slice(4, 6) || 0)
    micros -= BigInt(zone.startsWith('-') ? -seconds : seconds) * 1_000_000n
  }
  return micros
}
