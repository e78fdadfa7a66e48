/** CopyDecoder: the bytes of a COPY FROM as rows of its table, in text, csv and binary. */

import type { CopyIn } from '../planner/result.js'
import type { BatchColumn } from '../storage/column-batch.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { BinarySplitter } from './copy-binary.js'
import {
  type ColumnContext,
  type ColumnDecoder,
  columnDecoder,
  defaultVector,
  lineVector,
  MadeBytes,
} from './copy-columns.js'
import { CopyFields, FIELD_STRIDE, NULL_FIELD } from './copy-fields.js'
import { CsvSplitter, type Splitter, TextSplitter } from './copy-text.js'
import { BATCH_ROWS } from '../storage/column-batch.js'

/** Bytes that are collected before they are decoded. */
const COLLECT_BYTES = 1024 * 1024

/** Bytes a single row may have. */
const ROW_BYTES_MAX = 128 * 1024 * 1024

/** Bytes of a value or a line that an error shows. */
const SHOWN_BYTES = 100

/**
 * Decodes what it is given piece by piece, however it was cut, and appends rows to a CopyIn.
 *
 * Errors are SqlErrors that tell the line and the column as PostgreSQL does; rows before it may
 * have been appended.
 */
export class CopyDecoder {
  readonly #copy: CopyIn
  readonly #names: readonly string[]
  readonly #context: ColumnContext
  readonly #decoders: readonly ColumnDecoder[]
  readonly #fields: CopyFields
  readonly #rejected = new Uint8Array(BATCH_ROWS)
  #splitter: Splitter
  #end = 0
  #decodeAt = COLLECT_BYTES
  #rejectedCount = 0

  constructor(copy: CopyIn) {
    this.#copy = copy
    this.#names = copy.columns.map((column) => column.name)
    this.#context = {
      style: copy.style,
      binary: copy.format.format === 'binary',
      made: new MadeBytes(),
      rawStart: 0,
    }
    this.#decoders = copy.columns.map((column, i) => columnDecoder(column, i, this.#context))
    this.#fields = new CopyFields(copy.columns.length, COLLECT_BYTES + COLLECT_BYTES / 4)
    this.#splitter = this.#newSplitter()
  }

  #newSplitter(): Splitter {
    const { format } = this.#copy
    switch (format.format) {
      case 'text':
        return new TextSplitter(format, this.#names)
      case 'csv':
        return new CsvSplitter(format, this.#names)
      default:
        return new BinarySplitter(this.#names)
    }
  }

  /** Rows left out so far. */
  get rejectedCount(): number {
    return this.#rejectedCount
  }

  /** Takes more bytes; where it answers a promise, the next call has to wait for it. */
  push(bytes: Uint8Array): Promise<void> | undefined {
    const fields = this.#fields
    if (this.#end + bytes.length > fields.capacity) {
      const needed = this.#end + bytes.length
      if (needed > ROW_BYTES_MAX) {
        throw new SqlError(SqlState.programLimitExceeded, 'a row of COPY data is too long').within(
          `COPY ${this.#copy.table}`,
        )
      }
      fields.grow(Math.min(Math.max(needed, fields.capacity * 2), ROW_BYTES_MAX), this.#end)
    }
    fields.bytes.set(bytes, this.#end)
    this.#end += bytes.length
    return this.#end < this.#decodeAt ? undefined : this.#decode(false)
  }

  /** The bytes have come to their end; what is pushed next is another file. */
  async end(): Promise<void> {
    await this.#decode(true)
    this.#end = 0
    this.#decodeAt = COLLECT_BYTES
    this.#splitter = this.#newSplitter()
  }

  async #decode(final: boolean): Promise<void> {
    const fields = this.#fields
    const splitter = this.#splitter
    let at = 0
    for (;;) {
      fields.clear()
      const start = at
      at = splitter.split(fields, start, this.#end, final)
      const { failure } = splitter
      if (fields.rowCount > 0) await this.#take(start)
      // A row may have been left out along with what is wrong with it.
      if (failure !== null && splitter.failure !== null) {
        throw this.#located(failure.error, failure.line, failure.shown, failure.column)
      }
      if (at === start && fields.rowCount === 0 && failure === null) break
    }
    fields.clear()
    // In binary what follows the trailer is looked at, in text it is not.
    if (splitter.ended && this.#copy.format.format !== 'binary') at = this.#end
    fields.bytes.copyWithin(0, at, this.#end)
    this.#end -= at
    // A long row is looked at again only when there is much more of it.
    this.#decodeAt = Math.max(COLLECT_BYTES, this.#end * 2)
  }

  /** Decodes the rows that have been found and appends them. */
  async #take(start: number): Promise<void> {
    const fields = this.#fields
    this.#context.rawStart = start
    const found = fields.rowCount
    let columns = this.#columns()
    if (columns === null) {
      // Rows were left out: the others are decoded anew, in their places.
      if (this.#splitter.failure?.isRow === true && this.#rejected[found - 1] === 1) {
        this.#splitter.pass()
      }
      fields.remove(this.#rejected)
      if (fields.rowCount === 0) return
      columns = this.#columns()
    }
    if (this.#splitter.failure?.isRow === true) return
    const raw = fields.bytes.subarray(
      start,
      Math.max(start, fields.rowEnds[fields.rowCount - 1] ?? 0),
    )
    await this.#copy.append({
      rowCount: fields.rowCount,
      columns: columns ?? [],
      heaps: [
        raw,
        fields.bytes.subarray(fields.capacity, fields.resolvedEnd),
        this.#context.made.bytes,
      ],
    })
  }

  /** The vectors of all columns; null when rows had to be rejected. */
  #columns(): BatchColumn[] | null {
    const fields = this.#fields
    const { ignoreErrors } = this.#copy.format
    this.#context.made.clear()
    this.#rejected.fill(0)
    let rejects = false
    let limit = fields.rowCount
    let first: SqlError | null = null
    for (const [i, decoder] of this.#decoders.entries()) {
      decoder.begin()
      for (let from = 0; ; ) {
        const failure = decoder.decode(fields, from, limit)
        if (failure === null) break
        const error = this.#valueError(failure.error, failure.row, i)
        // What is not supported, or too much, is no fault of the value.
        if (!ignoreErrors || !error.sqlState.startsWith('22')) {
          first = error
          limit = failure.row
          break
        }
        this.#reject(failure.row, i, error)
        rejects = true
        from = failure.row + 1
      }
    }
    this.#requireNotNull(limit)
    if (first !== null) throw first
    if (rejects) return null
    const columns = this.#decoders.map((decoder) => decoder.vector(fields.rowCount))
    const { format, withLines } = this.#copy
    const made = [...columns]
    if (format.defaultText !== null) made.push(...columns.map((_, i) => defaultVector(fields, i)))
    if (withLines) made.push(lineVector(fields))
    return made
  }

  #reject(row: number, column: number, error: SqlError): void {
    const { format } = this.#copy
    const fields = this.#fields
    this.#rejected[row] = 1
    this.#rejectedCount++
    if (format.verbosity === 'verbose') {
      const line = fields.lines[row]
      this.#copy.notice(
        `skipping row due to data type incompatibility at line ${line} for column "${this.#names[column]}": ${this.#shownField(row, column)}`,
        error.context,
      )
    }
    if (this.#rejectedCount > format.rejectLimit) {
      throw new SqlError(
        SqlState.invalidTextRepresentation,
        `skipped more than REJECT_LIMIT (${format.rejectLimit}) rows due to data type incompatibility`,
        { context: error.context },
      )
    }
    for (let i = 0; i < fields.columnCount; i++) fields.starts[i * FIELD_STRIDE + row] = NULL_FIELD
  }

  /** 23502 for the first of the rows before `limit` that has a null where none may be. */
  #requireNotNull(limit: number): void {
    const { starts } = this.#fields
    let row = limit
    let name = ''
    for (const [i, column] of this.#copy.columns.entries()) {
      if (!column.notNull) continue
      const base = i * FIELD_STRIDE
      for (let at = 0; at < row; at++) {
        if ((starts[base + at] as number) >= 0 || this.#rejected[at] === 1) continue
        row = at
        name = column.name
      }
    }
    if (row === limit) return
    const { lines, rowStarts, rowEnds } = this.#fields
    throw this.#located(
      new SqlError(
        SqlState.notNullViolation,
        `null value in column "${name}" of relation "${this.#copy.table}" violates not-null constraint`,
      ),
      lines[row] ?? 0,
      [rowStarts[row] ?? 0, rowEnds[row] ?? 0],
    )
  }

  #valueError(error: SqlError, row: number, column: number): SqlError {
    const { table } = this.#copy
    const place = `COPY ${table}, line ${this.#fields.lines[row]}, column ${this.#names[column]}`
    return error.within(this.#context.binary ? place : `${place}: ${this.#shownField(row, column)}`)
  }

  #shownField(row: number, column: number): string {
    const { starts, ends } = this.#fields
    const index = column * FIELD_STRIDE + row
    const start = starts[index] as number
    return start < 0 ? 'null input' : this.#shown(start, ends[index] as number)
  }

  #located(
    error: SqlError,
    line: number | null,
    shown: readonly [number, number] | null,
    column?: string,
  ): SqlError {
    if (line === null) return error
    const place = `COPY ${this.#copy.table}, line ${line}`
    if (column !== undefined) return error.within(`${place}, column ${column}`)
    if (shown === null || this.#context.binary) return error.within(place)
    return error.within(`${place}: ${this.#shown(...shown)}`)
  }

  /** Some of the bytes in quotes, never half a character. */
  #shown(start: number, end: number): string {
    const { bytes } = this.#fields
    if (end - start <= SHOWN_BYTES) {
      return `"${Buffer.from(bytes.subarray(start, end)).toString('utf8')}"`
    }
    let cut = start + SHOWN_BYTES
    while (cut > start && ((bytes[cut] as number) & 0xc0) === 0x80) cut--
    return `"${Buffer.from(bytes.subarray(start, cut)).toString('utf8')}..."`
  }
}
