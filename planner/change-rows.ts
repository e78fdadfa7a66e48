/** ChangeRows: UPDATE, DELETE and TRUNCATE, by rewriting the files in which rows change. */

import type { PgType } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { writeDataFiles } from '../storage/data-file.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { UNKNOWN } from '../storage/predicate.js'
import { planScan } from '../storage/scan.js'
import { scanRelation } from '../storage/scan-relation.js'
import type { DataFile } from '../storage/file-index.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression, booleanOf, plainPlace } from './analyze-expression.js'
import { conjunctsOf } from './analyze-query.js'
import { type Analysis, type AnalyzedQuery, markerOf, replaceMarkers } from './analysis.js'
import { numberParameters } from './parameter-marker.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { analyze, type AnalyzedStatement, type QueryContext, relationTexts } from './query.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { TableChange } from './table-change.js'
import { tablePredicates } from './table-predicates.js'
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
import { findTarget } from './write-target.js'

/** Stands for the changed table in the texts of a plan: no relation of a query has this number. */
export const TARGET = 1_000_000

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
  if (column.identity?.allowExplicitInsert === false) {
    throw new SqlError(
      SqlState.generatedAlways,
      `column "${column.field.name}" can only be updated to DEFAULT`,
      {
        detail: `Column "${column.field.name}" is an identity column defined as GENERATED ALWAYS.`,
      },
    )
  }
  const value = analyzeExpression(analysis, node, scope, plainPlace('UPDATE'))
  return assign(analysis, value, column).sql
}

/** Parameter types of an UPDATE or DELETE, without executing. */
export async function describeChange(
  statement: ParsedStatement,
  fields: Node,
  kind: 'UPDATE' | 'DELETE',
  oids: readonly number[],
  context: QueryContext,
): Promise<readonly (PgType | undefined)[]> {
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  return context.pool.with(async (connection) => {
    const analyzed = await analyze(statement, oids, [], context, connection, false, (analysis) =>
      planChange(analysis, fields, table, snapshot, kind),
    )
    return analyzed.parameterTypes
  })
}

/** Executes an UPDATE or DELETE: files in which no row changes are left as they are. */
export async function runChange(
  statement: ParsedStatement,
  fields: Node,
  kind: 'UPDATE' | 'DELETE',
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  oids: readonly number[],
): Promise<Execution> {
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  const change = context.block.changing(table, kind, () => new TableChange(table, snapshot))
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      let plan: ChangePlan | undefined
      const analyzed = await analyze(
        statement,
        oids,
        values,
        context,
        connection,
        true,
        (analysis) => {
          plan = planChange(analysis, fields, table, snapshot, kind)
          return plan
        },
      )
      if (plan === undefined) throw new SqlError(SqlState.internalError, 'nothing was planned')
      const rowCount = await rewrite(
        plan,
        analyzed,
        kind,
        snapshot,
        change,
        values,
        context,
        connection,
      )
      return { kind: 'command', tag: `${kind} ${rowCount}` }
    } finally {
      connection.attach(undefined)
    }
  })
}

/** Carries out a plan: what it does to the table's files is handed to `change`. */
export async function rewrite(
  plan: ChangePlan,
  analyzed: AnalyzedStatement,
  kind: 'UPDATE' | 'DELETE',
  snapshot: Snapshot,
  change: Pick<TableChange, 'apply'>,
  values: readonly EngineValue[],
  context: QueryContext,
  connection: EngineConnection,
): Promise<number> {
  const { store } = context.gateway
  const predicate = tablePredicates(analyzed.shared.roots, values).get(TARGET) ?? UNKNOWN
  const candidates = planScan(snapshot, predicate)
  const { texts } = await relationTexts(analyzed, values, context, connection)
  const textOver = async (
    files: readonly DataFile[],
    sql: string,
  ): Promise<{ readonly sql: string; readonly values: readonly EngineValue[] }> => {
    const target = await scanRelation(store, connection, { ...candidates, files })
    const text = replaceMarkers(sql, (id) => (id === TARGET ? target : (texts[id] ?? '')))
    return numberParameters(text, values)
  }
  const touched: DataFile[] = []
  const whole: DataFile[] = []
  let rowCount = 0
  for (const file of candidates.files) {
    const counted = `SELECT count(*) FILTER (WHERE ${plan.condition}), count(*) FROM ${markerOf(TARGET)} AS ${plan.alias}`
    const count = await textOver([file], counted)
    const [row] = await connection.query(count.sql, count.values)
    const [changed, all] = [Number(row?.[0] ?? 0), Number(row?.[1] ?? 0)]
    if (changed === 0) continue
    rowCount += changed
    if (kind === 'DELETE' && changed === all) whole.push(file)
    else touched.push(file)
  }
  const rows = touched.length === 0 ? undefined : await textOver(touched, plan.rows)
  const written =
    rows === undefined
      ? undefined
      : await writeDataFiles(store, connection, snapshot, {
          query: rows.sql,
          values: rows.values,
        })
  change.apply({
    operation: kind,
    adds: written?.files ?? [],
    removes: [...touched, ...whole],
    read: { predicate, files: candidates.files },
  })
  return rowCount
}

/** Executes TRUNCATE: every file leaves the table, and stays for time travel. */
export async function runTruncate(
  statement: ParsedStatement,
  fields: Node,
  context: QueryContext,
): Promise<Execution> {
  const relations = listOf(fields.relations)
  if (relations.length !== 1) {
    throw new SqlError(SqlState.featureNotSupported, 'TRUNCATE of several tables is not supported')
  }
  const range = nodeOf(relations[0], 'RangeVar') ?? {}
  const { table, snapshot } = await findTarget(range, context, statement.start)
  const change = context.block.changing(
    table,
    'TRUNCATE TABLE',
    () => new TableChange(table, snapshot),
  )
  change.apply({
    operation: 'TRUNCATE',
    removes: [...snapshot.files],
    read: { predicate: UNKNOWN, files: [...snapshot.files] },
  })
  return { kind: 'command', tag: 'TRUNCATE TABLE' }
}
