/** Checkpoint: the state of a table as another engine summed it up, read column-wise. */

import {
  type Action,
  actionOf,
  corrupt,
  type Metadata,
  parseActions,
  type Protocol,
} from './actions.js'
import {
  type EngineColumn,
  type EngineConnection,
  quoteIdentifier,
  quoteLiteral,
  type RowChunk,
} from './engine.js'
import type { EngineType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import { BLOCK_FILES, type FileBlock, FileBlockBuilder, OWN_FIELDS } from './file-block.js'
import { FileIndex } from './file-index.js'
import { resolvePath } from './file-path.js'
import { parseLossless, quoteNonFinite } from './lossless-json.js'
import { checkpointSource } from './lent-file.js'
import type { CheckpointStart } from './log-segment.js'
import type { ObjectStore } from './object-store.js'
import { readTexts } from './string-heap.js'

/** What a checkpoint holds: its live files, and every other action but removes. */
export interface CheckpointState {
  readonly files: FileIndex
  readonly actions: readonly Action[]
}

/**
 * Reads a checkpoint, its parts and its sidecars.
 *
 * Files go from DuckDB's vectors into columns without an object each. XX001 naming the file that
 * cannot be read, or when there is no protocol or metaData.
 */
export async function readCheckpoint(
  store: ObjectStore,
  connection: EngineConnection,
  tablePath: string,
  start: CheckpointStart,
): Promise<CheckpointState> {
  const actions: Action[] = []
  for (const path of start.paths) {
    if (start.format === 'json') {
      const bytes = await store.read(path)
      if (bytes === null) throw corrupt(path, 'it is missing')
      actions.push(...parseActions(bytes, path))
    } else actions.push(...(await readOthers(store, connection, path)))
  }
  const find = <K extends Action['kind']>(kind: K): Extract<Action, { kind: K }>[] =>
    actions.filter((action): action is Extract<Action, { kind: K }> => action.kind === kind)
  const metadata: Metadata | undefined = find('metaData').at(-1)?.metaData
  const protocol: Protocol | undefined = find('protocol').at(-1)?.protocol
  if (protocol === undefined || metadata === undefined) {
    throw corrupt(start.paths[0] ?? tablePath, 'it holds no protocol or no metaData')
  }
  const sidecars = find('sidecar').map((action) =>
    resolvePath(store, `${tablePath}/_delta_log/_sidecars`, action.sidecar.path),
  )
  const reader = new FileReader((path) => resolvePath(store, tablePath, path))
  for (const { add } of find('add')) reader.builder().push(add)
  const names = partitionNames(metadata)
  const paths = start.format === 'json' ? sidecars : [...start.paths, ...sidecars]
  for (const path of paths) {
    await translated(path, () => readFiles(store, connection, path, names, reader))
  }
  return {
    files: FileIndex.of(reader.finish()),
    actions: actions.filter(
      ({ kind }) => kind !== 'add' && kind !== 'remove' && kind !== 'sidecar',
    ),
  }
}

/** Names under which files have the partition values; one that is wrong costs time, not truth. */
function partitionNames(metadata: Metadata): readonly string[] {
  const mapped = (metadata.configuration['delta.columnMapping.mode'] ?? 'none') !== 'none'
  let fields: readonly { readonly name?: unknown; readonly metadata?: unknown }[] = []
  try {
    const schema = JSON.parse(metadata.schemaString) as { readonly fields?: unknown }
    if (Array.isArray(schema.fields)) fields = schema.fields as typeof fields
  } catch {
    // The schema is judged, and refused, where it is parsed for good.
  }
  return metadata.partitionColumns.map((name) => {
    const field = fields.find((one) => String(one.name).toLowerCase() === name.toLowerCase())
    const known = field?.metadata as { readonly [key: string]: unknown } | undefined
    const physical = known?.['delta.columnMapping.physicalName']
    return mapped && typeof physical === 'string' ? physical : String(field?.name ?? name)
  })
}

async function columnsOf(
  connection: EngineConnection,
  file: string,
): Promise<readonly EngineColumn[]> {
  const prepared = await connection.prepare(`SELECT * FROM ${file}`)
  try {
    return prepared.columns
  } finally {
    prepared.destroy()
  }
}

const KINDS: readonly string[] = ['metaData', 'protocol', 'sidecar', 'txn', 'domainMetadata']

/** Every action of a checkpoint file that is no file: there are few. */
async function readOthers(
  store: ObjectStore,
  connection: EngineConnection,
  path: string,
): Promise<readonly Action[]> {
  return translated(path, async () => {
    const file = await checkpointSource(store, connection, path)
    const present = (await columnsOf(connection, file)).map((column) => column.name)
    const wanted = KINDS.filter((name) => present.includes(name))
    if (wanted.length === 0 && !present.includes('add')) throw corrupt(path, 'it holds no actions')
    if (wanted.length === 0) return []
    const items = wanted.map(
      (name) => `CASE WHEN "${name}" IS NOT NULL THEN to_json("${name}")::VARCHAR END`,
    )
    const some = wanted.map((name) => `"${name}" IS NOT NULL`).join(' OR ')
    const rows = await connection.query(`SELECT ${items.join(', ')} FROM ${file} WHERE ${some}`)
    return rows.flatMap((row) =>
      wanted.flatMap((name, i) => {
        const printed = row[i]
        if (typeof printed !== 'string') return []
        const action = actionOf({ [name]: parseLossless(printed) }, path)
        return action === null ? [] : [action]
      }),
    )
  })
}

async function translated<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    if (thrown.sqlState === SqlState.queryCanceled) throw thrown
    if (thrown.sqlState === SqlState.dataCorrupted) throw thrown
    throw corrupt(path, thrown.message, thrown)
  }
}

/** Blocks being filled, one after the other. */
class FileReader {
  readonly #resolve: (logPath: string) => string
  readonly #done: FileBlock[] = []
  #builder: FileBlockBuilder

  constructor(resolve: (logPath: string) => string) {
    this.#resolve = resolve
    this.#builder = new FileBlockBuilder(resolve)
  }

  builder(): FileBlockBuilder {
    if (this.#builder.count === BLOCK_FILES) {
      this.#done.push(this.#builder.finish())
      this.#builder = new FileBlockBuilder(this.#resolve)
    }
    return this.#builder
  }

  finish(): readonly FileBlock[] {
    return [...this.#done, this.#builder.finish()]
  }
}

async function readFiles(
  store: ObjectStore,
  connection: EngineConnection,
  path: string,
  partitions: readonly string[],
  reader: FileReader,
): Promise<void> {
  const file = await checkpointSource(store, connection, path)
  const type = (await columnsOf(connection, file)).find((column) => column.name === 'add')?.type
  if (type === undefined) return
  const sql = `SELECT ${selectItems(type, partitions, path).join(', ')} FROM ${file} WHERE add IS NOT NULL`
  const prepared = await connection.prepare(sql)
  try {
    const stream = await prepared.stream()
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) {
      takeChunk(chunk, partitions, path, reader)
    }
  } finally {
    prepared.destroy()
  }
}

/** The columns that `takeChunk` reads, in its order. */
function selectItems(
  type: EngineType,
  partitions: readonly string[],
  path: string,
): readonly string[] {
  if (type.kind !== 'struct') throw corrupt(path, '"add" is not a struct')
  const fields = new Map(type.fields.map((field) => [field.name, field.type]))
  const json = (value: string): string =>
    `CASE WHEN ${value} IS NOT NULL THEN to_json(${value})::VARCHAR END`
  const optional = (name: string, item: (value: string) => string, type = 'VARCHAR'): string =>
    fields.has(name) ? item(`add.${quoteIdentifier(name)}`) : `NULL::${type}`
  const rest = [...fields.keys()].filter((name) => !OWN_FIELDS.has(name))
  const values = 'add."partitionValues"'
  const isMap = fields.get('partitionValues')?.kind === 'map'
  const keys = partitions.map((name) => quoteLiteral(name))
  const regular = [
    `cardinality(${values}) = ${partitions.length}`,
    ...keys.map((key) => `map_contains(${values}, ${key})`),
  ]
  return [
    optional('path', (value) => `${value}::VARCHAR`),
    optional('size', (value) => `${value}::DOUBLE`, 'DOUBLE'),
    optional('modificationTime', (value) => `${value}::DOUBLE`, 'DOUBLE'),
    optional('stats', (value) => `${value}::VARCHAR`),
    fields.has('stats_parsed')
      ? `CASE WHEN ${optional('stats', (value) => value)} IS NULL AND add.stats_parsed IS NOT NULL THEN to_json(add.stats_parsed)::VARCHAR END`
      : 'NULL::VARCHAR',
    optional('deletionVector', json),
    rest.length === 0
      ? 'NULL::VARCHAR'
      : `CASE WHEN ${rest.map((name) => `add.${quoteIdentifier(name)} IS NOT NULL`).join(' OR ')} THEN to_json(struct_pack(${rest
          .map((name) => `${quoteIdentifier(name)} := add.${quoteIdentifier(name)}`)
          .join(', ')}))::VARCHAR END`,
    // Rows whose partition values are not exactly the table's are told as a whole.
    !fields.has('partitionValues')
      ? 'NULL::VARCHAR'
      : isMap
        ? `CASE WHEN ${values} IS NOT NULL AND NOT (${regular.join(' AND ')}) THEN to_json(${values})::VARCHAR END`
        : json(values),
    ...keys.map((key) => (isMap ? `${values}[${key}]::VARCHAR` : 'NULL::VARCHAR')),
  ]
}

function takeChunk(
  chunk: RowChunk,
  partitions: readonly string[],
  path: string,
  reader: FileReader,
): void {
  const count = chunk.rowCount
  const texts = (index: number): readonly (Buffer | null)[] => readTexts(chunk.column(index), count)
  const paths = texts(0)
  const sizes = readDoubles(chunk, 1)
  const times = readDoubles(chunk, 2)
  const stats = texts(3)
  const parsed = texts(4)
  const vectors = texts(5)
  const rest = texts(6)
  const odd = texts(7)
  const values = partitions.map((_, i) => texts(8 + i))
  for (let row = 0; row < count; row++) {
    const name = paths[row] ?? null
    const size = sizes[row] ?? Number.NaN
    if (name === null) throw corrupt(path, '"add" has no "path"')
    if (Number.isNaN(size)) throw corrupt(path, '"add" has no "size"')
    const builder = reader.builder()
    const oddValues = odd[row] ?? null
    if (oddValues !== null) {
      const map = JSON.parse(oddValues.toString('utf8')) as { readonly [name: string]: unknown }
      for (const [key, value] of Object.entries(map)) {
        builder.partition(key, value === null ? null : String(value))
      }
    } else {
      for (const [i, key] of partitions.entries()) {
        builder.partition(key, values[i]?.[row]?.toString('utf8') ?? null)
      }
    }
    const struct = parsed[row] ?? null
    const statistics =
      struct === null ? (stats[row] ?? null) : Buffer.from(quoteNonFinite(struct.toString('utf8')))
    const vector = vectors[row] ?? null
    builder.pushColumns(
      name,
      size,
      orZero(times[row]),
      vector === null ? null : parseVector(vector.toString('utf8'), path),
      statistics,
      rest[row] ?? null,
    )
  }
}

function orZero(value: number | undefined): number {
  return value === undefined || Number.isNaN(value) ? 0 : value
}

/** A vector of doubles, null as NaN. */
function readDoubles(chunk: RowChunk, index: number): Float64Array {
  const vector = chunk.column(index)
  const bytes = vector.data(chunk.rowCount, 8).slice()
  const doubles = new Float64Array(bytes.buffer, 0, chunk.rowCount)
  const validity = vector.validity(chunk.rowCount)
  for (let row = 0; validity !== null && row < chunk.rowCount; row++) {
    if ((((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) doubles[row] = Number.NaN
  }
  return doubles
}

function parseVector(text: string, path: string): DeletionVector {
  const action = actionOf(
    { add: { path: '', size: 0, deletionVector: JSON.parse(text) as unknown } },
    path,
  )
  return action?.kind === 'add' ? (action.add.deletionVector ?? null) : null
}

type DeletionVector = Parameters<FileBlockBuilder['pushColumns']>[3]
