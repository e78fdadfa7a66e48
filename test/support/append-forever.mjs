/** A process that appends rows one by one until it is killed: root, table, name. Prints each row once it is acknowledged. */

import { writeSync } from 'node:fs'
import { writeDataFiles } from '../../dist/storage/data-file.js'
import { Engine } from '../../dist/storage/engine.js'
import { LocalStore } from '../../dist/storage/local-store.js'
import { maintainLog } from '../../dist/storage/log-maintenance.js'
import { loadSnapshot } from '../../dist/storage/snapshot.js'
import { Transaction } from '../../dist/storage/transaction.js'

const [root, tablePath, name] = process.argv.slice(2)
const store = new LocalStore(root)
const engine = await Engine.open({ threads: 1 })
const connection = await engine.connect()

for (let i = 0; ; i++) {
  const snapshot = await loadSnapshot(store, connection, tablePath, null)
  const transaction = await Transaction.begin(store, snapshot)
  const query = `SELECT '${name}.${i}' AS id, ${i % 3} AS p`
  transaction.add((await writeDataFiles(store, connection, snapshot, { query })).files)
  const result = await transaction.commit({ operation: 'WRITE' })
  if (result.kind !== 'committed') throw new Error(`${result.reason}: ${result.detail}`)
  writeSync(1, `${name}.${i}\n`)
  await maintainLog(store, engine, transaction)
}
