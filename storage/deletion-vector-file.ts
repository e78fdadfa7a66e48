/** Deletion vector file: the deleted rows of several data files, written as one file. */

import { randomBytes } from 'node:crypto'
import type { AddFile, DeletionVectorDescriptor } from './actions.js'
import {
  type DeletedRows,
  encodeBitmapArray,
  encodeZ85,
  printDeletionVectorFile,
} from './deletion-vector.js'
import { assert } from './errors.js'
import { jsonMembers } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'
import { encodeLogPath } from './partition-value.js'

/**
 * Writes one file with a vector for each of `vectors`, durably, and answers their descriptors in
 * that order.
 *
 * Each vector is the whole set of its file's deleted rows, ascending and not empty: the rows deleted
 * before belong to it. `naming` 'relative' (storage type `u`) is what tables use; 'absolute' (`p`)
 * is for vectors that another folder's table shall find.
 *
 * Delta protocol, "Deletion Vector Format".
 */
export async function writeDeletionVectors(
  store: ObjectStore,
  tablePath: string,
  vectors: readonly DeletedRows[],
  naming: 'relative' | 'absolute' = 'relative',
): Promise<readonly DeletionVectorDescriptor[]> {
  if (vectors.length === 0) return []
  const uuid = randomBytes(16)
  const hex = uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const path = `${tablePath}/deletion_vector_${hex}.bin`
  const root = store.root.startsWith('/') ? `file://${store.root}` : store.root
  const descriptors: DeletionVectorDescriptor[] = []
  const parts: Uint8Array[] = [Uint8Array.of(FORMAT_VERSION)]
  let offset = 1
  for (const rows of vectors) {
    assert(rows.length > 0, 'a deletion vector has rows')
    const bitmap = encodeBitmapArray(rows)
    descriptors.push({
      storageType: naming === 'relative' ? 'u' : 'p',
      pathOrInlineDv: naming === 'relative' ? encodeZ85(uuid) : encodeAbsolute(`${root}/${path}`),
      offset,
      sizeInBytes: bitmap.length,
      cardinality: rows.length,
    })
    // The format's version byte stands once, before the first vector.
    const framed = printDeletionVectorFile(bitmap).subarray(1)
    parts.push(framed)
    offset += framed.length
  }
  await store.write(path, Buffer.concat(parts))
  return descriptors
}

/**
 * The data file `add` with another deletion vector, as it is added after it was removed.
 *
 * Its statistics stay, but their bounds are no longer tight, and they count `rowCount`, all rows of
 * the Parquet file, as the specification asks of every file with a vector.
 */
export function withDeletionVector(
  add: AddFile,
  vector: DeletionVectorDescriptor,
  rowCount: number,
): AddFile {
  const kept = jsonMembers(add.stats ?? '{}').filter(
    ([name]) => name !== 'numRecords' && name !== 'tightBounds',
  )
  // Put together as texts, so that no digit of a bound is lost.
  const members = [
    ['numRecords', String(rowCount)] as const,
    ...kept,
    ['tightBounds', 'false'] as const,
  ].map(([name, value]) => `${JSON.stringify(name)}:${value}`)
  return { ...add, stats: `{${members.join(',')}}`, deletionVector: vector, dataChange: true }
}

const FORMAT_VERSION = 1

function encodeAbsolute(url: string): string {
  const scheme = /^[a-z0-9]+:\/\//i.exec(url)?.[0] ?? ''
  return scheme + encodeLogPath(url.slice(scheme.length))
}
