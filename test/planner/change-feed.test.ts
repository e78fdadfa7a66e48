/**
 * Goal: a table's change feed tells exactly what became of its rows, whoever reads it.
 * Method: random statements run through a real client; after each commit the feed between any two
 * versions, applied to the rows of the first, must give the rows of the second, with deletion vectors
 * forced, forbidden and chosen, partitions, column mapping, and without the feed, where files are
 * compared. The rules beside that are tables of statements with their outcomes.
 */

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect, outcome, script, type ScriptClient } from '../support/session-script.js'

let gateway: LintedGateway
let session: ScriptClient
let client: pg.Client

beforeAll(async () => {
  gateway = await lintedGateway()
  session = await connect(gateway)
  client = session.client
})

afterAll(async () => {
  await client?.end()
  await gateway?.settle()
  await gateway?.close()
}, 120_000)

let nextTable = 1

async function rowsOf(sql: string): Promise<string[][]> {
  return (await client.query<string[]>({ text: sql, rowMode: 'array' })).rows
}

async function versionOf(table: string): Promise<number> {
  const [row] = (await client.query(`DESCRIBE HISTORY ${table} LIMIT 1`)).rows as {
    version: string
  }[]
  return Number(row?.version)
}

const SIGN: Readonly<Record<string, number>> = {
  insert: 1,
  update_postimage: 1,
  delete: -1,
  update_preimage: -1,
}

/** How often each row is there. */
function bag(rows: readonly (readonly unknown[])[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const row of rows) {
    const key = JSON.stringify(row)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

/** The rows of `before` after the changes, whose last columns are type and version. */
function applied(before: readonly string[][], changes: readonly string[][]): [string, number][] {
  const counts = bag(before)
  for (const change of changes) {
    const key = JSON.stringify(change.slice(0, -2))
    counts.set(key, (counts.get(key) ?? 0) + (SIGN[change.at(-2) ?? ''] ?? Number.NaN))
  }
  return [...counts].filter(([, count]) => count !== 0).sort()
}

const id = fc.integer({ min: 0, max: 20 })
const value = fc.integer({ min: -9, max: 9 })
const condition = fc.oneof(
  fc.tuple(id, id).map(([a, b]) => `t.id BETWEEN ${Math.min(a, b)} AND ${Math.max(a, b)}`),
  value.map((n) => `t.v > ${n}`),
  fc.constantFrom("t.p = 'a'", 't.p IS NULL', 'true'),
)
const rows = fc
  .uniqueArray(fc.tuple(id, value, fc.constantFrom("'a'", "'b'", 'NULL')), {
    selector: ([key]) => key,
    minLength: 1,
    maxLength: 6,
  })
  .map((list) => list.map((row) => `(${row.join(', ')})`).join(', '))

const statement = fc.oneof(
  { weight: 3, arbitrary: rows.map((list) => `INSERT INTO $t (id, v, p) VALUES ${list}`) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('v = t.v + 1', 'v = t.v', "p = 'b'", 'id = t.id + 1'), condition)
      .map(([set, where]) => `UPDATE $t AS t SET ${set} WHERE ${where}`),
  },
  { weight: 3, arbitrary: condition.map((where) => `DELETE FROM $t AS t WHERE ${where}`) },
  {
    weight: 3,
    arbitrary: rows.map(
      (list) =>
        `MERGE INTO $t AS t USING (SELECT DISTINCT ON (id) * FROM (VALUES ${list}) AS x(id, v, p)) AS s ON t.id = s.id WHEN MATCHED AND s.v < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v, p = s.p WHEN NOT MATCHED THEN INSERT (id, v, p) VALUES (s.id, s.v, s.p)`,
    ),
  },
  {
    weight: 2,
    arbitrary: rows.map(
      (list) =>
        `INSERT INTO $t AS t (id, v, p) VALUES ${list} ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
    ),
  },
  rows.map((list) => `INSERT OVERWRITE $t (id, v, p) VALUES ${list}`),
  value.map(
    (n) =>
      `INSERT INTO $t REPLACE WHERE v = ${n} SELECT 30 + i, ${n}, 'a' FROM generate_series(0, 2) i`,
  ),
  fc.constant('TRUNCATE $t'),
)

const MAINTENANCE = [
  'OPTIMIZE $t',
  'REORG TABLE $t APPLY (PURGE)',
  'RESTORE TABLE $t TO VERSION AS OF 1',
]

/** One version each: a statement, several in a block, or maintenance. */
const commit = fc.oneof(
  { weight: 5, arbitrary: statement.map((sql) => [sql]) },
  {
    weight: 3,
    arbitrary: fc
      .array(statement, { minLength: 2, maxLength: 4 })
      .map((list) => ['BEGIN', ...list, 'COMMIT']),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(statement, statement, statement)
      .map(([a, b, c]) => ['BEGIN', a, 'SAVEPOINT s', b, 'ROLLBACK TO s', c, 'COMMIT']),
  },
  { weight: 1, arbitrary: fc.constantFrom(...MAINTENANCE).map((sql) => [sql]) },
)

/** ON CONFLICT and MERGE refuse what is no fault of the feed: rows of one key. */
const ALLOWED = new Set(['21000', '23505'])

async function attempt(sql: string): Promise<boolean> {
  try {
    await client.query(sql)
    return true
  } catch (thrown) {
    if (!ALLOWED.has(String((thrown as { code?: string }).code))) throw thrown
    return false
  }
}

async function runCommit(table: string, steps: readonly string[]): Promise<void> {
  for (const sql of steps) {
    if (await attempt(sql.replaceAll('$t', table))) continue
    if (steps.length > 1) await client.query('ROLLBACK')
    return
  }
}

const KINDS: readonly (readonly [string, string, string])[] = [
  ['always', '', "'delta.enableChangeDataFeed' = 'true'"],
  ['never', 'PARTITIONED BY (p)', "'delta.enableChangeDataFeed' = 'true'"],
  [
    'auto',
    'PARTITIONED BY (p)',
    "'delta.enableChangeDataFeed' = 'true', 'delta.columnMapping.mode' = 'name'",
  ],
  [
    'always',
    'PARTITIONED BY (p)',
    "'delta.enableChangeDataFeed' = 'true', 'delta.columnMapping.mode' = 'id', 'delta.checkpointInterval' = '3'",
  ],
  [
    'always',
    '',
    "'delta.enableChangeDataFeed' = 'true', 'delta.enableRowTracking' = 'true', 'delta.enableInCommitTimestamps' = 'true'",
  ],
  ['always', 'PARTITIONED BY (p)', "'delta.checkpointInterval' = '3'"],
  ['never', '', "'delta.enableDeletionVectors' = 'false'"],
]

describe('the change feed', () => {
  it.each(KINDS)(
    'leads from each version to each later one: deletion vectors %s %s %s',
    async (policy, partitions, properties) => {
      await client.query(`SET lakegate.deletion_vectors = ${policy}`)
      const isRecorded = properties.includes('enableChangeDataFeed')
      await fc.assert(
        fc.asyncProperty(
          fc.array(commit, { minLength: 1, maxLength: 5 }),
          fc.nat(),
          async (commits, seed) => {
            const table = `silver.cf${nextTable++}`
            await client.query(
              `CREATE TABLE ${table} (id int PRIMARY KEY, v int, p text) ${partitions} TBLPROPERTIES (${properties}, 'delta.autoOptimize.autoCompact' = 'false')`,
            )
            await client.query(
              `INSERT INTO ${table} SELECT i, i % 5, CASE WHEN i % 2 = 0 THEN 'a' END FROM generate_series(0, 9) i`,
            )
            for (const steps of commits) await runCommit(table, steps)
            const newest = await versionOf(table)
            const at: string[][][] = []
            for (let version = 0; version <= newest; version++) {
              at.push(await rowsOf(`SELECT id, v, p FROM ${table} VERSION AS OF ${version}`))
            }
            const changes = await rowsOf(
              `SELECT id, v, p, _change_type, _commit_version FROM table_changes('${table}', 0)`,
            )
            for (let version = 0; version <= newest; version++) {
              const own = changes.filter((change) => Number(change.at(-1)) === version)
              expect({ version, rows: applied(at[version - 1] ?? [], own) }).toEqual({
                version,
                rows: [...bag(at[version] ?? [])].sort(),
              })
              if (isRecorded) continue
              // What has only moved from file to file does not show.
              const gone = bag(
                own.filter((change) => change[3] === 'delete').map((c) => c.slice(0, 3)),
              )
              const came = bag(
                own.filter((change) => change[3] === 'insert').map((c) => c.slice(0, 3)),
              )
              expect([...came.keys()].filter((key) => gone.has(key))).toEqual([])
              expect(own.every((change) => !change[3]?.startsWith('update'))).toBe(true)
            }
            const from = seed % (newest + 1)
            const part = await rowsOf(
              `SELECT id, v, p, _change_type, _commit_version FROM table_changes('${table}', ${from}, ${newest})`,
            )
            expect(part.map(String).sort()).toEqual(
              changes
                .filter((change) => Number(change.at(-1)) >= from)
                .map(String)
                .sort(),
            )
          },
        ),
        { numRuns: Number(process.env.LAKEGATE_RUNS ?? 8), endOnFailure: true },
      )
    },
    240_000,
  )

  it('tells updates of one statement as rows before and after', async () => {
    await client.query(
      "CREATE TABLE silver.pairs (id int, v text) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
    )
    await client.query("INSERT INTO silver.pairs VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    await client.query(
      "MERGE INTO silver.pairs AS t USING (VALUES (1, 'A'), (2, NULL), (4, 'd')) AS s(id, v) ON t.id = s.id WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)",
    )
    const changes = await rowsOf(
      "SELECT id, v, _change_type FROM table_changes('silver.pairs', 2) ORDER BY id, _change_type",
    )
    expect(changes).toEqual([
      ['1', 'A', 'update_postimage'],
      ['1', 'a', 'update_preimage'],
      ['2', 'b', 'delete'],
      ['4', 'd', 'insert'],
    ])
  })

  it('names the version whose files VACUUM has removed', async () => {
    const table = 'silver.swept'
    await client.query(
      `CREATE TABLE ${table} (id int, v int) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.deletedFileRetentionDuration' = 'interval 0 hours')`,
    )
    await client.query(`INSERT INTO ${table} SELECT i, 0 FROM generate_series(1, 9) i`)
    await client.query(`UPDATE ${table} SET v = 1 WHERE id < 4`)
    await client.query(`INSERT INTO ${table} VALUES (10, 10)`)
    const folder = join(gateway.lake, 'silver', 'swept', '_change_data')
    expect(readdirSync(folder).length).toBeGreaterThan(0)
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    await expect(client.query(`SELECT * FROM table_changes('${table}', 0)`)).rejects.toMatchObject({
      code: '55000',
      message: expect.stringContaining('the changes of version 2 of table') as unknown,
      hint: expect.stringContaining('changes after version 2') as unknown,
    })
    expect(await rowsOf(`SELECT id, _change_type FROM table_changes('${table}', 3)`)).toEqual([
      ['10', 'insert'],
    ])
    rmSync(join(gateway.lake, 'silver', 'swept'), { recursive: true })
  })

  it('tells nothing of a block whose statements undo each other', async () => {
    await client.query('SET lakegate.deletion_vectors = never')
    const table = 'silver.undone'
    await client.query(
      `CREATE TABLE ${table} (id int, v int) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')`,
    )
    await client.query(`INSERT INTO ${table} SELECT i, 0 FROM generate_series(1, 5) i`)
    await client.query('BEGIN')
    await client.query(`UPDATE ${table} SET v = 1 WHERE id = 3`)
    await client.query(`UPDATE ${table} SET v = 0 WHERE id = 3`)
    await client.query('COMMIT')
    expect(await versionOf(table)).toBe(2)
    expect(await rowsOf(`SELECT * FROM table_changes('${table}', 2)`)).toEqual([])
    expect((await rowsOf(`SELECT * FROM ${table}`)).length).toBe(5)
  })

  it('names the versions that are left when the log has lost some', async () => {
    const table = 'silver.cleaned'
    await client.query(
      `CREATE TABLE ${table} (id int, v int) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true', 'delta.checkpointInterval' = '2')`,
    )
    await client.query(`INSERT INTO ${table} SELECT i, 0 FROM generate_series(1, 9) i`)
    for (let i = 1; i <= 4; i++) await client.query(`UPDATE ${table} SET v = ${i} WHERE id = ${i}`)
    await gateway.settle()
    const log = join(gateway.lake, 'silver', 'cleaned', '_delta_log')
    for (const name of readdirSync(log)) {
      if (/^0{19}[0-3]\./.test(name)) rmSync(join(log, name))
    }
    await expect(client.query(`SELECT * FROM table_changes('${table}', 0)`)).rejects.toMatchObject({
      code: '22023',
      message: expect.stringContaining('the changes of version 3 of table') as unknown,
      detail: 'Changes can be read from version 4 to 5.',
    })
    expect(
      await rowsOf(
        `SELECT id, v, _commit_version FROM table_changes('${table}', 4) WHERE _change_type = 'update_postimage' ORDER BY id`,
      ),
    ).toEqual([
      ['3', '3', '4'],
      ['4', '4', '5'],
    ])
    rmSync(join(gateway.lake, 'silver', 'cleaned'), { recursive: true })
  })

  it('carries the changes of one table over to another', async () => {
    const [source, target] = ['silver.carried', 'gold.carried']
    await client.query(
      `CREATE TABLE ${source} (id int PRIMARY KEY, v text) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')`,
    )
    await client.query(
      `CREATE TABLE ${target} (id int, v text) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')`,
    )
    const carry = async (from: number): Promise<void> => {
      await client.query(
        `MERGE INTO ${target} AS t USING (
           SELECT DISTINCT ON (id) id, v, _change_type FROM table_changes('${source}', ${from})
           WHERE _change_type <> 'update_preimage' ORDER BY id, _commit_version DESC
         ) AS c ON t.id = c.id
         WHEN MATCHED AND c._change_type = 'delete' THEN DELETE WHEN MATCHED THEN UPDATE SET v = c.v
         WHEN NOT MATCHED AND c._change_type <> 'delete' THEN INSERT VALUES (c.id, c.v)`,
      )
      expect(await rowsOf(`SELECT * FROM ${target} ORDER BY id`)).toEqual(
        await rowsOf(`SELECT * FROM ${source} ORDER BY id`),
      )
    }
    await client.query(`INSERT INTO ${source} SELECT i, 'v' || i FROM generate_series(1, 5) i`)
    await carry(0)
    await client.query(`UPDATE ${source} SET v = 'u' WHERE id < 3`)
    await client.query(`DELETE FROM ${source} WHERE id = 4`)
    await client.query(`INSERT INTO ${source} VALUES (6, 'six')`)
    await carry(2)
    // One transaction over both: each table's feed has its own part.
    await client.query('BEGIN')
    await client.query(`UPDATE ${source} SET v = 'group' WHERE id = 5`)
    await client.query(`UPDATE ${target} SET v = 'group' WHERE id = 5`)
    await client.query('COMMIT')
    for (const [table, version] of [
      [source, 5],
      [target, 3],
    ]) {
      expect(
        await rowsOf(
          `SELECT id, v, _change_type, _commit_version FROM table_changes('${table}', ${version}) ORDER BY 3`,
        ),
      ).toEqual([
        ['5', 'group', 'update_postimage', String(version)],
        ['5', 'v5', 'update_preimage', String(version)],
      ])
    }
  })

  it('ends where lakegate.as_of ends', async () => {
    const table = 'silver.pinned'
    await client.query(
      `CREATE TABLE ${table} (id int) TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')`,
    )
    await client.query(`INSERT INTO ${table} VALUES (1)`)
    const [[moment = '']] = (await rowsOf(
      `SELECT max(_commit_timestamp)::text FROM table_changes('${table}', 0)`,
    )) as [[string]]
    await new Promise((resolve) => setTimeout(resolve, 5))
    await client.query(`INSERT INTO ${table} VALUES (2)`)
    await client.query(`SET lakegate.as_of = '${moment}'`)
    expect(await rowsOf(`SELECT id FROM table_changes('${table}', 0)`)).toEqual([['1']])
    await expect(client.query(`SELECT id FROM table_changes('${table}', 2)`)).rejects.toMatchObject(
      {
        code: '22023',
      },
    )
    await client.query('RESET lakegate.as_of')
    expect((await rowsOf(`SELECT id FROM table_changes('${table}', 0)`)).length).toBe(2)
  })

  it('takes times as the first version from then on and the last until then', async () => {
    const table = 'silver.timed'
    await client.query(
      `CREATE TABLE ${table} (id int) TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')`,
    )
    for (const n of [1, 2, 3]) {
      await client.query(`INSERT INTO ${table} VALUES (${n})`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const times = await rowsOf(
      `SELECT DISTINCT _commit_version, _commit_timestamp::text FROM table_changes('${table}', 0) ORDER BY 1`,
    )
    const [one, two] = [times[0]?.[1] ?? '', times[1]?.[1] ?? '']
    const ids = async (from: string, to: string): Promise<string> =>
      outcome(session, `SELECT id FROM table_changes('${table}', ${from}, ${to}) ORDER BY id`)
    expect(await ids(`'${one}'`, `'${two}'`)).toBe('1|2')
    expect(
      await ids(`timestamptz '${one}' + interval '1 millisecond'`, `'${two}'::timestamptz`),
    ).toBe('2')
    expect(
      await ids(
        `timestamptz '${one}' + interval '1 millisecond'`,
        `timestamptz '${one}' + interval '2 milliseconds'`,
      ),
    ).toBe('SELECT 0')
    expect(await ids(`'${two}'`, `'${one}'`)).toBe('!22023')
    expect(await ids(`now() + interval '1 day'`, '3')).toBe('!22023')
    expect(await ids('0', `now() + interval '1 day'`)).toBe('!22023')
  })

  it('is read through parameters, cursors, joins and views', async () => {
    const table = 'silver.viewed'
    await client.query(`CREATE TABLE ${table} (id int, v text)`)
    await client.query(`INSERT INTO ${table} VALUES (1, 'a'), (2, 'b')`)
    await client.query(`DELETE FROM ${table} WHERE id = 1`)
    const sql = `SELECT c.id, c._change_type FROM table_changes('${table}', $1, $2) AS c ORDER BY 1, 2`
    const read = async (values: unknown[]): Promise<unknown> =>
      (await client.query({ text: sql, values, rowMode: 'array' })).rows
    expect(await read([1, 1])).toEqual([
      ['1', 'insert'],
      ['2', 'insert'],
    ])
    expect(await read([2, 99])).toEqual([['1', 'delete']])
    await client.query(
      `CREATE VIEW silver.viewed_changes AS SELECT id, _change_type AS what, _commit_version AS version FROM table_changes('${table}', 0)`,
    )
    expect(
      await rowsOf(
        `SELECT what, count(*) FROM silver.viewed_changes JOIN table_changes('${table}', 1, 1) AS c USING (id) GROUP BY what ORDER BY what`,
      ),
    ).toEqual([
      ['delete', '1'],
      ['insert', '2'],
    ])
    await client.query('BEGIN')
    await client.query(
      `DECLARE c CURSOR FOR SELECT id FROM silver.viewed_changes WHERE version = 2`,
    )
    expect(await rowsOf('FETCH ALL FROM c')).toEqual([['1']])
    await client.query('COMMIT')
    const plan = (
      await rowsOf(`EXPLAIN SELECT * FROM silver.viewed_changes WHERE version = 2`)
    ).flat()
    expect(plan.join('\n')).toContain('table_changes(silver.viewed)')
    expect(plan.join('\n')).toMatch(/: 2 of 3 files/)
    await expect(client.query(`DROP TABLE ${table}`)).rejects.toMatchObject({ code: '2BP01' })
    await expect(client.query(`ALTER TABLE ${table} RENAME TO other`)).rejects.toMatchObject({
      code: '0A000',
    })
    await client.query(`CREATE TABLE silver.kept_changes AS SELECT * FROM silver.viewed_changes`)
    expect(await rowsOf('SELECT count(*) FROM silver.kept_changes')).toEqual([['3']])
  })
})

describe('bounds and names', () => {
  script(
    () => gateway,
    'are refused with what would be right',
    `CREATE TABLE silver.b1 (id int)
     INSERT INTO silver.b1 VALUES (1)
     SELECT count(*) FROM table_changes('silver.b1', 0) -> 1
     SELECT count(*) FROM table_changes('"silver"."b1"', 0, 99) -> 1
     SELECT count(*) FROM table_changes('\`silver\`.b1', '0', '1') -> 1
     SELECT count(*) FROM TABLE_CHANGES('silver.b1', 1, 1) AS c(a, b) WHERE b = 'insert' -> 1
     SELECT count(*) FROM table_changes('lake.silver.b1', 0) -> 1
     SELECT * FROM table_changes('other.silver.b1', 0) -> !0A000
     SELECT * FROM table_changes('a.b.c.d', 0) -> !42P01
     SELECT * FROM table_changes('silver.b1', 2) -> !22023
     SELECT * FROM table_changes('silver.b1', -1) -> !22023
     SELECT * FROM table_changes('silver.b1', 1, 0) -> !22023
     SELECT * FROM table_changes('silver.b1', NULL) -> !22004
     SELECT * FROM table_changes('silver.b1') -> !42883
     SELECT * FROM table_changes('silver.b1', 0, 1, 2) -> !42883
     SELECT * FROM table_changes('silver.b1', 1.5) -> !42883
     SELECT * FROM table_changes('silver.b1', 'yesterday evening') -> !22007
     SELECT * FROM table_changes('silver.none', 0) -> !42P01
     SELECT * FROM table_changes('sil ver', 0) -> !42P01
     SELECT * FROM silver.b1 AS t, table_changes('silver.b1', t.id) -> !42P01
     SELECT * FROM table_changes('silver.' || 'b1', 0) -> !0A000
     SELECT * FROM table_changes('silver.b1', (SELECT 1)) -> !0A000
     SELECT * FROM table_changes('silver.b1', 0) WITH ORDINALITY -> !0A000
     SELECT table_changes('silver.b1', 0) -> !42883
     CREATE VIEW silver.b2 AS SELECT 1 AS one
     SELECT * FROM table_changes('silver.b2', 0) -> !42809
     BEGIN
     INSERT INTO silver.b1 VALUES (2)
     SELECT count(*) FROM table_changes('silver.b1', 0) -> 1
     CREATE TABLE silver.b3 (id int)
     SELECT count(*) FROM table_changes('silver.b3', 0) -> !22023
     ROLLBACK`,
  )

  script(
    () => gateway,
    'of columns that the feed needs are not given in tables that have one',
    `CREATE TABLE silver.n1 (id int, _change_type text) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') -> !42P16
     CREATE TABLE silver.n1 (id int, "_Commit_Version" int) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') -> !42P16
     CREATE TABLE silver.n1 (id int) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')
     ALTER TABLE silver.n1 ADD COLUMN _commit_timestamp timestamptz -> !42P16
     SET lakegate.schema_evolution = on
     INSERT INTO silver.n1 BY NAME SELECT 1 AS id, 'x' AS _change_type -> !42P16
     CREATE TABLE silver.n2 (id int, _change_type text)
     ALTER TABLE silver.n2 SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') -> !42P16
     SELECT * FROM table_changes('silver.n2', 0) -> !0A000`,
  )

  script(
    () => gateway,
    'follow columns that MERGE and REPLACE WHERE bring',
    `CREATE TABLE silver.e1 (id int, v text) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')
     INSERT INTO silver.e1 VALUES (1, 'a'), (2, 'b')
     MERGE WITH SCHEMA EVOLUTION INTO silver.e1 AS t USING (SELECT 1 AS id, 'A' AS v, 7 AS w UNION ALL SELECT 3, 'c', 9) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT * -> MERGE 2
     SELECT id, v, w, _change_type FROM table_changes('silver.e1', 2) ORDER BY 1, 4 -> 1,A,7,update_postimage|1,a,∅,update_preimage|3,c,9,insert
     SET lakegate.schema_evolution = on
     INSERT INTO silver.e1 BY NAME REPLACE WHERE id = 2 SELECT 2 AS id, 'B' AS v, 8 AS w, true AS x -> INSERT 1
     SELECT id, v, w, x, _change_type FROM table_changes('silver.e1', 3) ORDER BY 1, 5 -> 2,b,∅,∅,delete|2,B,8,t,insert`,
  )

  script(
    () => gateway,
    'follow ALTER: the feed on and off, columns added, renamed, widened, dropped',
    `CREATE TABLE silver.a1 (id int, v int)
     INSERT INTO silver.a1 VALUES (1, 1), (2, 2)
     UPDATE silver.a1 SET v = 10 WHERE id = 1
     ALTER TABLE silver.a1 SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')
     UPDATE silver.a1 SET v = 20 WHERE id = 2
     ALTER TABLE silver.a1 ADD COLUMN w text -> ALTER
     UPDATE silver.a1 SET w = 'w' WHERE id = 2
     ALTER TABLE silver.a1 RENAME COLUMN v TO vv -> ALTER ~NOTICE 00000
     DELETE FROM silver.a1 WHERE id = 2
     ALTER TABLE silver.a1 SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'false')
     UPDATE silver.a1 SET vv = 11
     SELECT _commit_version, id, vv, w, _change_type FROM table_changes('silver.a1', 1) ORDER BY 1, 2, 5 -> 1,1,1,∅,insert|1,2,2,∅,insert|2,1,1,∅,delete|2,1,10,∅,insert|4,2,20,∅,update_postimage|4,2,2,∅,update_preimage|6,2,20,w,update_postimage|6,2,20,∅,update_preimage|8,2,20,w,delete|10,1,10,∅,delete|10,1,11,∅,insert
     SELECT v FROM table_changes('silver.a1', 1, 1) ORDER BY 1 -> 1|2
     ALTER TABLE silver.a1 DROP COLUMN w
     SELECT * FROM table_changes('silver.a1', 10) LIMIT 0 -> SELECT 0
     SELECT id, v FROM table_changes('silver.a1', 6, 6) ORDER BY _change_type -> 2,20|2,20
     SELECT count(*) FROM table_changes('silver.a1', 0) -> 11
     ALTER TABLE silver.a1 ALTER COLUMN id TYPE text USING 'x'
     SELECT count(*) FROM table_changes('silver.a1', 0) -> !0A000
     CREATE TABLE silver.a2 (id int, v int)
     INSERT INTO silver.a2 VALUES (1, 1)
     CREATE OR REPLACE TABLE silver.a2 (id int, x int) -> CREATE
     INSERT INTO silver.a2 VALUES (2, 2)
     SELECT count(*) FROM table_changes('silver.a2', 0) -> !0A000
     SELECT count(*) FROM table_changes('silver.a2', 0, 1) -> 1
     SELECT id, x, _change_type FROM table_changes('silver.a2', 3) -> 2,2,insert`,
  )
})
