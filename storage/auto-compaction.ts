/** AutoCompaction: small files are packed in the background, so that many small writes do not rot a table. */

import { Cancellation } from './cancellation.js'
import { byPartition, planBins } from './compaction.js'
import { parseSize, targetFileSizeBytes } from './data-file.js'
import type { Engine } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import type { ObjectStore } from './object-store.js'
import { clusteringColumns, type OptimizePlan, runOptimize } from './optimize.js'
import type { Snapshot } from './snapshot.js'
import type { Transaction } from './transaction.js'

/** Delta's `autoCompact.minNumFiles` and `autoCompact.maxFileSize`. */
const MIN_FILES = 50
const MAX_FILE_BYTES = 128 * 1024 * 1024

/** Tables whose next look is remembered. */
const TABLES_MAX = 10_000

export interface AutoCompactionOptions {
  readonly store: ObjectStore
  readonly engine: Engine
  readonly latest: (tablePath: string) => Promise<Snapshot | null>
  /** Whether tables are compacted that do not say so themselves. */
  readonly isDefault: boolean
  readonly committed: (transaction: Transaction) => void
  /** Whether somebody is changing the table who would lose to a compaction; nobody unless given. */
  readonly isBusy?: (tablePath: string) => boolean
}

/**
 * Packs the small files of tables after commits that add some; Delta's `AutoCompact`.
 *
 * - A partition has its turn when it has `minNumFiles` files of less than half of `maxFileSize`.
 * - One table at a time. Nobody waits for it, and nobody who only adds conflicts with it; what
 *   conflicts is given up until the next commit.
 * - `delta.autoOptimize.autoCompact` turns it on and off; `lakegate.autoCompact.minNumFiles` and
 *   `lakegate.autoCompact.maxFileSize` say when.
 */
export class AutoCompaction {
  readonly #options: AutoCompactionOptions
  /** Tables whose turn may have come, in order. */
  readonly #due = new Set<string>()
  /** Files that may still be added to a table before it is worth a look. */
  readonly #slack = new Map<string, number>()
  #running: Promise<void> | undefined
  #cancellation: Cancellation | undefined
  #stopped = false

  constructor(options: AutoCompactionOptions) {
    this.#options = options
  }

  /** Looks at the table of a transaction that has committed, when that is worthwhile. */
  noticed(transaction: Transaction): void {
    if (this.#stopped) return
    const { tablePath, target, versions } = transaction
    const added = (versions.at(-1)?.actions ?? []).filter(
      (action) => action.kind === 'add' && action.add.dataChange !== false,
    ).length
    if (added === 0 || !isWanted(target.metadata.configuration, this.#options.isDefault)) return
    const slack = (this.#slack.get(tablePath) ?? 0) - added
    this.#slack.set(tablePath, slack)
    if (slack > 0) return
    this.#due.add(tablePath)
    this.#start()
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#due.size > 0) this.#start()
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Gives up what is under way, and whatever comes. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#due.clear()
    this.#cancellation?.cancel(
      new SqlError(SqlState.adminShutdown, 'the gateway is being shut down'),
    )
    await this.idle()
  }

  async #run(): Promise<void> {
    for (const tablePath of this.#due) {
      this.#due.delete(tablePath)
      // What fails now, by a conflict or for good, is looked at again after later commits.
      await this.#compact(tablePath).catch(() => {
        if (this.#slack.size > TABLES_MAX) this.#slack.clear()
        this.#slack.set(tablePath, MIN_FILES)
      })
    }
  }

  async #compact(tablePath: string): Promise<void> {
    const { store, engine, latest, committed, isBusy } = this.#options
    if (isBusy?.(tablePath) === true) {
      // Its own commit brings the table back.
      this.#slack.set(tablePath, 0)
      return
    }
    const snapshot = await latest(tablePath)
    if (snapshot === null) return
    const { plan, slack } = planAutoCompaction(snapshot)
    this.#slack.set(tablePath, slack)
    if (plan.bins.length === 0 || this.#stopped) return
    const connection = await engine.connect()
    const cancellation = new Cancellation()
    this.#cancellation = cancellation
    connection.attach(cancellation)
    try {
      await runOptimize(store, connection, snapshot, plan, { committed })
    } finally {
      this.#cancellation = undefined
      connection.attach(undefined)
      connection.close()
    }
  }
}

function isWanted(configuration: { readonly [key: string]: string }, isDefault: boolean): boolean {
  const property = configuration['delta.autoOptimize.autoCompact']?.toLowerCase()
  if (property === undefined) return isDefault
  return property !== 'false'
}

/** What automatic compaction would do now, and how many files may be added before it is worth a look again. */
export function planAutoCompaction(snapshot: Snapshot): {
  readonly plan: OptimizePlan
  readonly slack: number
} {
  const { configuration } = snapshot.metadata
  const asked = Number(configuration['lakegate.autoCompact.minNumFiles'] ?? MIN_FILES)
  const minFiles = Number.isInteger(asked) && asked > 1 ? asked : MIN_FILES
  const maxFileBytes = Math.min(
    parseSize(configuration['lakegate.autoCompact.maxFileSize']) ?? MAX_FILE_BYTES,
    targetFileSizeBytes(configuration),
  )
  const minFileSizeBytes = maxFileBytes / 2
  const isClustered = clusteringColumns(snapshot).length > 0
  // What OPTIMIZE has sorted stays sorted.
  const small = snapshot.files
    .smallerThan(minFileSizeBytes)
    .filter((file) => !isClustered || (file.add.clusteringProvider ?? null) === null)
  const groups = small.length < minFiles ? [] : byPartition(snapshot, small)
  const full = groups.filter(({ files }) => files.length >= minFiles)
  const bins = planBins(
    snapshot,
    full.flatMap(({ files }) => lightest(files)),
    { minFileSizeBytes, maxBinSizeBytes: maxFileBytes, maxDeletedShare: 1 },
  )
  const most = groups.reduce((max, { files }) => Math.max(max, files.length), 0)
  return {
    plan: {
      operation: 'OPTIMIZE',
      bins,
      consideredFiles: small.length,
      rewrite: { targetSizeBytes: maxFileBytes * 2 },
      parameters: { predicate: '[]', zOrderBy: '[]', clusterBy: '[]', auto: 'true' },
    },
    slack: bins.length > 0 ? minFiles / 2 : minFiles - (groups.length === 0 ? small.length : most),
  }
}

/**
 * Those of `files` that are worth being copied: from the smallest on, as long as none weighs more
 * than twice what is lighter.
 *
 * So a file is copied as often as its size doubles, not with each batch of new ones.
 */
function lightest(files: readonly DataFile[]): readonly DataFile[] {
  const sizes = files.map((file) => file.sizeBytes).sort((a, b) => a - b)
  let sum = 0
  let limit = 0
  for (const size of sizes) {
    if (sum > 0 && size > 2 * sum) break
    sum += size
    limit = size
  }
  return files.filter((file) => file.sizeBytes <= limit)
}
