/** TablePredicates: what a statement's conditions say about each table it reads, for data skipping. */

import { Oid } from '../catalog/pg-types.js'
import { parseTimestampMicros } from '../storage/data-skipping.js'
import { scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import {
  and,
  type ComparisonOperator,
  type Predicate,
  type Term,
  UNKNOWN,
} from '../storage/predicate.js'
import type { LevelCondition, LevelRange, QueryLevel } from './query-level.js'
import { passedOn, type Range, type RangeColumn } from './scope.js'
import { categoryOf, type SqlType } from './sql-type.js'
import { anyPart, expression, sameEngineType, type TypedExpression } from './typed-expression.js'

/** Conditions that are not of the statement's text, by the level they hold at. */
export type ExtraConditions = ReadonlyMap<QueryLevel, readonly LevelCondition[]>

/**
 * By relation id, a condition that every row of that table used by the statement satisfies.
 *
 * Conditions of enclosing queries are followed into subqueries, views and branches of UNION as far
 * as columns pass through unchanged. Tables on the null-extended side of an outer join are asked
 * only what their own side asks: a missing row there means something.
 */
export function tablePredicates(
  roots: readonly (readonly QueryLevel[])[],
  values: readonly EngineValue[],
  extra: ExtraConditions = new Map(),
): ReadonlyMap<number, Predicate> {
  const found = new Map<number, Predicate>()
  for (const { level, conditions } of conditionedLevels(roots, extra)) {
    for (const { range, relation } of level.ranges) {
      if (relation === undefined) continue
      const parts = conditions
        .filter((one) => holdsFor(one, range))
        .map(({ condition }) => convert(condition, { range, values }))
      found.set(relation, and(parts))
    }
  }
  return found
}

/** Whether `range` is one of those for whose rows the condition must hold. */
export function holdsFor({ only }: LevelCondition, range: Range): boolean {
  return only === undefined || only.has(range)
}

/**
 * Every level of a statement with the conditions that hold at it: its own, `extra` ones, and those
 * of enclosing queries on columns that pass through, in this level's words.
 */
export function* conditionedLevels(
  roots: readonly (readonly QueryLevel[])[],
  extra: ExtraConditions = new Map(),
): Generator<{ readonly level: QueryLevel; readonly conditions: readonly LevelCondition[] }> {
  function* visit(
    level: QueryLevel,
    inherited: readonly LevelCondition[],
  ): ReturnType<typeof conditionedLevels> {
    const conditions = [...level.conditions, ...(extra.get(level) ?? []), ...inherited]
    yield { level, conditions }
    for (const leaf of level.ranges) {
      const own = conditions.filter((one) => holdsFor(one, leaf.range))
      for (const inner of leaf.inner) {
        const only = new Set(
          inner.ranges.map(({ range }) => range).filter((range) => !range.nullable),
        )
        const passed = own.map(({ condition }) => ({
          condition: reworded(condition, leaf, inner),
          only,
        }))
        yield* visit(inner, passed)
      }
    }
  }
  for (const levels of roots) for (const level of levels) yield* visit(level, [])
}

/** An equality of a condition: a column of the table, or a widened one, with what it must equal. */
export interface KeyEquality {
  readonly term: Term
  readonly value: TypedExpression
}

/** Those of `conjuncts` by which the rows of `range` are looked up with values of other ranges. */
export function keyEqualities(
  conjuncts: readonly TypedExpression[],
  range: Range,
): readonly KeyEquality[] {
  const context: Context = { range, values: [] }
  const isForeign = (value: TypedExpression): boolean =>
    !anyPart(
      value,
      ({ shape }) =>
        /^(?:subquery|aggregate|window|set-returning|grouping|other)$/.test(shape.kind) ||
        (shape.kind === 'column' && (shape.outer || shape.column.range === range)),
    )
  return conjuncts.flatMap(({ shape, parts: [left, right] }) => {
    if (shape.kind !== 'operator' || shape.name !== '=') return []
    if (left === undefined || right === undefined) return []
    for (const [own, value] of [
      [left, right],
      [right, left],
    ] as const) {
      const term = termOf(own, context)
      if (term !== null && KEY_TYPES.has(value.type.oid) && isForeign(value)) {
        return [{ term, value }]
      }
    }
    return []
  })
}

/** The equality of a column of a table with another range's column, if their values can bound it. */
export function keyEquality(own: RangeColumn, other: RangeColumn): readonly KeyEquality[] {
  if (!KEY_TYPES.has(other.type.oid) || own.type.oid !== other.type.oid) return []
  const value = expression(passedOn(other), other.type, [], -1, {
    kind: 'column',
    column: other,
    path: [],
    outer: false,
  })
  return [{ term: { kind: 'column', path: [baseName(passedOn(own))] }, value }]
}

/** Types whose least and greatest value bound all values as statistics do. */
export const KEY_TYPES: ReadonlySet<number> = new Set([
  Oid.int2,
  Oid.int4,
  Oid.int8,
  Oid.numeric,
  Oid.text,
  Oid.varchar,
  Oid.date,
  Oid.timestamp,
])

/** `condition` on columns of `leaf` as one on what computes them inside, its DuckDB text too. */
function reworded(
  condition: TypedExpression,
  leaf: LevelRange,
  inner: QueryLevel,
): TypedExpression {
  const words = new Map<string, string>()
  const passing = leaf.range.columns.flatMap((column, i) => {
    const output = inner.outputs[i]
    // Of another type, as a branch of UNION may be, the text would mean something else.
    const isSame = output !== undefined && sameEngineType(output.type.engine, column.type.engine)
    return isSame && inner.passes(i) ? [{ column, output }] : []
  })
  for (const { column, output } of passing) words.set(passedOn(column), output.sql)
  // Literals and quoted names are walked over whole.
  const sql = condition.sql.replaceAll(
    /'(?:[^']|'')*'|(?:\w+\.)?"(?:[^"]|"")*"/g,
    (word) => words.get(word) ?? word,
  )
  return { ...substitute(condition, leaf, inner), sql }
}

/** The shape of `reworded`. */
function substitute(value: TypedExpression, leaf: LevelRange, inner: QueryLevel): TypedExpression {
  const opaque: TypedExpression = { ...value, shape: { kind: 'other' }, parts: [] }
  if (value.shape.kind === 'column') {
    const { column, path } = value.shape
    if (column.range !== leaf.range || path.length > 0) return opaque
    const index = leaf.range.columns.indexOf(column)
    const output = inner.outputs[index]
    return output !== undefined && inner.passes(index) ? output : opaque
  }
  return { ...value, parts: value.parts.map((part) => substitute(part, leaf, inner)) }
}

interface Context {
  readonly range: Range
  readonly values: readonly EngineValue[]
}

function convert(value: TypedExpression, context: Context): Predicate {
  const { shape, parts } = value
  const [first, second] = parts
  switch (shape.kind) {
    case 'and':
      return { kind: 'and', parts: parts.map((part) => convert(part, context)) }
    case 'or':
      return { kind: 'or', parts: parts.map((part) => convert(part, context)) }
    case 'not':
      return { kind: 'not', part: first === undefined ? UNKNOWN : convert(first, context) }
    case 'is-null':
    case 'is-not-null': {
      const term = first === undefined ? null : termOf(first, context)
      return term === null || term.kind !== 'column' ? UNKNOWN : { kind: shape.kind, term }
    }
    case 'in':
    case 'not-in':
      return membership(parts, shape.kind === 'not-in', context)
    case 'operator':
      if (first === undefined || second === undefined) return UNKNOWN
      return shape.name === '~~'
        ? prefix(first, second, context)
        : comparison(shape.name, first, second, context)
    case 'call':
      return shape.name === 'any' && first !== undefined && second !== undefined
        ? anyOf(first, second, context)
        : UNKNOWN
    case 'constant':
      if (value.type.oid !== Oid.bool) return UNKNOWN
      return { kind: 'constant', value: shape.text === null ? null : /^t/i.test(shape.text) }
    case 'column': {
      // A bare boolean column as a condition.
      const term = termOf(value, context)
      const yes: EngineValue = { type: scalarType('BOOLEAN'), value: true }
      return term === null ? UNKNOWN : { kind: 'compare', operator: '=', term, value: yes }
    }
    default:
      return UNKNOWN
  }
}

const FLIPPED: Readonly<Record<string, ComparisonOperator>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

function comparison(
  name: string,
  left: TypedExpression,
  right: TypedExpression,
  context: Context,
): Predicate {
  const flipped = FLIPPED[name]
  if (flipped === undefined) return UNKNOWN
  const leftTerm = termOf(left, context)
  const [operator, term, other, of] =
    leftTerm !== null
      ? [name as ComparisonOperator, leftTerm, right, left]
      : [flipped, termOf(right, context), left, right]
  if (term === null) return UNKNOWN
  const value = comparedValue(other, of, context)
  return value === null ? UNKNOWN : { kind: 'compare', operator, term, value }
}

function membership(parts: readonly TypedExpression[], not: boolean, context: Context): Predicate {
  const [left, ...items] = parts
  const term = left === undefined ? null : termOf(left, context)
  if (left === undefined || term === null) return UNKNOWN
  const values = items.map((item) => comparedValue(item, left, context))
  if (values.length === 0 || values.includes(null)) return UNKNOWN
  const inside: Predicate = { kind: 'in', term, values: values.filter((value) => value !== null) }
  return not ? { kind: 'not', part: inside } : inside
}

/** `column = ANY ($1)`: how drivers send lists. */
function anyOf(left: TypedExpression, array: TypedExpression, context: Context): Predicate {
  const term = termOf(left, context)
  if (term === null) return UNKNOWN
  if (array.shape.kind === 'parameter') {
    const given = context.values[array.shape.number - 1]
    if (given === undefined || given.type.kind !== 'list' || !Array.isArray(given.value))
      return UNKNOWN
    const { child } = given.type
    const items = given.value.filter((item) => item !== null)
    if (items.some((item) => Array.isArray(item))) return UNKNOWN
    // No row equals any of no values, whatever the nulls among them.
    return { kind: 'in', term, values: items.map((value) => ({ type: child, value })) }
  }
  if (array.parts.length === 0) return UNKNOWN
  const values = array.parts.map((part) => comparedValue(part, left, context))
  return values.includes(null)
    ? UNKNOWN
    : { kind: 'in', term, values: values.filter((value) => value !== null) }
}

function prefix(left: TypedExpression, right: TypedExpression, context: Context): Predicate {
  const term = termOf(left, context)
  if (term === null || right.shape.kind !== 'constant' || right.shape.text === null) return UNKNOWN
  const text = /^[^%_\\]*/.exec(right.shape.text)?.[0] ?? ''
  if (text === '') return UNKNOWN
  // Only "starts with" is claimed; that it is one part of more keeps NOT LIKE from using it.
  return { kind: 'and', parts: [{ kind: 'starts-with', term, prefix: text }, UNKNOWN] }
}

/** The column of the range, or known function of one, that `value` is; null for anything else. */
function termOf(value: TypedExpression, context: Context): Term | null {
  const { shape, parts } = value
  const [first, second] = parts
  switch (shape.kind) {
    case 'column':
      return shape.column.range === context.range
        ? { kind: 'column', path: [baseName(passedOn(shape.column)), ...shape.path] }
        : null
    case 'cast': {
      if (first === undefined) return null
      const term = termOf(first, context)
      if (term === null) return null
      const [from, to] = [first.type.oid, value.type.oid]
      if (from === Oid.timestamp && to === Oid.date) {
        return { kind: 'cast', to: scalarType('DATE'), of: term, timeZone: 'UTC' }
      }
      return isWidening(first.type, value.type) ? term : null
    }
    case 'call': {
      if (first?.shape.kind !== 'constant' || second === undefined) return null
      const unit = first.shape.text ?? ''
      const term = termOf(second, context)
      if (term === null || term.kind !== 'column') return null
      const zoneless = second.type.oid === Oid.timestamp || second.type.oid === Oid.date
      if (!zoneless) return null
      if (shape.name === 'date_trunc')
        return { kind: 'date-trunc', unit, of: term, timeZone: 'UTC' }
      if (/^(?:extract|date_part)$/.test(shape.name) && unit.toLowerCase() === 'year') {
        return { kind: 'extract', field: 'year', of: term, timeZone: 'UTC' }
      }
      return null
    }
    default:
      return null
  }
}

/** The table's own name of a column: an alias of the range may have renamed it. */
function baseName(sql: string): string {
  return sql
    .slice(sql.indexOf('.') + 1)
    .replace(/^"|"$/g, '')
    .replaceAll('""', '"')
}

const EXACT: readonly number[] = [Oid.int2, Oid.int4, Oid.int8, Oid.numeric]
const TEXTS: ReadonlySet<number> = new Set([Oid.text, Oid.varchar])

/** Whether a conversion changes no value: never where a text is cut or digits are rounded away. */
export function isWidening(from: SqlType, to: SqlType): boolean {
  const [one, other] = [from.engine, to.engine]
  if (one.kind === 'decimal' && other.kind === 'decimal') {
    const isNarrow = other.scale < one.scale || other.width - other.scale < one.width - one.scale
    return !isNarrow
  }
  if (to.typmod >= 0 && to.typmod !== from.typmod && to.oid !== Oid.numeric) return false
  if (from.oid === to.oid) return true
  if (TEXTS.has(from.oid) && TEXTS.has(to.oid)) return true
  const [a, b] = [EXACT.indexOf(from.oid), EXACT.indexOf(to.oid)]
  return a >= 0 && b > a
}

/** The constant or parameter `value` as one to compare `term`'s values with; null when not certain. */
function comparedValue(
  value: TypedExpression,
  other: TypedExpression,
  context: Context,
): EngineValue | null {
  const { shape, type } = value
  if (shape.kind === 'value') return shape.value
  if (shape.kind === 'parameter') {
    const given = context.values[shape.number - 1]
    if (given === undefined || given.value === null) return null
    const text = given.type.kind === 'scalar' && given.type.name === 'VARCHAR'
    return text && categoryOf(other.type.oid) !== 'S' ? null : given
  }
  if (shape.kind === 'cast' && value.parts[0] !== undefined) {
    const [inside] = value.parts
    return isWidening(inside.type, type) && value.type.typmod < 0
      ? comparedValue(inside, other, context)
      : null
  }
  if (shape.kind !== 'constant' || shape.text === null) return null
  return constantValue(shape.text.trim(), shape.text, type.oid)
}

function constantValue(text: string, raw: string, oid: number): EngineValue | null {
  switch (oid) {
    case Oid.int2:
    case Oid.int4:
    case Oid.int8:
      return /^-?\d{1,19}$/.test(text) ? { type: scalarType('BIGINT'), value: BigInt(text) } : null
    case Oid.numeric: {
      const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text)
      const digits = (match?.[1] ?? '') + (match?.[2] ?? '')
      if (match === null || digits.length > 30) return null
      const scale = (match[2] ?? '').length
      return { type: { kind: 'decimal', width: 38, scale }, value: BigInt(digits) }
    }
    case Oid.bool:
      if (!/^(?:t|true|f|false)$/i.test(text)) return null
      return { type: scalarType('BOOLEAN'), value: /^t/i.test(text) }
    case Oid.text:
    case Oid.varchar:
      return { type: scalarType('VARCHAR'), value: raw }
    case Oid.date: {
      const millis = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
      return Number.isNaN(millis) ? null : { type: scalarType('DATE'), value: millis / 86_400_000 }
    }
    case Oid.timestamp: {
      const zoned = /(?:Z|UTC|[+-]\d\d(?::?\d\d)?)$/i.test(text.slice(10))
      const micros = parseTimestampMicros(text.length === 10 ? `${text} 00:00` : text)
      return micros === null || zoned ? null : { type: scalarType('TIMESTAMP'), value: micros }
    }
    case Oid.timestamptz: {
      // Without a zone of its own the text depends on the session's.
      if (!/(?:Z|[+-]\d\d(?::?\d\d)?)$/i.test(text.slice(10))) return null
      const micros = parseTimestampMicros(text)
      return micros === null ? null : { type: scalarType('TIMESTAMPTZ'), value: micros }
    }
    default:
      return null
  }
}
