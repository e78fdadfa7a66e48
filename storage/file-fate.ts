/** FileFate: whether a data file in which rows change is dropped, rewritten, or given a deletion vector. */

import type { DataFile } from './file-index.js'
import type { Snapshot } from './snapshot.js'
import { supportsFeature } from './table-protocol.js'

/** What becomes of a file in which rows change. */
export interface FileFate {
  readonly file: DataFile
  /** Its number in the relation it was read by. */
  readonly ordinal: number
  /** Rows of the Parquet file, deleted ones included. */
  readonly rowCount: number
  readonly kind: 'remove' | 'rewrite' | 'vector'
}

/** When deletion vectors are written: where they are cheaper, wherever the table allows them, or nowhere. */
export type DeletionPolicy = 'auto' | 'always' | 'never'

/** A file whose remaining rows take less than this is rewritten: reading a vector would cost as much. */
const REWRITE_BYTES = 1024 * 1024

/** A file of which more than this part is deleted is rewritten: every reader would read it in vain. */
const DELETED_PART_MAX = 0.4

/** Decides for one file; `changedCount` of its live rows are deleted or get a new version. */
export function fateOf(
  snapshot: Pick<Snapshot, 'metadata' | 'protocol'>,
  change: {
    readonly file: DataFile
    readonly ordinal: number
    readonly changedCount: number
    readonly rowCount: number
    readonly policy: DeletionPolicy
  },
): FileFate {
  const { file, ordinal, changedCount, rowCount, policy } = change
  const deletedCount = (file.deletionVector?.cardinality ?? 0) + changedCount
  const fate = (kind: FileFate['kind']): FileFate => ({ file, ordinal, rowCount, kind })
  if (deletedCount >= rowCount) return fate('remove')
  if (policy === 'never' || !allowsDeletionVectors(snapshot)) return fate('rewrite')
  if (policy === 'always') return fate('vector')
  const remaining = file.sizeBytes * (1 - deletedCount / rowCount)
  return remaining < REWRITE_BYTES || deletedCount > rowCount * DELETED_PART_MAX
    ? fate('rewrite')
    : fate('vector')
}

/** Whether the table's property asks for deletion vectors and its protocol allows them. */
export function allowsDeletionVectors({
  metadata,
  protocol,
}: Pick<Snapshot, 'metadata' | 'protocol'>): boolean {
  return (
    metadata.configuration['delta.enableDeletionVectors']?.toLowerCase() === 'true' &&
    supportsFeature(protocol, 'deletionVectors')
  )
}
