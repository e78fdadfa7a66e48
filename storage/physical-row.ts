/** Physical rows: a query's columns as they stand in data files, names, types and field ids. */

import { fieldIdOf, physicalNameOf } from './column-mapping.js'
import { quoteIdentifier, quoteLiteral } from './engine.js'
import { printEngineType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import { type DataType, engineTypeOf, type StructField } from './schema.js'

type Mapping = 'none' | 'name' | 'id'

/**
 * The select item that makes the stored column of `field` out of the query's column of its name.
 *
 * A cast to the column's exact type, so that every engine finds the Parquet type it expects, and
 * physical names inside structs. 0A000 for a type that is not written.
 */
export function physicalItem(field: StructField, source: string, mapping: Mapping): string {
  const typed = typedValue(field, source)
  const value = mapping === 'none' ? typed : renamed(typed, field.type, mapping, 0)
  return `${value} AS ${quoteIdentifier(physicalNameOf(field, mapping))}`
}

/** `source` cast to the type of `field`; 0A000 for a type that is not written. */
export function typedValue(field: StructField, source: string): string {
  refuseUnwritable(field.type, field.name)
  return `CAST(${source} AS ${printEngineType(engineTypeOf(field.type))})`
}

function refuseUnwritable(type: DataType, column: string): void {
  const refused = (what: string): SqlError =>
    new SqlError(
      SqlState.featureNotSupported,
      `column "${column}" cannot be written: its type ${what} is not supported`,
    )
  switch (type.kind) {
    case 'interval':
      throw refused(type.spelling)
    case 'primitive':
      if (type.name === 'variant') throw refused('variant')
      if (type.name === 'void') throw refused('void, inside of another,')
      return
    case 'decimal':
      if (type.precision < 1 || type.precision > 38 || type.scale > type.precision) {
        throw refused(`decimal(${type.precision},${type.scale})`)
      }
      return
    case 'struct':
      if (type.fields.length === 0) throw refused('struct without fields')
      for (const field of type.fields) refuseUnwritable(field.type, `${column}.${field.name}`)
      return
    case 'array':
      refuseUnwritable(type.element, column)
      return
    case 'map':
      refuseUnwritable(type.key, column)
      refuseUnwritable(type.value, column)
      return
  }
}

/** `value` with the fields of its structs under their physical names. */
function renamed(value: string, type: DataType, mapping: Mapping, depth: number): string {
  switch (type.kind) {
    case 'struct': {
      const parts = type.fields.map((field) => {
        const part = `struct_extract(${value}, ${quoteLiteral(field.name)})`
        const name = quoteIdentifier(physicalNameOf(field, mapping))
        return `${name} := ${renamed(part, field.type, mapping, depth)}`
      })
      return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${parts.join(', ')}) END`
    }
    case 'array': {
      if (!holdsStruct(type.element)) return value
      const element = `e${depth}`
      return `list_transform(${value}, lambda ${element}: ${renamed(element, type.element, mapping, depth + 1)})`
    }
    case 'map': {
      if (!holdsStruct(type.key) && !holdsStruct(type.value)) return value
      const entry = `e${depth}`
      const key = renamed(`${entry}.key`, type.key, mapping, depth + 1)
      const mapped = renamed(`${entry}.value`, type.value, mapping, depth + 1)
      return `CASE WHEN ${value} IS NOT NULL THEN map_from_entries(list_transform(map_entries(${value}), lambda ${entry}: struct_pack(key := ${key}, value := ${mapped}))) END`
    }
    default:
      return value
  }
}

function holdsStruct(type: DataType): boolean {
  switch (type.kind) {
    case 'struct':
      return true
    case 'array':
      return holdsStruct(type.element)
    case 'map':
      return holdsStruct(type.key) || holdsStruct(type.value)
    default:
      return false
  }
}

/** The FIELD_IDS option of COPY for these columns, or null where columns have no ids. */
export function fieldIdsOption(fields: readonly StructField[], mapping: Mapping): string | null {
  if (mapping === 'none') return null
  return fieldIds(fields, mapping)
}

function fieldIds(fields: readonly StructField[], mapping: Mapping): string {
  const items = fields.flatMap((field) => {
    const id = fieldIdOf(field, mapping)
    const name = quoteIdentifier(physicalNameOf(field, mapping))
    const below = nestedIds(field.type, mapping)
    if (below === null) return id === null ? [] : [`${name}: ${id}`]
    const own = id === null ? [] : [`__duckdb_field_id: ${id}`]
    return [`${name}: {${[...own, below].join(', ')}}`]
  })
  return `{${items.join(', ')}}`
}

/** The ids within a value of `type`, without the braces; null where there are none. */
function nestedIds(type: DataType, mapping: Mapping): string | null {
  const within = (name: string, part: DataType): string[] => {
    const ids = nestedIds(part, mapping)
    return ids === null ? [] : [`${name}: {${ids}}`]
  }
  let items: string[]
  switch (type.kind) {
    case 'struct':
      items = [fieldIds(type.fields, mapping).slice(1, -1)].filter((text) => text !== '')
      break
    case 'array':
      items = within('element', type.element)
      break
    case 'map':
      items = [...within('key', type.key), ...within('value', type.value)]
      break
    default:
      items = []
  }
  return items.length === 0 ? null : items.join(', ')
}
