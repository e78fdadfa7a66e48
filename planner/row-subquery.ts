/** RowSubquery: a subquery that gives several columns their values, `SET (a, b) = (SELECT …)`. */

import { quoteIdentifier } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { analyzeSubquery } from './analyze-query.js'
import type { Scope } from './scope.js'
import type { Node } from './syntax-tree.js'
import { expression, type TypedExpression } from './typed-expression.js'

/** A subquery that is evaluated once for each row of a change, whatever it depends on. */
export interface RowSubquery {
  /** The column that holds its row, as a struct; null without one. */
  readonly name: string
  /** The subquery, whose one column is that struct. */
  readonly sql: string
}

/**
 * The values that the subquery `select` gives, read from the rows that DuckDB knows as `row`, and what
 * `withRowSubqueries` is to add to these. 42601 when it has another number of columns than `count`.
 */
export function analyzeRowSubquery(
  analysis: Analysis,
  select: Node,
  count: number,
  location: number,
  scope: Scope,
  row: string,
): { readonly subquery: RowSubquery; readonly values: readonly TypedExpression[] } {
  const query = analyzeSubquery(analysis, select, scope)
  analysis.roots.push(query.levels)
  if (query.columns.length !== count) {
    throw analysis.error(
      SqlState.syntaxError,
      'number of columns does not match number of values',
      location,
    )
  }
  const name = analysis.fresh('m')
  const fields = query.columns.map(
    ({ engineName }, i) => `c${i + 1} := s.${quoteIdentifier(engineName)}`,
  )
  return {
    subquery: { name, sql: `SELECT struct_pack(${fields.join(', ')}) FROM (${query.sql}) AS s` },
    values: query.columns.map(({ type }, i) =>
      expression(`${row}.${name}.c${i + 1}`, type, [], location),
    ),
  }
}

/**
 * `rows`, a SELECT, with a column for each of the subqueries, which name its rows `row`.
 *
 * A subquery is evaluated for rows that meet `condition` only, since it may fail for others.
 */
export function withRowSubqueries(
  rows: string,
  subqueries: readonly { readonly subquery: RowSubquery; readonly condition?: string }[],
  row: string,
): string {
  if (subqueries.length === 0) return rows
  const items = subqueries.map(
    ({ subquery: { name, sql }, condition }) =>
      `(${sql}${condition === undefined ? '' : ` WHERE ${condition}`}) AS ${name}`,
  )
  return `SELECT ${row}.*, ${items.join(', ')} FROM (${rows}) AS ${row}`
}
