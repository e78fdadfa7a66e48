/**
 * Goal: the views of schema `system` tell of every table what DESCRIBE and SHOW tell of one, and
 * open no more tables than a statement's conditions ask for.
 * Method: both are asked through a real client and compared row by row; which logs are opened is
 * seen by the store's own reads. The rules beside that are tables of statements with their outcomes.
 */

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../storage/object-store.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { connect, script } from '../support/session-script.js'

let gateway: TestGateway
let client: pg.Client
/** Folders of tables whose log was looked at since the test began. */
const opened = new Set<string>()

/** `store`, which notes whose log is listed or read. */
function watched(store: ObjectStore): ObjectStore {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        const [path] = args
        const log = typeof path === 'string' ? /^(.+)\/_delta_log/.exec(path)?.[1] : undefined
        if (log !== undefined) opened.add(log)
        return member.apply(target, args)
      }
    },
  })
}

beforeAll(async () => {
  gateway = await startGateway({ store: watched })
  client = (await connect(gateway)).client
  for (const sql of [
    'CREATE TABLE silver.sv_a (k int, v text)',
    "INSERT INTO silver.sv_a SELECT i, 'x' || i FROM generate_series(1, 10) i",
    'SET lakegate.deletion_vectors = always',
    'UPDATE silver.sv_a SET v = v WHERE k = 3',
    'RESET lakegate.deletion_vectors',
    "ALTER TABLE silver.sv_a SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 40 days')",
    "CREATE TABLE gold.sv_b (d date, longer text, n int) PARTITIONED BY (longer, d) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
    "INSERT INTO gold.sv_b VALUES ('2024-01-02', 'a \"b\"', 1), ('2024-01-03', NULL, 2)",
  ]) {
    await client.query(sql)
  }
}, 60_000)

beforeEach(() => opened.clear())

afterAll(async () => {
  await client?.end()
  await gateway?.close()
}, 60_000)

async function rowsOf(sql: string, values?: unknown[]): Promise<unknown[][]> {
  const given = values === undefined ? {} : { values }
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array', ...given })).rows
}

/** The folders whose log is looked at whenever `sql` runs; what else looks at the lake does so now and then. */
async function openedBy(sql: string, values?: unknown[]): Promise<string[]> {
  let always: Set<string> | undefined
  for (let i = 0; i < 5; i++) {
    opened.clear()
    await rowsOf(sql, values)
    const now = new Set(opened)
    always = new Set([...(always ?? now)].filter((one) => now.has(one)))
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  return [...(always ?? [])].sort()
}

const ALL_TABLES =
  "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"

describe('what a system view tells', () => {
  it('is of each table what DESCRIBE HISTORY, DESCRIBE DETAIL and SHOW TBLPROPERTIES tell', async () => {
    const tables = (await rowsOf(ALL_TABLES)).map(([name]) => String(name))
    expect(tables.length).toBeGreaterThan(2)
    const views = [
      ['table_history', 'DESCRIBE HISTORY $t', 'version DESC'],
      ['table_detail', 'DESCRIBE DETAIL $t', '1'],
      ['table_properties', 'SHOW TBLPROPERTIES $t', 'key COLLATE "C"'],
    ] as const
    for (const [view, command, order] of views) {
      let count = 0
      for (const table of tables) {
        const expected = await client.query(command.replace('$t', table))
        const found = await client.query(
          `SELECT * FROM system.${view} WHERE table_schema || '.' || table_name = '${table}' ORDER BY ${order}`,
        )
        const [schema, name] = table.split('.')
        const named = expected.rows.map((row: object) => ({
          table_schema: schema,
          table_name: name,
          ...row,
        }))
        expect(found.rows).toEqual(named)
        expect(found.fields.slice(2).map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual(
          expected.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        )
        count += named.length
      }
      expect(await rowsOf(`SELECT count(*) FROM system.${view}`)).toEqual([[String(count)]])
    }
  })

  it('is each live file with its size, rows, partition values and deletion vector', async () => {
    expect(
      await rowsOf(
        "SELECT partition_values, partition_values ->> 'longer', record_count, has_deletion_vector FROM system.table_files WHERE table_name = 'sv_b' ORDER BY 1",
      ),
    ).toEqual([
      ['{"d": "2024-01-02", "longer": "a \\"b\\""}', 'a "b"', '1', 'f'],
      ['{"d": "2024-01-03", "longer": null}', null, '1', 'f'],
    ])
    expect(
      await rowsOf(
        "SELECT record_count, has_deletion_vector, partition_values FROM system.table_files WHERE table_name = 'sv_a' ORDER BY 1",
      ),
    ).toEqual([
      ['1', 'f', '{}'],
      ['10', 't', '{}'],
    ])
    expect(
      await rowsOf(
        "SELECT count(*) FROM (SELECT table_schema, table_name, count(*) AS files, sum(size_bytes) AS bytes, bool_and(modified_at > now() - interval '1 hour') AS recent FROM system.table_files GROUP BY 1, 2) f JOIN system.table_detail d USING (table_schema, table_name) WHERE f.files <> d.num_files OR f.bytes <> d.size_in_bytes OR NOT recent",
      ),
    ).toEqual([['0']])
  })

  it('has types before anything is opened, in the extended protocol', async () => {
    const reply = await client.query({
      name: 'described',
      text: 'SELECT partition_values, modified_at FROM system.table_files WHERE table_name = $1',
      values: ['sv_b'],
    })
    expect(reply.fields.map(({ dataTypeID }) => dataTypeID)).toEqual([3802, 1184])
    expect(reply.rows).toHaveLength(2)
  })

  it('is, within a block, what the block sees', async () => {
    await client.query('BEGIN')
    await client.query('DELETE FROM silver.sv_a WHERE k = 5')
    const inside = await rowsOf(
      "SELECT num_files FROM system.table_detail WHERE table_name = 'sv_a'",
    )
    const files = await rowsOf("SELECT count(*) FROM system.table_files WHERE table_name = 'sv_a'")
    await client.query('ROLLBACK')
    expect(inside).toEqual(files)
  })
})

describe('the tables that are opened', () => {
  const others = ['silver/sv_a', 'gold/sv_b']

  it.each([
    ["WHERE table_schema = 'silver' AND table_name = 'sv_a'", undefined, ['silver/sv_a']],
    ['WHERE table_schema = $1 AND table_name = $2', ['silver', 'sv_a'], ['silver/sv_a']],
    ["WHERE table_name IN ('sv_b', 'nothing')", undefined, ['gold/sv_b']],
    ['WHERE table_name = ANY($1)', [['sv_b']], ['gold/sv_b']],
    ["WHERE table_name LIKE 'sv\\_%'", undefined, ['gold/sv_b', 'silver/sv_a']],
    ["WHERE table_name = 'nothing'", undefined, []],
    ["WHERE 'sv_b' = table_name AND version >= 0", undefined, ['gold/sv_b']],
  ])('are those that %s leaves', async (where, values, expected) => {
    expect(await openedBy(`SELECT * FROM system.table_history ${where}`, values)).toEqual(expected)
  })

  it('are all without a condition, and one where a subquery or a view hands a condition down', async () => {
    expect(await openedBy('SELECT count(*) FROM system.table_history')).toEqual(
      expect.arrayContaining(others),
    )
    const inner = 'SELECT table_name AS t, version FROM system.table_history'
    expect(await openedBy(`SELECT * FROM (${inner}) x WHERE t = 'sv_b'`)).toEqual(['gold/sv_b'])
    await client.query(`CREATE VIEW gold.sv_v AS ${inner}`)
    expect(await openedBy("SELECT * FROM gold.sv_v WHERE t = 'sv_b'")).toEqual(['gold/sv_b'])
    expect(
      await rowsOf(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'gold.sv_v'::regclass ORDER BY attnum",
      ),
    ).toEqual([
      ['t', 'text'],
      ['version', 'bigint'],
    ])
    expect(
      await rowsOf(
        "SELECT view_definition FROM information_schema.views WHERE table_name = 'sv_v'",
      ),
    ).toEqual([[' SELECT table_name AS t, version FROM system.table_history;']])
    await client.query('DROP VIEW gold.sv_v')
  })

  it('are counted by EXPLAIN', async () => {
    const [line] = await rowsOf(
      "EXPLAIN SELECT * FROM system.table_files WHERE table_name = 'sv_a'",
    )
    expect(String(line)).toMatch(/^System Scan on system\.table_files: 1 of \d+ tables$/)
  })
})

describe('a system view', () => {
  script(
    () => gateway,
    'is joined with tables, system catalogs and others of its kind',
    `SELECT count(*) FROM system.table_files f, silver.sv_a a WHERE f.table_name = 'sv_a' -> 20
     SELECT c.relname, d.num_files FROM system.table_detail d JOIN pg_catalog.pg_class c ON c.relname = d.table_name WHERE d.table_name = 'sv_b' -> sv_b,2
     SELECT p.value, d.version FROM system.table_properties p JOIN system.table_detail d USING (table_schema, table_name) WHERE table_name = 'sv_a' AND p.key = 'delta.logRetentionDuration' -> interval 40 days,3
     CREATE TABLE silver.sv_copy AS SELECT table_name, version, operation FROM system.table_history WHERE table_name = 'sv_a'
     SELECT operation FROM silver.sv_copy WHERE version = 2 -> UPDATE
     DELETE FROM silver.sv_copy USING system.table_detail d WHERE d.table_name = 'sv_a' AND d.version = sv_copy.version -> DELETE 1
     INSERT INTO silver.sv_copy SELECT table_name, 9, 'x' FROM system.table_detail WHERE table_name = 'sv_b' -> INSERT 1
     SELECT count(*) FROM silver.sv_copy -> 4
     SELECT count(*) > 1 FROM system.table_detail WHERE table_schema = 'silver' AND size_in_bytes >= 0 AND properties LIKE '{%' -> t
     FROM system.table_files SELECT count(*) WHERE table_name = 'sv_copy' -> 2
     BEGIN
     DECLARE c CURSOR FOR SELECT key FROM system.table_properties WHERE table_name = 'sv_a' AND key LIKE '%Reader%'
     FETCH c -> delta.minReaderVersion
     COMMIT
     SELECT table_history.version FROM system.table_history WHERE system.table_history.table_name = 'sv_b' ORDER BY table_history.version LIMIT 1 -> 0
     SELECT count(*) FROM (SELECT table_name FROM system.table_detail UNION SELECT table_name FROM system.table_files) x WHERE table_name IN (SELECT 'sv_a') -> 1
     DROP TABLE silver.sv_copy
     SELECT count(*) FROM system.table_detail WHERE table_name = 'sv_copy' -> 0`,
  )

  script(
    () => gateway,
    'has no versions and takes no changes, and its schema no tables',
    `SELECT * FROM system.table_history VERSION AS OF 1 -> !0A000
     INSERT INTO system.table_properties VALUES ('silver', 'sv_a', 'a', 'b') -> !42P01
     DELETE FROM system.table_history -> !42P01
     DROP VIEW system.table_history -> !42P01
     DESCRIBE system.table_history -> !42P01
     SELECT * FROM system.nothing -> !42P01
     SELECT * FROM table_history -> !42P01
     CREATE SCHEMA system -> !42939
     CREATE SCHEMA IF NOT EXISTS system -> !42939
     CREATE LAYER system -> !42939
     CREATE TABLE system.t (a int) -> !3F000
     SET search_path = silver, system
     SELECT count(*) FROM table_detail WHERE table_name = 'sv_a' -> 1`,
  )

  it('shows the tables alone that the reader, or the owner of a view around it, may read whole', async () => {
    await client.query('CREATE ROLE sv_amy LOGIN')
    await client.query(
      'CREATE VIEW gold.sv_owned AS SELECT DISTINCT table_name AS t FROM system.table_history',
    )
    await client.query(
      'CREATE VIEW gold.sv_asked WITH (security_invoker) AS SELECT DISTINCT table_name AS t FROM system.table_history',
    )
    await client.query('GRANT USAGE ON SCHEMA gold TO sv_amy')
    await client.query('GRANT SELECT ON gold.sv_owned, gold.sv_asked TO sv_amy')
    const { client: amy } = await connect(gateway, { user: 'sv_amy' })
    const seen = async (from: string): Promise<string[]> => {
      const text = `SELECT DISTINCT ${from.startsWith('gold') ? 't' : 'table_name'} FROM ${from} ORDER BY 1`
      return (await amy.query<string[]>({ text, rowMode: 'array' })).rows.map(([name]) => `${name}`)
    }
    const views = ['history', 'detail', 'properties', 'files'].map((one) => `system.table_${one}`)
    try {
      for (const view of views) expect(await seen(view)).toEqual([])
      await client.query('GRANT USAGE ON SCHEMA silver TO sv_amy')
      await client.query('GRANT SELECT (k) ON silver.sv_a TO sv_amy')
      for (const view of views) expect(await seen(view)).toEqual([])
      await client.query('GRANT SELECT ON silver.sv_a TO sv_amy')
      for (const view of views) expect(await seen(view)).toEqual(['sv_a'])
      expect(await seen('gold.sv_asked')).toEqual(['sv_a'])
      expect(await seen('gold.sv_owned')).toEqual(expect.arrayContaining(['sv_a', 'sv_b']))
      await client.query('REVOKE USAGE ON SCHEMA silver FROM sv_amy')
      for (const view of views) expect(await seen(view)).toEqual([])
      expect(await rowsOf('SELECT count(*) > 2 FROM system.table_detail')).toEqual([['t']])
      await client.query('SET ROLE sv_amy')
      expect(await rowsOf('SELECT count(*) FROM system.table_detail')).toEqual([['0']])
    } finally {
      await client.query('RESET ROLE')
      await amy.end()
      await client.query('DROP VIEW gold.sv_owned, gold.sv_asked')
      await client.query('DROP OWNED BY sv_amy')
      await client.query('DROP ROLE sv_amy')
    }
  })

  it('is as of the moment the session is pinned to', async () => {
    const then = new Date(Date.now() - 1).toISOString()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await client.query("INSERT INTO gold.sv_b VALUES ('2024-01-04', 'c', 3)")
    const { client: pinned } = await connect(gateway, { options: `-c lakegate.as_of=${then}` })
    const sql =
      "SELECT version, num_files, (SELECT max(version) FROM system.table_history WHERE table_name = 'sv_b') FROM system.table_detail WHERE table_name = 'sv_b'"
    const before = (await pinned.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
    await pinned.end()
    expect(before).toEqual([['1', '2', '1']])
    expect(await rowsOf(sql)).toEqual([['2', '3', '2']])
  })

  it('lets a table of that name win that a lake has already', async () => {
    await client.query('CREATE TABLE silver.sv_own (x int)')
    await client.query('INSERT INTO silver.sv_own VALUES (7)')
    const folder = join(gateway.lake, 'system')
    mkdirSync(folder)
    cpSync(join(gateway.lake, 'silver', 'sv_own'), join(folder, 'table_detail'), {
      recursive: true,
    })
    try {
      expect(await rowsOf('SELECT * FROM system.table_detail')).toEqual([['7']])
      expect(
        await rowsOf("SELECT table_name FROM system.table_history WHERE table_schema = 'system'"),
      ).toEqual([['table_detail'], ['table_detail']])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
