/** Session: SQL state of one client, and the API by which the server drives it. */

import type { PgType } from '../catalog/pg-types.js'
import type { SqlError } from '../storage/errors.js'
import type { EngineValue } from '../storage/engine-value.js'
import type { OutputStyle, Result, ResultColumn } from './result.js'

/** As sent in ReadyForQuery. */
export type TransactionStatus = 'idle' | 'active' | 'failed'

/** What a session tells its client outside of results. */
export interface SessionEvents {
  /** A NoticeResponse. */
  notice(notice: {
    readonly severity: 'WARNING' | 'NOTICE' | 'INFO' | 'LOG' | 'DEBUG'
    readonly sqlState: string
    readonly message: string
    readonly detail?: string | undefined
    readonly hint?: string | undefined
    readonly context?: string | undefined
  }): void
  /** A setting that clients are told of (ParameterStatus) has changed. */
  parameterStatus(name: string, value: string): void
  /** A NotificationResponse; may come at any time, the server sends it when it may. */
  notification(notification: {
    readonly processId: number
    readonly channel: string
    readonly payload: string
  }): void
  /** The session wants its connection closed (idle timeout, pg_terminate_backend). */
  terminate(error: SqlError): void
}

/** What Describe answers of a prepared statement. */
export interface StatementDescription {
  readonly parameterTypes: readonly PgType[]
  /** null: the statement returns no rows (NoData). */
  readonly columns: readonly ResultColumn[] | null
  /** Another PostgreSQL answers the statement, and takes parameters as the client sends them. */
  readonly isRelayed?: boolean
}

/**
 * The API the server calls. Calls on one session never overlap, `cancel` and `close` excepted.
 * Everything thrown is an SqlError unless it is a bug.
 */
export interface Session {
  readonly transactionStatus: TransactionStatus
  /** The style in force now, for parameters in text format. */
  readonly outputStyle: OutputStyle

  /** Simple Query: one Result per statement, lazily; the implicit transaction ends with it. */
  query(sql: string): AsyncIterable<Result>

  /** Parse; `parameterOids` may be shorter than the parameters, 0 means "infer". */
  parse(name: string, sql: string, parameterOids: readonly number[]): Promise<void>
  describeStatement(name: string): Promise<StatementDescription>
  /** Types to decode Bind's parameters with; 26000 when there is no such statement. */
  parameterTypes(statementName: string): Promise<readonly PgType[]>
  /** Whether Bind's parameters are handed on as they are (`wire`), not decoded; 26000 likewise. */
  takesWireParameters(statementName: string): Promise<boolean>
  /** Bind, with decoded parameters; `formats` are the format codes of the result as they were sent. */
  bind(
    portalName: string,
    statementName: string,
    values: readonly EngineValue[],
    formats?: readonly (0 | 1)[],
  ): Promise<void>
  /** Columns of a portal; null when it returns no rows. */
  describePortal(name: string): Promise<readonly ResultColumn[] | null>
  /**
   * Execute; `rowLimit` 0 means all. `endsTransaction` tells that Sync is what follows, so that a
   * statement which is a transaction of its own can be committed before it is acknowledged.
   */
  execute(portalName: string, rowLimit: number, endsTransaction: boolean): Promise<Result>
  closeStatement(name: string): Promise<void>
  closePortal(name: string): Promise<void>
  /** Sync: ends the implicit transaction of the extended protocol. */
  sync(): Promise<void>
  /** Marks the transaction failed after an error the server met itself (bad message, bad value). */
  fail(): Promise<void>

  /** CancelRequest, timeout or lost connection: whatever runs ends with `reason`. */
  cancel(reason: SqlError): void
  /** Frees everything the session holds. Safe to call twice and while something runs. */
  close(): Promise<void>
}
