/** BoundPortals: the portals that Bind messages have made and Execute messages pull from. */

import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Portal } from './portal.js'
import type { PreparedStatement } from './prepared-statements.js'
import type { TransactionalState } from './transaction-block.js'

/** Portals a session may hold. */
const PORTALS_MAX = 10_000

/** A bound portal: not executed until its first Execute. */
export interface BoundPortal {
  readonly prepared: PreparedStatement
  readonly values: readonly EngineValue[]
  /** Format codes of the result as Bind has them: none, one for all columns, or one for each. */
  readonly formats: readonly (0 | 1)[]
  portal: Portal | null
  /** Executed already, and without rows to pull. */
  finished: boolean
}

/** Bound portals by name; they end with their transaction. */
export class BoundPortals implements TransactionalState {
  readonly #portals = new Map<string, BoundPortal>()

  has(name: string): boolean {
    return this.#portals.has(name)
  }

  find(name: string): BoundPortal | undefined {
    return this.#portals.get(name)
  }

  /** 34000 when there is none of that name. */
  get(name: string): BoundPortal {
    const bound = this.#portals.get(name)
    if (bound !== undefined) return bound
    throw new SqlError(SqlState.invalidCursorName, `portal "${name}" does not exist`)
  }

  add(
    name: string,
    prepared: PreparedStatement,
    values: readonly EngineValue[],
    formats: readonly (0 | 1)[],
  ): void {
    if (this.#portals.size >= PORTALS_MAX) {
      throw new SqlError(SqlState.configurationLimitExceeded, 'too many portals')
    }
    this.#portals.set(name, { prepared, values, formats, portal: null, finished: false })
  }

  async delete(name: string): Promise<void> {
    const bound = this.#portals.get(name)
    this.#portals.delete(name)
    await bound?.portal?.close()
  }

  async clear(): Promise<void> {
    for (const name of [...this.#portals.keys()]) await this.delete(name)
  }

  mark(): () => Promise<void> {
    const before = new Set(this.#portals.values())
    return async () => {
      for (const [name, bound] of [...this.#portals]) {
        if (!before.has(bound)) await this.delete(name)
      }
    }
  }

  commit(): Promise<void> {
    return this.clear()
  }
}
