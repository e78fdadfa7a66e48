/** Checksum: the `.crc` file beside a commit, which sums up the version for those who check. */

import { metadataRecord, protocolRecord } from './action-writer.js'
import type { AddFile, Metadata, Protocol, RemoveFile, SetTransaction } from './actions.js'
import { deletionVectorId } from './deletion-vector.js'
import { resolvePath } from './file-path.js'
import { printLossless } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'
import { fileCount, fileKey, liveFiles, type Snapshot } from './snapshot.js'
import type { VersionActions } from './transaction.js'

/** What a version's files and records add up to. */
interface Totals {
  numFiles: number
  sizeBytes: number
  protocol: Protocol | null
  metadata: Metadata | null
  readonly transactions: Map<string, SetTransaction>
  readonly domains: Map<string, string>
  inCommitTimestamp: number | null
  txnId: string | null
}

/**
 * The checksum of the last of `versions`, which follow on `base` without a gap; null when it would
 * have no protocol or no metadata.
 *
 * The last of them is the caller's own transaction: what it removes is live and says its size, and
 * what it adds is new, so that a plain append costs the same whatever the size of the table.
 *
 * Delta protocol, "Version Checksum File".
 */
export function makeChecksum(
  store: ObjectStore,
  base: Snapshot | null,
  tablePath: string,
  versions: readonly VersionActions[],
): Uint8Array | null {
  const totals: Totals = {
    numFiles: base === null ? 0 : fileCount(base),
    sizeBytes: base?.sizeBytes ?? 0,
    protocol: base?.protocol ?? null,
    metadata: base?.metadata ?? null,
    transactions: new Map(base?.transactions),
    domains: new Map(base?.domains),
    inCommitTimestamp: null,
    txnId: null,
  }
  const sizes = new LiveSizes(base)
  for (const [i, { actions }] of versions.entries()) {
    totals.inCommitTimestamp = null
    totals.txnId = null
    const isOwn = i === versions.length - 1
    for (const action of actions) {
      switch (action.kind) {
        case 'protocol':
          totals.protocol = action.protocol
          break
        case 'metaData':
          totals.metadata = action.metaData
          break
        case 'txn':
          totals.transactions.set(action.txn.appId, action.txn)
          break
        case 'domainMetadata': {
          const { domain, configuration, removed } = action.domainMetadata
          if (removed) totals.domains.delete(domain)
          else totals.domains.set(domain, configuration)
          break
        }
        case 'commitInfo': {
          const { inCommitTimestamp, txnId } = action.commitInfo
          totals.inCommitTimestamp =
            typeof inCommitTimestamp === 'number' ? inCommitTimestamp : null
          totals.txnId = typeof txnId === 'string' ? txnId : null
          break
        }
        default:
      }
    }
    const keyOf = (file: AddFile | RemoveFile): string => {
      const path = resolvePath(store, tablePath, file.path)
      const vector = deletionVectorId(file.deletionVector)
      return vector === null ? path : `${path}\u0000${vector}`
    }
    for (const action of actions) {
      if (action.kind !== 'remove') continue
      const known = isOwn && typeof action.remove.size === 'number' ? action.remove.size : null
      const size = known ?? sizes.take(keyOf(action.remove))
      if (size === null) continue
      totals.numFiles--
      totals.sizeBytes -= size
    }
    for (const action of actions) {
      if (action.kind !== 'add') continue
      if (!isOwn || action.add.dataChange === false) {
        // A file may be added again, with other tags or statistics.
        const before = sizes.take(keyOf(action.add))
        if (before !== null) {
          totals.numFiles--
          totals.sizeBytes -= before
        }
        sizes.put(keyOf(action.add), action.add.size)
      }
      totals.numFiles++
      totals.sizeBytes += action.add.size
    }
  }
  const { protocol, metadata } = totals
  if (protocol === null || metadata === null) return null
  const record = {
    ...(totals.txnId === null ? {} : { txnId: totals.txnId }),
    tableSizeBytes: totals.sizeBytes,
    numFiles: totals.numFiles,
    numMetadata: 1,
    numProtocol: 1,
    ...(totals.inCommitTimestamp === null
      ? {}
      : { inCommitTimestampOpt: totals.inCommitTimestamp }),
    setTransactions: [...totals.transactions.values()],
    domainMetadata: [...totals.domains].map(([domain, configuration]) => ({
      domain,
      configuration,
      removed: false,
    })),
    metadata: metadataRecord(metadata),
    protocol: protocolRecord(protocol),
  }
  return new TextEncoder().encode(`${printLossless(record)}\n`)
}

/** The sizes of the live files by key; those of the snapshot are gone through only when asked for. */
class LiveSizes {
  readonly #base: Snapshot | null
  #sizes: Map<string, number> | null = null

  constructor(base: Snapshot | null) {
    this.#base = base
  }

  /** The size of the file, which is gone afterwards; null when it is not live. */
  take(key: string): number | null {
    const sizes = this.#load()
    const size = sizes.get(key)
    if (size === undefined) return null
    sizes.delete(key)
    return size
  }

  put(key: string, size: number): void {
    this.#load().set(key, size)
  }

  #load(): Map<string, number> {
    if (this.#sizes !== null) return this.#sizes
    const sizes = new Map<string, number>()
    if (this.#base !== null) {
      for (const file of liveFiles(this.#base)) sizes.set(fileKey(file), file.add.size)
    }
    this.#sizes = sizes
    return sizes
  }
}
