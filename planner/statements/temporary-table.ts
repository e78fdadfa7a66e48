/** DROP TABLE and TRUNCATE, of temporary tables. */

import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported, undefinedRelation } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf, nodeOf } from '../syntax-tree.js'
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

/** Drops tables by name; 42P01 for one that does not exist unless `missingOk`, 0A000 for the lake's. */
export async function dropTables(
  session: SessionContext,
  names: readonly (readonly string[])[],
  missingOk: boolean,
): Promise<Execution> {
  session.requireWritable('DROP TABLE')
  for (const name of names) {
    const table = temporaryTableNamed(session, name)
    if (table !== undefined) session.temporary.drop(table.name)
    else {
      const { catalog } = session.gateway
      const found = await catalog.resolve(name, session.settings.searchPath())
      if (found !== null) throw notSupported('DROP TABLE of a lake table')
      session.missing('table', name, missingOk)
    }
  }
  return command('DROP TABLE')
}

async function truncate({ session, fields }: StatementCall): Promise<Execution> {
  session.requireWritable('TRUNCATE TABLE')
  if (fields.restart_seqs === true) throw notSupported('TRUNCATE … RESTART IDENTITY')
  const tables: TemporaryTable[] = []
  for (const relation of listOf(fields.relations)) {
    const range = nodeOf(relation, 'RangeVar')
    const name = [range?.schemaname, range?.relname].filter(
      (part): part is string => typeof part === 'string',
    )
    const table = temporaryTableNamed(session, name)
    if (table === undefined) {
      const { catalog } = session.gateway
      const found = await catalog.resolve(name, session.settings.searchPath())
      if (found === null) throw undefinedRelation(name)
      throw notSupported('TRUNCATE of a lake table')
    }
    tables.push(table)
  }
  await session.pool.with(async (connection) => {
    for (const table of tables) await session.temporary.truncate(table, connection)
  })
  return command('TRUNCATE TABLE')
}
