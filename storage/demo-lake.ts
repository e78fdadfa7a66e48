/** DemoLake: the small demonstration lake that a gateway without a lake begins with. */

import { randomBytes, randomUUID } from 'node:crypto'
import { encodeBitmapArray, encodeZ85, printDeletionVectorFile } from './deletion-vector.js'
import { type EngineConnection, quoteLiteral } from './engine.js'
import { commitPath, printVersion } from './log-path.js'
import type { ObjectStore } from './object-store.js'

interface Column {
  readonly name: string
  readonly type: string
  readonly comment?: string
}

/** Seconds between two commits of the demonstration lake's history. */
const EPOCH_MS = Date.UTC(2026, 0, 1)

/** One table being written: its log so far. */
class DemoTable {
  readonly #store: ObjectStore
  readonly #connection: EngineConnection
  readonly #path: string
  readonly #columns: readonly Column[]
  readonly #partition: string | null
  readonly #deletionVectors: boolean
  readonly #live = new Map<string, object>()
  readonly #metaData: object
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
    this.#columns = columns
    this.#partition = options.partition ?? null
    this.#deletionVectors = options.deletionVectors ?? false
    const fields = columns.map((column) => ({
      name: column.name,
      type: column.type.startsWith('[')
        ? { type: 'array', elementType: column.type.slice(1), containsNull: true }
        : column.type,
      nullable: true,
      metadata: column.comment === undefined ? {} : { comment: column.comment },
    }))
    this.#metaData = {
      id: randomUUID(),
      name: path.replace('/', '.'),
      description: options.description,
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({ type: 'struct', fields }),
      partitionColumns: this.#partition === null ? [] : [this.#partition],
      configuration: this.#deletionVectors ? { 'delta.enableDeletionVectors': 'true' } : {},
      createdTime: EPOCH_MS,
    }
  }

  get #protocol(): object {
    return this.#deletionVectors
      ? {
          minReaderVersion: 3,
          minWriterVersion: 7,
          readerFeatures: ['deletionVectors'],
          writerFeatures: ['deletionVectors', 'appendOnly', 'invariants'],
        }
      : { minReaderVersion: 1, minWriterVersion: 2 }
  }

  /** Commits the rows of `query`; with `replace` every file before goes. */
  async write(query: string, operation: string, replace = false): Promise<void> {
    const actions: object[] = []
    if (replace) {
      for (const path of this.#live.keys())
        actions.push({ remove: { path, deletionTimestamp: this.#timeMs(), dataChange: true } })
      this.#live.clear()
    }
    const values = this.#partition === null ? [null] : await this.#partitionValues(query)
    for (const value of values) {
      const add = await this.#writeFile(query, value)
      this.#live.set(add.path, add)
      actions.push({ add })
    }
    await this.#commit(operation, actions)
  }

  /** Deletes the rows for which `condition` holds by deletion vectors. */
  async delete(condition: string): Promise<void> {
    const actions: object[] = []
    for (const [path, known] of [...this.#live]) {
      const add = known as { readonly size: number; readonly stats: string }
      const file = quoteLiteral(this.#store.engineUrl(`${this.#path}/${decodeURIComponent(path)}`))
      const rows = await this.#connection.query(
        `SELECT file_row_number FROM read_parquet(${file}, hive_partitioning = true) WHERE ${condition} ORDER BY 1`,
      )
      if (rows.length === 0) continue
      const bitmap = encodeBitmapArray(rows.map((row) => Number(row[0])))
      const uuid = randomBytes(16)
      const name = `deletion_vector_${uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}.bin`
      await this.#store.write(`${this.#path}/${name}`, printDeletionVectorFile(bitmap))
      const deletionVector = {
        storageType: 'u',
        pathOrInlineDv: encodeZ85(uuid),
        offset: 1,
        sizeInBytes: bitmap.length,
        cardinality: rows.length,
      }
      actions.push({
        remove: {
          path,
          deletionTimestamp: this.#timeMs(),
          dataChange: true,
          extendedFileMetadata: true,
          partitionValues: (known as { partitionValues: object }).partitionValues,
          size: add.size,
        },
      })
      const changed = {
        ...known,
        deletionVector,
        stats: JSON.stringify({ ...(JSON.parse(add.stats) as object), tightBounds: false }),
      }
      this.#live.set(path, changed)
      actions.push({ add: changed })
    }
    await this.#commit('DELETE', actions)
  }

  /** A classic checkpoint of the newest version, with the hint that names it. */
  async checkpoint(): Promise<void> {
    const version = this.#version - 1
    const rows = [
      { protocol: this.#protocol },
      { metaData: this.#metaData },
      ...[...this.#live.values()].map((add) => ({ add: { ...add, dataChange: false } })),
    ]
    const source = `${this.#path}/_delta_log/.checkpoint-${version}.json`
    await this.#store.write(source, lines(rows))
    const target = `${this.#path}/_delta_log/${printVersion(version)}.checkpoint.parquet`
    const features = this.#deletionVectors
      ? ', "readerFeatures": "VARCHAR[]", "writerFeatures": "VARCHAR[]"'
      : ''
    const vector = this.#deletionVectors
      ? ', "deletionVector": STRUCT("storageType" VARCHAR, "pathOrInlineDv" VARCHAR, "offset" INTEGER, "sizeInBytes" INTEGER, cardinality BIGINT)'
      : ''
    const columns =
      `{protocol: 'STRUCT("minReaderVersion" INTEGER, "minWriterVersion" INTEGER${features.replaceAll(/": "/g, '" ').replaceAll('[]"', '[]')})', ` +
      `"metaData": 'STRUCT(id VARCHAR, "name" VARCHAR, description VARCHAR, format STRUCT(provider VARCHAR, options MAP(VARCHAR, VARCHAR)), "schemaString" VARCHAR, "partitionColumns" VARCHAR[], configuration MAP(VARCHAR, VARCHAR), "createdTime" BIGINT)', ` +
      `"add": 'STRUCT(path VARCHAR, "partitionValues" MAP(VARCHAR, VARCHAR), size BIGINT, "modificationTime" BIGINT, "dataChange" BOOLEAN, stats VARCHAR${vector})'}`
    await this.#connection.run(
      `COPY (SELECT * FROM read_json(${quoteLiteral(this.#store.engineUrl(source))}, format = 'newline_delimited', columns = ${columns})) TO ${quoteLiteral(this.#store.engineUrl(target))} (FORMAT parquet)`,
    )
    await this.#store.delete(source)
    const size = rows.length
    await this.#store.write(`${this.#path}/_delta_log/_last_checkpoint`, lines([{ version, size }]))
  }

  #timeMs(): number {
    return EPOCH_MS + this.#version * 86_400_000
  }

  async #partitionValues(query: string): Promise<(string | null)[]> {
    const rows = await this.#connection.query(
      `SELECT DISTINCT "${this.#partition}"::VARCHAR FROM (${query}) ORDER BY 1`,
    )
    return rows.map((row) => row[0] as string | null)
  }

  async #writeFile(
    query: string,
    partitionValue: string | null,
  ): Promise<{ readonly path: string; readonly [key: string]: unknown }> {
    const folder = this.#partition === null ? '' : `${this.#partition}=${partitionValue}/`
    const path = `${folder}part-${printVersion(this.#version).slice(-5)}-${randomUUID()}.zstd.parquet`
    const stored = this.#columns.filter((column) => column.name !== this.#partition)
    const where =
      this.#partition === null
        ? ''
        : ` WHERE "${this.#partition}"::VARCHAR = ${quoteLiteral(partitionValue ?? '')}`
    const list = stored.map((column) => `"${column.name}"`).join(', ')
    const target = this.#store.engineUrl(`${this.#path}/${path}`)
    // The store makes the folder when it writes; COPY does not.
    await this.#store.write(`${this.#path}/${folder}.keep`, new Uint8Array())
    await this.#connection.run(
      `COPY (SELECT ${list} FROM (${query})${where}) TO ${quoteLiteral(target)} (FORMAT parquet, COMPRESSION zstd)`,
    )
    await this.#store.delete(`${this.#path}/${folder}.keep`)
    const size = (await this.#store.stat(`${this.#path}/${path}`))?.sizeBytes ?? 0
    return {
      path,
      partitionValues: this.#partition === null ? {} : { [this.#partition]: partitionValue },
      size,
      modificationTime: this.#timeMs(),
      dataChange: true,
      stats: await this.#statistics(target, stored),
    }
  }

  async #statistics(file: string, columns: readonly Column[]): Promise<string> {
    const bounded = columns.filter((column) =>
      /^(long|integer|date|string|double|decimal)/.test(column.type),
    )
    const items = [
      'count(*)::VARCHAR',
      ...columns.map((column) => `(count(*) - count("${column.name}"))::VARCHAR`),
      ...bounded.flatMap((column) => [
        `min("${column.name}")::VARCHAR`,
        `max("${column.name}")::VARCHAR`,
      ]),
    ]
    const [row] = await this.#connection.query(
      `SELECT ${items.join(', ')} FROM read_parquet(${quoteLiteral(file)}, hive_partitioning = false)`,
    )
    const values = (row ?? []) as (string | null)[]
    const literal = (column: Column, text: string): string =>
      /^(string|date)/.test(column.type) ? JSON.stringify(text) : text
    const pick = (offset: number): string =>
      bounded
        .flatMap((column, i) => {
          const text = values[1 + columns.length + i * 2 + offset]
          return text === null || text === undefined
            ? []
            : [`${JSON.stringify(column.name)}:${literal(column, text)}`]
        })
        .join(',')
    const nulls = columns
      .map((column, i) => `${JSON.stringify(column.name)}:${values[1 + i]}`)
      .join(',')
    return `{"numRecords":${values[0]},"minValues":{${pick(0)}},"maxValues":{${pick(1)}},"nullCount":{${nulls}}}`
  }

  async #commit(operation: string, actions: readonly object[]): Promise<void> {
    const commitInfo = {
      timestamp: this.#timeMs(),
      operation,
      operationParameters: {},
      isolationLevel: 'WriteSerializable',
      isBlindAppend: operation === 'WRITE',
      operationMetrics: {},
      engineInfo: 'Lakegate',
      txnId: randomUUID(),
    }
    const head =
      this.#version === 0 ? [{ protocol: this.#protocol }, { metaData: this.#metaData }] : []
    await this.#store.write(
      `${this.#path}/${commitPath(this.#version)}`,
      lines([{ commitInfo }, ...head, ...actions]),
    )
    this.#version++
  }
}

function lines(records: readonly object[]): Uint8Array {
  return new TextEncoder().encode(`${records.map((record) => JSON.stringify(record)).join('\n')}\n`)
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
