/** FileRelation: Parquet, CSV and JSON files as one relation of DuckDB, read by a lakehouse's options. */

import { type EngineConnection, quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { type EngineType, printEngineType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { escapeGlob } from '../storage/file-path.js'
import type { FileFormat } from './copy-into-syntax.js'

/** A file as the engine opens it, and what the folders above it say of its rows. */
export interface ReadableFile {
  readonly url: string
  /** Values of columns named by folders (`day=2026-01-01`), null for none. */
  readonly partition: ReadonlyMap<string, string | null>
}

/** The rows of files. */
export interface FileRelation {
  /** A SELECT in parentheses. */
  readonly sql: string
  readonly columns: readonly FileColumn[]
}

export interface FileColumn {
  readonly name: string
  readonly type: EngineType
  /** Its values are text that stands for values of another type. */
  readonly isText: boolean
}

/** What FORMAT_OPTIONS say, by Spark's names in lower case. */
export type FormatOptions = ReadonlyMap<string, string>

const COMMON = ['mergeschema', 'ignorecorruptfiles', 'pathglobfilter', 'recursivefilelookup']

const KNOWN: Readonly<Record<FileFormat, ReadonlySet<string>>> = {
  parquet: new Set(COMMON),
  csv: new Set([
    ...COMMON,
    'header',
    'inferschema',
    'sep',
    'delimiter',
    'quote',
    'escape',
    'nullvalue',
    'mode',
    'multiline',
    'encoding',
    'charset',
    'comment',
    'dateformat',
    'timestampformat',
  ]),
  json: new Set([...COMMON, 'multiline', 'mode', 'inferschema', 'encoding', 'charset']),
}

/** 22023 for options that are not known, or that would read other rows than they say. */
export function requireFormatOptions(format: FileFormat, options: FormatOptions): void {
  for (const name of options.keys()) {
    if (KNOWN[format].has(name)) continue
    throw new SqlError(
      SqlState.invalidParameterValue,
      `option "${name}" of FILEFORMAT = ${format} is not supported`,
      { hint: `Known are: ${[...KNOWN[format]].join(', ')}.` },
    )
  }
  const encoding = options.get('encoding') ?? options.get('charset') ?? 'utf-8'
  if (!/^utf-?8$/i.test(encoding)) {
    throw new SqlError(SqlState.invalidParameterValue, `encoding "${encoding}" is not supported`)
  }
  const mode = (options.get('mode') ?? 'failfast').toLowerCase()
  if (mode !== 'failfast' && mode !== 'dropmalformed') {
    throw new SqlError(SqlState.featureNotSupported, `mode "${mode}" is not supported`, {
      hint: 'Use FAILFAST, which is meant without a mode, or DROPMALFORMED.',
    })
  }
  for (const name of ['header', 'inferschema', 'multiline', 'ignorecorruptfiles']) {
    flag(options, name)
  }
}

/** A boolean option; 22023 for what is none. */
export function flag(options: FormatOptions, name: string, otherwise = false): boolean {
  const word = options.get(name)?.toLowerCase()
  if (word === undefined) return otherwise
  if (word === 'true' || word === 'false') return word === 'true'
  throw new SqlError(
    SqlState.invalidParameterValue,
    `option "${name}" requires true or false, not "${word}"`,
  )
}

/**
 * The rows of `files`, columns matched by name across them; those of CSV without a header are `_c0`,
 * `_c1`, … as Spark calls them.
 *
 * Columns for which `isTyped` holds, which are to be cast anyway, are read as text where the format
 * has no types of its own. 22P04 for files that are none of the format.
 */
export async function fileRelation(
  connection: EngineConnection,
  format: FileFormat,
  files: readonly ReadableFile[],
  options: FormatOptions,
  isTyped: (name: string, index: number) => boolean,
): Promise<FileRelation> {
  const groups = byPartition(files)
  const partitions = new Set(groups.flatMap(({ partition }) => [...partition.keys()]))
  const union = (reader: (urls: readonly string[]) => string): string =>
    groups
      .map(({ urls, partition }) => {
        const values = [...partition].map(
          ([name, value]) =>
            `CAST(${value === null ? 'NULL' : quoteLiteral(value)} AS VARCHAR) AS ${quoteIdentifier(name)}`,
        )
        const names = [...partition.keys()]
        const own =
          names.length === 0
            ? '*'
            : `COLUMNS(c -> lower(c) NOT IN (${names.map((one) => quoteLiteral(one.toLowerCase())).join(', ')}))`
        return `SELECT ${[own, ...values].join(', ')} FROM ${reader(urls)}`
      })
      .join(' UNION ALL BY NAME ')
  const sniffed = await columnsOf(
    connection,
    union((urls) => readerText(format, urls, options, null)),
  )
  if (format === 'parquet') {
    const columns = sniffed.map((one) => ({ ...one, isText: partitions.has(one.name) }))
    return { sql: `(${union((urls) => readerText(format, urls, options, null))})`, columns }
  }
  const isHeadless = format === 'csv' && !flag(options, 'header')
  let at = 0
  const columns = sniffed.map(({ name, type }) => {
    const isPartition = partitions.has(name)
    const shown = isHeadless && !isPartition ? `_c${at++}` : name
    return { name: shown, inFile: name, isPartition, type }
  })
  const typed = columns.map((column, i) => {
    const isText =
      column.isPartition ||
      (isTyped(column.name, i) && !isNested(column.type)) ||
      (format === 'csv' && !flag(options, 'inferschema'))
    const isTime = column.type.kind === 'scalar' && TIMES.test(column.type.name)
    const type = isText || (format === 'json' && isTime) ? TEXT : column.type
    return { ...column, isText, type }
  })
  const types = new Map(
    typed.filter(({ isPartition }) => !isPartition).map(({ inFile, type }) => [inFile, type]),
  )
  const items = typed.map(
    ({ inFile, name }) => `${quoteIdentifier(inFile)} AS ${quoteIdentifier(name)}`,
  )
  const text = union((urls) => readerText(format, urls, options, types))
  return { sql: `(SELECT ${items.join(', ')} FROM (${text}))`, columns: typed }
}

const TEXT: EngineType = { kind: 'scalar', name: 'VARCHAR' }

/** What DuckDB takes for times or ids in JSON, which has texts only. */
const TIMES = /^(?:DATE|TIME|TIMESTAMP|UUID)/

function isNested(type: EngineType): boolean {
  return type.kind !== 'scalar' && type.kind !== 'decimal'
}

async function columnsOf(
  connection: EngineConnection,
  sql: string,
): Promise<readonly { readonly name: string; readonly type: EngineType }[]> {
  try {
    const prepared = await connection.prepare(sql)
    const { columns } = prepared
    prepared.destroy()
    return columns
  } catch (thrown) {
    throw unreadable(thrown)
  }
}

/** 22P04 where the engine could not make sense of a file. */
export function unreadable(thrown: unknown): unknown {
  if (!(thrown instanceof SqlError) || !FAULTS.has(thrown.sqlState)) return thrown
  return new SqlError(SqlState.badCopyFileFormat, `a file cannot be read: ${thrown.message}`, {
    cause: thrown,
  })
}

const FAULTS: ReadonlySet<string> = new Set([
  SqlState.ioError,
  SqlState.invalidParameterValue,
  SqlState.internalError,
  SqlState.dataException,
  SqlState.featureNotSupported,
  SqlState.invalidTextRepresentation,
])

interface PartitionGroup {
  readonly partition: ReadonlyMap<string, string | null>
  readonly urls: string[]
}

function byPartition(files: readonly ReadableFile[]): readonly PartitionGroup[] {
  const groups = new Map<string, PartitionGroup>()
  for (const { url, partition } of files) {
    const key = JSON.stringify([...partition])
    const group = groups.get(key) ?? { partition, urls: [] }
    group.urls.push(url)
    groups.set(key, group)
  }
  return [...groups.values()]
}

/** DuckDB's reader; `types` are those of the columns once they are known. */
function readerText(
  format: FileFormat,
  urls: readonly string[],
  options: FormatOptions,
  types: ReadonlyMap<string, EngineType> | null,
): string {
  const list = `[${urls.map((url) => quoteLiteral(escapeGlob(url))).join(', ')}]`
  const drops = options.get('mode')?.toLowerCase() === 'dropmalformed'
  const struct = (): string =>
    `{${[...(types ?? [])].map(([name, type]) => `${quoteLiteral(name)}: ${quoteLiteral(printEngineType(type))}`).join(', ')}}`
  switch (format) {
    case 'parquet':
      return `read_parquet(${list}, union_by_name = true, hive_partitioning = false)`
    case 'csv': {
      const parts = [
        `delim = ${quoteLiteral(options.get('sep') ?? options.get('delimiter') ?? ',')}`,
        `quote = ${quoteLiteral(options.get('quote') ?? '"')}`,
        `escape = ${quoteLiteral(options.get('escape') ?? options.get('quote') ?? '"')}`,
        `nullstr = ${quoteLiteral(options.get('nullvalue') ?? '')}`,
        `header = ${flag(options, 'header')}`,
        ...(options.has('comment')
          ? [`comment = ${quoteLiteral(options.get('comment') ?? '')}`]
          : []),
        ...(options.has('dateformat')
          ? [`dateformat = ${quoteLiteral(strftime(options.get('dateformat') ?? ''))}`]
          : []),
        ...(options.has('timestampformat')
          ? [`timestampformat = ${quoteLiteral(strftime(options.get('timestampformat') ?? ''))}`]
          : []),
        flag(options, 'inferschema') ? 'sample_size = -1' : 'all_varchar = true',
        ...(types !== null && types.size > 0 && flag(options, 'inferschema')
          ? [`types = ${struct()}`]
          : []),
        `allow_quoted_nulls = false`,
        `ignore_errors = ${drops}`,
      ]
      return `read_csv(${list}, ${parts.join(', ')}, union_by_name = true, hive_partitioning = false)`
    }
    case 'json': {
      const layout = flag(options, 'multiline') ? 'auto' : 'newline_delimited'
      const columns = types === null ? 'sample_size = -1' : `columns = ${struct()}`
      return `read_json(${list}, format = '${layout}', records = true, ${columns}, ignore_errors = ${drops}, union_by_name = true, hive_partitioning = false)`
    }
  }
}

/** Spark's pattern of a date as DuckDB's; 22023 for letters that have no match. */
function strftime(pattern: string): string {
  return pattern.replaceAll(/([A-Za-z])\1*|'([^']*)'/g, (word: string, _, quoted?: string) => {
    const known = quoted ?? SIGNS[word]
    if (known !== undefined) return known
    throw new SqlError(SqlState.invalidParameterValue, `"${word}" of "${pattern}" is not supported`)
  })
}

const SIGNS: Readonly<Record<string, string>> = {
  yyyy: '%Y',
  yy: '%y',
  MM: '%m',
  M: '%-m',
  dd: '%d',
  d: '%-d',
  HH: '%H',
  H: '%-H',
  mm: '%M',
  ss: '%S',
  SSS: '%g',
  SSSSSS: '%f',
  XXX: '%z',
}
