/**
 * Goal: whatever the way to a bucket does to requests, nothing acknowledged is lost or doubled, no
 * answer is wrong, and errors say what happened.
 * Method: gateways on a real S3 server behind a proxy that refuses, loses, delays and cuts requests,
 * some of them after they have taken effect; afterwards the lake is read past the proxy.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { FileCache } from '../../storage/file-cache.js'
import { S3Store } from '../../storage/s3-store.js'
import { type FaultyProxy, startFaultyProxy } from '../support/faulty-proxy.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'
import { s3Server } from '../support/test-store.js'

const FAULTS = { refused: 0.04, lost: 0.03, unanswered: 0.05, cut: 0.03, delayed: 0.1 }

/** What a statement may say when the store did not answer. */
const HONEST: readonly string[] = [
  SqlState.ioError,
  SqlState.transactionResolutionUnknown,
  SqlState.serializationFailure,
]

async function connect(gateway: TestGateway): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  return client
}

const title =
  s3Server === null ? 'a bucket behind faults (skipped: no LAKEGATE_TEST_S3_ENDPOINT)' : 'a bucket'

describe.skipIf(s3Server === null)(title, () => {
  let clean: TestGateway
  let proxy: FaultyProxy
  let faulty: TestGateway

  beforeAll(async () => {
    clean = await startGateway()
    proxy = await startFaultyProxy(s3Server?.endpoint ?? '', 7)
    faulty = await startGateway({ lake: clean.lake, s3Endpoint: proxy.endpoint })
  }, 60_000)

  afterAll(async () => {
    proxy.faults = null
    await faulty?.close()
    await proxy?.close()
    await clean?.close()
    expect([...clean.bugs, ...faulty.bugs]).toEqual([])
  }, 60_000)

  it('has every acknowledged row once, and none of a statement that failed for certain', async () => {
    const reader = await connect(clean)
    await reader.query('CREATE TABLE silver.faults (id int, writer int)')
    const acknowledged = new Set<number>()
    const refused = new Set<number>()
    const codes = new Set<string>()
    proxy.faults = FAULTS
    await Promise.all(
      [0, 1, 2, 3].map(async (writer) => {
        const client = await connect(faulty)
        for (let n = 0; n < 12; n++) {
          const id = writer * 1000 + n
          try {
            await client.query('INSERT INTO silver.faults VALUES ($1, $2)', [id, writer])
            acknowledged.add(id)
          } catch (thrown) {
            const { code = '' } = thrown as { code?: string }
            codes.add(code)
            if (code !== SqlState.transactionResolutionUnknown) refused.add(id)
          }
        }
        await client.end()
      }),
    )
    proxy.faults = null
    expect([...codes].filter((code) => !HONEST.includes(code))).toEqual([])
    const { rows } = await reader.query<{ id: number; n: string }>(
      'SELECT id, count(*) AS n FROM silver.faults GROUP BY 1',
    )
    const found = new Map(rows.map(({ id, n }) => [id, Number(n)]))
    expect([...found.values()].filter((n) => n !== 1)).toEqual([])
    expect([...acknowledged].filter((id) => !found.has(id))).toEqual([])
    expect([...refused].filter((id) => found.has(id))).toEqual([])
    expect(acknowledged.size).toBeGreaterThan(20)
    expect(proxy.counts.unanswered).toBeGreaterThan(0)
    await reader.end()
    const engine = await Engine.open({})
    const { faults } = await lintTable(clean.lake, 'silver/faults', await engine.connect())
    await engine.close()
    expect(faults).toEqual([])
  }, 120_000)

  it('answers queries right, or with an error that names the object', async () => {
    const [reader, writer] = [await connect(faulty), await connect(clean)]
    await writer.query('CREATE TABLE silver.sums AS SELECT i FROM generate_series(1, 1000) i')
    let total = 500500
    let right = 0
    proxy.faults = { ...FAULTS, cut: 0.15 }
    for (let n = 1; n <= 25; n++) {
      await writer.query('INSERT INTO silver.sums VALUES ($1)', [n])
      total += n
      try {
        const { rows } = await reader.query<{ sum: string }>('SELECT sum(i) FROM silver.sums')
        expect(rows[0]?.sum).toBe(String(total))
        right++
      } catch (thrown) {
        if (!(thrown instanceof pg.DatabaseError)) throw thrown
        expect(HONEST).toContain(thrown.code)
        expect(thrown.message).toContain('s3://')
      }
    }
    proxy.faults = null
    expect(right).toBeGreaterThan(10)
    await Promise.all([reader.end(), writer.end()])
  }, 120_000)

  it('is left whole by changes of rows whose requests went wrong', async () => {
    const [client, reader] = [await connect(faulty), await connect(clean)]
    await reader.query(
      'CREATE TABLE silver.accounts AS SELECT i AS id, 100 AS amount FROM generate_series(1, 10) i',
    )
    await reader.query(
      'CREATE TABLE gold.accounts AS SELECT i AS id, 100 AS amount FROM generate_series(1, 10) i',
    )
    proxy.faults = FAULTS
    for (let n = 0; n < 8; n++) {
      try {
        await client.query('BEGIN')
        await client.query('UPDATE silver.accounts SET amount = amount - 1 WHERE id = $1', [n + 1])
        await client.query('UPDATE gold.accounts SET amount = amount + 1 WHERE id = $1', [n + 1])
        await client.query('COMMIT')
      } catch (thrown) {
        expect(HONEST).toContain((thrown as { code?: string }).code)
        await client.query('ROLLBACK')
      }
    }
    proxy.faults = null
    // A group whose end is not known is ended by whoever comes next, after its time.
    await new Promise((done) => setTimeout(done, 700))
    const { rows } = await reader.query<{ total: string }>(
      `SELECT sum(amount) AS total FROM
         (SELECT amount FROM silver.accounts UNION ALL SELECT amount FROM gold.accounts) AS all_accounts`,
    )
    expect(rows[0]?.total).toBe('2000')
    await Promise.all([client.end(), reader.end()])
  }, 120_000)

  it('is refused at the start where the store cannot be reached or knows no such bucket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lakegate-cache-'))
    const cache = await FileCache.open(folder, 1e9)
    for (const [bucket, endpoint] of [
      ['no-such-bucket', s3Server?.endpoint],
      ['lakegate-test', 'http://127.0.0.1:9'],
    ] as const) {
      const store = new S3Store({ bucket, prefix: 'x', endpoint, region: 'us-east-1' }, cache)
      await expect(store.requireConditionalWrites()).rejects.toMatchObject({
        sqlState: SqlState.ioError,
        message: expect.stringContaining(`s3://${bucket}`),
      })
      store.close()
    }
    expect(readdirSync(folder)).toContain('files')
    rmSync(folder, { recursive: true, force: true })
  })
})
