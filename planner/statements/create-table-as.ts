/** CREATE TABLE … AS and SELECT … INTO: a query's rows kept, in the lake or for the session. */

import type { Cancellation } from '../../storage/cancellation.js'
import type { EngineValue } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { routeOf } from '../catalog-query.js'
import { runCreateTableAs } from '../run-create-table.js'
import type { ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { changesData, describeQuery, withTranslation } from '../query.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementDescription } from '../session.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind, StatementShape } from '../statement-kind.js'
import { kindOf, namesOf, type Node } from '../syntax-tree.js'
import { onCommitOf } from '../temporary-definition.js'
import type { TemporaryTableDefinition } from '../temporary-tables.js'
import { withoutInto, wrappedStatement } from '../wrapped-statement.js'
import { requirePlain } from './create-table.js'
import { preparedExecution } from './prepare.js'
import { isTemporary } from './temporary-table.js'

export const CREATE_TABLE_AS: StatementKind = {
  describe: async ({ session, statement, oids }) =>
    describeInner(session, wrappedStatement(statement), oids),
  open: createTableAs,
}

export async function describeSelectInto(shape: StatementShape): Promise<StatementDescription> {
  const { query } = withoutInto(shape.statement) ?? { query: shape.statement }
  return describeInner(shape.session, query, shape.oids)
}

export async function openSelectInto(call: StatementCall): Promise<Execution> {
  const { session, statement, values, cancellation } = call
  const found = withoutInto(statement)
  const into = found?.into ?? {}
  const query = found?.query ?? statement
  if (!isTemporary(into.rel as Node)) return lakeTable(call, query, values, into, false)
  session.requireReadWrite('SELECT INTO')
  await session.access.requireTemporary(session.gateway.database)
  const rowCount = await fill(session, into, query, values, cancellation, true)
  return command(`SELECT ${rowCount}`)
}

async function createTableAs(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  const into = fields.into as Node
  if (fields.objtype === 'OBJECT_MATVIEW') throw notSupported('CREATE MATERIALIZED VIEW')
  const isOwn = isTemporary(into.rel as Node)
  if (isOwn) {
    session.requireReadWrite('CREATE TABLE AS')
    await session.access.requireTemporary(session.gateway.database)
    requirePlain(call.statement.tableOptions)
    const name = String((into.rel as Node).relname)
    if (fields.if_not_exists === true && session.temporary.find(name) !== undefined) {
      session.notice(SqlState.duplicateTable, `relation "${name}" already exists, skipping`)
      return command('CREATE TABLE AS')
    }
  }
  let query = wrappedStatement(call.statement)
  let { values } = call
  if (kindOf(query.tree ?? {}) === 'ExecuteStmt') {
    const execute = query.tree?.ExecuteStmt as Node
    const prepared = await preparedExecution(session, query, execute, values, call.cancellation)
    query = prepared.statement
    values = prepared.values
  }
  if (!isOwn) return lakeTable(call, query, values, into, fields.if_not_exists === true)
  const withData = into.skipData !== true
  const rowCount = await fill(session, into, query, values, call.cancellation, withData)
  return command(withData ? `SELECT ${rowCount}` : 'CREATE TABLE AS')
}

async function describeInner(
  session: SessionContext,
  query: ParsedStatement,
  oids: readonly number[],
): Promise<StatementDescription> {
  if (kindOf(query.tree ?? {}) === 'ExecuteStmt') return { parameterTypes: [], columns: null }
  const context = session.queryContext()
  const { parameterTypes } = await describeQuery(query, oids, context)
  return { parameterTypes, columns: null }
}

/** The same for a table of the lake. */
function lakeTable(
  { session, statement, cancellation }: StatementCall,
  query: ParsedStatement,
  values: readonly EngineValue[],
  into: Node,
  ifNotExists: boolean,
): Promise<Execution> {
  const notice = (message: string, sqlState: SqlState = SqlState.successfulCompletion): void =>
    session.notice(sqlState, message)
  return runCreateTableAs(
    query,
    into,
    ifNotExists,
    statement.tableOptions,
    values,
    session.queryContext(),
    cancellation,
    notice,
  )
}

/** Makes the table of a query's rows and answers their number. */
async function fill(
  session: SessionContext,
  into: Node,
  query: ParsedStatement,
  values: readonly EngineValue[],
  cancellation: Cancellation,
  withData: boolean,
): Promise<number> {
  const name = String((into.rel as Node).relname)
  session.temporary.requireFree(name)
  if (kindOf(query.tree ?? {}) !== 'SelectStmt' || changesData(query.tree ?? {})) {
    throw notSupported('CREATE TEMP TABLE … AS of this statement')
  }
  if (routeOf(query, session.catalogSession()) === 'catalog') {
    throw notSupported('CREATE TEMP TABLE … AS of a query over system catalogs')
  }
  const context = session.queryContext()
  const { columns } = await describeQuery(query, [], context)
  const given = namesOf(into.colNames)
  if (given.length > columns.length) {
    throw new SqlError(SqlState.syntaxError, 'too many column names were specified')
  }
  const definition: TemporaryTableDefinition = {
    name,
    columns: columns.map((column, i) => {
      const { pgType, engineType, digits } = column
      return { name: given[i] ?? column.name, type: { ...pgType, engine: engineType, digits } }
    }),
    keys: [],
    checks: [],
    onCommit: onCommitOf(into.onCommit),
  }
  return withTranslation(query, values, context, cancellation, (connection, sql, _scans, bound) => {
    return session.temporary.create(
      definition,
      connection,
      withData ? { sql, values: bound } : undefined,
    )
  })
}
