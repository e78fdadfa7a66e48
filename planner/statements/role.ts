/** CREATE, ALTER and DROP of ROLE, USER and GROUP. */

import type { Access } from '../../catalog/access.js'
import type { AccessAction } from '../../catalog/access-action.js'
import { BOOTSTRAP_ID, isReservedRoleName, NEW_ROLE, type Role } from '../../catalog/role.js'
import { Settings } from '../../catalog/settings.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { Actor } from '../access-control.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import { changeAccess, roleDenied, somebody } from '../role-change.js'
import { dependencyLines } from '../role-dependencies.js'
import { grantedRole, revokedRole } from '../role-membership.js'
import { type RoleOptions, roleOptions } from '../role-options.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf, type Node } from '../syntax-tree.js'
import { settingArguments } from './set.js'

export const CREATE_ROLE: StatementKind = { open: createRole }

export const ALTER_ROLE: StatementKind = { open: alterRole }

export const ALTER_ROLE_SET: StatementKind = { open: alterRoleSet }

export const DROP_ROLE: StatementKind = { open: dropRoles }

async function createRole({ session, fields }: StatementCall): Promise<Execution> {
  const name = String(fields.role)
  const options = await roleOptions(listOf(fields.options), session)
  const login = fields.stmt_type === 'ROLESTMT_USER'
  const attributes = { ...NEW_ROLE, login, ...options.attributes }
  await changeAccess(session, 'CREATE ROLE', (actor) => {
    requireCreator(actor, options)
    requireName(name)
    const creator = actor.isSuperuser ? {} : { creator: actor.name }
    const actions: AccessAction[] = [{ createRole: { name, attributes, ...creator } }]
    const made = actor.access.apply(actions[0] as AccessAction)
    const added: AccessAction[] = []
    const add = (role: string, member: string, admin: boolean): void => {
      const state = added.reduce((access, action) => access.apply(action), made)
      added.push(grantedRole({ ...actor, access: state }, role, member, admin ? { admin } : {}))
    }
    for (const role of options.memberOf) add(role, name, false)
    for (const member of options.members) add(name, member, false)
    for (const member of options.adminMembers) add(name, member, true)
    return [...actions, ...added]
  })
  if (options.clearsPassword) tellCleared(session)
  return command('CREATE ROLE')
}

function tellCleared(session: StatementCall['session']): void {
  session.notice(
    SqlState.successfulCompletion,
    'empty string is not a valid password, clearing password',
  )
}

function requireCreator(actor: Actor, { attributes }: RoleOptions): void {
  if (actor.isSuperuser) return
  const own = actor.access.roles.byId(actor.id)
  if (own?.createRole !== true) {
    throw roleDenied('create role', 'Only roles with the CREATEROLE attribute may create roles.')
  }
  requireHeld(own, attributes, 'create', 'create roles')
}

/** 42501 for an attribute that one who has not got it would give. */
function requireHeld(
  own: Role,
  attributes: RoleOptions['attributes'],
  verb: 'create' | 'alter',
  detail: string,
): void {
  const named = {
    superuser: 'SUPERUSER',
    createDb: 'CREATEDB',
    replication: 'REPLICATION',
    bypassRls: 'BYPASSRLS',
  } as const
  for (const [key, word] of Object.entries(named)) {
    const name = key as keyof typeof named
    const changes = verb === 'create' ? attributes[name] === true : attributes[name] !== undefined
    if (!changes || own[name]) continue
    throw roleDenied(
      `${verb} role`,
      verb === 'create'
        ? `Only roles with the ${word} attribute may ${detail} with the ${word} attribute.`
        : `Only roles with the ${word} attribute may change the ${word} attribute.`,
    )
  }
}

function requireName(name: string): void {
  if (!isReservedRoleName(name)) return
  throw new SqlError(SqlState.reservedName, `role name "${name}" is reserved`, {
    detail: name.startsWith('pg_') ? 'Role names starting with "pg_" are reserved.' : undefined,
  })
}

/** 42501 unless the actor may alter the role; 42939 for PostgreSQL's own. */
function requireAlterer(actor: Actor, role: Role, isOwnPassword: boolean): void {
  if (role.name.startsWith('pg_')) {
    throw new SqlError(SqlState.reservedName, `role name "${role.name}" is reserved`, {
      detail: 'Cannot alter reserved roles.',
    })
  }
  if (actor.isSuperuser) return
  if (role.superuser) {
    throw roleDenied(
      'alter role',
      'Only roles with the SUPERUSER attribute may alter roles with the SUPERUSER attribute.',
    )
  }
  if (isOwnPassword) return
  const { roles } = actor.access
  if (roles.byId(actor.id)?.createRole === true && roles.isAdmin(actor.id, role.id)) return
  throw roleDenied(
    'alter role',
    `Only roles with the CREATEROLE attribute and the ADMIN option on role "${role.name}" may alter this role.`,
  )
}

async function alterRole({ session, fields }: StatementCall): Promise<Execution> {
  const name = somebody(fields.role, session)
  const options = await roleOptions(listOf(fields.options), session)
  const { attributes } = options
  await changeAccess(session, 'ALTER ROLE', (actor, access) => {
    const role = access.role(name)
    const stated = Object.keys(attributes)
    const isGroup = options.members.length > 0
    const isOwnPassword =
      role.id === actor.id && stated.length === 1 && stated[0] === 'verifier' && !isGroup
    if (!isGroup) requireAlterer(actor, role, isOwnPassword)
    const own = access.roles.byId(actor.id)
    if (!actor.isSuperuser && own !== undefined) requireHeld(own, attributes, 'alter', '')
    if (
      role.id === BOOTSTRAP_ID &&
      (attributes.superuser === false || attributes.login === false)
    ) {
      const word = attributes.superuser === false ? 'SUPERUSER' : 'LOGIN'
      throw roleDenied('alter role', `The bootstrap superuser must have the ${word} attribute.`)
    }
    // ALTER GROUP … ADD USER and DROP USER.
    let state = access
    const actions: AccessAction[] = []
    for (const member of options.members) {
      const made =
        Number(fields.action) === -1
          ? revokedRole({ ...actor, access: state }, name, member, undefined, false)
          : grantedRole({ ...actor, access: state }, name, member, {})
      if (made === null) continue
      state = state.apply(made)
      actions.push(made)
    }
    return stated.length === 0 ? actions : [{ alterRole: { name, attributes } }, ...actions]
  })
  if (options.clearsPassword) tellCleared(session)
  return command('ALTER ROLE')
}

async function alterRoleSet({ session, fields }: StatementCall): Promise<Execution> {
  if (fields.role === undefined) throw notSupported('ALTER ROLE ALL')
  if (fields.database !== undefined) throw notSupported('ALTER ROLE … IN DATABASE')
  const name = somebody(fields.role, session)
  const set = fields.setstmt as Node
  const setting = String(set.name ?? '')
  const isReset = set.kind === 'VAR_RESET' || set.kind === 'VAR_SET_DEFAULT'
  let value: string | null = null
  if (set.kind === 'VAR_SET_VALUE') {
    value = settingArguments(session, setting, listOf(set.args))
  } else if (set.kind === 'VAR_SET_CURRENT') value = session.settings.get(setting)
  else if (!isReset && set.kind !== 'VAR_RESET_ALL') throw notSupported('ALTER ROLE … SET of this')
  await changeAccess(session, 'ALTER ROLE', (actor, access) => {
    const role = access.role(name)
    requireAlterer(actor, role, role.id === actor.id)
    if (value !== null) requireTaken(setting, value, actor.isSuperuser)
    const all = set.kind === 'VAR_RESET_ALL'
    const key = setting.toLowerCase()
    return [{ roleSetting: { name, setting: all ? null : key, value } }]
  })
  return command('ALTER ROLE')
}

/** The errors that a session would get which sets that value. */
function requireTaken(setting: string, value: string, isSuperuser: boolean): void {
  if (/^(role|session_authorization)$/i.test(setting)) {
    throw notSupported(`ALTER ROLE … SET ${setting}`)
  }
  const scratch = new Settings(() => {})
  scratch.setSuperuser(isSuperuser)
  scratch.assign(setting, value, false)
}

async function dropRoles({ session, fields }: StatementCall): Promise<Execution> {
  const names = listOf(fields.roles).map((node) => somebody(node, session))
  await changeAccess(session, 'DROP ROLE', async (actor, access, notices) => {
    const { roles } = access
    if (!actor.isSuperuser && roles.byId(actor.id)?.createRole !== true) {
      throw roleDenied(
        'drop role',
        'Only roles with the CREATEROLE attribute and the ADMIN option on the target roles may drop roles.',
      )
    }
    const actions: AccessAction[] = []
    let state = access
    for (const name of names) {
      const role = roles.named(name)
      if (role === undefined && fields.missing_ok === true) {
        const message = `role "${name}" does not exist, skipping`
        notices.push({
          severity: 'NOTICE',
          sqlState: SqlState.successfulCompletion,
          message,
        } as const)
        continue
      }
      requireDroppable(actor, access.role(name), session.login.id)
      const lines = await dependencyLines(session, state, access.role(name).id)
      if (lines.length > 0) throw state.dependency(access.role(name).id, lines)
      const action: AccessAction = { dropRole: { name } }
      state = state.apply(action)
      actions.push(action)
    }
    return actions
  })
  return command('DROP ROLE')
}

function requireDroppable(actor: Actor, role: Role, login: number): void {
  if (role.id === actor.id) throw inUse('current user')
  if (role.id === login) throw inUse('session user')
  if (role.id === BOOTSTRAP_ID || role.name.startsWith('pg_')) {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop role ${role.name} because it is required by the database system`,
    )
  }
  if (actor.isSuperuser) return
  if (role.superuser) {
    throw roleDenied(
      'drop role',
      'Only roles with the SUPERUSER attribute may drop roles with the SUPERUSER attribute.',
    )
  }
  if (actor.access.roles.isAdmin(actor.id, role.id)) return
  throw roleDenied(
    'drop role',
    `Only roles with the CREATEROLE attribute and the ADMIN option on role "${role.name}" may drop this role.`,
  )
}

function inUse(what: string): SqlError {
  return new SqlError(SqlState.objectInUse, `${what} cannot be dropped`)
}

/** ALTER ROLE … RENAME TO. */
export async function renameRole({ session, fields }: StatementCall): Promise<Execution> {
  const [name, to] = [String(fields.subname), String(fields.newname)]
  await changeAccess(session, 'ALTER ROLE', (actor, access: Access) => {
    const role = access.role(name)
    if (role.id === session.login.id) {
      throw new SqlError(SqlState.featureNotSupported, 'session user cannot be renamed')
    }
    if (role.id === actor.id) {
      throw new SqlError(SqlState.featureNotSupported, 'current user cannot be renamed')
    }
    requireName(role.name)
    requireName(to)
    if (role.id === BOOTSTRAP_ID) throw notSupported('renaming the first superuser')
    requireAlterer(actor, role, false)
    return [{ renameRole: { name, to } }]
  })
  return command('ALTER ROLE')
}
