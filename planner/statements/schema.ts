/** CREATE SCHEMA: a layer. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf } from '../syntax-tree.js'

export const CREATE_SCHEMA: StatementKind = { open: createSchema }

async function createSchema({ session, fields }: StatementCall): Promise<Execution> {
  session.requireWritable('CREATE SCHEMA')
  if (listOf(fields.schemaElts).length > 0) throw notSupported('CREATE SCHEMA with elements')
  const name = String(fields.schemaname ?? '')
  try {
    await (await session.changingCatalog()).createLayer(name)
  } catch (thrown) {
    const exists = thrown instanceof SqlError && thrown.sqlState === SqlState.duplicateSchema
    if (!exists || fields.if_not_exists !== true) throw thrown
    session.notice(SqlState.duplicateSchema, `schema "${name}" already exists, skipping`)
  }
  return command('CREATE SCHEMA')
}
