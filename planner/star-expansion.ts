/** StarExpansion: a query's text with every `*` written out, as a view keeps it. */

import { analyzeQuery } from './analyze-query.js'
import type { ParsedStatement } from './parse.js'
import { analyzePlan, type QueryContext } from './query.js'
import { SourceText } from './source-text.js'
import { type Node, nodeOf } from './syntax-tree.js'

/**
 * The text of `statement` with the columns that each `*` stands for now.
 *
 * PostgreSQL's views keep the columns they were made with, whatever a table gets later. A `*` whose
 * columns have no names of their own (a join's without alias) stays as it is.
 */
export async function withStarsWrittenOut(
  statement: ParsedStatement,
  context: QueryContext,
): Promise<string> {
  const select = nodeOf(statement.tree, 'SelectStmt')
  if (select === undefined) return statement.source
  const { query } = await context.pool.with((connection) =>
    analyzePlan(statement, [], [], context, connection, false, (analysis) => ({
      ...analyzeQuery(analysis, select as Node),
      stars: analysis.stars,
    })),
  )
  const source = new SourceText(statement.text)
  // A query inside may be analysed more than once.
  const byStart = new Map(
    query.stars.map(({ location, columns }) => [source.offsetOf(location), columns]),
  )
  let text = statement.source
  for (const [start, columns] of [...byStart].sort((a, b) => b[0] - a[0])) {
    if (columns === null) continue
    text = text.slice(0, start) + columns + text.slice(source.endOfName(start))
  }
  return text
}
