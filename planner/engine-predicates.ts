/** Engine predicates: conditions of a query in DuckDB's syntax that every row it uses of a table meets. */

import { Oid } from '../catalog/pg-types.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { and, type ComparisonOperator, type Predicate, UNKNOWN } from '../storage/predicate.js'
import { daysOf } from './civil-date.js'
import type { EngineNode } from './engine-tree.js'
import type { SqlType } from './sql-type.js'

/** A condition of a WHERE clause; what it compares with is known when parameters are. */
export interface EngineCondition {
  /** As written: `column`, or `range.column`. */
  readonly column: readonly string[]
  readonly operator: ComparisonOperator | 'in' | 'is-null' | 'is-not-null'
  readonly operands: readonly EngineOperand[]
}

type EngineOperand =
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'date'; readonly value: string }
  | { readonly kind: 'parameter'; readonly number: number }

const OPERATORS: Readonly<Record<string, ComparisonOperator>> = {
  COMPARE_EQUAL: '=',
  COMPARE_LESSTHAN: '<',
  COMPARE_LESSTHANOREQUALTO: '<=',
  COMPARE_GREATERTHAN: '>',
  COMPARE_GREATERTHANOREQUALTO: '>=',
}

const MIRRORED: Readonly<Record<string, ComparisonOperator>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

/**
 * The conditions on the only table of a SELECT, by that table's node.
 *
 * Rows that WHERE drops reach nothing else of their SELECT, whatever that is. Only plain comparisons
 * of a column with constants or parameters are looked at; joins, samples and pivots are not.
 */
export function conditionsOf(
  root: EngineNode,
): ReadonlyMap<EngineNode, readonly EngineCondition[]> {
  const found = new Map<EngineNode, readonly EngineCondition[]>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) visit(item)
      return
    }
    const node = value as EngineNode
    const table = node.from_table as EngineNode | null | undefined
    if (
      node.type === 'SELECT_NODE' &&
      table?.type === 'BASE_TABLE' &&
      table.sample === null &&
      (table.column_name_alias as readonly unknown[]).length === 0
    ) {
      found.set(table, conjuncts(node.where_clause))
    }
    for (const child of Object.values(node)) visit(child)
  }
  visit(root)
  return found
}

function conjuncts(value: unknown): readonly EngineCondition[] {
  if (typeof value !== 'object' || value === null) return []
  const node = value as EngineNode
  const children = (node.children ?? []) as readonly EngineNode[]
  switch (node.type) {
    case 'CONJUNCTION_AND':
      return children.flatMap(conjuncts)
    case 'COMPARE_BETWEEN':
      return [
        ...compared(node.input, '>=', [node.lower]),
        ...compared(node.input, '<=', [node.upper]),
      ]
    case 'COMPARE_IN':
      return compared(children[0], 'in', children.slice(1))
    case 'OPERATOR_IS_NULL':
      return compared(children[0], 'is-null', [])
    case 'OPERATOR_IS_NOT_NULL':
      return compared(children[0], 'is-not-null', [])
    default: {
      const operator = node.class === 'COMPARISON' ? OPERATORS[String(node.type)] : undefined
      if (operator === undefined) return []
      const mirrored = MIRRORED[operator] ?? operator
      return [
        ...compared(node.left, operator, [node.right]),
        ...compared(node.right, mirrored, [node.left]),
      ]
    }
  }
}

function compared(
  column: unknown,
  operator: EngineCondition['operator'],
  values: readonly unknown[],
): readonly EngineCondition[] {
  const names = (column as EngineNode | undefined)?.column_names
  const operands = values.map(operandOf)
  if (!Array.isArray(names) || operands.includes(null)) return []
  return [{ column: names as string[], operator, operands: operands.filter((one) => one !== null) }]
}

function operandOf(value: unknown): EngineOperand | null {
  const node = (value ?? {}) as EngineNode
  if (node.class === 'PARAMETER' && /^\d+$/.test(String(node.identifier))) {
    return { kind: 'parameter', number: Number(node.identifier) }
  }
  if (node.class === 'CAST' && node.try_cast === false) {
    const inside = operandOf(node.child)
    const target = (node.cast_type as { readonly id?: unknown }).id
    return target === 'DATE' && inside?.kind === 'text' ? { ...inside, kind: 'date' } : null
  }
  if (node.class !== 'CONSTANT') return null
  const constant = node.value as {
    readonly type: { readonly id: string }
    readonly is_null: boolean
    readonly value?: unknown
  }
  if (constant.is_null) return null
  if (constant.type.id === 'VARCHAR') return { kind: 'text', value: String(constant.value) }
  // Larger numbers have lost digits on their way through JSON.
  return /^(?:INTEGER|BIGINT)$/.test(constant.type.id) && Number.isSafeInteger(constant.value)
    ? { kind: 'integer', value: BigInt(constant.value as number) }
    : null
}

/** A table as its conditions see it. */
export interface ConditionedTable {
  /** The name columns may be qualified by. */
  readonly alias: string
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
}

/** What `conditions` say about `table`, with the values of parameters; what is not certain is unknown. */
export function predicateOf(
  conditions: readonly EngineCondition[],
  table: ConditionedTable,
  values: readonly EngineValue[],
): Predicate {
  return and(conditions.map((condition) => convert(condition, table, values)))
}

function convert(
  { column, operator, operands }: EngineCondition,
  table: ConditionedTable,
  values: readonly EngineValue[],
): Predicate {
  const found = columnOf(column, table)
  if (found === null) return UNKNOWN
  const term = { kind: 'column', path: [found.name] } as const
  if (operator === 'is-null' || operator === 'is-not-null') return { kind: operator, term }
  const compared = operands.map((operand) => comparableValue(operand, found.type, values))
  const known = compared.filter((value) => value !== null)
  const [first] = known
  if (known.length < compared.length || first === undefined) return UNKNOWN
  return operator === 'in'
    ? { kind: 'in', term, values: known }
    : { kind: 'compare', operator, term, value: first }
}

/** DuckDB takes a name for a column before anything else, whatever its letters' case. */
function columnOf(
  names: readonly string[],
  { alias, columns }: ConditionedTable,
): ConditionedTable['columns'][number] | null {
  const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()
  const [first = '', second] = names
  const own = columns.filter(({ name }) => same(name, first))
  if (names.length === 1) return own.length === 1 ? (own[0] ?? null) : null
  // A column of the range's name would make this a field of it.
  if (names.length !== 2 || own.length > 0 || !same(first, alias)) return null
  const qualified = columns.filter(({ name }) => same(name, second ?? ''))
  return qualified.length === 1 ? (qualified[0] ?? null) : null
}

const INTEGERS: ReadonlySet<number> = new Set([Oid.int2, Oid.int4, Oid.int8])
const BIGINT = scalarType('BIGINT')

function comparableValue(
  operand: EngineOperand,
  type: SqlType,
  values: readonly EngineValue[],
): EngineValue | null {
  switch (operand.kind) {
    case 'integer': {
      const exact = INTEGERS.has(type.oid) || type.oid === Oid.numeric
      return exact ? { type: BIGINT, value: operand.value } : null
    }
    case 'text':
      if (type.oid === Oid.date) return dateValue(operand.value)
      return isPlainText(type.engine) ? { type: scalarType('VARCHAR'), value: operand.value } : null
    case 'date':
      return type.oid === Oid.date ? dateValue(operand.value) : null
    case 'parameter': {
      const given = values[operand.number - 1]
      if (given === undefined || given.value === null) return null
      return isComparable(given.type, type) ? given : null
    }
  }
}

function dateValue(text: string): EngineValue | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (match === null) return null
  const value = daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
  return { type: scalarType('DATE'), value }
}

function isPlainText(type: EngineType): boolean {
  return type.kind === 'scalar' && type.name === 'VARCHAR' && type.alias === undefined
}

/** Whether DuckDB compares values of these types without changing the column's. */
function isComparable(given: EngineType, type: SqlType): boolean {
  if (given.kind !== 'scalar') return false
  if (/^(?:SMALLINT|INTEGER|BIGINT)$/.test(given.name)) return INTEGERS.has(type.oid)
  if (given.name === 'VARCHAR') return isPlainText(given) && isPlainText(type.engine)
  return (
    /^(?:DATE|TIMESTAMP|TIMESTAMPTZ)$/.test(given.name) &&
    type.engine.kind === 'scalar' &&
    type.engine.name === given.name
  )
}
