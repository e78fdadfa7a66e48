/** IdentityDraws: the numbers that identity columns hand out to rows of one statement. */

import type { IdentityColumn } from '../storage/identity-column.js'
import type { Analysis } from './analysis.js'
import { identityValue } from './identity-value.js'
import type { TargetColumn } from './target-table.js'

interface Draw {
  readonly identity: IdentityColumn
  /** Column of the rows that counts those which draw. */
  readonly counter: string
  /** Which rows draw: those for which one of these holds. */
  readonly conditions: string[]
}

/** Numbers drawn by rows that a plan reads as `row`. */
export class IdentityDraws {
  readonly #analysis: Analysis
  readonly #row: string
  readonly #table: string
  /** By the name of the column. */
  readonly #draws = new Map<string, Draw>()

  constructor(analysis: Analysis, row: string, table: string) {
    this.#analysis = analysis
    this.#row = row
    this.#table = table
  }

  /** The next number of `column`, for rows for which `condition` holds. */
  next(column: TargetColumn, identity: IdentityColumn, condition: string): string {
    const name = column.field.name
    const known = this.#draws.get(name)
    const draw = known ?? { identity, counter: this.#analysis.fresh('n'), conditions: [] }
    draw.conditions.push(condition)
    this.#draws.set(name, draw)
    return identityValue(column, identity, `${this.#row}.${draw.counter}`, this.#table)
  }

  /** `rows` with a column for each counter; `rows` itself where nothing is drawn. */
  counted(rows: string): string {
    if (this.#draws.size === 0) return rows
    const items = [...this.#draws.values()].map(({ counter, conditions }) => {
      const draws = `(${[...new Set(conditions)].join(' OR ')}) IS TRUE`
      return `CASE WHEN ${draws} THEN row_number() OVER (PARTITION BY ${draws}) END AS ${counter}`
    })
    return `SELECT ${this.#row}.*, ${items.join(', ')} FROM (${rows}) AS ${this.#row}`
  }

  /** Names of the counters. */
  get counters(): readonly string[] {
    return [...this.#draws.values()].map(({ counter }) => counter)
  }

  /** What has been drawn, by the name of the column. */
  get identities(): ReadonlyMap<string, DrawnIdentity> {
    return this.#draws
  }
}

/** An identity column, and the column of a stage that counts the rows which drew from it, from 1. */
export interface DrawnIdentity {
  readonly identity: IdentityColumn
  readonly counter: string
}
