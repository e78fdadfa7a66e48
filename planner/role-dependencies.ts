/** RoleDependencies: what of a lake is a role's, or was granted to it. */

import { type Access, mentions, type ObjectAccess } from '../catalog/access.js'
import type { AccessObject } from '../catalog/access-action.js'
import type { Catalog, Relation } from '../catalog/catalog.js'
import type { SessionContext } from './session-context.js'

/** The relation that an object is; null when it is gone, or is none. */
export async function relationOf(catalog: Catalog, object: AccessObject): Promise<Relation | null> {
  if (object.kind === 'view') {
    const found = await catalog.resolve([object.layer, object.name], [])
    return found?.kind === 'view' ? found : null
  }
  if (object.kind !== 'table') return null
  const table = await catalog.nameOf(object.path)
  if (table === null) return null
  const now = await catalog.accessObject(table)
  return now?.kind === 'table' && now.id === object.id ? { kind: 'table', table } : null
}

/** `table silver.orders`; null for an object that is gone. */
async function described(session: SessionContext, object: AccessObject): Promise<string | null> {
  const { catalog, gateway } = session
  if (object.kind === 'database') return `database ${gateway.database}`
  if (object.kind === 'layer') {
    return (await catalog.layers()).includes(object.name) ? `schema ${object.name}` : null
  }
  const relation = await relationOf(catalog, object)
  if (relation === null) return null
  const { layer, name } = relation.kind === 'table' ? relation.table : relation.view
  return `${relation.kind} ${layer}.${name}`
}

/** Objects that are there and are owned by the role, tables before layers. */
export async function ownedObjects(
  session: SessionContext,
  access: Access,
  role: number,
): Promise<readonly AccessObject[]> {
  const found: AccessObject[] = []
  for (const { object, owner } of access.objects()) {
    if (owner === role && (await described(session, object)) !== null) found.push(object)
  }
  return found
}

/** Why a role cannot be dropped, in PostgreSQL's words; empty when it can. */
export async function dependencyLines(
  session: SessionContext,
  access: Access,
  role: number,
): Promise<readonly string[]> {
  const lines: string[] = []
  const add = async (of: ObjectAccess): Promise<void> => {
    const isOwner = of.owner === role
    if (!isOwner && !mentions(of, role)) return
    const what = await described(session, of.object)
    if (what !== null) lines.push(`${isOwner ? 'owner of' : 'privileges for'} ${what}`)
  }
  for (const one of access.objects()) await add(one)
  const names: Readonly<Record<string, string>> = {
    table: 'relations',
    layer: 'schemas',
    function: 'functions',
    sequence: 'sequences',
    type: 'types',
  }
  for (const { role: owner, kind, layer, acl } of access.defaults()) {
    const isOwner = owner === role
    if (!isOwner && !acl.some(({ grantee }) => grantee === role)) continue
    const place = layer === null ? '' : ` in schema ${layer}`
    lines.push(
      `${isOwner ? 'owner of' : 'privileges for'} default privileges on new ${names[kind]} belonging to role ${access.roles.nameOf(owner)}${place}`,
    )
  }
  for (const one of access.roles.memberships) {
    if (one.grantor !== role || one.role === role || one.member === role) continue
    const [of, to] = [access.roles.nameOf(one.role), access.roles.nameOf(one.member)]
    lines.push(`privileges for membership of role ${to} in role ${of}`)
  }
  return lines
}
