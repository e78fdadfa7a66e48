/** Portal: an executing statement that hands out its rows in as many parts as are asked for. */

import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { CopyFormat, ResultColumn, RowBatch } from './result.js'
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
  | { readonly kind: 'command'; readonly tag: string }
  | { readonly kind: 'empty' }

/** A cursor over the rows of one Execution; shared by the wire's portals and SQL's cursors. */
export class Portal {
  readonly columns: readonly ResultColumn[]
  readonly tag: (rowCount: number) => string
  /** Survives its transaction block (`DECLARE … WITH HOLD`). */
  readonly holdable: boolean
  readonly #source: RowSource
  #rest: RowBatch | null = null
  #ended = false
  #closed = false
  #position = 0

  constructor(
    execution: Extract<Execution, { kind: 'rows' | 'copy-out' }>,
    options: { readonly holdable?: boolean } = {},
  ) {
    this.columns = execution.columns
    this.tag = execution.tag
    this.#source = execution.source
    this.holdable = options.holdable ?? false
  }

  /** Rows handed out so far: 0 before the first. */
  get position(): number {
    return this.#position
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
    this.#source.attach(cancellation)
    let left = limit === 0 ? Number.POSITIVE_INFINITY : limit
    while (left > 0 && !this.#ended) {
      cancellation.check()
      const batch = this.#rest ?? (await this.#source.next())
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
