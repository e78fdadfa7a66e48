/** Tables that ALTER TABLE has changed, made by SQL through a gateway, for other engines to read. */

import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { Gateway } from '../../dist/planner/gateway.js'
import { readConfig } from '../../dist/server/config.js'
import { listen } from '../../dist/server/listener.js'
import { Engine } from '../../dist/storage/engine.js'
import { LocalStore } from '../../dist/storage/local-store.js'

const BEFORE =
  "CREATE TABLE T AS SELECT i::bigint AS n, 'text ' || i AS s FROM generate_series(0, 9) i"
const OLD = "SELECT i AS n, 'text ' || i AS s FROM range(10) t(i)"

/** Each table: the statements that make it, T standing for its name, and the rows it must hold. */
export const ALTERED = {
  altered_added: {
    statements: [
      BEFORE,
      'ALTER TABLE T ADD COLUMN plain int',
      "ALTER TABLE T ADD COLUMN filled text DEFAULT 'it''s' NOT NULL, ADD COLUMN twice bigint GENERATED ALWAYS AS (n * 2) STORED",
      "INSERT INTO T (n, s) VALUES (10, 'later')",
    ],
    rows: `SELECT n, s, NULL::INTEGER AS plain, 'it''s' AS filled, (n * 2)::BIGINT AS twice FROM (${OLD} UNION ALL SELECT 10, 'later')`,
  },
  altered_dropped: {
    statements: [
      BEFORE,
      'ALTER TABLE T DROP COLUMN s',
      'ALTER TABLE T ADD COLUMN s int',
      'INSERT INTO T VALUES (10, 100)',
    ],
    rows: `SELECT n, NULL::INTEGER AS s FROM (${OLD}) UNION ALL SELECT 10, 100`,
  },
  altered_renamed: {
    statements: [
      'CREATE TABLE T (n bigint CHECK (n >= 0), p text, s text) PARTITIONED BY (p)',
      "INSERT INTO T SELECT i, 'p' || i % 3, 'text ' || i FROM generate_series(0, 9) i",
      'ALTER TABLE T RENAME COLUMN n TO "the number"',
      'ALTER TABLE T RENAME COLUMN p TO part',
      `INSERT INTO T VALUES (10, 'p0', 'later')`,
      'UPDATE T SET s = \'changed\' WHERE "the number" = 3',
    ],
    rows: `SELECT n AS "the number", 'p' || n % 3 AS part, CASE n WHEN 3 THEN 'changed' ELSE s END AS s FROM (${OLD}) UNION ALL SELECT 10, 'p0', 'later'`,
  },
  altered_constrained: {
    statements: [
      BEFORE,
      'ALTER TABLE T ADD COLUMN v int',
      "ALTER TABLE T ALTER COLUMN n SET NOT NULL, ALTER COLUMN s SET DEFAULT 'none', ADD CONSTRAINT small CHECK ((n + 1) * 2 < 100), ADD CHECK (v > 0)",
      'INSERT INTO T (n) VALUES (10)',
      'ALTER TABLE T SET (delta.enableDeletionVectors = true, owner.team = data)',
      "COMMENT ON TABLE T IS 'all of it'",
      "COMMENT ON COLUMN T.v IS 'may be null'",
    ],
    rows: `SELECT n, s, NULL::INTEGER AS v FROM (${OLD} UNION ALL SELECT 10, 'none')`,
  },
  altered_widened: {
    statements: [
      'CREATE TABLE T (n bigint, a smallint)',
      'INSERT INTO T SELECT i, i * 100 FROM generate_series(0, 9) i',
      'ALTER TABLE T ALTER COLUMN a TYPE int',
      'INSERT INTO T VALUES (10, 100000)',
    ],
    rows: `SELECT i AS n, (i * 100)::INTEGER AS a FROM range(10) t(i) UNION ALL SELECT 10, 100000`,
  },
  altered_retyped: {
    statements: [
      BEFORE,
      "ALTER TABLE T ALTER COLUMN s TYPE int USING replace(s, 'text ', '')::int + 1",
      'ALTER TABLE T RENAME COLUMN s TO i',
      'ALTER TABLE T ALTER COLUMN i TYPE text',
    ],
    rows: `SELECT n, (n + 1)::VARCHAR AS i FROM (${OLD})`,
  },
  altered_at_once: {
    statements: [
      'BEGIN',
      BEFORE,
      'ALTER TABLE T ADD COLUMN extra int DEFAULT 5',
      'ALTER TABLE T DROP COLUMN s',
      'INSERT INTO T VALUES (10, 6)',
      'COMMIT',
    ],
    rows: `SELECT n, 5 AS extra FROM (${OLD}) UNION ALL SELECT 10, 6`,
  },
  // Spark holds what it appends against these expressions, which are its own SQL.
  altered_stated: {
    statements: [
      `CREATE TABLE T (
        n bigint CHECK (n % 7 <> 6 AND n BETWEEN 0 AND 100 AND n IS DISTINCT FROM 99),
        t text CHECK (t <> 'O''Brien\\' AND t NOT LIKE '%\\_%' AND length(t) < 9),
        q double precision GENERATED ALWAYS AS (n::double precision / 4) STORED,
        w text GENERATED ALWAYS AS (CASE WHEN n > 3 THEN 'it''s' ELSE coalesce(t, 'none') || '!' END) STORED,
        d date CHECK (d > '2000-01-01'),
        y int GENERATED ALWAYS AS (extract(year FROM d)) STORED,
        "order" numeric(5,2) CHECK ("order" * 2 > 1.5))`,
      `INSERT INTO T (n, t, d, "order") SELECT i, CASE WHEN i <> 1 THEN 'a\\''' || i END, date '2024-12-30' + i, i + 1 FROM generate_series(0, 5) i`,
    ],
    rows: `SELECT i AS n, t, i / 4 AS q, CASE WHEN i > 3 THEN 'it''s' ELSE coalesce(t, 'none') || '!' END AS w, d, year(d)::INTEGER AS y, (i + 1)::DECIMAL(5,2) AS "order"
      FROM (SELECT i, CASE WHEN i <> 1 THEN 'a\\''' || i END AS t, DATE '2024-12-30' + i::INTEGER AS d FROM range(6) t(i))`,
  },
}

/** Makes `tables` in `folder`, which is a layer of the lake beside it. */
export async function writeBySql(folder, tables) {
  const lake = dirname(folder)
  const inbox = join(lake, 'inbox')
  const engine = await Engine.open({ allowedDirectories: [lake] })
  const gateway = await Gateway.open({
    store: new LocalStore(lake),
    engine,
    database: 'lake',
    snapshotCacheBytes: 64 * 1024 * 1024,
    copyDirectories: [inbox],
  })
  const config = readConfig(['--port=0', '--http-port=0'], {})
  const listener = await listen(config, gateway, (bug) => {
    throw bug
  })
  const client = new pg.Client({
    host: '127.0.0.1',
    port: listener.port,
    user: 'lakegate',
    database: 'lake',
  })
  await client.connect()
  for (const [name, { statements, before }] of Object.entries(tables)) {
    if (before !== undefined) {
      const connection = await engine.connect()
      await before(connection, join(folder, name), inbox)
      connection.close()
    }
    for (const statement of statements) {
      const text = statement.replaceAll(/\bT(?=\b|_)/g, `"${basename(folder)}".${name}`)
      await client.query(
        text.replaceAll('INBOX', inbox).replaceAll('LAYER', `"${basename(folder)}"`),
      )
    }
  }
  await client.end()
  await listener.close()
  await gateway.settle()
  gateway.close()
  await engine.close()
}
