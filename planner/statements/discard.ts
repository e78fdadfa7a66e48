/** DISCARD: a session made as new. */

import { SqlError, SqlState } from '../../storage/errors.js'
import { command } from '../ready-rows.js'
import type { StatementKind } from '../statement-kind.js'

export const DISCARD: StatementKind = {
  open: async ({ session, fields }) => {
    const target = String(fields.target)
    if (target === 'DISCARD_ALL') {
      if (session.inExplicitBlock) {
        throw new SqlError(
          SqlState.activeSqlTransaction,
          'DISCARD ALL cannot run inside a transaction block',
        )
      }
      session.openBlock()
      session.prepared.clear()
      await session.cursors.closeAll()
      session.channels.unlisten(null)
      session.locks.releaseAll()
      session.settings.resetAll()
    }
    if (target === 'DISCARD_ALL' || target === 'DISCARD_TEMP') {
      session.openBlock()
      session.temporary.dropAll()
    }
    return command(target.replace('_', ' '))
  },
}
