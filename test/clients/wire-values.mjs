/**
 * Wire values: values of every type with their text and bytes, as a real PostgreSQL says they are.
 *
 * node test/clients/wire-values.mjs [--write]
 *
 * wire-values.json is what the clients' scripts and test/server/wire-values.test.ts hold the gateway
 * to. Here it is held to PostgreSQL; --write makes it anew from the values below.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { findServer, startPostgres } from '../support/servers.mjs'

/** By type: texts that PostgreSQL reads; it prints most of them the same. */
const VALUES = {
  bool: ['t', 'f'],
  int2: ['0', '1', '-1', '32767', '-32768'],
  int4: ['0', '1', '-1', '2147483647', '-2147483648'],
  int8: ['0', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  oid: ['0', '26', '4294967295'],
  float4: [
    '0',
    '-0',
    '1',
    '0.1',
    '-1.5',
    '1e-45',
    '3.4028235e+38',
    '1e+06',
    '123456',
    '1.1754944e-38',
    'NaN',
    'Infinity',
    '-Infinity',
    '16777216',
    '0.0001',
    '1e-05',
  ],
  float8: [
    '0',
    '-0',
    '1',
    '0.1',
    '-1.5',
    '5e-324',
    '1.7976931348623157e+308',
    '1e+15',
    '123456789012345',
    '0.30000000000000004',
    'NaN',
    'Infinity',
    '-Infinity',
    '9007199254740993',
    '0.0001',
    '1e-05',
  ],
  numeric: [
    '0',
    '1',
    '-1',
    '0.0',
    '0.00000',
    '10000',
    '9999',
    '100000000',
    '0.0001',
    '0.00001',
    '-0.5',
    '1.50',
    '123456789.987654321',
    '12345678901234567890.12345678',
    '99999999999999999999999999999999999999',
    '-99999999999999999999999999999999999999',
    '0.00000000000000000000000000000000000001',
    '1e10',
    '5e-3',
  ],
  'numeric(10,2)': ['0.00', '1.50', '-12345678.90', '99999999.99'],
  'numeric(38,0)': ['99999999999999999999999999999999999999', '-1'],
  'numeric(38,37)': [
    '-9.9999999999999999999999999999999999999',
    '0.0000000000000000000000000000000000000',
  ],
  text: [
    '',
    ' ',
    'abc',
    'häß €',
    '😀',
    'a\nb\tc\\d',
    "it's",
    '"quoted"',
    'NULL',
    '{1,2}',
    'x'.repeat(300),
  ],
  varchar: ['', 'häß'],
  'varchar(5)': ['', 'abcde'],
  'bpchar(5)': ['ab   ', 'abcde', '     '],
  name: ['lakegate'],
  bytea: ['\\x', '\\x00', '\\xff', '\\x5c27220a', `\\x${'ab'.repeat(300)}`],
  date: [
    '2000-01-01',
    '1970-01-01',
    '1969-12-31',
    '2024-02-29',
    '0001-01-01',
    '9999-12-31',
    '10000-01-01',
    '0001-12-31 BC',
    '4713-01-01 BC',
    'infinity',
    '-infinity',
    '99999-01-01',
  ],
  time: ['00:00:00', '23:59:59.999999', '24:00:00', '12:34:56.7', '00:00:00.000001'],
  timetz: [
    '00:00:00+00',
    '23:59:59.999999-07',
    '12:34:56.7+05:30',
    '01:02:03+15:59',
    '24:00:00-15:59',
    '04:05:06-07:52:58',
  ],
  timestamp: [
    '2000-01-01 00:00:00',
    '1999-12-31 23:59:59.999999',
    '1969-12-31 23:59:59.5',
    '2024-02-29 12:34:56.000001',
    '0001-01-01 00:00:00',
    '0001-12-31 23:59:59 BC',
    '4713-01-01 00:00:00 BC',
    'infinity',
    '-infinity',
    '294246-12-31 23:59:59.999999',
  ],
  timestamptz: [
    '2000-01-01 00:00:00+00',
    '1999-12-31 23:59:59.999999+00',
    '1969-12-31 23:59:59.5+00',
    '2024-02-29 12:34:56.000001+00',
    '0001-01-01 00:00:00+00',
    '0001-12-31 23:59:59+00 BC',
    'infinity',
    '-infinity',
    '294246-12-31 23:59:59.999999+00',
  ],
  interval: [
    '00:00:00',
    '1 year 2 mons 3 days 04:05:06.789',
    '-1 years',
    '1 mon',
    '-1 days',
    '00:00:00.000001',
    '-00:00:00.000001',
    '-1 mons +5 days -00:00:01',
    '178000000 years',
    '2147483647 days',
    '2562047788:00:54.775807',
    '1 year -1 days',
    '-25:00:00',
  ],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ],
  json: ['null', '{"a":1, "b" : [true, null]}', '[]', '"text"', '1.10', '{"a":1,"a":2}'],
  jsonb: [
    'null',
    '{"a": 1, "b": [true, null, 1.50]}',
    '[]',
    '"häß"',
    '{"aa": {"b": "c"}, "bbb": 12345678901234567890}',
  ],
  '"char"': ['a', '', '\\303', '1'],
  'bool[]': ['{}', '{t,f,NULL}'],
  'int2[]': ['{}', '{-32768,NULL,32767}'],
  'int4[]': [
    '{}',
    '{1}',
    '{NULL}',
    '{1,2,NULL}',
    '{{1,2},{3,4}}',
    '{{1,NULL},{NULL,4}}',
    '{{{1,2},{3,4}},{{5,6},{7,8}}}',
    '{{1}}',
  ],
  'int8[]': ['{9223372036854775807,NULL}', '{{1},{2}}'],
  'float4[]': ['{0.1,NaN,Infinity}'],
  'float8[]': ['{0.1,NaN,-Infinity,NULL}', '{{1.5,2.5}}'],
  'numeric[]': ['{1,2}', '{1.50,2.25,NULL}', '{{1.5},{2.5}}'],
  'numeric(10,2)[]': ['{1.50,NULL}'],
  'text[]': [
    '{}',
    '{""}',
    '{NULL}',
    '{"NULL"}',
    '{a,"b c","d,e","f\\"g","h\\\\i","{j}",NULL}',
    '{{a,b},{c,d}}',
    '{{"häß","😀"},{NULL,""}}',
    '{"a\nb"}',
    '{" "}',
  ],
  'varchar[]': ['{a,NULL}'],
  'bytea[]': ['{"\\\\x00ff",NULL}'],
  'date[]': ['{2024-02-29,NULL,infinity,"0001-12-31 BC"}'],
  'time[]': ['{12:34:56.7,NULL}'],
  'timetz[]': ['{12:34:56+05:30}'],
  'timestamp[]': [
    '{"2024-02-29 12:34:56",NULL,infinity}',
    '{{"2024-02-29 12:34:56"},{"0001-12-31 23:59:59 BC"}}',
  ],
  'timestamptz[]': ['{"2024-02-29 12:34:56+00",-infinity}'],
  'interval[]': ['{"1 year 2 mons","-1 days",01:02:03}'],
  'name[]': ['{a,"b c",NULL}'],
  '"char"[]': ['{a,b}'],
  'oid[]': ['{1,4294967295}'],
  'bpchar(3)[]': ['{"a  ",abc}', '{{"a  "},{"b  "}}'],
  'varchar(3)[]': ['{a,abc}'],
  'uuid[]': ['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}'],
  'json[]': ['{"{\\"a\\":1}",NULL}'],
  'jsonb[]': ['{"{\\"a\\": 1}","[1, 2]"}', '{{1,2},{3,4}}'],
}

/** Settings of values that name none. */
const PLAIN = {
  IntervalStyle: 'postgres',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  bytea_output: 'hex',
}

/** Texts that are printed otherwise than they are read. */
const READ = {
  '"char"': ['ab', 'ä', '\\101'],
  name: ['x'.repeat(70), 'ä'.repeat(40)],
  bool: ['yes', 'on', 'of', ' t ', 'T', 'n', 'tru'],
  int4: [' 12 ', '+5', '-0'],
  oid: ['-1'],
  float8: ['-inf', '+infinity', ' 1 ', '1e5', '.5', '5.'],
  float4: ['16777217', '0.10000000149'],
  numeric: ['  12.50 ', '.5', '5.', '+1', '00012.3400', '1.5e-3'],
  'numeric(5,2)': ['1.005', '999.994', '1e2'],
  'varchar(3)': ['abcd', 'abc   '],
  'bpchar(3)': ['a', 'abcd', 'äöü'],
  bytea: ['abc', 'a\\\\b', '\\001\\377', '\\xABcd', '\\x 12 34', 'ä', ''],
  uuid: [
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    '{a0eebc999c0b4ef8bb6d6bb9bd380a11}',
    'a0ee-bc999c0b-4ef8bb6d-6bb9-bd38-0a11',
  ],
  jsonb: [
    '{"b":1,"a":2,"aa":3,"b":4}',
    '1E+2',
    '-0',
    '1e-3',
    '"\\ud83d\\ude00\\u00e4\\/"',
    ' [1 , 2] ',
  ],
  date: [
    '20240229',
    'Jan 2 2024',
    '2 January 2024',
    '2024-Jan-02',
    '01/02/2024',
    '1.2.2024',
    '01-02-2024',
    'epoch',
    'INFINITY',
    '4714-11-24 BC',
    '5874897-12-31',
    '2024-1-2',
    '2024-01-02+05',
    '2024-02-29 12:00',
    '0044-03-15 BC',
  ],
  time: [
    '12:34',
    '12:34:56.123456789',
    '12:34 PM',
    '12:34:60',
    '12:34:56.9999999',
    '23:59:59.9999999',
    '2024-01-02 12:34',
    '12:34:56+05',
  ],
  timetz: [
    '12:34+05',
    '12:34:56.7 -07:52:58',
    '12:34 UTC',
    '12:34Z',
    '2024-07-01 12:34 America/New_York',
    '12:34 EST',
    '12:34 +0530',
  ],
  timestamp: [
    '2024-02-29 12:34',
    '2024-02-29T12:34:56Z',
    '2024-02-29 12:34:56+05',
    'Thu Feb 29 12:34:56 2024',
    '2024-02-29 24:00',
    '2024-02-29 12:34:56.9999999',
    '2024-02-29 23:59:59.9999999',
    '4714-11-24 00:00:00 BC',
    'epoch',
    '2024-02-29 12:34 pm',
  ],
  timestamptz: [
    '2024-02-29 12:34:56Z',
    '2024-02-29 12:34:56+05:30',
    '2024-07-01 12:34:56 America/New_York',
    '2024-03-10 02:30 America/New_York',
    '2024-11-03 01:30 America/New_York',
    '2024-07-01 12:34 EST',
    '2024-07-01 12:34 PST',
    '2024-07-01 12:34 IST',
    '4714-11-24 00:00:00+00 BC',
    '2024-02-29 12:34:56-0800',
    '1883-11-18 12:00 America/New_York',
  ],
  interval: [
    '1-2 3 4:05:06',
    '-1-2 +3 -4:05:06',
    '-1 2:03',
    '1.5 mons',
    '10 days -1:00',
    'P1Y2M3DT4H5M6.5S',
    'P0001-02-03T04:05:06',
    'PT-1.5H',
    '1 year ago',
    '1d2h3m4s',
    '3 4:05',
    '1.5 years',
    '0.33333 days',
    '1 week',
    '2 decades 1 century',
    '1:02.5',
  ],
  'int4[]': [
    ' { 1 , 2 } ',
    '{"1"}',
    '[1:2]={1,2}',
    '[1:2][1:2]={{1,2},{3,4}}',
    '[1:2] = {1,2}',
    '{null}',
    '{-1,+2}',
    '{{{{{{1}}}}}}',
  ],
  'text[]': ['{ a , b }', '{"a","b"}', '{a\\,b}', '{nullx}', '{\\null}', '{{a,"b,c"},{"}",NULL}}'],
}

/** Texts that are no values of their types. */
const REFUSED = {
  bool: ['o', '', 'x', 'falsee'],
  int2: ['40000'],
  int4: ['', '1.5', '1e3', '--1', '2147483648', '99999999999999999999999999'],
  int8: ['9223372036854775808'],
  oid: ['4294967296'],
  float8: ['1e400', '1e-400', 'x', ''],
  float4: ['1e39', '1e-50'],
  numeric: ['x', '', '1e'],
  'numeric(5,2)': ['999.995'],
  bytea: ['\\xa', '\\xzz', '\\8'],
  uuid: ['x', ' a0eebc999c0b4ef8bb6d6bb9bd380a11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  json: ['', 'nul', '01', '[1,]', '{"a":1'],
  jsonb: ['"\\u0000"', '{a:1}'],
  date: ['', 'x', '2023-02-29', '2024-13-01', '0000-01-01', '4714-11-23 BC', '5874898-01-01'],
  time: ['24:00:01', '12:60', '12:34:61', 'x'],
  timetz: ['12:34+16', '12:34 America/New_York'],
  timestamp: ['4714-11-23 23:59:59 BC', '2024-02-29 25:00', 'x'],
  timestamptz: ['2024-02-29 12:34+16', '2024-02-29 12:34 foo'],
  interval: [
    '',
    'x',
    '1 2',
    '1 year 1 year',
    '1-12',
    '-.5 days',
    '200000000 years',
    '3000000000 days',
    '9223372036854775807 s',
    'P1',
  ],
  'int4[]': [
    '1,2',
    '{1,2',
    '{1,,2}',
    '{1,2}}',
    '{{1,2},{3}}',
    '{{1},2}',
    '{1,{2}}',
    '{{}}',
    '[1:3]={1,2}',
    '[2:1]={}',
    '{{{{{{{1}}}}}}}',
    '{1,x}',
    '{,1}',
    '{{1,2},NULL}',
    '{"1',
    '',
  ],
  'text[]': ['{"a"b}', '{a"b"}'],
}

/** Settings that shape dates, times and intervals, and values read and printed under them. */
const STYLES = [
  {
    IntervalStyle: 'sql_standard',
    DateStyle: 'SQL, DMY',
    TimeZone: 'America/New_York',
    bytea_output: 'escape',
  },
  { IntervalStyle: 'postgres_verbose', DateStyle: 'Postgres, MDY', TimeZone: 'UTC' },
  { IntervalStyle: 'iso_8601', DateStyle: 'German, DMY', TimeZone: 'UTC' },
  { IntervalStyle: 'postgres', DateStyle: 'ISO, YMD', TimeZone: 'Asia/Kolkata' },
]
const STYLED = {
  interval: [
    '1 year 2 mons 3 days 04:05:06.789',
    '-1 years',
    '-1 mons +5 days -00:00:01',
    '1 year -1 days',
    '-25:00:00',
    '0',
    '1 day',
    '-1 day 1:00',
    '1 mon -1:00',
    '-1 2:03',
    '-1-2',
    '-1-2 3 4:05:06',
    '10 days -1:00',
    '-10 days 1:00',
    '-12:00:00.5',
    '2562047788:00:54.775807',
  ],
  date: ['2024-02-29', '1.2.2024', 'infinity', '0044-03-15 BC', '10000-01-01'],
  timestamp: ['2024-02-29 12:34:56.5', '-infinity', '0044-03-15 01:02:03 BC', 'epoch'],
  timestamptz: ['2024-02-29 12:34', '2024-07-01 12:34:56Z', 'infinity'],
  timetz: ['12:34:56+05:30'],
  bytea: ['\\x00ff5c41'],
}

const path = fileURLToPath(new URL('./wire-values.json', import.meta.url))

async function main() {
  const bin = findServer()
  if (bin === undefined) {
    console.log('skipped: no PostgreSQL server is installed')
    console.log('0 passed, 0 failed')
    return
  }
  const work = mkdtempSync(join(tmpdir(), 'lakegate-wire-'))
  const server = await startPostgres(bin, work)
  const rowOf = async (sql, values) =>
    (await client.query({ text: sql, values, rowMode: 'array' })).rows[0]
  /** What PostgreSQL prints and sends for `text` read as `type`. */
  const ask = async (type, text) => {
    const [send] = await rowOf('SELECT typsend::regproc FROM pg_type WHERE oid = $1::regtype', [
      type,
    ])
    return rowOf(`SELECT $1::${type}, encode(${send}($1::${type}), 'hex')`, [text])
  }
  const set = async (settings) => {
    for (const [name, value] of Object.entries(settings))
      await client.query(`SET ${name} = '${value}'`)
  }
  /** What is written down of `input`: its text and bytes, or the error it is. */
  const answer = async (type, input, settings) => {
    try {
      const [text, hex] = await ask(type, input)
      return {
        type,
        ...(text === input ? {} : { input }),
        ...(settings && { settings }),
        text,
        hex,
      }
    } catch (error) {
      if (error.code === undefined) throw error
      return { type, input, ...(settings && { settings }), error: error.code }
    }
  }
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'lakegate',
    database: 'postgres',
    types: { getTypeParser: () => (value) => value },
  })
  let passed = 0
  let failed = 0
  try {
    await client.connect()
    if (process.argv.includes('--write')) {
      const made = []
      const record = async (values, settings) => {
        for (const [type, texts] of Object.entries(values)) {
          for (const input of texts) made.push(await answer(type, input, settings))
        }
      }
      await set(PLAIN)
      await record(VALUES)
      await record(READ)
      await record(REFUSED)
      for (const settings of STYLES) {
        await set({ ...PLAIN, ...settings })
        await record(STYLED, settings)
      }
      await set(PLAIN)
      writeFileSync(path, `[\n${made.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`)
    }
    const values = JSON.parse(readFileSync(path, 'utf8'))
    for (const value of values) {
      await set({ ...PLAIN, ...value.settings })
      const said = JSON.stringify(
        await answer(value.type, value.input ?? value.text, value.settings),
      )
      if (said === JSON.stringify(value)) passed++
      else {
        failed++
        console.log(`not ok ${JSON.stringify(value)}: PostgreSQL says ${said}`)
      }
    }
    console.log(`${passed} passed, ${failed} failed`)
  } finally {
    await client.end()
    server.stop()
    rmSync(work, { recursive: true, force: true })
  }
  process.exitCode = failed === 0 ? 0 : 1
}

await main()
