/** PreparedStatements: the statements a session has parsed and named, by Parse or by PREPARE. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { ParsedStatement } from './parse.js'
import type { StatementDescription } from './session.js'

/** Prepared statements a session may hold. */
const STATEMENTS_MAX = 10_000

/** One prepared statement. */
export interface PreparedStatement {
  /** null: an empty text. */
  readonly statement: ParsedStatement | null
  /** Types the client gave its parameters; 0 where they are inferred. */
  readonly oids: readonly number[]
  /** What Parse found: the client reads rows by it, so it never changes. */
  readonly description: StatementDescription
}

/** Prepared statements by name; the unnamed one, of the protocol alone, is named ''. */
export class PreparedStatements {
  readonly #statements = new Map<string, PreparedStatement>()

  /** 26000 when there is none of that name. */
  get(name: string): PreparedStatement {
    const prepared = this.#statements.get(name)
    if (prepared !== undefined) return prepared
    throw new SqlError(
      SqlState.invalidSqlStatementName,
      name === ''
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${name}" does not exist`,
    )
  }

  /** Refuses a name that is taken (42P05) and one statement too many (53400). */
  requireFree(name: string): void {
    if (name !== '' && this.#statements.has(name)) {
      throw new SqlError(
        SqlState.duplicatePreparedStatement,
        `prepared statement "${name}" already exists`,
      )
    }
    if (this.#statements.size >= STATEMENTS_MAX) {
      throw new SqlError(SqlState.configurationLimitExceeded, 'too many prepared statements')
    }
  }

  set(name: string, prepared: PreparedStatement): void {
    this.#statements.set(name, prepared)
  }

  delete(name: string): void {
    this.#statements.delete(name)
  }

  clear(): void {
    this.#statements.clear()
  }
}
