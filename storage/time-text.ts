/** Times as the log writes them: proleptic Gregorian, UTC, four-digit years. */

const DAY_MICROS = 86_400_000_000n
/** 0001-01-01 and 10000-01-01, in days since 1970-01-01. */
const FIRST_DAY = -719_162
const END_DAY = 2_932_897

/**
 * A day counted from 1970-01-01, or null outside of the years 1 to 9999.
 *
 * @example
 * printDate(-1)   // '1969-12-31'
 */
export function printDate(days: number): string | null {
  if (!(days >= FIRST_DAY && days < END_DAY)) return null
  return new Date(days * 86_400_000).toISOString().slice(0, 10)
}

/**
 * Microseconds since 1970 with `digits` (3 or 6) digits of fraction, or null outside of the years
 * 1 to 9999. What the digits cannot hold is cut off towards the past.
 *
 * @example
 * printTimestamp(-1n, 3)   // '1969-12-31 23:59:59.999'
 */
export function printTimestamp(micros: bigint, digits: 3 | 6): string | null {
  const day = floorDivide(micros, DAY_MICROS)
  const date = printDate(Number(day))
  if (date === null) return null
  const rest = micros - day * DAY_MICROS
  const time = new Date(Number(rest / 1000n)).toISOString().slice(11, 23)
  const tail = digits === 6 ? String(rest % 1000n).padStart(3, '0') : ''
  return `${date} ${time}${tail}`
}

/** The millisecond at or before, or at or after, a microsecond; in microseconds. */
export function toMillisecond(micros: bigint, towards: 'past' | 'future'): bigint {
  const floor = floorDivide(micros, 1000n) * 1000n
  return towards === 'past' || floor === micros ? floor : floor + 1000n
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}
