/** Copy options: how COPY … TO STDOUT is asked to write its rows. */

import { SqlError, SqlState } from '../storage/errors.js'
import type { CopyFormat } from './result.js'
import { constantOf, listOf, type Node, nodeOf, stringOf } from './syntax-tree.js'

/** The format a CopyStmt's options ask for; `columns` are the names FORCE_QUOTE may list. */
export function copyFormat(options: readonly Node[], columns: readonly string[]): CopyFormat {
  const given = new Map<string, unknown>()
  for (const option of options) {
    const element = nodeOf(option, 'DefElem')
    if (element === undefined) continue
    const name = String(element.defname)
    if (given.has(name))
      throw new SqlError(SqlState.syntaxError, 'conflicting or redundant options')
    given.set(name, element.arg)
  }
  for (const name of given.keys()) {
    if (!KNOWN.has(name))
      throw new SqlError(SqlState.syntaxError, `option "${name}" not recognized`)
  }
  const text = (name: string): string | undefined => {
    const value = given.get(name)
    return value === undefined ? undefined : (stringOf(value) ?? String(constantOf(value) ?? ''))
  }
  const flag = (name: string): boolean => {
    if (!given.has(name)) return false
    const value = given.get(name)
    if (value === undefined) return true
    const bool = nodeOf(value, 'Boolean')
    if (bool !== undefined) return bool.boolval === true
    const number = nodeOf(value, 'Integer')
    if (number !== undefined) return Number(number.ival ?? 0) !== 0
    return /^(true|on|1|match)$/i.test(stringOf(value) ?? '')
  }
  const format = (text('format') ?? 'text').toLowerCase()
  if (format !== 'text' && format !== 'csv' && format !== 'binary') {
    throw new SqlError(SqlState.invalidParameterValue, `COPY format "${format}" not recognized`)
  }
  const csv = format === 'csv'
  const delimiter = text('delimiter') ?? (csv ? ',' : '\t')
  if (delimiter.length !== 1) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'COPY delimiter must be a single one-byte character',
    )
  }
  if (/[\r\n]/.test(delimiter)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      'COPY delimiter cannot be newline or carriage return',
    )
  }
  if (!csv && (given.has('quote') || given.has('escape') || given.has('force_quote'))) {
    throw new SqlError(SqlState.featureNotSupported, 'COPY quote available only in CSV mode')
  }
  const quote = text('quote') ?? '"'
  if (quote.length !== 1) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'COPY quote must be a single one-byte character',
    )
  }
  return {
    format,
    delimiter,
    nullText: text('null') ?? (csv ? '' : '\\N'),
    header: flag('header'),
    quote,
    escape: text('escape') ?? quote,
    forceQuote: forceQuote(given.get('force_quote'), columns),
  }
}

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

function forceQuote(value: unknown, columns: readonly string[]): readonly number[] | 'all' {
  if (value === undefined) return []
  if (nodeOf(value, 'A_Star') !== undefined) return 'all'
  return listOf(nodeOf(value, 'List')?.items).map((item) => {
    const name = stringOf(item) ?? ''
    const index = columns.indexOf(name)
    if (index < 0) throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`)
    return index
  })
}
