/** Membership: GRANT and REVOKE of roles by PostgreSQL 16's rules. */

import { SqlError, SqlState } from '../storage/errors.js'
import { type Membership, BOOTSTRAP_ID, type Roles } from './role.js'

/** One grant of a role to a member. */
export interface MembershipIds {
  readonly role: number
  readonly member: number
  readonly grantor: number
}

export interface MembershipOptions {
  readonly admin?: boolean
  readonly inherit?: boolean
  readonly set?: boolean
}

/**
 * With a membership, or other options of one.
 *
 * 0LP01 when the role would be a member of itself, or the ADMIN option would go back to who it came from.
 */
export function grantedMemberships(
  roles: Roles,
  ids: MembershipIds,
  options: MembershipOptions,
): Roles {
  const { role, member, grantor } = ids
  if (role === member || roles.isMember(role, member)) {
    throw new SqlError(
      SqlState.invalidGrantOperation,
      `role "${roles.nameOf(role)}" is a member of role "${roles.nameOf(member)}"`,
    )
  }
  if (options.admin === true && grantor !== BOOTSTRAP_ID) {
    const without = withoutGrantsOf(roles.memberships, role, member)
    const left = roles.withMemberships(without)
    if (!left.isSuperuser(grantor) && left.adminGrantor(grantor, role) === undefined) {
      throw new SqlError(
        SqlState.invalidGrantOperation,
        'ADMIN option cannot be granted back to your own grantor',
      )
    }
  }
  const before = roles.memberships.find((one) => same(one, ids))
  const made: Membership = {
    ...ids,
    admin: options.admin ?? before?.admin ?? false,
    inherit: options.inherit ?? before?.inherit ?? roles.byId(member)?.inherit ?? true,
    set: options.set ?? before?.set ?? true,
  }
  return roles.withMemberships([...roles.memberships.filter((one) => !same(one, ids)), made])
}

/**
 * Without a membership, or without one option of it; what the member has granted of it goes along.
 *
 * 2BP01 when there is such unless `cascade`.
 */
export function changedMemberships(
  roles: Roles,
  ids: MembershipIds,
  option: keyof MembershipOptions | undefined,
  cascade: boolean,
): Roles {
  const before = roles.memberships.find((one) => same(one, ids))
  if (before === undefined) return roles
  const others = roles.memberships.filter((one) => one !== before)
  let left: readonly Membership[] =
    option === undefined ? others : [...others, { ...before, [option]: false }]
  if (before.admin && (option === undefined || option === 'admin')) {
    const { role, member } = ids
    const isAdmin = left.some((one) => one.role === role && one.member === member && one.admin)
    if (!isAdmin) {
      const kept = withoutGrantsOf(left, role, member)
      if (kept.length < left.length && !cascade) {
        throw new SqlError(SqlState.dependentObjectsStillExist, 'dependent privileges exist', {
          hint: 'Use CASCADE to revoke them too.',
        })
      }
      left = kept
    }
  }
  return roles.withMemberships(left)
}

/** Without memberships in `role` that `grantor` gave, and those given by who has no ADMIN option then. */
function withoutGrantsOf(
  memberships: readonly Membership[],
  role: number,
  grantor: number,
): readonly Membership[] {
  const gone = memberships.filter((one) => one.role === role && one.grantor === grantor)
  let left: readonly Membership[] = memberships.filter((one) => !gone.includes(one))
  for (const { member, admin } of gone) {
    const isAdmin = left.some((one) => one.role === role && one.member === member && one.admin)
    if (admin && !isAdmin) left = withoutGrantsOf(left, role, member)
  }
  return left
}

function same(one: MembershipIds, other: MembershipIds): boolean {
  return one.role === other.role && one.member === other.member && one.grantor === other.grantor
}
