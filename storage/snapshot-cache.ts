/** SnapshotCache: the snapshots that all sessions share, refreshed incrementally and bounded by bytes. */

import { LRUCache } from 'lru-cache'
import type { Engine } from './engine.js'
import type { ObjectStore } from './object-store.js'
import { loadSnapshot, refreshSnapshot, type Snapshot } from './snapshot.js'

/** Rough bytes a file of a snapshot holds in memory beside its statistics text. */
const FILE_BYTES = 400

/**
 * Snapshots by table and version.
 *
 * `latest` asks the store whether a newer version exists each time; callers that ask at once share
 * one answer. A version never changes, so `at` is answered from memory for as long as it fits.
 */
export class SnapshotCache {
  readonly #store: ObjectStore
  readonly #engine: Engine
  readonly #snapshots: LRUCache<string, Snapshot>
  readonly #newest = new Map<string, string>()
  readonly #loading = new Map<string, Promise<Snapshot | null>>()

  constructor(store: ObjectStore, engine: Engine, maxBytes: number) {
    this.#store = store
    this.#engine = engine
    this.#snapshots = new LRUCache<string, Snapshot>({
      maxSize: maxBytes,
      sizeCalculation: (snapshot) =>
        snapshot.files.reduce(
          (sum, file) => sum + FILE_BYTES + (file.add.stats?.length ?? 0),
          2000,
        ),
    })
  }

  /** The newest snapshot, or null when the folder holds no Delta log. */
  async latest(tablePath: string): Promise<Snapshot | null> {
    return this.#once(`${tablePath} latest`, async () => {
      const key = this.#newest.get(tablePath)
      const known = key === undefined ? undefined : this.#snapshots.get(key)
      // A table that was dropped and made anew has another log: its first commit tells.
      const fresh =
        known === undefined || !(await this.#sameLog(known))
          ? await this.#load(tablePath, null)
          : await refreshSnapshot(this.#store, known)
      if (fresh === null) {
        this.#newest.delete(tablePath)
        return null
      }
      const freshKey = keyOf(fresh)
      this.#snapshots.set(freshKey, fresh)
      this.#newest.set(tablePath, freshKey)
      return fresh
    })
  }

  /** The snapshot of that version; 22023 naming the versions that exist when it cannot be had. */
  async at(tablePath: string, version: number): Promise<Snapshot | null> {
    return this.#once(`${tablePath} ${version}`, async () => {
      const known = this.#snapshots.get(`${tablePath}@${version}`)
      if (known !== undefined && (await this.#sameLog(known))) return known
      const loaded = await this.#load(tablePath, version)
      if (loaded !== null) this.#snapshots.set(keyOf(loaded), loaded)
      return loaded
    })
  }

  async #sameLog(snapshot: Snapshot): Promise<boolean> {
    const path = `${snapshot.tablePath}/_delta_log/${String(snapshot.version).padStart(20, '0')}.json`
    const object = await this.#store.stat(path)
    if (object === null) return false
    const stamp = this.#stamps.get(snapshot)
    if (stamp === undefined) {
      this.#stamps.set(snapshot, object.modifiedMs)
      return true
    }
    return stamp === object.modifiedMs
  }

  readonly #stamps = new WeakMap<Snapshot, number>()

  async #load(tablePath: string, version: number | null): Promise<Snapshot | null> {
    const connection = await this.#engine.connect()
    try {
      const snapshot = await loadSnapshot(this.#store, connection, tablePath, version)
      if (snapshot !== null) await this.#sameLog(snapshot)
      return snapshot
    } finally {
      connection.close()
    }
  }

  async #once(key: string, load: () => Promise<Snapshot | null>): Promise<Snapshot | null> {
    const under = this.#loading.get(key)
    if (under !== undefined) return under
    const loading = load()
    this.#loading.set(key, loading)
    try {
      return await loading
    } finally {
      this.#loading.delete(key)
    }
  }
}

function keyOf(snapshot: Snapshot): string {
  return `${snapshot.tablePath}@${snapshot.version}`
}
