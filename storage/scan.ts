/** Scan: the data files of a Snapshot that a query must read, and what was skipped. */

import type { AddFile } from './actions.js'
import { type DataFile, FileIndex } from './file-index.js'
import { type ColumnSource, mayMatchRows } from './file-skipping.js'
import type { ColumnPath, Predicate } from './predicate.js'
import type { DataType, StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'

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
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const partitionSource = (path: ColumnPath): ColumnSource => {
    if (path.length !== 1 || !partitions.has((path[0] ?? '').toLowerCase())) return null
    const field = findField(snapshot.schema.fields, path[0] ?? '')
    if (field === undefined) return null
    return { kind: 'partition', physicalName: physicalName(snapshot, field), type: field.type }
  }
  const isPartition = (path: ColumnPath): boolean =>
    path.length === 1 && partitions.has((path[0] ?? '').toLowerCase())
  const anySource = (path: ColumnPath): ColumnSource => {
    if (isPartition(path)) return partitionSource(path)
    const found = resolve(snapshot, path)
    return found === null ? null : { kind: 'statistics', request: found }
  }
  const mark = (sourceOf: (path: ColumnPath) => ColumnSource): Uint8Array[] =>
    index.segments.map(({ block }) => mayMatchRows(predicate, block, sourceOf))
  const afterPartitions = mark(partitionSource)
  // Statistics of a block that the partitions rule out whole are never read.
  const chosen = index.segments.map(({ block }, i) => {
    const marks = afterPartitions[i] ?? new Uint8Array(block.count).fill(1)
    return marks.some((one) => one !== 0) ? mayMatchRows(predicate, block, anySource) : marks
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
