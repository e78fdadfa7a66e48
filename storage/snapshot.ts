/** Snapshot: one immutable version of one table, replayed from its log. */

import {
  type Action,
  actionOf,
  type AddFile,
  type CommitInfo,
  corrupt,
  type Metadata,
  parseActions,
  type Protocol,
  type SetTransaction,
} from './actions.js'
import { deletionVectorId } from './deletion-vector.js'
import { type EngineConnection, quoteLiteral } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import { resolvePath } from './file-path.js'
import { parseLossless, quoteNonFinite, quoteNumbers } from './lossless-json.js'
import { commitPath, parseLogFileName } from './log-path.js'
import type { ObjectEntry, ObjectStore } from './object-store.js'
import { parseSchemaString, type Schema } from './schema.js'
import { requireReadable } from './table-features.js'

/** A live data file, its path decoded. */
export interface DataFile {
  readonly add: AddFile
  /** Canonical path: relative to the lake's root. */
  readonly path: string
}

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
  readonly files: readonly DataFile[]
  /** Bytes of all live files. */
  readonly sizeBytes: number
  /** The newest transaction of each application, by its id. */
  readonly transactions: ReadonlyMap<string, SetTransaction>
  /** The configuration of each metadata domain, by its name; removed ones are left out. */
  readonly domains: ReadonlyMap<string, string>
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

/** Which version a reader asks for. */
export type VersionRequest =
  | { readonly kind: 'latest' }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'timestamp'; readonly timestampMs: number }

/** State while a log is replayed forward; maps keep insertion order, so files stay in order of commit. */
interface Replay {
  protocol: Protocol | undefined
  metadata: Metadata | undefined
  readonly files: Map<string, DataFile>
  readonly transactions: Map<string, SetTransaction>
  readonly domains: Map<string, string>
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
    return await loadListed(store, connection, tablePath, version)
  } catch (thrown) {
    if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.dataCorrupted) throw thrown
    // A listing is not one moment: a commit made meanwhile may show without the one before it, and
    // a clean-up may take a checkpoint away. Only what is wrong twice is wrong.
    return loadListed(store, connection, tablePath, version)
  }
}

async function loadListed(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  version: number | null,
): Promise<Snapshot | null> {
  const log = await listLog(store, tablePath)
  if (log.newest === null) return null
  const target = version ?? log.newest
  if (target > log.newest || target < 0) throw noSuchVersion(log, tablePath, target)
  const failures: unknown[] = []
  for (const start of [...log.checkpoints].filter((c) => c.version <= target).reverse()) {
    if (!hasCommits(log, start.version + 1, target)) {
      throw gap(log, tablePath, start.version + 1, target)
    }
    try {
      const replay = await replayCheckpoint(store, connection, tablePath, start)
      return await replayCommits(store, tablePath, replay, start.version + 1, target)
    } catch (thrown) {
      // An unreadable checkpoint is no loss while an older one, or the whole log, still exists.
      if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.dataCorrupted) throw thrown
      failures.push(thrown)
    }
  }
  if (!hasCommits(log, 0, target)) {
    if (failures.length > 0) throw failures[0]
    if (version !== null) throw noSuchVersion(log, tablePath, target)
    throw gap(log, tablePath, 0, target)
  }
  return replayCommits(store, tablePath, emptyReplay(), 0, target)
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
    files: new Map(previous.files.map((file) => [fileKey(file), file])),
    transactions: new Map(previous.transactions),
    domains: new Map(previous.domains),
  }
  return replayCommits(store, previous.tablePath, replay, previous.version + 1, target)
}

/** The commits of which the log still has the file, oldest first, with their times. */
export async function listCommits(
  store: ObjectStore,
  tablePath: string,
): Promise<readonly CommitEntry[]> {
  return timesOf(store, tablePath, await listLog(store, tablePath))
}

async function timesOf(
  store: ObjectStore,
  tablePath: string,
  log: Log,
): Promise<readonly CommitEntry[]> {
  const versions = [...log.commits.keys()].sort((a, b) => a - b)
  // Once in-commit timestamps are on, every later commit has one: going backwards, the first
  // commit without ends the search, and a table without the feature costs one read.
  const inCommit = new Map<number, number>()
  for (const version of [...versions].reverse()) {
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
  const log = await listLog(store, tablePath)
  const oldest = oldestVersion(log)
  // Commits before the oldest version that can still be built are no answer.
  const commits = (await timesOf(store, tablePath, log)).filter(
    (commit) => oldest !== null && commit.version >= oldest,
  )
  const first = commits[0]
  const last = commits.at(-1)
  if (first === undefined || last === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `table "${tablePath}" has no commit left`)
  }
  if (timestampMs < first.timestampMs || timestampMs > last.timestampMs) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `table "${tablePath}" has no version as of ${printTime(timestampMs)}`,
      {
        detail:
          `Its versions ${first.version} to ${last.version} were committed from ` +
          `${printTime(first.timestampMs)} to ${printTime(last.timestampMs)}.`,
      },
    )
  }
  let found = first.version
  for (const commit of commits) if (commit.timestampMs <= timestampMs) found = commit.version
  return found
}

/** ISO, or the bare number of milliseconds where the calendar of JavaScript ends. */
function printTime(timestampMs: number): string {
  const date = new Date(timestampMs)
  return Number.isNaN(date.getTime()) ? `${timestampMs} ms since 1970` : date.toISOString()
}

/** A checkpoint all of whose files are there. */
export interface CheckpointStart {
  readonly version: number
  readonly paths: readonly string[]
  readonly format: 'parquet' | 'json'
}

/** What lies in a table's log. */
export interface Log {
  readonly newest: number | null
  readonly commits: ReadonlyMap<number, ObjectEntry>
  /** Complete checkpoints, oldest first. */
  readonly checkpoints: readonly CheckpointStart[]
}

export async function listLog(store: ObjectStore, tablePath: string): Promise<Log> {
  const folder = `${tablePath}/_delta_log`
  const commits = new Map<number, ObjectEntry>()
  const checkpoints: CheckpointStart[] = []
  const parts = new Map<string, { version: number; count: number; paths: string[] }>()
  for (const object of await store.listFolder(folder)) {
    const file = parseLogFileName(object.path.slice(folder.length + 1))
    if (file?.kind === 'commit') commits.set(file.version, object)
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
  }
}

function hasCommits(log: Log, from: number, to: number): boolean {
  for (let version = from; version <= to; version++) if (!log.commits.has(version)) return false
  return true
}

function gap(log: Log, tablePath: string, from: number, to: number): SqlError {
  let missing = from
  while (missing < to && log.commits.has(missing)) missing++
  return corrupt(`${tablePath}/${commitPath(missing)}`, 'it is missing, the log has a gap there')
}

/** The oldest version from which on every version up to the newest can be built; null for none. */
function oldestVersion(log: Log): number | null {
  if (log.newest === null) return null
  let contiguous = log.newest
  while (contiguous > 0 && log.commits.has(contiguous)) contiguous--
  if (contiguous === 0 && log.commits.has(0)) return 0
  // `contiguous` is the newest version without a commit: a checkpoint there or later is a start.
  const starts = log.checkpoints.map((checkpoint) => checkpoint.version)
  return starts.find((start) => start >= contiguous) ?? null
}

function noSuchVersion(log: Log, tablePath: string, version: number): SqlError {
  const newest = log.newest ?? 0
  return new SqlError(
    SqlState.invalidParameterValue,
    `version ${version} of table "${tablePath}" does not exist`,
    { detail: `Available versions are ${oldestVersion(log) ?? newest} to ${newest}.` },
  )
}

function emptyReplay(): Replay {
  return {
    protocol: undefined,
    metadata: undefined,
    files: new Map(),
    transactions: new Map(),
    domains: new Map(),
  }
}

async function replayCheckpoint(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  start: CheckpointStart,
): Promise<Replay> {
  const replay = emptyReplay()
  const sidecars: string[] = []
  const take = (action: Action): void => {
    if (action.kind === 'sidecar') {
      sidecars.push(resolvePath(store, `${tablePath}/_delta_log/_sidecars`, action.sidecar.path))
    } else if (action.kind !== 'remove') apply(replay, action, store, tablePath)
  }
  for (const path of start.paths) {
    if (start.format === 'json') {
      const bytes = await store.read(path)
      if (bytes === null) throw corrupt(path, 'it is missing')
      for (const action of parseActions(bytes, path)) take(action)
    } else {
      for (const action of await readCheckpointFile(store, connection, path, STATE)) take(action)
    }
  }
  for (const path of sidecars) {
    for (const action of await readCheckpointFile(store, connection, path, STATE)) take(action)
  }
  if (replay.protocol === undefined || replay.metadata === undefined) {
    throw corrupt(start.paths[0] ?? tablePath, 'it holds no protocol or no metaData')
  }
  return replay
}

/** The columns of a checkpoint that a snapshot is made of. */
const STATE = ['add', 'metaData', 'protocol', 'sidecar', 'txn', 'domainMetadata']

/** The actions in the named columns of a checkpoint in Parquet; XX001 when it cannot be read. */
export async function readCheckpointFile(
  store: ObjectStore,
  connection: EngineConnection,
  path: string,
  columns: readonly string[],
): Promise<Action[]> {
  const file = `read_parquet(${quoteLiteral(escapeGlob(store.engineUrl(path)))}, hive_partitioning = false)`
  try {
    const prepared = await connection.prepare(`SELECT * FROM ${file}`)
    const present = new Set(prepared.columns.map((column) => column.name))
    prepared.destroy()
    if (!STATE.some((name) => present.has(name))) throw corrupt(path, 'it holds no actions')
    const wanted = columns.filter((name) => present.has(name))
    if (wanted.length === 0) return []
    const items = wanted.map(
      (name) => `CASE WHEN "${name}" IS NOT NULL THEN to_json("${name}")::VARCHAR END`,
    )
    const some = wanted.map((name) => `"${name}" IS NOT NULL`).join(' OR ')
    const rows = await connection.query(`SELECT ${items.join(', ')} FROM ${file} WHERE ${some}`)
    const actions: Action[] = []
    for (const row of rows) {
      for (const [i, name] of wanted.entries()) {
        const printed = row[i]
        if (typeof printed !== 'string') continue
        const text = quoteNonFinite(printed)
        const record = parseLossless(text) as { stats?: unknown; stats_parsed?: unknown }
        // Statistics kept only as a struct hold numbers of any length: they are read losslessly.
        if (name === 'add' && typeof record.stats !== 'string') {
          record.stats_parsed = (
            JSON.parse(quoteNumbers(text)) as { readonly stats_parsed?: unknown }
          ).stats_parsed
        }
        const action = actionOf({ [name]: record }, path)
        if (action !== null) actions.push(action)
      }
    }
    return actions
  } catch (thrown) {
    if (thrown instanceof SqlError) {
      if (thrown.sqlState === SqlState.queryCanceled) throw thrown
      if (thrown.sqlState === SqlState.dataCorrupted) throw thrown
      throw corrupt(path, thrown.message, thrown)
    }
    throw thrown
  }
}

async function replayCommits(
  store: ObjectStore,
  tablePath: string,
  replay: Replay,
  from: number,
  to: number,
): Promise<Snapshot> {
  for (let version = from; version <= to; version++) {
    const path = `${tablePath}/${commitPath(version)}`
    const actions = await readCommit(store, path)
    // The order inside one commit means nothing: what it removes goes before what it adds.
    for (const action of actions) if (action.kind !== 'add') apply(replay, action, store, tablePath)
    for (const action of actions) if (action.kind === 'add') apply(replay, action, store, tablePath)
  }
  return finish(replay, tablePath, to)
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
      const file: DataFile = {
        add: action.add,
        path: resolvePath(store, tablePath, action.add.path),
      }
      replay.files.set(fileKey(file), file)
      return
    }
    case 'remove':
      replay.files.delete(
        keyOf(
          resolvePath(store, tablePath, action.remove.path),
          deletionVectorId(action.remove.deletionVector),
        ),
      )
      return
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

function finish(replay: Replay, tablePath: string, version: number): Snapshot {
  const path = `${tablePath}/${commitPath(version)}`
  if (replay.protocol === undefined) throw corrupt(path, 'no protocol up to this version')
  if (replay.metadata === undefined) throw corrupt(path, 'no metaData up to this version')
  requireReadable(replay.protocol, tablePath)
  const files = [...replay.files.values()]
  return {
    tablePath,
    version,
    protocol: replay.protocol,
    metadata: replay.metadata,
    schema: parseSchemaString(replay.metadata.schemaString),
    columnMapping: columnMappingOf(replay.protocol, replay.metadata),
    files,
    sizeBytes: files.reduce((sum, file) => sum + Number(file.add.size), 0),
    transactions: replay.transactions,
    domains: replay.domains,
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
  return keyOf(file.path, deletionVectorId(file.add.deletionVector))
}

function keyOf(path: string, vectorId: string | null): string {
  return vectorId === null ? path : `${path}\u0000${vectorId}`
}

/** `path` with the characters that DuckDB would take for a glob escaped. */
export function escapeGlob(path: string): string {
  return path.replace(/[*?[]/g, (char) => `[${char}]`)
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
