/** GRANT and REVOKE of privileges and roles, and ALTER DEFAULT PRIVILEGES. */

import { kindOfObject } from '../../catalog/access.js'
import type { AccessAction, DefaultKind, MembershipAction } from '../../catalog/access-action.js'
import { bestGrantor, defaultAcl, grantOptionsHeld, privilegesHeld } from '../../catalog/acl.js'
import {
  type ObjectKind,
  privilegeNamed,
  privilegeNames,
  privileges,
  type PrivilegeSet,
  PRIVILEGES_OF,
} from '../../catalog/privilege.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { type Actor, denied } from '../access-control.js'
import { columnKeys, type GrantTarget, grantTargets } from '../grant-targets.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import { type ChangeNotice, changeAccess, roleNamed, somebody } from '../role-change.js'
import { FIRST_GRANTOR, grantedRole, revokedRole } from '../role-membership.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { listOf, namesOf, type Node, nodeOf } from '../syntax-tree.js'

export const GRANT: StatementKind = { open: grant }

export const GRANT_ROLE: StatementKind = { open: grantRole }

export const ALTER_DEFAULT_PRIVILEGES: StatementKind = { open: alterDefaults }

/** A column, with what its privileges are kept by. */
interface Column {
  readonly name: string
  readonly key: string
}

function columnWords({ name }: Column, target: GrantTarget): string {
  return `column "${name}" of relation "${target.name}"`
}

/** What one privilege of the list asks for: of whole objects, or of columns. */
interface Asked {
  readonly privileges: PrivilegeSet
  readonly columns: readonly Node[]
  /** ALL, of which what an object has not is no matter. */
  readonly all: boolean
}

/** As messages call objects of a kind. */
const KIND_WORDS: Readonly<Record<ObjectKind, string>> = {
  table: 'relation',
  column: 'column',
  layer: 'schema',
  database: 'database',
  function: 'function',
  sequence: 'sequence',
  type: 'type',
}

/** The privileges that a statement lists for objects of a kind; 0LP01 for one they have not. */
function askedOf(fields: Node, kind: ObjectKind): readonly Asked[] {
  const nodes = listOf(fields.privileges)
  if (nodes.length === 0) return [{ privileges: PRIVILEGES_OF[kind], columns: [], all: true }]
  return nodes.map((node) => {
    const { priv_name: name, cols } = nodeOf(node, 'AccessPriv') ?? {}
    const columns = listOf(cols)
    const of = columns.length > 0 ? 'column' : kind
    if (columns.length > 0 && kind !== 'table') {
      throw new SqlError(
        SqlState.invalidGrantOperation,
        'column privileges are only valid for relations',
      )
    }
    if (typeof name !== 'string') return { privileges: PRIVILEGES_OF[of], columns, all: true }
    const privilege = privilegeNamed(name)
    if (privilege === undefined) {
      throw new SqlError(SqlState.syntaxError, `unrecognized privilege type "${name}"`)
    }
    const set = privileges(privilege)
    if ((set & PRIVILEGES_OF[of]) === 0) {
      throw new SqlError(
        SqlState.invalidGrantOperation,
        `invalid privilege type ${privilege} for ${KIND_WORDS[of]}`,
      )
    }
    return { privileges: set, columns, all: false }
  })
}

function granteesOf(session: SessionContext, fields: Node): readonly (string | null)[] {
  return listOf(fields.grantees).map((node) => roleNamed(node, session))
}

/** 0LP01 for WITH GRANT OPTION to PUBLIC. */
function requireRoles(fields: Node, grantees: readonly (string | null)[]): void {
  if (fields.is_grant !== true || fields.grant_option !== true || !grantees.includes(null)) return
  throw new SqlError(SqlState.invalidGrantOperation, 'grant options can only be granted to roles')
}

/** 0A000 for GRANTED BY somebody else. */
function requireOwnGrantor(session: SessionContext, fields: Node, actor: Actor): void {
  if (fields.grantor === undefined) return
  if (actor.access.role(somebody(fields.grantor, session)).id === actor.id) return
  throw new SqlError(SqlState.featureNotSupported, 'grantor must be current user')
}

async function grant({ session, fields }: StatementCall): Promise<Execution> {
  const grants = fields.is_grant === true
  const word = grants ? 'GRANT' : 'REVOKE'
  const kinds: Readonly<Record<string, ObjectKind>> = {
    OBJECT_SCHEMA: 'layer',
    OBJECT_DATABASE: 'database',
    OBJECT_SEQUENCE: 'sequence',
    OBJECT_FUNCTION: 'function',
    OBJECT_PROCEDURE: 'function',
    OBJECT_ROUTINE: 'function',
  }
  const grantees = granteesOf(session, fields)
  // Found once: at COMMIT the block's own names are gone from sight.
  let found: readonly GrantTarget[] | undefined
  await changeAccess(session, word, async (actor, access, notices) => {
    requireOwnGrantor(session, fields, actor)
    found ??= await grantTargets(session, fields)
    const targets = found
    for (const name of grantees) if (name !== null) access.role(name)
    const asked = askedOf(fields, kinds[String(fields.objtype)] ?? 'table')
    const actions: AccessAction[] = []
    for (const target of targets) {
      const whole = asked.filter(({ columns }) => columns.length === 0)
      const parts: { privileges: PrivilegeSet; column: Column | null; all: boolean }[] = []
      const byColumn = new Map<string, PrivilegeSet>()
      const addTo = (key: string, set: PrivilegeSet): void => {
        byColumn.set(key, (byColumn.get(key) ?? 0) | set)
      }
      if (whole.length > 0) {
        const set = whole.reduce((all, one) => all | one.privileges, 0)
        parts.push({ privileges: set, column: null, all: whole.some(({ all }) => all) })
        // What is taken from a table is taken from each of its columns too.
        const ofColumns = grants ? 0 : set & PRIVILEGES_OF.column
        if (ofColumns !== 0) for (const key of target.columns.values()) addTo(key, ofColumns)
      }
      for (const { privileges: set, columns } of asked) {
        for (const key of columnKeys(target, columns)) addTo(key, set)
      }
      for (const [name, key] of target.columns) {
        const set = byColumn.get(key)
        if (set === undefined) continue
        parts.push({ privileges: set, column: { name, key }, all: set === PRIVILEGES_OF.column })
      }
      for (const { column, ...part } of parts) {
        const made = grantable(actor, target, column, part, grants)
        if (made.notice !== null) notices.push(made.notice)
        requireRoles(fields, grantees)
        if (made.privileges === 0) continue
        for (const grantee of grantees) {
          actions.push({
            grant: {
              object: target.object,
              columns: column === null ? null : [column.key],
              privileges: privilegeNames(made.privileges),
              grantee,
              grantor: access.roles.nameOf(made.grantor),
              grants,
              grantOption: fields.grant_option === true,
              cascade: fields.behavior === 'DROP_CASCADE',
            },
          })
        }
      }
    }
    return actions
  })
  return command(word)
}

/** What of the privileges the actor may grant, in whose name, and what it is told of the others; 42501 for none of all. */
function grantable(
  actor: Actor,
  target: GrantTarget,
  column: Column | null,
  { privileges: wanted, all }: { readonly privileges: PrivilegeSet; readonly all: boolean },
  grants: boolean,
): {
  readonly privileges: PrivilegeSet
  readonly grantor: number
  readonly notice: ChangeNotice | null
} {
  const { access, id } = actor
  const { owner, acl, columns } = access.of(target.object)
  const kind = kindOfObject(target.object)
  const own = acl ?? defaultAcl(kind, owner)
  const known = column === null ? own : [...own, ...(columns.get(column.key) ?? [])]
  const { grantor, options } = bestGrantor(known, id, owner, wanted, access.roles)
  if (options === 0) {
    const every = PRIVILEGES_OF[column === null ? kind : 'column']
    const any =
      privilegesHeld(known, grantor, every, access.roles) |
      grantOptionsHeld(known, grantor, owner, every, access.roles)
    if (any === 0) {
      throw denied(column === null ? target.what : columnWords(column, target))
    }
  }
  const made = wanted & options
  const [sqlState, verb] = grants
    ? ([SqlState.privilegeNotGranted, 'granted'] as const)
    : ([SqlState.privilegeNotRevoked, 'revoked'] as const)
  const name = column === null ? `"${target.name}"` : columnWords(column, target)
  const told = (words: string): ChangeNotice => ({
    severity: 'WARNING',
    sqlState,
    message: grants ? `${words} were ${verb} for ${name}` : `${words} could be ${verb} for ${name}`,
  })
  const notice =
    made === 0 ? told('no privileges') : made !== wanted && !all ? told('not all privileges') : null
  return { privileges: made, grantor, notice }
}

async function grantRole({ session, fields }: StatementCall): Promise<Execution> {
  const grants = fields.is_grant === true
  const word = grants ? 'GRANT ROLE' : 'REVOKE ROLE'
  const roles = listOf(fields.granted_roles).map((node) => {
    const { priv_name: name, cols } = nodeOf(node, 'AccessPriv') ?? {}
    if (typeof name !== 'string' || listOf(cols).length > 0) {
      throw new SqlError(
        SqlState.invalidGrantOperation,
        'column names cannot be included in GRANT/REVOKE ROLE',
      )
    }
    return name
  })
  const members = listOf(fields.grantee_roles).map((node) => somebody(node, session))
  const options = membershipOptions(fields)
  const cascade = fields.behavior === 'DROP_CASCADE'
  await changeAccess(session, word, (actor, access, notices) => {
    const stated = fields.grantor === undefined ? undefined : somebody(fields.grantor, session)
    const actions: AccessAction[] = []
    let state = access
    for (const role of roles) {
      for (const member of members) {
        const now = { ...actor, access: state }
        const [option] = Object.keys(options) as (keyof typeof options)[]
        const action = grants
          ? grantedRole(now, role, member, options, stated)
          : revokedRole(now, role, member, option, cascade, stated)
        if (action === null) {
          notices.push(notAMember(role, member, stated ?? grantorName(now, role)))
          continue
        }
        const known = 'grantRole' in action && isKnown(now, action.grantRole)
        if (known) {
          notices.push({
            severity: 'NOTICE',
            sqlState: SqlState.successfulCompletion,
            message: `role "${member}" has already been granted membership in role "${role}" by role "${action.grantRole.grantor}"`,
          })
          continue
        }
        state = state.apply(action)
        actions.push(action)
      }
    }
    return actions
  })
  return command(word)
}

function grantorName({ access, id, isSuperuser }: Actor, role: string): string {
  const { roles } = access
  if (isSuperuser) return FIRST_GRANTOR
  return roles.nameOf(roles.adminGrantor(id, access.role(role).id) ?? id)
}

function notAMember(role: string, member: string, grantor: string): ChangeNotice {
  return {
    severity: 'WARNING',
    sqlState: SqlState.warning,
    message: `role "${member}" has not been granted membership in role "${role}" by role "${grantor}"`,
  }
}

/** Whether the membership is there with these options already. */
function isKnown({ access }: Actor, wanted: MembershipAction): boolean {
  const { roles } = access
  const [role, member, grantor] = [wanted.role, wanted.member, wanted.grantor].map(
    (name) => access.role(name).id,
  )
  const found = roles.memberships.find(
    (one) => one.role === role && one.member === member && one.grantor === grantor,
  )
  if (found === undefined) return false
  const same = (name: 'admin' | 'inherit' | 'set'): boolean =>
    wanted[name] === undefined || wanted[name] === found[name]
  return same('admin') && same('inherit') && same('set')
}

/** WITH ADMIN, INHERIT and SET; of REVOKE the one option that goes. */
function membershipOptions(fields: Node): Pick<MembershipAction, 'admin' | 'inherit' | 'set'> {
  const found: { admin?: boolean; inherit?: boolean; set?: boolean } = {}
  for (const node of listOf(fields.opt)) {
    const { defname, arg } = nodeOf(node, 'DefElem') ?? {}
    const name = String(defname)
    if (name !== 'admin' && name !== 'inherit' && name !== 'set') {
      throw new SqlError(SqlState.syntaxError, `unrecognized role option "${name}"`)
    }
    found[name] = nodeOf(arg, 'Boolean')?.boolval === true
  }
  return found
}

const DEFAULT_KINDS: Readonly<Record<string, DefaultKind>> = {
  OBJECT_TABLE: 'table',
  OBJECT_SCHEMA: 'layer',
  OBJECT_FUNCTION: 'function',
  OBJECT_ROUTINE: 'function',
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_TYPE: 'type',
}

async function alterDefaults({ session, fields }: StatementCall): Promise<Execution> {
  const action = fields.action as Node
  const kind = DEFAULT_KINDS[String(action.objtype)]
  if (kind === undefined) throw notSupported('default privileges for this kind of object')
  const grants = action.is_grant === true
  const grantees = granteesOf(session, action)
  requireRoles(action, grantees)
  const set = askedOf(action, kind).reduce((all, one) => all | one.privileges, 0)
  let layers: readonly (string | null)[] = [null]
  let roles: readonly string[] | undefined
  for (const node of listOf(fields.options)) {
    const { defname, arg } = nodeOf(node, 'DefElem') ?? {}
    const items = listOf(nodeOf(arg, 'List')?.items)
    if (defname === 'schemas') layers = namesOf(items)
    else if (defname === 'roles') roles = items.map((item) => somebody(item, session))
  }
  if (kind === 'layer' && !layers.includes(null)) {
    throw new SqlError(
      SqlState.invalidGrantOperation,
      'cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS',
    )
  }
  const known = await session.catalog.layers()
  await changeAccess(session, 'ALTER DEFAULT PRIVILEGES', (actor, access) => {
    const actions: AccessAction[] = []
    for (const name of roles ?? [actor.name]) {
      const role = access.role(name)
      if (!access.roles.hasPrivilegesOf(actor.id, role.id)) {
        throw new SqlError(
          SqlState.insufficientPrivilege,
          'permission denied to change default privileges',
        )
      }
      for (const layer of layers) {
        if (layer !== null && !known.includes(layer)) {
          throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
        }
        for (const grantee of grantees) {
          if (grantee !== null) access.role(grantee)
          actions.push({
            defaultPrivileges: {
              role: name,
              layer,
              kind,
              privileges: privilegeNames(set),
              grantee,
              grants,
              grantOption: action.grant_option === true,
              cascade: action.behavior === 'DROP_CASCADE',
            },
          })
        }
      }
    }
    return actions
  })
  return command('ALTER DEFAULT PRIVILEGES')
}
