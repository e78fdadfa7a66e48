/** Snapshot: one immutable version of one table, replayed from its log. */

import {
  type Action,
  type AddFile,
  type CommitInfo,
  corrupt,
  type Metadata,
  parseActions,
  type Protocol,
  type SetTransaction,
} from './actions.js'
import { readCheckpoint } from './checkpoint.js'
import { deletionVectorId } from './deletion-vector.js'
import type { EngineConnection } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import { BLOCK_FILES, type FileKey } from './file-block.js'
import { type DataFile, FileIndex } from './file-index.js'
import { resolvePath } from './file-path.js'
import { commitPath } from './log-path.js'
import {
  gap,
  listLog,
  type Log,
  noSuchVersion,
  oldestVersion,
  readCheckpointHint,
  type ReplayStep,
  replaySteps,
} from './log-segment.js'
import { emptyTrail, followTrail, type GroupTrail } from './group.js'
import type { ObjectStore } from './object-store.js'
import { parseSchemaString, type Schema } from './schema.js'
import { requireReadable } from './table-features.js'

/**
 * One version of one table.
 *
 * - `files` holds each live data file once, the newest action having won.
 * - `protocol` has been checked: every reader feature it names is one that is read.
 *
 * Delta protocol, "Action Reconciliation".
 */
export interface Snapshot {
  readonly tablePath: string
  readonly version: number
  readonly protocol: Protocol
  readonly metadata: Metadata
  readonly schema: Schema
  readonly columnMapping: 'none' | 'name' | 'id'
  readonly files: FileIndex
  /** Bytes of all live files. */
  readonly sizeBytes: number
  /** The newest transaction of each application, by its id. */
  readonly transactions: ReadonlyMap<string, SetTransaction>
  /** The configuration of each metadata domain, by its name; removed ones are left out. */
  readonly domains: ReadonlyMap<string, string>
  /** What is known of commits that belong to groups. */
  readonly groups: GroupTrail
}

/** Every live data file of `snapshot`, once. */
export function liveFiles(snapshot: Snapshot): Iterable<DataFile> {
  return snapshot.files
}

/** How many data files `snapshot` has. */
export function fileCount(snapshot: Snapshot): number {
  return snapshot.files.length
}

/** One committed version, as far as the log still tells. */
export interface CommitEntry {
  readonly version: number
  /** Commit time: in-commit timestamp where enabled, else the file's, made strictly increasing. */
  readonly timestampMs: number
}

/** State while a log is replayed forward; maps keep insertion order, so files stay in order of commit. */
interface Replay {
  protocol: Protocol | undefined
  metadata: Metadata | undefined
  /** Files before the commits that are being replayed. */
  files: FileIndex
  /** What those commits take out of `files`, and what they add, by key. */
  readonly removed: Map<string, FileKey>
  readonly added: Map<string, AddFile>
  readonly transactions: Map<string, SetTransaction>
  readonly domains: Map<string, string>
  groups: GroupTrail
}

/**
 * The snapshot of the table in folder `tablePath` at `version` (null: the newest), or null when
 * the folder holds no Delta log.
 *
 * XX001 naming the file when the log is corrupt or has a gap, 22023 naming the versions that exist
 * when the one asked for cannot be had, 0A000 for a feature that is not read.
 */
export async function loadSnapshot(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  version: number | null,
): Promise<Snapshot | null> {
  try {
    return await loadListed(store, connection, tablePath, version, true)
  } catch (thrown) {
    if (!isCorruption(thrown)) throw thrown
    // A listing is not one moment: a commit made meanwhile may show without the one before it, and
    // a clean-up may take a checkpoint away. Only what is wrong twice is wrong.
    return loadListed(store, connection, tablePath, version, false)
  }
}

async function loadListed(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  version: number | null,
  trustHint: boolean,
): Promise<Snapshot | null> {
  const hint = trustHint ? await readCheckpointHint(store, tablePath) : null
  let log = await listLog(
    store,
    tablePath,
    version !== null && hint !== null && version < hint ? 0 : (hint ?? 0),
  )
  const hinted = log.checkpoints.some((one) => version === null || one.version <= version)
  const within = version === null || (log.newest !== null && version <= log.newest)
  if (hint !== null && !(hinted && within)) log = await listLog(store, tablePath)
  if (log.newest === null) return null
  const target = version ?? log.newest
  if (target > log.newest || target < 0) throw noSuchVersion(log, tablePath, target)
  const failures: unknown[] = []
  for (const start of [...log.checkpoints].filter((c) => c.version <= target).reverse()) {
    const steps = replaySteps(log, start.version + 1, target)
    if (steps === null) throw gap(log, tablePath, start.version + 1, target)
    try {
      const { files, actions } = await readCheckpoint(store, connection, tablePath, start)
      const replay = { ...emptyReplay(), files }
      for (const action of actions) apply(replay, action, store, tablePath)
      return await replayLog(store, tablePath, replay, steps, target)
    } catch (thrown) {
      // An unreadable checkpoint is no loss while an older one, or the whole log, still exists.
      if (!isCorruption(thrown)) throw thrown
      failures.push(thrown)
    }
  }
  const steps = replaySteps(log, 0, target)
  if (steps === null) {
    if (failures.length > 0) throw failures[0]
    if (version !== null) throw noSuchVersion(log, tablePath, target)
    throw gap(log, tablePath, 0, target)
  }
  return replayLog(store, tablePath, emptyReplay(), steps, target)
}

function isCorruption(thrown: unknown): thrown is SqlError {
  return thrown instanceof SqlError && thrown.sqlState === SqlState.dataCorrupted
}

/**
 * `previous` brought up to the newest version, or to version `upTo`; the same object when nothing
 * was committed since.
 *
 * Asks the store only whether the next version exists.
 */
export async function refreshSnapshot(
  store: ObjectStore,
  previous: Snapshot,
  upTo: number = Number.POSITIVE_INFINITY,
): Promise<Snapshot> {
  let target = previous.version
  while (
    target < upTo &&
    (await store.stat(`${previous.tablePath}/${commitPath(target + 1)}`)) !== null
  )
    target++
  if (target === previous.version) return previous
  const replay: Replay = {
    protocol: previous.protocol,
    metadata: previous.metadata,
    files: previous.files,
    removed: new Map(),
    added: new Map(),
    transactions: new Map(previous.transactions),
    domains: new Map(previous.domains),
    groups: previous.groups,
  }
  const steps = commitSteps(previous.version + 1, target)
  return replayLog(store, previous.tablePath, replay, steps, target)
}

/**
 * The commits of which the log still has the file, oldest first, with their times; those from
 * version `from` on where only they are asked for.
 */
export async function listCommits(
  store: ObjectStore,
  tablePath: string,
  from = 0,
): Promise<readonly CommitEntry[]> {
  const commits = await timesOf(store, tablePath, await listLog(store, tablePath), from)
  return commits.filter(({ version }) => version >= from)
}

async function timesOf(
  store: ObjectStore,
  tablePath: string,
  log: Log,
  from = 0,
): Promise<readonly CommitEntry[]> {
  const versions = [...log.commits.keys()].sort((a, b) => a - b)
  // Once in-commit timestamps are on, every later commit has one: going backwards, the first
  // commit without ends the search, and a table without the feature costs one read.
  const inCommit = new Map<number, number>()
  for (const version of versions.filter((one) => one >= from).reverse()) {
    const timestampMs = await inCommitTimestamp(store, tablePath, version)
    if (timestampMs === null) break
    inCommit.set(version, timestampMs)
  }
  let previous = Number.NEGATIVE_INFINITY
  return versions.map((version) => {
    const modifiedMs = log.commits.get(version)?.modifiedMs ?? 0
    previous = inCommit.get(version) ?? Math.max(modifiedMs, previous + 1)
    return { version, timestampMs: previous }
  })
}

/** The commitInfo of `version`, or null when the log no longer has it. */
export async function readCommitInfo(
  store: ObjectStore,
  tablePath: string,
  version: number,
): Promise<CommitInfo | null> {
  const path = `${tablePath}/${commitPath(version)}`
  const bytes = await store.read(path)
  if (bytes === null) return null
  for (const action of parseActions(bytes, path)) {
    if (action.kind === 'commitInfo') return action.commitInfo
  }
  return null
}

/**
 * The newest version committed at or before `timestampMs`.
 *
 * 22023 naming the times that exist when it lies before the first commit or after the last, as
 * Spark refuses both.
 */
export async function versionAt(
  store: ObjectStore,
  tablePath: string,
  timestampMs: number,
): Promise<number> {
  const commits = await buildableCommits(store, tablePath)
  const last = commits.at(-1)
  const found = newestBefore(commits, timestampMs)
  if (found === null || last === undefined || timestampMs > last.timestampMs) {
    throw noVersionAt(tablePath, timestampMs, commits)
  }
  return found
}

/**
 * The newest version committed at or before `timestampMs`, which may lie behind the last commit;
 * null when the table was made later.
 *
 * 22023 when the log does not reach back so far any more.
 */
export async function versionBefore(
  store: ObjectStore,
  tablePath: string,
  timestampMs: number,
): Promise<number | null> {
  const commits = await buildableCommits(store, tablePath)
  const found = newestBefore(commits, timestampMs)
  if (found !== null) return found
  const [first] = commits
  if (first === undefined || first.version === 0) return null
  throw noVersionAt(tablePath, timestampMs, commits)
}

/** Commits before the oldest version that can still be built are no answer to a time. */
async function buildableCommits(
  store: ObjectStore,
  tablePath: string,
): Promise<readonly CommitEntry[]> {
  const log = await listLog(store, tablePath)
  const oldest = oldestVersion(log)
  const commits = await timesOf(store, tablePath, log)
  return commits.filter((commit) => oldest !== null && commit.version >= oldest)
}

function newestBefore(commits: readonly CommitEntry[], timestampMs: number): number | null {
  return commits.findLast((commit) => commit.timestampMs <= timestampMs)?.version ?? null
}

function noVersionAt(
  tablePath: string,
  timestampMs: number,
  commits: readonly CommitEntry[],
): SqlError {
  const [first, last] = [commits[0], commits.at(-1)]
  if (first === undefined || last === undefined) {
    return new SqlError(SqlState.invalidParameterValue, `table "${tablePath}" has no commit left`)
  }
  return new SqlError(
    SqlState.invalidParameterValue,
    `table "${tablePath}" has no version as of ${printTime(timestampMs)}`,
    {
      detail:
        `Its versions ${first.version} to ${last.version} were committed from ` +
        `${printTime(first.timestampMs)} to ${printTime(last.timestampMs)}.`,
    },
  )
}

/** ISO, or the bare number of milliseconds where the calendar of JavaScript ends. */
function printTime(timestampMs: number): string {
  const date = new Date(timestampMs)
  return Number.isNaN(date.getTime()) ? `${timestampMs} ms since 1970` : date.toISOString()
}

function emptyReplay(): Replay {
  return {
    protocol: undefined,
    metadata: undefined,
    files: FileIndex.empty,
    removed: new Map(),
    added: new Map(),
    transactions: new Map(),
    domains: new Map(),
    groups: emptyTrail(),
  }
}

function commitSteps(from: number, to: number): readonly ReplayStep[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({ kind: 'commit', version: from + i }))
}

async function replayLog(
  store: ObjectStore,
  tablePath: string,
  replay: Replay,
  steps: readonly ReplayStep[],
  target: number,
): Promise<Snapshot> {
  for (const step of steps) {
    if (step.kind === 'commit') await replayCommit(store, tablePath, replay, step.version)
    else {
      const { from, to, path } = step.compaction
      const actions = await readCompaction(store, tablePath, path)
      if (actions === null) {
        // What a compaction sums up is still there, or its absence is named.
        for (let version = from; version <= to; version++) {
          await replayCommit(store, tablePath, replay, version)
        }
        continue
      }
      applyAll(replay, actions, store, tablePath)
    }
  }
  return finish(replay, store, tablePath, target)
}

/** The actions of a log compaction; null when it is corrupt or does not sum up, as it must. */
async function readCompaction(
  store: ObjectStore,
  tablePath: string,
  path: string,
): Promise<readonly Action[] | null> {
  let actions: readonly Action[]
  try {
    actions = await readCommit(store, path)
  } catch (thrown) {
    if (isCorruption(thrown)) return null
    throw thrown
  }
  // Delta protocol, "Log Compaction Files": nobody could say which of two actions on a file is newer.
  const seen = new Set<string>()
  for (const action of actions) {
    const file = action.kind === 'add' ? action.add : action.kind === 'remove' && action.remove
    if (file === false) continue
    const { key } = keyOf(store, tablePath, file)
    if (seen.has(key)) return null
    seen.add(key)
  }
  return actions
}

async function replayCommit(
  store: ObjectStore,
  tablePath: string,
  replay: Replay,
  version: number,
): Promise<void> {
  const actions = await readCommit(store, `${tablePath}/${commitPath(version)}`)
  applyAll(replay, actions, store, tablePath)
  replay.groups = followTrail(replay.groups, version, actions)
}

/** The order inside one commit means nothing: what it removes goes before what it adds. */
function applyAll(
  replay: Replay,
  actions: readonly Action[],
  store: ObjectStore,
  tablePath: string,
): void {
  for (const action of actions) if (action.kind !== 'add') apply(replay, action, store, tablePath)
  for (const action of actions) if (action.kind === 'add') apply(replay, action, store, tablePath)
  if (replay.added.size >= BLOCK_FILES) settle(replay, store, tablePath)
}

/** Puts what was replayed into columns. */
function settle(replay: Replay, store: ObjectStore, tablePath: string): void {
  replay.files = replay.files.with(replay.removed.values(), [...replay.added.values()], (path) =>
    resolvePath(store, tablePath, path),
  )
  replay.removed.clear()
  replay.added.clear()
}

/** A commit that another engine is still writing looks cut off: it is read again before it is called corrupt. */
export async function readCommit(store: ObjectStore, path: string): Promise<readonly Action[]> {
  for (let attempt = 0; ; attempt++) {
    const bytes = await store.read(path)
    if (bytes === null) throw corrupt(path, 'it is missing, the log has a gap there')
    try {
      return parseActions(bytes, path)
    } catch (thrown) {
      if (attempt === 3) throw thrown
      await new Promise((resolve) => setTimeout(resolve, 20 * (attempt + 1)))
    }
  }
}

function apply(replay: Replay, action: Action, store: ObjectStore, tablePath: string): void {
  switch (action.kind) {
    case 'add': {
      const { key, file } = keyOf(store, tablePath, action.add)
      // The newest action of a file wins over an older one.
      replay.removed.set(key, file)
      replay.added.set(key, action.add)
      return
    }
    case 'remove': {
      const { key, file } = keyOf(store, tablePath, action.remove)
      replay.removed.set(key, file)
      replay.added.delete(key)
      return
    }
    case 'metaData':
      replay.metadata = action.metaData
      return
    case 'protocol':
      replay.protocol = action.protocol
      return
    case 'txn':
      replay.transactions.set(action.txn.appId, action.txn)
      return
    case 'domainMetadata': {
      const { domain, configuration, removed } = action.domainMetadata
      if (removed) replay.domains.delete(domain)
      else replay.domains.set(domain, configuration)
      return
    }
    case 'cdc':
    case 'commitInfo':
    case 'sidecar':
      return
  }
}

function finish(replay: Replay, store: ObjectStore, tablePath: string, version: number): Snapshot {
  const path = `${tablePath}/${commitPath(version)}`
  if (replay.protocol === undefined) throw corrupt(path, 'no protocol up to this version')
  if (replay.metadata === undefined) throw corrupt(path, 'no metaData up to this version')
  requireReadable(replay.protocol, tablePath)
  settle(replay, store, tablePath)
  return {
    tablePath,
    version,
    protocol: replay.protocol,
    metadata: replay.metadata,
    schema: parseSchemaString(replay.metadata.schemaString),
    columnMapping: columnMappingOf(replay.protocol, replay.metadata),
    files: replay.files,
    sizeBytes: replay.files.sizeBytes,
    transactions: replay.transactions,
    domains: replay.domains,
    groups: replay.groups,
  }
}

/** Which column mapping is in force. */
export function columnMappingOf(protocol: Protocol, metadata: Metadata): 'none' | 'name' | 'id' {
  const supported =
    protocol.minReaderVersion === 2 || protocol.readerFeatures?.includes('columnMapping') === true
  const mode = metadata.configuration['delta.columnMapping.mode'] ?? 'none'
  if (!supported || mode === 'none') return 'none'
  if (mode === 'name' || mode === 'id') return mode
  throw new SqlError(SqlState.featureNotSupported, `column mapping mode "${mode}" is not known`)
}

/** What tells two files of a snapshot apart: canonical path and deletion vector. */
export function fileKey(file: DataFile): string {
  return printKey({ path: file.path, vectorId: deletionVectorId(file.deletionVector) })
}

function printKey({ path, vectorId }: FileKey): string {
  return vectorId === null ? path : `${path}\u0000${vectorId}`
}

function keyOf(
  store: ObjectStore,
  tablePath: string,
  action: Pick<AddFile, 'path' | 'deletionVector'>,
): { readonly key: string; readonly file: FileKey } {
  const path = resolvePath(store, tablePath, action.path)
  const vectorId = deletionVectorId(action.deletionVector)
  const file = { path, vectorId }
  return { key: printKey(file), file }
}

async function inCommitTimestamp(
  store: ObjectStore,
  tablePath: string,
  version: number,
): Promise<number | null> {
  const info = await readCommitInfo(store, tablePath, version)
  const stamp = info?.inCommitTimestamp
  return typeof stamp === 'number' ? stamp : null
}
