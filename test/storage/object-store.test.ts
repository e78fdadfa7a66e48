/** The object store contract, held by every kind of store. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { MemoryStore } from '../support/memory-store.js'
import { makeLakeFolder, openTestStore, s3Server } from '../support/test-store.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (found: Uint8Array | null): string | null =>
  found === null ? null : new TextDecoder().decode(found)

interface Kind {
  readonly name: string
  readonly open: (folder: string) => Promise<{ store: ObjectStore; close(): Promise<void> }>
  readonly isThere: boolean
}

const kinds: readonly Kind[] = [
  {
    name: 'a local folder',
    isThere: true,
    open: async (folder) => ({
      store: new LocalStore(join(folder, 'lake')),
      close: async () => {},
    }),
  },
  {
    name: 'memory',
    isThere: true,
    open: async (folder) => ({ store: new MemoryStore(folder), close: async () => {} }),
  },
  {
    name: s3Server === null ? 'a bucket (no LAKEGATE_TEST_S3_ENDPOINT)' : 'a bucket',
    isThere: s3Server !== null,
    open: async () => {
      const lake = makeLakeFolder()
      const opened = await openTestStore(lake)
      return {
        store: opened.store,
        close: async () => {
          await opened.close()
          rmSync(lake, { recursive: true, force: true })
        },
      }
    },
  },
]

describe.each(kinds.filter(({ isThere }) => isThere))('$name', ({ open }) => {
  let folder: string
  let store: ObjectStore
  let close: () => Promise<void>

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lakegate-store-'))
    ;({ store, close } = await open(folder))
  })

  afterEach(async () => {
    await close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('gives an object as it was written last, and nothing once it is deleted', async () => {
    expect(await store.read('a/b.txt')).toBeNull()
    await store.write('a/b.txt', bytes('one'))
    await store.write('a/b.txt', bytes('two'))
    expect(text(await store.read('a/b.txt'))).toBe('two')
    await store.delete('a/b.txt')
    await store.delete('a/b.txt')
    expect(await store.read('a/b.txt')).toBeNull()
    expect(await store.stat('a/b.txt')).toBeNull()
  })

  it('gives ranges of an object, shorter at its end', async () => {
    await store.write('x', bytes('0123456789'))
    expect(text(await store.readRange('x', 2, 3))).toBe('234')
    expect(text(await store.readRange('x', 8, 10))).toBe('89')
    expect(text(await store.readRange('x', 20, 10))).toBe('')
    expect(text(await store.readRange('x', 2, 0))).toBe('')
    expect(await store.readRange('y', 0, 1)).toBeNull()
  })

  it('tells the size of an object, and when it was written', async () => {
    await store.write('x', bytes('0123456789'))
    const found = await store.stat('x')
    expect(found).toMatchObject({ path: 'x', sizeBytes: 10 })
    expect(found?.modifiedMs).toBeGreaterThan(Date.UTC(2020))
  })

  it('keeps names with every character that Delta writes', async () => {
    const names = ['t/p=a%20b/x', 't/p=ä ö+%2F/y', "t/it's/z", 't/a&b<c>/w', 't/~(1)!*/v']
    for (const name of names) await store.write(name, bytes(name))
    expect((await store.list('t')).map(({ path }) => path).sort()).toEqual([...names].sort())
    for (const name of names) expect(text(await store.read(name))).toBe(name)
  })

  it('creates an object once, and leaves what is there', async () => {
    expect(await store.putIfAbsent('log/0.json', bytes('one'))).toBe('created')
    expect(await store.putIfAbsent('log/0.json', bytes('two'))).toBe('exists')
    expect(text(await store.read('log/0.json'))).toBe('one')
  })

  it('tells exactly one of many racing callers that it created an object', async () => {
    for (let version = 0; version < 10; version++) {
      const path = `log/${version}.json`
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, i) => store.putIfAbsent(path, bytes(`writer ${i}`))),
      )
      expect(answers.filter((answer) => answer === 'created')).toHaveLength(1)
      expect(text(await store.read(path))).toBe(`writer ${answers.indexOf('created')}`)
    }
  })

  it('lists a folder, all below it, and its folders, in order and from a name on', async () => {
    for (const path of ['t/b', 't/a', 't/c', 't/sub/d', 'u/e', 'top']) {
      await store.write(path, bytes(path))
    }
    const paths = async (
      found: Promise<readonly { readonly path: string }[]>,
    ): Promise<readonly string[]> => (await found).map(({ path }) => path)
    expect(await paths(store.listFolder('t'))).toEqual(['t/a', 't/b', 't/c'])
    expect(await paths(store.listFolder('t', 'b'))).toEqual(['t/b', 't/c'])
    expect(await paths(store.list('t'))).toEqual(['t/a', 't/b', 't/c', 't/sub/d'])
    expect(await paths(store.list('t', 't/c'))).toEqual(['t/c', 't/sub/d'])
    expect(await paths(store.list(''))).toHaveLength(6)
    expect(await store.listFolders('')).toEqual(['t', 'u'])
    expect(await store.listFolders('t')).toEqual(['sub'])
    for (const none of ['none', 't/a']) {
      expect(await store.list(none)).toEqual([])
      expect(await store.listFolder(none)).toEqual([])
      expect(await store.listFolders(none)).toEqual([])
    }
  })

  it('lists thousands of objects', async () => {
    const names = Array.from({ length: 1200 }, (_, i) => `t/${String(i).padStart(20, '0')}.json`)
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((name) => store.write(name, bytes('x'))))
    }
    expect((await store.listFolder('t')).map(({ path }) => path)).toEqual(names)
    const from = await store.listFolder('t', `${String(1100).padStart(20, '0')}.json`)
    expect(from.map(({ path }) => path)).toEqual(names.slice(1100))
  })

  it('publishes staged files whole, under their names, and hides them before', async () => {
    const staging = await store.openStaging('t')
    writeFileSync(join(staging.engineUrl, 'a'), 'one')
    await staging.append('b', bytes('t'))
    await staging.append('b', bytes('wo'))
    expect(await store.list('')).toEqual([])
    expect(await store.listFolders('t')).toEqual([])
    const entries = await staging.publish([
      { name: 'a', path: 't/p=1/x' },
      { name: 'b', path: 't/p=2/y' },
    ])
    expect(entries).toMatchObject([
      { path: 't/p=1/x', sizeBytes: 3 },
      { path: 't/p=2/y', sizeBytes: 3 },
    ])
    expect(text(await store.read('t/p=2/y'))).toBe('two')
    await staging.discard()
    await staging.discard()
    expect((await store.list('')).map(({ path }) => path)).toEqual(['t/p=1/x', 't/p=2/y'])
  })

  it('publishes files of many megabytes as they are', async () => {
    const staging = await store.openStaging('t')
    const large = new Uint8Array(40 * 1024 * 1024 + 7).map((_, i) => (i * 2654435761) >>> 24)
    mkdirSync(join(staging.engineUrl, 'sub'))
    writeFileSync(join(staging.engineUrl, 'sub', 'large'), large)
    await staging.publish([{ name: 'sub/large', path: 't/large' }])
    await staging.discard()
    expect((await store.stat('t/large'))?.sizeBytes).toBe(large.length)
    const found = (await store.read('t/large')) ?? new Uint8Array(0)
    expect(Buffer.compare(found, large)).toBe(0)
  })

  it.each([10, 20 * 1024 * 1024])(
    'replaces nothing by what was staged, of %d bytes',
    async (size) => {
      await store.write('t/x', bytes('old'))
      const staging = await store.openStaging('t')
      writeFileSync(join(staging.engineUrl, 'a'), new Uint8Array(size))
      await expect(staging.publish([{ name: 'a', path: 't/x' }])).rejects.toMatchObject({
        sqlState: SqlState.ioError,
      })
      await staging.discard()
      expect(text(await store.read('t/x'))).toBe('old')
    },
  )

  it('lends objects to the engine under names it can open', async () => {
    const large = Buffer.alloc(9 * 1024 * 1024, 'abc')
    await store.write('t/large', large)
    await store.write('t/small', bytes('small'))
    const lease = await store.lend([
      { path: 't/large', sizeBytes: large.length },
      { path: 't/small', sizeBytes: null },
    ])
    expect(readFileSync(lease.urls[0] ?? '').equals(large)).toBe(true)
    expect(readFileSync(lease.urls[1] ?? '', 'utf8')).toBe('small')
    expect(lease.urls[0]).toBe(store.engineUrl('t/large'))
    lease.release()
    lease.release()
  })

  it('lends what an object that may be replaced is now', async () => {
    for (const content of ['one', 'three']) {
      await store.write('t/x', bytes(content))
      const lease = await store.lend([{ path: 't/x', sizeBytes: null }])
      expect(readFileSync(lease.urls[0] ?? '', 'utf8')).toBe(content)
      lease.release()
    }
  })
})
