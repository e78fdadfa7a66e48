/** Fulfilled: what the statements of this gateway see to when they make rows. */

import type { Obligation } from '../storage/table-protocol.js'

/** See Obligation; a table that asks for more is refused to writers. */
export const FULFILLED: ReadonlySet<Obligation> = new Set<Obligation>([
  'checkConstraints',
  'invariants',
  'generatedColumns',
  'identityColumns',
  'charVarchar',
  'changeData',
])
