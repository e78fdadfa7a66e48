/** S3Staging: a local folder whose files become objects of a bucket. */

import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { diskError } from './disk-error.js'
import { assert } from './errors.js'
import type { FileCache } from './file-cache.js'
import type { ObjectEntry, StagedFile, Staging } from './object-store.js'

/** What a staging needs of its store. */
export interface UploadTarget {
  /** Creates an object; 58030 when it exists. */
  put(path: string, bytes: Uint8Array): Promise<void>
  /** As `put`, reading the bytes in parts of `partBytes`. */
  upload(
    path: string,
    sizeBytes: number,
    partBytes: number,
    readPart: (offset: number, length: number) => Promise<Uint8Array>,
  ): Promise<void>
  /** The name under which the cache keeps the object. */
  nameOf(path: string): string
}

/** Larger files are sent in parts. */
const WHOLE_BYTES_MAX = 16 * 1024 * 1024

/** A part has this size at least, and an upload this many parts at most (Amazon S3, "multipart upload limits"). */
const PART_BYTES_MIN = 8 * 1024 * 1024
const PARTS_MAX = 9_000

/** Files sent at once. */
const FILES = 4

/** A Staging below the cache's folder: what was published need not be fetched to be read. */
export class S3Staging implements Staging {
  readonly engineUrl: string
  readonly #cache: FileCache
  readonly #target: UploadTarget

  private constructor(folder: string, cache: FileCache, target: UploadTarget) {
    this.engineUrl = folder
    this.#cache = cache
    this.#target = target
  }

  static async open(cache: FileCache, target: UploadTarget): Promise<S3Staging> {
    const folder = cache.temporary()
    await onDisk(folder, () => fs.mkdir(folder, { recursive: true }))
    return new S3Staging(folder, cache, target)
  }

  append(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.engineUrl, name)
    return onDisk(path, () => fs.appendFile(path, bytes))
  }

  async publish(files: readonly StagedFile[]): Promise<readonly ObjectEntry[]> {
    const entries: ObjectEntry[] = []
    const left = [...files.entries()]
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [i, file] = next
        entries[i] = await this.#publishOne(file)
      }
    }
    // All are waited for: nothing is sent after the answer.
    const outcomes = await Promise.allSettled(Array.from({ length: FILES }, work))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return entries
  }

  async discard(): Promise<void> {
    await fs.rm(this.engineUrl, { recursive: true, force: true }).catch(() => {})
  }

  async #publishOne({ name, path }: StagedFile): Promise<ObjectEntry> {
    const staged = join(this.engineUrl, name)
    const { size } = await onDisk(staged, () => fs.stat(staged))
    if (size <= WHOLE_BYTES_MAX) {
      await this.#target.put(path, await onDisk(staged, () => fs.readFile(staged)))
    } else await this.#uploadParts(staged, path, size)
    // Renamed, not copied; a failure only means that it is fetched when it is read.
    await this.#cache.adopt(staged, this.#target.nameOf(path), size).catch(() => {})
    return { path, sizeBytes: size, modifiedMs: Date.now() }
  }

  async #uploadParts(staged: string, path: string, sizeBytes: number): Promise<void> {
    const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(sizeBytes / PARTS_MAX))
    const handle = await onDisk(staged, () => fs.open(staged, 'r'))
    try {
      await this.#target.upload(path, sizeBytes, partBytes, async (offset, length) => {
        const bytes = new Uint8Array(length)
        for (let done = 0; done < length; ) {
          const { bytesRead } = await onDisk(staged, () =>
            handle.read(bytes, done, length - done, offset + done),
          )
          assert(bytesRead > 0, 'a staged file does not shrink')
          done += bytesRead
        }
        return bytes
      })
    } finally {
      await handle.close()
    }
  }
}

async function onDisk<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (thrown) {
    throw diskError(path, thrown)
  }
}
