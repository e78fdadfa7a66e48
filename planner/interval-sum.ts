/** IntervalSum: the fields of an interval as they add up, with PostgreSQL's overflows and roundings. */

import type { IntervalValue } from '../storage/engine-value.js'

/** Thrown for what no field holds; the reader of the text makes PostgreSQL's error of it. */
export class IntervalOverflow extends Error {}

/** A number of an interval's text: its whole part and, of the same sign, what is behind the point. */
export interface IntervalNumber {
  readonly whole: bigint
  readonly fraction: number
}

const INT32_MAX = 2_147_483_647n
const INT64_MAX = 9_223_372_036_854_775_807n

function int32(value: bigint): bigint {
  if (value > INT32_MAX || value < -INT32_MAX - 1n) throw new IntervalOverflow()
  return value
}

function int64(value: bigint): bigint {
  if (value > INT64_MAX || value < -INT64_MAX - 1n) throw new IntervalOverflow()
  return value
}

const DAY_MICROS = 86_400_000_000
/** What is left over of a month counts 30 days to it. */
const MONTH_DAYS = 30

export class IntervalSum {
  #years = 0n
  #months = 0n
  #days = 0n
  #micros = 0n

  /** Adds `number` times `unitMicros`. */
  addMicros({ whole, fraction }: IntervalNumber, unitMicros: number): void {
    this.#micros = int64(this.#micros + int64(whole * BigInt(unitMicros)))
    this.#addFraction(fraction, unitMicros)
  }

  /** Adds `number` times `unitDays`; what is left over of a day goes to the time. */
  addDays({ whole, fraction }: IntervalNumber, unitDays: number): void {
    this.#days = int32(this.#days + int32(int32(whole) * BigInt(unitDays)))
    this.#addDayFraction(fraction, unitDays)
  }

  /** Adds months; what is left over of one goes to days and the time. */
  addMonths({ whole, fraction }: IntervalNumber): void {
    this.#months = int32(this.#months + int32(whole))
    this.#addDayFraction(fraction, MONTH_DAYS)
  }

  /** Adds `number` times `unitYears`, rounded to whole months. */
  addYears({ whole, fraction }: IntervalNumber, unitYears: number): void {
    this.#years = int32(this.#years + int32(int32(whole) * BigInt(unitYears)))
    this.#months = int32(this.#months + BigInt(roundToEven(fraction * unitYears * 12)))
  }

  /** A time of day takes the place of all microseconds so far. */
  setMicros(micros: bigint): void {
    this.#micros = int64(micros)
  }

  get micros(): bigint {
    return this.#micros
  }

  #addDayFraction(fraction: number, unitDays: number): void {
    const days = Math.trunc(fraction * unitDays)
    this.#days = int32(this.#days + BigInt(days))
    this.#addFraction(fraction * unitDays - days, DAY_MICROS)
  }

  /** Halves are rounded towards zero. */
  #addFraction(fraction: number, unitMicros: number): void {
    const size = fraction * unitMicros
    const whole = Math.trunc(size)
    const rest = size - whole
    const rounded = rest > 0.5 ? whole + 1 : rest < -0.5 ? whole - 1 : whole
    this.#micros = int64(this.#micros + BigInt(rounded))
  }

  /** Turns every field around. */
  negate(): void {
    this.#years = int32(-this.#years)
    this.#months = int32(-this.#months)
    this.#days = int32(-this.#days)
    this.#micros = int64(-this.#micros)
  }

  /** The interval, or null when its months are too many. */
  value(): IntervalValue | null {
    const months = this.#years * 12n + this.#months
    if (months > INT32_MAX || months < -INT32_MAX - 1n) return null
    return { months: Number(months), days: Number(this.#days), micros: this.#micros }
  }
}

/** Rounds as C's rint does: halves to the even neighbour. */
export function roundToEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
