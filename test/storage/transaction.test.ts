/** Transactions: what conflicts, what is rebased, and what a commit must not hold. */

import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AddFile } from '../../storage/actions.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { withDeletionVector, writeDeletionVectors } from '../../storage/deletion-vector-file.js'
import { SqlState } from '../../storage/errors.js'
import { commitPath } from '../../storage/log-path.js'
import { defineTable } from '../../storage/new-table.js'
import type { Predicate } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { liveFiles, readCommitInfo, type Snapshot } from '../../storage/snapshot.js'
import type { Obligation } from '../../storage/table-protocol.js'
import { type CommitResult, Transaction } from '../../storage/transaction.js'
import { lintTable } from '../support/log-linter.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake
let next = 0

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(async () => {
  // Whatever the tests above wrote is a table by the letter of the specification.
  expect(await lake.faults()).toEqual([])
  await lake.close()
}, 60_000)

/** A table of partitions p = 'a', 'b', 'c' with one file each, and columns n and p. */
async function makeTable(configuration: { readonly [key: string]: string } = {}): Promise<string> {
  const tablePath = `t/${next++}`
  await lake.create(
    {
      tablePath,
      schema: schemaOf({ p: 'string', n: 'long' }),
      partitionColumns: ['p'],
      configuration,
    },
    "SELECT ['a', 'b', 'c'][(i % 3 + 1)::INT] AS p, i AS n FROM range(9) t(i)",
  )
  return tablePath
}

const inPartition = (value: string): Predicate => ({
  kind: 'compare',
  operator: '=',
  term: { kind: 'column', path: ['p'] },
  value: { type: { kind: 'scalar', name: 'VARCHAR' }, value },
})

const above = (value: bigint): Predicate => ({
  kind: 'compare',
  operator: '>',
  term: { kind: 'column', path: ['n'] },
  value: { type: { kind: 'scalar', name: 'BIGINT' }, value },
})

async function rowsFor(snapshot: Snapshot, query: string): Promise<readonly AddFile[]> {
  return (await writeDataFiles(lake.store, lake.connection, snapshot, { query })).files
}

/** What a transaction may do; each is done to a transaction before it commits. */
const DEEDS = {
  'appends to a': async (t: Transaction, s: Snapshot) =>
    t.add(await rowsFor(s, "SELECT 'a' AS p, 100 AS n")),
  'reads b and appends to a': async (t: Transaction, s: Snapshot) => {
    t.recordRead(inPartition('b'), planScan(s, inPartition('b')).files)
    t.add(await rowsFor(s, "SELECT 'a' AS p, 200 AS n"))
  },
  'reads all and appends to c': async (t: Transaction, s: Snapshot) => {
    t.readWholeTable()
    t.add(await rowsFor(s, "SELECT 'c' AS p, 300 AS n"))
  },
  'deletes from a': async (t: Transaction, s: Snapshot) => {
    const { files } = planScan(s, inPartition('a'))
    t.recordRead(inPartition('a'), files)
    t.remove(files)
  },
  'deletes from b': async (t: Transaction, s: Snapshot) => {
    const { files } = planScan(s, inPartition('b'))
    t.recordRead(inPartition('b'), files)
    t.remove(files)
  },
  'deletes above 1000': async (t: Transaction, s: Snapshot) => {
    const { files } = planScan(s, above(1000n))
    t.recordRead(above(1000n), files)
    t.remove(planScan(s, inPartition('c')).files)
  },
  'compacts a': async (t: Transaction, s: Snapshot) => {
    const { files } = planScan(s, inPartition('a'))
    t.recordRead(inPartition('a'), files)
    t.remove(files, { dataChange: false })
    const rows = await rowsFor(s, "SELECT 'a' AS p, unnest([0, 3, 6]) AS n")
    t.add(rows.map((add) => ({ ...add, dataChange: false })))
  },
  'sets a property': async (t: Transaction, s: Snapshot) =>
    t.setMetadata({ ...s.metadata, configuration: { ...s.metadata.configuration, x: 'y' } }),
  'writes transaction 1 of app': async (t: Transaction, s: Snapshot) => {
    t.setTransaction('app', 1n)
    t.add(await rowsFor(s, "SELECT 'a' AS p, 400 AS n"))
  },
  'writes transaction 1 of another app': async (t: Transaction, s: Snapshot) => {
    t.setTransaction('another', 1n)
    t.add(await rowsFor(s, "SELECT 'a' AS p, 500 AS n"))
  },
} as const

type Deed = keyof typeof DEEDS

async function race(
  configuration: { readonly [key: string]: string },
  winner: Deed,
  loser: Deed,
): Promise<CommitResult> {
  const tablePath = await makeTable(configuration)
  const snapshot = await lake.snapshot(tablePath)
  const first = await Transaction.begin(lake.store, snapshot)
  const second = await Transaction.begin(lake.store, snapshot)
  await DEEDS[winner](first, snapshot)
  await DEEDS[loser](second, snapshot)
  expect(await first.commit({ operation: 'WINNER' })).toMatchObject({
    kind: 'committed',
    version: 1,
  })
  const result = await second.commit({ operation: 'LOSER' })
  const { faults, version } = await lintTable(lake.root, tablePath, lake.connection)
  expect(faults).toEqual([])
  expect(version).toBe(result.kind === 'committed' ? 2 : 1)
  if (result.kind === 'committed') await lake.maintain(second)
  return result
}

describe('a transaction that lost the race', () => {
  it.each<[winner: Deed, loser: Deed, outcome: string]>([
    ['appends to a', 'appends to a', 'committed'],
    ['appends to a', 'reads b and appends to a', 'committed'],
    // A blind append counts as having come later: WriteSerializable.
    ['appends to a', 'deletes from a', 'committed'],
    ['appends to a', 'reads all and appends to c', 'committed'],
    ['reads b and appends to a', 'deletes from a', 'concurrent-append'],
    ['reads b and appends to a', 'deletes from b', 'committed'],
    ['reads b and appends to a', 'reads all and appends to c', 'concurrent-append'],
    // Statistics prove that the appended file holds no row that was looked for.
    ['reads b and appends to a', 'deletes above 1000', 'committed'],
    ['deletes from a', 'deletes from a', 'concurrent-delete-delete'],
    ['deletes from a', 'deletes from b', 'committed'],
    ['deletes from b', 'reads b and appends to a', 'concurrent-delete-read'],
    ['deletes from b', 'reads all and appends to c', 'concurrent-delete-read'],
    ['deletes from a', 'appends to a', 'committed'],
    ['compacts a', 'deletes from a', 'concurrent-delete-delete'],
    ['compacts a', 'appends to a', 'committed'],
    ['compacts a', 'reads all and appends to c', 'committed'],
    ['appends to a', 'compacts a', 'committed'],
    ['reads b and appends to a', 'compacts a', 'committed'],
    ['deletes from a', 'compacts a', 'concurrent-delete-delete'],
    ['sets a property', 'appends to a', 'metadata-changed'],
    ['sets a property', 'sets a property', 'metadata-changed'],
    ['appends to a', 'sets a property', 'committed'],
    ['writes transaction 1 of app', 'writes transaction 1 of app', 'concurrent-transaction'],
    ['writes transaction 1 of app', 'writes transaction 1 of another app', 'committed'],
  ])('and another that %s: one that %s is %s', async (winner, loser, outcome) => {
    const result = await race({}, winner, loser)
    expect(result.kind === 'committed' ? result.kind : result.reason).toBe(outcome)
    if (result.kind === 'conflict') expect(result.with).toBe(1)
  })

  it.each<[winner: Deed, loser: Deed, outcome: string]>([
    ['appends to a', 'appends to a', 'committed'],
    ['appends to a', 'deletes from a', 'concurrent-append'],
    ['appends to a', 'deletes from b', 'committed'],
    ['appends to a', 'reads all and appends to c', 'concurrent-append'],
    ['appends to a', 'compacts a', 'committed'],
  ])('serializable, and another that %s: one that %s is %s', async (winner, loser, outcome) => {
    const result = await race({ 'delta.isolationLevel': 'Serializable' }, winner, loser)
    expect(result.kind === 'committed' ? result.kind : result.reason).toBe(outcome)
  })

  it('conflicts with a deletion vector for the same file', async () => {
    const tablePath = await makeTable({ 'delta.enableDeletionVectors': 'true' })
    const snapshot = await lake.snapshot(tablePath)
    const file = planScan(snapshot, inPartition('a')).files[0]
    if (file === undefined) throw new Error('no file')
    const results: CommitResult[] = []
    const transactions: Transaction[] = []
    for (const row of [0, 1]) {
      const transaction = await Transaction.begin(lake.store, snapshot)
      const [deletionVector] = await writeDeletionVectors(lake.store, tablePath, [[row]])
      transaction.recordRead(inPartition('a'), [file])
      transaction.remove([file])
      if (deletionVector === undefined) throw new Error('no vector')
      transaction.add([withDeletionVector(file.add, deletionVector, 3)])
      transactions.push(transaction)
    }
    for (const transaction of transactions) {
      results.push(await transaction.commit({ operation: 'DELETE' }))
    }
    expect(results).toMatchObject([
      { kind: 'committed', version: 1 },
      { kind: 'conflict', reason: 'concurrent-delete-delete', with: 1 },
    ])
    expect(await lake.rows(tablePath)).toHaveLength(8)
    expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
  })

  it('of making a table is told that it exists', async () => {
    const table = defineTable({ tablePath: 't/twice', schema: schemaOf({ n: 'long' }) })
    const transactions = [1, 2].map(() => Transaction.create(lake.store, table))
    const results = await Promise.all(
      transactions.map((transaction) => transaction.commit({ operation: 'CREATE TABLE' })),
    )
    expect(
      results.map((result) => (result.kind === 'conflict' ? result.reason : result.kind)).sort(),
    ).toEqual(['committed', 'table-exists'])
  })

  it('does not write into a table that was made anew, or is gone', async () => {
    const tablePath = await makeTable()
    const snapshot = await lake.snapshot(tablePath)
    const files = await rowsFor(snapshot, "SELECT 'a' AS p, 1 AS n")
    const transactions = [
      await Transaction.begin(lake.store, snapshot),
      await Transaction.begin(lake.store, snapshot),
    ]
    for (const transaction of transactions) transaction.add(files)
    rmSync(join(lake.root, tablePath), { recursive: true })
    expect(await transactions[0]?.commit({ operation: 'WRITE' })).toMatchObject({
      kind: 'conflict',
      reason: 'table-replaced',
    })
    expect(await lake.store.stat(`${tablePath}/${commitPath(1)}`)).toBeNull()
    await lake.create({ tablePath, schema: schemaOf({ other: 'long' }) })
    expect(await transactions[1]?.commit({ operation: 'WRITE' })).toMatchObject({
      reason: 'table-replaced',
    })
  })
})

describe('a transaction of an application', () => {
  it('is refused when the table has it, and goes on when it is newer', async () => {
    const tablePath = await makeTable()
    const write = async (version: bigint): Promise<boolean> => {
      const snapshot = await lake.snapshot(tablePath)
      const transaction = await Transaction.begin(lake.store, snapshot)
      if (!transaction.setTransaction('loader', version)) return false
      await transaction.commit({ operation: 'WRITE' })
      return true
    }
    expect(await write(5n)).toBe(true)
    expect(await write(5n)).toBe(false)
    expect(await write(4n)).toBe(false)
    expect(await write(9007199254740993n)).toBe(true)
    expect(await write(9007199254740993n)).toBe(false)
    const { transactions } = await lake.snapshot(tablePath)
    expect(transactions.get('loader')?.version).toBe(9007199254740993n)
  })
})

describe('a commit', () => {
  it('says what it was', async () => {
    const tablePath = await makeTable()
    const snapshot = await lake.snapshot(tablePath)
    const transaction = await Transaction.begin(lake.store, snapshot)
    transaction.add(await rowsFor(snapshot, "SELECT 'a' AS p, 1 AS n"))
    await transaction.commit({
      operation: 'WRITE',
      parameters: { mode: 'Append' },
      metrics: { numOutputRows: 1n },
      userMetadata: 'by hand',
    })
    expect(await readCommitInfo(lake.store, tablePath, 1)).toEqual({
      timestamp: expect.any(Number),
      operation: 'WRITE',
      operationParameters: { mode: 'Append' },
      readVersion: 0,
      isolationLevel: 'WriteSerializable',
      isBlindAppend: true,
      operationMetrics: { numOutputRows: '1' },
      userMetadata: 'by hand',
      engineInfo: expect.stringMatching(/^Lakegate\/\d+\.\d+\.\d+$/),
      txnId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  it('takes no row out of an append-only table, but may compact it', async () => {
    const tablePath = await makeTable({ 'delta.appendOnly': 'true' })
    const snapshot = await lake.snapshot(tablePath)
    const { files } = planScan(snapshot, inPartition('a'))
    const deleting = await Transaction.begin(lake.store, snapshot)
    deleting.remove(files)
    await expect(deleting.commit({ operation: 'DELETE' })).rejects.toMatchObject({
      sqlState: SqlState.objectNotInPrerequisiteState,
    })
    const lifting = await Transaction.begin(lake.store, snapshot)
    lifting.remove(files)
    lifting.setMetadata({ ...snapshot.metadata, configuration: {} })
    await expect(lifting.commit({ operation: 'DELETE' })).rejects.toMatchObject({
      sqlState: SqlState.objectNotInPrerequisiteState,
    })
    const compacting = await Transaction.begin(lake.store, snapshot)
    await DEEDS['compacts a'](compacting, snapshot)
    expect(await compacting.commit({ operation: 'OPTIMIZE' })).toMatchObject({ kind: 'committed' })
  })

  it('has in-commit timestamps that only go forward, whatever the clock says', async () => {
    const tablePath = await makeTable({ 'delta.enableInCommitTimestamps': 'true' })
    const stamps: unknown[] = []
    const clock = Date.now
    try {
      for (const offsetMs of [0, -3_600_000, 10, -7_200_000]) {
        Date.now = () => clock() + offsetMs
        const version = await lake.append(tablePath, "SELECT 'a' AS p, 1 AS n")
        stamps.push((await readCommitInfo(lake.store, tablePath, version))?.inCommitTimestamp)
      }
    } finally {
      Date.now = clock
    }
    expect(stamps).toEqual([...stamps].sort((a, b) => Number(a) - Number(b)))
    expect(new Set(stamps).size).toBe(4)
    expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
  })

  it('that switches in-commit timestamps on says since when they count', async () => {
    const tablePath = await makeTable({ 'delta.feature.inCommitTimestamp': 'supported' })
    const snapshot = await lake.snapshot(tablePath)
    const transaction = await Transaction.begin(lake.store, snapshot)
    await lake.append(tablePath, "SELECT 'a' AS p, 1 AS n")
    const configuration = { 'delta.enableInCommitTimestamps': 'true' }
    transaction.setMetadata({ ...snapshot.metadata, configuration })
    const result = await transaction.commit({ operation: 'SET TBLPROPERTIES' })
    if (result.kind !== 'committed') throw new Error(result.reason)
    expect((await lake.snapshot(tablePath)).metadata.configuration).toEqual({
      'delta.enableInCommitTimestamps': 'true',
      'delta.inCommitTimestampEnablementVersion': '2',
      'delta.inCommitTimestampEnablementTimestamp': String(result.timestampMs),
    })
  })

  it('numbers rows where the table tracks them, behind those of whoever came first', async () => {
    const tablePath = await makeTable({ 'delta.enableRowTracking': 'true' })
    const snapshot = await lake.snapshot(tablePath)
    const transaction = await Transaction.begin(lake.store, snapshot)
    transaction.add(await rowsFor(snapshot, "SELECT 'a' AS p, i AS n FROM range(5) t(i)"))
    await lake.append(tablePath, "SELECT 'b' AS p, i AS n FROM range(7) t(i)")
    expect(await transaction.commit({ operation: 'WRITE' })).toMatchObject({
      kind: 'committed',
      version: 2,
    })
    const after = await lake.snapshot(tablePath)
    const ids = [...liveFiles(after)].map(({ add }) => [add.baseRowId, add.defaultRowCommitVersion])
    expect(ids.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      [0, 0],
      [3, 0],
      [6, 0],
      [9, 1],
      [16, 2],
    ])
    expect(after.domains.get('delta.rowTracking')).toBe('{"rowIdHighWaterMark":20}')
    expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
  })

  it.each<[what: string, field: object, configuration: object, obligation: Obligation]>([
    ['a check constraint', {}, { 'delta.constraints.positive': 'n > 0' }, 'checkConstraints'],
    ['a generated column', { 'delta.generationExpression': 'n + 1' }, {}, 'generatedColumns'],
    [
      'an invariant',
      { 'delta.invariants': '{"expression":{"expression":"n > 0"}}' },
      {},
      'invariants',
    ],
    ['an identity', { 'delta.identity.start': 1, 'delta.identity.step': 1 }, {}, 'identityColumns'],
    ['a length', { __CHAR_VARCHAR_TYPE_STRING: 'varchar(3)' }, {}, 'charVarchar'],
  ])(
    'to a table with %s is refused unless the caller sees to it',
    async (_what, metadata, configuration, obligation) => {
      const [field] = schemaOf({ n: 'string' }).fields
      if (field === undefined) throw new Error('no field')
      const table = defineTable({
        tablePath: `t/${next++}`,
        schema: { fields: [{ ...field, metadata: { ...metadata } }] },
        configuration: { ...configuration },
      })
      expect(() => Transaction.create(lake.store, table)).toThrow(/cannot be written/)
      const options = { fulfilled: new Set([obligation]) }
      const transaction = Transaction.create(lake.store, table, options)
      expect(await transaction.commit({ operation: 'CREATE TABLE' })).toMatchObject({ version: 0 })
      const snapshot = await lake.snapshot(table.tablePath)
      await expect(Transaction.begin(lake.store, snapshot)).rejects.toMatchObject({
        sqlState: SqlState.featureNotSupported,
      })
      expect((await lintTable(lake.root, table.tablePath, lake.connection)).faults).toEqual([])
    },
  )
})

describe('twenty appends at once', () => {
  it('all succeed, from twenty transactions on one snapshot', async () => {
    const tablePath = await makeTable()
    const snapshot = await lake.snapshot(tablePath)
    const files: (readonly AddFile[])[] = []
    for (let i = 0; i < 20; i++) {
      files.push(await rowsFor(snapshot, `SELECT 'a' AS p, ${1000 + i} AS n`))
    }
    const results = await Promise.all(
      files.map(async (list) => {
        const transaction = await Transaction.begin(lake.store, snapshot)
        transaction.add(list)
        const result = await transaction.commit({ operation: 'WRITE' })
        if (result.kind === 'committed') await lake.maintain(transaction)
        return result
      }),
    )
    expect(
      results
        .map((result) => (result.kind === 'committed' ? result.version : result.reason))
        .sort((a, b) => Number(a) - Number(b)),
    ).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(await lake.rows(tablePath)).toHaveLength(29)
    const report = await lintTable(lake.root, tablePath, lake.connection)
    expect(report.faults).toEqual([])
    expect(report.orphans).toEqual([])
    // Checkpoints at 10 and 20 were written by whoever made those versions.
    expect(
      await lake.store.stat(`${tablePath}/_delta_log/00000000000000000020.checkpoint.parquet`),
    ).not.toBeNull()
  })

  it('all succeed from each of two processes', async () => {
    const tablePath = await makeTable()
    const script = fileURLToPath(new URL('../support/append-process.mjs', import.meta.url))
    const codes = await Promise.all(
      ['left', 'right'].map(
        (name) =>
          new Promise<number | null>((resolve) => {
            const child = spawn(process.execPath, [script, lake.root, tablePath, name, '20'], {
              stdio: ['ignore', 'inherit', 'inherit'],
            })
            child.on('exit', resolve)
          }),
      ),
    )
    expect(codes).toEqual([0, 0])
    const rows = await lake.rows(tablePath)
    expect(new Set(rows).size).toBe(49)
    const report = await lintTable(lake.root, tablePath, lake.connection)
    expect(report.faults).toEqual([])
    expect(report.version).toBe(40)
  }, 60_000)
})
