/** DateBuilders: functions over dates and times, and of templates. */

import { Oid } from '../../catalog/pg-types.js'
import { printEngineType } from '../../storage/engine-type.js'
import { quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { charTemplate } from '../char-template.js'
import { type SqlType, sqlType, typeName } from '../sql-type.js'
import {
  type Builder,
  type Built,
  type Call,
  arg,
  constant,
  needConstant,
  numeric,
  sql,
  text,
} from './builder.js'

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

export const DATE_BUILDERS: Readonly<Record<string, Builder>> = {
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
}
