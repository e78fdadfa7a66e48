/**
 * What the gateway costs over bare DuckDB: a table is streamed out of DuckDB in this process and
 * discarded, then through the gateway over TCP as text and as binary. Prints ratios of time, the
 * gateway's against DuckDB's, and the peak memory. Run: `npm run build && node bench/export.mjs [rows]`.
 */

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Gateway } from '../dist/planner/gateway.js'
import { readConfig } from '../dist/server/config.js'
import { listen } from '../dist/server/listener.js'
import { Engine } from '../dist/storage/engine.js'
import { LocalStore } from '../dist/storage/local-store.js'

const rows = Number(process.argv[2] ?? 2_000_000)
const lake = mkdtempSync(join(tmpdir(), 'lakegate-bench-'))
const table = join(lake, 'gold', 'items')
mkdirSync(join(table, '_delta_log'), { recursive: true })
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()
const file = join(table, 'part-0.parquet')
await connection.run(`COPY (
  SELECT i::BIGINT AS id, (i % 200000)::INTEGER AS part, (i % 7)::INTEGER AS line, (i % 50)::INTEGER AS quantity,
         (hash(i) % 10000000 / 100.0)::DECIMAL(15,2) AS price, (i % 11 / 100.0)::DECIMAL(15,2) AS discount,
         chr((65 + i % 3)::INTEGER) AS flag, chr((70 + i % 2)::INTEGER) AS state,
         DATE '1992-01-01' + (i % 2500)::INTEGER AS shipped, TIMESTAMP '2020-01-01' + to_seconds(i) AS seen,
         ['AIR','RAIL','SHIP','TRUCK'][(i % 4 + 1)::INTEGER] AS mode, 'carefully final deposits number ' || i AS comment
  FROM range(${rows}) t(i)) TO '${file}' (FORMAT parquet)`)
const field = (name, type) => ({ name, type, nullable: true, metadata: {} })
const fields = [
  field('id', 'long'),
  field('part', 'integer'),
  field('line', 'integer'),
  field('quantity', 'integer'),
  field('price', 'decimal(15,2)'),
  field('discount', 'decimal(15,2)'),
  field('flag', 'string'),
  field('state', 'string'),
  field('shipped', 'date'),
  field('seen', 'timestamp_ntz'),
  field('mode', 'string'),
  field('comment', 'string'),
]
const log = [
  {
    protocol: {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['timestampNtz'],
      writerFeatures: ['timestampNtz'],
    },
  },
  {
    metaData: {
      id: 'bench',
      format: { provider: 'parquet', options: {} },
      schemaString: JSON.stringify({ type: 'struct', fields }),
      partitionColumns: [],
      configuration: {},
    },
  },
  {
    add: {
      path: 'part-0.parquet',
      partitionValues: {},
      size: statSync(file).size,
      modificationTime: 0,
      dataChange: true,
    },
  },
]
writeFileSync(
  join(table, '_delta_log', `${'0'.repeat(20)}.json`),
  log.map((action) => JSON.stringify(action)).join('\n'),
)

const gateway = await Gateway.open({
  store: new LocalStore(lake),
  engine,
  database: 'lake',
  snapshotCacheBytes: 1e8,
})
const config = readConfig(['--port=0', '--http-port=0', '--shutdown-timeout-ms=0'], {})
const listener = await listen(config, gateway, console.error)

async function bare() {
  const prepared = await connection.prepare(`SELECT * FROM read_parquet('${file}')`)
  const stream = await prepared.stream()
  while ((await stream.next()) !== null);
  prepared.destroy()
}

function message(type, body) {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function through(format) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(listener.port, '127.0.0.1')
    const startup = Buffer.from('\0\x03\0\0user\0lakegate\0database\0lake\0\0', 'latin1')
    const length = Buffer.alloc(4)
    length.writeInt32BE(startup.length + 4)
    let sent = false
    let bytes = 0
    let tail = Buffer.alloc(0)
    socket.on('connect', () => socket.write(Buffer.concat([length, startup])))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      bytes += chunk.length
      tail = Buffer.concat([tail, chunk]).subarray(-6)
      if (!tail.equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return
      if (sent) {
        socket.destroy()
        resolve(bytes)
        return
      }
      sent = true
      bytes = 0
      socket.write(
        Buffer.concat([
          message('P', Buffer.from('\0SELECT * FROM gold.items\0\0\0')),
          message('B', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, format])),
          message('E', Buffer.from([0, 0, 0, 0, 0])),
          message('S', Buffer.alloc(0)),
        ]),
      )
    })
  })
}

async function timed(run) {
  const started = performance.now()
  await run()
  return (performance.now() - started) / 1000
}

const times = { bare: [], text: [], binary: [] }
await bare()
for (let round = 0; round < 3; round++) {
  times.bare.push(await timed(bare))
  times.text.push(await timed(() => through(0)))
  times.binary.push(await timed(() => through(1)))
}
const median = (list) => [...list].sort((a, b) => a - b)[1]
console.log(`${rows} rows, 12 columns; median of 3 interleaved rounds`)
console.log(`bare DuckDB stream, discarded: ${median(times.bare).toFixed(2)} s`)
for (const kind of ['text', 'binary']) {
  console.log(
    `gateway, ${kind}: ${median(times[kind]).toFixed(2)} s, ${(median(times[kind]) / median(times.bare)).toFixed(2)} times bare DuckDB`,
  )
}
console.log(`peak memory of the process: ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`)
await listener.close()
await engine.close()
rmSync(lake, { recursive: true, force: true })
