/** CREATE SCHEMA: a layer. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import { somebody } from '../role-change.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf } from '../syntax-tree.js'
import { requireBecoming } from './owner.js'

export const CREATE_SCHEMA: StatementKind = { open: createSchema }

async function createSchema({ session, fields }: StatementCall): Promise<Execution> {
  session.requireWritable('CREATE SCHEMA')
  if (listOf(fields.schemaElts).length > 0) throw notSupported('CREATE SCHEMA with elements')
  const { access, gateway } = session
  await access.requireDatabase('CREATE', gateway.database)
  let owner = await access.owner()
  if (fields.authrole !== undefined) {
    owner = somebody(fields.authrole, session)
    requireBecoming(await access.actor(), owner)
  }
  const name = typeof fields.schemaname === 'string' ? fields.schemaname : (owner ?? '')
  try {
    const catalog = await session.changingCatalog()
    await catalog.createLayer(name, undefined, {}, owner)
  } catch (thrown) {
    const exists = thrown instanceof SqlError && thrown.sqlState === SqlState.duplicateSchema
    if (!exists || fields.if_not_exists !== true) throw thrown
    session.notice(SqlState.duplicateSchema, `schema "${name}" already exists, skipping`)
  }
  return command('CREATE SCHEMA')
}
