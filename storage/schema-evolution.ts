/** Schema evolution: a table that gets columns because rows have them. */

import { alteredTable } from './altered-table.js'
import type { WriteTarget } from './data-file.js'
import type { NewTable } from './new-table.js'
import { requirePlainNames } from './new-table.js'
import type { StructField } from './schema.js'

/**
 * `table` with `fields` behind its columns; `table` itself when there are none.
 *
 * The protocol is raised where their types need it. 42701 and 42602 for names it cannot take.
 */
export function withNewColumns(table: WriteTarget, fields: readonly StructField[]): NewTable {
  if (fields.length === 0) return table
  const { partitionColumns, configuration, description = null } = table.metadata
  if (table.columnMapping === 'none') requirePlainNames({ fields })
  const schema = { fields: [...table.schema.fields, ...fields] }
  return alteredTable(table, { schema, partitionColumns, configuration, description })
}
