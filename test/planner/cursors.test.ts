/** Cursors, prepared statements and names that are too long. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, outcome, script } from '../support/session-script.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
})

afterAll(async () => {
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

const run = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('a cursor', () => {
  run(
    'goes forward in every way there is',
    `BEGIN
     DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 20) g ORDER BY g
     MOVE 0 FROM c -> MOVE 0
     FETCH 0 FROM c -> FETCH 0
     FETCH FIRST FROM c -> 1
     MOVE 0 FROM c -> MOVE 1
     FETCH c -> 2
     FETCH NEXT FROM c -> 3
     FETCH 2 FROM c -> 4|5
     FETCH FORWARD FROM c -> 6
     FETCH FORWARD 2 IN c -> 7|8
     FETCH ABSOLUTE 10 FROM c -> 10
     FETCH RELATIVE 2 FROM c -> 12
     MOVE RELATIVE 1 FROM c -> MOVE 1
     MOVE ABSOLUTE 15 FROM c -> MOVE 1
     MOVE FORWARD 2 FROM c -> MOVE 2
     FETCH BACKWARD -1 FROM c -> 18
     FETCH FORWARD ALL FROM c -> 19|20
     FETCH ALL FROM c -> FETCH 0
     MOVE ALL FROM c -> MOVE 0
     FETCH RELATIVE 0 FROM c -> FETCH 0
     FETCH ABSOLUTE 22 FROM c -> FETCH 0
     CLOSE c
     FETCH c -> !34000
     COMMIT -> ROLLBACK`,
  )

  it.each([
    'FETCH FIRST FROM c',
    'FETCH LAST FROM c',
    'FETCH PRIOR FROM c',
    'FETCH BACKWARD 2 FROM c',
    'FETCH BACKWARD ALL FROM c',
    'FETCH FORWARD -1 FROM c',
    'FETCH -1 FROM c',
    'FETCH RELATIVE -1 FROM c',
    'FETCH RELATIVE 0 FROM c',
    'FETCH ABSOLUTE -1 FROM c',
    'FETCH ABSOLUTE 2 FROM c',
    'MOVE ABSOLUTE 0 FROM c',
    'MOVE BACKWARD FROM c',
  ])('refuses to go back: %s', async (sql) => {
    const session = await connect(gateway)
    await session.client.query('BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 9) AS g')
    await session.client.query('FETCH 3 FROM c')
    const error: unknown = await session.client.query(sql).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: '55000',
      message: 'cursor can only scan forward',
      hint: 'Declare it with SCROLL option to enable backward scan.',
    })
    await session.client.end()
  })

  run(
    'ends with its block unless it is to be held',
    `DECLARE c CURSOR FOR SELECT 1 -> !25P01
     BEGIN
     DECLARE n CURSOR FOR SELECT 1
     DECLARE n CURSOR FOR SELECT 2 -> !42P03
     ROLLBACK
     BEGIN
     DECLARE n CURSOR FOR SELECT generate_series(1, 3) AS g
     DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3) AS g
     FETCH h -> 1
     COMMIT
     FETCH n -> !34000
     FETCH h -> 2
     BEGIN
     FETCH h -> 3
     ROLLBACK
     FETCH h -> FETCH 0
     CLOSE h
     BEGIN
     DECLARE h CURSOR WITH HOLD FOR SELECT 1
     ROLLBACK
     FETCH h -> !34000
     DECLARE h CURSOR WITH HOLD FOR SELECT 1 AS one
     CLOSE ALL
     FETCH h -> !34000
     BEGIN
     DECLARE s SCROLL CURSOR FOR SELECT 1 -> !0A000
     ROLLBACK`,
  )

  run(
    'declared after a savepoint ends when the block goes back to it',
    `BEGIN
     DECLARE n CURSOR FOR SELECT generate_series(1, 3) AS g
     SAVEPOINT s
     DECLARE m CURSOR FOR SELECT 1
     FETCH n -> 1
     ROLLBACK TO s
     FETCH m -> !34000
     ROLLBACK TO s
     FETCH n -> 2
     COMMIT`,
  )

  run(
    'reads system catalogs too',
    `BEGIN
     DECLARE p CURSOR FOR SELECT relname FROM pg_class WHERE relname IN ('pg_class', 'pg_type') ORDER BY 1
     FETCH ALL FROM p -> pg_class|pg_type
     COMMIT`,
  )

  it('that fails half-way cannot be read further', async () => {
    const session = await connect(gateway)
    await session.client.query('BEGIN')
    await session.client.query(
      "DECLARE c CURSOR FOR SELECT (CASE WHEN i = 2900000 THEN 'x' ELSE i::text END)::int FROM generate_series(1, 3000000) t(i)",
    )
    await session.client.query('SAVEPOINT s')
    expect(await outcome(session, 'MOVE ALL FROM c')).toBe('!22P02')
    await session.client.query('ROLLBACK TO s')
    expect(await outcome(session, 'FETCH c')).toBe('!55000')
    await session.client.end()
  })
})

describe('a prepared statement', () => {
  run(
    'is executed with any expressions',
    `PREPARE p AS SELECT 1 AS a
     PREPARE p AS SELECT 2 -> !42P05
     EXECUTE p -> 1
     EXECUTE p(1) -> 1
     DEALLOCATE p
     EXECUTE p -> !26000
     DEALLOCATE p -> !26000
     PREPARE "as" (int, text) AS /* as */ SELECT $1 AS n, $2 AS t
     EXECUTE "as"(1 + 1, 'a' || 'b)') -> 2,ab)
     EXECUTE "as"('7', 8) -> 7,8
     EXECUTE "as"(1) -> !42601
     EXECUTE "as"('x', 'y') -> !22P02
     DEALLOCATE ALL
     EXECUTE "as"(1, 'x') -> !26000
     CREATE TEMP TABLE t (a int)
     PREPARE i(int) AS INSERT INTO t VALUES ($1) RETURNING a
     EXECUTE i(5) -> 5
     EXPLAIN EXECUTE i(5) -> !0A000
     SELECT * FROM t -> 5`,
  )
})

describe('a name of more than 63 bytes', () => {
  const long = 'n'.repeat(70)
  run(
    'is cut, and the client is told',
    `PREPARE ${long} AS SELECT 1 -> PREPARE ~NOTICE 42622
     EXECUTE ${long.slice(0, 63)} -> 1
     CREATE TEMP TABLE "${'é'.repeat(40)}" (a int) -> CREATE ~NOTICE 42622
     SELECT count(*) FROM ${'é'.repeat(31)} -> 0
     BEGIN
     SAVEPOINT ${long} -> SAVEPOINT ~NOTICE 42622
     ROLLBACK TO ${long}b -> ROLLBACK ~NOTICE 42622
     DECLARE ${long} CURSOR FOR SELECT '${long}' AS x -> DECLARE ~NOTICE 42622
     FETCH ${long.slice(0, 63)} -> ${long}
     COMMIT`,
  )
})
