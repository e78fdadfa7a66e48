/** RunCreateTable: CREATE TABLE and CREATE TABLE AS carried out for tables of the lake. */

import type { TableName } from '../catalog/catalog.js'
import type { TableRegistration } from '../catalog/registration.js'
import type { Metadata } from '../storage/actions.js'
import type { Cancellation } from '../storage/cancellation.js'
import {
  CLUSTERING_DOMAIN,
  clusteringColumns,
  clusteringConfiguration,
} from '../storage/clustering.js'
import { writeDataFiles } from '../storage/data-file.js'
import { quoteIdentifier } from '../storage/engine.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { defineTable, type NewTable } from '../storage/new-table.js'
import { UNKNOWN } from '../storage/predicate.js'
import { ROW_TRACKING_DOMAIN } from '../storage/row-tracking.js'
import type { StructField } from '../storage/schema.js'
import { propertyName, requireProperty } from '../storage/table-property.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { AnalyzedQuery, OutputColumn } from './analysis.js'
import {
  addCheck,
  columnField,
  CONSTRAINTS,
  type Definition,
  deltaTypeOf,
  nameKey,
} from './create-table.js'
import { withLayerDefaults } from './layer-defaults.js'
import {
  addProperties,
  ALL_PARTS,
  likeConstraints,
  likeFields,
  likeParts,
  likeProperties,
} from './like-table.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { analyze, analyzePlan, type QueryContext, scanText } from './query.js'
import { command } from './ready-rows.js'
import { notSupported } from './refusal.js'
import { constantOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { requireSameMeaning } from './stated-expression.js'
import { type StatementChange, TableChange } from './table-change.js'
import type { TableOptions } from './table-clauses.js'
import { folderOf, otherFolder } from './table-location.js'
import { targetColumns } from './target-table.js'
import { findTarget } from './write-target.js'

/** Tells the client of something it may not expect. */
type Notice = (message: string, sqlState?: SqlState) => void

/** What stands where a new table is to be. */
export interface Place {
  readonly table: TableName
  /** The table that has the name already; null when it is free. */
  readonly existing: Snapshot | null
  /** What the log in the folder goes on from: that table, or one that was dropped. */
  readonly base: Snapshot | null
  readonly exists: boolean
  /** Set where the folder does not bear the table's name. */
  readonly registration: TableRegistration | undefined
}

/** Executes CREATE TABLE, whose fields are `fields`. */
export async function runCreateTable(
  fields: Node,
  statement: ParsedStatement,
  context: QueryContext,
  notice: Notice,
): Promise<Execution> {
  const { tableOptions: lake, start } = statement
  const done = command('CREATE TABLE')
  if (fields.partbound !== undefined) throw notSupported('PARTITION OF')
  if (fields.inhRelations !== undefined) throw notSupported('INHERITS')
  if (fields.ofTypename !== undefined) throw notSupported('CREATE TABLE OF')
  const place = await placeOf(fields.relation as Node, lake, context)
  const { table } = place
  if (isThere(place, lake, fields.if_not_exists === true, notice)) return done
  const { existing, base } = place
  if (lake.location !== undefined && existing === null && base !== null) {
    return registerFound(fields, lake, place, base, context)
  }
  const { definition, options } = await definedBy(fields, lake, table, start, context)
  if (definition.fields.length === 0) throw notSupported('a table without columns')
  await requireExpressions(definition, statement, table.name, context)
  const layer = await context.catalog.layer(table.layer)
  const inherited = withLayerDefaults(options, layer, definition.fields, table.name)
  const made = define(place, definition.fields, inherited, definition.configuration)
  if (definition.configuration['lakegate.primaryKey'] !== undefined) {
    notice('the primary key is informational: rows are not held against it')
  }
  for (const name of definition.widened) {
    notice(`identity column "${name}" is stored as bigint: Delta counts in 64 bits`)
  }
  const { change, more } = await beginTable(context, place, made)
  const operation = existing === null ? 'CREATE TABLE' : 'CREATE OR REPLACE TABLE'
  change.apply({ ...more, operation, parameters: parametersOf(made) })
  return done
}

/** The errors of `requireSameMeaning` for what the statement states. */
async function requireExpressions(
  { fields, stated }: Definition,
  statement: ParsedStatement,
  table: string,
  context: QueryContext,
): Promise<void> {
  if (stated.length === 0) return
  const columns = targetColumns({ fields })
  await context.pool.with((connection) =>
    analyzePlan(
      { ...statement, tree: { SelectStmt: {} } },
      [],
      [],
      context,
      connection,
      true,
      (analysis) => {
        for (const one of stated) requireSameMeaning(analysis, one, columns, table)
        return { sql: '', columns: [], levels: [] }
      },
    ),
  )
}

/** Whether IF NOT EXISTS has found the table; 42P07 when it must not be there. */
export function isThere(
  { table, exists }: Place,
  { orReplace }: TableOptions,
  ifNotExists: boolean,
  notice: Notice,
): boolean {
  if (orReplace && ifNotExists) {
    throw new SqlError(SqlState.syntaxError, 'OR REPLACE and IF NOT EXISTS exclude each other')
  }
  if (!exists || orReplace) return false
  if (!ifNotExists) throw duplicate(table)
  notice(`relation "${table.name}" already exists, skipping`, SqlState.duplicateTable)
  return true
}

interface StatedDefinition extends Definition {
  /** Identity columns that were given a smaller type than Delta has for them. */
  readonly widened: readonly string[]
}

/** The columns and options of the statement, those of a table it is LIKE included. */
async function definedBy(
  fields: Node,
  lake: TableOptions,
  table: TableName,
  start: number,
  context: QueryContext,
): Promise<{ readonly definition: StatedDefinition; readonly options: TableOptions }> {
  const definition: Definition = { fields: [], configuration: {}, stated: [] }
  const widened: string[] = []
  let options = optionsOf(fields, lake)
  if (lake.like !== undefined) {
    const source = await sourceOf(lake.like, start, context)
    definition.fields.push(...likeFields(source, ALL_PARTS))
    options = {
      ...options,
      partitionColumns: source.metadata.partitionColumns,
      clusterColumns: clusteringColumns(source) ?? [],
      comment: options.comment ?? source.metadata.description ?? undefined,
      properties: { ...likeProperties(source), ...options.properties },
    }
  }
  for (const node of listOf(fields.tableElts)) {
    const column = nodeOf(node, 'ColumnDef')
    const constraint = nodeOf(node, 'Constraint')
    const like = nodeOf(node, 'TableLikeClause')
    if (column !== undefined) {
      const field = columnField(column, definition, table.name)
      const written = namesOf((column.typeName as Node).names).at(-1) ?? ''
      if (field.metadata['delta.identity.start'] !== undefined && !/8|big/.test(written)) {
        widened.push(field.name)
      }
      definition.fields.push(field)
    } else if (constraint?.contype === 'CONSTR_CHECK') {
      addCheck(constraint, definition, table.name)
    } else if (constraint?.contype === 'CONSTR_PRIMARY') {
      definition.configuration['lakegate.primaryKey'] = namesOf(constraint.keys).join(',')
      nameKey(constraint, definition.configuration)
    } else if (constraint !== undefined) {
      throw notSupported(CONSTRAINTS[String(constraint.contype)] ?? 'this constraint')
    } else if (like !== undefined) {
      const range = like.relation as Node
      const name = [range.schemaname, range.relname].filter((part) => part !== undefined)
      const source = await sourceOf(name.map(String), start, context, range)
      const parts = likeParts(Number(like.options ?? 0))
      definition.fields.push(...likeFields(source, parts))
      addProperties(definition.configuration, likeConstraints(source, parts))
    }
  }
  const keys = (definition.configuration['lakegate.primaryKey'] ?? '').split(',')
  const made = definition.fields.map((field) =>
    keys.includes(field.name) ? { ...field, nullable: false } : field,
  )
  return { definition: { ...definition, fields: made, widened }, options }
}

/** The table of LIKE; 42P01 when there is none, 42809 for a view. */
async function sourceOf(
  name: readonly string[],
  start: number,
  context: QueryContext,
  range?: Node,
): Promise<Snapshot> {
  const [relname = '', schemaname] = [...name].reverse()
  if (schemaname === undefined && context.temporaryTable(relname) !== undefined) {
    throw notSupported('LIKE with a temporary table')
  }
  const { snapshot } = await findTarget(
    range ?? { relname, ...(schemaname === undefined ? {} : { schemaname }) },
    context,
    range === undefined ? undefined : start,
    ['SELECT'],
    (view) => `LIKE with view "${view}" is not supported`,
  )
  return snapshot
}

function optionsOf(fields: Node, lake: TableOptions): TableOptions {
  const spec = fields.partspec as Node | undefined
  if (spec?.strategy === 'PARTITION_STRATEGY_HASH') throw notSupported('PARTITION BY HASH')
  const partitions =
    spec === undefined
      ? lake.partitionColumns
      : listOf(spec.partParams).map((part) => {
          const element = nodeOf(part, 'PartitionElem') ?? {}
          if (typeof element.name !== 'string') throw notSupported('partitioning by an expression')
          return element.name
        })
  const given: { [key: string]: string } = { ...lake.properties }
  for (const option of listOf(fields.options)) {
    const element = nodeOf(option, 'DefElem') ?? {}
    const name =
      element.defnamespace === undefined
        ? String(element.defname)
        : `${String(element.defnamespace)}.${String(element.defname)}`
    const value = element.arg as Node | undefined
    given[name] = String(
      stringOf(value) ??
        (nodeOf(value, 'Integer') as { ival?: number } | undefined)?.ival ??
        constantOf(value) ??
        'true',
    )
  }
  return { ...lake, partitionColumns: partitions, properties: statedProperties(given) }
}

/** Properties in the spelling that engines know them by; the errors of `requireProperty`. */
export function statedProperties(given: { readonly [key: string]: string }): {
  readonly [key: string]: string
} {
  const properties: { [key: string]: string } = {}
  for (const [name, value] of Object.entries(given)) {
    const spelled = propertyName(name)
    requireProperty(spelled, value)
    properties[spelled] = value
  }
  return properties
}

/**
 * Where the table that a RangeVar's fields name is to be.
 *
 * 3F000 when there is no such layer, 42602 for a name that can be no folder's, 42809 for a view.
 */
export async function placeOf(
  range: Node,
  lake: TableOptions,
  context: QueryContext,
): Promise<Place> {
  const { store, snapshots } = context.gateway
  const { catalog } = context
  const { access, searchPath } = context
  const schema = typeof range.schemaname === 'string' ? range.schemaname : undefined
  const layer = await access.creationLayer(catalog, schema, searchPath)
  if (lake.location !== undefined) {
    await access.requireSuperuser(
      'permission denied to create a table with LOCATION',
      'Only superusers may say where a table lies.',
    )
  }
  const name = String(range.relname)
  if (!(await catalog.layers()).includes(layer)) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
  }
  if (/[/\\]|^[._]/.test(name)) {
    throw new SqlError(SqlState.invalidName, `"${name}" cannot be the name of a table`)
  }
  const created = context.block.createdTable(layer, name)
  const found = await catalog.resolve([layer, name], [])
  if (found?.kind === 'view' && lake.orReplace) {
    throw new SqlError(SqlState.wrongObjectType, `"${name}" is not a table`)
  }
  const known = created ?? (found?.kind === 'table' ? found.table : undefined)
  if (known !== undefined && lake.orReplace) {
    await access.requireOwner({ kind: 'table', table: known })
    if (lake.location !== undefined && folderOf(lake.location, store.root) !== known.path) {
      throw notSupported('moving a table to another location')
    }
    const existing = await context.block.snapshot(known.path, context.gateway)
    return { table: known, existing, base: existing, exists: true, registration: undefined }
  }
  if (known !== undefined || found !== null) {
    const table = known ?? { layer, name, path: `${layer}/${name}` }
    return { table, existing: null, base: null, exists: true, registration: undefined }
  }
  const path = await freeFolder(layer, name, lake, context)
  const table = { layer, name, path }
  const isOwn = path === `${layer}/${name}`
  const base = await snapshots.latest(path)
  return { table, existing: null, base, exists: false, registration: isOwn ? undefined : table }
}

/** The folder of a new table; 42P07 when it belongs to another name. */
async function freeFolder(
  layer: string,
  name: string,
  { location }: TableOptions,
  { gateway, catalog }: QueryContext,
): Promise<string> {
  const { store } = gateway
  const own = `${layer}/${name}`
  if (location === undefined) {
    return (await catalog.isOwnFolder(own)) ? own : otherFolder(layer, name)
  }
  const path = folderOf(location, store.root)
  const parts = path.split('/')
  for (let depth = 1; depth < parts.length; depth++) {
    const above = parts.slice(0, depth).join('/')
    if (!(await store.listFolders(above)).includes('_delta_log')) continue
    throw new SqlError(
      SqlState.invalidParameterValue,
      `the location "${location}" is inside of the table in "${above}"`,
    )
  }
  const other = await catalog.nameOf(path)
  if (other === null || (other.layer === layer && other.name === name)) return path
  throw new SqlError(
    SqlState.duplicateTable,
    `the location "${location}" is that of table "${other.layer}.${other.name}"`,
  )
}

/** LOCATION of a folder that holds a table: it gets the name, and stays as it is. */
async function registerFound(
  fields: Node,
  lake: TableOptions,
  { table }: Place,
  found: Snapshot,
  context: QueryContext,
): Promise<Execution> {
  if (context.block.explicit) {
    throw new SqlError(
      SqlState.activeSqlTransaction,
      'CREATE TABLE of a location that holds a table cannot run inside a transaction block',
    )
  }
  const definition: Definition = { fields: [], configuration: {}, stated: [] }
  for (const node of listOf(fields.tableElts)) {
    const column = nodeOf(node, 'ColumnDef')
    if (column === undefined) throw notSupported('constraints for a location that holds a table')
    definition.fields.push(columnField(column, definition, table.name))
  }
  const same = (one: StructField, other: StructField | undefined): boolean =>
    one.name === other?.name && JSON.stringify(one.type) === JSON.stringify(other.type)
  const { schema } = found
  const differs =
    definition.fields.length !== schema.fields.length ||
    definition.fields.some((field, i) => !same(field, schema.fields[i]))
  const states =
    Object.keys(lake.properties).length > 0 ||
    lake.partitionColumns.length > 0 ||
    lake.clusterColumns.length > 0
  if ((definition.fields.length > 0 && differs) || states) {
    throw new SqlError(
      SqlState.invalidTableDefinition,
      `the table in "${table.path}" is not defined that way`,
      { hint: 'Leave out columns, partitions and properties to take it as it is.' },
    )
  }
  await context.gateway.catalog.adoptTable(table)
  return command('CREATE TABLE')
}

/**
 * The change that makes the table, and what it is to be given.
 *
 * A table that is replaced, or was dropped, leaves its log: the new one is the next version of it.
 * One that is replaced keeps its id, so that readers know it for the same.
 */
export async function beginTable(
  context: QueryContext,
  { table, existing, base, registration }: Place,
  made: NewTable,
): Promise<{ readonly change: TableChange; readonly more: Partial<StatementChange> }> {
  const owner = existing === null ? await context.access.owner() : undefined
  if (owner !== undefined) {
    // Of a table that does not come to be, an owner means nothing.
    const id = made.metadata.id
    await context.gateway.catalog.ownTables([{ table, id, owner }])
  }
  const change = context.block.changing(table, 'CREATE TABLE', () => {
    const isNew = existing === null ? made : null
    return new TableChange(table, base, isNew, registration)
  })
  if (base === null) return { change, more: { definition: made, domains: made.domains } }
  const files = [...base.files]
  const domains = new Map<string, string | null>()
  for (const domain of base.domains.keys()) {
    if (domain !== ROW_TRACKING_DOMAIN) domains.set(domain, null)
  }
  for (const [domain, configuration] of made.domains) domains.set(domain, configuration)
  const definition = existing === null ? made : { ...made, metadata: continued(base, made) }
  // Of a table that this block makes, there is nothing that others could change.
  const reads = base.version < 0 ? {} : { reads: [{ predicate: UNKNOWN, files }] }
  return { change, more: { definition, removes: files, domains, ...reads } }
}

/** What the metadata of a replaced table goes on with. */
function continued(base: Snapshot, { metadata }: NewTable): Metadata {
  const kept = Object.entries(base.metadata.configuration).filter(
    ([key]) =>
      key.startsWith('delta.inCommitTimestampEnablement') &&
      metadata.configuration['delta.enableInCommitTimestamps'] === 'true',
  )
  return {
    ...metadata,
    id: base.metadata.id,
    configuration: { ...metadata.configuration, ...Object.fromEntries(kept) },
  }
}

function duplicate(table: TableName): SqlError {
  return new SqlError(SqlState.duplicateTable, `relation "${table.name}" already exists`)
}

function define(
  { table, base }: Place,
  fields: readonly StructField[],
  options: TableOptions,
  configuration: { readonly [key: string]: string },
): NewTable {
  const { clusterColumns, partitionColumns } = options
  const counted = fields.find(
    ({ name, metadata }) =>
      metadata['delta.identity.start'] !== undefined &&
      partitionColumns.some((one) => one.toLowerCase() === name.toLowerCase()),
  )
  if (counted !== undefined) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      `a table cannot be partitioned by identity column "${counted.name}"`,
    )
  }
  const made = defineTable({
    tablePath: table.path,
    name: table.name,
    description: options.comment,
    schema: { fields },
    partitionColumns,
    configuration: {
      ...DEFAULT_PROPERTIES,
      ...options.properties,
      ...configuration,
      ...columnIds(base),
    },
    // The domain's own text names columns as they are stored, which is known afterwards.
    domains: new Map(clusterColumns.length > 0 ? [[CLUSTERING_DOMAIN, '']] : []),
  })
  if (clusterColumns.length === 0) return made
  const clustering = clusteringConfiguration(made, clusterColumns)
  return { ...made, domains: new Map([[CLUSTERING_DOMAIN, clustering]]) }
}

/** Properties of new tables: most changes touch few rows, and a vector is cheaper than a new file. */
const DEFAULT_PROPERTIES = { 'delta.enableDeletionVectors': 'true' }

/** Ids of columns go on from those of the log's earlier tables. */
function columnIds(base: Snapshot | null): { readonly [key: string]: string } {
  const key = 'delta.columnMapping.maxColumnId'
  const highest = base?.metadata.configuration[key]
  return highest === undefined ? {} : { [key]: highest }
}

function parametersOf(made: NewTable): { readonly [name: string]: string } {
  const { metadata } = made
  return {
    isManaged: 'true',
    description: metadata.description ?? '',
    partitionBy: JSON.stringify(metadata.partitionColumns),
    clusterBy: JSON.stringify(clusteringColumns(made) ?? []),
    properties: JSON.stringify(metadata.configuration),
  }
}

/** Executes CREATE TABLE … AS for a table of the lake. */
export async function runCreateTableAs(
  inner: ParsedStatement,
  into: Node,
  ifNotExists: boolean,
  lake: TableOptions,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  notice: Notice,
): Promise<Execution> {
  const place = await placeOf(into.rel as Node, lake, context)
  const { table, existing, base } = place
  if (isThere(place, lake, ifNotExists, notice)) return command('CREATE TABLE AS')
  if (lake.location !== undefined && existing === null && base !== null) {
    throw new SqlError(
      SqlState.duplicateTable,
      `the location "${lake.location}" holds a table already`,
    )
  }
  const options = optionsOf({ options: into.options }, lake)
  const names = namesOf(into.colNames)
  const words = existing === null ? 'CREATE TABLE' : 'CREATE OR REPLACE TABLE'
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const analyzed = await analyze(inner, [], values, context, connection, true)
      const columns: readonly OutputColumn[] = analyzed.query.columns
      if (names.length > columns.length) {
        throw new SqlError(SqlState.syntaxError, 'too many column names were specified')
      }
      const fields = columns.map(
        (column, i): StructField => ({
          name: names[i] ?? column.name,
          type: deltaTypeOf(column.type),
          nullable: true,
          metadata: {},
        }),
      )
      const layer = await context.catalog.layer(table.layer)
      const made = define(place, fields, withLayerDefaults(options, layer, fields, table.name), {})
      const operation = `${words} AS SELECT`
      const parameters = parametersOf(made)
      if (into.skipData === true) {
        const { change, more } = await beginTable(context, place, made)
        change.apply({ ...more, operation, parameters })
        return command('CREATE TABLE AS')
      }
      const { sql, values: bound } = await scanText(analyzed, values, context, connection)
      const { change, more } = await beginTable(context, place, made)
      const written = await writeDataFiles(context.gateway.store, connection, made, {
        query: renamed(sql, analyzed.query, fields),
        values: bound,
      })
      change.apply({ ...more, operation, parameters, adds: written.files })
      return command(`SELECT ${written.rowCount}`)
    } finally {
      connection.attach(undefined)
    }
  })
}

function renamed(sql: string, query: AnalyzedQuery, fields: readonly StructField[]): string {
  const items = fields.map((field, i) => {
    const from = quoteIdentifier(query.columns[i]?.engineName ?? '')
    const isText = field.type.kind === 'primitive' && field.type.name === 'string'
    const value = isText ? `CAST(q.${from} AS VARCHAR)` : `q.${from}`
    return `${value} AS ${quoteIdentifier(field.name)}`
  })
  return `SELECT ${items.join(', ')} FROM (${sql}) AS q`
}
