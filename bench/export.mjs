/**
 * Export: a table of 16 columns is read whole through the gateway, as text, as binary and by COPY,
 * against DuckDB alone over the same Parquet files and against PostgreSQL over the same rows.
 *
 * Run: `npm run build && node bench/export.mjs [rows]` (10,000,000 unless given). Every contestant and
 * the client are processes of their own. Prints ratios and the gateway's peak memory; fails when
 * one of them gives another number of rows.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const rows = Number(process.argv[2] ?? 10_000_000)
const rounds = Number(process.argv[3] ?? 3)
const work = mkdtempSync(join(tmpdir(), 'lakegate-export-'))

const SELECT = `SELECT i::bigint AS id, (i % 200000)::int AS part, (i % 7)::smallint AS line, (i % 50)::int AS quantity,
  (i * 7919 % 10000000 / 100.0)::numeric(15,2) AS price, (i % 11 / 100.0)::numeric(15,2) AS discount,
  (i % 1000) / 8.0::float8 AS weight, ((i % 100) / 4.0)::real AS score, i % 3 = 0 AS active,
  chr((65 + i % 3)::int) AS flag, CASE WHEN i % 10 = 0 THEN NULL ELSE 'O' END AS state,
  date '1992-01-01' + (i % 2500)::int AS shipped, timestamp '2020-01-01' + (i % 100000000) * interval '1 second' AS seen,
  timestamptz '2020-01-01 00:00:00+00' + (i % 100000000) * interval '1 second' AS stored,
  CASE i % 4 WHEN 0 THEN 'AIR' WHEN 1 THEN 'RAIL' WHEN 2 THEN 'SHIP' ELSE 'TRUCK' END AS mode,
  'carefully final deposits number ' || i AS comment
  FROM generate_series(1::bigint, ${rows}::bigint) i`

const run = (script, ...args) => {
  const output = execFileSync(process.execPath, [join(here, script), ...args.map(String)])
  const result = JSON.parse(output.toString())
  if (result.rows !== rows) throw new Error(`${script} ${args[0]} gave ${result.rows} rows`)
  return result.seconds
}
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
try {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  await client.query(`CREATE TABLE gold.items AS ${SELECT}`)
  await client.end()
  const files = `read_parquet('${join(work, 'lake/gold/items/*.parquet')}')`
  const contestants = {
    'DuckDB, chunks thrown away': () => run('bare.mjs', `SELECT * FROM ${files}`, 'chunks'),
    'DuckDB, JavaScript values': () => run('bare.mjs', `SELECT * FROM ${files}`, 'values'),
    'gateway, text': () =>
      run('drain.mjs', gateway.port, 'lake', 'text', 'SELECT * FROM gold.items'),
    'gateway, binary': () =>
      run('drain.mjs', gateway.port, 'lake', 'binary', 'SELECT * FROM gold.items'),
    'gateway, COPY': () =>
      run('drain.mjs', gateway.port, 'lake', 'copy', 'COPY gold.items TO STDOUT'),
  }
  if (bin === undefined) console.log('skipped: no PostgreSQL server on this machine')
  else {
    postgres = await startPostgres(bin, work, '-c fsync=off -c shared_buffers=2GB')
    const admin = new pg.Client({
      host: '127.0.0.1',
      port: postgres.port,
      user: 'lakegate',
      database: 'postgres',
    })
    await admin.connect()
    await admin.query(`CREATE UNLOGGED TABLE items AS ${SELECT}`)
    await admin.query('VACUUM ANALYZE items')
    await admin.end()
    const from = (format, sql) => () => run('drain.mjs', postgres.port, 'postgres', format, sql)
    contestants['PostgreSQL, text'] = from('text', 'SELECT * FROM items')
    contestants['PostgreSQL, binary'] = from('binary', 'SELECT * FROM items')
    contestants['PostgreSQL, COPY'] = from('copy', 'COPY items TO STDOUT')
  }
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, contest] of Object.entries(contestants)) times[name].push(contest())
  }
  const base = median(times['DuckDB, chunks thrown away'])
  console.log(`${rows} rows, 16 columns; median of ${rounds} interleaved rounds`)
  for (const [name, list] of Object.entries(times)) {
    console.log(
      `${name}: ${median(list).toFixed(2)} s, ${(median(list) / base).toFixed(2)} times bare DuckDB`,
    )
  }
  for (const kind of ['text', 'binary', 'COPY']) {
    const other = times[`PostgreSQL, ${kind}`]
    if (other !== undefined) {
      console.log(
        `${kind}: the gateway takes ${(median(times[`gateway, ${kind}`]) / median(other)).toFixed(2)} times PostgreSQL's time`,
      )
    }
  }
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]
  console.log(`peak memory of the gateway: ${Math.round(Number(peak) / 1024)} MB`)
} finally {
  gateway.stop()
  postgres?.stop()
  spawnSync('rm', ['-rf', work])
}
