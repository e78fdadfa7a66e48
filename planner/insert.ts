/** Insert: rows of VALUES or of a query, as files that a block adds to a table. */

import type { PgType } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { writeDataFiles } from '../storage/data-file.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression, plainPlace, settled } from './analyze-expression.js'
import { analyzeSourceQuery, uniqueNames } from './analyze-query.js'
import type { Analysis, AnalyzedQuery, OutputColumn } from './analysis.js'
import { outputName } from './output-names.js'
import { numberParameters } from './parameter-marker.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { analyze, type QueryContext, resultColumns, scanText } from './query.js'
import type { ResultColumn } from './result.js'
import { ReadySource } from './row-source.js'
import { Scope } from './scope.js'
import { TableChange } from './table-change.js'
import {
  assign,
  checkedRows,
  defaultValue,
  returningItems,
  returningList,
  type TargetColumn,
  targetColumn,
  targetColumns,
  targetScope,
} from './target-table.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { expression, type TypedExpression } from './typed-expression.js'
import { findTarget } from './write-target.js'

/** What an INSERT makes: the rows, and what RETURNING shows of them. */
export interface InsertPlan extends AnalyzedQuery {
  readonly returning: readonly { readonly name: string; readonly value: TypedExpression }[]
  readonly returningAlias: string
}

/** The rows that the fields of an InsertStmt make for `columns` of a table. */
export function planInsert(
  analysis: Analysis,
  fields: Node,
  table: Pick<TableName, 'layer' | 'name'>,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  columns: readonly TargetColumn[] = targetColumns(snapshot.schema),
): InsertPlan {
  const named = listOf(fields.cols).map((node) => {
    const target = nodeOf(node, 'ResTarget') ?? {}
    if (listOf(target.indirection).length > 0)
      throw analysis.notSupported('INSERT into a part of a column')
    const location = typeof target.location === 'number' ? target.location : 0
    return analysis.located(location, () => targetColumn(columns, String(target.name), table.name))
  })
  const seen = new Set<string>()
  for (const { field } of named) {
    if (seen.has(field.name)) {
      throw new SqlError(
        SqlState.duplicateColumn,
        `column "${field.name}" specified more than once`,
      )
    }
    seen.add(field.name)
  }
  const open = columns.filter((column) => column.generatedText === undefined)
  const targets = named.length > 0 ? named : open
  const source = insertSource(analysis, fields, targets, named.length > 0)
  const given = new Map(source.targets.map((target, i) => [target.field.name, i]))
  for (const target of source.targets) {
    if (target.generatedText !== undefined) {
      throw new SqlError(
        SqlState.generatedAlways,
        `cannot insert a non-DEFAULT value into column "${target.field.name}"`,
        { detail: `Column "${target.field.name}" is a generated column.` },
      )
    }
  }
  const items = columns.map((column) => {
    const name = quoteIdentifier(column.field.name)
    const at = given.get(column.field.name)
    if (at !== undefined) return `s.c${at + 1} AS ${name}`
    if (column.generatedText !== undefined) {
      return `CAST(NULL AS ${printEngineType(column.type.engine)}) AS ${name}`
    }
    return `${defaultValue(analysis, column)} AS ${name}`
  })
  const rows = `SELECT ${items.join(', ')} FROM (${source.sql}) AS s`
  const sql = checkedRows(analysis, snapshot, columns, rows, table.name)
  const returningAlias = analysis.fresh('r')
  const { scope } = targetScope(
    columns,
    aliasOf(fields, table),
    table.layer,
    returningAlias,
    undefined,
  )
  const returning = returningItems(
    analysis,
    returningList(fields),
    scope,
    (node) => settled(analysis, analyzeExpression(analysis, node, scope, plainPlace('RETURNING'))),
    outputName,
  )
  return {
    sql,
    columns: columns.map(
      (column): OutputColumn => ({
        name: column.field.name,
        engineName: column.field.name,
        type: column.type,
      }),
    ),
    levels: source.levels,
    returning,
    returningAlias,
  }
}

function aliasOf(fields: Node, table: Pick<TableName, 'name'>): string {
  const alias = (fields.relation as Node | undefined)?.alias as
    | { readonly aliasname?: string }
    | undefined
  return alias?.aliasname ?? table.name
}

interface InsertSource {
  /** Columns c1, c2, … in the order of `targets`, in their types. */
  readonly sql: string
  readonly targets: readonly TargetColumn[]
  readonly levels: AnalyzedQuery['levels']
}

function insertSource(
  analysis: Analysis,
  fields: Node,
  targets: readonly TargetColumn[],
  explicit: boolean,
): InsertSource {
  const select = nodeOf(fields.selectStmt, 'SelectStmt')
  if (select === undefined) return { sql: 'SELECT 1', targets: [], levels: [] }
  const checkCount = (count: number, location: number): readonly TargetColumn[] => {
    if (count > targets.length) {
      throw analysis.error(
        SqlState.syntaxError,
        'INSERT has more expressions than target columns',
        location,
      )
    }
    if (count < targets.length && explicit) {
      throw analysis.error(
        SqlState.syntaxError,
        'INSERT has more target columns than expressions',
        location,
      )
    }
    return targets.slice(0, count)
  }
  const plainValues =
    select.valuesLists !== undefined &&
    select.withClause === undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    fields.withClause === undefined
  if (plainValues) {
    const scope = new Scope(undefined)
    const place = plainPlace('VALUES')
    const lists = listOf(select.valuesLists).map((list) => listOf(nodeOf(list, 'List')?.items))
    const width = lists[0]?.length ?? 0
    const used = checkCount(width, -1)
    const rows = lists.map((list) => {
      if (list.length !== width) {
        throw analysis.error(SqlState.syntaxError, 'VALUES lists must all be the same length', -1)
      }
      const cells = list.map((node, i) => {
        const column = used[i] as TargetColumn
        if (nodeOf(node, 'SetToDefault') !== undefined) return defaultValue(analysis, column)
        return assign(analysis, analyzeExpression(analysis, node, scope, place), column).sql
      })
      return `(${cells.join(', ')})`
    })
    const names = used.map((_, i) => `c${i + 1}`).join(', ')
    const typed = used.map(
      (column, i) => `CAST(v.c${i + 1} AS ${printEngineType(column.type.engine)}) AS c${i + 1}`,
    )
    return {
      sql: `SELECT ${typed.join(', ')} FROM (VALUES ${rows.join(', ')}) AS v(${names})`,
      targets: used,
      levels: [],
    }
  }
  const whole =
    fields.withClause === undefined ? select : { ...select, withClause: fields.withClause }
  const query = analyzeSourceQuery(analysis, whole)
  const used = checkCount(query.columns.length, -1)
  const alias = analysis.fresh('q')
  const items = query.columns.map((column, i) => {
    const value = expression(`${alias}.${quoteIdentifier(column.engineName)}`, column.type, [])
    const known = { ...value, shape: { kind: 'other' as const } }
    return `${assign(analysis, known, used[i] as TargetColumn).sql} AS c${i + 1}`
  })
  return {
    sql: `SELECT ${items.join(', ')} FROM (${query.sql}) AS ${alias}`,
    targets: used,
    levels: query.levels,
  }
}

/** Parameter types and RETURNING's columns, without executing. */
export async function describeInsert(
  statement: ParsedStatement,
  fields: Node,
  oids: readonly number[],
  context: QueryContext,
): Promise<{
  readonly parameterTypes: readonly (PgType | undefined)[]
  readonly columns: readonly ResultColumn[] | null
}> {
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  return context.pool.with(async (connection) => {
    let plan: InsertPlan | undefined
    const analyzed = await analyze(statement, oids, [], context, connection, false, (analysis) => {
      plan = planInsert(analysis, fields, table, snapshot)
      return plan
    })
    return {
      parameterTypes: analyzed.parameterTypes,
      columns: plan === undefined || plan.returning.length === 0 ? null : shownColumns(plan),
    }
  })
}

/** RETURNING's columns as clients are told of them. */
export function shownColumns(plan: InsertPlan): readonly ResultColumn[] {
  return resultColumns(
    plan.returning.map(({ name, value }) => ({ name, engineName: name, type: value.type })),
    [],
  )
}

/** Executes: the rows are durable when it returns, and in the table when the block commits. */
export async function runInsert(
  statement: ParsedStatement,
  fields: Node,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  oids: readonly number[],
): Promise<Execution> {
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  const change = context.block.changing(table, 'INSERT', () => new TableChange(table, snapshot))
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      let plan: InsertPlan | undefined
      const analyzed = await analyze(
        statement,
        oids,
        values,
        context,
        connection,
        true,
        (analysis) => {
          plan = planInsert(analysis, fields, table, snapshot)
          return plan
        },
      )
      const { sql, values: bound } = await scanText(analyzed, values, context, connection)
      const { store } = context.gateway
      if (plan === undefined || plan.returning.length === 0) {
        const written = await writeDataFiles(store, connection, snapshot, {
          query: sql,
          values: bound,
        })
        change.apply({ operation: 'WRITE', adds: written.files })
        return { kind: 'command', tag: `INSERT 0 ${written.rowCount}` }
      }
      return await returned(plan, sql, bound, values, snapshot, change, context, connection)
    } finally {
      connection.attach(undefined)
    }
  })
}

let nextStage = 1

/** RETURNING: the rows are kept for the moment, so that what is shown is what was written. */
async function returned(
  plan: InsertPlan,
  sql: string,
  bound: readonly EngineValue[],
  values: readonly EngineValue[],
  snapshot: Snapshot,
  change: TableChange,
  context: QueryContext,
  connection: EngineConnection,
): Promise<Execution> {
  const stage = `lakegate_stage_${nextStage++}`
  await connection.run(`CREATE TEMP TABLE ${stage} AS ${sql}`, bound)
  try {
    const written = await writeDataFiles(context.gateway.store, connection, snapshot, {
      query: `SELECT * FROM ${stage}`,
    })
    const names = uniqueNames(plan.returning.map(({ name }) => name))
    const items = plan.returning.map(
      ({ value }, i) =>
        `CAST(${value.sql} AS ${printEngineType(value.type.engine)}) AS ${quoteIdentifier(names[i] ?? '')}`,
    )
    const shown = numberParameters(
      `SELECT ${items.join(', ')} FROM ${stage} AS ${plan.returningAlias}`,
      values,
    )
    const rows = await connection.query(shown.sql, shown.values)
    change.apply({ operation: 'WRITE', adds: written.files })
    return {
      kind: 'rows',
      columns: shownColumns(plan),
      source: ReadySource.ofRows(rows),
      tag: () => `INSERT 0 ${written.rowCount}`,
    }
  } finally {
    await connection.run(`DROP TABLE ${stage}`)
  }
}
