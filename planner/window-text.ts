/** WindowText: OVER clauses and sort items in DuckDB's words. */

import { Oid } from '../catalog/pg-types.js'
import { SqlState } from '../storage/errors.js'
import { analyzeExpression } from './analyze-expression.js'
import type { Place } from './expression-place.js'
import type { Analysis } from './analysis.js'
import { coerce } from './coercion.js'
import type { Scope } from './scope.js'
import { sqlType } from './sql-type.js'
import { constantOf, listOf, namesOf, type Node, nodeOf } from './syntax-tree.js'
import { locationOf, type TypedExpression } from './typed-expression.js'

/** One item of ORDER BY: the expression's text with direction and place of nulls. */
export function sortItem(sql: string, sort: Node): string {
  const using = namesOf(sort.useOp).at(-1)
  const descending = sort.sortby_dir === 'SORTBY_DESC' || using === '>'
  // PostgreSQL takes nulls as larger than everything.
  const nullsFirst =
    sort.sortby_nulls === 'SORTBY_NULLS_FIRST' ||
    (sort.sortby_nulls !== 'SORTBY_NULLS_LAST' && descending)
  return `${sql} ${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`
}

// Bits of WindowDef.frameOptions, as parsenodes.h numbers them.
const NONDEFAULT = 0x1
const RANGE = 0x2
const ROWS = 0x4
const GROUPS = 0x8
const START_UNBOUNDED_PRECEDING = 0x20
const END_UNBOUNDED_PRECEDING = 0x40
const START_UNBOUNDED_FOLLOWING = 0x80
const END_UNBOUNDED_FOLLOWING = 0x100
const START_CURRENT_ROW = 0x200
const END_CURRENT_ROW = 0x400
const START_OFFSET_PRECEDING = 0x800
const END_OFFSET_PRECEDING = 0x1000
const START_OFFSET_FOLLOWING = 0x2000
const END_OFFSET_FOLLOWING = 0x4000
const EXCLUDE_CURRENT_ROW = 0x8000
const EXCLUDE_GROUP = 0x10000
const EXCLUDE_TIES = 0x20000

/**
 * A window definition: a name of the WINDOW clause, or `(PARTITION BY … ORDER BY … frame)`.
 *
 * 42704 for a window that does not exist.
 */
export function windowText(
  analysis: Analysis,
  definition: Node,
  scope: Scope,
  place: Place,
): { readonly sql: string; readonly parts: readonly TypedExpression[] } {
  const location = locationOf(definition)
  const fields = (definition.WindowDef as Node | undefined) ?? definition
  const parts: TypedExpression[] = []
  if (
    typeof fields.name === 'string' &&
    fields.partitionClause === undefined &&
    fields.orderClause === undefined
  ) {
    const known = scope.windows.get(fields.name)
    if (known === undefined) {
      throw analysis.error(
        SqlState.undefinedObject,
        `window "${fields.name}" does not exist`,
        location,
      )
    }
    return { sql: known, parts }
  }
  const inner: Place = {
    clause: 'window definitions',
    aggregates: place.aggregates,
    windows: false,
    setReturning: false,
  }
  const clauses: string[] = []
  const base = fields.refname
  let inherited = ''
  if (typeof base === 'string') {
    const known = scope.windows.get(base)
    if (known === undefined) {
      throw analysis.error(SqlState.undefinedObject, `window "${base}" does not exist`, location)
    }
    inherited = known.slice(1, -1)
  }
  const partition = listOf(fields.partitionClause).map((node) =>
    analyzeExpression(analysis, node, scope, inner),
  )
  if (partition.length > 0)
    clauses.push(`PARTITION BY ${partition.map((one) => one.sql).join(', ')}`)
  const order = listOf(fields.orderClause).map((item) => {
    const sort = nodeOf(item, 'SortBy') ?? {}
    const value = analyzeExpression(analysis, sort.node as Node, scope, inner)
    parts.push(value)
    // A number is a constant here, not a column's place, which DuckDB takes it for.
    return sortItem(value.shape.kind === 'constant' ? `(${value.sql} + 0)` : value.sql, sort)
  })
  if (order.length > 0) clauses.push(`ORDER BY ${order.join(', ')}`)
  parts.push(...partition)
  const frame = frameText(analysis, fields, scope, inner, parts)
  if (frame !== '') clauses.push(frame)
  return { sql: `(${[inherited, ...clauses].filter((one) => one !== '').join(' ')})`, parts }
}

function frameText(
  analysis: Analysis,
  fields: Node,
  scope: Scope,
  place: Place,
  parts: TypedExpression[],
): string {
  const options = Number(fields.frameOptions ?? 0)
  if ((options & NONDEFAULT) === 0) return ''
  const unit =
    options & ROWS ? 'ROWS' : options & GROUPS ? 'GROUPS' : options & RANGE ? 'RANGE' : 'RANGE'
  const offset = (node: unknown): string => {
    const value = analyzeExpression(analysis, node as Node, scope, place)
    parts.push(value)
    const counted =
      unit === 'RANGE' ? value : coerce(value, sqlType(Oid.int8), 'implicit', analysis)
    const known = constantOf(node)
    if (typeof known === 'number' && known < 0) {
      throw analysis.error(
        SqlState.invalidPrecedingOrFollowingSize,
        'frame starting offset must not be negative',
        value.location,
      )
    }
    if (unit === 'RANGE' && counted.type.oid === Oid.unknown) {
      return coerce(value, sqlType(Oid.interval), 'implicit', analysis).sql
    }
    return counted.sql
  }
  const bound = (
    unbounded: number,
    current: number,
    preceding: number,
    following: number,
    last: number,
    node: unknown,
  ): string => {
    if (options & unbounded) return 'UNBOUNDED PRECEDING'
    if (options & last) return 'UNBOUNDED FOLLOWING'
    if (options & current) return 'CURRENT ROW'
    if (options & preceding) return `${offset(node)} PRECEDING`
    if (options & following) return `${offset(node)} FOLLOWING`
    return 'CURRENT ROW'
  }
  const start = bound(
    START_UNBOUNDED_PRECEDING,
    START_CURRENT_ROW,
    START_OFFSET_PRECEDING,
    START_OFFSET_FOLLOWING,
    START_UNBOUNDED_FOLLOWING,
    fields.startOffset,
  )
  const end = bound(
    END_UNBOUNDED_PRECEDING,
    END_CURRENT_ROW,
    END_OFFSET_PRECEDING,
    END_OFFSET_FOLLOWING,
    END_UNBOUNDED_FOLLOWING,
    fields.endOffset,
  )
  const exclude =
    options & EXCLUDE_CURRENT_ROW
      ? ' EXCLUDE CURRENT ROW'
      : options & EXCLUDE_GROUP
        ? ' EXCLUDE GROUP'
        : options & EXCLUDE_TIES
          ? ' EXCLUDE TIES'
          : ''
  return `${unit} BETWEEN ${start} AND ${end}${exclude}`
}
