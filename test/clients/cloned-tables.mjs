/** Tables that are clones, converted folders and loaded files, for other engines to read. */

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROWS = `SELECT i AS n, 'text ' || i AS s, ['a/b c%', NULL, 'plain'][i % 3 + 1] AS p FROM range(10) t(i)`

/** A table of two files and three partitions, rows of both deleted by vectors. */
const source = (more = '') => [
  `CREATE TABLE T (n bigint, s text, p text) PARTITIONED BY (p) ${more}`,
  `INSERT INTO T SELECT i, 'text ' || i, (ARRAY['a/b c%', NULL, 'plain'])[i % 3 + 1] FROM generate_series(0, 11) g(i)`,
  'SET lakegate.deletion_vectors = always',
  'DELETE FROM T WHERE n >= 10',
  'RESET lakegate.deletion_vectors',
]

async function parquet(connection, path, query) {
  mkdirSync(dirname(path), { recursive: true })
  await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet)`)
}

/**
 * Each table: the statements that make it, T standing for its name, and the rows it must hold; `before`
 * makes files in the table's folder or in the inbox first. LAYER is that of all these tables.
 */
export const CLONED = {
  made_source: { statements: source(), rows: ROWS },
  made_source_mapped: {
    statements: [
      ...source("TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"),
      'ALTER TABLE T RENAME COLUMN s TO "a text"',
    ],
    rows: `SELECT n, s AS "a text", p FROM (${ROWS})`,
  },
  made_shallow_clone: {
    statements: ['CREATE TABLE T SHALLOW CLONE LAYER.made_source'],
    rows: ROWS,
  },
  made_shallow_clone_changed: {
    statements: [
      'CREATE TABLE T SHALLOW CLONE LAYER.made_source',
      'SET lakegate.deletion_vectors = always',
      "UPDATE T SET s = 'changed' WHERE n = 3",
      'DELETE FROM T WHERE n = 4',
      'RESET lakegate.deletion_vectors',
      "INSERT INTO T VALUES (100, 'own', 'plain')",
    ],
    rows: `SELECT n, CASE n WHEN 3 THEN 'changed' ELSE s END AS s, p FROM (${ROWS}) WHERE n <> 4 UNION ALL SELECT 100, 'own', 'plain'`,
  },
  made_shallow_clone_mapped: {
    statements: ['CREATE TABLE T SHALLOW CLONE LAYER.made_source_mapped'],
    rows: `SELECT n, s AS "a text", p FROM (${ROWS})`,
  },
  made_deep_clone: {
    statements: [
      'CREATE TABLE T DEEP CLONE LAYER.made_source VERSION AS OF 1',
      "INSERT INTO T VALUES (500, 'gone', 'plain')",
      'CREATE OR REPLACE TABLE T DEEP CLONE LAYER.made_source',
    ],
    rows: ROWS,
  },
  made_of_parquet: {
    before: async (connection, folder) => {
      await parquet(connection, join(folder, 'a b.parquet'), 'SELECT i AS n FROM range(5) t(i)')
      const more = "SELECT i AS n, 'text ' || i AS s FROM range(5, 10) t(i)"
      await parquet(connection, join(folder, 'below/c.parquet'), more)
    },
    statements: ['CONVERT TO DELTA T', 'DELETE FROM T WHERE n = 0'],
    rows: `SELECT i AS n, CASE WHEN i >= 5 THEN 'text ' || i END AS s FROM range(1, 10) t(i)`,
  },
  made_of_parquet_folders: {
    before: async (connection, folder) => {
      const one = 'SELECT i AS n FROM range(5) t(i)'
      await parquet(connection, join(folder, 'd=2026-01-01/p=a%2Fb c/x.parquet'), one)
      const two = 'SELECT i AS n FROM range(5, 10) t(i)'
      await parquet(
        connection,
        join(folder, 'd=2026-01-02/p=__HIVE_DEFAULT_PARTITION__/x.parquet'),
        two,
      )
    },
    statements: ['CONVERT TO DELTA T PARTITIONED BY (d DATE, p STRING)'],
    rows: `SELECT i AS n, CASE WHEN i < 5 THEN DATE '2026-01-01' ELSE DATE '2026-01-02' END AS d, CASE WHEN i < 5 THEN 'a/b c' END AS p FROM range(10) t(i)`,
  },
  made_of_loaded_files: {
    before: async (connection, _, inbox) => {
      await parquet(
        connection,
        join(inbox, 'loaded/a.parquet'),
        "SELECT i AS n, 'text ' || i AS s FROM range(5) t(i)",
      )
      await parquet(
        connection,
        join(inbox, 'loaded/b.parquet'),
        "SELECT i AS n, 'text ' || i AS s FROM range(5, 10) t(i)",
      )
    },
    statements: [
      "CREATE TABLE T (n bigint, s text) TBLPROPERTIES ('delta.checkpointInterval' = '2')",
      "COPY INTO T FROM 'INBOX/loaded/a.parquet' FILEFORMAT = PARQUET",
      "COPY INTO T FROM 'INBOX/loaded' FILEFORMAT = PARQUET",
      "COPY INTO T FROM 'INBOX/loaded' FILEFORMAT = PARQUET",
    ],
    rows: "SELECT i AS n, 'text ' || i AS s FROM range(10) t(i)",
  },
  made_by_evolving_merge: {
    statements: [
      "CREATE TABLE T AS SELECT i::bigint AS n, 'text ' || i AS s FROM generate_series(0, 9) i",
      `MERGE WITH SCHEMA EVOLUTION INTO T t USING (VALUES (3::bigint, 1.25), (50, 2.5)) x(n, price) ON t.n = x.n
       WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *`,
    ],
    rows: `SELECT i AS n, 'text ' || i AS s, CASE i WHEN 3 THEN 1.25::DECIMAL(3,2) END AS price FROM range(10) t(i) UNION ALL SELECT 50, NULL, 2.5`,
  },
  made_by_counting_merge: {
    statements: [
      'CREATE TABLE T (id bigint GENERATED ALWAYS AS IDENTITY, n bigint)',
      'INSERT INTO T (n) VALUES (1)',
      'MERGE INTO T t USING (VALUES (1), (2)) x(n) ON t.n = x.n WHEN MATCHED THEN UPDATE SET id = DEFAULT',
      'MERGE INTO T t USING (VALUES (1), (2)) x(n) ON t.n = x.n WHEN NOT MATCHED THEN INSERT (n) VALUES (x.n)',
    ],
    rows: 'SELECT id::BIGINT AS id, n::BIGINT AS n FROM (VALUES (2, 1), (3, 2)) v(id, n)',
  },
}
