/** Statistics of written files: bounds hold for any value, and agree with those other engines wrote. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeDataFiles } from '../../storage/data-file.js'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import {
  collectStatistics,
  parseColumnList,
  truncateMax,
  truncateMin,
} from '../../storage/file-statistics.js'
import { LocalStore } from '../../storage/local-store.js'
import { quoteNumbers } from '../../storage/lossless-json.js'
import { defineTable } from '../../storage/new-table.js'
import { liveFiles, loadSnapshot } from '../../storage/snapshot.js'
import { lintTable } from '../support/log-linter.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(async () => {
  // Whatever the tests above wrote is a table by the letter of the specification.
  expect(await lake.faults()).toEqual([])
  await lake.close()
}, 60_000)

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8')

describe('the bounds of a text', () => {
  it('lie on both sides of it, and of every text that begins like it', () => {
    const character = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      fc.constantFrom('\u{10ffff}', '\u007f', '\uffff', 'z', '\ud7ff'),
    )
    const texts = fc
      .array(character, { maxLength: 80 })
      .map((parts) => bytes(parts.join('')).toString('utf8'))
    fc.assert(
      fc.property(texts, (text) => {
        expect(bytes(truncateMin(text)).compare(bytes(text))).toBeLessThanOrEqual(0)
        expect([...truncateMin(text)].length).toBeLessThanOrEqual(32)
        const upper = truncateMax(text)
        if (upper === null) {
          expect([...text].slice(32, 64).every((char) => char === '\u{10ffff}')).toBe(true)
          return
        }
        expect(bytes(upper).compare(bytes(text))).toBeGreaterThanOrEqual(0)
        expect([...upper].length).toBeLessThanOrEqual(64)
      }),
      { numRuns: 2000, seed: 3 },
    )
  })

  it.each([
    ['short', 'short', 'short'],
    ['a'.repeat(40), 'a'.repeat(32), `${'a'.repeat(32)}\u007f`],
    ['é'.repeat(40), 'é'.repeat(32), `${'é'.repeat(32)}\u{10ffff}`],
    [`${'a'.repeat(32)}\u{10ffff}b`, 'a'.repeat(32), `${'a'.repeat(32)}\u{10ffff}\u007f`],
    [`${'a'.repeat(32)}${'\u{10ffff}'.repeat(40)}`, 'a'.repeat(32), null],
  ])('of %j are cut as Delta cuts them', (text, min, max) => {
    expect(truncateMin(text)).toBe(min)
    expect(truncateMax(text)).toBe(max)
  })
})

describe('the statistics of a file', () => {
  const columns = {
    l: 'long',
    d: 'double',
    f: 'float',
    c: 'decimal(30,7)',
    s: 'string',
    t: 'timestamp',
    n: 'timestamp_ntz',
    y: 'date',
    b: 'boolean',
    r: { type: 'struct', fields: [{ name: 'x', type: 'long', nullable: true, metadata: {} }] },
  }
  const decimal = fc.bigInt({ min: -(10n ** 30n) + 1n, max: 10n ** 30n - 1n }).map((v) => {
    const digits = String(v < 0n ? -v : v).padStart(8, '0')
    return `'${v < 0n ? '-' : ''}${digits.slice(0, -7)}.${digits.slice(-7)}'::DECIMAL(30,7)`
  })
  const value = {
    l: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((v) => `'${v}'::BIGINT`),
    d: fc.double().map((v) => `'${v}'::DOUBLE`),
    f: fc.float().map((v) => `'${v}'::FLOAT`),
    c: decimal,
    s: fc
      .string({ unit: 'binary', maxLength: 50 })
      .filter((text) => !text.includes('\u0000'))
      .map((text) => `'${bytes(text).toString('utf8').replaceAll("'", "''")}'`),
    t: fc
      .bigInt({ min: -62135596800000000n, max: 253402300799999999n })
      .map((v) => `make_timestamptz(${v})`),
    n: fc
      .bigInt({ min: -62135596800000000n, max: 253402300799999999n })
      .map((v) => `make_timestamp(${v})`),
    y: fc.integer({ min: -800000, max: 3000000 }).map((v) => `(DATE '1970-01-01' + ${v})`),
    b: fc.boolean().map(String),
    r: fc
      .option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
      .map((v) => (v === null ? 'NULL' : `{'x': '${v}'::BIGINT}`)),
  }
  const row = fc.record(value).map((cells) => Object.values(cells))
  const nullable = fc.array(fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }), {
    maxLength: 6,
  })

  it('hold for random rows of every type', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        nullable,
        async (rows, nulls) => {
          const tablePath = `random/${run++}`
          const list = rows.map(
            (cells, i) =>
              `(${cells.map((cell, j) => (nulls[i]?.[j] === true ? 'NULL' : cell)).join(', ')})`,
          )
          await lake.create(
            { tablePath, schema: schemaOf(columns) },
            `SELECT * FROM (VALUES ${list.join(', ')}) t(${Object.keys(columns).join(', ')})`,
          )
          expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
        },
      ),
      { numRuns: 40, seed: 11 },
    )
  }, 120_000)

  it.each([
    // The float nearest to 0.1, which lies above the double 0.1.
    ['float', '0.1', '0.10000000149011612', '0.10000000149011612'],
    ['double', '0.0', '-0.0', '0.0'],
    [
      'decimal(38,10)',
      "'9999999999999999999999999999.9999999999'",
      '9999999999999999999999999999.9999999999',
      '9999999999999999999999999999.9999999999',
    ],
    [
      'timestamp',
      "'2024-01-01 01:00:00.0001+01'",
      '"2024-01-01T00:00:00.000Z"',
      '"2024-01-01T00:00:00.001Z"',
    ],
    [
      'timestamp',
      "'1969-12-31 23:59:59.9999+00'",
      '"1969-12-31T23:59:59.999Z"',
      '"1970-01-01T00:00:00.000Z"',
    ],
    [
      'timestamp_ntz',
      "'2024-01-01 00:00:00.0001'",
      '"2024-01-01T00:00:00.000"',
      '"2024-01-01T00:00:00.001"',
    ],
    ['date', "'0099-01-02'", '"0099-01-02"', '"0099-01-02"'],
    ['string', "'nan'", '"nan"', '"nan"'],
  ])('of a %s that is %s go from %s to %s', async (type, value, min, max) => {
    const table = defineTable({ tablePath: 'bounds/one', schema: schemaOf({ v: type }) })
    const query = `SELECT ${value} AS v`
    const { files } = await writeDataFiles(lake.store, lake.connection, table, { query })
    expect(files[0]?.stats).toBe(
      `{"numRecords":1,"minValues":{"v":${min}},"maxValues":{"v":${max}},"nullCount":{"v":0}}`,
    )
  })

  it.each<[string, { readonly [key: string]: string }, unknown]>([
    ['the first 32 leaves', {}, { a: 1, s: { x: 2, y: 3 }, l: 0, z: 5 }],
    [
      'as many as the table says',
      { 'delta.dataSkippingNumIndexedCols': '2' },
      { a: 1, s: { x: 2 } },
    ],
    ['none', { 'delta.dataSkippingNumIndexedCols': '0' }, {}],
    ['all', { 'delta.dataSkippingNumIndexedCols': '-1' }, { a: 1, s: { x: 2, y: 3 }, l: 0, z: 5 }],
    ['named ones', { 'delta.dataSkippingStatsColumns': 's.y, `z`' }, { s: { y: 3 }, z: 5 }],
    ['a whole struct', { 'delta.dataSkippingStatsColumns': 's' }, { s: { x: 2, y: 3 } }],
    ['clustering columns always', { 'delta.dataSkippingNumIndexedCols': '1' }, { a: 1, z: 5 }],
  ])('are those of %s', async (name, configuration, expected) => {
    const integer = (field: string): object => ({
      name: field,
      type: 'integer',
      nullable: true,
      metadata: {},
    })
    const schema = schemaOf({
      a: 'integer',
      p: 'integer',
      s: { type: 'struct', fields: [integer('x'), integer('y')] },
      l: { type: 'array', elementType: 'integer', containsNull: true },
      z: 'integer',
    })
    const table = defineTable({
      tablePath: `indexed/${name.replaceAll(' ', '_')}`,
      schema,
      partitionColumns: name.startsWith('clustering') ? [] : ['p'],
      configuration,
      domains: name.startsWith('clustering')
        ? new Map([['delta.clustering', '{"clusteringColumns":[["z"]]}']])
        : new Map(),
    })
    const { files } = await writeDataFiles(lake.store, lake.connection, table, {
      query: "SELECT 1 AS a, 0 AS p, {'x': 2, 'y': 3} AS s, [4] AS l, 5 AS z",
    })
    const stats = JSON.parse(files[0]?.stats ?? '{}') as {
      minValues: object
      nullCount: { l?: number }
    }
    expect({ ...stats.minValues, ...(stats.nullCount.l === undefined ? {} : { l: 0 }) }).toEqual(
      expected,
    )
  })

  it('are of the wide table’s first columns only', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `c${i}`)
    const table = defineTable({
      tablePath: 'indexed/wide',
      schema: schemaOf(Object.fromEntries(names.map((name) => [name, 'integer']))),
    })
    const { files } = await writeDataFiles(lake.store, lake.connection, table, {
      query: `SELECT ${names.map((name) => `1 AS ${name}`).join(', ')}`,
    })
    const { nullCount } = JSON.parse(files[0]?.stats ?? '{}') as { nullCount: object }
    expect(Object.keys(nullCount)).toEqual(names.slice(0, 32))
  })
})

it('a list of columns is read with its backquotes', () => {
  expect(parseColumnList('a, b.c, `x,y`.`d``e`')).toEqual([['a'], ['b', 'c'], ['x,y', 'd`e']])
})

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))
const present = existsSync(packs)

describe.skipIf(!present)('the statistics Spark wrote', () => {
  let folder: string
  let engine: Engine
  let connection: EngineConnection

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lakegate-statistics-'))
    for (const pack of readdirSync(packs).filter((name) => name.endsWith('.tar.zst'))) {
      execFileSync('tar', ['--zstd', '-xf', join(packs, pack), '-C', folder])
    }
    engine = await Engine.open({})
    connection = await engine.connect()
  }, 120_000)

  afterAll(async () => {
    await engine?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  it('are those computed here, value by value', async () => {
    const store = new LocalStore(folder)
    const differing: string[] = []
    let compared = 0
    for (const table of tablesUnder(folder)) {
      const path = relative(folder, table)
      const snapshot = await loadSnapshot(store, connection, path, null).catch(() => null)
      if (snapshot === null) continue
      const all = { ...snapshot.metadata.configuration, 'delta.dataSkippingNumIndexedCols': '-1' }
      const target = { ...snapshot, metadata: { ...snapshot.metadata, configuration: all } }
      for (const file of [...liveFiles(snapshot)].slice(0, 20)) {
        if (typeof file.add.stats !== 'string' || file.add.stats === '') continue
        if ((file.add.deletionVector ?? null) !== null) continue
        let ours: string | undefined
        try {
          ours = (await collectStatistics(connection, target, [store.engineUrl(file.path)]))[0]
            ?.stats
        } catch {
          // A file without a column of the schema, or one whose times are INT96: not as we write.
          continue
        }
        const theirs = JSON.parse(quoteNumbers(file.add.stats)) as Json
        const found = JSON.parse(quoteNumbers(ours ?? '{}')) as Json
        for (const difference of differences(theirs, found, '')) {
          differing.push(`${path}: ${difference}`)
        }
        compared++
      }
    }
    console.info(`statistics: ${compared} files compared`)
    // A void column is in no file; its nulls are not counted.
    expect(differing.filter((line) => !line.includes('void_col'))).toEqual([])
    expect(compared).toBeGreaterThan(100)
  }, 120_000)
})

type Json = { readonly [key: string]: unknown }

function differences(theirs: Json, ours: Json, path: string): string[] {
  return Object.entries(theirs).flatMap(([name, value]) => {
    const own = ours[name]
    const at = `${path}/${name}`
    if (typeof value === 'object' && value !== null) {
      return differences(value as Json, (own ?? {}) as Json, at)
    }
    if (name === 'tightBounds' || value === null || isSame(String(value), own, at)) return []
    return [`${at} is ${String(own)} instead of ${String(value)}`]
  })
}

function isSame(theirs: string, own: unknown, at: string): boolean {
  const ours = String(own)
  if (theirs === ours) return true
  // Booleans have no bounds here, odd numbers neither, and the zeros are told apart.
  if (own === undefined) return ['true', 'false', 'NaN', 'Infinity', '-Infinity'].includes(theirs)
  if (theirs !== '' && Number(theirs) === Number(ours)) return true
  if (Math.fround(Number(theirs)) === Math.fround(Number(ours))) return true
  const [left, right] = [Date.parse(theirs), Date.parse(ours)]
  // Upper bounds of times are rounded up here, and cut off there.
  return at.startsWith('/maxValues') ? right - left === 0 || right - left === 1 : left === right
}

function tablesUnder(root: string): string[] {
  const found: string[] = []
  const visit = (path: string): void => {
    if (existsSync(join(path, '_delta_log'))) found.push(path)
    for (const name of readdirSync(path)) {
      const child = join(path, name)
      if (name !== '_delta_log' && statSync(child).isDirectory()) visit(child)
    }
  }
  visit(root)
  return found
}
