/** SELECT of gateway functions: pg_sleep, pg_cancel_backend, pg_notify, set_config and their like. */

import { Oid, type PgType, pgType } from '../../catalog/pg-types.js'
import type { Cancellation } from '../../storage/cancellation.js'
import { scalarType } from '../../storage/engine-type.js'
import type { EngineValue, Scalar } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { catalogRows, describeCatalogQuery } from '../catalog-query.js'
import { lockKey } from '../advisory-locks.js'
import type { GatewayCall, GatewayCalls, LockFunctionName } from '../gateway-function.js'
import type { ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { parameterCount, withTranslation } from '../query.js'
import { computedColumn, readyRows } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import type { StatementDescription } from '../session.js'
import type { SessionContext } from '../session-context.js'
import { nodeOf } from '../syntax-tree.js'
import { isRoleSetting, requireSettable } from '../session-role.js'
import { assignSetting, roleAssigned } from './set.js'

export async function describeGatewayCalls(
  session: SessionContext,
  statement: ParsedStatement,
  { calls, perRow }: GatewayCalls,
  oids: readonly number[],
): Promise<StatementDescription> {
  const columns = calls.map(columnOf)
  const [first] = calls
  if (perRow && first !== undefined) {
    const { parameterTypes } = await describeCatalogQuery(
      first.argumentsInPlace,
      session.catalogSession(),
    )
    return { parameterTypes, columns }
  }
  const types: PgType[] = Array.from({ length: parameterCount(statement) }, (_, i) =>
    pgType((oids[i] ?? 0) || Oid.text),
  )
  for (const { args, parameterOids } of calls) {
    for (const [i, arg] of args.entries()) {
      const number = Number(nodeOf(arg, 'ParamRef')?.number ?? 0)
      const oid = parameterOids[i]
      if (number > 0 && oid !== undefined && (oids[number - 1] ?? 0) === 0) {
        types[number - 1] = pgType(oid)
      }
    }
  }
  return { parameterTypes: types, columns }
}

export async function openGatewayCalls(
  session: SessionContext,
  statement: ParsedStatement,
  { calls, perRow }: GatewayCalls,
  values: readonly EngineValue[],
  cancellation: Cancellation,
): Promise<Extract<Execution, { kind: 'rows' }>> {
  void statement
  const columns = calls.map(columnOf)
  const [first] = calls
  if (first?.name === 'pg_listening_channels') {
    if (calls.length > 1 || perRow) throw notSupported('pg_listening_channels beside other columns')
    return readyRows(
      columns,
      session.channels.listening.map((channel) => [channel]),
    )
  }
  if (perRow && first !== undefined) {
    const asked = await catalogRows(
      first.argumentsInPlace,
      values,
      session.catalogSession(),
      cancellation,
    )
    const rows: Scalar[][] = []
    for (const [json] of asked) {
      const args = (JSON.parse(json ?? '[]') as unknown[]).map((arg) =>
        arg === null ? null : String(arg),
      )
      rows.push([await carryOut(session, first, args, cancellation)])
    }
    return readyRows(columns, rows)
  }
  const row: Scalar[] = []
  for (const call of calls) {
    const args = await argumentsOf(session, call, values, cancellation)
    row.push(await carryOut(session, call, args, cancellation))
  }
  return readyRows(columns, [row])
}

function columnOf({ label, resultOid }: GatewayCall): ResultColumn {
  return computedColumn(
    label,
    resultOid,
    scalarType(resultOid === Oid.bool ? 'BOOLEAN' : 'VARCHAR'),
  )
}

/** The arguments as text. */
async function argumentsOf(
  session: SessionContext,
  { args, argumentQuery }: GatewayCall,
  values: readonly EngineValue[],
  cancellation: Cancellation,
): Promise<(string | null)[]> {
  if (argumentQuery === null) return []
  const names = args.map((_, i) => `a${i}`)
  return withTranslation(
    argumentQuery,
    values,
    session.queryContext(),
    cancellation,
    async (connection, sql, _scans, bound) => {
      const texts = names.map((name) => `CAST(${name} AS VARCHAR)`).join(', ')
      const rows = await connection.query(
        `SELECT ${texts} FROM (${sql}\n) AS q(${names.join(', ')})`,
        bound,
      )
      return (rows[0] ?? []).map((value) => (value === null ? null : String(value)))
    },
  )
}

async function carryOut(
  session: SessionContext,
  { name }: GatewayCall,
  args: readonly (string | null)[],
  cancellation: Cancellation,
): Promise<Scalar> {
  const [first = null, second = null, third = null] = args
  switch (name) {
    case 'pg_sleep':
      if (first === null) return null
      await sleep(finite(first) * 1000, cancellation)
      return ''
    case 'pg_cancel_backend':
    case 'pg_terminate_backend': {
      if (first === null) return null
      const processId = finite(first)
      await requireSignal(session, processId, name === 'pg_cancel_backend')
      const found =
        name === 'pg_cancel_backend'
          ? session.gateway.cancelSession(processId)
          : session.gateway.terminateSession(processId)
      if (!found) {
        session.warn(SqlState.warning, `PID ${processId} is not a PostgreSQL backend process`)
      }
      return found
    }
    case 'pg_notify':
      session.openBlock()
      session.channels.notify(first ?? '', second ?? '')
      return ''
    case 'set_config':
      if (first === null) {
        throw new SqlError(SqlState.nullValueNotAllowed, 'SET requires parameter name')
      }
      if (!isRoleSetting(first)) return assignSetting(session, first, second, third === 'true')
      await requireSettable(session, first, second)
      assignSetting(session, first, second, third === 'true')
      await roleAssigned(session, first, third === 'true')
      return session.settings.get(first)
    case 'pg_listening_channels':
      return null
    default:
      return lock(session, name, args, cancellation)
  }
}

/** Takes, tries to take or gives up an advisory lock; null when the key is. */
async function lock(
  session: SessionContext,
  name: LockFunctionName,
  args: readonly (string | null)[],
  cancellation: Cancellation,
): Promise<Scalar> {
  const { locks, settings } = session
  if (name === 'pg_advisory_unlock_all') {
    locks.releaseAll()
    return ''
  }
  const [first, second] = args
  if (first === null || first === undefined || second === null) return null
  const key = lockKey(whole(first), second === undefined ? undefined : whole(second))
  const mode = name.endsWith('_shared') ? 'shared' : 'exclusive'
  const ends = name.includes('_xact_') ? 'transaction' : 'session'
  if (name.startsWith('pg_advisory_unlock')) {
    const released = locks.release(key, mode)
    if (!released) {
      const what = mode === 'shared' ? 'ShareLock' : 'ExclusiveLock'
      session.warn(SqlState.warning, `you don't own a lock of type ${what}`)
    }
    return released
  }
  if (ends === 'transaction') session.openBlock()
  if (name.startsWith('pg_try_')) return locks.tryAcquire(key, mode, ends)
  await locks.acquire(key, mode, ends, cancellation, settings.durationMs('lock_timeout'))
  return ''
}

function whole(text: string): bigint {
  try {
    return BigInt(text)
  } catch {
    throw new SqlError(SqlState.invalidTextRepresentation, `invalid number: "${text}"`)
  }
}

/** 42501 unless the session may end what another one does. */
async function requireSignal(
  session: SessionContext,
  processId: number,
  cancels: boolean,
): Promise<void> {
  const { access, gateway } = session
  const other = gateway.sessions.get(processId)
  if (other === undefined || access.isUnlimited) return
  const actor = await access.actor()
  const { roles } = actor.access
  if (actor.isSuperuser) return
  const owner = roles.byId(other.login)
  const what = cancels ? 'cancel query' : 'terminate process'
  if (owner === undefined || owner.superuser) {
    const verb = cancels ? 'cancel queries of' : 'terminate processes of'
    throw new SqlError(SqlState.insufficientPrivilege, `permission denied to ${what}`, {
      detail: `Only roles with the SUPERUSER attribute may ${verb} roles with the SUPERUSER attribute.`,
    })
  }
  if (roles.hasPrivilegesOf(actor.id, owner.id) || (await access.hasRole('pg_signal_backend'))) {
    return
  }
  throw new SqlError(SqlState.insufficientPrivilege, `permission denied to ${what}`, {
    detail: `Only roles with privileges of the role whose ${cancels ? 'query is being canceled' : 'process is being terminated'} or with privileges of the "pg_signal_backend" role may ${cancels ? 'cancel this query' : 'terminate this process'}.`,
  })
}

function finite(text: string): number {
  const number = Number(text)
  if (Number.isFinite(number)) return number
  throw new SqlError(SqlState.invalidTextRepresentation, `invalid number: "${text}"`)
}

/** Longest time a timer of JavaScript takes. */
const SLEEP_MS_MAX = 2_147_483_647

function sleep(ms: number, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        unregister()
        resolve()
      },
      Math.min(Math.max(0, ms), SLEEP_MS_MAX),
    )
    const unregister = cancellation.onCancel((reason) => {
      clearTimeout(timer)
      reject(reason)
    })
  })
}
