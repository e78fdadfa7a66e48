/** Lake syntax: time travel clauses and the lake's own commands, which PostgreSQL's grammar lacks. */

import { type CatalogCommand, parseCatalogCommand } from './catalog-command.js'
import { type CloneTable, parseClone } from './clone-syntax.js'
import { type ConvertTable, parseConvert } from './convert-syntax.js'
import { type CopyInto, parseCopyInto } from './copy-into-syntax.js'
import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'
import { type MaintenanceCommand, parseMaintenance } from './maintenance-syntax.js'

/** A time travel clause, taken out of a statement. */
export interface TimeTravel {
  /** Offset at which the name of the table begins that the clause follows. */
  readonly nameStart: number
  readonly kind: 'version' | 'timestamp'
  /** The SQL of the version or time asked for. */
  readonly expression: string
}

/** A statement without its time travel clauses, every other character in its place. */
export interface LiftedStatement {
  readonly text: string
  readonly travels: readonly TimeTravel[]
}

/** A command that only a lake knows. */
export type LakeCommand =
  | {
      readonly kind: 'describe-history'
      readonly name: readonly string[]
      readonly limit: number | null
    }
  | { readonly kind: 'describe-detail'; readonly name: readonly string[] }
  | {
      readonly kind: 'describe-table'
      readonly name: readonly string[]
      readonly extended: boolean
      /** The one column that is asked for; null for all. */
      readonly column: string | null
    }
  | {
      readonly kind: 'show-properties'
      readonly name: readonly string[]
      /** The one property asked for; null for all. */
      readonly property: string | null
    }
  | MaintenanceCommand
  | CopyInto
  | CloneTable
  | ConvertTable
  | CatalogCommand

/** Words before which a table name ends and no time travel is meant. */
const FROM_WORDS = new Set(['from', 'join', 'table', 'using', 'into'])

/**
 * Takes the time travel clauses out of one statement: `t VERSION AS OF 3`,
 * `t FOR [SYSTEM_]VERSION AS OF $1`, `t TIMESTAMP AS OF now() - interval '1 day'`,
 * `t FOR [SYSTEM_]TIMESTAMP|TIME AS OF …`, `t@v3`, `t@20260101000000000`, `t AT (VERSION => 3)`.
 *
 * Each is overwritten with blanks of the same length, so every later position stays true.
 */
export function liftTimeTravel(sql: string): LiftedStatement {
  if (!/\bof\b|@|\bat\b/i.test(sql)) return { text: sql, travels: [] }
  const tokens = tokenize(sql)
  const travels: TimeTravel[] = []
  const blanks: [number, number][] = []
  for (let i = 0; i < tokens.length; i++) {
    const name = tableNameEndingAt(tokens, i)
    if (name === null) continue
    const clause =
      asOfClause(sql, tokens, i + 1) ?? atSignClause(tokens, i) ?? atClause(sql, tokens, i + 1)
    if (clause === null) continue
    travels.push({
      nameStart: name.start,
      kind: clause.kind,
      expression: clause.expression,
    })
    blanks.push([clause.start, clause.end])
    i = clause.last
  }
  if (travels.length === 0) return { text: sql, travels }
  let text = sql
  for (const [start, end] of blanks) {
    text = text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end)
  }
  return { text, travels }
}

interface Clause {
  readonly kind: 'version' | 'timestamp'
  readonly expression: string
  readonly start: number
  readonly end: number
  readonly last: number
}

/** The first token of the qualified name that ends with token `i`, when it can be a table's. */
function tableNameEndingAt(tokens: readonly Token[], i: number): Token | null {
  const token = tokens[i]
  if (token === undefined || (token.kind !== 'identifier' && token.kind !== 'quoted')) return null
  let first = i
  while (first >= 2 && tokens[first - 1]?.text === '.' && isName(tokens[first - 2])) first -= 2
  const before = tokens[first - 1]
  const start = tokens[first]
  if (start === undefined || before === undefined) return null
  if (before.kind === 'identifier' && FROM_WORDS.has(before.text.toLowerCase())) return start
  if (first === 1 && /^(?:pivot|unpivot|summarize)$/i.test(before.text)) return start
  if (isKeyword(before, 'only') || isKeyword(before, 'lateral')) return start
  return before.text === ',' || before.text === '(' ? start : null
}

function isName(token: Token | undefined): boolean {
  return token?.kind === 'identifier' || token?.kind === 'quoted'
}

function asOfClause(sql: string, tokens: readonly Token[], from: number): Clause | null {
  let at = from
  const start = tokens[at]
  if (isKeyword(tokens[at], 'for')) at++
  const word = tokens[at]
  if (word?.kind !== 'identifier') return null
  const kind = KINDS[word.text.toLowerCase()]
  if (kind === undefined) return null
  if (!isKeyword(tokens[at + 1], 'as') || !isKeyword(tokens[at + 2], 'of')) return null
  const last = endOfExpression(tokens, at + 3)
  return clauseOf(sql, tokens, kind, start, at + 3, last, last)
}

const KINDS: Readonly<Record<string, 'version' | 'timestamp'>> = {
  version: 'version',
  system_version: 'version',
  timestamp: 'timestamp',
  system_time: 'timestamp',
  system_timestamp: 'timestamp',
  time: 'timestamp',
}

/** `t@v3` and `t@yyyyMMddHHmmssSSS`, written without a blank. */
function atSignClause(tokens: readonly Token[], i: number): Clause | null {
  const name = tokens[i]
  const sign = tokens[i + 1]
  const value = tokens[i + 2]
  if (name === undefined || sign?.text !== '@' || value === undefined) return null
  if (sign.start !== name.end || value.start !== sign.end) return null
  const version = /^v(\d+)$/i.exec(value.text)
  if (version !== null) {
    return {
      kind: 'version',
      expression: version[1] ?? '',
      start: sign.start,
      end: value.end,
      last: i + 2,
    }
  }
  const stamp = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(value.text)
  if (stamp === null) return null
  const [, year, month, day, hour, minute, second, milli] = stamp
  const expression = `TIMESTAMPTZ '${year}-${month}-${day} ${hour}:${minute}:${second}.${milli}'`
  return { kind: 'timestamp', expression, start: sign.start, end: value.end, last: i + 2 }
}

/** `t AT (VERSION => 3)`, DuckDB's own spelling. */
function atClause(sql: string, tokens: readonly Token[], from: number): Clause | null {
  if (!isKeyword(tokens[from], 'at') || tokens[from + 1]?.text !== '(') return null
  const kind = KINDS[(tokens[from + 2]?.text ?? '').toLowerCase()]
  if (kind === undefined || tokens[from + 3]?.text !== '=>') return null
  let last = from + 4
  for (let depth = 0; last < tokens.length; last++) {
    const { text } = tokens[last] as Token
    if (text === '(') depth++
    else if (text === ')' && depth-- === 0) break
  }
  return clauseOf(sql, tokens, kind, tokens[from], from + 4, last - 1, last)
}

function clauseOf(
  sql: string,
  tokens: readonly Token[],
  kind: 'version' | 'timestamp',
  start: Token | undefined,
  firstOfExpression: number,
  lastOfExpression: number,
  last: number,
): Clause | null {
  const first = tokens[firstOfExpression]
  const end = tokens[lastOfExpression]
  const close = tokens[last]
  if (start === undefined || first === undefined || end === undefined || close === undefined) {
    return null
  }
  if (lastOfExpression < firstOfExpression) return null
  return {
    kind,
    expression: sql.slice(first.start, end.end),
    start: start.start,
    end: close.end,
    last,
  }
}

const TYPED_LITERALS = new Set(['timestamp', 'timestamptz', 'date', 'interval', 'time'])

/** Index of the last token of the expression that begins at token `from`: operands joined by + - and AT TIME ZONE. */
function endOfExpression(tokens: readonly Token[], from: number): number {
  let at = endOfOperand(tokens, from)
  for (;;) {
    const next = tokens[at + 1]
    if (next?.kind === 'operator' && (next.text === '+' || next.text === '-')) {
      at = endOfOperand(tokens, at + 2)
    } else if (
      isKeyword(next, 'at') &&
      isKeyword(tokens[at + 2], 'time') &&
      isKeyword(tokens[at + 3], 'zone')
    ) {
      at = endOfOperand(tokens, at + 4)
    } else return at
  }
}

function endOfOperand(tokens: readonly Token[], from: number): number {
  let at = from
  const first = tokens[at]
  if (first === undefined) return from - 1
  if (first.kind === 'operator' && /^[+-]$/.test(first.text)) return endOfOperand(tokens, from + 1)
  if (first.text === '(') at = endOfParentheses(tokens, at)
  else if (first.kind === 'identifier' || first.kind === 'quoted') {
    const word = first.text.toLowerCase()
    if (TYPED_LITERALS.has(word) && tokens[at + 1]?.kind === 'string') at++
    else {
      while (tokens[at + 1]?.text === '.') at += 2
      if (tokens[at + 1]?.text === '(') at = endOfParentheses(tokens, at + 1)
    }
  }
  while (tokens[at + 1]?.text === '::') {
    at += 2
    if (isKeyword(tokens[at + 1], 'with') || isKeyword(tokens[at + 1], 'without')) at += 3
    if (tokens[at + 1]?.text === '(') at = endOfParentheses(tokens, at + 1)
  }
  return at
}

function endOfParentheses(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.text === '(') depth++
    if (tokens[at]?.text === ')' && --depth === 0) return at
  }
  return tokens.length - 1
}

/** The lake command `sql` is, or null when it is none; 42601 with the position in `sql`. */
export function parseLakeCommand(sql: string): LakeCommand | null {
  const maintenance = parseMaintenance(sql)
  if (maintenance !== null) return maintenance
  const loading = parseCopyInto(sql) ?? parseClone(sql) ?? parseConvert(sql)
  if (loading !== null) return loading
  const tokens = tokenize(sql)
  const own = parseCatalogCommand(tokens)
  if (own !== null) return own
  const first = tokens[0]?.text.toLowerCase() ?? ''
  const second = tokens[1]?.text.toLowerCase() ?? ''
  if (first === 'describe' || first === 'desc') {
    const name = qualifiedName(tokens, 2)
    if (second === 'history' && name.parts.length > 0) {
      const limit = isKeyword(tokens[name.next], 'limit')
        ? Number(tokens[name.next + 1]?.text)
        : null
      return { kind: 'describe-history', name: name.parts, limit }
    }
    if (second === 'detail' && name.parts.length > 0) {
      return { kind: 'describe-detail', name: name.parts }
    }
    const described = describeTable(tokens)
    if (described !== null) return described
  }
  if (first === 'show' && second === 'tblproperties') return showProperties(tokens)
  return null
}

/** `DESCRIBE [TABLE] [EXTENDED | FORMATTED] t [column]`; null when it is something else. */
function describeTable(tokens: readonly Token[]): LakeCommand | null {
  let at = 1
  const follows = (): boolean => isName(tokens[at + 1])
  if (isKeyword(tokens[at], 'table') && follows()) at++
  const extended =
    (isKeyword(tokens[at], 'extended') || isKeyword(tokens[at], 'formatted')) && follows()
  if (extended) at++
  const { parts, next } = qualifiedName(tokens, at)
  const last = tokens[next]
  const hasColumn = isName(last) && next + 1 === tokens.length
  if (parts.length === 0 || (next !== tokens.length && !hasColumn)) return null
  const column = hasColumn && last !== undefined ? identifierName(last) : null
  return { kind: 'describe-table', name: parts, extended, column }
}

/** `SHOW TBLPROPERTIES t [('key')]`; null when it is malformed. */
function showProperties(tokens: readonly Token[]): LakeCommand | null {
  const { parts, next } = qualifiedName(tokens, 2)
  if (parts.length === 0) return null
  if (next === tokens.length) return { kind: 'show-properties', name: parts, property: null }
  const key = tokens.slice(next + 1, -1)
  if (tokens[next]?.text !== '(' || tokens.at(-1)?.text !== ')' || key.length === 0) return null
  const [only] = key
  const property =
    only?.kind === 'string'
      ? only.text.slice(1, -1).replaceAll("''", "'")
      : key.map((token) => token.text).join('')
  return { kind: 'show-properties', name: parts, property }
}

function qualifiedName(
  tokens: readonly Token[],
  from: number,
): { readonly parts: readonly string[]; readonly next: number } {
  const parts: string[] = []
  let at = from
  while (isName(tokens[at])) {
    parts.push(identifierName(tokens[at] as Token))
    if (tokens[at + 1]?.text !== '.') return { parts, next: at + 1 }
    at += 2
  }
  return { parts, next: at }
}
