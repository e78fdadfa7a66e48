/**
 * Goal: tables whose metadata holds Spark's expressions are written as Spark would write them, or
 * refused by the statements that need the expression; what is stated here is kept in Spark's words.
 * Method: logs as Spark leaves them, and a table that Spark wrote, changed by SQL through a gateway
 * whose sessions are in another time zone.
 */

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  cpSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { connect, outcome, script } from '../support/session-script.js'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
  leave('events', {
    fields: [
      field('ts', 'timestamp'),
      field('day', 'date', { 'delta.generationExpression': 'CAST(ts AS DATE)' }),
      field('month', 'string', { 'delta.generationExpression': "DATE_FORMAT(`ts`, 'yyyy-MM')" }),
      field('a', 'integer'),
      field('half', 'double', { 'delta.generationExpression': 'a / 2' }),
      field('note', 'string', { CURRENT_DEFAULT: "'it\\'s'", EXISTS_DEFAULT: "'it\\'s'" }),
      field('at', 'timestamp', { CURRENT_DEFAULT: 'current_timestamp()' }),
    ],
    configuration: {
      'delta.constraints.positive': 'a > 0',
      'delta.constraints.known': "note IN ('it\\'s', \"other\") OR note RLIKE '^n[0-9]+$'",
    },
    partitionColumns: ['month'],
    features: ['generatedColumns', 'checkConstraints', 'allowColumnDefaults', 'invariants'],
  })
  leave('invariant', {
    fields: [
      field('a', 'integer', { 'delta.invariants': '{"expression":{"expression":"a > 3"}}' }),
      field('b', 'string'),
    ],
  })
  leave('strange', {
    fields: [field('a', 'integer'), field('r', 'double', { CURRENT_DEFAULT: 'rand()' })],
    configuration: { 'delta.constraints.hashed': 'hash(a) <> 0' },
    features: ['checkConstraints', 'allowColumnDefaults', 'deletionVectors'],
  })
  leave('nested', {
    fields: [
      field('s', { type: 'struct', fields: [field('x', 'integer')] }),
      field('x', 'integer', { 'delta.generationExpression': 's.x + 1' }),
    ],
    configuration: { 'delta.constraints.small': 's.x < 10' },
    features: ['generatedColumns', 'checkConstraints'],
  })
  leave('odd_invariant', {
    fields: [
      field('a', {
        type: 'array',
        containsNull: true,
        elementType: {
          type: 'struct',
          fields: [
            field('x', 'integer', { 'delta.invariants': '{"expression":{"expression":"x > 3"}}' }),
          ],
        },
      }),
    ],
  })
})

afterAll(async () => {
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

const field = (name: string, type: unknown, metadata: object = {}): object => ({
  name,
  type,
  nullable: true,
  metadata,
})

/** A table without rows as another engine leaves it. */
function leave(
  name: string,
  table: {
    readonly fields: readonly object[]
    readonly configuration?: object
    readonly partitionColumns?: readonly string[]
    readonly features?: readonly string[]
  },
): void {
  const log = join(gateway.lake, 'silver', name, '_delta_log')
  mkdirSync(log, { recursive: true })
  const { features } = table
  const readers = features?.filter((feature) => feature === 'deletionVectors') ?? []
  const protocol =
    features === undefined
      ? { minReaderVersion: 1, minWriterVersion: 2 }
      : {
          minReaderVersion: readers.length > 0 ? 3 : 1,
          minWriterVersion: 7,
          ...(readers.length > 0 ? { readerFeatures: readers } : {}),
          writerFeatures: features,
        }
  const metaData = {
    id: `00000000-0000-4000-8000-${Buffer.from(name.padEnd(6).slice(0, 6)).toString('hex')}`,
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify({ type: 'struct', fields: table.fields }),
    partitionColumns: table.partitionColumns ?? [],
    configuration: table.configuration ?? {},
    createdTime: 1700000000000,
  }
  const commitInfo = {
    timestamp: 1700000000000,
    operation: 'CREATE TABLE',
    operationParameters: {},
  }
  writeFileSync(
    join(log, '00000000000000000000.json'),
    [{ commitInfo }, { protocol }, { metaData }].map((one) => `${JSON.stringify(one)}\n`).join(''),
  )
}

/** The metadata of the table's newest version that has some. */
function metadataOf(name: string): { configuration: Record<string, string>; schemaString: string } {
  const log = join(gateway.lake, 'silver', name, '_delta_log')
  const commits = readdirSync(log)
    .filter((one) => /^\d+\.json$/.test(one))
    .sort()
  const actions = commits.flatMap((one) =>
    readFileSync(join(log, one), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { metaData?: never }),
  )
  return actions.findLast((one) => one.metaData !== undefined)?.metaData as never
}

describe('a table that Spark defined', () => {
  script(
    () => gateway,
    'gets what Spark computes, in UTC whatever the zone of the session',
    `
    SET TimeZone = 'America/New_York'
    INSERT INTO silver.events (ts, a) VALUES ('2024-02-29 23:30:00+00', 3), ('2024-03-01 04:00:00+00', 1) -> INSERT 2
    SELECT day, month, half, note, at <= now() FROM silver.events ORDER BY a -> 2024-03-01,2024-03,0.5,it's,t|2024-02-29,2024-02,1.5,it's,t
    UPDATE silver.events SET ts = '2025-01-01 00:00:00+00', note = 'n12' WHERE a = 1 -> UPDATE 1
    SELECT day, month, note FROM silver.events WHERE month = '2025-01' -> 2025-01-01,2025-01,n12
    INSERT INTO silver.events (ts, a, note) VALUES (NULL, 5, 'other') -> INSERT 1
    SELECT day, month, half FROM silver.events WHERE note = 'other' -> ∅,∅,2.5
    INSERT INTO silver.events (a) VALUES (0) -> !23514
    INSERT INTO silver.events (a) VALUES (NULL) -> !23514
    INSERT INTO silver.events (a, note) VALUES (1, 'its') -> !23514
    UPDATE silver.events SET a = -a -> !23514
    INSERT INTO silver.events (a, half) VALUES (1, 2) -> !428C9
    `,
  )
  script(
    () => gateway,
    'is held to its invariants',
    `
    INSERT INTO silver.invariant VALUES (4, 'x'), (5, NULL) -> INSERT 2
    INSERT INTO silver.invariant VALUES (6, 'x'), (3, 'y') -> !23514
    INSERT INTO silver.invariant VALUES (NULL, 'x') -> !23514
    UPDATE silver.invariant SET a = a - 1 -> !23514
    SELECT a, b FROM silver.invariant ORDER BY a -> 4,x|5,∅
    INSERT INTO silver.odd_invariant VALUES ('[]') -> !0A000
    `,
  )
  script(
    () => gateway,
    'is refused to statements that need what cannot be evaluated, and to no other',
    `
    INSERT INTO silver.strange VALUES (1, 1) -> !0A000
    ALTER TABLE silver.strange DROP CONSTRAINT hashed
    INSERT INTO silver.strange (a) VALUES (1) -> !0A000
    INSERT INTO silver.strange (a, r) VALUES (1, 1), (2, 2) -> INSERT 2
    ALTER TABLE silver.strange SET TBLPROPERTIES ('delta.constraints.none' = 'x') -> !55P02
    UPDATE silver.strange SET r = DEFAULT -> !0A000
    DELETE FROM silver.strange WHERE a = 1 -> DELETE 1
    SELECT a, r FROM silver.strange -> 2,2
    `,
  )
  script(
    () => gateway,
    'has fields of structs in its expressions',
    `
    INSERT INTO silver.nested (s) VALUES ('{"x": 4}') -> INSERT 1
    SELECT x FROM silver.nested -> 5
    INSERT INTO silver.nested (s) VALUES ('{"x": 10}') -> !23514
    `,
  )
  it('names the expression that it refuses', async () => {
    leave('named', {
      fields: [field('a', 'integer')],
      configuration: { 'delta.constraints.c': 'hash(a) <> 0' },
    })
    const { client } = await connect(gateway)
    await expect(client.query('INSERT INTO silver.named VALUES (1)')).rejects.toMatchObject({
      code: '0A000',
      message: "the constraint 'hash(a) <> 0' of the table cannot be evaluated",
      detail: 'As Spark SQL: the function hash with 1 arguments is not supported.',
    })
    expect((await client.query('DELETE FROM silver.named')).rowCount).toBe(0)
    await client.end()
  })
})

const packs = fileURLToPath(new URL('../../../shared/corpora/', import.meta.url))

describe.skipIf(!existsSync(packs))('a table that Spark wrote', () => {
  it('with generated columns takes rows by SQL', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lakegate-corpus-'))
    execFileSync('tar', ['--zstd', '-xf', join(packs, 'delta-spark-res.tar.zst'), '-C', folder])
    const found = readdirSync(folder, { recursive: true })
      .map(String)
      .find((path) => path.endsWith('dbr_8_1_generated_columns'))
    cpSync(join(folder, found ?? ''), join(gateway.lake, 'silver', 'from_spark'), {
      recursive: true,
    })
    rmSync(folder, { recursive: true })
    const session = await connect(gateway)
    const before = await outcome(session, 'SELECT count(*) FROM silver.from_spark')
    expect(await outcome(session, 'INSERT INTO silver.from_spark (c1) VALUES (41)')).toBe(
      'INSERT 1',
    )
    expect(await outcome(session, 'SELECT c1, c2 FROM silver.from_spark WHERE c1 = 41')).toBe(
      '41,42',
    )
    expect(await outcome(session, 'INSERT INTO silver.from_spark (c1) VALUES (2147483647)')).toBe(
      '!22003',
    )
    expect(await outcome(session, 'SELECT count(*) FROM silver.from_spark')).toBe(
      String(Number(before) + 1),
    )
    await session.client.end()
  })
})

describe('an expression that a statement states', () => {
  script(
    () => gateway,
    'is refused where Spark would compute something else, with PostgreSQL’s errors first',
    `
    CREATE TABLE silver.s1 (a int, b int CHECK (a / 2 > 1)) -> !0A000
    CREATE TABLE silver.s1 (a int, b numeric(10,2) CHECK (b / 2 > 1)) -> !0A000
    CREATE TABLE silver.s1 (a int, b text CHECK (a::numeric(10,2)::int > 1)) -> !0A000
    CREATE TABLE silver.s1 (a double precision, b int GENERATED ALWAYS AS (a::int) STORED) -> !0A000
    CREATE TABLE silver.s1 (a text CHECK (a ~ '^a')) -> !0A000
    CREATE TABLE silver.s1 (a text CHECK (a SIMILAR TO 'a%')) -> !0A000
    CREATE TABLE silver.s1 (a date CHECK (a - date '2024-01-01' > 3)) -> !0A000
    CREATE TABLE silver.s1 (a date CHECK (a > '01/02/2024')) -> !0A000
    CREATE TABLE silver.s1 (a date CHECK (a::text || 'x' > 'b')) -> !0A000
    CREATE TABLE silver.s1 (a text CHECK (substring(a, 0, 2) = 'b')) -> !0A000
    CREATE TABLE silver.s1 (a double precision CHECK (a > 1e3)) -> !0A000
    CREATE TABLE silver.s1 (a timestamptz DEFAULT '2024-01-01 00:00:00') -> !0A000
    CREATE TABLE silver.s1 (a int CHECK (nosuch > 1)) -> !42703
    CREATE TABLE silver.s1 (a int CHECK (a)) -> !42804
    CREATE TABLE silver.s1 (a int CHECK (a > 'x')) -> !22P02
    CREATE TABLE silver.s1 (a int DEFAULT 'x') -> !22P02
    CREATE TABLE silver.s1 (a int DEFAULT true) -> !42804
    SET TimeZone = 'America/New_York'
    CREATE TABLE silver.s1 (a timestamptz CHECK (a > '2024-01-01 00:00:00')) -> !0A000
    CREATE TABLE silver.s1 (a timestamptz CHECK (a > date '2024-01-01')) -> !0A000
    CREATE TABLE silver.s1 (a timestamptz, b date GENERATED ALWAYS AS (a::date) STORED) -> !0A000
    CREATE TABLE silver.s1 (a int)
    ALTER TABLE silver.s1 ADD CHECK (a / 2 > 1) -> !0A000
    ALTER TABLE silver.s1 ADD CHECK (nosuch / 2 > 1) -> !42703
    ALTER TABLE silver.s1 ADD COLUMN b int DEFAULT 'x' -> !22P02
    `,
  )
  script(
    () => gateway,
    'is evaluated as PostgreSQL would',
    `
    CREATE TABLE silver.s0 (a int, b real DEFAULT -0.25, c numeric(6,2) DEFAULT -1.5, d bigint DEFAULT -5000000000, e smallint DEFAULT 7)
    INSERT INTO silver.s0 VALUES (1) RETURNING b, c, d, e -> -0.25,-1.50,-5000000000,7
    CREATE TABLE silver.s2 (a int CHECK (a % 5 <> 0), t text DEFAULT 'O''Brien\\n' CHECK (t <> 'it''s' AND t NOT LIKE '%\\_%'), d date DEFAULT '2024-02-29', q double precision GENERATED ALWAYS AS (a::double precision / 4) STORED, y int GENERATED ALWAYS AS (extract(year FROM d)) STORED, w text GENERATED ALWAYS AS (CASE WHEN a > 10 THEN 'big' ELSE coalesce(t, 'none') || '!' END) STORED, "Case" numeric(5,2) DEFAULT '1.50', b boolean DEFAULT 'true', n timestamp DEFAULT '2024-01-01 00:00:00')
    INSERT INTO silver.s2 (a) VALUES (1), (11) -> INSERT 2
    SELECT a, t, d, q, y, w, "Case", b, n FROM silver.s2 ORDER BY a -> 1,O'Brien\\n,2024-02-29,0.25,2024,O'Brien\\n!,1.50,t,2024-01-01 00:00:00|11,O'Brien\\n,2024-02-29,2.75,2024,big,1.50,t,2024-01-01 00:00:00
    INSERT INTO silver.s2 (a) VALUES (10) -> !23514
    INSERT INTO silver.s2 (a, t) VALUES (1, 'it''s') -> !23514
    INSERT INTO silver.s2 (a, t) VALUES (1, 'a_b') -> !23514
    INSERT INTO silver.s2 (a, t) VALUES (NULL, NULL) -> INSERT 1
    ALTER TABLE silver.s2 RENAME COLUMN a TO "order"
    INSERT INTO silver.s2 ("order") VALUES (5) -> !23514
    INSERT INTO silver.s2 ("order") VALUES (6) -> INSERT 1
    SELECT q, w FROM silver.s2 WHERE "order" = 6 -> 1.5,O'Brien\\n!
    `,
  )
  it('is kept in Spark’s words', () => {
    const { configuration, schemaString } = metadataOf('s2')
    expect(configuration).toMatchObject({
      'delta.constraints.s2_a_check': '((`order` % 5) <> 0) IS NOT FALSE',
      'delta.constraints.s2_t_check': "((t <> 'it\\'s') AND (t NOT LIKE '%\\\\_%')) IS NOT FALSE",
    })
    const { fields } = JSON.parse(schemaString) as { fields: { name: string; metadata: object }[] }
    const metadata = Object.fromEntries(fields.map((one) => [one.name, one.metadata]))
    expect(metadata).toMatchObject({
      t: { CURRENT_DEFAULT: "'O\\'Brien\\\\n'" },
      d: { CURRENT_DEFAULT: "DATE '2024-02-29'" },
      q: { 'delta.generationExpression': 'CAST(`order` AS DOUBLE) / 4' },
      y: { 'delta.generationExpression': 'year(d)' },
      Case: { CURRENT_DEFAULT: '1.50' },
      b: { CURRENT_DEFAULT: 'TRUE' },
      n: { CURRENT_DEFAULT: "TIMESTAMP_NTZ '2024-01-01 00:00:00'" },
    })
  })
})
