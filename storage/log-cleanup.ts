/** Log clean-up: removing the part of a log that nobody may ask for any more. */

import { listLog } from './log-segment.js'
import { parseLogFileName } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import type { Snapshot } from './snapshot.js'
import { durationMs } from './table-property.js'

const DAY_MS = 86_400_000

/** How long the versions of a table can be travelled to, unless it says otherwise; Delta's default. */
const DEFAULT_RETENTION_MS = 30 * DAY_MS

/** For each table up to which day its log was cleaned by this process: once a day is enough. */
const cleaned = new WeakMap<ObjectStore, Map<string, number>>()

/**
 * Removes the commits, checkpoints, checksums and compactions from before the newest checkpoint
 * that is older than `delta.logRetentionDuration`; answers how many files.
 *
 * That checkpoint stays with its commit and all that follows, so every version from there on can be
 * built, and its time be told. Nothing is removed when there is no such checkpoint, when
 * `delta.enableExpiredLogCleanup` is false, or when checkpoints are protected.
 *
 * Delta protocol, "Metadata Cleanup".
 */
export async function cleanLog(
  store: ObjectStore,
  snapshot: Pick<Snapshot, 'tablePath' | 'metadata'>,
  nowMs: number = Date.now(),
): Promise<number> {
  const { tablePath, metadata } = snapshot
  const { configuration } = metadata
  if (configuration['delta.enableExpiredLogCleanup']?.toLowerCase() === 'false') return 0
  if (Number(configuration['delta.requireCheckpointProtectionBeforeVersion'] ?? 0) > 0) return 0
  const text = configuration['delta.logRetentionDuration']
  const retentionMs = text === undefined ? DEFAULT_RETENTION_MS : durationMs(text)
  // A retention that cannot be read keeps everything.
  if (retentionMs === null) return 0
  const cutoffMs = Math.floor((nowMs - retentionMs) / DAY_MS) * DAY_MS
  const known = cleaned.get(store) ?? new Map<string, number>()
  cleaned.set(store, known)
  if ((known.get(tablePath) ?? Number.NEGATIVE_INFINITY) >= cutoffMs) return 0
  const first = await firstKept(store, tablePath, cutoffMs)
  let count = 0
  if (first !== null) {
    for (const path of await expiredFiles(store, tablePath, first)) {
      await store.delete(path)
      count++
    }
  }
  known.set(tablePath, cutoffMs)
  return count
}

/** The version that the log is to begin with; null when all of it is needed. */
async function firstKept(
  store: ObjectStore,
  tablePath: string,
  cutoffMs: number,
): Promise<number | null> {
  const log = await listLog(store, tablePath)
  const checkpoints = new Set(log.checkpoints.map(({ version }) => version))
  let first: number | null = null
  let timeMs = Number.NEGATIVE_INFINITY
  for (const version of [...log.commits.keys()].sort((a, b) => a - b)) {
    const modifiedMs = log.commits.get(version)?.modifiedMs ?? 0
    // A time that had to be moved behind that of the commit before depends on that commit.
    const isOwn = modifiedMs > timeMs
    timeMs = Math.max(modifiedMs, timeMs + 1)
    if (timeMs >= cutoffMs) break
    if (isOwn && checkpoints.has(version)) first = version
  }
  return first
}

/** What lies before version `first`; commits last and oldest first, so that no gap ever shows. */
async function expiredFiles(
  store: ObjectStore,
  tablePath: string,
  first: number,
): Promise<readonly string[]> {
  const folder = `${tablePath}/_delta_log`
  const commits: string[] = []
  const others: string[] = []
  for (const { path } of await store.listFolder(folder)) {
    const name = path.slice(folder.length + 1)
    const file = parseLogFileName(name)
    if (file?.kind === 'commit') {
      if (file.version < first) commits.push(path)
    } else if (file?.kind === 'compaction') {
      if (file.from <= first) others.push(path)
    } else if (file !== null) {
      if (file.version < first) others.push(path)
    } else if (/^\d{20}\.crc$/.test(name) && Number.parseInt(name, 10) < first) others.push(path)
  }
  return [...others, ...commits]
}
