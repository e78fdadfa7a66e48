/** CopyObjects: objects of a store copied byte by byte, each appearing whole under its new path. */

import { SqlError, SqlState } from './errors.js'
import type { ObjectStore } from './object-store.js'

/** One copy that is to be made; nothing is at `to` yet. */
export interface ObjectCopy {
  readonly from: string
  readonly to: string
  readonly sizeBytes: number
}

/** Bytes that are read at a time. */
const CHUNK_BYTES = 8 * 1024 * 1024

/** Copies that are staged before they get their names. */
const BATCH = 64

/**
 * Copies objects within the store; `folder` is the one that the copies lie below. `check` throws when
 * the statement was cancelled.
 *
 * 58030 when something is at one of the paths, XX001 for an object that is missing or shorter than it
 * should be; some copies may have been made then.
 */
export async function copyObjects(
  store: ObjectStore,
  folder: string,
  copies: readonly ObjectCopy[],
  check: () => void,
): Promise<void> {
  for (let first = 0; first < copies.length; first += BATCH) {
    const batch = copies.slice(first, first + BATCH)
    const staging = await store.openStaging(folder)
    try {
      for (const [i, { from, sizeBytes }] of batch.entries()) {
        for (let offset = 0; offset < sizeBytes; offset += CHUNK_BYTES) {
          check()
          const length = Math.min(CHUNK_BYTES, sizeBytes - offset)
          const bytes = await store.readRange(from, offset, length)
          if (bytes === null || bytes.length < length) {
            throw new SqlError(
              SqlState.dataCorrupted,
              bytes === null ? `the file "${from}" is missing` : `the file "${from}" is too short`,
            )
          }
          await staging.append(String(i), bytes)
        }
      }
      await staging.publish(batch.map(({ to }, i) => ({ name: String(i), path: to })))
    } finally {
      await staging.discard()
    }
  }
}
