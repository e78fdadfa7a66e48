/** File statistics: what the log says of the values in a data file, computed from the file itself. */

import { physicalNameOf } from './column-mapping.js'
import { type EngineConnection, quoteIdentifier, quoteLiteral } from './engine.js'
import { assert, SqlError, SqlState } from './errors.js'
import type { DataType, StructField } from './schema.js'
import { escapeGlob } from './file-path.js'
import type { Snapshot } from './snapshot.js'
import { printTimestamp, toMillisecond } from './time-text.js'

/** What statistics depend on, beside the file. */
export type StatisticsTarget = Pick<
  Snapshot,
  'tablePath' | 'schema' | 'metadata' | 'protocol' | 'columnMapping' | 'domains'
>

/** What is known of one written file. */
export interface FileStatistics {
  readonly rowCount: number
  /** The JSON text of `add.stats`. */
  readonly stats: string
}

/** A column, or a leaf of a struct, as it stands in the files. */
interface Leaf {
  /** Physical names from the column down. */
  readonly path: readonly string[]
  /** Logical names, for people. */
  readonly name: string
  readonly expression: string
  readonly type: DataType
}

/**
 * The statistics of the files `urls`, which were just written for `target`, in that order.
 *
 * Read from the files rather than taken from the writer: its bounds are cut and its counts of
 * nested values are not Delta's.
 *
 * 23502 when a column that may not be null is; 22008 for an infinite date or timestamp, which no
 * other engine knows.
 *
 * Delta protocol, "Per-file Statistics".
 */
export async function collectStatistics(
  connection: EngineConnection,
  target: StatisticsTarget,
  urls: readonly string[],
): Promise<readonly FileStatistics[]> {
  const leaves = fileLeaves(target)
  const indexed = indexedLeaves(target, leaves)
  const checks = nullChecks(target)
  // Times are looked at even where they are not indexed, for they may be infinite.
  const bounded = leaves.filter(
    (leaf) => boundItem(leaf, 'min') !== null && (indexed.has(leaf) || isTime(leaf.type)),
  )
  const items = [
    'count(*)',
    ...checks.map((check) => `count(*) FILTER (WHERE ${check.violated})`),
    ...[...indexed].map((leaf) => `count(*) - count(${leaf.expression})`),
    ...bounded.flatMap((leaf) => [boundItem(leaf, 'min') ?? '', boundItem(leaf, 'max') ?? '']),
  ]
  const rows = await rowsByFile(connection, target, urls, items)
  return rows.map((row) => {
    const values = row[Symbol.iterator]()
    const next = (): unknown => values.next().value
    const rowCount = Number(next())
    for (const check of checks) if (next() !== 0n) throw nullFound(target, check.name)
    const nullCounts = new Map([...indexed].map((leaf) => [leaf, String(next())]))
    const bounds = new Map(
      bounded.map((leaf) => [leaf, [next(), next()] as [string | null, string | null]]),
    )
    return { rowCount, stats: printStats(target, rowCount, indexed, nullCounts, bounds) }
  })
}

function nullFound(target: StatisticsTarget, column: string): SqlError {
  return new SqlError(
    SqlState.notNullViolation,
    `null value in column "${column}" of relation "${target.tablePath.split('/').at(-1)}" violates not-null constraint`,
  )
}

function printStats(
  target: StatisticsTarget,
  rowCount: number,
  indexed: ReadonlySet<Leaf>,
  nullCounts: ReadonlyMap<Leaf, string>,
  bounds: ReadonlyMap<Leaf, readonly [min: string | null, max: string | null]>,
): string {
  const minimums = new Map<Leaf, string>()
  const maximums = new Map<Leaf, string>()
  for (const [leaf, [min, max]] of bounds) {
    if (min === null || max === null) continue
    if (isTime(leaf.type) && /infinity/.test(min + max)) {
      throw new SqlError(
        SqlState.datetimeFieldOverflow,
        `an infinite value cannot be stored in column "${leaf.name}"`,
      )
    }
    // With a NaN among the values, readers disagree about where it sorts.
    if (!indexed.has(leaf) || (isFloating(leaf.type) && (min === 'nan' || max === 'nan'))) continue
    const low = printBound(min, leaf.type, 'min')
    const high = printBound(max, leaf.type, 'max')
    if (low !== null) minimums.set(leaf, low)
    if (high !== null) maximums.set(leaf, high)
  }
  const tight = target.protocol.writerFeatures?.includes('deletionVectors') === true
  return (
    `{"numRecords":${rowCount},"minValues":${nest(minimums)},"maxValues":${nest(maximums)}` +
    `,"nullCount":${nest(nullCounts)}${tight ? ',"tightBounds":true' : ''}}`
  )
}

async function rowsByFile(
  connection: EngineConnection,
  target: StatisticsTarget,
  urls: readonly string[],
  items: readonly string[],
): Promise<readonly (readonly unknown[])[]> {
  const select = `SELECT ${items.join(', ')}`
  const list = urls.map((url) => quoteLiteral(escapeGlob(url)))
  // The file's name is a virtual column, which a column of that name would hide.
  const hidden = target.schema.fields.some(
    (field) => physicalNameOf(field, target.columnMapping).toLowerCase() === 'filename',
  )
  if (urls.length === 1 || hidden) {
    const rows: (readonly unknown[])[] = []
    for (const url of list) {
      const [row] = await connection.query(
        `${select} FROM read_parquet(${url}, hive_partitioning = false) AS _file`,
      )
      assert(row !== undefined, 'an aggregate without groups has one row')
      rows.push(row)
    }
    return rows
  }
  const rows = await connection.query(
    `${select}, filename FROM read_parquet([${list.join(', ')}], hive_partitioning = false) AS _file GROUP BY filename`,
  )
  const byFile = new Map(rows.map((row) => [String(row.at(-1)), row]))
  return urls.map((url) => {
    const row = byFile.get(url)
    assert(row !== undefined, `the written file ${url} has rows`)
    return row
  })
}

/** Leaves of the columns that stand in the files: partition columns and void ones do not. */
function fileLeaves(target: StatisticsTarget): readonly Leaf[] {
  const partitions = new Set(target.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const leaves: Leaf[] = []
  const visit = (
    fields: readonly StructField[],
    path: readonly string[],
    name: string,
    of: string | null,
  ): void => {
    for (const field of fields) {
      const physical = physicalNameOf(field, target.columnMapping)
      const below = [...path, physical]
      const label = name === '' ? field.name : `${name}.${field.name}`
      const expression = of === null ? `_file.${quoteIdentifier(physical)}` : extract(of, physical)
      if (field.type.kind === 'primitive' && field.type.name === 'void') continue
      if (field.type.kind === 'struct') visit(field.type.fields, below, label, expression)
      else leaves.push({ path: below, name: label, expression, type: field.type })
    }
  }
  const stored = target.schema.fields.filter((field) => !partitions.has(field.name.toLowerCase()))
  visit(stored, [], '', null)
  return leaves
}

function extract(struct: string, name: string): string {
  return `struct_extract(${struct}, ${quoteLiteral(name)})`
}

/** Whether files written for `target` have statistics of the column with that physical path. */
export function hasStatistics(target: StatisticsTarget, path: readonly string[]): boolean {
  const found = [...indexedLeaves(target, fileLeaves(target))]
  return found.some((leaf) => leaf.path.join('\u0000') === path.join('\u0000'))
}

/** How many leaves have statistics unless the table says otherwise. */
const DEFAULT_INDEXED = 32

function indexedLeaves(target: StatisticsTarget, leaves: readonly Leaf[]): ReadonlySet<Leaf> {
  const { configuration } = target.metadata
  const named = configuration['delta.dataSkippingStatsColumns']
  const clustering = clusteringPaths(target.domains.get('delta.clustering'))
  const isUnder = (leaf: Leaf, path: readonly string[]): boolean =>
    path.every((name, i) => leaf.path[i]?.toLowerCase() === name.toLowerCase())
  const isClustered = (leaf: Leaf): boolean => clustering.some((path) => isUnder(leaf, path))
  if (named !== undefined && named.trim() !== '') {
    const prefixes = parseColumnList(named).map((path) => path.join('.').toLowerCase())
    return new Set(
      leaves.filter(
        (leaf) =>
          isClustered(leaf) ||
          prefixes.some((prefix) => `${leaf.name.toLowerCase()}.`.startsWith(`${prefix}.`)),
      ),
    )
  }
  const asked = Number(configuration['delta.dataSkippingNumIndexedCols'] ?? DEFAULT_INDEXED)
  const count = Number.isInteger(asked) ? asked : DEFAULT_INDEXED
  return new Set(leaves.filter((leaf, i) => count < 0 || i < count || isClustered(leaf)))
}

/** Physical paths of the columns that a `delta.clustering` domain names; none for a garbled one. */
export function clusteringPaths(configuration: string | undefined): readonly (readonly string[])[] {
  if (configuration === undefined) return []
  try {
    const parsed = JSON.parse(configuration) as { readonly clusteringColumns?: unknown }
    return Array.isArray(parsed.clusteringColumns)
      ? parsed.clusteringColumns.filter(Array.isArray).map((path) => path.map(String))
      : []
  } catch {
    return []
  }
}

/**
 * The columns of a property such as `delta.dataSkippingStatsColumns`, names in backquotes if odd.
 *
 * @example
 * parseColumnList('a, b.c, `x,y`')   // [['a'], ['b', 'c'], ['x,y']]
 */
export function parseColumnList(text: string): readonly (readonly string[])[] {
  const list: string[][] = []
  let path: string[] = []
  for (const [, quoted, plain, mark] of text.matchAll(/`((?:[^`]|``)*)`|([^`,.]+)|([,.])/g)) {
    if (quoted !== undefined) path.push(quoted.replaceAll('``', '`'))
    else if (plain !== undefined && plain.trim() !== '') path.push(plain.trim())
    if (mark === ',') {
      list.push(path)
      path = []
    }
  }
  return [...list, path].filter((names) => names.length > 0)
}

interface NullCheck {
  readonly name: string
  readonly violated: string
}

/** What must not be found in a file: nulls where the schema has none, at any depth. */
function nullChecks(target: StatisticsTarget): readonly NullCheck[] {
  const partitions = new Set(target.metadata.partitionColumns.map((name) => name.toLowerCase()))
  const checks: NullCheck[] = []
  const visit = (fields: readonly StructField[], name: string, of: string | null): void => {
    for (const field of fields) {
      if (of === null && partitions.has(field.name.toLowerCase())) continue
      const physical = physicalNameOf(field, target.columnMapping)
      const label = name === '' ? field.name : `${name}.${field.name}`
      const value = of === null ? `_file.${quoteIdentifier(physical)}` : extract(of, physical)
      if (field.type.kind === 'primitive' && field.type.name === 'void') continue
      if (!field.nullable) {
        const parent = of === null ? '' : `${of} IS NOT NULL AND `
        checks.push({ name: label, violated: `${parent}${value} IS NULL` })
      }
      if (field.type.kind === 'struct') visit(field.type.fields, label, value)
      else {
        const violated = nullWithin(target, field.type, value, 0)
        if (violated !== null) checks.push({ name: label, violated })
      }
    }
  }
  visit(target.schema.fields, '', null)
  return checks
}

/** Whether a value of `type` holds a null where it must not, as SQL; null when it may everywhere. */
function nullWithin(
  target: StatisticsTarget,
  type: DataType,
  value: string,
  depth: number,
): string | null {
  const element = `e${depth}`
  const someElement = (list: string, of: DataType, containsNull: boolean): string | null => {
    const inner = nullWithin(target, of, element, depth + 1)
    const tests = [
      ...(containsNull ? [] : [`${element} IS NULL`]),
      ...(inner === null ? [] : [inner]),
    ]
    return tests.length === 0
      ? null
      : `list_aggregate(list_transform(${list}, lambda ${element}: ${tests.join(' OR ')}), 'bool_or')`
  }
  const either = (tests: readonly (string | null)[]): string | null => {
    const some = tests.filter((test) => test !== null)
    return some.length === 0 ? null : `(${some.join(' OR ')})`
  }
  switch (type.kind) {
    case 'struct':
      return either(
        type.fields.map((field) => {
          const part = extract(value, physicalNameOf(field, target.columnMapping))
          return either([
            field.nullable ? null : `${value} IS NOT NULL AND ${part} IS NULL`,
            nullWithin(target, field.type, part, depth),
          ])
        }),
      )
    case 'array':
      return someElement(value, type.element, type.containsNull)
    case 'map':
      return either([
        someElement(`map_keys(${value})`, type.key, true),
        someElement(`map_values(${value})`, type.value, type.valueContainsNull),
      ])
    default:
      return null
  }
}

/** Characters of a string that its bounds keep. */
const PREFIX_CHARACTERS = 32

/** The text form of an aggregate, as `printBound` reads it; null for a type without bounds. */
function boundExpression(type: DataType, value: string): string | null {
  if (type.kind === 'decimal') return `CAST(${value} AS VARCHAR)`
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
    case 'date':
      return `CAST(${value} AS VARCHAR)`
    case 'float':
    case 'double':
      // As a double, since readers may compare it with doubles: 0.1 is not the float that is meant.
      return `CAST(CAST(${value} AS DOUBLE) AS VARCHAR)`
    case 'timestamp':
    case 'timestamp_ntz':
      return `CASE WHEN isfinite(${value}) THEN CAST(epoch_us(${value}) AS VARCHAR) WHEN ${value} IS NOT NULL THEN 'infinity' END`
    case 'string':
      // Twice the prefix and one more: what the upper bound may need to look at.
      return `left(${value}, ${2 * PREFIX_CHARACTERS + 1})`
    default:
      return null
  }
}

function boundItem(leaf: Leaf, side: 'min' | 'max'): string | null {
  return boundExpression(leaf.type, `${side}(${leaf.expression})`)
}

function isFloating(type: DataType): boolean {
  return type.kind === 'primitive' && (type.name === 'float' || type.name === 'double')
}

function isTime(type: DataType): boolean {
  return type.kind === 'primitive' && ['date', 'timestamp', 'timestamp_ntz'].includes(type.name)
}

/** A bound as JSON, such that every value lies on the right side of it; null for none. */
function printBound(text: string, type: DataType, side: 'min' | 'max'): string | null {
  if (type.kind === 'decimal') return text
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
      return text
    case 'float':
    case 'double': {
      const value = Number(text.replace('inf', 'Infinity'))
      if (!Number.isFinite(value)) return null
      // The two zeros are equal here, but not to every reader.
      return value === 0 ? (side === 'min' ? '-0.0' : '0.0') : text
    }
    case 'date':
      return /^\d{4}-\d\d-\d\d$/.test(text) ? JSON.stringify(text) : null
    case 'timestamp':
    case 'timestamp_ntz': {
      // Bounds have milliseconds. The lower is cut off; the upper is rounded up, so that it holds
      // also for readers that do not add the millisecond the specification asks them to add.
      const printed = printTimestamp(
        toMillisecond(BigInt(text), side === 'min' ? 'past' : 'future'),
        3,
      )
      if (printed === null) return null
      const iso = printed.replace(' ', 'T')
      return JSON.stringify(type.name === 'timestamp' ? `${iso}Z` : iso)
    }
    case 'string': {
      const bound = side === 'min' ? truncateMin(text) : truncateMax(text)
      return bound === null ? null : JSON.stringify(bound)
    }
    default:
      return null
  }
}

/**
 * A text no greater than `text`, of at most 32 characters.
 *
 * @example
 * truncateMin('a')   // 'a'
 */
export function truncateMin(text: string): string {
  return [...text].slice(0, PREFIX_CHARACTERS).join('')
}

/**
 * A text no less than any that begins like `text` and is no greater than it, or null for none.
 *
 * What was cut off is stood in for by a character that sorts after it. The order is that of UTF-8
 * bytes, which is that of code points.
 *
 * @example
 * truncateMax('z'.repeat(40)) === 'z'.repeat(32) + '\u007f'   // true
 */
export function truncateMax(text: string): string | null {
  const characters = [...text]
  if (characters.length <= PREFIX_CHARACTERS) return text
  for (let length = PREFIX_CHARACTERS; length < 2 * PREFIX_CHARACTERS; length++) {
    const cut = characters[length]?.codePointAt(0)
    if (cut === undefined) return text
    if (cut < 0x7f) return `${characters.slice(0, length).join('')}\u007f`
    if (cut < 0x10ffff) return `${characters.slice(0, length).join('')}\u{10ffff}`
  }
  return null
}

/** The values by the physical names of their leaves, nested as the structs are. */
function nest(values: ReadonlyMap<Leaf, string>): string {
  interface Node {
    readonly children: Map<string, Node>
    value?: string
  }
  const root: Node = { children: new Map() }
  for (const [leaf, value] of values) {
    let node = root
    for (const name of leaf.path) {
      const child = node.children.get(name) ?? { children: new Map() }
      node.children.set(name, child)
      node = child
    }
    node.value = value
  }
  const print = (node: Node): string =>
    node.value ??
    `{${[...node.children].map(([name, child]) => `${JSON.stringify(name)}:${print(child)}`).join(',')}}`
  return print(root)
}
