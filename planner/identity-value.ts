/** IdentityValue: the number that an identity column gives to a row. */

import { quoteLiteral } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import { type IdentityColumn, identitiesLeft, nextIdentity } from '../storage/identity-column.js'
import type { TargetColumn } from './target-table.js'

/** The number that an identity column gives the row which `counter` counts, from 1; 2200H past the last. */
export function identityValue(
  column: TargetColumn,
  identity: IdentityColumn,
  counter: string,
  table: string,
): string {
  const next = nextIdentity(identity)
  const end = identity.step > 0n ? 'maximum' : 'minimum'
  const limit = identity.step > 0n ? 2n ** 63n - 1n : -(2n ** 63n)
  const message = `lakegate!2200H!nextval: reached ${end} value of sequence "${table}_${column.field.name}_seq" (${limit})`
  // TRY_CAST, since DuckDB may compute for rows that it then leaves out.
  const value = `TRY_CAST(${next}::HUGEINT + ${identity.step}::HUGEINT * (${counter} - 1) AS BIGINT)`
  const type = printEngineType(column.type.engine)
  return `CAST(CASE WHEN ${counter} > ${identitiesLeft(identity)}::HUGEINT THEN error(${quoteLiteral(message)}) ELSE ${value} END AS ${type})`
}
