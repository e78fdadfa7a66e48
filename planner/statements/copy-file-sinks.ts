/** CopyFileSinks: files of a COPY FROM whose columns have names, Parquet and Arrow. */

import { columnBatches } from '../../storage/arrow-batch.js'
import type { ArrowField } from '../../storage/arrow-schema.js'
import { type ArrowEvent, ArrowStream } from '../../storage/arrow-stream.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from '../../storage/engine.js'
import { printEngineType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { escapeGlob } from '../../storage/file-path.js'
import type { Staging } from '../../storage/object-store.js'
import { fileSources, type TargetedPlan } from '../copy-in.js'
import { CopyLoad, type LoadTarget } from '../copy-load.js'
import type { StatementCall } from '../statement-kind.js'
import { listOf } from '../syntax-tree.js'
import type { CopySink } from './copy-row-sink.js'
import { copyRows, type CopyTarget } from './copy-target.js'

/** Parquet files that the engine reads once they are whole. */
export class ParquetSink implements CopySink {
  readonly #call: StatementCall
  readonly #into: CopyTarget
  readonly #plan: TargetedPlan
  #staging: Staging | undefined
  #files = 0

  constructor(call: StatementCall, into: CopyTarget, plan: TargetedPlan) {
    this.#call = call
    this.#into = into
    this.#plan = plan
  }

  append(): Promise<void> {
    return Promise.reject(new Error('assertion failed: Parquet is not decoded here'))
  }

  async spool(file: number, bytes: Uint8Array): Promise<void> {
    this.#call.cancellation.check()
    const { store } = this.#call.session.gateway
    this.#staging ??= await store.openStaging(this.#into.folder)
    this.#files = file + 1
    await this.#staging.append(`copy-${file}.parquet`, bytes)
  }

  async finish(): Promise<number> {
    const { session, cancellation } = this.#call
    const folder = this.#staging?.engineUrl
    let rowCount = 0
    await session.pool.with(async (connection) => {
      connection.attach(cancellation)
      try {
        for (let file = 0; folder !== undefined && file < this.#files; file++) {
          rowCount += await this.#take(connection, `${folder}/copy-${file}.parquet`)
        }
      } finally {
        connection.attach(undefined)
      }
    })
    cancellation.check()
    if (this.#files === 0) throw notParquet(undefined)
    this.#into.apply()
    await this.#staging?.discard()
    return rowCount
  }

  async #take(connection: EngineConnection, path: string): Promise<number> {
    const { targets } = this.#plan
    const listed = listOf(this.#call.fields.attlist).length > 0
    const relation = `read_parquet(${quoteLiteral(escapeGlob(path))}, hive_partitioning = false)`
    let columns: Awaited<ReturnType<EngineConnection['prepare']>>['columns']
    try {
      const prepared = await connection.prepare(`SELECT * FROM ${relation}`)
      columns = prepared.columns
      prepared.destroy()
    } catch (thrown) {
      throw notParquet(thrown)
    }
    const named = columns.map((column) => ({ ...column, sql: `s.${quoteIdentifier(column.name)}` }))
    const sources = fileSources(named, targets, this.#into.name.name, listed)
    const rows = await copyRows(this.#call, this.#into, sources, false, connection)
    return this.#into.write(connection, rows, relation)
  }

  async abort(): Promise<void> {
    await this.#staging?.discard()
    await this.#into.undo()
  }
}

/** Arrow streams and files, whose batches are taken as they arrive. */
export class ArrowSink implements CopySink {
  readonly #call: StatementCall
  readonly #into: CopyTarget
  readonly #plan: TargetedPlan
  #file = 0
  #stream = new ArrowStream()
  #fields: readonly ArrowField[] = []
  #load: CopyLoad | undefined
  #rowCount = 0

  constructor(call: StatementCall, into: CopyTarget, plan: TargetedPlan) {
    this.#call = call
    this.#into = into
    this.#plan = plan
  }

  append(): Promise<void> {
    return Promise.reject(new Error('assertion failed: Arrow is not decoded there'))
  }

  async spool(file: number, bytes: Uint8Array): Promise<void> {
    if (file !== this.#file) await this.#endFile()
    this.#file = file
    await this.#take(this.#stream.push(bytes))
  }

  async #take(events: Iterable<ArrowEvent>): Promise<void> {
    for (const event of events) {
      this.#call.cancellation.check()
      if (event.kind === 'schema') await this.#begin(event.fields)
      else {
        for (const batch of columnBatches(this.#fields, event.batch)) {
          await this.#load?.append(batch)
        }
      }
    }
  }

  /** What is read is known: from here on rows are kept and written. */
  async #begin(fields: readonly ArrowField[]): Promise<void> {
    const { session, cancellation } = this.#call
    const columns = fields.map(({ name, type }, i) => ({ name, type, sql: `s.c${i + 1}` }))
    const listed = listOf(this.#call.fields.attlist).length > 0
    const { targets } = this.#plan
    const sources = fileSources(columns, targets, this.#into.name.name, listed)
    const rows = await session.pool.with((connection) =>
      copyRows(this.#call, this.#into, sources, false, connection),
    )
    if (columns.length === 0) {
      throw new SqlError(SqlState.badCopyFileFormat, 'the Arrow data have no columns')
    }
    const stage = fields.map(({ type }, i) => ({
      name: `c${i + 1}`,
      // Columns without a type are vectors of one byte a row.
      type: type.kind === 'scalar' && type.name === 'SQLNULL' ? 'BOOLEAN' : printEngineType(type),
    }))
    const target: LoadTarget = {
      write: (connection, relation) => this.#into.write(connection, rows, relation),
      apply: () => {},
      undo: () => Promise.resolve(),
    }
    this.#fields = fields
    this.#load = new CopyLoad(session.gateway.engine, session.pool, stage, target, cancellation)
  }

  async #endFile(): Promise<void> {
    await this.#take(this.#stream.end())
    this.#rowCount += (await this.#load?.finish()) ?? 0
    this.#load = undefined
    this.#stream = new ArrowStream()
  }

  async finish(): Promise<number> {
    await this.#endFile()
    this.#into.apply()
    return this.#rowCount
  }

  async abort(): Promise<void> {
    await this.#load?.abort()
    await this.#into.undo()
  }
}

function notParquet(cause: unknown): unknown {
  if (cause instanceof SqlError && !FILE_FAULTS.has(cause.sqlState)) return cause
  return new SqlError(SqlState.badCopyFileFormat, 'COPY data is not a valid Parquet file', {
    cause,
  })
}

/** What the engine calls files that it cannot read. */
const FILE_FAULTS: ReadonlySet<string> = new Set([
  SqlState.ioError,
  SqlState.invalidParameterValue,
  SqlState.internalError,
  SqlState.dataException,
  SqlState.featureNotSupported,
])
