/** CREATE VIEW and DROP VIEW: views kept in the lake's catalog. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type { Execution } from '../portal.js'
import { describeQuery } from '../query.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { booleanOption, optionValues } from '../option-list.js'
import { listOf, namesOf, type Node } from '../syntax-tree.js'
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
  const { access, catalog } = session
  const layer = await access.creationLayer(
    catalog,
    range.schemaname as string | undefined,
    session.settings.searchPath(),
  )
  const name = String(range.relname)
  if (fields.replace === true) {
    const found = await catalog.resolve([layer, name], [])
    if (found?.kind === 'view') await access.requireOwner(found)
  }
  const query = wrappedStatement(statement)
  const described = await describeQuery(query, [], session.queryContext())
  const given = namesOf(fields.aliases)
  if (given.length > described.columns.length) {
    throw new SqlError(SqlState.syntaxError, 'CREATE VIEW specifies more column names than columns')
  }
  const columns = described.columns.map(({ name }, i) => given[i] ?? name)
  requireDistinct(columns)
  const changed = await session.changingCatalog()
  await changed.createView(
    {
      layer,
      name,
      definition: await withStarsWrittenOut(query, session.queryContext()),
      columns,
      searchPath: await access.usable(session.settings.searchPath()),
      ...(isInvoker(fields) ? { securityInvoker: true } : {}),
    },
    fields.replace === true,
    await access.owner(),
  )
  return command('CREATE VIEW')
}

/** Of WITH (…): security_invoker; security_barrier means nothing where no function leaks. */
function isInvoker(fields: Node): boolean {
  const options = optionValues(listOf(fields.options))
  for (const name of options.keys()) {
    if (!['security_invoker', 'security_barrier'].includes(name)) {
      throw new SqlError(SqlState.invalidParameterValue, `unrecognized parameter "${name}"`)
    }
  }
  return booleanOption(options, 'security_invoker')
}

function requireDistinct(columns: readonly string[]): void {
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice === undefined) return
  throw new SqlError(SqlState.duplicateColumn, `column "${twice}" specified more than once`)
}
