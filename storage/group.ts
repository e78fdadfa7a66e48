/** Group: commits of several tables that count together or not at all. */

import { LRUCache } from 'lru-cache'
import type { Action } from './actions.js'
import { SqlError, SqlState } from './errors.js'
import type { ObjectStore } from './object-store.js'

/** Tag in the commitInfo of a group's commits: the group's id. */
export const GROUP_TAG = 'lakegate.group'

/** Tag of the commit that takes commits of groups back: their ids, with commas between them. */
export const ROLLBACK_TAG = 'lakegate.rollback'

/**
 * How a group ended, for good: the first record that is put decides.
 *
 * `tables` are the versions of a group that committed, by the folder of the table, and the number of
 * its entry of the catalog, if any, under CATALOG_MEMBER.
 */
export interface GroupDecision {
  readonly decision: 'commit' | 'abort'
  readonly tables: { readonly [tablePath: string]: number }
}

/** A decision, and when its record was put by the store's clock. */
export interface RecordedDecision extends GroupDecision {
  readonly group: string
  /** Milliseconds since 1970. */
  readonly recordedMs: number
}

/** What a replay has met of groups; versions that a checkpoint sums up are not among them. */
export interface GroupTrail {
  /** The version of each group's commit, by the group's id, oldest first. */
  readonly versions: ReadonlyMap<string, number>
  /** The version in which each group's commit was taken back, by the group's id. */
  readonly rolledBack: ReadonlyMap<string, number>
  /** When the replay began that later commits were added to, in milliseconds since 1970. */
  readonly loadedMs: number
}

/** Groups of a table that are remembered; older ones are decided since long. */
const TRAIL_MAX = 256

/** Milliseconds that another gateway gives a group before it ends it; its commits take a fraction. */
const TIMEOUT_MS = 10_000

const FOLDER = '_lakegate/groups'

/** The catalog's log, which takes part in a group by an entry of it as tables do by a version. */
export const CATALOG_MEMBER = '_lakegate/catalog'

/** The trail of a replay that begins now. */
export function emptyTrail(): GroupTrail {
  return { versions: new Map(), rolledBack: new Map(), loadedMs: Date.now() }
}

/** `trail` with what the commit of `version` says of groups. */
export function followTrail(
  trail: GroupTrail,
  version: number,
  actions: readonly Action[],
): GroupTrail {
  for (const action of actions) {
    if (action.kind !== 'commitInfo') continue
    const tags = action.commitInfo.tags as { readonly [name: string]: unknown } | null | undefined
    const [group, rollback] = [tags?.[GROUP_TAG], tags?.[ROLLBACK_TAG]]
    if (typeof group === 'string') {
      const versions = new Map([...trail.versions, [group, version] as const].slice(-TRAIL_MAX))
      return { ...trail, versions }
    }
    if (typeof rollback === 'string') {
      const taken = rollback.split(',').map((one) => [one, version] as const)
      const rolledBack = new Map([...trail.rolledBack, ...taken].slice(-TRAIL_MAX))
      return { ...trail, rolledBack }
    }
  }
  return trail
}

/** The groups of one lake: their records, and how long each has been waited for. */
export class Groups {
  readonly #store: ObjectStore
  readonly #timeoutMs: number
  readonly #decided = new LRUCache<string, GroupDecision>({ max: 10_000 })
  readonly #firstSeenMs = new LRUCache<string, number>({ max: 10_000 })

  constructor(store: ObjectStore, timeoutMs: number = TIMEOUT_MS) {
    this.#store = store
    this.#timeoutMs = timeoutMs
  }

  /** How the group ended, or null while it has not. */
  async decisionOf(group: string): Promise<GroupDecision | null> {
    const known = this.#decided.get(group)
    if (known !== undefined) return known
    const bytes = await this.#store.read(recordPath(group))
    if (bytes === null) return null
    const decision = parseDecision(bytes, group)
    this.#decided.set(group, decision)
    return decision
  }

  /**
   * Ends the group, unless somebody has: what stands is answered.
   *
   * 08007 when that cannot be found out.
   */
  async decide(group: string, wanted: GroupDecision): Promise<GroupDecision> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(wanted)}\n`)
    let cause: unknown
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        const outcome = await this.#store.putIfAbsent(recordPath(group), bytes)
        if (outcome === 'created') {
          this.#decided.set(group, wanted)
          return wanted
        }
        const stands = await this.decisionOf(group)
        if (stands !== null) return stands
      } catch (thrown) {
        cause = thrown
      }
      await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** attempt))
    }
    throw new SqlError(
      SqlState.transactionResolutionUnknown,
      'whether the transaction was committed is not known',
      {
        detail: `The record of group "${group}" could not be read back.`,
        hint: 'Look whether the changes are there before making them again.',
        cause,
      },
    )
  }

  /** Ends a group that has been waited for long enough, for its gateway must be gone; else null. */
  async giveUp(group: string): Promise<GroupDecision | null> {
    const nowMs = Date.now()
    const firstSeenMs = this.#firstSeenMs.get(group) ?? nowMs
    this.#firstSeenMs.set(group, firstSeenMs)
    if (nowMs - firstSeenMs < this.#timeoutMs) return null
    return this.decide(group, { decision: 'abort', tables: {} })
  }

  /** Every decision whose record is newer than `sinceMs`, by the store's clock. */
  async decidedSince(sinceMs: number): Promise<readonly GroupDecision[]> {
    return this.decidedBetween(sinceMs, Number.POSITIVE_INFINITY)
  }

  /** Every decision whose record was put from `fromMs` to `toMs`, by the store's clock. */
  async decidedBetween(fromMs: number, toMs: number): Promise<readonly RecordedDecision[]> {
    const found: RecordedDecision[] = []
    for (const { path, modifiedMs } of await this.#store.listFolder(FOLDER)) {
      const group = /\/([^/]+)\.json$/.exec(path)?.[1]
      if (group === undefined || modifiedMs < fromMs || modifiedMs > toMs) continue
      const decision = await this.decisionOf(group)
      if (decision !== null) found.push({ ...decision, group, recordedMs: modifiedMs })
    }
    return found
  }

  /** When the group's record was put, in milliseconds since 1970 by the store's clock; null without one. */
  async recordedMs(group: string): Promise<number | null> {
    return (await this.#store.stat(recordPath(group)))?.modifiedMs ?? null
  }
}

function recordPath(group: string): string {
  return `${FOLDER}/${group}.json`
}

function parseDecision(bytes: Uint8Array, group: string): GroupDecision {
  try {
    const { decision, tables } = JSON.parse(new TextDecoder().decode(bytes)) as GroupDecision
    if ((decision === 'commit' || decision === 'abort') && typeof tables === 'object') {
      return { decision, tables }
    }
  } catch {
    // Told below.
  }
  throw new SqlError(SqlState.dataCorrupted, `the record of group "${group}" is corrupt`)
}
