/** TimeSlices: long work in short pieces, so that everything else goes on in between. */

import { setImmediate } from 'node:timers/promises'

/** How long other sessions wait for a piece of work, at most. */
const SLICE_MS = 5

export class TimeSlices {
  #until = performance.now() + SLICE_MS

  /** Whether others have waited long enough. */
  get isOver(): boolean {
    return performance.now() >= this.#until
  }

  /** Lets everything run that waits, then begins a new slice. */
  async next(): Promise<void> {
    await setImmediate()
    this.#until = performance.now() + SLICE_MS
  }
}
