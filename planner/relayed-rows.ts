/** RelayedRows: rows that another PostgreSQL has encoded, handed on as they are. */

import type { EncodedRows, WireError } from '../catalog/catalog-wire.js'
import { sqlError } from '../catalog/pg-catalog.js'
import { assert } from '../storage/errors.js'

/** The cells of one column: cell i is bytes[starts[i] .. ends[i]], and null where `starts[i]` is -1. */
export interface RelayedColumn {
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** The rows of one answer, in each of the formats that were asked for. */
export class RelayedRows {
  readonly rowCount: number
  readonly #columnCount: number
  readonly #encodings: readonly (EncodedRows | WireError)[]
  readonly #rows = new Map<EncodedRows, Int32Array>()

  constructor(
    columnCount: number,
    rowCount: number,
    encodings: readonly (EncodedRows | WireError)[],
  ) {
    this.#columnCount = columnCount
    this.rowCount = rowCount
    this.#encodings = encodings
  }

  /** DataRow messages of the rows in these formats; null when they are only there column by column. */
  messages(formats: readonly (0 | 1)[], from: number, to: number): Uint8Array | null {
    const found = this.#encodings.find(
      (one): one is EncodedRows =>
        'bytes' in one && formats.every((format, i) => this.#formatAt(one, i) === format),
    )
    if (found === undefined) return null
    const ends = this.#rowEnds(found)
    return found.bytes.subarray(ends[from], ends[to])
  }

  /** Cells of one column; PostgreSQL's error where it could not encode them so. */
  column(index: number, format: 0 | 1, from: number, to: number): RelayedColumn {
    const found = this.#encodings.find(
      (one): one is EncodedRows => 'bytes' in one && this.#formatAt(one, index) === format,
    )
    if (found === undefined) {
      const failed = this.#encodings.find((one): one is WireError => 'code' in one)
      assert(failed !== undefined, 'rows are there in the formats that were asked for')
      throw sqlError(failed)
    }
    const { bytes } = found
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const rows = this.#rowEnds(found)
    const starts = new Int32Array(to - from)
    const ends = new Int32Array(to - from)
    for (let row = from; row < to; row++) {
      let at = (rows[row] ?? 0) + 7
      for (let i = 0; ; i++) {
        const length = view.getInt32(at)
        at += 4
        if (i === index) {
          starts[row - from] = length < 0 ? -1 : at
          ends[row - from] = at + Math.max(0, length)
          break
        }
        at += Math.max(0, length)
      }
    }
    return { bytes, starts, ends }
  }

  #formatAt({ formats }: EncodedRows, index: number): 0 | 1 {
    return (formats.length === 1 ? formats[0] : formats[index]) ?? 0
  }

  /** Where each row ends, and before them where the first begins. */
  #rowEnds(encoding: EncodedRows): Int32Array {
    const known = this.#rows.get(encoding)
    if (known !== undefined) return known
    const { bytes } = encoding
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const ends = new Int32Array(this.rowCount + 1)
    for (let row = 0; row < this.rowCount; row++) {
      const start = ends[row] ?? 0
      assert(view.getInt16(start + 5) === this.#columnCount, 'rows have the columns described')
      ends[row + 1] = start + 1 + view.getInt32(start + 1)
    }
    this.#rows.set(encoding, ends)
    return ends
  }
}
