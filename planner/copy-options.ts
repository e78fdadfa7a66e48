/** Copy options: how COPY is asked to write or to read its rows. */

import { SqlError, SqlState } from '../storage/errors.js'
import { booleanOption, namesOption, optionValues, textOption } from './option-list.js'
import type { CopyFormat, CopyInFormat } from './result.js'
import { type Node, nodeOf } from './syntax-tree.js'

/** Options of both directions. */
const KNOWN = ['format', 'delimiter', 'null', 'header', 'quote', 'escape', 'encoding']
const KNOWN_TO: ReadonlySet<string> = new Set([...KNOWN, 'force_quote'])
const KNOWN_FROM: ReadonlySet<string> = new Set([
  ...KNOWN,
  'freeze',
  'default',
  'force_null',
  'force_not_null',
  'on_error',
  'reject_limit',
  'log_verbosity',
])

/** What only the other direction takes. */
const REFUSED_TO: Readonly<Record<string, string>> = {
  default: 'COPY DEFAULT only available using COPY FROM',
  force_null: 'COPY force null only available using COPY FROM',
  force_not_null: 'COPY force not null only available using COPY FROM',
  freeze: 'COPY FREEZE cannot be used with COPY TO',
  on_error: 'COPY ON_ERROR cannot be used with COPY TO',
  reject_limit: 'COPY REJECT_LIMIT cannot be used with COPY TO',
  log_verbosity: 'COPY LOG_VERBOSITY cannot be used with COPY TO',
}

type Values = ReadonlyMap<string, unknown>

/**
 * The format a CopyStmt's options ask for; `columns` are the names FORCE_QUOTE may list.
 *
 * 42601, 22023 and 0A000 with PostgreSQL's words for what it refuses.
 */
export function copyFormat(options: readonly Node[], columns: readonly string[]): CopyFormat {
  for (const option of options) {
    const refusal = REFUSED_TO[String(nodeOf(option, 'DefElem')?.defname)]
    if (refusal !== undefined) throw new SqlError(SqlState.featureNotSupported, refusal)
  }
  requireKnown(options, KNOWN_TO)
  const values = optionValues(options)
  const format = formatOf(values)
  if (format === 'parquet' || format === 'arrow') {
    throw new SqlError(SqlState.featureNotSupported, `COPY TO in ${format} is not supported`)
  }
  const header = headerOf(values)
  if (header === 'match') {
    throw new SqlError(SqlState.featureNotSupported, 'cannot use "match" with HEADER in COPY TO')
  }
  const common = textFormat(values, format)
  requireCsv(values, format, ['force_quote'])
  return { format, ...common, header, forceQuote: forced(values.get('force_quote'), columns) }
}

/**
 * How a CopyStmt's options say that rows are to be read into the columns named `columns`.
 *
 * 42601, 22023 and 0A000 with PostgreSQL's words for what it refuses.
 */
export function copyInFormat(options: readonly Node[], columns: readonly string[]): CopyInFormat {
  if (options.some((option) => nodeOf(option, 'DefElem')?.defname === 'force_quote')) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'COPY force quote only available using COPY TO',
    )
  }
  requireKnown(options, KNOWN_FROM)
  const values = optionValues(options)
  const format = formatOf(values)
  booleanOption(values, 'freeze')
  const common = textFormat(values, format)
  requireCsv(values, format, ['force_not_null', 'force_null'])
  const defaultText = textOption(values, 'default') ?? null
  if (defaultText !== null) requireDefault(defaultText, format, common)
  const onError = oneOf(values, 'on_error', ['stop', 'ignore'])
  if (onError === 'ignore' && format !== 'text' && format !== 'csv') {
    throw new SqlError(
      SqlState.syntaxError,
      `only ON_ERROR STOP is allowed in ${format.toUpperCase()} mode`,
    )
  }
  const ignore = onError === 'ignore'
  return {
    format,
    ...common,
    header: headerOf(values),
    defaultText,
    forceNull: forced(values.get('force_null'), columns),
    forceNotNull: forced(values.get('force_not_null'), columns),
    ignoreErrors: ignore,
    rejectLimit: rejectLimit(values, ignore),
    verbosity: oneOf(values, 'log_verbosity', ['default', 'verbose', 'silent']),
  }
}

function formatOf(values: Values): CopyInFormat['format'] {
  const format = (textOption(values, 'format') ?? 'text').toLowerCase()
  switch (format) {
    case 'text':
    case 'csv':
    case 'binary':
    case 'parquet':
    case 'arrow':
      return format
    default:
      throw new SqlError(SqlState.invalidParameterValue, `COPY format "${format}" not recognized`)
  }
}

function oneOf<const T extends string>(
  values: Values,
  name: string,
  words: readonly [T, ...T[]],
): T {
  const word = textOption(values, name)?.toLowerCase()
  if (word === undefined) return words[0]
  const found = words.find((one) => one === word)
  if (found !== undefined) return found
  throw new SqlError(
    SqlState.invalidParameterValue,
    `COPY ${name.toUpperCase()} "${word}" not recognized`,
  )
}

function rejectLimit(values: Values, ignore: boolean): number {
  const text = textOption(values, 'reject_limit')
  if (text === undefined) return Number.POSITIVE_INFINITY
  if (!/^[+-]?\d{1,18}$/.test(text)) {
    throw new SqlError(SqlState.syntaxError, 'reject_limit requires a numeric value')
  }
  if (Number(text) <= 0) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `REJECT_LIMIT (${text}) must be greater than zero`,
    )
  }
  if (!ignore) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'COPY REJECT_LIMIT requires ON_ERROR to be set to IGNORE',
    )
  }
  return Number(text)
}

interface TextFormat {
  readonly delimiter: string
  readonly nullText: string
  readonly quote: string
  readonly escape: string
}

/** What text and csv have in common, checked as PostgreSQL checks it. */
function textFormat(values: Values, format: CopyInFormat['format']): TextFormat {
  const isCsv = format === 'csv'
  if (format !== 'text' && !isCsv) {
    for (const name of ['delimiter', 'null', 'default', 'header']) {
      if (!values.has(name)) continue
      if (name === 'header' && format === 'binary' && headerOf(values) === false) continue
      throw new SqlError(
        name === 'header' && format === 'binary'
          ? SqlState.featureNotSupported
          : SqlState.syntaxError,
        `cannot specify ${name.toUpperCase()} in ${format.toUpperCase()} mode`,
      )
    }
  }
  const delimiter = textOption(values, 'delimiter') ?? (isCsv ? ',' : '\t')
  const nullText = textOption(values, 'null') ?? (isCsv ? '' : '\\N')
  const quote = textOption(values, 'quote') ?? '"'
  const escapeSign = textOption(values, 'escape') ?? quote
  requireOneByte('delimiter', delimiter)
  if (/[\r\n]/.test(delimiter)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'COPY delimiter cannot be newline or carriage return',
    )
  }
  if (/[\r\n]/.test(nullText)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'COPY null representation cannot use newline or carriage return',
    )
  }
  // Letters and digits of text format's own escapes would not be told from data.
  if (format === 'text' && /[\\.a-z0-9]/.test(delimiter)) {
    throw new SqlError(SqlState.invalidParameterValue, `COPY delimiter cannot be "${delimiter}"`)
  }
  requireCsv(values, format, ['quote', 'escape'])
  if (isCsv) {
    requireOneByte('quote', quote)
    requireOneByte('escape', escapeSign)
    if (delimiter === quote) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        'COPY delimiter and quote must be different',
      )
    }
    if (nullText.includes(quote)) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        'CSV quote character must not appear in the NULL specification',
      )
    }
  }
  if (nullText.includes(delimiter)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'COPY delimiter character must not appear in the NULL specification',
    )
  }
  requireUtf8(textOption(values, 'encoding'))
  return { delimiter, nullText, quote, escape: escapeSign }
}

function requireDefault(text: string, format: string, common: TextFormat): void {
  const refuse = (message: string): never => {
    throw new SqlError(SqlState.invalidParameterValue, message)
  }
  if (/[\r\n]/.test(text)) {
    refuse('COPY default representation cannot use newline or carriage return')
  }
  if (text.includes(common.delimiter)) {
    refuse('COPY delimiter character must not appear in the DEFAULT specification')
  }
  if (format === 'csv' && text.includes(common.quote)) {
    refuse('CSV quote character must not appear in the DEFAULT specification')
  }
  if (text === common.nullText) {
    refuse('NULL specification and DEFAULT specification cannot be the same')
  }
}

/** Options that make sense in csv alone. */
function requireCsv(values: Values, format: string, names: readonly string[]): void {
  if (format === 'csv') return
  for (const name of names) {
    if (!values.has(name)) continue
    const words = name.replaceAll('_', ' ')
    throw new SqlError(SqlState.featureNotSupported, `COPY ${words} available only in CSV mode`)
  }
}

function requireKnown(options: readonly Node[], known: ReadonlySet<string>): void {
  const seen = new Set<string>()
  for (const option of options) {
    const name = String(nodeOf(option, 'DefElem')?.defname)
    if (seen.has(name)) {
      throw new SqlError(SqlState.syntaxError, 'conflicting or redundant options')
    }
    seen.add(name)
    if (!known.has(name)) {
      throw new SqlError(SqlState.syntaxError, `option "${name}" not recognized`)
    }
  }
}

function headerOf(values: Values): boolean | 'match' {
  if (textOption(values, 'header')?.toLowerCase() === 'match') return 'match'
  return booleanOption(values, 'header', 'a Boolean value or "match"')
}

function requireOneByte(what: string, value: string): void {
  if (Buffer.byteLength(value) === 1) return
  throw new SqlError(
    SqlState.featureNotSupported,
    `COPY ${what} must be a single one-byte character`,
  )
}

function requireUtf8(encoding: string | undefined): void {
  if (encoding === undefined || /^utf[-_ ]?8$/i.test(encoding)) return
  throw new SqlError(
    SqlState.invalidParameterValue,
    'argument to option "encoding" must be a valid encoding name',
  )
}

/** Indexes of the columns that an option lists. */
function forced(value: unknown, columns: readonly string[]): readonly number[] | 'all' {
  const names = namesOption(value)
  if (names === 'all') return names
  return names.map((name) => {
    const index = columns.indexOf(name)
    if (index < 0) throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
    return index
  })
}
