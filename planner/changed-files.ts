/** ChangedFiles: the files that a change of rows makes - new rows, deletion vectors, the table's feed. */

import type { AddCdcFile, AddFile } from '../storage/actions.js'
import { CHANGE_TYPE_COLUMN, recordsChanges, writeChangeData } from '../storage/change-data.js'
import { writeDataFiles, type WriteTarget } from '../storage/data-file.js'
import { withDeletionVector, writeDeletionVectors } from '../storage/deletion-vector-file.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { FileFate } from '../storage/file-fate.js'
import type { DataFile } from '../storage/file-index.js'
import { deletedRowsOf } from '../storage/file-rows.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { Scan } from '../storage/scan.js'
import { FILE_COLUMN, identifiedRelation, ROW_COLUMN } from '../storage/scan-relation.js'
import { engineTypeOf, type StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import { identifiedTrackedRelation, keptColumns } from '../storage/tracked-rows.js'
import { ACTION, ACTION_COLUMN, columnList } from './row-change.js'

/** A stage whose rows are to be written, and what becomes of the files it touches. */
export interface StagedChange {
  readonly store: ObjectStore
  readonly connection: EngineConnection
  readonly snapshot: Snapshot
  /** The table as it will be: `snapshot`, or with columns behind its own that the change adds. */
  readonly target: WriteTarget
  /** Name of the stage: a row for each row that is changed or made, see RowChangePlan. */
  readonly stage: string
  readonly fates: readonly FileFate[]
  /** Whether the change can make rows, or only takes some away. */
  readonly makesRows: boolean
  /** Whether a file is in no version of the table yet. */
  readonly isNew: (file: DataFile) => boolean
}

/** What a change of rows has written; all of it is durable. */
export interface ChangedFiles {
  readonly adds: readonly AddFile[]
  /** Files of changed rows; undefined where whole files tell what has changed. */
  readonly changeData: readonly AddCdcFile[] | 'unrecorded' | undefined
}

/** Writes everything that `change` makes. */
export async function writeChangedFiles(change: StagedChange): Promise<ChangedFiles> {
  const written = await writeRows(change)
  const masked = await writeVectors(change)
  return { adds: [...written, ...masked], changeData: await writeFeed(change) }
}

/** The touched files read anew, their rows numbered as the stage numbers them. */
interface TouchedRows {
  /** Columns of the table, `own` and ROW_COLUMN: ordinal in this relation and row of the file. */
  readonly sql: string
  /** `(own, ordinal)`: the numbers of the files here and in the stage. */
  readonly numbers: string
}

async function touchedRows(
  { store, connection, snapshot, isNew }: StagedChange,
  fates: readonly FileFate[],
  kept: readonly [StructField, StructField] | null,
): Promise<TouchedRows> {
  const files = fates.map(({ file }) => file)
  const scan: Scan = { snapshot, files, filesAfterPartitions: files.length, sizeBytes: 0 }
  const relation =
    kept === null
      ? await identifiedRelation(store, connection, scan)
      : await identifiedTrackedRelation(store, connection, scan, kept, isNew)
  const ordinalOf = new Map(fates.map(({ file, ordinal }) => [file.path, ordinal]))
  const ordinals = relation.files.map((file) => ordinalOf.get(file.path) ?? -1)
  return {
    sql: relation.sql,
    numbers: `(SELECT unnest(range(${ordinals.length})) AS own, unnest([${ordinals.join(', ')}]::BIGINT[]) AS ordinal)`,
  }
}

/** Rows of the stage that were there before, with the number of their file among the touched ones. */
function changedRows({ stage }: StagedChange, { numbers }: TouchedRows): string {
  return `(SELECT m.own, s.${ROW_COLUMN} AS row, s.${ACTION_COLUMN} AS action FROM ${stage} AS s JOIN ${numbers} AS m ON s.${FILE_COLUMN} = m.ordinal)`
}

/** Rows as they were, `alias`, in the columns of the table as it will be. */
function columnsBefore({ snapshot, target }: StagedChange, alias: string): string {
  const added = target.schema.fields
    .slice(snapshot.schema.fields.length)
    .map(
      ({ name, type }) =>
        `CAST(NULL AS ${printEngineType(engineTypeOf(type))}) AS ${quoteIdentifier(name)}`,
    )
  return [columnList(snapshot, alias), ...added].join(', ')
}

/** Writes the new rows, with what stays of the files that are rewritten; all keep their row ids. */
async function writeRows(change: StagedChange): Promise<readonly AddFile[]> {
  const { store, connection, snapshot, target, stage, fates, makesRows } = change
  const rewritten = fates.filter(({ kind }) => kind === 'rewrite')
  if (!makesRows && rewritten.length === 0) return []
  // Where no file is touched, every row is a new one.
  const kept = fates.length === 0 ? null : keptColumns(snapshot)
  const names = (kept ?? []).map(({ name }) => quoteIdentifier(name))
  const parts: string[] = []
  if (makesRows) {
    const made = `FROM ${stage} AS s`
    const isMade = `WHERE s.${ACTION_COLUMN} <> ${ACTION.delete}`
    const items = columnList(target, 's')
    if (kept === null) parts.push(`SELECT ${items} ${made} ${isMade}`)
    else {
      const touched = await touchedRows(change, fates, kept)
      // A changed row is still the same row, but of the version that is being made.
      const ids = `SELECT m.ordinal, o.${ROW_COLUMN} AS row, o.${names[0]} AS id FROM ${touched.sql} AS o JOIN ${touched.numbers} AS m ON o.${FILE_COLUMN} = m.own`
      parts.push(
        `SELECT ${items}, o.id AS ${names[0]}, NULL::BIGINT AS ${names[1]} ${made} LEFT JOIN (${ids}) AS o ON s.${FILE_COLUMN} = o.ordinal AND s.${ROW_COLUMN} = o.row ${isMade}`,
      )
    }
  }
  if (rewritten.length > 0) {
    const rows = await touchedRows(change, rewritten, kept)
    const items = [columnsBefore(change, 't'), ...names.map((name) => `t.${name}`)]
    parts.push(
      `SELECT ${items.join(', ')} FROM ${rows.sql} AS t ANTI JOIN ${changedRows(change, rows)} AS c ON t.${FILE_COLUMN} = c.own AND t.${ROW_COLUMN} = c.row`,
    )
  }
  const written = await writeDataFiles(
    store,
    connection,
    target,
    { query: parts.join(' UNION ALL ') },
    kept === null ? {} : { hidden: kept },
  )
  return written.files
}

/** Writes deletion vectors for the files that keep theirs, and answers these files with them. */
async function writeVectors(change: StagedChange): Promise<readonly AddFile[]> {
  const { store, connection, snapshot, stage, fates } = change
  const masked = fates.filter(({ kind }) => kind === 'vector')
  if (masked.length === 0) return []
  const rows = await connection.query(
    `SELECT ${FILE_COLUMN}, list(${ROW_COLUMN} ORDER BY ${ROW_COLUMN}) FROM ${stage} WHERE ${FILE_COLUMN} IN (${masked.map(({ ordinal }) => ordinal).join(', ')}) GROUP BY ${FILE_COLUMN}`,
  )
  const changed = new Map(
    rows.map(([ordinal, list]) => [Number(ordinal), (list as readonly bigint[]).map(Number)]),
  )
  const vectors: (readonly number[])[] = []
  for (const { file, ordinal } of masked) {
    vectors.push(await deletedRowsOf(store, snapshot.tablePath, file, changed.get(ordinal) ?? []))
  }
  const descriptors = await writeDeletionVectors(store, snapshot.tablePath, vectors)
  return masked.map(({ file, rowCount }, i) => {
    const vector = descriptors[i]
    if (vector === undefined) throw new SqlError(SqlState.internalError, 'a vector is missing')
    return withDeletionVector(file.add, vector, rowCount)
  })
}

/** Writes the changed rows for the table's feed, where whole files do not tell them. */
async function writeFeed(change: StagedChange): Promise<ChangedFiles['changeData']> {
  const { store, connection, snapshot, target, stage, fates, makesRows } = change
  const insertsOnly = fates.length === 0
  const deletesOnly = !makesRows && fates.every(({ kind }) => kind === 'remove')
  if (insertsOnly || deletesOnly) return undefined
  if (!recordsChanges(snapshot)) return 'unrecorded'
  const typeOf = (updated: string, other: string, action: string): string =>
    `CASE WHEN ${action} = ${ACTION.update} THEN '${updated}' ELSE '${other}' END AS ${CHANGE_TYPE_COLUMN}`
  const touched = await touchedRows(change, fates, null)
  const before = `SELECT ${columnsBefore(change, 't')}, ${typeOf('update_preimage', 'delete', 'c.action')} FROM ${touched.sql} AS t JOIN ${changedRows(change, touched)} AS c ON t.${FILE_COLUMN} = c.own AND t.${ROW_COLUMN} = c.row`
  const after = `SELECT ${columnList(target, 's')}, ${typeOf('update_postimage', 'insert', `s.${ACTION_COLUMN}`)} FROM ${stage} AS s WHERE s.${ACTION_COLUMN} <> ${ACTION.delete}`
  return writeChangeData(store, connection, target, {
    query: makesRows ? `${before} UNION ALL ${after}` : before,
  })
}
