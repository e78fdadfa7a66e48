/** TemporaryRows: UPDATE and DELETE of a temporary table, which write all of its rows anew. */

import type { TableName } from '../catalog/catalog.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf } from './expression-types.js'
import { plainPlace } from './expression-place.js'
import { conjunctsOf } from './conjuncts.js'
import { type Analysis, type AnalyzedQuery, markerOf } from './analysis.js'
import { TARGET } from './row-change.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import {
  assign,
  checkedRows,
  defaultValue,
  returningList,
  type TargetColumn,
  targetColumn,
  targetColumns,
  targetScope,
} from './target-table.js'

export interface ChangePlan extends AnalyzedQuery {
  /** The rows to be changed, over the target as `alias`: a boolean, never null. */
  readonly condition: string
  readonly alias: string
  /** What is written in place of the rows of a touched file; null deletes them. */
  readonly rows: string
}

/** What the fields of an UpdateStmt or DeleteStmt change in `columns` of a table. */
export function planChange(
  analysis: Analysis,
  fields: Node,
  table: Pick<TableName, 'layer' | 'name'>,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  kind: 'UPDATE' | 'DELETE',
  columns: readonly TargetColumn[] = targetColumns(snapshot.schema),
): ChangePlan {
  if (listOf(fields.usingClause).length > 0 || listOf(fields.fromClause).length > 0) {
    throw analysis.notSupported(kind === 'UPDATE' ? 'UPDATE … FROM' : 'DELETE … USING')
  }
  if (returningList(fields).length > 0) throw analysis.notSupported(`${kind} … RETURNING`)
  if (fields.withClause !== undefined) throw analysis.notSupported(`WITH before ${kind}`)
  const alias = analysis.fresh('t')
  const name = ((fields.relation as Node).alias as { readonly aliasname?: string } | undefined)
    ?.aliasname
  const { scope, range } = targetScope(
    columns,
    name ?? table.name,
    name === undefined ? table.layer : undefined,
    alias,
    TARGET,
  )
  const where =
    fields.whereClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, fields.whereClause as Node, scope, plainPlace('WHERE')),
          'WHERE',
        )
  const condition = where === undefined ? 'true' : `(${where.sql}) IS TRUE`
  const changed = new Map<string, string>()
  for (const node of listOf(fields.targetList)) {
    const target = nodeOf(node, 'ResTarget') ?? {}
    const location = typeof target.location === 'number' ? target.location : 0
    const column = analysis.located(location, () => {
      if (listOf(target.indirection).length > 0)
        throw analysis.notSupported('UPDATE of a part of a column')
      return targetColumn(columns, String(target.name), table.name)
    })
    if (changed.has(column.field.name)) {
      throw analysis.error(
        SqlState.syntaxError,
        `multiple assignments to same column "${column.field.name}"`,
        location,
      )
    }
    changed.set(column.field.name, assigned(analysis, target.val as Node, column, scope))
  }
  const source = `${markerOf(TARGET)} AS ${alias}`
  let rows: string
  if (kind === 'DELETE') {
    const items = columns.map(({ field }) => `${alias}.${quoteIdentifier(field.name)}`)
    rows = `SELECT ${items.join(', ')} FROM ${source} WHERE NOT (${condition})`
  } else {
    const items = columns.map(({ field, type }) => {
      const own = `${alias}.${quoteIdentifier(field.name)}`
      const value = changed.get(field.name)
      const engine = printEngineType(type.engine)
      return value === undefined
        ? `${own} AS ${quoteIdentifier(field.name)}`
        : `CASE WHEN ${condition} THEN ${value} ELSE CAST(${own} AS ${engine}) END AS ${quoteIdentifier(field.name)}`
    })
    rows = checkedRows(
      analysis,
      snapshot,
      columns,
      `SELECT ${items.join(', ')} FROM ${source}`,
      table.name,
    )
  }
  const conditions = where === undefined ? [] : conjunctsOf(where)
  return {
    sql: rows,
    columns: [],
    levels: [
      {
        conditions: conditions.map((one) => ({ condition: one, only: undefined })),
        ranges: [{ range, relation: TARGET, inner: [] }],
        outputs: [],
        passes: () => false,
      },
    ],
    condition,
    alias,
    rows,
  }
}

function assigned(
  analysis: Analysis,
  node: Node,
  column: TargetColumn,
  scope: Parameters<typeof analyzeExpression>[2],
): string {
  if (column.generatedText !== undefined) {
    throw new SqlError(
      SqlState.generatedAlways,
      `column "${column.field.name}" can only be updated to DEFAULT`,
      { detail: `Column "${column.field.name}" is a generated column.` },
    )
  }
  if (nodeOf(node, 'SetToDefault') !== undefined) return defaultValue(analysis, column)
  const value = analyzeExpression(analysis, node, scope, plainPlace('UPDATE'))
  return assign(analysis, value, column).sql
}
