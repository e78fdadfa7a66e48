/** Commit rules: what must hold of the actions of one commit, whoever made them. */

import type { AddFile, Protocol } from './actions.js'
import { physicalNameOf } from './column-mapping.js'
import type { WriteTarget } from './data-file.js'
import { deletionVectorId } from './deletion-vector.js'
import { assert, SqlError, SqlState } from './errors.js'
import { resolvePath } from './file-path.js'
import { jsonMembers } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'
import type { DataFile } from './file-index.js'
import type { Snapshot } from './snapshot.js'
import { type Obligation, requireWritable, supportsFeature } from './table-protocol.js'

/** A file that goes; `dataChange` is false when its rows only move to other files. */
export interface Removal {
  readonly file: DataFile
  readonly dataChange: boolean
}

/** What a transaction wants to commit. */
export interface CommitDraft {
  /** The table as it was; null when it is being made. */
  readonly base: Snapshot | null
  /** The table as it will be. */
  readonly target: WriteTarget
  readonly adds: readonly AddFile[]
  readonly removes: readonly Removal[]
  readonly hasChangeData: boolean
  readonly fulfilled: ReadonlySet<Obligation>
}

/**
 * Refuses what a table does not allow, and asserts what a caller must not do.
 *
 * 0A000 for a table that is not written, for deletion vectors it does not allow and for change data
 * that is missing; 55000 for rows that would leave an append-only table.
 */
export function requireCommittable(store: ObjectStore, draft: CommitDraft): void {
  const { target } = draft
  const { tablePath, protocol, metadata, schema, fulfilled } = { ...target, ...draft }
  requireWritable(tablePath, protocol, metadata, schema, fulfilled)
  requireAppendOnly(draft)
  requireChangeData(draft)
  requireFiles(store, draft)
  if (draft.base !== null) requireRaised(draft.base.protocol, protocol)
}

function isSet(target: Pick<WriteTarget, 'metadata'> | null, property: string): boolean {
  return target?.metadata.configuration[property]?.toLowerCase() === 'true'
}

function requireAppendOnly({ base, target, removes }: CommitDraft): void {
  if (!removes.some((remove) => remove.dataChange)) return
  // The table as it was, too: a commit must not lift the rule and break it at once.
  if (!isSet(base, 'delta.appendOnly') && !isSet(target, 'delta.appendOnly')) return
  throw new SqlError(
    SqlState.objectNotInPrerequisiteState,
    `table "${target.tablePath}" is append-only`,
    { hint: "Reset the table property 'delta.appendOnly' to change rows." },
  )
}

function requireChangeData({ target, adds, removes, hasChangeData, fulfilled }: CommitDraft): void {
  if (!isSet(target, 'delta.enableChangeDataFeed')) return
  const deletes = removes.some((remove) => remove.dataChange)
  const inserts = adds.some((add) => add.dataChange !== false)
  if (!deletes || !inserts || hasChangeData || fulfilled.has('changeData')) return
  throw new SqlError(
    SqlState.featureNotSupported,
    `table "${target.tablePath}" has a change data feed, and the changed rows were not written`,
  )
}

function requireFiles(store: ObjectStore, { target, adds, removes }: CommitDraft): void {
  const { tablePath, protocol, metadata, schema, columnMapping } = target
  const partitions = metadata.partitionColumns.map((name) => {
    const field = schema.fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    return field === undefined ? name : physicalNameOf(field, columnMapping)
  })
  const hasVectors = supportsFeature(protocol, 'deletionVectors')
  const mayMakeVectors = hasVectors && isSet(target, 'delta.enableDeletionVectors')
  const removed = new Map<string, string | null>()
  for (const { file } of removes) {
    assert(!removed.has(file.path), `"${file.path}" is removed once`)
    removed.set(file.path, deletionVectorId(file.add.deletionVector))
  }
  const added = new Set<string>()
  for (const add of adds) {
    const path = resolvePath(store, tablePath, add.path)
    assert(!added.has(path), `"${path}" is added once`)
    added.add(path)
    const vector = deletionVectorId(add.deletionVector)
    assert(!removed.has(path) || removed.get(path) !== vector, `"${path}" changes its rows`)
    // A file brought back may keep the vector it had; a new one needs the table's leave.
    const isAllowed = removed.has(path) ? mayMakeVectors : hasVectors
    if (vector !== null && !isAllowed) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `table "${tablePath}" does not allow deletion vectors`,
      )
    }
    assert(
      vector === null || jsonMembers(add.stats ?? '').some(([name]) => name === 'numRecords'),
      `"${path}" has a deletion vector and a count of its rows`,
    )
    const names = Object.keys(add.partitionValues)
    assert(
      names.length === partitions.length && partitions.every((name) => names.includes(name)),
      `"${path}" has a value for each partition column`,
    )
    assert(add.size > 0 && add.modificationTime > 0, `"${path}" has a size and a time`)
  }
}

function requireRaised(old: Protocol, now: Protocol): void {
  const kept = (before: readonly string[] | null | undefined, after: Protocol['readerFeatures']) =>
    (before ?? []).every((feature) => after?.includes(feature) === true)
  assert(
    now.minReaderVersion >= old.minReaderVersion &&
      now.minWriterVersion >= old.minWriterVersion &&
      kept(old.readerFeatures, now.readerFeatures) &&
      kept(old.writerFeatures, now.writerFeatures),
    'a protocol is only ever raised',
  )
}
