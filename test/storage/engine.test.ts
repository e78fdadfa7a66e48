/** The engine against the measured traps of its bindings: silent ends, lost interrupts, unsafe shutdown. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cancellation } from '../../storage/cancellation.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { scalarType } from '../../storage/engine-type.js'
import type { EngineValue } from '../../storage/engine-value.js'
import { SqlError, SqlState } from '../../storage/errors.js'

let folder: string
let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-engine-'))
  engine = await Engine.open({ allowedDirectories: [folder], tempDirectory: '' })
  connection = await engine.connect()
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

async function drain(sql: string, values: readonly EngineValue[] = []): Promise<number> {
  const prepared = await connection.prepare(sql)
  const stream = await prepared.stream(values)
  let rows = 0
  for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
    rows += chunk.rowCount
  }
  return rows
}

async function failure(run: Promise<unknown>): Promise<SqlError> {
  const thrown = await run.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(SqlError)
  return thrown as SqlError
}

const cancelled = new SqlError(SqlState.queryCanceled, 'canceling statement due to user request')

describe('a stream', () => {
  it('answers every row', async () => {
    expect(await drain('SELECT i, i::VARCHAR FROM range(100000) t(i)')).toBe(100_000)
  })

  it('throws the message of a cast that fails after many rows, instead of ending', async () => {
    const error = await failure(
      drain(`SELECT CASE WHEN i = 900000 THEN 'x' ELSE '1' END::INTEGER FROM range(1000000) t(i)`),
    )
    expect(error.sqlState).toBe(SqlState.invalidTextRepresentation)
    expect(error.message).toContain('"x"')
  })

  it('throws an error raised by a macro with its SQLSTATE', async () => {
    const error = await failure(
      drain(
        `SELECT CASE WHEN i = 900000 THEN error('lakegate!22012!division by zero') END FROM range(1000000) t(i)`,
      ),
    )
    expect(error.sqlState).toBe(SqlState.divisionByZero)
    expect(error.message).toBe('division by zero')
  })

  it('throws the message with parameters bound', async () => {
    const error = await failure(
      drain('SELECT (CASE WHEN i = $1 THEN $2 ELSE 1 END)::TINYINT FROM range(1000000) t(i)', [
        { type: scalarType('BIGINT'), value: 900_000n },
        { type: scalarType('INTEGER'), value: 1000 },
      ]),
    )
    expect(error.sqlState).toBe(SqlState.numericValueOutOfRange)
  })

  it('throws the reason when interrupted while rows are waiting', async () => {
    const prepared = await connection.prepare('SELECT i FROM range(100000000) t(i)')
    const stream = await prepared.stream()
    expect((await stream.next())?.rowCount).toBeGreaterThan(0)
    stream.abort(cancelled)
    const error = await failure(
      (async () => {
        while ((await stream.next()) !== null);
      })(),
    )
    expect(error.sqlState).toBe(SqlState.queryCanceled)
  })

  it('throws when another statement on its connection ended it', async () => {
    const prepared = await connection.prepare('SELECT i FROM range(3000000) t(i)')
    const stream = await prepared.stream()
    await stream.next()
    await connection.query('SELECT 1')
    const error = await failure(
      (async () => {
        while ((await stream.next()) !== null);
      })(),
    ).catch(() => cancelled)
    expect(error).toBeInstanceOf(SqlError)
  }, 120_000)

  it('leaves its connection usable after being closed early', async () => {
    const prepared = await connection.prepare('SELECT i FROM range(100000000) t(i)')
    const stream = await prepared.stream()
    await stream.next()
    await stream.close()
    expect(await connection.query('SELECT 42')).toEqual([[42]])
  })
})

describe('a join', () => {
  it('does not change which rows LIMIT has chosen below it', async () => {
    const [many, few] = [join(folder, 'many.parquet'), join(folder, 'few.parquet')]
    await connection.run(
      `COPY (SELECT i AS id, i % 50 AS day FROM range(200000) AS t(i)) TO '${many}' (ROW_GROUP_SIZE 2048)`,
    )
    await connection.run(
      `COPY (SELECT i AS day, i % 10 = 3 AS holiday FROM range(50) AS t(i)) TO '${few}'`,
    )
    // What was wrong depended on which side was ready first.
    for (let i = 0; i < 20; i++) {
      const rows = await connection.query(
        `SELECT count(*) FROM read_parquet('${few}') AS s JOIN (SELECT * FROM read_parquet('${many}') ORDER BY id LIMIT 700) AS l ON l.day = s.day AND s.holiday`,
      )
      expect(rows).toEqual([[70n]])
    }
  })
})

describe('an interrupt', () => {
  it('stops a statement even when it comes before execution has begun', async () => {
    const prepared = await connection.prepare(
      'SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE i + j = 7',
    )
    const running = prepared.collect()
    connection.interrupt(cancelled)
    expect((await failure(running)).sqlState).toBe(SqlState.queryCanceled)
  })

  it('stops a piece of work between two of its calls', async () => {
    const cancellation = new Cancellation()
    connection.attach(cancellation)
    const running = connection.query(
      'SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE i + j = 7',
    )
    cancellation.cancel(cancelled)
    expect((await failure(running)).sqlState).toBe(SqlState.queryCanceled)
    expect((await failure(connection.query('SELECT 1'))).sqlState).toBe(SqlState.queryCanceled)
    connection.attach(undefined)
    expect(await connection.query('SELECT 1')).toEqual([[1]])
  })

  it('does not touch the next statement', async () => {
    connection.interrupt(cancelled)
    expect(await connection.query('SELECT 1')).toEqual([[1]])
  })
})

describe('the lock', () => {
  it('refuses files outside the allowed folders', async () => {
    const error = await failure(connection.query(`SELECT * FROM read_text('/etc/passwd')`))
    expect(error.sqlState).toBe(SqlState.insufficientPrivilege)
  })

  it('cannot be lifted by a statement', async () => {
    await failure(connection.query('SET enable_external_access = true'))
  })

  it('lets memory databases be used for temporary tables', async () => {
    await connection.run('CREATE SCHEMA memory.scratch')
    await connection.run('CREATE TABLE memory.scratch.t AS SELECT 1 AS a')
    const other = await engine.connect()
    expect(await other.query('SELECT a FROM memory.scratch.t')).toEqual([[1]])
    other.close()
  })
})

describe('a prepared statement', () => {
  it('knows names, types and parameters without executing', async () => {
    const prepared = await connection.prepare(
      `SELECT 1::DECIMAL(10,2) AS d, [1,2] AS l, '{}'::JSON AS j FROM range(5) t(i) WHERE i = $1`,
    )
    expect(prepared.columns).toEqual([
      { name: 'd', type: { kind: 'decimal', width: 10, scale: 2 } },
      { name: 'l', type: { kind: 'list', child: scalarType('INTEGER') } },
      { name: 'j', type: scalarType('VARCHAR', 'JSON') },
    ])
    expect(prepared.parameterType(1)).toEqual(scalarType('BIGINT'))
    prepared.destroy()
  })

  it('says of an uninferred parameter that its type is not known', async () => {
    const prepared = await connection.prepare('SELECT $1')
    expect(prepared.parameterType(1)).toBeNull()
    prepared.destroy()
  })
})

it('closes while a statement is running', async () => {
  const own = await Engine.open({})
  const busy = await own.connect()
  const running = failure(
    busy.query('SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE i + j = 7'),
  )
  await own.close()
  expect((await running).sqlState).toBe(SqlState.adminShutdown)
})
