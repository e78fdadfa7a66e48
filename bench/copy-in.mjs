/**
 * Copy in: a table of 16 columns is filled by COPY FROM STDIN in csv and in binary, against
 * PostgreSQL's COPY into an unlogged heap table and against DuckDB alone reading the same csv file
 * and writing it as Parquet.
 *
 * Run: `npm run build && node bench/copy-in.mjs [rows] [rounds]` (2,000,000 and 3 unless given). Every
 * contestant and the client are processes of their own. Prints rows per second, ratios and the
 * gateway's peak memory; fails when one of them takes another number of rows.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { createWriteStream, mkdtempSync, readFileSync, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const rows = Number(process.argv[2] ?? 2_000_000)
const rounds = Number(process.argv[3] ?? 3)
const work = mkdtempSync(join(tmpdir(), 'lakegate-copy-in-'))

const COLUMNS = [
  ['id', 'bigint', 'BIGINT'],
  ['part', 'int', 'INTEGER'],
  ['line', 'smallint', 'SMALLINT'],
  ['quantity', 'int', 'INTEGER'],
  ['price', 'numeric(15,2)', 'DECIMAL(15,2)'],
  ['discount', 'numeric(15,2)', 'DECIMAL(15,2)'],
  ['weight', 'double precision', 'DOUBLE'],
  ['score', 'real', 'FLOAT'],
  ['active', 'boolean', 'BOOLEAN'],
  ['flag', 'text', 'VARCHAR'],
  ['state', 'text', 'VARCHAR'],
  ['shipped', 'date', 'DATE'],
  ['seen', 'timestamp', 'TIMESTAMP'],
  ['stored', 'timestamptz', 'TIMESTAMPTZ'],
  ['mode', 'text', 'VARCHAR'],
  ['comment', 'text', 'VARCHAR'],
]

const SELECT = `SELECT i::bigint AS id, (i % 200000)::int AS part, (i % 7)::smallint AS line, (i % 50)::int AS quantity,
  (i * 7919 % 10000000 / 100.0)::numeric(15,2) AS price, (i % 11 / 100.0)::numeric(15,2) AS discount,
  (i % 1000) / 8.0::float8 AS weight, ((i % 100) / 4.0)::real AS score, i % 3 = 0 AS active,
  chr((65 + i % 3)::int) AS flag, CASE WHEN i % 10 = 0 THEN NULL ELSE 'O' END AS state,
  date '1992-01-01' + (i % 2500)::int AS shipped, timestamp '2020-01-01' + (i % 100000000) * interval '1 second' AS seen,
  timestamptz '2020-01-01 00:00:00+00' + (i % 100000000) * interval '1 second' AS stored,
  CASE i % 4 WHEN 0 THEN 'AIR' WHEN 1 THEN 'RAIL' WHEN 2 THEN 'SHIP' ELSE 'TRUCK' END AS mode,
  'carefully final deposits number ' || i AS comment
  FROM generate_series(1::bigint, ${rows}::bigint) i`

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
const run = (script, ...args) => {
  const output = execFileSync(process.execPath, [join(here, script), ...args.map(String)])
  const result = JSON.parse(output.toString())
  if (result.rows !== rows) throw new Error(`${script} took ${result.rows} rows`)
  return result.seconds
}

/** What COPY TO STDOUT sends, in a file. */
async function save(port, database, sql, path) {
  const file = createWriteStream(path)
  const end = promisify(file.end.bind(file))
  const socket = net.connect(port, '127.0.0.1')
  const startup = Buffer.from(`\0\x03\0\0user\0lakegate\0database\0${database}\0\0`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(startup.length + 4)
  socket.write(Buffer.concat([length, startup]))
  let pending = Buffer.alloc(0)
  let asked = false
  for await (const bytes of socket) {
    pending = Buffer.concat([pending, bytes])
    let at = 0
    const parts = []
    let done = false
    while (pending.length - at >= 5 && pending.length - at > pending.readInt32BE(at + 1)) {
      const type = String.fromCharCode(pending[at])
      const next = at + 1 + pending.readInt32BE(at + 1)
      if (type === 'd') parts.push(pending.subarray(at + 5, next))
      if (type === 'E') throw new Error(pending.toString('latin1', at, next))
      if (type === 'Z' && asked) done = true
      if (type === 'Z' && !asked) {
        asked = true
        const query = Buffer.from(`Q\0\0\0\0${sql}\0`)
        query.writeInt32BE(query.length - 1, 1)
        socket.write(query)
      }
      at = next
    }
    if (parts.length > 0 && !file.write(Buffer.concat(parts))) {
      await new Promise((drained) => file.once('drain', drained))
    }
    pending = pending.subarray(at)
    if (done) break
  }
  await end()
}

const connect = async (port, database) => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
  await client.connect()
  return client
}
const table = (name) =>
  `${name} (${COLUMNS.map(([column, type]) => `${column} ${type}`).join(', ')})`

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
const client = await connect(gateway.port, 'lake')
let admin
try {
  await client.query(`CREATE TABLE gold.source AS ${SELECT}`)
  const csv = join(work, 'rows.csv')
  const binary = join(work, 'rows.bin')
  await save(gateway.port, 'lake', 'COPY gold.source TO STDOUT (FORMAT csv)', csv)
  await save(gateway.port, 'lake', 'COPY gold.source TO STDOUT (FORMAT binary)', binary)
  let tables = 0
  const intoLake = async (path, format) => {
    const name = `gold.items${++tables}`
    await client.query(`CREATE TABLE ${table(name)}`)
    const sql = `COPY ${name} FROM STDIN (FORMAT ${format})`
    const seconds = run('feed.mjs', gateway.port, 'lake', path, sql)
    await client.query(`DROP TABLE ${name}`)
    return seconds
  }
  const columns = `{${COLUMNS.map(([name, , type]) => `${name}: '${type}'`).join(', ')}}`
  const contestants = {
    'DuckDB, csv to Parquet': () =>
      run('csv-to-parquet.mjs', csv, join(work, 'duckdb.parquet'), columns),
    'gateway, csv': () => intoLake(csv, 'csv'),
    'gateway, binary': () => intoLake(binary, 'binary'),
  }
  if (bin === undefined) console.log('skipped: no PostgreSQL server on this machine')
  else {
    postgres = await startPostgres(
      bin,
      work,
      '-c fsync=off -c shared_buffers=2GB -c max_wal_size=8GB',
    )
    admin = await connect(postgres.port, 'postgres')
    const into = async (path, format) => {
      await admin.query(`DROP TABLE IF EXISTS items; CREATE UNLOGGED TABLE ${table('items')}`)
      const sql = `COPY items FROM STDIN (FORMAT ${format})`
      return run('feed.mjs', postgres.port, 'postgres', path, sql)
    }
    contestants['PostgreSQL, csv'] = () => into(csv, 'csv')
    contestants['PostgreSQL, binary'] = () => into(binary, 'binary')
  }
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, contest] of Object.entries(contestants)) times[name].push(await contest())
  }
  console.log(
    `${rows} rows, 16 columns, ${Math.round(statSync(csv).size / 1e6)} MB of csv; median of ${rounds} interleaved rounds`,
  )
  const base = median(times['DuckDB, csv to Parquet'])
  for (const [name, list] of Object.entries(times)) {
    const seconds = median(list)
    console.log(
      `${name}: ${Math.round(rows / seconds / 1000)} thousand rows per second, ${(seconds / base).toFixed(2)} times bare DuckDB`,
    )
  }
  for (const kind of ['csv', 'binary']) {
    const other = times[`PostgreSQL, ${kind}`]
    if (other === undefined) continue
    const ratio = median(times[`gateway, ${kind}`]) / median(other)
    console.log(`${kind}: the gateway takes ${ratio.toFixed(2)} times PostgreSQL's time`)
  }
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]
  console.log(`peak memory of the gateway: ${Math.round(Number(peak) / 1024)} MB`)
} finally {
  await client.end()
  await admin?.end()
  gateway.stop()
  postgres?.stop()
  spawnSync('rm', ['-rf', work])
}
