/**
 * Goal: MERGE WITH SCHEMA EVOLUTION gives its table the columns that Delta on Databricks documents,
 * and MERGE and UPDATE hand out numbers of identity columns, each once.
 * Method: the examples of Delta's documentation and their neighbours on a real gateway, rows and
 * columns compared; random sequences of statements that draw numbers, which must never repeat.
 */

import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LintedGateway, lintedGateway } from '../support/linted-gateway.js'

let gateway: LintedGateway
let client: pg.Client
let next = 1

beforeAll(async () => {
  gateway = await lintedGateway()
  client = await connect()
})

afterAll(async () => {
  await client.end()
  await gateway.close()
}, 60_000)

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

async function rows(text: string, values: unknown[] = []): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text, values, rowMode: 'array' })).rows
}

async function codeOf(text: string): Promise<string | undefined> {
  return client.query(text).then(
    () => undefined,
    (error: { readonly code?: string }) => error.code,
  )
}

async function columnsOf(table: string): Promise<string[]> {
  const { fields } = await client.query(`SELECT * FROM ${table} LIMIT 0`)
  return fields.map(({ name }) => name)
}

/** A table of that definition with those rows, under a name of its own. */
async function table(columns: string, values: string): Promise<string> {
  const name = `silver.evolving${next++}`
  await client.query(`CREATE TABLE ${name} (${columns})`)
  await client.query(`INSERT INTO ${name} VALUES ${values}`)
  return name
}

const BOTH = 'WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *'

describe('MERGE WITH SCHEMA EVOLUTION', () => {
  it.each([
    {
      what: 'adds columns that only the source has by stars',
      source: "(VALUES (1, 'x', 10), (2, 'y', 20)) s(key, value, new_value)",
      clauses: BOTH,
      columns: ['key', 'value', 'new_value'],
      after: [
        [0, 'z', null],
        [1, 'x', 10],
        [2, 'y', 20],
      ],
    },
    {
      what: 'leaves columns alone that the source lacks',
      source: '(VALUES (1, 10), (2, 20)) s(key, new_value)',
      clauses: BOTH,
      columns: ['key', 'value', 'new_value'],
      after: [
        [0, 'z', null],
        [1, 'a', 10],
        [2, null, 20],
      ],
    },
    {
      what: 'adds columns that assignments name, whatever is assigned',
      source: '(VALUES (1, 10, true), (2, 20, false)) s(key, new_value, other)',
      clauses: `WHEN MATCHED THEN UPDATE SET new_value = s.new_value + 1
        WHEN NOT MATCHED THEN INSERT (key, new_value) VALUES (s.key, s.new_value)`,
      columns: ['key', 'value', 'new_value'],
      after: [
        [0, 'z', null],
        [1, 'a', 11],
        [2, null, 20],
      ],
    },
    {
      what: 'takes the qualified name of a new column, in any case',
      source: '(VALUES (1, 10)) s(key, "New_Value")',
      clauses: 'WHEN MATCHED THEN UPDATE SET t.new_value = s."New_Value"',
      columns: ['key', 'value', 'New_Value'],
      after: [
        [0, 'z', null],
        [1, 'a', 10],
      ],
    },
    {
      what: 'leaves out what EXCEPT names',
      source: "(VALUES (1, 'x', 10, 100)) s(key, value, new_value, other)",
      clauses: 'WHEN MATCHED THEN UPDATE SET * EXCEPT (new_value)',
      columns: ['key', 'value', 'other'],
      after: [
        [0, 'z', null],
        [1, 'x', 100],
      ],
    },
    {
      what: 'adds a column when no row is changed',
      source: "(VALUES (7, 'x', 10)) s(key, value, new_value)",
      clauses: 'WHEN MATCHED THEN UPDATE SET *',
      columns: ['key', 'value', 'new_value'],
      after: [
        [0, 'z', null],
        [1, 'a', null],
      ],
    },
    {
      what: 'adds nothing where no clause asks for it',
      source: "(VALUES (1, 'x', 10)) s(key, value, new_value)",
      clauses: 'WHEN MATCHED THEN UPDATE SET value = s.value',
      columns: ['key', 'value'],
      after: [
        [0, 'z'],
        [1, 'x'],
      ],
    },
  ])('$what', async ({ source, clauses, columns, after }) => {
    const into = await table('key int, value text', "(0, 'z'), (1, 'a')")
    await client.query(
      `MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING ${source} ON t.key = s.key ${clauses}`,
    )
    expect(await columnsOf(into)).toEqual(columns)
    expect(await rows(`SELECT * FROM ${into} ORDER BY key`)).toEqual(after)
  })

  it.each(['always', 'never'])(
    'writes old rows with nulls, deletion vectors %s',
    async (policy) => {
      const into = await table('key int, value text', "(1, 'a'), (2, 'b'), (3, 'c')")
      await client.query(`SET lakegate.deletion_vectors = '${policy}'`)
      const { command, rowCount } = await client.query(
        `MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING (VALUES (2, 1.5), (9, 2.5)) s(key, n)
       ON t.key = s.key ${BOTH}`,
      )
      await client.query('RESET lakegate.deletion_vectors')
      expect([command, rowCount]).toEqual(['MERGE', 2])
      expect(await rows(`SELECT key, value, n FROM ${into} ORDER BY key`)).toEqual([
        [1, 'a', null],
        [2, 'b', '1.5'],
        [3, 'c', null],
        [9, null, '2.5'],
      ])
      expect(await rows(`SELECT * FROM ${into} VERSION AS OF 1 ORDER BY key`)).toHaveLength(3)
    },
  )

  it('never narrows or widens a type: values are cast, or refused', async () => {
    const into = await table('key int, value smallint', '(1, 1)')
    const merge = (value: string): string =>
      `MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING (SELECT 1 AS key, ${value} AS value) s
       ON t.key = s.key ${BOTH}`
    await client.query(merge('2::bigint'))
    expect(await rows(`SELECT * FROM ${into}`)).toEqual([[1, 2]])
    expect(await codeOf(merge('70000'))).toBe('22003')
    expect(await codeOf(merge("'x'::text"))).toBe('42804')
  })

  it('shows new columns in RETURNING, and takes parameters', async () => {
    const into = await table('key int', '(1)')
    const text = `MERGE WITH SCHEMA EVOLUTION INTO ${into} t
      USING (SELECT $1::int AS key, $2::text AS note) s ON t.key = s.key ${BOTH}
      RETURNING merge_action(), t.key, t.note`
    expect(await rows(text, [1, 'one'])).toEqual([['UPDATE', 1, 'one']])
    expect(await rows(text, [2, 'two'])).toEqual([['INSERT', 2, 'two']])
  })

  it('is rolled back with its block, and seen inside of it', async () => {
    const into = await table('key int', '(1)')
    await client.query('BEGIN')
    await client.query(
      `MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING (SELECT 1 AS key, 5 AS n) s
       ON t.key = s.key ${BOTH}`,
    )
    await client.query(`UPDATE ${into} SET n = n + 1`)
    expect(await rows(`SELECT key, n FROM ${into}`)).toEqual([[1, 6]])
    await client.query('ROLLBACK')
    expect(await columnsOf(into)).toEqual(['key'])
  })

  it('is what lakegate.schema_evolution does to every MERGE', async () => {
    const into = await table('key int', '(1)')
    const merge = `MERGE INTO ${into} t USING (SELECT 1 AS key, 5 AS n) s ON t.key = s.key
      WHEN MATCHED THEN UPDATE SET n = s.n`
    expect(await codeOf(merge)).toBe('42703')
    await client.query('SET lakegate.schema_evolution = on')
    await client.query(merge)
    await client.query('RESET lakegate.schema_evolution')
    expect(await rows(`SELECT key, n FROM ${into}`)).toEqual([[1, 5]])
  })

  it.each([
    ['a column that neither side has', 'WHEN MATCHED THEN UPDATE SET nowhere = s.key', '42703'],
    ['the same column twice in the source', 'WHEN MATCHED THEN UPDATE SET *', '42702'],
  ])('refuses %s', async (what, clause, code) => {
    const into = await table('key int', '(1)')
    const source = what.includes('twice')
      ? '(VALUES (1, 2, 3)) s(key, n, n)'
      : '(VALUES (1)) s(key)'
    const merge = `MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING ${source} ON true ${clause}`
    expect(await codeOf(merge)).toBe(code)
    expect(await columnsOf(into)).toEqual(['key'])
  })

  it('is explained without adding anything', async () => {
    const into = await table('key int', '(1)')
    const lines = await rows(
      `EXPLAIN MERGE WITH SCHEMA EVOLUTION INTO ${into} t USING (SELECT 1 AS key, 5 AS n) s
       ON t.key = s.key ${BOTH}`,
    )
    expect(String(lines[0])).toContain('Merge')
    expect(await columnsOf(into)).toEqual(['key'])
  })

  it('tells the changed rows to the feed in the columns of the new version', async () => {
    const name = await table('key int, value text', "(0, 'z'), (1, 'a')")
    await client.query(
      `ALTER TABLE ${name} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')`,
    )
    await client.query(
      `MERGE WITH SCHEMA EVOLUTION INTO ${name} t USING (VALUES (1, 'x', 10), (2, 'y', 20)) s(key, value, more)
       ON t.key = s.key ${BOTH}`,
    )
    const changes = `SELECT key, value, more, _change_type FROM table_changes('${name}', 3) ORDER BY key, _change_type`
    expect(await rows(changes)).toEqual([
      [1, 'x', 10, 'update_postimage'],
      [1, 'a', null, 'update_preimage'],
      [2, 'y', 20, 'insert'],
    ])
  })
})

describe('identity columns', () => {
  it('number the rows that MERGE inserts without a value', async () => {
    const into = await table(
      'id bigint GENERATED ALWAYS AS IDENTITY, k int, v text',
      "(DEFAULT, 1, 'a')",
    )
    const merge = (action: string): string =>
      `MERGE INTO ${into} t USING (VALUES (1, 'x'), (2, 'y'), (3, 'z')) s(k, v) ON t.k = s.k
       WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN ${action} RETURNING t.id, t.k`
    const shown = await rows(merge('INSERT (k, v) VALUES (s.k, s.v)'))
    expect(shown.map(([id]) => id).sort()).toEqual(['1', '2', '3'])
    expect(await rows(`SELECT id::int, k, v FROM ${into} WHERE k = 1`)).toEqual([[1, 1, 'x']])
    await client.query(`DELETE FROM ${into} WHERE k > 1`)
    const again = await rows(merge('INSERT *'))
    expect(again.map(([id]) => id).sort()).toEqual(['1', '4', '5'])
    await client.query(`INSERT INTO ${into} (k) VALUES (9)`)
    expect(await rows(`SELECT id::int FROM ${into} WHERE k = 9`)).toEqual([[6]])
  })

  it('count per clause that draws, not for values that are given', async () => {
    const into = await table(
      'id bigint GENERATED BY DEFAULT AS IDENTITY (START WITH 100 INCREMENT BY 10), k int',
      '(DEFAULT, 1)',
    )
    await client.query(
      `MERGE INTO ${into} t USING (VALUES (1), (2), (3), (4)) s(k) ON t.k = s.k
       WHEN MATCHED THEN UPDATE SET id = DEFAULT
       WHEN NOT MATCHED AND s.k = 2 THEN INSERT (id, k) VALUES (7, s.k)
       WHEN NOT MATCHED THEN INSERT (id, k) VALUES (DEFAULT, s.k)`,
    )
    const all = await rows(`SELECT id::int, k FROM ${into} ORDER BY k`)
    expect(all[1]).toEqual([7, 2])
    expect([all[0]?.[0], all[2]?.[0], all[3]?.[0]].sort()).toEqual([110, 120, 130])
    await client.query(`INSERT INTO ${into} (k) VALUES (5)`)
    expect(await rows(`SELECT id::int FROM ${into} WHERE k = 5`)).toEqual([[140]])
  })

  it('give UPDATE … = DEFAULT the next numbers', async () => {
    const into = await table(
      'id bigint GENERATED ALWAYS AS IDENTITY, k int',
      '(DEFAULT, 1), (DEFAULT, 2)',
    )
    const shown = await rows(`UPDATE ${into} SET id = DEFAULT WHERE k <= 2 RETURNING id::int`)
    expect(shown.map(([id]) => id).sort()).toEqual([3, 4])
    expect(await codeOf(`UPDATE ${into} SET id = 1`)).toBe('428C9')
    await client.query(
      `UPDATE ${into} AS t SET id = DEFAULT FROM (VALUES (1), (1)) s(k) WHERE t.k = s.k`,
    )
    expect(await rows(`SELECT id::int FROM ${into} WHERE k = 1`)).toEqual([[5]])
    await client.query(`UPDATE ${into} SET id = DEFAULT WHERE false`)
    await client.query(`INSERT INTO ${into} (k) VALUES (3)`)
    expect(await rows(`SELECT max(id)::int FROM ${into}`)).toEqual([[6]])
  })

  it('end with 2200H when the numbers are used up', async () => {
    const into = await table(
      'id bigint GENERATED ALWAYS AS IDENTITY (START WITH 9223372036854775806), k int',
      '(DEFAULT, 0)',
    )
    const merge = (from: number): string =>
      `MERGE INTO ${into} t USING (VALUES (${from}), (${from + 1})) s(k) ON t.k = s.k
       WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)`
    expect(await codeOf(merge(1))).toBe('2200H')
    expect(await rows(`SELECT count(*)::int FROM ${into}`)).toEqual([[1]])
  })

  it('never hand out a number twice, whatever statements draw', { timeout: 120_000 }, async () => {
    const key = fc.integer({ min: 0, max: 9 })
    const step = fc.oneof(
      fc
        .array(key, { minLength: 1, maxLength: 4 })
        .map((keys) => `INSERT INTO $t (k) VALUES ${keys.map((k) => `(${k})`).join(', ')}`),
      fc.uniqueArray(key, { minLength: 1, maxLength: 5 }).map(
        (keys) =>
          `MERGE INTO $t t USING (VALUES ${keys.map((k) => `(${k})`).join(', ')}) s(k) ON t.id % 10 = s.k
           WHEN MATCHED AND s.k < 3 THEN DELETE WHEN MATCHED AND s.k < 6 THEN UPDATE SET id = DEFAULT
           WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)`,
      ),
      key.map((k) => `UPDATE $t SET id = DEFAULT WHERE k = ${k}`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const into = await table('id bigint GENERATED ALWAYS AS IDENTITY, k int', '(DEFAULT, 0)')
        const given = new Set<string>()
        for (const one of steps) {
          const before = await rows(`SELECT id FROM ${into}`)
          for (const [id] of before) given.add(String(id))
          await client.query(one.replaceAll('$t', into))
          const now = (await rows(`SELECT id FROM ${into}`)).map(([id]) => String(id))
          expect(new Set(now).size).toBe(now.length)
          const old = new Set(before.map(([id]) => String(id)))
          for (const id of now) if (!old.has(id)) expect(given.has(id)).toBe(false)
        }
      }),
      { seed: 20261121, numRuns: 12 },
    )
  })

  it('number rows of clients that merge at the same time, each once', async () => {
    const into = await table('id bigint GENERATED ALWAYS AS IDENTITY, k int', '(DEFAULT, 0)')
    const clients = await Promise.all([connect(), connect(), connect()])
    await Promise.all(
      clients.map(async (one, i) => {
        for (let n = 0; n < 4; n++) {
          const from = 1 + i * 100 + n * 2
          await one.query(
            `MERGE INTO ${into} t USING (VALUES (${from}), (${from + 1})) s(k) ON t.k = s.k
             WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)`,
          )
        }
      }),
    )
    for (const one of clients) await one.end()
    expect(await rows(`SELECT count(*)::int, count(DISTINCT id)::int FROM ${into}`)).toEqual([
      [25, 25],
    ])
  })
})
