/** Which table, column or constraint the rows of a failed statement violate. */

import { SqlError, SqlState } from '../storage/errors.js'

/** By code, what the message names last in quotes: messages are all that comes out of a running query. */
const NAMED: ReadonlyMap<
  SqlState,
  { readonly what: 'column' | 'constraint'; readonly in: RegExp }
> = new Map([
  [SqlState.notNullViolation, { what: 'column', in: /^null value in column "(.*)" of relation "/ }],
  [SqlState.checkViolation, { what: 'constraint', in: /violates check constraint "(.*)"$/ }],
])

/** `thrown` with the fields that PostgreSQL's errors of violated constraints have, if it is one of `table`. */
export function violationOf(
  thrown: unknown,
  table: { readonly layer: string; readonly name: string },
): unknown {
  if (!(thrown instanceof SqlError) || thrown.violated !== undefined) return thrown
  const named = NAMED.get(thrown.sqlState)
  const name = named?.in.exec(thrown.message)?.[1]
  if (named === undefined || name === undefined) return thrown
  return thrown.of({ schema: table.layer, table: table.name, [named.what]: name })
}
