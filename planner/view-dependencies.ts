/** ViewDependencies: which views read a table, and what they give. */

import type { View } from '../catalog/catalog.js'
import type { EngineConnection } from '../storage/engine.js'
import { SqlError } from '../storage/errors.js'
import { UNRESTRICTED } from './access-control.js'
import { parseStatements } from './parse.js'
import { analyze, type QueryContext } from './query.js'
import { typeName } from './sql-type.js'

/** A view that reads the table, straight or through others. */
export interface DependentView {
  readonly view: View
  /** Names and types of its columns, in one text. */
  readonly shape: string
}

/** The views that read the table in `path`; those that cannot be read are left out. */
export async function viewsOver(
  path: string,
  context: QueryContext,
  connection: EngineConnection,
): Promise<readonly DependentView[]> {
  const found: DependentView[] = []
  for (const view of await context.catalog.views()) {
    try {
      const [statement] = parseStatements(view.definition)
      if (statement === undefined) continue
      // What a view gives does not depend on who asks.
      const searchPath = view.searchPath ?? context.searchPath
      const inside = { ...context, searchPath, access: UNRESTRICTED }
      const analyzed = await analyze(statement, [], [], inside, connection, false)
      if (!analyzed.tables.some(({ name }) => name.path === path)) continue
      const columns = analyzed.query.columns.map(({ name, type }) => `${name} ${typeName(type)}`)
      found.push({ view, shape: columns.join(', ') })
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown
    }
  }
  return found
}
