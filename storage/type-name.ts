/** Type name: a Delta type as Spark SQL writes it. */

import type { DataType, StructField } from './schema.js'

const NAMES: Readonly<Record<string, string>> = {
  long: 'bigint',
  integer: 'int',
  short: 'smallint',
  byte: 'tinyint',
}

/**
 * The type in Spark SQL's words.
 *
 * @example
 * sparkTypeName({ kind: 'primitive', name: 'long' })   // 'bigint'
 */
export function sparkTypeName(type: DataType): string {
  switch (type.kind) {
    case 'primitive':
      return NAMES[type.name] ?? type.name
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'interval':
      return type.spelling
    case 'array':
      return `array<${sparkTypeName(type.element)}>`
    case 'map':
      return `map<${sparkTypeName(type.key)},${sparkTypeName(type.value)}>`
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}:${sparkTypeName(field.type)}`).join(',')}>`
  }
}

/** The type of a column, with the length of varchar(n) and char(n). */
export function sparkColumnType(field: StructField): string {
  const length = field.metadata.__CHAR_VARCHAR_TYPE_STRING
  return typeof length === 'string' ? length : sparkTypeName(field.type)
}
