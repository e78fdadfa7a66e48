/** Tables of the session and of the lake told apart; TRUNCATE of both. */

import { SqlError, SqlState } from '../../storage/errors.js'
import { runTruncate } from '../truncate.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf, type Node, nodeOf } from '../syntax-tree.js'
import type { TemporaryTable } from '../temporary-tables.js'

export const TRUNCATE: StatementKind = { open: truncate }

/** The temporary table a name means: unqualified, or in pg_temp; undefined when it means none. */
export function temporaryTableNamed(
  session: SessionContext,
  name: readonly string[],
): TemporaryTable | undefined {
  const [schema] = name.slice(-2, -1)
  if (schema !== undefined && !/^pg_temp(_\d+)?$/.test(schema)) return undefined
  return session.temporary.find(name.at(-1) ?? '')
}

/** The temporary table that the fields of an INSERT, UPDATE or DELETE change. */
export function temporaryTarget(session: SessionContext, fields: Node): TemporaryTable | undefined {
  return temporaryTableNamed(session, rangeName(fields.relation as Node))
}

/** Whether a table is temporary: by the word TEMP or by the schema pg_temp. 42P16 when they disagree. */
export function isTemporary(range: Node): boolean {
  const isOwn = range.schemaname === 'pg_temp'
  if (range.relpersistence !== 't') return isOwn
  if (range.schemaname === undefined || isOwn) return true
  throw new SqlError(
    SqlState.invalidTableDefinition,
    'cannot create temporary relation in non-temporary schema',
  )
}

/** The parts of a RangeVar's name. */
export function rangeName(range: Node | undefined): string[] {
  return [range?.schemaname, range?.relname].filter(
    (part): part is string => typeof part === 'string',
  )
}

async function truncate({ session, statement, fields }: StatementCall): Promise<Execution> {
  const tables = listOf(fields.relations).map((relation) =>
    temporaryTableNamed(session, rangeName(nodeOf(relation, 'RangeVar'))),
  )
  const own = tables.filter((table) => table !== undefined)
  if (own.length === 0) return runTruncate(statement, fields, session.queryContext())
  if (own.length < tables.length) throw notSupported('TRUNCATE of several tables')
  session.requireReadWrite('TRUNCATE TABLE')
  await session.pool.with(async (connection) => {
    for (const table of own) await session.temporary.replace(table, connection)
  })
  return command('TRUNCATE TABLE')
}
