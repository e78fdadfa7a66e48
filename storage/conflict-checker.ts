/** Conflict checker: whether a transaction may still commit after a commit that came before it. */

import type { Action, AddFile } from './actions.js'
import { resolvePath } from './file-path.js'
import type { ObjectStore } from './object-store.js'
import type { Predicate } from './predicate.js'
import { ROW_TRACKING_DOMAIN } from './row-tracking.js'
import { fileMayMatch } from './scan.js'
import type { Snapshot } from './snapshot.js'

/** How much of what others did meanwhile a transaction tolerates; Delta's own three levels. */
export type IsolationLevel = 'Serializable' | 'WriteSerializable' | 'SnapshotIsolation'

/** Why a transaction may not commit; the names are those of Delta's own exceptions. */
export type ConflictReason =
  | 'protocol-changed'
  | 'metadata-changed'
  | 'concurrent-append'
  | 'concurrent-delete-read'
  | 'concurrent-delete-delete'
  | 'concurrent-transaction'
  /** The table was made by somebody else first. */
  | 'table-exists'
  /** The log that was read is no longer there: the table was dropped, or made anew. */
  | 'table-replaced'
  /** Nothing conflicts, but others were faster each time. */
  | 'too-many-attempts'

/** A conflict with the winning commit `with`. */
export interface Conflict {
  readonly with: number
  readonly reason: ConflictReason
  /** A sentence for people. */
  readonly detail: string
}

/** What a transaction has looked at and wants to do, as far as conflicts go. */
export interface Intent {
  readonly isolation: IsolationLevel
  readonly changesMetadata: boolean
  readonly readsWholeTable: boolean
  readonly readPredicates: readonly Predicate[]
  /** Canonical paths of the files whose rows were read. */
  readonly readPaths: ReadonlySet<string>
  readonly removedPaths: ReadonlySet<string>
  /** Applications whose transactions were looked at or are written. */
  readonly appIds: ReadonlySet<string>
  readonly domains: ReadonlySet<string>
}

/**
 * The first conflict of `intent`, formed on `base`, with the commit of `version`; null for none.
 *
 * - Any change of protocol or metadata is one, since the transaction was planned on the old ones.
 * - An appended file is one if it may hold rows that the transaction would have read. At
 *   WriteSerializable, the default, blind appends are none: the transaction counts as the earlier.
 * - A removed file is one if it was read or is removed here too. Files that were only rewritten
 *   (`dataChange` false) hurt no reader.
 *
 * Delta's `ConflictChecker`, without its exceptions for harmless metadata changes.
 */
export function findConflict(
  store: ObjectStore,
  base: Snapshot,
  intent: Intent,
  version: number,
  winning: readonly Action[],
): Conflict | null {
  const conflict = (reason: ConflictReason, detail: string): Conflict => ({
    with: version,
    reason,
    detail: `${detail} in version ${version}.`,
  })
  const resolve = (path: string): string => resolvePath(store, base.tablePath, path)
  let isBlindAppend = false
  for (const action of winning) {
    if (action.kind === 'commitInfo') isBlindAppend = action.commitInfo.isBlindAppend === true
  }
  for (const action of winning) {
    if (action.kind === 'protocol') {
      return conflict('protocol-changed', 'The protocol of the table was changed')
    }
    if (action.kind === 'metaData') {
      return conflict('metadata-changed', 'The metadata of the table was changed')
    }
    if (action.kind === 'txn' && intent.appIds.has(action.txn.appId)) {
      return conflict(
        'concurrent-transaction',
        `The application "${action.txn.appId}" committed a transaction`,
      )
    }
    if (action.kind === 'domainMetadata') {
      const { domain } = action.domainMetadata
      if (domain !== ROW_TRACKING_DOMAIN && intent.domains.has(domain)) {
        return conflict('concurrent-transaction', `The metadata domain "${domain}" was changed`)
      }
    }
  }
  const looksAtAppends =
    intent.isolation === 'Serializable' ||
    (intent.isolation === 'WriteSerializable' && (!isBlindAppend || intent.changesMetadata))
  for (const action of winning) {
    if (action.kind === 'remove') {
      const path = resolve(action.remove.path)
      if (intent.removedPaths.has(path)) {
        return conflict('concurrent-delete-delete', `The file "${path}" was removed`)
      }
      const isChange = action.remove.dataChange !== false
      if (isChange && (intent.readsWholeTable || intent.readPaths.has(path))) {
        return conflict('concurrent-delete-read', `The file "${path}", which was read, was removed`)
      }
    }
    if (action.kind === 'add' && looksAtAppends && action.add.dataChange !== false) {
      if (wouldHaveRead(base, intent, action.add, resolve)) {
        return conflict(
          'concurrent-append',
          `The file "${resolve(action.add.path)}", which may hold rows that were looked for, was added`,
        )
      }
    }
  }
  return null
}

function wouldHaveRead(
  base: Snapshot,
  intent: Intent,
  add: AddFile,
  resolve: (path: string) => string,
): boolean {
  if (intent.readsWholeTable) return true
  const file = { add, path: resolve(add.path) }
  return intent.readPredicates.some((predicate) => fileMayMatch(base, file, predicate))
}
