/** Deletion vector files: several vectors in one file, read back as the specification describes it. */

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDeletionVector } from '../../storage/deletion-vector.js'
import { withDeletionVector, writeDeletionVectors } from '../../storage/deletion-vector-file.js'
import { jsonMembers } from '../../storage/lossless-json.js'
import { LocalStore } from '../../storage/local-store.js'

let root: string
let store: LocalStore

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lakegate vectors %-'))
  store = new LocalStore(root)
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

const rows = fc
  .oneof(
    fc.uniqueArray(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 50 }),
    fc.uniqueArray(fc.nat({ max: 2 ** 32 - 2 }), { minLength: 1, maxLength: 20 }),
    // More than 4,096 rows of one container, which is then kept as bits.
    fc.nat({ max: 70_000 }).map((from) => Array.from({ length: 5000 }, (_, i) => from + i)),
  )
  .map((list) => [...list].sort((a, b) => a - b))

describe('a file of deletion vectors', () => {
  it.each(['relative', 'absolute'] as const)(
    'gives back each of them, named %s',
    async (naming) => {
      await fc.assert(
        fc.asyncProperty(fc.array(rows, { minLength: 1, maxLength: 6 }), async (vectors) => {
          const descriptors = await writeDeletionVectors(store, 'layer/t', vectors, naming)
          expect(descriptors.map((one) => one.storageType)).toEqual(
            vectors.map(() => (naming === 'relative' ? 'u' : 'p')),
          )
          for (const [i, descriptor] of descriptors.entries()) {
            expect(await readDeletionVector(store, 'layer/t', descriptor)).toEqual(vectors[i])
          }
        }),
        { numRuns: 30, seed: 5 },
      )
    },
  )

  it('begins with its version, and each vector with its size in the order of the network', async () => {
    const [first, second] = await writeDeletionVectors(store, 'one', [[1, 2, 3], [7]])
    const [name] = readdirSync(join(root, 'one'))
    expect(name).toMatch(
      /^deletion_vector_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.bin$/,
    )
    const bytes = readFileSync(join(root, 'one', name ?? ''))
    expect(bytes[0]).toBe(1)
    expect(first).toMatchObject({ offset: 1, cardinality: 3 })
    expect(bytes.readInt32BE(1)).toBe(first?.sizeInBytes)
    expect(bytes.readInt32LE(5)).toBe(1681511377)
    expect(second).toMatchObject({ offset: 1 + 8 + (first?.sizeInBytes ?? 0), cardinality: 1 })
    expect(bytes.readInt32BE(second?.offset ?? 0)).toBe(second?.sizeInBytes)
    expect(bytes.length).toBe((second?.offset ?? 0) + (second?.sizeInBytes ?? 0) + 8)
  })

  it('is not written for no vectors', async () => {
    expect(await writeDeletionVectors(store, 'none', [])).toEqual([])
    expect(await store.listFolder('none')).toEqual([])
  })
})

describe('a data file with a deletion vector', () => {
  const vector = {
    storageType: 'u',
    pathOrInlineDv: 'x',
    offset: 1,
    sizeInBytes: 1,
    cardinality: 1,
  }
  const file = { path: 'a', partitionValues: {}, size: 1, modificationTime: 1 }

  it.each([
    [
      '{"numRecords":3,"minValues":{"n":9007199254740993},"tightBounds":true}',
      '{"numRecords":3,"minValues":{"n":9007199254740993},"tightBounds":false}',
    ],
    [
      '{"numRecords":3,"nullCount":{"a":1,"numRecords":2,"tightBounds":0}}',
      '{"numRecords":3,"nullCount":{"a":1,"numRecords":2,"tightBounds":0},"tightBounds":false}',
    ],
    [
      '{"minValues":{"s":",\\"numRecords\\":7}"}}',
      '{"numRecords":3,"minValues":{"s":",\\"numRecords\\":7}"},"tightBounds":false}',
    ],
    [null, '{"numRecords":3,"tightBounds":false}'],
    ['', '{"numRecords":3,"tightBounds":false}'],
  ])('keeps the statistics %s, no longer tight', (stats, expected) => {
    expect(withDeletionVector({ ...file, stats }, vector, 3)).toMatchObject({
      stats: expected,
      deletionVector: vector,
    })
  })
})

it.each([
  ['{}', []],
  ['[1]', []],
  ['', []],
  [
    '{"a": 1.50 , "b":{"a":[1,{"c":2}]},"d\\"":"}"}',
    [
      ['a', '1.50'],
      ['b', '{"a":[1,{"c":2}]}'],
      ['d"', '"}"'],
    ],
  ],
])('the members of %s are told apart as they are written', (json, expected) => {
  expect(jsonMembers(json)).toEqual(expected)
})
