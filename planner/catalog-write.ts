/** Catalog writes: statements that would change a system catalog, which nobody may. */

import { isCatalogRelation } from '../catalog/pg-catalog.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { ParsedStatement } from './parse.js'
import { kindOf, listOf, type Node, nodeOf } from './syntax-tree.js'

/** Statements whose `relation` is changed. */
const CHANGES = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'AlterTableStmt',
  'IndexStmt',
  'RenameStmt',
  'AlterObjectSchemaStmt',
])

/** 42501 when the statement changes a system catalog or makes something in its schema. */
export function refuseCatalogWrite(
  { tree }: ParsedStatement,
  hasTemporaryTable: (name: string) => boolean,
): void {
  if (tree === null) return
  const kind = kindOf(tree)
  const fields = (tree[kind] ?? {}) as Node
  const refuse = (range: Node | undefined): void => {
    if (range?.relname === undefined) return
    const name = String(range.relname)
    const schema = range.schemaname as string | undefined
    if (schema === undefined && hasTemporaryTable(name)) return
    if (!isCatalogRelation(schema, name)) return
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `permission denied: "${name}" is a system catalog`,
    )
  }
  if (CHANGES.has(kind)) refuse(fields.relation as Node | undefined)
  else if (kind === 'CopyStmt' && fields.is_from === true)
    refuse(fields.relation as Node | undefined)
  else if (kind === 'TruncateStmt') {
    for (const item of listOf(fields.relations)) refuse(nodeOf(item, 'RangeVar'))
  } else if (kind === 'CreateStmt') refuseCreation(fields.relation as Node | undefined)
  else if (kind === 'ViewStmt') refuseCreation(fields.view as Node | undefined)
  else if (kind === 'CreateTableAsStmt') {
    refuseCreation((fields.into as Node | undefined)?.rel as Node | undefined)
  }
}

function refuseCreation(range: Node | undefined): void {
  const schema = range?.schemaname
  if (schema !== 'pg_catalog' && schema !== 'information_schema') return
  throw new SqlError(
    SqlState.insufficientPrivilege,
    `permission denied to create "${schema}.${String(range?.relname)}"`,
    { detail: 'System catalog modifications are currently disallowed.' },
  )
}
