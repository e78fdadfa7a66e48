/**
 * Goal: statements of many connections, through two gateways on one lake, change a table as if they
 * had run one after another, and no client is troubled by the others.
 * Method: real clients on two gateways in this process; totals must be exact.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateways: readonly [TestGateway, TestGateway]
const tables: string[] = []

beforeAll(async () => {
  const first = await startGateway()
  gateways = [first, await startGateway({ lake: first.lake })]
})

afterAll(async () => {
  const [first, second] = gateways
  await second.close()
  await first.settle()
  const engine = await Engine.open({})
  const connection = await engine.connect()
  for (const table of tables) {
    const { faults } = await lintTable(first.lake, `silver/${table}`, connection)
    expect(faults).toEqual([])
  }
  await engine.close()
  await first.close()
  expect([...first.bugs, ...second.bugs]).toEqual([])
}, 60_000)

async function connect(number: number): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateways[number % 2 === 0 ? 0 : 1].port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  return client
}

/** A table that both gateways know. */
async function makeTable(name: string, columns: string): Promise<string> {
  const client = await connect(0)
  await client.query(`CREATE TABLE silver.${name} (${columns})`)
  await client.end()
  tables.push(name)
  return `silver.${name}`
}

/** Runs `work` on `count` connections at once. */
async function together(
  count: number,
  work: (client: pg.Client, number: number) => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, (_, i) => connect(i)))
  try {
    await Promise.all(clients.map(work))
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

async function read(sql: string): Promise<unknown[][]> {
  const client = await connect(1)
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

function versionsOf(table: string): number {
  const folder = join(gateways[0].lake, 'silver', table, '_delta_log')
  return readdirSync(folder).filter((name) => /^\d{20}\.json$/.test(name)).length
}

describe('statements that are transactions of their own', () => {
  it('append from twenty connections at once, all of them', async () => {
    const table = await makeTable('racing', 'n int')
    await together(20, async (client, number) => {
      for (let i = 0; i < 5; i++) {
        const { rowCount } = await client.query(`INSERT INTO ${table} VALUES ($1)`, [
          number * 5 + i,
        ])
        expect(rowCount).toBe(1)
      }
    })
    expect(await read(`SELECT count(*), count(DISTINCT n), sum(n) FROM ${table}`)).toEqual([
      ['100', '100', '4950'],
    ])
  })

  it('share versions of the log when they arrive together', async () => {
    const table = await makeTable('shared', 'n int')
    await together(16, async (client) => {
      for (let i = 0; i < 5; i++) await client.query(`INSERT INTO ${table} VALUES (${i})`)
    })
    expect(await read(`SELECT count(*) FROM ${table}`)).toEqual([['80']])
    expect(versionsOf('shared')).toBeLessThan(80)
  })

  it('fail alone when they share a version with others', async () => {
    const table = await makeTable('picky', 'n int NOT NULL CHECK (n < 1000)')
    const codes: unknown[] = []
    await together(8, async (client, number) => {
      const value = number % 2 === 0 ? String(number) : number === 1 ? 'NULL' : '5000'
      await client.query(`INSERT INTO ${table} VALUES (${value})`).catch((error: unknown) => {
        codes.push((error as { code?: string }).code)
      })
    })
    expect(codes.sort()).toEqual(['23502', '23514', '23514', '23514'])
    expect(await read(`SELECT sum(n), count(*) FROM ${table}`)).toEqual([['12', '4']])
  })

  it.each(['simple', 'extended'])(
    'are executed anew when another was faster, by the %s protocol',
    async (protocol) => {
      const table = await makeTable(`counter_${protocol}`, 'id int, n int')
      await read(`INSERT INTO ${table} VALUES (1, 0), (2, 0)`)
      await together(6, async (client) => {
        for (let i = 0; i < 4; i++) {
          const { rowCount } = await client.query(
            protocol === 'simple'
              ? `UPDATE ${table} SET n = n + 1 WHERE id = 1`
              : { text: `UPDATE ${table} SET n = n + $1 WHERE id = $2`, values: [1, 1] },
          )
          expect(rowCount).toBe(1)
        }
      })
      expect(await read(`SELECT n FROM ${table} ORDER BY id`)).toEqual([[24], [0]])
    },
    60_000,
  )

  it('are given up after lakegate.commit_attempts', async () => {
    const table = await makeTable('given_up', 'n int')
    await read(`INSERT INTO ${table} VALUES (0)`)
    const codes = new Set<unknown>()
    await together(6, async (client) => {
      await client.query('SET lakegate.commit_attempts = 1')
      for (let i = 0; i < 4; i++) {
        await client.query(`UPDATE ${table} SET n = n + 1`).then(
          () => codes.add('done'),
          (error: unknown) => codes.add((error as { code?: string }).code),
        )
      }
    })
    expect([...codes].sort()).toEqual(['40001', 'done'])
  })
})

describe('statements of a transaction block', () => {
  it('are not executed anew: the block fails at COMMIT with 40001', async () => {
    const table = await makeTable('blocks', 'n int')
    await read(`INSERT INTO ${table} VALUES (1)`)
    const [mine, other] = [await connect(0), await connect(1)]
    await mine.query('BEGIN')
    await mine.query(`UPDATE ${table} SET n = 2`)
    await other.query(`UPDATE ${table} SET n = 3`)
    const code = await mine.query('COMMIT').then(
      () => 'done',
      (error: unknown) => (error as { code?: string }).code,
    )
    expect(code).toBe('40001')
    expect(await read(`SELECT n FROM ${table}`)).toEqual([[3]])
    await mine.end()
    await other.end()
  })
})

describe('compaction in the background', () => {
  it('leaves a table alone that a block is changing', async () => {
    const table = await makeTable(
      'busy',
      "n int) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'true', 'lakegate.autoCompact.minNumFiles' = '3'",
    )
    const [mine, other] = [await connect(0), await connect(0)]
    for (let i = 0; i < 2; i++) await mine.query(`INSERT INTO ${table} VALUES (1)`)
    await mine.query('BEGIN')
    await mine.query(`UPDATE ${table} SET n = 2`)
    for (let i = 0; i < 6; i++) await other.query(`INSERT INTO ${table} VALUES (1)`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await mine.query('COMMIT')
    expect(await read(`SELECT n, count(*) FROM ${table} GROUP BY n ORDER BY n`)).toEqual([
      [1, '6'],
      [2, '2'],
    ])
    await mine.end()
    await other.end()
  }, 60_000)
})

describe('transactions of an application', () => {
  it('are committed once, however often and by however many they are tried', async () => {
    const table = await makeTable('once', 'n int')
    const notices: string[] = []
    await together(6, async (client) => {
      client.on('notice', ({ message }) => notices.push(String(message)))
      await client.query("SET lakegate.txn_app_id = 'loader'")
      for (let version = 1; version <= 3; version++) {
        await client.query(`SET lakegate.txn_version = ${version}`)
        await client.query(`INSERT INTO ${table} VALUES (${version})`)
      }
      await client.query('RESET lakegate.txn_app_id')
    })
    const found = await read(`SELECT n, count(*) FROM ${table} GROUP BY n ORDER BY n`)
    // A slower client finds an earlier number passed by: what it brings is taken for known.
    expect(found.map(([, count]) => count)).toEqual(found.map(() => '1'))
    expect(found.at(-1)).toEqual([3, '1'])
    expect(notices.length).toBe(18 - found.length)
    await read(`INSERT INTO ${table} VALUES (4), (4)`)
    expect(await read(`SELECT count(*) FROM ${table} WHERE n = 4`)).toEqual([['2']])
  }, 60_000)
})
