/** CreateTable: CREATE TABLE and CREATE TABLE AS for tables of the lake. */

import { Oid } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import type { Cancellation } from '../storage/cancellation.js'
import { writeDataFiles } from '../storage/data-file.js'
import { quoteIdentifier } from '../storage/engine.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { defineTable, type NewTable } from '../storage/new-table.js'
import { UNKNOWN } from '../storage/predicate.js'
import type { DataType, PrimitiveName, StructField } from '../storage/schema.js'
import type { AnalyzedQuery, OutputColumn } from './analysis.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import { analyze, type QueryContext, scanText } from './query.js'
import { elementOf, isArrayOid, type SqlType, typeName, typeOfName } from './sql-type.js'
import { constantOf, kindOf, listOf, namesOf, type Node, nodeOf, stringOf } from './syntax-tree.js'
import { TableChange } from './table-change.js'
import type { TableOptions } from './table-clauses.js'

const PRIMITIVES: ReadonlyMap<number, PrimitiveName> = new Map<number, PrimitiveName>([
  [Oid.bool, 'boolean'],
  [Oid.int2, 'short'],
  [Oid.int4, 'integer'],
  [Oid.int8, 'long'],
  [Oid.float4, 'float'],
  [Oid.float8, 'double'],
  [Oid.text, 'string'],
  [Oid.varchar, 'string'],
  [Oid.bpchar, 'string'],
  [Oid.name, 'string'],
  [Oid.bytea, 'binary'],
  [Oid.date, 'date'],
  [Oid.timestamp, 'timestamp_ntz'],
  [Oid.timestamptz, 'timestamp'],
  // Delta has neither; their text keeps every value exactly.
  [Oid.uuid, 'string'],
  [Oid.json, 'string'],
  [Oid.jsonb, 'string'],
])

/**
 * The Delta type in which values of `type` are stored.
 *
 * 0A000 for types Delta has nothing for (time, interval).
 */
export function deltaTypeOf(type: SqlType): DataType {
  const primitive = PRIMITIVES.get(type.oid)
  if (primitive !== undefined && type.engine.kind === 'scalar') {
    return { kind: 'primitive', name: primitive }
  }
  if (type.oid === Oid.numeric && type.engine.kind === 'decimal') {
    return { kind: 'decimal', precision: type.engine.width, scale: type.engine.scale }
  }
  if (isArrayOid(type.oid)) {
    const element = elementOf(type)
    if (element !== null) {
      return { kind: 'array', element: deltaTypeOf(element), containsNull: true }
    }
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `Delta tables have no type for ${typeName(type)}`,
  )
}

/** The columns and table properties that a statement's column definitions add up to. */
export interface Definition {
  readonly fields: StructField[]
  readonly configuration: { [key: string]: string }
}

/** The column a ColumnDef's fields define; its constraints go into `definition`. */
export function columnField(node: Node, definition: Definition, table: string): StructField {
  const type = typeOfName(node.typeName as Node)
  const words = namesOf((node.typeName as Node).names).at(-1) ?? ''
  if (/serial/.test(words)) throw notSupported('serial columns')
  const metadata: { [key: string]: unknown } = {}
  if ((type.oid === Oid.varchar || type.oid === Oid.bpchar) && type.typmod >= 4) {
    metadata.__CHAR_VARCHAR_TYPE_STRING = `${type.oid === Oid.varchar ? 'varchar' : 'char'}(${type.typmod - 4})`
  }
  let nullable = true
  for (const one of listOf(node.constraints)) {
    const constraint = nodeOf(one, 'Constraint') ?? {}
    switch (constraint.contype) {
      case 'CONSTR_NOTNULL':
        nullable = false
        break
      case 'CONSTR_NULL':
        break
      case 'CONSTR_PRIMARY':
        nullable = false
        definition.configuration['lakegate.primaryKey'] = String(node.colname)
        break
      case 'CONSTR_DEFAULT':
        metadata.CURRENT_DEFAULT = expressionText(constraint.raw_expr as Node)
        break
      case 'CONSTR_CHECK':
        addCheck(constraint, definition, table, String(node.colname))
        break
      case 'CONSTR_GENERATED':
        metadata['delta.generationExpression'] = expressionText(constraint.raw_expr as Node)
        break
      case 'CONSTR_IDENTITY':
        throw notSupported('identity columns')
      default:
        throw notSupported(CONSTRAINTS[String(constraint.contype)] ?? 'this constraint')
    }
  }
  return { name: String(node.colname), type: deltaTypeOf(type), nullable, metadata }
}

/** Constraints that are refused, by the words for them. */
export const CONSTRAINTS: Readonly<Record<string, string>> = {
  CONSTR_UNIQUE: 'UNIQUE',
  CONSTR_FOREIGN: 'FOREIGN KEY',
  CONSTR_EXCLUSION: 'EXCLUDE',
}

/** Notes a CHECK constraint, under a name of its own where it has none. */
export function addCheck(
  constraint: Node,
  definition: Pick<Definition, 'configuration'>,
  table: string,
  column?: string,
): void {
  const base = column === undefined ? `${table}_check` : `${table}_${column}_check`
  const taken = (name: string): boolean =>
    definition.configuration[`delta.constraints.${name}`] !== undefined
  let name = typeof constraint.conname === 'string' ? constraint.conname : base
  for (let n = 1; taken(name.toLowerCase()); n++) name = `${base}${n}`
  definition.configuration[`delta.constraints.${name.toLowerCase()}`] = conditionText(
    constraint.raw_expr as Node,
  )
}

/**
 * A CHECK's condition for all engines: PostgreSQL lets a row pass when it is null, Delta does not.
 */
export function conditionText(node: Node): string {
  const text = expressionText(node)
  return isNeverNull(node) ? text : `(${text}) IS NOT FALSE`
}

function isNeverNull(node: Node): boolean {
  if (nodeOf(node, 'NullTest') !== undefined || nodeOf(node, 'BooleanTest') !== undefined) {
    return true
  }
  const parts = nodeOf(node, 'BoolExpr')
  return parts !== undefined && listOf(parts.args).every(isNeverNull)
}

function notSupported(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`)
}

/**
 * An expression in words that Spark and PostgreSQL read the same: literals, columns, comparisons,
 * arithmetic, AND, OR, NOT, IN, BETWEEN, IS NULL, LIKE and a few functions.
 *
 * 0A000 for anything else: other engines must be able to hold rows against it.
 */
export function expressionText(node: Node): string {
  const kind = kindOf(node)
  const fields = (node[kind] ?? {}) as Node
  switch (kind) {
    case 'A_Const': {
      const text = (fields.fval as { readonly fval?: string } | undefined)?.fval
      if (text !== undefined) return text
      const value = constantOf(node)
      if (typeof value === 'string') {
        if (value.includes('\\')) break
        return `'${value.replaceAll("'", "''")}'`
      }
      return value === null ? 'NULL' : String(value).toUpperCase()
    }
    case 'ColumnRef': {
      const parts = listOf(fields.fields).map((part) => stringOf(part) ?? '*')
      const name = parts.at(-1) ?? ''
      return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `\`${name}\``
    }
    case 'BoolExpr': {
      const parts = listOf(fields.args).map((part) => `(${expressionText(part)})`)
      return fields.boolop === 'NOT_EXPR'
        ? `NOT ${parts[0]}`
        : parts.join(fields.boolop === 'OR_EXPR' ? ' OR ' : ' AND ')
    }
    case 'NullTest':
      return `${operandText(fields.arg)} IS ${fields.nulltesttype === 'IS_NULL' ? '' : 'NOT '}NULL`
    case 'BooleanTest': {
      const test = /^IS_(NOT_)?(TRUE|FALSE)$/.exec(String(fields.booltesttype))
      if (test === null) break
      return `${operandText(fields.arg)} IS ${test[1] === undefined ? '' : 'NOT '}${test[2]}`
    }
    case 'A_Expr':
      return operatorText(fields)
    case 'TypeCast': {
      const inner = constantOf(fields.arg)
      const type = namesOf((fields.typeName as Node).names).at(-1) ?? ''
      if (typeof inner === 'string' && (type === 'date' || type === 'timestamp')) {
        return `${type.toUpperCase()} '${inner.replaceAll("'", "''")}'`
      }
      if (typeof inner === 'string' && /^(?:text|varchar)$/.test(type)) {
        return expressionText(fields.arg as Node)
      }
      break
    }
    case 'SQLValueFunction':
      if (fields.op === 'SVFOP_CURRENT_TIMESTAMP') return 'current_timestamp()'
      if (fields.op === 'SVFOP_CURRENT_DATE') return 'current_date()'
      break
    case 'FuncCall': {
      const name = namesOf(fields.funcname).at(-1) ?? ''
      if (name === 'now') return 'current_timestamp()'
      if (/^(?:lower|upper|length|abs|coalesce|year|month|day)$/.test(name)) {
        return `${name}(${listOf(fields.args).map(expressionText).join(', ')})`
      }
      break
    }
    default:
      break
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    'the expression uses what other engines might evaluate otherwise',
    {
      hint: 'Use columns, literals, comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN and IS NULL.',
    },
  )
}

/** An operand, in parentheses where engines might otherwise bind it differently. */
function operandText(value: unknown): string {
  const node = value as Node
  const text = expressionText(node)
  const isPlain = /^(?:ColumnRef|A_Const|FuncCall|SQLValueFunction|TypeCast)$/.test(kindOf(node))
  return isPlain && !text.startsWith('-') ? text : `(${text})`
}

function operatorText(fields: Node): string {
  const operator = namesOf(fields.name).at(-1) ?? ''
  const left = fields.lexpr === undefined ? '' : operandText(fields.lexpr)
  const list = listOf(nodeOf(fields.rexpr, 'List')?.items)
  switch (fields.kind) {
    case 'AEXPR_OP':
      if (!/^(?:=|<>|<|<=|>|>=|\+|-|\*|%)$/.test(operator)) break
      return left === ''
        ? `${operator}${operandText(fields.rexpr)}`
        : `${left} ${operator} ${operandText(fields.rexpr)}`
    case 'AEXPR_IN':
      return `${left} ${operator === '<>' ? 'NOT IN' : 'IN'} (${list.map(expressionText).join(', ')})`
    case 'AEXPR_BETWEEN':
      return `${left} BETWEEN ${list.map(operandText).join(' AND ')}`
    case 'AEXPR_LIKE':
      return `${left} ${operator === '!~~' ? 'NOT LIKE' : 'LIKE'} ${operandText(fields.rexpr)}`
    default:
      break
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `the operator ${operator} is not supported in constraints, defaults and generated columns`,
  )
}

function optionsOf(fields: Node, lake: TableOptions): TableOptions {
  const spec = fields.partspec as Node | undefined
  const partitions =
    spec === undefined
      ? lake.partitionColumns
      : listOf(spec.partParams).map((part) => {
          const element = nodeOf(part, 'PartitionElem') ?? {}
          if (typeof element.name !== 'string') throw notSupported('partitioning by an expression')
          return element.name
        })
  const properties: { [key: string]: string } = { ...lake.properties }
  for (const option of listOf(fields.options)) {
    const element = nodeOf(option, 'DefElem') ?? {}
    const name =
      element.defnamespace === undefined
        ? String(element.defname)
        : `${String(element.defnamespace)}.${String(element.defname)}`
    const value = element.arg as Node | undefined
    properties[name] = String(
      stringOf(value) ??
        (nodeOf(value, 'Integer') as { ival?: number } | undefined)?.ival ??
        constantOf(value) ??
        'true',
    )
  }
  return { partitionColumns: partitions, properties, comment: lake.comment }
}

/** The layer and name a new table gets: 3F000 when there is no such layer, 42P07 when the name is taken. */
async function newName(
  range: Node,
  context: QueryContext,
): Promise<{ readonly table: TableName; readonly exists: boolean }> {
  const { catalog } = context.gateway
  const layer =
    typeof range.schemaname === 'string' ? range.schemaname : (context.searchPath[0] ?? 'public')
  const name = String(range.relname)
  if (!(await catalog.layers()).includes(layer)) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${layer}" does not exist`)
  }
  if (/[/\\]|^[._]/.test(name)) {
    throw new SqlError(SqlState.invalidName, `"${name}" cannot be the name of a table`)
  }
  const found = await catalog.resolve([layer, name], [])
  if (found === null && !(await catalog.isOwnFolder(`${layer}/${name}`))) {
    // Its log is another table's history: a table made here would take that one's files away.
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      `the folder "${layer}/${name}" belongs to a table that was renamed`,
      { hint: 'Choose another name for the new table, and rename it afterwards.' },
    )
  }
  const created = context.block.createdTable(layer, name)
  return {
    table: { layer, name, path: `${layer}/${name}` },
    exists: found !== null || created !== undefined,
  }
}

/** Executes CREATE TABLE; `exists` tells that IF NOT EXISTS found the table. */
export async function runCreateTable(
  fields: Node,
  lake: TableOptions,
  context: QueryContext,
  notice: (message: string) => void,
): Promise<Execution> {
  const done: Execution = { kind: 'command', tag: 'CREATE TABLE' }
  if (fields.inhRelations !== undefined && fields.partbound === undefined)
    throw notSupported('INHERITS')
  if (fields.partbound !== undefined) throw notSupported('PARTITION OF')
  const { table, exists } = await newName(fields.relation as Node, context)
  if (exists) {
    if (fields.if_not_exists !== true) throw duplicate(table)
    notice(`relation "${table.name}" already exists, skipping`)
    return done
  }
  const definition: Definition = { fields: [], configuration: {} }
  for (const node of listOf(fields.tableElts)) {
    const column = nodeOf(node, 'ColumnDef')
    const constraint = nodeOf(node, 'Constraint')
    if (column !== undefined) definition.fields.push(columnField(column, definition, table.name))
    else if (constraint?.contype === 'CONSTR_CHECK') addCheck(constraint, definition, table.name)
    else if (constraint?.contype === 'CONSTR_PRIMARY') {
      definition.configuration['lakegate.primaryKey'] = namesOf(constraint.keys).join(',')
    } else if (constraint !== undefined) {
      throw notSupported(CONSTRAINTS[String(constraint.contype)] ?? 'this constraint')
    } else throw notSupported('LIKE')
  }
  const keys = (definition.configuration['lakegate.primaryKey'] ?? '').split(',')
  const schema = {
    fields: definition.fields.map((field) =>
      keys.includes(field.name) ? { ...field, nullable: false } : field,
    ),
  }
  if (schema.fields.length === 0) throw notSupported('a table without columns')
  const options = optionsOf(fields, lake)
  const made = define(table, schema.fields, options, definition.configuration)
  if (definition.configuration['lakegate.primaryKey'] !== undefined) {
    notice('the primary key is informational: rows are not held against it')
  }
  const change = await begin(context, table, made)
  change.apply({ operation: 'CREATE TABLE', definition: made })
  return done
}

/** A table that was dropped leaves its log: the new one is the next version of it, with an id of its own. */
async function begin(
  context: QueryContext,
  table: TableName,
  made: NewTable,
): Promise<TableChange> {
  const dropped = await context.gateway.snapshots.latest(table.path)
  const change = context.block.changing(
    table,
    'CREATE TABLE',
    () => new TableChange(table, dropped, made),
  )
  if (dropped !== null) {
    change.apply({
      operation: 'REPLACE TABLE',
      removes: [...dropped.files],
      reads: [{ predicate: UNKNOWN, files: [...dropped.files] }],
    })
  }
  return change
}

function duplicate(table: TableName): SqlError {
  return new SqlError(SqlState.duplicateTable, `relation "${table.name}" already exists`)
}

/** Properties of new tables: most changes touch few rows, and a vector is cheaper than a new file. */
const DEFAULTS = { 'delta.enableDeletionVectors': 'true' }

function define(
  table: TableName,
  fields: readonly StructField[],
  options: TableOptions,
  configuration: { readonly [key: string]: string },
): NewTable {
  return defineTable({
    tablePath: table.path,
    name: table.name,
    description: options.comment,
    schema: { fields },
    partitionColumns: options.partitionColumns,
    configuration: { ...DEFAULTS, ...options.properties, ...configuration },
  })
}

/** Executes CREATE TABLE … AS for a table of the lake. */
export async function runCreateTableAs(
  inner: ParsedStatement,
  into: Node,
  ifNotExists: boolean,
  lake: TableOptions,
  values: readonly EngineValue[],
  context: QueryContext,
  cancellation: Cancellation,
  notice: (message: string) => void,
): Promise<Execution> {
  const { table, exists } = await newName(into.rel as Node, context)
  if (exists) {
    if (!ifNotExists) throw duplicate(table)
    notice(`relation "${table.name}" already exists, skipping`)
    return { kind: 'command', tag: 'CREATE TABLE AS' }
  }
  const options = optionsOf({ options: into.options }, lake)
  const names = namesOf(into.colNames)
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      const analyzed = await analyze(inner, [], values, context, connection, true)
      const columns: readonly OutputColumn[] = analyzed.query.columns
      if (names.length > columns.length) {
        throw new SqlError(SqlState.syntaxError, 'too many column names were specified')
      }
      const fields = columns.map(
        (column, i): StructField => ({
          name: names[i] ?? column.name,
          type: deltaTypeOf(column.type),
          nullable: true,
          metadata: {},
        }),
      )
      const made = define(table, fields, options, {})
      const change = await begin(context, table, made)
      if (into.skipData === true) {
        change.apply({ operation: 'CREATE TABLE AS SELECT', definition: made })
        return { kind: 'command', tag: 'CREATE TABLE AS' }
      }
      const { sql, values: bound } = await scanText(analyzed, values, context, connection)
      const written = await writeDataFiles(context.gateway.store, connection, made, {
        query: renamed(sql, analyzed.query, fields),
        values: bound,
      })
      change.apply({ operation: 'CREATE TABLE AS SELECT', definition: made, adds: written.files })
      return { kind: 'command', tag: `SELECT ${written.rowCount}` }
    } finally {
      connection.attach(undefined)
    }
  })
}

function renamed(sql: string, query: AnalyzedQuery, fields: readonly StructField[]): string {
  const items = fields.map((field, i) => {
    const from = quoteIdentifier(query.columns[i]?.engineName ?? '')
    const isText = field.type.kind === 'primitive' && field.type.name === 'string'
    const value = isText ? `CAST(q.${from} AS VARCHAR)` : `q.${from}`
    return `${value} AS ${quoteIdentifier(field.name)}`
  })
  return `SELECT ${items.join(', ')} FROM (${sql}) AS q`
}
