/** Schema evolution: a table that gets columns because rows have them. */

import { assignColumnMapping } from './column-mapping.js'
import type { WriteTarget } from './data-file.js'
import type { NewTable } from './new-table.js'
import { requireNames } from './new-table.js'
import { printSchemaString, type StructField } from './schema.js'
import { raiseProtocol } from './table-protocol.js'

/**
 * `table` with `fields` behind its columns; `table` itself when there are none.
 *
 * The protocol is raised where their types need it. 42701 and 42602 for names it cannot take.
 */
export function withNewColumns(table: WriteTarget, fields: readonly StructField[]): NewTable {
  const { metadata, protocol, columnMapping, domains, tablePath } = table
  if (fields.length === 0) return table
  const grown = { fields: [...table.schema.fields, ...fields] }
  requireNames(grown, columnMapping !== 'none')
  const { configuration } = metadata
  const { schema, configuration: kept } =
    columnMapping === 'none'
      ? { schema: grown, configuration }
      : assignColumnMapping(grown, configuration, 'new')
  return {
    tablePath,
    columnMapping,
    domains,
    schema,
    protocol: raiseProtocol(protocol, { schema, configuration: kept }),
    metadata: { ...metadata, configuration: kept, schemaString: printSchemaString(schema) },
  }
}
