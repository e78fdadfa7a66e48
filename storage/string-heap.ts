/** StringHeap: many texts as one run of UTF-8 bytes. */

import { type ColumnVector, dereference } from './engine.js'

/** Texts 0 to `count` - 1; text i is `bytes[ends[i - 1] .. ends[i]]`. */
export interface StringHeap {
  readonly bytes: Buffer
  readonly ends: Uint32Array
}

/** The bytes of text `index`; a view, not a copy. */
export function textBytes(heap: StringHeap, index: number): Buffer {
  return heap.bytes.subarray(index === 0 ? 0 : heap.ends[index - 1], heap.ends[index])
}

/** Text `index`. */
export function textAt(heap: StringHeap, index: number): string {
  return heap.bytes.toString('utf8', index === 0 ? 0 : heap.ends[index - 1], heap.ends[index])
}

/** A heap being filled, text after text. */
export class StringHeapBuilder {
  #bytes: Buffer = Buffer.allocUnsafe(1024)
  #length = 0
  #ends: number[] = []

  get count(): number {
    return this.#ends.length
  }

  push(text: string): void {
    this.pushBytes(Buffer.from(text, 'utf8'))
  }

  pushBytes(bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    this.#bytes.set(bytes, this.#length)
    this.#length = length
    this.#ends.push(length)
  }

  /** The heap in exactly the bytes it needs; the builder is spent. */
  finish(): StringHeap {
    // A copy of its own: a slice would keep Node's shared pool alive.
    const bytes = Buffer.alloc(this.#length)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    return { bytes, ends: Uint32Array.from(this.#ends) }
  }
}

/** Gap, in bytes, across which neighbouring texts of a chunk are still copied in one call. */
const GAP_MAX = 16

/**
 * The texts of a VARCHAR vector as bytes, null for SQL's null.
 *
 * Texts that stand next to each other in DuckDB's memory are copied by one call, since a call a
 * text costs more than all the rest.
 */
export function readTexts(vector: ColumnVector, rowCount: number): readonly (Buffer | null)[] {
  const data = vector.data(rowCount, 16)
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const validity = vector.validity(rowCount)
  const texts = new Array<Buffer | null>(rowCount).fill(null)
  const far: number[] = []
  const addresses = new Float64Array(rowCount)
  for (let row = 0; row < rowCount; row++) {
    if (validity !== null && (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) continue
    const length = view.getUint32(row * 16, true)
    if (length <= 12) {
      texts[row] = Buffer.from(data.subarray(row * 16 + 4, row * 16 + 4 + length))
    } else {
      // Addresses have 47 bits in use: a double holds them exactly.
      addresses[row] =
        view.getUint32(row * 16 + 8, true) + view.getUint32(row * 16 + 12, true) * 0x1_0000_0000
      far.push(row)
    }
  }
  const pointer = new ArrayBuffer(8)
  for (let from = 0; from < far.length; ) {
    const start = addresses[far[from] ?? 0] ?? 0
    let end = start
    let to = from
    while (to < far.length) {
      const row = far[to] ?? 0
      const address = addresses[row] ?? 0
      if (to > from && (address < end || address > end + GAP_MAX)) break
      end = address + view.getUint32(row * 16, true)
      to++
    }
    new DataView(pointer).setBigUint64(0, BigInt(start), true)
    const run = dereference(pointer, 0, end - start)
    const bytes = Buffer.from(run.buffer, run.byteOffset, run.byteLength)
    for (; from < to; from++) {
      const row = far[from] ?? 0
      const offset = (addresses[row] ?? 0) - start
      texts[row] = bytes.subarray(offset, offset + view.getUint32(row * 16, true))
    }
  }
  return texts
}
