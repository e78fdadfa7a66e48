/** Table references: the tables a statement names, names of its own CTEs left out. */

import type { TimeTravel } from './lake-syntax.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import type { SourceText } from './source-text.js'
import { changedTableName, changesCall } from './table-changes.js'

/** One mention of a table, view or temporary table. */
export interface TableReference {
  /** The RangeVar's fields, by identity. */
  readonly node: Node
  readonly schema: string | undefined
  readonly name: string
  readonly alias: string | undefined
  /** UTF-16 offset of the name in the statement's text. */
  readonly start: number
  readonly travel: TimeTravel | undefined
  /** The fields of the call of table_changes() that names the table; `node` are its RangeFunction's. */
  readonly changes?: Node
}

/** Every reference of the tree in no particular order; CTE names are scoped as PostgreSQL scopes them. */
export function collectTableReferences(
  tree: Node,
  source: SourceText,
  travels: readonly TimeTravel[],
): TableReference[] {
  const found: TableReference[] = []
  const visit = (value: unknown, ctes: ReadonlySet<string>): void => {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) visit(item, ctes)
      return
    }
    const node = value as Node
    const range = nodeOf(node, 'RangeVar')
    if (range !== undefined) {
      const name = String(range.relname)
      const schema = range.schemaname as string | undefined
      if (schema === undefined && ctes.has(name)) return
      const start = source.offsetOf((range.location as number | undefined) ?? 0)
      found.push({
        node: range,
        schema,
        name,
        alias: (range.alias as { readonly aliasname?: string } | undefined)?.aliasname,
        start,
        travel: travels.find((travel) => travel.nameStart === start),
      })
      return
    }
    const rangeFunction = nodeOf(node, 'RangeFunction')
    const call = rangeFunction === undefined ? undefined : changesCall(rangeFunction)
    if (rangeFunction !== undefined && call !== undefined) {
      const parts = changedTableName(call)
      found.push({
        node: rangeFunction,
        schema: parts.at(-2),
        name: parts.at(-1) ?? '',
        alias: (rangeFunction.alias as { readonly aliasname?: string } | undefined)?.aliasname,
        start: source.offsetOf((call.location as number | undefined) ?? 0),
        travel: undefined,
        changes: call,
      })
      return
    }
    const withClause = node.withClause as Node | undefined
    let scope = ctes
    if (withClause !== undefined) {
      const parts = listOf(withClause.ctes).map((cte) => nodeOf(cte, 'CommonTableExpr') ?? {})
      const names = parts.map((cte) => String(cte.ctename))
      if (withClause.recursive === true) scope = new Set([...ctes, ...names])
      for (const [i, cte] of parts.entries()) {
        visit(cte.ctequery, scope)
        scope = new Set([...scope, names[i] ?? ''])
      }
    }
    // FROM first: what is denied there is told before what subqueries of the select list read.
    visit(node.fromClause, scope)
    for (const [key, child] of Object.entries(node)) {
      if (key !== 'withClause' && key !== 'fromClause') visit(child, scope)
    }
  }
  visit(tree, new Set())
  return found
}
