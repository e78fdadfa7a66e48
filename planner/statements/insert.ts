/** INSERT. */

import { describeRowChange, runRowChange } from '../apply-rows.js'
import { rowChangeKind } from '../row-change-kind.js'
import { describeInsert, type InsertSettings, runInsert } from '../insert.js'
import { notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { describeTemporaryInsert, insertTemporary } from '../temporary-change.js'
import { parametersFound } from './change.js'
import { temporaryTarget } from './temporary-table.js'

export const INSERT: StatementKind = {
  describe: async (shape) => {
    const { session, statement, fields, oids } = shape
    const table = temporaryTarget(session, fields)
    const context = session.queryContext()
    const upsert = rowChangeKind(statement, fields, context)
    const { parameterTypes, columns } =
      table === undefined
        ? upsert !== undefined
          ? await describeRowChange({ statement, fields, oids, context }, upsert)
          : await describeInsert(statement, fields, oids, context, insertSettings(session))
        : await describeTemporaryInsert(statement, fields, oids, context, table)
    return { parameterTypes: parametersFound(shape, parameterTypes), columns }
  },
  open: ({ session, statement, fields, values, oids, cancellation }) => {
    const table = temporaryTarget(session, fields)
    const context = session.queryContext()
    const upsert = rowChangeKind(statement, fields, context)
    const { byName, overwrite, replaceWhere } = statement.insertOptions
    const isPlain = !byName && !overwrite && replaceWhere === undefined
    if (table !== undefined && !isPlain) {
      throw notSupported('INSERT OVERWRITE, BY NAME and REPLACE WHERE on a temporary table')
    }
    if (fields.onConflictClause !== undefined && !isPlain) {
      throw notSupported('ON CONFLICT with OVERWRITE, BY NAME and REPLACE WHERE')
    }
    if (table === undefined && upsert !== undefined) {
      return runRowChange({ statement, fields, values, oids, context, cancellation }, upsert)
    }
    return table === undefined
      ? runInsert(statement, fields, values, context, cancellation, oids, insertSettings(session))
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

function insertSettings({ settings }: SessionContext): InsertSettings {
  return {
    dynamicPartitions: settings.get('lakegate.partition_overwrite_mode') === 'dynamic',
    schemaEvolution: settings.get('lakegate.schema_evolution') === 'on',
  }
}
