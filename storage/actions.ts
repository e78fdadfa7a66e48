/** Actions: the records of a Delta commit, and their JSON form. */

import { SqlError, SqlState } from './errors.js'
import { parseLossless } from './lossless-json.js'

/** A whole number of up to 64 bits: a bigint where a double would lose digits. */
export type Long = number | bigint

/** Where a file's deleted rows are listed. */
export interface DeletionVectorDescriptor {
  readonly storageType: string
  readonly pathOrInlineDv: string
  readonly offset?: number | null
  readonly sizeInBytes: number
  readonly cardinality: number
}

/** A data file of the table. */
export interface AddFile {
  readonly path: string
  readonly partitionValues: { readonly [column: string]: string | null }
  readonly size: number
  readonly modificationTime: number
  readonly dataChange?: boolean
  readonly stats?: string | null
  readonly deletionVector?: DeletionVectorDescriptor | null
  readonly tags?: { readonly [key: string]: string | null } | null
  readonly baseRowId?: Long | null
  readonly defaultRowCommitVersion?: Long | null
  readonly clusteringProvider?: string | null
  /** Statistics as a checkpoint's struct holds them; read where `stats` is absent. */
  readonly stats_parsed?: unknown
}

/** A data file that is no longer part of the table; what it carries beside its path describes the file. */
export interface RemoveFile {
  readonly path: string
  readonly deletionTimestamp?: number | null
  readonly dataChange?: boolean | null
  readonly extendedFileMetadata?: boolean | null
  readonly partitionValues?: { readonly [column: string]: string | null } | null
  readonly size?: number | null
  readonly tags?: { readonly [key: string]: string | null } | null
  readonly deletionVector?: DeletionVectorDescriptor | null
  readonly baseRowId?: Long | null
  readonly defaultRowCommitVersion?: Long | null
}

/** A file of changed rows; no part of the table's state. */
export interface AddCdcFile {
  readonly path: string
  readonly partitionValues: { readonly [column: string]: string | null }
  readonly size: number
  readonly dataChange: false
  readonly tags?: { readonly [key: string]: string | null } | null
}

export interface Metadata {
  readonly id: string
  readonly name?: string | null
  readonly description?: string | null
  readonly format?: FileFormat | null
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration: { readonly [key: string]: string }
  readonly createdTime?: number | null
}

export interface FileFormat {
  readonly provider: string
  readonly options?: { readonly [key: string]: string } | null
}

export interface Protocol {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures?: readonly string[] | null
  readonly writerFeatures?: readonly string[] | null
}

/** How far an application has written: lets it find out whether a write of its own is in. */
export interface SetTransaction {
  readonly appId: string
  readonly version: Long
  readonly lastUpdated?: number | null
}

/** A named piece of metadata of a table feature or an application. */
export interface DomainMetadata {
  readonly domain: string
  readonly configuration: string
  readonly removed: boolean
}

/** What a commit says about itself; free JSON. */
export interface CommitInfo {
  readonly [key: string]: unknown
}

/** A reference from a V2 checkpoint to a file of adds and removes. */
export interface Sidecar {
  readonly path: string
}

/** One line of a commit; unknown actions are null. */
export type Action =
  | { readonly kind: 'add'; readonly add: AddFile }
  | { readonly kind: 'remove'; readonly remove: RemoveFile }
  | { readonly kind: 'metaData'; readonly metaData: Metadata }
  | { readonly kind: 'protocol'; readonly protocol: Protocol }
  | { readonly kind: 'txn'; readonly txn: SetTransaction }
  | { readonly kind: 'domainMetadata'; readonly domainMetadata: DomainMetadata }
  | { readonly kind: 'cdc'; readonly cdc: AddCdcFile }
  | { readonly kind: 'commitInfo'; readonly commitInfo: CommitInfo }
  | { readonly kind: 'sidecar'; readonly sidecar: Sidecar }

/**
 * The actions of a commit, compaction or JSON checkpoint, unknown ones left out.
 *
 * XX001 naming `path` when a line is not an action: half a commit must never become rows.
 */
export function parseActions(bytes: Uint8Array, path: string): readonly Action[] {
  const actions: Action[] = []
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (thrown) {
    throw corrupt(path, 'it is not UTF-8', thrown)
  }
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    let parsed: unknown
    try {
      parsed = parseLossless(line)
    } catch (thrown) {
      throw corrupt(path, `line ${index + 1} is not JSON`, thrown)
    }
    const action = actionOf(parsed, path)
    if (action !== null) actions.push(action)
  }
  return actions
}

/** The action a record of the log holds, or null for an unknown one. */
export function actionOf(record: unknown, path: string): Action | null {
  if (!isObject(record)) throw corrupt(path, 'a line is not an action')
  const fields = record
  if (isObject(fields.add)) {
    const add = fields.add as unknown as AddFile
    requireFields(fields.add, 'add', { path: 'string', size: 'number' }, path)
    requireVector(add.deletionVector, path)
    return { kind: 'add', add: { ...add, partitionValues: add.partitionValues ?? {} } }
  }
  if (isObject(fields.remove)) {
    const remove = fields.remove as unknown as RemoveFile
    requireFields(fields.remove, 'remove', { path: 'string' }, path)
    requireVector(remove.deletionVector, path)
    return { kind: 'remove', remove }
  }
  if (isObject(fields.metaData)) {
    const metaData = fields.metaData as unknown as Metadata
    requireFields(fields.metaData, 'metaData', { schemaString: 'string' }, path)
    return {
      kind: 'metaData',
      metaData: {
        ...metaData,
        configuration: metaData.configuration ?? {},
        partitionColumns: metaData.partitionColumns ?? [],
      },
    }
  }
  if (isObject(fields.protocol)) {
    const versions = { minReaderVersion: 'number', minWriterVersion: 'number' } as const
    requireFields(fields.protocol, 'protocol', versions, path)
    return { kind: 'protocol', protocol: fields.protocol as unknown as Protocol }
  }
  if (isObject(fields.txn)) {
    requireFields(fields.txn, 'txn', { appId: 'string', version: 'long' }, path)
    return { kind: 'txn', txn: fields.txn as unknown as SetTransaction }
  }
  if (isObject(fields.domainMetadata)) {
    requireFields(fields.domainMetadata, 'domainMetadata', { domain: 'string' }, path)
    const { domain, configuration, removed } = fields.domainMetadata
    return {
      kind: 'domainMetadata',
      domainMetadata: {
        domain: domain as string,
        configuration: typeof configuration === 'string' ? configuration : '',
        removed: removed === true,
      },
    }
  }
  if (isObject(fields.cdc)) {
    requireFields(fields.cdc, 'cdc', { path: 'string' }, path)
    return { kind: 'cdc', cdc: fields.cdc as unknown as AddCdcFile }
  }
  if (isObject(fields.commitInfo)) return { kind: 'commitInfo', commitInfo: fields.commitInfo }
  if (isObject(fields.sidecar)) {
    requireFields(fields.sidecar, 'sidecar', { path: 'string' }, path)
    return { kind: 'sidecar', sidecar: fields.sidecar as unknown as Sidecar }
  }
  return null
}

function requireFields(
  object: { readonly [key: string]: unknown },
  kind: string,
  types: { readonly [field: string]: 'string' | 'number' | 'long' },
  path: string,
): void {
  for (const [field, type] of Object.entries(types)) {
    const value = object[field] ?? null
    if (value === null) throw corrupt(path, `"${kind}" has no "${field}"`)
    const fits = type === 'long' ? isLong(value) : typeof value === type
    if (!fits) throw corrupt(path, `"${field}" of "${kind}" is not a ${type}`)
  }
}

// A vector read wrongly would bring deleted rows back, so it is whole or the log is corrupt.
function requireVector(vector: unknown, path: string): void {
  if (vector === null || vector === undefined) return
  if (!isObject(vector)) throw corrupt(path, '"deletionVector" is not an object')
  const types = {
    storageType: 'string',
    pathOrInlineDv: 'string',
    sizeInBytes: 'number',
    cardinality: 'number',
  } as const
  requireFields(vector, 'deletionVector', types, path)
}

/** The error for a log that cannot be trusted; names the file. */
export function corrupt(path: string, what: string, cause?: unknown): SqlError {
  return new SqlError(SqlState.dataCorrupted, `the Delta log file "${path}" is corrupt: ${what}`, {
    cause,
  })
}

function isLong(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint'
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
