/** FileBlock: data files in columns, never changed once made. */

import type { AddFile, DeletionVectorDescriptor } from './actions.js'
import { deletionVectorId } from './deletion-vector.js'
import { parseLossless, printLossless } from './lossless-json.js'
import { type RawText, RawTextBuilder } from './raw-text.js'
import type { DataType } from './schema.js'
import {
  type StatisticsColumn,
  StatisticsReader,
  type StatisticsRequest,
  statisticsBytes,
} from './statistics-column.js'
import { type StringHeap, StringHeapBuilder, textAt } from './string-heap.js'
import type { TimeSlices } from './time-slices.js'

/** Files in one block: a version that removes some copies their bits of this many. */
export const BLOCK_FILES = 65_536

/** Partition values of one column: row i has `values[codes[i] - 1]`, or none where the code is 0. */
export interface PartitionColumn {
  readonly codes: Int32Array
  readonly values: readonly (string | null)[]
}

/** What tells a logical file from another: its canonical path and its deletion vector. */
export interface FileKey {
  readonly path: string
  readonly vectorId: string | null
}

interface Columns {
  readonly paths: StringHeap
  readonly sizes: Float64Array
  readonly times: Float64Array
  readonly vectors: ReadonlyMap<number, DeletionVectorDescriptor>
  readonly partitions: ReadonlyMap<string, PartitionColumn>
  readonly raw: RawText
}

/**
 * A run of files in columns, shared by every snapshot that holds them.
 *
 * Statistics stay JSON until a predicate asks for a column; its typed vectors are then kept.
 */
export class FileBlock {
  readonly count: number
  readonly #columns: Columns
  readonly #resolve: (logPath: string) => string
  readonly #statistics = new Map<string, StatisticsColumn>()
  readonly #loading = new Map<string, Promise<void>>()
  #slots: Int32Array | undefined

  constructor(columns: Columns, resolve: (logPath: string) => string) {
    this.#columns = columns
    this.#resolve = resolve
    this.count = columns.sizes.length
  }

  get sizes(): Float64Array {
    return this.#columns.sizes
  }

  partition(physicalName: string): PartitionColumn | undefined {
    return this.#columns.partitions.get(physicalName)
  }

  partitionText(row: number, physicalName: string): string | null {
    const column = this.#columns.partitions.get(physicalName)
    return column?.values[(column.codes[row] ?? 0) - 1] ?? null
  }

  vector(row: number): DeletionVectorDescriptor | null {
    return this.#columns.vectors.get(row) ?? null
  }

  /** Canonical path of a row; see `resolvePath`. */
  path(row: number): string {
    return this.#resolve(textAt(this.#columns.paths, row))
  }

  /** The add action of a row, every field the log had but `dataChange`. */
  add(row: number): AddFile {
    const { paths, sizes, times, partitions, raw } = this.#columns
    const partitionValues: Record<string, string | null> = {}
    for (const [name, { codes, values }] of partitions) {
      const code = codes[row] ?? 0
      if (code > 0) partitionValues[name] = values[code - 1] ?? null
    }
    const { stats, rest } = raw.at(row)
    const vector = this.vector(row)
    return {
      ...(rest === null ? {} : (parseLossless(rest) as object)),
      path: textAt(paths, row),
      partitionValues,
      size: sizes[row] ?? 0,
      modificationTime: times[row] ?? 0,
      ...(stats === null ? {} : { stats }),
      ...(vector === null ? {} : { deletionVector: vector }),
    }
  }

  /** The row of `key`, or -1. */
  find(key: FileKey): number {
    const slots = this.#index()
    const mask = slots.length - 1
    for (let slot = hash(key.path) & mask; ; slot = (slot + 1) & mask) {
      const row = (slots[slot] ?? 0) - 1
      if (row < 0) return -1
      if (deletionVectorId(this.vector(row)) === key.vectorId && this.path(row) === key.path) {
        return row
      }
    }
  }

  /** Open addressing by canonical path; made by the first commit that looks something up. */
  #index(): Int32Array {
    if (this.#slots !== undefined) return this.#slots
    let size = 4
    while (size < this.count * 2) size *= 2
    const slots = new Int32Array(size)
    for (let row = 0; row < this.count; row++) {
      let slot = hash(this.path(row)) & (size - 1)
      while (slots[slot] !== 0) slot = (slot + 1) & (size - 1)
      slots[slot] = row + 1
    }
    this.#slots = slots
    return slots
  }

  /** Typed statistics of the columns asked for, in that order; what is not prepared is read now. */
  statistics(requests: readonly StatisticsRequest[]): readonly StatisticsColumn[] {
    const keys = requests.map(statisticsKey)
    const missing = this.#missing(requests)
    if (missing.length > 0) {
      const reader = this.#reader(missing)
      reader.read()
      this.#keep(missing, reader.finish())
    }
    return keys.flatMap((key) => this.#statistics.get(key) ?? [])
  }

  /**
   * Makes the statistics of `requests` ready in slices of `slices`, other work running in between.
   *
   * A column is read once, whoever asks meanwhile.
   */
  async prepareStatistics(
    requests: readonly StatisticsRequest[],
    slices: TimeSlices,
  ): Promise<void> {
    const missing = this.#missing(requests)
    const waiting = missing.flatMap((request) => this.#loading.get(statisticsKey(request)) ?? [])
    const own = missing.filter((request) => !this.#loading.has(statisticsKey(request)))
    if (own.length > 0) {
      const loading = this.#load(own, slices).finally(() => {
        for (const request of own) this.#loading.delete(statisticsKey(request))
      })
      for (const request of own) this.#loading.set(statisticsKey(request), loading)
      waiting.push(loading)
    }
    await Promise.all(waiting)
  }

  async #load(requests: readonly StatisticsRequest[], slices: TimeSlices): Promise<void> {
    const reader = this.#reader(requests)
    while (!reader.read(() => slices.isOver)) await slices.next()
    this.#keep(requests, reader.finish())
  }

  #missing(requests: readonly StatisticsRequest[]): readonly StatisticsRequest[] {
    return requests.filter((request) => !this.#statistics.has(statisticsKey(request)))
  }

  #reader(requests: readonly StatisticsRequest[]): StatisticsReader {
    const { raw, vectors } = this.#columns
    return new StatisticsReader(requests, {
      count: this.count,
      statsOf: (row) => raw.at(row).stats,
      hasVector: (row) => vectors.has(row),
    })
  }

  #keep(requests: readonly StatisticsRequest[], columns: readonly StatisticsColumn[]): void {
    this.#columns.raw.close()
    for (const [i, request] of requests.entries()) {
      const column = columns[i]
      if (column !== undefined) this.#statistics.set(statisticsKey(request), column)
    }
  }

  /** Bytes held now, native memory included. */
  get byteLength(): number {
    const { paths, sizes, times, vectors, partitions, raw } = this.#columns
    let bytes = 500 + paths.bytes.length + paths.ends.byteLength + raw.byteLength
    bytes += sizes.byteLength + times.byteLength + vectors.size * 300
    bytes += this.#slots?.byteLength ?? 0
    for (const { codes, values } of partitions.values()) {
      bytes += codes.byteLength
      for (const value of values) bytes += 40 + (value?.length ?? 0)
    }
    for (const column of this.#statistics.values()) bytes += statisticsBytes(column)
    return bytes
  }
}

function statisticsKey(request: StatisticsRequest): string {
  const { type } = request
  return JSON.stringify([request.names, type.kind === 'primitive' ? type.name : typeKey(type)])
}

function typeKey(type: DataType): string {
  return type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind
}

// FNV-1a over UTF-16 units: paths share long beginnings, so every unit counts.
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}

/** Fields of an add action that have columns of their own, or mean nothing in a snapshot. */
export const OWN_FIELDS: ReadonlySet<string> = new Set([
  'path',
  'partitionValues',
  'size',
  'modificationTime',
  'dataChange',
  'stats',
  'stats_parsed',
  'partitionValues_parsed',
  'deletionVector',
])

/** A FileBlock being filled. */
export class FileBlockBuilder {
  readonly #resolve: (logPath: string) => string
  readonly #paths = new StringHeapBuilder()
  readonly #sizes: number[] = []
  readonly #times: number[] = []
  readonly #vectors = new Map<number, DeletionVectorDescriptor>()
  readonly #partitions = new Map<string, PartitionBuilder>()
  readonly #raw = new RawTextBuilder()

  constructor(resolve: (logPath: string) => string) {
    this.#resolve = resolve
  }

  get count(): number {
    return this.#sizes.length
  }

  push(add: AddFile): void {
    for (const [name, value] of Object.entries(add.partitionValues)) this.partition(name, value)
    const rest = Object.fromEntries(
      Object.entries(add).filter(([name, value]) => value !== null && !OWN_FIELDS.has(name)),
    )
    const restText = Object.keys(rest).length === 0 ? null : Buffer.from(printLossless(rest))
    const stats = typeof add.stats === 'string' ? Buffer.from(add.stats, 'utf8') : null
    const path = Buffer.from(add.path, 'utf8')
    const vector = add.deletionVector ?? null
    this.pushColumns(path, add.size, add.modificationTime ?? 0, vector, stats, restText)
  }

  /** Gives the row that the next push makes a partition value. */
  partition(name: string, value: string | null): void {
    let column = this.#partitions.get(name)
    if (column === undefined) {
      column = { codes: [], values: [], known: new Map() }
      this.#partitions.set(name, column)
    }
    let code = column.known.get(value)
    if (code === undefined) {
      code = column.values.push(value)
      column.known.set(value, code)
    }
    while (column.codes.length < this.#sizes.length) column.codes.push(0)
    column.codes.push(code)
  }

  pushColumns(
    path: Uint8Array,
    sizeBytes: number,
    modifiedMs: number,
    vector: DeletionVectorDescriptor | null,
    stats: Uint8Array | null,
    rest: Uint8Array | null,
  ): void {
    this.#paths.pushBytes(path)
    if (vector !== null) this.#vectors.set(this.#sizes.length, vector)
    this.#sizes.push(sizeBytes)
    this.#times.push(modifiedMs)
    this.#raw.push(stats, rest)
  }

  finish(): FileBlock {
    const count = this.#sizes.length
    const partitions = new Map<string, PartitionColumn>()
    for (const [name, { codes, values }] of this.#partitions) {
      const column = new Int32Array(count)
      column.set(codes)
      partitions.set(name, { codes: column, values })
    }
    return new FileBlock(
      {
        paths: this.#paths.finish(),
        sizes: Float64Array.from(this.#sizes),
        times: Float64Array.from(this.#times),
        vectors: this.#vectors,
        partitions,
        raw: this.#raw.finish(),
      },
      this.#resolve,
    )
  }
}

interface PartitionBuilder {
  readonly codes: number[]
  readonly values: (string | null)[]
  readonly known: Map<string | null, number>
}
