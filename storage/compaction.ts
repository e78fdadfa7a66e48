/** Compaction: rows moved out of many files into few, or into files sorted otherwise, without any change of them. */

import type { AddFile } from './actions.js'
import type { CommitDescription } from './commit-info.js'
import { writeDataFiles, type PartitionValues } from './data-file.js'
import { deletionVectorId } from './deletion-vector.js'
import type { EngineConnection } from './engine.js'
import { concurrentUpdate, SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import { jsonMembers } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'
import { type Curve, orderedRows } from './row-order.js'
import { physicalName } from './scan.js'
import { scanRelation } from './scan-relation.js'
import { refreshSnapshot, type Snapshot } from './snapshot.js'
import { withStatsText } from './stats-text.js'
import { EVERY_OBLIGATION } from './table-protocol.js'
import { keptColumns, trackedRelation } from './tracked-rows.js'
import { type CommitResult, Transaction } from './transaction.js'

/** Files of one partition whose rows are to be written anew, together. */
export interface Bin {
  readonly partition: PartitionValues
  readonly files: readonly DataFile[]
}

/** Which files are worth being written anew. */
export interface BinSizes {
  /** Smaller files are. */
  readonly minFileSizeBytes: number
  /** Bytes of the files of one bin, at most. */
  readonly maxBinSizeBytes: number
  /** Files of which more than this share of the rows is deleted are, whatever their size. */
  readonly maxDeletedShare: number
}

/** Delta's `optimize.maxDeletedRowsRatio`. */
export const MAX_DELETED_SHARE = 0.05

/**
 * The bins of `files` that make fewer files, or rid some of deleted rows.
 *
 * Files are packed as they were committed, neighbours together: rows written at one time stay
 * together, and so do the bounds of columns that grow with time.
 */
export function planBins(
  snapshot: Snapshot,
  files: Iterable<DataFile>,
  sizes: BinSizes,
): readonly Bin[] {
  const bins: Bin[] = []
  for (const { partition, files: group } of byPartition(snapshot, files)) {
    let open: DataFile[] = []
    let openBytes = 0
    const close = (): void => {
      const [first] = open
      if (open.length > 1 || (first?.deletionVector ?? null) !== null) {
        bins.push({ partition, files: open })
      }
      open = []
      openBytes = 0
    }
    for (const file of group) {
      const share = deletedShare(snapshot, file)
      if (file.sizeBytes >= sizes.minFileSizeBytes && share <= sizes.maxDeletedShare) continue
      const bytes = file.sizeBytes * (1 - share)
      if (openBytes + bytes > sizes.maxBinSizeBytes) close()
      open.push(file)
      openBytes += bytes
    }
    close()
  }
  return bins
}

/** All `files` in one bin for each partition, or several where there are more than `maxBytes`. */
export function wholeBins(
  snapshot: Snapshot,
  files: Iterable<DataFile>,
  maxBytes: number,
): readonly Bin[] {
  return byPartition(snapshot, files).flatMap(({ partition, files: group }) => {
    const bins: { partition: PartitionValues; files: DataFile[] }[] = []
    let bytes = Number.POSITIVE_INFINITY
    for (const file of group) {
      if (bytes + file.sizeBytes > maxBytes) {
        bins.push({ partition, files: [] })
        bytes = 0
      }
      bins.at(-1)?.files.push(file)
      bytes += file.sizeBytes
    }
    return bins
  })
}

/** `files` by partition, each in the order given. */
export function byPartition(snapshot: Snapshot, files: Iterable<DataFile>): readonly Bin[] {
  const names = snapshot.metadata.partitionColumns.map((name) => {
    const field = snapshot.schema.fields.find(
      (one) => one.name.toLowerCase() === name.toLowerCase(),
    )
    return field === undefined ? name : physicalName(snapshot, field)
  })
  const groups = new Map<string, { partition: PartitionValues; files: DataFile[] }>()
  for (const file of files) {
    const partition = names.map((name) => {
      const text = file.partitionText(name)
      return [name, text === '' ? null : text] as const
    })
    const key = JSON.stringify(partition)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { partition, files: [file] })
    else group.files.push(file)
  }
  return [...groups.values()]
}

/** Share of the rows of a file that are deleted; 1 where the log does not say. */
export function deletedShare(snapshot: Snapshot, file: DataFile): number {
  const vector = file.deletionVector
  if (vector === null) return 0
  const rows = physicalRows(snapshot, file)
  return rows !== null && rows > 0 ? Math.min(1, vector.cardinality / rows) : 1
}

/** Rows of a file, deleted ones too; null where the log does not say. */
function physicalRows(snapshot: Snapshot, file: DataFile): number | null {
  const { stats } = withStatsText(snapshot, file.add)
  const member = jsonMembers(stats ?? '{}').find(([name]) => name === 'numRecords')
  const rows = Number(member?.[1] ?? Number.NaN)
  return Number.isSafeInteger(rows) ? rows : null
}

/** Rows that a reader finds in the files of a bin; null where the log does not say. */
function liveRows(snapshot: Snapshot, bin: Bin): number | null {
  let sum = 0
  for (const file of bin.files) {
    const rows = physicalRows(snapshot, file)
    if (rows === null) return null
    sum += rows - (file.deletionVector?.cardinality ?? 0)
  }
  return sum
}

/** A bin and the files that hold its rows now; durable, and in no version yet. */
export interface Rewrite {
  readonly bin: Bin
  readonly adds: readonly AddFile[]
}

/** How the rows of a bin are laid. */
export interface RewriteOptions {
  /** Bytes at which a file is ended. */
  readonly targetSizeBytes: number
  /** Columns by which rows are sorted, along a curve where there are several. */
  readonly order?: {
    readonly columns: readonly (readonly string[])[]
    readonly curve: Curve
  }
  /** Tags of the new files, and the engine that is said to have clustered them. */
  readonly marks?: Pick<AddFile, 'tags' | 'clusteringProvider'>
}

/**
 * Writes the rows of `bin` anew, in about the order they had unless another is asked for.
 *
 * XX001 when the files hold other numbers of rows than the log says: nothing is to replace them.
 */
export async function rewriteBin(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  bin: Bin,
  options: RewriteOptions,
): Promise<Rewrite> {
  const sizeBytes = bin.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const scan = { snapshot, files: bin.files, filesAfterPartitions: bin.files.length, sizeBytes }
  const kept = keptColumns(snapshot)
  const relation =
    kept === null
      ? await scanRelation(store, connection, scan)
      : await trackedRelation(store, connection, scan, kept)
  const query =
    options.order === undefined
      ? `SELECT * FROM ${relation} AS t`
      : await orderedRows(connection, relation, options.order.columns, options.order.curve)
  const written = await writeDataFiles(
    store,
    connection,
    snapshot,
    { query },
    {
      partition: bin.partition,
      targetSizeBytes: options.targetSizeBytes,
      ...(kept === null ? {} : { hidden: kept }),
    },
  )
  const expected = liveRows(snapshot, bin)
  if (expected !== null && expected !== written.rowCount) {
    throw new SqlError(
      SqlState.dataCorrupted,
      `files of table "${snapshot.tablePath}" hold ${written.rowCount} rows where its log says ${expected}`,
      { detail: `The first of them is "${bin.files[0]?.path}".` },
    )
  }
  return {
    bin,
    adds: written.files.map((add) => ({ ...add, ...options.marks, dataChange: false })),
  }
}

/** What became of some rewrites. */
export interface CommittedRewrites {
  /** Those whose files were all still there. */
  readonly committed: readonly Rewrite[]
  /** The transaction that committed them, for `maintainLog`; null when nothing was left to commit. */
  readonly transaction: Transaction | null
  readonly result: Extract<CommitResult, { kind: 'committed' }> | null
}

/**
 * Commits `rewrites`, made on `snapshot`, as one version that changes no row.
 *
 * Other writers never wait and seldom conflict: what they add is none of its business. A bin of
 * which they removed or changed a file meanwhile is given up, its new files left to VACUUM; the
 * others are committed.
 *
 * 40001 when the table's metadata or protocol was changed meanwhile, and as `Transaction.commit`.
 */
export async function commitRewrites(
  store: ObjectStore,
  snapshot: Snapshot,
  rewrites: readonly Rewrite[],
  describe: (committed: readonly Rewrite[]) => CommitDescription,
): Promise<CommittedRewrites> {
  let base = snapshot
  for (;;) {
    const { files } = base
    const committed = rewrites.filter(({ bin }) =>
      bin.files.every((file) =>
        files.has({ path: file.path, vectorId: deletionVectorId(file.deletionVector) }),
      ),
    )
    if (committed.length === 0) return { committed, transaction: null, result: null }
    const transaction = await Transaction.begin(store, base, {
      fulfilled: EVERY_OBLIGATION,
      keepsRowIds: true,
    })
    for (const { bin, adds } of committed) {
      transaction.remove(bin.files, { dataChange: false })
      transaction.add(adds)
    }
    const result = await transaction.commit(describe(committed))
    if (result.kind === 'committed') return { committed, transaction, result }
    if (result.reason !== 'concurrent-delete-delete') throw conflictError(snapshot, result)
    base = await refreshSnapshot(store, base)
    // The files were made for what the table was.
    if (base.metadata !== snapshot.metadata || base.protocol !== snapshot.protocol) {
      throw conflictError(snapshot, { ...result, reason: 'metadata-changed' })
    }
  }
}

function conflictError(
  snapshot: Snapshot,
  conflict: Extract<CommitResult, { kind: 'conflict' }>,
): SqlError {
  return concurrentUpdate('command', {
    detail: `${conflict.detail} (${conflict.reason}, version ${conflict.with} of "${snapshot.tablePath}")`,
  })
}

/** Sizes of files as Delta's metrics of OPTIMIZE tell them. */
export function sizeMetrics(rewrites: readonly Rewrite[]): {
  readonly [name: string]: number
} {
  const sizes = rewrites.flatMap(({ adds }) => adds.map((add) => add.size)).sort((a, b) => a - b)
  const removed = rewrites.flatMap(({ bin }) => bin.files)
  const at = (share: number): number => sizes[Math.floor((sizes.length - 1) * share)] ?? 0
  return {
    numRemovedFiles: removed.length,
    numRemovedBytes: removed.reduce((sum, file) => sum + file.sizeBytes, 0),
    numAddedFiles: sizes.length,
    numAddedBytes: sizes.reduce((sum, size) => sum + size, 0),
    numDeletionVectorsRemoved: removed.filter((file) => file.deletionVector !== null).length,
    minFileSize: at(0),
    p25FileSize: at(0.25),
    p50FileSize: at(0.5),
    p75FileSize: at(0.75),
    maxFileSize: at(1),
  }
}
