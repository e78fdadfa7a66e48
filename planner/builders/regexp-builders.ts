/** RegexpBuilders: regular expressions and LIKE. */

import { Oid } from '../../catalog/pg-types.js'
import { quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { engineRegexp, regexpFlags } from '../regexp.js'
import { arrayOf, sqlType } from '../sql-type.js'
import { type Builder, type Call, constant, needConstant, sql, text } from './builder.js'

/** The regular expression of argument `i` in the engine's dialect. */
export function pattern(call: Call, i: number): string {
  const known = constant(call, i)
  return known === undefined
    ? `lakegate_pattern(${sql(call, i)})`
    : quoteLiteral(engineRegexp(known))
}

function flags(call: Call, i: number): { readonly options: string; readonly global: boolean } {
  const given = call.args[i] === undefined ? '' : needConstant(call, i, 'the flags')
  return regexpFlags(given)
}

function groupCount(known: string): number {
  return (known.replaceAll(/\\./g, '').match(/\((?!\?)/g) ?? []).length
}

function firstMatch(value: string, patternSql: string, groups: number, options: string): string {
  const items =
    groups === 0
      ? `regexp_extract(${value}, ${patternSql}, 0, '${options}')`
      : Array.from(
          { length: groups },
          (_, i) => `regexp_extract(${value}, ${patternSql}, ${i + 1}, '${options}')`,
        ).join(', ')
  return `CASE WHEN regexp_matches(${value}, ${patternSql}, '${options}') THEN [${items}] END`
}

export const REGEXP_BUILDERS: Readonly<Record<string, Builder>> = {
  regexpSubstring: (call) => {
    const known = needConstant(call, 1, 'the pattern')
    const group = /\((?!\?)/.test(known.replaceAll(/\\./g, '')) ? 1 : 0
    return text(call, `lakegate_regexp_first(${sql(call, 0)}, ${pattern(call, 1)}, ${group})`)
  },
  regexpReplace: (call) => {
    const { options, global } = flags(call, 3)
    const replacement = constant(call, 2)
    const by =
      replacement === undefined
        ? `replace(${sql(call, 2)}, '\\&', '\\0')`
        : quoteLiteral(replacement.replaceAll('\\&', '\\0'))
    return text(
      call,
      `regexp_replace(${sql(call, 0)}, ${pattern(call, 1)}, ${by}, '${options}${global ? 'g' : ''}')`,
    )
  },
  regexpMatch: (call) => {
    const { options } = flags(call, 2)
    const groups = groupCount(needConstant(call, 1, 'the pattern'))
    return {
      sql: firstMatch(sql(call, 0), pattern(call, 1), groups, options),
      type: arrayOf(sqlType(Oid.text)),
    }
  },
  regexpMatches: (call) => {
    const { options, global } = flags(call, 2)
    const groups = groupCount(needConstant(call, 1, 'the pattern'))
    const type = arrayOf(sqlType(Oid.text))
    if (!global) {
      const match = firstMatch(sql(call, 0), pattern(call, 1), groups, options)
      return { sql: `unnest(list_filter([${match}], lambda m: m IS NOT NULL))`, type }
    }
    if (groups > 1) {
      throw new SqlError(
        SqlState.featureNotSupported,
        'regexp_matches with several groups and flag "g" is not supported',
      )
    }
    const all = `regexp_extract_all(${sql(call, 0)}, ${pattern(call, 1)}, ${groups}, '${options}')`
    return { sql: `unnest(list_transform(${all}, lambda m: [m]))`, type }
  },
  regexpLike: (call) => ({
    sql: `regexp_matches(${sql(call, 0)}, ${pattern(call, 1)}, '${flags(call, 2).options}')`,
    type: sqlType(Oid.bool),
  }),
  regexpCount: (call) => ({
    sql: `CAST(len(regexp_extract_all(${sql(call, 0)}, ${pattern(call, 1)}, 0, 's')) AS INTEGER)`,
    type: sqlType(Oid.int4),
  }),
  regexpSplit: (call) => {
    const { options } = flags(call, 2)
    const list = `regexp_split_to_array(${sql(call, 0)}, ${pattern(call, 1)}, '${options}')`
    return call.word === 'table'
      ? { sql: `unnest(${list})`, type: sqlType(Oid.text) }
      : { sql: list, type: arrayOf(sqlType(Oid.text)) }
  },
  regexpOperator: (call) => {
    const options = call.word.endsWith('*') ? 'is' : 's'
    const match = `regexp_matches(${sql(call, 0)}, ${pattern(call, 1)}, '${options}')`
    return {
      sql: call.word.startsWith('!') ? `(NOT ${match})` : match,
      type: sqlType(Oid.bool),
    }
  },
  like: (call) => {
    // Without a backslash there is nothing to escape, and DuckDB's faster forms apply.
    const known = constant(call, 1)
    const escaper = known !== undefined && !known.includes('\\') ? '' : ` ESCAPE '\\'`
    return {
      sql: `(${sql(call, 0)} ${call.word} ${sql(call, 1)}${escaper})`,
      type: sqlType(Oid.bool),
    }
  },
}
