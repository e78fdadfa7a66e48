/**
 * Values: multi-row INSERTs as ORMs send them, by parameters and by literals, through the gateway and
 * into PostgreSQL with fsync on the same disk.
 *
 * Run: `npm run build && node bench/values.mjs`. Prints the best of three, in milliseconds, and ratios.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'lakegate-values-'))
const COLUMNS = '(a int, b text, c numeric(10,2), d timestamptz, e boolean)'

const row = (i) => [i, `row ${i}`, `${i}.25`, '2026-01-02 03:04:05+00', i % 2 === 0]

function statements(table, count) {
  const rows = Array.from({ length: count }, (_, i) => row(i))
  const places = rows.map((_, i) => `(${[1, 2, 3, 4, 5].map((j) => `$${5 * i + j}`).join(', ')})`)
  const literals = rows.map(([a, b, c, d, e]) => `(${a}, '${b}', ${c}, '${d}', ${e})`)
  return {
    parameters: { text: `INSERT INTO ${table} VALUES ${places.join(', ')}`, values: rows.flat() },
    literals: { text: `INSERT INTO ${table} VALUES ${literals.join(', ')}` },
  }
}

async function best(client, query, count) {
  let leastMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < 3; i++) {
    const started = performance.now()
    const { rowCount } = await client.query(query)
    if (rowCount !== count) throw new Error(`${rowCount} of ${count} rows`)
    leastMs = Math.min(leastMs, performance.now() - started)
  }
  return leastMs
}

async function connect(port, database) {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
  await client.connect()
  return client
}

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
try {
  if (bin !== undefined) postgres = await startPostgres(bin, work, '-c fsync=on')
  else console.log('skipped: no PostgreSQL server on this machine')
  const ours = await connect(gateway.port, 'lake')
  const theirs = postgres === undefined ? undefined : await connect(postgres.port, 'postgres')
  await ours.query(`CREATE TABLE bronze.v ${COLUMNS}`)
  await theirs?.query(`CREATE TABLE v ${COLUMNS}`)
  for (const count of [10, 100, 1000, 13_107]) {
    for (const kind of ['parameters', 'literals']) {
      const mine = await best(ours, statements('bronze.v', count)[kind], count)
      const parts = [`gateway ${mine.toFixed(0)} ms`]
      if (theirs !== undefined) {
        const other = await best(theirs, statements('v', count)[kind], count)
        parts.push(`PostgreSQL ${other.toFixed(0)} ms (ratio ${(mine / other).toFixed(1)})`)
      }
      console.log(`${count} rows of 5 columns by ${kind}: ${parts.join(', ')}`)
    }
  }
  await ours.end()
  await theirs?.end()
} finally {
  gateway.stop?.()
  postgres?.stop?.()
  rmSync(work, { recursive: true, force: true })
}
