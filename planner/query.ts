/** Query: a SELECT over the lake - its tables resolved, pruned, translated, described and executed. */

import { pgType, pgTypeOf, Oid, type PgType } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { type EngineConnection, engineFailureOffset, quoteIdentifier } from '../storage/engine.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { planScan, type Scan } from '../storage/scan.js'
import { emptyRelation, scanRelation } from '../storage/scan-relation.js'
import type { Snapshot } from '../storage/snapshot.js'
import { versionAt } from '../storage/snapshot.js'
import { outputNames } from './output-names.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { predicateFor } from './pushdown.js'
import type { ResultColumn } from './result.js'
import { StreamSource } from './row-source.js'
import { type EditedText, SourceText } from './source-text.js'
import { kindOf, listOf, type Node, nodeOf, walk } from './syntax-tree.js'
import { collectTableReferences, type TableReference } from './table-references.js'
import { translate } from './translate.js'
import type { EnginePool } from './engine-pool.js'
import type { Gateway } from './gateway.js'
import type { TransactionBlock } from './transaction-block.js'

/** What a query needs of the session that runs it. */
export interface QueryContext {
  readonly gateway: Gateway
  readonly pool: EnginePool
  readonly block: TransactionBlock
  readonly searchPath: readonly string[]
  /** Qualified DuckDB name of the session's temporary table of that name, or undefined. */
  readonly temporaryTable: (name: string) => string | undefined
  /** As for a translation; `executing` is false while a statement is only described. */
  readonly sessionFunction: (
    name: string,
    args: readonly Node[],
    executing: boolean,
  ) => string | undefined
}

/** A table that a statement read, for EXPLAIN. */
export interface ScannedTable {
  readonly name: string
  readonly scan: Scan
}

/** Views inside views, at most. */
const VIEW_DEPTH_MAX = 32

/** Types of the statement's parameters (0 in `oids`: inferred) and its columns, without executing it. */
export async function describeQuery(
  statement: ParsedStatement,
  oids: readonly number[],
  context: QueryContext,
  engineTypeOf: (oid: number) => EngineType | null,
): Promise<{
  readonly parameterTypes: readonly PgType[]
  readonly columns: readonly ResultColumn[]
}> {
  return context.pool.with(async (connection) => {
    const known = (n: number): EngineType | undefined => {
      const oid = oids[n - 1] ?? 0
      if (oid === 0) return undefined
      return engineTypeOf(oid) ?? (oid === Oid.numeric ? NUMERIC : undefined)
    }
    const count = parameterCount(statement)
    let text = await translated(statement, context, connection, [], known, null)
    let prepared = await located(statement, text, () => connection.prepare(text.text))
    const inferred: (EngineType | undefined)[] = []
    for (let n = 1; n <= count; n++) {
      inferred.push(known(n) ?? prepared.parameterType(n) ?? undefined)
    }
    if (inferred.includes(undefined)) {
      // What nothing tells apart is text, as in PostgreSQL; columns are typed only then.
      prepared.destroy()
      const decided = (n: number): EngineType => inferred[n - 1] ?? scalarType('VARCHAR')
      text = await translated(statement, context, connection, [], decided, null)
      prepared = await located(statement, text, () => connection.prepare(text.text))
    }
    const columns = resultColumns(statement, prepared.columns)
    prepared.destroy()
    const parameterTypes = inferred.map((type, i) => {
      const oid = oids[i] ?? 0
      if (oid !== 0) return pgType(oid)
      return type === undefined ? pgType(Oid.text) : pgType(pgTypeOf(type).oid)
    })
    return { parameterTypes, columns }
  })
}

const NUMERIC: EngineType = { kind: 'decimal', width: 38, scale: 10 }

/** Executes: rows stream on a connection of their own. */
export async function openQuery(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
): Promise<Extract<Execution, { kind: 'rows' }>> {
  const connection = await context.pool.lease()
  connection.attach(cancellation)
  try {
    const text = await translated(statement, context, connection, values, typeOfValue(values), [])
    return await located(statement, text, async () => {
      const prepared = await connection.prepare(text.text)
      const stream = await prepared.stream(values)
      return {
        kind: 'rows',
        columns: resultColumns(statement, prepared.columns),
        source: new StreamSource(connection, prepared, stream, (one) => context.pool.release(one)),
        tag: (rowCount) => `SELECT ${rowCount}`,
      }
    })
  } catch (thrown) {
    connection.attach(undefined)
    context.pool.release(connection)
    throw thrown
  }
}

function typeOfValue(values: readonly EngineValue[]): (n: number) => EngineType | undefined {
  return (n) => values[n - 1]?.type
}

/** The DuckDB text of a statement and the scans it reads, run by `work` on the connection it was made for. */
export async function withTranslation<T>(
  statement: ParsedStatement,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  work: (connection: EngineConnection, sql: string, scans: readonly ScannedTable[]) => Promise<T>,
): Promise<T> {
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const scans: ScannedTable[] = []
      const text = await translated(
        statement,
        context,
        connection,
        values,
        typeOfValue(values),
        scans,
      )
      return await located(statement, text, () => work(connection, text.text, scans))
    } finally {
      connection.attach(undefined)
    }
  })
}

/** Runs `work`, giving its errors the place in the client's text where DuckDB found it. */
async function located<T>(
  statement: ParsedStatement,
  text: EditedText,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    const offset = engineFailureOffset(thrown)
    if (offset === undefined) throw thrown
    throw thrown.at(statement.start + text.locate(offset) + 1)
  }
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

/** `scans` null: nothing is read, tables are typed but empty. */
async function translated(
  statement: ParsedStatement,
  context: QueryContext,
  connection: EngineConnection,
  values: readonly EngineValue[],
  parameterType: (n: number) => EngineType | undefined,
  scans: ScannedTable[] | null,
  depth = 0,
): Promise<EditedText> {
  const { tree } = statement
  if (tree === null) throw new SqlError(SqlState.syntaxError, 'not a query')
  const source = new SourceText(statement.text)
  const references = collectTableReferences(tree, source, statement.travels)
  const relations = new Map<Node, string>()
  for (const reference of references) {
    try {
      relations.set(
        reference.node,
        await relationText(tree, reference, context, connection, values, scans, depth),
      )
    } catch (thrown) {
      if (thrown instanceof SqlError && thrown.position === undefined && depth === 0) {
        throw thrown.at(statement.start + reference.start + 1)
      }
      throw thrown
    }
  }
  return translate(tree, source, references, {
    relations,
    parameterType,
    sessionFunction: (name, args) => context.sessionFunction(name, args, scans !== null),
  })
}

async function relationText(
  tree: Node,
  reference: TableReference,
  context: QueryContext,
  connection: EngineConnection,
  values: readonly EngineValue[],
  scans: ScannedTable[] | null,
  depth: number,
): Promise<string> {
  const { schema, name } = reference
  if (schema === undefined || schema.startsWith('pg_temp')) {
    const temporary = context.temporaryTable(name)
    if (temporary !== undefined) return temporary
  }
  const database = reference.node.catalogname as string | undefined
  if (database !== undefined && database !== context.gateway.database) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `cross-database references are not implemented: "${database}.${schema}.${name}"`,
    )
  }
  const parts = schema === undefined ? [name] : [schema, name]
  const found = await context.gateway.catalog.resolve(parts, context.searchPath)
  if (found === null) {
    throw new SqlError(SqlState.undefinedTable, `relation "${parts.join('.')}" does not exist`)
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
    const text = await translated(view, context, connection, [], () => undefined, scans, depth + 1)
    const names = found.view.columns.length > 0 ? found.view.columns : outputNames(view.tree ?? {})
    const columns =
      names === null ? '' : ` AS v(${uniqueNames(names).map(quoteIdentifier).join(', ')})`
    return columns === '' ? `(${text.text}\n)` : `(SELECT * FROM (${text.text}\n)${columns})`
  }
  const snapshot = await snapshotFor(found.table, reference, context, connection, values, scans)
  if (scans === null) return emptyRelation(snapshot.schema)
  const scan = planScan(snapshot, predicateFor(tree, reference, snapshot.schema, values))
  scans.push({ name: `${found.table.layer}.${found.table.name}`, scan })
  return scanRelation(context.gateway.store, connection, scan)
}

function uniqueNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return names.map((name) => {
    const count = seen.get(name.toLowerCase()) ?? 0
    seen.set(name.toLowerCase(), count + 1)
    return count === 0 ? name : `${name}_${count}`
  })
}

async function snapshotFor(
  table: TableName,
  reference: TableReference,
  context: QueryContext,
  connection: EngineConnection,
  values: readonly EngineValue[],
  scans: ScannedTable[] | null,
): Promise<Snapshot> {
  const { gateway, block } = context
  const { travel } = reference
  const newest = (): Promise<Snapshot | null> =>
    block.snapshot(table.path, () => gateway.snapshots.latest(table.path))
  let snapshot: Snapshot | null
  const dependsOnParameter = travel !== undefined && /\$\d/.test(travel.expression)
  if (travel === undefined || (dependsOnParameter && scans === null)) snapshot = await newest()
  else {
    const type = travel.kind === 'version' ? 'BIGINT' : 'TIMESTAMPTZ'
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

function resultColumns(
  statement: ParsedStatement,
  columns: readonly { readonly name: string; readonly type: EngineType }[],
): readonly ResultColumn[] {
  const names = statement.tree === null ? null : outputNames(statement.tree)
  return columns.map((column, i) => ({
    name: names?.length === columns.length ? (names[i] ?? column.name) : column.name,
    pgType: pgTypeOf(column.type),
    engineType: column.type,
    tableOid: 0,
    attributeNumber: 0,
  }))
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
