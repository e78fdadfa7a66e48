/**
 * Goal: COPY FROM takes Arrow IPC streams and files as Arrow's own library writes them, value by value,
 * and nothing at all of what is broken.
 * Method: tables made by apache-arrow, sent in pieces of many sizes; broken ones by seeded changes of
 * single bytes and by cutting.
 */

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as arrow from 'apache-arrow'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Engine } from '../../storage/engine.js'
import { copyIn } from '../support/copy-client.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { lintLake } from '../support/lint-lake.js'

const inbox = realpathSync(mkdtempSync(join(tmpdir(), 'lakegate-arrow-')))

let gateway: TestGateway
let client: pg.Client

beforeAll(async () => {
  mkdirSync(inbox, { recursive: true })
  gateway = await startGateway({ copyDirectories: [inbox] })
  const port = gateway.port
  client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database: 'lake' })
  await client.connect()
  await client.query("SET timezone = 'UTC'")
})

afterAll(async () => {
  await client?.end()
  await gateway.settle()
  const engine = await Engine.open({})
  expect(await lintLake(gateway.lake, engine)).toEqual([])
  await engine.close()
  await gateway?.close()
  rmSync(inbox, { recursive: true, force: true })
  expect(gateway.bugs).toEqual([])
})

let next = 1

async function newTable(columns: string): Promise<string> {
  const table = `silver.arrow${next++}`
  await client.query(`CREATE TABLE ${table} (${columns})`)
  return table
}

/** A table of a column v of that type, or of a type of Delta's own as another engine makes it. */
async function typedTable(type: string | object): Promise<string> {
  if (typeof type === 'string') return newTable(`i int, v ${type}`)
  const table = `arrow${next++}`
  const log = join(gateway.lake, 'silver', table, '_delta_log')
  mkdirSync(log, { recursive: true })
  const field = { nullable: true, metadata: {} }
  const fields = [
    { name: 'i', type: 'integer', ...field },
    { name: 'v', type, ...field },
  ]
  const actions = [
    {
      commitInfo: {
        timestamp: 1,
        operation: 'CREATE TABLE',
        operationParameters: {},
        operationMetrics: {},
        isBlindAppend: true,
        engineInfo: 'Lakegate/0',
        txnId: `txn-${next}`,
      },
    },
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    {
      metaData: {
        id: `00000000-0000-4000-8000-${String(next).padStart(12, '0')}`,
        format: { provider: 'parquet', options: {} },
        schemaString: JSON.stringify({ type: 'struct', fields }),
        partitionColumns: [],
        configuration: {},
      },
    },
  ]
  const text = actions.map((action) => `${JSON.stringify(action)}\n`).join('')
  writeFileSync(join(log, `${'0'.repeat(20)}.json`), text)
  return `silver.${table}`
}

async function rowsOf(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
}

function pieces(bytes: Uint8Array, size = 1000): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size)
    found.push(Buffer.from(bytes.subarray(at, at + size)))
  return found
}

type Format = 'stream' | 'file'

/** The tag or error of a COPY of that data. */
async function copied(table: string, bytes: Uint8Array, size?: number): Promise<string> {
  const { tag, code, message } = await copyIn(
    client,
    `COPY ${table} FROM STDIN (FORMAT arrow)`,
    pieces(bytes, size),
  )
  return tag ?? `${code} ${message}`
}

const point = new arrow.Struct([
  new arrow.Field('x', new arrow.Int32(), true),
  new arrow.Field('name', new arrow.Utf8(), true),
])

const mapType = new arrow.Map_(
  new arrow.Field(
    'entries',
    new arrow.Struct([
      new arrow.Field('key', new arrow.Utf8(), false),
      new arrow.Field('value', new arrow.Int32(), true),
    ]) as never,
    false,
  ),
)

/** As Delta says it. */
const pointType = {
  type: 'struct',
  fields: [
    { name: 'x', type: 'integer', nullable: true, metadata: {} },
    { name: 'name', type: 'string', nullable: true, metadata: {} },
  ],
}

const long = 'a text that is longer than twelve bytes'

/** Arrow type, column type, values, what a client reads as text. */
const types: readonly (readonly [
  string,
  arrow.DataType,
  string | object,
  unknown[],
  (string | null)[],
])[] = [
  ['int8', new arrow.Int8(), 'tinyint', [-128, null, 127], ['-128', null, '127']],
  ['int16', new arrow.Int16(), 'smallint', [-32768, null, 1], ['-32768', null, '1']],
  ['int32', new arrow.Int32(), 'int', [null, -5, 2147483647], [null, '-5', '2147483647']],
  ['int64', new arrow.Int64(), 'bigint', [2n ** 63n - 1n, null], ['9223372036854775807', null]],
  ['uint8', new arrow.Uint8(), 'smallint', [255, null, 0], ['255', null, '0']],
  ['uint16', new arrow.Uint16(), 'int', [65535], ['65535']],
  ['uint32', new arrow.Uint32(), 'bigint', [4294967295], ['4294967295']],
  ['uint64', new arrow.Uint64(), 'numeric(20,0)', [2n ** 64n - 1n], ['18446744073709551615']],
  [
    'float16',
    new arrow.Float16(),
    'real',
    [1.5, null, -0.25, 65504],
    ['1.5', null, '-0.25', '65504'],
  ],
  ['float32', new arrow.Float32(), 'real', [1.5, null], ['1.5', null]],
  [
    'float64',
    new arrow.Float64(),
    'double precision',
    [0.1, null, -1e300],
    ['0.1', null, '-1e+300'],
  ],
  ['bool', new arrow.Bool(), 'boolean', [true, null, false, true], ['true', null, 'false', 'true']],
  ['utf8', new arrow.Utf8(), 'text', ['', null, 'zwölf', long], ['', null, 'zwölf', long]],
  ['large utf8', new arrow.LargeUtf8(), 'text', [long, null, 'b'], [long, null, 'b']],
  ['binary', new arrow.Binary(), 'bytea', [Uint8Array.of(0, 255), null], ['\\x00ff', null]],
  [
    'fixed binary',
    new arrow.FixedSizeBinary(3),
    'bytea',
    [Uint8Array.of(1, 2, 3), null],
    ['\\x010203', null],
  ],
  ['date32', new arrow.DateDay(), 'date', [new Date(0), null], ['1970-01-01', null]],
  [
    'date64',
    new arrow.DateMillisecond(),
    'date',
    [new Date('1969-12-31'), null, new Date('2026-11-21')],
    ['1969-12-31', null, '2026-11-21'],
  ],
  [
    'timestamp of seconds',
    new arrow.TimestampSecond(),
    'timestamp',
    [-1000, null],
    ['1969-12-31 23:59:59', null],
  ],
  [
    'timestamp of milliseconds',
    new arrow.TimestampMillisecond('UTC'),
    'timestamptz',
    [1_500, null],
    ['1970-01-01 00:00:01.5+00', null],
  ],
  ['null', new arrow.Null(), 'int', [null, null], [null, null]],
  [
    'list',
    new arrow.List(new arrow.Field('item', new arrow.Int32(), true)),
    'int[]',
    [[1, null, 3], null, [], [4]],
    ['{1,NULL,3}', null, '{}', '{4}'],
  ],
  [
    'list of texts',
    new arrow.List(new arrow.Field('item', new arrow.Utf8(), true)),
    'text[]',
    [[long, 'b'], null, [null]],
    [`{"${long}",b}`, null, '{NULL}'],
  ],
  [
    'fixed list',
    new arrow.FixedSizeList(2, new arrow.Field('item', new arrow.Float64(), true)),
    'double precision[]',
    [
      [1, 2],
      [3, 4],
    ],
    ['{1,2}', '{3,4}'],
  ],
  [
    'struct',
    point,
    pointType,
    [{ x: 1, name: long }, null, { x: null, name: 'b' }],
    [`{"x":1,"name":"${long}"}`, null, '{"x":null,"name":"b"}'],
  ],
  [
    'list of structs',
    new arrow.List(new arrow.Field('item', point, true)),
    { type: 'array', elementType: pointType, containsNull: true },
    [[{ x: 1, name: 'a' }, null], []],
    ['[{"x":1,"name":"a"},null]', '[]'],
  ],
  [
    'map',
    mapType,
    { type: 'map', keyType: 'string', valueType: 'integer', valueContainsNull: true },
    [
      new Map([
        ['a', 1],
        ['b', null],
      ] as never),
      null,
    ],
    ['{"a":1,"b":null}', null],
  ],
  [
    'dictionary of texts',
    new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8()),
    'text',
    ['x', null, long, 'x', long],
    ['x', null, long, 'x', long],
  ],
]

describe('COPY FROM in Arrow', () => {
  it.each(types.map(([name], i) => [name, i] as const))(
    'takes %s, as stream and file',
    async (_, at) => {
      const [, type, declared, values, expected] = types[at] as (typeof types)[number]
      for (const format of ['stream', 'file'] satisfies Format[]) {
        const table = await typedTable(declared)
        const made = new arrow.Table({
          i: arrow.vectorFromArray(
            values.map((_value, i) => i),
            new arrow.Int32(),
          ),
          v: arrow.vectorFromArray(values as never[], type),
        })
        expect(await copied(table, arrow.tableToIPC(made, format))).toBe(`COPY ${values.length}`)
        const rows = await rowsOf(`SELECT v::text FROM ${table} ORDER BY i`)
        expect(rows.flat()).toEqual(expected)
      }
    },
  )

  it('takes decimals of every width', async () => {
    for (const [precision, scale, text] of [
      [4, 2, '-12.34'],
      [9, 0, '123456789'],
      [18, 3, '-123456789012345.678'],
      [38, 10, '1234567890123456789012345678.0123456789'],
    ] as const) {
      const table = await newTable(`v numeric(${precision},${scale})`)
      const digits = BigInt(text.replace('.', ''))
      const data = new Uint32Array(4)
      for (let i = 0; i < 4; i++) data[i] = Number((digits >> BigInt(i * 32)) & 0xffff_ffffn)
      const type = new arrow.Decimal(scale, precision, 128)
      const vector = new arrow.Vector([arrow.makeData({ type, length: 1, nullCount: 0, data })])
      const bytes = arrow.tableToIPC(new arrow.Table({ v: vector }), 'stream')
      expect(await copied(table, bytes)).toBe('COPY 1')
      expect(await rowsOf(`SELECT v::text FROM ${table}`)).toEqual([[text]])
    }
  })

  it('refuses a decimal that has more digits than its type says', async () => {
    const table = await newTable('v numeric(4,2)')
    const data = Uint32Array.of(10_000, 0, 0, 0)
    const type = new arrow.Decimal(2, 4, 128)
    const vector = new arrow.Vector([arrow.makeData({ type, length: 1, nullCount: 0, data })])
    const bytes = arrow.tableToIPC(new arrow.Table({ v: vector }), 'stream')
    expect(await copied(table, bytes)).toBe('22003 numeric field overflow')
  })

  it('takes times in nanoseconds down to the microsecond', async () => {
    const table = await newTable('v timestamp')
    const type = new arrow.TimestampNanosecond()
    const data = BigInt64Array.of(1_999n, -1n)
    const vector = new arrow.Vector([arrow.makeData({ type, length: 2, nullCount: 0, data })])
    const bytes = arrow.tableToIPC(new arrow.Table({ v: vector }), 'stream')
    expect(await copied(table, bytes)).toBe('COPY 2')
    expect((await rowsOf(`SELECT v::text FROM ${table} ORDER BY v`)).flat()).toEqual([
      '1969-12-31 23:59:59.999999',
      '1970-01-01 00:00:00.000001',
    ])
  })

  it('takes texts and bytes as views', async () => {
    const table = await newTable('v text')
    const views = new DataView(new ArrayBuffer(32))
    views.setInt32(0, 2, true)
    new Uint8Array(views.buffer).set(Buffer.from('ab'), 4)
    views.setInt32(16, long.length, true)
    new Uint8Array(views.buffer).set(Buffer.from(long.slice(0, 4)), 20)
    views.setInt32(24, 0, true)
    views.setInt32(28, 3, true)
    const data = arrow.makeData({
      type: new arrow.Utf8View(),
      length: 2,
      nullCount: 0,
      views: new Uint8Array(views.buffer),
      variadicBuffers: [Buffer.from(`___${long}`)],
    } as never)
    const bytes = arrow.tableToIPC(
      new arrow.Table({ v: new arrow.Vector([data]) } as never),
      'stream',
    )
    expect(await copied(table, bytes)).toBe('COPY 2')
    expect((await rowsOf(`SELECT v FROM ${table} ORDER BY v`)).flat()).toEqual([long, 'ab'].sort())
  })

  it('takes several batches, whatever the pieces are in which they arrive, in one version', async () => {
    const [first, ...others] = [3000, 1, 0, 5000].map(
      (count, batch) =>
        new arrow.Table({
          a: arrow.vectorFromArray(
            Array.from({ length: count }, (_, i) => i),
            new arrow.Int32(),
          ),
          b: arrow.vectorFromArray(
            Array.from({ length: count }, (_, i) =>
              i % 7 === 0 ? null : `batch ${batch} row ${i}`,
            ),
            new arrow.Utf8(),
          ),
        }),
    )
    const bytes = arrow.tableToIPC((first as arrow.Table).concat(...(others as never[])), 'stream')
    for (const size of [7, 4096, 10_000_000]) {
      const table = await newTable('b text, a int')
      expect(await copied(table, bytes, size)).toBe('COPY 8001')
      expect(
        await rowsOf(`SELECT count(*)::int, count(b)::int, sum(a)::int, max(b) FROM ${table}`),
      ).toEqual([[8001, 8001 - 429 - 1 - 715, 16_996_000, 'batch 3 row 999']])
      expect((await rowsOf(`DESCRIBE HISTORY ${table}`)).length).toBe(2)
    }
  })

  it('takes a dictionary that grows', async () => {
    const table = await newTable('v text')
    const type = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), 7)
    const batchOf = (dictionary: readonly string[], keys: readonly number[]): arrow.RecordBatch => {
      const data = arrow.makeData({
        type,
        length: keys.length,
        nullCount: 0,
        data: Int32Array.from(keys),
        dictionary: arrow.vectorFromArray([...dictionary], new arrow.Utf8()),
      })
      return new arrow.RecordBatch({ v: data } as never)
    }
    const writer = arrow.RecordBatchStreamWriter.writeAll([
      batchOf(['a', long], [0, 1, 0]),
      batchOf(['a', long, 'c'], [2, 1]),
    ])
    expect(await copied(table, writer.toUint8Array(true))).toBe('COPY 5')
    expect((await rowsOf(`SELECT v FROM ${table} ORDER BY v`)).flat()).toEqual(
      ['a', 'a', long, long, 'c'].sort(),
    )
  })

  it('finds columns by name, casts as assignments do, and fills in what is left out', async () => {
    const table = await newTable("a bigint, b text DEFAULT 'none', c numeric(6,2), d int")
    const made = new arrow.Table({
      C: arrow.vectorFromArray([1.005, 2], new arrow.Float64()),
      a: arrow.vectorFromArray([7, 8], new arrow.Int8()),
    })
    expect(await copied(table, arrow.tableToIPC(made, 'stream'))).toBe('COPY 2')
    expect(await rowsOf(`SELECT a::int, b, c::text, d FROM ${table} ORDER BY a`)).toEqual([
      [7, 'none', expect.stringMatching(/^1\.0[01]$/), null],
      [8, 'none', '2.00', null],
    ])
  })

  it('numbers the rows of a file that leaves the identity column out', async () => {
    const table = await newTable('id bigint GENERATED ALWAYS AS IDENTITY, a int')
    const a = arrow.tableFromArrays({ a: Int32Array.of(1, 2) })
    expect(await copied(table, arrow.tableToIPC(a, 'stream'))).toBe('COPY 2')
    await client.query(`INSERT INTO ${table} (a) VALUES (3)`)
    expect((await rowsOf(`SELECT id::int FROM ${table} ORDER BY id`)).flat()).toEqual([1, 2, 3])
  })

  const odd = arrow.tableToIPC(
    new arrow.Table({ a: arrow.vectorFromArray([1], new arrow.Int32()) }),
  )
  it.each([
    ['a column that the table has not', 'b int', '22P04'],
    ['a type without an assignment cast', 'a date', '42804'],
    ['a null where none may be', 'a int, b int NOT NULL', '23502'],
    ['a value that a check refuses', 'a int CHECK (a > 1)', '23514'],
  ])('refuses %s', async (_, columns, code) => {
    const table = await newTable(columns)
    expect((await copied(table, odd)).slice(0, 5)).toBe(code)
    expect(await rowsOf(`SELECT * FROM ${table}`)).toEqual([])
  })

  it('refuses texts that are no UTF-8, and keys that are no entry', async () => {
    const bad = (data: arrow.Data): Uint8Array =>
      arrow.tableToIPC(new arrow.Table({ v: new arrow.Vector([data]) } as never), 'stream')
    const text = await newTable('v text')
    const broken = arrow.makeData({
      type: new arrow.Utf8(),
      length: 1,
      nullCount: 0,
      valueOffsets: Int32Array.of(0, 2),
      data: Uint8Array.of(0xc3, 0x28),
    })
    expect((await copied(text, bad(broken))).slice(0, 5)).toBe('22021')
    const beyond = arrow.makeData({
      type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32()),
      length: 1,
      nullCount: 0,
      data: Int32Array.of(1),
      dictionary: arrow.vectorFromArray(['a'], new arrow.Utf8()),
    })
    expect((await copied(text, bad(beyond))).slice(0, 5)).toBe('22P04')
    const backwards = arrow.makeData({
      type: new arrow.Utf8(),
      length: 2,
      nullCount: 0,
      valueOffsets: Int32Array.of(0, 2, 1),
      data: Buffer.from('abc'),
    })
    expect((await copied(text, bad(backwards))).slice(0, 5)).toBe('22P04')
  })

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a text', Buffer.from('1\tx\n2\ty\n')],
    ['Parquet', Buffer.from('PAR1....PAR1')],
  ])('refuses %s', async (_, bytes) => {
    const table = await newTable('a int')
    expect((await copied(table, bytes)).slice(0, 5)).toBe('22P04')
  })

  it('takes files of a directory, each for itself', async () => {
    const table = await newTable('a int, b text')
    const a = arrow.tableFromArrays({ a: Int32Array.of(1, 2) })
    const b = new arrow.Table({
      b: arrow.vectorFromArray(['x'], new arrow.Utf8()),
      a: arrow.vectorFromArray([3], new arrow.Int16()),
    })
    writeFileSync(join(inbox, '1.arrow'), arrow.tableToIPC(a, 'file'))
    writeFileSync(join(inbox, '2.arrow'), arrow.tableToIPC(b, 'stream'))
    await client.query(`COPY ${table} FROM '${inbox}/*.arrow' (FORMAT arrow)`)
    expect(await rowsOf(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      [1, null],
      [2, null],
      [3, 'x'],
    ])
  })
})

/** A file and a stream of several types, two batches and a dictionary. */
function whole(format: Format): Uint8Array {
  const batch = (from: number): arrow.Table =>
    new arrow.Table({
      a: arrow.vectorFromArray([from, null, from + 2], new arrow.Int32()),
      b: arrow.vectorFromArray(['x', null, long], new arrow.Utf8()),
      l: arrow.vectorFromArray(
        [[1, 2], null, []],
        new arrow.List(new arrow.Field('item', new arrow.Int32(), true)),
      ),
    })
  return arrow.tableToIPC(batch(1).concat(batch(10) as never), format)
}

describe('broken Arrow', () => {
  it.each(['stream', 'file'] satisfies Format[])(
    'a %s that ends within a message takes nothing',
    async (format) => {
      const table = await newTable('a int, b text, l int[]')
      const bytes = whole(format)
      for (let end = 1; end < bytes.length; end += 13) {
        const outcome = await copied(table, bytes.subarray(0, end), 10_000)
        // A stream may end behind any of its messages.
        if (format === 'file' || !outcome.startsWith('COPY')) {
          expect(outcome.slice(0, 5)).toBe('22P04')
        }
      }
      expect(
        (
          await rowsOf(
            `SELECT count(*)::int FROM ${table} WHERE a IS NOT NULL AND a NOT IN (1,3,10,12)`,
          )
        ).flat(),
      ).toEqual([0])
    },
  )

  it.each(['stream', 'file'] satisfies Format[])(
    'a %s with a byte changed is refused or read, and the gateway lives on',
    async (format) => {
      const bytes = whole(format)
      await fc.assert(
        fc.asyncProperty(
          fc.nat(bytes.length - 1),
          fc.integer({ min: 1, max: 255 }),
          async (at, by) => {
            const changed = Uint8Array.from(bytes)
            changed[at] = (changed[at] as number) ^ by
            const table = await newTable('a int, b text, l int[]')
            const outcome = await copied(table, changed, 10_000)
            const [[count]] = (await rowsOf(`SELECT count(*)::int FROM ${table}`)) as [[number]]
            // XX000 is a bug of ours, and what is refused leaves nothing behind.
            expect(outcome).toMatch(/^(?:COPY \d+$|22|42|23|0A000|54000)/)
            expect(outcome.startsWith('COPY') ? `COPY ${count}` : count).toEqual(
              outcome.startsWith('COPY') ? outcome : 0,
            )
            await client.query(`DROP TABLE ${table}`)
          },
        ),
        { seed: 20261121, numRuns: 60 },
      )
    },
    120_000,
  )
})
