/**
 * Goal: a transaction over several tables shows as a whole or not at all, through every gateway, and
 * whatever becomes of the gateway that made it.
 * Method: real clients on two gateways over one lake; readers look at totals over two tables while
 * writers move amounts between them; groups that are left in every half-finished state are met by
 * other gateways.
 */

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeDataFiles } from '../../storage/data-file.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { Groups } from '../../storage/group.js'
import { groupTags } from '../../storage/group-rollback.js'
import { planCompaction, runOptimize } from '../../storage/optimize.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { Transaction } from '../../storage/transaction.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateways: readonly [TestGateway, TestGateway]
const tables = new Set<string>()
let next = 1

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
    const { faults } = await lintTable(first.lake, table, connection)
    expect(faults.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine.close()
  await first.close()
  expect([...first.bugs, ...second.bugs]).toEqual([])
}, 60_000)

async function connect(index: 0 | 1 = 0): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateways[index].port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  return client
}

/** Names of `count` tables (id, n), each with the row (1, 100), in layers of their own. */
async function makeTables(client: pg.Client, count: number): Promise<string[]> {
  const made: string[] = []
  for (let i = 0; i < count; i++) {
    const layer = ['bronze', 'silver', 'gold'][i % 3] as string
    const name = `g${next++}`
    await client.query(`CREATE TABLE ${layer}.${name} (id int, n int)`)
    await client.query(`INSERT INTO ${layer}.${name} VALUES (1, 100)`)
    tables.add(`${layer}/${name}`)
    made.push(`${layer}.${name}`)
  }
  return made
}

async function rows(client: pg.Client, text: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: { readonly code?: string }) => error.code,
  )
}

describe('a block over several tables', () => {
  it('commits as a whole, goes back to savepoints, and rolls back as a whole', async () => {
    const [client, other] = [await connect(0), await connect(1)]
    const [bronze = '', silver = '', gold = ''] = await makeTables(client, 3)
    await client.query('BEGIN')
    await client.query(
      `MERGE INTO ${silver} t USING ${bronze} s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = t.n + s.n`,
    )
    await client.query(`INSERT INTO ${gold} SELECT id + 1, n FROM ${silver}`)
    await client.query('SAVEPOINT s')
    await client.query(`DELETE FROM ${gold}`)
    await client.query(`INSERT INTO ${bronze} VALUES (2, 2)`)
    await client.query('ROLLBACK TO s')
    await client.query(`DELETE FROM ${bronze}`)
    expect(await rows(other, `SELECT n FROM ${silver}`)).toEqual([[100]])
    await client.query('COMMIT')
    for (const reader of [client, other]) {
      expect(await rows(reader, `SELECT n FROM ${silver}`)).toEqual([[200]])
      expect(await rows(reader, `SELECT n FROM ${gold} ORDER BY 1`)).toEqual([[100], [200]])
      expect(await rows(reader, `SELECT count(*) FROM ${bronze}`)).toEqual([['0']])
    }
    await client.query('BEGIN')
    await client.query(`TRUNCATE ${silver}, ${gold}`)
    await client.query('ROLLBACK')
    expect(await rows(other, `SELECT count(*) FROM ${gold}`)).toEqual([['2']])
    await client.end()
    await other.end()
  })

  it('makes tables along with what it writes to others', async () => {
    const [client, other] = [await connect(0), await connect(1)]
    const [source = ''] = await makeTables(client, 1)
    const name = `g${next++}`
    tables.add(`gold/${name}`)
    await client.query('BEGIN')
    await client.query(`CREATE TABLE gold.${name} AS SELECT * FROM ${source}`)
    await client.query(`DELETE FROM ${source}`)
    expect(await codeOf(other.query(`SELECT * FROM gold.${name}`))).toBe('42P01')
    await client.query('COMMIT')
    expect(await rows(other, `SELECT n FROM gold.${name}`)).toEqual([[100]])
    expect(await rows(other, `SELECT n FROM ${source}`)).toEqual([])
    await client.end()
    await other.end()
  })

  it('changes nothing when one of its tables was changed by another', async () => {
    const [client, other] = [await connect(0), await connect(1)]
    const [first = '', second = ''] = await makeTables(client, 2)
    await client.query('BEGIN')
    await client.query(`UPDATE ${first} SET n = 0`)
    await client.query(`UPDATE ${second} SET n = 0`)
    await other.query(`UPDATE ${second} SET n = 7`)
    expect(await codeOf(client.query('COMMIT'))).toBe('40001')
    for (const reader of [client, other]) {
      expect(await rows(reader, `SELECT n FROM ${first}`)).toEqual([[100]])
      expect(await rows(reader, `SELECT n FROM ${second}`)).toEqual([[7]])
      await reader.query(`UPDATE ${first} SET n = n`)
    }
    await client.end()
    await other.end()
  })

  it('is seen whole by every reader while it commits', async () => {
    const setUp = await connect(0)
    const [first = '', second = ''] = await makeTables(setUp, 2)
    await setUp.end()
    let isDone = false
    let moved = 0
    const writers = [0, 1].map(async (index) => {
      const client = await connect(index as 0 | 1)
      for (let i = 0; i < 8; ) {
        await client.query('BEGIN')
        const amount = i + 1
        try {
          await client.query(`UPDATE ${first} SET n = n - ${amount}`)
          await client.query(`UPDATE ${second} SET n = n + ${amount}`)
          await client.query('COMMIT')
          i++
          moved++
        } catch (thrown) {
          expect((thrown as { code?: string }).code).toBe('40001')
          await client.query('ROLLBACK')
        }
      }
      await client.end()
    })
    const totals = new Set<unknown>()
    const readers = [0, 1, 0, 1].map(async (index, i) => {
      const client = await connect(index as 0 | 1)
      while (!isDone) {
        if (i < 2) {
          const [[total]] = (await rows(
            client,
            `SELECT (SELECT sum(n) FROM ${first}) + (SELECT sum(n) FROM ${second})`,
          )) as [[unknown]]
          totals.add(Number(total))
        } else {
          await client.query('BEGIN READ ONLY')
          const [[a]] = (await rows(client, `SELECT sum(n) FROM ${i === 2 ? first : second}`)) as [
            [unknown],
          ]
          await new Promise((resolve) => setTimeout(resolve, 5))
          const [[b]] = (await rows(client, `SELECT sum(n) FROM ${i === 2 ? second : first}`)) as [
            [unknown],
          ]
          totals.add(Number(a) + Number(b))
          await client.query('COMMIT')
        }
      }
      await client.end()
    })
    await Promise.all(writers)
    isDone = true
    await Promise.all(readers)
    expect(moved).toBe(16)
    expect([...totals]).toEqual([200])
  }, 60_000)
})

/** Commits the removal of all rows to the tables as members of a group, and no more. */
async function leaveBehind(names: readonly string[], group: string): Promise<number[]> {
  const { store } = gateways[0]
  const engine = await Engine.open({})
  const connection = await engine.connect()
  const versions: number[] = []
  for (const name of names) {
    const snapshot = await loadSnapshot(store, connection, name.replace('.', '/'), null)
    if (snapshot === null) throw new Error('there is a table')
    const transaction = await Transaction.begin(store, snapshot)
    transaction.readWholeTable()
    transaction.remove(snapshot.files)
    const result = await transaction.commit({ operation: 'DELETE', tags: groupTags(group) })
    if (result.kind !== 'committed') throw new Error(result.detail)
    versions.push(result.version)
  }
  await engine.close()
  return versions
}

describe('a group whose gateway is gone', () => {
  it('does not show, and is rolled back by whoever meets it later', async () => {
    const client = await connect(1)
    const [first = '', second = ''] = await makeTables(client, 2)
    await leaveBehind([first, second], 'left')
    expect(await rows(client, `SELECT n FROM ${first}`)).toEqual([[100]])
    expect(await rows(client, `SELECT n FROM ${second}`)).toEqual([[100]])
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(await rows(client, `SELECT n FROM ${first}`)).toEqual([[100]])
    await client.query(`UPDATE ${second} SET n = n + 1`)
    expect(await rows(client, `SELECT n FROM ${second}`)).toEqual([[101]])
    const history = await rows(client, `DESCRIBE HISTORY ${first}`)
    expect(history.flat()).toContain('ROLLBACK')
    await client.end()
  })

  it('is rolled back when it is known to be aborted, and shows when it is known to be committed', async () => {
    const client = await connect(0)
    const [first = '', second = '', third = ''] = await makeTables(client, 3)
    const groups = new Groups(gateways[0].store)
    await leaveBehind([first], 'aborted')
    await groups.decide('aborted', { decision: 'abort', tables: {} })
    const [version = -1, other = -1] = await leaveBehind([second, third], 'committed')
    const stands = await groups.decide('committed', {
      decision: 'commit',
      tables: { [second.replace('.', '/')]: version, [third.replace('.', '/')]: other },
    })
    expect(stands.decision).toBe('commit')
    expect((await groups.decide('committed', { decision: 'abort', tables: {} })).decision).toBe(
      'commit',
    )
    expect(await rows(client, `SELECT n FROM ${first}`)).toEqual([[100]])
    expect(await rows(client, `SELECT n FROM ${second}`)).toEqual([])
    expect(await rows(client, `SELECT n FROM ${third}`)).toEqual([])
    await client.end()
  })

  it('holds nobody up who appends meanwhile', async () => {
    const client = await connect(0)
    const [first = ''] = await makeTables(client, 1)
    await leaveBehind([first], 'slow')
    await client.query(`INSERT INTO ${first} VALUES (2, 5)`)
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(await rows(client, `SELECT n FROM ${first} ORDER BY 1`)).toEqual([[5], [100]])
    await client.end()
  })
})

/** Commits the row (id, 1) to a table as a member of a group, and no more. */
async function leaveRow(name: string, id: number, group: string): Promise<number> {
  return withTable(name, async (store, connection, snapshot) => {
    const transaction = await Transaction.begin(store, snapshot)
    const query = `SELECT ${id} AS id, 1 AS n`
    transaction.add((await writeDataFiles(store, connection, snapshot, { query })).files)
    const result = await transaction.commit({ operation: 'WRITE', tags: groupTags(group) })
    if (result.kind !== 'committed') throw new Error(result.detail)
    return result.version
  })
}

/** What an engine does to a table that knows nothing of groups. */
async function withTable<T>(
  name: string,
  work: (store: ObjectStore, connection: EngineConnection, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const { store } = gateways[0]
  const engine = await Engine.open({})
  const connection = await engine.connect()
  const snapshot = await loadSnapshot(store, connection, name.replace('.', '/'), null)
  if (snapshot === null) throw new Error('there is a table')
  const answer = await work(store, connection, snapshot)
  await engine.close()
  return answer
}

describe('a group whose files another engine has rewritten', () => {
  it('refuses the table until RESTORE takes it back to before the group', async () => {
    const [client, other] = [await connect(0), await connect(1)]
    const [name = ''] = await makeTables(client, 1)
    const version = await leaveRow(name, 2, `rewritten-${name}`)
    await withTable(name, (store, connection, snapshot) =>
      runOptimize(store, connection, snapshot, planCompaction(snapshot, [...snapshot.files], {}), {
        committed: () => {},
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 600))
    for (const reader of [client, other]) {
      expect(await codeOf(reader.query(`SELECT n FROM ${name}`))).toBe('XX000')
      expect(await codeOf(reader.query(`INSERT INTO ${name} VALUES (3, 3)`))).toBe('XX000')
    }
    expect(await rows(client, `SELECT n FROM ${name} VERSION AS OF ${version - 1}`)).toEqual([
      [100],
    ])
    expect((await rows(client, `DESCRIBE HISTORY ${name}`)).length).toBe(version + 2)
    expect(
      await codeOf(client.query(`RESTORE TABLE ${name} TO VERSION AS OF ${version + 1}`)),
    ).toBe('55000')
    await client.query(`RESTORE TABLE ${name} TO VERSION AS OF ${version - 1}`)
    for (const reader of [client, other]) {
      expect(await rows(reader, `SELECT n FROM ${name}`)).toEqual([[100]])
      await reader.query(`UPDATE ${name} SET n = n`)
    }
    await client.end()
    await other.end()
  })
})

describe('a block that has read one table before a group showed', () => {
  it('misses nothing of another that was acknowledged before the block began', async () => {
    const [client, other] = [await connect(0), await connect(1)]
    const [first = '', second = ''] = await makeTables(client, 2)
    const group = `behind-${first}`
    const version = await leaveRow(first, 2, group)
    await client.query(`INSERT INTO ${first} VALUES (3, 3)`)
    await other.query('BEGIN')
    expect(await rows(other, `SELECT n FROM ${second}`)).toEqual([[100]])
    const later = await leaveRow(second, 2, group)
    const tables = { [first.replace('.', '/')]: version, [second.replace('.', '/')]: later }
    await new Groups(gateways[0].store).decide(group, { decision: 'commit', tables })
    expect(await codeOf(other.query(`SELECT n FROM ${first}`))).toBe('40001')
    await other.query('ROLLBACK')
    expect(await rows(other, `SELECT n FROM ${first} ORDER BY n`)).toEqual([[1], [3], [100]])
    await client.end()
    await other.end()
  })
})

describe('time travel', () => {
  it('shows no commit of a group that does not count', async () => {
    const client = await connect(0)
    const [first = '', second = ''] = await makeTables(client, 2)
    const version = await leaveRow(first, 2, `past-${first}`)
    const at = `SELECT n FROM ${first} VERSION AS OF ${version}`
    expect(await rows(client, at)).toEqual([[100]])
    await new Promise((resolve) => setTimeout(resolve, 600))
    await client.query(`SELECT n FROM ${first}`)
    expect(await rows(client, at)).toEqual([[100]])
    const other = await leaveRow(second, 2, `past-${second}`)
    await client.query(`INSERT INTO ${second} VALUES (3, 3)`)
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect((await rows(client, `SELECT n FROM ${second}`)).length).toBe(2)
    const between = `SELECT n FROM ${second} VERSION AS OF ${other + 1}`
    expect(await codeOf(client.query(between))).toBe('55000')
    await client.end()
  })
})

describe('a commit behind one of an undecided group', () => {
  it('writes no checkpoint, which would hide whose the earlier one is', async () => {
    const client = await connect(0)
    const name = `g${next++}`
    tables.add(`silver/${name}`)
    await client.query(
      `CREATE TABLE silver.${name} (id int, n int) TBLPROPERTIES ('delta.checkpointInterval' = '1')`,
    )
    await client.query(`INSERT INTO silver.${name} VALUES (1, 100)`)
    await leaveBehind([`silver.${name}`], `open-${name}`)
    await client.query(`INSERT INTO silver.${name} VALUES (2, 5)`)
    await client.query(`INSERT INTO silver.${name} VALUES (3, 6)`)
    await new Promise((resolve) => setTimeout(resolve, 600))
    const fresh = await startGateway({ lake: gateways[0].lake })
    const reader = new pg.Client({
      host: '127.0.0.1',
      port: fresh.port,
      user: 'lakegate',
      database: 'lake',
    })
    await reader.connect()
    // A gateway that has just started waits, finds nobody, and takes the group back.
    expect(await rows(reader, `SELECT id FROM silver.${name} ORDER BY 1`)).toEqual([[1], [2], [3]])
    await reader.end()
    await fresh.close()
    await client.end()
  })
})
