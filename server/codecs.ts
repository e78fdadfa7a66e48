/** Codecs: the parameters of Bind, in text or binary, to typed values. */

import { engineTypeOfOid, Oid, type PgType, pgTypeByOid } from '../catalog/pg-types.js'
import { ARRAY_DIMENSIONS_MAX, otherLowerBound, tooManyDimensions } from '../planner/array-text.js'
import type { OutputStyle } from '../planner/result.js'
import { scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import {
  checkedClock,
  checkedDays,
  checkedMicros,
  INFINITE_DAYS,
  INFINITE_MICROS,
} from '../planner/date-time-range.js'
import { charOfByte, checkJson, nameOfText } from '../planner/scalar-input.js'
import { arrayOfText, numericOfText, scalarOfText } from './parameter-text.js'
import { arrayValue, type Items, NUMERIC_NAN, numericValue } from './parameter-value.js'
import { EPOCH_DAYS, EPOCH_MICROS } from './value-binary.js'

/**
 * A parameter's value, bound as the type `type` stands for.
 *
 * 22P02 (or 22003, 22007, 22008) for text, 22P03 for bytes that are no value of the type.
 */
export function decodeParameter(
  bytes: Uint8Array | null,
  format: 0 | 1,
  { oid }: PgType,
  style: OutputStyle,
): EngineValue {
  const type = engineTypeOfOid(oid) ?? scalarType('VARCHAR')
  if (bytes === null) return { type, value: null }
  const elementOid = pgTypeByOid(oid)?.elementOid ?? 0
  if (format === 1) {
    return elementOid === 0 ? decodeBinary(bytes, oid) : decodeArray(bytes, elementOid)
  }
  const text = decodeUtf8(bytes)
  if (oid === Oid.numeric) return numericOfText(text)
  if (elementOid !== 0) return arrayOfText(text, elementOid, style)
  return { type, value: scalarOfText(text, oid, type, style) }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    const text = UTF8.decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Reported below, with the invalid zero byte.
  }
  throw new SqlError(SqlState.characterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"')
}

function invalidBinary(): SqlError {
  return new SqlError(
    SqlState.invalidBinaryRepresentation,
    'incorrect binary data format in bind parameter',
  )
}

function decodeBinary(bytes: Uint8Array, oid: number): EngineValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const type = engineTypeOfOid(oid) ?? scalarType('VARCHAR')
  const need = (length: number): void => {
    if (bytes.length !== length) throw invalidBinary()
  }
  const at = (value: Scalar): EngineValue => ({ type, value })
  switch (oid) {
    case Oid.bool:
      need(1)
      return at(bytes[0] !== 0)
    case Oid.int2:
      need(2)
      return at(view.getInt16(0))
    case Oid.int4:
      need(4)
      return at(view.getInt32(0))
    case Oid.oid:
    case Oid.xid:
    case Oid.cid:
    case Oid.regproc:
    case Oid.regclass:
    case Oid.regtype:
    case Oid.regnamespace:
      need(4)
      return at(BigInt(view.getUint32(0)))
    case Oid.int8:
      need(8)
      return at(view.getBigInt64(0))
    case Oid.float4:
      need(4)
      return at(view.getFloat32(0))
    case Oid.float8:
      need(8)
      return at(view.getFloat64(0))
    case Oid.bytea:
      return at(bytes.slice())
    case Oid.char:
      need(1)
      return at(charOfByte(bytes[0] ?? 0))
    case Oid.name: {
      const name = decodeUtf8(bytes)
      if (nameOfText(name) !== name) {
        throw new SqlError(SqlState.nameTooLong, 'identifier too long')
      }
      return at(name)
    }
    case Oid.date: {
      need(4)
      const days = view.getInt32(0)
      if (days === 0x7fffffff) return at(INFINITE_DAYS)
      return at(days === -0x80000000 ? -INFINITE_DAYS : checkedDays(days + EPOCH_DAYS))
    }
    case Oid.time:
      need(8)
      return at(checkedClock(view.getBigInt64(0)))
    case Oid.timetz: {
      need(12)
      const offsetSeconds = -view.getInt32(8)
      if (Math.abs(offsetSeconds) >= 16 * 3600) {
        throw new SqlError(
          SqlState.invalidTimeZoneDisplacementValue,
          'time zone displacement out of range',
        )
      }
      return at({ micros: checkedClock(view.getBigInt64(0)), offsetSeconds })
    }
    case Oid.timestamp:
    case Oid.timestamptz: {
      need(8)
      const micros = view.getBigInt64(0)
      if (micros === 0x7fff_ffff_ffff_ffffn) return at(INFINITE_MICROS)
      return at(
        micros === -0x8000_0000_0000_0000n
          ? -INFINITE_MICROS
          : checkedMicros(micros + EPOCH_MICROS),
      )
    }
    case Oid.interval:
      need(16)
      return at({ micros: view.getBigInt64(0), days: view.getInt32(8), months: view.getInt32(12) })
    case Oid.uuid:
      need(16)
      return at(
        Buffer.from(bytes)
          .toString('hex')
          .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
      )
    case Oid.numeric:
      return decodeNumeric(view)
    case Oid.json:
    case Oid.jsonb: {
      // jsonb is its text behind the number of its version.
      if (oid === Oid.jsonb && bytes[0] !== 1) throw invalidBinary()
      const text = decodeUtf8(oid === Oid.jsonb ? bytes.subarray(1) : bytes)
      checkJson(text, oid)
      return at(text)
    }
    default:
      if (type.kind === 'scalar' && type.name !== 'VARCHAR') {
        throw new SqlError(
          SqlState.featureNotSupported,
          `parameters of type ${pgTypeByOid(oid)?.displayName ?? oid} are not supported in binary format`,
        )
      }
      return at(decodeUtf8(bytes))
  }
}

/** Digits in base 10,000: the first counts 10,000 to the power of `weight`. */
function decodeNumeric(view: DataView): EngineValue {
  const count = view.byteLength < 8 ? -1 : view.getUint16(0)
  if (view.byteLength !== 8 + count * 2) throw invalidBinary()
  const weight = view.getInt16(2)
  const sign = view.getUint16(4)
  const scale = view.getUint16(6)
  if (sign === 0xc000) return NUMERIC_NAN
  if (sign === 0xd000) return { ...NUMERIC_NAN, value: Infinity }
  if (sign === 0xf000) return { ...NUMERIC_NAN, value: -Infinity }
  if ((sign !== 0 && sign !== 0x4000) || scale > 0x3fff) throw invalidBinary()
  let digits = ''
  for (let i = 0; i < count; i++) {
    const digit = view.getUint16(8 + i * 2)
    if (digit > 9999) throw invalidBinary()
    digits += String(digit).padStart(4, '0')
  }
  if (/^0*$/.test(digits)) return numericValue(false, '0', scale)
  // Digits behind the point, as many as are there; those that the scale says are more are zeros.
  const places = (count - weight - 1) * 4
  if (places > scale) return numericValue(sign !== 0, digits.slice(0, scale - places), scale)
  return numericValue(sign !== 0, digits + '0'.repeat(Math.min(scale - places, 400)), scale)
}

function decodeArray(bytes: Uint8Array, elementOid: number): EngineValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12) throw invalidBinary()
  const dimensions = view.getInt32(0)
  const flags = view.getInt32(4)
  if (dimensions < 0 || (flags !== 0 && flags !== 1)) throw invalidBinary()
  if (dimensions > ARRAY_DIMENSIONS_MAX) {
    throw tooManyDimensions(dimensions)
  }
  if (view.getUint32(8) !== elementOid) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `binary data has array element type ${view.getUint32(8)} instead of expected ${elementOid}`,
    )
  }
  let at = 12 + dimensions * 8
  if (bytes.length < at) throw invalidBinary()
  const counts = Array.from({ length: dimensions }, (_, i) => view.getInt32(12 + i * 8))
  // Each element has a length of four bytes: no count is believed that the message has no room for.
  const total = counts.reduce((product, count) => product * count, dimensions === 0 ? 0 : 1)
  if (counts.some((count) => count < 0) || total * 4 > bytes.length - at) throw invalidBinary()
  if (total > 0 && counts.some((_, i) => view.getInt32(16 + i * 8) !== 1)) {
    throw otherLowerBound()
  }
  const cell = (): Uint8Array | null => {
    if (bytes.length < at + 4) throw invalidBinary()
    const length = view.getInt32(at)
    at += 4
    if (length === -1) return null
    if (length < 0 || length > bytes.length - at) throw invalidBinary()
    at += length
    return bytes.subarray(at - length, at)
  }
  const items = (depth: number): Items<Uint8Array> =>
    Array.from({ length: counts[depth] ?? 0 }, () =>
      depth === dimensions - 1 ? cell() : items(depth + 1),
    )
  const value = arrayValue(total === 0 ? [] : items(0), elementOid, (item) =>
    decodeBinary(item, elementOid),
  )
  if (at !== bytes.length) throw invalidBinary()
  return value
}
