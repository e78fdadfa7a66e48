/**
 * Goal: many values judged together are judged as one by one.
 * Method: random facts and random lists, with outcomesOf as the oracle.
 */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type ColumnFacts,
  type Comparable,
  compare,
  outcomesOf,
} from '../../storage/data-skipping.js'
import { scalarType } from '../../storage/engine-type.js'
import type { EngineValue } from '../../storage/engine-value.js'
import type { Predicate, Term } from '../../storage/predicate.js'
import { ValueIntervals } from '../../storage/value-intervals.js'

const number = fc.integer({ min: -12, max: 12 })
const text = (n: number): string => `abcdef${String(n + 50)}`
interface Kind {
  readonly known: (n: number) => Comparable
  readonly given: (n: number) => EngineValue
  readonly term?: Term
}

const term = { kind: 'column', path: ['c'] } as const
const kinds: Readonly<Record<string, Kind>> = {
  number: {
    known: (n: number): Comparable => ({ kind: 'number', unscaled: BigInt(n), scale: 0 }),
    given: (n: number): EngineValue => ({ type: scalarType('BIGINT'), value: BigInt(n) }),
  },
  date: {
    known: (n: number): Comparable => ({ kind: 'date', days: n }),
    given: (n: number): EngineValue => ({ type: scalarType('DATE'), value: n }),
  },
  moment: {
    known: (n: number): Comparable => ({ kind: 'timestamp', micros: BigInt(n) * 43_200_000_000n }),
    given: (n: number): EngineValue => ({ type: scalarType('DATE'), value: n }),
    term: { kind: 'cast', to: scalarType('DATE'), of: term, timeZone: 'UTC' } as Term,
  },
  string: {
    known: (n: number): Comparable => ({ kind: 'string', bytes: Buffer.from(text(n)) }),
    given: (n: number): EngineValue => ({ type: scalarType('VARCHAR'), value: text(n) }),
  },
}

it('a list is judged as its values are', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(kinds)),
      fc.option(number),
      fc.option(number),
      fc.boolean(),
      fc.constantFrom('value', 'null', 'both'),
      fc.array(fc.tuple(number, fc.nat(4)), { minLength: 2, maxLength: 9 }),
      fc.boolean(),
      ({ known, given, term: of = term }, low, high, isExact, may, spans, isList) => {
        const ends = [low, high].map((one) => (one === null ? null : known(one)))
        const [min = null, max = null] =
          ends[0] && ends[1] && compare(ends[0], ends[1]) > 0 ? ends.reverse() : ends
        const facts: ColumnFacts = {
          min,
          max,
          mayBeNull: may !== 'value',
          mayBeValue: may !== 'null',
          exact: isExact,
        }
        const compared = (operator: '=' | '>=' | '<=', n: number): Predicate => ({
          kind: 'compare',
          operator,
          term: of,
          value: given(n),
        })
        const predicate: Predicate = isList
          ? { kind: 'in', term: of, values: spans.map(([n]) => given(n)) }
          : {
              kind: 'or',
              parts: spans.map(([n, width]) =>
                width === 0
                  ? compared('=', n)
                  : { kind: 'and', parts: [compared('>=', n), compared('<=', n + width)] },
              ),
            }
        const expected = outcomesOf(predicate, () => facts)
        const found = ValueIntervals.of(predicate)?.outcomes(facts)
        expect(found?.mayBeTrue).toBe(expected.mayBeTrue)
        expect(found?.mayBeNull).toBe(expected.mayBeNull)
        // That it is true of every row is not always seen.
        expect(found?.mayBeFalse === true || !expected.mayBeFalse).toBe(true)
        if (isList) expect(found?.mayBeFalse).toBe(expected.mayBeFalse)
      },
    ),
    { numRuns: 3000, seed: 5 },
  )
})

it('is no list of one column', () => {
  const value: EngineValue = { type: scalarType('BIGINT'), value: 1n }
  const equal = (name: string): Predicate => ({
    kind: 'compare',
    operator: '=',
    term: { kind: 'column', path: [name] },
    value,
  })
  expect(ValueIntervals.of({ kind: 'or', parts: [equal('a'), equal('b')] })).toBeNull()
  expect(ValueIntervals.of({ kind: 'or', parts: [equal('a'), { kind: 'unknown' }] })).toBeNull()
  const none: EngineValue = { ...value, value: null }
  expect(ValueIntervals.of({ kind: 'in', term, values: [value, none] })).toBeNull()
})
