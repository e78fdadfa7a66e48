/** Tables that other engines wrote, with the rows they are known to hold, read by us. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openChangeFeed } from '../../storage/change-feed.js'
import { changeRelation } from '../../storage/change-relation.js'
import { Engine, type EngineConnection, quoteLiteral } from '../../storage/engine.js'
import { LocalStore } from '../../storage/local-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))
const present = existsSync(packs)

/** Tables with expected rows that are refused or differ, each with its reason. */
const KNOWN: Readonly<Record<string, string>> = {
  'kernel-rs-golden/data-reader-partition-values/delta':
    'its zone-less partition timestamps are in the time zone of the writer, which no reader knows',
}

/** Versions that are not what their commits say, each with its reason. */
const ODD_VERSIONS: Readonly<Record<string, string>> = {
  'kernel-rs-data/cdf-table-simple v2': 'a commit made by hand, of changed rows alone',
  'kernel-rs-data/compacted-log-files-table v5': 'log compactions that are not reconciled',
  'kernel-rs-data/compacted-log-files-table v10': 'the same',
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

  it('has changes that lead from each version to the next', async () => {
    const refused = new Map<string, number>()
    const differing: string[] = []
    let versions = 0
    let recorded = 0
    for (const table of tablesUnder(folder)) {
      const path = relative(folder, table)
      const at = (version: number | null): Promise<Snapshot | null> =>
        loadSnapshot(store, connection, path, version).catch(() => null)
      const newest = (await at(null))?.version ?? 0
      for (let version = Math.max(1, newest - 10); version <= newest; version++) {
        try {
          const [before, after] = [await at(version - 1), await at(version)]
          if (before === null || after === null) continue
          const feed = await openChangeFeed(store, after, version, version, at)
          const changes = await changeRelation(
            store,
            connection,
            planScan(feed.snapshot, UNKNOWN),
            feed,
          )
          const columns = after.schema.fields.map((field) => field.name)
          const rowsAt = async (snapshot: Snapshot): Promise<string[]> => {
            const shown = { ...after, files: snapshot.files }
            return rowsOf(await scanRelation(store, connection, planScan(shown, UNKNOWN)), columns)
          }
          const signed = async (types: string): Promise<string[]> =>
            rowsOf(`(SELECT * FROM ${changes} AS c WHERE _change_type IN (${types}))`, columns)
          const gone = await signed("'delete', 'update_preimage'")
          const came = await signed("'insert', 'update_postimage'")
          const wanted = [...(await rowsAt(before)), ...came].sort()
          const found = [...(await rowsAt(after)), ...gone].sort()
          const isOdd = `${path} v${version}` in ODD_VERSIONS
          if (isOdd !== (JSON.stringify(wanted) !== JSON.stringify(found))) {
            differing.push(`${path} v${version}: ${wanted.length} rows instead of ${found.length}`)
          }
          versions++
          if (feed.entries.some(({ source }) => source === 'recorded')) recorded++
        } catch (thrown) {
          const { sqlState = 'bug', message } = thrown as { sqlState?: string; message: string }
          // Of some tables the packs hold no deletion vectors.
          const isGone = message.includes('the file does not exist')
          if (!/^(0A000|42501|55000|58030)$/.test(sqlState) && !isGone) {
            differing.push(`${path} v${version}: ${message}`)
          }
          refused.set(sqlState, (refused.get(sqlState) ?? 0) + 1)
        }
      }
    }
    console.info(
      `corpora: changes of ${versions} versions add up, ${recorded} of them recorded, refused:`,
      Object.fromEntries(refused),
    )
    expect(differing).toEqual([])
    expect(versions).toBeGreaterThan(150)
    expect(recorded).toBeGreaterThan(10)
  }, 240_000)
})
