/** TransactionBlock: what stays the same while an SQL transaction lasts. */

import type { SettingValues } from '../catalog/settings.js'
import type { TableName } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Gateway } from './gateway.js'
import type { TableChange } from './table-change.js'

/** A named point a block can go back to. */
interface Savepoint {
  readonly name: string
  readonly settings: SettingValues
  /** What had been done to the changed table; undefined when nothing yet. */
  readonly change: ReturnType<TableChange['save']> | undefined
}

/** One transaction: explicit after BEGIN, implicit around a single statement or a batch. */
export class TransactionBlock {
  explicit: boolean
  readOnly: boolean
  failed = false
  readonly startedMs: number = Date.now()
  /** Settings to go back to on ROLLBACK, and after COMMIT for what was SET LOCAL. */
  readonly settings: SettingValues
  /** Names and values set by SET LOCAL, with what they had before. */
  readonly local: Map<string, string | undefined> = new Map()
  readonly savepoints: Savepoint[] = []
  readonly notifications: { readonly channel: string; readonly payload: string }[] = []
  /** The table this block changes: one, so that COMMIT is one version of one log. */
  #change: TableChange | undefined
  /** One snapshot a table, taken when the block first reads it. */
  readonly #snapshots = new Map<string, Promise<Snapshot | null>>()

  constructor(explicit: boolean, readOnly: boolean, settings: SettingValues) {
    this.explicit = explicit
    this.readOnly = readOnly
    this.settings = settings
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
    if (this.readOnly) {
      throw new SqlError(
        SqlState.readOnlySqlTransaction,
        `cannot execute ${words} in a read-only transaction`,
      )
    }
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

  saveChange(): Savepoint['change'] {
    return this.#change?.save()
  }

  /** Goes back to what had been done at a savepoint. */
  restoreChange(state: Savepoint['change']): void {
    if (state === undefined) this.#change = undefined
    else this.#change?.restore(state)
  }

  /** Commits what was done; 40001 when another writer's commit conflicts. */
  async commit(gateway: Gateway): Promise<void> {
    const change = this.#change
    this.#change = undefined
    await change?.commit(gateway)
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
}
