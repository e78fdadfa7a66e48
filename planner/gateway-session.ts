/** GatewaySession: the Session of one client over the shared gateway. */

import { Oid, type PgType } from '../catalog/pg-types.js'
import type { Settings } from '../catalog/settings.js'
import { Cancellation } from '../storage/cancellation.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { roleOid, SHADOW_DATABASE_OID, SUPERUSER, SUPERUSER_OID } from '../catalog/shadow.js'
import { type ActivityRow, timestampText } from './session-activity.js'
import { refuseCatalogWrite } from './catalog-write.js'
import { noticeTruncatedNames } from './identifier-length.js'
import { parseEngineQuery } from './engine-query.js'
import { isQuery } from './query.js'
import { parseClientText } from './engine-syntax.js'
import type { ParsedStatement } from './parse.js'
import { type Execution, Portal } from './portal.js'
import type { PreparedStatement } from './prepared-statements.js'
import type { CopyIn, OutputStyle, Result, ResultColumn, RowBatch } from './result.js'
import { ReadySource } from './row-source.js'
import type { Session, StatementDescription, TransactionStatus } from './session.js'
import { SessionContext, type SessionOptions } from './session-context.js'
import { declaredParameters } from './statement-kind.js'
import { requirePermitted, statementKind } from './statement-table.js'
import { SessionTimers } from './session-timers.js'
import { kindOf, type Node, nodeOf } from './syntax-tree.js'

/** One client's session: see Session for what each call does. */
export class GatewaySession implements Session {
  readonly processId: number
  readonly settings: Settings
  readonly #context: SessionContext
  readonly #timers: SessionTimers
  #running: Cancellation | undefined
  #closed = false

  constructor(options: SessionOptions) {
    const { gateway, user, events } = options
    this.processId = gateway.nextProcessId()
    this.#context = new SessionContext(options, this.processId, {
      describe: (statement, oids) => this.#describe(statement, oids),
      open: (statement, values, cancellation, oids) =>
        this.#open(statement, values, cancellation, oids),
    })
    this.settings = this.#context.settings
    this.#timers = new SessionTimers(this.settings, (error) => events.terminate(error))
    gateway.sessions.set(this.processId, {
      processId: this.processId,
      user,
      activity: () => this.#activityRow(),
      login: this.#context.login.id,
      cancel: (reason) => this.cancel(reason),
      terminate: (reason) => events.terminate(reason),
    })
  }

  get transactionStatus(): TransactionStatus {
    if (!this.#context.inExplicitBlock) return 'idle'
    return this.#context.block?.failed === true ? 'failed' : 'active'
  }

  get outputStyle(): OutputStyle {
    return this.#context.outputStyle
  }

  async *query(sql: string): AsyncGenerator<Result, void, void> {
    this.#timers.busy()
    this.#context.prepared.delete('')
    await this.#context.portals.delete('')
    try {
      const statements = await this.#guard(() => this.#statementsOf(sql))
      if (statements.length === 0) yield { kind: 'empty' }
      for (const [i, statement] of statements.entries()) {
        const isLast = i === statements.length - 1
        yield* this.#runSimple(statement, isLast, isLast && i === 0)
      }
      await this.#endImplicit(true)
    } catch (thrown) {
      throw inCharacters(thrown, sql)
    } finally {
      // Left early, by an error here or at the consumer: what is implicit is undone.
      await this.#endImplicit(false)
      this.#idle()
    }
  }

  async *#runSimple(
    statement: ParsedStatement,
    isLast: boolean,
    isAlone: boolean,
  ): AsyncGenerator<Result, void, void> {
    const cancellation = this.#begin(statement.source)
    let portal: Portal | undefined
    try {
      noticeTruncatedNames(statement, this.#context)
      const execution = isAlone
        ? await this.#openAlone(statement, [], cancellation, [], [])
        : await this.#open(statement, [], cancellation, [], [])
      // What is acknowledged is durable: the tag is sent once the commit is.
      if (isLast && isDone(statement, execution)) await this.#endImplicit(true)
      if (execution.kind === 'copy-in') {
        const commit = async (): Promise<void> => {
          if (isLast) await this.#endImplicit(true)
        }
        const copy = this.#copyIn(execution.copy, cancellation, commit)
        try {
          yield { kind: 'copy-in', copy }
        } finally {
          await copy.abort(undefined)
        }
        return
      }
      if (execution.kind === 'command' || execution.kind === 'empty') {
        yield execution
        return
      }
      portal = new Portal(execution)
      yield this.#resultOf(execution, portal, 0, cancellation)
    } catch (thrown) {
      throw this.#failed(thrown)
    } finally {
      await portal?.close()
      this.#end(cancellation)
    }
  }

  async parse(name: string, sql: string, declaredOids: readonly number[]): Promise<void> {
    // As in PostgreSQL, a parameter declared as unknown is one whose type is left open.
    const parameterOids = declaredOids.map((oid) => (oid === Oid.unknown ? 0 : oid))
    await this.#guard(async () => {
      const { prepared } = this.#context
      prepared.requireFree(name)
      const statements = await this.#statementsOf(sql).catch((thrown) => {
        throw inCharacters(thrown, sql)
      })
      if (statements.length > 1) {
        throw new SqlError(
          SqlState.syntaxError,
          'cannot insert multiple commands into a prepared statement',
        )
      }
      const statement = statements[0] ?? null
      this.#refuseWhenFailed(statement)
      if (statement !== null) noticeTruncatedNames(statement, this.#context)
      // PostgreSQL finds unknown tables, columns and types at Parse, so it is described here.
      const description =
        statement === null
          ? { parameterTypes: [], columns: null }
          : await this.#describe(statement, parameterOids).catch((thrown) => {
              throw inCharacters(thrown, sql)
            })
      prepared.set(name, { statement, oids: parameterOids, description })
    })
  }

  describeStatement(name: string): Promise<StatementDescription> {
    return this.#guard(() => Promise.resolve(this.#prepared(name).description))
  }

  parameterTypes(statementName: string): Promise<readonly PgType[]> {
    return this.#guard(() =>
      Promise.resolve(this.#prepared(statementName).description.parameterTypes),
    )
  }

  takesWireParameters(statementName: string): Promise<boolean> {
    return this.#guard(() =>
      Promise.resolve(this.#prepared(statementName).description.isRelayed === true),
    )
  }

  async bind(
    portalName: string,
    statementName: string,
    values: readonly EngineValue[],
    formats: readonly (0 | 1)[] = [],
  ): Promise<void> {
    await this.#guard(async () => {
      const prepared = this.#prepared(statementName)
      const { parameterTypes } = prepared.description
      if (values.length !== parameterTypes.length) {
        throw new SqlError(
          SqlState.protocolViolation,
          `bind message supplies ${values.length} parameters, but prepared statement "${statementName}" requires ${parameterTypes.length}`,
        )
      }
      if (portalName === '') await this.#context.portals.delete('')
      else this.#context.requireFreeCursor(portalName)
      this.#refuseWhenFailed(prepared.statement)
      this.#context.portals.add(portalName, prepared, values, formats)
    })
  }

  describePortal(name: string): Promise<readonly ResultColumn[] | null> {
    return this.#guard(() => {
      const cursor = this.#context.cursors.find(name)
      if (cursor !== undefined) return Promise.resolve(cursor.columns)
      const { portal, prepared } = this.#context.portals.get(name)
      return Promise.resolve(portal?.columns ?? prepared.description.columns)
    })
  }

  async execute(portalName: string, rowLimit: number, endsTransaction: boolean): Promise<Result> {
    this.#timers.busy()
    return this.#guard(async () => {
      const bound = this.#context.portals.find(portalName)
      const cancellation = this.#begin(bound?.prepared.statement?.source ?? '')
      let handedOn = false
      try {
        const result = await this.#executePortal(
          portalName,
          rowLimit,
          endsTransaction,
          cancellation,
        )
        handedOn = result.kind !== 'command' && result.kind !== 'empty'
        return result
      } finally {
        if (!handedOn) this.#end(cancellation)
      }
    })
  }

  async #executePortal(
    portalName: string,
    rowLimit: number,
    endsTransaction: boolean,
    cancellation: Cancellation,
  ): Promise<Result> {
    const cursor = this.#context.cursors.find(portalName)
    if (cursor !== undefined) {
      return this.#resultOf(rowsOf(cursor), cursor, rowLimit, cancellation, true)
    }
    const bound = this.#context.portals.get(portalName)
    const { statement, description } = bound.prepared
    this.#refuseWhenFailed(statement)
    if (statement === null) return { kind: 'empty' }
    if (bound.portal !== null) {
      return this.#resultOf(rowsOf(bound.portal), bound.portal, rowLimit, cancellation, true)
    }
    if (bound.finished) {
      throw new SqlError(
        SqlState.objectNotInPrerequisiteState,
        `portal "${portalName}" cannot be run`,
      )
    }
    bound.finished = true
    const oids = description.parameterTypes.map((type) => type.oid)
    const isAlone = endsTransaction && (this.#context.block?.statementCount ?? 0) === 0
    const execution = isAlone
      ? await this.#openAlone(statement, bound.values, cancellation, oids, bound.formats)
      : await this.#open(statement, bound.values, cancellation, oids, bound.formats)
    if (execution.kind === 'command' || execution.kind === 'empty') return execution
    if (execution.kind === 'copy-in') {
      return { kind: 'copy-in', copy: this.#copyIn(execution.copy, cancellation) }
    }
    const portal = new Portal(execution)
    // The client reads the rows by what Describe told it: other types would be misread.
    if (execution.kind === 'rows' && !sameTypes(execution.columns, description.columns)) {
      await portal.close()
      throw new SqlError(SqlState.featureNotSupported, 'cached plan must not change result type')
    }
    bound.portal = portal
    const limit = execution.kind === 'copy-out' ? 0 : rowLimit
    return this.#resultOf(execution, portal, limit, cancellation, true)
  }

  closeStatement(name: string): Promise<void> {
    this.#context.prepared.delete(name)
    return Promise.resolve()
  }

  async closePortal(name: string): Promise<void> {
    await this.#context.portals.delete(name)
  }

  async sync(): Promise<void> {
    await this.#endImplicit(true)
    this.#idle()
  }

  async fail(): Promise<void> {
    this.#failed(null)
    await this.#endImplicit(false)
  }

  #activityRow(): ActivityRow {
    const { client, block, user, login, activity } = this.#context
    const status = this.transactionStatus
    const idle = status === 'idle' ? 'idle' : 'idle in transaction'
    return {
      pid: this.processId,
      datid: SHADOW_DATABASE_OID,
      usesysid: login.id !== SUPERUSER_OID || user === SUPERUSER ? login.id : roleOid(user),
      application_name: this.settings.get('application_name'),
      state: activity.isActive ? 'active' : status === 'failed' ? `${idle} (aborted)` : idle,
      query: withoutPasswords(activity.query),
      wait_event_type: activity.isActive ? null : 'Client',
      wait_event: activity.isActive ? null : 'ClientRead',
      xact_start: timestampText(block?.startedMs ?? null),
      query_start: timestampText(activity.queryStartMs),
      backend_start: timestampText(activity.backendStartMs) ?? '',
      state_change: timestampText(activity.stateChangeMs) ?? '',
      client_addr: client.clientAddress,
      client_port: client.clientPort,
      backend_type: 'client backend',
      ssl: client.secure,
    }
  }

  cancel(reason: SqlError): void {
    this.#running?.cancel(reason)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#timers.close()
    this.#context.gateway.sessions.delete(this.processId)
    this.cancel(
      new SqlError(SqlState.adminShutdown, 'terminating connection due to administrator command'),
    )
    await this.#context.close()
  }

  /**
   * Executes a statement that is a transaction of its own, and commits it if it is done.
   *
   * Where another writer's commit came first, all of it is done again on what that one left, until
   * `lakegate.commit_attempts` is used up (40001).
   */
  async #openAlone(
    statement: ParsedStatement,
    values: readonly EngineValue[],
    cancellation: Cancellation,
    oids: readonly number[] = [],
    formats?: readonly (0 | 1)[],
  ): Promise<Execution> {
    const attempts = Number(this.settings.get('lakegate.commit_attempts'))
    for (let attempt = 1; ; attempt++) {
      let isOpen = false
      try {
        const execution = await this.#open(statement, values, cancellation, oids, formats)
        isOpen = true
        if (!isDone(statement, execution)) return execution
        await this.#endImplicit(true)
        return execution
      } catch (thrown) {
        if (!isConflict(thrown) || attempt >= attempts) throw thrown
        // A query whose tables did not fit together takes newer ones.
        if (!isOpen) {
          if (!isQuery(statement.tree)) throw thrown
          await this.#endImplicit(false)
        }
        await pause(attempt)
        cancellation.check()
        this.#context.openBlock()
      }
    }
  }

  #statementsOf(sql: string): Promise<readonly ParsedStatement[]> {
    return parseClientText(sql, (text) =>
      this.#context.pool.with((connection) => parseEngineQuery(text, connection)),
    )
  }

  #begin(query: string): Cancellation {
    this.#context.activity.begin(query)
    const cancellation = new Cancellation()
    this.#running = cancellation
    this.#context.openBlock()
    this.#timers.begin(cancellation)
    return cancellation
  }

  #end(cancellation: Cancellation): void {
    this.#context.activity.end()
    this.#timers.end(cancellation)
    if (this.#running === cancellation) this.#running = undefined
  }

  #idle(): void {
    this.#timers.idle(this.#context.inExplicitBlock)
  }

  #resultOf(
    execution: Extract<Execution, { kind: 'rows' | 'copy-out' }>,
    portal: Portal,
    limit: number,
    cancellation: Cancellation,
    endsHere = false,
  ): Result {
    const style = this.outputStyle
    const batches = this.#framed(portal.pull(limit, cancellation), cancellation, endsHere)
    if (execution.kind === 'copy-out') {
      const { columns, copy, tag } = execution
      return { kind: 'copy-out', columns, style, copy, batches, tag }
    }
    return {
      kind: 'rows',
      columns: execution.columns,
      style,
      batches,
      suspended: () => limit > 0 && !portal.ended,
      tag: execution.tag,
    }
  }

  async *#framed(
    batches: AsyncIterable<RowBatch>,
    cancellation: Cancellation,
    endsHere: boolean,
  ): AsyncGenerator<RowBatch, void, void> {
    try {
      yield* batches
    } catch (thrown) {
      throw this.#failed(thrown)
    } finally {
      if (endsHere) this.#end(cancellation)
    }
  }

  /** A COPY FROM that ends once; `commit` follows its success before the client hears of it. */
  #copyIn(
    copy: CopyIn,
    cancellation: Cancellation,
    commit: () => Promise<void> = () => Promise.resolve(),
  ): CopyIn {
    let ended = false
    const abort = async (thrown: unknown): Promise<unknown> => {
      if (ended) return thrown
      ended = true
      this.#end(cancellation)
      this.#failed(thrown)
      return copy.abort(thrown)
    }
    const finish = async (rejected: number): Promise<string> => {
      let tag: string
      try {
        tag = await copy.finish(rejected)
      } catch (thrown) {
        throw await abort(thrown)
      }
      ended = true
      try {
        await commit()
      } catch (thrown) {
        throw this.#failed(thrown)
      } finally {
        this.#end(cancellation)
      }
      return tag
    }
    return { ...copy, finish, abort }
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      throw this.#failed(thrown)
    }
  }

  #failed(thrown: unknown): unknown {
    const { block } = this.#context
    if (block?.explicit === true) block.failed = true
    return thrown
  }

  #refuseWhenFailed(statement: ParsedStatement | null): void {
    if (this.#context.block?.failed !== true || statement === null) return
    const transaction = nodeOf(statement.tree, 'TransactionStmt')
    if (transaction !== undefined && ENDS_FAILED.has(String(transaction.kind))) return
    throw new SqlError(
      SqlState.inFailedSqlTransaction,
      'current transaction is aborted, commands ignored until end of transaction block',
    )
  }

  /** Ends a block that no BEGIN opened. */
  async #endImplicit(commit: boolean): Promise<void> {
    if (!this.#context.inExplicitBlock) await this.#context.endBlock(commit)
  }

  #prepared(name: string): PreparedStatement {
    return this.#context.prepared.get(name)
  }

  async #describe(
    statement: ParsedStatement,
    oids: readonly number[],
  ): Promise<StatementDescription> {
    const session = this.#context
    refuseCatalogWrite(statement, (name) => session.temporary.find(name) !== undefined)
    const shape = { session, statement, fields: fieldsOf(statement), oids }
    const { describe } = statementKind(statement)
    if (describe !== undefined) return describe(shape)
    return { parameterTypes: declaredParameters(shape), columns: null }
  }

  async #open(
    statement: ParsedStatement,
    values: readonly EngineValue[],
    cancellation: Cancellation,
    oids: readonly number[] = [],
    formats?: readonly (0 | 1)[],
  ): Promise<Execution> {
    this.#refuseWhenFailed(statement)
    const session = this.#context
    refuseCatalogWrite(statement, (name) => session.temporary.find(name) !== undefined)
    session.openBlock().statementCount++
    const fields = fieldsOf(statement)
    const call = { session, statement, fields, values, oids, formats, cancellation }
    await requirePermitted(statement, session)
    return statementKind(statement).open(call)
  }
}

/** A statement without the passwords that it gives to roles. */
function withoutPasswords(text: string): string {
  return text.replaceAll(
    /\bPASSWORD\s+(?:[EUN]&?)?(?:'(?:[^'\\]|''|\\.)*'?|\$.*)/gis,
    "PASSWORD '********'",
  )
}

/** `thrown` with its position in characters of `sql` instead of UTF-16 units. */
function inCharacters(thrown: unknown, sql: string): unknown {
  if (!(thrown instanceof SqlError) || thrown.position === undefined) return thrown
  return thrown.at([...sql.slice(0, thrown.position - 1)].length + 1)
}

/** Statements whose rows (RETURNING) are there before the first is sent, so that they can be committed first. */
const CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** The same of the lake's own commands, by their kinds. */
const COMMANDS: ReadonlySet<string> = new Set(['copy-into', 'clone'])

/** Whether nothing of the statement is left to be executed. */
function isDone({ tree, lakeCommand }: ParsedStatement, { kind }: Execution): boolean {
  if (kind === 'command' || kind === 'empty') return true
  return tree === null ? COMMANDS.has(lakeCommand?.kind ?? '') : CHANGES.has(kindOf(tree))
}

function isConflict(thrown: unknown): boolean {
  return thrown instanceof SqlError && thrown.sqlState === SqlState.serializationFailure
}

/** Waits a little, at random, so that statements that lost together do not try together again. */
async function pause(attempt: number): Promise<void> {
  const limitMs = Math.min(200, 2 ** attempt)
  await new Promise((resolve) => setTimeout(resolve, Math.random() * limitMs))
}

const ENDS_FAILED = new Set(['TRANS_STMT_ROLLBACK', 'TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK_TO'])

function fieldsOf({ tree }: ParsedStatement): Node {
  return tree === null ? {} : ((tree[kindOf(tree)] ?? {}) as Node)
}

function sameTypes(
  columns: readonly ResultColumn[],
  described: readonly ResultColumn[] | null,
): boolean {
  if (described === null) return true
  return (
    columns.length === described.length &&
    columns.every((column, i) => column.pgType.oid === described[i]?.pgType.oid)
  )
}

function rowsOf(portal: Portal): Extract<Execution, { kind: 'rows' }> {
  return { kind: 'rows', columns: portal.columns, source: new ReadySource([]), tag: portal.tag }
}
