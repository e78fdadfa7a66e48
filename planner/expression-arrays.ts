/** ExpressionArrays: arrays, rows, and their parts. */

import { Oid } from '../catalog/pg-types.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlState } from '../storage/errors.js'
import { callOperator } from './analyze-call.js'
import { canonical, coerce } from './coercion.js'
import { structField } from './expression-columns.js'
import { unified } from './expression-types.js'
import { type Work, inner } from './expression-work.js'
import {
  type SqlType,
  arrayOf,
  categoryOf,
  elementOf,
  isArrayOid,
  sqlType,
  typeName,
  typeOfEngine,
} from './sql-type.js'
import { type Node, listOf, nodeOf, stringOf } from './syntax-tree.js'
import { type TypedExpression, expression } from './typed-expression.js'

export function arrayConstructor(work: Work): TypedExpression {
  return arrayOfElements(work, listOf(work.fields.elements), undefined)
}

export function arrayOfElements(
  work: Work,
  nodes: readonly Node[],
  target: SqlType | undefined,
): TypedExpression {
  const { analysis, location } = work
  const element = target === undefined ? undefined : (elementOf(target) ?? undefined)
  const items = nodes.map((node) => {
    const nested = nodeOf(node, 'A_ArrayExpr')
    // The dimensions below have the same element type.
    return nested === undefined
      ? inner(work, node)
      : arrayOfElements(work, listOf(nested.elements), target)
  })
  if (items.length === 0) {
    if (target === undefined) {
      throw analysis.error(
        SqlState.indeterminateDatatype,
        'cannot determine type of empty array',
        location,
        {
          hint: 'Explicitly cast to the desired type, for example ARRAY[]::integer[].',
        },
      )
    }
    return expression(`CAST([] AS ${printEngineType(target.engine)})`, target, [], location)
  }
  if (items.every((item) => isArrayOid(item.type.oid))) {
    const type = arrayOf(items[0]?.type ?? sqlType(Oid.text))
    return expression(`[${items.map((item) => item.sql).join(', ')}]`, type, items, location)
  }
  if (element !== undefined) {
    const values = items.map((item) => coerce(item, element, 'explicit', analysis))
    const { type, values: same } = unified(analysis, values, 'ARRAY')
    return listOfValues(same, { ...type, typmod: element.typmod }, location)
  }
  const { values, type } = unified(analysis, items, 'ARRAY')
  return listOfValues(values, type, location)
}

function listOfValues(
  values: readonly TypedExpression[],
  element: SqlType,
  location: number,
): TypedExpression {
  const type = arrayOf(element)
  const sql = `CAST([${values.map((value) => value.sql).join(', ')}] AS ${printEngineType(type.engine)})`
  return expression(sql, type, values, location)
}

export function indirection(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  let value = inner(work, fields.arg)
  let ofArray = isArrayOid(value.type.oid)
  for (const step of listOf(fields.indirection)) {
    const name = stringOf(step)
    if (name !== undefined) {
      value = structField(analysis, value, name, location)
      ofArray = isArrayOid(value.type.oid)
      continue
    }
    const indices = nodeOf(step, 'A_Indices')
    if (indices === undefined) throw analysis.notSupported('row expansion via "*"', location)
    const isElement = value.type.oid !== Oid.jsonb && value.type.engine.kind !== 'map'
    value =
      ofArray && isElement && !isArrayOid(value.type.oid)
        ? // More subscripts than dimensions give null; a parameter shows only later how many it has.
          expression(
            `CAST(NULL AS ${printEngineType(value.type.engine)})`,
            value.type,
            [value],
            location,
          )
        : subscript(work, value, indices)
  }
  return value
}

function subscript(work: Work, value: TypedExpression, indices: Node): TypedExpression {
  const { analysis, location } = work
  const { engine } = value.type
  const int = sqlType(Oid.int4)
  const index = (node: unknown): TypedExpression =>
    coerce(inner(work, node), int, 'assignment', analysis)
  if (engine.kind === 'map' && indices.is_slice !== true) {
    const key = coerce(inner(work, indices.uidx), typeOfEngine(engine.key), 'assignment', analysis)
    return expression(
      `${value.sql}[${key.sql}]`,
      typeOfEngine(engine.value),
      [value, key],
      location,
    )
  }
  const element = elementOf(value.type)
  if (element !== null) {
    if (indices.is_slice === true) {
      const low = indices.lidx === undefined ? undefined : index(indices.lidx)
      const high = indices.uidx === undefined ? undefined : index(indices.uidx)
      const parts = [value, ...[low, high].filter((one) => one !== undefined)]
      const sql = `lakegate_slice(${value.sql}, ${low?.sql ?? '1'}, ${high?.sql ?? `len(${value.sql})`})`
      return expression(sql, value.type, parts, location)
    }
    const at = index(indices.uidx)
    const known = at.shape.kind === 'constant' ? Number(at.shape.text) : undefined
    const type = element
    if (known !== undefined) {
      const sql =
        known >= 1 ? `${value.sql}[${known}]` : `CAST(NULL AS ${printEngineType(type.engine)})`
      return expression(sql, type, [value, at], location)
    }
    return expression(
      `CASE WHEN ${at.sql} >= 1 THEN ${value.sql}[${at.sql}] END`,
      type,
      [value, at],
      location,
    )
  }
  if (value.type.oid === Oid.jsonb) {
    const json = canonical(value)
    const key = inner(work, indices.uidx)
    const arrow = categoryOf(key.type.oid) === 'N' ? 'int4' : 'text'
    const typed = coerce(
      key,
      sqlType(arrow === 'int4' ? Oid.int4 : Oid.text),
      'assignment',
      analysis,
    )
    return callOperator(analysis, '->', [json, typed], location)
  }
  throw analysis.error(
    SqlState.datatypeMismatch,
    `cannot subscript type ${typeName(value.type)} because it does not support subscripting`,
    location,
  )
}

export function row(work: Work): TypedExpression {
  const { fields, location, analysis } = work
  const parts = listOf(fields.args).map((arg) => {
    const value = inner(work, arg)
    return value.type.oid === Oid.unknown && value.shape.kind !== 'parameter' ? value : value
  })
  const fieldsOf = parts.map((part, i) => ({ name: `f${i + 1}`, type: part.type.engine }))
  const items = parts.map(
    (part, i) =>
      `f${i + 1} := ${part.type.oid === Oid.unknown ? `CAST(${part.sql} AS VARCHAR)` : part.sql}`,
  )
  if (parts.length === 0) throw analysis.notSupported('an empty row', location)
  const type: SqlType = {
    oid: Oid.record,
    typmod: -1,
    engine: { kind: 'struct', fields: fieldsOf },
  }
  return expression(`struct_pack(${items.join(', ')})`, type, parts, location)
}
