/** AggregateBuilders: aggregates. */

import { Oid } from '../../catalog/pg-types.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { integerDigitsOf, scaleOf, sqlType } from '../sql-type.js'
import { type Builder, numeric, refuse, sql, text } from './builder.js'
import { quotient } from './number-builders.js'

export const AGGREGATE_BUILDERS: Readonly<Record<string, Builder>> = {
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
}
