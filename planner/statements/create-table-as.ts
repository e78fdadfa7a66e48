/** CREATE TEMP TABLE … AS and SELECT … INTO TEMP: a query's rows kept for the session. */

import { engineTypeOfOid } from '../../catalog/pg-types.js'
import type { Cancellation } from '../../storage/cancellation.js'
import type { EngineValue } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { routeOf } from '../catalog-query.js'
import type { ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { changesData, describeQuery, withTranslation } from '../query.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { StatementDescription } from '../session.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind, StatementShape } from '../statement-kind.js'
import { kindOf, namesOf, type Node } from '../syntax-tree.js'
import type { TemporaryTableDefinition } from '../temporary-tables.js'
import { withoutInto, wrappedStatement } from '../wrapped-statement.js'
import { preparedExecution } from './prepare.js'

export const CREATE_TABLE_AS: StatementKind = {
  describe: async ({ session, statement, oids }) =>
    describeInner(session, wrappedStatement(statement), oids),
  open: createTableAs,
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

/** What ON COMMIT asks for. */
export function onCommitOf(into: Node): TemporaryTableDefinition['onCommit'] {
  switch (into.onCommit ?? into.oncommit) {
    case 'ONCOMMIT_DELETE_ROWS':
      return 'delete'
    case 'ONCOMMIT_DROP':
      return 'drop'
    default:
      return 'preserve'
  }
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
  if (!isTemporary(into.rel as Node)) throw notSupported('SELECT INTO', 'Use SELECT … INTO TEMP.')
  session.requireWritable('SELECT INTO')
  const rowCount = await fill(session, into, query, values, cancellation, true)
  return command(`SELECT ${rowCount}`)
}

async function createTableAs(call: StatementCall): Promise<Execution> {
  const { session, fields } = call
  const into = fields.into as Node
  if (fields.objtype === 'OBJECT_MATVIEW') throw notSupported('CREATE MATERIALIZED VIEW')
  if (!isTemporary(into.rel as Node)) {
    throw notSupported('CREATE TABLE … AS', 'Use CREATE TEMP TABLE … AS.')
  }
  session.requireWritable('CREATE TABLE AS')
  const name = String((into.rel as Node).relname)
  if (fields.if_not_exists === true && session.temporary.find(name) !== undefined) {
    session.notice(SqlState.duplicateTable, `relation "${name}" already exists, skipping`)
    return command('CREATE TABLE AS')
  }
  let query = wrappedStatement(call.statement)
  let { values } = call
  if (kindOf(query.tree ?? {}) === 'ExecuteStmt') {
    const execute = query.tree?.ExecuteStmt as Node
    const prepared = await preparedExecution(session, query, execute, values, call.cancellation)
    query = prepared.statement
    values = prepared.values
  }
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
  const { parameterTypes } = await describeQuery(query, oids, context, engineTypeOfOid)
  return { parameterTypes, columns: null }
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
  const oids = values.map(() => 0)
  const { columns } = await describeQuery(query, oids, context, engineTypeOfOid)
  const given = namesOf(into.colNames)
  if (given.length > columns.length) {
    throw new SqlError(SqlState.syntaxError, 'too many column names were specified')
  }
  const onCommit = onCommitOf(into)
  return withTranslation(query, values, context, cancellation, async (connection, sql) => {
    const prepared = await connection.prepare(sql)
    // Types of the execution itself: what was only described may know less of the parameters.
    const types = prepared.columns.map(({ type }) => type)
    prepared.destroy()
    const definition: TemporaryTableDefinition = {
      name,
      columns: types.map((type, i) => ({
        name: given[i] ?? columns[i]?.name ?? `column${i + 1}`,
        type,
      })),
      keys: [],
      checks: [],
      onCommit,
    }
    return session.temporary.create(definition, connection, withData ? { sql, values } : undefined)
  })
}
