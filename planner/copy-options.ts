/** Copy options: how COPY … TO STDOUT is asked to write its rows. */

import { SqlError, SqlState } from '../storage/errors.js'
import { booleanOption, namesOption, optionValues, textOption } from './option-list.js'
import type { CopyFormat } from './result.js'
import { type Node, nodeOf } from './syntax-tree.js'

const KNOWN = new Set([
  'format',
  'delimiter',
  'null',
  'header',
  'quote',
  'escape',
  'force_quote',
  'encoding',
])

/**
 * The format a CopyStmt's options ask for; `columns` are the names FORCE_QUOTE may list.
 *
 * 42601, 22023 and 0A000 with PostgreSQL's words for what it refuses.
 */
export function copyFormat(options: readonly Node[], columns: readonly string[]): CopyFormat {
  requireKnown(options)
  const values = optionValues(options)
  const format = (textOption(values, 'format') ?? 'text').toLowerCase()
  if (format !== 'text' && format !== 'csv' && format !== 'binary') {
    throw new SqlError(SqlState.invalidParameterValue, `COPY format "${format}" not recognized`)
  }
  const isCsv = format === 'csv'
  const refuse = (name: string): never => {
    throw new SqlError(SqlState.syntaxError, `cannot specify ${name} in BINARY mode`)
  }
  if (format === 'binary') {
    if (values.has('delimiter')) refuse('DELIMITER')
    if (values.has('null')) refuse('NULL')
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
  if (!isCsv) {
    for (const name of ['quote', 'escape', 'force_quote']) {
      if (!values.has(name)) continue
      const words = name.replace('_', ' ')
      throw new SqlError(SqlState.featureNotSupported, `COPY ${words} available only in CSV mode`)
    }
  } else {
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
  return {
    format,
    delimiter,
    nullText,
    header: headerOf(values),
    quote,
    escape: escapeSign,
    forceQuote: forceQuote(values.get('force_quote'), columns),
  }
}

function requireKnown(options: readonly Node[]): void {
  const seen = new Set<string>()
  for (const option of options) {
    const name = String(nodeOf(option, 'DefElem')?.defname)
    if (seen.has(name)) {
      throw new SqlError(SqlState.syntaxError, 'conflicting or redundant options')
    }
    seen.add(name)
    if (!KNOWN.has(name)) {
      throw new SqlError(SqlState.syntaxError, `option "${name}" not recognized`)
    }
  }
}

function headerOf(values: ReadonlyMap<string, unknown>): boolean {
  if (textOption(values, 'header')?.toLowerCase() === 'match') {
    throw new SqlError(SqlState.featureNotSupported, 'cannot use "match" with HEADER in COPY TO')
  }
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

function forceQuote(value: unknown, columns: readonly string[]): readonly number[] | 'all' {
  const names = namesOption(value)
  if (names === 'all') return names
  return names.map((name) => {
    const index = columns.indexOf(name)
    if (index < 0) throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
    return index
  })
}
