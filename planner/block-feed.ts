/** BlockFeed: the rows that the statements of one block changed in a table, as its change data feed tells them. */

import type { AddCdcFile, AddFile } from '../storage/actions.js'
import { recordsChanges, writeNetChanges, writeWholeFileChanges } from '../storage/change-data.js'
import type { DataFile } from '../storage/file-index.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { Gateway } from './gateway.js'

/** What one statement says of the rows it changed. */
export interface StatementFeed {
  readonly adds: readonly AddFile[]
  readonly removes: readonly DataFile[]
  /**
   * Files of changed rows; undefined where all rows of `adds` are new and all of `removes` are gone,
   * `unrecorded` where the table had no feed yet.
   */
  readonly changeData: readonly AddCdcFile[] | 'unrecorded' | undefined
}

/** A block's change of one table, all statements together. */
export interface BlockFeed {
  readonly statements: readonly StatementFeed[]
  /** Whether a statement took away files that an earlier one had made. */
  readonly isTangled: boolean
  readonly adds: readonly AddFile[]
  readonly removes: readonly DataFile[]
}

/** What a block commits beside its data files. */
export interface BlockChanges {
  readonly files: readonly AddCdcFile[]
  /** Whether all that the statements did comes to nothing: rows have only moved from file to file. */
  readonly isMove: boolean
}

/**
 * The files of changed rows to commit; none where the table has no feed, or whole files tell all.
 *
 * Of a version readers see either such files or its data files, so once one statement needs them
 * every one does. Where statements changed each other's rows, what they did together counts: rows
 * that are gone and rows that are new.
 *
 * Delta protocol, "Add CDC File".
 */
export async function changeDataOf(
  gateway: Pick<Gateway, 'store' | 'engine'>,
  snapshot: Snapshot,
  { statements, isTangled, adds, removes }: BlockFeed,
): Promise<BlockChanges> {
  const told = (files: readonly AddCdcFile[]): BlockChanges => ({ files, isMove: false })
  if (!recordsChanges(snapshot) || adds.length === 0 || removes.length === 0) return told([])
  if (statements.every(({ changeData }) => changeData === undefined)) return told([])
  const [only] = statements
  if (statements.length === 1 && typeof only?.changeData === 'object') return told(only.changeData)
  const { store } = gateway
  const connection = await gateway.engine.connect()
  try {
    const isUnknown = statements.some(({ changeData }) => changeData === 'unrecorded')
    if (isTangled || isUnknown) {
      const files = await writeNetChanges(store, connection, snapshot, adds, removes)
      // Without such files readers would take every row for changed.
      return { files, isMove: files.length === 0 }
    }
    const files: AddCdcFile[] = []
    for (const { changeData, adds: added, removes: removed } of statements) {
      files.push(
        ...(typeof changeData === 'object'
          ? changeData
          : await writeWholeFileChanges(store, connection, snapshot, added, removed)),
      )
    }
    return told(files)
  } finally {
    connection.close()
  }
}
