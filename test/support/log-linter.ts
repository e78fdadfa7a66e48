/** Reads a table's log and files by the letter of the specification and says what is wrong with them. */

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from '../../storage/engine.js'
import { readDeletionVector } from '../../storage/deletion-vector.js'
import { LocalStore } from '../../storage/local-store.js'
import { escapeGlob } from '../../storage/file-path.js'
import { lintChangeData } from './feed-linter.js'

type Json = { readonly [key: string]: unknown }

interface Vector {
  readonly storageType: string
  readonly pathOrInlineDv: string
  readonly offset?: number
  readonly sizeInBytes: number
  readonly cardinality: number
}

interface File {
  readonly path: string
  readonly partitionValues: { readonly [name: string]: string | null }
  readonly size: number
  readonly modificationTime: number
  readonly dataChange: boolean
  readonly stats?: string
  readonly deletionVector?: Vector
  readonly baseRowId?: number
}

interface Field {
  readonly name: string
  readonly type: unknown
  readonly nullable: boolean
  readonly metadata: Json
}

/** What a lint found beside faults. */
export interface LintReport {
  readonly faults: readonly string[]
  readonly version: number
  /** Data files that no commit names: left by transactions that failed. */
  readonly orphans: readonly string[]
  /** Actions of each version, as parsed. */
  readonly commits: readonly (readonly Json[])[]
}

const ACTIONS = [
  'commitInfo',
  'protocol',
  'metaData',
  'add',
  'remove',
  'txn',
  'domainMetadata',
  'cdc',
]

/** The file that a path of the log means: files of shallow clones are absolute URLs. */
function fileOf(table: string, path: string): string {
  return path.startsWith('file://') ? path.slice('file://'.length) : join(table, path)
}

/** Checks the table in folder `tablePath` of the local folder `root`. */
export async function lintTable(
  root: string,
  tablePath: string,
  connection: EngineConnection,
): Promise<LintReport> {
  const faults: string[] = []
  const table = join(root, tablePath)
  const log = join(table, '_delta_log')
  const names = readdirSync(log).sort()
  const versions = names
    .filter((name) => /^\d{20}\.json$/.test(name))
    .map((name) => Number.parseInt(name, 10))
  const fault = (text: string): void => {
    faults.push(text)
  }
  for (const [i, version] of versions.entries()) if (version !== i) fault(`version ${i} is missing`)
  for (const name of names) {
    if (
      !/^(\d{20}\.(json|crc|checkpoint\.parquet|\d{20}\.compacted\.json)|_last_checkpoint)$/.test(
        name,
      )
    )
      fault(`odd file ${name}`)
  }
  for (const name of readdirSync(table))
    if (name.startsWith('_staging')) fault(`staging folder ${name} is left`)

  const live = new Map<string, File>()
  const tombstones = new Map<string, Json>()
  const everNamed = new Set<string>()
  const txnIds = new Set<unknown>()
  const transactions = new Map<string, Json>()
  const domains = new Map<string, Json>()
  let metadata: Json | null = null
  let protocol: Json | null = null
  let definitions = 0
  let maxColumnId = -1
  let inCommitMs = Number.NEGATIVE_INFINITY
  const commits: Json[][] = []

  for (const version of versions) {
    const at = (text: string): void => fault(`version ${version}: ${text}`)
    const text = readFileSync(join(log, `${String(version).padStart(20, '0')}.json`), 'utf8')
    if (!text.endsWith('\n')) at('the last line is not ended')
    const actions = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Json)
    commits.push(actions)
    const counts = new Map<string, number>()
    for (const action of actions) {
      const keys = Object.keys(action)
      if (keys.length !== 1 || !ACTIONS.includes(keys[0] ?? '')) at(`a line holds ${keys}`)
      counts.set(keys[0] ?? '', (counts.get(keys[0] ?? '') ?? 0) + 1)
    }
    for (const kind of ['commitInfo', 'protocol', 'metaData']) {
      if ((counts.get(kind) ?? 0) > 1) at(`${counts.get(kind)} ${kind}`)
    }
    if (version === 0 && !(counts.has('protocol') && counts.has('metaData')))
      at('no protocol or metaData')
    const info = actions[0]?.commitInfo as Json | undefined
    if (info === undefined) at('commitInfo is not first')
    else {
      if (typeof info.timestamp !== 'number') at('commitInfo has no timestamp')
      if (typeof info.operation !== 'string') at('commitInfo has no operation')
      if (!/^Lakegate\/\d/.test(String(info.engineInfo))) at('commitInfo names no engine')
      if (txnIds.has(info.txnId)) at(`txnId ${String(info.txnId)} was committed before`)
      txnIds.add(info.txnId)
      for (const [name, value] of Object.entries(info.operationMetrics as Json)) {
        if (typeof value !== 'string') at(`metric ${name} is not a string`)
      }
      const changes = actions.some((action) => action.remove !== undefined)
      // One commit may make a table and alter it.
      if (/COLUMN|ALTER/.test(JSON.stringify(info.operationParameters ?? ''))) definitions++
      // Files of other writers may lack columns, too.
      if (info.operation === 'CONVERT' || info.operation === 'CLONE') definitions++
      if (info.isBlindAppend === true && changes) at('a blind append removes')
    }
    for (const action of actions) {
      if (action.metaData !== undefined) {
        metadata = action.metaData as Json
        definitions++
      }
      if (action.protocol !== undefined) protocol = action.protocol as Json
      if (action.txn !== undefined) {
        const txn = action.txn as Json
        if (typeof txn.appId !== 'string') at('txn has no appId')
        transactions.set(String(txn.appId), txn)
      }
      if (action.domainMetadata !== undefined) {
        const domain = action.domainMetadata as Json
        if (domain.removed === true) domains.delete(String(domain.domain))
        else domains.set(String(domain.domain), domain)
      }
    }
    if (metadata === null || protocol === null) continue
    const configuration = metadata.configuration as { readonly [key: string]: string }
    lintProtocol(protocol, metadata, at)
    const columnId = Number(configuration['delta.columnMapping.maxColumnId'] ?? -1)
    if (columnId < maxColumnId) at('maxColumnId went down')
    maxColumnId = columnId
    if (configuration['delta.enableInCommitTimestamps'] === 'true') {
      const stamp = Number(info?.inCommitTimestamp)
      if (!(stamp > inCommitMs)) at(`in-commit timestamp ${stamp} does not follow ${inCommitMs}`)
      inCommitMs = stamp
    }
    const partitions = partitionNames(metadata)
    const added = new Set<string>()
    const removed = new Set<string>()
    const removedKeys = new Set<string>()
    for (const action of actions) {
      const remove = action.remove as File | undefined
      if (remove === undefined) continue
      const path = decodeURIComponent(remove.path)
      if (removed.has(path)) at(`${path} is removed twice`)
      removed.add(path)
      const key = keyOf(remove)
      removedKeys.add(key)
      if (!live.delete(key)) at(`${key} is removed but not live`)
      tombstones.set(key, action.remove as Json)
      if (configuration['delta.appendOnly'] === 'true' && remove.dataChange)
        at('append-only, yet removed')
      if (typeof (remove as unknown as Json).deletionTimestamp !== 'number')
        at('no deletionTimestamp')
    }
    const rowIds: [number, number][] = []
    for (const action of actions) {
      const add = action.add as File | undefined
      if (add === undefined) continue
      const path = decodeURIComponent(add.path)
      if (added.has(path)) at(`${path} is added twice`)
      added.add(path)
      const key = keyOf(add)
      if (removedKeys.has(key)) at(`${key} is added and removed`)
      if ([...live.values()].some((file) => decodeURIComponent(file.path) === path))
        at(`${path} is live already`)
      live.set(key, add)
      tombstones.delete(key)
      everNamed.add(path)
      const keys = Object.keys(add.partitionValues).sort()
      if (JSON.stringify(keys) !== JSON.stringify([...partitions].sort()))
        at(`${path} has partition values ${keys}`)
      if (!(add.modificationTime > 0)) at(`${path} has no modification time`)
      const onDisk = fileOf(table, path)
      if (!existsSync(onDisk)) at(`${path} does not exist`)
      else if (statSync(onDisk).size !== add.size)
        at(`${path} has ${statSync(onDisk).size} bytes instead of ${add.size}`)
      if (add.baseRowId !== undefined) {
        const count = (JSON.parse(add.stats ?? '{}') as { numRecords: number }).numRecords
        rowIds.push([add.baseRowId, add.baseRowId + count])
      }
    }
    rowIds.sort((a, b) => a[0] - b[0])
    rowIds.forEach(([from], i) => {
      if (i > 0 && from < (rowIds[i - 1]?.[1] ?? 0)) at('row ids overlap')
    })
    const isAlteredHere = actions.some((action) => action.metaData !== undefined)
    const changed = await lintChangeData(
      table,
      actions,
      configuration,
      partitions,
      // Rows that were changed before a column came along lack it.
      isAlteredHere ? [] : storedNames(metadata),
      connection,
      at,
    )
    for (const path of changed) everNamed.add(path)
    lintChecksum(log, version, live, metadata, protocol, transactions, domains, at)
    await lintCheckpoint(log, version, live, tombstones, transactions, domains, connection, at)
  }
  for (const name of names) lintCompaction(log, name, commits, fault)
  if (metadata !== null && protocol !== null) {
    for (const file of live.values()) {
      const isAltered = definitions > 1
      await lintDataFile(root, tablePath, metadata, protocol, file, connection, fault, isAltered)
    }
  }
  const orphans = readdirSync(table, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.parquet') && !/^_(?!change_data\/)/.test(name))
    .filter((name) => !everNamed.has(name))
  return { faults, version: versions.length - 1, orphans, commits }
}

/** A log compaction holds the last word of its commits on each file, application and domain, and no more. */
function lintCompaction(
  log: string,
  name: string,
  commits: readonly (readonly Json[])[],
  fault: (text: string) => void,
): void {
  const match = /^(\d{20})\.(\d{20})\.compacted\.json$/.exec(name)
  if (match === null) return
  const last = new Map<string, Json>()
  const keyed = (action: Json): string | null => {
    const [kind] = Object.keys(action)
    if (kind === 'add' || kind === 'remove') return `file ${keyOf(action[kind] as File)}`
    if (kind === 'txn') return `txn ${String((action.txn as Json).appId)}`
    if (kind === 'domainMetadata') return `domain ${String((action[kind] as Json).domain)}`
    return kind === 'metaData' || kind === 'protocol' ? kind : null
  }
  for (const actions of commits.slice(Number(match[1]), Number(match[2]) + 1)) {
    const removesFirst = [
      ...actions.filter((action) => action.add === undefined),
      ...actions.filter((action) => action.add !== undefined),
    ]
    for (const action of removesFirst) {
      const key = keyed(action)
      if (key !== null) last.set(key, action)
    }
  }
  const found = readFileSync(join(log, name), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.stringify(JSON.parse(line)))
    .sort()
  const wanted = [...last.values()].map((action) => JSON.stringify(action)).sort()
  if (JSON.stringify(found) !== JSON.stringify(wanted)) fault(`${name} sums up something else`)
}

function keyOf(file: File): string {
  const vector = file.deletionVector
  const id =
    vector === undefined ? '' : ` ${vector.storageType}${vector.pathOrInlineDv}@${vector.offset}`
  return decodeURIComponent(file.path) + id
}

function fieldsOf(metadata: Json): readonly Field[] {
  return (JSON.parse(metadata.schemaString as string) as { fields: Field[] }).fields
}

function physical(field: Field): string {
  return String(field.metadata['delta.columnMapping.physicalName'] ?? field.name)
}

function partitionNames(metadata: Json): string[] {
  const fields = fieldsOf(metadata)
  return (metadata.partitionColumns as string[]).map((name) => {
    const field = fields.find((one) => one.name === name)
    return field === undefined ? `no column ${name}` : physical(field)
  })
}

/** Physical names of the columns that files hold. */
function storedNames(metadata: Json): string[] {
  const partitions = partitionNames(metadata)
  return fieldsOf(metadata)
    .filter((field) => field.type !== 'void')
    .map(physical)
    .filter((name) => !partitions.includes(name))
}

const IMPLIED: readonly (readonly [name: string, writer: number])[] = [
  ['appendOnly', 2],
  ['invariants', 2],
  ['checkConstraints', 3],
  ['changeDataFeed', 4],
  ['generatedColumns', 4],
  ['columnMapping', 5],
  ['identityColumns', 6],
]

function lintProtocol(protocol: Json, metadata: Json, at: (text: string) => void): void {
  const reader = protocol.minReaderVersion as number
  const writer = protocol.minWriterVersion as number
  const readers = protocol.readerFeatures as string[] | undefined
  const writers = protocol.writerFeatures as string[] | undefined
  if ((readers !== undefined) !== (reader === 3)) at('readerFeatures without reader version 3')
  if ((writers !== undefined) !== (writer === 7)) at('writerFeatures without writer version 7')
  if (reader === 3 && writer !== 7) at('reader 3 needs writer 7')
  for (const name of readers ?? []) if (!writers?.includes(name)) at(`${name} is no writer feature`)
  const has = (name: string): boolean =>
    writers?.includes(name) ?? IMPLIED.some(([one, version]) => one === name && writer >= version)
  const configuration = metadata.configuration as { readonly [key: string]: string }
  const needs: [string, boolean][] = [
    ['deletionVectors', configuration['delta.enableDeletionVectors'] === 'true'],
    ['columnMapping', (configuration['delta.columnMapping.mode'] ?? 'none') !== 'none'],
    ['inCommitTimestamp', configuration['delta.enableInCommitTimestamps'] === 'true'],
    ['rowTracking', configuration['delta.enableRowTracking'] === 'true'],
    ['changeDataFeed', configuration['delta.enableChangeDataFeed'] === 'true'],
    ['appendOnly', configuration['delta.appendOnly'] === 'true'],
    ['timestampNtz', /"timestamp_ntz"/.test(metadata.schemaString as string)],
    ['generatedColumns', /"delta.generationExpression"/.test(metadata.schemaString as string)],
    ['allowColumnDefaults', /"CURRENT_DEFAULT"/.test(metadata.schemaString as string)],
    ['invariants', /"nullable":false/.test(metadata.schemaString as string)],
    ['typeWidening', /"delta.typeChanges"/.test(metadata.schemaString as string)],
    [
      'checkConstraints',
      Object.keys(configuration).some((key) => key.startsWith('delta.constraints.')),
    ],
  ]
  for (const [name, needed] of needs) if (needed && !has(name)) at(`the protocol lacks ${name}`)
  if (
    writer === 7 &&
    ['deletionVectors', 'columnMapping', 'timestampNtz'].some((name) => writers?.includes(name)) &&
    reader !== 3
  ) {
    at('a reader feature without reader version 3')
  }
  for (const key of Object.keys(configuration))
    if (key.startsWith('delta.feature.')) at(`${key} is stored`)
  const ids = new Set<unknown>()
  const names = new Set<string>()
  const visit = (fields: readonly Field[], path: string): void => {
    for (const field of fields) {
      const name = `${path}/${physical(field)}`
      if (names.has(name)) at(`physical name ${name} is not unique`)
      names.add(name)
      const id = field.metadata['delta.columnMapping.id']
      if (id !== undefined && ids.has(id)) at(`column id ${String(id)} is not unique`)
      ids.add(id)
      if (
        has('columnMapping') &&
        configuration['delta.columnMapping.mode'] === 'name' &&
        id === undefined
      )
        at(`${field.name} has no id`)
      const type = field.type as { readonly type?: string; readonly fields?: readonly Field[] }
      if (type.type === 'struct') visit(type.fields ?? [], name)
    }
  }
  visit(fieldsOf(metadata), '')
}

function lintChecksum(
  log: string,
  version: number,
  live: ReadonlyMap<string, File>,
  metadata: Json,
  protocol: Json,
  transactions: ReadonlyMap<string, Json>,
  domains: ReadonlyMap<string, Json>,
  at: (text: string) => void,
): void {
  const path = join(log, `${String(version).padStart(20, '0')}.crc`)
  if (!existsSync(path)) return
  const found = JSON.parse(readFileSync(path, 'utf8')) as Json
  const sizes = [...live.values()].reduce((sum, file) => sum + file.size, 0)
  const sorted = (items: Iterable<Json>): string[] =>
    [...items].map((item) => JSON.stringify(item)).sort()
  const expected: [string, unknown, unknown][] = [
    ['numFiles', found.numFiles, live.size],
    ['tableSizeBytes', found.tableSizeBytes, sizes],
    ['numMetadata', found.numMetadata, 1],
    ['numProtocol', found.numProtocol, 1],
    ['metadata', found.metadata, metadata],
    ['protocol', found.protocol, protocol],
    ['setTransactions', sorted(found.setTransactions as Json[]), sorted(transactions.values())],
    ['domainMetadata', sorted(found.domainMetadata as Json[]), sorted(domains.values())],
  ]
  for (const [name, actual, wanted] of expected) {
    if (JSON.stringify(actual) !== JSON.stringify(wanted)) {
      at(`the checksum's ${name} is ${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`)
    }
  }
}

async function lintCheckpoint(
  log: string,
  version: number,
  live: ReadonlyMap<string, File>,
  tombstones: ReadonlyMap<string, Json>,
  transactions: ReadonlyMap<string, Json>,
  domains: ReadonlyMap<string, Json>,
  connection: EngineConnection,
  at: (text: string) => void,
): Promise<void> {
  const path = join(log, `${String(version).padStart(20, '0')}.checkpoint.parquet`)
  if (!existsSync(path)) return
  const file = `read_parquet(${quoteLiteral(escapeGlob(path))})`
  const rows = await connection.query(
    `SELECT to_json("add")::VARCHAR, to_json(remove)::VARCHAR, txn."appId", "domainMetadata".domain, protocol IS NOT NULL, "metaData" IS NOT NULL FROM ${file}`,
  )
  const found = new Set<string>()
  let removes = 0
  for (const [add, remove] of rows) {
    if (typeof add === 'string') {
      const parsed = JSON.parse(add) as File
      const cleaned = {
        ...parsed,
        ...(parsed.deletionVector === null ? { deletionVector: undefined } : {}),
      } as File
      found.add(keyOf(cleaned))
      if (parsed.dataChange) at('a checkpoint says dataChange')
      const known = live.get(keyOf(cleaned))
      if (
        known !== undefined &&
        parsed.stats !== known.stats &&
        !JSON.stringify(parsed).includes('stats_parsed')
      ) {
        at(`the checkpoint's statistics of ${parsed.path} differ`)
      }
    }
    if (typeof remove === 'string') {
      removes++
      const parsed = JSON.parse(remove) as File
      if (parsed.deletionVector === null && !tombstones.has(decodeURIComponent(parsed.path)))
        at(`the checkpoint has tombstone ${parsed.path}`)
    }
  }
  if (JSON.stringify([...found].sort()) !== JSON.stringify([...live.keys()].sort()))
    at('the checkpoint has other files')
  if (removes !== tombstones.size)
    at(`the checkpoint has ${removes} tombstones instead of ${tombstones.size}`)
  if (rows.filter((row) => row[2] !== null).length !== transactions.size)
    at('the checkpoint has other transactions')
  if (rows.filter((row) => row[3] !== null).length !== domains.size)
    at('the checkpoint has other domains')
  for (const column of [4, 5])
    if (rows.filter((row) => row[column] === true).length !== 1) at('not one protocol and metaData')
  const shape = await connection.query(
    `SELECT type FROM parquet_schema(${quoteLiteral(path)}) WHERE name IN ('minReaderVersion', 'minWriterVersion', 'sizeInBytes', 'offset')`,
  )
  if (shape.some((row) => row[0] !== 'INT32'))
    at('the checkpoint has a 64-bit integer where readers expect 32')
}

interface Bounds {
  readonly min: Json
  readonly max: Json
  readonly nulls: Json
}

/** DuckDB's names of Delta's types, where they differ. */
const ENGINE_TYPES: { readonly [type: string]: string } = {
  long: 'BIGINT',
  short: 'SMALLINT',
  byte: 'TINYINT',
  timestamp: 'TIMESTAMPTZ',
  timestamp_ntz: 'TIMESTAMP',
  string: 'VARCHAR',
}

/** Parquet's physical and converted type of Delta's primitive types. */
const PARQUET: { readonly [type: string]: string } = {
  string: 'BYTE_ARRAY UTF8',
  long: 'INT64 INT_64',
  integer: 'INT32 INT_32',
  short: 'INT32 INT_16',
  byte: 'INT32 INT_8',
  float: 'FLOAT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  binary: 'BYTE_ARRAY',
  date: 'INT32 DATE',
  timestamp: 'INT64 TIMESTAMP_MICROS utc=1',
  timestamp_ntz: 'INT64 TIMESTAMP_MICROS utc=0',
}

function parquetType(type: string): string {
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(type)
  if (decimal === null) return PARQUET[type] ?? `no type ${type}`
  const precision = Number(decimal[1])
  const stored = precision <= 9 ? 'INT32' : precision <= 18 ? 'INT64' : 'FIXED_LEN_BYTE_ARRAY'
  return `${stored} DECIMAL ${type}`
}

/**
 * Of an altered table, `isAltered`, files may lack columns that were added later, hold those that
 * were dropped, be without ids, and be of types that were widened.
 */
async function lintDataFile(
  root: string,
  tablePath: string,
  metadata: Json,
  protocol: Json,
  file: File,
  connection: EngineConnection,
  fault: (text: string) => void,
  isAltered: boolean,
): Promise<void> {
  const path = fileOf(join(root, tablePath), decodeURIComponent(file.path))
  const at = (text: string): void => fault(`${file.path}: ${text}`)
  if (!existsSync(path)) return
  const url = quoteLiteral(escapeGlob(path))
  const relation = `read_parquet(${url}, hive_partitioning = false)`
  const partitions = partitionNames(metadata)
  const stored = fieldsOf(metadata).filter(
    (field) => !partitions.includes(physical(field)) && field.type !== 'void',
  )
  const mapped = ((metadata.configuration as Json)['delta.columnMapping.mode'] ?? 'none') !== 'none'
  const nodes = await connection.query(
    `SELECT name, coalesce(num_children, 0)::INTEGER, field_id::INTEGER, type, converted_type, precision::INTEGER, scale::INTEGER, logical_type FROM parquet_schema(${url})`,
  )
  const columns: string[] = []
  for (let i = 1; i < nodes.length; i += 1 + descendants(nodes, i)) {
    columns.push(String(nodes[i]?.[0]))
  }
  const fields = isAltered
    ? columns.flatMap((name) => stored.filter((field) => physical(field) === name))
    : stored
  for (const field of stored) {
    if (!field.nullable && !columns.includes(physical(field))) at(`no column ${physical(field)}`)
  }
  let position = 1
  const visit = (expected: readonly Field[], count: number, names: string): void => {
    if (count !== expected.length) at(`${count} columns instead of ${expected.length} ${names}`)
    for (const field of expected) {
      while (isAltered && position < nodes.length && nodes[position]?.[0] !== physical(field)) {
        position += 1 + descendants(nodes, position)
      }
      const [name, children, id, type, converted, precision, scale, logical] =
        nodes[position++] ?? []
      if (name !== physical(field)) at(`column ${String(name)} instead of ${physical(field)}`)
      const wantedId = mapped ? field.metadata['delta.columnMapping.id'] : null
      if (id !== wantedId && !(isAltered && id === null))
        at(`column ${String(name)} has id ${String(id)} instead of ${String(wantedId)}`)
      const kind = (field.type as { readonly type?: string }).type
      if (typeof field.type === 'string') {
        const utc = /isAdjustedToUTC=(\d)/.exec(String(logical))?.[1]
        const decimal =
          converted === 'DECIMAL' ? ` decimal(${String(precision)},${String(scale)})` : ''
        const found =
          [type, converted].filter((part) => part !== null).join(' ') +
          decimal +
          (utc === undefined ? '' : ` utc=${utc}`)
        if (![field.type, ...narrower(field)].map(parquetType).includes(found))
          at(`column ${String(name)} is ${found} instead of ${parquetType(field.type)}`)
      } else if (kind === 'struct')
        visit((field.type as { fields: Field[] }).fields, Number(children), String(name))
      else position += descendants(nodes, position - 1)
    }
  }
  // Rows that moved keep their ids in hidden columns.
  const configuration = metadata.configuration as { readonly [key: string]: string }
  const kept = [
    configuration['delta.rowTracking.materializedRowIdColumnName'],
    configuration['delta.rowTracking.materializedRowCommitVersionColumnName'],
  ].flatMap((name): Field[] =>
    name === undefined
      ? []
      : [{ name, type: 'long', nullable: true, metadata: { 'delta.columnMapping.id': null } }],
  )
  const expected = kept.some(({ name }) => columns.includes(name)) ? [...fields, ...kept] : fields
  visit(expected, isAltered ? expected.length : columns.length, 'of the file')

  const stats = JSON.parse(file.stats ?? '{}') as {
    numRecords?: number
    minValues?: Json
    maxValues?: Json
    nullCount?: Json
  }
  // All that is asked of the rows is asked by one query; each answer is judged by its own function.
  const questions: { readonly sql: string; readonly judge: (answer: number) => void }[] = []
  const ask = (sql: string, judge: (answer: number) => void): void => {
    questions.push({ sql, judge })
  }
  let rows = 0
  ask('count(*)', (count) => {
    rows = count
    if (stats.numRecords !== count) at(`${count} rows instead of ${stats.numRecords}`)
    if (count === 0) at('no rows')
  })
  const check = (expected: readonly Field[], above: readonly string[], part: Bounds): void => {
    const { min, max, nulls } = part
    for (const name of Object.keys({ ...min, ...max, ...nulls })) {
      const isDropped = isAltered && columns.includes(name)
      if (!isDropped && !expected.some((field) => physical(field) === name)) {
        at(`statistics of an unknown column ${name}`)
      }
    }
    for (const field of expected) {
      const name = physical(field)
      const path = [...above, name]
      const type = field.type as string | { readonly type: string; readonly fields?: Field[] }
      if (typeof type !== 'string' && type.type === 'struct') {
        const below = (side: Json): Json => (side[name] ?? {}) as Json
        check(type.fields ?? [], path, { min: below(min), max: below(max), nulls: below(nulls) })
        continue
      }
      const column = path
        .map((one, i) => (i === 0 ? quoteIdentifier(one) : `[${quoteLiteral(one)}]`))
        .join('')
      if (typeof type !== 'string' || ['boolean', 'binary'].includes(type)) {
        if (name in min || name in max) at(`bounds of ${name}, whose type has none`)
      } else {
        for (const [side, bounds, operator] of [
          ['minValues', min, '<'],
          ['maxValues', max, '>'],
        ] as const) {
          if (!(name in bounds)) continue
          // The bound's own text, digits and all.
          const exact = boundText(file.stats ?? '', side, path)
          const bound = `CAST(${quoteLiteral(exact)} AS ${ENGINE_TYPES[type] ?? type})`
          ask(`count(*) FILTER (WHERE ${column} ${operator} ${bound})`, (count) => {
            if (count !== 0) at(`${count} values of ${name} ${operator} ${exact}`)
          })
        }
        ask(`count(${column})`, (count) => {
          if (count === 0 && name in min) at(`a bound of ${name}, which is all null`)
        })
      }
      if (!(name in nulls)) continue
      ask(`count(*) - count(${column})`, (count) => {
        if (count !== nulls[name]) {
          at(`nullCount of ${name} is ${String(nulls[name])} instead of ${count}`)
        }
      })
    }
  }
  const { minValues = {}, maxValues = {}, nullCount = {} } = stats
  check(fields, [], { min: minValues, max: maxValues, nulls: nullCount })
  const [answers] = await connection.query(
    `SELECT ${questions.map(({ sql }) => sql).join(', ')} FROM ${relation}`,
  )
  for (const [i, { judge }] of questions.entries()) judge(Number(answers?.[i]))
  if (file.deletionVector !== undefined) {
    const deleted = await readDeletionVector(new LocalStore(root), tablePath, file.deletionVector)
    if (deleted.some((row) => row >= rows)) at('a deleted row beyond the end')
    if (deleted.length >= rows) at('every row is deleted, yet the file is live')
    const writers = (protocol.writerFeatures ?? []) as string[]
    if (!writers.includes('deletionVectors')) at('a deletion vector without the feature')
  }
}

/** The types that a column has had before it was widened. */
function narrower(field: Field): readonly string[] {
  const changes = (field.metadata['delta.typeChanges'] ?? []) as { readonly fromType: string }[]
  return changes.map(({ fromType }) => fromType)
}

function descendants(nodes: readonly (readonly unknown[])[], at: number): number {
  const count = Number(nodes[at]?.[1])
  let next = at + 1
  for (let i = 0; i < count; i++) next += 1 + descendants(nodes, next)
  return next - at - 1
}

/** A bound as it is written, not as JavaScript's numbers would have it. */
function boundText(stats: string, side: string, path: readonly string[]): string {
  const quoted = stats.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  )
  let found: unknown = (JSON.parse(quoted) as Json)[side]
  for (const name of path) found = (found as Json)[name]
  return String(found)
}
