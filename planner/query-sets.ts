/** QuerySets: VALUES and set operations. */

import { Oid } from '../catalog/pg-types.js'
import { printEngineType } from '../storage/engine-type.js'
import { quoteIdentifier } from '../storage/engine.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis, AnalyzedQuery, OutputColumn } from './analysis.js'
import { analyzeExpression } from './analyze-expression.js'
import { KEEP_UNKNOWN, analyzeSelect } from './analyze-query.js'
import { coerce, commonType } from './coercion.js'
import { plainPlace } from './expression-place.js'
import { coerceExactly } from './expression-types.js'
import type { QueryLevel } from './query-level.js'
import { limitText, outputIndex } from './query-sorts.js'
import { Scope } from './scope.js'
import { type SqlType, sqlType } from './sql-type.js'
import { type Node, listOf, nodeOf, stringOf } from './syntax-tree.js'
import { expression, locationOf } from './typed-expression.js'
import { sortItem } from './window-text.js'

export function analyzeValues(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  keepUnknown: boolean,
): AnalyzedQuery {
  const place = { ...plainPlace('VALUES'), setReturning: false }
  const rows = listOf(select.valuesLists).map((list) =>
    listOf(nodeOf(list, 'List')?.items).map((item) =>
      analyzeExpression(analysis, item, scope, place),
    ),
  )
  const width = rows[0]?.length ?? 0
  const uneven = rows.find((row) => row.length !== width)
  if (uneven !== undefined) {
    throw analysis.error(
      SqlState.syntaxError,
      'VALUES lists must all be the same length',
      uneven[0]?.location ?? -1,
    )
  }
  const types = Array.from({ length: width }, (_, i) =>
    commonType(
      rows.map((row) => row[i]?.type ?? sqlType(Oid.text)),
      'VALUES',
      !keepUnknown,
    ),
  )
  const lines = rows.map((row) => {
    const items = row.map((value, i) => {
      const type = types[i] as SqlType
      if (type.oid === Oid.unknown) return value.sql
      return analysis.located(value.location, () => coerceExactly(analysis, value, type)).sql
    })
    return `(${items.join(', ')})`
  })
  const columns = types.map((type, i) => ({
    name: `column${i + 1}`,
    engineName: `column${i + 1}`,
    type,
  }))
  const sql = `SELECT * FROM (VALUES ${lines.join(', ')}) AS v(${columns.map((one) => one.engineName).join(', ')})`
  return ordered(analysis, select, scope, { sql, columns, levels: [] })
}

export function analyzeSetOperation(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  operation: string,
  keepUnknown: boolean,
): AnalyzedQuery {
  const branch = (node: unknown): AnalyzedQuery =>
    analyzeSelect(
      analysis,
      node as Node,
      new Scope(scope.parent, new Map(scope.ctes)),
      KEEP_UNKNOWN,
    )
  const left = branch(select.larg)
  const right = branch(select.rarg)
  const word = operation.replace('SETOP_', '')
  if (left.columns.length !== right.columns.length) {
    throw analysis.error(
      SqlState.syntaxError,
      `each ${word} query must have the same number of columns`,
      firstLocation(select.rarg),
    )
  }
  const columns = left.columns.map((column, i): OutputColumn => {
    const other = right.columns[i] as OutputColumn
    const type = analysis.located(firstLocation(select.rarg), () =>
      commonType([column.type, other.type], word, !keepUnknown),
    )
    return { ...column, type }
  })
  const types = columns.map((column) => column.type)
  const words = `${word}${select.all === true ? ' ALL' : ''}`
  const sql = `(${recastUnknown(analysis, left, types)}) ${words} (${recastUnknown(analysis, right, types)})`
  const levels = word === 'UNION' ? [...left.levels, ...right.levels] : left.levels
  return ordered(analysis, select, scope, { sql, columns, levels })
}

function firstLocation(node: unknown): number {
  const select = node as Node | undefined
  const [target] = listOf(select?.targetList)
  const value = nodeOf(target, 'ResTarget')
  return value === undefined ? -1 : locationOf(value)
}

/** `query` with its columns as `types`, literals read as the type they turned out to be of. */
function recastUnknown(
  analysis: Analysis,
  query: AnalyzedQuery,
  types: readonly SqlType[],
): string {
  if (query.columns.every((column, i) => sameForm(column.type, types[i]))) return query.sql
  const items = query.columns.map((column, i) => {
    const type = types[i] ?? column.type
    const name = quoteIdentifier(column.engineName)
    if (sameForm(column.type, type)) return `q.${name}`
    const value = expression(`q.${name}`, column.type, [])
    const known = column.type.oid === Oid.unknown ? { ...value, type: sqlType(Oid.text) } : value
    const cast = coerce(known, type, 'explicit', analysis)
    return `CAST(${cast.sql} AS ${printEngineType(type.engine)}) AS ${name}`
  })
  return `SELECT ${items.join(', ')} FROM (${query.sql}) AS q`
}

function sameForm(one: SqlType, other: SqlType | undefined): boolean {
  return (
    other !== undefined &&
    (one.oid === other.oid || other.oid === Oid.unknown) &&
    printEngineType(one.engine) === printEngineType(other.engine)
  )
}

/** ORDER BY and LIMIT over a whole query, whose columns are all they may use. */
function ordered(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  query: AnalyzedQuery,
): AnalyzedQuery {
  const sorts = listOf(select.sortClause)
  const limit = limitText(analysis, select, scope)
  if (sorts.length === 0 && limit === '') return query
  const engineAlias = analysis.fresh('q')
  const items = sorts.map((item) => {
    const sort = nodeOf(item, 'SortBy') ?? {}
    const index = outputIndex(analysis, sort.node as Node, query.columns, 'ORDER BY')
    if (index === null) {
      const name = stringOf(listOf(nodeOf(sort.node, 'ColumnRef')?.fields)[0])
      if (name !== undefined) {
        throw analysis.error(
          SqlState.undefinedColumn,
          `column "${name}" does not exist`,
          locationOf(sort),
        )
      }
      throw analysis.error(
        SqlState.featureNotSupported,
        'invalid UNION/INTERSECT/EXCEPT ORDER BY clause',
        locationOf(sort),
        { detail: 'Only result column names can be used, not expressions or functions.' },
      )
    }
    return sortItem(
      `${engineAlias}.${quoteIdentifier(query.columns[index]?.engineName ?? '')}`,
      sort,
    )
  })
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES')
    throw analysis.notSupported('WITH TIES over a set operation')
  const order = items.length === 0 ? '' : ` ORDER BY ${items.join(', ')}`
  return {
    ...query,
    sql: `SELECT * FROM (${query.sql}) AS ${engineAlias}${order}${limit}`,
    levels: limit === '' ? query.levels : query.levels.map(closed),
  }
}

function closed(level: QueryLevel): QueryLevel {
  return { ...level, passes: () => false }
}
