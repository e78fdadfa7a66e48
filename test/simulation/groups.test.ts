/** The simulation of groups under many seeds; LAKEGATE_SEEDS=5000 runs that many, LAKEGATE_FIRST_SEED begins elsewhere. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { lintTable } from '../support/log-linter.js'
import { RowFiles, TABLES } from './group-lake.js'
import { IDS, simulateGroups } from './group-simulation.js'

const seeds = Number(process.env.LAKEGATE_SEEDS ?? 150)
const first = Number(process.env.LAKEGATE_FIRST_SEED ?? 1)

let engine: Engine
let connection: EngineConnection
let files: RowFiles
let scratch: string

beforeAll(async () => {
  engine = await Engine.open({})
  connection = await engine.connect()
  files = await RowFiles.make(connection, IDS)
  scratch = mkdtempSync(join(tmpdir(), 'lakegate-groups-'))
})

afterAll(async () => {
  await engine.close()
  rmSync(scratch, { recursive: true, force: true })
})

it(
  'every acknowledged transaction over several tables counts as a whole and once, every other one not at all',
  async () => {
    const totals = new Map<string, number>()
    const failures: string[] = []
    for (let seed = first; seed < first + seeds; seed++) {
      const { faults, outcomes, store } = await simulateGroups(seed, files, scratch, null)
      for (const fault of faults) failures.push(`seed ${seed}: ${fault}`)
      for (const [name, count] of Object.entries(outcomes)) {
        totals.set(name, (totals.get(name) ?? 0) + count)
      }
      if (seed % 10 !== 0) continue
      const target = join(scratch, `seed-${seed}`)
      for (const { path } of TABLES) {
        store.layOut(path, target)
        const report = await lintTable(target, path, connection)
        for (const fault of report.faults) failures.push(`seed ${seed}: ${path}: ${fault}`)
      }
      rmSync(target, { recursive: true, force: true })
    }
    console.info(`${seeds} seeds:`, Object.fromEntries([...totals].sort()))
    expect(failures).toEqual([])
    // The seeds must have met what they are there for.
    for (const outcome of ['transfer committed', 'log committed', 'create committed']) {
      expect(totals.get(outcome) ?? 0, outcome).toBeGreaterThan(seeds / 20)
    }
    for (const outcome of ['conflict', 'failed', 'died']) {
      const names = [...totals.keys()].filter((name) => name.endsWith(` ${outcome}`))
      expect(names, outcome).not.toEqual([])
    }
  },
  60_000 + seeds * 500,
)

it('checkpoints that are written meanwhile hide no group', async () => {
  const failures: string[] = []
  for (let seed = first; seed < first + Math.ceil(seeds / 10); seed++) {
    const { faults } = await simulateGroups(seed, files, scratch, engine)
    for (const fault of faults) failures.push(`seed ${seed}: ${fault}`)
  }
  expect(failures).toEqual([])
}, 600_000)

it('a seed gives the same interleaving each time', async () => {
  const { store: _, ...once } = await simulateGroups(7, files, scratch, null)
  const { store: __, ...again } = await simulateGroups(7, files, scratch, null)
  expect(again).toEqual(once)
})
