/** FileCache: copies of remote objects on the local disk, for the engine to read; bounded by bytes. */

import { createHash, randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancellation } from './cancellation.js'
import { diskError } from './disk-error.js'
import { SqlError, SqlState } from './errors.js'
import type { Lease } from './object-store.js'

/** A version of a remote object that never changes, as `name` tells it from every other. */
export interface RemoteFile {
  readonly path: string
  readonly name: string
  readonly sizeBytes: number
}

/**
 * Reads `length` bytes of `file` from `offset`, all of them or none.
 *
 * Fails when the object's size is not `file.sizeBytes`.
 */
export type ReadRemote = (
  file: RemoteFile,
  offset: number,
  length: number,
  signal: AbortSignal,
) => Promise<Uint8Array>

/** Bytes of one request; several are under way for one file, and memory holds that many of them. */
const PART_BYTES = 8 * 1024 * 1024

/** Requests under way at once, whatever asks for them. */
const PARALLEL = 16

interface Copy {
  readonly sizeBytes: number
  /** Leases that name it: it is not removed before they end. */
  leases: number
}

interface Download {
  readonly done: Promise<void>
  readonly abort: AbortController
  waiting: number
}

/** Where the copies lie below the cache's folder, and what is not whole yet. */
const FILES = 'files'
const PARTIAL = 'partial'

/**
 * Files of one folder that no other process writes.
 *
 * - A copy is whole and durable before it has its name, so whatever has a name can be read, after a
 *   crash too.
 * - Several who ask for one file at once share one download; it is given up when nobody waits.
 * - The least recently lent copies go when there are more than `limitBytes`; those that are lent
 *   stay, so that several statements together may hold more for a while.
 */
export class FileCache {
  readonly folder: string
  readonly #limitBytes: number
  /** In order of use, the least recent first. */
  readonly #copies = new Map<string, Copy>()
  readonly #downloads = new Map<string, Download>()
  readonly #waiting: (() => void)[] = []
  #requests = 0
  #heldBytes = 0

  private constructor(folder: string, limitBytes: number) {
    this.folder = folder
    this.#limitBytes = limitBytes
  }

  /** The cache in `folder` with what an earlier process left there. */
  static async open(folder: string, limitBytes: number): Promise<FileCache> {
    const cache = new FileCache(folder, limitBytes)
    await fs.rm(join(folder, PARTIAL), { recursive: true, force: true })
    await fs.mkdir(join(folder, PARTIAL), { recursive: true })
    await fs.mkdir(join(folder, FILES), { recursive: true })
    const found: { name: string; sizeBytes: number; usedMs: number }[] = []
    for (const name of await fs.readdir(join(folder, FILES))) {
      const { size, mtimeMs } = await fs.stat(join(folder, FILES, name))
      found.push({ name, sizeBytes: size, usedMs: mtimeMs })
    }
    found.sort((a, b) => a.usedMs - b.usedMs)
    for (const { name, sizeBytes } of found) cache.#keep(name, sizeBytes)
    await cache.#evict()
    return cache
  }

  /** Bytes of all copies. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The name under which a copy of `text`, which says all that tells one object from another, is kept. */
  static nameOf(text: string): string {
    return `${createHash('sha256').update(text).digest('hex').slice(0, 40)}.parquet`
  }

  /** Where the copy called `name` lies, or would. */
  locate(name: string): string {
    return join(this.folder, FILES, name)
  }

  /** A new file name for what is being written and is no copy yet. */
  temporary(): string {
    return join(this.folder, PARTIAL, randomUUID())
  }

  /**
   * Copies of `files` in that order, kept until the lease is released.
   *
   * 53400 when they cannot all be held; what `read` throws; the reason of `cancellation`.
   */
  async lend(
    files: readonly RemoteFile[],
    read: ReadRemote,
    cancellation?: Cancellation,
  ): Promise<Lease> {
    const names = new Set<string>()
    const release = (): void => {
      for (const name of names) {
        const copy = this.#copies.get(name)
        if (copy !== undefined) copy.leases--
      }
      names.clear()
      void this.#evict()
    }
    const needed = new Map(files.map((file) => [file.name, file]))
    const bytes = [...needed.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
    if (bytes > this.#limitBytes) throw this.#tooSmall(bytes)
    try {
      const outcomes = await Promise.allSettled(
        [...needed.values()].map(async (file) => {
          for (;;) {
            cancellation?.check()
            const copy = this.#copies.get(file.name)
            if (copy?.sizeBytes === file.sizeBytes) {
              copy.leases++
              names.add(file.name)
              this.#copies.delete(file.name)
              this.#copies.set(file.name, copy)
              return
            }
            await this.#download(file, read, cancellation)
          }
        }),
      )
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    } catch (thrown) {
      release()
      throw thrown
    }
    // Not before all are lent: what was just fetched must not go first.
    await this.#evict()
    return { urls: files.map((file) => this.locate(file.name)), release }
  }

  /** Makes the file at `from`, which is whole and on the cache's disk, the copy called `name`. */
  async adopt(from: string, name: string, sizeBytes: number): Promise<void> {
    if (this.#copies.has(name) || sizeBytes > this.#limitBytes) return
    const handle = await fs.open(from, 'r+')
    await handle.sync().finally(() => handle.close())
    await fs.rename(from, this.locate(name))
    this.#keep(name, sizeBytes)
    await this.#evict()
  }

  #keep(name: string, sizeBytes: number): void {
    this.#copies.set(name, { sizeBytes, leases: 0 })
    this.#heldBytes += sizeBytes
  }

  async #download(
    file: RemoteFile,
    read: ReadRemote,
    cancellation: Cancellation | undefined,
  ): Promise<void> {
    let download = this.#downloads.get(file.name)
    if (download === undefined) {
      const abort = new AbortController()
      const done = this.#fetch(file, read, abort.signal).finally(() => {
        if (this.#downloads.get(file.name) === download) this.#downloads.delete(file.name)
      })
      // Whoever waits learns of a failure; nobody may be left to.
      done.catch(() => {})
      download = { done, abort, waiting: 0 }
      this.#downloads.set(file.name, download)
    }
    const joined = download
    joined.waiting++
    let unregister = (): void => {}
    try {
      await Promise.race([
        joined.done,
        new Promise<never>((_, reject) => {
          unregister = cancellation?.onCancel(reject) ?? unregister
        }),
      ])
    } finally {
      unregister()
      joined.waiting--
      if (joined.waiting === 0) {
        joined.abort.abort()
        // Who comes next must not join what is being given up.
        if (this.#downloads.get(file.name) === joined) this.#downloads.delete(file.name)
      }
    }
  }

  async #fetch(file: RemoteFile, read: ReadRemote, signal: AbortSignal): Promise<void> {
    const partial = this.temporary()
    try {
      const handle = await fs.open(partial, 'wx')
      try {
        const offsets: number[] = []
        for (let at = 0; at < file.sizeBytes; at += PART_BYTES) offsets.push(at)
        await Promise.all(
          offsets.map((offset) =>
            this.#limited(async () => {
              signal.throwIfAborted()
              const length = Math.min(PART_BYTES, file.sizeBytes - offset)
              const bytes = await read(file, offset, length, signal)
              for (let done = 0; done < length; ) {
                done += (await handle.write(bytes, done, length - done, offset + done)).bytesWritten
              }
            }),
          ),
        )
        // A crash must not leave a name without its bytes.
        await handle.sync()
      } finally {
        await handle.close()
      }
      if (this.#copies.has(file.name)) await this.#drop(file.name)
      await fs.rename(partial, this.locate(file.name))
      this.#keep(file.name, file.sizeBytes)
    } catch (thrown) {
      await fs.rm(partial, { force: true })
      throw diskError(partial, thrown)
    }
  }

  async #limited(work: () => Promise<void>): Promise<void> {
    while (this.#requests >= PARALLEL) await new Promise<void>((go) => this.#waiting.push(go))
    this.#requests++
    try {
      await work()
    } finally {
      this.#requests--
      this.#waiting.shift()?.()
    }
  }

  async #evict(): Promise<void> {
    for (const [name, copy] of this.#copies) {
      if (this.#heldBytes <= this.#limitBytes) return
      if (copy.leases === 0) await this.#drop(name)
    }
  }

  async #drop(name: string): Promise<void> {
    const copy = this.#copies.get(name)
    if (copy === undefined) return
    this.#copies.delete(name)
    this.#heldBytes -= copy.sizeBytes
    await fs.rm(this.locate(name), { force: true })
  }

  #tooSmall(bytes: number): SqlError {
    return new SqlError(
      SqlState.configurationLimitExceeded,
      `the statement reads ${bytes} bytes of files, but the cache holds ${this.#limitBytes}`,
      { hint: 'Raise LAKEGATE_CACHE_BYTES, or read fewer files.' },
    )
  }
}
