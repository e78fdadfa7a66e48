/** Log maintenance: what is written after a commit, so that others read the table faster. */

import { makeChecksum } from './checksum.js'
import { writeCheckpoint } from './checkpoint-writer.js'
import type { Engine } from './engine.js'
import { assert } from './errors.js'
import { emptyTrail, followTrail, Groups } from './group.js'
import { cleanLog } from './log-cleanup.js'
import { compactionStart, writeCompaction } from './log-compaction.js'
import { checksumPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { loadSnapshot, refreshSnapshot, type Snapshot } from './snapshot.js'
import { checkpointInterval } from './table-property.js'
import type { Transaction, VersionActions } from './transaction.js'

/** What was done after a commit. */
export interface Maintenance {
  readonly checksum: 'written' | 'present' | 'failed'
  readonly checkpoint: 'written' | 'present' | 'not due' | 'failed'
  readonly compaction: 'written' | 'present' | 'not due' | 'failed'
  /** What failed, for the log of the gateway; the commit stands all the same. */
  readonly failures: readonly unknown[]
}

/**
 * Writes the checksum of the version that `transaction` committed and, when they are due, its
 * checkpoint, after which the log is cleaned of what has expired, or a compaction of the log.
 *
 * Never fails: the commit stands whatever becomes of these files, and every reader does without
 * them. To be called after `Transaction.commit` said 'committed'; the statement need not wait.
 */
export async function maintainLog(
  store: ObjectStore,
  engine: Engine,
  transaction: Transaction,
): Promise<Maintenance> {
  const { snapshot: base, tablePath, versions } = transaction
  const version = versions.at(-1)?.version
  assert(version !== undefined, 'the transaction has committed')
  const failures: unknown[] = []
  let checksum: Maintenance['checksum'] = 'failed'
  try {
    checksum = await writeChecksum(store, transaction)
  } catch (thrown) {
    failures.push(thrown)
  }
  const { metadata } = transaction.target
  // What sums a version up no longer tells that it belongs to a group, so only settled ones are.
  if (await hasOpenGroup(store, versions)) {
    return { checksum, checkpoint: 'not due', compaction: 'not due', failures }
  }
  let compaction: Maintenance['compaction'] = 'not due'
  const from = compactionStart(version, metadata.configuration)
  if (from !== null) {
    try {
      compaction = (await writeCompaction(store, tablePath, from, version)) ? 'written' : 'present'
    } catch (thrown) {
      compaction = 'failed'
      failures.push(thrown)
    }
  }
  let checkpoint: Maintenance['checkpoint'] = 'not due'
  if (version > 0 && version % checkpointInterval(metadata.configuration) === 0) {
    try {
      const path = await checkpointVersion(store, engine, base, tablePath, version)
      checkpoint = path === null ? 'present' : 'written'
      await cleanLog(store, { tablePath, metadata })
    } catch (thrown) {
      if (checkpoint === 'not due') checkpoint = 'failed'
      failures.push(thrown)
    }
  }
  return { checksum, checkpoint, compaction, failures }
}

async function hasOpenGroup(
  store: ObjectStore,
  versions: readonly VersionActions[],
): Promise<boolean> {
  const trail = versions.reduce(
    (known, { version, actions }) => followTrail(known, version, actions),
    emptyTrail(),
  )
  const groups = new Groups(store)
  for (const group of trail.versions.keys()) {
    if (trail.rolledBack.has(group)) continue
    try {
      if ((await groups.decisionOf(group))?.decision !== 'commit') return true
    } catch {
      return true
    }
  }
  return false
}

/** Writes the checksum of the version that `transaction` committed, unless it has one. */
export async function writeChecksum(
  store: ObjectStore,
  transaction: Transaction,
): Promise<'written' | 'present' | 'failed'> {
  const { snapshot, tablePath, versions } = transaction
  const version = versions.at(-1)?.version
  assert(version !== undefined, 'the transaction has committed')
  const bytes = makeChecksum(store, snapshot, tablePath, versions)
  if (bytes === null) return 'failed'
  const path = `${tablePath}/${checksumPath(version)}`
  return (await store.putIfAbsent(path, bytes)) === 'exists' ? 'present' : 'written'
}

async function checkpointVersion(
  store: ObjectStore,
  engine: Engine,
  base: Snapshot | null,
  tablePath: string,
  version: number,
): Promise<string | null> {
  const connection = await engine.connect()
  try {
    const snapshot =
      base === null
        ? await loadSnapshot(store, connection, tablePath, version)
        : await refreshSnapshot(store, base, version)
    return snapshot === null ? null : await writeCheckpoint(store, connection, snapshot)
  } finally {
    connection.close()
  }
}
