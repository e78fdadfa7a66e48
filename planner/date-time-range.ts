/** The range of dates and timestamps: what both PostgreSQL and DuckDB can hold. */

import { SqlError, SqlState } from '../storage/errors.js'
import { daysOf } from './civil-date.js'

/** DuckDB's infinities; the negative ones are their negations. */
export const INFINITE_DAYS = 2_147_483_647
export const INFINITE_MICROS = 9_223_372_036_854_775_807n

/** PostgreSQL's first day: 24 November 4714 BC. */
const DAYS_MIN = daysOf(-4713, 11, 24)
/** DuckDB's last day is some years after PostgreSQL's, its last timestamp some before. */
const DAYS_MAX = daysOf(5_874_897, 12, 31)
const MICROS_MIN = BigInt(DAYS_MIN) * 86_400_000_000n
const MICROS_MAX = INFINITE_MICROS - 1n

function outOfRange(what: string, text: string | undefined): SqlError {
  return new SqlError(
    SqlState.datetimeFieldOverflow,
    text === undefined ? `${what} out of range` : `${what} out of range: "${text}"`,
  )
}

/** `days` since 1970-01-01; 22008 when no date. `text` is what the client wrote, if it wrote any. */
export function checkedDays(days: number, text?: string): number {
  if (days < DAYS_MIN || days > DAYS_MAX) throw outOfRange('date', text)
  return days
}

/** `micros` since 1970-01-01; 22008 when no timestamp. */
export function checkedMicros(micros: bigint, text?: string): bigint {
  if (micros < MICROS_MIN || micros > MICROS_MAX) throw outOfRange('timestamp', text)
  return micros
}

/** `micros` since midnight; 22008 when no time of day. */
export function checkedClock(micros: bigint): bigint {
  if (micros < 0n || micros > 86_400_000_000n) throw outOfRange('time', undefined)
  return micros
}
