/** SessionActivity: what one session is doing, as pg_stat_activity shows it. */

/** The ends of a client's connection; null where there is none. */
export interface ClientEnds {
  readonly clientAddress: string | null
  readonly clientPort: number | null
  readonly serverAddress: string | null
  readonly serverPort: number | null
  readonly secure: boolean
}

export const NO_CLIENT: ClientEnds = {
  clientAddress: null,
  clientPort: null,
  serverAddress: null,
  serverPort: null,
  secure: false,
}

/** Characters of a statement that are shown (`track_activity_query_size`). */
const QUERY_LENGTH_MAX = 1023

/** Keeps what a session does; times are milliseconds since 1970. */
export class SessionActivity {
  readonly backendStartMs: number = Date.now()
  query = ''
  queryStartMs: number | null = null
  isActive = false
  stateChangeMs: number = Date.now()

  /** A statement begins; one that runs inside of another leaves the outer one's text. */
  begin(query: string): void {
    this.query = query.slice(0, QUERY_LENGTH_MAX)
    this.queryStartMs = Date.now()
    this.isActive = true
    this.stateChangeMs = this.queryStartMs
  }

  end(): void {
    if (!this.isActive) return
    this.isActive = false
    this.stateChangeMs = Date.now()
  }
}

/** One row of pg_stat_get_activity, as JSON. */
export interface ActivityRow {
  readonly pid: number
  readonly datid: number
  readonly usesysid: number | null
  readonly application_name: string
  readonly state: string
  readonly query: string
  readonly wait_event_type: string | null
  readonly wait_event: string | null
  readonly xact_start: string | null
  readonly query_start: string | null
  readonly backend_start: string
  readonly state_change: string
  readonly client_addr: string | null
  readonly client_port: number | null
  readonly backend_type: string
  readonly ssl: boolean
}

/** ISO 8601 of a time, null without one. */
export function timestampText(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

/** An address without IPv6's way of writing one of IPv4. */
export function plainAddress(address: string | undefined): string | null {
  return address?.replace(/^::ffff:/, '') ?? null
}
