/**
 * Analytic: twenty queries over a star of orders, items and customers, through the gateway against
 * DuckDB alone over the same Parquet files and against PostgreSQL over the same rows.
 *
 * Run: `npm run build && node bench/analytic.mjs [orders]` (500,000 unless given; four items each).
 * Each query runs once to warm up and three times measured, the contestants in turn; prints the median
 * of each and the ratios with their geometric mean. Fails when answers differ in their number of rows.
 */

import { mkdtempSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { Engine } from '../dist/storage/engine.js'
import { findServer, startGateway, startPostgres } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const orders = Number(process.argv[2] ?? 500_000)
const work = mkdtempSync(join(tmpdir(), 'lakegate-analytic-'))

const TABLES = {
  customers: `SELECT i::int AS id, 'customer ' || i AS name, CASE i % 5 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' WHEN 2 THEN 'US' WHEN 3 THEN 'JP' ELSE 'BR' END AS country, (i % 3)::int AS segment FROM generate_series(1, ${Math.max(10, orders / 20)}) i`,
  orders: `SELECT i::bigint AS id, (i * 7919 % ${Math.max(10, orders / 20)} + 1)::int AS customer, date '2022-01-01' + (i * 31 % 1095)::int AS day, CASE i % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'done' END AS status FROM generate_series(1::bigint, ${orders}::bigint) i`,
  items: `SELECT (i / 4 + 1)::bigint AS order_id, (i % 4)::int AS line, (i * 104729 % 5000)::int AS product, (i % 9 + 1)::int AS quantity, (i * 7919 % 100000 / 100.0)::numeric(12,2) AS price, ((i % 11) / 100.0)::float8 AS discount FROM generate_series(0::bigint, ${orders * 4 - 1}::bigint) i`,
}

const QUERIES = [
  'SELECT count(*) FROM items',
  'SELECT status, count(*) FROM orders GROUP BY status ORDER BY 1',
  'SELECT sum(quantity), min(price), max(price) FROM items',
  'SELECT avg(price) FROM items WHERE quantity > 5',
  "SELECT date_trunc('month', day) AS m, count(*) FROM orders GROUP BY 1 ORDER BY 1",
  'SELECT extract(year FROM day) AS y, status, count(*) FROM orders GROUP BY 1, 2 ORDER BY 1, 2',
  'SELECT product, sum(quantity * price) AS revenue FROM items GROUP BY product ORDER BY revenue DESC, product LIMIT 10',
  'SELECT c.country, count(*) FROM orders o JOIN customers c ON c.id = o.customer GROUP BY c.country ORDER BY 1',
  "SELECT c.country, sum(i.price * i.quantity) FROM items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer WHERE o.status = 'paid' GROUP BY 1 ORDER BY 1",
  'SELECT count(DISTINCT customer) FROM orders',
  "SELECT * FROM orders WHERE day = date '2022-06-01' AND status = 'open' ORDER BY id LIMIT 100",
  'SELECT id, name FROM customers WHERE id NOT IN (SELECT customer FROM orders WHERE customer IS NOT NULL) ORDER BY id',
  'SELECT customer, count(*) AS n FROM orders GROUP BY customer HAVING count(*) > 15 ORDER BY n DESC, customer LIMIT 50',
  'SELECT order_id, sum(price) FROM items GROUP BY order_id ORDER BY 2 DESC, 1 LIMIT 20',
  'SELECT * FROM (SELECT product, sum(quantity) AS q, rank() OVER (ORDER BY sum(quantity) DESC) AS r FROM items GROUP BY product) x WHERE r <= 10 ORDER BY r, product',
  "SELECT day, count(*), sum(count(*)) OVER (ORDER BY day) FROM orders WHERE day < date '2022-04-01' GROUP BY day ORDER BY day",
  'SELECT CASE WHEN price < 100 THEN 1 WHEN price < 500 THEN 2 ELSE 3 END AS bucket, count(*), avg(discount) FROM items GROUP BY 1 ORDER BY 1',
  "SELECT c.segment, percentile_cont(0.5) WITHIN GROUP (ORDER BY i.price) FROM items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer WHERE o.day >= date '2024-06-01' GROUP BY 1 ORDER BY 1",
  "SELECT upper(left(name, 8)) AS p, count(*) FROM customers WHERE name LIKE 'customer 1%' GROUP BY 1 ORDER BY 1",
  'SELECT o.status, sum(i.price) FILTER (WHERE i.quantity > 5), sum(i.price / i.quantity) FROM items i JOIN orders o ON o.id = i.order_id GROUP BY 1 ORDER BY 1',
]

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
const bin = findServer()
let postgres
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
const mean = (list) => Math.exp(list.reduce((sum, value) => sum + Math.log(value), 0) / list.length)
try {
  const connect = async (port, database) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database })
    await client.connect()
    return client
  }
  const through = await connect(gateway.port, 'lake')
  for (const [name, sql] of Object.entries(TABLES))
    await through.query(`CREATE TABLE gold.${name} AS ${sql}`)
  await through.query('SET search_path = gold')
  const engine = await Engine.open({ tempDirectory: '' })
  const bare = await engine.connect()
  for (const name of Object.keys(TABLES)) {
    await bare.run(
      `CREATE VIEW ${name} AS SELECT * FROM read_parquet('${join(work, `lake/gold/${name}/*.parquet`)}')`,
    )
  }
  const contestants = {
    duckdb: async (sql) => (await bare.query(sql)).length,
    gateway: async (sql) => (await through.query({ text: sql, rowMode: 'array' })).rows.length,
  }
  let admin
  if (bin === undefined) console.log('skipped: no PostgreSQL server on this machine')
  else {
    postgres = await startPostgres(
      bin,
      work,
      '-c fsync=off -c shared_buffers=2GB -c work_mem=256MB',
    )
    admin = await connect(postgres.port, 'postgres')
    for (const [name, sql] of Object.entries(TABLES)) {
      await admin.query(`CREATE UNLOGGED TABLE ${name} AS ${sql}`)
      await admin.query(`VACUUM ANALYZE ${name}`)
    }
    contestants.postgresql = async (sql) =>
      (await admin.query({ text: sql, rowMode: 'array' })).rows.length
  }
  const ratios = { duckdb: [], postgresql: [] }
  for (const [number, sql] of QUERIES.entries()) {
    const counts = new Set()
    const times = {}
    for (const [name, run] of Object.entries(contestants)) {
      counts.add(await run(sql))
      times[name] = []
    }
    if (counts.size !== 1)
      throw new Error(`answers of query ${number + 1} differ: ${[...counts].join(', ')} rows`)
    for (let round = 0; round < 3; round++) {
      for (const [name, run] of Object.entries(contestants)) {
        const started = performance.now()
        await run(sql)
        times[name].push(performance.now() - started)
      }
    }
    const ours = median(times.gateway)
    const parts = Object.entries(times).map(
      ([name, list]) => `${name} ${median(list).toFixed(1)} ms`,
    )
    for (const name of Object.keys(ratios)) {
      if (times[name] !== undefined) ratios[name].push(ours / median(times[name]))
    }
    console.log(
      `${String(number + 1).padStart(2)}: ${parts.join(', ')}; ${ratios.duckdb.at(-1).toFixed(2)} times DuckDB`,
    )
  }
  console.log(
    `geometric mean of ${QUERIES.length} queries: ${mean(ratios.duckdb).toFixed(2)} times bare DuckDB`,
  )
  if (ratios.postgresql.length > 0)
    console.log(`and ${mean(ratios.postgresql).toFixed(3)} times PostgreSQL's time`)
  await through.end()
  await admin?.end()
  await engine.close()
} finally {
  gateway.stop()
  postgres?.stop()
  spawnSync('rm', ['-rf', work])
}
