/**
 * Goal: what was acknowledged survives, and nothing half done is ever seen, when processes are killed.
 *
 * Method: real processes append to one table on a real disk and are killed at random moments; then
 * the log is checked by the letter and the rows are compared with those acknowledged. And writers
 * that write real files over a store that fails.
 */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { writeDataFiles } from '../../storage/data-file.js'
import { SqlError } from '../../storage/errors.js'
import { maintainLog } from '../../storage/log-maintenance.js'
import { loadSnapshot } from '../../storage/snapshot.js'
import { Transaction } from '../../storage/transaction.js'
import { lintTable } from '../support/log-linter.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'
import { FaultyStore, Scheduler, seeded } from './faulty-store.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(() => lake.close())

const script = fileURLToPath(new URL('../support/append-forever.mjs', import.meta.url))

/** Appends until killed after `lifeMs` counted from its first row; answers what it was told is in. */
function appendUntilKilled(tablePath: string, name: string, lifeMs: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, lake.root, tablePath, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    let isTimed = false
    child.stdout.on('data', (data: Buffer) => {
      printed += data.toString()
      if (isTimed) return
      isTimed = true
      setTimeout(() => child.kill('SIGKILL'), lifeMs)
    })
    child.on('error', reject)
    child.on('close', (_code, signal) => {
      if (signal === 'SIGKILL') resolve(printed.split('\n').slice(0, -1))
      else reject(new Error(`the process ended by itself after ${printed.length} bytes`))
    })
  })
}

it('what a killed process was told is in the table, once, and the table is whole', async () => {
  const tablePath = 'crash/killed'
  await lake.create({
    tablePath,
    schema: schemaOf({ id: 'string', p: 'long' }),
    partitionColumns: ['p'],
    configuration: { 'delta.checkpointInterval': '3' },
  })
  const random = seeded(Date.now())
  const acknowledged: string[] = []
  for (let round = 0; round < 4; round++) {
    const told = await Promise.all(
      ['a', 'b'].map((name) => appendUntilKilled(tablePath, `${name}${round}`, random() * 700)),
    )
    acknowledged.push(...told.flat())
  }
  const snapshot = await lake.snapshot(tablePath)
  const rows = (await lake.rows(tablePath)).map((row) => (JSON.parse(row) as [string])[0])
  expect(new Set(rows).size).toBe(rows.length)
  expect(acknowledged.filter((id) => !rows.includes(id))).toEqual([])
  // A process may die after its commit and before it says so: one row at most for each.
  expect(rows.length - acknowledged.length).toBeLessThanOrEqual(8)
  expect(snapshot.version).toBe(rows.length)
  const report = await lintTable(lake.root, tablePath, lake.connection)
  expect(report.faults.filter((fault) => !/^(staging folder|odd file \.)/.test(fault))).toEqual([])
  console.info(
    `killed: ${rows.length} rows, ${acknowledged.length} acknowledged, ${report.orphans.length} orphans`,
  )
}, 120_000)

it('whatever fails while files are written, the log names whole files only', async () => {
  let unacknowledged = 0
  for (let seed = 1; seed <= 12; seed++) {
    const tablePath = `crash/seed${seed}`
    await lake.create({
      tablePath,
      schema: schemaOf({ id: 'string', p: 'long' }),
      partitionColumns: ['p'],
      configuration: { 'delta.checkpointInterval': '2' },
    })
    const random = seeded(seed)
    const scheduler = new Scheduler(random)
    const acknowledged: string[] = []
    const attempted: string[] = []
    await Promise.all(
      Array.from({ length: 3 }, async (_, writer) => {
        const rates = { fails: 0.03, failsLate: 0.03, ambiguous: 0.2 }
        const store = new FaultyStore(lake.store, scheduler, random, rates)
        const connection = await lake.engine.connect()
        for (let n = 0; n < 4; n++) {
          const id = `${writer}.${n}`
          attempted.push(id)
          try {
            const snapshot = await loadSnapshot(store, connection, tablePath, null)
            if (snapshot === null) throw new Error('no table')
            const transaction = await Transaction.begin(store, snapshot)
            const query = `SELECT '${id}' AS id, unnest([1, 2]) AS p`
            transaction.add((await writeDataFiles(store, connection, snapshot, { query })).files)
            const result = await transaction.commit({ operation: 'WRITE' })
            if (result.kind !== 'committed') throw new Error(result.detail)
            acknowledged.push(id)
            await maintainLog(store, lake.engine, transaction)
          } catch (thrown) {
            if (!(thrown instanceof SqlError)) throw thrown
            unacknowledged++
          }
        }
        connection.close()
        await store.settle()
      }),
    )
    const report = await lintTable(lake.root, tablePath, lake.connection)
    expect(report.faults, `seed ${seed}`).toEqual([])
    const rows = (await lake.rows(tablePath)).map((row) => (JSON.parse(row) as [string])[0]).sort()
    const ids = [...new Set(rows)]
    expect(rows, `seed ${seed}`).toEqual(ids.flatMap((id) => [id, id]))
    expect(
      acknowledged.filter((id) => !ids.includes(id)),
      `seed ${seed}`,
    ).toEqual([])
    expect(
      ids.filter((id) => !attempted.includes(id)),
      `seed ${seed}`,
    ).toEqual([])
    expect(report.version, `seed ${seed}`).toBe(ids.length)
  }
  expect(unacknowledged).toBeGreaterThan(5)
}, 120_000)
