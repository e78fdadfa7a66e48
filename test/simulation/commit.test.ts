/** The commit simulation under many seeds; LAKEGATE_SEEDS=5000 runs that many, LAKEGATE_FIRST_SEED begins elsewhere. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { simulateCommits } from './commit-simulation.js'

const seeds = Number(process.env.LAKEGATE_SEEDS ?? 1000)
const first = Number(process.env.LAKEGATE_FIRST_SEED ?? 1)

let engine: Engine
let connection: EngineConnection

beforeAll(async () => {
  engine = await Engine.open({})
  connection = await engine.connect()
})

afterAll(() => engine.close())

it(
  'every acknowledged commit is in the log exactly once, without a gap, and no update is lost',
  async () => {
    const totals = new Map<string, number>()
    const failures: string[] = []
    for (let seed = first; seed < first + seeds; seed++) {
      const { faults, outcomes } = await simulateCommits(seed, connection)
      for (const fault of faults) failures.push(`seed ${seed}: ${fault}`)
      for (const [name, count] of Object.entries(outcomes)) {
        totals.set(name, (totals.get(name) ?? 0) + count)
      }
    }
    console.info(`${seeds} seeds:`, Object.fromEntries([...totals].sort()))
    expect(failures).toEqual([])
    // The seeds must have met what they are there for.
    for (const outcome of ['append committed', 'count committed', 'count lost', 'once committed']) {
      expect(totals.get(outcome) ?? 0, outcome).toBeGreaterThan(seeds / 20)
    }
    for (const outcome of ['append failed', 'append unknown', 'compact lost', 'count died']) {
      expect(totals.get(outcome) ?? 0, outcome).toBeGreaterThan(0)
    }
  },
  60_000 + seeds * 100,
)

it('a seed gives the same interleaving each time', async () => {
  const once = await simulateCommits(7, connection)
  const again = await simulateCommits(7, connection)
  expect(again).toEqual(once)
})
