/** LogSegment: which files of a log are there, and which of them lead to a version. */

import { corrupt } from './actions.js'
import { SqlError, SqlState } from './errors.js'
import { commitPath, parseLogFileName, printVersion } from './log-path.js'
import type { ObjectEntry, ObjectStore } from './object-store.js'

/** A complete checkpoint. */
export interface CheckpointStart {
  readonly version: number
  readonly paths: readonly string[]
  readonly format: 'parquet' | 'json'
}

/** What a listing of a log found. */
export interface Log {
  readonly newest: number | null
  readonly commits: ReadonlyMap<number, ObjectEntry>
  /** Complete checkpoints, oldest first. */
  readonly checkpoints: readonly CheckpointStart[]
  /** Log compaction files by the first version they sum up. */
  readonly compactions: ReadonlyMap<number, readonly Compaction[]>
}

/** A file that holds the reconciled actions of commits `from` to `to`. */
export interface Compaction {
  readonly from: number
  readonly to: number
  readonly path: string
}

/** The steps of a replay: a commit, or a compaction in place of several. */
export type ReplayStep =
  | { readonly kind: 'commit'; readonly version: number }
  | { readonly kind: 'compaction'; readonly compaction: Compaction }

/**
 * The version that `_last_checkpoint` names, or null.
 *
 * A hint and no more: the file may be missing, stale, cut off or wrong.
 */
export async function readCheckpointHint(
  store: ObjectStore,
  tablePath: string,
): Promise<number | null> {
  const bytes = await store.read(`${tablePath}/_delta_log/_last_checkpoint`)
  if (bytes === null) return null
  try {
    const hint = JSON.parse(Buffer.from(bytes).toString('utf8')) as { version?: unknown } | null
    const version = hint?.version
    return typeof version === 'number' && Number.isSafeInteger(version) && version >= 0
      ? version
      : null
  } catch {
    return null
  }
}

/** The fewest files that hold commits `from` to `to`; null when one of them is missing. */
export function replaySteps(log: Log, from: number, to: number): readonly ReplayStep[] | null {
  const steps: ReplayStep[] = []
  for (let version = from; version <= to; ) {
    const fitting = (log.compactions.get(version) ?? []).filter((one) => one.to <= to)
    const widest = fitting.reduce<Compaction | null>(
      (best, one) => (best === null || one.to > best.to ? one : best),
      null,
    )
    if (widest !== null) {
      steps.push({ kind: 'compaction', compaction: widest })
      version = widest.to + 1
    } else if (log.commits.has(version)) {
      steps.push({ kind: 'commit', version })
      version++
    } else return null
  }
  return steps
}

/** The log of the table in folder `tablePath`, from the files of version `from` on. */
export async function listLog(store: ObjectStore, tablePath: string, from = 0): Promise<Log> {
  const folder = `${tablePath}/_delta_log`
  const commits = new Map<number, ObjectEntry>()
  const checkpoints: CheckpointStart[] = []
  const compactions = new Map<number, Compaction[]>()
  const parts = new Map<string, { version: number; count: number; paths: string[] }>()
  for (const object of await store.listFolder(folder, printVersion(from))) {
    const file = parseLogFileName(object.path.slice(folder.length + 1))
    if (file?.kind === 'commit') commits.set(file.version, object)
    if (file?.kind === 'compaction' && file.to > file.from) {
      const known = compactions.get(file.from) ?? []
      known.push({ from: file.from, to: file.to, path: object.path })
      compactions.set(file.from, known)
    }
    if (file?.kind === 'checkpoint') {
      checkpoints.push({ version: file.version, paths: [object.path], format: file.format })
    }
    if (file?.kind === 'checkpoint-part') {
      const key = `${file.version}/${file.parts}`
      const known = parts.get(key) ?? { version: file.version, count: file.parts, paths: [] }
      known.paths.push(object.path)
      parts.set(key, known)
    }
  }
  for (const { version, count, paths } of parts.values()) {
    if (paths.length === count) checkpoints.push({ version, paths, format: 'parquet' })
  }
  checkpoints.sort((a, b) => a.version - b.version)
  const versions = [...commits.keys(), ...checkpoints.map((checkpoint) => checkpoint.version)]
  return {
    newest: versions.length === 0 ? null : versions.reduce((a, b) => Math.max(a, b)),
    commits,
    checkpoints,
    compactions,
  }
}

/** The error for a commit that is missing between others. */
export function gap(log: Log, tablePath: string, from: number, to: number): SqlError {
  let missing = from
  while (missing < to && log.commits.has(missing)) missing++
  return corrupt(`${tablePath}/${commitPath(missing)}`, 'it is missing, the log has a gap there')
}

/** The oldest version from which on every version up to the newest can be built; null for none. */
export function oldestVersion(log: Log): number | null {
  if (log.newest === null) return null
  let contiguous = log.newest
  while (contiguous > 0 && log.commits.has(contiguous)) contiguous--
  if (contiguous === 0 && log.commits.has(0)) return 0
  // `contiguous` is the newest version without a commit: a checkpoint there or later is a start.
  const starts = log.checkpoints.map((checkpoint) => checkpoint.version)
  return starts.find((start) => start >= contiguous) ?? null
}

/** The error for a version that cannot be had, naming those that can. */
export function noSuchVersion(log: Log, tablePath: string, version: number): SqlError {
  const newest = log.newest ?? 0
  return new SqlError(
    SqlState.invalidParameterValue,
    `version ${version} of table "${tablePath}" does not exist`,
    { detail: `Available versions are ${oldestVersion(log) ?? newest} to ${newest}.` },
  )
}
