/** AlterTable: the commands of one ALTER TABLE, as one change of one table. */

import type { TableName } from '../catalog/catalog.js'
import { addedReaderFeatures } from '../storage/altered-table.js'
import type { Cancellation } from '../storage/cancellation.js'
import { writeDataFiles } from '../storage/data-file.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { NewTable } from '../storage/new-table.js'
import { UNKNOWN } from '../storage/predicate.js'
import { planScan } from '../storage/scan.js'
import { scanRelation } from '../storage/scan-relation.js'
import type { StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import { keptColumns, trackedRelation } from '../storage/tracked-rows.js'
import {
  addColumn,
  dropColumn,
  dropExpression,
  dropNotNull,
  setColumnOptions,
  setDefault,
  setType,
} from './alter-columns.js'
import { addConstraint, dropConstraint, validateConstraint } from './alter-constraints.js'
import { resetProperties, setProperties } from './alter-properties.js'
import { alterationParameters } from './alteration-parameters.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import { type Analysis, type AnalyzedQuery, markerOf, replaceMarkers } from './analysis.js'
import type { ParsedStatement } from './parse.js'
import { analyzePlan, type QueryContext } from './query.js'
import { notSupported } from './refusal.js'
import type { Scope } from './scope.js'
import { typeName } from './sql-type.js'
import { type Node, nodeOf, walk } from './syntax-tree.js'
import { requireSameMeaning } from './stated-expression.js'
import { TableChange } from './table-change.js'
import { type Notice, TableDraft } from './table-draft.js'
import {
  assign,
  checkedCondition,
  computedValue,
  defaultValue,
  GENERATION,
  type TargetColumn,
  targetColumns,
  targetScope,
} from './target-table.js'
import { viewsOver } from './view-dependencies.js'

/** Stands for the table as it was in the texts of a plan. */
const BASE = 1_000_000

/** A change of a table's definition that is to be carried out. */
export interface Alteration {
  readonly table: TableName
  readonly snapshot: Snapshot
  /** As the table's history names it. */
  readonly operation: string
  /** What is said when a view would not give the same columns any more; without it views are not looked at. */
  readonly dependentView?: (view: string) => SqlError
  readonly change: (draft: TableDraft) => void
}

/** PostgreSQL's order: what goes, then types, columns, their attributes, constraints and the rest. */
const PASSES: readonly (readonly string[])[] = [
  ['AT_DropColumn', 'AT_DropConstraint', 'AT_DropNotNull', 'AT_DropExpression'],
  ['AT_AlterColumnType'],
  ['AT_AddColumn'],
  ['AT_SetNotNull', 'AT_ColumnDefault'],
  ['AT_AddConstraint', 'AT_ValidateConstraint'],
  ['AT_SetRelOptions', 'AT_ResetRelOptions', 'AT_SetOptions'],
]

const OPERATIONS: Readonly<Record<string, string>> = {
  AT_AddColumn: 'ADD COLUMNS',
  AT_DropColumn: 'DROP COLUMNS',
  AT_AddConstraint: 'ADD CONSTRAINT',
  AT_DropConstraint: 'DROP CONSTRAINT',
  AT_SetRelOptions: 'SET TBLPROPERTIES',
  AT_ResetRelOptions: 'UNSET TBLPROPERTIES',
}

const COLUMN_COMMANDS =
  /^AT_(AlterColumnType|DropNotNull|SetNotNull|ColumnDefault|DropExpression|SetOptions)$/

/** The alteration that the commands of an ALTER TABLE ask for; 0A000 for commands of other kinds. */
export function alterationOf(
  commands: readonly Node[],
  table: TableName,
  snapshot: Snapshot,
): Alteration {
  const fields = commands.map((command) => nodeOf(command, 'AlterTableCmd') ?? {})
  for (const { subtype } of fields) {
    if (!PASSES.flat().includes(String(subtype))) throw unsupported(String(subtype))
  }
  const kinds = new Set(fields.map(({ subtype }) => String(subtype)))
  const [only] = [...kinds]
  // What places or comments a column that is added belongs to its adding.
  const isAdding = kinds.has('AT_AddColumn') && [...kinds].every((kind) => /Add|Options/.test(kind))
  const named = isAdding ? 'AT_AddColumn' : kinds.size === 1 ? (only ?? '') : ''
  return {
    table,
    snapshot,
    operation: OPERATIONS[named] ?? (COLUMN_COMMANDS.test(named) ? 'CHANGE COLUMN' : 'ALTER TABLE'),
    ...(kinds.has('AT_DropColumn')
      ? { dependentView: (view: string) => lostColumn(table, view) }
      : kinds.has('AT_AlterColumnType')
        ? { dependentView: retypedColumn }
        : {}),
    change: (draft) => {
      const before = new Set(draft.columns.map(({ field }) => field.name))
      for (const pass of PASSES) {
        for (const command of fields) {
          if (!pass.includes(String(command.subtype))) continue
          const added = new Set(
            draft.columns.map(({ field }) => field.name).filter((name) => !before.has(name)),
          )
          COMMANDS.get(String(command.subtype))?.(draft, command, added)
        }
      }
    },
  }
}

function unsupported(subtype: string): SqlError {
  const words = subtype.replace(/^AT_/, '').replace(/([a-z])([A-Z])/g, '$1 $2')
  return notSupported(`ALTER TABLE … ${words.toUpperCase()}`)
}

type Command = (draft: TableDraft, command: Node, added: ReadonlySet<string>) => void

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['AT_AddColumn', addColumn],
  ['AT_DropColumn', dropColumn],
  ['AT_AlterColumnType', setType],
  ['AT_SetNotNull', (draft, { name }) => draft.setNotNull(String(name))],
  ['AT_DropNotNull', (draft, { name }) => dropNotNull(draft, String(name))],
  ['AT_ColumnDefault', setDefault],
  ['AT_DropExpression', dropExpression],
  ['AT_SetOptions', setColumnOptions],
  ['AT_AddConstraint', addConstraint],
  ['AT_DropConstraint', dropConstraint],
  ['AT_ValidateConstraint', (draft, { name }) => validateConstraint(draft, String(name))],
  ['AT_SetRelOptions', setProperties],
  ['AT_ResetRelOptions', resetProperties],
])

/**
 * Carries out an alteration in the block: its own reads see it, others when it commits.
 *
 * Rows are validated and, where a new column has values or a type cannot be widened, written anew;
 * the table is then read as a whole, so that a concurrent append conflicts (40001 at commit).
 *
 * 23502 and 23514 naming what the rows break, 2BP01 and 0A000 when a view would lose what it reads.
 */
export async function runAlteration(
  alteration: Alteration,
  statement: ParsedStatement,
  context: QueryContext,
  cancellation: Cancellation,
): Promise<readonly Notice[]> {
  const { table, snapshot } = alteration
  const change = context.block.changing(
    table,
    'ALTER TABLE',
    () => new TableChange(table, snapshot),
  )
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const plan = await planAlteration(alteration, statement, context, connection)
      const { draft, definition } = plan
      if (isSame(snapshot, definition)) return draft.notices
      const written = await moveRows(plan, snapshot, change, context, connection)
      const { dependentView } = alteration
      const views =
        dependentView === undefined ? [] : await viewsOver(table.path, context, connection)
      const before = change.save()
      const { operation } = alteration
      const parameters = alterationParameters(operation, snapshot, definition)
      change.apply({ operation, parameters, definition, ...written })
      const now = views.length === 0 ? [] : await viewsOver(table.path, context, connection)
      const broken = views.find(
        ({ view, shape }) =>
          now.find((one) => one.view.layer === view.layer && one.view.name === view.name)?.shape !==
          shape,
      )
      if (broken !== undefined && dependentView !== undefined) {
        change.restore(before)
        throw dependentView(`${broken.view.layer}.${broken.view.name}`)
      }
      for (const feature of addedReaderFeatures(snapshot, definition)) {
        draft.notice(
          SqlState.successfulCompletion,
          `table feature "${feature}" is switched on: engines without it cannot read the table any more`,
        )
      }
      return draft.notices
    } finally {
      connection.attach(undefined)
    }
  })
}

const DROP_VIEW = 'Drop the view first, and create it again afterwards.'

function lostColumn(table: TableName, view: string): SqlError {
  return new SqlError(
    SqlState.dependentObjectsStillExist,
    `cannot drop columns of table ${table.name} because other objects depend on them`,
    { detail: `view ${view} depends on a column of table ${table.name}`, hint: DROP_VIEW },
  )
}

function retypedColumn(view: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'cannot alter type of a column used by a view or rule',
    { detail: `view ${view} depends on the column`, hint: DROP_VIEW },
  )
}

/** 0A000: views are kept as texts, which do not follow the names of columns. */
export function renamedColumn(view: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'renaming a column used by a view is not supported',
    { detail: `view ${view} depends on the column`, hint: DROP_VIEW },
  )
}

function isSame(before: Snapshot, after: NewTable): boolean {
  const text = (one: Pick<Snapshot, 'metadata' | 'protocol'>): string =>
    JSON.stringify([one.metadata, one.protocol])
  return text(before) === text(after)
}

interface AlterationPlan extends AnalyzedQuery {
  readonly draft: TableDraft
  readonly definition: NewTable
  /** A row of booleans: whether some row breaks each of the draft's validations. */
  readonly validation: string | null
  /** Hidden columns behind those of `sql`, in which rows keep their ids. */
  readonly kept: ReturnType<typeof keptColumns>
}

async function planAlteration(
  alteration: Alteration,
  statement: ParsedStatement,
  context: QueryContext,
  connection: EngineConnection,
): Promise<AlterationPlan> {
  // The relation that an ALTER TABLE names is the one it changes, not one it reads.
  const withoutRelations = { ...statement, tree: { SelectStmt: {} } }
  const { query } = await analyzePlan(
    withoutRelations,
    [],
    [],
    context,
    connection,
    true,
    (analysis) => planned(analysis, alteration),
  )
  return query
}

function planned(analysis: Analysis, alteration: Alteration): AlterationPlan {
  const { table, snapshot, change } = alteration
  const draft = new TableDraft(table, snapshot)
  change(draft)
  const definition = draft.definition()
  const columns = targetColumns({ fields: draft.columns.map(({ field }) => field) })
  for (const one of draft.stated) requireSameMeaning(analysis, one, columns, table.name)
  checkDefaults(analysis, draft, columns)
  const kept = draft.rewrites ? keptColumns(snapshot) : null
  const sql = alteredRows(analysis, draft, columns, kept ?? [])
  return {
    sql,
    columns: [],
    levels: [],
    draft,
    definition,
    validation: validationText(analysis, draft, columns, sql),
    kept,
  }
}

/** Every default whose column has a new type must be a value of it. */
function checkDefaults(
  analysis: Analysis,
  draft: TableDraft,
  columns: readonly TargetColumn[],
): void {
  for (const [i, column] of columns.entries()) {
    const old = draft.base.schema.fields.find((one) => one.name === draft.columns[i]?.field.name)
    const isKnown = JSON.stringify(old?.type) === JSON.stringify(column.field.type)
    if (!isKnown && column.defaultText !== undefined) defaultValue(analysis, column)
  }
}

/** A SELECT of the rows that the table has, as the draft wants them, and what is `kept` of them. */
function alteredRows(
  analysis: Analysis,
  draft: TableDraft,
  columns: readonly TargetColumn[],
  kept: readonly StructField[],
): string {
  const [id, version] = kept.map(({ name }) => quoteIdentifier(name))
  const keptItems = (of: string): string[] =>
    // The rows are the same ones, but of the version that is being made.
    id === undefined ? [] : [`${of}.${id} AS ${id}`, `NULL::BIGINT AS ${version}`]
  const old = targetColumns(draft.base.schema)
  const alias = analysis.fresh('b')
  const { scope } = targetScope(old, draft.table.name, draft.table.layer, alias, BASE)
  const items = draft.columns.map(({ source, field }, i) => {
    const column = columns[i] as TargetColumn
    const type = printEngineType(column.type.engine)
    const name = quoteIdentifier(field.name)
    if (source.kind === 'stored') {
      return `CAST(${alias}.${quoteIdentifier(source.name)} AS ${type}) AS ${name}`
    }
    return source.kind === 'converted'
      ? `${converted(analysis, source, column, scope)} AS ${name}`
      : `${defaultValue(analysis, { ...column, defaultText: source.defaultText })} AS ${name}`
  })
  const rows = `SELECT ${[...items, ...keptItems(alias)].join(', ')} FROM ${markerOf(BASE)} AS ${alias}`
  const isComputed = (i: number): boolean =>
    draft.columns[i]?.source.kind === 'added' && columns[i]?.generatedText !== undefined
  if (!columns.some((_, i) => isComputed(i))) return rows
  const outer = analysis.fresh('b')
  const computed = columns.map((column, i) => {
    const name = quoteIdentifier(column.field.name)
    if (!isComputed(i)) return `${outer}.${name} AS ${name}`
    const text = column.generatedText ?? ''
    return `${computedValue(analysis, text, column, columns, outer, GENERATION)} AS ${name}`
  })
  return `SELECT ${[...computed, ...keptItems(outer)].join(', ')} FROM (${rows}) AS ${outer}`
}

function converted(
  analysis: Analysis,
  source: { readonly name: string; readonly using: Node | undefined },
  column: TargetColumn,
  scope: Scope,
): string {
  const { name } = column.field
  if (source.using !== undefined) {
    walk(source.using, (node) => {
      if (nodeOf(node, 'SubLink') === undefined) return true
      throw new SqlError(
        SqlState.featureNotSupported,
        'cannot use subquery in transform expression',
      )
    })
  }
  const node: Node = source.using ?? { ColumnRef: { fields: [{ String: { sval: source.name } }] } }
  const value = analyzeExpression(analysis, node, scope, plainPlace('USING'))
  // A text that comes from a column is no literal of whatever type is wanted.
  const known = source.using === undefined ? { ...value, shape: { kind: 'other' as const } } : value
  try {
    return assign(analysis, known, column).sql
  } catch (thrown) {
    if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.datatypeMismatch) throw thrown
    const type = typeName(column.type)
    throw source.using === undefined
      ? new SqlError(
          SqlState.datatypeMismatch,
          `column "${name}" cannot be cast automatically to type ${type}`,
          { hint: `You might need to specify "USING ${name}::${type}".` },
        )
      : new SqlError(
          SqlState.datatypeMismatch,
          `result of USING clause for column "${name}" cannot be cast automatically to type ${type}`,
          { hint: 'You might need to add an explicit cast.' },
        )
  }
}

function validationText(
  analysis: Analysis,
  draft: TableDraft,
  columns: readonly TargetColumn[],
  rows: string,
): string | null {
  const alias = analysis.fresh('v')
  const tests = draft.validations.map((validation) => {
    if (validation.kind === 'not-null') {
      return `${alias}.${quoteIdentifier(validation.column)} IS NULL`
    }
    const text = draft.constraint(validation.name) ?? 'true'
    return `(${checkedCondition(analysis, text, columns, alias, 'the constraint')}) IS NOT TRUE`
  })
  if (tests.length === 0) return null
  const items = tests.map((test) => `coalesce(bool_or(${test}), false)`)
  return `SELECT ${items.join(', ')} FROM (${rows}) AS ${alias}`
}

/** Validates the rows and writes them anew where the draft asks for it. */
async function moveRows(
  plan: AlterationPlan,
  snapshot: Snapshot,
  change: TableChange,
  context: QueryContext,
  connection: EngineConnection,
): Promise<Partial<Parameters<TableChange['apply']>[0]>> {
  const { draft, definition, validation, kept } = plan
  const { store } = context.gateway
  if (validation === null && !draft.rewrites) return {}
  const files = [...snapshot.files]
  const reads = [{ predicate: UNKNOWN, files }]
  if (files.length === 0) return { reads }
  const scan = planScan(snapshot, UNKNOWN)
  const relation =
    kept === null
      ? await scanRelation(store, connection, scan)
      : await trackedRelation(store, connection, scan, kept, (file) => change.hasMade(file))
  const over = (sql: string): string => replaceMarkers(sql, () => relation)
  if (validation !== null) {
    const [row] = await connection.query(over(validation))
    const broken = draft.validations[(row ?? []).indexOf(true)]
    if (broken !== undefined) throw violation(draft, broken)
  }
  if (!draft.rewrites) return { reads }
  if (snapshot.metadata.configuration['delta.appendOnly']?.toLowerCase() === 'true') {
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      `table "${draft.table.name}" is append-only, and its rows would have to be written anew`,
      { hint: "Reset the table property 'delta.appendOnly' to change rows." },
    )
  }
  const written = await writeDataFiles(
    store,
    connection,
    definition,
    { query: over(plan.sql) },
    kept === null ? {} : { hidden: kept },
  )
  return { reads, removes: files, adds: written.files }
}

function violation(draft: TableDraft, broken: TableDraft['validations'][number]): SqlError {
  return broken.kind === 'not-null'
    ? new SqlError(
        SqlState.notNullViolation,
        `column "${broken.column}" of relation "${draft.table.name}" contains null values`,
      )
    : new SqlError(
        SqlState.checkViolation,
        `check constraint "${broken.name}" of relation "${draft.table.name}" is violated by some row`,
      )
}
