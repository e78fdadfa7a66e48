/** Literals: constants of the statement's text as values of the type their place asks for. */

import { Oid, pgTypeByOid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { parseDateTime } from './date-time-input.js'
import { intervalSql, parseInterval } from './interval-text.js'
import {
  arrayOf,
  DECIMAL_DIGITS_MAX,
  elementOf,
  intervalUnit,
  isArrayOid,
  numericType,
  scaleOf,
  type SqlType,
  sqlType,
  typeName,
} from './sql-type.js'
import type { TypedExpression } from './typed-expression.js'

/**
 * The quoted literal `text` read as PostgreSQL's input function of `target` reads it.
 *
 * 22P02, 22003, 22007 or 22008 with PostgreSQL's message when it is no such value.
 */
export function literalOf(
  text: string,
  target: SqlType,
  explicit: boolean,
  location: number,
): TypedExpression {
  const of = (sql: string, type: SqlType = target): TypedExpression => ({
    sql,
    type,
    shape: { kind: 'constant', text },
    parts: [],
    location,
  })
  const engine = printEngineType(target.engine)
  switch (target.oid) {
    case Oid.int2:
    case Oid.int4:
    case Oid.int8:
      return of(`${integerOf(text, target)}::${engine}`)
    case Oid.oid:
      return of(`${integerOf(text, sqlType(Oid.int8))}::BIGINT`)
    case Oid.numeric:
      return numericOf(text, target, location)
    case Oid.float4:
    case Oid.float8:
      return of(`CAST('${floatOf(text, target)}' AS ${engine})`)
    case Oid.bool:
      return of(String(booleanOf(text)))
    case Oid.varchar:
    case Oid.bpchar:
      return of(quoteLiteral(fitted(text, target, explicit)))
    case Oid.date:
    case Oid.timestamp:
    case Oid.timestamptz:
    case Oid.time:
    case Oid.timetz:
      // The modifier is applied by whoever asked for it, with rounding.
      return of(parseDateTime(text, target), { ...target, typmod: -1 })
    case Oid.interval: {
      const pair = /^\s*(\d+)\s+(\d+)\s*$/.exec(text)
      const unit = intervalUnit(target.typmod)
      const value = parseInterval(
        pair !== null && unit === 'hour' ? `${pair[1]} days ${pair[2]} hours` : text,
        unit,
      )
      if (value === null) throw invalidSyntax(text, target, SqlState.invalidDatetimeFormat)
      return of(intervalSql(value), { ...target, typmod: -1 })
    }
    case Oid.bytea:
      return of(`from_hex('${bytesOf(text).toString('hex')}')`)
    case Oid.uuid: {
      const hex = text
        .trim()
        .replace(/^\{|\}$/g, '')
        .replaceAll('-', '')
      if (!/^[0-9a-f]{32}$/i.test(hex)) throw invalidSyntax(text, target)
      return of(
        `CAST('${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}' AS UUID)`,
      )
    }
    case Oid.json:
    case Oid.jsonb:
      try {
        JSON.parse(text)
      } catch (thrown) {
        throw new SqlError(
          SqlState.invalidTextRepresentation,
          `invalid input syntax for type json`,
          { cause: thrown },
        )
      }
      return of(`CAST(${quoteLiteral(text)} AS JSON)`)
    default:
      if (isArrayOid(target.oid)) return arrayLiteral(text, target, location)
      return of(
        target.oid === Oid.text || pgTypeByOid(target.oid)?.name === 'name'
          ? quoteLiteral(text)
          : `CAST(${quoteLiteral(text)} AS ${engine})`,
      )
  }
}

/** A number written without quotes: int4, int8 or numeric, by its size, as PostgreSQL types it. */
export function numberLiteral(text: string, location: number): TypedExpression {
  const plain = text.replaceAll('_', '')
  if (/^0[xob]/i.test(plain)) return numberLiteral(String(BigInt(plain)), location)
  if (/^-?\d+$/.test(plain)) {
    const value = BigInt(plain)
    const fits = (limit: bigint): boolean => value < limit && value >= -limit
    const oid = fits(2_147_483_648n) ? Oid.int4 : fits(9_223_372_036_854_775_808n) ? Oid.int8 : 0
    if (oid !== 0) {
      const digits = oid === Oid.int4 ? String(value) : `CAST('${value}' AS BIGINT)`
      const sql = value < 0n && oid === Oid.int4 ? `(${digits})` : digits
      return {
        sql,
        type: sqlType(oid),
        shape: { kind: 'constant', text: String(value) },
        parts: [],
        location,
      }
    }
  }
  return numericOf(plain, numericType(0), location)
}

function invalidSyntax(
  text: string,
  type: SqlType,
  sqlState: SqlState = SqlState.invalidTextRepresentation,
): SqlError {
  return new SqlError(sqlState, `invalid input syntax for type ${typeName(type)}: "${text}"`)
}

const INTEGER_LIMITS: ReadonlyMap<number, bigint> = new Map([
  [Oid.int2, 32_768n],
  [Oid.int4, 2_147_483_648n],
  [Oid.int8, 9_223_372_036_854_775_808n],
])

function integerOf(text: string, type: SqlType): bigint {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw invalidSyntax(text, type)
  const value = BigInt(text.trim().replace(/^\+/, ''))
  const limit = INTEGER_LIMITS.get(type.oid) ?? 0n
  if (value >= limit || value < -limit) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `value "${text}" is out of range for type ${typeName(type)}`,
    )
  }
  return value
}

function numericOf(text: string, target: SqlType, location: number): TypedExpression {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?\s*$/i.exec(text)
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) {
    if (/^\s*[+-]?(?:nan|inf(?:inity)?)\s*$/i.test(text)) {
      throw new SqlError(SqlState.featureNotSupported, `numeric ${text.trim()} is not supported`, {
        hint: 'Use double precision.',
      })
    }
    throw invalidSyntax(text, target)
  }
  const exponent = Number(match[4] ?? 0)
  if (Math.abs(exponent) > 400) throw tooWide()
  const [whole, fraction] = [match[2] ?? '', match[3] ?? '']
  const scale = Math.max(0, fraction.length - exponent)
  const digits =
    BigInt(whole + fraction || '0') * 10n ** BigInt(Math.max(0, exponent - fraction.length))
  const unscaled = match[1] === '-' ? -digits : digits
  const width = Math.max(String(digits).length, scale, 1)
  if (width > DECIMAL_DIGITS_MAX) {
    if (target.typmod >= 0) throw tooWide()
    // No DECIMAL holds it; as a double it can still be compared with, or become, one.
    return {
      sql: `CAST('${text.trim()}' AS DOUBLE)`,
      type: { oid: Oid.numeric, typmod: -1, engine: scalarType('DOUBLE') },
      shape: { kind: 'constant', text: text.trim() },
      parts: [],
      location,
    }
  }
  const own = numericType(scale, -1, width)
  const literal: TypedExpression = {
    sql: `CAST('${decimalText(unscaled, scale)}' AS DECIMAL(${width},${scale}))`,
    type: own,
    shape: { kind: 'constant', text: decimalText(unscaled, scale) },
    parts: [],
    location,
  }
  if (target.typmod < 0) return literal
  const sql = `CAST(${literal.sql} AS ${printEngineType(target.engine)})`
  return { ...literal, sql, type: target, shape: { kind: 'cast' }, parts: [literal] }
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled)
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

function tooWide(): SqlError {
  return new SqlError(
    SqlState.numericValueOutOfRange,
    `a numeric of more than ${DECIMAL_DIGITS_MAX} digits is out of range`,
  )
}

function floatOf(text: string, type: SqlType): string {
  const trimmed = text.trim()
  const special = /^([+-]?)(nan|inf(?:inity)?)$/i.exec(trimmed)
  if (special !== null) {
    const nan = special[2]?.toLowerCase() === 'nan'
    return nan ? 'nan' : `${special[1] === '-' ? '-' : ''}inf`
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed)) throw invalidSyntax(text, type)
  const value = type.oid === Oid.float4 ? Math.fround(Number(trimmed)) : Number(trimmed)
  if (!Number.isFinite(value) || (value === 0 && /[1-9]/.test(trimmed.replace(/e.*$/i, '')))) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `"${text}" is out of range for type ${typeName(type)}`,
    )
  }
  return trimmed
}

/** PostgreSQL's words for true and false, and their unambiguous beginnings. */
function booleanOf(text: string): boolean {
  const word = text.trim().toLowerCase()
  if (word !== '') {
    if ('true'.startsWith(word) || 'yes'.startsWith(word) || word === 'on' || word === '1')
      return true
    if ('false'.startsWith(word) || 'no'.startsWith(word) || /^off?$/.test(word) || word === '0') {
      if (word !== 'o') return false
    }
  }
  throw invalidSyntax(text, sqlType(Oid.bool))
}

function fitted(text: string, type: SqlType, explicit: boolean): string {
  if (type.typmod < 4) return text
  const length = type.typmod - 4
  const points = [...text]
  if (points.length > length && !explicit && points.slice(length).some((char) => char !== ' ')) {
    throw new SqlError(
      SqlState.stringDataRightTruncation,
      `value too long for type ${typeName(type)}(${length})`,
    )
  }
  const cut = points.slice(0, length).join('')
  return type.oid === Oid.bpchar ? cut + ' '.repeat(length - [...cut].length) : cut
}

/** The bytes a bytea literal spells in hex or in the older escape format. */
export function bytesOf(text: string): Buffer {
  const bad = (): SqlError =>
    new SqlError(SqlState.invalidTextRepresentation, 'invalid input syntax for type bytea')
  if (text.startsWith('\\x')) {
    const hex = text.slice(2).replaceAll(/\s/g, '')
    if (!/^[0-9a-f]*$/i.test(hex)) {
      const wrong = /[^0-9a-f]/i.exec(hex)?.[0] ?? ''
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
  const parts: Buffer[] = []
  let rest = text
  while (rest !== '') {
    const plain = /^[^\\]+/.exec(rest)?.[0]
    if (plain !== undefined) {
      parts.push(Buffer.from(plain, 'utf8'))
      rest = rest.slice(plain.length)
      continue
    }
    const octal = /^\\([0-3][0-7]{2})/.exec(rest)
    if (octal !== null) parts.push(Buffer.from([Number.parseInt(octal[1] ?? '0', 8)]))
    else if (rest.startsWith('\\\\')) parts.push(Buffer.from('\\'))
    else throw bad()
    rest = rest.slice(octal !== null ? 4 : 2)
  }
  return Buffer.concat(parts)
}

/** One item of an array literal: its text, null, or a nested array. */
export type ArrayItem = string | null | readonly ArrayItem[]

/**
 * The items `{…}` spells.
 *
 * 22P02 when it is malformed or its dimensions do not match.
 */
export function parseArrayText(text: string): readonly ArrayItem[] {
  const malformed = (detail?: string): SqlError =>
    new SqlError(SqlState.invalidTextRepresentation, `malformed array literal: "${text}"`, {
      detail,
    })
  let at = text.indexOf('{')
  if (at < 0 || !/^\s*(?:\[[-+\d:\][]*\]=)?\s*$/.test(text.slice(0, at))) {
    throw malformed('Array value must start with "{" or dimension information.')
  }
  const skip = (): void => {
    while (/\s/.test(text.charAt(at))) at++
  }
  const list = (depth: number): readonly ArrayItem[] => {
    if (depth > 6) throw malformed()
    const items: ArrayItem[] = []
    at++
    skip()
    if (text[at] === '}') {
      at++
      return items
    }
    for (;;) {
      skip()
      if (text[at] === '{') items.push(list(depth + 1))
      else items.push(item())
      skip()
      const next = text[at++]
      if (next === '}') break
      if (next !== ',') throw malformed('Unexpected end of input.')
    }
    const nested = items.filter((one) => Array.isArray(one)) as (readonly ArrayItem[])[]
    if (
      nested.length > 0 &&
      (nested.length < items.length || nested.some((one) => one.length !== nested[0]?.length))
    ) {
      throw malformed('Multidimensional arrays must have sub-arrays with matching dimensions.')
    }
    return items
  }
  const item = (): string | null => {
    let value = ''
    if (text[at] === '"') {
      at++
      for (;;) {
        const char = text[at++]
        if (char === undefined) throw malformed('Unexpected end of input.')
        if (char === '"') return value
        value += char === '\\' ? (text[at++] ?? '') : char
      }
    }
    let keep = 0
    for (;;) {
      const char = text[at]
      if (char === undefined) throw malformed('Unexpected end of input.')
      if (char === ',' || char === '}') break
      if (char === '{' || char === '"') throw malformed()
      at++
      value += char === '\\' ? (text[at++] ?? '') : char
      if (!/\s/.test(char)) keep = value.length
    }
    value = value.slice(0, keep)
    if (value === '') throw malformed(`Unexpected "${text[at]}" character.`)
    return value.toLowerCase() === 'null' ? null : value
  }
  const items = list(1)
  skip()
  if (at < text.length) throw malformed('Junk after closing right brace.')
  return items
}

function arrayLiteral(text: string, target: SqlType, location: number): TypedExpression {
  let element = elementOf(target) ?? sqlType(Oid.text)
  while (isArrayOid(element.oid)) element = elementOf(element) ?? sqlType(Oid.text)
  const items = parseArrayText(text)
  const leaves: TypedExpression[] = []
  const collect = (item: ArrayItem): void => {
    if (Array.isArray(item)) for (const one of item) collect(one as ArrayItem)
    else if (item !== null) leaves.push(literalOf(item as string, element, true, location))
  }
  collect(items)
  if (element.oid === Oid.numeric && element.typmod < 0) {
    const scale = Math.max(0, ...leaves.map((leaf) => scaleOf(leaf.type)))
    element = numericType(scale)
  }
  let depth = 0
  for (let item: ArrayItem | undefined = items; Array.isArray(item); item = item[0] as ArrayItem)
    depth++
  let type = element
  for (let i = 0; i < depth; i++) type = arrayOf(type)
  const print = (item: ArrayItem): string =>
    Array.isArray(item)
      ? `[${item.map((one) => print(one as ArrayItem)).join(', ')}]`
      : item === null
        ? 'NULL'
        : literalOf(item as string, element, true, location).sql
  const sql = `CAST(${print(items)} AS ${printEngineType(type.engine)})`
  return { sql, type, shape: { kind: 'constant', text }, parts: [], location }
}
