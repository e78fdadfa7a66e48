/** New table: the metadata and protocol of a table that is about to be made. */

import { randomUUID } from 'node:crypto'
import type { Metadata, Protocol } from './actions.js'
import { assignColumnMapping } from './column-mapping.js'
import type { WriteTarget } from './data-file.js'
import { SqlError, SqlState } from './errors.js'
import { isPartitionable } from './partition-value.js'
import { allFields, printSchemaString, type Schema, type StructField } from './schema.js'
import { columnMappingOf } from './snapshot.js'
import { chooseProtocol, storedConfiguration } from './table-protocol.js'

/** What a table is to be. */
export interface TableDefinition {
  readonly tablePath: string
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly schema: Schema
  /** Logical names, in order. */
  readonly partitionColumns?: readonly string[]
  /** Table properties, `delta.feature.*` too. */
  readonly configuration?: { readonly [key: string]: string }
  /** Configurations of metadata domains, such as `delta.clustering`. */
  readonly domains?: ReadonlyMap<string, string>
  readonly createdMs?: number
}

/** A table with all its first version says but its files; data files can be written for it. */
export interface NewTable extends WriteTarget {
  readonly protocol: Protocol
  readonly metadata: Metadata
}

/**
 * The new table of `definition`: lowest protocol that allows it, column mapping assigned.
 *
 * 42701 for two columns of one name, 42703 for a partition column that is none, 42P17 for a
 * partition column of a type that cannot be one or a table of partition columns alone, 42602 for
 * a name that needs column mapping, 0A000 for a feature that is not written.
 */
export function defineTable(definition: TableDefinition): NewTable {
  const configuration = definition.configuration ?? {}
  const mode = configuration['delta.columnMapping.mode'] ?? 'none'
  const partitionColumns = (definition.partitionColumns ?? []).map((name) =>
    partitionColumn(definition.schema, name),
  )
  requireNames(definition.schema, mode !== 'none')
  if (partitionColumns.length === definition.schema.fields.length) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      'a table needs a column beside those it is partitioned by',
    )
  }
  const domains = definition.domains ?? new Map<string, string>()
  const protocol = chooseProtocol({
    schema: definition.schema,
    configuration,
    domains: [...domains.keys()],
  })
  const stored = {
    ...storedConfiguration(configuration),
    ...rowTrackingColumns(configuration),
  }
  const mapped =
    mode === 'none'
      ? { schema: definition.schema, configuration: stored }
      : assignColumnMapping(definition.schema, stored, 'new')
  const metadata: Metadata = {
    id: randomUUID(),
    name: definition.name ?? null,
    description: definition.description ?? null,
    format: { provider: 'parquet', options: {} },
    schemaString: printSchemaString(mapped.schema),
    partitionColumns: partitionColumns.map((field) => field.name),
    configuration: mapped.configuration,
    createdTime: definition.createdMs ?? Date.now(),
  }
  return {
    tablePath: definition.tablePath,
    protocol,
    metadata,
    schema: mapped.schema,
    columnMapping: columnMappingOf(protocol, metadata),
    domains,
  }
}

/** Names of the hidden columns that keep row ids when rows are rewritten; Delta protocol, "Row Tracking". */
function rowTrackingColumns(configuration: { readonly [key: string]: string }): {
  readonly [key: string]: string
} {
  if (configuration['delta.enableRowTracking']?.toLowerCase() !== 'true') return {}
  const idKey = 'delta.rowTracking.materializedRowIdColumnName'
  const versionKey = 'delta.rowTracking.materializedRowCommitVersionColumnName'
  return {
    [idKey]: configuration[idKey] ?? `_row-id-col-${randomUUID()}`,
    [versionKey]: configuration[versionKey] ?? `_row-commit-version-col-${randomUUID()}`,
  }
}

function partitionColumn(schema: Schema, name: string): StructField {
  const found = schema.fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
  if (found === undefined) {
    throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
  }
  if (!isPartitionable(found.type)) {
    throw new SqlError(
      SqlState.invalidObjectDefinition,
      `a table cannot be partitioned by column "${name}" of this type`,
    )
  }
  return found
}

/** Names that the Parquet of other engines cannot hold; column mapping stores others instead. */
export const ODD_NAME: RegExp = /[ ,;{}()\n\t=]/

/** 42701 for two columns of one name, 42602 for a name that only column mapping can store. */
export function requireNames(schema: Schema, mapped: boolean): void {
  requireDistinctNames(schema)
  if (!mapped) requirePlainNames(schema)
}

/** 42701 for two columns, or two fields of one struct, of one name but for its case. */
export function requireDistinctNames(schema: Schema): void {
  const visit = (fields: readonly StructField[]): void => {
    const seen = new Set<string>()
    for (const field of fields) {
      const name = field.name.toLowerCase()
      if (seen.has(name)) {
        throw new SqlError(
          SqlState.duplicateColumn,
          `column "${field.name}" specified more than once`,
        )
      }
      seen.add(name)
      if (field.type.kind === 'struct') visit(field.type.fields)
    }
  }
  visit(schema.fields)
}

/** 42602 for a name that files can hold with column mapping only. */
export function requirePlainNames(schema: Schema): void {
  for (const field of allFields(schema.fields)) {
    if (!ODD_NAME.test(field.name)) continue
    throw new SqlError(
      SqlState.invalidName,
      `column name "${field.name}" holds a character that Delta allows with column mapping only`,
      { hint: "Set the table property 'delta.columnMapping.mode' to 'name'." },
    )
  }
}
