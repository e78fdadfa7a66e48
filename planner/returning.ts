/** Returning: the RETURNING clause of statements that change rows. */

import { SqlState } from '../storage/errors.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import { settled } from './expression-types.js'
import type { Analysis } from './analysis.js'
import { outputName } from './output-names.js'
import { ACTION, ACTION_COLUMN, type Side } from './row-change.js'
import {
  findRange,
  type NamedColumn,
  passedOn,
  type Range,
  type RangeColumn,
  Scope,
  watchedColumn,
} from './scope.js'
import { listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { expression, locationOf, type TypedExpression } from './typed-expression.js'

/** What RETURNING can show of a change. */
export interface ReturnedRows {
  /** The statement's own sides, in the order of `*`. */
  readonly sides: readonly Side[]
  /** The rows as they were, and as they are now. */
  readonly old: Side
  readonly now: Side
  /** The stage's alias. */
  readonly alias: string
  /** Whether the statement is a MERGE, which has merge_action(). */
  readonly isMerge: boolean
}

/** The items of RETURNING, whether or not it stands in a ReturningClause; empty without one. */
export function returningNodes(fields: Node): readonly Node[] {
  return listOf((fields.returningClause as Node | undefined)?.exprs)
}

/** The columns that a RETURNING clause gives, as expressions over the stage. */
export function analyzeReturning(
  analysis: Analysis,
  fields: Node,
  outer: Scope,
  rows: ReturnedRows,
): readonly { readonly name: string; readonly value: TypedExpression }[] {
  const nodes = returningNodes(fields)
  if (nodes.length === 0) return []
  const scope = new Scope(undefined, outer.ctes)
  const own = rows.sides.flatMap(({ ranges }) => ranges)
  const names = aliasesOf(fields)
  const versions = [
    ...(own.some(({ alias }) => alias === names.old)
      ? []
      : [versionRange(rows.old, names.old, (sql) => sql)]),
    ...(own.some(({ alias }) => alias === names.now)
      ? []
      : [
          versionRange(
            rows.now,
            names.now,
            (sql) => `CASE WHEN ${rows.alias}.${ACTION_COLUMN} <> ${ACTION.delete} THEN ${sql} END`,
          ),
        ]),
  ]
  scope.ranges = [...own, ...versions]
  scope.columns = rows.sides.flatMap(({ columns }) => columns)
  if (rows.isMerge)
    scope.mergeAction = `CASE ${rows.alias}.${ACTION_COLUMN} WHEN ${ACTION.update} THEN 'UPDATE' WHEN ${ACTION.delete} THEN 'DELETE' ELSE 'INSERT' END`
  const place = plainPlace('RETURNING')
  return nodes.flatMap((node) => {
    const target = nodeOf(node, 'ResTarget') ?? {}
    const value = target.val as Node
    const reference = nodeOf(value, 'ColumnRef')
    const parts = listOf(reference?.fields)
    if (nodeOf(parts.at(-1), 'A_Star') !== undefined) {
      return starred(analysis, parts, scope, locationOf(reference))
    }
    const made = settled(analysis, analyzeExpression(analysis, value, scope, place))
    const name = typeof target.name === 'string' ? target.name : outputName(value)
    return [{ name, value: made }]
  })
}

/** The names of OLD and NEW, which `WITH (OLD AS o, NEW AS n)` changes. */
function aliasesOf(fields: Node): { readonly old: string; readonly now: string } {
  const found = { old: 'old', now: 'new' }
  for (const node of listOf((fields.returningClause as Node | undefined)?.options)) {
    const { option, value } = nodeOf(node, 'ReturningOption') ?? {}
    if (option === 'RETURNING_OPTION_NEW') found.now = String(value)
    else found.old = String(value)
  }
  return found
}

function versionRange(side: Side, alias: string, textOf: (sql: string) => string): Range {
  const columns: RangeColumn[] = []
  const range: Range = { alias, schema: undefined, columns, relation: undefined, nullable: true }
  for (const { name, column } of side.columns) {
    const { type, used } = column
    columns.push(watchedColumn({ name, type, range }, textOf(passedOn(column)), used))
  }
  return range
}

function starred(
  analysis: Analysis,
  parts: readonly Node[],
  scope: Scope,
  location: number,
): readonly { readonly name: string; readonly value: TypedExpression }[] {
  const shown = (columns: readonly Pick<NamedColumn, 'name' | 'column'>[]) =>
    columns.map(({ name, column }) => ({
      name,
      value: expression(column.sql, column.type, [], location, {
        kind: 'column' as const,
        column,
        path: [],
        outer: false,
      }),
    }))
  if (parts.length === 1) return shown(scope.columns)
  const [alias = '', schema] = [stringOf(parts.at(-2)), stringOf(parts.at(-3))]
  const found = findRange(scope, alias, schema)
  if (found === undefined) {
    throw analysis.error(
      SqlState.undefinedTable,
      `missing FROM-clause entry for table "${alias}"`,
      location,
    )
  }
  return shown(found.range.columns.map((column) => ({ name: column.name, column })))
}
