/**
 * Merge: changes of few rows in a large table, through the gateway against delta-rs.
 *
 * Run: `npm run build && node bench/merge.mjs [millions]` (10 unless given). The table has 100 files
 * of consecutive ids; delta-rs gets a copy of it without deletion vectors, which it does not write.
 * Prints the time of each change, the ratio, the bytes written, and the gateway's peak memory. delta-rs
 * runs where `python3` (or `PYTHON`) has the modules `deltalake` and `pyarrow`.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { startGateway } from '../test/support/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const rows = Number(process.argv[2] ?? 10) * 1_000_000
const FILES = 100
const work = mkdtempSync(join(tmpdir(), 'lakegate-merge-'))

const bytesIn = (folder) =>
  Number(spawnSync('du', ['-sb', folder], { encoding: 'utf8' }).stdout.split('\t')[0])

const DELTA_RS = `
import sys, time, os
import pyarrow as pa
from deltalake import DeltaTable
path, rows = sys.argv[1], int(sys.argv[2])
def source(n, step):
    ids = [i * step for i in range(n)]
    return pa.table({"id": pa.array(ids, pa.int64()), "amount": pa.array([1.5] * n, pa.float64()), "note": ["merged"] * n})
def merge(n, step):
    started = time.time()
    (DeltaTable(path).merge(source=source(n, step), predicate="t.id = s.id", source_alias="s", target_alias="t")
      .when_matched_update_all().when_not_matched_insert_all().execute())
    return time.time() - started
print(merge(1, 1))
print(merge(1000, rows // 1000))
print(merge(1000, 10))
started = time.time(); DeltaTable(path).update(predicate="id = %d" % (rows // 2), updates={"note": "'updated'"}); print(time.time() - started)
started = time.time(); DeltaTable(path).delete("id = %d" % (rows // 3)); print(time.time() - started)
`

const gateway = await startGateway(join(here, '../dist/server/bootstrap.cjs'), work)
try {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  const chunk = rows / FILES
  await client.query(
    "CREATE TABLE silver.facts (id bigint, amount double precision, note text) TBLPROPERTIES ('delta.enableDeletionVectors' = 'false', 'delta.autoOptimize.autoCompact' = 'false')",
  )
  for (let i = 0; i < FILES; i++) {
    await client.query(
      `INSERT INTO silver.facts SELECT g, g * 0.25, md5(g::text) FROM generate_series(${i * chunk}::bigint, ${(i + 1) * chunk - 1}::bigint) AS s(g)`,
    )
  }
  const copy = join(work, 'copy')
  spawnSync('cp', ['-r', join(work, 'lake/silver/facts'), copy])
  await client.query('ALTER TABLE silver.facts SET (delta.enableDeletionVectors = true)')
  const merge = (count, step) =>
    `MERGE INTO silver.facts AS t USING (SELECT i * ${step} AS id, 1.5::float8 AS amount, 'merged' AS note FROM generate_series(0::bigint, ${count - 1}::bigint) AS g(i)) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET amount = s.amount, note = s.note WHEN NOT MATCHED THEN INSERT (id, amount, note) VALUES (s.id, s.amount, s.note)`
  const changes = [
    ['merge of 1 row', merge(1, 1)],
    ['merge of 1,000 rows in every file', merge(1000, rows / 1000)],
    ['merge of 1,000 rows in one file', merge(1000, 10)],
    ['update of 1 row', `UPDATE silver.facts SET note = 'updated' WHERE id = ${rows / 2}`],
    ['delete of 1 row', `DELETE FROM silver.facts WHERE id = ${Math.floor(rows / 3)}`],
  ]
  const ours = []
  for (const [, sql] of changes) {
    const before = bytesIn(join(work, 'lake/silver/facts'))
    const started = performance.now()
    await client.query(sql)
    const took = (performance.now() - started) / 1000
    ours.push([took, bytesIn(join(work, 'lake/silver/facts')) - before])
  }
  const ran = spawnSync(process.env.PYTHON ?? 'python3', ['-c', DELTA_RS, copy, String(rows)], {
    encoding: 'utf8',
  })
  const theirs = ran.status === 0 ? ran.stdout.trim().split('\n').map(Number) : []
  if (ran.status !== 0) console.log(`skipped: delta-rs (${ran.stderr.trim().split('\n').at(-1)})`)
  for (const [i, [name]] of changes.entries()) {
    const [took, bytes] = ours[i]
    const other =
      theirs[i] === undefined
        ? ''
        : `, delta-rs ${theirs[i].toFixed(2)} s, ratio ${(took / theirs[i]).toFixed(3)}`
    console.log(
      `${name}: gateway ${took.toFixed(2)} s, ${(bytes / 1e6).toFixed(2)} MB written${other}`,
    )
  }
  // 3 % of the rows, ten times: the tenth tells whether vectors pile up.
  const times = []
  for (let i = 0; i < 10; i++) {
    const started = performance.now()
    await client.query(
      `MERGE INTO silver.facts AS t USING (SELECT ${i} + i * 33 AS id FROM generate_series(0::bigint, ${Math.floor(rows / 33) - 1}::bigint) AS g(i)) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET amount = t.amount + 1`,
    )
    times.push((performance.now() - started) / 1000)
  }
  console.log(
    `merge of 3 % ten times: first ${times[0].toFixed(2)} s, tenth ${times[9].toFixed(2)} s, ratio ${(times[9] / times[0]).toFixed(2)}`,
  )
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))?.[1]
  console.log(`peak memory of the gateway: ${Math.round(Number(peak) / 1024)} MB`)
  await client.end()
} finally {
  gateway.stop()
  rmSync(work, { recursive: true, force: true })
}
