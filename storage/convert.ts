/** Convert: a folder of Parquet files taken as the first version of a Delta table, files left as they are. */

import type { AddFile } from './actions.js'
import { type EngineConnection, quoteLiteral } from './engine.js'
import { type EngineType, printEngineType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import { escapeGlob } from './file-path.js'
import { collectStatistics } from './file-statistics.js'
import { defineTable, type NewTable } from './new-table.js'
import type { ObjectEntry, ObjectStore } from './object-store.js'
import { readSignatures } from './parquet-signature.js'
import { encodeLogPath, partitionKeyExpression, partitionText } from './partition-value.js'
import { type DataType, engineTypeOf, type StructField } from './schema.js'
import { sparkTypeName } from './type-name.js'

/** What is to be converted. */
export interface Conversion {
  /** The folder, relative to the lake's root. */
  readonly tablePath: string
  readonly name: string
  /** The columns that folders name (`day=2026-01-01`), with their types, outermost first. */
  readonly partitionFields: readonly StructField[]
  readonly statistics: boolean
  /** Throws when the statement was cancelled. */
  readonly check: () => void
}

/** The table that the folder becomes. */
export interface ConvertedFolder {
  readonly table: NewTable
  readonly adds: readonly AddFile[]
}

/** A file with what the folders above it say. */
interface FoundFile {
  readonly entry: ObjectEntry
  readonly url: string
  readonly folders: readonly (readonly [column: string, text: string | null])[]
}

/** Files whose statistics are computed by one query. */
const BATCH = 200

/**
 * Reads the footers of all Parquet files below the folder, and makes one schema of theirs: columns that
 * some files lack are null there.
 *
 * 22P04 for a file that is no Parquet, 42804 for a column of two types, 42P16 where folders and partition
 * columns differ, 22P02 for a folder whose text is no value of its column's type, 0A000 for types that
 * Delta lacks, 58P01 for a folder without files, and the errors of `defineTable`.
 */
export async function convertFolder(
  store: ObjectStore,
  connection: EngineConnection,
  { tablePath, name, partitionFields, statistics, check }: Conversion,
): Promise<ConvertedFolder> {
  const found = await filesBelow(store, connection, tablePath)
  requireFolders(found, partitionFields, tablePath)
  check()
  const counts = await rowCounts(connection, found)
  const files = found.filter(({ url }) => (counts.get(url) ?? 0) > 0)
  const fields = await mergedFields(connection, found, partitionFields)
  const table = defineTable({
    tablePath,
    name,
    schema: { fields: [...fields.all, ...partitionFields] },
    partitionColumns: partitionFields.map((field) => field.name),
  })
  const values = await partitionTexts(connection, files, partitionFields)
  const stats = new Map<string, string>()
  for (const { urls, own } of statistics ? fields.groups : []) {
    const filled = urls.filter((url) => (counts.get(url) ?? 0) > 0)
    const target = { ...table, schema: { fields: [...own, ...partitionFields] } }
    for (let first = 0; first < filled.length; first += BATCH) {
      check()
      const batch = filled.slice(first, first + BATCH)
      for (const [i, one] of (await collectStatistics(connection, target, batch)).entries()) {
        stats.set(batch[i] ?? '', one.stats)
      }
    }
  }
  const adds = files.map(({ entry, url, folders }): AddFile => {
    const known = stats.get(url)
    return {
      path: encodeLogPath(entry.path.slice(tablePath.length + 1)),
      partitionValues: Object.fromEntries(
        partitionFields.map((field, i) => [
          field.name,
          values.get(`${i} ${folders[i]?.[1] ?? ''}`) ?? null,
        ]),
      ),
      size: entry.sizeBytes,
      modificationTime: Math.max(1, Math.floor(entry.modifiedMs)),
      dataChange: true,
      ...(known === undefined ? {} : { stats: known }),
    }
  })
  return { table, adds }
}

/** Whether a part of a path is no place of data: what begins with `_` or `.`, but for partitions. */
function isHidden(part: string): boolean {
  return part.startsWith('.') || (part.startsWith('_') && !part.includes('='))
}

async function filesBelow(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = []
  for (const entry of await store.list(tablePath)) {
    const parts = entry.path.slice(tablePath.length + 1).split('/')
    if (parts.slice(0, -1).includes('_delta_log')) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        `the folder "${tablePath}" has a Delta table in it`,
        { detail: `There is "${entry.path}".` },
      )
    }
    if (parts.some(isHidden) || entry.sizeBytes === 0) continue
    const folders = parts.slice(0, -1).flatMap((part) => {
      const match = /^([^=]+)=(.*)$/s.exec(part)
      if (match === null) return []
      const text = unescaped(match[2] ?? '')
      return [[unescaped(match[1] ?? ''), text === NULL_FOLDER ? null : text] as const]
    })
    found.push({ entry, url: store.engineUrl(entry.path), folders })
  }
  if (found.length === 0) {
    throw new SqlError(SqlState.undefinedFile, `there is no file in the folder "${tablePath}"`)
  }
  connection.keep(
    await store.lend(
      found.map(({ entry }) => entry),
      connection.cancellation,
    ),
  )
  for (const { entry, url } of found) {
    if (/\.(?:parquet|parq)$/i.test(entry.path) || (await isParquet(connection, url))) continue
    throw notParquet(entry.path, undefined)
  }
  return found
}

const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__'

function unescaped(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escaped) => {
    try {
      return decodeURIComponent(escaped)
    } catch {
      return escaped
    }
  })
}

async function isParquet(connection: EngineConnection, url: string): Promise<boolean> {
  try {
    await connection.query(`SELECT 1 FROM parquet_file_metadata(${quoteLiteral(escapeGlob(url))})`)
    return true
  } catch (thrown) {
    if (thrown instanceof SqlError && thrown.sqlState !== SqlState.queryCanceled) return false
    throw thrown
  }
}

function notParquet(path: string, cause: unknown): SqlError {
  return new SqlError(SqlState.badCopyFileFormat, `"${path}" is not a valid Parquet file`, {
    cause,
  })
}

function requireFolders(
  files: readonly FoundFile[],
  fields: readonly StructField[],
  tablePath: string,
): void {
  const stated = fields.map((field) => field.name)
  for (const { entry, folders } of files) {
    const named = folders.map(([column]) => column)
    const isSame =
      named.length === stated.length &&
      named.every((column, i) => column.toLowerCase() === stated[i]?.toLowerCase())
    if (isSame) continue
    throw new SqlError(
      SqlState.invalidTableDefinition,
      `the folders of "${tablePath}" are partitioned by (${named.join(', ')}), not by (${stated.join(', ')})`,
      {
        detail: `There is "${entry.path}".`,
        hint: 'State the columns that folders name, with their types: PARTITIONED BY (…).',
      },
    )
  }
}

/** Rows by file, as footers tell; 22P04. */
async function rowCounts(
  connection: EngineConnection,
  files: readonly FoundFile[],
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  const count = async (some: readonly FoundFile[]): Promise<void> => {
    const urls = some.map(({ url }) => quoteLiteral(escapeGlob(url)))
    try {
      const rows = await connection.query(
        `SELECT file_name, num_rows FROM parquet_file_metadata([${urls.join(', ')}])`,
      )
      for (const [url, rowCount] of rows) counts.set(String(url), Number(rowCount))
    } catch (thrown) {
      if (thrown instanceof SqlError && thrown.sqlState === SqlState.queryCanceled) throw thrown
      const [only] = some
      if (some.length === 1 && only !== undefined) throw notParquet(only.entry.path, thrown)
      // One of them: which one is told by asking for each.
      for (const one of some) await count([one])
    }
  }
  for (let first = 0; first < files.length; first += BATCH) {
    await count(files.slice(first, first + BATCH))
  }
  return counts
}

interface MergedFields {
  readonly all: readonly StructField[]
  /** Files of one schema, and their own columns. */
  readonly groups: readonly {
    readonly urls: readonly string[]
    readonly own: readonly StructField[]
  }[]
}

/** The columns of all files, those of the first before those that others add. */
async function mergedFields(
  connection: EngineConnection,
  files: readonly FoundFile[],
  partitionFields: readonly StructField[],
): Promise<MergedFields> {
  const signatures = await readSignatures(
    connection,
    files.map(({ url }) => url),
  )
  const partitions = new Set(partitionFields.map((field) => field.name.toLowerCase()))
  const groups = new Map<string, { urls: string[]; own: readonly StructField[] }>()
  const all = new Map<string, { readonly field: StructField; readonly path: string }>()
  for (const { entry, url } of files) {
    const signature = signatures.get(url)
    if (signature === undefined) throw notParquet(entry.path, undefined)
    const known = groups.get(signature.key)
    if (known !== undefined) {
      known.urls.push(url)
      continue
    }
    const old = await oldTimes(connection, url)
    const own = signature.engineColumns
      .filter(({ name }) => !partitions.has(name.toLowerCase()))
      .map(({ name, type }): StructField => {
        const given = old.has(name) ? TIMESTAMP : dataTypeOf(type, `${entry.path}: ${name}`)
        return { name, type: given, nullable: true, metadata: {} }
      })
    groups.set(signature.key, { urls: [url], own })
    for (const field of own) {
      const other = all.get(field.name)
      if (other === undefined) all.set(field.name, { field, path: entry.path })
      else if (JSON.stringify(other.field.type) !== JSON.stringify(field.type)) {
        throw new SqlError(
          SqlState.datatypeMismatch,
          `column "${field.name}" has files of two types: ${sparkTypeName(other.field.type)} and ${sparkTypeName(field.type)}`,
          { detail: `See "${other.path}" and "${entry.path}".` },
        )
      }
    }
  }
  return { all: [...all.values()].map(({ field }) => field), groups: [...groups.values()] }
}

const TIMESTAMP: DataType = { kind: 'primitive', name: 'timestamp' }

/** Top-level columns of times as old writers stored them: moments, though the footer does not say so. */
async function oldTimes(connection: EngineConnection, url: string): Promise<ReadonlySet<string>> {
  const rows = await connection.query(
    `SELECT name FROM parquet_schema(${quoteLiteral(escapeGlob(url))}) WHERE type = 'INT96'`,
  )
  return new Set(rows.map(([name]) => String(name)))
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  BOOLEAN: 'boolean',
  TINYINT: 'byte',
  SMALLINT: 'short',
  INTEGER: 'integer',
  BIGINT: 'long',
  FLOAT: 'float',
  DOUBLE: 'double',
  VARCHAR: 'string',
  BLOB: 'binary',
  DATE: 'date',
  TIMESTAMP: 'timestamp_ntz',
  TIMESTAMPTZ: 'timestamp',
}

/** What Delta calls a type of a Parquet file; 0A000 naming `where` for one it lacks. */
function dataTypeOf(type: EngineType, where: string): DataType {
  switch (type.kind) {
    case 'scalar': {
      const name = PRIMITIVES[type.name]
      if (name !== undefined) return { kind: 'primitive', name } as DataType
      break
    }
    case 'decimal':
      return { kind: 'decimal', precision: type.width, scale: type.scale }
    case 'list':
      return { kind: 'array', element: dataTypeOf(type.child, where), containsNull: true }
    case 'struct':
      return {
        kind: 'struct',
        fields: type.fields.map((field) => ({
          name: field.name,
          type: dataTypeOf(field.type, `${where}.${field.name}`),
          nullable: true,
          metadata: {},
        })),
      }
    case 'map':
      return {
        kind: 'map',
        key: dataTypeOf(type.key, where),
        value: dataTypeOf(type.value, where),
        valueContainsNull: true,
      }
    default:
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `Delta tables have no type for ${printEngineType(type)}`,
    { detail: `It is that of "${where}".` },
  )
}

/** What the log says of the texts of folders, by the column's place and the text; 22P02. */
async function partitionTexts(
  connection: EngineConnection,
  files: readonly FoundFile[],
  fields: readonly StructField[],
): Promise<ReadonlyMap<string, string | null>> {
  const texts = new Map<string, string | null>()
  for (const [i, field] of fields.entries()) {
    const own = [...new Set(files.map(({ folders }) => folders[i]?.[1] ?? null))].filter(
      (text): text is string => text !== null,
    )
    if (own.length === 0) continue
    const engine = printEngineType(engineTypeOf(field.type))
    const key = partitionKeyExpression(field, `TRY_CAST(v AS ${engine})`)
    const rows = await connection.query(
      `SELECT v, ${key} FROM (VALUES ${own.map((text) => `(${quoteLiteral(text)})`).join(', ')}) AS t(v)`,
    )
    for (const [text, value] of rows) {
      const known = partitionText(field, value as string | null)
      if (known === null) {
        throw new SqlError(
          SqlState.invalidTextRepresentation,
          `the folder "${field.name}=${text}" names no value of type ${sparkTypeName(field.type)}`,
        )
      }
      texts.set(`${i} ${text}`, known)
    }
  }
  return texts
}
