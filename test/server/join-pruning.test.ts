/**
 * Goal: reading the keys of small tables beforehand never changes an answer, and leaves files out.
 * Method: random queries over a star of tables, each answered with lakegate.join_pruning on and off.
 */

import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let client: pg.Client

const RUNS = Number(process.env.LAKEGATE_SKIPPING_RUNS ?? 60)

/** Days that facts have, one file each. */
const DAYS = 40

beforeAll(async () => {
  gateway = await startGateway()
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  const run = (sql: string): Promise<unknown> => client.query(sql)
  // A file for each day, every fifth row without a store, one day of nulls.
  await run(`CREATE TABLE silver.facts (id bigint, day date, store int, code text, amount numeric(10,2))
             PARTITIONED BY (day)`)
  await run(`INSERT INTO silver.facts
             SELECT i, CASE WHEN i % 41 < ${DAYS} THEN DATE '2026-01-01' + (i % 41)::int END,
                    CASE WHEN i % 5 > 0 THEN (i % 13)::int END, 'c' || (i % 17), i % 97
             FROM generate_series(1, 2000) AS g(i)`)
  // Files by ranges of the key, found by statistics alone.
  await run('CREATE TABLE silver.visits (visit int, moment timestamp, person int, place text)')
  for (let file = 0; file < 36; file++) {
    const from = file * 20
    await run(`INSERT INTO silver.visits
               SELECT i, TIMESTAMP '2026-01-01' + i * INTERVAL '1 hour', nullif(i / 4, 50), 'p' || lpad((i / 10)::text, 3, '0')
               FROM generate_series(${from}, ${from + 19}) AS g(i)`)
  }
  await run(
    'CREATE TABLE silver.days (day date, week int, holiday boolean, label text, rate numeric(6,2))',
  )
  await run(`INSERT INTO silver.days
             SELECT DATE '2026-01-01' + i::int, (i / 7)::int, i % 9 = 0, 'd' || i, i
             FROM generate_series(-3, 60) AS g(i) UNION ALL SELECT NULL, NULL, NULL, NULL, NULL`)
  await run('CREATE TABLE silver.weeks (week int, season text)')
  await run(`INSERT INTO silver.weeks SELECT i::int, CASE WHEN i % 3 = 0 THEN 'low' ELSE 'high' END
             FROM generate_series(0, 9) AS g(i)`)
  await run('CREATE TABLE silver.people (person bigint, name text, born int, place varchar(10))')
  await run(`INSERT INTO silver.people SELECT i, 'n' || i, 1950 + (i % 60)::int, 'p' || lpad((i % 80)::text, 3, '0')
             FROM generate_series(0, 199) AS g(i)`)
  await run(`CREATE VIEW silver.sales AS
             SELECT f.id, f.day, f.amount, f.store, d.week, d.holiday, d.label
             FROM silver.facts f JOIN silver.days d ON f.day = d.day`)
  await run(`CREATE VIEW silver.both_kinds AS
             SELECT day AS k, id::bigint AS n FROM silver.facts
             UNION ALL SELECT moment::date, visit FROM silver.visits`)
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

async function rowsOf(sql: string, setting: 'on' | 'off'): Promise<readonly string[]> {
  await client.query(`SET lakegate.join_pruning = ${setting}`)
  const { rows } = await client.query({ text: sql, rowMode: 'array' })
  return rows.map((row) => JSON.stringify(row)).sort()
}

async function filesRead(sql: string, table: string): Promise<number> {
  await client.query('SET lakegate.join_pruning = on')
  const { rows } = await client.query(`EXPLAIN ${sql}`)
  const line = rows
    .map((row) => String(row['QUERY PLAN']))
    .find((one) => one.includes(` ${table} `))
  return Number(/: (\d+) of/.exec(line ?? '')?.[1] ?? -1)
}

describe('opens only the files that can hold a key', () => {
  const FACTS = 'silver.facts'
  const VISITS = 'silver.visits'
  it.each<[string, string, string, number]>([
    [
      'a join with a filtered dimension',
      'SELECT * FROM silver.facts f JOIN silver.days d ON f.day = d.day WHERE d.holiday',
      FACTS,
      5,
    ],
    [
      'USING',
      "SELECT * FROM silver.days d JOIN silver.facts f USING (day) WHERE d.label = 'd7'",
      FACTS,
      1,
    ],
    [
      'the comma',
      'SELECT count(*) FROM silver.days d, silver.facts f WHERE d.day = f.day AND d.week = 2',
      FACTS,
      7,
    ],
    [
      'a parameterless subquery',
      'SELECT * FROM silver.facts WHERE day IN (SELECT day FROM silver.days WHERE holiday)',
      FACTS,
      5,
    ],
    [
      'EXISTS',
      'SELECT * FROM silver.facts f WHERE EXISTS (SELECT 1 FROM silver.days d WHERE d.day = f.day AND d.holiday)',
      FACTS,
      5,
    ],
    [
      'a scalar subquery',
      'SELECT * FROM silver.facts WHERE day = (SELECT max(day) FROM silver.days WHERE week = 3)',
      FACTS,
      1,
    ],
    [
      'an inequality with a scalar subquery',
      'SELECT * FROM silver.facts WHERE day > (SELECT max(day) FROM silver.days WHERE week = 4)',
      FACTS,
      5,
    ],
    ['a view over the join', 'SELECT sum(amount) FROM silver.sales WHERE holiday', FACTS, 5],
    [
      'a subquery over the join',
      'SELECT * FROM (SELECT f.id, d.* FROM silver.facts f JOIN silver.days d ON f.day = d.day) q WHERE q.holiday',
      FACTS,
      5,
    ],
    [
      'a common table',
      'WITH h AS (SELECT day FROM silver.days WHERE holiday) SELECT * FROM silver.facts f JOIN h ON h.day = f.day',
      FACTS,
      5,
    ],
    [
      'a common table of a common table',
      "WITH w AS (SELECT * FROM silver.weeks WHERE season = 'low'), h AS (SELECT d.day FROM silver.days d JOIN w USING (week)) SELECT * FROM silver.facts f JOIN h USING (day)",
      FACTS,
      14,
    ],
    [
      'a snowflake',
      "SELECT * FROM silver.facts f JOIN silver.days d ON f.day = d.day JOIN silver.weeks w ON w.week = d.week WHERE w.season = 'low' AND d.holiday",
      FACTS,
      2,
    ],
    [
      'the nullable side of a left join',
      'SELECT * FROM silver.days d LEFT JOIN silver.facts f ON f.day = d.day AND d.holiday',
      FACTS,
      5,
    ],
    [
      'statistics of files',
      "SELECT * FROM silver.visits v JOIN silver.people p ON p.person = v.person WHERE p.name = 'n3'",
      VISITS,
      1,
    ],
    [
      'texts',
      "SELECT * FROM silver.visits v JOIN silver.people p ON p.place = v.place WHERE p.name = 'n3'",
      VISITS,
      1,
    ],
    [
      'a moment and its day',
      "SELECT * FROM silver.visits v JOIN silver.days d ON v.moment::date = d.day WHERE d.label = 'd5'",
      VISITS,
      2,
    ],
    [
      'ranges of days',
      "SELECT * FROM silver.facts f JOIN silver.days d ON f.day >= d.day AND f.day < d.day + 2 WHERE d.label = 'd38'",
      FACTS,
      2,
    ],
    [
      'a union of tables',
      "SELECT * FROM silver.both_kinds b JOIN silver.days d ON b.k = d.day WHERE d.label = 'd4'",
      FACTS,
      1,
    ],
    [
      'a dimension without a match',
      "SELECT * FROM silver.facts f JOIN silver.days d USING (day) WHERE d.label = 'none'",
      FACTS,
      0,
    ],
    [
      'VALUES',
      "SELECT * FROM silver.facts f JOIN (VALUES (DATE '2026-01-05'), (NULL)) v(day) USING (day)",
      FACTS,
      1,
    ],
    [
      'the outer side of a left join',
      'SELECT * FROM silver.facts f LEFT JOIN silver.days d ON f.day = d.day AND d.holiday',
      FACTS,
      41,
    ],
    [
      'NOT IN',
      'SELECT * FROM silver.facts WHERE day NOT IN (SELECT day FROM silver.days WHERE holiday)',
      FACTS,
      41,
    ],
    [
      'EXISTS over an aggregate',
      'SELECT * FROM silver.facts f WHERE EXISTS (SELECT count(*) FROM silver.days d WHERE d.day = f.day AND d.holiday)',
      FACTS,
      41,
    ],
    [
      'a condition left to chance',
      'SELECT * FROM silver.facts f JOIN silver.days d USING (day) WHERE random() < 2 AND d.holiday AND d.week < random() * 0 + 3',
      FACTS,
      5,
    ],
  ])('%s', async (_, sql, table, files) => {
    expect(await filesRead(sql, table)).toBe(files)
    expect(await rowsOf(sql, 'on')).toEqual(await rowsOf(sql, 'off'))
  })
})

/** Relations by their columns of each kind, of an alias `a`. */
interface Source {
  readonly from: string
  readonly day: string
  readonly number: string
  readonly text: string
  readonly filter: readonly string[]
}

const LARGE: readonly Source[] = [
  {
    from: 'silver.facts',
    day: 'day',
    number: 'id',
    text: 'code',
    filter: ['store = 3', 'amount > 50', 'store IS NULL'],
  },
  {
    from: 'silver.visits',
    day: 'moment::date',
    number: 'person',
    text: 'place',
    filter: ['visit < 300', 'person IS NULL'],
  },
  {
    from: 'silver.sales',
    day: 'day',
    number: 'week',
    text: 'label',
    filter: ['holiday', 'store > 4', 'holiday IS NULL'],
  },
  {
    from: 'silver.both_kinds',
    day: 'k',
    number: 'n',
    text: 'n::text',
    filter: ['n > 100', 'k IS NOT NULL'],
  },
  {
    from: '(SELECT f.*, v.place FROM silver.facts f LEFT JOIN silver.visits v ON v.visit = f.id)',
    day: 'day',
    number: 'store',
    text: 'place',
    filter: ['place IS NULL', 'store = 2'],
  },
  {
    from: '(SELECT day, max(id) AS top, count(*) AS n FROM silver.facts GROUP BY day)',
    day: 'day',
    number: 'n',
    text: 'top::text',
    filter: ['n > 48'],
  },
  {
    from: '(SELECT *, row_number() OVER (PARTITION BY store ORDER BY id) AS place FROM silver.facts)',
    day: 'day',
    number: 'store',
    text: 'code',
    filter: ["code <> 'c3'"],
  },
]

const SMALL: readonly Source[] = [
  {
    from: 'silver.days',
    day: 'day',
    number: 'week',
    text: 'label',
    filter: [
      'holiday',
      'NOT holiday',
      'week = 2',
      "label = 'd7'",
      "label LIKE 'd1%'",
      'day IS NULL',
      'rate > 30',
      "label = 'none'",
      "coalesce(label, 'd7') = 'd7'",
    ],
  },
  {
    from: 'silver.people',
    day: "DATE '2026-01-01' + born - 1950",
    number: 'person',
    text: 'place',
    filter: ["name = 'n3'", 'born BETWEEN 1960 AND 1963', 'person < 9', "place = 'p001'"],
  },
  {
    from: "(SELECT d.day, d.label, w.week FROM silver.days d JOIN silver.weeks w USING (week) WHERE w.season = 'low')",
    day: 'day',
    number: 'week',
    text: 'label',
    filter: ['week = 3', 'true'],
  },
  {
    from: '(SELECT day, label, week FROM silver.days WHERE holiday UNION ALL SELECT NULL, NULL, 1)',
    day: 'day',
    number: 'week',
    text: 'label',
    filter: ['week < 3'],
  },
  {
    from: "(VALUES (DATE '2026-01-09', 3, 'p003'), (NULL, NULL, NULL), (DATE '2026-02-01', 12, 'd5'))",
    day: 'column1',
    number: 'column2',
    text: 'column3',
    filter: ['column2 > 3', 'true'],
  },
  { from: 'few', day: 'day', number: 'week', text: 'label', filter: ['true', 'week > 2'] },
]

const WITH =
  'WITH early AS (SELECT * FROM silver.days WHERE week < 5), few AS (SELECT * FROM early WHERE rate > 3 AND holiday)'

const kind = fc.constantFrom<'day' | 'number' | 'text'>('day', 'day', 'number', 'text')
const operator = fc.constantFrom('=', '=', '=', '=', '<', '>=', '<>', 'IS NOT DISTINCT FROM')
const column = (alias: string, source: Source, of: 'day' | 'number' | 'text'): string =>
  source[of].replace(/\b(?!DATE|date|text)([a-z]\w*)/g, `${alias}.$1`)
const filterOf = (alias: string, source: Source, n: number): string =>
  (source.filter[n % source.filter.length] ?? 'true').replace(
    /(?<!')\b(?!AND|IS|NOT|NULL|BETWEEN|LIKE|true|coalesce)([a-z]\w*)\b(?!')/g,
    `${alias}.$1`,
  )

/** A condition that ties `l`, or both, with something small. */
const condition = (l: Source, s: Source): fc.Arbitrary<string> =>
  fc.letrec<{ tree: string; leaf: string }>((tie) => ({
    leaf: fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(kind, operator)
          .map(([of, op]) => `${column('l', l, of)} ${op} ${column('s', s, of)}`),
      },
      { weight: 3, arbitrary: fc.nat(20).map((n) => filterOf('s', s, n)) },
      { weight: 2, arbitrary: fc.nat(20).map((n) => filterOf('l', l, n)) },
      fc
        .tuple(kind, fc.constantFrom(...SMALL), fc.nat(20), fc.boolean())
        .map(
          ([of, x, n, not]) =>
            `${column('l', l, of)} ${not ? 'NOT ' : ''}IN (SELECT ${column('x', x, of)} FROM ${x.from} x WHERE ${filterOf('x', x, n)})`,
        ),
      fc
        .tuple(kind, operator, fc.constantFrom(...SMALL), fc.nat(20), fc.boolean())
        .map(
          ([of, op, x, n, not]) =>
            `${not ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${x.from} x WHERE ${column('x', x, of)} ${op} ${column('l', l, of)} AND ${filterOf('x', x, n)})`,
        ),
      fc
        .tuple(kind, operator, fc.constantFrom(...SMALL), fc.nat(20))
        .map(
          ([of, op, x, n]) =>
            `${column('l', l, of)} ${op} (SELECT max(${column('x', x, of)}) FROM ${x.from} x WHERE ${filterOf('x', x, n)})`,
        ),
      kind.map((of) => `${column('s', s, of)} IS NULL`),
      kind.map((of) => `${column('l', l, of)} IS NULL`),
    ),
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      tie('leaf'),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a} AND ${b})`),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a} OR ${b})`),
      tie('tree').map((a) => `NOT (${a})`),
    ),
  })).tree

const query = fc
  .record({
    l: fc.constantFrom(...LARGE),
    s: fc.constantFrom(...SMALL),
    word: fc.constantFrom('JOIN', 'JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'),
    of: kind,
    isTied: fc.integer({ min: 0, max: 3 }),
    isSwapped: fc.boolean(),
    third: fc.constantFrom(
      '',
      '',
      ' LEFT JOIN silver.weeks z ON z.week = s.k',
      ' JOIN silver.weeks z ON z.week = l.k',
      ' RIGHT JOIN silver.weeks z ON z.week = s.k',
      ' FULL JOIN silver.weeks z ON z.week = l.k',
    ),
    isNested: fc.boolean(),
    n: fc.nat(20),
  })
  .chain(({ l, s, word, of, isTied, isSwapped, third, isNested, n }) =>
    fc.tuple(condition(l, s), condition(l, s)).map(([on, where]) => {
      const sides = [`${l.from} l`, `${s.from} s`]
      if (isSwapped) sides.reverse()
      const tie = `${column('l', l, of)} = ${column('s', s, of)}`
      const ons = [
        ...(isTied > 0 ? [tie] : []),
        ...(isTied > 1 ? [filterOf('s', s, n)] : []),
        ...(isTied < 3 ? [on] : []),
      ]
      const other = third.replace(/\b([ls])\.k/, (_, a: string) =>
        a === 'l' ? column('l', l, 'number') : column('s', s, 'number'),
      )
      const from = `${sides[0]} ${word} ${sides[1]} ON ${ons.join(' AND ')}${other}`
      const list = `${column('l', l, 'day')} AS a, ${column('l', l, 'text')} AS b, ${column('s', s, 'number')} AS c, ${column('s', s, 'text')} AS d`
      const counted =
        'count(*), count(a), count(b), count(d), min(a), max(a), min(b), max(b), sum(c), min(d), max(d)'
      return isNested
        ? `${WITH} SELECT ${counted} FROM (SELECT ${list} FROM ${from}) q WHERE ${n % 3 === 0 ? "d LIKE 'd%'" : n % 3 === 1 ? 'c < 5' : 'true'}`
        : `${WITH} SELECT ${counted} FROM (SELECT ${list} FROM ${from} WHERE ${where}) q`
    }),
  )

it('answers are those without', async () => {
  let pruned = 0
  const answer = async (sql: string, setting: 'on' | 'off'): Promise<unknown> => {
    try {
      return await rowsOf(sql, setting)
    } catch (thrown) {
      return (thrown as { readonly code?: string }).code
    }
  }
  await fc.assert(
    fc.asyncProperty(query, async (sql) => {
      const off = await answer(sql, 'off')
      expect(await answer(sql, 'on')).toEqual(off)
      if (typeof off === 'string') return
      const { rows } = await client.query(`EXPLAIN ${sql}`)
      if (rows.some((row) => String(row['QUERY PLAN']).includes('after join keys'))) pruned++
    }),
    { numRuns: RUNS, seed: Number(process.env.LAKEGATE_SKIPPING_SEED ?? 21) },
  )
  // Most random queries leave nothing out; were it none, nothing would have been tested.
  expect(pruned).toBeGreaterThan(RUNS / 10)
}, 600_000)
