/** Analysis: the state of one statement's analysis - relations, parameters, names, and where things are in its text. */

import { printEngineType, type EngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { CoercionContext } from './coercion.js'
import type { InputStyle } from './literal.js'
import type { QueryLevel } from './query-level.js'
import type { SourceText } from './source-text.js'
import { numericType, type SqlType, sqlType } from './sql-type.js'
import type { Node } from './syntax-tree.js'
import { Oid } from '../catalog/pg-types.js'
import type { TableUse } from './table-use.js'

/** A relation that names in the statement were resolved to. */
export type Relation =
  | {
      readonly kind: 'table'
      readonly name: string
      readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
      /** Identifies the reference: `markerOf(id)` stands in the DuckDB text for what it reads. */
      readonly id: number
      /** What the statement does with it; of columns in their order. */
      readonly use: TableUse
    }
  | {
      readonly kind: 'temporary'
      readonly name: string
      readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
      readonly sql: string
    }
  | {
      readonly kind: 'view'
      readonly name: string
      readonly query: AnalyzedQuery
      readonly columnNames: readonly string[]
      readonly use: TableUse
    }

/** A query in DuckDB's words, with the columns it gives. */
export interface AnalyzedQuery {
  readonly sql: string
  readonly columns: readonly OutputColumn[]
  /** SELECTs whose rows these are: one, or the branches of a set operation. For pruning. */
  readonly levels: readonly QueryLevel[]
}

export interface OutputColumn {
  /** As clients see it. */
  readonly name: string
  /** As the DuckDB text names it: unique. */
  readonly engineName: string
  readonly type: SqlType
}

/** What an analysis needs of the session. */
export interface AnalysisHost {
  /** What a RangeVar of the statement names; resolved beforehand. */
  readonly relation: (range: Node) => Relation | undefined
  /** Type that parameter n was given by the client, or by its value; undefined leaves it open. */
  readonly parameterType: (n: number) => SqlType | undefined
  /** How the statement's literals are read. */
  readonly inputStyle?: InputStyle | undefined
  readonly schemaExists: (name: string) => boolean
  readonly sessionFunction: (name: string, args: readonly Node[]) => string | undefined
  /** The type DuckDB gives `sql`, a call of one of its own functions; null when it knows no such call. */
  readonly engineCallType: (sql: string) => EngineType | null
}

/** What the analyses of a statement and of the views inside it have in common. */
export interface SharedAnalysis {
  nextName: number
  readonly roots: (readonly QueryLevel[])[]
  /** Items of WITH in DuckDB's words by their names there, each behind those it may use. */
  readonly commonTables: Map<string, string>
  /** What the statement does with tables and views, for the check of privileges. */
  readonly uses: Set<TableUse>
}

/** Text that stands for relation `id` until it is known which files it reads. */
export function markerOf(id: number): string {
  return `\u0001${id}\u0001`
}

/** `sql` with every marker replaced. */
export function replaceMarkers(sql: string, textOf: (id: number) => string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no SQL text of ours holds this character.
  return sql.replaceAll(/\u0001(\d+)\u0001/g, (_, id: string) => textOf(Number(id)))
}

export class Analysis implements CoercionContext {
  readonly host: AnalysisHost
  /** What each `*` of the statement's text stands for, where it can be written out. */
  readonly stars: { readonly location: number; readonly columns: string | null }[] = []
  readonly #source: SourceText
  readonly #start: number
  readonly #parameters: (SqlType | undefined)[] = []
  readonly #shared: SharedAnalysis

  /** `start` is the statement's place in the client's text; `shared` is shared with the views inside. */
  constructor(host: AnalysisHost, source: SourceText, start: number, shared: SharedAnalysis) {
    this.host = host
    this.#source = source
    this.#start = start
    this.#shared = shared
  }

  /** Queries whose rows no other query here filters further: subqueries of expressions, CTEs. */
  get roots(): (readonly QueryLevel[])[] {
    return this.#shared.roots
  }

  get commonTables(): Map<string, string> {
    return this.#shared.commonTables
  }

  /** What the statement does with tables and views. */
  get uses(): Set<TableUse> {
    return this.#shared.uses
  }

  get inputStyle(): InputStyle | undefined {
    return this.host.inputStyle
  }

  /** A name no one else uses: for ranges and CTEs in the DuckDB text. */
  fresh(prefix: string): string {
    return `${prefix}${this.#shared.nextName++}`
  }

  /** Type of parameter `n` so far; undefined while it is open. */
  parameter(n: number): SqlType | undefined {
    const known = this.#parameters[n - 1] ?? this.host.parameterType(n)
    this.#parameters[n - 1] = known
    return known
  }

  readonly decideParameter = (n: number, type: SqlType): SqlType => {
    const decided = type.oid === Oid.numeric ? numericType(10) : sqlType(type.oid)
    const known = this.#parameters[n - 1]
    if (known !== undefined) return known
    const chosen = type.engine.kind === 'list' ? type : decided
    this.#parameters[n - 1] = chosen
    return chosen
  }

  /** The types found for parameters 1 to `count`; undefined where nothing told. */
  parameterTypes(count: number): (SqlType | undefined)[] {
    return Array.from({ length: count }, (_, i) => this.parameter(i + 1))
  }

  /** Runs `work`, giving its errors the place of `location` where they have none. */
  located<T>(location: number, work: () => T): T {
    try {
      return work()
    } catch (thrown) {
      throw this.placed(thrown, location)
    }
  }

  placed(thrown: unknown, location: number): unknown {
    if (!(thrown instanceof SqlError) || thrown.position !== undefined || location < 0)
      return thrown
    return thrown.at(this.#start + this.#source.offsetOf(location) + 1)
  }

  error(
    sqlState: SqlState,
    message: string,
    location: number,
    fields: { readonly hint?: string; readonly detail?: string } = {},
  ): SqlError {
    return this.placed(new SqlError(sqlState, message, fields), location) as SqlError
  }

  notSupported(what: string, location = -1): SqlError {
    return this.error(SqlState.featureNotSupported, `${what} is not supported`, location)
  }

  /** DuckDB's spelling of a type. */
  engineName(type: SqlType): string {
    return printEngineType(type.engine)
  }
}
