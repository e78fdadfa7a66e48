/** EngineType: the type of a column or parameter as DuckDB knows it, as plain data. */

/** DuckDB's types without parameters, by DuckDB's own names. */
export type ScalarTypeName =
  | 'BOOLEAN'
  | 'TINYINT'
  | 'SMALLINT'
  | 'INTEGER'
  | 'BIGINT'
  | 'HUGEINT'
  | 'UTINYINT'
  | 'USMALLINT'
  | 'UINTEGER'
  | 'UBIGINT'
  | 'UHUGEINT'
  | 'FLOAT'
  | 'DOUBLE'
  | 'VARCHAR'
  | 'BLOB'
  | 'BIT'
  | 'DATE'
  | 'TIME'
  | 'TIMETZ'
  | 'TIME_NS'
  | 'TIMESTAMP'
  | 'TIMESTAMP_S'
  | 'TIMESTAMP_MS'
  | 'TIMESTAMP_NS'
  | 'TIMESTAMPTZ'
  | 'INTERVAL'
  | 'UUID'
  | 'BIGNUM'
  | 'VARIANT'
  | 'SQLNULL'
  | 'UNKNOWN'

/**
 * A DuckDB type.
 *
 * `alias` is DuckDB's name for a user-visible alias of the same storage (`JSON` over VARCHAR, and
 * the types we create ourselves, such as `regclass`); undefined where there is none.
 */
export type EngineType =
  | { readonly kind: 'scalar'; readonly name: ScalarTypeName; readonly alias?: string | undefined }
  | { readonly kind: 'decimal'; readonly width: number; readonly scale: number }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'list'; readonly child: EngineType }
  | { readonly kind: 'array'; readonly child: EngineType; readonly length: number }
  | { readonly kind: 'struct'; readonly fields: readonly EngineField[] }
  | { readonly kind: 'map'; readonly key: EngineType; readonly value: EngineType }
  | { readonly kind: 'union'; readonly fields: readonly EngineField[] }

export interface EngineField {
  readonly name: string
  readonly type: EngineType
}

/** The scalar type of that name. */
export function scalarType(name: ScalarTypeName, alias?: string): EngineType {
  return alias === undefined ? { kind: 'scalar', name } : { kind: 'scalar', name, alias }
}

/**
 * The DuckDB spelling of `type`, as a cast accepts it.
 *
 * @example
 * printEngineType({ kind: 'list', child: { kind: 'decimal', width: 10, scale: 2 } })   // 'DECIMAL(10,2)[]'
 */
export function printEngineType(type: EngineType): string {
  switch (type.kind) {
    case 'scalar':
      return type.alias ?? SPELLINGS[type.name] ?? type.name
    case 'decimal':
      return `DECIMAL(${type.width},${type.scale})`
    case 'enum':
      return `ENUM(${type.values.map((v) => `'${v.replaceAll("'", "''")}'`).join(', ')})`
    case 'list':
      return `${printEngineType(type.child)}[]`
    case 'array':
      return `${printEngineType(type.child)}[${type.length}]`
    case 'struct':
      return `STRUCT(${type.fields.map(printField).join(', ')})`
    case 'map':
      return `MAP(${printEngineType(type.key)}, ${printEngineType(type.value)})`
    case 'union':
      return `UNION(${type.fields.map(printField).join(', ')})`
  }
}

const SPELLINGS: Partial<Record<ScalarTypeName, string>> = {
  TIMETZ: 'TIME WITH TIME ZONE',
  TIMESTAMPTZ: 'TIMESTAMP WITH TIME ZONE',
  SQLNULL: '"NULL"',
}

function printField(field: EngineField): string {
  return `"${field.name.replaceAll('"', '""')}" ${printEngineType(field.type)}`
}
