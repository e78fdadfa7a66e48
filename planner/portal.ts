/** Portal: an executing statement that hands out its rows in as many parts as are asked for. */

import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { CopyFormat, CopyIn, ResultColumn, RowBatch } from './result.js'
import { batchRows, type RowSource, splitBatch } from './row-source.js'

/** What opening a statement gives: rows to pull, or the tag of what has been done. */
export type Execution =
  | {
      readonly kind: 'rows'
      readonly columns: readonly ResultColumn[]
      readonly source: RowSource
      readonly tag: (rowCount: number) => string
    }
  | {
      readonly kind: 'copy-out'
      readonly columns: readonly ResultColumn[]
      readonly copy: CopyFormat
      readonly source: RowSource
      readonly tag: (rowCount: number) => string
    }
  | { readonly kind: 'copy-in'; readonly copy: CopyIn }
  | { readonly kind: 'command'; readonly tag: string }
  | { readonly kind: 'empty' }

/** A cursor over the rows of one Execution; shared by the wire's portals and SQL's cursors. */
export class Portal {
  readonly columns: readonly ResultColumn[]
  readonly tag: (rowCount: number) => string
  readonly #source: RowSource
  #rest: RowBatch | null = null
  #ended = false
  #closed = false
  #failed = false
  #position = 0

  constructor(execution: Extract<Execution, { kind: 'rows' | 'copy-out' }>) {
    this.columns = execution.columns
    this.tag = execution.tag
    this.#source = execution.source
  }

  /** Rows handed out so far: 0 before the first. */
  get position(): number {
    return this.#position
  }

  /** Whether rows have been asked for at all. */
  get hasBegun(): boolean {
    return this.#position > 0 || this.#ended
  }

  /** Whether the last row handed out is the current one: neither before the first nor past the end. */
  get onRow(): boolean {
    return this.#position > 0 && !this.#ended
  }

  /** Whether every row has been handed out and the end has been seen. */
  get ended(): boolean {
    return this.#ended
  }

  /**
   * Pulls up to `limit` rows (0: all that is left).
   *
   * After the last batch `ended` tells whether the portal is exhausted: with a limit it stays
   * false when exactly `limit` rows were there, as in PostgreSQL, which has not looked further.
   */
  async *pull(limit: number, cancellation: Cancellation): AsyncGenerator<RowBatch, void, void> {
    if (this.#closed) {
      throw new SqlError(SqlState.invalidCursorName, 'the portal has been closed')
    }
    if (this.#failed) {
      throw new SqlError(SqlState.objectNotInPrerequisiteState, 'the portal cannot be run')
    }
    this.#source.attach(cancellation)
    let left = limit === 0 ? Number.POSITIVE_INFINITY : limit
    while (left > 0 && !this.#ended) {
      cancellation.check()
      const batch = this.#rest ?? (await this.#next())
      this.#rest = null
      if (batch === null) {
        this.#ended = true
        return
      }
      const rows = batchRows(batch)
      if (rows === 0) continue
      if (rows > left) {
        const [head, tail] = splitBatch(batch, left)
        this.#rest = tail
        this.#position += left
        yield head
        return
      }
      left -= rows
      this.#position += rows
      yield batch
    }
  }

  /** After a failure no row is to be had: what DuckDB has left of the stream is not the rest. */
  async #next(): Promise<RowBatch | null> {
    try {
      return await this.#source.next()
    } catch (thrown) {
      this.#failed = true
      throw thrown
    }
  }

  /** Passes over up to `limit` rows (0: all) and answers how many there were. */
  async skip(limit: number, cancellation: Cancellation): Promise<number> {
    let skipped = 0
    for await (const batch of this.pull(limit, cancellation)) skipped += batchRows(batch)
    return skipped
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#rest = null
    await this.#source.close()
  }
}
