/** RoleChange: statements that change roles, owners and privileges, in a block or at once. */

import type { Access } from '../catalog/access.js'
import type { AccessAction } from '../catalog/access-action.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Actor } from './access-control.js'
import type { SessionContext } from './session-context.js'
import { type Node, nodeOf } from './syntax-tree.js'

/** A notice or warning that is told once the change is made. */
export interface ChangeNotice {
  readonly severity: 'NOTICE' | 'WARNING'
  readonly sqlState: SqlState
  readonly message: string
}

/**
 * Makes a change of roles, owners or privileges: at once, or at the COMMIT of the block that is open.
 *
 * `make` decides by the state it is given, again when another gateway changed it meanwhile; what it
 * puts into `notices` is told once it is settled. 25006 in
 * a read-only transaction.
 */
export async function changeAccess(
  session: SessionContext,
  words: string,
  make: (
    actor: Actor,
    access: Access,
    notices: ChangeNotice[],
  ) => readonly AccessAction[] | Promise<readonly AccessAction[]>,
): Promise<void> {
  session.requireWritable(words)
  const catalog = await session.changingCatalog()
  let notices: ChangeNotice[] = []
  try {
    await catalog.changeAccess(async (access) => {
      notices = []
      return make(session.access.actorIn(access), access, notices)
    })
  } finally {
    for (const { severity, sqlState, message } of notices) {
      if (severity === 'WARNING') session.warn(sqlState, message)
      else session.notice(sqlState, message)
    }
  }
}

/** The name that a RoleSpec means; null is PUBLIC. */
export function roleNamed(node: unknown, session: SessionContext): string | null {
  const spec = (nodeOf(node, 'RoleSpec') ?? node ?? {}) as Node
  switch (spec.roletype) {
    case 'ROLESPEC_CURRENT_USER':
    case 'ROLESPEC_CURRENT_ROLE':
      return ownName(session, session.currentUser)
    case 'ROLESPEC_SESSION_USER':
      return ownName(session, session.sessionUser)
    case 'ROLESPEC_PUBLIC':
      return null
    default:
      return String(spec.rolename)
  }
}

/** The name shown of who was trusted without being a role stands for the one they are. */
function ownName(session: SessionContext, name: string): string {
  return name === session.user ? session.login.name : name
}

/** As roleNamed, of somebody; 42704 for PUBLIC. */
export function somebody(node: unknown, session: SessionContext): string {
  const name = roleNamed(node, session)
  if (name !== null) return name
  throw new SqlError(SqlState.undefinedObject, 'role "public" does not exist')
}

/** 42501 with the detail that tells who may. */
export function roleDenied(what: string, detail: string): SqlError {
  return new SqlError(SqlState.insufficientPrivilege, `permission denied to ${what}`, { detail })
}
