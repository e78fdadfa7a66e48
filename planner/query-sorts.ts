/** QuerySorts: ORDER BY, DISTINCT ON, LIMIT and FETCH. */

import { Oid } from '../catalog/pg-types.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { coerce } from './coercion.js'
import { SELECT_LIST, plainPlace } from './expression-place.js'
import { settled } from './expression-types.js'
import type { Target } from './query-targets.js'
import { Scope } from './scope.js'
import { sqlType } from './sql-type.js'
import { type Node, constantOf, kindOf, listOf, nodeOf, stringOf } from './syntax-tree.js'
import { type TypedExpression, locationOf } from './typed-expression.js'
import { sortItem } from './window-text.js'

/** The output column an item of ORDER BY or GROUP BY names by place or by name; null when neither. */
export function outputIndex(
  analysis: Analysis,
  node: Node,
  columns: readonly { readonly name: string }[],
  clause: string,
): number | null {
  const location = locationOf((node[kindOf(node)] ?? {}) as Node)
  const constant = constantOf(node)
  if (constant !== undefined) {
    if (typeof constant !== 'number' || !Number.isInteger(constant)) {
      throw analysis.error(SqlState.syntaxError, `non-integer constant in ${clause}`, location)
    }
    if (constant < 1 || constant > columns.length) {
      throw analysis.error(
        SqlState.invalidColumnReference,
        `${clause} position ${constant} is not in select list`,
        location,
      )
    }
    return constant - 1
  }
  const parts = listOf(nodeOf(node, 'ColumnRef')?.fields)
  const name = parts.length === 1 ? stringOf(parts[0]) : undefined
  if (name === undefined) return null
  const found = columns.flatMap((column, i) => (column.name === name ? [i] : []))
  if (found.length > 1) {
    throw analysis.error(SqlState.ambiguousColumn, `${clause} "${name}" is ambiguous`, location)
  }
  return found[0] ?? null
}

export function limitText(analysis: Analysis, select: Node, scope: Scope): string {
  const count = (node: unknown, word: string, sqlState: SqlState): string => {
    if (node === undefined) return ''
    if (nodeOf(node, 'A_Const')?.isnull === true) return ''
    const reference = nodeOf(node, 'ColumnRef')
    if (reference !== undefined) {
      throw analysis.error(
        SqlState.invalidColumnReference,
        `argument of ${word} must not contain variables`,
        locationOf(reference),
      )
    }
    const value = analyzeExpression(
      analysis,
      node as Node,
      new Scope(scope.parent, scope.ctes),
      plainPlace(word),
    )
    const typed = analysis.located(value.location, () =>
      coerce(value, sqlType(Oid.int8), 'assignment', analysis),
    )
    if (value.shape.kind === 'constant' && Number(value.shape.text) < 0) {
      throw analysis.error(sqlState, `${word} must not be negative`, value.location)
    }
    return ` ${word} ${typed.sql}`
  }
  const ties = select.limitOption === 'LIMIT_OPTION_WITH_TIES'
  return (
    (ties ? '' : count(select.limitCount, 'LIMIT', SqlState.invalidRowCountInLimitClause)) +
    count(select.limitOffset, 'OFFSET', SqlState.invalidRowCountInResultOffsetClause)
  )
}

interface Sort {
  readonly sql: string
  /** The sort expression when it is no output column. */
  readonly value: TypedExpression | undefined
  readonly index: number | null
  /** The expression's own text with direction, for windows. */
  readonly plain: string
}

export function analyzeSorts(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  targets: readonly Target[],
): readonly Sort[] {
  return listOf(select.sortClause).map((item) => {
    const sort = nodeOf(item, 'SortBy') ?? {}
    const node = sort.node as Node
    const index = outputIndex(analysis, node, targets, 'ORDER BY')
    if (index !== null) {
      return {
        sql: sortItem(String(index + 1), sort),
        value: undefined,
        index,
        plain: sortItem(targets[index]?.value.sql ?? '', sort),
      }
    }
    const value = settled(analysis, analyzeExpression(analysis, node, scope, SELECT_LIST))
    const same = targets.findIndex((target) => target.value.sql === value.sql)
    const text =
      same >= 0
        ? String(same + 1)
        : value.shape.kind === 'constant'
          ? `(${value.sql} || '')`
          : value.sql
    return {
      sql: sortItem(text, sort),
      value: same >= 0 ? undefined : value,
      index: same >= 0 ? same : null,
      plain: sortItem(value.sql, sort),
    }
  })
}

export function distinctText(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  targets: readonly Target[],
  sorts: readonly Sort[],
): string {
  const clause = listOf(select.distinctClause)
  if (select.distinctClause === undefined) return ''
  const on = clause.filter((node) => Object.keys(node).length > 0)
  if (on.length === 0) {
    const loose = sorts.find((sort) => sort.value !== undefined)
    if (loose?.value !== undefined) {
      throw analysis.error(
        SqlState.invalidColumnReference,
        'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
        loose.value.location,
      )
    }
    return 'DISTINCT '
  }
  const texts = on.map((node) => {
    const index = outputIndex(analysis, node, targets, 'DISTINCT ON')
    const target = index === null ? undefined : targets[index]
    return target === undefined
      ? analyzeExpression(analysis, node, scope, SELECT_LIST).sql
      : target.value.sql
  })
  const sortTexts = sorts.map(
    (sort) => sort.value?.sql ?? targets[sort.index ?? 0]?.value.sql ?? '',
  )
  const leading = sortTexts.slice(0, new Set(texts).size)
  if (leading.some((text) => !texts.includes(text))) {
    throw analysis.error(
      SqlState.invalidColumnReference,
      'SELECT DISTINCT ON expressions must match initial ORDER BY expressions',
      locationOf((on[0]?.[kindOf(on[0])] ?? {}) as Node),
    )
  }
  return `DISTINCT ON (${texts.join(', ')}) `
}

/** FETCH FIRST n ROWS WITH TIES: rows whose rank is within n. */
export function tiesText(
  analysis: Analysis,
  select: Node,
  sorts: readonly Sort[],
  targets: readonly Target[],
): string {
  if (sorts.length === 0) {
    throw analysis.error(
      SqlState.syntaxError,
      'WITH TIES cannot be specified without ORDER BY clause',
      -1,
    )
  }
  if (
    select.distinctClause !== undefined ||
    select.limitOffset !== undefined ||
    select.groupClause !== undefined ||
    targets.length === 0
  ) {
    throw analysis.notSupported('WITH TIES together with DISTINCT, GROUP BY or OFFSET')
  }
  const count = analyzeExpression(
    analysis,
    select.limitCount as Node,
    new Scope(undefined),
    plainPlace('LIMIT'),
  )
  const typed = coerce(count, sqlType(Oid.int8), 'assignment', analysis)
  return ` QUALIFY rank() OVER (ORDER BY ${sorts.map((sort) => sort.plain).join(', ')}) <= ${typed.sql}`
}
