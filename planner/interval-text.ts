/** Interval text: PostgreSQL's spellings of an interval, read into months, days and microseconds. */

import type { IntervalValue } from '../storage/engine-value.js'

type Field = 'months' | 'days' | 'micros'

const UNITS: Readonly<Record<string, readonly [Field, number]>> = {
  microsecond: ['micros', 1],
  us: ['micros', 1],
  usec: ['micros', 1],
  millisecond: ['micros', 1e3],
  ms: ['micros', 1e3],
  msec: ['micros', 1e3],
  second: ['micros', 1e6],
  sec: ['micros', 1e6],
  s: ['micros', 1e6],
  minute: ['micros', 60e6],
  min: ['micros', 60e6],
  m: ['micros', 60e6],
  hour: ['micros', 3600e6],
  hr: ['micros', 3600e6],
  h: ['micros', 3600e6],
  day: ['days', 1],
  d: ['days', 1],
  week: ['days', 7],
  w: ['days', 7],
  month: ['months', 1],
  mon: ['months', 1],
  year: ['months', 12],
  yr: ['months', 12],
  y: ['months', 12],
  decade: ['months', 120],
  dec: ['months', 120],
  century: ['months', 1200],
  centurie: ['months', 1200],
  cent: ['months', 1200],
  c: ['months', 1200],
  millennium: ['months', 12_000],
  millennia: ['months', 12_000],
  mil: ['months', 12_000],
}

const DAY_MICROS = 86_400_000_000

/** Months are taken as 30 days for what is left over of them, as PostgreSQL does. */
const MONTH_DAYS = 30

/**
 * The interval `text` spells, or null when it spells none.
 *
 * Reads PostgreSQL's words (`1 year -2 days 03:04:05.6 ago`), SQL's (`1-2`, `3 4:05`), and
 * ISO 8601 (`P1Y2M3DT4H5M6S`). A bare number counts `unit`, seconds unless the type names another.
 */
export function parseInterval(text: string, unit = 'second'): IntervalValue | null {
  const trimmed = text.trim()
  if (/^[+-]?P/i.test(trimmed)) return parseIso(trimmed)
  const sum: Sum = { months: 0, days: 0, micros: 0 }
  let rest = trimmed.replace(/^@\s*/, '')
  const ago = /\s+ago$/i.test(rest)
  if (ago) rest = rest.replace(/\s+ago$/i, '')
  if (rest === '') return null
  let sign = ''
  while (rest !== '') {
    const clock = /^([+-]?)(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?(?:\s+|$)/.exec(rest)
    if (clock !== null) {
      const [whole, own = '', hours = '0', minutes = '0', seconds = '0'] = clock
      const size =
        (Number(hours) * 3600 + Number(minutes) * 60) * 1e6 + Math.round(Number(seconds) * 1e6)
      sum.micros += (own || sign) === '-' ? -size : size
      rest = rest.slice(whole.length)
      continue
    }
    const years = /^([+-]?)(\d+)-(\d{1,2})(?:\s+|$)/.exec(rest)
    if (years !== null) {
      const size = Number(years[2]) * 12 + Number(years[3])
      sum.months += years[1] === '-' ? -size : size
      rest = rest.slice(years[0].length)
      continue
    }
    const part = /^([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)(?:\s+|(?=[+\-\d.])|$)/i.exec(rest)
    if (part === null || part[0] === '') return null
    const [whole, own = '', digits = '', word = ''] = part
    rest = rest.slice(whole.length)
    // SQL's `3 4:05`: the number before a clock counts days.
    const name = word !== '' ? word : /^[+-]?\d+:/.test(rest) ? 'day' : unit
    if (word === '' && rest !== '' && !/^[+-]?\d+:/.test(rest)) return null
    sign = own
    if (!add(sum, Number(digits) * (own === '-' ? -1 : 1), name)) return null
  }
  return finish(sum, ago ? -1 : 1)
}

interface Sum {
  months: number
  days: number
  micros: number
}

/** Adds `amount` units, what is left of whole months and days going to the smaller fields. */
function add(sum: Sum, amount: number, word: string): boolean {
  const lower = word.toLowerCase()
  const unit = UNITS[lower] ?? UNITS[lower.replace(/s$/, '')]
  if (unit === undefined) return false
  const size = amount * unit[1]
  if (unit[0] === 'micros') sum.micros += Math.round(size)
  else if (unit[0] === 'days') {
    sum.days += Math.trunc(size)
    sum.micros += Math.round((size - Math.trunc(size)) * DAY_MICROS)
  } else {
    const exact = Math.round(size * 1e9) / 1e9
    sum.months += Math.trunc(exact)
    // Years and longer round to whole months; a fraction of a month is days.
    if (unit[1] === 1) {
      const days = (exact - Math.trunc(exact)) * MONTH_DAYS
      sum.days += Math.trunc(days)
      sum.micros += Math.round((days - Math.trunc(days)) * DAY_MICROS)
    }
  }
  return true
}

function parseIso(text: string): IntervalValue | null {
  const match = /^([+-]?)P(.*?)(?:T(.*))?$/i.exec(text)
  if (match === null) return null
  const sum: Sum = { months: 0, days: 0, micros: 0 }
  const read = (part: string, units: Readonly<Record<string, string>>): boolean => {
    let rest = part
    while (rest !== '') {
      const item = /^([+-]?\d*\.?\d+)([a-z])/i.exec(rest)
      const unit = units[item?.[2]?.toUpperCase() ?? '']
      if (item === null || unit === undefined || !add(sum, Number(item[1]), unit)) return false
      rest = rest.slice(item[0].length)
    }
    return true
  }
  const dates = { Y: 'year', M: 'month', W: 'week', D: 'day' }
  const times = { H: 'hour', M: 'minute', S: 'second' }
  if (!read(match[2] ?? '', dates) || !read(match[3] ?? '', times)) return null
  if ((match[2] ?? '') === '' && (match[3] ?? '') === '') return null
  return finish(sum, match[1] === '-' ? -1 : 1)
}

function finish(sum: Sum, sign: 1 | -1): IntervalValue | null {
  const fits = Math.abs(sum.months) <= 2_147_483_647 && Math.abs(sum.days) <= 2_147_483_647
  if (!fits || !Number.isFinite(sum.micros)) return null
  const signed = (value: number): number => (value === 0 ? 0 : value * sign)
  return { months: signed(sum.months), days: signed(sum.days), micros: BigInt(signed(sum.micros)) }
}

/** DuckDB's text for an interval. */
export function intervalSql(value: IntervalValue): string {
  return `lakegate_interval(${value.months}, ${value.days}, ${value.micros})`
}
