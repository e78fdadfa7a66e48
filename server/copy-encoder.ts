/** CopyEncoder: batches of rows to CopyData messages in text, csv and binary. */

import type { CopyFormat, OutputStyle, ResultColumn, RowBatch } from '../planner/result.js'
import { assert } from '../storage/errors.js'
import { columnBytes, type ColumnFormat } from './column-bytes.js'
import { rowCountOf } from './row-encoder.js'
import { textContext } from './value-text.js'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')

/** Encodes one COPY TO STDOUT: header, rows, trailer. */
export class CopyEncoder {
  readonly #columns: readonly ResultColumn[]
  readonly #copy: CopyFormat
  readonly #formats: readonly ColumnFormat[]
  #prefix: readonly Uint8Array[] = []

  constructor(columns: readonly ResultColumn[], copy: CopyFormat, style: OutputStyle) {
    const context = textContext(style)
    this.#columns = columns
    this.#copy = copy
    const binary = copy.format === 'binary'
    this.#formats = columns.map((column) => ({ column, binary, context }))
  }

  header(): Uint8Array {
    // The binary signature travels in one message with what comes first, as PostgreSQL sends it.
    if (this.#copy.format === 'binary') this.#prefix = [SIGNATURE]
    if (this.#copy.format === 'binary' || !this.#copy.header) return new Uint8Array()
    const names = this.#columns.map((column, i) => this.#field(column.name, i))
    return copyData(Buffer.from(`${names.join(this.#copy.delimiter)}\n`, 'utf8'))
  }

  encode(batch: RowBatch): Uint8Array {
    assert(batch.kind !== 'encoded', 'COPY rows are not encoded before')
    const cells = this.#formats.map((format, i) => columnBytes(batch, i, format))
    const rows: Buffer[] = []
    for (let row = 0; row < rowCountOf(batch); row++) {
      const parts: Uint8Array[] = [...this.#prefix]
      this.#prefix = []
      if (this.#copy.format === 'binary') {
        const count = Buffer.alloc(2)
        count.writeInt16BE(cells.length)
        parts.push(count)
      }
      for (const [i, column] of cells.entries()) {
        const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
        const isNull = column.nulls[row] === 1
        const bytes = column.bytes.subarray(from, column.ends[row])
        if (this.#copy.format === 'binary') {
          const length = Buffer.alloc(4)
          length.writeInt32BE(isNull ? -1 : bytes.length)
          parts.push(length, bytes)
        } else {
          if (i > 0) parts.push(Buffer.from(this.#copy.delimiter))
          const text = isNull ? this.#copy.nullText : this.#field(bytes.toString('utf8'), i)
          parts.push(Buffer.from(text, 'utf8'))
        }
      }
      if (this.#copy.format !== 'binary') parts.push(Buffer.from('\n'))
      rows.push(copyData(Buffer.concat(parts)))
    }
    return Buffer.concat(rows)
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
