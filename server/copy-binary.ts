/** COPY binary: bytes cut into the fields of rows by PostgreSQL's binary file format. */

import { BATCH_ROWS } from '../storage/column-batch.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type CopyFields, FIELD_STRIDE, NULL_FIELD } from './copy-fields.js'
import type { LineError, Splitter } from './copy-text.js'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

/** Flags of a file that no reader may pass over, and the one of them that once had a meaning. */
const CRITICAL_FLAGS = 0xffff_0000
const WITH_OIDS = 0x0001_0000

/** Rows as COPY … (FORMAT binary) writes them. */
export class BinarySplitter implements Splitter {
  failure: LineError | null = null
  ended = false
  readonly #columnNames: readonly string[]
  #hasHeader = false
  #line = 0

  constructor(columnNames: readonly string[]) {
    this.#columnNames = columnNames
  }

  pass(): void {
    this.failure = null
  }

  split(fields: CopyFields, start: number, end: number, final: boolean): number {
    const view = new DataView(fields.bytes.buffer, fields.bytes.byteOffset, end)
    let at = start
    if (!this.#hasHeader) {
      at = this.#header(fields.bytes, view, start, end, final)
      if (!this.#hasHeader) return start
    }
    while (this.failure === null && fields.rowCount < BATCH_ROWS && at < end) {
      if (this.ended) {
        this.#fail('received copy data after EOF marker', this.#line + 1)
        return at
      }
      // A single byte is no count of fields: as PostgreSQL does, it is passed over.
      if (final && end - at < 2) return end
      const next = this.#row(fields, view, at, end, final)
      if (next < 0) return at
      at = next
    }
    return at
  }

  #header(bytes: Uint8Array, view: DataView, start: number, end: number, final: boolean): number {
    const size = end - start
    const given = bytes.subarray(start, Math.min(end, start + SIGNATURE.length))
    if (!SIGNATURE.subarray(0, given.length).equals(given) || (final && size < SIGNATURE.length)) {
      this.#fail('COPY file signature not recognized')
      return start
    }
    const missing = (what: string): number => {
      if (final) this.#fail(`invalid COPY file header (${what})`)
      return start
    }
    if (size < SIGNATURE.length + 4) return missing('missing flags')
    const flags = view.getUint32(start + SIGNATURE.length)
    if ((flags & WITH_OIDS) !== 0) {
      this.#fail('invalid COPY file header (WITH OIDS)')
      return start
    }
    if ((flags & CRITICAL_FLAGS) !== 0) {
      this.#fail('unrecognized critical flags in COPY file header')
      return start
    }
    if (size < SIGNATURE.length + 8) return missing('missing length')
    const extension = view.getInt32(start + SIGNATURE.length + 4)
    if (extension < 0) {
      this.#fail('invalid COPY file header (missing length)')
      return start
    }
    if (size < SIGNATURE.length + 8 + extension) return missing('wrong length')
    this.#hasHeader = true
    return start + SIGNATURE.length + 8 + extension
  }

  /** Notes one row's fields and answers where the next begins; -1 when it is not whole. */
  #row(fields: CopyFields, view: DataView, start: number, end: number, final: boolean): number {
    if (end - start < 2) return -1
    const count = view.getInt16(start)
    let at = start + 2
    if (count === -1) {
      this.ended = true
      return at
    }
    const names = this.#columnNames
    if (count !== names.length) {
      this.#fail(`row field count is ${count}, expected ${names.length}`, this.#line + 1)
      return -1
    }
    const row = fields.rowCount
    for (let column = 0; column < count; column++) {
      if (end - at < 4) return this.#incomplete(final, column)
      const length = view.getInt32(at)
      at += 4
      const index = column * FIELD_STRIDE + row
      if (length === -1) {
        fields.starts[index] = NULL_FIELD
        continue
      }
      if (length < 0) {
        this.#fail('invalid field size', this.#line + 1, names[column])
        return -1
      }
      if (end - at < length) return this.#incomplete(final, column)
      fields.starts[index] = at
      at += length
      fields.ends[index] = at
    }
    fields.rowStarts[row] = start
    fields.rowEnds[row] = at
    fields.lines[row] = ++this.#line
    fields.rowCount++
    return at
  }

  /** A row that ends within `column`. */
  #incomplete(final: boolean, column: number): number {
    if (final) {
      this.#fail('unexpected EOF in COPY data', this.#line + 1, this.#columnNames[column])
    }
    return -1
  }

  #fail(message: string, line: number | null = null, column?: string): void {
    const error = new SqlError(SqlState.badCopyFileFormat, message)
    this.failure = { error, line, column, shown: null, isRow: false }
  }
}
