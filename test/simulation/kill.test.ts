/**
 * Goal: a gateway that is killed in the middle of a real load loses nothing it has acknowledged, does
 * nothing twice, and leaves tables by the letter of the specification.
 *
 * Method: two gateway processes on one lake, clients on both that insert, count up by upserts, and move
 * amounts between two tables in transaction blocks; one or both processes are killed with SIGKILL at a random moment
 * and started again, round after round (LAKEGATE_KILL_ROUNDS, two unless set). Afterwards the rows are
 * held against what the clients were told, through a gateway that has just started.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { connectTo, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.js'
import { lintTable } from '../support/log-linter.js'
import { seeded } from './faulty-store.js'

const rounds = Number(process.env.LAKEGATE_KILL_ROUNDS ?? 2)
const seed = Number(process.env.LAKEGATE_SEED ?? Date.now() % 1_000_000)
const random = seeded(seed)
const ACCOUNTS = 10

let lake: string

beforeAll(() => {
  lake = mkdtempSync(join(tmpdir(), 'lakegate-kill-'))
})

afterAll(() => rmSync(lake, { recursive: true, force: true }))

/** What the clients were told. */
class Ledger {
  readonly inserted = new Set<string>()
  /** Rows of statements that nobody answered: there or not. */
  readonly unanswered = new Set<string>()
  counted = 0
  uncertainCounts = 0
  moved = 0

  get answers(): number {
    return this.inserted.size + this.counted + this.moved
  }
}

/** Works until the connection breaks; every error but a broken connection is one of the gateway. */
async function work(
  gateway: GatewayProcess,
  run: (client: pg.Client) => Promise<void>,
): Promise<void> {
  let client: pg.Client
  try {
    client = await connectTo(gateway)
  } catch {
    return
  }
  try {
    for (;;) await run(client)
  } catch (thrown) {
    const { code } = thrown as { readonly code?: string }
    // 40001: a block that lost; it is for the client to try again.
    if (code === '40001') await client.query('ROLLBACK').catch(() => {})
    else if (code !== undefined && !/^(?:ECONN|EPIPE)/.test(code)) throw thrown
  } finally {
    await client.end().catch(() => {})
  }
}

function insertRows(gateway: GatewayProcess, ledger: Ledger, name: string): Promise<void> {
  let next = 0
  return work(gateway, async (client) => {
    const id = `${name}.${next++}`
    ledger.unanswered.add(id)
    await client.query('INSERT INTO silver.entries VALUES ($1, $2)', [id, next % 3])
    ledger.unanswered.delete(id)
    ledger.inserted.add(id)
  })
}

function countUp(gateway: GatewayProcess, ledger: Ledger, key: number): Promise<void> {
  return work(gateway, async (client) => {
    ledger.uncertainCounts++
    await client.query(
      'INSERT INTO silver.counters VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = counters.n + 1',
      [key],
    )
    ledger.uncertainCounts--
    ledger.counted++
  })
}

function moveAmounts(gateway: GatewayProcess, ledger: Ledger): Promise<void> {
  return work(gateway, async (client) => {
    const [from, to] = [Math.floor(random() * ACCOUNTS), Math.floor(random() * ACCOUNTS)]
    await client.query('BEGIN')
    await client.query('UPDATE silver.accounts SET amount = amount - 1 WHERE id = $1', [from])
    await client.query('UPDATE gold.accounts SET amount = amount + 1 WHERE id = $1', [to])
    await client.query('COMMIT')
    ledger.moved++
  })
}

async function repeatUntilDead(gateway: GatewayProcess, once: () => Promise<void>): Promise<void> {
  while (gateway.child.exitCode === null && gateway.child.signalCode === null) await once()
}

it(
  `a killed gateway keeps what it acknowledged (seed ${seed})`,
  async () => {
    const ledger = new Ledger()
    const first = await startGatewayProcess(lake)
    const setUp = await connectTo(first)
    await setUp.query(
      "CREATE TABLE silver.entries (id text, p int) PARTITIONED BY (p) TBLPROPERTIES ('delta.checkpointInterval' = '7')",
    )
    await setUp.query('CREATE TABLE silver.counters (id int PRIMARY KEY, n int)')
    for (const layer of ['silver', 'gold']) {
      await setUp.query(`CREATE TABLE ${layer}.accounts (id int, amount int)`)
      await setUp.query(
        `INSERT INTO ${layer}.accounts SELECT i, 100 FROM generate_series(0, ${ACCOUNTS - 1}) AS g(i)`,
      )
    }
    await setUp.end()
    first.child.kill('SIGTERM')
    await first.ended

    for (let round = 0; round < rounds; round++) {
      const gateways = [await startGatewayProcess(lake), await startGatewayProcess(lake)]
      const load = gateways.flatMap((gateway, i) => [
        insertRows(gateway, ledger, `${round}.${i}.a`),
        insertRows(gateway, ledger, `${round}.${i}.b`),
        repeatUntilDead(gateway, () => countUp(gateway, ledger, i)),
        repeatUntilDead(gateway, () => moveAmounts(gateway, ledger)),
      ])
      // After some answers, not after some time: a slow machine is to be under load too.
      const enough = {
        answers: ledger.answers + 5 + Math.floor(random() * 40),
        moves: ledger.moved + 1,
        untilMs: Date.now() + 20_000,
      }
      while (
        (ledger.answers < enough.answers || ledger.moved < enough.moves) &&
        Date.now() < enough.untilMs
      ) {
        await new Promise((resolve) => setTimeout(resolve, random() * 20))
      }
      for (const { child } of gateways) {
        child.kill('SIGKILL')
        await new Promise((resolve) => setTimeout(resolve, random() * 300))
      }
      await Promise.all(gateways.map(({ ended }) => ended))
      await Promise.all(load)
    }

    const last = await startGatewayProcess(lake)
    const client = await connectTo(last)
    const rows = async (text: string): Promise<unknown[][]> =>
      (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
    const ids = (await rows('SELECT id FROM silver.entries')).map(([id]) => String(id))
    expect(new Set(ids).size).toBe(ids.length)
    expect([...ledger.inserted].filter((id) => !ids.includes(id))).toEqual([])
    expect(ids.filter((id) => !ledger.inserted.has(id) && !ledger.unanswered.has(id))).toEqual([])
    const [[counted]] = (await rows('SELECT coalesce(sum(n), 0)::int FROM silver.counters')) as [
      [number],
    ]
    expect(counted).toBeGreaterThanOrEqual(ledger.counted)
    expect(counted).toBeLessThanOrEqual(ledger.counted + ledger.uncertainCounts)
    expect(
      await rows(
        'SELECT count(*)::int, sum(amount)::int FROM (SELECT * FROM silver.accounts UNION ALL SELECT * FROM gold.accounts) AS a',
      ),
    ).toEqual([[2 * ACCOUNTS, 2 * ACCOUNTS * 100]])
    await client.end()
    last.child.kill('SIGTERM')
    await last.ended
    expect(last.output()).toContain('stopped')

    const engine = await Engine.open({})
    const connection = await engine.connect()
    for (const table of ['silver/entries', 'silver/counters', 'silver/accounts', 'gold/accounts']) {
      const { faults } = await lintTable(lake, table, connection)
      expect(faults.filter((fault) => !/^(staging folder|odd file \.)/.test(fault))).toEqual([])
    }
    await engine.close()
    console.info(
      `killed ${rounds * 2} gateways: ${ids.length} rows of ${ledger.inserted.size} acknowledged, ${counted} counts of ${ledger.counted}, ${ledger.moved} transfers`,
    )
    // A load that did nothing would prove nothing.
    expect(ledger.inserted.size).toBeGreaterThan(0)
    expect(ledger.counted).toBeGreaterThan(0)
    expect(ledger.moved).toBeGreaterThan(0)
  },
  60_000 + rounds * 40_000,
)
