/** A lake in a folder of its own, written by the storage layer, for tests of what is written. */

import { readdirSync, rmSync } from 'node:fs'
import { writeDataFiles } from '../../storage/data-file.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import type { Scalar } from '../../storage/engine-value.js'
import { type Maintenance, maintainLog } from '../../storage/log-maintenance.js'
import { defineTable, type TableDefinition } from '../../storage/new-table.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { parseSchemaString, type Schema } from '../../storage/schema.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { type CommitResult, Transaction } from '../../storage/transaction.js'
import { lintTable } from './log-linter.js'
import { makeLakeFolder, openTestStore, type TestStore } from './test-store.js'

export class WriteLake {
  readonly root: string
  readonly store: ObjectStore
  readonly engine: Engine
  readonly connection: EngineConnection

  readonly #opened: TestStore

  private constructor(
    root: string,
    opened: TestStore,
    engine: Engine,
    connection: EngineConnection,
  ) {
    this.root = root
    this.#opened = opened
    this.store = opened.store
    this.engine = engine
    this.connection = connection
  }

  static async open(): Promise<WriteLake> {
    const engine = await Engine.open({})
    const connection = await engine.connect()
    const root = makeLakeFolder('lakegate-write-')
    return new WriteLake(root, await openTestStore(root), engine, connection)
  }

  async close(): Promise<void> {
    await this.engine.close()
    await this.#opened.close()
    rmSync(this.root, { recursive: true, force: true })
  }

  /** What the linter finds wrong with any table of the lake, each fault with the table's name. */
  async faults(): Promise<string[]> {
    const faults: string[] = []
    for (const name of readdirSync(this.root, { recursive: true }).map(String)) {
      if (!name.endsWith('/_delta_log')) continue
      const tablePath = name.slice(0, -'/_delta_log'.length)
      const report = await lintTable(this.root, tablePath, this.connection)
      faults.push(...report.faults.map((fault) => `${tablePath}: ${fault}`))
    }
    return faults
  }

  /** Makes a table, with the rows of `query` when there is one. */
  async create(definition: TableDefinition, query?: string): Promise<CommitResult> {
    const table = defineTable(definition)
    const transaction = Transaction.create(this.store, table)
    if (query !== undefined) {
      const written = await writeDataFiles(this.store, this.connection, table, { query })
      transaction.add(written.files)
    }
    const result = await transaction.commit({ operation: 'CREATE TABLE AS SELECT' })
    if (result.kind === 'committed') await this.maintain(transaction)
    return result
  }

  /** Appends the rows of `query`; the answer must be 'committed' or the test fails. */
  async append(tablePath: string, query: string): Promise<number> {
    const snapshot = await this.snapshot(tablePath)
    const transaction = await Transaction.begin(this.store, snapshot)
    const { files } = await writeDataFiles(this.store, this.connection, snapshot, { query })
    transaction.add(files)
    const result = await transaction.commit({
      operation: 'WRITE',
      parameters: { mode: 'Append' },
      metrics: { numFiles: files.length },
    })
    if (result.kind !== 'committed') throw new Error(`${result.reason}: ${result.detail}`)
    await this.maintain(transaction)
    return result.version
  }

  async maintain(transaction: Transaction): Promise<Maintenance> {
    const done = await maintainLog(this.store, this.engine, transaction)
    if (done.failures.length > 0) throw done.failures[0]
    return done
  }

  async snapshot(tablePath: string, version: number | null = null): Promise<Snapshot> {
    const snapshot = await loadSnapshot(this.store, this.connection, tablePath, version)
    if (snapshot === null) throw new Error(`no table at ${tablePath}`)
    return snapshot
  }

  /** Every row of the table, as DuckDB prints its columns, sorted. */
  async rows(tablePath: string, version: number | null = null): Promise<string[]> {
    const snapshot = await this.snapshot(tablePath, version)
    const relation = await scanRelation(this.store, this.connection, planScan(snapshot, UNKNOWN))
    return this.printed(`SELECT * FROM ${relation} AS t`)
  }

  /** The rows of a query in one form for comparing. */
  async printed(query: string): Promise<string[]> {
    const rows = await this.connection.query(query)
    return rows.map((row) => JSON.stringify(row, plain)).sort()
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0'
  return value as Scalar
}

/** A schema of columns `name: type`, types as Delta names them or as its JSON. */
export function schemaOf(columns: { readonly [name: string]: unknown }): Schema {
  const fields = Object.entries(columns).map(([name, type]) => ({
    name,
    type,
    nullable: true,
    metadata: {},
  }))
  return parseSchemaString(JSON.stringify({ type: 'struct', fields }))
}
