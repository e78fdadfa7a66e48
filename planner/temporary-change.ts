/** Temporary change: INSERT, UPDATE and DELETE of temporary tables. */

import type { PgType } from '../catalog/pg-types.js'
import type { Cancellation } from '../storage/cancellation.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import type { Snapshot } from '../storage/snapshot.js'
import { uniqueNames } from './query-names.js'
import { replaceMarkers } from './analysis.js'
import { type InsertPlan, planInsert, shownColumns } from './insert.js'
import { numberParameters } from './parameter-marker.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import {
  type AnalyzedStatement,
  analyzePlan,
  type QueryContext,
  relationTexts,
  scanText,
} from './query.js'
import { command, taggedRows } from './ready-rows.js'
import { notSupported } from './refusal.js'
import type { ResultColumn } from './result.js'
import { TARGET } from './row-change.js'
import type { Node } from './syntax-tree.js'
import type { TargetColumn } from './target-table.js'
import { planChange } from './temporary-rows.js'
import type { TemporaryTable, TemporaryTables } from './temporary-tables.js'

/** A statement that changes a temporary table, and what it runs with. */
export interface TemporaryChangeCall {
  readonly statement: ParsedStatement
  readonly fields: Node
  readonly values: readonly EngineValue[]
  readonly oids: readonly number[]
  readonly context: QueryContext
  readonly cancellation: Cancellation
}

/** Types of the parameters of an INSERT and the columns of its RETURNING, without executing. */
export async function describeTemporaryInsert(
  statement: ParsedStatement,
  fields: Node,
  oids: readonly number[],
  context: QueryContext,
  table: TemporaryTable,
): Promise<{
  readonly parameterTypes: readonly (PgType | undefined)[]
  readonly columns: readonly ResultColumn[] | null
}> {
  return context.pool.with(async (connection) => {
    const { query: plan, parameterTypes } = await analyzePlan(
      statement,
      oids,
      [],
      context,
      connection,
      false,
      (analysis) => planInsert(analysis, fields, nameOf(table), rulesOf(table), targetsOf(table)),
    )
    return { parameterTypes, columns: plan.returning.length > 0 ? shownColumns(plan) : null }
  })
}

/** Executes an INSERT; 0A000 for ON CONFLICT. */
export async function insertTemporary(
  tables: TemporaryTables,
  table: TemporaryTable,
  call: TemporaryChangeCall,
): Promise<Execution> {
  const { statement, fields, values, oids, context } = call
  if (fields.onConflictClause !== undefined) throw notSupported('INSERT … ON CONFLICT')
  return onConnection(call, async (connection) => {
    const analyzed = await analyzePlan(
      statement,
      oids,
      values,
      context,
      connection,
      true,
      (analysis) => planInsert(analysis, fields, nameOf(table), rulesOf(table), targetsOf(table)),
    )
    const { query: plan } = analyzed
    const query = await scanText(analyzed, values, context, connection)
    return tables.insert(table, connection, query, (inserted, rowCount) =>
      returned(plan, inserted, rowCount, values, connection),
    )
  })
}

/** What RETURNING shows of the rows that have just been inserted. */
async function returned(
  plan: InsertPlan,
  inserted: string,
  rowCount: number,
  values: readonly EngineValue[],
  connection: EngineConnection,
): Promise<Execution> {
  const tag = `INSERT 0 ${rowCount}`
  if (plan.returning.length === 0) return command(tag)
  const names = uniqueNames(plan.returning.map(({ name }) => name))
  const items = plan.returning.map(
    ({ value }, i) =>
      `CAST(${value.sql} AS ${printEngineType(value.type.engine)}) AS ${quoteIdentifier(names[i] ?? '')}`,
  )
  const shown = numberParameters(
    `SELECT ${items.join(', ')} FROM ${inserted} AS ${plan.returningAlias}`,
    values,
  )
  const rows = await connection.query(shown.sql, shown.values)
  return taggedRows(shownColumns(plan), rows, () => tag)
}

/** Types of the parameters of an UPDATE or DELETE, without executing. */
export async function describeTemporaryChange(
  statement: ParsedStatement,
  fields: Node,
  kind: 'UPDATE' | 'DELETE',
  oids: readonly number[],
  context: QueryContext,
  table: TemporaryTable,
): Promise<readonly (PgType | undefined)[]> {
  return context.pool.with(async (connection) => {
    const analyzed = await analyzePlan(
      statement,
      oids,
      [],
      context,
      connection,
      false,
      (analysis) =>
        planChange(analysis, fields, nameOf(table), rulesOf(table), kind, targetsOf(table)),
    )
    return analyzed.parameterTypes
  })
}

/** Executes an UPDATE or DELETE: the table's rows are written anew, the old ones stay for a ROLLBACK. */
export async function changeTemporary(
  tables: TemporaryTables,
  table: TemporaryTable,
  kind: 'UPDATE' | 'DELETE',
  call: TemporaryChangeCall,
): Promise<Execution> {
  const { statement, fields, values, oids, context } = call
  return onConnection(call, async (connection) => {
    const analyzed = await analyzePlan(
      statement,
      oids,
      values,
      context,
      connection,
      true,
      (analysis) =>
        planChange(analysis, fields, nameOf(table), rulesOf(table), kind, targetsOf(table)),
    )
    const { query: plan } = analyzed
    const textOf = await textOver(table, analyzed, call, connection)
    const counted = textOf(
      `SELECT count(*) FROM ${table.storage.view} AS ${plan.alias} WHERE ${plan.condition}`,
    )
    const [row] = await connection.query(counted.sql, counted.values)
    const rowCount = Number(row?.[0] ?? 0)
    if (rowCount > 0) await tables.replace(table, connection, textOf(plan.rows))
    return command(`${kind} ${rowCount}`)
  })
}

/** Texts of a plan over the table's rows and over whatever else it reads. */
async function textOver(
  table: TemporaryTable,
  analyzed: AnalyzedStatement,
  { values, context }: TemporaryChangeCall,
  connection: EngineConnection,
): Promise<(sql: string) => { readonly sql: string; readonly values: readonly EngineValue[] }> {
  const { texts } = await relationTexts(analyzed, values, context, connection)
  return (sql) =>
    numberParameters(
      replaceMarkers(sql, (id) => (id === TARGET ? table.storage.view : (texts[id] ?? ''))),
      values,
    )
}

function onConnection<T>(
  { context, cancellation }: TemporaryChangeCall,
  work: (connection: EngineConnection) => Promise<T>,
): Promise<T> {
  return context.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      return await work(connection)
    } finally {
      connection.attach(undefined)
    }
  })
}

/** The table as names in statements see it. */
export function nameOf({ name }: TemporaryTable): {
  readonly layer: string
  readonly name: string
} {
  return { layer: 'pg_temp', name }
}

/** The columns as statements assign to them. */
export function targetsOf({ columns }: TemporaryTable): readonly TargetColumn[] {
  return columns.map(({ name, type, notNull, defaultText, generatedText }) => ({
    field: {
      name,
      // A temporary table has no Delta types: `readType` tells what is read.
      type: { kind: 'primitive', name: 'void' },
      nullable: notNull !== true,
      metadata: {},
    },
    type,
    readType: type,
    language: 'postgresql',
    defaultText,
    generatedText,
  }))
}

/** The CHECK constraints, where those of lake tables are kept. */
export function rulesOf({ name, checks }: TemporaryTable): Pick<Snapshot, 'metadata' | 'schema'> {
  // The rules are read as Delta's, where a null breaks them.
  const constraints = checks.map(({ name: check, expression }) => [
    `delta.constraints.${check}`,
    `(${expression}) IS NOT FALSE`,
  ])
  return {
    schema: { fields: [] },
    metadata: {
      id: name,
      name,
      format: { provider: 'temporary', options: {} },
      schemaString: '',
      partitionColumns: [],
      configuration: Object.fromEntries(constraints) as { readonly [key: string]: string },
    },
  }
}
