/** Stored text: which columns an expression in a table's metadata names, and how it follows a new name. */

import { expressionText } from './create-table.js'
import { parseStatements } from './parse.js'
import { listOf, type Node, nodeOf, stringOf, walk } from './syntax-tree.js'
import { postgresText } from './target-table.js'

/** The tree of an expression; null when PostgreSQL's parser does not take it. */
function treeOf(text: string): Node | null {
  try {
    const [statement] = parseStatements(`SELECT ${postgresText(text)}`)
    const select = nodeOf(statement?.tree, 'SelectStmt')
    return (nodeOf(listOf(select?.targetList)[0], 'ResTarget')?.val as Node | undefined) ?? null
  } catch {
    return null
  }
}

/** Whether the expression may name `column`; what cannot be parsed names every word in it. */
export function mentionsColumn(text: string, column: string): boolean {
  const wanted = column.toLowerCase()
  const tree = treeOf(text)
  if (tree === null) {
    const words: readonly string[] = text.toLowerCase().match(/[\p{L}\p{N}_$]+/gu) ?? []
    return words.includes(wanted)
  }
  let found = false
  walk(tree, (node) => {
    const fields = listOf(nodeOf(node, 'ColumnRef')?.fields)
    if (fields.some((part) => stringOf(part)?.toLowerCase() === wanted)) found = true
    return !found
  })
  return found
}

/** The names of the columns that a new expression's tree mentions. */
export function columnsIn(tree: Node): readonly string[] {
  const names = new Set<string>()
  walk(tree, (node) => {
    const name = stringOf(listOf(nodeOf(node, 'ColumnRef')?.fields).at(-1))
    if (name !== undefined) names.add(name)
    return true
  })
  return [...names]
}

/** The expression with `column` under its new name; null when it cannot be printed anew. */
export function withColumnRenamed(text: string, column: string, name: string): string | null {
  const tree = treeOf(text)
  if (tree === null) return null
  const renamed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(renamed)
    if (typeof value !== 'object' || value === null) return value
    const reference = nodeOf(value, 'ColumnRef')
    const last = stringOf(listOf(reference?.fields).at(-1))
    if (last?.toLowerCase() === column.toLowerCase()) {
      return { ColumnRef: { fields: [{ String: { sval: name } }] } }
    }
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, renamed(child)]))
  }
  try {
    return expressionText(renamed(tree) as Node)
  } catch {
    return null
  }
}
