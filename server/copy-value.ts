/** Copy values: one field of a COPY FROM as a value of its column, by PostgreSQL's input functions. */

import { Oid, pgTypeByOid } from '../catalog/pg-types.js'
import type { CopyInColumn, OutputStyle } from '../planner/result.js'
import type { EngineType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { decodeParameter } from './codecs.js'

/**
 * The value of `column` that `bytes` spell, in the JavaScript form of the column's engineType.
 *
 * 22P02, 22003, 22007, 22008 and 22001 with PostgreSQL's words for what is none.
 */
export function valueOfText(bytes: Uint8Array, column: CopyInColumn, style: OutputStyle): Scalar {
  const { pgType, engineType } = column
  switch (pgType.oid) {
    case Oid.numeric:
      return numericOf(Buffer.from(bytes).toString('utf8'), engineType, pgType.typmod)
    case Oid.varchar:
    case Oid.bpchar:
      return fitted(Buffer.from(bytes).toString('utf8'), pgType.oid, pgType.typmod)
    case Oid.date:
    case Oid.timestamp:
    case Oid.timestamptz: {
      const text = Buffer.from(bytes).toString('utf8')
      const spelled = Buffer.from(ordered(text, style), 'utf8')
      return reworded(() => decodeParameter(spelled, 0, pgType, style).value, spelled, text)
    }
    default: {
      const { type, value } = decodeParameter(bytes, 0, pgType, style)
      return inType(value, type, engineType)
    }
  }
}

/**
 * The value of `column` that `bytes` are in binary format.
 *
 * 22P03 for bytes that are none.
 */
export function valueOfBinary(bytes: Uint8Array, column: CopyInColumn, style: OutputStyle): Scalar {
  const { pgType, engineType } = column
  try {
    const { type, value } = decodeParameter(bytes, 1, pgType, style)
    if (pgType.oid === Oid.varchar || pgType.oid === Oid.bpchar) {
      return fitted(value as string, pgType.oid, pgType.typmod)
    }
    if (
      pgType.oid === Oid.numeric &&
      (type.kind !== 'decimal' || type.scale > scaleOf(engineType))
    ) {
      return numericOf(decimalText(value, type), engineType, pgType.typmod)
    }
    return inType(value, type, engineType)
  } catch (thrown) {
    const isLength =
      thrown instanceof RangeError ||
      (thrown instanceof SqlError && thrown.message.includes('in bind parameter'))
    if (!isLength) throw thrown
    throw new SqlError(SqlState.invalidBinaryRepresentation, 'incorrect binary data format', {
      cause: thrown,
    })
  }
}

function scaleOf(type: EngineType): number {
  return type.kind === 'decimal' ? type.scale : 0
}

function decimalText(value: Scalar, type: EngineType): string {
  if (type.kind !== 'decimal') return String(value)
  return `${String(value)}e-${type.scale}`
}

/** A date whose numbers stand in the order that DateStyle says, year first. */
function ordered(text: string, { dateOrder }: OutputStyle): string {
  if (dateOrder === 'MDY') return text
  const match = /^(\s*)(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?=\s|$)/.exec(text)
  if (match === null || dateOrder !== 'DMY') return text
  const [whole, space = '', day, month, year] = match
  return `${space}${year}-${month}-${day}${text.slice(whole.length)}`
}

/** An error's words are about what the client wrote. */
function reworded(read: () => Scalar, spelled: Buffer, text: string): Scalar {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    const message = thrown.message.replace(`"${spelled.toString('utf8')}"`, () => `"${text}"`)
    throw new SqlError(thrown.sqlState, message, { hint: thrown.hint, cause: thrown })
  }
}

/** Digits the widest decimal holds. */
const DIGITS_MAX = 38

/** The digits of a numeric, rounded to its column's scale. */
function numericOf(text: string, type: EngineType, typmod: number): bigint {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,9}))?\s*$/i.exec(text)
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    if (/^\s*[+-]?(?:nan|inf(?:inity)?)\s*$/i.test(text)) {
      throw new SqlError(SqlState.featureNotSupported, `numeric ${text.trim()} is not supported`, {
        hint: 'Use double precision.',
      })
    }
    throw new SqlError(
      SqlState.invalidTextRepresentation,
      `invalid input syntax for type numeric: "${text}"`,
    )
  }
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const { width, scale } = type.kind === 'decimal' ? type : { width: DIGITS_MAX, scale: 0 }
  const digits = (whole + fraction).replace(/^0+/, '')
  // How many of the digits stay, and how many zeros follow them.
  const kept = digits.length - fraction.length + Number(exponent) + scale
  if (digits === '' || kept < 0) return 0n
  if (kept > width + 1) throw overflow(width, scale, typmod)
  const exact = BigInt(digits.slice(0, kept).padEnd(kept, '0') || '0')
  const size = (digits[kept] ?? '0') >= '5' ? exact + 1n : exact
  if (size >= 10n ** BigInt(width)) throw overflow(width, scale, typmod)
  return sign === '-' ? -size : size
}

function overflow(width: number, scale: number, typmod: number): SqlError {
  if (typmod < 4) {
    return new SqlError(
      SqlState.numericValueOutOfRange,
      `a numeric of more than ${DIGITS_MAX} digits is out of range`,
    )
  }
  const power = width === scale ? '1' : `10^${width - scale}`
  return new SqlError(SqlState.numericValueOutOfRange, 'numeric field overflow', {
    detail: `A field with precision ${width}, scale ${scale} must round to an absolute value less than ${power}.`,
  })
}

/** A text cut or filled up to its type's length; 22001 when more than spaces would be cut. */
function fitted(text: string, oid: number, typmod: number): string {
  if (typmod < 4) return text
  const length = typmod - 4
  if (oid === Oid.varchar && text.length <= length) return text
  const points = [...text]
  if (points.slice(length).some((char) => char !== ' ')) {
    throw new SqlError(
      SqlState.stringDataRightTruncation,
      `value too long for type ${pgTypeByOid(oid)?.displayName}(${length})`,
    )
  }
  const cut = points.slice(0, length).join('')
  return oid === Oid.bpchar ? cut + ' '.repeat(Math.max(0, length - points.length)) : cut
}

/** A value in the type of its column: elements of one scale, lists as deep as they are declared. */
function inType(value: Scalar, from: EngineType, to: EngineType): Scalar {
  if (value === null) return null
  if (to.kind === 'list') {
    if (!Array.isArray(value) || from.kind !== 'list') throw otherShape()
    return value.map((item: Scalar) => inType(item, from.child, to.child))
  }
  if (Array.isArray(value)) throw otherShape()
  if (to.kind !== 'decimal') return value
  if (from.kind === 'decimal' && from.scale <= to.scale) {
    const size = (value as bigint) * 10n ** BigInt(to.scale - from.scale)
    if ((size < 0n ? -size : size) < 10n ** BigInt(to.width)) return size
    throw overflow(to.width, to.scale, 4)
  }
  return numericOf(decimalText(value, from), to, 4)
}

function otherShape(): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'an array of other dimensions than those of its column is not supported',
  )
}
