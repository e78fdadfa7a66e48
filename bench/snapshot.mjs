/**
 * What a table of many files costs: loading it from a checkpoint, memory a file, one commit more,
 * and one predicate, against the plain way (an object a file in a Map, copied by each refresh,
 * statistics parsed by each predicate). Prints ratios, ours against the plain way's.
 * Run: `npm run build && node --expose-gc bench/snapshot.mjs [files]`.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Engine } from '../dist/storage/engine.js'
import { scalarType } from '../dist/storage/engine-type.js'
import { LocalStore } from '../dist/storage/local-store.js'
import { planScan } from '../dist/storage/scan.js'
import { loadSnapshot, refreshSnapshot } from '../dist/storage/snapshot.js'

const count = Number(process.argv[2] ?? 1_000_000)
const lake = mkdtempSync(join(tmpdir(), 'lakegate-bench-'))
const log = join(lake, 'silver', 'events', '_delta_log')
mkdirSync(log, { recursive: true })
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()
const version = (n) => String(n).padStart(20, '0')
const field = (name, type) => ({ name, type, nullable: true, metadata: {} })
const schemaString = JSON.stringify({
  type: 'struct',
  fields: [
    field('id', 'long'),
    field('seen', 'timestamp'),
    field('amount', 'decimal(18,2)'),
    field('country', 'string'),
    field('day', 'date'),
  ],
})

const checkpoint = join(log, `${version(10)}.checkpoint.parquet`)
const stats = `'{"numRecords":' || (1000 + i % 37) || ',"minValues":{"id":' || i * 1000 || ',"seen":"2026-01-01T00:00:00.' || lpad((i % 1000)::VARCHAR, 3, '0') || 'Z","amount":' || (i % 977) || '.25,"country":"AT"},"maxValues":{"id":' || (i * 1000 + 999) || ',"seen":"2026-01-02T00:00:00.' || lpad((i % 1000)::VARCHAR, 3, '0') || 'Z","amount":' || (i % 977 + 1000) || '.75,"country":"US"},"nullCount":{"id":0,"seen":0,"amount":' || (i % 3) || ',"country":0}}'`
await connection.run(`COPY (
  SELECT {minReaderVersion: 1::INTEGER, minWriterVersion: 2::INTEGER} AS protocol,
         {id: 'x', format: {provider: 'parquet'}, schemaString: '${schemaString}', partitionColumns: ['day'], configuration: MAP {}::MAP(VARCHAR, VARCHAR)} AS "metaData",
         NULL::STRUCT(path VARCHAR, "partitionValues" MAP(VARCHAR, VARCHAR), size BIGINT, "modificationTime" BIGINT, "dataChange" BOOLEAN, stats VARCHAR) AS add
  UNION ALL
  SELECT NULL, NULL, {path: 'day=' || d || '/part-' || lpad((i % 100000)::VARCHAR, 5, '0') || '-' || uuid() || '.c000.snappy.parquet',
         'partitionValues': MAP {'day': d::VARCHAR}, size: 1000000 + i, 'modificationTime': 1700000000000 + i, 'dataChange': false, stats: ${stats}}
  FROM (SELECT i, DATE '2020-01-01' + (i % 1000)::INTEGER AS d FROM range(${count}) t(i)))
  TO '${checkpoint}' (FORMAT parquet)`)

const addLine = (path) =>
  JSON.stringify({
    add: {
      path,
      partitionValues: { day: '2026-01-01' },
      size: 1,
      modificationTime: 1,
      dataChange: true,
      stats: '{"numRecords":1,"minValues":{"id":-5},"maxValues":{"id":-5},"nullCount":{"id":0}}',
    },
  })
const memory = () => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
const timed = async (work) => {
  const start = performance.now()
  const value = await work()
  return { value, ms: performance.now() - start }
}
const wanted = BigInt(count - 3) * 1000n

const store = new LocalStore(lake)
const results = {}

async function ours() {
  const before = memory()
  const loaded = await timed(() => loadSnapshot(store, connection, 'silver/events', null))
  const bytes = memory() - before
  writeFileSync(join(log, `${version(11)}.json`), `${addLine('first.parquet')}\n`)
  const warm = await timed(() => refreshSnapshot(store, loaded.value))
  writeFileSync(join(log, `${version(12)}.json`), `${addLine('second.parquet')}\n`)
  const refreshed = await timed(() => refreshSnapshot(store, warm.value))
  const predicate = {
    kind: 'compare',
    operator: '>=',
    term: { kind: 'column', path: ['id'] },
    value: { type: scalarType('BIGINT'), value: wanted },
  }
  const first = await timed(() => planScan(refreshed.value, predicate))
  const again = await timed(() => planScan(refreshed.value, predicate))
  if (again.value.files.length !== 3)
    throw new Error(`${again.value.files.length} files instead of 3`)
  const everything = memory() - before
  return {
    'load from checkpoint, ms': loaded.ms,
    'bytes a file': bytes / count,
    'bytes a file once queried and refreshed': everything / count,
    'first refresh by a commit, ms': warm.ms,
    'refresh by a commit, ms': refreshed.ms,
    'first predicate on a column, ms': first.ms,
    'predicate, ms': again.ms,
  }
}

async function plain() {
  const before = memory()
  const load = async () => {
    const rows = await connection.query(
      `SELECT to_json(add)::VARCHAR FROM read_parquet('${checkpoint}') WHERE add IS NOT NULL`,
    )
    const files = new Map()
    for (const [text] of rows) {
      const add = JSON.parse(text)
      const path = `silver/events/${decodeURIComponent(add.path)}`
      files.set(path, { add, path })
    }
    return files
  }
  const loaded = await timed(load)
  const bytes = memory() - before
  const refreshed = await timed(() => {
    const files = new Map([...loaded.value.values()].map((file) => [file.path, file]))
    const { add } = JSON.parse(addLine('second.parquet'))
    files.set(add.path, { add, path: add.path })
    return files
  })
  const predicate = await timed(() =>
    [...refreshed.value.values()].filter(({ add }) => {
      const quoted = add.stats.replace(
        /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
        (token) => (token.startsWith('"') ? token : `"${token}"`),
      )
      return BigInt(JSON.parse(quoted).maxValues.id) >= wanted
    }),
  )
  if (predicate.value.length !== 3) throw new Error(`${predicate.value.length} files instead of 3`)
  return {
    'load from checkpoint, ms': loaded.ms,
    'bytes a file': bytes / count,
    'bytes a file once queried and refreshed': (memory() - before) / count,
    'first refresh by a commit, ms': refreshed.ms,
    'refresh by a commit, ms': refreshed.ms,
    'first predicate on a column, ms': predicate.ms,
    'predicate, ms': predicate.ms,
  }
}

try {
  results.ours = await ours()
  results.plain = await plain()
  console.info(`${count} files`)
  for (const [name, value] of Object.entries(results.ours)) {
    const other = results.plain[name]
    console.info(
      `${name.padEnd(42)} ${value.toFixed(1).padStart(10)}  plain ${other.toFixed(1).padStart(10)}  ratio ${(value / other).toFixed(4)}`,
    )
  }
} finally {
  connection.close()
  await engine.close()
  rmSync(lake, { recursive: true, force: true })
}
