/** The lake's own commands: DESCRIBE HISTORY, DESCRIBE DETAIL, and those that maintain tables. */

import { Oid } from '../../catalog/pg-types.js'
import type { TableName } from '../../catalog/catalog.js'
import { scalarType } from '../../storage/engine-type.js'
import type { Scalar } from '../../storage/engine-value.js'
import { listCommits, readCommitInfo } from '../../storage/snapshot.js'
import type { LakeCommand } from '../lake-syntax.js'
import type { Execution } from '../portal.js'
import { computedColumn, readyRows, textColumn } from '../ready-rows.js'
import { notSupported, undefinedRelation } from '../refusal.js'
import type { ResultColumn } from '../result.js'
import type { SessionContext } from '../session-context.js'
import type { StatementCall, StatementKind } from '../statement-kind.js'
import { OPTIMIZE_COLUMNS, optimize } from './optimize.js'
import { RESTORE_COLUMNS, restore } from './restore.js'
import { VACUUM_COLUMNS, vacuum } from './vacuum.js'

export const LAKE_COMMAND: StatementKind = {
  describe: ({ statement }) => ({
    parameterTypes: [],
    columns: statement.lakeCommand === null ? null : columnsOf(statement.lakeCommand),
  }),
  open: (call) => {
    const { lakeCommand } = call.statement
    return lakeCommand === null ? { kind: 'empty' } : run(call, lakeCommand)
  },
}

async function run(call: StatementCall, lakeCommand: LakeCommand): Promise<Execution> {
  const { session } = call
  switch (lakeCommand.kind) {
    case 'unsupported':
      throw notSupported(lakeCommand.words)
    case 'optimize':
    case 'reorg':
      return optimize(call, lakeCommand)
    case 'vacuum':
      return vacuum(call, lakeCommand)
    case 'restore':
      return restore(call, lakeCommand)
  }
  const { catalog } = session.gateway
  const found = await catalog.resolve(lakeCommand.name, session.settings.searchPath())
  if (found?.kind !== 'table') throw undefinedRelation(lakeCommand.name)
  const columns = columnsOf(lakeCommand) ?? []
  if (lakeCommand.kind === 'describe-history') {
    return readyRows(columns, await history(session, found.table, lakeCommand.limit))
  }
  return readyRows(columns, [await detail(session, found.table)])
}

async function history(
  session: SessionContext,
  { path }: TableName,
  limit: number | null,
): Promise<Scalar[][]> {
  const { store } = session.gateway
  const commits = [...(await listCommits(store, path))].reverse().slice(0, limit ?? undefined)
  return Promise.all(
    commits.map(async ({ version, timestampMs }) => {
      const info = await readCommitInfo(store, path, version)
      return [
        BigInt(version),
        BigInt(timestampMs) * 1000n,
        textOf(info?.operation),
        textOf(info?.operationParameters),
        textOf(info?.operationMetrics),
        textOf(info?.engineInfo),
      ]
    }),
  )
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

async function detail(session: SessionContext, table: TableName): Promise<Scalar[]> {
  const { store, snapshots } = session.gateway
  const snapshot = await snapshots.latest(table.path)
  if (snapshot === null) throw undefinedRelation([table.layer, table.name])
  const { metadata, protocol } = snapshot
  return [
    'delta',
    metadata.id,
    `${table.layer}.${table.name}`,
    metadata.description ?? null,
    `${store.root}/${table.path}`,
    BigInt(snapshot.version),
    metadata.partitionColumns.join(', '),
    BigInt(snapshot.files.length),
    BigInt(snapshot.sizeBytes),
    JSON.stringify(metadata.configuration),
    protocol.minReaderVersion,
    protocol.minWriterVersion,
  ]
}

function columnsOf(lakeCommand: LakeCommand): readonly ResultColumn[] | null {
  const long = (name: string): ResultColumn => computedColumn(name, Oid.int8, scalarType('BIGINT'))
  const int = (name: string): ResultColumn => computedColumn(name, Oid.int4, scalarType('INTEGER'))
  switch (lakeCommand.kind) {
    case 'describe-history':
      return [
        long('version'),
        computedColumn('timestamp', Oid.timestamptz, scalarType('TIMESTAMPTZ')),
        ...['operation', 'operation_parameters', 'operation_metrics', 'engine_info'].map(
          textColumn,
        ),
      ]
    case 'describe-detail':
      return [
        ...['format', 'id', 'name', 'description', 'location'].map(textColumn),
        long('version'),
        textColumn('partition_columns'),
        long('num_files'),
        long('size_in_bytes'),
        textColumn('properties'),
        int('min_reader_version'),
        int('min_writer_version'),
      ]
    case 'optimize':
    case 'reorg':
      return OPTIMIZE_COLUMNS
    case 'restore':
      return RESTORE_COLUMNS
    case 'vacuum':
      return lakeCommand.dryRun ? VACUUM_COLUMNS : null
    case 'unsupported':
      return null
  }
}
