/** ColumnStatistics: what ANALYZE has counted of tables, kept in the lake beside them. */

import { LRUCache } from 'lru-cache'
import { physicalNameOf } from './column-mapping.js'
import { type EngineConnection, quoteIdentifier } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import type { ObjectStore } from './object-store.js'
import { UNKNOWN } from './predicate.js'
import { planScan } from './scan.js'
import { scanRelation } from './scan-relation.js'
import type { StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'

/** What was counted of one column. */
export interface ColumnCounts {
  /** Different values, nulls aside; an estimate of some percent. */
  readonly distinctCount: number
  readonly nullCount: number
}

/** What was counted of one table, in a version that may be an old one by now. */
export interface TableCounts {
  readonly version: number
  readonly rowCount: number
  /** Milliseconds since 1970. */
  readonly analyzedMs: number
  /** By the names that columns have in files. */
  readonly columns: { readonly [physicalName: string]: ColumnCounts }
}

const FOLDER = '_lakegate/statistics'

/** How long what is known of a table is not looked for anew. */
const FRESH_MS = 30_000

/** How often a number that others have taken is counted up. */
const ATTEMPTS = 20

/**
 * Counts by the ids of tables, as numbered files that never change: the newest one counts.
 *
 * They are estimates for choosing how to read, and nothing else: no answer depends on them.
 */
export class ColumnStatistics {
  readonly #store: ObjectStore
  readonly #known = new LRUCache<
    string,
    { readonly counts: TableCounts | null; readonly lookedMs: number }
  >({ max: 10_000 })

  constructor(store: ObjectStore) {
    this.#store = store
  }

  /** What was counted last of the table with that id in its metadata; null when nothing was, or it cannot be read. */
  async of(tableId: string): Promise<TableCounts | null> {
    const known = this.#known.get(tableId)
    const nowMs = Date.now()
    if (known !== undefined && nowMs - known.lookedMs < FRESH_MS) return known.counts
    const counts = (await this.#newest(tableId))?.counts ?? null
    this.#known.set(tableId, { counts, lookedMs: nowMs })
    return counts
  }

  /** Keeps what was counted; columns that were not counted this time stay as they are. */
  async keep(tableId: string, counted: TableCounts): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const newest = await this.#newest(tableId)
      const counts = { ...counted, columns: { ...newest?.counts?.columns, ...counted.columns } }
      const number = (newest?.number ?? 0) + 1
      const bytes = new TextEncoder().encode(`${JSON.stringify(counts)}\n`)
      if ((await this.#store.putIfAbsent(pathOf(tableId, number), bytes)) !== 'created') continue
      this.#known.delete(tableId)
      // Whoever reads the one before meanwhile has it whole.
      if (number > 2) await this.#store.delete(pathOf(tableId, number - 2)).catch(() => {})
      return
    }
    throw new SqlError(SqlState.serializationFailure, 'others are analysing the table')
  }

  async #newest(
    tableId: string,
  ): Promise<{ readonly number: number; readonly counts: TableCounts | null } | null> {
    const last = (await this.#store.listFolder(`${FOLDER}/${folderOf(tableId)}`)).at(-1)
    const number = Number(/\/(\d+)\.json$/.exec(last?.path ?? '')?.[1] ?? Number.NaN)
    if (last === undefined || Number.isNaN(number)) return null
    const bytes = await this.#store.read(last.path)
    return { number, counts: bytes === null ? null : parsed(bytes) }
  }
}

/** Ids are made by whoever makes a table, and may hold anything. */
function folderOf(tableId: string): string {
  return encodeURIComponent(tableId).replaceAll('.', '%2E')
}

function pathOf(tableId: string, number: number): string {
  return `${FOLDER}/${folderOf(tableId)}/${String(number).padStart(20, '0')}.json`
}

function parsed(bytes: Uint8Array): TableCounts | null {
  try {
    const { version, rowCount, analyzedMs, columns } = JSON.parse(
      new TextDecoder().decode(bytes),
    ) as TableCounts
    const isWhole = typeof rowCount === 'number' && typeof columns === 'object' && columns !== null
    return isWhole ? { version, rowCount, analyzedMs, columns } : null
  } catch {
    return null
  }
}

/** Counts the rows of `snapshot`, and the different values of `fields`, which must be columns of it. */
export async function countColumns(
  store: ObjectStore,
  connection: EngineConnection,
  snapshot: Snapshot,
  fields: readonly StructField[],
): Promise<TableCounts> {
  const counted = fields.filter(isCountable)
  const items = counted.flatMap(({ name }) => {
    const column = quoteIdentifier(name)
    return [`approx_count_distinct(${column})`, `count(*) - count(${column})`]
  })
  const relation = await scanRelation(store, connection, planScan(snapshot, UNKNOWN))
  const [row = []] = await connection.query(
    `SELECT ${['count(*)', ...items].join(', ')} FROM ${relation} AS t`,
  )
  const [rowCount = 0, ...numbers] = row.map(Number)
  const columns = Object.fromEntries(
    counted.map((field, i): [string, ColumnCounts] => [
      physicalNameOf(field, snapshot.columnMapping),
      { distinctCount: numbers[2 * i] ?? 0, nullCount: numbers[2 * i + 1] ?? 0 },
    ]),
  )
  return { version: snapshot.version, rowCount, analyzedMs: Date.now(), columns }
}

/** Whether values of the column are told apart by DuckDB's sketch: not those with parts. */
export function isCountable({ type }: StructField): boolean {
  if (type.kind === 'decimal') return true
  return type.kind === 'primitive' && type.name !== 'void' && type.name !== 'variant'
}
