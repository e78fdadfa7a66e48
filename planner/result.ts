/** Result: what executing a statement hands to the server, rows or a command tag. */

import type { PgType } from '../catalog/pg-types.js'
import type { Cancellation } from '../storage/cancellation.js'
import type { ColumnBatch } from '../storage/column-batch.js'
import type { RowChunk } from '../storage/engine.js'
import type { EngineType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import type { RelayedRows } from './relayed-rows.js'

/** A column of a result as RowDescription shows it. */
export interface ResultColumn {
  readonly name: string
  readonly pgType: PgType
  /** The type of the raw vectors that hold this column's values. */
  readonly engineType: EngineType
  /** How a numeric's digits are shown; see SqlType. */
  readonly digits?: 'quotient' | 'trimmed' | undefined
  /** OID of the table the column comes from, and its attribute number; 0 where it is computed. */
  readonly tableOid: number
  readonly attributeNumber: number
  /** `typlen`, where another PostgreSQL has told it. */
  readonly sizeBytes?: number
}

/**
 * Some rows of a result.
 *
 * - `chunk`: rows `from` (inclusive) to `to` (exclusive) of raw vectors out of DuckDB.
 * - `values`: rows the gateway made itself, in the JavaScript form of each column's engineType.
 * - `encoded`: whole DataRow messages, already in the formats that were asked for.
 * - `relayed`: rows `from` (inclusive) to `to` (exclusive) of another PostgreSQL's answer.
 */
export type RowBatch =
  | { readonly kind: 'chunk'; readonly chunk: RowChunk; readonly from: number; readonly to: number }
  | { readonly kind: 'values'; readonly rows: readonly (readonly Scalar[])[] }
  | { readonly kind: 'encoded'; readonly bytes: Uint8Array; readonly rowCount: number }
  | {
      readonly kind: 'relayed'
      readonly rows: RelayedRows
      readonly from: number
      readonly to: number
    }

/** Settings that shape values in text format; read once for each result. */
export interface OutputStyle {
  /** `DateStyle`'s output part: ISO, SQL, Postgres or German. */
  readonly dateStyle: 'ISO' | 'SQL' | 'Postgres' | 'German'
  /** `DateStyle`'s order part. */
  readonly dateOrder: 'MDY' | 'DMY' | 'YMD'
  readonly intervalStyle: 'postgres' | 'postgres_verbose' | 'sql_standard' | 'iso_8601'
  /** IANA name, `UTC`, or a fixed offset in PostgreSQL's POSIX spelling. */
  readonly timeZone: string
  readonly extraFloatDigits: number
  readonly byteaOutput: 'hex' | 'escape'
}

/** How COPY TO STDOUT writes rows. */
export interface CopyFormat {
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly nullText: string
  readonly header: boolean
  readonly quote: string
  readonly escape: string
  /** Column indexes quoted always (`FORCE_QUOTE`); 'all' for `*`. */
  readonly forceQuote: readonly number[] | 'all'
}

/** How COPY FROM reads rows. */
export interface CopyInFormat {
  readonly format: 'text' | 'csv' | 'binary' | 'parquet' | 'arrow'
  readonly delimiter: string
  readonly nullText: string
  /** What stands for a column's default; null when nothing does. */
  readonly defaultText: string | null
  /** A first line that is passed over; 'match': it must name the columns. */
  readonly header: boolean | 'match'
  readonly quote: string
  readonly escape: string
  /** Column indexes in which a quoted null text is null (`FORCE_NULL`). */
  readonly forceNull: readonly number[] | 'all'
  /** Column indexes in which the null text is text (`FORCE_NOT_NULL`). */
  readonly forceNotNull: readonly number[] | 'all'
  /** Rows with a value that is none of its type are left out (`ON_ERROR ignore`). */
  readonly ignoreErrors: boolean
  /** Rows that may be left out. */
  readonly rejectLimit: number
  readonly verbosity: 'default' | 'verbose' | 'silent'
}

/** A column that COPY FROM fills. */
export interface CopyInColumn {
  readonly name: string
  /** What the input function reads: the column's type, length included. */
  readonly pgType: PgType
  /** The type of the vectors to make. */
  readonly engineType: EngineType
  /** Whether null is an error of the line it stands in. */
  readonly notNull: boolean
}

/** Where the bytes of a COPY FROM come from: the client, or files one after another. */
export type CopyInSource = 'client' | AsyncIterable<AsyncIterable<Uint8Array>>

/**
 * A COPY FROM under way: the server decodes bytes, what it hands over becomes rows of the table.
 *
 * Exactly one of `finish` and `abort` ends it. Nothing of it is in the table before `finish`.
 */
export interface CopyIn {
  /** The table's name, for errors. */
  readonly table: string
  readonly columns: readonly CopyInColumn[]
  readonly format: CopyInFormat
  readonly style: OutputStyle
  readonly source: CopyInSource
  readonly withLines: boolean
  readonly cancellation: Cancellation
  /**
   * Adds rows: a vector for each of `columns`; with a `defaultText` as many of BOOLEAN behind them,
   * true where the default stands; with `withLines` one of BIGINT at the end, the rows' lines.
   *
   * Waits while what came before is being written.
   */
  append(batch: ColumnBatch): Promise<void>
  /** Adds bytes to the file of that number, which the engine reads itself: format parquet. */
  spool(file: number, bytes: Uint8Array): Promise<void>
  /** Makes the rows the statement's; `rejected` rows have been left out. Answers the tag. */
  finish(rejected: number): Promise<string>
  /** Drops everything; answers the error for the client. */
  abort(thrown: unknown): Promise<unknown>
  /** Tells the client. */
  notice(message: string, context?: string): void
}

/**
 * Outcome of a statement, or of one Execute of a portal.
 *
 * `rows.batches` is pulled by the socket's back-pressure and throws SqlError when the query fails
 * half-way, so that a failure can never look like the end. Leaving the loop early closes it.
 */
export type Result =
  | {
      readonly kind: 'rows'
      readonly columns: readonly ResultColumn[]
      readonly style: OutputStyle
      readonly batches: AsyncIterable<RowBatch>
      /** Once the batches are drained: the rest is kept in the portal (PortalSuspended). */
      readonly suspended: () => boolean
      /** CommandComplete's tag for that many rows sent by this Execute. */
      readonly tag: (rowCount: number) => string
    }
  | {
      readonly kind: 'copy-out'
      readonly columns: readonly ResultColumn[]
      readonly style: OutputStyle
      readonly copy: CopyFormat
      readonly batches: AsyncIterable<RowBatch>
      readonly tag: (rowCount: number) => string
    }
  | { readonly kind: 'copy-in'; readonly copy: CopyIn }
  | { readonly kind: 'command'; readonly tag: string }
  | { readonly kind: 'empty' }
