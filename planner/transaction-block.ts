/** TransactionBlock: what stays the same while an SQL transaction lasts, and how it is taken back. */

import type { Catalog, TableName } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
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
    for (const { creates, table } of this.#changes.values()) {
      if (creates && table.layer === layer && table.name === name) return table
    }
    return undefined
  }

  /**
   * The change of `table` that a statement is to add to; begun with `begin` when there is none.
   *
   * 25006 in a read-only block, 0A000 in one that has changed names.
   */
  changing(table: TableName, words: string, begin: () => TableChange): TableChange {
    this.requireWritable(words)
    if (this.#draft !== undefined) throw namesAndRows()
    const known = this.#changes.get(table.path)
    if (known !== undefined) return known
    const change = begin()
    this.#changes.set(table.path, change)
    // A statement alone is executed anew when it loses; a block is not.
    if (this.explicit) {
      this.#watched.add(table.path)
      this.#openChanges.begin(table.path)
    }
    return change
  }

  /** The names as this block sees them. */
  catalog(gateway: Gateway): Catalog {
    return this.past?.catalog ?? this.#draft ?? gateway.catalog
  }

  /**
   * From now on the block keeps what it changes in the catalog to itself, until it commits.
   *
   * 0A000 when it changes a table: a table's log and the catalog's cannot be committed as one.
   */
  async draftCatalog(gateway: Gateway): Promise<void> {
    if ([...this.#changes.values()].some((change) => !change.isEmpty)) throw namesAndRows()
    this.#draft ??= await gateway.catalog.draft()
  }

  /**
   * The snapshot this block reads of a table, for the first reader the one that `gateway` has.
   *
   * It fits to what the block has read of other tables: of a transaction over several tables, all
   * shows or nothing.
   */
  async snapshot(tablePath: string, gateway: Gateway): Promise<Snapshot | null> {
    const { past } = this
    if (past !== undefined) return past.snapshot(tablePath)
    const change = this.changeOf(tablePath)
    if (change !== undefined) return change.snapshot(gateway.store)
    const taken = this.#snapshots.get(tablePath)
    if (taken !== undefined) return taken
    const before = [...this.#snapshots.values()]
    const loading = Promise.all(before).then((others) => {
      const seen = new Map<string, number>()
      for (const other of others) if (other !== null) seen.set(other.tablePath, other.version)
      return gateway.snapshots.consistent(tablePath, seen, this.startedMs)
    })
    this.#snapshots.set(tablePath, loading)
    loading.catch(() => this.#snapshots.delete(tablePath))
    return loading
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
      const isNew = await commitChanges(gateway, changes, this.#application.transaction())
      if (!isNew) this.#application.known()
      await this.#draft?.publish()
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

  #forget(path: string): void {
    this.#changes.delete(path)
    if (this.#watched.delete(path)) this.#openChanges.end(path)
  }

  #mark(): () => Promise<void> {
    const changes = new Map([...this.#changes].map(([path, change]) => [path, change.save()]))
    const staged = this.#draft?.staged
    const restores = this.#states.map((state) => state.mark())
    return async () => {
      this.#draft = staged === undefined ? undefined : await this.#draft?.draft(staged)
      for (const [path, change] of [...this.#changes]) {
        const before = changes.get(path)
        if (before === undefined) this.#forget(path)
        else change.restore(before)
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

function namesAndRows(): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'renaming a table or view and changing a table in one transaction is not supported',
    { hint: 'Commit one before the other.' },
  )
}
