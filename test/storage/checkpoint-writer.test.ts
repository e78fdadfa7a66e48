/** Checkpoints that are written: read back alone, by the letter of the specification, and by DuckDB's own reader of Parquet. */

import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeCheckpoint } from '../../storage/checkpoint-writer.js'
import { writeDeletionVectors } from '../../storage/deletion-vector-file.js'
import { checkpointPath } from '../../storage/log-path.js'
import { UNKNOWN } from '../../storage/predicate.js'
import { planScan } from '../../storage/scan.js'
import { fileCount, liveFiles } from '../../storage/snapshot.js'
import { Transaction } from '../../storage/transaction.js'
import { lintTable } from '../support/log-linter.js'
import { schemaOf, WriteLake } from '../support/write-lake.js'

let lake: WriteLake

beforeAll(async () => {
  lake = await WriteLake.open()
})

afterAll(() => lake.close())

/** Removes the commits before `version`, so that its checkpoint alone tells of them. */
function forget(tablePath: string, version: number): void {
  const log = join(lake.root, tablePath, '_delta_log')
  for (const name of readdirSync(log)) {
    if (/^\d{20}\.(json|crc)$/.test(name) && Number.parseInt(name, 10) < version) {
      rmSync(join(log, name))
    }
  }
}

/** A table with everything a checkpoint holds: vectors, tombstones, transactions, domains. */
async function makeTable(
  tablePath: string,
  configuration: { readonly [key: string]: string } = {},
): Promise<void> {
  await lake.create(
    {
      tablePath,
      schema: schemaOf({
        p: 'date',
        n: 'long',
        d: 'decimal(38,10)',
        t: 'timestamp',
        s: 'string',
        x: 'double',
        nested: {
          type: 'struct',
          fields: [{ name: 'b', type: 'timestamp_ntz', nullable: true, metadata: {} }],
        },
      }),
      partitionColumns: ['p'],
      configuration: { 'delta.enableDeletionVectors': 'true', ...configuration },
      domains: new Map([['app.owner', '{"who":"us"}']]),
    },
    `SELECT DATE '2024-01-01' + (i % 3)::INT AS p, i + 9007199254740993 AS n,
       '1234567890123456789012345678.0123456789'::DECIMAL(38,10) AS d,
       TIMESTAMPTZ '2024-01-01 00:00:00.000001+00' AS t, repeat('é', 40) AS s, 'nan'::DOUBLE AS x,
       {'b': TIMESTAMP '1969-12-31 23:59:59.9999'} AS nested FROM range(30) t(i)`,
  )
  const snapshot = await lake.snapshot(tablePath)
  const transaction = await Transaction.begin(lake.store, snapshot)
  const [first, second] = [...liveFiles(snapshot)]
  if (first === undefined || second === undefined) throw new Error('no files')
  const [deletionVector] = await writeDeletionVectors(lake.store, tablePath, [[0, 9]])
  transaction.recordRead(UNKNOWN, liveFiles(snapshot))
  transaction.remove([first, second])
  transaction.add([{ ...first.add, deletionVector: deletionVector ?? null, tags: { k: 'v' } }])
  transaction.setTransaction('loader', 9007199254740993n)
  await transaction.commit({ operation: 'DELETE' })
  await lake.maintain(transaction)
}

describe('a checkpoint', () => {
  it.each<[string, { readonly [key: string]: string }]>([
    ['plain', {}],
    ['with statistics as a struct too', { 'delta.checkpoint.writeStatsAsStruct': 'true' }],
    [
      'with statistics as a struct only',
      {
        'delta.checkpoint.writeStatsAsStruct': 'true',
        'delta.checkpoint.writeStatsAsJson': 'false',
      },
    ],
    ['with row tracking', { 'delta.enableRowTracking': 'true' }],
    [
      'with column mapping',
      { 'delta.columnMapping.mode': 'name', 'delta.checkpoint.writeStatsAsStruct': 'true' },
    ],
  ])('%s stands for all commits before it', async (name, configuration) => {
    const tablePath = `checkpoints/${name.replaceAll(' ', '_')}`
    await makeTable(tablePath, configuration)
    const before = await lake.snapshot(tablePath)
    const rows = await lake.rows(tablePath)
    const path = await writeCheckpoint(lake.store, lake.connection, before)
    expect(path).toBe(`${tablePath}/${checkpointPath(1)}`)
    expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
    forget(tablePath, 2)
    const after = await lake.snapshot(tablePath)
    expect(after).toMatchObject({
      version: 1,
      metadata: before.metadata,
      protocol: before.protocol,
      sizeBytes: before.sizeBytes,
      transactions: before.transactions,
      domains: before.domains,
    })
    expect(await lake.rows(tablePath)).toEqual(rows)
    const tagged = [...liveFiles(after)].find((file) => file.deletionVector !== null)
    expect(tagged?.add.tags).toEqual({ k: 'v' })
    const ids = (files: typeof before): unknown[] =>
      [...liveFiles(files)].map(({ add }) => [
        add.baseRowId ?? null,
        add.defaultRowCommitVersion ?? null,
      ])
    expect(ids(after)).toEqual(ids(before))
    expect(tagged?.add.deletionVector?.cardinality).toBe(2)
    // What is skipped with the checkpoint's statistics is what is skipped with the commits'.
    for (const value of [9007199254740992n, 9007199254741000n, 9007199254741030n]) {
      const predicate = {
        kind: 'compare',
        operator: '<=',
        term: { kind: 'column', path: ['n'] },
        value: { type: { kind: 'scalar', name: 'BIGINT' }, value },
      } as const
      expect(
        planScan(after, predicate)
          .files.map((file) => file.path)
          .sort(),
      ).toEqual(
        planScan(before, predicate)
          .files.map((file) => file.path)
          .sort(),
      )
    }
    // And a checkpoint made of a checkpoint holds the same again, tombstones too.
    await lake.append(
      tablePath,
      `SELECT * REPLACE (n + 1 AS n) FROM (SELECT DATE '2024-01-01' AS p, 1::BIGINT AS n, 1 AS d, NULL AS t, '' AS s, 1.5 AS x, NULL AS nested)`,
    )
    const next = await lake.snapshot(tablePath)
    await writeCheckpoint(lake.store, lake.connection, next)
    forget(tablePath, 3)
    expect(fileCount(await lake.snapshot(tablePath))).toBe(fileCount(before) + 1)
    const file = join(lake.root, tablePath, checkpointPath(2))
    const [counts] = await lake.connection.query(
      `SELECT count("add"), count(remove), count(txn), count("domainMetadata") FROM read_parquet('${file}')`,
    )
    expect(counts).toEqual([3n, 2n, 1n, BigInt(before.domains.size)])
  })

  it('keeps long decimals, odd numbers and microseconds as they are in its struct', async () => {
    const file = join(lake.root, 'checkpoints/with_statistics_as_a_struct_only', checkpointPath(1))
    const rows = await lake.connection.query(
      `SELECT DISTINCT add.stats_parsed.maxValues.d::VARCHAR, (add.stats_parsed.minValues.n > 9007199254740992),
         epoch_us(add.stats_parsed.maxValues.t), add.stats_parsed.minValues.x, add.stats_parsed.nullCount.nested.b,
         epoch_us(add.stats_parsed.minValues.nested.b), typeof(add."partitionValues_parsed".p)
       FROM read_parquet('${file}') WHERE add IS NOT NULL`,
    )
    expect(rows).toEqual([
      [
        '1234567890123456789012345678.0123456789',
        true,
        1704067200001000n,
        null,
        0n,
        -1000n,
        'DATE',
      ],
    ])
  })

  it('drops tombstones that are older than the table keeps them', async () => {
    const tablePath = 'checkpoints/retention'
    await makeTable(tablePath, { 'delta.deletedFileRetentionDuration': 'interval 2 hours' })
    const snapshot = await lake.snapshot(tablePath)
    const count = async (): Promise<unknown> => {
      const file = join(lake.root, tablePath, checkpointPath(1))
      const [row] = await lake.connection.query(`SELECT count(remove) FROM read_parquet('${file}')`)
      rmSync(file)
      // The engine takes files for immutable; this one is made anew.
      await lake.connection.run('SET GLOBAL parquet_metadata_cache = false')
      await lake.connection.run("SET GLOBAL validate_external_file_cache = 'VALIDATE_ALL'")
      return row?.[0]
    }
    const hourMs = 3_600_000
    await writeCheckpoint(lake.store, lake.connection, snapshot, Date.now() + hourMs)
    expect(await count()).toBe(2n)
    await writeCheckpoint(lake.store, lake.connection, snapshot, Date.now() + 3 * hourMs)
    expect(await count()).toBe(0n)
  })

  it('is not written twice, and the hint never goes back', async () => {
    const tablePath = 'checkpoints/hint'
    await makeTable(tablePath)
    const older = await lake.snapshot(tablePath, 0)
    const newer = await lake.snapshot(tablePath, 1)
    const hint = (): unknown =>
      JSON.parse(readFileSync(join(lake.root, tablePath, '_delta_log/_last_checkpoint'), 'utf8'))
    expect(await writeCheckpoint(lake.store, lake.connection, newer)).not.toBeNull()
    expect(await writeCheckpoint(lake.store, lake.connection, newer)).toBeNull()
    expect(hint()).toMatchObject({ version: 1, size: 8, numOfAddFiles: 2 })
    await writeCheckpoint(lake.store, lake.connection, older)
    expect(hint()).toMatchObject({ version: 1 })
    writeFileSync(join(lake.root, tablePath, '_delta_log/_last_checkpoint'), '{"vers')
    await lake.append(
      tablePath,
      'SELECT NULL AS p, 1 AS n, NULL AS d, NULL AS t, NULL AS s, NULL AS x, NULL AS nested',
    )
    await writeCheckpoint(lake.store, lake.connection, await lake.snapshot(tablePath))
    expect(hint()).toMatchObject({ version: 2 })
  })

  it('is made at the interval of the table, with a checksum beside each commit', async () => {
    const tablePath = 'checkpoints/interval'
    await lake.create({
      tablePath,
      schema: schemaOf({ n: 'long' }),
      configuration: { 'delta.checkpointInterval': '3' },
    })
    for (let i = 0; i < 7; i++) await lake.append(tablePath, `SELECT ${i} AS n`)
    const names = readdirSync(join(lake.root, tablePath, '_delta_log'))
    expect(names.filter((name) => name.includes('checkpoint.parquet'))).toEqual([
      '00000000000000000003.checkpoint.parquet',
      '00000000000000000006.checkpoint.parquet',
    ])
    expect(names.filter((name) => name.endsWith('.crc'))).toHaveLength(8)
    expect((await lintTable(lake.root, tablePath, lake.connection)).faults).toEqual([])
  })

  it('of many files holds each of them', async () => {
    const tablePath = 'checkpoints/many'
    await lake.create(
      { tablePath, schema: schemaOf({ p: 'string', n: 'long' }), partitionColumns: ['p'] },
      "SELECT 'value ' || i AS p, i AS n FROM range(3000) t(i)",
    )
    await writeCheckpoint(lake.store, lake.connection, await lake.snapshot(tablePath))
    forget(tablePath, 1)
    const after = await lake.snapshot(tablePath)
    const files = [...liveFiles(after)]
    expect(files).toHaveLength(3000)
    expect(existsSync(join(lake.root, files[0]?.path ?? ''))).toBe(true)
  }, 60_000)
})
