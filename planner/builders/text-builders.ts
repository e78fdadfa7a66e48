/** TextBuilders: functions over text and bytes. */

import { Oid } from '../../catalog/pg-types.js'
import { quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { textOf } from '../coercion.js'
import { sqlType } from '../sql-type.js'
import { type Builder, type Call, arg, constant, needConstant, sql, text } from './builder.js'

function formatted(call: Call): string {
  const template = needConstant(call, 0, 'the template')
  const values = call.given.slice(1)
  const parts: string[] = []
  let next = 0
  let rest = template
  while (rest !== '') {
    const percent = rest.indexOf('%')
    if (percent < 0) {
      parts.push(quoteLiteral(rest))
      break
    }
    if (percent > 0) parts.push(quoteLiteral(rest.slice(0, percent)))
    const spec = /^%(?:(\d+)\$)?(-?)(\d*)([sIL%])/.exec(rest.slice(percent))
    if (spec === null) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        rest.length === percent + 1
          ? 'unterminated format() type specifier'
          : `unrecognized format() type specifier "${rest[percent + 1]}"`,
        { hint: 'For a single "%" use "%%".' },
      )
    }
    rest = rest.slice(percent + spec[0].length)
    if (spec[4] === '%') {
      parts.push(`'%'`)
      continue
    }
    const index = spec[1] === undefined ? next : Number(spec[1]) - 1
    next = index + 1
    const value = values[index]
    if (value === undefined) {
      throw new SqlError(SqlState.invalidParameterValue, 'too few arguments for format()')
    }
    const plain =
      value.type.oid === Oid.unknown
        ? `CAST(${value.sql} AS VARCHAR)`
        : value.type.oid === Oid.bool
          ? `lakegate_boolean_letter(${value.sql})`
          : textOf(value.sql, value.type)
    const printed =
      spec[4] === 's'
        ? `coalesce(${plain}, '')`
        : spec[4] === 'I'
          ? `lakegate_quote_ident(${plain})`
          : `coalesce(lakegate_quote_literal(${plain}), 'NULL')`
    const width = spec[3] ?? ''
    parts.push(width === '' ? printed : `lakegate_pad(${printed}, ${width}, ${spec[2] === '-'})`)
  }
  return parts.length === 0 ? `''` : `(${parts.join(' || ')})`
}

export const TEXT_BUILDERS: Readonly<Record<string, Builder>> = {
  concatText: (call) => {
    const [left, right] = call.args.map((one) => textOf(one.sql, one.type))
    return text(call, `(${left} || ${right})`)
  },
  concat: (call) => {
    const values = call.given.map((one) =>
      one.type.oid === Oid.unknown
        ? one.sql
        : one.type.oid === Oid.bool
          ? `lakegate_boolean_letter(${one.sql})`
          : textOf(one.sql, one.type),
    )
    return text(call, `${call.word}(${values.join(', ')})`)
  },
  substring: (call) => {
    const [start, length] = [constant(call, 1), constant(call, 2)]
    const plain = Number(start) >= 1 && Number(length) >= 0
    return text(
      call,
      plain
        ? `substring(${sql(call, 0)}, ${sql(call, 1)}, ${sql(call, 2)})`
        : `lakegate_substring(${sql(call, 0)}, ${sql(call, 1)}, ${sql(call, 2)})`,
    )
  },
  encode: (call) => {
    const format = needConstant(call, 1, 'the format').toLowerCase()
    const value = sql(call, 0)
    if (format === 'hex') return text(call, `lower(hex(${value}))`)
    if (format === 'base64') return text(call, `lakegate_base64_lines(to_base64(${value}))`)
    if (format === 'escape') return text(call, `lakegate_escape(${value})`)
    throw new SqlError(SqlState.invalidParameterValue, `unrecognized encoding: "${format}"`)
  },
  decode: (call) => {
    const format = needConstant(call, 1, 'the format').toLowerCase()
    const type = sqlType(Oid.bytea)
    if (format === 'hex') return { sql: `lakegate_from_hex(${sql(call, 0)})`, type }
    if (format === 'base64')
      return { sql: `from_base64(regexp_replace(${sql(call, 0)}, '\\s', '', 'g'))`, type }
    if (format === 'escape') return { sql: `lakegate_read_bytea(${sql(call, 0)})`, type }
    throw new SqlError(SqlState.invalidParameterValue, `unrecognized encoding: "${format}"`)
  },
  quoteAny: (call) => {
    const value = textOf(sql(call, 0), arg(call, 0).type)
    const quoted = `lakegate_quote_literal(${value})`
    return text(call, call.word === 'quote_nullable' ? `coalesce(${quoted}, 'NULL')` : quoted)
  },
  format: (call) => text(call, formatted(call)),
}
