/** Ready rows: results that the gateway makes itself. */

import { Oid, pgType } from '../catalog/pg-types.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { Scalar } from '../storage/engine-value.js'
import type { Execution } from './portal.js'
import type { ResultColumn } from './result.js'
import { ReadySource } from './row-source.js'

/** An Execution that hands out `rows`, its tag counting them: `SELECT 3`. */
export function readyRows(
  columns: readonly ResultColumn[],
  rows: readonly (readonly Scalar[])[],
): Extract<Execution, { kind: 'rows' }> {
  return taggedRows(columns, rows, (rowCount) => `SELECT ${rowCount}`)
}

/** An Execution that hands out `rows` under a tag of its own. */
export function taggedRows(
  columns: readonly ResultColumn[],
  rows: readonly (readonly Scalar[])[],
  tag: (rowCount: number) => string,
): Extract<Execution, { kind: 'rows' }> {
  return { kind: 'rows', columns, source: ReadySource.ofRows(rows), tag }
}

/** An Execution that is over: only its tag is told. */
export function command(tag: string): Execution {
  return { kind: 'command', tag }
}

/** A column that belongs to no table. */
export function computedColumn(name: string, oid: number, engineType: EngineType): ResultColumn {
  return { name, pgType: pgType(oid), engineType, tableOid: 0, attributeNumber: 0 }
}

export function textColumn(name: string): ResultColumn {
  return computedColumn(name, Oid.text, scalarType('VARCHAR'))
}
