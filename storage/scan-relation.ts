/** Scan relation: the DuckDB text that yields exactly the rows and columns of a Scan. */

import { type DeletedRows, readDeletionVector } from './deletion-vector.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from './engine.js'
import { type EngineType, printEngineType, scalarType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile } from './file-index.js'
import { escapeGlob, isOutside } from './file-path.js'
import type { ObjectStore } from './object-store.js'
import { type ParquetNode, type ParquetSignature, readSignatures } from './parquet-signature.js'
import { partitionText, physicalName, type Scan } from './scan.js'
import { parseTimestampMicros } from './data-skipping.js'
import { type DataType, engineTypeOf, type Schema, type StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'

/**
 * A sub-select of typed columns without rows: what Describe needs, and what an empty scan reads.
 */
export function emptyRelation(schema: Schema): string {
  const items = schema.fields.map(
    (field) =>
      `NULL::${printEngineType(engineTypeOf(field.type))} AS ${quoteIdentifier(field.name)}`,
  )
  return `(SELECT ${items.join(', ')} WHERE false)`
}

/**
 * A parenthesised SELECT of the table's logical columns over the files of `scan`.
 *
 * - Files are grouped by physical schema; each group is one read_parquet with exact column
 *   expressions, so columns that need no conversion keep DuckDB's own row-group pruning.
 * - Deleted rows are filtered by bitmaps, which are put into variables of `connection`: the text
 *   is to be run on that connection.
 *
 * 0A000 for files whose columns cannot be read exactly.
 */
export async function scanRelation(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
): Promise<string> {
  if (scan.files.length === 0) return emptyRelation(scan.snapshot.schema)
  const branches: string[] = []
  for (const { signature, files } of await groupsOf(store, connection, scan)) {
    branches.push(await branch(store, connection, scan.snapshot, signature, files, null))
  }
  return `(${branches.join(' UNION ALL ')})`
}

/** Columns of an identified relation beside the table's own: which file, and which row of it from 0. */
export const FILE_COLUMN = '_lakegate_file'
export const ROW_COLUMN = '_lakegate_row'

/** A relation whose rows can be found again: FILE_COLUMN is an index into `files`. */
export interface IdentifiedRelation {
  readonly sql: string
  readonly files: readonly DataFile[]
}

/** As scanRelation, with the columns FILE_COLUMN and ROW_COLUMN, both BIGINT, behind the table's. */
export async function identifiedRelation(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
): Promise<IdentifiedRelation> {
  const ordered: DataFile[] = []
  const branches: string[] = []
  for (const { signature, files } of await groupsOf(store, connection, scan)) {
    const base = ordered.length
    branches.push(await branch(store, connection, scan.snapshot, signature, files, base))
    ordered.push(...files)
  }
  const sql =
    branches.length === 0
      ? `(SELECT *, NULL::BIGINT AS ${FILE_COLUMN}, NULL::BIGINT AS ${ROW_COLUMN} FROM ${emptyRelation(scan.snapshot.schema)} WHERE false)`
      : `(${branches.join(' UNION ALL ')})`
  return { sql, files: ordered }
}

interface FileGroup {
  readonly signature: ParquetSignature
  readonly files: DataFile[]
}

/** The files of `scan` by what one read_parquet can read. */
async function groupsOf(
  store: ObjectStore,
  connection: EngineConnection,
  scan: Scan,
): Promise<readonly FileGroup[]> {
  const { files } = scan
  for (const file of files) requireInside(store, file)
  const lease = await store.lend(files, connection.cancellation)
  connection.keep(lease)
  const { urls } = lease
  const signatures = await readSignatures(connection, urls)
  const groups = new Map<string, FileGroup>()
  for (const [i, file] of files.entries()) {
    const signature = signatures.get(urls[i] ?? '')
    if (signature === undefined) continue
    const rows =
      file.onlyRows !== undefined ? 'chosen' : file.deletionVector ? 'deletions' : 'plain'
    const key = `${rows} ${signature.key}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { signature, files: [file] })
    else group.files.push(file)
  }
  return [...groups.values()]
}

function requireInside(store: ObjectStore, file: DataFile): void {
  if (isOutside(file.path)) {
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `the data file "${file.path}" lies outside of the lake "${store.root}"`,
    )
  }
}

async function branch(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  signature: ParquetSignature,
  files: readonly DataFile[],
  firstOrdinal: number | null,
): Promise<string> {
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const joined: string[] = []
  const items = snapshot.schema.fields.map((field) => {
    const expression = partitions.has(field.name.toLowerCase())
      ? partitionExpression(snapshot, field, files, joined)
      : columnExpression(snapshot, field, signature)
    return `${expression} AS ${quoteIdentifier(field.name)}`
  })
  if (firstOrdinal !== null) {
    requireVirtualColumns(signature)
    items.push(`(file_index + ${firstOrdinal})::BIGINT AS ${FILE_COLUMN}`)
    items.push(`file_row_number AS ${ROW_COLUMN}`)
  }
  const names = files.map((file) => escapeGlob(store.engineUrl(file.path)))
  const list =
    names.length > 20 && !names.some((name) => name.includes('\n'))
      ? `string_split(${quoteLiteral(names.join('\n'))}, chr(10))`
      : `[${names.map(quoteLiteral).join(', ')}]`
  if (items.some((item) => item.includes('(file_index + 1)::BIGINT')) || joined.length > 0) {
    requireVirtualColumns(signature)
  }
  const join =
    joined.length === 0
      ? ''
      : ` JOIN (SELECT unnest(range(${files.length})) AS _lakegate_file, ${joined.join(', ')}) AS _partition ON _file.file_index = _partition._lakegate_file`
  const where = await deletedRowsFilter(store, connection, snapshot, signature, files)
  return `SELECT ${items.join(', ')} FROM read_parquet(${list}, hive_partitioning = false) AS _file${join}${where}`
}

const VIRTUAL = ['file_index', 'file_row_number']

async function deletedRowsFilter(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  signature: ParquetSignature,
  files: readonly DataFile[],
): Promise<string> {
  // Files of one group have all such rows, or none.
  const isChosen = files[0]?.onlyRows !== undefined
  if (!isChosen && files.every((file) => file.deletionVector === null)) return ''
  const condition = isChosen ? chosenCondition : deletedCondition
  requireVirtualColumns(signature)
  const bitmaps = await Promise.all(
    files.map(async (file) => {
      if (file.onlyRows !== undefined) return printBitmap(file.onlyRows)
      const vector = file.deletionVector
      if (vector === null) return new Uint8Array(1)
      return printBitmap(await readDeletionVector(store, snapshot.tablePath, vector))
    }),
  )
  const variable = `lakegate_deleted_${nextVariable++}`
  const bytes = bitmaps.reduce((sum, bitmap) => sum + bitmap.length, 0)
  if (bytes > JOINED_BYTES_MAX) {
    await connection.run(`SET VARIABLE ${variable} = $1::BLOB[]::BIT[]`, [
      { type: { kind: 'list', child: scalarType('BLOB') }, value: bitmaps },
    ])
    const bitmap = `list_extract(getvariable('${variable}'), (file_index + 1)::BIGINT)`
    return condition(bitmap, `bit_length(${bitmap})`, 'file_row_number')
  }
  // One bitmap for all files: a list of them would be copied for every chunk of rows.
  await connection.run(`SET VARIABLE ${variable} = $1::BLOB::BIT`, [
    { type: scalarType('BLOB'), value: Buffer.concat(bitmaps) },
  ])
  const bitmap = `getvariable('${variable}')`
  const [only] = bitmaps
  if (bitmaps.length === 1 && only !== undefined) {
    return condition(bitmap, String(only.length * 8), 'file_row_number')
  }
  const ofFile = (values: readonly number[]): string =>
    `list_extract([${values.join(', ')}]::INTEGER[], (file_index + 1)::BIGINT)`
  let start = 0
  const starts = bitmaps.map((one) => {
    const from = start
    start += one.length * 8
    return from
  })
  return condition(
    bitmap,
    ofFile(bitmaps.map((one) => one.length * 8)),
    `file_row_number + ${ofFile(starts)}`,
  )
}

/** Bytes of bitmaps that are joined to one, whose bits an INTEGER can number. */
const JOINED_BYTES_MAX = 2 ** 28 - 1

/** CASE, because get_bit fails on an index behind the end and AND may look at both of its sides. */
function chosenCondition(bitmap: string, length: string, index: string): string {
  return ` WHERE CASE WHEN file_row_number < ${length} THEN get_bit(${bitmap}, (${index})::INTEGER) = 1 ELSE false END`
}

function deletedCondition(bitmap: string, length: string, index: string): string {
  return ` WHERE NOT CASE WHEN file_row_number < ${length} THEN get_bit(${bitmap}, (${index})::INTEGER) = 1 ELSE false END`
}

// Names differ, so that two scans of one statement never share a variable.
let nextVariable = 1

function requireVirtualColumns(signature: ParquetSignature): void {
  for (const node of signature.columns) {
    if (VIRTUAL.includes(node.name.toLowerCase())) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `a table with a column named "${node.name}" cannot be read with deletion vectors or partitions, nor changed row by row`,
      )
    }
  }
}

/** Bit i, counted from the most significant bit of the first byte, is 1 where row i is deleted. */
function printBitmap(rows: DeletedRows): Uint8Array {
  const last = rows.at(-1) ?? 0
  const bytes = new Uint8Array((last >> 3) + 1)
  for (const row of rows) bytes[row >> 3] = (bytes[row >> 3] ?? 0) | (0x80 >> (row & 7))
  return bytes
}

/** From this many files on, partition values are joined: DuckDB copies a list for every chunk. */
const JOIN_FILES = 50

/** A partition column of `files`; columns of the relation joined by file go into `joined`. */
function partitionExpression(
  snapshot: Snapshot,
  field: StructField,
  files: readonly DataFile[],
  joined: string[],
): string {
  const type = printEngineType(engineTypeOf(field.type))
  const texts = files.map((file) => partitionText(snapshot, file, field))
  const literals = texts.map((text) => {
    return text === null ? 'NULL' : partitionLiteral(text, field.type)
  })
  const first = literals[0] ?? 'NULL'
  if (literals.every((literal) => literal === first)) return `${first}::${type}`
  const list = `[${literals.join(', ')}]::${type}[]`
  if (files.length < JOIN_FILES) return `list_extract(${list}, (file_index + 1)::BIGINT)`
  const name = `_lakegate_partition_${joined.length}`
  // One text is parsed in a fraction of the time of as many literals. An empty text is a null.
  const plain = texts.every(
    (text, i) => text === null || (literals[i] === quoteLiteral(text) && !text.includes('\n')),
  )
  joined.push(
    plain
      ? `nullif(unnest(string_split(${quoteLiteral(texts.map((text) => text ?? '').join('\n'))}, chr(10))), '')::${type} AS ${name}`
      : `unnest(${list}) AS ${name}`,
  )
  return `_partition.${name}`
}

/** Delta protocol, "Partition Value Serialization"; zone-less timestamps are taken as UTC. */
export function partitionLiteral(text: string, type: DataType): string {
  if (type.kind === 'primitive' && type.name === 'timestamp') {
    const micros = parseTimestampMicros(text)
    if (micros !== null) return `make_timestamptz(${micros})`
  }
  if (type.kind === 'primitive' && type.name === 'binary') {
    return `encode(${quoteLiteral(text)})`
  }
  return quoteLiteral(text)
}

function columnExpression(
  snapshot: Snapshot,
  field: StructField,
  signature: ParquetSignature,
): string {
  const index = findColumn(snapshot, field, signature.columns)
  const node = signature.columns[index]
  const column = signature.engineColumns[index]
  if (node === undefined || column === undefined) return nullOf(field.type)
  return convert(snapshot, quoteIdentifier(column.name), column.type, node, field.type, 0)
}

function nullOf(type: DataType): string {
  return `NULL::${printEngineType(engineTypeOf(type))}`
}

/** Index of the file's column that holds `field`; -1 when the file was written without it. */
function findColumn(snapshot: Snapshot, field: StructField, nodes: readonly ParquetNode[]): number {
  const id = field.metadata['delta.columnMapping.id']
  // Columns that files have beside the table's own are known by their names.
  if (snapshot.columnMapping === 'id' && id !== undefined) {
    return nodes.findIndex((node) => node.fieldId !== null && node.fieldId === id)
  }
  const name = physicalName(snapshot, field)
  const exact = nodes.findIndex((node) => node.name === name)
  if (exact >= 0 || snapshot.columnMapping === 'name') return exact
  return nodes.findIndex((node) => node.name.toLowerCase() === name.toLowerCase())
}

function convert(
  snapshot: Snapshot,
  value: string,
  source: EngineType,
  node: ParquetNode,
  target: DataType,
  depth: number,
): string {
  const wanted = engineTypeOf(target)
  if (target.kind === 'primitive' && target.name === 'variant') return variant(value, source)
  if (target.kind === 'primitive' && target.name === 'void') return nullOf(target)
  if (sameType(source, wanted) && !(snapshot.columnMapping !== 'none' && isNested(target))) {
    return value
  }
  switch (target.kind) {
    case 'struct': {
      if (source.kind !== 'struct') break
      const parts = target.fields.map((field) => {
        const index = findColumn(snapshot, field, node.children)
        const child = node.children[index]
        const sourceField = source.fields[index]
        const part =
          child === undefined || sourceField === undefined
            ? nullOf(field.type)
            : convert(
                snapshot,
                `struct_extract(${value}, ${quoteLiteral(sourceField.name)})`,
                sourceField.type,
                child,
                field.type,
                depth,
              )
        return `${quoteIdentifier(field.name)} := ${part}`
      })
      return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${parts.join(', ')}) END`
    }
    case 'array': {
      if (source.kind !== 'list') break
      const element = `e${depth}`
      const child = elementNode(node, source.child)
      const part = convert(snapshot, element, source.child, child, target.element, depth + 1)
      return `list_transform(${value}, lambda ${element}: ${part})`
    }
    case 'map': {
      if (source.kind !== 'map') break
      const entry = `e${depth}`
      const pair = node.children[0]?.children ?? []
      const blank: ParquetNode = { name: '', fieldId: null, children: [] }
      const key = convert(
        snapshot,
        `${entry}.key`,
        source.key,
        pair[0] ?? blank,
        target.key,
        depth + 1,
      )
      const mapped = convert(
        snapshot,
        `${entry}.value`,
        source.value,
        pair[1] ?? blank,
        target.value,
        depth + 1,
      )
      return `CASE WHEN ${value} IS NOT NULL THEN map_from_entries(list_transform(map_entries(${value}), lambda ${entry}: struct_pack(key := ${key}, value := ${mapped}))) END`
    }
    case 'interval':
      if (source.kind === 'scalar' && (source.name === 'INTEGER' || source.name === 'BIGINT')) {
        return target.yearMonth ? `to_months(${value}::INTEGER)` : `to_microseconds(${value})`
      }
      break
    case 'primitive':
    case 'decimal': {
      if (source.kind === 'scalar' && wanted.kind === 'scalar') {
        // Old timestamps (INT96) and zone-less ones are UTC wall clock, whatever the session's zone.
        const stamps = ['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS']
        if (stamps.includes(source.name) && wanted.name === 'TIMESTAMPTZ') {
          return `(${value}::TIMESTAMP AT TIME ZONE 'UTC')`
        }
        if (source.name === 'TIMESTAMPTZ' && wanted.name === 'TIMESTAMP') {
          return `(${value} AT TIME ZONE 'UTC')`
        }
      }
      return `CAST(${value} AS ${printEngineType(wanted)})`
    }
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `column "${node.name}" of table "${snapshot.tablePath}" holds ${printEngineType(source)} in a data file where the schema says ${printEngineType(wanted)}`,
  )
}

function elementNode(node: ParquetNode, element: EngineType): ParquetNode {
  const blank: ParquetNode = { name: '', fieldId: null, children: [] }
  const repeated = node.children[0]
  if (repeated === undefined) return node
  // Two-level lists of old writers have no wrapper between the list and its element.
  if (
    repeated.children.length === 1 &&
    !(element.kind === 'struct' && isWrapped(repeated, element))
  ) {
    return repeated.children[0] ?? blank
  }
  return repeated
}

function isWrapped(repeated: ParquetNode, element: EngineType): boolean {
  return (
    element.kind === 'struct' &&
    element.fields.length === 1 &&
    element.fields[0]?.name === repeated.children[0]?.name
  )
}

function isNested(type: DataType): boolean {
  return type.kind === 'struct' || type.kind === 'array' || type.kind === 'map'
}

function variant(value: string, source: EngineType): string {
  if (source.kind === 'scalar' && source.name === 'VARIANT') return `CAST(${value} AS JSON)`
  if (source.kind === 'struct') {
    const names = source.fields.map((field) => field.name)
    if (names.length === 2 && names.includes('value') && names.includes('metadata')) {
      return `CASE WHEN ${value} IS NOT NULL THEN CAST(variant_bytes_to_variant(struct_extract(${value}, 'metadata') || struct_extract(${value}, 'value')) AS JSON) END`
    }
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    'a shredded variant in the older encoding cannot be read',
  )
}

function sameType(a: EngineType, b: EngineType): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
