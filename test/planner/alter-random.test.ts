/**
 * Goal: whatever is altered in whichever order, a table holds the rows a plain table would, and data
 * skipping changes no answer.
 * Method: random ALTER, INSERT, UPDATE and DELETE statements, alone and in blocks that commit or
 * roll back, on a gateway and on a plain DuckDB table; after each, all rows and the counts of
 * predicates on every column must be equal, now and at the versions before.
 */

import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Engine, type EngineConnection } from '../../storage/engine.js'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { connect } from '../support/session-script.js'

let gateway: LintedGateway
let client: pg.Client
let engine: Engine
let plain: EngineConnection

beforeAll(async () => {
  gateway = await lintedGateway()
  client = (await connect(gateway)).client
  engine = await Engine.open({})
  plain = await engine.connect()
})

afterAll(async () => {
  await client?.end()
  await engine?.close()
  await gateway?.close()
})

/** Types with a few of their values, and those they can become. */
const TYPES: Readonly<Record<string, { values: readonly string[]; next: readonly string[] }>> = {
  smallint: { values: ['-3', '0', '7', '300'], next: ['int', 'bigint', 'numeric(12,2)', 'text'] },
  int: { values: ['-3', '0', '7', '70000'], next: ['bigint', 'numeric(14,3)', 'text'] },
  bigint: { values: ['-3', '0', '7', '5000000000'], next: ['numeric(24,2)', 'text'] },
  'numeric(6,2)': { values: ['-0.25', '0', '12.50'], next: ['numeric(10,2)', 'numeric(14,4)'] },
  'numeric(10,2)': { values: ['-0.25', '7', '12345.50'], next: ['numeric(14,4)', 'text'] },
  'numeric(12,2)': { values: ['-3.00', '7', '1234567.25'], next: ['text'] },
  'numeric(14,3)': { values: ['-3.000', '7', '0.125'], next: ['text'] },
  'numeric(14,4)': { values: ['-0.2500', '0.0001'], next: [] },
  'numeric(24,2)': { values: ['-3.00', '90000000000000.25'], next: [] },
  real: { values: ['0.5', '-1.25', '6.5'], next: ['double precision'] },
  'double precision': { values: ['0.5', '-1.25', '1024.125'], next: [] },
  date: { values: ["'2024-02-29'", "'1999-12-31'"], next: ['timestamp', 'text'] },
  timestamp: { values: ["'2024-02-29 00:00:00'", "'2024-02-29 12:30:00'"], next: [] },
  text: { values: ["'7'", "''", "'2024-02-29'", "'x'"], next: [] },
}

interface Column {
  readonly name: string
  readonly type: string
}

interface Model {
  readonly columns: readonly Column[]
  /** The next id of a row, and the next number of a column. */
  readonly next: number
}

interface Step {
  readonly kind: string
  readonly n: number
}

interface Stepped {
  readonly sql: readonly string[]
  readonly model: Model
}

const pick = <T>(items: readonly T[], n: number): T | undefined => items[n % items.length]

const literalOf = (type: string, n: number): string =>
  n % 5 === 0 ? 'NULL' : `CAST(${pick(TYPES[type]?.values ?? [], n)} AS ${type})`

const arbitraryStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('insert', 'add', 'fill', 'drop', 'rename', 'type', 'update', 'delete'),
  n: fc.nat(9999),
})

function take({ kind, n }: Step, model: Model): Stepped {
  const { columns, next } = model
  const column = pick(columns, n)
  const name = `c${next}`
  const type = pick(Object.keys(TYPES), n) ?? 'int'
  const replaced = (by: Column): readonly Column[] =>
    columns.map((one) => (one === column ? by : one))
  switch (kind) {
    case 'add':
      return {
        sql: [`ALTER TABLE T ADD COLUMN ${name} ${type}`],
        model: { columns: [...columns, { name, type }], next: next + 1 },
      }
    case 'fill': {
      const value = pick(TYPES[type]?.values ?? [], n)
      return {
        sql: [`ALTER TABLE T ADD COLUMN ${name} ${type} DEFAULT ${value}`],
        model: { columns: [...columns, { name, type }], next: next + 1 },
      }
    }
    case 'drop':
      if (column === undefined) return { sql: [], model }
      return {
        sql: [`ALTER TABLE T DROP COLUMN ${column.name}`],
        model: { columns: columns.filter((one) => one !== column), next },
      }
    case 'rename':
      if (column === undefined) return { sql: [], model }
      return {
        sql: [`ALTER TABLE T RENAME COLUMN ${column.name} TO ${name}`],
        model: { columns: replaced({ ...column, name }), next: next + 1 },
      }
    case 'type': {
      const wider = pick(TYPES[column?.type ?? '']?.next ?? [], n)
      if (column === undefined || wider === undefined) return { sql: [], model }
      return {
        sql: [`ALTER TABLE T ALTER COLUMN ${column.name} TYPE ${wider}`],
        model: { columns: replaced({ ...column, type: wider }), next },
      }
    }
    case 'update':
      if (column === undefined) return { sql: [], model }
      return {
        sql: [`UPDATE T SET ${column.name} = ${literalOf(column.type, n)} WHERE id % 3 = ${n % 3}`],
        model,
      }
    case 'delete':
      return { sql: [`DELETE FROM T WHERE id % 7 = ${n % 7}`], model }
    default: {
      const rows = [0, 1, 2].map(
        (i) =>
          `(${[next + i, ...columns.map((one, j) => literalOf(one.type, n + i + j))].join(', ')})`,
      )
      const names = ['id', ...columns.map((one) => one.name)].join(', ')
      return {
        sql: [`INSERT INTO T (${names}) VALUES ${rows.join(', ')}`],
        model: { columns, next: next + 3 },
      }
    }
  }
}

/** Steps of one transaction: 'alone' without a block. */
const arbitraryBlock = fc.record({
  end: fc.constantFrom('alone', 'alone', 'COMMIT', 'ROLLBACK', 'savepoint'),
  steps: fc.array(arbitraryStep, { minLength: 1, maxLength: 4 }),
})

/** Every row as text, ordered, from either side. */
function rowsText({ columns }: Model, table: string): string {
  const items = ['id', ...columns.map(({ name }) => name)].map((name) => `CAST(${name} AS text)`)
  return `SELECT ${items.join(', ')} FROM ${table} AS t ORDER BY t.id`
}

function countsText({ columns }: Model, table: string): string {
  const tests = columns.flatMap(({ name, type }) => {
    const value = `CAST(${pick(TYPES[type]?.values ?? [], name.length)} AS ${type})`
    return [`${name} = ${value}`, `${name} > ${value}`, `${name} <= ${value}`, `${name} IS NULL`]
  })
  const counts = ['true', ...tests].map(
    (test) => `SELECT count(*)::text FROM ${table} WHERE ${test}`,
  )
  return counts.join(' UNION ALL ')
}

let nextTable = 1

it('altered tables hold the rows of plain ones', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryBlock, { minLength: 4, maxLength: 9 }), async (blocks) => {
      const model = `m${nextTable++}`
      const table = `silver.${model}`
      const on = (sql: string): Promise<unknown> => client.query(sql.replace(/\bT\b/, table))
      await on('CREATE TABLE T (id int)')
      await plain.run(`CREATE TABLE ${model} (id INTEGER)`)
      let state: Model = { columns: [], next: 1 }
      const history: string[] = []
      const compare = async (at: Model): Promise<void> => {
        const found = await client.query({ text: rowsText(at, table), rowMode: 'array' })
        expect(found.rows, history.join(';\n')).toEqual(await plain.query(rowsText(at, model)))
        const counts = await client.query({ text: countsText(at, table), rowMode: 'array' })
        expect(counts.rows, history.join(';\n')).toEqual(await plain.query(countsText(at, model)))
      }
      for (const { end, steps } of blocks) {
        if (end !== 'alone') await on('BEGIN')
        if (end === 'savepoint') await on('SAVEPOINT s')
        const isUndone = end === 'ROLLBACK' || end === 'savepoint'
        let inside = state
        for (const step of steps) {
          const { sql, model: after } = take(step, inside)
          for (const one of sql) {
            history.push(one)
            await on(one)
            if (!isUndone) await plain.run(one.replace(/\bT\b/, model))
          }
          inside = after
          if (!isUndone) await compare(inside)
        }
        if (end === 'savepoint') await on('ROLLBACK TO s')
        if (end !== 'alone') await on(end === 'savepoint' ? 'COMMIT' : end)
        history.push(end)
        // Numbers go on, so that a name that was rolled back may be given anew.
        if (!isUndone) state = inside
        await compare(state)
      }
    }),
    { seed: 20261121, numRuns: 15, endOnFailure: true },
  )
}, 120_000)
