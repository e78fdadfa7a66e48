/** Commit info: what a commit says about itself. */

import type { CommitInfo } from './actions.js'
import type { IsolationLevel } from './conflict-checker.js'
import { LAKEGATE_VERSION } from './version.js'

/** What a statement did, in the words of DESCRIBE HISTORY. */
export interface CommitDescription {
  /** Delta's name of the operation: `WRITE`, `DELETE`, `CREATE TABLE AS SELECT`. */
  readonly operation: string
  readonly parameters?: { readonly [name: string]: string }
  /** Counts by Delta's names: `numOutputRows`, `numFiles`. */
  readonly metrics?: { readonly [name: string]: number | bigint }
  readonly userMetadata?: string
  readonly tags?: { readonly [name: string]: string }
}

/** What the transaction knows beside the description. */
export interface CommitFacts {
  readonly timestampMs: number
  /** Set where the table has in-commit timestamps. */
  readonly inCommitTimestampMs: number | null
  /** The version that was read; null for a table that is made. */
  readonly readVersion: number | null
  readonly isolation: IsolationLevel
  readonly isBlindAppend: boolean
  /** Names this attempt to commit, whoever asks later whether it succeeded. */
  readonly txnId: string
  readonly tags?: { readonly [name: string]: string }
}

/** The commitInfo of one commit; Delta protocol, "Commit Provenance Information". */
export function makeCommitInfo(description: CommitDescription, facts: CommitFacts): CommitInfo {
  const metrics = Object.entries(description.metrics ?? {}).map(([name, value]) => [
    name,
    String(value),
  ])
  return {
    ...(facts.inCommitTimestampMs === null ? {} : { inCommitTimestamp: facts.inCommitTimestampMs }),
    timestamp: facts.timestampMs,
    operation: description.operation,
    operationParameters: description.parameters ?? {},
    ...(facts.readVersion === null ? {} : { readVersion: facts.readVersion }),
    isolationLevel: facts.isolation,
    isBlindAppend: facts.isBlindAppend,
    operationMetrics: Object.fromEntries(metrics),
    ...(description.userMetadata === undefined ? {} : { userMetadata: description.userMetadata }),
    ...(facts.tags === undefined && description.tags === undefined
      ? {}
      : { tags: { ...description.tags, ...facts.tags } }),
    engineInfo: `Lakegate/${LAKEGATE_VERSION}`,
    txnId: facts.txnId,
  }
}
