/** RowUpdate: UPDATE and DELETE of a lake table, planned as a RowChange. */

import { quoteIdentifier } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { FILE_COLUMN, ROW_COLUMN } from '../storage/scan-relation.js'
import type { IdentityColumn } from '../storage/identity-column.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf } from './expression-types.js'
import { plainPlace } from './expression-place.js'
import { analyzeFrom } from './analyze-from.js'
import { analyzeWith } from './query-with.js'
import { conjunctsOf } from './conjuncts.js'
import type { Analysis } from './analysis.js'
import { IdentityDraws } from './identity-draws.js'
import { analyzeReturning, returningNodes } from './returning.js'
import {
  ACTION,
  ACTION_COLUMN,
  type ChangedTable,
  materialised,
  namesOfTarget,
  project,
  returnedSide,
  type RowChangePlan,
  scopeOf,
  type Side,
  type SourcePlan,
  stored,
  targetSide,
  TARGET,
} from './row-change.js'
import { analyzeRowSubquery, type RowSubquery, withRowSubqueries } from './row-subquery.js'
import { Scope } from './scope.js'
import { listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { keyEqualities } from './table-predicates.js'
import { columnKey } from './table-use.js'
import {
  assign,
  checkedRows,
  defaultValue,
  type TargetColumn,
  targetColumn,
  targetColumns,
} from './target-table.js'
import type { TypedExpression } from './typed-expression.js'

/** What the fields of an UpdateStmt or DeleteStmt change in a table. */
export function planRowUpdate(
  analysis: Analysis,
  fields: Node,
  kind: 'UPDATE' | 'DELETE',
  table: ChangedTable,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
): RowChangePlan {
  const { use } = table
  const columns = targetColumns(snapshot.schema)
  use?.require(kind)
  if (use !== undefined) analysis.uses.add(use)
  const outer = new Scope(undefined)
  const withSql = analyzeWith(analysis, fields.withClause as Node | undefined, outer).sql
  const { name, schema } = namesOfTarget(fields.relation as Node, table)
  const target = targetSide(analysis, columns, name, schema, use)
  const items = analyzeFrom(
    analysis,
    listOf(kind === 'UPDATE' ? fields.fromClause : fields.usingClause),
    new Scope(undefined, outer.ctes),
  )
  for (const item of items) requireOtherAlias(analysis, item, name)
  // A single item is evaluated once, so that its keys can tell which files to look into.
  const [only] = items
  const made = items.length === 1 && only !== undefined ? materialised(analysis, only) : undefined
  const beside: Side =
    made === undefined
      ? {
          ranges: items.flatMap(({ ranges }) => ranges),
          columns: items.flatMap((item) => item.columns),
        }
      : made.side
  const scope = scopeOf(outer, target, beside)
  const where =
    fields.whereClause === undefined
      ? undefined
      : booleanOf(
          analysis,
          analyzeExpression(analysis, fields.whereClause as Node, scope, plainPlace('WHERE')),
          'WHERE',
        )
  const conjuncts = where === undefined ? [] : conjunctsOf(where)
  const source: SourcePlan | undefined =
    made === undefined ? undefined : { ...made, keys: keyEqualities(conjuncts, target.range) }

  // The rows as they are, with what they are joined with, by names of their own.
  const row = analysis.fresh('j')
  const old = project(target, row, 'o')
  const joined = project(beside, row, 'x')
  const from = [
    target.sql,
    ...(made === undefined ? items.map(({ sql }) => sql) : [`${made.table} AS ${made.alias}`]),
  ].join(', ')
  const once = items.length === 0 ? '' : `DISTINCT ON (${target.file}, ${target.row}) `
  const inner = `SELECT ${once}${[
    `${target.file} AS ${FILE_COLUMN}`,
    `${target.row} AS ${ROW_COLUMN}`,
    ...old.items,
    ...joined.items,
  ].join(', ')} FROM ${from}${where === undefined ? '' : ` WHERE ${where.sql}`}`

  const isShown = returningNodes(fields).length > 0
  const passing = [
    FILE_COLUMN,
    ROW_COLUMN,
    ACTION_COLUMN,
    ...(isShown ? [...old.names, ...joined.names] : []),
  ]
  const passed = [
    `${row}.${FILE_COLUMN}`,
    `${row}.${ROW_COLUMN}`,
    `${kind === 'UPDATE' ? ACTION.update : ACTION.delete} AS ${ACTION_COLUMN}`,
    ...(isShown ? [...old.names, ...joined.names].map((one) => `${row}.${one}`) : []),
  ]
  const oldOf = (i: number): string => `${row}.${old.names[i] ?? ''}`
  const draws = new IdentityDraws(analysis, row, table.name)
  let sql: string
  if (kind === 'DELETE') {
    const own = isShown
      ? columns.map((column, i) => `${oldOf(i)} AS ${quoteIdentifier(column.field.name)}`)
      : []
    sql = `SELECT ${[...own, ...passed].join(', ')} FROM (${inner}) AS ${row}`
  } else {
    const { changed, subqueries } = analyzeAssignments(
      analysis,
      listOf(fields.targetList),
      columns,
      table,
      name,
      scopeOf(outer, old, joined),
      row,
      (column, identity) => draws.next(column, identity, 'true'),
    )
    const rows = withRowSubqueries(
      inner,
      subqueries.map((subquery) => ({ subquery })),
      row,
    )
    const own = columns.map((column, i) => {
      const value = changed.get(column) ?? stored(oldOf(i), column)
      return `${value} AS ${quoteIdentifier(column.field.name)}`
    })
    sql = checkedRows(
      analysis,
      snapshot,
      columns,
      `SELECT ${[...own, ...passed, ...draws.counters].join(', ')} FROM (${draws.counted(rows)}) AS ${row}`,
      table.name,
      [...passing, ...draws.counters],
    )
  }
  const alias = analysis.fresh('r')
  const now = returnedSide(columns, name, schema, alias, use)
  return {
    sql: withSql + sql,
    withSql,
    columns: [],
    levels: [
      {
        conditions: [
          ...conjuncts.map((condition) => ({ condition, only: undefined })),
          ...(made === undefined ? items.flatMap(({ conditions }) => conditions) : []),
        ],
        ranges: [
          { range: target.range, relation: TARGET, inner: [] },
          ...(made === undefined ? items.flatMap(({ leaves }) => leaves) : []),
        ],
        outputs: [],
        passes: () => false,
      },
    ],
    source,
    drawn: draws.identities,
    touchesUnmatched: false,
    refusesRepeats: false,
    returning: analyzeReturning(analysis, fields, outer, {
      sides: [now, project(beside, alias, 'x')],
      old: project(target, alias, 'o'),
      now,
      alias,
      isMerge: false,
    }),
    returningAlias: alias,
  }
}

function requireOtherAlias(analysis: Analysis, item: Side, name: string): void {
  if (item.ranges.some(({ alias }) => alias === name)) {
    throw analysis.error(
      SqlState.duplicateAlias,
      `table name "${name}" specified more than once`,
      -1,
    )
  }
}

/** The text of the number that an identity column gives next. */
export type NextIdentity = (column: TargetColumn, identity: IdentityColumn) => string
/** What a SET list does. */
export interface Assignments {
  /** The texts of the columns that it names. */
  readonly changed: ReadonlyMap<TargetColumn, string>
  /** What `withRowSubqueries` is to add to the rows that the texts are about. */
  readonly subqueries: readonly RowSubquery[]
}

/**
 * The texts that an UPDATE's SET list gives columns, over rows that DuckDB knows as `row`.
 *
 * `alias` may stand before a column's name, as Spark's users write it. 42601 for a column that is
 * assigned twice, 428C9 for a generated one.
 */
export function analyzeAssignments(
  analysis: Analysis,
  nodes: readonly Node[],
  columns: readonly TargetColumn[],
  table: ChangedTable,
  alias: string,
  scope: Scope,
  row: string,
  next?: NextIdentity,
): Assignments {
  const changed = new Map<TargetColumn, string>()
  const subqueries: RowSubquery[] = []
  let values: readonly TypedExpression[] = []
  for (const node of nodes) {
    const target = nodeOf(node, 'ResTarget') ?? {}
    const location = typeof target.location === 'number' ? target.location : 0
    const column = analysis.located(location, () =>
      targetColumn(columns, assignedName(analysis, target, alias), table.name),
    )
    table.use?.column('UPDATE', columnKey(column.field))
    if (changed.has(column)) {
      throw analysis.error(
        SqlState.syntaxError,
        `multiple assignments to same column "${column.field.name}"`,
        location,
      )
    }
    const many = nodeOf(target.val, 'MultiAssignRef')
    const link = nodeOf(many?.source, 'SubLink')
    if (many === undefined || link === undefined) {
      const value =
        many === undefined ? (target.val as Node) : assignedNode(analysis, many, location)
      changed.set(column, assignedText(analysis, value, column, scope, next))
      continue
    }
    requireAssignable(column)
    if (Number(many.colno) === 1) {
      const select = link.subselect as Node
      const made = analyzeRowSubquery(analysis, select, Number(many.ncolumns), location, scope, row)
      subqueries.push(made.subquery)
      values = made.values
    }
    const value = values[Number(many.colno) - 1]
    if (value === undefined) throw new Error('assertion failed: columns of a row come in order')
    changed.set(column, assign(analysis, value, column).sql)
  }
  return { changed, subqueries }
}

/** The column a ResTarget names: `c`, or `t.c` with the table's own name before it. */
export function assignedName(analysis: Analysis, target: Node, alias: string): string {
  const parts = listOf(target.indirection)
  if (parts.length === 0) return String(target.name)
  const inner = stringOf(parts[0])
  if (parts.length === 1 && inner !== undefined && target.name === alias) return inner
  throw analysis.notSupported('assignment to a part of a column')
}

/** The value of one column out of `(a, b) = (1, 2)`; 42601 when there are more of one side. */
function assignedNode(analysis: Analysis, many: Node, location: number): Node {
  const row = nodeOf(many.source, 'RowExpr')
  const args = listOf(row?.args)
  const hasStar = args.some((arg) =>
    listOf(nodeOf(arg, 'ColumnRef')?.fields).some((field) => nodeOf(field, 'A_Star') !== undefined),
  )
  if (hasStar) throw analysis.notSupported('assignment of several columns from a row with a star')
  if (row === undefined) {
    throw analysis.error(
      SqlState.featureNotSupported,
      'source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression',
      location,
    )
  }
  if (args.length !== Number(many.ncolumns)) {
    throw analysis.error(
      SqlState.syntaxError,
      'number of columns does not match number of values',
      location,
    )
  }
  return args[Number(many.colno) - 1] as Node
}

/** 428C9 for a column that takes nothing but DEFAULT. */
function requireAssignable(column: TargetColumn): void {
  const isGenerated = column.generatedText !== undefined
  if (!isGenerated && column.identity?.allowExplicitInsert !== false) return
  const { name } = column.field
  throw new SqlError(SqlState.generatedAlways, `column "${name}" can only be updated to DEFAULT`, {
    detail: isGenerated
      ? `Column "${name}" is a generated column.`
      : `Column "${name}" is an identity column defined as GENERATED ALWAYS.`,
  })
}

/** `node` as what is stored in `column`: DEFAULT too; 428C9 for anything else in a generated one or an
 * identity column that always counts. */
export function assignedText(
  analysis: Analysis,
  node: Node,
  column: TargetColumn,
  scope: Scope,
  next?: NextIdentity,
): string {
  const isDefault = nodeOf(node, 'SetToDefault') !== undefined
  if (isDefault && column.generatedText !== undefined) return stored('NULL', column)
  if (isDefault && column.identity !== undefined && next !== undefined) {
    return next(column, column.identity)
  }
  if (isDefault) return defaultValue(analysis, column)
  requireAssignable(column)
  return assign(analysis, analyzeExpression(analysis, node, scope, plainPlace('UPDATE')), column)
    .sql
}
