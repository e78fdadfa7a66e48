/**
 * Goal: what a block does to names and what it does to tables counts together or not at all, through
 * every gateway, wherever the gateway that commits it is stopped.
 * Method: scripts on a real gateway; and a gateway whose store is gone after the n-th change it makes
 * during COMMIT, for every n, looked at by another one.
 */

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Catalog } from '../../catalog/catalog.js'
import { LocalStore } from '../../storage/local-store.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { startGateway } from '../support/gateway.js'
import { lintedGateway, type LintedGateway } from '../support/linted-gateway.js'
import { script } from '../support/session-script.js'

let gateway: LintedGateway

beforeAll(async () => {
  gateway = await lintedGateway()
})

afterAll(async () => {
  await gateway.close()
})

const check = (name: string, lines: string): void => script(() => gateway, name, lines)

describe('a block that changes names', () => {
  check(
    'swaps a table for one that it makes, as dbt does, again and again',
    `CREATE TABLE silver.d AS SELECT 1 AS a
     CREATE VIEW gold.over_d AS SELECT a FROM silver.d
     DROP VIEW gold.over_d
     BEGIN
     CREATE TABLE silver.d__dbt_tmp AS SELECT 2 AS a
     ALTER TABLE silver.d RENAME TO d__dbt_backup
     ALTER TABLE silver.d__dbt_tmp RENAME TO d
     SELECT * FROM silver.d, silver.d__dbt_backup -> 2,1
     SELECT * FROM silver.d__dbt_tmp -> !42P01
     ROLLBACK
     SELECT * FROM silver.d -> 1
     SELECT * FROM silver.d__dbt_tmp -> !42P01
     BEGIN
     CREATE TABLE silver.d__dbt_tmp AS SELECT 2 AS a
     ALTER TABLE silver.d RENAME TO d__dbt_backup
     ALTER TABLE silver.d__dbt_tmp RENAME TO d
     COMMIT
     DROP TABLE silver.d__dbt_backup CASCADE
     SELECT * FROM silver.d -> 2
     BEGIN
     CREATE TABLE silver.d__dbt_tmp AS SELECT a + 1 AS a FROM silver.d
     INSERT INTO silver.d__dbt_tmp VALUES (30)
     ALTER TABLE silver.d RENAME TO d__dbt_backup
     ALTER TABLE silver.d__dbt_tmp RENAME TO d
     INSERT INTO silver.d VALUES (300)
     DROP TABLE silver.d__dbt_backup
     SELECT * FROM silver.d ORDER BY a -> 3|30|300
     COMMIT
     SELECT * FROM silver.d ORDER BY a -> 3|30|300
     SELECT * FROM silver.d__dbt_backup -> !42P01
     SELECT * FROM silver.d__dbt_tmp -> !42P01
     INSERT INTO silver.d VALUES (4)
     SELECT count(*) FROM silver.d -> 4`,
  )

  check(
    'drops and makes tables, and takes all of it back',
    `CREATE TABLE silver.e AS SELECT 1 AS a
     CREATE VIEW silver.e_view AS SELECT a FROM silver.e
     BEGIN
     INSERT INTO silver.e VALUES (2)
     DROP TABLE silver.e -> !2BP01
     ROLLBACK
     BEGIN
     INSERT INTO silver.e VALUES (2)
     SAVEPOINT s
     DROP TABLE silver.e CASCADE
     SELECT * FROM silver.e -> !42P01
     ROLLBACK TO s
     SELECT * FROM silver.e_view ORDER BY a -> 1|2
     DROP TABLE silver.e CASCADE
     CREATE TABLE silver.e (b text)
     INSERT INTO silver.e VALUES ('new')
     SELECT * FROM silver.e -> new
     ROLLBACK TO s
     SELECT * FROM silver.e ORDER BY a -> 1|2
     DROP TABLE silver.e CASCADE
     CREATE TABLE silver.e (b text)
     INSERT INTO silver.e VALUES ('newer')
     COMMIT
     SELECT * FROM silver.e -> newer
     SELECT * FROM silver.e_view -> !42P01
     BEGIN
     CREATE TABLE silver.gone AS SELECT 1 AS a
     DROP TABLE silver.gone
     SELECT * FROM silver.gone -> !42P01
     COMMIT
     SELECT * FROM silver.gone -> !42P01
     BEGIN
     DROP TABLE silver.e
     UNDROP TABLE silver.e
     SELECT * FROM silver.e -> newer
     COMMIT
     SELECT * FROM silver.e -> newer`,
  )

  check(
    'changes the rows and columns of a table that it renames',
    `CREATE TABLE silver.h AS SELECT 1 AS a
     BEGIN
     UPDATE silver.h SET a = 2
     ALTER TABLE silver.h RENAME TO h2
     ALTER TABLE silver.h2 ADD COLUMN b int
     UPDATE silver.h2 SET b = a * 10
     COMMIT
     SELECT * FROM silver.h2 -> 2,20
     SELECT * FROM silver.h -> !42P01`,
  )

  check(
    'makes schemas, views and comments that ROLLBACK takes back',
    `CREATE VIEW silver.c AS SELECT 1 AS a
     COMMENT ON VIEW silver.c IS 'before'
     COMMENT ON SCHEMA silver IS 'layer'
     BEGIN
     COMMENT ON VIEW silver.c IS 'after'
     COMMENT ON SCHEMA silver IS 'other'
     CREATE SCHEMA made
     CREATE VIEW made.v AS SELECT 1 AS a
     SELECT * FROM made.v -> 1
     ROLLBACK
     SELECT * FROM made.v -> !42P01
     CREATE TABLE made.t (a int) -> !3F000
     BEGIN
     CREATE SCHEMA made
     CREATE TABLE made.t AS SELECT 1 AS a
     CREATE VIEW made.v AS SELECT a FROM made.t
     COMMIT
     SELECT * FROM made.v -> 1`,
  )

  it('keeps the comments that were there before', async () => {
    const catalog = new Catalog(new LocalStore(gateway.lake), () => Promise.resolve(null))
    expect(await catalog.commentOn('silver', 'c')).toBe('before')
    expect(await catalog.commentOn('silver', null)).toBe('layer')
  })
})

/** A store that is gone, as for a process that was killed, once `left` changes have been made. */
class MortalStore {
  left = Number.POSITIVE_INFINITY
  changes = 0

  over(store: ObjectStore): ObjectStore {
    const isChange = (name: PropertyKey): boolean =>
      name === 'putIfAbsent' || name === 'write' || name === 'delete'
    return new Proxy(store, {
      get: (target, name) => {
        const found = Reflect.get(target, name) as unknown
        if (typeof found !== 'function') return found
        return (...args: unknown[]): unknown => {
          if (this.left <= 0) {
            const gone = new SqlError(SqlState.ioError, 'the store is gone')
            return name === 'engineUrl' ? found.apply(target, args) : Promise.reject(gone)
          }
          if (isChange(name)) {
            this.changes++
            this.left--
          }
          return found.apply(target, args)
        }
      },
    })
  }
}

async function connectTo(port: number): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database: 'lake' })
  client.on('error', () => {})
  await client.connect()
  return client
}

describe('a gateway that is stopped while it commits names and tables', () => {
  it('leaves all of it or nothing, wherever it is stopped', async () => {
    const home = await startGateway()
    const observer = await connectTo(home.port)
    const seen = new Set<string>()
    let isComplete = false
    for (let changes = 0; changes < 12 && !isComplete; changes++) {
      const [x, y, z] = ['x', 'y', 'z'].map((name) => `silver.${name}${changes}`) as [
        string,
        string,
        string,
      ]
      const short = (name: string): string => name.slice('silver.'.length)
      await observer.query(`CREATE TABLE ${x} AS SELECT 1 AS a`)
      await observer.query(`CREATE TABLE ${y} AS SELECT 1 AS a`)
      await observer.query(`CREATE TABLE ${z} AS SELECT 1 AS a`)
      const mortal = new MortalStore()
      const dying = await startGateway({ lake: home.lake, store: (store) => mortal.over(store) })
      const client = await connectTo(dying.port)
      for (const sql of [
        'BEGIN',
        `CREATE TABLE ${x}_tmp AS SELECT 2 AS a`,
        `ALTER TABLE ${x} RENAME TO ${short(x)}_old`,
        `ALTER TABLE ${x}_tmp RENAME TO ${short(x)}`,
        `UPDATE ${y} SET a = 2`,
        `ALTER TABLE ${y} RENAME TO ${short(y)}_new`,
        `DROP TABLE ${z}`,
      ]) {
        await client.query(sql)
      }
      mortal.left = changes
      const acknowledged = await client.query('COMMIT').then(
        () => true,
        () => false,
      )
      const died = mortal.left <= 0
      mortal.left = 0
      const state = async (): Promise<string> => {
        const found: string[] = []
        for (const name of [x, `${x}_old`, `${x}_tmp`, y, `${y}_new`, z]) {
          const rows = await observer.query(`SELECT a FROM ${name}`).then(
            (result) => result.rows.map(({ a }) => String(a)).join('+'),
            (error: { readonly code?: string }) => String(error.code),
          )
          found.push(rows)
        }
        return found.join(' ')
      }
      const before = '1 42P01 42P01 1 42P01 1'
      const after = '2 1 42P01 42P01 2 42P01'
      // At every moment it is one of both, and in the end it stays what it is, be it waited for.
      expect([before, after]).toContain(await state())
      await new Promise((resolve) => setTimeout(resolve, 700))
      const later = await state()
      expect([before, after]).toContain(later)
      if (acknowledged) expect(later).toBe(after)
      await observer.query(`COMMENT ON SCHEMA silver IS 'still writable ${changes}'`)
      expect(await state()).toBe(later)
      seen.add(later)
      isComplete = acknowledged && !died
      await client.end().catch(() => {})
      await dying.close().catch(() => {})
    }
    expect(isComplete).toBe(true)
    expect(seen.size).toBe(2)
    await observer.end()
    await home.close()
    expect(home.bugs).toEqual([])
  }, 120_000)
})
