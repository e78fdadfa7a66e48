/** SessionRole: whether a session may be set to another role, by SET or set_config. */

import { SqlError, SqlState } from '../storage/errors.js'
import { noSessionAuthorization, noSetRole } from './access-control.js'
import type { SessionContext } from './session-context.js'

/** Settings that change as whom a session acts. */
export function isRoleSetting(name: string): boolean {
  return /^(role|session_authorization)$/i.test(name)
}

/**
 * That the session may set `role` or `session_authorization` to `value`; null is RESET.
 *
 * 22023 for a role that does not exist, 42501 for one that the session may not be.
 */
export async function requireSettable(
  session: SessionContext,
  name: string,
  value: string | null,
): Promise<void> {
  const isRole = name.toLowerCase() === 'role'
  if (value === null || (isRole && value === 'none')) return
  if (!isRole && value === session.user) return
  const { roles } = await session.catalog.access()
  const wanted = roles.named(value)
  if (wanted === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `role "${value}" does not exist`)
  }
  const login = session.login.id
  if (!isRole) {
    if (!roles.isSuperuser(login)) throw noSessionAuthorization()
    return
  }
  const current = session.settings.get('session_authorization')
  const user = current === session.user ? login : roles.named(current)?.id
  if (user === undefined || !roles.maySet(user, wanted.id)) throw noSetRole(value)
}
