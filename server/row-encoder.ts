/** RowEncoder: batches of rows to DataRow messages, column by column. */

import type { OutputStyle, ResultColumn, RowBatch } from '../planner/result.js'
import { type ColumnBytes, columnBytes, type ColumnFormat } from './column-bytes.js'
import { textContext } from './value-text.js'

/** Encodes the rows of one result; `formats` has one code per column. */
export class RowEncoder {
  readonly #formats: readonly ColumnFormat[]

  constructor(columns: readonly ResultColumn[], formats: readonly (0 | 1)[], style: OutputStyle) {
    const context = textContext(style)
    this.#formats = columns.map((column, i) => ({ column, binary: formats[i] === 1, context }))
  }

  /** Whole DataRow messages for the rows of `batch`. */
  encode(batch: RowBatch): Uint8Array {
    if (batch.kind === 'encoded') return batch.bytes
    const columns = this.#formats.map((format, i) => columnBytes(batch, i, format))
    return frameRows(columns, rowCountOf(batch))
  }
}

/** Rows in a batch. */
export function rowCountOf(batch: RowBatch): number {
  switch (batch.kind) {
    case 'chunk':
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
    out[at] = 0x44
    out.writeInt16BE(columns.length, at + 5)
    at += 7
    for (const column of columns) {
      if (column.nulls[row] === 1) {
        out.writeInt32BE(-1, at)
        at += 4
        continue
      }
      const from = row === 0 ? 0 : (column.ends[row - 1] ?? 0)
      const to = column.ends[row] ?? 0
      const length = to - from
      out.writeInt32BE(length, at)
      at += 4
      at = copyCell(column.bytes, from, to, out, at)
    }
    out.writeInt32BE(at - start - 1, start + 1)
  }
  return out
}

/** Short cells byte by byte: a call of the native copy costs more than they do. */
function copyCell(bytes: Buffer, from: number, to: number, out: Buffer, at: number): number {
  const length = to - from
  if (length > 40) bytes.copy(out, at, from, to)
  else for (let i = 0; i < length; i++) out[at + i] = bytes[from + i] ?? 0
  return at + length
}
