/** Layer: a schema with a rank among the others and defaults for the tables made in it. */

/** What a layer gives the tables that are made in it. */
export interface LayerDefaults {
  /** Table properties, such as `delta.appendOnly`; a table's own win. */
  readonly properties: { readonly [key: string]: string }
  /** Columns by which a table that has them all, and says nothing of its own, is partitioned. */
  readonly partitionColumns: readonly string[]
  /** Columns that every table must have. */
  readonly requiredColumns: readonly string[]
}

export interface Layer extends LayerDefaults {
  readonly name: string
  /** 1 for the rawest; null for a schema that is no step of the way. */
  readonly rank: number | null
}

/** Entries of the catalog's log about layers. */
export type LayerAction =
  | {
      readonly createLayer: {
        readonly name: string
        /** The layer it follows; undefined for a schema without a rank, null for the last. */
        readonly after?: string | null
      } & Partial<LayerDefaults>
    }
  | { readonly dropLayer: { readonly name: string } }

export const NO_DEFAULTS: LayerDefaults = {
  properties: {},
  partitionColumns: [],
  requiredColumns: [],
}

/** The schema of the system views: no layer gets its name, but a folder that a lake has already. */
export const SYSTEM_SCHEMA = 'system'

/** The layers that exist from the first start, rawest first. */
const FIRST = ['bronze', 'silver', 'gold']

/** The layers of one lake that its catalog's log tells of; folders that others made are layers too. */
export class Layers {
  readonly #ranked: string[] = [...FIRST]
  readonly #defaults = new Map<string, LayerDefaults>()
  readonly #made = new Set<string>([...FIRST, 'public'])
  readonly #dropped = new Set<string>()

  apply(action: LayerAction): void {
    if ('dropLayer' in action) {
      const { name } = action.dropLayer
      this.#dropped.add(name)
      this.#made.delete(name)
      this.#defaults.delete(name)
      const at = this.#ranked.indexOf(name)
      if (at >= 0) this.#ranked.splice(at, 1)
      return
    }
    const { name, after, ...defaults } = action.createLayer
    this.#dropped.delete(name)
    this.#made.add(name)
    this.#defaults.set(name, { ...NO_DEFAULTS, ...defaults })
    if (after === undefined) return
    const at = after === null ? this.#ranked.length : this.#ranked.indexOf(after) + 1
    this.#ranked.splice(at, 0, name)
  }

  /** Names that were made here, or exist from the start. */
  get made(): readonly string[] {
    return [...this.#made]
  }

  /** Whether it was dropped: its folder may still be there. */
  isDropped(name: string): boolean {
    return this.#dropped.has(name)
  }

  isRanked(name: string): boolean {
    return this.#ranked.includes(name)
  }

  layer(name: string): Layer {
    const at = this.#ranked.indexOf(name)
    return {
      name,
      rank: at < 0 ? null : at + 1,
      ...(this.#defaults.get(name) ?? NO_DEFAULTS),
    }
  }
}
