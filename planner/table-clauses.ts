/** TableClauses: what CREATE TABLE says in a lakehouse's words that PostgreSQL's grammar lacks. */

import { SqlError, SqlState } from '../storage/errors.js'
import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'

/** What a CREATE TABLE statement says of its table beside the columns. */
export interface TableOptions {
  readonly partitionColumns: readonly string[]
  readonly properties: { readonly [key: string]: string }
  readonly comment: string | undefined
  /** CREATE OR REPLACE. */
  readonly orReplace: boolean
  /** The table of `LIKE other` behind the name. */
  readonly like: readonly string[] | undefined
  readonly clusterColumns: readonly string[]
  /** The folder the table lies in, as written. */
  readonly location: string | undefined
}

export const NO_OPTIONS: TableOptions = {
  partitionColumns: [],
  properties: {},
  comment: undefined,
  orReplace: false,
  like: undefined,
  clusterColumns: [],
  location: undefined,
}

/**
 * Takes `OR REPLACE`, `USING DELTA`, `PARTITIONED BY (…)`, `CLUSTER BY (…)`, `LIKE other`,
 * `LOCATION '…'`, `TBLPROPERTIES (…)` and `COMMENT '…'` out of a CREATE TABLE statement; each is
 * overwritten with blanks of the same length.
 *
 * 0A000 for other formats, 42601 for clauses that are not well formed.
 */
export function liftTableClauses(sql: string): {
  readonly text: string
  readonly options: TableOptions
} {
  if (!/^\s*create\s+(?:or\s+replace\s+)?table\b/i.test(sql)) {
    return { text: sql, options: NO_OPTIONS }
  }
  const tokens = tokenize(sql)
  const partitionColumns: string[] = []
  const clusterColumns: string[] = []
  const properties: { [key: string]: string } = {}
  let { comment, like, location } = NO_OPTIONS
  const blanks: [number, number, string][] = []
  const blank = (first: number, last: number): void => {
    blanks.push([tokens[first]?.start ?? 0, tokens[last]?.end ?? 0, ''])
  }
  const orReplace = isKeyword(tokens[1], 'or')
  if (orReplace) blank(1, 2)
  let at = orReplace ? 4 : 2
  if (isKeyword(tokens[at], 'if')) at += 3
  while (tokens[at + 1]?.text === '.') at += 2
  const afterName = at + 1
  let hasColumns = false
  let hasQuery = false
  let depth = 0
  for (let i = afterName; i < tokens.length; i++) {
    const token = tokens[i] as Token
    if (token.text === '(' && depth++ === 0) hasColumns = true
    if (token.text === ')') depth--
    if (depth > 0 || token.kind !== 'identifier') continue
    hasQuery ||= isKeyword(token, 'as')
    if (hasQuery) break
    const next = tokens[i + 1]
    let last = i
    if (isKeyword(token, 'using')) {
      if (!isKeyword(next, 'delta')) throw unsupported('a table format other than Delta', token)
      last = i + 1
    } else if (isKeyword(token, 'partitioned') && isKeyword(next, 'by')) {
      last = group(tokens, i + 2)
      partitionColumns.push(...names(tokens.slice(i + 3, last)))
    } else if (isKeyword(token, 'cluster') && isKeyword(next, 'by')) {
      last = group(tokens, i + 2)
      clusterColumns.push(...names(tokens.slice(i + 3, last)))
    } else if (isKeyword(token, 'tblproperties')) {
      last = group(tokens, i + 1)
      Object.assign(properties, pairs(tokens.slice(i + 2, last)))
    } else if (isKeyword(token, 'comment') && next?.kind === 'string') {
      comment = textOf(next)
      last = i + 1
    } else if (isKeyword(token, 'location') && next?.kind === 'string') {
      location = textOf(next)
      last = i + 1
    } else if (isKeyword(token, 'like') && i === afterName) {
      last = i + 1
      while (tokens[last + 1]?.text === '.') last += 2
      like = tokens
        .slice(i + 1, last + 1)
        .filter(({ text }) => text !== '.')
        .map(identifierName)
    } else continue
    blank(i, last)
    i = last
  }
  // PostgreSQL's grammar wants a list of columns, be it empty.
  const first = blanks.find(([start]) => start >= (tokens[afterName]?.start ?? sql.length))
  if (!hasColumns && !hasQuery && first !== undefined) first[2] = '()'
  let text = sql
  for (const [start, end, by] of blanks) {
    const gap = text.slice(start, end).replace(/[^\n]/g, ' ')
    text = text.slice(0, start) + by + gap.slice(by.length) + text.slice(end)
  }
  return {
    text,
    options: { partitionColumns, properties, comment, orReplace, like, clusterColumns, location },
  }
}

function unsupported(what: string, token: Token): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`, {
    position: token.start + 1,
  })
}

function malformed(token: Token | undefined): SqlError {
  return new SqlError(
    SqlState.syntaxError,
    token === undefined
      ? 'syntax error at end of input'
      : `syntax error at or near "${token.text}"`,
    { position: token === undefined ? undefined : token.start + 1 },
  )
}

/** Index of the parenthesis that closes the group which begins at `open`. */
function group(tokens: readonly Token[], open: number): number {
  if (tokens[open]?.text !== '(') throw malformed(tokens[open])
  const close = tokens.findIndex((token, i) => i > open && token.text === ')')
  if (close < 0) throw malformed(undefined)
  return close
}

function names(tokens: readonly Token[]): string[] {
  return split(tokens).map(([only, ...rest]) => {
    if (only === undefined || rest.length > 0) throw malformed(rest[0] ?? only)
    return identifierName(only)
  })
}

function pairs(tokens: readonly Token[]): { [key: string]: string } {
  const found: { [key: string]: string } = {}
  for (const item of split(tokens)) {
    const equal = item.findIndex((token) => token.text === '=')
    const value = item[equal + 1]
    if (equal < 1 || value === undefined || item.length !== equal + 2) throw malformed(item[0])
    const key = item.slice(0, equal)
    const [first] = key
    const name = first?.kind === 'string' ? textOf(first) : key.map((token) => token.text).join('')
    found[name] = value.kind === 'string' ? textOf(value) : value.text
  }
  return found
}

function split(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  for (const token of tokens) {
    if (token.text === ',') parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

function textOf(token: Token): string {
  return token.text.slice(1, -1).replaceAll("''", "'")
}
