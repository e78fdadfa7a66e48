/** Grouping: which columns may stand outside of aggregates once rows are grouped. */

import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import type { TypedExpression } from './typed-expression.js'

/**
 * Checks that `value` uses columns of grouped rows only through `keys` or inside aggregates.
 *
 * 42803 naming the column otherwise. Columns of enclosing queries are constants here.
 */
export function requireGrouped(
  analysis: Analysis,
  value: TypedExpression,
  keys: ReadonlySet<string>,
): void {
  if (keys.has(value.sql) || value.shape.kind === 'aggregate' || value.shape.kind === 'grouping')
    return
  if (value.shape.kind === 'column' && value.parts.length === 0) {
    const { column, outer } = value.shape
    if (outer) return
    const table = column.range.alias
    throw analysis.error(
      SqlState.groupingError,
      `column "${table === undefined ? '' : `${table}.`}${column.name}" must appear in the GROUP BY clause or be used in an aggregate function`,
      value.location,
    )
  }
  for (const part of value.parts) requireGrouped(analysis, part, keys)
}
