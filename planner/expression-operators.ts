/** ExpressionOperators: operators, IN, LIKE, BETWEEN, and comparisons with the elements of arrays. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { callOperator } from './analyze-call.js'
import { coerce, commonType } from './coercion.js'
import { coerceExactly } from './expression-types.js'
import { type Work, inner } from './expression-work.js'
import { engineRegexp, similarRegexp } from './regexp.js'
import { arrayOf, categoryOf, elementOf, isArrayOid, sqlType } from './sql-type.js'
import { listOf, namesOf, nodeOf } from './syntax-tree.js'
import { type TypedExpression, expression } from './typed-expression.js'

export function operation(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const operator = namesOf(fields.name).at(-1) ?? ''
  switch (fields.kind) {
    case 'AEXPR_OP': {
      if (fields.lexpr === undefined) {
        return callOperator(analysis, operator, [inner(work, fields.rexpr)], location)
      }
      return binary(work, operator, inner(work, fields.lexpr), inner(work, fields.rexpr))
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const words = fields.kind === 'AEXPR_DISTINCT' ? 'IS DISTINCT FROM' : 'IS NOT DISTINCT FROM'
      const sides = [inner(work, fields.lexpr), inner(work, fields.rexpr)] as const
      const rows = sides.every((side) => side.type.oid === Oid.record && side.parts.length > 0)
      const equal = binary(work, '=', sides[0], sides[1])
      if (rows) {
        const pairs = equal.parts.map(
          (pair) => `${pair.parts[0]?.sql} ${words} ${pair.parts[1]?.sql}`,
        )
        const joined = fields.kind === 'AEXPR_DISTINCT' ? ' OR ' : ' AND '
        return expression(`(${pairs.join(joined)})`, sqlType(Oid.bool), equal.parts, location)
      }
      const [left, right] = equal.parts
      if (left === undefined || right === undefined) return equal
      return expression(
        `(${left.sql} ${words} ${right.sql})`,
        sqlType(Oid.bool),
        equal.parts,
        location,
      )
    }
    case 'AEXPR_NULLIF': {
      const left = inner(work, fields.lexpr)
      const equal = callOperator(analysis, '=', [left, inner(work, fields.rexpr)], location)
      const [first, second] = equal.parts
      const numbers = equal.parts.every((part) => categoryOf(part.type.oid) === 'N')
      const kept =
        left.type.oid === Oid.unknown
          ? (first ?? left)
          : numbers
            ? coerceExactly(analysis, left, {
                ...commonType(
                  equal.parts.map((part) => part.type),
                  'NULLIF',
                ),
                typmod: left.type.oid === second?.type.oid ? left.type.typmod : -1,
              })
            : left
      return expression(`nullif(${kept.sql}, ${second?.sql})`, kept.type, equal.parts, location)
    }
    case 'AEXPR_IN':
      return inList(work, operator)
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return like(work, operator)
    case 'AEXPR_SIMILAR':
      return similar(work, operator)
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return between(work)
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return overArray(work, operator, fields.kind === 'AEXPR_OP_ANY')
    default:
      throw analysis.notSupported(`the operator form ${String(fields.kind)}`, location)
  }
}

/** `left operator right`, rows compared field by field. */
export function binary(
  work: { readonly analysis: Analysis; readonly location: number },
  operator: string,
  left: TypedExpression,
  right: TypedExpression,
): TypedExpression {
  const { analysis, location } = work
  const sameRows = left.type.oid === Oid.record && right.type.oid === Oid.record
  if (!sameRows || left.shape.kind !== 'other' || left.parts.length === 0) {
    return callOperator(analysis, operator, [left, right], location)
  }
  if (left.parts.length !== right.parts.length) {
    throw analysis.error(
      SqlState.syntaxError,
      'unequal number of entries in row expressions',
      location,
    )
  }
  const pair = (name: string, i: number): TypedExpression =>
    binary(work, name, left.parts[i] as TypedExpression, right.parts[i] as TypedExpression)
  const count = left.parts.length
  const bool = sqlType(Oid.bool)
  if (operator === '=' || operator === '<>') {
    const pairs = Array.from({ length: count }, (_, i) => pair(operator, i))
    const joined = operator === '=' ? 'AND' : 'OR'
    return expression(
      `(${pairs.map((one) => one.sql).join(` ${joined} `)})`,
      bool,
      pairs,
      location,
      {
        kind: operator === '=' ? 'and' : 'or',
      },
    )
  }
  // The first fields that differ decide.
  const strict = operator.replace('=', '')
  const pairs: TypedExpression[] = []
  let sql = ''
  for (let i = count - 1; i >= 0; i--) {
    const less = pair(i === count - 1 ? operator : strict, i)
    const equal = pair('=', i)
    pairs.push(less)
    sql = i === count - 1 ? less.sql : `(${less.sql} OR (${equal.sql} AND ${sql}))`
  }
  return expression(sql, bool, pairs, location)
}

function inList(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const items = listOf(nodeOf(fields.rexpr, 'List')?.items).map((item) => inner(work, item))
  const bool = sqlType(Oid.bool)
  const not = operator === '<>'
  if (value.type.oid === Oid.record || items.some((item) => item.type.oid === Oid.record)) {
    const tests = items.map((item) => binary(work, not ? '<>' : '=', value, item))
    return expression(
      `(${tests.map((one) => one.sql).join(not ? ' AND ' : ' OR ')})`,
      bool,
      tests,
      location,
    )
  }
  const equals = items.map((item) => callOperator(analysis, '=', [value, item], location))
  const left = equals.find((one) => one.parts[0] !== undefined)?.parts[0] ?? value
  const sameLeft = equals.every((one) => one.parts[0]?.sql === left.sql)
  if (!sameLeft) {
    const tests = items.map((item) =>
      callOperator(analysis, not ? '<>' : '=', [value, item], location),
    )
    return expression(
      `(${tests.map((one) => one.sql).join(not ? ' AND ' : ' OR ')})`,
      bool,
      tests,
      location,
    )
  }
  const rights = equals.map((one) => one.parts[1] as TypedExpression)
  const sql = `(${left.sql} ${not ? 'NOT IN' : 'IN'} (${rights.map((one) => one.sql).join(', ')}))`
  return expression(sql, bool, [left, ...rights], location, { kind: not ? 'not-in' : 'in' })
}

function like(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const call = nodeOf(fields.rexpr, 'FuncCall')
  if (call === undefined || namesOf(call.funcname).at(-1) !== 'like_escape') {
    return callOperator(analysis, operator, [value, inner(work, fields.rexpr)], location)
  }
  const [patternNode, escapeNode] = listOf(call.args)
  const pattern = coerce(inner(work, patternNode), sqlType(Oid.text), 'implicit', analysis)
  const escaper = coerce(inner(work, escapeNode), sqlType(Oid.text), 'implicit', analysis)
  if (escaper.shape.kind === 'constant' && [...(escaper.shape.text ?? ' ')].length > 1) {
    throw analysis.error(SqlState.invalidEscapeSequence, 'invalid escape string', location, {
      hint: 'Escape string must be empty or one character.',
    })
  }
  const text = coerce(value, sqlType(Oid.text), 'implicit', analysis)
  const words =
    { '~~': 'LIKE', '!~~': 'NOT LIKE', '~~*': 'ILIKE', '!~~*': 'NOT ILIKE' }[operator] ?? 'LIKE'
  const noEscape = escaper.shape.kind === 'constant' && escaper.shape.text === ''
  const sql = `(${text.sql} ${words} ${pattern.sql}${noEscape ? '' : ` ESCAPE ${escaper.sql}`})`
  return expression(sql, sqlType(Oid.bool), [text, pattern, escaper], location)
}

function similar(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = coerce(inner(work, fields.lexpr), sqlType(Oid.text), 'implicit', analysis)
  const call = nodeOf(fields.rexpr, 'FuncCall')
  const [patternNode, escapeNode] = call === undefined ? [fields.rexpr] : listOf(call.args)
  const pattern = inner(work, patternNode)
  const escaper = escapeNode === undefined ? undefined : inner(work, escapeNode)
  if (
    pattern.shape.kind !== 'constant' ||
    (escaper !== undefined && escaper.shape.kind !== 'constant')
  ) {
    throw analysis.notSupported('SIMILAR TO with a pattern that is not a constant', location)
  }
  if (pattern.shape.text === null)
    return expression('CAST(NULL AS BOOLEAN)', sqlType(Oid.bool), [], location)
  const escapeText = escaper?.shape.kind === 'constant' ? (escaper.shape.text ?? '\\') : '\\'
  const regexp = engineRegexp(
    similarRegexp(pattern.shape.text, escapeText).replace(/^\\A/, '^').replace(/\\z$/, '$'),
  )
  const match = `regexp_matches(${value.sql}, ${quoteLiteral(regexp)}, 's')`
  return expression(
    operator.startsWith('!') ? `(NOT ${match})` : match,
    sqlType(Oid.bool),
    [value],
    location,
  )
}

function between(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const [low, high] = listOf(nodeOf(fields.rexpr, 'List')?.items).map((item) => inner(work, item))
  if (low === undefined || high === undefined) throw analysis.notSupported('BETWEEN', location)
  const range = (from: TypedExpression, to: TypedExpression): TypedExpression => {
    const parts = [binary(work, '>=', value, from), binary(work, '<=', value, to)]
    return expression(
      `(${parts.map((one) => one.sql).join(' AND ')})`,
      sqlType(Oid.bool),
      parts,
      location,
      { kind: 'and' },
    )
  }
  const forward = range(low, high)
  const kind = String(fields.kind)
  const result = kind.endsWith('SYM') ? either(forward, range(high, low), location) : forward
  return kind.includes('NOT') ? not(result, location) : result
}

function either(a: TypedExpression, b: TypedExpression, location: number): TypedExpression {
  return expression(`(${a.sql} OR ${b.sql})`, sqlType(Oid.bool), [a, b], location, { kind: 'or' })
}

export function not(of: TypedExpression, location: number): TypedExpression {
  return expression(`(NOT ${of.sql})`, sqlType(Oid.bool), [of], location, { kind: 'not' })
}

/** `value op ANY (array)` and ALL: the operator over each element, three-valued. */
function overArray(work: Work, operator: string, any: boolean): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  let array = inner(work, fields.rexpr)
  const bool = sqlType(Oid.bool)
  if (array.type.oid === Oid.unknown) {
    const element = value.type.oid === Oid.unknown ? sqlType(Oid.text) : value.type
    array = coerce(array, arrayOf({ ...element, typmod: -1 }), 'implicit', analysis)
  }
  let element = elementOf(array.type)
  while (element !== null && isArrayOid(element.oid)) {
    // Every element of every dimension counts.
    array = expression(`flatten(${array.sql})`, element, [array], location, { kind: 'cast' })
    element = elementOf(element)
  }
  if (element === null) {
    throw analysis.error(
      SqlState.wrongObjectType,
      'op ANY/ALL (array) requires array on right side',
      location,
    )
  }
  const item = expression('e', element, [], location)
  const test = binary(work, operator, value, item)
  const [left, right] = test.parts
  // List membership is what filters can use; the general form serves every other operator.
  if (any && operator === '=' && right?.sql === 'e' && left !== undefined) {
    const list = array.sql
    const sql = `CASE WHEN ${left.sql} IS NULL OR ${list} IS NULL THEN NULL WHEN list_contains(${list}, ${left.sql}) THEN true WHEN list_position(${list}, NULL) IS NOT NULL THEN NULL ELSE false END`
    return expression(sql, bool, [left, array], location, { kind: 'call', name: 'any' })
  }
  const sql = `${any ? 'lakegate_any' : 'lakegate_all'}(list_transform(${array.sql}, lambda e: ${test.sql}))`
  return expression(sql, bool, [value, array], location)
}
