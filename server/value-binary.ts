/** Values in binary format, as PostgreSQL's send functions write them. */

import { Oid, type PgType, pgTypeByOid } from '../catalog/pg-types.js'
import { byteOfChar } from '../planner/scalar-input.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { EngineType } from '../storage/engine-type.js'
import type { IntervalValue, Scalar, TimeTzValue } from '../storage/engine-value.js'
import { type TextContext, valueText } from './value-text.js'

/** Days and microseconds between PostgreSQL's epoch, 2000-01-01, and 1970-01-01. */
export const EPOCH_DAYS = 10_957
export const EPOCH_MICROS: bigint = 946_684_800_000_000n

/** A value of `type`, sent as `pgType`; never called with null. */
export function valueBinary(
  value: Exclude<Scalar, null>,
  type: EngineType,
  pgType: PgType,
  context: TextContext,
): Uint8Array {
  switch (pgType.oid) {
    case Oid.bool:
      return Uint8Array.of(value === true ? 1 : 0)
    case Oid.int2:
      return sized(2, (view) => view.setInt16(0, Number(value)))
    case Oid.int4:
      return sized(4, (view) => view.setInt32(0, Number(value)))
    case Oid.oid:
      return sized(4, (view) => view.setUint32(0, Number(value)))
    case Oid.int8:
      return sized(8, (view) => view.setBigInt64(0, BigInt(value as number)))
    case Oid.float4:
      return sized(4, (view) => view.setFloat32(0, value as number))
    case Oid.float8:
      return sized(8, (view) => view.setFloat64(0, value as number))
    case Oid.numeric:
      return numericBinary(BigInt(value as bigint), type.kind === 'decimal' ? type.scale : 0)
    case Oid.char:
      return Uint8Array.of(byteOfChar(value as string))
    case Oid.bytea:
      return value as Uint8Array
    case Oid.date: {
      const days = value as number
      const infinite = Math.abs(days) === 2_147_483_647
      return sized(4, (view) =>
        view.setInt32(0, !infinite ? days - EPOCH_DAYS : days > 0 ? 0x7fffffff : -0x80000000),
      )
    }
    case Oid.time:
      return sized(8, (view) =>
        view.setBigInt64(
          0,
          type.kind === 'scalar' && type.name === 'TIME_NS'
            ? (value as bigint) / 1000n
            : (value as bigint),
        ),
      )
    case Oid.timetz: {
      const { micros, offsetSeconds } = value as TimeTzValue
      return sized(12, (view) => {
        view.setBigInt64(0, micros)
        view.setInt32(8, -offsetSeconds)
      })
    }
    case Oid.timestamp:
    case Oid.timestamptz:
      return sized(8, (view) => view.setBigInt64(0, timestampBinary(value as bigint, type)))
    case Oid.interval: {
      const { months, days, micros } = value as IntervalValue
      return sized(16, (view) => {
        view.setBigInt64(0, micros)
        view.setInt32(8, days)
        view.setInt32(12, months)
      })
    }
    case Oid.uuid:
      return Buffer.from((value as string).replaceAll('-', ''), 'hex')
    case Oid.jsonb:
      return Buffer.concat([
        Buffer.of(1),
        Buffer.from(valueText(value, type, pgType, context), 'utf8'),
      ])
    case Oid.varbit:
    case Oid.bit:
      return bitBinary(value as Uint8Array)
    default: {
      const elementOid = pgTypeByOid(pgType.oid)?.elementOid ?? 0
      if (elementOid !== 0 && (type.kind === 'list' || type.kind === 'array')) {
        return arrayBinary(value as readonly Scalar[], type, elementOid, context)
      }
      if (elementOid !== 0) {
        throw new SqlError(
          SqlState.featureNotSupported,
          'arrays of system catalogs are not supported in binary format',
        )
      }
      return Buffer.from(valueText(value, type, pgType, context), 'utf8')
    }
  }
}

function timestampBinary(value: bigint, type: EngineType): bigint {
  if (value === 9_223_372_036_854_775_807n) return value
  if (value === -9_223_372_036_854_775_807n) return -9_223_372_036_854_775_808n
  const name = type.kind === 'scalar' ? type.name : 'TIMESTAMP'
  const micros =
    name === 'TIMESTAMP_S'
      ? value * 1_000_000n
      : name === 'TIMESTAMP_MS'
        ? value * 1000n
        : name === 'TIMESTAMP_NS'
          ? value / 1000n
          : value
  return micros - EPOCH_MICROS
}

function sized(bytes: number, write: (view: DataView) => void): Uint8Array {
  const buffer = new Uint8Array(bytes)
  write(new DataView(buffer.buffer))
  return buffer
}

/** numeric's form: digits in base 10,000 with the weight of the first. */
export function numericBinary(unscaled: bigint, scale: number): Uint8Array {
  const negative = unscaled < 0n
  let size = negative ? -unscaled : unscaled
  const shift = (4 - (scale % 4)) % 4
  size *= 10n ** BigInt(shift)
  const digits: number[] = []
  while (size > 0n) {
    digits.unshift(Number(size % 10_000n))
    size /= 10_000n
  }
  let weight = digits.length - 1 - (scale + shift) / 4
  while (digits.length > 0 && digits.at(-1) === 0) digits.pop()
  if (digits.length === 0) weight = 0
  return sized(8 + digits.length * 2, (view) => {
    view.setInt16(0, digits.length)
    view.setInt16(2, weight)
    view.setInt16(4, negative ? 0x4000 : 0)
    view.setInt16(6, scale)
    for (const [i, digit] of digits.entries()) view.setInt16(8 + i * 2, digit)
  })
}

function bitBinary(bytes: Uint8Array): Uint8Array {
  const padding = bytes[0] ?? 0
  const bits = (bytes.length - 1) * 8 - padding
  const out = new Uint8Array(4 + Math.ceil(bits / 8))
  new DataView(out.buffer).setInt32(0, bits)
  for (let i = 0; i < bits; i++) {
    const at = i + padding
    const bit = ((bytes[1 + (at >> 3)] ?? 0) >> (7 - (at & 7))) & 1
    if (bit === 1) out[4 + (i >> 3)] = (out[4 + (i >> 3)] ?? 0) | (0x80 >> (i & 7))
  }
  return out
}

function arrayBinary(
  values: readonly Scalar[],
  type: EngineType,
  elementOid: number,
  context: TextContext,
): Uint8Array {
  let leaf: EngineType = type
  while (leaf.kind === 'list' || leaf.kind === 'array') leaf = leaf.child
  const leaves = flatten(values, type)
  const head = Buffer.alloc(12)
  const counts = dimensionsOf(values, type)
  head.writeInt32BE(leaves.length === 0 ? 0 : counts.length, 0)
  head.writeInt32BE(leaves.includes(null) ? 1 : 0, 4)
  head.writeUInt32BE(elementOid, 8)
  const parts: Uint8Array[] = [head]
  if (leaves.length > 0) {
    for (const count of counts) {
      const dimension = Buffer.alloc(8)
      dimension.writeInt32BE(count, 0)
      dimension.writeInt32BE(1, 4)
      parts.push(dimension)
    }
  }
  for (const item of leaves) {
    const length = Buffer.alloc(4)
    if (item === null) {
      length.writeInt32BE(-1)
      parts.push(length)
    } else {
      const bytes = valueBinary(item, leaf, { oid: elementOid, typmod: -1 }, context)
      length.writeInt32BE(bytes.length)
      parts.push(length, bytes)
    }
  }
  return Buffer.concat(parts)
}

function flatten(values: readonly Scalar[], type: EngineType): Scalar[] {
  if (
    (type.kind === 'list' || type.kind === 'array') &&
    (type.child.kind === 'list' || type.child.kind === 'array')
  ) {
    const { child } = type
    return values.flatMap((item) =>
      item === null ? [null] : flatten(item as readonly Scalar[], child),
    )
  }
  return [...values]
}

function dimensionsOf(values: readonly Scalar[], type: EngineType): number[] {
  if (
    (type.kind === 'list' || type.kind === 'array') &&
    (type.child.kind === 'list' || type.child.kind === 'array')
  ) {
    const inner = values.find((item) => item !== null) as readonly Scalar[] | undefined
    return [values.length, ...(inner === undefined ? [] : dimensionsOf(inner, type.child))]
  }
  return [values.length]
}
