/** WriteTarget: finding the table that a statement is to change. */

import type { TableName } from '../catalog/catalog.js'
import type { Privilege } from '../catalog/privilege.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { laterRelation } from './past-lake.js'
import type { QueryContext } from './query.js'
import type { Node } from './syntax-tree.js'
import type { TableUse } from './table-use.js'

/**
 * What the session needs of the table: privileges, each on all of it or on some column, to be its
 * owner, or nothing while a statement is only described. Which columns it uses is for the analysis to note.
 */
export type TargetNeed = readonly Privilege[] | 'owner' | 'nothing'

/** A table that is to be changed, with what the statement does to it. */
export interface TargetTable extends TableName {
  readonly use: TableUse
}

/**
 * The table a RangeVar's fields name, as the block sees it.
 *
 * 42P01 when there is none, 42809 for a view, 42501 when the session may not do to it what it needs.
 * `start` is the statement's place in the client's text; without it errors have none. `refusal` says
 * what views are not for.
 */
export async function findTarget(
  range: Node,
  context: Pick<QueryContext, 'gateway' | 'block' | 'catalog' | 'searchPath' | 'access'>,
  start: number | undefined,
  need: TargetNeed,
  refusal: (view: string) => string = (view) => `cannot change view "${view}"`,
): Promise<{ readonly table: TargetTable; readonly snapshot: Snapshot }> {
  const name = String(range.relname)
  const schema = range.schemaname as string | undefined
  const location = typeof range.location === 'number' ? range.location : 0
  const position = start === undefined ? undefined : start + location + 1
  const parts = schema === undefined ? [name] : [schema, name]
  const { gateway, block, catalog, searchPath, access } = context
  const permitted = async (
    table: TableName,
    snapshot: Snapshot,
  ): Promise<{ readonly table: TargetTable; readonly snapshot: Snapshot }> => {
    if (need === 'owner') await access.requireOwner({ kind: 'table', table })
    const required = typeof need === 'string' ? [] : need
    const use = await access.useOf(table, snapshot, required)
    if (typeof need !== 'string') await access.check([use])
    return { table: { ...table, use }, snapshot }
  }
  for (const layer of schema === undefined ? searchPath : [schema]) {
    const created = block.createdTable(layer, name)
    const change = created === undefined ? undefined : block.changeOf(created.path)
    if (created !== undefined && change !== undefined) {
      return permitted(created, change.snapshot(gateway.store))
    }
  }
  const found = await access.resolve(catalog, parts, searchPath)
  if (found?.kind === 'view') {
    throw new SqlError(SqlState.wrongObjectType, refusal(name), { position })
  }
  const snapshot =
    found === null ? null : await block.snapshot(found.table.path, gateway, found.table)
  if (found === null || snapshot === null) {
    const isLater = block.past !== undefined && (await gateway.catalog.resolve(parts, searchPath))
    if (isLater) throw laterRelation(parts).at(position)
    throw new SqlError(SqlState.undefinedTable, `relation "${parts.join('.')}" does not exist`, {
      position,
    })
  }
  return permitted(found.table, snapshot)
}
