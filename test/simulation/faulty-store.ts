/** FaultyStore: any ObjectStore, whose calls a seeded scheduler delays, fails, or fails after they succeeded. */

import { SqlError, SqlState } from '../../storage/errors.js'
import type {
  Lease,
  ObjectRef,
  ObjectEntry,
  ObjectStore,
  PutIfAbsentResult,
  StagedFile,
  Staging,
} from '../../storage/object-store.js'

/** Numbers in [0, 1) that depend on the seed alone. */
export type Random = () => number

/** The mulberry32 generator. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/**
 * Lets one call at a time proceed, in an order that the seed decides.
 *
 * A call waits in `turn` until it is chosen. One is chosen once everybody who could still ask has
 * had the chance to: after the microtasks and timers that were due.
 */
export class Scheduler {
  readonly #random: Random
  readonly #waiting: (() => void)[] = []
  #isChoosing = false

  constructor(random: Random) {
    this.#random = random
  }

  turn(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (!this.#isChoosing) {
      this.#isChoosing = true
      setImmediate(() => this.#choose())
    }
    return turn
  }

  #choose(): void {
    const index = Math.floor(this.#random() * this.#waiting.length)
    const [chosen] = this.#waiting.splice(index, 1)
    chosen?.()
    if (this.#waiting.length > 0) setImmediate(() => this.#choose())
    else this.#isChoosing = false
  }
}

/** How often, in [0, 1], a call goes wrong. */
export interface FaultRates {
  /** The call has no effect and says so (58030). */
  readonly fails: number
  /** The call takes effect and says that it failed; putIfAbsent has 'unknown' for that instead. */
  readonly failsLate: number
  /** putIfAbsent takes effect, or not, and answers 'unknown'. */
  readonly ambiguous: number
}

/** One writer's view of a store that others use too. */
export class FaultyStore implements ObjectStore {
  readonly root: string
  readonly #store: ObjectStore
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #rates: FaultRates
  /** Calls until the writer dies in the middle of one; infinite for one that lives. */
  #callsLeft: number
  readonly #onDeath: () => void
  /** Requests that go on although their caller was told that they timed out. */
  readonly #inFlight: Promise<unknown>[] = []

  constructor(
    store: ObjectStore,
    scheduler: Scheduler,
    random: Random,
    rates: FaultRates,
    callsLeft: number = Number.POSITIVE_INFINITY,
    onDeath: () => void = () => {},
  ) {
    this.root = store.root
    this.#callsLeft = callsLeft
    this.#onDeath = onDeath
    this.#store = store
    this.#scheduler = scheduler
    this.#random = random
    this.#rates = rates
  }

  list(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]> {
    return this.#call(prefix, () => this.#store.list(prefix, startAt))
  }

  listFolder(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]> {
    return this.#call(prefix, () => this.#store.listFolder(prefix, startAt))
  }

  listFolders(prefix: string): Promise<readonly string[]> {
    return this.#call(prefix, () => this.#store.listFolders(prefix))
  }

  read(path: string): Promise<Uint8Array | null> {
    return this.#call(path, () => this.#store.read(path))
  }

  readRange(path: string, offset: number, length: number): Promise<Uint8Array | null> {
    return this.#call(path, () => this.#store.readRange(path, offset, length))
  }

  stat(path: string): Promise<ObjectEntry | null> {
    return this.#call(path, () => this.#store.stat(path))
  }

  write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#call(path, () => this.#store.write(path, bytes))
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult> {
    if (this.#random() >= this.#rates.ambiguous) {
      return this.#call(path, () => this.#store.putIfAbsent(path, bytes), false)
    }
    await this.#scheduler.turn()
    await this.#live()
    const fate = this.#random()
    if (fate < 0.4) {
      await this.#store.putIfAbsent(path, bytes)
    } else if (fate < 0.7) {
      // The request is still on its way when the caller is told that it timed out.
      this.#inFlight.push(this.#scheduler.turn().then(() => this.#store.putIfAbsent(path, bytes)))
    }
    return 'unknown'
  }

  delete(path: string): Promise<void> {
    return this.#call(path, () => this.#store.delete(path))
  }

  sweep(prefix: string, beforeMs: number, dryRun: boolean): Promise<readonly string[]> {
    return this.#call(prefix, () => this.#store.sweep(prefix, beforeMs, dryRun))
  }

  async openStaging(prefix: string): Promise<Staging> {
    const open = (): Promise<Staging> => this.#store.openStaging(prefix)
    const staging = await this.#call(prefix, open, false)
    return {
      engineUrl: staging.engineUrl,
      append: (name, bytes) => this.#call(name, () => staging.append(name, bytes)),
      publish: async (files) => {
        const entries: ObjectEntry[] = []
        // One by one, so that a failure leaves some of them published.
        for (const file of files) entries.push(await this.#publish(staging, file))
        return entries
      },
      discard: () => staging.discard(),
    }
  }

  /** Resolves once no request of this writer can take effect any more. */
  async settle(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  async lend(objects: readonly ObjectRef[]): Promise<Lease> {
    return this.#store.lend(objects)
  }

  engineUrl(path: string): string {
    return this.#store.engineUrl(path)
  }

  async #publish(staging: Staging, file: StagedFile): Promise<ObjectEntry> {
    const [entry] = await this.#call(file.path, () => staging.publish([file]))
    if (entry === undefined) throw new Error('published nothing')
    return entry
  }

  async #call<T>(path: string, call: () => Promise<T>, mayFailLate = true): Promise<T> {
    await this.#scheduler.turn()
    const failed = (): SqlError => new SqlError(SqlState.ioError, `could not access "${path}": EIO`)
    // Death comes before the call or after it, and nobody hears of the answer.
    const diesLate = this.#random() < 0.5
    if (!diesLate) await this.#live()
    if (this.#random() < this.#rates.fails) throw failed()
    const answer = await call()
    if (diesLate) await this.#live()
    if (mayFailLate && this.#random() < this.#rates.failsLate) throw failed()
    return answer
  }

  async #live(): Promise<void> {
    if (--this.#callsLeft > 0) return
    this.#onDeath()
    await new Promise<never>(() => {})
  }
}
