/** Change data: the files in which a version's changed rows stand, for readers of the table's feed. */

import type { AddCdcFile, AddFile } from './actions.js'
import { writeDataFiles, type RowSource, type WriteTarget } from './data-file.js'
import type { EngineConnection } from './engine.js'
import { type DataFile, FileIndex } from './file-index.js'
import { resolvePath } from './file-path.js'
import type { ObjectStore } from './object-store.js'
import { scanRelation } from './scan-relation.js'
import type { StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'
import { supportsFeature } from './table-protocol.js'

/** What happened to a row; values of CHANGE_TYPE_COLUMN. */
export type ChangeType = 'insert' | 'update_preimage' | 'update_postimage' | 'delete'

export const CHANGE_TYPE_COLUMN = '_change_type'
export const COMMIT_VERSION_COLUMN = '_commit_version'
export const COMMIT_TIMESTAMP_COLUMN = '_commit_timestamp'

/** Folder of the files, inside of the table's. */
const CHANGE_FOLDER = '_change_data'

/** The column that files of changed rows have beside the table's own. */
export const CHANGE_TYPE_FIELD: StructField = {
  name: CHANGE_TYPE_COLUMN,
  type: { kind: 'primitive', name: 'string' },
  nullable: true,
  metadata: {},
}

/** Whether each commit to the table is to tell which rows it changed. */
export function recordsChanges({
  metadata,
  protocol,
}: Pick<Snapshot, 'metadata' | 'protocol'>): boolean {
  return (
    metadata.configuration['delta.enableChangeDataFeed']?.toLowerCase() === 'true' &&
    supportsFeature(protocol, 'changeDataFeed')
  )
}

/**
 * Writes the rows of `source`, which has CHANGE_TYPE_COLUMN beside the table's columns, as files of
 * changed rows, durable when it returns. To be committed by `Transaction.addChangeData`.
 *
 * Fails as `writeDataFiles`.
 *
 * Delta protocol, "Change Data Files" and "Add CDC File".
 */
export async function writeChangeData(
  store: ObjectStore,
  connection: EngineConnection,
  target: WriteTarget,
  source: RowSource,
): Promise<readonly AddCdcFile[]> {
  const { files } = await writeDataFiles(store, connection, target, source, {
    folder: CHANGE_FOLDER,
    hidden: [CHANGE_TYPE_FIELD],
  })
  return files.map(({ path, partitionValues, size }) => ({
    path,
    partitionValues,
    size,
    dataChange: false,
  }))
}

/** Writes the rows of `adds` as inserted ones, and the live rows of `removes` as deleted ones. */
export async function writeWholeFileChanges(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  adds: readonly AddFile[],
  removes: readonly DataFile[],
): Promise<readonly AddCdcFile[]> {
  const parts: string[] = []
  const read = async (files: readonly DataFile[], type: ChangeType): Promise<void> => {
    if (files.length === 0) return
    const rows = await rowsOf(store, connection, snapshot, files)
    parts.push(`SELECT *, '${type}' AS ${CHANGE_TYPE_COLUMN} FROM ${rows}`)
  }
  await read(addedFiles(store, snapshot.tablePath, adds), 'insert')
  await read(removes, 'delete')
  if (parts.length === 0) return []
  return writeChangeData(store, connection, snapshot, { query: parts.join(' UNION ALL ') })
}

/**
 * Writes the difference between the rows of `removes` and those of `adds`: what is on both sides has
 * only moved from file to file.
 */
export async function writeNetChanges(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  adds: readonly AddFile[],
  removes: readonly DataFile[],
): Promise<readonly AddCdcFile[]> {
  const after = await rowsOf(
    store,
    connection,
    snapshot,
    addedFiles(store, snapshot.tablePath, adds),
  )
  const before = await rowsOf(store, connection, snapshot, removes)
  const sides = `SELECT *, 1 AS ${SIGN_COLUMN} FROM ${after} UNION ALL SELECT *, -1 FROM ${before}`
  return writeChangeData(store, connection, snapshot, { query: netRows(sides) })
}

/** 1 for rows that are there afterwards, -1 for rows that were there before. */
export const SIGN_COLUMN = '_lakegate_sign'

/**
 * A SELECT of the rows that `sides` has more often with one SIGN_COLUMN than with the other, as many
 * times as that, with CHANGE_TYPE_COLUMN for it.
 */
export function netRows(sides: string): string {
  const type = `CASE WHEN ${SIGN_COLUMN} > 0 THEN 'insert' ELSE 'delete' END AS ${CHANGE_TYPE_COLUMN}`
  const counted = `SELECT * EXCLUDE (${SIGN_COLUMN}), sum(${SIGN_COLUMN})::BIGINT AS ${SIGN_COLUMN} FROM (${sides}) GROUP BY ALL HAVING sum(${SIGN_COLUMN}) <> 0`
  return `SELECT * EXCLUDE (${SIGN_COLUMN}, _lakegate_copy) FROM (SELECT *, ${type}, unnest(range(abs(${SIGN_COLUMN}))) AS _lakegate_copy FROM (${counted}))`
}

function addedFiles(
  store: ObjectStore,
  tablePath: string,
  adds: readonly AddFile[],
): readonly DataFile[] {
  return [...FileIndex.empty.with([], adds, (path) => resolvePath(store, tablePath, path))]
}

function rowsOf(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  files: readonly DataFile[],
): Promise<string> {
  return scanRelation(store, connection, {
    snapshot,
    files,
    filesAfterPartitions: files.length,
    sizeBytes: 0,
  })
}
