/** LocalStore: an ObjectStore over a folder of the local file system; owner of node:fs/promises. */

import { randomUUID } from 'node:crypto'
import type { Dirent } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as nodePath from 'node:path'
import { codeOf, diskError } from './disk-error.js'
import { SqlError, SqlState } from './errors.js'
import type {
  Lease,
  ObjectEntry,
  ObjectRef,
  ObjectStore,
  PutIfAbsentResult,
  StagedFile,
  Staging,
} from './object-store.js'

/** How the name of a staging folder begins; Delta's readers pass over it. */
const STAGING = '_staging-'

/** An ObjectStore whose objects are the files under `root`; temporary files are hidden from listings. */
export class LocalStore implements ObjectStore {
  readonly root: string

  constructor(root: string) {
    this.root = nodePath.resolve(root)
  }

  engineUrl(path: string): string {
    return this.#locate(path)
  }

  lend(objects: readonly ObjectRef[]): Promise<Lease> {
    return Promise.resolve({
      urls: objects.map(({ path }) => this.#locate(path)),
      release: noop,
    })
  }

  async list(prefix: string, startAt?: string): Promise<readonly ObjectEntry[]> {
    const found: ObjectEntry[] = []
    const visit = async (folder: string): Promise<void> => {
      for (const entry of await this.#entries(folder)) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`
        if (entry.isDirectory() && entry.name.startsWith(STAGING)) continue
        if (entry.isDirectory()) await visit(path)
        else if (!isTemporary(entry.name)) {
          const object = await this.stat(path)
          if (object !== null) found.push(object)
        }
      }
    }
    await visit(trimSlash(prefix))
    return found
      .filter((object) => startAt === undefined || object.path >= startAt)
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const names: string[] = []
    for (const entry of await this.#entries(trimSlash(prefix))) {
      if (entry.name.startsWith(STAGING)) continue
      if (entry.isDirectory()) names.push(entry.name)
      else if (entry.isSymbolicLink()) {
        const target = await fs.stat(this.#locate(`${prefix}/${entry.name}`)).catch(() => null)
        if (target?.isDirectory() === true) names.push(entry.name)
      }
    }
    return names.sort()
  }

  async listFolder(prefix: string, startAt = ''): Promise<readonly ObjectEntry[]> {
    const folder = trimSlash(prefix)
    const names = (await this.#entries(folder))
      .filter((entry) => !entry.isDirectory() && !isTemporary(entry.name) && entry.name >= startAt)
      .map((entry) => entry.name)
      .sort()
    const objects = await Promise.all(
      names.map((name) => this.stat(folder === '' ? name : `${folder}/${name}`)),
    )
    return objects.filter((object) => object !== null)
  }

  async read(path: string): Promise<Uint8Array | null> {
    return this.#orNull(path, () => fs.readFile(this.#locate(path)))
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array | null> {
    return this.#orNull(path, async () => {
      const file = await fs.open(this.#locate(path), 'r')
      try {
        const bytes = new Uint8Array(length)
        let done = 0
        while (done < length) {
          const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
          if (bytesRead === 0) break
          done += bytesRead
        }
        return bytes.subarray(0, done)
      } finally {
        await file.close()
      }
    })
  }

  async stat(path: string): Promise<ObjectEntry | null> {
    return this.#orNull(path, async () => {
      const found = await fs.stat(this.#locate(path))
      // A link to a folder is listed as if it were a file.
      if (found.isDirectory()) return null
      return { path, sizeBytes: found.size, modifiedMs: Math.floor(found.mtimeMs) }
    })
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#translated(path, async () => {
      const target = this.#locate(path)
      const temporary = await this.#writeTemporary(target, bytes)
      try {
        await fs.rename(temporary, target)
      } catch (thrown) {
        await fs.rm(temporary, { force: true })
        throw thrown
      }
      await syncFolder(nodePath.dirname(target))
    })
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<PutIfAbsentResult> {
    return this.#translated(path, async () => {
      const target = this.#locate(path)
      const temporary = await this.#writeTemporary(target, bytes)
      try {
        // link() fails when the name is taken, whoever took it: this line decides a race.
        await fs.link(temporary, target)
      } catch (thrown) {
        await removeQuietly(temporary)
        if (codeOf(thrown) === 'EEXIST') return 'exists'
        throw thrown
      }
      try {
        await syncFolder(nodePath.dirname(target))
      } catch (thrown) {
        // The name is there for all to see. Reading it back would prove nothing about a crash, and
        // a second fsync after a failed one reports success without having written: so it is said.
        throw new SqlError(
          SqlState.transactionResolutionUnknown,
          `"${path}" was written, but could not be made durable: ${codeOf(thrown) ?? thrown}`,
          { cause: thrown },
        )
      } finally {
        await removeQuietly(temporary)
      }
      return 'created'
    })
  }

  async openStaging(prefix: string): Promise<Staging> {
    const above = this.#locate(trimSlash(prefix))
    const folder = nodePath.join(above, STAGING + randomUUID())
    await this.#translated(prefix, async () => {
      await makeFolder(above)
      await fs.mkdir(folder)
    })
    return {
      engineUrl: folder,
      append: (name, bytes) =>
        this.#translated(prefix, () => fs.appendFile(nodePath.join(folder, name), bytes)),
      publish: (files) => this.#translated(prefix, () => this.#publish(folder, files)),
      discard: async () => {
        await fs.rm(folder, { recursive: true, force: true }).catch(noop)
      },
    }
  }

  async sweep(prefix: string, beforeMs: number, dryRun: boolean): Promise<readonly string[]> {
    const swept: string[] = []
    const visit = async (folder: string): Promise<void> => {
      for (const entry of await this.#entries(folder)) {
        const path = `${folder}/${entry.name}`
        const isStaging = entry.isDirectory() && entry.name.startsWith(STAGING)
        if (isStaging || (entry.isFile() && isTemporary(entry.name))) {
          const touchedMs = await this.#orNull(path, () => this.#lastTouched(path))
          if (touchedMs === null || touchedMs >= beforeMs) continue
          swept.push(path)
          if (dryRun) continue
          await this.#translated(path, () =>
            fs.rm(this.#locate(path), { recursive: true, force: true }),
          )
        } else if (entry.isDirectory()) await visit(path)
      }
    }
    await visit(trimSlash(prefix))
    return swept.sort()
  }

  /** The newest time of a file, or of a folder and all that is in it. */
  async #lastTouched(path: string): Promise<number> {
    const found = await fs.lstat(this.#locate(path))
    let touchedMs = found.mtimeMs
    if (!found.isDirectory()) return touchedMs
    for (const entry of await this.#entries(path)) {
      touchedMs = Math.max(touchedMs, await this.#lastTouched(`${path}/${entry.name}`))
    }
    return touchedMs
  }

  async #publish(folder: string, files: readonly StagedFile[]): Promise<readonly ObjectEntry[]> {
    const folders = new Set<string>()
    const entries: ObjectEntry[] = []
    for (const file of files) {
      const staged = nodePath.join(folder, file.name)
      const target = this.#locate(file.path)
      await syncFile(staged)
      await makeFolder(nodePath.dirname(target))
      // Not rename(): what exists is never replaced.
      await fs.link(staged, target)
      await removeQuietly(staged)
      folders.add(nodePath.dirname(target))
    }
    for (const path of folders) await syncFolder(path)
    for (const file of files) {
      const found = await fs.stat(this.#locate(file.path))
      entries.push({
        path: file.path,
        sizeBytes: found.size,
        modifiedMs: Math.floor(found.mtimeMs),
      })
    }
    return entries
  }

  async delete(path: string): Promise<void> {
    await this.#translated(path, () => fs.rm(this.#locate(path), { force: true }))
  }

  async #writeTemporary(target: string, bytes: Uint8Array): Promise<string> {
    const folder = nodePath.dirname(target)
    await makeFolder(folder)
    const temporary = nodePath.join(folder, `.${nodePath.basename(target)}.${randomUUID()}.tmp`)
    const file = await fs.open(temporary, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } catch (thrown) {
      await fs.rm(temporary, { force: true })
      throw thrown
    } finally {
      await file.close()
    }
    return temporary
  }

  #locate(path: string): string {
    const full = nodePath.resolve(this.root, path)
    if (full !== this.root && !full.startsWith(this.root + nodePath.sep)) {
      throw new SqlError(
        SqlState.insufficientPrivilege,
        `path "${path}" leads outside of the lake "${this.root}"`,
      )
    }
    return full
  }

  async #entries(folder: string): Promise<Dirent[]> {
    const found = await this.#orNull(folder, () =>
      fs.readdir(this.#locate(folder), { withFileTypes: true }),
    )
    return found ?? []
  }

  async #orNull<T>(path: string, call: () => Promise<T>): Promise<T | null> {
    try {
      return await call()
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return null
      throw diskError(path, thrown)
    }
  }

  async #translated<T>(path: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (thrown) {
      throw diskError(path, thrown)
    }
  }
}

function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.tmp')
}

function trimSlash(path: string): string {
  return path.replace(/\/+$/, '')
}

/** Makes `folder` and those above it, durably. */
async function makeFolder(folder: string): Promise<void> {
  const made = await fs.mkdir(folder, { recursive: true })
  if (made !== undefined) await syncFolders(nodePath.dirname(made), nodePath.dirname(folder))
}

async function removeQuietly(path: string): Promise<void> {
  // Only a name is left behind that no listing shows.
  await fs.rm(path, { force: true }).catch(noop)
}

function noop(): void {}

/** Makes new folders durable: each name stands in the folder above it, from `first` down to `last`. */
async function syncFolders(first: string, last: string): Promise<void> {
  for (let folder = last; folder.length >= first.length; folder = nodePath.dirname(folder)) {
    await syncFolder(folder)
    if (folder === first) return
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await fs.open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
