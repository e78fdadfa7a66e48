/** Interval text: what is printed in any IntervalStyle is read again. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInterval } from '../../planner/interval-text.js'
import { intervalText } from '../../server/date-time-text.js'

const interval = fc.record({
  months: fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }),
  days: fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }),
  micros: fc.bigInt({ min: -9_000_000_000_000_000_000n, max: 9_000_000_000_000_000_000n }),
})
const small = fc.record({
  months: fc.integer({ min: -14, max: 14 }),
  days: fc.integer({ min: -2, max: 2 }),
  micros: fc.bigInt({ min: -4_000_000n, max: 4_000_000n }),
})

describe('an interval', () => {
  it.each(['postgres', 'postgres_verbose', 'sql_standard', 'iso_8601'] as const)(
    'printed as %s is read again',
    (style) => {
      fc.assert(
        fc.property(fc.oneof(interval, small), (value) => {
          const text = intervalText(value, style)
          expect(parseInterval(text, { leadingSign: style === 'sql_standard' })).toEqual(value)
        }),
        { seed: 11, numRuns: 500 },
      )
    },
  )

  it('counts a bare number in the smallest field its type names', () => {
    const nothing = { months: 0, days: 0, micros: 0n }
    expect(parseInterval('3', { unit: 'month' })).toEqual({ ...nothing, months: 3 })
    expect(parseInterval('3 4', { unit: 'hour' })).toEqual({
      ...nothing,
      days: 3,
      micros: 14_400_000_000n,
    })
    expect(parseInterval('1:02', { unit: 'second', minuteToSecond: true }).micros).toBe(62_000_000n)
  })
})
