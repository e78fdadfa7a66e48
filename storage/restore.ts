/** Restore: a table taken back to what it was at an older version, as a new version. */

import type { AddFile, Metadata, Protocol } from './actions.js'
import { readDeletionVector, deletionVectorId } from './deletion-vector.js'
import { SqlError, SqlState } from './errors.js'
import type { DataFile, FileIndex } from './file-index.js'
import { isOutside } from './file-path.js'
import type { ObjectStore } from './object-store.js'
import { ROW_TRACKING_DOMAIN } from './row-tracking.js'
import { parseSchemaString, printSchemaString } from './schema.js'
import type { Snapshot } from './snapshot.js'
import { withStatsText } from './stats-text.js'
import { EVERY_OBLIGATION } from './table-protocol.js'
import { type CommitResult, Transaction } from './transaction.js'

/** What a restore did, by Delta's names. */
export interface RestoreMetrics {
  readonly tableSizeAfterRestore: number
  readonly numOfFilesAfterRestore: number
  readonly numRemovedFiles: number
  readonly numRestoredFiles: number
  readonly removedFilesSize: number
  readonly restoredFilesSize: number
}

/** Requests for files under way at once. */
const PARALLEL = 32

/** Missing files that an error names. */
const NAMED_MAX = 100

/**
 * Makes the newest version of the table of `now` what `past`, an older one of it, was: files,
 * schema, properties and metadata domains. Applications' transactions stay as they are, and so does
 * the protocol, which only rises.
 *
 * 55000 naming the files that are gone, unless `ignoreMissing`; then their rows are missing.
 * Everything committed since `now` conflicts, as in Delta.
 */
export async function restoreTable(
  store: ObjectStore,
  now: Snapshot,
  past: Snapshot,
  parameters: { readonly [name: string]: string },
  options: {
    readonly ignoreMissing?: boolean
    readonly tags?: { readonly [name: string]: string }
  } = {},
): Promise<{
  readonly result: CommitResult
  readonly metrics: RestoreMetrics
  readonly transaction: Transaction
}> {
  const restored = filesBeyond(past.files, now.files)
  const removed = filesBeyond(now.files, past.files)
  const missing = await findMissing(store, past, restored)
  if (missing.size > 0 && options.ignoreMissing !== true) {
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      `table "${now.tablePath}" cannot be restored to version ${past.version}: ${missing.size} of its files are gone`,
      {
        detail: [...missing].slice(0, NAMED_MAX).join(', '),
        hint: 'VACUUM has removed them; newer versions may still be whole.',
      },
    )
  }
  const back = restored.filter((file) => !missing.has(file.path))
  const sizeOf = (files: readonly DataFile[]): number =>
    files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const metrics: RestoreMetrics = {
    tableSizeAfterRestore: now.sizeBytes - sizeOf(removed) + sizeOf(back),
    numOfFilesAfterRestore: now.files.length - removed.length + back.length,
    numRemovedFiles: removed.length,
    numRestoredFiles: back.length,
    removedFilesSize: sizeOf(removed),
    restoredFilesSize: sizeOf(back),
  }
  const transaction = await Transaction.begin(store, now, {
    fulfilled: EVERY_OBLIGATION,
    keepsRowIds: true,
  })
  transaction.readWholeTable()
  const protocol = merged(now.protocol, past.protocol)
  transaction.setMetadata(
    restoredMetadata(now.metadata, past.metadata),
    JSON.stringify(protocol) === JSON.stringify(now.protocol) ? undefined : protocol,
  )
  for (const domain of new Set([...now.domains.keys(), ...past.domains.keys()])) {
    const configuration = past.domains.get(domain) ?? null
    if (domain === ROW_TRACKING_DOMAIN || configuration === (now.domains.get(domain) ?? null)) {
      continue
    }
    transaction.setDomain(domain, configuration)
  }
  transaction.remove(removed)
  transaction.add(
    back.map((file): AddFile => ({ ...withStatsText(past, file.add), dataChange: true })),
  )
  const result = await transaction.commit({
    operation: 'RESTORE',
    parameters,
    metrics: { ...metrics },
    ...(options.tags === undefined ? {} : { tags: options.tags }),
  })
  return { result, metrics, transaction }
}

function filesBeyond(files: FileIndex, others: FileIndex): readonly DataFile[] {
  return [...files].filter(
    (file) => !others.has({ path: file.path, vectorId: deletionVectorId(file.deletionVector) }),
  )
}

/** Paths of `files` that cannot be read any more, the file itself or its deletion vector. */
async function findMissing(
  store: ObjectStore,
  { tablePath }: Snapshot,
  files: readonly DataFile[],
): Promise<ReadonlySet<string>> {
  const missing = new Set<string>()
  const queue = [...files]
  const work = async (): Promise<void> => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      // What lies outside of the lake is not looked at, and not read either.
      if (isOutside(file.path)) continue
      const found = await store.stat(file.path)
      if (found === null || !(await hasVector(store, tablePath, file))) missing.add(file.path)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return missing
}

async function hasVector(store: ObjectStore, tablePath: string, file: DataFile): Promise<boolean> {
  if (file.deletionVector === null) return true
  try {
    await readDeletionVector(store, tablePath, file.deletionVector)
    return true
  } catch (thrown) {
    if (thrown instanceof SqlError && thrown.sqlState === SqlState.dataCorrupted) return false
    throw thrown
  }
}

/**
 * The metadata of `past` for the table as it goes on: its own id, no column id handed out twice,
 * commit times that keep rising.
 */
function restoredMetadata(now: Metadata, past: Metadata): Metadata {
  const configuration: Record<string, string> = { ...past.configuration }
  for (const key of CLOCK) {
    const value = now.configuration[key]
    if (value === undefined) delete configuration[key]
    else configuration[key] = value
  }
  const ids = [now, past].map((one) => Number(one.configuration[COLUMN_ID] ?? Number.NaN))
  const highest = Math.max(...ids.filter((id) => !Number.isNaN(id)))
  if (Number.isFinite(highest)) configuration[COLUMN_ID] = String(highest)
  return { ...past, id: now.id, schemaString: withHighWaterMarks(now, past), configuration }
}

/** The schema of `past`, its identity columns going on where those of `now` have come to. */
function withHighWaterMarks(now: Metadata, past: Metadata): string {
  const schema = parseSchemaString(past.schemaString)
  if (!schema.fields.some((field) => IDENTITY_MARK in field.metadata)) return past.schemaString
  const newer = parseSchemaString(now.schemaString).fields
  const fields = schema.fields.map((field) => {
    const other = newer.find((one) => one.name.toLowerCase() === field.name.toLowerCase())
    const mark = other?.metadata[IDENTITY_MARK]
    const own = field.metadata[IDENTITY_MARK]
    if (typeof mark !== 'number' && typeof mark !== 'bigint') return field
    const isFurther =
      (typeof own !== 'number' && typeof own !== 'bigint') ||
      (Number(field.metadata['delta.identity.step']) < 0 ? mark < own : mark > own)
    return isFurther ? { ...field, metadata: { ...field.metadata, [IDENTITY_MARK]: mark } } : field
  })
  return printSchemaString({ ...schema, fields })
}

const IDENTITY_MARK = 'delta.identity.highWaterMark'

const COLUMN_ID = 'delta.columnMapping.maxColumnId'

/** Properties that say how commits are dated. */
const CLOCK = [
  'delta.enableInCommitTimestamps',
  'delta.inCommitTimestampEnablementVersion',
  'delta.inCommitTimestampEnablementTimestamp',
]

/** Both protocols' features; nothing is ever taken away. */
function merged(now: Protocol, past: Protocol): Protocol {
  const minReaderVersion = Math.max(now.minReaderVersion, past.minReaderVersion)
  const minWriterVersion = Math.max(now.minWriterVersion, past.minWriterVersion)
  // The newer one has all the older had, unless a feature was dropped between.
  const list = (name: 'readerFeatures' | 'writerFeatures'): string[] => {
    const known = now[name] ?? []
    return [...known, ...(past[name] ?? []).filter((feature) => !known.includes(feature))]
  }
  return {
    minReaderVersion,
    minWriterVersion,
    ...(minReaderVersion >= 3 ? { readerFeatures: list('readerFeatures') } : {}),
    ...(minWriterVersion >= 7 ? { writerFeatures: list('writerFeatures') } : {}),
  }
}
