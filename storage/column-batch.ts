/** ColumnBatch: rows on their way into the engine, column by column, in DuckDB's memory layout. */

/** Rows a batch may have: DuckDB's vector size. */
export const BATCH_ROWS = 2048

/** A string's or blob's entry: u32 length, then up to 12 bytes of it, or a prefix and where it lies. */
export const ENTRY_BYTES = 16

/** Longest string that stands in its entry. */
export const INLINE_BYTES = 12

/**
 * The values of one column.
 *
 * - `validity`: bit i of the little-endian bytes is 1 where row i is not null; null when no row is.
 * - `fixed`: `bytesPerRow` little-endian bytes a row.
 * - `bytes`: ENTRY_BYTES a row. Of more than INLINE_BYTES: four bytes of prefix, u32 offset, u32
 *   number of the heap of the batch that holds them.
 * - `list`: two u64 a row, offset and count of its elements in `child`, which has `childCount`. A
 *   map is a list of structs of a key and a value.
 * - `struct`: a column for each field; where a row is null they are null too.
 */
export type BatchColumn =
  | {
      readonly kind: 'fixed'
      readonly validity: Uint8Array | null
      readonly data: Uint8Array
      readonly bytesPerRow: number
    }
  | { readonly kind: 'bytes'; readonly validity: Uint8Array | null; readonly entries: Uint8Array }
  | {
      readonly kind: 'list'
      readonly validity: Uint8Array | null
      readonly entries: Uint8Array
      readonly child: BatchColumn
      readonly childCount: number
    }
  | {
      readonly kind: 'struct'
      readonly validity: Uint8Array | null
      readonly children: readonly BatchColumn[]
    }

/** Up to BATCH_ROWS rows; the bytes may be overwritten once they have been appended. */
export interface ColumnBatch {
  readonly rowCount: number
  readonly columns: readonly BatchColumn[]
  readonly heaps: readonly Uint8Array[]
}
