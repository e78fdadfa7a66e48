/**
 * The system catalogs of a lake of a thousand tables of thirty columns: start, memory, and what typical
 * statements take, first and from the second time on; beside it the same statements on a native
 * PostgreSQL with the same tables, where one is installed.
 *
 * node bench/catalog.mjs [tables] [columns]
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const tableCount = Number(process.argv[2] ?? 1000)
const columnCount = Number(process.argv[3] ?? 30)
const work = mkdtempSync(join(tmpdir(), 'lakegate-bench-catalog-'))
const TYPES = [
  ['long', 'bigint'],
  ['string', 'text'],
  ['decimal(12,2)', 'numeric(12,2)'],
  ['timestamp', 'timestamptz'],
  ['integer', 'integer'],
  ['date', 'date'],
]

/** Tables as another engine would leave them: one commit each, no rows. */
function makeLake() {
  for (let table = 0; table < tableCount; table++) {
    const log = join(work, 'lake', 'silver', `table_${table}`, '_delta_log')
    mkdirSync(log, { recursive: true })
    const fields = Array.from({ length: columnCount }, (_, i) => ({
      name: `column_${i}`,
      type: TYPES[i % TYPES.length][0],
      nullable: i > 0,
      metadata: i % 10 === 1 ? { comment: `what column ${i} is for` } : {},
    }))
    const actions = [
      {
        commitInfo: {
          timestamp: 1767225600000,
          operation: 'CREATE TABLE',
          operationParameters: {},
        },
      },
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      {
        metaData: {
          id: randomUUID(),
          format: { provider: 'parquet', options: {} },
          schemaString: JSON.stringify({ type: 'struct', fields }),
          partitionColumns: [],
          configuration: {},
          createdTime: 1767225600000,
        },
      },
    ]
    writeFileSync(
      join(log, '00000000000000000000.json'),
      `${actions.map((one) => JSON.stringify(one)).join('\n')}\n`,
    )
  }
}

const STATEMENTS = [
  ['one table by name', "SELECT 'silver.table_7'::regclass::oid"],
  [
    'columns of one table',
    `SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
     FROM pg_attribute WHERE attrelid = 'silver.table_7'::regclass AND attnum > 0 ORDER BY attnum`,
  ],
  [
    'information_schema.columns of one table',
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'silver' AND table_name = 'table_7'",
  ],
  [
    'all tables with comments',
    `SELECT n.nspname, c.relname, c.relkind, d.description FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE n.nspname = 'silver' ORDER BY 2`,
  ],
  [
    'all columns of a schema',
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'silver'",
  ],
  ['all of pg_attribute', 'SELECT attrelid, attname, atttypid FROM pg_attribute'],
]

async function measure(port, database) {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
  await client.connect()
  const times = []
  for (const [, sql] of STATEMENTS) {
    const runs = []
    for (let i = 0; i < 6; i++) {
      const startMs = performance.now()
      // Another text each time, so that no answer is one that was kept.
      await client.query({ text: i < 5 ? `${sql} -- ${i}` : `${sql} -- 4`, rowMode: 'array' })
      runs.push(performance.now() - startMs)
    }
    const fresh = runs.slice(1, 5).sort((a, b) => a - b)
    times.push({ fresh: (fresh[1] + fresh[2]) / 2, kept: runs[5] })
  }
  await client.end()
  return times
}

/** Resident bytes of a process and of its children. */
function memoryOf(pid) {
  const rss = (one) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0)
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
  return { own: rss(pid), children: children.reduce((sum, one) => sum + rss(one), 0) }
}

const shown = (ms) => `${ms.toFixed(1)} ms`
const gatewayPath = resolve('dist/server/bootstrap.cjs')
let native
let gateway
try {
  makeLake()
  const startMs = performance.now()
  gateway = await startGateway(gatewayPath, work)
  const servingMs = performance.now() - startMs
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  const { rows } = await client.query(
    "SELECT count(*)::int AS n FROM pg_class WHERE relkind = 'r' AND relname ~ '^table_'",
  )
  const readyMs = performance.now() - startMs
  console.log(`${rows[0].n} tables of ${columnCount} columns`)
  console.log(
    `start: serving after ${shown(servingMs)}, first catalog answer after ${shown(readyMs)}`,
  )
  const changeMs = performance.now()
  await client.query('CREATE TABLE silver.added (a int)')
  const madeMs = performance.now()
  await client.query("SELECT 'silver.added'::regclass")
  console.log(
    `a table made in ${shown(madeMs - changeMs)} is in the catalogs after another ${shown(performance.now() - madeMs)}`,
  )
  await client.end()
  const ours = await measure(gateway.port, 'lake')
  const { own, children } = memoryOf(gateway.pid)
  console.log(
    `memory: gateway ${Math.round(own / 1024)} MB, catalog process ${Math.round(children / 1024)} MB`,
  )
  const bin = process.env.LAKEGATE_NATIVE_BIN ?? findServer()
  let theirs = []
  if (bin !== undefined) {
    native = await startPostgres(bin, work, '-c fsync=off -c autovacuum=off')
    const admin = new pg.Client({
      host: '127.0.0.1',
      port: native.port,
      user: 'lakegate',
      database: 'postgres',
    })
    await admin.connect()
    await admin.query('CREATE SCHEMA silver')
    for (let table = 0; table < tableCount; table++) {
      const columns = Array.from(
        { length: columnCount },
        (_, i) => `column_${i} ${TYPES[i % TYPES.length][1]}`,
      )
      await admin.query(`CREATE TABLE silver.table_${table} (${columns.join(', ')})`)
    }
    await admin.end()
    theirs = await measure(native.port, 'postgres')
  }
  for (const [i, [name]] of STATEMENTS.entries()) {
    const { fresh, kept } = ours[i]
    const other =
      theirs[i] === undefined
        ? ''
        : `, native ${shown(theirs[i].fresh)} (${(fresh / theirs[i].fresh).toFixed(1)} times)`
    console.log(`${name}: ${shown(fresh)}, asked again ${shown(kept)}${other}`)
  }
} finally {
  gateway?.stop()
  native?.stop()
  rmSync(work, { recursive: true, force: true })
}
