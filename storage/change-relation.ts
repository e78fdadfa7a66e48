/** Change relation: the DuckDB text that yields the changed rows of a ChangeFeed. */

import { CHANGE_TYPE_COLUMN, netRows, SIGN_COLUMN } from './change-data.js'
import { type ChangedFile, type ChangeFeed, type ChangeSource, ENTRY } from './change-feed.js'
import type { AddFile, DeletionVectorDescriptor } from './actions.js'
import { type DeletedRows, deletionVectorPath, readDeletionVector } from './deletion-vector.js'
import { type EngineConnection, quoteIdentifier } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import { isOutside } from './file-path.js'
import type { ObjectStore } from './object-store.js'
import type { Scan } from './scan.js'
import { emptyRelation, scanRelation } from './scan-relation.js'
import type { Snapshot } from './snapshot.js'

/** Requests for files under way at once. */
const PARALLEL = 32

/** Missing files that an error names. */
const NAMED_MAX = 10

/**
 * A parenthesised SELECT of the feed's columns over the files of `scan`, which were chosen out of
 * those of `feed.snapshot`. To be run on `connection`.
 *
 * 55000 naming the version when VACUUM has removed one of its files, and as `scanRelation`.
 */
export async function changeRelation(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
  feed: ChangeFeed,
): Promise<string> {
  const { snapshot } = feed
  const bySource = new Map<ChangeSource, DataFile[]>()
  await requireFiles(store, scan, feed)
  for (const file of scan.files) {
    const { source, rows } = entryOf(feed, file)
    const chosen = await chosenRows(store, snapshot, file, rows)
    if (chosen === null) continue
    bySource.set(source, [...(bySource.get(source) ?? []), chosen])
  }
  const read = (files: readonly DataFile[], from: Snapshot): Promise<string> =>
    scanRelation(store, connection, { ...scan, snapshot: from, files })
  const { metadata, schema } = snapshot
  // Of these files, what happened to their rows is not told by a column of theirs.
  const typed: Snapshot = {
    ...snapshot,
    metadata: {
      ...metadata,
      partitionColumns: [...metadata.partitionColumns, CHANGE_TYPE_COLUMN],
    },
  }
  const parts: string[] = []
  const recorded = bySource.get('recorded') ?? []
  const whole = bySource.get('whole') ?? []
  const compared = bySource.get('compared') ?? []
  const names = schema.fields.map(({ name }) => quoteIdentifier(name)).join(', ')
  if (recorded.length > 0) parts.push(`SELECT ${names} FROM ${await read(recorded, snapshot)}`)
  if (whole.length > 0) parts.push(`SELECT ${names} FROM ${await read(whole, typed)}`)
  if (compared.length > 0) {
    const sign = `CASE WHEN ${CHANGE_TYPE_COLUMN} = 'insert' THEN 1 ELSE -1 END AS ${SIGN_COLUMN}`
    const sides = `SELECT * EXCLUDE (${CHANGE_TYPE_COLUMN}), ${sign} FROM ${await read(compared, typed)}`
    parts.push(`SELECT ${names} FROM (${netRows(sides)})`)
  }
  return parts.length === 0 ? emptyRelation(schema) : `(${parts.join(' UNION ALL ')})`
}

function entryOf({ entries }: ChangeFeed, file: DataFile): ChangedFile {
  const entry = entries[Number(file.partitionText(ENTRY))]
  if (entry === undefined) throw new SqlError(SqlState.internalError, 'a file has no version')
  return entry
}

/** `file` with the rows that are meant alone; null when there are none. */
async function chosenRows(
  store: ObjectStore,
  { tablePath }: Snapshot,
  file: DataFile,
  rows: ChangedFile['rows'],
): Promise<DataFile | null> {
  if (rows === null) return file
  const without = await readDeletionVector(store, tablePath, rows.without)
  const but = rows.but === null ? [] : await readDeletionVector(store, tablePath, rows.but)
  const known = new Set(but)
  const onlyRows = without.filter((row) => !known.has(row))
  return onlyRows.length === 0 ? null : new ChosenRows(file, onlyRows)
}

/** A file of which only some rows are meant, whether they are deleted or not. */
class ChosenRows implements DataFile {
  readonly #file: DataFile
  readonly onlyRows: DeletedRows

  constructor(file: DataFile, onlyRows: DeletedRows) {
    this.#file = file
    this.onlyRows = onlyRows
  }

  get path(): string {
    return this.#file.path
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  get deletionVector(): DeletionVectorDescriptor | null {
    return null
  }

  partitionText(physicalName: string): string | null {
    return this.#file.partitionText(physicalName)
  }

  get add(): AddFile {
    return this.#file.add
  }
}

/** 55000 when a file of the feed, or a deletion vector that tells which of its rows are meant, is gone. */
async function requireFiles(store: ObjectStore, { files }: Scan, feed: ChangeFeed): Promise<void> {
  const { tablePath } = feed.snapshot
  const missing: { readonly path: string; readonly version: number }[] = []
  const queue = files.flatMap((file) => {
    const { version, rows } = entryOf(feed, file)
    const vectors = rows === null ? [file.deletionVector] : [rows.without, rows.but]
    const stored = vectors.filter((vector) => vector !== null && vector.storageType !== 'i')
    const paths = stored.map((vector) => {
      return deletionVectorPath(store, tablePath, vector as DeletionVectorDescriptor)
    })
    return [file.path, ...paths].map((path) => ({ path, version }))
  })
  const work = async (): Promise<void> => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      // What lies outside of the lake is refused when it is read.
      if (!isOutside(file.path) && (await store.stat(file.path)) === null) missing.push(file)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  if (missing.length === 0) return
  const versions = missing.map(({ version }) => version).sort((a, b) => a - b)
  const names = [...new Set(missing.map(({ path }) => path))].sort()
  throw new SqlError(
    SqlState.objectNotInPrerequisiteState,
    `the changes of version ${versions[0]} of table "${tablePath}" cannot be read: their files are gone`,
    {
      detail: `Missing are ${names.slice(0, NAMED_MAX).join(', ')}${names.length > NAMED_MAX ? ', …' : ''}.`,
      hint: `VACUUM has removed them; changes after version ${versions.at(-1)} may still be whole.`,
    },
  )
}
