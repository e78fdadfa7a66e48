/** SystemView: relations of the schema `system`, which tell of the lake's tables. */

import type { TableName } from '../catalog/catalog.js'
import { Oid } from '../catalog/pg-types.js'
import { SYSTEM_SCHEMA } from '../catalog/layer.js'
import type { AddFile } from '../storage/actions.js'
import { type EngineConnection, quoteIdentifier } from '../storage/engine.js'
import { type EngineType, printEngineType, scalarType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import { type DataFile, FileIndex } from '../storage/file-index.js'
import { statedCount } from '../storage/file-rows.js'
import { emptyTrail } from '../storage/group.js'
import type { ObjectStore } from '../storage/object-store.js'
import { physicalName } from '../storage/scan.js'
import type { Snapshot } from '../storage/snapshot.js'
import type { PlannedTable } from './planned-scans.js'
import type { QueryContext } from './query.js'
import type { ResultColumn } from './result.js'
import { type SqlType, sqlType } from './sql-type.js'
import {
  DETAIL_COLUMNS,
  detailOf,
  HISTORY_COLUMNS,
  historyOf,
  propertiesOf,
} from './table-report.js'

/** The schema of the system views. */
export const SYSTEM: string = SYSTEM_SCHEMA

/** A relation that has rows for each table of the lake. */
export interface SystemView {
  /** The first two name the table. */
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
  /** The rows for one table, without its names, as the block that reads sees it. */
  readonly rows: (
    store: ObjectStore,
    table: TableName,
    snapshot: Snapshot,
  ) => Promise<readonly (readonly Scalar[])[]>
}

const NAMES = ['table_schema', 'table_name'] as const

/** The views by their names. */
export const SYSTEM_VIEWS: ReadonlyMap<string, SystemView> = new Map<string, SystemView>([
  [
    'table_history',
    {
      columns: columnsOf(HISTORY_COLUMNS),
      rows: (store, { path }, { version }) => historyOf(store, path, version),
    },
  ],
  [
    'table_detail',
    {
      columns: columnsOf(DETAIL_COLUMNS),
      rows: async (store, table, snapshot) => [await detailOf(store, table, snapshot)],
    },
  ],
  [
    'table_properties',
    {
      columns: columns([
        ['key', Oid.text],
        ['value', Oid.text],
      ]),
      rows: (_, __, snapshot) => Promise.resolve([...propertiesOf(snapshot)]),
    },
  ],
  [
    'table_files',
    {
      columns: columns([
        ['path', Oid.text],
        ['size_bytes', Oid.int8],
        ['record_count', Oid.int8],
        ['partition_values', Oid.jsonb],
        ['has_deletion_vector', Oid.bool],
        ['modified_at', Oid.timestamptz],
      ]),
      rows: (_, __, snapshot) =>
        Promise.resolve([...snapshot.files].map((file) => fileRow(snapshot, file))),
    },
  ],
])

function columns(own: readonly (readonly [name: string, oid: number])[]): SystemView['columns'] {
  const names = NAMES.map((name) => [name, Oid.text] as const)
  return [...names, ...own].map(([name, oid]) => ({ name, type: sqlType(oid) }))
}

function columnsOf(own: readonly ResultColumn[]): SystemView['columns'] {
  return columns(own.map(({ name, pgType }) => [name, pgType.oid] as const))
}

function fileRow(snapshot: Snapshot, file: DataFile): Scalar[] {
  const { modificationTime } = file.add
  const count = statedCount(file)
  return [
    file.path,
    BigInt(file.sizeBytes),
    count === null ? null : BigInt(count),
    partitionValues(snapshot, file),
    file.deletionVector !== null,
    BigInt(modificationTime) * 1000n,
  ]
}

/** As PostgreSQL prints jsonb: shorter keys first, then by their bytes. */
function partitionValues(snapshot: Snapshot, file: DataFile): string {
  const { metadata, schema } = snapshot
  const pairs = metadata.partitionColumns.map((column) => {
    const field = schema.fields.find(({ name }) => name.toLowerCase() === column.toLowerCase())
    const text = file.partitionText(field === undefined ? column : physicalName(snapshot, field))
    return [Buffer.from(column), text === '' ? null : text] as const
  })
  const sorted = pairs.sort(([a], [b]) => a.length - b.length || a.compare(b))
  const members = sorted.map(
    ([key, text]) => `${JSON.stringify(key.toString())}: ${JSON.stringify(text)}`,
  )
  return `{${members.join(', ')}}`
}

/**
 * `view`, as the role `user` may read it, as a table whose files stand for the tables it tells of, with their names as partition
 * values: what conditions say of the names decides which tables are opened, wherever they stand.
 *
 * With `executing` false nothing of the lake is looked at, and there are no rows.
 */
export async function openSystemView(
  view: SystemView,
  context: QueryContext,
  user: number,
  executing: boolean,
): Promise<PlannedTable> {
  const tables = executing ? await usableTables(context, user) : []
  return {
    snapshot: listSnapshot(tables),
    made: {
      emptyText: emptyText(view),
      text: (chosen, connection) =>
        rowsText(
          view,
          context,
          user,
          chosen.map(({ path }) => tables[Number(path)] as TableName),
          connection,
        ),
    },
  }
}

async function usableTables(
  { catalog, access }: QueryContext,
  user: number,
): Promise<readonly TableName[]> {
  const tables = await catalog.tables()
  const usable = new Map<string, boolean>()
  for (const { layer } of tables) {
    if (!usable.has(layer)) usable.set(layer, await access.mayUseLayer(layer, user))
  }
  return tables.filter(({ layer }) => usable.get(layer))
}

/** A list of tables as a snapshot; each is a file whose path is its index. */
function listSnapshot(tables: readonly TableName[]): Snapshot {
  const files = tables.map(
    ({ layer, name }, i): AddFile => ({
      path: String(i),
      partitionValues: { [NAMES[0]]: layer, [NAMES[1]]: name },
      size: 0,
      modificationTime: 0,
    }),
  )
  return {
    tablePath: '',
    version: 0,
    protocol: { minReaderVersion: 1, minWriterVersion: 2 },
    metadata: {
      id: SYSTEM,
      schemaString: '',
      partitionColumns: [...NAMES],
      configuration: {},
    },
    schema: {
      fields: NAMES.map((name) => ({
        name,
        type: { kind: 'primitive', name: 'string' },
        nullable: false,
        metadata: {},
      })),
    },
    columnMapping: 'none',
    files: FileIndex.empty.with([], files, (path) => path),
    sizeBytes: 0,
    transactions: new Map(),
    domains: new Map(),
    groups: emptyTrail(),
  }
}

function emptyText({ columns: all }: SystemView): string {
  const items = all.map(
    ({ name, type }) => `NULL::${printEngineType(type.engine)} AS ${quoteIdentifier(name)}`,
  )
  return `(SELECT ${items.join(', ')} WHERE false)`
}

/** Logs that are read at once. */
const PARALLEL = 8

async function rowsText(
  view: SystemView,
  { block, gateway, access }: QueryContext,
  user: number,
  tables: readonly TableName[],
  connection: EngineConnection,
): Promise<string> {
  const rows: Scalar[][] = []
  for (let first = 0; first < tables.length; first += PARALLEL) {
    connection.cancellation?.check()
    const found = await Promise.all(
      tables.slice(first, first + PARALLEL).map(async (table) => {
        const snapshot = await block.snapshot(table.path, gateway, table)
        // It was dropped since its name was looked up.
        if (snapshot === null) return []
        // Conditions in a history, and the names of partitions, tell values.
        if (!(await access.mayReadAll(table, snapshot, user))) return []
        const own = await view.rows(gateway.store, table, snapshot)
        return own.map((row) => [table.layer, table.name, ...row])
      }),
    )
    for (const own of found) for (const row of own) rows.push(row)
  }
  if (rows.length === 0) return emptyText(view)
  const items: string[] = []
  for (const [i, { name, type }] of view.columns.entries()) {
    const variable = `lakegate_system_${nextVariable++}`
    const child = boundType(type.engine)
    await connection.run(`SET VARIABLE ${variable} = $1`, [
      { type: { kind: 'list', child }, value: rows.map((row) => row[i] ?? null) },
    ])
    const value = `unnest(getvariable('${variable}'))`
    items.push(`CAST(${value} AS ${printEngineType(type.engine)}) AS ${quoteIdentifier(name)}`)
  }
  return `(SELECT ${items.join(', ')})`
}

// Names differ, so that two views of one statement never share a variable.
let nextVariable = 1

function boundType(type: EngineType): EngineType {
  return printEngineType(type) === 'JSON' ? scalarType('VARCHAR') : type
}
