/** QueryGroups: GROUP BY. */

import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import { settled } from './expression-types.js'
import { outputIndex } from './query-sorts.js'
import type { Target } from './query-targets.js'
import type { Scope } from './scope.js'
import { type Node, constantOf, listOf, nodeOf, stringOf } from './syntax-tree.js'
import { type TypedExpression, anyPart } from './typed-expression.js'

interface Groups {
  readonly sql: string
  /** DuckDB text of each grouping expression. */
  readonly keys: ReadonlySet<string>
}

export function analyzeGroups(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  targets: readonly Target[],
): Groups {
  const keys = new Set<string>()
  const key = (node: Node): string => {
    const value = groupValue(analysis, node, scope, targets)
    if (anyPart(value, (part) => part.shape.kind === 'aggregate')) {
      throw analysis.error(
        SqlState.groupingError,
        'aggregate functions are not allowed in GROUP BY',
        value.location,
      )
    }
    const typed = settled(analysis, value)
    keys.add(typed.sql)
    const place = targets.findIndex((target) => target.value.sql === typed.sql)
    // By place where there is one: a constant would be taken for a place itself.
    return place >= 0
      ? String(place + 1)
      : typed.shape.kind === 'constant'
        ? `(SELECT ${typed.sql})`
        : typed.sql
  }
  const expressionText = (node: Node): string => {
    const set = nodeOf(node, 'GroupingSet')
    if (set === undefined) {
      const row = nodeOf(node, 'RowExpr')
      return row === undefined ? key(node) : `(${listOf(row.args).map(key).join(', ')})`
    }
    const content = listOf(set.content).map(expressionText).join(', ')
    switch (set.kind) {
      case 'GROUPING_SET_EMPTY':
        return '()'
      case 'GROUPING_SET_ROLLUP':
        return `ROLLUP (${content})`
      case 'GROUPING_SET_CUBE':
        return `CUBE (${content})`
      case 'GROUPING_SET_SETS':
        return `GROUPING SETS (${content})`
      default:
        return `(${content})`
    }
  }
  const clause = listOf(select.groupClause)
  const sets = clause.some((node) => nodeOf(node, 'GroupingSet') !== undefined)
  if (sets) {
    // Places are not understood inside grouping sets: the expressions themselves are written.
    const byText = clause.map((node) => withoutPlaces(expressionText(node), targets))
    return { sql: byText.join(', '), keys }
  }
  return { sql: clause.map(expressionText).join(', '), keys }
}

function withoutPlaces(sql: string, targets: readonly Target[]): string {
  return sql.replaceAll(
    /(?<=^|[(,] ?)(\d+)(?=$|[),])/g,
    (place) => targets[Number(place) - 1]?.value.sql ?? place,
  )
}

function groupValue(
  analysis: Analysis,
  node: Node,
  scope: Scope,
  targets: readonly Target[],
): TypedExpression {
  const isPlace = constantOf(node) !== undefined
  const parts = listOf(nodeOf(node, 'ColumnRef')?.fields)
  const name = parts.length === 1 ? stringOf(parts[0]) : undefined
  // An input column wins over an output name in GROUP BY; a place and a name of nothing else do not.
  const input = name !== undefined && scope.columns.some((column) => column.name === name)
  if (isPlace || (name !== undefined && !input)) {
    const index = outputIndex(analysis, node, targets, 'GROUP BY')
    const target = index === null ? undefined : targets[index]
    if (target !== undefined) return target.value
  }
  return analyzeExpression(analysis, node, scope, plainPlace('GROUP BY'))
}
