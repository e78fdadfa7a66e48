/** What becomes of a log as it grows: compactions that read the same, and clean-up that leaves every kept version whole. */

import { readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GROUP_TAG } from '../../storage/group.js'
import { cleanLog } from '../../storage/log-cleanup.js'
import { compactionStart } from '../../storage/log-compaction.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { LocalStore } from '../../storage/local-store.js'
import { listCommits } from '../../storage/snapshot.js'
import { Transaction } from '../../storage/transaction.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(async () => {
  await lake.close()
})

/** One after another: a connection of the engine has one stream. */
async function rowsAt(table: string, versions: readonly number[]): Promise<string[][]> {
  const rows: string[][] = []
  for (const version of versions) rows.push(await lake.rows(table, version))
  return rows
}

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2026, 5, 15, 12)

function logFiles(table: string): string[] {
  return readdirSync(join(lake.root, table, '_delta_log')).filter((name) => !name.startsWith('.'))
}

/** A table of `commits` appended rows; a removal and an application's transaction among them. */
async function grownTable(
  table: string,
  commits: number,
  configuration: { readonly [key: string]: string } = {},
): Promise<void> {
  await lake.create({ tablePath: table, schema: schemaOf({ i: 'long' }), configuration })
  for (let i = 1; i <= commits; i++) {
    if (i % 4 === 3) {
      const snapshot = await lake.snapshot(table)
      const transaction = await Transaction.begin(lake.store, snapshot)
      transaction.remove([...snapshot.files].slice(0, 1))
      transaction.setTransaction('app', BigInt(i))
      await transaction.commit({ operation: 'DELETE' })
      await lake.maintain(transaction)
    } else await lake.append(table, `SELECT ${i}::BIGINT AS i`)
  }
}

describe('a log compaction', () => {
  it('is due between checkpoints, and sums up all since the last', () => {
    const due = (interval: number, upTo: number): (readonly [number, number])[] =>
      Array.from({ length: upTo + 1 }, (_, version) => {
        const from = compactionStart(version, { 'delta.checkpointInterval': String(interval) })
        return from === null ? [] : [[from, version] as const]
      }).flat()
    expect(due(10, 30)).toEqual([
      [1, 5],
      [11, 15],
      [21, 25],
    ])
    expect(due(100, 40)).toEqual([
      [1, 10],
      [1, 20],
      [1, 30],
      [1, 40],
    ])
    expect(due(3, 30)).toEqual([])
  })

  it('stands for the commits it sums up', async () => {
    await grownTable('compacted', 27)
    expect(logFiles('compacted').filter((name) => name.endsWith('.compacted.json'))).toHaveLength(3)
    expect(await lake.faults()).toEqual([])
    const versions = [4, 5, 7, 15, 18, 27]
    const rows = await rowsAt('compacted', versions)
    for (const name of logFiles('compacted')) {
      if (name.endsWith('.compacted.json')) rmSync(join(lake.root, 'compacted/_delta_log', name))
    }
    for (const [i, version] of versions.entries()) {
      expect(await lake.rows('compacted', version)).toEqual(rows[i])
    }
  })

  it('is passed over when it does not say which of two actions on a file is newer', async () => {
    await grownTable('heaped', 8)
    const log = join(lake.root, 'heaped/_delta_log')
    const rows = await lake.rows('heaped', 8)
    for (const name of logFiles('heaped')) {
      if (name.endsWith('.compacted.json') || name.endsWith('.crc')) rmSync(join(log, name))
    }
    const commits = Array.from({ length: 8 }, (_, i) => `${String(i + 1).padStart(20, '0')}.json`)
    const heap = commits.map((name) => readFileSync(join(log, name), 'utf8')).join('')
    writeFileSync(
      join(log, `${'1'.padStart(20, '0')}.${'8'.padStart(20, '0')}.compacted.json`),
      heap,
    )
    expect(await lake.rows('heaped', 8)).toEqual(rows)
  })
})

describe('a checkpoint or a compaction', () => {
  it('is not written over a commit of a group that may be taken back', async () => {
    for (const [version, kind] of [
      [5, 'compaction'],
      [10, 'checkpoint'],
    ] as const) {
      const table = `grouped ${kind}`
      await grownTable(table, version - 2)
      const snapshot = await lake.snapshot(table)
      const appended = async (group?: string): Promise<Transaction> => {
        const transaction = await Transaction.begin(lake.store, snapshot)
        const { files } = await writeDataFiles(lake.store, lake.connection, snapshot, {
          query: 'SELECT 1::BIGINT AS i',
        })
        transaction.add(files)
        const tags = group === undefined ? {} : { tags: { [GROUP_TAG]: group } }
        const result = await transaction.commit({ operation: 'WRITE', ...tags })
        expect(result.kind).toBe('committed')
        return transaction
      }
      await appended('some group')
      const behind = await appended()
      expect(behind.versions.at(-1)?.version).toBe(version)
      expect((await lake.maintain(behind))[kind]).toBe('not due')
    }
  })
})

describe('log clean-up', () => {
  /** Gives commit `version` the age of as many days, its checkpoint too. */
  function date(table: string, days: (version: number) => number): void {
    for (const name of logFiles(table)) {
      const version = Number.parseInt(name, 10)
      const time = (NOW_MS - days(Number.isNaN(version) ? 0 : version) * DAY_MS) / 1000
      utimesSync(join(lake.root, table, '_delta_log', name), time, time)
    }
  }

  it('removes what lies before the newest checkpoint older than the retention', async () => {
    await grownTable('aged', 34)
    const kept = await rowsAt('aged', [20, 21, 29, 34])
    date('aged', (version) => 60 - version)
    const times = new Map(
      (await listCommits(lake.store, 'aged')).map((one) => [one.version, one.timestampMs]),
    )
    const store = new LocalStore(lake.root)
    expect(await cleanLog(store, await lake.snapshot('aged'), NOW_MS)).toBeGreaterThan(20)
    const files = logFiles('aged')
    const below = files.filter((name) => Number.parseInt(name, 10) < 20)
    expect(below).toEqual([])
    expect(files).toContain('00000000000000000020.checkpoint.parquet')
    expect(files).toContain('00000000000000000020.json')
    expect(await rowsAt('aged', [20, 21, 29, 34])).toEqual(kept)
    for (const { version, timestampMs } of await listCommits(lake.store, 'aged')) {
      expect(timestampMs).toBe(times.get(version))
    }
    await expect(lake.rows('aged', 19)).rejects.toMatchObject({ sqlState: '22023' })
    // The same day again there is nothing to do.
    expect(await cleanLog(store, await lake.snapshot('aged'), NOW_MS)).toBe(0)
    await lake.append('aged', 'SELECT 1::BIGINT AS i')
  })

  const whole: readonly (readonly [string, { readonly [key: string]: string }, number, number])[] =
    [
      ['is younger', {}, 24, 29],
      ['has no checkpoint that is old enough', { 'delta.checkpointInterval': '100' }, 24, 90],
      ['wants none', { 'delta.enableExpiredLogCleanup': 'false' }, 24, 90],
      ['protects it', { 'delta.requireCheckpointProtectionBeforeVersion': '9' }, 24, 90],
      ['has a longer retention', { 'delta.logRetentionDuration': 'interval 100 days' }, 24, 90],
      [
        'has a retention without a fixed length',
        { 'delta.logRetentionDuration': '2 months' },
        24,
        90,
      ],
    ]
  it.each(whole)(
    'leaves the log of a table that %s',
    async (what, configuration, commits, days) => {
      const table = `whole ${what}`
      await grownTable(table, commits, configuration)
      date(table, (version) => days - version / 1000)
      const before = logFiles(table)
      expect(await cleanLog(new LocalStore(lake.root), await lake.snapshot(table), NOW_MS)).toBe(0)
      expect(logFiles(table)).toEqual(before)
    },
  )

  it('does not remove commits whose times others were moved behind', async () => {
    await grownTable('skewed', 24)
    // Clocks went back at version 8: the times of the commits up to 22 follow from that of 7.
    date('skewed', (version) => (version < 8 ? 40 : 50) - version / 1e6)
    const times = await listCommits(lake.store, 'skewed')
    expect(await cleanLog(new LocalStore(lake.root), await lake.snapshot('skewed'), NOW_MS)).toBe(0)
    expect(await listCommits(lake.store, 'skewed')).toEqual(times)
  })

  it('may end anywhere and be run again', async () => {
    await grownTable('interrupted', 24)
    date('interrupted', (version) => 60 - version / 10)
    const rows = await lake.rows('interrupted', 24)
    for (let left = 1; left < 60; left += 7) {
      const store = new LocalStore(lake.root)
      let deletions = 0
      const remove = store.delete.bind(store)
      store.delete = async (path) => {
        if (++deletions > left) throw new Error('killed')
        await remove(path)
      }
      await cleanLog(store, await lake.snapshot('interrupted'), NOW_MS).catch(() => {})
      expect(await lake.rows('interrupted', 24)).toEqual(rows)
      expect(await lake.rows('interrupted', 20)).toHaveLength(20 - 2 * 5)
    }
  })
})
