/**
 * What planning a scan of many files costs, beside running it: partitioned table, one small file a
 * partition value, every file in one scan. Prints milliseconds and the ratio of planning to the
 * same scan given to DuckDB as a bare glob. Then the first predicate on a column of a million files:
 * how long it takes, and the longest that the event loop stood still meanwhile.
 * Run: `npm run build && node bench/scan-planning.mjs [files] [files of the index]`.
 */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Engine } from '../dist/storage/engine.js'
import { LocalStore } from '../dist/storage/local-store.js'
import { UNKNOWN } from '../dist/storage/predicate.js'
import { FileIndex } from '../dist/storage/file-index.js'
import { planScan, prepareScan } from '../dist/storage/scan.js'
import { scanRelation } from '../dist/storage/scan-relation.js'
import { loadSnapshot } from '../dist/storage/snapshot.js'

const count = Number(process.argv[2] ?? 10_000)
const indexed = Number(process.argv[3] ?? 1_000_000)
const lake = mkdtempSync(join(tmpdir(), 'lakegate-bench-'))
const table = join(lake, 'silver', 'events')
mkdirSync(join(table, '_delta_log'), { recursive: true })
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()
const first = join(table, 'part-0.parquet')
await connection.run(
  `COPY (SELECT i::BIGINT AS id, 'row ' || i AS name FROM range(20) t(i)) TO '${first}' (FORMAT parquet)`,
)
const { size } = statSync(first)
const field = (name, type) => ({ name, type, nullable: true, metadata: {} })
const actions = [
  { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
  {
    metaData: {
      id: 'x',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({
        type: 'struct',
        fields: [field('id', 'long'), field('name', 'string'), field('part', 'integer')],
      }),
      partitionColumns: ['part'],
      configuration: {},
    },
  },
]
for (let i = 0; i < count; i++) {
  if (i > 0) copyFileSync(first, join(table, `part-${i}.parquet`))
  actions.push({
    add: {
      path: `part-${i}.parquet`,
      partitionValues: { part: String(i) },
      size,
      modificationTime: 1,
    },
  })
}
writeFileSync(
  join(table, '_delta_log', '00000000000000000000.json'),
  actions.map((action) => `${JSON.stringify(action)}\n`).join(''),
)

const timed = async (name, work) => {
  const start = performance.now()
  const value = await work()
  const ms = performance.now() - start
  console.info(`${name.padEnd(44)} ${ms.toFixed(0).padStart(8)} ms`)
  return { value, ms }
}

try {
  const store = new LocalStore(lake)
  const query = (from) => `SELECT count(*), sum(id), max(name) FROM ${from} t`
  const snapshot = (
    await timed('load the snapshot', () => loadSnapshot(store, connection, 'silver/events', null))
  ).value
  const glob = `read_parquet('${table}/*.parquet', hive_partitioning = false)`
  await connection.query(query(glob))
  const bare = await timed('bare glob, prepare and run', () => connection.query(query(glob)))
  const scan = planScan(snapshot, UNKNOWN)
  const cold = await timed('relation, footers not seen before', () =>
    scanRelation(store, connection, scan),
  )
  const warm = await timed('relation, footers known', () => scanRelation(store, connection, scan))
  console.info(`text of the relation: ${warm.value.length} bytes`)
  const prepared = await timed('prepare', () =>
    connection.prepare(`SELECT count(*), sum(id), max(name), sum(part) FROM ${warm.value} t`),
  )
  const run = await timed('run', () => prepared.value.collect())
  prepared.value.destroy()
  console.info(
    `relation and prepare, against the bare glob: ${((warm.ms + prepared.ms) / bare.ms).toFixed(2)} (cold ${((cold.ms + prepared.ms) / bare.ms).toFixed(2)}), run ${(run.ms / bare.ms).toFixed(2)}`,
  )

  let files = FileIndex.empty
  for (let from = 0; from < indexed; from += 65_536) {
    const adds = Array.from({ length: Math.min(65_536, indexed - from) }, (_, i) => ({
      path: `part-${from + i}.parquet`,
      partitionValues: { part: String(from + i) },
      size,
      modificationTime: 1,
      stats: JSON.stringify({
        numRecords: 20,
        minValues: { id: (from + i) * 20, name: `row ${from + i}` },
        maxValues: { id: (from + i) * 20 + 19, name: `row ${from + i}z` },
        nullCount: { id: 0, name: 0 },
      }),
    }))
    files = files.with([], adds, (path) => path)
  }
  const many = { ...snapshot, files }
  const equal = (name, value, type) => ({
    kind: 'compare',
    operator: '=',
    term: { kind: 'column', path: [name] },
    value: { type: { kind: 'scalar', name: type }, value },
  })
  const still = async (name, work) => {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    // The first interval is not counted.
    await new Promise((done) => setTimeout(done, 20))
    await timed(name, work)
    await new Promise((done) => setTimeout(done, 20))
    delay.disable()
    console.info(
      `${'  longest stand still of the event loop'.padEnd(44)} ${(delay.max / 1e6).toFixed(0).padStart(8)} ms`,
    )
  }
  console.info(`${indexed} files`)
  await still('first predicate on a column, at once', async () =>
    planScan(many, equal('id', 777n, 'BIGINT')),
  )
  const other = equal('name', 'row 777', 'VARCHAR')
  await still('first predicate on a column, in slices', async () => {
    await prepareScan(many, other)
    return planScan(many, other)
  })
  await still('the same again', async () => {
    await prepareScan(many, other)
    return planScan(many, other)
  })
  await still('the same again, planScan alone', async () => planScan(many, other))
} finally {
  connection.close()
  await engine.close()
  rmSync(lake, { recursive: true, force: true })
}
