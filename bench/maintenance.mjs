/**
 * Looking after tables: many small files packed, against delta-rs's optimize.compact on a copy; a
 * selective query before and after ZORDER; a point query after many tiny inserts, with automatic
 * compaction and without. Prints ratios.
 *
 * Run: `npm run build && node bench/maintenance.mjs [files] [rows] [inserts]` (10,000, 5,000,000 and
 * 3,000 unless given). PYTHON names a python with deltalake; without one that part is skipped.
 */

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { Engine } from '../dist/storage/engine.js'
import { LocalStore } from '../dist/storage/local-store.js'
import { planCompaction, planZOrder, runOptimize } from '../dist/storage/optimize.js'
import { planScan } from '../dist/storage/scan.js'
import { scanRelation } from '../dist/storage/scan-relation.js'
import { parseSchemaString } from '../dist/storage/schema.js'
import { loadSnapshot } from '../dist/storage/snapshot.js'
import { defineTable } from '../dist/storage/new-table.js'
import { writeDataFiles } from '../dist/storage/data-file.js'
import { Transaction } from '../dist/storage/transaction.js'
import { startGateway } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const [files = 10_000, rows = 5_000_000, inserts = 3_000] = process.argv.slice(2).map(Number)
const work = mkdtempSync(join(tmpdir(), 'lakegate-maintenance-'))
const store = new LocalStore(work)
const engine = await Engine.open({ tempDirectory: join(work, 'spill') })
const connection = await engine.connect()
const silent = { committed: () => {} }

const field = (name, type) => ({ name, type, nullable: true, metadata: {} })
const schemaOf = (...fields) => ({ type: 'struct', fields })
const seconds = async (work) => {
  const begun = performance.now()
  const answer = await work()
  return [(performance.now() - begun) / 1000, answer]
}

/** A table of as many files of 100 rows, a hundred different ones in turn. */
async function smallFiles(name) {
  const table = join(work, name)
  mkdirSync(join(table, '_delta_log'), { recursive: true })
  const schema = schemaOf(field('id', 'long'), field('at', 'date'), field('name', 'string'))
  const actions = [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    {
      metaData: {
        id: '00000000-0000-0000-0000-000000000001',
        format: { provider: 'parquet', options: {} },
        schemaString: JSON.stringify(schema),
        partitionColumns: [],
        configuration: {},
      },
    },
  ]
  for (let i = 0; i < files; i++) {
    const path = join(table, `part-${i}.parquet`)
    if (i < 100) {
      await connection.run(
        `COPY (SELECT (i + ${i * 100})::BIGINT AS id, date '2026-01-01' + i::INT AS at, 'row ' || hash(i + ${i * 100}) AS name FROM range(100) r(i)) TO '${path}' (FORMAT parquet)`,
      )
    } else copyFileSync(join(table, `part-${i % 100}.parquet`), path)
    actions.push({
      add: {
        path: `part-${i}.parquet`,
        partitionValues: {},
        size: statSync(path).size,
        modificationTime: Date.now(),
        dataChange: true,
        stats: '{"numRecords":100}',
      },
    })
  }
  writeFileSync(
    join(table, '_delta_log', '00000000000000000000.json'),
    actions.map((action) => `${JSON.stringify(action)}\n`).join(''),
  )
}

const DELTA_RS = `
import sys, time
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
begun = time.time()
metrics = table.optimize.compact(target_size=256 * 1024 * 1024)
print(time.time() - begun)
assert metrics['numFilesRemoved'] == ${files}, metrics
`

async function packing() {
  await smallFiles('packed')
  cpSync(join(work, 'packed'), join(work, 'packed-by-delta-rs'), { recursive: true })
  const snapshot = await loadSnapshot(store, connection, 'packed', null)
  const sum = async (table) => {
    const now = await loadSnapshot(store, connection, table, null)
    const relation = await scanRelation(store, connection, planScan(now, { kind: 'unknown' }))
    const [row] = await connection.query(`SELECT count(*), sum(id), count(name) FROM ${relation}`)
    return { files: now.files.length, sum: row.join(' ') }
  }
  const [own, metrics] = await seconds(() =>
    runOptimize(
      store,
      connection,
      snapshot,
      planCompaction(snapshot, [...snapshot.files], {}),
      silent,
    ),
  )
  const answer = await sum('packed')
  console.log(
    `OPTIMIZE of ${metrics.filesRemoved} files into ${metrics.filesAdded}: ${own.toFixed(2)} s`,
  )
  try {
    const output = execFileSync(process.env.PYTHON ?? 'python3', [
      '-c',
      DELTA_RS,
      join(work, 'packed-by-delta-rs'),
    ])
    const theirs = Number(output)
    const other = await sum('packed-by-delta-rs')
    if (other.sum !== answer.sum) throw new Error(`other rows: ${other.sum}, ${answer.sum}`)
    console.log(`  delta-rs: ${theirs.toFixed(2)} s, ratio ${(theirs / own).toFixed(2)}`)
  } catch (thrown) {
    if (!/ENOENT|No module named/.test(String(thrown))) throw thrown
    console.log('  skipped: no python with deltalake (PYTHON)')
  }
}

async function sorting() {
  const table = defineTable({
    tablePath: 'sorted',
    schema: parseSchemaString(
      JSON.stringify(
        schemaOf(
          field('a', 'long'),
          field('b', 'long'),
          field('c', 'double'),
          field('s', 'string'),
        ),
      ),
    ),
    configuration: { 'delta.targetFileSize': '4mb' },
  })
  const created = Transaction.create(store, table)
  const query = `SELECT (hash(i) % 100000)::BIGINT AS a, (hash(i * 31) % 100000)::BIGINT AS b, (hash(i * 37) % 1000) / 8 AS c, 'text ' || (hash(i * 41) % 1000) AS s FROM range(${rows}) r(i)`
  created.add((await writeDataFiles(store, connection, table, { query })).files)
  await created.commit({ operation: 'CREATE TABLE AS SELECT' })
  const type = { kind: 'scalar', name: 'BIGINT' }
  const between = (path, low, high) => [
    {
      kind: 'compare',
      operator: '>=',
      term: { kind: 'column', path: [path] },
      value: { type, value: low },
    },
    {
      kind: 'compare',
      operator: '<',
      term: { kind: 'column', path: [path] },
      value: { type, value: high },
    },
  ]
  const predicate = {
    kind: 'and',
    parts: [...between('a', 20_000n, 21_000n), ...between('b', 70_000n, 71_000n)],
  }
  const measure = async () => {
    const snapshot = await loadSnapshot(store, connection, 'sorted', null)
    const scan = planScan(snapshot, predicate)
    const text = `SELECT count(*), sum(c) FROM ${await scanRelation(store, connection, scan)} WHERE a >= 20000 AND a < 21000 AND b >= 70000 AND b < 71000`
    const times = []
    let answer
    for (let i = 0; i < 5; i++) {
      const [time, [row]] = await seconds(() => connection.query(text))
      times.push(time)
      answer = row.join(' ')
    }
    return {
      files: scan.files.length,
      all: snapshot.files.length,
      bytes: scan.sizeBytes,
      ms: Math.min(...times) * 1000,
      answer,
    }
  }
  const before = await measure()
  const snapshot = await loadSnapshot(store, connection, 'sorted', null)
  const plan = planZOrder(snapshot, [...snapshot.files], [['a'], ['b']], {})
  const [time] = await seconds(() => runOptimize(store, connection, snapshot, plan, silent))
  const after = await measure()
  if (before.answer !== after.answer) throw new Error(`${before.answer} became ${after.answer}`)
  const print = (one) =>
    `${one.files} of ${one.all} files, ${one.bytes} bytes, ${one.ms.toFixed(1)} ms`
  console.log(`ZORDER BY (a, b) of ${rows} rows: ${time.toFixed(2)} s`)
  console.log(`  query of both columns before: ${print(before)}`)
  console.log(`  after: ${print(after)}`)
  console.log(
    `  ratios: files ${(before.files / after.files).toFixed(1)}, bytes ${(before.bytes / after.bytes).toFixed(1)}, time ${(before.ms / after.ms).toFixed(1)}`,
  )
}

async function inserting() {
  const folder = join(work, 'gateway')
  mkdirSync(folder)
  const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), folder)
  const found = {}
  try {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: gateway.port,
      user: 'lakegate',
      database: 'lake',
    })
    await client.connect()
    for (const auto of ['true', 'false']) {
      const table = `silver.tiny_${auto}`
      await client.query(
        `CREATE TABLE ${table} (id int, s text) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = '${auto}')`,
      )
      const [time] = await seconds(async () => {
        for (let i = 0; i < inserts; i++) {
          await client.query(`INSERT INTO ${table} VALUES (${i}, 'row ${i}')`)
        }
      })
      const [cold] = await seconds(() => client.query(`SELECT sum(id) FROM ${table}`))
      const times = []
      for (let i = 0; i < 20; i++) {
        const [ms, { rows: answer }] = await seconds(() =>
          client.query(`SELECT * FROM ${table} WHERE s = 'row ${(i * 149) % inserts}'`),
        )
        if (answer.length !== 1) throw new Error(`${answer.length} rows`)
        times.push(ms * 1000)
      }
      times.sort((a, b) => a - b)
      const [detail] = (await client.query(`DESCRIBE DETAIL ${table}`)).rows
      found[auto] = { ms: times[10], cold: cold * 1000, time }
      console.log(
        `${inserts} single inserts, automatic compaction ${auto}: ${(inserts / time).toFixed(0)} a second, ${detail.num_files} files, point query ${times[10].toFixed(1)} ms, first full query ${(cold * 1000).toFixed(0)} ms`,
      )
    }
    await client.end()
  } finally {
    await gateway.stop?.()
  }
  const [on, off] = [found.true, found.false]
  console.log(
    `  ratios: point query ${(off.ms / on.ms).toFixed(1)}, full query ${(off.cold / on.cold).toFixed(1)}, inserts ${(off.time / on.time).toFixed(2)}`,
  )
}

try {
  await packing()
  await sorting()
  await inserting()
} finally {
  await engine.close()
  rmSync(work, { recursive: true, force: true })
}
