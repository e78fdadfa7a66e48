/** Disk errors: what a failed call of the file system means. */

import { SqlError, SqlState } from './errors.js'

/** The system's name of a failure, such as ENOENT; undefined for other errors. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown) return String(thrown.code)
  return undefined
}

/** 53100 when the disk is full, 58030 otherwise; an SqlError stays what it is. */
export function diskError(path: string, thrown: unknown): SqlError {
  if (thrown instanceof SqlError) return thrown
  const code = codeOf(thrown)
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new SqlError(
    isFull ? SqlState.diskFull : SqlState.ioError,
    `could not access "${path}": ${code ?? String(thrown)}`,
    { cause: thrown },
  )
}
