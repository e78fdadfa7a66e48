/** Words: the tokens of a command of the lake's own, taken from the left. */

import { SqlError, SqlState } from '../storage/errors.js'
import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'

/** A part of the text and where it begins. */
export interface Clause {
  readonly text: string
  readonly start: number
}

/** The tokens of a command, taken from the left. */
export class Words {
  readonly #sql: string
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(sql: string) {
    this.#sql = sql
    this.#tokens = tokenize(sql)
  }

  /** Takes the next token if it is that keyword or symbol. */
  take(word: string): boolean {
    const token = this.#tokens[this.#at]
    const found = /^\w/.test(word) ? isKeyword(token, word) : token?.text === word
    if (found) this.#at++
    return found
  }

  need(word: string): void {
    if (!this.take(word)) throw this.#error()
  }

  /** The text of the string that comes next; 42601 where none does. */
  string(): string {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'string' || !token.text.startsWith("'")) throw this.#error()
    this.#at++
    return token.text.slice(1, -1).replaceAll("''", "'")
  }

  /** Whether a string comes next. */
  isString(): boolean {
    return this.#tokens[this.#at]?.kind === 'string'
  }

  /** Whether the keyword or symbol comes next. */
  is(word: string): boolean {
    const token = this.#tokens[this.#at]
    return /^\w/.test(word) ? isKeyword(token, word) : token?.text === word
  }

  /** What stands in the parentheses that come next, the outermost left out. */
  parenthesised(): Clause {
    this.need('(')
    const first = this.#tokens[this.#at]
    let last: Token | undefined
    for (let depth = 0; this.#at < this.#tokens.length; this.#at++) {
      const token = this.#tokens[this.#at] as Token
      if (token.text === '(') depth++
      if (token.text === ')' && depth-- === 0) break
      last = token
    }
    if (first === undefined || last === undefined) throw this.#error()
    this.need(')')
    return { text: this.#sql.slice(first.start, last.end), start: first.start }
  }

  /** `('name' = 'value', name = value, …)`: values by their names in lower case; 42601 for one given twice. */
  options(): ReadonlyMap<string, string> {
    return this.#pairs((name) => name.toLowerCase())
  }

  /** As `options`, names as they are written. */
  properties(): ReadonlyMap<string, string> {
    return this.#pairs((name) => name)
  }

  #pairs(spelled: (name: string) => string): ReadonlyMap<string, string> {
    const options = new Map<string, string>()
    this.need('(')
    if (this.take(')')) return options
    do {
      const name = spelled(this.isString() ? this.string() : this.#dotted())
      this.take('=')
      const token = this.#tokens[this.#at]
      const isWord = token?.kind === 'identifier' || token?.kind === 'number'
      if (isWord) this.#at++
      const value = isWord ? token.text : this.string()
      if (options.has(name)) {
        throw new SqlError(SqlState.syntaxError, `option "${name}" specified more than once`)
      }
      options.set(name, value)
    } while (this.take(','))
    this.need(')')
    return options
  }

  /** A qualified name as it is written, quotes left out. */
  #dotted(): string {
    const from = this.#at
    this.name()
    return this.#tokens
      .slice(from, this.#at)
      .map(({ kind, text }) => (kind === 'quoted' ? text.slice(1, -1) : text))
      .join('')
  }

  isName(): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind === 'quoted') return true
    // What PostgreSQL's grammar has behind VACUUM.
    return (
      token?.kind === 'identifier' && !/^(full|freeze|verbose|analyze|analyse)$/i.test(token.text)
    )
  }

  /** A qualified name. */
  name(): string[] {
    const parts: string[] = []
    do {
      const token = this.#tokens[this.#at]
      if (token?.kind !== 'identifier' && token?.kind !== 'quoted') throw this.#error()
      parts.push(identifierName(token))
      this.#at++
    } while (this.take('.'))
    return parts
  }

  number(): number {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'number') throw this.#error()
    this.#at++
    return Number(token.text)
  }

  /** The text up to one of the keywords `ends` outside of parentheses, or to the end; 42601 for none. */
  until(...ends: readonly (string | null)[]): Clause {
    const first = this.#tokens[this.#at]
    let last: Token | undefined
    for (let depth = 0; this.#at < this.#tokens.length; this.#at++) {
      const token = this.#tokens[this.#at] as Token
      if (depth === 0 && ends.some((word) => word !== null && isKeyword(token, word))) break
      if (token.text === '(') depth++
      if (token.text === ')') depth--
      last = token
    }
    if (first === undefined || last === undefined) throw this.#error()
    return { text: this.#sql.slice(first.start, last.end), start: first.start }
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw this.#error()
  }

  #error(): SqlError {
    const token = this.#tokens[this.#at]
    const message =
      token === undefined
        ? 'syntax error at end of input'
        : `syntax error at or near "${token.text}"`
    return new SqlError(SqlState.syntaxError, message, {
      position: (token?.start ?? this.#sql.length) + 1,
    })
  }
}
