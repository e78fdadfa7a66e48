/** ExpressionWork: one node of an expression under analysis, with all that is known around it. */

import type { Analysis } from './analysis.js'
import type { Place } from './expression-place.js'
import type { Scope } from './scope.js'
import type { Node } from './syntax-tree.js'
import type { TypedExpression } from './typed-expression.js'

/** A node with its place in the statement. */
export interface Work {
  readonly analysis: Analysis
  readonly node: Node
  readonly fields: Node
  readonly location: number
  readonly scope: Scope
  readonly place: Place
  /** Analyses a part of the node where the node itself stands. */
  readonly analyze: (part: Node) => TypedExpression
}

/** The part `node` of what is under analysis, typed. */
export function inner(work: Work, node: unknown): TypedExpression {
  return work.analyze(node as Node)
}
