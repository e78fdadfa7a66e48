/** Curves through the cells of columns: Hilbert's as it is defined, and both as they serve data skipping. */

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scalarType } from '../../storage/engine-type.js'
import { hilbertIndex } from '../../storage/hilbert.js'
import {
  clusteringColumns,
  planClustering,
  planZOrder,
  runOptimize,
} from '../../storage/optimize.js'
import { orderedRows, spread } from '../../storage/row-order.js'
import { planScan } from '../../storage/scan.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(async () => {
  expect(await lake.faults()).toEqual([])
  await lake.close()
})

describe("Hilbert's curve", () => {
  const cubes: readonly (readonly [dimensions: number, bits: number])[] = [
    [1, 4],
    [2, 1],
    [2, 5],
    [3, 3],
    [4, 2],
    [5, 2],
  ]
  it.each(cubes)(
    'of %i dimensions visits each of its cells once, by steps to neighbours (%i bits)',
    (dimensions, bits) => {
      const side = 2 ** bits
      const cells = Array.from({ length: side ** dimensions }, (_, cell) =>
        Array.from({ length: dimensions }, (_, i) => Math.floor(cell / side ** i) % side),
      )
      const byPlace = new Map(cells.map((point) => [hilbertIndex(point, bits), point]))
      expect([...byPlace.keys()].sort((a, b) => a - b)).toEqual(cells.map((_, i) => i))
      for (let place = 1; place < cells.length; place++) {
        const [a, b] = [byPlace.get(place - 1) ?? [], byPlace.get(place) ?? []]
        const steps = a.reduce((sum, one, i) => sum + Math.abs(one - (b[i] ?? 0)), 0)
        expect(steps).toBe(1)
      }
    },
  )
})

describe('Z-order', () => {
  it('takes the bits of all columns in turn', () => {
    fc.assert(
      fc.property(fc.nat(1023), fc.nat(1023), fc.nat(1023), (a, b, c) => {
        const place = spread(a, 10, 3, 2) + spread(b, 10, 3, 1) + spread(c, 10, 3, 0)
        const digits = (one: number): string => one.toString(2).padStart(10, '0')
        const mixed = [...digits(a)].map((bit, i) => bit + digits(b)[i] + digits(c)[i]).join('')
        expect(place).toBe(BigInt(`0b${mixed}`))
      }),
      { seed: 1 },
    )
  })

  it('sorts values of every type, nulls first, and keeps every row', async () => {
    const { connection } = lake
    await connection.run(`CREATE TABLE mixed AS SELECT
      CASE WHEN i % 7 > 0 THEN i % 100 END AS a, 's' || (i % 53) AS b, date '2026-01-01' + (i % 31)::INT AS c,
      (i % 17)::DECIMAL(10,2) AS d, CASE WHEN i % 11 > 0 THEN 'nan'::DOUBLE ELSE i END AS e, i % 2 = 0 AS f,
      NULL::INT AS g, {'x': i % 5} AS h, i
      FROM range(5000) r(i)`)
    const columns = [['a'], ['b'], ['c'], ['d'], ['e'], ['f'], ['g'], ['h', 'x']]
    for (const curve of ['z-order', 'hilbert'] as const) {
      for (const some of [columns.slice(0, 1), columns.slice(0, 2), columns.slice(2, 6), columns]) {
        const query = await orderedRows(connection, 'mixed', some, curve)
        const rows = await connection.query(`SELECT i, a FROM (${query}) ORDER BY ALL`)
        expect(rows.length).toBe(5000)
        const [first] = await connection.query(query)
        if (some.length === 1) expect(first?.[0]).toBeNull()
      }
    }
  })
})

describe('files along a curve', () => {
  /** Files that may hold rows where one of `columns` is 500, for each of them. */
  async function read(table: string, columns: readonly string[]): Promise<number[]> {
    const snapshot = await lake.snapshot(table)
    return columns.map(
      (column) =>
        planScan(snapshot, {
          kind: 'compare',
          operator: '=',
          term: { kind: 'column', path: [column] },
          value: { type: scalarType('BIGINT'), value: 300n },
        }).files.length,
    )
  }

  const ROWS =
    'SELECT (i * 7919) % 1000 AS a, (i * 104729) % 1009 AS b, (i * 1299709) % 1013 AS c FROM range(50000) r(i)'

  it("are fewer to be read for each of the columns, fewest along Hilbert's", async () => {
    const schema = schemaOf({ a: 'long', b: 'long', c: 'long' })
    const configuration = { 'delta.targetFileSize': '20kb' }
    const domain = JSON.stringify({ clusteringColumns: [['a'], ['b']] })
    const made = { schema, configuration }
    await lake.create({ tablePath: 'z', ...made }, ROWS)
    await lake.create(
      { tablePath: 'h', ...made, domains: new Map([['delta.clustering', domain]]) },
      ROWS,
    )
    const all = (await lake.snapshot('z')).files.length
    expect(await read('z', ['a', 'b'])).toEqual([all, all])
    const events = { committed: () => {} }
    const z = await lake.snapshot('z')
    const zPlan = planZOrder(z, [...z.files], [['a'], ['b']], {})
    await runOptimize(lake.store, lake.connection, z, zPlan, events)
    const h = await lake.snapshot('h')
    expect(clusteringColumns(h)).toEqual([['a'], ['b']])
    const hPlan = planClustering(h, [...h.files], [['a'], ['b']], false, {})
    await runOptimize(lake.store, lake.connection, h, hPlan, events)
    const zRead = await read('z', ['a', 'b'])
    const hRead = await read('h', ['a', 'b'])
    const files = (await lake.snapshot('h')).files.length
    expect(files).toBeGreaterThan(12)
    for (const count of [...zRead, ...hRead]) expect(count).toBeLessThanOrEqual(files * 0.7)
    expect(await read('h', ['c'])).toEqual([files])
    // A second time there is nothing to do, until rows come that are not sorted in.
    const again = await lake.snapshot('h')
    expect(planClustering(again, [...again.files], [['a'], ['b']], false, {}).bins).toEqual([])
    expect(planClustering(again, [...again.files], [['a'], ['b']], true, {}).bins).toEqual([])
    expect(planClustering(again, [...again.files], [['c']], false, {}).bins).toHaveLength(1)
    await lake.append('h', 'SELECT 1::BIGINT AS a, 1::BIGINT AS b, 1::BIGINT AS c')
    const grown = await lake.snapshot('h')
    const [bin] = planClustering(grown, [...grown.files], [['a'], ['b']], false, {}).bins
    expect(bin?.files.length).toBe(files + 1)
  })
})
