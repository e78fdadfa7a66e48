/** Delta schema: data types, fields, and the schemaString they are written as. */

import { type EngineType, scalarType, type ScalarTypeName } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import { parseLossless, printLossless } from './lossless-json.js'

/** The primitive types of the Delta specification, by its names. */
export type PrimitiveName =
  | 'string'
  | 'long'
  | 'integer'
  | 'short'
  | 'byte'
  | 'float'
  | 'double'
  | 'boolean'
  | 'binary'
  | 'date'
  | 'timestamp'
  | 'timestamp_ntz'
  | 'variant'
  | 'void'

/** A Delta data type. */
export type DataType =
  | { readonly kind: 'primitive'; readonly name: PrimitiveName }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'interval'; readonly spelling: string; readonly yearMonth: boolean }
  | { readonly kind: 'struct'; readonly fields: readonly StructField[] }
  | { readonly kind: 'array'; readonly element: DataType; readonly containsNull: boolean }
  | {
      readonly kind: 'map'
      readonly key: DataType
      readonly value: DataType
      readonly valueContainsNull: boolean
    }

/**
 * A column, or a field of a struct.
 *
 * `metadata` is kept as parsed, unknown keys too, so that printing loses nothing.
 */
export interface StructField {
  readonly name: string
  readonly type: DataType
  readonly nullable: boolean
  readonly metadata: { readonly [key: string]: unknown }
}

/** The columns of a table. */
export interface Schema {
  readonly fields: readonly StructField[]
}

/**
 * The schema a `schemaString` describes.
 *
 * XX001 when it is no JSON schema, 0A000 when it names a type that is not known.
 */
export function parseSchemaString(text: string): Schema {
  let json: unknown
  try {
    json = parseLossless(text)
  } catch (thrown) {
    throw new SqlError(SqlState.dataCorrupted, 'the table schema is not JSON', { cause: thrown })
  }
  const type = parseDataType(json)
  if (type.kind !== 'struct') {
    throw new SqlError(SqlState.dataCorrupted, 'the table schema is not a struct')
  }
  return { fields: type.fields }
}

const PRIMITIVES: ReadonlySet<string> = new Set([
  'string',
  'long',
  'integer',
  'short',
  'byte',
  'float',
  'double',
  'boolean',
  'binary',
  'date',
  'timestamp',
  'timestamp_ntz',
  'variant',
  'void',
])

function parseDataType(json: unknown): DataType {
  if (typeof json === 'string') {
    if (PRIMITIVES.has(json)) return { kind: 'primitive', name: json as PrimitiveName }
    if (json === 'null') return { kind: 'primitive', name: 'void' }
    const decimal = /^decimal(?:\(\s*(\d+)\s*,\s*(-?\d+)\s*\))?$/.exec(json)
    if (decimal !== null) {
      return {
        kind: 'decimal',
        precision: Number(decimal[1] ?? 10),
        scale: Number(decimal[2] ?? 0),
      }
    }
    if (/^(?:char|varchar)\(\d+\)$/.test(json)) return { kind: 'primitive', name: 'string' }
    if (json.startsWith('interval')) {
      return { kind: 'interval', spelling: json, yearMonth: /year|month/.test(json) }
    }
    throw new SqlError(SqlState.featureNotSupported, `the Delta type "${json}" is not supported`)
  }
  const object = json as { readonly [key: string]: unknown }
  switch (object?.type) {
    case 'struct':
      return {
        kind: 'struct',
        fields: (object.fields as readonly { readonly [key: string]: unknown }[]).map((field) => ({
          name: String(field.name),
          type: parseDataType(field.type),
          nullable: field.nullable !== false,
          metadata: (field.metadata ?? {}) as { readonly [key: string]: unknown },
        })),
      }
    case 'array':
      return {
        kind: 'array',
        element: parseDataType(object.elementType),
        containsNull: object.containsNull !== false,
      }
    case 'map':
      return {
        kind: 'map',
        key: parseDataType(object.keyType),
        value: parseDataType(object.valueType),
        valueContainsNull: object.valueContainsNull !== false,
      }
    default:
      throw new SqlError(
        SqlState.featureNotSupported,
        `the Delta type ${JSON.stringify(json)} is not supported`,
      )
  }
}

/**
 * The `schemaString` of `schema`; `parseSchemaString` of it is the same schema.
 *
 * Delta protocol, "Schema Serialization Format".
 */
export function printSchemaString(schema: Schema): string {
  return printLossless(printDataType({ kind: 'struct', fields: schema.fields }))
}

function printDataType(type: DataType): unknown {
  switch (type.kind) {
    case 'primitive':
      return type.name
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'interval':
      return type.spelling
    case 'struct':
      return {
        type: 'struct',
        fields: type.fields.map((field) => ({
          name: field.name,
          type: printDataType(field.type),
          nullable: field.nullable,
          metadata: field.metadata,
        })),
      }
    case 'array':
      return {
        type: 'array',
        elementType: printDataType(type.element),
        containsNull: type.containsNull,
      }
    case 'map':
      return {
        type: 'map',
        keyType: printDataType(type.key),
        valueType: printDataType(type.value),
        valueContainsNull: type.valueContainsNull,
      }
  }
}

/** Every field of `fields` and of the structs in them, at any depth, in order. */
export function* allFields(fields: readonly StructField[]): Generator<StructField> {
  for (const field of fields) {
    yield field
    yield* allFields(nestedFields(field.type))
  }
}

function nestedFields(type: DataType): readonly StructField[] {
  switch (type.kind) {
    case 'struct':
      return type.fields
    case 'array':
      return nestedFields(type.element)
    case 'map':
      return [...nestedFields(type.key), ...nestedFields(type.value)]
    default:
      return []
  }
}

/** Whether a value of `type` is, or holds at any depth, one for which `test` is true. */
export function typeSome(type: DataType, test: (type: DataType) => boolean): boolean {
  if (test(type)) return true
  switch (type.kind) {
    case 'struct':
      return type.fields.some((field) => typeSome(field.type, test))
    case 'array':
      return typeSome(type.element, test)
    case 'map':
      return typeSome(type.key, test) || typeSome(type.value, test)
    default:
      return false
  }
}

const ENGINE_NAMES: Readonly<Record<PrimitiveName, ScalarTypeName>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  short: 'SMALLINT',
  byte: 'TINYINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  binary: 'BLOB',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  timestamp_ntz: 'TIMESTAMP',
  variant: 'VARIANT',
  void: 'INTEGER',
}

/** The DuckDB type in which a Delta type's values are shown: void as null integers, variant as JSON. */
export function engineTypeOf(type: DataType): EngineType {
  switch (type.kind) {
    case 'primitive':
      return type.name === 'variant'
        ? scalarType('VARCHAR', 'JSON')
        : scalarType(ENGINE_NAMES[type.name])
    case 'decimal':
      return { kind: 'decimal', width: type.precision, scale: type.scale }
    case 'interval':
      return scalarType('INTERVAL')
    case 'struct':
      return {
        kind: 'struct',
        fields: type.fields.map((field) => ({ name: field.name, type: engineTypeOf(field.type) })),
      }
    case 'array':
      return { kind: 'list', child: engineTypeOf(type.element) }
    case 'map':
      return { kind: 'map', key: engineTypeOf(type.key), value: engineTypeOf(type.value) }
  }
}
