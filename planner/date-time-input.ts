/** Date and time input: PostgreSQL's spellings of dates and times, as DuckDB literals. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type SqlType, typeName } from './sql-type.js'

interface Fields {
  year?: number
  month?: number
  day?: number
  time?: string
  /** A seventh digit rounds up. */
  roundsUp?: boolean
  zone?: string
  bc?: boolean
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAY = /^(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?$/

/**
 * The DuckDB text of the date, time or timestamp that the literal `text` spells.
 *
 * 22007 when it spells none, 22008 when a field is out of range.
 */
export function parseDateTime(text: string, target: SqlType): string {
  const invalid = (): SqlError =>
    new SqlError(
      SqlState.invalidDatetimeFormat,
      `invalid input syntax for type ${typeName(target)}: "${text}"`,
    )
  const word = text.trim().toLowerCase()
  const special = specialValue(word, target)
  if (special !== null) return special
  const fields = read(word)
  if (fields === null) throw invalid()
  check(fields, text)
  const timeOnly = target.oid === Oid.time || target.oid === Oid.timetz
  if (timeOnly && fields.time === undefined) throw invalid()
  if (
    !timeOnly &&
    (fields.year === undefined || fields.month === undefined || fields.day === undefined)
  ) {
    throw invalid()
  }
  const time = fields.time ?? '00:00:00'
  if (target.oid === Oid.time) return `TIME ${quoteLiteral(time)}`
  if (target.oid === Oid.timetz) {
    return `CAST(${quoteLiteral(time + zoneOffset(fields.zone ?? '+00'))} AS TIMETZ)`
  }
  const era = fields.bc === true ? ' (BC)' : ''
  const date = `${String(fields.year).padStart(4, '0')}-${two(fields.month)}-${two(fields.day)}`
  if (target.oid === Oid.date) return `DATE ${quoteLiteral(date + era)}`
  const clock = time
  if (target.oid === Oid.timestamp) {
    const literal = `TIMESTAMP ${quoteLiteral(`${date}${era} ${clock}`)}`
    return fields.roundsUp === true ? `(${literal} + to_microseconds(1))` : literal
  }
  if (fields.zone === undefined) {
    return `CAST(TIMESTAMP ${quoteLiteral(`${date}${era} ${clock}`)} AS TIMESTAMPTZ)`
  }
  const offset = /^[+-]/.test(fields.zone)
  return offset
    ? `CAST(${quoteLiteral(`${date}${era} ${clock}${zoneOffset(fields.zone)}`)} AS TIMESTAMPTZ)`
    : `timezone(${quoteLiteral(fields.zone)}, TIMESTAMP ${quoteLiteral(`${date}${era} ${clock}`)})`
}

function two(value: number | undefined): string {
  return String(value ?? 0).padStart(2, '0')
}

function specialValue(word: string, target: SqlType): string | null {
  const timeOnly = target.oid === Oid.time || target.oid === Oid.timetz
  const type =
    target.oid === Oid.date ? 'DATE' : target.oid === Oid.timestamp ? 'TIMESTAMP' : 'TIMESTAMPTZ'
  switch (word) {
    case 'infinity':
    case '+infinity':
    case '-infinity':
      return timeOnly ? null : `CAST('${word.replace('+', '')}' AS ${type})`
    case 'epoch':
      return timeOnly ? null : `CAST(TIMESTAMPTZ '1970-01-01 00:00:00+00' AS ${type})`
    case 'now':
      return timeOnly ? 'CAST(CAST(now() AS TIMESTAMP) AS TIME)' : `CAST(now() AS ${type})`
    case 'today':
    case 'tomorrow':
    case 'yesterday': {
      if (timeOnly) return null
      const shift = word === 'today' ? '' : word === 'tomorrow' ? ' + 1' : ' - 1'
      return `CAST((CAST(now() AS DATE)${shift}) AS ${type})`
    }
    default:
      return null
  }
}

/** Splits the text into fields; null when a part makes no sense. */
function read(text: string): Fields | null {
  const fields: Fields = {}
  const iso = /^([+-]?\d{4,6})-(\d{1,2})-(\d{1,2})(?:[t ]+|$)/.exec(text)
  let rest = text
  if (iso !== null) {
    fields.year = Number(iso[1])
    fields.month = Number(iso[2])
    fields.day = Number(iso[3])
    rest = text.slice(iso[0].length)
  }
  for (const part of rest.replaceAll(/([+-]\d{1,2}(?::?\d{2}){0,2})$/g, ' $1').split(/[\s,]+/)) {
    if (part !== '' && !readPart(part, fields)) return null
  }
  return fields
}

function readPart(part: string, fields: Fields): boolean {
  let match = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?(z|am|pm)?$/.exec(part)
  if (match !== null) {
    const [seconds = '0', fraction = ''] = (match[3] ?? '0').split('.')
    fields.roundsUp = Number(fraction[6] ?? 0) >= 5
    fields.time = `${two(Number(match[1]))}:${two(Number(match[2]))}:${two(Number(seconds))}${fraction === '' ? '' : `.${fraction.slice(0, 6)}`}`
    if (match[4] === 'z') fields.zone = '+00'
    else if (match[4] !== undefined) return meridiem(match[4], fields)
    return true
  }
  match = /^(\d{4})(\d{2})(\d{2})$/.exec(part)
  if (match !== null && fields.year === undefined)
    return setDate(fields, match[1], match[2], match[3])
  match = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(part)
  if (match !== null) return setDate(fields, match[1], match[2], match[3])
  match = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$/.exec(part)
  if (match !== null) return setDate(fields, match[3], match[1], match[2])
  match = /^(\d{1,2})-([a-z]{3,9})-(\d{4})$/.exec(part) ?? null
  if (match !== null) return setDate(fields, match[3], monthOf(match[2] ?? ''), match[1])
  match = /^(\d{4})-([a-z]{3,9})-(\d{1,2})$/.exec(part)
  if (match !== null) return setDate(fields, match[1], monthOf(match[2] ?? ''), match[3])
  if (/^[+-]\d{1,2}(?::?\d{2}){0,2}$/.test(part) && fields.zone === undefined) {
    fields.zone = part
    return true
  }
  if (part === 'am' || part === 'pm') return meridiem(part, fields)
  if (part === 'bc' || part === 'ad') {
    fields.bc = part === 'bc'
    return true
  }
  const month = monthOf(part)
  if (month !== undefined) {
    fields.month = Number(month)
    return true
  }
  if (WEEKDAY.test(part)) return true
  if (/^\d{4}$/.test(part) && fields.year === undefined) {
    fields.year = Number(part)
    return true
  }
  if (/^\d{1,2}$/.test(part) && fields.day === undefined) {
    fields.day = Number(part)
    return true
  }
  if (
    (part === 'z' || part === 'utc' || part === 'gmt' || part === 'zulu') &&
    fields.zone === undefined
  ) {
    fields.zone = '+00'
    return true
  }
  if (/^[a-z]+(?:[/_][a-z_]+)+$/.test(part) || /^[a-z]{3,4}$/.test(part)) {
    if (fields.zone !== undefined || fields.time === undefined) return false
    fields.zone = zoneName(part)
    return fields.zone !== ''
  }
  return false
}

/** The spelling of a zone that the engine knows, or '' for what is none. */
function zoneName(word: string): string {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: word }).resolvedOptions().timeZone
  } catch {
    return ''
  }
}

function setDate(fields: Fields, year?: string, month?: string, day?: string): boolean {
  if (month === undefined || fields.year !== undefined) return false
  fields.year = Number(year)
  fields.month = Number(month)
  fields.day = Number(day)
  return true
}

function monthOf(word: string): string | undefined {
  const index = MONTHS.indexOf(word.slice(0, 3))
  const long = [
    'january',
    'february',
    'march',
    'april',
    'may',
    'june',
    'july',
    'august',
    'september',
    'october',
    'november',
    'december',
  ][index]
  if (long === undefined) return undefined
  return word === long || word.length === 3 || word === 'sept' ? String(index + 1) : undefined
}

function meridiem(word: string, fields: Fields): boolean {
  const hour = Number(fields.time?.slice(0, 2) ?? 99)
  if (fields.time === undefined || hour < 1 || hour > 12) return false
  const shifted = (hour % 12) + (word === 'pm' ? 12 : 0)
  fields.time = two(shifted) + fields.time.slice(2)
  return true
}

function check(fields: Fields, text: string): void {
  const outOfRange = (): SqlError =>
    new SqlError(SqlState.datetimeFieldOverflow, `date/time field value out of range: "${text}"`)
  const { year, month, day, time, bc } = fields
  if (month !== undefined && (month < 1 || month > 12)) throw outOfRange()
  if (year === 0) throw outOfRange()
  if (day !== undefined && month !== undefined && year !== undefined) {
    const leapYear = bc === true ? 1 - year : year
    const days = new Date(Date.UTC(2000 + (((leapYear % 400) + 400) % 400), month, 0)).getUTCDate()
    if (day < 1 || day > days) throw outOfRange()
  }
  if (time !== undefined) {
    const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number)
    const micros = hours * 3600 + minutes * 60 + seconds
    if (hours > 24 || minutes > 59 || seconds > 60 || micros > 86_400) throw outOfRange()
    if (seconds === 60) fields.time = carried(hours, minutes)
  }
}

/** PostgreSQL takes second 60 as the next minute's beginning. */
function carried(hours: number, minutes: number): string {
  const total = hours * 60 + minutes + 1
  return `${two(Math.floor(total / 60))}:${two(total % 60)}:00`
}

function zoneOffset(zone: string): string {
  const match = /^([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?$/.exec(zone)
  if (match === null) return zone
  const minutes = match[3] === undefined ? '' : `:${match[3]}`
  return `${match[1]}${two(Number(match[2]))}${minutes}${match[4] === undefined ? '' : `:${match[4]}`}`
}
