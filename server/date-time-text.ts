/** Dates, times and intervals as PostgreSQL prints them, in every DateStyle and IntervalStyle. */

import { type Civil, civilOf } from '../planner/civil-date.js'
import { INFINITE_DAYS, INFINITE_MICROS } from '../planner/date-time-range.js'
import type { OutputStyle } from '../planner/result.js'
import { offsetText, type Zone } from '../planner/zone.js'
import type { IntervalValue } from '../storage/engine-value.js'

const DAY_MICROS = 86_400_000_000n

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** A date's text. */
export function dateText(days: number, style: OutputStyle): string {
  if (days === INFINITE_DAYS) return 'infinity'
  if (days === -INFINITE_DAYS) return '-infinity'
  const civil = civilOf(days)
  return datePart(civil, style) + (civil.year <= 0 ? ' BC' : '')
}

function datePart({ year, month, day }: Civil, style: OutputStyle): string {
  const yyyy = String(year <= 0 ? 1 - year : year).padStart(4, '0')
  const dayFirst = style.dateOrder === 'DMY'
  switch (style.dateStyle) {
    case 'ISO':
      return `${yyyy}-${two(month)}-${two(day)}`
    case 'SQL':
      return dayFirst ? `${two(day)}/${two(month)}/${yyyy}` : `${two(month)}/${two(day)}/${yyyy}`
    case 'German':
      return `${two(day)}.${two(month)}.${yyyy}`
    case 'Postgres':
      return dayFirst ? `${two(day)}-${two(month)}-${yyyy}` : `${two(month)}-${two(day)}-${yyyy}`
  }
}

/** A time of day's text, from microseconds since midnight. */
export function timeText(micros: bigint): string {
  const seconds = Number(micros / 1_000_000n)
  return (
    `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}` +
    fraction(Number(micros % 1_000_000n))
  )
}

function fraction(micros: number): string {
  return micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const WEEKDAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']

/** A timestamp's text; `zone` null for one without time zone. */
export function timestampText(micros: bigint, style: OutputStyle, zone: Zone | null): string {
  if (micros === INFINITE_MICROS) return 'infinity'
  if (micros === -INFINITE_MICROS) return '-infinity'
  const offset = zone === null ? 0 : zone.offsetSeconds(micros)
  const local = micros + BigInt(offset) * 1_000_000n
  let days = local / DAY_MICROS
  let time = local % DAY_MICROS
  if (time < 0n) {
    days -= 1n
    time += DAY_MICROS
  }
  const civil = civilOf(Number(days))
  const era = civil.year <= 0 ? ' BC' : ''
  const clock = timeText(time)
  if (style.dateStyle === 'Postgres') {
    const weekday = WEEKDAYS[((Number(days) % 7) + 7) % 7]
    const month = MONTHS[civil.month - 1]
    const yyyy = String(civil.year <= 0 ? 1 - civil.year : civil.year).padStart(4, '0')
    const day = two(civil.day)
    const head = style.dateOrder === 'DMY' ? `${day} ${month}` : `${month} ${day}`
    const tail = zone === null ? '' : ` ${zone.abbreviation(micros)}`
    return `${weekday} ${head} ${clock} ${yyyy}${tail}${era}`
  }
  if (zone === null) return `${datePart(civil, style)} ${clock}${era}`
  if (style.dateStyle === 'ISO')
    return `${datePart(civil, style)} ${clock}${offsetText(offset)}${era}`
  return `${datePart(civil, style)} ${clock} ${zone.abbreviation(micros)}${era}`
}

/** An interval's text in the session's IntervalStyle. */
export function intervalText(value: IntervalValue, style: OutputStyle['intervalStyle']): string {
  const years = Math.trunc(value.months / 12)
  const months = value.months % 12
  const { days } = value
  const negative = value.micros < 0n
  const size = negative ? -value.micros : value.micros
  const hours = size / 3_600_000_000n
  const minutes = Number((size / 60_000_000n) % 60n)
  const seconds = Number((size / 1_000_000n) % 60n)
  const micros = Number(size % 1_000_000n)
  const clock = `${hours < 10n ? `0${hours}` : hours}:${two(minutes)}:${two(seconds)}${fraction(micros)}`
  switch (style) {
    case 'postgres': {
      const parts: string[] = []
      let afterNegative = false
      const add = (count: number, unit: string): void => {
        if (count === 0) return
        const sign = afterNegative && count > 0 ? '+' : ''
        parts.push(`${sign}${count} ${unit}${count === 1 ? '' : 's'}`)
        afterNegative = count < 0
      }
      add(years, 'year')
      add(months, 'mon')
      add(days, 'day')
      if (value.micros !== 0n || parts.length === 0) {
        parts.push(`${negative ? '-' : afterNegative ? '+' : ''}${clock}`)
      }
      return parts.join(' ')
    }
    case 'postgres_verbose': {
      const parts: string[] = []
      const firstSign =
        [years, months, days, negative ? -1 : size > 0n ? 1 : 0].find((n) => n !== 0) ?? 0
      const ago = firstSign < 0
      const flip = ago ? -1 : 1
      const add = (count: number, unit: string): void => {
        if (count !== 0) parts.push(`${count * flip} ${unit}${count * flip === 1 ? '' : 's'}`)
      }
      add(years, 'year')
      add(months, 'mon')
      add(days, 'day')
      const sign = negative ? -flip : flip
      if (hours !== 0n)
        parts.push(`${Number(hours) * sign} hour${Number(hours) * sign === 1 ? '' : 's'}`)
      if (minutes !== 0) parts.push(`${minutes * sign} min${minutes * sign === 1 ? '' : 's'}`)
      if (seconds !== 0 || micros !== 0) {
        const text = `${sign < 0 ? '-' : ''}${seconds}${fraction(micros)}`
        parts.push(`${text} sec${text === '1' ? '' : 's'}`)
      }
      return parts.length === 0 ? '@ 0' : `@ ${parts.join(' ')}${ago ? ' ago' : ''}`
    }
    case 'sql_standard': {
      const hasYears = value.months !== 0
      const hasDays = days !== 0 || value.micros !== 0n
      if (!hasYears && !hasDays) return '0'
      const plain = `${Number(hours)}:${two(minutes)}:${two(seconds)}${fraction(micros)}`
      const mixed =
        (hasYears && hasDays) || (days < 0 && value.micros > 0n) || (days > 0 && negative)
      if (mixed) {
        const sign = (n: number | boolean): string =>
          n === true || (typeof n === 'number' && n < 0) ? '-' : '+'
        return `${sign(value.months)}${Math.abs(years)}-${Math.abs(months)} ${sign(days)}${Math.abs(days)} ${sign(negative)}${plain}`
      }
      if (hasYears) return `${value.months < 0 ? '-' : ''}${Math.abs(years)}-${Math.abs(months)}`
      if (days !== 0) return `${days} ${plain}`
      return `${negative ? '-' : ''}${plain}`
    }
    case 'iso_8601': {
      const date =
        (years !== 0 ? `${years}Y` : '') +
        (months !== 0 ? `${months}M` : '') +
        (days !== 0 ? `${days}D` : '')
      const sign = negative ? '-' : ''
      const time =
        (hours !== 0n ? `${sign}${hours}H` : '') +
        (minutes !== 0 ? `${sign}${minutes}M` : '') +
        (seconds !== 0 || micros !== 0 ? `${sign}${seconds}${fraction(micros)}S` : '')
      if (date === '' && time === '') return 'PT0S'
      return `P${date}${time === '' ? '' : `T${time}`}`
    }
  }
}
