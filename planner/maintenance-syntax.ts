/** Maintenance syntax: OPTIMIZE, VACUUM, RESTORE and REORG TABLE in a lakehouse's words. */

import { SqlError, SqlState } from '../storage/errors.js'
import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'

/** A command that looks after a table without changing its rows, or takes it back to old ones. */
export type MaintenanceCommand =
  | {
      readonly kind: 'optimize'
      readonly name: readonly string[]
      readonly full: boolean
      readonly where: Clause | null
      readonly zOrderBy: readonly (readonly string[])[]
    }
  | {
      readonly kind: 'reorg'
      readonly name: readonly string[]
      readonly where: Clause | null
    }
  | {
      readonly kind: 'vacuum'
      readonly name: readonly string[]
      /** Hours, as written; null: as the table says. */
      readonly retainHours: number | null
      readonly dryRun: boolean
      /** By the log alone, without listing the table's folder. */
      readonly lite: boolean
    }
  | {
      readonly kind: 'restore'
      readonly name: readonly string[]
      readonly to: 'version' | 'timestamp'
      /** SQL of the version or time. */
      readonly expression: string
    }

/** A part of the text and where it begins. */
export interface Clause {
  readonly text: string
  readonly start: number
}

/**
 * The maintenance command `sql` is, or null when it is none; plain `VACUUM t` is left to
 * PostgreSQL's grammar.
 *
 * 42601 with the position in `sql` for what is neither.
 */
export function parseMaintenance(sql: string): MaintenanceCommand | null {
  if (!/^(?:\s|--|\/\*|optimize|vacuum|restore|reorg)/i.test(sql)) return null
  const words = new Words(sql)
  if (words.take('optimize')) return optimize(words)
  if (words.take('restore')) return restore(words)
  if (words.take('reorg')) return reorg(words)
  return words.take('vacuum') ? vacuum(words) : null
}

/** `OPTIMIZE t [FULL] [WHERE p] [ZORDER BY (a, b)]`. */
function optimize(words: Words): MaintenanceCommand {
  words.take('table')
  const name = words.name()
  const full = words.take('full')
  const where = words.take('where') ? words.until('zorder') : null
  const zOrderBy: (readonly string[])[] = []
  if (words.take('zorder')) {
    words.need('by')
    const open = words.take('(')
    do zOrderBy.push(words.name())
    while (words.take(','))
    if (open) words.need(')')
  }
  words.end()
  return { kind: 'optimize', name, full, where, zOrderBy }
}

/** `REORG TABLE t [WHERE p] APPLY (PURGE)`. */
function reorg(words: Words): MaintenanceCommand {
  words.need('table')
  const name = words.name()
  const where = words.take('where') ? words.until('apply') : null
  for (const word of ['apply', '(', 'purge', ')']) words.need(word)
  words.end()
  return { kind: 'reorg', name, where }
}

/** `RESTORE [TABLE] t [TO] VERSION AS OF n | TIMESTAMP AS OF x`; AS OF may be left out. */
function restore(words: Words): MaintenanceCommand {
  words.take('table')
  const name = words.name()
  words.take('to')
  const to = words.take('timestamp') ? 'timestamp' : 'version'
  if (to === 'version') words.need('version')
  if (words.take('as')) words.need('of')
  return { kind: 'restore', name, to, expression: words.until(null).text }
}

/** `VACUUM t` with RETAIN n HOURS, DRY RUN, LITE or FULL behind the name, in any order. */
function vacuum(words: Words): MaintenanceCommand | null {
  if (!words.isName()) return null
  const name = words.name()
  let retainHours: number | null = null
  let dryRun = false
  let lite = false
  let isOurs = false
  for (;;) {
    if (words.take('retain')) {
      retainHours = words.number()
      if (!words.take('hour')) words.need('hours')
    } else if (words.take('dry')) {
      words.need('run')
      dryRun = true
    } else if (words.take('lite')) lite = true
    else if (!words.take('full')) break
    isOurs = true
  }
  if (!isOurs) return null
  words.end()
  return { kind: 'vacuum', name, retainHours, dryRun, lite }
}

/** The tokens of a command, taken from the left. */
class Words {
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

  /** The text up to the keyword `word` outside of parentheses, or to the end; 42601 for none. */
  until(word: string | null): Clause {
    const first = this.#tokens[this.#at]
    let last: Token | undefined
    for (let depth = 0; this.#at < this.#tokens.length; this.#at++) {
      const token = this.#tokens[this.#at] as Token
      if (depth === 0 && word !== null && isKeyword(token, word)) break
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
