/** Stored text: which columns an expression in a table's metadata names, and how it follows a new name. */

import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { SqlError } from '../storage/errors.js'
import { parseSparkExpression, type SparkNode, walkSpark } from './spark-expression.js'
import { sparkName, type SparkToken, sparkTokens } from './spark-token.js'
import { listOf, type Node, nodeOf, stringOf, walk } from './syntax-tree.js'

type ColumnNode = Extract<SparkNode, { readonly kind: 'column' }>

/** The places where the expression names columns; null when it is none that is read here. */
function namesIn(text: string): readonly ColumnNode[] | null {
  try {
    const found: ColumnNode[] = []
    walkSpark(parseSparkExpression(text), (node) => {
      if (node.kind === 'column') found.push(node)
    })
    return found
  } catch (thrown) {
    if (thrown instanceof SqlError) return null
    throw thrown
  }
}

/** Whether the expression may name `column`; what cannot be parsed names every word in it. */
export function mentionsColumn(text: string, column: string): boolean {
  const wanted = column.toLowerCase()
  const names = namesIn(text)
  if (names !== null) return names.some(({ path }) => path[0]?.toLowerCase() === wanted)
  const words: readonly string[] = text.toLowerCase().match(/[\p{L}\p{N}_$]+/gu) ?? []
  return words.includes(wanted) || text.toLowerCase().includes(wanted)
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

/** The expression with `column` under its new name; null when it cannot be parsed. */
export function withColumnRenamed(text: string, column: string, name: string): string | null {
  const names = namesIn(text)
  if (names === null) return null
  const wanted = column.toLowerCase()
  let result = ''
  let at = 0
  for (const { path, start, end } of [...names].sort((a, b) => a.start - b.start)) {
    if (path[0]?.toLowerCase() !== wanted) continue
    result += text.slice(at, start) + sparkName(name)
    at = end
  }
  return result + text.slice(at)
}

/** Words of Spark's in PostgreSQL's, for catalogs. */
const WORDS: Readonly<Record<string, string>> = {
  div: '/',
  double: 'double precision',
  string: 'text',
  startswith: 'starts_with',
  rlike: '~',
  timestamp: 'timestamptz',
  timestamp_ntz: 'timestamp',
}

/**
 * An expression of Spark's as PostgreSQL's tools may show it; nothing is evaluated by it.
 *
 * What PostgreSQL has no words for stays as it is.
 */
export function postgresText(text: string): string {
  let tokens: readonly SparkToken[]
  try {
    tokens = sparkTokens(text)
  } catch (thrown) {
    if (thrown instanceof SqlError) return text
    throw thrown
  }
  let result = ''
  let at = 0
  for (const [i, token] of tokens.entries()) {
    result += text.slice(at, token.start) + printed(token, tokens[i + 1], tokens[i - 1])
    at = token.end
  }
  const shown = result + text.slice(at)
  return shown.replaceAll(/\b(current_timestamp|current_date)\s*\(\s*\)/gi, '$1')
}

const PARTS = /^(?:year|month|day|hour|minute)$/i

function printed(
  { kind, text }: SparkToken,
  next: SparkToken | undefined,
  last: SparkToken | undefined,
): string {
  switch (kind) {
    case 'string':
      return quoteLiteral(text)
    case 'quoted':
      return quoteIdentifier(text)
    case 'number':
      return text.replace(/(?:BD|[LSYFD])$/i, '')
    case 'symbol':
      if (text === '(' && last?.kind === 'word' && PARTS.test(last.text)) return ''
      return text === '<=>' ? 'IS NOT DISTINCT FROM' : text
    case 'word':
      // year(d) is extract(year FROM d), whose parenthesis is the one that follows.
      if (next?.text === '(' && PARTS.test(text)) return `extract(${text} FROM `
      return WORDS[text.toLowerCase()] ?? text
  }
}
