/** Tombstones: the files that a table no longer has, but that readers of old versions still need. */

import { type Action, corrupt, parseActions, type RemoveFile } from './actions.js'
import { deletionVectorId } from './deletion-vector.js'
import type { EngineConnection } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import { resolvePath } from './file-path.js'
import { commitPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { readCheckpointFile } from './checkpoint-actions.js'
import { type CheckpointStart, listLog, readCheckpointHint } from './log-segment.js'
import { readCommit } from './snapshot.js'

/**
 * The files removed from the table up to `version` and not added again, if removed after `afterMs`.
 *
 * Read from the log when asked for, since no query needs them. XX001 when the log has a gap.
 */
export async function readTombstones(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  version: number,
  afterMs: number,
): Promise<readonly RemoveFile[]> {
  // Listing what came before the last checkpoint would cost more with every version.
  const hint = await readCheckpointHint(store, tablePath)
  let failure: unknown
  for (const from of hint === null || hint > version ? [0] : [hint, 0]) {
    const starts: (CheckpointStart | null)[] = await startsOf(store, tablePath, version, from)
    if (from === 0) starts.push(null)
    for (const start of starts) {
      try {
        return await replay(store, connection, tablePath, start, version, afterMs)
      } catch (thrown) {
        // A checkpoint that cannot be read is no loss while an older start still exists.
        if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.dataCorrupted) {
          throw thrown
        }
        failure ??= thrown
      }
    }
  }
  throw failure
}

/** The checkpoints of versions `from` to `version`, newest first. */
async function startsOf(
  store: ObjectStore,
  tablePath: string,
  version: number,
  from: number,
): Promise<CheckpointStart[]> {
  const { checkpoints } = await listLog(store, tablePath, from)
  return checkpoints.filter((start) => start.version <= version).reverse()
}

async function replay(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  start: CheckpointStart | null,
  version: number,
  afterMs: number,
): Promise<readonly RemoveFile[]> {
  const tombstones = new Map<string, RemoveFile>()
  const keyOf = (path: string, vector: Parameters<typeof deletionVectorId>[0]): string =>
    `${resolvePath(store, tablePath, path)}\u0000${deletionVectorId(vector) ?? ''}`
  const bury = (action: Action): void => {
    if (action.kind !== 'remove') return
    const { remove } = action
    if ((remove.deletionTimestamp ?? 0) <= afterMs) return
    tombstones.set(keyOf(remove.path, remove.deletionVector), remove)
  }
  if (start !== null) {
    for (const action of await checkpointActions(store, connection, tablePath, start)) bury(action)
  }
  for (let next = (start?.version ?? -1) + 1; next <= version; next++) {
    const actions = await readCommit(store, `${tablePath}/${commitPath(next)}`)
    for (const action of actions) bury(action)
    for (const action of actions) {
      if (action.kind !== 'add') continue
      tombstones.delete(keyOf(action.add.path, action.add.deletionVector))
    }
  }
  return [...tombstones.values()]
}

async function checkpointActions(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  start: CheckpointStart,
): Promise<readonly Action[]> {
  const found: Action[] = []
  const sidecars: string[] = []
  const take = (action: Action): void => {
    if (action.kind !== 'sidecar') found.push(action)
    else sidecars.push(resolvePath(store, `${tablePath}/_delta_log/_sidecars`, action.sidecar.path))
  }
  for (const path of start.paths) {
    if (start.format === 'json') {
      const bytes = await store.read(path)
      if (bytes === null) throw corrupt(path, 'it is missing')
      for (const action of parseActions(bytes, path)) take(action)
    } else {
      const columns = ['remove', 'sidecar']
      for (const action of await readCheckpointFile(store, connection, path, columns)) take(action)
    }
  }
  for (const path of sidecars) {
    found.push(...(await readCheckpointFile(store, connection, path, ['remove'])))
  }
  return found
}
