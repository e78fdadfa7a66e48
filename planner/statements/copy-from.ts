/** COPY FROM: rows from the client or from files into a table. */

import { SqlError, SqlState } from '../../storage/errors.js'
import { copyInPlan } from '../copy-in.js'
import { ArrowSink, ParquetSink } from './copy-file-sinks.js'
import { rowSink } from './copy-row-sink.js'
import { copyTarget } from './copy-target.js'
import type { Execution } from '../portal.js'
import type { CopyIn, CopyInSource } from '../result.js'
import type { StatementCall } from '../statement-kind.js'
import { rowRules } from '../target-table.js'
import { violationOf } from '../violated-object.js'

/** Begins a COPY FROM: the server feeds it. */
export async function copyFrom(call: StatementCall): Promise<Execution> {
  const { session, fields, cancellation } = call
  const source = await sourceOf(call)
  const into = await copyTarget(call)
  const hasChecks = rowRules(into.rules, into.name.name).length > 0
  const plan = copyInPlan(fields, into.name.name, into.columns, hasChecks)
  const { format, verbosity } = plan.format
  const sink =
    format === 'parquet'
      ? new ParquetSink(call, into, plan)
      : format === 'arrow'
        ? new ArrowSink(call, into, plan)
        : await rowSink(call, into, plan)
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
  await session.access.requireServerFiles()
  const { importFiles } = session.gateway
  const paths = await importFiles.find(fields.filename)
  return (async function* () {
    for (const path of paths) yield importFiles.read(path)
  })()
}
