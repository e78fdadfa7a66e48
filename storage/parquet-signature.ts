/** Parquet signatures: which data files share one physical schema, read from their footers and remembered. */

import { LRUCache } from 'lru-cache'
import { type EngineConnection, quoteLiteral } from './engine.js'
import type { EngineColumn } from './engine.js'
import { escapeGlob } from './file-path.js'

/** A node of a Parquet schema tree. */
export interface ParquetNode {
  readonly name: string
  readonly fieldId: number | null
  readonly children: readonly ParquetNode[]
}

/** The physical schema that a group of files shares. */
export interface ParquetSignature {
  readonly key: string
  readonly columns: readonly ParquetNode[]
  /** What DuckDB reads the columns as. */
  readonly engineColumns: readonly EngineColumn[]
}

// Data files are immutable, so what was read of one stays true; bounded by entries of about 100 bytes.
const keysByFile = new LRUCache<string, string>({ max: 500_000 })
const signatures = new LRUCache<string, ParquetSignature>({ max: 2_000 })

/** Which files of this process were written alike, and so have one schema; layouts by number. */
const layoutNumbers = new LRUCache<string, number>({ max: 2_000 })
const layoutsByFile = new LRUCache<string, number>({ max: 500_000 })
const keysByLayout = new LRUCache<number, string>({ max: 2_000 })
let nextLayout = 1

/** Notes that the file at `url` was written as `layout` says, so that not every footer need be read. */
export function rememberLayout(url: string, layout: string): void {
  const number = layoutNumbers.get(layout) ?? nextLayout++
  layoutNumbers.set(layout, number)
  layoutsByFile.set(url, number)
}

/** The signature of each of `urls`; footers not seen before are read by one query. */
export async function readSignatures(
  connection: EngineConnection,
  urls: readonly string[],
): Promise<ReadonlyMap<string, ParquetSignature>> {
  const found = new Map<string, ParquetSignature>()
  const missing: string[] = []
  // Of files that were written alike one is read.
  const first = new Set<number>()
  for (const url of urls) {
    const layout = layoutsByFile.get(url)
    if (layout !== undefined && !keysByFile.has(url)) {
      const known = keysByLayout.get(layout)
      if (known !== undefined) keysByFile.set(url, known)
      else if (first.has(layout)) continue
      else first.add(layout)
    }
    const key = keysByFile.get(url)
    const signature = key === undefined ? undefined : signatures.get(key)
    if (signature === undefined) missing.push(url)
    else found.set(url, signature)
  }
  for (let from = 0; from < missing.length; from += BATCH) {
    const batch = missing.slice(from, from + BATCH)
    const keys = await readKeys(connection, batch)
    for (const url of batch) {
      const key = keys.get(url) ?? ''
      const signature = signatures.get(key) ?? (await makeSignature(connection, url, key))
      signatures.set(key, signature)
      // The one text that all files of that schema share.
      keysByFile.set(url, signature.key)
      found.set(url, signature)
      const layout = layoutsByFile.get(url)
      if (layout !== undefined) keysByLayout.set(layout, key)
    }
  }
  return found.size < new Set(urls).size ? readSignatures(connection, urls) : found
}

/** What the footer of each of `urls` says of its columns, as one text: equal for equal schemas only. */
async function readKeys(
  connection: EngineConnection,
  urls: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.query(parts(urls).map(keysText).join(' UNION ALL '))
  return new Map(rows.map(([file, key]) => [file as string, key as string]))
}

/** One row a file: reading a row for each of its columns takes longer than reading its footer. */
function keysText(urls: readonly string[]): string {
  return `SELECT file_name, string_agg(node, ' ' ORDER BY place)
     FROM (SELECT file_name, row_number() OVER () AS place,
                  concat(length(name), ':', name, ' ', coalesce(num_children, 0), ' ', coalesce(field_id::VARCHAR, '-'), ' ', ${PHYSICAL}) AS node
           FROM parquet_schema(${listOf(urls)})) AS nodes
     GROUP BY file_name`
}

const PHYSICAL =
  "concat_ws('|', type, repetition_type, converted_type, scale, precision, logical_type)"

function listOf(urls: readonly string[]): string {
  return `[${urls.map((url) => quoteLiteral(escapeGlob(url))).join(', ')}]`
}

/** Many files in a few parts, which the engine reads at the same time. */
function parts(urls: readonly string[]): readonly (readonly string[])[] {
  if (urls.length < 100) return [urls]
  const size = Math.ceil(urls.length / 4)
  return [0, 1, 2, 3].map((i) => urls.slice(i * size, (i + 1) * size))
}

/** Footers asked for in one query. */
const BATCH = 1000

async function makeSignature(
  connection: EngineConnection,
  url: string,
  key: string,
): Promise<ParquetSignature> {
  const nodes = await connection.query(
    `SELECT name, coalesce(num_children, 0)::INTEGER, field_id::INTEGER FROM parquet_schema(${listOf([url])})`,
  )
  let at = 0
  const take = (): ParquetNode => {
    const [name, childCount, fieldId] = nodes[at++] ?? ['', 0, null]
    const children = Array.from({ length: childCount as number }, take)
    return { name: name as string, fieldId: fieldId as number | null, children }
  }
  const root = take()
  const prepared = await connection.prepare(
    `SELECT * FROM read_parquet(${quoteLiteral(escapeGlob(url))}, hive_partitioning = false)`,
  )
  const engineColumns = prepared.columns
  prepared.destroy()
  return { key, columns: root.children, engineColumns }
}
