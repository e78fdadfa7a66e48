/** SessionContext: the state of one session, as its statements see and change it. */

import type { Catalog } from '../catalog/catalog.js'
import { BOOTSTRAP_ID, BOOTSTRAP_NAME, type Role } from '../catalog/role.js'
import { Settings } from '../catalog/settings.js'
import type { Cancellation } from '../storage/cancellation.js'
import type { EngineValue } from '../storage/engine-value.js'
import { assert, SqlError, SqlState } from '../storage/errors.js'
import type { DeletionPolicy } from '../storage/file-fate.js'
import { AccessControl } from './access-control.js'
import { SessionLocks } from './advisory-locks.js'
import { BoundPortals } from './bound-portals.js'
import { type CatalogSession, catalogRows } from './catalog-query.js'
import { catalogSessionOf } from './catalog-session.js'
import { Channels } from './channels.js'
import { Cursors } from './cursors.js'
import { EnginePool } from './engine-pool.js'
import type { Gateway } from './gateway.js'
import { parseStatements, type ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { PreparedStatements } from './prepared-statements.js'
import type { QueryContext } from './query.js'
import { AS_OF, asOfMs, asOfText, type PastLake } from './past-lake.js'
import { needsTransactionBlock, readOnlyTransaction } from './refusal.js'
import type { OutputStyle } from './result.js'
import type { SessionEvents, StatementDescription } from './session.js'
import { type ClientEnds, NO_CLIENT, SessionActivity } from './session-activity.js'
import { sessionFunction } from './session-function.js'
import { isRoleSetting } from './session-role.js'
import type { ApplicationTransaction } from './table-change.js'
import { TemporaryTables } from './temporary-tables.js'
import { TransactionBlock } from './transaction-block.js'

/** How a session begins. */
export interface SessionOptions {
  readonly gateway: Gateway
  readonly user: string
  /** The role that `user` is; another one only where everybody is trusted to be the superuser. */
  readonly login?: Pick<Role, 'id' | 'name'>
  readonly events: SessionEvents
  readonly isSuperuser?: boolean
  /** What ALTER ROLE … SET says; values that are not taken are passed over. */
  readonly roleSettings?: readonly (readonly [string, string])[]
  /** Settings out of the startup message. */
  readonly settings: readonly (readonly [string, string])[]
  /** The ends of its connection. */
  readonly client?: ClientEnds
}

/** How statements run other statements: EXECUTE, DECLARE and their like. */
export interface StatementDispatch {
  /** Types of parameters (0 in `oids`: inferred) and columns, without executing. */
  describe(statement: ParsedStatement, oids: readonly number[]): Promise<StatementDescription>
  /** Executes, or begins to; 25P02 in a failed block, unless the statement ends it. */
  open(
    statement: ParsedStatement,
    values: readonly EngineValue[],
    cancellation: Cancellation,
    oids?: readonly number[],
  ): Promise<Execution>
}

/** What one session holds: settings, names of its own, and the transaction block that is open. */
export class SessionContext {
  readonly gateway: Gateway
  readonly user: string
  /** The role that logged in. */
  readonly login: Pick<Role, 'id' | 'name'>
  readonly processId: number
  readonly client: ClientEnds
  readonly activity: SessionActivity = new SessionActivity()
  readonly settings: Settings
  readonly pool: EnginePool
  readonly prepared: PreparedStatements = new PreparedStatements()
  readonly portals: BoundPortals = new BoundPortals()
  readonly cursors: Cursors = new Cursors()
  readonly temporary: TemporaryTables
  readonly channels: Channels
  /** What the session's role may do. */
  readonly access: AccessControl
  readonly locks: SessionLocks
  readonly dispatch: StatementDispatch
  readonly #events: SessionEvents
  #block: TransactionBlock | undefined

  constructor(options: SessionOptions, processId: number, dispatch: StatementDispatch) {
    const { gateway, user, events } = options
    this.gateway = gateway
    this.user = user
    this.login = options.login ?? { id: BOOTSTRAP_ID, name: BOOTSTRAP_NAME }
    this.processId = processId
    this.client = options.client ?? NO_CLIENT
    this.dispatch = dispatch
    this.#events = events
    this.settings = new Settings((name, value) => events.parameterStatus(name, value))
    this.settings.setDefault('session_authorization', user)
    this.settings.setSuperuser(options.isSuperuser ?? true)
    for (const [name, value] of options.roleSettings ?? []) {
      try {
        this.settings.setDefault(name, value)
      } catch (thrown) {
        if (!(thrown instanceof SqlError)) throw thrown
      }
    }
    // The moment is read in the zone that the other settings name.
    const isPast = (name: string): boolean => name.toLowerCase() === AS_OF
    for (const [name, value] of options.settings) {
      // As whom a session acts is for SET to say, which knows who may.
      if (isRoleSetting(name)) throw startupRole(name)
      if (!isPast(name)) this.settings.setDefault(name, value)
    }
    for (const [name, value] of options.settings) {
      if (isPast(name)) this.settings.setDefault(name, asOfText(value, this.outputStyle))
    }
    this.settings.markReported()
    this.pool = new EnginePool(gateway.engine, () => this.settings.get('timezone'))
    const { name: login, id: loginId } = this.login
    this.access = new AccessControl({
      catalog: () => this.catalog,
      login,
      loginId,
      sessionUser: () => {
        const name = this.settings.get('session_authorization')
        return name === user ? login : name
      },
      role: () => this.settings.get('role'),
      isOwnTable: (path, id) => {
        const change = this.#block?.changeOf(path)
        if (change?.creates !== true) return false
        return id === null || change.snapshot(gateway.store).metadata.id === id
      },
    })
    this.temporary = new TemporaryTables(this.pool, processId)
    this.locks = new SessionLocks(gateway.advisoryLocks, processId)
    this.channels = new Channels(gateway.notifications, processId, (one) =>
      events.notification(one),
    )
  }

  /** The block that is open, explicit or not. */
  get block(): TransactionBlock | undefined {
    return this.#block
  }

  get inExplicitBlock(): boolean {
    return this.#block?.explicit === true
  }

  /** The block that is open; without one an implicit one begins. */
  openBlock(): TransactionBlock {
    this.#block ??= new TransactionBlock(
      false,
      [this.portals, this.cursors, this.temporary, this.settings, this.channels, this.locks],
      () => this.settings.get('transaction_read_only') === 'on',
      {
        transaction: () => applicationTransaction(this.settings),
        known: () =>
          this.notice(
            SqlState.successfulCompletion,
            'the table has this transaction of the application already, nothing was written',
          ),
      },
      this.gateway.openChanges,
      () => this.past,
    )
    return this.#block
  }

  /** The names of the lake as the open block sees them. */
  get catalog(): Catalog {
    return this.#block?.catalog(this.gateway) ?? this.past?.catalog ?? this.gateway.catalog
  }

  /** The lake at the moment of `lakegate.as_of`; undefined while that is not set. */
  get past(): PastLake | undefined {
    const kept = this.settings.get(AS_OF)
    return kept === '' ? undefined : this.gateway.past(asOfMs(kept))
  }

  /** The names that a statement changes: in an explicit block they are its own until COMMIT. */
  changingCatalog(): Promise<Catalog> {
    return this.openBlock().changingCatalog(this.gateway)
  }

  /** Ends the block that is open, if any. */
  async endBlock(commit: boolean): Promise<void> {
    const block = this.#block
    this.#block = undefined
    if (block === undefined) return
    await this.portals.clear()
    if (commit) await block.commit(this.gateway)
    else await block.rollback()
  }

  /** The block that BEGIN opened; 25P01 when there is none. */
  explicitBlock(what: string): TransactionBlock {
    if (this.#block?.explicit !== true) throw needsTransactionBlock(what)
    return this.#block
  }

  /** 25006 when the transaction is read-only, for what stays in the session. */
  requireReadWrite(what: string): void {
    if (this.openBlock().readOnly) throw readOnlyTransaction(what)
  }

  /** 25006 when the transaction is read-only, or looks at the past. */
  requireWritable(what: string): void {
    this.openBlock().requireWritable(what)
  }

  /** 42P03 when a cursor or a portal has that name. */
  requireFreeCursor(name: string): void {
    if (this.cursors.has(name) || this.portals.has(name)) {
      throw new SqlError(SqlState.duplicateCursor, `cursor "${name}" already exists`)
    }
  }

  /** The role whose privileges count, by its name. */
  get currentUser(): string {
    const role = this.settings.get('role')
    return role === 'none' ? this.sessionUser : role
  }

  get sessionUser(): string {
    return this.settings.get('session_authorization')
  }

  /** Tells the client and the settings whether the role is a superuser's, when it may have changed. */
  async roleChanged(): Promise<void> {
    try {
      this.settings.setSuperuser(await this.access.isSuperuser())
    } catch (thrown) {
      // A role that is gone may do nothing; the next statement says so.
      if (!(thrown instanceof SqlError)) throw thrown
      this.settings.setSuperuser(false)
    }
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

  /** What queries need of this session; opens an implicit block when none is open. */
  queryContext(): QueryContext {
    const block = this.openBlock()
    block.hasQueried = true
    return {
      gateway: this.gateway,
      pool: this.pool,
      block,
      catalog: block.catalog(this.gateway),
      access: this.access,
      searchPath: this.settings.searchPath(),
      inputStyle: this.outputStyle,
      temporaryTable: (name) => this.temporary.relation(name),
      deletionPolicy: this.settings.get('lakegate.deletion_vectors') as DeletionPolicy,
      joinPruning: this.settings.get('lakegate.join_pruning') === 'on',
      schemaEvolution: this.settings.get('lakegate.schema_evolution') === 'on',
      sessionFunction: (name, args, executing) => sessionFunction(this, name, args, executing),
    }
  }

  /** What queries over system catalogs need of this session. */
  catalogSession(): CatalogSession {
    return catalogSessionOf(this)
  }

  /** PostgreSQL's own words about each setting, by name. */
  async settingDescriptions(): Promise<ReadonlyMap<string, string>> {
    const [statement] = parseStatements('SELECT name, short_desc FROM pg_catalog.pg_settings')
    assert(statement !== undefined, 'the text is a statement')
    const rows = await catalogRows(statement, [], this.catalogSession())
    return new Map(rows.map(([name, text]) => [name ?? '', text ?? ''] as const))
  }

  /** A name that DROP has not found: 42P01, or a NOTICE when it may be missing. */
  missing(kind: string, name: readonly string[], missingOk: boolean): void {
    const message = `${kind} "${name.join('.')}" does not exist`
    if (!missingOk) throw new SqlError(SqlState.undefinedTable, message)
    this.notice(SqlState.successfulCompletion, `${message}, skipping`)
  }

  /** Tells the client, unless `client_min_messages` keeps it quiet. */
  notice(
    sqlState: SqlState,
    message: string,
    context?: string,
    more: { readonly detail?: string; readonly hint?: string } = {},
  ): void {
    if (/^(warning|error)$/.test(this.settings.get('client_min_messages'))) return
    this.#events.notice({ severity: 'NOTICE', sqlState, message, context, ...more })
  }

  warn(sqlState: SqlState, message: string): void {
    if (this.settings.get('client_min_messages') === 'error') return
    this.#events.notice({ severity: 'WARNING', sqlState, message })
  }

  /** Frees what the session holds outside of this process's memory. */
  async close(): Promise<void> {
    this.channels.leaveAll()
    this.locks.close()
    await this.portals.clear()
    await this.cursors.closeAll()
    await this.temporary.close().finally(() => this.pool.close())
  }
}

function startupRole(name: string): SqlError {
  return new SqlError(
    SqlState.cantChangeRuntimeParam,
    `parameter "${name}" cannot be set at the start of a session`,
  )
}

/** The transaction that `lakegate.txn_app_id` and `lakegate.txn_version` name; undefined without either. */
function applicationTransaction(settings: Settings): ApplicationTransaction | undefined {
  const [appId, version] = ['lakegate.txn_app_id', 'lakegate.txn_version'].map((name) =>
    settings.get(name),
  )
  if (appId === undefined || version === undefined || appId === '' || version === '') {
    return undefined
  }
  return { appId, version: BigInt(version) }
}
