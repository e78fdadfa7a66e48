/** ChangeFeed: the files in which the changed rows of a range of a table's versions stand. */

import type { Action, AddFile, DeletionVectorDescriptor, Metadata, Protocol } from './actions.js'
import {
  CHANGE_TYPE_COLUMN,
  CHANGE_TYPE_FIELD,
  COMMIT_TIMESTAMP_COLUMN,
  COMMIT_VERSION_COLUMN,
  recordsChanges,
} from './change-data.js'
import { deletionVectorId } from './deletion-vector.js'
import { SqlError, SqlState } from './errors.js'
import { FileIndex } from './file-index.js'
import { resolvePath } from './file-path.js'
import { commitPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { requireComparable } from './schema-history.js'
import type { StructField } from './schema.js'
import { listCommits, readCommit, type Snapshot } from './snapshot.js'

/**
 * What the rows of a file say of a version:
 *
 * - `recorded`: the file tells for each row what happened to it
 * - `whole`: all its rows, or those that its deletion vectors tell apart, came or went
 * - `compared`: as `whole`, but rows that came and went in one version have only moved
 */
export type ChangeSource = 'recorded' | 'whole' | 'compared'

/** A file of a feed; the same file may stand for several versions. */
export interface ChangedFile {
  readonly version: number
  readonly source: ChangeSource
  /** Rows that `without` lists and `but` does not; all live rows of the file when null. */
  readonly rows: {
    readonly without: DeletionVectorDescriptor
    readonly but: DeletionVectorDescriptor | null
  } | null
}

/** The changes of a range of versions, as a table of changed rows. */
export interface ChangeFeed {
  /**
   * The table of changed rows: its columns are the table's, CHANGE_TYPE_COLUMN,
   * COMMIT_VERSION_COLUMN and COMMIT_TIMESTAMP_COLUMN, the last two as partition values of its files.
   */
  readonly snapshot: Snapshot
  /** By the number that a file of `snapshot` has as partition value ENTRY. */
  readonly entries: readonly ChangedFile[]
}

/** Partition value of a feed's files: index into its entries. */
export const ENTRY = '_lakegate_entry'

/** The table at a version; null when the version cannot be had any more. */
export type SnapshotAt = (version: number) => Promise<Snapshot | null>

/** Commits read at once. */
const PARALLEL = 16

/**
 * The feed of versions `from` to `to` of the table, both included; `end` is the table at `to`, whose
 * columns the feed has. An empty feed where `from` is greater.
 *
 * 22023 naming the versions that can be had when a commit of the range is gone; 0A000 naming the
 * version up to which columns or partitions were such that their rows cannot be shown as `end` has
 * them.
 *
 * Delta protocol, "Reader Requirements for AddCDCFile"; versions in which the table recorded no
 * changes are compared file by file.
 */
export async function openChangeFeed(
  store: ObjectStore,
  end: Snapshot,
  from: number,
  to: number,
  at: SnapshotAt,
): Promise<ChangeFeed> {
  const { tablePath } = end
  requireNames(end)
  const entries: ChangedFile[] = []
  const files: AddFile[] = []
  if (from <= to) {
    const times = await commitTimes(store, tablePath, from, to)
    const before = from === 0 ? null : await at(from - 1)
    let state: TableState | null = before ?? (from === 0 ? null : await at(from))
    if (before !== null) requireComparable(end, before, from - 1)
    for (let first = from; first <= to; first += PARALLEL) {
      const versions = Array.from(
        { length: Math.min(PARALLEL, to - first + 1) },
        (_, i) => first + i,
      )
      const commits = await Promise.all(
        versions.map((version) => readCommit(store, `${tablePath}/${commitPath(version)}`)),
      )
      for (const [i, version] of versions.entries()) {
        const actions = commits[i] ?? []
        const after = stateAfter(state, actions)
        if (after === null) throw noDefinition(tablePath, version)
        if (after !== state) requireComparable(end, after, version)
        if (version === from && before === null) requireUnchanged(tablePath, version, actions)
        state = after
        const values = {
          [COMMIT_VERSION_COLUMN]: String(version),
          [COMMIT_TIMESTAMP_COLUMN]: new Date(times.get(version) ?? 0).toISOString(),
        }
        const found = await changesOf(store, tablePath, version, actions, after, at)
        for (const { entry, file, type } of found) {
          const number = String(entries.push(entry) - 1)
          const own = { ...file.partitionValues, ...values, [ENTRY]: number }
          const partitionValues = type === null ? own : { ...own, [CHANGE_TYPE_COLUMN]: type }
          files.push({ ...file, partitionValues })
        }
      }
    }
  }
  return { snapshot: feedSnapshot(store, end, files), entries }
}

/** 0A000 for a table that has a column of the feed's itself. */
function requireNames({ tablePath, schema }: Snapshot): void {
  const names = [CHANGE_TYPE_COLUMN, COMMIT_VERSION_COLUMN, COMMIT_TIMESTAMP_COLUMN]
  const taken = schema.fields.find(({ name }) => names.includes(name.toLowerCase()))
  if (taken === undefined) return
  throw new SqlError(
    SqlState.featureNotSupported,
    `the changes of table "${tablePath}" cannot be read: it has a column "${taken.name}" itself`,
  )
}

/** What a version says of the table that decides how its changes are read. */
interface TableState {
  readonly metadata: Metadata
  readonly protocol: Protocol
}

function stateAfter(state: TableState | null, actions: readonly Action[]): TableState | null {
  let metadata = state?.metadata
  let protocol = state?.protocol
  for (const action of actions) {
    if (action.kind === 'metaData') metadata = action.metaData
    if (action.kind === 'protocol') protocol = action.protocol
  }
  if (metadata === undefined || protocol === undefined) return null
  if (metadata === state?.metadata && protocol === state.protocol) return state
  return { metadata, protocol }
}

/** When each version was committed; 22023 when the log has lost one. */
async function commitTimes(
  store: ObjectStore,
  tablePath: string,
  from: number,
  to: number,
): Promise<ReadonlyMap<number, number>> {
  const commits = await listCommits(store, tablePath, from)
  const times = new Map(commits.map(({ version, timestampMs }) => [version, timestampMs]))
  for (let version = to; version >= from; version--) {
    if (times.has(version)) continue
    const oldest = version + 1
    throw new SqlError(
      SqlState.invalidParameterValue,
      `the changes of version ${version} of table "${tablePath}" are not in its log any more`,
      {
        detail: `Changes can be read from version ${oldest} to ${commits.at(-1)?.version ?? oldest}.`,
      },
    )
  }
  return times
}

interface Change {
  readonly entry: ChangedFile
  readonly file: AddFile
  /** What happened to the file's rows; null where the file tells for each. */
  readonly type: 'insert' | 'delete' | null
}

async function changesOf(
  store: ObjectStore,
  tablePath: string,
  version: number,
  actions: readonly Action[],
  state: TableState,
  at: SnapshotAt,
): Promise<readonly Change[]> {
  const recorded = actions.flatMap((action) => (action.kind === 'cdc' ? [action.cdc] : []))
  if (recorded.length > 0) {
    const entry: ChangedFile = { version, source: 'recorded', rows: null }
    return recorded.map(({ path, partitionValues, size }) => {
      return { entry, file: fileOf(path, partitionValues, size), type: null }
    })
  }
  const adds = new Map<string, AddFile>()
  const removes = new Map<string, AddFile>()
  let before: Snapshot | null | undefined
  for (const action of actions) {
    if (action.kind === 'add' && action.add.dataChange !== false) {
      adds.set(resolvePath(store, tablePath, action.add.path), action.add)
    }
    if (action.kind === 'remove' && action.remove.dataChange !== false) {
      const { path, deletionVector, size } = action.remove
      const resolved = resolvePath(store, tablePath, path)
      let values = action.remove.partitionValues ?? null
      if (values === null && state.metadata.partitionColumns.length > 0) {
        // Old writers leave out what the add has said.
        before = before === undefined ? await at(version - 1) : before
        const vectorId = deletionVectorId(deletionVector)
        const known = [...(before?.files ?? [])].find(
          (file) => file.path === resolved && deletionVectorId(file.deletionVector) === vectorId,
        )
        if (known === undefined) throw noPartition(tablePath, version, path)
        values = known.add.partitionValues
      }
      removes.set(resolved, {
        ...fileOf(path, values ?? {}, size ?? 0),
        deletionVector: deletionVector ?? null,
      })
    }
  }
  // Files that got their first deletion vector bring no row.
  const bringsRows = [...adds.keys()].some(
    (path) => !removes.has(path) || (removes.get(path)?.deletionVector ?? null) !== null,
  )
  const isCompared = (!recordsChanges(state) || isMerge(actions)) && removes.size > 0 && bringsRows
  const source: ChangeSource = isCompared ? 'compared' : 'whole'
  const found: Change[] = []
  const push = (file: AddFile, type: 'insert' | 'delete', rows: ChangedFile['rows']): void => {
    found.push({ entry: { version, source, rows }, file, type })
  }
  for (const [path, remove] of removes) {
    const add = adds.get(path)
    if (add === undefined) push(remove, 'delete', null)
    else {
      // The file stays, and its deletion vectors tell which rows do not.
      const [old, now] = [remove.deletionVector ?? null, add.deletionVector ?? null]
      if (now !== null) push(add, 'delete', { without: now, but: old })
      if (old !== null) push(add, 'insert', { without: old, but: now })
    }
  }
  for (const [path, add] of adds) if (!removes.has(path)) push(add, 'insert', null)
  return found
}

/** MERGE may write rows anew that it does not change, and record nothing, as Delta's readers know. */
function isMerge(actions: readonly Action[]): boolean {
  return actions.some(
    (action) => action.kind === 'commitInfo' && action.commitInfo.operation === 'MERGE',
  )
}

function fileOf(
  path: string,
  partitionValues: AddFile['partitionValues'] | null | undefined,
  size: number,
): AddFile {
  return { path, partitionValues: partitionValues ?? {}, size, modificationTime: 0 }
}

function feedSnapshot(store: ObjectStore, end: Snapshot, files: readonly AddFile[]): Snapshot {
  const { tablePath, metadata } = end
  const column = (name: string, type: 'long' | 'timestamp'): StructField => ({
    name,
    type: { kind: 'primitive', name: type },
    nullable: true,
    metadata: {},
  })
  const index = FileIndex.empty.with([], files, (path) => resolvePath(store, tablePath, path))
  return {
    ...end,
    schema: {
      ...end.schema,
      fields: [
        ...end.schema.fields,
        CHANGE_TYPE_FIELD,
        column(COMMIT_VERSION_COLUMN, 'long'),
        column(COMMIT_TIMESTAMP_COLUMN, 'timestamp'),
      ],
    },
    metadata: {
      ...metadata,
      partitionColumns: [
        ...metadata.partitionColumns,
        COMMIT_VERSION_COLUMN,
        COMMIT_TIMESTAMP_COLUMN,
      ],
    },
    files: index,
    sizeBytes: index.sizeBytes,
  }
}

/** Rows that went in the first version of the range may have had columns nobody knows any more. */
function requireUnchanged(tablePath: string, version: number, actions: readonly Action[]): void {
  const kinds = new Set(actions.map(({ kind }) => kind))
  if (!kinds.has('metaData') || !kinds.has('remove')) return
  throw new SqlError(
    SqlState.invalidParameterValue,
    `the changes of version ${version} of table "${tablePath}" cannot be read: what the table was before is not in its log any more`,
    { detail: `Changes can be read from version ${version + 1} on.` },
  )
}

function noDefinition(tablePath: string, version: number): SqlError {
  return new SqlError(
    SqlState.dataCorrupted,
    `version ${version} of table "${tablePath}" has no protocol or no metaData`,
  )
}

function noPartition(tablePath: string, version: number, path: string): SqlError {
  return new SqlError(
    SqlState.objectNotInPrerequisiteState,
    `the changes of version ${version} of table "${tablePath}" cannot be read: the log does not tell the partition of "${path}" any more`,
  )
}
