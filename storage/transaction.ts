/** Transaction: what one writer has read and changes of one table, and its commit as one version. */

import { randomUUID } from 'node:crypto'
import { printActions } from './action-writer.js'
import type {
  Action,
  AddCdcFile,
  AddFile,
  Metadata,
  Protocol,
  RemoveFile,
  SetTransaction,
} from './actions.js'
import { type CommitDescription, makeCommitInfo } from './commit-info.js'
import { type Removal, requireCommittable } from './commit-rules.js'
import { Committer } from './committer.js'
import {
  type Conflict,
  type ConflictReason,
  findConflict,
  type Intent,
  type IsolationLevel,
} from './conflict-checker.js'
import type { WriteTarget } from './data-file.js'
import { assert } from './errors.js'
import { commitPath } from './log-path.js'
import type { NewTable } from './new-table.js'
import type { ObjectStore } from './object-store.js'
import type { Predicate } from './predicate.js'
import {
  numberRows,
  parseHighWaterMark,
  printHighWaterMark,
  ROW_TRACKING_DOMAIN,
} from './row-tracking.js'
import { parseSchemaString } from './schema.js'
import { withStatsText } from './stats-text.js'
import type { DataFile } from './file-index.js'
import { columnMappingOf, readCommitInfo, type Snapshot } from './snapshot.js'
import { type Obligation, requireWritable, supportsFeature } from './table-protocol.js'

/** How a commit went; a lost race is a value. */
export type CommitResult =
  | {
      readonly kind: 'committed'
      readonly version: number
      /** Commit time as readers will see it where in-commit timestamps are on; else this clock's. */
      readonly timestampMs: number
    }
  | {
      readonly kind: 'conflict'
      /** The version that won. */
      readonly with: number
      readonly reason: ConflictReason
      readonly detail: string
    }

export interface TransactionOptions {
  /** What the caller sees to when it makes rows; see Obligation. None unless given. */
  readonly fulfilled?: ReadonlySet<Obligation>
  /** Whether rows that move to other files keep the ids by which row tracking knows them. */
  readonly keepsRowIds?: boolean
  /** How often the log is written to before contention is called a conflict. */
  readonly maxAttempts?: number
  /** How to wait before attempt `attempt` is followed by another; a few random milliseconds unless given. */
  readonly backoff?: (attempt: number) => Promise<void>
  /** The clock, in milliseconds since 1970. */
  readonly now?: () => number
}

const DEFAULT_ATTEMPTS = 1000

/** The actions of one version. */
export interface VersionActions {
  readonly version: number
  readonly actions: readonly Action[]
}

/**
 * One writer's change of one table: read from one snapshot, committed as one version or not at all.
 *
 * 1. Whatever of the table decided what is written is recorded (`recordRead`, `readWholeTable`).
 *    A transaction that recorded nothing and only adds files is a blind append, which almost
 *    nothing conflicts with.
 * 2. Files are durable before `commit` (`writeDataFiles`), whose one write is the commit point.
 * 3. When others committed first, each of their commits is checked against what was recorded, and
 *    the transaction moves behind those it can live with.
 * 4. It commits once. After a conflict it is thrown away; a new one begins on the new snapshot.
 *
 * Delta protocol, "Delta Log Entries" and `OptimisticTransaction`.
 */
export class Transaction {
  /** What was read; null when the table is being made. */
  readonly snapshot: Snapshot | null
  readonly tablePath: string
  readonly #store: ObjectStore
  readonly #options: TransactionOptions
  readonly #stamp: string | null
  readonly #txnId = randomUUID()

  #protocol: Protocol | null = null
  #metadata: Metadata | null = null
  readonly #adds: AddFile[] = []
  readonly #removes: Removal[] = []
  readonly #cdc: AddCdcFile[] = []
  readonly #transactions: SetTransaction[] = []
  readonly #domains = new Map<string, string | null>()

  #readsWholeTable = false
  readonly #readPredicates: Predicate[] = []
  readonly #readPaths = new Set<string>()
  readonly #appIds = new Set<string>()

  #state: 'open' | 'committing' | 'ended' = 'open'
  #versions: VersionActions[] = []

  private constructor(
    store: ObjectStore,
    tablePath: string,
    snapshot: Snapshot | null,
    stamp: string | null,
    options: TransactionOptions,
  ) {
    this.#store = store
    this.tablePath = tablePath
    this.snapshot = snapshot
    this.#stamp = stamp
    this.#options = options
  }

  /**
   * A transaction on `snapshot`.
   *
   * 0A000 naming the feature when the table cannot be written, or when the caller has not taken
   * upon itself what the table asks of those who make rows.
   */
  static async begin(
    store: ObjectStore,
    snapshot: Snapshot,
    options: TransactionOptions = {},
  ): Promise<Transaction> {
    requireWritable(
      snapshot.tablePath,
      snapshot.protocol,
      snapshot.metadata,
      snapshot.schema,
      options.fulfilled ?? new Set(),
    )
    const stamp = await stampOf(store, snapshot)
    return new Transaction(store, snapshot.tablePath, snapshot, stamp, options)
  }

  /** A transaction that makes `table`; its commit is version 0, or a conflict where a log exists. */
  static create(
    store: ObjectStore,
    table: NewTable,
    options: TransactionOptions = {},
  ): Transaction {
    requireWritable(
      table.tablePath,
      table.protocol,
      table.metadata,
      table.schema,
      options.fulfilled ?? new Set(),
    )
    const transaction = new Transaction(store, table.tablePath, null, null, options)
    transaction.#protocol = table.protocol
    transaction.#metadata = table.metadata
    for (const [domain, configuration] of table.domains) {
      transaction.#domains.set(domain, configuration)
    }
    return transaction
  }

  /** What data files are to be written for: the snapshot with this transaction's own metadata. */
  get target(): WriteTarget {
    const protocol = this.#protocol ?? this.snapshot?.protocol
    const metadata = this.#metadata ?? this.snapshot?.metadata
    assert(protocol !== undefined && metadata !== undefined, 'a new table has both')
    const domains = new Map(this.snapshot?.domains)
    for (const [domain, configuration] of this.#domains) {
      if (configuration === null) domains.delete(domain)
      else domains.set(domain, configuration)
    }
    return {
      tablePath: this.tablePath,
      protocol,
      metadata,
      domains,
      schema:
        this.#metadata === null && this.snapshot !== null
          ? this.snapshot.schema
          : parseSchemaString(metadata.schemaString),
      columnMapping: columnMappingOf(protocol, metadata),
    }
  }

  /** Notes that everything in the table decided what is written. */
  readWholeTable(): void {
    this.#readsWholeTable = true
  }

  /** Notes that rows for which `predicate` may be true were looked for, and found in `files` at most. */
  recordRead(predicate: Predicate, files: Iterable<DataFile>): void {
    this.#readPredicates.push(predicate)
    for (const file of files) this.#readPaths.add(file.path)
  }

  /** Adds data files: new ones, or known ones with another deletion vector (`withDeletionVector`). */
  add(files: Iterable<AddFile>): void {
    const { target } = this
    for (const add of files) this.#adds.push(withStatsText(target, add))
  }

  /** Removes live files; `dataChange` is false when their rows only move to other files. */
  remove(files: Iterable<DataFile>, options: { readonly dataChange?: boolean } = {}): void {
    for (const file of files) {
      this.#removes.push({ file, dataChange: options.dataChange ?? true })
    }
  }

  /** Adds files of changed rows, for tables with change data feed. */
  addChangeData(files: Iterable<AddCdcFile>): void {
    this.#cdc.push(...files)
  }

  /** Replaces the table's metadata; the protocol is to be raised along with it (`raiseProtocol`). */
  setMetadata(metadata: Metadata, protocol?: Protocol): void {
    this.#metadata = metadata
    if (protocol !== undefined) this.#protocol = protocol
  }

  /** Sets the configuration of a metadata domain, or removes it with null. */
  setDomain(domain: string, configuration: string | null): void {
    this.#domains.set(domain, configuration)
  }

  /**
   * Makes the commit the transaction `version` of the application `appId`, and answers whether it
   * is new: false when the table has it already, in which case nothing should be committed.
   *
   * Two runs that race conflict, so each such transaction is in the table once at most.
   */
  setTransaction(appId: string, version: bigint): boolean {
    const known = this.snapshot?.transactions.get(appId)
    if (known !== undefined && BigInt(known.version) >= version) return false
    assert(!this.#appIds.has(appId), 'a commit has one transaction of an application')
    this.#appIds.add(appId)
    this.#transactions.push({
      appId,
      version: Number.isSafeInteger(Number(version)) ? Number(version) : version,
      lastUpdated: this.#nowMs(),
    })
    return true
  }

  /** The versions from after the snapshot to this transaction's own, once it has committed. */
  get versions(): readonly VersionActions[] {
    return this.#versions
  }

  /**
   * Commits: one version of the log that was not there before, durable, or a conflict.
   *
   * 55000 when the table is append-only and rows would go; 0A000 for change data that was not
   * written; 58030 when the store failed and nothing was committed; 08007 when it failed and
   * whether the commit is in the log, or will outlive a crash, cannot be told.
   */
  async commit(description: CommitDescription): Promise<CommitResult> {
    assert(this.#state === 'open', 'a transaction commits once')
    this.#state = 'committing'
    try {
      requireCommittable(this.#store, {
        base: this.snapshot,
        target: this.target,
        adds: this.#adds,
        removes: this.#removes,
        hasChangeData: this.#cdc.length > 0,
        fulfilled: this.#options.fulfilled ?? new Set(),
      })
      return await this.#commit(description)
    } finally {
      this.#state = 'ended'
    }
  }

  async #commit(description: CommitDescription): Promise<CommitResult> {
    const base = this.snapshot
    if (base !== null && (await stampOf(this.#store, base)) !== this.#stamp) {
      return {
        kind: 'conflict',
        with: base.version,
        reason: 'table-replaced',
        detail: `Version ${base.version} of table "${this.tablePath}" is not in its log any more.`,
      }
    }
    const intent = this.#intent()
    const progress = await this.#start()
    const committer = new Committer(this.#store, this.tablePath, this.#txnId, this.#pause)
    const attempts = this.#options.maxAttempts ?? DEFAULT_ATTEMPTS
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const { actions, timestampMs } = this.#actionsFor(progress, intent, description)
      const { version } = progress
      const outcome = await committer.put(version, printActions(actions))
      if (outcome.kind === 'committed') {
        this.#versions = [...progress.winners, { version, actions }]
        return { kind: 'committed', version, timestampMs }
      }
      // Behind the winner, and behind those who came after it.
      let winning = outcome.kind === 'taken' ? outcome.winning : null
      while (winning !== null) {
        const conflict = this.#check(intent, progress.version, winning)
        if (conflict !== null) return { kind: 'conflict', ...conflict }
        advance(progress, winning)
        winning = await committer.read(progress.version)
      }
      if (attempt > 2) await this.#pause(attempt)
    }
    // A request whose fate is not known may still arrive, so this is no time to say "try again".
    if (committer.isInFlight(progress.version)) throw committer.unresolved(progress.version)
    return {
      kind: 'conflict',
      with: progress.version - 1,
      reason: 'too-many-attempts',
      detail: `Other writers committed first ${attempts} times.`,
    }
  }

  #check(intent: Intent, version: number, winning: readonly Action[]): Conflict | null {
    if (this.snapshot === null) {
      return {
        with: version,
        reason: 'table-exists',
        detail: `Table "${this.tablePath}" has been created by another writer.`,
      }
    }
    return findConflict(this.#store, this.snapshot, intent, version, winning)
  }

  #nowMs(): number {
    return (this.#options.now ?? Date.now)()
  }

  readonly #pause = (attempt: number): Promise<void> => (this.#options.backoff ?? pause)(attempt)

  async #start(): Promise<Progress> {
    const base = this.snapshot
    let previousMs: number | null = null
    if (base !== null && this.#hasInCommitTimestamps()) {
      const info = await readCommitInfo(this.#store, this.tablePath, base.version)
      previousMs = typeof info?.inCommitTimestamp === 'number' ? info.inCommitTimestamp : null
    }
    return {
      version: (base?.version ?? -1) + 1,
      winners: [],
      previousTimestampMs: previousMs,
      rowIdHighWaterMark: parseHighWaterMark(base?.domains.get(ROW_TRACKING_DOMAIN)),
    }
  }

  #hasInCommitTimestamps(): boolean {
    const { protocol, metadata } = this.target
    return (
      metadata.configuration['delta.enableInCommitTimestamps'] === 'true' &&
      supportsFeature(protocol, 'inCommitTimestamp')
    )
  }

  #intent(): Intent {
    return {
      isolation: this.#isolation(),
      changesMetadata: this.#metadata !== null || this.#protocol !== null,
      readsWholeTable: this.#readsWholeTable,
      readPredicates: this.#readPredicates,
      readPaths: this.#readPaths,
      removedPaths: new Set(this.#removes.map(({ file }) => file.path)),
      appIds: this.#appIds,
      domains: new Set(this.#domains.keys()),
    }
  }

  #isolation(): IsolationLevel {
    const changes =
      this.#adds.some((add) => add.dataChange !== false) ||
      this.#removes.some((remove) => remove.dataChange)
    const hasFiles = this.#adds.length > 0 || this.#removes.length > 0
    const changesState =
      this.#metadata !== null || this.#protocol !== null || this.#transactions.length > 0
    // What only moves rows from file to file, or changes nothing, reads the same at any time.
    if (!changes && (hasFiles || !changesState)) return 'SnapshotIsolation'
    const level = this.target.metadata.configuration['delta.isolationLevel']
    return level?.toLowerCase() === 'serializable' ? 'Serializable' : 'WriteSerializable'
  }

  #isBlindAppend(): boolean {
    return (
      this.#adds.length > 0 &&
      this.#removes.length === 0 &&
      this.#metadata === null &&
      !this.#readsWholeTable &&
      this.#readPredicates.length === 0
    )
  }

  /** The lines of the commit as they would be at the version `progress` has reached. */
  #actionsFor(
    progress: Progress,
    intent: Intent,
    description: CommitDescription,
  ): { readonly actions: readonly Action[]; readonly timestampMs: number } {
    const nowMs = this.#nowMs()
    const inCommit = this.#hasInCommitTimestamps()
    const timestampMs = inCommit
      ? Math.max(nowMs, (progress.previousTimestampMs ?? Number.NEGATIVE_INFINITY) + 1)
      : nowMs
    const actions: Action[] = []
    const moved = this.#removes.length > 0 && this.#adds.length > 0
    const rowTracking = supportsFeature(this.target.protocol, 'rowTracking')
    actions.push({
      kind: 'commitInfo',
      commitInfo: makeCommitInfo(description, {
        timestampMs: nowMs,
        inCommitTimestampMs: inCommit ? timestampMs : null,
        readVersion: this.snapshot?.version ?? null,
        isolation: intent.isolation,
        isBlindAppend: this.#isBlindAppend(),
        txnId: this.#txnId,
        ...(rowTracking && moved
          ? { tags: { 'delta.rowTracking.preserved': String(this.#options.keepsRowIds === true) } }
          : {}),
      }),
    })
    if (this.#protocol !== null) actions.push({ kind: 'protocol', protocol: this.#protocol })
    if (this.#metadata !== null) {
      const metaData = this.#datedMetadata(this.#metadata, progress.version, timestampMs)
      actions.push({ kind: 'metaData', metaData })
    }
    for (const txn of this.#transactions) actions.push({ kind: 'txn', txn })
    for (const [domain, configuration] of this.#domains) {
      actions.push({
        kind: 'domainMetadata',
        domainMetadata: {
          domain,
          configuration: configuration ?? this.snapshot?.domains.get(domain) ?? '',
          removed: configuration === null,
        },
      })
    }
    for (const { file, dataChange } of this.#removes) {
      actions.push({ kind: 'remove', remove: removeOf(file.add, nowMs, dataChange) })
    }
    const adds = rowTracking
      ? numberRows(this.#adds, progress.version, progress.rowIdHighWaterMark)
      : null
    for (const add of adds?.adds ?? this.#adds) actions.push({ kind: 'add', add })
    if (adds !== null && adds.highWaterMark !== progress.rowIdHighWaterMark) {
      actions.push({
        kind: 'domainMetadata',
        domainMetadata: {
          domain: ROW_TRACKING_DOMAIN,
          configuration: printHighWaterMark(adds.highWaterMark),
          removed: false,
        },
      })
    }
    for (const cdc of this.#cdc) actions.push({ kind: 'cdc', cdc })
    return { actions, timestampMs }
  }

  /** Where this commit switches in-commit timestamps on, the metadata says from when on they count. */
  #datedMetadata(metadata: Metadata, version: number, timestampMs: number): Metadata {
    const base = this.snapshot
    if (base === null || !this.#hasInCommitTimestamps()) return metadata
    if (base.metadata.configuration['delta.enableInCommitTimestamps'] === 'true') return metadata
    return {
      ...metadata,
      configuration: {
        ...metadata.configuration,
        'delta.inCommitTimestampEnablementVersion': String(version),
        'delta.inCommitTimestampEnablementTimestamp': String(timestampMs),
      },
    }
  }
}

/** How far a commit has come: the version it is to be, and the commits it has moved behind. */
interface Progress {
  version: number
  readonly winners: VersionActions[]
  /** In-commit timestamp of the version before. */
  previousTimestampMs: number | null
  rowIdHighWaterMark: bigint
}

function advance(progress: Progress, winning: readonly Action[]): void {
  progress.winners.push({ version: progress.version, actions: winning })
  progress.version++
  for (const action of winning) {
    if (action.kind === 'commitInfo' && typeof action.commitInfo.inCommitTimestamp === 'number') {
      progress.previousTimestampMs = action.commitInfo.inCommitTimestamp
    }
    if (action.kind === 'domainMetadata' && action.domainMetadata.domain === ROW_TRACKING_DOMAIN) {
      progress.rowIdHighWaterMark = parseHighWaterMark(action.domainMetadata.configuration)
    }
  }
}

/** What tells the log that a snapshot was read from apart from another one made in its place. */
async function stampOf(store: ObjectStore, snapshot: Snapshot): Promise<string | null> {
  const commit = await store.stat(`${snapshot.tablePath}/${commitPath(snapshot.version)}`)
  return commit === null ? null : `${commit.sizeBytes} ${commit.modifiedMs}`
}

function removeOf(add: AddFile, nowMs: number, dataChange: boolean): RemoveFile {
  return {
    path: add.path,
    deletionTimestamp: nowMs,
    dataChange,
    extendedFileMetadata: true,
    partitionValues: add.partitionValues,
    size: add.size,
    tags: add.tags ?? null,
    deletionVector: add.deletionVector ?? null,
    baseRowId: add.baseRowId ?? null,
    defaultRowCommitVersion: add.defaultRowCommitVersion ?? null,
  }
}

/** Waits a little, at random, so that writers which lost together do not try together again. */
async function pause(attempt: number): Promise<void> {
  const limitMs = Math.min(50, 2 ** Math.min(attempt, 6))
  await new Promise((resolve) => setTimeout(resolve, Math.random() * limitMs))
}
