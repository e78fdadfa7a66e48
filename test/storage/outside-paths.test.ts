/** Paths of a log that lead out of the lake, or are no URIs: never opened, always named. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readDeletionVector } from '../../storage/deletion-vector.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { scanRelation } from '../../storage/scan-relation.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { add, LogFixture, metadata, PROTOCOL } from '../support/log-fixture.js'

let folder: string
let engine: Engine
let connection: EngineConnection
let store: LocalStore

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-outside-'))
  mkdirSync(join(folder, 'lake'))
  engine = await Engine.open({})
  connection = await engine.connect()
  store = new LocalStore(join(folder, 'lake'))
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

it.each([
  ['an absolute path', (secret: string) => secret],
  ['a file URI', (secret: string) => `file://${secret}`],
  ['dots', () => '../../../secret.parquet'],
  ['another store', () => 's3://bucket/secret.parquet'],
])('a data file outside of the lake, named by %s, is refused by name', async (_, spell) => {
  const secret = join(folder, 'secret.parquet')
  await connection.run(`COPY (SELECT 42::BIGINT AS n) TO '${secret}' (FORMAT parquet)`)
  const log = new LogFixture(join(folder, 'lake'), 'silver/t')
  log.commit(0, PROTOCOL, metadata(), add(spell(secret)))
  const snapshot = (await loadSnapshot(store, connection, log.tablePath, null)) as Snapshot
  await expect(scanRelation(store, connection, planScan(snapshot, UNKNOWN))).rejects.toMatchObject({
    sqlState: SqlState.insufficientPrivilege,
    message: expect.stringContaining('secret.parquet'),
  })
})

it.each([
  [
    'lies outside of the lake',
    (): string => '/elsewhere/100%/dv.bin',
    SqlState.insufficientPrivilege,
  ],
  [
    'does not exist',
    (): string => `file:${join(folder, 'lake')}/silver/t/100%.bin`,
    SqlState.dataCorrupted,
  ],
])('an absolute deletion vector with a stray percent sign %s', async (words, path, sqlState) => {
  const descriptor = { storageType: 'p', pathOrInlineDv: path(), sizeInBytes: 1, cardinality: 1 }
  await expect(readDeletionVector(store, 'silver/t', descriptor)).rejects.toMatchObject({
    sqlState,
    message: expect.stringMatching(new RegExp(`100%.*${words}`)),
  })
})
