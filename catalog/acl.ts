/** Acl: who was granted what by whom on one object, changed and read by PostgreSQL's rules. */

import { SqlError, SqlState } from '../storage/errors.js'
import { type ObjectKind, PRIVILEGES_OF, type PrivilegeSet, PUBLIC_DEFAULTS } from './privilege.js'

/** Stands for PUBLIC where a grantee's number is wanted. */
export const PUBLIC = 0

/** One grant; roles are numbers that stay when names change. */
export interface AclItem {
  readonly grantee: number
  readonly grantor: number
  readonly privileges: PrivilegeSet
  /** Those among `privileges` that the grantee may grant on. */
  readonly grantable: PrivilegeSet
}

export type Acl = readonly AclItem[]

/** What an acl asks of the roles. */
export interface RoleGraph {
  isSuperuser(role: number): boolean
  /** Whether `role` has the privileges of `other` without SET ROLE; true of itself. */
  hasPrivilegesOf(role: number, other: number): boolean
  /** The roles whose privileges `role` has, itself first. */
  inherited(role: number): readonly number[]
}

/** What is in force while nothing was granted or revoked. */
export function defaultAcl(kind: ObjectKind, owner: number): Acl {
  const toPublic = PUBLIC_DEFAULTS[kind]
  const own = { grantee: owner, grantor: owner, privileges: PRIVILEGES_OF[kind], grantable: 0 }
  if (kind === 'column') return []
  return toPublic === 0
    ? [own]
    : [{ grantee: PUBLIC, grantor: owner, privileges: toPublic, grantable: 0 }, own]
}

/** Those of `wanted` that `role` has by its own grants and those of roles it inherits from. */
export function privilegesHeld(
  acl: Acl,
  role: number,
  wanted: PrivilegeSet,
  graph: RoleGraph,
): PrivilegeSet {
  let held = 0
  for (const { grantee, privileges } of acl) {
    if ((privileges & wanted & ~held) === 0) continue
    if (grantee === PUBLIC || graph.hasPrivilegesOf(role, grantee)) held |= privileges & wanted
  }
  return held
}

/** Those of `wanted` that `role` may grant; an owner may grant all. */
export function grantOptionsHeld(
  acl: Acl,
  role: number,
  owner: number,
  wanted: PrivilegeSet,
  graph: RoleGraph,
): PrivilegeSet {
  if (graph.hasPrivilegesOf(role, owner)) return wanted
  let held = 0
  for (const { grantee, grantable } of acl) {
    if (grantee !== PUBLIC && graph.hasPrivilegesOf(role, grantee)) held |= grantable & wanted
  }
  return held
}

/** What `role` itself may grant, not by inheritance. */
function ownGrantOptions(acl: Acl, role: number, owner: number, wanted: PrivilegeSet): number {
  if (role === owner) return wanted
  return acl.reduce(
    (held, item) => (item.grantee === role ? held | (item.grantable & wanted) : held),
    0,
  )
}

/** In whose name `role` grants: the owner's if it can, else that of whoever may grant most. */
export function bestGrantor(
  acl: Acl,
  role: number,
  owner: number,
  wanted: PrivilegeSet,
  graph: RoleGraph,
): { readonly grantor: number; readonly options: PrivilegeSet } {
  if (role === owner || graph.isSuperuser(role)) return { grantor: owner, options: wanted }
  let best = { grantor: role, options: 0 }
  let bestCount = 0
  for (const other of graph.inherited(role)) {
    const options = ownGrantOptions(acl, other, owner, wanted)
    if (options === wanted) return { grantor: other, options }
    const count = bitCount(options)
    if (count > bestCount) {
      best = { grantor: other, options }
      bestCount = count
    }
  }
  return best
}

function bitCount(set: number): number {
  let count = 0
  for (let rest = set; rest !== 0; rest &= rest - 1) count++
  return count
}

/** A change of an acl by GRANT or REVOKE. */
export interface AclChange {
  readonly grants: boolean
  readonly grantee: number
  readonly grantor: number
  readonly privileges: PrivilegeSet
  /** WITH GRANT OPTION, or GRANT OPTION FOR. */
  readonly grantOption: boolean
  readonly cascade: boolean
}

/**
 * `acl` after a change.
 *
 * 0LP01 when grant options would go back to who they came from, 2BP01 when others were granted what
 * is revoked, unless `cascade`.
 */
export function changedAcl(acl: Acl, change: AclChange, owner: number, graph: RoleGraph): Acl {
  const { grants, grantee, grantor, privileges, grantOption } = change
  if (grants && grantOption) requireNoCircle(acl, change, owner, graph)
  const at = acl.findIndex((item) => item.grantee === grantee && item.grantor === grantor)
  const before = acl[at] ?? { grantee, grantor, privileges: 0, grantable: 0 }
  const after: AclItem = grants
    ? {
        ...before,
        privileges: before.privileges | privileges,
        grantable: before.grantable | (grantOption ? privileges : 0),
      }
    : {
        ...before,
        privileges: grantOption ? before.privileges : before.privileges & ~privileges,
        grantable: before.grantable & ~privileges,
      }
  const without = (items: Acl): Acl => items.filter(({ privileges: left }) => left !== 0)
  const made = without(at < 0 ? [...acl, after] : acl.with(at, after))
  const lost = before.grantable & ~after.grantable
  if (lost === 0 || grantee === PUBLIC) return made
  return withoutDependents(made, grantee, lost, owner, change.cascade, graph)
}

/** Takes back what `role` granted of what it may grant no more. */
function withoutDependents(
  acl: Acl,
  role: number,
  lost: PrivilegeSet,
  owner: number,
  cascade: boolean,
  graph: RoleGraph,
): Acl {
  if (role === owner) return acl
  const gone = lost & ~grantOptionsHeld(acl, role, owner, lost, graph)
  if (gone === 0) return acl
  const dependent = acl.find((item) => item.grantor === role && (item.privileges & gone) !== 0)
  if (dependent === undefined) return acl
  if (!cascade) {
    throw new SqlError(SqlState.dependentObjectsStillExist, 'dependent privileges exist', {
      hint: 'Use CASCADE to revoke them too.',
    })
  }
  const change = { grants: false, grantOption: false, privileges: gone, cascade }
  const { grantee, grantor } = dependent
  const left = changedAcl(acl, { ...change, grantee, grantor }, owner, graph)
  return withoutDependents(left, role, lost, owner, cascade, graph)
}

/** Whether without the grantee's own grants the grantor could grant no more. */
function requireNoCircle(acl: Acl, change: AclChange, owner: number, graph: RoleGraph): void {
  const { grantee, grantor, privileges } = change
  if (grantor === owner) return
  let left: Acl = acl
  for (;;) {
    const own = left.find((item) => item.grantee === grantee && item.grantable !== 0)
    if (own === undefined) break
    left = changedAcl(
      left,
      {
        grants: false,
        grantee,
        grantor: own.grantor,
        privileges: own.grantable,
        grantOption: true,
        cascade: true,
      },
      owner,
      graph,
    )
  }
  if ((privileges & ~grantOptionsHeld(left, grantor, owner, privileges, graph)) === 0) return
  throw new SqlError(
    SqlState.invalidGrantOperation,
    'grant options cannot be granted back to your own grantor',
  )
}

/** `acl` with what the owner `from` had and granted in the name of `to`. */
export function withOwner(acl: Acl, from: number, to: number): Acl {
  const moved = new Map<string, AclItem>()
  for (const item of acl) {
    const grantee = item.grantee === from ? to : item.grantee
    const grantor = item.grantor === from ? to : item.grantor
    const key = `${grantee} ${grantor}`
    const other = moved.get(key)
    moved.set(key, {
      grantee,
      grantor,
      privileges: item.privileges | (other?.privileges ?? 0),
      grantable: item.grantable | (other?.grantable ?? 0),
    })
  }
  return [...moved.values()]
}

/** `acl` without anything granted to or by `role`, and what depends on it. */
export function withoutRole(acl: Acl, role: number, owner: number, graph: RoleGraph): Acl {
  let left = acl
  for (;;) {
    const item = left.find(
      (one) => one.grantee === role || (one.grantor === role && role !== owner),
    )
    if (item === undefined) return left
    const { grantee, grantor, privileges } = item
    left = changedAcl(
      left,
      { grants: false, grantee, grantor, privileges, grantOption: false, cascade: true },
      owner,
      graph,
    )
  }
}
