/** CreateTable: what the columns and constraints of a CREATE TABLE define in Delta's terms. */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { notSupported } from './refusal.js'
import { identityMetadata } from '../storage/identity-column.js'
import type { DataType, PrimitiveName, StructField } from '../storage/schema.js'
import { conditionText, defaultText, sparkText } from './spark-text.js'
import type { StatedExpression } from './stated-expression.js'
import { elementOf, isArrayOid, type SqlType, typeName, typeOfName } from './sql-type.js'
import { listOf, namesOf, type Node, nodeOf } from './syntax-tree.js'

const PRIMITIVES: ReadonlyMap<number, PrimitiveName> = new Map<number, PrimitiveName>([
  [Oid.bool, 'boolean'],
  [Oid.int2, 'short'],
  [Oid.int4, 'integer'],
  [Oid.int8, 'long'],
  [Oid.float4, 'float'],
  [Oid.float8, 'double'],
  [Oid.text, 'string'],
  [Oid.varchar, 'string'],
  [Oid.bpchar, 'string'],
  [Oid.name, 'string'],
  [Oid.bytea, 'binary'],
  [Oid.date, 'date'],
  [Oid.timestamp, 'timestamp_ntz'],
  [Oid.timestamptz, 'timestamp'],
  // Delta has neither; their text keeps every value exactly.
  [Oid.uuid, 'string'],
  [Oid.json, 'string'],
  [Oid.jsonb, 'string'],
])

/**
 * The Delta type in which values of `type` are stored.
 *
 * 0A000 for types Delta has nothing for (time, interval).
 */
export function deltaTypeOf(type: SqlType): DataType {
  const primitive = PRIMITIVES.get(type.oid)
  if (primitive !== undefined && type.engine.kind === 'scalar') {
    return { kind: 'primitive', name: primitive }
  }
  if (type.oid === Oid.numeric && type.engine.kind === 'decimal') {
    return { kind: 'decimal', precision: type.engine.width, scale: type.engine.scale }
  }
  if (isArrayOid(type.oid)) {
    const element = elementOf(type)
    if (element !== null) {
      return { kind: 'array', element: deltaTypeOf(element), containsNull: true }
    }
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `Delta tables have no type for ${typeName(type)}`,
  )
}

/** The columns and table properties that a statement's column definitions add up to. */
export interface Definition {
  readonly fields: StructField[]
  readonly configuration: { [key: string]: string }
  /** What is to be held against PostgreSQL's and Spark's rules when all columns are known. */
  readonly stated: StatedExpression[]
}

/** The column a ColumnDef's fields define; its constraints go into `definition`. */
export function columnField(node: Node, definition: Definition, table: string): StructField {
  const type = typeOfName(node.typeName as Node)
  const words = namesOf((node.typeName as Node).names).at(-1) ?? ''
  const isSerial = /^(?:big|small)?serial[248]?$/.test(words)
  const metadata: { [key: string]: unknown } = {}
  const state = (use: StatedExpression['use'], expr: unknown, text: string): string => {
    definition.stated.push({ use, node: expr as Node, text, column: String(node.colname) })
    return text
  }
  if ((type.oid === Oid.varchar || type.oid === Oid.bpchar) && type.typmod >= 4) {
    metadata.__CHAR_VARCHAR_TYPE_STRING = `${type.oid === Oid.varchar ? 'varchar' : 'char'}(${type.typmod - 4})`
  }
  let nullable = !isSerial
  if (isSerial) Object.assign(metadata, identityMetadata(SERIAL))
  for (const one of listOf(node.constraints)) {
    const constraint = nodeOf(one, 'Constraint') ?? {}
    switch (constraint.contype) {
      case 'CONSTR_NOTNULL':
        nullable = false
        break
      case 'CONSTR_NULL':
        break
      case 'CONSTR_PRIMARY':
        nullable = false
        definition.configuration['lakegate.primaryKey'] = String(node.colname)
        nameKey(constraint, definition.configuration)
        break
      case 'CONSTR_DEFAULT':
        metadata.CURRENT_DEFAULT = state(
          'default',
          constraint.raw_expr,
          defaultText(constraint.raw_expr as Node, deltaTypeOf(type)),
        )
        break
      case 'CONSTR_CHECK':
        addCheck(constraint, definition, table, String(node.colname))
        break
      case 'CONSTR_GENERATED':
        metadata['delta.generationExpression'] = state(
          'generated',
          constraint.raw_expr,
          sparkText(constraint.raw_expr as Node),
        )
        break
      case 'CONSTR_IDENTITY':
        nullable = false
        Object.assign(metadata, identityMetadata(identityOptions(constraint)))
        break
      default:
        throw notSupported(CONSTRAINTS[String(constraint.contype)] ?? 'this constraint')
    }
  }
  const name = String(node.colname)
  if (metadata['delta.identity.start'] === undefined) {
    return { name, type: deltaTypeOf(type), nullable, metadata }
  }
  requireCountable(name, type, metadata)
  // Other engines count in 64 bits only.
  return { name, type: { kind: 'primitive', name: 'long' }, nullable, metadata }
}

const SERIAL = { start: 1n, step: 1n, allowExplicitInsert: true }

/** The options of GENERATED … AS IDENTITY; 0A000 for those that Delta has nothing for. */
function identityOptions(constraint: Node): Parameters<typeof identityMetadata>[0] {
  const given = new Map<string, bigint>()
  for (const option of listOf(constraint.options)) {
    const { defname, arg } = nodeOf(option, 'DefElem') ?? {}
    const value =
      nodeOf(arg, 'Float')?.fval ??
      (arg === undefined ? undefined : (nodeOf(arg, 'Integer')?.ival ?? 0))
    if (defname === 'cache' || (defname === 'cycle' && nodeOf(arg, 'Boolean')?.boolval !== true)) {
      continue
    }
    if ((defname !== 'start' && defname !== 'increment') || value === undefined) {
      throw notSupported(`the identity option ${String(defname).toUpperCase()}`)
    }
    given.set(defname, BigInt(String(value)))
  }
  const step = given.get('increment') ?? 1n
  if (step === 0n) {
    throw new SqlError(SqlState.invalidParameterValue, 'INCREMENT must not be zero')
  }
  return {
    start: given.get('start') ?? (step < 0n ? -1n : 1n),
    step,
    allowExplicitInsert: constraint.generated_when !== 'a',
  }
}

function requireCountable(name: string, type: SqlType, metadata: StructField['metadata']): void {
  if (type.oid !== Oid.int2 && type.oid !== Oid.int4 && type.oid !== Oid.int8) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'identity column type must be smallint, integer, or bigint',
    )
  }
  if (metadata.CURRENT_DEFAULT !== undefined || metadata['delta.generationExpression']) {
    throw new SqlError(
      SqlState.syntaxError,
      `both default and identity specified for column "${name}"`,
    )
  }
}

/** Constraints that are refused, by the words for them. */
export const CONSTRAINTS: Readonly<Record<string, string>> = {
  CONSTR_UNIQUE: 'UNIQUE',
  CONSTR_FOREIGN: 'FOREIGN KEY',
  CONSTR_EXCLUSION: 'EXCLUDE',
}

/** Notes a CHECK constraint, under a name of its own where it has none. */
export function addCheck(
  constraint: Node,
  definition: Pick<Definition, 'configuration' | 'stated'>,
  table: string,
  column?: string,
): void {
  const base = column === undefined ? `${table}_check` : `${table}_${column}_check`
  const taken = (name: string): boolean =>
    definition.configuration[`delta.constraints.${name}`] !== undefined
  let name = typeof constraint.conname === 'string' ? constraint.conname : base
  for (let n = 1; taken(name.toLowerCase()); n++) name = `${base}${n}`
  const node = constraint.raw_expr as Node
  const text = conditionText(node)
  definition.configuration[`delta.constraints.${name.toLowerCase()}`] = text
  definition.stated.push({ use: 'check', node, text })
}

/** Keeps the name that a PRIMARY KEY was given. */
export function nameKey(constraint: Node, configuration: Record<string, string>): void {
  if (typeof constraint.conname === 'string') {
    configuration['lakegate.primaryKeyName'] = constraint.conname
  }
}
