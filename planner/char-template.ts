/** CharTemplate: to_char's templates as DuckDB text that prints a value by them. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { scaleOf } from './sql-type.js'
import type { TypedExpression } from './typed-expression.js'

/** DuckDB text of `value` printed by `template`; 0A000 for a pattern that has no equal. */
export function charTemplate(template: string, kind: string, value: TypedExpression): string {
  return kind === 'number'
    ? numberTemplate(template, value)
    : timeTemplate(template, kind, value.sql)
}

/** Date patterns: DuckDB text over `x`, and the digits its number is padded to without FM. */
const NUMBERS: readonly (readonly [string, string, number])[] = [
  ['HH24', 'hour(x)', 2],
  ['HH12', '((hour(x) + 11) % 12 + 1)', 2],
  ['HH', '((hour(x) + 11) % 12 + 1)', 2],
  ['MI', 'minute(x)', 2],
  ['SSSSS', '(hour(x) * 3600 + minute(x) * 60 + second(x))', 0],
  ['SSSS', '(hour(x) * 3600 + minute(x) * 60 + second(x))', 0],
  ['SS', 'second(x)', 2],
  ['MS', '((microsecond(x) % 1000000) // 1000)', 3],
  ['US', '(microsecond(x) % 1000000)', 6],
  ['FF3', '((microsecond(x) % 1000000) // 1000)', 3],
  ['FF6', '(microsecond(x) % 1000000)', 6],
  ['FF1', '((microsecond(x) % 1000000) // 100000)', 1],
  ['FF2', '((microsecond(x) % 1000000) // 10000)', 2],
  ['IYYY', 'isoyear(x)', 4],
  ['IYY', '(isoyear(x) % 1000)', 3],
  ['IY', '(isoyear(x) % 100)', 2],
  ['IW', 'week(x)', 2],
  ['IDDD', '((week(x) - 1) * 7 + isodow(x))', 3],
  ['ID', 'isodow(x)', 0],
  [
    'Y,YYY',
    "(CAST(year(x) // 1000 AS VARCHAR) || ',' || lpad(CAST(year(x) % 1000 AS VARCHAR), 3, '0'))",
    0,
  ],
  ['YYYY', 'abs(year(x))', 4],
  ['YYY', '(year(x) % 1000)', 3],
  ['YY', '(year(x) % 100)', 2],
  ['Y', '(year(x) % 10)', 1],
  ['MM', 'month(x)', 2],
  ['DDD', 'dayofyear(x)', 3],
  ['DD', 'day(x)', 2],
  ['D', '(dayofweek(x) + 1)', 0],
  ['WW', '((dayofyear(x) - 1) // 7 + 1)', 2],
  ['W', '((day(x) - 1) // 7 + 1)', 0],
  ['CC', 'century(x)', 2],
  ['Q', 'quarter(x)', 0],
  ['J', 'CAST(julian(CAST(x AS DATE)) AS BIGINT)', 0],
]

/** Names: how they are printed by how the pattern is written, and the width they are padded to. */
const NAMES: readonly (readonly [RegExp, (x: string) => string, number])[] = [
  [/^MONTH/, (x) => `upper(monthname(${x}))`, 9],
  [/^Month/, (x) => `monthname(${x})`, 9],
  [/^month/, (x) => `lower(monthname(${x}))`, 9],
  [/^MON/, (x) => `upper(left(monthname(${x}), 3))`, 0],
  [/^Mon/, (x) => `left(monthname(${x}), 3)`, 0],
  [/^mon/, (x) => `lower(left(monthname(${x}), 3))`, 0],
  [/^DAY/, (x) => `upper(dayname(${x}))`, 9],
  [/^Day/, (x) => `dayname(${x})`, 9],
  [/^day/, (x) => `lower(dayname(${x}))`, 9],
  [/^DY/, (x) => `upper(left(dayname(${x}), 3))`, 0],
  [/^Dy/, (x) => `left(dayname(${x}), 3)`, 0],
  [/^dy/, (x) => `lower(left(dayname(${x}), 3))`, 0],
  [/^(?:AM|PM)/, (x) => `CASE WHEN hour(${x}) < 12 THEN 'AM' ELSE 'PM' END`, 0],
  [/^(?:am|pm)/, (x) => `CASE WHEN hour(${x}) < 12 THEN 'am' ELSE 'pm' END`, 0],
  [/^(?:A\.M\.|P\.M\.)/, (x) => `CASE WHEN hour(${x}) < 12 THEN 'A.M.' ELSE 'P.M.' END`, 0],
  [/^(?:BC|AD)/, (x) => `CASE WHEN year(${x}) <= 0 THEN 'BC' ELSE 'AD' END`, 0],
  [/^RM/, (x) => `lakegate_roman_month(month(${x}))`, 4],
]

function timeTemplate(template: string, kind: string, x: string): string {
  const parts: string[] = []
  let rest = template
  while (rest !== '') {
    const quoted = /^"((?:[^"\\]|\\.)*)"?/.exec(rest)
    if (quoted !== null) {
      parts.push(quoteLiteral((quoted[1] ?? '').replaceAll(/\\(.)/g, '$1')))
      rest = rest.slice(quoted[0].length)
      continue
    }
    const fill = /^FM/i.test(rest)
    const body = fill ? rest.slice(2) : rest
    const name = NAMES.find(([pattern]) => pattern.test(body))
    const number = NUMBERS.filter(([word]) => body.toUpperCase().startsWith(word)).sort(
      (a, b) => b[0].length - a[0].length,
    )[0]
    // Of a name and a number that both begin here the longer wins: `Day` over `D`.
    const nameLength = name === undefined ? 0 : (name[0].exec(body)?.[0].length ?? 0)
    if (name !== undefined && nameLength > (number?.[0].length ?? 0)) {
      const text = name[1](x)
      parts.push(name[2] > 0 && !fill ? `rpad(${text}, ${name[2]}, ' ')` : text)
      rest = body.slice(nameLength)
      continue
    }
    if (number !== undefined) {
      const [word, expression, width] = number
      if (kind === 'interval' && !/^(?:HH|MI|SS|MS|US|YYYY|MM|DD)/.test(word)) throw notKnown(word)
      const value =
        kind === 'interval' ? intervalField(word, x) : expression.replaceAll('x', () => x)
      rest = body.slice(word.length)
      const ordinal = /^(?:th|TH)/.exec(rest)?.[0]
      const printed =
        fill || width === 0 ? `CAST(${value} AS VARCHAR)` : `lakegate_zero_pad(${value}, ${width})`
      parts.push(printed)
      if (ordinal !== undefined) {
        parts.push(
          ordinal === 'TH' ? `upper(lakegate_ordinal(${value}))` : `lakegate_ordinal(${value})`,
        )
        rest = rest.slice(2)
      }
      continue
    }
    if (/^TZ/i.test(body) || /^OF/.test(body)) {
      if (kind === 'timestamptz') {
        if (/^OF/.test(body)) parts.push(`lakegate_offset_text(date_part('timezone', ${x}))`)
        else throw notKnown('TZ')
      }
      rest = body.slice(2)
      continue
    }
    if (fill) {
      rest = body
      continue
    }
    parts.push(quoteLiteral(rest.startsWith('\\') ? (rest[1] ?? '\\') : (rest[0] ?? '')))
    rest = rest.slice(rest.startsWith('\\') ? 2 : 1)
  }
  return joined(parts, `CAST(${x} AS VARCHAR)`)
}

function intervalField(word: string, x: string): string {
  switch (word) {
    case 'HH24':
      return `hour(${x})`
    case 'YYYY':
      return `year(${x})`
    default:
      return (NUMBERS.find(([name]) => name === word)?.[1] ?? 'x').replaceAll('x', () => x)
  }
}

function notKnown(word: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `the template pattern "${word}" is not supported by to_char`,
  )
}

/** Concatenates; null where the value is null, whatever constant parts there are. */
function joined(parts: readonly string[], value: string): string {
  if (parts.length === 0) return `CASE WHEN ${value} IS NOT NULL THEN '' END`
  return parts.length === 1 && !parts[0]?.startsWith("'")
    ? (parts[0] as string)
    : `CASE WHEN ${value} IS NOT NULL THEN ${parts.join(' || ')} END`
}

/**
 * A number's template: 9, 0, the decimal point, grouping, sign and fill mode.
 *
 * The number is rounded to the template's digits; `#` fills what it is too wide for, as
 * PostgreSQL does.
 */
function numberTemplate(template: string, value: TypedExpression): string {
  let text = template
  const fill = /FM/i.test(text)
  text = text.replaceAll(/FM/gi, '')
  const known = /^(?:PL|SG|MI|S|L)?[90,.GD]*(?:MI|S|PR|SG|PL)?(?:th|TH)?%?$/i.exec(
    text.replaceAll(/"[^"]*"/g, '').trim(),
  )
  if (known === null || /"/.test(text)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `the number template "${template}" is not supported by to_char`,
    )
  }
  const digits = text
    .replaceAll(/[^90.,GD]/gi, '')
    .replaceAll(/G/gi, ',')
    .replaceAll(/D/gi, '.')
  const [whole = '', fraction = ''] = digits.split('.')
  const hasPoint = digits.includes('.')
  const places = fraction.replaceAll(',', '').length
  const wholeDigits = whole.replaceAll(',', '')
  const firstZero = wholeDigits.indexOf('0')
  const minimum = firstZero < 0 ? 0 : wholeDigits.length - firstZero
  const fractionMinimum = fraction.lastIndexOf('0') + 1
  const suffix = /th$/i.exec(text.replaceAll('%', ''))?.[0] ?? ''
  const prefixSign = /^S/i.test(text) && !/^SG/i.test(text)
  const trailing = /(MI|S|PR|SG|PL)(?:th)?%?$/i.exec(text)?.[1]?.toUpperCase() ?? ''
  const leading = /^(PL|SG|MI|S)/i.exec(text)?.[1]?.toUpperCase() ?? ''
  if (
    suffix !== '' ||
    leading === 'PL' ||
    leading === 'SG' ||
    leading === 'MI' ||
    /L/i.test(text.replaceAll(/PL/gi, ''))
  ) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `the number template "${template}" is not supported by to_char`,
    )
  }
  const exact = value.type.oid === Oid.numeric ? Math.max(scaleOf(value.type), places) : places
  const number =
    value.type.oid === Oid.float8 || value.type.oid === Oid.float4
      ? `CAST(${value.sql} AS DECIMAL(38,${Math.min(20, places + 6)}))`
      : `CAST(${value.sql} AS DECIMAL(38,${exact}))`
  const groups = [...whole].reverse()
  const separators: number[] = []
  let count = 0
  for (const char of groups) {
    if (char === ',') separators.push(count)
    else count++
  }
  return `lakegate_number_text(${number}, ${places}, ${wholeDigits.length}, ${minimum}, ${fractionMinimum}, [${separators.join(', ')}]::INTEGER[], ${hasPoint}, ${fill}, '${leading === 'S' && prefixSign ? 'S' : ''}', '${trailing}', ${wholeDigits.length + separators.length})${text.endsWith('%') ? " || '%'" : ''}`
}
