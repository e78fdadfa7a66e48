/** INSERT. */

import { describeRowChange, type RowChangeKind, runRowChange } from '../apply-rows.js'
import { describeInsert, runInsert } from '../insert.js'
import type { StatementKind } from '../statement-kind.js'
import { describeTemporaryInsert, insertTemporary } from '../temporary-change.js'
import type { Node } from '../syntax-tree.js'
import { planUpsert } from '../upsert.js'
import { parametersFound } from './change.js'
import { temporaryTarget } from './temporary-table.js'

export const INSERT: StatementKind = {
  describe: async (shape) => {
    const { session, statement, fields, oids } = shape
    const table = temporaryTarget(session, fields)
    const context = session.queryContext()
    const { parameterTypes, columns } =
      table === undefined
        ? fields.onConflictClause !== undefined
          ? await describeRowChange({ statement, fields, oids, context }, upsert(fields))
          : await describeInsert(statement, fields, oids, context)
        : await describeTemporaryInsert(statement, fields, oids, context, table)
    return { parameterTypes: parametersFound(shape, parameterTypes), columns }
  },
  open: ({ session, statement, fields, values, oids, cancellation }) => {
    const table = temporaryTarget(session, fields)
    const context = session.queryContext()
    if (table === undefined && fields.onConflictClause !== undefined) {
      return runRowChange(
        { statement, fields, values, oids, context, cancellation },
        upsert(fields),
      )
    }
    return table === undefined
      ? runInsert(statement, fields, values, context, cancellation, oids)
      : insertTemporary(session.temporary, table, {
          statement,
          fields,
          values,
          oids,
          context,
          cancellation,
        })
  },
}

function upsert(fields: Node): RowChangeKind {
  return {
    operation: 'MERGE',
    tag: (rowCount) => `INSERT 0 ${rowCount}`,
    plan: (analysis, table, snapshot) => planUpsert(analysis, fields, table, snapshot),
  }
}
