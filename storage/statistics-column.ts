/** StatisticsColumn: the bounds and nulls of one column in every file of a block, as typed vectors. */

import { type ColumnFacts, type Comparable, parseComparable } from './data-skipping.js'
import { quoteNumbers } from './lossless-json.js'
import { type StringHeap, StringHeapBuilder, textBytes } from './string-heap.js'
import type { DataType } from './schema.js'

/** Bits of `StatisticsColumn.flags`. */
export const HAS_MIN = 1
export const HAS_MAX = 2
export const MAY_BE_NULL = 4
export const MAY_BE_VALUE = 8
/** min and max are values that occur, and are kept without rounding. */
export const EXACT = 16

/**
 * Statistics of one column, row by row of a block.
 *
 * `min` and `max` are doubles: the value itself, microseconds, days, or a decimal without its
 * point. What a double does not hold is rounded outwards, so a bound stays a bound. Of texts they
 * hold the first six bytes as a number, `texts` has min of row i at 2i and max at 2i + 1.
 */
export interface StatisticsColumn {
  readonly kind: Comparable['kind'] | null
  readonly scale: number
  readonly min: Float64Array
  readonly max: Float64Array
  readonly flags: Uint8Array
  readonly texts: StringHeap | null
}

/** A column to be read out of statistics: its names from the table down, as files have them. */
export interface StatisticsRequest {
  readonly names: readonly string[]
  readonly type: DataType
}

// Types whose bounds are written in full, so that equal bounds mean one value.
const EXACT_TYPES: ReadonlySet<string> = new Set(['byte', 'short', 'integer', 'long', 'date'])

/** What statistics are read from. */
export interface StatisticsRows {
  readonly count: number
  /** The JSON of a row; null for none. */
  readonly statsOf: (row: number) => string | null
  /** Whether the bounds of a row may be of deleted rows. */
  readonly hasVector: (row: number) => boolean
}

// Some tens of microseconds: often enough to look at a clock.
const ROWS_BETWEEN_LOOKS = 16

/**
 * The columns of `requests`, read out of the statistics of `rows` in as many steps as wanted.
 *
 * Statistics that cannot be read are statistics that are not there.
 */
export class StatisticsReader {
  readonly #rows: StatisticsRows
  readonly #columns: readonly ColumnBuilder[]
  #next = 0

  constructor(requests: readonly StatisticsRequest[], rows: StatisticsRows) {
    this.#rows = rows
    this.#columns = requests.map((request) => new ColumnBuilder(request, rows.count))
  }

  /** Reads on until all is read, which true tells, or `isOver` says that it is enough for now. */
  read(isOver: () => boolean = () => false): boolean {
    const { count, statsOf, hasVector } = this.#rows
    while (this.#next < count) {
      const row = this.#next++
      const text = statsOf(row)
      const stats = text === null ? null : parse(text)
      let exact: Nested | null = null
      const digits = (): Nested => {
        exact ??= stats === null || text === null ? {} : (parse(quoteNumbers(text)) ?? {})
        return exact
      }
      const wide = hasVector(row)
      for (const column of this.#columns) column.push(row, stats, digits, wide)
      if (row % ROWS_BETWEEN_LOOKS === 0 && isOver()) break
    }
    return this.#next >= count
  }

  /** The columns in the order of the requests; all has been read. */
  finish(): readonly StatisticsColumn[] {
    return this.#columns.map((column) => column.finish())
  }
}

/** What one row's statistics say, in the form in which single values are reasoned about. */
export function factsAt(column: StatisticsColumn, row: number): ColumnFacts {
  const flags = column.flags[row] ?? 0
  return {
    min: (flags & HAS_MIN) === 0 ? null : comparableAt(column, row, 'min'),
    max: (flags & HAS_MAX) === 0 ? null : comparableAt(column, row, 'max'),
    mayBeNull: (flags & MAY_BE_NULL) !== 0,
    mayBeValue: (flags & MAY_BE_VALUE) !== 0,
    exact: (flags & EXACT) !== 0,
  }
}

function comparableAt(
  column: StatisticsColumn,
  row: number,
  side: 'min' | 'max',
): Comparable | null {
  const value = column[side][row] ?? 0
  switch (column.kind) {
    case 'number':
      return { kind: 'number', unscaled: BigInt(value), scale: column.scale }
    case 'double':
      return { kind: 'double', value }
    case 'date':
      return { kind: 'date', days: value }
    case 'timestamp':
    case 'timestamptz':
      return { kind: column.kind, micros: BigInt(value) }
    case 'string':
      return column.texts === null
        ? null
        : { kind: 'string', bytes: textBytes(column.texts, row * 2 + (side === 'min' ? 0 : 1)) }
    default:
      return null
  }
}

/** Bytes the vectors of `column` take. */
export function statisticsBytes(column: StatisticsColumn): number {
  const texts = column.texts === null ? 0 : column.texts.bytes.length + column.texts.ends.byteLength
  return 400 + column.min.byteLength + column.max.byteLength + column.flags.byteLength + texts
}

/** The first six bytes as a number, in which order of numbers is order of texts. */
export function textPrefix(bytes: Uint8Array): number {
  let prefix = 0
  for (let i = 0; i < 6; i++) prefix = prefix * 256 + (bytes[i] ?? 0)
  return prefix
}

/** The greatest double that is not above `value`, or the least that is not below. */
export function roundOutwards(value: bigint, side: 'min' | 'max'): number {
  let rounded = Number(value)
  if (!Number.isFinite(rounded)) return rounded
  // One step too many does no harm, one too few would.
  const step = Math.max(1, Math.abs(rounded) * 2 ** -52)
  if (side === 'min' && BigInt(rounded) > value) rounded -= step
  if (side === 'max' && BigInt(rounded) < value) rounded += step
  return rounded
}

type Nested = { readonly [name: string]: unknown }

class ColumnBuilder {
  readonly #request: StatisticsRequest
  readonly #min: Float64Array
  readonly #max: Float64Array
  readonly #flags: Uint8Array
  readonly #texts: StringHeapBuilder | null
  readonly #scale: number
  readonly #exactType: boolean
  // Whole numbers and short decimals come through JSON.parse unharmed: no second parse for them.
  readonly #plain: 'whole' | 'double' | null
  #kind: Comparable['kind'] | null = null

  constructor(request: StatisticsRequest, count: number) {
    const { type } = request
    this.#request = request
    this.#min = new Float64Array(count)
    this.#max = new Float64Array(count)
    this.#flags = new Uint8Array(count)
    this.#texts =
      type.kind === 'primitive' && type.name === 'string' ? new StringHeapBuilder() : null
    this.#scale = type.kind === 'decimal' ? type.scale : 0
    this.#exactType = type.kind === 'primitive' && EXACT_TYPES.has(type.name)
    this.#plain =
      type.kind !== 'primitive'
        ? null
        : ['byte', 'short', 'integer', 'long'].includes(type.name)
          ? 'whole'
          : type.name === 'double'
            ? 'double'
            : null
  }

  push(row: number, stats: Nested | null, digits: () => Nested, wide: boolean): void {
    let flags = MAY_BE_NULL | MAY_BE_VALUE
    if (stats !== null) {
      const { names } = this.#request
      const nulls = wholeOrNull(lookup(stats.nullCount, names))
      const records = wholeOrNull(stats.numRecords)
      if (nulls === 0) flags &= ~MAY_BE_NULL
      if (nulls !== null && nulls === records) flags &= ~MAY_BE_VALUE
      const low = this.#bound(row, stats, digits, 'min')
      const high = this.#bound(row, stats, digits, 'max')
      if (low !== 'none') flags |= HAS_MIN
      if (high !== 'none') flags |= HAS_MAX
      // With deletion vectors the bounds may be of rows that are gone.
      if (!wide && this.#exactType && low === 'kept' && high === 'kept') flags |= EXACT
    } else {
      this.#texts?.push('')
      this.#texts?.push('')
    }
    this.#flags[row] = flags
  }

  #bound(
    row: number,
    stats: Nested,
    digits: () => Nested,
    side: 'min' | 'max',
  ): 'none' | 'kept' | 'rounded' {
    const to = side === 'min' ? this.#min : this.#max
    const part = side === 'min' ? 'minValues' : 'maxValues'
    const { names, type } = this.#request
    const value = lookup(stats[part], names)
    if (this.#texts !== null) {
      const text = typeof value === 'string' ? parseComparable(value, type, side) : null
      const bytes = text?.kind === 'string' ? text.bytes : null
      this.#texts.pushBytes(bytes ?? new Uint8Array(0))
      if (bytes === null) return 'none'
      this.#kind = 'string'
      to[row] = textPrefix(bytes)
      return 'kept'
    }
    if (typeof value === 'number') {
      if (this.#plain === 'whole' && Number.isInteger(value) && Math.abs(value) < 2 ** 53) {
        this.#kind = 'number'
        to[row] = value
        return 'kept'
      }
      if (this.#plain === 'double') {
        this.#kind = 'double'
        to[row] = value
        return 'kept'
      }
    }
    const text = typeof value === 'number' ? lookup(digits()[part], names) : value
    const parsed = typeof text === 'string' ? parseComparable(text, type, side) : null
    if (parsed === null) return 'none'
    return this.#keep(row, parsed, to, side)
  }

  #keep(
    row: number,
    parsed: Comparable,
    to: Float64Array,
    side: 'min' | 'max',
  ): 'none' | 'kept' | 'rounded' {
    const whole = (value: bigint): 'none' | 'kept' | 'rounded' => {
      const rounded = roundOutwards(value, side)
      if (!Number.isFinite(rounded)) return 'none'
      this.#kind = parsed.kind
      to[row] = rounded
      return Math.abs(rounded) < 2 ** 53 ? 'kept' : 'rounded'
    }
    switch (parsed.kind) {
      case 'number': {
        if (parsed.scale <= this.#scale) {
          return whole(parsed.unscaled * 10n ** BigInt(this.#scale - parsed.scale))
        }
        // More digits than the column has: rounded outwards too.
        const unit = 10n ** BigInt(parsed.scale - this.#scale)
        const below = parsed.unscaled / unit - (parsed.unscaled % unit < 0n ? 1n : 0n)
        if (parsed.unscaled % unit === 0n) return whole(parsed.unscaled / unit)
        const kept = whole(side === 'min' ? below : below + 1n)
        return kept === 'none' ? kept : 'rounded'
      }
      case 'double':
        this.#kind = 'double'
        to[row] = parsed.value
        return 'kept'
      case 'date':
        this.#kind = 'date'
        to[row] = parsed.days
        return 'kept'
      case 'timestamp':
      case 'timestamptz':
        return whole(parsed.micros)
      default:
        return 'none'
    }
  }

  finish(): StatisticsColumn {
    return {
      kind: this.#kind,
      scale: this.#scale,
      min: this.#min,
      max: this.#max,
      flags: this.#flags,
      texts: this.#texts?.finish() ?? null,
    }
  }
}

function parse(text: string): Nested | null {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? (json as Nested) : null
  } catch {
    return null
  }
}

function lookup(values: unknown, names: readonly string[]): unknown {
  let at = values
  for (const name of names) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Nested)[name]
  }
  return at
}

function wholeOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}
