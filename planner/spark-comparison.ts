/** SparkComparison: the types in which Spark compares values, and chooses among them. */

import type { DataType } from '../storage/schema.js'
import { type SparkComparison, untranslatable } from './spark-expression.js'
import { sparkLiteral } from './spark-literal.js'
import {
  BOOLEAN,
  castTo,
  isIntegral,
  isPrimitive,
  isTime,
  made,
  NTZ,
  sameType,
  type SparkValue,
  sparkTypeName,
  TIMESTAMP,
  widerNumber,
} from './spark-value.js'

/** Values of the type that Spark finds for all of them; 0A000 where it would change more than their width. */
export function commonValues(values: readonly SparkValue[]): {
  readonly type: DataType
  readonly values: readonly SparkValue[]
} {
  const known = values.filter((value) => !isPrimitive(value.type, 'void'))
  const [first, ...others] = known
  if (first === undefined) throw untranslatable('a choice of nulls')
  let { type } = first
  for (const other of others) {
    if (sameType(type, other.type)) continue
    // As a value of the type so far: that of a literal is no longer the literal's.
    const wider = widerNumber(
      { ...first, type, constant: undefined },
      { ...other, constant: undefined },
    )
    if (wider === undefined) {
      throw untranslatable(`a choice of ${sparkTypeName(type)} and ${sparkTypeName(other.type)}`)
    }
    type = wider
  }
  return { type, values: values.map((value) => castTo(value, type)) }
}

const COMPARISONS: Readonly<Record<SparkComparison, string>> = {
  '=': '=',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '<=>': 'IS NOT DISTINCT FROM',
}

/** `left operator right`; see `comparable`. */
export function compare(
  operator: SparkComparison,
  left: SparkValue,
  right: SparkValue,
  inList = false,
): SparkValue {
  const [a, b] = comparable(left, right, inList)
  return made(`(${a.sql} ${COMPARISONS[operator]} ${b.sql})`, BOOLEAN, a, b)
}

/** Both sides as values of the type in which Spark compares them. */
export function comparable(
  left: SparkValue,
  right: SparkValue,
  inList = false,
): readonly [SparkValue, SparkValue] {
  const pair = `comparing ${sparkTypeName(left.type)} with ${sparkTypeName(right.type)}`
  if (isPrimitive(left.type, 'void')) return [castTo(left, right.type), right]
  if (isPrimitive(right.type, 'void')) return [left, castTo(right, left.type)]
  if (sameType(left.type, right.type)) {
    if (left.type.kind === 'primitive' && left.type.name !== 'variant') return [left, right]
    if (left.type.kind === 'decimal') return [left, right]
    throw untranslatable(pair)
  }
  const wider = widerNumber(left, right)
  if (wider !== undefined) return [castTo(left, wider), castTo(right, wider)]
  if (isTime(left.type) && isTime(right.type)) {
    if (inList) throw untranslatable(pair)
    const has = (type: 'timestamp' | 'timestamp_ntz'): boolean =>
      isPrimitive(left.type, type) || isPrimitive(right.type, type)
    const common = has('timestamp') ? TIMESTAMP : NTZ
    return [castTo(left, common), castTo(right, common)]
  }
  if (isPrimitive(left.type, 'string') && left.constant !== undefined) {
    return [constantAs(left.constant, right.type, pair), right]
  }
  if (isPrimitive(right.type, 'string') && right.constant !== undefined) {
    return [left, constantAs(right.constant, left.type, pair)]
  }
  throw untranslatable(pair)
}

/**
 * A text literal as a value of the type it is compared with.
 *
 * Spark compares some of them as texts and others as values: only the text that the value would be
 * printed as means the same in both.
 */
function constantAs(text: string, type: DataType, pair: string): SparkValue {
  if (isPrimitive(type, 'date') && /^\d{4}-\d\d-\d\d$/.test(text)) {
    return sparkLiteral({ kind: 'literal', type: 'date', text })
  }
  if (isIntegral(type) && /^(?:0|-?[1-9]\d{0,17})$/.test(text)) {
    const number = sparkLiteral({ kind: 'literal', type: 'integral', text })
    const wider = widerNumber(number, { sql: '', type, fails: false })
    if (wider !== undefined && sameType(wider, type)) return castTo(number, type)
  }
  const isMoment = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{0,5}[1-9])?$/.test(text)
  if (isMoment && isPrimitive(type, 'timestamp', 'timestamp_ntz')) {
    return sparkLiteral({
      kind: 'literal',
      type: type.kind === 'primitive' && type.name === 'timestamp' ? 'timestamp' : 'timestamp_ntz',
      text,
    })
  }
  throw untranslatable(pair)
}
