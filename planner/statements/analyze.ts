/** ANALYZE, in PostgreSQL's words and in a lakehouse's. */

import { countColumns, isCountable } from '../../storage/column-statistics.js'
import { physicalNameOf } from '../../storage/column-mapping.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { sparkColumnType } from '../../storage/type-name.js'
import { findMaintained, type MaintainedTable } from '../maintained-table.js'
import type { MaintenanceCommand } from '../maintenance-syntax.js'
import type { Execution } from '../portal.js'
import { command } from '../ready-rows.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall } from '../statement-kind.js'

/** Executes `ANALYZE TABLE t COMPUTE STATISTICS …`. */
export async function analyzeTable(
  call: StatementCall,
  { name, columns }: Extract<MaintenanceCommand, { kind: 'analyze' }>,
): Promise<Execution> {
  await countTables(call, [
    { target: await findMaintained(call.session, name, 'maintain'), columns },
  ])
  return command('ANALYZE')
}

/** A table that is to be counted; null: all of its columns. */
export interface AnalyzedTable {
  readonly target: MaintainedTable
  readonly columns: readonly string[] | null
}

/** Counts rows and different values, and keeps the counts; 42703 for a column that is not there. */
export async function countTables(
  { session, cancellation }: Pick<StatementCall, 'session' | 'cancellation'>,
  tables: readonly AnalyzedTable[],
): Promise<void> {
  const { store, statistics } = session.gateway
  await session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      for (const { target, columns } of tables) {
        const { snapshot, table } = target
        const { fields } = snapshot.schema
        const asked =
          columns?.map((column) => {
            const found =
              fields.find(({ name }) => name === column) ??
              fields.find(({ name }) => name.toLowerCase() === column.toLowerCase())
            if (found !== undefined) return found
            throw new SqlError(
              SqlState.undefinedColumn,
              `column "${column}" of relation "${table.name}" does not exist`,
            )
          }) ?? fields
        const counts = await countColumns(store, connection, snapshot, asked)
        await statistics.keep(snapshot.metadata.id, counts)
      }
    } finally {
      connection.attach(undefined)
    }
  })
}

/** Every table of the lake that can be read; others are told of. */
export async function allTables(session: SessionContext): Promise<readonly AnalyzedTable[]> {
  const found: AnalyzedTable[] = []
  for (const { layer, name } of await session.gateway.catalog.tables()) {
    try {
      found.push({
        target: await findMaintained(session, [layer, name], 'maintain'),
        columns: null,
      })
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown
      session.warn(SqlState.warning, `skipping "${layer}.${name}": ${thrown.message}`)
    }
  }
  return found
}

/** What is known of a column, as Spark tells it. */
export async function columnFacts(
  session: SessionContext,
  { snapshot }: Pick<MaintainedTable, 'snapshot'>,
  column: string,
): Promise<readonly (readonly [string, string | null])[]> {
  const { fields } = snapshot.schema
  const field =
    fields.find(({ name }) => name === column) ??
    fields.find(({ name }) => name.toLowerCase() === column.toLowerCase())
  if (field === undefined) {
    throw new SqlError(SqlState.undefinedColumn, `column "${column}" does not exist`)
  }
  const counts = await session.gateway.statistics.of(snapshot.metadata.id)
  const known = counts?.columns[physicalNameOf(field, snapshot.columnMapping)]
  const { comment } = field.metadata
  const told = (value: number | undefined): string | null =>
    value === undefined ? null : String(value)
  return [
    ['col_name', field.name],
    ['data_type', sparkColumnType(field)],
    ['comment', typeof comment === 'string' ? comment : null],
    ['num_nulls', told(known?.nullCount)],
    ['distinct_count', isCountable(field) ? told(known?.distinctCount) : null],
    ['version', known === undefined ? null : told(counts?.version)],
  ]
}
