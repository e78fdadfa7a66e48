/** GatewaySession: the Session of one client over the shared gateway. */

import { engineTypeOfOid, Oid, type PgType, pgType } from '../catalog/pg-types.js'
import { SERVER_VERSION, Settings } from '../catalog/settings.js'
import { Cancellation } from '../storage/cancellation.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { type EngineType, printEngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { listCommits, readCommitInfo } from '../storage/snapshot.js'
import {
  type CatalogSession,
  describeCatalogQuery,
  openCatalogQuery,
  routeOf,
} from './catalog-query.js'
import { copyFormat } from './copy-options.js'
import { EnginePool } from './engine-pool.js'
import type { Gateway } from './gateway.js'
import type { LakeCommand } from './lake-syntax.js'
import type { Notification } from './notification-hub.js'
import { describeChange, runChange, runTruncate } from './change-rows.js'
import { runCreateTable, runCreateTableAs } from './create-table.js'
import { describeInsert, runInsert } from './insert.js'
import { outputNames } from './output-names.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import { type Execution, Portal } from './portal.js'
import {
  changesData,
  describeQuery,
  openQuery,
  parameterCount,
  type QueryContext,
  withTranslation,
} from './query.js'
import type { OutputStyle, Result, ResultColumn, RowBatch } from './result.js'
import { ReadySource } from './row-source.js'
import type { Session, SessionEvents, StatementDescription, TransactionStatus } from './session.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { TransactionBlock } from './transaction-block.js'

/** Prepared statements and portals a session may hold of each kind. */
const OBJECTS_MAX = 10_000

interface PreparedStatement {
  readonly statement: ParsedStatement | null
  readonly oids: readonly number[]
  description: StatementDescription | undefined
}

/** A bound portal: not executed until its first Execute. */
interface BoundPortal {
  readonly prepared: PreparedStatement
  readonly values: readonly EngineValue[]
  portal: Portal | null
  finished: boolean
}

/** How a session begins. */
export interface SessionOptions {
  readonly gateway: Gateway
  readonly user: string
  readonly events: SessionEvents
  /** Settings out of the startup message. */
  readonly settings: readonly (readonly [string, string])[]
}

/** One client's session: see Session for what each call does. */
export class GatewaySession implements Session {
  readonly processId: number
  readonly settings: Settings
  readonly #gateway: Gateway
  readonly #user: string
  readonly #events: SessionEvents
  readonly #pool: EnginePool
  readonly #statements = new Map<string, PreparedStatement>()
  readonly #bound = new Map<string, BoundPortal>()
  readonly #cursors = new Map<string, Portal>()
  readonly #channels = new Set<string>()
  readonly #temporary = new Map<string, string>()
  #temporarySchema: string | undefined
  #block: TransactionBlock | undefined
  #running: Cancellation | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: SessionOptions) {
    this.#gateway = options.gateway
    this.#user = options.user
    this.#events = options.events
    this.processId = options.gateway.nextProcessId()
    this.settings = new Settings((name, value) => options.events.parameterStatus(name, value))
    this.settings.setDefault('session_authorization', options.user)
    for (const [name, value] of options.settings) this.settings.setDefault(name, value)
    this.settings.markReported()
    this.#pool = new EnginePool(options.gateway.engine, () => this.settings.get('timezone'))
    options.gateway.sessions.set(this.processId, {
      processId: this.processId,
      user: options.user,
      cancel: (reason) => this.cancel(reason),
      terminate: (reason) => options.events.terminate(reason),
    })
  }

  get transactionStatus(): TransactionStatus {
    if (this.#block === undefined || !this.#block.explicit) return 'idle'
    return this.#block.failed ? 'failed' : 'active'
  }

  get outputStyle(): OutputStyle {
    const [dateStyle, dateOrder] = this.settings.get('datestyle').split(', ')
    return {
      dateStyle: dateStyle as OutputStyle['dateStyle'],
      dateOrder: dateOrder as OutputStyle['dateOrder'],
      intervalStyle: this.settings.get('intervalstyle') as OutputStyle['intervalStyle'],
      timeZone: this.settings.get('timezone'),
      extraFloatDigits: Number(this.settings.get('extra_float_digits')),
      byteaOutput: this.settings.get('bytea_output') as OutputStyle['byteaOutput'],
    }
  }

  async *query(sql: string): AsyncGenerator<Result, void, void> {
    this.#busy()
    this.#statements.delete('')
    await this.#dropPortal('')
    try {
      const statements = this.#guardSync(() => parseStatements(sql))
      if (statements.length === 0) yield { kind: 'empty' }
      for (const [i, statement] of statements.entries()) {
        yield* this.#runSimple(statement, i === statements.length - 1)
      }
      await this.#endImplicit(true)
    } finally {
      // Left early, by an error here or at the consumer: what is implicit is undone.
      await this.#endImplicit(false)
      this.#idle()
    }
  }

  async *#runSimple(
    statement: ParsedStatement,
    isLast: boolean,
  ): AsyncGenerator<Result, void, void> {
    const cancellation = this.#begin()
    let portal: Portal | undefined
    try {
      const execution = await this.#open(statement, [], cancellation)
      if (execution.kind === 'command' || execution.kind === 'empty') {
        // What is acknowledged is durable: the tag is sent once the commit is.
        if (isLast) await this.#endImplicit(true)
        yield execution
        return
      }
      portal = new Portal(execution)
      if (isLast && statement.tree !== null && CHANGES.has(kindOf(statement.tree))) {
        await this.#endImplicit(true)
      }
      yield this.#resultOf(execution, portal, 0, cancellation)
    } catch (thrown) {
      throw this.#failed(thrown)
    } finally {
      await portal?.close()
      this.#end(cancellation)
    }
  }

  async parse(name: string, sql: string, parameterOids: readonly number[]): Promise<void> {
    await this.#guard(async () => {
      if (name !== '' && this.#statements.has(name)) {
        throw new SqlError(
          SqlState.duplicatePreparedStatement,
          `prepared statement "${name}" already exists`,
        )
      }
      if (this.#statements.size >= OBJECTS_MAX) {
        throw new SqlError(SqlState.configurationLimitExceeded, 'too many prepared statements')
      }
      const statements = parseStatements(sql)
      if (statements.length > 1) {
        throw new SqlError(
          SqlState.syntaxError,
          'cannot insert multiple commands into a prepared statement',
        )
      }
      const statement = statements[0] ?? null
      this.#refuseWhenFailed(statement)
      const prepared: PreparedStatement = { statement, oids: parameterOids, description: undefined }
      // PostgreSQL finds unknown tables, columns and types at Parse, so it is described here.
      await this.#describe(prepared)
      this.#statements.set(name, prepared)
    })
  }

  async describeStatement(name: string): Promise<StatementDescription> {
    return this.#guard(() => this.#describe(this.#statement(name)))
  }

  async parameterTypes(statementName: string): Promise<readonly PgType[]> {
    return this.#guard(
      async () => (await this.#describe(this.#statement(statementName))).parameterTypes,
    )
  }

  async bind(
    portalName: string,
    statementName: string,
    values: readonly EngineValue[],
  ): Promise<void> {
    await this.#guard(async () => {
      const prepared = this.#statement(statementName)
      const { parameterTypes } = await this.#describe(prepared)
      if (values.length !== parameterTypes.length) {
        throw new SqlError(
          SqlState.protocolViolation,
          `bind message supplies ${values.length} parameters, but prepared statement "${statementName}" requires ${parameterTypes.length}`,
        )
      }
      if (portalName === '') await this.#dropPortal('')
      else if (this.#bound.has(portalName) || this.#cursors.has(portalName)) {
        throw new SqlError(SqlState.duplicateCursor, `cursor "${portalName}" already exists`)
      }
      if (this.#bound.size >= OBJECTS_MAX) {
        throw new SqlError(SqlState.configurationLimitExceeded, 'too many portals')
      }
      this.#refuseWhenFailed(prepared.statement)
      this.#bound.set(portalName, { prepared, values, portal: null, finished: false })
    })
  }

  async describePortal(name: string): Promise<readonly ResultColumn[] | null> {
    return this.#guard(async () => {
      const cursor = this.#cursors.get(name)
      if (cursor !== undefined) return cursor.columns
      const bound = this.#portal(name)
      if (bound.portal !== null) return bound.portal.columns
      return (await this.#describe(bound.prepared)).columns
    })
  }

  async execute(portalName: string, rowLimit: number): Promise<Result> {
    this.#busy()
    return this.#guard(async () => {
      const cursor = this.#cursors.get(portalName)
      const bound = cursor === undefined ? this.#portal(portalName) : undefined
      const statement = bound?.prepared.statement ?? null
      if (bound !== undefined) this.#refuseWhenFailed(statement)
      const cancellation = this.#begin()
      let handedOn = false
      try {
        if (cursor !== undefined) {
          handedOn = true
          return this.#resultOf(rowsOf(cursor), cursor, rowLimit, cancellation, true)
        }
        if (bound === undefined || statement === null) return { kind: 'empty' }
        if (bound.portal === null) {
          if (bound.finished) {
            throw new SqlError(
              SqlState.objectNotInPrerequisiteState,
              `portal "${portalName}" cannot be run`,
            )
          }
          const oids = bound.prepared.description?.parameterTypes.map((type) => type.oid)
          const execution = await this.#open(statement, bound.values, cancellation, oids)
          if (execution.kind === 'command' || execution.kind === 'empty') {
            bound.finished = true
            return execution
          }
          bound.portal = new Portal(execution)
          // The client reads the rows by what Describe told it: other types would be misread.
          if (!sameTypes(execution.columns, bound.prepared.description?.columns)) {
            throw new SqlError(
              SqlState.featureNotSupported,
              'cached plan must not change result type',
            )
          }
          if (execution.kind === 'copy-out') {
            handedOn = true
            return this.#resultOf(execution, bound.portal, 0, cancellation, true)
          }
        }
        handedOn = true
        return this.#resultOf(rowsOf(bound.portal), bound.portal, rowLimit, cancellation, true)
      } finally {
        if (!handedOn) this.#end(cancellation)
      }
    })
  }

  async closeStatement(name: string): Promise<void> {
    this.#statements.delete(name)
    await Promise.resolve()
  }

  async closePortal(name: string): Promise<void> {
    await this.#dropPortal(name)
  }

  async sync(): Promise<void> {
    await this.#endImplicit(true)
    this.#idle()
  }

  async fail(): Promise<void> {
    this.#failed(null)
    await this.#endImplicit(false)
  }

  cancel(reason: SqlError): void {
    this.#running?.cancel(reason)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#idleTimer)
    this.#gateway.sessions.delete(this.processId)
    this.cancel(
      new SqlError(SqlState.adminShutdown, 'terminating connection due to administrator command'),
    )
    this.#unlisten('*')
    for (const name of [...this.#bound.keys()]) await this.#dropPortal(name)
    for (const [name, cursor] of this.#cursors) {
      this.#cursors.delete(name)
      await cursor.close()
    }
    if (this.#temporarySchema !== undefined) {
      const schema = this.#temporarySchema
      await this.#pool
        .with((connection) => connection.run(`DROP SCHEMA memory.${schema} CASCADE`))
        .finally(() => this.#pool.close())
    } else await this.#pool.close()
  }

  // ---- one statement's frame -------------------------------------------------------------------

  #begin(): Cancellation {
    const cancellation = new Cancellation()
    this.#running = cancellation
    this.#block ??= new TransactionBlock(false, this.#defaultReadOnly(), this.settings.save())
    const timeoutMs = this.settings.durationMs('statement_timeout')
    if (timeoutMs !== null) {
      const timer = setTimeout(
        () =>
          cancellation.cancel(
            new SqlError(SqlState.queryCanceled, 'canceling statement due to statement timeout'),
          ),
        timeoutMs,
      )
      this.#timers.set(cancellation, timer)
    }
    return cancellation
  }

  readonly #timers = new WeakMap<Cancellation, NodeJS.Timeout>()

  #end(cancellation: Cancellation): void {
    clearTimeout(this.#timers.get(cancellation))
    if (this.#running === cancellation) this.#running = undefined
  }

  #resultOf(
    execution: Extract<Execution, { kind: 'rows' | 'copy-out' }>,
    portal: Portal,
    limit: number,
    cancellation: Cancellation,
    endsHere = false,
  ): Result {
    const { style } = { style: this.outputStyle }
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

  #busy(): void {
    clearTimeout(this.#idleTimer)
  }

  #idle(): void {
    clearTimeout(this.#idleTimer)
    const inBlock = this.transactionStatus !== 'idle'
    const setting = inBlock ? 'idle_in_transaction_session_timeout' : 'idle_session_timeout'
    const timeoutMs = this.settings.durationMs(setting)
    if (timeoutMs === null || this.#closed) return
    this.#idleTimer = setTimeout(() => {
      this.#events.terminate(
        new SqlError(
          inBlock ? SqlState.idleInTransactionSessionTimeout : SqlState.idleSessionTimeout,
          inBlock
            ? 'terminating connection due to idle-in-transaction timeout'
            : 'terminating connection due to idle-session timeout',
          { severity: 'FATAL' },
        ),
      )
    }, timeoutMs)
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      throw this.#failed(thrown)
    }
  }

  #guardSync<T>(work: () => T): T {
    try {
      return work()
    } catch (thrown) {
      throw this.#failed(thrown)
    }
  }

  #failed(thrown: unknown): unknown {
    if (this.#block?.explicit === true) this.#block.failed = true
    return thrown
  }

  #refuseWhenFailed(statement: ParsedStatement | null): void {
    if (this.#block?.failed !== true || statement === null) return
    const transaction = nodeOf(statement.tree, 'TransactionStmt')
    if (transaction !== undefined && ENDS_FAILED.has(String(transaction.kind))) return
    throw new SqlError(
      SqlState.inFailedSqlTransaction,
      'current transaction is aborted, commands ignored until end of transaction block',
    )
  }

  #defaultReadOnly(): boolean {
    return this.settings.get('default_transaction_read_only') === 'on'
  }

  /** Ends a block that no BEGIN opened. */
  async #endImplicit(commit: boolean): Promise<void> {
    if (this.#block === undefined || this.#block.explicit) return
    await this.#endBlock(commit)
  }

  async #endBlock(commit: boolean): Promise<void> {
    const block = this.#block
    this.#block = undefined
    if (block === undefined) return
    let committed = commit
    let failure: unknown
    if (commit) {
      try {
        await block.commit(this.#gateway)
      } catch (thrown) {
        committed = false
        failure = thrown
      }
    }
    for (const [name, bound] of this.#bound) {
      this.#bound.delete(name)
      await bound.portal?.close()
    }
    for (const [name, cursor] of this.#cursors) {
      if (cursor.holdable && commit) continue
      if (cursor.holdable && !this.#cursorBlocks.has(cursor)) continue
      this.#cursors.delete(name)
      await cursor.close()
    }
    this.#cursorBlocks.clear()
    if (!committed) this.settings.restore(block.settings)
    else {
      for (const [name, before] of block.local) {
        if (before === undefined) this.settings.reset(name)
        else this.settings.set(name, before)
      }
      for (const { channel, payload } of block.notifications) {
        this.#gateway.notifications.notify({ processId: this.processId, channel, payload })
      }
    }
    if (failure !== undefined) throw failure
  }

  /** Holdable cursors made in the block that is open: they go when it is rolled back. */
  readonly #cursorBlocks = new Set<Portal>()

  #statement(name: string): PreparedStatement {
    const prepared = this.#statements.get(name)
    if (prepared !== undefined) return prepared
    throw new SqlError(
      SqlState.invalidSqlStatementName,
      name === ''
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${name}" does not exist`,
    )
  }

  #portal(name: string): BoundPortal {
    const bound = this.#bound.get(name)
    if (bound !== undefined) return bound
    throw new SqlError(SqlState.invalidCursorName, `portal "${name}" does not exist`)
  }

  async #dropPortal(name: string): Promise<void> {
    const bound = this.#bound.get(name)
    this.#bound.delete(name)
    await bound?.portal?.close()
  }

  // ---- what a statement is -----------------------------------------------------------------------

  #context(): QueryContext {
    this.#block ??= new TransactionBlock(false, this.#defaultReadOnly(), this.settings.save())
    const block = this.#block
    return {
      gateway: this.#gateway,
      pool: this.#pool,
      block,
      searchPath: this.settings.searchPath(),
      temporaryTable: (name) => this.#temporary.get(name),
      sessionFunction: (name, args, executing) => this.#sessionFunction(name, args, executing),
    }
  }

  async #describe(prepared: PreparedStatement): Promise<StatementDescription> {
    prepared.description ??= await this.#makeDescription(prepared)
    return prepared.description
  }

  async #makeDescription({ statement, oids }: PreparedStatement): Promise<StatementDescription> {
    if (statement === null) return { parameterTypes: [], columns: null }
    const { tree } = statement
    const select = nodeOf(tree, 'SelectStmt')
    if (tree !== null && select !== undefined && select.intoClause === undefined) {
      const effect = gatewayCall(tree)
      if (effect !== null)
        return { parameterTypes: oids.map(pgType), columns: [effectColumn(effect)] }
      return this.#routed(
        statement,
        () => describeQuery(statement, oids, this.#context()),
        () => describeCatalogQuery(statement, this.#gateway, this.#catalogSession()),
      )
    }
    const parameterTypes = Array.from(
      { length: tree === null ? 0 : parameterCount(statement) },
      (_, i) => pgType((oids[i] ?? 0) || Oid.text),
    )
    const insert = nodeOf(tree, 'InsertStmt')
    if (insert !== undefined) {
      const described = await describeInsert(statement, insert, oids, this.#context())
      return {
        parameterTypes: parameterTypes.map((type, i) => {
          const found = described.parameterTypes[i]
          return (oids[i] ?? 0) === 0 && found !== undefined ? pgType(found.oid) : type
        }),
        columns: described.columns,
      }
    }
    const changing = nodeOf(tree, 'UpdateStmt') ?? nodeOf(tree, 'DeleteStmt')
    if (changing !== undefined) {
      const kind = nodeOf(tree, 'UpdateStmt') === undefined ? 'DELETE' : 'UPDATE'
      const found = await describeChange(statement, changing, kind, oids, this.#context())
      return {
        parameterTypes: parameterTypes.map((type, i) =>
          (oids[i] ?? 0) === 0 ? pgType(found[i]?.oid ?? type.oid) : type,
        ),
        columns: null,
      }
    }
    const show = nodeOf(tree, 'VariableShowStmt')
    if (show !== undefined) return { parameterTypes, columns: showColumns(String(show.name)) }
    const fetch = nodeOf(tree, 'FetchStmt')
    if (fetch !== undefined && fetch.ismove !== true) {
      return { parameterTypes, columns: this.#cursor(String(fetch.portalname)).columns }
    }
    if (nodeOf(tree, 'ExplainStmt') !== undefined) {
      return { parameterTypes, columns: [textColumn('QUERY PLAN')] }
    }
    const execute = nodeOf(tree, 'ExecuteStmt')
    if (execute !== undefined) {
      const { columns } = await this.#describe(this.#statement(String(execute.name)))
      return { parameterTypes, columns }
    }
    if (statement.lakeCommand !== null) {
      return { parameterTypes, columns: lakeColumns(statement.lakeCommand) }
    }
    return { parameterTypes, columns: null }
  }

  /** Executes one statement, or begins to: rows are pulled later. */
  async #open(
    statement: ParsedStatement,
    values: readonly EngineValue[],
    cancellation: Cancellation,
    oids: readonly number[] = [],
  ): Promise<Execution> {
    this.#refuseWhenFailed(statement)
    const { tree } = statement
    if (tree === null) return this.#runLakeCommand(statement.lakeCommand)
    const kind = kindOf(tree)
    const fields = (tree[kind] ?? {}) as Node
    switch (kind) {
      case 'SelectStmt':
        if (fields.intoClause !== undefined)
          throw notSupported('SELECT INTO', 'use CREATE TEMP TABLE … AS')
        return this.#select(statement, tree, values, cancellation, oids)
      case 'TransactionStmt':
        return this.#transaction(fields)
      case 'VariableSetStmt':
        return this.#set(fields)
      case 'VariableShowStmt':
        return this.#show(String(fields.name))
      case 'DeclareCursorStmt':
        return this.#declare(statement, fields, values, cancellation)
      case 'FetchStmt':
        return this.#fetch(fields, cancellation)
      case 'ClosePortalStmt':
        return this.#closeCursor(fields)
      case 'PrepareStmt':
        return this.#prepare(statement, fields)
      case 'ExecuteStmt':
        return this.#executePrepared(fields, cancellation)
      case 'DeallocateStmt':
        return this.#deallocate(fields)
      case 'DiscardStmt':
        return this.#discard(String(fields.target))
      case 'ListenStmt':
        return this.#listen(String(fields.conditionname))
      case 'UnlistenStmt':
        this.#unlisten(fields.conditionname === undefined ? '*' : String(fields.conditionname))
        return { kind: 'command', tag: 'UNLISTEN' }
      case 'NotifyStmt':
        this.#context().block.notifications.push({
          channel: String(fields.conditionname),
          payload: String(fields.payload ?? ''),
        })
        return { kind: 'command', tag: 'NOTIFY' }
      case 'CopyStmt':
        return this.#copy(statement, fields, values, cancellation)
      case 'ExplainStmt':
        return this.#explain(statement, fields, values, cancellation)
      case 'ViewStmt':
        return this.#createView(statement, fields)
      case 'DropStmt':
        return this.#drop(fields)
      case 'InsertStmt':
        return runInsert(statement, fields, values, this.#context(), cancellation, oids)
      case 'UpdateStmt':
      case 'DeleteStmt':
        return runChange(
          statement,
          fields,
          kind === 'UpdateStmt' ? 'UPDATE' : 'DELETE',
          values,
          this.#context(),
          cancellation,
          oids,
        )
      case 'TruncateStmt':
        return runTruncate(statement, fields, this.#context())
      case 'CreateSchemaStmt':
        return this.#createSchema(fields)
      case 'CreateStmt':
        return this.#createTable(statement, fields)
      case 'CreateTableAsStmt':
        return this.#createTemporaryAs(statement, fields, values, cancellation)
      default:
        throw notSupported(
          kind
            .replace(/Stmt$/, '')
            .replace(/([a-z])([A-Z])/g, '$1 $2')
            .toUpperCase(),
        )
    }
  }

  async #select(
    statement: ParsedStatement,
    tree: Node,
    values: readonly EngineValue[],
    cancellation: Cancellation,
    oids: readonly number[],
  ): Promise<Execution> {
    if (changesData(tree)) throw notSupported('a WITH clause that changes data')
    const effect = gatewayCall(tree)
    if (effect !== null) return this.#gatewayCall(statement, effect, values, cancellation)
    return this.#routed(
      statement,
      () => openQuery(statement, values, this.#context(), cancellation, oids),
      () => openCatalogQuery(statement, values, this.#gateway, this.#catalogSession()),
    )
  }

  /**
   * System catalogs are PostgreSQL's; so is a statement without tables whose functions or types
   * DuckDB does not know.
   */
  async #routed<T>(
    statement: ParsedStatement,
    lake: () => Promise<T>,
    catalog: () => Promise<T>,
  ): Promise<T> {
    const route = routeOf(statement, this.#catalogSession())
    if (route === 'catalog') return catalog()
    try {
      return await lake()
    } catch (thrown) {
      if (route !== 'none' || !(thrown instanceof SqlError)) throw thrown
      if (!/^(42883|42704|0A000)$/.test(thrown.sqlState)) throw thrown
      try {
        return await catalog()
      } catch {
        throw thrown
      }
    }
  }

  #catalogSession(): CatalogSession {
    return {
      searchPath: this.settings.searchPath(),
      settings: [
        'timezone',
        'datestyle',
        'intervalstyle',
        'extra_float_digits',
        'bytea_output',
      ].map((name) => [name, this.settings.get(name)] as const),
      temporaryTable: (name) => this.#temporary.get(name),
    }
  }

  /** Functions that act on the gateway itself; called alone, as clients call them. */
  async #gatewayCall(
    statement: ParsedStatement,
    effect: GatewayCall,
    values: readonly EngineValue[],
    cancellation: Cancellation,
  ): Promise<Execution> {
    const args = effect.args.map((arg) => {
      const parameter = nodeOf(arg, 'ParamRef')
      if (parameter !== undefined) return values[Number(parameter.number) - 1]?.value ?? null
      const value = constantOf(arg) ?? constantOf(nodeOf(arg, 'TypeCast')?.arg)
      if (value === undefined) {
        throw notSupported(`${effect.name} with an argument that is no constant`)
      }
      return value
    })
    let value: Scalar
    switch (effect.name) {
      case 'pg_sleep':
        await sleep(Number(args[0]) * 1000, cancellation)
        value = ''
        break
      case 'pg_cancel_backend':
        value = this.#gateway.cancelSession(Number(args[0]))
        break
      case 'pg_terminate_backend':
        value = this.#gateway.terminateSession(Number(args[0]))
        break
      case 'pg_notify':
        this.#context().block.notifications.push({
          channel: String(args[0]),
          payload: String(args[1] ?? ''),
        })
        value = ''
        break
      case 'set_config':
        this.#assign(String(args[0]), String(args[1] ?? ''), args[2] === true || args[2] === 't')
        value = this.settings.get(String(args[0]))
        break
    }
    const column = effectColumn(effect)
    const name = statement.tree === null ? undefined : outputNames(statement.tree)?.[0]
    return rowsExecution([{ ...column, name: name ?? column.name }], [[value]], 'SELECT')
  }

  #sessionFunction(name: string, args: readonly Node[], executing: boolean): string | undefined {
    switch (name) {
      case 'set_config': {
        const [setting, value, local] = args.map((arg) => constantOf(arg))
        if (typeof setting !== 'string' || typeof value !== 'string') return undefined
        if (!executing) return 'NULL::VARCHAR'
        this.#assign(setting, value, local === true)
        return quoteLiteral(this.settings.get(setting))
      }
      case 'current_user':
      case 'session_user':
      case 'user':
      case 'current_role':
        return quoteLiteral(this.#user)
      case 'current_database':
      case 'current_catalog':
        return quoteLiteral(this.#gateway.database)
      case 'current_schema':
        return quoteLiteral(this.settings.searchPath()[0] ?? 'public')
      case 'version':
        return quoteLiteral(`PostgreSQL ${SERVER_VERSION} (Lakegate) on DuckDB`)
      case 'pg_backend_pid':
        return String(this.processId)
      case 'pg_is_in_recovery':
        return 'false'
      case 'current_setting': {
        const setting = constantOf(args[0])
        if (typeof setting !== 'string') return undefined
        const missingOk = constantOf(args[1]) === true
        if (missingOk && !this.settings.has(setting)) return 'NULL::VARCHAR'
        return quoteLiteral(this.settings.get(setting))
      }
      default:
        return undefined
    }
  }

  // ---- transactions and settings -----------------------------------------------------------------

  async #transaction(fields: Node): Promise<Execution> {
    const tag = (text: string): Execution => ({ kind: 'command', tag: text })
    const block = this.#block
    switch (fields.kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START': {
        if (block?.explicit === true) {
          this.#warn(SqlState.activeSqlTransaction, 'there is already a transaction in progress')
        } else {
          this.#block ??= new TransactionBlock(true, this.#defaultReadOnly(), this.settings.save())
          this.#block.explicit = true
        }
        this.#transactionOptions(listOf(fields.options))
        return tag(fields.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START TRANSACTION')
      }
      case 'TRANS_STMT_COMMIT': {
        const failed = block?.failed === true
        if (block?.explicit !== true) {
          this.#warn(SqlState.noActiveSqlTransaction, 'there is no transaction in progress')
        }
        await this.#endBlock(!failed)
        return tag(failed ? 'ROLLBACK' : 'COMMIT')
      }
      case 'TRANS_STMT_ROLLBACK':
        if (block?.explicit !== true) {
          this.#warn(SqlState.noActiveSqlTransaction, 'there is no transaction in progress')
        }
        await this.#endBlock(false)
        return tag('ROLLBACK')
      case 'TRANS_STMT_SAVEPOINT':
        this.#explicitBlock('SAVEPOINT').savepoints.push({
          name: String(fields.savepoint_name),
          settings: this.settings.save(),
          change: this.#block?.saveChange(),
        })
        return tag('SAVEPOINT')
      case 'TRANS_STMT_RELEASE': {
        const open = this.#explicitBlock('RELEASE SAVEPOINT')
        open.savepoints.length = this.#savepoint(open, String(fields.savepoint_name))
        return tag('RELEASE')
      }
      case 'TRANS_STMT_ROLLBACK_TO': {
        const open = this.#explicitBlock('ROLLBACK TO SAVEPOINT')
        const index = this.#savepoint(open, String(fields.savepoint_name))
        open.savepoints.length = index + 1
        const savepoint = open.savepoints[index]
        if (savepoint !== undefined) {
          this.settings.restore(savepoint.settings)
          open.restoreChange(savepoint.change)
        }
        open.failed = false
        return tag('ROLLBACK')
      }
      default:
        throw notSupported('two-phase commit')
    }
  }

  #explicitBlock(what: string): TransactionBlock {
    if (this.#block?.explicit !== true) {
      throw new SqlError(
        SqlState.noActiveSqlTransaction,
        `${what} can only be used in transaction blocks`,
      )
    }
    return this.#block
  }

  #savepoint(block: TransactionBlock, name: string): number {
    const index = block.savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index >= 0) return index
    throw new SqlError(SqlState.invalidSavepointSpecification, `savepoint "${name}" does not exist`)
  }

  #transactionOptions(options: readonly Node[]): void {
    for (const option of options) {
      const element = nodeOf(option, 'DefElem')
      const value = constantOf(element?.arg)
      switch (element?.defname) {
        case 'transaction_isolation':
          this.#assign('transaction_isolation', String(value), true)
          break
        case 'transaction_read_only':
          this.#context().block.readOnly = value === 1
          this.#assign('transaction_read_only', value === 1 ? 'on' : 'off', true)
          break
        case 'transaction_deferrable':
          this.#assign('transaction_deferrable', value === 1 ? 'on' : 'off', true)
          break
      }
    }
  }

  #assign(name: string, value: string, local: boolean): void {
    if (local) {
      const { block } = this.#context()
      const key = name.toLowerCase()
      if (!block.local.has(key)) block.local.set(key, this.settings.save().get(key))
    }
    this.settings.set(name, value)
  }

  #set(fields: Node): Execution {
    const name = String(fields.name ?? '')
    const args = listOf(fields.args)
    const local = fields.is_local === true
    switch (fields.kind) {
      case 'VAR_RESET_ALL':
        this.settings.resetAll()
        return { kind: 'command', tag: 'RESET' }
      case 'VAR_RESET':
        this.settings.reset(name)
        return { kind: 'command', tag: 'RESET' }
      case 'VAR_SET_DEFAULT':
        this.settings.reset(name)
        return { kind: 'command', tag: 'SET' }
      case 'VAR_SET_MULTI':
        if (name === 'SESSION CHARACTERISTICS') {
          for (const option of args) {
            const element = nodeOf(option, 'DefElem')
            const value = constantOf(element?.arg)
            if (element?.defname === 'transaction_isolation') {
              this.settings.set('default_transaction_isolation', String(value))
            }
            if (element?.defname === 'transaction_read_only') {
              this.settings.set('default_transaction_read_only', value === 1 ? 'on' : 'off')
            }
          }
        } else this.#transactionOptions(args)
        return { kind: 'command', tag: 'SET' }
      case 'VAR_SET_CURRENT':
        this.#assign(name, this.settings.get(name), local)
        return { kind: 'command', tag: 'SET' }
      default: {
        const quote = name === 'search_path'
        const texts = args.map((arg) => settingText(arg, quote))
        if (local && this.#block?.explicit !== true) {
          this.#warn(
            SqlState.noActiveSqlTransaction,
            'SET LOCAL can only be used in transaction blocks',
          )
        }
        this.#assign(name, texts.join(', '), local)
        return { kind: 'command', tag: 'SET' }
      }
    }
  }

  #show(name: string): Execution {
    const columns = showColumns(name)
    if (name === 'all') {
      return rowsExecution(
        columns,
        this.settings.all().map(([key, value]) => [key, value, '']),
        'SHOW',
      )
    }
    return rowsExecution(columns, [[this.settings.get(name)]], 'SHOW')
  }

  #warn(sqlState: SqlState, message: string): void {
    this.#events.notice({ severity: 'WARNING', sqlState, message })
  }

  // ---- cursors and prepared statements -----------------------------------------------------------

  async #declare(
    statement: ParsedStatement,
    fields: Node,
    values: readonly EngineValue[],
    cancellation: Cancellation,
  ): Promise<Execution> {
    const options = Number(fields.options ?? 0)
    const holdable = (options & CURSOR_HOLD) !== 0
    const name = String(fields.portalname)
    if ((options & CURSOR_SCROLL) !== 0) throw notSupported('SCROLL cursors')
    if (!holdable && this.#block?.explicit !== true) {
      throw new SqlError(
        SqlState.noActiveSqlTransaction,
        'DECLARE CURSOR can only be used in transaction blocks',
      )
    }
    if (this.#cursors.has(name) || this.#bound.has(name)) {
      throw new SqlError(SqlState.duplicateCursor, `cursor "${name}" already exists`)
    }
    const inner = this.#inner(statement, fields.query as Node)
    const execution = await openQuery(inner, values, this.#context(), cancellation)
    const portal = new Portal(execution, { holdable })
    this.#cursors.set(name, portal)
    if (holdable) this.#cursorBlocks.add(portal)
    return { kind: 'command', tag: 'DECLARE CURSOR' }
  }

  /** The statement inside another (DECLARE, COPY, EXPLAIN …): the same text from where it begins. */
  #inner(statement: ParsedStatement, tree: Node): ParsedStatement {
    const start = innerStart(statement.text, kindOf(statement.tree ?? {}))
    const source = this.#blankBefore(statement.source, start.from, start.to)
    const text = this.#blankBefore(statement.text, start.from, start.to)
    return { ...statement, source, text, tree }
  }

  #blankBefore(text: string, from: number, to: number): string {
    return ' '.repeat(from) + text.slice(from, to)
  }

  #cursor(name: string): Portal {
    const cursor = this.#cursors.get(name)
    if (cursor !== undefined) return cursor
    throw new SqlError(SqlState.invalidCursorName, `cursor "${name}" does not exist`)
  }

  async #fetch(fields: Node, cancellation: Cancellation): Promise<Execution> {
    const cursor = this.#cursor(String(fields.portalname))
    const isMove = fields.ismove === true
    const word = isMove ? 'MOVE' : 'FETCH'
    const many = Number(fields.howMany ?? 0)
    let count = many
    let skip = 0
    switch (fields.direction) {
      case 'FETCH_FORWARD':
        if (many < 0) throw scansForward()
        break
      case 'FETCH_ABSOLUTE':
      case 'FETCH_RELATIVE': {
        const target = fields.direction === 'FETCH_RELATIVE' ? cursor.position + many : many
        if (target <= cursor.position) throw scansForward()
        skip = target - cursor.position - 1
        count = 1
        break
      }
      default:
        throw scansForward()
    }
    if (skip > 0) await cursor.skip(skip, cancellation)
    if (count === 0) {
      if (isMove) return { kind: 'command', tag: 'MOVE 0' }
      return rowsExecution(cursor.columns, [], word)
    }
    const limit = count === FETCH_ALL ? 0 : count
    if (isMove) {
      return { kind: 'command', tag: `MOVE ${await cursor.skip(limit, cancellation)}` }
    }
    const pulled = cursor.pull(limit, cancellation)
    return {
      kind: 'rows',
      columns: cursor.columns,
      source: {
        next: async () => (await pulled.next()).value ?? null,
        attach: () => {},
        close: () => Promise.resolve(),
      },
      tag: (rowCount) => `FETCH ${rowCount}`,
    }
  }

  async #closeCursor(fields: Node): Promise<Execution> {
    if (fields.portalname === undefined) {
      for (const [name, cursor] of this.#cursors) {
        this.#cursors.delete(name)
        await cursor.close()
      }
      return { kind: 'command', tag: 'CLOSE CURSOR ALL' }
    }
    const name = String(fields.portalname)
    const cursor = this.#cursor(name)
    this.#cursors.delete(name)
    await cursor.close()
    return { kind: 'command', tag: 'CLOSE CURSOR' }
  }

  async #prepare(statement: ParsedStatement, fields: Node): Promise<Execution> {
    const name = String(fields.name)
    if (this.#statements.has(name)) {
      throw new SqlError(
        SqlState.duplicatePreparedStatement,
        `prepared statement "${name}" already exists`,
      )
    }
    const inner = this.#inner(statement, fields.query as Node)
    const oids = listOf(fields.argtypes).map((type) => oidOfTypeName(nodeOf(type, 'TypeName')))
    const prepared: PreparedStatement = { statement: inner, oids, description: undefined }
    await this.#describe(prepared)
    this.#statements.set(name, prepared)
    return { kind: 'command', tag: 'PREPARE' }
  }

  async #executePrepared(fields: Node, cancellation: Cancellation): Promise<Execution> {
    const prepared = this.#statement(String(fields.name))
    const { parameterTypes } = await this.#describe(prepared)
    const params = listOf(fields.params)
    if (params.length !== parameterTypes.length || prepared.statement === null) {
      throw new SqlError(
        SqlState.syntaxError,
        `wrong number of parameters for prepared statement "${String(fields.name)}"`,
        { detail: `Expected ${parameterTypes.length} parameters but got ${params.length}.` },
      )
    }
    const values = await Promise.all(
      params.map((param, i) => this.#argument(param, parameterTypes[i] ?? pgType(Oid.text))),
    )
    return this.#open(prepared.statement, values, cancellation)
  }

  async #argument(node: Node, type: PgType): Promise<EngineValue> {
    const cast = nodeOf(node, 'TypeCast')
    const raw = nodeOf(node, 'A_Const')?.fval as { readonly fval?: string } | undefined
    const value = raw?.fval ?? constantOf(node) ?? constantOf(cast?.arg)
    if (value === undefined) throw notSupported('EXECUTE with an argument that is no constant')
    const engineType: EngineType = engineTypeOfOid(type.oid) ?? {
      kind: 'decimal',
      width: 38,
      scale: 10,
    }
    if (value === null) return { type: engineType, value: null }
    const rows = await this.#pool.with((connection) =>
      connection.query(
        `SELECT CAST(${quoteLiteral(String(value))} AS ${printEngineType(engineType)})`,
      ),
    )
    return { type: engineType, value: rows[0]?.[0] ?? null }
  }

  #deallocate(fields: Node): Execution {
    if (fields.name === undefined) {
      this.#statements.clear()
      return { kind: 'command', tag: 'DEALLOCATE ALL' }
    }
    this.#statement(String(fields.name))
    this.#statements.delete(String(fields.name))
    return { kind: 'command', tag: 'DEALLOCATE' }
  }

  async #discard(target: string): Promise<Execution> {
    if (target === 'DISCARD_ALL') {
      if (this.#block?.explicit === true) {
        throw new SqlError(
          SqlState.activeSqlTransaction,
          'DISCARD ALL cannot run inside a transaction block',
        )
      }
      this.#statements.clear()
      await this.#closeCursor({})
      this.#unlisten('*')
      this.settings.resetAll()
    }
    if (target === 'DISCARD_ALL' || target === 'DISCARD_TEMP') await this.#dropTemporary()
    return { kind: 'command', tag: target.replace('_', ' ') }
  }

  // ---- notifications -----------------------------------------------------------------------------

  readonly #receive = (notification: Notification): void => this.#events.notification(notification)

  #listen(channel: string): Execution {
    this.#channels.add(channel)
    this.#gateway.notifications.listen(channel, this.#receive)
    return { kind: 'command', tag: 'LISTEN' }
  }

  #unlisten(channel: string): void {
    for (const name of channel === '*' ? [...this.#channels] : [channel]) {
      this.#channels.delete(name)
      this.#gateway.notifications.unlisten(name, this.#receive)
    }
  }

  // ---- COPY, EXPLAIN, views, temporary tables ----------------------------------------------------

  async #copy(
    statement: ParsedStatement,
    fields: Node,
    values: readonly EngineValue[],
    cancellation: Cancellation,
  ): Promise<Execution> {
    if (fields.is_from === true) throw notSupported('COPY FROM')
    if (fields.filename !== undefined || fields.is_program === true) {
      throw new SqlError(SqlState.insufficientPrivilege, 'permission denied to COPY to a file', {
        hint: "Use COPY … TO STDOUT or psql's \\copy.",
      })
    }
    const range = fields.relation as Node | undefined
    let inner: ParsedStatement | undefined
    if (fields.query !== undefined) inner = this.#inner(statement, fields.query as Node)
    else if (range !== undefined) {
      const columns = namesOf(fields.attlist).map(quoteIdentifier).join(', ') || '*'
      const name = [range.schemaname, range.relname]
        .filter((part) => typeof part === 'string')
        .map((part) => quoteIdentifier(String(part)))
        .join('.')
      inner = parseStatements(`SELECT ${columns} FROM ${name}`)[0]
    }
    if (inner === undefined || kindOf(inner.tree ?? {}) !== 'SelectStmt')
      throw notSupported('COPY of this query')
    const execution = await openQuery(inner, values, this.#context(), cancellation)
    const copy = copyFormat(
      listOf(fields.options),
      execution.columns.map((column) => column.name),
    )
    return { ...execution, kind: 'copy-out', copy, tag: (rowCount) => `COPY ${rowCount}` }
  }

  async #explain(
    statement: ParsedStatement,
    fields: Node,
    values: readonly EngineValue[],
    cancellation: Cancellation,
  ): Promise<Execution> {
    const options = new Map<string, unknown>()
    for (const option of listOf(fields.options)) {
      const element = nodeOf(option, 'DefElem')
      if (element !== undefined) options.set(String(element.defname), element.arg)
    }
    const analyze = options.has('analyze') && stringOf(options.get('analyze')) !== 'false'
    const format = (stringOf(options.get('format')) ?? 'text').toLowerCase()
    if (format !== 'text' && format !== 'json') throw notSupported(`EXPLAIN (FORMAT ${format})`)
    const query = fields.query as Node
    if (kindOf(query) !== 'SelectStmt') throw notSupported('EXPLAIN of this statement')
    const inner = this.#inner(statement, query)
    return withTranslation(
      inner,
      values,
      this.#context(),
      cancellation,
      async (connection, sql, scans, bound) => {
        const head = `EXPLAIN (${analyze ? 'ANALYZE, ' : ''}FORMAT ${format === 'json' ? 'json' : 'text'})`
        const rows = await connection.query(`${head} ${sql}`, bound)
        const plan = rows.map((row) => String(row.at(-1) ?? '')).join('\n')
        const tables = scans.map(({ name, scan }) => ({
          table: name,
          version: scan.snapshot.version,
          filesTotal: scan.snapshot.files.length,
          filesAfterPartitions: scan.filesAfterPartitions,
          filesAfterStatistics: scan.files.length,
          sizeBytes: scan.sizeBytes,
        }))
        const columns = [textColumn('QUERY PLAN')]
        if (format === 'json') {
          const text = JSON.stringify(
            [{ Tables: tables, Plan: JSON.parse(plan) as unknown }],
            null,
            2,
          )
          return rowsExecution(columns, [[text]], 'EXPLAIN')
        }
        const lines = tables.map(
          (table) =>
            `Delta Scan on ${table.table} version ${table.version}: ${table.filesAfterStatistics} of ${table.filesTotal} files ` +
            `(${table.filesAfterPartitions} after partition pruning, ${table.filesAfterStatistics} after statistics), ${table.sizeBytes} bytes`,
        )
        return rowsExecution(
          columns,
          [...lines, ...plan.split('\n')].map((line) => [line]),
          'EXPLAIN',
        )
      },
    )
  }

  async #createView(statement: ParsedStatement, fields: Node): Promise<Execution> {
    const range = fields.view as Node
    if (range.relpersistence === 't') throw notSupported('temporary views')
    if (this.#context().block.readOnly) throw readOnly('CREATE VIEW')
    const inner = this.#inner(statement, fields.query as Node)
    const columns = namesOf(fields.aliases)
    const described = await describeQuery(inner, [], this.#context())
    await this.#gateway.catalog.createView(
      {
        layer:
          typeof range.schemaname === 'string'
            ? range.schemaname
            : (this.settings.searchPath()[0] ?? 'public'),
        name: String(range.relname),
        definition: inner.source.trim(),
        columns: columns.length > 0 ? columns : described.columns.map((column) => column.name),
      },
      fields.replace === true,
    )
    return { kind: 'command', tag: 'CREATE VIEW' }
  }

  async #drop(fields: Node): Promise<Execution> {
    const objects = listOf(fields.objects).map((object) => namesOf(nodeOf(object, 'List')?.items))
    const missingOk = fields.missing_ok === true
    if (fields.removeType === 'OBJECT_VIEW') {
      if (this.#context().block.readOnly) throw readOnly('DROP VIEW')
      for (const name of objects) {
        const found = await this.#gateway.catalog.resolve(name, this.settings.searchPath())
        if (found?.kind === 'table') {
          throw new SqlError(SqlState.wrongObjectType, `"${name.join('.')}" is not a view`)
        }
        if (found === null) {
          if (!missingOk) {
            throw new SqlError(SqlState.undefinedTable, `view "${name.join('.')}" does not exist`)
          }
          this.#events.notice({
            severity: 'NOTICE',
            sqlState: SqlState.successfulCompletion,
            message: `view "${name.join('.')}" does not exist, skipping`,
          })
        } else await this.#gateway.catalog.dropView(found.view.layer, found.view.name)
      }
      return { kind: 'command', tag: 'DROP VIEW' }
    }
    if (fields.removeType === 'OBJECT_TABLE') {
      for (const name of objects) {
        const table = this.#temporary.get(name.at(-1) ?? '')
        if (table !== undefined && name.length === 1) {
          await this.#pool.with((connection) => connection.run(`DROP TABLE ${table}`))
          this.#temporary.delete(name[0] ?? '')
        } else if (
          !missingOk ||
          (await this.#gateway.catalog.resolve(name, this.settings.searchPath())) !== null
        ) {
          if ((await this.#gateway.catalog.resolve(name, this.settings.searchPath())) === null) {
            throw new SqlError(SqlState.undefinedTable, `table "${name.join('.')}" does not exist`)
          }
          await this.#dropTable(name)
        }
      }
      return { kind: 'command', tag: 'DROP TABLE' }
    }
    throw notSupported('DROP of this kind of object')
  }

  async #createTemporaryAs(
    statement: ParsedStatement,
    fields: Node,
    values: readonly EngineValue[],
    cancellation: Cancellation,
  ): Promise<Execution> {
    const into = fields.into as Node
    const range = into.rel as Node
    const name = String(range.relname)
    if (range.relpersistence !== 't') {
      return runCreateTableAs(
        this.#inner(statement, fields.query as Node),
        into,
        fields.if_not_exists === true,
        statement.tableOptions,
        values,
        this.#context(),
        cancellation,
        (message) => this.#notice(message),
      )
    }
    if (this.#block?.explicit === true)
      throw notSupported('CREATE TEMP TABLE in a transaction block')
    if (this.#temporary.has(name)) {
      if (fields.if_not_exists === true) return { kind: 'command', tag: 'CREATE TABLE AS' }
      throw new SqlError(SqlState.duplicateTable, `relation "${name}" already exists`)
    }
    const inner = this.#inner(statement, fields.query as Node)
    const names = outputNames(inner.tree ?? {})
    const columns = namesOf(into.colNames).length > 0 ? namesOf(into.colNames) : names
    return withTranslation(
      inner,
      values,
      this.#context(),
      cancellation,
      async (connection, sql, _scans, bound) => {
        this.#temporarySchema ??= `pg_temp_${this.processId}`
        await connection.run(`CREATE SCHEMA IF NOT EXISTS memory.${this.#temporarySchema}`)
        const table = `memory.${this.#temporarySchema}.${quoteIdentifier(name)}`
        const alias = columns === null ? '' : ` AS q(${columns.map(quoteIdentifier).join(', ')})`
        const limit = into.skipData === true ? ' LIMIT 0' : ''
        await connection.run(
          `CREATE TABLE ${table} AS SELECT * FROM (${sql}\n)${alias || ' AS q'}${limit}`,
          bound,
        )
        this.#temporary.set(name, table)
        const counted = await connection.query(`SELECT count(*) FROM ${table}`)
        return { kind: 'command', tag: `SELECT ${String(counted[0]?.[0] ?? 0)}` }
      },
    )
  }

  async #createTable(statement: ParsedStatement, fields: Node): Promise<Execution> {
    const range = fields.relation as Node
    if (range.relpersistence === 't') {
      throw notSupported('CREATE TEMP TABLE with columns', 'use CREATE TEMP TABLE … AS')
    }
    return runCreateTable(fields, statement.tableOptions, this.#context(), (message) =>
      this.#notice(message),
    )
  }

  async #createSchema(fields: Node): Promise<Execution> {
    if (this.#context().block.readOnly) throw readOnly('CREATE SCHEMA')
    const name = String(fields.schemaname ?? '')
    try {
      await this.#gateway.catalog.createLayer(name)
    } catch (thrown) {
      const exists = thrown instanceof SqlError && thrown.sqlState === SqlState.duplicateSchema
      if (!exists || fields.if_not_exists !== true) throw thrown
      this.#notice(`schema "${name}" already exists, skipping`)
    }
    return { kind: 'command', tag: 'CREATE SCHEMA' }
  }

  /** The table leaves the catalog; its log and files stay. */
  async #dropTable(name: readonly string[]): Promise<void> {
    const { block } = this.#context()
    if (block.readOnly) throw readOnly('DROP TABLE')
    if (block.explicit) {
      throw new SqlError(
        SqlState.activeSqlTransaction,
        'DROP TABLE cannot run inside a transaction block',
      )
    }
    const found = await this.#gateway.catalog.resolve(name, this.settings.searchPath())
    if (found?.kind === 'view') {
      throw new SqlError(SqlState.wrongObjectType, `"${name.join('.')}" is not a table`)
    }
    if (found !== null) await this.#gateway.catalog.dropTable(found.table.path)
  }

  #notice(message: string): void {
    this.#events.notice({
      severity: 'NOTICE',
      sqlState: SqlState.successfulCompletion,
      message,
    })
  }

  async #dropTemporary(): Promise<void> {
    for (const [name, table] of this.#temporary) {
      this.#temporary.delete(name)
      await this.#pool.with((connection) => connection.run(`DROP TABLE IF EXISTS ${table}`))
    }
  }

  async #runLakeCommand(command: LakeCommand | null): Promise<Execution> {
    if (command === null) return { kind: 'empty' }
    if (command.kind === 'unsupported') throw notSupported(command.words)
    const found = await this.#gateway.catalog.resolve(command.name, this.settings.searchPath())
    if (found?.kind !== 'table') {
      throw new SqlError(
        SqlState.undefinedTable,
        `relation "${command.name.join('.')}" does not exist`,
      )
    }
    const { store, snapshots } = this.#gateway
    const { path } = found.table
    const columns = lakeColumns(command)
    if (command.kind === 'describe-history') {
      const commits = [...(await listCommits(store, path))]
        .reverse()
        .slice(0, command.limit ?? undefined)
      const rows = await Promise.all(
        commits.map(async ({ version, timestampMs }): Promise<Scalar[]> => {
          const info = await readCommitInfo(store, path, version)
          const text = (value: unknown): string | null =>
            value === undefined || value === null
              ? null
              : typeof value === 'string'
                ? value
                : JSON.stringify(value)
          return [
            BigInt(version),
            BigInt(timestampMs) * 1000n,
            text(info?.operation),
            text(info?.operationParameters),
            text(info?.operationMetrics),
            text(info?.engineInfo),
          ]
        }),
      )
      return rowsExecution(columns, rows, 'SELECT')
    }
    const snapshot = await snapshots.latest(path)
    if (snapshot === null)
      throw new SqlError(SqlState.undefinedTable, `relation "${path}" does not exist`)
    const row: Scalar[] = [
      'delta',
      snapshot.metadata.id,
      `${found.table.layer}.${found.table.name}`,
      snapshot.metadata.description ?? null,
      `${store.root}/${path}`,
      BigInt(snapshot.version),
      snapshot.metadata.partitionColumns.join(', '),
      BigInt(snapshot.files.length),
      BigInt(snapshot.sizeBytes),
      JSON.stringify(snapshot.metadata.configuration),
      snapshot.protocol.minReaderVersion,
      snapshot.protocol.minWriterVersion,
    ]
    return rowsExecution(columns, [row], 'SELECT')
  }
}

function sameTypes(
  columns: readonly ResultColumn[],
  described: readonly ResultColumn[] | null | undefined,
): boolean {
  if (described === null || described === undefined) return true
  return (
    columns.length === described.length &&
    columns.every((column, i) => column.pgType.oid === described[i]?.pgType.oid)
  )
}

/** Statements whose rows (RETURNING) are there before the first is sent, so that they can be committed first. */
const CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

const ENDS_FAILED = new Set(['TRANS_STMT_ROLLBACK', 'TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK_TO'])

// Bits of DeclareCursorStmt.options, as PostgreSQL numbers them.
const CURSOR_SCROLL = 0x02
const CURSOR_HOLD = 0x20

/** What the parser gives for FETCH ALL. */
const FETCH_ALL = 2_147_483_647

type GatewayFunction =
  | 'pg_sleep'
  | 'pg_cancel_backend'
  | 'pg_terminate_backend'
  | 'pg_notify'
  | 'set_config'

const GATEWAY_FUNCTIONS: Readonly<Record<GatewayFunction, number>> = {
  pg_sleep: Oid.void,
  pg_cancel_backend: Oid.bool,
  pg_terminate_backend: Oid.bool,
  pg_notify: Oid.void,
  set_config: Oid.text,
}

interface GatewayCall {
  readonly name: GatewayFunction
  readonly args: readonly Node[]
}

/** The call that a SELECT without FROM consists of, when the gateway itself must carry it out. */
function gatewayCall(tree: Node): GatewayCall | null {
  const select = nodeOf(tree, 'SelectStmt')
  const targets = listOf(select?.targetList)
  if (select?.fromClause !== undefined || targets.length !== 1) return null
  const call = nodeOf(nodeOf(targets[0], 'ResTarget')?.val, 'FuncCall')
  const name = namesOf(call?.funcname).at(-1) ?? ''
  return call !== undefined && Object.hasOwn(GATEWAY_FUNCTIONS, name)
    ? { name: name as GatewayFunction, args: listOf(call.args) }
    : null
}

function effectColumn(effect: GatewayCall): ResultColumn {
  const oid = GATEWAY_FUNCTIONS[effect.name]
  const engineType = scalarType(oid === Oid.bool ? 'BOOLEAN' : 'VARCHAR')
  return { name: effect.name, pgType: pgType(oid), engineType, tableOid: 0, attributeNumber: 0 }
}

function column(name: string, oid: number, engineType: EngineType): ResultColumn {
  return { name, pgType: pgType(oid), engineType, tableOid: 0, attributeNumber: 0 }
}

function textColumn(name: string): ResultColumn {
  return column(name, Oid.text, scalarType('VARCHAR'))
}

function showColumns(name: string): readonly ResultColumn[] {
  if (name === 'all') return ['name', 'setting', 'description'].map(textColumn)
  return [textColumn(SHOWN[name] ?? name)]
}

const SHOWN: Readonly<Record<string, string>> = {
  timezone: 'TimeZone',
  datestyle: 'DateStyle',
  intervalstyle: 'IntervalStyle',
}

function lakeColumns(command: LakeCommand): readonly ResultColumn[] {
  const long = (name: string): ResultColumn => column(name, Oid.int8, scalarType('BIGINT'))
  const int = (name: string): ResultColumn => column(name, Oid.int4, scalarType('INTEGER'))
  switch (command.kind) {
    case 'describe-history':
      return [
        long('version'),
        column('timestamp', Oid.timestamptz, scalarType('TIMESTAMPTZ')),
        ...['operation', 'operation_parameters', 'operation_metrics', 'engine_info'].map(
          textColumn,
        ),
      ]
    case 'describe-detail':
      return [
        ...['format', 'id', 'name', 'description', 'location'].map(textColumn),
        long('version'),
        textColumn('partition_columns'),
        long('num_files'),
        long('size_in_bytes'),
        textColumn('properties'),
        int('min_reader_version'),
        int('min_writer_version'),
      ]
    case 'unsupported':
      return []
  }
}

function rowsOf(portal: Portal): Extract<Execution, { kind: 'rows' }> {
  return { kind: 'rows', columns: portal.columns, source: new ReadySource([]), tag: portal.tag }
}

function rowsExecution(
  columns: readonly ResultColumn[],
  rows: readonly (readonly Scalar[])[],
  tag: string,
): Extract<Execution, { kind: 'rows' }> {
  return {
    kind: 'rows',
    columns,
    source: ReadySource.ofRows(rows),
    tag: (rowCount) => (tag === 'SELECT' || tag === 'FETCH' ? `${tag} ${rowCount}` : tag),
  }
}

function settingText(arg: Node, quote: boolean): string {
  const cast = nodeOf(arg, 'TypeCast')
  const raw = nodeOf(arg, 'A_Const')?.fval as { readonly fval?: string } | undefined
  const value = raw?.fval ?? constantOf(cast?.arg ?? arg)
  const text = String(value ?? '')
  return quote && !/^[a-z_][a-z0-9_$]*$/.test(text) ? quoteIdentifier(text) : text
}

function oidOfTypeName(typeName: Node | undefined): number {
  const name = namesOf(typeName?.names).at(-1) ?? ''
  const oids: Readonly<Record<string, number>> = Oid
  const oid = oids[name] ?? 0
  return Array.isArray(typeName?.arrayBounds) ? 0 : oid
}

/** Where the inner statement of a wrapping one begins and ends in its text. */
function innerStart(text: string, kind: string): { readonly from: number; readonly to: number } {
  const end = text.length
  if (kind === 'CopyStmt') {
    const open = text.indexOf('(')
    let depth = 0
    for (let at = open; at < end; at++) {
      if (text[at] === '(') depth++
      if (text[at] === ')' && --depth === 0) return { from: open + 1, to: at }
    }
    return { from: open + 1, to: end }
  }
  const words: Readonly<Record<string, RegExp>> = {
    DeclareCursorStmt: /\bfor\b/i,
    ExplainStmt: /^\s*explain\s*(?:\([^)]*\)|(?:analyze|verbose|\s)*)/i,
    PrepareStmt: /\bas\b/i,
    ViewStmt: /\bas\b/i,
    CreateTableAsStmt: /\bas\b/i,
  }
  const match = words[kind]?.exec(text)
  const from = match === null || match === undefined ? 0 : match.index + match[0].length
  const tail = /\s+with\s+(?:no\s+)?data\s*$/i.exec(text)
  return { from, to: kind === 'CreateTableAsStmt' && tail !== null ? tail.index : end }
}

function notSupported(what: string, hint?: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`, { hint })
}

function readOnly(what: string): SqlError {
  return new SqlError(
    SqlState.readOnlySqlTransaction,
    `cannot execute ${what} in a read-only transaction`,
  )
}

function scansForward(): SqlError {
  return new SqlError(SqlState.objectNotInPrerequisiteState, 'cursor can only scan forward', {
    hint: 'Declare it with SCROLL option to enable backward scan.',
  })
}

function sleep(ms: number, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        unregister()
        resolve()
      },
      Math.max(0, ms),
    )
    const unregister = cancellation.onCancel((reason) => {
      clearTimeout(timer)
      reject(reason)
    })
  })
}
