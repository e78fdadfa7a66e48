/** OPTIMIZE and REORG TABLE … APPLY (PURGE): files of a table written anew, its rows unchanged. */

import { Oid } from '../../catalog/pg-types.js'
import type { Scalar } from '../../storage/engine-value.js'
import { scalarType } from '../../storage/engine-type.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { DataFile } from '../../storage/file-index.js'
import { hasStatistics } from '../../storage/file-statistics.js'
import {
  clusteringColumns,
  type OptimizeMetrics,
  type OptimizePlan,
  planClustering,
  planCompaction,
  planPurge,
  planZOrder,
  runOptimize,
} from '../../storage/optimize.js'
import { requireSortable } from '../../storage/row-order.js'
import { physicalName } from '../../storage/scan.js'
import type { StructField } from '../../storage/schema.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { filesWhere, findMaintained, requireOwnTransaction } from '../maintained-table.js'
import type { MaintenanceCommand } from '../maintenance-syntax.js'
import type { Execution } from '../portal.js'
import { computedColumn, taggedRows, textColumn } from '../ready-rows.js'
import type { ResultColumn } from '../result.js'
import type { StatementCall } from '../statement-kind.js'

const long = (name: string): ResultColumn => computedColumn(name, Oid.int8, scalarType('BIGINT'))

/** One row: the table's folder and the metrics of Delta's OPTIMIZE. */
export const OPTIMIZE_COLUMNS: readonly ResultColumn[] = [
  textColumn('path'),
  ...[
    'version',
    'num_files_added',
    'num_files_removed',
    'files_added_bytes',
    'files_removed_bytes',
    'partitions_optimized',
    'num_batches',
    'total_considered_files',
    'total_files_skipped',
    'num_deletion_vectors_removed',
  ].map(long),
]

type Command = Extract<MaintenanceCommand, { kind: 'optimize' | 'reorg' }>

/** Executes; batches that are committed stay, whatever ends the statement. */
export async function optimize(call: StatementCall, command: Command): Promise<Execution> {
  const { session, statement, cancellation } = call
  const words = command.kind === 'optimize' ? 'OPTIMIZE' : 'REORG TABLE'
  requireOwnTransaction(session, words)
  const { gateway } = session
  const target = await findMaintained(session, command.name, 'maintain')
  const { snapshot, table } = target
  const context = session.queryContext()
  const row = await session.pool.with(async (connection) => {
    connection.attach(cancellation)
    try {
      if (command.kind === 'optimize') requireAllowed(snapshot, command)
      const files =
        command.where === null
          ? [...snapshot.files]
          : await filesWhere(target, command.where, statement.start, context, connection)
      const plan = planOf(snapshot, files, command)
      const metrics = await runOptimize(gateway.store, connection, snapshot, plan, {
        committed: (transaction) => gateway.afterCommit(transaction),
        progressed: (done, all) => {
          if (all > 1 && (done === all || done % Math.ceil(all / 10) === 0)) {
            session.notice(
              SqlState.successfulCompletion,
              `${words}: ${done} of ${all} groups of files of "${table.name}" are written`,
            )
          }
        },
      })
      return rowOf(`${gateway.store.root}/${table.path}`, plan, metrics)
    } finally {
      connection.attach(undefined)
    }
  })
  return taggedRows(OPTIMIZE_COLUMNS, [row], () => words)
}

/** What Delta refuses, in its words. */
function requireAllowed(
  snapshot: Snapshot,
  { full, where, zOrderBy }: Extract<Command, { kind: 'optimize' }>,
): void {
  if (clusteringColumns(snapshot).length > 0) {
    if (where !== null) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `OPTIMIZE command for Delta table with Clustering doesn't support partition predicates. Please remove the predicates: ${where.text}.`,
      )
    }
    if (zOrderBy.length > 0) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `OPTIMIZE command for Delta table with Clustering cannot specify ZORDER BY. Please remove ZORDER BY (${zOrderBy.map((path) => path.join('.')).join(', ')}).`,
      )
    }
  } else if (full) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'OPTIMIZE FULL is only supported for clustered tables with non-empty clustering columns.',
    )
  }
  for (const path of zOrderBy) requireOrderable(snapshot, path)
}

/** 42703 for a column that does not exist, 42P10 for one that rows cannot be ordered by to any use. */
function requireOrderable(snapshot: Snapshot, path: readonly string[]): void {
  const name = path.join('.')
  const isPartition = snapshot.metadata.partitionColumns.some(
    (one) => one.toLowerCase() === (path[0] ?? '').toLowerCase(),
  )
  if (isPartition) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      `${name} is a partition column. Z-Ordering can only be performed on data columns`,
    )
  }
  const fields = fieldsAt(snapshot, path)
  const field = fields?.at(-1)
  if (fields === null || field === undefined) {
    throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
  }
  requireSortable(name, field.type.kind)
  const physical = fields.map((one) => physicalName(snapshot, one))
  if (hasStatistics(snapshot, physical)) return
  throw new SqlError(
    SqlState.invalidColumnReference,
    `Z-Ordering on [${name}] will be ineffective, because we currently do not collect stats for these columns.`,
    {
      hint: "The table properties 'delta.dataSkippingNumIndexedCols' and 'delta.dataSkippingStatsColumns' say which columns have statistics.",
    },
  )
}

function fieldsAt(snapshot: Snapshot, path: readonly string[]): readonly StructField[] | null {
  let fields: readonly StructField[] = snapshot.schema.fields
  const found: StructField[] = []
  for (const name of path) {
    const field = fields.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (field === undefined) return null
    found.push(field)
    fields = field.type.kind === 'struct' ? field.type.fields : []
  }
  return found
}

function planOf(snapshot: Snapshot, files: readonly DataFile[], command: Command): OptimizePlan {
  const predicate = JSON.stringify(command.where === null ? [] : [command.where.text])
  if (command.kind === 'reorg') {
    return planPurge(snapshot, files, { predicate, applyPurge: 'true' })
  }
  const clustering = clusteringColumns(snapshot)
  const zOrderBy = command.zOrderBy.map((path) =>
    (fieldsAt(snapshot, path) ?? []).map((field) => field.name),
  )
  const names = (paths: readonly (readonly string[])[]): string =>
    JSON.stringify(paths.map((path) => path.join('.')))
  const parameters = {
    predicate,
    zOrderBy: names(zOrderBy),
    clusterBy: names(clustering),
    auto: 'false',
  }
  if (clustering.length > 0) {
    return planClustering(snapshot, files, clustering, command.full, parameters)
  }
  if (zOrderBy.length > 0) return planZOrder(snapshot, files, zOrderBy, parameters)
  return planCompaction(snapshot, files, parameters)
}

function rowOf(path: string, plan: OptimizePlan, metrics: OptimizeMetrics): Scalar[] {
  const counts = [
    metrics.filesAdded,
    metrics.filesRemoved,
    metrics.bytesAdded,
    metrics.bytesRemoved,
    metrics.partitions,
    metrics.commits,
    plan.consideredFiles,
    plan.consideredFiles - metrics.filesRemoved,
    metrics.deletionVectorsRemoved,
  ]
  const version = metrics.version === null ? null : BigInt(metrics.version)
  return [path, version, ...counts.map(BigInt)]
}
