/** AnalyzeExpression: a scalar expression of the parser's tree as a typed one in DuckDB's words. */

import { Oid } from '../catalog/pg-types.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { analyzeCall } from './analyze-call.js'
import { arrayConstructor, indirection, row } from './expression-arrays.js'
import { columnReference } from './expression-columns.js'
import { booleanTest, choice, coalesce, logic, minMax, nullTest } from './expression-conditions.js'
import { constant, parameter, typeCast, valueFunction } from './expression-constants.js'
import { operation } from './expression-operators.js'
import type { Place } from './expression-place.js'
import { subLink } from './expression-subqueries.js'
import { type Work, inner } from './expression-work.js'
import type { Scope } from './scope.js'
import { sqlType } from './sql-type.js'
import { type Node, kindOf, listOf, namesOf } from './syntax-tree.js'
import { type TypedExpression, expression, locationOf } from './typed-expression.js'

/** The expression `node` in `scope`; every error tells its place. */
export function analyzeExpression(
  analysis: Analysis,
  node: Node,
  scope: Scope,
  place: Place,
): TypedExpression {
  const kind = kindOf(node)
  const fields = (node[kind] ?? {}) as Node
  const location = locationOf(fields)
  return analysis.located(location, () => {
    const handler = HANDLERS[kind]
    if (handler === undefined) {
      throw analysis.notSupported(NAMES[kind] ?? `the syntax of ${kind}`, location)
    }
    const analyze = (part: Node): TypedExpression => analyzeExpression(analysis, part, scope, place)
    return handler({ analysis, fields, location, scope, place, node, analyze })
  })
}

const NAMES: Readonly<Record<string, string>> = {
  XmlExpr: 'XML',
  XmlSerialize: 'XML',
  SetToDefault: 'DEFAULT in this place',
  CurrentOfExpr: 'WHERE CURRENT OF',
  JsonFuncExpr: 'SQL/JSON',
  JsonObjectConstructor: 'SQL/JSON',
  JsonArrayConstructor: 'SQL/JSON',
  JsonIsPredicate: 'IS JSON',
  MultiAssignRef: 'assignment from a row',
}

const HANDLERS: Readonly<Record<string, (work: Work) => TypedExpression>> = {
  A_Const: constant,
  ColumnRef: columnReference,
  ParamRef: parameter,
  TypeCast: typeCast,
  FuncCall: ({ analysis, fields, scope, place }) => analyzeCall(analysis, fields, scope, place),
  A_Expr: operation,
  BoolExpr: logic,
  NullTest: nullTest,
  BooleanTest: booleanTest,
  CaseExpr: choice,
  CoalesceExpr: coalesce,
  MinMaxExpr: minMax,
  SubLink: subLink,
  A_ArrayExpr: arrayConstructor,
  A_Indirection: indirection,
  RowExpr: row,
  CollateClause: collate,
  SQLValueFunction: valueFunction,
  GroupingFunc: grouping,
  MergeSupportFunc: mergeAction,
}

function mergeAction({ analysis, scope, location }: Work): TypedExpression {
  if (scope.mergeAction !== undefined) {
    return expression(scope.mergeAction, sqlType(Oid.text), [], location)
  }
  throw analysis.error(
    SqlState.syntaxError,
    'MERGE_ACTION() can only be used in the RETURNING list of a MERGE command',
    location,
  )
}

function collate(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const name = namesOf(fields.collname).at(-1) ?? ''
  if (!/^(?:C|POSIX|default|ucs_basic|C\.UTF-8|C\.utf8)$/.test(name)) {
    throw analysis.error(
      SqlState.undefinedObject,
      `collation "${name}" for encoding "UTF8" does not exist`,
      location,
    )
  }
  return inner(work, fields.arg)
}

function grouping(work: Work): TypedExpression {
  const { fields, location } = work
  const parts = listOf(fields.args).map((arg) => inner(work, arg))
  const sql = `CAST(grouping(${parts.map((part) => part.sql).join(', ')}) AS INTEGER)`
  return expression(sql, sqlType(Oid.int4), parts, location, { kind: 'grouping' })
}
