/** ChunkEncoder: rows of raw vectors to messages, slice by slice through the encoder's WASM. */

import type { CopyFormat, RowBatch } from '../planner/result.js'
import { dereference, type RowChunk } from '../storage/engine.js'
import { columnBytes, type ColumnFormat } from './column-bytes.js'
import { type EncoderColumn, EncoderKind, encoderColumn } from './encoder-column.js'
import { type EncoderModule, encoderModule } from './encoder-module.js'
import { outputBuffer } from './output-buffers.js'
import type { TextContext } from './value-text.js'

/** How rows become messages: DataRow, COPY's binary format, COPY's text and csv. */
export type RowFrame =
  | { readonly kind: 'binary'; readonly messageType: number }
  | { readonly kind: 'text'; readonly copy: CopyFormat }

type ChunkBatch = Extract<RowBatch, { kind: 'chunk' }>

/** DuckDB's vector size. */
const ROWS_MAX = 2048
const DESCRIPTOR_WORDS = 8
/** Flags of server/encoder/column.ts. */
const CARE = 1
const FORCED = 2
/** Longest null text of COPY that the encoder takes. */
const NULL_TEXT_BYTES_MAX = 100

/** One column of a batch, copied out of DuckDB; `ends` of cells begins with the first one's start. */
interface LoadedColumn {
  readonly data: Uint8Array
  readonly validity: Uint8Array | null
  readonly ends: Uint32Array | null
}

/**
 * Encodes chunks of one result.
 *
 * The encoder's memory has a fixed size and belongs to whoever is running: a slice of rows is
 * brought there, encoded and taken out before anyone else's turn. Rows that do not fit are written
 * by `exact`, in JavaScript.
 */
export class ChunkEncoder {
  readonly #formats: readonly ColumnFormat[]
  readonly #columns: readonly EncoderColumn[]
  readonly #flags: readonly number[]
  readonly #frame: RowFrame
  readonly #zone: TextContext['zone'] | undefined
  readonly #nullText: Buffer
  readonly #exact: (batch: ChunkBatch) => Uint8Array
  /** Most bytes of a row, beside strings and cells beyond 12 bytes. */
  readonly #fixedBytes: number
  /** Rows whose values and descriptors fit into the input, whatever their strings. */
  readonly #rowsFit: number
  /** Rows of the next slice: fewer while strings are long. */
  #sliceRows = ROWS_MAX

  constructor(
    formats: readonly ColumnFormat[],
    frame: RowFrame,
    exact: (batch: ChunkBatch) => Uint8Array,
  ) {
    this.#formats = formats
    this.#columns = formats.map(encoderColumn)
    this.#frame = frame
    this.#exact = exact
    this.#zone = formats[0]?.context.zone
    this.#nullText = Buffer.from(frame.kind === 'text' ? frame.copy.nullText : '', 'utf8')
    this.#flags = this.#columns.map((column, i) => flagsOf(frame, column, i))
    const escaping = frame.kind === 'text' ? 2 : 1
    this.#fixedBytes = this.#columns.reduce(
      (sum, { sizeMax }) => sum + Math.max(sizeMax * escaping + 2, this.#nullText.length) + 5,
      32,
    )
    const { inputBytes, outputBytes } = encoderModule()
    const overhead = this.#columns.length * (DESCRIPTOR_WORDS * 4 + 64) + NULL_TEXT_BYTES_MAX
    const perRow = this.#columns.reduce((sum, column) => sum + (column.bytesPerRow || 8) + 1, 0)
    const fits =
      this.#fixedBytes <= outputBytes && this.#nullText.length <= NULL_TEXT_BYTES_MAX
        ? Math.floor((inputBytes - overhead) / Math.max(perRow, 1))
        : 0
    this.#rowsFit = Math.min(ROWS_MAX, fits)
  }

  /** Whole messages for the rows of `batch`, in pieces of at most a megabyte or one row. */
  *encode(batch: ChunkBatch): Iterable<Uint8Array> {
    const loaded = this.#load(batch)
    for (let from = batch.from; from < batch.to; ) {
      const to = Math.min(batch.to, from + Math.min(this.#sliceRows, this.#rowsFit))
      const slice = to > from ? this.#slice(batch, loaded, from, to) : null
      if (slice === null) {
        if (to - from > 1) {
          this.#sliceRows = (to - from) >> 1
          continue
        }
        yield this.#exact({ ...batch, from, to: from + 1 })
        from++
        continue
      }
      yield* slice
      if (to - from === this.#sliceRows) this.#sliceRows = Math.min(ROWS_MAX, (to - from) * 2)
      from = to
    }
  }

  #load({ chunk, from, to }: ChunkBatch): readonly LoadedColumn[] {
    return this.#columns.map(({ kind, bytesPerRow }, i) => {
      if (kind === EncoderKind.cells) return this.#loadCells(chunk, i, from, to)
      const vector = chunk.column(i)
      return { data: vector.data(to, bytesPerRow), validity: vector.validity(to), ends: null }
    })
  }

  #loadCells(chunk: RowChunk, index: number, from: number, to: number): LoadedColumn {
    const format = this.#formats[index] as ColumnFormat
    const cells = columnBytes({ kind: 'chunk', chunk, from, to }, index, format)
    const ends = new Uint32Array(to - from + 1)
    ends.set(cells.ends, 1)
    let validity: Uint8Array | null = null
    if (cells.nulls.includes(1)) {
      validity = new Uint8Array((to + 7) >> 3)
      for (let row = from; row < to; row++) {
        if (cells.nulls[row - from] === 0) {
          validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7))
        }
      }
    }
    return { data: cells.bytes, validity, ends }
  }

  /** The messages of some rows; null when their values do not fit into the encoder's memory. */
  #slice(
    batch: ChunkBatch,
    loaded: readonly LoadedColumn[],
    from: number,
    to: number,
  ): Uint8Array[] | null {
    const encoder = encoderModule()
    // Bits of validity are moved by whole bytes, so values are as well.
    const base = from & ~7
    if (!this.#place(encoder, loaded, batch.from, base, from, to)) return null
    const { exports, inputAt } = encoder
    const count = this.#columns.length
    const runCount = exports.findStrings(inputAt, count, from - base, to - base)
    if (runCount < 0) return null
    const runsAt = encoder.runsAt >> 2
    for (let run = runsAt; run < runsAt + runCount * 4; run += 4) {
      const size = encoder.words[run + 2] as number
      const place = encoder.words[run + 3] as number
      encoder.bytes.set(dereference(exports.memory.buffer, run * 4, size), place)
    }
    if (this.#zone !== undefined) encoder.useZone(this.#zone)
    const pieces: Uint8Array[] = []
    for (let row = from; row < to; ) {
      const next = base + this.#write(encoder, row - base, to - base)
      if (next > row) pieces.push(taken(encoder, this.#frame))
      if (next < to && next === row) {
        pieces.push(this.#exact({ ...batch, from: row, to: row + 1 }))
        row++
      } else row = next
    }
    return pieces
  }

  /** Brings descriptors and values of rows `base` to `to` to the encoder; false when they do not fit. */
  #place(
    { bytes, words, inputAt, inputBytes }: EncoderModule,
    loaded: readonly LoadedColumn[],
    batchFrom: number,
    base: number,
    from: number,
    to: number,
  ): boolean {
    const end = inputAt + inputBytes
    let at = inputAt + this.#columns.length * DESCRIPTOR_WORDS * 4
    bytes.set(this.#nullText, at)
    at += NULL_TEXT_BYTES_MAX + (-NULL_TEXT_BYTES_MAX & 7)
    for (const [i, { kind, bytesPerRow, scale }] of this.#columns.entries()) {
      const { data, validity, ends } = loaded[i] as LoadedColumn
      const word = (inputAt >> 2) + i * DESCRIPTOR_WORDS
      words[word] = kind
      words[word + 4] = scale
      words[word + 5] = this.#flags[i] ?? 0
      if (ends === null) {
        bytes.set(data.subarray(base * bytesPerRow, to * bytesPerRow), at)
        words[word + 1] = at
        at += (to - base) * bytesPerRow
      } else {
        const [first, last] = [from - batchFrom, to - batchFrom]
        const begin = ends[first] ?? 0
        const size = (ends[last] ?? 0) - begin
        if (at + size + (last - first) * 4 + 64 > end) return false
        words.set(ends.subarray(first, last + 1), at >> 2)
        words[word + 3] = at - (from - base) * 4
        at += (last - first + 1) * 4
        bytes.set(data.subarray(begin, begin + size), at)
        words[word + 1] = at - begin
        at += size
      }
      at += -at & 7
      words[word + 2] = 0
      if (validity !== null) {
        bytes.set(validity.subarray(base >> 3, (to + 7) >> 3), at)
        words[word + 2] = at
        at += ((to + 7) >> 3) - (base >> 3)
        at += -at & 7
      }
    }
    return at <= end
  }

  /** Encodes rows into the output; answers the row that did not fit, or `to`. */
  #write(
    { exports, inputAt, outputAt, outputBytes }: EncoderModule,
    from: number,
    to: number,
  ): number {
    const count = this.#columns.length
    const limit = outputAt + outputBytes
    const fixed = this.#fixedBytes
    if (this.#frame.kind === 'binary') {
      const type = this.#frame.messageType
      return exports.writeBinaryRows(inputAt, count, from, to, type, fixed, outputAt, limit)
    }
    const { format, delimiter, quote, escape: escaping } = this.#frame.copy
    exports.setCopy(
      format === 'csv',
      delimiter.charCodeAt(0),
      quote.charCodeAt(0),
      escaping.charCodeAt(0),
      inputAt + count * DESCRIPTOR_WORDS * 4,
      this.#nullText.length,
    )
    return exports.writeTextRows(inputAt, count, from, to, fixed, outputAt, limit)
  }
}

/** The output's rows in bytes of their own. */
function taken({ exports, bytes, outputAt }: EncoderModule, frame: RowFrame): Uint8Array {
  const end = frame.kind === 'binary' ? exports.rowsEnd : exports.textRowsEnd
  const size = end.value - outputAt
  const out = outputBuffer(size)
  out.set(bytes.subarray(outputAt, outputAt + size))
  return out
}

/** What numbers, times and uuids are made of. */
const PLAIN = /[0-9A-Za-z+\-:. ]/

/** Whether a column's values may have to be escaped or quoted, or always are. */
function flagsOf(frame: RowFrame, { kind }: EncoderColumn, index: number): number {
  if (frame.kind === 'binary') return 0
  const { format, delimiter, quote, nullText, forceQuote } = frame.copy
  const special = format === 'csv' ? delimiter + quote : delimiter
  const anyBytes =
    kind === EncoderKind.cells || kind === EncoderKind.bytes || kind === EncoderKind.hex
  const care = anyBytes || PLAIN.test(special) || (format === 'csv' && PLAIN.test(nullText))
  const forced = format === 'csv' && (forceQuote === 'all' || forceQuote.includes(index))
  return (care ? CARE : 0) | (forced ? FORCED : 0)
}
