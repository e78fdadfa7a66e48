/** A file index gives every add action back as the log had it, whatever is taken away and added. */

import { describe, expect, it } from 'vitest'
import type { AddFile } from '../../storage/actions.js'
import { FileIndex } from '../../storage/file-index.js'

const resolve = (path: string): string => `t/${path}`

function file(path: string, more: Partial<AddFile> = {}): AddFile {
  return { path, partitionValues: { day: '2026-01-01' }, size: 10, modificationTime: 5, ...more }
}

describe('a file index', () => {
  it('keeps row ids beyond 2^53, tags and statistics digit by digit', () => {
    const add = file('a', {
      baseRowId: 9_007_199_254_740_993n as unknown as number,
      defaultRowCommitVersion: 7,
      tags: { k: 'v' },
      stats: '{"numRecords":1,"maxValues":{"n":9007199254740993.10}}',
    })
    const [found] = FileIndex.empty.with([], [add], resolve)
    expect(found?.add).toMatchObject(add)
  })

  it('removes by path and deletion vector, and leaves the index it came from as it was', () => {
    const first = FileIndex.empty.with([], [file('a'), file('b'), file('c')], resolve)
    const second = first.with([{ path: 't/b', vectorId: null }], [file('d')], resolve)
    const paths = (index: FileIndex): string[] => [...index].map((one) => one.path)
    expect(paths(first)).toEqual(['t/a', 't/b', 't/c'])
    expect(paths(second)).toEqual(['t/a', 't/c', 't/d'])
    expect(second.sizeBytes).toBe(30)
    expect(paths(second.with([{ path: 't/a', vectorId: 'other' }], [], resolve))).toHaveLength(3)
  })
})
