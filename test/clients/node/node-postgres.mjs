/** node-postgres, with pg-cursor, pg-query-stream and pg-copy-streams, against a running gateway. */

import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import copyStreams from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { check, finish, refusedValues, wireValues } from './checks.mjs'

/** A connection; `raw` gives texts as they come. */
async function connect({ raw = false, ...options } = {}) {
  const client = new pg.Client({
    options: '-c TimeZone=UTC',
    ...options,
    ...(raw && { types: { getTypeParser: () => (value) => value } }),
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

const client = await connect()
const one = async (sql, values, on = client) =>
  (await on.query({ text: sql, values, rowMode: 'array' })).rows[0]?.[0]
const oneOf = (on) => async (sql, values) => one(sql, values, on)

// Types as PostgreSQL prints them. (The driver's `binary` decodes bytes as UTF-8 before it hands them on.)
const text = await connect({ raw: true })
for (const { type, input, text: printed } of wireValues()) {
  const sql = `SELECT $1::${type}`
  await check(`${type} ${input} as text`, printed, () => oneOf(text)(sql, [input]))
  await check(`${type} ${input} as a literal`, printed, async () => {
    const { rows } = await text.query(`SELECT ${pg.escapeLiteral(input)}::${type} AS v`)
    return rows[0].v
  })
}
for (const type of new Set(wireValues().map((value) => value.type))) {
  await check(`${type} null`, null, () => oneOf(text)(`SELECT $1::${type}`, [null]))
}
for (const { type, input, error } of refusedValues())
  await check(`${type} ${input} refused`, error, () => one(`SELECT $1::${type}`, [input]))
await text.end()

// The driver's own values.
for (const [type, value] of [
  ['int2', -32768],
  ['int8', '9223372036854775807'],
  ['float8', Number.NaN],
  ['float8', 5e-324],
  ['numeric', '12345678901234567890.12345678'],
  ['text', "it's ä€😀"],
  ['bytea', Buffer.from([0, 255, 92, 39])],
  ['timestamp', new Date('2024-02-29T12:34:56.789Z')],
  ['timestamptz', new Date('2024-02-29T12:34:56.789Z')],
  ['timestamptz', Number.POSITIVE_INFINITY],
  ['date', Number.NEGATIVE_INFINITY],
  ['jsonb', { a: [1, null, 'x'], b: { c: true } }],
  ['json', { b: 1, a: 2 }],
  ['int4[]', [1, null, 3]],
  [
    'int4[]',
    [
      [1, 2],
      [3, null],
    ],
  ],
  ['text[]', ['a b', '', null, '"', '\\', 'NULL', '{}']],
  [
    'text[]',
    [
      [['a'], ['b']],
      [['c'], ['d']],
    ],
  ],
  ['bool[]', [true, false, null]],
  ['timestamptz[]', [new Date('2024-02-29T12:34:56.789Z'), null]],
])
  await check(`${type} ${JSON.stringify(value)} both ways`, value, () =>
    one(`SELECT $1::${type}`, [value]),
  )
await check('an interval both ways', '1 year 2 mons 3 days 04:05:06.789', async () =>
  one('SELECT $1::interval::text', [
    (await one("SELECT '1 year 2 mons 3 days 04:05:06.789'::interval")).toPostgres(),
  ]),
)
await check(
  'the description of a result',
  [
    ['i', 23, -1],
    ['n', 1700, 655366],
    ['v', 1043, 9],
  ],
  async () =>
    (await client.query("SELECT 1 AS i, 1::numeric(10,2) AS n, 'x'::varchar(5) AS v")).fields.map(
      (f) => [f.name, f.dataTypeID, f.dataTypeModifier],
    ),
)

// A table of the lake.
for (const table of ['node_postgres', 'node_constraints', 'node_copied'])
  await client.query(`DROP TABLE IF EXISTS silver.${table}`)
await client.query(`CREATE TABLE silver.node_postgres (id bigint, b boolean, s smallint, f real, d double precision,
  n numeric(20,5), t text, y bytea, day date, at timestamp, atz timestamptz, list int[], names text[])`)
const row = [
  '1',
  true,
  -7,
  2.5,
  0.1,
  '12.34500',
  'ä',
  Buffer.from([0, 1]),
  new Date(2024, 1, 29),
  new Date('0099-01-02T03:04:05Z'),
  new Date('2024-02-29T12:34:56.789Z'),
  [1, null],
  ['x', ''],
]
await check('rows inserted by parameters', 2, async () => {
  const sql = `INSERT INTO silver.node_postgres VALUES (${row.map((_, i) => `$${i + 1}`).join(', ')})`
  const first = await client.query({ name: 'insert', text: sql, values: row })
  const nulls = await client.query({
    name: 'insert',
    text: sql,
    values: row.map((_, i) => (i === 0 ? '2' : null)),
  })
  return first.rowCount + nulls.rowCount
})
await check(
  'rows read back',
  [row, row.map((_, i) => (i === 0 ? '2' : null))],
  async () =>
    (
      await client.query({
        text: 'SELECT * FROM silver.node_postgres ORDER BY id',
        rowMode: 'array',
      })
    ).rows,
)
await check(
  'an update with RETURNING',
  [{ id: '1', t: 'new' }],
  async () =>
    (
      await client.query('UPDATE silver.node_postgres SET t = $1 WHERE id = $2 RETURNING id, t', [
        'new',
        1,
      ])
    ).rows,
)

// Prepared statements.
await check(
  'a named statement, many times',
  Array.from({ length: 20 }, (_, i) => i + 2),
  async () => {
    const found = []
    for (let i = 0; i < 20; i++)
      found.push(
        (await client.query({ name: 'plus', text: 'SELECT $1::int + 2 AS n', values: [i] })).rows[0]
          .n,
      )
    return found
  },
)
await check('a named statement sees new rows', ['2', '3'], async () => {
  const query = {
    name: 'rows',
    text: 'SELECT count(*) FROM silver.node_postgres WHERE id > $1',
    values: [0],
    rowMode: 'array',
  }
  const before = (await client.query(query)).rows[0][0]
  await client.query('INSERT INTO silver.node_postgres (id) VALUES (3)')
  return [before, (await client.query(query)).rows[0][0]]
})
await check('PREPARE, EXECUTE and DEALLOCATE', ['5', '26000'], async () => {
  await client.query('PREPARE sum (int, int) AS SELECT ($1 + $2)::text')
  const sum = await one('EXECUTE sum (2, 3)')
  await client.query('DEALLOCATE sum')
  return [sum, await one('EXECUTE sum (2, 3)').catch((error) => error.code)]
})
await check(
  'many queries sent before the first is answered',
  Array.from({ length: 50 }, (_, i) => i),
  async () => Promise.all(Array.from({ length: 50 }, (_, i) => one('SELECT $1::int', [i]))),
)

// Portals with row limits.
await check('a cursor of rows by hundreds', [12, 1133, []], async () => {
  const cursor = client.query(new Cursor('SELECT order_id FROM silver.orders ORDER BY 1', []))
  let reads = 0
  let rows = 0
  for (let batch = await cursor.read(100); batch.length > 0; batch = await cursor.read(100)) {
    reads++
    rows += batch.length
  }
  const after = await cursor.read(10)
  await cursor.close()
  return [reads, rows, after]
})
await check('a cursor closed early', [10, 1], async () => {
  const cursor = client.query(
    new Cursor('SELECT i FROM generate_series(1, $1::bigint) i', ['1000000000']),
  )
  const rows = await cursor.read(10)
  await cursor.close()
  return [rows.length, await one('SELECT 1')]
})
await check('an error after the first rows', '22012', async () => {
  const cursor = client.query(
    new Cursor('SELECT 10 / (500000 - i) FROM generate_series(1, 1000000) i', []),
  )
  try {
    for (let batch = await cursor.read(1000); batch.length > 0; batch = await cursor.read(1000));
  } finally {
    await cursor.close()
  }
})
await check('a stream of rows', 1133, async () => {
  let rows = 0
  for await (const _ of client.query(
    new QueryStream('SELECT * FROM silver.orders WHERE order_id > $1', [-1], { batchSize: 50 }),
  ))
    rows++
  return rows
})

// Cursors of SQL.
await check('DECLARE, FETCH, MOVE and CLOSE', [[1, 2], [6, 7], 3, '34000'], async () => {
  const numbers = async (sql) =>
    (await client.query({ text: sql, rowMode: 'array' })).rows.map(([n]) => n)
  await client.query('BEGIN')
  await client.query('DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i')
  const first = await numbers('FETCH 2 FROM c')
  await client.query('MOVE 3 IN c')
  const second = await numbers('FETCH FORWARD 2 FROM c')
  const rest = await client.query('FETCH ALL FROM c')
  await client.query('CLOSE c')
  const closed = await client.query('FETCH 1 FROM c').catch((error) => error.code)
  await client.query('ROLLBACK')
  return [first, second, rest.rowCount, closed]
})
await check('a cursor WITH HOLD outlives its block', [5, 1128], async () => {
  await client.query('BEGIN')
  await client.query('DECLARE held CURSOR WITH HOLD FOR SELECT * FROM silver.orders')
  const first = await client.query('FETCH 5 FROM held')
  await client.query('COMMIT')
  const rest = await client.query('FETCH ALL FROM held')
  await client.query('CLOSE held')
  return [first.rowCount, rest.rowCount]
})

// Cancel and timeouts.
const ENDLESS = 'SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b'
await check('a cancel request', '57014', async () => {
  const other = new pg.Client()
  const query = new pg.Query(ENDLESS)
  const done = new Promise((resolve, reject) => {
    query.on('error', reject)
    query.on('end', resolve)
  })
  client.query(query)
  setTimeout(() => other.cancel(client, query), 200)
  return done
})
await check('pg_cancel_backend', ['57014', 1], async () => {
  const pid = await one('SELECT pg_backend_pid()')
  const other = await connect()
  setTimeout(() => other.query('SELECT pg_cancel_backend($1)', [pid]).then(() => other.end()), 200)
  const code = await client.query(ENDLESS).catch((error) => error.code)
  return [code, await one('SELECT 1')]
})
await check('statement_timeout in the start-up', '57014', async () => {
  const short = await connect({ statement_timeout: 200 })
  try {
    return await short.query(ENDLESS)
  } finally {
    await short.end()
  }
})
await check('a connection that is dropped while it reads', 1, async () => {
  const other = await connect()
  const query = other.query(ENDLESS).catch(() => {})
  setTimeout(() => other.connection.stream.destroy(), 200)
  await query
  return one('SELECT 1')
})

// Errors.
const failure = (sql, values) =>
  client.query(sql, values).then(
    () => undefined,
    (error) => error,
  )
for (const [name, sql, values, expected] of [
  ['a column', 'SELECT nothing FROM silver.orders', undefined, ['42703', '8']],
  ['a table', 'SELECT * FROM nothing', undefined, ['42P01', '15']],
  ['a function', 'SELECT nothing(1)', undefined, ['42883', '8']],
  ['syntax', 'SELECT 1 +', undefined, ['42601', '11']],
  ['division', 'SELECT 1 / $1::int', [0], ['22012', undefined]],
  ['a parameter', 'SELECT $1::int', ['x'], ['22P02', undefined]],
  ['types', "SELECT 1 + 'x'", undefined, ['22P02', '12']],
  [
    'a position behind letters of several bytes',
    "SELECT '€ä😀', nothing FROM silver.orders",
    undefined,
    ['42703', '15'],
  ],
])
  await check(`an error of ${name}`, expected, async () => {
    const error = await failure(sql, values)
    return [error.code, error.position]
  })
await client.query('CREATE TABLE silver.node_constraints (id int NOT NULL, n int CHECK (n > 0))')
await check(
  'fields of a NOT NULL error',
  ['23502', 'silver', 'node_constraints', 'id', 'ERROR'],
  async () => {
    const error = await failure('INSERT INTO silver.node_constraints VALUES (NULL, 1)')
    return [error.code, error.schema, error.table, error.column, error.severity]
  },
)
await check(
  'fields of a CHECK error',
  ['23514', 'silver', 'node_constraints', 'node_constraints_n_check'],
  async () => {
    const error = await failure('INSERT INTO silver.node_constraints VALUES (1, $1)', [-1])
    return [error.code, error.schema, error.table, error.constraint]
  },
)
await check('a failed block', ['22012', '25P02', '25P02', 'ROLLBACK'], async () => {
  await client.query('BEGIN')
  const first = await failure('SELECT 1 / 0')
  const second = await failure('SELECT 1')
  const third = await failure('SELECT $1::int', [1])
  return [first.code, second.code, third.code, (await client.query('COMMIT')).command]
})
await check('a savepoint in a failed block', 7, async () => {
  await client.query('BEGIN')
  await client.query('SAVEPOINT s')
  await failure('SELECT 1 / 0')
  await client.query('ROLLBACK TO s')
  const found = await one('SELECT 7')
  await client.query('COMMIT')
  return found
})
await check('several statements are one transaction', ['22012', '0'], async () => {
  const error = await failure('INSERT INTO silver.node_constraints VALUES (1, 1); SELECT 1 / 0')
  return [error.code, await one('SELECT count(*) FROM silver.node_constraints')]
})

// COPY.
const copied = async (sql) => {
  const parts = []
  for await (const part of client.query(copyStreams.to(sql))) parts.push(part)
  return Buffer.concat(parts)
}
await check('COPY out as text', 'a\\tb\t\\N\n', async () =>
  String(await copied("COPY (SELECT E'a\\tb', NULL) TO STDOUT")),
)
await check('COPY out as csv', 'x,y\n1,"a ""b"""\n', async () =>
  String(await copied(`COPY (SELECT 1 AS x, 'a "b"' AS y) TO STDOUT (FORMAT csv, HEADER)`)),
)
await check('COPY out in binary', '000100000004000000070000000178ffff', async () =>
  (await copied("COPY (SELECT 7, 'x'::text) TO STDOUT (FORMAT binary)"))
    .subarray(19)
    .toString('hex')
    .replace(/^0002/, '0001'),
)
await check(
  'COPY of a table',
  1133,
  async () => String(await copied('COPY silver.orders TO STDOUT')).split('\n').length - 1,
)
await check('COPY in', [10000, '49995000'], async () => {
  await client.query('CREATE TABLE silver.node_copied (id int, name text)')
  const stream = client.query(copyStreams.from('COPY silver.node_copied FROM STDIN (FORMAT csv)'))
  await pipeline(
    (function* () {
      for (let i = 0; i < 10000; i++) yield `${i},"n ${i}"\n`
    })(),
    stream,
  )
  return [stream.rowCount, await one('SELECT sum(id) FROM silver.node_copied')]
})
await check('COPY in of a wrong row', ['22P02', '10000'], async () => {
  const stream = client.query(copyStreams.from('COPY silver.node_copied FROM STDIN (FORMAT csv)'))
  const code = await pipeline(['1,a\n', 'x,b\n'], stream).then(
    () => undefined,
    (error) => error.code,
  )
  return [code, await one('SELECT count(*) FROM silver.node_copied')]
})

// What else applications use.
await check('a notification', ['channel', 'hello'], async () => {
  const heard = new Promise((resolve) =>
    client.once('notification', (n) => resolve([n.channel, n.payload])),
  )
  await client.query('LISTEN channel')
  const other = await connect()
  await other.query("NOTIFY channel, 'hello'")
  await other.end()
  return heard
})
await check('a notice', 'table "nothing" does not exist, skipping', async () => {
  const told = new Promise((resolve) => client.once('notice', (n) => resolve(n.message)))
  await client.query('DROP TABLE IF EXISTS nothing')
  return told
})
await check('a pool', 4950, async () => {
  const pool = new pg.Pool({ max: 8 })
  const found = await Promise.all(
    Array.from({ length: 100 }, (_, i) => pool.query({ text: 'SELECT $1::int AS n', values: [i] })),
  )
  await pool.end()
  return found.reduce((sum, { rows }) => sum + rows[0].n, 0)
})
await check('TLS', true, async () => {
  const secure = await connect({ ssl: { rejectUnauthorized: false } })
  const answer = await one('SELECT true', undefined, secure)
  await secure.end()
  return answer
})
await client.end()
finish()
