/** ExpressionTypes: expressions brought to the types that their places ask for. */

import { Oid } from '../catalog/pg-types.js'
import { printEngineType } from '../storage/engine-type.js'
import { SqlState } from '../storage/errors.js'
import type { Analysis } from './analysis.js'
import { coerce, commonType, textOf } from './coercion.js'
import { type SqlType, sqlType, typeName } from './sql-type.js'
import type { TypedExpression } from './typed-expression.js'

/** `value` as a boolean; 42804 naming `what` when it is something else. */
export function booleanOf(
  analysis: Analysis,
  value: TypedExpression,
  what: string,
): TypedExpression {
  if (value.type.oid === Oid.bool) return value
  if (value.type.oid !== Oid.unknown) {
    throw analysis.error(
      SqlState.datatypeMismatch,
      `argument of ${what} must be type boolean, not type ${typeName(value.type)}`,
      value.location,
    )
  }
  return analysis.located(value.location, () =>
    coerce(value, sqlType(Oid.bool), 'implicit', analysis),
  )
}

/** Brings several results to one type; what is only unknown becomes text. */
export function unified(
  analysis: Analysis,
  values: readonly TypedExpression[],
  what: string,
): { readonly values: readonly TypedExpression[]; readonly type: SqlType } {
  const type = commonType(
    values.map((value) => value.type),
    what,
  )
  return {
    type,
    values: values.map((value) =>
      analysis.located(value.location, () => coerceExactly(analysis, value, type)),
    ),
  }
}

/** `value` in the very engine type of `type`: branches of a CASE must not differ in scale. */
export function coerceExactly(
  analysis: Analysis,
  value: TypedExpression,
  type: SqlType,
): TypedExpression {
  const coerced = coerce(value, type, 'implicit', analysis)
  const wanted = printEngineType(type.engine)
  if (printEngineType(coerced.type.engine) === wanted) {
    return coerced.shape.kind === 'constant' && coerced.type.oid === Oid.int4 ? coerced : coerced
  }
  const digits = coerced.type.digits ?? type.digits
  return {
    ...coerced,
    sql: `CAST(${coerced.sql} AS ${wanted})`,
    type: { ...type, digits },
    shape: { kind: 'cast' },
    parts: [coerced],
  }
}

/** An output column's final form: what has no type is text, what has two is what clients are told. */
export function settled(analysis: Analysis, value: TypedExpression): TypedExpression {
  if (value.type.oid === Oid.unknown) return coerce(value, sqlType(Oid.text), 'implicit', analysis)
  return value
}

/** PostgreSQL's text of a value, for those who need one. */
export function asText(value: TypedExpression): string {
  return textOf(value.sql, value.type)
}
