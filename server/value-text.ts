/** Values in text format, as PostgreSQL prints them. */

import { Oid, type PgType } from '../catalog/pg-types.js'
import type { OutputStyle } from '../planner/result.js'
import type { EngineType } from '../storage/engine-type.js'
import type { IntervalValue, Scalar, TimeTzValue } from '../storage/engine-value.js'
import { offsetText, Zone } from '../planner/zone.js'
import { shortestFloatText } from './encoder-module.js'
import { dateText, intervalText, timestampText, timeText } from './date-time-text.js'
import { jsonbText } from './jsonb-text.js'

/** What printing needs: the style, and the zone object made from it once. */
export interface TextContext {
  readonly style: OutputStyle
  readonly zone: Zone
}

/** A TextContext for `style`. */
export function textContext(style: OutputStyle): TextContext {
  return { style, zone: new Zone(style.timeZone) }
}

/** A value of `type`, shown as `pgType`; never called with null. */
export function valueText(
  value: Exclude<Scalar, null>,
  type: EngineType,
  pgType: PgType,
  context: TextContext,
): string {
  switch (type.kind) {
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'enum':
      return value as string
    case 'list':
    case 'array':
      return pgType.oid === Oid.jsonb
        ? jsonText(value, type)
        : arrayText(value as readonly Scalar[], type.child, pgType, context)
    case 'struct':
    case 'map':
    case 'union':
      return jsonText(value, type)
    case 'scalar':
      break
  }
  switch (type.name) {
    case 'BOOLEAN':
      return value === true ? 't' : 'f'
    case 'FLOAT':
      return floatText(value as number, 4, context.style.extraFloatDigits)
    case 'DOUBLE':
      return floatText(value as number, 8, context.style.extraFloatDigits)
    case 'BLOB':
      return byteaText(value as Uint8Array, context.style.byteaOutput)
    case 'BIT':
      return bitText(value as Uint8Array)
    case 'DATE':
      return dateText(value as number, context.style)
    case 'TIME':
      return timeText(value as bigint)
    case 'TIME_NS':
      return timeText((value as bigint) / 1000n)
    case 'TIMETZ': {
      const { micros, offsetSeconds } = value as TimeTzValue
      return timeText(micros) + offsetText(offsetSeconds)
    }
    case 'TIMESTAMP':
      return timestampText(value as bigint, context.style, null)
    case 'TIMESTAMP_S':
      return timestampText((value as bigint) * 1_000_000n, context.style, null)
    case 'TIMESTAMP_MS':
      return timestampText((value as bigint) * 1000n, context.style, null)
    case 'TIMESTAMP_NS':
      return timestampText((value as bigint) / 1000n, context.style, null)
    case 'TIMESTAMPTZ':
      return timestampText(value as bigint, context.style, context.zone)
    case 'INTERVAL':
      return intervalText(value as IntervalValue, context.style.intervalStyle)
    case 'VARCHAR':
      return pgType.oid === Oid.jsonb || pgType.oid === JSONB_ARRAY_OID
        ? jsonbText(value as string)
        : (value as string)
    default:
      return String(value)
  }
}

const JSONB_ARRAY_OID = 3807

/** A decimal number's text from its digits without the point. */
export function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled)
  const negative = unscaled < 0n
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, '0')
  return `${negative ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/**
 * A float's text: the shortest that reads back the same, or, with `extraFloatDigits` of 0 and
 * below, rounded to 6 or 15 digits less those.
 */
export function floatText(value: number, sizeBytes: 4 | 8, extraFloatDigits: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  if (extraFloatDigits > 0) {
    // JavaScript's own shortest text is PostgreSQL's where neither uses an exponent and it has no
    // more digits than any float of the size keeps apart.
    const size = value < 0 ? -value : value
    if (size >= 1e-4 && size < (sizeBytes === 4 ? 1e6 : 1e15)) {
      const text = String(value)
      if (text.length <= (sizeBytes === 8 ? 16 : 7)) return text
    }
  }
  // JavaScript's shortest text may lie in the middle between two numbers, PostgreSQL's may not.
  if (extraFloatDigits > 0) return shortestFloatText(value, sizeBytes)
  const precision = Math.max(1, (sizeBytes === 4 ? 6 : 15) + extraFloatDigits)
  const text = value.toExponential(precision - 1)
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (match === null) return String(value)
  const exponent = Number(match[4])
  const digits = ((match[2] ?? '') + (match[3] ?? '')).replace(/0+$/, '') || '0'
  const sign = match[1] ?? ''
  if (exponent < -4 || exponent >= precision) {
    const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits
    const size = Math.abs(exponent)
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? `0${size}` : size}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}`
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}

function byteaText(bytes: Uint8Array, output: OutputStyle['byteaOutput']): string {
  if (output === 'hex') return `\\x${Buffer.from(bytes).toString('hex')}`
  let text = ''
  for (const byte of bytes) {
    if (byte === 0x5c) text += '\\\\'
    else if (byte < 0x20 || byte > 0x7e) text += `\\${byte.toString(8).padStart(3, '0')}`
    else text += String.fromCharCode(byte)
  }
  return text
}

/** DuckDB's first byte says how many bits of the second are padding. */
function bitText(bytes: Uint8Array): string {
  const padding = bytes[0] ?? 0
  let text = ''
  for (const byte of bytes.subarray(1)) text += byte.toString(2).padStart(8, '0')
  return text.slice(padding)
}

function arrayText(
  values: readonly Scalar[],
  child: EngineType,
  pgType: PgType,
  context: TextContext,
): string {
  const items = values.map((value) => {
    if (value === null) return 'NULL'
    if (child.kind === 'list' || child.kind === 'array') {
      return arrayText(value as readonly Scalar[], child.child, pgType, context)
    }
    const text = valueText(value, child, pgType, context)
    return /^$|^null$|[{}",\\\s]/i.test(text) ? `"${text.replace(/[\\"]/g, '\\$&')}"` : text
  })
  return `{${items.join(',')}}`
}

/**
 * A nested value as jsonb prints it: structs as objects, maps with text keys as objects, other maps
 * as arrays of `{"key": …, "value": …}`; decimals and integers exact, times as ISO text.
 */
export function jsonText(value: Scalar, type: EngineType): string {
  if (value === null) return 'null'
  switch (type.kind) {
    case 'struct': {
      const fields = value as { readonly [field: string]: Scalar }
      const parts = type.fields.map(
        (field) =>
          `${JSON.stringify(field.name)}: ${jsonText(fields[field.name] ?? null, field.type)}`,
      )
      return `{${parts.join(', ')}}`
    }
    case 'map': {
      const pairs = value as readonly (readonly [Scalar, Scalar])[]
      if (type.key.kind === 'scalar' && type.key.name === 'VARCHAR') {
        const parts = pairs.map(
          ([key, item]) => `${JSON.stringify(String(key))}: ${jsonText(item, type.value)}`,
        )
        return `{${parts.join(', ')}}`
      }
      const parts = pairs.map(
        ([key, item]) =>
          `{"key": ${jsonText(key, type.key)}, "value": ${jsonText(item, type.value)}}`,
      )
      return `[${parts.join(', ')}]`
    }
    case 'list':
    case 'array':
      return `[${(value as readonly Scalar[]).map((item) => jsonText(item, type.child)).join(', ')}]`
    case 'union':
      return JSON.stringify(String(value))
    case 'decimal':
      return decimalText(value as bigint, type.scale)
    case 'enum':
      return JSON.stringify(value)
    case 'scalar':
      break
  }
  if (type.alias === 'JSON') return value as string
  switch (type.name) {
    case 'BOOLEAN':
      return value === true ? 'true' : 'false'
    case 'FLOAT':
    case 'DOUBLE': {
      const text = floatText(value as number, type.name === 'FLOAT' ? 4 : 8, 1)
      return Number.isFinite(value) ? text : JSON.stringify(text)
    }
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ':
      return JSON.stringify(
        valueText(value, type, { oid: 0, typmod: -1 }, ISO)
          .replace(' ', 'T')
          .replace(/\+00$/, '+00:00'),
      )
    default: {
      const text = valueText(value, type, { oid: 0, typmod: -1 }, ISO)
      return (typeof value === 'number' && type.name !== 'DATE') ||
        (typeof value === 'bigint' && /INT$/.test(type.name))
        ? text
        : JSON.stringify(text)
    }
  }
}

const ISO: TextContext = textContext({
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
})
