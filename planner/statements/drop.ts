/** DROP: which kind of object is to go. */

import type { Execution } from '../portal.js'
import { notSupported } from '../refusal.js'
import type { SessionContext } from '../session-context.js'
import type { StatementKind } from '../statement-kind.js'
import { listOf, namesOf, nodeOf } from '../syntax-tree.js'
import { dropTables } from './temporary-table.js'
import { dropViews } from './view.js'

type Drop = (
  session: SessionContext,
  names: readonly (readonly string[])[],
  missingOk: boolean,
) => Promise<Execution>

const DROPS: ReadonlyMap<string, Drop> = new Map([
  ['OBJECT_TABLE', dropTables],
  ['OBJECT_VIEW', dropViews],
])

export const DROP: StatementKind = {
  open: ({ session, fields }) => {
    const drop = DROPS.get(String(fields.removeType))
    if (drop === undefined) throw notSupported('DROP of this kind of object')
    const names = listOf(fields.objects).map((object) => namesOf(nodeOf(object, 'List')?.items))
    return drop(session, names, fields.missing_ok === true)
  },
}
