/** Row tracking: the ids that a table hands out to the rows of its files. */

import type { AddFile } from './actions.js'
import { assert } from './errors.js'

/** The domain that keeps the highest id; each commit raises it, and none conflicts over it. */
export const ROW_TRACKING_DOMAIN = 'delta.rowTracking'

/** The highest id the domain's configuration names; -1 before the first. */
export function parseHighWaterMark(configuration: string | undefined): bigint {
  const match = /"rowIdHighWaterMark"\s*:\s*"?(-?\d+)/.exec(configuration ?? '')
  return match === null ? -1n : BigInt(match[1] ?? -1)
}

/** The domain's configuration for a highest id. */
export function printHighWaterMark(mark: bigint): string {
  return `{"rowIdHighWaterMark":${mark}}`
}

/**
 * `adds` with the ids that follow `mark`, and the mark after them.
 *
 * Files that have ids keep them: they are known ones with another deletion vector.
 *
 * Delta protocol, "Row Tracking".
 */
export function numberRows(
  adds: readonly AddFile[],
  version: number,
  mark: bigint,
): { readonly adds: readonly AddFile[]; readonly highWaterMark: bigint } {
  let highWaterMark = mark
  const numbered = adds.map((add) => {
    if ((add.baseRowId ?? null) !== null) return add
    const stats = JSON.parse(add.stats ?? '{}') as { readonly numRecords?: unknown }
    assert(typeof stats.numRecords === 'number', 'a file with row ids has a count of rows')
    const first = highWaterMark + 1n
    highWaterMark += BigInt(stats.numRecords)
    const baseRowId = Number.isSafeInteger(Number(first)) ? Number(first) : first
    return { ...add, baseRowId, defaultRowCommitVersion: version }
  })
  return { adds: numbered, highWaterMark }
}
