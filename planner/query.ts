/** Query: a SELECT over the lake - its tables resolved, analysed, pruned, described and executed. */

import { LRUCache } from 'lru-cache'
import { Oid, pgType, type PgType } from '../catalog/pg-types.js'
import type { Catalog, Relation as LakeRelation, TableName, View } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { type EngineColumn, type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { type EngineType, printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DeletionPolicy } from '../storage/file-fate.js'
import type { Predicate } from '../storage/predicate.js'
import type { Scan } from '../storage/scan.js'
import { emptyRelation } from '../storage/scan-relation.js'
import { engineTypeOf } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import { versionAt } from '../storage/snapshot.js'
import { type AccessControl, UNRESTRICTED, useOfTable } from './access-control.js'
import {
  Analysis,
  type AnalysisHost,
  type AnalyzedQuery,
  type OutputColumn,
  type Relation,
  replaceMarkers,
  type SharedAnalysis,
} from './analysis.js'
import { analyzeQuery } from './analyze-query.js'
import { analyzeEngineQuery } from './engine-analysis.js'
import type { EnginePool } from './engine-pool.js'
import type { EngineTable } from './engine-query.js'
import type { Gateway } from './gateway.js'
import { applyJoinKeys } from './join-keys.js'
import type { InputStyle } from './literal.js'
import { numberParameters } from './parameter-marker.js'
import { type ParsedStatement, parseStatements } from './parse.js'
import { laterRelation } from './past-lake.js'
import { PlannedScans, type PlannedTable } from './planned-scans.js'
import type { Execution } from './portal.js'
import type { ResultColumn } from './result.js'
import { StreamSource } from './row-source.js'
import { SourceText } from './source-text.js'
import { isArrayOid, numericType, type SqlType, sqlType, typeOfEngine } from './sql-type.js'
import { kindOf, listOf, type Node, nodeOf, walk } from './syntax-tree.js'
import { openSystemView, SYSTEM, SYSTEM_VIEWS } from './system-view.js'
import { changeBounds, changedTableName, openTableChanges } from './table-changes.js'
import { tablePredicates } from './table-predicates.js'
import { TableUse } from './table-use.js'
import { collectTableReferences, type TableReference } from './table-references.js'
import type { TransactionBlock } from './transaction-block.js'
import { requirePlainTravel } from './travel-expression.js'
import { findTarget } from './write-target.js'

/** What a query needs of the session that runs it. */
export interface QueryContext {
  readonly gateway: Gateway
  readonly pool: EnginePool
  readonly block: TransactionBlock
  /** The names as the block sees them. */
  readonly catalog: Catalog
  /** What the session's role may do. */
  readonly access: AccessControl
  readonly searchPath: readonly string[]
  readonly inputStyle: InputStyle
  /** The session's temporary table of that name, or undefined. */
  readonly temporaryTable: (name: string) => TemporaryRelation | undefined
  /** The copy of a system catalog that a statement joins with tables of the lake. */
  readonly catalogRelation?: (
    schema: string | undefined,
    name: string,
  ) => TemporaryRelation | undefined
  /** Where changes write deletion vectors. */
  readonly deletionPolicy: DeletionPolicy
  /** Whether keys of small tables are read beforehand to leave out files of large ones. */
  readonly joinPruning: boolean
  /** Whether statements add columns that their table lacks. */
  readonly schemaEvolution: boolean
  /** As for an analysis; `executing` is false while a statement is only described. */
  readonly sessionFunction: (
    name: string,
    args: readonly Node[],
    executing: boolean,
  ) => string | undefined
}

/** A temporary table as queries read it. */
export interface TemporaryRelation {
  /** Qualified DuckDB name. */
  readonly sql: string
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
}

/** A table that a statement read, for EXPLAIN. */
export interface ScannedTable {
  readonly name: string
  readonly scan: Scan
  /** Whether its "files" stand for the tables that a system view tells of. */
  readonly isSystem?: boolean
  /** Files that its own conditions left, where keys of other tables left fewer. */
  readonly filesBeforeJoinKeys?: number | undefined
}

/** Where names are looked for by views that do not tell, if they are not their reader's own. */
const DEFAULT_SEARCH_PATH: readonly string[] = ['public', 'silver', 'gold', 'bronze']

/** Views inside views, at most. */
const VIEW_DEPTH_MAX = 32

/** Types of the statement's parameters (0 in `oids`: inferred) and its columns, without executing it. */
export async function describeQuery(
  statement: ParsedStatement,
  oids: readonly number[],
  context: QueryContext,
): Promise<{
  readonly parameterTypes: readonly PgType[]
  readonly columns: readonly ResultColumn[]
}> {
  return context.pool.with(async (connection) => {
    const analyzed = await analyze(statement, oids, [], context, connection, false)
    const { sql } = numberParameters(
      replaceMarkers(analyzed.query.sql, (id) => analyzed.emptyText(id)),
      [],
    )
    const { prepared } = await prepareAs(connection, sql, analyzed.query.columns)
    const columns = resultColumns(analyzed.query.columns, prepared.columns)
    prepared.destroy()
    const parameterTypes = analyzed.parameterTypes.map((type, i) => {
      const oid = oids[i] ?? 0
      return pgType(oid !== 0 ? oid : (type?.oid ?? Oid.text))
    })
    return { parameterTypes, columns }
  })
}

/** Executes: rows stream on a connection of their own. `oids` are the parameters' types, 0 or left out where the value tells. */
export async function openQuery(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  oids: readonly number[] = [],
): Promise<Extract<Execution, { kind: 'rows' }>> {
  const connection = await context.pool.lease()
  connection.attach(cancellation)
  try {
    const analyzed = await analyze(statement, oids, values, context, connection, true)
    const { sql, values: bound } = await scanText(analyzed, values, context, connection)
    const { prepared } = await prepareAs(connection, sql, analyzed.query.columns)
    const stream = await prepared.stream(bound)
    const { columns } = analyzed.query
    if (!columns.every((column, i) => sameType(column, stream.columns[i]))) {
      // Rows would be read as what they are not.
      await stream.close()
      throw new SqlError(SqlState.internalError, 'a result has other types than its analysis')
    }
    return {
      kind: 'rows',
      columns: resultColumns(columns, stream.columns),
      source: new StreamSource(connection, prepared, stream, (one) => context.pool.release(one)),
      tag: (rowCount) => `SELECT ${rowCount}`,
    }
  } catch (thrown) {
    connection.attach(undefined)
    context.pool.release(connection)
    throw thrown
  }
}

/** The DuckDB text of a statement and the scans it reads, run by `work` on the connection it was made for. */
export async function withTranslation<T>(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  work: (
    connection: EngineConnection,
    sql: string,
    scans: readonly ScannedTable[],
    values: readonly EngineValue[],
  ) => Promise<T>,
  build?: (analysis: Analysis) => AnalyzedQuery,
): Promise<T> {
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const analyzed =
        build === undefined
          ? await analyze(statement, [], values, context, connection, true)
          : await analyzePlan(statement, [], values, context, connection, true, build)
      const { sql, scans, values: bound } = await scanText(analyzed, values, context, connection)
      return await work(connection, sql, scans, bound)
    } finally {
      connection.attach(undefined)
    }
  })
}

/**
 * Prepares `sql` so that its columns have exactly the types the analysis found.
 *
 * Clients are told the analysis' types; where DuckDB would give another one, the column is cast.
 */
async function prepareAs(
  connection: EngineConnection,
  sql: string,
  columns: readonly OutputColumn[],
): Promise<{ readonly prepared: Awaited<ReturnType<EngineConnection['prepare']>> }> {
  const prepared = await connection.prepare(sql)
  const same = (i: number): boolean => {
    const column = columns[i]
    return column !== undefined && sameType(column, prepared.columns[i])
  }
  if (columns.every((_, i) => same(i))) return { prepared }
  prepared.destroy()
  const items = columns.map((column, i) => {
    const name = `q.${quoteIdentifier(column.engineName)}`
    return same(i)
      ? name
      : `CAST(${name} AS ${printEngineType(column.type.engine)}) AS ${quoteIdentifier(column.engineName)}`
  })
  return { prepared: await connection.prepare(`SELECT ${items.join(', ')} FROM (${sql}) AS q`) }
}

function sameType(column: OutputColumn, given: EngineColumn | undefined): boolean {
  return given !== undefined && printEngineType(given.type) === printEngineType(column.type.engine)
}

/** Columns as clients are told of them. */
export function resultColumns(
  columns: readonly OutputColumn[],
  engineColumns: readonly EngineColumn[],
): readonly ResultColumn[] {
  return columns.map((column, i) => ({
    name: column.name,
    pgType: { oid: clientOid(column.type), typmod: column.type.typmod },
    engineType: known(engineColumns[i]?.type) ?? column.type.engine,
    digits: column.type.digits,
    tableOid: 0,
    attributeNumber: 0,
  }))
}

function known(type: EngineType | undefined): EngineType | undefined {
  return type?.kind === 'scalar' && type.name === 'UNKNOWN' ? undefined : type
}

/** Rows have no text form here: clients see them as jsonb. */
function clientOid(type: SqlType): number {
  return type.oid === Oid.record || type.oid === Oid.unknown
    ? type.oid === Oid.unknown
      ? Oid.text
      : Oid.jsonb
    : type.oid
}

/** Number of the highest parameter, those of time travel clauses included. */
export function parameterCount(statement: ParsedStatement): number {
  let highest = 0
  walk(statement.tree, (node) => {
    const parameter = nodeOf(node, 'ParamRef')
    if (parameter !== undefined) highest = Math.max(highest, Number(parameter.number ?? 0))
    return true
  })
  for (const travel of statement.travels) {
    for (const match of travel.expression.matchAll(/\$(\d+)/g)) {
      highest = Math.max(highest, Number(match[1]))
    }
  }
  return highest
}

/** A statement analysed: its DuckDB text with markers for the tables it reads. */
export interface AnalyzedStatement<Q extends AnalyzedQuery = AnalyzedQuery> {
  readonly query: Q
  readonly shared: SharedAnalysis
  readonly tables: readonly ReferencedTable[]
  readonly parameterTypes: readonly (SqlType | undefined)[]
  /** By relation id, what a query in DuckDB's syntax says of rows itself. */
  readonly predicates?: (values: readonly EngineValue[]) => ReadonlyMap<number, Predicate>
  /** What stands for a table whose rows are not read. */
  readonly emptyText: (id: number) => string
}

export interface ReferencedTable extends PlannedTable {
  readonly name: TableName
}

function selectOf(statement: ParsedStatement): (analysis: Analysis) => AnalyzedQuery {
  return (analysis) => {
    const select = nodeOf(statement.tree, 'SelectStmt')
    if (select === undefined) throw new SqlError(SqlState.syntaxError, 'not a query')
    return analyzeQuery(analysis, select)
  }
}

/** State of one analysis with the views inside it. */
interface AnalysisRun {
  readonly context: QueryContext
  readonly connection: EngineConnection
  readonly values: readonly EngineValue[]
  readonly executing: boolean
  readonly shared: SharedAnalysis
  readonly tables: ReferencedTable[]
}

/** The analysis of a query, of PostgreSQL's syntax or of DuckDB's. */
export async function analyze(
  statement: ParsedStatement,
  oids: readonly number[],
  values: readonly EngineValue[],
  context: QueryContext,
  connection: EngineConnection,
  executing: boolean,
): Promise<AnalyzedStatement> {
  if (statement.engineQuery === undefined) {
    const build = selectOf(statement)
    return analyzePlan(statement, oids, values, context, connection, executing, build)
  }
  const parameterType = parameterTypes(oids, values)
  const run = newRun(context, connection, values, executing)
  const found = await analyzeEngineQuery(statement.engineQuery, {
    connection,
    start: statement.start,
    parameterType,
    emptyText: (id) => emptyTextOf(run, id),
    relation: (table) => engineRelation(table, statement, run),
  })
  run.shared.roots.push(...found.roots)
  // Those of time travel clauses stand outside of DuckDB's text.
  const count = parameterCount(statement)
  return {
    query: found.query,
    shared: run.shared,
    tables: run.tables,
    parameterTypes: Array.from(
      { length: count },
      (_, i) => found.parameterTypes[i] ?? parameterType(i + 1),
    ),
    predicates: found.predicates,
    emptyText: (id) => emptyTextOf(run, id),
  }
}

/** The analysis of a statement that is no query by itself: `build` makes its plan. */
export async function analyzePlan<Q extends AnalyzedQuery>(
  statement: ParsedStatement,
  oids: readonly number[],
  values: readonly EngineValue[],
  context: QueryContext,
  connection: EngineConnection,
  executing: boolean,
  build: (analysis: Analysis) => Q,
): Promise<AnalyzedStatement<Q>> {
  const run = newRun(context, connection, values, executing)
  const { query, analysis } = await analyzeStatement(
    statement,
    run,
    parameterTypes(oids, values),
    await readerOf(context),
    build,
  )
  run.shared.roots.push(query.levels)
  return {
    query,
    shared: run.shared,
    tables: run.tables,
    parameterTypes: analysis.parameterTypes(parameterCount(statement)),
    emptyText: (id) => emptyTextOf(run, id),
  }
}

function newRun(
  context: QueryContext,
  connection: EngineConnection,
  values: readonly EngineValue[],
  executing: boolean,
): AnalysisRun {
  return {
    context,
    connection,
    values,
    executing,
    shared: { nextName: 1, roots: [], commonTables: new Map(), uses: new Set() },
    tables: [],
  }
}

function emptyTextOf({ tables }: AnalysisRun, id: number): string {
  const { snapshot, made } = tables[id] as ReferencedTable
  return made?.emptyText ?? emptyRelation(snapshot.schema)
}

/** What is known of the type of parameter n: as declared, or as its value tells. */
function parameterTypes(
  oids: readonly number[],
  values: readonly EngineValue[],
): (n: number) => SqlType | undefined {
  return (n) => {
    const oid = oids[n - 1] ?? 0
    const value = values[n - 1]
    if (value !== undefined && value.value !== null) {
      const given = typeOfEngine(value.type)
      if (given.oid === Oid.numeric) return { ...given, typmod: -1 }
      // The value tells how many dimensions an array has, and how many digits its numerics.
      if (value.type.kind === 'list' && isArrayOid(oid)) {
        return { oid, typmod: -1, engine: value.type }
      }
      if (oid === 0) return given
    }
    if (oid === 0) return undefined
    return oid === Oid.numeric ? numericType(10) : sqlType(oid)
  }
}

/** Types of calls of DuckDB's own functions, by text; null for calls it refuses. */
const engineCalls = new LRUCache<string, { readonly type: EngineType | null }>({ max: 2000 })

/** Thrown inside an analysis to have DuckDB asked for the type of a call. */
class EngineCallNeeded extends Error {
  readonly call: string

  constructor(call: string) {
    super('the type of an engine call is needed')
    this.call = call
  }
}

async function analyzeStatement<Q extends AnalyzedQuery>(
  statement: ParsedStatement,
  run: AnalysisRun,
  parameterType: (n: number) => SqlType | undefined,
  reader: Reader,
  build: (analysis: Analysis) => Q,
): Promise<{ readonly query: Q; readonly analysis: Analysis }> {
  const { tree } = statement
  if (tree === null) throw new SqlError(SqlState.syntaxError, 'not a query')
  const { depth } = reader
  const source = new SourceText(statement.text)
  const relations = new Map<Node, Relation | undefined>()
  const layers = await run.context.catalog.layers()
  const host: AnalysisHost = {
    relation: (range) => relations.get(range),
    parameterType,
    inputStyle: run.context.inputStyle,
    schemaExists: (name) => layers.includes(name),
    sessionFunction: (name, args) => run.context.sessionFunction(name, args, run.executing),
    engineCallType: (call) => {
      const known = engineCalls.get(call)
      if (known === undefined) throw new EngineCallNeeded(call)
      return known.type
    },
  }
  const analyzing = <T>(make: (analysis: Analysis) => T): Promise<T> =>
    settled(run, () => make(new Analysis(host, source, statement.start, run.shared)))
  for (const reference of collectTableReferences(tree, source, statement.travels)) {
    const { changes } = reference
    try {
      const relation =
        changes === undefined
          ? await resolve(reference, run, reader)
          : await changesRelation(
              reference,
              await analyzing((analysis) => changeBounds(analysis, changes)),
              run,
              reader,
            )
      relations.set(reference.node, relation)
    } catch (thrown) {
      if (thrown instanceof SqlError && thrown.position === undefined && depth === 0) {
        throw thrown.at(statement.start + reference.start + 1)
      }
      throw thrown
    }
  }
  try {
    return await analyzing((analysis) => ({ query: build(analysis), analysis }))
  } catch (thrown) {
    // A place inside a view's text means nothing to the client.
    if (thrown instanceof SqlError && depth > 0) throw thrown.at(undefined)
    if (thrown instanceof RangeError) {
      throw new SqlError(SqlState.statementTooComplex, 'stack depth limit exceeded', {
        cause: thrown,
      })
    }
    throw thrown
  }
}

/** What `make` makes, once DuckDB has told the types of all calls in it. */
async function settled<T>(run: AnalysisRun, make: () => T): Promise<T> {
  for (;;) {
    const roots = run.shared.roots.length
    try {
      return make()
    } catch (thrown) {
      if (!(thrown instanceof EngineCallNeeded)) throw thrown
      engineCalls.set(thrown.call, { type: await engineCallType(thrown.call, run.connection) })
      run.shared.roots.length = roots
    }
  }
}

async function engineCallType(
  call: string,
  connection: EngineConnection,
): Promise<EngineType | null> {
  try {
    const prepared = await connection.prepare(`SELECT ${call}`)
    const type = prepared.columns[0]?.type ?? null
    prepared.destroy()
    return type
  } catch (thrown) {
    if (thrown instanceof SqlError && thrown.sqlState !== SqlState.queryCanceled) return null
    throw thrown
  }
}

/** What a table of a query in DuckDB's syntax names; errors have its place. */
async function engineRelation(
  table: EngineTable,
  statement: ParsedStatement,
  run: AnalysisRun,
): Promise<Relation | undefined> {
  const { catalog, schema, name, alias, start } = table
  const at = statement.start + start + 1
  if (/^(?:pg_catalog|information_schema)$/i.test(schema)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "system catalogs cannot be read in DuckDB's syntax",
    ).at(at)
  }
  try {
    const found = await resolve(
      {
        node: catalog === '' ? {} : { catalogname: catalog },
        schema: schema === '' ? undefined : schema,
        name,
        alias: alias === '' ? undefined : alias,
        start,
        travel: statement.travels.find((travel) => travel.nameStart === start),
      },
      run,
      await readerOf(run.context),
    )
    // Which columns DuckDB's words read is not known here.
    if (found !== undefined && found.kind !== 'temporary') found.use.wholeRow()
    return found
  } catch (thrown) {
    throw thrown instanceof SqlError && thrown.position === undefined ? thrown.at(at) : thrown
  }
}

/** As whom, and along which path, the relations of a statement or of a view inside it are found. */
interface Reader {
  /** Number of the role whose privileges count. */
  readonly user: number
  readonly searchPath: readonly string[]
  /** How many views deep. */
  readonly depth: number
}

async function readerOf({ access, searchPath }: QueryContext): Promise<Reader> {
  return { user: await access.user(), searchPath, depth: 0 }
}

/**
 * As whom the tables of a view are read: its owner, unless it says that it is whoever reads it.
 *
 * Its names are those it had when it was made: no search path of a reader's may put others there.
 */
async function readerInside(
  view: View,
  outer: Reader,
  { access, catalog }: QueryContext,
): Promise<Reader> {
  const { layer, name, searchPath, securityInvoker } = view
  const depth = outer.depth + 1
  const found = (await catalog.access()).of({ kind: 'view', layer, name })
  const user = securityInvoker === true ? outer.user : found.owner
  if (searchPath !== undefined) return { user, searchPath, depth }
  const isTrusted = access.isUnlimited || user === outer.user
  return { user, searchPath: isTrusted ? outer.searchPath : DEFAULT_SEARCH_PATH, depth }
}

function crossDatabase({ schema, name }: TableReference, database: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `cross-database references are not implemented: "${database}.${schema}.${name}"`,
  )
}

/** What a reference names, or undefined when there is no such relation. */
async function resolve(
  reference: TableReference,
  run: AnalysisRun,
  reader: Reader,
): Promise<Relation | undefined> {
  const { schema, name } = reference
  const { context } = run
  const { depth, searchPath } = reader
  // A view says nothing of tables that its reader has made for himself.
  if (depth === 0 && (schema === undefined || schema.startsWith('pg_temp'))) {
    const temporary = context.temporaryTable(name)
    if (temporary !== undefined) return { kind: 'temporary', name, ...temporary }
  }
  const copied = context.catalogRelation?.(schema, name)
  if (copied !== undefined) return { kind: 'temporary', name, ...copied }
  const database = reference.node.catalogname as string | undefined
  if (database !== undefined && database !== context.gateway.database) {
    throw crossDatabase(reference, database)
  }
  const parts = schema === undefined ? [name] : [schema, name]
  for (const layer of schema === undefined ? searchPath : [schema]) {
    const created = context.block.createdTable(layer, name)
    if (created !== undefined) return tableRelation(created, reference, run, reader)
  }
  const found = await findRelation(parts, reference, context, reader)
  if (found === null) {
    const system = await systemRelation(reference, run, reader)
    if (system !== undefined) return system
    // Sequences have no privileges of their own, so they are for superusers alone.
    return (await context.access.isSuperuser()) ? sequenceRelation(parts, context) : undefined
  }
  if (found.kind === 'view') {
    if (reference.travel !== undefined) {
      throw new SqlError(SqlState.featureNotSupported, `view "${name}" has no versions`, {
        hint: 'Put the time travel clause on the tables inside the view.',
      })
    }
    if (depth >= VIEW_DEPTH_MAX) {
      throw new SqlError(
        SqlState.statementTooComplex,
        `views are nested deeper than ${VIEW_DEPTH_MAX}`,
      )
    }
    const [view] = parseStatements(found.view.definition)
    if (view === undefined) throw new SqlError(SqlState.dataCorrupted, `view "${name}" is empty`)
    const inside = await readerInside(found.view, reader, context)
    const before = new Set(run.shared.uses)
    const { query } = await analyzeStatement(view, run, () => undefined, inside, selectOf(view))
    const viewName = `${found.view.layer}.${found.view.name}`
    const columns = columnsOfView(viewName, found.view.columns, query.columns)
    const object = { kind: 'view', layer: found.view.layer, name: found.view.name } as const
    const keys = columns.map((column) => column.name)
    const relation = { object, kind: 'view', name: found.view.name, columns: keys } as const
    const use = new TableUse(relation, reader.user, 'SELECT')
    const within = [...run.shared.uses].filter((one) => !before.has(one))
    // As in PostgreSQL, the view is asked about before what is inside of it.
    for (const one of within) run.shared.uses.delete(one)
    for (const one of [use, ...within]) run.shared.uses.add(one)
    return { kind: 'view', name: viewName, query: { ...query, columns }, columnNames: [], use }
  }
  return tableRelation(found.table, reference, run, reader)
}

/** What a name stands for, at the moment the session is pinned to; 42P01 for what came later. */
async function findRelation(
  name: readonly string[],
  { travel }: TableReference,
  { catalog, gateway, block, access }: QueryContext,
  { depth, searchPath }: Reader,
): Promise<LakeRelation | null> {
  // Which layers may be used was asked when a view was made.
  const found =
    depth === 0
      ? await access.resolve(catalog, name, searchPath)
      : await catalog.resolve(name, searchPath)
  if (found !== null || block.past === undefined) return found
  const now = await gateway.catalog.resolve(name, searchPath)
  // A table's own time travel says itself when it is meant.
  if (now === null || (now.kind === 'table' && travel !== undefined)) return now
  throw laterRelation(name)
}

/**
 * What a view's query gives, under the names the view has.
 *
 * A table that another engine changes may give a `*` inside more columns or other ones: those behind
 * the known ones do not show, and where they cannot be told apart the view is refused (0A000).
 */
function columnsOfView(
  view: string,
  names: readonly string[],
  columns: readonly OutputColumn[],
): readonly OutputColumn[] {
  if (names.length === 0) return columns
  if (names.length !== columns.length) {
    const isLonger = names.every((name, i) => columns[i]?.name === name)
    if (!isLonger) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `view "${view}" reads a table whose columns have changed`,
        { hint: 'Create the view again.' },
      )
    }
  }
  return names.map((name, i) => ({ ...(columns[i] as OutputColumn), name }))
}

/** The one row of an identity column's sequence, as far as the catalogs have shown it. */
function sequenceRelation(parts: readonly string[], context: QueryContext): Relation | undefined {
  const name = parts.at(-1) ?? ''
  for (const layer of parts.length > 1 ? parts.slice(-2, -1) : context.searchPath) {
    const sequence = context.gateway.mirror.sequence(layer, name)
    if (sequence === undefined) continue
    const { start, last } = sequence
    return {
      kind: 'temporary',
      name,
      sql: `(SELECT CAST(${last ?? start} AS BIGINT) AS last_value, CAST(0 AS BIGINT) AS log_cnt, ${last !== null} AS is_called)`,
      columns: [
        { name: 'last_value', type: sqlType(Oid.int8) },
        { name: 'log_cnt', type: sqlType(Oid.int8) },
        { name: 'is_called', type: sqlType(Oid.bool) },
      ],
    }
  }
  return undefined
}

async function tableRelation(
  table: TableName,
  reference: TableReference,
  run: AnalysisRun,
  reader: Reader,
): Promise<Relation> {
  const snapshot = await snapshotFor(table, reference, run)
  const id = run.tables.push({ name: table, snapshot }) - 1
  const columns = snapshot.schema.fields.map((field) => ({
    name: field.name,
    type: typeOfEngine(engineTypeOf(field.type)),
  }))
  const use = useOfTable(table, snapshot, reader.user, ['SELECT'])
  run.shared.uses.add(use)
  return { kind: 'table', name: `${table.layer}.${table.name}`, columns, id, use }
}

/** The system view a reference names, or undefined; whatever the lake has of that name comes first. */
async function systemRelation(
  { schema, name, travel }: TableReference,
  run: AnalysisRun,
  { user, searchPath }: Reader,
): Promise<Relation | undefined> {
  const { context, executing } = run
  const isMeant = schema === undefined ? searchPath.includes(SYSTEM) : schema === SYSTEM
  const view = isMeant ? SYSTEM_VIEWS.get(name) : undefined
  if (view === undefined) return undefined
  if (travel !== undefined) {
    throw new SqlError(SqlState.featureNotSupported, `view "${name}" has no versions`, {
      hint: 'SET lakegate.as_of shows system views as of a moment.',
    })
  }
  const opened = await openSystemView(view, context, user, executing)
  const id = run.tables.push({ name: { layer: SYSTEM, name, path: '' }, ...opened }) - 1
  // Anybody may ask; whose tables there are answers for is decided table by table.
  const object = { kind: 'view', layer: SYSTEM, name } as const
  const use = new TableUse({ object, kind: 'view', name, columns: [] }, user)
  return { kind: 'table', name: `${SYSTEM}.${name}`, columns: view.columns, id, use }
}

/** What a call of table_changes() gives, or undefined when it names no relation. */
async function changesRelation(
  reference: TableReference,
  bounds: ReturnType<typeof changeBounds>,
  run: AnalysisRun,
  reader: Reader,
): Promise<Relation | undefined> {
  const { schema, name, changes = {} } = reference
  const { gateway, block, catalog, access } = run.context
  const { searchPath } = reader
  const { connection, values, executing } = run
  const [database] = changedTableName(changes).slice(0, -2)
  if (database !== undefined && database !== gateway.database) {
    throw crossDatabase(reference, database)
  }
  const { table, snapshot } = await findTarget(
    { relname: name, ...(schema === undefined ? {} : { schemaname: schema }) },
    // Which layers may be used was asked when a view was made.
    { gateway, block, catalog, searchPath, access: reader.depth === 0 ? access : UNRESTRICTED },
    undefined,
    'nothing',
    (view) => `"${view}" is not a table`,
  )
  const feed = await openTableChanges(
    { gateway, connection, values, executing },
    table,
    snapshot,
    bounds,
  )
  const id = run.tables.push({ name: table, snapshot: feed.snapshot, feed }) - 1
  const columns = feed.snapshot.schema.fields.map((field) => ({
    name: field.name,
    type: typeOfEngine(engineTypeOf(field.type)),
  }))
  // Rows that are gone, and columns that were, are among them: all that the table has and had.
  const use = useOfTable(table, snapshot, reader.user, ['SELECT'])
  use.wholeRow()
  run.shared.uses.add(use)
  return { kind: 'table', name: `${table.layer}.${table.name}`, columns, id, use }
}

/** The statement's text over the files it must read. */
export async function scanText(
  analyzed: AnalyzedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  connection: EngineConnection,
): Promise<{
  readonly sql: string
  readonly scans: readonly ScannedTable[]
  /** In the order of the text's parameters. */
  readonly values: readonly EngineValue[]
}> {
  const { texts, scans } = await relationTexts(analyzed, values, context, connection, {
    joinKeys: context.joinPruning,
  })
  const text = replaceMarkers(analyzed.query.sql, (id) => texts[id] ?? '')
  return { ...numberParameters(text, values), scans }
}

/**
 * What each table of an analysed statement reads, by relation id; 42501 when the session may not do
 * what the statement does. No rows of the lake are read but through here.
 *
 * With `joinKeys` small tables are read beforehand for the keys that large ones are joined by.
 */
export async function relationTexts(
  analyzed: AnalyzedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  connection: EngineConnection,
  { joinKeys = false }: { readonly joinKeys?: boolean } = {},
): Promise<{ readonly texts: readonly string[]; readonly scans: readonly ScannedTable[] }> {
  const { shared, tables } = analyzed
  await context.access.check(shared.uses)
  const planned = new PlannedScans(tables, context.gateway.store, connection)
  const stated = analyzed.predicates?.(values)
  await planned.plan(new Map([...tablePredicates(shared.roots, values), ...(stated ?? [])]))
  const before = planned.scans
  // Of a query in DuckDB's words too little is known.
  if (joinKeys && stated === undefined) {
    await applyJoinKeys(shared, planned, values, connection, context.gateway.statistics)
  }
  const scans = planned.scans.map((scan, id): ScannedTable => {
    const { name: table, feed, made } = tables[id] as ReferencedTable
    const own = `${table.layer}.${table.name}`
    const name = feed === undefined ? own : `table_changes(${own})`
    const filesBefore = before[id]?.files.length ?? 0
    const filesBeforeJoinKeys = filesBefore === scan.files.length ? undefined : filesBefore
    return { name, scan, filesBeforeJoinKeys, isSystem: made !== undefined }
  })
  const texts: string[] = []
  for (const id of tables.keys()) texts.push(await planned.text(id))
  return { texts, scans }
}

async function snapshotFor(
  table: TableName,
  reference: TableReference,
  run: AnalysisRun,
): Promise<Snapshot> {
  const { gateway, block } = run.context
  const { connection, values } = run
  const { travel } = reference
  const newest = (): Promise<Snapshot | null> => block.snapshot(table.path, gateway, table)
  let snapshot: Snapshot | null
  const dependsOnParameter = travel !== undefined && /\$\d/.test(travel.expression)
  if (travel === undefined || (dependsOnParameter && !run.executing)) snapshot = await newest()
  else {
    const type = travel.kind === 'version' ? 'BIGINT' : 'TIMESTAMPTZ'
    await requirePlainTravel(travel.expression, connection)
    // A bare number of a version that is text, as drivers bind it, is cast like any literal.
    const rows = await connection.query(`SELECT CAST((${travel.expression}) AS ${type})`, values)
    const value = rows[0]?.[0]
    if (value === null || value === undefined) {
      throw new SqlError(SqlState.invalidParameterValue, 'the version of a table must not be null')
    }
    const version =
      travel.kind === 'version'
        ? Number(value)
        : await versionAt(gateway.store, table.path, Number((value as bigint) / 1000n))
    snapshot = await gateway.snapshots.at(table.path, version)
  }
  if (snapshot === null) {
    throw new SqlError(
      SqlState.undefinedTable,
      `relation "${table.layer}.${table.name}" does not exist`,
    )
  }
  return snapshot
}

/** Whether a tree is a query that DuckDB runs: SELECT or VALUES without INTO. */
export function isQuery(tree: Node | null): boolean {
  if (tree === null || kindOf(tree) !== 'SelectStmt') return false
  return nodeOf(tree, 'SelectStmt')?.intoClause === undefined
}

/** Names in the CTEs of a tree that change data; such statements are refused. */
export function changesData(tree: Node): boolean {
  let changes = false
  walk(tree, (node) => {
    for (const cte of listOf(node.ctes)) {
      const kind = kindOf((nodeOf(cte, 'CommonTableExpr')?.ctequery ?? {}) as Node)
      if (/^(Insert|Update|Delete|Merge)Stmt$/.test(kind)) changes = true
    }
    return true
  })
  return changes
}
