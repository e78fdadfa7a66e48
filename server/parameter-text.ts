/** Parameters in text format: what PostgreSQL's input functions read, as values to bind. */

import { Oid, pgTypeByOid } from '../catalog/pg-types.js'
import { dateTimeOf, isMovingWord } from '../planner/date-time-value.js'
import { parseInterval } from '../planner/interval-text.js'
import { type ArrayItem, parseArrayText } from '../planner/array-text.js'
import type { OutputStyle } from '../planner/result.js'
import {
  booleanOfText,
  bytesOfText,
  charOfText,
  checkJson,
  floatOfText,
  integerOfText,
  invalidText,
  nameOfText,
  uuidOfText,
} from '../planner/scalar-input.js'
import type { EngineType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { arrayValue, type Items, NUMERIC_NAN, numericValue } from './parameter-value.js'

/**
 * The value that `text` spells, bound as `type`, the engine's type of `oid`.
 *
 * 22P02 for what spells none, 22007 and 22008 for dates and times, 22003 for numbers out of range.
 */
export function scalarOfText(
  text: string,
  oid: number,
  type: EngineType,
  style: OutputStyle,
): Scalar {
  const name = type.kind === 'scalar' ? type.name : undefined
  switch (name) {
    case 'BOOLEAN':
      return booleanOfText(text)
    case 'SMALLINT':
    case 'INTEGER':
      return Number(integerOfText(text, oid))
    case 'BIGINT':
      return integerOfText(text, oid)
    case 'FLOAT':
    case 'DOUBLE':
      return floatOfText(text, oid)
    case 'BLOB':
      return bytesOfText(text)
    case 'DATE':
    case 'TIME':
    case 'TIMETZ':
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ':
      return dateTimeOfText(text, oid, style)
    case 'INTERVAL':
      return parseInterval(text, { leadingSign: style.intervalStyle === 'sql_standard' })
    case 'UUID':
      return uuidOfText(text)
    case 'VARCHAR':
      if (oid === Oid.json || oid === Oid.jsonb) checkJson(text, oid)
      if (oid === Oid.char) return charOfText(text)
      return oid === Oid.name ? nameOfText(text) : text
    default:
      throw new SqlError(
        SqlState.featureNotSupported,
        `parameters of type ${pgTypeByOid(oid)?.displayName ?? oid} are not supported`,
      )
  }
}

function dateTimeOfText(text: string, oid: number, style: OutputStyle): Scalar {
  if (isMovingWord(text)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `"${text.trim()}" is not supported as a parameter`,
      { hint: 'Use now() or current_date in the statement.' },
    )
  }
  return dateTimeOf(text, oid, style)
}

/**
 * A numeric as the decimal that holds it exactly; NaN and the infinities as doubles.
 *
 * 22003 beyond 38 digits.
 */
export function numericOfText(text: string): EngineValue {
  const match = /^\s*([+-]?)0*(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,9}))?\s*$/i.exec(text)
  if (match === null || !/\d/.test(text.replace(/e.*$/i, ''))) {
    const special = /^\s*([+-]?)(nan|inf(?:inity)?)\s*$/i.exec(text)
    if (special === null) throw invalidText(text, Oid.numeric)
    if (special[2]?.toLowerCase() === 'nan') return NUMERIC_NAN
    return { ...NUMERIC_NAN, value: special[1] === '-' ? -Infinity : Infinity }
  }
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  return numericValue(sign === '-', whole + fraction, fraction.length - Number(exponent))
}

/** An array of `elementOid`'s type, of as many dimensions as its text has. */
export function arrayOfText(text: string, elementOid: number, style: OutputStyle): EngineValue {
  return arrayValue(itemsOf(parseArrayText(text)), elementOid, (item, type) =>
    elementOid === Oid.numeric
      ? numericOfText(item)
      : { type, value: scalarOfText(item, elementOid, type, style) },
  )
}

function itemsOf(items: readonly ArrayItem[]): Items<string> {
  return items as Items<string>
}
