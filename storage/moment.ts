/** Moment: every table of a lake as it was at one time, groups of commits as a whole or not at all. */

import type { RecordedDecision } from './group.js'
import type { ObjectStore } from './object-store.js'
import { listCommits, type Snapshot, versionBefore } from './snapshot.js'
import { CLOCK_SKEW_MS, type SnapshotCache } from './snapshot-cache.js'

/**
 * The tables of one lake at one past time.
 *
 * What it has answered stays its answer, so that all statements of all sessions that share it see
 * the same, also where the time is so close that commits of that millisecond are still to come.
 *
 * - A table's version is the newest one committed at or before the time.
 * - A group of commits counts when its record had been put by then and each of its commits had been
 *   made; otherwise none of its tables shows its commit, nor what was built on it.
 */
export class Moment {
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly #store: ObjectStore
  readonly #snapshots: SnapshotCache
  readonly #versions = new Map<string, Promise<number | null>>()
  #groups: Promise<GroupsThen> | undefined

  constructor(store: ObjectStore, snapshots: SnapshotCache, timestampMs: number) {
    this.#store = store
    this.#snapshots = snapshots
    this.timestampMs = timestampMs
  }

  /**
   * The table in the folder `tablePath` as it was, or null when there was none.
   *
   * 22023 when the log does not reach back so far any more.
   */
  async snapshot(tablePath: string): Promise<Snapshot | null> {
    let version = this.#versions.get(tablePath)
    if (version === undefined) {
      version = this.#versionOf(tablePath)
      this.#versions.set(tablePath, version)
      version.catch(() => this.#versions.delete(tablePath))
    }
    const found = await version
    return found === null ? null : this.#snapshots.at(tablePath, found)
  }

  async #versionOf(tablePath: string): Promise<number | null> {
    const newest = await versionBefore(this.#store, tablePath, this.timestampMs)
    if (newest === null) return null
    this.#groups ??= this.#groupsThen()
    const groups = await this.#groups
    const bound = Math.min(newest, groups.bounds.get(tablePath) ?? newest)
    if (bound < 0) return null
    // What other engines and groups still undecided have to say stands in the commits alone.
    const snapshot = await this.#snapshots.at(tablePath, bound)
    let visible = bound
    for (const [group, version] of snapshot?.groups.versions ?? []) {
      if (version > visible || snapshot?.groups.rolledBack.has(group)) continue
      if (!(await this.#counts(group, groups))) visible = version - 1
    }
    return visible < 0 ? null : visible
  }

  /** Whether the group, of which a commit was there, had ended well by then. */
  async #counts(group: string, { counted }: GroupsThen): Promise<boolean> {
    if (counted.has(group)) return true
    const decision = await this.#snapshots.groups.decisionOf(group)
    if (decision?.decision !== 'commit') return false
    const recordedMs = await this.#snapshots.groups.recordedMs(group)
    return recordedMs !== null && recordedMs < this.timestampMs - CLOCK_SKEW_MS
  }

  /** Which of the groups that ended about the time count, and what the others leave of their tables. */
  async #groupsThen(): Promise<GroupsThen> {
    const near = await this.#snapshots.groups.decidedBetween(
      this.timestampMs - CLOCK_SKEW_MS,
      this.timestampMs + CLOCK_SKEW_MS,
    )
    const made = near.filter(({ decision }) => decision === 'commit')
    const times = new Map<string, ReadonlyMap<number, number>>()
    const isLate = async ({ recordedMs, tables }: RecordedDecision): Promise<boolean> => {
      if (recordedMs > this.timestampMs) return true
      for (const [path, version] of Object.entries(tables)) {
        let known = times.get(path)
        if (known === undefined) {
          const commits = await listCommits(this.#store, path)
          known = new Map(commits.map((one) => [one.version, one.timestampMs]))
          times.set(path, known)
        }
        if ((known.get(version) ?? 0) > this.timestampMs) return true
      }
      return false
    }
    const late = new Set<RecordedDecision>()
    const bounds = new Map<string, number>()
    const leaveOut = (one: RecordedDecision): void => {
      late.add(one)
      for (const [path, version] of Object.entries(one.tables)) {
        bounds.set(path, Math.min(bounds.get(path) ?? Number.POSITIVE_INFINITY, version - 1))
      }
    }
    for (const one of made) if (await isLate(one)) leaveOut(one)
    // What was built on a commit that does not count does not count either.
    for (let before = -1; before !== late.size; ) {
      before = late.size
      for (const one of made) {
        const isBehind = Object.entries(one.tables).some(
          ([path, version]) => version > (bounds.get(path) ?? Number.POSITIVE_INFINITY),
        )
        if (!late.has(one) && isBehind) leaveOut(one)
      }
    }
    const counted = made.filter((one) => !late.has(one)).map(({ group }) => group)
    return { counted: new Set(counted), bounds }
  }
}

interface GroupsThen {
  readonly counted: ReadonlySet<string>
  /** The newest version that shows of tables with a group that does not count, by their folders. */
  readonly bounds: ReadonlyMap<string, number>
}
