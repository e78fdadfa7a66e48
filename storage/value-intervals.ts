/** ValueIntervals: many equalities and ranges of one column, judged together by binary search. */

import {
  type ColumnFacts,
  type Comparable,
  compare,
  literalFor,
  type Outcomes,
  termFacts,
} from './data-skipping.js'
import type { EngineValue } from './engine-value.js'
import type { Predicate, Term } from './predicate.js'

/** Literals of one kind: interval i is all from `low` to `high`, in order of `low`. */
interface Sorted {
  readonly lows: readonly Comparable[]
  readonly highs: readonly Comparable[]
  /** The greatest of the first i + 1 highs. */
  readonly reach: readonly Comparable[]
}

/**
 * What `term IN (…)` is, or an OR of `term = x` and `term >= x AND term <= y`.
 *
 * It is true of a row whose value lies in one of the intervals, ends included, and null of nulls.
 */
export class ValueIntervals {
  /** The column, or the function of one, that the values are of. */
  readonly term: Term
  readonly #intervals: readonly (readonly [EngineValue, EngineValue])[]
  readonly #sorted = new Map<Comparable['kind'], Sorted | null>()

  private constructor(term: Term, intervals: readonly (readonly [EngineValue, EngineValue])[]) {
    this.term = term
    this.#intervals = intervals
  }

  /** Null for a predicate of another form, or with a null in it. */
  static of(predicate: Predicate): ValueIntervals | null {
    const intervals: (readonly [EngineValue, EngineValue])[] = []
    let term: Term | undefined
    const isSame = (other: Term): boolean => {
      term ??= other
      return term === other || JSON.stringify(term) === JSON.stringify(other)
    }
    if (predicate.kind === 'in') {
      term = predicate.term
      for (const value of predicate.values) intervals.push([value, value])
    } else if (predicate.kind === 'or') {
      for (const part of predicate.parts) {
        const [low, high, ...more] = part.kind === 'and' ? part.parts : [part, part]
        if (low?.kind !== 'compare' || high?.kind !== 'compare' || more.length > 0) return null
        const isRange = low.operator === '>=' && high.operator === '<='
        if (!isRange && (low !== high || low.operator !== '=')) return null
        if (!isSame(low.term) || !isSame(high.term)) return null
        intervals.push([low.value, high.value])
      }
    }
    const hasNull = intervals.some(([low, high]) => low.value === null || high.value === null)
    return term === undefined || intervals.length < 2 || hasNull
      ? null
      : new ValueIntervals(term, intervals)
  }

  /** The intervals for values of `kind`; null where they cannot be compared. */
  sorted(kind: Comparable['kind']): Sorted | null {
    let sorted = this.#sorted.get(kind)
    if (sorted === undefined) {
      sorted = this.#sort(kind)
      this.#sorted.set(kind, sorted)
    }
    return sorted
  }

  #sort(kind: Comparable['kind']): Sorted | null {
    // NaN, which statistics of floats may not count, has no place among intervals.
    if (kind === 'double') return null
    const pairs: [Comparable, Comparable][] = []
    for (const [low, high] of this.#intervals) {
      const [from, to] = [literalFor(low, kind), literalFor(high, kind)]
      if (from === null || to === null) return null
      pairs.push([from, to])
    }
    pairs.sort(([a], [b]) => compare(a, b))
    const reach: Comparable[] = []
    for (const [, high] of pairs) {
      const before = reach.at(-1)
      reach.push(before !== undefined && compare(before, high) > 0 ? before : high)
    }
    return { lows: pairs.map(([low]) => low), highs: pairs.map(([, high]) => high), reach }
  }

  /** The truth values that facts about the column do not disprove; null where they cannot be compared. */
  outcomes(column: ColumnFacts): Outcomes | null {
    const facts = termFacts(this.term, () => column)
    if (facts === null) return null
    const { min, max, mayBeNull, mayBeValue } = facts
    if (!mayBeValue) return { mayBeTrue: false, mayBeFalse: false, mayBeNull: true }
    const known = min ?? max
    if (known === null) return { mayBeTrue: true, mayBeFalse: true, mayBeNull }
    const sorted = this.sorted(known.kind)
    if (sorted === null) return null
    const { lows, reach } = sorted
    const last = countWhere(
      lows.length,
      (i) => max === null || compare(lows[i] as Comparable, max) <= 0,
    )
    const furthest = reach[last - 1]
    const mayBeTrue = furthest !== undefined && (min === null || compare(furthest, min) >= 0)
    const isOne = min !== null && max !== null && compare(min, max) === 0
    return { mayBeTrue, mayBeFalse: !(isOne && mayBeTrue), mayBeNull }
  }
}

/** How many of the first numbers below `count` satisfy `test`, which is false from some on. */
export function countWhere(count: number, test: (i: number) => boolean): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (test(middle)) low = middle + 1
    else high = middle
  }
  return low
}
