/** CREATE TABLE, of the lake or of the session. */

import { SqlState } from '../../storage/errors.js'
import { runCreateTable } from '../create-table.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import type { Node } from '../syntax-tree.js'
import { temporaryDefinition } from '../temporary-definition.js'
import { isTemporary } from './temporary-table.js'

export const CREATE_TABLE: StatementKind = { open: createTable }

async function createTable(call: StatementCall): Promise<Execution> {
  const { session, statement, fields, cancellation } = call
  const range = fields.relation as Node
  if (!isTemporary(range)) {
    return runCreateTable(fields, statement.tableOptions, session.queryContext(), (message) =>
      session.notice(SqlState.successfulCompletion, message),
    )
  }
  session.requireWritable('CREATE TABLE')
  const name = String(range.relname)
  if (fields.if_not_exists === true && session.temporary.find(name) !== undefined) {
    session.notice(SqlState.duplicateTable, `relation "${name}" already exists, skipping`)
    return command('CREATE TABLE')
  }
  const definition = temporaryDefinition(statement, fields)
  await session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      await session.temporary.create(definition, connection)
    } finally {
      connection.attach(undefined)
    }
  })
  return command('CREATE TABLE')
}
