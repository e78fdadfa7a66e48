/** ALTER … OWNER TO, REASSIGN OWNED and DROP OWNED. */

import type { AccessAction, AccessObject } from '../../catalog/access-action.js'
import type { Relation } from '../../catalog/catalog.js'
import { privileges } from '../../catalog/privilege.js'
import { BOOTSTRAP_ID } from '../../catalog/role.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { type Actor, denied } from '../access-control.js'
import { ownObject } from '../grant-targets.js'
import { layerRemoval, removalOf } from '../drop-relations.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported, undefinedRelation } from '../refusal.js'
import { changeAccess, roleDenied, somebody } from '../role-change.js'
import { ownedObjects, relationOf } from '../role-dependencies.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf, type Node, stringOf } from '../syntax-tree.js'
import { remove } from './drop.js'

export const ALTER_OWNER: StatementKind = { open: alterLayerOwner }

export const REASSIGN_OWNED: StatementKind = { open: reassignOwned }

export const DROP_OWNED: StatementKind = { open: dropOwned }

/** 42501 unless the actor could be the role that is to own something. */
export function requireBecoming(actor: Actor, owner: string): void {
  const { roles } = actor.access
  if (roles.maySet(actor.id, actor.access.role(owner).id)) return
  throw new SqlError(SqlState.insufficientPrivilege, `must be able to SET ROLE "${owner}"`)
}

/** ALTER TABLE and ALTER VIEW … OWNER TO: the relation's owner, who must be able to become the new one. */
export async function changeRelationOwner(
  session: SessionContext,
  relation: Relation,
  node: unknown,
  words: string,
): Promise<void> {
  const owner = somebody(node, session)
  await session.access.requireOwner(relation)
  const object = await ownObject(session, relation)
  await changeAccess(session, words, (actor, access) => {
    const to = access.role(owner)
    const { layer, name } = relation.kind === 'table' ? relation.table : relation.view
    if (object === null) throw undefinedRelation([layer, name])
    if (access.of(object).owner === to.id) return []
    if (!actor.isSuperuser) {
      if (!access.isOwner(object, actor.id)) {
        throw new SqlError(
          SqlState.insufficientPrivilege,
          `must be owner of ${relation.kind} ${name}`,
        )
      }
      requireBecoming(actor, owner)
      const place = { kind: 'layer', name: layer } as const
      if (access.held(place, to.id, privileges('CREATE')) === 0) throw denied(`schema ${layer}`)
    }
    return [{ changeOwner: { object, owner } }]
  })
}

async function alterLayerOwner({ session, fields }: StatementCall): Promise<Execution> {
  if (fields.objectType !== 'OBJECT_SCHEMA') {
    const kind = String(fields.objectType).replace('OBJECT_', '').replaceAll('_', ' ')
    throw notSupported(`ALTER ${kind} … OWNER TO`)
  }
  const name = stringOf(fields.object) ?? ''
  if (!(await session.catalog.layers()).includes(name)) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${name}" does not exist`)
  }
  const owner = somebody(fields.newowner, session)
  await session.access.requireLayerOwner(name)
  await changeAccess(session, 'ALTER SCHEMA', (actor, access) => {
    const to = access.role(owner)
    const object: AccessObject = { kind: 'layer', name }
    if (access.of(object).owner === to.id) return []
    if (!actor.isSuperuser) {
      if (!access.isOwner(object, actor.id)) {
        throw new SqlError(SqlState.insufficientPrivilege, `must be owner of schema ${name}`)
      }
      requireBecoming(actor, owner)
      if (access.held({ kind: 'database' }, to.id, privileges('CREATE')) === 0) {
        throw denied(`database ${session.gateway.database}`)
      }
    }
    return [{ changeOwner: { object, owner } }]
  })
  return command('ALTER SCHEMA')
}

async function reassignOwned({ session, fields }: StatementCall): Promise<Execution> {
  const from = listOf(fields.roles).map((node) => somebody(node, session))
  const to = somebody(fields.newrole as Node, session)
  await changeAccess(session, 'REASSIGN OWNED', async (actor, access) => {
    const { roles } = access
    const actions: AccessAction[] = []
    for (const name of from) {
      const role = access.role(name)
      if (!roles.hasPrivilegesOf(actor.id, role.id)) {
        throw roleDenied(
          'reassign objects',
          `Only roles with privileges of role "${name}" may reassign objects owned by it.`,
        )
      }
    }
    if (!roles.hasPrivilegesOf(actor.id, access.role(to).id)) {
      throw roleDenied(
        'reassign objects',
        `Only roles with privileges of role "${to}" may reassign objects to it.`,
      )
    }
    for (const name of from) {
      const role = access.role(name)
      if (role.id === BOOTSTRAP_ID) {
        throw new SqlError(
          SqlState.dependentObjectsStillExist,
          `cannot reassign ownership of objects owned by role ${name} because they are required by the database system`,
        )
      }
      for (const object of await ownedObjects(session, access, role.id)) {
        actions.push({ changeOwner: { object, owner: to } })
      }
    }
    return actions
  })
  return command('REASSIGN OWNED')
}

/** What the roles own goes, and what was granted to them is taken back. */
async function dropOwned({ session, fields }: StatementCall): Promise<Execution> {
  const names = listOf(fields.roles).map((node) => somebody(node, session))
  session.requireWritable('DROP OWNED')
  const catalog = await session.changingCatalog()
  const access = await catalog.access()
  const actor = session.access.actorIn(access)
  const objects: AccessObject[] = []
  for (const name of names) {
    const role = access.role(name)
    if (!access.roles.hasPrivilegesOf(actor.id, role.id)) {
      throw roleDenied(
        'drop objects',
        `Only roles with privileges of role "${name}" may drop its objects.`,
      )
    }
    if (role.id === BOOTSTRAP_ID) {
      throw new SqlError(
        SqlState.dependentObjectsStillExist,
        `cannot drop objects owned by role ${name} because they are required by the database system`,
      )
    }
    objects.push(...(await ownedObjects(session, access, role.id)))
  }
  const relations: Relation[] = []
  for (const object of objects) {
    const relation = await relationOf(catalog, object)
    if (relation !== null) relations.push(relation)
  }
  const cascade = fields.behavior === 'DROP_CASCADE'
  const context = session.queryContext()
  const layers = objects.flatMap((object) => (object.kind === 'layer' ? [object.name] : []))
  const removal = await removalOf(relations, cascade, context)
  await remove(session, catalog, removal)
  if (layers.length > 0) {
    const more = await layerRemoval(layers, cascade, context)
    await remove(session, catalog, more)
  }
  await changeAccess(session, 'DROP OWNED', () => names.map((name) => ({ revokeAll: { name } })))
  return command('DROP OWNED')
}
