/** ExpressionConditions: AND, OR and NOT, tests, CASE, COALESCE, GREATEST and LEAST. */

import { Oid } from '../catalog/pg-types.js'
import { callOperator } from './analyze-call.js'
import { not } from './expression-operators.js'
import { booleanOf, settled, unified } from './expression-types.js'
import { type Work, inner } from './expression-work.js'
import { sqlType } from './sql-type.js'
import { listOf, nodeOf } from './syntax-tree.js'
import { type Shape, type TypedExpression, expression, locationOf } from './typed-expression.js'

export function logic(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const word = { AND_EXPR: 'AND', OR_EXPR: 'OR', NOT_EXPR: 'NOT' }[String(fields.boolop)] ?? 'AND'
  const parts = listOf(fields.args).map((arg) => booleanOf(analysis, inner(work, arg), word))
  if (word === 'NOT') return not(parts[0] as TypedExpression, location)
  return expression(
    `(${parts.map((part) => part.sql).join(` ${word} `)})`,
    sqlType(Oid.bool),
    parts,
    location,
    {
      kind: word === 'AND' ? 'and' : 'or',
    },
  )
}

export function nullTest(work: Work): TypedExpression {
  const { fields, location } = work
  const value = inner(work, fields.arg)
  const isNull = fields.nulltesttype === 'IS_NULL'
  const shape: Shape = { kind: isNull ? 'is-null' : 'is-not-null' }
  const words = isNull ? 'IS NULL' : 'IS NOT NULL'
  if (value.type.oid === Oid.record && value.parts.length > 0) {
    // A row is null when all its fields are, and not null when none is.
    const sql = `(${value.parts.map((part) => `${part.sql} ${words}`).join(' AND ')})`
    return expression(sql, sqlType(Oid.bool), value.parts, location)
  }
  return expression(`(${value.sql} ${words})`, sqlType(Oid.bool), [value], location, shape)
}

const BOOLEAN_TESTS: Readonly<Record<string, string>> = {
  IS_TRUE: 'IS TRUE',
  IS_NOT_TRUE: 'IS NOT TRUE',
  IS_FALSE: 'IS FALSE',
  IS_NOT_FALSE: 'IS NOT FALSE',
  IS_UNKNOWN: 'IS NULL',
  IS_NOT_UNKNOWN: 'IS NOT NULL',
}

export function booleanTest(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const words = BOOLEAN_TESTS[String(fields.booltesttype)] ?? 'IS TRUE'
  const name =
    words === 'IS NULL' ? 'IS UNKNOWN' : words === 'IS NOT NULL' ? 'IS NOT UNKNOWN' : words
  const value = booleanOf(analysis, inner(work, fields.arg), name)
  return expression(`(${value.sql} ${words})`, sqlType(Oid.bool), [value], location)
}

export function choice(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const subject = fields.arg === undefined ? undefined : settled(analysis, inner(work, fields.arg))
  const whens = listOf(fields.args).map((arm) => nodeOf(arm, 'CaseWhen') ?? {})
  const tests = whens.map((when) => {
    const test = inner(work, when.expr)
    return subject === undefined
      ? booleanOf(analysis, test, 'CASE/WHEN')
      : callOperator(analysis, '=', [subject, test], locationOf(when))
  })
  const results = whens.map((when) => inner(work, when.result))
  const otherwise = fields.defresult === undefined ? undefined : inner(work, fields.defresult)
  const { values, type } = unified(
    analysis,
    otherwise === undefined ? results : [...results, otherwise],
    'CASE',
  )
  const arms = tests.map((test, i) => `WHEN ${test.sql} THEN ${values[i]?.sql}`)
  const last = otherwise === undefined ? '' : ` ELSE ${values.at(-1)?.sql}`
  const result = {
    ...type,
    digits: values.find((value) => value.type.digits !== undefined)?.type.digits,
  }
  return expression(`CASE ${arms.join(' ')}${last} END`, result, [...tests, ...values], location)
}

export function coalesce(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const { values, type } = unified(
    analysis,
    listOf(fields.args).map((arg) => inner(work, arg)),
    'COALESCE',
  )
  const result = {
    ...type,
    digits: values.find((value) => value.type.digits !== undefined)?.type.digits,
  }
  return expression(
    `coalesce(${values.map((value) => value.sql).join(', ')})`,
    result,
    values,
    location,
  )
}

export function minMax(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const name = fields.op === 'IS_LEAST' ? 'least' : 'greatest'
  const { values, type } = unified(
    analysis,
    listOf(fields.args).map((arg) => inner(work, arg)),
    name.toUpperCase(),
  )
  return expression(
    `${name}(${values.map((value) => value.sql).join(', ')})`,
    type,
    values,
    location,
  )
}
