/** Action writer: actions as the lines of a commit. */

import type {
  Action,
  AddFile,
  DeletionVectorDescriptor,
  Metadata,
  Protocol,
  RemoveFile,
} from './actions.js'
import { assert } from './errors.js'
import { printLossless } from './lossless-json.js'

/** The bytes of a commit: one action a line, in the order given, each line ended. */
export function printActions(actions: readonly Action[]): Uint8Array {
  return new TextEncoder().encode(actions.map((action) => `${printAction(action)}\n`).join(''))
}

/**
 * One action as one line of JSON without its end.
 *
 * Whole numbers keep every digit, fields that are null are left out, and what `parseActions` read
 * of the line again is the same action.
 *
 * Delta protocol, "Actions".
 */
export function printAction(action: Action): string {
  switch (action.kind) {
    case 'add':
      return printLossless({ add: addRecord(action.add) })
    case 'remove':
      return printLossless({ remove: removeRecord(action.remove) })
    case 'metaData':
      return printLossless({ metaData: metadataRecord(action.metaData) })
    case 'protocol':
      return printLossless({ protocol: protocolRecord(action.protocol) })
    case 'txn':
      return printLossless({ txn: present(action.txn) })
    case 'domainMetadata':
      return printLossless({ domainMetadata: action.domainMetadata })
    case 'cdc':
      return printLossless({ cdc: present(action.cdc) })
    case 'commitInfo':
      return printLossless({ commitInfo: action.commitInfo })
    case 'sidecar':
      return printLossless({ sidecar: action.sidecar })
  }
}

/** The fields of an add that the specification names, as they are written. */
export function addRecord(add: AddFile): object {
  return present({
    path: add.path,
    partitionValues: add.partitionValues,
    size: wholeNumber(add.size),
    modificationTime: wholeNumber(add.modificationTime),
    dataChange: add.dataChange ?? true,
    stats: add.stats,
    tags: add.tags,
    deletionVector: vectorRecord(add.deletionVector),
    baseRowId: add.baseRowId,
    defaultRowCommitVersion: add.defaultRowCommitVersion,
    clusteringProvider: add.clusteringProvider,
  })
}

/** The fields of a remove that the specification names, as they are written. */
export function removeRecord(remove: RemoveFile): object {
  return present({
    path: remove.path,
    deletionTimestamp: remove.deletionTimestamp,
    dataChange: remove.dataChange ?? true,
    extendedFileMetadata: remove.extendedFileMetadata,
    partitionValues: remove.partitionValues,
    size: remove.size,
    tags: remove.tags,
    deletionVector: vectorRecord(remove.deletionVector),
    baseRowId: remove.baseRowId,
    defaultRowCommitVersion: remove.defaultRowCommitVersion,
  })
}

export function metadataRecord(metadata: Metadata): object {
  return present({
    id: metadata.id,
    name: metadata.name,
    description: metadata.description,
    format: {
      provider: metadata.format?.provider ?? 'parquet',
      options: metadata.format?.options ?? {},
    },
    schemaString: metadata.schemaString,
    partitionColumns: metadata.partitionColumns,
    configuration: metadata.configuration,
    createdTime: metadata.createdTime,
  })
}

/** The feature lists stand there exactly when the versions call for them (reader 3, writer 7). */
export function protocolRecord(protocol: Protocol): object {
  return present({
    minReaderVersion: protocol.minReaderVersion,
    minWriterVersion: protocol.minWriterVersion,
    readerFeatures: protocol.minReaderVersion === 3 ? (protocol.readerFeatures ?? []) : null,
    writerFeatures: protocol.minWriterVersion === 7 ? (protocol.writerFeatures ?? []) : null,
  })
}

function vectorRecord(vector: DeletionVectorDescriptor | null | undefined): object | null {
  return vector === null || vector === undefined ? null : present(vector)
}

function wholeNumber(value: number): number {
  assert(Number.isSafeInteger(value), `${value} is a whole number`)
  return value
}

/** `record` without what is null, which readers take for absent anyway. */
function present(record: object): object {
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== null && value !== undefined),
  )
}
