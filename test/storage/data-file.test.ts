/** Data files that are written, read back by the gateway's own scan and by the letter of the specification. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeDataFiles } from '../../storage/data-file.js'
import { SqlState } from '../../storage/errors.js'
import { defineTable } from '../../storage/new-table.js'
import { encodeLogPath, partitionFolder } from '../../storage/partition-value.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { parseSchemaString } from '../../storage/schema.js'
import { fileCount, liveFiles } from '../../storage/snapshot.js'
import { lintTable } from '../support/log-linter.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

/** `text` without halves of characters, which no UTF-8 holds. */
function wellFormed(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text))
}

beforeAll(async () => {
  lake = await WriteLake.open()
  // Nothing that is written may depend on it.
  await lake.connection.run("SET TimeZone = 'America/St_Johns'")
})

afterAll(async () => {
  // Whatever the tests above wrote is a table by the letter of the specification.
  expect(await lake.faults()).toEqual([])
  await lake.close()
}, 60_000)

async function faults(tablePath: string): Promise<readonly string[]> {
  return (await lintTable(lake.root, tablePath, lake.connection)).faults
}

/** Types with values that lie at their edges. */
const TYPES: readonly (readonly [name: string, type: unknown, values: readonly string[]])[] = [
  ['byte', 'byte', ['-128', '127', '0']],
  ['short', 'short', ['-32768', '32767']],
  ['integer', 'integer', ['-2147483648', '2147483647']],
  ['long', 'long', ['-9223372036854775808', '9223372036854775807', '9007199254740993']],
  ['float', 'float', ['0.1', '-3.4e38', '1e-40', "'nan'", "'-inf'"]],
  ['float without NaN', 'float', ['0.1', '-0.0', '16777217']],
  ['double', 'double', ['0.1', '1.7976931348623157e308', '5e-324', '-0.0']],
  ['double with infinity', 'double', ["'inf'", "'-inf'", '1']],
  ['double with NaN', 'double', ["'nan'", '1']],
  ['boolean', 'boolean', ['true', 'false']],
  [
    'string',
    'string',
    ["''", "'ü😈'", "'line\nbreak'", "repeat('z', 100)", "repeat('😈', 40)", "'a\\\"b'"],
  ],
  ['binary', 'binary', ["'\\x00\\xFF'::BLOB", "''::BLOB"]],
  ['date', 'date', ["'0001-01-01'", "'9999-12-31'", "'1969-12-31'", "'1582-10-10'"]],
  ['date beyond', 'date', ["'0044-03-15 (BC)'", "'12345-01-01'"]],
  [
    'timestamp',
    'timestamp',
    [
      "'1969-12-31 23:59:59.999999+00'",
      "'2024-02-29 12:00:00.000001+00'",
      "'0001-01-01 00:00:00+00'",
    ],
  ],
  [
    'timestamp_ntz',
    'timestamp_ntz',
    ["'1969-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.0005'"],
  ],
  ['decimal(5,2)', 'decimal(5,2)', ['-999.99', '999.99', '0.01']],
  ['decimal(18,0)', 'decimal(18,0)', ['999999999999999999']],
  [
    'decimal(38,10)',
    'decimal(38,10)',
    ["'9999999999999999999999999999.9999999999'", "'-0.0000000001'"],
  ],
  ['array', { type: 'array', elementType: 'integer', containsNull: true }, ['[1, NULL, 3]', '[]']],
  [
    'map',
    { type: 'map', keyType: 'string', valueType: 'long', valueContainsNull: true },
    ["MAP {'a': 1, 'b': NULL}", 'MAP {}'],
  ],
  [
    'struct',
    {
      type: 'struct',
      fields: [
        { name: 'x', type: 'long', nullable: true, metadata: {} },
        {
          name: 'y',
          type: {
            type: 'struct',
            fields: [{ name: 'z', type: 'string', nullable: true, metadata: {} }],
          },
          nullable: true,
          metadata: {},
        },
      ],
    },
    [
      "{'x': 1, 'y': {'z': 'a'}}",
      "{'x': NULL, 'y': NULL}",
      "{'x': 9007199254740993, 'y': {'z': NULL}}",
    ],
  ],
  [
    'array of struct',
    {
      type: 'array',
      elementType: {
        type: 'struct',
        fields: [{ name: 'q', type: 'timestamp', nullable: true, metadata: {} }],
      },
      containsNull: true,
    },
    ["[{'q': '2024-01-01 00:00:00+00'}, NULL]", '[]'],
  ],
]

describe.each(['none', 'name', 'id'])('with column mapping %s', (mode) => {
  it.each(TYPES)('%s comes back as it was written', async (name, type, values) => {
    const tablePath = `${mode}/${name.replaceAll(/\W/g, '_')}`
    const schema = schemaOf({ k: 'long', v: type })
    const definition = {
      tablePath,
      schema,
      configuration: mode === 'none' ? {} : { 'delta.columnMapping.mode': mode },
    }
    const table = defineTable(definition)
    const engineType = (await import('../../storage/schema.js')).engineTypeOf(
      schema.fields[1]?.type ?? { kind: 'primitive', name: 'long' },
    )
    const printed = (await import('../../storage/engine-type.js')).printEngineType(engineType)
    const rows = [...values, 'NULL'].map(
      (value, i) => `(${i}::BIGINT, CAST(${value} AS ${printed}))`,
    )
    const query = `SELECT * FROM (VALUES ${rows.join(', ')}) t(k, v)`
    expect(table.columnMapping).toBe(mode)
    expect(await lake.create(definition, query)).toMatchObject({ kind: 'committed', version: 0 })
    await lake.append(tablePath, 'SELECT 100 AS k, NULL AS v')
    expect(await lake.rows(tablePath)).toEqual(
      await lake.printed(`${query} UNION ALL SELECT 100, NULL`),
    )
    expect(await faults(tablePath)).toEqual([])
  })
})

/** Values by which a table is partitioned. */
const PARTITIONS: readonly (readonly [type: string, values: readonly string[]])[] = [
  [
    'string',
    [
      "'plain'",
      "'a/b'",
      "'50%'",
      "'a=b'",
      "'x y'",
      "'ü😈'",
      "'__HIVE_DEFAULT_PARTITION__'",
      "'.'",
      "'..'",
      "'a:b'",
      "'q\"u''o\\te'",
      "'*?[x]'",
      "'tab\there'",
      "repeat('long ü', 60)",
      "'+&$,;@!~()#'",
      "'%2F'",
    ],
  ],
  ['long', ['9223372036854775807', '-1', '0']],
  ['boolean', ['true', 'false']],
  ['date', ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"]],
  ['decimal(38,10)', ["'9999999999999999999999999999.9999999999'", "'-0.5'"]],
  ['double', ['0.1', "'nan'", "'inf'", "'-inf'", '1e300']],
  ['float', ['0.1', "'-inf'"]],
  ['timestamp', ["'1969-12-31 23:59:59.999999+00'", "'2024-06-01 00:00:00.123456+05'"]],
  ['timestamp_ntz', ["'1969-12-31 23:59:59.999999'", "'2024-06-01 12:00:00'"]],
]

describe('a partitioned table', () => {
  it.each(PARTITIONS)('of %s has one file a value and reads it back', async (type, values) => {
    const tablePath = `partitioned/${type.replaceAll(/\W/g, '_')}`
    const cast =
      { string: 'VARCHAR', long: 'BIGINT', timestamp: 'TIMESTAMPTZ', timestamp_ntz: 'TIMESTAMP' }[
        type
      ] ?? type
    const list = [...values, 'NULL'].map((value) => `CAST(${value} AS ${cast})`)
    const query = `SELECT i AS n, p FROM range(3) r(i), (VALUES (${list.join('), (')})) t(p)`
    await lake.create(
      { tablePath, schema: schemaOf({ p: type, n: 'long' }), partitionColumns: ['p'] },
      query,
    )
    const snapshot = await lake.snapshot(tablePath)
    const files = [...liveFiles(snapshot)]
    expect(files).toHaveLength(list.length)
    expect(files.filter((file) => file.add.partitionValues.p === null)).toHaveLength(1)
    expect(await lake.rows(tablePath)).toEqual(await lake.printed(`SELECT p, n FROM (${query})`))
    expect(await faults(tablePath)).toEqual([])
  })

  /** A table partitioned by a text that data files are written for, but none is committed to. */
  const target = defineTable({
    tablePath: 'partitioned/property',
    schema: schemaOf({ p: 'string', n: 'long' }),
    partitionColumns: ['p'],
  })

  it('has exactly one partition value a file, whatever the text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 80, unit: 'binary' }), {
          minLength: 1,
          maxLength: 5,
        }),
        async (texts) => {
          const usable = [...new Set(texts.map((text) => wellFormed(text)))].filter(
            (text) => !text.includes('\u0000'),
          )
          if (usable.length === 0) return
          const { files } = await writeDataFiles(lake.store, lake.connection, target, {
            query: 'SELECT unnest($1::VARCHAR[]) AS p, 1 AS n',
            values: [
              {
                type: { kind: 'list', child: { kind: 'scalar', name: 'VARCHAR' } },
                value: usable,
              },
            ],
          })
          expect(files.map((file) => file.partitionValues.p).sort()).toEqual([...usable].sort())
          for (const file of files) {
            const folder = partitionFolder([['p', file.partitionValues.p ?? null]])
            expect(decodeURIComponent(file.path).startsWith(folder)).toBe(true)
            expect(
              await lake.store.stat(`${target.tablePath}/${decodeURIComponent(file.path)}`),
            ).toMatchObject({ sizeBytes: file.size })
          }
        },
      ),
      { numRuns: 40, seed: 7 },
    )
  })

  it.each([
    ['timestamp', "'2024-06-01 00:00:00.5+05'", '2024-05-31T19:00:00.500000Z'],
    ['timestamp_ntz', "'2024-06-01 00:00:00.5'", '2024-06-01 00:00:00.500000'],
    ['date', "'0987-01-02'", '0987-01-02'],
    ['double', "'nan'", 'NaN'],
    ['double', "'-inf'", '-Infinity'],
    ['double', '1', '1.0'],
    ['boolean', '1', 'true'],
    ['decimal(5,2)', '1', '1.00'],
    ['string', "'__HIVE_DEFAULT_PARTITION__'", '__HIVE_DEFAULT_PARTITION__'],
    ['string', 'NULL', null],
  ])('of %s writes %s as %j', async (type, value, expected) => {
    const table = defineTable({
      tablePath: 'partitioned/text',
      schema: schemaOf({ p: type, n: 'long' }),
      partitionColumns: ['p'],
    })
    const query = `SELECT ${value} AS p, 1 AS n`
    const { files } = await writeDataFiles(lake.store, lake.connection, table, { query })
    expect(files.map((file) => file.partitionValues)).toEqual([{ p: expected }])
  })

  it('of several columns keeps all of them out of its files', async () => {
    const tablePath = 'partitioned/several'
    await lake.create(
      {
        tablePath,
        schema: schemaOf({ a: 'string', n: 'long', b: 'date' }),
        partitionColumns: ['b', 'a'],
      },
      "SELECT n, ['x', NULL][(n % 2 + 1)::INT] AS a, DATE '2024-01-01' + (n % 3)::INT AS b FROM range(12) t(n)",
    )
    const snapshot = await lake.snapshot(tablePath)
    const files = [...liveFiles(snapshot)]
    expect(files).toHaveLength(6)
    expect(files[0]?.add.path).toMatch(
      /^b=2024-01-0\d\/a=\w+\/part-\d{5}-[0-9a-f-]{36}-c000\.snappy\.parquet$/,
    )
    expect(await faults(tablePath)).toEqual([])
  })

  it('has one file a value even where the engine opens hundreds', async () => {
    const tablePath = 'partitioned/many'
    await lake.create(
      { tablePath, schema: schemaOf({ p: 'long', n: 'long' }), partitionColumns: ['p'] },
      'SELECT i % 150 AS p, i AS n FROM range(1200000) t(i)',
    )
    const snapshot = await lake.snapshot(tablePath)
    expect(fileCount(snapshot)).toBe(150)
    const relation = await (await import('../../storage/scan-relation.js')).scanRelation(
      lake.store,
      lake.connection,
      planScan(snapshot, UNKNOWN),
    )
    const [row] = await lake.connection.query(
      `SELECT count(*), count(DISTINCT n), count(*) FILTER (n % 150 <> p) FROM ${relation}`,
    )
    expect(row).toEqual([1200000n, 1200000n, 0n])
  }, 60_000)

  it.each([
    ['an empty text, which Delta would read as null', "''", SqlState.invalidParameterValue],
    ['the character NUL, as PostgreSQL does', "'a' || chr(0)", SqlState.characterNotInRepertoire],
    ['a text that no path can hold', "repeat('x', 600)", SqlState.programLimitExceeded],
  ])('refuses %s', async (_what, value, sqlState) => {
    const query = `SELECT ${value} AS p, 1 AS n`
    await expect(
      writeDataFiles(lake.store, lake.connection, target, { query }),
    ).rejects.toMatchObject({ sqlState })
  })
})

describe('a write', () => {
  it('of no rows makes no file', async () => {
    await lake.create(
      { tablePath: 'write/empty', schema: schemaOf({ n: 'long' }) },
      'SELECT 1 AS n WHERE false',
    )
    expect(fileCount(await lake.snapshot('write/empty'))).toBe(0)
    expect(await lake.rows('write/empty')).toEqual([])
    expect(readdirSync(join(lake.root, 'write/empty'))).toEqual(['_delta_log'])
  })

  it.each([[[]], [['p']]])(
    'ends files near the target size, partitioned by %j',
    async (partitionColumns) => {
      const tablePath = `write/sized${partitionColumns.length}`
      await lake.create(
        {
          tablePath,
          schema: schemaOf({ p: 'long', n: 'long', text: 'string' }),
          partitionColumns,
          configuration: { 'delta.targetFileSize': '1mb' },
        },
        'SELECT 1 AS p, i AS n, sha256(i::VARCHAR) AS text FROM range(400000) t(i)',
      )
      const snapshot = await lake.snapshot(tablePath)
      expect(fileCount(snapshot)).toBeGreaterThan(2)
      const relation = await (await import('../../storage/scan-relation.js')).scanRelation(
        lake.store,
        lake.connection,
        planScan(snapshot, UNKNOWN),
      )
      expect(await lake.connection.query(`SELECT count(DISTINCT n) FROM ${relation}`)).toEqual([
        [400000n],
      ])
      expect(await faults(tablePath)).toEqual([])
    },
    60_000,
  )

  it('takes its columns by name, and parameters without a type', async () => {
    await lake.create({
      tablePath: 'write/named',
      schema: schemaOf({ a: 'long', b: 'string', c: 'double' }),
    })
    const target = await lake.snapshot('write/named')
    const { files, rowCount } = await writeDataFiles(lake.store, lake.connection, target, {
      query: 'SELECT $2 AS b, $1 AS a, 1.5 AS c -- the end',
      values: [
        { type: { kind: 'scalar', name: 'BIGINT' }, value: 9007199254740993n },
        { type: { kind: 'scalar', name: 'VARCHAR' }, value: "it's" },
      ],
    })
    expect(rowCount).toBe(1)
    expect(files[0]?.stats).toBe(
      '{"numRecords":1,"minValues":{"a":9007199254740993,"b":"it\'s","c":1.5},"maxValues":{"a":9007199254740993,"b":"it\'s","c":1.5},"nullCount":{"a":0,"b":0,"c":0}}',
    )
  })

  it('leaves nothing behind when its query fails', async () => {
    const target = await lake.snapshot('write/named')
    const query =
      "SELECT 1 AS a, 'x' AS b, CASE WHEN i < 200000 THEN 1.0 ELSE error('no') END AS c FROM range(300000) t(i)"
    const before = readdirSync(join(lake.root, 'write/named'))
    await expect(writeDataFiles(lake.store, lake.connection, target, { query })).rejects.toThrow(
      'no',
    )
    expect(readdirSync(join(lake.root, 'write/named'))).toEqual(before)
  })

  const strict = (name: string, type: unknown): object => ({
    name,
    type,
    nullable: false,
    metadata: {},
  })
  const loose = (name: string, type: unknown): object => ({
    name,
    type,
    nullable: true,
    metadata: {},
  })
  const struct = { type: 'struct', fields: [strict('x', 'long')] }
  const list = (elementType: unknown, containsNull: boolean): object => ({
    type: 'array',
    elementType,
    containsNull,
  })
  const map = (valueType: unknown, valueContainsNull: boolean): object => ({
    type: 'map',
    keyType: 'string',
    valueType,
    valueContainsNull,
  })

  it.each<[where: string, fields: readonly object[], rows: string, column: string | null]>([
    ['a column', [strict('n', 'long')], 'SELECT NULL AS n', 'n'],
    [
      'a partition column',
      [strict('p', 'string'), loose('m', 'long')],
      'SELECT NULL AS p, 1 AS m',
      'p',
    ],
    ['a struct', [loose('s', struct)], "SELECT {'x': NULL} AS s", 's.x'],
    ['a struct that is null', [loose('s', struct)], 'SELECT NULL AS s', null],
    ['a list', [loose('l', list('long', false))], 'SELECT [1, NULL] AS l', 'l'],
    [
      'a list that is null or empty',
      [loose('l', list('long', false))],
      'SELECT unnest([NULL, []]) AS l',
      null,
    ],
    [
      'a list of lists',
      [loose('l', list(list('long', false), true))],
      'SELECT [[1], NULL, [2, NULL]] AS l',
      'l',
    ],
    [
      'a list of structs',
      [loose('l', list(struct, true))],
      "SELECT [{'x': 1}, {'x': NULL}] AS l",
      'l',
    ],
    [
      'a list of null structs',
      [loose('l', list(struct, true))],
      "SELECT [{'x': 1}, NULL] AS l",
      null,
    ],
    ['a map', [loose('m', map('long', false))], "SELECT MAP {'a': 1, 'b': NULL} AS m", 'm'],
    [
      'a map of structs',
      [loose('m', map(struct, true))],
      "SELECT MAP {'a': {'x': NULL}} AS m",
      'm',
    ],
    [
      'a map without nulls',
      [loose('m', map(struct, false))],
      "SELECT MAP {'a': {'x': 1}} AS m",
      null,
    ],
  ])('sees a null in %s', async (_where, fields, query, column) => {
    const table = defineTable({
      tablePath: 'write/strict',
      schema: parseSchemaString(JSON.stringify({ type: 'struct', fields })),
      partitionColumns: query.includes('AS p') ? ['p'] : [],
    })
    const written = writeDataFiles(lake.store, lake.connection, table, { query })
    if (column === null) expect((await written).rowCount).toBeGreaterThan(0)
    else {
      await expect(written).rejects.toMatchObject({
        sqlState: SqlState.notNullViolation,
        message: `null value in column "${column}" of relation "strict" violates not-null constraint`,
      })
    }
  })

  it.each(['date', 'timestamp', 'timestamp_ntz'])('of an infinite %s is refused', async (type) => {
    const table = defineTable({ tablePath: 'write/infinite', schema: schemaOf({ n: type }) })
    const query = "SELECT 'infinity' AS n"
    await expect(
      writeDataFiles(lake.store, lake.connection, table, { query }),
    ).rejects.toMatchObject({
      sqlState: SqlState.datetimeFieldOverflow,
    })
  })
})

describe('a path in the log', () => {
  it('decodes to the path on disk, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const path = wellFormed(text)
        expect(decodeURIComponent(encodeLogPath(path))).toBe(path)
        expect(encodeLogPath(path)).not.toMatch(/^[a-z]+:|[\s"<>\\^`{|}?#[\]]/i)
      }),
    )
  })
})
