/** Tables that other engines wrote, with the rows they are known to hold, read by us. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection, quoteLiteral } from '../../storage/engine.js'
import { LocalStore } from '../../storage/local-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { loadSnapshot } from '../../storage/snapshot.js'

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))
const present = existsSync(packs)

/** Tables with expected rows that are refused or differ, each with its reason. */
const KNOWN: Readonly<Record<string, string>> = {
  'kernel-rs-golden/data-reader-partition-values/delta':
    'its zone-less partition timestamps are in the time zone of the writer, which no reader knows',
}

let folder: string
let engine: Engine
let connection: EngineConnection
let store: LocalStore

beforeAll(async () => {
  if (!present) {
    console.warn('skipped: the corpora of other engines are not beside this checkout')
    return
  }
  folder = mkdtempSync(join(tmpdir(), 'lakegate-corpora-'))
  for (const pack of readdirSync(packs).filter((name) => name.endsWith('.tar.zst'))) {
    execFileSync('tar', ['--zstd', '-xf', join(packs, pack), '-C', folder])
  }
  engine = await Engine.open({})
  connection = await engine.connect()
  await connection.run("SET TimeZone = 'America/New_York'")
  store = new LocalStore(folder)
}, 120_000)

afterAll(async () => {
  await engine?.close()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

function tablesUnder(root: string): string[] {
  const found: string[] = []
  const visit = (path: string): void => {
    if (existsSync(join(path, '_delta_log'))) found.push(path)
    for (const name of readdirSync(path)) {
      const child = join(path, name)
      if (name !== '_delta_log' && statSync(child).isDirectory()) visit(child)
    }
  }
  visit(root)
  return found
}

interface Expected {
  readonly table: string
  readonly version: number | null
  readonly parquet: string
}

function expectedTables(): Expected[] {
  const expected: Expected[] = []
  for (const table of tablesUnder(folder)) {
    const parent = join(table, '..')
    const dat = join(parent, 'expected')
    if (existsSync(dat)) {
      for (const name of readdirSync(dat)) {
        const rows = join(dat, name, 'table_content')
        if (!existsSync(rows)) continue
        const version = /^v(\d+)$/.exec(name)
        expected.push({
          table,
          version: version === null ? null : Number(version[1]),
          parquet: rows,
        })
      }
      const flat = readdirSync(dat).some((name) => name.endsWith('.parquet'))
      if (flat) expected.push({ table, version: null, parquet: dat })
    }
  }
  return expected
}

function parquetFiles(path: string): string[] {
  return readdirSync(path, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.parquet') && !/(^|\/)[._]/.test(name))
    .map((name) => join(path, name))
}

async function rowsOf(relation: string, columns: readonly string[]): Promise<string[]> {
  const list = columns.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ')
  const rows = await connection.query(`SELECT ${list} FROM ${relation} AS t`)
  return rows.map((row) => JSON.stringify(row.map(plain))).sort()
}

/** A value in a form in which what both sides mean is equal: maps sorted, bytes as numbers. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(value)
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) {
    const items = value.map(plain)
    const isMap =
      value.length > 0 && value.every((item) => Array.isArray(item) && item.length === 2)
    return isMap ? items.map((item) => JSON.stringify(item)).sort() : items
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).map(([key, item]) => [key, plain(item)])
  }
  return value
}

describe.skipIf(!present)('a table another engine wrote', () => {
  it('holds the expected rows', async () => {
    const differing: string[] = []
    let same = 0
    for (const { table, version, parquet } of expectedTables()) {
      const path = relative(folder, table)
      const name = version === null ? path : `${path} v${version}`
      try {
        const snapshot = await loadSnapshot(store, connection, path, version)
        if (snapshot === null) throw new Error('no snapshot')
        const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
        const columns = snapshot.schema.fields.map((field) => field.name)
        const actual = await rowsOf(relation, columns)
        const files = parquetFiles(parquet)
        const wanted =
          files.length === 0
            ? []
            : await (async () => {
                // Expected timestamps are INT96: read as wall clock, meant as UTC.
                const list = files.map(quoteLiteral).join(', ')
                const source = `read_parquet([${list}], hive_partitioning = false, union_by_name = true)`
                return rowsOf(source, columns)
              })()
        if (JSON.stringify(actual) === JSON.stringify(wanted)) same++
        else
          differing.push(
            `${name}: ${actual.length} rows ${actual[0]?.slice(0, 300)} instead of ${wanted.length} ${wanted[0]?.slice(0, 300)}`,
          )
      } catch (thrown) {
        differing.push(
          `${name}: ${thrown instanceof Error ? thrown.message.slice(0, 200) : thrown}`,
        )
      }
    }
    const unexplained = differing.filter(
      (line) => !Object.keys(KNOWN).some((key) => line.startsWith(`${key}:`)),
    )
    console.info(
      `corpora: ${same} tables and versions equal, ${differing.length - unexplained.length} known, ${unexplained.length} unexplained`,
    )
    expect(unexplained).toEqual([])
    expect(same).toBeGreaterThan(80)
  }, 120_000)

  it('is loaded or refused with a reason, never half read', async () => {
    const counts = new Map<string, number>()
    for (const table of tablesUnder(folder)) {
      const path = relative(folder, table)
      let outcome: string
      try {
        const snapshot = await loadSnapshot(store, connection, path, null)
        outcome = snapshot === null ? 'no log' : 'loaded'
      } catch (thrown) {
        const { sqlState, message } = thrown as { sqlState?: string; message: string }
        expect(sqlState, `${path}: ${message}`).toMatch(/^(0A000|XX001)$/)
        outcome = sqlState ?? 'failed'
      }
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
    console.info('corpora snapshots:', Object.fromEntries(counts))
    expect(counts.get('loaded')).toBeGreaterThan(150)
  }, 120_000)
})
