/** COPY FROM: rows from the client or from files into a table. */

import type { AddFile } from '../../storage/actions.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { resolvePath } from '../../storage/file-path.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { replaceMarkers } from '../analysis.js'
import { copiedRows, copyInPlan } from '../copy-in.js'
import { CopyLoad, type LoadTarget } from '../copy-load.js'
import { numberParameters } from '../parameter-marker.js'
import type { Execution } from '../portal.js'
import { analyze, type QueryContext } from '../query.js'
import { notSupported } from '../refusal.js'
import type { CopyIn, CopyInSource } from '../result.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall } from '../statement-kind.js'
import type { Node } from '../syntax-tree.js'
import { TableChange } from '../table-change.js'
import { type TargetColumn, targetColumns } from '../target-table.js'
import { nameOf, rulesOf, targetsOf } from '../temporary-change.js'
import { findTarget } from '../write-target.js'
import { temporaryTarget } from './temporary-table.js'

/** Begins a COPY FROM: the server feeds it. */
export async function copyFrom(call: StatementCall): Promise<Execution> {
  const { session, fields, cancellation } = call
  const source = sourceOf(session, fields)
  const into = await destination(call)
  const plan = copyInPlan(fields, into.name.name, into.columns)
  if (plan.format.format === 'parquet' || plan.format.format === 'arrow') {
    throw notSupported(`COPY FROM in ${plan.format.format}`)
  }
  const sql = await rowsText(call, plan, into)
  const load = new CopyLoad(session.pool, plan.stage, into.target(sql), cancellation)
  const copy: CopyIn = {
    table: into.name.name,
    columns: plan.columns,
    format: plan.format,
    style: session.outputStyle,
    source,
    cancellation,
    append: (batch) => load.append(batch),
    spool: () => Promise.reject(notSupported('spooling')),
    finish: async (rejected) => {
      const rowCount = await load.finish()
      if (rejected > 0 && plan.format.verbosity !== 'silent') {
        session.notice(SqlState.successfulCompletion, skipped(rejected))
      }
      return `COPY ${rowCount}`
    },
    abort: async (thrown) => {
      await load.abort()
      return thrown
    },
    notice: (message, context) => session.notice(SqlState.successfulCompletion, message, context),
  }
  return { kind: 'copy-in', copy }
}

function skipped(rows: number): string {
  return rows === 1
    ? '1 row was skipped due to data type incompatibility'
    : `${rows} rows were skipped due to data type incompatibility`
}

function sourceOf(_session: SessionContext, fields: Node): CopyInSource {
  if (fields.is_program === true) {
    throw new SqlError(
      SqlState.insufficientPrivilege,
      'permission denied to COPY to or from an external program',
      { hint: "Use COPY … FROM STDIN or psql's \\copy." },
    )
  }
  if (fields.filename !== undefined) {
    throw new SqlError(SqlState.insufficientPrivilege, 'permission denied to COPY from a file', {
      hint: "Use COPY … FROM STDIN or psql's \\copy.",
    })
  }
  return 'client'
}

/** The table that is filled. */
interface Destination {
  readonly name: { readonly layer: string; readonly name: string }
  readonly columns: readonly TargetColumn[]
  readonly rules: Pick<Snapshot, 'metadata' | 'schema'>
  /** Where rows go that `sql`, a query over the STAGE, makes. */
  readonly target: (sql: (stage: string) => string) => LoadTarget
}

async function destination({ session, statement, fields }: StatementCall): Promise<Destination> {
  const own = temporaryTarget(session, fields)
  if (own !== undefined) {
    return {
      name: nameOf(own),
      columns: targetsOf(own),
      rules: rulesOf(own),
      target: (sql) => ({
        write: (connection, stage) =>
          session.temporary.insert(
            own,
            connection,
            { sql: sql(stage), values: [] },
            (_, rowCount) => Promise.resolve(rowCount),
          ),
        apply: () => {},
        // The rows are taken back with the statement's transaction.
        undo: () => Promise.resolve(),
      }),
    }
  }
  const context = session.queryContext()
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start)
  const change = context.block.changing(table, 'COPY FROM', () => new TableChange(table, snapshot))
  return {
    name: table,
    columns: targetColumns(snapshot.schema),
    rules: snapshot,
    target: (sql) => lakeTarget(context, snapshot, change, sql),
  }
}

function lakeTarget(
  { gateway: { store } }: QueryContext,
  snapshot: Snapshot,
  change: TableChange,
  sql: (stage: string) => string,
): LoadTarget {
  const adds: AddFile[] = []
  return {
    write: async (connection, stage) => {
      const written = await writeDataFiles(store, connection, snapshot, { query: sql(stage) })
      adds.push(...written.files)
      return written.rowCount
    },
    apply: () => change.apply({ operation: 'WRITE', adds }),
    undo: async () => {
      // No version of the table names them, so nobody can be reading them.
      for (const { path } of adds) await store.delete(resolvePath(store, snapshot.tablePath, path))
    },
  }
}

/** The text that makes the table's rows of a stage's. */
async function rowsText(
  { session, statement, fields, cancellation }: StatementCall,
  plan: ReturnType<typeof copyInPlan>,
  { name, rules, columns }: Destination,
): Promise<(stage: string) => string> {
  const context = session.queryContext()
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const { query } = await analyze(statement, [], [], context, connection, true, (analysis) =>
        copiedRows(analysis, fields, plan, name, rules, columns),
      )
      return (stage) =>
        numberParameters(
          replaceMarkers(query.sql, () => stage),
          [],
        ).sql
    } finally {
      connection.attach(undefined)
    }
  })
}
