/** ArrowArray: the values of one field in one record batch, in buffers that have been measured. */

import type { ArrowField } from './arrow-schema.js'
import type { FlatTable } from './flat-table.js'

/** Bit i of `validity` is 1 where value i is not null; null when none is. */
interface Measured {
  readonly length: number
  readonly validity: Uint8Array | null
}

/**
 * Values as they lie in the message.
 *
 * Buffers are as long as `length` asks for, offsets rise and end within what they point into; keys of
 * dictionaries, views and texts are yet to be looked at.
 */
export type ArrowArray = Measured &
  (
    | { readonly kind: 'null' }
    | { readonly kind: 'bits'; readonly data: Uint8Array }
    | { readonly kind: 'fixed'; readonly data: Uint8Array }
    | { readonly kind: 'varying'; readonly offsets: Offsets; readonly data: Uint8Array }
    | { readonly kind: 'views'; readonly views: DataView; readonly buffers: readonly Uint8Array[] }
    | { readonly kind: 'list'; readonly offsets: Offsets; readonly child: ArrowArray }
    | { readonly kind: 'struct'; readonly children: readonly ArrowArray[] }
    | { readonly kind: 'dictionary'; readonly keys: Uint8Array; readonly values: ArrowArray }
  )

export type Offsets = Int32Array | Float64Array

/** Rows of a batch are numbered in 32 bits. */
const ROWS_MAX = 2 ** 31 - 1

/** The arrays of a RecordBatch message, field by field. */
export class ArrowArrayReader {
  readonly rowCount: number
  readonly #body: Uint8Array
  readonly #dictionaries: ReadonlyMap<bigint, ArrowArray>
  readonly #nodes: readonly number[]
  readonly #buffers: readonly number[]
  readonly #variadicCounts: readonly number[]
  #node = 0
  #buffer = 0
  #variadic = 0

  /** `body` begins at a multiple of eight bytes. */
  constructor(batch: FlatTable, body: Uint8Array, dictionaries: ReadonlyMap<bigint, ArrowArray>) {
    this.rowCount = batch.size(0)
    this.#body = body
    this.#dictionaries = dictionaries
    this.#nodes = batch.sizes(1, 2)
    this.#buffers = batch.sizes(2, 2)
    this.#variadicCounts = batch.sizes(4)
  }

  /** The next field's values; RangeError when the message does not hold what it says. */
  read(field: ArrowField): ArrowArray {
    const length = this.#nodes[this.#node++]
    const nullCount = this.#nodes[this.#node++]
    if (length === undefined || nullCount === undefined) throw new RangeError('a field is missing')
    if (length > ROWS_MAX) throw new RangeError('a batch has too many rows')
    if (field.layout.kind === 'null' && field.dictionary === undefined) {
      return { kind: 'null', length, validity: new Uint8Array(0) }
    }
    const measured = { length, validity: this.#validity(length, nullCount) }
    if (field.dictionary !== undefined) {
      const keys = this.#atLeast(length * field.dictionary.bytesPerKey)
      const values = this.#dictionaries.get(field.dictionary.id)
      if (values === undefined) throw new RangeError('a dictionary is missing')
      return { kind: 'dictionary', ...measured, keys, values }
    }
    const { layout } = field
    switch (layout.kind) {
      case 'bits':
        return { kind: 'bits', ...measured, data: this.#atLeast(Math.ceil(length / 8)) }
      case 'fixed':
        return { kind: 'fixed', ...measured, data: this.#atLeast(length * layout.bytesPerRow) }
      case 'varying':
      case 'large-varying': {
        const offsets = this.#offsets(length, layout.kind === 'large-varying')
        const data = this.#next()
        requireWithin(offsets, data.length)
        return { kind: 'varying', ...measured, offsets, data }
      }
      case 'views': {
        const bytes = this.#atLeast(length * 16)
        const views = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        const count = this.#variadicCounts[this.#variadic++] ?? 0
        if (this.#buffer / 2 + count > this.#buffers.length / 2) {
          throw new RangeError('a buffer is missing')
        }
        const buffers = Array.from({ length: count }, () => this.#next())
        return { kind: 'views', ...measured, views, buffers }
      }
      case 'list':
      case 'large-list': {
        const offsets = this.#offsets(length, layout.kind === 'large-list')
        const child = this.read(layout.child)
        requireWithin(offsets, child.length)
        return { kind: 'list', ...measured, offsets, child }
      }
      case 'fixed-list': {
        const child = this.read(layout.child)
        if (length * layout.length > child.length) throw new RangeError('a list has no values')
        const offsets = Float64Array.from({ length: length + 1 }, (_, i) => i * layout.length)
        return { kind: 'list', ...measured, offsets, child }
      }
      case 'struct': {
        const children = layout.children.map((child) => this.read(child))
        if (children.some((child) => child.length < length)) {
          throw new RangeError('a struct has no values')
        }
        return { kind: 'struct', ...measured, children }
      }
      case 'null':
        return { kind: 'null', length, validity: new Uint8Array(0) }
    }
  }

  #validity(length: number, nullCount: number): Uint8Array | null {
    const bits = this.#next()
    if (bits.length === 0 && nullCount === 0) return null
    if (bits.length < Math.ceil(length / 8)) throw new RangeError('a buffer is too short')
    return bits
  }

  #offsets(length: number, isLarge: boolean): Offsets {
    const bytes = this.#next()
    // Of no values there need be no offsets.
    if (length === 0) return new Int32Array(1)
    if (bytes.length < (length + 1) * (isLarge ? 8 : 4)) throw new RangeError('offsets are missing')
    const offsets = isLarge
      ? Float64Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, length + 1), Number)
      : new Int32Array(bytes.buffer, bytes.byteOffset, length + 1)
    let before = 0
    for (const offset of offsets) {
      if (offset < before) throw new RangeError('offsets do not rise')
      before = offset
    }
    return offsets
  }

  #atLeast(byteCount: number): Uint8Array {
    const bytes = this.#next()
    if (bytes.length < byteCount) throw new RangeError('a buffer is too short')
    return bytes.subarray(0, byteCount)
  }

  #next(): Uint8Array {
    const offset = this.#buffers[this.#buffer++]
    const length = this.#buffers[this.#buffer++]
    if (offset === undefined || length === undefined) throw new RangeError('a buffer is missing')
    if (offset + length > this.#body.length) throw new RangeError('a buffer leaves the message')
    const bytes = this.#body.subarray(offset, offset + length)
    return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  }
}

function requireWithin(offsets: Offsets, end: number): void {
  if ((offsets.at(-1) ?? 0) > end) throw new RangeError('offsets leave their values')
}

/** Whether value `i` is not null. */
export function isValid({ validity }: Measured, i: number): boolean {
  return validity === null || (((validity[i >> 3] as number) >> (i & 7)) & 1) === 1
}

/** A dictionary with more values behind those it has; undefined for kinds that are not joined. */
export function joined(first: ArrowArray, second: ArrowArray): ArrowArray | undefined {
  if (first.length === 0) return second
  const length = first.length + second.length
  const validity = new Uint8Array(Math.ceil(length / 8))
  for (let i = 0; i < length; i++) {
    const valid = i < first.length ? isValid(first, i) : isValid(second, i - first.length)
    if (valid) validity[i >> 3] = (validity[i >> 3] as number) | (1 << (i & 7))
  }
  if (first.kind === 'varying' && second.kind === 'varying') {
    const end = first.offsets[first.length] ?? 0
    const offsets = Float64Array.from({ length: length + 1 }, (_, i) =>
      i <= first.length
        ? (first.offsets[i] as number)
        : end + (second.offsets[i - first.length] as number),
    )
    const data = Buffer.concat([first.data.subarray(0, end), second.data])
    return { kind: 'varying', length, validity, offsets, data }
  }
  if (first.kind === 'fixed' && second.kind === 'fixed') {
    return { kind: 'fixed', length, validity, data: Buffer.concat([first.data, second.data]) }
  }
  return undefined
}
