/**
 * Export: tables of five shapes are read whole through the gateway, as text, as binary and by COPY,
 * against PostgreSQL over the same rows and against DuckDB alone over the same Parquet files.
 *
 * Run: `npm run build && node bench/export.mjs [rows] [rounds] [shape,…]` (2,000,000 rows of the
 * mixed shape, others in proportion; 5 rounds). Every contestant and the client are processes of
 * their own. Prints ratios, of time and of processor time, and the gateway's peak memory; fails when
 * one of them gives another number of rows. The client throws away what it reads, so that it is
 * never what is waited for.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const size = Number(process.argv[2] ?? 2_000_000)
const rounds = Number(process.argv[3] ?? 5)
const wanted = process.argv[4]?.split(',')
const work = mkdtempSync(join(tmpdir(), 'lakegate-export-'))

const MIXED = `i::bigint AS id, (i % 200000)::int AS part, (i % 7)::smallint AS line, (i % 50)::int AS quantity,
  (i * 7919 % 10000000 / 100.0)::numeric(15,2) AS price, (i % 11 / 100.0)::numeric(15,2) AS discount,
  (i % 1000) / 8.0::float8 AS weight, ((i % 100) / 4.0)::real AS score, i % 3 = 0 AS active,
  chr((65 + i % 3)::int) AS flag, CASE WHEN i % 10 = 0 THEN NULL ELSE 'O' END AS state,
  date '1992-01-01' + (i % 2500)::int AS shipped, timestamp '2020-01-01' + (i % 100000000) * interval '1 second' AS seen,
  timestamptz '2020-01-01 00:00:00+00' + (i % 100000000) * interval '1 second' AS stored,
  CASE i % 4 WHEN 0 THEN 'AIR' WHEN 1 THEN 'RAIL' WHEN 2 THEN 'SHIP' ELSE 'TRUCK' END AS mode,
  'carefully final deposits number ' || i AS comment`

/** Select lists by shape, how many rows of it, and how much faster than PostgreSQL it is to be. */
const SHAPES = {
  integers: {
    share: 3,
    aim: 3,
    list: `i::bigint AS a, (i * 7919 % 1000000007)::int AS b, (i % 1000)::int AS c, (-i % 2000000)::int AS d`,
  },
  mixed: { share: 1, aim: 2, list: MIXED },
  'wide strings': {
    share: 0.5,
    aim: 1,
    list: `i::bigint AS id, repeat(md5(i::text), 3) AS a, md5((i + 1)::text) || md5((i + 2)::text) AS b,
      'a note of some length about the row with the number ' || i AS c, repeat(md5((i * 3)::text), 3) AS d`,
  },
  timestamps: {
    share: 2,
    aim: 3,
    list: `timestamp '2020-01-01' + (i * 7919 % 100000000) * interval '1 second' AS a,
      timestamp '2021-01-01' + i * interval '1.234 second' AS b,
      timestamptz '2020-01-01 00:00:00+00' + i * interval '1 second' AS c`,
  },
  nulls: {
    share: 1,
    aim: 2,
    list: `i::bigint AS id, CASE WHEN i % 2 = 0 THEN (i % 50)::int END AS quantity,
      CASE WHEN i % 3 > 0 THEN (i * 7919 % 10000000 / 100.0)::numeric(15,2) END AS price,
      CASE WHEN i % 5 > 1 THEN date '1992-01-01' + (i % 2500)::int END AS shipped,
      CASE WHEN i % 4 > 0 THEN 'carefully final deposits number ' || i END AS comment,
      CASE WHEN i % 5 > 2 THEN (i % 1000) / 8.0::float8 END AS weight, (i % 7)::smallint AS line`,
  },
}

const drain = (...args) =>
  JSON.parse(execFileSync(process.execPath, [join(here, 'drain.mjs'), ...args.map(String)]))
const bare = (sql) =>
  JSON.parse(execFileSync(process.execPath, [join(here, 'bare.mjs'), sql, 'chunks']))
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

/** Ticks of processor time that a process, or the children it has seen end, have used. */
function ticks(pid, ofChildren) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ofChildren
    ? Number(fields[13]) + Number(fields[14])
    : Number(fields[11]) + Number(fields[12])
}

async function connect(port, database) {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
  await client.connect()
  return client
}

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
let postmaster = 0
try {
  if (bin === undefined) console.log('skipped: no PostgreSQL server on this machine')
  else {
    postgres = await startPostgres(bin, work, '-c fsync=off -c shared_buffers=2GB')
    postmaster = Number(readFileSync(join(work, 'pg/postmaster.pid'), 'utf8').split('\n')[0])
  }
  console.log(`medians of ${rounds} interleaved rounds`)
  console.log(
    'shape, format: PostgreSQL time / ours (aim); processor time / ours; ours / bare DuckDB',
  )
  for (const [shape, { share, aim, list }] of Object.entries(SHAPES)) {
    if (wanted !== undefined && !wanted.includes(shape)) continue
    const rows = Math.round(size * share)
    const select = `SELECT ${list} FROM generate_series(1::bigint, ${rows}::bigint) i`
    const name = shape.replace(' ', '_')
    const lake = await connect(gateway.port, 'lake')
    await lake.query(`CREATE TABLE gold.${name} AS ${select}`)
    await lake.end()
    if (postgres !== undefined) {
      const admin = await connect(postgres.port, 'postgres')
      await admin.query(`CREATE UNLOGGED TABLE ${name} AS ${select}`)
      await admin.query(`VACUUM ANALYZE ${name}`)
      await admin.end()
    }
    const files = join(work, `lake/gold/${name}/*.parquet`)
    const contestants = { bare: () => bare(`SELECT * FROM read_parquet('${files}')`) }
    const formats = shape === 'mixed' ? ['text', 'binary', 'copy'] : ['text', 'binary']
    for (const format of formats) {
      const sql = (table) =>
        format === 'copy' ? `COPY ${table} TO STDOUT` : `SELECT * FROM ${table}`
      contestants[`gateway ${format}`] = () => {
        const before = ticks(gateway.pid, false)
        const done = drain(gateway.port, 'lake', format, sql(`gold.${name}`))
        return { ...done, ticks: ticks(gateway.pid, false) - before }
      }
      if (postgres === undefined) continue
      contestants[`PostgreSQL ${format}`] = () => {
        const before = ticks(postmaster, true)
        const done = drain(postgres.port, 'postgres', format, sql(name))
        // The backend ends a moment after its client has left.
        spawnSync('sleep', ['0.1'])
        return { ...done, ticks: ticks(postmaster, true) - before }
      }
    }
    const results = Object.fromEntries(Object.keys(contestants).map((key) => [key, []]))
    for (let round = 0; round < rounds; round++) {
      for (const [key, contest] of Object.entries(contestants)) {
        const result = contest()
        if (result.rows !== rows) throw new Error(`${key} gave ${result.rows} rows of ${shape}`)
        results[key].push(result)
      }
    }
    const time = (key) => median(results[key].map(({ seconds }) => seconds))
    const work_ = (key) => median(results[key].map((result) => result.ticks))
    for (const format of formats) {
      const ours = `gateway ${format}`
      const theirs = `PostgreSQL ${format}`
      const parts = [`${shape}, ${format}:`]
      if (theirs in results) {
        parts.push(`${(time(theirs) / time(ours)).toFixed(2)} (${aim});`)
        parts.push(`${(work_(theirs) / work_(ours)).toFixed(2)};`)
      }
      parts.push((time(ours) / time('bare')).toFixed(2))
      console.log(parts.join(' '))
    }
  }
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]
  console.log(`peak memory of the gateway: ${Math.round(Number(peak) / 1024)} MB`)
} finally {
  gateway.stop()
  postgres?.stop()
  spawnSync('rm', ['-rf', work])
}
