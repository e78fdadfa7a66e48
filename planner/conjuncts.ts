/** Conjuncts: the parts of a condition. */

import type { TypedExpression } from './typed-expression.js'

/** The parts of a condition that must all hold. */
export function conjunctsOf(condition: TypedExpression): TypedExpression[] {
  return condition.shape.kind === 'and' ? condition.parts.flatMap(conjunctsOf) : [condition]
}
