/** Checkpoint writer: a version's whole state as one Parquet file, so that readers need not replay. */

import { addRecord, metadataRecord, protocolRecord, removeRecord } from './action-writer.js'
import { physicalNameOf } from './column-mapping.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from './engine.js'
import { printEngineType } from './engine-type.js'
import { printLossless, quoteNumbers } from './lossless-json.js'
import { checkpointPath, LAST_CHECKPOINT_PATH } from './log-path.js'
import type { ObjectStore, Staging } from './object-store.js'
import { type DataType, engineTypeOf, type StructField } from './schema.js'
import { fileCount, liveFiles, type Snapshot } from './snapshot.js'
import { withStatsText } from './stats-text.js'
import { durationMs } from './table-property.js'
import { readTombstones } from './tombstones.js'

/** What of a table's tombstones is kept for readers of old versions, unless it says otherwise. */
const DEFAULT_RETENTION_MS = 7 * 86_400_000

/**
 * Writes the classic checkpoint of `snapshot` and the hint that names it; answers its path, or
 * null when that version has one already.
 *
 * Any writer may checkpoint any version at any time: the file appears whole or not at all, is
 * never replaced, and the hint only ever moves forward. `connection` is the writer's own: its time
 * zone is set to UTC.
 *
 * Delta protocol, "Checkpoints", V1.
 */
export async function writeCheckpoint(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  nowMs: number = Date.now(),
): Promise<string | null> {
  const { tablePath, version } = snapshot
  const path = `${tablePath}/${checkpointPath(version)}`
  if ((await store.stat(path)) !== null) return null
  await connection.run("SET TimeZone = 'UTC'")
  const staging = await store.openStaging(tablePath)
  try {
    const { actionCount, longestBytes } = await writeSource(
      store,
      connection,
      snapshot,
      staging,
      nowMs,
    )
    const source = `${staging.engineUrl}/${SOURCE}`
    await connection.run(
      `COPY (${selectText(snapshot, source, longestBytes)}) TO ${quoteLiteral(`${staging.engineUrl}/checkpoint.parquet`)} (FORMAT parquet, COMPRESSION snappy)`,
    )
    let sizeBytes: number
    try {
      const [entry] = await staging.publish([{ name: 'checkpoint.parquet', path }])
      sizeBytes = entry?.sizeBytes ?? 0
    } catch (thrown) {
      // Another writer was faster; what it wrote says the same.
      if ((await store.stat(path)) !== null) return null
      throw thrown
    }
    await writeHint(store, snapshot, actionCount, sizeBytes)
    return path
  } finally {
    await staging.discard()
  }
}

const SOURCE = 'checkpoint.json'

/** Bytes of lines that are held before they are written. */
const BATCH_BYTES = 4 * 1024 * 1024

/** The records of the checkpoint as lines of JSON, which the engine turns into Parquet. */
async function writeSource(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  staging: Staging,
  nowMs: number,
): Promise<{ readonly actionCount: number; readonly longestBytes: number }> {
  const { configuration } = snapshot.metadata
  let held: string[] = []
  let heldLength = 0
  let actionCount = 0
  let longestBytes = 0
  const flush = async (): Promise<void> => {
    if (held.length === 0) return
    await staging.append(SOURCE, new TextEncoder().encode(held.join('')))
    held = []
    heldLength = 0
  }
  const put = async (record: object): Promise<void> => {
    const line = `${printLossless(record)}\n`
    held.push(line)
    heldLength += line.length
    actionCount++
    // A character of JavaScript is three bytes of UTF-8 at most.
    longestBytes = Math.max(longestBytes, line.length * 3)
    if (heldLength > BATCH_BYTES) await flush()
  }
  await put({ protocol: protocolRecord(snapshot.protocol) })
  await put({ metaData: metadataRecord(snapshot.metadata) })
  const transactionMs = durationMs(configuration['delta.setTransactionRetentionDuration'])
  for (const txn of snapshot.transactions.values()) {
    const expired =
      transactionMs !== null &&
      typeof txn.lastUpdated === 'number' &&
      txn.lastUpdated <= nowMs - transactionMs
    if (!expired) await put({ txn })
  }
  for (const [domain, text] of snapshot.domains) {
    await put({ domainMetadata: { domain, configuration: text, removed: false } })
  }
  const asStruct = writesStatsAsStruct(snapshot)
  for (const file of liveFiles(snapshot)) {
    const add = withStatsText(snapshot, file.add)
    await put({
      add: addRecord({ ...add, dataChange: false }),
      // Numbers in quotes, so that the engine reads long decimals as they are.
      ...(asStruct && typeof add.stats === 'string' ? { quoted: quoteNumbers(add.stats) } : {}),
    })
  }
  const text = configuration['delta.deletedFileRetentionDuration']
  const retentionMs = text === undefined ? DEFAULT_RETENTION_MS : durationMs(text)
  // A retention that cannot be read keeps everything.
  const afterMs = retentionMs === null ? -1 : nowMs - retentionMs
  const { tablePath, version } = snapshot
  for (const remove of await readTombstones(store, connection, tablePath, version, afterMs)) {
    await put({ remove: removeRecord({ ...remove, dataChange: false, tags: null }) })
  }
  await flush()
  return { actionCount, longestBytes }
}

const MAP = 'MAP(VARCHAR, VARCHAR)'
const VECTOR =
  'STRUCT("storageType" VARCHAR, "pathOrInlineDv" VARCHAR, "offset" INTEGER, "sizeInBytes" INTEGER, cardinality BIGINT)'

/** The columns of a checkpoint: the fields of their structs, with the types Spark gives them. */
const COLUMNS: { readonly [column: string]: { readonly [field: string]: string } } = {
  protocol: {
    minReaderVersion: 'INTEGER',
    minWriterVersion: 'INTEGER',
    readerFeatures: 'VARCHAR[]',
    writerFeatures: 'VARCHAR[]',
  },
  metaData: {
    id: 'VARCHAR',
    name: 'VARCHAR',
    description: 'VARCHAR',
    format: `STRUCT(provider VARCHAR, options ${MAP})`,
    schemaString: 'VARCHAR',
    partitionColumns: 'VARCHAR[]',
    configuration: MAP,
    createdTime: 'BIGINT',
  },
  txn: { appId: 'VARCHAR', version: 'BIGINT', lastUpdated: 'BIGINT' },
  domainMetadata: { domain: 'VARCHAR', configuration: 'VARCHAR', removed: 'BOOLEAN' },
  add: {
    path: 'VARCHAR',
    partitionValues: MAP,
    size: 'BIGINT',
    modificationTime: 'BIGINT',
    dataChange: 'BOOLEAN',
    stats: 'VARCHAR',
    tags: MAP,
    deletionVector: VECTOR,
    baseRowId: 'BIGINT',
    defaultRowCommitVersion: 'BIGINT',
    clusteringProvider: 'VARCHAR',
  },
  remove: {
    path: 'VARCHAR',
    deletionTimestamp: 'BIGINT',
    dataChange: 'BOOLEAN',
    extendedFileMetadata: 'BOOLEAN',
    partitionValues: MAP,
    size: 'BIGINT',
    deletionVector: VECTOR,
    baseRowId: 'BIGINT',
    defaultRowCommitVersion: 'BIGINT',
  },
}

function selectText(snapshot: Snapshot, source: string, longestBytes: number): string {
  const asStruct = writesStatsAsStruct(snapshot)
  const columns = Object.entries(COLUMNS).map(([name, fields]) => {
    const parts = Object.entries(fields).map(([field, type]) => `${quoteIdentifier(field)} ${type}`)
    return `${quoteIdentifier(name)}: ${quoteLiteral(`STRUCT(${parts.join(', ')})`)}`
  })
  if (asStruct) columns.push("quoted: 'VARCHAR'")
  const items = Object.keys(COLUMNS).map((name) =>
    name === 'add' ? addItem(snapshot, asStruct) : quoteIdentifier(name),
  )
  const limit = Math.max(16 * 1024 * 1024, longestBytes + 1024)
  return `SELECT ${items.join(', ')} FROM read_json(${quoteLiteral(source)}, format = 'newline_delimited', maximum_object_size = ${limit}, columns = {${columns.join(', ')}})`
}

/** The column of adds, with the statistics in the forms the table asks for. */
function addItem(snapshot: Snapshot, asStruct: boolean): string {
  const asText = snapshot.metadata.configuration['delta.checkpoint.writeStatsAsJson'] !== 'false'
  if (asText && !asStruct) return '"add"'
  const parts = Object.keys(COLUMNS.add ?? {})
    .filter((field) => asText || field !== 'stats')
    .map((field) => `${quoteIdentifier(field)} := "add".${quoteIdentifier(field)}`)
  if (asStruct) {
    const structure = statisticsStructure(snapshot)
    if (structure !== null) {
      parts.push(`stats_parsed := json_transform(quoted, ${quoteLiteral(structure)})`)
    }
    const values = partitionItems(snapshot)
    if (values !== null) parts.push(`"partitionValues_parsed" := ${values}`)
  }
  return `CASE WHEN "add" IS NOT NULL THEN struct_pack(${parts.join(', ')}) END AS "add"`
}

function writesStatsAsStruct(snapshot: Snapshot): boolean {
  return (
    snapshot.metadata.configuration['delta.checkpoint.writeStatsAsStruct']?.toLowerCase() === 'true'
  )
}

/** The structure of `stats_parsed` as json_transform takes it; null without any column to count. */
function statisticsStructure(snapshot: Snapshot): string | null {
  const partitions = new Set(snapshot.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const fields = snapshot.schema.fields.filter((field) => !partitions.has(field.name.toLowerCase()))
  const bounds = structureOf(snapshot, fields, (type) =>
    hasBounds(type) ? printEngineType(engineTypeOf(type)) : null,
  )
  const counts = structureOf(snapshot, fields, (type) =>
    type.kind === 'primitive' && type.name === 'void' ? null : 'BIGINT',
  )
  if (counts === null) return null
  return JSON.stringify({
    numRecords: 'BIGINT',
    ...(bounds === null ? {} : { minValues: bounds, maxValues: bounds }),
    nullCount: counts,
    tightBounds: 'BOOLEAN',
  })
}

type Structure = string | { readonly [name: string]: Structure }

function structureOf(
  snapshot: Snapshot,
  fields: readonly StructField[],
  leaf: (type: DataType) => string | null,
): Structure | null {
  const entries = fields.flatMap((field): [string, Structure][] => {
    const below =
      field.type.kind === 'struct'
        ? structureOf(snapshot, field.type.fields, leaf)
        : leaf(field.type)
    return below === null ? [] : [[physicalNameOf(field, snapshot.columnMapping), below]]
  })
  return entries.length === 0 ? null : Object.fromEntries(entries)
}

function hasBounds(type: DataType): boolean {
  if (type.kind === 'decimal') return true
  if (type.kind !== 'primitive') return false
  return !['boolean', 'binary', 'variant', 'void'].includes(type.name)
}

/** The typed partition values; null where the table has none. */
function partitionItems(snapshot: Snapshot): string | null {
  const parts = snapshot.metadata.partitionColumns.flatMap((name) => {
    const field = snapshot.schema.fields.find(
      (one) => one.name.toLowerCase() === name.toLowerCase(),
    )
    if (field === undefined) return []
    const physical = physicalNameOf(field, snapshot.columnMapping)
    const text = `nullif("add"."partitionValues"[${quoteLiteral(physical)}], '')`
    const type = printEngineType(engineTypeOf(field.type))
    return [`${quoteIdentifier(physical)} := TRY_CAST(${text} AS ${type})`]
  })
  return parts.length === 0 ? null : `struct_pack(${parts.join(', ')})`
}

/** The hint names the newest checkpoint: an older one written late leaves it as it is. */
async function writeHint(
  store: ObjectStore,
  snapshot: Snapshot,
  actionCount: number,
  sizeBytes: number,
): Promise<void> {
  const path = `${snapshot.tablePath}/${LAST_CHECKPOINT_PATH}`
  const known = await store.read(path)
  if (known !== null) {
    try {
      const hint = JSON.parse(new TextDecoder().decode(known)) as { readonly version?: unknown }
      if (typeof hint.version === 'number' && hint.version >= snapshot.version) return
    } catch {
      // A hint that cannot be read is replaced.
    }
  }
  const hint = {
    version: snapshot.version,
    size: actionCount,
    sizeInBytes: sizeBytes,
    numOfAddFiles: fileCount(snapshot),
  }
  await store.write(path, new TextEncoder().encode(JSON.stringify(hint)))
}
