/** SparkExpression: the text of an expression in Spark SQL as a tree.
 *
 * The only file importing node-sql-parser, whose Hive grammar groups comparisons and arithmetic. What
 * Spark knows and that grammar does not - literals with suffixes and backslashes, quoted and dotted
 * names, calls, casts - or gets wrong - chains of AND and OR - is read here, and operands are handed
 * over by number; what comes back must hold them in the order of the text.
 */

import { createRequire } from 'node:module'
import { LRUCache } from 'lru-cache'
import { SqlError, SqlState } from '../storage/errors.js'
import { type SparkToken, sparkTokens } from './spark-token.js'

/** A literal: the text of its value, and the type that its spelling says. */
export interface SparkLiteral {
  readonly kind: 'literal'
  readonly type:
    | 'string'
    | 'byte'
    | 'short'
    /** integer, long or decimal, by its size. */
    | 'integral'
    | 'long'
    | 'float'
    | 'double'
    | 'decimal'
    | 'boolean'
    | 'date'
    | 'timestamp'
    | 'timestamp_ntz'
    | 'void'
  readonly text: string
}

export type SparkComparison = '=' | '<>' | '<' | '<=' | '>' | '>=' | '<=>'

export type SparkNode =
  | SparkLiteral
  /** `start` and `end` are the offsets of the column's own name, the first of `path`. */
  | {
      readonly kind: 'column'
      readonly path: readonly string[]
      readonly start: number
      readonly end: number
    }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly SparkNode[] }
  | { readonly kind: 'cast'; readonly arg: SparkNode; readonly type: string }
  | { readonly kind: 'minus' | 'not'; readonly arg: SparkNode }
  | {
      readonly kind: 'binary'
      readonly operator: SparkComparison | SparkArithmetic | 'AND' | 'OR' | 'LIKE' | 'RLIKE'
      readonly left: SparkNode
      readonly right: SparkNode
    }
  | {
      readonly kind: 'between'
      readonly value: SparkNode
      readonly low: SparkNode
      readonly high: SparkNode
    }
  | { readonly kind: 'in'; readonly value: SparkNode; readonly list: readonly SparkNode[] }
  | { readonly kind: 'is'; readonly value: SparkNode; readonly what: 'NULL' | 'TRUE' | 'FALSE' }
  | {
      readonly kind: 'case'
      readonly operand: SparkNode | undefined
      readonly branches: readonly (readonly [SparkNode, SparkNode])[]
      readonly otherwise: SparkNode | undefined
    }

export type SparkArithmetic = '+' | '-' | '*' | '/' | '%' | 'DIV' | '||'

/**
 * The tree of `text`; 0A000 for syntax that Spark has and this does not read, or that is none.
 *
 * Comparisons that follow each other without parentheses are refused: few read them as Spark does.
 */
export function parseSparkExpression(text: string): SparkNode {
  const known = trees.get(text)
  if (known !== undefined) return known
  const tokens = sparkTokens(text)
  const tree = parseRange({ tokens, from: 0, to: tokens.length })
  trees.set(text, tree)
  return tree
}

/** Trees by their texts: every INSERT asks for those of its table. */
const trees = new LRUCache<string, SparkNode>({ max: 1000 })

/** Calls `visit` with `node` and all that it is made of. */
export function walkSpark(node: SparkNode, visit: (node: SparkNode) => void): void {
  visit(node)
  const parts = Object.values(node).flat(2) as readonly unknown[]
  for (const part of parts) {
    if (typeof part === 'object' && part !== null && 'kind' in part) {
      walkSpark(part as SparkNode, visit)
    }
  }
}

/** The error for what is not read or not translated; `what` names the part. */
export function untranslatable(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`)
}

/** A part of the tokens; `to` is behind the last one. */
interface Range {
  readonly tokens: readonly SparkToken[]
  readonly from: number
  readonly to: number
}

/** What the grammar is to group: operands, and operators by its spelling. */
type Item =
  | { readonly operand: SparkNode | readonly SparkNode[] }
  | { readonly spelling: string; readonly meaning: string }

const COMPARISONS: Readonly<Record<string, SparkComparison>> = {
  '=': '=',
  '==': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '!>': '<=',
  '>': '>',
  '>=': '>=',
  '!<': '>=',
  '<=>': '<=>',
}

/** Operators of arithmetic by their spelling in the grammar, which binds them as Spark does. */
const ARITHMETIC: Readonly<Record<string, string>> = {
  '+': '+',
  '-': '-',
  '||': '+',
  '*': '*',
  '/': '/',
  '%': '%',
  DIV: '/',
}

const PREDICATES: ReadonlySet<string> = new Set(['IN', 'LIKE', 'RLIKE', 'REGEXP', 'BETWEEN', 'IS'])

/** Words that are no names here, though Spark would take some of them for one. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'AND OR NOT IN LIKE ILIKE RLIKE REGEXP BETWEEN IS DIV CASE WHEN THEN ELSE END AS FROM SELECT ' +
    'EXISTS INTERVAL ESCAPE DISTINCT OVER'
  ).split(' '),
)

function wordAt({ tokens, to }: Range, at: number): string {
  const token = at < to ? tokens[at] : undefined
  return token?.kind === 'word' || token?.kind === 'symbol' ? token.text.toUpperCase() : ''
}

function parseRange(range: Range): SparkNode {
  const items: Item[] = []
  let at = range.from
  let isOperand = true
  while (at < range.to) {
    if (isOperand && wordAt(range, at) === 'NOT') {
      requireBoundary(items)
      items.push({ spelling: 'NOT', meaning: 'NOT' })
      at++
    } else if (isOperand) {
      const read = operandAt(range, at)
      items.push({ operand: read.node })
      at = read.next
      isOperand = false
    } else {
      const read = operatorAt(range, at)
      items.push(...read.items)
      at = read.next
      isOperand = !read.complete
    }
  }
  if (isOperand) throw untranslatable('an expression that ends so')
  requireSingleComparisons(items)
  return grouped(items)
}

/** NOT stands before a condition only. */
function requireBoundary(items: readonly Item[]): void {
  const last = items.at(-1)
  if (last === undefined || ('spelling' in last && /^(?:AND|OR|NOT)$/.test(last.meaning))) return
  throw untranslatable('NOT in this place')
}

function requireSingleComparisons(items: readonly Item[]): void {
  let comparisons = 0
  let awaitsUpperBound = false
  for (const item of items) {
    if (!('spelling' in item)) continue
    if (/^(?:AND|OR|NOT)$/.test(item.meaning)) {
      if (!awaitsUpperBound || item.meaning !== 'AND') comparisons = 0
      awaitsUpperBound = false
    } else if (ARITHMETIC[item.meaning] === undefined) {
      if (++comparisons > 1) throw untranslatable('a comparison of a comparison')
      awaitsUpperBound = item.meaning.endsWith('BETWEEN')
    }
  }
}

interface ReadOperator {
  readonly items: readonly Item[]
  readonly next: number
  /** Whether the right side is read too. */
  readonly complete: boolean
}

function operatorAt(range: Range, at: number): ReadOperator {
  const isNegated = wordAt(range, at) === 'NOT'
  const start = isNegated ? at + 1 : at
  const word = wordAt(range, start)
  const negation = isNegated ? 'NOT ' : ''
  if (PREDICATES.has(word) && !(isNegated && word === 'IS')) {
    switch (word) {
      case 'IS':
        return isTest(range, start)
      case 'IN': {
        if (wordAt(range, start + 1) !== '(') break
        const close = closing(range, start + 1)
        const list = splitCommas({ ...range, from: start + 2, to: close }).map(parseRange)
        return {
          items: [{ spelling: `${negation}IN`, meaning: `${negation}IN` }, { operand: list }],
          next: close + 1,
          complete: true,
        }
      }
      default: {
        const meaning = word === 'REGEXP' ? 'RLIKE' : word
        const spelling = `${negation}${meaning === 'RLIKE' ? 'LIKE' : meaning}`
        return {
          items: [{ spelling, meaning: `${negation}${meaning}` }],
          next: start + 1,
          complete: false,
        }
      }
    }
  }
  const comparison = COMPARISONS[word]
  const arithmetic = ARITHMETIC[word]
  if (!isNegated && (comparison ?? arithmetic) !== undefined) {
    const spelling = arithmetic ?? (comparison === '<=>' ? '=' : String(comparison))
    return { items: [{ spelling, meaning: comparison ?? word }], next: at + 1, complete: false }
  }
  if (!isNegated && (word === 'AND' || word === 'OR')) {
    return { items: [{ spelling: word, meaning: word }], next: at + 1, complete: false }
  }
  throw untranslatable(`"${range.tokens[start]?.text ?? 'NOT'}" in this place`)
}

/** IS [NOT] NULL, TRUE, FALSE, DISTINCT FROM; `at` is the place of IS. */
function isTest(range: Range, at: number): ReadOperator {
  const isNegated = wordAt(range, at + 1) === 'NOT'
  const negation = isNegated ? 'NOT ' : ''
  const start = isNegated ? at + 2 : at + 1
  const what = wordAt(range, start)
  if (what === 'DISTINCT' && wordAt(range, start + 1) === 'FROM') {
    const meaning = isNegated ? '<=>' : 'NOT <=>'
    return { items: [{ spelling: '=', meaning }], next: start + 2, complete: false }
  }
  if (what !== 'NULL' && what !== 'TRUE' && what !== 'FALSE' && what !== 'UNKNOWN') {
    throw untranslatable(`IS ${range.tokens[start]?.text ?? ''}`)
  }
  return {
    items: [
      { spelling: '=', meaning: `${negation}IS ${what === 'UNKNOWN' ? 'NULL' : what}` },
      { operand: [] },
    ],
    next: start + 1,
    complete: true,
  }
}

interface ReadOperand {
  readonly node: SparkNode
  readonly next: number
}

function operandAt(range: Range, at: number): ReadOperand {
  const token = range.tokens[at]
  if (token === undefined || at >= range.to) throw untranslatable('an expression that ends so')
  switch (token.kind) {
    case 'string':
      return { node: { kind: 'literal', type: 'string', text: token.text }, next: at + 1 }
    case 'number':
      return { node: numberOf(token), next: at + 1 }
    case 'quoted':
      return columnAt(range, at)
    case 'symbol':
      return symbolAt(range, at, token.text)
    case 'word':
      return wordOperandAt(range, at, token.text)
  }
}

function symbolAt(range: Range, at: number, symbol: string): ReadOperand {
  if (symbol === '(') {
    const close = closing(range, at)
    return { node: parseRange({ ...range, from: at + 1, to: close }), next: close + 1 }
  }
  if (symbol === '+') return operandAt(range, at + 1)
  if (symbol !== '-') throw untranslatable(`"${symbol}" in this place`)
  const { node, next } = operandAt(range, at + 1)
  if (node.kind === 'literal' && range.tokens[at + 1]?.kind === 'number') {
    // The size of -128Y, and of the smallest integer, is that of the number with its sign.
    return { node: { ...node, text: `-${node.text}` }, next }
  }
  return { node: { kind: 'minus', arg: node }, next }
}

function wordOperandAt(range: Range, at: number, word: string): ReadOperand {
  const upper = word.toUpperCase()
  const following = range.tokens[at + 1]
  if (upper === 'CASE') return caseAt(range, at)
  if (wordAt(range, at + 1) === '(' && !RESERVED.has(upper)) return callAt(range, at, upper)
  if (following?.kind === 'string' && at + 1 < range.to) {
    const type = upper === 'TIMESTAMP_LTZ' ? 'timestamp' : upper.toLowerCase()
    if (type !== 'date' && type !== 'timestamp' && type !== 'timestamp_ntz') {
      throw untranslatable(`${word} '…'`)
    }
    return { node: { kind: 'literal', type, text: following.text }, next: at + 2 }
  }
  if (upper === 'NULL') return { node: { kind: 'literal', type: 'void', text: '' }, next: at + 1 }
  if (upper === 'TRUE' || upper === 'FALSE') {
    return { node: { kind: 'literal', type: 'boolean', text: upper }, next: at + 1 }
  }
  if (RESERVED.has(upper)) throw untranslatable(`${word} in this place`)
  return columnAt(range, at)
}

function numberOf({ text }: SparkToken): SparkLiteral {
  const suffix = /(?:BD|[LSYFD])$/i.exec(text)?.[0].toUpperCase() ?? ''
  const digits = text.slice(0, text.length - suffix.length)
  const type = SUFFIXES[suffix] ?? (/[eE]/.test(digits) ? 'double' : undefined)
  if (type !== undefined) return { kind: 'literal', type, text: digits }
  return { kind: 'literal', type: digits.includes('.') ? 'decimal' : 'integral', text: digits }
}

const SUFFIXES: Readonly<Record<string, SparkLiteral['type']>> = {
  L: 'long',
  S: 'short',
  Y: 'byte',
  F: 'float',
  D: 'double',
  BD: 'decimal',
}

function columnAt(range: Range, at: number): ReadOperand {
  const path: string[] = []
  let next = at
  for (;;) {
    const token = next < range.to ? range.tokens[next] : undefined
    if (token?.kind !== 'word' && token?.kind !== 'quoted')
      throw untranslatable('"." in this place')
    path.push(token.text)
    next++
    if (wordAt(range, next) !== '.') {
      const { start = 0, end = 0 } = range.tokens[at] ?? {}
      return { node: { kind: 'column', path, start, end }, next }
    }
    next++
  }
}

function callAt(range: Range, at: number, name: string): ReadOperand {
  const close = closing(range, at + 1)
  const inner: Range = { ...range, from: at + 2, to: close }
  if (name === 'CAST') {
    const as = topLevel(inner, (word) => word === 'AS').at(-1)
    if (as === undefined) throw untranslatable('CAST without AS')
    const type = inner.tokens.slice(as + 1, close).map((token) => token.text.toLowerCase())
    const node: SparkNode = {
      kind: 'cast',
      arg: parseRange({ ...inner, to: as }),
      type: type.join(''),
    }
    return { node, next: close + 1 }
  }
  if (name === 'EXTRACT') {
    if (wordAt(inner, at + 3) !== 'FROM') throw untranslatable('EXTRACT of this')
    const unit: SparkLiteral = { kind: 'literal', type: 'string', text: wordAt(inner, at + 2) }
    const source = parseRange({ ...inner, from: at + 4 })
    return { node: { kind: 'call', name: 'date_part', args: [unit, source] }, next: close + 1 }
  }
  const args = close === at + 2 ? [] : splitCommas(inner).map(parseRange)
  return { node: { kind: 'call', name: name.toLowerCase(), args }, next: close + 1 }
}

function caseAt(range: Range, at: number): ReadOperand {
  let depth = 0
  let end = at
  for (; end < range.to; end++) {
    const word = range.tokens[end]?.kind === 'word' ? wordAt(range, end) : ''
    if (word === 'CASE') depth++
    if (word === 'END' && --depth === 0) break
  }
  if (end >= range.to) throw untranslatable('CASE without END')
  const inner: Range = { ...range, from: at + 1, to: end }
  const marks = topLevel(inner, (word) => /^(?:WHEN|THEN|ELSE)$/.test(word))
  const part = (i: number): SparkNode =>
    parseRange({ ...inner, from: (marks[i] ?? end) + 1, to: marks[i + 1] ?? end })
  const words = marks.map((mark) => wordAt(inner, mark)).join(' ')
  if (!/^WHEN THEN(?: WHEN THEN)*(?: ELSE)?$/.test(words)) throw untranslatable('this CASE')
  const first = marks[0] ?? end
  const branches: (readonly [SparkNode, SparkNode])[] = []
  const pairs = marks.length - (words.endsWith('ELSE') ? 1 : 0)
  for (let i = 0; i < pairs; i += 2) branches.push([part(i), part(i + 1)])
  const node: SparkNode = {
    kind: 'case',
    operand: first > at + 1 ? parseRange({ ...inner, to: first }) : undefined,
    branches,
    otherwise: words.endsWith('ELSE') ? part(marks.length - 1) : undefined,
  }
  return { node, next: end + 1 }
}

/** The place of the parenthesis that closes the one at `at`. */
function closing(range: Range, at: number): number {
  let depth = 0
  for (let i = at; i < range.to; i++) {
    const word = range.tokens[i]?.kind === 'symbol' ? wordAt(range, i) : ''
    if (word === '(') depth++
    if (word === ')' && --depth === 0) return i
  }
  throw untranslatable('an unclosed parenthesis')
}

/** Places of the words that `test` takes, those inside of parentheses and CASE left out. */
function topLevel(range: Range, test: (word: string) => boolean): readonly number[] {
  const found: number[] = []
  let depth = 0
  for (let i = range.from; i < range.to; i++) {
    const word = wordAt(range, i)
    if (word === '(' || word === 'CASE') depth++
    else if (word === ')' || word === 'END') depth--
    else if (depth === 0 && test(word)) found.push(i)
  }
  return found
}

function splitCommas(range: Range): readonly Range[] {
  const commas = topLevel(range, (word) => word === ',')
  const starts = [range.from, ...commas.map((comma) => comma + 1)]
  return starts.map((from, i) => ({ ...range, from, to: commas[i] ?? range.to }))
}

// ---- grouping -------------------------------------------------------------------------------------

interface GrammarNode {
  readonly type: string
  readonly operator?: string
  readonly left?: GrammarNode
  readonly right?: GrammarNode
  readonly column?: string
  readonly value?: unknown
}

interface Grammar {
  readonly astify: (text: string, options: { readonly database: string }) => unknown
}

let grammar: Grammar | undefined

/** Loaded by the first table that has expressions: most have none. */
function loadedGrammar(): Grammar {
  if (grammar === undefined) {
    const { Parser } = createRequire(import.meta.url)('node-sql-parser/build/hive') as {
      readonly Parser: new () => Grammar
    }
    grammar = new Parser()
  }
  return grammar
}

/** Where AND belongs to a BETWEEN, it groups nothing. */
function splitAt(items: readonly Item[], word: 'AND' | 'OR'): readonly (readonly Item[])[] {
  const parts: Item[][] = [[]]
  let awaitsUpperBound = false
  for (const item of items) {
    const meaning = 'spelling' in item ? item.meaning : ''
    const isBound = awaitsUpperBound && meaning === 'AND'
    if (meaning.endsWith('BETWEEN')) awaitsUpperBound = true
    if (isBound) awaitsUpperBound = false
    if (meaning === word && !isBound) parts.push([])
    else parts.at(-1)?.push(item)
  }
  return parts
}

/** The tree of `items`: OR binds least, then AND, then NOT, then what the grammar groups. */
function grouped(items: readonly Item[]): SparkNode {
  for (const operator of ['OR', 'AND'] as const) {
    const parts = splitAt(items, operator)
    if (parts.length > 1) {
      return parts
        .map(grouped)
        .reduce((left, right): SparkNode => ({ kind: 'binary', operator, left, right }))
    }
  }
  const [first, ...rest] = items
  if (first !== undefined && 'spelling' in first && first.meaning === 'NOT') {
    return { kind: 'not', arg: grouped(rest) }
  }
  return groupedByGrammar(items)
}

function groupedByGrammar(items: readonly Item[]): SparkNode {
  const [only] = items
  if (items.length === 1 && only !== undefined && 'operand' in only) return single(only.operand)
  const text = items.map((item, i) => {
    if ('spelling' in item) return item.spelling
    const before = items[i - 1]
    return before !== undefined && 'spelling' in before && before.spelling.endsWith('IN')
      ? `(o${i})`
      : `o${i}`
  })
  let parsed: unknown
  try {
    parsed = loadedGrammar().astify(`SELECT ${text.join(' ')}`, { database: 'hive' })
  } catch (thrown) {
    throw new SqlError(SqlState.featureNotSupported, 'the syntax is not supported', {
      cause: thrown,
    })
  }
  const [statement, ...others] = [parsed].flat() as {
    readonly columns?: readonly { readonly expr: GrammarNode; readonly as: unknown }[]
    readonly from?: unknown
  }[]
  const [column, ...more] = statement?.columns ?? []
  if (others.length > 0 || more.length > 0 || column?.as !== null || statement?.from) {
    throw untranslatable('the syntax')
  }
  const reader = new GroupReader(items)
  const node = reader.read(column.expr)
  reader.requireEnd()
  return single(node)
}

function single(operand: SparkNode | readonly SparkNode[]): SparkNode {
  if ('kind' in operand) return operand
  throw untranslatable('a list in this place')
}

/** Reads the grammar's tree in the order of the text, and holds it against the items handed over. */
class GroupReader {
  readonly #items: readonly Item[]
  #at = 0

  constructor(items: readonly Item[]) {
    this.#items = items
  }

  read(node: GrammarNode): SparkNode | readonly SparkNode[] {
    switch (node.type) {
      case 'column_ref':
        return this.#operand(node)
      case 'binary_expr': {
        const left = single(this.read(required(node.left)))
        const meaning = this.#operator(node.operator)
        const isNegated = meaning.startsWith('NOT ')
        const made = this.#binary(meaning.replace(/^NOT /, ''), left, required(node.right))
        return isNegated ? { kind: 'not', arg: made } : made
      }
      default:
        throw untranslatable('the syntax')
    }
  }

  requireEnd(): void {
    if (this.#at !== this.#items.length) throw untranslatable('the syntax')
  }

  #operand({ column }: GrammarNode): SparkNode | readonly SparkNode[] {
    const item = this.#items[this.#at]
    if (item === undefined || !('operand' in item) || column !== `o${this.#at}`) {
      throw untranslatable('the syntax')
    }
    this.#at++
    return item.operand
  }

  #operator(spelling: string | undefined): string {
    const item = this.#items[this.#at]
    if (item === undefined || !('spelling' in item) || item.spelling !== spelling) {
      throw untranslatable('the syntax')
    }
    this.#at++
    return item.meaning
  }

  #binary(meaning: string, left: SparkNode, right: GrammarNode): SparkNode {
    const test = /^IS (NULL|TRUE|FALSE)$/.exec(meaning)
    if (test !== null) {
      this.#operand(right)
      return { kind: 'is', value: left, what: test[1] as 'NULL' }
    }
    if (meaning === 'IN') {
      const [list] = listed(right)
      const operands = list === undefined ? undefined : this.#operand(list)
      if (operands === undefined || 'kind' in operands) throw untranslatable('the syntax')
      return { kind: 'in', value: left, list: operands }
    }
    if (meaning === 'BETWEEN') {
      const [low, high] = listed(right)
      const from = single(this.read(required(low)))
      const and = this.#operator('AND')
      const to = single(this.read(required(high)))
      if (and !== 'AND') throw untranslatable('the syntax')
      return { kind: 'between', value: left, low: from, high: to }
    }
    const operator = meaning as Extract<SparkNode, { readonly kind: 'binary' }>['operator']
    return { kind: 'binary', operator, left, right: single(this.read(right)) }
  }
}

function listed(node: GrammarNode): readonly GrammarNode[] {
  return node.type === 'expr_list' && Array.isArray(node.value) ? node.value : []
}

function required(node: GrammarNode | undefined): GrammarNode {
  if (node === undefined) throw untranslatable('the syntax')
  return node
}
