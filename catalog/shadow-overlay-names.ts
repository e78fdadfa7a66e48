/** Shadow overlay names: the settings by which a session's facts reach the shadow's functions. */

/** Hands over what a session's functions ask for, as a JSON object: SessionFactsJson. */
export const FACTS_NAME = 'lakegate.facts'

/** Hands over the gateway's sessions, as a JSON array of rows of pg_stat_get_activity. */
export const ACTIVITY_NAME = 'lakegate.activity'

/** Hands over the locks that sessions hold, as a JSON array of rows of pg_lock_status. */
export const LOCKS_NAME = 'lakegate.locks'

/** What a session's functions answer. */
export interface SessionFactsJson {
  readonly pid: number
  readonly client_addr: string | null
  readonly client_port: number | null
  readonly server_addr: string | null
  readonly server_port: number | null
  /** ISO 8601. */
  readonly started: string
  /** Bytes of the lake. */
  readonly database_bytes: number
  readonly xid: string
}
