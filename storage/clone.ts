/** Clone: the definition and the files of a table for another one - the same files, or copies of them. */

import { randomUUID } from 'node:crypto'
import type { AddFile, DeletionVectorDescriptor, Metadata } from './actions.js'
import { alteredTable } from './altered-table.js'
import { CLUSTERING_DOMAIN } from './clustering.js'
import { copyObjects, type ObjectCopy } from './copy-objects.js'
import { deletionVectorId, deletionVectorPath, readDeletionVector } from './deletion-vector.js'
import { writeDeletionVectors } from './deletion-vector-file.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import { isOutside, resolvePath } from './file-path.js'
import type { NewTable } from './new-table.js'
import type { ObjectStore } from './object-store.js'
import { encodeLogPath } from './partition-value.js'
import { parseHighWaterMark, printHighWaterMark, ROW_TRACKING_DOMAIN } from './row-tracking.js'
import type { Snapshot } from './snapshot.js'
import { withStatsText } from './stats-text.js'

/** The table that a clone becomes. */
export interface CloneTarget {
  readonly tablePath: string
  readonly name: string
  /** The table whose log the clone goes on with; null for a new log. */
  readonly base: Snapshot | null
  /** Properties that the clone has beside those of its source. */
  readonly properties: { readonly [key: string]: string }
}

/** How the files of a table become those of its clone. */
export interface ClonedFiles {
  readonly adds: readonly AddFile[]
  /** Files of the clone's base that it does not have any more. */
  readonly removes: readonly DataFile[]
  readonly copiedCount: number
  readonly copiedBytes: number
}

/** Properties that date the commits of one log. */
const OF_LOG = /^delta\.inCommitTimestampEnablement/

const COLUMN_ID = 'delta.columnMapping.maxColumnId'

/**
 * The clone's definition: schema, partitions, properties, constraints and clustering of `source`, under
 * an id of its own.
 *
 * 0A000 for properties that cannot be had with the source's files.
 */
export function clonedTable(
  source: Snapshot,
  { tablePath, name, base, properties }: CloneTarget,
): NewTable {
  const kept = Object.entries(source.metadata.configuration).filter(([key]) => !OF_LOG.test(key))
  const configuration: Record<string, string> = { ...Object.fromEntries(kept), ...properties }
  const columnIds = [source, base].map((one) => Number(one?.metadata.configuration[COLUMN_ID]))
  const columnId = Math.max(...columnIds.filter((id) => !Number.isNaN(id)))
  if (Number.isFinite(columnId)) configuration[COLUMN_ID] = String(columnId)
  const metadata: Metadata = {
    ...source.metadata,
    id: randomUUID(),
    name,
    createdTime: Date.now(),
  }
  const domains = new Map<string, string>()
  const clustering = source.domains.get(CLUSTERING_DOMAIN)
  if (clustering !== undefined) domains.set(CLUSTERING_DOMAIN, clustering)
  const marks = [source, base].map((one) => one?.domains.get(ROW_TRACKING_DOMAIN))
  if (marks[0] !== undefined) {
    const [highest = -1n] = marks.map(parseHighWaterMark).sort((a, b) => (a < b ? 1 : -1))
    domains.set(ROW_TRACKING_DOMAIN, printHighWaterMark(highest))
  }
  const { partitionColumns, description = null } = metadata
  return alteredTable(
    { ...source, tablePath, metadata, domains },
    { schema: source.schema, partitionColumns, configuration, description },
  )
}

/**
 * The files of `source` where they are: named by absolute paths, deletion vectors too.
 *
 * 0A000 for files whose rows have no ids in a table that tracks them.
 */
export function shallowFiles(
  store: ObjectStore,
  source: Snapshot,
  base: Snapshot | null,
): ClonedFiles {
  const adds = [...source.files].map((file): AddFile => {
    const add = rowsOf(source, file)
    const path = isOutside(file.path) ? add.path : absolute(store, file.path)
    return withVector({ ...add, path }, absoluteVector(store, source, file.deletionVector))
  })
  return { ...difference(store, source.tablePath, adds, base), copiedCount: 0, copiedBytes: 0 }
}

/**
 * Copies the files of `source`, deletion vectors too, into the folder `tablePath`, but for those that
 * its newest version `base` has from an earlier clone.
 *
 * Copies keep their names below the folder. 42501 for a file outside of the lake, XX001 for one that
 * is missing; what has been copied then is nobody's.
 */
export async function deepFiles(
  store: ObjectStore,
  source: Snapshot,
  tablePath: string,
  base: Snapshot | null,
  check: () => void,
): Promise<ClonedFiles> {
  const known = new Map<string, DataFile>()
  for (const file of base?.files ?? []) known.set(file.path, file)
  const copies: ObjectCopy[] = []
  const vectors = new Set<string>()
  const adds: AddFile[] = []
  for (const file of source.files) {
    const { path } = file
    if (isOutside(path)) {
      throw new SqlError(
        SqlState.insufficientPrivilege,
        `the file "${path}" lies outside of the lake`,
      )
    }
    const add = rowsOf(source, file)
    const isOwn = path.startsWith(`${source.tablePath}/`)
    const named = isOwn ? `${tablePath}/${path.slice(source.tablePath.length + 1)}` : null
    const before = named === null ? undefined : known.get(named)
    const isCopied =
      before !== undefined &&
      before.sizeBytes === file.sizeBytes &&
      before.add.modificationTime === add.modificationTime
    let to = named
    if (!isCopied) {
      const isTaken = to === null || (await store.stat(to)) !== null
      if (isTaken || to === null) to = freshPath(tablePath, named ?? path)
      copies.push({ from: path, to, sizeBytes: file.sizeBytes })
    }
    const own = encodeLogPath((to ?? '').slice(tablePath.length + 1))
    const vector = await copiedVector(store, source, tablePath, file, vectors, copies)
    adds.push(withVector({ ...add, path: own }, vector))
  }
  await copyObjects(store, tablePath, copies, check)
  const data = copies.filter(({ to }) => !/\/deletion_vector_[^/]*\.bin$/.test(to))
  return {
    ...difference(store, tablePath, adds, base),
    copiedCount: data.length,
    copiedBytes: data.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

/** The add of a file as the first one of another log. */
function rowsOf(source: Snapshot, file: DataFile): AddFile {
  const add = withStatsText(source, file.add)
  const isTracked = source.protocol.writerFeatures?.includes('rowTracking') === true
  if (isTracked && (add.baseRowId ?? null) === null) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `the rows of file "${file.path}" have no ids, though table "${source.tablePath}" tracks rows`,
    )
  }
  return { ...add, dataChange: true }
}

function withVector(add: AddFile, vector: DeletionVectorDescriptor | null): AddFile {
  if (vector === null) return add
  return { ...add, deletionVector: vector }
}

function absolute(store: ObjectStore, path: string): string {
  const root = store.root.replace(/\/+$/, '')
  const scheme = /^[a-z0-9]+:\/\//i.exec(root)?.[0] ?? 'file://'
  const rest = root.startsWith(scheme) ? root.slice(scheme.length) : root
  return scheme + encodeLogPath(`${rest}/${path}`)
}

function absoluteVector(
  store: ObjectStore,
  source: Snapshot,
  vector: DeletionVectorDescriptor | null,
): DeletionVectorDescriptor | null {
  if (vector?.storageType !== 'u') return vector
  const path = deletionVectorPath(store, source.tablePath, vector)
  return { ...vector, storageType: 'p', pathOrInlineDv: absolute(store, path) }
}

/** The file's vector for a copy of it in another folder; its own file is copied along, once. */
async function copiedVector(
  store: ObjectStore,
  source: Snapshot,
  tablePath: string,
  { deletionVector: vector }: DataFile,
  known: Set<string>,
  copies: ObjectCopy[],
): Promise<DeletionVectorDescriptor | null> {
  if (vector === null || vector.storageType === 'i') return vector
  if (vector.storageType === 'p') {
    const rows = await readDeletionVector(store, source.tablePath, vector)
    const [written] = await writeDeletionVectors(store, tablePath, [rows])
    return written ?? null
  }
  const from = deletionVectorPath(store, source.tablePath, vector)
  const to = deletionVectorPath(store, tablePath, vector)
  if (known.has(to)) return vector
  known.add(to)
  // Its name is an id: what bears it is the same.
  if ((await store.stat(to)) !== null) return vector
  const found = await store.stat(from)
  if (found === null) throw new SqlError(SqlState.dataCorrupted, `the file "${from}" is missing`)
  copies.push({ from, to, sizeBytes: found.sizeBytes })
  return vector
}

/** `path` with an id before its name, so that nothing else bears it. */
function freshPath(tablePath: string, path: string): string {
  const names = path.startsWith(`${tablePath}/`)
    ? path.slice(tablePath.length + 1).split('/')
    : [path.slice(path.lastIndexOf('/') + 1)]
  const name = names.pop() ?? ''
  return [tablePath, ...names, `clone-${randomUUID()}-${name}`].join('/')
}

/** What is to be added to and removed from `base`, so that it has just the files of `wanted`. */
function difference(
  store: ObjectStore,
  tablePath: string,
  wanted: readonly AddFile[],
  base: Snapshot | null,
): Pick<ClonedFiles, 'adds' | 'removes'> {
  if (base === null) return { adds: wanted, removes: [] }
  const keys = new Set<string>()
  const adds = wanted.filter((add) => {
    const path = resolvePath(store, tablePath, add.path)
    const vectorId = deletionVectorId(add.deletionVector)
    keys.add(`${path}\n${vectorId}`)
    return !base.files.has({ path, vectorId })
  })
  const removes = [...base.files].filter(
    (file) => !keys.has(`${file.path}\n${deletionVectorId(file.deletionVector)}`),
  )
  return { adds, removes }
}
