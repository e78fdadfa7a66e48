/** WriteTarget: finding the table that a statement is to change. */

import type { TableName } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { laterRelation } from './past-lake.js'
import type { QueryContext } from './query.js'
import type { Node } from './syntax-tree.js'

/**
 * The table a RangeVar's fields name, as the block sees it.
 *
 * 42P01 when there is none, 42809 for a view. `start` is the statement's place in the client's text;
 * without it errors have none. `refusal` says what views are not for.
 */
export async function findTarget(
  range: Node,
  context: Pick<QueryContext, 'gateway' | 'block' | 'catalog' | 'searchPath'>,
  start: number | undefined,
  refusal: (view: string) => string = (view) => `cannot change view "${view}"`,
): Promise<{ readonly table: TableName; readonly snapshot: Snapshot }> {
  const name = String(range.relname)
  const schema = range.schemaname as string | undefined
  const location = typeof range.location === 'number' ? range.location : 0
  const position = start === undefined ? undefined : start + location + 1
  const parts = schema === undefined ? [name] : [schema, name]
  const { gateway, block, catalog, searchPath } = context
  for (const layer of schema === undefined ? searchPath : [schema]) {
    const created = block.createdTable(layer, name)
    const change = created === undefined ? undefined : block.changeOf(created.path)
    if (created !== undefined && change !== undefined) {
      return { table: created, snapshot: change.snapshot(gateway.store) }
    }
  }
  const found = await catalog.resolve(parts, searchPath)
  if (found?.kind === 'view') {
    throw new SqlError(SqlState.wrongObjectType, refusal(name), { position })
  }
  const snapshot = found === null ? null : await block.snapshot(found.table.path, gateway)
  if (found === null || snapshot === null) {
    const isLater = block.past !== undefined && (await gateway.catalog.resolve(parts, searchPath))
    if (isLater) throw laterRelation(parts).at(position)
    throw new SqlError(SqlState.undefinedTable, `relation "${parts.join('.')}" does not exist`, {
      position,
    })
  }
  return { table: found.table, snapshot }
}
