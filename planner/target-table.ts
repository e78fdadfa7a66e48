/** TargetTable: the table that a statement changes - its columns' types, defaults and conditions. */

import { Oid } from '../catalog/pg-types.js'
import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type IdentityColumn, identityOf } from '../storage/identity-column.js'
import { allFields, engineTypeOf, type Schema, type StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'
import { analyzeExpression } from './analyze-expression.js'
import { plainPlace } from './expression-place.js'
import type { Analysis } from './analysis.js'
import { canonical, coerce } from './coercion.js'
import { parseStatements } from './parse.js'
import { type NamedColumn, type Range, type RangeColumn, Scope, watchedColumn } from './scope.js'
import { isCanonical, type SqlType, sqlType, typeName, typeOfEngine } from './sql-type.js'
import { listOf, type Node, nodeOf } from './syntax-tree.js'
import { storedValue, tableCondition } from './table-expression.js'
import { columnKey, type TableUse } from './table-use.js'
import { expression, type TypedExpression } from './typed-expression.js'

/** As errors name what computes a generated column. */
export const GENERATION = 'the generation expression'

/** A column as statements assign to it. */
export interface TargetColumn {
  readonly field: StructField
  /** With the length of varchar(n) and char(n), which Delta keeps beside its string type. */
  readonly type: SqlType
  /** As DuckDB reads it; left out where the field's own type tells. */
  readonly readType?: SqlType
  /** DEFAULT's expression as SQL text; undefined for NULL. */
  readonly defaultText: string | undefined
  /** What computes a generated column; undefined for others. */
  readonly generatedText: string | undefined
  /** What `defaultText` and `generatedText` are written in, and the table's checks: Spark SQL, but here. */
  readonly language?: 'postgresql'
  /** How an identity column counts; undefined for others. */
  readonly identity?: IdentityColumn | undefined
}

/** The columns of `schema` in order. */
export function targetColumns(schema: Schema): readonly TargetColumn[] {
  return schema.fields.map((field) => ({
    field,
    type: targetType(field),
    defaultText: textOf(field.metadata.CURRENT_DEFAULT),
    generatedText: textOf(field.metadata['delta.generationExpression']),
    identity: identityOf(field),
  }))
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function targetType(field: StructField): SqlType {
  const length = /^(var)?char\((\d+)\)$/i.exec(
    textOf(field.metadata.__CHAR_VARCHAR_TYPE_STRING) ?? '',
  )
  if (length !== null) {
    return sqlType(length[1] === undefined ? Oid.bpchar : Oid.varchar, Number(length[2]) + 4)
  }
  return typeOfEngine(engineTypeOf(field.type))
}

/** The column of that name; 42703 when the table has none. */
export function targetColumn(
  columns: readonly TargetColumn[],
  name: string,
  table: string,
): TargetColumn {
  const found =
    columns.find(({ field }) => field.name === name) ??
    columns.find(({ field }) => field.name.toLowerCase() === name.toLowerCase())
  if (found === undefined) {
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" of relation "${table}" does not exist`,
    )
  }
  return found
}

/** `value` as what is stored in `column`; 42804 where there is no assignment cast. */
export function assign(
  analysis: Analysis,
  value: TypedExpression,
  column: TargetColumn,
): TypedExpression {
  const { type, field } = column
  return analysis.located(value.location, () => {
    if (!isCanonical(type) && type.oid === Oid.jsonb) return assignNested(analysis, value, column)
    try {
      const base = isCanonical(type) ? type : sqlType(type.oid, type.typmod)
      const stored = coerce(value, base, 'assignment', analysis)
      // A numeric of the column's own scale, and the small integers Delta has and PostgreSQL lacks.
      return printEngineType(stored.type.engine) === printEngineType(type.engine)
        ? stored
        : {
            ...stored,
            sql: `CAST(${stored.sql} AS ${printEngineType(type.engine)})`,
            type,
            parts: [stored],
            shape: { kind: 'cast' },
          }
    } catch (thrown) {
      if (!(thrown instanceof SqlError) || thrown.sqlState !== SqlState.datatypeMismatch)
        throw thrown
      throw new SqlError(
        SqlState.datatypeMismatch,
        `column "${field.name}" is of type ${typeName(type)} but expression is of type ${typeName(value.type)}`,
        { hint: 'You will need to rewrite or cast the expression.' },
      )
    }
  })
}

/** Structs, maps and lists of them, which clients see as jsonb and may write as jsonb. */
function assignNested(
  analysis: Analysis,
  value: TypedExpression,
  { type }: TargetColumn,
): TypedExpression {
  const engine = printEngineType(type.engine)
  if (printEngineType(value.type.engine) === engine) return value
  const json = canonical(coerce(value, sqlType(Oid.jsonb), 'assignment', analysis))
  return {
    ...json,
    sql: `CAST(${json.sql} AS ${engine})`,
    type,
    parts: [json],
    shape: { kind: 'cast' },
  }
}

/** A scope whose one range is the table, read as `alias` by DuckDB. */
export function targetScope(
  columns: readonly TargetColumn[],
  name: string,
  schema: string | undefined,
  engineAlias: string,
  relation: number | undefined,
  use?: TableUse,
): { readonly scope: Scope; readonly range: Range } {
  const made: RangeColumn[] = []
  const range: Range = { alias: name, schema, columns: made, relation, nullable: false }
  for (const { field, readType } of columns) {
    const type = readType ?? typeOfEngine(engineTypeOf(field.type))
    const sql = `${engineAlias}.${quoteIdentifier(field.name)}`
    const used = use === undefined ? undefined : () => use.column('SELECT', columnKey(field))
    made.push(watchedColumn({ name: field.name, type, range }, sql, used))
  }
  const scope = new Scope(undefined)
  scope.ranges = [range]
  scope.columns = made.map((column): NamedColumn => ({ name: column.name, column }))
  return { scope, range }
}

/** An expression of a temporary table's definition, over its columns in `scope`. */
function ownExpression(
  analysis: Analysis,
  text: string,
  scope: Scope,
  what: string,
): TypedExpression {
  const [statement] = parseStatements(`SELECT ${text}`)
  const select = nodeOf(statement?.tree, 'SelectStmt')
  const value = nodeOf(listOf(select?.targetList)[0], 'ResTarget')?.val as Node
  return { ...analyzeExpression(analysis, value, scope, plainPlace(what)), location: -1 }
}

/**
 * The value of an expression kept with `column`, as it is stored there, over the columns that
 * DuckDB reads as `alias`; 0A000 where it is not certain what Spark would store.
 */
export function computedValue(
  analysis: Analysis,
  text: string,
  column: TargetColumn,
  columns: readonly TargetColumn[],
  alias: string,
  what: string,
): string {
  if (column.language === 'postgresql') {
    const { scope } = targetScope(columns, '', undefined, alias, undefined)
    return assign(analysis, ownExpression(analysis, text, scope, what), column).sql
  }
  const { type } = column.field
  const fields = columns.map(({ field }) => field)
  const sql = storedValue(text, type, fields, alias, what)
  // Lengths of char and varchar are held.
  return assign(analysis, expression(sql, typeOfEngine(engineTypeOf(type)), []), column).sql
}

/** The condition `text` of the table's, over its columns, which DuckDB reads as `alias`. */
export function checkedCondition(
  analysis: Analysis,
  text: string,
  columns: readonly TargetColumn[],
  alias: string,
  what: string,
): string {
  if (columns.some(({ language }) => language === 'postgresql')) {
    const { scope } = targetScope(columns, '', undefined, alias, undefined)
    return ownExpression(analysis, text, scope, what).sql
  }
  const fields = columns.map(({ field }) => field)
  return tableCondition(text, fields, alias, what)
}

/** The text of a default, as DuckDB computes it for `column`; 0A000 for an identity column. */
export function defaultValue(analysis: Analysis, column: TargetColumn): string {
  const engine = printEngineType(column.type.engine)
  if (column.identity !== undefined) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `only INSERT can give identity column "${column.field.name}" its next value`,
    )
  }
  if (column.defaultText === undefined) return `CAST(NULL AS ${engine})`
  return computedValue(analysis, column.defaultText, column, [], '', 'the default')
}

/** CHECK constraints by name: `delta.constraints.<name>` of the table's properties. */
export function constraintsOf(snapshot: {
  readonly metadata: Snapshot['metadata']
}): readonly { readonly name: string; readonly text: string }[] {
  return Object.entries(snapshot.metadata.configuration).flatMap(([key, text]) =>
    key.startsWith('delta.constraints.')
      ? [{ name: key.slice('delta.constraints.'.length), text }]
      : [],
  )
}

/** What every row is held against. */
export interface RowRule {
  readonly text: string
  /** As errors about the text name it. */
  readonly what: string
  /** What a client is told whose row breaks it. */
  readonly violation: string
}

/**
 * The rules of the table called `table`: CHECK constraints, which are properties, and the invariants
 * of columns, which tables of older writers have.
 */
export function rowRules(
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  table: string,
): readonly RowRule[] {
  const rules: RowRule[] = constraintsOf(snapshot).map(({ name, text }) => ({
    text,
    what: 'the constraint',
    violation: `new row for relation "${table}" violates check constraint "${name}"`,
  }))
  for (const field of snapshot.schema.fields) {
    if (field.type.kind !== 'primitive' && field.type.kind !== 'decimal') requireNoneInside(field)
    const text = invariantOf(field)
    if (text === undefined) continue
    const violation = `new row for relation "${table}" violates the invariant of column "${field.name}"`
    rules.push({ text, what: 'the invariant', violation })
  }
  return rules
}

/** The expression of a field's `delta.invariants`; Delta protocol, "Column Invariants". */
function invariantOf({ name, metadata }: StructField): string | undefined {
  const json = metadata['delta.invariants'] ?? null
  if (json === null) return undefined
  try {
    const parsed = JSON.parse(String(json)) as { expression?: { expression?: unknown } } | null
    if (typeof parsed?.expression?.expression === 'string') return parsed.expression.expression
  } catch {
    // As one that says something else.
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `the invariant of column "${name}" cannot be evaluated`,
    { detail: `It is: ${String(json)}` },
  )
}

/** An invariant inside of a struct would hold for each of a list's elements, or where there is none. */
function requireNoneInside(field: StructField): void {
  const type = { kind: 'struct', fields: [{ ...field, metadata: {} }] } as const
  const inner = [...allFields(type.fields)].find(
    (one) => (one.metadata['delta.invariants'] ?? null) !== null,
  )
  if (inner === undefined) return
  throw new SqlError(
    SqlState.featureNotSupported,
    `the invariant of field "${inner.name}" in column "${field.name}" cannot be evaluated`,
  )
}

/**
 * A SELECT of the table's columns out of `source` in which every row has been held against the
 * table's CHECK constraints and invariants (23514) and its generated columns are computed.
 *
 * `source` gives all columns by name, and those named in `passing`, which are handed through; rows for
 * which the condition `exempt` over them is true are no rows of the table and are not looked at.
 */
export function checkedRows(
  analysis: Analysis,
  snapshot: Pick<Snapshot, 'metadata' | 'schema'>,
  columns: readonly TargetColumn[],
  source: string,
  table: string,
  passing: readonly string[] = [],
  exempt = '',
): string {
  const alias = analysis.fresh('w')
  const generated = columns.map((column) =>
    column.generatedText === undefined
      ? `${alias}.${quoteIdentifier(column.field.name)}`
      : computedValue(analysis, column.generatedText, column, columns, alias, GENERATION),
  )
  const items = columns.map(
    (column, i) => `${generated[i]} AS ${quoteIdentifier(column.field.name)}`,
  )
  for (const name of passing) items.push(`${alias}.${name}`)
  const rows = `SELECT ${items.join(', ')} FROM (${source}) AS ${alias}`
  const rules = rowRules(snapshot, table)
  if (rules.length === 0) return rows
  const held = analysis.fresh('w')
  const tests = rules.map(({ text, what, violation }) => {
    const condition = checkedCondition(analysis, text, columns, held, what)
    const raised = `error(${quoteLiteral(`lakegate!23514!${violation}`)})`
    // Delta, unlike PostgreSQL, takes a null for a violation; what is stored here says so where needed.
    return `WHEN (${condition}) IS NOT TRUE THEN ${raised}`
  })
  if (exempt !== '')
    tests.unshift(`WHEN ${exempt} THEN ${held}.${quoteIdentifier(columns[0]?.field.name ?? '')}`)
  const guarded = columns.map(({ field, type }, i) => {
    const column = `${held}.${quoteIdentifier(field.name)}`
    return i === 0
      ? `CAST(CASE ${tests.join(' ')} ELSE ${column} END AS ${printEngineType(type.engine)}) AS ${quoteIdentifier(field.name)}`
      : column
  })
  for (const name of passing) guarded.push(`${held}.${name}`)
  return `SELECT ${guarded.join(', ')} FROM (${rows}) AS ${held}`
}

/** The items of a statement's RETURNING; empty without one. */
export function returningList(fields: Node): readonly Node[] {
  const clause = fields.returningClause as Node | undefined
  return listOf(clause?.exprs)
}

/** RETURNING's select list over rows that `alias` gives. */
export function returningItems(
  analysis: Analysis,
  nodes: readonly Node[],
  scope: Scope,
  analyzeItem: (node: Node) => TypedExpression,
  nameOf: (node: Node) => string,
): readonly { readonly name: string; readonly value: TypedExpression }[] {
  return nodes.flatMap((node) => {
    const target = nodeOf(node, 'ResTarget') ?? {}
    const value = target.val as Node
    const fields = listOf(nodeOf(value, 'ColumnRef')?.fields)
    if (nodeOf(fields.at(-1), 'A_Star') !== undefined) {
      return scope.columns.map(({ name, column }) => ({
        name,
        value: expression(column.sql, column.type, [], -1, {
          kind: 'column' as const,
          column,
          path: [],
          outer: false,
        }),
      }))
    }
    const name = typeof target.name === 'string' ? target.name : nameOf(value)
    return [{ name, value: analysis.located(-1, () => analyzeItem(value)) }]
  })
}
