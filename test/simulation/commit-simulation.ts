/**
 * Goal: no acknowledged commit is lost or doubled, and no update is, whatever the store does.
 *
 * Method: writers append, count up, compact and alter one table over a store that fails, delays,
 * answers late, and fails after it succeeded; some are killed. The order of all store calls depends
 * on a seed. Afterwards the log alone is read and compared with what the writers were told.
 */

import type { AddFile } from '../../storage/actions.js'
import type { EngineConnection } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { makeChecksum } from '../../storage/checksum.js'
import { checksumPath, commitPath } from '../../storage/log-path.js'
import { defineTable } from '../../storage/new-table.js'
import type { ObjectStore } from '../../storage/object-store.js'
import type { Predicate } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import type { DataFile } from '../../storage/file-index.js'
import { fileCount, loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { Transaction, type TransactionOptions } from '../../storage/transaction.js'
import { MemoryStore } from '../support/memory-store.js'
import { schemaOf } from '../support/write-lake.js'
import { FaultyStore, type Random, Scheduler, seeded } from './faulty-store.js'

const TABLE = 'layer/t'
const COUNTERS = ['a', 'b', 'c']
/** What statements do; some more often than others. */
const KINDS = ['append', 'append', 'once', 'count', 'count', 'count', 'compact', 'alter'] as const

/** A row of the simulated files, which hold JSON instead of Parquet. */
interface Row {
  readonly id: string
  readonly value: number
}

/** What a writer was told of one statement. */
type Outcome = 'committed' | 'conflict' | 'failed' | 'unknown' | 'died' | 'skipped'

interface Statement {
  /** In `userMetadata` of its commit. */
  readonly id: string
  readonly kind: (typeof KINDS)[number]
  readonly key: string
  outcome: Outcome
  /** How often it lost and was run again. */
  conflicts: number
  /** A run of it ended in doubt, so that it may be in the log whatever became of the later ones. */
  isDoubtful: boolean
}

/** What happened under one seed. */
export interface SimulationReport {
  readonly faults: readonly string[]
  readonly outcomes: { readonly [outcome: string]: number }
  readonly versions: number
}

/** Runs one seed; the same seed gives the same interleaving. */
export async function simulateCommits(
  seed: number,
  connection: EngineConnection,
): Promise<SimulationReport> {
  const random = seeded(seed)
  const scheduler = new Scheduler(random)
  const store = new MemoryStore('/nowhere')
  const isolation = random() < 0.5 ? 'Serializable' : 'WriteSerializable'
  await createTable(store, isolation)
  const rates = {
    fails: pick(random, [0, 0, 0.02, 0.1]),
    failsLate: pick(random, [0, 0, 0.02, 0.1]),
    ambiguous: pick(random, [0, 0.1, 0.5]),
  }
  const statements: Statement[] = []
  const stores: FaultyStore[] = []
  const maxAttempts = pick(random, [1, 3, 30])
  const writers = 2 + Math.floor(random() * 4)
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const dies = random() < 0.2
      await new Promise<void>((resolve) => {
        const faulty = new FaultyStore(
          store,
          scheduler,
          random,
          rates,
          dies ? 1 + Math.floor(random() * 60) : Number.POSITIVE_INFINITY,
          () => resolve(),
        )
        const options = { maxAttempts, backoff: () => scheduler.turn() }
        stores.push(faulty)
        const write = runWriter(writer, faulty, connection, random, options, statements)
        void write.then(resolve)
      })
    }),
  )
  // Requests that were still on their way arrive now.
  for (const faulty of stores) await faulty.settle()
  const faults = await judge(store, connection, statements)
  const outcomes: Record<string, number> = {}
  for (const { kind, outcome, conflicts } of statements) {
    outcomes[`${kind} lost`] = (outcomes[`${kind} lost`] ?? 0) + conflicts
    outcomes[`${kind} ${outcome}`] = (outcomes[`${kind} ${outcome}`] ?? 0) + 1
  }
  return { faults, outcomes, versions: (await readLog(store)).length }
}

async function createTable(store: ObjectStore, isolation: string): Promise<void> {
  const table = defineTable({
    tablePath: TABLE,
    schema: schemaOf({ p: 'string', id: 'string', value: 'long' }),
    partitionColumns: ['p'],
    configuration: { 'delta.isolationLevel': isolation, 'delta.enableInCommitTimestamps': 'true' },
  })
  const transaction = Transaction.create(store, table)
  for (const key of COUNTERS) {
    transaction.add([await writeFile(store, `create-${key}`, key, [{ id: 'counter', value: 0 }])])
  }
  await transaction.commit({ operation: 'CREATE TABLE', userMetadata: 'create' })
}

async function runWriter(
  writer: number,
  store: ObjectStore,
  connection: EngineConnection,
  random: Random,
  options: TransactionOptions,
  statements: Statement[],
): Promise<void> {
  for (let n = 0; n < 4; n++) {
    const kind = pick(random, KINDS)
    // What is written exactly once is the same for all writers: a job that several were told to run.
    const isShared = kind === 'once'
    const statement: Statement = {
      id: isShared ? `once.${n}` : `${writer}.${n}`,
      kind,
      key: isShared ? (COUNTERS[n % COUNTERS.length] ?? '') : pick(random, COUNTERS),
      outcome: 'died',
      conflicts: 0,
      isDoubtful: false,
    }
    statements.push(statement)
    for (let attempt = 0; attempt < 6; attempt++) {
      statement.outcome = 'died'
      statement.outcome = await runStatement(store, connection, statement, attempt, options)
      if (statement.outcome === 'conflict') statement.conflicts++
      if (statement.outcome === 'unknown') statement.isDoubtful = true
      // An application that writes exactly once tries again whatever it was told; others only
      // after a conflict.
      const again =
        statement.outcome === 'conflict' ||
        (kind === 'once' && (statement.outcome === 'failed' || statement.outcome === 'unknown'))
      if (!again) break
    }
  }
}

async function runStatement(
  store: ObjectStore,
  connection: EngineConnection,
  statement: Statement,
  attempt: number,
  options: TransactionOptions,
): Promise<Outcome> {
  try {
    const snapshot = await loadSnapshot(store, connection, TABLE, null)
    if (snapshot === null) return 'failed'
    const transaction = await Transaction.begin(store, snapshot, options)
    const file = `${statement.id}-${attempt}`
    switch (statement.kind) {
      case 'append':
        transaction.add([
          await writeFile(store, file, statement.key, [{ id: statement.id, value: 1 }]),
        ])
        break
      case 'once':
        // The transaction is in the table already: what it says is done.
        if (!transaction.setTransaction(`app ${statement.id}`, 1n)) return 'committed'
        transaction.add([
          await writeFile(store, file, statement.key, [{ id: statement.id, value: 1 }]),
        ])
        break
      case 'count': {
        const { files, rows } = await readPartition(store, snapshot, statement.key)
        transaction.recordRead(isPartition(statement.key), files)
        const touched = files.filter((_, i) => rows[i]?.some((row) => row.id === 'counter'))
        const kept = rows.flatMap((list) => (list.some((row) => row.id === 'counter') ? list : []))
        const counted = kept.map((row) =>
          row.id === 'counter' ? { ...row, value: row.value + 1 } : row,
        )
        transaction.remove(touched)
        transaction.add([await writeFile(store, file, statement.key, counted)])
        break
      }
      case 'compact': {
        const { files, rows } = await readPartition(store, snapshot, statement.key)
        if (files.length < 2) return 'skipped'
        transaction.recordRead(isPartition(statement.key), files)
        transaction.remove(files, { dataChange: false })
        const add = await writeFile(store, file, statement.key, rows.flat())
        transaction.add([{ ...add, dataChange: false }])
        break
      }
      case 'alter': {
        const configuration = { ...snapshot.metadata.configuration, altered: statement.id }
        transaction.setMetadata({ ...snapshot.metadata, configuration })
        break
      }
    }
    const result = await transaction.commit({
      operation: statement.kind.toUpperCase(),
      userMetadata: statement.id,
    })
    if (result.kind === 'conflict') return 'conflict'
    try {
      const checksum = makeChecksum(store, snapshot, TABLE, transaction.versions)
      const path = `${TABLE}/${checksumPath(result.version)}`
      if (checksum !== null) await store.putIfAbsent(path, checksum)
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown
    }
    return 'committed'
  } catch (thrown) {
    if (thrown instanceof SqlError && thrown.sqlState === SqlState.ioError) return 'failed'
    if (thrown instanceof SqlError && thrown.sqlState === SqlState.transactionResolutionUnknown) {
      return 'unknown'
    }
    throw thrown
  }
}

/** The predicate `p = key`. */
export function isPartition(key: string): Predicate {
  return {
    kind: 'compare',
    operator: '=',
    term: { kind: 'column', path: ['p'] },
    value: { type: { kind: 'scalar', name: 'VARCHAR' }, value: key },
  }
}

async function writeFile(
  store: ObjectStore,
  name: string,
  key: string,
  rows: readonly Row[],
): Promise<AddFile> {
  const bytes = new TextEncoder().encode(JSON.stringify(rows))
  const path = `p=${key}/${name}-${crypto.randomUUID()}.json`
  await store.write(`${TABLE}/${path}`, bytes)
  return {
    path,
    partitionValues: { p: key },
    size: bytes.length,
    modificationTime: 1,
    dataChange: true,
    stats: JSON.stringify({ numRecords: rows.length }),
  }
}

async function readPartition(
  store: ObjectStore,
  snapshot: Snapshot,
  key: string,
): Promise<{ readonly files: readonly DataFile[]; readonly rows: readonly (readonly Row[])[] }> {
  const { files } = planScan(snapshot, isPartition(key))
  const rows: Row[][] = []
  for (const file of files) rows.push(await readRows(store, file.path))
  return { files, rows }
}

async function readRows(store: ObjectStore, path: string): Promise<Row[]> {
  const bytes = await store.read(path)
  if (bytes === null) throw new Error(`the log names "${path}", which does not exist`)
  return JSON.parse(new TextDecoder().decode(bytes)) as Row[]
}

interface LogLine {
  readonly commitInfo?: { readonly userMetadata: string; readonly inCommitTimestamp: number }
  readonly add?: AddFile
  readonly remove?: { readonly path: string }
  readonly metaData?: { readonly configuration: { readonly [key: string]: string } }
}

async function readLog(store: ObjectStore): Promise<readonly (readonly LogLine[])[]> {
  const commits: LogLine[][] = []
  for (let version = 0; ; version++) {
    const bytes = await store.read(`${TABLE}/${commitPath(version)}`)
    if (bytes === null) return commits
    const lines = new TextDecoder().decode(bytes).trimEnd().split('\n')
    commits.push(lines.map((line) => JSON.parse(line) as LogLine))
  }
}

/** What is wrong with the log, given what the writers were told; nothing, if all is well. */
async function judge(
  store: MemoryStore,
  connection: EngineConnection,
  statements: readonly Statement[],
): Promise<string[]> {
  const faults: string[] = []
  const commits = await readLog(store)
  const names = (await store.listFolder(`${TABLE}/_delta_log`)).map((object) => object.path)
  const versions = names.filter((name) => name.endsWith('.json')).length
  if (versions !== commits.length)
    faults.push(`${versions} versions, but a gap at ${commits.length}`)

  const live = new Map<string, AddFile>()
  const committed = new Map<string, number>()
  const sizes: number[] = []
  let previousMs = Number.NEGATIVE_INFINITY
  for (const [version, lines] of commits.entries()) {
    const info = lines[0]?.commitInfo
    if (info === undefined) faults.push(`version ${version} begins with no commitInfo`)
    const id = info?.userMetadata ?? ''
    committed.set(id, (committed.get(id) ?? 0) + 1)
    if (!((info?.inCommitTimestamp ?? 0) > previousMs))
      faults.push(`version ${version} goes back in time`)
    previousMs = info?.inCommitTimestamp ?? previousMs
    for (const { remove } of lines) {
      if (remove !== undefined && !live.delete(remove.path)) {
        faults.push(`version ${version} removes ${remove.path}, which is not live`)
      }
    }
    for (const { add } of lines) {
      if (add === undefined) continue
      if (live.has(add.path)) faults.push(`version ${version} adds ${add.path} again`)
      const object = await store.stat(`${TABLE}/${add.path}`)
      if (object?.sizeBytes !== add.size) faults.push(`${add.path} is not whole`)
      live.set(add.path, add)
    }
    sizes.push([...live.values()].reduce((sum, add) => sum + add.size, 0))
    const checksum = await store.read(`${TABLE}/${checksumPath(version)}`)
    if (checksum !== null) {
      const { numFiles, tableSizeBytes } = JSON.parse(new TextDecoder().decode(checksum)) as {
        readonly numFiles: number
        readonly tableSizeBytes: number
      }
      if (numFiles !== live.size || tableSizeBytes !== sizes.at(-1)) {
        faults.push(
          `the checksum of version ${version} says ${numFiles} files of ${tableSizeBytes}`,
        )
      }
    }
  }

  for (const { id, kind, outcome, isDoubtful } of statements) {
    const count = committed.get(id) ?? 0
    if (count > 1) faults.push(`statement ${id} is in the log ${count} times`)
    if (outcome === 'committed' && count !== 1)
      faults.push(`statement ${id} was acknowledged and lost`)
    const mayBeOthers = kind === 'once' || isDoubtful
    if (['conflict', 'failed', 'skipped'].includes(outcome) && !mayBeOthers && count !== 0) {
      faults.push(`${kind} ${id} was said to have ended in ${outcome}, yet it is in the log`)
    }
  }

  const rows = new Map<string, Row[]>(COUNTERS.map((key) => [key, []]))
  for (const [path, add] of live) {
    rows.get(add.partitionValues.p ?? '')?.push(...(await readRows(store, `${TABLE}/${path}`)))
  }
  for (const key of COUNTERS) {
    const found = rows.get(key) ?? []
    const counters = found.filter((row) => row.id === 'counter')
    const counts = statements.filter(
      ({ id, kind, key: counted }) => kind === 'count' && counted === key && committed.has(id),
    )
    if (counters.length !== 1 || counters[0]?.value !== counts.length) {
      faults.push(`counter ${key} is ${JSON.stringify(counters)} after ${counts.length} updates`)
    }
    const appended = found
      .filter((row) => row.id !== 'counter')
      .map((row) => row.id)
      .sort()
    const written = statements.filter(
      ({ id, kind, key: into }) =>
        (kind === 'append' || kind === 'once') && into === key && committed.has(id),
    )
    const expected = [...new Set(written.map(({ id }) => id))].sort()
    if (JSON.stringify(appended) !== JSON.stringify(expected)) {
      faults.push(`partition ${key} holds ${appended.join(' ')} instead of ${expected.join(' ')}`)
    }
  }
  const snapshot = await loadSnapshot(store, connection, TABLE, null)
  if (snapshot === null || fileCount(snapshot) !== live.size)
    faults.push('the snapshot has other files than the log')
  return faults
}

function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}
