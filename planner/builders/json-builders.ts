/** JsonBuilders: JSON. */

import { Oid } from '../../catalog/pg-types.js'
import { quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { textOf } from '../coercion.js'
import { sqlType } from '../sql-type.js'
import { type TypedExpression, expression } from '../typed-expression.js'
import { type Builder, type Built, type Call, arg, constant, refuse, sql } from './builder.js'

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

export const JSON_BUILDERS: Readonly<Record<string, Builder>> = {
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
}
