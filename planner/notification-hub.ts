/** NotificationHub: LISTEN, UNLISTEN and NOTIFY between the sessions of this gateway. */

/** A message on its way to the sessions that listen. */
export interface Notification {
  readonly processId: number
  readonly channel: string
  readonly payload: string
}

type Listener = (notification: Notification) => void

/** Who listens to which channel. */
export class NotificationHub {
  readonly #channels = new Map<string, Set<Listener>>()

  listen(channel: string, listener: Listener): void {
    const listeners = this.#channels.get(channel)
    if (listeners === undefined) this.#channels.set(channel, new Set([listener]))
    else listeners.add(listener)
  }

  unlisten(channel: string, listener: Listener): void {
    const listeners = this.#channels.get(channel)
    if (listeners === undefined) return
    listeners.delete(listener)
    if (listeners.size === 0) this.#channels.delete(channel)
  }

  /** Hands the notification to everybody who listens to its channel, the sender included. */
  notify(notification: Notification): void {
    for (const listener of [...(this.#channels.get(notification.channel) ?? [])]) {
      listener(notification)
    }
  }
}
