/** DROP TABLE, DROP VIEW and DROP SCHEMA. */

import type { Catalog, CatalogRemoval, Relation } from '../../catalog/catalog.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { layerRemoval, type Removal, removalOf } from '../drop-relations.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { listOf, namesOf, nodeOf, stringOf } from '../syntax-tree.js'
import { temporaryTableNamed } from './temporary-table.js'

export const DROP: StatementKind = {
  open: ({ session, fields }) => {
    const objects = listOf(fields.objects)
    const missingOk = fields.missing_ok === true
    const cascade = fields.behavior === 'DROP_CASCADE'
    switch (fields.removeType) {
      case 'OBJECT_TABLE':
      case 'OBJECT_VIEW': {
        const kind = fields.removeType === 'OBJECT_TABLE' ? 'table' : 'view'
        const names = objects.map((object) => namesOf(nodeOf(object, 'List')?.items))
        return dropRelations(session, kind, names, missingOk, cascade)
      }
      case 'OBJECT_SCHEMA': {
        const names = objects.map((object) => stringOf(object) ?? '')
        return dropLayers(session, names, missingOk, cascade, 'DROP SCHEMA')
      }
      default:
        throw notSupported('DROP of this kind of object')
    }
  },
}

/**
 * Drops tables or views by name; 42P01 for one that does not exist unless `missingOk`, 42809 for one
 * of the other kind, 2BP01 for one that views depend on unless `cascade`.
 *
 * All go or none. A table of the lake leaves the catalog, its log and files stay.
 */
async function dropRelations(
  session: SessionContext,
  kind: 'table' | 'view',
  names: readonly (readonly string[])[],
  missingOk: boolean,
  cascade: boolean,
): Promise<Execution> {
  const tag = kind === 'table' ? 'DROP TABLE' : 'DROP VIEW'
  const isOwn = (name: readonly string[]): boolean =>
    kind === 'table' && temporaryTableNamed(session, name) !== undefined
  const isAllOwn = names.every(isOwn)
  if (isAllOwn) session.requireReadWrite(tag)
  else session.requireWritable(tag)
  const catalog = isAllOwn ? session.catalog : await session.changingCatalog()
  const relations: Relation[] = []
  const temporary: string[] = []
  for (const name of names) {
    const own = kind === 'table' ? temporaryTableNamed(session, name) : undefined
    if (own !== undefined) {
      temporary.push(own.name)
      continue
    }
    const found = await session.access.resolve(catalog, name, session.settings.searchPath())
    if (found === null) session.missing(kind, name, missingOk)
    else if (found.kind !== kind) {
      const other = kind === 'table' ? 'DROP VIEW to remove a view' : 'DROP TABLE to remove a table'
      throw new SqlError(SqlState.wrongObjectType, `"${name.at(-1)}" is not a ${kind}`, {
        hint: `Use ${other}.`,
      })
    } else {
      await session.access.requireDropper(found)
      relations.push(found)
    }
  }
  if (relations.length > 0) {
    const removal = await removalOf(relations, cascade, session.queryContext())
    await remove(session, catalog, removal)
  }
  for (const name of temporary) session.temporary.drop(name)
  return command(tag)
}

/**
 * Drops layers; 3F000 for one that does not exist unless `missingOk`, 2BP01 for one with something in
 * it unless `cascade`.
 */
export async function dropLayers(
  session: SessionContext,
  names: readonly string[],
  missingOk: boolean,
  cascade: boolean,
  tag: string,
): Promise<Execution> {
  session.requireWritable(tag)
  const catalog = await session.changingCatalog()
  const known = await catalog.layers()
  for (const name of names) {
    if (known.includes(name)) continue
    const message = `schema "${name}" does not exist`
    if (!missingOk) throw new SqlError(SqlState.invalidSchemaName, message)
    session.notice(SqlState.successfulCompletion, `${message}, skipping`)
  }
  const layers = [...new Set(names)].filter((name) => known.includes(name))
  for (const layer of layers) await session.access.requireLayerOwner(layer)
  if (layers.length > 0) {
    const removal = await layerRemoval(layers, cascade, session.queryContext())
    await remove(session, catalog, removal)
  }
  return command(tag)
}

/** Takes objects out of the catalog, and tells what went along. */
export async function remove(
  session: SessionContext,
  catalog: Catalog,
  removal: Removal & CatalogRemoval,
): Promise<void> {
  await catalog.remove(removal)
  for (const { path } of removal.tables) session.openBlock().dropped(path)
  tell(session, removal)
}

function tell(session: SessionContext, { tables, cascaded }: Removal): void {
  const [only] = cascaded
  if (cascaded.length > 1) {
    session.notice(
      SqlState.successfulCompletion,
      `drop cascades to ${cascaded.length} other objects`,
      undefined,
      { detail: cascaded.map((one) => `drop cascades to ${one}`).join('\n') },
    )
  } else if (only !== undefined) {
    session.notice(SqlState.successfulCompletion, `drop cascades to ${only}`)
  }
  for (const { layer, name, path } of tables) {
    session.notice(
      SqlState.successfulCompletion,
      `the log and files of table "${layer}.${name}" stay in "${path}"`,
      undefined,
      { hint: 'UNDROP TABLE brings it back.' },
    )
  }
}
