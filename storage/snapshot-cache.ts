/** SnapshotCache: the snapshots that all sessions share, refreshed incrementally and bounded by bytes. */

import { LRUCache } from 'lru-cache'
import type { Engine } from './engine.js'
import type { ObjectStore } from './object-store.js'
import type { FileBlock } from './file-block.js'
import { concurrentUpdate, SqlError, SqlState } from './errors.js'
import { FileIndex } from './file-index.js'
import { CATALOG_MEMBER, type GroupDecision, Groups } from './group.js'
import { RewrittenGroupError, rollBackCommit } from './group-rollback.js'
import { commitPath } from './log-path.js'
import { loadSnapshot, refreshSnapshot, type Snapshot } from './snapshot.js'

/** Rough bytes of a snapshot beside its files and schema. */
const OWN_BYTES = 2000

/** By how much the clocks of gateways and stores may differ. */
export const CLOCK_SKEW_MS = 3_600_000

/** By how much they may differ where more would refuse what could be answered. */
const CLOCK_DRIFT_MS = 60_000

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
   * The newest snapshot for one who replaces all of it, and the groups that are taken back by that:
   * those whose files another engine has rewritten, for which `latest` refuses the table.
   */
  async replaceable(
    tablePath: string,
  ): Promise<{ readonly snapshot: Snapshot; readonly aborted: readonly string[] } | null> {
    try {
      const snapshot = await this.latest(tablePath)
      return snapshot === null ? null : { snapshot, aborted: [] }
    } catch (thrown) {
      if (!(thrown instanceof RewrittenGroupError)) throw thrown
      const snapshot = await this.#newestOf(tablePath)
      if (snapshot === null) return null
      const aborted = await this.#uncounted(snapshot)
      for (const group of aborted.keys()) {
        if ((await this.groups.decisionOf(group)) === null) throw thrown
      }
      return { snapshot, aborted: [...aborted.keys()] }
    }
  }

  /**
   * The newest snapshot that fits to the versions of other tables that a block has read: of each
   * group that came after one of them, nothing shows.
   *
   * `sinceMs` is when the block began. 40001 when no version fits to all of them, or the one that
   * does is older than the block.
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
    const snapshot = bound < 0 ? null : await this.#exactly(tablePath, bound)
    const whole = snapshot === null ? null : await this.#whole(snapshot)
    const isTorn = compare((version, inGroup) => version >= inGroup).some(
      (decision) => own(decision) > (whole?.version ?? -1),
    )
    const hides = async (): Promise<boolean> =>
      this.#hides(newest, whole?.version ?? -1, new Set(later.map(own)), sinceMs)
    if (whole === undefined || isTorn || (await hides())) throw concurrentUpdate('transaction')
    return whole
  }

  /**
   * Whether a block that began at `sinceMs` would miss what had been committed by then, when it reads
   * `version` instead of `newest`: a commit behind one of the groups in `later`, made while that was
   * not decided yet.
   */
  async #hides(
    { tablePath, groups, version: newest }: Snapshot,
    version: number,
    later: ReadonlySet<number>,
    sinceMs: number,
  ): Promise<boolean> {
    const harmless = new Set([...later, ...groups.rolledBack.values()])
    for (const group of groups.rolledBack.keys()) {
      const taken = groups.versions.get(group)
      if (taken !== undefined) harmless.add(taken)
    }
    let oldest = version + 1
    while (harmless.has(oldest)) oldest++
    if (oldest > newest) return false
    const commit = await this.#store.stat(`${tablePath}/${commitPath(oldest)}`)
    return commit === null || commit.modifiedMs < sinceMs + CLOCK_DRIFT_MS
  }

  /**
   * What gateways showed when `snapshot` was the newest: it, or the version before commits of groups
   * that it ends with and that do not count. Undefined when other commits came behind such a one.
   */
  async #whole(snapshot: Snapshot): Promise<Snapshot | null | undefined> {
    const open = await this.#uncounted(snapshot)
    const [first] = open.values()
    if (first === undefined) return snapshot
    if (open.size <= snapshot.version - first) return undefined
    return first === 0 ? null : this.#exactly(snapshot.tablePath, first - 1)
  }

  /** The groups of a snapshot that are aborted or have not ended, and their versions in order. */
  async #uncounted({ groups }: Snapshot): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>()
    for (const [group, version] of groups.versions) {
      if (groups.rolledBack.has(group)) continue
      const ended = (await this.groups.decisionOf(group)) ?? (await this.groups.giveUp(group))
      if (ended?.decision !== 'commit') found.set(group, version)
    }
    return found
  }

  /** Whether one of the transactions that show in `snapshot` has changed names, too. */
  async followsNames(snapshot: Snapshot): Promise<boolean> {
    for (const group of snapshot.groups.versions.keys()) {
      const decision = await this.groups.decisionOf(group)
      if (decision?.tables[CATALOG_MEMBER] !== undefined) return true
    }
    return false
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
      if (version === newest.version)
        return version === 0 ? null : this.#exactly(tablePath, version - 1)
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

  /**
   * The snapshot of that version; 22023 naming the versions that exist when it cannot be had.
   *
   * A version that ends with commits of groups that do not count is what it was before them. 55000
   * when others were committed behind such a one before it was taken back.
   */
  async at(tablePath: string, version: number): Promise<Snapshot | null> {
    const snapshot = await this.#exactly(tablePath, version)
    const whole = snapshot === null ? null : await this.#whole(snapshot)
    if (whole !== undefined) return whole
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      `version ${version} of table "${tablePath}" holds a part of a transaction that was not committed`,
      { hint: 'DESCRIBE HISTORY tells in which version it was taken back (ROLLBACK).' },
    )
  }

  async #exactly(tablePath: string, version: number): Promise<Snapshot | null> {
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
