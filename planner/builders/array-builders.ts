/** ArrayBuilders: functions over arrays, and of those that give rows. */

import { Oid } from '../../catalog/pg-types.js'
import { printEngineType } from '../../storage/engine-type.js'
import { textOf } from '../coercion.js'
import { type SqlType, elementOf, isArrayOid, numericType, scaleOf, sqlType } from '../sql-type.js'
import { type Builder, arg, needConstant, refuse, sql, text } from './builder.js'

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

/** Whether values of the type are arrays of arrays here. */
export function isNested(type: SqlType): boolean {
  return isArrayOid(type.oid) && dimensions(type) > 1
}

export const ARRAY_BUILDERS: Readonly<Record<string, Builder>> = {
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
}
