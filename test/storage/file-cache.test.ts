/** The cache of remote files on the local disk. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CacheFolder } from '../../storage/cache-folder.js'
import { Cancellation } from '../../storage/cancellation.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { FileCache, type ReadRemote, type RemoteFile } from '../../storage/file-cache.js'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-cache-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What the remote object called `path` holds. */
function contentOf(path: string, sizeBytes: number): Buffer {
  return Buffer.alloc(sizeBytes, path)
}

const remote = (path: string, sizeBytes = 100): RemoteFile => ({
  path,
  sizeBytes,
  name: FileCache.nameOf(path),
})

/** Reads that are counted; `before` is awaited before each. */
function reader(before: (file: RemoteFile, offset: number) => Promise<void> = async () => {}): {
  read: ReadRemote
  requests: string[]
} {
  const requests: string[] = []
  const read: ReadRemote = async (file, offset, length, signal) => {
    requests.push(`${file.path}@${offset}`)
    await before(file, offset)
    signal.throwIfAborted()
    return contentOf(file.path, file.sizeBytes).subarray(offset, offset + length)
  }
  return { read, requests }
}

const partials = (): string[] => readdirSync(join(folder, 'partial'))
const copies = (): string[] => readdirSync(join(folder, 'files'))

describe('a lent file', () => {
  it('holds what the object holds, however large, and is fetched once', async () => {
    const cache = await FileCache.open(folder, 1e9)
    const { read, requests } = reader()
    for (const sizeBytes of [0, 1, 100, 20 * 1024 * 1024 + 3]) {
      const file = remote(`file of ${sizeBytes}`, sizeBytes)
      for (let round = 0; round < 2; round++) {
        const lease = await cache.lend([file, file], read)
        expect(lease.urls).toHaveLength(2)
        const found = readFileSync(lease.urls[1] ?? '')
        expect(found.equals(contentOf(file.path, sizeBytes))).toBe(true)
        lease.release()
      }
    }
    expect(requests).toHaveLength(1 + 1 + 3)
    expect(partials()).toEqual([])
  })

  it('is fetched once by many who ask at the same time', async () => {
    const cache = await FileCache.open(folder, 1e9)
    const { read, requests } = reader(() => new Promise((done) => setTimeout(done, 20)))
    const leases = await Promise.all(
      Array.from({ length: 10 }, () => cache.lend([remote('a')], read)),
    )
    expect(requests).toEqual(['a@0'])
    for (const lease of leases) lease.release()
  })

  it('stays while it is lent, whatever else is fetched, and goes when it must afterwards', async () => {
    const cache = await FileCache.open(folder, 250)
    const { read } = reader()
    const first = await cache.lend([remote('a')], read)
    for (const path of ['b', 'c', 'd']) (await cache.lend([remote(path)], read)).release()
    expect(readFileSync(first.urls[0] ?? '').equals(contentOf('a', 100))).toBe(true)
    first.release()
    const second = await cache.lend([remote('e'), remote('f')], read)
    expect(cache.heldBytes).toBeLessThanOrEqual(250)
    expect(second.urls.map((url) => readFileSync(url).toString('utf8', 0, 1))).toEqual(['e', 'f'])
    second.release()
  })

  it('is refused where the files of one statement do not fit', async () => {
    const cache = await FileCache.open(folder, 250)
    const { read, requests } = reader()
    await expect(cache.lend([remote('a'), remote('b'), remote('c')], read)).rejects.toMatchObject({
      sqlState: SqlState.configurationLimitExceeded,
    })
    expect(requests).toEqual([])
  })

  it('is fetched again after a failure, which leaves nothing behind', async () => {
    const cache = await FileCache.open(folder, 1e9)
    const failure = new SqlError(SqlState.ioError, 'the store is away')
    const failing = reader(async (_, offset) => {
      if (offset > 0) throw failure
    })
    const file = remote('a', 20 * 1024 * 1024)
    await expect(cache.lend([file], failing.read)).rejects.toBe(failure)
    expect([partials(), copies()]).toEqual([[], []])
    const lease = await cache.lend([file], reader().read)
    expect(readFileSync(lease.urls[0] ?? '').equals(contentOf('a', file.sizeBytes))).toBe(true)
    lease.release()
  })

  it('is not waited for by a statement that was cancelled, and given up when nobody waits', async () => {
    const cache = await FileCache.open(folder, 1e9)
    let aborted = 0
    let begin = (): void => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const hanging: ReadRemote = (_, __, ___, signal) =>
      new Promise((_, reject) => {
        begin()
        signal.addEventListener('abort', () => {
          aborted++
          reject(signal.reason)
        })
      })
    const reason = new SqlError(SqlState.queryCanceled, 'canceling statement due to user request')
    const [one, two] = [new Cancellation(), new Cancellation()]
    const waits = [one, two].map((by) => cache.lend([remote('a')], hanging, by))
    await begun
    one.cancel(reason)
    await expect(waits[0]).rejects.toBe(reason)
    expect(aborted).toBe(0)
    two.cancel(reason)
    await expect(waits[1]).rejects.toBe(reason)
    expect(aborted).toBe(1)
    const lease = await cache.lend([remote('a')], reader().read)
    lease.release()
  })
})

describe('a cache that is opened again', () => {
  it('has what was whole, drops what was not, and keeps to its bound', async () => {
    const before = await FileCache.open(folder, 1e9)
    const { read } = reader()
    for (const path of ['a', 'b', 'c']) (await before.lend([remote(path)], read)).release()
    writeFileSync(before.temporary(), 'half a file')
    const after = await FileCache.open(folder, 250)
    expect(partials()).toEqual([])
    expect(after.heldBytes).toBe(200)
    const again = reader()
    const lease = await after.lend([remote('b'), remote('c')], again.read)
    expect(lease.urls.map((url) => readFileSync(url).toString('utf8', 0, 1))).toEqual(['b', 'c'])
    lease.release()
  })

  it('does not take a copy of another size for the object', async () => {
    const before = await FileCache.open(folder, 1e9)
    ;(await before.lend([remote('a', 50)], reader().read)).release()
    const after = await FileCache.open(folder, 1e9)
    const lease = await after.lend([remote('a', 60)], reader().read)
    expect(readFileSync(lease.urls[0] ?? '')).toHaveLength(60)
    lease.release()
  })
})

describe('a cache folder', () => {
  it('is used by one process at a time, and taken over from one that has ended', async () => {
    const dead = join(folder, 'cache-0')
    const first = await CacheFolder.take(folder)
    expect(first.path).toBe(dead)
    await first.release()
    // Process 1 of this machine lives; no process has the other number.
    const { hostname } = await import('node:os')
    writeFileSync(join(dead, 'owner'), `${hostname()} 1\n`)
    const second = await CacheFolder.take(folder)
    expect(second.path).toBe(join(folder, 'cache-1'))
    writeFileSync(join(dead, 'owner'), `${hostname()} 4194305\n`)
    const third = await CacheFolder.take(folder)
    expect(third.path).toBe(dead)
    await second.release()
    await third.release()
  })
})
