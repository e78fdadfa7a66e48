/**
 * Goal: `lakegate.as_of` shows every table and every name of the lake as they were at one moment.
 * Method: a client changes tables, views and names and notes the moments in between; sessions pinned
 * to each of them must see what was seen then, through every kind of statement, and change nothing.
 */

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { Groups } from '../../storage/group.js'
import { groupTags } from '../../storage/group-rollback.js'
import { LocalStore } from '../../storage/local-store.js'
import { Moment } from '../../storage/moment.js'
import { loadSnapshot } from '../../storage/snapshot.js'
import { SnapshotCache } from '../../storage/snapshot-cache.js'
import { Transaction } from '../../storage/transaction.js'
import { type LintedGateway, lintedGateway } from '../support/linted-gateway.js'

let gateway: LintedGateway
let client: pg.Client

beforeAll(async () => {
  gateway = await lintedGateway()
  client = await connect()
})

afterAll(async () => {
  await client.end()
  await gateway.close()
}, 60_000)

async function connect(options?: string): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
    ...(options === undefined ? {} : { options }),
  })
  await made.connect()
  return made
}

async function rows(text: string, by: pg.Client = client): Promise<unknown[][]> {
  return (await by.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function run(...texts: string[]): Promise<void> {
  for (const text of texts) await client.query(text)
}

/** A moment that lies behind all that has been done and before all that is still to come. */
async function moment(): Promise<string> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 15))
  await pause()
  const now = new Date().toISOString()
  await pause()
  return now
}

async function errorOf(work: Promise<unknown>): Promise<pg.DatabaseError | undefined> {
  return work.then(
    () => undefined,
    (error: pg.DatabaseError) => error,
  )
}

/** What `query` gives at that moment, in a session of its own. */
async function at(when: string, query: string): Promise<unknown[][]> {
  const session = await connect(`-c lakegate.as_of=${when}`)
  try {
    return await rows(query, session)
  } finally {
    await session.end()
  }
}

describe('a session pinned to a moment', () => {
  it('reads every table at its version then', async () => {
    await run('CREATE TABLE silver.a1 (n int)', 'CREATE TABLE gold.b1 (n int)')
    await run('INSERT INTO silver.a1 VALUES (1)', 'INSERT INTO gold.b1 VALUES (10)')
    const first = await moment()
    await run('INSERT INTO silver.a1 VALUES (2)')
    const second = await moment()
    await run('UPDATE gold.b1 SET n = 20', 'DELETE FROM silver.a1 WHERE n = 1')
    const both = 'SELECT (SELECT sum(n) FROM silver.a1), (SELECT sum(n) FROM gold.b1)'
    expect(await at(first, both)).toEqual([['1', '10']])
    expect(await at(second, both)).toEqual([['3', '10']])
    expect(await rows(both)).toEqual([['2', '20']])
  })

  it('reads views as they were defined then, over tables as they were then', async () => {
    await run('CREATE TABLE silver.a2 (n int)', 'INSERT INTO silver.a2 VALUES (1), (5)')
    await run('CREATE VIEW gold.v2 AS SELECT sum(n) AS s FROM silver.a2')
    const first = await moment()
    await run('CREATE OR REPLACE VIEW gold.v2 AS SELECT max(n) + 100 AS s FROM silver.a2')
    await run('INSERT INTO silver.a2 VALUES (50)')
    const second = await moment()
    await run('DROP VIEW gold.v2')
    expect(await at(first, 'SELECT s FROM gold.v2')).toEqual([['6']])
    expect(await at(second, 'SELECT s FROM gold.v2')).toEqual([[150]])
    expect((await errorOf(rows('SELECT s FROM gold.v2')))?.code).toBe('42P01')
  })

  it('knows names, dropped tables and columns of then', async () => {
    await run('CREATE TABLE silver.a3 (n int)', 'INSERT INTO silver.a3 VALUES (7)')
    const first = await moment()
    await run('ALTER TABLE silver.a3 ADD COLUMN t text', 'ALTER TABLE silver.a3 RENAME TO c3')
    const second = await moment()
    await run('DROP TABLE silver.c3')
    expect(await at(first, 'SELECT * FROM silver.a3')).toEqual([[7]])
    expect(await at(second, 'SELECT * FROM silver.c3')).toEqual([[7, null]])
    expect((await errorOf(at(second, 'SELECT * FROM silver.a3')))?.code).toBe('42P01')
    expect((await errorOf(rows('SELECT * FROM silver.c3')))?.code).toBe('42P01')
    const columns = `SELECT column_name FROM information_schema.columns WHERE table_schema = 'silver'
      AND table_name IN ('a3', 'c3') ORDER BY ordinal_position`
    // System catalogs show the present.
    for (const then of [first, second]) expect(await at(then, columns)).toEqual([])
    expect(await rows(columns)).toEqual([])
    expect(await at(first, 'SELECT count(*) FROM gold.nowhere').catch((e) => e.hint)).toBe(
      undefined,
    )
  })

  it('answers 42P01 with a hint for what came later, and lets explicit time travel win', async () => {
    const before = await moment()
    await run('CREATE TABLE silver.a4 (n int)', 'INSERT INTO silver.a4 VALUES (1)')
    await run('CREATE VIEW silver.v4 AS SELECT * FROM silver.a4')
    const between = await moment()
    await run('INSERT INTO silver.a4 VALUES (2)')
    for (const name of ['a4', 'v4']) {
      const error = await errorOf(at(before, `SELECT * FROM silver.${name}`))
      expect([error?.code, error?.hint]).toEqual([
        '42P01',
        expect.stringContaining('lakegate.as_of'),
      ])
      expect(error?.position).toBe('15')
    }
    const count = (travel: string): string => `SELECT count(*)::int FROM silver.a4 ${travel}`
    expect(await at(before, count('VERSION AS OF 2'))).toEqual([[2]])
    expect(await at(between, count('VERSION AS OF 2'))).toEqual([[2]])
    expect(await at(between, count(''))).toEqual([[1]])
    expect(await at(between, count('VERSION AS OF 0'))).toEqual([[0]])
  })

  it('shows the history and the detail of then', async () => {
    await run('CREATE TABLE silver.a5 (n int)')
    const first = await moment()
    await run('INSERT INTO silver.a5 VALUES (1)', 'CREATE LAYER later5')
    const history = await at(first, 'DESCRIBE HISTORY silver.a5')
    expect(history.map(([version]) => version)).toEqual(['0'])
    const [detail] = await at(first, 'DESCRIBE DETAIL silver.a5')
    expect(detail?.[7]).toBe('0')
    const layers = await at(first, 'SHOW LAYERS')
    expect(layers.map(([name]) => name)).not.toContain('later5')
    expect((await rows('SHOW LAYERS')).map(([name]) => name)).toContain('later5')
  })

  it('refuses every change of the lake, and leaves temporary tables alone', async () => {
    await run('CREATE TABLE silver.a6 (id int, n int, PRIMARY KEY (id))')
    await run('INSERT INTO silver.a6 VALUES (1, 1)')
    const now = await moment()
    const session = await connect(`-c lakegate.as_of=${now}`)
    for (const text of [
      'INSERT INTO silver.a6 VALUES (2, 2)',
      'INSERT INTO silver.a6 VALUES (1, 2) ON CONFLICT (id) DO NOTHING',
      'UPDATE silver.a6 SET n = 2',
      'DELETE FROM silver.a6',
      'DELETE FROM silver.a6 WHERE n = 1',
      'TRUNCATE silver.a6',
      'MERGE INTO silver.a6 t USING (VALUES (1)) s(id) ON s.id = t.id WHEN MATCHED THEN DELETE',
      'CREATE TABLE silver.made6 (n int)',
      'CREATE TABLE silver.made6 AS SELECT 1 AS n',
      'SELECT 1 AS n INTO silver.made6',
      'CREATE OR REPLACE TABLE silver.a6 (n int)',
      'DROP TABLE silver.a6',
      'UNDROP TABLE silver.a6',
      'ALTER TABLE silver.a6 ADD COLUMN t text',
      'ALTER TABLE silver.a6 RENAME TO b6',
      'ALTER TABLE silver.a6 CLUSTER BY (n)',
      "COMMENT ON TABLE silver.a6 IS 'x'",
      'CREATE VIEW silver.v6 AS SELECT 1 AS n',
      'CREATE SCHEMA made6',
      'CREATE LAYER made6',
      'OPTIMIZE silver.a6',
      'VACUUM silver.a6',
      'RESTORE TABLE silver.a6 TO VERSION AS OF 0',
      'REORG TABLE silver.a6 APPLY (PURGE)',
    ]) {
      const error = await errorOf(session.query(text))
      expect([text, error?.code, error?.hint]).toEqual([
        text,
        '25006',
        'RESET lakegate.as_of first.',
      ])
    }
    await session.query('CREATE TEMPORARY TABLE mine6 AS SELECT * FROM silver.a6')
    await session.query('INSERT INTO mine6 VALUES (3, 3)')
    expect(await rows('SELECT count(*)::int FROM mine6', session)).toEqual([[2]])
    await session.query('TRUNCATE mine6')
    await session.query('DROP TABLE mine6')
    await session.query("SET lakegate.as_of = ''")
    await session.query('INSERT INTO silver.a6 VALUES (2, 2)')
    await session.query('DELETE FROM silver.a6 WHERE id = 2')
    await session.end()
    expect(await rows('SELECT * FROM silver.a6')).toEqual([[1, 1]])
    expect(await rows('DESCRIBE HISTORY silver.a6')).toHaveLength(4)
  })
})

describe('the setting', () => {
  it('is read in the zone of the session, and stays when the zone changes', async () => {
    const session = await connect('-c lakegate.as_of=2026-01-02T12:00 -c timezone=Europe/Berlin')
    const shown = async (): Promise<unknown> => (await rows('SHOW lakegate.as_of', session))[0]?.[0]
    expect(await shown()).toBe('2026-01-02 12:00:00+01')
    await session.query("SET timezone = 'UTC'")
    expect(await shown()).toBe('2026-01-02 12:00:00+01')
    await session.query("SET lakegate.as_of = '2026-01-02 12:00:00.5'")
    expect(await shown()).toBe('2026-01-02 12:00:00.5+00')
    await session.query("SET lakegate.as_of = '2026-01-02 12:00-08'")
    expect(await shown()).toBe('2026-01-02 20:00:00+00')
    await session.query("SET lakegate.as_of = ''")
    expect(await shown()).toBe('')
    await session.query("SELECT set_config('lakegate.as_of', '2026-01-03', false)")
    expect(await shown()).toBe('2026-01-03 00:00:00+00')
    await session.query('RESET lakegate.as_of')
    expect(await shown()).toBe('2026-01-02 12:00:00+01')
    await session.end()
  })

  it.each(['2999-01-01', 'infinity', '-infinity', 'yesterdayish', '2026-02-30', '3'])(
    'is not %s (22023)',
    async (value) => {
      expect((await errorOf(client.query(`SET lakegate.as_of = '${value}'`)))?.code).toBe('22023')
      expect(await rows('SHOW lakegate.as_of')).toEqual([['']])
    },
  )

  it('shows no table before the first one', async () => {
    const error = await errorOf(at('1970-01-01', 'SELECT * FROM silver.orders'))
    expect(error?.code).toBe('42P01')
  })

  it('goes back with its block, with savepoints, and with SET LOCAL', async () => {
    await run('CREATE TABLE silver.a7 (n int)', 'INSERT INTO silver.a7 VALUES (1)')
    const first = await moment()
    await run('INSERT INTO silver.a7 VALUES (2)')
    const count = async (): Promise<unknown> =>
      (await rows('SELECT count(*)::int FROM silver.a7'))[0]?.[0]
    await run('BEGIN', 'INSERT INTO silver.a7 VALUES (3)')
    expect(await count()).toBe(3)
    await run(`SET LOCAL lakegate.as_of = '${first}'`)
    expect(await count()).toBe(1)
    await run('SAVEPOINT s', 'RESET lakegate.as_of')
    expect(await count()).toBe(3)
    await run('ROLLBACK TO s')
    expect(await count()).toBe(1)
    await run('COMMIT')
    expect(await count()).toBe(3)
    await run('BEGIN', `SET lakegate.as_of = '${first}'`)
    expect(await count()).toBe(1)
    await run('ROLLBACK')
    expect(await count()).toBe(3)
  })

  it('is noticed by prepared statements, which refuse other types of columns', async () => {
    await run('CREATE TABLE silver.a8 (n int)', 'INSERT INTO silver.a8 VALUES (1)')
    const first = await moment()
    await run('INSERT INTO silver.a8 VALUES (2)')
    const second = await moment()
    await run('ALTER TABLE silver.a8 ALTER COLUMN n TYPE bigint')
    const query = { name: 'p8', text: 'SELECT n FROM silver.a8 ORDER BY n', rowMode: 'array' }
    expect((await client.query<unknown[]>(query)).rows).toEqual([['1'], ['2']])
    await run('PREPARE q8 AS SELECT count(*)::int FROM silver.a8')
    await run(`SET lakegate.as_of = '${second}'`)
    expect(await rows('EXECUTE q8')).toEqual([[2]])
    expect((await errorOf(client.query(query)))?.code).toBe('0A000')
    await run(`SET lakegate.as_of = '${first}'`)
    expect(await rows('EXECUTE q8')).toEqual([[1]])
    await run('RESET lakegate.as_of')
    expect((await client.query<unknown[]>(query)).rows).toEqual([['1'], ['2']])
  })

  it('reaches cursors, COPY, EXPLAIN and queries in the words of DuckDB', async () => {
    await run('CREATE TABLE silver.a9 (n int)', 'INSERT INTO silver.a9 VALUES (1)')
    const first = await moment()
    await run('INSERT INTO silver.a9 VALUES (2)')
    await run('BEGIN', 'DECLARE c9 CURSOR FOR SELECT n FROM silver.a9 ORDER BY n')
    await run(`SET LOCAL lakegate.as_of = '${first}'`)
    await run('DECLARE d9 CURSOR FOR SELECT n FROM silver.a9 ORDER BY n')
    expect(await rows('FETCH ALL c9')).toEqual([[1], [2]])
    expect(await rows('FETCH ALL d9')).toEqual([[1]])
    expect(await rows('FROM silver.a9')).toEqual([[1]])
    const plan = (await rows('EXPLAIN SELECT * FROM silver.a9')).join('\n')
    expect(plan).toMatch(/files.*1 of 1|1 of 1/)
    await run('COMMIT')
  })
})

describe('groups of several tables', () => {
  it('show as a whole at every moment', async () => {
    await run('CREATE TABLE silver.g1 (n int)', 'CREATE TABLE gold.g1 (n int)')
    await run('INSERT INTO silver.g1 VALUES (100)', 'INSERT INTO gold.g1 VALUES (0)')
    const from = Date.now()
    for (let i = 0; i < 5; i++) {
      await run('BEGIN', 'UPDATE silver.g1 SET n = n - 1', 'UPDATE gold.g1 SET n = n + 1', 'COMMIT')
    }
    const until = Date.now()
    const seen = new Set<number>()
    // Some moments before, between and in the middle of them, however long they took.
    for (let i = 0; i < 40; i++) {
      const ms = from + Math.floor(((until - from) * i) / 40)
      const sums = `SELECT (SELECT sum(n) FROM silver.g1)::int, (SELECT sum(n) FROM gold.g1)::int`
      await run(`SET lakegate.as_of = '${new Date(ms).toISOString()}'`)
      const [[left, right] = []] = await rows(sums)
      expect(Number(left) + Number(right)).toBe(100)
      seen.add(Number(right))
    }
    await run('RESET lakegate.as_of')
    // At least one moment lay before all and one between two of them.
    expect(seen.size).toBeGreaterThan(1)
  })

  it('leave out commits of groups that had not ended, and what was built on them', async () => {
    await run('CREATE TABLE silver.h1 (n int)', 'CREATE TABLE gold.h1 (n int)')
    const engine = await Engine.open({ allowedDirectories: [gateway.lake], tempDirectory: '' })
    const connection = await engine.connect()
    const store = new LocalStore(gateway.lake)
    const groups = new Groups(store)
    const commit = async (tablePath: string, group?: string): Promise<number> => {
      const snapshot = await loadSnapshot(store, connection, tablePath, null)
      if (snapshot === null) throw new Error('no table')
      const transaction = await Transaction.begin(store, snapshot)
      const tags = group === undefined ? {} : { tags: groupTags(group) }
      const result = await transaction.commit({ operation: 'WRITE', ...tags })
      if (result.kind !== 'committed') throw new Error(result.kind)
      return result.version
    }
    const versions = {
      'silver/h1': await commit('silver/h1', 'late'),
      'gold/h1': await commit('gold/h1', 'late'),
    }
    const undecided = new Date(await moment()).getTime()
    await groups.decide('late', { decision: 'commit', tables: versions })
    await commit('silver/h1')
    const decided = new Date(await moment()).getTime()
    const cache = new SnapshotCache(store, engine, 1e7)
    const versionAt = async (ms: number, path: string): Promise<number | undefined> =>
      (await new Moment(store, cache, ms).snapshot(path))?.version
    expect(await versionAt(undecided, 'silver/h1')).toBe(0)
    expect(await versionAt(undecided, 'gold/h1')).toBe(0)
    expect(await versionAt(decided, 'silver/h1')).toBe(2)
    expect(await versionAt(decided, 'gold/h1')).toBe(1)
    await engine.close()
  })
})
