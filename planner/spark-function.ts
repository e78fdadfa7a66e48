/** SparkFunction: the functions of Spark SQL that stored expressions use, in DuckDB's words. */

import { quoteLiteral } from '../storage/engine.js'
import { comparable, commonValues } from './spark-comparison.js'
import { untranslatable } from './spark-expression.js'
import {
  BOOLEAN,
  castTo,
  castType,
  DATE,
  failing,
  guarded,
  INTEGER,
  isIntegral,
  isNumeric,
  isOddYear,
  isPrimitive,
  isTime,
  LONG,
  made,
  ranged,
  momentOf,
  type SparkValue,
  sparkTypeName,
  STRING,
  TIMESTAMP,
  typed,
  wallClock,
  widerNumber,
} from './spark-value.js'

type Args = readonly SparkValue[]
type Builder = (args: Args, name: string) => SparkValue

/** Functions that Spark calls without parentheses too. */
export const CURRENT: ReadonlySet<string> = new Set(['current_date', 'current_timestamp'])

/** A call of the function `name`, in lower case; 0A000 for those whose values may differ. */
export function callFunction(name: string, args: Args): SparkValue {
  const known = FUNCTIONS.get(name.toLowerCase())
  if (known === undefined || !known.counts.includes(args.length)) {
    throw untranslatable(`the function ${name} with ${args.length} arguments`)
  }
  return known.build(args, name.toLowerCase())
}

interface Definition {
  readonly counts: readonly number[]
  readonly build: Builder
}

const MANY: readonly number[] = Array.from({ length: 64 }, (_, i) => i + 1)

const FUNCTIONS: ReadonlyMap<string, Definition> = new Map(
  [
    define('current_timestamp now', [0], () => made('now()', TIMESTAMP)),
    define('current_date curdate', [0], () => castTo(made('now()', TIMESTAMP), DATE)),
    define('coalesce', MANY, coalesce),
    define('nvl ifnull', [2], coalesce),
    define('nvl2', [3], ([test, then, otherwise]) =>
      choice(
        made(`(${need(test).sql} IS NOT NULL)`, BOOLEAN, need(test)),
        need(then),
        need(otherwise),
      ),
    ),
    define('if', [3], ([test, then, otherwise]) => {
      const condition = need(test)
      if (!isPrimitive(condition.type, 'boolean')) throw untranslatable('this condition')
      return choice(condition, need(then), need(otherwise))
    }),
    define('nullif', [2], ([value, other]) => {
      const [a, b] = comparable(need(value), need(other))
      const { sql, type } = need(value)
      return typed(`CASE WHEN ${a.sql} = ${b.sql} THEN NULL ELSE ${sql} END`, type, a, b)
    }),
    define('isnull', [1], ([value]) => made(`(${need(value).sql} IS NULL)`, BOOLEAN, need(value))),
    define('isnotnull', [1], ([value]) =>
      made(`(${need(value).sql} IS NOT NULL)`, BOOLEAN, need(value)),
    ),
    define('greatest least', MANY.slice(1), extreme),

    define('concat', MANY, (args) => {
      const texts = args.map(text)
      return made(`(${texts.map(({ sql }) => sql).join(' || ')})`, STRING, ...texts)
    }),
    define('concat_ws', MANY.slice(1), (args) => {
      const texts = args.map(text)
      return made(`concat_ws(${texts.map(({ sql }) => sql).join(', ')})`, STRING, ...texts)
    }),
    define('upper ucase', [1], (args) => letterCase('upper', text(need(args[0])))),
    define('lower lcase', [1], (args) => letterCase('lower', text(need(args[0])))),
    define('length char_length character_length len', [1], (args) => {
      const value = text(need(args[0]))
      return typed(`length(${value.sql})`, INTEGER, value)
    }),
    define('trim ltrim rtrim', [1], (args, name) => {
      const value = text(need(args[0]))
      return made(`${name}(${value.sql}, ' ')`, STRING, value)
    }),
    define('substring substr', [2, 3], (args) => {
      const length = args[2] === undefined ? undefined : constantInteger(args[2])
      return substring(text(need(args[0])), constantInteger(need(args[1])), length)
    }),
    define('left', [2], (args) =>
      substring(text(need(args[0])), 1, Math.max(0, constantInteger(need(args[1])))),
    ),
    define('right', [2], (args) => {
      const count = constantInteger(need(args[1]))
      const value = text(need(args[0]))
      return count <= 0 ? substring(value, 1, 0) : substring(value, -count, undefined)
    }),
    define('replace', [3], (args) => {
      const [value, from, to] = args.map(text)
      if (need(from).constant === undefined || need(from).constant === '') {
        throw untranslatable('replacing what is not constant')
      }
      const sql = `replace(${need(value).sql}, ${need(from).sql}, ${need(to).sql})`
      return made(sql, STRING, need(value), need(to))
    }),
    define('startswith endswith contains', [2], (args, name) => {
      const [value, part] = args.map((arg) => {
        if (isPrimitive(arg.type, 'string')) return arg
        throw untranslatable(`${name} of ${sparkTypeName(arg.type)}`)
      })
      const call = { startswith: 'starts_with', endswith: 'ends_with' }[name] ?? name
      const sql = `${call}(${need(value).sql}, ${need(part).sql})`
      return made(sql, BOOLEAN, need(value), need(part))
    }),

    define('abs', [1], ([value]) => {
      const { sql, type } = number(value)
      return ranged(`abs(${sql})`, type)
    }),
    define('floor ceil ceiling', [1], ([value], name) => {
      const arg = number(value)
      if (isIntegral(arg.type)) return castTo(arg, LONG)
      if (arg.type.kind === 'decimal') throw untranslatable(`${name} of a decimal`)
      return failing(typed(`${name === 'ceiling' ? 'ceil' : name}(${arg.sql})`, LONG).sql, LONG)
    }),
    define('pmod', [2], ([value, modulus]) => {
      const type = widerNumber(whole(value), whole(modulus)) ?? LONG
      const [a, b] = [castTo(whole(value), LONG), castTo(whole(modulus), LONG)]
      const result = typed(`((${a.sql} % ${b.sql}) + ${b.sql}) % ${b.sql}`, type)
      return guarded(`${b.sql} <= 0`, result, 'pmod by what is not positive is not supported')
    }),

    define('year quarter month hour minute', [1], ([value], name) => part(name, need(value))),
    define('day dayofmonth', [1], ([value]) => part('day', need(value))),
    define('dayofyear', [1], ([value]) => part('dayofyear', need(value))),
    define('weekofyear', [1], ([value]) => part('week', need(value))),
    define('dayofweek', [1], ([value]) => {
      const day = part('dayofweek', need(value))
      return typed(`${day.sql} + 1`, INTEGER, day)
    }),
    define('weekday', [1], ([value]) => {
      const day = part('isodow', need(value))
      return typed(`${day.sql} - 1`, INTEGER, day)
    }),
    define('date_part', [2], ([unit, value]) => {
      const wanted = (need(unit).constant ?? '').toLowerCase()
      const name = { year: 'year', month: 'month', day: 'day', hour: 'hour', minute: 'minute' }[
        wanted
      ]
      if (name === undefined) throw untranslatable(`date_part of ${wanted}`)
      return part(name, need(value))
    }),
    define('date_format', [2], ([value, template]) => dateFormat(need(value), need(template))),
    define('date_trunc', [2], ([unit, value]) => {
      const wall = wallClock(time(value))
      const name = truncation(need(unit), true)
      return made(momentOf(`date_trunc('${name}', ${wall})`), TIMESTAMP, need(value))
    }),
    define('trunc', [2], ([value, unit]) => {
      const day = castTo(time(value), DATE)
      return typed(`date_trunc('${truncation(need(unit), false)}', ${day.sql})`, DATE, day)
    }),
    define('to_date', [1, 2], ([value, template]) => {
      if (template !== undefined && template.constant !== 'yyyy-MM-dd') {
        throw untranslatable('to_date with this template')
      }
      if (template !== undefined && !isPrimitive(need(value).type, 'string')) {
        throw untranslatable('to_date of this')
      }
      return castTo(need(value), DATE)
    }),
    define('date_add dateadd', [2], ([day, count]) => days(need(day), '+', need(count))),
    define('date_sub', [2], ([day, count]) => days(need(day), '-', need(count))),
    define('datediff date_diff', [2], ([to, from]) => {
      const [a, b] = [castTo(time(to), DATE), castTo(time(from), DATE)]
      return typed(`${a.sql} - ${b.sql}`, INTEGER, a, b)
    }),
    define('add_months', [2], ([day, count]) => {
      const date = castTo(time(day), DATE)
      const sql = `${date.sql} + to_months(${castTo(whole(count), INTEGER).sql})`
      return ranged(sql, DATE)
    }),
    define('last_day', [1], ([day]) => {
      const date = castTo(time(day), DATE)
      return typed(`last_day(${date.sql})`, DATE, date)
    }),
    define('make_date', [3], (args) => {
      const parts = args.map((arg) => castTo(whole(arg), INTEGER).sql)
      return ranged(`make_date(${parts.join(', ')})`, DATE)
    }),
    // The names of types are functions that cast.
    define(
      'boolean tinyint smallint int bigint float double date timestamp string decimal',
      [1],
      ([value], name) => castTo(need(value), castType(name)),
    ),
  ].flat(),
)

function define(
  names: string,
  counts: readonly number[],
  build: Builder,
): readonly (readonly [string, Definition])[] {
  return names.split(' ').map((name) => [name, { counts, build }] as const)
}

function need(value: SparkValue | undefined): SparkValue {
  if (value === undefined) throw untranslatable('a call without this argument')
  return value
}

function text(value: SparkValue): SparkValue {
  return castTo(value, STRING)
}

function number(value: SparkValue | undefined): SparkValue {
  const arg = need(value)
  if (isNumeric(arg.type)) return arg
  throw untranslatable(`${sparkTypeName(arg.type)} as a number`)
}

function whole(value: SparkValue | undefined): SparkValue {
  const arg = need(value)
  if (isPrimitive(arg.type, 'byte', 'short', 'integer', 'long')) return arg
  throw untranslatable(`${sparkTypeName(arg.type)} as an integer`)
}

function time(value: SparkValue | undefined): SparkValue {
  const arg = need(value)
  if (isTime(arg.type)) return arg
  if (isPrimitive(arg.type, 'string')) return castTo(arg, DATE)
  throw untranslatable(`${sparkTypeName(arg.type)} as a time`)
}

function constantInteger({ constant, type }: SparkValue): number {
  if (constant !== undefined && isPrimitive(type, 'integer')) return Number(constant)
  throw untranslatable('a position or length that is not constant')
}

function coalesce(args: Args): SparkValue {
  const { type, values } = commonValues(args)
  return typed(`COALESCE(${values.map(({ sql }) => sql).join(', ')})`, type, ...values)
}

function choice(test: SparkValue, then: SparkValue, otherwise: SparkValue): SparkValue {
  const { type, values } = commonValues([then, otherwise])
  const sql = `CASE WHEN ${test.sql} THEN ${values[0]?.sql} ELSE ${values[1]?.sql} END`
  return typed(sql, type, test, ...values)
}

function extreme(args: Args, name: string): SparkValue {
  const { type, values } = commonValues(args)
  const isOrdered = isIntegral(type) || isTime(type) || isPrimitive(type, 'string')
  if (!isOrdered && type.kind !== 'decimal')
    throw untranslatable(`${name} of ${sparkTypeName(type)}`)
  return typed(`${name}(${values.map(({ sql }) => sql).join(', ')})`, type, ...values)
}

function letterCase(name: 'upper' | 'lower', value: SparkValue): SparkValue {
  // Java's rules for other letters depend on their neighbours and on its version.
  return guarded(
    `regexp_matches(${value.sql}, '[^\\x00-\\x7FÀ-ÖØ-Þà-öø-þ]')`,
    made(`${name}(${value.sql})`, STRING),
    `${name} of letters beyond Latin-1 is not supported`,
  )
}

/** Spark's substring: positions count from 1, or from the end, and may lie outside. */
function substring(value: SparkValue, position: number, length: number | undefined): SparkValue {
  if (length !== undefined && length <= 0) {
    return typed(`CASE WHEN ${value.sql} IS NOT NULL THEN '' END`, STRING, value)
  }
  if (position >= 0) {
    const more = length === undefined ? '' : `, ${length}`
    return made(`substring(${value.sql}, ${Math.max(1, position)}${more})`, STRING, value)
  }
  const start = `(length(${value.sql}) - ${-position})`
  const first = `greatest(${start}, 0)`
  if (length === undefined) return made(`substring(${value.sql}, ${first} + 1)`, STRING, value)
  const count = `greatest(${start} + ${length} - ${first}, 0)`
  return made(`substring(${value.sql}, ${first} + 1, ${count})`, STRING, value)
}

function part(name: string, value: SparkValue): SparkValue {
  return typed(`date_part('${name}', ${wallClock(time(value))})`, INTEGER, time(value))
}

function days(day: SparkValue, operator: '+' | '-', count: SparkValue): SparkValue {
  if (!isPrimitive(count.type, 'byte', 'short', 'integer')) {
    throw untranslatable(`adding ${sparkTypeName(count.type)} to a date`)
  }
  const sql = `${castTo(time(day), DATE).sql} ${operator} ${castTo(count, INTEGER).sql}`
  return ranged(sql, DATE)
}

const UNITS: Readonly<Record<string, string>> = {
  year: 'year',
  yyyy: 'year',
  yy: 'year',
  quarter: 'quarter',
  month: 'month',
  mon: 'month',
  mm: 'month',
  week: 'week',
}

const TIME_UNITS: Readonly<Record<string, string>> = {
  day: 'day',
  dd: 'day',
  hour: 'hour',
  minute: 'minute',
  second: 'second',
}

function truncation(unit: SparkValue, hasTime: boolean): string {
  const word = (unit.constant ?? '').toLowerCase()
  const name = UNITS[word] ?? (hasTime ? TIME_UNITS[word] : undefined)
  if (name === undefined) throw untranslatable('truncating to this unit')
  return name
}

/** Fields of Spark's datetime patterns; years are held in 1 to 9999. */
const FIELDS: Readonly<Record<string, string>> = {
  yyyy: '%Y',
  MM: '%m',
  dd: '%d',
  HH: '%H',
  mm: '%M',
  ss: '%S',
  M: '%-m',
  d: '%-d',
  H: '%-H',
  m: '%-M',
  s: '%-S',
}

function dateFormat(value: SparkValue, template: SparkValue): SparkValue {
  const pattern = template.constant
  if (pattern === undefined || !isPrimitive(template.type, 'string')) {
    throw untranslatable('date_format without a constant template')
  }
  const pieces = pattern.match(/([A-Za-z])\1*|'[^']*'|[^A-Za-z']/g) ?? []
  if (pieces.join('') !== pattern) throw untranslatable(`the template '${pattern}'`)
  const format = pieces.map((piece) => {
    const field = FIELDS[piece]
    if (field !== undefined) return field
    // Two quotes are a quote; what these letters and signs mean depends on Spark's version.
    if (/^[A-Za-z#{}[\]]|^''$/.test(piece)) throw untranslatable(`the template '${pattern}'`)
    return piece.replaceAll("'", '').replaceAll('%', '%%')
  })
  const arg = time(value)
  const sql = typed(`strftime(${wallClock(arg)}, ${quoteLiteral(format.join(''))})`, STRING)
  const message = 'years before 1 and after 9999 cannot be printed as Spark prints them'
  return guarded(isOddYear(arg), sql, message)
}
