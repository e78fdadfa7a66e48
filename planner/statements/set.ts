/** SET, RESET and SHOW. */

import { quoteIdentifier } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { AS_OF, asOfText } from '../past-lake.js'
import type { Execution } from '../portal.js'
import { command, taggedRows, textColumn } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import type { SessionContext } from '../session-context.js'
import { isRoleSetting, requireSettable } from '../session-role.js'
import { declaredParameters, type StatementKind } from '../statement-kind.js'
import { constantOf, listOf, namesOf, type Node, nodeOf } from '../syntax-tree.js'

export const SET: StatementKind = {
  open: async ({ session, fields }) => {
    const name = String(fields.name ?? '')
    if (!isRoleSetting(name)) return set(session, fields)
    const given = listOf(fields.args)
    const value = given.length === 0 ? null : settingArguments(session, name, given)
    await requireSettable(session, name, value)
    const done = set(session, fields)
    await roleAssigned(session, name, fields.is_local === true)
    return done
  },
}

/** What follows from another role or session authorization; this one forgets the role. */
export async function roleAssigned(
  session: SessionContext,
  name: string,
  local: boolean,
): Promise<void> {
  if (name.toLowerCase() === 'session_authorization') session.settings.assign('role', 'none', local)
  await session.roleChanged()
}

export const SHOW: StatementKind = {
  describe: (shape) => ({
    parameterTypes: declaredParameters(shape),
    columns: showColumns(shape.session, String(shape.fields.name)),
  }),
  open: async ({ session, fields }) => {
    const name = String(fields.name)
    const columns = showColumns(session, name)
    const rows = name === 'all' ? await showAll(session) : [[session.settings.get(name)]]
    return taggedRows(columns, rows, () => 'SHOW')
  },
}

/**
 * SET [LOCAL], by whatever statement or function; a null value is RESET. Answers the value as SHOW
 * prints it.
 *
 * 25001 when a transaction's characteristics are changed too late.
 */
export function assignSetting(
  session: SessionContext,
  name: string,
  value: string | null,
  local: boolean,
): string {
  const before = session.openBlock()
  const { settings } = session
  const key = name.toLowerCase()
  if (key === AS_OF && value !== null) {
    return settings.assign(name, asOfText(value, session.outputStyle), local)
  }
  const isLate = before.hasQueried || before.nested
  if (!isLate || value === null || !key.startsWith('transaction_')) {
    return settings.assign(name, value, local)
  }
  const old = settings.has(name) ? settings.get(name) : ''
  const restore = settings.mark()
  const now = settings.assign(name, value, local)
  const refusal = old === now ? undefined : lateChange(key, now, before.nested)
  if (refusal === undefined) return now
  void restore()
  throw new SqlError(SqlState.activeSqlTransaction, refusal)
}

/** Why a characteristic cannot change once a query has run, or inside of a savepoint. */
function lateChange(key: string, now: string, nested: boolean): string | undefined {
  switch (key) {
    case 'transaction_isolation':
      return `SET TRANSACTION ISOLATION LEVEL must ${nested ? 'not be called in a subtransaction' : 'be called before any query'}`
    case 'transaction_read_only':
      if (now === 'on') return undefined
      return nested
        ? 'cannot set transaction read-write mode inside a read-only transaction'
        : 'transaction read-write mode must be set before any query'
    case 'transaction_deferrable':
      return `SET TRANSACTION [NOT] DEFERRABLE ${nested ? 'cannot be called within a subtransaction' : 'must be called before any query'}`
    default:
      return undefined
  }
}

/** ISOLATION LEVEL, READ ONLY and DEFERRABLE of BEGIN and SET TRANSACTION. */
export function setTransactionModes(session: SessionContext, options: readonly Node[]): void {
  for (const [name, value] of transactionModes(options)) assignSetting(session, name, value, true)
}

function set(session: SessionContext, fields: Node): Execution {
  const name = String(fields.name ?? '')
  const args = listOf(fields.args)
  const local = fields.is_local === true
  if (local) warnOutsideBlock(session, 'SET LOCAL')
  switch (fields.kind) {
    case 'VAR_RESET_ALL':
      session.openBlock()
      session.settings.resetAll()
      return command('RESET')
    case 'VAR_RESET':
      assignSetting(session, name, null, false)
      return command('RESET')
    case 'VAR_SET_DEFAULT':
      assignSetting(session, name, null, local)
      return command('SET')
    case 'VAR_SET_MULTI':
      if (name === 'SESSION CHARACTERISTICS') {
        for (const [mode, value] of transactionModes(args)) {
          assignSetting(session, `default_${mode}`, value, false)
        }
      } else if (name === 'TRANSACTION') {
        warnOutsideBlock(session, 'SET TRANSACTION')
        setTransactionModes(session, args)
      } else throw notSupported(`SET ${name}`)
      return command('SET')
    case 'VAR_SET_CURRENT':
      assignSetting(session, name, session.settings.get(name), local)
      return command('SET')
    default:
      assignSetting(session, name, settingArguments(session, name, args), local)
      return command('SET')
  }
}

function warnOutsideBlock(session: SessionContext, what: string): void {
  if (session.inExplicitBlock) return
  session.warn(SqlState.noActiveSqlTransaction, `${what} can only be used in transaction blocks`)
}

function transactionModes(options: readonly Node[]): [string, string][] {
  return options.map((option) => {
    const element = nodeOf(option, 'DefElem')
    const name = String(element?.defname)
    const value = constantOf(element?.arg)
    if (name === 'transaction_isolation') return [name, String(value)]
    return [name, value === 1 ? 'on' : 'off']
  })
}

/** The text of SET's arguments, as the setting's definition takes it. */
export function settingArguments(
  session: SessionContext,
  name: string,
  args: readonly Node[],
): string {
  const list = session.settings.listOf(name)
  if (list === null && args.length > 1) {
    throw new SqlError(SqlState.invalidParameterValue, `SET ${name} takes only one argument`)
  }
  return args.map((arg) => argumentText(arg, list === 'names')).join(', ')
}

function argumentText(arg: Node, isName: boolean): string {
  const cast = nodeOf(arg, 'TypeCast')
  const raw = nodeOf(arg, 'A_Const')?.fval as { readonly fval?: string } | undefined
  const text = raw?.fval ?? String(constantOf(cast?.arg ?? arg) ?? '')
  if (cast !== undefined && namesOf((cast.typeName as Node).names).at(-1) === 'interval') {
    return intervalZone(text)
  }
  return isName && !/^[a-z_][a-z0-9_$]*$/.test(text) ? quoteIdentifier(text) : text
}

/** The hours of SET TIME ZONE INTERVAL '…' HOUR TO MINUTE. */
function intervalZone(text: string): string {
  if (/^[+-]?\d{1,2}(:\d\d){0,2}$/.test(text)) return text
  const hours = /^([+-]?\d+)\s*(?:hours?|h)$/i.exec(text)?.[1]
  if (hours !== undefined) return hours
  throw new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "TimeZone": "${text}"`,
  )
}

function showColumns(session: SessionContext, name: string): readonly ResultColumn[] {
  if (name === 'all') return ['name', 'setting', 'description'].map(textColumn)
  return [textColumn(session.settings.nameOf(name))]
}

async function showAll(session: SessionContext): Promise<string[][]> {
  const descriptions = await session.settingDescriptions()
  return session.settings
    .rows()
    .filter(({ hidden }) => !hidden)
    .map(({ name, shown }) => [name, shown, descriptions.get(name) ?? ''])
}
