/** postgres.js against a running gateway. */

import postgres from 'postgres'

let passed = 0
let failed = 0
const sql = postgres({
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
  fetch_types: false,
  max: 2,
  onnotice: () => {},
})
async function check(name, expected, run) {
  try {
    const actual = JSON.stringify(await run())
    if (actual !== JSON.stringify(expected)) throw new Error(`got ${actual}`)
    passed++
    console.log(`ok ${name}`)
  } catch (error) {
    failed++
    console.log(`not ok ${name}: ${error.message}`)
  }
}
await check(
  'selects with parameters',
  [{ a: 42, b: 'x' }],
  () => sql`SELECT ${42}::int AS a, ${'x'} AS b`,
)
await check('repeats a prepared statement', [3, 4, 5], async () => {
  const out = []
  for (const n of [1, 2, 3]) out.push((await sql`SELECT ${n}::int + 2 AS n`)[0].n)
  return out
})
await check('reads with a cursor', 1133, async () => {
  let n = 0
  await sql`SELECT order_id FROM silver.orders`.cursor(100, (rows) => {
    n += rows.length
  })
  return n
})
await check('sees the code of an error', '42P01', () =>
  sql`SELECT * FROM nothing`.catch((e) => e.code),
)
await check('runs a transaction', [{ n: 1 }], () => sql.begin((tx) => tx`SELECT 1 AS n`))
await check(
  'listens',
  'hi',
  () =>
    new Promise((resolve) => {
      sql.listen('js', resolve).then(() => sql.notify('js', 'hi'))
    }),
)
await check('cancels', '57014', async () => {
  const query = sql`SELECT pg_sleep(20)`.execute()
  setTimeout(() => query.cancel(), 200)
  return query.catch((e) => e.code)
})
await sql.end()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
