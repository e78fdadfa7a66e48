/** RenameRelation: tables and views that get another name or layer, and the views that name them. */

import type { Relation, View } from '../catalog/catalog.js'
import { quoteIdentifier } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { parseStatements } from './parse.js'
import type { QueryContext } from './query.js'
import { type Edit, SourceText } from './source-text.js'
import { listOf, nodeOf, walk } from './syntax-tree.js'
import { collectTableReferences, type TableReference } from './table-references.js'

/** A view that names a relation, and where. */
export interface NamingView {
  readonly view: View
  readonly references: readonly TableReference[]
}

/** The views that name `relation` themselves, by whichever of its names. */
export async function viewsNaming(
  relation: Relation,
  context: QueryContext,
): Promise<readonly NamingView[]> {
  const { catalog } = context
  const found: NamingView[] = []
  for (const view of await catalog.views()) {
    const [statement] = parseStatements(view.definition)
    if (statement === undefined || statement.tree === null) continue
    const { tree, text, travels } = statement
    const references: TableReference[] = []
    for (const reference of collectTableReferences(tree, new SourceText(text), travels)) {
      const { schema, name } = reference
      const named = await catalog.resolve(
        schema === undefined ? [name] : [schema, name],
        view.searchPath ?? context.searchPath,
      )
      if (named !== null && identityOf(named) === identityOf(relation)) references.push(reference)
    }
    if (references.length > 0) found.push({ view, references })
  }
  return found
}

function identityOf(relation: Relation): string {
  return relation.kind === 'table'
    ? `table ${relation.table.path}`
    : `view ${relation.view.layer}.${relation.view.name}`
}

/**
 * Gives a table or view another name or layer, in one entry of the catalog.
 *
 * Views that name it follow, as PostgreSQL's do: their texts are edited where they name it. A
 * table's folder stays where it is.
 *
 * 3F000 when there is no such layer, 42602 for a name that cannot be one, 42P07 when it is taken,
 * 0A000 when a view cannot follow.
 */
export async function renameRelation(
  relation: Relation,
  layer: string,
  name: string,
  context: QueryContext,
): Promise<void> {
  const { catalog } = context
  if (!(await catalog.layers()).includes(layer)) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
  }
  if (/[/\\]|^[._]/.test(name) || name === '') {
    throw new SqlError(SqlState.invalidName, `"${name}" cannot be the name of a table`)
  }
  const followers = (await viewsNaming(relation, context)).map((one) => renamed(one, layer, name))
  if (relation.kind === 'table') {
    await catalog.renameTable(relation.table, layer, name, followers)
  } else await catalog.renameView(relation.view, layer, name, followers)
}

function renamed({ view, references }: NamingView, layer: string, name: string): View {
  const [statement] = parseStatements(view.definition)
  const cannot = new SqlError(
    SqlState.featureNotSupported,
    `view "${view.layer}.${view.name}" names the relation in a way that cannot follow its new name`,
    { hint: 'Drop the view first, and create it again afterwards.' },
  )
  if (statement === undefined || statement.tree === null) throw cannot
  if (references.some(({ changes }) => changes !== undefined)) throw cannot
  walk(statement.tree, (node) => {
    // schema.table.column: no alias stands for the schema.
    if (listOf(nodeOf(node, 'ColumnRef')?.fields).length > 2) throw cannot
    return true
  })
  const source = new SourceText(statement.text)
  const edits = references.flatMap((reference): Edit[] => {
    const end = source.endOfName(reference.start)
    const named = {
      start: reference.start,
      end,
      text: `${quoteIdentifier(layer)}.${quoteIdentifier(name)}`,
    }
    if (reference.alias !== undefined) return [named]
    // Behind a time travel clause, which is blank in this text.
    const next = source.tokens[source.tokenAt(end)]?.start ?? statement.text.length
    const text = ` AS ${quoteIdentifier(reference.name)} `
    return [named, { start: next, end: next, text }]
  })
  let definition = view.definition
  for (const { start, end, text } of edits.sort((a, b) => b.start - a.start)) {
    const at = statement.start
    definition = definition.slice(0, at + start) + text + definition.slice(at + end)
  }
  try {
    if (parseStatements(definition).length !== 1) throw cannot
  } catch {
    throw cannot
  }
  return { ...view, definition: definition.trim() }
}
