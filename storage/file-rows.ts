/** FileRows: how many rows a data file has, and which of them are deleted. */

import { type DeletedRows, readDeletionVector } from './deletion-vector.js'
import type { EngineConnection } from './engine.js'
import type { DataFile } from './file-index.js'
import { lentLiteral } from './lent-file.js'
import { jsonMembers } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'

/** The rows of each of `files`, deleted ones included: by its statistics, else by its footer. */
export async function fileRowCounts(
  store: ObjectStore,
  connection: EngineConnection,
  files: readonly DataFile[],
): Promise<readonly number[]> {
  const counts: number[] = []
  for (const file of files) {
    counts.push(statedCount(file) ?? (await footerCount(store, connection, file)))
  }
  return counts
}

/** Rows of the file by its statistics, deleted ones included; null without. */
export function statedCount(file: DataFile): number | null {
  const { stats } = file.add
  if (stats === null || stats === undefined || stats === '') return null
  const found = jsonMembers(stats).find(([name]) => name === 'numRecords')?.[1]
  const count = Number(found)
  return found !== undefined && Number.isSafeInteger(count) ? count : null
}

async function footerCount(
  store: ObjectStore,
  connection: EngineConnection,
  file: DataFile,
): Promise<number> {
  const url = await lentLiteral(store, connection, file)
  const [row] = await connection.query(`SELECT num_rows FROM parquet_file_metadata(${url})`)
  return Number(row?.[0])
}

/** The rows of `file` that are deleted, or are to be: `more` are ascending and not deleted yet. */
export async function deletedRowsOf(
  store: ObjectStore,
  tablePath: string,
  file: DataFile,
  more: DeletedRows,
): Promise<DeletedRows> {
  if (file.deletionVector === null) return more
  const before = await readDeletionVector(store, tablePath, file.deletionVector)
  const merged: number[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < more.length) {
    const [a, b] = [before[i] ?? Number.POSITIVE_INFINITY, more[j] ?? Number.POSITIVE_INFINITY]
    merged.push(Math.min(a, b))
    if (a <= b) i++
    if (b <= a) j++
  }
  return merged
}
