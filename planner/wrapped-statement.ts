/** Wrapped statement: the query inside DECLARE, EXPLAIN, PREPARE, CREATE … AS, COPY and SELECT INTO. */

import { assert } from '../storage/errors.js'
import { isKeyword, type Token, tokenize } from './lexer.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import { kindOf, listOf, type Node, nodeOf } from './syntax-tree.js'

/**
 * The statement inside one of kind DeclareCursorStmt, PrepareStmt, ExplainStmt, CopyStmt, ViewStmt
 * or CreateTableAsStmt, its positions those of the client's text.
 *
 * Found by tokens, so that comments, strings and names that look like keywords mean nothing.
 */
export function wrappedStatement(statement: ParsedStatement): ParsedStatement {
  if (statement.wrapped !== undefined) return statement.wrapped
  const tree = statement.tree ?? {}
  const kind = kindOf(tree)
  // Of the source: in the text, time travel clauses are blanks, which may be what it ends with.
  const tokens = tokenize(statement.source)
  const [first, last] = innerTokens(kind, (tree[kind] ?? {}) as Node, tokens)
  return cutOut(statement, tokens[first], tokens[last])
}

/** The SELECT of a SELECT … INTO, without its INTO clause; null when it has none. */
export function withoutInto(
  statement: ParsedStatement,
): { readonly into: Node; readonly query: ParsedStatement } | null {
  const into = intoClauseOf(statement.tree ?? {})
  if (into === null) return null
  const tokens = tokenize(statement.text)
  const nameStart = utf16Offset(statement.text, Number((into.rel as Node).location ?? 0))
  const name = tokens.findIndex((token) => token.start >= nameStart)
  let first = name
  while (first > 0 && !isReserved(tokens, first, 'into')) first--
  let last = name
  while (tokens[last + 1]?.text === '.') last += 2
  const start = tokens[first]?.start ?? 0
  const end = tokens[last]?.end ?? start
  const { source } = statement
  const blank = source.slice(start, end).replace(/[^\n]/g, ' ')
  return { into, query: reparse(source.slice(0, start) + blank + source.slice(end), statement) }
}

/** The INTO clause of a SELECT, which of a UNION is its first branch's. */
function intoClauseOf(tree: Node): Node | null {
  let select = nodeOf(tree, 'SelectStmt')
  while (select?.larg !== undefined) select = select.larg as Node
  return (select?.intoClause as Node | undefined) ?? null
}

/** Indexes of the first and the last token of the statement inside one of that kind. */
function innerTokens(kind: string, fields: Node, tokens: readonly Token[]): [number, number] {
  const end = tokens.length - 1
  switch (kind) {
    case 'DeclareCursorStmt':
      return [keywordAt(tokens, 'for') + 1, end]
    case 'PrepareStmt':
      return [keywordAt(tokens, 'as') + 1, end]
    case 'ViewStmt':
      return [keywordAt(tokens, 'as') + 1, end - checkOptionLength(tokens, fields)]
    case 'CreateTableAsStmt':
      return [keywordAt(tokens, 'as') + 1, end - withDataLength(tokens)]
    case 'CopyStmt':
      return [2, closingAt(tokens, 1) - 1]
    case 'ExplainStmt': {
      if (listOf(fields.options).length === 0) return [1, end]
      if (tokens[1]?.text === '(') return [closingAt(tokens, 1) + 1, end]
      let first = 1
      while (/^(analy[sz]e|verbose)$/i.test(tokens[first]?.text ?? '')) first++
      return [first, end]
    }
    default:
      throw new Error(`assertion failed: no statement is inside of a ${kind}`)
  }
}

/** Index of the first token outside of parentheses that is that reserved word. */
function keywordAt(tokens: readonly Token[], word: string): number {
  let depth = 0
  for (let i = 0; i < tokens.length; i++) {
    const text = tokens[i]?.text
    if (text === '(') depth++
    else if (text === ')') depth--
    else if (depth === 0 && isReserved(tokens, i, word)) return i
  }
  throw new Error(`assertion failed: the statement has the word ${word}`)
}

/** A reserved word may be a name after a dot only, and a column's label after AS. */
function isReserved(tokens: readonly Token[], i: number, word: string): boolean {
  if (!isKeyword(tokens[i], word) || tokens[i - 1]?.text === '.') return false
  return word === 'as' || !isKeyword(tokens[i - 1], 'as')
}

function closingAt(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i]?.text === '(') depth++
    if (tokens[i]?.text === ')' && --depth === 0) return i
  }
  throw new Error('assertion failed: parentheses are closed in what has been parsed')
}

/** Number of tokens of `WITH [NO] DATA` at the end. */
function withDataLength(tokens: readonly Token[]): number {
  const end = tokens.length
  if (!isKeyword(tokens[end - 1], 'data')) return 0
  const length = isKeyword(tokens[end - 2], 'no') ? 3 : 2
  return isReserved(tokens, end - length, 'with') ? length : 0
}

/** Number of tokens of `WITH [CASCADED | LOCAL] CHECK OPTION` at the end. */
function checkOptionLength(tokens: readonly Token[], fields: Node): number {
  if (fields.withCheckOption === 'NO_CHECK_OPTION') return 0
  return /^(cascaded|local)$/i.test(tokens.at(-3)?.text ?? '') ? 4 : 3
}

function cutOut(
  statement: ParsedStatement,
  first: Token | undefined,
  last: Token | undefined,
): ParsedStatement {
  assert(first !== undefined && last !== undefined, 'the statement inside has tokens')
  return reparse(statement.source.slice(first.start, last.end), statement, first.start)
}

function reparse(source: string, outer: ParsedStatement, offset = 0): ParsedStatement {
  const [inner] = parseStatements(source)
  assert(inner !== undefined, 'what the parser found inside is a statement')
  return { ...inner, start: outer.start + offset + inner.start }
}

function utf16Offset(text: string, byteOffset: number): number {
  return Buffer.from(text).toString('utf8', 0, byteOffset).length
}
