/** ISO intervals: durations of ISO 8601, with designators (`P1Y2DT3H`) and in the alternative format (`P0001-02-03T04:05:06`). */

import type { IntervalNumber, IntervalSum } from './interval-sum.js'

/** Adds the duration that `text` spells to `sum`; false when it spells none. */
export function parseIsoInterval(text: string, sum: IntervalSum): boolean {
  if (text.length < 2 || !text.startsWith('P')) return false
  const at = text.indexOf('T')
  const date = text.slice(1, at < 0 ? undefined : at)
  const time = at < 0 ? null : text.slice(at + 1)
  return (date === '' || addDate(date, sum)) && (time === null || time === '' || addTime(time, sum))
}

const NUMBER = String.raw`(-?)(\d*)(\.\d*)?`

function numberOf(sign = '', whole = '', fraction = ''): IntervalNumber | null {
  if (whole === '' && fraction === '') return null
  const by = sign === '-' ? -1 : 1
  return {
    whole: BigInt(whole === '' ? 0 : whole) * BigInt(by),
    fraction: fraction === '' || fraction === '.' ? 0 : Number(fraction) * by,
  }
}

type Adder = (sum: IntervalSum, number: IntervalNumber) => void

const DATE_UNITS: Readonly<Record<string, Adder>> = {
  Y: (sum, number) => sum.addYears(number, 1),
  M: (sum, number) => sum.addMonths(number),
  W: (sum, number) => sum.addDays(number, 7),
  D: (sum, number) => sum.addDays(number, 1),
}

const TIME_UNITS: Readonly<Record<string, Adder>> = {
  H: (sum, number) => sum.addMicros(number, 3_600_000_000),
  M: (sum, number) => sum.addMicros(number, 60_000_000),
  S: (sum, number) => sum.addMicros(number, 1_000_000),
}

/** Adds numbers with designators; null when the text is not of that form. */
function addDesignated(
  text: string,
  units: Readonly<Record<string, Adder>>,
  sum: IntervalSum,
): boolean | null {
  const pattern = new RegExp(`^${NUMBER}([A-Z])`)
  let rest = text
  while (rest !== '') {
    const match = pattern.exec(rest)
    const number = match === null ? null : numberOf(match[1], match[2], match[3])
    const unit = units[match?.[4] ?? '']
    if (match === null || number === null || unit === undefined) return rest === text ? null : false
    unit(sum, number)
    rest = rest.slice(match[0].length)
  }
  return true
}

/** Adds numbers in fixed places with `separator` between them; all but the first may be missing. */
function addPlaces(
  text: string,
  separator: string,
  places: readonly (Adder | undefined)[],
  sum: IntervalSum,
): boolean {
  const pattern = new RegExp(`^${NUMBER}(?:${separator}${NUMBER}(?:${separator}${NUMBER})?)?$`)
  const match = pattern.exec(text)
  if (match === null) return false
  for (const [i, place] of places.entries()) {
    const [sign, whole, fraction] = match.slice(1 + i * 3, 4 + i * 3)
    if (whole === undefined && fraction === undefined) return true
    const number = numberOf(sign, whole, fraction)
    if (number === null || place === undefined) return false
    place(sum, number)
  }
  return true
}

function addDate(text: string, sum: IntervalSum): boolean {
  const designated = addDesignated(text, DATE_UNITS, sum)
  if (designated !== null) return designated
  const basic = /^(-?)(\d{4})(\d\d)(\d\d)(\.\d*)?$/.exec(text)
  if (basic === null) {
    return addPlaces(text, '-', [DATE_UNITS.Y, DATE_UNITS.M, DATE_UNITS.D], sum)
  }
  const [, sign, year, month, day, fraction] = basic
  return addAll(sum, sign, [
    [year, '', DATE_UNITS.Y],
    [month, '', DATE_UNITS.M],
    [day, fraction, DATE_UNITS.D],
  ])
}

function addTime(text: string, sum: IntervalSum): boolean {
  const designated = addDesignated(text, TIME_UNITS, sum)
  if (designated !== null) return designated
  const basic = /^(-?)(\d\d)(\d\d)(\d\d)(\.\d*)?$/.exec(text)
  if (basic === null) {
    return addPlaces(text, ':', [TIME_UNITS.H, TIME_UNITS.M, TIME_UNITS.S], sum)
  }
  const [, sign, hour, minute, second, fraction] = basic
  // PostgreSQL counts what is behind the point in microseconds here.
  const micros: Adder = (to, number) => to.addMicros(number, 1)
  return addAll(sum, sign, [
    [hour, '', TIME_UNITS.H],
    [minute, '', TIME_UNITS.M],
    [second, '', TIME_UNITS.S],
    ['0', fraction, micros],
  ])
}

function addAll(
  sum: IntervalSum,
  sign: string | undefined,
  parts: readonly (readonly [string | undefined, string | undefined, Adder | undefined])[],
): boolean {
  for (const [whole, fraction, add] of parts) {
    const number = numberOf(sign, whole, fraction)
    if (number !== null) add?.(sum, number)
  }
  return true
}
