/** RoleMembership: GRANT and REVOKE of roles, and who may. */

import type { AccessAction, MembershipAction } from '../catalog/access-action.js'
import { BOOTSTRAP_ID, BOOTSTRAP_NAME, type Role } from '../catalog/role.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Actor } from './access-control.js'
import { roleDenied } from './role-change.js'

type Options = Pick<MembershipAction, 'admin' | 'inherit' | 'set'>

/** In whose name the actor grants or revokes the role; 42501 when it may not. */
function grantorOf(actor: Actor, role: Role, verb: 'grant' | 'revoke'): string {
  const { roles } = actor.access
  if (role.superuser && !actor.isSuperuser) {
    throw roleDenied(
      `${verb} role "${role.name}"`,
      `Only roles with the SUPERUSER attribute may ${verb} roles with the SUPERUSER attribute.`,
    )
  }
  const grantor = actor.isSuperuser ? BOOTSTRAP_ID : roles.adminGrantor(actor.id, role.id)
  if (grantor !== undefined) return roles.nameOf(grantor)
  throw roleDenied(
    `${verb} role "${role.name}"`,
    `Only roles with the ADMIN option on role "${role.name}" may ${verb} this role.`,
  )
}

/** The grantor that GRANTED BY names; 42501 when the actor may not grant in that name. */
export function statedGrantor(
  actor: Actor,
  role: Role,
  stated: string,
  verb: 'grant' | 'revoke',
): string {
  const { roles } = actor.access
  const grantor = actor.access.role(stated)
  grantorOf(actor, role, verb)
  if (!roles.hasPrivilegesOf(actor.id, grantor.id)) {
    throw roleDenied(
      `${verb} privileges as role "${stated}"`.replace(
        'revoke privileges as',
        'revoke privileges granted by',
      ),
      `Only roles with privileges of role "${stated}" may ${verb} privileges ${verb === 'grant' ? 'as' : 'granted by'} this role.`,
    )
  }
  const isAdmin =
    grantor.id === BOOTSTRAP_ID ||
    roles.memberships.some((one) => one.role === role.id && one.member === grantor.id && one.admin)
  if (verb === 'grant' && !isAdmin) {
    throw roleDenied(
      `grant privileges as role "${stated}"`,
      `The grantor must have the ADMIN option on role "${role.name}".`,
    )
  }
  return stated
}

/** That `member` becomes one of `role`; 42501, 42704 and 0LP01. */
export function grantedRole(
  actor: Actor,
  name: string,
  member: string,
  options: Options,
  stated?: string,
): AccessAction {
  const role = actor.access.role(name)
  actor.access.role(member)
  if (name === 'pg_database_owner') {
    throw new SqlError(
      SqlState.invalidGrantOperation,
      `role "${name}" cannot have explicit members`,
    )
  }
  const grantor =
    stated === undefined
      ? grantorOf(actor, role, 'grant')
      : statedGrantor(actor, role, stated, 'grant')
  return { grantRole: { role: name, member, grantor, ...options } }
}

/** That `member` is no longer one, or loses an option; null when it was none by that grantor. */
export function revokedRole(
  actor: Actor,
  name: string,
  member: string,
  option: keyof Options | undefined,
  cascade: boolean,
  stated?: string,
): AccessAction | null {
  const { roles } = actor.access
  const role = actor.access.role(name)
  const memberId = actor.access.role(member).id
  const grantor =
    stated === undefined
      ? grantorOf(actor, role, 'revoke')
      : statedGrantor(actor, role, stated, 'revoke')
  const grantorId = actor.access.role(grantor).id
  const found = roles.memberships.some(
    (one) => one.role === role.id && one.member === memberId && one.grantor === grantorId,
  )
  if (!found) return null
  const what = option === undefined ? {} : { option }
  return { revokeRole: { role: name, member, grantor, cascade, ...what } }
}

/** The name by which notices call who grants for superusers. */
export const FIRST_GRANTOR: string = BOOTSTRAP_NAME
