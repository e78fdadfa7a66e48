/** Group commit: the changes of a block over several tables, which count together or not at all. */

import { randomUUID } from 'node:crypto'
import type { Catalog } from '../catalog/catalog.js'
import { concurrentUpdate, SqlError, SqlState } from '../storage/errors.js'
import { CATALOG_MEMBER } from '../storage/group.js'
import type {
  ApplicationTransaction,
  CommitGateway,
  GroupMember,
  TableChange,
} from './table-change.js'

/**
 * Commits `changes` and what `draft` changes in the catalog: one as it is, several as a group.
 *
 * 1. Each table gets its commit, marked with the group's id. No gateway shows it yet.
 * 2. The catalog gets its entry, which bears the group's id too. No gateway follows it yet.
 * 3. The group's record is put, which decides: from here on every gateway shows all of them.
 *
 * When a commit conflicts (40001) or fails, the record says that the group is aborted, and what was
 * committed is taken back. A process that dies in between leaves an undecided group: whoever meets it
 * aborts it after some seconds.
 *
 * False, and nothing is changed, when the table has this transaction of the application already.
 */
export async function commitChanges(
  gateway: CommitGateway,
  changes: readonly TableChange[],
  application?: ApplicationTransaction,
  draft?: Catalog,
): Promise<boolean> {
  const changed = changes.filter((change) => !change.isEmpty)
  const names = draft !== undefined && draft.staged.length > 0 ? draft : undefined
  if (changed.length === 0) {
    await names?.publish()
    return true
  }
  if (changed.length === 1 && names === undefined)
    return (await changed[0]?.commit(gateway, application)) ?? true
  if (application !== undefined) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'a transaction of an application over several tables or names is not supported',
      { hint: 'Reset lakegate.txn_app_id, or commit after each table.' },
    )
  }
  const group = randomUUID()
  const members: GroupMember[] = []
  const entries: (readonly [path: string, version: number])[] = []
  const { groups } = gateway.snapshots
  try {
    // In one order everywhere, so that two groups meet at their first table.
    for (const change of [...changed].sort(byPath)) {
      members.push(await change.commitIn(gateway, group, draft === undefined))
    }
    if (names !== undefined) entries.push([CATALOG_MEMBER, await names.publish(group)])
  } catch (thrown) {
    if (members.length === 0 && !isUnresolved(thrown)) throw thrown
    await groups.decide(group, { decision: 'abort', tables: {} })
    await takeBack(gateway, members)
    throw isUnresolved(thrown) ? aborted(thrown) : thrown
  }
  const stands = await groups.decide(group, {
    decision: 'commit',
    tables: Object.fromEntries([
      ...members.map(({ tablePath, version }) => [tablePath, version] as const),
      ...entries,
    ]),
  })
  if (stands.decision === 'abort') {
    await takeBack(gateway, members)
    throw aborted(undefined)
  }
  for (const { transaction } of members) gateway.afterCommit(transaction)
  return true
}

function byPath(a: TableChange, b: TableChange): number {
  return a.table.path < b.table.path ? -1 : 1
}

/** Reading a table takes the commits of aborted groups back; what fails here is done by the next reader. */
async function takeBack(gateway: CommitGateway, members: readonly GroupMember[]): Promise<void> {
  for (const { tablePath } of members) {
    await gateway.snapshots.latest(tablePath).catch(() => null)
  }
}

/** Whether one table's commit took place is not known, but the record says that it does not count. */
function isUnresolved(thrown: unknown): boolean {
  return thrown instanceof SqlError && thrown.sqlState === SqlState.transactionResolutionUnknown
}

function aborted(cause: unknown): SqlError {
  return concurrentUpdate('transaction', {
    detail: 'The transaction over several tables was ended by another gateway, or by a failure.',
    cause,
  })
}
