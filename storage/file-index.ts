/** FileIndex: the live data files of one snapshot, by column. */

import type { DeletionVectorDescriptor } from './actions.js'
import type { EngineConnection } from './engine.js'
import type { EngineType } from './engine-type.js'
import type { Scalar } from './engine-value.js'
import type { FileLocation } from './file-location.js'
import type { DataType } from './schema.js'

/**
 * A partition column: each file's value as a code into the distinct values.
 *
 * A predicate over partition columns need only be judged once for each code. Several codes may
 * stand for one value (two spellings, or null written as the empty string).
 */
export interface PartitionColumn {
  /** Logical name. */
  readonly name: string
  /** The key in `partitionValues`. */
  readonly physicalName: string
  readonly type: DataType
  /** The type of `values`, as DuckDB knows it. */
  readonly engineType: EngineType
  /** Value by code; code 0 is always null. */
  readonly values: readonly Scalar[]
  /** The text the log holds, by code. */
  readonly texts: readonly (string | null)[]
  code(file: number): number
}

/**
 * What the log says about one leaf column of each file; null always means unknown.
 *
 * `min` and `max` bound every value that is neither null nor deleted: they may be wider than the
 * values (truncated text, milliseconds of timestamps, rows deleted since), never narrower. NaN
 * counts as greater than all other numbers.
 */
export interface StatisticsColumn {
  /** The type of `min` and `max`. */
  readonly type: EngineType
  min(file: number): Scalar
  max(file: number): Scalar
  /** Nulls among the file's physical rows; null also where a deletion vector makes it useless. */
  nullCount(file: number): number | null
  /** Physical rows of the file, deleted ones included. */
  numRecords(file: number): number | null
}

/** Physical rows of each file, those that a deletion vector deletes included; null is unknown. */
export interface RecordCounts {
  numRecords(file: number): number | null
}

/**
 * Every live data file of a snapshot, once.
 *
 * Files are named by their number in this index; numbers are dense only in `files`, since those of
 * removed files stay unused. A number means the same file as long as the index lives.
 */
export interface FileIndex {
  readonly fileCount: number
  /** Sum of the live files' sizes. */
  readonly sizeBytes: number
  /** One more than the greatest file number. */
  readonly numberLimit: number
  /** Numbers of the live files, ascending. */
  readonly files: Uint32Array
  /** In the order of the table's partition columns. */
  readonly partitionColumns: readonly PartitionColumn[]
  /** Bytes this index holds in memory, what it shares with other versions included. */
  readonly memoryBytes: number

  isLive(file: number): boolean
  /** As in the log: a URI reference, percent-encoded. */
  logPath(file: number): string
  /** Decoded: relative to the table's folder, or absolute when the file lies outside. */
  path(file: number): string
  /** The store and the path in it; throws 42501 when the file lies outside the allowed roots. */
  location(file: number): FileLocation
  /** The name by which DuckDB opens the file; throws like `location`. */
  engineUrl(file: number): string
  sizeBytesOf(file: number): number
  modificationTimeMs(file: number): number
  /** The value of `partitionColumns[column]`, of that column's `engineType`. */
  partitionValue(file: number, column: number): Scalar
  deletionVector(file: number): DeletionVectorDescriptor | null
  baseRowId(file: number): bigint | null
  defaultRowCommitVersion(file: number): bigint | null

  /**
   * The statistics of one leaf column, loaded when first asked for.
   *
   * `path` is the physical path (names as in the files). Null when the type has no usable order or
   * no file can have statistics for it. Statistics that cannot be read count as unknown.
   */
  statistics(
    connection: EngineConnection,
    path: readonly string[],
    type: DataType,
  ): Promise<StatisticsColumn | null>

  /** How many rows each file holds, loaded when first asked for. */
  recordCounts(connection: EngineConnection): Promise<RecordCounts>
}
