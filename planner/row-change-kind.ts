/** RowChangeKind: which statements change single rows of a lake table, and how each is planned. */

import { planMerge } from './merge.js'
import type { ParsedStatement } from './parse.js'
import type { QueryContext } from './query.js'
import type { RowChangeKind } from './row-change.js'
import { planRowUpdate } from './row-update.js'
import { kindOf, type Node } from './syntax-tree.js'
import { planUpsert } from './upsert.js'

/** How `statement` changes rows; undefined for an INSERT that only adds, and for all others. */
export function rowChangeKind(
  statement: ParsedStatement,
  fields: Node,
  { schemaEvolution }: Pick<QueryContext, 'schemaEvolution'> = { schemaEvolution: false },
): RowChangeKind | undefined {
  switch (statement.tree === null ? '' : kindOf(statement.tree)) {
    case 'UpdateStmt':
      return update('UPDATE', fields)
    case 'DeleteStmt':
      return update('DELETE', fields)
    case 'MergeStmt':
      return {
        operation: 'MERGE',
        command: 'MERGE',
        privileges: [],
        plan: (analysis, table, snapshot) =>
          planMerge(analysis, fields, table, snapshot, {
            stars: statement.mergeStars,
            evolves: statement.mergeEvolves === true || schemaEvolution,
          }),
      }
    case 'InsertStmt':
      if (fields.onConflictClause === undefined) return undefined
      return {
        operation: 'MERGE',
        command: 'INSERT',
        privileges: ['INSERT'],
        plan: (analysis, table, snapshot) => planUpsert(analysis, fields, table, snapshot),
      }
    default:
      return undefined
  }
}

function update(kind: 'UPDATE' | 'DELETE', fields: Node): RowChangeKind {
  return {
    operation: kind,
    command: kind,
    privileges: [kind],
    plan: (analysis, table, snapshot) => planRowUpdate(analysis, fields, kind, table, snapshot),
  }
}
