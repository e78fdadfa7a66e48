/** TableReport: what a table's log tells of it - history, detail and properties - as rows. */

import { Oid } from '../catalog/pg-types.js'
import type { TableName } from '../catalog/catalog.js'
import { clusteringColumns } from '../storage/clustering.js'
import { scalarType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import type { ObjectStore } from '../storage/object-store.js'
import { listCommits, readCommitInfo, type Snapshot } from '../storage/snapshot.js'
import { computedColumn, textColumn } from './ready-rows.js'
import type { ResultColumn } from './result.js'

const long = (name: string): ResultColumn => computedColumn(name, Oid.int8, scalarType('BIGINT'))
const int = (name: string): ResultColumn => computedColumn(name, Oid.int4, scalarType('INTEGER'))
const time = (name: string): ResultColumn =>
  computedColumn(name, Oid.timestamptz, scalarType('TIMESTAMPTZ'))

/** Columns of the rows of `historyOf`. */
export const HISTORY_COLUMNS: readonly ResultColumn[] = [
  long('version'),
  time('timestamp'),
  ...[
    'user_id',
    'user_name',
    'operation',
    'operation_parameters',
    'job',
    'notebook',
    'cluster_id',
  ].map(textColumn),
  long('read_version'),
  textColumn('isolation_level'),
  computedColumn('is_blind_append', Oid.bool, scalarType('BOOLEAN')),
  ...['operation_metrics', 'user_metadata', 'engine_info'].map(textColumn),
]

/** Columns of the row of `detailOf`. */
export const DETAIL_COLUMNS: readonly ResultColumn[] = [
  ...['format', 'id', 'name', 'description', 'location'].map(textColumn),
  time('created_at'),
  time('last_modified'),
  long('version'),
  textColumn('partition_columns'),
  textColumn('clustering_columns'),
  long('num_files'),
  long('size_in_bytes'),
  textColumn('properties'),
  int('min_reader_version'),
  int('min_writer_version'),
  textColumn('table_features'),
]

/** The commits that the log of the table in `path` still holds, newest first, up to `newest`. */
export async function historyOf(
  store: ObjectStore,
  path: string,
  newest: number = Number.POSITIVE_INFINITY,
  limit: number | null = null,
): Promise<Scalar[][]> {
  const commits = (await listCommits(store, path))
    .filter(({ version }) => version <= newest)
    .reverse()
    .slice(0, limit ?? undefined)
  return Promise.all(
    commits.map(async ({ version, timestampMs }) => {
      const info = await readCommitInfo(store, path, version)
      const read = info?.readVersion
      return [
        BigInt(version),
        BigInt(timestampMs) * 1000n,
        textOf(info?.userId),
        textOf(info?.userName),
        textOf(info?.operation),
        textOf(info?.operationParameters),
        textOf(info?.job),
        textOf(info?.notebook),
        textOf(info?.clusterId),
        typeof read === 'number' ? BigInt(read) : null,
        textOf(info?.isolationLevel),
        typeof info?.isBlindAppend === 'boolean' ? info.isBlindAppend : null,
        textOf(info?.operationMetrics),
        textOf(info?.userMetadata),
        textOf(info?.engineInfo),
      ]
    }),
  )
}

/** A value of a commit's information as text; objects as JSON. */
export function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** What `snapshot` is: one row. */
export async function detailOf(
  store: ObjectStore,
  table: TableName,
  snapshot: Snapshot,
): Promise<Scalar[]> {
  const { metadata, protocol } = snapshot
  const modifiedMs = (await listCommits(store, table.path)).findLast(
    ({ version }) => version <= snapshot.version,
  )?.timestampMs
  const features = [
    ...new Set([...(protocol.readerFeatures ?? []), ...(protocol.writerFeatures ?? [])]),
  ]
  return [
    'delta',
    metadata.id,
    `${table.layer}.${table.name}`,
    metadata.description ?? null,
    `${store.root}/${table.path}`,
    metadata.createdTime === undefined || metadata.createdTime === null
      ? null
      : BigInt(metadata.createdTime) * 1000n,
    modifiedMs === undefined ? null : BigInt(modifiedMs) * 1000n,
    BigInt(snapshot.version),
    metadata.partitionColumns.join(', '),
    (clusteringColumns(snapshot) ?? []).join(', '),
    BigInt(snapshot.files.length),
    BigInt(snapshot.sizeBytes),
    JSON.stringify(metadata.configuration),
    protocol.minReaderVersion,
    protocol.minWriterVersion,
    features.sort().join(', '),
  ]
}

/** Properties by name; the versions and features of the protocol are among them, as in Spark. */
export function propertiesOf({ protocol, metadata }: Snapshot): ReadonlyMap<string, string> {
  const features = [...(protocol.readerFeatures ?? []), ...(protocol.writerFeatures ?? [])]
  const all = new Map<string, string>([
    ...Object.entries(metadata.configuration),
    ['delta.minReaderVersion', String(protocol.minReaderVersion)],
    ['delta.minWriterVersion', String(protocol.minWriterVersion)],
    ...features.map((feature) => [`delta.feature.${feature}`, 'supported'] as const),
  ])
  return new Map([...all].sort(([one], [other]) => (one < other ? -1 : 1)))
}
