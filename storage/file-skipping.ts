/** File skipping: a predicate over all files of an index at once, column by column. */

import {
  type ColumnFacts,
  type Comparable,
  type FileFacts,
  literalFor,
  type Outcomes,
  outcomesOf,
  parseComparable,
} from './data-skipping.js'
import type { EngineValue } from './engine-value.js'
import type { FileBlock, PartitionColumn } from './file-block.js'
import type { ColumnPath, ComparisonOperator, Predicate, Term } from './predicate.js'
import type { DataType } from './schema.js'
import {
  EXACT,
  factsAt,
  HAS_MAX,
  HAS_MIN,
  MAY_BE_NULL,
  MAY_BE_VALUE,
  roundOutwards,
  type StatisticsColumn,
  type StatisticsRequest,
  textPrefix,
} from './statistics-column.js'
import { textBytes } from './string-heap.js'
import { countWhere, ValueIntervals } from './value-intervals.js'

/** Where the facts of a column are found; null for a column nothing is known of. */
export type ColumnSource =
  | { readonly kind: 'partition'; readonly physicalName: string; readonly type: DataType }
  | { readonly kind: 'statistics'; readonly request: StatisticsRequest }
  | null

const TRUE = 1
const FALSE = 2
const NULL = 4
const ANY = TRUE | FALSE | NULL

/**
 * For each row of `block` whether `predicate` may be true of a row of that file: 0 is a proof that
 * it is not, anything else a maybe.
 */
export function mayMatchRows(
  predicate: Predicate,
  block: FileBlock,
  sourceOf: (path: ColumnPath) => ColumnSource,
): Uint8Array {
  const marks = outcomes(predicate, new BlockFacts(block, sourceOf, columnsOf(predicate)))
  for (let row = 0; row < marks.length; row++) marks[row] = (marks[row] ?? 0) & TRUE
  return marks
}

/** What `mayMatchRows` would read of a block's statistics, for FileBlock.prepareStatistics. */
export function statisticsNeeded(
  predicate: Predicate,
  sourceOf: (path: ColumnPath) => ColumnSource,
): readonly StatisticsRequest[] {
  return [...requestsOf(columnsOf(predicate), sourceOf).values()]
}

function requestsOf(
  paths: readonly ColumnPath[],
  sourceOf: (path: ColumnPath) => ColumnSource,
): ReadonlyMap<string, StatisticsRequest> {
  const requests = new Map<string, StatisticsRequest>()
  for (const path of paths) {
    if (requests.has(keyOf(path))) continue
    const source = sourceOf(path)
    if (source?.kind === 'statistics') requests.set(keyOf(path), source.request)
  }
  return requests
}

/** Paths of the columns that `predicate` names. */
export function columnsOf(predicate: Predicate): readonly ColumnPath[] {
  switch (predicate.kind) {
    case 'and':
    case 'or':
      return predicate.parts.flatMap(columnsOf)
    case 'not':
      return columnsOf(predicate.part)
    case 'unknown':
    case 'constant':
      return []
    default:
      return [columnOf(predicate.term)]
  }
}

function columnOf(term: Term): ColumnPath {
  return term.kind === 'column' ? term.path : columnOf(term.of)
}

class BlockFacts {
  readonly count: number
  readonly #block: FileBlock
  readonly #sourceOf: (path: ColumnPath) => ColumnSource
  readonly #statistics = new Map<string, StatisticsColumn>()

  constructor(
    block: FileBlock,
    sourceOf: (path: ColumnPath) => ColumnSource,
    paths: readonly ColumnPath[],
  ) {
    this.#block = block
    this.#sourceOf = sourceOf
    this.count = block.count
    // All at once: each reading of the statistics' text is for every column the predicate names.
    const requests = requestsOf(paths, sourceOf)
    const columns = block.statistics([...requests.values()])
    for (const [i, key] of [...requests.keys()].entries()) {
      const column = columns[i]
      if (column !== undefined) this.#statistics.set(key, column)
    }
  }

  statistics(path: ColumnPath): StatisticsColumn | undefined {
    return this.#statistics.get(keyOf(path))
  }

  /** The column's values in this block, a missing one being all null. */
  partition(
    path: ColumnPath,
  ): { readonly column: PartitionColumn | undefined; readonly type: DataType } | undefined {
    const source = this.#sourceOf(path)
    if (source?.kind !== 'partition') return undefined
    return { column: this.#block.partition(source.physicalName), type: source.type }
  }
}

function keyOf(path: ColumnPath): string {
  return path.join('\u0000').toLowerCase()
}

function outcomes(predicate: Predicate, facts: BlockFacts): Uint8Array {
  switch (predicate.kind) {
    case 'unknown':
      return new Uint8Array(facts.count).fill(ANY)
    case 'constant':
      return new Uint8Array(facts.count).fill(
        predicate.value === null ? NULL : predicate.value ? TRUE : FALSE,
      )
    case 'and':
      return combine(predicate.parts, facts, TRUE, (a, b) => (a & b & TRUE) | ((a | b) & 6))
    case 'or':
      return (
        intervals(predicate, facts) ??
        combine(
          predicate.parts,
          facts,
          FALSE,
          (a, b) => ((a | b) & (TRUE | NULL)) | (a & b & FALSE),
        )
      )
    case 'not': {
      const marks = outcomes(predicate.part, facts)
      for (let row = 0; row < marks.length; row++) {
        const mark = marks[row] ?? 0
        marks[row] = (mark & NULL) | ((mark & TRUE) << 1) | ((mark & FALSE) >> 1)
      }
      return marks
    }
    case 'in':
      return (
        intervals(predicate, facts) ??
        combine(
          predicate.values.map((value) => ({
            kind: 'compare',
            operator: '=',
            term: predicate.term,
            value,
          })),
          facts,
          FALSE,
          (a, b) => ((a | b) & (TRUE | NULL)) | (a & b & FALSE),
        )
      )
    default:
      return leaf(predicate, facts)
  }
}

function combine(
  parts: readonly Predicate[],
  facts: BlockFacts,
  neutral: number,
  join: (a: number, b: number) => number,
): Uint8Array {
  const marks = new Uint8Array(facts.count).fill(neutral)
  for (const part of parts) {
    const other = outcomes(part, facts)
    for (let row = 0; row < marks.length; row++) {
      marks[row] = join(marks[row] ?? 0, other[row] ?? 0)
    }
  }
  return marks
}

/** A list of values or ranges of one column; null for anything else. */
function intervals(predicate: Predicate, facts: BlockFacts): Uint8Array | null {
  const many = ValueIntervals.of(predicate)
  if (many === null) return null
  const path = columnOf(many.term)
  const partition = facts.partition(path)
  if (partition !== undefined) {
    const { column, type } = partition
    const judged = [null, ...(column?.values ?? [])].map((value) =>
      bitsOf(many.outcomes(partitionFacts(value, type))),
    )
    if (judged.includes(null)) return null
    const marks = new Uint8Array(facts.count)
    for (let row = 0; row < marks.length; row++) marks[row] = judged[column?.codes[row] ?? 0] ?? ANY
    return marks
  }
  const column = facts.statistics(path)
  if (column === undefined || column.kind === null) return null
  const isVector = many.term.kind === 'column' && column.kind !== 'string'
  const sorted = isVector ? many.sorted(column.kind) : null
  if (isVector && sorted === null) return null
  const ends = sorted === null ? null : endsOf(sorted, column.scale)
  const marks = new Uint8Array(facts.count)
  for (let row = 0; row < marks.length; row++) {
    const bits =
      ends === null ? bitsOf(many.outcomes(factsAt(column, row))) : inside(ends, column, row)
    if (bits === null) return null
    marks[row] = bits
  }
  return marks
}

function bitsOf(outcomes: Outcomes | null): number | null {
  if (outcomes === null) return null
  const { mayBeTrue, mayBeFalse, mayBeNull } = outcomes
  return (mayBeTrue ? TRUE : 0) | (mayBeFalse ? FALSE : 0) | (mayBeNull ? NULL : 0)
}

/** Intervals as doubles, rounded outwards. */
interface Ends {
  readonly lows: Float64Array
  /** The greatest of the first i + 1 upper ends. */
  readonly reach: Float64Array
  /** Nothing was rounded. */
  readonly isExact: boolean
}

/** Null where a double does not reach. */
function endsOf(
  { lows, highs }: NonNullable<ReturnType<ValueIntervals['sorted']>>,
  scale: number,
): Ends | null {
  const points = [lows, highs].map((side) => side.map((literal) => pointOfLiteral(literal, scale)))
  const [from = [], to = []] = points
  const ends = {
    lows: Float64Array.from(from, (point) => point?.low ?? Number.NaN),
    reach: Float64Array.from(to, (point) => point?.high ?? Number.NaN),
    isExact: [...from, ...to].every((point) => point !== null && point.low === point.high),
  }
  if (![...ends.lows, ...ends.reach].every(Number.isFinite)) return null
  for (let i = 1; i < ends.reach.length; i++) {
    ends.reach[i] = Math.max(ends.reach[i] ?? 0, ends.reach[i - 1] ?? 0)
  }
  return ends
}

function inside({ lows, reach, isExact }: Ends, column: StatisticsColumn, row: number): number {
  const flag = column.flags[row] ?? 0
  if ((flag & MAY_BE_VALUE) === 0) return NULL
  const least = (flag & HAS_MIN) === 0 ? Number.NEGATIVE_INFINITY : (column.min[row] ?? 0)
  const most = (flag & HAS_MAX) === 0 ? Number.POSITIVE_INFINITY : (column.max[row] ?? 0)
  const last = countWhere(lows.length, (i) => (lows[i] ?? 0) <= most)
  const mayBeTrue = last > 0 && (reach[last - 1] ?? 0) >= least
  const isOne = isExact && least === most
  return (
    (mayBeTrue ? TRUE : 0) |
    (isOne && mayBeTrue ? 0 : FALSE) |
    ((flag & MAY_BE_NULL) === 0 ? 0 : NULL)
  )
}

type Leaf = Extract<Predicate, { readonly term: Term }>

function leaf(predicate: Leaf, facts: BlockFacts): Uint8Array {
  const path = columnOf(predicate.term)
  const partition = facts.partition(path)
  if (partition !== undefined) {
    const { column, type } = partition
    // Each distinct value is judged once.
    const judged = [
      mark(predicate, partitionFacts(null, type)),
      ...(column?.values ?? []).map((value) => mark(predicate, partitionFacts(value, type))),
    ]
    const marks = new Uint8Array(facts.count)
    for (let row = 0; row < marks.length; row++) marks[row] = judged[column?.codes[row] ?? 0] ?? ANY
    return marks
  }
  const column = facts.statistics(path)
  if (column === undefined) return new Uint8Array(facts.count).fill(mark(predicate, null))
  if (predicate.term.kind === 'column' && predicate.kind === 'compare') {
    const fast = compareColumn(predicate.operator, column, predicate.value)
    if (fast !== null) return fast
  }
  const marks = new Uint8Array(facts.count)
  for (let row = 0; row < marks.length; row++) marks[row] = mark(predicate, factsAt(column, row))
  return marks
}

function mark(predicate: Predicate, facts: ColumnFacts | null): number {
  const of: FileFacts = () => facts
  const { mayBeTrue, mayBeFalse, mayBeNull } = outcomesOf(predicate, of)
  return (mayBeTrue ? TRUE : 0) | (mayBeFalse ? FALSE : 0) | (mayBeNull ? NULL : 0)
}

/** What a partition value says; an empty text is SQL's null too. */
export function partitionFacts(text: string | null, type: DataType): ColumnFacts {
  if (text === null || text === '') {
    return { min: null, max: null, mayBeNull: true, mayBeValue: false, exact: true }
  }
  const value = parseComparable(text, type, 'exact')
  return { min: value, max: value, mayBeNull: false, mayBeValue: true, exact: true }
}

/** A literal between two doubles: equal where a double holds it. */
interface Point {
  readonly low: number
  readonly high: number
}

/** Compares a column of numbers, times or texts with one literal; null where that needs more care. */
function compareColumn(
  operator: ComparisonOperator,
  column: StatisticsColumn,
  value: EngineValue,
): Uint8Array | null {
  const { kind, min, max, flags } = column
  if (value.value === null || kind === null) return null
  const literal = literalFor(value, kind)
  if (literal === null) return null
  if (literal.kind === 'string') return compareTexts(operator, column, literal.bytes)
  const point = pointOfLiteral(literal, column.scale)
  if (point === null) return null
  const { low, high } = point
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    if (literal.kind !== 'double') return null
  }
  const equalPossible = low === high
  // NaN is greater than every number, and not every writer counts it into the maximum.
  const open = kind === 'double'
  const marks = new Uint8Array(flags.length)
  const [whenLess, whenEqual, whenGreater] = markBits(operator)
  for (let row = 0; row < marks.length; row++) {
    const flag = flags[row] ?? 0
    if ((flag & MAY_BE_VALUE) === 0) {
      marks[row] = NULL
      continue
    }
    const least = (flag & HAS_MIN) === 0 ? Number.NEGATIVE_INFINITY : (min[row] ?? 0)
    const most = (flag & HAS_MAX) === 0 ? Number.POSITIVE_INFINITY : (max[row] ?? 0)
    let mark = (flag & MAY_BE_NULL) === 0 ? 0 : NULL
    if ((flag & EXACT) !== 0 && equalPossible && least === low && most === low) {
      marks[row] = mark | whenEqual
      continue
    }
    // A bound rounded to `low` of a literal between two doubles may lie on either side of it.
    if (least < high || (flag & HAS_MIN) === 0) mark |= whenLess
    if (most > low || open || (flag & HAS_MAX) === 0) mark |= whenGreater
    if (least <= high && most >= low) mark |= whenEqual
    marks[row] = mark
  }
  return marks
}

/** Where a literal lies on the axis of a column's vectors; null where it has no place there. */
function pointOfLiteral(literal: Comparable, scale: number): Point | null {
  switch (literal.kind) {
    case 'number': {
      const unit = 10n ** BigInt(Math.max(0, literal.scale - scale))
      const scaled = literal.unscaled * 10n ** BigInt(Math.max(0, scale - literal.scale))
      const floor = scaled / unit - (scaled % unit < 0n ? 1n : 0n)
      const ceiling = scaled % unit === 0n ? floor : floor + 1n
      return pointOf(floor, ceiling)
    }
    case 'double':
      return Number.isNaN(literal.value) ? null : { low: literal.value, high: literal.value }
    case 'date':
      return { low: literal.days, high: literal.days }
    case 'timestamp':
    case 'timestamptz':
      return pointOf(literal.micros, literal.micros)
    default:
      return null
  }
}

function pointOf(floor: bigint, ceiling: bigint): Point {
  return { low: roundOutwards(floor, 'min'), high: roundOutwards(ceiling, 'max') }
}

/** What the comparison may be where the column is less than, equal to, greater than the literal. */
function markBits(operator: ComparisonOperator): readonly [number, number, number] {
  const bit = (...operators: readonly ComparisonOperator[]): number =>
    operators.includes(operator) ? TRUE : FALSE
  return [bit('<', '<=', '<>'), bit('=', '<=', '>='), bit('>', '>=', '<>')]
}

function compareTexts(
  operator: ComparisonOperator,
  column: StatisticsColumn,
  literal: Buffer,
): Uint8Array | null {
  const { texts, min, max, flags } = column
  if (texts === null) return null
  const prefix = textPrefix(literal)
  const marks = new Uint8Array(flags.length)
  const [whenLess, whenEqual, whenGreater] = markBits(operator)
  const order = (known: number, index: number): number =>
    known !== prefix ? known - prefix : textBytes(texts, index).compare(literal)
  for (let row = 0; row < marks.length; row++) {
    const flag = flags[row] ?? 0
    if ((flag & MAY_BE_VALUE) === 0) {
      marks[row] = NULL
      continue
    }
    const low = (flag & HAS_MIN) === 0 ? -1 : order(min[row] ?? 0, row * 2)
    const high = (flag & HAS_MAX) === 0 ? 1 : order(max[row] ?? 0, row * 2 + 1)
    let mark = (flag & MAY_BE_NULL) === 0 ? 0 : NULL
    if (low < 0) mark |= whenLess
    if (high > 0) mark |= whenGreater
    if (low <= 0 && high >= 0) mark |= whenEqual
    marks[row] = mark
  }
  return marks
}
