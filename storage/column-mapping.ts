/** Column mapping: physical names and ids for the columns of a table that has it on. */

import { randomUUID } from 'node:crypto'
import { type DataType, allFields, type Schema, type StructField } from './schema.js'

const ID = 'delta.columnMapping.id'
const PHYSICAL_NAME = 'delta.columnMapping.physicalName'
const MAX_ID = 'delta.columnMapping.maxColumnId'

/** A schema and the table properties that belong to it. */
export interface MappedSchema {
  readonly schema: Schema
  readonly configuration: { readonly [key: string]: string }
}

/**
 * `schema` with an id and a physical name for every field that has none, and the highest id noted.
 *
 * - Ids go on from the highest that was ever used, so none is used twice.
 * - Fields of `existing` keep their names as physical ones: their files are there. Others get
 *   `col-<uuid>`, so that a column dropped and added anew never shows old values.
 *
 * Delta protocol, "Column Mapping".
 */
export function assignColumnMapping(
  schema: Schema,
  configuration: { readonly [key: string]: string },
  existing: 'kept' | 'new',
): MappedSchema {
  let maxId = Number(configuration[MAX_ID] ?? 0)
  for (const field of allFields(schema.fields)) {
    const id = field.metadata[ID]
    if (typeof id === 'number' && id > maxId) maxId = id
  }
  const assign = (field: StructField): StructField => {
    const id = typeof field.metadata[ID] === 'number' ? field.metadata[ID] : ++maxId
    const physical =
      typeof field.metadata[PHYSICAL_NAME] === 'string'
        ? field.metadata[PHYSICAL_NAME]
        : existing === 'kept'
          ? field.name
          : `col-${randomUUID()}`
    return {
      ...field,
      metadata: { ...field.metadata, [ID]: id, [PHYSICAL_NAME]: physical },
      type: within(field.type),
    }
  }
  const within = (type: DataType): DataType => {
    switch (type.kind) {
      case 'struct':
        return { ...type, fields: type.fields.map(assign) }
      case 'array':
        return { ...type, element: within(type.element) }
      case 'map':
        return { ...type, key: within(type.key), value: within(type.value) }
      default:
        return type
    }
  }
  const mapped = { fields: schema.fields.map(assign) }
  return { schema: mapped, configuration: { ...configuration, [MAX_ID]: String(maxId) } }
}

/** The name of `field` in files, statistics and partition values. */
export function physicalNameOf(field: StructField, mapping: 'none' | 'name' | 'id'): string {
  const physical = field.metadata[PHYSICAL_NAME]
  return mapping !== 'none' && typeof physical === 'string' ? physical : field.name
}

/** The id of `field` in files; null where there is none. */
export function fieldIdOf(field: StructField, mapping: 'none' | 'name' | 'id'): number | null {
  const id = field.metadata[ID]
  return mapping !== 'none' && typeof id === 'number' ? id : null
}
