/**
 * Goal: the statement inside another is found whatever comments, strings and names stand around it.
 * Method: the text found is parsed again and its tree held against the one the parser has inside.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseStatements, type ParsedStatement } from '../../planner/parse.js'
import { kindOf, type Node } from '../../planner/syntax-tree.js'
import { withoutInto, wrappedStatement } from '../../planner/wrapped-statement.js'

function parsed(sql: string): ParsedStatement {
  const [statement] = parseStatements(sql)
  if (statement === undefined) throw new Error('no statement')
  return statement
}

/** A tree without the places of its nodes in their text. */
function withoutLocations(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutLocations)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !/location|^list_(start|end)$/.test(key))
      .map(([key, child]) => [key, withoutLocations(child)]),
  )
}

function check(sql: string): void {
  const outer = parsed(sql)
  const tree = outer.tree ?? {}
  const inside = (tree[kindOf(tree)] as Node).query
  const inner = wrappedStatement(outer)
  expect(withoutLocations(inner.tree)).toEqual(withoutLocations(inside))
  // Positions are the client's.
  expect(sql.slice(inner.start, inner.start + inner.source.length)).toBe(inner.source)
}

const GAPS = [' ', '\n', ' /* for as ( */ ', ' -- as for (\n', ' /* /* AS */ FOR */ ']

const WRAPPERS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['DECLARE', ['DECLARE', '"for as"', 'CURSOR', 'WITH HOLD', 'FOR'], []],
  ['EXPLAIN', ['EXPLAIN'], []],
  ['EXPLAIN ANALYZE', ['EXPLAIN', 'ANALYSE', 'VERBOSE'], []],
  ['EXPLAIN with options', ['EXPLAIN', '(', 'ANALYZE', 'false', ',', 'FORMAT', 'json', ')'], []],
  ['PREPARE', ['PREPARE', '"as ("', '(', 'int', ',', 'numeric(4,2)', ')', 'AS'], []],
  ['COPY', ['COPY', '('], [')', 'TO', 'STDOUT', '(', 'DELIMITER', "')'", ')']],
  [
    'CREATE VIEW',
    ['CREATE VIEW', 'a.as', '(', '"as"', ')', 'AS'],
    ['WITH', 'LOCAL', 'CHECK OPTION'],
  ],
  ['CREATE VIEW plainly', ['CREATE VIEW', 'ä', 'AS'], []],
  [
    'CREATE TABLE AS',
    ['CREATE TEMP TABLE', '"as"', 'ON COMMIT DROP', 'AS'],
    ['WITH', 'NO', 'DATA'],
  ],
  [
    'CREATE TABLE AS with data',
    ['CREATE TABLE', 'pg_temp.as', '(', 'x', ')', 'AS'],
    ['WITH', 'DATA'],
  ],
  ['CREATE TABLE AS plainly', ['CREATE TABLE', 't', 'AS'], []],
]

const QUERIES = [
  'SELECT 1',
  "SELECT 'for as ( ''' AS as, \"for\" FROM t AS f(\"for\") WHERE 'with data' <> 'é'",
  'SELECT $$ as ) $$ || $x$ for ($x$ AS "as""for"',
  '(SELECT 1 UNION SELECT 2) ORDER BY 1',
  'WITH q AS (SELECT 1 AS a) SELECT q.a FROM q AS z(a)',
  "VALUES (1, E'\\') AS')",
  'SELECT t.with data FROM t',
  'SELECT x AS with FROM y',
  'SELECT (ARRAY[1, 2])[1], (1, 2)',
]

describe('the statement inside', () => {
  describe.each(WRAPPERS)('%s', (_, before, after) => {
    it.each(QUERIES)('is found: %s', (query) => check([...before, query, ...after].join(' ')))
  })

  it('is found with comments anywhere', () => {
    const text = fc
      .tuple(
        fc.constantFrom(...WRAPPERS),
        fc.constantFrom(...QUERIES),
        fc.infiniteStream(fc.constantFrom(...GAPS)),
      )
      .map(([[, before, after], query, gaps]) => {
        const parts = [...before, query, ...after]
        return parts.map((part) => `${part}${String(gaps.next().value)}`).join('')
      })
    fc.assert(fc.property(text, check), { seed: 20261121, numRuns: 300 })
  })

  it('keeps its time travel', () => {
    for (const before of ['EXPLAIN ', 'CREATE VIEW v AS ', 'DECLARE c CURSOR FOR ']) {
      const inner = wrappedStatement(parsed(`${before}SELECT * FROM t VERSION AS OF 3`))
      expect(inner.travels).toHaveLength(1)
      expect(inner.source).toBe('SELECT * FROM t VERSION AS OF 3')
    }
    const found = withoutInto(parsed('SELECT * INTO TEMP u FROM t FOR VERSION AS OF 3'))
    expect(found?.query.travels).toHaveLength(1)
  })
})

describe('SELECT INTO', () => {
  it.each([
    ['SELECT 1 AS a INTO TEMP t', 'SELECT 1 AS a'],
    ['SELECT 1 AS into INTO TEMPORARY TABLE "into" FROM x', 'SELECT 1 AS into FROM x'],
    ['SELECT t.into INTO pg_temp.u FROM t UNION SELECT 2', 'SELECT t.into FROM t UNION SELECT 2'],
    ["SELECT 'é' /* INTO */ INTO /* into */ x -- into\n FROM y", "SELECT 'é' FROM y"],
    [
      'WITH q AS (SELECT 1) SELECT * INTO UNLOGGED z FROM q',
      'WITH q AS (SELECT 1) SELECT * FROM q',
    ],
  ])('%s is %s and a name', (sql, query) => {
    const found = withoutInto(parsed(sql))
    expect(withoutLocations(found?.query.tree)).toEqual(withoutLocations(parsed(query).tree))
  })

  it('is not seen where there is none', () => {
    expect(withoutInto(parsed("SELECT 'INTO' AS into FROM t"))).toBeNull()
  })
})
