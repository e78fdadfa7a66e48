/** Partition values: their text in the log, and the folders and paths of the files that hold them. */

import { createHash } from 'node:crypto'
import { SqlError, SqlState } from './errors.js'
import type { DataType, StructField } from './schema.js'
import { printTimestamp } from './time-text.js'

/**
 * The DuckDB expression of the text by which rows of one partition are told from those of others.
 *
 * Null for null. `partitionText` makes the log's text of it; neither depends on a session setting.
 * 0A000 for a type that no table is partitioned by.
 */
export function partitionKeyExpression(field: StructField, value: string): string {
  const { type } = field
  if (type.kind === 'decimal') return `CAST(${value} AS VARCHAR)`
  if (type.kind === 'primitive') {
    switch (type.name) {
      case 'string':
        return value
      case 'byte':
      case 'short':
      case 'integer':
      case 'long':
      case 'float':
      case 'double':
      case 'boolean':
      case 'date':
        return `CAST(${value} AS VARCHAR)`
      case 'timestamp':
      case 'timestamp_ntz':
        return `CASE WHEN isfinite(${value}) THEN CAST(epoch_us(${value}) AS VARCHAR) WHEN ${value} IS NOT NULL THEN 'infinity' END`
    }
  }
  throw new SqlError(
    SqlState.featureNotSupported,
    `a table cannot be partitioned by column "${field.name}" of this type`,
  )
}

/**
 * The text of a partition value in the log, from the key of its rows.
 *
 * 22023 for an empty text, which every reader of Delta takes for null; 22021 for the character NUL;
 * 22008 for times without
 * a place between the years 1 and 9999.
 *
 * Delta protocol, "Partition Value Serialization".
 */
export function partitionText(field: StructField, key: string | null): string | null {
  if (key === null) return null
  const { type } = field
  if (type.kind !== 'primitive') return key
  switch (type.name) {
    case 'string':
      if (key === '') {
        throw new SqlError(
          SqlState.invalidParameterValue,
          `an empty text cannot be stored in partition column "${field.name}"`,
          { hint: 'Delta reads an empty partition value as null; store null instead.' },
        )
      }
      if (key.includes('\u0000')) {
        throw new SqlError(
          SqlState.characterNotInRepertoire,
          'invalid byte sequence for encoding "UTF8": 0x00',
        )
      }
      return key
    case 'float':
    case 'double':
      return SPECIAL_DOUBLES.get(key) ?? key
    case 'date': {
      if (!/^\d{4}-\d\d-\d\d$/.test(key)) throw outOfRange(field, key)
      return key
    }
    case 'timestamp':
    case 'timestamp_ntz': {
      const micros = key === 'infinity' ? null : BigInt(key)
      const text = micros === null ? null : printTimestamp(micros, 6)
      if (text === null) throw outOfRange(field, key)
      return type.name === 'timestamp' ? `${text.replace(' ', 'T')}Z` : text
    }
    default:
      return key
  }
}

const SPECIAL_DOUBLES: ReadonlyMap<string, string> = new Map([
  ['nan', 'NaN'],
  ['inf', 'Infinity'],
  ['-inf', '-Infinity'],
])

function outOfRange(field: StructField, key: string): SqlError {
  return new SqlError(
    SqlState.datetimeFieldOverflow,
    `a value of partition column "${field.name}" is out of range`,
    { detail: `Partition values lie in the years 1 to 9999; this one is ${key}.` },
  )
}

/** What stands in a folder's name for null; the log itself says null. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__'

/** Bytes a folder's name may have, so that it fits every file system with room to spare. */
const MAX_NAME_BYTES = 200

/**
 * The folders of a partition, `column=value` for each, ended by a slash; empty for no partition.
 *
 * For people and file systems only: readers take values from the log. A name too long for a file
 * system is cut and told apart by a hash.
 *
 * @example
 * partitionFolder([['p', 'a/b'], ['q', null]])   // 'p=a%2Fb/q=__HIVE_DEFAULT_PARTITION__/'
 */
export function partitionFolder(
  values: readonly (readonly [column: string, text: string | null])[],
): string {
  return values
    .map(([column, text]) => {
      const name = `${escapeName(column)}=${text === null ? NULL_FOLDER : escapeName(text)}`
      return `${shorten(name)}/`
    })
    .join('')
}

/** Hive's rule: what means something to a file system is percent-encoded. */
function escapeName(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
    /["#%'*/:=?\\{[\]^\u0000-\u001f\u007f]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

function shorten(name: string): string {
  if (Buffer.byteLength(name, 'utf8') <= MAX_NAME_BYTES) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 24)
  let kept = ''
  for (const char of name) {
    if (Buffer.byteLength(kept + char, 'utf8') > MAX_NAME_BYTES - 30) break
    kept += char
  }
  return `${kept.replace(/%[0-9A-F]?$/, '')}~${hash}`
}

/**
 * `path` as the log writes it: a URI reference, percent-encoded once.
 *
 * @example
 * encodeLogPath('p=a%2Fb/part 1.parquet')   // 'p=a%252Fb/part%201.parquet'
 */
export function encodeLogPath(path: string): string {
  return encodeURIComponent(path).replace(/%(?:2F|3D|2B|2C|40|24|26|3B)/g, (escaped) =>
    decodeURIComponent(escaped),
  )
}

/** Whether a table can be partitioned by a column of `type`. */
export function isPartitionable(type: DataType): boolean {
  if (type.kind === 'decimal') return true
  return type.kind === 'primitive' && !['binary', 'variant', 'void'].includes(type.name)
}
