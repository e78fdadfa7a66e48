/** Lent file: an object that statements of a connection read. */

import type { EngineConnection } from './engine.js'
import { quoteLiteral } from './engine.js'
import { escapeGlob } from './file-path.js'
import type { ObjectRef, ObjectStore } from './object-store.js'

/** The literal by which statements of `connection` name `object`; it is kept until the connection lets go. */
export async function lentLiteral(
  store: ObjectStore,
  connection: EngineConnection,
  object: ObjectRef,
): Promise<string> {
  const lease = await store.lend([object], connection.cancellation)
  connection.keep(lease)
  return quoteLiteral(escapeGlob(lease.urls[0] ?? ''))
}

/** What reads a checkpoint's file, which another writer may replace by one that says the same. */
export async function checkpointSource(
  store: ObjectStore,
  connection: EngineConnection,
  path: string,
): Promise<string> {
  const file = await lentLiteral(store, connection, { path, sizeBytes: null })
  return `read_parquet(${file}, hive_partitioning = false)`
}
