/** Codecs: the parameters of Bind, in text or binary, to typed values. */

import { engineTypeOfOid, Oid, type PgType, pgTypeByOid } from '../catalog/pg-types.js'
import type { OutputStyle } from '../planner/result.js'
import { parseTimestampMicros } from '../storage/data-skipping.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { daysOf, Zone } from './date-time-text.js'
import { EPOCH_DAYS, EPOCH_MICROS } from './value-binary.js'

/**
 * A parameter's value, bound as the type `type` stands for.
 *
 * 22P02 (or 22003, 22007) for text, 22P03 for bytes that are no value of the type.
 */
export function decodeParameter(
  bytes: Uint8Array | null,
  format: 0 | 1,
  type: PgType,
  style: OutputStyle,
): EngineValue {
  const engineType = engineTypeOfOid(type.oid)
  if (bytes === null) return { type: engineType ?? scalarType('VARCHAR'), value: null }
  if (format === 1) return decodeBinary(bytes, type.oid)
  const text = decodeUtf8(bytes)
  if (type.oid === Oid.numeric) return numericOf(text)
  if (engineType === null) return { type: scalarType('VARCHAR'), value: text }
  return { type: engineType, value: parseText(text, type.oid, engineType, style) }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    const text = UTF8.decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Reported below, with the invalid zero byte.
  }
  throw new SqlError(SqlState.characterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"')
}

function badText(oid: number, text: string): SqlError {
  const name = pgTypeByOid(oid)?.displayName ?? 'unknown'
  return new SqlError(
    SqlState.invalidTextRepresentation,
    `invalid input syntax for type ${name}: "${text}"`,
  )
}

function parseText(text: string, oid: number, type: EngineType, style: OutputStyle): Scalar {
  if (type.kind === 'list') {
    const elementOid = pgTypeByOid(oid)?.elementOid ?? Oid.text
    return parseArray(text).map((item) => textElement(item, elementOid, type.child, style))
  }
  if (type.kind !== 'scalar') throw badText(oid, text)
  const plain = text.trim()
  switch (type.name) {
    case 'BOOLEAN': {
      const lower = plain.toLowerCase()
      if (
        lower !== '' &&
        ['true', 'yes', 'on', '1'].some((word) => word.startsWith(lower)) &&
        lower !== 'o'
      )
        return true
      if (
        lower !== '' &&
        ['false', 'no', 'off', '0'].some((word) => word.startsWith(lower)) &&
        lower !== 'o'
      )
        return false
      throw badText(oid, text)
    }
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT': {
      if (!/^[+-]?\d+$/.test(plain)) throw badText(oid, text)
      return integerOf(BigInt(plain), type.name, oid, text)
    }
    case 'FLOAT':
    case 'DOUBLE': {
      if (/^[+-]?inf(inity)?$/i.test(plain)) return plain.startsWith('-') ? -Infinity : Infinity
      if (/^nan$/i.test(plain)) return Number.NaN
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) throw badText(oid, text)
      return Number(plain)
    }
    case 'BLOB':
      return parseBytea(text)
    case 'DATE': {
      if (/^infinity$/i.test(plain)) return 2_147_483_647
      if (/^-infinity$/i.test(plain)) return -2_147_483_647
      const match = /^(\d{4,6})-(\d{1,2})-(\d{1,2})(?:[T ].*?)?( BC)?$/i.exec(plain)
      if (match === null) throw badText(oid, text)
      const year = match[4] === undefined ? Number(match[1]) : 1 - Number(match[1])
      return checkedDays(year, Number(match[2]), Number(match[3]), text)
    }
    case 'TIME': {
      const match = /^(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/.exec(plain)
      if (match === null) throw badText(oid, text)
      return clockMicros(match[1], match[2], match[3], match[4])
    }
    case 'TIMETZ': {
      const match =
        /^(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(plain)
      if (match === null) throw badText(oid, text)
      const zone = (match[5] ?? 'Z').toUpperCase()
      const digits = zone.replace(/[^\d]/g, '')
      const size =
        zone === 'Z' ? 0 : Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4) || 0) * 60
      return {
        micros: clockMicros(match[1], match[2], match[3], match[4]),
        offsetSeconds: zone.startsWith('-') ? -size : size,
      }
    }
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ': {
      if (/^infinity$/i.test(plain)) return 9_223_372_036_854_775_807n
      if (/^-infinity$/i.test(plain)) return -9_223_372_036_854_775_807n
      const bc = / BC$/i.test(plain)
      const bare = plain.replace(/ (BC|AD)$/i, '')
      const full = /^\d{4,6}-\d{1,2}-\d{1,2}$/.test(bare) ? `${bare} 00:00` : bare
      const zoned = /(Z|UTC|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)$/i.test(full.slice(10))
      let micros = parseTimestampMicros(full.replace(/z$/, 'Z'))
      if (micros === null) throw badText(oid, text)
      if (bc) {
        const year = Number(/^\d+/.exec(bare)?.[0] ?? 1)
        const days = daysOf(1 - year, 1, 1) - daysOf(year, 1, 1)
        micros += BigInt(days) * 86_400_000_000n
      }
      if (type.name === 'TIMESTAMPTZ' && !zoned) {
        const zone = new Zone(style.timeZone)
        const guess = micros - BigInt(zone.offsetSeconds(micros)) * 1_000_000n
        micros -= BigInt(zone.offsetSeconds(guess)) * 1_000_000n
      }
      if (type.name === 'TIMESTAMP' && zoned) {
        // The zone of a text is ignored where the type has none.
        return (
          parseTimestampMicros(full.replace(/\s*(Z|UTC|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)$/i, '')) ??
          micros
        )
      }
      return micros
    }
    case 'INTERVAL':
      return parseInterval(plain, text)
    case 'UUID': {
      const hex = plain.replace(/[{}-]/g, '').toLowerCase()
      if (!/^[0-9a-f]{32}$/.test(hex)) throw badText(oid, text)
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    }
    case 'VARCHAR': {
      if (type.alias === 'JSON') {
        try {
          JSON.parse(text)
        } catch (thrown) {
          throw new SqlError(
            SqlState.invalidTextRepresentation,
            'invalid input syntax for type json',
            { cause: thrown },
          )
        }
      }
      return text
    }
    default:
      throw new SqlError(
        SqlState.featureNotSupported,
        `parameters of type ${pgTypeByOid(oid)?.displayName ?? oid} are not supported`,
      )
  }
}

function integerOf(
  value: bigint,
  name: 'SMALLINT' | 'INTEGER' | 'BIGINT',
  oid: number,
  text: string,
): number | bigint {
  const bits = name === 'SMALLINT' ? 15n : name === 'INTEGER' ? 31n : 63n
  if (value >= 1n << bits || value < -(1n << bits)) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `value "${text}" is out of range for type ${pgTypeByOid(oid)?.displayName ?? 'integer'}`,
    )
  }
  return name === 'BIGINT' ? value : Number(value)
}

function checkedDays(year: number, month: number, day: number, text: string): number {
  const days = daysOf(year, month, day)
  const length = month === 12 ? 31 : daysOf(year, month + 1, 1) - daysOf(year, month, 1)
  if (month < 1 || month > 12 || day < 1 || day > length) {
    throw new SqlError(
      SqlState.datetimeFieldOverflow,
      `date/time field value out of range: "${text}"`,
    )
  }
  return days
}

function clockMicros(hour?: string, minute?: string, second?: string, fraction?: string): bigint {
  return (
    BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second ?? 0)) * 1_000_000n +
    BigInt((fraction ?? '').padEnd(6, '0'))
  )
}

function parseBytea(text: string): Uint8Array {
  if (text.startsWith('\\x')) {
    const hex = text.slice(2).replace(/\s/g, '')
    if (!/^([0-9a-f]{2})*$/i.test(hex)) {
      throw new SqlError(SqlState.invalidParameterValue, 'invalid hexadecimal data')
    }
    return Buffer.from(hex, 'hex')
  }
  const bytes: number[] = []
  const source = Buffer.from(text, 'utf8')
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== 0x5c) bytes.push(source[i] ?? 0)
    else if (source[i + 1] === 0x5c) {
      bytes.push(0x5c)
      i++
    } else {
      const octal = source.toString('latin1', i + 1, i + 4)
      if (!/^[0-3][0-7]{2}$/.test(octal)) throw badText(Oid.bytea, text)
      bytes.push(Number.parseInt(octal, 8))
      i += 3
    }
  }
  return Uint8Array.from(bytes)
}

const UNITS: readonly (readonly [RegExp, 'months' | 'days' | 'micros', number])[] = [
  [/^(y|yr|yrs|year|years)$/i, 'months', 12],
  [/^(mon|mons|month|months)$/i, 'months', 1],
  [/^(w|week|weeks)$/i, 'days', 7],
  [/^(d|day|days)$/i, 'days', 1],
  [/^(h|hr|hrs|hour|hours)$/i, 'micros', 3_600_000_000],
  [/^(m|min|mins|minute|minutes)$/i, 'micros', 60_000_000],
  [/^(s|sec|secs|second|seconds)$/i, 'micros', 1_000_000],
  [/^(ms|msec|millisecond|milliseconds)$/i, 'micros', 1000],
  [/^(us|usec|microsecond|microseconds)$/i, 'micros', 1],
]

function parseInterval(plain: string, text: string): Scalar {
  const sum = { months: 0, days: 0, micros: 0n }
  let rest = plain.replace(/^@\s*/, '')
  const ago = /\bago$/i.test(rest)
  rest = rest.replace(/\s*\bago$/i, '')
  const iso =
    /^P(?:(-?[\d.]+)Y)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)W)?(?:(-?[\d.]+)D)?(?:T(?:(-?[\d.]+)H)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)S)?)?$/.exec(
      rest,
    )
  if (iso !== null) {
    const n = (i: number): number => Number(iso[i] ?? 0)
    return {
      months: n(1) * 12 + n(2),
      days: n(3) * 7 + n(4),
      micros: BigInt(Math.round(n(5) * 3_600_000_000 + n(6) * 60_000_000 + n(7) * 1_000_000)),
    }
  }
  let seen = false
  while (rest !== '') {
    const clock = /^([+-]?)(\d+):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*/.exec(rest)
    if (clock !== null) {
      const micros = clockMicros(clock[2], clock[3], clock[4], clock[5])
      sum.micros += clock[1] === '-' ? -micros : micros
      rest = rest.slice(clock[0].length)
      seen = true
      continue
    }
    const part = /^([+-]?\d+(?:\.\d+)?)\s*([a-z]+)\s*,?\s*/i.exec(rest)
    const unit = part === null ? undefined : UNITS.find(([pattern]) => pattern.test(part[2] ?? ''))
    if (part === null || unit === undefined) {
      throw new SqlError(
        SqlState.invalidDatetimeFormat,
        `invalid input syntax for type interval: "${text}"`,
      )
    }
    const amount = Number(part[1]) * unit[2]
    if (unit[1] === 'micros') sum.micros += BigInt(Math.round(amount))
    else sum[unit[1]] += Math.trunc(amount)
    rest = rest.slice(part[0].length)
    seen = true
  }
  if (!seen)
    throw new SqlError(
      SqlState.invalidDatetimeFormat,
      `invalid input syntax for type interval: "${text}"`,
    )
  return ago ? { months: -sum.months, days: -sum.days, micros: -sum.micros } : sum
}

/** A numeric bound as the decimal that holds it exactly; up to 38 digits. */
function numericOf(text: string): EngineValue {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?\s*$/.exec(text)
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    if (/^\s*[+-]?(nan|inf(inity)?)\s*$/i.test(text)) {
      return {
        type: scalarType('DOUBLE'),
        value: /nan/i.test(text) ? Number.NaN : text.includes('-') ? -Infinity : Infinity,
      }
    }
    throw badText(Oid.numeric, text)
  }
  const fraction = match[3] ?? ''
  let unscaled = BigInt(`${match[2]}${fraction}` || '0')
  let scale = fraction.length - Number(match[4] ?? 0)
  if (scale < 0) {
    unscaled *= 10n ** BigInt(-scale)
    scale = 0
  }
  return decimalValue(match[1] === '-' ? -unscaled : unscaled, scale)
}

function decimalValue(unscaled: bigint, scale: number): EngineValue {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).length
  const width = Math.max(digits, scale, 1)
  if (width > 38) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      'a numeric parameter has more than 38 digits',
    )
  }
  return { type: { kind: 'decimal', width, scale }, value: unscaled }
}

/** The elements of an array literal: text, null, or nested arrays. */
type ArrayItem = string | null | readonly ArrayItem[]

function severalDimensions(): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'array parameters of several dimensions are not supported',
  )
}

function parseArray(text: string): readonly ArrayItem[] {
  let at = text.indexOf('{')
  const malformed = (): SqlError =>
    new SqlError(SqlState.invalidTextRepresentation, `malformed array literal: "${text}"`)
  if (at < 0 || !/^\s*(\[[^=]*\]=)?\s*$/.test(text.slice(0, at))) throw malformed()
  const items = (): ArrayItem[] => {
    const found: ArrayItem[] = []
    at++
    for (;;) {
      while (/\s/.test(text.charAt(at))) at++
      const char = text.charAt(at)
      if (char === '}') {
        at++
        return found
      }
      if (char === '') throw malformed()
      if (char === '{') found.push(items())
      else if (char === '"') {
        let item = ''
        for (at++; text.charAt(at) !== '"'; at++) {
          if (at >= text.length) throw malformed()
          if (text.charAt(at) === '\\') at++
          item += text.charAt(at)
        }
        at++
        found.push(item)
      } else {
        let item = ''
        for (; at < text.length && !/[,{}]/.test(text.charAt(at)); at++) {
          if (text.charAt(at) === '\\') at++
          item += text.charAt(at)
        }
        item = item.trim()
        if (item === '') throw malformed()
        found.push(/^null$/i.test(item) ? null : item)
      }
      while (/\s/.test(text.charAt(at))) at++
      if (text.charAt(at) === ',') at++
      else if (text.charAt(at) !== '}') throw malformed()
    }
  }
  const found = items()
  if (text.slice(at).trim() !== '') throw malformed()
  return found
}

function textElement(item: ArrayItem, oid: number, type: EngineType, style: OutputStyle): Scalar {
  if (item === null) return null
  if (typeof item !== 'string') throw severalDimensions()
  return parseText(item, oid, type, style)
}

function decodeBinary(bytes: Uint8Array, oid: number): EngineValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const type = engineTypeOfOid(oid) ?? scalarType('VARCHAR')
  const need = (length: number): void => {
    if (bytes.length !== length) {
      throw new SqlError(
        SqlState.invalidBinaryRepresentation,
        'incorrect binary data format in bind parameter',
      )
    }
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
    case Oid.date: {
      need(4)
      const days = view.getInt32(0)
      if (days === 0x7fffffff) return at(2_147_483_647)
      return at(days === -0x80000000 ? -2_147_483_647 : days + EPOCH_DAYS)
    }
    case Oid.time:
      need(8)
      return at(view.getBigInt64(0))
    case Oid.timetz:
      need(12)
      return at({ micros: view.getBigInt64(0), offsetSeconds: -view.getInt32(8) })
    case Oid.timestamp:
    case Oid.timestamptz: {
      need(8)
      const micros = view.getBigInt64(0)
      if (micros === 0x7fff_ffff_ffff_ffffn) return at(micros)
      return at(
        micros === -0x8000_0000_0000_0000n ? -0x7fff_ffff_ffff_ffffn : micros + EPOCH_MICROS,
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
    case Oid.jsonb:
      return at(decodeUtf8(bytes.subarray(1)))
    default:
      if (type.kind === 'list') return at(decodeArray(bytes, view))
      return at(decodeUtf8(bytes))
  }
}

function decodeNumeric(view: DataView): EngineValue {
  if (view.byteLength < 8 || view.byteLength !== 8 + view.getInt16(0) * 2) {
    throw new SqlError(
      SqlState.invalidBinaryRepresentation,
      'incorrect binary data format in bind parameter',
    )
  }
  const count = view.getInt16(0)
  const weight = view.getInt16(2)
  const sign = view.getUint16(4)
  const scale = view.getInt16(6)
  if (sign === 0xc000) return { type: scalarType('DOUBLE'), value: Number.NaN }
  if (sign === 0xd000) return { type: scalarType('DOUBLE'), value: Infinity }
  if (sign === 0xf000) return { type: scalarType('DOUBLE'), value: -Infinity }
  let digits = 0n
  for (let i = 0; i < count; i++) digits = digits * 10_000n + BigInt(view.getInt16(8 + i * 2))
  const exponent = (weight - count + 1) * 4 + scale
  const unscaled =
    exponent >= 0 ? digits * 10n ** BigInt(exponent) : digits / 10n ** BigInt(-exponent)
  return decimalValue(sign === 0x4000 ? -unscaled : unscaled, scale)
}

function decodeArray(bytes: Uint8Array, view: DataView): Scalar {
  try {
    const dimensions = view.getInt32(0)
    const elementOid = view.getUint32(8)
    if (dimensions > 1) throw severalDimensions()
    const counts = Array.from({ length: dimensions }, (_, i) => view.getInt32(12 + i * 8))
    let at = 12 + dimensions * 8
    const read = (depth: number): Scalar => {
      if (depth === dimensions) {
        const length = view.getInt32(at)
        at += 4
        if (length < 0) return null
        const cell = bytes.subarray(at, at + length)
        if (cell.length !== length) throw new RangeError('too short')
        at += length
        return decodeBinary(cell, elementOid).value
      }
      return Array.from({ length: counts[depth] ?? 0 }, () => read(depth + 1))
    }
    return dimensions === 0 ? [] : read(0)
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    throw new SqlError(
      SqlState.invalidBinaryRepresentation,
      'incorrect binary data format in bind parameter',
    )
  }
}
