/**
 * What reading the keys of a small dimension beforehand saves: facts in one file a day, joined with
 * the days that are holidays. Prints milliseconds of the gateway with the setting on and off, and of
 * DuckDB over all files. Run: `npm run build && node bench/join-pruning.mjs [files] [rows a file]`.
 */

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { Engine } from '../dist/storage/engine.js'
import { startGateway } from '../test/support/servers.mjs'

const count = Number(process.argv[2] ?? 1000)
const rows = Number(process.argv[3] ?? 20_000)
const rounds = Number(process.argv[4] ?? 7)
const work = mkdtempSync(join(tmpdir(), 'lakegate-bench-'))
const lake = join(work, 'lake')
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()

const field = (name, type) => ({ name, type, nullable: true, metadata: {} })
function writeTable(name, fields, files) {
  const log = join(lake, 'silver', name, '_delta_log')
  mkdirSync(log, { recursive: true })
  const actions = [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    {
      metaData: {
        id: name,
        format: { provider: 'parquet', options: {} },
        schemaString: JSON.stringify({ type: 'struct', fields }),
        partitionColumns: [],
        configuration: {},
      },
    },
    ...files.map(({ path, stats }) => ({
      add: {
        path,
        partitionValues: {},
        size: statSync(join(lake, 'silver', name, path)).size,
        modificationTime: 1,
        stats: JSON.stringify(stats),
      },
    })),
  ]
  writeFileSync(
    join(log, '00000000000000000000.json'),
    actions.map((action) => `${JSON.stringify(action)}\n`).join(''),
  )
}

const dayOf = (i) => new Date(Date.UTC(2024, 0, 1) + i * 86_400_000).toISOString().slice(0, 10)
mkdirSync(join(lake, 'silver', 'facts'), { recursive: true })
mkdirSync(join(lake, 'silver', 'days'), { recursive: true })
const facts = []
for (let i = 0; i < count; i++) {
  const day = dayOf(i)
  const path = `part-${i}.parquet`
  await connection.run(
    `COPY (SELECT DATE '${day}' AS day, (i * 7 + ${i}) % 100000 AS customer, i * 1.5 AS amount, 'note ' || (i % 1000) AS note
           FROM range(${rows}) t(i)) TO '${join(lake, 'silver', 'facts', path)}' (FORMAT parquet)`,
  )
  facts.push({
    path,
    stats: {
      numRecords: rows,
      minValues: { day },
      maxValues: { day },
      nullCount: { day: 0 },
    },
  })
}
await connection.run(
  `COPY (SELECT DATE '2024-01-01' + i::INTEGER AS day, i % 40 = 7 AS holiday, 'day ' || i AS label
         FROM range(${count}) t(i)) TO '${join(lake, 'silver', 'days', 'part-0.parquet')}' (FORMAT parquet)`,
)
writeTable(
  'facts',
  [
    field('day', 'date'),
    field('customer', 'long'),
    field('amount', 'double'),
    field('note', 'string'),
  ],
  facts,
)
writeTable(
  'days',
  [field('day', 'date'), field('holiday', 'boolean'), field('label', 'string')],
  [{ path: 'part-0.parquet', stats: { numRecords: count } }],
)

const gateway = await startGateway(
  new URL('../dist/server/main.js', import.meta.url).pathname,
  work,
)
const client = new pg.Client({
  host: '127.0.0.1',
  port: gateway.port,
  user: 'lakegate',
  database: 'lake',
})
try {
  await client.connect()
  const query = (facts, days) =>
    `SELECT d.label, sum(f.amount) AS s, max(f.note) AS n FROM ${facts} f JOIN ${days} d ON f.day = d.day WHERE d.holiday GROUP BY d.label ORDER BY d.label`
  const median = async (name, work) => {
    const times = []
    let answer
    for (let i = 0; i <= rounds; i++) {
      const start = performance.now()
      answer = await work()
      if (i > 0) times.push(performance.now() - start)
    }
    const ms = times.sort((a, b) => a - b)[Math.floor(times.length / 2)]
    console.info(`${name.padEnd(44)} ${ms.toFixed(1).padStart(9)} ms`)
    return { ms, answer }
  }
  const own = query('silver.facts', 'silver.days')
  const { rows: plan } = await client.query(`EXPLAIN ${own}`)
  for (const line of plan.slice(0, 2)) console.info(line['QUERY PLAN'])
  const on = await median('gateway, join pruning on', async () => (await client.query(own)).rows)
  await client.query('SET lakegate.join_pruning = off')
  const off = await median('gateway, join pruning off', async () => (await client.query(own)).rows)
  const all = (name) => `read_parquet('${join(lake, 'silver', name)}/*.parquet')`
  const bare = await median('DuckDB over all files', () =>
    connection.query(query(all('facts'), all('days'))),
  )
  if (JSON.stringify(on.answer) !== JSON.stringify(off.answer)) throw new Error('answers differ')
  if (on.answer.length !== bare.answer.length) throw new Error('DuckDB answers otherwise')
  console.info(
    `on, against off: ${(on.ms / off.ms).toFixed(3)}; against DuckDB over all files: ${(on.ms / bare.ms).toFixed(3)}`,
  )
  // What cannot profit: every day is asked for. By turns, since a machine is not always as fast.
  const full = own.replace('WHERE d.holiday', 'WHERE d.label IS NOT NULL')
  const times = { on: [], off: [] }
  for (let i = 0; i < rounds * 2; i++) {
    const setting = i % 2 === 0 ? 'off' : 'on'
    await client.query(`SET lakegate.join_pruning = ${setting}`)
    const start = performance.now()
    await client.query(full)
    times[setting].push(performance.now() - start)
  }
  const least = (list) => Math.min(...list)
  console.info(
    `all days, the fastest of each: on ${least(times.on).toFixed(1)} ms, off ${least(times.off).toFixed(1)} ms`,
  )
} finally {
  await client.end()
  gateway.stop()
  connection.close()
  await engine.close()
  rmSync(work, { recursive: true, force: true })
}
