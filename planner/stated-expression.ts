/** StatedExpression: an expression that a client's definition states, held against what Spark makes of its text. */

import { Oid } from '../catalog/pg-types.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DataType } from '../storage/schema.js'
import { analyzeExpression } from './analyze-expression.js'
import type { Analysis } from './analysis.js'
import { plainPlace } from './expression-place.js'
import { booleanOf } from './expression-types.js'
import { Scope } from './scope.js'
import { sparkText } from './spark-text.js'
import { sparkTypeName } from './spark-value.js'
import { typeName } from './sql-type.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, walk } from './syntax-tree.js'
import { storedValue, tableCondition, tableExpression } from './table-expression.js'
import { assign, type TargetColumn, targetColumn, targetScope } from './target-table.js'

export interface StatedExpression {
  readonly use: 'check' | 'default' | 'generated'
  readonly node: Node
  /** What is stored. */
  readonly text: string
  /** The column that gets the value; undefined for a check. */
  readonly column?: string
}

/**
 * Requires that `stated` means to Spark what it means to PostgreSQL, and that rows can be held
 * against it here.
 *
 * The errors of PostgreSQL where it is none to PostgreSQL (42703, 42804, 22P02, …), 0A000 where the
 * engines may differ: other types of a part, times taken apart in a session's zone.
 */
export function requireSameMeaning(
  analysis: Analysis,
  stated: StatedExpression,
  columns: readonly TargetColumn[],
  table: string,
): void {
  const { use, node, text } = stated
  const { scope } =
    use === 'default'
      ? { scope: new Scope(undefined) }
      : targetScope(columns, table, undefined, 'x', undefined)
  const place = plainPlace(
    {
      check: 'check constraints',
      default: 'DEFAULT expressions',
      generated: 'column generation expressions',
    }[use],
  )
  const value = analysis.located(-1, () => analyzeExpression(analysis, node, scope, place))
  const fields = use === 'default' ? [] : columns.map(({ field }) => field)
  if (stated.column === undefined) {
    booleanOf(analysis, value, 'CHECK')
    tableCondition(text, fields, 'x', 'the constraint')
  } else {
    const column = targetColumn(columns, stated.column, table)
    assignable(analysis, () => assign(analysis, value, column), use)
    storedValue(text, column.field.type, fields, 'x', `the ${use} value`)
  }
  walk(node, (part) => {
    const kind = kindOf(part)
    if (COMPARED.has(kind)) requireSameType(analysis, part, scope, fields)
    return true
  })
}

function assignable(analysis: Analysis, work: () => unknown, use: string): void {
  try {
    analysis.located(-1, work)
  } catch (thrown) {
    const isMismatch =
      thrown instanceof SqlError &&
      thrown.sqlState === SqlState.datatypeMismatch &&
      use === 'default'
    if (!isMismatch) throw thrown
    throw new SqlError(
      SqlState.datatypeMismatch,
      thrown.message.replace('but expression is', 'but default expression is'),
      { hint: 'You will need to rewrite or cast the expression.' },
    )
  }
}

/** Nodes whose value depends on the types of their parts. */
const COMPARED: ReadonlySet<string> = new Set([
  'A_Expr',
  'FuncCall',
  'TypeCast',
  'CaseExpr',
  'CoalesceExpr',
])

const CLASSES: ReadonlyMap<number, RegExp> = new Map([
  [Oid.bool, /^boolean$/],
  [Oid.int2, /^(?:byte|short)$/],
  [Oid.int4, /^integer$/],
  [Oid.int8, /^long$/],
  [Oid.float4, /^float$/],
  [Oid.float8, /^double$/],
  [Oid.numeric, /^decimal/],
  [Oid.text, /^string$/],
  [Oid.varchar, /^string$/],
  [Oid.unknown, /^string$/],
  [Oid.date, /^date$/],
  [Oid.timestamp, /^timestamp_ntz$/],
  [Oid.timestamptz, /^timestamp$/],
])

function requireSameType(
  analysis: Analysis,
  node: Node,
  scope: Scope,
  fields: Parameters<typeof tableExpression>[1],
): void {
  const call = nodeOf(node, 'FuncCall')
  const name = call === undefined ? '' : (namesOf(call.funcname).at(-1) ?? '')
  const typeOf = (part: Node): number =>
    analyzeExpression(analysis, part, scope, plainPlace('this')).type.oid
  const parts = partsOf(node)
  const oids = parts.map(typeOf)
  const moments = oids.filter((oid) => oid === Oid.timestamptz).length
  const others = parts.some((part, i) => oids[i] !== Oid.timestamptz && constantOf(part) !== null)
  const isSpoken = /^(?:year|month|day)$/.test(name)
  if (moments > 0 && others && !isSpoken && !isTimeless(analysis)) {
    throw differs('it depends on the time zone of the session')
  }
  const cast = nodeOf(node, 'TypeCast')
  if (cast !== undefined && constantOf(cast.arg) === undefined)
    requireSameCast(oids[0] ?? 0, typeOf(node))
  // Of these PostgreSQL's numbers are wider, and hold the same.
  if (isSpoken || name === 'extract') return
  const operator = namesOf(nodeOf(node, 'A_Expr')?.name).at(-1)
  if (operator === '||' && oids.some((oid) => !CLASSES.get(oid)?.test('string'))) {
    throw differs('|| has a side that is no text')
  }
  const oid = typeOf(node)
  const spark = tableExpression(sparkText(node), fields, 'x', 'the expression').type
  if (!matches(oid, spark)) {
    throw differs(
      `a part is ${typeName({ oid })} to PostgreSQL and ${sparkTypeName(spark)} to Spark`,
    )
  }
}

function matches(oid: number, spark: DataType): boolean {
  return CLASSES.get(oid)?.test(sparkTypeName(spark)) === true
}

/** The operands of a node, in the words of the tree. */
function partsOf(node: Node): readonly Node[] {
  const fields = (node[kindOf(node)] ?? {}) as Node
  const list = listOf(nodeOf(fields.rexpr, 'List')?.items)
  const right = list.length > 0 ? list : fields.rexpr === undefined ? [] : [fields.rexpr as Node]
  switch (kindOf(node)) {
    case 'A_Expr':
      return [...(fields.lexpr === undefined ? [] : [fields.lexpr as Node]), ...right]
    case 'TypeCast':
      return constantOf(fields.arg) === undefined ? [fields.arg as Node] : []
    case 'CaseExpr':
      return []
    case 'FuncCall':
      return listOf(fields.args).slice(namesOf(fields.funcname).at(-1) === 'extract' ? 1 : 0)
    default:
      return listOf(fields.args)
  }
}

const INTEGERS: readonly number[] = [Oid.int2, Oid.int4, Oid.int8]

/** Casts that give the same: integers among each other, to doubles and texts, and times to dates. */
function requireSameCast(from: number, to: number): void {
  const isInteger = INTEGERS.includes(from)
  const same =
    from === to ||
    (isInteger &&
      (INTEGERS.includes(to) || to === Oid.float8 || CLASSES.get(to)?.test('string'))) ||
    (from === Oid.float4 && to === Oid.float8) ||
    (from === Oid.timestamp && to === Oid.date) ||
    (CLASSES.get(from)?.test('string') && CLASSES.get(to)?.test('string')) ||
    // Of `extract`, which is an integer to Spark.
    (from === Oid.numeric && INTEGERS.includes(to))
  if (same !== true)
    throw differs(`a cast from ${typeName({ oid: from })} to ${typeName({ oid: to })}`)
}

/** Whether the session's times are those in which stored expressions are evaluated. */
function isTimeless(analysis: Analysis): boolean {
  return /^(?:UTC|Etc\/UTC|GMT|Z)$/i.test(analysis.inputStyle?.timeZone ?? 'UTC')
}

function differs(why: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'the expression uses what other engines might evaluate otherwise',
    { detail: why },
  )
}
