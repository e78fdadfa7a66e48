/** QueryWith: the common tables of a query, recursive ones among them. */

import { printEngineType } from '../storage/engine-type.js'
import { quoteIdentifier } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis, AnalyzedQuery } from './analysis.js'
import { recast } from './analyze-from.js'
import { analyzeSelect } from './analyze-query.js'
import { commonType } from './coercion.js'
import { type CommonTable, Scope } from './scope.js'
import type { SqlType } from './sql-type.js'
import { type Node, listOf, namesOf, nodeOf } from './syntax-tree.js'
import { locationOf } from './typed-expression.js'

/** The text of a WITH clause, '' without one; its queries are in sight of `scope` afterwards. */
export function analyzeWith(
  analysis: Analysis,
  clause: Node | undefined,
  scope: Scope,
): { readonly sql: string } {
  if (clause === undefined) return { sql: '' }
  const recursive = clause.recursive === true
  const parts: string[] = []
  const names = new Set<string>()
  for (const item of listOf(clause.ctes)) {
    const cte = nodeOf(item, 'CommonTableExpr') ?? {}
    const name = String(cte.ctename)
    const location = locationOf(cte)
    if (names.has(name)) {
      throw analysis.error(
        SqlState.duplicateAlias,
        `WITH query name "${name}" specified more than once`,
        location,
      )
    }
    names.add(name)
    if (cte.search_clause !== undefined || cte.cycle_clause !== undefined) {
      throw analysis.notSupported('SEARCH and CYCLE', location)
    }
    const query = cte.ctequery as Node
    const body = nodeOf(query, 'SelectStmt')
    if (body === undefined)
      throw analysis.notSupported('WITH over a statement that changes data', location)
    const engineName = analysis.fresh('cte')
    // Each reference may ask for other rows, so only what the query itself says prunes its tables.
    const aliases = namesOf(cte.aliascolnames)
    const made =
      recursive && refersTo(body, name)
        ? recursiveQuery(analysis, body, scope, name, engineName, aliases, location)
        : analyzeSelect(analysis, body, new Scope(scope.parent, new Map(scope.ctes)))
    analysis.roots.push(made.levels)
    const table = commonTable(analysis, name, engineName, made, aliases, location)
    scope.ctes.set(name, table)
    const hint =
      cte.ctematerialized === 'CTEMaterializeAlways'
        ? ' MATERIALIZED'
        : cte.ctematerialized === 'CTEMaterializeNever'
          ? ' NOT MATERIALIZED'
          : ''
    const columns = made.columns.map((column) => quoteIdentifier(column.engineName)).join(', ')
    const text = `${engineName}(${columns}) AS${hint} (${made.sql})`
    parts.push(text)
    if (!recursive) analysis.commonTables.set(engineName, text)
  }
  return { sql: `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} ` }
}

function commonTable(
  analysis: Analysis,
  name: string,
  engineName: string,
  query: AnalyzedQuery,
  aliases: readonly string[],
  location: number,
): CommonTable {
  if (aliases.length > query.columns.length) {
    throw analysis.error(
      SqlState.invalidColumnReference,
      `WITH query "${name}" has ${query.columns.length} columns available but ${aliases.length} columns specified`,
      location,
    )
  }
  return {
    name,
    engineName,
    columns: query.columns.map((column, i) => ({
      name: aliases[i] ?? column.name,
      engineName: column.engineName,
      type: column.type,
    })),
    uses: [],
  }
}

function refersTo(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (Array.isArray(node)) return node.some((one) => refersTo(one, name))
  const range = nodeOf(node, 'RangeVar')
  if (range !== undefined && range.relname === name && range.schemaname === undefined) return true
  return Object.values(node as Node).some((one) => refersTo(one, name))
}

/** `base UNION [ALL] step`: the base's types are the table's. */
function recursiveQuery(
  analysis: Analysis,
  body: Node,
  scope: Scope,
  name: string,
  engineName: string,
  aliases: readonly string[],
  location: number,
): AnalyzedQuery {
  if (
    body.op !== 'SETOP_UNION' ||
    listOf(body.sortClause).length > 0 ||
    body.limitCount !== undefined
  ) {
    throw analysis.error(
      body.op === 'SETOP_UNION' ? SqlState.featureNotSupported : SqlState.invalidRecursion,
      body.op === 'SETOP_UNION'
        ? 'ORDER BY in a recursive query is not implemented'
        : `recursive query "${name}" does not have the form non-recursive-term UNION [ALL] recursive-term`,
      location,
    )
  }
  const ctes = new Map(scope.ctes)
  const inside = new Scope(scope.parent, ctes)
  analyzeWith(analysis, body.withClause as Node | undefined, inside)
  const base = analyzeSelect(
    analysis,
    body.larg as Node,
    new Scope(scope.parent, new Map(inside.ctes)),
  )
  const stepCtes = new Map(inside.ctes)
  stepCtes.set(name, commonTable(analysis, name, engineName, base, aliases, location))
  const step = analyzeSelect(analysis, body.rarg as Node, new Scope(scope.parent, stepCtes))
  analysis.roots.push(base.levels, step.levels)
  if (step.columns.length !== base.columns.length) {
    throw analysis.error(
      SqlState.syntaxError,
      'each UNION query must have the same number of columns',
      location,
    )
  }
  for (const [i, column] of base.columns.entries()) {
    const other = step.columns[i]
    if (
      other !== undefined &&
      other.type.oid !== column.type.oid &&
      commonType([column.type, other.type], 'UNION').oid !== column.type.oid
    ) {
      throw analysis.error(
        SqlState.datatypeMismatch,
        `recursive query "${name}" column ${i + 1} has type ${typeText(column.type)} in non-recursive term but type ${typeText(other.type)} overall`,
        location,
        { hint: 'Cast the output of the non-recursive term to the correct type.' },
      )
    }
  }
  const types = base.columns.map((column) => column.type)
  const words = body.all === true ? 'UNION ALL' : 'UNION'
  return {
    sql: `(${base.sql}) ${words} (${recast(step, types)})`,
    columns: base.columns,
    levels: [],
  }
}

function typeText(type: SqlType): string {
  return printEngineType(type.engine).toLowerCase()
}
