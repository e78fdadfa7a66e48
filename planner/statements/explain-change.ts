/** EXPLAIN of statements that change lake tables. */

import {
  explainRowChange,
  type RowChangeCall,
  type RowChangeReport,
  runRowChange,
} from '../apply-rows.js'
import { planInsert } from '../insert.js'
import type { Execution } from '../portal.js'
import { type ScannedTable, withTranslation } from '../query.js'
import { type RowChangeKind, tagOf } from '../row-change.js'
import { rowChangeKind } from '../row-change-kind.js'
import type { Node } from '../syntax-tree.js'
import { findTarget } from '../write-target.js'

/**
 * The lines of a plan. With `analyze` the statement is executed, an INSERT by `execute`, as PostgreSQL
 * does, and they tell what became of each file.
 */
export async function explainChange(
  call: RowChangeCall,
  analyze: boolean,
  describe: (scan: ScannedTable) => string,
  execute: () => Promise<Execution>,
): Promise<readonly string[]> {
  const kind = rowChangeKind(call.statement, call.fields, call.context)
  if (kind === undefined) return explainInsert(call, analyze, describe, execute)
  if (analyze) return executed(call, kind, describe)
  const { target, scans, plan } = await explainRowChange(call, kind)
  return [
    `${titleOf(kind)} on ${target.name}`,
    `  ${describe(target)}`,
    ...scans.map((scan) => `  ${describe(scan)}`),
    ...plan.split('\n'),
  ]
}

async function executed(
  call: RowChangeCall,
  kind: RowChangeKind,
  describe: (scan: ScannedTable) => string,
): Promise<readonly string[]> {
  let report: RowChangeReport | undefined
  const started = performance.now()
  await runRowChange(call, kind, (made) => {
    report = made
  })
  if (report === undefined) return []
  const { table, scan, fates, counts } = report
  const name = `${table.layer}.${table.name}`
  const of = (fate: string): number => fates.filter((one) => one.kind === fate).length
  const rowCount = counts.updated + counts.deleted + counts.inserted
  return [
    `${titleOf(kind)} on ${name} (${tagOf(kind, rowCount)})`,
    `  ${describe({ name, scan })}`,
    `  Files with changed rows: ${fates.length} (${of('remove')} dropped, ${of('rewrite')} rewritten, ${of('vector')} given a deletion vector)`,
    `  Rows: ${counts.updated} updated, ${counts.deleted} deleted, ${counts.inserted} inserted`,
    `Execution Time: ${(performance.now() - started).toFixed(3)} ms`,
  ]
}

function titleOf({ command }: RowChangeKind): string {
  return command.charAt(0) + command.slice(1).toLowerCase()
}

async function explainInsert(
  call: RowChangeCall,
  analyze: boolean,
  describe: (scan: ScannedTable) => string,
  execute: () => Promise<Execution>,
): Promise<readonly string[]> {
  const { statement, fields, values, context, cancellation } = call
  const { table, snapshot } = await findTarget(fields.relation as Node, context, statement.start, [
    'INSERT',
  ])
  const name = `${table.layer}.${table.name}`
  if (analyze) {
    const started = performance.now()
    const done = await execute()
    const tag = done.kind === 'command' ? done.tag : done.kind === 'rows' ? done.tag(0) : ''
    const ended = performance.now()
    return [`Insert on ${name} (${tag})`, `Execution Time: ${(ended - started).toFixed(3)} ms`]
  }
  return withTranslation(
    statement,
    values,
    context,
    cancellation,
    async (connection, sql, scans, bound) => {
      const rows = await connection.query(`EXPLAIN ${sql}`, bound)
      return [
        `Insert on ${name}`,
        ...scans.map((scan) => `  ${describe(scan)}`),
        ...rows.flatMap((row) => String(row.at(-1) ?? '').split('\n')),
      ]
    },
    (analysis) => planInsert(analysis, fields, table, snapshot, undefined, statement.insertOptions),
  )
}
