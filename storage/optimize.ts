/** Optimize: which files of a table are written anew and how, and the commits that do it. */

import { randomUUID } from 'node:crypto'
import {
  type Bin,
  commitRewrites,
  deletedShare,
  MAX_DELETED_SHARE,
  planBins,
  type Rewrite,
  rewriteBin,
  type RewriteOptions,
  sizeMetrics,
  wholeBins,
} from './compaction.js'
import { physicalNameOf } from './column-mapping.js'
import { targetFileSizeBytes } from './data-file.js'
import type { EngineConnection } from './engine.js'
import type { DataFile } from './file-index.js'
import { clusteringPaths } from './file-statistics.js'
import type { ObjectStore } from './object-store.js'
import type { StructField } from './schema.js'
import { columnMappingOf, type Snapshot } from './snapshot.js'
import { keptColumns } from './tracked-rows.js'
import type { Transaction } from './transaction.js'

/** What is to be written anew, and what the commits say of it. */
export interface OptimizePlan {
  /** Delta's name of the operation. */
  readonly operation: 'OPTIMIZE' | 'REORG'
  readonly bins: readonly Bin[]
  /** Files that were looked at. */
  readonly consideredFiles: number
  readonly rewrite: RewriteOptions
  /** `operationParameters` of the commits. */
  readonly parameters: { readonly [name: string]: string }
}

/** What a run has done. */
export interface OptimizeMetrics {
  /** The newest version committed; null when there was nothing to do. */
  readonly version: number | null
  readonly commits: number
  readonly partitions: number
  readonly filesAdded: number
  readonly filesRemoved: number
  readonly bytesAdded: number
  readonly bytesRemoved: number
  readonly deletionVectorsRemoved: number
}

/** Files at least this share of the target are large enough: a small one is no reason to copy them. */
const LARGE_SHARE = 0.75

/** Bytes that are sorted together, at most. */
const MAX_SORTED_BYTES = 16 * 1024 ** 3

/** Bytes of rewritten files, and time, after which what is done is committed. */
const BATCH_BYTES = 4 * 1024 ** 3
const BATCH_MS = 120_000

/** Bytes from which on a cube of clustered files is left as it is; Delta's min cube size is far larger. */
const FULL_CUBE_BYTES = 4 * 1024 ** 3

/** Bin-packing: small files of a partition become files of about the target size. */
export function planCompaction(
  snapshot: Snapshot,
  files: readonly DataFile[],
  parameters: OptimizePlan['parameters'],
): OptimizePlan {
  const target = targetFileSizeBytes(snapshot.metadata.configuration)
  const bins = planBins(snapshot, files, {
    minFileSizeBytes: target * LARGE_SHARE,
    maxBinSizeBytes: target,
    maxDeletedShare: MAX_DELETED_SHARE,
  })
  // A bin is one file, though it may come out larger than its parts were.
  return {
    operation: 'OPTIMIZE',
    bins,
    consideredFiles: files.length,
    rewrite: { targetSizeBytes: target * 2 },
    parameters,
  }
}

/** Z-order: all files of each partition, sorted along the curve over `columns`. */
export function planZOrder(
  snapshot: Snapshot,
  files: readonly DataFile[],
  columns: readonly (readonly string[])[],
  parameters: OptimizePlan['parameters'],
): OptimizePlan {
  return {
    operation: 'OPTIMIZE',
    bins: wholeBins(snapshot, files, MAX_SORTED_BYTES),
    consideredFiles: files.length,
    rewrite: {
      targetSizeBytes: targetFileSizeBytes(snapshot.metadata.configuration),
      order: { columns, curve: 'z-order' },
    },
    parameters,
  }
}

/** Purge: the files that have deleted rows, each written without them. */
export function planPurge(
  snapshot: Snapshot,
  files: readonly DataFile[],
  parameters: OptimizePlan['parameters'],
): OptimizePlan {
  const target = targetFileSizeBytes(snapshot.metadata.configuration)
  return {
    operation: 'REORG',
    bins: wholeBins(
      snapshot,
      files.filter((file) => file.deletionVector !== null),
      target,
    ),
    consideredFiles: files.length,
    rewrite: { targetSizeBytes: target * 2 },
    parameters,
  }
}

/** Logical paths of the columns that the table is clustered by; none when it is not. */
export function clusteringColumns(snapshot: Snapshot): readonly (readonly string[])[] {
  const mapping = columnMappingOf(snapshot.protocol, snapshot.metadata)
  return clusteringPaths(snapshot.domains.get('delta.clustering')).map((path) => {
    let fields: readonly StructField[] = snapshot.schema.fields
    return path.map((physical) => {
      const field = fields.find((one) => physicalNameOf(one, mapping) === physical)
      fields = field?.type.kind === 'struct' ? field.type.fields : []
      return field?.name ?? physical
    })
  })
}

/**
 * Clustering: files that no cube holds yet, and cubes that are small, become one new cube, sorted
 * along Hilbert's curve; with `full` all files do.
 *
 * A cube is the files that were sorted together, known by their tags, as in Delta.
 */
export function planClustering(
  snapshot: Snapshot,
  files: readonly DataFile[],
  columns: readonly (readonly string[])[],
  full: boolean,
  parameters: OptimizePlan['parameters'],
): OptimizePlan {
  const by = JSON.stringify(columns.map((path) => path.join('.')))
  const cubes = new Map<string, { files: DataFile[]; bytes: number; isStale: boolean }>()
  for (const file of files) {
    const { tags, clusteringProvider } = file.add
    const isClustered = clusteringProvider === PROVIDER && tags?.[CUBE_COLUMNS] === by
    const id = isClustered ? (tags?.[CUBE] ?? '') : ''
    const cube = cubes.get(id) ?? { files: [], bytes: 0, isStale: id === '' }
    cube.files.push(file)
    cube.bytes += file.sizeBytes
    if (deletedShare(snapshot, file) > MAX_DELETED_SHARE) cube.isStale = true
    cubes.set(id, cube)
  }
  const open = [...cubes.values()].filter(
    (cube) => full || cube.isStale || cube.bytes < FULL_CUBE_BYTES,
  )
  const isDone = open.length === 0 || (open.length === 1 && open[0]?.isStale === false)
  const chosen = new Set(isDone ? [] : open.flatMap((cube) => cube.files))
  return {
    operation: 'OPTIMIZE',
    bins: wholeBins(
      snapshot,
      files.filter((file) => chosen.has(file)),
      MAX_SORTED_BYTES,
    ),
    consideredFiles: files.length,
    rewrite: {
      targetSizeBytes: targetFileSizeBytes(snapshot.metadata.configuration),
      order: { columns, curve: 'hilbert' },
      marks: {
        tags: { [CUBE]: randomUUID(), [CUBE_COLUMNS]: by, [CUBE_CURVE]: 'hilbert' },
        clusteringProvider: PROVIDER,
      },
    },
    parameters,
  }
}

/** What OPTIMIZE does with a table of which nothing more is said: clustering where it has columns for that. */
export function planDefault(snapshot: Snapshot): OptimizePlan {
  const files = [...snapshot.files]
  const clustering = clusteringColumns(snapshot)
  const parameters = {
    predicate: '[]',
    zOrderBy: '[]',
    clusterBy: JSON.stringify(clustering.map((path) => path.join('.'))),
    auto: 'false',
  }
  return clustering.length > 0
    ? planClustering(snapshot, files, clustering, false, parameters)
    : planCompaction(snapshot, files, parameters)
}

/** Delta's name of its clustering, and of the tags that tell which files were sorted together. */
const PROVIDER = 'liquid'
const CUBE = 'ZCUBE_ID'
const CUBE_COLUMNS = 'ZCUBE_ZORDER_BY'
const CUBE_CURVE = 'ZCUBE_ZORDER_CURVE'

/** Whom a run tells of what it does. */
export interface OptimizeEvents {
  /** After each commit. */
  readonly committed: (transaction: Transaction) => void
  /** After each bin: bins done, of how many. */
  readonly progressed?: (done: number, all: number) => void
}

/**
 * Carries out `plan`, made on `snapshot`: bins are written one after another and committed in
 * batches, so that whatever ends it loses one batch at most.
 *
 * 0A000 for a table that is not written or would lose the ids of its rows; 40001 when its metadata was changed.
 */
export async function runOptimize(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  plan: OptimizePlan,
  events: OptimizeEvents,
): Promise<OptimizeMetrics> {
  keptColumns(snapshot)
  let metrics: OptimizeMetrics = {
    version: null,
    commits: 0,
    partitions: new Set(plan.bins.map(({ partition }) => JSON.stringify(partition))).size,
    filesAdded: 0,
    filesRemoved: 0,
    bytesAdded: 0,
    bytesRemoved: 0,
    deletionVectorsRemoved: 0,
  }
  let batch: Rewrite[] = []
  let batchBytes = 0
  let begunMs = Date.now()
  const commit = async (): Promise<void> => {
    if (batch.length === 0) return
    const { committed, transaction, result } = await commitRewrites(
      store,
      snapshot,
      batch,
      (rewrites) => ({
        operation: plan.operation,
        parameters: plan.parameters,
        metrics: sizeMetrics(rewrites),
      }),
    )
    batch = []
    batchBytes = 0
    begunMs = Date.now()
    if (transaction === null || result === null) return
    const sizes = sizeMetrics(committed)
    metrics = {
      ...metrics,
      version: result.version,
      commits: metrics.commits + 1,
      filesAdded: metrics.filesAdded + (sizes.numAddedFiles ?? 0),
      filesRemoved: metrics.filesRemoved + (sizes.numRemovedFiles ?? 0),
      bytesAdded: metrics.bytesAdded + (sizes.numAddedBytes ?? 0),
      bytesRemoved: metrics.bytesRemoved + (sizes.numRemovedBytes ?? 0),
      deletionVectorsRemoved:
        metrics.deletionVectorsRemoved + (sizes.numDeletionVectorsRemoved ?? 0),
    }
    events.committed(transaction)
  }
  for (const [i, bin] of plan.bins.entries()) {
    batch.push(await rewriteBin(store, connection, snapshot, bin, plan.rewrite))
    batchBytes += bin.files.reduce((sum, file) => sum + file.sizeBytes, 0)
    events.progressed?.(i + 1, plan.bins.length)
    if (batchBytes >= BATCH_BYTES || Date.now() - begunMs >= BATCH_MS) await commit()
  }
  await commit()
  return metrics
}
