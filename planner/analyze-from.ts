/** AnalyzeFrom: items of FROM - tables, subqueries, functions, joins - as ranges and DuckDB text. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlState } from '../storage/errors.js'
import { analyzeCall, callName, callOperator } from './analyze-call.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf, unified } from './expression-types.js'
import type { Place } from './expression-place.js'
import { analyzeSubquery } from './analyze-query.js'
import { conjunctsOf } from './conjuncts.js'
import { uniqueNames } from './query-names.js'
import { type Analysis, type AnalyzedQuery, markerOf, type Relation } from './analysis.js'
import { coerce } from './coercion.js'
import type { LevelCondition, LevelRange, QueryLevel } from './query-level.js'
import {
  type NamedColumn,
  passedOn,
  type Range,
  type RangeColumn,
  Scope,
  watchedColumn,
} from './scope.js'
import { type SqlType, sqlType, typeOfName } from './sql-type.js'
import { changeBounds, changesCall } from './table-changes.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import type { TableUse } from './table-use.js'
import { anyPart, expression, locationOf, type TypedExpression } from './typed-expression.js'

/** An analysed item of FROM. */
export interface FromItem {
  readonly sql: string
  /** Ranges by which columns may be qualified. */
  readonly ranges: readonly Range[]
  /** Columns in the order of `*`, merged ones of USING first. */
  readonly columns: readonly NamedColumn[]
  /** Tables and subqueries inside, for pruning. */
  readonly leaves: readonly LevelRange[]
  readonly conditions: readonly LevelCondition[]
}

const JOIN_ON: Place = {
  clause: 'JOIN conditions',
  aggregates: false,
  windows: false,
  setReturning: false,
}
const IN_FROM: Place = {
  clause: 'functions in FROM',
  aggregates: false,
  windows: false,
  setReturning: true,
}

/** All items of a FROM clause, each seeing those before it where it is lateral. */
export function analyzeFrom(analysis: Analysis, nodes: readonly Node[], scope: Scope): FromItem[] {
  const items: FromItem[] = []
  for (const node of nodes) {
    const left = new Scope(scope.parent, scope.ctes)
    left.ranges = items.flatMap((item) => item.ranges)
    left.columns = items.flatMap((item) => item.columns)
    const item = analyzeItem(analysis, node, scope, left)
    requireDistinctAliases(analysis, [...left.ranges, ...item.ranges], locationOf(node))
    items.push(item)
    scope.usedByInner.push(...left.usedByInner)
  }
  return items
}

function requireDistinctAliases(
  analysis: Analysis,
  ranges: readonly Range[],
  location: number,
): void {
  const seen = new Set<string>()
  for (const { alias, schema } of ranges) {
    const key = `${schema ?? ''}.${alias ?? ''}`
    if (alias !== undefined && seen.has(key)) {
      throw analysis.error(
        SqlState.duplicateAlias,
        `table name "${alias}" specified more than once`,
        location,
      )
    }
    seen.add(key)
  }
}

function analyzeItem(analysis: Analysis, node: Node, scope: Scope, left: Scope): FromItem {
  const kind = kindOf(node)
  const fields = (node[kind] ?? {}) as Node
  switch (kind) {
    case 'RangeVar':
      return table(analysis, fields, scope)
    case 'RangeSubselect':
      return subselect(analysis, fields, scope, left)
    case 'RangeFunction':
      return functionItem(analysis, fields, left)
    case 'JoinExpr':
      return join(analysis, fields, scope, left)
    case 'RangeTableSample':
      return sample(analysis, fields, scope, left)
    default:
      throw analysis.notSupported(`${kind} in FROM`, locationOf(fields))
  }
}

interface Alias {
  readonly name: string | undefined
  readonly columns: readonly string[]
}

function aliasOf(fields: Node): Alias {
  const alias = fields.alias as Node | undefined
  return {
    name: typeof alias?.aliasname === 'string' ? alias.aliasname : undefined,
    columns: namesOf(alias?.colnames),
  }
}

/** A range over columns named `engineNames` of the DuckDB relation `engineAlias`. */
function rangeOf(
  analysis: Analysis,
  engineAlias: string,
  columns: readonly {
    readonly name: string
    readonly engineName: string
    readonly type: SqlType
    readonly used?: (() => void) | undefined
  }[],
  alias: Alias,
  fallback: string | undefined,
  schema: string | undefined,
  relation: number | undefined,
  location: number,
): Range {
  if (alias.columns.length > columns.length) {
    throw analysis.error(
      SqlState.invalidColumnReference,
      `table "${alias.name ?? fallback}" has ${columns.length} columns available but ${alias.columns.length} columns specified`,
      location,
    )
  }
  const made: RangeColumn[] = []
  const range: Range = {
    alias: alias.name ?? fallback,
    schema,
    columns: made,
    relation,
    nullable: false,
  }
  for (const [i, column] of columns.entries()) {
    const sql = `${engineAlias}.${quoteIdentifier(column.engineName)}`
    const own = { name: alias.columns[i] ?? column.name, type: column.type, range }
    made.push(watchedColumn(own, sql, column.used))
  }
  return range
}

function itemOf(sql: string, range: Range, inner: readonly QueryLevel[]): FromItem {
  return {
    sql,
    ranges: [range],
    columns: range.columns.map((column) => ({ name: column.name, column })),
    leaves: [{ range, relation: range.relation, inner, sql }],
    conditions: [],
  }
}

function table(analysis: Analysis, fields: Node, scope: Scope): FromItem {
  const name = String(fields.relname)
  const schema = fields.schemaname as string | undefined
  const alias = aliasOf(fields)
  const location = locationOf(fields)
  const engineAlias = analysis.fresh('t')
  const cte = schema === undefined ? scope.ctes.get(name) : undefined
  if (cte !== undefined) {
    const columns = cte.columns.map((column) => ({ ...column, engineName: column.engineName }))
    const range = rangeOf(
      analysis,
      engineAlias,
      columns,
      alias,
      name,
      undefined,
      undefined,
      location,
    )
    cte.uses.push(range)
    return itemOf(`${quoteIdentifier(cte.engineName)} AS ${engineAlias}`, range, [])
  }
  const relation = analysis.host.relation(fields)
  if (relation === undefined) {
    const shown = schema === undefined ? name : `${schema}.${name}`
    throw analysis.error(SqlState.undefinedTable, `relation "${shown}" does not exist`, location)
  }
  const ownSchema = alias.name === undefined ? schemaOf(relation, schema) : undefined
  switch (relation.kind) {
    case 'table':
    case 'temporary': {
      const columns = relation.columns.map((column, i) => ({
        ...column,
        engineName: column.name,
        used: relation.kind === 'table' ? reading(relation.use, i) : undefined,
      }))
      const id = relation.kind === 'table' ? relation.id : undefined
      const range = rangeOf(analysis, engineAlias, columns, alias, name, ownSchema, id, location)
      const sql = relation.kind === 'table' ? markerOf(relation.id) : relation.sql
      return itemOf(`${sql} AS ${engineAlias}`, range, [])
    }
    case 'view': {
      const columns = relation.query.columns.map((column, i) => ({
        ...column,
        name: relation.columnNames[i] ?? column.name,
        used: reading(relation.use, i),
      }))
      const range = rangeOf(
        analysis,
        engineAlias,
        columns,
        alias,
        name,
        ownSchema,
        undefined,
        location,
      )
      return itemOf(`(${relation.query.sql}) AS ${engineAlias}`, range, relation.query.levels)
    }
  }
}

/** Notes that the column at `index` is read. */
function reading(use: TableUse, index: number): () => void {
  const key = use.relation.columns[index] ?? ''
  return () => use.column('SELECT', key)
}

function schemaOf(relation: Relation, written: string | undefined): string | undefined {
  const dot = relation.name.indexOf('.')
  return written ?? (dot < 0 ? undefined : relation.name.slice(0, dot))
}

function subselect(analysis: Analysis, fields: Node, scope: Scope, left: Scope): FromItem {
  const lateral = fields.lateral === true
  const outside = lateral ? left : outerOf(scope)
  const query = analyzeSubquery(analysis, fields.subquery as Node, outside)
  const alias = aliasOf(fields)
  const engineAlias = analysis.fresh('t')
  const range = rangeOf(
    analysis,
    engineAlias,
    query.columns,
    alias,
    undefined,
    undefined,
    undefined,
    locationOf(fields),
  )
  return itemOf(`${lateral ? 'LATERAL ' : ''}(${query.sql}) AS ${engineAlias}`, range, query.levels)
}

/** What a subquery in FROM sees: the CTEs, and enclosing queries, but not its neighbours. */
function outerOf(scope: Scope): Scope {
  const outer = new Scope(scope.parent, scope.ctes)
  return outer
}

// ---- functions ------------------------------------------------------------------------------------

interface FunctionColumns {
  /** A SELECT of the columns, without ordinality. */
  readonly sql: string
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
}

function functionItem(analysis: Analysis, fields: Node, left: Scope): FromItem {
  const changes = analysis.host.relation(fields)
  if (changes?.kind === 'table') return changesItem(analysis, fields, changes)
  const parts = listOf(fields.functions).map((one) => listOf(nodeOf(one, 'List')?.items))
  const calls = parts.map(([call]) => call as Node)
  const location = locationOf((nodeOf(calls[0], 'FuncCall') ?? {}) as Node)
  if (calls.length !== 1 && fields.is_rowsfrom === true)
    throw analysis.notSupported('ROWS FROM', location)
  const definitions = listOf(fields.coldeflist)
  const call = calls[0] as Node
  const alias = aliasOf(fields)
  const made = functionColumns(analysis, call, definitions, alias, left)
  const engineAlias = analysis.fresh('t')
  const columns = made.columns.map((column, i) => ({ ...column, engineName: `c${i + 1}` }))
  let sql = made.sql
  if (fields.ordinality === true) {
    columns.push({
      name: 'ordinality',
      engineName: `c${columns.length + 1}`,
      type: sqlType(Oid.int8),
    })
    sql = `SELECT *, row_number() OVER () AS c${columns.length} FROM (${sql})`
  }
  // A function of one column is named by its alias: FROM generate_series(1, 3) AS n.
  const single = made.columns.length === 1 && definitions.length === 0
  const named: Alias =
    single && alias.name !== undefined && alias.columns.length === 0
      ? { name: alias.name, columns: isScalarNamed(call) ? [] : [alias.name] }
      : alias
  const range = rangeOf(
    analysis,
    engineAlias,
    columns,
    named,
    callName(nodeOf(call, 'FuncCall') ?? {}) || undefined,
    undefined,
    undefined,
    location,
  )
  const scalar = single && fields.ordinality !== true
  const item = itemOf(`LATERAL (${sql}) AS ${engineAlias}`, scalar ? scalarRange(range) : range, [])
  return left.usedByInner.length === 0 ? { ...item, sql: item.sql.replace(/^LATERAL /, '') } : item
}

/** table_changes(…), which was resolved beforehand as tables are. */
function changesItem(
  analysis: Analysis,
  fields: Node,
  relation: Extract<Relation, { kind: 'table' }>,
): FromItem {
  const call = changesCall(fields) ?? {}
  const location = locationOf(call)
  if (fields.ordinality === true) throw analysis.notSupported('WITH ORDINALITY', location)
  if (fields.coldeflist !== undefined) throw columnDefinitions(analysis, location)
  // The types of parameters in it are found like those of any other.
  changeBounds(analysis, call)
  const engineAlias = analysis.fresh('t')
  const columns = relation.columns.map((column) => ({ ...column, engineName: column.name }))
  const range = rangeOf(
    analysis,
    engineAlias,
    columns,
    aliasOf(fields),
    callName(call),
    undefined,
    relation.id,
    location,
  )
  return itemOf(`${markerOf(relation.id)} AS ${engineAlias}`, range, [])
}

function columnDefinitions(analysis: Analysis, location: number): unknown {
  return analysis.error(
    SqlState.syntaxError,
    'a column definition list is only allowed for functions returning "record"',
    location,
  )
}

function scalarRange(range: Range): Range {
  const columns: RangeColumn[] = []
  const scalar: Range = { ...range, columns, scalar: true }
  for (const column of range.columns) columns.push({ ...column, range: scalar })
  return scalar
}

/** Functions whose column has a name of its own that an alias of the range does not replace. */
function isScalarNamed(call: Node): boolean {
  const name = callName(nodeOf(call, 'FuncCall') ?? {})
  return /^jsonb?_array_elements(?:_text)?$/.test(name)
}

function functionColumns(
  analysis: Analysis,
  node: Node,
  definitions: readonly Node[],
  alias: Alias,
  left: Scope,
): FunctionColumns {
  const fields = nodeOf(node, 'FuncCall')
  // Arguments see the items before; they are one level down from the query itself.
  const scope = new Scope(left)
  if (fields === undefined) {
    const value = analyzeExpression(analysis, node, scope, IN_FROM)
    return {
      sql: `SELECT ${value.sql} AS c1`,
      columns: [{ name: alias.name ?? '?column?', type: value.type }],
    }
  }
  const name = callName(fields)
  const args = listOf(fields.args)
  if (name === 'unnest' && args.length > 1) {
    const calls = args.map((arg) =>
      analyzeCall(analysis, { ...fields, args: [arg] }, scope, IN_FROM),
    )
    return {
      sql: `SELECT ${calls.map((call, i) => `${call.sql} AS c${i + 1}`).join(', ')}`,
      columns: calls.map((call) => ({ name: 'unnest', type: call.type })),
    }
  }
  if (/^jsonb?_each(?:_text)?$/.test(name)) return jsonEach(analysis, name, args, scope)
  if (/^jsonb?_(?:to_record|populate_record)(?:set)?$/.test(name)) {
    return jsonRecords(analysis, name, args, definitions, scope)
  }
  if (definitions.length > 0) {
    throw columnDefinitions(analysis, locationOf(fields))
  }
  const call = analyzeCall(analysis, fields, scope, IN_FROM)
  const column = /^jsonb?_array_elements/.test(name) ? 'value' : name
  const series = name === 'generate_series' ? constantSeries(call) : null
  return {
    sql: series ?? `SELECT ${call.sql} AS c1`,
    columns: [{ name: column, type: call.type }],
  }
}

/** A series between constants streams from DuckDB's table function instead of being a list first. */
function constantSeries(call: TypedExpression): string | null {
  const constant = call.parts.every(
    (part) =>
      !anyPart(
        part,
        (one) =>
          one.parts.length === 0 && one.shape.kind !== 'constant' && one.shape.kind !== 'other',
      ),
  )
  if (
    !constant ||
    call.type.oid === Oid.numeric ||
    call.parts.some((part) => /\bt\d+\./.test(part.sql))
  )
    return null
  const list = /unnest\((generate_series\(.*\))\) AS ([^()]+)\)$/s.exec(call.sql)
  if (list === null) return null
  return `SELECT CAST(s AS ${list[2]}) AS c1 FROM ${list[1]} AS g(s)`
}

function jsonEach(
  analysis: Analysis,
  name: string,
  args: readonly Node[],
  scope: Scope,
): FunctionColumns {
  const binary = name.startsWith('jsonb')
  const type = sqlType(binary ? Oid.jsonb : Oid.json)
  const json = coerce(
    analyzeExpression(analysis, args[0] as Node, scope, IN_FROM),
    type,
    'assignment',
    analysis,
  )
  const extract = name.endsWith('_text') ? 'json_extract_string' : 'json_extract'
  return {
    sql: `SELECT k AS c1, ${extract}(j, lakegate_json_key_path(k)) AS c2 FROM (SELECT unnest(lakegate_json_keys(j)) AS k, j FROM (SELECT ${json.sql} AS j))`,
    columns: [
      { name: 'key', type: sqlType(Oid.text) },
      { name: 'value', type: name.endsWith('_text') ? sqlType(Oid.text) : type },
    ],
  }
}

function jsonRecords(
  analysis: Analysis,
  name: string,
  args: readonly Node[],
  definitions: readonly Node[],
  scope: Scope,
): FunctionColumns {
  if (definitions.length === 0 || name.includes('populate')) throw analysis.notSupported(name)
  const type = sqlType(name.startsWith('jsonb') ? Oid.jsonb : Oid.json)
  const json = coerce(
    analyzeExpression(analysis, args[0] as Node, scope, IN_FROM),
    type,
    'assignment',
    analysis,
  )
  const columns = definitions.map((definition) => {
    const fields = nodeOf(definition, 'ColumnDef') ?? {}
    return { name: String(fields.colname), type: typeOfName(fields.typeName as Node) }
  })
  const item = expression('j', type, [])
  const values = columns.map((column, i) => {
    const isJson = column.type.oid === Oid.json || column.type.oid === Oid.jsonb
    const key = expression(`'${column.name.replaceAll("'", "''")}'`, sqlType(Oid.text), [], -1, {
      kind: 'constant',
      text: column.name,
    })
    const field = callOperator(analysis, isJson ? '->' : '->>', [item, key], -1)
    return `${coerce(field, column.type, 'explicit', analysis).sql} AS c${i + 1}`
  })
  const rows = name.endsWith('set')
    ? `SELECT unnest(lakegate_json_elements(${json.sql})) AS j`
    : `SELECT ${json.sql} AS j`
  return { sql: `SELECT ${values.join(', ')} FROM (${rows})`, columns }
}

function sample(analysis: Analysis, fields: Node, scope: Scope, left: Scope): FromItem {
  const item = analyzeItem(analysis, fields.relation as Node, scope, left)
  const method = namesOf(fields.method).at(-1) ?? ''
  const percent = constantOf(listOf(fields.args)[0])
  if (!/^(?:bernoulli|system)$/.test(method)) {
    throw analysis.error(
      SqlState.undefinedObject,
      `tablesample method ${method} does not exist`,
      locationOf(fields),
    )
  }
  if (typeof percent !== 'number' || percent < 0 || percent > 100) {
    throw analysis.error(
      SqlState.invalidParameterValue,
      'sample percentage must be between 0 and 100',
      locationOf(fields),
    )
  }
  const seed =
    fields.repeatable === undefined
      ? ''
      : ` REPEATABLE (${Number(constantOf(fields.repeatable) ?? 0)})`
  return {
    ...item,
    sql: `${item.sql} TABLESAMPLE ${method}(${percent} PERCENT)${seed}`,
    leaves: item.leaves.map((leaf) => ({ ...leaf, sql: undefined, isSampled: true })),
  }
}

// ---- joins ----------------------------------------------------------------------------------------

const JOIN_WORDS: Readonly<Record<string, string>> = {
  JOIN_INNER: 'JOIN',
  JOIN_LEFT: 'LEFT JOIN',
  JOIN_RIGHT: 'RIGHT JOIN',
  JOIN_FULL: 'FULL JOIN',
}

function join(analysis: Analysis, fields: Node, scope: Scope, outerLeft: Scope): FromItem {
  const type = String(fields.jointype)
  const location = locationOf(fields)
  const left = analyzeItem(analysis, fields.larg as Node, scope, outerLeft)
  const seen = new Scope(scope.parent, scope.ctes)
  seen.ranges = [...outerLeft.ranges, ...left.ranges]
  seen.columns = [...outerLeft.columns, ...left.columns]
  const right = analyzeItem(analysis, fields.rarg as Node, scope, seen)
  scope.usedByInner.push(...seen.usedByInner)
  requireDistinctAliases(analysis, [...left.ranges, ...right.ranges], location)
  const nullableBefore = new Set(
    [...left.leaves, ...right.leaves].map(({ range }) => range).filter((range) => range.nullable),
  )
  if (type === 'JOIN_LEFT' || type === 'JOIN_FULL')
    for (const { range } of right.leaves) range.nullable = true
  if (type === 'JOIN_RIGHT' || type === 'JOIN_FULL')
    for (const { range } of left.leaves) range.nullable = true

  let names: string[] | null = null
  if (fields.isNatural === true) {
    names = left.columns
      .map((one) => one.name)
      .filter((name) => right.columns.some((other) => other.name === name))
  } else if (fields.usingClause !== undefined) {
    names = listOf(fields.usingClause).map((one) => stringOf(one) ?? '')
  }
  let on: TypedExpression[] = []
  let columns: NamedColumn[] = [...left.columns, ...right.columns]
  if (names !== null) {
    const merged = names.map((name) => mergedColumn(analysis, name, left, right, type, location))
    on = merged.map((one) => one.equal)
    const rest = (of: FromItem): NamedColumn[] =>
      of.columns.filter((one) => !(names ?? []).includes(one.name))
    columns = [...merged.map((one) => one.column), ...rest(left), ...rest(right)]
  } else if (fields.quals !== undefined) {
    const level = new Scope(scope.parent, scope.ctes)
    level.ranges = [...left.ranges, ...right.ranges]
    level.columns = columns
    on = conjunctsOf(
      booleanOf(
        analysis,
        analyzeExpression(analysis, fields.quals as Node, level, JOIN_ON),
        'JOIN/ON',
      ),
    )
    scope.usedByInner.push(...level.usedByInner)
  }
  const cross =
    type === 'JOIN_INNER' && on.length === 0 && names === null && fields.quals === undefined
  const words = cross ? 'CROSS JOIN' : (JOIN_WORDS[type] ?? 'JOIN')
  const condition = cross
    ? ''
    : ` ON ${on.length === 0 ? 'true' : on.map((one) => one.sql).join(' AND ')}`
  const sql = `(${left.sql} ${words} ${right.sql}${condition})`
  const leaves = [...left.leaves, ...right.leaves]
  const item: FromItem = {
    sql,
    ranges: [...left.ranges, ...right.ranges],
    columns,
    leaves,
    conditions: [
      ...left.conditions,
      ...right.conditions,
      ...holding(type, on, left, right, nullableBefore),
    ],
  }
  const alias = aliasOf(fields)
  return alias.name === undefined ? item : aliased(analysis, item, alias, location)
}

/** For which side's rows ON must hold: those that could otherwise be dropped without a trace. */
function holding(
  type: string,
  on: readonly TypedExpression[],
  left: FromItem,
  right: FromItem,
  nullableBefore: ReadonlySet<Range>,
): LevelCondition[] {
  const sides: Readonly<Record<string, readonly LevelRange[]>> = {
    JOIN_INNER: [...left.leaves, ...right.leaves],
    JOIN_LEFT: right.leaves,
    JOIN_RIGHT: left.leaves,
  }
  const ranges = (sides[type] ?? []).map(({ range }) => range)
  const only = new Set(ranges.filter((range) => !nullableBefore.has(range)))
  return only.size === 0 ? [] : on.map((condition) => ({ condition, only }))
}

function mergedColumn(
  analysis: Analysis,
  name: string,
  left: FromItem,
  right: FromItem,
  type: string,
  location: number,
): { readonly column: NamedColumn; readonly equal: TypedExpression } {
  const find = (item: FromItem, side: string): NamedColumn => {
    const found = item.columns.filter((one) => one.name === name)
    const loose =
      found.length > 0
        ? found
        : item.columns.filter((one) => one.name.toLowerCase() === name.toLowerCase())
    if (loose.length > 1) {
      throw analysis.error(
        SqlState.ambiguousColumn,
        `common column name "${name}" appears more than once in ${side} table`,
        location,
      )
    }
    const [only] = loose
    if (only === undefined) {
      throw analysis.error(
        SqlState.undefinedColumn,
        `column "${name}" specified in USING clause does not exist in ${side} table`,
        location,
      )
    }
    return only
  }
  const [one, other] = [find(left, 'left'), find(right, 'right')]
  const expressionOf = (named: NamedColumn): TypedExpression =>
    named.merged ??
    expression(named.column.sql, named.column.type, [], location, {
      kind: 'column',
      column: named.column,
      path: [],
      outer: false,
    })
  const [a, b] = [expressionOf(one), expressionOf(other)]
  const equal = callOperator(analysis, '=', [a, b], location)
  if (type === 'JOIN_FULL') {
    const { values, type: common } = unified(analysis, [a, b], 'JOIN/USING')
    const merged = expression(
      `coalesce(${values.map((value) => value.sql).join(', ')})`,
      common,
      values,
      location,
    )
    return { column: { name, column: one.column, merged }, equal }
  }
  const kept = type === 'JOIN_RIGHT' ? other : one
  return { column: { name, column: kept.column, merged: kept.merged }, equal }
}

/** `(a JOIN b …) AS j (…)`: the names inside are hidden behind one range. */
function aliased(analysis: Analysis, item: FromItem, alias: Alias, location: number): FromItem {
  const engineAlias = analysis.fresh('t')
  const names = uniqueNames(item.columns.map((one) => one.name))
  const selected = item.columns.map(
    (one, i) => `${one.merged?.sql ?? passedOn(one.column)} AS ${quoteIdentifier(names[i] ?? '')}`,
  )
  const columns = item.columns.map((one, i) => ({
    name: one.name,
    engineName: names[i] ?? one.name,
    type: one.merged?.type ?? one.column.type,
    used: one.column.used,
  }))
  const range = rangeOf(
    analysis,
    engineAlias,
    columns,
    alias,
    undefined,
    undefined,
    undefined,
    location,
  )
  const level: QueryLevel = {
    conditions: item.conditions,
    ranges: item.leaves,
    outputs: item.columns.map(
      (one) =>
        one.merged ??
        expression(passedOn(one.column), one.column.type, [], -1, {
          kind: 'column',
          column: one.column,
          path: [],
          outer: false,
        }),
    ),
    passes: () => true,
  }
  return itemOf(`(SELECT ${selected.join(', ')} FROM ${item.sql}) AS ${engineAlias}`, range, [
    level,
  ])
}

/** DuckDB's spelling of a query's columns as another type each, where they differ. */
export function recast(query: AnalyzedQuery, types: readonly SqlType[]): string {
  const items = query.columns.map((column, i) => {
    const type = types[i] ?? column.type
    const name = quoteIdentifier(column.engineName)
    const same = printEngineType(column.type.engine) === printEngineType(type.engine)
    return same ? `q.${name}` : `CAST(q.${name} AS ${printEngineType(type.engine)}) AS ${name}`
  })
  return `SELECT ${items.join(', ')} FROM (${query.sql}) AS q`
}
