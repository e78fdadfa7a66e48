/** Bare: DuckDB alone in a Node process; runs a query over Parquet files and throws the rows away, as chunks or as JavaScript values. */

import { Engine, readRows } from '../dist/storage/engine.js'

const [sql, form] = process.argv.slice(2)
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()
await connection.run("SET TimeZone = 'UTC'")
await connection.run("SET default_null_order = 'postgres'")
const started = performance.now()
const prepared = await connection.prepare(sql)
const stream = await prepared.stream()
let rows = 0
for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
  rows += form === 'values' ? readRows(chunk, stream.columns).length : chunk.rowCount
}
console.log(JSON.stringify({ seconds: (performance.now() - started) / 1000, rows }))
prepared.destroy()
await engine.close()
