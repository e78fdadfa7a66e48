/** LikeTable: what a new table takes over from another one. */

import { SqlError, SqlState } from '../storage/errors.js'
import { withoutHighWaterMark } from '../storage/identity-column.js'
import type { DataType, StructField } from '../storage/schema.js'
import type { Snapshot } from '../storage/snapshot.js'

/** What INCLUDING names of `LIKE other`; columns, types and NOT NULL are taken over always. */
export interface LikeParts {
  readonly comments: boolean
  readonly constraints: boolean
  readonly defaults: boolean
  readonly generated: boolean
  readonly identity: boolean
  readonly indexes: boolean
}

/** The parts that the parser's bits say. */
export function likeParts(bits: number): LikeParts {
  const has = (bit: number): boolean => (bits & (1 << bit)) !== 0
  return {
    comments: has(0),
    constraints: has(2),
    defaults: has(3),
    generated: has(4),
    identity: has(5),
    indexes: has(6),
  }
}

/** Every part: `CREATE TABLE t LIKE other`. */
export const ALL_PARTS: LikeParts = likeParts(-1)

/** The columns of `source` as a new table gets them: what belongs to the old files is left behind. */
export function likeFields(source: Snapshot, parts: LikeParts): readonly StructField[] {
  return source.schema.fields.map((field) => likeField(field, parts))
}

function likeField(field: StructField, parts: LikeParts): StructField {
  const keeps = (key: string): boolean => {
    if (key === '__CHAR_VARCHAR_TYPE_STRING') return true
    if (key === 'comment') return parts.comments
    if (key === 'CURRENT_DEFAULT') return parts.defaults
    if (key === 'delta.generationExpression') return parts.generated
    if (key === 'delta.invariants') return parts.constraints
    return key.startsWith('delta.identity.') && parts.identity
  }
  const kept = Object.fromEntries(Object.entries(field.metadata).filter(([key]) => keeps(key)))
  return { ...field, type: likeType(field.type, parts), metadata: withoutHighWaterMark(kept) }
}

function likeType(type: DataType, parts: LikeParts): DataType {
  switch (type.kind) {
    case 'struct':
      return { ...type, fields: type.fields.map((field) => likeField(field, parts)) }
    case 'array':
      return { ...type, element: likeType(type.element, parts) }
    case 'map':
      return { ...type, key: likeType(type.key, parts), value: likeType(type.value, parts) }
    default:
      return type
  }
}

/** The table properties that `LIKE other` of PostgreSQL takes over: constraints and keys. */
export function likeConstraints(
  source: Snapshot,
  parts: LikeParts,
): { readonly [key: string]: string } {
  return pick(source, (key) =>
    key === 'lakegate.primaryKey'
      ? parts.indexes
      : key.startsWith('delta.constraints.') && parts.constraints,
  )
}

/** Every table property of `source` that is no account of its own past. */
export function likeProperties(source: Snapshot): { readonly [key: string]: string } {
  return pick(
    source,
    (key) =>
      !/^delta\.(?:columnMapping\.maxColumnId|inCommitTimestampEnablement|rowTracking\.materialized)/.test(
        key,
      ),
  )
}

function pick(
  { metadata }: Snapshot,
  keeps: (key: string) => boolean,
): { readonly [key: string]: string } {
  return Object.fromEntries(Object.entries(metadata.configuration).filter(([key]) => keeps(key)))
}

/** `more` put into `properties`; 42710 for a constraint that is there with another condition. */
export function addProperties(
  properties: { [key: string]: string },
  more: { readonly [key: string]: string },
): void {
  for (const [key, value] of Object.entries(more)) {
    const known = properties[key]
    if (key.startsWith('delta.constraints.') && known !== undefined && known !== value) {
      throw new SqlError(
        SqlState.duplicateObject,
        `constraint "${key.slice('delta.constraints.'.length)}" already exists`,
      )
    }
    properties[key] = value
  }
}
