/** CopyEncoder: batches of rows to CopyData messages in text, csv and binary. */

import type { CopyFormat, OutputStyle, ResultColumn, RowBatch } from '../planner/result.js'
import { assert } from '../storage/errors.js'
import { ChunkEncoder } from './chunk-encoder.js'
import { type ColumnBytes, columnBytes, type ColumnFormat } from './column-bytes.js'
import { copyCell, rowCountOf, writeLength } from './row-encoder.js'
import { textContext } from './value-text.js'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')

/** The type byte of CopyData. */
const COPY_DATA = 0x64

/** Encodes one COPY TO STDOUT: header, rows, trailer. */
export class CopyEncoder {
  readonly #columns: readonly ResultColumn[]
  readonly #copy: CopyFormat
  readonly #formats: readonly ColumnFormat[]
  readonly #chunks: ChunkEncoder
  #prefix: readonly Uint8Array[] = []

  constructor(columns: readonly ResultColumn[], copy: CopyFormat, style: OutputStyle) {
    const context = textContext(style)
    this.#columns = columns
    this.#copy = copy
    const binary = copy.format === 'binary'
    this.#formats = columns.map((column) => ({ column, binary, context }))
    this.#chunks = new ChunkEncoder(
      this.#formats,
      binary ? { kind: 'binary', messageType: COPY_DATA } : { kind: 'text', copy },
      (one) => this.#exact(one),
    )
  }

  header(): Uint8Array {
    // The binary signature travels in one message with what comes first, as PostgreSQL sends it.
    if (this.#copy.format === 'binary') this.#prefix = [SIGNATURE]
    if (this.#copy.format === 'binary' || !this.#copy.header) return new Uint8Array()
    const names = this.#columns.map((column, i) => this.#field(column.name, i))
    return copyData(Buffer.from(`${names.join(this.#copy.delimiter)}\n`, 'utf8'))
  }

  /** CopyData messages for the rows of `batch`, in pieces that may be sent one by one. */
  *encode(batch: RowBatch): Iterable<Uint8Array> {
    assert(batch.kind !== 'encoded', 'COPY rows are not encoded before')
    const pieces = batch.kind === 'chunk' ? this.#chunks.encode(batch) : [this.#exact(batch)]
    for (const piece of pieces) yield this.#begun(piece)
  }

  /** The first rows with what has to stand before them in the same message. */
  #begun(rows: Uint8Array): Uint8Array {
    if (this.#prefix.length === 0 || rows.length === 0) return rows
    const prefix = Buffer.concat(this.#prefix)
    this.#prefix = []
    const out = Buffer.concat([rows.subarray(0, 5), prefix, rows.subarray(5)])
    writeLength(out, out.readUInt32BE(1) + prefix.length, 1)
    return out
  }

  #exact(batch: Exclude<RowBatch, { kind: 'encoded' }>): Uint8Array {
    const rowCount = rowCountOf(batch)
    const cells = this.#formats.map((format, i) => columnBytes(batch, i, format))
    if (this.#copy.format === 'binary') return this.#binaryRows(cells, rowCount)
    return this.#textRows(
      cells.map((column, i) => this.#escaped(column, i, rowCount)),
      rowCount,
    )
  }

  #binaryRows(cells: readonly ColumnBytes[], rowCount: number): Uint8Array {
    const total = cells.reduce(
      (sum, column) => sum + (column.ends[rowCount - 1] ?? 0),
      rowCount * (7 + 4 * cells.length),
    )
    const out = Buffer.allocUnsafe(total)
    let at = 0
    for (let row = 0; row < rowCount; row++) {
      const start = at
      out[at] = COPY_DATA
      at += 5
      out[at++] = cells.length >> 8
      out[at++] = cells.length & 255
      for (const column of cells) {
        const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
        const to = column.ends[row] ?? 0
        at = writeLength(out, column.nulls[row] === 1 ? -1 : to - from, at)
        at = copyCell(column.bytes, from, to, out, at)
      }
      writeLength(out, at - start - 1, start + 1)
    }
    return out
  }

  #textRows(cells: readonly ColumnBytes[], rowCount: number): Uint8Array {
    const delimiter = this.#copy.delimiter.charCodeAt(0)
    const total = cells.reduce(
      (sum, column) => sum + (column.ends[rowCount - 1] ?? 0),
      rowCount * (5 + cells.length),
    )
    const out = Buffer.allocUnsafe(total)
    let at = 0
    for (let row = 0; row < rowCount; row++) {
      const start = at
      out[at] = COPY_DATA
      at += 5
      for (let i = 0; i < cells.length; i++) {
        const column = cells[i] as ColumnBytes
        if (i > 0) out[at++] = delimiter
        const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
        at = copyCell(column.bytes, from, column.ends[row] ?? 0, out, at)
      }
      out[at++] = 0x0a
      writeLength(out, at - start - 1, start + 1)
    }
    return out.subarray(0, at)
  }

  /** The column as COPY writes it: nulls spelled out, special characters escaped or quoted. */
  #escaped(column: ColumnBytes, index: number, rowCount: number): ColumnBytes {
    const { nullText } = this.#copy
    const hasNulls = column.nulls.includes(1)
    const plain = !hasNulls || nullText === ''
    if (plain && !this.#needsCare(column, index, rowCount)) return column
    const ends = new Uint32Array(rowCount)
    const parts: Buffer[] = []
    const missing = Buffer.from(nullText, 'utf8')
    const care = this.#needsCare(column, index, rowCount)
    let end = 0
    for (let row = 0; row < rowCount; row++) {
      const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
      const bytes = column.bytes.subarray(from, column.ends[row])
      const part =
        column.nulls[row] === 1
          ? missing
          : care
            ? Buffer.from(this.#field(bytes.toString('utf8'), index), 'utf8')
            : bytes
      parts.push(part)
      end += part.length
      ends[row] = end
    }
    return { bytes: Buffer.concat(parts, end), ends, nulls: column.nulls }
  }

  /** Whether a value of the column may have to be escaped or quoted; one look at all its bytes. */
  #needsCare(column: ColumnBytes, index: number, rowCount: number): boolean {
    const { format, delimiter, quote, nullText, forceQuote } = this.#copy
    const { bytes } = column
    const separator = delimiter.charCodeAt(0)
    const end = column.ends[rowCount - 1] ?? 0
    if (format === 'text') {
      for (let i = 0; i < end; i++) {
        const byte = bytes[i] as number
        if ((byte < 14 && byte > 7) || byte === 0x5c || byte === separator) return true
      }
      return false
    }
    if (forceQuote === 'all' || forceQuote.includes(index) || this.#columns.length === 1)
      return true
    const mark = quote.charCodeAt(0)
    for (let i = 0; i < end; i++) {
      const byte = bytes[i] as number
      if (byte === separator || byte === mark || byte === 0x0a || byte === 0x0d) return true
    }
    // A value that reads like the null must be told apart from it.
    for (let row = 0, from = 0; row < rowCount; row++) {
      const to = column.ends[row] ?? 0
      const size = to - from
      if (
        column.nulls[row] !== 1 &&
        size === nullText.length &&
        bytes.subarray(from, to).toString('utf8') === nullText
      ) {
        return true
      }
      from = to
    }
    return false
  }

  trailer(): Uint8Array {
    if (this.#copy.format !== 'binary') return new Uint8Array()
    return copyData(Buffer.concat([...this.#prefix, Buffer.of(0xff, 0xff)]))
  }

  #field(text: string, index: number): string {
    const { format, delimiter, quote, escape: escaping, nullText, forceQuote } = this.#copy
    if (format === 'text') {
      return text
        .replace(/[\\\b\f\n\r\t\v]/g, (char) => TEXT_ESCAPES[char] ?? char)
        .replaceAll(delimiter, (match) => (delimiter === '\t' ? match : `\\${match}`))
    }
    const forced = forceQuote === 'all' || forceQuote.includes(index)
    const needed =
      forced ||
      text === nullText ||
      text.includes(delimiter) ||
      text.includes(quote) ||
      /[\r\n]/.test(text) ||
      (this.#columns.length === 1 && text === '\\.')
    if (!needed) return text
    let quoted = ''
    for (const char of text) quoted += char === quote || char === escaping ? escaping + char : char
    return quote + quoted + quote
  }
}

const TEXT_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

function copyData(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + bytes.length)
  out[0] = 0x64
  out.writeInt32BE(4 + bytes.length, 1)
  out.set(bytes, 5)
  return out
}
