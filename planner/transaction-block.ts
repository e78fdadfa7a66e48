/** TransactionBlock: what stays the same while an SQL transaction lasts, and how it is taken back. */

import type { Catalog, TableName } from '../catalog/catalog.js'
import { concurrentUpdate, SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Gateway } from './gateway.js'
import { commitChanges } from './group-commit.js'
import { OpenChanges } from './open-changes.js'
import { type PastLake, readOnlyPast } from './past-lake.js'
import { readOnlyTransaction } from './refusal.js'
import type { ApplicationTransaction, TableChange } from './table-change.js'

/** A part of a session's state that takes part in its transactions. */
export interface TransactionalState {
  /** Remembers the state as it is now; what is answered brings it back, each time it is called. */
  mark(): () => Promise<void>
  /** Makes what has been done since the block began last, or takes effect only now. */
  commit(): Promise<void>
}

/** The transaction of an application that a block is, if any. */
export interface ApplicationHooks {
  readonly transaction: () => ApplicationTransaction | undefined
  /** Told when the table has it already, so that nothing was committed. */
  readonly known: () => void
}

const NO_APPLICATION: ApplicationHooks = { transaction: () => undefined, known: () => {} }

interface Savepoint {
  readonly name: string
  readonly restore: () => Promise<void>
}

/**
 * One transaction: explicit after BEGIN, implicit around a single statement or a batch.
 *
 * - A table is read at one Snapshot, taken when the block first reads it.
 * - Every TransactionalState goes back together, to the beginning or to a savepoint.
 */
export class TransactionBlock {
  explicit: boolean
  failed = false
  /** Whether a statement that reads or writes tables has run: too late for SET TRANSACTION. */
  hasQueried = false
  /** Statements that have been executed in it, those inside of others included. */
  statementCount = 0
  readonly startedMs: number = Date.now()
  #transactionId: bigint | undefined
  readonly #states: readonly TransactionalState[]
  readonly #readOnly: () => boolean
  readonly #application: ApplicationHooks
  readonly #openChanges: OpenChanges
  readonly #past: () => PastLake | undefined
  /** Tables whose change is counted among those that are open. */
  readonly #watched = new Set<string>()
  readonly #restore: () => Promise<void>
  readonly #savepoints: Savepoint[] = []
  /** The tables this block changes, by their folders. */
  readonly #changes = new Map<string, TableChange>()
  /** The catalog with the names this block has changed; undefined while it has changed none. */
  #draft: Catalog | undefined
  readonly #snapshots = new Map<string, Promise<Snapshot | null>>()

  constructor(
    explicit: boolean,
    states: readonly TransactionalState[],
    readOnly: () => boolean = () => false,
    application: ApplicationHooks = NO_APPLICATION,
    openChanges: OpenChanges = new OpenChanges(),
    past: () => PastLake | undefined = () => undefined,
  ) {
    this.#past = past
    this.#application = application
    this.#openChanges = openChanges
    this.explicit = explicit
    this.#states = states
    this.#readOnly = readOnly
    this.#restore = this.#mark()
  }

  /** The number of this transaction among those of the gateway that were asked for one. */
  transactionId(gateway: Gateway): bigint {
    this.#transactionId ??= gateway.nextTransactionId()
    return this.#transactionId
  }

  /** Whether statements that change the lake are refused (25006). */
  get readOnly(): boolean {
    return this.#readOnly()
  }

  /** The lake of the past that statements see instead of the one there is, if any. */
  get past(): PastLake | undefined {
    return this.#past()
  }

  /** 25006 when what `words` name may not change the lake. */
  requireWritable(words: string): void {
    if (this.past !== undefined) throw readOnlyPast(words)
    if (this.readOnly) throw readOnlyTransaction(words)
  }

  /** Whether a savepoint is open: a subtransaction in PostgreSQL's words. */
  get nested(): boolean {
    return this.#savepoints.length > 0
  }

  /** What the block has done to the table in `path`, or undefined. */
  changeOf(path: string): TableChange | undefined {
    return this.#changes.get(path)
  }

  /** Tables that the block makes, and those whose definition it changes. */
  get definedTables(): readonly TableName[] {
    return [...this.#changes.values()].flatMap((change) =>
      change.definesTable ? [change.table] : [],
    )
  }

  /** Whether the block has changed names or definitions, which others do not see yet. */
  get changesCatalog(): boolean {
    return this.past === undefined && (this.#draft !== undefined || this.definedTables.length > 0)
  }

  /** The table that the block makes under that name, or undefined. */
  createdTable(layer: string, name: string): TableName | undefined {
    if (this.past !== undefined) return undefined
    // A draft knows them, by the names they have come to.
    if (this.#draft !== undefined) return undefined
    for (const { creates, table } of this.#changes.values()) {
      if (creates && table.layer === layer && table.name === name) return table
    }
    return undefined
  }

  /**
   * The change of `table` that a statement is to add to; begun with `begin` when there is none.
   *
   * 25006 in a read-only block.
   */
  changing(table: TableName, words: string, begin: () => TableChange): TableChange {
    this.requireWritable(words)
    const known = this.#changes.get(table.path)
    if (known !== undefined) return known
    const change = begin()
    if (change.creates) this.#draft?.addMade(table, change.registration)
    this.#keep(change)
    return change
  }

  /** The names as this block sees them. */
  catalog(gateway: Gateway): Catalog {
    return this.past?.catalog ?? this.#draft ?? gateway.catalog
  }

  /**
   * The catalog that an explicit block's statements change: its own until it commits. Others change
   * that of the lake.
   */
  async changingCatalog(gateway: Gateway): Promise<Catalog> {
    if (!this.explicit) return this.catalog(gateway)
    if (this.#draft === undefined) {
      this.#draft = await gateway.catalog.draft()
      for (const { creates, table, registration } of this.#changes.values()) {
        if (creates) this.#draft.addMade(table, registration)
      }
    }
    return this.#draft
  }

  /** Forgets what the block has done to a table that it has dropped. */
  dropped(path: string): void {
    this.#forget(path)
    this.#draft?.removeMade(path)
    this.#snapshots.delete(path)
  }

  /**
   * The snapshot this block reads of a table, for the first reader the one that `gateway` has.
   *
   * It fits to what the block has read of other tables: of a transaction over several tables, all
   * shows or nothing; the name among it, if `name` is how the table was found (40001).
   */
  async snapshot(tablePath: string, gateway: Gateway, name?: TableName): Promise<Snapshot | null> {
    const { past } = this
    if (past !== undefined) return past.snapshot(tablePath)
    const change = this.changeOf(tablePath)
    if (change !== undefined) return change.snapshot(gateway.store)
    const taken = this.#snapshots.get(tablePath)
    if (taken !== undefined) return taken
    const before = [...this.#snapshots.values()]
    const loading = Promise.all(before)
      .then((others) => {
        const seen = new Map<string, number>()
        for (const other of others) if (other !== null) seen.set(other.tablePath, other.version)
        return gateway.snapshots.consistent(tablePath, seen, this.startedMs)
      })
      .then((snapshot) => this.#named(snapshot, gateway, name))
    this.#snapshots.set(tablePath, loading)
    loading.catch(() => this.#snapshots.delete(tablePath))
    return loading
  }

  /**
   * `snapshot`, unless a transaction that shows in it has taken the name away since it was looked up
   * (40001), or the one that made the table has been taken back (null).
   */
  async #named(
    snapshot: Snapshot | null,
    gateway: Gateway,
    name: TableName | undefined,
  ): Promise<Snapshot | null> {
    if (snapshot === null || name === undefined) return snapshot
    const { versions, rolledBack } = snapshot.groups
    const isUnmade = [...versions].some(
      ([group, version]) => version === 0 && rolledBack.has(group),
    )
    if (isUnmade && (await gateway.catalog.nameOf(name.path)) === null) return null
    if (this.#draft !== undefined || !(await gateway.snapshots.followsNames(snapshot))) {
      return snapshot
    }
    const now = await gateway.catalog.nameOf(name.path)
    if (now?.layer === name.layer && now.name === name.name) return snapshot
    throw concurrentUpdate('transaction', {
      detail: `"${name.layer}.${name.name}" got another name, or was dropped, by it.`,
    })
  }

  /** SAVEPOINT: a point `rollbackTo` can go back to; a name may be given again. */
  savepoint(name: string): void {
    this.#savepoints.push({ name, restore: this.#mark() })
  }

  /** RELEASE SAVEPOINT: forgets the newest of that name and all after it; 3B001 when there is none. */
  release(name: string): void {
    this.#savepoints.length = this.#indexOf(name)
  }

  /** ROLLBACK TO SAVEPOINT: the savepoint stays, and the block is healthy again; 3B001 when there is none. */
  async rollbackTo(name: string): Promise<void> {
    const index = this.#indexOf(name)
    const savepoint = this.#savepoints[index]
    this.#savepoints.length = index + 1
    await savepoint?.restore()
    this.failed = false
  }

  /**
   * Makes everything last; when the changes of tables cannot (40001), all of it is taken back.
   *
   * They come first: only it may conflict with what others have done.
   */
  async commit(gateway: Gateway): Promise<void> {
    try {
      const changes = [...this.#changes.values()]
      const application = this.#application.transaction()
      const isNew = await commitChanges(gateway, changes, application, this.#draft)
      if (!isNew) this.#application.known()
      for (const state of this.#states) await state.commit()
      for (const path of [...this.#changes.keys()]) this.#forget(path)
    } catch (thrown) {
      await this.#restore()
      throw thrown
    }
  }

  async rollback(): Promise<void> {
    await this.#restore()
  }

  #keep(change: TableChange): void {
    const { path } = change.table
    this.#changes.set(path, change)
    // A statement alone is executed anew when it loses; a block is not.
    if (this.explicit) {
      this.#watched.add(path)
      this.#openChanges.begin(path)
    }
  }

  #forget(path: string): void {
    this.#changes.delete(path)
    if (this.#watched.delete(path)) this.#openChanges.end(path)
  }

  #mark(): () => Promise<void> {
    const changes = [...this.#changes.values()].map((change) => ({ change, state: change.save() }))
    const draft = this.#draft?.state
    const restores = this.#states.map((state) => state.mark())
    return async () => {
      this.#draft = draft === undefined ? undefined : await this.#draft?.draft(draft)
      for (const path of [...this.#changes.keys()]) this.#forget(path)
      for (const { change, state } of changes) {
        change.restore(state)
        this.#keep(change)
      }
      for (const restore of restores) await restore()
    }
  }

  #indexOf(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index >= 0) return index
    throw new SqlError(SqlState.invalidSavepointSpecification, `savepoint "${name}" does not exist`)
  }
}
