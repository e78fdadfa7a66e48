/** CatalogCommand: the lake's own words for layers, dropped tables and clustering. */

import { SqlError, SqlState } from '../storage/errors.js'
import { identifierName, isKeyword, type Token } from './lexer.js'

/** A command over the catalog that PostgreSQL's grammar lacks. */
export type CatalogCommand =
  | {
      readonly kind: 'create-layer'
      readonly name: string
      readonly ifNotExists: boolean
      /** The layer it follows; null for the last. */
      readonly after: string | null
      readonly options: readonly (readonly [name: string, value: string])[]
    }
  | {
      readonly kind: 'drop-layer'
      readonly names: readonly string[]
      readonly missingOk: boolean
      readonly cascade: boolean
    }
  | { readonly kind: 'describe-layer'; readonly name: string }
  | { readonly kind: 'show-layers' }
  | { readonly kind: 'show-dropped' }
  | { readonly kind: 'undrop-table'; readonly name: readonly string[] }
  | {
      readonly kind: 'cluster-table'
      readonly name: readonly string[]
      readonly missingOk: boolean
      /** Empty for NONE. */
      readonly columns: readonly string[]
    }

/**
 * The command that `tokens` are, or null when they are none:
 * `CREATE LAYER [IF NOT EXISTS] name [AFTER other] [WITH (option = value, …)]`,
 * `DROP LAYER [IF EXISTS] name, … [CASCADE | RESTRICT]`, `DESCRIBE LAYER name`, `SHOW LAYERS`,
 * `UNDROP TABLE name`, `SHOW TABLES DROPPED`, `SHOW DROPPED TABLES`,
 * `ALTER TABLE name CLUSTER BY (columns) | NONE`.
 *
 * 42601 for one that is not well formed.
 */
export function parseCatalogCommand(tokens: readonly Token[]): CatalogCommand | null {
  const reader = new Reader(tokens)
  const command = commandOf(reader)
  if (command !== null) reader.end()
  return command
}

function commandOf(reader: Reader): CatalogCommand | null {
  if (reader.take('create', 'layer')) {
    const ifNotExists = reader.take('if', 'not', 'exists')
    const name = reader.name()
    const after = reader.take('after') ? reader.name() : null
    const options = reader.take('with') ? reader.pairs() : []
    return { kind: 'create-layer', name, ifNotExists, after, options }
  }
  if (reader.take('drop', 'layer')) {
    const missingOk = reader.take('if', 'exists')
    const names = [reader.name()]
    while (reader.symbol(',')) names.push(reader.name())
    const cascade = reader.take('cascade')
    if (!cascade) reader.take('restrict')
    return { kind: 'drop-layer', names, missingOk, cascade }
  }
  if (reader.take('describe', 'layer') || reader.take('desc', 'layer')) {
    // A table may be called so.
    return reader.isOver ? null : { kind: 'describe-layer', name: reader.name() }
  }
  if (reader.take('show', 'layers')) return { kind: 'show-layers' }
  if (reader.take('show', 'tables', 'dropped') || reader.take('show', 'dropped', 'tables')) {
    return { kind: 'show-dropped' }
  }
  if (reader.take('undrop')) {
    if (!reader.take('table')) throw reader.malformed()
    return { kind: 'undrop-table', name: reader.qualifiedName() }
  }
  if (reader.take('alter', 'table')) {
    const missingOk = reader.take('if', 'exists')
    const name = reader.tryQualifiedName()
    if (name === null || !reader.take('cluster', 'by')) return null
    if (reader.take('none')) return { kind: 'cluster-table', name, missingOk, columns: [] }
    if (!reader.symbol('(')) throw reader.malformed()
    const columns = [reader.name()]
    while (reader.symbol(',')) columns.push(reader.name())
    if (!reader.symbol(')')) throw reader.malformed()
    return { kind: 'cluster-table', name, missingOk, columns }
  }
  return null
}

/** Goes through tokens from the first to the last. */
class Reader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get isOver(): boolean {
    return this.#at >= this.#tokens.length
  }

  /** Goes past `words` if they come next, all of them. */
  take(...words: readonly string[]): boolean {
    const follow = words.every((word, i) => isKeyword(this.#tokens[this.#at + i], word))
    if (follow) this.#at += words.length
    return follow
  }

  symbol(text: string): boolean {
    const follows = this.#tokens[this.#at]?.text === text
    if (follows) this.#at++
    return follows
  }

  name(): string {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'identifier' && token?.kind !== 'quoted') throw this.malformed()
    this.#at++
    return identifierName(token)
  }

  tryQualifiedName(): readonly string[] | null {
    const kind = this.#tokens[this.#at]?.kind
    return kind === 'identifier' || kind === 'quoted' ? this.qualifiedName() : null
  }

  qualifiedName(): readonly string[] {
    const parts = [this.name()]
    while (this.symbol('.')) parts.push(this.name())
    return parts
  }

  /** `(name = value, …)`; names are identifiers, with dots, or texts. */
  pairs(): readonly (readonly [string, string])[] {
    const found: (readonly [string, string])[] = []
    if (!this.symbol('(')) throw this.malformed()
    do {
      const token = this.#tokens[this.#at]
      const name = token?.kind === 'string' ? this.#text() : this.qualifiedName().join('.')
      if (!this.symbol('=')) throw this.malformed()
      found.push([name, this.#value()])
    } while (this.symbol(','))
    if (!this.symbol(')')) throw this.malformed()
    return found
  }

  #value(): string {
    const token = this.#tokens[this.#at]
    if (token?.kind === 'string') return this.#text()
    if (token?.kind !== 'identifier' && token?.kind !== 'number') throw this.malformed()
    this.#at++
    return token.text.toLowerCase()
  }

  #text(): string {
    const token = this.#tokens[this.#at]
    this.#at++
    return (token?.text ?? '').slice(1, -1).replaceAll("''", "'")
  }

  /** 42601 unless every token has been read. */
  end(): void {
    if (!this.isOver) throw this.malformed()
  }

  malformed(): SqlError {
    const token = this.#tokens[this.#at]
    return new SqlError(
      SqlState.syntaxError,
      token === undefined
        ? 'syntax error at end of input'
        : `syntax error at or near "${token.text}"`,
      { position: token === undefined ? undefined : token.start + 1 },
    )
  }
}
