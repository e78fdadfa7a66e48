/** GrantTargets: the objects that GRANT and REVOKE name, and the columns of each. */

import type { AccessObject } from '../catalog/access-action.js'
import type { Relation, TableName } from '../catalog/catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { objectOf } from './access-control.js'
import { notSupported, undefinedRelation } from './refusal.js'
import type { SessionContext } from './session-context.js'
import { temporaryTableNamed } from './statements/temporary-table.js'
import { listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { columnKey } from './table-use.js'

/** An object that privileges are granted on. */
export interface GrantTarget {
  readonly object: AccessObject
  readonly kind: 'table' | 'layer' | 'database'
  /** As messages name it. */
  readonly name: string
  /** `table t`, `schema s`. */
  readonly what: string
  /** Names of its columns with what their privileges are kept by. */
  readonly columns: ReadonlyMap<string, string>
}

/** 42P01, 3F000, 42883 for what does not exist, 0A000 for kinds of objects that have no privileges here. */
export async function grantTargets(
  session: SessionContext,
  fields: Node,
): Promise<readonly GrantTarget[]> {
  const objects = listOf(fields.objects)
  const isAll = fields.targtype === 'ACL_TARGET_ALL_IN_SCHEMA'
  switch (fields.objtype) {
    case 'OBJECT_TABLE':
      return isAll ? allIn(session, namesOf(objects)) : tablesNamed(session, objects)
    case 'OBJECT_SCHEMA':
      return layersNamed(session, namesOf(objects))
    case 'OBJECT_DATABASE':
      return namesOf(objects).map((name) => databaseNamed(session, name))
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      if (isAll) {
        // There are none: identity columns count without sequences, and functions are PostgreSQL's own.
        await layersNamed(session, namesOf(objects))
        return []
      }
      if (fields.objtype === 'OBJECT_SEQUENCE') throw noSequence(objects)
      throw notSupported('privileges on functions')
    default:
      throw notSupported(
        `privileges on this kind of object (${String(fields.objtype).replace('OBJECT_', '').toLowerCase()})`,
      )
  }
}

function noSequence(objects: readonly Node[]): SqlError {
  const range = nodeOf(objects[0], 'RangeVar') ?? {}
  return undefinedRelation(
    [range.schemaname, range.relname].filter((part): part is string => typeof part === 'string'),
  )
}

async function tablesNamed(
  session: SessionContext,
  objects: readonly Node[],
): Promise<readonly GrantTarget[]> {
  const found: GrantTarget[] = []
  for (const node of objects) {
    const range = nodeOf(node, 'RangeVar') ?? {}
    const name = [range.schemaname, range.relname].filter(
      (part): part is string => typeof part === 'string',
    )
    if (temporaryTableNamed(session, name) !== undefined) {
      throw notSupported('privileges on temporary tables')
    }
    if (/^(?:pg_catalog|information_schema)$/.test(name.at(-2) ?? '')) {
      throw notSupported('privileges on system catalogs')
    }
    const path = session.settings.searchPath()
    const relation = await session.access.resolve(session.catalog, name, path)
    if (relation === null) throw undefinedRelation(name)
    found.push(await targetOf(session, relation))
  }
  return found
}

async function allIn(
  session: SessionContext,
  layers: readonly string[],
): Promise<readonly GrantTarget[]> {
  const { catalog } = session
  await layersNamed(session, layers)
  for (const layer of layers) await session.access.requireLayer(layer, 'USAGE')
  const found: GrantTarget[] = []
  for (const table of await catalog.tables()) {
    if (layers.includes(table.layer)) found.push(await targetOf(session, { kind: 'table', table }))
  }
  for (const view of await catalog.views()) {
    if (layers.includes(view.layer)) found.push(await targetOf(session, { kind: 'view', view }))
  }
  return found
}

async function targetOf(session: SessionContext, relation: Relation): Promise<GrantTarget> {
  if (relation.kind === 'view') {
    const { layer, name, columns } = relation.view
    return {
      object: { kind: 'view', layer, name },
      kind: 'table',
      name,
      what: `view ${name}`,
      columns: new Map(columns.map((column) => [column, column])),
    }
  }
  const { table } = relation
  const object = await ownObject(session, relation)
  if (object === null) throw undefinedRelation([table.layer, table.name])
  return {
    object,
    kind: 'table',
    name: table.name,
    what: `table ${table.name}`,
    columns: await columnsOf(session, table),
  }
}

/** What privileges on a relation are kept of, a table that the block makes among them; null when it is gone. */
export async function ownObject(
  session: SessionContext,
  relation: Relation,
): Promise<AccessObject | null> {
  if (relation.kind === 'table') {
    const change = session.block?.changeOf(relation.table.path)
    if (change?.creates === true) {
      const { metadata } = change.snapshot(session.gateway.store)
      return { kind: 'table', path: relation.table.path, id: metadata.id }
    }
  }
  return objectOf(relation, session.catalog)
}

async function columnsOf(
  session: SessionContext,
  { path }: TableName,
): Promise<ReadonlyMap<string, string>> {
  const change = session.block?.changeOf(path)
  const snapshot =
    change?.snapshot(session.gateway.store) ?? (await session.gateway.snapshots.latest(path))
  return new Map(snapshot?.schema.fields.map((field) => [field.name, columnKey(field)]))
}

async function layersNamed(
  session: SessionContext,
  names: readonly string[],
): Promise<readonly GrantTarget[]> {
  const known = await session.catalog.layers()
  return names.map((name) => {
    if (!known.includes(name)) {
      throw new SqlError(SqlState.invalidSchemaName, `schema "${name}" does not exist`)
    }
    const object = { kind: 'layer', name } as const
    return { object, kind: 'layer', name, what: `schema ${name}`, columns: new Map() }
  })
}

function databaseNamed({ gateway }: SessionContext, name: string): GrantTarget {
  if (name !== gateway.database) {
    throw new SqlError(SqlState.invalidCatalogName, `database "${name}" does not exist`)
  }
  const object = { kind: 'database' } as const
  return { object, kind: 'database', name, what: `database ${name}`, columns: new Map() }
}

/** The keys of the columns named; 42703 for one that the object has not. */
export function columnKeys(target: GrantTarget, nodes: readonly Node[]): readonly string[] {
  return nodes.map((node) => {
    const name = stringOf(node) ?? ''
    const key = target.columns.get(name)
    if (key !== undefined) return key
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" of relation "${target.name}" does not exist`,
    )
  })
}
