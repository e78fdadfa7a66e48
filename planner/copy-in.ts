/** Copy in: COPY FROM planned - which columns it fills, and the rows of the table made of them. */

import { Oid } from '../catalog/pg-types.js'
import type { IdentityColumn } from '../storage/identity-column.js'
import { identityValue } from './identity-value.js'
import type { TableName } from '../catalog/catalog.js'
import { type EngineColumn, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import { type Analysis, type AnalyzedQuery, markerOf } from './analysis.js'
import type { StageColumn } from './copy-load.js'
import { copyInFormat } from './copy-options.js'
import type { CopyInColumn, CopyInFormat } from './result.js'
import { isCanonical, sqlType, type SqlType, typeOfEngine } from './sql-type.js'
import { listOf, namesOf, type Node, nodeOf, walk } from './syntax-tree.js'
import {
  assign,
  checkedRows,
  defaultValue,
  type TargetColumn,
  targetColumn,
  targetScope,
} from './target-table.js'
import { expression, type TypedExpression } from './typed-expression.js'

/** The marker of what the rows are read from. */
export const STAGE = 1_000_000

/** The marker of the number of rows that earlier stages have counted. */
export const NUMBERED = 1_000_001

/** A COPY FROM as far as it is known before the first row. */
export interface CopyInPlan {
  readonly columns: readonly CopyInColumn[]
  readonly format: CopyInFormat
  /** What is read from the STAGE: c1, c2, …, and d1, d2, … that tell where a default stands. */
  readonly stage: readonly StageColumn[]
  /** Whether rows may be refused that have been read, so that their lines have to be known. */
  readonly withLines: boolean
}

/** With the columns that are filled. */
export type TargetedPlan = CopyInPlan & { readonly targets: readonly TargetColumn[] }

/**
 * The columns that the fields of a CopyStmt name, and the format of what fills them.
 *
 * 42703, 42701 and 42P10 for columns that cannot be copied into.
 */
export function copyInPlan(
  fields: Node,
  table: string,
  columns: readonly TargetColumn[],
  hasChecks: boolean,
): TargetedPlan {
  const names = namesOf(fields.attlist)
  const targets =
    names.length === 0
      ? columns.filter((column) => column.generatedText === undefined)
      : names.map((name) => targetColumn(columns, name, table))
  const seen = new Set<TargetColumn>()
  for (const target of targets) {
    const { name } = target.field
    if (target.generatedText !== undefined) {
      throw new SqlError(
        SqlState.invalidColumnReference,
        `column "${name}" is a generated column`,
        { detail: 'Generated columns cannot be used in COPY.' },
      )
    }
    if (seen.has(target)) {
      throw new SqlError(SqlState.duplicateColumn, `column "${name}" specified more than once`)
    }
    seen.add(target)
  }
  const format = copyInFormat(
    listOf(fields.options),
    targets.map(({ field }) => field.name),
  )
  // A row that WHERE leaves out may hold nulls; defaults are known only to the engine.
  const early = fields.whereClause === undefined && format.defaultText === null
  const made = targets.map((target): CopyInColumn => {
    const { oid, typmod, engine } = stagedType(target)
    return {
      name: target.field.name,
      pgType: { oid, typmod },
      engineType: engine,
      notNull: early && !target.field.nullable,
    }
  })
  const stage = made.map((column, i) => ({
    name: `c${i + 1}`,
    type: printEngineType(column.engineType),
  }))
  const withLines =
    hasChecks || !early || columns.some((column) => column.generatedText !== undefined)
  const lines = withLines ? [{ name: 'line', type: 'BIGINT' }] : []
  const defaults = made.map((_, i) => ({ name: `d${i + 1}`, type: 'BOOLEAN' }))
  return {
    targets,
    columns: made,
    format,
    stage: [...stage, ...(format.defaultText === null ? [] : defaults), ...lines],
    withLines,
  }
}

/** What is read for a column before its assignment: PostgreSQL's own form of the column's type. */
function stagedType({ type }: TargetColumn): SqlType {
  const own = type.oid === Oid.numeric || isCanonical(type) ? type : sqlType(type.oid, type.typmod)
  // What rounds times is left to the assignment.
  return TIMES.has(own.oid) ? { ...own, typmod: -1 } : own
}

const TIMES: ReadonlySet<number> = new Set([
  Oid.time,
  Oid.timetz,
  Oid.timestamp,
  Oid.timestamptz,
  Oid.interval,
])

/** What the columns of a table are read from: values of the STAGE, by column. */
export type CopySources = ReadonlyMap<TargetColumn, TypedExpression>

/** The STAGE's columns c1, c2, … */
export function stagedSources(targets: readonly TargetColumn[]): CopySources {
  return new Map(
    targets.map((target, i) => [target, value(`s.c${i + 1}`, stagedType(target))] as const),
  )
}

/** A column of a file, and the text that reads it from the STAGE. */
export interface FileColumn extends EngineColumn {
  readonly sql: string
}

/**
 * The columns of a file by their names.
 *
 * 22P04 for one that the table has not, or that is not among the columns listed, and for one that
 * is listed and not there.
 */
export function fileSources(
  fileColumns: readonly FileColumn[],
  targets: readonly TargetColumn[],
  table: string,
  listed: boolean,
): CopySources {
  const sources = new Map<TargetColumn, TypedExpression>()
  for (const { name, type, sql } of fileColumns) {
    const target =
      targets.find(({ field }) => field.name === name) ??
      targets.find(({ field }) => field.name.toLowerCase() === name.toLowerCase())
    if (target === undefined || sources.has(target)) {
      throw new SqlError(
        SqlState.badCopyFileFormat,
        `column "${name}" of the file is no column to be copied into "${table}"`,
      )
    }
    const isNull = type.kind === 'scalar' && type.name === 'SQLNULL'
    const nulls = `CAST(NULL AS ${printEngineType(target.type.engine)})`
    sources.set(target, isNull ? value(nulls, target.type) : value(sql, typeOfEngine(type)))
  }
  const missing = targets.find((target) => !sources.has(target))
  if (listed && missing !== undefined) {
    throw new SqlError(
      SqlState.badCopyFileFormat,
      `missing data for column "${missing.field.name}"`,
    )
  }
  return sources
}

function value(sql: string, type: SqlType): TypedExpression {
  return { ...expression(sql, type, []), shape: { kind: 'other' as const } }
}

/** The table's rows, and the identity columns that number those of the STAGE from NUMBERED on. */
export interface CopiedRows extends AnalyzedQuery {
  readonly identities: ReadonlyMap<string, IdentityColumn>
}

/**
 * The table's rows out of those of the STAGE: defaults and numbers filled in, WHERE applied, checked
 * and generated columns computed.
 */
export function copiedRows(
  analysis: Analysis,
  fields: Node,
  sources: CopySources,
  table: Pick<TableName, 'layer' | 'name'>,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  columns: readonly TargetColumn[],
  hasDefaults = false,
): CopiedRows {
  const order = [...sources.keys()]
  const identities = new Map<string, IdentityColumn>()
  const defaultOf = (column: TargetColumn): string =>
    column.identity === undefined
      ? defaultValue(analysis, column)
      : identityValue(column, column.identity, 's.lakegate_row_number', table.name)
  const items = columns.map((column) => {
    const name = quoteIdentifier(column.field.name)
    const source = sources.get(column)
    const makesOwn = source === undefined || hasDefaults
    if (column.identity !== undefined && makesOwn)
      identities.set(column.field.name, column.identity)
    if (source === undefined && column.generatedText !== undefined) {
      return `CAST(NULL AS ${printEngineType(column.type.engine)}) AS ${name}`
    }
    if (source === undefined) return `${defaultOf(column)} AS ${name}`
    const { sql } = assign(analysis, source, column)
    if (!hasDefaults) return `${sql} AS ${name}`
    const at = order.indexOf(column) + 1
    return `CASE WHEN s.d${at} THEN ${defaultOf(column)} ELSE ${sql} END AS ${name}`
  })
  const stage =
    identities.size === 0
      ? markerOf(STAGE)
      : `(SELECT *, row_number() OVER () + ${markerOf(NUMBERED)} AS lakegate_row_number FROM ${markerOf(STAGE)})`
  let rows = `SELECT ${items.join(', ')} FROM ${stage} AS s`
  const condition = fields.whereClause as Node | undefined
  if (condition !== undefined) {
    refuseSubqueries(analysis, condition)
    const alias = analysis.fresh('w')
    const { scope } = targetScope(columns, table.name, table.layer, alias, undefined)
    const place = plainPlace('COPY FROM WHERE conditions')
    const test = analyzeExpression(analysis, condition, scope, place)
    if (test.type.oid !== Oid.bool) {
      throw new SqlError(
        SqlState.datatypeMismatch,
        'argument of COPY FROM WHERE must be type boolean',
      )
    }
    rows = `SELECT * FROM (${rows}) AS ${alias} WHERE ${test.sql}`
  }
  return {
    sql: checkedRows(analysis, snapshot, columns, rows, table.name),
    columns: columns.map(({ field, type }) => ({
      name: field.name,
      engineName: field.name,
      type,
    })),
    levels: [],
    identities,
  }
}

function refuseSubqueries(analysis: Analysis, condition: Node): void {
  walk(condition, (node) => {
    if (nodeOf(node, 'SubLink') !== undefined) {
      throw analysis.error(
        SqlState.featureNotSupported,
        'cannot use subquery in COPY FROM WHERE condition',
        -1,
      )
    }
    return true
  })
}
