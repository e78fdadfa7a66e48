/** ValueBuilders: functions that take values of any type, or none at all. */

import { Oid } from '../../catalog/pg-types.js'
import { scalarType } from '../../storage/engine-type.js'
import { quoteLiteral } from '../../storage/engine.js'
import { SqlError, SqlState } from '../../storage/errors.js'
import { sqlType, typeName } from '../sql-type.js'
import type { Builder } from './builder.js'

export const VALUE_BUILDERS: Readonly<Record<string, Builder>> = {
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
