/** QueryTargets: what a SELECT gives, stars written out. */

import { quoteIdentifier } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { columnExpression } from './expression-columns.js'
import { SELECT_LIST } from './expression-place.js'
import { outputName } from './output-names.js'
import { type Scope, findRange } from './scope.js'
import { type Node, listOf, nodeOf, stringOf } from './syntax-tree.js'
import { type TypedExpression, locationOf } from './typed-expression.js'

export interface Target {
  readonly name: string
  readonly value: TypedExpression
}

export function analyzeTargets(analysis: Analysis, select: Node, scope: Scope): readonly Target[] {
  return listOf(select.targetList).flatMap((item): readonly Target[] => {
    const target = nodeOf(item, 'ResTarget') ?? {}
    const value = target.val as Node
    const stars = starTargets(analysis, value, scope)
    if (stars !== null) return stars
    const name = typeof target.name === 'string' ? target.name : outputName(value)
    return [{ name, value: analyzeExpression(analysis, value, scope, SELECT_LIST) }]
  })
}

/** The columns of `*` or `t.*`; null for any other item. */
function starTargets(analysis: Analysis, node: Node, scope: Scope): readonly Target[] | null {
  const reference = nodeOf(node, 'ColumnRef')
  const fields = listOf(reference?.fields)
  if (nodeOf(fields.at(-1), 'A_Star') === undefined) return null
  const location = locationOf(reference)
  if (fields.length === 1) {
    if (scope.ranges.length === 0) {
      throw analysis.error(
        SqlState.syntaxError,
        'SELECT * with no tables specified is not valid',
        location,
      )
    }
    analysis.stars.push({ location, columns: writtenOut(scope.columns, scope) })
    return scope.columns.map(({ name, column, merged }) => ({
      name,
      value: merged ?? columnExpression(column, scope, scope, location),
    }))
  }
  const names = fields.slice(0, -1).map((field) => stringOf(field) ?? '')
  const found = findRange(scope, names.at(-1) ?? '', names.length > 1 ? names.at(-2) : undefined)
  if (found === undefined) {
    throw analysis.error(
      SqlState.undefinedTable,
      `missing FROM-clause entry for table "${names.at(-1)}"`,
      location,
    )
  }
  const own = found.range.columns.map((column) => ({ name: column.name, column }))
  analysis.stars.push({ location, columns: writtenOut(own, scope) })
  return found.range.columns.map((column) => ({
    name: column.name,
    value: columnExpression(column, found.scope, scope, location),
  }))
}

/** `columns` as a client would name each of them; null where one has no name of its own. */
function writtenOut(columns: Scope['columns'], scope: Scope): string | null {
  const items: string[] = []
  for (const { name, column, merged } of columns) {
    const lower = name.toLowerCase()
    const namesakes = scope.columns.filter((other) => other.name.toLowerCase() === lower)
    const { alias } = column.range
    const ranges = scope.ranges.filter((range) => range.alias === alias)
    // Qualified where possible: a table of the join may get a column of that name later.
    const isQualified = merged === undefined && alias !== undefined && ranges.length === 1
    if (!isQualified && namesakes.length !== 1) return null
    items.push(`${isQualified ? `${quoteIdentifier(alias)}.` : ''}${quoteIdentifier(name)}`)
  }
  return items.join(', ')
}
