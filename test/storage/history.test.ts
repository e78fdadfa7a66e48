/** Time travel: which version a number or a moment means, and what is said when there is none. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import { listCommits, loadSnapshot, readCommitInfo, versionAt } from '../../storage/snapshot.js'
import { add, LogFixture, metadata, PROTOCOL, versionName } from '../support/log-fixture.js'

let folder: string
let engine: Engine
let connection: EngineConnection
let store: LocalStore
let log: LogFixture
let tables = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-history-'))
  engine = await Engine.open({})
  connection = await engine.connect()
  store = new LocalStore(folder)
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

beforeEach(() => {
  log = new LogFixture(folder, `silver/t${tables++}`)
})

const T0 = Date.UTC(2026, 0, 1)
const MINUTE = 60_000

function fiveCommits(): void {
  log.commit(0, PROTOCOL, metadata(), add('f0'))
  for (let version = 1; version < 5; version++) log.commit(version, add(`f${version}`))
  for (let version = 0; version < 5; version++) log.committedAt(version, T0 + version * MINUTE)
}

describe('a version', () => {
  it.each([-1, 5, 100])(
    '%d that does not exist is an error that says which do',
    async (version) => {
      fiveCommits()
      const thrown = await loadSnapshot(store, connection, log.tablePath, version).catch(
        (error: unknown) => error,
      )
      expect(thrown).toMatchObject({ sqlState: SqlState.invalidParameterValue })
      const { message, detail } = thrown as { message: string; detail?: string }
      expect(`${message} ${detail}`).toMatch(/vailable versions are 0 to 4/)
    },
  )

  it('before the oldest checkpoint is an error once its commits are cleaned up', async () => {
    fiveCommits()
    await log.checkpoint(connection, 2, [PROTOCOL, metadata(), add('f0'), add('f1'), add('f2')])
    rmSync(log.file(`${versionName(0)}.json`))
    // Version 1 still has its commit, but nothing to build on.
    for (const version of [0, 1]) {
      const thrown = await loadSnapshot(store, connection, log.tablePath, version).catch(
        (error: unknown) => error,
      )
      expect(thrown, `version ${version}`).toMatchObject({
        sqlState: SqlState.invalidParameterValue,
      })
      const { message, detail } = thrown as { message: string; detail?: string }
      expect(`${message} ${detail}`).toMatch(/vailable versions are 2 to 4/)
    }
    expect((await loadSnapshot(store, connection, log.tablePath, 3))?.files).toHaveLength(4)
  })
})

describe('a moment', () => {
  it.each([
    [0, 0],
    [1, 0],
    [MINUTE - 1, 0],
    [MINUTE, 1],
    [3 * MINUTE + 5, 3],
    [4 * MINUTE, 4],
  ])('%d ms after the first commit is version %d', async (offset, version) => {
    fiveCommits()
    expect(await versionAt(store, log.tablePath, T0 + offset)).toBe(version)
  })

  it.each([T0 - 1, T0 + 4 * MINUTE + 1])(
    '%d outside of the history is an error that says what it spans',
    async (time) => {
      fiveCommits()
      await expect(versionAt(store, log.tablePath, time)).rejects.toMatchObject({
        sqlState: SqlState.invalidParameterValue,
        detail: expect.stringMatching(
          /0 to 4 .*2026-01-01T00:00:00.000Z to 2026-01-01T00:04:00.000Z/,
        ),
      })
    },
  )

  it('far outside of the calendar is an error, not a crash', async () => {
    fiveCommits()
    for (const time of [9e15, -9e15]) {
      await expect(versionAt(store, log.tablePath, time)).rejects.toMatchObject({
        sqlState: SqlState.invalidParameterValue,
      })
    }
  })

  it('is found though the files of the log are out of order', async () => {
    fiveCommits()
    // As a copy leaves them: the third commit older than the second.
    log.committedAt(2, T0 - MINUTE)
    const times = (await listCommits(store, log.tablePath)).map((commit) => commit.timestampMs - T0)
    expect(times).toEqual([0, MINUTE, MINUTE + 1, 3 * MINUTE, 4 * MINUTE])
    expect(await versionAt(store, log.tablePath, T0 + MINUTE)).toBe(1)
    expect(await versionAt(store, log.tablePath, T0 + MINUTE + 1)).toBe(2)
  })

  it('never means a version that cannot be built any more', async () => {
    fiveCommits()
    await log.checkpoint(connection, 2, [PROTOCOL, metadata(), add('f0'), add('f1'), add('f2')])
    rmSync(log.file(`${versionName(0)}.json`))
    await expect(versionAt(store, log.tablePath, T0 + MINUTE)).rejects.toMatchObject({
      sqlState: SqlState.invalidParameterValue,
      detail: expect.stringContaining('2 to 4'),
    })
    expect(await versionAt(store, log.tablePath, T0 + 2 * MINUTE)).toBe(2)
  })

  it('goes by in-commit timestamps where they are on, by the files before', async () => {
    fiveCommits()
    const stamp = (inCommitTimestamp: number): { readonly [key: string]: unknown } => ({
      commitInfo: { inCommitTimestamp, operation: 'WRITE' },
    })
    log
      .commit(
        3,
        stamp(T0 + 10 * MINUTE),
        metadata({
          'delta.enableInCommitTimestamps': 'true',
          'delta.inCommitTimestampEnablementVersion': '3',
        }),
      )
      .committedAt(3, T0 + 99 * MINUTE)
    log.commit(4, stamp(T0 + 11 * MINUTE), add('f4')).committedAt(4, T0 - 99 * MINUTE)
    const times = (await listCommits(store, log.tablePath)).map((commit) => commit.timestampMs - T0)
    expect(times).toEqual([0, MINUTE, 2 * MINUTE, 10 * MINUTE, 11 * MINUTE])
    expect(await versionAt(store, log.tablePath, T0 + 10 * MINUTE)).toBe(3)
    expect(await versionAt(store, log.tablePath, T0 + 9 * MINUTE)).toBe(2)
  })

  it('ignores commitInfo.timestamp, which writers set as they like', async () => {
    fiveCommits()
    log
      .commit(4, { commitInfo: { timestamp: T0 + 500 * MINUTE } }, add('f4'))
      .committedAt(4, T0 + 4 * MINUTE)
    expect((await listCommits(store, log.tablePath)).at(-1)?.timestampMs).toBe(T0 + 4 * MINUTE)
  })
})

describe('the commitInfo', () => {
  it('is answered as written, null where a commit has none or is gone', async () => {
    fiveCommits()
    log.commit(
      1,
      { commitInfo: { operation: 'MERGE', operationParameters: { predicate: 'x' } } },
      add('f1'),
    )
    expect(await readCommitInfo(store, log.tablePath, 1)).toMatchObject({ operation: 'MERGE' })
    expect(await readCommitInfo(store, log.tablePath, 0)).toBeNull()
    expect(await readCommitInfo(store, log.tablePath, 99)).toBeNull()
  })
})
