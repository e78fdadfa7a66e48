/** Channels: what a session listens to and what it is about to notify. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { Notification, NotificationHub } from './notification-hub.js'
import type { TransactionalState } from './transaction-block.js'

/** Bytes of a payload, as in PostgreSQL. */
const PAYLOAD_BYTES_MAX = 7_999

/** Bytes of a channel's name. */
const CHANNEL_BYTES_MAX = 63

/** Notifications one transaction may send. */
const NOTIFICATIONS_MAX = 100_000

/** Everything that waits for the end of the block; immutable, so that a mark is a reference. */
interface Pending {
  readonly subscriptions: readonly {
    readonly kind: 'listen' | 'unlisten' | 'unlisten-all'
    readonly channel: string
  }[]
  readonly notificationCount: number
}

/** LISTEN, UNLISTEN and NOTIFY of one session: they take effect at COMMIT and never after ROLLBACK. */
export class Channels implements TransactionalState {
  readonly #hub: NotificationHub
  readonly #processId: number
  readonly #receive: (notification: Notification) => void
  readonly #listening = new Set<string>()
  #pending: Pending = { subscriptions: [], notificationCount: 0 }
  /** By channel and payload: equal notifications of one transaction are sent once. */
  readonly #notifications = new Map<string, Notification>()

  constructor(
    hub: NotificationHub,
    processId: number,
    receive: (notification: Notification) => void,
  ) {
    this.#hub = hub
    this.#processId = processId
    this.#receive = receive
  }

  listen(channel: string): void {
    this.#subscribe('listen', channel)
  }

  /** null: every channel. */
  unlisten(channel: string | null): void {
    if (channel === null) this.#subscribe('unlisten-all', '')
    else this.#subscribe('unlisten', channel)
  }

  /** 22023 for a name or a payload that is empty or too long. */
  notify(channel: string, payload: string): void {
    const refuse = (message: string): never => {
      throw new SqlError(SqlState.invalidParameterValue, message)
    }
    if (channel === '') refuse('channel name cannot be empty')
    if (Buffer.byteLength(channel) > CHANNEL_BYTES_MAX) refuse('channel name too long')
    if (Buffer.byteLength(payload) > PAYLOAD_BYTES_MAX) refuse('payload string too long')
    const key = JSON.stringify([channel, payload])
    if (this.#notifications.has(key)) return
    if (this.#notifications.size >= NOTIFICATIONS_MAX) {
      throw new SqlError(SqlState.programLimitExceeded, 'too many notifications in one transaction')
    }
    this.#notifications.set(key, { processId: this.#processId, channel, payload })
    this.#pending = { ...this.#pending, notificationCount: this.#notifications.size }
  }

  /** Names of the channels listened to, for `pg_listening_channels()`. */
  get listening(): readonly string[] {
    return [...this.#listening]
  }

  mark(): () => Promise<void> {
    const before = this.#pending
    return () => {
      this.#pending = before
      for (const key of [...this.#notifications.keys()].slice(before.notificationCount)) {
        this.#notifications.delete(key)
      }
      return Promise.resolve()
    }
  }

  commit(): Promise<void> {
    const { subscriptions } = this.#pending
    const notifications = [...this.#notifications.values()]
    this.#pending = { subscriptions: [], notificationCount: 0 }
    this.#notifications.clear()
    for (const { kind, channel } of subscriptions) {
      if (kind === 'listen') {
        this.#listening.add(channel)
        this.#hub.listen(channel, this.#receive)
      } else if (kind === 'unlisten') this.#leave(channel)
      else this.leaveAll()
    }
    for (const notification of notifications) this.#hub.notify(notification)
    return Promise.resolve()
  }

  /** Stops listening at once, whatever becomes of the block. */
  leaveAll(): void {
    for (const channel of [...this.#listening]) this.#leave(channel)
  }

  #leave(channel: string): void {
    this.#listening.delete(channel)
    this.#hub.unlisten(channel, this.#receive)
  }

  #subscribe(kind: Pending['subscriptions'][number]['kind'], channel: string): void {
    const subscriptions = [...this.#pending.subscriptions, { kind, channel }]
    this.#pending = { ...this.#pending, subscriptions }
  }
}
