/** FunctionBuilders: the functions whose DuckDB text depends on more than their arguments' texts. */

import { Oid } from '../catalog/pg-types.js'
import { quoteLiteral } from '../storage/engine.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { textOf } from './coercion.js'
import { charTemplate } from './char-template.js'
import { engineRegexp, regexpFlags } from './regexp.js'
import {
  arrayOf,
  elementOf,
  integerDigitsOf,
  isArrayOid,
  numericType,
  scaleOf,
  type SqlType,
  sqlType,
  typeName,
} from './sql-type.js'
import type { Node } from './syntax-tree.js'
import { expression, type TypedExpression } from './typed-expression.js'

/** One call, its arguments coerced to the parameters' types. */
export interface Call {
  readonly name: string
  /** What the table says behind `=`. */
  readonly word: string
  readonly args: readonly TypedExpression[]
  /** Arguments as they were before coercion, for functions that take anything. */
  readonly given: readonly TypedExpression[]
  /** The table's result type, where it names one. */
  readonly result: SqlType | undefined
  /** An aggregate's arguments with DISTINCT and ORDER BY, put inside its parentheses. */
  readonly inside: (args: string) => string
  /** An aggregate's FILTER and OVER, put behind its parentheses. */
  readonly after: string
  readonly syntax: readonly Node[]
  readonly sessionFunction: (name: string, args: readonly Node[]) => string | undefined
}

export interface Built {
  readonly sql: string
  readonly type: SqlType
}

type Builder = (call: Call) => Built

/** Digits behind the point of a quotient that PostgreSQL gives for numbers below one. */
const QUOTIENT_SCALE = 20

function arg(call: Call, i: number): TypedExpression {
  const found = call.args[i]
  if (found === undefined) throw new Error(`${call.name} was called without argument ${i + 1}`)
  return found
}

function sql(call: Call, i: number): string {
  return arg(call, i).sql
}

/** The text of a constant argument; undefined for NULL and for what is known only when it runs. */
function constant(call: Call, i: number): string | undefined {
  const shape = call.args[i]?.shape
  return shape?.kind === 'constant' ? (shape.text ?? undefined) : undefined
}

function needConstant(call: Call, i: number, what: string): string {
  const text = constant(call, i)
  if (text === undefined) {
    throw new SqlError(SqlState.featureNotSupported, `${what} of ${call.name} must be a constant`)
  }
  return text
}

function digitsOf(...types: readonly SqlType[]): SqlType['digits'] {
  if (types.some((type) => type.digits === 'quotient')) return 'quotient'
  return types.some((type) => type.digits === 'trimmed') ? 'trimmed' : undefined
}

function text(call: Call, sqlText: string): Built {
  return { sql: sqlText, type: call.result ?? sqlType(Oid.text) }
}

/** `sqlText` forced to be a numeric of `scale` digits. */
function numeric(sqlText: string, scale: number, digits?: SqlType['digits'], width = 38): Built {
  const type = { ...numericType(scale, -1, width), digits }
  return { sql: `CAST(${sqlText} AS ${printEngineType(type.engine)})`, type }
}

/** The quotient of two exact numbers, with as many digits as PostgreSQL gives. */
function quotient(left: string, leftType: SqlType, right: string, rightType: SqlType): Built {
  const [s1, s2] = [scaleOf(leftType), scaleOf(rightType)]
  const wide =
    integerDigitsOf(leftType) + s2 > 38 - QUOTIENT_SCALE && integerDigitsOf(leftType) <= 19
  const scale = Math.max(wide ? 16 : QUOTIENT_SCALE, Math.min(s1, 20))
  const shift = scale - s1 + s2
  const unscaled = (value: string, digits: number): string =>
    digits === 0
      ? `CAST(${value} AS HUGEINT)`
      : `CAST(${value} * CAST(1${'0'.repeat(digits)} AS DECIMAL(${digits + 1},0)) AS HUGEINT)`
  const [a, b] = [unscaled(left, s1), `lakegate_divisor(${unscaled(right, s2)})`]
  const [digitsA, digitsB] = [integerDigitsOf(leftType) + s1, integerDigitsOf(rightType) + s2]
  const whole =
    digitsA <= 18 && digitsB <= 12
      ? longDivision(a, b, shift, 18 - digitsB)
      : // In a lambda, so that sums and counts stand in the text once.
        `list_transform([[${a}, ${b}]], lambda p: lakegate_quotient(p[1], p[2], ${power(Math.floor(shift / 2))}, ${power(Math.ceil(shift / 2))}))[1]`
  return {
    sql: `(${whole} * CAST(0.${'0'.repeat(scale - 1)}1 AS DECIMAL(${scale},${scale})))`,
    type: { ...numericType(scale), digits: 'quotient' },
  }
}

function power(digits: number): string {
  return `1${'0'.repeat(digits)}::HUGEINT`
}

/**
 * `a / b` with `shift` digits behind the point, as a whole HUGEINT, half away from zero.
 *
 * Worked out `step` digits at a time in 64 bits: DuckDB divides numbers of 128 bits bit by bit.
 */
function longDivision(a: string, b: string, shift: number, step: number): string {
  const [dividend, divisor] = [`CAST(abs(${a}) AS BIGINT)`, `CAST(abs(${b}) AS BIGINT)`]
  let result = `CAST(${dividend} // ${divisor} AS HUGEINT)`
  let rest = `(${dividend} % ${divisor})`
  for (let left = shift; left > 0; left -= step) {
    const factor = `1${'0'.repeat(Math.min(step, left))}`
    result = `(${result} * ${factor} + (${rest} * ${factor}) // ${divisor})`
    rest = `((${rest} * ${factor}) % ${divisor})`
  }
  const rounded = `(${result} + CASE WHEN 2 * ${rest} >= ${divisor} THEN 1 ELSE 0 END)`
  return `CASE WHEN (${a} < 0) <> (${b} < 0) THEN -1 ELSE 1 END * ${rounded}`
}

function refuse(call: Call): Built {
  throw new SqlError(SqlState.featureNotSupported, `${call.word} is not supported`)
}

function approximate(call: Call): Built {
  let body = call.word
  call.args.forEach((one, i) => {
    body = body.replaceAll(`$${i + 1}`, () => one.sql)
  })
  body = body
    .replace('@', () => call.inside(call.args.map((one) => one.sql).join(', ')))
    .replace('~', () => call.after)
  return numeric(`lakegate_finite_numeric(${body})`, 16, 'quotient')
}

/** The regular expression of argument `i` in the engine's dialect. */
function pattern(call: Call, i: number): string {
  const known = constant(call, i)
  return known === undefined
    ? `lakegate_pattern(${sql(call, i)})`
    : quoteLiteral(engineRegexp(known))
}

function flags(call: Call, i: number): { readonly options: string; readonly global: boolean } {
  const given = call.args[i] === undefined ? '' : needConstant(call, i, 'the flags')
  return regexpFlags(given)
}

function jsonOf(value: TypedExpression): string {
  const { type } = value
  if (type.oid === Oid.json || type.oid === Oid.jsonb || type.engine.kind === 'struct') {
    return `to_json(${value.sql})`
  }
  switch (type.oid) {
    case Oid.unknown:
      return `to_json(CAST(${value.sql} AS VARCHAR))`
    case Oid.timestamp:
    case Oid.timestamptz:
      return `to_json(replace(${textOf(value.sql, type)}, ' ', 'T'))`
    case Oid.numeric:
      // By its digits: as a JSON number DuckDB would make it a double.
      return `CAST(${textOf(value.sql, type)} AS JSON)`
    case Oid.bytea:
    case Oid.interval:
    case Oid.date:
      return `to_json(${textOf(value.sql, type)})`
    default:
      return `to_json(${value.sql})`
  }
}

function jsonResult(call: Call, sqlText: string): Built {
  const type = call.result ?? sqlType(call.word === 'jsonb' ? Oid.jsonb : Oid.json)
  return { sql: `CAST(${sqlText} AS JSON)`, type }
}

/** A JSON path to one key, quoted so that no character of the key has a meaning. */
function keyPath(key: string): string {
  return `$."${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** The dimension `n` (1-based) of an array, seen through nested lists. */
function dimensions(type: SqlType): number {
  let depth = 0
  let { engine } = type
  while (engine.kind === 'list' || engine.kind === 'array') {
    depth++
    engine = engine.child
  }
  return depth
}

const BUILDERS: Readonly<Record<string, Builder>> = {
  refuse,
  approximate,
  wholeNumeric: (call) => {
    const type = { ...numericType(0), digits: undefined }
    return { sql: `CAST(${call.word.replace('$1', () => sql(call, 0))} AS DECIMAL(38,0))`, type }
  },
  roundNumeric: (call) => {
    const digits = Number(needConstant(call, 1, 'the number of digits'))
    const [value] = call.args
    if (value === undefined) return refuse(call)
    const scale = Math.max(0, Math.min(digits, 38))
    if (digits >= scaleOf(value.type)) {
      const room = Math.min(scale, 38 - Math.min(integerDigitsOf(value.type), 19))
      return numeric(value.sql, Math.max(room, scaleOf(value.type)))
    }
    return numeric(`${call.word}(${value.sql}, ${digits})`, scale)
  },
  power: (call): Built =>
    numeric(
      `lakegate_finite_numeric(lakegate_power(CAST(${sql(call, 0)} AS DOUBLE), CAST(${sql(call, 1)} AS DOUBLE)))`,
      16,
      'quotient',
    ),
  modulo: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const scale = Math.max(scaleOf(left.type), scaleOf(right.type))
    const typed = `DECIMAL(38,${scale})`
    return numeric(
      `CAST(${left.sql} AS ${typed}) % lakegate_divisor(CAST(${right.sql} AS ${typed}))`,
      scale,
      digitsOf(left.type, right.type),
    )
  },
  divNumeric: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const { sql: exact } = quotient(left.sql, left.type, right.sql, right.type)
    return numeric(`trunc(${exact})`, 0)
  },
  divide: (call) => quotient(sql(call, 0), arg(call, 0).type, sql(call, 1), arg(call, 1).type),
  numericOperator: (call) => {
    const [left, right] = [arg(call, 0), arg(call, 1)]
    const digits = digitsOf(left.type, right.type)
    const [s1, s2] = [scaleOf(left.type), scaleOf(right.type)]
    const [i1, i2] = [integerDigitsOf(left.type), integerDigitsOf(right.type)]
    if (call.word !== '*') {
      const scale = Math.max(s1, s2)
      const width = Math.min(38, Math.max(i1, i2) + scale + 1)
      const wide = `DECIMAL(${width},${scale})`
      const side = (one: TypedExpression): string =>
        printEngineType(one.type.engine) === wide ? one.sql : `CAST(${one.sql} AS ${wide})`
      return numeric(`${side(left)} ${call.word} ${side(right)}`, scale, digits, width)
    }
    // A product has the digits of both; where that is more than there is room for, what is left of
    // a quotient's digits goes first.
    const room = 38 - Math.min(19, i1 + i2)
    const fits = s1 + s2 <= room || (s1 + s2 <= 38 && digits === undefined)
    const [t1, t2] = fits
      ? [s1, s2]
      : s1 >= s2
        ? [Math.max(0, room - s2), Math.min(s2, room)]
        : [Math.min(s1, room), Math.max(0, room - s1)]
    const width = Math.min(38, i1 + i2 + t1 + t2)
    // DuckDB keeps products of two 64-bit decimals in 64 bits unless an operand is wider.
    const widest = width > 18 ? 38 : 18
    const side = (one: TypedExpression, from: number, to: number, whole: number): string =>
      from === to && widest === 18
        ? one.sql
        : `CAST(${one.sql} AS DECIMAL(${widest === 38 ? 38 : Math.min(18, whole + to)},${to}))`
    return numeric(
      `${side(left, s1, t1, i1)} * ${side(right, s2, t2, i2)}`,
      t1 + t2,
      digits,
      Math.max(width, t1 + t2, 1),
    )
  },
  numericScale: (call) => ({
    sql: `CAST(${scaleOf(arg(call, 0).type)} AS INTEGER)`,
    type: sqlType(Oid.int4),
  }),
  trimScale: (call) => ({
    sql: sql(call, 0),
    type: { ...arg(call, 0).type, typmod: -1, digits: 'trimmed' },
  }),
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
  regexpSubstring: (call) => {
    const known = needConstant(call, 1, 'the pattern')
    const group = /\((?!\?)/.test(known.replaceAll(/\\./g, '')) ? 1 : 0
    return text(call, `lakegate_regexp_first(${sql(call, 0)}, ${pattern(call, 1)}, ${group})`)
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
  dateTrunc: (call) => {
    const unit = constant(call, 0)
    const value = arg(call, 1)
    if (unit !== undefined && !TRUNC_UNITS.has(unit.toLowerCase())) throw badUnit(unit, value.type)
    const type = { ...value.type, typmod: -1 }
    if (
      /^(?:century|centuries|millenni(?:um|a))$/i.test(unit ?? '') &&
      value.type.oid !== Oid.interval
    ) {
      // PostgreSQL's centuries begin with their year 1, DuckDB's with year 0.
      const year = `INTERVAL '1 year'`
      return { sql: `(date_trunc(${sql(call, 0)}, ${value.sql} - ${year}) + ${year})`, type }
    }
    return {
      sql: `CAST(date_trunc(${sql(call, 0)}, ${value.sql}) AS ${printEngineType(type.engine)})`,
      type,
    }
  },
  extract: (call) => extracted(call),
  toChar: (call) =>
    text(call, charTemplate(needConstant(call, 1, 'the template'), call.word, arg(call, 0))),
  parseTemplate: (call) => {
    const format = strptimeFormat(needConstant(call, 1, 'the template'))
    const parsed = `strptime(${sql(call, 0)}, ${quoteLiteral(format)})`
    return call.word === 'date'
      ? { sql: `CAST(${parsed} AS DATE)`, type: sqlType(Oid.date) }
      : { sql: `CAST(${parsed} AS TIMESTAMPTZ)`, type: sqlType(Oid.timestamptz) }
  },
  toJson: (call) => jsonResult(call, jsonOf(arg(call, 0))),
  jsonObject: (call) => {
    if (call.given.length % 2 !== 0) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        'argument list must have even number of elements',
        { hint: `The arguments of ${call.name}() must consist of alternating keys and values.` },
      )
    }
    const parts = call.given.map((one, i) =>
      i % 2 === 0 ? `lakegate_json_key(${textOf(one.sql, one.type)})` : jsonOf(one),
    )
    return jsonResult(call, `json_object(${parts.join(', ')})`)
  },
  jsonArray: (call) => jsonResult(call, `json_array(${call.given.map(jsonOf).join(', ')})`),
  jsonPath: (call) => {
    const last = call.word === 'text' ? 'json_extract_string' : 'json_extract'
    const keys = call.args.slice(1)
    const value = keys.reduce(
      (of, key, i) =>
        `${i === keys.length - 1 ? last : 'json_extract'}(${of}, lakegate_json_step(${of}, ${key.sql}))`,
      sql(call, 0),
    )
    return { sql: value, type: call.result ?? sqlType(Oid.text) }
  },
  jsonField: (call) => {
    const key = constant(call, 1)
    const step =
      key === undefined ? `lakegate_json_key_path(${sql(call, 1)})` : quoteLiteral(keyPath(key))
    return {
      // Functions, not arrows: DuckDB takes an arrow behind a bare name for a lambda.
      sql: `${call.word === '->>' ? 'json_extract_string' : 'json_extract'}(${sql(call, 0)}, ${step})`,
      type: call.result ?? sqlType(Oid.text),
    }
  },
  jsonPathOperator: (call) => {
    const found = `lakegate_json_path(${sql(call, 0)}, ${sql(call, 1)})`
    return call.word === 'text'
      ? { sql: `(${found} ->> '$')`, type: sqlType(Oid.text) }
      : { sql: found, type: call.result ?? sqlType(Oid.json) }
  },
  jsonContains: (call) => {
    const [whole, part] = call.word === '@>' ? [0, 1] : [1, 0]
    return {
      sql: `json_contains(${sql(call, whole)}, ${sql(call, part)})`,
      type: sqlType(Oid.bool),
    }
  },
  arrayDimension: (call) => {
    const [array] = call.args
    if (array === undefined) return refuse(call)
    const depth = dimensions(array.type)
    const type = sqlType(Oid.int4)
    const known = call.args[1] === undefined ? 1 : Number(needConstant(call, 1, 'the dimension'))
    const lengthOf = (n: number): string => `len(${array.sql}${'[1]'.repeat(n - 1)})`
    switch (call.word) {
      case 'cardinality': {
        const flat = Array.from({ length: depth - 1 }).reduce<string>(
          (of) => `flatten(${of})`,
          array.sql,
        )
        return { sql: `CAST(len(${flat}) AS INTEGER)`, type }
      }
      case 'count':
        return { sql: `CASE WHEN len(${array.sql}) > 0 THEN ${depth} END`, type }
      case 'text': {
        const parts = Array.from({ length: depth }, (_, i) => `'[1:' || ${lengthOf(i + 1)} || ']'`)
        return {
          sql: `CASE WHEN len(${array.sql}) > 0 THEN ${parts.join(' || ')} END`,
          type: sqlType(Oid.text),
        }
      }
      default: {
        if (known < 1 || known > depth) return { sql: 'CAST(NULL AS INTEGER)', type }
        const value = call.word === 'lower' ? '1' : `CAST(${lengthOf(known)} AS INTEGER)`
        return { sql: `CASE WHEN ${lengthOf(known)} > 0 THEN ${value} END`, type }
      }
    }
  },
  arrayToString: (call) => {
    const [array] = call.args
    if (array === undefined) return refuse(call)
    const depth = dimensions(array.type)
    let element = array.type
    for (let i = 0; i < depth; i++) element = elementOf(element) ?? element
    const flat = Array.from({ length: depth - 1 }).reduce<string>(
      (of) => `flatten(${of})`,
      array.sql,
    )
    const item = element.oid === Oid.bool ? 'lakegate_boolean_letter(e)' : textOf('e', element)
    const missing = call.args[2]
    const texts =
      missing === undefined
        ? `list_filter(list_transform(${flat}, lambda e: ${item}), lambda t: t IS NOT NULL)`
        : `lakegate_without_nulls(list_transform(${flat}, lambda e: coalesce(${item}, ${missing.sql})))`
    return text(call, `lakegate_array_join(${texts}, ${sql(call, 1)})`)
  },
  unnest: (call) => {
    const [array] = call.args
    if (array === undefined) return refuse(call)
    const depth = dimensions(array.type)
    let element = array.type
    for (let i = 0; i < depth; i++) element = elementOf(element) ?? element
    const flat = Array.from({ length: depth - 1 }).reduce<string>(
      (of) => `flatten(${of})`,
      array.sql,
    )
    return { sql: `unnest(${flat})`, type: element }
  },
  series: (call) => {
    const type = call.result ?? arg(call, 0).type
    const list = call.args.map((one) =>
      call.word === 'integer' ? `CAST(${one.sql} AS BIGINT)` : one.sql,
    )
    if (list.length === 3)
      list[2] =
        call.word === 'integer' ? `lakegate_step(${list[2]})` : `lakegate_step_interval(${list[2]})`
    return {
      sql: `CAST(unnest(generate_series(${list.join(', ')})) AS ${printEngineType(type.engine)})`,
      type,
    }
  },
  numericSeries: (call) => {
    const scale = Math.max(...call.args.map((one) => scaleOf(one.type)))
    const factor = `1${'0'.repeat(scale)}`
    const list = call.args.map((one) => `CAST(${one.sql} * ${factor} AS BIGINT)`)
    if (list[2] !== undefined) list[2] = `lakegate_step(${list[2]})`
    else list.push(factor)
    const type = numericType(scale)
    return {
      sql: `CAST(CAST(unnest(generate_series(${list.join(', ')})) AS DECIMAL(19,0)) * CAST(${scale === 0 ? '1' : `0.${'0'.repeat(scale - 1)}1`} AS DECIMAL(19,${scale})) AS DECIMAL(38,${scale}))`,
      type,
    }
  },
  stringAggregate: (call) => {
    const [value, separator] = call.args
    if (value === undefined || separator?.shape.kind !== 'constant') {
      throw new SqlError(
        SqlState.featureNotSupported,
        'string_agg is supported with a constant separator only',
      )
    }
    const by = separator.shape.text === null ? `''` : separator.sql
    return text(call, `string_agg(${call.inside(`${value.sql}, ${by}`)})${call.after}`)
  },
  sumInterval: (call) => {
    const part = (name: string): string =>
      `sum(${call.inside(`lakegate_interval_${name}(${sql(call, 0)})`)})${call.after}`
    return {
      sql: `lakegate_interval(${part('months')}, ${part('days')}, ${part('micros')})`,
      type: sqlType(Oid.interval),
    }
  },
  averageInterval: (call) => {
    const part = (name: string): string =>
      `avg(${call.inside(`lakegate_interval_${name}(${sql(call, 0)})`)})${call.after}`
    return {
      sql: `lakegate_spread(${part('months')}, ${part('days')}, ${part('micros')})`,
      type: sqlType(Oid.interval),
    }
  },
  sumNumeric: (call) => {
    const [value] = call.args
    if (value === undefined) return refuse(call)
    const scale = scaleOf(value.type)
    return numeric(`sum(${call.inside(value.sql)})${call.after}`, scale, value.type.digits)
  },
  average: (call) => {
    const [value] = call.args
    if (value === undefined) return refuse(call)
    const inside = call.inside(value.sql)
    const exact = {
      ...value.type,
      engine:
        value.type.engine.kind === 'decimal'
          ? value.type.engine
          : ({ kind: 'decimal', width: integerDigitsOf(value.type), scale: 0 } as const),
    }
    return quotient(
      `sum(${inside})${call.after}`,
      exact,
      `nullif(count(${inside})${call.after}, 0)`,
      sqlType(Oid.int8),
    )
  },
  jsonAggregate: (call) => {
    const [value] = call.args
    if (value === undefined) return refuse(call)
    const item = jsonOf(expression('e', value.type, []))
    const list = `list(${call.inside(value.sql)})${call.after}`
    return jsonResult(call, `lakegate_json_list(list_transform(${list}, lambda e: ${item}))`)
  },
  jsonObjectAggregate: (call) => {
    const [key, value] = call.given
    if (key === undefined || value === undefined) return refuse(call)
    const inside = call.inside(`lakegate_json_key(${textOf(key.sql, key.type)}), ${jsonOf(value)}`)
    return jsonResult(call, `json_group_object(${inside})${call.after}`)
  },
  session: (call) => {
    const literal = call.sessionFunction(call.word, call.syntax)
    if (literal === undefined) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `${call.name} is supported with constant arguments only`,
      )
    }
    return { sql: literal, type: call.result ?? sqlType(Oid.text) }
  },
  typeOf: (call) => ({
    sql: quoteLiteral(typeName(call.given[0]?.type ?? sqlType(Oid.unknown))),
    type: { oid: Oid.regtype, typmod: -1, engine: scalarType('VARCHAR') },
  }),
  countNulls: (call) => ({
    sql: `CAST(${call.given.map((one) => `CASE WHEN ${one.sql} IS ${call.word} THEN 1 ELSE 0 END`).join(' + ')} AS INTEGER)`,
    type: sqlType(Oid.int4),
  }),
}

/** The builder of that name. */
export function builderNamed(name: string): Builder {
  const found = BUILDERS[name]
  if (found === undefined) throw new Error(`no function builder is named ${name}`)
  return found
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

const TRUNC_UNITS: ReadonlySet<string> = new Set([
  'microseconds',
  'milliseconds',
  'second',
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'quarter',
  'year',
  'decade',
  'century',
  'millennium',
  'microsecond',
  'millisecond',
  'seconds',
  'minutes',
  'hours',
  'days',
  'weeks',
  'months',
  'quarters',
  'years',
  'decades',
  'centuries',
  'millennia',
])

function badUnit(unit: string, type: SqlType): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `unit "${unit}" not recognized for type ${typeName(type)}`,
  )
}

/** Fields of extract: DuckDB text over `x` and the digits behind the point PostgreSQL gives. */
const FIELDS: Readonly<Record<string, readonly [string, number]>> = {
  year: ['lakegate_year(x)', 0],
  month: ['month(x)', 0],
  day: ['day(x)', 0],
  hour: ['hour(x)', 0],
  minute: ['minute(x)', 0],
  second: ['(microsecond(x) * 0.000001)', 6],
  milliseconds: ['(microsecond(x) * 0.001)', 3],
  microseconds: ['microsecond(x)', 0],
  quarter: ['quarter(x)', 0],
  week: ['week(x)', 0],
  isoyear: ['isoyear(x)', 0],
  doy: ['dayofyear(x)', 0],
  dow: ['dayofweek(x)', 0],
  isodow: ['isodow(x)', 0],
  decade: ['lakegate_decade(x)', 0],
  century: ['century(x)', 0],
  millennium: ['millennium(x)', 0],
  epoch: ['lakegate_epoch_of(x)', 6],
  timezone: ["date_part('timezone', x)", 0],
  timezone_hour: ["date_part('timezone_hour', x)", 0],
  timezone_minute: ["date_part('timezone_minute', x)", 0],
}

const FIELD_ALIASES: Readonly<Record<string, string>> = {
  years: 'year',
  y: 'year',
  mon: 'month',
  months: 'month',
  mons: 'month',
  days: 'day',
  d: 'day',
  hours: 'hour',
  h: 'hour',
  minutes: 'minute',
  min: 'minute',
  m: 'minute',
  seconds: 'second',
  sec: 'second',
  s: 'second',
  millisecond: 'milliseconds',
  ms: 'milliseconds',
  microsecond: 'microseconds',
  us: 'microseconds',
  weeks: 'week',
  w: 'week',
  quarters: 'quarter',
  decades: 'decade',
  centuries: 'century',
  millennia: 'millennium',
}

const DATE_FIELDS =
  /^(?:year|month|day|quarter|week|isoyear|doy|dow|isodow|decade|century|millennium|epoch|julian)$/

function extracted(call: Call): Built {
  const given = needConstant(call, 0, 'the field').toLowerCase()
  const field = FIELD_ALIASES[given] ?? given
  const value = arg(call, 1)
  const found = FIELDS[field]
  const isTime = value.type.oid === Oid.time || value.type.oid === Oid.timetz
  const zoneless = value.type.oid !== Oid.timestamptz && value.type.oid !== Oid.timetz
  if (field === 'julian') {
    throw new SqlError(SqlState.featureNotSupported, 'extracting julian is not supported')
  }
  if (found === undefined) throw badUnit(given, value.type)
  if (
    (isTime && DATE_FIELDS.test(field) && field !== 'epoch') ||
    (field.startsWith('timezone') && zoneless) ||
    (value.type.oid === Oid.date && !DATE_FIELDS.test(field)) ||
    (value.type.oid === Oid.interval && /^(?:doy|dow|isodow|isoyear|week)$/.test(field))
  ) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `unit "${given}" not supported for type ${typeName(value.type)}`,
    )
  }
  const [template, scale] = found
  // DuckDB's microsecond() of a date does not exist, and nothing below a day is asked of one.
  const body = template.replace('x', () => value.sql)
  if (call.word === 'date_part') {
    return { sql: `CAST(${body} AS DOUBLE)`, type: sqlType(Oid.float8) }
  }
  const digits = value.type.oid === Oid.date && field === 'epoch' ? 0 : scale
  return numeric(body, digits)
}

/** The strptime format of a to_date or to_timestamp template. */
function strptimeFormat(template: string): string {
  const patterns: readonly (readonly [RegExp, string])[] = [
    [/^YYYY/i, '%Y'],
    [/^HH24/i, '%H'],
    [/^(?:HH12|HH)/i, '%I'],
    [/^(?:FM)?Month/i, '%B'],
    [/^(?:FM)?Day/i, '%A'],
    [/^MI/i, '%M'],
    [/^SS/i, '%S'],
    [/^US/i, '%f'],
    [/^MS/i, '%g'],
    [/^MM/i, '%m'],
    [/^DDD/i, '%j'],
    [/^DD/i, '%d'],
    [/^YY/i, '%y'],
    [/^Mon/i, '%b'],
    [/^Dy/i, '%a'],
    [/^(?:AM|PM)/i, '%p'],
  ]
  let format = ''
  let rest = template.replaceAll(/FM|FX/g, '')
  while (rest !== '') {
    const quoted = /^"([^"]*)"/.exec(rest)
    const found = patterns.find(([expression]) => expression.test(rest))
    if (quoted !== null) {
      format += (quoted[1] ?? '').replaceAll('%', '%%')
      rest = rest.slice(quoted[0].length)
    } else if (found !== undefined) {
      format += found[1]
      rest = rest.replace(found[0], '')
    } else if (/^[a-z0-9]/i.test(rest)) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `the template pattern "${rest}" is not supported for reading`,
      )
    } else {
      format += rest[0] === '%' ? '%%' : rest[0]
      rest = rest.slice(1)
    }
  }
  return format
}

/** Whether values of the type are arrays of arrays here. */
export function isNested(type: SqlType): boolean {
  return isArrayOid(type.oid) && dimensions(type) > 1
}
