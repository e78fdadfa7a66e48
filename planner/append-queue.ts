/** AppendQueue: appends of many sessions to one table, committed together when they arrive together. */

import type { AddFile } from '../storage/actions.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Obligation } from '../storage/table-protocol.js'
import { type CommitResult, Transaction } from '../storage/transaction.js'
import { describeChange } from './commit-words.js'

/** Files that one version takes from the queue at most: a commit is read as a whole. */
const FILES_MAX = 10_000

/** One session's append: durable files, made for the table as `base` shows it. */
interface Append {
  readonly base: Snapshot
  readonly adds: readonly AddFile[]
  readonly operations: readonly string[]
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

/** What the queue commits with. */
export interface AppendQueueOptions {
  readonly store: ObjectStore
  readonly fulfilled: ReadonlySet<Obligation>
  readonly committed: (transaction: Transaction) => void
}

/**
 * Group commit for blind appends.
 *
 * While one version of a table is being committed, appends to it wait; what waits when it is done
 * becomes the next version. Nobody waits for company: a lone append is committed at once. Only
 * appends made for the same metadata and protocol share a version, so a change of either is a
 * conflict for all of them or for none.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions
  readonly #waiting = new Map<string, Append[]>()

  constructor(options: AppendQueueOptions) {
    this.#options = options
  }

  /**
   * Commits `adds`, alone or with others; resolved once the version is durable.
   *
   * Fails as Transaction.commit does; an error that only one of those who share a version has is
   * that one's alone.
   */
  append(
    base: Snapshot,
    adds: readonly AddFile[],
    operations: readonly string[],
  ): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      const append = { base, adds, operations, resolve, reject }
      const waiting = this.#waiting.get(base.tablePath)
      if (waiting !== undefined) waiting.push(append)
      else {
        this.#waiting.set(base.tablePath, [append])
        void this.#drain(base.tablePath)
      }
    })
  }

  async #drain(tablePath: string): Promise<void> {
    const waiting = this.#waiting.get(tablePath) ?? []
    while (waiting.length > 0) {
      const group = takeGroup(waiting)
      try {
        await this.#commit(group)
      } catch (thrown) {
        if (group.length === 1 || isUnresolved(thrown))
          for (const { reject } of group) reject(thrown)
        else await this.#commitEach(group)
      }
    }
    this.#waiting.delete(tablePath)
  }

  async #commitEach(group: readonly Append[]): Promise<void> {
    for (const append of group) {
      try {
        await this.#commit([append])
      } catch (thrown) {
        append.reject(thrown)
      }
    }
  }

  async #commit(group: readonly Append[]): Promise<void> {
    const { store, fulfilled, committed } = this.#options
    // From the oldest snapshot on, every commit of others is checked.
    const { base } = group.reduce((oldest, append) =>
      append.base.version < oldest.base.version ? append : oldest,
    )
    const transaction = await Transaction.begin(store, base, { fulfilled })
    const adds = group.flatMap((append) => append.adds)
    transaction.add(adds)
    const result = await transaction.commit(
      describeChange(
        group.flatMap((append) => append.operations),
        adds,
        [],
      ),
    )
    if (result.kind === 'committed') committed(transaction)
    for (const { resolve } of group) resolve(result)
  }
}

/** Takes the appends out of `waiting` that may share a version with the first. */
function takeGroup(waiting: Append[]): Append[] {
  const [first] = waiting
  if (first === undefined) return []
  const group: Append[] = []
  let files = 0
  for (let i = 0; i < waiting.length; ) {
    const append = waiting[i] as Append
    const fits = group.length === 0 || files + append.adds.length <= FILES_MAX
    if (fits && isSameTable(first.base, append.base)) {
      files += append.adds.length
      group.push(append)
      waiting.splice(i, 1)
    } else i++
  }
  return group
}

/** Snapshots that follow one another share these objects until a commit replaces them. */
function isSameTable(a: Snapshot, b: Snapshot): boolean {
  return a.metadata === b.metadata && a.protocol === b.protocol
}

function isUnresolved(thrown: unknown): boolean {
  return thrown instanceof SqlError && thrown.sqlState === SqlState.transactionResolutionUnknown
}
