/** TransactionBlock: what stays the same while an SQL transaction lasts, and how it is taken back. */

import type { TableName } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Gateway } from './gateway.js'
import { readOnlyTransaction } from './refusal.js'
import type { TableChange } from './table-change.js'

/** A part of a session's state that takes part in its transactions. */
export interface TransactionalState {
  /** Remembers the state as it is now; what is answered brings it back, each time it is called. */
  mark(): () => Promise<void>
  /** Makes what has been done since the block began last, or takes effect only now. */
  commit(): Promise<void>
}

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
  readonly #states: readonly TransactionalState[]
  readonly #readOnly: () => boolean
  readonly #restore: () => Promise<void>
  readonly #savepoints: Savepoint[] = []
  /** The table this block changes: one, so that COMMIT is one version of one log. */
  #change: TableChange | undefined
  readonly #snapshots = new Map<string, Promise<Snapshot | null>>()

  constructor(
    explicit: boolean,
    states: readonly TransactionalState[],
    readOnly: () => boolean = () => false,
  ) {
    this.explicit = explicit
    this.#states = states
    this.#readOnly = readOnly
    this.#restore = this.#mark()
  }

  /** Whether statements that change the lake are refused (25006). */
  get readOnly(): boolean {
    return this.#readOnly()
  }

  /** Whether a savepoint is open: a subtransaction in PostgreSQL's words. */
  get nested(): boolean {
    return this.#savepoints.length > 0
  }

  /** What the block has done to the table in `path`, or undefined. */
  changeOf(path: string): TableChange | undefined {
    return this.#change?.table.path === path ? this.#change : undefined
  }

  /** The table that the block makes under that name, or undefined. */
  createdTable(layer: string, name: string): TableName | undefined {
    const change = this.#change
    if (change === undefined || !change.creates) return undefined
    return change.table.layer === layer && change.table.name === name ? change.table : undefined
  }

  /**
   * The change of `table` that a statement is to add to; begun with `begin` when there is none.
   *
   * 25006 in a read-only block, 0A000 when the block changes another table already.
   */
  changing(table: TableName, words: string, begin: () => TableChange): TableChange {
    if (this.readOnly) throw readOnlyTransaction(words)
    if (this.#change !== undefined && this.#change.table.path !== table.path) {
      throw new SqlError(
        SqlState.featureNotSupported,
        'changing several tables in one transaction is not supported',
        { hint: `Commit what was done to "${this.#change.table.name}" first.` },
      )
    }
    this.#change ??= begin()
    return this.#change
  }

  /** The snapshot this block reads of a table; `load` is called for the first reader only. */
  snapshot(
    tablePath: string,
    store: ObjectStore,
    load: () => Promise<Snapshot | null>,
  ): Promise<Snapshot | null> {
    const change = this.changeOf(tablePath)
    if (change !== undefined) return Promise.resolve(change.snapshot(store))
    const taken = this.#snapshots.get(tablePath)
    if (taken !== undefined) return taken
    const loading = load()
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
   * Makes everything last; when the table's change cannot (40001), all of it is taken back.
   *
   * The change comes first: only it may conflict with what others have done.
   */
  async commit(gateway: Gateway): Promise<void> {
    try {
      await this.#change?.commit(gateway)
      for (const state of this.#states) await state.commit()
    } catch (thrown) {
      await this.#restore()
      throw thrown
    }
  }

  async rollback(): Promise<void> {
    await this.#restore()
  }

  #mark(): () => Promise<void> {
    const change = this.#change?.save()
    const restores = this.#states.map((state) => state.mark())
    return async () => {
      if (change === undefined) this.#change = undefined
      else this.#change?.restore(change)
      for (const restore of restores) await restore()
    }
  }

  #indexOf(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index >= 0) return index
    throw new SqlError(SqlState.invalidSavepointSpecification, `savepoint "${name}" does not exist`)
  }
}
