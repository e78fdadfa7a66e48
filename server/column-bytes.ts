/** ColumnBytes: one column of a batch as bytes on their way to the wire, row after row. */

import { Oid } from '../catalog/pg-types.js'
import type { ResultColumn, RowBatch } from '../planner/result.js'
import { type ColumnVector, decimalBytes, dereference, readVector } from '../storage/engine.js'
import type { EngineType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import { civilOf } from '../planner/civil-date.js'
import { dateText, timestampText } from './date-time-text.js'
import { EPOCH_DAYS, EPOCH_MICROS, numericBinary, valueBinary } from './value-binary.js'
import { decimalText, floatText, type TextContext, valueText } from './value-text.js'

/**
 * The cells of a column, one after another.
 *
 * Cell i is bytes[ends[i-1] .. ends[i]]; where `nulls[i]` is 1 it is null and empty.
 */
export interface ColumnBytes {
  readonly bytes: Buffer
  readonly ends: Uint32Array
  readonly nulls: Uint8Array
}

/** How a column's cells are made: text for format 0, binary for format 1. */
export interface ColumnFormat {
  readonly column: ResultColumn
  readonly binary: boolean
  readonly context: TextContext
}

/** Cells of the column at `index` of a batch of raw vectors or of values. */
export function columnBytes(
  batch: Exclude<RowBatch, { kind: 'encoded' }>,
  index: number,
  format: ColumnFormat,
): ColumnBytes {
  if (batch.kind === 'values') {
    return fromValues(
      batch.rows.map((row) => row[index] ?? null),
      format,
    )
  }
  if (batch.kind === 'relayed') return fromRelayed(batch, index, format)
  const vector = batch.chunk.column(index)
  const { from, to } = batch
  return (
    fromVector(vector, from, to, format) ??
    fromValues(readVector(vector, format.column.engineType, to).slice(from), format)
  )
}

function fromRelayed(
  { rows, from, to }: Extract<RowBatch, { kind: 'relayed' }>,
  index: number,
  { binary }: ColumnFormat,
): ColumnBytes {
  const column = rows.column(index, binary ? 1 : 0, from, to)
  const ends = new Uint32Array(to - from)
  const nulls = new Uint8Array(to - from)
  const parts: Uint8Array[] = []
  let end = 0
  for (let i = 0; i < ends.length; i++) {
    const start = column.starts[i] ?? -1
    if (start < 0) nulls[i] = 1
    else {
      parts.push(column.bytes.subarray(start, column.ends[i]))
      end += (column.ends[i] ?? 0) - start
    }
    ends[i] = end
  }
  return { bytes: Buffer.concat(parts, end), ends, nulls }
}

function fromValues(values: readonly Scalar[], format: ColumnFormat): ColumnBytes {
  const { column, binary, context } = format
  const ends = new Uint32Array(values.length)
  const nulls = new Uint8Array(values.length)
  const parts: Uint8Array[] = []
  let end = 0
  for (const [i, value] of values.entries()) {
    if (value === null) nulls[i] = 1
    else {
      const [shown, type] =
        column.digits === undefined ? [value, column.engineType] : shownNumeric(value, column)
      const part = binary
        ? valueBinary(shown, type, column.pgType, context)
        : Buffer.from(valueText(shown, type, column.pgType, context), 'utf8')
      parts.push(part)
      end += part.length
    }
    ends[i] = end
  }
  return { bytes: Buffer.concat(parts, end), ends, nulls }
}

/** A numeric with the digits PostgreSQL would give it: see `digits` of SqlType. */
function shownNumeric(
  value: Exclude<Scalar, null>,
  column: ResultColumn,
): readonly [Exclude<Scalar, null>, EngineType] {
  const type = column.engineType
  if (type.kind !== 'decimal' || typeof value !== 'bigint') return [value, type]
  const places = column.digits === 'quotient' ? quotientPlaces(value, type.scale) : 0
  let [unscaled, scale] = [value, type.scale]
  if (column.digits === 'quotient' && scale > places) {
    const unit = 10n ** BigInt(scale - places)
    const half = unscaled < 0n ? -unit / 2n : unit / 2n
    return [(unscaled + half) / unit, { ...type, scale: places }]
  }
  while (scale > places && unscaled % 10n === 0n) {
    unscaled /= 10n
    scale--
  }
  return [unscaled, { ...type, scale }]
}

/** Digits behind the point of a quotient: in groups of four, at least 16 that count. */
function quotientPlaces(unscaled: bigint, scale: number): number {
  const whole = (unscaled < 0n ? -unscaled : unscaled) / 10n ** BigInt(scale)
  if (whole === 0n) return 20
  return Math.max(0, 16 - 4 * Math.floor((String(whole).length - 1) / 4))
}

/** The common types straight from DuckDB's memory layout; null for the others. */
function fromVector(
  vector: ColumnVector,
  from: number,
  to: number,
  format: ColumnFormat,
): ColumnBytes | null {
  const { column } = format
  const type = column.engineType
  if (column.digits !== undefined) return null
  if (type.kind === 'decimal') return decimals(vector, from, to, format, type.width, type.scale)
  if (type.kind !== 'scalar') return null
  const count = to - from
  const nulls = nullsOf(vector, from, to)
  switch (type.name) {
    case 'VARCHAR':
      if (column.pgType.oid === Oid.jsonb || column.pgType.oid === Oid.char) return null
      return strings(vector, from, to, nulls)
    case 'BLOB':
      return format.binary ? strings(vector, from, to, nulls) : null
    case 'BOOLEAN': {
      const data = vector.data(to, 1)
      return fixed(count, 1, nulls, (bytes, row, at) => {
        const value = data[from + row] ?? 0
        bytes[at] = format.binary ? value : value === 0 ? 0x66 : 0x74
      })
    }
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER': {
      const width = type.name === 'TINYINT' ? 1 : type.name === 'SMALLINT' ? 2 : 4
      const data = vector.data(to, width)
      const view = new DataView(data.buffer, data.byteOffset)
      const read = (row: number): number =>
        width === 4
          ? view.getInt32((from + row) * 4, true)
          : width === 2
            ? view.getInt16((from + row) * 2, true)
            : view.getInt8(from + row)
      if (format.binary) {
        const size = format.column.pgType.oid === Oid.int2 ? 2 : 4
        return fixed(count, size, nulls, (bytes, row, at) => {
          if (size === 2) bytes.writeInt16BE(read(row), at)
          else bytes.writeInt32BE(read(row), at)
        })
      }
      return variable(count, 11, nulls, (bytes, row, at) => writeInteger(bytes, read(row), at))
    }
    case 'BIGINT': {
      const data = vector.data(to, 8)
      const view = new DataView(data.buffer, data.byteOffset)
      if (format.binary) {
        if (format.column.pgType.oid !== Oid.int8) return null
        return fixed(count, 8, nulls, (bytes, row, at) => {
          bytes.writeBigInt64BE(view.getBigInt64((from + row) * 8, true), at)
        })
      }
      return variable(count, 20, nulls, (bytes, row, at) => {
        const high = view.getInt32((from + row) * 8 + 4, true)
        if (high >= -0x20_0000 && high < 0x20_0000) {
          return writeInteger(
            bytes,
            high * 0x1_0000_0000 + view.getUint32((from + row) * 8, true),
            at,
          )
        }
        return at + bytes.write(String(view.getBigInt64((from + row) * 8, true)), at, 'latin1')
      })
    }
    case 'DOUBLE':
    case 'FLOAT': {
      const width = type.name === 'DOUBLE' ? 8 : 4
      const data = vector.data(to, width)
      const view = new DataView(data.buffer, data.byteOffset)
      if (!format.binary) {
        const digits = format.context.style.extraFloatDigits
        return variable(count, 26, nulls, (bytes, row, at) => {
          const value =
            width === 8
              ? view.getFloat64((from + row) * 8, true)
              : view.getFloat32((from + row) * 4, true)
          return writeAscii(bytes, floatText(value, width, digits), at)
        })
      }
      return fixed(count, width, nulls, (bytes, row, at) => {
        if (width === 8) bytes.writeDoubleBE(view.getFloat64((from + row) * 8, true), at)
        else bytes.writeFloatBE(view.getFloat32((from + row) * 4, true), at)
      })
    }
    case 'DATE': {
      const data = vector.data(to, 4)
      const view = new DataView(data.buffer, data.byteOffset)
      if (!format.binary) {
        const { style } = format.context
        return variable(count, TEXT_BYTES_MAX, nulls, (bytes, row, at) => {
          const days = view.getInt32((from + row) * 4, true)
          if (style.dateStyle === 'ISO' && days >= DAYS_MIN && days <= DAYS_MAX) {
            return writeDate(bytes, days, at)
          }
          return at + bytes.write(dateText(days, style), at, 'latin1')
        })
      }
      return fixed(count, 4, nulls, (bytes, row, at) => {
        const days = view.getInt32((from + row) * 4, true)
        const infinite = days === 0x7fffffff || days === -0x7fffffff
        bytes.writeInt32BE(!infinite ? days - EPOCH_DAYS : days > 0 ? 0x7fffffff : -0x80000000, at)
      })
    }
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ': {
      const data = vector.data(to, 8)
      const view = new DataView(data.buffer, data.byteOffset)
      if (!format.binary) {
        const { style } = format.context
        const zone = type.name === 'TIMESTAMPTZ' ? format.context.zone : null
        const plain = style.dateStyle === 'ISO' && (zone === null || style.timeZone === 'UTC')
        return variable(count, TEXT_BYTES_MAX, nulls, (bytes, row, at) => {
          const position = (from + row) * 8
          const micros =
            view.getInt32(position + 4, true) * 0x1_0000_0000 + view.getUint32(position, true)
          // Inside these years the microseconds are exact in a double.
          if (plain && micros >= MICROS_MIN && micros < MICROS_MAX) {
            return writeTimestamp(bytes, micros, at, zone !== null)
          }
          const text = timestampText(view.getBigInt64(position, true), style, zone)
          return at + bytes.write(text, at, 'latin1')
        })
      }
      return fixed(count, 8, nulls, (bytes, row, at) => {
        const micros = view.getBigInt64((from + row) * 8, true)
        const value =
          micros === 0x7fff_ffff_ffff_ffffn
            ? micros
            : micros === -0x7fff_ffff_ffff_ffffn
              ? -0x8000_0000_0000_0000n
              : micros - EPOCH_MICROS
        bytes.writeBigInt64BE(value, at)
      })
    }
    default:
      return null
  }
}

/** Longest text of a date or timestamp in any style, years of six digits included. */
const TEXT_BYTES_MAX = 64
/** The days and microseconds of the years 1 to 9999, and of 1700 to 2250. */
const DAYS_MIN = -719_162
const DAYS_MAX = 2_932_896
const MICROS_MIN = -8_520_336_000_000_000
const MICROS_MAX = 8_835_984_000_000_000

function writeTwo(bytes: Buffer, value: number, at: number): void {
  const tens = Math.floor(value / 10)
  bytes[at] = 0x30 + tens
  bytes[at + 1] = 0x30 + value - tens * 10
}

/** `yyyy-mm-dd` of a year from 1 to 9999. */
function writeDate(bytes: Buffer, days: number, at: number): number {
  const { year, month, day } = civilOf(days)
  const century = Math.floor(year / 100)
  writeTwo(bytes, century, at)
  writeTwo(bytes, year - century * 100, at + 2)
  bytes[at + 4] = 0x2d
  writeTwo(bytes, month, at + 5)
  bytes[at + 7] = 0x2d
  writeTwo(bytes, day, at + 8)
  return at + 10
}

function writeTimestamp(bytes: Buffer, micros: number, start: number, zoned: boolean): number {
  const days = Math.floor(micros / 86_400_000_000)
  const ofDay = micros - days * 86_400_000_000
  const seconds = Math.floor(ofDay / 1_000_000)
  let at = writeDate(bytes, days, start)
  bytes[at] = 0x20
  writeTwo(bytes, Math.floor(seconds / 3600), at + 1)
  bytes[at + 3] = 0x3a
  writeTwo(bytes, Math.floor(seconds / 60) % 60, at + 4)
  bytes[at + 6] = 0x3a
  writeTwo(bytes, seconds % 60, at + 7)
  at += 9
  let fraction = ofDay - seconds * 1_000_000
  if (fraction > 0) {
    bytes[at++] = 0x2e
    for (let unit = 100_000; fraction > 0; unit /= 10) {
      const digit = Math.floor(fraction / unit)
      bytes[at++] = 0x30 + digit
      fraction -= digit * unit
    }
  }
  if (zoned) {
    bytes[at] = 0x2b
    bytes[at + 1] = 0x30
    bytes[at + 2] = 0x30
    at += 3
  }
  return at
}

/** Decimals of up to 18 digits; those too large for exact doubles, and wider ones, take the slow route. */
function decimals(
  vector: ColumnVector,
  from: number,
  to: number,
  format: ColumnFormat,
  width: number,
  scale: number,
): ColumnBytes | null {
  if (width > 18) return null
  const size = decimalBytes(width)
  const data = vector.data(to, size)
  const view = new DataView(data.buffer, data.byteOffset)
  const nulls = nullsOf(vector, from, to)
  const exact = (row: number): bigint =>
    size === 8
      ? view.getBigInt64((from + row) * 8, true)
      : BigInt(
          size === 4
            ? view.getInt32((from + row) * 4, true)
            : view.getInt16((from + row) * 2, true),
        )
  const rough = (row: number): number =>
    size === 8
      ? view.getInt32((from + row) * 8 + 4, true) * 0x1_0000_0000 +
        view.getUint32((from + row) * 8, true)
      : size === 4
        ? view.getInt32((from + row) * 4, true)
        : view.getInt16((from + row) * 2, true)
  if (format.binary) {
    return variable(to - from, 24, nulls, (bytes, row, at) => {
      const value = rough(row)
      if (Math.abs(value) < 1e14) return writeNumeric(bytes, value, scale, at)
      const cell = numericBinary(exact(row), scale)
      bytes.set(cell, at)
      return at + cell.length
    })
  }
  return variable(to - from, 24, nulls, (bytes, row, at) => {
    const value = rough(row)
    if (Math.abs(value) >= 1e15) {
      return at + bytes.write(decimalText(exact(row), scale), at, 'latin1')
    }
    return writeDecimal(bytes, value, scale, at)
  })
}

function writeDecimal(bytes: Buffer, value: number, scale: number, start: number): number {
  let at = start
  let rest = value
  if (rest < 0) {
    bytes[at++] = 0x2d
    rest = -rest
  }
  if (scale === 0) return writeInteger(bytes, rest, at)
  const unit = 10 ** scale
  const whole = Math.floor(rest / unit)
  let fraction = rest - whole * unit
  at = writeInteger(bytes, whole, at)
  bytes[at++] = 0x2e
  for (let i = at + scale - 1; i >= at; i--) {
    const next = Math.floor(fraction / 10)
    bytes[i] = 0x30 + fraction - next * 10
    fraction = next
  }
  return at + scale
}

/** The form of `numericBinary`, for values that stay exact when brought to whole groups of digits. */
function writeNumeric(bytes: Buffer, value: number, scale: number, at: number): number {
  const shift = (4 - (scale % 4)) % 4
  let rest = Math.abs(value)
  const fractionGroups = (scale + shift) / 4
  const groups: number[] = []
  if (shift > 0) {
    // The last group is filled up by itself, so that the whole number never grows.
    const part = 10 ** (4 - shift)
    const next = Math.floor(rest / part)
    groups.unshift((rest - next * part) * 10 ** shift)
    rest = next
  }
  while (rest > 0) {
    const next = Math.floor(rest / 10_000)
    groups.unshift(rest - next * 10_000)
    rest = next
  }
  let weight = groups.length - 1 - fractionGroups
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift()
    weight--
  }
  while (groups.length > 0 && groups.at(-1) === 0) groups.pop()
  if (groups.length === 0) weight = 0
  bytes.writeInt16BE(groups.length, at)
  bytes.writeInt16BE(weight, at + 2)
  bytes.writeInt16BE(value < 0 ? 0x4000 : 0, at + 4)
  bytes.writeInt16BE(scale, at + 6)
  for (const [i, group] of groups.entries()) bytes.writeInt16BE(group, at + 8 + i * 2)
  return at + 8 + groups.length * 2
}

function nullsOf(vector: ColumnVector, from: number, to: number): Uint8Array {
  const nulls = new Uint8Array(to - from)
  const validity = vector.validity(to)
  if (validity !== null) {
    for (let row = from; row < to; row++) {
      if ((((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) nulls[row - from] = 1
    }
  }
  return nulls
}

function fixed(
  count: number,
  size: number,
  nulls: Uint8Array,
  write: (bytes: Buffer, row: number, at: number) => void,
): ColumnBytes {
  const bytes = Buffer.allocUnsafe(count * size)
  const ends = new Uint32Array(count)
  let at = 0
  for (let row = 0; row < count; row++) {
    if (nulls[row] === 0) {
      write(bytes, row, at)
      at += size
    }
    ends[row] = at
  }
  return { bytes, ends, nulls }
}

function variable(
  count: number,
  sizeMax: number,
  nulls: Uint8Array,
  write: (bytes: Buffer, row: number, at: number) => number,
): ColumnBytes {
  const bytes = Buffer.allocUnsafe(count * sizeMax)
  const ends = new Uint32Array(count)
  let at = 0
  for (let row = 0; row < count; row++) {
    if (nulls[row] === 0) at = write(bytes, row, at)
    ends[row] = at
  }
  return { bytes, ends, nulls }
}

/** Writes a short text of ASCII; answers where it ends. */
function writeAscii(bytes: Buffer, text: string, at: number): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
  return at + text.length
}

/** Writes a safe integer's digits at `at`; answers where they end. */
function writeInteger(bytes: Buffer, value: number, at: number): number {
  let rest = value
  let start = at
  if (rest < 0) {
    bytes[start++] = 0x2d
    rest = -rest
  }
  let size = 1
  for (let limit = 10; rest >= limit; limit *= 10) size++
  for (let i = start + size - 1; i >= start; i--) {
    const next = Math.floor(rest / 10)
    bytes[i] = 0x30 + (rest - next * 10)
    rest = next
  }
  return start + size
}

/** Bytes by which two strings may lie apart and still be fetched as one run: less than a page. */
const RUN_GAP_MAX = 4095

/**
 * Strings: short ones stand in the vector itself, long ones behind pointers. The long strings of a
 * chunk lie side by side, so they are fetched in runs instead of one by one.
 */
function strings(vector: ColumnVector, from: number, to: number, nulls: Uint8Array): ColumnBytes {
  const count = to - from
  const data = vector.data(to, 16)
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const ends = new Uint32Array(count)
  let total = 0
  const runs: { lo: number; hi: number; bytes: Uint8Array | null }[] = []
  const runOf = new Uint32Array(count)
  for (let row = 0; row < count; row++) {
    if (nulls[row] === 0) {
      const at = (from + row) * 16
      const length = view.getUint32(at, true)
      total += length
      if (length > 12) {
        const pointer = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 0x1_0000_0000
        const last = runs.at(-1)
        if (last !== undefined && pointer >= last.lo && pointer <= last.hi + RUN_GAP_MAX) {
          last.hi = Math.max(last.hi, pointer + length)
        } else runs.push({ lo: pointer, hi: pointer + length, bytes: null })
        runOf[row] = runs.length - 1
      }
    }
    ends[row] = total
  }
  const address = new ArrayBuffer(8)
  for (const run of runs) {
    new DataView(address).setBigUint64(0, BigInt(run.lo), true)
    run.bytes = dereference(address, 0, run.hi - run.lo)
  }
  const bytes = Buffer.allocUnsafe(total)
  let written = 0
  for (let row = 0; row < count; row++) {
    if (nulls[row] === 1) continue
    const at = (from + row) * 16
    const length = view.getUint32(at, true)
    if (length <= 12) {
      for (let i = 0; i < length; i++) bytes[written + i] = data[at + 4 + i] ?? 0
    } else {
      const run = runs[runOf[row] ?? 0]
      const pointer = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 0x1_0000_0000
      if (run?.bytes) {
        bytes.set(run.bytes.subarray(pointer - run.lo, pointer - run.lo + length), written)
      }
    }
    written += length
  }
  return { bytes, ends, nulls }
}
