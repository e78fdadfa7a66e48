/** EngineQuery: a query in DuckDB's own syntax, taken to pieces so that its tables can be exchanged. */

import { isDeepStrictEqual } from 'node:util'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { scalarType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { conditionsOf, type EngineCondition } from './engine-predicates.js'
import { engineFunctions } from './engine-functions.js'
import {
  contentsOf,
  type EngineNode,
  EngineTreeError,
  type EngineTableReference,
  withTables,
} from './engine-tree.js'
import { applyEdits, SourceText } from './source-text.js'

/** A piece of the text in whose place something else is put. */
interface Piece {
  /** UTF-16 offsets, end exclusive. */
  readonly start: number
  readonly end: number
}

/** A table of the query; `suffix` keeps its name as that of the subquery in its place. */
export interface EngineTable extends Piece {
  readonly catalog: string
  readonly schema: string
  readonly name: string
  readonly alias: string
  readonly suffix: string
  /** What every row that is used of it meets. */
  readonly conditions: readonly EngineCondition[]
}

export interface EngineQuery {
  readonly text: string
  readonly tables: readonly EngineTable[]
  readonly parameters: readonly (Piece & { readonly number: number })[]
}

/**
 * `text` as a query for DuckDB, or null when its parser refuses it too.
 *
 * The text is kept as it is: tables are exchanged by position, and that this changes nothing else is
 * proved by parsing the result again. 0A000 and 42501 with positions in `text` for what is not let
 * through.
 */
export async function parseEngineQuery(
  text: string,
  connection: EngineConnection,
): Promise<EngineQuery | null> {
  const tree = await treeOf(text, connection)
  if (tree === null) return null
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would be taken for markers.
  if (/[\u0001\u0002]/.test(text)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "the control characters U+0001 and U+0002 are not supported in DuckDB's syntax",
    )
  }
  const source = new SourceText(text)
  try {
    const { tables, parameters } = contentsOf(tree, await engineFunctions(connection))
    const conditions = conditionsOf(tree)
    const pieces = tables.map((table) => pieceOf(table, source, conditions.get(table.node) ?? []))
    const query = { text, tables: pieces, parameters: parametersOf(source, parameters) }
    if (!(await isSame(tree, tables, query, connection))) throw notRead()
    return query
  } catch (thrown) {
    if (!(thrown instanceof EngineTreeError)) throw thrown
    const { error, location } = thrown
    throw location > text.length * 3 ? error : error.at(source.offsetOf(location) + 1)
  }
}

function notRead(): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    "this statement in DuckDB's syntax is not supported",
    { detail: 'The places of its tables and parameters could not be made sure of.' },
  )
}

/** The tree of a single query; null when DuckDB refuses the text. */
async function treeOf(text: string, connection: EngineConnection): Promise<EngineNode | null> {
  const [row] = await connection.query('SELECT json_serialize_sql(CAST($1 AS VARCHAR))', [
    { type: scalarType('VARCHAR'), value: text },
  ])
  const answer = JSON.parse(String(row?.[0])) as {
    readonly error: boolean
    readonly error_message?: string
    readonly statements?: readonly { readonly node: EngineNode }[]
  }
  if (!answer.error) {
    const { statements = [] } = answer
    return statements.length === 1 ? (statements[0]?.node ?? null) : null
  }
  if (/Only SELECT statements/.test(answer.error_message ?? '') && /^\W*pivot\b/i.test(text)) {
    throw new SqlError(SqlState.featureNotSupported, 'PIVOT without its values is not supported', {
      hint: 'Name them: PIVOT t ON column IN (value, …) USING …',
    })
  }
  return null
}

function pieceOf(
  table: EngineTableReference,
  source: SourceText,
  conditions: readonly EngineCondition[],
): EngineTable {
  const { catalog, schema, name, alias, location, shown } = table
  const start = source.offsetOf(location)
  return {
    catalog,
    schema,
    name,
    alias,
    start,
    end: source.endOfName(start),
    conditions,
    suffix: alias === '' && !shown ? ` AS ${quoteIdentifier(name)}` : '',
  }
}

function parametersOf(source: SourceText, names: readonly string[]): EngineQuery['parameters'] {
  const found = source.tokens
    .filter((token) => token.kind === 'parameter')
    .map(({ start, end, text }) => ({ start, end, number: Number(text.slice(1)) }))
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.toSorted().join() === b.toSorted().join()
  if (
    !same(
      found.map(({ number }) => String(number)),
      names,
    )
  ) {
    throw notRead()
  }
  return found
}

/**
 * Whether the expression `text` reads nothing but parameters: no tables, and no functions but those
 * that an engine query may call (42501).
 */
export async function isPlainExpression(
  text: string,
  connection: EngineConnection,
): Promise<boolean> {
  const query = await parseEngineQuery(`SELECT (${text})`, connection)
  return query !== null && query.tables.length === 0
}

/** The text with other tables, and with what stands for parameters where `parameter` tells. */
export function withRelations(
  query: EngineQuery,
  relation: (index: number) => string,
  parameter?: (number: number) => string,
): string {
  const tables = query.tables.map(({ start, end, suffix }, i) => ({
    start,
    end,
    text: relation(i) + suffix,
  }))
  const parameters = query.parameters.map(({ start, end, number }) => ({
    start,
    end,
    text: parameter?.(number) ?? query.text.slice(start, end),
  }))
  return applyEdits(query.text, [...tables, ...parameters]).text
}

/** Whether exchanging the tables changes the tree in their places and nowhere else. */
async function isSame(
  tree: EngineNode,
  tables: readonly EngineTableReference[],
  query: EngineQuery,
  connection: EngineConnection,
): Promise<boolean> {
  if (tables.length === 0) return true
  const placeholders = tables.map((_, i) => `SELECT ${quoteLiteral(`lakegate:${i}`)}`)
  const nodes = await Promise.all(placeholders.map((text) => treeOf(text, connection)))
  const exchanged = await treeOf(
    withRelations(query, (i) => `(${placeholders[i]})`),
    connection,
  ).catch(() => null)
  if (exchanged === null) return false
  const expected = withTables(tree, tables, (i) => nodes[i] ?? {})
  return isDeepStrictEqual(
    expected,
    withTables(exchanged, [], () => ({})),
  )
}
