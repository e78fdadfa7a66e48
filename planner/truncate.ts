/** Truncate: statements that take every row of a table away, without reading any. */

import { UNKNOWN } from '../storage/predicate.js'
import { fileRowCounts } from '../storage/file-rows.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import type { QueryContext } from './query.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { TableChange } from './table-change.js'
import { findTarget } from './write-target.js'

/** Executes TRUNCATE: every file leaves the table, and stays for time travel. */
export async function runTruncate(
  statement: ParsedStatement,
  fields: Node,
  context: QueryContext,
): Promise<Execution> {
  for (const relation of listOf(fields.relations)) {
    const range = nodeOf(relation, 'RangeVar') ?? {}
    const { table, snapshot } = await findTarget(range, context, statement.start, ['TRUNCATE'])
    const change = context.block.changing(
      table,
      'TRUNCATE TABLE',
      () => new TableChange(table, snapshot),
    )
    const files = [...snapshot.files]
    change.apply({ operation: 'TRUNCATE', removes: files, reads: [{ predicate: UNKNOWN, files }] })
  }
  return { kind: 'command', tag: 'TRUNCATE TABLE' }
}

/** Executes a DELETE without a condition; its rows are counted by statistics. */
export async function runDeleteAll(
  statement: ParsedStatement,
  fields: Node,
  context: QueryContext,
): Promise<Execution> {
  const range = fields.relation as Node
  const { table, snapshot } = await findTarget(range, context, statement.start, ['DELETE'])
  const change = context.block.changing(table, 'DELETE', () => new TableChange(table, snapshot))
  const files = [...snapshot.files]
  const counts = await context.pool.with((connection) =>
    fileRowCounts(context.gateway.store, connection, files),
  )
  const rowCount = files.reduce(
    (sum, file, i) => sum + (counts[i] ?? 0) - (file.deletionVector?.cardinality ?? 0),
    0,
  )
  change.apply({
    operation: 'DELETE',
    removes: files,
    reads: [{ predicate: UNKNOWN, files }],
  })
  return { kind: 'command', tag: `DELETE ${rowCount}` }
}
