/** PlannedScans: which files each table of a statement reads, and the text that reads them. */

import type { ChangeFeed } from '../storage/change-feed.js'
import { changeRelation } from '../storage/change-relation.js'
import type { EngineConnection } from '../storage/engine.js'
import type { DataFile } from '../storage/file-index.js'
import type { ObjectStore } from '../storage/object-store.js'
import { type Predicate, UNKNOWN } from '../storage/predicate.js'
import { planScan, prepareScan, type Scan } from '../storage/scan.js'
import { scanRelation } from '../storage/scan-relation.js'
import type { Snapshot } from '../storage/snapshot.js'

/** A table that is read, or the changes of one. */
export interface PlannedTable {
  readonly snapshot: Snapshot
  /** Whose rows they are, where they are changes; `snapshot` is the feed's. */
  readonly feed?: ChangeFeed
  /** Where the rows are no table's: the text that gives them for the chosen files of `snapshot`. */
  readonly made?: MadeRows
}

/** Rows that the gateway makes itself, for as many entries of a list as conditions leave. */
export interface MadeRows {
  /** A sub-select of the same columns without rows. */
  readonly emptyText: string
  /** A sub-select of the rows for `chosen`, to be run on `connection`. */
  readonly text: (chosen: readonly DataFile[], connection: EngineConnection) => Promise<string>
}

/**
 * The scans of a statement's tables, by relation id.
 *
 * `plan` may be called again when more is known of a table; its files become fewer. A text is made
 * when first asked for, is for the connection given here, and lasts until its table is planned anew.
 */
export class PlannedScans {
  readonly #tables: readonly PlannedTable[]
  readonly #store: ObjectStore
  readonly #connection: EngineConnection
  readonly #predicates: string[] = []
  readonly #texts = new Map<number, string>()
  #scans: readonly Scan[] = []

  constructor(tables: readonly PlannedTable[], store: ObjectStore, connection: EngineConnection) {
    this.#tables = tables
    this.#store = store
    this.#connection = connection
  }

  get scans(): readonly Scan[] {
    return this.#scans
  }

  /** Chooses the files of every table whose predicate is another than before. */
  async plan(predicates: ReadonlyMap<number, Predicate>): Promise<void> {
    const scans: Scan[] = []
    for (const [id, { snapshot }] of this.#tables.entries()) {
      const predicate = predicates.get(id) ?? UNKNOWN
      const key = printed(predicate)
      const known = this.#scans[id]
      if (known !== undefined && key === this.#predicates[id]) {
        scans.push(known)
        continue
      }
      await prepareScan(snapshot, predicate)
      scans.push(planScan(snapshot, predicate))
      this.#predicates[id] = key
      this.#texts.delete(id)
    }
    this.#scans = scans
  }

  /** Ids of the tables for which `predicates` says something else than was last planned by. */
  changedBy(predicates: ReadonlyMap<number, Predicate>): readonly number[] {
    return [...this.#tables.keys()].filter(
      (id) => printed(predicates.get(id) ?? UNKNOWN) !== this.#predicates[id],
    )
  }

  /** The DuckDB text of table `id` over its files. */
  async text(id: number): Promise<string> {
    const scan = this.#scans[id]
    if (scan === undefined) return ''
    const text = this.#texts.get(id) ?? (await this.#textOf(id, scan))
    this.#texts.set(id, text)
    return text
  }

  #textOf(id: number, scan: Scan): Promise<string> {
    const { feed, made } = this.#tables[id] ?? {}
    if (made !== undefined) return made.text(scan.files, this.#connection)
    return feed === undefined
      ? scanRelation(this.#store, this.#connection, scan)
      : changeRelation(this.#store, this.#connection, scan, feed)
  }
}

function printed(predicate: Predicate): string {
  return JSON.stringify(predicate, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
}
