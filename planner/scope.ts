/** Scope: the names an expression may use - ranges of FROM, their columns, and those of enclosing queries. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { SqlType } from './sql-type.js'
import type { TypedExpression } from './typed-expression.js'

/** A column that a range offers. */
export interface RangeColumn {
  readonly name: string
  readonly type: SqlType
  /**
   * DuckDB text that reads it, qualified with the range's engine alias. Asking for it counts as
   * reading the column, for which a privilege is needed; `passedOn` does not.
   */
  readonly sql: string
  readonly range: Range
  /** Notes that the column is read. */
  readonly used?: (() => void) | undefined
  /** The text, for `passedOn`. */
  readonly plainSql?: string
  /** What computes it, where the range is a query whose inside is known: for pruning. */
  readonly source?: TypedExpression | undefined
}

/** A column that notes when its text is asked for. */
export function watchedColumn(
  column: Pick<RangeColumn, 'name' | 'type' | 'range' | 'source'>,
  sql: string,
  used: (() => void) | undefined,
): RangeColumn {
  const { name, type, range, source } = column
  const own = source === undefined ? {} : { source }
  if (used === undefined) return { name, type, sql, range, ...own }
  return {
    name,
    type,
    range,
    ...own,
    used,
    plainSql: sql,
    get sql(): string {
      used()
      return sql
    },
  }
}

/** The text of a column, for another one that stands for it and is watched in its place. */
export function passedOn(column: RangeColumn): string {
  return column.plainSql ?? column.sql
}

/** An item of FROM: a table, a subquery, a function, a CTE. */
export interface Range {
  /** Name by which columns are qualified; undefined for a join without alias. */
  readonly alias: string | undefined
  /** Schema the client may also qualify with, for tables without an alias. */
  readonly schema: string | undefined
  readonly columns: readonly RangeColumn[]
  /** Index into the analysis' relations, for a base table or view. */
  readonly relation: number | undefined
  /** A function of single values: the alias stands for the value. */
  readonly scalar?: boolean
  /** Rows may be missing, all columns null: the outer side of a join. */
  nullable: boolean
}

/** A column reachable by its bare name: usually a range's; for USING, the merged one. */
export interface NamedColumn {
  readonly name: string
  readonly column: RangeColumn
  /** Replaces the column's own expression (USING of a full join). */
  readonly merged?: TypedExpression | undefined
}

/** CTEs in sight, by name. */
export interface CommonTable {
  readonly name: string
  readonly engineName: string
  readonly columns: readonly {
    readonly name: string
    readonly engineName: string
    readonly type: SqlType
  }[]
  /** Every range that reads it. */
  readonly uses: Range[]
}

/** What a query level can see. */
export class Scope {
  readonly parent: Scope | undefined
  readonly ctes: Map<string, CommonTable>
  /** Ranges by which columns may be qualified, and columns by bare name in order of `*`. */
  ranges: readonly Range[] = []
  columns: readonly NamedColumn[] = []
  /** Columns of this level that subqueries use. */
  readonly usedByInner: TypedExpression[] = []
  /** What merge_action() is here; undefined where it may not be called. */
  mergeAction: string | undefined
  /** Named windows of the level. */
  readonly windows: Map<string, string> = new Map()

  constructor(parent: Scope | undefined, ctes?: Map<string, CommonTable>) {
    this.parent = parent
    this.ctes = ctes ?? new Map(parent?.ctes ?? [])
  }
}

/** A column found for a reference, and how many levels up. */
export interface Found {
  readonly column: RangeColumn
  readonly merged: TypedExpression | undefined
  readonly scope: Scope
}

/**
 * The column a bare name means; undefined when there is none.
 *
 * A name is matched exactly first, then without regard to case: lakes written by other engines
 * have columns in mixed case which their users do not quote. 42702 when several match.
 */
export function findColumn(scope: Scope, name: string): Found | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    const { columns } = level
    const exact = columns.filter((one) => one.name === name)
    const found = exact.length > 0 ? exact : columns.filter((one) => sameName(one.name, name))
    if (found.length > 1) {
      throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`)
    }
    const [only] = found
    if (only !== undefined) return { column: only.column, merged: only.merged, scope: level }
  }
  return undefined
}

/** The range that `alias` (with an optional schema) names, with the level it is of. */
export function findRange(
  scope: Scope,
  alias: string,
  schema?: string,
): { readonly range: Range; readonly scope: Scope } | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    const matches = level.ranges.filter(
      (range) => range.alias === alias && (schema === undefined || range.schema === schema),
    )
    const found =
      matches.length > 0
        ? matches
        : level.ranges.filter(
            (range) =>
              sameName(range.alias ?? '', alias) &&
              (schema === undefined || sameName(range.schema ?? '', schema)),
          )
    if (found.length > 1) {
      throw new SqlError(SqlState.ambiguousColumn, `table reference "${alias}" is ambiguous`)
    }
    if (found[0] !== undefined) return { range: found[0], scope: level }
  }
  return undefined
}

/** The column `name` of one range; undefined when it has none. 42702 when it has several. */
export function columnOfRange(range: Range, name: string): RangeColumn | undefined {
  const exact = range.columns.filter((column) => column.name === name)
  const found =
    exact.length > 0 ? exact : range.columns.filter((column) => sameName(column.name, name))
  if (found.length > 1) {
    throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`)
  }
  return found[0]
}

function sameName(a: string, b: string): boolean {
  return a.length === b.length && a.toLowerCase() === b.toLowerCase()
}
