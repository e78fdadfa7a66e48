/** FlatTable: a table of a FlatBuffers message, of which no read leaves the bytes. */

/** A message of a file: `metadataLength` bytes at `offset`, its length among them, and then its body. */
export interface Block {
  readonly offset: number
  readonly metadataLength: number
  readonly bodyLength: number
}

/**
 * One table in `bytes`; its fields are asked for by their numbers in the message's schema.
 *
 * Whatever the bytes are, a read that would leave them throws a RangeError.
 */
export class FlatTable {
  readonly #view: DataView
  readonly #at: number

  private constructor(view: DataView, at: number) {
    this.#view = view
    this.#at = at
  }

  /** The table that the message in `bytes` consists of. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new FlatTable(view, view.getUint32(0, true))
  }

  /** Where the value of a field is; 0 when it is left out. */
  #place(field: number): number {
    const vtable = this.#at - this.#view.getInt32(this.#at, true)
    const entry = 4 + field * 2
    if (entry >= this.#view.getUint16(vtable, true)) return 0
    const offset = this.#view.getUint16(vtable + entry, true)
    return offset === 0 ? 0 : this.#at + offset
  }

  uint8(field: number): number {
    const at = this.#place(field)
    return at === 0 ? 0 : this.#view.getUint8(at)
  }

  int16(field: number, ifLeftOut = 0): number {
    const at = this.#place(field)
    return at === 0 ? ifLeftOut : this.#view.getInt16(at, true)
  }

  int32(field: number, ifLeftOut = 0): number {
    const at = this.#place(field)
    return at === 0 ? ifLeftOut : this.#view.getInt32(at, true)
  }

  /** A 64-bit number; RangeError when it is negative or beyond what a double counts. */
  size(field: number): number {
    const at = this.#place(field)
    return at === 0 ? 0 : sizeAt(this.#view, at)
  }

  /** A 64-bit number that is a name. */
  int64(field: number): bigint {
    const at = this.#place(field)
    return at === 0 ? 0n : this.#view.getBigInt64(at, true)
  }

  /** RangeError when it is no UTF-8. */
  text(field: number): string {
    const { at, count } = this.#vector(field)
    const bytes = new Uint8Array(
      this.#view.buffer,
      this.#view.byteOffset + at,
      this.#fits(at, count),
    )
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new RangeError('a text is no UTF-8')
    }
  }

  table(field: number): FlatTable | undefined {
    const at = this.#place(field)
    return at === 0 ? undefined : this.#tableAt(at)
  }

  tables(field: number): readonly FlatTable[] {
    const { at, count } = this.#vector(field)
    this.#fits(at, count * 4)
    return Array.from({ length: count }, (_, i) => this.#tableAt(at + i * 4))
  }

  /** A vector of 64-bit numbers, or of structs of `perItem` of them each. */
  sizes(field: number, perItem = 1): readonly number[] {
    const { at, count } = this.#vector(field)
    this.#fits(at, count * perItem * 8)
    return Array.from({ length: count * perItem }, (_, i) => sizeAt(this.#view, at + i * 8))
  }

  /** A vector of Arrow's Blocks: where messages are in a file. */
  blocks(field: number): readonly Block[] {
    const { at, count } = this.#vector(field)
    this.#fits(at, count * 24)
    return Array.from({ length: count }, (_, i) => ({
      offset: sizeAt(this.#view, at + i * 24),
      metadataLength: this.#view.getUint32(at + i * 24 + 8, true),
      bodyLength: sizeAt(this.#view, at + i * 24 + 16),
    }))
  }

  #tableAt(at: number): FlatTable {
    return new FlatTable(this.#view, at + this.#view.getUint32(at, true))
  }

  #vector(field: number): { readonly at: number; readonly count: number } {
    const place = this.#place(field)
    if (place === 0) return { at: 0, count: 0 }
    const at = place + this.#view.getUint32(place, true)
    return { at: at + 4, count: this.#view.getUint32(at, true) }
  }

  /** `length`, when that many bytes at `at` are there. */
  #fits(at: number, length: number): number {
    if (at + length > this.#view.byteLength) throw new RangeError('a vector leaves the message')
    return length
  }
}

function sizeAt(view: DataView, at: number): number {
  const value = view.getBigInt64(at, true)
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RangeError('a size is out of range')
  }
  return Number(value)
}
