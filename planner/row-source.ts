/** RowSource: where a portal pulls its rows from, batch by batch. */

import type { EngineConnection, EnginePrepared, RowStream } from '../storage/engine.js'
import type { Cancellation } from '../storage/cancellation.js'
import type { Scalar } from '../storage/engine-value.js'
import { assert } from '../storage/errors.js'
import type { RowBatch } from './result.js'

/**
 * Rows of one executing statement.
 *
 * `next` answers null after the last batch and throws when the statement failed half-way; `close`
 * may be called at any time, more than once, and frees what the statement held.
 */
export interface RowSource {
  next(): Promise<RowBatch | null>
  /** Puts the work that follows under another statement's right to be stopped. */
  attach(cancellation: Cancellation): void
  close(): Promise<void>
}

/** Rows streamed out of DuckDB on a connection of their own, which `release` takes back. */
export class StreamSource implements RowSource {
  readonly #connection: EngineConnection
  readonly #prepared: EnginePrepared
  readonly #stream: RowStream
  readonly #release: (connection: EngineConnection) => void
  #closed = false
  #unregister: () => void = () => {}

  constructor(
    connection: EngineConnection,
    prepared: EnginePrepared,
    stream: RowStream,
    release: (connection: EngineConnection) => void,
  ) {
    this.#connection = connection
    this.#prepared = prepared
    this.#stream = stream
    this.#release = release
  }

  attach(cancellation: Cancellation): void {
    if (this.#closed) return
    this.#unregister()
    this.#connection.attach(cancellation)
    // Rows that wait in the stream's buffer need no call of DuckDB: the stream itself is told too.
    this.#unregister = cancellation.onCancel((reason) => this.#stream.abort(reason))
  }

  async next(): Promise<RowBatch | null> {
    if (this.#closed) return null
    const chunk = await this.#stream.next()
    if (chunk === null) {
      await this.close()
      return null
    }
    return { kind: 'chunk', chunk, from: 0, to: chunk.rowCount }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#unregister()
    await this.#stream.close()
    this.#prepared.destroy()
    this.#connection.attach(undefined)
    this.#release(this.#connection)
  }
}

/** Rows that exist already: what the gateway answers itself, and what another engine encoded. */
export class ReadySource implements RowSource {
  #batches: readonly RowBatch[]

  constructor(batches: readonly RowBatch[]) {
    this.#batches = batches
  }

  static ofRows(rows: readonly (readonly Scalar[])[]): ReadySource {
    return new ReadySource([{ kind: 'values', rows }])
  }

  attach(): void {}

  next(): Promise<RowBatch | null> {
    const [first, ...rest] = this.#batches
    this.#batches = rest
    return Promise.resolve(first ?? null)
  }

  close(): Promise<void> {
    this.#batches = []
    return Promise.resolve()
  }
}

/** Rows in a batch. */
export function batchRows(batch: RowBatch): number {
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

/** The first `rowCount` rows of a batch, and the rest; 0 < rowCount < rows in the batch. */
export function splitBatch(batch: RowBatch, rowCount: number): readonly [RowBatch, RowBatch] {
  switch (batch.kind) {
    case 'chunk':
    case 'relayed': {
      const middle = batch.from + rowCount
      return [
        { ...batch, to: middle },
        { ...batch, from: middle },
      ]
    }
    case 'values':
      return [
        { kind: 'values', rows: batch.rows.slice(0, rowCount) },
        { kind: 'values', rows: batch.rows.slice(rowCount) },
      ]
    case 'encoded': {
      const view = new DataView(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength)
      let offset = 0
      for (let row = 0; row < rowCount; row++) {
        assert(offset + 5 <= batch.bytes.length, 'an encoded batch holds whole DataRow messages')
        offset += 1 + view.getInt32(offset + 1)
      }
      return [
        { kind: 'encoded', bytes: batch.bytes.subarray(0, offset), rowCount },
        {
          kind: 'encoded',
          bytes: batch.bytes.subarray(offset),
          rowCount: batch.rowCount - rowCount,
        },
      ]
    }
  }
}
