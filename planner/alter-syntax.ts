/** Alter syntax: what lakehouses say in ALTER TABLE, put into words of PostgreSQL's grammar. */

import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'

/**
 * An ALTER TABLE statement in PostgreSQL's words; `sql` itself when it is in them already.
 *
 * - `SET TBLPROPERTIES ('k' = 'v')` and `UNSET TBLPROPERTIES [IF EXISTS] ('k')` become SET and RESET.
 * - `ADD COLUMNS (…)`, `DROP COLUMNS (…)` become one command for each column.
 * - `COMMENT '…'`, `FIRST` and `AFTER c` become options of ALTER COLUMN, which `setColumnOptions`
 *   of `alter-columns.ts` knows.
 *
 * What is malformed is left for PostgreSQL's parser to refuse.
 */
export function rewriteAlter(sql: string): string {
  if (!/^alter\s+table\b/i.test(sql)) return sql
  const tokens = tokenize(sql)
  const first = commandStart(tokens)
  const commands = split(tokens.slice(first))
  const rewritten = commands.map((command) => rewriteCommand(sql, command))
  if (rewritten.every((one) => one === null)) return sql
  const texts = rewritten.map((text, i) => text ?? textOf(sql, commands[i] ?? []))
  return `${sql.slice(0, tokens[first]?.start ?? 0)}${texts.join(', ')}`
}

/** Index of the token after `ALTER TABLE [IF EXISTS] [ONLY] name [*]`. */
function commandStart(tokens: readonly Token[]): number {
  let at = 2
  if (isKeyword(tokens[at], 'if') && isKeyword(tokens[at + 1], 'exists')) at += 2
  if (isKeyword(tokens[at], 'only')) at++
  while (tokens[at + 1]?.text === '.') at += 2
  at++
  return tokens[at]?.text === '*' ? at + 1 : at
}

/** The parts between commas that stand in no parentheses. */
function split(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.kind === 'symbol' && token.text === '(') depth++
    if (token.kind === 'symbol' && token.text === ')') depth--
    if (token.kind === 'symbol' && token.text === ',' && depth === 0) parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

function textOf(sql: string, tokens: readonly Token[]): string {
  const [first, last] = [tokens[0], tokens.at(-1)]
  return first === undefined || last === undefined ? '' : sql.slice(first.start, last.end)
}

/** The tokens between the parentheses that are all of `tokens`; null when they are not. */
function inside(tokens: readonly Token[]): Token[] | null {
  if (tokens[0]?.text !== '(' || tokens.at(-1)?.text !== ')') return null
  return tokens.slice(1, -1)
}

function rewriteCommand(sql: string, tokens: readonly Token[]): string | null {
  const word = (i: number): string =>
    tokens[i]?.kind === 'identifier' ? (tokens[i]?.text.toLowerCase() ?? '') : ''
  switch (word(0)) {
    case 'set':
      return word(1) === 'tblproperties' ? properties('SET', tokens.slice(2)) : null
    case 'unset': {
      if (word(1) !== 'tblproperties') return null
      return properties('RESET', tokens.slice(word(2) === 'if' && word(3) === 'exists' ? 4 : 2))
    }
    case 'add': {
      const list = inside(tokens.slice(/^columns?$/.test(word(1)) ? 2 : 1))
      if (list !== null) {
        const columns = split(list).map((item) => addedColumn(sql, item))
        return columns.map((text) => `ADD COLUMN ${text}`).join(', ')
      }
      if (/^(constraint|check|primary|unique|foreign|exclude)$/.test(word(1))) return null
      const from = word(1) === 'column' ? 2 : 1
      const isOptional = word(from) === 'if' && word(from + 1) === 'not'
      const item = tokens.slice(isOptional ? from + 3 : from)
      if (clausesOf(item).rest.length === item.length) return null
      return `ADD COLUMN ${isOptional ? 'IF NOT EXISTS ' : ''}${addedColumn(sql, item)}`
    }
    case 'drop': {
      const isOptional = word(2) === 'if' && word(3) === 'exists'
      if (!/^columns?$/.test(word(1))) return null
      const list = inside(tokens.slice(isOptional ? 4 : 2))
      const words = `DROP COLUMN ${isOptional ? 'IF EXISTS ' : ''}`
      return list === null
        ? null
        : split(list)
            .map((name) => words + textOf(sql, name))
            .join(', ')
    }
    case 'alter':
    case 'change':
      return changedColumn(sql, tokens, word)
    default:
      return null
  }
}

function properties(word: 'SET' | 'RESET', tokens: readonly Token[]): string | null {
  const list = inside(tokens)
  if (list === null) return null
  const items: string[] = []
  for (const item of split(list)) {
    const equal = item.findIndex((token) => token.text === '=')
    const name = nameOf(equal < 0 ? item : item.slice(0, equal))
    const value = equal < 0 ? [] : item.slice(equal + 1)
    // Spark takes double quotes for a text's.
    const text = value.map((token) =>
      token.kind === 'string'
        ? unquoted(token)
        : token.kind === 'quoted'
          ? identifierName(token)
          : token.text,
    )
    if (name === '' || (word === 'SET') !== equal >= 0) return null
    if (equal >= 0 && (value.length === 0 || value.length > 2)) return null
    const assigned = equal < 0 ? '' : ` = ${quoteLiteral(text.join(''))}`
    items.push(`${quoteIdentifier(name)}${assigned}`)
  }
  return `${word} (${items.join(', ')})`
}

/** A property's name: a string, or words with points between them. */
function nameOf(tokens: readonly Token[]): string {
  const [first] = tokens
  if (first?.kind === 'string') return tokens.length === 1 ? unquoted(first) : ''
  return tokens
    .map((token) => (token.kind === 'quoted' ? identifierName(token) : token.text))
    .join('')
}

function unquoted(token: Token): string {
  return token.text.slice(1, -1).replaceAll("''", "'")
}

interface ColumnClauses {
  /** The tokens that are no such clause. */
  readonly rest: readonly Token[]
  readonly options: readonly string[]
}

function clausesOf(tokens: readonly Token[]): ColumnClauses {
  const rest: Token[] = []
  const options: string[] = []
  let depth = 0
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token
    const next = tokens[i + 1]
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (depth > 0 || i === 0) rest.push(token)
    else if (isKeyword(token, 'comment') && next?.kind === 'string') {
      options.push(`lakegate_comment = ${quoteLiteral(unquoted(next))}`)
      i++
    } else if (isKeyword(token, 'after') && i === tokens.length - 2 && next !== undefined) {
      options.push(`lakegate_after = ${quoteLiteral(identifierName(next))}`)
      i++
    } else if (isKeyword(token, 'first') && i === tokens.length - 1) {
      options.push("lakegate_first = ''")
    } else rest.push(token)
  }
  return { rest, options }
}

/** A column's definition, and the options that belong to it as a command of their own. */
function addedColumn(sql: string, tokens: readonly Token[]): string {
  const { rest, options } = clausesOf(tokens)
  const name = tokens[0] === undefined ? '' : textOf(sql, [tokens[0]])
  const definition = rest.map((token) => token.text).join(' ')
  if (options.length === 0) return textOf(sql, tokens)
  return `${definition}, ALTER COLUMN ${name} SET (lakegate_added = '', ${options.join(', ')})`
}

/** `ALTER COLUMN c COMMENT '…' | FIRST | AFTER d`, `CHANGE [COLUMN] c c type …`. */
function changedColumn(
  sql: string,
  tokens: readonly Token[],
  word: (i: number) => string,
): string | null {
  const from = word(1) === 'column' ? 2 : 1
  const { rest, options } = clausesOf(tokens.slice(from))
  const [name, again, ...type] = rest
  if (name === undefined) return null
  const set = `ALTER COLUMN ${name.text} SET (${options.join(', ')})`
  if (rest.length === 1) return options.length === 0 ? null : set
  if (word(0) !== 'change' || again === undefined || type.length === 0) return null
  if (identifierName(name) !== identifierName(again)) return null
  const retyped = `ALTER COLUMN ${name.text} TYPE ${textOf(sql, type)}`
  return options.length === 0 ? retyped : `${retyped}, ${set}`
}
