/** EXPLAIN: which version and which files of each table are read, and DuckDB's plan. */

import type { EngineConnection } from '../../storage/engine.js'
import type { EngineValue, Scalar } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { openCatalogQuery, routeOf } from '../catalog-query.js'
import { booleanOption, optionValues, textOption } from '../option-list.js'
import type { ParsedStatement } from '../parse.js'
import type { Execution } from '../portal.js'
import { isQuery, type ScannedTable, withTranslation } from '../query.js'
import { taggedRows, textColumn } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import { declaredParameters, type StatementCall, type StatementKind } from '../statement-kind.js'
import { kindOf, listOf, type Node } from '../syntax-tree.js'
import { wrappedStatement } from '../wrapped-statement.js'
import { explainChange } from './explain-change.js'
import { preparedExecution } from './prepare.js'
import { temporaryTarget } from './temporary-table.js'

export const EXPLAIN: StatementKind = {
  describe: (shape) => ({
    parameterTypes: declaredParameters(shape),
    columns: [textColumn('QUERY PLAN')],
  }),
  open: explain,
}

const CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** PostgreSQL's options; what DuckDB cannot tell is left out of the answer. */
const OPTIONS = new Set([
  'analyze',
  'verbose',
  'costs',
  'settings',
  'generic_plan',
  'buffers',
  'wal',
  'timing',
  'summary',
  'format',
])

async function explain(call: StatementCall): Promise<Execution> {
  const { session, fields, cancellation } = call
  const options = optionValues(listOf(fields.options))
  for (const name of options.keys()) {
    if (!OPTIONS.has(name)) {
      throw new SqlError(SqlState.syntaxError, `unrecognized EXPLAIN option "${name}"`)
    }
    if (name !== 'format') booleanOption(options, name)
  }
  const analyze = booleanOption(options, 'analyze')
  const format = formatOf(options)
  const { statement, values } = await explained(call)
  const changed = statement.tree === null ? '' : kindOf(statement.tree)
  if (CHANGES.has(changed) && format === 'text') {
    const inner = (statement.tree?.[changed] ?? {}) as Node
    if (temporaryTarget(session, inner) === undefined) {
      const lines = await explainChange(
        {
          statement,
          fields: inner,
          values,
          oids: [],
          context: session.queryContext(),
          cancellation,
        },
        analyze,
        scanLine,
        () => session.dispatch.open(statement, values, cancellation),
      )
      return planRows(lines)
    }
  }
  if (!isQuery(statement.tree)) throw notSupported('EXPLAIN of this statement')
  const isEngine = statement.engineQuery !== undefined
  if (!isEngine && routeOf(statement, session.catalogSession()) === 'catalog') {
    const whole = call.statement
    const { formats } = call
    const opened = await openCatalogQuery(whole, call.values, session.catalogSession(), {
      cancellation,
      formats,
    })
    return { ...opened, tag: () => 'EXPLAIN' }
  }
  const context = session.queryContext()
  return withTranslation(
    statement,
    values,
    context,
    cancellation,
    async (connection, sql, scans, bound) => plan(connection, sql, bound, scans, analyze, format),
  )
}

/** What is explained: the statement inside, or what it EXECUTEs. */
async function explained(
  call: StatementCall,
): Promise<{ readonly statement: ParsedStatement; readonly values: readonly EngineValue[] }> {
  const { session, values, cancellation } = call
  const statement = wrappedStatement(call.statement)
  const tree = statement.tree ?? {}
  if (kindOf(tree) !== 'ExecuteStmt') return { statement, values }
  return preparedExecution(session, statement, tree.ExecuteStmt as Node, values, cancellation)
}

function formatOf(options: ReadonlyMap<string, unknown>): 'text' | 'json' {
  const format = (textOption(options, 'format') ?? 'text').toLowerCase()
  if (format === 'text' || format === 'json') return format
  if (format === 'xml' || format === 'yaml') throw notSupported(`EXPLAIN (FORMAT ${format})`)
  throw new SqlError(
    SqlState.invalidParameterValue,
    `unrecognized value for EXPLAIN option "format": "${format}"`,
  )
}

async function plan(
  connection: EngineConnection,
  sql: string,
  values: readonly EngineValue[],
  scans: readonly ScannedTable[],
  analyze: boolean,
  format: 'text' | 'json',
): Promise<Execution> {
  const rows = await connection.query(
    `EXPLAIN (${analyze ? 'ANALYZE, ' : ''}FORMAT ${format}) ${sql}`,
    values,
  )
  const text = rows.map((row) => String(row.at(-1) ?? '')).join('\n')
  const lines = format === 'json' ? [jsonPlan(text, scans)] : textPlan(text, scans)
  return planRows(lines)
}

function planRows(lines: readonly string[]): Execution {
  return taggedRows(
    [textColumn('QUERY PLAN')],
    lines.map((line): Scalar[] => [line]),
    () => 'EXPLAIN',
  )
}

function jsonPlan(plan: string, scans: readonly ScannedTable[]): string {
  const tables = scans.map(({ name, scan, filesBeforeJoinKeys }) => ({
    table: name,
    version: scan.snapshot.version,
    filesTotal: scan.snapshot.files.length,
    filesAfterPartitions: scan.filesAfterPartitions,
    filesAfterStatistics: filesBeforeJoinKeys ?? scan.files.length,
    ...(filesBeforeJoinKeys === undefined ? {} : { filesAfterJoinKeys: scan.files.length }),
    sizeBytes: scan.sizeBytes,
  }))
  return JSON.stringify([{ Tables: tables, Plan: JSON.parse(plan) as unknown }], null, 2)
}

function textPlan(plan: string, scans: readonly ScannedTable[]): string[] {
  return [...scans.map(scanLine), ...plan.split('\n')]
}

function scanLine({ name, scan, filesBeforeJoinKeys, isSystem }: ScannedTable): string {
  const left = scan.files.length
  if (isSystem === true) {
    return `System Scan on ${name}: ${left} of ${scan.snapshot.files.length} tables`
  }
  const byKeys = filesBeforeJoinKeys === undefined ? '' : `, ${left} after join keys`
  return (
    `Delta Scan on ${name} version ${scan.snapshot.version}: ` +
    `${left} of ${scan.snapshot.files.length} files ` +
    `(${Math.max(scan.filesAfterPartitions, filesBeforeJoinKeys ?? 0)} after partition pruning, ` +
    `${filesBeforeJoinKeys ?? left} after statistics${byKeys}), ` +
    `${scan.sizeBytes} bytes`
  )
}
