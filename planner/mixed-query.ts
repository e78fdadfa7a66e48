/** MixedQuery: statements that join system catalogs with tables of the lake. */

import { isCatalogRelation } from '../catalog/pg-catalog.js'
import { Oid } from '../catalog/pg-types.js'
import type { Cancellation } from '../storage/cancellation.js'
import { quoteIdentifier } from '../storage/engine.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { catalogTable } from './catalog-query.js'
import type { ParsedStatement } from './parse.js'
import type { Execution } from './portal.js'
import type { QueryContext, TemporaryRelation } from './query.js'
import type { RowSource } from './row-source.js'
import type { SessionContext } from './session-context.js'
import { SourceText } from './source-text.js'
import { sqlType } from './sql-type.js'
import { collectTableReferences } from './table-references.js'

/** Types that the copies have as they are; others are copied as text. */
const COPIED = new Set<number>([
  Oid.bool,
  Oid.int2,
  Oid.int4,
  Oid.int8,
  Oid.oid,
  Oid.float4,
  Oid.float8,
  Oid.text,
  Oid.name,
  Oid.varchar,
  Oid.timestamptz,
])

/** Copies of system catalogs in the engine's memory, and a context that finds them. */
export interface CatalogCopies {
  readonly context: QueryContext
  drop(): Promise<void>
}

let nextCopy = 1

/** Copies the system catalogs that `statement` names, as the session sees them now. */
export async function copyCatalogs(
  session: SessionContext,
  statement: ParsedStatement,
  cancellation?: Cancellation,
): Promise<CatalogCopies> {
  const { tree, text, travels } = statement
  const copies = new Map<string, TemporaryRelation>()
  const drop = async (): Promise<void> => {
    await session.pool.with(async (connection) => {
      for (const { sql } of copies.values()) await connection.run(`DROP TABLE IF EXISTS ${sql}`)
    })
  }
  try {
    for (const reference of collectTableReferences(tree ?? {}, new SourceText(text), travels)) {
      const key = keyOf(reference.schema, reference.name)
      const isOwn = reference.schema === undefined && session.temporary.find(reference.name)
      if (isOwn || !isCatalogRelation(reference.schema, reference.name) || copies.has(key)) continue
      copies.set(key, await copy(session, reference.schema, reference.name, cancellation))
    }
  } catch (thrown) {
    await drop()
    throw thrown
  }
  const context = session.queryContext()
  return {
    context: { ...context, catalogRelation: (schema, name) => copies.get(keyOf(schema, name)) },
    drop,
  }
}

/** `execution`, after whose end the copies are dropped. */
export function droppingCopies(
  execution: Extract<Execution, { kind: 'rows' }>,
  copies: CatalogCopies,
): Extract<Execution, { kind: 'rows' }> {
  const { source } = execution
  let dropped = false
  const release = async (): Promise<void> => {
    if (dropped) return
    dropped = true
    await copies.drop()
  }
  const wrapped: RowSource = {
    next: async () => {
      const batch = await source.next()
      if (batch === null) await release()
      return batch
    },
    attach: (cancellation) => source.attach(cancellation),
    close: async () => {
      await source.close()
      await release()
    },
  }
  return { ...execution, source: wrapped }
}

function keyOf(schema: string | undefined, name: string): string {
  return `${schema ?? 'pg_catalog'}.${name}`
}

async function copy(
  session: SessionContext,
  schema: string | undefined,
  name: string,
  cancellation: Cancellation | undefined,
): Promise<TemporaryRelation> {
  const found = await catalogTable(
    `SELECT * FROM ${quoteIdentifier(schema ?? 'pg_catalog')}.${quoteIdentifier(name)}`,
    session.catalogSession(),
    cancellation,
  )
  const columns = found.columns.map((column) => ({
    name: column.name,
    type: sqlType(COPIED.has(column.oid) ? column.oid : Oid.text),
  }))
  const sql = `memory.main.${quoteIdentifier(`lakegate_catalog_${nextCopy++}`)}`
  const items = columns.map(
    (column, i) =>
      `CAST(unnest($${i + 1}) AS ${printEngineType(column.type.engine)}) AS ${quoteIdentifier(column.name)}`,
  )
  const values: EngineValue[] = columns.map((_, i) => ({
    type: { kind: 'list', child: scalarType('VARCHAR') },
    value: found.rows.map((row) => row[i] ?? null),
  }))
  await session.pool.with((connection) =>
    connection.run(`CREATE TABLE ${sql} AS SELECT ${items.join(', ')}`, values),
  )
  return { sql, columns }
}
