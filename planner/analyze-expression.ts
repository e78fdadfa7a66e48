/** AnalyzeExpression: a scalar expression of the parser's tree as a typed one in DuckDB's words. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import { SqlState } from '../storage/errors.js'
import { analyzeCall, callOperator } from './analyze-call.js'
import { analyzeSubquery } from './analyze-query.js'
import type { Analysis } from './analysis.js'
import { canonical, coerce, commonType, textOf } from './coercion.js'
import { numberLiteral } from './literal.js'
import { parameterMarker } from './parameter-marker.js'
import { engineRegexp, similarRegexp } from './regexp.js'
import {
  columnOfRange,
  findColumn,
  findRange,
  type Range,
  type RangeColumn,
  type Scope,
} from './scope.js'
import {
  arrayOf,
  categoryOf,
  elementOf,
  isArrayOid,
  type SqlType,
  sqlType,
  typeName,
  typeOfEngine,
  typeOfName,
} from './sql-type.js'
import { kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { expression, locationOf, type Shape, type TypedExpression } from './typed-expression.js'

/** Where an expression stands, which decides what it may contain. */
export interface Place {
  /** As error messages name it: `WHERE`, `GROUP BY`, …; '' where aggregates and windows are welcome. */
  readonly clause: string
  readonly aggregates: boolean
  readonly windows: boolean
  readonly setReturning: boolean
}

export const SELECT_LIST: Place = {
  clause: '',
  aggregates: true,
  windows: true,
  setReturning: true,
}
export const HAVING: Place = {
  clause: 'HAVING',
  aggregates: true,
  windows: false,
  setReturning: false,
}

/** A clause in which neither aggregates nor windows may stand. */
export function plainPlace(clause: string): Place {
  return { clause, aggregates: false, windows: false, setReturning: false }
}

/** The expression `node` in `scope`; every error tells its place. */
export function analyzeExpression(
  analysis: Analysis,
  node: Node,
  scope: Scope,
  place: Place,
): TypedExpression {
  const kind = kindOf(node)
  const fields = (node[kind] ?? {}) as Node
  const location = locationOf(fields)
  return analysis.located(location, () => {
    const handler = HANDLERS[kind]
    if (handler === undefined) {
      throw analysis.notSupported(NAMES[kind] ?? `the syntax of ${kind}`, location)
    }
    return handler({ analysis, fields, location, scope, place, node })
  })
}

interface Work {
  readonly analysis: Analysis
  readonly node: Node
  readonly fields: Node
  readonly location: number
  readonly scope: Scope
  readonly place: Place
}

const NAMES: Readonly<Record<string, string>> = {
  XmlExpr: 'XML',
  XmlSerialize: 'XML',
  SetToDefault: 'DEFAULT in this place',
  CurrentOfExpr: 'WHERE CURRENT OF',
  JsonFuncExpr: 'SQL/JSON',
  JsonObjectConstructor: 'SQL/JSON',
  JsonArrayConstructor: 'SQL/JSON',
  JsonIsPredicate: 'IS JSON',
  MultiAssignRef: 'assignment from a row',
}

const HANDLERS: Readonly<Record<string, (work: Work) => TypedExpression>> = {
  A_Const: constant,
  ColumnRef: columnReference,
  ParamRef: parameter,
  TypeCast: typeCast,
  FuncCall: ({ analysis, fields, scope, place }) => analyzeCall(analysis, fields, scope, place),
  A_Expr: operation,
  BoolExpr: logic,
  NullTest: nullTest,
  BooleanTest: booleanTest,
  CaseExpr: choice,
  CoalesceExpr: coalesce,
  MinMaxExpr: minMax,
  SubLink: subLink,
  A_ArrayExpr: arrayConstructor,
  A_Indirection: indirection,
  RowExpr: row,
  CollateClause: collate,
  SQLValueFunction: valueFunction,
  GroupingFunc: grouping,
  MergeSupportFunc: mergeAction,
}

function inner(work: Work, node: unknown): TypedExpression {
  return analyzeExpression(work.analysis, node as Node, work.scope, work.place)
}

function mergeAction({ analysis, scope, location }: Work): TypedExpression {
  if (scope.mergeAction !== undefined) {
    return expression(scope.mergeAction, sqlType(Oid.text), [], location)
  }
  throw analysis.error(
    SqlState.syntaxError,
    'MERGE_ACTION() can only be used in the RETURNING list of a MERGE command',
    location,
  )
}

const UNKNOWN: SqlType = { oid: Oid.unknown, typmod: -1, engine: scalarType('VARCHAR') }

function constant({ fields, location }: Work): TypedExpression {
  const shaped = (sql: string, type: SqlType, text: string | null): TypedExpression =>
    expression(sql, type, [], location, { kind: 'constant', text })
  if (fields.isnull === true) return shaped('NULL', UNKNOWN, null)
  const boolval = fields.boolval as { readonly boolval?: boolean } | undefined
  if (boolval !== undefined) {
    const value = boolval.boolval === true
    return shaped(String(value), sqlType(Oid.bool), value ? 't' : 'f')
  }
  const ival = fields.ival as { readonly ival?: number } | undefined
  if (ival !== undefined) return numberLiteral(String(ival.ival ?? 0), location)
  const fval = fields.fval as { readonly fval?: string } | undefined
  if (fval !== undefined) {
    return numberLiteral(fval.fval ?? '0', location)
  }
  const sval = fields.sval as { readonly sval?: string } | undefined
  if (sval !== undefined) return shaped(quoteLiteral(sval.sval ?? ''), UNKNOWN, sval.sval ?? '')
  const bsval = fields.bsval as { readonly bsval?: string } | undefined
  const bits = bsval?.bsval ?? ''
  const binary = bits.startsWith('x')
    ? [...bits.slice(1)]
        .map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0'))
        .join('')
    : bits.slice(1)
  return shaped(`CAST('${binary}' AS BIT)`, sqlType(Oid.bit), binary)
}

function parameter({ analysis, fields, location }: Work): TypedExpression {
  const number = Number(fields.number ?? 0)
  const known = analysis.parameter(number)
  const shape: Shape = { kind: 'parameter', number }
  if (known === undefined) return expression(parameterMarker(number), UNKNOWN, [], location, shape)
  return expression(
    `CAST(${parameterMarker(number)} AS ${printEngineType(known.engine)})`,
    known,
    [],
    location,
    shape,
  )
}

/** A column as an expression, noted with the level it belongs to when a subquery uses it. */
export function columnExpression(
  column: RangeColumn,
  home: Scope,
  scope: Scope,
  location: number,
): TypedExpression {
  const found = expression(column.sql, column.type, [], location, {
    kind: 'column',
    column,
    path: [],
    outer: home !== scope,
  })
  for (
    let level: Scope | undefined = scope;
    level !== undefined && level !== home;
    level = level.parent
  ) {
    // Every level between the use and the column passes it on, so that each can check its grouping.
    level.parent?.usedByInner.push(found)
  }
  return found
}

function columnReference({ analysis, fields, location, scope }: Work): TypedExpression {
  const parts = listOf(fields.fields)
  if (nodeOf(parts.at(-1), 'A_Star') !== undefined) {
    throw analysis.error(
      SqlState.syntaxError,
      'row expansion via "*" is not supported here',
      location,
    )
  }
  const names = parts.map((part) => stringOf(part) ?? '')
  const [first = '', second, third] = names
  if (names.length === 1) {
    const found = findColumn(scope, first)
    if (found !== undefined) {
      return found.merged ?? columnExpression(found.column, found.scope, scope, location)
    }
    const whole = findRange(scope, first)
    if (whole !== undefined) return wholeRow(whole.range, whole.scope, scope, location)
    throw missingColumn(analysis, first, scope, location)
  }
  const qualified = findRange(scope, first)
  if (qualified !== undefined && second !== undefined) {
    const column = columnOfRange(qualified.range, second)
    if (column !== undefined) {
      const found = columnExpression(column, qualified.scope, scope, location)
      return names.slice(2).reduce((of, name) => structField(analysis, of, name, location), found)
    }
    if (names.length === 2) {
      throw analysis.error(
        SqlState.undefinedColumn,
        `column ${first}.${second} does not exist`,
        location,
        similarHint(
          qualified.range.columns.map((one) => one.name),
          second,
          first,
        ),
      )
    }
  }
  if (names.length >= 3 && second !== undefined && third !== undefined) {
    const withSchema = findRange(scope, second, first)
    const column = withSchema === undefined ? undefined : columnOfRange(withSchema.range, third)
    if (withSchema !== undefined && column !== undefined) {
      const found = columnExpression(column, withSchema.scope, scope, location)
      return names.slice(3).reduce((of, name) => structField(analysis, of, name, location), found)
    }
  }
  // A struct's field, as the engine's users write it: column.field.
  const struct = findColumn(scope, first)
  if (struct !== undefined && struct.column.type.engine.kind === 'struct') {
    const found = columnExpression(struct.column, struct.scope, scope, location)
    return names.slice(1).reduce((of, name) => structField(analysis, of, name, location), found)
  }
  const table = names.slice(0, -1).join('.')
  throw analysis.error(
    SqlState.undefinedTable,
    `missing FROM-clause entry for table "${names.length > 2 ? (second ?? '') : table}"`,
    location,
  )
}

function missingColumn(analysis: Analysis, name: string, scope: Scope, location: number): Error {
  const known: string[] = []
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    known.push(...level.columns.map((one) => one.name))
  }
  return analysis.error(
    SqlState.undefinedColumn,
    `column "${name}" does not exist`,
    location,
    similarHint(known, name),
  )
}

function similarHint(names: readonly string[], wanted: string, table?: string): { hint?: string } {
  const close = names.find((name) => distance(name.toLowerCase(), wanted.toLowerCase()) <= 2)
  if (close === undefined) return {}
  const qualified = table === undefined ? close : `${table}.${close}`
  return { hint: `Perhaps you meant to reference the column "${qualified}".` }
}

/** Levenshtein distance, cut at 3: more is no typing error. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (last[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    last = next
  }
  return last[b.length] ?? 3
}

function wholeRow(range: Range, home: Scope, scope: Scope, location: number): TypedExpression {
  const columns = range.columns.map((column) => columnExpression(column, home, scope, location))
  const [only] = columns
  // A function that gives single values is named by its alias as a value, not as a row of one.
  if (range.scalar === true && only !== undefined) return only
  const fields = range.columns.map(
    (column, i) => `${quoteIdentifier(column.name)} := ${columns[i]?.sql}`,
  )
  const engine = {
    kind: 'struct' as const,
    fields: range.columns.map((column) => ({ name: column.name, type: column.type.engine })),
  }
  const sql = `struct_pack(${fields.join(', ')})`
  return expression(sql, { oid: Oid.record, typmod: -1, engine }, columns, location)
}

function structField(
  analysis: Analysis,
  of: TypedExpression,
  name: string,
  location: number,
): TypedExpression {
  const { engine } = of.type
  if (engine.kind === 'struct') {
    const field =
      engine.fields.find((one) => one.name === name) ??
      engine.fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) {
      throw analysis.error(
        SqlState.undefinedColumn,
        `column "${name}" not found in data type struct`,
        location,
      )
    }
    const path =
      of.shape.kind === 'column'
        ? { ...of.shape, path: [...of.shape.path, field.name] }
        : ({ kind: 'other' } as const)
    const parts = of.shape.kind === 'column' ? [] : [of]
    const sql = `struct_extract(${of.sql}, ${quoteLiteral(field.name)})`
    const found = expression(sql, typeOfEngine(field.type), parts, location, path)
    // A path keeps its column's identity; for grouping it counts as the column itself.
    return of.shape.kind === 'column' ? { ...found, parts: [of] } : found
  }
  throw analysis.error(
    SqlState.wrongObjectType,
    `column notation .${name} applied to type ${typeName(of.type)}, which is not a composite type`,
    location,
  )
}

function typeCast(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const typeNode = fields.typeName as Node
  const target = analysis.located(locationOf(typeNode), () => typeOfName(typeNode))
  const arrayNode = nodeOf(fields.arg, 'A_ArrayExpr')
  if (arrayNode !== undefined && isArrayOid(target.oid)) {
    // ARRAY[]::int[]: the elements are read as the element type.
    return arrayOfElements(work, listOf(arrayNode.elements), target)
  }
  const value = inner(work, fields.arg)
  if (
    target.oid === Oid.regclass ||
    target.oid === Oid.regproc ||
    target.oid === Oid.regnamespace
  ) {
    if (value.type.oid !== target.oid)
      throw analysis.notSupported(`a cast to ${typeName(target)} beside tables`, location)
  }
  if (target.oid === Oid.regtype) {
    return { ...value, type: { oid: Oid.regtype, typmod: -1, engine: scalarType('VARCHAR') } }
  }
  return analysis.located(location, () => {
    const result = coerce(value, target, 'explicit', analysis)
    // A cast that the client wrote names its column and is looked through by nobody.
    return result.shape.kind === 'constant' || result === value
      ? { ...result, location }
      : { ...result, location }
  })
}

// ---- operators ------------------------------------------------------------------------------------

function operation(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const operator = namesOf(fields.name).at(-1) ?? ''
  switch (fields.kind) {
    case 'AEXPR_OP': {
      if (fields.lexpr === undefined) {
        return callOperator(analysis, operator, [inner(work, fields.rexpr)], location)
      }
      return binary(work, operator, inner(work, fields.lexpr), inner(work, fields.rexpr))
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const words = fields.kind === 'AEXPR_DISTINCT' ? 'IS DISTINCT FROM' : 'IS NOT DISTINCT FROM'
      const sides = [inner(work, fields.lexpr), inner(work, fields.rexpr)] as const
      const rows = sides.every((side) => side.type.oid === Oid.record && side.parts.length > 0)
      const equal = binary(work, '=', sides[0], sides[1])
      if (rows) {
        const pairs = equal.parts.map(
          (pair) => `${pair.parts[0]?.sql} ${words} ${pair.parts[1]?.sql}`,
        )
        const joined = fields.kind === 'AEXPR_DISTINCT' ? ' OR ' : ' AND '
        return expression(`(${pairs.join(joined)})`, sqlType(Oid.bool), equal.parts, location)
      }
      const [left, right] = equal.parts
      if (left === undefined || right === undefined) return equal
      return expression(
        `(${left.sql} ${words} ${right.sql})`,
        sqlType(Oid.bool),
        equal.parts,
        location,
      )
    }
    case 'AEXPR_NULLIF': {
      const left = inner(work, fields.lexpr)
      const equal = callOperator(analysis, '=', [left, inner(work, fields.rexpr)], location)
      const [first, second] = equal.parts
      const numbers = equal.parts.every((part) => categoryOf(part.type.oid) === 'N')
      const kept =
        left.type.oid === Oid.unknown
          ? (first ?? left)
          : numbers
            ? coerceExactly(analysis, left, {
                ...commonType(
                  equal.parts.map((part) => part.type),
                  'NULLIF',
                ),
                typmod: left.type.oid === second?.type.oid ? left.type.typmod : -1,
              })
            : left
      return expression(`nullif(${kept.sql}, ${second?.sql})`, kept.type, equal.parts, location)
    }
    case 'AEXPR_IN':
      return inList(work, operator)
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return like(work, operator)
    case 'AEXPR_SIMILAR':
      return similar(work, operator)
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return between(work)
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return overArray(work, operator, fields.kind === 'AEXPR_OP_ANY')
    default:
      throw analysis.notSupported(`the operator form ${String(fields.kind)}`, location)
  }
}

/** `left operator right`, rows compared field by field. */
function binary(
  work: { readonly analysis: Analysis; readonly location: number },
  operator: string,
  left: TypedExpression,
  right: TypedExpression,
): TypedExpression {
  const { analysis, location } = work
  const sameRows = left.type.oid === Oid.record && right.type.oid === Oid.record
  if (!sameRows || left.shape.kind !== 'other' || left.parts.length === 0) {
    return callOperator(analysis, operator, [left, right], location)
  }
  if (left.parts.length !== right.parts.length) {
    throw analysis.error(
      SqlState.syntaxError,
      'unequal number of entries in row expressions',
      location,
    )
  }
  const pair = (name: string, i: number): TypedExpression =>
    binary(work, name, left.parts[i] as TypedExpression, right.parts[i] as TypedExpression)
  const count = left.parts.length
  const bool = sqlType(Oid.bool)
  if (operator === '=' || operator === '<>') {
    const pairs = Array.from({ length: count }, (_, i) => pair(operator, i))
    const joined = operator === '=' ? 'AND' : 'OR'
    return expression(
      `(${pairs.map((one) => one.sql).join(` ${joined} `)})`,
      bool,
      pairs,
      location,
      {
        kind: operator === '=' ? 'and' : 'or',
      },
    )
  }
  // The first fields that differ decide.
  const strict = operator.replace('=', '')
  const pairs: TypedExpression[] = []
  let sql = ''
  for (let i = count - 1; i >= 0; i--) {
    const less = pair(i === count - 1 ? operator : strict, i)
    const equal = pair('=', i)
    pairs.push(less)
    sql = i === count - 1 ? less.sql : `(${less.sql} OR (${equal.sql} AND ${sql}))`
  }
  return expression(sql, bool, pairs, location)
}

function inList(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const items = listOf(nodeOf(fields.rexpr, 'List')?.items).map((item) => inner(work, item))
  const bool = sqlType(Oid.bool)
  const not = operator === '<>'
  if (value.type.oid === Oid.record || items.some((item) => item.type.oid === Oid.record)) {
    const tests = items.map((item) => binary(work, not ? '<>' : '=', value, item))
    return expression(
      `(${tests.map((one) => one.sql).join(not ? ' AND ' : ' OR ')})`,
      bool,
      tests,
      location,
    )
  }
  const equals = items.map((item) => callOperator(analysis, '=', [value, item], location))
  const left = equals.find((one) => one.parts[0] !== undefined)?.parts[0] ?? value
  const sameLeft = equals.every((one) => one.parts[0]?.sql === left.sql)
  if (!sameLeft) {
    const tests = items.map((item) =>
      callOperator(analysis, not ? '<>' : '=', [value, item], location),
    )
    return expression(
      `(${tests.map((one) => one.sql).join(not ? ' AND ' : ' OR ')})`,
      bool,
      tests,
      location,
    )
  }
  const rights = equals.map((one) => one.parts[1] as TypedExpression)
  const sql = `(${left.sql} ${not ? 'NOT IN' : 'IN'} (${rights.map((one) => one.sql).join(', ')}))`
  return expression(sql, bool, [left, ...rights], location, { kind: not ? 'not-in' : 'in' })
}

function like(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const call = nodeOf(fields.rexpr, 'FuncCall')
  if (call === undefined || namesOf(call.funcname).at(-1) !== 'like_escape') {
    return callOperator(analysis, operator, [value, inner(work, fields.rexpr)], location)
  }
  const [patternNode, escapeNode] = listOf(call.args)
  const pattern = coerce(inner(work, patternNode), sqlType(Oid.text), 'implicit', analysis)
  const escaper = coerce(inner(work, escapeNode), sqlType(Oid.text), 'implicit', analysis)
  if (escaper.shape.kind === 'constant' && [...(escaper.shape.text ?? ' ')].length > 1) {
    throw analysis.error(SqlState.invalidEscapeSequence, 'invalid escape string', location, {
      hint: 'Escape string must be empty or one character.',
    })
  }
  const text = coerce(value, sqlType(Oid.text), 'implicit', analysis)
  const words =
    { '~~': 'LIKE', '!~~': 'NOT LIKE', '~~*': 'ILIKE', '!~~*': 'NOT ILIKE' }[operator] ?? 'LIKE'
  const noEscape = escaper.shape.kind === 'constant' && escaper.shape.text === ''
  const sql = `(${text.sql} ${words} ${pattern.sql}${noEscape ? '' : ` ESCAPE ${escaper.sql}`})`
  return expression(sql, sqlType(Oid.bool), [text, pattern, escaper], location)
}

function similar(work: Work, operator: string): TypedExpression {
  const { analysis, fields, location } = work
  const value = coerce(inner(work, fields.lexpr), sqlType(Oid.text), 'implicit', analysis)
  const call = nodeOf(fields.rexpr, 'FuncCall')
  const [patternNode, escapeNode] = call === undefined ? [fields.rexpr] : listOf(call.args)
  const pattern = inner(work, patternNode)
  const escaper = escapeNode === undefined ? undefined : inner(work, escapeNode)
  if (
    pattern.shape.kind !== 'constant' ||
    (escaper !== undefined && escaper.shape.kind !== 'constant')
  ) {
    throw analysis.notSupported('SIMILAR TO with a pattern that is not a constant', location)
  }
  if (pattern.shape.text === null)
    return expression('CAST(NULL AS BOOLEAN)', sqlType(Oid.bool), [], location)
  const escapeText = escaper?.shape.kind === 'constant' ? (escaper.shape.text ?? '\\') : '\\'
  const regexp = engineRegexp(
    similarRegexp(pattern.shape.text, escapeText).replace(/^\\A/, '^').replace(/\\z$/, '$'),
  )
  const match = `regexp_matches(${value.sql}, ${quoteLiteral(regexp)}, 's')`
  return expression(
    operator.startsWith('!') ? `(NOT ${match})` : match,
    sqlType(Oid.bool),
    [value],
    location,
  )
}

function between(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  const [low, high] = listOf(nodeOf(fields.rexpr, 'List')?.items).map((item) => inner(work, item))
  if (low === undefined || high === undefined) throw analysis.notSupported('BETWEEN', location)
  const range = (from: TypedExpression, to: TypedExpression): TypedExpression => {
    const parts = [binary(work, '>=', value, from), binary(work, '<=', value, to)]
    return expression(
      `(${parts.map((one) => one.sql).join(' AND ')})`,
      sqlType(Oid.bool),
      parts,
      location,
      { kind: 'and' },
    )
  }
  const forward = range(low, high)
  const kind = String(fields.kind)
  const result = kind.endsWith('SYM') ? either(forward, range(high, low), location) : forward
  return kind.includes('NOT') ? not(result, location) : result
}

function either(a: TypedExpression, b: TypedExpression, location: number): TypedExpression {
  return expression(`(${a.sql} OR ${b.sql})`, sqlType(Oid.bool), [a, b], location, { kind: 'or' })
}

function not(of: TypedExpression, location: number): TypedExpression {
  return expression(`(NOT ${of.sql})`, sqlType(Oid.bool), [of], location, { kind: 'not' })
}

/** `value op ANY (array)` and ALL: the operator over each element, three-valued. */
function overArray(work: Work, operator: string, any: boolean): TypedExpression {
  const { analysis, fields, location } = work
  const value = inner(work, fields.lexpr)
  let array = inner(work, fields.rexpr)
  const bool = sqlType(Oid.bool)
  if (array.type.oid === Oid.unknown) {
    const element = value.type.oid === Oid.unknown ? sqlType(Oid.text) : value.type
    array = coerce(array, arrayOf({ ...element, typmod: -1 }), 'implicit', analysis)
  }
  let element = elementOf(array.type)
  while (element !== null && isArrayOid(element.oid)) {
    // Every element of every dimension counts.
    array = expression(`flatten(${array.sql})`, element, [array], location, { kind: 'cast' })
    element = elementOf(element)
  }
  if (element === null) {
    throw analysis.error(
      SqlState.wrongObjectType,
      'op ANY/ALL (array) requires array on right side',
      location,
    )
  }
  const item = expression('e', element, [], location)
  const test = binary(work, operator, value, item)
  const [left, right] = test.parts
  // List membership is what filters can use; the general form serves every other operator.
  if (any && operator === '=' && right?.sql === 'e' && left !== undefined) {
    const list = array.sql
    const sql = `CASE WHEN ${left.sql} IS NULL OR ${list} IS NULL THEN NULL WHEN list_contains(${list}, ${left.sql}) THEN true WHEN list_position(${list}, NULL) IS NOT NULL THEN NULL ELSE false END`
    return expression(sql, bool, [left, array], location, { kind: 'call', name: 'any' })
  }
  const sql = `${any ? 'lakegate_any' : 'lakegate_all'}(list_transform(${array.sql}, lambda e: ${test.sql}))`
  return expression(sql, bool, [value, array], location)
}

// ---- logic ----------------------------------------------------------------------------------------

/** `value` as a boolean; 42804 naming `what` when it is something else. */
export function booleanOf(
  analysis: Analysis,
  value: TypedExpression,
  what: string,
): TypedExpression {
  if (value.type.oid === Oid.bool) return value
  if (value.type.oid !== Oid.unknown) {
    throw analysis.error(
      SqlState.datatypeMismatch,
      `argument of ${what} must be type boolean, not type ${typeName(value.type)}`,
      value.location,
    )
  }
  return analysis.located(value.location, () =>
    coerce(value, sqlType(Oid.bool), 'implicit', analysis),
  )
}

function logic(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const word = { AND_EXPR: 'AND', OR_EXPR: 'OR', NOT_EXPR: 'NOT' }[String(fields.boolop)] ?? 'AND'
  const parts = listOf(fields.args).map((arg) => booleanOf(analysis, inner(work, arg), word))
  if (word === 'NOT') return not(parts[0] as TypedExpression, location)
  return expression(
    `(${parts.map((part) => part.sql).join(` ${word} `)})`,
    sqlType(Oid.bool),
    parts,
    location,
    {
      kind: word === 'AND' ? 'and' : 'or',
    },
  )
}

function nullTest(work: Work): TypedExpression {
  const { fields, location } = work
  const value = inner(work, fields.arg)
  const isNull = fields.nulltesttype === 'IS_NULL'
  const shape: Shape = { kind: isNull ? 'is-null' : 'is-not-null' }
  const words = isNull ? 'IS NULL' : 'IS NOT NULL'
  if (value.type.oid === Oid.record && value.parts.length > 0) {
    // A row is null when all its fields are, and not null when none is.
    const sql = `(${value.parts.map((part) => `${part.sql} ${words}`).join(' AND ')})`
    return expression(sql, sqlType(Oid.bool), value.parts, location)
  }
  return expression(`(${value.sql} ${words})`, sqlType(Oid.bool), [value], location, shape)
}

const BOOLEAN_TESTS: Readonly<Record<string, string>> = {
  IS_TRUE: 'IS TRUE',
  IS_NOT_TRUE: 'IS NOT TRUE',
  IS_FALSE: 'IS FALSE',
  IS_NOT_FALSE: 'IS NOT FALSE',
  IS_UNKNOWN: 'IS NULL',
  IS_NOT_UNKNOWN: 'IS NOT NULL',
}

function booleanTest(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const words = BOOLEAN_TESTS[String(fields.booltesttype)] ?? 'IS TRUE'
  const name =
    words === 'IS NULL' ? 'IS UNKNOWN' : words === 'IS NOT NULL' ? 'IS NOT UNKNOWN' : words
  const value = booleanOf(analysis, inner(work, fields.arg), name)
  return expression(`(${value.sql} ${words})`, sqlType(Oid.bool), [value], location)
}

/** Brings several results to one type; what is only unknown becomes text. */
export function unified(
  analysis: Analysis,
  values: readonly TypedExpression[],
  what: string,
): { readonly values: readonly TypedExpression[]; readonly type: SqlType } {
  const type = commonType(
    values.map((value) => value.type),
    what,
  )
  return {
    type,
    values: values.map((value) =>
      analysis.located(value.location, () => coerceExactly(analysis, value, type)),
    ),
  }
}

/** `value` in the very engine type of `type`: branches of a CASE must not differ in scale. */
export function coerceExactly(
  analysis: Analysis,
  value: TypedExpression,
  type: SqlType,
): TypedExpression {
  const coerced = coerce(value, type, 'implicit', analysis)
  const wanted = printEngineType(type.engine)
  if (printEngineType(coerced.type.engine) === wanted) {
    return coerced.shape.kind === 'constant' && coerced.type.oid === Oid.int4 ? coerced : coerced
  }
  const digits = coerced.type.digits ?? type.digits
  return {
    ...coerced,
    sql: `CAST(${coerced.sql} AS ${wanted})`,
    type: { ...type, digits },
    shape: { kind: 'cast' },
    parts: [coerced],
  }
}

function choice(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const subject = fields.arg === undefined ? undefined : settled(analysis, inner(work, fields.arg))
  const whens = listOf(fields.args).map((arm) => nodeOf(arm, 'CaseWhen') ?? {})
  const tests = whens.map((when) => {
    const test = inner(work, when.expr)
    return subject === undefined
      ? booleanOf(analysis, test, 'CASE/WHEN')
      : callOperator(analysis, '=', [subject, test], locationOf(when))
  })
  const results = whens.map((when) => inner(work, when.result))
  const otherwise = fields.defresult === undefined ? undefined : inner(work, fields.defresult)
  const { values, type } = unified(
    analysis,
    otherwise === undefined ? results : [...results, otherwise],
    'CASE',
  )
  const arms = tests.map((test, i) => `WHEN ${test.sql} THEN ${values[i]?.sql}`)
  const last = otherwise === undefined ? '' : ` ELSE ${values.at(-1)?.sql}`
  const result = {
    ...type,
    digits: values.find((value) => value.type.digits !== undefined)?.type.digits,
  }
  return expression(`CASE ${arms.join(' ')}${last} END`, result, [...tests, ...values], location)
}

function coalesce(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const { values, type } = unified(
    analysis,
    listOf(fields.args).map((arg) => inner(work, arg)),
    'COALESCE',
  )
  const result = {
    ...type,
    digits: values.find((value) => value.type.digits !== undefined)?.type.digits,
  }
  return expression(
    `coalesce(${values.map((value) => value.sql).join(', ')})`,
    result,
    values,
    location,
  )
}

function minMax(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const name = fields.op === 'IS_LEAST' ? 'least' : 'greatest'
  const { values, type } = unified(
    analysis,
    listOf(fields.args).map((arg) => inner(work, arg)),
    name.toUpperCase(),
  )
  return expression(
    `${name}(${values.map((value) => value.sql).join(', ')})`,
    type,
    values,
    location,
  )
}

// ---- subqueries -----------------------------------------------------------------------------------

function subLink(work: Work): TypedExpression {
  const { analysis, fields, location, scope } = work
  const query = analyzeSubquery(analysis, fields.subselect as Node, scope)
  analysis.roots.push(query.levels)
  const bool = sqlType(Oid.bool)
  const shape: Shape = { kind: 'subquery' }
  const single = (): SqlType => {
    const [only] = query.columns
    if (query.columns.length !== 1 || only === undefined) {
      throw analysis.error(SqlState.syntaxError, 'subquery must return only one column', location)
    }
    return only.type
  }
  switch (fields.subLinkType) {
    case 'EXISTS_SUBLINK':
      return expression(`(EXISTS (${query.sql}))`, bool, [], location, shape)
    case 'EXPR_SUBLINK':
      return expression(`(${query.sql})`, single(), [], location, shape)
    case 'ARRAY_SUBLINK':
      return expression(`ARRAY(${query.sql})`, arrayOf(single()), [], location, shape)
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const operator = namesOf(fields.operName).at(-1) ?? '='
      const any = fields.subLinkType === 'ANY_SUBLINK'
      const test = inner(work, fields.testexpr)
      const lefts = test.type.oid === Oid.record && test.parts.length > 0 ? test.parts : [test]
      if (lefts.length !== query.columns.length) {
        const few = lefts.length > query.columns.length
        throw analysis.error(
          SqlState.syntaxError,
          `subquery has too ${few ? 'few' : 'many'} columns`,
          location,
        )
      }
      const pairs = lefts.map((left, i) => {
        const column = query.columns[i]
        const right = expression(
          `s.${quoteIdentifier(column?.engineName ?? '')}`,
          column?.type ?? UNKNOWN,
          [],
          location,
        )
        return callOperator(analysis, operator, [left, right], location)
      })
      const comparison = /^(?:=|<>|<|<=|>|>=)$/.test(operator)
      if (!comparison)
        throw analysis.notSupported(`${operator} ${any ? 'ANY' : 'ALL'} over a subquery`, location)
      const values = pairs.map((pair) => pair.parts[0]?.sql ?? '')
      const selected = pairs.map((pair) => pair.parts[1]?.sql ?? '')
      const source = `SELECT ${selected.join(', ')} FROM (${query.sql}) AS s`
      const left = values.length === 1 ? values[0] : `(${values.join(', ')})`
      if (values.length > 1 && !(operator === '=' && any)) {
        throw analysis.notSupported('comparing rows with a subquery by other than IN', location)
      }
      const sql =
        operator === '=' && any
          ? `(${left} IN (${source}))`
          : `(${left} ${operator} ${any ? 'ANY' : 'ALL'} (${source}))`
      return expression(
        sql,
        bool,
        pairs.map((pair) => pair.parts[0] as TypedExpression),
        location,
        shape,
      )
    }
    default:
      throw analysis.notSupported('this form of subquery', location)
  }
}

// ---- arrays, rows, parts --------------------------------------------------------------------------

function arrayConstructor(work: Work): TypedExpression {
  return arrayOfElements(work, listOf(work.fields.elements), undefined)
}

function arrayOfElements(
  work: Work,
  nodes: readonly Node[],
  target: SqlType | undefined,
): TypedExpression {
  const { analysis, location } = work
  const element = target === undefined ? undefined : (elementOf(target) ?? undefined)
  const items = nodes.map((node) => {
    const nested = nodeOf(node, 'A_ArrayExpr')
    // The dimensions below have the same element type.
    return nested === undefined
      ? inner(work, node)
      : arrayOfElements(work, listOf(nested.elements), target)
  })
  if (items.length === 0) {
    if (target === undefined) {
      throw analysis.error(
        SqlState.indeterminateDatatype,
        'cannot determine type of empty array',
        location,
        {
          hint: 'Explicitly cast to the desired type, for example ARRAY[]::integer[].',
        },
      )
    }
    return expression(`CAST([] AS ${printEngineType(target.engine)})`, target, [], location)
  }
  if (items.every((item) => isArrayOid(item.type.oid))) {
    const type = arrayOf(items[0]?.type ?? sqlType(Oid.text))
    return expression(`[${items.map((item) => item.sql).join(', ')}]`, type, items, location)
  }
  if (element !== undefined) {
    const values = items.map((item) => coerce(item, element, 'explicit', analysis))
    const { type, values: same } = unified(analysis, values, 'ARRAY')
    return listOfValues(same, { ...type, typmod: element.typmod }, location)
  }
  const { values, type } = unified(analysis, items, 'ARRAY')
  return listOfValues(values, type, location)
}

function listOfValues(
  values: readonly TypedExpression[],
  element: SqlType,
  location: number,
): TypedExpression {
  const type = arrayOf(element)
  const sql = `CAST([${values.map((value) => value.sql).join(', ')}] AS ${printEngineType(type.engine)})`
  return expression(sql, type, values, location)
}

function indirection(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  let value = inner(work, fields.arg)
  let ofArray = isArrayOid(value.type.oid)
  for (const step of listOf(fields.indirection)) {
    const name = stringOf(step)
    if (name !== undefined) {
      value = structField(analysis, value, name, location)
      ofArray = isArrayOid(value.type.oid)
      continue
    }
    const indices = nodeOf(step, 'A_Indices')
    if (indices === undefined) throw analysis.notSupported('row expansion via "*"', location)
    const isElement = value.type.oid !== Oid.jsonb && value.type.engine.kind !== 'map'
    value =
      ofArray && isElement && !isArrayOid(value.type.oid)
        ? // More subscripts than dimensions give null; a parameter shows only later how many it has.
          expression(
            `CAST(NULL AS ${printEngineType(value.type.engine)})`,
            value.type,
            [value],
            location,
          )
        : subscript(work, value, indices)
  }
  return value
}

function subscript(work: Work, value: TypedExpression, indices: Node): TypedExpression {
  const { analysis, location } = work
  const { engine } = value.type
  const int = sqlType(Oid.int4)
  const index = (node: unknown): TypedExpression =>
    coerce(inner(work, node), int, 'assignment', analysis)
  if (engine.kind === 'map' && indices.is_slice !== true) {
    const key = coerce(inner(work, indices.uidx), typeOfEngine(engine.key), 'assignment', analysis)
    return expression(
      `${value.sql}[${key.sql}]`,
      typeOfEngine(engine.value),
      [value, key],
      location,
    )
  }
  const element = elementOf(value.type)
  if (element !== null) {
    if (indices.is_slice === true) {
      const low = indices.lidx === undefined ? undefined : index(indices.lidx)
      const high = indices.uidx === undefined ? undefined : index(indices.uidx)
      const parts = [value, ...[low, high].filter((one) => one !== undefined)]
      const sql = `lakegate_slice(${value.sql}, ${low?.sql ?? '1'}, ${high?.sql ?? `len(${value.sql})`})`
      return expression(sql, value.type, parts, location)
    }
    const at = index(indices.uidx)
    const known = at.shape.kind === 'constant' ? Number(at.shape.text) : undefined
    const type = element
    if (known !== undefined) {
      const sql =
        known >= 1 ? `${value.sql}[${known}]` : `CAST(NULL AS ${printEngineType(type.engine)})`
      return expression(sql, type, [value, at], location)
    }
    return expression(
      `CASE WHEN ${at.sql} >= 1 THEN ${value.sql}[${at.sql}] END`,
      type,
      [value, at],
      location,
    )
  }
  if (value.type.oid === Oid.jsonb) {
    const json = canonical(value)
    const key = inner(work, indices.uidx)
    const arrow = categoryOf(key.type.oid) === 'N' ? 'int4' : 'text'
    const typed = coerce(
      key,
      sqlType(arrow === 'int4' ? Oid.int4 : Oid.text),
      'assignment',
      analysis,
    )
    return callOperator(analysis, '->', [json, typed], location)
  }
  throw analysis.error(
    SqlState.datatypeMismatch,
    `cannot subscript type ${typeName(value.type)} because it does not support subscripting`,
    location,
  )
}

function row(work: Work): TypedExpression {
  const { fields, location, analysis } = work
  const parts = listOf(fields.args).map((arg) => {
    const value = inner(work, arg)
    return value.type.oid === Oid.unknown && value.shape.kind !== 'parameter' ? value : value
  })
  const fieldsOf = parts.map((part, i) => ({ name: `f${i + 1}`, type: part.type.engine }))
  const items = parts.map(
    (part, i) =>
      `f${i + 1} := ${part.type.oid === Oid.unknown ? `CAST(${part.sql} AS VARCHAR)` : part.sql}`,
  )
  if (parts.length === 0) throw analysis.notSupported('an empty row', location)
  const type: SqlType = {
    oid: Oid.record,
    typmod: -1,
    engine: { kind: 'struct', fields: fieldsOf },
  }
  return expression(`struct_pack(${items.join(', ')})`, type, parts, location)
}

function collate(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const name = namesOf(fields.collname).at(-1) ?? ''
  if (!/^(?:C|POSIX|default|ucs_basic|C\.UTF-8|C\.utf8)$/.test(name)) {
    throw analysis.error(
      SqlState.undefinedObject,
      `collation "${name}" for encoding "UTF8" does not exist`,
      location,
    )
  }
  return inner(work, fields.arg)
}

const VALUE_FUNCTIONS: Readonly<Record<string, readonly [string, number]>> = {
  SVFOP_CURRENT_DATE: ['CAST(now() AS DATE)', Oid.date],
  SVFOP_CURRENT_TIME: ['CAST(CAST(now() AS TIME) AS TIMETZ)', Oid.timetz],
  SVFOP_CURRENT_TIMESTAMP: ['now()', Oid.timestamptz],
  SVFOP_LOCALTIME: ['CAST(CAST(now() AS TIMESTAMP) AS TIME)', Oid.time],
  SVFOP_LOCALTIMESTAMP: ['CAST(now() AS TIMESTAMP)', Oid.timestamp],
}

function valueFunction({ analysis, fields, location }: Work): TypedExpression {
  const op = String(fields.op).replace(/_N$/, '')
  const known = VALUE_FUNCTIONS[op]
  if (known !== undefined) {
    const value = expression(known[0], sqlType(known[1]), [], location, { kind: 'call', name: op })
    const digits = fields.typmod
    return typeof digits === 'number' && digits >= 0
      ? coerce(value, sqlType(known[1], digits), 'explicit', analysis)
      : value
  }
  const name = op.replace('SVFOP_', '').toLowerCase()
  const literal = analysis.host.sessionFunction(name, [])
  if (literal === undefined) throw analysis.notSupported(name, location)
  return expression(literal, sqlType(Oid.name), [], location, { kind: 'call', name })
}

function grouping(work: Work): TypedExpression {
  const { fields, location } = work
  const parts = listOf(fields.args).map((arg) => inner(work, arg))
  const sql = `CAST(grouping(${parts.map((part) => part.sql).join(', ')}) AS INTEGER)`
  return expression(sql, sqlType(Oid.int4), parts, location, { kind: 'grouping' })
}

/** An output column's final form: what has no type is text, what has two is what clients are told. */
export function settled(analysis: Analysis, value: TypedExpression): TypedExpression {
  if (value.type.oid === Oid.unknown) return coerce(value, sqlType(Oid.text), 'implicit', analysis)
  return value
}

/** PostgreSQL's text of a value, for those who need one. */
export function asText(value: TypedExpression): string {
  return textOf(value.sql, value.type)
}
