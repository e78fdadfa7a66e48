/** Clustering: the columns by which rows of a table are to lie together. */

import { physicalNameOf } from './column-mapping.js'
import type { WriteTarget } from './data-file.js'
import { SqlError, SqlState } from './errors.js'
import type { DataType, StructField } from './schema.js'

export const CLUSTERING_DOMAIN = 'delta.clustering'

/** Columns a table may be clustered by, at most: Delta's own limit. */
const COLUMNS_MAX = 4

/**
 * The configuration of the clustering domain for `columns` of `table`, in order.
 *
 * 42703 for a column it does not have, 42701 for one named twice, 42P17 for more than four, for a
 * partitioned table, and for columns that have no bounds in statistics.
 */
export function clusteringConfiguration(
  table: Pick<WriteTarget, 'schema' | 'columnMapping' | 'metadata'>,
  columns: readonly string[],
): string {
  if (table.metadata.partitionColumns.length > 0) {
    throw invalid('a partitioned table cannot be clustered')
  }
  if (columns.length > COLUMNS_MAX) {
    throw invalid(`a table can be clustered by ${COLUMNS_MAX} columns at most`)
  }
  const fields = columns.map((name) => clusterField(table.schema.fields, name))
  const twice = fields.find((field, i) => fields.indexOf(field) !== i)
  if (twice !== undefined) {
    throw new SqlError(SqlState.duplicateColumn, `column "${twice.name}" specified more than once`)
  }
  const paths = fields.map((field) => [physicalNameOf(field, table.columnMapping)])
  return JSON.stringify({ clusteringColumns: paths, domainName: CLUSTERING_DOMAIN })
}

/** Logical names of the columns that `table` is clustered by; null for a table that is not clustered. */
export function clusteringColumns(
  table: Pick<WriteTarget, 'schema' | 'columnMapping'> & {
    readonly domains: ReadonlyMap<string, string>
  },
): readonly string[] | null {
  const text = table.domains.get(CLUSTERING_DOMAIN)
  if (text === undefined) return null
  const { clusteringColumns: paths } = JSON.parse(text) as {
    readonly clusteringColumns?: readonly (readonly string[])[]
  }
  return (paths ?? []).map((path) => {
    const field = table.schema.fields.find(
      (one) => physicalNameOf(one, table.columnMapping) === path[0],
    )
    return [field?.name ?? path[0], ...path.slice(1)].join('.')
  })
}

function clusterField(fields: readonly StructField[], name: string): StructField {
  const found = fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
  if (found === undefined) {
    throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
  }
  if (!hasBounds(found.type)) {
    throw invalid(`a table cannot be clustered by column "${name}" of this type`)
  }
  return found
}

/** The types of which other engines keep least and greatest values. */
function hasBounds(type: DataType): boolean {
  if (type.kind === 'decimal') return true
  return type.kind === 'primitive' && !/^(?:boolean|binary|variant|void)$/.test(type.name)
}

function invalid(message: string): SqlError {
  return new SqlError(SqlState.invalidObjectDefinition, message)
}
