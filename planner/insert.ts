/** Insert: rows of VALUES or of a query, as files that a block adds to a table. */

import { violationOf } from './violated-object.js'
import type { PgType } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { AddFile } from '../storage/actions.js'
import { writeWholeFileChanges } from '../storage/change-data.js'
import type { Cancellation } from '../storage/cancellation.js'
import {
  type RowSource,
  writeDataFiles,
  type WriteTarget,
  type WrittenFiles,
} from '../storage/data-file.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import {
  type IdentityColumn,
  identityMark,
  withHighWaterMarks,
} from '../storage/identity-column.js'
import type { NewTable } from '../storage/new-table.js'
import { filesOfPartitions } from '../storage/partition-overwrite.js'
import { UNKNOWN } from '../storage/predicate.js'
import type { StructField } from '../storage/schema.js'
import { withNewColumns } from '../storage/schema-evolution.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf, settled } from './expression-types.js'
import { plainPlace } from './expression-place.js'
import { uniqueNames } from './query-names.js'
import type { Analysis, AnalyzedQuery, OutputColumn } from './analysis.js'
import { changeRows } from './apply-rows.js'
import { bindLists, type ValueList } from './folded-values.js'
import { type InsertOptions, PLAIN_INSERT } from './insert-clauses.js'
import { identityValue } from './identity-value.js'
import { insertSource, type SourceTarget } from './insert-source.js'
import { outputName } from './output-names.js'
import { numberParameters } from './parameter-marker.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import {
  analyzePlan,
  type AnalyzedStatement,
  type QueryContext,
  resultColumns,
  scanText,
} from './query.js'
import type { ResultColumn } from './result.js'
import type { ChangedTable, RowChangeKind } from './row-change.js'
import { ReadySource } from './row-source.js'
import { planRowUpdate } from './row-update.js'
import { type StatementChange, TableChange } from './table-change.js'
import {
  checkedRows,
  defaultValue,
  returningItems,
  returningList,
  type TargetColumn,
  targetColumns,
  targetScope,
} from './target-table.js'
import { type Node, nodeOf, walk } from './syntax-tree.js'
import { columnKey } from './table-use.js'
import type { TypedExpression } from './typed-expression.js'
import { findTarget } from './write-target.js'

/** What an INSERT makes: the rows, and what RETURNING shows of them. */
export interface InsertPlan extends AnalyzedQuery {
  readonly returning: readonly { readonly name: string; readonly value: TypedExpression }[]
  readonly returningAlias: string
  /** Columns that the table is to get. */
  readonly newFields: readonly StructField[]
  /** Identity columns by name that hand out a number for each row, or for some. */
  readonly identities: ReadonlyMap<string, IdentityColumn>
  /** What the lists in the text are to be bound to; see `bindLists`. */
  readonly lists: readonly ValueList[]
}

/**
 * The rows that the fields of an InsertStmt make for `given` columns of a table.
 *
 * A long VALUES may become lists when the caller binds them (`folds`).
 */
export function planInsert(
  analysis: Analysis,
  fields: Node,
  table: ChangedTable,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  given: readonly TargetColumn[] = targetColumns(snapshot.schema),
  options: InsertOptions = PLAIN_INSERT,
  folds = false,
): InsertPlan {
  const source = insertSource(analysis, fields, given, table.name, options, folds)
  const columns = [...given, ...targetColumns({ fields: source.newFields })]
  const sources = new Map(source.targets.map((target, i) => [target.column.field.name, i]))
  const overriding = String(fields.override ?? '')
  for (const target of source.targets) requireGivable(target, overriding)
  if (table.use !== undefined) {
    analysis.uses.add(table.use)
    table.use.require('INSERT')
    for (const { column } of source.targets) table.use.column('INSERT', columnKey(column.field))
  }
  const identities = new Map<string, IdentityColumn>()
  const counter = analysis.fresh('n')
  const items = columns.map((column) => {
    const name = quoteIdentifier(column.field.name)
    const at = sources.get(column.field.name)
    const target = at === undefined ? undefined : source.targets[at]
    if (column.generatedText !== undefined) {
      return `CAST(NULL AS ${printEngineType(column.type.engine)}) AS ${name}`
    }
    if (column.identity !== undefined) {
      const isGiven =
        target !== undefined && target.defaults !== 'all' && overriding !== 'OVERRIDING_USER_VALUE'
      if (isGiven && target.defaults === 'none') return `s.c${Number(at) + 1} AS ${name}`
      identities.set(column.field.name, column.identity)
      const next = identityValue(column, column.identity, `s.${counter}`, table.name)
      return isGiven
        ? `CASE WHEN s.d${Number(at) + 1} THEN ${next} ELSE s.c${Number(at) + 1} END AS ${name}`
        : `${next} AS ${name}`
    }
    if (at !== undefined) return `s.c${at + 1} AS ${name}`
    return `${defaultValue(analysis, column)} AS ${name}`
  })
  const numbered =
    identities.size === 0
      ? source.sql
      : `SELECT *, row_number() OVER () AS ${counter} FROM (${source.sql})`
  const rows = `SELECT ${items.join(', ')} FROM (${numbered}) AS s`
  const checked = checkedRows(analysis, snapshot, columns, rows, table.name)
  const sql = conforming(analysis, fields.whereClause as Node | undefined, columns, checked, {
    table: table.name,
    text: options.replaceWhere ?? '',
  })
  const returningAlias = analysis.fresh('r')
  const { scope } = targetScope(
    columns,
    aliasOf(fields, table),
    table.layer,
    returningAlias,
    undefined,
    table.use,
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
    newFields: source.newFields,
    identities,
    lists: source.lists,
  }
}

function aliasOf(fields: Node, table: Pick<TableName, 'name'>): string {
  const alias = (fields.relation as Node | undefined)?.alias as
    | { readonly aliasname?: string }
    | undefined
  return alias?.aliasname ?? table.name
}

/** 428C9 for values where the table makes its own. */
function requireGivable({ column, defaults }: SourceTarget, overriding: string): void {
  if (defaults === 'all') return
  const name = column.field.name
  const refused = (detail: string, hint?: string): SqlError =>
    new SqlError(
      SqlState.generatedAlways,
      `cannot insert a non-DEFAULT value into column "${name}"`,
      { detail, hint },
    )
  if (column.generatedText !== undefined) {
    throw refused(`Column "${name}" is a generated column.`)
  }
  if (column.identity === undefined || column.identity.allowExplicitInsert) return
  if (/^OVERRIDING_(?:SYSTEM|USER)_VALUE$/.test(overriding)) return
  throw refused(
    `Column "${name}" is an identity column defined as GENERATED ALWAYS.`,
    'Use OVERRIDING SYSTEM VALUE to override.',
  )
}

/** `rows`, each held against the predicate of REPLACE WHERE (23514). */
function conforming(
  analysis: Analysis,
  predicate: Node | undefined,
  columns: readonly TargetColumn[],
  rows: string,
  { table, text }: { readonly table: string; readonly text: string },
): string {
  if (predicate === undefined) return rows
  walk(predicate, (node) => {
    if (nodeOf(node, 'SubLink') !== undefined) {
      throw analysis.notSupported('a subquery in REPLACE WHERE')
    }
    return true
  })
  const alias = analysis.fresh('w')
  const { scope } = targetScope(columns, table, undefined, alias, undefined)
  const condition = booleanOf(
    analysis,
    analyzeExpression(analysis, predicate, scope, plainPlace('REPLACE WHERE')),
    'REPLACE WHERE',
  )
  const message = `lakegate!23514!new row for relation "${table}" violates the predicate of REPLACE WHERE: ${text}`
  const items = columns.map(({ field, type }, i) => {
    const name = quoteIdentifier(field.name)
    return i > 0
      ? `${alias}.${name}`
      : `CAST(CASE WHEN (${condition.sql}) IS TRUE THEN ${alias}.${name} ELSE error(${quoteLiteral(message)}) END AS ${printEngineType(type.engine)}) AS ${name}`
  })
  return `SELECT ${items.join(', ')} FROM (${rows}) AS ${alias}`
}

/** Parameter types and RETURNING's columns, without executing. */
export async function describeInsert(
  statement: ParsedStatement,
  fields: Node,
  oids: readonly number[],
  context: QueryContext,
  settings: InsertSettings,
): Promise<{
  readonly parameterTypes: readonly (PgType | undefined)[]
  readonly columns: readonly ResultColumn[] | null
}> {
  const range = fields.relation as Node
  const { table, snapshot } = await findTarget(range, context, statement.start, 'nothing')
  return context.pool.with(async (connection) => {
    const { query: plan, parameterTypes } = await analyzePlan(
      statement,
      oids,
      [],
      context,
      connection,
      false,
      (analysis) =>
        planInsert(analysis, fields, table, snapshot, undefined, optionsOf(statement, settings)),
    )
    return { parameterTypes, columns: plan.returning.length > 0 ? shownColumns(plan) : null }
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
  settings: InsertSettings,
): Promise<Execution> {
  const options = optionsOf(statement, settings)
  const { overwrite, replaceWhere } = options
  const replaces = overwrite || replaceWhere !== undefined
  const { table, snapshot } = await findTarget(
    fields.relation as Node,
    context,
    statement.start,
    replaces ? ['INSERT', 'DELETE'] : ['INSERT'],
  )
  const change = context.block.changing(table, 'INSERT', () => new TableChange(table, snapshot))
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const planned = (folds: boolean): Promise<AnalyzedStatement<InsertPlan>> =>
        analyzePlan(statement, oids, values, context, connection, true, (analysis) =>
          planInsert(analysis, fields, table, snapshot, undefined, options, folds),
        )
      let analyzed = await planned(true)
      let lists = bindLists(analyzed.query.sql, analyzed.query.lists, values)
      if (lists === null) {
        analyzed = await planned(false)
        lists = { sql: analyzed.query.sql, values }
      }
      const { query: plan } = analyzed
      // Columns that it gets are for its owner to add.
      if (plan.newFields.length > 0) await context.access.requireOwner({ kind: 'table', table })
      const text = { ...analyzed, query: { ...plan, sql: lists.sql } }
      const { sql, values: bound } = await scanText(text, lists.values, context, connection)
      const target = withNewColumns(snapshot, plan.newFields)
      const call: WriteCall = { plan, snapshot, target, values, context, connection }
      const { written, rows } =
        plan.returning.length === 0
          ? { written: await write(call, { query: sql, values: bound }), rows: undefined }
          : await writeAndShow(call, sql, bound)
      const replaced =
        options.replaceWhere === undefined
          ? await overwritten(call, written.files, options, settings)
          : await replacedRows(call, written.files, statement, fields, table, oids, cancellation)
      const definition = redefined(snapshot, target, plan, written.rowCount)
      change.apply({
        operation: 'WRITE',
        parameters: parametersOf(options, settings),
        ...replaced,
        adds: [...written.files, ...(replaced.adds ?? [])],
        ...(definition === undefined ? {} : { definition }),
        ...settings.also,
      })
      const tag = `INSERT 0 ${written.rowCount}`
      if (rows === undefined) return { kind: 'command', tag }
      const columns = shownColumns(plan)
      return { kind: 'rows', columns, source: ReadySource.ofRows(rows), tag: () => tag }
    } catch (thrown) {
      throw violationOf(thrown, table)
    } finally {
      connection.attach(undefined)
    }
  })
}

/** What settings say of every INSERT. */
export interface InsertSettings {
  /** OVERWRITE replaces only the partitions that rows are written to. */
  readonly dynamicPartitions: boolean
  readonly schemaEvolution: boolean
  /** What the statement is more than an INSERT. */
  readonly also?: StatementChange
}

function optionsOf(statement: ParsedStatement, settings: InsertSettings): InsertOptions {
  const { insertOptions } = statement
  return settings.schemaEvolution ? { ...insertOptions, schemaEvolution: true } : insertOptions
}

function parametersOf(
  options: InsertOptions,
  settings: InsertSettings,
): { readonly [name: string]: string } {
  if (options.replaceWhere !== undefined) {
    return { mode: 'Overwrite', predicate: options.replaceWhere }
  }
  if (!options.overwrite) return { mode: 'Append' }
  return settings.dynamicPartitions
    ? { mode: 'Overwrite', isDynamicPartitionOverwrite: 'true' }
    : { mode: 'Overwrite' }
}

interface WriteCall {
  readonly plan: InsertPlan
  readonly snapshot: Snapshot
  /** The table with the columns it gets. */
  readonly target: WriteTarget
  readonly values: readonly EngineValue[]
  readonly context: QueryContext
  readonly connection: EngineConnection
}

/** The table's new definition, when it got columns or handed out numbers. */
function redefined(
  snapshot: Snapshot,
  target: NewTable,
  plan: InsertPlan,
  rowCount: number,
): NewTable | undefined {
  if (plan.newFields.length === 0 && (plan.identities.size === 0 || rowCount === 0)) {
    return undefined
  }
  const marks = new Map<string, bigint>()
  for (const [name, identity] of rowCount === 0 ? [] : plan.identities) {
    marks.set(name, identityMark(identity, BigInt(rowCount)))
  }
  return withHighWaterMarks(plan.newFields.length > 0 ? target : snapshot, marks)
}
function write({ context, connection, target }: WriteCall, rows: RowSource): Promise<WrittenFiles> {
  return writeDataFiles(context.gateway.store, connection, target, rows)
}

/** What goes when an INSERT overwrites. */
async function overwritten(
  { snapshot, connection }: WriteCall,
  adds: readonly AddFile[],
  options: InsertOptions,
  settings: InsertSettings,
): Promise<Partial<StatementChange>> {
  if (!options.overwrite) return {}
  const files = settings.dynamicPartitions
    ? await filesOfPartitions(connection, snapshot, adds)
    : [...snapshot.files]
  return { removes: files, reads: [{ predicate: UNKNOWN, files }] }
}

/** What goes by REPLACE WHERE, and comes back in files that are rewritten in part. */
async function replacedRows(
  { snapshot, target, values, context, connection }: WriteCall,
  written: readonly AddFile[],
  statement: ParsedStatement,
  fields: Node,
  table: TableName,
  oids: readonly number[],
  cancellation: Cancellation,
): Promise<Partial<StatementChange>> {
  const { relation, whereClause } = fields
  const kind: RowChangeKind = {
    operation: 'DELETE',
    command: 'DELETE',
    privileges: ['DELETE'],
    plan: (analysis) =>
      planRowUpdate(analysis, { relation, whereClause }, 'DELETE', table, snapshot),
  }
  let replaced: Partial<StatementChange> = {}
  await changeRows({ statement, fields, values, oids, context, cancellation }, kind, {
    apply: (change) => {
      replaced = change
    },
  })
  const { adds = [], removes = [], reads = [], metrics = {}, changeData } = replaced
  if (typeof changeData !== 'object') return { adds, removes, reads, metrics, changeData }
  // Where files tell which rows are gone, they tell which rows are new.
  const { store } = context.gateway
  const after = { ...snapshot, ...target }
  const inserted = await writeWholeFileChanges(store, connection, after, written, [])
  return { adds, removes, reads, metrics, changeData: [...changeData, ...inserted] }
}

let nextStage = 1

/** RETURNING: the rows are kept for the moment, so that what is shown is what was written. */
async function writeAndShow(
  call: WriteCall,
  sql: string,
  bound: readonly EngineValue[],
): Promise<{
  readonly written: WrittenFiles
  readonly rows: Awaited<ReturnType<EngineConnection['query']>>
}> {
  const { plan, values, connection } = call
  const stage = `lakegate_stage_${nextStage++}`
  await connection.run(`CREATE TEMP TABLE ${stage} AS ${sql}`, bound)
  try {
    const written = await write(call, { query: `SELECT * FROM ${stage}` })
    const names = uniqueNames(plan.returning.map(({ name }) => name))
    const items = plan.returning.map(
      ({ value }, i) =>
        `CAST(${value.sql} AS ${printEngineType(value.type.engine)}) AS ${quoteIdentifier(names[i] ?? '')}`,
    )
    const shown = numberParameters(
      `SELECT ${items.join(', ')} FROM ${stage} AS ${plan.returningAlias}`,
      values,
    )
    return { written, rows: await connection.query(shown.sql, shown.values) }
  } finally {
    await connection.run(`DROP TABLE ${stage}`)
  }
}
