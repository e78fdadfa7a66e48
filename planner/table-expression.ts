/** TableExpression: what a table's metadata has computed - checks, invariants, generated columns, defaults.
 *
 * These texts are Spark SQL, whoever wrote them. One that is not certain to mean here what it means
 * to Spark is refused with 0A000, by the statements that need its value.
 */

import { quoteIdentifier, quoteLiteral } from '../storage/engine.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { DataType, StructField } from '../storage/schema.js'
import { evaluateSpark, type SparkColumns } from './spark-evaluation.js'
import { parseSparkExpression, untranslatable } from './spark-expression.js'
import { castTo, isNumeric, isPrimitive, sameType, type SparkValue } from './spark-value.js'

/** `text` over the columns `fields`, which DuckDB reads as `alias`; `what` names it in errors. */
export function tableExpression(
  text: string,
  fields: readonly StructField[],
  alias: string,
  what: string,
): SparkValue {
  return evaluated(text, what, () =>
    evaluateSpark(parseSparkExpression(text), columnsOf(fields, alias)),
  )
}

/** The condition `text`; null where Spark's is. */
export function tableCondition(
  text: string,
  fields: readonly StructField[],
  alias: string,
  what: string,
): string {
  return evaluated(text, what, () => {
    const { sql, type } = evaluateSpark(parseSparkExpression(text), columnsOf(fields, alias))
    if (isPrimitive(type, 'boolean')) return sql
    throw untranslatable('a condition of another type than boolean')
  })
}

/** The value of `text` as Spark stores it in a column of `type`. */
export function storedValue(
  text: string,
  type: DataType,
  fields: readonly StructField[],
  alias: string,
  what: string,
): string {
  const value = tableExpression(text, fields, alias, what)
  return evaluated(text, what, () => {
    const isRead = isPrimitive(value.type, 'string', 'boolean') || isPrimitive(type, 'boolean')
    const isBySeconds = isNumeric(value.type) !== isNumeric(type) && !isPrimitive(type, 'string')
    if (
      !sameType(value.type, type) &&
      !isPrimitive(value.type, 'void') &&
      (isRead || isBySeconds)
    ) {
      throw untranslatable('an assignment of this type')
    }
    return castTo(value, type).sql
  })
}

function evaluated<T>(text: string, what: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown
    throw new SqlError(
      SqlState.featureNotSupported,
      `${what} ${quoteLiteral(text)} of the table cannot be evaluated`,
      { detail: `As Spark SQL: ${thrown.message}.`, cause: thrown },
    )
  }
}

function columnsOf(fields: readonly StructField[], alias: string): SparkColumns {
  return ([name = '', ...path]) => {
    const column = named(fields, name)
    if (column === undefined) return undefined
    if (/^char\(/i.test(String(column.metadata.__CHAR_VARCHAR_TYPE_STRING ?? ''))) {
      throw untranslatable('a column of type char(n), which Spark pads,')
    }
    let sql = `${alias}.${quoteIdentifier(column.name)}`
    let { type } = column
    for (const part of path) {
      const field = type.kind === 'struct' ? named(type.fields, part) : undefined
      if (field === undefined) throw untranslatable(`the name "${name}.${path.join('.')}"`)
      sql = `struct_extract(${sql}, ${quoteLiteral(field.name)})`
      type = field.type
    }
    return { sql, type, fails: false }
  }
}

/** Names differ by more than their letters' case to Spark. */
function named(fields: readonly StructField[], name: string): StructField | undefined {
  const found = fields.filter((field) => field.name.toLowerCase() === name.toLowerCase())
  if (found.length > 1) throw untranslatable(`the name "${name}", which several columns have,`)
  return found[0]
}
