/** Cursors: what DECLARE has opened and FETCH, MOVE and CLOSE name. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { Portal } from './portal.js'
import type { TransactionalState } from './transaction-block.js'

/** Cursors a session may hold. */
const CURSORS_MAX = 10_000

interface Cursor {
  readonly portal: Portal
  /** Survives the COMMIT of its block (WITH HOLD). */
  readonly holdable: boolean
}

/**
 * SQL cursors by name.
 *
 * COMMIT closes those that are not holdable; ROLLBACK, to a savepoint too, closes those declared
 * since and reopens none.
 */
export class Cursors implements TransactionalState {
  readonly #cursors = new Map<string, Cursor>()

  has(name: string): boolean {
    return this.#cursors.has(name)
  }

  find(name: string): Portal | undefined {
    return this.#cursors.get(name)?.portal
  }

  /** 34000 when there is none of that name. */
  get(name: string): Portal {
    const cursor = this.#cursors.get(name)
    if (cursor !== undefined) return cursor.portal
    throw new SqlError(SqlState.invalidCursorName, `cursor "${name}" does not exist`)
  }

  add(name: string, portal: Portal, holdable: boolean): void {
    if (this.#cursors.size >= CURSORS_MAX) {
      throw new SqlError(SqlState.configurationLimitExceeded, 'too many cursors')
    }
    this.#cursors.set(name, { portal, holdable })
  }

  async close(name: string): Promise<void> {
    const portal = this.get(name)
    this.#cursors.delete(name)
    await portal.close()
  }

  async closeAll(): Promise<void> {
    for (const name of [...this.#cursors.keys()]) await this.close(name)
  }

  mark(): () => Promise<void> {
    const before = new Set(this.#cursors.values())
    return async () => {
      for (const [name, cursor] of [...this.#cursors]) {
        if (!before.has(cursor)) await this.close(name)
      }
    }
  }

  async commit(): Promise<void> {
    for (const [name, { holdable }] of [...this.#cursors]) if (!holdable) await this.close(name)
  }
}
