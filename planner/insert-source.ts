/** InsertSource: the rows that VALUES or a query give an INSERT, and the columns they are for. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { engineTypeOf, type StructField } from '../storage/schema.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import { analyzeSourceQuery } from './analyze-query.js'
import type { Analysis, AnalyzedQuery, OutputColumn } from './analysis.js'
import { deltaTypeOf } from './create-table.js'
import { FOLDED_ROWS_MIN, foldRows, type ValueList } from './folded-values.js'
import type { InsertOptions } from './insert-clauses.js'
import { Scope } from './scope.js'
import { type SqlType, sqlType, typeOfEngine } from './sql-type.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { assign, defaultValue, type TargetColumn, targetColumn } from './target-table.js'
import { expression } from './typed-expression.js'

/** A column that rows are given for. */
export interface SourceTarget {
  readonly column: TargetColumn
  /** Which of the rows say DEFAULT; in those that do, `d<n>` is true where only some do. */
  readonly defaults: 'none' | 'some' | 'all'
}

export interface InsertSource {
  /** Columns c1, c2, … in the order of `targets`, in their types. */
  readonly sql: string
  readonly targets: readonly SourceTarget[]
  /** Columns that the table is to get. */
  readonly newFields: readonly StructField[]
  readonly levels: AnalyzedQuery['levels']
  /** What the lists of a folded VALUES are bound to. */
  readonly lists: readonly ValueList[]
}

interface NamedTarget {
  readonly name: string
  readonly location: number
}

/**
 * The rows of an InsertStmt's fields, for `columns` of the table named `table`.
 *
 * 42601 when expressions and columns do not pair, 42701 for a column named twice, 42703 for one
 * that the table lacks, unless `options` let the table get it. A long VALUES becomes lists if
 * `folds`.
 */
export function insertSource(
  analysis: Analysis,
  fields: Node,
  columns: readonly TargetColumn[],
  table: string,
  options: InsertOptions,
  folds: boolean,
): InsertSource {
  const named = listOf(fields.cols).map((node): NamedTarget => {
    const target = nodeOf(node, 'ResTarget') ?? {}
    if (listOf(target.indirection).length > 0)
      throw analysis.notSupported('INSERT into a part of a column')
    const location = typeof target.location === 'number' ? target.location : 0
    return { name: String(target.name), location }
  })
  const select = nodeOf(fields.selectStmt, 'SelectStmt')
  if (options.byName && named.length > 0) {
    throw new SqlError(SqlState.syntaxError, 'INSERT BY NAME takes no list of columns')
  }
  if (select === undefined)
    return { sql: 'SELECT 1', targets: [], newFields: [], levels: [], lists: [] }
  const isPlain =
    select.valuesLists !== undefined &&
    select.withClause === undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    fields.withClause === undefined
  if (isPlain && options.byName) throw analysis.notSupported('INSERT … BY NAME with VALUES')
  const mayGrow = options.schemaEvolution && named.some(({ name }) => !has(columns, name))
  if (isPlain && !mayGrow) {
    const targets = named.length > 0 ? namedColumns(analysis, named, columns, table) : columns
    return values(analysis, select, targets, named.length > 0, folds)
  }
  const whole =
    fields.withClause === undefined ? select : { ...select, withClause: fields.withClause }
  return rowsOf(analysis, analyzeSourceQuery(analysis, whole), named, columns, table, options)
}

function has(columns: readonly TargetColumn[], name: string): boolean {
  return columns.some(({ field }) => field.name.toLowerCase() === name.toLowerCase())
}

function namedColumns(
  analysis: Analysis,
  named: readonly NamedTarget[],
  columns: readonly TargetColumn[],
  table: string,
): readonly TargetColumn[] {
  return distinct(
    named.map(({ name, location }) =>
      analysis.located(location, () => targetColumn(columns, name, table)),
    ),
  )
}

function distinct(targets: readonly TargetColumn[]): readonly TargetColumn[] {
  const seen = new Set<string>()
  for (const { field } of targets) {
    if (seen.has(field.name)) {
      throw new SqlError(
        SqlState.duplicateColumn,
        `column "${field.name}" specified more than once`,
      )
    }
    seen.add(field.name)
  }
  return targets
}

/** The targets that `count` expressions are for: all of them when they are named. */
function counted(
  analysis: Analysis,
  targets: readonly TargetColumn[],
  count: number,
  named: boolean,
): readonly TargetColumn[] {
  if (count > targets.length) {
    throw analysis.error(
      SqlState.syntaxError,
      'INSERT has more expressions than target columns',
      -1,
    )
  }
  if (count < targets.length && named) {
    throw analysis.error(
      SqlState.syntaxError,
      'INSERT has more target columns than expressions',
      -1,
    )
  }
  return targets.slice(0, count)
}

function values(
  analysis: Analysis,
  select: Node,
  targets: readonly TargetColumn[],
  named: boolean,
  folds: boolean,
): InsertSource {
  const scope = new Scope(undefined)
  const place = plainPlace('VALUES')
  const lists = listOf(select.valuesLists).map((list) => listOf(nodeOf(list, 'List')?.items))
  const width = lists[0]?.length ?? 0
  const used = counted(analysis, targets, width, named)
  const isDefault = (node: Node | undefined): boolean => nodeOf(node, 'SetToDefault') !== undefined
  const defaults = used.map((_, i): SourceTarget['defaults'] => {
    const count = lists.filter((list) => isDefault(list[i])).length
    return count === 0 ? 'none' : count === lists.length ? 'all' : 'some'
  })
  const isMade = (column: TargetColumn): boolean =>
    column.identity !== undefined || column.generatedText !== undefined
  // A default that nobody asks for need not be one that can be evaluated.
  const fillers = used.map((column, i) =>
    isMade(column) || defaults[i] === 'none'
      ? `CAST(NULL AS ${printEngineType(column.type.engine)})`
      : defaultValue(analysis, column),
  )
  const flagged = used.flatMap((_, i) => (defaults[i] === 'some' ? [i] : []))
  const rows = lists.map((list) => {
    if (list.length !== width) {
      throw analysis.error(SqlState.syntaxError, 'VALUES lists must all be the same length', -1)
    }
    const cells = list.map((node, i) => {
      const column = used[i] as TargetColumn
      if (isDefault(node)) return fillers[i] as string
      return assign(analysis, analyzeExpression(analysis, node, scope, place), column).sql
    })
    return [...cells, ...flagged.map((i) => String(isDefault(list[i])))]
  })
  const folded = folds && rows.length >= FOLDED_ROWS_MIN ? foldRows(rows) : null
  const names = [...used, ...flagged].map((_, i) => `c${i + 1}`).join(', ')
  const source =
    folded?.sql ??
    `SELECT * FROM (VALUES ${rows.map((row) => `(${row.join(', ')})`).join(', ')}) AS r(${names})`
  const typed = used.map(
    (column, i) => `CAST(v.c${i + 1} AS ${printEngineType(column.type.engine)}) AS c${i + 1}`,
  )
  const items = [...typed, ...flagged.map((i, at) => `v.c${used.length + at + 1} AS d${i + 1}`)]
  return {
    sql: `SELECT ${items.join(', ')} FROM (${source}) AS v`,
    targets: used.map((column, i) => ({ column, defaults: defaults[i] ?? 'none' })),
    newFields: [],
    levels: [],
    lists: folded?.lists ?? [],
  }
}

function rowsOf(
  analysis: Analysis,
  query: AnalyzedQuery,
  named: readonly NamedTarget[],
  columns: readonly TargetColumn[],
  table: string,
  options: InsertOptions,
): InsertSource {
  const given: readonly NamedTarget[] = options.byName
    ? query.columns.map(({ name }) => ({ name, location: -1 }))
    : named
  const newFields: StructField[] = []
  const grown = (name: string, source: OutputColumn): TargetColumn => {
    const column = newColumn(name, source.type)
    newFields.push(column.field)
    return column
  }
  let used: readonly TargetColumn[]
  if (given.length > 0) {
    if (given.length !== query.columns.length) {
      const more = query.columns.length > given.length
      throw analysis.error(
        SqlState.syntaxError,
        more
          ? 'INSERT has more expressions than target columns'
          : 'INSERT has more target columns than expressions',
        -1,
      )
    }
    used = distinct(
      given.map(({ name, location }, i) =>
        options.schemaEvolution && !has(columns, name)
          ? grown(name, query.columns[i] as OutputColumn)
          : analysis.located(location, () => targetColumn(columns, name, table)),
      ),
    )
  } else if (options.schemaEvolution && query.columns.length > columns.length) {
    const more = query.columns.slice(columns.length)
    for (const { name } of more) {
      if (!has(columns, name)) continue
      throw new SqlError(
        SqlState.duplicateColumn,
        `column "${name}" of relation "${table}" already exists`,
      )
    }
    used = [...columns, ...distinct(more.map((column) => grown(column.name, column)))]
  } else used = counted(analysis, columns, query.columns.length, false)
  const alias = analysis.fresh('q')
  const items = query.columns.map((column, i) => {
    const value = expression(`${alias}.${quoteIdentifier(column.engineName)}`, column.type, [])
    const known = { ...value, shape: { kind: 'other' as const } }
    return `${assign(analysis, known, used[i] as TargetColumn).sql} AS c${i + 1}`
  })
  return {
    sql: `SELECT ${items.join(', ')} FROM (${query.sql}) AS ${alias}`,
    targets: used.map((column) => ({ column, defaults: 'none' })),
    newFields,
    levels: query.levels,
    lists: [],
  }
}

/** A column that holds what a query gives under `name`; null in the rows that are there. */
export function newColumn(name: string, source: SqlType): TargetColumn {
  const given = source.oid === Oid.unknown ? sqlType(Oid.text) : source
  const type = deltaTypeOf(given)
  return {
    field: { name, type, nullable: true, metadata: {} },
    type: typeOfEngine(engineTypeOf(type)),
    defaultText: undefined,
    generatedText: undefined,
    identity: undefined,
  }
}
