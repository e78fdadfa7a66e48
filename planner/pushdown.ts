/** Pushdown: what the WHERE clauses of a statement say about each table it reads, as a Predicate. */

import { parseTimestampMicros } from '../storage/data-skipping.js'
import { engineTypeOf, type DataType, type Schema } from '../storage/schema.js'
import { scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import {
  and,
  type ComparisonOperator,
  type Predicate,
  type Term,
  UNKNOWN,
} from '../storage/predicate.js'
import type { TableReference } from './table-references.js'
import { constantOf, listOf, namesOf, type Node, nodeOf, stringOf, walk } from './syntax-tree.js'

/**
 * A condition that every row of `reference` used by the statement satisfies.
 *
 * Taken from WHERE, and from ON of inner joins, of the SELECT that names the table. Tables on the
 * null-extended side of an outer join are left alone: a missing row there means something.
 */
export function predicateFor(
  tree: Node,
  reference: TableReference,
  schema: Schema,
  values: readonly EngineValue[],
): Predicate {
  let predicate: Predicate = UNKNOWN
  walk(tree, (node) => {
    const select = nodeOf(node, 'SelectStmt')
    if (select === undefined) return true
    const scope = scopeOf(select, reference)
    if (scope === null) return true
    const conjuncts = [...scope.conditions, ...conjunctsOf(select.whereClause)]
    const context: Context = { reference, schema, values, alone: scope.alone }
    predicate = and(conjuncts.map((condition) => convert(condition, context)))
    return true
  })
  return predicate
}

interface Scope {
  readonly conditions: readonly Node[]
  /** The table is the only item of FROM, so bare column names are its own. */
  readonly alone: boolean
}

function scopeOf(select: Node, reference: TableReference): Scope | null {
  const items = listOf(select.fromClause)
  for (const item of items) {
    const conditions = inside(item, reference)
    if (conditions === 'no') continue
    if (conditions === 'nullable') return null
    return { conditions, alone: items.length === 1 && nodeOf(item, 'RangeVar') !== undefined }
  }
  return null
}

/** ON conditions that hold for every row of the table inside a FROM item. */
function inside(item: Node, reference: TableReference): readonly Node[] | 'no' | 'nullable' {
  if (nodeOf(item, 'RangeVar') === reference.node) return []
  const join = nodeOf(item, 'JoinExpr')
  if (join === undefined) return 'no'
  const left = inside(join.larg as Node, reference)
  const right = inside(join.rarg as Node, reference)
  const side = left === 'no' ? right : left
  if (side === 'no' || side === 'nullable') return side
  switch (join.jointype) {
    case 'JOIN_INNER':
      return [...side, ...conjunctsOf(join.quals)]
    case 'JOIN_LEFT':
      return left === 'no' ? 'nullable' : side
    case 'JOIN_RIGHT':
      return left === 'no' ? side : 'nullable'
    default:
      return 'nullable'
  }
}

function conjunctsOf(condition: unknown): readonly Node[] {
  if (typeof condition !== 'object' || condition === null) return []
  const bool = nodeOf(condition, 'BoolExpr')
  if (bool?.boolop === 'AND_EXPR') return listOf(bool.args).flatMap(conjunctsOf)
  return [condition as Node]
}

interface Context {
  readonly reference: TableReference
  readonly schema: Schema
  readonly values: readonly EngineValue[]
  readonly alone: boolean
}

interface TypedTerm {
  readonly term: Term
  readonly type: DataType
}

function convert(node: Node, context: Context): Predicate {
  const bool = nodeOf(node, 'BoolExpr')
  if (bool !== undefined) {
    const parts = listOf(bool.args).map((part) => convert(part, context))
    if (bool.boolop === 'AND_EXPR') return { kind: 'and', parts }
    if (bool.boolop === 'OR_EXPR') return { kind: 'or', parts }
    return { kind: 'not', part: parts[0] ?? UNKNOWN }
  }
  const test = nodeOf(node, 'NullTest')
  if (test !== undefined) {
    const found = termOf(test.arg, context)
    if (found === null || found.term.kind !== 'column') return UNKNOWN
    return { kind: test.nulltesttype === 'IS_NULL' ? 'is-null' : 'is-not-null', term: found.term }
  }
  const expression = nodeOf(node, 'A_Expr')
  return expression === undefined ? UNKNOWN : convertExpression(expression, context)
}

const FLIPPED: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

function convertExpression(expression: Node, context: Context): Predicate {
  const operator = namesOf(expression.name).at(-1) ?? ''
  const { lexpr, rexpr } = expression
  switch (expression.kind) {
    case 'AEXPR_OP': {
      const comparison = (operator === '!=' ? '<>' : operator) as ComparisonOperator
      if (FLIPPED[comparison] === undefined) return UNKNOWN
      const left = termOf(lexpr, context)
      if (left !== null) return compare(comparison, left, rexpr, context)
      const right = termOf(rexpr, context)
      return right === null ? UNKNOWN : compare(FLIPPED[comparison], right, lexpr, context)
    }
    case 'AEXPR_BETWEEN': {
      const found = termOf(lexpr, context)
      const [low, high] = listOf(nodeOf(rexpr, 'List')?.items)
      if (found === null) return UNKNOWN
      // Not simplified: under NOT an unknown bound must stay in sight.
      return {
        kind: 'and',
        parts: [compare('>=', found, low, context), compare('<=', found, high, context)],
      }
    }
    case 'AEXPR_IN': {
      const found = termOf(lexpr, context)
      if (found === null) return UNKNOWN
      const values = listOf(nodeOf(rexpr, 'List')?.items).map((item) =>
        constantValue(item, found.type, context),
      )
      if (values.length === 0 || values.includes(null)) return UNKNOWN
      const inside: Predicate = {
        kind: 'in',
        term: found.term,
        values: values.filter((value) => value !== null),
      }
      return operator === '<>' ? { kind: 'not', part: inside } : inside
    }
    case 'AEXPR_LIKE': {
      const found = termOf(lexpr, context)
      const pattern = constantOf(rexpr)
      if (found === null || operator !== '~~' || typeof pattern !== 'string') return UNKNOWN
      const prefix = /^[^%_\\]*/.exec(pattern)?.[0] ?? ''
      if (prefix === '' || !isText(found.type)) return UNKNOWN
      // Only "starts with" is claimed: rows that miss the rest are not excluded, so it must not be negated.
      return {
        kind: 'and',
        parts: [{ kind: 'starts-with', term: found.term, prefix }, UNKNOWN],
      }
    }
    default:
      return UNKNOWN
  }
}

function isText(type: DataType): boolean {
  return type.kind === 'primitive' && type.name === 'string'
}

function compare(
  operator: ComparisonOperator,
  found: TypedTerm,
  other: unknown,
  context: Context,
): Predicate {
  const value = constantValue(other, found.type, context)
  return value === null ? UNKNOWN : { kind: 'compare', operator, term: found.term, value }
}

/** The column, or known function of one, that `node` is; null for anything else. */
function termOf(node: unknown, context: Context): TypedTerm | null {
  const column = nodeOf(node, 'ColumnRef')
  if (column !== undefined) return columnOf(column, context)
  const call = nodeOf(node, 'FuncCall')
  if (call !== undefined) {
    const name = namesOf(call.funcname).at(-1)
    const [first, second] = listOf(call.args)
    const unit = constantOf(first)
    const of = second === undefined ? null : termOf(second, context)
    if (of === null || typeof unit !== 'string' || !isZoneless(of.type)) return null
    if (name === 'date_trunc' && of.term.kind === 'column') {
      return {
        term: { kind: 'date-trunc', unit, of: of.term, timeZone: 'UTC' },
        type: { kind: 'primitive', name: 'timestamp_ntz' },
      }
    }
    if ((name === 'extract' || name === 'date_part') && unit.toLowerCase() === 'year') {
      return {
        term: { kind: 'extract', field: 'year', of: of.term, timeZone: 'UTC' },
        type: { kind: 'primitive', name: 'long' },
      }
    }
    return null
  }
  const cast = nodeOf(node, 'TypeCast')
  if (cast !== undefined) {
    const of = termOf(cast.arg, context)
    if (of === null || !isZoneless(of.type) || typeNameOf(cast.typeName) !== 'date') return null
    return {
      term: { kind: 'cast', to: scalarType('DATE'), of: of.term, timeZone: 'UTC' },
      type: { kind: 'primitive', name: 'date' },
    }
  }
  return null
}

function isZoneless(type: DataType): boolean {
  return type.kind === 'primitive' && (type.name === 'date' || type.name === 'timestamp_ntz')
}

function columnOf(column: Node, context: Context): TypedTerm | null {
  const names = listOf(column.fields).map((field) => stringOf(field))
  if (names.some((name) => name === undefined)) return null
  const parts = names as string[]
  const { reference, schema } = context
  const qualifier = (reference.alias ?? reference.name).toLowerCase()
  let name: string | undefined
  if (parts.length === 1 && context.alone) name = parts[0]
  else if (parts.length === 2 && parts[0]?.toLowerCase() === qualifier) name = parts[1]
  if (name === undefined) return null
  const field = schema.fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
  return field === undefined
    ? null
    : { term: { kind: 'column', path: [field.name] }, type: field.type }
}

function typeNameOf(typeName: unknown): string | undefined {
  const fields = typeName as Node | undefined
  if (fields === undefined || Array.isArray(fields.arrayBounds)) return undefined
  return namesOf(fields.names).at(-1)
}

/** The constant `node` as a value to compare a column of `type` with; null when that is not certain. */
function constantValue(node: unknown, type: DataType, context: Context): EngineValue | null {
  const parameter = nodeOf(node, 'ParamRef')
  if (parameter !== undefined) {
    const value = context.values[Number(parameter.number) - 1]
    if (value === undefined || value.value === null) return null
    return typeof value.value === 'string' ? fromText(value.value, type) : value
  }
  const cast = nodeOf(node, 'TypeCast')
  if (cast !== undefined) {
    const text = constantOf(cast.arg)
    if (typeof text !== 'string') return null
    const target = CAST_TYPES[typeNameOf(cast.typeName) ?? '']
    return target === undefined ? null : fromText(text, target)
  }
  const fraction = nodeOf(node, 'A_Const')?.fval as { readonly fval?: string } | undefined
  if (fraction?.fval !== undefined) {
    const match = /^(-?\d+)(?:\.(\d+))?$/.exec(fraction.fval)
    const digits = (match?.[1] ?? '') + (match?.[2] ?? '')
    if (match === null || digits.length > 30 || isFloating(type)) return null
    const scale = (match[2] ?? '').length
    return { type: { kind: 'decimal', width: 38, scale }, value: BigInt(digits) }
  }
  const constant = constantOf(node)
  if (typeof constant === 'number') return { type: scalarType('BIGINT'), value: BigInt(constant) }
  if (typeof constant === 'boolean') return { type: scalarType('BOOLEAN'), value: constant }
  return typeof constant === 'string' ? fromText(constant, type) : null
}

function isFloating(type: DataType): boolean {
  return type.kind === 'primitive' && (type.name === 'float' || type.name === 'double')
}

const CAST_TYPES: Readonly<Record<string, DataType>> = {
  date: { kind: 'primitive', name: 'date' },
  timestamp: { kind: 'primitive', name: 'timestamp_ntz' },
  timestamptz: { kind: 'primitive', name: 'timestamp' },
  text: { kind: 'primitive', name: 'string' },
  varchar: { kind: 'primitive', name: 'string' },
}

/** An untyped literal takes the type of what it is compared with. */
function fromText(text: string, type: DataType): EngineValue | null {
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'string':
      return { type: scalarType('VARCHAR'), value: text }
    case 'date': {
      const millis = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
      return Number.isNaN(millis) ? null : { type: scalarType('DATE'), value: millis / 86_400_000 }
    }
    case 'timestamp_ntz': {
      const micros = parseTimestampMicros(text.length === 10 ? `${text} 00:00` : text)
      const zoned = /(?:Z|UTC|[+-]\d\d(?::?\d\d)?)$/i.test(text.slice(10))
      return micros === null || zoned ? null : { type: engineTypeOf(type), value: micros }
    }
    case 'timestamp': {
      // Without a zone of its own the text depends on the session's.
      if (!/(?:Z|[+-]\d\d(?::?\d\d)?)$/i.test(text.slice(10))) return null
      const micros = parseTimestampMicros(text)
      return micros === null ? null : { type: engineTypeOf(type), value: micros }
    }
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
      return /^-?\d{1,18}$/.test(text) ? { type: scalarType('BIGINT'), value: BigInt(text) } : null
    default:
      return null
  }
}
