/** A process of its own that appends rows to a table, all at once: root, table, name, count. */

import { writeDataFiles } from '../../dist/storage/data-file.js'
import { Engine } from '../../dist/storage/engine.js'
import { LocalStore } from '../../dist/storage/local-store.js'
import { maintainLog } from '../../dist/storage/log-maintenance.js'
import { loadSnapshot } from '../../dist/storage/snapshot.js'
import { Transaction } from '../../dist/storage/transaction.js'

const [root, tablePath, name, count] = process.argv.slice(2)
const store = new LocalStore(root)
const engine = await Engine.open({ threads: 1 })

async function append(i) {
  const connection = await engine.connect()
  const snapshot = await loadSnapshot(store, connection, tablePath, null)
  const transaction = await Transaction.begin(store, snapshot)
  const query = `SELECT '${name}' AS p, ${i} AS n`
  transaction.add((await writeDataFiles(store, connection, snapshot, { query })).files)
  const result = await transaction.commit({ operation: 'WRITE' })
  if (result.kind !== 'committed') throw new Error(`${result.reason}: ${result.detail}`)
  const { failures } = await maintainLog(store, engine, transaction)
  if (failures.length > 0) throw failures[0]
  connection.close()
}

await Promise.all(Array.from({ length: Number(count) }, (_, i) => append(i)))
await engine.close()
