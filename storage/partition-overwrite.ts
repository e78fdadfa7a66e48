/** Partition overwrite: the files that lie in the same partitions as new ones. */

import type { AddFile } from './actions.js'
import type { EngineConnection } from './engine.js'
import type { DataFile } from './file-index.js'
import { printEngineType } from './engine-type.js'
import { physicalName } from './scan.js'
import { partitionLiteral } from './scan-relation.js'
import { engineTypeOf, type StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'

/**
 * The files of `snapshot` in a partition that one of `adds` belongs to; all of them when the table
 * has no partitions.
 *
 * Values are compared, not their texts, which writers spell differently.
 */
export async function filesOfPartitions(
  connection: EngineConnection,
  snapshot: Snapshot,
  adds: readonly AddFile[],
): Promise<readonly DataFile[]> {
  const { partitionColumns } = snapshot.metadata
  if (partitionColumns.length === 0) return [...snapshot.files]
  const fields = partitionColumns.map(
    (name) =>
      snapshot.schema.fields.find(
        (field) => field.name.toLowerCase() === name.toLowerCase(),
      ) as StructField,
  )
  const files = [...snapshot.files]
  const textOf = (add: AddFile, field: StructField): string | null =>
    add.partitionValues[physicalName(snapshot, field)] || null
  const canonical = await Promise.all(
    fields.map((field) => {
      const texts = new Set<string>()
      for (const add of [...adds, ...files.map((file) => file.add)]) {
        const text = textOf(add, field)
        if (text !== null) texts.add(text)
      }
      return canonicalTexts(connection, field, [...texts])
    }),
  )
  const keyOf = (add: AddFile): string =>
    JSON.stringify(
      fields.map((field, i) => {
        const text = textOf(add, field)
        return text === null ? null : (canonical[i]?.get(text) ?? text)
      }),
    )
  const written = new Set(adds.map(keyOf))
  return files.filter((file) => written.has(keyOf(file.add)))
}

/** One text for each value, by the texts it is spelled with. */
async function canonicalTexts(
  connection: EngineConnection,
  field: StructField,
  texts: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  if (field.type.kind === 'primitive' && field.type.name === 'string') return found
  const batch = 1000
  for (let from = 0; from < texts.length; from += batch) {
    const some = texts.slice(from, from + batch)
    const rows = some.map((text) => `(${partitionLiteral(text, field.type)})`)
    const values = await connection.query(
      `SELECT CAST(CAST(v AS ${printEngineType(engineTypeOf(field.type))}) AS VARCHAR) FROM (VALUES ${rows.join(', ')}) AS t(v)`,
    )
    for (const [i, text] of some.entries()) found.set(text, String(values[i]?.[0]))
  }
  return found
}
