/** Commit words: what a change says of itself in the table's history. */

import type { AddFile } from '../storage/actions.js'
import type { CommitDescription } from '../storage/commit-info.js'

/**
 * The description of a commit that carries out `operations`, Delta's names, in order; `parameters`
 * are those of a single one.
 */
export function describeChange(
  operations: readonly string[],
  adds: readonly AddFile[],
  removes: readonly unknown[],
  metrics: ReadonlyMap<string, number> = new Map(),
  parameters: CommitDescription['parameters'] | null = null,
): CommitDescription {
  const [first = 'WRITE'] = operations
  const operation = operations.every((one) => one === first) ? first : 'TRANSACTION'
  return {
    operation,
    parameters:
      operations.length === 1 && parameters !== null
        ? parameters
        : operation === 'WRITE'
          ? { mode: 'Append' }
          : { statements: operations.join(', ') },
    metrics: {
      numFiles: adds.length,
      numAddedFiles: adds.length,
      numRemovedFiles: removes.length,
      numOutputRows: adds.reduce((sum, add) => sum + rowsOf(add), 0),
      ...Object.fromEntries(metrics),
      numOutputBytes: adds.reduce((sum, add) => sum + add.size, 0),
    },
  }
}

/** Rows that were written into a file; none into one that only got a deletion vector. */
function rowsOf(add: AddFile): number {
  if ((add.deletionVector ?? null) !== null) return 0
  const match = /"numRecords":(\d+)/.exec(add.stats ?? '')
  return match === null ? 0 : Number(match[1])
}
