/**
 * Goal: COPY FROM takes files, Parquet too, from where it may and from nowhere else.
 * Method: a directory that is set aside, files in it and around it, and links between them.
 */

import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { copyIn } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'

const work = realpathSync(mkdtempSync(join(tmpdir(), 'lakegate-copy-files-')))
const inbox = join(work, 'inbox')

let gateway: TestGateway
let client: pg.Client

beforeAll(async () => {
  mkdirSync(join(inbox, 'deep/2026'), { recursive: true })
  mkdirSync(join(work, 'inbox-not'))
  mkdirSync(join(work, 'secret'))
  writeFileSync(join(inbox, 'a.csv'), 'a,b\n1,x\n')
  writeFileSync(join(inbox, 'b.csv'), 'a,b\n2,y\n')
  writeFileSync(join(inbox, '.hidden.csv'), 'a,b\n9,z\n')
  writeFileSync(join(inbox, 'odd[1].csv'), '5,odd\n')
  writeFileSync(join(inbox, 'deep/2026/c.csv'), 'a,b\n3,z\n')
  writeFileSync(join(inbox, 'bad.csv'), 'a,b\n1,x\nnope,y\n')
  writeFileSync(join(work, 'secret/s.csv'), '7,secret\n')
  writeFileSync(join(work, 'inbox-not/n.csv'), '8,no\n')
  symlinkSync(join(work, 'secret/s.csv'), join(inbox, 'link.csv'))
  symlinkSync(join(work, 'secret'), join(inbox, 'folder'))
  symlinkSync(join(inbox, 'a.csv'), join(inbox, 'inner.csv'))
  execFileSync('mkfifo', [join(inbox, 'pipe')])
  const engine = await Engine.open({})
  const connection = await engine.connect()
  const write = (name: string, sql: string): Promise<void> =>
    connection.run(`COPY (${sql}) TO '${join(inbox, name)}' (FORMAT parquet)`)
  await write('p1.parquet', "SELECT i AS a, 'row ' || i AS b FROM range(5000) r(i)")
  await write('p2.parquet', "SELECT 'more' AS b, 7::SMALLINT AS a")
  await write('text.parquet', "SELECT 'one' AS a, 'x' AS b")
  await write('wide.parquet', "SELECT 1 AS a, 'x' AS b, 2 AS nope")
  await write('big.parquet', "SELECT 3000000000 AS a, 'x' AS b")
  await write('only-a.parquet', 'SELECT 4 AS a')
  await write('null.parquet', "SELECT NULL::INTEGER AS a, 'x' AS b")
  await engine.close()
  gateway = await startGateway({ copyDirectories: [inbox] })
  client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
})

afterAll(async () => {
  await client?.end()
  await gateway?.close()
  rmSync(work, { recursive: true, force: true })
  expect(gateway.bugs).toEqual([])
})

let next = 1

async function newTable(columns = 'a int, b text'): Promise<string> {
  const table = `silver.f${next++}`
  await client.query(`CREATE TABLE ${table} (${columns})`)
  return table
}

async function rowsOf(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

/** The tag of a COPY from that file and the rows it left, or its error. */
async function taken(path: string, options: string, columns?: string): Promise<unknown> {
  const table = await newTable(columns)
  try {
    const { rowCount } = await client.query(`COPY ${table} FROM '${path}' ${options}`)
    return [rowCount, ...(await rowsOf(`SELECT * FROM ${table} ORDER BY 1, 2`))]
  } catch (thrown) {
    const { code, message, where } = thrown as pg.DatabaseError
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
    return where === undefined ? `${code} ${message}` : `${code} ${where.replace(/ f\d+/, ' t')}`
  }
}

describe('COPY FROM a file', () => {
  it('takes one file', async () => {
    expect(await taken(join(inbox, 'a.csv'), '(FORMAT csv, HEADER)')).toEqual([1, [1, 'x']])
  })

  it('takes all files of a pattern, each with its header, in one version', async () => {
    expect(await taken(join(inbox, '[ab].csv'), '(FORMAT csv, HEADER match)')).toEqual([
      2,
      [1, 'x'],
      [2, 'y'],
    ])
    expect(await taken(join(inbox, 'd*/20??/*.csv'), '(FORMAT csv, HEADER)')).toEqual([1, [3, 'z']])
    expect(await taken(join(inbox, '.hid*'), '(FORMAT csv, HEADER)')).toEqual([1, [9, 'z']])
    expect(await taken(join(inbox, 'odd[[]1].csv'), '(FORMAT csv)')).toEqual([1, [5, 'odd']])
  })

  it('tells the line of the file that is wrong, and takes nothing', async () => {
    expect(await taken(join(inbox, '[ab]*.csv'), '(FORMAT csv, HEADER)')).toBe(
      '22P02 COPY t, line 3, column a: "nope"',
    )
  })

  it('follows links inside of the directory', async () => {
    expect(await taken(join(inbox, 'inner.csv'), '(FORMAT csv, HEADER)')).toEqual([1, [1, 'x']])
  })

  const refused: readonly (readonly [string, string])[] = [
    ['link.csv', '42501'],
    ['folder/s.csv', '42501'],
    ['folder/*.csv', '42501'],
    ['l*.csv', '42501'],
    ['../secret/s.csv', '42501'],
    ['../inbox-not/n.csv', '42501'],
    ['../secret/nowhere.csv', '42501'],
    ['deep/../../secret/s.csv', '42501'],
    ['.', '42501'],
    ['..', '42501'],
    ['nowhere.csv', '58P01'],
    ['no*such', '58P01'],
    ['a.csv/x', '58P01'],
    ['deep', '42809'],
    ['pipe', '42809'],
  ]
  it.each(refused)('of %s gives %s', async (name, code) => {
    expect(String(await taken(`${inbox}/${name}`, '(FORMAT csv)')).slice(0, 5)).toBe(code)
  })

  it('is refused for relative paths', async () => {
    expect(await taken('a.csv', '(FORMAT csv)')).toContain('42602')
  })
})

describe('COPY FROM Parquet', () => {
  it('takes files, columns by name, in one version', async () => {
    const table = await newTable()
    const { rowCount } = await client.query(
      `COPY ${table} FROM '${inbox}/p?.parquet' (FORMAT parquet)`,
    )
    expect(rowCount).toBe(5001)
    expect(await rowsOf(`SELECT count(*)::int, sum(a)::int FROM ${table}`)).toEqual([
      [5001, 12_497_507],
    ])
    expect(await rowsOf(`SELECT b FROM ${table} VERSION AS OF 1 WHERE a = 7 ORDER BY b`)).toEqual([
      ['more'],
      ['row 7'],
    ])
  })

  it('takes a file from the client, cut anywhere', async () => {
    const table = await newTable()
    const bytes = readFileSync(join(inbox, 'p1.parquet'))
    const chunks: Uint8Array[] = []
    for (let at = 0; at < bytes.length; at += 1000) chunks.push(bytes.subarray(at, at + 1000))
    const sql = `COPY ${table} FROM STDIN (FORMAT parquet) WHERE a >= 4990`
    expect(await copyIn(client, sql, chunks)).toEqual({ tag: 'COPY 10' })
    expect(await rowsOf(`SELECT min(a), max(b) FROM ${table}`)).toEqual([[4990, 'row 4999']])
  })

  it('fills columns that the file has not with their defaults', async () => {
    expect(
      await taken(`${inbox}/only-a.parquet`, '(FORMAT parquet)', "a bigint, b text DEFAULT 'd'"),
    ).toEqual([1, ['4', 'd']])
  })

  it('fills a temporary table', async () => {
    await client.query('CREATE TEMP TABLE tp (b text, a int)')
    await client.query(`COPY tp FROM '${inbox}/p2.parquet' (FORMAT parquet)`)
    expect(await rowsOf('SELECT * FROM tp')).toEqual([['more', 7]])
  })

  const refused: readonly (readonly [file: string, options: string, outcome: string])[] = [
    ['text.parquet', '', '42804'],
    ['wide.parquet', '', '22P04'],
    ['big.parquet', '', '22003'],
    ['a.csv', '', '22P04'],
    ['p1.parquet', ', HEADER', '42601'],
    ['p1.parquet', ', ON_ERROR ignore', '42601'],
  ]
  it.each(refused)('of %s%s gives %s', async (file, options, code) => {
    const outcome = await taken(`${inbox}/${file}`, `(FORMAT parquet${options})`)
    expect(String(outcome).slice(0, 5)).toBe(code)
  })

  it('holds nulls and missing columns against the table', async () => {
    const table = await newTable('a int NOT NULL, b text')
    const copy = (file: string, list = ''): Promise<unknown> =>
      client
        .query(`COPY ${table} ${list} FROM '${inbox}/${file}' (FORMAT parquet)`)
        .catch(({ code }: { readonly code: string }) => code)
    expect(await copy('null.parquet')).toBe('23502')
    expect(await copy('only-a.parquet', '(a, b)')).toBe('22P04')
  })

  it('is no Parquet when it is empty, cut off or garbage, and leaves nothing', async () => {
    const table = await newTable()
    const whole = readFileSync(join(inbox, 'p1.parquet'))
    const sql = `COPY ${table} FROM STDIN (FORMAT parquet)`
    for (const bytes of [Buffer.alloc(0), whole.subarray(0, -3), Buffer.from('PAR1garbagePAR1')]) {
      expect(await copyIn(client, sql, [bytes])).toMatchObject({ code: '22P04' })
    }
    const names = readdirSync(join(gateway.lake, table.replace('.', '/')))
    expect(names.filter((name) => name !== '_delta_log')).toEqual([])
  })
})
