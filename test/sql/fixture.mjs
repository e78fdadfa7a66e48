/** Fixture: the tables over which the gateway and PostgreSQL are compared, made in both from the same rows. */

import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Column: [name, PostgreSQL's type, DuckDB's type, Delta's type]. */
const T = {
  int2: ['smallint', 'SMALLINT', 'short'],
  int4: ['integer', 'INTEGER', 'integer'],
  int8: ['bigint', 'BIGINT', 'long'],
  float4: ['real', 'FLOAT', 'float'],
  float8: ['double precision', 'DOUBLE', 'double'],
  bool: ['boolean', 'BOOLEAN', 'boolean'],
  text: ['text', 'VARCHAR', 'string'],
  date: ['date', 'DATE', 'date'],
  timestamp: ['timestamp', 'TIMESTAMP', 'timestamp_ntz'],
  timestamptz: ['timestamptz', 'TIMESTAMPTZ', 'timestamp'],
  bytea: ['bytea', 'BLOB', 'binary'],
  n12_4: ['numeric(12,4)', 'DECIMAL(12,4)', 'decimal(12,4)'],
  n20_0: ['numeric(20,0)', 'DECIMAL(20,0)', 'decimal(20,0)'],
  n10_2: ['numeric(10,2)', 'DECIMAL(10,2)', 'decimal(10,2)'],
}

const N = null

function numbers() {
  const rows = [
    [1, 1, 1, 1, 1, '1', '1', true],
    [2, 2, 2, 2.5, 2.5, '2.5', '2', false],
    [-1, -1, -1, -1.5, -1.5, '-1.5', '-1', true],
    [0, 0, 0, 0, 0, '0', '0', false],
    [N, N, N, N, N, N, N, N],
    [
      32767,
      2147483647,
      '9223372036854775807',
      3.4e38,
      1.7976931348623157e308,
      '99999999.9999',
      '99999999999999999999',
      true,
    ],
    [
      -32768,
      -2147483648,
      '-9223372036854775808',
      -3.4e38,
      -1.7976931348623157e308,
      '-99999999.9999',
      '-99999999999999999999',
      false,
    ],
    [7, 7, 7, 0.1, 0.1, '0.1', '7', N],
    [7, 7, 7, 0.1, 0.1, '0.1', '7', N],
    [N, 5, N, N, 5.5, N, '5', true],
    [3, N, 3, 3.3, N, '3.3333', N, false],
    [10, 100, 1000, 10.5, 100.25, '1000.125', '10000', true],
    [-10, -100, -1000, -10.5, -100.25, '-1000.125', '-10000', false],
    [4, 4, 4, 'NaN', 'NaN', '4.0001', '4', true],
    [5, 5, 5, 'Infinity', 'Infinity', '5.4999', '5', true],
    [6, 6, 6, '-Infinity', '-Infinity', '5.5', '6', false],
    [8, 8, 8, 1e-10, 1e-10, '0.0001', '8', true],
    [9, 9, 9, 1e10, 1e20, '10000000', '9', false],
  ]
  for (let i = 11; i <= 30; i++) {
    rows.push([
      i,
      i * 37,
      i * 1000003,
      i / 4,
      i / 8,
      String((i * 12.3456).toFixed(4)),
      String(i ** 5),
      i % 3 === 0 ? N : i % 2 === 0,
    ])
  }
  return rows
}

function texts() {
  const pairs = [
    [N, N],
    ['', ''],
    [' ', 'space'],
    ['abc', 'ABC'],
    ['Abc', 'aBC'],
    ['hello world', 'Hello World'],
    ['  padded  ', 'padded'],
    ['100%', '%'],
    ['a_b', '_'],
    ['back\\slash', '\\'],
    ["it's", "'"],
    ['"quoted"', '"'],
    ['äöü', 'ÄÖÜ'],
    ['ß', 'SS'],
    ['日本語', '日'],
    ['emoji 😀 here', '😀'],
    ['line\nbreak', '\n'],
    ['tab\there', '\t'],
    ['12345', '5'],
    ['-12.50', '.'],
    ['2024-02-29', '-'],
    ['a,b,c', ','],
    ['a,,c', ','],
    [',', ','],
    ['{"k": 1}', 'k'],
    ['foo.bar.baz', '.'],
    ['AAAA', 'A'],
    ['aaa', 'aa'],
    ['zebra', 'apple'],
    ['Zebra', 'Apple'],
    ['true', 'false'],
    ['null', 'NULL'],
    ['a(b)c', '('],
    ['x+y=z', '+'],
  ]
  return pairs.map(([s, t], i) => [i + 1, s, t])
}

function times() {
  const rows = [
    [N, N, N, N],
    ['2024-01-01', '2024-01-01 00:00:00', '2024-01-01 00:00:00+00', 'new year'],
    ['2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+00', 'leap day'],
    [
      '2023-02-28',
      '2023-02-28 23:59:59.999999',
      '2023-02-28 23:59:59.999999+00',
      'end of february',
    ],
    ['2024-03-31', '2024-03-31 02:30:00', '2024-03-31 01:00:00+00', 'dst begins'],
    ['2024-10-27', '2024-10-27 02:30:00', '2024-10-27 01:00:00+00', 'dst ends'],
    ['2024-12-31', '2024-12-31 23:59:59', '2024-12-31 23:59:59+00', 'year end'],
    ['2020-12-31', '2020-12-31 23:59:59.5', '2020-12-31 23:59:59.5+00', 'iso week 53'],
    ['2021-01-03', '2021-01-03 00:00:00', '2021-01-03 00:00:00+00', 'iso week 53 again'],
    ['2021-01-04', '2021-01-04 00:00:00', '2021-01-04 00:00:00+00', 'iso week 1'],
    ['1900-01-01', '1900-01-01 00:00:00', '1900-01-01 00:00:00+00', 'old'],
    ['1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', 'epoch'],
    ['1969-12-31', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999+00', 'before epoch'],
    ['9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59+00', 'far'],
    ['2000-01-01', '2000-01-01 06:07:08.000001', '2000-01-01 06:07:08.000001+00', 'micro'],
    ['2001-01-01', N, '2001-01-01 10:00:00+00', 'no ts'],
    [N, '2001-09-09 01:46:40', N, 'billion'],
  ]
  for (let i = 1; i <= 14; i++) {
    const day = `2024-${String(((i * 5) % 12) + 1).padStart(2, '0')}-${String(((i * 7) % 28) + 1).padStart(2, '0')}`
    const clock = `${String((i * 3) % 24).padStart(2, '0')}:${String((i * 11) % 60).padStart(2, '0')}:${String((i * 17) % 60).padStart(2, '0')}`
    rows.push([day, `${day} ${clock}`, `${day} ${clock}+00`, `row ${i}`])
  }
  return rows.map((row, i) => [i + 1, ...row])
}

function people() {
  const names = [
    'Ada',
    'Bob',
    'Cid',
    'Dan',
    'Eve',
    'Fay',
    'Gus',
    'Hal',
    'Ivy',
    'Jon',
    'Kim',
    'Leo',
    'Mia',
    'Ned',
    'Ola',
    'Pam',
    'Quy',
    'Rex',
    'Sue',
    'Tom',
    'Uma',
    'Vic',
    'Wes',
    'Xen',
    'Yan',
  ]
  const depts = ['sales', 'dev', 'ops', N, 'dev']
  return names.map((name, i) => [
    i + 1,
    name,
    depts[i % 5],
    i === 0 ? N : Math.floor((i - 1) / 3) + 1,
    i % 7 === 3 ? N : String(1000 + ((i * 379) % 4000) + 0.5),
    `20${String(10 + (i % 14)).padStart(2, '0')}-0${(i % 9) + 1}-1${i % 9}`,
    i % 6 === 5 ? N : i % 2 === 0,
  ])
}

function sales() {
  const regions = ['north', 'south', 'east', 'west', N]
  return Array.from({ length: 200 }, (_, i) => {
    const month = String(((i * 7) % 12) + 1).padStart(2, '0')
    const day = String(((i * 13) % 28) + 1).padStart(2, '0')
    return [
      i + 1,
      i % 29 === 0 ? N : ((i * 11) % 27) + 1,
      regions[(i * 3) % 5],
      `202${3 + (i % 2)}-${month}-${day}`,
      i % 31 === 5 ? N : String((((i * 7919) % 100000) / 100).toFixed(2)),
      i % 17 === 3 ? N : (i % 9) + 1,
      ((i * 31) % 400) / 16,
    ]
  })
}

const DOCS = [
  N,
  'null',
  '1',
  '-2.5',
  '"text"',
  'true',
  '[]',
  '{}',
  '[1,2,3]',
  '[1,"two",null,{"three":3}]',
  '{"a":1,"b":"x","c":null}',
  '{"a":{"b":{"c":[10,20,30]}}}',
  '{"name":"Ada","tags":["x","y"],"age":36}',
  '{"key with space":1,"dotted.key":2}',
  '{"n":12345678901234567890,"f":1.5e10,"u":"\\u00e4"}',
]
const BINS = [N, '', '00', 'ff', '00ff10', '68656c6c6f', 'deadbeef', '5c', '27', 'c3a4']

export const TABLES = {
  numbers: {
    columns: [
      ['i2', T.int2],
      ['i4', T.int4],
      ['i8', T.int8],
      ['f4', T.float4],
      ['f8', T.float8],
      ['n', T.n12_4],
      ['n0', T.n20_0],
      ['b', T.bool],
    ],
    rows: numbers(),
  },
  texts: {
    columns: [
      ['id', T.int4],
      ['s', T.text],
      ['t', T.text],
    ],
    rows: texts(),
  },
  times: {
    columns: [
      ['id', T.int4],
      ['d', T.date],
      ['ts', T.timestamp],
      ['tz', T.timestamptz],
      ['note', T.text],
    ],
    rows: times(),
  },
  people: {
    columns: [
      ['id', T.int4],
      ['name', T.text],
      ['dept', T.text],
      ['manager', T.int4],
      ['salary', T.n10_2],
      ['hired', T.date],
      ['active', T.bool],
    ],
    rows: people(),
  },
  sales: {
    columns: [
      ['id', T.int8],
      ['person', T.int4],
      ['region', T.text],
      ['day', T.date],
      ['amount', T.n10_2],
      ['qty', T.int4],
      ['price', T.float8],
    ],
    rows: sales(),
  },
  docs: {
    columns: [
      ['id', T.int4],
      ['j', T.text],
    ],
    rows: DOCS.map((j, i) => [i + 1, j]),
  },
  bins: {
    columns: [
      ['id', T.int4],
      ['x', T.bytea],
    ],
    rows: BINS.map((x, i) => [i + 1, x]),
  },
}

function literal(value, type, hex) {
  if (value === N) return 'NULL'
  if (type === T.bytea) return hex(value)
  if (typeof value === 'boolean') return String(value)
  const text = `'${String(value).replaceAll("'", "''")}'`
  return text
}

function insert(name, { columns, rows }, hex, typeOf) {
  const lines = rows.map(
    (row) =>
      `(${row.map((value, i) => `CAST(${literal(value, columns[i][1], hex)} AS ${typeOf(columns[i][1])})`).join(', ')})`,
  )
  return `INSERT INTO ${name} VALUES ${lines.join(',\n')}`
}

/** SQL that makes the tables in PostgreSQL. */
export function postgresScript() {
  const parts = ['SET standard_conforming_strings = on;', 'CREATE SCHEMA silver;']
  for (const [name, table] of Object.entries(TABLES)) {
    parts.push(
      `CREATE TABLE silver.${name} (${table.columns.map(([column, type]) => `${column} ${type[0]}`).join(', ')});`,
    )
    parts.push(
      `${insert(
        `silver.${name}`,
        table,
        (hex) => `decode('${hex}', 'hex')`,
        (type) => type[0],
      )};`,
    )
  }
  return parts.join('\n')
}

/** Writes the tables as Delta tables under `folder` through an Engine of `dist`. */
export async function writeLake(folder, dist) {
  const { Engine } = await import(join(dist, 'storage/engine.js'))
  const engine = await Engine.open()
  const connection = await engine.connect()
  await connection.run("SET TimeZone = 'UTC'")
  for (const [name, table] of Object.entries(TABLES)) {
    const path = join(folder, 'silver', name)
    mkdirSync(join(path, '_delta_log'), { recursive: true })
    await connection.run(
      `CREATE TABLE ${name} (${table.columns.map(([column, type]) => `${column} ${type[1]}`).join(', ')})`,
    )
    await connection.run(
      insert(
        name,
        table,
        (hex) => `from_hex('${hex}')`,
        (type) => type[1],
      ),
    )
    const file = join(path, 'part-00000.parquet')
    await connection.run(`COPY ${name} TO '${file}' (FORMAT parquet)`)
    const fields = table.columns.map(([column, type]) => ({
      name: column,
      type: type[2],
      nullable: true,
      metadata: {},
    }))
    const ntz = table.columns.some(([, type]) => type === T.timestamp)
    const actions = [
      {
        protocol: ntz
          ? {
              minReaderVersion: 3,
              minWriterVersion: 7,
              readerFeatures: ['timestampNtz'],
              writerFeatures: ['timestampNtz'],
            }
          : { minReaderVersion: 1, minWriterVersion: 2 },
      },
      {
        metaData: {
          id: `00000000-0000-0000-0000-0000000000${String(Object.keys(TABLES).indexOf(name)).padStart(2, '0')}`,
          format: { provider: 'parquet', options: {} },
          schemaString: JSON.stringify({ type: 'struct', fields }),
          partitionColumns: [],
          configuration: {},
          createdTime: 0,
        },
      },
      {
        add: {
          path: 'part-00000.parquet',
          partitionValues: {},
          size: statSync(file).size,
          modificationTime: 0,
          dataChange: true,
        },
      },
    ]
    writeFileSync(
      join(path, '_delta_log', '00000000000000000000.json'),
      `${actions.map((action) => JSON.stringify(action)).join('\n')}\n`,
    )
  }
  await engine.close()
}
