/** DECLARE, FETCH, MOVE and CLOSE: cursors, which only go forward; portals of the protocol are cursors too. */

import type { Cancellation } from '../../storage/cancellation.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { type Execution, Portal } from '../portal.js'
import { command, taggedRows } from '../ready-rows.js'
import type { ResultColumn } from '../result.js'
import { needsTransactionBlock, notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import { declaredParameters, type StatementCall, type StatementKind } from '../statement-kind.js'
import { kindOf, type Node } from '../syntax-tree.js'
import { wrappedStatement } from '../wrapped-statement.js'
import { openSelect } from './select.js'

export const DECLARE: StatementKind = { open: declare }

export const FETCH: StatementKind = {
  describe: (shape) => ({
    parameterTypes: declaredParameters(shape),
    columns:
      shape.fields.ismove === true
        ? null
        : columnsOf(shape.session, String(shape.fields.portalname)),
  }),
  open: ({ session, fields, cancellation }) => fetch(session, fields, cancellation),
}

export const CLOSE: StatementKind = {
  open: async ({ session, fields }) => {
    if (fields.portalname === undefined) {
      await session.cursors.closeAll()
      return command('CLOSE CURSOR ALL')
    }
    const name = String(fields.portalname)
    if (session.cursors.has(name) || !session.portals.has(name)) await session.cursors.close(name)
    else await session.portals.delete(name)
    return command('CLOSE CURSOR')
  },
}

// Bits of DeclareCursorStmt.options, as PostgreSQL numbers them.
const SCROLL = 0x02
const HOLD = 0x20

/** What the parser gives for FETCH ALL. */
const ALL = 2_147_483_647

async function declare(call: StatementCall): Promise<Execution> {
  const { session, statement, fields, values, cancellation } = call
  const options = Number(fields.options ?? 0)
  const holdable = (options & HOLD) !== 0
  const name = String(fields.portalname)
  if ((options & SCROLL) !== 0) throw notSupported('SCROLL cursors')
  if (!holdable && !session.inExplicitBlock) throw needsTransactionBlock('DECLARE CURSOR')
  session.requireFreeCursor(name)
  const query = wrappedStatement(statement)
  if (kindOf(query.tree ?? {}) !== 'SelectStmt')
    throw notSupported('DECLARE CURSOR of this statement')
  const execution = await openSelect(session, query, values, cancellation)
  session.cursors.add(name, new Portal(execution), holdable)
  return command('DECLARE CURSOR')
}

/** How far FETCH and MOVE go: rows to pass over, then rows to hand out (0: none). */
interface Stride {
  readonly skip: number
  readonly count: number
}

/** 55000 where it would go back. */
function strideOf(fields: Node, cursor: Portal): Stride {
  const many = Number(fields.howMany ?? 0)
  switch (fields.direction) {
    case 'FETCH_FORWARD':
      if (many < 0) throw scansForward()
      return { skip: 0, count: many }
    case 'FETCH_BACKWARD':
      if (many > 0) throw scansForward()
      return { skip: 0, count: -many }
    case 'FETCH_RELATIVE':
      if (many < 0) throw scansForward()
      return many === 0 ? { skip: 0, count: 0 } : { skip: many - 1, count: 1 }
    default: {
      // ABSOLUTE, FIRST and LAST. Past the end is a place of its own, one row behind the last.
      const place = cursor.position + (cursor.ended ? 1 : 0)
      if (many < 0 || (cursor.hasBegun && many <= place)) throw scansForward()
      return many === 0 ? { skip: 0, count: 0 } : { skip: many - place - 1, count: 1 }
    }
  }
}

async function fetch(
  session: SessionContext,
  fields: Node,
  cancellation: Cancellation,
): Promise<Execution> {
  const cursor = await portalNamed(session, String(fields.portalname), cancellation)
  const isMove = fields.ismove === true
  const { skip, count } = strideOf(fields, cursor)
  if (skip > 0) await cursor.skip(skip, cancellation)
  if (count === 0) {
    // No rows means the current row once more, which is one step back.
    if (isMove) return command(`MOVE ${cursor.onRow ? 1 : 0}`)
    if (cursor.onRow && fields.direction !== 'FETCH_ABSOLUTE') throw scansForward()
    return taggedRows(cursor.columns, [], () => 'FETCH 0')
  }
  const limit = count === ALL ? 0 : count
  if (isMove) return command(`MOVE ${await cursor.skip(limit, cancellation)}`)
  const pulled = cursor.pull(limit, cancellation)
  return {
    kind: 'rows',
    columns: cursor.columns,
    source: {
      next: async () => (await pulled.next()).value ?? null,
      attach: () => {},
      close: () => Promise.resolve(),
    },
    tag: (rowCount) => `FETCH ${rowCount}`,
  }
}

function columnsOf(session: SessionContext, name: string): readonly ResultColumn[] | null {
  if (session.cursors.has(name) || !session.portals.has(name))
    return session.cursors.get(name).columns
  const { portal, prepared } = session.portals.get(name)
  return portal?.columns ?? prepared.description.columns
}

/** The cursor of that name, or the portal that Bind has made, begun if no Execute has; 34000 without one. */
async function portalNamed(
  session: SessionContext,
  name: string,
  cancellation: Cancellation,
): Promise<Portal> {
  if (session.cursors.has(name) || !session.portals.has(name)) return session.cursors.get(name)
  const bound = session.portals.get(name)
  if (bound.portal !== null) return bound.portal
  const { statement, description } = bound.prepared
  if (bound.finished || statement === null || kindOf(statement.tree ?? {}) !== 'SelectStmt')
    throw new SqlError(SqlState.objectNotInPrerequisiteState, `portal "${name}" cannot be run`)
  bound.finished = true
  const oids = description.parameterTypes.map((type) => type.oid)
  bound.portal = new Portal(await openSelect(session, statement, bound.values, cancellation, oids))
  return bound.portal
}

function scansForward(): SqlError {
  return new SqlError(SqlState.objectNotInPrerequisiteState, 'cursor can only scan forward', {
    hint: 'Declare it with SCROLL option to enable backward scan.',
  })
}
