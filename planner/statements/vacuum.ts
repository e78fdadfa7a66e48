/** VACUUM in a lakehouse's words and in PostgreSQL's, and ANALYZE. */

import type { TableName } from '../../catalog/catalog.js'
import type { Cancellation } from '../../storage/cancellation.js'
import type { EngineConnection } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { planDefault, runOptimize } from '../../storage/optimize.js'
import { type VacuumOptions, type VacuumResult, vacuumTable } from '../../storage/vacuum.js'
import { findMaintained, type MaintainedTable, requireOwnTransaction } from '../maintained-table.js'
import type { MaintenanceCommand } from '../maintenance-syntax.js'
import type { Execution } from '../portal.js'
import { command, taggedRows, textColumn } from '../ready-rows.js'
import { notSupported } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { allTables, type AnalyzedTable, countTables } from './analyze.js'
import { constantOf, listOf, type Node, nodeOf, stringOf } from '../syntax-tree.js'

/** What DRY RUN lists. */
export const VACUUM_COLUMNS: readonly ResultColumn[] = [textColumn('path')]

/** Executes `VACUUM t RETAIN n HOURS` and its like. */
export async function vacuum(
  { session, cancellation }: StatementCall,
  asked: Extract<MaintenanceCommand, { kind: 'vacuum' }>,
): Promise<Execution> {
  requireOwnTransaction(session, 'VACUUM')
  const target = await findMaintained(session, asked.name, 'maintain')
  const result = await onConnection(session, cancellation, (connection) =>
    vacuumOne(session, target, connection, cancellation, {
      retentionMs: asked.retainHours === null ? undefined : asked.retainHours * 3_600_000,
      dryRun: asked.dryRun,
      lite: asked.lite,
    }),
  )
  if (asked.dryRun) {
    const { root } = session.gateway.store
    return taggedRows(
      VACUUM_COLUMNS,
      result.paths.map((path) => [`${root}/${path}`]),
      () => 'VACUUM',
    )
  }
  session.notice(SqlState.successfulCompletion, wordsOf(target.table, result))
  return command('VACUUM')
}

/**
 * PostgreSQL's VACUUM and ANALYZE.
 *
 * VACUUM removes what Delta's VACUUM does with the table's own retention; FULL compacts before, as
 * it does there; without a name every table has its turn, dropped ones too. ANALYZE counts different
 * values (`analyze.ts`).
 */
export const VACUUM: StatementKind = { open: vacuumStatement }

interface Options {
  readonly full: boolean
  readonly analyze: boolean
  readonly verbose: boolean
}

async function vacuumStatement(call: StatementCall): Promise<Execution> {
  const { session, fields, cancellation } = call
  const isVacuum = fields.is_vacuumcmd === true
  const options = optionsOf(fields, isVacuum)
  if (isVacuum) requireOwnTransaction(session, 'VACUUM')
  const relations = listOf(fields.rels).map((node) => nodeOf(node, 'VacuumRelation') ?? {})
  const targets: MaintainedTable[] = []
  const analyzed: AnalyzedTable[] = []
  for (const relation of relations) {
    const range = (relation.relation ?? {}) as Node
    const name = [range.schemaname, range.relname].filter((part) => typeof part === 'string')
    const columns = listOf(relation.va_cols).map((node) => stringOf(node) ?? '')
    if (columns.length > 0 && isVacuum && !options.analyze) {
      throw notSupported('a column list without ANALYZE')
    }
    // Temporary tables lie in memory: what is deleted there is gone.
    if (name.length === 1 && session.temporary.find(name[0] ?? '') !== undefined) continue
    const target = await findMaintained(session, name, 'later')
    if (!(await session.access.mayMaintain(target.table))) {
      tellSkipped(session, target.table.name, isVacuum)
      continue
    }
    for (const column of columns) requireColumn(target, column)
    targets.push(target)
    analyzed.push({ target, columns: columns.length > 0 ? columns : null })
  }
  if (!isVacuum || options.analyze) {
    await countTables(call, relations.length === 0 ? await allTables(session) : analyzed)
  }
  if (!isVacuum) return command('ANALYZE')
  await onConnection(session, cancellation, async (connection) => {
    for (const target of targets) {
      if (options.full) await compact(session, target, connection)
      const result = await vacuumOne(session, target, connection, cancellation, {})
      if (options.verbose) {
        session.notice(SqlState.successfulCompletion, wordsOf(target.table, result))
      }
    }
    if (relations.length === 0) await vacuumAll(session, connection, cancellation, options)
  })
  return command('VACUUM')
}

function tellSkipped(session: SessionContext, table: string, isVacuum: boolean): void {
  session.warn(
    SqlState.warning,
    `permission denied to ${isVacuum ? 'vacuum' : 'analyze'} "${table}", skipping it`,
  )
}

/** Options that say how PostgreSQL goes about it, and mean nothing here. */
const WITHOUT_MEANING = new Set([
  'freeze',
  'disable_page_skipping',
  'skip_locked',
  'index_cleanup',
  'process_main',
  'process_toast',
  'truncate',
  'parallel',
  'skip_database_stats',
  'only_database_stats',
  'buffer_usage_limit',
])

function optionsOf(fields: Node, isVacuum: boolean): Options {
  const on = new Set<string>()
  for (const node of listOf(fields.options)) {
    const element = nodeOf(node, 'DefElem') ?? {}
    const name = String(element.defname)
    const known = isVacuum
      ? ['verbose', 'analyze', 'full'].includes(name) || WITHOUT_MEANING.has(name)
      : ['verbose', 'skip_locked', 'buffer_usage_limit'].includes(name)
    if (!known) {
      throw new SqlError(
        SqlState.syntaxError,
        `unrecognized ${isVacuum ? 'VACUUM' : 'ANALYZE'} option "${name}"`,
      )
    }
    if (isOn(element.arg)) on.add(name)
  }
  return { full: on.has('full'), analyze: on.has('analyze'), verbose: on.has('verbose') }
}

/** An option without a value is on. */
function isOn(argument: unknown): boolean {
  if (argument === undefined) return true
  const value = stringOf(argument) ?? constantOf(argument) ?? nodeOf(argument, 'Integer')?.ival
  return !/^(?:off|false|no|0|undefined)$/i.test(String(value))
}

/** 42703 for a column that the table does not have. */
function requireColumn({ table, snapshot }: MaintainedTable, column: string): void {
  if (snapshot.schema.fields.some((field) => field.name === column)) return
  throw new SqlError(
    SqlState.undefinedColumn,
    `column "${column}" of relation "${table.name}" does not exist`,
  )
}

/** Every table; one that cannot be vacuumed is told of and passed over. */
async function vacuumAll(
  session: SessionContext,
  connection: EngineConnection,
  cancellation: Cancellation,
  options: Options,
): Promise<void> {
  const { catalog, snapshots } = session.gateway
  const found: { readonly table: TableName; readonly droppedMs?: number }[] = (
    await catalog.tables()
  ).map((table) => ({ table }))
  for (const { layer, name, path, droppedMs } of await catalog.dropped()) {
    if (droppedMs !== undefined) found.push({ table: { layer, name, path }, droppedMs })
  }
  for (const { table, droppedMs } of found) {
    cancellation.check()
    try {
      const snapshot = await snapshots.latest(table.path)
      if (snapshot === null) continue
      if (droppedMs !== undefined && !(await session.access.isSuperuser())) continue
      if (droppedMs === undefined && !(await session.access.mayMaintain(table))) {
        tellSkipped(session, table.name, true)
        continue
      }
      const target = { table, snapshot }
      if (options.full && droppedMs === undefined) await compact(session, target, connection)
      const more = droppedMs === undefined ? {} : { droppedMs }
      const result = await vacuumOne(session, target, connection, cancellation, more)
      if (options.verbose) session.notice(SqlState.successfulCompletion, wordsOf(table, result))
    } catch (thrown) {
      if (!(thrown instanceof SqlError) || cancellation.reason !== undefined) throw thrown
      session.warn(
        SqlState.warning,
        `skipping vacuum of "${table.layer}.${table.name}": ${thrown.message}`,
      )
    }
  }
}

/** VACUUM FULL: small files and deleted rows are rewritten first, so that a later VACUUM can remove the old ones. */
async function compact(
  { gateway }: SessionContext,
  target: MaintainedTable,
  connection: EngineConnection,
): Promise<void> {
  const { snapshot } = target
  await runOptimize(gateway.store, connection, snapshot, planDefault(snapshot), {
    committed: (transaction) => gateway.afterCommit(transaction),
  })
}

function vacuumOne(
  session: SessionContext,
  { snapshot }: MaintainedTable,
  connection: EngineConnection,
  cancellation: Cancellation,
  options: VacuumOptions,
): Promise<VacuumResult> {
  const { gateway } = session
  return vacuumTable(gateway.store, connection, snapshot, {
    ...options,
    checksRetention: session.settings.get('lakegate.vacuum_retention_check') === 'on',
    check: () => cancellation.check(),
    committed: (transaction) => gateway.afterCommit(transaction),
  })
}

function wordsOf({ layer, name }: TableName, { paths, sizeBytes }: VacuumResult): string {
  return `removed ${paths.length} files of ${sizeBytes} bytes from "${layer}.${name}"`
}

function onConnection<T>(
  session: SessionContext,
  cancellation: Cancellation,
  work: (connection: EngineConnection) => Promise<T>,
): Promise<T> {
  return session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      return await work(connection)
    } finally {
      connection.attach(undefined)
    }
  })
}
