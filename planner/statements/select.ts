/** SELECT, over the lake or over the system catalogs. */

import type { Cancellation } from '../../storage/cancellation.js'
import type { EngineValue } from '../../storage/engine-value.js'
import { SqlError } from '../../storage/errors.js'
import { describeCatalogQuery, openCatalogQuery, routeOf } from '../catalog-query.js'
import { copyCatalogs, droppingCopies } from '../mixed-query.js'
import { gatewayCalls } from '../gateway-function.js'
import type { ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { changesData, describeQuery, openQuery } from '../query.js'
import { notSupported } from '../refusal.js'
import type { StatementDescription } from '../session.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { withoutInto } from '../wrapped-statement.js'
import { describeSelectInto, openSelectInto } from './create-table-as.js'
import { describeGatewayCalls, openGatewayCalls } from './gateway-call.js'

export const SELECT: StatementKind = {
  describe: (shape) => {
    const { session, statement, oids } = shape
    if (withoutInto(statement) !== null) return describeSelectInto(shape)
    return describeSelect(session, statement, oids)
  },
  open: (call) => {
    if (withoutInto(call.statement) !== null) return openSelectInto(call)
    return openSelect(
      call.session,
      call.statement,
      call.values,
      call.cancellation,
      call.oids,
      call.formats,
    )
  },
}

/** Types of the parameters and columns of a SELECT, wherever it belongs. */
export async function describeSelect(
  session: SessionContext,
  statement: ParsedStatement,
  oids: readonly number[],
): Promise<StatementDescription> {
  const calls = gatewayCalls(statement)
  if (calls !== null) return describeGatewayCalls(session, statement, calls, oids)
  return routed(
    session,
    statement,
    () => describeQuery(statement, oids, session.queryContext()),
    async () => {
      const copies = await copyCatalogs(session, statement)
      try {
        return await describeQuery(statement, oids, copies.context)
      } finally {
        await copies.drop()
      }
    },
    () => describeCatalogQuery(statement, session.catalogSession(), oids),
  )
}

/** Begins to execute a SELECT, wherever it belongs. */
export async function openSelect(
  session: SessionContext,
  statement: ParsedStatement,
  values: readonly EngineValue[],
  cancellation: Cancellation,
  oids: readonly number[] = [],
  formats?: readonly (0 | 1)[],
): Promise<Extract<Execution, { kind: 'rows' }>> {
  if (statement.tree !== null && changesData(statement.tree)) {
    throw notSupported('a WITH clause that changes data')
  }
  const calls = gatewayCalls(statement)
  if (calls !== null) return openGatewayCalls(session, statement, calls, values, cancellation)
  return routed(
    session,
    statement,
    () => openQuery(statement, values, session.queryContext(), cancellation, oids),
    async () => {
      const copies = await copyCatalogs(session, statement, cancellation)
      try {
        const opened = await openQuery(statement, values, copies.context, cancellation, oids)
        return droppingCopies(opened, copies)
      } catch (thrown) {
        await copies.drop()
        throw thrown
      }
    },
    () =>
      openCatalogQuery(statement, values, session.catalogSession(), {
        cancellation,
        oids,
        formats,
      }),
  )
}

/**
 * System catalogs are PostgreSQL's; so is a statement without tables whose functions or types
 * DuckDB does not know.
 */
async function routed<T>(
  session: SessionContext,
  statement: ParsedStatement,
  lake: () => Promise<T>,
  mixed: () => Promise<T>,
  catalog: () => Promise<T>,
): Promise<T> {
  if (statement.engineQuery !== undefined) return lake()
  const route = routeOf(statement, session.catalogSession())
  if (route === 'catalog') return catalog()
  if (route === 'mixed') return mixed()
  try {
    return await lake()
  } catch (thrown) {
    if (route !== 'none' || !(thrown instanceof SqlError)) throw thrown
    if (!/^(42883|42704|42846|0A000)$/.test(thrown.sqlState)) throw thrown
    try {
      return await catalog()
    } catch {
      throw thrown
    }
  }
}
