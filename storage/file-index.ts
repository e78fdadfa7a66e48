/** FileIndex: the live files of a snapshot in columns, sharing what versions have in common. */

import type { AddFile, DeletionVectorDescriptor } from './actions.js'
import type { DeletedRows } from './deletion-vector.js'
import { BLOCK_FILES, type FileBlock, FileBlockBuilder, type FileKey } from './file-block.js'

/** A live data file; a small handle on its row, whose fields are read when asked for. */
export interface DataFile {
  /** Canonical path: relative to the lake's root, absolute only outside of it. */
  readonly path: string
  readonly sizeBytes: number
  readonly deletionVector: DeletionVectorDescriptor | null
  /** Where given, only these rows of the file are meant, ascending; it has no deletion vector then. */
  readonly onlyRows?: DeletedRows
  /** A partition value as the log has it; null where it is null or absent. */
  partitionText(physicalName: string): string | null
  /** The whole add action, made anew by each reading. */
  readonly add: AddFile
}

/** A block and which of its rows are gone. */
export interface Segment {
  readonly block: FileBlock
  /** Bit i is 1 where row i was removed; null while none was. */
  readonly removed: Uint8Array | null
  readonly removedCount: number
  /** Bytes of the files that are left. */
  readonly sizeBytes: number
}

/**
 * An immutable set of files, in order of commit.
 *
 * - A version made from another shares its blocks: it costs its own files, and a bit for each file
 *   of a block it removes from.
 * - Small blocks are merged as they gather, so there are few: about the logarithm of the number
 *   of commits, plus one for each BLOCK_FILES files.
 */
export class FileIndex implements Iterable<DataFile> {
  static readonly empty: FileIndex = new FileIndex([])

  readonly segments: readonly Segment[]
  readonly length: number
  /** Bytes of all live files. */
  readonly sizeBytes: number

  private constructor(segments: readonly Segment[]) {
    this.segments = segments
    this.length = segments.reduce((sum, segment) => sum + liveCount(segment), 0)
    this.sizeBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  static of(blocks: readonly FileBlock[]): FileIndex {
    return new FileIndex(blocks.filter((block) => block.count > 0).map(whole))
  }

  /** These files without those of `keys`, and with `added` behind them. */
  with(
    keys: Iterable<FileKey>,
    added: readonly AddFile[],
    resolve: (logPath: string) => string,
  ): FileIndex {
    const segments = [...this.segments]
    const owned = new Set<number>()
    for (const key of keys) {
      for (const [i, { block, removed, removedCount, sizeBytes }] of segments.entries()) {
        const row = block.find(key)
        if (row < 0 || isRemoved(removed, row)) continue
        const bits =
          removed !== null && owned.has(i)
            ? removed
            : (removed?.slice() ?? new Uint8Array((block.count + 7) >> 3))
        bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7))
        owned.add(i)
        segments[i] = {
          block,
          removed: bits,
          removedCount: removedCount + 1,
          sizeBytes: sizeBytes - (block.sizes[row] ?? 0),
        }
        break
      }
    }
    for (let from = 0; from < added.length; from += BLOCK_FILES) {
      const builder = new FileBlockBuilder(resolve)
      for (const add of added.slice(from, from + BLOCK_FILES)) builder.push(add)
      segments.push(whole(builder.finish()))
    }
    return new FileIndex(consolidate(segments, resolve))
  }

  /** Whether the file of `key` is live. */
  has(key: FileKey): boolean {
    return this.segments.some(({ block, removed }) => {
      const row = block.find(key)
      return row >= 0 && !isRemoved(removed, row)
    })
  }

  /** The live files of less than that many bytes, in order. */
  smallerThan(sizeBytes: number): DataFile[] {
    return this.select(
      this.segments.map(({ block }) => Uint8Array.from(block.sizes, (size) => +(size < sizeBytes))),
    )
  }

  /** Every live file, in order. */
  *[Symbol.iterator](): IterableIterator<DataFile> {
    for (const { block, removed } of this.segments) {
      for (let row = 0; row < block.count; row++) {
        if (!isRemoved(removed, row)) yield new IndexedFile(block, row)
      }
    }
  }

  /** Handles on the live files for which `chosen` of their segment is not 0. */
  select(chosen: readonly Uint8Array[]): DataFile[] {
    const files: DataFile[] = []
    for (const [i, { block, removed }] of this.segments.entries()) {
      const marks = chosen[i]
      if (marks === undefined) continue
      for (let row = 0; row < block.count; row++) {
        if (marks[row] !== 0 && !isRemoved(removed, row)) files.push(new IndexedFile(block, row))
      }
    }
    return files
  }

  /** How many live files `chosen` marks. */
  count(chosen: readonly Uint8Array[]): number {
    let count = 0
    for (const [i, { block, removed }] of this.segments.entries()) {
      const marks = chosen[i]
      if (marks === undefined) continue
      for (let row = 0; row < block.count; row++) {
        if (marks[row] !== 0 && !isRemoved(removed, row)) count++
      }
    }
    return count
  }

  /** Bytes of what this index alone holds; its blocks, which others may share, not counted. */
  get ownBytes(): number {
    return this.segments.reduce((sum, { removed }) => sum + 100 + (removed?.length ?? 0), 200)
  }
}

function isRemoved(removed: Uint8Array | null, row: number): boolean {
  return removed !== null && (((removed[row >> 3] ?? 0) >> (row & 7)) & 1) === 1
}

/** Merges neighbours while the later is at least half as large as the earlier, and drops what is empty. */
function consolidate(
  segments: readonly Segment[],
  resolve: (logPath: string) => string,
): readonly Segment[] {
  const kept: Segment[] = []
  for (const segment of segments) {
    if (segment.removedCount === segment.block.count) continue
    kept.push(segment)
    for (;;) {
      const [last, before] = [kept.at(-1), kept.at(-2)]
      if (last === undefined || before === undefined) break
      const [small, large] = [liveCount(last), liveCount(before)]
      if (small * 2 < large || small + large > BLOCK_FILES) break
      kept.splice(-2, 2, merge([before, last], resolve))
    }
    const last = kept.at(-1)
    // Half a block of rows that are gone is worth a copy.
    if (last !== undefined && last.removedCount * 2 > last.block.count) {
      kept[kept.length - 1] = merge([last], resolve)
    }
  }
  return kept
}

function whole(block: FileBlock): Segment {
  return {
    block,
    removed: null,
    removedCount: 0,
    sizeBytes: block.sizes.reduce((a, b) => a + b, 0),
  }
}

function liveCount(segment: Segment): number {
  return segment.block.count - segment.removedCount
}

function merge(segments: readonly Segment[], resolve: (logPath: string) => string): Segment {
  const builder = new FileBlockBuilder(resolve)
  for (const { block, removed } of segments) {
    for (let row = 0; row < block.count; row++) {
      if (!isRemoved(removed, row)) builder.push(block.add(row))
    }
  }
  return whole(builder.finish())
}

class IndexedFile implements DataFile {
  readonly #block: FileBlock
  readonly #row: number

  constructor(block: FileBlock, row: number) {
    this.#block = block
    this.#row = row
  }

  get path(): string {
    return this.#block.path(this.#row)
  }

  get sizeBytes(): number {
    return this.#block.sizes[this.#row] ?? 0
  }

  get deletionVector(): DeletionVectorDescriptor | null {
    return this.#block.vector(this.#row)
  }

  partitionText(physicalName: string): string | null {
    return this.#block.partitionText(this.#row, physicalName)
  }

  get add(): AddFile {
    return this.#block.add(this.#row)
  }
}
