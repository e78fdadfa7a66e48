/**
 * Goal: whatever is optimized, sorted, restored and vacuumed, in whatever order and beside whom, no
 * version within retention changes its rows.
 * Method: random changes of tables of several kinds, whose rows at each version are written down and
 * compared later; requests of the store fail at random; writers race in an order the seed decides.
 */

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planAutoCompaction } from '../../storage/auto-compaction.js'
import { withDeletionVector, writeDeletionVectors } from '../../storage/deletion-vector-file.js'
import { readDeletionVector } from '../../storage/deletion-vector.js'
import { writeDataFiles } from '../../storage/data-file.js'
import { type EngineConnection, quoteIdentifier } from '../../storage/engine.js'
import { SqlError } from '../../storage/errors.js'
import type { TableDefinition } from '../../storage/new-table.js'
import type { ObjectStore } from '../../storage/object-store.js'
import {
  type OptimizePlan,
  planClustering,
  planCompaction,
  planPurge,
  planZOrder,
  runOptimize,
} from '../../storage/optimize.js'
import { restoreTable } from '../../storage/restore.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { keptColumns, trackedRelation } from '../../storage/tracked-rows.js'
import { Transaction } from '../../storage/transaction.js'
import { vacuumTable } from '../../storage/vacuum.js'
import { FaultyStore, Scheduler, seeded } from '../simulation/faulty-store.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(async () => {
  // VACUUM has removed what only older versions had.
  const faults = (await lake.faults()).filter((fault) => !fault.endsWith(' does not exist'))
  expect(faults).toEqual([])
  await lake.close()
})

const SCHEMA = schemaOf({ k: 'long', p: 'string', s: 'string', x: 'double' })

/** Kinds of tables that differ in how their files, rows or commits are told apart. */
const KINDS: {
  readonly [kind: string]: Pick<TableDefinition, 'partitionColumns' | 'configuration' | 'domains'>
} = {
  plain: {},
  partitioned: { partitionColumns: ['p'] },
  'with deletion vectors': { configuration: { 'delta.enableDeletionVectors': 'true' } },
  'partitioned, mapped, with deletion vectors': {
    partitionColumns: ['p'],
    configuration: {
      'delta.enableDeletionVectors': 'true',
      'delta.columnMapping.mode': 'name',
      'delta.enableInCommitTimestamps': 'true',
    },
  },
  tracked: {
    configuration: {
      'delta.enableRowTracking': 'true',
      'delta.enableDeletionVectors': 'true',
      'delta.columnMapping.mode': 'name',
    },
  },
  'mapped by id': { configuration: { 'delta.columnMapping.mode': 'id' } },
}

let nextKey = 1

function someRows(count: number): string {
  const from = nextKey
  nextKey += count
  return `SELECT k, ['a', 'b/c', NULL][(k % 3 + 1)::INT] AS p, 's' || (k * 7919 % 101) AS s, CASE WHEN k % 5 > 0 THEN (k * 104729 % 1009) / 8 END AS x FROM range(${from}, ${from + count}) r(k)`
}

async function commitAll(transaction: Transaction, operation: string): Promise<void> {
  const result = await transaction.commit({ operation })
  if (result.kind === 'conflict') throw new Error(result.detail)
  await lake.maintain(transaction)
}

/** Deletes some rows of a file, by a vector where the table allows it. */
async function deleteSome(
  store: ObjectStore,
  snapshot: Snapshot,
  pick: number,
): Promise<Transaction | null> {
  const files = [...snapshot.files]
  const file = files[pick % Math.max(1, files.length)]
  if (file === undefined) return null
  const transaction = await Transaction.begin(store, snapshot)
  const rowCount = (JSON.parse(file.add.stats ?? '{}') as { numRecords: number }).numRecords
  transaction.remove([file])
  if (snapshot.metadata.configuration['delta.enableDeletionVectors'] === 'true') {
    const old =
      file.deletionVector === null
        ? []
        : await readDeletionVector(store, snapshot.tablePath, file.deletionVector)
    const gone = new Set(old)
    for (let row = pick % 2; row < rowCount; row += 2 + (pick % 5)) gone.add(row)
    if (gone.size < rowCount && gone.size > old.length) {
      const rows = [...gone].sort((a, b) => a - b)
      const [vector] = await writeDeletionVectors(store, snapshot.tablePath, [rows])
      if (vector !== undefined) transaction.add([withDeletionVector(file.add, vector, rowCount)])
    }
  }
  return transaction
}

function planOf(snapshot: Snapshot, kind: number): OptimizePlan {
  const files = [...snapshot.files]
  switch (kind % 5) {
    case 0:
      return planCompaction(snapshot, files, {})
    case 1:
      return planZOrder(snapshot, files, [['k'], ['s'], ['x']], {})
    case 2:
      return planPurge(snapshot, files, {})
    case 3:
      return planClustering(snapshot, files, [['x'], ['s']], kind % 2 === 0, {})
    default:
      return planAutoCompaction({
        ...snapshot,
        metadata: {
          ...snapshot.metadata,
          configuration: {
            ...snapshot.metadata.configuration,
            'lakegate.autoCompact.minNumFiles': '2',
          },
        },
      }).plan
  }
}

type Step = readonly [
  kind:
    | 'append'
    | 'delete'
    | 'optimize'
    | 'restore'
    | 'vacuum'
    | 'failing optimize'
    | 'failing vacuum',
  pick: number,
]

const STEP: fc.Arbitrary<Step> = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant('append' as const) },
    { weight: 3, arbitrary: fc.constant('delete' as const) },
    { weight: 3, arbitrary: fc.constant('optimize' as const) },
    { weight: 2, arbitrary: fc.constant('restore' as const) },
    { weight: 2, arbitrary: fc.constant('vacuum' as const) },
    { weight: 1, arbitrary: fc.constant('failing optimize' as const) },
    { weight: 1, arbitrary: fc.constant('failing vacuum' as const) },
  ),
  fc.nat(10_000),
)

let nextTable = 1

describe('the rows of each version within retention', () => {
  it.each(Object.keys(KINDS))(
    'stay what they were in a %s table',
    async (kind) => {
      await fc.assert(
        fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 14 }), async (steps) => {
          const table = `kept${nextTable++}`
          await lake.create({ tablePath: table, schema: SCHEMA, ...KINDS[kind] }, someRows(20))
          const rows: string[][] = [await lake.rows(table)]
          const times: number[] = []
          // Versions before this one may have lost files.
          let oldest = 0
          for (const [step, pick] of steps) {
            const snapshot = await lake.snapshot(table)
            const known = rows[snapshot.version]
            const retentionMs = (): number =>
              Math.max(0, Date.now() - (times[pick % times.length] ?? 0))
            times[snapshot.version] = Date.now()
            // Times of files and commits are told in milliseconds.
            await new Promise((resolve) => setTimeout(resolve, 3))
            if (step === 'append') await lake.append(table, someRows(1 + (pick % 30)))
            if (step === 'delete') {
              const transaction = await deleteSome(lake.store, snapshot, pick)
              if (transaction !== null) await commitAll(transaction, 'DELETE')
            }
            if (step.endsWith('optimize')) {
              const store = step === 'optimize' ? lake.store : failing(pick)
              const run = runOptimize(store, lake.connection, snapshot, planOf(snapshot, pick), {
                committed: () => {},
              })
              if (step === 'optimize') await run
              else await orFailure(run)
            }
            if (step === 'restore') {
              const version = oldest + (pick % (snapshot.version - oldest + 1))
              const past = await lake.snapshot(table, version)
              const { result } = await restoreTable(lake.store, snapshot, past, {})
              expect(result.kind).toBe('committed')
              expect(await lake.rows(table)).toEqual(rows[version])
            }
            if (step.endsWith('vacuum')) {
              const store = step === 'vacuum' ? lake.store : failing(pick)
              const kept = pick % times.length
              const run = vacuumTable(store, lake.connection, snapshot, {
                retentionMs: retentionMs(),
                checksRetention: false,
              })
              if (step === 'vacuum') await run
              else await orFailure(run)
              // What was the newest version at that time is within retention, too.
              oldest = Math.max(oldest, kept)
            }
            const now = await lake.snapshot(table)
            for (let version = snapshot.version + 1; version <= now.version; version++) {
              const found = await lake.rows(table, version)
              if (/optimize|vacuum/.test(step)) expect(found).toEqual(known)
              rows[version] = found
              times[version] = Date.now()
            }
          }
          for (const [version, wanted] of rows.entries()) {
            if (version >= oldest) expect(await lake.rows(table, version)).toEqual(wanted)
          }
        }),
        { seed: 4711, numRuns: 6 },
      )
    },
    120_000,
  )
})

/** A store on which some requests fail, before or after they took effect. */
function failing(seed: number): ObjectStore {
  const random = seeded(seed)
  const rates = { fails: 0.04, failsLate: 0.04, ambiguous: 0.2 }
  return new FaultyStore(lake.store, new Scheduler(random), random, rates)
}

async function orFailure(work: Promise<unknown>): Promise<void> {
  await work.catch((thrown: unknown) => {
    if (!(thrown instanceof SqlError)) throw thrown
  })
}

describe('the ids that row tracking gives to rows', () => {
  /** Each live row's key, id and the version it was made in. */
  async function idsOf(table: string): Promise<string[]> {
    const snapshot = await lake.snapshot(table)
    const kept = keptColumns(snapshot)
    if (kept === null) throw new Error('the table is not tracked')
    const scan = planScan(snapshot, UNKNOWN)
    const relation = await trackedRelation(lake.store, lake.connection, scan, kept)
    const [id, version] = kept.map(({ name }) => quoteIdentifier(name))
    return lake.printed(`SELECT k, ${id}, ${version} FROM ${relation}`)
  }

  it('stay with them wherever they are moved', async () => {
    await lake.create(
      { tablePath: 'ids', schema: SCHEMA, partitionColumns: ['p'], ...KINDS.tracked },
      someRows(20),
    )
    await lake.append('ids', someRows(10))
    const removal = await deleteSome(lake.store, await lake.snapshot('ids'), 1)
    if (removal !== null) await commitAll(removal, 'DELETE')
    for (let kind = 0; kind < 5; kind++) {
      const before = await idsOf('ids')
      const appended = await lake.append('ids', someRows(5))
      const grown = await idsOf('ids')
      expect(grown).toEqual(expect.arrayContaining(before))
      expect(grown.filter((row) => row.endsWith(`,"${appended}n"]`)).length).toBe(5)
      const snapshot = await lake.snapshot('ids')
      const transactions: Transaction[] = []
      await runOptimize(lake.store, lake.connection, snapshot, planOf(snapshot, kind), {
        committed: (transaction) => transactions.push(transaction),
      })
      expect(await idsOf('ids')).toEqual(grown)
      for (const { versions } of transactions) {
        const [info] = versions.at(-1)?.actions ?? []
        if (info?.kind !== 'commitInfo') throw new Error('commitInfo is first')
        expect(info.commitInfo.tags).toEqual({ 'delta.rowTracking.preserved': 'true' })
      }
    }
  })
})

describe('OPTIMIZE beside writers', () => {
  const NO_FAULTS = { fails: 0, failsLate: 0, ambiguous: 0 }

  it('loses no row of theirs and brings none back, whoever is first', async () => {
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 30; seed++) {
      const table = `raced${seed}`
      const random = seeded(seed)
      const scheduler = new Scheduler(random)
      const storeOf = (): ObjectStore => new FaultyStore(lake.store, scheduler, random, NO_FAULTS)
      const connections = await Promise.all([1, 2].map(() => lake.engine.connect()))
      const [first, second] = connections as [EngineConnection, EngineConnection]
      await lake.create(
        {
          tablePath: table,
          schema: SCHEMA,
          partitionColumns: ['p'],
          configuration: { 'delta.enableDeletionVectors': 'true' },
        },
        someRows(30),
      )
      await lake.append(table, someRows(30))
      const snapshot = await lake.snapshot(table)
      const before = await lake.rows(table)
      const plan =
        seed % 2 === 0 ? planCompaction(snapshot, [...snapshot.files], {}) : planOf(snapshot, 1)
      const optimize = runOptimize(storeOf(), first, snapshot, plan, { committed: () => {} })
      const append = async (): Promise<string> => {
        const store = storeOf()
        const transaction = await Transaction.begin(store, snapshot)
        const { files } = await writeDataFiles(store, second, snapshot, { query: someRows(5) })
        transaction.add(files)
        return (await transaction.commit({ operation: 'WRITE' })).kind
      }
      const remove = async (): Promise<string> => {
        const transaction = await deleteSome(storeOf(), snapshot, seed)
        // Some are slower than others.
        if (seed % 3 === 0) await optimize
        if (seed % 3 === 1) await new Promise((resolve) => setTimeout(resolve, 3 * seed))
        return (await transaction?.commit({ operation: 'DELETE' }))?.kind ?? ''
      }
      const [done, appended, removed] = await Promise.all([optimize, append(), remove()])
      // Who only adds never conflicts; who deletes loses to whom was first.
      expect(appended).toBe('committed')
      outcomes.add(`${removed}, ${done.filesRemoved > 0 ? 'optimized' : 'given up'}`)
      const fresh = await lake.snapshot(table)
      const after = await lake.rows(table)
      expect(new Set(after).size).toBe(after.length)
      const gone = before.filter((row) => !after.includes(row))
      expect(gone.length > 0).toBe(removed === 'committed')
      expect(after.length - (before.length - gone.length)).toBe(5)
      expect(fresh.version).toBeGreaterThan(2)
      for (const connection of connections) connection.close()
    }
    expect([...outcomes].sort()).toEqual(['committed, optimized', 'conflict, optimized'])
  }, 120_000)

  it('is given up when the metadata was changed meanwhile', async () => {
    await lake.create({ tablePath: 'changed', schema: SCHEMA }, someRows(10))
    await lake.append('changed', someRows(10))
    const snapshot = await lake.snapshot('changed')
    const other = await Transaction.begin(lake.store, snapshot)
    other.setMetadata({ ...snapshot.metadata, description: 'new' })
    await commitAll(other, 'SET TBLPROPERTIES')
    const run = runOptimize(lake.store, lake.connection, snapshot, planOf(snapshot, 0), {
      committed: () => {},
    })
    await expect(run).rejects.toMatchObject({ sqlState: '40001' })
  })
})
