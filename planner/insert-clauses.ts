/** InsertClauses: what INSERT says in a lakehouse's words that PostgreSQL's grammar lacks. */

import { SqlError, SqlState } from '../storage/errors.js'
import { isKeyword, type Token, tokenize } from './lexer.js'

/** What an INSERT statement says beside PostgreSQL's own clauses. */
export interface InsertOptions {
  /** Columns of the query are matched by name. */
  readonly byName: boolean
  /** What is inserted takes the place of what is there. */
  readonly overwrite: boolean
  /** Columns that the table lacks are added to it. */
  readonly schemaEvolution: boolean
  /** The text of REPLACE WHERE's predicate, whose node is the tree's `whereClause`. */
  readonly replaceWhere: string | undefined
}

export const PLAIN_INSERT: InsertOptions = {
  byName: false,
  overwrite: false,
  schemaEvolution: false,
  replaceWhere: undefined,
}

/** Cheap to test, since INSERTs may be megabytes of VALUES. */
const CLAUSES =
  /\binsert\s+(?:overwrite|with\s+schema|into\s+table)\b|\bby\s+(?:name|position)\b|\breplace\s+(?:where|using|on)\b/i

/**
 * Takes `OVERWRITE [TABLE]`, `INTO TABLE`, `WITH SCHEMA EVOLUTION`, `BY NAME`, `BY POSITION` and
 * `REPLACE WHERE …` out of an INSERT.
 *
 * `text` has as many bytes before each place as `sql`, so that the tree's locations point into
 * `sql`. `predicate` is a SELECT of REPLACE WHERE's predicate with locations of that kind.
 *
 * 0A000 for `PARTITION (…)`, `REPLACE USING` and `REPLACE ON`, 42601 for clauses not well formed.
 */
export function liftInsertClauses(sql: string): {
  readonly text: string
  readonly options: InsertOptions
  readonly predicate?: string
} {
  const plain = { text: sql, options: PLAIN_INSERT }
  if (!CLAUSES.test(sql)) return plain
  const tokens = tokenize(sql)
  const first = insertAt(tokens)
  if (first === null) return plain
  const blanks: [number, number, string][] = []
  const blank = (from: number, to: number, by = ''): void => {
    blanks.push([tokens[from]?.start ?? 0, tokens[to]?.end ?? 0, by])
  }
  let { byName, overwrite, schemaEvolution, replaceWhere } = PLAIN_INSERT
  let predicate: string | undefined
  let at = first + 1
  if (isKeyword(tokens[at], 'with')) {
    if (!isKeyword(tokens[at + 1], 'schema') || !isKeyword(tokens[at + 2], 'evolution')) {
      throw malformed(tokens[at + 1])
    }
    schemaEvolution = true
    blank(at, at + 2)
    at += 3
  }
  if (isKeyword(tokens[at], 'overwrite')) {
    overwrite = true
    blank(at, at, 'INTO')
    if (isKeyword(tokens[at + 1], 'into')) blank(++at, at)
  } else if (!isKeyword(tokens[at], 'into')) return plain
  at++
  if (isKeyword(tokens[at], 'table')) blank(at, at++)
  while (tokens[at + 1]?.text === '.') at += 2
  at++
  if (isKeyword(tokens[at], 'as')) at += 2
  if (isKeyword(tokens[at], 'partition') && tokens[at + 1]?.text === '(') {
    throw unsupported('INSERT … PARTITION (…)', tokens[at])
  }
  if (
    tokens[at]?.text === '(' &&
    !/^(?:select|with|values|table|\()$/i.test(wordAt(tokens, at + 1))
  )
    at = endOfGroup(tokens, at) + 1
  if (isKeyword(tokens[at], 'overriding')) at += 3
  for (;;) {
    const next = tokens[at + 1]
    if (isKeyword(tokens[at], 'by') && (isKeyword(next, 'name') || isKeyword(next, 'position'))) {
      byName = isKeyword(next, 'name')
      blank(at, at + 1)
      at += 2
    } else if (isKeyword(tokens[at], 'replace') && isKeyword(next, 'where')) {
      const end = startOfQuery(tokens, at + 2)
      const [from, to] = [tokens[at + 2]?.start ?? 0, tokens[end - 1]?.end ?? 0]
      if (end === at + 2 || end === tokens.length) throw malformed(tokens[end])
      replaceWhere = sql.slice(from, to)
      predicate = `${' '.repeat(Buffer.byteLength(sql.slice(0, from)) - 7)}SELECT ${replaceWhere}`
      blank(at, end - 1)
      at = end
    } else if (isKeyword(tokens[at], 'replace') && /^(?:using|on)$/i.test(next?.text ?? '')) {
      throw unsupported(`INSERT … REPLACE ${String(next?.text).toUpperCase()}`, tokens[at])
    } else break
  }
  if (overwrite && replaceWhere !== undefined) throw malformed(tokens[first + 1])
  let text = ''
  let from = 0
  for (const [start, end, by] of blanks) {
    const bytes = Buffer.byteLength(sql.slice(start, end))
    text += sql.slice(from, start) + by.padEnd(bytes)
    from = end
  }
  const options = { byName, overwrite, schemaEvolution, replaceWhere }
  return {
    text: text + sql.slice(from),
    options,
    ...(predicate === undefined ? {} : { predicate }),
  }
}

/** Index of the INSERT that the statement is, or that WITH, EXPLAIN or PREPARE lead to; null without. */
function insertAt(tokens: readonly Token[]): number | null {
  if (!/^(?:insert|with|explain|prepare)$/i.test(wordAt(tokens, 0))) return null
  let depth = 0
  for (const [i, token] of tokens.entries()) {
    if (token.text === '(') depth++
    else if (token.text === ')') depth--
    else if (depth === 0 && isKeyword(token, 'insert')) return i
    else if (depth === 0 && isKeyword(token, 'select')) return null
  }
  return null
}

function startOfQuery(tokens: readonly Token[], from: number): number {
  let depth = 0
  for (let i = from; i < tokens.length; i++) {
    const text = tokens[i]?.text.toLowerCase() ?? ''
    if (text === '(') depth++
    else if (text === ')') depth--
    else if (depth === 0 && /^(?:select|values|with|table)$/.test(text)) return i
  }
  return tokens.length
}

function wordAt(tokens: readonly Token[], i: number): string {
  return tokens[i]?.text ?? ''
}

function endOfGroup(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i]?.text === '(') depth++
    if (tokens[i]?.text === ')' && --depth === 0) return i
  }
  throw malformed(undefined)
}

function unsupported(what: string, token: Token | undefined): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`, {
    position: (token?.start ?? 0) + 1,
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
