/**
 * Goal: a disk that is full or read-only costs the statement that needs it, never a row.
 *
 * Method: a lake on a small file system of its own, which root may mount; elsewhere the tests are
 * skipped. It is filled by INSERTs through a real gateway, freed, and mounted read-only.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { connectTo, type GatewayProcess, startGatewayProcess } from '../support/gateway-process.js'
import { lintTable } from '../support/log-linter.js'

const lake = mkdtempSync(join(tmpdir(), 'lakegate-full-'))

function mount(...options: string[]): boolean {
  try {
    execFileSync('mount', [...options, lake], { stdio: 'pipe' })
    return true
  } catch {
    return false
  }
}

const isMounted = mount('-t', 'tmpfs', '-o', 'size=6m', 'tmpfs')
if (!isMounted) console.info('skipped: no file system can be mounted here')

afterAll(() => {
  if (isMounted) execFileSync('umount', ['-l', lake])
  rmSync(lake, { recursive: true, force: true })
})

describe.skipIf(!isMounted)('a lake', () => {
  let gateway: GatewayProcess
  let client: pg.Client

  beforeAll(async () => {
    gateway = await startGatewayProcess(lake)
    client = await connectTo(gateway)
  })

  afterAll(async () => {
    await client.end()
    gateway.child.kill('SIGTERM')
    await gateway.ended
  })

  const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
    work.then(
      () => undefined,
      (error: { readonly code?: string }) => error.code,
    )

  async function countOf(): Promise<number> {
    const { rows } = await client.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM silver.filled',
    )
    return rows[0]?.n ?? -1
  }

  /** Some 200 KB that do not compress. */
  const big =
    "INSERT INTO silver.filled SELECT $1::int, string_agg(md5(($1::int * 10000 + i)::text), '') FROM generate_series(1, 6000) AS g(i)"

  it('on a full disk says so, keeps what it acknowledged, and goes on when there is room', async () => {
    writeFileSync(join(lake, 'ballast'), Buffer.alloc(1024 * 1024))
    await client.query('CREATE TABLE silver.filled (n int, s text)')
    let acknowledged = 0
    let code: string | undefined
    while (code === undefined && acknowledged < 100) {
      code = await codeOf(client.query(big, [acknowledged]))
      if (code === undefined) acknowledged++
    }
    expect(code).toBe('53100')
    expect(acknowledged).toBeGreaterThan(2)
    expect(await countOf()).toBe(acknowledged)
    // Again and again: nothing of a failed attempt stays and takes what is left.
    for (let i = 0; i < 5; i++) expect(await codeOf(client.query(big, [1000 + i]))).toBe('53100')
    expect(await countOf()).toBe(acknowledged)
    rmSync(join(lake, 'ballast'))
    await client.query(big, [2000])
    expect(await countOf()).toBe(acknowledged + 1)
    const engine = await Engine.open({})
    const { faults } = await lintTable(lake, 'silver/filled', await engine.connect())
    await engine.close()
    expect(faults.filter((fault) => !/^(staging folder|odd file \.)/.test(fault))).toEqual([])
  }, 120_000)

  it('on a disk mounted read-only is read, and refuses to be written', async () => {
    const before = await countOf()
    expect(mount('-o', 'remount,ro')).toBe(true)
    for (const sql of [
      "INSERT INTO silver.filled VALUES (1, 'x')",
      'DELETE FROM silver.filled WHERE n = 1',
      'CREATE TABLE silver.other (n int)',
      'CREATE VIEW silver.seen AS SELECT 1 AS n',
    ]) {
      expect([sql, await codeOf(client.query(sql))]).toEqual([sql, '58030'])
    }
    expect(await countOf()).toBe(before)
    expect(mount('-o', 'remount,rw')).toBe(true)
    await client.query("INSERT INTO silver.filled VALUES (1, 'x')")
    expect(await countOf()).toBe(before + 1)
  }, 60_000)
})
