/** CREATE VIEW and DROP VIEW: views kept in the lake's catalog. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type { Execution } from '../portal.js'
import { describeQuery } from '../query.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { namesOf, type Node } from '../syntax-tree.js'
import { withStarsWrittenOut } from '../star-expansion.js'
import { wrappedStatement } from '../wrapped-statement.js'

export const CREATE_VIEW: StatementKind = { open: createView }

async function createView(call: StatementCall): Promise<Execution> {
  const { session, statement, fields } = call
  const range = fields.view as Node
  if (range.relpersistence === 't' || range.schemaname === 'pg_temp') {
    throw notSupported('CREATE TEMP VIEW')
  }
  if (fields.withCheckOption !== 'NO_CHECK_OPTION') throw notSupported('WITH CHECK OPTION')
  session.requireWritable('CREATE VIEW')
  const query = wrappedStatement(statement)
  const described = await describeQuery(query, [], session.queryContext())
  const given = namesOf(fields.aliases)
  if (given.length > described.columns.length) {
    throw new SqlError(SqlState.syntaxError, 'CREATE VIEW specifies more column names than columns')
  }
  const columns = described.columns.map(({ name }, i) => given[i] ?? name)
  requireDistinct(columns)
  const catalog = await session.changingCatalog()
  await catalog.createView(
    {
      layer:
        typeof range.schemaname === 'string'
          ? range.schemaname
          : (session.settings.searchPath()[0] ?? 'public'),
      name: String(range.relname),
      definition: await withStarsWrittenOut(query, session.queryContext()),
      columns,
    },
    fields.replace === true,
  )
  return command('CREATE VIEW')
}

function requireDistinct(columns: readonly string[]): void {
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice === undefined) return
  throw new SqlError(SqlState.duplicateColumn, `column "${twice}" specified more than once`)
}
