/** CREATE TABLE, of the lake or of the session. */

import { SqlState } from '../../storage/errors.js'
import { runCreateTable } from '../run-create-table.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import type { Node } from '../syntax-tree.js'
import type { TableOptions } from '../table-clauses.js'
import { temporaryDefinition } from '../temporary-definition.js'
import { isTemporary } from './temporary-table.js'

export const CREATE_TABLE: StatementKind = { open: createTable }

async function createTable(call: StatementCall): Promise<Execution> {
  const { session, statement, fields, cancellation } = call
  const range = fields.relation as Node
  if (!isTemporary(range)) {
    return runCreateTable(
      fields,
      statement,
      session.queryContext(),
      (message, sqlState = SqlState.successfulCompletion) => session.notice(sqlState, message),
    )
  }
  session.requireReadWrite('CREATE TABLE')
  await session.access.requireTemporary(session.gateway.database)
  requirePlain(statement.tableOptions)
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

/** 0A000 for what only tables of the lake have. */
export function requirePlain(options: TableOptions): void {
  const { orReplace, like, clusterColumns, location } = options
  if (orReplace) throw notSupported('CREATE OR REPLACE of a temporary table')
  if (like !== undefined) throw notSupported('LIKE in a temporary table')
  if (clusterColumns.length > 0) throw notSupported('CLUSTER BY of a temporary table')
  if (location !== undefined) throw notSupported('LOCATION of a temporary table')
}
