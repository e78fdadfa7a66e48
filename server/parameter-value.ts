/** Parameter values: numerics and arrays as the engine binds them, whichever format they came in. */

import { engineTypeOfOid, Oid } from '../catalog/pg-types.js'
import { type EngineType, scalarType } from '../storage/engine-type.js'
import type { EngineValue, Scalar } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'

/** Digits the widest decimal holds. */
const DIGITS_MAX = 38

/** No decimal holds NaN; as a double it can still be compared with. */
export const NUMERIC_NAN: EngineValue = { type: scalarType('DOUBLE'), value: Number.NaN }

/**
 * The number of these decimal `digits` with a point before the last `scale` of them.
 *
 * 22003 when it has more digits than the widest decimal.
 */
export function numericValue(negative: boolean, digits: string, scale: number): EngineValue {
  const significant = digits.replace(/^0+/, '')
  const zeros = Math.max(0, -scale)
  const width = Math.max(significant === '' ? 1 : significant.length + zeros, scale, 1)
  // Looked at before a number of a million digits is computed.
  if (width > DIGITS_MAX) {
    if (significant === '' && scale <= 0) return numericValue(false, '0', 0)
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `a numeric parameter has more than ${DIGITS_MAX} digits`,
    )
  }
  const size = BigInt(
    `${significant === '' ? '0' : significant}${'0'.repeat(significant === '' ? 0 : zeros)}`,
  )
  return {
    type: { kind: 'decimal', width, scale: Math.max(0, scale) },
    value: negative ? -size : size,
  }
}

/** Elements, nulls, and arrays inside the array. */
export type Items<T> = readonly (T | null | Items<T>)[]

/**
 * The array of `items`, nested as they are, each element made by `read`.
 *
 * Numerics get one type that holds all of them; 22003 when none does.
 */
export function arrayValue<T extends string | Uint8Array>(
  items: Items<T>,
  elementOid: number,
  read: (item: T, type: EngineType) => EngineValue,
): EngineValue {
  const elementType = engineTypeOfOid(elementOid) ?? scalarType('VARCHAR')
  const isNested = (one: T | Items<T>): one is Items<T> => Array.isArray(one)
  const leaves: EngineValue[] = []
  let depth = 0
  const visit = (list: Items<T>, level: number): Scalar[] => {
    depth = Math.max(depth, level)
    return list.map((one) => {
      if (one === null) return null
      if (isNested(one)) return visit(one, level + 1)
      leaves.push(read(one, elementType))
      return leaves.length - 1
    })
  }
  const shape = visit(items, 1)
  const leafType = elementOid === Oid.numeric ? commonNumeric(leaves) : elementType
  const fill = (one: Scalar): Scalar => {
    if (one === null) return null
    if (Array.isArray(one)) return one.map((inner: Scalar) => fill(inner))
    const leaf = leaves[one as number]
    return leaf === undefined ? null : inType(leaf, leafType)
  }
  let type = leafType
  for (let level = 0; level < depth; level++) type = { kind: 'list', child: type }
  // Dimensions without elements make PostgreSQL's one empty array.
  const empty = !shape.flat(6).some((one) => !Array.isArray(one))
  return empty
    ? { type: { kind: 'list', child: leafType }, value: [] }
    : { type, value: shape.map(fill) }
}

function commonNumeric(leaves: readonly EngineValue[]): EngineType {
  let [whole, scale] = [1, 0]
  for (const { type } of leaves) {
    if (type.kind !== 'decimal') {
      throw new SqlError(
        SqlState.featureNotSupported,
        'numeric NaN and infinity are not supported in arrays',
      )
    }
    whole = Math.max(whole, type.width - type.scale)
    scale = Math.max(scale, type.scale)
  }
  if (whole + scale > DIGITS_MAX) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `the numerics of an array have more than ${DIGITS_MAX} digits together`,
    )
  }
  return { kind: 'decimal', width: DIGITS_MAX, scale }
}

function inType({ type, value }: EngineValue, target: EngineType): Scalar {
  if (type.kind !== 'decimal' || target.kind !== 'decimal') return value
  return (value as bigint) * 10n ** BigInt(target.scale - type.scale)
}
