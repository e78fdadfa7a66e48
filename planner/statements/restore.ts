/** RESTORE TABLE: a table taken back to an older version. */

import { Oid } from '../../catalog/pg-types.js'
import { scalarType } from '../../storage/engine-type.js'
import { concurrentUpdate } from '../../storage/errors.js'
import { rollbackTags } from '../../storage/group-rollback.js'
import { restoreTable } from '../../storage/restore.js'
import { findMaintained, requireOwnTransaction } from '../maintained-table.js'
import type { MaintenanceCommand } from '../maintenance-syntax.js'
import type { Execution } from '../portal.js'
import { computedColumn, taggedRows } from '../ready-rows.js'
import { undefinedRelation } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import { versionOf } from '../stated-version.js'
import type { StatementCall } from '../statement-kind.js'

/** One row of Delta's metrics, by their names in SQL. */
export const RESTORE_COLUMNS: readonly ResultColumn[] = [
  'table_size_after_restore',
  'num_of_files_after_restore',
  'num_removed_files',
  'num_restored_files',
  'removed_files_size',
  'restored_files_size',
].map((name) => computedColumn(name, Oid.int8, scalarType('BIGINT')))

/** Executes; 40001 when anybody committed to the table meanwhile. */
export async function restore(
  { session, cancellation }: StatementCall,
  command: Extract<MaintenanceCommand, { kind: 'restore' }>,
): Promise<Execution> {
  requireOwnTransaction(session, 'RESTORE TABLE')
  const { gateway } = session
  const { store, snapshots } = gateway
  let aborted: readonly string[] = []
  const { table, snapshot } = await findMaintained(session, command.name, 'owner', async (path) => {
    const found = await snapshots.replaceable(path)
    aborted = found?.aborted ?? []
    return found?.snapshot ?? null
  })
  const { to, expression } = command
  const version = await versionOf(session, table.path, { kind: to, expression }, cancellation)
  const past = await snapshots.at(table.path, version)
  if (past === null) throw undefinedRelation(command.name)
  if (past.metadata.id !== snapshot.metadata.id) {
    // An earlier table of the same folder, which was somebody else's perhaps.
    await session.access.requireSuperuser(
      `permission denied for table ${table.name}`,
      'Only superusers may restore what was there before the table was made.',
    )
  }
  cancellation.check()
  const { result, metrics, transaction } = await restoreTable(
    store,
    snapshot,
    past,
    command.to === 'version'
      ? { version: String(version), timestamp: 'null' }
      : { version: 'null', timestamp: command.expression },
    aborted.length === 0 ? {} : { tags: rollbackTags(aborted) },
  )
  if (result.kind === 'conflict') {
    throw concurrentUpdate('command', { detail: result.detail })
  }
  gateway.afterCommit(transaction)
  const row = [
    metrics.tableSizeAfterRestore,
    metrics.numOfFilesAfterRestore,
    metrics.numRemovedFiles,
    metrics.numRestoredFiles,
    metrics.removedFilesSize,
    metrics.restoredFilesSize,
  ].map(BigInt)
  return taggedRows(RESTORE_COLUMNS, [row], () => 'RESTORE')
}
