/** CopyRowSink: rows of a COPY FROM that the server decodes, kept and written batch by batch. */

import type { EngineConnection } from '../../storage/engine.js'
import { SqlError } from '../../storage/errors.js'
import { stagedSources, type TargetedPlan } from '../copy-in.js'
import { CopyLoad, type LoadTarget } from '../copy-load.js'
import type { CopyIn } from '../result.js'
import type { StatementCall } from '../statement-kind.js'
import { type CopyRows, copyRows, type CopyTarget } from './copy-target.js'

/** Takes what the server hands on; `finish` or `abort` ends it. */
export type CopySink = Pick<CopyIn, 'append' | 'spool'> & {
  finish(): Promise<number>
  abort(): Promise<void>
}

/** Rows that the server decodes. */
export async function rowSink(
  call: StatementCall,
  into: CopyTarget,
  plan: TargetedPlan,
): Promise<CopySink> {
  const { session, cancellation } = call
  const hasDefaults = plan.format.defaultText !== null
  const sources = stagedSources(plan.targets)
  const rows = await session.pool.with((connection) =>
    copyRows(call, into, sources, hasDefaults, connection),
  )
  const target: LoadTarget = {
    write: async (connection, stage) => {
      try {
        return await into.write(connection, rows, stage)
      } catch (thrown) {
        if (!plan.withLines) throw thrown
        throw await located(thrown, connection, stage, rows, into.name.name)
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
  rows: CopyRows,
  table: string,
): Promise<unknown> {
  if (!(thrown instanceof SqlError) || !/^2[23]/.test(thrown.sqlState)) return thrown
  const fails = async (count: number): Promise<SqlError | null> => {
    const first = `(SELECT * FROM ${stage} WHERE rowid < ${count})`
    try {
      await connection.run(`COPY (${rows.sql(first, 0n)}\n) TO '/dev/null' (FORMAT csv)`)
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
