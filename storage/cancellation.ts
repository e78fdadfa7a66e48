/** Cancellation: one statement's right to be stopped, from any side and at any moment. */

import type { SqlError } from './errors.js'

/**
 * Whether a piece of work has been told to stop, and why.
 *
 * The first reason stays. Whoever works on the statement looks at `reason` between steps and
 * registers with `onCancel` what has to be interrupted meanwhile.
 */
export class Cancellation {
  #reason: SqlError | undefined
  readonly #listeners = new Set<(reason: SqlError) => void>()

  get reason(): SqlError | undefined {
    return this.#reason
  }

  cancel(reason: SqlError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    for (const listener of [...this.#listeners]) listener(reason)
  }

  /** Calls `listener` when cancelled, at once if that has happened; answers how to unregister. */
  onCancel(listener: (reason: SqlError) => void): () => void {
    if (this.#reason !== undefined) listener(this.#reason)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Throws the reason if there is one. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason
  }
}
