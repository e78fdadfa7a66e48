/**
 * Concurrent upserts by node-postgres and by Drizzle, whose totals are exact.
 *
 * LAKEGATE_UPSERT_SECONDS (5): how long each of them goes on.
 */

import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { bigint, pgSchema } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { check, finish } from './checks.mjs'

const SECONDS = Number(process.env.LAKEGATE_UPSERT_SECONDS ?? 5)
const CLIENTS = 4
const KEYS = 12
const admin = new pg.Client()
await admin.connect()

/** Runs `upsert` on several clients for some seconds, then holds the table to what each has added. */
async function race(name, table, connect, upsert) {
  await admin.query(`DROP TABLE IF EXISTS silver.${table}`)
  await admin.query(`CREATE TABLE silver.${table} (id bigint PRIMARY KEY, n bigint)`)
  const totals = Array(KEYS).fill(0n)
  let done = 0
  const failures = []
  const end = Date.now() + SECONDS * 1000
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const { connection, close } = await connect()
      for (let i = 0; Date.now() < end; i++) {
        const id = (client * 5 + i * 7) % KEYS
        const n = (i % 9) + 1
        try {
          for (const [key, added] of await upsert(connection, i, id, n))
            totals[key] += BigInt(added)
          done++
        } catch (error) {
          failures.push(error.cause?.code ?? error.code ?? String(error))
        }
      }
      await close()
    }),
  )
  console.log(`# ${name}: ${done} in ${SECONDS} s`)
  await check(`${name}: no statement fails`, [], () => failures)
  await check(`${name}: something was done`, true, () => done > CLIENTS)
  await check(`${name}: totals are exact`, totals.map(String), async () => {
    const { rows } = await admin.query(`SELECT id, n FROM silver.${table} ORDER BY id`)
    const found = Array(KEYS).fill('0')
    for (const { id, n } of rows) found[id] = found[id] === '0' ? n : `${found[id]} and ${n}`
    return found
  })
}

const plain = async () => {
  const connection = new pg.Client()
  await connection.connect()
  return { connection, close: () => connection.end() }
}

await race('node-postgres', 'upserts_node', plain, async (client, i, id, n) => {
  if (i % 3 === 0)
    await client.query({
      name: 'upsert',
      text: 'INSERT INTO silver.upserts_node AS t VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + EXCLUDED.n',
      values: [id, n],
    })
  else if (i % 3 === 1)
    await client.query(
      `MERGE INTO silver.upserts_node t USING (VALUES ($1::bigint, $2::bigint)) s(id, n) ON t.id = s.id
       WHEN MATCHED THEN UPDATE SET n = t.n + s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)`,
      [id, n],
    )
  else {
    // In a block it is the client who begins again.
    const other = (id + 1) % KEYS
    const text =
      'INSERT INTO silver.upserts_node AS t VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + EXCLUDED.n'
    for (;;) {
      try {
        await client.query('BEGIN')
        await client.query(text, [id, n])
        await client.query(text, [other, 1])
        await client.query('COMMIT')
        return [
          [id, n],
          [other, 1],
        ]
      } catch (error) {
        await client.query('ROLLBACK')
        if (error.code !== '40001') throw error
      }
    }
  }
  return [[id, n]]
})

const upserts = pgSchema('silver').table('upserts_drizzle', {
  id: bigint('id', { mode: 'number' }).primaryKey(),
  n: bigint('n', { mode: 'number' }),
})
await race(
  'Drizzle',
  'upserts_drizzle',
  async () => {
    const { connection, close } = await plain()
    return { connection: drizzle(connection), close }
  },
  async (db, _i, id, n) => {
    await db
      .insert(upserts)
      .values({ id, n })
      .onConflictDoUpdate({ target: upserts.id, set: { n: sql`${upserts.n} + excluded.n` } })
    return [[id, n]]
  },
)
await admin.end()
finish()
