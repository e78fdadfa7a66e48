/** AnalyzeQuery: SELECT, VALUES, set operations and WITH as one query in DuckDB's words. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlState } from '../storage/errors.js'
import {
  analyzeExpression,
  booleanOf,
  coerceExactly,
  columnExpression,
  HAVING,
  plainPlace,
  SELECT_LIST,
  settled,
} from './analyze-expression.js'
import { analyzeFrom, recast } from './analyze-from.js'
import type { Analysis, AnalyzedQuery, OutputColumn } from './analysis.js'
import { coerce, commonType } from './coercion.js'
import { requireGrouped } from './grouping.js'
import { outputName } from './output-names.js'
import type { QueryLevel } from './query-level.js'
import { type CommonTable, findRange, Scope } from './scope.js'
import { type SqlType, sqlType } from './sql-type.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { anyPart, expression, locationOf, type TypedExpression } from './typed-expression.js'
import { sortItem, windowText } from './window-text.js'

/** A whole statement's query. */
export function analyzeQuery(analysis: Analysis, select: Node): AnalyzedQuery {
  return analyzeSelect(analysis, select, new Scope(undefined))
}

/** The query of an INSERT: literals stay untyped for the columns to decide. */
export function analyzeSourceQuery(analysis: Analysis, select: Node): AnalyzedQuery {
  return analyzeSelect(analysis, select, new Scope(undefined), KEEP_UNKNOWN)
}

/** A query inside another, which may use `outer`'s columns. */
export function analyzeSubquery(analysis: Analysis, node: Node, outer: Scope): AnalyzedQuery {
  const select = nodeOf(node, 'SelectStmt')
  if (select === undefined)
    throw analysis.notSupported('a statement that changes data inside a query')
  return analyzeSelect(analysis, select, new Scope(outer))
}

/** Columns that are still of no type, for a set operation or INSERT to decide. */
const KEEP_UNKNOWN = true

/** `scope` is the query's own, empty level. */
function analyzeSelect(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  keepUnknown = false,
): AnalyzedQuery {
  if (listOf(select.lockingClause).length > 0) {
    // Rows of a lake are never changed in place: there is nothing to lock and nothing to wait for.
    return analyzeSelect(analysis, { ...select, lockingClause: undefined }, scope, keepUnknown)
  }
  const withSql = analyzeWith(analysis, select.withClause as Node | undefined, scope)
  const operation = String(select.op ?? 'SETOP_NONE')
  const query =
    operation !== 'SETOP_NONE'
      ? analyzeSetOperation(analysis, select, scope, operation, keepUnknown)
      : select.valuesLists !== undefined
        ? analyzeValues(analysis, select, scope, keepUnknown)
        : analyzePlain(analysis, select, scope, keepUnknown)
  return withSql.sql === '' ? query : { ...query, sql: withSql.sql + query.sql }
}

// ---- WITH -----------------------------------------------------------------------------------------

/** The text of a WITH clause, '' without one; its queries are in sight of `scope` afterwards. */
export function analyzeWith(
  analysis: Analysis,
  clause: Node | undefined,
  scope: Scope,
): { readonly sql: string } {
  if (clause === undefined) return { sql: '' }
  const recursive = clause.recursive === true
  const parts: string[] = []
  const names = new Set<string>()
  for (const item of listOf(clause.ctes)) {
    const cte = nodeOf(item, 'CommonTableExpr') ?? {}
    const name = String(cte.ctename)
    const location = locationOf(cte)
    if (names.has(name)) {
      throw analysis.error(
        SqlState.duplicateAlias,
        `WITH query name "${name}" specified more than once`,
        location,
      )
    }
    names.add(name)
    if (cte.search_clause !== undefined || cte.cycle_clause !== undefined) {
      throw analysis.notSupported('SEARCH and CYCLE', location)
    }
    const query = cte.ctequery as Node
    const body = nodeOf(query, 'SelectStmt')
    if (body === undefined)
      throw analysis.notSupported('WITH over a statement that changes data', location)
    const engineName = analysis.fresh('cte')
    // Each reference may ask for other rows, so only what the query itself says prunes its tables.
    const aliases = namesOf(cte.aliascolnames)
    const made =
      recursive && refersTo(body, name)
        ? recursiveQuery(analysis, body, scope, name, engineName, aliases, location)
        : analyzeSelect(analysis, body, new Scope(scope.parent, new Map(scope.ctes)))
    analysis.roots.push(made.levels)
    const table = commonTable(analysis, name, engineName, made, aliases, location)
    scope.ctes.set(name, table)
    const hint =
      cte.ctematerialized === 'CTEMaterializeAlways'
        ? ' MATERIALIZED'
        : cte.ctematerialized === 'CTEMaterializeNever'
          ? ' NOT MATERIALIZED'
          : ''
    const columns = made.columns.map((column) => quoteIdentifier(column.engineName)).join(', ')
    parts.push(`${engineName}(${columns}) AS${hint} (${made.sql})`)
  }
  return { sql: `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} ` }
}

function commonTable(
  analysis: Analysis,
  name: string,
  engineName: string,
  query: AnalyzedQuery,
  aliases: readonly string[],
  location: number,
): CommonTable {
  if (aliases.length > query.columns.length) {
    throw analysis.error(
      SqlState.invalidColumnReference,
      `WITH query "${name}" has ${query.columns.length} columns available but ${aliases.length} columns specified`,
      location,
    )
  }
  return {
    name,
    engineName,
    columns: query.columns.map((column, i) => ({
      name: aliases[i] ?? column.name,
      engineName: column.engineName,
      type: column.type,
    })),
    uses: [],
  }
}

function refersTo(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (Array.isArray(node)) return node.some((one) => refersTo(one, name))
  const range = nodeOf(node, 'RangeVar')
  if (range !== undefined && range.relname === name && range.schemaname === undefined) return true
  return Object.values(node as Node).some((one) => refersTo(one, name))
}

/** `base UNION [ALL] step`: the base's types are the table's. */
function recursiveQuery(
  analysis: Analysis,
  body: Node,
  scope: Scope,
  name: string,
  engineName: string,
  aliases: readonly string[],
  location: number,
): AnalyzedQuery {
  if (
    body.op !== 'SETOP_UNION' ||
    listOf(body.sortClause).length > 0 ||
    body.limitCount !== undefined
  ) {
    throw analysis.error(
      body.op === 'SETOP_UNION' ? SqlState.featureNotSupported : SqlState.invalidRecursion,
      body.op === 'SETOP_UNION'
        ? 'ORDER BY in a recursive query is not implemented'
        : `recursive query "${name}" does not have the form non-recursive-term UNION [ALL] recursive-term`,
      location,
    )
  }
  const ctes = new Map(scope.ctes)
  const inside = new Scope(scope.parent, ctes)
  analyzeWith(analysis, body.withClause as Node | undefined, inside)
  const base = analyzeSelect(
    analysis,
    body.larg as Node,
    new Scope(scope.parent, new Map(inside.ctes)),
  )
  const stepCtes = new Map(inside.ctes)
  stepCtes.set(name, commonTable(analysis, name, engineName, base, aliases, location))
  const step = analyzeSelect(analysis, body.rarg as Node, new Scope(scope.parent, stepCtes))
  analysis.roots.push(base.levels, step.levels)
  if (step.columns.length !== base.columns.length) {
    throw analysis.error(
      SqlState.syntaxError,
      'each UNION query must have the same number of columns',
      location,
    )
  }
  for (const [i, column] of base.columns.entries()) {
    const other = step.columns[i]
    if (
      other !== undefined &&
      other.type.oid !== column.type.oid &&
      commonType([column.type, other.type], 'UNION').oid !== column.type.oid
    ) {
      throw analysis.error(
        SqlState.datatypeMismatch,
        `recursive query "${name}" column ${i + 1} has type ${typeText(column.type)} in non-recursive term but type ${typeText(other.type)} overall`,
        location,
        { hint: 'Cast the output of the non-recursive term to the correct type.' },
      )
    }
  }
  const types = base.columns.map((column) => column.type)
  const words = body.all === true ? 'UNION ALL' : 'UNION'
  return {
    sql: `(${base.sql}) ${words} (${recast(step, types)})`,
    columns: base.columns,
    levels: [],
  }
}

function typeText(type: SqlType): string {
  return printEngineType(type.engine).toLowerCase()
}

// ---- VALUES and set operations --------------------------------------------------------------------

function analyzeValues(
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

function analyzeSetOperation(
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

/** The output column an item of ORDER BY or GROUP BY names by place or by name; null when neither. */
function outputIndex(
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

function limitText(analysis: Analysis, select: Node, scope: Scope): string {
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

// ---- SELECT ---------------------------------------------------------------------------------------

interface Target {
  readonly name: string
  readonly value: TypedExpression
}

function analyzePlain(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  keepUnknown: boolean,
): AnalyzedQuery {
  const items = analyzeFrom(analysis, listOf(select.fromClause), scope)
  scope.ranges = items.flatMap((item) => item.ranges)
  scope.columns = items.flatMap((item) => item.columns)
  const where =
    select.whereClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, select.whereClause as Node, scope, plainPlace('WHERE')),
          'WHERE',
        )
  nameWindows(analysis, select, scope)
  const targets = analyzeTargets(analysis, select, scope).map(
    ({ name, value }): Target => ({
      name,
      value: keepUnknown ? value : analysis.located(value.location, () => settled(analysis, value)),
    }),
  )
  const groups = analyzeGroups(analysis, select, scope, targets)
  const having =
    select.havingClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, select.havingClause as Node, scope, HAVING),
          'HAVING',
        )
  const sorts = analyzeSorts(analysis, select, scope, targets)
  const values = targets.map((target) => target.value)
  const isAggregate = (one: TypedExpression): boolean =>
    anyPart(one, (part) => part.shape.kind === 'aggregate')
  const sortValues = sorts.flatMap((sort) => (sort.value === undefined ? [] : [sort.value]))
  const grouped =
    select.groupClause !== undefined ||
    having !== undefined ||
    [...values, ...sortValues].some(isAggregate)
  if (grouped) {
    for (const value of [...values, ...(having === undefined ? [] : [having]), ...sortValues]) {
      requireGrouped(analysis, value, groups.keys)
    }
  }
  const engineNames = uniqueNames(targets.map((target) => target.name))
  const distinct = distinctText(analysis, select, scope, targets, sorts)
  const list = targets.map(
    (target, i) => `${target.value.sql} AS ${quoteIdentifier(engineNames[i] ?? '')}`,
  )
  const ties = select.limitOption === 'LIMIT_OPTION_WITH_TIES'
  const parts = [
    `SELECT ${distinct}${list.length === 0 ? '1 AS "?"' : list.join(', ')}`,
    items.length === 0 ? '' : ` FROM ${items.map((item) => item.sql).join(', ')}`,
    where === undefined ? '' : ` WHERE ${where.sql}`,
    groups.sql === '' ? '' : ` GROUP BY ${groups.sql}`,
    having === undefined ? '' : ` HAVING ${having.sql}`,
    ties ? tiesText(analysis, select, sorts, targets) : '',
    sorts.length === 0 ? '' : ` ORDER BY ${sorts.map((sort) => sort.sql).join(', ')}`,
    limitText(analysis, select, scope),
  ]
  if (list.length === 0 && items.length === 0 && where === undefined) parts[0] = 'SELECT 1 AS "?"'
  const leaves = items.flatMap((item) => item.leaves)
  const windows = values.some((value) =>
    anyPart(value, (part) => part.shape.kind === 'window' || part.shape.kind === 'set-returning'),
  )
  const limited =
    select.limitCount !== undefined ||
    select.limitOffset !== undefined ||
    windows ||
    /^DISTINCT ON/.test(distinct)
  const groupingSets = listOf(select.groupClause).some(
    (node) => nodeOf(node, 'GroupingSet') !== undefined,
  )
  const level: QueryLevel = {
    conditions: [
      ...items.flatMap((item) => item.conditions),
      ...(where === undefined ? [] : conjunctsOf(where)).map((condition) => ({
        condition,
        only: new Set(leaves.map(({ range }) => range).filter((range) => !range.nullable)),
      })),
    ],
    ranges: leaves,
    outputs: values,
    passes: (i) => !limited && !groupingSets && (!grouped || groups.keys.has(values[i]?.sql ?? '')),
  }
  const columns = targets.map((target, i) => ({
    name: target.name,
    engineName: engineNames[i] ?? target.name,
    type: target.value.type,
  }))
  return { sql: parts.join(''), columns, levels: [level] }
}

function nameWindows(analysis: Analysis, select: Node, scope: Scope): void {
  for (const item of listOf(select.windowClause)) {
    const definition = nodeOf(item, 'WindowDef') ?? {}
    const { sql } = windowText(analysis, { ...definition, name: undefined }, scope, SELECT_LIST)
    scope.windows.set(String(definition.name), sql)
  }
}

function analyzeTargets(analysis: Analysis, select: Node, scope: Scope): readonly Target[] {
  return listOf(select.targetList).flatMap((item): readonly Target[] => {
    const target = nodeOf(item, 'ResTarget') ?? {}
    const value = target.val as Node
    const stars = starTargets(analysis, value, scope)
    if (stars !== null) return stars
    const name = typeof target.name === 'string' ? target.name : outputName(value)
    return [{ name, value: analyzeExpression(analysis, value, scope, SELECT_LIST) }]
  })
}

/** The columns of `*` or `t.*`; null for any other item. */
function starTargets(analysis: Analysis, node: Node, scope: Scope): readonly Target[] | null {
  const reference = nodeOf(node, 'ColumnRef')
  const fields = listOf(reference?.fields)
  if (nodeOf(fields.at(-1), 'A_Star') === undefined) return null
  const location = locationOf(reference)
  if (fields.length === 1) {
    if (scope.ranges.length === 0) {
      throw analysis.error(
        SqlState.syntaxError,
        'SELECT * with no tables specified is not valid',
        location,
      )
    }
    analysis.stars.push({ location, columns: writtenOut(scope.columns, scope) })
    return scope.columns.map(({ name, column, merged }) => ({
      name,
      value: merged ?? columnExpression(column, scope, scope, location),
    }))
  }
  const names = fields.slice(0, -1).map((field) => stringOf(field) ?? '')
  const found = findRange(scope, names.at(-1) ?? '', names.length > 1 ? names.at(-2) : undefined)
  if (found === undefined) {
    throw analysis.error(
      SqlState.undefinedTable,
      `missing FROM-clause entry for table "${names.at(-1)}"`,
      location,
    )
  }
  const own = found.range.columns.map((column) => ({ name: column.name, column }))
  analysis.stars.push({ location, columns: writtenOut(own, scope) })
  return found.range.columns.map((column) => ({
    name: column.name,
    value: columnExpression(column, found.scope, scope, location),
  }))
}

/** `columns` as a client would name each of them; null where one has no name of its own. */
function writtenOut(columns: Scope['columns'], scope: Scope): string | null {
  const items: string[] = []
  for (const { name, column, merged } of columns) {
    const lower = name.toLowerCase()
    const namesakes = scope.columns.filter((other) => other.name.toLowerCase() === lower)
    const { alias } = column.range
    const ranges = scope.ranges.filter((range) => range.alias === alias)
    // Qualified where possible: a table of the join may get a column of that name later.
    const isQualified = merged === undefined && alias !== undefined && ranges.length === 1
    if (!isQualified && namesakes.length !== 1) return null
    items.push(`${isQualified ? `${quoteIdentifier(alias)}.` : ''}${quoteIdentifier(name)}`)
  }
  return items.join(', ')
}

interface Groups {
  readonly sql: string
  /** DuckDB text of each grouping expression. */
  readonly keys: ReadonlySet<string>
}

function analyzeGroups(
  analysis: Analysis,
  select: Node,
  scope: Scope,
  targets: readonly Target[],
): Groups {
  const keys = new Set<string>()
  const key = (node: Node): string => {
    const value = groupValue(analysis, node, scope, targets)
    if (anyPart(value, (part) => part.shape.kind === 'aggregate')) {
      throw analysis.error(
        SqlState.groupingError,
        'aggregate functions are not allowed in GROUP BY',
        value.location,
      )
    }
    const typed = settled(analysis, value)
    keys.add(typed.sql)
    const place = targets.findIndex((target) => target.value.sql === typed.sql)
    // By place where there is one: a constant would be taken for a place itself.
    return place >= 0
      ? String(place + 1)
      : typed.shape.kind === 'constant'
        ? `(SELECT ${typed.sql})`
        : typed.sql
  }
  const expressionText = (node: Node): string => {
    const set = nodeOf(node, 'GroupingSet')
    if (set === undefined) {
      const row = nodeOf(node, 'RowExpr')
      return row === undefined ? key(node) : `(${listOf(row.args).map(key).join(', ')})`
    }
    const content = listOf(set.content).map(expressionText).join(', ')
    switch (set.kind) {
      case 'GROUPING_SET_EMPTY':
        return '()'
      case 'GROUPING_SET_ROLLUP':
        return `ROLLUP (${content})`
      case 'GROUPING_SET_CUBE':
        return `CUBE (${content})`
      case 'GROUPING_SET_SETS':
        return `GROUPING SETS (${content})`
      default:
        return `(${content})`
    }
  }
  const clause = listOf(select.groupClause)
  const sets = clause.some((node) => nodeOf(node, 'GroupingSet') !== undefined)
  if (sets) {
    // Places are not understood inside grouping sets: the expressions themselves are written.
    const byText = clause.map((node) => withoutPlaces(expressionText(node), targets))
    return { sql: byText.join(', '), keys }
  }
  return { sql: clause.map(expressionText).join(', '), keys }
}

function withoutPlaces(sql: string, targets: readonly Target[]): string {
  return sql.replaceAll(
    /(?<=^|[(,] ?)(\d+)(?=$|[),])/g,
    (place) => targets[Number(place) - 1]?.value.sql ?? place,
  )
}

function groupValue(
  analysis: Analysis,
  node: Node,
  scope: Scope,
  targets: readonly Target[],
): TypedExpression {
  const isPlace = constantOf(node) !== undefined
  const parts = listOf(nodeOf(node, 'ColumnRef')?.fields)
  const name = parts.length === 1 ? stringOf(parts[0]) : undefined
  // An input column wins over an output name in GROUP BY; a place and a name of nothing else do not.
  const input = name !== undefined && scope.columns.some((column) => column.name === name)
  if (isPlace || (name !== undefined && !input)) {
    const index = outputIndex(analysis, node, targets, 'GROUP BY')
    const target = index === null ? undefined : targets[index]
    if (target !== undefined) return target.value
  }
  return analyzeExpression(analysis, node, scope, plainPlace('GROUP BY'))
}

interface Sort {
  readonly sql: string
  /** The sort expression when it is no output column. */
  readonly value: TypedExpression | undefined
  readonly index: number | null
  /** The expression's own text with direction, for windows. */
  readonly plain: string
}

function analyzeSorts(
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

function distinctText(
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
function tiesText(
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

/** The parts of a condition that must all hold. */
export function conjunctsOf(condition: TypedExpression): TypedExpression[] {
  return condition.shape.kind === 'and' ? condition.parts.flatMap(conjunctsOf) : [condition]
}

/** Names made distinct without regard to case, as DuckDB needs them. */
export function uniqueNames(names: readonly string[]): string[] {
  const seen = new Set<string>()
  return names.map((name) => {
    let unique = name
    for (let n = 1; seen.has(unique.toLowerCase()); n++) unique = `${name}_${n}`
    seen.add(unique.toLowerCase())
    return unique
  })
}
