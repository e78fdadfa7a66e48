/** Scan: the data files of a Snapshot that a query must read, and what was skipped. */

import { deletionVectorId } from './deletion-vector.js'
import { type ColumnFacts, type Comparable, mayMatch, parseComparable } from './data-skipping.js'
import { quoteNumbers } from './lossless-json.js'
import type { ColumnPath, Predicate } from './predicate.js'
import type { DataType, StructField } from './schema.js'
import type { DataFile, Snapshot } from './snapshot.js'

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
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const isPartition = (path: ColumnPath): boolean =>
    path.length === 1 && partitions.has((path[0] ?? '').toLowerCase())
  const afterPartitions = snapshot.files.filter((file) =>
    mayMatch(predicate, (path) =>
      isPartition(path) ? partitionFacts(snapshot, file, path) : null,
    ),
  )
  const files = afterPartitions.filter((file) => {
    const statistics = lazily(() => parseStatistics(file))
    return mayMatch(predicate, (path) =>
      isPartition(path)
        ? partitionFacts(snapshot, file, path)
        : columnFacts(snapshot, statistics(), file, path),
    )
  })
  return {
    snapshot,
    files,
    filesAfterPartitions: afterPartitions.length,
    sizeBytes: files.reduce((sum, file) => sum + Number(file.add.size), 0),
  }
}

/**
 * Whether `file` may hold a row for which `predicate` is true; false is a proof.
 *
 * The file need not be one of the snapshot's: its partition values and statistics are looked at.
 */
export function fileMayMatch(snapshot: Snapshot, file: DataFile, predicate: Predicate): boolean {
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const statistics = lazily(() => parseStatistics(file))
  return mayMatch(predicate, (path) =>
    path.length === 1 && partitions.has((path[0] ?? '').toLowerCase())
      ? partitionFacts(snapshot, file, path)
      : columnFacts(snapshot, statistics(), file, path),
  )
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
  const text = file.add.partitionValues[physicalName(snapshot, field)]
  return text === undefined || text === null || text === '' ? null : text
}

function partitionFacts(snapshot: Snapshot, file: DataFile, path: ColumnPath): ColumnFacts | null {
  const field = findField(snapshot.schema.fields, path[0] ?? '')
  if (field === undefined) return null
  const text = partitionText(snapshot, file, field)
  if (text === null) {
    return { min: null, max: null, mayBeNull: true, mayBeValue: false, exact: true }
  }
  const value = parseComparable(text, field.type, 'exact')
  return { min: value, max: value, mayBeNull: false, mayBeValue: true, exact: true }
}

interface Statistics {
  readonly numRecords: number | null
  readonly minValues: Nested
  readonly maxValues: Nested
  readonly nullCount: Nested
}

type Nested = { readonly [name: string]: unknown }

function columnFacts(
  snapshot: Snapshot,
  statistics: Statistics | null,
  file: DataFile,
  path: ColumnPath,
): ColumnFacts | null {
  if (statistics === null) return null
  const found = resolve(snapshot, path)
  if (found === null) return null
  const { names, type } = found
  const min = bound(lookup(statistics.minValues, names), type, 'min')
  const max = bound(lookup(statistics.maxValues, names), type, 'max')
  const nulls = lookup(statistics.nullCount, names)
  const nullCount = typeof nulls === 'string' && /^\d+$/.test(nulls) ? Number(nulls) : null
  const { numRecords } = statistics
  // With deletion vectors counts are of the physical rows: only none and all still mean something.
  const wide = deletionVectorId(file.add.deletionVector) !== null
  const allNull = nullCount !== null && numRecords !== null && nullCount === numRecords
  return {
    min,
    max,
    mayBeNull: nullCount !== 0,
    mayBeValue: !allNull,
    exact: !wide && type.kind === 'primitive' && EXACT.has(type.name),
  }
}

// Types whose bounds are written in full, so that equal bounds mean one value.
const EXACT: ReadonlySet<string> = new Set(['byte', 'short', 'integer', 'long', 'date'])

function bound(value: unknown, type: DataType, side: 'min' | 'max'): Comparable | null {
  return typeof value === 'string' ? parseComparable(value, type, side) : null
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

function lookup(values: Nested, names: readonly string[]): unknown {
  let at: unknown = values
  for (const name of names) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Nested)[name]
  }
  return at
}

function parseStatistics(file: DataFile): Statistics | null {
  const text = file.add.stats
  let json: unknown
  try {
    if (typeof text === 'string' && text !== '') json = JSON.parse(quoteNumbers(text))
    else if (file.add.stats_parsed !== undefined && file.add.stats_parsed !== null) {
      json = JSON.parse(quoteNumbers(JSON.stringify(file.add.stats_parsed)))
    } else return null
  } catch {
    // Statistics that cannot be read are statistics that are not there.
    return null
  }
  if (typeof json !== 'object' || json === null) return null
  const fields = json as { readonly [key: string]: unknown }
  const nested = (value: unknown): Nested =>
    typeof value === 'object' && value !== null ? (value as Nested) : {}
  return {
    numRecords: typeof fields.numRecords === 'string' ? Number(fields.numRecords) : null,
    minValues: nested(fields.minValues),
    maxValues: nested(fields.maxValues),
    nullCount: nested(fields.nullCount),
  }
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
