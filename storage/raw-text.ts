/** RawText: the rarely read JSON of each file, compressed in runs. */

import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** What a file's action held beside its columns. */
export interface RawFields {
  /** The statistics as the log has them; null for none. */
  readonly stats: string | null
  /** A JSON object of the remaining fields; null for none. */
  readonly rest: string | null
}

/** Rows compressed together: enough to compress well, few enough to open for one of them. */
const RUN_ROWS = 512
/** Below this a run is not worth compressing. */
const SMALL_BYTES = 4096

interface Run {
  readonly bytes: Buffer
  readonly compressed: boolean
}

const ROW_END = 0
const STATS_END = 1

/** RawFields by row number. */
export class RawText {
  readonly #runs: readonly Run[]
  readonly byteLength: number
  // Rows are mostly read in order: the run opened last is kept, and no more.
  #open: { readonly run: number; readonly rows: readonly string[] } | undefined

  constructor(runs: readonly Run[]) {
    this.#runs = runs
    this.byteLength = runs.reduce((sum, run) => sum + run.bytes.length + 96, 0)
  }

  at(row: number): RawFields {
    const run = Math.floor(row / RUN_ROWS)
    if (this.#open?.run !== run) this.#open = { run, rows: this.#rows(run) }
    const text = this.#open.rows[row % RUN_ROWS] ?? ''
    const split = text.indexOf('\u0001')
    const stats = split < 0 ? text : text.slice(0, split)
    return { stats: stats === '' ? null : stats, rest: split < 0 ? null : text.slice(split + 1) }
  }

  /** Forgets what was opened to be read. */
  close(): void {
    this.#open = undefined
  }

  #rows(index: number): readonly string[] {
    const run = this.#runs[index]
    if (run === undefined) return []
    const bytes = run.compressed ? inflateRawSync(run.bytes) : run.bytes
    return bytes.toString('utf8').split('\u0000')
  }
}

/** A RawText being filled, row after row. */
export class RawTextBuilder {
  readonly #runs: Run[] = []
  #parts: Uint8Array[] = []
  #rows = 0

  /** Statistics holding the control characters that part the rows are no JSON: they are dropped. */
  push(stats: Uint8Array | null, rest: Uint8Array | null): void {
    const bytes = stats === null ? null : Buffer.from(stats.buffer, stats.byteOffset, stats.length)
    if (this.#rows > 0) this.#parts.push(ROW_END_BYTES)
    if (bytes !== null && !bytes.includes(ROW_END) && !bytes.includes(STATS_END)) {
      this.#parts.push(bytes)
    }
    if (rest !== null) this.#parts.push(STATS_END_BYTES, rest)
    this.#rows++
    if (this.#rows === RUN_ROWS) this.#flush()
  }

  finish(): RawText {
    if (this.#rows > 0) this.#flush()
    return new RawText(this.#runs)
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#parts)
    const compressed = bytes.length > SMALL_BYTES
    const kept = compressed ? deflateRawSync(bytes, { level: 1 }) : bytes
    // Out of Node's shared pool, which a small slice would keep alive.
    const own = Buffer.alloc(kept.length)
    kept.copy(own)
    this.#runs.push({ bytes: own, compressed })
    this.#parts = []
    this.#rows = 0
  }
}

const ROW_END_BYTES = new Uint8Array([ROW_END])
const STATS_END_BYTES = new Uint8Array([STATS_END])
