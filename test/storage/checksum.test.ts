/** Checksums over commits of other engines, whose removes need not say a size and whose adds may come again. */

import { describe, expect, it } from 'vitest'
import type { Action, AddFile } from '../../storage/actions.js'
import { makeChecksum } from '../../storage/checksum.js'
import { FileIndex } from '../../storage/file-index.js'
import { defineTable } from '../../storage/new-table.js'
import type { Snapshot } from '../../storage/snapshot.js'
import { MemoryStore } from '../support/memory-store.js'
import { schemaOf } from '../support/write-lake.js'

const table = defineTable({ tablePath: 't', schema: schemaOf({ n: 'long' }) })

function add(path: string, size: number, more: Partial<AddFile> = {}): Action {
  return {
    kind: 'add',
    add: { path, partitionValues: {}, size, modificationTime: 1, dataChange: true, ...more },
  }
}

const base: Snapshot = {
  ...table,
  version: 4,
  groups: { versions: new Map(), rolledBack: new Map(), loadedMs: 0 },
  files: FileIndex.empty.with(
    [],
    [
      { path: 'a', partitionValues: {}, size: 10, modificationTime: 1 },
      { path: 'b%20c', partitionValues: {}, size: 100, modificationTime: 1 },
    ],
    (path) => `t/${decodeURIComponent(path)}`,
  ),
  sizeBytes: 110,
  transactions: new Map([['x', { appId: 'x', version: 1 }]]),
  domains: new Map([
    ['gone', '1'],
    ['kept', '2'],
  ]),
}

function sum(...versions: readonly (readonly Action[])[]): unknown {
  const bytes = makeChecksum(
    new MemoryStore('/nowhere'),
    base,
    't',
    versions.map((actions, i) => ({ version: 5 + i, actions })),
  )
  return bytes === null ? null : JSON.parse(new TextDecoder().decode(bytes))
}

describe('the checksum of a version', () => {
  it.each<[string, readonly (readonly Action[])[], number, number]>([
    ['an append', [[add('c', 1)]], 3, 111],
    [
      'a remove without a size, by another',
      [[{ kind: 'remove', remove: { path: 'b c' } }], [add('c', 1)]],
      2,
      11,
    ],
    [
      'a remove of what is not live, by another',
      [[{ kind: 'remove', remove: { path: 'z' } }], [add('c', 1)]],
      3,
      111,
    ],
    [
      'the same file added again, by another',
      [[add('a', 10, { tags: { k: 'v' } })], [add('c', 1)]],
      3,
      111,
    ],
    ['the same file added again with another size', [[add('a', 12)], [add('c', 1)]], 3, 113],
    [
      'the same file added again, by ourselves, unchanged',
      [[add('a', 10, { dataChange: false })]],
      2,
      110,
    ],
    [
      'a file added and removed by others',
      [[add('d', 5)], [{ kind: 'remove', remove: { path: 'd' } }], [add('c', 1)]],
      3,
      111,
    ],
    [
      'a remove with its size, by ourselves',
      [[{ kind: 'remove', remove: { path: 'a', size: 10 } }, add('c', 1)]],
      2,
      101,
    ],
  ])('counts %s', (_name, versions, numFiles, tableSizeBytes) => {
    expect(sum(...versions)).toMatchObject({
      numFiles,
      tableSizeBytes,
      numMetadata: 1,
      numProtocol: 1,
    })
  })

  it('holds the newest of what is named, and none that is removed', () => {
    const found = sum(
      [
        { kind: 'commitInfo', commitInfo: { txnId: 'theirs', inCommitTimestamp: 1 } },
        { kind: 'txn', txn: { appId: 'x', version: 9007199254740993n } },
        {
          kind: 'domainMetadata',
          domainMetadata: { domain: 'gone', configuration: '', removed: true },
        },
      ],
      [{ kind: 'commitInfo', commitInfo: { txnId: 'ours', inCommitTimestamp: 7 } }],
    )
    expect(found).toMatchObject({
      txnId: 'ours',
      inCommitTimestampOpt: 7,
      domainMetadata: [{ domain: 'kept', configuration: '2', removed: false }],
      metadata: { id: table.metadata.id },
      protocol: { minReaderVersion: 1, minWriterVersion: 2 },
    })
  })
})
