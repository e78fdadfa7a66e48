/** NumberBuilders: arithmetic over numerics. */

import { Oid } from '../../catalog/pg-types.js'
import { printEngineType } from '../../storage/engine-type.js'
import { type SqlType, integerDigitsOf, numericType, scaleOf, sqlType } from '../sql-type.js'
import type { TypedExpression } from '../typed-expression.js'
import {
  type Builder,
  type Built,
  type Call,
  arg,
  digitsOf,
  needConstant,
  numeric,
  refuse,
  sql,
} from './builder.js'

/** Digits behind the point of a quotient that PostgreSQL gives for numbers below one. */
const QUOTIENT_SCALE = 20

/** The quotient of two exact numbers, with as many digits as PostgreSQL gives. */
export function quotient(
  left: string,
  leftType: SqlType,
  right: string,
  rightType: SqlType,
): Built {
  const [s1, s2] = [scaleOf(leftType), scaleOf(rightType)]
  const wide =
    integerDigitsOf(leftType) + s2 > 38 - QUOTIENT_SCALE && integerDigitsOf(leftType) <= 19
  const scale = Math.max(wide ? 16 : QUOTIENT_SCALE, Math.min(s1, 20))
  const shift = scale - s1 + s2
  const unscaled = (value: string, digits: number): string =>
    digits === 0
      ? `CAST(${value} AS HUGEINT)`
      : `CAST(${value} * CAST(1${'0'.repeat(digits)} AS DECIMAL(${digits + 1},0)) AS HUGEINT)`
  const [a, b] = [unscaled(left, s1), `lakegate_divisor(${unscaled(right, s2)})`]
  const [digitsA, digitsB] = [integerDigitsOf(leftType) + s1, integerDigitsOf(rightType) + s2]
  const whole =
    digitsA <= 18 && digitsB <= 12
      ? longDivision(a, b, shift, 18 - digitsB)
      : // In a lambda, so that sums and counts stand in the text once.
        `list_transform([[${a}, ${b}]], lambda p: lakegate_quotient(p[1], p[2], ${power(Math.floor(shift / 2))}, ${power(Math.ceil(shift / 2))}))[1]`
  return {
    sql: `(${whole} * CAST(0.${'0'.repeat(scale - 1)}1 AS DECIMAL(${scale},${scale})))`,
    type: { ...numericType(scale), digits: 'quotient' },
  }
}

function power(digits: number): string {
  return `1${'0'.repeat(digits)}::HUGEINT`
}

/**
 * `a / b` with `shift` digits behind the point, as a whole HUGEINT, half away from zero.
 *
 * Worked out `step` digits at a time in 64 bits: DuckDB divides numbers of 128 bits bit by bit.
 */
function longDivision(a: string, b: string, shift: number, step: number): string {
  const [dividend, divisor] = [`CAST(abs(${a}) AS BIGINT)`, `CAST(abs(${b}) AS BIGINT)`]
  let result = `CAST(${dividend} // ${divisor} AS HUGEINT)`
  let rest = `(${dividend} % ${divisor})`
  for (let left = shift; left > 0; left -= step) {
    const factor = `1${'0'.repeat(Math.min(step, left))}`
    result = `(${result} * ${factor} + (${rest} * ${factor}) // ${divisor})`
    rest = `((${rest} * ${factor}) % ${divisor})`
  }
  const rounded = `(${result} + CASE WHEN 2 * ${rest} >= ${divisor} THEN 1 ELSE 0 END)`
  return `CASE WHEN (${a} < 0) <> (${b} < 0) THEN -1 ELSE 1 END * ${rounded}`
}

function approximate(call: Call): Built {
  let body = call.word
  call.args.forEach((one, i) => {
    body = body.replaceAll(`$${i + 1}`, () => one.sql)
  })
  body = body
    .replace('@', () => call.inside(call.args.map((one) => one.sql).join(', ')))
    .replace('~', () => call.after)
  return numeric(`lakegate_finite_numeric(${body})`, 16, 'quotient')
}

export const NUMBER_BUILDERS: Readonly<Record<string, Builder>> = {
  refuse,
  approximate,
  wholeNumeric: (call) => {
    const type = { ...numericType(0), digits: undefined }
    return { sql: `CAST(${call.word.replace('$1', () => sql(call, 0))} AS DECIMAL(38,0))`, type }
  },
  roundNumeric: (call) => {
    const digits = Number(needConstant(call, 1, 'the number of digits'))
    const [value] = call.args
    if (value === undefined) return refuse(call)
    const scale = Math.max(0, Math.min(digits, 38))
    if (digits >= scaleOf(value.type)) {
      const room = Math.min(scale, 38 - Math.min(integerDigitsOf(value.type), 19))
      return numeric(value.sql, Math.max(room, scaleOf(value.type)))
    }
    return numeric(`${call.word}(${value.sql}, ${digits})`, scale)
  },
  power: (call): Built =>
    numeric(
      `lakegate_finite_numeric(lakegate_power(CAST(${sql(call, 0)} AS DOUBLE), CAST(${sql(call, 1)} AS DOUBLE)))`,
      16,
      'quotient',
    ),
  modulo: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const scale = Math.max(scaleOf(left.type), scaleOf(right.type))
    const typed = `DECIMAL(38,${scale})`
    return numeric(
      `CAST(${left.sql} AS ${typed}) % lakegate_divisor(CAST(${right.sql} AS ${typed}))`,
      scale,
      digitsOf(left.type, right.type),
    )
  },
  divNumeric: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const { sql: exact } = quotient(left.sql, left.type, right.sql, right.type)
    return numeric(`trunc(${exact})`, 0)
  },
  divide: (call) => quotient(sql(call, 0), arg(call, 0).type, sql(call, 1), arg(call, 1).type),
  numericOperator: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const digits = digitsOf(left.type, right.type)
    const [s1, s2] = [scaleOf(left.type), scaleOf(right.type)]
    const [i1, i2] = [integerDigitsOf(left.type), integerDigitsOf(right.type)]
    if (call.word !== '*') {
      const scale = Math.max(s1, s2)
      const width = Math.min(38, Math.max(i1, i2) + scale + 1)
      const wide = `DECIMAL(${width},${scale})`
      const side = (one: TypedExpression): string =>
        printEngineType(one.type.engine) === wide ? one.sql : `CAST(${one.sql} AS ${wide})`
      return numeric(`${side(left)} ${call.word} ${side(right)}`, scale, digits, width)
    }
    // A product has the digits of both; where that is more than there is room for, what is left of
    // a quotient's digits goes first.
    const room = 38 - Math.min(19, i1 + i2)
    const fits = s1 + s2 <= room || (s1 + s2 <= 38 && digits === undefined)
    const [t1, t2] = fits
      ? [s1, s2]
      : s1 >= s2
        ? [Math.max(0, room - s2), Math.min(s2, room)]
        : [Math.min(s1, room), Math.max(0, room - s1)]
    const width = Math.min(38, i1 + i2 + t1 + t2)
    // DuckDB keeps products of two 64-bit decimals in 64 bits unless an operand is wider.
    const widest = width > 18 ? 38 : 18
    const side = (one: TypedExpression, from: number, to: number, whole: number): string =>
      from === to && widest === 18
        ? one.sql
        : `CAST(${one.sql} AS DECIMAL(${widest === 38 ? 38 : Math.min(18, whole + to)},${to}))`
    return numeric(
      `${side(left, s1, t1, i1)} * ${side(right, s2, t2, i2)}`,
      t1 + t2,
      digits,
      Math.max(width, t1 + t2, 1),
    )
  },
  numericScale: (call) => ({
    sql: `CAST(${scaleOf(arg(call, 0).type)} AS INTEGER)`,
    type: sqlType(Oid.int4),
  }),
  trimScale: (call) => ({
    sql: sql(call, 0),
    type: { ...arg(call, 0).type, typmod: -1, digits: 'trimmed' },
  }),
}
