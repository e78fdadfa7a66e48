/** OpenChanges: the tables that transaction blocks of this gateway are changing. */

/** Counts, by the folder of a table, the blocks that have changed it and have not ended. */
export class OpenChanges {
  readonly #counts = new Map<string, number>()

  begin(tablePath: string): void {
    this.#counts.set(tablePath, (this.#counts.get(tablePath) ?? 0) + 1)
  }

  end(tablePath: string): void {
    const left = (this.#counts.get(tablePath) ?? 0) - 1
    if (left > 0) this.#counts.set(tablePath, left)
    else this.#counts.delete(tablePath)
  }

  has(tablePath: string): boolean {
    return this.#counts.has(tablePath)
  }
}
