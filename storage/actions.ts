/** Actions: the records of a Delta commit, and their JSON form. */

import { SqlError, SqlState } from './errors.js'

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
  /** Statistics as a checkpoint's struct holds them; read where `stats` is absent. */
  readonly stats_parsed?: unknown
}

export interface RemoveFile {
  readonly path: string
  readonly deletionTimestamp?: number | null
  readonly deletionVector?: DeletionVectorDescriptor | null
}

export interface Metadata {
  readonly id: string
  readonly name?: string | null
  readonly description?: string | null
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration: { readonly [key: string]: string }
  readonly createdTime?: number | null
}

export interface Protocol {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures?: readonly string[] | null
  readonly writerFeatures?: readonly string[] | null
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
  | { readonly kind: 'commitInfo'; readonly commitInfo: { readonly [key: string]: unknown } }
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
      parsed = JSON.parse(line)
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
  types: { readonly [field: string]: 'string' | 'number' },
  path: string,
): void {
  for (const [field, type] of Object.entries(types)) {
    const value = object[field] ?? null
    if (value === null) throw corrupt(path, `"${kind}" has no "${field}"`)
    if (typeof value !== type) throw corrupt(path, `"${field}" of "${kind}" is not a ${type}`)
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

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
