/** Copy columns: the fields of one column of a COPY FROM as a vector of the engine. */

import { Oid } from '../catalog/pg-types.js'
import type { CopyInColumn, OutputStyle } from '../planner/result.js'
import { BATCH_ROWS, type BatchColumn, INLINE_BYTES } from '../storage/column-batch.js'
import { decimalBytes } from '../storage/engine.js'
import type { EngineType } from '../storage/engine-type.js'
import type { IntervalValue, Scalar, TimeTzValue } from '../storage/engine-value.js'
import { assert, SqlError } from '../storage/errors.js'
import { type CopyFields, DEFAULT_FIELD, FIELD_STRIDE } from './copy-fields.js'
import { valueOfBinary, valueOfText } from './copy-value.js'
import { invalidUtf8 } from './copy-text.js'
import { daysOf } from '../planner/civil-date.js'
import { Zone } from '../planner/zone.js'
import { EPOCH_DAYS, EPOCH_MICROS } from './value-binary.js'

/** Heaps of a batch: bytes as they came, bytes whose escapes were resolved, bytes made here. */
export const RAW_HEAP = 0
export const RESOLVED_HEAP = 1
export const MADE_HEAP = 2

/** Bytes of values that lie nowhere in the input. */
export class MadeBytes {
  #bytes: Uint8Array = new Uint8Array(4096)
  #end = 0

  /** Appends, and answers where the bytes begin. */
  add(bytes: Uint8Array): number {
    const start = this.#end
    if (start + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, start + bytes.length))
      grown.set(this.#bytes.subarray(0, start))
      this.#bytes = grown
    }
    this.#bytes.set(bytes, start)
    this.#end = start + bytes.length
    return start
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end)
  }

  clear(): void {
    this.#end = 0
  }
}

/** What the vectors of all columns are made with. */
export interface ColumnContext {
  readonly style: OutputStyle
  readonly binary: boolean
  readonly made: MadeBytes
  /** Where the raw heap of the batch begins in the bytes. */
  rawStart: number
}

/** A field that is no value of its column. */
export interface FieldFailure {
  readonly row: number
  readonly error: SqlError
}

type FixedArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array
  | Uint32Array
  | Uint8Array

/**
 * Decodes the fields of one column, vector by vector.
 *
 * The usual spellings are read straight from the bytes; everything else is left to the input
 * functions of copy-value.ts, which know all of PostgreSQL's spellings and errors.
 */
export abstract class ColumnDecoder {
  protected readonly column: CopyInColumn
  protected readonly context: ColumnContext
  protected readonly validity: Uint8Array = new Uint8Array(BATCH_ROWS / 8)
  protected hasNulls = false
  /** The row at hand when a value is read the slow way, for its error. */
  protected row = 0
  protected readonly base: number
  #failed: FieldFailure | null = null

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    this.column = column
    this.context = context
    this.base = index * FIELD_STRIDE
  }

  /** Begins a new vector. */
  begin(): void {
    this.validity.fill(0xff)
    this.hasNulls = false
  }

  /** Reads rows `from` to `to`; answers the first that is no value, or null. */
  decode(fields: CopyFields, from: number, to: number): FieldFailure | null {
    this.#failed = null
    try {
      this.read(fields, from, to)
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown
      this.#failed = { row: this.row, error: thrown }
    }
    return this.#failed
  }

  /** Where and in which row `read` throws, `row` says. */
  protected abstract read(fields: CopyFields, from: number, to: number): void

  abstract vector(rowCount: number): BatchColumn

  protected setNull(row: number): void {
    this.hasNulls = true
    const at = row >> 3
    this.validity[at] = (this.validity[at] as number) & ~(1 << (row & 7))
  }

  protected get validityOrNull(): Uint8Array | null {
    return this.hasNulls ? this.validity : null
  }

  /** The value of a field by the input functions. */
  protected slow(fields: CopyFields, row: number, start: number, end: number): Scalar {
    this.row = row
    const bytes = fields.bytes.subarray(start, end)
    return this.context.binary
      ? valueOfBinary(bytes, this.column, this.context.style)
      : valueOfText(bytes, this.column, this.context.style)
  }
}

abstract class FixedDecoder extends ColumnDecoder {
  protected abstract readonly data: FixedArray
  protected abstract readonly bytesPerRow: number

  vector(): BatchColumn {
    const { buffer, byteOffset, byteLength } = this.data
    return {
      kind: 'fixed',
      validity: this.validityOrNull,
      data: new Uint8Array(buffer, byteOffset, byteLength),
      bytesPerRow: this.bytesPerRow,
    }
  }
}

/** smallint, integer. */
class IntegerDecoder extends FixedDecoder {
  protected readonly data: Int16Array | Int32Array
  protected readonly bytesPerRow: number
  readonly #min: number
  readonly #max: number

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    super(column, index, context)
    const small = column.pgType.oid === Oid.int2
    this.data = small ? new Int16Array(BATCH_ROWS) : new Int32Array(BATCH_ROWS)
    this.bytesPerRow = small ? 2 : 4
    this.#max = small ? 32_767 : 2_147_483_647
    this.#min = -this.#max - 1
  }

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { data, base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      if (binary) {
        if (end - start !== this.bytesPerRow)
          data[row] = this.slow(fields, row, start, end) as number
        else
          data[row] = this.bytesPerRow === 4 ? int32At(bytes, start) : int32At(bytes, start) >> 16
        continue
      }
      const value = wholeNumber(bytes, start, end)
      data[row] =
        value >= this.#min && value <= this.#max
          ? value
          : (this.slow(fields, row, start, end) as number)
    }
  }
}

/** bigint, and everything of eight bytes: values as two halves. */
abstract class WideDecoder extends FixedDecoder {
  protected readonly data: Uint32Array = new Uint32Array(BATCH_ROWS * 2)
  protected readonly bytesPerRow = 8
  readonly #wide = new BigInt64Array(this.data.buffer)

  /** `value` is a whole number that a double holds exactly. */
  protected put(row: number, value: number): void {
    this.data[row * 2] = value
    this.data[row * 2 + 1] = Math.floor(value / 4_294_967_296)
  }

  protected putWide(row: number, value: bigint): void {
    this.#wide[row] = value
  }
}

class BigintDecoder extends WideDecoder {
  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { data, base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      if (binary && end - start === 8) {
        data[row * 2 + 1] = int32At(bytes, start)
        data[row * 2] = int32At(bytes, start + 4)
        continue
      }
      const value = binary ? Number.NaN : wholeNumber(bytes, start, end)
      if (Number.isNaN(value)) {
        this.putWide(row, BigInt(this.slow(fields, row, start, end) as bigint))
      } else this.put(row, value)
    }
  }
}

/** real, double precision. */
class FloatDecoder extends FixedDecoder {
  protected readonly data: Float32Array | Float64Array
  protected readonly bytesPerRow: number
  readonly #single: boolean

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    super(column, index, context)
    this.#single = column.pgType.oid === Oid.float4
    this.data = this.#single ? new Float32Array(BATCH_ROWS) : new Float64Array(BATCH_ROWS)
    this.bytesPerRow = this.#single ? 4 : 8
  }

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { data, base } = this
    const { binary } = this.context
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      if (binary && end - start === this.bytesPerRow) {
        data[row] = this.#single ? view.getFloat32(start) : view.getFloat64(start)
        continue
      }
      const value = binary ? Number.NaN : shortDecimal(bytes, start, end)
      data[row] = Number.isNaN(value) ? (this.slow(fields, row, start, end) as number) : value
    }
  }
}

const POWERS: readonly number[] = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

/** numeric(p, s). */
class NumericDecoder extends FixedDecoder {
  protected readonly data: Int16Array | Int32Array | Uint32Array
  protected readonly bytesPerRow: 2 | 4 | 8 | 16
  readonly #wide: BigInt64Array
  readonly #scale: number
  readonly #limit: number

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    super(column, index, context)
    const type = column.engineType
    assert(type.kind === 'decimal', 'a numeric is a decimal')
    this.#scale = type.scale
    this.#limit = type.width > 15 ? 1e15 : 10 ** type.width
    this.bytesPerRow = decimalBytes(type.width)
    const bytes = new ArrayBuffer(BATCH_ROWS * Math.max(8, this.bytesPerRow))
    this.data =
      this.bytesPerRow === 2
        ? new Int16Array(bytes)
        : this.bytesPerRow === 4
          ? new Int32Array(bytes)
          : new Uint32Array(bytes)
    this.#wide = new BigInt64Array(bytes)
  }

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      const value = binary
        ? this.#binary(bytes, start, end)
        : scaledNumber(bytes, start, end, this.#scale)
      if (value < this.#limit && value > -this.#limit) this.#put(row, value)
      else this.#putWide(row, this.slow(fields, row, start, end) as bigint)
    }
  }

  /** The digits of a binary numeric up to the column's scale; NaN when it takes a closer look. */
  #binary(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < 8) return Number.NaN
    const head = int32At(bytes, start)
    const count = head >> 16
    const weight = (head << 16) >> 16
    const tail = int32At(bytes, start + 4)
    const sign = tail >>> 16
    const places = (count - 1 - weight) * 4
    if (
      end - start !== 8 + count * 2 ||
      count < 0 ||
      count > 3 ||
      (sign !== 0 && sign !== 0x4000) ||
      places < 0 ||
      places > 8 ||
      (tail & 0xffff) > this.#scale
    ) {
      return Number.NaN
    }
    let digits = 0
    for (let i = 0; i < count; i++) {
      const digit =
        ((bytes[start + 8 + i * 2] as number) << 8) | (bytes[start + 9 + i * 2] as number)
      if (digit > 9999) return Number.NaN
      digits = digits * 10_000 + digit
    }
    const shift = this.#scale - places
    const value =
      shift >= 0 ? digits * (POWERS[shift] ?? Number.NaN) : digits / (POWERS[-shift] as number)
    if (!Number.isSafeInteger(value)) return Number.NaN
    return sign === 0 ? value : -value
  }

  #put(row: number, value: number): void {
    switch (this.bytesPerRow) {
      case 2:
      case 4:
        this.data[row] = value
        return
      case 8:
        this.data[row * 2] = value
        this.data[row * 2 + 1] = Math.floor(value / 4_294_967_296)
        return
      case 16:
        this.data[row * 4] = value
        this.data[row * 4 + 1] = Math.floor(value / 4_294_967_296)
        this.data[row * 4 + 2] = value < 0 ? 0xffff_ffff : 0
        this.data[row * 4 + 3] = value < 0 ? 0xffff_ffff : 0
    }
  }

  #putWide(row: number, value: bigint): void {
    switch (this.bytesPerRow) {
      case 2:
      case 4:
        this.data[row] = Number(value)
        return
      case 8:
        this.#wide[row] = value
        return
      case 16:
        this.#wide[row * 2] = BigInt.asIntN(64, value)
        this.#wide[row * 2 + 1] = value >> 64n
    }
  }
}

class BooleanDecoder extends FixedDecoder {
  protected readonly data: Uint8Array = new Uint8Array(BATCH_ROWS)
  protected readonly bytesPerRow = 1

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { data, base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      const byte = end - start === 1 ? (bytes[start] as number) : 0
      if (binary && end - start === 1) data[row] = byte === 0 ? 0 : 1
      else if (byte === 0x74) data[row] = 1
      else if (byte === 0x66) data[row] = 0
      else data[row] = this.slow(fields, row, start, end) === true ? 1 : 0
    }
  }
}

class DateDecoder extends FixedDecoder {
  protected readonly data: Int32Array = new Int32Array(BATCH_ROWS)
  protected readonly bytesPerRow = 4

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { data, base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      let days = Number.NaN
      if (!binary) {
        if (end - start === 10) days = isoDays(bytes, start)
      } else if (end - start === 4) {
        const counted = int32At(bytes, start)
        if (Math.abs(counted) < 730_000) days = counted + EPOCH_DAYS
      }
      data[row] = Number.isNaN(days) ? (this.slow(fields, row, start, end) as number) : days
    }
  }
}

/** timestamp, timestamptz. */
class TimestampDecoder extends WideDecoder {
  readonly #zoned: boolean
  /** The session's; null where local times are UTC. */
  readonly #zone: Zone | null
  /** Whether the text at hand has told no zone where it should have one. */
  #isLocal = false

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    super(column, index, context)
    this.#zoned = column.pgType.oid === Oid.timestamptz
    const { timeZone } = context.style
    this.#zone = !this.#zoned || /^(?:UTC|GMT)$/i.test(timeZone) ? null : new Zone(timeZone)
  }

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends } = fields
    const { base } = this
    const { binary } = this.context
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        continue
      }
      const end = ends[base + row] as number
      const micros = binary ? binaryMicros(bytes, start, end) : this.#iso(bytes, start, end)
      if (Number.isSafeInteger(micros)) {
        if (this.#zone === null || !this.#isLocal) this.put(row, micros)
        else this.putWide(row, this.#zone.utcMicros(BigInt(micros)))
      } else this.putWide(row, this.slow(fields, row, start, end) as bigint)
    }
  }

  /** Microseconds of `YYYY-MM-DD HH:MM:SS[.ffffff][±HH[:MM]]`; NaN for every other spelling. */
  #iso(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < 19) return Number.NaN
    const days = isoDays(bytes, start)
    const between = bytes[start + 10]
    if (
      (between !== 0x20 && between !== 0x54) ||
      bytes[start + 13] !== 0x3a ||
      bytes[start + 16] !== 0x3a
    ) {
      return Number.NaN
    }
    const hours = twoDigits(bytes, start + 11)
    const minutes = twoDigits(bytes, start + 14)
    const seconds = twoDigits(bytes, start + 17)
    if (hours > 23 || minutes > 59 || seconds > 59) return Number.NaN
    let at = start + 19
    let fraction = 0
    if (at < end && bytes[at] === 0x2e) {
      at++
      let digits = 0
      for (; at < end && digits < 6; at++, digits++) {
        const digit = (bytes[at] as number) - 0x30
        if (digit < 0 || digit > 9) break
        fraction = fraction * 10 + digit
      }
      fraction *= POWERS[6 - digits] as number
    }
    let offset = 0
    this.#isLocal = at >= end
    if (at < end) {
      const sign = bytes[at]
      if (!this.#zoned || (sign !== 0x2b && sign !== 0x2d)) return Number.NaN
      const size = end - at
      if (size !== 3 && size !== 6) return Number.NaN
      offset = twoDigits(bytes, at + 1) * 60
      if (size === 6) {
        if (bytes[at + 3] !== 0x3a) return Number.NaN
        const more = twoDigits(bytes, at + 4)
        if (more > 59) return Number.NaN
        offset += more
      }
      if (offset > 15 * 60 + 59) return Number.NaN
      if (sign === 0x2d) offset = -offset
    }
    return (days * 86_400 + hours * 3600 + (minutes - offset) * 60 + seconds) * 1_000_000 + fraction
  }
}

/** text, and varchar and bytea where their bytes are the value. */
class BytesDecoder extends ColumnDecoder {
  readonly #entries = new Uint8Array(BATCH_ROWS * 16)
  readonly #words = new Uint32Array(this.#entries.buffer)
  /** The field's bytes are the value, as long as they are no more than this. */
  readonly #plainBytes: number
  /** Nobody has seen yet that the bytes are text. */
  readonly #unchecked: boolean

  constructor(column: CopyInColumn, index: number, context: ColumnContext) {
    super(column, index, context)
    const { oid, typmod } = column.pgType
    const isText = oid === Oid.text || oid === Oid.varchar || oid === Oid.name
    const isPlain = isText || (oid === Oid.bytea && context.binary)
    if (oid === Oid.varchar && typmod >= 4) this.#plainBytes = typmod - 4
    else this.#plainBytes = isPlain ? Number.POSITIVE_INFINITY : -1
    this.#unchecked = isText && context.binary
  }

  protected read(fields: CopyFields, from: number, to: number): void {
    const { bytes, starts, ends, capacity } = fields
    const { base } = this
    const { rawStart, made } = this.context
    const entries = this.#entries
    const words = this.#words
    for (let row = from; row < to; row++) {
      const start = starts[base + row] as number
      if (start < 0) {
        this.setNull(row)
        words[row * 4] = 0
        continue
      }
      const end = ends[base + row] as number
      const length = end - start
      if (this.#unchecked && !isPlainAscii(bytes, start, end)) {
        const invalid = invalidUtf8(bytes, start, end)
        if (invalid !== null) {
          this.row = row
          throw invalid
        }
      }
      if (length <= this.#plainBytes) {
        writeEntry(
          entries,
          words,
          row,
          bytes,
          start,
          length,
          start >= capacity ? start - capacity : start - rawStart,
          start >= capacity ? RESOLVED_HEAP : RAW_HEAP,
        )
      } else {
        const value = bytesOf(this.slow(fields, row, start, end))
        const at = value.length > INLINE_BYTES ? made.add(value) : 0
        writeEntry(entries, words, row, value, 0, value.length, at, MADE_HEAP)
      }
    }
  }

  vector(): BatchColumn {
    return { kind: 'bytes', validity: this.validityOrNull, entries: this.#entries }
  }
}

/** Whether there are only characters of one byte, as in most short texts. */
function isPlainAscii(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 64) return false
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte > 0x7f || byte === 0) return false
  }
  return true
}

function bytesOf(value: Scalar): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : (value as Uint8Array)
}

function writeEntry(
  entries: Uint8Array,
  words: Uint32Array,
  row: number,
  bytes: Uint8Array,
  start: number,
  length: number,
  offset: number,
  heap: number,
): void {
  const at = row * 16 + 4
  words[row * 4] = length
  if (length <= INLINE_BYTES) {
    words[row * 4 + 1] = 0
    words[row * 4 + 2] = 0
    words[row * 4 + 3] = 0
    for (let i = 0; i < length; i++) entries[at + i] = bytes[start + i] as number
    return
  }
  for (let i = 0; i < 4; i++) entries[at + i] = bytes[start + i] as number
  words[row * 4 + 2] = offset
  words[row * 4 + 3] = heap
}

/** Every other type: values one by one, then a vector of them. */
class ValueDecoder extends ColumnDecoder {
  readonly #values: Scalar[] = new Array<Scalar>(BATCH_ROWS).fill(null)

  protected read(fields: CopyFields, from: number, to: number): void {
    const { starts, ends } = fields
    for (let row = from; row < to; row++) {
      const start = starts[this.base + row] as number
      this.#values[row] =
        start < 0 ? null : this.slow(fields, row, start, ends[this.base + row] as number)
    }
  }

  vector(rowCount: number): BatchColumn {
    return vectorOf(this.#values.slice(0, rowCount), this.column.engineType, this.context.made)
  }
}

/** Values in the JavaScript form of `type` as a vector. */
function vectorOf(values: readonly Scalar[], type: EngineType, made: MadeBytes): BatchColumn {
  const count = values.length
  const validity = new Uint8Array(Math.ceil(Math.max(1, count) / 64) * 8).fill(0xff)
  for (const [row, value] of values.entries()) {
    if (value === null) validity[row >> 3] = (validity[row >> 3] as number) & ~(1 << (row & 7))
  }
  if (type.kind === 'list') {
    const entries = new BigUint64Array(Math.max(1, count) * 2)
    const items: Scalar[] = []
    for (const [row, value] of values.entries()) {
      const list = (value ?? []) as readonly Scalar[]
      entries[row * 2] = BigInt(items.length)
      entries[row * 2 + 1] = BigInt(list.length)
      for (const item of list) items.push(item)
    }
    return {
      kind: 'list',
      validity,
      entries: new Uint8Array(entries.buffer),
      child: vectorOf(items, type.child, made),
      childCount: items.length,
    }
  }
  const first = values.find((value) => value !== null)
  if (isBytes(type)) {
    const entries = new Uint8Array(Math.max(1, count) * 16)
    const words = new Uint32Array(entries.buffer)
    for (const [row, value] of values.entries()) {
      if (value === null) continue
      const bytes = bytesOf(value)
      const at = bytes.length > INLINE_BYTES ? made.add(bytes) : 0
      writeEntry(entries, words, row, bytes, 0, bytes.length, at, MADE_HEAP)
    }
    return { kind: 'bytes', validity, entries }
  }
  const bytesPerRow = widthOf(type)
  const data = new Uint8Array(Math.max(1, count) * bytesPerRow)
  const view = new DataView(data.buffer)
  if (first !== undefined) {
    for (const [row, value] of values.entries()) {
      if (value !== null) writeFixed(view, row * bytesPerRow, value, type)
    }
  }
  return { kind: 'fixed', validity, data, bytesPerRow }
}

function isBytes(type: EngineType): boolean {
  return type.kind === 'scalar' && (type.name === 'VARCHAR' || type.name === 'BLOB')
}

function widthOf(type: EngineType): number {
  if (type.kind === 'decimal') return decimalBytes(type.width)
  assert(type.kind === 'scalar', 'no nested type but lists is copied')
  switch (type.name) {
    case 'BOOLEAN':
    case 'TINYINT':
      return 1
    case 'SMALLINT':
      return 2
    case 'INTEGER':
    case 'UINTEGER':
    case 'FLOAT':
    case 'DATE':
      return 4
    case 'INTERVAL':
    case 'UUID':
      return 16
    default:
      return 8
  }
}

function writeFixed(
  view: DataView,
  at: number,
  value: Exclude<Scalar, null>,
  type: EngineType,
): void {
  if (type.kind === 'decimal') {
    writeInteger(view, at, value as bigint, decimalBytes(type.width))
    return
  }
  assert(type.kind === 'scalar', 'no nested type but lists is copied')
  switch (type.name) {
    case 'BOOLEAN':
      view.setUint8(at, value === true ? 1 : 0)
      return
    case 'FLOAT':
      view.setFloat32(at, value as number, true)
      return
    case 'DOUBLE':
      view.setFloat64(at, value as number, true)
      return
    case 'INTERVAL': {
      const { months, days, micros } = value as IntervalValue
      view.setInt32(at, months, true)
      view.setInt32(at + 4, days, true)
      view.setBigInt64(at + 8, micros, true)
      return
    }
    case 'TIMETZ': {
      const { micros, offsetSeconds } = value as TimeTzValue
      // DuckDB counts the zone downwards from its easternmost, so that times sort.
      const zone = BigInt(16 * 60 * 60 - 1 - offsetSeconds)
      view.setBigUint64(at, (micros << 24n) | zone, true)
      return
    }
    case 'UUID': {
      const bits = BigInt(`0x${(value as string).replaceAll('-', '')}`)
      view.setBigUint64(at, BigInt.asUintN(64, bits), true)
      // The top bit is flipped, so that UUIDs sort as signed numbers.
      view.setBigUint64(at + 8, (bits >> 64n) ^ (1n << 63n), true)
      return
    }
    default:
      writeInteger(view, at, BigInt(value as number), widthOf(type) as 1 | 2 | 4 | 8)
  }
}

function writeInteger(view: DataView, at: number, value: bigint, bytes: 1 | 2 | 4 | 8 | 16): void {
  switch (bytes) {
    case 1:
      view.setInt8(at, Number(value))
      return
    case 2:
      view.setInt16(at, Number(value), true)
      return
    case 4:
      view.setUint32(at, Number(BigInt.asUintN(32, value)), true)
      return
    case 8:
      view.setBigInt64(at, value, true)
      return
    case 16:
      view.setBigUint64(at, BigInt.asUintN(64, value), true)
      view.setBigInt64(at + 8, value >> 64n, true)
  }
}

/** The decoder of the column at `index` of the fields. */
export function columnDecoder(
  column: CopyInColumn,
  index: number,
  context: ColumnContext,
): ColumnDecoder {
  const { engineType: type } = column
  const name = type.kind === 'scalar' ? type.name : undefined
  switch (column.pgType.oid) {
    case Oid.int2:
    case Oid.int4:
      return new IntegerDecoder(column, index, context)
    case Oid.int8:
      return new BigintDecoder(column, index, context)
    case Oid.float4:
    case Oid.float8:
      return new FloatDecoder(column, index, context)
    case Oid.numeric:
      return new NumericDecoder(column, index, context)
    case Oid.bool:
      return new BooleanDecoder(column, index, context)
    case Oid.date:
      return new DateDecoder(column, index, context)
    case Oid.timestamp:
    case Oid.timestamptz:
      return new TimestampDecoder(column, index, context)
    default:
      return name === 'VARCHAR' || name === 'BLOB'
        ? new BytesDecoder(column, index, context)
        : new ValueDecoder(column, index, context)
  }
}

/** A BOOLEAN that says where the field at `index` is the column's default. */
export function defaultVector(fields: CopyFields, index: number): BatchColumn {
  const data = new Uint8Array(BATCH_ROWS)
  const base = index * FIELD_STRIDE
  for (let row = 0; row < fields.rowCount; row++) {
    data[row] = fields.starts[base + row] === DEFAULT_FIELD ? 1 : 0
  }
  return { kind: 'fixed', validity: null, data, bytesPerRow: 1 }
}

/** The lines of the rows as BIGINT. */
export function lineVector(fields: CopyFields): BatchColumn {
  const lines = new BigInt64Array(BATCH_ROWS)
  for (let row = 0; row < fields.rowCount; row++) lines[row] = BigInt(fields.lines[row] as number)
  return { kind: 'fixed', validity: null, data: new Uint8Array(lines.buffer), bytesPerRow: 8 }
}

function int32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/** Up to 15 digits with a sign; NaN for every other spelling. */
function wholeNumber(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const negative = bytes[at] === 0x2d
  if (negative) at++
  if (at >= end || end - at > 15) return Number.NaN
  let value = 0
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return negative ? 0 - value : value
}

/** The digits of a short decimal number moved by `scale`; NaN when they take a closer look. */
function scaledNumber(bytes: Uint8Array, start: number, end: number, scale: number): number {
  let at = start
  const negative = bytes[at] === 0x2d
  if (negative) at++
  if (at >= end || end - at > 16) return Number.NaN
  let value = 0
  let point = -1
  let digits = 0
  for (; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 0x2e && point < 0) {
      point = at
      continue
    }
    const digit = byte - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
    digits++
  }
  const places = point < 0 ? 0 : end - 1 - point
  const missing = scale - places
  if (digits === 0 || missing < 0 || digits + missing > 15) return Number.NaN
  const scaled = value * (POWERS[missing] as number)
  return negative ? 0 - scaled : scaled
}

/**
 * A decimal number of so few digits that one division gives the nearest double; NaN for others.
 *
 * Digits below 2^53 and powers of ten up to 10^22 are exact, so their quotient is rounded once.
 */
function shortDecimal(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const negative = bytes[at] === 0x2d
  if (negative) at++
  if (at >= end || end - at > 16) return Number.NaN
  let value = 0
  let point = -1
  let digits = 0
  for (; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 0x2e && point < 0) {
      point = at
      continue
    }
    const digit = byte - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
    digits++
  }
  if (digits === 0 || digits > 15) return Number.NaN
  const size = point < 0 ? value : value / (POWERS[end - 1 - point] as number)
  return negative ? -size : size
}

/** Microseconds since 1970 of a binary timestamp of some centuries around; NaN for others. */
function binaryMicros(bytes: Uint8Array, start: number, end: number): number {
  const high = int32At(bytes, start)
  if (end - start !== 8 || high < -1_000_000 || high > 1_000_000) return Number.NaN
  return high * 4_294_967_296 + (int32At(bytes, start + 4) >>> 0) + EPOCH_MICROS_NUMBER
}

const EPOCH_MICROS_NUMBER = Number(EPOCH_MICROS)

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - 0x30
  const ones = (bytes[at + 1] as number) - 0x30
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? Number.NaN : tens * 10 + ones
}

/** Days of `YYYY-MM-DD`; NaN for every other spelling and for days that are none. */
function isoDays(bytes: Uint8Array, start: number): number {
  if (bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d) return Number.NaN
  const year = twoDigits(bytes, start) * 100 + twoDigits(bytes, start + 2)
  const month = twoDigits(bytes, start + 5)
  const day = twoDigits(bytes, start + 8)
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) {
    return lateDays(year, month, day)
  }
  return daysOf(year, month, day)
}

/** The days of a month that not every month has. */
function lateDays(year: number, month: number, day: number): number {
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN
  const days = daysOf(year, month, day)
  const next = month === 12 ? daysOf(year + 1, 1, 1) : daysOf(year, month + 1, 1)
  return days < next ? days : Number.NaN
}
