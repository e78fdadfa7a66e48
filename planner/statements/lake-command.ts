/** The lake's own commands: DESCRIBE HISTORY, DETAIL and tables, SHOW TBLPROPERTIES, those that maintain tables. */

import type { TableName } from '../../catalog/catalog.js'
import type { Scalar } from '../../storage/engine-value.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { propertyName } from '../../storage/table-property.js'
import { sparkColumnType, sparkTypeName } from '../../storage/type-name.js'
import { deltaTypeOf } from '../create-table.js'
import type { CatalogCommand } from '../catalog-command.js'
import type { CloneTable } from '../clone-syntax.js'
import type { ConvertTable } from '../convert-syntax.js'
import type { CopyInto } from '../copy-into-syntax.js'
import type { LakeCommand } from '../lake-syntax.js'
import { parseStatements } from '../parse.js'
import type { MaintenanceCommand } from '../maintenance-syntax.js'
import { laterRelation } from '../past-lake.js'
import type { Execution } from '../portal.js'
import { UNRESTRICTED } from '../access-control.js'
import { describeQuery } from '../query.js'
import { readyRows, textColumn } from '../ready-rows.js'
import { undefinedRelation } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import type { SessionContext } from '../session-context.js'
import { type SqlType, sqlType, typeName } from '../sql-type.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import {
  DETAIL_COLUMNS,
  detailOf,
  HISTORY_COLUMNS,
  historyOf,
  propertiesOf,
  textOf,
} from '../table-report.js'
import { findTarget } from '../write-target.js'
import { analyzeTable, columnFacts } from './analyze.js'
import { catalogColumns, runCatalogCommand } from './catalog-command.js'
import { CLONE_COLUMNS, cloneTable } from './clone.js'
import { convert } from './convert.js'
import { COPY_INTO_COLUMNS, copyInto } from './copy-into.js'
import { OPTIMIZE_COLUMNS, optimize } from './optimize.js'
import { RESTORE_COLUMNS, restore } from './restore.js'
import { VACUUM_COLUMNS, vacuum } from './vacuum.js'
import { temporaryTableNamed } from './temporary-table.js'

export const LAKE_COMMAND: StatementKind = {
  describe: ({ statement }) => ({
    parameterTypes: [],
    columns: statement.lakeCommand === null ? null : columnsOf(statement.lakeCommand),
  }),
  open: (call) => {
    const { lakeCommand } = call.statement
    return lakeCommand === null ? { kind: 'empty' } : run(call, lakeCommand)
  },
}

async function run(call: StatementCall, lakeCommand: LakeCommand): Promise<Execution> {
  const { session } = call
  switch (lakeCommand.kind) {
    case 'optimize':
    case 'reorg':
      return optimize(call, lakeCommand)
    case 'vacuum':
      return vacuum(call, lakeCommand)
    case 'restore':
      return restore(call, lakeCommand)
    case 'analyze':
      return analyzeTable(call, lakeCommand)
    case 'copy-into':
      return copyInto(call, lakeCommand)
    case 'clone':
      return cloneTable(call, lakeCommand)
    case 'convert':
      return convert(call, lakeCommand)
    default:
      if (!isOwn(lakeCommand)) return runCatalogCommand(session, lakeCommand)
      return readyRows(columnsOf(lakeCommand) ?? [], await rowsOf(session, lakeCommand))
  }
}

type OwnCommand = Exclude<
  LakeCommand,
  CatalogCommand | CloneTable | ConvertTable | CopyInto | MaintenanceCommand
>

const OWN: ReadonlySet<string> = new Set<OwnCommand['kind']>([
  'describe-history',
  'describe-detail',
  'describe-table',
  'show-properties',
])

function isOwn(lakeCommand: OwnCommand | CatalogCommand): lakeCommand is OwnCommand {
  return OWN.has(lakeCommand.kind)
}

async function rowsOf(
  session: SessionContext,
  lakeCommand: OwnCommand,
): Promise<readonly Scalar[][]> {
  switch (lakeCommand.kind) {
    case 'describe-history':
      return history(session, await committed(session, lakeCommand.name), lakeCommand.limit)
    case 'describe-detail':
      return [await detail(session, await committed(session, lakeCommand.name))]
    case 'describe-table':
      return lakeCommand.column === null
        ? described(session, lakeCommand.name, lakeCommand.extended)
        : facts(session, lakeCommand.name, lakeCommand.column)
    case 'show-properties':
      return properties(await seen(session, lakeCommand.name), lakeCommand.property)
  }
}

/** A table that others see too, by its name. */
async function committed(session: SessionContext, name: readonly string[]): Promise<TableName> {
  const searchPath = session.settings.searchPath()
  const found = await session.access.resolve(session.catalog, name, searchPath)
  if (found === null && session.past !== undefined) {
    if ((await session.gateway.catalog.resolve(name, searchPath)) !== null)
      throw laterRelation(name)
  }
  if (found?.kind !== 'table') throw undefinedRelation(name)
  // Of a table that cannot be read its history tells why: nothing but the log is asked for.
  if (await session.access.isSuperuser()) return found.table
  const snapshot = await session.gateway.snapshots.latest(found.table.path)
  if (snapshot === null) throw undefinedRelation(name)
  // Its history tells of conditions with values of every column.
  const use = await session.access.useOf(found.table, snapshot, ['SELECT'])
  use.wholeRow()
  await session.access.check([use])
  return found.table
}

/** A table as this session sees it, what its block has changed included. */
async function seen(
  session: SessionContext,
  name: readonly string[],
): Promise<{ readonly table: TableName; readonly snapshot: Snapshot }> {
  const [relname, schemaname] = [name.at(-1), name.at(-2)]
  const range = { relname, ...(schemaname === undefined ? {} : { schemaname }) }
  // There is no place to tell: the command's name is all of it.
  const { table, snapshot } = await findTarget(range, session.queryContext(), 0, ['SELECT'])
  return { table, snapshot }
}

async function history(
  session: SessionContext,
  { path }: TableName,
  limit: number | null,
): Promise<Scalar[][]> {
  const newest = (await session.past?.snapshot(path))?.version
  return historyOf(session.gateway.store, path, newest, limit)
}

async function detail(session: SessionContext, table: TableName): Promise<Scalar[]> {
  const { store, snapshots } = session.gateway
  const { past } = session
  const snapshot = await (past === undefined
    ? snapshots.latest(table.path)
    : past.snapshot(table.path))
  if (snapshot === null) throw undefinedRelation([table.layer, table.name])
  return detailOf(store, table, snapshot)
}

/** What is known of one column. */
async function facts(
  session: SessionContext,
  name: readonly string[],
  column: string,
): Promise<Scalar[][]> {
  const found = await columnFacts(session, await seen(session, name), column)
  return found.map((pair) => [...pair])
}

/** As Spark describes tables: columns, then the partition's, then what the table is. */
async function described(
  session: SessionContext,
  name: readonly string[],
  extended: boolean,
): Promise<Scalar[][]> {
  const temporary = temporaryTableNamed(session, name)
  if (temporary !== undefined) {
    return temporary.columns.map((column) => [column.name, shownType(column.type), null])
  }
  const context = session.queryContext()
  const found = await session.access.resolve(session.catalog, name, context.searchPath)
  if (found?.kind === 'view') {
    await session.access.requireView(found.view)
    const [statement] = parseStatements(found.view.definition)
    if (statement === undefined) throw undefinedRelation(name)
    const searchPath = found.view.searchPath ?? context.searchPath
    const inside = { ...context, searchPath, access: UNRESTRICTED }
    const { columns } = await describeQuery(statement, [], inside)
    return columns.map((column, i) => [
      found.view.columns[i] ?? column.name,
      shownType(sqlType(column.pgType.oid, column.pgType.typmod)),
      null,
    ])
  }
  const { table, snapshot } = await seen(session, name)
  const { schema, metadata } = snapshot
  const rows: Scalar[][] = schema.fields.map((field) => [
    field.name,
    sparkColumnType(field),
    textOf(field.metadata.comment),
  ])
  const partitions = metadata.partitionColumns.flatMap((one) =>
    rows.filter(([column]) => column === one),
  )
  if (partitions.length > 0) {
    rows.push(['# Partition Information', '', ''], ['# col_name', 'data_type', 'comment'])
    rows.push(...partitions)
  }
  if (!extended) return rows
  const { configuration } = metadata
  const pairs = Object.keys(configuration)
    .sort()
    .map((key) => `${key}=${configuration[key]}`)
  rows.push(
    ['', '', ''],
    ['# Detailed Table Information', '', ''],
    ['Name', `${table.layer}.${table.name}`, ''],
    ...(metadata.description ? [['Comment', metadata.description, '']] : []),
    ['Location', `${session.gateway.store.root}/${table.path}`, ''],
    ['Provider', 'delta', ''],
    ['Table Properties', `[${pairs.join(',')}]`, ''],
  )
  return rows
}

function shownType(type: SqlType): string {
  try {
    return sparkTypeName(deltaTypeOf(type))
  } catch {
    return typeName(type)
  }
}

/** Properties by name, or what is known of one. */
function properties(
  { table, snapshot }: { readonly table: TableName; readonly snapshot: Snapshot },
  property: string | null,
): Scalar[][] {
  const all = propertiesOf(snapshot)
  if (property === null) return [...all].map((pair) => [...pair])
  const key = propertyName(property)
  const value = all.get(key)
  return [[key, value ?? `Table ${table.layer}.${table.name} does not have property: ${property}`]]
}

function columnsOf(lakeCommand: LakeCommand): readonly ResultColumn[] | null {
  switch (lakeCommand.kind) {
    case 'describe-history':
      return HISTORY_COLUMNS
    case 'describe-detail':
      return DETAIL_COLUMNS
    case 'describe-table':
      return (
        lakeCommand.column === null
          ? ['col_name', 'data_type', 'comment']
          : ['info_name', 'info_value']
      ).map(textColumn)
    case 'show-properties':
      return ['key', 'value'].map(textColumn)
    case 'optimize':
    case 'reorg':
      return OPTIMIZE_COLUMNS
    case 'restore':
      return RESTORE_COLUMNS
    case 'copy-into':
      return COPY_INTO_COLUMNS
    case 'clone':
      return CLONE_COLUMNS
    case 'convert':
    case 'analyze':
      return null
    case 'vacuum':
      return lakeCommand.dryRun ? VACUUM_COLUMNS : null
    default:
      return catalogColumns(lakeCommand)
  }
}
