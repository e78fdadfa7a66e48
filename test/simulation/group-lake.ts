/**
 * GroupLake: a small lake of accounts in memory, and simulated gateways that change several tables of
 * it at once.
 *
 * Every table has partitions `balance` and `own` (one row each) and `journal`, into which each
 * statement writes its id. Files are Parquet of one row, made beforehand, so that a run needs no engine.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Catalog, type TableName } from '../../catalog/catalog.js'
import { AppendQueue } from '../../planner/append-queue.js'
import { FULFILLED } from '../../planner/fulfilled.js'
import type { CommitGateway } from '../../planner/table-change.js'
import type { AddFile } from '../../storage/actions.js'
import type { Engine, EngineConnection } from '../../storage/engine.js'
import type { DataFile } from '../../storage/file-index.js'
import { Groups } from '../../storage/group.js'
import { maintainLog } from '../../storage/log-maintenance.js'
import { defineTable, type NewTable } from '../../storage/new-table.js'
import type { ObjectStore } from '../../storage/object-store.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { SnapshotCache } from '../../storage/snapshot-cache.js'
import { Transaction } from '../../storage/transaction.js'
import type { MemoryStore } from '../support/memory-store.js'
import { schemaOf } from '../support/write-lake.js'

export const TABLES: readonly TableName[] = ['bronze', 'silver', 'gold'].map((layer) => ({
  layer,
  name: 't',
  path: `${layer}/t`,
}))

/** The property that altering statements set. */
export const MARK = 'simulation.mark'

/** Balances that there are files for. */
const BALANCE_MAX = 150

/** Parquet files of one row (id, value), by `id value`. */
export class RowFiles {
  readonly #bytes = new Map<string, Uint8Array>()

  static async make(connection: EngineConnection, ids: readonly string[]): Promise<RowFiles> {
    const folder = mkdtempSync(join(tmpdir(), 'lakegate-rows-'))
    const made = new RowFiles()
    try {
      const values = ids.map((id) => `('${id}', 1)`).join(', ')
      await connection.run(
        `COPY (SELECT id, value::BIGINT AS value, id || ' ' || value AS k FROM (VALUES ${values}) v(id, value)
         UNION ALL SELECT id, value::BIGINT, id || ' ' || value FROM (VALUES ('balance'), ('own')) b(id), range(-${BALANCE_MAX}, ${BALANCE_MAX + 1}) r(value))
         TO '${folder}/rows' (FORMAT parquet, PARTITION_BY (k))`,
      )
      for (const name of readdirSync(join(folder, 'rows'))) {
        const [file] = readdirSync(join(folder, 'rows', name))
        if (file === undefined) throw new Error('a folder of a partition is empty')
        made.#bytes.set(
          decodeURIComponent(name.slice('k='.length)),
          readFileSync(join(folder, 'rows', name, file)),
        )
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    return made
  }

  /** Puts the row (id, value) of `partition` into the store as the file `name` of a table. */
  async write(
    store: ObjectStore,
    tablePath: string,
    partition: string,
    name: string,
    row: Row,
  ): Promise<AddFile> {
    const bytes = this.#bytes.get(`${row.id} ${row.value}`)
    if (bytes === undefined) throw new Error(`no file was made for ${row.id} ${row.value}`)
    const path = `p=${partition}/${name}.parquet`
    await store.write(`${tablePath}/${path}`, bytes)
    const bounds = { id: row.id, value: row.value }
    return {
      path,
      partitionValues: { p: partition },
      size: bytes.length,
      modificationTime: 1,
      dataChange: true,
      stats: JSON.stringify({
        numRecords: 1,
        minValues: bounds,
        maxValues: bounds,
        nullCount: { id: 0, value: 0 },
      }),
    }
  }
}

export interface Row {
  readonly id: string
  readonly value: number
}

export interface RowFile {
  readonly file: DataFile
  readonly partition: string
  readonly row: Row
}

/** The rows of a snapshot, which the statistics of its files tell. */
export function rowsOf(snapshot: Snapshot): readonly RowFile[] {
  return [...snapshot.files].map((file) => {
    const { stats, partitionValues } = file.add
    const { minValues } = JSON.parse(stats ?? '') as { readonly minValues: Row }
    return { file, partition: partitionValues.p ?? '', row: minValues }
  })
}

/** Ids of the journal of a snapshot, in order. */
export function journalOf(snapshot: Snapshot): readonly string[] {
  const rows = rowsOf(snapshot).filter(({ partition }) => partition === 'journal')
  return rows.map(({ row }) => row.id).sort()
}

export function onlyRow(snapshot: Snapshot, partition: string): RowFile {
  const found = rowsOf(snapshot).filter((one) => one.partition === partition)
  const [only] = found
  if (only === undefined || found.length !== 1) {
    throw new Error(`${snapshot.tablePath} has ${found.length} rows in "${partition}"`)
  }
  return only
}

export function definitionOf(tablePath: string, checkpointInterval: number): NewTable {
  return defineTable({
    tablePath,
    schema: schemaOf({ p: 'string', id: 'string', value: 'long' }),
    partitionColumns: ['p'],
    configuration: {
      'delta.checkpointInterval': String(checkpointInterval),
      'delta.enableInCommitTimestamps': 'true',
    },
  })
}

/** Makes the tables, with balances of nothing. */
export async function makeLake(
  store: MemoryStore,
  files: RowFiles,
  checkpointInterval: number,
): Promise<void> {
  for (const { path } of TABLES) {
    const transaction = Transaction.create(store, definitionOf(path, checkpointInterval), {
      fulfilled: FULFILLED,
    })
    for (const partition of ['balance', 'own']) {
      const row = { id: partition, value: 0 }
      transaction.add([await files.write(store, path, partition, `first-${partition}`, row)])
    }
    await transaction.commit({ operation: 'CREATE TABLE' })
  }
}

/** A gateway over `store`, with all that commits and reads in it but the sessions. */
export interface SimulatedGateway extends CommitGateway {
  /** What it does in the background. */
  readonly background: Promise<unknown>[]
}

export function openGateway(
  store: ObjectStore,
  engine: Engine,
  groupTimeoutMs: number,
): SimulatedGateway {
  const background: Promise<unknown>[] = []
  const afterCommit = (transaction: Transaction): void => {
    background.push(maintainLog(store, engine, transaction))
  }
  const snapshots: SnapshotCache = new SnapshotCache(store, engine, 1e9, {
    groups: new Groups(store, groupTimeoutMs),
    onCreateRolledBack: (path, id) => catalog.forgetTable(path, id),
  })
  const catalog = new Catalog(
    store,
    async (path) => (await snapshots.latest(path))?.metadata.id ?? null,
  )
  const appends = new AppendQueue({ store, fulfilled: FULFILLED, committed: afterCommit })
  return { store, engine, snapshots, catalog, appends, afterCommit, background }
}
