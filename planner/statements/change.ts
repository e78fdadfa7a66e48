/** UPDATE and DELETE. */

import { type PgType, pgType } from '../../catalog/pg-types.js'
import { describeChange, runChange } from '../change-rows.js'
import { declaredParameters, type StatementKind, type StatementShape } from '../statement-kind.js'
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
      const found =
        table === undefined
          ? await describeChange(statement, fields, kind, oids, context)
          : await describeTemporaryChange(statement, fields, kind, oids, context, table)
      return { parameterTypes: parametersFound(shape, found), columns: null }
    },
    open: ({ session, statement, fields, values, oids, cancellation }) => {
      const table = temporaryTarget(session, fields)
      const context = session.queryContext()
      return table === undefined
        ? runChange(statement, fields, kind, values, context, cancellation, oids)
        : changeTemporary(session.temporary, table, kind, {
            statement,
            fields,
            values,
            oids,
            context,
            cancellation,
          })
    },
  }
}
