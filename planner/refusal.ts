/** Refusals: errors that statements of many kinds raise in the same words. */

import { SqlError, SqlState } from '../storage/errors.js'

/** 0A000. */
export function notSupported(what: string, hint?: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`, { hint })
}

/** 25006. */
export function readOnlyTransaction(what: string): SqlError {
  return new SqlError(
    SqlState.readOnlySqlTransaction,
    `cannot execute ${what} in a read-only transaction`,
  )
}

/** 25P01. */
export function needsTransactionBlock(what: string): SqlError {
  return new SqlError(
    SqlState.noActiveSqlTransaction,
    `${what} can only be used in transaction blocks`,
  )
}

/** 42P01. */
export function undefinedRelation(name: readonly string[]): SqlError {
  return new SqlError(SqlState.undefinedTable, `relation "${name.join('.')}" does not exist`)
}
