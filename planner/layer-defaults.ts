/** LayerDefaults: what a layer gives the tables that are made in it. */

import type { Layer } from '../catalog/layer.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { StructField } from '../storage/schema.js'
import type { TableOptions } from './table-clauses.js'

/**
 * `options` with the defaults of `layer` where they say nothing of their own.
 *
 * 42P17 when the table lacks a column that the layer requires.
 */
export function withLayerDefaults(
  options: TableOptions,
  layer: Layer,
  fields: readonly StructField[],
  table: string,
): TableOptions {
  const has = (name: string): boolean =>
    fields.some((field) => field.name.toLowerCase() === name.toLowerCase())
  const missing = layer.requiredColumns.find((name) => !has(name))
  if (missing !== undefined) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      `table "${table}" lacks the column "${missing}"`,
      { detail: `Layer "${layer.name}" requires it of every table.` },
    )
  }
  const isPlain = options.partitionColumns.length === 0 && options.clusterColumns.length === 0
  const partitions = layer.partitionColumns
  const applies = isPlain && partitions.every(has) && fields.length > partitions.length
  return {
    ...options,
    partitionColumns: applies ? partitions : options.partitionColumns,
    properties: { ...layer.properties, ...options.properties },
  }
}
