/** Clone syntax: CREATE TABLE … SHALLOW or DEEP CLONE, in a lakehouse's words. */

import { SqlError, SqlState } from '../storage/errors.js'
import { Words } from './words.js'

/** A version or a time of a table, as SQL. */
export interface StatedVersion {
  readonly kind: 'version' | 'timestamp'
  readonly expression: string
}

/** A CREATE TABLE … CLONE as it is written. */
export interface CloneTable {
  readonly kind: 'clone'
  readonly name: readonly string[]
  readonly source: readonly string[]
  readonly shallow: boolean
  readonly orReplace: boolean
  readonly ifNotExists: boolean
  /** Null: the newest. */
  readonly at: StatedVersion | null
  readonly properties: ReadonlyMap<string, string>
  readonly location: string | undefined
}

/** The CREATE TABLE … CLONE that `sql` is, or null when it is something else; 42601. */
export function parseClone(sql: string): CloneTable | null {
  if (!/\bclone\b/i.test(sql)) return null
  const words = new Words(sql)
  if (!words.take('create')) return null
  const orReplace = words.take('or')
  if (orReplace && !words.take('replace')) return null
  if (!words.take('table')) return null
  const ifNotExists = words.take('if')
  if (ifNotExists && !(words.take('not') && words.take('exists'))) return null
  if (!words.isName()) return null
  const name = words.name()
  const shallow = words.take('shallow')
  if (!shallow) words.take('deep')
  if (!words.take('clone')) return null
  const source = words.name()
  const kind = words.take('timestamp') ? 'timestamp' : words.take('version') ? 'version' : null
  let at: StatedVersion | null = null
  if (kind !== null) {
    words.need('as')
    words.need('of')
    at = { kind, expression: words.until('tblproperties', 'location').text }
  }
  let properties: ReadonlyMap<string, string> = new Map()
  let location: string | undefined
  for (;;) {
    if (words.take('tblproperties')) properties = words.properties()
    else if (words.take('location')) location = words.string()
    else break
  }
  words.end()
  if (orReplace && ifNotExists) {
    throw new SqlError(SqlState.syntaxError, 'OR REPLACE and IF NOT EXISTS exclude each other')
  }
  return { kind: 'clone', name, source, shallow, orReplace, ifNotExists, at, properties, location }
}
