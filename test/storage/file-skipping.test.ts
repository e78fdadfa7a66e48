/**
 * Goal: no file with a row for which a predicate is true is ever skipped.
 * Method: random rows in random files, statistics as writers leave them (rounded, cut, partly or
 * wholly missing, garbage), and DuckDB as the judge of which files hold a matching row.
 */

import fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { type EngineType, scalarType } from '../../storage/engine-type.js'
import { LocalStore } from '../../storage/local-store.js'
import type { ComparisonOperator, Predicate, Term } from '../../storage/predicate.js'
import { planScan, prepareScan } from '../../storage/scan.js'
import { loadSnapshot, type Snapshot } from '../../storage/snapshot.js'
import { add, LogFixture, PROTOCOL } from '../support/log-fixture.js'

let folder: string
let engine: Engine
let connection: EngineConnection
let tables = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lakegate-skipping-'))
  engine = await Engine.open({})
  connection = await engine.connect()
  await connection.run("SET TimeZone = 'UTC'")
})

afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Column {
  /** Name in the oracle's table. */
  readonly name: string
  readonly path: readonly string[]
  readonly delta: string
  readonly sql: string
  readonly literal: EngineType
  /** Values as texts that DuckDB casts to `sql`. */
  readonly pool: readonly string[]
}

const column = (
  name: string,
  delta: string,
  sql: string,
  literal: EngineType,
  pool: readonly string[],
  path: readonly string[] = [name],
): Column => ({ name, path, delta, sql, literal, pool })

const WHOLE = ['0', '-1', '5', '100', '9007199254740992', '9007199254740993', '-9007199254740993']
const FLOATING = ['NaN', 'Infinity', '-Infinity', '0', '-0.0', '1.5', '0.1', '-2.5', '16777216']
const COLUMNS: readonly Column[] = [
  column('l', 'long', 'BIGINT', scalarType('BIGINT'), [
    ...WHOLE,
    '9223372036854775807',
    '-9223372036854775808',
  ]),
  column('d', 'double', 'DOUBLE', scalarType('DOUBLE'), FLOATING),
  column('r', 'float', 'FLOAT', scalarType('DOUBLE'), FLOATING),
  column('c', 'decimal(20,2)', 'DECIMAL(20,2)', { kind: 'decimal', width: 20, scale: 2 }, [
    '0.10',
    '-0.10',
    '90071992547409.93',
    '123456789012345678.91',
    '123456789012345678.92',
    '7.00',
  ]),
  column('s', 'string', 'VARCHAR', scalarType('VARCHAR'), [
    '',
    'a',
    'ab',
    'abcdefgh',
    'abcdefgi',
    'abcdef',
    'ä',
    '😈x😈y😈',
    'Zebra',
  ]),
  column('y', 'date', 'DATE', scalarType('DATE'), ['1969-12-31', '2026-01-01', '0001-01-01']),
  column('n', 'timestamp_ntz', 'TIMESTAMP', scalarType('TIMESTAMP'), [
    '2026-01-01 00:00:00.123456',
    '2026-01-01 00:00:00.123',
    '2026-01-01 00:00:00.124',
    '1969-12-31 23:59:59.999999',
  ]),
  column('z', 'timestamp', 'TIMESTAMPTZ', scalarType('TIMESTAMPTZ'), [
    '2026-01-01 00:00:00.123456+00',
    '2026-01-01 00:00:00.123+00',
    '1890-01-01 00:00:00.5+00',
  ]),
  column('b', 'boolean', 'BOOLEAN', scalarType('BOOLEAN'), ['true', 'false']),
  column('q', 'long', 'BIGINT', scalarType('BIGINT'), WHOLE, ['st', 'q']),
  column('p', 'integer', 'INTEGER', scalarType('INTEGER'), ['1', '2', '30']),
]

const schemaField = (name: string, type: unknown): object => ({
  name,
  type,
  nullable: true,
  metadata: {},
})
const METADATA = {
  metaData: {
    id: 'x',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify({
      type: 'struct',
      fields: [
        ...COLUMNS.filter((one) => one.path.length === 1).map((one) =>
          schemaField(one.name, one.delta),
        ),
        schemaField('st', { type: 'struct', fields: [schemaField('q', 'long')] }),
      ],
    }),
    partitionColumns: ['p'],
    configuration: {},
  },
}

const STATISTICS = COLUMNS.filter((one) => one.name !== 'p' && one.name !== 'b')

/** The statistics of a file, as SQL over its rows; texts that are JSON tokens. */
function boundSql(one: Column, side: 'min' | 'max', countNaN: boolean): string {
  const { name } = one
  if (one.delta === 'double' || one.delta === 'float') {
    const bound = countNaN
      ? `${side}(${name})`
      : `${side}(${name}) FILTER (WHERE NOT isnan(${name}))`
    return `CASE WHEN isnan(${bound}) THEN '"NaN"' WHEN isinf(${bound}) THEN CASE WHEN ${bound} > 0 THEN '"Infinity"' ELSE '"-Infinity"' END ELSE (${bound})::VARCHAR END`
  }
  const bound = `${side}(${name})`
  switch (one.delta) {
    case 'string':
      return side === 'min'
        ? `to_json(left(${bound}, 4))::VARCHAR`
        : `to_json(CASE WHEN length(${bound}) > 4 THEN left(${bound}, 4) || chr(1114111) ELSE ${bound} END)::VARCHAR`
    case 'timestamp':
      return `'"' || strftime(date_trunc('millisecond', ${bound}), '%Y-%m-%dT%H:%M:%S.%gZ') || '"'`
    case 'timestamp_ntz':
      return `'"' || strftime(date_trunc('millisecond', ${bound}), '%Y-%m-%dT%H:%M:%S.%g') || '"'`
    case 'date':
      return `'"' || strftime(${bound}, '%Y-%m-%d') || '"'`
    default:
      return `${bound}::VARCHAR`
  }
}

async function statisticsOf(file: number, countNaN: boolean, leaveOut: number): Promise<string> {
  const items = STATISTICS.flatMap((one) => [
    boundSql(one, 'min', countNaN),
    boundSql(one, 'max', countNaN),
    `(count(*) - count(${one.name}))::VARCHAR`,
  ])
  const [row = []] = await connection.query(
    `SELECT count(*)::VARCHAR, ${items.join(', ')} FROM t WHERE f = ${file}`,
  )
  const part = (offset: number): string => {
    const entries = STATISTICS.flatMap((one, i) => {
      const token = row[1 + i * 3 + offset]
      if (token === null || ((leaveOut >> ((i * 3 + offset) % 16)) & 1) === 1) return []
      const entry = `"${one.path.at(-1)}":${token}`
      return one.path.length === 1 ? [entry] : [`"st":{${entry}}`]
    })
    return `{${entries.join(',')}}`
  }
  return `{"numRecords":${row[0]},"minValues":${part(0)},"maxValues":${part(1)},"nullCount":${part(2)}}`
}

interface Condition {
  readonly sql: string
  readonly predicate: Predicate
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

const operator = fc.constantFrom<ComparisonOperator>('=', '<>', '<', '<=', '>', '>=')
const anyColumn = fc.constantFrom(...COLUMNS)
const termOf = (one: Column): Term => ({ kind: 'column', path: one.path })

/** The literals of every column as the engine binds them; filled once. */
const bound = new Map<string, unknown>()
const literalSql = (one: Column, text: string): string =>
  `${quoted(text)}::${one.name === 'r' ? 'DOUBLE' : one.sql}`
const boundValue = (one: Column, text: string): never =>
  ({ type: one.literal, value: bound.get(`${one.name} ${text}`) }) as never

beforeAll(async () => {
  for (const one of COLUMNS) {
    for (const text of one.pool) {
      const [row] = await connection.query(`SELECT ${literalSql(one, text)}`)
      bound.set(`${one.name} ${text}`, row?.[0])
    }
  }
})

type Spec =
  | { kind: 'compare'; operator: ComparisonOperator; column: Column; pick: number }
  | { kind: 'in'; column: Column; picks: number[] }
  | { kind: 'null'; column: Column; negated: boolean }
  | { kind: 'prefix'; prefix: string }
  | { kind: 'and' | 'or'; parts: Spec[] }
  | { kind: 'not'; part: Spec }

const spec = fc.letrec<{ tree: Spec }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('compare' as const),
      operator,
      column: anyColumn,
      pick: fc.nat(),
    }),
    fc.record({
      kind: fc.constant('in' as const),
      column: anyColumn,
      picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('null' as const), column: anyColumn, negated: fc.boolean() }),
    fc.record({
      kind: fc.constant('prefix' as const),
      prefix: fc.constantFrom('a', 'ab', 'abcdefg', '😈x😈y', 'Z', 'x'),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      parts: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('not' as const), part: tie('tree') }),
  ),
})).tree

function conditionOf(one: Spec): Condition {
  const pickOf = (from: Column, pick: number): string => from.pool[pick % from.pool.length] ?? ''
  switch (one.kind) {
    case 'compare': {
      const text = pickOf(one.column, one.pick)
      return {
        sql: `${one.column.name} ${one.operator} ${literalSql(one.column, text)}`,
        predicate: {
          kind: 'compare',
          operator: one.operator,
          term: termOf(one.column),
          value: boundValue(one.column, text),
        },
      }
    }
    case 'in': {
      const texts = one.picks.map((pick) => pickOf(one.column, pick))
      return {
        sql: `${one.column.name} IN (${texts.map((text) => literalSql(one.column, text)).join(', ')})`,
        predicate: {
          kind: 'in',
          term: termOf(one.column),
          values: texts.map((text) => boundValue(one.column, text)),
        },
      }
    }
    case 'null':
      return {
        sql: `${one.column.name} IS ${one.negated ? 'NOT ' : ''}NULL`,
        predicate: { kind: one.negated ? 'is-not-null' : 'is-null', term: termOf(one.column) },
      }
    case 'prefix':
      return {
        sql: `starts_with(s, ${quoted(one.prefix)})`,
        predicate: {
          kind: 'starts-with',
          term: { kind: 'column', path: ['s'] },
          prefix: one.prefix,
        },
      }
    case 'not': {
      const part = conditionOf(one.part)
      return { sql: `NOT (${part.sql})`, predicate: { kind: 'not', part: part.predicate } }
    }
    default: {
      const parts = one.parts.map(conditionOf)
      return {
        sql: `(${parts.map((part) => part.sql).join(one.kind === 'and' ? ' AND ' : ' OR ')})`,
        predicate: { kind: one.kind, parts: parts.map((part) => part.predicate) },
      }
    }
  }
}

const row = fc.tuple(...COLUMNS.map(() => fc.option(fc.nat(), { freq: 5 })))
const fileSpec = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 4 }),
  /** Which statistics are left out, as bits. */
  leaveOut: fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })),
  damage: fc.constantFrom('none', 'none', 'none', 'none', 'missing', 'cut', 'garbage', 'null'),
  countNaN: fc.boolean(),
})

let skipped = 0

it('keeps every file that holds a matching row', async () => {
  const store = new LocalStore(folder)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fileSpec, { minLength: 1, maxLength: 5 }),
      fc.array(spec, { minLength: 12, maxLength: 12 }),
      fc.boolean(),
      async (files, specs, inCheckpoint) => {
        const log = new LogFixture(folder, `silver/t${tables++}`)
        await connection.run(
          `CREATE OR REPLACE TEMP TABLE t (f INTEGER, ${COLUMNS.map((one) => `${one.name} ${one.sql}`).join(', ')})`,
        )
        const partitions: (string | null)[] = []
        for (const [f, file] of files.entries()) {
          const pick = file.rows[0]?.at(-1) ?? null
          const p = COLUMNS.at(-1)?.pool[(pick ?? 0) % 3] ?? ''
          partitions.push(pick === null ? null : p)
          const rows = file.rows.map((values) => {
            const cells = COLUMNS.map((one, i) => {
              if (one.name === 'p') return pick === null ? 'NULL' : p
              const value = values[i] ?? null
              return value === null
                ? 'NULL'
                : `${quoted(one.pool[value % one.pool.length] ?? '')}::${one.sql}`
            })
            return `(${[f, ...cells].join(', ')})`
          })
          await connection.run(`INSERT INTO t VALUES ${rows.join(', ')}`)
        }
        const adds = []
        for (const [f, file] of files.entries()) {
          const whole = await statisticsOf(f, file.countNaN, file.leaveOut)
          const stats = {
            none: whole,
            missing: null,
            cut: whole.slice(0, -3),
            garbage: '{"numRecords":"x","minValues":5,"maxValues":{"l":{}},"nullCount":null}',
            null: 'null',
          }[file.damage]
          const partitionValues = { p: partitions[f] ?? null }
          adds.push(add(`f${f}`, { partitionValues, ...(stats === null ? {} : { stats }) }))
        }
        if (inCheckpoint) await log.checkpoint(connection, 0, [PROTOCOL, METADATA, ...adds])
        else log.commit(0, PROTOCOL, METADATA, ...adds)
        const load = async (): Promise<Snapshot> =>
          (await loadSnapshot(store, connection, log.tablePath, null)) as Snapshot
        const [snapshot, prepared] = [await load(), await load()]
        for (const { sql, predicate } of specs.map(conditionOf)) {
          const holding = await connection.query(`SELECT DISTINCT f FROM t WHERE ${sql} ORDER BY f`)
          const scan = planScan(snapshot, predicate)
          const read = new Set(scan.files.map((file) => Number(file.path.split('/f').at(-1))))
          skipped += files.length - read.size
          for (const [f] of holding) {
            expect(read, `${sql} matches a row of file ${f}`).toContain(f)
          }
          expect(scan.filesAfterPartitions).toBeGreaterThanOrEqual(read.size)
          await prepareScan(prepared, predicate)
          const paths = planScan(prepared, predicate).files.map((file) => file.path)
          expect(paths).toEqual(scan.files.map((file) => file.path))
        }
      },
    ),
    { numRuns: Number(process.env.LAKEGATE_SKIPPING_RUNS ?? 60), seed: 20261121 },
  )
  // Keeping everything would be right too, and useless.
  expect(skipped).toBeGreaterThan(300)
}, 120_000)

it('finds a partition column whatever the case of its name', async () => {
  const log = new LogFixture(folder, `silver/t${tables++}`)
  log.commit(0, PROTOCOL, METADATA, add('f0', { partitionValues: { p: '1' } }))
  log.commit(1, add('f1', { partitionValues: { p: '2' } }))
  const store = new LocalStore(folder)
  const snapshot = (await loadSnapshot(store, connection, log.tablePath, null)) as Snapshot
  const scan = planScan(snapshot, {
    kind: 'compare',
    operator: '=',
    term: { kind: 'column', path: ['P'] },
    value: { type: scalarType('INTEGER'), value: 2 },
  })
  expect(scan.files.map((file) => file.path)).toEqual([`${log.tablePath}/f1`])
})
