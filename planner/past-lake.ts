/** PastLake: the lake at the moment that `lakegate.as_of` pins - its names and its tables. */

import type { Catalog } from '../catalog/catalog.js'
import { Oid } from '../catalog/pg-types.js'
import { invalidValue } from '../catalog/setting.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { Moment } from '../storage/moment.js'
import type { ObjectStore } from '../storage/object-store.js'
import type { SnapshotCache } from '../storage/snapshot-cache.js'
import { printTimestamp } from '../storage/time-text.js'
import { INFINITE_MICROS } from './date-time-range.js'
import { dateTimeOf, type DateTimeStyle } from './date-time-value.js'
import { offsetText, Zone } from './zone.js'

/** The setting that pins a session. */
export const AS_OF = 'lakegate.as_of'

/** What a lake is read by. */
interface LakeParts {
  readonly store: ObjectStore
  readonly snapshots: SnapshotCache
  readonly catalog: Catalog
}

/** Names and tables of one lake at one past time; shared by all sessions that look at it. */
export class PastLake {
  readonly #moment: Moment
  /** The names as they were. */
  readonly catalog: Catalog

  constructor(
    { store, snapshots, catalog }: LakeParts,
    /** Milliseconds since 1970. */
    timestampMs: number,
  ) {
    this.#moment = new Moment(store, snapshots, timestampMs)
    this.catalog = catalog.at(timestampMs, async (path) => {
      try {
        return (await this.#moment.snapshot(path))?.metadata.id ?? null
      } catch (thrown) {
        // It was there, though it cannot be read any more: whoever asks for it is told why.
        if (thrown instanceof SqlError) return ''
        throw thrown
      }
    })
  }

  /** The table in that folder as it was, null when there was none; 22023 when its log forgot. */
  snapshot(tablePath: string): ReturnType<Moment['snapshot']> {
    return this.#moment.snapshot(tablePath)
  }
}

/**
 * What `lakegate.as_of` keeps of the text a client gives: the moment with the offset of the
 * session's zone, so that another zone later does not move it; '' stands for none.
 *
 * 22023 for what is no time, and for one that is still to come.
 */
export function asOfText(text: string, style: DateTimeStyle): string {
  if (text.trim() === '') return ''
  const nowMicros = BigInt(Date.now()) * 1000n
  const micros = /^\s*now\s*$/i.test(text) ? nowMicros : microsOf(text, style)
  if (micros > nowMicros) {
    throw invalidValue(AS_OF, text, { detail: 'That time is still to come.' })
  }
  const seconds = new Zone(style.timeZone).offsetSeconds(micros)
  const local = printTimestamp(micros + BigInt(seconds) * 1_000_000n, 6)
  if (local === null) throw invalidValue(AS_OF, text)
  return local.replace(/\.?0+$/, '') + offsetText(seconds)
}

function microsOf(text: string, style: DateTimeStyle): bigint {
  try {
    const value = dateTimeOf(text, Oid.timestamptz, style)
    if (typeof value === 'bigint' && value > -INFINITE_MICROS && value < INFINITE_MICROS) {
      return value
    }
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    throw invalidValue(AS_OF, text, { detail: thrown.message })
  }
  throw invalidValue(AS_OF, text)
}

/** Milliseconds since 1970 of what asOfText keeps: a commit made later in it does not count. */
export function asOfMs(kept: string): number {
  const value = dateTimeOf(kept, Oid.timestamptz, { dateOrder: 'YMD', timeZone: 'UTC' })
  const micros = value as bigint
  return Number((micros - (((micros % 1000n) + 1000n) % 1000n)) / 1000n)
}

/** 25006: nothing can be changed in the past. */
export function readOnlyPast(what: string): SqlError {
  return new SqlError(
    SqlState.readOnlySqlTransaction,
    `cannot execute ${what} while ${AS_OF} is set`,
    { hint: `RESET ${AS_OF} first.` },
  )
}

/** 42P01: there is such a relation, but there was none then. */
export function laterRelation(name: readonly string[]): SqlError {
  return new SqlError(SqlState.undefinedTable, `relation "${name.join('.')}" does not exist`, {
    hint: `It did not exist at the moment of ${AS_OF}. RESET ${AS_OF} to see it.`,
  })
}
