/** The process that makes the shadow's template in the folder it is given; see shadow-template.ts. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { overlay } from './shadow-overlay.js'

process.on('uncaughtException', (thrown) => {
  process.stderr.write(String(thrown))
  process.exit(1)
})

const folder = process.argv[2] ?? ''
const database = await PGlite.create({
  dataDir: folder,
  initDbStartParams: ['--wal-segsize=1'],
})
const { rows } = await database.query<{ readonly oid: number }>(
  'SELECT oid FROM pg_database WHERE datname <> current_database()',
)
await overlay(database)
await database.exec(`UPDATE pg_authid SET rolname = 'lakegate' WHERE oid = 10`)
await database.exec('VACUUM ANALYZE')
await database.exec('CHECKPOINT')
await database.close()
// Nobody connects to the other databases: they are listed, their files are not needed.
for (const { oid } of rows) {
  await rm(join(folder, 'base', String(oid)), { recursive: true, force: true })
}
process.exit(0)
