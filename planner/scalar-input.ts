/** Scalar input: what PostgreSQL's input functions of simple types read, for literals and parameters alike. */

import { Oid, pgTypeByOid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'

/** 22P02 in PostgreSQL's words. */
export function invalidText(text: string, oid: number): SqlError {
  return new SqlError(
    SqlState.invalidTextRepresentation,
    `invalid input syntax for type ${pgTypeByOid(oid)?.displayName ?? 'unknown'}: "${text}"`,
  )
}

function outOfRange(what: string, oid: number): SqlError {
  return new SqlError(
    SqlState.numericValueOutOfRange,
    `${what} is out of range for type ${pgTypeByOid(oid)?.displayName ?? 'unknown'}`,
  )
}

/** Blanks as C's isspace knows them. */
const BLANKS = /^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g

/** `text` without the blanks around it. */
export function trimmed(text: string): string {
  return text.replace(BLANKS, '')
}

/** Lowest and highest value by type. */
const INTEGER_RANGES: ReadonlyMap<number, readonly [bigint, bigint]> = new Map([
  [Oid.int2, [-32_768n, 32_767n]],
  [Oid.int4, [-2_147_483_648n, 2_147_483_647n]],
  [Oid.int8, [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n]],
])

/** OIDs and what is made of them: 32 bits, of which negative numbers are another spelling. */
const OID_RANGE = [-2_147_483_648n, 4_294_967_295n] as const

/** An integer or OID; 22P02, 22003 beyond the type's range. */
export function integerOfText(text: string, oid: number): bigint {
  const match = /^([+-]?)0*(\d+)$/.exec(trimmed(text))
  if (match === null) throw invalidText(text, oid)
  const digits = match[2] ?? ''
  // Looked at before a number of a million digits is computed.
  const value = digits.length > 19 ? null : BigInt(digits) * (match[1] === '-' ? -1n : 1n)
  const range = INTEGER_RANGES.get(oid)
  const [low, high] = range ?? OID_RANGE
  if (value === null || value < low || value > high) throw outOfRange(`value "${text}"`, oid)
  return range === undefined ? BigInt.asUintN(32, value) : value
}

/** A float4 or float8; 22P02, 22003 for what is too large or too small. */
export function floatOfText(text: string, oid: number): number {
  const plain = trimmed(text)
  if (/^[+-]?inf(?:inity)?$/i.test(plain)) return plain.startsWith('-') ? -Infinity : Infinity
  if (/^[+-]?nan$/i.test(plain)) return Number.NaN
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(plain)) throw invalidText(text, oid)
  const value = oid === Oid.float4 ? Math.fround(Number(plain)) : Number(plain)
  const vanished = value === 0 && /[1-9]/.test(plain.replace(/e.*$/i, ''))
  if (!Number.isFinite(value) || vanished) throw outOfRange(`"${plain}"`, oid)
  return value
}

/** PostgreSQL's words for true and false, and their unambiguous beginnings; 22P02. */
export function booleanOfText(text: string): boolean {
  const word = trimmed(text).toLowerCase()
  const begins = (...words: readonly string[]): boolean =>
    word !== '' && word !== 'o' && words.some((one) => one.startsWith(word))
  if (begins('true', 'yes', 'on', '1')) return true
  if (begins('false', 'no', 'off', '0')) return false
  throw invalidText(text, Oid.bool)
}

/** A UUID in its canonical form; hyphens are allowed behind every fourth digit, and braces around all. */
export function uuidOfText(text: string): string {
  const hex = /^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i.test(text.replace(/^\{(.*)\}$/, '$1'))
    ? text.replaceAll(/[{}-]/g, '').toLowerCase()
    : null
  if (hex === null) throw invalidText(text, Oid.uuid)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** 22P02 unless `text` is JSON; 22P05 when jsonb cannot hold it. */
export function checkJson(text: string, oid: number): void {
  try {
    JSON.parse(text)
  } catch (thrown) {
    throw new SqlError(SqlState.invalidTextRepresentation, 'invalid input syntax for type json', {
      cause: thrown,
    })
  }
  if (oid === Oid.jsonb && /(?<!\\)(?:\\\\)*\\u0000/.test(text)) {
    throw new SqlError(SqlState.untranslatableCharacter, 'unsupported Unicode escape sequence', {
      detail: '\\u0000 cannot be converted to text.',
    })
  }
}

/** Bytes of a name, its end not counted. */
const NAME_BYTES_MAX = 63

/** `text` cut to as many whole characters as a name holds. */
export function nameOfText(text: string): string {
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length <= NAME_BYTES_MAX) return text
  let end = NAME_BYTES_MAX
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** A "char" as PostgreSQL prints it: its byte, in octal when it is no ASCII, nothing for zero. */
export function charOfByte(byte: number): string {
  if (byte === 0) return ''
  return byte < 128 ? String.fromCharCode(byte) : `\\${byte.toString(8)}`
}

/** The byte of a "char" that charOfByte printed. */
export function byteOfChar(text: string): number {
  return text.length === 4 ? Number.parseInt(text.slice(1), 8) : (text.codePointAt(0) ?? 0)
}

/** The "char" that `text` spells: its first byte, or one in octal. */
export function charOfText(text: string): string {
  const octal = /^\\([0-3][0-7]{2})$/.exec(text)?.[1]
  return charOfByte(octal === undefined ? (Buffer.from(text)[0] ?? 0) : Number.parseInt(octal, 8))
}

/** The bytes that a bytea spells in hex or in the older escape format; 22P02, 22023. */
export function bytesOfText(text: string): Buffer {
  if (text.startsWith('\\x')) {
    const hex = text.slice(2).replaceAll(/\s/g, '')
    const wrong = /[^0-9a-f]/iu.exec(hex)?.[0]
    if (wrong !== undefined) {
      throw new SqlError(SqlState.invalidParameterValue, `invalid hexadecimal digit: "${wrong}"`)
    }
    if (hex.length % 2 !== 0) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        'invalid hexadecimal data: odd number of digits',
      )
    }
    return Buffer.from(hex, 'hex')
  }
  if (!/^(?:[^\\]|\\\\|\\[0-3][0-7]{2})*$/.test(text)) {
    throw new SqlError(SqlState.invalidTextRepresentation, 'invalid input syntax for type bytea')
  }
  const parts = text.match(/[^\\]+|\\\\|\\[0-3][0-7]{2}/g) ?? []
  return Buffer.concat(
    parts.map((part) =>
      !part.startsWith('\\')
        ? Buffer.from(part, 'utf8')
        : Buffer.of(part === '\\\\' ? 0x5c : Number.parseInt(part.slice(1), 8)),
    ),
  )
}
