/** Data files: the rows of a SELECT written as the Parquet files of a table, ready to be committed. */

import { randomUUID } from 'node:crypto'
import type { AddFile } from './actions.js'
import { physicalNameOf } from './column-mapping.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from './engine.js'
import type { EngineValue } from './engine-value.js'
import { SqlError, SqlState } from './errors.js'
import { collectStatistics, type StatisticsTarget } from './file-statistics.js'
import type { ObjectStore, StagedFile, Staging } from './object-store.js'
import {
  encodeLogPath,
  partitionFolder,
  partitionKeyExpression,
  partitionText,
} from './partition-value.js'
import { fieldIdsOption, physicalItem, typedValue } from './physical-row.js'
import { rememberLayout } from './parquet-signature.js'
import type { StructField } from './schema.js'
import { escapeGlob } from './file-path.js'

/** A table to write for; a Snapshot is one, and so is a table that is about to be made. */
export type WriteTarget = StatisticsTarget

/** The rows to be written. */
export interface RowSource {
  /**
   * A SELECT with one column for each column of the table, by name, in any order.
   *
   * Values are cast to the columns' types by DuckDB; a caller with other rules casts before.
   */
  readonly query: string
  readonly values?: readonly EngineValue[]
}

/** How rows are laid out in files, where the table's own way is not meant. */
export interface FileLayout {
  /** All rows are of this partition: physical names and texts, in the order of the partition columns. */
  readonly partition?: PartitionValues
  /** Bytes at which a file is ended; the table's target size unless given. */
  readonly targetSizeBytes?: number
  /** Columns that the files have beside the table's own, without statistics. */
  readonly hidden?: readonly StructField[]
  /** Folder inside of the table's; none unless given. */
  readonly folder?: string
}

/** Partition values as the log has them: physical names and texts. */
export type PartitionValues = readonly (readonly [name: string, text: string | null])[]

/** Files that are durable and in place, but in no version of the table yet. */
export interface WrittenFiles {
  readonly files: readonly AddFile[]
  readonly rowCount: number
  readonly sizeBytes: number
}

/**
 * Writes the rows of `source` as data files of `target`, one or more for each partition value.
 *
 * - The rows go from DuckDB to Parquet; none enters JavaScript. The query is run once, or twice
 *   when partition values turn out to be very long.
 * - When it returns, the files are whole and durable under names nobody else uses. They are to be
 *   committed by `Transaction.add`; files of a transaction that fails are left to VACUUM.
 * - No rows make no file. A file ends near the table's target size.
 *
 * 23502 for a null in a column without nulls, 22023 for an empty text as partition value, 54000
 * for a partition value of more than some 300 characters, 22008 for infinite times, 0A000 for a
 * type that is not written, and what DuckDB says of the query.
 */
export async function writeDataFiles(
  store: ObjectStore,
  connection: EngineConnection,
  target: WriteTarget,
  source: RowSource,
  asked: FileLayout = {},
): Promise<WrittenFiles> {
  const staging = await store.openStaging(target.tablePath)
  try {
    let layout = layoutOf(target, 1, asked)
    const copy = (folder: string): Promise<readonly (readonly unknown[])[]> =>
      connection.query(
        copyText(source.query, layout, `${staging.engineUrl}/${folder}`),
        source.values ?? [],
      )
    let rows: readonly (readonly unknown[])[]
    try {
      rows = await copy('rows')
    } catch (thrown) {
      if (!isNameTooLong(thrown)) throw thrown
      // DuckDB names folders by partition values: long ones are cut into several folders.
      layout = layoutOf(target, MAX_PIECES, asked)
      rows = await copy('pieces')
    }
    const staged = rows.map((row) => stagedOf(row, layout)).filter((file) => file.rowCount > 0)
    const regrouped = await regroup(connection, layout, staging.engineUrl, staged)
    return await publish(store, connection, target, layout, staging, regrouped)
  } catch (thrown) {
    if (!isNameTooLong(thrown)) throw thrown
    throw new SqlError(
      SqlState.programLimitExceeded,
      `a partition value of table "${target.tablePath}" is too long`,
      { cause: thrown },
    )
  } finally {
    await staging.discard()
  }
}

interface Layout {
  readonly stored: readonly StructField[]
  readonly partitions: readonly StructField[]
  /** The select list for the columns of the files. */
  readonly items: readonly string[]
  /** For each partition column, the texts that rows are divided by: one, or the pieces of one. */
  readonly keys: readonly (readonly Key[])[]
  readonly options: readonly string[]
  readonly codec: string
  readonly targetSizeBytes: number
  readonly mapping: 'none' | 'name' | 'id'
  /** Where all rows are of one partition. */
  readonly partition: PartitionValues | null
  /** Folders before a file's name, each ended by a slash. */
  readonly prefix: string
}

interface Key {
  readonly name: string
  readonly expression: string
}

const ROWS = '__lakegate_rows'

/** Characters that fit into the name of a folder however they are escaped, and such folders. */
const PIECE_CHARACTERS = 20
const MAX_PIECES = 15

function isNameTooLong(thrown: unknown): boolean {
  return thrown instanceof SqlError && thrown.message.includes('File name too long')
}

/** Bytes at which a data file is ended, unless the table says otherwise in `delta.targetFileSize`. */
const DEFAULT_TARGET_BYTES = 256 * 1024 * 1024

/** Bytes that a data file of a table with these properties should have. */
export function targetFileSizeBytes(configuration: { readonly [key: string]: string }): number {
  return parseSize(configuration['delta.targetFileSize']) ?? DEFAULT_TARGET_BYTES
}

/** Rows of a row group unless they are fewer, and bytes a row is thought to have. */
const GROUP_ROWS = 122_880
const ROW_BYTES = 64

/** A file ends with a row group, so small files need small ones. */
function rowGroupOption(targetSizeBytes: number): readonly string[] {
  const rows = Math.max(1, Math.ceil(targetSizeBytes / ROW_BYTES / 2048)) * 2048
  return rows < GROUP_ROWS ? [`ROW_GROUP_SIZE ${rows}`] : []
}

/** Codecs by the names of `delta.parquet.compression.codec`; snappy is what every engine reads. */
const CODECS: ReadonlySet<string> = new Set(['snappy', 'zstd', 'gzip', 'uncompressed', 'lz4_raw'])

// Without this key Spark refuses dates before 1582 and times before 1900: the file might be of a
// Spark older than 3, which counted them by another calendar.
const GREGORIAN = "KV_METADATA {'org.apache.spark.version': '3.5.0'}"

function layoutOf(target: WriteTarget, pieces: number, wanted: FileLayout): Layout {
  const { configuration, partitionColumns } = target.metadata
  const mapping = target.columnMapping
  const lower = partitionColumns.map((name) => name.toLowerCase())
  const partitions = lower.map((name) => {
    const found = target.schema.fields.find((field) => field.name.toLowerCase() === name)
    if (found === undefined) {
      throw new SqlError(
        SqlState.dataCorrupted,
        `partition column "${name}" is not a column of table "${target.tablePath}"`,
      )
    }
    return found
  })
  const stored = target.schema.fields.filter(
    (field) =>
      !lower.includes(field.name.toLowerCase()) &&
      !(field.type.kind === 'primitive' && field.type.name === 'void'),
  )
  if (stored.length === 0) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      `table "${target.tablePath}" has no column beside those it is partitioned by`,
    )
  }
  const column = (field: StructField): string => `${ROWS}.${quoteIdentifier(field.name)}`
  const items = [
    ...stored.map((field) => physicalItem(field, column(field), mapping)),
    ...(wanted.hidden ?? []).map((field) => physicalItem(field, column(field), 'none')),
  ]
  const keys = (wanted.partition === undefined ? partitions : []).map((field, i) => {
    const text = partitionKeyExpression(field, typedValue(field, column(field)))
    const isText = field.type.kind === 'primitive' && field.type.name === 'string'
    return Array.from({ length: isText ? pieces : 1 }, (_, j): Key => {
      const from = j * PIECE_CHARACTERS + 1
      const length = j === pieces - 1 ? '' : `, ${PIECE_CHARACTERS}`
      const expression = pieces === 1 || !isText ? text : `substr(${text}, ${from}${length})`
      return { name: `__lakegate_key_${i}_${j}`, expression }
    })
  })
  const asked = (configuration['delta.parquet.compression.codec'] ?? 'snappy').toLowerCase()
  const codec = CODECS.has(asked) ? asked : 'snappy'
  const ids = fieldIdsOption(stored, mapping)
  const targetSizeBytes = wanted.targetSizeBytes ?? targetFileSizeBytes(configuration)
  const common = [
    'FORMAT parquet',
    `COMPRESSION ${codec}`,
    "FILENAME_PATTERN '{uuid}'",
    'RETURN_STATS',
    GREGORIAN,
    ...(ids === null ? [] : [`FIELD_IDS ${ids}`]),
    ...rowGroupOption(targetSizeBytes),
  ]
  const options =
    keys.length === 0
      ? [...common, `FILE_SIZE_BYTES ${targetSizeBytes}`]
      : [
          ...common,
          `PARTITION_BY (${keys
            .flat()
            .map((key) => key.name)
            .join(', ')})`,
          'WRITE_PARTITION_COLUMNS false',
        ]
  const partition = wanted.partition ?? null
  const prefix = wanted.folder === undefined ? '' : `${wanted.folder}/`
  return {
    stored,
    partitions,
    items,
    keys,
    options,
    codec,
    targetSizeBytes,
    mapping,
    partition,
    prefix,
  }
}

/** Bytes of a size such as `104857600` or `128mb`; null when it is none. */
export function parseSize(text: string | undefined): number | null {
  const match = /^\s*(\d+)\s*([kmgt]?)b?\s*$/i.exec(text ?? '')
  if (match === null) return null
  const power = ['', 'k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase())
  const bytes = Number(match[1]) * 1024 ** power
  return bytes > 0 ? bytes : null
}

function copyText(query: string, layout: Layout, folder: string): string {
  const keys = layout.keys.flat().map((key) => `${key.expression} AS ${key.name}`)
  const items = [...layout.items, ...keys].join(', ')
  // The line break ends a comment at the end of the query.
  return `COPY (SELECT ${items} FROM (${query}\n) AS ${ROWS}) TO ${quoteLiteral(folder)} (${layout.options.join(', ')})`
}

interface StagedRows {
  readonly url: string
  readonly rowCount: number
  readonly sizeBytes: number
  readonly keys: readonly (string | null)[]
}

/** A row of COPY's RETURN_STATS: file, count, size, footer size, column statistics, partition keys. */
function stagedOf(row: readonly unknown[], layout: Layout): StagedRows {
  const [url, count, size, , , pairs] = row
  const found = new Map((pairs ?? []) as readonly (readonly [string, string | null])[])
  return {
    url: url as string,
    rowCount: Number(count),
    sizeBytes: Number(size),
    keys: layout.keys.map((pieces) => {
      const texts = pieces.map((piece) => found.get(piece.name) ?? null)
      return texts[0] === null ? null : texts.join('')
    }),
  }
}

/**
 * One file for each partition value, or as many as the target size asks for.
 *
 * DuckDB divides rows by partition or by size, never by both, and begins new files when it has too
 * many open: what came out too many or too big is written once more.
 */
async function regroup(
  connection: EngineConnection,
  layout: Layout,
  folder: string,
  staged: readonly StagedRows[],
): Promise<readonly StagedRows[]> {
  if (layout.keys.length === 0) return staged
  const groups = new Map<string, StagedRows[]>()
  for (const file of staged) {
    const key = JSON.stringify(file.keys)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [file])
    else group.push(file)
  }
  const regrouped: StagedRows[] = []
  for (const [i, group] of [...groups.values()].entries()) {
    const first = group[0]
    const tooBig = group.some((file) => file.sizeBytes > 2 * layout.targetSizeBytes)
    if (first === undefined || (group.length === 1 && !tooBig)) {
      regrouped.push(...group)
      continue
    }
    const list = group.map((file) => quoteLiteral(escapeGlob(file.url))).join(', ')
    const options = [
      ...layout.options.filter((option) => !/^(PARTITION_BY|WRITE_PARTITION)/.test(option)),
      `FILE_SIZE_BYTES ${layout.targetSizeBytes}`,
    ]
    const rows = await connection.query(
      `COPY (SELECT * FROM read_parquet([${list}], hive_partitioning = false)) TO ${quoteLiteral(`${folder}/again-${i}`)} (${options.join(', ')})`,
    )
    for (const row of rows) {
      const file = stagedOf(row, layout)
      if (file.rowCount > 0) regrouped.push({ ...file, keys: first.keys })
    }
  }
  return regrouped
}

async function publish(
  store: ObjectStore,
  connection: EngineConnection,
  target: WriteTarget,
  layout: Layout,
  staging: Staging,
  staged: readonly StagedRows[],
): Promise<WrittenFiles> {
  if (staged.length === 0) return { files: [], rowCount: 0, sizeBytes: 0 }
  const values = staged.map((file) => partitionValues(layout, target, file.keys))
  const statistics = await collectStatistics(
    connection,
    target,
    staged.map((file) => file.url),
  )
  const paths = staged.map((_, i) => {
    const extension = layout.codec === 'uncompressed' ? '' : `.${layout.codec}`
    const number = String(i).padStart(5, '0')
    return `${layout.prefix}${partitionFolder(values[i] ?? [])}part-${number}-${randomUUID()}-c000${extension}.parquet`
  })
  const files: StagedFile[] = staged.map((file, i) => ({
    name: file.url.slice(staging.engineUrl.length + 1),
    path: `${target.tablePath}/${paths[i]}`,
  }))
  const entries = await staging.publish(files)
  const written = [...layout.items, ...layout.options.filter((option) => /^FIELD_IDS/.test(option))]
  for (const { path } of entries) rememberLayout(store.engineUrl(path), written.join('\n'))
  const adds = staged.map((file, i): AddFile => {
    const entry = entries[i]
    const known = statistics[i]
    if (entry?.sizeBytes !== file.sizeBytes || known?.rowCount !== file.rowCount) {
      throw new SqlError(
        SqlState.ioError,
        `the data file "${paths[i]}" was not stored as it was written`,
        { detail: `${file.sizeBytes} bytes were written, ${entry?.sizeBytes} are stored.` },
      )
    }
    return {
      path: encodeLogPath(paths[i] ?? ''),
      partitionValues: Object.fromEntries(values[i] ?? []),
      size: entry.sizeBytes,
      modificationTime: entry.modifiedMs,
      dataChange: true,
      stats: known.stats,
    }
  })
  return {
    files: adds,
    rowCount: staged.reduce((sum, file) => sum + file.rowCount, 0),
    sizeBytes: adds.reduce((sum, add) => sum + add.size, 0),
  }
}

function partitionValues(
  layout: Layout,
  target: WriteTarget,
  keys: readonly (string | null)[],
): PartitionValues {
  if (layout.partition !== null) return layout.partition
  return layout.partitions.map((field, i) => {
    const text = partitionText(field, keys[i] ?? null)
    if (text === null && !field.nullable) {
      throw new SqlError(
        SqlState.notNullViolation,
        `null value in column "${field.name}" of relation "${target.tablePath.split('/').at(-1)}" violates not-null constraint`,
      )
    }
    return [physicalNameOf(field, target.columnMapping), text]
  })
}
