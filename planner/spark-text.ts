/** SparkText: an expression of a client's statement in Spark SQL, as it is kept in a table's metadata.
 *
 * What is printed is read by every engine. `requireSameMeaning` holds it against the types its parts
 * have to PostgreSQL and to Spark.
 */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DataType } from '../storage/schema.js'
import { sparkName, sparkString } from './spark-token.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { typeOfName } from './sql-type.js'

/**
 * An expression in words that Spark and PostgreSQL read the same: literals, columns, comparisons,
 * arithmetic, AND, OR, NOT, IN, BETWEEN, IS NULL, LIKE, CASE and a few functions and casts.
 *
 * 0A000 for anything else: other engines must be able to hold rows against it.
 */
export function sparkText(node: Node): string {
  const kind = kindOf(node)
  const text = PRINTERS[kind]?.((node[kind] ?? {}) as Node, node)
  if (text !== undefined) return text
  throw new SqlError(
    SqlState.featureNotSupported,
    'the expression uses what other engines might evaluate otherwise',
    {
      hint: 'Use columns, literals, comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN and IS NULL.',
    },
  )
}

/** DEFAULT's expression for a column of `type`; a quoted literal is written as a value of that type. */
export function defaultText(node: Node, type: DataType): string {
  const text = constantOf(node)
  if (typeof text !== 'string' || type.kind === 'struct') return sparkText(node)
  const name = type.kind === 'primitive' ? type.name : type.kind
  if (/^(?:byte|short|integer|long|decimal)$/.test(name) && /^-?\d+(?:\.\d+)?$/.test(text)) {
    return text
  }
  if (/^(?:float|double)$/.test(name) && /^-?\d+(?:\.\d+)?$/.test(text)) return `${text}D`
  if (name === 'boolean' && /^(?:t|true|f|false)$/i.test(text)) {
    return /^t/i.test(text) ? 'TRUE' : 'FALSE'
  }
  if (name === 'date') return `DATE ${sparkString(text)}`
  if (name === 'timestamp' || name === 'timestamp_ntz') return momentText(name, text)
  return sparkText(node)
}

/**
 * A CHECK's condition for all engines: PostgreSQL lets a row pass when it is null, Delta does not.
 */
export function conditionText(node: Node): string {
  const text = sparkText(node)
  return isNeverNull(node) ? text : `(${text}) IS NOT FALSE`
}

function isNeverNull(node: Node): boolean {
  if (nodeOf(node, 'NullTest') !== undefined || nodeOf(node, 'BooleanTest') !== undefined) {
    return true
  }
  const parts = nodeOf(node, 'BoolExpr')
  return parts !== undefined && listOf(parts.args).every(isNeverNull)
}

const PRINTERS: Readonly<Record<string, (fields: Node, node: Node) => string | undefined>> = {
  A_Const: (fields, node) => {
    const number = (fields.fval as { readonly fval?: string } | undefined)?.fval
    // Spark takes a number with an exponent for a double.
    if (number !== undefined) return /^-?[\d.]+$/.test(number) ? number : undefined
    const value = constantOf(node)
    if (typeof value === 'string') return sparkString(value)
    return value === null ? 'NULL' : String(value).toUpperCase()
  },
  ColumnRef: (fields) => {
    const parts = listOf(fields.fields).map((part) => stringOf(part) ?? '*')
    return sparkName(parts.at(-1) ?? '')
  },
  BoolExpr: (fields) => {
    const parts = listOf(fields.args).map((part) => `(${sparkText(part)})`)
    return fields.boolop === 'NOT_EXPR'
      ? `NOT ${parts[0]}`
      : parts.join(fields.boolop === 'OR_EXPR' ? ' OR ' : ' AND ')
  },
  NullTest: (fields) =>
    `${operandText(fields.arg)} IS ${fields.nulltesttype === 'IS_NULL' ? '' : 'NOT '}NULL`,
  BooleanTest: (fields) => {
    const test = /^IS_(NOT_)?(TRUE|FALSE)$/.exec(String(fields.booltesttype))
    if (test === null) return undefined
    return `${operandText(fields.arg)} IS ${test[1] === undefined ? '' : 'NOT '}${test[2]}`
  },
  A_Expr: operatorText,
  TypeCast: castText,
  CaseExpr: (fields) => {
    const operand = fields.arg === undefined ? '' : ` ${operandText(fields.arg)}`
    const branches = listOf(fields.args).map((one) => {
      const { expr, result } = nodeOf(one, 'CaseWhen') ?? {}
      return ` WHEN ${sparkText(expr as Node)} THEN ${sparkText(result as Node)}`
    })
    const otherwise =
      fields.defresult === undefined ? '' : ` ELSE ${sparkText(fields.defresult as Node)}`
    return `CASE${operand}${branches.join('')}${otherwise} END`
  },
  CoalesceExpr: (fields) => `coalesce(${listOf(fields.args).map(sparkText).join(', ')})`,
  SQLValueFunction: (fields) => {
    if (fields.op === 'SVFOP_CURRENT_TIMESTAMP') return 'current_timestamp()'
    return fields.op === 'SVFOP_CURRENT_DATE' ? 'current_date()' : undefined
  },
  FuncCall: callText,
}

/** Functions that PostgreSQL and Spark have under these names. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  lower: 'lower',
  upper: 'upper',
  length: 'length',
  char_length: 'length',
  abs: 'abs',
  btrim: 'trim',
  replace: 'replace',
  starts_with: 'startswith',
  // Spark's own, which the engine has too.
  year: 'year',
  month: 'month',
  day: 'day',
}

function callText(fields: Node): string | undefined {
  const name = namesOf(fields.funcname).at(-1) ?? ''
  const args = listOf(fields.args)
  if (name === 'now') return 'current_timestamp()'
  if (name === 'extract') {
    const unit = String(constantOf(args[0]) ?? '').toLowerCase()
    if (!/^(?:year|month|day|hour|minute)$/.test(unit)) return undefined
    return `${unit}(${sparkText(args[1] as Node)})`
  }
  if (name === 'substring' || name === 'substr') {
    // Both count from 1; what lies before differs.
    const [start, length] = args.slice(1).map(constantOf)
    const isPlain = (value: unknown, least: number): boolean =>
      typeof value === 'number' && value >= least
    if (!isPlain(start, 1) || (args.length > 2 && !isPlain(length, 0))) return undefined
    return `substring(${args.map(sparkText).join(', ')})`
  }
  const spelling = FUNCTIONS[name]
  if (spelling === undefined || (name === 'btrim' && args.length !== 1)) return undefined
  return `${spelling}(${args.map(sparkText).join(', ')})`
}

/** Casts that keep what a value means to both, by the type they are to. */
const CASTS: ReadonlyMap<number, string> = new Map([
  [Oid.int2, 'SMALLINT'],
  [Oid.int4, 'INT'],
  [Oid.int8, 'BIGINT'],
  [Oid.float8, 'DOUBLE'],
  [Oid.text, 'STRING'],
  [Oid.varchar, 'STRING'],
  [Oid.date, 'DATE'],
])

function castText(fields: Node): string | undefined {
  const inner = constantOf(fields.arg)
  const type = typeOfName(fields.typeName as Node)
  if (typeof inner === 'string') {
    if (type.oid === Oid.date) return `DATE ${sparkString(inner)}`
    if (type.oid === Oid.timestamp) return momentText('timestamp_ntz', inner)
    if (type.oid === Oid.timestamptz) return momentText('timestamp', inner)
    if ((type.oid === Oid.text || type.oid === Oid.varchar) && type.typmod < 0) {
      return sparkString(inner)
    }
    return undefined
  }
  const name = CASTS.get(type.oid)
  if (name === undefined || type.typmod >= 0) return undefined
  return `CAST(${sparkText(fields.arg as Node)} AS ${name})`
}

function momentText(type: 'timestamp' | 'timestamp_ntz', text: string): string {
  const hasZone = /(?:Z|[-+]\d\d:?\d\d|[-+]\d\d)$/i.test(text.replace(/^\d{4}-\d\d-\d\d/, ''))
  if (type === 'timestamp_ntz') return `TIMESTAMP_NTZ ${sparkString(text)}`
  // Without a zone each session would read another moment.
  if (!hasZone) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'a timestamp with time zone without its zone would be another moment to other engines',
      { hint: `Write it as '${text}+00'.` },
    )
  }
  return `TIMESTAMP ${sparkString(text.replace(/([-+]\d\d)$/, '$1:00').replace(/([-+]\d\d)(\d\d)$/, '$1:$2'))}`
}

/** An operand, in parentheses where engines might otherwise bind it differently. */
function operandText(value: unknown): string {
  const node = value as Node
  const text = sparkText(node)
  const isPlain = /^(?:ColumnRef|A_Const|FuncCall|SQLValueFunction|TypeCast|CoalesceExpr)$/.test(
    kindOf(node),
  )
  return isPlain && !text.startsWith('-') ? text : `(${text})`
}

function operatorText(fields: Node): string {
  const operator = namesOf(fields.name).at(-1) ?? ''
  const left = fields.lexpr === undefined ? '' : operandText(fields.lexpr)
  const list = listOf(nodeOf(fields.rexpr, 'List')?.items)
  switch (fields.kind) {
    case 'AEXPR_OP':
      if (!/^(?:=|<>|<|<=|>|>=|\+|-|\*|\/|%|\|\|)$/.test(operator)) break
      return left === ''
        ? `${operator}${operandText(fields.rexpr)}`
        : `${left} ${operator} ${operandText(fields.rexpr)}`
    case 'AEXPR_DISTINCT':
      return `NOT (${left} <=> ${operandText(fields.rexpr)})`
    case 'AEXPR_NOT_DISTINCT':
      return `${left} <=> ${operandText(fields.rexpr)}`
    case 'AEXPR_NULLIF':
      return `nullif(${left}, ${operandText(fields.rexpr)})`
    case 'AEXPR_IN':
      return `${left} ${operator === '<>' ? 'NOT IN' : 'IN'} (${list.map(sparkText).join(', ')})`
    case 'AEXPR_BETWEEN':
      return `${left} BETWEEN ${list.map(operandText).join(' AND ')}`
    case 'AEXPR_NOT_BETWEEN':
      return `${left} NOT BETWEEN ${list.map(operandText).join(' AND ')}`
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
