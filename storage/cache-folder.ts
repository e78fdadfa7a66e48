/** CacheFolder: a folder for the file cache that no other living process uses. */

import * as fs from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, diskError } from './disk-error.js'
import { SqlError, SqlState } from './errors.js'

/** How often an owner says that it lives, and when silence means that it does not. */
const HEARTBEAT_MS = 5_000
const SILENCE_MS = 60_000

/** Gateways of one machine that share a folder. */
const PLACES = 64

/**
 * One of the folders `cache-0`, `cache-1`, … below a common one.
 *
 * What an ended process left in its folder is taken over by the next. An owner is known by its
 * process on this machine, and by its heartbeat where it cannot be looked up, as in another
 * container.
 */
export class CacheFolder {
  readonly path: string
  readonly #timer: NodeJS.Timeout

  private constructor(path: string) {
    this.path = path
    this.#timer = setInterval(() => {
      const now = new Date()
      fs.utimes(ownerFile(path), now, now).catch(() => {})
    }, HEARTBEAT_MS)
    this.#timer.unref()
  }

  /** Takes a folder below `above`; 58030 when none can be made. */
  static async take(above: string): Promise<CacheFolder> {
    for (let i = 0; i < PLACES; i++) {
      const path = join(above, `cache-${i}`)
      try {
        await fs.mkdir(path, { recursive: true })
        if (await claim(path)) return new CacheFolder(path)
      } catch (thrown) {
        throw diskError(path, thrown)
      }
    }
    throw new SqlError(SqlState.ioError, `every cache folder below "${above}" is in use`)
  }

  /** Leaves the folder, with its files, to the next process. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    await fs.rm(ownerFile(this.path), { force: true })
  }
}

function ownerFile(path: string): string {
  return join(path, 'owner')
}

async function claim(path: string): Promise<boolean> {
  const file = ownerFile(path)
  const self = `${hostname()} ${process.pid}\n`
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await fs.writeFile(file, self, { flag: 'wx' })
      return true
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST') throw thrown
    }
    if (await isLiving(file)) return false
    // Of several who find it dead one renames it away; who comes late has moved its successor.
    const aside = `${file}.${process.pid}`
    try {
      await fs.rename(file, aside)
      const isDead = !(await isLiving(aside))
      if (!isDead) await fs.link(aside, file)
      await fs.rm(aside, { force: true })
      if (!isDead) return false
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') throw thrown
    }
  }
  return false
}

async function isLiving(file: string): Promise<boolean> {
  try {
    const [host, pid] = (await fs.readFile(file, 'utf8')).trim().split(' ')
    const { mtimeMs } = await fs.stat(file)
    if (Date.now() - mtimeMs > SILENCE_MS) return false
    if (host !== hostname()) return true
    // A process that has our own number cannot be the one that wrote it.
    return Number(pid) !== process.pid && isRunning(Number(pid))
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return false
    throw thrown
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return codeOf(thrown) === 'EPERM'
  }
}
