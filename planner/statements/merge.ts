/** MERGE. */

import type { Node } from '../syntax-tree.js'
import { notSupported } from '../refusal.js'
import type { ParsedStatement } from '../parse.js'
import { describeRowChange, runRowChange } from '../apply-rows.js'
import type { QueryContext } from '../query.js'
import type { RowChangeKind } from '../row-change.js'
import { rowChangeKind } from '../row-change-kind.js'
import { assert } from '../../storage/errors.js'
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
      kindFor(statement, fields, context),
    )
    return { parameterTypes: parametersFound(shape, parameterTypes), columns }
  },
  open: ({ session, statement, fields, values, oids, cancellation }) => {
    if (temporaryTarget(session, fields) !== undefined)
      throw notSupported('MERGE INTO a temporary table')
    const context = session.queryContext()
    return runRowChange(
      { statement, fields, values, oids, context, cancellation },
      kindFor(statement, fields, context),
    )
  },
}

function kindFor(statement: ParsedStatement, fields: Node, context: QueryContext): RowChangeKind {
  const kind = rowChangeKind(statement, fields, context)
  assert(kind !== undefined, 'a MERGE changes rows')
  return kind
}
