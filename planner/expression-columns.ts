/** ExpressionColumns: names that mean columns, whole rows, and fields of structs. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import type { Work } from './expression-work.js'
import {
  type Range,
  type RangeColumn,
  type Scope,
  columnOfRange,
  findColumn,
  findRange,
} from './scope.js'
import { typeName, typeOfEngine } from './sql-type.js'
import { listOf, nodeOf, stringOf } from './syntax-tree.js'
import { type TypedExpression, expression } from './typed-expression.js'

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

export function columnReference({ analysis, fields, location, scope }: Work): TypedExpression {
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

export function structField(
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
