/**
 * Writes tables of every kind for other engines to read, or checks what they appended.
 *
 * `node written-tables.mjs write FOLDER` makes FOLDER/<table> and, beside it, FOLDER/<table>.parquet
 * with the rows it must hold. `node written-tables.mjs check FOLDER` reads the tables again, after
 * other engines appended the rows of FOLDER/<table>.appended.parquet to some of them.
 */

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { writeCheckpoint } from '../../dist/storage/checkpoint-writer.js'
import { writeDataFiles } from '../../dist/storage/data-file.js'
import {
  withDeletionVector,
  writeDeletionVectors,
} from '../../dist/storage/deletion-vector-file.js'
import { Engine } from '../../dist/storage/engine.js'
import { LocalStore } from '../../dist/storage/local-store.js'
import { maintainLog } from '../../dist/storage/log-maintenance.js'
import { defineTable } from '../../dist/storage/new-table.js'
import {
  planClustering,
  planCompaction,
  planPurge,
  planZOrder,
  runOptimize,
} from '../../dist/storage/optimize.js'
import { UNKNOWN } from '../../dist/storage/predicate.js'
import { restoreTable } from '../../dist/storage/restore.js'
import { planScan } from '../../dist/storage/scan.js'
import { scanRelation } from '../../dist/storage/scan-relation.js'
import { parseSchemaString } from '../../dist/storage/schema.js'
import { liveFiles, loadSnapshot } from '../../dist/storage/snapshot.js'
import { Transaction } from '../../dist/storage/transaction.js'
import { vacuumTable } from '../../dist/storage/vacuum.js'
import { ALTERED, writeBySql } from './altered-tables.mjs'
import { CHANGED } from './changed-tables.mjs'
import { CLONED } from './cloned-tables.mjs'
import { FEEDS, feedDifference, keepFeed } from './feed-tables.mjs'
import { MADE } from './made-tables.mjs'

const [mode, folder] = process.argv.slice(2)
const store = new LocalStore(folder)
const engine = await Engine.open({})
const connection = await engine.connect()
await connection.run("SET TimeZone = 'UTC'")

const field = (name, type, nullable = true, metadata = {}) => ({ name, type, nullable, metadata })
const schema = (...fields) => parseSchemaString(JSON.stringify({ type: 'struct', fields }))
const array = (elementType) => ({ type: 'array', elementType, containsNull: true })
const map = (keyType, valueType) => ({ type: 'map', keyType, valueType, valueContainsNull: true })
const struct = (...fields) => ({ type: 'struct', fields })

const TYPES = [
  field('k', 'long'),
  field('a_byte', 'byte'),
  field('a_short', 'short'),
  field('an_int', 'integer'),
  field('a_float', 'float'),
  field('a_double', 'double'),
  field('a_bool', 'boolean'),
  field('a_string', 'string'),
  field('a_binary', 'binary'),
  field('a_date', 'date'),
  field('a_timestamp', 'timestamp'),
  field('a_small', 'decimal(5,2)'),
  field('a_middle', 'decimal(18,6)'),
  field('a_wide', 'decimal(20,3)'),
  field('a_big', 'decimal(38,10)'),
  field('a_list', array('integer')),
  field('a_struct', struct(field('x', 'long'), field('y', struct(field('z', 'string'))))),
  field('a_map', map('string', 'long')),
  field('a_deep', array(struct(field('q', 'timestamp'), field('r', array('string'))))),
]

const ALL_TYPES = `SELECT i AS k, (i - 3)::TINYINT AS a_byte, (i * 100)::SMALLINT AS a_short, (i * 1000000)::INTEGER AS an_int,
    [0.1, -0.0, 3e38, 'nan', NULL][i::INT + 1]::FLOAT AS a_float, [0.1, -0.0, 5e-324, 'inf', NULL][i::INT + 1]::DOUBLE AS a_double,
    [true, false, NULL, true, false][i::INT + 1] AS a_bool, ['', 'ü😈', repeat('z', 100), 'a"b\\c', NULL][i::INT + 1] AS a_string,
    ['\\x00\\xFF'::BLOB, ''::BLOB, 'abc'::BLOB, NULL, NULL][i::INT + 1] AS a_binary,
    ['0001-01-01', '9999-12-31', '1969-12-31', '1582-10-20', NULL][i::INT + 1]::DATE AS a_date,
    ['1969-12-31 23:59:59.999999+00', '2024-02-29 12:00:00.000001+00', '1900-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00', NULL][i::INT + 1]::TIMESTAMPTZ AS a_timestamp,
    ['-999.99', '999.99', '0.01', '0', NULL][i::INT + 1]::DECIMAL(5,2) AS a_small,
    ['-999999999999.999999', '999999999999.999999', '0.000001', '0', NULL][i::INT + 1]::DECIMAL(18,6) AS a_middle,
    ['-9999999999999999999999999999.9999999999', '9999999999999999999999999999.9999999999', '0', '1', NULL][i::INT + 1]::DECIMAL(38,10) AS a_big,
    (i * 12345678901234567.891)::DECIMAL(20,3) AS a_wide,
    [[1, NULL, 3], [], NULL, [4], NULL][i::INT + 1]::INTEGER[] AS a_list,
    CASE WHEN i < 3 THEN {'x': 9007199254740993 + i, 'y': CASE WHEN i > 0 THEN {'z': 'deep'} END} END AS a_struct,
    CASE WHEN i <> 1 THEN MAP {'a': i, 'b': NULL} END AS a_map,
    CASE WHEN i < 2 THEN [{'q': TIMESTAMPTZ '2024-01-01 00:00:00+00', 'r': ['x', NULL]}, NULL] END AS a_deep
  FROM range(5) t(i)`

const simple = (more = '') => `SELECT i AS n, 'text ' || i AS s${more} FROM range(10) t(i)`
const SIMPLE = [field('n', 'long'), field('s', 'string')]

/** Each table: its definition and the rows of its first commit; \`then\` goes on from there. */
const TABLES = {
  types: { fields: TYPES, query: ALL_TYPES },
  types_by_name: {
    fields: TYPES,
    query: ALL_TYPES,
    configuration: { 'delta.columnMapping.mode': 'name' },
  },
  types_by_id: {
    fields: TYPES,
    query: ALL_TYPES,
    configuration: { 'delta.columnMapping.mode': 'id' },
  },
  ntz: {
    fields: [field('n', 'long'), field('t', 'timestamp_ntz')],
    query:
      "SELECT i AS n, TIMESTAMP '1969-12-31 23:59:59.999999' + to_days(i::INT) AS t FROM range(5) t(i)",
  },
  odd_names: {
    fields: [field('a b', 'long'), field('c;d', 'string'), field('ü', 'string')],
    query: 'SELECT i AS "a b", \'x\' AS "c;d", \'y\' AS "ü" FROM range(3) t(i)',
    configuration: { 'delta.columnMapping.mode': 'name' },
  },
  partitioned: {
    fields: [field('p', 'string'), ...SIMPLE],
    partitionColumns: ['p'],
    query: `SELECT p, n, s FROM (${simple()}), (VALUES ('plain'), ('a/b'), ('50%'), ('a=b c'), ('ü😈'), ('a:b'), ('q"o\\e'), ('*?[x]'), ('%2F'), ('__HIVE_DEFAULT_PARTITION__ '), (NULL)) v(p)`,
  },
  partitioned_by_times: {
    fields: [
      field('d', 'date'),
      field('t', 'timestamp'),
      field('c', 'decimal(20,3)'),
      field('b', 'boolean'),
      ...SIMPLE,
    ],
    partitionColumns: ['d', 't', 'c', 'b'],
    query: `SELECT DATE '2024-02-29' - (n % 2)::INT AS d, TIMESTAMPTZ '2024-06-01 00:00:00.123456+00' + to_hours((n % 2)::INT) AS t, ((n % 2) / 8)::DECIMAL(20,3) AS c, n % 2 = 0 AS b, n, s FROM (${simple()})`,
  },
  partitioned_by_name: {
    fields: [field('p q', 'string'), ...SIMPLE],
    partitionColumns: ['p q'],
    query: `SELECT ['x', NULL][(n % 2 + 1)::INT] AS "p q", n, s FROM (${simple()})`,
    configuration: { 'delta.columnMapping.mode': 'name' },
  },
  vectors: {
    fields: SIMPLE,
    query: simple(),
    configuration: { 'delta.enableDeletionVectors': 'true' },
    after: async (path) => {
      await append(path, "SELECT i + 100 AS n, 'more' AS s FROM range(100000) t(i)")
      await deleteRows(path, [
        [0, 9],
        [1, 2, 3, 70000, 99999],
      ])
    },
    rows: `SELECT n, s FROM (${simple()}) WHERE n NOT IN (0, 9) UNION ALL SELECT i + 100, 'more' FROM range(100000) t(i) WHERE i NOT IN (1, 2, 3, 70000, 99999)`,
  },
  vectors_and_checkpoint: {
    fields: SIMPLE,
    query: simple(),
    configuration: {
      'delta.enableDeletionVectors': 'true',
      'delta.checkpoint.writeStatsAsStruct': 'true',
    },
    after: async (path) => {
      await deleteRows(path, [[5]])
      await checkpoint(path)
    },
    rows: `SELECT n, s FROM (${simple()}) WHERE n <> 5`,
  },
  checkpointed: {
    fields: TYPES,
    query: ALL_TYPES,
    after: async (path) => {
      for (let i = 0; i < 12; i++) await append(path, ALL_TYPES)
      forget(path, 10)
    },
    rows: Array(13).fill(`SELECT * FROM (${ALL_TYPES})`).join(' UNION ALL '),
  },
  checkpointed_structs: {
    fields: [field('p', 'date'), ...TYPES],
    partitionColumns: ['p'],
    configuration: { 'delta.checkpoint.writeStatsAsStruct': 'true' },
    query: `SELECT DATE '2024-01-01' + (k % 2)::INT AS p, * FROM (${ALL_TYPES})`,
    after: (path) => checkpoint(path),
  },
  constrained: {
    fields: [field('n', 'long', false), field('s', 'string')],
    query: simple(),
    configuration: { 'delta.constraints.positive': 'n >= 0' },
    fulfilled: ['checkConstraints'],
  },
  append_only: { fields: SIMPLE, query: simple(), configuration: { 'delta.appendOnly': 'true' } },
  tracked: {
    fields: SIMPLE,
    query: simple(),
    configuration: { 'delta.enableRowTracking': 'true', 'delta.enableInCommitTimestamps': 'true' },
    after: (path) => append(path, "SELECT 100 AS n, 'later' AS s"),
    rows: `${simple()} UNION ALL SELECT 100, 'later'`,
  },
  tracked_and_moved: {
    fields: SIMPLE,
    query: simple(),
    configuration: { 'delta.enableRowTracking': 'true' },
    after: async (path) => {
      // The id of each row is its n, wherever it is moved.
      await append(path, "SELECT i AS n, 'later' AS s FROM range(10, 20) r(i)")
      await optimize(path, (snapshot, files) => planZOrder(snapshot, files, [['s'], ['n']], {}))
    },
    rows: `${simple()} UNION ALL SELECT i, 'later' FROM range(10, 20) r(i)`,
  },
  clustered: {
    fields: SIMPLE,
    query: simple(),
    domains: new Map([
      ['delta.clustering', '{"clusteringColumns":[["n"]],"domainName":"delta.clustering"}'],
    ]),
  },
  transactions: {
    fields: SIMPLE,
    query: simple(),
    after: async (path) => {
      const snapshot = await loadSnapshot(store, connection, path, null)
      const transaction = await Transaction.begin(store, snapshot)
      transaction.setTransaction('loader', 9007199254740993n)
      await commit(transaction, 'WRITE')
      await checkpoint(path)
    },
  },
  optimized: {
    fields: TYPES,
    query: ALL_TYPES,
    after: async (path) => {
      for (let i = 0; i < 6; i++) await append(path, ALL_TYPES)
      await optimize(path, (snapshot, files) => planCompaction(snapshot, files, {}))
    },
    rows: Array(7).fill(`SELECT * FROM (${ALL_TYPES})`).join(' UNION ALL '),
  },
  optimized_partitions: {
    fields: [field('p q', 'string'), field('t', 'timestamp'), ...SIMPLE],
    partitionColumns: ['p q', 't'],
    configuration: {
      'delta.columnMapping.mode': 'name',
      'delta.enableDeletionVectors': 'true',
      'delta.enableInCommitTimestamps': 'true',
    },
    query: `SELECT ['a/b%', NULL][(n % 2 + 1)::INT] AS "p q", TIMESTAMPTZ '2024-06-01 00:00:00.123456+00' AS t, n, s FROM (${simple()})`,
    after: async (path) => {
      for (let i = 0; i < 14; i++) {
        await append(
          path,
          `SELECT 'a/b%' AS "p q", TIMESTAMPTZ '2024-06-01 00:00:00.123456+00' AS t, ${i} AS n, 'later' AS s`,
        )
      }
      await optimize(path, (snapshot, files) => planCompaction(snapshot, files, {}))
    },
    rows: `SELECT ['a/b%', NULL][(n % 2 + 1)::INT] AS "p q", TIMESTAMPTZ '2024-06-01 00:00:00.123456+00' AS t, n, s FROM (${simple()}) UNION ALL SELECT 'a/b%', TIMESTAMPTZ '2024-06-01 00:00:00.123456+00', i, 'later' FROM range(14) r(i)`,
  },
  z_ordered: {
    fields: TYPES,
    query: ALL_TYPES,
    configuration: { 'delta.enableDeletionVectors': 'true' },
    after: async (path) => {
      await append(path, ALL_TYPES)
      const columns = [['a_string'], ['a_double'], ['a_timestamp'], ['a_struct', 'x']]
      await optimize(path, (snapshot, files) => planZOrder(snapshot, files, columns, {}))
    },
    rows: Array(2).fill(`SELECT * FROM (${ALL_TYPES})`).join(' UNION ALL '),
  },
  reclustered: {
    fields: SIMPLE,
    query: simple(),
    domains: new Map([
      ['delta.clustering', '{"clusteringColumns":[["n"],["s"]],"domainName":"delta.clustering"}'],
    ]),
    after: async (path) => {
      await append(path, simple())
      const columns = [['n'], ['s']]
      await optimize(path, (snapshot, files) => planClustering(snapshot, files, columns, true, {}))
      await checkpoint(path)
    },
    rows: `${simple()} UNION ALL ${simple()}`,
  },
  restored: {
    fields: SIMPLE,
    query: simple(),
    configuration: { 'delta.enableDeletionVectors': 'true' },
    after: async (path) => {
      await deleteRows(path, [[5]])
      await append(path, simple())
      await deleteRows(path, [[5, 6], [7]])
      const [now, past] = await Promise.all([null, 1].map((version) => load(path, version)))
      const { transaction } = await restoreTable(store, now, past, { version: '1' })
      await maintainLog(store, engine, transaction)
    },
    rows: `SELECT n, s FROM (${simple()}) WHERE n <> 5`,
  },
  vacuumed: {
    fields: SIMPLE,
    query: simple(),
    configuration: { 'delta.enableDeletionVectors': 'true' },
    after: async (path) => {
      await append(path, simple())
      await deleteRows(path, [[5], [0, 1]])
      await optimize(path, (snapshot, files) => planPurge(snapshot, files, {}))
      await new Promise((resolve) => setTimeout(resolve, 10))
      const { paths } = await vacuumTable(store, connection, await load(path, null), {
        retentionMs: 0,
        checksRetention: false,
      })
      if (paths.length !== 3) throw new Error(`${paths.length} files were removed`)
    },
    rows: `SELECT n, s FROM (${simple()}) WHERE n <> 5 UNION ALL SELECT n, s FROM (${simple()}) WHERE n > 1`,
  },
  empty: { fields: TYPES, query: `SELECT * FROM (${ALL_TYPES}) WHERE false` },
}

async function load(path, version) {
  const one = await engine.connect()
  try {
    return await loadSnapshot(store, one, path, version)
  } finally {
    one.close()
  }
}

async function optimize(path, planOf) {
  const snapshot = await load(path, null)
  const transactions = []
  const plan = planOf(snapshot, [...liveFiles(snapshot)])
  await runOptimize(store, connection, snapshot, plan, {
    committed: (transaction) => transactions.push(transaction),
  })
  if (transactions.length !== 1) throw new Error(`${transactions.length} commits`)
  await maintainLog(store, engine, transactions[0])
}

async function commit(transaction, operation) {
  const result = await transaction.commit({ operation })
  if (result.kind !== 'committed') throw new Error(result.detail)
  const { failures } = await maintainLog(store, engine, transaction)
  if (failures.length > 0) throw failures[0]
}

async function append(path, query) {
  const snapshot = await loadSnapshot(store, connection, path, null)
  const transaction = await Transaction.begin(store, snapshot)
  transaction.add((await writeDataFiles(store, connection, snapshot, { query })).files)
  await commit(transaction, 'WRITE')
}

/** Deletes rows of each file by position; one file of vectors for all. */
async function deleteRows(path, rows) {
  const snapshot = await loadSnapshot(store, connection, path, null)
  const transaction = await Transaction.begin(store, snapshot)
  const vectors = await writeDeletionVectors(store, path, rows)
  const files = [...liveFiles(snapshot)]
  transaction.recordRead(UNKNOWN, files)
  transaction.remove(files)
  transaction.add(
    files.map(({ add }, i) =>
      withDeletionVector(add, vectors[i], JSON.parse(add.stats).numRecords),
    ),
  )
  await commit(transaction, 'DELETE')
}

/** A checkpoint of the newest version, and no commit before it. */
async function checkpoint(path) {
  const snapshot = await loadSnapshot(store, connection, path, null)
  await writeCheckpoint(store, connection, snapshot)
  forget(path, snapshot.version)
}

function forget(path, version) {
  const log = join(folder, path, '_delta_log')
  for (const name of readdirSync(log)) {
    if (/^\d{20}\.(json|crc)$/.test(name) && Number.parseInt(name, 10) < version)
      rmSync(join(log, name))
  }
}

async function write(name, table) {
  const defined = defineTable({
    tablePath: name,
    schema: schema(...table.fields),
    partitionColumns: table.partitionColumns ?? [],
    configuration: table.configuration ?? {},
    domains: table.domains ?? new Map(),
  })
  const transaction = Transaction.create(store, defined, { fulfilled: new Set(table.fulfilled) })
  transaction.add((await writeDataFiles(store, connection, defined, { query: table.query })).files)
  await commit(transaction, 'CREATE TABLE AS SELECT')
  await table.after?.(name)
  await expect(name, table.rows ?? table.query)
}

/** Keeps the rows that a table must hold beside it. */
async function expect(name, rows) {
  await connection.run(
    `COPY (${rows}) TO '${join(folder, `${name}.parquet`)}' (FORMAT parquet, KV_METADATA {'org.apache.spark.version': '3.5.0'})`,
  )
}

async function check(name) {
  const snapshot = await loadSnapshot(store, connection, name, null)
  const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
  const columns = snapshot.schema.fields.map((one) => `"${one.name}"`).join(', ')
  const file = join(folder, `${name}.parquet`)
  const appended = join(folder, `${name}.appended.parquet`)
  const parts = [file, ...(existsSync(appended) ? [appended] : [])].map(
    (part) => `SELECT ${columns} FROM read_parquet('${part}')`,
  )
  const digest = async (from) => {
    const [row] = await connection.query(
      `SELECT count(*), sum((hash(t::VARCHAR) >> 8)::HUGEINT)::VARCHAR FROM (SELECT ${columns} FROM ${from}) t`,
    )
    return row.map(String).join(' ')
  }
  const expected = await digest(`(${parts.join(' UNION ALL ')})`)
  const found = await digest(`${relation} AS r`)
  if (found === expected) return true
  process.stdout.write(`not ok ${name}: ${found} instead of ${expected}\n`)
  return false
}

let passed = 0
let failed = 0
for (const [name, table] of Object.entries(TABLES)) {
  if (mode === 'write') await write(name, table)
  if (await check(name)) passed++
  else failed++
}
const bySql = { ...ALTERED, ...MADE, ...CHANGED, ...CLONED, ...FEEDS }
if (mode === 'write') await writeBySql(resolve(folder), bySql)
for (const [name, { rows }] of Object.entries(bySql)) {
  if (mode === 'write') await expect(name, rows)
  if (await check(name)) passed++
  else failed++
}
// What other engines changed is in the feed as they tell it.
for (const name of Object.keys(FEEDS)) {
  if (mode === 'write') await keepFeed(store, connection, folder, name)
  const difference = await feedDifference(store, connection, folder, name)
  if (difference === null) passed++
  else {
    failed++
    process.stdout.write(`not ok the feed of ${name}: ${difference}\n`)
  }
}
// Identity columns go on counting behind what other engines handed out.
if (mode === 'check') {
  const counted = ['made_identity', 'spark_identity'].filter((name) =>
    existsSync(join(folder, name, '_delta_log')),
  )
  const more = { statements: ["INSERT INTO T (s) VALUES ('x'), ('y')"] }
  await writeBySql(resolve(folder), Object.fromEntries(counted.map((name) => [name, more])))
  for (const name of counted) {
    const snapshot = await loadSnapshot(store, connection, name, null)
    const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
    const [[rows, numbers, ours, theirs]] = await connection.query(
      `SELECT count(*), count(DISTINCT id), min(id) FILTER (s IN ('x', 'y')), max(id) FILTER (s NOT IN ('x', 'y')) FROM ${relation} AS r`,
    )
    if (rows === numbers && ours > theirs) passed++
    else {
      failed++
      process.stdout.write(`not ok ${name} goes on: ${[rows, numbers, ours, theirs].join(' ')}\n`)
    }
  }
}
await engine.close()
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
