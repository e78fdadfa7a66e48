/** Delta schema: data types, fields, and the schemaString they are written as. */

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
