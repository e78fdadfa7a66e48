/** EngineTree: what DuckDB's parser says of a query, walked so that nothing unknown is let through. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { EngineFunctions } from './engine-functions.js'

export type EngineNode = { readonly [key: string]: unknown }

/** A table that a query names, where its own CTEs do not. */
export interface EngineTableReference {
  readonly node: EngineNode
  readonly catalog: string
  readonly schema: string
  readonly name: string
  readonly alias: string
  /** Byte offset of the name in the text. */
  readonly location: number
  /** It is the whole of what SUMMARIZE or DESCRIBE is about, and takes no alias. */
  readonly shown: boolean
}

/** What a query consists of, as far as a gateway cares. */
export interface EngineTreeContents {
  readonly tables: readonly EngineTableReference[]
  /** Names of parameters, once for each mention. */
  readonly parameters: readonly string[]
}

const QUERY_NODES = new Set(['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE', 'CTE_NODE'])

const EXPRESSIONS = new Set([
  'BETWEEN',
  'CASE',
  'CAST',
  'COLLATE',
  'COLUMN_REF',
  'COMPARISON',
  'CONJUNCTION',
  'CONSTANT',
  'FUNCTION',
  'LAMBDA',
  'LAMBDA_REF',
  'OPERATOR',
  'PARAMETER',
  'POSITIONAL_REFERENCE',
  'STAR',
  'SUBQUERY',
  'TYPE',
  'WINDOW',
])

const TABLES = new Set([
  'BASE_TABLE',
  'EMPTY',
  'EXPRESSION_LIST',
  'JOIN',
  'PIVOT',
  'SHOW_REF',
  'SUBQUERY',
  'TABLE_FUNCTION',
])

/** Read as columns, and answered by DuckDB when there are none: not by what the session is. */
const SESSION_WORDS = new Set([
  'current_user',
  'current_role',
  'current_catalog',
  'current_schema',
  'session_user',
])

/** DuckDB's own relations, which a CTE of that name must not make reachable. */
const SYSTEM_NAME = /^(?:duckdb_|pragma_|sqlite_|pg_|information_schema)|[^\p{L}\p{N}_$ -]/iu

/** An SqlError at a byte offset of the text; the parser's caller turns that into a position. */
export class EngineTreeError extends Error {
  readonly error: SqlError
  readonly location: number

  constructor(error: SqlError, node: EngineNode) {
    super(error.message)
    this.error = error
    this.location = Number(node.query_location ?? Number.MAX_SAFE_INTEGER)
  }
}

function refused(what: string, node: EngineNode): EngineTreeError {
  return new EngineTreeError(
    new SqlError(SqlState.featureNotSupported, `${what} is not supported in DuckDB's syntax`),
    node,
  )
}

function forbidden(name: string, node: EngineNode): EngineTreeError {
  return new EngineTreeError(
    new SqlError(SqlState.insufficientPrivilege, `permission denied for function ${name}`, {
      hint: "In DuckDB's syntax only functions can be called that read nothing but their arguments.",
    }),
    node,
  )
}

/**
 * The tables and parameters of a query as json_serialize_sql prints it.
 *
 * Throws EngineTreeError for nodes of unknown kinds (0A000) and for functions that are not allowed
 * (42501).
 */
export function contentsOf(root: EngineNode, functions: EngineFunctions): EngineTreeContents {
  const tables: EngineTableReference[] = []
  const parameters: string[] = []

  const visit = (value: unknown, ctes: ReadonlySet<string>): void => {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) visit(item, ctes)
      return
    }
    const node = value as EngineNode
    const type = typeof node.type === 'string' ? node.type : ''
    if (typeof node.class === 'string') visitExpression(node, ctes)
    else if ('sample' in node && 'query_location' in node) visitTable(node, type, ctes)
    else if (type.endsWith('_NODE')) visitQuery(node, type, ctes)
    else visitChildren(node, ctes)
  }

  const visitChildren = (node: EngineNode, ctes: ReadonlySet<string>): void => {
    for (const child of Object.values(node)) visit(child, ctes)
  }

  const visitExpression = (node: EngineNode, ctes: ReadonlySet<string>): void => {
    const kind = String(node.class)
    if (!EXPRESSIONS.has(kind)) throw refused(`an expression of the kind ${kind}`, node)
    if (typeof node.function_name === 'string' && !functions.allows(node.function_name)) {
      throw forbidden(node.function_name, node)
    }
    if (node.export_state === true) throw refused('EXPORT_STATE', node)
    const [word] = kind === 'COLUMN_REF' ? (node.column_names as readonly string[]) : []
    if (word !== undefined && SESSION_WORDS.has(word.toLowerCase())) throw forbidden(word, node)
    if (kind === 'PARAMETER') parameters.push(String(node.identifier))
    visitChildren(node, ctes)
  }

  const visitTable = (node: EngineNode, type: string, ctes: ReadonlySet<string>): void => {
    if (!TABLES.has(type)) throw refused(`a table reference of the kind ${type}`, node)
    switch (type) {
      case 'BASE_TABLE':
        addTable(node, ctes, false)
        return
      case 'TABLE_FUNCTION': {
        const call = node.function as EngineNode
        const name = String(call.function_name)
        if (call.class !== 'FUNCTION') throw refused('this table function', node)
        if (!functions.allowsInFrom(name)) throw forbidden(name, call)
        for (const [key, child] of Object.entries(call)) {
          if (key !== 'function_name') visit(child, ctes)
        }
        break
      }
      case 'SHOW_REF': {
        if (typeof node.query !== 'object' || node.query === null) throw refused('SHOW', node)
        const table = shownTable(node)
        if (table !== null) {
          addTable(table, ctes, true)
          return
        }
        break
      }
      case 'PIVOT':
        if (pivotsEnum(node)) throw refused('PIVOT by an enum', node)
    }
    for (const [key, child] of Object.entries(node)) {
      if (type !== 'TABLE_FUNCTION' || key !== 'function') visit(child, ctes)
    }
  }

  const addTable = (node: EngineNode, ctes: ReadonlySet<string>, shown: boolean): void => {
    const [catalog, schema, name] = [node.catalog_name, node.schema_name, node.table_name].map(
      (part) => String(part ?? ''),
    ) as [string, string, string]
    if (node.at_clause !== null && node.at_clause !== undefined) throw refused('AT', node)
    visit(node.sample, ctes)
    const known = ctes.has(name.toLowerCase())
    if (catalog === '' && known && (schema === '' || schema === 'recurring')) return
    const alias = String(node.alias ?? '')
    tables.push({
      node,
      catalog,
      schema,
      name,
      alias,
      location: Number(node.query_location),
      shown,
    })
  }

  const visitQuery = (node: EngineNode, type: string, ctes: ReadonlySet<string>): void => {
    if (!QUERY_NODES.has(type)) throw refused(`a query of the kind ${type}`, node)
    let scope = ctes
    for (const { key, value } of cteEntries(node)) {
      // Its own name means something else inside, unless the query is recursive.
      visit(value, scope)
      scope = named(scope, key, node)
    }
    if (typeof node.cte_name === 'string') scope = named(scope, node.cte_name, node)
    for (const [key, child] of Object.entries(node)) if (key !== 'cte_map') visit(child, scope)
  }

  visit(root, new Set())
  return { tables, parameters }
}

function named(scope: ReadonlySet<string>, name: string, node: EngineNode): ReadonlySet<string> {
  if (SYSTEM_NAME.test(name)) throw refused(`a WITH query named "${name}"`, node)
  return new Set([...scope, name.toLowerCase()])
}

function cteEntries(
  node: EngineNode,
): readonly { readonly key: string; readonly value: unknown }[] {
  const map = (node.cte_map as { readonly map?: unknown } | undefined)?.map
  return Array.isArray(map)
    ? (map as readonly { readonly key: string; readonly value: unknown }[])
    : []
}

function pivotsEnum(node: EngineNode): boolean {
  return (node.pivots as readonly EngineNode[]).some(
    (pivot) => String(pivot.pivot_enum ?? '') !== '',
  )
}

/** Without an offset, DuckDB writes the largest there is. */
function isPlaced(location: unknown): boolean {
  return typeof location === 'number' && location < 2 ** 53
}

/** The table of `SUMMARIZE t` and `DESCRIBE t`, which DuckDB reads as a SELECT nobody wrote. */
function shownTable(show: EngineNode): EngineNode | null {
  const query = show.query as EngineNode
  const [star] = (query.select_list ?? []) as readonly EngineNode[]
  const from = query.from_table as EngineNode | undefined
  if (star?.class !== 'STAR' || isPlaced(star.query_location)) return null
  return from?.type === 'BASE_TABLE' ? from : null
}

/** `node` with `tables` exchanged and every place left out: two texts that mean the same give the same. */
export function withTables(
  root: EngineNode,
  tables: readonly EngineTableReference[],
  placeholder: (index: number) => EngineNode,
): unknown {
  const indexes = new Map(tables.map((table, i) => [table.node, i]))
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(copy)
    const node = value as EngineNode
    const index = indexes.get(node)
    if (index !== undefined) return subqueryOf(node, placeholder(index), copy)
    const shown = node.type === 'SHOW_REF' ? shownTable(node) : null
    const shownIndex = shown === null ? undefined : indexes.get(shown)
    const entries = Object.entries(node).filter(([key]) => key !== 'query_location')
    return Object.fromEntries(
      entries.map(([key, child]) =>
        key === 'query' && shownIndex !== undefined
          ? [key, copy(placeholder(shownIndex))]
          : [key, copy(child)],
      ),
    )
  }
  return copy(root)
}

function subqueryOf(
  table: EngineNode,
  query: EngineNode,
  copy: (value: unknown) => unknown,
): unknown {
  return {
    type: 'SUBQUERY',
    alias: table.alias === '' ? table.table_name : table.alias,
    sample: copy(table.sample),
    subquery: { node: copy(query), named_param_map: [] },
    column_name_alias: copy(table.column_name_alias),
  }
}
