/** RoleOptions: what the options of CREATE ROLE and ALTER ROLE say. */

import type { RoleAttributes } from '../catalog/role.js'
import { keptPassword } from '../catalog/scram-verifier.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { notSupported } from './refusal.js'
import { somebody } from './role-change.js'
import type { SessionContext } from './session-context.js'
import { listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'

/** Attributes that are stated, and memberships that CREATE ROLE begins with. */
export interface RoleOptions {
  readonly attributes: Partial<RoleAttributes>
  /** Roles that the role becomes a member of. */
  readonly memberOf: readonly string[]
  readonly members: readonly string[]
  readonly adminMembers: readonly string[]
  /** A password that was empty, and is none. */
  readonly clearsPassword: boolean
}

const SWITCHES: Readonly<Record<string, keyof RoleAttributes>> = {
  superuser: 'superuser',
  inherit: 'inherit',
  createrole: 'createRole',
  createdb: 'createDb',
  canlogin: 'login',
  isreplication: 'replication',
  bypassrls: 'bypassRls',
}

/** 42601 for an option given twice; a password leaves here as a verifier only. */
export async function roleOptions(
  nodes: readonly Node[],
  session: SessionContext,
): Promise<RoleOptions> {
  const attributes: { -readonly [name in keyof RoleAttributes]?: RoleAttributes[name] } = {}
  const lists = { memberOf: [] as string[], members: [] as string[], adminMembers: [] as string[] }
  const seen = new Set<string>()
  let clearsPassword = false
  for (const node of nodes) {
    const { defname, arg } = nodeOf(node, 'DefElem') ?? {}
    const name = String(defname)
    if (seen.has(name)) throw new SqlError(SqlState.syntaxError, 'conflicting or redundant options')
    seen.add(name)
    const names = (): string[] =>
      listOf(nodeOf(arg, 'List')?.items ?? arg).map((one) => somebody(one, session))
    const flag = SWITCHES[name]
    if (flag !== undefined) Object.assign(attributes, { [flag]: isTrue(arg) })
    else if (name === 'connectionlimit') attributes.connectionLimit = connectionLimit(arg)
    else if (name === 'validUntil') {
      attributes.validUntilMs = await instantOf(stringOf(arg) ?? '', session)
    } else if (name === 'password') {
      const text = arg === undefined ? null : (stringOf(arg) ?? '')
      clearsPassword = text === ''
      const iterations = Number(session.settings.get('scram_iterations'))
      attributes.verifier =
        text === null || text === '' ? null : await keptPassword(text, iterations)
    } else if (name === 'addroleto') lists.memberOf.push(...names())
    else if (name === 'rolemembers') lists.members.push(...names())
    else if (name === 'adminmembers') lists.adminMembers.push(...names())
    else if (name === 'sysid')
      session.notice(SqlState.successfulCompletion, 'SYSID can no longer be specified')
    else throw notSupported(`the option "${name}" of a role`)
  }
  return { attributes, ...lists, clearsPassword }
}

function isTrue(arg: unknown): boolean {
  return nodeOf(arg, 'Boolean')?.boolval === true
}

function connectionLimit(arg: unknown): number {
  const limit = Number(nodeOf(arg, 'Integer')?.ival ?? 0)
  if (limit >= -1) return limit
  throw new SqlError(SqlState.invalidParameterValue, `invalid connection limit: ${limit}`)
}

/** Milliseconds since 1970 of VALID UNTIL; null for infinity. */
async function instantOf(text: string, session: SessionContext): Promise<number | null> {
  if (/^\s*infinity\s*$/i.test(text)) return null
  const value = { type: { kind: 'scalar', name: 'VARCHAR' }, value: text } as const
  const rows = await session.pool.with((connection) =>
    connection.query('SELECT epoch_ms(CAST(CAST($1 AS VARCHAR) AS TIMESTAMPTZ))', [value]),
  )
  return Number(rows[0]?.[0])
}
