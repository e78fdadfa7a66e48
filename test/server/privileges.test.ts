/**
 * Goal: every statement is refused without the privileges it needs, and works with exactly these.
 * Method: a table of statements with the grants each needs. Each runs without any, with all, and with
 * all but one of them; so it does on a real PostgreSQL where one is installed, which must say the same
 * in code and message. Random grants and statements are compared in the same way.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { statementAccess } from '../../planner/statement-table.js'
import { parseStatements } from '../../planner/parse.js'
import { copyIn, copyOut } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { findServer, startPostgres } from '../support/servers.mjs'

interface Side {
  readonly root: pg.Client
  readonly user: pg.Client
}

let gateway: TestGateway
let ours: Side
let theirs: Side | undefined
let postgres: { readonly port: number; readonly stop: () => void } | undefined
const work = mkdtempSync(join(tmpdir(), 'lakegate-privileges-'))

async function open(port: number, database: string, user: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database })
  client.on('error', () => {})
  await client.connect()
  return client
}

const SCHEMA = `
  CREATE TABLE silver.t (id int PRIMARY KEY, a int, b text, secret text);
  INSERT INTO silver.t VALUES (1, 10, 'x', 's'), (2, 20, 'y', 's');
  CREATE TABLE silver.u (id int, v int);
  INSERT INTO silver.u VALUES (1, 100), (3, 300);
  CREATE VIEW silver.shown AS SELECT id, a FROM silver.t WHERE secret = 's';
  CREATE VIEW silver.asked WITH (security_invoker) AS SELECT id, a FROM silver.t;
  CREATE VIEW gold.nested AS SELECT id FROM silver.shown;
  CREATE ROLE amy LOGIN;
  CREATE ROLE bea LOGIN;`

async function side(port: number, database: string): Promise<Side> {
  const root = await open(port, database, 'lakegate')
  for (const sql of SCHEMA.split(';')) await root.query(sql)
  const user = await open(port, database, 'amy')
  await user.query('SET search_path = silver')
  return { root, user }
}

beforeAll(async () => {
  gateway = await startGateway()
  ours = await side(gateway.port, 'lake')
  const bin = findServer()
  if (bin === undefined) return
  postgres = await startPostgres(bin, work)
  const made = await open(postgres?.port ?? 0, 'postgres', 'lakegate')
  await made.query('CREATE DATABASE lake')
  await made.end()
  const lake = await open(postgres?.port ?? 0, 'lake', 'lakegate')
  await lake.query('CREATE SCHEMA silver')
  await lake.query('CREATE SCHEMA gold')
  await lake.end()
  theirs = await side(postgres?.port ?? 0, 'lake')
}, 120_000)

afterAll(async () => {
  for (const one of [ours, theirs]) {
    await one?.user.end()
    await one?.root.end()
  }
  postgres?.stop()
  await gateway.close()
  rmSync(work, { recursive: true, force: true })
  expect(gateway.bugs).toEqual([])
})

/** `ok`, or the code and words of the error. */
async function tried(client: pg.Client, sql: string): Promise<string> {
  try {
    if (/^COPY .* FROM STDIN/.test(sql)) {
      const { code, message } = await copyIn(client, sql, [])
      return code === undefined ? 'ok' : `${code} ${message}`
    }
    if (sql.startsWith('COPY')) await copyOut(client, sql)
    else await client.query(sql)
    return 'ok'
  } catch (thrown) {
    const { code, message } = thrown as { code?: string; message: string }
    return `${code} ${message}`
  }
}

/** What the user gets, in a transaction that is taken back. */
async function attempt({ user }: Side, sql: string, alone: boolean): Promise<string> {
  if (alone) return tried(user, sql)
  await user.query('BEGIN')
  try {
    for (const one of sql.split(';')) {
      const answer = await tried(user, one)
      if (answer !== 'ok') return answer
    }
    return 'ok'
  } finally {
    await user.query('ROLLBACK')
    await user.query('DEALLOCATE ALL')
  }
}

async function granted<T>(
  { root }: Side,
  grants: readonly string[],
  run: () => Promise<T>,
): Promise<T> {
  for (const grant of grants) await root.query(`GRANT ${grant} TO amy`)
  try {
    return await run()
  } finally {
    for (const grant of grants) await root.query(`REVOKE ${grant} FROM amy`)
  }
}

interface Case {
  readonly sql: string
  /** What GRANT says before `TO amy`; the layer silver may be used in any case. */
  readonly needs: readonly string[]
  /** PostgreSQL knows no such statement, or needs other privileges for it. */
  readonly onlyHere?: boolean
  /** Where several are missing, PostgreSQL asks for another one first. */
  readonly codeOnly?: boolean
  /** Cannot run inside of a block. */
  readonly alone?: boolean
}

const USAGE = 'USAGE ON SCHEMA silver'

const on = (table: string, ...privileges: readonly string[]): readonly string[] =>
  privileges.map((one) => `${one} ON silver.${table}`)

const CASES: readonly Case[] = [
  { sql: 'SELECT a FROM t', needs: on('t', 'SELECT (a)') },
  { sql: 'SELECT a FROM silver.t WHERE id = 1', needs: on('t', 'SELECT (a)', 'SELECT (id)') },
  { sql: 'SELECT * FROM t', needs: on('t', 'SELECT') },
  { sql: 'SELECT t FROM t', needs: on('t', 'SELECT') },
  { sql: 'SELECT x.* FROM t AS x', needs: on('t', 'SELECT (id, a, b, secret)') },
  { sql: 'SELECT count(*) FROM t', needs: on('t', 'SELECT (b)') },
  { sql: 'SELECT 1 FROM t ORDER BY b', needs: on('t', 'SELECT (b)') },
  { sql: 'SELECT max(a) FROM t GROUP BY b', needs: on('t', 'SELECT (a)', 'SELECT (b)') },
  {
    sql: 'SELECT count(*) FROM t GROUP BY b HAVING max(a) > 1',
    needs: on('t', 'SELECT (b)', 'SELECT (a)'),
  },
  { sql: 'SELECT row_number() OVER (ORDER BY a) FROM t', needs: on('t', 'SELECT (a)') },
  {
    sql: 'SELECT v FROM t JOIN u ON t.id = u.id',
    needs: [...on('t', 'SELECT (id)'), ...on('u', 'SELECT (v)', 'SELECT (id)')],
  },
  {
    sql: 'SELECT a, v FROM t JOIN u USING (id)',
    needs: [...on('t', 'SELECT (id, a)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'SELECT a, v FROM t FULL JOIN u USING (id)',
    needs: [...on('t', 'SELECT (id, a)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'SELECT 1 FROM t NATURAL JOIN u',
    needs: [...on('t', 'SELECT (id)'), ...on('u', 'SELECT (id)')],
  },
  {
    sql: 'SELECT j.a FROM (t JOIN u ON true) AS j (i, a, b, s, k, v)',
    needs: [...on('t', 'SELECT (a)'), ...on('u', 'SELECT (id)')],
  },
  { sql: 'SELECT a FROM (SELECT a, b FROM t) AS q', needs: on('t', 'SELECT (a, b)') },
  { sql: 'WITH q AS (SELECT a FROM t) SELECT 1 FROM q', needs: on('t', 'SELECT (a)') },
  // PostgreSQL forgets a WITH query that nobody reads before it checks.
  { sql: 'WITH q AS (SELECT a FROM t) SELECT 1', needs: on('t', 'SELECT (a)'), onlyHere: true },
  {
    sql: 'WITH RECURSIVE r AS (SELECT a FROM t UNION SELECT v FROM u JOIN r ON id = r.a) SELECT * FROM r',
    needs: [...on('t', 'SELECT (a)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'SELECT id FROM u WHERE v IN (SELECT a FROM t)',
    needs: [...on('t', 'SELECT (a)'), ...on('u', 'SELECT (id, v)')],
  },
  {
    sql: 'SELECT (SELECT max(a) FROM t WHERE t.id = u.id) FROM u',
    needs: [...on('t', 'SELECT (a, id)'), ...on('u', 'SELECT (id)')],
  },
  {
    sql: 'SELECT v FROM u WHERE EXISTS (SELECT FROM t WHERE t.id = u.id)',
    needs: [...on('t', 'SELECT (id)'), ...on('u', 'SELECT (id, v)')],
  },
  {
    sql: 'SELECT a FROM t UNION ALL SELECT v FROM u',
    needs: [...on('t', 'SELECT (a)'), ...on('u', 'SELECT (v)')],
  },
  {
    sql: 'SELECT l.v FROM t, LATERAL (SELECT v FROM u WHERE u.id = t.id) AS l',
    needs: [...on('t', 'SELECT (id)'), ...on('u', 'SELECT (v, id)')],
  },
  { sql: 'TABLE u', needs: on('u', 'SELECT') },
  { sql: 'SELECT * FROM shown', needs: on('shown', 'SELECT') },
  { sql: 'SELECT a FROM shown', needs: on('shown', 'SELECT (a)') },
  {
    sql: 'SELECT a FROM asked',
    needs: [...on('asked', 'SELECT (a)'), ...on('t', 'SELECT (id, a)')],
  },
  { sql: 'SELECT * FROM gold.nested', needs: ['USAGE ON SCHEMA gold', 'SELECT ON gold.nested'] },
  { sql: 'EXPLAIN SELECT a FROM t', needs: on('t', 'SELECT (a)') },
  { sql: 'EXPLAIN UPDATE t SET a = 1', needs: on('t', 'UPDATE (a)') },
  { sql: 'EXPLAIN INSERT INTO u VALUES (1, 2)', needs: on('u', 'INSERT') },
  { sql: 'DECLARE c CURSOR FOR SELECT a FROM t', needs: on('t', 'SELECT (a)') },
  { sql: 'PREPARE p1 AS SELECT a FROM t; EXECUTE p1; DEALLOCATE p1', needs: on('t', 'SELECT (a)') },
  { sql: 'CREATE TEMP TABLE mine AS SELECT a FROM t', needs: on('t', 'SELECT (a)') },
  { sql: 'SELECT a INTO TEMP mine FROM t', needs: on('t', 'SELECT (a)') },
  { sql: 'COPY u TO STDOUT', needs: on('u', 'SELECT (id, v)') },
  { sql: 'COPY u (v) TO STDOUT', needs: on('u', 'SELECT (v)') },
  { sql: 'COPY (SELECT a FROM t WHERE id > 0) TO STDOUT', needs: on('t', 'SELECT (a, id)') },
  { sql: 'COPY u FROM STDIN', needs: on('u', 'INSERT (id, v)') },
  { sql: 'COPY u (v) FROM STDIN', needs: on('u', 'INSERT (v)') },
  { sql: 'INSERT INTO u VALUES (1, 2)', needs: on('u', 'INSERT (id, v)') },
  { sql: 'INSERT INTO u VALUES (1)', needs: on('u', 'INSERT (id)') },
  { sql: 'INSERT INTO u (v) VALUES (2)', needs: on('u', 'INSERT (v)') },
  { sql: 'INSERT INTO u DEFAULT VALUES', needs: on('u', 'INSERT (v)') },
  {
    sql: 'INSERT INTO u SELECT id, a FROM t',
    needs: [...on('u', 'INSERT'), ...on('t', 'SELECT (id, a)')],
  },
  {
    sql: 'INSERT INTO u VALUES (1, 2) RETURNING v',
    needs: on('u', 'INSERT (id, v)', 'SELECT (v)'),
  },
  { sql: 'INSERT INTO u VALUES (1, 2) RETURNING *', needs: on('u', 'INSERT', 'SELECT') },
  { sql: 'INSERT INTO u VALUES (1, 2) RETURNING 1', needs: on('u', 'INSERT') },
  { sql: 'INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING', needs: on('t', 'INSERT (id)') },
  {
    sql: 'INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO NOTHING',
    needs: on('t', 'INSERT (id)', 'SELECT (id)'),
  },
  {
    sql: 'INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = 3',
    needs: on('t', 'INSERT (id, a)', 'SELECT (id)', 'UPDATE (a)'),
  },
  {
    sql: 'INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET b = t.b WHERE t.a > 0',
    needs: on('t', 'INSERT (id, a)', 'SELECT (id, b, a)', 'UPDATE (b)'),
  },
  {
    sql: 'INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a',
    needs: on('t', 'INSERT (id, a)', 'SELECT (id, a)', 'UPDATE (a)'),
  },
  { sql: 'UPDATE t SET a = 1', needs: on('t', 'UPDATE (a)') },
  { sql: 'UPDATE t SET a = a + 1', needs: on('t', 'UPDATE (a)', 'SELECT (a)') },
  { sql: 'UPDATE t SET a = 1 WHERE id = 1', needs: on('t', 'UPDATE (a)', 'SELECT (id)') },
  { sql: 'UPDATE t SET a = 1, b = b', needs: on('t', 'UPDATE (a)', 'UPDATE (b)', 'SELECT (b)') },
  { sql: 'UPDATE t SET a = 1 RETURNING secret', needs: on('t', 'UPDATE (a)', 'SELECT (secret)') },
  {
    sql: 'UPDATE t SET a = v FROM u WHERE u.id = t.id',
    needs: [...on('t', 'UPDATE (a)', 'SELECT (id)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'UPDATE t SET a = (SELECT max(v) FROM u)',
    needs: [...on('t', 'UPDATE (a)'), ...on('u', 'SELECT (v)')],
  },
  { sql: 'DELETE FROM t', needs: on('t', 'DELETE') },
  { sql: 'DELETE FROM t WHERE b = $$x$$', needs: on('t', 'DELETE', 'SELECT (b)') },
  {
    sql: 'DELETE FROM t USING u WHERE u.id = t.id RETURNING u.v',
    needs: [...on('t', 'DELETE', 'SELECT (id)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = v',
    needs: [...on('t', 'UPDATE (a)', 'SELECT (id)'), ...on('u', 'SELECT (v, id)')],
  },
  {
    sql: 'MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND t.b = $$y$$ THEN DELETE WHEN NOT MATCHED THEN INSERT (id, a) VALUES (u.id, 1)',
    needs: [
      ...on('t', 'DELETE', 'INSERT (id, a)', 'SELECT (id)', 'SELECT (b)'),
      ...on('u', 'SELECT (id)'),
    ],
  },
  { sql: 'TRUNCATE t', needs: on('t', 'TRUNCATE') },
  { sql: 'CREATE TABLE silver.made (i int)', needs: ['CREATE ON SCHEMA silver'] },
  {
    sql: 'CREATE TABLE silver.made AS SELECT a FROM t',
    needs: ['CREATE ON SCHEMA silver', ...on('t', 'SELECT (a)')],
    codeOnly: true,
  },
  {
    sql: 'CREATE TABLE silver.made (LIKE t)',
    needs: ['CREATE ON SCHEMA silver', ...on('t', 'SELECT')],
  },
  {
    sql: 'CREATE SCHEMA made',
    needs: ['CREATE ON DATABASE lake'],
    // A schema is made at once, and dropping it here would need no privilege.
    onlyHere: true,
    alone: true,
  },
  { sql: 'FROM silver.u', needs: on('u', 'SELECT'), onlyHere: true },
  { sql: 'FROM silver.u SELECT v', needs: on('u', 'SELECT (id, v)'), onlyHere: true },
  { sql: 'SELECT v FROM u VERSION AS OF 1', needs: on('u', 'SELECT (v)'), onlyHere: true },
  { sql: 'INSERT OVERWRITE u VALUES (1, 2)', needs: on('u', 'INSERT', 'DELETE'), onlyHere: true },
  {
    sql: 'INSERT INTO u REPLACE WHERE v = 1 VALUES (1, 1)',
    needs: on('u', 'INSERT', 'DELETE', 'SELECT (v)'),
    onlyHere: true,
  },
  {
    sql: 'MERGE INTO u USING (SELECT 9 AS id, 9 AS v) AS s ON u.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *',
    needs: on('u', 'UPDATE (id, v)', 'INSERT (id, v)', 'SELECT (id)'),
    onlyHere: true,
  },
  {
    sql: 'CREATE TABLE silver.made SHALLOW CLONE silver.u',
    needs: ['CREATE ON SCHEMA silver', ...on('u', 'SELECT')],
    onlyHere: true,
  },
  {
    sql: 'MERGE WITH SCHEMA EVOLUTION INTO u USING (SELECT 9 AS id, 9 AS v) AS s ON u.id = s.id WHEN NOT MATCHED THEN INSERT *',
    needs: on('u', 'INSERT', 'SELECT (id)'),
    onlyHere: true,
  },
  {
    sql: "SELECT count(*) FROM table_changes('silver.u', 1)",
    needs: on('u', 'SELECT'),
    onlyHere: true,
  },
  { sql: 'DESCRIBE HISTORY silver.u', needs: on('u', 'SELECT'), onlyHere: true },
  { sql: 'DESCRIBE DETAIL silver.u', needs: on('u', 'SELECT'), onlyHere: true },
  { sql: 'DESCRIBE silver.u', needs: on('u', 'SELECT (v)'), onlyHere: true },
  { sql: 'DESCRIBE silver.shown', needs: on('shown', 'SELECT (a)'), onlyHere: true },
  { sql: 'SHOW TBLPROPERTIES silver.u', needs: on('u', 'SELECT (v)'), onlyHere: true },
  { sql: 'OPTIMIZE silver.u', needs: on('u', 'MAINTAIN'), onlyHere: true, alone: true },
  {
    sql: 'REORG TABLE silver.u APPLY (PURGE)',
    needs: on('u', 'MAINTAIN'),
    onlyHere: true,
    alone: true,
  },
  {
    sql: 'VACUUM silver.u RETAIN 200 HOURS',
    needs: on('u', 'MAINTAIN'),
    onlyHere: true,
    alone: true,
  },
]

/** Which of a case's parts a set of grants leaves unheld, in words for the name of a test. */
function variants({ needs }: Case): readonly (readonly string[])[] {
  return [[], [...needs], ...needs.map((_, i) => needs.filter((__, j) => j !== i))]
}

const OWNERS: readonly string[] = [
  'ALTER TABLE t ADD COLUMN z int',
  'ALTER TABLE t RENAME COLUMN a TO z',
  'ALTER TABLE t RENAME TO z',
  'ALTER TABLE t SET SCHEMA gold',
  'ALTER TABLE t OWNER TO amy',
  'ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)',
  'COMMENT ON TABLE t IS $$x$$',
  'COMMENT ON COLUMN t.a IS $$x$$',
  'COMMENT ON VIEW shown IS $$x$$',
  'COMMENT ON SCHEMA silver IS $$x$$',
  'CREATE OR REPLACE VIEW silver.shown AS SELECT 1 AS id, 2 AS a',
  'DROP TABLE t CASCADE',
  'DROP VIEW shown CASCADE',
  'DROP SCHEMA silver CASCADE',
  'ALTER SCHEMA silver OWNER TO amy',
  'ALTER VIEW shown OWNER TO amy',
  'ALTER VIEW shown RENAME TO z',
]

const LAKE_OWNERS: readonly string[] = [
  'ALTER TABLE silver.t CLUSTER BY (a)',
  'CREATE OR REPLACE TABLE silver.t (i int)',
  'RESTORE TABLE silver.t TO VERSION AS OF 0',
  'MERGE WITH SCHEMA EVOLUTION INTO silver.t USING (SELECT 9 AS id, 9 AS z) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *',
  'INSERT WITH SCHEMA EVOLUTION INTO silver.t SELECT 1 AS id, 2 AS a, NULL AS b, NULL AS secret, 5 AS z',
  'DROP LAYER silver CASCADE',
]

/** Statements whose privileges other tests are about. */
const ELSEWHERE: readonly string[] = [
  'CREATE ROLE x',
  'ALTER ROLE x NOLOGIN',
  'ALTER ROLE x SET work_mem = 1',
  'DROP ROLE x',
  'GRANT SELECT ON t TO x',
  'GRANT x TO y',
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x',
  'ALTER SCHEMA s OWNER TO x',
  'REASSIGN OWNED BY x TO y',
  'DROP OWNED BY x',
  'VACUUM t',
  'ANALYZE TABLE t COMPUTE STATISTICS',
  "COPY INTO t FROM '/tmp/x' FILEFORMAT = CSV",
  'CREATE LAYER x',
  'UNDROP TABLE x',
  // What they show is what system catalogs show to everybody.
  'SHOW LAYERS',
  'DESCRIBE LAYER silver',
  'SHOW TABLES DROPPED',
]

describe('the kinds of statements', () => {
  it('are all for superusers alone, for everybody, or here', () => {
    const kindOf = (sql: string): readonly string[] =>
      sql
        .split(';')
        // DuckDB's own syntax is a SELECT by another parser.
        .filter((one) => !one.startsWith('FROM'))
        .flatMap((one) => parseStatements(one))
        .map(({ tree, lakeCommand }) =>
          tree === null ? (lakeCommand?.kind ?? '') : (Object.keys(tree)[0] ?? ''),
        )
    const tested = new Set(
      [...CASES.map(({ sql }) => sql), ...OWNERS, ...LAKE_OWNERS, ...ELSEWHERE].flatMap(kindOf),
    )
    const missing = [...statementAccess()].flatMap(([kind, access]) =>
      access === 'checked' && !tested.has(kind) ? [kind] : [],
    )
    expect(missing).toEqual([])
  })
})

describe('a statement', () => {
  it.each(CASES.map((one) => [one.sql, one] as const))('%s', async (_, one) => {
    const { sql, needs, alone = false, onlyHere = false } = one
    for (const grants of variants(one)) {
      const isWhole = grants.length === needs.length
      const run = (at: Side): Promise<string> =>
        granted(at, [USAGE, ...grants], () => attempt(at, sql, alone))
      const answer = await run(ours)
      const shown = `with ${grants.join(', ') || 'nothing'}`
      if (isWhole) expect(`${shown}: ${answer}`).toBe(`${shown}: ok`)
      else expect(`${shown}: ${answer}`).toContain(': 42501 ')
      if (theirs === undefined || onlyHere) continue
      const expected = await run(theirs)
      const compared = (text: string): string =>
        `${shown}: ${one.codeOnly === true ? text.slice(0, 5) : text}`
      expect(compared(answer)).toBe(compared(expected))
    }
    if (alone && sql.startsWith('CREATE SCHEMA')) await ours.root.query('DROP SCHEMA made')
  })

  it('finds nothing in a layer that may not be used', async () => {
    for (const sql of [
      'SELECT 1 FROM silver.t',
      'SELECT 1 FROM t',
      'UPDATE silver.t SET a = 1',
      'DROP TABLE silver.t',
      'DROP TABLE t',
      'ALTER TABLE silver.t ADD COLUMN z int',
      'TRUNCATE silver.t',
      'COMMENT ON TABLE silver.t IS NULL',
      'GRANT SELECT ON silver.t TO bea',
      'GRANT SELECT ON ALL TABLES IN SCHEMA silver TO bea',
    ]) {
      const answer = await granted(ours, on('t', 'ALL'), () => tried(ours.user, sql))
      expect(`${sql}: ${answer}`).toMatch(/: (?:42501 permission denied for schema|42P01) /)
      if (theirs === undefined) continue
      const expected = await granted(theirs, on('t', 'ALL'), () =>
        tried((theirs as Side).user, sql),
      )
      expect(`${sql}: ${answer}`).toBe(`${sql}: ${expected}`)
    }
  })
})

describe('a prepared statement of the protocol', () => {
  it('is asked about whenever it is executed', async () => {
    const query = { name: 'kept', text: 'SELECT a FROM silver.t WHERE id = $1', values: [1] }
    const run = (): Promise<string> =>
      ours.user.query(query).then(
        () => 'ok',
        (thrown: { code?: string }) => String(thrown.code),
      )
    const answers: string[] = []
    await ours.root.query('GRANT USAGE ON SCHEMA silver TO amy')
    answers.push(await run())
    await ours.root.query('GRANT SELECT ON silver.t TO amy')
    answers.push(await run())
    await ours.root.query('REVOKE SELECT ON silver.t FROM amy')
    answers.push(await run())
    await ours.root.query('REVOKE USAGE ON SCHEMA silver FROM amy')
    answers.push(await run())
    expect(answers).toEqual(['42501', 'ok', '42501', '42501'])
  })
})

describe('what only owners may do', () => {
  const EVERYTHING = [
    USAGE,
    'ALL ON SCHEMA silver',
    'ALL ON SCHEMA gold',
    'ALL ON silver.t',
    'ALL ON silver.shown',
  ]

  it.each(OWNERS)('%s', async (sql) => {
    const run = (at: Side): Promise<string> => granted(at, EVERYTHING, () => tried(at.user, sql))
    const answer = await run(ours)
    expect(answer).toMatch(/^42501 must be owner of /)
    if (theirs !== undefined) expect(answer).toBe(await run(theirs))
  })

  it.each(LAKE_OWNERS)('of the lake’s own: %s', async (sql) => {
    const answer = await granted(ours, EVERYTHING, () => tried(ours.user, sql))
    expect(answer).toMatch(/^42501 must be owner of /)
  })

  it('is what they may, with no privilege granted', async () => {
    const { root, user } = ours
    await root.query('CREATE SCHEMA hers')
    await root.query('ALTER SCHEMA hers OWNER TO amy')
    for (const sql of [
      'CREATE TABLE hers.t (a int, b text)',
      'INSERT INTO hers.t VALUES (1, $$x$$)',
      'SELECT * FROM hers.t',
      'ALTER TABLE hers.t ADD COLUMN c int',
      'ALTER TABLE hers.t RENAME COLUMN b TO d',
      'COMMENT ON TABLE hers.t IS $$mine$$',
      'CREATE VIEW hers.v AS SELECT a FROM hers.t',
      'CREATE OR REPLACE VIEW hers.v AS SELECT a FROM hers.t WHERE a > 0',
      'SELECT * FROM hers.v',
      'OPTIMIZE hers.t',
      'VACUUM hers.t',
      'ALTER TABLE hers.t RENAME TO s',
      'RESTORE TABLE hers.s TO VERSION AS OF 1',
      'GRANT SELECT ON hers.s TO bea',
      'TRUNCATE hers.s',
      'CREATE OR REPLACE TABLE hers.s (a int)',
      'DROP VIEW hers.v',
      'DROP TABLE hers.s',
      'UNDROP TABLE hers.s',
      'BEGIN',
      'CREATE TABLE hers.u (a int)',
      'INSERT INTO hers.u VALUES (1)',
      'SELECT * FROM hers.u',
      'ALTER TABLE hers.u ADD COLUMN b int',
      'COMMIT',
      'SELECT * FROM hers.u',
      'DROP SCHEMA hers CASCADE',
    ]) {
      expect(`${sql}: ${await tried(user, sql)}`).toBe(`${sql}: ok`)
    }
  })
})

describe('random grants and statements', () => {
  const COLUMNS = ['id', 'a', 'b', 'secret'] as const
  const column = fc.constantFrom(...COLUMNS)
  const grant = fc.oneof(
    fc
      .tuple(fc.constantFrom('SELECT', 'INSERT', 'UPDATE', 'DELETE'), fc.constantFrom('t', 'u'))
      .map(([privilege, table]) => `${privilege} ON silver.${table}`),
    fc
      .tuple(
        fc.constantFrom('SELECT', 'INSERT', 'UPDATE'),
        fc.uniqueArray(column, { minLength: 1 }),
      )
      .map(([privilege, names]) => `${privilege} (${names.join(', ')}) ON silver.t`),
    fc
      .tuple(fc.constantFrom('SELECT', 'UPDATE'), fc.constantFrom('id', 'v'))
      .map(([privilege, name]) => `${privilege} (${name}) ON silver.u`),
    fc.constantFrom('SELECT (a) ON silver.shown', 'SELECT ON silver.shown'),
  )
  const some = fc.subarray([...COLUMNS], { minLength: 1 })
  const value: Readonly<Record<(typeof COLUMNS)[number], string>> = {
    id: '7',
    a: '7',
    b: '$$z$$',
    secret: '$$z$$',
  }
  const condition = fc
    .option(column)
    .map((name) => (name === null ? '' : ` WHERE t.${name} = ${value[name]}`))
  const returning = fc.option(column).map((name) => (name === null ? '' : ` RETURNING t.${name}`))
  const statement = fc.oneof(
    fc
      .tuple(some, condition, fc.option(column))
      .map(
        ([names, where, order]) =>
          `SELECT ${names.join(', ')} FROM t${where}${order === null ? '' : ` ORDER BY ${order}`}`,
      ),
    fc
      .tuple(some, fc.constantFrom('LEFT', 'INNER', 'FULL'))
      .map(
        ([names, kind]) =>
          `SELECT ${names.map((name) => `t.${name}`).join(', ')} FROM t ${kind} JOIN u ON t.id = u.id`,
      ),
    fc
      .tuple(column, condition)
      .map(([name, where]) => `SELECT v FROM u WHERE EXISTS (SELECT ${name} FROM t${where})`),
    fc.constantFrom('SELECT a FROM shown', 'SELECT id FROM shown', 'SELECT count(*) FROM shown'),
    fc
      .tuple(some, returning)
      .map(
        ([names, shown]) =>
          `INSERT INTO t (${names.join(', ')}) SELECT ${names.map((name) => value[name]).join(', ')}${shown}`,
      ),
    fc
      .tuple(some, condition, returning)
      .map(
        ([names, where, shown]) =>
          `UPDATE t SET ${names.map((name) => `${name} = ${value[name]}`).join(', ')}${where}${shown}`,
      ),
    fc.tuple(condition, returning).map(([where, shown]) => `DELETE FROM t${where}${shown}`),
    fc
      .tuple(some, column)
      .map(
        ([names, on]) =>
          `MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND t.${on} IS NOT NULL THEN UPDATE SET ${names.map((name) => `${name} = ${value[name]}`).join(', ')}`,
      ),
  )

  it('are allowed here where PostgreSQL allows them, and nowhere else', async () => {
    const server = theirs
    if (server === undefined) return
    let allowed = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(grant, { minLength: 2, maxLength: 10 }),
        statement,
        async (grants, sql) => {
          const [here, there] = await Promise.all(
            [ours, server].map((at) =>
              granted(at, [USAGE, ...grants], () => attempt(at, sql, false)),
            ),
          )
          const isDenied = (answer: string | undefined): boolean =>
            answer?.startsWith('42501') === true
          if (!isDenied(there)) allowed++
          expect({ sql, grants, denied: isDenied(here) }).toEqual({
            sql,
            grants,
            denied: isDenied(there),
          })
        },
      ),
      { seed: 20261121, numRuns: 200 },
    )
    // Neither answer is the only one.
    expect(allowed).toBeGreaterThan(20)
    expect(allowed).toBeLessThan(180)
  }, 300_000)
})
