/**
 * Commits: single-row INSERTs a second with 1 and 16 clients, through the gateway against delta-rs
 * appends and against PostgreSQL with fsync, all on the same disk.
 *
 * Run: `npm run build && node bench/commits.mjs [seconds]` (5 unless given). delta-rs runs where
 * `python3` (or `PYTHON`) has the module `deltalake`, as a loop of appends by one writer and by 16
 * threads. Prints commits a second and ratios, and what the gateway's table looks like afterwards.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const seconds = Number(process.argv[2] ?? 5)
const work = mkdtempSync(join(tmpdir(), 'lakegate-commits-'))

async function inserts(port, database, table, clients) {
  const connections = await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
      await client.connect()
      return client
    }),
  )
  const until = performance.now() + seconds * 1000
  let done = 0
  await Promise.all(
    connections.map(async (client, number) => {
      for (let i = 0; performance.now() < until; i++) {
        await client.query(`INSERT INTO ${table} VALUES ($1, $2)`, [
          number * 1_000_000 + i,
          `row ${i}`,
        ])
        done++
      }
    }),
  )
  const [{ n }] = (await connections[0].query(`SELECT count(*) AS n FROM ${table}`)).rows
  if (Number(n) !== done) throw new Error(`${done} rows were acknowledged, ${n} are there`)
  for (const client of connections) await client.end()
  return done / seconds
}

const DELTA_RS = `
import sys, time, threading
import pyarrow as pa
from deltalake import write_deltalake, DeltaTable
path, clients, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
row = lambda i: pa.table({"id": pa.array([i], pa.int64()), "name": ["row %d" % i]})
write_deltalake(path, row(0).slice(0, 0))
until = time.time() + seconds
done = [0] * clients
def work(number):
    i = 0
    while time.time() < until:
        try:
            write_deltalake(path, row(number * 1000000 + i), mode="append")
            done[number] += 1
        except Exception as e:
            print(e, file=sys.stderr)
        i += 1
threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
for t in threads: t.start()
for t in threads: t.join()
print(sum(done) / seconds)
`

function deltaRs(clients) {
  const ran = spawnSync(
    process.env.PYTHON ?? 'python3',
    ['-c', DELTA_RS, join(work, `delta-rs-${clients}`), String(clients), String(seconds)],
    { encoding: 'utf8' },
  )
  return ran.status === 0 ? Number(ran.stdout.trim()) : undefined
}

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
try {
  if (bin !== undefined) postgres = await startPostgres(bin, work, '-c fsync=on')
  else console.log('skipped: no PostgreSQL server on this machine')
  for (const clients of [1, 16]) {
    const admin = new pg.Client({
      host: '127.0.0.1',
      port: gateway.port,
      user: 'lakegate',
      database: 'lake',
    })
    await admin.connect()
    await admin.query(`CREATE TABLE bronze.t${clients} (id bigint, name text)`)
    await admin.end()
    const ours = await inserts(gateway.port, 'lake', `bronze.t${clients}`, clients)
    const versions = readdirSync(join(work, `lake/bronze/t${clients}/_delta_log`)).filter((name) =>
      /^\d{20}\.json$/.test(name),
    ).length
    const parts = [`gateway ${ours.toFixed(0)} a second in ${versions} versions`]
    if (postgres !== undefined) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: postgres.port,
        user: 'lakegate',
        database: 'postgres',
      })
      await client.connect()
      await client.query(`CREATE TABLE t${clients} (id bigint, name text)`)
      await client.end()
      const theirs = await inserts(postgres.port, 'postgres', `t${clients}`, clients)
      parts.push(`PostgreSQL ${theirs.toFixed(0)} (ratio ${(ours / theirs).toFixed(3)})`)
    }
    const rust = deltaRs(clients)
    if (rust === undefined) parts.push('delta-rs is not installed')
    else parts.push(`delta-rs ${rust.toFixed(1)} (ratio ${(ours / rust).toFixed(2)})`)
    console.log(`${clients} clients: ${parts.join(', ')}`)
  }
} finally {
  gateway.stop?.()
  postgres?.stop?.()
  rmSync(work, { recursive: true, force: true })
}
