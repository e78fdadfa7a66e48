/** Literals: constants of the statement's text as values of the type their place asks for. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type ArrayItem, parseArrayText } from './array-text.js'
import { invalidDateTime } from './date-time-input.js'
import { dateTimeOf, dateTimeSql, isMovingWord } from './date-time-value.js'
import { intervalSql, parseInterval } from './interval-text.js'
import {
  booleanOfText,
  bytesOfText,
  charOfText,
  checkJson,
  floatOfText,
  integerOfText,
  nameOfText,
  trimmed,
  uuidOfText,
} from './scalar-input.js'
import {
  arrayOf,
  DECIMAL_DIGITS_MAX,
  elementOf,
  intervalReading,
  isArrayOid,
  numericType,
  scaleOf,
  type SqlType,
  sqlType,
  typeName,
} from './sql-type.js'
import type { OutputStyle } from './result.js'
import type { TypedExpression } from './typed-expression.js'

/** Settings that tell how dates, times and intervals are read. */
export type InputStyle = Pick<OutputStyle, 'dateOrder' | 'intervalStyle' | 'timeZone'>

/** PostgreSQL's settings when nobody sets them. */
export const DEFAULT_INPUT_STYLE: InputStyle = {
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'UTC',
}

/** Where a literal stands. */
export interface LiteralPlace {
  /** Under a cast: a text that is too long is cut. */
  readonly explicit: boolean
  readonly location: number
  readonly style?: InputStyle | undefined
}

/**
 * The quoted literal `text` read as PostgreSQL's input function of `target` reads it.
 *
 * 22P02, 22003, 22007 or 22008 with PostgreSQL's message when it is no such value.
 */
export function literalOf(text: string, target: SqlType, place: LiteralPlace): TypedExpression {
  const { explicit, location, style = DEFAULT_INPUT_STYLE } = place
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
      return of(`CAST('${integerOfText(text, target.oid)}' AS ${engine})`)
    case Oid.oid:
      return of(`CAST('${integerOfText(text, Oid.oid)}' AS BIGINT)`)
    case Oid.numeric:
      return numericOf(text, target, location)
    case Oid.float4:
    case Oid.float8:
      return of(`CAST('${floatText(text, target.oid)}' AS ${engine})`)
    case Oid.bool:
      return of(String(booleanOfText(text)))
    case Oid.varchar:
    case Oid.bpchar:
      return of(quoteLiteral(fitted(text, target, explicit)))
    case Oid.date:
    case Oid.timestamp:
    case Oid.timestamptz:
    case Oid.time:
    case Oid.timetz:
      // The modifier is applied by whoever asked for it, with rounding.
      return of(dateTimeText(text, target.oid, style), { ...target, typmod: -1 })
    case Oid.interval: {
      const value = parseInterval(text, {
        ...intervalReading(target.typmod),
        leadingSign: style.intervalStyle === 'sql_standard',
      })
      return of(intervalSql(value), { ...target, typmod: -1 })
    }
    case Oid.char:
      return of(quoteLiteral(charOfText(text)))
    case Oid.bytea:
      return of(`from_hex('${bytesOfText(text).toString('hex')}')`)
    case Oid.uuid:
      return of(`CAST('${uuidOfText(text)}' AS UUID)`)
    case Oid.json:
    case Oid.jsonb:
      checkJson(text, target.oid)
      return of(`CAST(${quoteLiteral(text)} AS JSON)`)
    default:
      if (isArrayOid(target.oid)) return arrayLiteral(text, target, place)
      return of(
        target.oid === Oid.text
          ? quoteLiteral(text)
          : target.oid === Oid.name
            ? quoteLiteral(nameOfText(text))
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

function invalidSyntax(text: string, type: SqlType): SqlError {
  return new SqlError(
    SqlState.invalidTextRepresentation,
    `invalid input syntax for type ${typeName(type)}: "${text}"`,
  )
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

function dateTimeText(text: string, oid: number, style: InputStyle): string {
  if (!isMovingWord(text)) return dateTimeSql(dateTimeOf(text, oid, style), oid)
  const word = text.trim().toLowerCase()
  const type = oid === Oid.date ? 'DATE' : oid === Oid.timestamp ? 'TIMESTAMP' : 'TIMESTAMPTZ'
  if (oid === Oid.time || oid === Oid.timetz) {
    if (word !== 'now') throw invalidDateTime(text, oid)
    return oid === Oid.time ? 'CAST(CAST(now() AS TIMESTAMP) AS TIME)' : 'CAST(now() AS TIMETZ)'
  }
  if (word === 'now') return `CAST(now() AS ${type})`
  const shift = word === 'today' ? '' : word === 'tomorrow' ? ' + 1' : ' - 1'
  return `CAST((CAST(now() AS DATE)${shift}) AS ${type})`
}

/** As the engine reads it: all digits the client wrote. */
function floatText(text: string, oid: number): string {
  const value = floatOfText(text, oid)
  if (Number.isNaN(value)) return 'nan'
  return Number.isFinite(value) ? trimmed(text) : value > 0 ? 'inf' : '-inf'
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

function arrayLiteral(text: string, target: SqlType, place: LiteralPlace): TypedExpression {
  const of = (item: string): TypedExpression =>
    literalOf(item, element, { ...place, explicit: true })
  let element = elementOf(target) ?? sqlType(Oid.text)
  while (isArrayOid(element.oid)) element = elementOf(element) ?? sqlType(Oid.text)
  const items = parseArrayText(text)
  const leaves: TypedExpression[] = []
  const collect = (item: ArrayItem): void => {
    if (Array.isArray(item)) for (const one of item) collect(one as ArrayItem)
    else if (item !== null) leaves.push(of(item as string))
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
        : of(item as string).sql
  const sql = `CAST(${print(items)} AS ${printEngineType(type.engine)})`
  return { sql, type, shape: { kind: 'constant', text }, parts: [], location: place.location }
}
