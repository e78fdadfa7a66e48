/** ExpressionSubqueries: subqueries as values and as conditions. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import { callOperator } from './analyze-call.js'
import { analyzeSubquery } from './analyze-query.js'
import { UNKNOWN } from './expression-constants.js'
import { type Work, inner } from './expression-work.js'
import { type SqlType, arrayOf, sqlType } from './sql-type.js'
import { type Node, namesOf, nodeOf } from './syntax-tree.js'
import { type SemiJoin, type TypedExpression, expression } from './typed-expression.js'

export function subLink(work: Work): TypedExpression {
  const { analysis, fields, location, scope } = work
  const query = analyzeSubquery(analysis, fields.subselect as Node, scope)
  analysis.roots.push(query.levels)
  const bool = sqlType(Oid.bool)
  const shape = { kind: 'subquery' } as const
  const single = (): SqlType => {
    const [only] = query.columns
    if (query.columns.length !== 1 || only === undefined) {
      throw analysis.error(SqlState.syntaxError, 'subquery must return only one column', location)
    }
    return only.type
  }
  switch (fields.subLinkType) {
    case 'EXISTS_SUBLINK': {
      const [level] = query.levels
      const { op } = nodeOf(fields.subselect, 'SelectStmt') ?? {}
      const isPlain = op === undefined || op === 'SETOP_NONE'
      const semiJoin: SemiJoin | undefined =
        isPlain && level !== undefined && level.mayInvent !== true
          ? { kind: 'exists', level }
          : undefined
      return expression(`(EXISTS (${query.sql}))`, bool, [], location, { ...shape, semiJoin })
    }
    case 'EXPR_SUBLINK':
      return expression(`(${query.sql})`, single(), [], location, shape)
    case 'ARRAY_SUBLINK':
      return expression(`ARRAY(${query.sql})`, arrayOf(single()), [], location, shape)
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const operator = namesOf(fields.operName).at(-1) ?? '='
      const any = fields.subLinkType === 'ANY_SUBLINK'
      const test = inner(work, fields.testexpr)
      const lefts = test.type.oid === Oid.record && test.parts.length > 0 ? test.parts : [test]
      if (lefts.length !== query.columns.length) {
        const few = lefts.length > query.columns.length
        throw analysis.error(
          SqlState.syntaxError,
          `subquery has too ${few ? 'few' : 'many'} columns`,
          location,
        )
      }
      const pairs = lefts.map((left, i) => {
        const column = query.columns[i]
        const right = expression(
          `s.${quoteIdentifier(column?.engineName ?? '')}`,
          column?.type ?? UNKNOWN,
          [],
          location,
        )
        return callOperator(analysis, operator, [left, right], location)
      })
      const comparison = /^(?:=|<>|<|<=|>|>=)$/.test(operator)
      if (!comparison)
        throw analysis.notSupported(`${operator} ${any ? 'ANY' : 'ALL'} over a subquery`, location)
      const values = pairs.map((pair) => pair.parts[0]?.sql ?? '')
      const selected = pairs.map((pair) => pair.parts[1]?.sql ?? '')
      const source = `SELECT ${selected.join(', ')} FROM (${query.sql}) AS s`
      const left = values.length === 1 ? values[0] : `(${values.join(', ')})`
      if (values.length > 1 && !(operator === '=' && any)) {
        throw analysis.notSupported('comparing rows with a subquery by other than IN', location)
      }
      const sql =
        operator === '=' && any
          ? `(${left} IN (${source}))`
          : `(${left} ${operator} ${any ? 'ANY' : 'ALL'} (${source}))`
      return expression(
        sql,
        bool,
        pairs.map((pair) => pair.parts[0] as TypedExpression),
        location,
        {
          kind: 'subquery',
          semiJoin:
            operator === '=' && any
              ? {
                  kind: 'in',
                  sql: source,
                  types: pairs.map((pair) => pair.parts[1]?.type ?? UNKNOWN),
                }
              : undefined,
        },
      )
    }
    default:
      throw analysis.notSupported('this form of subquery', location)
  }
}
