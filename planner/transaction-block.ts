/** TransactionBlock: what stays the same while an SQL transaction lasts. */

import type { SettingValues } from '../catalog/settings.js'
import type { Snapshot } from '../storage/snapshot.js'

/** A named point a block can go back to. */
interface Savepoint {
  readonly name: string
  readonly settings: SettingValues
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
  /** One snapshot a table, taken when the block first reads it. */
  readonly #snapshots = new Map<string, Promise<Snapshot | null>>()

  constructor(explicit: boolean, readOnly: boolean, settings: SettingValues) {
    this.explicit = explicit
    this.readOnly = readOnly
    this.settings = settings
  }

  /** The snapshot this block reads of a table; `load` is called for the first reader only. */
  snapshot(tablePath: string, load: () => Promise<Snapshot | null>): Promise<Snapshot | null> {
    const taken = this.#snapshots.get(tablePath)
    if (taken !== undefined) return taken
    const loading = load()
    this.#snapshots.set(tablePath, loading)
    loading.catch(() => this.#snapshots.delete(tablePath))
    return loading
  }
}
