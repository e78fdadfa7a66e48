/** CREATE TABLE … SHALLOW or DEEP CLONE. */

import { Oid } from '../../catalog/pg-types.js'
import { clonedTable, deepFiles, shallowFiles } from '../../storage/clone.js'
import { scalarType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { Snapshot } from '../../storage/snapshot.js'
import type { CloneTable } from '../clone-syntax.js'
import type { Execution } from '../portal.js'
import type { QueryContext } from '../query.js'
import { computedColumn, taggedRows } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import { beginTable, isThere, placeOf, statedProperties } from '../run-create-table.js'
import { versionOf } from '../stated-version.js'
import type { StatementCall } from '../statement-kind.js'
import { NO_OPTIONS } from '../table-clauses.js'
import type { Node } from '../syntax-tree.js'
import { findTarget } from '../write-target.js'

/** Delta's metrics by their names in SQL. */
export const CLONE_COLUMNS: readonly ResultColumn[] = [
  'source_table_size',
  'source_num_of_files',
  'num_removed_files',
  'num_copied_files',
  'removed_files_size',
  'copied_files_size',
].map((name) => computedColumn(name, Oid.int8, scalarType('BIGINT')))

/** Executes: copies are durable when it returns, and the clone is there when the block commits. */
export async function cloneTable(call: StatementCall, command: CloneTable): Promise<Execution> {
  const { session, cancellation } = call
  const words = command.orReplace ? 'CREATE OR REPLACE TABLE CLONE' : 'CREATE TABLE CLONE'
  session.requireWritable(words)
  const context = session.queryContext()
  const { name, shallow, orReplace, location } = command
  const tag = (): string => 'CREATE TABLE'
  const place = await placeOf(rangeOf(name), { ...NO_OPTIONS, orReplace, location }, context)
  const notice = (message: string, sqlState: SqlState = SqlState.successfulCompletion): void =>
    session.notice(sqlState, message)
  if (isThere(place, { ...NO_OPTIONS, orReplace }, command.ifNotExists, notice)) {
    return taggedRows(CLONE_COLUMNS, [], tag)
  }
  const { table, base, existing } = place
  if (location !== undefined && existing === null && base !== null) {
    throw new SqlError(SqlState.duplicateTable, `the location "${location}" holds a table already`)
  }
  const source = await sourceOf(call, command, context)
  if (source.tablePath === table.path) {
    throw new SqlError(SqlState.invalidTableDefinition, 'a table cannot be a clone of itself')
  }
  const properties = statedProperties(Object.fromEntries(command.properties))
  const made = clonedTable(source, {
    tablePath: table.path,
    name: table.name,
    base,
    properties,
  })
  const { store } = context.gateway
  const { change, more } = await beginTable(context, place, made)
  const current = existing ?? null
  const files = shallow
    ? shallowFiles(store, source, current)
    : await deepFiles(store, source, table.path, current, () => cancellation.check())
  // Of a table that was dropped, nothing stays.
  const removes = current === null ? (more.removes ?? []) : files.removes
  const removedBytes = removes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const metrics = {
    sourceTableSize: source.sizeBytes,
    sourceNumOfFiles: source.files.length,
    numRemovedFiles: removes.length,
    numCopiedFiles: files.copiedCount,
    removedFilesSize: removedBytes,
    copiedFilesSize: files.copiedBytes,
  }
  change.apply({
    ...more,
    operation: 'CLONE',
    parameters: {
      source: command.source.join('.'),
      sourceVersion: String(source.version),
      isShallow: String(shallow),
      ...(command.properties.size === 0 ? {} : { properties: JSON.stringify(properties) }),
    },
    adds: files.adds,
    removes,
    metrics,
  })
  if (shallow && source.files.length > 0) {
    session.notice(
      SqlState.successfulCompletion,
      `the clone reads files of table "${command.source.join('.')}": VACUUM of that table takes those away that it does not need itself any more`,
      undefined,
      { hint: 'A deep clone has files of its own.' },
    )
  }
  return taggedRows(CLONE_COLUMNS, [Object.values(metrics).map(BigInt)], tag)
}

function rangeOf(name: readonly string[]): Node {
  const [relname, schemaname] = [name.at(-1), name.at(-2)]
  return { relname, ...(schemaname === undefined ? {} : { schemaname }) }
}

/** The table that is cloned, at the version that is asked for. */
async function sourceOf(
  { session, cancellation }: StatementCall,
  { source, at }: CloneTable,
  context: QueryContext,
): Promise<Snapshot> {
  if (source.length === 1 && session.temporary.find(source[0] ?? '') !== undefined) {
    throw notSupported('a clone of a temporary table')
  }
  const { table, snapshot } = await findTarget(
    rangeOf(source),
    context,
    undefined,
    ['SELECT'],
    (view) => `"${view}" is not a table`,
  )
  if (context.block.changeOf(table.path)?.isEmpty === false) {
    throw notSupported(
      'a clone of a table that the transaction has changed',
      'Commit the changes first.',
    )
  }
  // Whoever owns the clone reads every column of it.
  const requireAll = async (cloned: Snapshot): Promise<Snapshot> => {
    const use = await context.access.useOf(table, cloned, ['SELECT'])
    use.wholeRow()
    await context.access.check([use])
    return cloned
  }
  if (at === null) return requireAll(snapshot)
  const version = await versionOf(session, table.path, at, cancellation)
  const past = await context.gateway.snapshots.at(table.path, version)
  return requireAll(past ?? snapshot)
}
