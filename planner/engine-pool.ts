/** EnginePool: the engine connections of one session, each set to the session's time zone. */

import { type Engine, type EngineConnection, quoteLiteral } from '../storage/engine.js'

/** Idle connections a session keeps for its next statement. */
const IDLE_MAX = 1

/**
 * Connections on which a session's statements run.
 *
 * DuckDB keeps one open stream a connection, so each open portal leases one of its own.
 */
export class EnginePool {
  readonly #engine: Engine
  readonly #timeZone: () => string
  readonly #idle: EngineConnection[] = []
  readonly #leased = new Set<EngineConnection>()
  readonly #zones = new WeakMap<EngineConnection, string>()
  #closed = false

  constructor(engine: Engine, timeZone: () => string) {
    this.#engine = engine
    this.#timeZone = timeZone
  }

  /** A connection nobody else uses, with the session's TimeZone in force. */
  async lease(): Promise<EngineConnection> {
    const connection = this.#idle.pop() ?? (await this.#open())
    this.#leased.add(connection)
    const zone = engineZone(this.#timeZone())
    if (this.#zones.get(connection) !== zone) {
      try {
        await connection.run(`SET SESSION TimeZone = ${quoteLiteral(zone)}`)
      } catch (thrown) {
        this.#leased.delete(connection)
        connection.close()
        throw thrown
      }
      this.#zones.set(connection, zone)
    }
    return connection
  }

  async #open(): Promise<EngineConnection> {
    const connection = await this.#engine.connect()
    await connection.run('SET SESSION integer_division = true')
    return connection
  }

  /** Takes a connection back; nothing runs on it. */
  release(connection: EngineConnection): void {
    if (!this.#leased.delete(connection)) return
    connection.letGo()
    if (this.#closed || this.#idle.length >= IDLE_MAX) connection.close()
    else this.#idle.push(connection)
  }

  /** Runs `work` with a leased connection. */
  async with<T>(work: (connection: EngineConnection) => Promise<T>): Promise<T> {
    const connection = await this.lease()
    try {
      return await work(connection)
    } finally {
      this.release(connection)
    }
  }

  /** Stops what runs on leased connections and frees all. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#leased].map((connection) => connection.quiesce()))
    for (const connection of [...this.#leased, ...this.#idle]) connection.close()
    this.#leased.clear()
    this.#idle.length = 0
  }
}

/** DuckDB's name for a time zone of PostgreSQL's: fixed offsets are named, with inverted sign, by Etc. */
function engineZone(zone: string): string {
  const fixed = /^<[^>]*>([+-]?)(\d{1,2})(?::00)?$/.exec(zone)
  if (fixed === null) return zone
  const hours = Number(fixed[2])
  return hours === 0 ? 'UTC' : `Etc/GMT${fixed[1] === '-' ? '-' : '+'}${hours}`
}
