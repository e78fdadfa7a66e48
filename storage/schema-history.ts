/** Schema history: whether rows of an older version of a table can be shown as a newer one has them. */

import type { Metadata, Protocol } from './actions.js'
import { physicalNameOf } from './column-mapping.js'
import { SqlError, SqlState } from './errors.js'
import { type DataType, parseSchemaString, type StructField } from './schema.js'
import { columnMappingOf, type Snapshot } from './snapshot.js'
import { isWidening } from './type-widening.js'

type Mapping = Snapshot['columnMapping']

/**
 * Refuses (0A000, naming `version`) a version of a table whose rows have columns, or partitions, that
 * `end` cannot hold.
 *
 * Columns may have been added and their types widened; with column mapping, which tells columns apart
 * whatever they are called, they may have been renamed and dropped too.
 */
export function requireComparable(
  end: Snapshot,
  old: { readonly metadata: Metadata; readonly protocol: Protocol },
  version: number,
): void {
  const { metadata, protocol } = old
  if (metadata.schemaString !== end.metadata.schemaString) {
    const fields = parseSchemaString(metadata.schemaString).fields
    const mapping = columnMappingOf(protocol, metadata)
    const reason = difference(end.schema.fields, end.columnMapping, fields, mapping)
    if (reason !== null) throw refused(end, version, reason)
  }
  const partitions = (
    columns: readonly string[],
    fields: readonly StructField[],
    mapping: Mapping,
  ): string =>
    columns
      .map((name) => {
        const field = fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
        return (field === undefined ? name : physicalNameOf(field, mapping)).toLowerCase()
      })
      .sort()
      .join('\n')
  const schema = parseSchemaString(metadata.schemaString)
  const mapping = columnMappingOf(protocol, metadata)
  const before = partitions(metadata.partitionColumns, schema.fields, mapping)
  const now = partitions(end.metadata.partitionColumns, end.schema.fields, end.columnMapping)
  if (before !== now) throw refused(end, version, 'it was partitioned by other columns')
}

/** What keeps rows of `old` from being rows of `end`; null when nothing does. */
function difference(
  end: readonly StructField[],
  endMapping: Mapping,
  old: readonly StructField[],
  oldMapping: Mapping,
): string | null {
  // Columns keep their names in files when column mapping is switched on.
  const isMapped = endMapping !== 'none'
  const keyOf = (field: StructField, mapping: Mapping): string =>
    isMapped ? physicalNameOf(field, mapping) : physicalNameOf(field, mapping).toLowerCase()
  const known = new Map(end.map((field) => [keyOf(field, endMapping), field]))
  let shared = 0
  for (const field of old) {
    const same = known.get(keyOf(field, oldMapping))
    if (same === undefined) {
      const isNamesake = end.some(({ name }) => name.toLowerCase() === field.name.toLowerCase())
      if (!isMapped || isNamesake) return `its column "${field.name}" was another one`
      continue
    }
    shared++
    const reason = typeDifference(same.type, endMapping, field.type, oldMapping, field.name)
    if (reason !== null) return reason
  }
  return shared === 0 ? 'it had no column of those it has now' : null
}

function typeDifference(
  end: DataType,
  endMapping: Mapping,
  old: DataType,
  oldMapping: Mapping,
  column: string,
): string | null {
  const within = (a: DataType, b: DataType): string | null =>
    typeDifference(a, endMapping, b, oldMapping, column)
  if (end.kind === 'struct' && old.kind === 'struct') {
    return difference(end.fields, endMapping, old.fields, oldMapping)
  }
  if (end.kind === 'array' && old.kind === 'array') return within(end.element, old.element)
  if (end.kind === 'map' && old.kind === 'map') {
    return within(end.key, old.key) ?? within(end.value, old.value)
  }
  const isSame = JSON.stringify(end) === JSON.stringify(old)
  return isSame || isWidening(old, end) ? null : `its column "${column}" had another type`
}

function refused({ tablePath, version: end }: Snapshot, version: number, reason: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `the changes of table "${tablePath}" cannot be read over versions ${version} and ${end} at once`,
    {
      detail: `At version ${version} ${reason}.`,
      hint: 'Read the changes before and after its columns were changed apart.',
    },
  )
}
