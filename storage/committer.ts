/** Committer: one version of a log put in its place, or the certainty of who has it. */

import { type Action, parseActions } from './actions.js'
import { SqlError, SqlState } from './errors.js'
import { commitPath } from './log-path.js'
import type { ObjectStore } from './object-store.js'
import { readCommit } from './snapshot.js'

/** What became of an attempt; `winning` are the actions of another writer's commit. */
export type PutResult =
  | { readonly kind: 'committed' }
  | { readonly kind: 'taken'; readonly winning: readonly Action[] }
  /** The version is not there, but a request for it may still be on its way. */
  | { readonly kind: 'unknown' }

/** How often a commit is read that the store does not give out. */
const READ_ATTEMPTS = 5

/**
 * Puts the versions of one transaction, which is known by `txnId` in its commitInfo.
 *
 * Whatever the store says, the log decides: what it calls 'exists' may be this transaction's own
 * earlier request, and what it calls 'unknown' may be there, or come to be there later.
 */
export class Committer {
  readonly #store: ObjectStore
  readonly #tablePath: string
  readonly #txnId: string
  readonly #pause: (attempt: number) => Promise<void>
  /** The version for which a request of unknown fate was made; it may still take effect. */
  #inFlight: number | null = null

  constructor(
    store: ObjectStore,
    tablePath: string,
    txnId: string,
    pause: (attempt: number) => Promise<void>,
  ) {
    this.#store = store
    this.#tablePath = tablePath
    this.#txnId = txnId
    this.#pause = pause
  }

  /** Whether a request may still make `version` this transaction's commit. */
  isInFlight(version: number): boolean {
    return this.#inFlight === version
  }

  /**
   * Tries to make `bytes` the commit of `version`.
   *
   * 58030 when the store failed and nothing can have been committed, 08007 when what was committed
   * cannot be read.
   */
  async put(version: number, bytes: Uint8Array): Promise<PutResult> {
    const path = `${this.#tablePath}/${commitPath(version)}`
    try {
      const outcome = await this.#store.putIfAbsent(path, bytes)
      if (outcome === 'created') return { kind: 'committed' }
      if (outcome === 'unknown') this.#inFlight = version
    } catch (thrown) {
      // This request had no effect, but an earlier one for the same version may still have one.
      if (!this.isInFlight(version)) throw thrown
    }
    const found = await this.read(version)
    if (found === null) {
      this.#inFlight = version
      return { kind: 'unknown' }
    }
    // The version is taken: no request for it can take effect any more.
    this.#inFlight = null
    return txnIdOf(found) === this.#txnId
      ? { kind: 'committed' }
      : { kind: 'taken', winning: found }
  }

  /** The commit of `version`, or null when there is none; 08007 when that cannot be found out. */
  async read(version: number): Promise<readonly Action[] | null> {
    const path = `${this.#tablePath}/${commitPath(version)}`
    for (let attempt = 1; ; attempt++) {
      try {
        const bytes = await this.#store.read(path)
        if (bytes === null) return null
        try {
          return parseActions(bytes, path)
        } catch {
          // Another engine may still be writing it.
          return await readCommit(this.#store, path)
        }
      } catch (thrown) {
        if (thrown instanceof SqlError && thrown.sqlState === SqlState.dataCorrupted) throw thrown
        if (attempt === READ_ATTEMPTS) throw this.unresolved(version, thrown)
        await this.#pause(attempt)
      }
    }
  }

  /** The error for a commit of which nobody can say whether it is in the log. */
  unresolved(version: number, cause?: unknown): SqlError {
    return new SqlError(
      SqlState.transactionResolutionUnknown,
      `whether the commit to table "${this.#tablePath}" succeeded is not known`,
      {
        detail: `It would be version ${version}, which could not be read back.`,
        hint: 'Look whether the change is there before making it again.',
        cause,
      },
    )
  }
}

function txnIdOf(actions: readonly Action[]): unknown {
  for (const action of actions) if (action.kind === 'commitInfo') return action.commitInfo.txnId
  return undefined
}
