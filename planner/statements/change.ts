/** UPDATE and DELETE. */

import { type PgType, pgType } from '../../catalog/pg-types.js'
import { describeRowChange, runRowChange } from '../apply-rows.js'
import type { ParsedStatement } from '../parse.js'
import type { RowChangeKind } from '../row-change.js'
import { rowChangeKind } from '../row-change-kind.js'
import { assert } from '../../storage/errors.js'
import { returningNodes } from '../returning.js'
import { declaredParameters, type StatementKind, type StatementShape } from '../statement-kind.js'
import type { Node } from '../syntax-tree.js'
import { runDeleteAll } from '../truncate.js'
import { changeTemporary, describeTemporaryChange } from '../temporary-change.js'
import { temporaryTarget } from './temporary-table.js'

export const UPDATE: StatementKind = changeKind('UPDATE')

export const DELETE: StatementKind = changeKind('DELETE')

/** The parameters' types: as declared, else as the analysis found them. */
export function parametersFound(
  shape: StatementShape,
  found: readonly (PgType | undefined)[],
): readonly PgType[] {
  return declaredParameters(shape).map((type, i) =>
    (shape.oids[i] ?? 0) === 0 ? pgType(found[i]?.oid ?? type.oid) : type,
  )
}

function changeKind(kind: 'UPDATE' | 'DELETE'): StatementKind {
  return {
    describe: async (shape) => {
      const { session, statement, fields, oids } = shape
      const table = temporaryTarget(session, fields)
      const context = session.queryContext()
      if (table !== undefined) {
        const found = await describeTemporaryChange(statement, fields, kind, oids, context, table)
        return { parameterTypes: parametersFound(shape, found), columns: null }
      }
      const { parameterTypes, columns } = await describeRowChange(
        { statement, fields, oids, context },
        kindFor(statement, fields),
      )
      return { parameterTypes: parametersFound(shape, parameterTypes), columns }
    },
    open: ({ session, statement, fields, values, oids, cancellation }) => {
      const table = temporaryTarget(session, fields)
      const context = session.queryContext()
      const call = { statement, fields, values, oids, context, cancellation }
      if (table !== undefined) return changeTemporary(session.temporary, table, kind, call)
      return kind === 'DELETE' && isWhole(fields)
        ? runDeleteAll(statement, fields, context)
        : runRowChange(call, kindFor(statement, fields))
    },
  }
}

function kindFor(statement: ParsedStatement, fields: Node): RowChangeKind {
  const kind = rowChangeKind(statement, fields)
  assert(kind !== undefined, 'UPDATE and DELETE change rows')
  return kind
}

/** Whether a DELETE takes every row, and shows none. */
function isWhole(fields: Node): boolean {
  return (
    fields.whereClause === undefined &&
    fields.usingClause === undefined &&
    fields.withClause === undefined &&
    returningNodes(fields).length === 0
  )
}
