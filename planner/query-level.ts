/** QueryLevel: one SELECT's ranges and conditions, kept so that pruning can look from a table outwards. */

import type { Range } from './scope.js'
import type { TypedExpression } from './typed-expression.js'

/** One SELECT as pruning sees it. */
export interface QueryLevel {
  /** Conditions that hold for every row that leaves the level, of WHERE and of inner joins. */
  readonly conditions: readonly LevelCondition[]
  readonly ranges: readonly LevelRange[]
  /** What computes each output column. */
  readonly outputs: readonly TypedExpression[]
  /**
   * Whether a condition on output column `i` may be asked of the level's input rows: false below
   * LIMIT, windows and aggregates, where only grouping keys pass.
   */
  readonly passes: (i: number) => boolean
  /** Whether a row may leave the level without one that came in: aggregates over no rows. */
  readonly mayInvent?: boolean | undefined
}

/** A condition, and the ranges for whose rows it must hold: all without `only`. */
export interface LevelCondition {
  readonly condition: TypedExpression
  readonly only: ReadonlySet<Range> | undefined
}

export interface LevelRange {
  readonly range: Range
  /** Relation id of a table. */
  readonly relation: number | undefined
  /** Levels of a subquery or view. */
  readonly inner: readonly QueryLevel[]
  /** The item of FROM in DuckDB's words, markers for tables; undefined where it cannot stand alone. */
  readonly sql?: string | undefined
  /** Which rows are read is left to chance: none may be missing beforehand. */
  readonly isSampled?: boolean | undefined
}
