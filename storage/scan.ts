/** Scan: the data files of a Snapshot that a query must read, and what was skipped. */

import type { AddFile } from './actions.js'
import { type DataFile, FileIndex } from './file-index.js'
import { type ColumnSource, mayMatchRows, statisticsNeeded } from './file-skipping.js'
import type { ColumnPath, Predicate } from './predicate.js'
import type { DataType, StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'
import { TimeSlices } from './time-slices.js'

/** The chosen files of one table, and the counts that EXPLAIN shows. */
export interface Scan {
  readonly snapshot: Snapshot
  readonly files: readonly DataFile[]
  readonly filesAfterPartitions: number
  readonly sizeBytes: number
}

/**
 * The files of `snapshot` that may hold a row for which `predicate` is true.
 *
 * Partition values are looked at first, statistics only of what is left. Pure: nothing is opened.
 */
export function planScan(snapshot: Snapshot, predicate: Predicate): Scan {
  const { files: index } = snapshot
  if (predicate.kind === 'unknown') {
    const files = [...index]
    return { snapshot, files, filesAfterPartitions: files.length, sizeBytes: index.sizeBytes }
  }
  const { ofPartitions, ofAll } = columnSources(snapshot)
  const afterPartitions = index.segments.map(({ block }) =>
    mayMatchRows(predicate, block, ofPartitions),
  )
  // Statistics of a block that the partitions rule out whole are never read.
  const chosen = index.segments.map(({ block }, i) => {
    const marks = afterPartitions[i] ?? new Uint8Array(block.count).fill(1)
    return marks.some((one) => one !== 0) ? mayMatchRows(predicate, block, ofAll) : marks
  })
  const files = index.select(chosen)
  return {
    snapshot,
    files,
    filesAfterPartitions: index.count(afterPartitions),
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
  }
}

/**
 * Reads the statistics that `planScan` will look at, while other sessions go on.
 *
 * They are kept with the snapshot's files. Without it planScan reads them itself, which takes
 * seconds of this thread where there are a million files.
 */
export async function prepareScan(snapshot: Snapshot, predicate: Predicate): Promise<void> {
  const { ofPartitions, ofAll } = columnSources(snapshot)
  const needed = statisticsNeeded(predicate, ofAll)
  if (needed.length === 0) return
  const slices = new TimeSlices()
  for (const { block } of snapshot.files.segments) {
    if (slices.isOver) await slices.next()
    const marks = mayMatchRows(predicate, block, ofPartitions)
    if (marks.some((one) => one !== 0)) await block.prepareStatistics(needed, slices)
  }
}

/** Where a predicate's columns are found: in partition values alone, or in statistics too. */
function columnSources(snapshot: Snapshot): {
  readonly ofPartitions: (path: ColumnPath) => ColumnSource
  readonly ofAll: (path: ColumnPath) => ColumnSource
} {
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const isPartition = (path: ColumnPath): boolean =>
    path.length === 1 && partitions.has((path[0] ?? '').toLowerCase())
  const ofPartitions = (path: ColumnPath): ColumnSource => {
    if (!isPartition(path)) return null
    const field = findField(snapshot.schema.fields, path[0] ?? '')
    if (field === undefined) return null
    return { kind: 'partition', physicalName: physicalName(snapshot, field), type: field.type }
  }
  const ofAll = (path: ColumnPath): ColumnSource => {
    if (isPartition(path)) return ofPartitions(path)
    const found = resolve(snapshot, path)
    return found === null ? null : { kind: 'statistics', request: found }
  }
  return { ofPartitions, ofAll }
}

/**
 * Whether `file` may hold a row for which `predicate` is true; false is a proof.
 *
 * The file need not be one of the snapshot's: its partition values and statistics are looked at.
 */
export function fileMayMatch(
  snapshot: Snapshot,
  file: { readonly add: AddFile; readonly path: string },
  predicate: Predicate,
): boolean {
  const files = FileIndex.empty.with([], [file.add], () => file.path)
  return planScan({ ...snapshot, files }, predicate).files.length > 0
}

/** The name under which a column stands in files, statistics and partition values. */
export function physicalName(snapshot: Snapshot, field: StructField): string {
  const physical = field.metadata['delta.columnMapping.physicalName']
  return snapshot.columnMapping !== 'none' && typeof physical === 'string' ? physical : field.name
}

/** A partition value as the log has it; null for SQL's null, which may be written as an empty text. */
export function partitionText(
  snapshot: Snapshot,
  file: DataFile,
  field: StructField,
): string | null {
  const text = file.partitionText(physicalName(snapshot, field))
  return text === '' ? null : text
}

function resolve(
  snapshot: Snapshot,
  path: ColumnPath,
): { readonly names: readonly string[]; readonly type: DataType } | null {
  let fields = snapshot.schema.fields
  const names: string[] = []
  let type: DataType | null = null
  for (const [depth, name] of path.entries()) {
    const field = findField(fields, name)
    if (field === undefined) return null
    names.push(physicalName(snapshot, field))
    // Statistics written before a type was widened may be of another kind: they prove nothing here.
    if ('delta.typeChanges' in field.metadata) return null
    type = field.type
    if (depth < path.length - 1) {
      if (type.kind !== 'struct') return null
      fields = type.fields
    }
  }
  return type === null ? null : { names, type }
}

function findField(fields: readonly StructField[], name: string): StructField | undefined {
  const lower = name.toLowerCase()
  return fields.find((field) => field.name.toLowerCase() === lower)
}
