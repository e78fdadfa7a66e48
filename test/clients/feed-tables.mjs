/** Tables with a change data feed, and with row tracking, whose rows are changed in every way. */

import { join } from 'node:path'
import { openChangeFeed } from '../../dist/storage/change-feed.js'
import { changeRelation } from '../../dist/storage/change-relation.js'
import { UNKNOWN } from '../../dist/storage/predicate.js'
import { planScan } from '../../dist/storage/scan.js'
import { loadSnapshot } from '../../dist/storage/snapshot.js'

const FEED = "'delta.enableChangeDataFeed' = 'true'"

/** Changes of every kind; T has columns n, s and p. */
const CHANGES = [
  `INSERT INTO T SELECT i, 'text ' || i, CASE WHEN i % 3 = 0 THEN 'a/b' WHEN i % 3 = 1 THEN 'o''clock' END FROM generate_series(0, 19) i`,
  "UPDATE T SET s = 'updated' WHERE n IN (2, 3)",
  "UPDATE T SET p = 'moved' WHERE n = 4",
  'DELETE FROM T WHERE n BETWEEN 5 AND 7',
  `MERGE INTO T AS t USING (VALUES (1, 'merged'), (8, NULL), (50, 'new')) AS x(n, s) ON t.n = x.n
    WHEN MATCHED AND x.s IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET s = x.s
    WHEN NOT MATCHED THEN INSERT (n, s) VALUES (x.n, x.s)`,
  "INSERT INTO T VALUES (50, 'again', 'a/b'), (51, 'more', 'a/b') ON CONFLICT (n) DO UPDATE SET s = excluded.s",
  'BEGIN',
  "INSERT INTO T VALUES (60, 'block', 'moved')",
  "UPDATE T SET s = 'in a block' WHERE n = 10",
  'COMMIT',
  'BEGIN',
  "INSERT INTO T VALUES (61, 'block', 'moved')",
  'UPDATE T SET s = upper(s) WHERE n >= 60',
  'DELETE FROM T WHERE n = 11',
  'COMMIT',
  'OPTIMIZE T',
  "INSERT INTO T REPLACE WHERE n = 12 VALUES (12, 'replaced', 'a/b')",
  'DELETE FROM T WHERE n = 13',
]

const ROWS = `SELECT n, CASE WHEN n IN (2, 3) THEN 'updated' WHEN n = 1 THEN 'merged' WHEN n = 10 THEN 'in a block' WHEN n = 12 THEN 'replaced' ELSE 'text ' || n END AS s,
    CASE WHEN n = 4 THEN 'moved' WHEN n % 3 = 0 THEN 'a/b' WHEN n % 3 = 1 THEN 'o''clock' END AS p
  FROM range(20) t(n) WHERE n NOT BETWEEN 5 AND 8 AND n NOT IN (11, 13)
  UNION ALL VALUES (50, 'again', NULL), (51, 'more', 'a/b'), (60, 'BLOCK', 'moved'), (61, 'BLOCK', 'moved')`

/** delta-rs takes paths in feeds as they are written, escapes and all. */
const plain = (sql) => sql.replaceAll("o''clock", 'oclock').replaceAll('a/b', 'ab')

const table = (policy, more, properties) => ({
  statements: [
    `CREATE TABLE T (n bigint PRIMARY KEY, s text, p text) ${more} TBLPROPERTIES (${properties.join(', ')})`,
    `SET lakegate.deletion_vectors = ${policy}`,
    ...CHANGES,
    'RESET lakegate.deletion_vectors',
  ],
  rows: ROWS,
})

/** Each table: the statements that make it, T standing for its name, and the rows it must hold. */
export const FEEDS = {
  feed_by_vectors: table('always', '', [FEED]),
  feed_by_rewriting: table('never', 'PARTITIONED BY (p)', [
    FEED,
    "'delta.enableDeletionVectors' = 'false'",
  ]),
  feed_by_plain_partitions: {
    statements: table('never', 'PARTITIONED BY (p)', [
      FEED,
      "'delta.enableDeletionVectors' = 'false'",
    ]).statements.map(plain),
    rows: plain(ROWS),
  },
  feed_mapped: table('auto', 'PARTITIONED BY (p)', [FEED, "'delta.columnMapping.mode' = 'name'"]),
  feed_mapped_by_id: table('always', '', [FEED, "'delta.columnMapping.mode' = 'id'"]),
  feed_restored: {
    statements: [
      ...table('always', '', [FEED]).statements,
      'RESTORE TABLE T TO VERSION AS OF 1',
      'DELETE FROM T WHERE n < 10',
      'TRUNCATE T',
      "INSERT INTO T VALUES (1, 'last', NULL)",
      "INSERT OVERWRITE T VALUES (2, 'over', NULL)",
    ],
    rows: "SELECT 2::BIGINT AS n, 'over' AS s, NULL::VARCHAR AS p",
  },
  feed_tracked: {
    statements: [
      `CREATE TABLE T (n bigint, s text) TBLPROPERTIES (${FEED}, 'delta.enableRowTracking' = 'true')`,
      "INSERT INTO T SELECT i, 'text ' || i FROM generate_series(0, 19) i",
      'SET lakegate.deletion_vectors = never',
      "UPDATE T SET s = 'updated' WHERE n < 5",
      'DELETE FROM T WHERE n IN (5, 6)',
      'SET lakegate.deletion_vectors = always',
      "MERGE INTO T AS t USING (VALUES (7), (8)) AS x(n) ON t.n = x.n WHEN MATCHED AND x.n = 7 THEN UPDATE SET s = 'merged' WHEN MATCHED THEN DELETE",
      'RESET lakegate.deletion_vectors',
      "ALTER TABLE T ADD COLUMN more text DEFAULT 'm'",
    ],
    rows: `SELECT n, CASE WHEN n < 5 THEN 'updated' WHEN n = 7 THEN 'merged' ELSE 'text ' || n END AS s, 'm' AS more
      FROM range(20) t(n) WHERE n NOT IN (5, 6, 8)`,
  },
}

/** The DuckDB text of the whole feed of table `name`, but for the times of its versions. */
export async function feedOf(store, connection, name) {
  const at = (version) => loadSnapshot(store, connection, name, version)
  const newest = await at(null)
  const feed = await openChangeFeed(store, newest, 0, newest.version, at)
  const relation = await changeRelation(store, connection, planScan(feed.snapshot, UNKNOWN), feed)
  return `SELECT * EXCLUDE (_commit_timestamp) FROM ${relation} AS f`
}

/** Keeps the feed of table `name` beside it. */
export async function keepFeed(store, connection, folder, name) {
  await connection.run(
    `COPY (${await feedOf(store, connection, name)}) TO '${join(folder, `${name}.feed.parquet`)}' (FORMAT parquet)`,
  )
}

/** Whether the feed of table `name` is the one that was kept beside it; null, or a row that differs. */
export async function feedDifference(store, connection, folder, name) {
  const own = await feedOf(store, connection, name)
  const kept = `SELECT * FROM read_parquet('${join(folder, `${name}.feed.parquet`)}')`
  const columns = (await connection.query(`DESCRIBE ${own}`)).map(([column]) => `"${column}"`)
  const text = (from) => `SELECT t::VARCHAR FROM (SELECT ${columns.join(', ')} FROM (${from})) t`
  const differing = await connection.query(
    `(SELECT 'more', * FROM (${text(own)} EXCEPT ALL ${text(kept)})) UNION ALL (SELECT 'less', * FROM (${text(kept)} EXCEPT ALL ${text(own)})) LIMIT 1`,
  )
  return differing[0]?.join(' ') ?? null
}
