/** Date and time input: PostgreSQL's spellings of dates and times, as DuckDB literals. */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { OutputStyle } from './result.js'
import { typeName } from './sql-type.js'
import { offsetOfAbbreviation } from './zone-abbreviations.js'

/** What a date or time text says; what it leaves out is left out. */
interface Fields {
  year?: number
  month?: number
  day?: number
  /** `hh:mm:ss`, with up to six digits behind a point. */
  time?: string
  /** A seventh digit rounds up. */
  roundsUp?: boolean
  /** An offset (`+05:30`) or the name of a zone. */
  zone?: string
  bc?: boolean
}

/** Which of a date's numbers comes first, where the text does not tell. */
export type DateOrder = OutputStyle['dateOrder']

export type DateTimeFields = Readonly<Fields>

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAY = /^(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?$/

/**
 * The fields of a text that is no special word: those that a value of type `oid` needs are there.
 *
 * 22007 when they are not, 22008 when one is out of range.
 */
export function readDateTime(text: string, oid: number, order: DateOrder): DateTimeFields {
  const fields = read(text.trim().toLowerCase(), order)
  if (fields !== null) {
    check(fields, text)
    const timeOnly = oid === Oid.time || oid === Oid.timetz
    const { year, month, day, time } = fields
    const dated = year !== undefined && month !== undefined && day !== undefined
    if (timeOnly ? time !== undefined : dated) return fields
  }
  throw invalidDateTime(text, oid)
}

/** 22007 in PostgreSQL's words. */
export function invalidDateTime(text: string, oid: number): SqlError {
  // Of these two PostgreSQL tells the short names.
  const name = typeName({ oid }).replace(/^(timestamp) without time zone$/, '$1')
  return new SqlError(
    SqlState.invalidDatetimeFormat,
    `invalid input syntax for type ${name}: "${text}"`,
  )
}

function two(value: number | undefined): string {
  return String(value ?? 0).padStart(2, '0')
}

/** An offset right behind a time, or behind a whole date. */
const ZONE_BEHIND =
  /(:\d{1,2}(?:\.\d*)?|^\d{4}-\d{1,2}-\d{1,2})([+-]\d{1,2}(?::?\d{2}){0,2})(?=\s|$)/

/** Splits the text into fields; null when a part makes no sense. */
function read(text: string, order: DateOrder): Fields | null {
  const fields: Fields = {}
  const iso = /^([+-]?\d{4,7})-(\d{1,2})-(\d{1,2})(?:[t ]+|$)/.exec(text)
  let rest = text
  if (iso !== null) {
    fields.year = Number(iso[1])
    fields.month = Number(iso[2])
    fields.day = Number(iso[3])
    rest = text.slice(iso[0].length)
  }
  for (const part of rest.replace(ZONE_BEHIND, '$1 $2').split(/[\s,]+/)) {
    if (part !== '' && !readPart(part, fields, order)) return null
  }
  return fields
}

function readPart(part: string, fields: Fields, order: DateOrder): boolean {
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
  if (match !== null) {
    const [, first, second, third] = match
    if (order === 'YMD') return setDate(fields, first, second, third)
    return order === 'DMY'
      ? setDate(fields, third, second, first)
      : setDate(fields, third, first, second)
  }
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
  const offset = offsetOfAbbreviation(part)
  if (offset !== undefined && fields.zone === undefined) {
    fields.zone = offset
    return true
  }
  if (/^[a-z_]+(?:\/[a-z_+\d-]+)+$/.test(part)) {
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
  const outOfRange = (fields: { readonly hint?: string } = {}): SqlError =>
    new SqlError(
      SqlState.datetimeFieldOverflow,
      `date/time field value out of range: "${text}"`,
      fields,
    )
  // No month has them, so they may have been meant the other way round.
  const swapped = { hint: 'Perhaps you need a different "datestyle" setting.' }
  const { year, month, day, time, bc } = fields
  if (month !== undefined && (month < 1 || month > 12)) throw outOfRange(swapped)
  if (day !== undefined && (day < 1 || day > 31)) throw outOfRange(swapped)
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
