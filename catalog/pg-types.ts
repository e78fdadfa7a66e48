/** PostgreSQL types: their OIDs, names and sizes, and the type each DuckDB type is shown as. */

import { type EngineType, scalarType } from '../storage/engine-type.js'

/** A PostgreSQL type as RowDescription and ParameterDescription name it. */
export interface PgType {
  readonly oid: number
  /** `atttypmod`: -1 where the type has no modifier. */
  readonly typmod: number
}

/** What pg_type says of a type. */
export interface PgTypeEntry {
  readonly oid: number
  /** `pg_type.typname`. */
  readonly name: string
  /** As `format_type` prints it. */
  readonly displayName: string
  /** `pg_type.typlen`: bytes, or -1 for variable length, or -2 for a C string. */
  readonly sizeBytes: number
  /** OID of the array type over this type; 0 where there is none. */
  readonly arrayOid: number
  /** OID of an array's element type; 0 for what is no array. */
  readonly elementOid: number
}

/** OIDs by `pg_type.typname`. */
export const Oid = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int2vector: 22,
  int4: 23,
  regproc: 24,
  text: 25,
  oid: 26,
  tid: 27,
  xid: 28,
  cid: 29,
  oidvector: 30,
  json: 114,
  xml: 142,
  float4: 700,
  float8: 701,
  unknown: 705,
  money: 790,
  macaddr: 829,
  inet: 869,
  cidr: 650,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  refcursor: 1790,
  regprocedure: 2202,
  regoper: 2203,
  regoperator: 2204,
  regclass: 2205,
  regtype: 2206,
  record: 2249,
  cstring: 2275,
  void: 2278,
  uuid: 2950,
  jsonb: 3802,
  regnamespace: 4089,
  regrole: 4096,
} as const

function entry(
  oid: number,
  name: string,
  displayName: string,
  sizeBytes: number,
  arrayOid: number,
): PgTypeEntry {
  return { oid, name, displayName, sizeBytes, arrayOid, elementOid: 0 }
}

const SCALARS: readonly PgTypeEntry[] = [
  entry(16, 'bool', 'boolean', 1, 1000),
  entry(17, 'bytea', 'bytea', -1, 1001),
  entry(18, 'char', '"char"', 1, 1002),
  entry(19, 'name', 'name', 64, 1003),
  entry(20, 'int8', 'bigint', 8, 1016),
  entry(21, 'int2', 'smallint', 2, 1005),
  entry(22, 'int2vector', 'int2vector', -1, 1006),
  entry(23, 'int4', 'integer', 4, 1007),
  entry(24, 'regproc', 'regproc', 4, 1008),
  entry(25, 'text', 'text', -1, 1009),
  entry(26, 'oid', 'oid', 4, 1028),
  entry(27, 'tid', 'tid', 6, 1010),
  entry(28, 'xid', 'xid', 4, 1011),
  entry(29, 'cid', 'cid', 4, 1012),
  entry(30, 'oidvector', 'oidvector', -1, 1013),
  entry(114, 'json', 'json', -1, 199),
  entry(142, 'xml', 'xml', -1, 143),
  entry(700, 'float4', 'real', 4, 1021),
  entry(701, 'float8', 'double precision', 8, 1022),
  entry(705, 'unknown', 'unknown', -2, 0),
  entry(790, 'money', 'money', 8, 791),
  entry(829, 'macaddr', 'macaddr', 6, 1040),
  entry(869, 'inet', 'inet', -1, 1041),
  entry(650, 'cidr', 'cidr', -1, 651),
  entry(1042, 'bpchar', 'character', -1, 1014),
  entry(1043, 'varchar', 'character varying', -1, 1015),
  entry(1082, 'date', 'date', 4, 1182),
  entry(1083, 'time', 'time without time zone', 8, 1183),
  entry(1114, 'timestamp', 'timestamp without time zone', 8, 1115),
  entry(1184, 'timestamptz', 'timestamp with time zone', 8, 1185),
  entry(1186, 'interval', 'interval', 16, 1187),
  entry(1266, 'timetz', 'time with time zone', 12, 1270),
  entry(1560, 'bit', 'bit', -1, 1561),
  entry(1562, 'varbit', 'bit varying', -1, 1563),
  entry(1700, 'numeric', 'numeric', -1, 1231),
  entry(1790, 'refcursor', 'refcursor', -1, 2201),
  entry(2202, 'regprocedure', 'regprocedure', 4, 2207),
  entry(2203, 'regoper', 'regoper', 4, 2208),
  entry(2204, 'regoperator', 'regoperator', 4, 2209),
  entry(2205, 'regclass', 'regclass', 4, 2210),
  entry(2206, 'regtype', 'regtype', 4, 2211),
  entry(2249, 'record', 'record', -1, 2287),
  entry(2275, 'cstring', 'cstring', -2, 1263),
  entry(2278, 'void', 'void', 4, 0),
  entry(2950, 'uuid', 'uuid', 16, 2951),
  entry(3802, 'jsonb', 'jsonb', -1, 3807),
  entry(4089, 'regnamespace', 'regnamespace', 4, 4090),
  entry(4096, 'regrole', 'regrole', 4, 4097),
]

const BY_OID: ReadonlyMap<number, PgTypeEntry> = new Map(
  SCALARS.flatMap((scalar) => {
    const pairs: [number, PgTypeEntry][] = [[scalar.oid, scalar]]
    if (scalar.arrayOid !== 0) {
      pairs.push([
        scalar.arrayOid,
        {
          oid: scalar.arrayOid,
          name: `_${scalar.name}`,
          displayName: `${scalar.displayName}[]`,
          sizeBytes: -1,
          arrayOid: 0,
          elementOid: scalar.oid,
        },
      ])
    }
    return pairs
  }),
)

const BY_NAME: ReadonlyMap<string, PgTypeEntry> = new Map(
  [...BY_OID.values()].map((type) => [type.name, type]),
)

/** Every type that is known. */
export function pgTypes(): readonly PgTypeEntry[] {
  return [...BY_OID.values()]
}

/** The type with that OID, or undefined. */
export function pgTypeByOid(oid: number): PgTypeEntry | undefined {
  return BY_OID.get(oid)
}

/** The type with that `pg_type.typname` (`int4`, `_text`), or undefined. */
export function pgTypeByName(name: string): PgTypeEntry | undefined {
  return BY_NAME.get(name)
}

/** A type without a modifier. */
export function pgType(oid: number): PgType {
  return { oid, typmod: -1 }
}

/** Modifier of `numeric(precision, scale)`, as `atttypmod` packs it. */
export function numericTypmod(precision: number, scale: number): number {
  return ((precision << 16) | (scale & 0x7ff)) + 4
}

/** The alias under which the gateway creates a DuckDB type that stands for a PostgreSQL one. */
const ALIAS_OIDS: Readonly<Record<string, number>> = {
  JSON: Oid.json,
  JSONB: Oid.jsonb,
  BPCHAR: Oid.bpchar,
  NAME: Oid.name,
  OID: Oid.oid,
  REGCLASS: Oid.regclass,
  REGTYPE: Oid.regtype,
  REGPROC: Oid.regproc,
  REGNAMESPACE: Oid.regnamespace,
  REGROLE: Oid.regrole,
  XID: Oid.xid,
}

const SCALAR_OIDS: Readonly<Record<string, number>> = {
  BOOLEAN: Oid.bool,
  TINYINT: Oid.int2,
  SMALLINT: Oid.int2,
  INTEGER: Oid.int4,
  BIGINT: Oid.int8,
  HUGEINT: Oid.numeric,
  UTINYINT: Oid.int2,
  USMALLINT: Oid.int4,
  UINTEGER: Oid.int8,
  UBIGINT: Oid.numeric,
  UHUGEINT: Oid.numeric,
  BIGNUM: Oid.numeric,
  FLOAT: Oid.float4,
  DOUBLE: Oid.float8,
  VARCHAR: Oid.text,
  BLOB: Oid.bytea,
  BIT: Oid.varbit,
  DATE: Oid.date,
  TIME: Oid.time,
  TIME_NS: Oid.time,
  TIMETZ: Oid.timetz,
  TIMESTAMP: Oid.timestamp,
  TIMESTAMP_S: Oid.timestamp,
  TIMESTAMP_MS: Oid.timestamp,
  TIMESTAMP_NS: Oid.timestamp,
  TIMESTAMPTZ: Oid.timestamptz,
  INTERVAL: Oid.interval,
  UUID: Oid.uuid,
  VARIANT: Oid.jsonb,
  SQLNULL: Oid.text,
  UNKNOWN: Oid.text,
}

/**
 * The PostgreSQL type as which clients see a DuckDB type.
 *
 * - Lists and arrays of a type that has a PostgreSQL array type become that array, nested lists
 *   an array of more dimensions.
 * - STRUCT, MAP, UNION, VARIANT, and lists of them, become jsonb.
 * - Unsigned integers become the next wider signed type; HUGEINT becomes numeric.
 */
export function pgTypeOf(type: EngineType): PgType {
  switch (type.kind) {
    case 'scalar': {
      const alias = type.alias === undefined ? undefined : ALIAS_OIDS[type.alias.toUpperCase()]
      return pgType(alias ?? SCALAR_OIDS[type.name] ?? Oid.text)
    }
    case 'decimal':
      return { oid: Oid.numeric, typmod: numericTypmod(type.width, type.scale) }
    case 'enum':
      return pgType(Oid.text)
    case 'list':
    case 'array': {
      let child = type.child
      while (child.kind === 'list' || child.kind === 'array') child = child.child
      const element = pgTypeOf(child)
      if (child.kind === 'struct' || child.kind === 'map' || child.kind === 'union') {
        return pgType(Oid.jsonb)
      }
      if (child.kind === 'scalar' && child.name === 'VARIANT') return pgType(Oid.jsonb)
      const arrayOid = pgTypeByOid(element.oid)?.arrayOid ?? 0
      return arrayOid === 0 ? pgType(Oid.jsonb) : { oid: arrayOid, typmod: element.typmod }
    }
    case 'struct':
    case 'map':
    case 'union':
      return pgType(Oid.jsonb)
  }
}

const ENGINE_TYPES: ReadonlyMap<number, EngineType> = new Map<number, EngineType>([
  [Oid.bool, scalarType('BOOLEAN')],
  [Oid.bytea, scalarType('BLOB')],
  [Oid.char, scalarType('VARCHAR')],
  [Oid.name, scalarType('VARCHAR')],
  [Oid.int8, scalarType('BIGINT')],
  [Oid.int2, scalarType('SMALLINT')],
  [Oid.int4, scalarType('INTEGER')],
  [Oid.text, scalarType('VARCHAR')],
  [Oid.unknown, scalarType('VARCHAR')],
  [Oid.oid, scalarType('BIGINT')],
  [Oid.xid, scalarType('BIGINT')],
  [Oid.cid, scalarType('BIGINT')],
  [Oid.regproc, scalarType('BIGINT')],
  [Oid.regclass, scalarType('BIGINT')],
  [Oid.regtype, scalarType('BIGINT')],
  [Oid.regnamespace, scalarType('BIGINT')],
  [Oid.json, scalarType('VARCHAR', 'JSON')],
  [Oid.jsonb, scalarType('VARCHAR', 'JSON')],
  [Oid.float4, scalarType('FLOAT')],
  [Oid.float8, scalarType('DOUBLE')],
  [Oid.bpchar, scalarType('VARCHAR')],
  [Oid.varchar, scalarType('VARCHAR')],
  [Oid.date, scalarType('DATE')],
  [Oid.time, scalarType('TIME')],
  [Oid.timetz, scalarType('TIMETZ')],
  [Oid.timestamp, scalarType('TIMESTAMP')],
  [Oid.timestamptz, scalarType('TIMESTAMPTZ')],
  [Oid.interval, scalarType('INTERVAL')],
  [Oid.uuid, scalarType('UUID')],
  [Oid.bit, scalarType('BIT')],
  [Oid.varbit, scalarType('BIT')],
])

/**
 * The DuckDB type a parameter of PostgreSQL type `oid` is bound as; null where the value decides
 * (numeric, whose width and scale come with each value) or the type is not known.
 */
export function engineTypeOfOid(oid: number): EngineType | null {
  const direct = ENGINE_TYPES.get(oid)
  if (direct !== undefined) return direct
  const elementOid = pgTypeByOid(oid)?.elementOid ?? 0
  if (elementOid === 0) return null
  const child = engineTypeOfOid(elementOid)
  return child === null ? null : { kind: 'list', child }
}
