/** Log compaction: several commits summed up in one file, which readers take in their place. */

import { printActions } from './action-writer.js'
import { type Action, parseActions } from './actions.js'
import { deletionVectorId } from './deletion-vector.js'
import { resolvePath } from './file-path.js'
import { commitPath, compactionPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { checkpointInterval } from './table-property.js'

/** Commits between two compactions, at least. */
const STEP_MIN = 5

/** Bytes of commits that are summed up, at most. */
const BYTES_MAX = 64 * 1024 * 1024

/**
 * The first version that a compaction written after `version` sums up, or null when none is due.
 *
 * All commits since the version that has a checkpoint, a tenth of the way to the next one each time:
 * whoever loads the table reads a checkpoint, a compaction and a few commits.
 */
export function compactionStart(
  version: number,
  configuration: { readonly [key: string]: string },
): number | null {
  const interval = checkpointInterval(configuration)
  const since = version % interval
  const step = Math.max(STEP_MIN, Math.floor(interval / 10))
  return since > 1 && since % step === 0 ? version - since + 1 : null
}

/**
 * Writes the compaction of commits `from` to `to`, unless there is one; answers whether it did.
 *
 * Not where a commit is missing or they are too large to be read at once.
 *
 * Delta protocol, "Log Compaction Files".
 */
export async function writeCompaction(
  store: ObjectStore,
  tablePath: string,
  from: number,
  to: number,
): Promise<boolean> {
  const path = `${tablePath}/${compactionPath(from, to)}`
  if ((await store.stat(path)) !== null) return false
  const commits: (readonly Action[])[] = []
  let bytes = 0
  for (let version = from; version <= to; version++) {
    const commit = await store.read(`${tablePath}/${commitPath(version)}`)
    bytes += commit?.length ?? 0
    if (commit === null || bytes > BYTES_MAX) return false
    commits.push(parseActions(commit, `${tablePath}/${commitPath(version)}`))
  }
  const actions = reconcile(commits, (logPath) => resolvePath(store, tablePath, logPath))
  return (await store.putIfAbsent(path, printActions(actions))) === 'created'
}

/**
 * What a run of commits comes to: of each file, application, domain and of the table itself the
 * last word, removals too.
 *
 * Delta protocol, "Action Reconciliation".
 */
export function reconcile(
  commits: readonly (readonly Action[])[],
  resolve: (logPath: string) => string,
): readonly Action[] {
  const kept = new Map<string, Action>()
  const keep = (key: string, action: Action): void => {
    kept.delete(key)
    kept.set(key, action)
  }
  const keepFile = (action: Action): void => {
    const file =
      action.kind === 'add' ? action.add : action.kind === 'remove' ? action.remove : null
    if (file === null) return
    keep(`file ${resolve(file.path)}\u0000${deletionVectorId(file.deletionVector) ?? ''}`, action)
  }
  for (const actions of commits) {
    for (const action of actions) {
      switch (action.kind) {
        case 'protocol':
        case 'metaData':
          keep(action.kind, action)
          break
        case 'txn':
          keep(`txn ${action.txn.appId}`, action)
          break
        case 'domainMetadata':
          keep(`domain ${action.domainMetadata.domain}`, action)
          break
        case 'remove':
          keepFile(action)
          break
        default:
      }
    }
    // The order within a commit means nothing: what it removes goes before what it adds.
    for (const action of actions) if (action.kind === 'add') keepFile(action)
  }
  return [...kept.values()]
}
