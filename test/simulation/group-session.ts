/** GroupSession: the statements that simulated sessions run over the tables of a GroupLake, and what they see. */

import { commitChanges } from '../../planner/group-commit.js'
import { TableChange } from '../../planner/table-change.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import type { NewTable } from '../../storage/new-table.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { isPartition } from './commit-simulation.js'
import type { Random } from './faulty-store.js'
import {
  definitionOf,
  journalOf,
  MARK,
  onlyRow,
  type RowFiles,
  type SimulatedGateway,
  TABLES,
} from './group-lake.js'

/** What a session was told of one statement. */
export type Outcome = 'committed' | 'conflict' | 'failed' | 'unknown' | 'died'

export const KINDS = ['transfer', 'log', 'alter', 'create', 'single', 'append'] as const

export interface Statement {
  /** Its row in the journal of every table it changes. */
  readonly id: string
  readonly kind: (typeof KINDS)[number]
  /** Paths of the tables it changes, and what it adds to their balances. */
  readonly amounts: ReadonlyMap<string, number>
  /** The table it makes. */
  readonly creates: string | null
  outcome: Outcome
  /** A run of it ended in doubt, so that it may count whatever became of the later ones. */
  isDoubtful: boolean
}

/** A statement over as many of the tables as its kind asks for. */
export function makeStatement(id: string, random: Random): Statement {
  const kind = pick(random, KINDS)
  const tables = shuffled(random, TABLES).map(({ path }) => path)
  const count = kind === 'create' || kind === 'single' || kind === 'append' ? 1 : 2 + half(random)
  const chosen = tables.slice(0, count)
  const amount = 1 + Math.floor(random() * 3)
  const amounts = new Map(
    chosen.map((path, i) => [
      path,
      kind !== 'transfer' ? 0 : i === 0 ? amount * (count - 1) : -amount,
    ]),
  )
  const creates = kind === 'create' ? `silver/new_${id.replace('.', '_')}` : null
  return { id, kind, amounts, creates, outcome: 'died', isDoubtful: false }
}

/** A transaction block's view of the tables: as in planner/transaction-block.ts. */
export class BlockView {
  readonly #gateway: SimulatedGateway
  readonly #startedMs = Date.now()
  readonly snapshots = new Map<string, Snapshot>()

  constructor(gateway: SimulatedGateway) {
    this.#gateway = gateway
  }

  async read(path: string): Promise<Snapshot> {
    const seen = new Map([...this.snapshots].map(([other, { version }]) => [other, version]))
    const snapshot = await this.#gateway.snapshots.consistent(path, seen, this.#startedMs)
    if (snapshot === null) throw new Error(`there is no table ${path}`)
    this.snapshots.set(path, snapshot)
    return snapshot
  }
}

/** Runs a statement once; `run` makes the names of its files its own. */
export async function runStatement(
  gateway: SimulatedGateway,
  files: RowFiles,
  statement: Statement,
  run: string,
): Promise<Outcome> {
  try {
    const view = new BlockView(gateway)
    const changes: TableChange[] = []
    for (const [path, amount] of statement.amounts) {
      changes.push(await changeTable(gateway, files, statement, await view.read(path), amount, run))
    }
    if (statement.creates !== null) {
      const name = statement.creates
      const change = new TableChange(
        { layer: 'silver', name: name.slice('silver/'.length), path: name },
        null,
        definitionOf(name, 1000),
      )
      const row = { id: statement.id, value: 1 }
      const add = await files.write(gateway.store, name, 'journal', run, row)
      change.apply({ operation: 'CREATE TABLE AS SELECT', adds: [add] })
      changes.push(change)
    }
    await commitChanges(gateway, changes)
    return 'committed'
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    switch (thrown.sqlState) {
      case SqlState.serializationFailure:
      case SqlState.duplicateTable:
        return 'conflict'
      case SqlState.ioError:
        return 'failed'
      case SqlState.transactionResolutionUnknown:
        return 'unknown'
      default:
        throw thrown
    }
  }
}

async function changeTable(
  { store }: SimulatedGateway,
  files: RowFiles,
  { id, kind }: Statement,
  base: Snapshot,
  amount: number,
  run: string,
): Promise<TableChange> {
  const path = base.tablePath
  const [layer = '', name = ''] = path.split('/')
  const change = new TableChange({ layer, name, path }, base)
  const write = (partition: string, row: { readonly id: string; readonly value: number }) =>
    files.write(store, path, partition, `${run}-${partition}`, row)
  const adds = [await write('journal', { id, value: 1 })]
  const partition = kind === 'transfer' ? 'balance' : kind === 'single' ? 'own' : null
  if (partition !== null) {
    const { file, row } = onlyRow(base, partition)
    const value = row.value + (kind === 'single' ? 1 : amount)
    adds.push(await write(partition, { id: partition, value }))
    const reads = [{ predicate: isPartition(partition), files: [file] }]
    change.apply({ operation: 'UPDATE', adds, removes: [file], reads })
  } else if (kind === 'alter') {
    change.apply({ operation: 'SET TBLPROPERTIES', adds, definition: marked(base, id) })
  } else change.apply({ operation: 'INSERT', adds })
  return change
}

function marked(base: Snapshot, mark: string): NewTable {
  const { tablePath, protocol, metadata, schema, columnMapping, domains } = base
  const configuration = { ...metadata.configuration, [MARK]: mark }
  return {
    tablePath,
    protocol,
    metadata: { ...metadata, configuration },
    schema,
    columnMapping,
    domains,
  }
}

/**
 * What is wrong with what one block sees when it reads `paths` in that order, given that the
 * statements of `known` were acknowledged before it began; nothing, if all is well.
 */
export async function look(
  gateway: SimulatedGateway,
  paths: readonly string[],
  statements: readonly Statement[],
  known: ReadonlySet<Statement>,
): Promise<readonly string[]> {
  const view = new BlockView(gateway)
  for (const path of paths) await view.read(path)
  const faults: string[] = []
  const journals = new Map<string, readonly string[]>()
  for (const [path, snapshot] of view.snapshots) {
    const journal = journalOf(snapshot)
    if (new Set(journal).size < journal.length)
      faults.push(`${path} has a row twice: ${journal.join(' ')}`)
    journals.set(path, journal)
  }
  for (const statement of statements) {
    const read = [...statement.amounts.keys()].filter((path) => journals.has(path))
    const shows = read.filter((path) => journals.get(path)?.includes(statement.id))
    if (shows.length > 0 && shows.length < read.length) {
      faults.push(
        `a part of ${statement.kind} ${statement.id} shows: ${shows.join(', ')} of ${read.join(', ')}`,
      )
    }
    if (known.has(statement) && shows.length < read.length) {
      faults.push(`${statement.kind} ${statement.id} was acknowledged and does not show`)
    }
  }
  for (const [path, snapshot] of view.snapshots) {
    const journal = journals.get(path) ?? []
    const shown = statements.filter(({ id, amounts }) => amounts.has(path) && journal.includes(id))
    const balance = shown.reduce((sum, { amounts }) => sum + (amounts.get(path) ?? 0), 0)
    const own = shown.filter(({ kind }) => kind === 'single').length
    const found = [onlyRow(snapshot, 'balance').row.value, onlyRow(snapshot, 'own').row.value]
    if (found[0] !== balance || found[1] !== own) {
      faults.push(`${path} holds ${found.join(' and ')} instead of ${balance} and ${own}`)
    }
    const mark = snapshot.metadata.configuration[MARK]
    const marks = shown.filter(({ kind }) => kind === 'alter').map(({ id }) => id)
    if (mark === undefined ? marks.length > 0 : !marks.includes(mark)) {
      faults.push(`${path} is marked ${mark}, altered by ${marks.join(' ')}`)
    }
  }
  return faults
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const keyed = items.map((item) => [random(), item] as const)
  return keyed.sort(([a], [b]) => a - b).map(([, item]) => item)
}

function half(random: Random): number {
  return random() < 0.5 ? 0 : 1
}
