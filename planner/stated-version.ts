/** StatedVersion: the version of a table that a command's VERSION or TIMESTAMP AS OF means. */

import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { versionAt } from '../storage/snapshot.js'
import type { StatedVersion } from './clone-syntax.js'
import type { SessionContext } from './session-context.js'
import { requirePlainTravel } from './travel-expression.js'

/** 22023 for null, and for a time outside of those that the table's log knows. */
export async function versionOf(
  session: SessionContext,
  tablePath: string,
  { kind, expression }: StatedVersion,
  cancellation: Cancellation,
): Promise<number> {
  const asked = await session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const type = kind === 'version' ? 'BIGINT' : 'TIMESTAMPTZ'
      await requirePlainTravel(expression, connection)
      const rows = await connection.query(`SELECT CAST((${expression}) AS ${type})`)
      return rows[0]?.[0] ?? null
    } finally {
      connection.attach(undefined)
    }
  })
  if (asked === null) {
    throw new SqlError(SqlState.invalidParameterValue, 'the version of a table must not be null')
  }
  return kind === 'version'
    ? Number(asked)
    : versionAt(session.gateway.store, tablePath, Number((asked as bigint) / 1000n))
}
