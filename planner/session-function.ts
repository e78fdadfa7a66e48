/** Session functions: calls whose value the session itself knows, put into a query as literals. */

import { SERVER_VERSION_TEXT } from '../catalog/server-version.js'
import type { Settings } from '../catalog/settings.js'
import { quoteLiteral } from '../storage/engine.js'
import { notSupported } from './refusal.js'
import { isRoleSetting } from './session-role.js'
import { constantOf, type Node } from './syntax-tree.js'

/** What the functions ask of their session. */
export interface SessionFacts {
  readonly settings: Settings
  readonly currentUser: string
  readonly sessionUser: string
  readonly processId: number
  readonly gateway: { readonly database: string }
}

/**
 * The value of a session function as SQL; undefined when `name` is none, or when its arguments are
 * no constants. `executing` is false while a statement is only described.
 */
export function sessionFunction(
  session: SessionFacts,
  name: string,
  args: readonly Node[],
  executing: boolean,
): string | undefined {
  const { settings } = session
  switch (name) {
    case 'set_config': {
      const [setting, value, local] = args.map((arg) => constantOf(arg))
      if (typeof setting !== 'string' || value === undefined) return undefined
      if (isRoleSetting(setting)) {
        throw notSupported(`set_config of ${setting} inside of a larger query`)
      }
      if (!executing) return 'NULL::VARCHAR'
      return quoteLiteral(
        settings.assign(setting, value === null ? null : String(value), local === true),
      )
    }
    case 'current_setting': {
      const setting = constantOf(args[0])
      if (typeof setting !== 'string') return undefined
      if (constantOf(args[1]) === true && !settings.has(setting)) return 'NULL::VARCHAR'
      return quoteLiteral(settings.get(setting))
    }
    case 'session_user':
      return quoteLiteral(session.sessionUser)
    case 'current_user':
    case 'user':
    case 'current_role':
      return quoteLiteral(session.currentUser)
    case 'current_database':
    case 'current_catalog':
      return quoteLiteral(session.gateway.database)
    case 'current_schema':
      return quoteLiteral(settings.searchPath()[0] ?? 'public')
    case 'version':
      return quoteLiteral(SERVER_VERSION_TEXT)
    case 'pg_backend_pid':
      return String(session.processId)
    case 'pg_is_in_recovery':
      return 'false'
    default:
      return undefined
  }
}
