/** TableChange: what a transaction block has done to one table and not committed yet. */

import { isDeepStrictEqual } from 'node:util'
import type { TableName } from '../catalog/catalog.js'
import type { TableRegistration } from '../catalog/registration.js'
import type { AddFile, Protocol } from '../storage/actions.js'
import { deletionVectorId } from '../storage/deletion-vector.js'
import type { CommitDescription } from '../storage/commit-info.js'
import { assert, concurrentUpdate, SqlError, SqlState } from '../storage/errors.js'
import { emptyTrail } from '../storage/group.js'
import { groupTags } from '../storage/group-rollback.js'
import { resolvePath } from '../storage/file-path.js'
import type { NewTable } from '../storage/new-table.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Predicate } from '../storage/predicate.js'
import { type DataFile, FileIndex } from '../storage/file-index.js'
import type { Snapshot } from '../storage/snapshot.js'
import { type CommitResult, Transaction } from '../storage/transaction.js'
import { changeDataOf, type StatementFeed } from './block-feed.js'
import { describeChange } from './commit-words.js'
import { FULFILLED } from './fulfilled.js'
import type { Gateway } from './gateway.js'

interface Read {
  readonly predicate: Predicate
  readonly files: readonly DataFile[]
}

/** A transaction of an application, which a table takes once: Delta's `txn` action. */
export interface ApplicationTransaction {
  readonly appId: string
  readonly version: bigint
}

/** What of a gateway commits a change. */
export type CommitGateway = Pick<
  Gateway,
  'store' | 'engine' | 'snapshots' | 'catalog' | 'appends' | 'afterCommit'
>

/** The state of a change that a savepoint goes back to. */
interface ChangeState {
  readonly adds: readonly AddFile[]
  readonly removes: readonly DataFile[]
  readonly reads: readonly Read[]
  readonly operations: readonly string[]
  /** Counts for the history, by Delta's names. */
  readonly metrics: ReadonlyMap<string, number>
  readonly definition: NewTable | null
  /** Metadata domains that are set, or removed (null). */
  readonly domains: ReadonlyMap<string, string | null>
  readonly parameters: { readonly [name: string]: string } | null
  /** Transactions of applications by their ids. */
  readonly transactions: ReadonlyMap<string, bigint>
  /** What each statement says of the rows it changed. */
  readonly feeds: readonly StatementFeed[]
  /** Whether a statement took away files that an earlier one had made. */
  readonly isTangled: boolean
}

/** What one statement does to a table. */
export interface StatementChange {
  readonly operation: string
  /** What DESCRIBE HISTORY says of the operation. */
  readonly parameters?: { readonly [name: string]: string }
  readonly adds?: readonly AddFile[]
  readonly removes?: readonly DataFile[]
  readonly reads?: readonly Read[]
  /** Counts for the history, by Delta's names. */
  readonly metrics?: Readonly<Record<string, number>>
  readonly definition?: NewTable
  readonly domains?: ReadonlyMap<string, string | null>
  /** Transactions of applications that the statement is, by their ids; each is newer than the table's. */
  readonly transactions?: ReadonlyMap<string, bigint>
  /** As in StatementFeed. */
  readonly changeData?: StatementFeed['changeData']
}

/**
 * The uncommitted change of one table.
 *
 * Its data files are durable already; nothing of it shows to others before `commit`, which is one
 * version of the table. Own reads see it through `snapshot`.
 */
export class TableChange {
  readonly table: TableName
  /** What the block read; null for a table it makes. */
  readonly base: Snapshot | null
  /** The block makes the table: its name means nothing to others yet. */
  readonly creates: boolean
  #state: ChangeState

  /** The table's folder does not bear its name: the catalog is told before the log is. */
  readonly registration: TableRegistration | undefined

  constructor(
    table: TableName,
    base: Snapshot | null,
    definition: NewTable | null = null,
    registration?: TableRegistration,
  ) {
    this.registration = registration
    this.table = table
    this.base = base
    this.creates = definition !== null
    this.#state = {
      adds: [],
      removes: [],
      reads: [],
      operations: [],
      metrics: new Map(),
      definition,
      domains: new Map(base === null ? definition?.domains : undefined),
      parameters: null,
      transactions: new Map(),
      feeds: [],
      isTangled: false,
    }
  }

  /** Whether the table is made, or its metadata changed. */
  get definesTable(): boolean {
    return this.#state.definition !== null
  }

  save(): ChangeState {
    return this.#state
  }

  restore(state: ChangeState): void {
    this.#state = state
  }

  /** Notes a statement's outcome: files it made, files it took away, and what it looked at. */
  apply(change: StatementChange): void {
    const { adds = [], removes = [], changeData } = change
    const gone = new Set(removes.map((file) => file.add.path))
    const state = this.#state
    const known = new Set(state.adds.map((add) => add.path))
    // A file that only got a deletion vector holds none but rows that were there before.
    const masked = new Set(state.removes.map((file) => file.add.path))
    const isTangled = removes.some(({ add }) => known.has(add.path) && !masked.has(add.path))
    const metrics = new Map(state.metrics)
    for (const [name, count] of Object.entries(change.metrics ?? {})) {
      metrics.set(name, (metrics.get(name) ?? 0) + count)
    }
    this.#state = {
      adds: [...state.adds.filter((add) => !gone.has(add.path)), ...adds],
      removes: [...state.removes, ...removes.filter((file) => !known.has(file.add.path))],
      reads: [...state.reads, ...(change.reads ?? [])],
      operations: [...state.operations, change.operation],
      metrics,
      definition: change.definition ?? state.definition,
      domains: new Map([...state.domains, ...(change.domains ?? [])]),
      parameters: change.parameters ?? null,
      transactions: new Map([...state.transactions, ...(change.transactions ?? [])]),
      feeds:
        adds.length === 0 && removes.length === 0
          ? state.feeds
          : [...state.feeds, { adds, removes, changeData }],
      isTangled: state.isTangled || isTangled,
    }
  }

  /** Whether the block itself has made `file`, so that no version of the table has it. */
  hasMade(file: DataFile): boolean {
    const vectorId = deletionVectorId(file.deletionVector)
    return this.base?.files.has({ path: file.path, vectorId }) !== true
  }

  /** The table as this block sees it. */
  snapshot(store: ObjectStore): Snapshot {
    const { adds, removes, definition } = this.#state
    const gone = removes.map((file) => ({
      path: file.path,
      vectorId: deletionVectorId(file.deletionVector),
    }))
    const files = (this.base?.files ?? FileIndex.empty).with(gone, adds, (path) =>
      resolvePath(store, this.table.path, path),
    )
    const source: Snapshot | NewTable | null = definition ?? this.base
    if (source === null) throw new Error('a new table has a definition')
    return {
      tablePath: this.table.path,
      version: this.base?.version ?? -1,
      protocol: source.protocol,
      metadata: source.metadata,
      schema: source.schema,
      columnMapping: source.columnMapping,
      files,
      sizeBytes: files.sizeBytes,
      transactions: this.#transactions(),
      domains: this.#domains(),
      groups: this.base?.groups ?? emptyTrail(),
    }
  }

  #domains(): ReadonlyMap<string, string> {
    const domains = new Map(this.base?.domains)
    for (const [domain, configuration] of this.#state.domains) {
      if (configuration === null) domains.delete(domain)
      else domains.set(domain, configuration)
    }
    return domains
  }

  #transactions(): Snapshot['transactions'] {
    const known = this.base?.transactions ?? new Map()
    const { transactions } = this.#state
    if (transactions.size === 0) return known
    const own = [...transactions].map(
      ([appId, version]) => [appId, { appId, version: Number(version) }] as const,
    )
    return new Map([...known, ...own])
  }

  /** Whether there is anything to commit. */
  get isEmpty(): boolean {
    const { adds, removes, definition, domains, transactions } = this.#state
    const isUnchanged = definition === null && domains.size === 0 && transactions.size === 0
    return adds.length === 0 && removes.length === 0 && isUnchanged
  }

  /** Whether there are only files to add, whatever the table holds. */
  get #isBlindAppend(): boolean {
    const { removes, reads, definition, domains, transactions } = this.#state
    const changesFiles = removes.length > 0 || reads.length > 0
    const changesState = definition !== null || domains.size > 0 || transactions.size > 0
    return !changesFiles && !changesState
  }

  /**
   * Commits as one version of the table.
   *
   * 40001 naming the version that won when another writer's commit conflicts, 42P07 when another
   * writer made the table first. False, and nothing is committed, when the table has this transaction
   * of the application already.
   */
  async commit(gateway: CommitGateway, application?: ApplicationTransaction): Promise<boolean> {
    if (this.isEmpty) return true
    const { adds, operations } = this.#state
    if (this.base !== null && this.#isBlindAppend && application === undefined) {
      const appended = await gateway.appends.append(this.base, adds, operations)
      if (appended.kind === 'conflict') throw conflictError(this.table, appended)
      return true
    }
    const member = await this.#commit(gateway, { application })
    if (member === null) return false
    gateway.afterCommit(member.transaction)
    return true
  }

  /**
   * Commits as one version of the table that counts only if the group `group` is decided so.
   *
   * Fails as `commit`; the log is to be maintained once the group has ended. `registers` says whether
   * the catalog is still to be told of the name.
   */
  async commitIn(gateway: CommitGateway, group: string, registers: boolean): Promise<GroupMember> {
    const member = await this.#commit(gateway, { tags: groupTags(group), registers })
    assert(member !== null, 'a group has no transaction of an application')
    return member
  }

  async #commit(
    gateway: CommitGateway,
    {
      tags,
      application,
      registers = true,
    }: Pick<CommitDescription, 'tags'> & {
      readonly application?: ApplicationTransaction | undefined
      readonly registers?: boolean
    },
  ): Promise<GroupMember | null> {
    const { adds, removes, reads, operations, metrics, parameters, feeds, isTangled } = this.#state
    // Of a folder without a log, a registration means nothing: it may be left behind.
    if (registers && this.registration !== undefined) {
      await gateway.catalog.registerTable(this.registration)
    }
    const transaction = await this.#begin(gateway.store)
    if (
      application !== undefined &&
      !transaction.setTransaction(application.appId, application.version)
    ) {
      return null
    }
    for (const [appId, version] of this.#state.transactions) {
      const isNew = transaction.setTransaction(appId, version)
      assert(isNew, 'the transaction is newer than what the block has read')
    }
    for (const { predicate, files } of reads) transaction.recordRead(predicate, files)
    const feed = { statements: feeds, isTangled, adds, removes }
    const snapshot = this.snapshot(gateway.store)
    const { files: changed, isMove } = await changeDataOf(gateway, snapshot, feed)
    transaction.remove(removes, { dataChange: !isMove })
    transaction.add(isMove ? adds.map((add) => ({ ...add, dataChange: false })) : adds)
    transaction.addChangeData(changed)
    const counts =
      changed.length === 0
        ? metrics
        : new Map([...metrics, ['numAddedChangeFiles', changed.length]])
    const words = describeChange(operations, adds, removes, counts, parameters)
    const result = await transaction.commit(tags === undefined ? words : { ...words, tags })
    if (result.kind === 'conflict') throw conflictError(this.table, result)
    return { tablePath: this.table.path, version: result.version, transaction }
  }

  async #begin(store: ObjectStore): Promise<Transaction> {
    const { definition, domains } = this.#state
    const options = { fulfilled: FULFILLED, keepsRowIds: true }
    if (this.base === null) {
      assert(definition !== null, 'a new table has a definition')
      return Transaction.create(store, { ...definition, domains: this.#domains() }, options)
    }
    const transaction = await Transaction.begin(store, this.base, options)
    if (definition !== null) {
      const protocol = raised(this.base, definition)
      transaction.setMetadata(
        definition.metadata,
        isDeepStrictEqual(protocol, this.base.protocol) ? undefined : protocol,
      )
    }
    for (const [domain, configuration] of domains) {
      // Of a domain that was never there, nothing is removed.
      if (configuration === null && !this.base.domains.has(domain)) continue
      transaction.setDomain(domain, configuration)
    }
    return transaction
  }
}

/** A table's commit that belongs to a group. */
export interface GroupMember {
  readonly tablePath: string
  readonly version: number
  readonly transaction: Transaction
}

/** A replaced table keeps the features its log already promises. */
function raised(base: Snapshot, definition: { readonly protocol: Protocol }): Protocol {
  if (isDeepStrictEqual(base.protocol, definition.protocol)) return base.protocol
  const lists = (name: 'readerFeatures' | 'writerFeatures'): string[] => [
    ...new Set([...(base.protocol[name] ?? []), ...(definition.protocol[name] ?? [])]),
  ]
  const minReaderVersion = Math.max(
    base.protocol.minReaderVersion,
    definition.protocol.minReaderVersion,
  )
  const minWriterVersion = Math.max(
    base.protocol.minWriterVersion,
    definition.protocol.minWriterVersion,
  )
  return {
    minReaderVersion,
    minWriterVersion,
    ...(minReaderVersion >= 3 ? { readerFeatures: lists('readerFeatures') } : {}),
    ...(minWriterVersion >= 7 ? { writerFeatures: lists('writerFeatures') } : {}),
  }
}

function conflictError(
  table: TableName,
  conflict: Extract<CommitResult, { kind: 'conflict' }>,
): SqlError {
  if (conflict.reason === 'table-exists') {
    return new SqlError(SqlState.duplicateTable, `relation "${table.name}" already exists`)
  }
  return concurrentUpdate('transaction', {
    detail: `${conflict.detail} (${conflict.reason}, version ${conflict.with} of "${table.layer}.${table.name}")`,
  })
}
