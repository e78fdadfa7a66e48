/** Tables that Spark and others wrote, appended to by us: their rows stay, ours come back, the log stays true. */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metadataRecord, protocolRecord } from '../../storage/action-writer.js'
import { writeCheckpoint } from '../../storage/checkpoint-writer.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { maintainLog } from '../../storage/log-maintenance.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { liveFiles, loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { Transaction } from '../../storage/transaction.js'

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))
const present = existsSync(packs)

let folder: string
let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  if (!present) {
    console.warn('skipped: the corpora of other engines are not beside this checkout')
    return
  }
  folder = mkdtempSync(join(tmpdir(), 'lakegate-append-'))
  for (const pack of readdirSync(packs).filter((name) => name.endsWith('.tar.zst'))) {
    execFileSync('tar', ['--zstd', '-xf', join(packs, pack), '-C', folder])
  }
  engine = await Engine.open({})
  connection = await engine.connect()
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

/** How many rows there are, and the sum of their hashes: equal for equal bags of rows. */
async function digest(store: LocalStore, snapshot: Snapshot): Promise<readonly [bigint, bigint]> {
  const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
  const [row] = await connection.query(
    `SELECT count(*), coalesce(sum((hash(t) >> 8)::HUGEINT), 0)::HUGEINT FROM ${relation} AS t`,
  )
  return [row?.[0] as bigint, row?.[1] as bigint]
}

/** Why an append cannot be tried: the pack lacks files, or the table is one we do not write. */
async function tryAppend(store: LocalStore, path: string): Promise<string> {
  const snapshot = await loadSnapshot(store, connection, path, null)
  if (snapshot === null) return 'no log'
  let before: readonly [bigint, bigint]
  try {
    before = await digest(store, snapshot)
  } catch {
    return 'its files are not all there'
  }
  const transaction = await Transaction.begin(store, snapshot)
  // Its own rows once more, or one of nulls where it has none.
  const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
  if (before[0] === 0n && snapshot.schema.fields.some((field) => !field.nullable)) {
    return 'no rows to copy'
  }
  const nulls = snapshot.schema.fields.map(
    (field) => `NULL AS "${field.name.replaceAll('"', '""')}"`,
  )
  const query = before[0] === 0n ? `SELECT ${nulls.join(', ')}` : `SELECT * FROM ${relation} AS t`
  const written = await writeDataFiles(store, connection, snapshot, { query })
  transaction.add(written.files)
  const result = await transaction.commit({ operation: 'WRITE' })
  if (result.kind !== 'committed') return result.reason
  const { failures } = await maintainLog(store, engine, transaction)
  if (failures.length > 0) throw failures[0]
  const after = await loadSnapshot(store, connection, path, null)
  if (after === null) throw new Error('the table is gone')
  const expected = before[0] === 0n ? await digest(store, after) : [before[0] * 2n, before[1] * 2n]
  expect(await digest(store, after), path).toEqual(expected)
  expect(written.rowCount, path).toBe(Math.max(1, Number(before[0])))
  expect(after.version, path).toBe(snapshot.version + 1)
  expect(protocolRecord(after.protocol), path).toEqual(protocolRecord(snapshot.protocol))
  expect(metadataRecord(after.metadata), path).toEqual(metadataRecord(snapshot.metadata))
  // And the same again through a checkpoint of ours.
  await writeCheckpoint(store, connection, after)
  const checkpointed = await loadSnapshot(store, connection, path, null)
  if (checkpointed === null) throw new Error('the table is gone')
  const pathsOf = (one: Snapshot): string[] => [...liveFiles(one)].map((file) => file.path).sort()
  expect(pathsOf(checkpointed), path).toEqual(pathsOf(after))
  expect(await digest(store, checkpointed), path).toEqual(expected)
  return 'appended'
}

describe.skipIf(!present)('a table another engine wrote', () => {
  it('takes our rows beside its own, or is refused with a reason', async () => {
    const counts = new Map<string, number>()
    const failures: string[] = []
    const copies = mkdtempSync(join(tmpdir(), 'lakegate-append-copy-'))
    const store = new LocalStore(copies)
    for (const [i, table] of tablesUnder(folder).entries()) {
      const name = relative(folder, table)
      const path = `t${i}`
      cpSync(table, join(copies, path), { recursive: true })
      let outcome: string
      try {
        outcome = await tryAppend(store, path)
      } catch (thrown) {
        const refused: readonly string[] = [
          SqlState.featureNotSupported,
          SqlState.dataCorrupted,
          SqlState.invalidParameterValue,
        ]
        if (thrown instanceof SqlError && refused.includes(thrown.sqlState)) {
          outcome = `${thrown.sqlState} ${thrown.message.replaceAll(/"t\d+.*?"/g, '').slice(0, 90)}`
        } else {
          outcome = 'failed'
          failures.push(`${name}: ${thrown instanceof Error ? thrown.message : thrown}`)
        }
      }
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      rmSync(join(copies, path), { recursive: true, force: true })
    }
    rmSync(copies, { recursive: true, force: true })
    console.info('appends:', Object.fromEntries([...counts].sort((a, b) => b[1] - a[1])))
    expect(failures).toEqual([])
    expect(counts.get('appended') ?? 0).toBeGreaterThan(100)
  }, 180_000)
})
