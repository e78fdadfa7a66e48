/** UPDATE and DELETE. */

import { type PgType, pgType } from '../../catalog/pg-types.js'
import { describeRowChange, type RowChangeKind, runRowChange } from '../apply-rows.js'
import { returningNodes } from '../returning.js'
import { planRowUpdate } from '../row-update.js'
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
        rowChange(kind, fields),
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
        : runRowChange(call, rowChange(kind, fields))
    },
  }
}

function rowChange(kind: 'UPDATE' | 'DELETE', fields: Node): RowChangeKind {
  return {
    operation: kind,
    tag: (rowCount) => `${kind} ${rowCount}`,
    plan: (analysis, table, snapshot) => planRowUpdate(analysis, fields, kind, table, snapshot),
  }
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
