/** The object store contract, on the local file system. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SqlState } from '../../storage/errors.js'
import { LocalStore } from '../../storage/local-store.js'

let folder: string
let store: LocalStore

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-store-'))
  store = new LocalStore(join(folder, 'lake'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (found: Uint8Array | null): string | null =>
  found === null ? null : new TextDecoder().decode(found)

describe('an object', () => {
  it('is read as it was written, replaced by the next write, and gone once deleted', async () => {
    expect(await store.read('a/b.txt')).toBeNull()
    await store.write('a/b.txt', bytes('one'))
    await store.write('a/b.txt', bytes('two'))
    expect(text(await store.read('a/b.txt'))).toBe('two')
    await store.delete('a/b.txt')
    await store.delete('a/b.txt')
    expect(await store.read('a/b.txt')).toBeNull()
    expect(await store.stat('a/b.txt')).toBeNull()
  })

  it('is read in ranges, shorter at its end', async () => {
    await store.write('x', bytes('0123456789'))
    expect(text(await store.readRange('x', 2, 3))).toBe('234')
    expect(text(await store.readRange('x', 8, 10))).toBe('89')
    expect(text(await store.readRange('x', 20, 10))).toBe('')
    expect(await store.readRange('y', 0, 1)).toBeNull()
  })

  it('tells its size', async () => {
    await store.write('x', bytes('0123456789'))
    expect(await store.stat('x')).toMatchObject({ path: 'x', sizeBytes: 10 })
  })

  it('is missing, not an error, below a path that is a file', async () => {
    await store.write('x', bytes('1'))
    expect(await store.read('x/y')).toBeNull()
  })

  it.each(['../outside', 'a/../../outside', '/etc/passwd', '..'])(
    'is refused outside of the root: %s',
    async (path) => {
      writeFileSync(join(folder, 'outside'), 'secret')
      await expect(store.read(path)).rejects.toMatchObject({
        sqlState: SqlState.insufficientPrivilege,
      })
      await expect(store.write(path, bytes(''))).rejects.toMatchObject({
        sqlState: SqlState.insufficientPrivilege,
      })
    },
  )
})

describe('putIfAbsent', () => {
  it('creates once and leaves what is there', async () => {
    expect(await store.putIfAbsent('log/0.json', bytes('one'))).toBe('created')
    expect(await store.putIfAbsent('log/0.json', bytes('two'))).toBe('exists')
    expect(text(await store.read('log/0.json'))).toBe('one')
  })

  it('tells exactly one of many racing callers that it created the object', async () => {
    for (let version = 0; version < 10; version++) {
      const path = `log/${version}.json`
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, i) => store.putIfAbsent(path, bytes(`writer ${i}`))),
      )
      expect(answers.filter((answer) => answer === 'created')).toHaveLength(1)
      expect(text(await store.read(path))).toBe(`writer ${answers.indexOf('created')}`)
    }
  })

  it('leaves no temporary file, whoever won', async () => {
    await Promise.all(Array.from({ length: 8 }, () => store.putIfAbsent('log/0.json', bytes('x'))))
    expect(readdirSync(join(store.root, 'log'))).toEqual(['0.json'])
  })
})

describe('a listing', () => {
  beforeEach(async () => {
    for (const path of ['t/b', 't/a', 't/c', 't/sub/d', 'u/e']) await store.write(path, bytes(path))
  })

  it('holds what lies directly in a folder, in order of name, from the name asked for', async () => {
    const names = async (startAt?: string): Promise<string[]> =>
      (await store.listFolder('t', startAt)).map((object) => object.path)
    expect(await names()).toEqual(['t/a', 't/b', 't/c'])
    expect(await names('b')).toEqual(['t/b', 't/c'])
  })

  it('holds everything below a folder, in order of path', async () => {
    expect((await store.list('t')).map((object) => object.path)).toEqual([
      't/a',
      't/b',
      't/c',
      't/sub/d',
    ])
    expect((await store.list('t', 't/c')).map((object) => object.path)).toEqual(['t/c', 't/sub/d'])
  })

  it('is empty for a folder that does not exist', async () => {
    expect(await store.list('none')).toEqual([])
    expect(await store.listFolder('none')).toEqual([])
    expect(await store.listFolders('none')).toEqual([])
  })

  it('leaves out files that are still being written', async () => {
    writeFileSync(join(store.root, 't', '.a.123.tmp'), '')
    expect((await store.listFolder('t')).map((object) => object.path)).toEqual([
      't/a',
      't/b',
      't/c',
    ])
  })

  it('names folders, linked ones too', async () => {
    mkdirSync(join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(store.root, 't', 'linked'))
    expect(await store.listFolders('t')).toEqual(['linked', 'sub'])
    expect(await store.listFolders('')).toEqual(['t', 'u'])
  })
})

describe('a failure of the file system', () => {
  it('is an I/O error that names the path', async () => {
    mkdirSync(join(store.root, 'folder'), { recursive: true })
    await expect(store.read('folder')).rejects.toMatchObject({
      sqlState: SqlState.ioError,
      message: expect.stringContaining('"folder"'),
    })
  })

  it('leaves the old object whole when a write cannot replace it', async () => {
    mkdirSync(join(store.root, 'taken'), { recursive: true })
    await expect(store.write('taken', bytes('x'))).rejects.toMatchObject({
      sqlState: SqlState.ioError,
    })
    expect(statSync(join(store.root, 'taken')).isDirectory()).toBe(true)
    expect(readdirSync(store.root)).toEqual(['taken'])
  })
})

describe('a staging folder', () => {
  it('is seen by nobody until its files are published, whole and under their names', async () => {
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
    expect(readdirSync(join(store.root, 't'))).toEqual(['p=1', 'p=2'])
  })

  it('replaces nothing', async () => {
    await store.write('t/x', bytes('old'))
    const staging = await store.openStaging('t')
    writeFileSync(join(staging.engineUrl, 'a'), 'new')
    await expect(staging.publish([{ name: 'a', path: 't/x' }])).rejects.toMatchObject({
      sqlState: SqlState.ioError,
    })
    await staging.discard()
    expect(text(await store.read('t/x'))).toBe('old')
  })

  it('vanishes with what was not published', async () => {
    const staging = await store.openStaging('t')
    mkdirSync(join(staging.engineUrl, 'folder'))
    writeFileSync(join(staging.engineUrl, 'folder', 'a'), 'x')
    await staging.discard()
    await staging.discard()
    expect(readdirSync(join(store.root, 't'))).toEqual([])
  })

  it('says which file the engine did not write', async () => {
    const staging = await store.openStaging('t')
    await expect(staging.publish([{ name: 'none', path: 't/x' }])).rejects.toMatchObject({
      sqlState: SqlState.ioError,
    })
    await staging.discard()
  })
})
