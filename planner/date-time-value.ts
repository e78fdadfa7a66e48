/** Date and time values: what a text says as days, microseconds or a time with its offset. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import type { TimeTzValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { civilOf, daysOf } from './civil-date.js'
import { type DateOrder, invalidDateTime, readDateTime } from './date-time-input.js'
import { checkedDays, checkedMicros, INFINITE_DAYS, INFINITE_MICROS } from './date-time-range.js'
import { offsetText, Zone } from './zone.js'

/** What besides the text tells how it is read. */
export interface DateTimeStyle {
  readonly dateOrder: DateOrder
  /** The session's zone, for times that name none. */
  readonly timeZone: string
}

/**
 * Words that mean another moment each time they are read; their literals become calls of functions.
 */
export function isMovingWord(text: string): boolean {
  return /^\s*(?:now|today|tomorrow|yesterday)\s*$/i.test(text)
}

const DAY_MICROS = 86_400_000_000n

/**
 * The value `text` spells for the date or time type `oid`: days for a date, TimeTzValue for timetz,
 * microseconds for the others.
 *
 * 22007 when it spells none, 22008 when a field or the whole is out of range, 22009 for an offset.
 */
export function dateTimeOf(
  text: string,
  oid: number,
  style: DateTimeStyle,
): number | bigint | TimeTzValue {
  const timeOnly = oid === Oid.time || oid === Oid.timetz
  const word = timeOnly ? '' : text.trim().toLowerCase()
  if (/^[+-]?infinity$/.test(word)) {
    const infinite = oid === Oid.date ? INFINITE_DAYS : INFINITE_MICROS
    return word.startsWith('-') ? -infinite : infinite
  }
  if (word === 'epoch') return oid === Oid.date ? 0 : 0n
  const fields = readDateTime(text, oid, style.dateOrder)
  const { year, month = 1, day = 1, time = '00:00:00', roundsUp, zone, bc } = fields
  const ofDay = clockMicros(time) + (roundsUp === true ? 1n : 0n)
  if (oid === Oid.time) return ofDay
  const offset = zone === undefined ? null : fixedOffset(zone, text)
  const date = year === undefined ? null : daysOf(bc === true ? 1 - year : year, month, day)
  if (oid === Oid.timetz) {
    if (offset !== null) return { micros: ofDay, offsetSeconds: offset }
    // The name of a zone says nothing about a time without a date.
    if (zone !== undefined && date === null) throw invalidDateTime(text, oid)
    const of = new Zone(zone ?? style.timeZone)
    const moment =
      date === null ? BigInt(Date.now()) * 1000n : of.utcMicros(BigInt(date) * DAY_MICROS + ofDay)
    return { micros: ofDay, offsetSeconds: of.offsetSeconds(moment) }
  }
  const days = checkedDays(date ?? 0, text)
  if (oid === Oid.date) return days
  const local = BigInt(days) * DAY_MICROS + ofDay
  if (oid === Oid.timestamp) return checkedMicros(local, text)
  if (offset !== null) return checkedMicros(local - BigInt(offset) * 1_000_000n, text)
  return checkedMicros(new Zone(zone ?? style.timeZone).utcMicros(local), text)
}

/** The DuckDB text of a value that dateTimeOf gave. */
export function dateTimeSql(value: number | bigint | TimeTzValue, oid: number): string {
  if (typeof value === 'number') {
    if (Math.abs(value) === INFINITE_DAYS) return `CAST('${value < 0 ? '-' : ''}infinity' AS DATE)`
    return `DATE ${quoteLiteral(dateSql(value))}`
  }
  if (typeof value !== 'bigint') {
    const text = clockText(value.micros) + offsetText(value.offsetSeconds)
    return `CAST(${quoteLiteral(text)} AS TIMETZ)`
  }
  if (oid === Oid.time) return `TIME ${quoteLiteral(clockText(value))}`
  const type = oid === Oid.timestamp ? 'TIMESTAMP' : 'TIMESTAMPTZ'
  if (value === INFINITE_MICROS || value === -INFINITE_MICROS) {
    return `CAST('${value < 0n ? '-' : ''}infinity' AS ${type})`
  }
  const ofDay = ((value % DAY_MICROS) + DAY_MICROS) % DAY_MICROS
  const date = dateSql(Number((value - ofDay) / DAY_MICROS))
  const zone = oid === Oid.timestamptz ? '+00' : ''
  return `CAST(${quoteLiteral(`${date} ${clockText(ofDay)}${zone}`)} AS ${type})`
}

function dateSql(days: number): string {
  const { year, month, day } = civilOf(days)
  const era = year <= 0 ? ' (BC)' : ''
  return `${String(year <= 0 ? 1 - year : year).padStart(4, '0')}-${two(month)}-${two(day)}${era}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** `hh:mm:ss.ffffff` of microseconds since midnight. */
function clockText(micros: bigint): string {
  const seconds = Number(micros / 1_000_000n)
  const fraction = String(micros % 1_000_000n).padStart(6, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`
}

/** Microseconds since midnight of `hh:mm:ss.ffffff`. */
function clockMicros(time: string): bigint {
  const [clock = '', fraction = ''] = time.split('.')
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number)
  return (
    BigInt(hours * 3600 + minutes * 60 + seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
  )
}

/** Seconds east of UTC that an offset such as `-07:52:58` says; null for the name of a zone. */
function fixedOffset(zone: string, text: string): number | null {
  const match = /^([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?$/.exec(zone)
  if (match === null) return null
  const [minutes, seconds] = [Number(match[3] ?? 0), Number(match[4] ?? 0)]
  const size = Number(match[2]) * 3600 + minutes * 60 + seconds
  if (size >= 16 * 3600 || minutes > 59 || seconds > 59) {
    throw new SqlError(
      SqlState.invalidTimeZoneDisplacementValue,
      `time zone displacement out of range: "${text}"`,
    )
  }
  return match[1] === '-' ? -size : size
}
