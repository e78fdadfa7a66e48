/** CopyLoad: the rows of a COPY FROM on their way into a table, kept in the engine's memory batch by batch. */

import type { Cancellation } from '../storage/cancellation.js'
import type { BatchColumn, ColumnBatch } from '../storage/column-batch.js'
import type { Appender, Engine, EngineConnection } from '../storage/engine.js'
import type { EnginePool } from './engine-pool.js'

/**
 * Bytes of rows that are kept before they are written: what is written is one data file or more,
 * and twice as much may be in memory, since rows arrive while those before are written.
 */
const STAGE_BYTES = 128 * 1024 * 1024

/** A column of the rows as they are kept. */
export interface StageColumn {
  readonly name: string
  /** DuckDB's. */
  readonly type: string
}

/** Where the rows of a load go. */
export interface LoadTarget {
  /** Writes the rows of `stage`, a DuckDB relation, and answers how many have become the table's. */
  write(connection: EngineConnection, stage: string): Promise<number>
  /** Makes what has been written part of the statement's outcome. */
  apply(): void
  /** Removes what has been written. */
  undo(): Promise<void>
}

let nextLoad = 1

/** One load; `finish` or `abort` ends it. */
export class CopyLoad {
  readonly #engine: Engine
  readonly #pool: EnginePool
  readonly #columns: readonly StageColumn[]
  readonly #target: LoadTarget
  readonly #cancellation: Cancellation
  readonly #schema = `lakegate_copy_${nextLoad++}`
  #connection: EngineConnection | undefined
  #appender: Appender | undefined
  #stage = 0
  #stageBytes = 0
  #writing: Promise<void> | undefined
  #rowCount = 0

  constructor(
    engine: Engine,
    pool: EnginePool,
    columns: readonly StageColumn[],
    target: LoadTarget,
    cancellation: Cancellation,
  ) {
    this.#engine = engine
    this.#pool = pool
    this.#columns = columns
    this.#target = target
    this.#cancellation = cancellation
  }

  async append(batch: ColumnBatch): Promise<void> {
    this.#cancellation.check()
    const appender = this.#appender ?? (await this.#begin())
    appender.append(batch)
    this.#stageBytes += sizeBytes(batch)
    if (this.#stageBytes >= STAGE_BYTES) await this.#flush()
  }

  /** Writes what is left, waits for all, and answers the number of rows that are the table's now. */
  async finish(): Promise<number> {
    await this.#flush()
    await this.#writing
    this.#cancellation.check()
    this.#target.apply()
    await this.#release()
    return this.#rowCount
  }

  async abort(): Promise<void> {
    this.#appender?.discard()
    this.#appender = undefined
    await this.#writing?.catch(() => {})
    // What ended the load is what the client is told; an engine that closes has forgotten the rows.
    await this.#release().catch(() => {})
    await this.#target.undo().catch(() => {})
  }

  async #begin(): Promise<Appender> {
    if (this.#connection === undefined) {
      // Its own, not the session's: the rows are dropped when the session has ended, too.
      this.#connection = await this.#engine.connect()
      await this.#connection.run(`CREATE SCHEMA memory.${this.#schema}`)
    }
    const columns = this.#columns.map(({ name, type }) => `${name} ${type}`)
    const table = `rows_${++this.#stage}`
    await this.#connection.run(
      `CREATE TABLE memory.${this.#schema}.${table} (${columns.join(', ')})`,
    )
    this.#appender = this.#connection.appender(this.#schema, table)
    return this.#appender
  }

  /** Hands the rows that are kept to the writer, once it is done with those before. */
  async #flush(): Promise<void> {
    const appender = this.#appender
    if (appender === undefined) return
    this.#appender = undefined
    this.#stageBytes = 0
    appender.close()
    const stage = `memory.${this.#schema}.rows_${this.#stage}`
    await this.#writing
    this.#writing = this.#write(stage)
    // Whoever waits for it next is told of its failure; until then it must not count as unhandled.
    this.#writing.catch(() => {})
  }

  async #write(stage: string): Promise<void> {
    await this.#pool.with(async (connection) => {
      connection.attach(this.#cancellation)
      try {
        this.#rowCount += await this.#target.write(connection, stage)
        await connection.run(`DROP TABLE ${stage}`)
      } finally {
        connection.attach(undefined)
      }
    })
  }

  async #release(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    if (connection === undefined) return
    try {
      await connection.run(`DROP SCHEMA memory.${this.#schema} CASCADE`)
    } finally {
      connection.close()
    }
  }
}

function sizeBytes(batch: ColumnBatch): number {
  let size = 0
  for (const heap of batch.heaps) size += heap.length
  for (const column of batch.columns) size += columnBytes(column, batch.rowCount)
  return size
}

function columnBytes(column: BatchColumn, rowCount: number): number {
  switch (column.kind) {
    case 'fixed':
      return rowCount * column.bytesPerRow
    case 'bytes':
      return rowCount * 16
    case 'list':
      return rowCount * 16 + columnBytes(column.child, column.childCount)
    case 'struct':
      return column.children.reduce((sum, child) => sum + columnBytes(child, rowCount), rowCount)
  }
}
