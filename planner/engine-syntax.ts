/** Engine syntax: the second door, for statements that only DuckDB's parser reads. */

import { LRUCache } from 'lru-cache'
import { SqlError, SqlState } from '../storage/errors.js'
import type { EngineQuery } from './engine-query.js'
import { liftTimeTravel } from './lake-syntax.js'
import { isKeyword, type Token, tokenize } from './lexer.js'
import { parseStatement, type ParsedStatement, splitStatements } from './parse.js'
import type { Node } from './syntax-tree.js'

/** Asks DuckDB's parser; null when it refuses the text, too. */
export type EngineParser = (text: string) => Promise<EngineQuery | null>

const cache = new LRUCache<string, readonly ParsedStatement[]>({
  maxSize: 16 * 1024 * 1024,
  // A tree is far larger than its text.
  sizeCalculation: (_, sql) => 200 + sql.length * 20,
})

/**
 * The statements of a client's text, none for blanks and comments.
 *
 * What PostgreSQL's parser refuses is read by DuckDB's: queries, alone or inside of EXPLAIN, DECLARE,
 * PREPARE, COPY and CREATE TABLE AS. What both refuse is PostgreSQL's error: 42601 with the position
 * in `sql`.
 */
export async function parseClientText(
  sql: string,
  engineParser: EngineParser,
): Promise<readonly ParsedStatement[]> {
  const known = cache.get(sql)
  if (known !== undefined) return known
  const statements: ParsedStatement[] = []
  for (const { source, start } of splitStatements(sql)) {
    statements.push(await parseOne(source, start, engineParser))
  }
  cache.set(sql, statements)
  return statements
}

async function parseOne(
  source: string,
  start: number,
  engineParser: EngineParser,
): Promise<ParsedStatement> {
  let statement: ParsedStatement | undefined
  let refusal: unknown
  try {
    statement = parseStatement(source, start)
  } catch (thrown) {
    if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.syntaxError) throw thrown
    refusal = thrown
  }
  if (statement !== undefined && !meansEngine(tokenize(source))) return statement
  const read =
    (await engineStatement(source, start, engineParser)) ??
    (await wrappedEngineStatement(source, start, engineParser))
  if (read !== null) return read
  if (statement === undefined) throw refusal
  return statement
}

/** `source` as a query of DuckDB's; null when it is none. */
async function engineStatement(
  source: string,
  start: number,
  engineParser: EngineParser,
): Promise<ParsedStatement | null> {
  const first = tokenize(source).find((token) => token.text !== '(')
  if (!BEGINNINGS.test(first?.text ?? '')) return null
  const { text, travels } = liftTimeTravel(source)
  let engineQuery: EngineQuery | null
  try {
    engineQuery = await engineParser(text)
  } catch (thrown) {
    throw thrown instanceof SqlError && thrown.position !== undefined
      ? thrown.at(start + thrown.position)
      : thrown
  }
  if (engineQuery === null) return null
  const { tables } = engineQuery
  if (travels.some((travel) => !tables.some((table) => table.start === travel.nameStart))) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "time travel is not supported at this place of a statement in DuckDB's syntax",
    )
  }
  return {
    ...parseStatement('SELECT', start),
    source,
    text,
    // A query to everyone who asks; its own parts are known to DuckDB alone.
    tree: { SelectStmt: { engineParameters: parametersOf(engineQuery) } },
    travels,
    engineQuery,
  }
}

/** Words a query of DuckDB's begins with. */
const BEGINNINGS = /^(?:select|from|with|values|table|pivot|unpivot|summarize|describe|desc)$/i

function parametersOf(query: EngineQuery): readonly Node[] {
  return query.parameters.map(({ number }) => ({ ParamRef: { number } }))
}

/** A statement that holds a query of DuckDB's, the rest of it being PostgreSQL's. */
async function wrappedEngineStatement(
  source: string,
  start: number,
  engineParser: EngineParser,
): Promise<ParsedStatement | null> {
  const place = innerPlace(tokenize(source))
  if (place === null) return null
  let outer: ParsedStatement
  try {
    const text = `${source.slice(0, place.start)}SELECT 1${source.slice(place.end)}`
    outer = parseStatement(text, start)
  } catch {
    return null
  }
  const inner = await engineStatement(
    source.slice(place.start, place.end),
    start + place.start,
    engineParser,
  )
  if (inner?.engineQuery === undefined) return null
  const parameters = parametersOf(inner.engineQuery)
  const tree = { ...outer.tree, engineParameters: parameters }
  return { ...outer, source, text: source, tree, wrapped: inner }
}

/** Where the query inside of EXPLAIN, DECLARE, PREPARE, COPY or CREATE TABLE AS stands. */
function innerPlace(
  tokens: readonly Token[],
): { readonly start: number; readonly end: number } | null {
  const first = tokens[0]
  let from: number
  let to = tokens.length - 1
  if (isKeyword(first, 'explain')) {
    from = 1
    if (
      tokens[1]?.text === '(' &&
      !isKeyword(tokens[2], 'select') &&
      !isKeyword(tokens[2], 'from')
    ) {
      from = closing(tokens, 1) + 1
    }
    while (/^(?:analy[sz]e|verbose)$/i.test(tokens[from]?.text ?? '')) from++
  } else if (isKeyword(first, 'declare')) from = wordAt(tokens, 'for') + 1
  else if (isKeyword(first, 'prepare')) from = wordAt(tokens, 'as') + 1
  else if (
    isKeyword(first, 'create') &&
    tokens.slice(1, 4).some((one) => isKeyword(one, 'table'))
  ) {
    from = wordAt(tokens, 'as') + 1
  } else if (isKeyword(first, 'copy') && tokens[1]?.text === '(') {
    from = 2
    to = closing(tokens, 1) - 1
  } else return null
  const [begin, end] = [tokens[from], tokens[to]]
  return from === 0 || begin === undefined || end === undefined || to < from
    ? null
    : { start: begin.start, end: end.end }
}

/** Index of the first token outside of parentheses that is `word`; -1 when there is none. */
function wordAt(tokens: readonly Token[], word: string): number {
  let depth = 0
  return tokens.findIndex((token) => {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    return depth === 0 && isKeyword(token, word)
  })
}

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0
  const at = tokens.findIndex((token, i) => {
    if (i < open) return false
    if (token.text === '(') depth++
    return token.text === ')' && --depth === 0
  })
  return at < 0 ? tokens.length : at
}

/** Joins that PostgreSQL reads as a table's alias before an ordinary JOIN. */
const JOINS = new Set(['asof', 'semi', 'anti', 'positional'])

/** Functions of DuckDB's whose arguments may be arrow functions, which PostgreSQL reads as operators. */
const ARROW_FUNCTIONS =
  /^(?:(?:list|array)_(?:transform|filter|reduce|apply)|apply|filter|reduce)$/i

/**
 * Whether a text that PostgreSQL reads is meant for DuckDB: what it says could only be an error, or
 * a join that is not the one that was written.
 */
function meansEngine(tokens: readonly Token[]): boolean {
  let arrows = false
  let calls = false
  for (const [i, token] of tokens.entries()) {
    if (token.text === '->') arrows = true
    if (token.kind !== 'identifier' || tokens[i - 1]?.text === '.') continue
    const next = tokens[i + 1]
    const word = token.text.toLowerCase()
    if (next?.text === '(') {
      if (word === 'columns' && isCall(tokens, i)) return true
      if (ARROW_FUNCTIONS.test(word)) calls = true
    }
    if (JOINS.has(word) && isJoin(tokens, i + 1) && isTableEnd(tokens[i - 1])) return true
  }
  return arrows && calls
}

/** Whether a name before parentheses is called, not declared: `WITH columns (a) AS (…)`. */
function isCall(tokens: readonly Token[], name: number): boolean {
  const after = closing(tokens, name + 1) + 1
  return !(isKeyword(tokens[after], 'as') && tokens[after + 1]?.text === '(')
}

/** Whether a table may end with `token`, so that what follows could be its alias. */
function isTableEnd(token: Token | undefined): boolean {
  if (token?.kind === 'quoted' || token?.text === ')') return true
  return token?.kind === 'identifier' && !/^(?:as|from|join|lateral|only)$/i.test(token.text)
}

function isJoin(tokens: readonly Token[], at: number): boolean {
  if (isKeyword(tokens[at], 'join')) return true
  return /^(?:left|right|full|inner)$/i.test(tokens[at]?.text ?? '') && isJoin(tokens, at + 1)
}
