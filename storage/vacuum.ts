/** Vacuum: removing the files of a table's folder that no version within retention needs. */

import { parseActions, type Action } from './actions.js'
import { deletionVectorPath } from './deletion-vector.js'
import type { EngineConnection } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import { isOutside, resolvePath } from './file-path.js'
import { listLog } from './log-segment.js'
import type { ObjectEntry, ObjectStore } from './object-store.js'
import { refreshSnapshot, type Snapshot } from './snapshot.js'
import { durationMs } from './table-property.js'
import { EVERY_OBLIGATION, requireWritable } from './table-protocol.js'
import { readTombstones } from './tombstones.js'
import { Transaction } from './transaction.js'

/** How long files stay that the newest version does not need; Delta's default. */
export const DEFAULT_RETENTION_MS: number = 7 * 86_400_000

/**
 * How long a file stays that no commit names, whatever retention is asked for: its writer may be
 * about to commit it.
 */
const UNCOMMITTED_MS = 3_600_000

/** Deletions under way at once, and deletions after which a cancelled vacuum notices. */
const PARALLEL = 16

export interface VacuumOptions {
  /** How long ago a file must have left the table; the table's property unless given. */
  readonly retentionMs?: number | undefined
  /** Whether a shorter retention than the table's is refused; on unless given. */
  readonly checksRetention?: boolean
  /** Only tells what would go. */
  readonly dryRun?: boolean
  /** Looks into the log for what to remove, and lists no folder. */
  readonly lite?: boolean
  /** The whole table was dropped that long ago: what its newest version has is not needed either. */
  readonly droppedMs?: number
  readonly nowMs?: number
  /** Throws when the statement was cancelled. */
  readonly check?: () => void
  readonly committed?: (transaction: Transaction) => void
}

export interface VacuumResult {
  /** Paths, relative to the lake's root, of what went, or would go. */
  readonly paths: readonly string[]
  readonly sizeBytes: number
}

/**
 * Removes the files under the table's folder that no version within retention needs.
 *
 * - Needed are the files of the newest version, those that were removed within retention, their
 *   deletion vectors, and whatever a commit within retention names, changed rows too.
 * - A file that was touched within retention stays, so what others are about to commit does.
 * - Names that begin with `_` or `.` are left alone, but for `_change_data` and partitions, and the
 *   staging folders of writers that were killed.
 * - The log tells before and after (`VACUUM START`, `VACUUM END`). Ended in the middle, it has
 *   removed less; running it again removes the rest.
 *
 * 22023 for a retention below the table's unless `checksRetention` is false; 0A000 for a table that
 * is not written; 55000 for `lite` where the log does not reach back far enough.
 *
 * Delta's `VacuumCommand`.
 */
export async function vacuumTable(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  options: VacuumOptions = {},
): Promise<VacuumResult> {
  const { tablePath, metadata } = snapshot
  // Delta protocol, "VACUUM Protocol Check".
  requireWritable(tablePath, snapshot.protocol, metadata, snapshot.schema, EVERY_OBLIGATION)
  const property = metadata.configuration['delta.deletedFileRetentionDuration']
  const defaultMs = property === undefined ? DEFAULT_RETENTION_MS : durationMs(property)
  const retentionMs = options.retentionMs ?? defaultMs
  if (retentionMs === null || defaultMs === null) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `the retention of table "${tablePath}" cannot be read: ${property}`,
    )
  }
  requireRetention(retentionMs, defaultMs, options.checksRetention ?? true)
  const nowMs = options.nowMs ?? Date.now()
  const cutoffMs = nowMs - retentionMs
  const needed = await neededPaths(store, connection, snapshot, cutoffMs, options)
  const listed =
    options.lite === true
      ? await removedByLog(store, snapshot)
      : (await store.list(tablePath)).filter(({ path }) => isVisible(snapshot, path))
  const candidates = listed.filter(
    ({ path, modifiedMs }) => modifiedMs < cutoffMs && !needed.has(path),
  )
  // What has come back meanwhile, as RESTORE brings it, is needed again.
  const newest = await refreshSnapshot(store, snapshot)
  if (newest !== snapshot && options.droppedMs === undefined) {
    for (const file of newest.files) {
      for (const path of pathsOf(store, tablePath, file.add)) needed.add(path)
    }
  }
  const old = candidates.filter(({ path }) => !needed.has(path))
  // Only a very short retention can meet files that are being written.
  const named = retentionMs < UNCOMMITTED_MS ? await everNamed(store, snapshot) : new Set<string>()
  const doomed =
    retentionMs < UNCOMMITTED_MS
      ? old.filter(({ path, modifiedMs }) => named.has(path) || modifiedMs < nowMs - UNCOMMITTED_MS)
      : old
  const sizeBytes = doomed.reduce((sum, entry) => sum + entry.sizeBytes, 0)
  const sweepMs = Math.min(cutoffMs, nowMs - UNCOMMITTED_MS)
  if (options.dryRun === true) {
    const swept = await store.sweep(tablePath, sweepMs, true)
    return { paths: [...doomed.map(({ path }) => path), ...swept], sizeBytes }
  }
  const parameters = {
    retentionCheckEnabled: String(options.checksRetention ?? true),
    defaultRetentionMillis: String(defaultMs),
    ...(options.retentionMs === undefined
      ? {}
      : { specifiedRetentionMillis: String(options.retentionMs) }),
  }
  const isDropped = options.droppedMs !== undefined
  if (!isDropped) {
    await tell(store, snapshot, options, 'VACUUM START', parameters, {
      numFilesToDelete: doomed.length,
      sizeOfDataToDelete: sizeBytes,
    })
  }
  const gone: string[] = []
  const queue = [...doomed].reverse()
  const work = async (): Promise<void> => {
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      options.check?.()
      await store.delete(entry.path)
      gone.push(entry.path)
    }
  }
  let status = 'FAILED'
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work))
    gone.push(...(await store.sweep(tablePath, sweepMs, false)))
    status = 'COMPLETED'
  } finally {
    queue.length = 0
    if (!isDropped) {
      const end = tell(
        store,
        snapshot,
        options,
        'VACUUM END',
        { status },
        {
          numDeletedFiles: gone.length,
          numVacuumedDirectories: folderCount(listed),
        },
      )
      // What went wrong first is what is told.
      if (status === 'COMPLETED') await end
      else await end.catch(() => {})
    }
  }
  return { paths: gone.sort(), sizeBytes }
}

function requireRetention(retentionMs: number, defaultMs: number, checks: boolean): void {
  if (!(retentionMs >= 0)) {
    throw new SqlError(SqlState.invalidParameterValue, "Retention for Vacuum can't be less than 0.")
  }
  if (!checks || retentionMs >= defaultMs) return
  throw new SqlError(
    SqlState.invalidParameterValue,
    `a retention of ${retentionMs / 3_600_000} hours is shorter than the ${defaultMs / 3_600_000} hours that the table asks for`,
    {
      detail: 'Readers of old versions, and writers that take longer, would miss files.',
      hint: 'If nobody else uses the table, SET lakegate.vacuum_retention_check = off.',
    },
  )
}

async function neededPaths(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  cutoffMs: number,
  { droppedMs }: VacuumOptions,
): Promise<Set<string>> {
  const needed = new Set<string>()
  if (droppedMs !== undefined && droppedMs < cutoffMs) return needed
  const { tablePath, version } = snapshot
  const need = (file: Parameters<typeof pathsOf>[2]): void => {
    for (const path of pathsOf(store, tablePath, file)) needed.add(path)
  }
  for (const file of snapshot.files) need(file.add)
  for (const remove of await readTombstones(store, connection, tablePath, version, cutoffMs)) {
    need(remove)
  }
  // A checkpoint forgets tombstones by the table's retention, which may be shorter than the one asked for.
  for await (const action of actionsSince(store, snapshot, cutoffMs)) {
    if (action.kind === 'add') need(action.add)
    if (action.kind === 'remove') need(action.remove)
    if (action.kind === 'cdc') need(action.cdc)
  }
  return needed
}

/** Paths of a file and of its deletion vector, as far as they lie in the lake. */
function* pathsOf(
  store: ObjectStore,
  tablePath: string,
  file: {
    readonly path: string
    readonly deletionVector?: Parameters<typeof deletionVectorPath>[2] | null
  },
): Generator<string> {
  const path = resolvePath(store, tablePath, file.path)
  if (!isOutside(path)) yield path
  const vector = file.deletionVector ?? null
  if (vector === null || (vector.storageType !== 'u' && vector.storageType !== 'p')) return
  if (vector.storageType === 'p') {
    const absolute = resolvePath(store, tablePath, vector.pathOrInlineDv)
    if (!isOutside(absolute)) yield absolute
  } else yield deletionVectorPath(store, tablePath, vector)
}

/** The actions of commits that became visible at or after `sinceMs`, in no order. */
async function* actionsSince(
  store: ObjectStore,
  snapshot: Snapshot,
  sinceMs: number,
): AsyncGenerator<Action> {
  const log = await listLog(store, snapshot.tablePath)
  for (const entry of log.commits.values()) {
    if (entry.modifiedMs < sinceMs) continue
    const bytes = await store.read(entry.path)
    // A clean-up of the log may have been faster.
    if (bytes !== null) yield* parseActions(bytes, entry.path)
  }
}

/** Every path that the log names. */
async function everNamed(store: ObjectStore, snapshot: Snapshot): Promise<ReadonlySet<string>> {
  const named = new Set<string>()
  for await (const action of actionsSince(store, snapshot, Number.NEGATIVE_INFINITY)) {
    const file =
      action.kind === 'add'
        ? action.add
        : action.kind === 'remove'
          ? action.remove
          : action.kind === 'cdc'
            ? action.cdc
            : null
    if (file === null) continue
    for (const path of pathsOf(store, snapshot.tablePath, file)) named.add(path)
  }
  return named
}

/** The objects that commits of the log name; 55000 when the log does not begin with version 0. */
async function removedByLog(
  store: ObjectStore,
  snapshot: Snapshot,
): Promise<readonly ObjectEntry[]> {
  const log = await listLog(store, snapshot.tablePath)
  if (!log.commits.has(0)) {
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      'VACUUM LITE cannot delete all eligible files as some files are not referenced by the Delta log. Please run VACUUM FULL.',
    )
  }
  const folder = `${snapshot.tablePath}/`
  const entries: ObjectEntry[] = []
  for (const path of await everNamed(store, snapshot)) {
    if (!path.startsWith(folder) || !isVisible(snapshot, path)) continue
    const entry = await store.stat(path)
    if (entry !== null) entries.push(entry)
  }
  return entries
}

/** Delta's `DeltaTableUtils.isHiddenDirectory`: whether an object of the table's folder may be removed at all. */
function isVisible({ tablePath, metadata }: Snapshot, path: string): boolean {
  const names = path.slice(tablePath.length + 1).split('/')
  return names.every((name, i) => {
    if (!/^[._]/.test(name)) return true
    if (i === names.length - 1) return false
    return (
      (i === 0 && name === '_change_data') ||
      metadata.partitionColumns.some((column) => name.startsWith(`${column}=`))
    )
  })
}

function folderCount(entries: readonly ObjectEntry[]): number {
  return new Set(entries.map(({ path }) => path.slice(0, path.lastIndexOf('/')))).size
}

/** A commit that only says what is done; the clean-up does not depend on it. */
async function tell(
  store: ObjectStore,
  snapshot: Snapshot,
  options: VacuumOptions,
  operation: string,
  parameters: { readonly [name: string]: string },
  metrics: { readonly [name: string]: number },
): Promise<void> {
  const transaction = await Transaction.begin(store, snapshot, { fulfilled: EVERY_OBLIGATION })
  const result = await transaction.commit({ operation, parameters, metrics })
  if (result.kind === 'committed') options.committed?.(transaction)
}
