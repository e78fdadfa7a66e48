/** PREPARE, EXECUTE and DEALLOCATE. */

import { engineTypeOfOid, Oid } from '../../catalog/pg-types.js'
import type { Cancellation } from '../../storage/cancellation.js'
import { printEngineType, type EngineType } from '../../storage/engine-type.js'
import type { EngineValue } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { tokenize } from '../lexer.js'
import { parseStatements, type ParsedStatement } from '../parse.js'
import { withTranslation } from '../query.js'
import { command } from '../ready-rows.js'
import type { SessionContext } from '../session-context.js'
import { declaredParameters, type StatementKind } from '../statement-kind.js'
import { listOf, namesOf, type Node, nodeOf } from '../syntax-tree.js'
import { wrappedStatement } from '../wrapped-statement.js'

export const PREPARE: StatementKind = {
  open: async ({ session, statement, fields }) => {
    const name = String(fields.name)
    session.prepared.requireFree(name)
    const inner = wrappedStatement(statement)
    const oids = listOf(fields.argtypes).map((type) => oidOfTypeName(nodeOf(type, 'TypeName')))
    const description = await session.dispatch.describe(inner, oids)
    session.prepared.set(name, { statement: inner, oids, description })
    return command('PREPARE')
  },
}

export const EXECUTE: StatementKind = {
  describe: (shape) => ({
    parameterTypes: declaredParameters(shape),
    columns: shape.session.prepared.get(String(shape.fields.name)).description.columns,
  }),
  open: async ({ session, statement, fields, values, cancellation }) => {
    const execution = await preparedExecution(session, statement, fields, values, cancellation)
    return session.dispatch.open(execution.statement, execution.values, cancellation)
  },
}

export const DEALLOCATE: StatementKind = {
  open: ({ session, fields }) => {
    if (fields.name === undefined) {
      session.prepared.clear()
      return command('DEALLOCATE ALL')
    }
    session.prepared.get(String(fields.name))
    session.prepared.delete(String(fields.name))
    return command('DEALLOCATE')
  },
}

/**
 * The statement that an EXECUTE runs and the values of its parameters.
 *
 * 26000 when it is not prepared, 42601 for the wrong number of arguments.
 */
export async function preparedExecution(
  session: SessionContext,
  execute: ParsedStatement,
  fields: Node,
  values: readonly EngineValue[],
  cancellation: Cancellation,
): Promise<{ readonly statement: ParsedStatement; readonly values: readonly EngineValue[] }> {
  const name = String(fields.name)
  const { statement, description } = session.prepared.get(name)
  const { parameterTypes } = description
  const params = listOf(fields.params)
  // As in PostgreSQL, arguments for a statement that takes none are passed over.
  const isCountRight = parameterTypes.length === 0 || params.length === parameterTypes.length
  if (!isCountRight || statement === null) {
    throw new SqlError(
      SqlState.syntaxError,
      `wrong number of parameters for prepared statement "${name}"`,
      { detail: `Expected ${parameterTypes.length} parameters but got ${params.length}.` },
    )
  }
  if (parameterTypes.length === 0) return { statement, values: [] }
  const types = parameterTypes.map(
    ({ oid }): EngineType =>
      engineTypeOfOid(oid) ?? { kind: 'decimal', width: 38, scale: NUMERIC_SCALE },
  )
  return {
    statement,
    values: await evaluate(session, argumentList(execute), types, values, cancellation),
  }
}

/** Digits after the point of a numeric without a precision; see COMPATIBILITY.md. */
const NUMERIC_SCALE = 10

/** EXECUTE's arguments as a SELECT of them. */
function argumentList(execute: ParsedStatement): ParsedStatement {
  const tokens = tokenize(execute.text)
  const open = tokens.findIndex((token) => token.text === '(')
  const from = tokens[open]?.end ?? 0
  let close = tokens.length - 1
  while (tokens[close]?.text !== ')') close--
  const text = 'SELECT'.padEnd(from) + execute.source.slice(from, tokens[close]?.start)
  const [query = execute] = parseStatements(text)
  return { ...query, start: execute.start + query.start }
}

async function evaluate(
  session: SessionContext,
  query: ParsedStatement,
  types: readonly EngineType[],
  values: readonly EngineValue[],
  cancellation: Cancellation,
): Promise<EngineValue[]> {
  const context = session.queryContext()
  return withTranslation(
    query,
    values,
    context,
    cancellation,
    async (connection, sql, _scans, bound) => {
      const names = types.map((_, i) => `a${i}`)
      const casts = types.map((type, i) => `CAST(a${i} AS ${printEngineType(type)})`)
      const rows = await connection.query(
        `SELECT ${casts.join(', ')} FROM (${sql}\n) AS q(${names.join(', ')})`,
        bound,
      )
      return types.map((type, i) => ({ type, value: rows[0]?.[i] ?? null }))
    },
  )
}

function oidOfTypeName(typeName: Node | undefined): number {
  const name = namesOf(typeName?.names).at(-1) ?? ''
  const oids: ReadonlyMap<string, number> = new Map(Object.entries(Oid))
  return Array.isArray(typeName?.arrayBounds) ? 0 : (oids.get(name) ?? 0)
}
