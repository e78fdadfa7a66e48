/** CopyFields: where the fields of some rows lie in the bytes of a COPY FROM, before they are values. */

import { BATCH_ROWS } from '../storage/column-batch.js'

/**
 * Places between the fields of one column and those of the next.
 *
 * No power of two: the fields of one row would all fall into the same few lines of the processor's
 * cache.
 */
export const FIELD_STRIDE: number = BATCH_ROWS + 16

/** In `starts`: the field is null. */
export const NULL_FIELD = -1
/** In `starts`: the column's default stands here. */
export const DEFAULT_FIELD = -2

/**
 * Fields of up to BATCH_ROWS rows as places in `bytes`.
 *
 * The bytes as they came stand in the first half; fields whose escapes had to be resolved stand in
 * the second. Field `column` of `row` has index `column * FIELD_STRIDE + row`.
 */
export class CopyFields {
  bytes: Uint8Array
  readonly columnCount: number
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** The line of each row: where it lies without its end, and its number. */
  readonly rowStarts: Int32Array = new Int32Array(BATCH_ROWS)
  readonly rowEnds: Int32Array = new Int32Array(BATCH_ROWS)
  readonly lines: Float64Array = new Float64Array(BATCH_ROWS)
  rowCount = 0
  /** End of what stands in the second half. */
  resolvedEnd = 0

  constructor(columnCount: number, capacity: number) {
    this.columnCount = columnCount
    this.bytes = new Uint8Array(capacity * 2)
    this.starts = new Int32Array(FIELD_STRIDE * columnCount)
    this.ends = new Int32Array(FIELD_STRIDE * columnCount)
    this.clear()
  }

  /** Bytes either half holds. */
  get capacity(): number {
    return this.bytes.length / 2
  }

  /** Makes room for `capacity` bytes, of which the first `used` are kept; no fields may be there. */
  grow(capacity: number, used: number): void {
    const bytes = new Uint8Array(capacity * 2)
    bytes.set(this.bytes.subarray(0, used))
    this.bytes = bytes
    this.clear()
  }

  clear(): void {
    this.rowCount = 0
    this.resolvedEnd = this.capacity
  }

  /** Takes rows out, keeping the others in order. */
  remove(removed: Uint8Array): void {
    let kept = 0
    for (let row = 0; row < this.rowCount; row++) {
      if (removed[row] === 1) continue
      if (kept < row) {
        this.rowStarts[kept] = this.rowStarts[row] as number
        this.rowEnds[kept] = this.rowEnds[row] as number
        this.lines[kept] = this.lines[row] as number
        for (let column = 0; column < this.columnCount; column++) {
          const base = column * FIELD_STRIDE
          this.starts[base + kept] = this.starts[base + row] as number
          this.ends[base + kept] = this.ends[base + row] as number
        }
      }
      kept++
    }
    this.rowCount = kept
  }
}
