/** Tracked rows: rows that move to other files with the ids by which row tracking knows them. */

import type { Long } from './actions.js'
import { type EngineConnection, quoteIdentifier } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import type { ObjectStore } from './object-store.js'
import type { Scan } from './scan.js'
import {
  FILE_COLUMN,
  identifiedRelation,
  type IdentifiedRelation,
  ROW_COLUMN,
} from './scan-relation.js'
import type { StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'
import { supportsFeature } from './table-protocol.js'

/**
 * The hidden columns in which rows keep their id and the version they were last changed in when
 * they move to other files; null for a table whose rows are not tracked.
 *
 * 0A000 for a table that has no names for them, or finds columns by ids.
 */
export function keptColumns(
  snapshot: Pick<Snapshot, 'tablePath' | 'protocol' | 'metadata' | 'columnMapping'>,
): readonly [id: StructField, version: StructField] | null {
  const { configuration } = snapshot.metadata
  const isTracked =
    supportsFeature(snapshot.protocol, 'rowTracking') &&
    configuration['delta.enableRowTracking']?.toLowerCase() === 'true'
  if (!isTracked) return null
  const id = configuration['delta.rowTracking.materializedRowIdColumnName']
  const version = configuration['delta.rowTracking.materializedRowCommitVersionColumnName']
  if (id === undefined || version === undefined || snapshot.columnMapping === 'id') {
    throw new SqlError(
      SqlState.featureNotSupported,
      `rows of table "${snapshot.tablePath}" would lose the ids that row tracking gave them`,
    )
  }
  const column = (name: string): StructField => ({
    name,
    type: { kind: 'primitive', name: 'long' },
    nullable: true,
    metadata: { 'delta.columnMapping.physicalName': name },
  })
  return [column(id), column(version)]
}

/**
 * The relation of `scan` with the columns of `keptColumns` behind the table's own, filled for every
 * row: by what its file keeps, else by its place in the file.
 *
 * 0A000 for files that were not given ids, unless `isNew` holds for them, as below. To be run on
 * `connection`, as `scanRelation`.
 */
export async function trackedRelation(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
  kept: readonly [id: StructField, version: StructField],
  isNew: (file: DataFile) => boolean = () => false,
): Promise<string> {
  const { sql } = await identifiedTrackedRelation(store, connection, scan, kept, isNew)
  return `(SELECT * EXCLUDE (${FILE_COLUMN}, ${ROW_COLUMN}) FROM ${sql})`
}

/**
 * As trackedRelation, with FILE_COLUMN and ROW_COLUMN behind the others.
 *
 * Files for which `isNew` holds are in no version yet: their rows are given ids by the commit, unless
 * they bring theirs from another file.
 */
export async function identifiedTrackedRelation(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
  [id, version]: readonly [id: StructField, version: StructField],
  isNew: (file: DataFile) => boolean,
): Promise<IdentifiedRelation> {
  const { snapshot } = scan
  const schema = { ...snapshot.schema, fields: [...snapshot.schema.fields, id, version] }
  const { sql, files } = await identifiedRelation(store, connection, {
    ...scan,
    snapshot: { ...snapshot, schema },
  })
  const numbers = (of: 'baseRowId' | 'defaultRowCommitVersion'): string => {
    const list = files.map((file): Long | 'NULL' => {
      const number = file.add[of] ?? null
      if (number !== null) return number
      if (isNew(file)) return 'NULL'
      throw new SqlError(
        SqlState.featureNotSupported,
        `the rows of "${file.path}" have not been given ids by row tracking`,
      )
    })
    return `unnest([${list.join(', ')}]::BIGINT[])`
  }
  const own = snapshot.schema.fields.map((field) => `_row.${quoteIdentifier(field.name)}`)
  const [idName, versionName] = [quoteIdentifier(id.name), quoteIdentifier(version.name)]
  const items = [
    ...own,
    `coalesce(_row.${idName}, _kept.base + _row.${ROW_COLUMN}) AS ${idName}`,
    `coalesce(_row.${versionName}, _kept.version) AS ${versionName}`,
    `_row.${FILE_COLUMN}`,
    `_row.${ROW_COLUMN}`,
  ]
  return {
    sql: `(SELECT ${items.join(', ')} FROM ${sql} AS _row JOIN (SELECT unnest(range(${files.length})) AS file, ${numbers('baseRowId')} AS base, ${numbers('defaultRowCommitVersion')} AS version) AS _kept ON _row.${FILE_COLUMN} = _kept.file)`,
    files,
  }
}
