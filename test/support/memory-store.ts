/** MemoryStore: an ObjectStore in memory, for tests whose point is the order of its calls. */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { SqlError, SqlState } from '../../storage/errors.js'
import type {
  Lease,
  ObjectRef,
  ObjectEntry,
  ObjectStore,
  PutIfAbsentResult,
  StagedFile,
  Staging,
} from '../../storage/object-store.js'

interface Stored {
  readonly bytes: Uint8Array
  readonly modifiedMs: number
}

/**
 * Objects in a map. The engine cannot look into it: what it reads is laid out in `scratch`, a local
 * folder, and what it writes is staged there.
 */
export class MemoryStore implements ObjectStore {
  readonly root = '/memory'
  readonly #objects = new Map<string, Stored>()
  readonly #scratch: string
  #clockMs: number

  constructor(scratch: string, startMs: number = Date.UTC(2026, 0, 1)) {
    this.#scratch = scratch
    this.#clockMs = startMs
  }

  async list(prefix: string, startAt = ''): Promise<readonly ObjectEntry[]> {
    const folder = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`
    return [...this.#objects.keys()]
      .filter((path) => path.startsWith(folder) && path >= startAt)
      .sort()
      .map((path) => this.#entry(path))
  }

  async listFolder(prefix: string, startAt = ''): Promise<readonly ObjectEntry[]> {
    const folder = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`
    const all = await this.list(prefix)
    return all.filter(({ path }) => {
      const name = path.slice(folder.length)
      return !name.includes('/') && name >= startAt
    })
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const folder = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`
    const all = await this.list(prefix)
    const names = all.map(({ path }) => path.slice(folder.length).split('/'))
    return [...new Set(names.flatMap((parts) => (parts.length > 1 ? [parts[0] ?? ''] : [])))]
  }

  async read(path: string): Promise<Uint8Array | null> {
    return this.#objects.get(path)?.bytes ?? null
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array | null> {
    return this.#objects.get(path)?.bytes.subarray(offset, offset + length) ?? null
  }

  async stat(path: string): Promise<ObjectEntry | null> {
    return this.#objects.has(path) ? this.#entry(path) : null
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    this.#put(path, bytes)
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult> {
    if (this.#objects.has(path)) return 'exists'
    this.#put(path, bytes)
    return 'created'
  }

  async delete(path: string): Promise<void> {
    this.#objects.delete(path)
  }

  async sweep(): Promise<readonly string[]> {
    return []
  }

  async openStaging(): Promise<Staging> {
    const folder = join(this.#scratch, `staging-${randomUUID()}`)
    mkdirSync(folder, { recursive: true })
    return {
      engineUrl: folder,
      append: async (name, bytes) => writeFileSync(join(folder, name), bytes, { flag: 'a' }),
      publish: async (files) => files.map((file) => this.#publish(folder, file)),
      discard: async () => rmSync(folder, { recursive: true, force: true }),
    }
  }

  lend(objects: readonly ObjectRef[]): Promise<Lease> {
    return Promise.resolve({ urls: objects.map(({ path }) => this.engineUrl(path)), release() {} })
  }

  engineUrl(path: string): string {
    const local = join(this.#scratch, 'objects', path)
    const object = this.#objects.get(path)
    if (object !== undefined) {
      mkdirSync(dirname(local), { recursive: true })
      writeFileSync(local, object.bytes)
    }
    return local
  }

  /** Names of the staging folders that were not discarded. */
  get stagingFolders(): readonly string[] {
    return readdirSync(this.#scratch).filter((name) => name.startsWith('staging-'))
  }

  /** Lays out every object below `prefix` as a file in folder `target`. */
  layOut(prefix: string, target: string): void {
    for (const [path, { bytes }] of this.#objects) {
      if (!path.startsWith(`${prefix}/`)) continue
      mkdirSync(dirname(join(target, path)), { recursive: true })
      writeFileSync(join(target, path), bytes)
    }
  }

  #publish(folder: string, file: StagedFile): ObjectEntry {
    if (this.#objects.has(file.path)) {
      throw new SqlError(SqlState.ioError, `could not access "${file.path}": EEXIST`)
    }
    const staged = join(folder, file.name)
    statSync(staged)
    this.#put(file.path, readFileSync(staged))
    return this.#entry(file.path)
  }

  #put(path: string, bytes: Uint8Array): void {
    // Times only ever go forward, as those of one machine do.
    this.#clockMs++
    this.#objects.set(path, { bytes: Uint8Array.from(bytes), modifiedMs: this.#clockMs })
  }

  #entry(path: string): ObjectEntry {
    const object = this.#objects.get(path)
    if (object === undefined) throw new Error(`no object ${path}`)
    return { path, sizeBytes: object.bytes.length, modifiedMs: object.modifiedMs }
  }
}
