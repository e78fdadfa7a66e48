/**
 * Goal: wherever the gateway that commits a transaction over several tables stops, or its store fails,
 * and wherever the one stops that recovers from that, the transaction counts as a whole or not at all.
 *
 * Method: every single call of the store, one after another, goes wrong in every way there is. Of
 * recovery, one kind of statement and half of the ways unless LAKEGATE_STEPS=all.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { MemoryStore } from '../support/memory-store.js'
import { seeded } from './faulty-store.js'
import { makeLake, openGateway, RowFiles, TABLES } from './group-lake.js'
import { look, type Outcome, runStatement, type Statement } from './group-session.js'
import { IDS, inSimulatedTime, judge, NO_ENGINE, recover, type World } from './group-simulation.js'
import { FATES, type Fate, type StepStore, stepStore } from './step-store.js'

let files: RowFiles
let scratch: string

beforeAll(async () => {
  const engine = await Engine.open({})
  files = await RowFiles.make(await engine.connect(), IDS)
  await engine.close()
  scratch = mkdtempSync(join(tmpdir(), 'lakegate-steps-'))
})

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const PATHS = TABLES.map(({ path }) => path)

const STATEMENTS: readonly Pick<Statement, 'kind' | 'amounts' | 'creates'>[] = [
  {
    kind: 'transfer',
    amounts: new Map([2, -1, -1].map((amount, i) => [PATHS[i] ?? '', amount])),
    creates: null,
  },
  { kind: 'alter', amounts: new Map(PATHS.map((path) => [path, 0])), creates: null },
  { kind: 'create', amounts: new Map([[PATHS[0] ?? '', 0]]), creates: 'silver/new_0_0' },
]

interface Step {
  readonly call: number
  readonly fate: Fate
}

interface Run {
  readonly world: World
  readonly outcome: Outcome
  readonly wasHit: boolean
}

/** Runs `template` through a gateway whose call `step` goes wrong; then others recover, as `dying` says. */
async function run(
  template: Pick<Statement, 'kind' | 'amounts' | 'creates'>,
  step: Step,
  dying: Step | null,
): Promise<Run & { readonly diedTwice: boolean }> {
  const random = seeded(step.call)
  return inSimulatedTime(random, async () => {
    const store = new MemoryStore(scratch, Date.now())
    await makeLake(store, files, 1000)
    const world: World = {
      store,
      files,
      random,
      engine: NO_ENGINE,
      statements: [],
      known: new Set(),
      faults: [],
    }
    const statement: Statement = { id: '0.0', ...template, outcome: 'died', isDoubtful: false }
    world.statements.push(statement)
    const first = await use(store, step, async (step) => {
      const gateway = openGateway(step.store, NO_ENGINE, 10_000)
      statement.outcome = await runStatement(gateway, files, statement, '0.0')
      await Promise.all(gateway.background)
    })
    if (statement.outcome === 'committed') world.known.add(statement)
    statement.isDoubtful = statement.outcome === 'unknown'
    // A reader that sees it in the middle: what has not ended does not show, and is waited for.
    world.faults.push(
      ...(await look(
        openGateway(store, NO_ENGINE, 20),
        PATHS.slice(0, dying === null ? 3 : 0),
        world.statements,
        world.known,
      )),
    )
    let diedTwice = false
    if (dying !== null) {
      const second = await use(store, dying, async (step) => {
        const gateway = openGateway(step.store, NO_ENGINE, 0)
        for (const path of [...PATHS, 'silver/new_0_0']) {
          await gateway.snapshots.latest(path).catch(() => null)
        }
      })
      diedTwice = second.wasHit
      await recover(world)
      await second.settle()
    }
    await first.settle()
    await recover(world)
    await judge(world)
    return { world, outcome: statement.outcome, wasHit: first.wasHit, diedTwice }
  })
}

/** Resolves when `work` has ended, or has died. */
function use(
  store: MemoryStore,
  { call, fate }: Step,
  work: (step: StepStore) => Promise<void>,
): Promise<StepStore> {
  return new Promise((resolve, reject) => {
    const step = stepStore(store, call, fate, () => resolve(step))
    work(step).then(() => resolve(step), reject)
  })
}

it.each(STATEMENTS)(
  'a $kind over several tables survives every failure of every call',
  async (template) => {
    const failures: string[] = []
    const outcomes = new Map<string, number>()
    let hits = 0
    for (let call = 1, isOver = false; !isOver; call++) {
      isOver = true
      for (const fate of FATES) {
        const { world, outcome, wasHit } = await run(template, { call, fate }, null)
        for (const fault of world.faults) failures.push(`call ${call} ${fate}: ${fault}`)
        if (!wasHit) continue
        isOver = false
        hits++
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }
    console.info(`${template.kind}: ${hits} failures`, Object.fromEntries(outcomes))
    expect(failures).toEqual([])
    expect(hits).toBeGreaterThan(60)
    expect(outcomes.get('committed')).toBeGreaterThan(5)
    expect(outcomes.get('died')).toBeGreaterThan(20)
  },
  300_000,
)

const all = process.env.LAKEGATE_STEPS === 'all'
const RECOVERED = all ? STATEMENTS : STATEMENTS.filter(({ kind }) => kind === 'alter')
const RECOVERY_FATES = all ? FATES : (['dies before', 'dies after', 'unknown and late'] as const)

it.each(RECOVERED)(
  'whoever recovers from a $kind may fail at every call, too',
  async (template) => {
    const failures: string[] = []
    let hits = 0
    const isPut = await putsOf(template)
    for (const call of isPut) {
      for (let again = 1, isOver = false; !isOver; again++) {
        isOver = true
        for (const fate of RECOVERY_FATES) {
          const { world, diedTwice } = await run(
            template,
            { call, fate: 'dies after' },
            { call: again, fate },
          )
          for (const fault of world.faults) {
            failures.push(`died after call ${call}, recovery ${fate} at ${again}: ${fault}`)
          }
          if (!diedTwice) continue
          isOver = false
          hits++
        }
      }
    }
    console.info(`${template.kind}: ${hits} failures of recovery`)
    expect(failures).toEqual([])
    expect(hits).toBeGreaterThan(100)
  },
  900_000,
)

/** Which calls of a run put a file: after each of them the lake is in another state. */
async function putsOf(
  template: Pick<Statement, 'kind' | 'amounts' | 'creates'>,
): Promise<readonly number[]> {
  const store = new MemoryStore(scratch)
  await makeLake(store, files, 1000)
  const step = stepStore(store, 0, 'fails', () => {})
  const statement: Statement = { id: '0.0', ...template, outcome: 'died', isDoubtful: false }
  const gateway = openGateway(step.store, NO_ENGINE, 10_000)
  await runStatement(gateway, files, statement, '0.0')
  return step.calls.flatMap((method, i) => (method === 'putIfAbsent' ? [i + 1] : []))
}
