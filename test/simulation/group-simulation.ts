/**
 * Goal: a transaction over several tables counts as a whole, once, or not at all, whatever the store
 * does to the gateway that commits it and to those that clean up behind it.
 *
 * Method: sessions of several gateways move amounts between tables, append, alter and make tables,
 * and look at them, over stores that fail, delay, answer late, and fail after they succeeded; some
 * gateways are killed, and so are those that recover. The order of all store calls depends on a seed,
 * and so does time, which the simulation lets pass. Afterwards a gateway that has seen nothing of it
 * looks at the lake.
 */

import { vi } from 'vitest'
import type { Engine } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { commitPath } from '../../storage/log-path.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { Transaction } from '../../storage/transaction.js'
import { loadSnapshot } from '../../storage/snapshot.js'
import { MemoryStore } from '../support/memory-store.js'
import { FaultyStore, type FaultRates, type Random, Scheduler, seeded } from './faulty-store.js'
import {
  journalOf,
  makeLake,
  openGateway,
  type RowFiles,
  type SimulatedGateway,
  TABLES,
} from './group-lake.js'
import {
  look,
  makeStatement,
  pick,
  runStatement,
  shuffled,
  type Statement,
} from './group-session.js'

const GATEWAYS = 3
const SESSIONS = 2
const STATEMENTS = 3

/** Ids of all that write in any run. */
export const IDS: readonly string[] = [
  ...Array.from({ length: GATEWAYS * SESSIONS * STATEMENTS }, (_, i) =>
    [Math.floor(i / STATEMENTS), i % STATEMENTS].join('.'),
  ),
  ...Array.from({ length: STATEMENTS }, (_, i) => `foreign.${i}`),
  'last',
]

/** No log that it reads has a checkpoint, so nothing is asked of it. */
export const NO_ENGINE = {
  connect: () => Promise.resolve({ close: () => {} }),
} as unknown as Engine

export interface GroupReport {
  readonly faults: readonly string[]
  readonly outcomes: { readonly [outcome: string]: number }
  readonly versions: readonly number[]
  readonly store: MemoryStore
}

const START_MS = Date.UTC(2026, 0, 1)

/** Lets time pass for `work` alone, a millisecond whenever everybody waits. */
export async function inSimulatedTime<T>(random: Random, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: START_MS })
  const dice = vi.spyOn(Math, 'random').mockImplementation(random)
  let isDone = false
  const pump = async (): Promise<void> => {
    while (!isDone) {
      vi.advanceTimersByTime(1)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const pumping = pump()
  try {
    return await work()
  } finally {
    isDone = true
    await pumping
    dice.mockRestore()
    vi.useRealTimers()
  }
}

/** Runs one seed; the same seed gives the same interleaving, unless `engine` writes checkpoints. */
export function simulateGroups(
  seed: number,
  files: RowFiles,
  scratch: string,
  engine: Engine | null,
): Promise<GroupReport> {
  const random = seeded(seed)
  return inSimulatedTime(random, () => simulate(random, files, scratch, engine))
}

async function simulate(
  random: Random,
  files: RowFiles,
  scratch: string,
  engine: Engine | null,
): Promise<GroupReport> {
  const store = new MemoryStore(scratch, START_MS)
  await makeLake(store, files, engine === null ? 1000 : 2)
  const scheduler = new Scheduler(random)
  const world: World = {
    store,
    files,
    random,
    engine: engine ?? NO_ENGINE,
    statements: [],
    known: new Set(),
    faults: [],
  }
  const rates: FaultRates = {
    fails: pick(random, [0, 0, 0.01, 0.05, 0.4]),
    failsLate: pick(random, [0, 0, 0.01, 0.05]),
    ambiguous: pick(random, [0, 0.1, 0.4, 0.9]),
  }
  const stores: FaultyStore[] = []
  /** A gateway that may die, and what ends when all its sessions have, or when it dies. */
  const live = (
    mayDie: number,
    callsMax: number,
    run: (gateway: SimulatedGateway) => Promise<unknown>,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const calls = random() < mayDie ? 1 + Math.floor(random() * callsMax) : Infinity
      const faulty = new FaultyStore(store, scheduler, random, rates, calls, resolve)
      stores.push(faulty)
      const gateway = openGateway(faulty, world.engine, pick(random, [0, 3, 30, 300]))
      run(gateway).then(() => resolve(), reject)
    })
  const people = Array.from({ length: GATEWAYS }, (_, gateway) =>
    live(0.5, 250, async (opened) => {
      const sessions = Array.from({ length: SESSIONS }, (_, session) =>
        runSession(world, opened, gateway * SESSIONS + session),
      )
      await Promise.all(sessions)
      await Promise.all(opened.background)
    }),
  )
  if (random() < 0.3) people.push(appendAsStranger(world, scheduler))
  await Promise.all(people)
  // Those who recover may die at it, too.
  for (let n = Math.floor(random() * 3); n > 0; n--) {
    await live(0.7, 60, (gateway) => lookAgain(world, gateway))
  }
  // Requests that were still on their way arrive before, or behind, the one that recovers.
  if (random() < 0.5) await recover(world)
  for (const faulty of stores) await faulty.settle()
  await recover(world)
  await judge(world)
  const outcomes: Record<string, number> = {}
  for (const { kind, outcome } of world.statements) {
    outcomes[`${kind} ${outcome}`] = (outcomes[`${kind} ${outcome}`] ?? 0) + 1
  }
  const versions = await Promise.all(TABLES.map(({ path }) => versionsOf(store, path)))
  return { faults: world.faults, outcomes, versions, store }
}

export interface World {
  readonly store: MemoryStore
  readonly files: RowFiles
  readonly random: Random
  readonly engine: Engine
  readonly statements: Statement[]
  /** Statements that were acknowledged. */
  readonly known: Set<Statement>
  readonly faults: string[]
}

async function runSession(world: World, gateway: SimulatedGateway, session: number): Promise<void> {
  const { random, statements, known, files } = world
  for (let n = 0; n < STATEMENTS; n++) {
    if (random() < 0.4) await lookAgain(world, gateway)
    const statement = makeStatement(`${session}.${n}`, random)
    statements.push(statement)
    for (let attempt = 0; attempt < 4; attempt++) {
      statement.outcome = 'died'
      const name = `${statement.id}-${attempt}`
      statement.outcome = await runStatement(gateway, files, statement, name)
      if (statement.outcome === 'unknown') statement.isDoubtful = true
      if (statement.outcome !== 'conflict') break
    }
    if (statement.outcome === 'committed') known.add(statement)
  }
}

/** A block that reads the tables in any order; what the store does to it is no fault. */
async function lookAgain(world: World, gateway: SimulatedGateway): Promise<void> {
  const { random, statements, known, faults } = world
  const paths = shuffled(random, TABLES).map(({ path }) => path)
  try {
    faults.push(...(await look(gateway, paths, statements, new Set(known))))
  } catch (thrown) {
    const isExpected =
      thrown instanceof SqlError &&
      [SqlState.ioError, SqlState.serializationFailure, SqlState.transactionResolutionUnknown].some(
        (state) => state === thrown.sqlState,
      )
    if (!isExpected) throw thrown
  }
}

/** An engine that knows nothing of groups appends to a table. */
async function appendAsStranger({ store, files }: World, scheduler: Scheduler): Promise<void> {
  const { path } = TABLES[0] ?? { path: '' }
  for (let n = 0; n < STATEMENTS; n++) {
    await scheduler.turn()
    const connection = await NO_ENGINE.connect()
    const snapshot = await loadSnapshot(store, connection, path, null).catch(() => null)
    if (snapshot === null) return
    await scheduler.turn()
    const id = `foreign.${n}`
    const transaction = await Transaction.begin(store, snapshot)
    transaction.add([await files.write(store, path, 'journal', id, { id, value: 1 })])
    await transaction.commit({ operation: 'WRITE' })
  }
}

/** A gateway that knows nothing of what was, and waits for nobody, reads everything. */
export async function recover(world: World): Promise<SimulatedGateway> {
  const gateway = openGateway(world.store, world.engine, 0)
  const paths = TABLES.map(({ path }) => path)
  world.faults.push(...(await look(gateway, paths, world.statements, world.known)))
  for (const { creates } of world.statements) {
    if (creates !== null) await gateway.snapshots.latest(creates)
  }
  return gateway
}

/** Holds what is in the lake against what sessions were told, and changes every table once more. */
export async function judge(world: World): Promise<void> {
  const { store, files, statements, faults } = world
  const gateway = openGateway(store, world.engine, 0)
  const journals = new Map<string, readonly string[]>()
  for (const { path } of TABLES) {
    const snapshot = await gateway.snapshots.latest(path)
    if (snapshot !== null) journals.set(path, journalOf(snapshot))
  }
  for (const statement of statements) {
    const { id, kind, outcome, isDoubtful, creates } = statement
    const [first = ''] = statement.amounts.keys()
    const counts = journals.get(first)?.includes(id) === true
    if (outcome === 'committed' && !counts) faults.push(`${kind} ${id} was acknowledged and lost`)
    if ((outcome === 'conflict' || outcome === 'failed') && counts && !isDoubtful) {
      faults.push(`${kind} ${id} was said to have ended in ${outcome}, yet it counts`)
    }
    if (creates === null) continue
    const found = await gateway.catalog.resolve(creates.split('/'), [])
    const made = found === null ? null : await gateway.snapshots.latest(creates)
    const rows = made === null ? null : journalOf(made).join(' ')
    if (rows !== (counts ? id : null)) {
      faults.push(`${id} ${counts ? 'counts' : 'does not count'}, and ${creates} holds ${rows}`)
    }
  }
  const last: Statement = {
    id: 'last',
    kind: 'transfer',
    amounts: new Map(TABLES.map(({ path }, i) => [path, i === 0 ? 2 : -1])),
    creates: null,
    outcome: 'died',
    isDoubtful: false,
  }
  statements.push(last)
  last.outcome = await runStatement(gateway, files, last, 'last')
  if (last.outcome !== 'committed') faults.push(`the tables are stuck: ${last.outcome}`)
  else world.known.add(last)
  await Promise.all(gateway.background)
  await recover(world)
}

async function versionsOf(store: ObjectStore, path: string): Promise<number> {
  let version = 0
  while ((await store.stat(`${path}/${commitPath(version)}`)) !== null) version++
  return version
}
