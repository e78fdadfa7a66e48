/** ArrowBatch: Arrow's arrays as the engine's vectors. */

import { isUtf8 } from 'node:buffer'
import { type ArrowArray, isValid } from './arrow-array.js'
import type { ArrowField } from './arrow-schema.js'
import {
  BATCH_ROWS,
  type BatchColumn,
  type ColumnBatch,
  ENTRY_BYTES,
  INLINE_BYTES,
} from './column-batch.js'
import { SqlError, SqlState } from './errors.js'

/** A record batch: an array for each field. */
export interface ArrowBatch {
  readonly rowCount: number
  readonly arrays: readonly ArrowArray[]
}

/** Bytes of long texts of a column, and elements of its lists, that the engine is given at once. */
const COLUMN_MAX = 64 * 1024 * 1024

/** Rows that a field's values are taken from; -1 for one that is null above. */
type Rows = Int32Array

/** Told when a batch would be larger than COLUMN_MAX. */
class TooLarge extends Error {}

/**
 * The rows of a record batch.
 *
 * 22021 for texts that are no UTF-8, 22003 and 22008 for numbers and times beyond their types, 22P04
 * for keys of dictionaries and maps that are none, 54000 for a row that is too large.
 */
export function* columnBatches(
  fields: readonly ArrowField[],
  { rowCount, arrays }: ArrowBatch,
): Generator<ColumnBatch> {
  const made = function* (from: number, count: number): Generator<ColumnBatch> {
    const rows = Int32Array.from({ length: count }, (_, i) => from + i)
    const heaps: Uint8Array[] = []
    let batch: ColumnBatch
    try {
      const columns = fields.map((field, i) => column(field, arrays[i] as ArrowArray, rows, heaps))
      batch = { rowCount: count, columns, heaps }
    } catch (thrown) {
      if (!(thrown instanceof TooLarge)) throw thrown
      if (count === 1) throw new SqlError(SqlState.programLimitExceeded, 'COPY row is too large')
      const half = count >> 1
      yield* made(from, half)
      yield* made(from + half, count - half)
      return
    }
    yield batch
  }
  for (let from = 0; from < rowCount; from += BATCH_ROWS) {
    yield* made(from, Math.min(BATCH_ROWS, rowCount - from))
  }
}

function column(
  field: ArrowField,
  array: ArrowArray,
  rows: Rows,
  heaps: Uint8Array[],
): BatchColumn {
  if (array.kind === 'dictionary') {
    const { dictionary: _, ...values } = field
    return column(values, array.values, dictionaryRows(field, array, rows), heaps)
  }
  const validity = validityOf(array, rows)
  switch (array.kind) {
    case 'null':
      return { kind: 'fixed', validity, data: new Uint8Array(rows.length), bytesPerRow: 1 }
    case 'bits': {
      const data = new Uint8Array(rows.length)
      for (const [i, row] of rows.entries()) {
        if (row >= 0) data[i] = ((array.data[row >> 3] as number) >> (row & 7)) & 1
      }
      return { kind: 'fixed', validity, data, bytesPerRow: 1 }
    }
    case 'fixed':
      return fixed(field, array, rows, validity, heaps)
    case 'varying': {
      const { offsets, data } = array
      const bytesAt = (row: number): Uint8Array =>
        data.subarray(offsets[row] as number, offsets[row + 1] as number)
      return bytes(field, array, rows, validity, bytesAt, heaps)
    }
    case 'views':
      return bytes(field, array, rows, validity, (row) => viewed(array, row), heaps)
    case 'list':
      return list(field, array, rows, validity, heaps)
    case 'struct': {
      const { layout } = field
      if (layout.kind !== 'struct') throw new RangeError('a struct has other values')
      const inner = rows.map((row) => (row >= 0 && isValid(array, row) ? row : -1))
      const children = layout.children.map((child, i) =>
        column(child, array.children[i] as ArrowArray, inner, heaps),
      )
      return { kind: 'struct', validity, children }
    }
  }
}

function validityOf(array: ArrowArray, rows: Rows): Uint8Array | null {
  const bits = new Uint8Array(Math.ceil(rows.length / 64) * 8)
  let nulls = 0
  for (const [i, row] of rows.entries()) {
    if (row >= 0 && isValid(array, row)) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7))
    else nulls++
  }
  return nulls === 0 ? null : bits
}

function dictionaryRows(
  { dictionary }: ArrowField,
  array: ArrowArray & { readonly kind: 'dictionary' },
  rows: Rows,
): Rows {
  const { bytesPerKey = 4, isSigned = true } = dictionary ?? {}
  const view = viewOf(array.keys)
  return rows.map((row) => {
    if (row < 0 || !isValid(array, row)) return -1
    const key = integerAt(view, row * bytesPerKey, bytesPerKey, isSigned)
    if (key < 0 || key >= array.values.length) throw badFormat('a key is not in its dictionary')
    return Number(key)
  })
}

function integerAt(
  view: DataView,
  at: number,
  bytesPerRow: number,
  isSigned: boolean,
): number | bigint {
  switch (bytesPerRow) {
    case 1:
      return isSigned ? view.getInt8(at) : view.getUint8(at)
    case 2:
      return isSigned ? view.getInt16(at, true) : view.getUint16(at, true)
    case 4:
      return isSigned ? view.getInt32(at, true) : view.getUint32(at, true)
    default:
      return isSigned ? view.getBigInt64(at, true) : view.getBigUint64(at, true)
  }
}

function fixed(
  field: ArrowField,
  array: ArrowArray & { readonly kind: 'fixed' },
  rows: Rows,
  validity: Uint8Array | null,
  heaps: Uint8Array[],
): BatchColumn {
  const { conversion, layout } = field
  if (layout.kind !== 'fixed') throw new RangeError('a field has other values')
  const { bytesPerRow: from } = layout
  if (conversion.kind === 'fixed-bytes') {
    const bytesAt = (row: number): Uint8Array => array.data.subarray(row * from, row * from + from)
    return bytes(field, array, rows, validity, bytesAt, heaps)
  }
  const source = viewOf(array.data)
  const made = (
    bytesPerRow: number,
    write: (to: DataView, at: number, row: number) => void,
  ): BatchColumn => {
    const data = new Uint8Array(rows.length * bytesPerRow)
    const to = viewOf(data)
    for (const [i, row] of rows.entries()) {
      if (row >= 0 && isValid(array, row)) write(to, i * bytesPerRow, row * from)
    }
    return { kind: 'fixed', validity, data, bytesPerRow }
  }
  switch (conversion.kind) {
    case 'half':
      return made(4, (to, at, row) =>
        to.setFloat32(at, halfFloat(source.getUint16(row, true)), true),
      )
    case 'decimal': {
      const limit = 10n ** BigInt(conversion.precision)
      const bytesPerRow = decimalBytes(conversion.precision)
      return made(bytesPerRow, (to, at, row) => {
        const value = wideInteger(source, row, from)
        if (value >= limit || value <= -limit) {
          throw outOfRange(SqlState.numericValueOutOfRange, 'numeric field overflow', field)
        }
        for (let byte = 0; byte < bytesPerRow; byte += 2) {
          to.setInt16(at + byte, Number(BigInt.asIntN(16, value >> BigInt(byte * 8))), true)
        }
      })
    }
    case 'scaled': {
      const { multiplier, divisor, bytesPerRow } = conversion
      return made(bytesPerRow, (to, at, row) => {
        const value = BigInt(integerAt(source, row, from, true)) * multiplier
        const quotient = value / divisor - (value % divisor < 0n ? 1n : 0n)
        if (BigInt.asIntN(bytesPerRow * 8, quotient) !== quotient) throw outOfTime(field)
        requireTime(field, quotient)
        if (bytesPerRow === 4) to.setInt32(at, Number(quotient), true)
        else to.setBigInt64(at, quotient, true)
      })
    }
    default:
      if (isTime(field)) {
        return made(8, (to, at, row) => {
          requireTime(field, source.getBigInt64(row, true))
          to.setBigInt64(at, source.getBigInt64(row, true), true)
        })
      }
      return { kind: 'fixed', validity, data: taken(array.data, rows, from), bytesPerRow: from }
  }
}

function isTime({ type }: ArrowField): boolean {
  return type.kind === 'scalar' && type.name === 'TIME'
}

function requireTime(field: ArrowField, microseconds: bigint): void {
  if (isTime(field) && (microseconds < 0n || microseconds > 86_400_000_000n)) throw outOfTime(field)
}

/** The values of `rows` one after the other. */
function taken(data: Uint8Array, rows: Rows, bytesPerRow: number): Uint8Array {
  const [first = 0] = rows
  if (rows.every((row, i) => row === first + i && row >= 0)) {
    return data.slice(first * bytesPerRow, (first + rows.length) * bytesPerRow)
  }
  const made = new Uint8Array(rows.length * bytesPerRow)
  for (const [i, row] of rows.entries()) {
    if (row < 0) continue
    for (let byte = 0; byte < bytesPerRow; byte++) {
      made[i * bytesPerRow + byte] = data[row * bytesPerRow + byte] as number
    }
  }
  return made
}

/** DuckDB's width of a decimal. */
function decimalBytes(precision: number): number {
  if (precision <= 4) return 2
  if (precision <= 9) return 4
  return precision <= 18 ? 8 : 16
}

function wideInteger(view: DataView, at: number, byteCount: number): bigint {
  if (byteCount === 4) return BigInt(view.getInt32(at, true))
  let value = view.getBigInt64(at + byteCount - 8, true)
  for (let byte = byteCount - 16; byte >= 0; byte -= 8) {
    value = (value << 64n) | view.getBigUint64(at + byte, true)
  }
  return value
}

/** IEEE 754's binary16. */
function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function viewed(array: ArrowArray & { readonly kind: 'views' }, row: number): Uint8Array {
  const { views, buffers } = array
  const at = row * 16
  const length = views.getInt32(at, true)
  if (length < 0) throw badFormat('a view is longer than it can be')
  if (length <= 12) return new Uint8Array(views.buffer, views.byteOffset + at + 4, length)
  const buffer = buffers[views.getInt32(at + 8, true)]
  const offset = views.getInt32(at + 12, true)
  if (buffer === undefined || offset < 0 || offset + length > buffer.length) {
    throw badFormat('a view leaves its buffers')
  }
  return buffer.subarray(offset, offset + length)
}

function bytes(
  field: ArrowField,
  array: ArrowArray,
  rows: Rows,
  validity: Uint8Array | null,
  bytesAt: (row: number) => Uint8Array,
  heaps: Uint8Array[],
): BatchColumn {
  const isText = field.conversion.kind === 'text'
  const entries = new Uint8Array(rows.length * ENTRY_BYTES)
  const words = new Uint32Array(entries.buffer)
  const long: Uint8Array[] = []
  let end = 0
  for (const [i, row] of rows.entries()) {
    if (row < 0 || !isValid(array, row)) continue
    const value = bytesAt(row)
    if (isText) requireText(value)
    words[i * 4] = value.length
    if (value.length <= INLINE_BYTES) {
      entries.set(value, i * ENTRY_BYTES + 4)
      continue
    }
    entries.set(value.subarray(0, 4), i * ENTRY_BYTES + 4)
    words[i * 4 + 2] = end
    words[i * 4 + 3] = heaps.length
    long.push(value)
    end += value.length
    if (end > COLUMN_MAX) throw new TooLarge()
  }
  heaps.push(Buffer.concat(long, end))
  return { kind: 'bytes', validity, entries }
}

function requireText(value: Uint8Array): void {
  if (isUtf8(value) && !value.includes(0)) return
  throw new SqlError(
    SqlState.characterNotInRepertoire,
    'invalid byte sequence for encoding "UTF8" in Arrow data',
  )
}

function list(
  field: ArrowField,
  array: ArrowArray & { readonly kind: 'list' },
  rows: Rows,
  validity: Uint8Array | null,
  heaps: Uint8Array[],
): BatchColumn {
  const { layout } = field
  if (!('child' in layout)) throw new RangeError('a list has other values')
  const { offsets, child } = array
  const entries = new Uint8Array(rows.length * ENTRY_BYTES)
  const to = viewOf(entries)
  let childCount = 0
  for (const [i, row] of rows.entries()) {
    if (row < 0 || !isValid(array, row)) continue
    const [start, end] = [offsets[row] as number, offsets[row + 1] as number]
    if (field.conversion.kind === 'map') requireKeys(layout.child, child, start, end)
    to.setBigUint64(i * ENTRY_BYTES, BigInt(childCount), true)
    to.setBigUint64(i * ENTRY_BYTES + 8, BigInt(end - start), true)
    childCount += end - start
    if (childCount > COLUMN_MAX / 16) throw new TooLarge()
  }
  const inner = new Int32Array(childCount)
  let at = 0
  for (const row of rows) {
    if (row < 0 || !isValid(array, row)) continue
    const end = offsets[row + 1] as number
    for (let element = offsets[row] as number; element < end; element++) inner[at++] = element
  }
  const values = column(layout.child, child, inner, heaps)
  return { kind: 'list', validity, entries, child: values, childCount }
}

/** Keys of a map are there, and differ. */
function requireKeys(field: ArrowField, entries: ArrowArray, start: number, end: number): void {
  const key = entries.kind === 'struct' ? entries.children[0] : undefined
  const keyField = field.layout.kind === 'struct' ? field.layout.children[0] : undefined
  if (key === undefined || keyField === undefined) throw new RangeError('a map has no keys')
  const seen = new Set<string>()
  for (let i = start; i < end; i++) {
    const text = isValid(entries, i) ? keyText(keyField, key, i) : undefined
    if (text === undefined) throw badFormat('a key of a map is null')
    if (seen.has(text)) throw badFormat('a map has a key twice')
    seen.add(text)
  }
}

/** What tells a key from others; undefined for null. */
function keyText(field: ArrowField, array: ArrowArray, i: number): string | undefined {
  if (!isValid(array, i)) return undefined
  switch (array.kind) {
    case 'dictionary': {
      const [row = -1] = dictionaryRows(field, array, Int32Array.of(i))
      return row < 0 ? undefined : keyText(field, array.values, row)
    }
    case 'bits':
      return String(((array.data[i >> 3] as number) >> (i & 7)) & 1)
    case 'fixed': {
      const bytesPerRow = field.layout.kind === 'fixed' ? field.layout.bytesPerRow : 1
      return latin1(array.data.subarray(i * bytesPerRow, (i + 1) * bytesPerRow))
    }
    case 'varying':
      return latin1(array.data.subarray(array.offsets[i], array.offsets[i + 1]))
    case 'views':
      return latin1(viewed(array, i))
    default:
      return undefined
  }
}

function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength)
}

function badFormat(what: string): SqlError {
  return new SqlError(SqlState.badCopyFileFormat, 'COPY data is not valid Arrow data', {
    detail: `In it, ${what}.`,
  })
}

function outOfRange(sqlState: SqlState, message: string, { name }: ArrowField): SqlError {
  return new SqlError(sqlState, message, { detail: `In column "${name}" of the Arrow data.` })
}

function outOfTime(field: ArrowField): SqlError {
  return outOfRange(SqlState.datetimeFieldOverflow, 'date or time out of range', field)
}
