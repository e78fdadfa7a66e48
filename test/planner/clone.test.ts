/**
 * Goal: clones have the rows of their source at one version and go their own way from there, deep ones
 * with files of their own that are copied once.
 * Method: tables with partitions, deletion vectors, column mapping, constraints and row ids are cloned
 * by a real client; rows of source and clone are compared before and after either is changed, files
 * are counted on disk, and every log is linted.
 */

import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'

let gateway: TestGateway
let client: pg.Client
let notices: string[] = []
let next = 1

beforeAll(async () => {
  gateway = await startGateway()
  client = await connect()
  client.on('notice', ({ message }) => notices.push(message ?? ''))
})

afterAll(async () => {
  await client.end()
  await gateway.settle()
  const engine = await Engine.open({})
  const connection = await engine.connect()
  for (const name of readdirSync(gateway.lake, { recursive: true }).map(String)) {
    if (!name.endsWith('/_delta_log')) continue
    const table = name.slice(0, -'/_delta_log'.length)
    const { faults } = await lintTable(gateway.lake, table, connection)
    // What VACUUM took away is missed in the source, and in shallow clones of it.
    const isGone = (fault: string): boolean =>
      fault.endsWith(' does not exist') &&
      (vacuumed.has(table) || [...vacuumed].some((one) => fault.includes(`/${one}/`)))
    const left = faults.filter((fault) => !isGone(fault))
    expect(left.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine.close()
  await gateway.close()
  expect(gateway.bugs).toEqual([])
}, 60_000)

/** Folders of tables whose files were taken away. */
const vacuumed = new Set<string>()

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await made.connect()
  return made
}

async function rows(text: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
}

async function run(...texts: string[]): Promise<void> {
  for (const text of texts) await client.query(text)
}

/** The metrics of a clone by their names, or its error. */
async function clone(text: string): Promise<unknown> {
  try {
    const { rows: found } = await client.query<Record<string, string>>(text)
    const [row] = found
    return row === undefined
      ? 'nothing'
      : {
          files: Number(row.source_num_of_files),
          removed: Number(row.num_removed_files),
          copied: Number(row.num_copied_files),
        }
  } catch (thrown) {
    return (thrown as pg.DatabaseError).code
  }
}

/** A table of two partitions in some files, one of them with deleted rows. */
async function source(columns = 'id int, p text, n int', more = ''): Promise<string> {
  const name = `silver.source${next++}`
  await run(
    `CREATE TABLE ${name} (${columns}) PARTITIONED BY (p) ${more}`,
    `INSERT INTO ${name} (id, p, n) VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b c%/d', 30), (4, NULL, 40)`,
    `INSERT INTO ${name} (id, p, n) VALUES (5, 'a', 50), (6, 'a', 60)`,
    'SET lakegate.deletion_vectors = always',
    `DELETE FROM ${name} WHERE id IN (2, 6)`,
    'RESET lakegate.deletion_vectors',
  )
  return name
}

const ALL = 'SELECT id, p, n FROM $t ORDER BY id'
const of = (table: string): Promise<unknown[][]> => rows(ALL.replace('$t', table))

function dataFiles(table: string): string[] {
  const folder = join(gateway.lake, table.replace('.', '/'))
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /\.(?:parquet|bin)$/.test(name) && !name.includes('_delta_log'))
}

describe.each(['SHALLOW', 'DEEP'])('a %s clone', (kind) => {
  it('has the rows of its source, and goes its own way', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    notices = []
    expect(await clone(`CREATE TABLE ${into} ${kind} CLONE ${from}`)).toEqual({
      files: 4,
      removed: 0,
      copied: kind === 'DEEP' ? 4 : 0,
    })
    expect(notices.some((one) => one.includes('VACUUM'))).toBe(kind === 'SHALLOW')
    const before = await of(from)
    expect(await of(into)).toEqual(before)
    expect(await rows(`SELECT id FROM ${into} WHERE p = 'b c%/d'`)).toEqual([[3]])
    await run(
      `UPDATE ${into} SET n = n + 1 WHERE p = 'a'`,
      `DELETE FROM ${into} WHERE id = 3`,
      `INSERT INTO ${into} VALUES (7, 'a', 70)`,
    )
    expect(await of(from)).toEqual(before)
    expect(await of(into)).toEqual([
      [1, 'a', 11],
      [4, null, 40],
      [5, 'a', 51],
      [7, 'a', 70],
    ])
    await run(`DELETE FROM ${from}`, `OPTIMIZE ${into}`)
    expect(await rows(`SELECT count(*)::int FROM ${into}`)).toEqual([[4]])
    expect(dataFiles(into).length > 0).toBe(true)
  })

  it('is of a version or a time, when it is asked for', async () => {
    const from = await source()
    const history = await rows(`DESCRIBE HISTORY ${from}`)
    const [, time] = history.find(([version]) => version === '1') ?? []
    const when = (time as Date).toISOString()
    const [one, two] = [`gold.clone${next++}`, `gold.clone${next++}`]
    await clone(`CREATE TABLE ${one} ${kind} CLONE ${from} VERSION AS OF 2`)
    await clone(`CREATE TABLE ${two} ${kind} CLONE ${from} TIMESTAMP AS OF '${when}'`)
    expect((await of(one)).map(([id]) => id)).toEqual([1, 2, 3, 4, 5, 6])
    expect((await of(two)).map(([id]) => id)).toEqual([1, 2, 3, 4])
    expect(await clone(`CREATE TABLE gold.x9 ${kind} CLONE ${from} VERSION AS OF 99`)).toBe('22023')
  })

  it('takes definitions along: constraints, defaults, mapping, keys, comments, identity', async () => {
    const from = `silver.source${next++}`
    await run(
      `CREATE TABLE ${from} (id bigint GENERATED ALWAYS AS IDENTITY, k int PRIMARY KEY, n int DEFAULT 5 CHECK (n > 0),
         twice int GENERATED ALWAYS AS (k * 2) STORED) COMMENT 'of the source'
         TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'owner' = 'me') CLUSTER BY (k)`,
      `INSERT INTO ${from} (k) VALUES (1), (2)`,
      `ALTER TABLE ${from} RENAME COLUMN n TO m`,
      `INSERT INTO ${from} (k, m) VALUES (3, 7)`,
    )
    const into = `gold.clone${next++}`
    await clone(
      `CREATE TABLE ${into} ${kind} CLONE ${from} TBLPROPERTIES ('owner' = 'you', 'x.y' = 'z')`,
    )
    await run(`INSERT INTO ${into} (k) VALUES (4)`)
    expect(await rows(`SELECT id::int, k, m, twice FROM ${into} ORDER BY k`)).toEqual([
      [1, 1, 5, 2],
      [2, 2, 5, 4],
      [3, 3, 7, 6],
      [4, 4, 5, 8],
    ])
    const refused = await client
      .query(`INSERT INTO ${into} (k, m) VALUES (5, -1)`)
      .catch((e) => e.code)
    expect(refused).toBe('23514')
    const shown = new Map(
      (await rows(`SHOW TBLPROPERTIES ${into}`)).map(([key, value]) => [key, value]),
    )
    expect([shown.get('owner'), shown.get('x.y')]).toEqual(['you', 'z'])
    const details = [await rows(`DESCRIBE DETAIL ${from}`), await rows(`DESCRIBE DETAIL ${into}`)]
    const [[theirs = []] = [], [own = []] = []] = details
    expect(own[3]).toBe('of the source')
    expect(own[9]).toBe('k')
    expect(own[1]).not.toBe(theirs[1])
    expect(await rows(`SHOW TBLPROPERTIES ${from} ('owner')`)).toEqual([['owner', 'me']])
    const [[version, , , , operation, parameters] = []] = (
      await rows(`DESCRIBE HISTORY ${into}`)
    ).slice(-1)
    expect([version, operation]).toEqual(['0', 'CLONE'])
    expect(JSON.parse(String(parameters))).toMatchObject({ isShallow: String(kind === 'SHALLOW') })
  })

  it('replaces what is there, as a new version of it', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    await run(`CREATE TABLE ${into} (other text)`, `INSERT INTO ${into} VALUES ('x')`)
    expect(await clone(`CREATE TABLE ${into} ${kind} CLONE ${from}`)).toBe('42P07')
    notices = []
    expect(await clone(`CREATE TABLE IF NOT EXISTS ${into} ${kind} CLONE ${from}`)).toBe('nothing')
    expect(notices).toEqual([expect.stringContaining('skipping')])
    expect(await clone(`CREATE OR REPLACE TABLE ${into} ${kind} CLONE ${from}`)).toMatchObject({
      files: 4,
      removed: 1,
    })
    expect(await of(into)).toEqual(await of(from))
    expect(await rows(`SELECT * FROM ${into} VERSION AS OF 1`)).toEqual([['x']])
    // Once more changes nothing but the history.
    expect(await clone(`CREATE OR REPLACE TABLE ${into} ${kind} CLONE ${from}`)).toEqual({
      files: 4,
      removed: 0,
      copied: 0,
    })
    expect(await of(into)).toEqual(await of(from))
  })

  it('takes part in blocks', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    await run('BEGIN')
    await clone(`CREATE TABLE ${into} ${kind} CLONE ${from}`)
    await run(`DELETE FROM ${into} WHERE id > 3`)
    expect((await of(into)).map(([id]) => id)).toEqual([1, 3])
    await run('ROLLBACK')
    expect(await rows(`SELECT to_regclass('${into}')`)).toEqual([[null]])
    await run('BEGIN', `INSERT INTO ${from} VALUES (9, 'a', 9)`)
    expect(await clone(`CREATE TABLE ${into} ${kind} CLONE ${from}`)).toBe('0A000')
    await run('ROLLBACK', 'BEGIN')
    await clone(`CREATE TABLE ${into} ${kind} CLONE ${from}`)
    await run('COMMIT')
    expect(await of(into)).toEqual(await of(from))
  })
})

describe('a deep clone', () => {
  it('copies only what has come since the last one', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    const replace = `CREATE OR REPLACE TABLE ${into} DEEP CLONE ${from}`
    expect(await clone(replace)).toEqual({ files: 4, removed: 0, copied: 4 })
    const first = dataFiles(into)
    await run(`INSERT INTO ${from} VALUES (8, 'new', 80)`, `DELETE FROM ${from} WHERE p IS NULL`)
    expect(await clone(replace)).toEqual({ files: 4, removed: 1, copied: 1 })
    expect(await of(into)).toEqual(await of(from))
    expect(dataFiles(into).length).toBe(first.length + 1)
    // Rows deleted meanwhile come as vectors, not as files.
    await run(
      'SET lakegate.deletion_vectors = always',
      `DELETE FROM ${from} WHERE id = 5`,
      'RESET lakegate.deletion_vectors',
    )
    expect(await clone(replace)).toMatchObject({ copied: 0 })
    expect(await of(into)).toEqual(await of(from))
    // What the clone changed itself goes.
    await run(`UPDATE ${into} SET n = 0 WHERE id = 1`, `INSERT INTO ${into} VALUES (99, 'a', 0)`)
    await clone(replace)
    expect(await of(into)).toEqual(await of(from))
  })

  it('outlives its source, whose files are gone', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    await clone(`CREATE TABLE ${into} CLONE ${from}`)
    const kept = await of(into)
    await vacuumAll(from)
    expect(dataFiles(from)).toEqual([])
    expect(await of(into)).toEqual(kept)
  })

  it('lies where LOCATION says, inside of the lake', async () => {
    const from = await source()
    expect(await clone(`CREATE TABLE gold.far1 DEEP CLONE ${from} LOCATION '/elsewhere/far'`)).toBe(
      '42501',
    )
    await clone(`CREATE TABLE gold.far1 DEEP CLONE ${from} LOCATION 'archive/far1'`)
    expect(await of('gold.far1')).toEqual(await of(from))
    expect(existsSync(join(gateway.lake, 'archive/far1/_delta_log'))).toBe(true)
  })
})

describe('a shallow clone', () => {
  it('names files by absolute paths, and copies none', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    await clone(`CREATE TABLE ${into} SHALLOW CLONE ${from}`)
    expect(dataFiles(into)).toEqual([])
    const log = join(gateway.lake, into.replace('.', '/'), '_delta_log/00000000000000000000.json')
    const adds = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"add"'))
      .map((line) => JSON.parse(line).add)
    expect(adds).toHaveLength(4)
    for (const { path, deletionVector } of adds) {
      expect(path.startsWith(`file://${gateway.lake}/silver/`)).toBe(true)
      if (deletionVector !== undefined) expect(deletionVector.storageType).toBe('p')
    }
    expect(adds.filter(({ deletionVector }) => deletionVector !== undefined)).toHaveLength(2)
    expect(adds.some(({ path }) => path.includes('%25'))).toBe(true)
  })

  it('of a shallow clone, and a deep clone of one, have the same rows', async () => {
    const from = await source()
    const [one, two, three] = ['x', 'y', 'z'].map((letter) => `gold.chain${letter}${next++}`)
    await clone(`CREATE TABLE ${one} SHALLOW CLONE ${from}`)
    await run('SET lakegate.deletion_vectors = always', `DELETE FROM ${one} WHERE id = 1`)
    await run('RESET lakegate.deletion_vectors')
    await clone(`CREATE TABLE ${two} SHALLOW CLONE ${one}`)
    await clone(`CREATE TABLE ${three} DEEP CLONE ${two}`)
    const expected = (await of(from)).filter(([id]) => id !== 1)
    for (const table of [one, two, three]) expect(await of(table ?? '')).toEqual(expected)
    await vacuumAll(from)
    expect(await of(three ?? '')).toEqual(expected)
  })

  it('loses nothing of its source by its own VACUUM, and rows by that of the source', async () => {
    const from = await source()
    const into = `gold.clone${next++}`
    await clone(`CREATE TABLE ${into} SHALLOW CLONE ${from}`)
    const files = dataFiles(from)
    await run(`DELETE FROM ${into}`)
    await vacuumAll(into)
    expect(dataFiles(from)).toEqual(files)
    const again = `gold.clone${next++}`
    await clone(`CREATE TABLE ${again} SHALLOW CLONE ${from}`)
    await vacuumAll(from)
    const lost = await client.query(`SELECT * FROM ${again}`).catch((e) => e.code)
    expect(String(lost)).toMatch(/^(?:58|XX)/)
    // Nothing is left that a linter could find whole.
    await run(`DROP TABLE ${again}`, `CREATE OR REPLACE TABLE ${again} (n int)`)
  })
})

it.each([
  ['a source that is not there', 'CREATE TABLE gold.no SHALLOW CLONE silver.nowhere', '42P01'],
  ['a layer that is not there', 'CREATE TABLE nowhere.no SHALLOW CLONE silver.s0', '3F000'],
  ['a view', 'CREATE TABLE gold.no DEEP CLONE silver.v0', '42809'],
  ['a temporary table', 'CREATE TABLE gold.no DEEP CLONE mine0', '0A000'],
  ['itself', 'CREATE OR REPLACE TABLE silver.s0 DEEP CLONE silver.s0', '42P16'],
  [
    'wrong properties',
    "CREATE TABLE gold.no DEEP CLONE silver.s0 TBLPROPERTIES ('delta.appendOnly' = 'x')",
    '22023',
  ],
  [
    'two ways at once',
    'CREATE OR REPLACE TABLE IF NOT EXISTS gold.no DEEP CLONE silver.s0',
    '42601',
  ],
  ['words behind it', 'CREATE TABLE gold.no DEEP CLONE silver.s0 and more', '42601'],
])('a clone refuses %s', async (_, text, code) => {
  await run(
    'CREATE TABLE IF NOT EXISTS silver.s0 (n int)',
    'CREATE OR REPLACE VIEW silver.v0 AS SELECT * FROM silver.s0',
    'CREATE TEMPORARY TABLE IF NOT EXISTS mine0 (n int)',
  )
  expect(await clone(text)).toBe(code)
  expect(await rows("SELECT to_regclass('gold.no')")).toEqual([[null]])
})

/** Empties the table, and removes its files as if all of it had happened long ago. */
async function vacuumAll(table: string): Promise<void> {
  await run(`DELETE FROM ${table}`)
  vacuumed.add(table.replace('.', '/'))
  const folder = join(gateway.lake, table.replace('.', '/'))
  const old = new Date(Date.now() - 86_400_000)
  for (const name of readdirSync(folder, { recursive: true }).map(String)) {
    if (/\.(?:parquet|bin)$/.test(name)) utimesSync(join(folder, name), old, old)
  }
  await run('SET lakegate.vacuum_retention_check = off', `VACUUM ${table} RETAIN 0 HOURS`)
  await run('RESET lakegate.vacuum_retention_check')
}
