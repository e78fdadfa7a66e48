/** LOCK TABLE and CREATE INDEX: what tools ask for and a lake gives another way. */

import { SqlError, SqlState } from '../../storage/errors.js'
import { command } from '../ready-rows.js'
import { needsTransactionBlock, notSupported, undefinedRelation } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { listOf, type Node, nodeOf } from '../syntax-tree.js'
import { rangeName, temporaryTableNamed } from './temporary-table.js'

/** ROW EXCLUSIVE: the strongest mode that lets others write. */
const ROW_EXCLUSIVE = 3

/**
 * LOCK TABLE: the block reads the table as it is now, from here on.
 *
 * Writers are not kept out, neither here nor in other engines: who conflicts learns it at COMMIT
 * (40001). A NOTICE says so for the modes that would keep them out.
 */
export const LOCK: StatementKind = {
  open: async ({ session, fields }) => {
    if (!session.inExplicitBlock) throw needsTransactionBlock('LOCK TABLE')
    const block = session.explicitBlock('LOCK TABLE')
    for (const item of listOf(fields.relations)) {
      const name = rangeName(nodeOf(item, 'RangeVar') ?? {})
      if (isCatalog(name) || temporaryTableNamed(session, name) !== undefined) continue
      const found = await session.catalog.resolve(name, session.settings.searchPath())
      if (found === null) throw undefinedRelation(name)
      if (found.kind === 'table') await block.snapshot(found.table.path, session.gateway)
    }
    if (Number(fields.mode) > ROW_EXCLUSIVE) {
      session.notice(
        SqlState.successfulCompletion,
        'other writers are not kept out: a conflict with one is an error at COMMIT',
      )
    }
    return command('LOCK TABLE')
  },
}

/**
 * CREATE INDEX: accepted, and nothing is made; a NOTICE says so.
 *
 * 0A000 for a UNIQUE one, whose promise nothing would keep, and for all where
 * `lakegate.create_index` is `error`.
 */
export const CREATE_INDEX: StatementKind = {
  open: async ({ session, fields }) => {
    if (fields.unique === true) throw notSupported('CREATE UNIQUE INDEX')
    if (session.settings.get('lakegate.create_index') === 'error') {
      throw notSupported('CREATE INDEX', HINT)
    }
    if (fields.concurrent === true && session.inExplicitBlock) {
      throw new SqlError(
        SqlState.activeSqlTransaction,
        'CREATE INDEX CONCURRENTLY cannot run inside a transaction block',
      )
    }
    session.requireWritable('CREATE INDEX')
    const name = rangeName((fields.relation ?? {}) as Node)
    const columns = await columnsOf(session, name)
    for (const item of listOf(fields.indexParams)) {
      const column = nodeOf(item, 'IndexElem')?.name
      if (typeof column === 'string' && !columns.includes(column)) {
        throw new SqlError(SqlState.undefinedColumn, `column "${column}" does not exist`)
      }
    }
    session.notice(SqlState.successfulCompletion, 'no index is made', undefined, { hint: HINT })
    return command('CREATE INDEX')
  },
}

const HINT =
  'Files are chosen by their statistics; ALTER TABLE … CLUSTER BY keeps like rows together.'

async function columnsOf(
  session: SessionContext,
  name: readonly string[],
): Promise<readonly string[]> {
  const temporary = temporaryTableNamed(session, name)
  if (temporary !== undefined) return temporary.columns.map((column) => column.name)
  const path = session.settings.searchPath()
  const block = session.openBlock()
  const layers = name.length > 1 ? name.slice(-2, -1) : path
  const created = layers
    .map((layer) => block.createdTable(layer, name.at(-1) ?? ''))
    .find((one) => one !== undefined)
  const found = created ?? (await session.catalog.resolve(name, path))
  if (found === null) throw undefinedRelation(name)
  if ('kind' in found && found.kind === 'view') {
    throw new SqlError(
      SqlState.wrongObjectType,
      `cannot create index on relation "${name.at(-1) ?? ''}"`,
      { detail: 'This operation is not supported for views.' },
    )
  }
  const table = 'kind' in found ? found.table : found
  const snapshot = await block.snapshot(table.path, session.gateway)
  return snapshot?.schema.fields.map((field) => field.name) ?? []
}

function isCatalog(name: readonly string[]): boolean {
  const [schema] = name.slice(-2, -1)
  return schema === 'pg_catalog' || schema === 'information_schema'
}
