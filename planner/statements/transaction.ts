/** BEGIN, COMMIT, ROLLBACK and savepoints. */

import { SqlState } from '../../storage/errors.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import { needsTransactionBlock, notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { listOf, type Node } from '../syntax-tree.js'
import { setTransactionModes } from './set.js'

export const TRANSACTION: StatementKind = {
  open: ({ session, fields }) => transaction(session, fields),
}

async function transaction(session: SessionContext, fields: Node): Promise<Execution> {
  const savepoint = String(fields.savepoint_name)
  switch (fields.kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      begin(session, listOf(fields.options))
      return command(fields.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START TRANSACTION')
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_ROLLBACK':
      return end(session, fields.kind === 'TRANS_STMT_COMMIT', fields.chain === true)
    case 'TRANS_STMT_SAVEPOINT':
      session.explicitBlock('SAVEPOINT').savepoint(savepoint)
      return command('SAVEPOINT')
    case 'TRANS_STMT_RELEASE':
      session.explicitBlock('RELEASE SAVEPOINT').release(savepoint)
      return command('RELEASE')
    case 'TRANS_STMT_ROLLBACK_TO':
      await session.explicitBlock('ROLLBACK TO SAVEPOINT').rollbackTo(savepoint)
      return command('ROLLBACK')
    default:
      throw notSupported('two-phase commit')
  }
}

function begin(session: SessionContext, modes: readonly Node[]): void {
  if (session.inExplicitBlock) {
    session.warn(SqlState.activeSqlTransaction, 'there is already a transaction in progress')
  }
  session.openBlock().explicit = true
  setTransactionModes(session, modes)
}

async function end(session: SessionContext, commit: boolean, chain: boolean): Promise<Execution> {
  const word = commit ? 'COMMIT' : 'ROLLBACK'
  if (!session.inExplicitBlock) {
    if (chain) throw needsTransactionBlock(`${word} AND CHAIN`)
    session.warn(SqlState.noActiveSqlTransaction, 'there is no transaction in progress')
  }
  const modes = CHAINED.map((name) => [name, session.settings.get(name)] as const)
  const failed = session.block?.failed === true
  await session.endBlock(commit && !failed)
  await session.roleChanged()
  if (chain) {
    session.openBlock().explicit = true
    for (const [name, value] of modes) session.settings.assign(name, value, true)
  }
  return command(failed ? 'ROLLBACK' : word)
}

/** What the next transaction of AND CHAIN begins with. */
const CHAINED = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable']
