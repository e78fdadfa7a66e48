/** Merge: MERGE INTO a lake table, planned as a RowChange. */

import { quoteIdentifier } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { FILE_COLUMN, ROW_COLUMN } from '../storage/scan-relation.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { booleanOf } from './expression-types.js'
import { plainPlace } from './expression-place.js'
import { analyzeFrom } from './analyze-from.js'
import { analyzeWith } from './query-with.js'
import { conjunctsOf } from './conjuncts.js'
import type { Analysis } from './analysis.js'
import { IdentityDraws } from './identity-draws.js'
import { newColumn } from './insert-source.js'
import type { MergeStar } from './merge-syntax.js'
import { analyzeReturning, returningNodes } from './returning.js'
import {
  ACTION,
  ACTION_COLUMN,
  type ChangedTable,
  materialised,
  namesOfTarget,
  PRESENT_COLUMN,
  project,
  returnedSide,
  type RowChangePlan,
  scopeOf,
  type Side,
  stored,
  targetSide,
  TARGET,
} from './row-change.js'
import { type RowSubquery, withRowSubqueries } from './row-subquery.js'
import { analyzeAssignments, assignedName, assignedText, type NextIdentity } from './row-update.js'
import { type NamedColumn, Scope } from './scope.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
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
import { expression } from './typed-expression.js'

type Match = 'matched' | 'by-target' | 'by-source'

/** A WHEN clause, with the texts of the table's columns after it; null leaves the row alone. */
interface Clause {
  readonly match: Match
  readonly condition: string
  readonly action: number | null
  /** For UPDATE and INSERT, in the order of the table's columns. */
  readonly values: readonly string[]
  readonly subqueries?: readonly RowSubquery[]
}

/** What a MERGE says that PostgreSQL's grammar lacks. */
export interface MergeOptions {
  /** Its `UPDATE SET *` and `INSERT *`. */
  readonly stars: readonly MergeStar[]
  /** Whether the table gets the columns that clauses name and only the source has. */
  readonly evolves: boolean
}

/** What the fields of a MergeStmt change in a table. */
export function planMerge(
  analysis: Analysis,
  fields: Node,
  table: ChangedTable,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  options: MergeOptions,
): RowChangePlan {
  const { use } = table
  if (use !== undefined) analysis.uses.add(use)
  const { stars, evolves } = options
  const known = targetColumns(snapshot.schema)
  const outer = new Scope(undefined)
  const withSql = analyzeWith(analysis, fields.withClause as Node | undefined, outer).sql
  const { name, schema } = namesOfTarget(fields.relation as Node, table)
  const target = targetSide(analysis, known, name, schema, use)
  const [item] = analyzeFrom(
    analysis,
    [fields.sourceRelation as Node],
    new Scope(undefined, outer.ctes),
  )
  if (item === undefined) throw analysis.notSupported('MERGE without a source')
  if (item.ranges.some(({ alias }) => alias === name)) {
    throw analysis.error(SqlState.duplicateAlias, `name "${name}" specified more than once`, -1, {
      detail: 'The name is used both as MERGE target table and data source.',
    })
  }
  const source = materialised(analysis, item)
  const made = evolves ? newColumns(analysis, fields, stars, known, source.side, name) : []
  const columns = [...known, ...made]
  const on = booleanOf(
    analysis,
    analyzeExpression(
      analysis,
      fields.joinCondition as Node,
      scopeOf(outer, source.side, target),
      plainPlace('JOIN conditions'),
    ),
    'JOIN/ON',
  )
  const conjuncts = conjunctsOf(on)

  const row = analysis.fresh('j')
  const old = project(target, row, 'o')
  const joined = project(source.side, row, 'x')
  const chosen = analysis.fresh('c')
  const draws = new IdentityDraws(analysis, row, table.name)
  const scopes: Readonly<Record<Match, Scope>> = {
    matched: scopeOf(outer, joined, old),
    'by-target': scopeOf(outer, joined),
    'by-source': scopeOf(outer, old),
  }
  const clauses = listOf(fields.mergeWhenClauses).map((node, i) =>
    analyzeClause(analysis, nodeOf(node, 'MergeWhenClause') ?? {}, {
      columns,
      table,
      alias: name,
      scopes,
      joined,
      star: stars.find((star) => star.clause === i),
      evolves,
      row,
      oldOf: (index) => (index < known.length ? `${row}.${old.names[index] ?? ''}` : 'NULL'),
      next: (column, identity) => draws.next(column, identity, `${row}.${chosen} = ${i + 1}`),
    }),
  )
  requireReachable(analysis, clauses)
  const has = (match: Match): boolean => clauses.some((clause) => clause.match === match)
  const join = has('by-source')
    ? has('by-target')
      ? 'FULL JOIN'
      : 'RIGHT JOIN'
    : has('by-target')
      ? 'LEFT JOIN'
      : 'JOIN'
  const inner = `SELECT ${[
    `${target.file} AS ${FILE_COLUMN}`,
    `${target.row} AS ${ROW_COLUMN}`,
    `${source.alias}.${PRESENT_COLUMN} AS ${PRESENT_COLUMN}`,
    ...old.items,
    ...joined.items,
  ].join(', ')} FROM ${source.table} AS ${source.alias} ${join} ${target.sql} ON (${on.sql})`

  // First which clause a row falls to, then what it becomes: no condition is evaluated twice.
  const when = clauses.map(
    ({ match, condition }, i) =>
      `WHEN ${MATCH_TEXT[match].replaceAll('$row', row)}${condition === '' ? '' : ` AND (${condition}) IS TRUE`} THEN ${i + 1}`,
  )
  const numbered = `SELECT ${row}.*, CASE ${when.join(' ')} ELSE 0 END AS ${chosen} FROM (${inner}) AS ${row}`
  const acting = clauses.flatMap(({ action }, i) => (action === null ? [] : [i + 1]))
  const pick = (texts: readonly (string | undefined)[], otherwise: string): string => {
    const parts = texts.flatMap((text, i) =>
      text === undefined || clauses[i]?.action === null ? [] : [`WHEN ${i + 1} THEN ${text}`],
    )
    return parts.length === 0
      ? otherwise
      : `CASE ${row}.${chosen} ${parts.join(' ')} ELSE ${otherwise} END`
  }
  const own = columns.map((column, i) => {
    const unchanged = stored(i < known.length ? `${row}.${old.names[i] ?? ''}` : 'NULL', column)
    const value = pick(
      clauses.map(({ values }) => values[i]),
      unchanged,
    )
    return `${value} AS ${quoteIdentifier(column.field.name)}`
  })
  const action = pick(
    clauses.map((clause) => String(clause.action)),
    '0',
  )
  const isShown = returningNodes(fields).length > 0
  const shown = [...(isShown ? [...old.names, ...joined.names] : []), ...draws.counters]
  const changed = `SELECT * FROM (${numbered}) AS ${row} WHERE ${row}.${chosen} IN (${acting.length === 0 ? 'NULL' : acting.join(', ')})`
  const valued = withRowSubqueries(
    changed,
    clauses.flatMap(({ subqueries = [] }, i) =>
      subqueries.map((subquery) => ({ subquery, condition: `${row}.${chosen} = ${i + 1}` })),
    ),
    row,
  )
  const staged = `SELECT ${[
    ...own,
    `${row}.${FILE_COLUMN}`,
    `${row}.${ROW_COLUMN}`,
    `${action} AS ${ACTION_COLUMN}`,
    ...shown.map((one) => `${row}.${one}`),
  ].join(', ')} FROM (${draws.counted(valued)}) AS ${row}`
  const sql = checkedRows(
    analysis,
    snapshot,
    columns,
    staged,
    table.name,
    [FILE_COLUMN, ROW_COLUMN, ACTION_COLUMN, ...shown],
    `${ACTION_COLUMN} = ${ACTION.delete}`,
  )
  const alias = analysis.fresh('r')
  const now = returnedSide(columns, name, schema, alias, use)
  return {
    sql: withSql + sql,
    withSql,
    columns: [],
    levels: [
      {
        // Without WHEN NOT MATCHED BY SOURCE only rows that meet the condition matter.
        conditions: has('by-source')
          ? []
          : conjuncts.map((condition) => ({ condition, only: undefined })),
        ranges: [{ range: target.range, relation: TARGET, inner: [] }],
        outputs: [],
        passes: () => false,
      },
    ],
    source: {
      ...source,
      keys: keyEqualities(conjuncts, target.range),
    },
    drawn: draws.identities,
    newFields: made.map(({ field }) => field),
    touchesUnmatched: has('by-source'),
    refusesRepeats: true,
    returning: analyzeReturning(analysis, fields, outer, {
      sides: [project(source.side, alias, 'x'), now],
      old: project(target, alias, 'o'),
      now,
      alias,
      isMerge: true,
    }),
    returningAlias: alias,
  }
}

const MATCH_TEXT: Readonly<Record<Match, string>> = {
  matched: `$row.${ROW_COLUMN} IS NOT NULL AND $row.${PRESENT_COLUMN} IS NOT NULL`,
  'by-target': `$row.${ROW_COLUMN} IS NULL`,
  'by-source': `$row.${PRESENT_COLUMN} IS NULL`,
}

const MATCHES: Readonly<Record<string, Match>> = {
  MERGE_WHEN_MATCHED: 'matched',
  MERGE_WHEN_NOT_MATCHED_BY_TARGET: 'by-target',
  MERGE_WHEN_NOT_MATCHED_BY_SOURCE: 'by-source',
}

interface ClauseContext {
  readonly columns: readonly TargetColumn[]
  readonly table: ChangedTable
  readonly alias: string
  readonly scopes: Readonly<Record<Match, Scope>>
  readonly joined: Side
  readonly star: MergeStar | undefined
  readonly evolves: boolean
  readonly next: NextIdentity
  /** The rows that the clauses are about, as DuckDB knows them. */
  readonly row: string
  /** The text of a column of the row as it is. */
  readonly oldOf: (index: number) => string
}

function analyzeClause(analysis: Analysis, fields: Node, context: ClauseContext): Clause {
  const { columns, table, alias, scopes, star, row } = context
  const match: Match =
    star?.inserts === true ? 'by-target' : (MATCHES[String(fields.matchKind)] ?? 'matched')
  const scope = scopes[match]
  const condition =
    fields.condition === undefined
      ? ''
      : booleanOf(
          analysis,
          analyzeExpression(
            analysis,
            fields.condition as Node,
            scope,
            plainPlace('MERGE WHEN conditions'),
          ),
          'WHEN',
        ).sql
  if (star !== undefined) {
    const values = starValues(analysis, star, context)
    const made = without(columns, star.except)
    const privilege = star.inserts ? 'INSERT' : 'UPDATE'
    for (const { field } of made) table.use?.column(privilege, columnKey(field))
    return { match, condition, action: star.inserts ? ACTION.insert : ACTION.update, values }
  }
  const unchanged = (): string[] => columns.map((column, i) => stored(context.oldOf(i), column))
  switch (fields.commandType) {
    case 'CMD_UPDATE': {
      const { changed, subqueries } = analyzeAssignments(
        analysis,
        listOf(fields.targetList),
        columns,
        table,
        alias,
        scope,
        row,
        context.next,
      )
      const values = unchanged().map((text, i) => changed.get(columns[i] as TargetColumn) ?? text)
      return { match, condition, action: ACTION.update, values, subqueries }
    }
    case 'CMD_DELETE':
      table.use?.require('DELETE')
      return { match, condition, action: ACTION.delete, values: unchanged() }
    case 'CMD_INSERT':
      return {
        match,
        condition,
        action: ACTION.insert,
        values: insertedValues(analysis, fields, context, scope),
      }
    default:
      return { match, condition, action: null, values: [] }
  }
}

/** The values of `INSERT [(columns)] VALUES (…)` or `INSERT DEFAULT VALUES`. */
function insertedValues(
  analysis: Analysis,
  fields: Node,
  { columns, table, alias, next }: ClauseContext,
  scope: Scope,
): string[] {
  const targets = listOf(fields.targetList).map((node) => {
    const target = nodeOf(node, 'ResTarget') ?? {}
    const location = typeof target.location === 'number' ? target.location : 0
    return analysis.located(location, () =>
      targetColumn(columns, assignedName(analysis, target, alias), table.name),
    )
  })
  const values = listOf(fields.values)
  const given = targets.length > 0 ? targets : columns.slice(0, values.length)
  table.use?.require('INSERT')
  for (const { field } of given) table.use?.column('INSERT', columnKey(field))
  if (values.length > (targets.length > 0 ? targets.length : columns.length)) {
    throw new SqlError(SqlState.syntaxError, 'INSERT has more expressions than target columns')
  }
  if (values.length < targets.length) {
    throw new SqlError(SqlState.syntaxError, 'INSERT has more target columns than expressions')
  }
  return columns.map((column) => {
    const at = given.indexOf(column)
    if (at >= 0) {
      const isDefault = nodeOf(values[at], 'SetToDefault') !== undefined
      if (column.generatedText !== undefined && !isDefault) {
        throw new SqlError(
          SqlState.generatedAlways,
          `cannot insert a non-DEFAULT value into column "${column.field.name}"`,
          { detail: `Column "${column.field.name}" is a generated column.` },
        )
      }
      return assignedText(analysis, values[at] as Node, column, scope, next)
    }
    return ungiven(analysis, column, next)
  })
}

/** What a new row has in a column that nothing is given for. */
function ungiven(analysis: Analysis, column: TargetColumn, next: NextIdentity): string {
  if (column.generatedText !== undefined) return stored('NULL', column)
  if (column.identity !== undefined) return next(column, column.identity)
  return defaultValue(analysis, column)
}

/** The values of `UPDATE SET *` and `INSERT *`: the source's columns by name. */
function starValues(
  analysis: Analysis,
  { inserts, except }: MergeStar,
  { columns, joined, oldOf, evolves, next }: ClauseContext,
): string[] {
  const without = new Set(except.map((name) => name.toLowerCase()))
  return columns.map((column, i) => {
    const { name } = column.field
    const otherwise = (): string =>
      inserts ? ungiven(analysis, column, next) : stored(oldOf(i), column)
    const counts = column.identity?.allowExplicitInsert === false
    const isMade = counts || column.generatedText !== undefined
    if (without.has(name.toLowerCase()) || isMade) return otherwise()
    const found = sourceColumn(joined.columns, name)
    if (found === undefined) {
      if (evolves) return otherwise()
      throw new SqlError(
        SqlState.undefinedColumn,
        `column "${name}" of the target is not a column of the source`,
        { hint: 'Name the columns, or leave some out with EXCEPT.' },
      )
    }
    return assign(analysis, expression(found.column.sql, found.column.type, []), column).sql
  })
}

/** The columns that a star clause gives values. */
function without(
  columns: readonly TargetColumn[],
  except: readonly string[],
): readonly TargetColumn[] {
  const names = new Set(except.map((name) => name.toLowerCase()))
  return columns.filter(({ field }) => !names.has(field.name.toLowerCase()))
}

function sourceColumn(columns: readonly NamedColumn[], name: string): NamedColumn | undefined {
  const exact = columns.filter((one) => one.name === name)
  const found =
    exact.length > 0
      ? exact
      : columns.filter((one) => one.name.toLowerCase() === name.toLowerCase())
  if (found.length > 1) {
    throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`)
  }
  return found[0]
}

/**
 * The columns that clauses name, or mean by a star, and only the source has: nullable, of the type
 * and in the order that they have there.
 */
function newColumns(
  analysis: Analysis,
  fields: Node,
  stars: readonly MergeStar[],
  known: readonly TargetColumn[],
  source: Side,
  alias: string,
): readonly TargetColumn[] {
  const lower = (name: string): string => name.toLowerCase()
  const named = new Set<string>()
  for (const node of listOf(fields.mergeWhenClauses)) {
    for (const one of listOf(nodeOf(node, 'MergeWhenClause')?.targetList)) {
      named.add(lower(assignedName(analysis, nodeOf(one, 'ResTarget') ?? {}, alias)))
    }
  }
  for (const { except } of stars) {
    const without = new Set(except.map(lower))
    for (const { name } of source.columns) if (!without.has(lower(name))) named.add(lower(name))
  }
  const taken = new Set(known.map(({ field }) => lower(field.name)))
  const made: TargetColumn[] = []
  for (const { name } of source.columns) {
    if (!named.has(lower(name)) || taken.has(lower(name))) continue
    // 42702 where the source has it twice.
    const found = sourceColumn(source.columns, name) as NamedColumn
    taken.add(lower(name))
    made.push(newColumn(name, found.column.type))
  }
  return made
}

function requireReachable(analysis: Analysis, clauses: readonly Clause[]): void {
  const closed = new Set<Match>()
  for (const { match, condition } of clauses) {
    if (closed.has(match)) {
      throw analysis.error(
        SqlState.syntaxError,
        'unreachable WHEN clause specified after unconditional WHEN clause',
        -1,
      )
    }
    if (condition === '') closed.add(match)
  }
}
