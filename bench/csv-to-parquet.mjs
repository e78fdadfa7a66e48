/** CSV to Parquet: DuckDB alone reads a csv file and writes its rows as Parquet; prints seconds and rows. */

import { Engine } from '../dist/storage/engine.js'

const [csv, parquet, columns] = process.argv.slice(2)
const engine = await Engine.open({ tempDirectory: '' })
const connection = await engine.connect()
await connection.run("SET TimeZone = 'UTC'")
const started = performance.now()
const [row] = await connection.query(
  `COPY (SELECT * FROM read_csv('${csv}', header = false, auto_detect = false, quote = '"', escape = '"', columns = ${columns}))
   TO '${parquet}' (FORMAT parquet, COMPRESSION snappy)`,
)
console.log(
  JSON.stringify({ seconds: (performance.now() - started) / 1000, rows: Number(row?.[0]) }),
)
await engine.close()
