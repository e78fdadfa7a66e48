/** MERGE. */

import type { Node } from '../syntax-tree.js'
import { notSupported } from '../refusal.js'
import { planMerge } from '../merge.js'
import type { ParsedStatement } from '../parse.js'
import { describeRowChange, type RowChangeKind, runRowChange } from '../apply-rows.js'
import type { StatementKind } from '../statement-kind.js'
import { parametersFound } from './change.js'
import { temporaryTarget } from './temporary-table.js'

export const MERGE: StatementKind = {
  describe: async (shape) => {
    const { session, statement, fields, oids } = shape
    if (temporaryTarget(session, fields) !== undefined)
      throw notSupported('MERGE INTO a temporary table')
    const context = session.queryContext()
    const { parameterTypes, columns } = await describeRowChange(
      { statement, fields, oids, context },
      kindOf(statement, fields),
    )
    return { parameterTypes: parametersFound(shape, parameterTypes), columns }
  },
  open: ({ session, statement, fields, values, oids, cancellation }) => {
    if (temporaryTarget(session, fields) !== undefined)
      throw notSupported('MERGE INTO a temporary table')
    const context = session.queryContext()
    return runRowChange(
      { statement, fields, values, oids, context, cancellation },
      kindOf(statement, fields),
    )
  },
}

function kindOf(statement: ParsedStatement, fields: Node): RowChangeKind {
  return {
    operation: 'MERGE',
    tag: (rowCount) => `MERGE ${rowCount}`,
    plan: (analysis, table, snapshot) =>
      planMerge(analysis, fields, statement.mergeStars, table, snapshot),
  }
}
