/**
 * Goal: UPDATE, DELETE, MERGE and INSERT … ON CONFLICT change a lake table as they change a plain
 * table, whatever becomes of its files.
 * Method: random sequences of statements run through a real client on a partitioned Delta table and
 * on a plain DuckDB table; rows, command tags and RETURNING must be equal after every step, with
 * deletion vectors forced, forbidden and chosen. The rules that PostgreSQL has beyond that are tables
 * of statements with their outcomes.
 */

import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintTable } from '../support/log-linter.js'
import { script } from '../support/session-script.js'

let gateway: TestGateway
let client: pg.Client
let engine: Engine
let plain: EngineConnection

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  engine = await Engine.open({})
  plain = await engine.connect()
})

afterAll(async () => {
  await client?.end()
  await gateway?.settle()
  for (const table of tables) {
    const { faults } = await lintTable(gateway.lake, table, plain)
    expect(faults.map((fault) => `${table}: ${fault}`)).toEqual([])
  }
  await engine?.close()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
}, 60_000)

const tables = new Set<string>()
let nextTable = 1

/** A statement on the table `$t` that both sides understand. */
interface Step {
  readonly sql: string
  /** Columns that RETURNING shows, if any. */
  readonly returning?: string
}

const id = fc.integer({ min: 0, max: 25 })
const value = fc.integer({ min: -50, max: 50 })
const part = fc.constantFrom('a', 'b', "o'clock")
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Rows of distinct ids, as a source named s. */
const source = fc
  .uniqueArray(fc.tuple(id, value, part), { selector: ([key]) => key, minLength: 1, maxLength: 8 })
  .map(
    (rows) =>
      `(VALUES ${rows.map(([a, b, c]) => `(${a}, ${b}, ${quoted(c)})`).join(', ')}) AS s(id, v, p)`,
  )

const condition = fc.oneof(
  fc.tuple(fc.constantFrom('<', '>=', '=', '<>'), value).map(([op, n]) => `t.v ${op} ${n}`),
  fc.tuple(id, id).map(([a, b]) => `t.id BETWEEN ${Math.min(a, b)} AND ${Math.max(a, b)}`),
  part.map((p) => `t.p = ${quoted(p)}`),
  fc.constant('t.v IS NULL'),
  fc.constant('true'),
)

const update: fc.Arbitrary<Step> = fc
  .tuple(
    condition,
    fc.constantFrom('v = t.v + 1', 'v = NULL', "p = 'b', v = t.id", "p = 'moved'"),
    fc.boolean(),
  )
  .map(([where, set, shown]) => ({
    sql: `UPDATE $t AS t SET ${set} WHERE ${where}`,
    ...(shown ? { returning: 'id, v, p' } : {}),
  }))

const updateFrom: fc.Arbitrary<Step> = fc.tuple(source, condition).map(([from, where]) => ({
  sql: `UPDATE $t AS t SET v = s.v + t.id FROM ${from} WHERE t.id = s.id AND ${where}`,
}))

const remove: fc.Arbitrary<Step> = fc.tuple(condition, fc.boolean()).map(([where, shown]) => ({
  sql: `DELETE FROM $t AS t WHERE ${where}`,
  ...(shown ? { returning: 'id, v, p' } : {}),
}))

const removeUsing: fc.Arbitrary<Step> = source.map((from) => ({
  sql: `DELETE FROM $t AS t USING ${from} WHERE t.id = s.id`,
}))

const upsert: fc.Arbitrary<Step> = fc
  .tuple(
    fc.uniqueArray(fc.tuple(id, value, part), {
      selector: ([key]) => key,
      minLength: 1,
      maxLength: 6,
    }),
    fc.constantFrom(
      'DO NOTHING',
      'DO UPDATE SET v = excluded.v',
      'DO UPDATE SET v = excluded.v + t.v, p = excluded.p',
      'DO UPDATE SET v = 0 WHERE t.v > 0',
    ),
  )
  .map(([rows, action]) => ({
    sql: `INSERT INTO $t AS t (id, v, p) VALUES ${rows.map(([a, b, c]) => `(${a}, ${b}, ${quoted(c)})`).join(', ')} ON CONFLICT (id) ${action}`,
    returning: 'id, v',
  }))

const matchedClause = fc.constantFrom(
  'WHEN MATCHED THEN UPDATE SET v = s.v',
  'WHEN MATCHED AND s.v < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = t.v + s.v, p = s.p',
  'WHEN MATCHED AND t.v > s.v THEN DELETE',
  'WHEN MATCHED THEN DO NOTHING',
)
const insertClause = fc.constantFrom(
  '',
  'WHEN NOT MATCHED THEN INSERT (id, v, p) VALUES (s.id, s.v, s.p)',
  "WHEN NOT MATCHED AND s.v > 0 THEN INSERT (id, p) VALUES (s.id, 'new')",
)
const sourceClause = fc.constantFrom(
  '',
  '',
  'WHEN NOT MATCHED BY SOURCE AND t.v < 0 THEN DELETE',
  'WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = t.v - 1',
)
const merge: fc.Arbitrary<Step> = fc
  .tuple(source, matchedClause, insertClause, sourceClause)
  .map(([from, ...clauses]) => ({
    sql: `MERGE INTO $t AS t USING ${from} ON t.id = s.id ${clauses.filter((one) => one !== '').join(' ')}`,
  }))

const steps = fc.array(fc.oneof(upsert, upsert, update, updateFrom, remove, removeUsing, merge), {
  minLength: 1,
  maxLength: 6,
})

async function rowsHere(table: string): Promise<string> {
  const { rows } = await client.query<unknown[]>({
    text: `SELECT id, v, p FROM ${table} ORDER BY id, v, p`,
    rowMode: 'array',
  })
  return JSON.stringify(rows)
}

async function rowsThere(table: string): Promise<string> {
  const rows = await plain.query(`SELECT id, v, p FROM ${table} ORDER BY id, v, p`)
  return JSON.stringify(rows)
}

const sorted = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => JSON.stringify(row)).sort()

describe('random statements', () => {
  it.each(['always', 'never', 'auto'])(
    'change rows as on a plain table, deletion vectors %s',
    async (policy) => {
      await client.query(`SET lakegate.deletion_vectors = ${policy}`)
      await fc.assert(
        fc.asyncProperty(steps, fc.boolean(), async (sequence, inBlock) => {
          const name = `m${nextTable++}`
          const table = `silver.${name}`
          tables.add(`silver/${name}`)
          await client.query(
            `CREATE TABLE ${table} (id int PRIMARY KEY, v int, p text) PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')`,
          )
          await plain.run(`CREATE TABLE ${name} (id INTEGER PRIMARY KEY, v INTEGER, p VARCHAR)`)
          const rows = `SELECT i AS id, i * 7 % 40 - 20 AS v, CASE WHEN i % 3 = 0 THEN 'a' WHEN i % 3 = 1 THEN 'b' END AS p FROM generate_series(0, 15) AS g(i)`
          await client.query(`INSERT INTO ${table} ${rows}`)
          await plain.run(`INSERT INTO ${name} ${rows}`)
          if (inBlock) await client.query('BEGIN')
          for (const { sql, returning } of sequence) {
            const suffix = returning === undefined ? '' : ` RETURNING ${returning}`
            const here = await client.query<unknown[]>({
              text: sql.replace('$t', table) + suffix,
              rowMode: 'array',
            })
            const there = await plain.query(sql.replace('$t', name) + suffix)
            if (returning === undefined) {
              expect([sql, here.rowCount]).toEqual([sql, Number(there[0]?.[0])])
            } else {
              expect([sql, sorted(here.rows)]).toEqual([sql, sorted(there)])
            }
            expect(`${sql} ${await rowsHere(table)}`).toBe(`${sql} ${await rowsThere(name)}`)
          }
          if (inBlock) await client.query('COMMIT')
          expect(await rowsHere(table)).toBe(await rowsThere(name))
        }),
        { numRuns: Number(process.env.LAKEGATE_RUNS ?? 12), endOnFailure: true },
      )
    },
    120_000,
  )
})

const TABLE = `CREATE TABLE silver.%s (id int PRIMARY KEY, v int CHECK (v < 1000), s varchar(3) DEFAULT 'd')`

/** A script on a table of its own, with rows 1 to 3; %s is its name. */
function rowScript(name: string, lines: string): void {
  const table = `r${nextTable++}`
  tables.add(`silver/${table}`)
  const start = `${TABLE} -> CREATE ~NOTICE 00000
    INSERT INTO silver.%s VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')
    SET search_path = silver`
  script(() => gateway, name, `${start}\n${lines}`.replaceAll('%s', table))
}

describe('UPDATE and DELETE', () => {
  rowScript(
    'show what RETURNING asks for, as it was and as it is',
    `UPDATE %s SET v = v + 1 WHERE id = 1 RETURNING old.v, new.v, v -> 10,11,11
     UPDATE %s SET v = 1 FROM (VALUES (2, 'x')) AS n(id, word) WHERE %s.id = n.id RETURNING *  -> 2,1,b,2,x
     DELETE FROM %s AS t WHERE id = 3 RETURNING t.*, old.v + 1, new.v -> 3,30,c,31,∅
     UPDATE %s SET v = 5 WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.v, n.v -> 11,5
     UPDATE %s SET v = 5 WHERE id = 99 RETURNING v -> UPDATE 0
     DELETE FROM %s RETURNING id + v AS sum, upper(s) -> 6,A|3,B
     SELECT * FROM %s -> SELECT 0`,
  )
  rowScript(
    'use CTEs, subqueries and the table itself',
    `WITH w AS (SELECT 2 AS id) UPDATE %s SET v = 0 WHERE id IN (SELECT id FROM w) -> UPDATE 1
     UPDATE %s AS a SET v = b.v FROM %s AS b WHERE a.id = b.id + 1 RETURNING a.id, a.v -> 2,10|3,0
     WITH w AS (SELECT 3 AS id) DELETE FROM %s USING w WHERE w.id = %s.id -> DELETE 1
     UPDATE %s SET (v, s) = (7, DEFAULT) WHERE id = (SELECT min(id) FROM %s) RETURNING v, s -> 7,d
     UPDATE %s SET v = (SELECT max(v) FROM %s) + 1 -> UPDATE 2
     SELECT v FROM %s -> 11|11`,
  )
  rowScript(
    'change a row that several rows match once',
    `UPDATE %s SET v = 0 FROM (VALUES (1), (1), (1)) AS s(id) WHERE %s.id = s.id -> UPDATE 1
     DELETE FROM %s USING (VALUES (1), (1)) AS s(id) WHERE %s.id = s.id -> DELETE 1
     SELECT id FROM %s ORDER BY id -> 2|3`,
  )
  rowScript(
    'hold changed rows against types, lengths and constraints',
    `UPDATE %s SET v = 5000 -> !23514
     UPDATE %s SET s = 'long' -> !22001
     UPDATE %s SET v = 'x' -> !22P02
     UPDATE %s SET id = NULL -> !23502
     UPDATE %s SET nothing = 1 -> !42703
     UPDATE %s SET v = 1, v = 2 -> !42601
     UPDATE %s AS a SET v = 1 FROM (SELECT 1) AS a -> !42712
     SELECT sum(v) FROM %s -> 60`,
  )
})

describe('MERGE', () => {
  rowScript(
    'says what it did with each row',
    `MERGE INTO %s AS t USING (VALUES (1, 100), (2, -1), (9, 90)) AS s(id, v) ON t.id = s.id WHEN MATCHED AND s.v < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v) RETURNING merge_action(), t.id, old.v, new.v -> UPDATE,1,10,100|DELETE,2,20,∅|INSERT,9,∅,90
     SELECT id, v, s FROM %s ORDER BY id -> 1,100,a|3,30,c|9,90,d`,
  )
  rowScript(
    'takes whole rows by name with stars',
    `MERGE INTO %s AS t USING (SELECT 'x' AS s, 1 AS v, 3 AS id) AS n ON t.id = n.id WHEN MATCHED THEN UPDATE SET * -> MERGE 1
     MERGE INTO %s AS t USING (SELECT 'y' AS s, 2 AS v, 4 AS id) AS n ON t.id = n.id WHEN NOT MATCHED BY TARGET AND n.v > 1 THEN INSERT * -> MERGE 1
     MERGE INTO %s AS t USING (SELECT 'z' AS s, 2 AS v, 5 AS id) AS n ON t.id = n.id WHEN NOT MATCHED THEN INSERT * EXCEPT (s, v) -> MERGE 1
     MERGE INTO %s AS t USING (SELECT 5 AS id) AS n ON t.id = n.id WHEN MATCHED THEN UPDATE SET * -> !42703
     SELECT * FROM %s WHERE id > 2 ORDER BY id -> 3,1,x|4,2,y|5,∅,d`,
  )
  rowScript(
    'refuses to change a row twice, and clauses that cannot be reached',
    `MERGE INTO %s AS t USING (VALUES (1), (1)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE -> !21000
     MERGE INTO %s AS t USING (VALUES (1), (1)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DO NOTHING -> MERGE 0
     MERGE INTO %s AS t USING (VALUES (1)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET v = 1 -> !42601
     MERGE INTO %s AS t USING (VALUES (7)) AS s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, t.v) -> !42P01
     MERGE INTO %s AS t USING (VALUES (7)) AS s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, 5000) -> !23514
     SELECT merge_action() -> !42601
     SELECT count(*) FROM %s -> 3`,
  )
  rowScript(
    'reads its source from CTEs, queries, other versions and parameters',
    `WITH w AS (SELECT 1 AS id, 5 AS v) MERGE INTO %s AS t USING w ON t.id = w.id WHEN MATCHED THEN UPDATE SET v = w.v -> MERGE 1
     MERGE INTO %s AS t USING %s VERSION AS OF 1 AS s ON t.id = s.id WHEN MATCHED AND t.v <> s.v THEN UPDATE SET t.v = s.v -> MERGE 1
     MERGE INTO %s USING (SELECT 2 AS id UNION ALL SELECT 8) AS s ON %s.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 8, DEFAULT) -> MERGE 2
     PREPARE up (int, int) AS MERGE INTO %s AS t USING (SELECT $1 AS id, $2 AS v) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)
     EXECUTE up (1, 11) -> MERGE 1
     EXECUTE up (6, 66) -> MERGE 1
     SELECT id, v FROM %s ORDER BY id -> 1,11|3,30|6,66|8,8`,
  )
})

describe('INSERT … ON CONFLICT', () => {
  rowScript(
    'updates or leaves the row of the same key',
    `INSERT INTO %s VALUES (1, 5, 'x'), (4, 40, 'y') ON CONFLICT (id) DO UPDATE SET v = %s.v + excluded.v RETURNING id, old.v, v, s -> 1,10,15,a|4,∅,40,y
     INSERT INTO %s (id, v) VALUES (1, 99), (5, 50), (5, 51) ON CONFLICT DO NOTHING RETURNING id, v, s -> 5,50,d
     INSERT INTO %s (id, v) VALUES (2, 0), (3, 0) ON CONFLICT (id) DO UPDATE SET v = 0 WHERE %s.v > 25 -> INSERT 1
     INSERT INTO %s AS t (id, v) VALUES (2, 1) ON CONFLICT ON CONSTRAINT %s_pkey DO UPDATE SET v = t.v + 1 -> INSERT 1
     SELECT id, v FROM %s ORDER BY id -> 1,15|2,21|3,0|4,40|5,50`,
  )
  rowScript(
    'refuses other keys, and one row twice',
    `INSERT INTO %s VALUES (7, 1, 'x'), (7, 2, 'y') ON CONFLICT (id) DO UPDATE SET v = 1 -> !21000
     INSERT INTO %s VALUES (1, 1, 'x') ON CONFLICT (v) DO NOTHING -> !42P10
     INSERT INTO %s VALUES (1, 1, 'x') ON CONFLICT DO UPDATE SET v = 1 -> !42601
     INSERT INTO %s VALUES (1, 1, 'x') ON CONFLICT ON CONSTRAINT other DO NOTHING -> !42704
     INSERT INTO %s VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET v = 5000 -> !23514
     SELECT sum(v) FROM %s -> 60`,
  )
})

describe('EXPLAIN', () => {
  async function plan(sql: string): Promise<readonly string[]> {
    const { rows } = await client.query<[string]>({ text: sql, rowMode: 'array' })
    return rows.map(([line]) => line)
  }

  it('tells which files a change looks into, and with ANALYZE what became of them', async () => {
    const table = `silver.e${nextTable++}`
    await client.query(`CREATE TABLE ${table} (id int, p text) PARTITIONED BY (p)`)
    await client.query(
      `INSERT INTO ${table} SELECT i, 'p' || i % 4 FROM generate_series(1, 100) AS g(i)`,
    )
    const update = `UPDATE ${table} SET id = 0 WHERE p = 'p1' AND id < 10`
    const planned = await plan(`EXPLAIN ${update}`)
    expect(planned.slice(0, 2)).toEqual([
      `Update on ${table}`,
      expect.stringContaining('1 of 4 files'),
    ])
    expect((await client.query(`SELECT 1 FROM ${table} WHERE id = 0`)).rowCount).toBe(0)
    await client.query('SET lakegate.deletion_vectors = always')
    const done = await plan(`EXPLAIN ANALYZE ${update}`)
    expect(done.slice(0, 4)).toEqual([
      `Update on ${table} (UPDATE 3)`,
      expect.stringContaining('1 of 4 files'),
      '  Files with changed rows: 1 (0 dropped, 0 rewritten, 1 given a deletion vector)',
      '  Rows: 3 updated, 0 deleted, 0 inserted',
    ])
    expect((await client.query(`SELECT 1 FROM ${table} WHERE id = 0`)).rowCount).toBe(3)
    const merge = `MERGE INTO ${table} AS t USING (VALUES (4), (8)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE`
    expect((await plan(`EXPLAIN ANALYZE ${merge}`))[0]).toBe(`Merge on ${table} (MERGE 2)`)
    expect((await plan(`EXPLAIN INSERT INTO ${table} SELECT * FROM ${table}`))[0]).toBe(
      `Insert on ${table}`,
    )
  })
})
