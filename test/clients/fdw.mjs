/** postgres_fdw: a real PostgreSQL reads and writes tables of the lake through a running gateway. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { findServer, startPostgres } from '../support/servers.mjs'

let passed = 0
let failed = 0
const bin = findServer()
if (bin === undefined) {
  console.log('skipped: no PostgreSQL server is installed')
  console.log('0 passed, 0 failed')
  process.exit(0)
}
const work = mkdtempSync(join(tmpdir(), 'lakegate-fdw-'))
const server = await startPostgres(bin, work)
const client = new pg.Client({
  host: '127.0.0.1',
  port: server.port,
  user: 'lakegate',
  password: '',
  database: 'postgres',
})
const gateway = new pg.Client()
async function check(name, expected, sql) {
  const actual = await client.query({ text: sql, rowMode: 'array' }).then(
    ({ rows, command, rowCount }) => (rows.length > 0 ? rows : [command, rowCount]),
    (error) => `${error.code} ${error.message}`,
  )
  if (JSON.stringify(actual) === JSON.stringify(expected)) {
    passed++
    console.log(`ok ${name}`)
  } else {
    failed++
    console.log(`not ok ${name}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
  }
}
try {
  await client.connect()
  await gateway.connect()
  await gateway.query('DROP TABLE IF EXISTS silver.foreign_rows')
  await gateway.query(
    'CREATE TABLE silver.foreign_rows (id bigint, name text, amount numeric(12,2), at timestamptz, list int[])',
  )
  const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env
  for (const sql of [
    'CREATE EXTENSION postgres_fdw',
    `CREATE SERVER gateway FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${PGHOST}', port '${PGPORT}', dbname '${PGDATABASE}', fetch_size '50', use_remote_estimate 'false')`,
    `CREATE USER MAPPING FOR lakegate SERVER gateway OPTIONS (user '${PGUSER}', password '${PGPASSWORD}')`,
    "CREATE FOREIGN TABLE orders (order_id bigint, customer_id bigint, status text, amount numeric(12,2)) SERVER gateway OPTIONS (schema_name 'silver')",
    "CREATE FOREIGN TABLE foreign_rows (id bigint, name text, amount numeric(12,2), at timestamptz, list int[]) SERVER gateway OPTIONS (schema_name 'silver')",
  ])
    await client.query(sql)
  await check(
    'reads by cursor',
    [['1133']],
    'SELECT count(*) FROM (SELECT * FROM orders OFFSET 0) o',
  )
  await check('leaves aggregates to the gateway', [['1133']], 'SELECT count(*) FROM orders')
  await check(
    'leaves conditions to the gateway',
    [['7']],
    'SELECT order_id FROM orders WHERE order_id = 7',
  )
  await check(
    'joins with its own rows',
    [['1'], ['2']],
    'SELECT DISTINCT o.customer_id FROM orders o JOIN (VALUES (1), (2)) v(c) ON v.c = o.customer_id ORDER BY 1',
  )
  await check(
    'inserts',
    ['INSERT', 2],
    "INSERT INTO foreign_rows VALUES (1, 'ä', 1.50, '2024-02-29 12:34:56+00', '{1,NULL}'), (2, NULL, NULL, NULL, NULL)",
  )
  await check(
    'reads what it has inserted',
    [
      ['1', 'ä', '1.50', '{1,NULL}'],
      ['2', null, null, null],
    ],
    'SELECT id, name, amount, list::text FROM foreign_rows ORDER BY id',
  )
  await check('updates', ['UPDATE', 1], "UPDATE foreign_rows SET name = 'b' WHERE id = 2")
  await check('deletes', ['DELETE', 1], 'DELETE FROM foreign_rows WHERE id = 1')
  await check('reads what is left', [['2', 'b']], 'SELECT id, name FROM foreign_rows')
} finally {
  await gateway.end()
  await client.end()
  server.stop()
  rmSync(work, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
