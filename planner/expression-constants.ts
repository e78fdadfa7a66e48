/** ExpressionConstants: constants, parameters, casts, and the words of SQL that stand for values. */

import { Oid } from '../catalog/pg-types.js'
import { printEngineType, scalarType } from '../storage/engine-type.js'
import { quoteLiteral } from '../storage/engine.js'
import { coerce } from './coercion.js'
import { arrayOfElements } from './expression-arrays.js'
import { type Work, inner } from './expression-work.js'
import { numberLiteral } from './literal.js'
import { parameterMarker } from './parameter-marker.js'
import { type SqlType, isArrayOid, sqlType, typeName, typeOfName } from './sql-type.js'
import { type Node, listOf, nodeOf } from './syntax-tree.js'
import { type Shape, type TypedExpression, expression, locationOf } from './typed-expression.js'

export const UNKNOWN: SqlType = { oid: Oid.unknown, typmod: -1, engine: scalarType('VARCHAR') }

export function constant({ fields, location }: Work): TypedExpression {
  const shaped = (sql: string, type: SqlType, text: string | null): TypedExpression =>
    expression(sql, type, [], location, { kind: 'constant', text })
  if (fields.isnull === true) return shaped('NULL', UNKNOWN, null)
  const boolval = fields.boolval as { readonly boolval?: boolean } | undefined
  if (boolval !== undefined) {
    const value = boolval.boolval === true
    return shaped(String(value), sqlType(Oid.bool), value ? 't' : 'f')
  }
  const ival = fields.ival as { readonly ival?: number } | undefined
  if (ival !== undefined) return numberLiteral(String(ival.ival ?? 0), location)
  const fval = fields.fval as { readonly fval?: string } | undefined
  if (fval !== undefined) {
    return numberLiteral(fval.fval ?? '0', location)
  }
  const sval = fields.sval as { readonly sval?: string } | undefined
  if (sval !== undefined) return shaped(quoteLiteral(sval.sval ?? ''), UNKNOWN, sval.sval ?? '')
  const bsval = fields.bsval as { readonly bsval?: string } | undefined
  const bits = bsval?.bsval ?? ''
  const binary = bits.startsWith('x')
    ? [...bits.slice(1)]
        .map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0'))
        .join('')
    : bits.slice(1)
  return shaped(`CAST('${binary}' AS BIT)`, sqlType(Oid.bit), binary)
}

export function parameter({ analysis, fields, location }: Work): TypedExpression {
  const number = Number(fields.number ?? 0)
  const known = analysis.parameter(number)
  const shape: Shape = { kind: 'parameter', number }
  if (known === undefined) return expression(parameterMarker(number), UNKNOWN, [], location, shape)
  return expression(
    `CAST(${parameterMarker(number)} AS ${printEngineType(known.engine)})`,
    known,
    [],
    location,
    shape,
  )
}

export function typeCast(work: Work): TypedExpression {
  const { analysis, fields, location } = work
  const typeNode = fields.typeName as Node
  const target = analysis.located(locationOf(typeNode), () => typeOfName(typeNode))
  const arrayNode = nodeOf(fields.arg, 'A_ArrayExpr')
  if (arrayNode !== undefined && isArrayOid(target.oid)) {
    // ARRAY[]::int[]: the elements are read as the element type.
    return arrayOfElements(work, listOf(arrayNode.elements), target)
  }
  const value = inner(work, fields.arg)
  if (
    target.oid === Oid.regclass ||
    target.oid === Oid.regproc ||
    target.oid === Oid.regnamespace
  ) {
    if (value.type.oid !== target.oid)
      throw analysis.notSupported(`a cast to ${typeName(target)} beside tables`, location)
  }
  if (target.oid === Oid.regtype) {
    return { ...value, type: { oid: Oid.regtype, typmod: -1, engine: scalarType('VARCHAR') } }
  }
  return analysis.located(location, () => {
    const result = coerce(value, target, 'explicit', analysis)
    // A cast that the client wrote names its column and is looked through by nobody.
    return result.shape.kind === 'constant' || result === value
      ? { ...result, location }
      : { ...result, location }
  })
}

const VALUE_FUNCTIONS: Readonly<Record<string, readonly [string, number]>> = {
  SVFOP_CURRENT_DATE: ['CAST(now() AS DATE)', Oid.date],
  SVFOP_CURRENT_TIME: ['CAST(CAST(now() AS TIME) AS TIMETZ)', Oid.timetz],
  SVFOP_CURRENT_TIMESTAMP: ['now()', Oid.timestamptz],
  SVFOP_LOCALTIME: ['CAST(CAST(now() AS TIMESTAMP) AS TIME)', Oid.time],
  SVFOP_LOCALTIMESTAMP: ['CAST(now() AS TIMESTAMP)', Oid.timestamp],
}

export function valueFunction({ analysis, fields, location }: Work): TypedExpression {
  const op = String(fields.op).replace(/_N$/, '')
  const known = VALUE_FUNCTIONS[op]
  if (known !== undefined) {
    const value = expression(known[0], sqlType(known[1]), [], location, { kind: 'call', name: op })
    const digits = fields.typmod
    return typeof digits === 'number' && digits >= 0
      ? coerce(value, sqlType(known[1], digits), 'explicit', analysis)
      : value
  }
  const name = op.replace('SVFOP_', '').toLowerCase()
  const literal = analysis.host.sessionFunction(name, [])
  if (literal === undefined) throw analysis.notSupported(name, location)
  return expression(literal, sqlType(Oid.name), [], location, { kind: 'call', name })
}
