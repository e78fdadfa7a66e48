/** Tables whose rows are changed one by one, for other engines to read. */

const BEFORE = `INSERT INTO T SELECT i, 'text ' || i FROM generate_series(0, 9) i`
const OLD = "SELECT i AS n, 'text ' || i AS s FROM range(10) t(i)"
const MERGE = `MERGE INTO T AS t USING (VALUES (1, 'merged'), (2, NULL), (50, 'new')) AS x(n, s) ON t.n = x.n
  WHEN MATCHED AND x.s IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET s = x.s
  WHEN NOT MATCHED THEN INSERT (n, s) VALUES (x.n, x.s) WHEN NOT MATCHED BY SOURCE AND t.n > 8 THEN UPDATE SET s = 'left'`
const MERGED = `SELECT n, CASE n WHEN 1 THEN 'merged' WHEN 9 THEN 'left' ELSE s END AS s FROM (${OLD}) WHERE n <> 2 UNION ALL SELECT 50, 'new'`

/** Each table: the statements that make it, T standing for its name, and the rows it must hold. */
export const CHANGED = {
  changed_by_vectors: {
    statements: [
      'CREATE TABLE T (n bigint PRIMARY KEY, s text)',
      BEFORE,
      'SET lakegate.deletion_vectors = always',
      MERGE,
      "INSERT INTO T VALUES (50, 'again'), (51, 'more') ON CONFLICT (n) DO UPDATE SET s = excluded.s",
      'RESET lakegate.deletion_vectors',
    ],
    rows: `SELECT n, CASE n WHEN 50 THEN 'again' ELSE s END AS s FROM (${MERGED}) UNION ALL SELECT 51, 'more'`,
  },
  changed_by_rewriting: {
    statements: [
      "CREATE TABLE T (n bigint, s text) PARTITIONED BY (s) TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')",
      BEFORE,
      MERGE,
    ],
    rows: MERGED,
  },
  changed_in_a_group: {
    statements: [
      "CREATE TABLE T (n bigint, s text) TBLPROPERTIES ('delta.enableDeletionVectors' = 'false')",
      'CREATE TABLE IF NOT EXISTS gold.beside_a_group (n int)',
      BEFORE,
      'BEGIN',
      'DELETE FROM T WHERE n >= 5',
      'INSERT INTO gold.beside_a_group VALUES (2)',
      'COMMIT',
    ],
    rows: `SELECT * FROM (${OLD}) WHERE n < 5`,
  },
}
