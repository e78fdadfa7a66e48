/** Reads the files of a version's changed rows by the letter of the specification. */

import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type EngineConnection, quoteLiteral } from '../../storage/engine.js'
import { escapeGlob } from '../../storage/file-path.js'

type Json = { readonly [key: string]: unknown }

interface ChangeFile {
  readonly path: string
  readonly partitionValues: { readonly [name: string]: string | null }
  readonly size: number
  readonly dataChange: boolean
}

/**
 * Checks the cdc actions of one version; `partitions` and `columns` are physical names of the table's
 * columns, those that files hold in `columns`. Answers the paths.
 */
export async function lintChangeData(
  table: string,
  actions: readonly Json[],
  configuration: { readonly [key: string]: string },
  partitions: readonly string[],
  columns: readonly string[],
  connection: EngineConnection,
  at: (text: string) => void,
): Promise<readonly string[]> {
  const isSet = configuration['delta.enableChangeDataFeed'] === 'true'
  const files = actions.flatMap(({ cdc }) => (cdc === undefined ? [] : [cdc as ChangeFile]))
  const isChanging = (action: unknown): boolean =>
    action !== undefined && (action as ChangeFile).dataChange !== false
  if (files.length > 0 && !isSet) at('change data of a table that has no feed')
  if (files.length > 0 && !actions.some(({ add, remove }) => isChanging(add) || isChanging(remove)))
    at('change data, but nothing changes')
  const paths: string[] = []
  const counts = new Map<string, number>()
  for (const cdc of files) {
    const path = decodeURIComponent(cdc.path)
    if (paths.includes(path)) at(`${path} is named twice`)
    paths.push(path)
    if (!path.startsWith('_change_data/')) at(`${path} does not lie in _change_data`)
    if (cdc.dataChange !== false) at(`${path} has dataChange`)
    const keys = Object.keys(cdc.partitionValues).sort()
    if (JSON.stringify(keys) !== JSON.stringify([...partitions].sort()))
      at(`${path} has partition values ${keys}`)
    const onDisk = join(table, path)
    if (!existsSync(onDisk)) {
      at(`${path} does not exist`)
      continue
    }
    if (statSync(onDisk).size !== cdc.size)
      at(`${path} has ${statSync(onDisk).size} bytes instead of ${cdc.size}`)
    const file = quoteLiteral(escapeGlob(onDisk))
    const found = await connection.query(
      `SELECT name FROM parquet_schema(${file}) WHERE name = '_change_type' OR list_contains([${columns.map(quoteLiteral).join(', ')}], name)`,
    )
    const names = new Set(found.map(([name]) => String(name)))
    for (const name of [...columns, '_change_type'])
      if (!names.has(name)) at(`${path} has no column ${name}`)
    const types = await connection.query(
      `SELECT _change_type, count(*) FROM read_parquet(${file}, hive_partitioning = false) GROUP BY 1`,
    )
    if (types.length === 0) at(`${path} has no rows`)
    for (const [type, count] of types) {
      if (!/^(insert|delete|update_(pre|post)image)$/.test(String(type)))
        at(`${path} has the change type ${String(type)}`)
      counts.set(String(type), (counts.get(String(type)) ?? 0) + Number(count))
    }
  }
  if (counts.get('update_preimage') !== counts.get('update_postimage'))
    at('rows before and after updates are not as many')
  return paths
}
