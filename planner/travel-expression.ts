/** TravelExpression: the version or time a client asks for, which DuckDB evaluates as it was written. */

import { LRUCache } from 'lru-cache'
import type { EngineConnection } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { isPlainExpression } from './engine-query.js'

/** Expressions known to read nothing. */
const plain = new LRUCache<string, true>({ max: 1000 })

/** 0A000 or 42501 for an expression that would read tables, files or settings. */
export async function requirePlainTravel(
  expression: string,
  connection: EngineConnection,
): Promise<void> {
  if (plain.has(expression)) return
  if (!(await isPlainExpression(expression, connection).catch(withoutPosition))) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'the version or time of a table must be an expression without tables',
    )
  }
  plain.set(expression, true)
}

/** A place in the expression is none in the statement. */
function withoutPosition(thrown: unknown): never {
  throw thrown instanceof SqlError ? thrown.at(undefined) : thrown
}
