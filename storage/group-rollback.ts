/** Group rollback: takes one table's commit of a group back that did not come about. */

import { GROUP_TAG, ROLLBACK_TAG } from './group.js'
import { deletionVectorId } from './deletion-vector.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import { resolvePath } from './file-path.js'
import { commitPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { fileKey, readCommit, type Snapshot } from './snapshot.js'
import { EVERY_OBLIGATION } from './table-protocol.js'
import { Transaction } from './transaction.js'

/**
 * Commits the opposite of version `version` of a table, which belongs to the group `group`.
 *
 * `before` is the table as it was before that version, `current` as it is. Someone else may be doing
 * the same; then one of the two commits, and the other finds it done. XX000 when a file of the version
 * has been rewritten by an engine that does not know of groups.
 */
export async function rollBackCommit(
  store: ObjectStore,
  group: string,
  version: number,
  before: Snapshot,
  current: Snapshot,
): Promise<void> {
  const { tablePath } = current
  const actions = await readCommit(store, `${tablePath}/${commitPath(version)}`)
  const keyOf = (path: string, vector: Parameters<typeof deletionVectorId>[0]): string => {
    const id = deletionVectorId(vector)
    const resolved = resolvePath(store, tablePath, path)
    return id === null ? resolved : `${resolved}\u0000${id}`
  }
  const live = new Map([...current.files].map((file) => [fileKey(file), file]))
  const old = new Map([...before.files].map((file) => [fileKey(file), file]))
  const removes: DataFile[] = []
  const adds: DataFile[] = []
  for (const action of actions) {
    if (action.kind === 'add') {
      const file = live.get(keyOf(action.add.path, action.add.deletionVector))
      if (file === undefined) throw new RewrittenGroupError(tablePath, version, action.add.path)
      removes.push(file)
    } else if (action.kind === 'remove') {
      const file = old.get(keyOf(action.remove.path, action.remove.deletionVector))
      if (file !== undefined) adds.push(file)
    }
  }
  const transaction = await Transaction.begin(store, current, { fulfilled: EVERY_OBLIGATION })
  for (const action of actions) {
    if (action.kind === 'metaData') transaction.setMetadata(before.metadata)
    if (action.kind === 'domainMetadata') {
      const { domain } = action.domainMetadata
      transaction.setDomain(domain, before.domains.get(domain) ?? null)
    }
  }
  // Whoever rolls back beside us touches the same files: only one of the two can commit.
  transaction.readWholeTable()
  transaction.remove(removes)
  transaction.add(adds.map((file) => ({ ...file.add, dataChange: true })))
  await transaction.commit({
    operation: 'ROLLBACK',
    parameters: { version: String(version) },
    tags: rollbackTags([group]),
  })
}

/** The tags of a commit that belongs to `group`. */
export function groupTags(group: string): { readonly [name: string]: string } {
  return { [GROUP_TAG]: group }
}

/** The tags of a commit that takes the commits of `groups` back. */
export function rollbackTags(groups: readonly string[]): { readonly [name: string]: string } {
  return { [ROLLBACK_TAG]: groups.join(',') }
}

/** XX000: a commit of an aborted group that cannot be taken back; only RESTORE leads out. */
export class RewrittenGroupError extends SqlError {
  constructor(tablePath: string, version: number, path: string) {
    super(
      SqlState.internalError,
      `version ${version} of table "${tablePath}" cannot be taken back`,
      {
        detail: `Its file "${path}" was rewritten by another engine before its transaction had ended.`,
        hint: `RESTORE the table to version ${version - 1} if what came after it may be lost.`,
      },
    )
  }
}
