/** SessionTimers: statement_timeout and the timeouts of sessions that do nothing. */

import type { Settings } from '../catalog/settings.js'
import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'

/** The timers of one session: one a running statement, one for the time between statements. */
export class SessionTimers {
  readonly #settings: Settings
  readonly #terminate: (error: SqlError) => void
  readonly #statements = new WeakMap<Cancellation, NodeJS.Timeout>()
  #idleTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(settings: Settings, terminate: (error: SqlError) => void) {
    this.#settings = settings
    this.#terminate = terminate
  }

  /** A statement begins: it is cancelled (57014) after `statement_timeout`. */
  begin(cancellation: Cancellation): void {
    const timeoutMs = this.#settings.durationMs('statement_timeout')
    if (timeoutMs === null) return
    const cancel = (): void =>
      cancellation.cancel(
        new SqlError(SqlState.queryCanceled, 'canceling statement due to statement timeout'),
      )
    this.#statements.set(cancellation, setTimeout(cancel, timeoutMs))
  }

  end(cancellation: Cancellation): void {
    clearTimeout(this.#statements.get(cancellation))
  }

  /** The client has sent something. */
  busy(): void {
    clearTimeout(this.#idleTimer)
  }

  /** The client is waited for: in vain, the session ends (25P03 in a block, 57P05 outside). */
  idle(inBlock: boolean): void {
    clearTimeout(this.#idleTimer)
    if (this.#closed) return
    const timeoutMs = this.#settings.durationMs(
      inBlock ? 'idle_in_transaction_session_timeout' : 'idle_session_timeout',
    )
    if (timeoutMs === null) return
    const error = new SqlError(
      inBlock ? SqlState.idleInTransactionSessionTimeout : SqlState.idleSessionTimeout,
      inBlock
        ? 'terminating connection due to idle-in-transaction timeout'
        : 'terminating connection due to idle-session timeout',
      { severity: 'FATAL' },
    )
    this.#idleTimer = setTimeout(() => this.#terminate(error), timeoutMs)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#idleTimer)
  }
}
