/** RowChange: what a statement does to single rows of a lake table, planned as one query. */

import type { Privilege } from '../catalog/privilege.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { IdentityColumn } from '../storage/identity-column.js'
import type { StructField } from '../storage/schema.js'
import { FILE_COLUMN, ROW_COLUMN } from '../storage/scan-relation.js'
import type { Snapshot } from '../storage/snapshot.js'
import { type Analysis, type AnalyzedQuery, markerOf } from './analysis.js'
import type { FromItem } from './analyze-from.js'
import type { DrawnIdentity } from './identity-draws.js'
import {
  type NamedColumn,
  passedOn,
  type Range,
  type RangeColumn,
  Scope,
  watchedColumn,
} from './scope.js'
import type { KeyEquality } from './table-predicates.js'
import type { TableUse } from './table-use.js'
import { type TargetColumn, targetScope } from './target-table.js'
import type { TypedExpression } from './typed-expression.js'

/** A table that a statement changes; a temporary one is used without privileges. */
export interface ChangedTable {
  readonly layer: string
  readonly name: string
  readonly use?: TableUse
}

/** Stands for the changed table in the texts of a plan: no relation of a query has this number. */
export const TARGET = 1_000_000

/** Column of a stage that says what becomes of its row. */
export const ACTION_COLUMN = '_lakegate_action'

/** Values of ACTION_COLUMN. */
export const ACTION = { update: 1, delete: 2, insert: 3 } as const

/** Column of a materialised source that is true in each of its rows. */
export const PRESENT_COLUMN = '_lakegate_present'

/** The rows a statement joins its table with, kept as a temporary table while it runs. */
export interface SourcePlan {
  /** Name of the temporary table. */
  readonly table: string
  /** Alias by which the plan's expressions read it. */
  readonly alias: string
  readonly sql: string
  /** What the table's rows are looked up by. */
  readonly keys: readonly KeyEquality[]
  /** A query whose rows show that one row would be changed twice; none when all is well. */
  readonly duplicates?: string
}

/**
 * A planned change of rows.
 *
 * `sql` is the stage: a row for each row to be changed or made, with FILE_COLUMN and ROW_COLUMN of
 * the old row (null for a new one), ACTION_COLUMN, and the table's columns as they will be.
 */
export interface RowChangePlan extends AnalyzedQuery {
  /** `WITH …` that belongs before every query of the plan. */
  readonly withSql: string
  readonly source: SourcePlan | undefined
  /** Identity columns by name that count the source's rows, in that column of the source. */
  readonly identities?: ReadonlyMap<
    string,
    { readonly identity: IdentityColumn; readonly column: string }
  >
  /** Identity columns by name that rows of the stage have drawn numbers from. */
  readonly drawn?: ReadonlyMap<string, DrawnIdentity>
  /** Columns that the table is to get; the stage has them behind the others. */
  readonly newFields?: readonly StructField[]
  /** Whether every row of the table may be changed, not only those the keys find. */
  readonly touchesUnmatched: boolean
  /** Whether one row changed twice by the statement is an error (21000). */
  readonly refusesRepeats: boolean
  readonly returning: readonly { readonly name: string; readonly value: TypedExpression }[]
  /** The stage's alias in `returning`. */
  readonly returningAlias: string
}

/** What a kind of statement is called in history and tags, and how it is planned. */
export interface RowChangeKind {
  /** In Delta's words: `UPDATE`, `DELETE`, `MERGE`. */
  readonly operation: 'UPDATE' | 'DELETE' | 'MERGE'
  /** In PostgreSQL's words. */
  readonly command: 'UPDATE' | 'DELETE' | 'MERGE' | 'INSERT'
  /** What must be held of the table whatever the statement's clauses say. */
  readonly privileges: readonly Privilege[]
  readonly plan: (analysis: Analysis, table: ChangedTable, snapshot: Snapshot) => RowChangePlan
}

/** The command tag: `UPDATE 3`, `INSERT 0 3`. */
export function tagOf({ command }: RowChangeKind, rowCount: number): string {
  return command === 'INSERT' ? `INSERT 0 ${rowCount}` : `${command} ${rowCount}`
}

/** Ranges and bare columns, as a scope has them. */
export interface Side {
  readonly ranges: readonly Range[]
  readonly columns: readonly NamedColumn[]
}

/** Columns under names of their own, and the side by which a query around them reads these. */
export interface ProjectedSide extends Side {
  /** Items of the inner select list. */
  readonly items: readonly string[]
  readonly names: readonly string[]
}

/** `side` with its columns called prefix0, prefix1, … of `alias`. */
export function project(side: Side, alias: string, prefix: string): ProjectedSide {
  const items: string[] = []
  const names: string[] = []
  const moved = new Map<RangeColumn, RangeColumn>()
  const take = (sql: string): string => {
    const name = `${prefix}${names.length}`
    names.push(name)
    items.push(`${sql} AS ${name}`)
    return `${alias}.${name}`
  }
  const ranges = side.ranges.map((range): Range => {
    const columns: RangeColumn[] = []
    const made: Range = { ...range, relation: undefined, columns }
    for (const column of range.columns) {
      const { name, type, used } = column
      const copy = watchedColumn({ name, type, range: made }, take(passedOn(column)), used)
      columns.push(copy)
      moved.set(column, copy)
    }
    return made
  })
  const columns = side.columns.map(({ name, column, merged }): NamedColumn => {
    const copy = moved.get(column)
    if (merged === undefined && copy !== undefined) return { name, column: copy }
    const { range } = copy ?? column
    const type = (merged ?? column).type
    const sql = take(merged?.sql ?? passedOn(column))
    return { name, column: watchedColumn({ name, type, range }, sql, column.used) }
  })
  return { ranges, columns, items, names }
}

/** Renames the ranges of `side`, whose columns are all one range of that alias. */
export function renamed(side: Side, alias: string): Range {
  const columns: RangeColumn[] = []
  const range: Range = {
    alias,
    schema: undefined,
    columns,
    relation: undefined,
    nullable: true,
  }
  for (const { name, column } of side.columns) {
    const { type, used } = column
    columns.push(watchedColumn({ name, type, range }, passedOn(column), used))
  }
  return range
}

/** A scope that sees `sides` in that order, under the CTEs of `outer`. */
export function scopeOf(outer: Scope, ...sides: readonly Side[]): Scope {
  const scope = new Scope(undefined, outer.ctes)
  scope.ranges = sides.flatMap(({ ranges }) => ranges)
  scope.columns = sides.flatMap(({ columns }) => columns)
  return scope
}

/** The table that is changed, as FROM has it. */
export interface TargetSide extends Side {
  readonly sql: string
  readonly range: Range
  /** Texts of FILE_COLUMN and ROW_COLUMN. */
  readonly file: string
  readonly row: string
}

/** `name` and `schema` are those by which the statement may qualify the columns. */
export function targetSide(
  analysis: Analysis,
  columns: readonly TargetColumn[],
  name: string,
  schema: string | undefined,
  use: TableUse | undefined,
): TargetSide {
  const alias = analysis.fresh('t')
  const { scope, range } = targetScope(columns, name, schema, alias, TARGET, use)
  return {
    sql: `${markerOf(TARGET)} AS ${alias}`,
    ranges: scope.ranges,
    columns: scope.columns,
    range,
    file: `${alias}.${FILE_COLUMN}`,
    row: `${alias}.${ROW_COLUMN}`,
  }
}

/** The alias and schema by which a statement names its table's columns. */
export function namesOfTarget(
  relation: { readonly alias?: { readonly aliasname?: string } },
  table: { readonly layer: string; readonly name: string },
): { readonly name: string; readonly schema: string | undefined } {
  const alias = relation.alias?.aliasname
  return { name: alias ?? table.name, schema: alias === undefined ? table.layer : undefined }
}

// Names differ, so that statements on one connection never share a table.
let nextTable = 1

/** A name for a temporary table of one statement. */
export function temporaryName(kind: 'source' | 'stage'): string {
  return `lakegate_${kind}_${nextTable++}`
}

/** A FROM item as a temporary table: its text, and the side that reads it as `alias`. */
export function materialised(
  analysis: Analysis,
  item: FromItem,
): { readonly table: string; readonly sql: string; readonly alias: string; readonly side: Side } {
  const alias = analysis.fresh('s')
  const side = project(item, alias, 'c')
  analysis.roots.push([
    { conditions: item.conditions, ranges: item.leaves, outputs: [], passes: () => false },
  ])
  return {
    table: temporaryName('source'),
    sql: `SELECT ${[...side.items, `true AS ${PRESENT_COLUMN}`].join(', ')} FROM ${item.sql}`,
    alias,
    side,
  }
}

/** `text` as what is stored in `column`. */
export function stored(text: string, column: TargetColumn): string {
  return `CAST(${text} AS ${printEngineType(column.type.engine)})`
}

/** RETURNING's view of a stage's own columns: the rows as they will be, or were when deleted. */
export function returnedSide(
  columns: readonly TargetColumn[],
  name: string,
  schema: string | undefined,
  alias: string,
  use?: TableUse,
): Side & { readonly range: Range } {
  const { scope, range } = targetScope(columns, name, schema, alias, undefined, use)
  return { ranges: scope.ranges, columns: scope.columns, range }
}

/** The select list of the table's columns out of `alias`. */
export function columnList(snapshot: Pick<Snapshot, 'schema'>, alias: string): string {
  return snapshot.schema.fields.map((field) => `${alias}.${quoteIdentifier(field.name)}`).join(', ')
}
