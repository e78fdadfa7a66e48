/** Copy into syntax: COPY INTO … FROM files, in Databricks' words. */

import { SqlError, SqlState } from '../storage/errors.js'
import { isKeyword, tokenize } from './lexer.js'
import { type Clause, Words } from './words.js'

/** A COPY INTO as it is written. */
export interface CopyInto {
  readonly kind: 'copy-into'
  readonly name: readonly string[]
  /** Columns that are filled in their order; empty: columns are matched by name. */
  readonly columns: readonly string[]
  /** Columns are filled in the order of the file's. */
  readonly byPosition: boolean
  /** The file, folder or pattern that is loaded. */
  readonly source: string
  /** The SELECT over it, which reads `FILES`, or null for all columns. */
  readonly select: Clause | null
  readonly format: FileFormat
  /** Names below the source; null for all. */
  readonly files: readonly string[] | null
  /** Pattern of names below the source; null for all. */
  readonly pattern: string | null
  readonly formatOptions: ReadonlyMap<string, string>
  readonly copyOptions: ReadonlyMap<string, string>
}

export type FileFormat = 'parquet' | 'csv' | 'json'

/** The relation that the SELECT of a COPY INTO reads in the place of its source. */
export const FILES = '_lakegate_files'

/** The COPY INTO that `sql` is, or null when it is something else; 42601 and 0A000. */
export function parseCopyInto(sql: string): CopyInto | null {
  if (!/^(?:\s|--|\/\*|copy)/i.test(sql)) return null
  const words = new Words(sql)
  if (!words.take('copy') || !words.take('into')) return null
  const name = words.name()
  let byPosition = false
  const columns: string[] = []
  if (words.take('by')) {
    words.need('position')
    byPosition = true
  } else if (words.take('(')) {
    do columns.push(...words.name().slice(-1))
    while (words.take(','))
    words.need(')')
  }
  words.need('from')
  const { source, select } = words.is('(')
    ? selected(words)
    : { source: words.string(), select: null }
  words.need('fileformat')
  words.take('=')
  const format = formatOf(
    (words.isString() ? words.string() : words.name().join('.')).toLowerCase(),
  )
  let files: string[] | null = null
  let pattern: string | null = null
  let formatOptions: ReadonlyMap<string, string> = new Map()
  let copyOptions: ReadonlyMap<string, string> = new Map()
  for (;;) {
    if (words.take('files')) {
      words.take('=')
      words.need('(')
      files = []
      do files.push(words.string())
      while (words.take(','))
      words.need(')')
    } else if (words.take('pattern')) {
      words.take('=')
      pattern = words.string()
    } else if (words.take('format_options')) formatOptions = words.options()
    else if (words.take('copy_options')) copyOptions = words.options()
    else if (words.is('validate')) throw unsupported('COPY INTO … VALIDATE')
    else break
  }
  words.end()
  if (files !== null && pattern !== null) {
    throw new SqlError(SqlState.syntaxError, 'FILES and PATTERN cannot both be given')
  }
  return {
    kind: 'copy-into',
    name,
    columns,
    byPosition,
    source,
    select,
    format,
    files,
    pattern,
    formatOptions,
    copyOptions,
  }
}

/** `(SELECT … FROM 'files' …)`. */
function selected(words: Words): { readonly source: string; readonly select: Clause } {
  const { text, start } = words.parenthesised()
  const tokens = tokenize(text)
  const at = tokens.findIndex(
    (token, i) => token.kind === 'string' && isKeyword(tokens[i - 1], 'from'),
  )
  const found = tokens[at]
  if (!isKeyword(tokens[0], 'select') || found === undefined || !found.text.startsWith("'")) {
    throw new SqlError(
      SqlState.syntaxError,
      'the query of COPY INTO must be a SELECT from the name of files',
      { position: start + 1 },
    )
  }
  const source = found.text.slice(1, -1).replaceAll("''", "'")
  const query = text.slice(0, found.start) + FILES + text.slice(found.end)
  return { source, select: { text: query, start } }
}

function formatOf(word: string): FileFormat {
  if (word === 'parquet' || word === 'csv' || word === 'json') return word
  if (/^(?:avro|orc|text|binaryfile|xml)$/.test(word)) throw unsupported(`FILEFORMAT = ${word}`)
  throw new SqlError(SqlState.invalidParameterValue, `file format "${word}" not recognized`)
}

function unsupported(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`)
}
