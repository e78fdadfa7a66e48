/** CreateTable: what the columns and constraints of a CREATE TABLE define in Delta's terms. */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { identityMetadata } from '../storage/identity-column.js'
import type { DataType, PrimitiveName, StructField } from '../storage/schema.js'
import { elementOf, isArrayOid, type SqlType, typeName, typeOfName } from './sql-type.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'

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
}

/** The column a ColumnDef's fields define; its constraints go into `definition`. */
export function columnField(node: Node, definition: Definition, table: string): StructField {
  const type = typeOfName(node.typeName as Node)
  const words = namesOf((node.typeName as Node).names).at(-1) ?? ''
  const isSerial = /^(?:big|small)?serial[248]?$/.test(words)
  const metadata: { [key: string]: unknown } = {}
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
        break
      case 'CONSTR_DEFAULT':
        metadata.CURRENT_DEFAULT = expressionText(constraint.raw_expr as Node)
        break
      case 'CONSTR_CHECK':
        addCheck(constraint, definition, table, String(node.colname))
        break
      case 'CONSTR_GENERATED':
        metadata['delta.generationExpression'] = expressionText(constraint.raw_expr as Node)
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
  definition: Pick<Definition, 'configuration'>,
  table: string,
  column?: string,
): void {
  const base = column === undefined ? `${table}_check` : `${table}_${column}_check`
  const taken = (name: string): boolean =>
    definition.configuration[`delta.constraints.${name}`] !== undefined
  let name = typeof constraint.conname === 'string' ? constraint.conname : base
  for (let n = 1; taken(name.toLowerCase()); n++) name = `${base}${n}`
  definition.configuration[`delta.constraints.${name.toLowerCase()}`] = conditionText(
    constraint.raw_expr as Node,
  )
}

/**
 * A CHECK's condition for all engines: PostgreSQL lets a row pass when it is null, Delta does not.
 */
export function conditionText(node: Node): string {
  const text = expressionText(node)
  return isNeverNull(node) ? text : `(${text}) IS NOT FALSE`
}

function isNeverNull(node: Node): boolean {
  if (nodeOf(node, 'NullTest') !== undefined || nodeOf(node, 'BooleanTest') !== undefined) {
    return true
  }
  const parts = nodeOf(node, 'BoolExpr')
  return parts !== undefined && listOf(parts.args).every(isNeverNull)
}

function notSupported(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`)
}

/**
 * An expression in words that Spark and PostgreSQL read the same: literals, columns, comparisons,
 * arithmetic, AND, OR, NOT, IN, BETWEEN, IS NULL, LIKE and a few functions.
 *
 * 0A000 for anything else: other engines must be able to hold rows against it.
 */
export function expressionText(node: Node): string {
  const kind = kindOf(node)
  const fields = (node[kind] ?? {}) as Node
  switch (kind) {
    case 'A_Const': {
      const text = (fields.fval as { readonly fval?: string } | undefined)?.fval
      if (text !== undefined) return text
      const value = constantOf(node)
      if (typeof value === 'string') {
        if (value.includes('\\')) break
        return `'${value.replaceAll("'", "''")}'`
      }
      return value === null ? 'NULL' : String(value).toUpperCase()
    }
    case 'ColumnRef': {
      const parts = listOf(fields.fields).map((part) => stringOf(part) ?? '*')
      const name = parts.at(-1) ?? ''
      return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `\`${name}\``
    }
    case 'BoolExpr': {
      const parts = listOf(fields.args).map((part) => `(${expressionText(part)})`)
      return fields.boolop === 'NOT_EXPR'
        ? `NOT ${parts[0]}`
        : parts.join(fields.boolop === 'OR_EXPR' ? ' OR ' : ' AND ')
    }
    case 'NullTest':
      return `${operandText(fields.arg)} IS ${fields.nulltesttype === 'IS_NULL' ? '' : 'NOT '}NULL`
    case 'BooleanTest': {
      const test = /^IS_(NOT_)?(TRUE|FALSE)$/.exec(String(fields.booltesttype))
      if (test === null) break
      return `${operandText(fields.arg)} IS ${test[1] === undefined ? '' : 'NOT '}${test[2]}`
    }
    case 'A_Expr':
      return operatorText(fields)
    case 'TypeCast': {
      const inner = constantOf(fields.arg)
      const type = namesOf((fields.typeName as Node).names).at(-1) ?? ''
      if (typeof inner === 'string' && (type === 'date' || type === 'timestamp')) {
        return `${type.toUpperCase()} '${inner.replaceAll("'", "''")}'`
      }
      if (typeof inner === 'string' && /^(?:text|varchar)$/.test(type)) {
        return expressionText(fields.arg as Node)
      }
      break
    }
    case 'SQLValueFunction':
      if (fields.op === 'SVFOP_CURRENT_TIMESTAMP') return 'current_timestamp()'
      if (fields.op === 'SVFOP_CURRENT_DATE') return 'current_date()'
      break
    case 'FuncCall': {
      const name = namesOf(fields.funcname).at(-1) ?? ''
      if (name === 'now') return 'current_timestamp()'
      if (/^(?:lower|upper|length|abs|coalesce|year|month|day)$/.test(name)) {
        return `${name}(${listOf(fields.args).map(expressionText).join(', ')})`
      }
      break
    }
    default:
      break
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    'the expression uses what other engines might evaluate otherwise',
    {
      hint: 'Use columns, literals, comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN and IS NULL.',
    },
  )
}

/** An operand, in parentheses where engines might otherwise bind it differently. */
function operandText(value: unknown): string {
  const node = value as Node
  const text = expressionText(node)
  const isPlain = /^(?:ColumnRef|A_Const|FuncCall|SQLValueFunction|TypeCast)$/.test(kindOf(node))
  return isPlain && !text.startsWith('-') ? text : `(${text})`
}

function operatorText(fields: Node): string {
  const operator = namesOf(fields.name).at(-1) ?? ''
  const left = fields.lexpr === undefined ? '' : operandText(fields.lexpr)
  const list = listOf(nodeOf(fields.rexpr, 'List')?.items)
  switch (fields.kind) {
    case 'AEXPR_OP':
      if (!/^(?:=|<>|<|<=|>|>=|\+|-|\*|%)$/.test(operator)) break
      return left === ''
        ? `${operator}${operandText(fields.rexpr)}`
        : `${left} ${operator} ${operandText(fields.rexpr)}`
    case 'AEXPR_IN':
      return `${left} ${operator === '<>' ? 'NOT IN' : 'IN'} (${list.map(expressionText).join(', ')})`
    case 'AEXPR_BETWEEN':
      return `${left} BETWEEN ${list.map(operandText).join(' AND ')}`
    case 'AEXPR_LIKE':
      return `${left} ${operator === '!~~' ? 'NOT LIKE' : 'LIKE'} ${operandText(fields.rexpr)}`
    default:
      break
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `the operator ${operator} is not supported in constraints, defaults and generated columns`,
  )
}
