/** Gateway: what all sessions of this process share. */

import { LRUCache } from 'lru-cache'
import { accessSql } from '../catalog/access-sql.js'
import { Catalog } from '../catalog/catalog.js'
import { PgCatalog } from '../catalog/pg-catalog.js'
import { type ShadowPrivileges, superusers } from '../catalog/shadow.js'
import { AutoCompaction } from '../storage/auto-compaction.js'
import { ColumnStatistics } from '../storage/column-statistics.js'
import type { Engine } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { Groups } from '../storage/group.js'
import { ImportFiles } from '../storage/import-files.js'
import { maintainLog } from '../storage/log-maintenance.js'
import type { ObjectStore } from '../storage/object-store.js'
import { SnapshotCache } from '../storage/snapshot-cache.js'
import { AdvisoryLocks } from './advisory-locks.js'
import { AppendQueue } from './append-queue.js'
import { FULFILLED } from './fulfilled.js'
import type { Transaction } from '../storage/transaction.js'
import { LakeMirror } from './lake-mirror.js'
import { createMacros } from './macros.js'
import { columnKey } from './table-use.js'
import { OpenChanges } from './open-changes.js'
import { NotificationHub } from './notification-hub.js'
import { PastLake } from './past-lake.js'
import type { ActivityRow } from './session-activity.js'

/** A session as the others see it. */
export interface SessionEntry {
  readonly processId: number
  readonly user: string
  activity(): ActivityRow
  /** Number of the role that logged in. */
  readonly login: number
  cancel(reason: SqlError): void
  terminate(reason: SqlError): void
}

/** How a Gateway is opened. */
export interface GatewayOptions {
  readonly store: ObjectStore
  readonly engine: Engine
  readonly database: string
  readonly snapshotCacheBytes: number
  /** How long a group of another gateway is waited for before it is aborted. */
  readonly groupTimeoutMs?: number
  /** Directories whose files COPY FROM may read; none unless given. */
  readonly copyDirectories?: readonly string[]
  /** Whether small files are packed in the background unless a table says otherwise; on unless given. */
  readonly autoCompact?: boolean
}

/** The shared parts of one gateway: the engine, the names, the snapshots, the sessions. */
export class Gateway {
  readonly store: ObjectStore
  readonly engine: Engine
  readonly database: string
  readonly catalog: Catalog
  readonly snapshots: SnapshotCache
  readonly statistics: ColumnStatistics
  readonly importFiles: ImportFiles
  /** What the system catalogs show of the lake. */
  readonly mirror: LakeMirror = new LakeMirror()
  readonly pgCatalog: PgCatalog
  readonly startedMs: number = Date.now()
  readonly appends: AppendQueue
  /** What blocks are changing: background work on it would only make them fail. */
  readonly openChanges: OpenChanges = new OpenChanges()
  readonly notifications: NotificationHub = new NotificationHub()
  readonly sessions: Map<number, SessionEntry> = new Map()
  readonly #pasts = new LRUCache<number, PastLake>({ max: 100 })
  readonly advisoryLocks: AdvisoryLocks = new AdvisoryLocks()
  readonly #compaction: AutoCompaction
  readonly #background = new Set<Promise<void>>()
  #nextProcessId = 1
  #nextTransactionId = 1000n

  private constructor(options: GatewayOptions) {
    this.store = options.store
    this.engine = options.engine
    this.database = options.database
    this.pgCatalog = new PgCatalog(options.database, this.mirror)
    this.snapshots = new SnapshotCache(options.store, options.engine, options.snapshotCacheBytes, {
      groups: new Groups(options.store, options.groupTimeoutMs),
      onCreateRolledBack: (path, id) => this.catalog.forgetTable(path, id),
    })
    this.statistics = new ColumnStatistics(options.store)
    this.importFiles = new ImportFiles(options.copyDirectories ?? [])
    this.appends = new AppendQueue({
      store: options.store,
      fulfilled: FULFILLED,
      committed: (transaction) => this.afterCommit(transaction),
    })
    this.#compaction = new AutoCompaction({
      store: options.store,
      engine: options.engine,
      latest: (path) => this.snapshots.latest(path),
      isDefault: options.autoCompact ?? true,
      isBusy: (path) => this.openChanges.has(path),
      committed: (transaction) => this.afterCommit(transaction),
    })
    this.catalog = new Catalog(
      options.store,
      async (path) => (await this.snapshots.latest(path))?.metadata.id ?? null,
      () => this.mirror.touchNames(),
      this.snapshots.groups,
    )
  }

  static async open(options: GatewayOptions): Promise<Gateway> {
    const connection = await options.engine.connect()
    await createMacros(connection)
    connection.close()
    return new Gateway(options)
  }

  /** The lake as it was at that time, in milliseconds since 1970; all who ask for one get the same. */
  past(timestampMs: number): PastLake {
    const known = this.#pasts.get(timestampMs)
    const past = known ?? new PastLake(this, timestampMs)
    if (known === undefined) this.#pasts.set(timestampMs, past)
    return past
  }

  /** Lets `work` run on without anyone waiting; what is under way is waited for at the end. */
  inBackground(work: Promise<unknown>): void {
    const settled = work.then(
      () => {},
      () => {},
    )
    this.#background.add(settled)
    settled.then(() => this.#background.delete(settled))
  }

  /** Looks after the log and the files, in the background, once `transaction` has committed. */
  afterCommit(transaction: Transaction): void {
    this.mirror.touch(transaction.tablePath)
    this.inBackground(maintainLog(this.store, this.engine, transaction))
    this.#compaction.noticed(transaction)
  }

  /** Ends what may be put off, and waits for what runs in the background. */
  async settle(): Promise<void> {
    await this.#compaction.stop()
    await Promise.all(this.#background)
  }

  /** Ends what runs outside of this process. */
  close(): void {
    this.mirror.close()
    this.pgCatalog.close()
  }

  /**
   * Roles of the shadow and what they may do.
   *
   * Names that were trusted without being a role's are superusers, as their sessions are.
   */
  async shadowPrivileges(): Promise<ShadowPrivileges> {
    const own = await accessSql(this.catalog, this.database, async (path) => {
      const snapshot = await this.snapshots.latest(path)
      return new Map(snapshot?.schema.fields.map((field) => [columnKey(field), field.name]))
    })
    const { roles } = await this.catalog.access()
    const names = [...this.sessions.values()].map(({ user }) => user)
    const trusted = superusers(names.filter((name) => roles.named(name) === undefined))
    return {
      version: JSON.stringify([own.version, trusted.version]),
      roles: [...own.roles, ...trusted.roles],
      statements: own.statements,
    }
  }

  /** A row for each session, as pg_stat_get_activity gives them. */
  activity(): readonly ActivityRow[] {
    return [...this.sessions.values()].map((session) => session.activity())
  }

  nextTransactionId(): bigint {
    return this.#nextTransactionId++
  }

  nextProcessId(): number {
    return this.#nextProcessId++
  }

  /** Ends the statement that a session runs; false when there is no such session. */
  cancelSession(processId: number): boolean {
    const session = this.sessions.get(processId)
    session?.cancel(new SqlError(SqlState.queryCanceled, 'canceling statement due to user request'))
    return session !== undefined
  }

  terminateSession(processId: number): boolean {
    const session = this.sessions.get(processId)
    session?.terminate(
      new SqlError(SqlState.adminShutdown, 'terminating connection due to administrator command', {
        severity: 'FATAL',
      }),
    )
    return session !== undefined
  }
}
