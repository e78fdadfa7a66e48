/** COPY FROM: rows from the client or from files into a table. */

import type { AddFile } from '../../storage/actions.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { type EngineConnection, quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { escapeGlob, resolvePath } from '../../storage/file-path.js'
import type { ObjectStore, Staging } from '../../storage/object-store.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { requireWritable } from '../../storage/table-protocol.js'
import { replaceMarkers } from '../analysis.js'
import {
  copiedRows,
  type CopyInPlan,
  copyInPlan,
  type CopySources,
  fileSources,
  stagedSources,
} from '../copy-in.js'
import { CopyLoad, type LoadTarget } from '../copy-load.js'
import { FULFILLED } from '../fulfilled.js'
import { numberParameters } from '../parameter-marker.js'
import type { Execution } from '../portal.js'
import { analyzePlan } from '../query.js'
import { notSupported } from '../refusal.js'
import type { CopyIn, CopyInSource } from '../result.js'
import type { StatementCall } from '../statement-kind.js'
import { listOf, type Node } from '../syntax-tree.js'
import { TableChange } from '../table-change.js'
import { rowRules, type TargetColumn, targetColumns } from '../target-table.js'
import { nameOf, rulesOf, targetsOf } from '../temporary-change.js'
import { violationOf } from '../violated-object.js'
import { findTarget } from '../write-target.js'
import { temporaryTarget } from './temporary-table.js'

/** Begins a COPY FROM: the server feeds it. */
export async function copyFrom(call: StatementCall): Promise<Execution> {
  const { session, fields, cancellation } = call
  const source = await sourceOf(call)
  const into = await destination(call)
  const hasChecks = rowRules(into.rules, into.name.name).length > 0
  const plan = copyInPlan(fields, into.name.name, into.columns, hasChecks)
  const { format, verbosity } = plan.format
  if (format === 'arrow') {
    throw notSupported('COPY FROM in arrow', 'Use FORMAT parquet, csv or binary.')
  }
  const sink =
    format === 'parquet' ? new ParquetSink(call, into, plan) : await rowSink(call, into, plan)
  const copy: CopyIn = {
    table: into.name.name,
    columns: plan.columns,
    format: plan.format,
    style: session.outputStyle,
    source,
    withLines: plan.withLines,
    cancellation,
    append: (batch) => sink.append(batch),
    spool: (file, bytes) => sink.spool(file, bytes),
    finish: async (rejected) => {
      const rowCount = await sink.finish()
      if (rejected > 0 && verbosity !== 'silent') {
        session.notice(SqlState.successfulCompletion, skipped(rejected))
      }
      return `COPY ${rowCount}`
    },
    abort: async (thrown) => {
      await sink.abort()
      return violationOf(thrown, into.name)
    },
    notice: (message, context) => session.notice(SqlState.successfulCompletion, message, context),
  }
  return { kind: 'copy-in', copy }
}

type Sink = Pick<CopyIn, 'append' | 'spool'> & {
  finish(): Promise<number>
  abort(): Promise<void>
}

function skipped(rows: number): string {
  return rows === 1
    ? '1 row was skipped due to data type incompatibility'
    : `${rows} rows were skipped due to data type incompatibility`
}

async function sourceOf({ session, fields }: StatementCall): Promise<CopyInSource> {
  if (fields.is_program === true) {
    throw new SqlError(
      SqlState.insufficientPrivilege,
      'permission denied to COPY to or from an external program',
      { hint: "Use COPY … FROM STDIN or psql's \\copy." },
    )
  }
  if (typeof fields.filename !== 'string') return 'client'
  const { importFiles } = session.gateway
  const paths = await importFiles.find(fields.filename)
  return (async function* () {
    for (const path of paths) yield importFiles.read(path)
  })()
}

/** The table that is filled. */
interface Destination {
  readonly name: { readonly layer: string; readonly name: string }
  readonly columns: readonly TargetColumn[]
  readonly rules: Pick<Snapshot, 'metadata' | 'schema'>
  /** The folder in which what is on its way may be kept. */
  readonly folder: string
  /** Takes the rows that `sql` makes, and answers how many. */
  readonly write: (connection: EngineConnection, sql: string) => Promise<number>
  readonly apply: () => void
  readonly undo: () => Promise<void>
}

async function destination({ session, statement, fields }: StatementCall): Promise<Destination> {
  const own = temporaryTarget(session, fields)
  if (own !== undefined) {
    return {
      name: nameOf(own),
      columns: targetsOf(own),
      rules: rulesOf(own),
      folder: '',
      write: (connection, sql) =>
        session.temporary.insert(own, connection, { sql, values: [] }, (_, rowCount) =>
          Promise.resolve(rowCount),
        ),
      apply: () => {},
      // The rows are taken back with the statement's transaction.
      undo: () => Promise.resolve(),
    }
  }
  const context = session.queryContext()
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  const change = context.block.changing(table, 'COPY FROM', () => new TableChange(table, snapshot))
  const { tablePath, protocol, metadata, schema } = snapshot
  // Refused before hours of data have been sent, not when they are to be committed.
  requireWritable(tablePath, protocol, metadata, schema, FULFILLED)
  const columns = targetColumns(schema)
  if (columns.some(({ identity }) => identity !== undefined)) {
    throw notSupported('COPY FROM into a table with identity columns', 'Use INSERT.')
  }
  const { store } = context.gateway
  const adds: AddFile[] = []
  return {
    name: table,
    columns,
    rules: snapshot,
    folder: snapshot.tablePath,
    write: async (connection, query) => {
      const written = await writeDataFiles(store, connection, snapshot, { query })
      adds.push(...written.files)
      return written.rowCount
    },
    apply: () => change.apply({ operation: 'WRITE', adds }),
    undo: () => removeFiles(store, snapshot.tablePath, adds),
  }
}

/** Removes files that no version of the table names, so that nobody can be reading them. */
async function removeFiles(
  store: ObjectStore,
  tablePath: string,
  adds: readonly AddFile[],
): Promise<void> {
  for (const { path } of adds) await store.delete(resolvePath(store, tablePath, path))
}

/** The text that makes the table's rows of a stage's. */
async function rowsText(
  { session, statement, fields }: StatementCall,
  { name, rules, columns }: Destination,
  sources: CopySources,
  hasDefaults: boolean,
  connection: EngineConnection,
): Promise<(stage: string) => string> {
  const context = session.queryContext()
  const { query } = await analyzePlan(statement, [], [], context, connection, true, (analysis) =>
    copiedRows(analysis, fields, sources, name, rules, columns, hasDefaults),
  )
  return (stage) =>
    numberParameters(
      replaceMarkers(query.sql, () => stage),
      [],
    ).sql
}

type Plan = CopyInPlan & { readonly targets: readonly TargetColumn[] }

/** Rows that the server decodes. */
async function rowSink(call: StatementCall, into: Destination, plan: Plan): Promise<Sink> {
  const { session, cancellation } = call
  const hasDefaults = plan.format.defaultText !== null
  const sources = stagedSources(plan.targets)
  const sql = await session.pool.with((connection) =>
    rowsText(call, into, sources, hasDefaults, connection),
  )
  const target: LoadTarget = {
    write: async (connection, stage) => {
      try {
        return await into.write(connection, sql(stage))
      } catch (thrown) {
        if (!plan.withLines) throw thrown
        throw await located(thrown, connection, stage, sql, into.name.name)
      }
    },
    apply: into.apply,
    undo: into.undo,
  }
  const load = new CopyLoad(session.gateway.engine, session.pool, plan.stage, target, cancellation)
  return {
    append: (batch) => load.append(batch),
    spool: () => Promise.reject(new Error('assertion failed: rows are not spooled')),
    finish: () => load.finish(),
    abort: () => load.abort(),
  }
}

/**
 * The error of rows that the engine refused, with the line of the first of them.
 *
 * The engine does not tell rows apart, so it is asked again for fewer and fewer of them.
 */
async function located(
  thrown: unknown,
  connection: EngineConnection,
  stage: string,
  sql: (stage: string) => string,
  table: string,
): Promise<unknown> {
  if (!(thrown instanceof SqlError) || !/^2[23]/.test(thrown.sqlState)) return thrown
  const fails = async (count: number): Promise<SqlError | null> => {
    const first = `(SELECT * FROM ${stage} WHERE rowid < ${count})`
    try {
      await connection.run(`COPY (${sql(first)}\n) TO '/dev/null' (FORMAT csv)`)
      return null
    } catch (other) {
      if (other instanceof SqlError && other.sqlState === thrown.sqlState) return other
      throw other
    }
  }
  try {
    const [[rowCount] = []] = await connection.query(`SELECT count(*) FROM ${stage}`)
    let good = 0
    let bad = Number(rowCount ?? 0)
    let error = await fails(bad)
    if (error === null) return thrown
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2)
      const found = await fails(middle)
      if (found === null) good = middle
      else [bad, error] = [middle, found]
    }
    const [[line] = []] = await connection.query(
      `SELECT line FROM ${stage} WHERE rowid = ${bad - 1}`,
    )
    return error.within(`COPY ${table}, line ${line}`)
  } catch {
    return thrown
  }
}

/** Parquet files that the engine reads once they are whole. */
class ParquetSink implements Sink {
  readonly #call: StatementCall
  readonly #into: Destination
  readonly #plan: Plan
  #staging: Staging | undefined
  #files = 0

  constructor(call: StatementCall, into: Destination, plan: Plan) {
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
    const sources = fileSources(columns, targets, this.#into.name.name, listed)
    const sql = await rowsText(this.#call, this.#into, sources, false, connection)
    return this.#into.write(connection, sql(relation))
  }

  async abort(): Promise<void> {
    await this.#staging?.discard()
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
