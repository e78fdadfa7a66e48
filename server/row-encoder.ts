/** RowEncoder: batches of rows to DataRow messages. */

import type { OutputStyle, ResultColumn, RowBatch } from '../planner/result.js'
import { ChunkEncoder } from './chunk-encoder.js'
import { type ColumnBytes, columnBytes, type ColumnFormat } from './column-bytes.js'
import { textContext } from './value-text.js'

const DATA_ROW = 0x44

/** Encodes the rows of one result; `formats` has one code per column. */
export class RowEncoder {
  readonly #formats: readonly ColumnFormat[]
  readonly #chunks: ChunkEncoder

  constructor(columns: readonly ResultColumn[], formats: readonly (0 | 1)[], style: OutputStyle) {
    const context = textContext(style)
    this.#formats = columns.map((column, i) => ({ column, binary: formats[i] === 1, context }))
    this.#chunks = new ChunkEncoder(
      this.#formats,
      { kind: 'binary', messageType: DATA_ROW },
      (one) => this.#exact(one),
    )
  }

  /** Whole DataRow messages for the rows of `batch`, in pieces that may be sent one by one. */
  encode(batch: RowBatch): Iterable<Uint8Array> {
    switch (batch.kind) {
      case 'chunk':
        return this.#chunks.encode(batch)
      case 'values':
        return [this.#exact(batch)]
      case 'encoded':
        return [batch.bytes]
      case 'relayed': {
        const formats = this.#formats.map(({ binary }) => (binary ? 1 : 0))
        return [batch.rows.messages(formats, batch.from, batch.to) ?? this.#exact(batch)]
      }
    }
  }

  #exact(batch: Exclude<RowBatch, { kind: 'encoded' }>): Uint8Array {
    const columns = this.#formats.map((format, i) => columnBytes(batch, i, format))
    return frameRows(columns, rowCountOf(batch))
  }
}

/** Rows in a batch. */
export function rowCountOf(batch: RowBatch): number {
  switch (batch.kind) {
    case 'chunk':
    case 'relayed':
      return batch.to - batch.from
    case 'values':
      return batch.rows.length
    case 'encoded':
      return batch.rowCount
  }
}

function frameRows(columns: readonly ColumnBytes[], rowCount: number): Buffer {
  const perRow = 7 + columns.length * 4
  const total = columns.reduce(
    (sum, column) => sum + (column.ends[rowCount - 1] ?? 0),
    rowCount * perRow,
  )
  const out = Buffer.allocUnsafe(total)
  let at = 0
  for (let row = 0; row < rowCount; row++) {
    const start = at
    out[at] = DATA_ROW
    out[at + 5] = columns.length >> 8
    out[at + 6] = columns.length & 255
    at += 7
    for (const column of columns) {
      if (column.nulls[row] === 1) {
        at = writeLength(out, -1, at)
        continue
      }
      const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
      const to = column.ends[row] ?? 0
      at = writeLength(out, to - from, at)
      at = copyCell(column.bytes, from, to, out, at)
    }
    writeLength(out, at - start - 1, start + 1)
  }
  return out
}

/** A 32-bit length at `at`; answers where it ends. By bytes: Buffer's own methods check too much. */
export function writeLength(out: Buffer, length: number, at: number): number {
  out[at] = length >>> 24
  out[at + 1] = (length >>> 16) & 255
  out[at + 2] = (length >>> 8) & 255
  out[at + 3] = length & 255
  return at + 4
}

/** Short cells byte by byte: a call of the native copy costs more than they do. */
export function copyCell(bytes: Buffer, from: number, to: number, out: Buffer, at: number): number {
  const length = to - from
  if (length > 64) bytes.copy(out, at, from, to)
  else for (let i = 0; i < length; i++) out[at + i] = bytes[from + i] ?? 0
  return at + length
}
