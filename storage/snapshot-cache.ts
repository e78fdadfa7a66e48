/** SnapshotCache: the snapshots that all sessions share, refreshed incrementally and bounded by bytes. */

import { LRUCache } from 'lru-cache'
import type { Engine } from './engine.js'
import type { ObjectStore } from './object-store.js'
import type { FileBlock } from './file-block.js'
import { loadSnapshot, refreshSnapshot, type Snapshot } from './snapshot.js'

/** Rough bytes of a snapshot beside its files and schema. */
const OWN_BYTES = 2000

/** How long statistics may turn into vectors before they are measured. */
const MEASURE_MS = 1000

/**
 * Snapshots by table and version.
 *
 * `latest` asks the store whether a newer version exists each time; callers that ask at once share
 * one answer. A version never changes, so `at` is answered from memory for as long as it fits.
 */
export class SnapshotCache {
  readonly #store: ObjectStore
  readonly #engine: Engine
  readonly #maxBytes: number
  readonly #snapshots = new LRUCache<string, Snapshot>({ max: 10_000 })
  #measuredMs = 0
  readonly #newest = new Map<string, string>()
  readonly #loading = new Map<string, Promise<Snapshot | null>>()

  constructor(store: ObjectStore, engine: Engine, maxBytes: number) {
    this.#store = store
    this.#engine = engine
    this.#maxBytes = maxBytes
  }

  /** Bytes held now; a block that several versions share counts once. */
  get byteLength(): number {
    const blocks = new Set<FileBlock>()
    let bytes = 0
    for (const snapshot of this.#snapshots.values()) {
      bytes += OWN_BYTES + snapshot.metadata.schemaString.length * 8 + snapshot.files.ownBytes
      for (const { block } of snapshot.files.segments) blocks.add(block)
    }
    for (const block of blocks) bytes += block.byteLength
    return bytes
  }

  #keep(snapshot: Snapshot): void {
    this.#snapshots.set(keyOf(snapshot), snapshot)
    // Statistics become vectors as they are asked for, so what is held is measured anew each time.
    this.#measuredMs = Date.now()
    while (this.#snapshots.size > 0 && this.byteLength > this.#maxBytes) this.#snapshots.pop()
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
      // Measuring what is held is for changes, not for each statement.
      if (fresh !== known || Date.now() > this.#measuredMs + MEASURE_MS) this.#keep(fresh)
      this.#newest.set(tablePath, keyOf(fresh))
      return fresh
    })
  }

  /** The snapshot of that version; 22023 naming the versions that exist when it cannot be had. */
  async at(tablePath: string, version: number): Promise<Snapshot | null> {
    return this.#once(`${tablePath} ${version}`, async () => {
      const known = this.#snapshots.get(`${tablePath}@${version}`)
      if (known !== undefined && (await this.#sameLog(known))) return known
      const loaded = await this.#load(tablePath, version)
      if (loaded !== null) this.#keep(loaded)
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
