/** SnapshotCache: the snapshots that all sessions share, refreshed incrementally and bounded by bytes. */

import { LRUCache } from 'lru-cache'
import type { Engine } from './engine.js'
import type { ObjectStore } from './object-store.js'
import type { FileBlock } from './file-block.js'
import { concurrentUpdate } from './errors.js'
import { FileIndex } from './file-index.js'
import { type GroupDecision, Groups } from './group.js'
import { rollBackCommit } from './group-rollback.js'
import { loadSnapshot, refreshSnapshot, type Snapshot } from './snapshot.js'

/** Rough bytes of a snapshot beside its files and schema. */
const OWN_BYTES = 2000

/** By how much the clocks of gateways and stores may differ. */
export const CLOCK_SKEW_MS = 3_600_000

/** How long statistics may turn into vectors before they are measured. */
const MEASURE_MS = 1000

/** A look for a table's newest version, and the one that comes after it. */
interface Look {
  readonly answer: Promise<Snapshot | null>
  next?: Promise<Snapshot | null>
}

/** How commits of groups are dealt with. */
export interface SnapshotCacheOptions {
  readonly groups?: Groups
  /** Takes a table out of sight whose making was part of an aborted group. */
  readonly onCreateRolledBack?: (tablePath: string, tableId: string) => Promise<void>
}

/**
 * Snapshots by table and version.
 *
 * `latest` asks the store whether a newer version exists each time; callers that ask at once share
 * one answer, which began to be looked for after each of them had asked. A version never changes, so `at` is answered from memory for as long as it fits.
 */
export class SnapshotCache {
  readonly #store: ObjectStore
  readonly #engine: Engine
  readonly #maxBytes: number
  readonly #snapshots = new LRUCache<string, Snapshot>({ max: 10_000 })
  #measuredMs = 0
  readonly #newest = new Map<string, string>()
  readonly #loading = new Map<string, Promise<Snapshot | null>>()
  readonly #looking = new Map<string, Look>()

  readonly groups: Groups
  readonly #onCreateRolledBack: SnapshotCacheOptions['onCreateRolledBack']

  constructor(
    store: ObjectStore,
    engine: Engine,
    maxBytes: number,
    { groups = new Groups(store), onCreateRolledBack }: SnapshotCacheOptions = {},
  ) {
    this.#store = store
    this.#engine = engine
    this.#maxBytes = maxBytes
    this.groups = groups
    this.#onCreateRolledBack = onCreateRolledBack
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

  /**
   * The newest snapshot, or null when the folder holds no Delta log.
   *
   * A commit of a group that has not ended does not show; one of a group that was aborted is taken
   * back first.
   */
  async latest(tablePath: string): Promise<Snapshot | null> {
    for (;;) {
      const newest = await this.#newestOf(tablePath)
      if (newest === null) return null
      const visible = await this.#visible(newest)
      if (visible !== undefined) return visible
    }
  }

  /**
   * The newest snapshot that fits to the versions of other tables that a block has read: of each
   * group that came after one of them, nothing shows.
   *
   * `sinceMs` is when the block began. 40001 when no version fits to all of them.
   */
  async consistent(
    tablePath: string,
    seen: ReadonlyMap<string, number>,
    sinceMs: number,
  ): Promise<Snapshot | null> {
    const newest = await this.latest(tablePath)
    if (newest === null || seen.size === 0) return newest
    const decisions = await this.#decisionsOf(newest, sinceMs)
    const own = (decision: GroupDecision): number => decision.tables[tablePath] ?? -1
    const compare = (test: (seenVersion: number, groupVersion: number) => boolean) =>
      decisions.filter(({ tables }) =>
        [...seen].some(([path, version]) => {
          const inGroup = tables[path]
          return inGroup !== undefined && test(version, inGroup)
        }),
      )
    const later = compare((version, inGroup) => version < inGroup)
    const bound = later.reduce((least, one) => Math.min(least, own(one) - 1), newest.version)
    if (bound === newest.version) return newest
    const isTorn = compare((version, inGroup) => version >= inGroup).some(
      (decision) => own(decision) > bound,
    )
    if (isTorn) {
      throw concurrentUpdate('transaction')
    }
    return bound < 0 ? null : this.at(tablePath, bound)
  }

  /** The groups that committed to the table of `newest`, those of long ago left out. */
  async #decisionsOf(newest: Snapshot, sinceMs: number): Promise<readonly GroupDecision[]> {
    const { tablePath, groups } = newest
    const trail: GroupDecision[] = []
    for (const group of groups.versions.keys()) {
      const decision = await this.groups.decisionOf(group)
      if (decision !== null) trail.push(decision)
    }
    // What was read from a checkpoint of late may hold groups that no commit has told of.
    if (groups.loadedMs >= sinceMs) {
      trail.push(...(await this.groups.decidedSince(sinceMs - CLOCK_SKEW_MS)))
    }
    return trail.filter(
      ({ decision, tables }) => decision === 'commit' && tables[tablePath] !== undefined,
    )
  }

  /** What shows of `newest`; undefined when the log has to be looked at again. */
  async #visible(newest: Snapshot): Promise<Snapshot | null | undefined> {
    const { tablePath, groups } = newest
    for (const [group, version] of groups.versions) {
      if (groups.rolledBack.has(group)) continue
      const ended = (await this.groups.decisionOf(group)) ?? (await this.groups.giveUp(group))
      if (ended?.decision === 'commit') continue
      if (ended !== null) {
        await this.#rollBack(newest, group, version)
        return undefined
      }
      if (version === newest.version) return version === 0 ? null : this.at(tablePath, version - 1)
      // Somebody has built on it: what shows depends on how the group ends.
      await new Promise((resolve) => setTimeout(resolve, 20))
      return undefined
    }
    return newest
  }

  async #rollBack(newest: Snapshot, group: string, version: number): Promise<void> {
    const { tablePath } = newest
    await this.#once(`${tablePath} rollback ${group}`, async () => {
      const before =
        version === 0
          ? { ...newest, version: -1, files: FileIndex.empty }
          : await this.#load(tablePath, version - 1)
      if (before === null) return null
      if (version === 0) await this.#onCreateRolledBack?.(tablePath, newest.metadata.id)
      await rollBackCommit(this.#store, group, version, before, newest)
      return null
    })
  }

  async #newestOf(tablePath: string): Promise<Snapshot | null> {
    return this.#afresh(tablePath, async () => {
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

  /**
   * Shares one answer among those who ask while another is being looked for.
   *
   * An answer that was being looked for already may miss what was committed before they asked, so
   * theirs is looked for after it.
   */
  #afresh(tablePath: string, load: () => Promise<Snapshot | null>): Promise<Snapshot | null> {
    const running = this.#looking.get(tablePath)
    if (running?.next !== undefined) return running.next
    const begin = (): Promise<Snapshot | null> => {
      const look: Look = {
        answer: load().finally(() => {
          if (this.#looking.get(tablePath) === look) this.#looking.delete(tablePath)
        }),
      }
      this.#looking.set(tablePath, look)
      return look.answer
    }
    if (running === undefined) return begin()
    running.next = running.answer.then(begin, begin)
    return running.next
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
