/** Interval text: PostgreSQL's spellings of an interval, read into months, days and microseconds. */

import type { IntervalValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { IntervalOverflow, type IntervalNumber, IntervalSum, roundToEven } from './interval-sum.js'
import { parseIsoInterval } from './iso-interval.js'

/** What besides the text tells how it is read. */
export interface IntervalReading {
  /** The unit of a bare number: the smallest field that the type names. */
  readonly unit?: string
  /** `1:02` are minutes and seconds, as in an interval minute to second. */
  readonly minuteToSecond?: boolean
  /** Of IntervalStyle sql_standard: the sign in front is every field's. */
  readonly leadingSign?: boolean
}

/**
 * The interval that `text` spells: in PostgreSQL's words (`1 year -2 days 03:04:05.6 ago`), in SQL's
 * (`1-2`, `3 4:05`), or by ISO 8601 (`P1Y2M3DT4H5M6S`).
 *
 * 22007 when it spells none, 22015 when a field overflows, 22008 when the whole does.
 */
export function parseInterval(text: string, reading: IntervalReading = {}): IntervalValue {
  const sum = new IntervalSum()
  try {
    if (!addFields(text, reading, sum)) {
      const iso = new IntervalSum()
      if (!parseIsoInterval(text, iso)) throw invalid(text)
      return intervalOf(iso)
    }
  } catch (thrown) {
    if (!(thrown instanceof IntervalOverflow)) throw thrown
    throw new SqlError(
      SqlState.intervalFieldOverflow,
      `interval field value out of range: "${text}"`,
    )
  }
  return intervalOf(sum)
}

function invalid(text: string): SqlError {
  return new SqlError(
    SqlState.invalidDatetimeFormat,
    `invalid input syntax for type interval: "${text}"`,
  )
}

function intervalOf(sum: IntervalSum): IntervalValue {
  const value = sum.value()
  if (value === null) {
    throw new SqlError(SqlState.datetimeFieldOverflow, 'interval out of range')
  }
  return value
}

interface Field {
  readonly kind: 'time' | 'signed' | 'number' | 'word'
  readonly text: string
}

/** Fields PostgreSQL reads at most. */
const FIELDS_MAX = 25

/** A number, or what looks like a date: its separators are the same. */
const NUMBER = /^(?:\d+(?:([-/.])(?:\d+(?:\1(?:\d|\1)*)?|(?:[a-z\d]|\1)*))?|\.\d*)/i

/** A word, which only few digits may follow: a date or a zone begins so too. */
const WORD = /^(?:(?:d|dec|h|m|mon|s|y)(?=[+\d])|[a-z]+(?=[^a-z\d+/.-]|$)|[a-z]+[a-z\d+/_.:-]*)/i

/** The fields of a text; null when a character is none of any field's. */
function fieldsOf(text: string): Field[] | null {
  const fields: Field[] = []
  let rest = text
  while (rest !== '') {
    // Punctuation only separates, but for signs and leading points.
    const gap = /^[\s!"#$%&'()*,/:;<=>?@[\\\]^_`{|}~]+/.exec(rest)?.[0]
    if (gap !== undefined) {
      rest = rest.slice(gap.length)
      continue
    }
    const time = /^\d+:[\d:.]*/.exec(rest)?.[0]
    const number = time === undefined ? NUMBER.exec(rest)?.[0] : undefined
    const word = WORD.exec(rest)?.[0]
    const signed = /^([+-])\s*(\d[\d:.-]*)/.exec(rest)
    const whole = time ?? number ?? word ?? signed?.[0]
    if (whole === undefined || fields.length === FIELDS_MAX) return null
    if (signed !== null) fields.push({ kind: 'signed', text: `${signed[1]}${signed[2]}` })
    else if (time !== undefined) fields.push({ kind: 'time', text: time })
    else if (number !== undefined) fields.push({ kind: 'number', text: number })
    else fields.push({ kind: 'word', text: (word ?? '').toLowerCase() })
    rest = rest.slice(whole.length)
  }
  return fields
}

/** Adds what the fields of `text` say to `sum`; false when it makes no sense. */
function addFields(text: string, reading: IntervalReading, sum: IntervalSum): boolean {
  const fields = fieldsOf(text)
  if (fields === null) return false
  const signs = fields.map((field) => /^[+-]/.test(field.text))
  const allNegative =
    reading.leadingSign === true &&
    (fields[0]?.text.startsWith('-') ?? false) &&
    !signs.slice(1).includes(true)
  let unit: string | null = null
  let ago = false
  const seen = new Set<string>()
  /** False when a field of these names was there before. */
  const claim = (...names: readonly string[]): boolean => {
    if (names.some((name) => seen.has(name))) return false
    for (const name of names) seen.add(name)
    return true
  }
  // From the right, since units stand behind their numbers.
  for (const field of fields.toReversed()) {
    if (field.kind === 'word') {
      if (field.text === 'ago') {
        ago = true
        // A number before it needs a unit.
        unit = 'ago'
        continue
      }
      // What is more than letters is a date or a zone.
      unit = /^[a-z]+$/.test(field.text)
        ? (UNIT_WORDS[field.text.slice(0, WORD_MAX)] ?? null)
        : null
      if (unit === null) return false
      continue
    }
    const clock =
      field.kind === 'time' ? field.text : field.text.includes(':') ? field.text.slice(1) : null
    const micros = clock === null ? null : clockMicros(clock, reading)
    if (micros !== null) {
      const negative = field.text.startsWith('-') || allNegative
      sum.setMicros(negative ? -micros : micros)
      if (!claim('hour', 'minute', 'second', 'milli', 'micro')) return false
      unit = 'day'
      continue
    }
    if (clock !== null) return false
    unit ??= reading.unit ?? 'second'
    const number = numberOf(field.text)
    if (number === null) return false
    if (number.months) unit = 'month'
    const amount = allNegative ? negative(number) : number
    if (!add(sum, amount, unit, claim)) return false
    // A bare number before hours counts days.
    if (unit === 'hour') unit = 'day'
  }
  if (seen.size === 0) return false
  if (ago) sum.negate()
  return true
}

function negative({ whole, fraction }: IntervalNumber): IntervalNumber {
  return { whole: whole > 0n ? -whole : whole, fraction: fraction > 0 ? -fraction : fraction }
}

/** A number, or SQL's years and months (`1-2`), which count months; null for what is neither. */
function numberOf(text: string): (IntervalNumber & { readonly months: boolean }) | null {
  const years = /^([+-]?\d+)-(\d+)$/.exec(text)
  const sign = text.startsWith('-') ? -1 : 1
  if (years !== null) {
    const months = Number(years[2])
    if (months >= 12) throw new IntervalOverflow()
    const whole = BigInt(years[1] ?? 0) * 12n + BigInt(sign * months)
    return { whole, fraction: 0, months: true }
  }
  const match = /^[+-]?(\d*)(\.\d*)?$/.exec(text)
  if (match === null) return null
  const whole = BigInt(match[1] ?? '') * BigInt(sign)
  return { whole, fraction: sign * fractionOf(match[2]), months: false }
}

function fractionOf(text: string | undefined): number {
  return text === undefined || text === '.' ? 0 : Number(text)
}

/** Microseconds of `h:m`, `h:m:s.f` or `m:s.f`; null for what is no time. */
function clockMicros(text: string, { minuteToSecond }: IntervalReading): bigint | null {
  const match = /^(\d+):(\d*)(?::(\d*))?(\.\d*)?$/.exec(text)
  if (match === null) return null
  const [, first = '0', second = '', third, fraction] = match
  const shifted = third === undefined && (fraction !== undefined || minuteToSecond === true)
  const [hours, minutes, seconds] = shifted
    ? [0n, BigInt(first), BigInt(second)]
    : [BigInt(first), BigInt(second), BigInt(third ?? '')]
  const micros = BigInt(roundToEven(fractionOf(fraction) * 1e6))
  if (minutes > 59n || seconds > 60n) throw new IntervalOverflow()
  return hours * 3_600_000_000n + minutes * 60_000_000n + seconds * 1_000_000n + micros
}

const SECOND_MICROS = 1_000_000
const MINUTE_MICROS = 60_000_000
const HOUR_MICROS = 3_600_000_000

/** Adds `amount` of `unit`; false when that unit was there before. */
function add(
  sum: IntervalSum,
  amount: IntervalNumber,
  unit: string,
  claim: (...names: readonly string[]) => boolean,
): boolean {
  switch (unit) {
    case 'micro':
      sum.addMicros(amount, 1)
      return claim(unit)
    case 'milli':
      sum.addMicros(amount, 1000)
      return claim(unit)
    case 'second':
      sum.addMicros(amount, SECOND_MICROS)
      return amount.fraction === 0 ? claim(unit) : claim(unit, 'milli', 'micro')
    case 'minute':
      sum.addMicros(amount, MINUTE_MICROS)
      return claim(unit)
    case 'hour':
      sum.addMicros(amount, HOUR_MICROS)
      return claim(unit)
    case 'day':
      sum.addDays(amount, 1)
      return claim(unit)
    case 'week':
      sum.addDays(amount, 7)
      return claim(unit)
    case 'month':
      sum.addMonths(amount)
      return claim(unit)
    default: {
      const years = YEARS[unit]
      if (years === undefined) return false
      sum.addYears(amount, years)
      return claim(unit)
    }
  }
}

const YEARS: Readonly<Record<string, number>> = {
  year: 1,
  decade: 10,
  century: 100,
  millennium: 1000,
}

/** PostgreSQL looks at so many letters of a word. */
const WORD_MAX = 10

/** Units by the beginnings of their words. */
const UNIT_WORDS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    micro: 'microsecon us usec usecs usecond useconds',
    milli: 'millisecon ms msec msecs msecond mseconds',
    second: 's sec second seconds secs',
    minute: 'm min mins minute minutes',
    hour: 'h hour hours hr hrs',
    day: 'd day days',
    week: 'w week weeks',
    month: 'mon mons month months',
    year: 'y year years yr yrs',
    decade: 'dec decade decades decs',
    century: 'c cent centuries century',
    millennium: 'mil mils millennia millennium',
  }).flatMap(([unit, words]) => words.split(' ').map((word) => [word, unit])),
)

/** DuckDB's text for an interval. */
export function intervalSql(value: IntervalValue): string {
  return `lakegate_interval(${value.months}, ${value.days}, ${value.micros})`
}
