/** DemoLake: the small demonstration lake that a gateway without a lake begins with. */

import { writeCheckpoint } from './checkpoint-writer.js'
import { writeDataFiles } from './data-file.js'
import { withDeletionVector, writeDeletionVectors } from './deletion-vector-file.js'
import type { EngineConnection } from './engine.js'
import { assert } from './errors.js'
import { lentLiteral } from './lent-file.js'
import { writeChecksum } from './log-maintenance.js'
import { defineTable } from './new-table.js'
import type { ObjectStore } from './object-store.js'
import { UNKNOWN } from './predicate.js'
import { parseSchemaString } from './schema.js'
import type { DataFile } from './file-index.js'
import { liveFiles, loadSnapshot, type Snapshot } from './snapshot.js'
import { Transaction } from './transaction.js'

interface Column {
  readonly name: string
  /** Delta's name of the type; `[string` is an array of strings. */
  readonly type: string
  readonly comment?: string
}

/** When the history of the demonstration lake begins; its commits are a day apart. */
const EPOCH_MS = Date.UTC(2026, 0, 1)

/** One table being written, version by version. */
class DemoTable {
  readonly #store: ObjectStore
  readonly #connection: EngineConnection
  readonly #path: string
  readonly #define: () => ReturnType<typeof defineTable>
  #version = 0

  constructor(
    store: ObjectStore,
    connection: EngineConnection,
    path: string,
    columns: readonly Column[],
    options: {
      readonly partition?: string
      readonly deletionVectors?: boolean
      readonly description: string
    },
  ) {
    this.#store = store
    this.#connection = connection
    this.#path = path
    const fields = columns.map((column) => ({
      name: column.name,
      type: column.type.startsWith('[')
        ? { type: 'array', elementType: column.type.slice(1), containsNull: true }
        : column.type,
      nullable: true,
      metadata: column.comment === undefined ? {} : { comment: column.comment },
    }))
    this.#define = () =>
      defineTable({
        tablePath: path,
        name: path.replace('/', '.'),
        description: options.description,
        schema: parseSchemaString(JSON.stringify({ type: 'struct', fields })),
        partitionColumns: options.partition === undefined ? [] : [options.partition],
        configuration:
          options.deletionVectors === true ? { 'delta.enableDeletionVectors': 'true' } : {},
        createdMs: EPOCH_MS,
      })
  }

  /** Commits the rows of `query`; with `replace` every file before goes. */
  async write(query: string, operation: string, replace = false): Promise<void> {
    const transaction = await this.#begin()
    const written = await writeDataFiles(this.#store, this.#connection, transaction.target, {
      query,
    })
    if (replace && transaction.snapshot !== null) {
      transaction.readWholeTable()
      transaction.remove(liveFiles(transaction.snapshot))
    }
    transaction.add(written.files)
    await this.#commit(transaction, operation, { numOutputRows: written.rowCount })
  }

  /** Deletes the rows for which `condition` holds by deletion vectors. */
  async delete(condition: string): Promise<void> {
    const transaction = await this.#begin()
    assert(transaction.snapshot !== null, 'the table has rows')
    const touched: {
      readonly file: DataFile
      readonly rows: readonly number[]
      readonly rowCount: number
    }[] = []
    for (const file of liveFiles(transaction.snapshot)) {
      const url = await lentLiteral(this.#store, this.#connection, file)
      const rows = await this.#connection.query(
        `SELECT file_row_number FROM read_parquet(${url}, hive_partitioning = false) WHERE ${condition} ORDER BY 1`,
      )
      if (rows.length === 0) continue
      const [count] = await this.#connection.query(`SELECT count(*) FROM read_parquet(${url})`)
      touched.push({ file, rows: rows.map((row) => Number(row[0])), rowCount: Number(count?.[0]) })
    }
    const vectors = await writeDeletionVectors(
      this.#store,
      this.#path,
      touched.map(({ rows }) => rows),
    )
    transaction.recordRead(UNKNOWN, liveFiles(transaction.snapshot))
    transaction.remove(touched.map(({ file }) => file))
    transaction.add(
      touched.map(({ file, rowCount }, i) => {
        const vector = vectors[i]
        assert(vector !== undefined, 'each file has a vector')
        return withDeletionVector(file.add, vector, rowCount)
      }),
    )
    const deleted = touched.reduce((sum, { rows }) => sum + rows.length, 0)
    await this.#commit(transaction, 'DELETE', { numDeletedRows: deleted })
  }

  /** A classic checkpoint of the newest version, with the hint that names it. */
  async checkpoint(): Promise<void> {
    const snapshot = await this.#snapshot()
    assert(snapshot !== null, 'the table has a version')
    await writeCheckpoint(this.#store, this.#connection, snapshot, this.#timeMs())
  }

  #timeMs(): number {
    return EPOCH_MS + this.#version * 86_400_000
  }

  #snapshot(): Promise<Snapshot | null> {
    return loadSnapshot(this.#store, this.#connection, this.#path, null)
  }

  async #begin(): Promise<Transaction> {
    const options = { now: () => this.#timeMs() }
    const snapshot = await this.#snapshot()
    return snapshot === null
      ? Transaction.create(this.#store, this.#define(), options)
      : Transaction.begin(this.#store, snapshot, options)
  }

  async #commit(
    transaction: Transaction,
    operation: string,
    metrics: { readonly [name: string]: number },
  ): Promise<void> {
    const result = await transaction.commit({ operation, metrics })
    assert(result.kind === 'committed', 'nobody else writes a lake that is being made')
    await writeChecksum(this.#store, transaction)
    this.#version++
  }
}

/**
 * Writes the demonstration lake into `store`: bronze events, silver orders and customers, gold
 * revenue; several versions each, partitions, a deletion vector and a checkpoint.
 *
 * The same rows each time. The caller makes it appear in one go, by writing into a folder that is
 * renamed afterwards.
 */
export async function createDemoLake(
  store: ObjectStore,
  connection: EngineConnection,
): Promise<void> {
  const events = new DemoTable(
    store,
    connection,
    'bronze/events',
    [
      { name: 'event_id', type: 'long' },
      { name: 'happened_at', type: 'timestamp' },
      { name: 'kind', type: 'string' },
      { name: 'payload', type: 'string', comment: 'as it was received' },
      { name: 'day', type: 'date' },
    ],
    { partition: 'day', description: 'Raw events, appended as they come' },
  )
  for (let batch = 0; batch < 4; batch++) {
    await events.write(
      `SELECT i::BIGINT AS event_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i * 97) AS happened_at,
              ['view', 'cart', 'pay', 'ship'][(i % 4 + 1)::INTEGER] AS kind,
              '{"order":' || (i // 4) || '}' AS payload,
              (TIMESTAMP '2026-01-01 00:00:00' + to_seconds(i * 97))::DATE AS day
       FROM range(${batch * 500}, ${batch * 500 + 500}) t(i)`,
      'WRITE',
    )
  }
  await events.checkpoint()
  const customers = new DemoTable(
    store,
    connection,
    'silver/customers',
    [
      { name: 'customer_id', type: 'long' },
      { name: 'name', type: 'string' },
      { name: 'country', type: 'string' },
      { name: 'tags', type: '[string' },
      { name: 'since', type: 'date' },
    ],
    { description: 'One row a customer' },
  )
  const person = (from: number, to: number): string =>
    `SELECT i::BIGINT AS customer_id, 'Customer ' || i AS name, ['DE', 'FR', 'US', 'JP'][(i % 4 + 1)::INTEGER] AS country,
            CASE WHEN i % 3 = 0 THEN ['new'] WHEN i % 3 = 1 THEN ['loyal', 'newsletter'] END AS tags,
            DATE '2025-01-01' + (i % 300)::INTEGER AS since
     FROM range(${from}, ${to}) t(i)`
  await customers.write(person(0, 80), 'WRITE')
  await customers.write(person(80, 100), 'WRITE')
  const orders = new DemoTable(
    store,
    connection,
    'silver/orders',
    [
      { name: 'order_id', type: 'long' },
      { name: 'customer_id', type: 'long' },
      { name: 'status', type: 'string' },
      { name: 'amount', type: 'decimal(12,2)' },
      { name: 'ordered_at', type: 'timestamp' },
      { name: 'country', type: 'string' },
    ],
    { partition: 'country', deletionVectors: true, description: 'One row an order' },
  )
  const order = (from: number, to: number, status: string): string =>
    `SELECT i::BIGINT AS order_id, (i % 100)::BIGINT AS customer_id, ${status} AS status,
            ((i * 37 % 10000) / 100.0)::DECIMAL(12,2) AS amount,
            TIMESTAMPTZ '2026-01-01 08:00:00+00' + to_minutes(i * 13) AS ordered_at,
            ['DE', 'FR', 'US', 'JP'][(i % 4 + 1)::INTEGER] AS country
     FROM range(${from}, ${to}) t(i)`
  const staged = "['open', 'paid', 'shipped'][(i % 3 + 1)::INTEGER]"
  await orders.write(order(0, 400, "'open'"), 'WRITE')
  await orders.write(order(400, 600, "'open'"), 'WRITE')
  await orders.write(order(0, 600, staged), 'MERGE', true)
  await orders.write(order(600, 1000, staged), 'WRITE')
  await orders.delete("status = 'open' AND order_id % 5 = 0")
  await orders.write(order(1000, 1200, "'paid'"), 'WRITE')
  const revenue = new DemoTable(
    store,
    connection,
    'gold/revenue',
    [
      { name: 'day', type: 'date' },
      { name: 'country', type: 'string' },
      { name: 'orders', type: 'long' },
      { name: 'amount', type: 'decimal(18,2)' },
    ],
    { description: 'Paid orders by day and country' },
  )
  const sums = (to: number): string =>
    `SELECT (ordered_at AT TIME ZONE 'UTC')::DATE AS day, country, count(*) AS orders, sum(amount)::DECIMAL(18,2) AS amount
     FROM (${order(0, to, staged)}) GROUP BY 1, 2 ORDER BY 1, 2`
  for (const to of [400, 600, 1000, 1200])
    await revenue.write(sums(to), 'CREATE OR REPLACE TABLE AS SELECT', to > 400)
  await revenue.checkpoint()
}
