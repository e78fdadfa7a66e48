/** MaintainedTable: the table that a maintenance command names, and the partitions its WHERE chooses. */

import type { TableName } from '../catalog/catalog.js'
import { Oid } from '../catalog/pg-types.js'
import { byPartition } from '../storage/compaction.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DataFile } from '../storage/file-index.js'
import { partitionLiteral } from '../storage/scan-relation.js'
import { engineTypeOf } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import { replaceMarkers } from './analysis.js'
import { denied } from './access-control.js'
import { parseStatements } from './parse.js'
import { analyze, type QueryContext } from './query.js'
import { notSupported, undefinedRelation } from './refusal.js'
import type { SessionContext } from './session-context.js'
import type { Clause } from './words.js'
import { listOf, nodeOf, stringOf, walk } from './syntax-tree.js'

/** A table and what it is now. */
export interface MaintainedTable {
  readonly table: TableName
  readonly snapshot: Snapshot
}

/** 25001 inside a transaction block, 25006 in a read-only session. */
export function requireOwnTransaction(session: SessionContext, words: string): void {
  if (session.inExplicitBlock) {
    throw new SqlError(
      SqlState.activeSqlTransaction,
      `${words} cannot run inside a transaction block`,
    )
  }
  session.requireWritable(words)
}

/** What a session needs of a table it looks after: to own it, or to own or MAINTAIN it; 'later' leaves it to the caller. */
export type MaintenanceNeed = 'owner' | 'maintain' | 'later'

/**
 * 42P01 when there is no such table, 42809 for a view, 0A000 for a temporary table, 42501 when the
 * session may not look after it.
 */
export async function findMaintained(
  session: SessionContext,
  name: readonly string[],
  need: MaintenanceNeed,
  load = (path: string): Promise<Snapshot | null> => session.gateway.snapshots.latest(path),
): Promise<MaintainedTable> {
  const { catalog } = session.gateway
  if (name.length === 1 && session.temporary.find(name[0] ?? '') !== undefined) {
    throw notSupported('maintenance of a temporary table')
  }
  const found = await session.access.resolve(catalog, name, session.settings.searchPath())
  if (found?.kind === 'view') {
    throw new SqlError(SqlState.wrongObjectType, `"${name.at(-1)}" is not a table`)
  }
  const snapshot = found === null ? null : await load(found.table.path)
  if (found === null || snapshot === null) throw undefinedRelation(name)
  if (need === 'owner') await session.access.requireOwner(found)
  if (need === 'maintain' && !(await session.access.mayMaintain(found.table))) {
    throw denied(`table ${found.table.name}`)
  }
  return { table: found.table, snapshot }
}

/**
 * The files of the partitions for which the condition is true.
 *
 * It is evaluated as any other over the partition values, each combination of them once. 42P10
 * when it names a column that the table is not partitioned by, 42804 when it is no boolean.
 * `start` is the statement's place in the client's text.
 */
export async function filesWhere(
  { table, snapshot }: MaintainedTable,
  where: Clause,
  start: number,
  context: QueryContext,
  connection: EngineConnection,
): Promise<readonly DataFile[]> {
  const name = `${quoteIdentifier(table.layer)}.${quoteIdentifier(table.name)}`
  const [parsed, more] = parseStatements(`SELECT (${where.text}\n) FROM ${name}`)
  const select = nodeOf(parsed?.tree, 'SelectStmt')
  if (parsed === undefined || more !== undefined || listOf(select?.targetList).length !== 1) {
    throw new SqlError(SqlState.syntaxError, 'syntax error in WHERE')
  }
  const statement = { ...parsed, start: start + where.start - 'SELECT ('.length }
  requirePartitionColumns(snapshot, select)
  const groups = byPartition(snapshot, snapshot.files)
  if (groups.length === 0) return []
  const partitions = snapshot.metadata.partitionColumns.map((one) => one.toLowerCase())
  const rows = groups.map(({ partition }) => {
    const texts = new Map(partitions.map((column, i) => [column, partition[i]?.[1] ?? null]))
    const items = snapshot.schema.fields.map((field) => {
      const text = texts.get(field.name.toLowerCase()) ?? null
      const type = printEngineType(engineTypeOf(field.type))
      const value = text === null ? 'NULL' : partitionLiteral(text, field.type)
      return `CAST(${value} AS ${type})`
    })
    return `(${items.join(', ')})`
  })
  const columns = snapshot.schema.fields.map((field) => quoteIdentifier(field.name)).join(', ')
  const relation = `(SELECT * FROM (VALUES ${rows.join(', ')}) AS v(${columns}))`
  const analyzed = await analyze(statement, [], [], context, connection, true)
  if (analyzed.query.columns[0]?.type.oid !== Oid.bool) {
    throw new SqlError(SqlState.datatypeMismatch, 'argument of WHERE must be type boolean')
  }
  const answers = await connection.query(replaceMarkers(analyzed.query.sql, () => relation))
  if (answers.length !== groups.length) {
    throw new SqlError(SqlState.groupingError, 'aggregate functions are not allowed in WHERE')
  }
  return groups.flatMap(({ files }, i) => (answers[i]?.[0] === true ? files : []))
}

/** In Delta's words. */
function requirePartitionColumns(snapshot: Snapshot, select: unknown): void {
  const { partitionColumns } = snapshot.metadata
  walk(select, (node) => {
    if (nodeOf(node, 'SubLink') !== undefined) throw notSupported('a subquery in WHERE')
    const fields = listOf(nodeOf(node, 'ColumnRef')?.fields)
    const name = stringOf(fields.at(-1))
    if (name === undefined) return true
    const known = snapshot.schema.fields.some(
      (field) => field.name.toLowerCase() === name.toLowerCase(),
    )
    if (!known || partitionColumns.some((one) => one.toLowerCase() === name.toLowerCase())) {
      return true
    }
    throw new SqlError(
      SqlState.invalidColumnReference,
      `Predicate references non-partition column '${name}'. Only the partition columns may be referenced: [${partitionColumns.join(', ')}]`,
    )
  })
}
