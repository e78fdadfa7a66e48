/** KeyRange: the values a source's rows have for a table's keys, as a predicate over the table. */

import type { EngineConnection } from '../storage/engine.js'
import { printEngineType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { and, type Predicate, UNKNOWN } from '../storage/predicate.js'
import { numberParameters } from './parameter-marker.js'
import type { SourcePlan } from './row-change.js'

/** Up to this many distinct keys each is looked for by itself; beyond, what lies between the ends. */
const VALUES_MAX = 200

/**
 * What every row of the table satisfies whose keys equal those of a row of `source`.
 *
 * Of each key its distinct values while they are few, else the least and the greatest.
 */
export async function keyRange(
  connection: EngineConnection,
  { table, alias, keys }: SourcePlan,
  values: readonly EngineValue[],
): Promise<Predicate> {
  const parts: Predicate[] = []
  for (const { term, value } of keys) {
    const text = `CAST(${value.sql} AS ${printEngineType(value.type.engine)})`
    const distinct = numberParameters(
      `SELECT DISTINCT ${text} AS k FROM ${table} AS ${alias} WHERE k IS NOT NULL LIMIT ${VALUES_MAX + 1}`,
      values,
    )
    const rows = await connection.query(distinct.sql, distinct.values)
    const typed = (one: unknown): EngineValue =>
      ({ type: value.type.engine, value: one }) as EngineValue
    if (rows.length <= VALUES_MAX) {
      parts.push({ kind: 'in', term, values: rows.map(([one]) => typed(one)) })
      continue
    }
    const ends = numberParameters(
      `SELECT min(${text}), max(${text}) FROM ${table} AS ${alias}`,
      values,
    )
    const [row] = await connection.query(ends.sql, ends.values)
    if (row === undefined) continue
    parts.push(
      { kind: 'compare', operator: '>=', term, value: typed(row[0]) },
      { kind: 'compare', operator: '<=', term, value: typed(row[1]) },
    )
  }
  return parts.length === 0 ? UNKNOWN : and(parts)
}
