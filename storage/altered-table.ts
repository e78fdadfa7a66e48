/** Altered table: the metadata and protocol of a table whose definition changes. */

import type { Metadata } from './actions.js'
import { assignColumnMapping, type MappedSchema } from './column-mapping.js'
import type { WriteTarget } from './data-file.js'
import { SqlError, SqlState } from './errors.js'
import { ODD_NAME, requireDistinctNames, type NewTable } from './new-table.js'
import { printSchemaString, type Schema } from './schema.js'
import { columnMappingOf } from './snapshot.js'
import { raiseProtocol, storedConfiguration } from './table-protocol.js'

/** What a table is to be from now on; what is not named here stays. */
export interface TableAlteration {
  readonly schema: Schema
  /** Logical names, in order. */
  readonly partitionColumns: readonly string[]
  /** All table properties, with `delta.feature.*` of features that are to be switched on. */
  readonly configuration: { readonly [key: string]: string }
  readonly description: string | null
}

const MODE = 'delta.columnMapping.mode'

/**
 * `schema` with column mapping by name switched on: its columns keep their names in files.
 *
 * To be done before a column is renamed or dropped, and only on a table without column mapping.
 *
 * Delta protocol, "Column Mapping": the only mode that can be switched on for a table with files.
 */
export function mapColumns(
  schema: Schema,
  configuration: { readonly [key: string]: string },
): MappedSchema {
  return assignColumnMapping(schema, { ...configuration, [MODE]: 'name' }, 'kept')
}

/** Whether a column of that name can be held only with column mapping. */
export function needsColumnMapping(name: string): boolean {
  return ODD_NAME.test(name)
}

/**
 * `base` as `alteration` wants it, its protocol raised as far as that needs, never lowered.
 *
 * New columns of a table with column mapping get ids and physical names nobody used before.
 *
 * 42701 for two columns of one name, 42P17 when only partition columns would be left, 0A000 for a
 * feature that is not written, for a column mapping mode that cannot be switched to, and for row
 * tracking, which needs every file numbered.
 */
export function alteredTable(base: WriteTarget, alteration: TableAlteration): NewTable {
  const before = base.metadata.configuration
  const { schema, partitionColumns, configuration } = alteration
  requireDistinctNames(schema)
  requireMode(base.columnMapping, configuration[MODE] ?? 'none')
  const tracks = (one: { readonly [key: string]: string }): boolean =>
    one['delta.enableRowTracking']?.toLowerCase() === 'true'
  if (tracks(configuration) && !tracks(before)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'row tracking can be switched on when a table is made only',
    )
  }
  if (partitionColumns.length >= schema.fields.length) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      'a table needs a column beside those it is partitioned by',
    )
  }
  const protocol = raiseProtocol(base.protocol, { schema, configuration })
  const stored = storedConfiguration(configuration)
  const mapped =
    (stored[MODE] ?? 'none') === 'none'
      ? { schema, configuration: stored }
      : assignColumnMapping(schema, stored, 'new')
  const metadata: Metadata = {
    ...base.metadata,
    description: alteration.description,
    schemaString: printSchemaString(mapped.schema),
    partitionColumns,
    configuration: mapped.configuration,
  }
  return {
    tablePath: base.tablePath,
    protocol,
    metadata,
    schema: mapped.schema,
    columnMapping: columnMappingOf(protocol, metadata),
    domains: base.domains,
  }
}

function requireMode(before: 'none' | 'name' | 'id', after: string): void {
  if (before === after || (before === 'none' && after === 'name')) return
  throw new SqlError(
    SqlState.featureNotSupported,
    `column mapping cannot be changed from "${before}" to "${after}"`,
    { hint: 'Only switching it on by name is possible.' },
  )
}

/** Reader features that `after` needs and `before` did not: who lacks them can no longer read. */
export function addedReaderFeatures(before: WriteTarget, after: WriteTarget): readonly string[] {
  const old = before.protocol.readerFeatures ?? []
  const legacy = before.protocol.minReaderVersion === 2 ? ['columnMapping'] : []
  return (after.protocol.readerFeatures ?? []).filter(
    (feature) => !old.includes(feature) && !legacy.includes(feature),
  )
}
