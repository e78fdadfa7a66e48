/** postgres.js against a running gateway. */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { check, finish, refusedValues, wireValues } from './checks.mjs'

const options = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
  connection: { TimeZone: 'UTC' },
  onnotice: () => {},
}
const sql = postgres({ ...options, max: 2 })
const one = async (query) => Object.values((await query)[0])[0]

// Types as PostgreSQL prints them: by a session that leaves texts as they are.
const OIDS = [
  16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266,
  1700, 2950, 3802,
]
const same = (value) => value
const raw = postgres({
  ...options,
  max: 1,
  fetch_types: false,
  types: Object.fromEntries(
    OIDS.map((oid) => [oid, { to: oid, from: [oid], serialize: same, parse: same }]),
  ),
})
for (const { type, input, text } of wireValues())
  await check(`${type} ${input} as text`, text, () =>
    one(raw.unsafe(`SELECT $1::${type} AS v`, [input])),
  )
for (const type of new Set(wireValues().map((value) => value.type)))
  await check(`${type} null`, null, () => one(raw.unsafe(`SELECT $1::${type} AS v`, [null])))
for (const { type, input, error } of refusedValues())
  await check(`${type} ${input} refused`, error, () =>
    one(raw.unsafe(`SELECT $1::${type} AS v`, [input])),
  )
await raw.end()

// The driver's own values.
for (const [type, value] of [
  ['int2', -32768],
  ['int4', 2147483647],
  ['int8', '9223372036854775807'],
  ['float8', 5e-324],
  ['float4', 2.5],
  ['numeric', '12345678901234567890.12345678'],
  ['text', "it's ä€😀"],
  ['varchar(5)', 'abcde'],
  ['bool', false],
  ['bytea', Buffer.from([0, 255, 92, 39])],
  ['timestamp', new Date('2024-02-29T12:34:56.789Z')],
  ['timestamptz', new Date('2024-02-29T12:34:56.789Z')],
  ['date', new Date('2024-02-29T00:00:00.000Z')],
  ['time', '12:34:56.7'],
  ['timetz', '12:34:56.7+05:30'],
  ['interval', '1 year 2 mons 3 days 04:05:06.789'],
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['jsonb', { a: [1, null, 'x'], b: { c: true } }],
  ['json', { b: 1, a: 2 }],
  [
    'int4[]',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['text[]', ['a b', '', '"', '\\', '{}']],
  [
    'text[]',
    [
      [['a'], ['b']],
      [['c'], ['d']],
    ],
  ],
  ['numeric[]', ['1.50', '2.25']],
])
  await check(`${type} ${JSON.stringify(value)} both ways`, value, async () => {
    const found = await one(sql`SELECT ${value}::${sql.unsafe(type)} AS v`)
    return Buffer.isBuffer(value) ? Buffer.from(found) : found
  })
await check('selects with parameters', [{ a: 42, b: 'x' }], async () => [
  ...(await sql`SELECT ${42}::int AS a, ${'x'} AS b`),
])
await check(
  'the columns of a statement',
  [
    ['i', 23],
    ['n', 1700],
  ],
  async () =>
    (await sql`SELECT 1 AS i, 1::numeric(10,2) AS n`.describe()).columns.map((c) => [
      c.name,
      c.type,
    ]),
)

// A table of the lake.
await sql`DROP TABLE IF EXISTS silver.postgresjs`
await sql`CREATE TABLE silver.postgresjs (id bigint, t text, d double precision, n numeric(12,3), at timestamptz, list int[], y bytea)`
const rows = [
  {
    id: '1',
    t: 'ä',
    d: 0.1,
    n: '1.500',
    at: new Date('2024-02-29T12:34:56.789Z'),
    list: [1, 2],
    y: Buffer.from([0, 1]),
  },
  { id: '2', t: null, d: null, n: null, at: null, list: null, y: null },
]
await check(
  'rows inserted by a helper',
  2,
  async () => (await sql`INSERT INTO silver.postgresjs ${sql(rows)}`).count,
)
await check('rows read back', rows, async () =>
  [...(await sql`SELECT * FROM silver.postgresjs ORDER BY id`)].map((row) => ({
    ...row,
    y: row.y && Buffer.from(row.y),
  })),
)
await check('an update by a helper', ['new'], async () =>
  (
    await sql`UPDATE silver.postgresjs SET ${sql({ t: 'new' })} WHERE id IN ${sql([1, 7])} RETURNING t`
  ).map((r) => r.t),
)

// Prepared statements.
await check(
  'a prepared statement, many times',
  Array.from({ length: 20 }, (_, i) => i + 2),
  async () => {
    const out = []
    for (let n = 0; n < 20; n++) out.push(await one(sql`SELECT ${n}::int + 2 AS n`))
    return out
  },
)
await check('a prepared statement sees new rows', ['2', '3'], async () => {
  const count = () => one(sql`SELECT count(*) AS n FROM silver.postgresjs WHERE id > ${0}`)
  const before = await count()
  await sql`INSERT INTO silver.postgresjs (id) VALUES (3)`
  return [before, await count()]
})
await check('statements sent without waiting', 4950, async () => {
  const found = await Promise.all(Array.from({ length: 100 }, (_, i) => sql`SELECT ${i}::int AS n`))
  return found.reduce((sum, [{ n }]) => sum + n, 0)
})
await check('unprepared statements', 7, () =>
  one(sql.unsafe('SELECT $1::int AS n', [7], { prepare: false })),
)
await check('several statements at once', [[{ a: 1 }], [{ b: 2 }]], async () =>
  (await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b').simple()).map((rows) => [...rows]),
)

// Portals with row limits, and cursors of SQL.
await check('a cursor of rows by hundreds', [12, 1133], async () => {
  let reads = 0
  let count = 0
  await sql`SELECT order_id FROM silver.orders`.cursor(100, (rows) => {
    reads++
    count += rows.length
  })
  return [reads, count]
})
await check('a cursor left early', [10, 1], async () => {
  let count = 0
  for await (const rows of sql`SELECT i FROM generate_series(1, ${'1000000000'}::bigint) i`.cursor(
    10,
  )) {
    count += rows.length
    break
  }
  return [count, await one(sql`SELECT 1 AS n`)]
})
await check('rows one by one', 1133, async () => {
  let count = 0
  await sql`SELECT * FROM silver.orders`.forEach(() => {
    count++
  })
  return count
})
await check('DECLARE, FETCH, MOVE and CLOSE', [[1, 2], [6, 7], 3], () =>
  sql.begin(async (tx) => {
    await tx`DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i`
    const first = (await tx`FETCH 2 FROM c`).map((row) => row.i)
    await tx`MOVE 3 IN c`
    const second = (await tx`FETCH FORWARD 2 FROM c`).map((row) => row.i)
    const rest = await tx`FETCH ALL FROM c`
    await tx`CLOSE c`
    return [first, second, rest.length]
  }),
)

// Transactions and errors.
const failure = (query) =>
  query.then(
    () => undefined,
    (error) => error,
  )
await check('a transaction', [{ n: 1 }], async () => [
  ...(await sql.begin((tx) => tx`SELECT 1 AS n`)),
])
await check('a transaction rolled back by an error', ['22012', '3'], async () => {
  const error = await failure(
    sql.begin(async (tx) => {
      await tx`DELETE FROM silver.postgresjs`
      await tx`SELECT 1 / 0`
    }),
  )
  return [error.code, await one(sql`SELECT count(*) AS n FROM silver.postgresjs`)]
})
await check('a savepoint', 7, () =>
  sql.begin(async (tx) => {
    await failure(tx.savepoint((s) => s`SELECT 1 / 0`))
    return one(tx`SELECT 7 AS n`)
  }),
)
await check('a failed block', ['22012', '25P02'], async () => {
  const codes = []
  await failure(
    sql.begin(async (tx) => {
      codes.push((await failure(tx`SELECT 1 / 0`)).code)
      codes.push((await failure(tx`SELECT 1 AS n`)).code)
    }),
  )
  return codes
})
for (const [name, query, expected] of [
  ['a table', () => sql`SELECT * FROM nothing`, ['42P01', '15']],
  ['a column', () => sql`SELECT nothing FROM silver.orders`, ['42703', '8']],
  ['syntax', () => sql`SELECT 1 +`, ['42601', '11']],
  ['a value', () => sql`SELECT ${'x'}::text::int`, ['22P02', undefined]],
])
  await check(`an error of ${name}`, expected, async () => {
    const error = await failure(query())
    return [error.code, error.position]
  })

// Cancel, notifications, COPY.
await check('a cancel request', '57014', () => {
  const query =
    sql`SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b`.execute()
  setTimeout(() => query.cancel(), 200)
  return query
})
await check(
  'a notification',
  'hi',
  () =>
    new Promise((resolve) => {
      sql.listen('js', resolve).then(() => sql.notify('js', 'hi'))
    }),
)
// The driver does not give a connection back that has copied out, nor ends a COPY that is its first.
await check('COPY out', 1133, async () => {
  const copying = postgres({ ...options, max: 1 })
  let text = ''
  for await (const part of await copying`COPY silver.orders TO STDOUT`.readable()) text += part
  await copying.end({ timeout: 1 })
  return text.split('\n').length - 1
})
await check('COPY in', '2', async () => {
  const copying = postgres({ ...options, max: 1 })
  await copying`SELECT 1`
  await pipeline(
    Readable.from([
      '10\tx\t1.5\t1.5\t2024-01-01\t{1}\t\\\\x00\n',
      '11\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n',
    ]),
    await copying`COPY silver.postgresjs FROM STDIN`.writable(),
  )
  const count = await one(copying`SELECT count(*) AS n FROM silver.postgresjs WHERE id >= 10`)
  await copying.end({ timeout: 1 })
  return count
})
await sql.end({ timeout: 1 })
finish()
