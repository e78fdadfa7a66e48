/** Convert syntax: CONVERT TO DELTA, in a lakehouse's words. */

import { SqlError, SqlState } from '../storage/errors.js'
import { isKeyword, tokenize } from './lexer.js'
import { type Clause, Words } from './words.js'

/** A CONVERT TO DELTA as it is written. */
export interface ConvertTable {
  readonly kind: 'convert'
  /** The folder of parquet.`folder`, or the name of a table's. */
  readonly source: { readonly path: string } | { readonly name: readonly string[] }
  /** Definitions of the columns that folders name; null without any. */
  readonly partitions: Clause | null
  readonly statistics: boolean
}

/** The CONVERT TO DELTA that `sql` is, or null when it is something else; 42601. */
export function parseConvert(sql: string): ConvertTable | null {
  if (!/^(?:\s|--|\/\*|convert)/i.test(sql)) return null
  const tokens = tokenize(sql)
  const isOurs = ['convert', 'to', 'delta'].every((word, i) => isKeyword(tokens[i], word))
  if (!isOurs) return null
  const from = tokens[2]?.end ?? 0
  // PostgreSQL has no back quotes, so that its tokens would end inside of the path.
  const quoted = /^\s*(\w+)\s*\.\s*(?:`((?:[^`]|``)*)`|"((?:[^"]|"")*\/(?:[^"]|"")*)")/.exec(
    sql.slice(from),
  )
  if (quoted !== null && quoted[1]?.toLowerCase() !== 'parquet') {
    throw new SqlError(
      SqlState.featureNotSupported,
      `CONVERT TO DELTA of "${quoted[1]}" is not supported`,
      { hint: 'Only folders of Parquet files can be converted.' },
    )
  }
  const rest = from + (quoted?.[0].length ?? 0)
  // Blanks in the place of what has been read keep positions true.
  const words = new Words(sql.slice(0, rest).replace(/[^\n]/g, ' ') + sql.slice(rest))
  const path = quoted?.[2]?.replaceAll('``', '`') ?? quoted?.[3]?.replaceAll('""', '"')
  const source = path === undefined ? { name: words.name() } : { path }
  let partitions: Clause | null = null
  let statistics = true
  for (;;) {
    if (words.take('no')) {
      words.need('statistics')
      statistics = false
    } else if (words.take('partitioned')) {
      words.need('by')
      partitions = words.parenthesised()
    } else break
  }
  words.end()
  return { kind: 'convert', source, partitions, statistics }
}
