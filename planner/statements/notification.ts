/** LISTEN, UNLISTEN and NOTIFY. */

import { command } from '../ready-rows.js'
import type { StatementKind } from '../statement-kind.js'

export const LISTEN: StatementKind = {
  open: ({ session, fields }) => {
    session.openBlock()
    session.channels.listen(String(fields.conditionname))
    return command('LISTEN')
  },
}

export const UNLISTEN: StatementKind = {
  open: ({ session, fields }) => {
    session.openBlock()
    session.channels.unlisten(
      fields.conditionname === undefined ? null : String(fields.conditionname),
    )
    return command('UNLISTEN')
  },
}

export const NOTIFY: StatementKind = {
  open: ({ session, fields }) => {
    session.openBlock()
    session.channels.notify(String(fields.conditionname), String(fields.payload ?? ''))
    return command('NOTIFY')
  },
}
