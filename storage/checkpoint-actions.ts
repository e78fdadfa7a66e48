/** CheckpointActions: chosen columns of a checkpoint in Parquet as actions, one object each. */

import { type Action, actionOf, corrupt } from './actions.js'
import type { EngineConnection } from './engine.js'
import { SqlError, SqlState } from './errors.js'
import { checkpointSource } from './lent-file.js'
import { parseLossless, quoteNonFinite, quoteNumbers } from './lossless-json.js'
import type { ObjectStore } from './object-store.js'

/** The columns of a checkpoint that a snapshot is made of. */
const STATE = ['add', 'metaData', 'protocol', 'sidecar', 'txn', 'domainMetadata']

/** The actions in the named columns of a checkpoint in Parquet; XX001 when it cannot be read. */
export async function readCheckpointFile(
  store: ObjectStore,
  connection: EngineConnection,
  path: string,
  columns: readonly string[],
): Promise<Action[]> {
  try {
    const file = await checkpointSource(store, connection, path)
    const prepared = await connection.prepare(`SELECT * FROM ${file}`)
    const present = new Set(prepared.columns.map((column) => column.name))
    prepared.destroy()
    if (!STATE.some((name) => present.has(name))) throw corrupt(path, 'it holds no actions')
    const wanted = columns.filter((name) => present.has(name))
    if (wanted.length === 0) return []
    const items = wanted.map(
      (name) => `CASE WHEN "${name}" IS NOT NULL THEN to_json("${name}")::VARCHAR END`,
    )
    const some = wanted.map((name) => `"${name}" IS NOT NULL`).join(' OR ')
    const rows = await connection.query(`SELECT ${items.join(', ')} FROM ${file} WHERE ${some}`)
    const actions: Action[] = []
    for (const row of rows) {
      for (const [i, name] of wanted.entries()) {
        const printed = row[i]
        if (typeof printed !== 'string') continue
        const text = quoteNonFinite(printed)
        const record = parseLossless(text) as { stats?: unknown; stats_parsed?: unknown }
        // Statistics kept only as a struct hold numbers of any length: they are read losslessly.
        if (name === 'add' && typeof record.stats !== 'string') {
          record.stats_parsed = (
            JSON.parse(quoteNumbers(text)) as { readonly stats_parsed?: unknown }
          ).stats_parsed
        }
        const action = actionOf({ [name]: record }, path)
        if (action !== null) actions.push(action)
      }
    }
    return actions
  } catch (thrown) {
    if (thrown instanceof SqlError) {
      if (thrown.sqlState === SqlState.queryCanceled) throw thrown
      if (thrown.sqlState === SqlState.dataCorrupted) throw thrown
      throw corrupt(path, thrown.message, thrown)
    }
    throw thrown
  }
}
