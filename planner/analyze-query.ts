/** AnalyzeQuery: SELECT, VALUES, set operations and WITH as one query in DuckDB's words. */

import { quoteIdentifier } from '../storage/engine.js'
import type { Analysis, AnalyzedQuery } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { analyzeFrom } from './analyze-from.js'
import { conjunctsOf } from './conjuncts.js'
import { HAVING, SELECT_LIST, plainPlace } from './expression-place.js'
import { booleanOf, settled } from './expression-types.js'
import { requireGrouped } from './grouping.js'
import { analyzeGroups } from './query-groups.js'
import type { QueryLevel } from './query-level.js'
import { uniqueNames } from './query-names.js'
import { analyzeSetOperation, analyzeValues } from './query-sets.js'
import { analyzeSorts, distinctText, limitText, tiesText } from './query-sorts.js'
import { type Target, analyzeTargets } from './query-targets.js'
import { analyzeWith } from './query-with.js'
import { Scope } from './scope.js'
import { type Node, listOf, nodeOf } from './syntax-tree.js'
import { type TypedExpression, anyPart } from './typed-expression.js'
import { windowText } from './window-text.js'

/** A whole statement's query. */
export function analyzeQuery(analysis: Analysis, select: Node): AnalyzedQuery {
  return analyzeSelect(analysis, select, new Scope(undefined))
}

/** The query of an INSERT: literals stay untyped for the columns to decide. */
export function analyzeSourceQuery(analysis: Analysis, select: Node): AnalyzedQuery {
  return analyzeSelect(analysis, select, new Scope(undefined), KEEP_UNKNOWN)
}

/** A query inside another, which may use `outer`'s columns. */
export function analyzeSubquery(analysis: Analysis, node: Node, outer: Scope): AnalyzedQuery {
  const select = nodeOf(node, 'SelectStmt')
  if (select === undefined)
    throw analysis.notSupported('a statement that changes data inside a query')
  return analyzeSelect(analysis, select, new Scope(outer))
}

/** Columns that are still of no type, for a set operation or INSERT to decide. */
export const KEEP_UNKNOWN = true

/** `scope` is the query's own, empty level. */
export function analyzeSelect(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  keepUnknown = false,
): AnalyzedQuery {
  if (listOf(select.lockingClause).length > 0) {
    // Rows of a lake are never changed in place: there is nothing to lock and nothing to wait for.
    return analyzeSelect(analysis, { ...select, lockingClause: undefined }, scope, keepUnknown)
  }
  const withSql = analyzeWith(analysis, select.withClause as Node | undefined, scope)
  const operation = String(select.op ?? 'SETOP_NONE')
  const query =
    operation !== 'SETOP_NONE'
      ? analyzeSetOperation(analysis, select, scope, operation, keepUnknown)
      : select.valuesLists !== undefined
        ? analyzeValues(analysis, select, scope, keepUnknown)
        : analyzePlain(analysis, select, scope, keepUnknown)
  return withSql.sql === '' ? query : { ...query, sql: withSql.sql + query.sql }
}

function analyzePlain(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  keepUnknown: boolean,
): AnalyzedQuery {
  const items = analyzeFrom(analysis, listOf(select.fromClause), scope)
  scope.ranges = items.flatMap((item) => item.ranges)
  scope.columns = items.flatMap((item) => item.columns)
  const where =
    select.whereClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, select.whereClause as Node, scope, plainPlace('WHERE')),
          'WHERE',
        )
  nameWindows(analysis, select, scope)
  const targets = analyzeTargets(analysis, select, scope).map(
    ({ name, value }): Target => ({
      name,
      value: keepUnknown ? value : analysis.located(value.location, () => settled(analysis, value)),
    }),
  )
  const groups = analyzeGroups(analysis, select, scope, targets)
  const having =
    select.havingClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, select.havingClause as Node, scope, HAVING),
          'HAVING',
        )
  const sorts = analyzeSorts(analysis, select, scope, targets)
  const values = targets.map((target) => target.value)
  const isAggregate = (one: TypedExpression): boolean =>
    anyPart(one, (part) => part.shape.kind === 'aggregate')
  const sortValues = sorts.flatMap((sort) => (sort.value === undefined ? [] : [sort.value]))
  const grouped =
    select.groupClause !== undefined ||
    having !== undefined ||
    [...values, ...sortValues].some(isAggregate)
  if (grouped) {
    for (const value of [...values, ...(having === undefined ? [] : [having]), ...sortValues]) {
      requireGrouped(analysis, value, groups.keys)
    }
  }
  const engineNames = uniqueNames(targets.map((target) => target.name))
  const distinct = distinctText(analysis, select, scope, targets, sorts)
  const list = targets.map(
    (target, i) => `${target.value.sql} AS ${quoteIdentifier(engineNames[i] ?? '')}`,
  )
  const ties = select.limitOption === 'LIMIT_OPTION_WITH_TIES'
  const parts = [
    `SELECT ${distinct}${list.length === 0 ? '1 AS "?"' : list.join(', ')}`,
    items.length === 0 ? '' : ` FROM ${items.map((item) => item.sql).join(', ')}`,
    where === undefined ? '' : ` WHERE ${where.sql}`,
    groups.sql === '' ? '' : ` GROUP BY ${groups.sql}`,
    having === undefined ? '' : ` HAVING ${having.sql}`,
    ties ? tiesText(analysis, select, sorts, targets) : '',
    sorts.length === 0 ? '' : ` ORDER BY ${sorts.map((sort) => sort.sql).join(', ')}`,
    limitText(analysis, select, scope),
  ]
  if (list.length === 0 && items.length === 0 && where === undefined) parts[0] = 'SELECT 1 AS "?"'
  const leaves = items.flatMap((item) => item.leaves)
  const windows = values.some((value) =>
    anyPart(value, (part) => part.shape.kind === 'window' || part.shape.kind === 'set-returning'),
  )
  const limited =
    select.limitCount !== undefined ||
    select.limitOffset !== undefined ||
    windows ||
    /^DISTINCT ON/.test(distinct)
  const groupingSets = listOf(select.groupClause).some(
    (node) => nodeOf(node, 'GroupingSet') !== undefined,
  )
  const level: QueryLevel = {
    conditions: [
      ...items.flatMap((item) => item.conditions),
      ...(where === undefined ? [] : conjunctsOf(where)).map((condition) => ({
        condition,
        only: new Set(leaves.map(({ range }) => range).filter((range) => !range.nullable)),
      })),
    ],
    ranges: leaves,
    outputs: values,
    passes: (i) => !limited && !groupingSets && (!grouped || groups.keys.has(values[i]?.sql ?? '')),
    mayInvent: grouped,
  }
  const columns = targets.map((target, i) => ({
    name: target.name,
    engineName: engineNames[i] ?? target.name,
    type: target.value.type,
  }))
  return { sql: parts.join(''), columns, levels: [level] }
}

function nameWindows(analysis: Analysis, select: Node, scope: Scope): void {
  for (const item of listOf(select.windowClause)) {
    const definition = nodeOf(item, 'WindowDef') ?? {}
    const { sql } = windowText(analysis, { ...definition, name: undefined }, scope, SELECT_LIST)
    scope.windows.set(String(definition.name), sql)
  }
}
