/** Identity columns: the numbers a table hands out to its rows, and how far it has come. */

import type { WriteTarget } from './data-file.js'
import { SqlError, SqlState } from './errors.js'
import type { NewTable } from './new-table.js'
import { printSchemaString, type StructField } from './schema.js'

/** A column whose values are `start`, `start + step`, … in the order they were handed out. */
export interface IdentityColumn {
  readonly start: bigint
  readonly step: bigint
  /** The number handed out last; null before the first. */
  readonly highWaterMark: bigint | null
  /** BY DEFAULT; false is ALWAYS. */
  readonly allowExplicitInsert: boolean
}

const PREFIX = 'delta.identity.'

const MAX = 2n ** 63n - 1n
const MIN = -(2n ** 63n)

/**
 * What the metadata of `field` says of it as an identity column; undefined for others.
 *
 * XX001 for numbers that are none and a step of zero. Delta protocol, "Identity Columns".
 */
export function identityOf(field: StructField): IdentityColumn | undefined {
  if ((field.metadata[`${PREFIX}start`] ?? null) === null) return undefined
  const number = (key: string): bigint | null => {
    const value = field.metadata[PREFIX + key] ?? null
    if (value === null) return null
    if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as bigint)
    throw new SqlError(
      SqlState.dataCorrupted,
      `the identity of column "${field.name}" is not well formed`,
    )
  }
  const step = number('step') ?? 1n
  if (step === 0n) {
    throw new SqlError(SqlState.dataCorrupted, `the identity of column "${field.name}" has no step`)
  }
  return {
    start: number('start') ?? 1n,
    step,
    highWaterMark: number('highWaterMark'),
    allowExplicitInsert: field.metadata[`${PREFIX}allowExplicitInsert`] === true,
  }
}

/** The field metadata of a column that is to be an identity column and has handed out nothing. */
export function identityMetadata(identity: Omit<IdentityColumn, 'highWaterMark'>): {
  readonly [key: string]: unknown
} {
  return {
    [`${PREFIX}start`]: long(identity.start),
    [`${PREFIX}step`]: long(identity.step),
    [`${PREFIX}allowExplicitInsert`]: identity.allowExplicitInsert,
  }
}

/**
 * The next number to be handed out: the first of the sequence beyond the mark.
 *
 * @example
 * nextIdentity({ start: 10n, step: 5n, highWaterMark: 17n, allowExplicitInsert: false })   // 20n
 */
export function nextIdentity({ start, step, highWaterMark }: IdentityColumn): bigint {
  if (highWaterMark === null) return start
  const distance = (highWaterMark - start) * (step < 0n ? -1n : 1n)
  if (distance < 0n) return start
  return start + (distance / (step < 0n ? -step : step) + 1n) * step
}

/** The mark once `count` numbers, one or more, have been handed out. */
export function identityMark(identity: IdentityColumn, count: bigint): bigint {
  return nextIdentity(identity) + identity.step * (count - 1n)
}

/** How many numbers are left before the 64 bits of the column are used up. */
export function identitiesLeft(identity: IdentityColumn): bigint {
  const next = nextIdentity(identity)
  if (next > MAX || next < MIN) return 0n
  return identity.step > 0n ? (MAX - next) / identity.step + 1n : (next - MIN) / -identity.step + 1n
}

/** `table` after each of the identity columns in `marks` has handed out numbers up to its mark. */
export function withHighWaterMarks(
  table: WriteTarget,
  marks: ReadonlyMap<string, bigint>,
): NewTable {
  const schema = {
    fields: table.schema.fields.map((field): StructField => {
      const mark = marks.get(field.name)
      if (mark === undefined) return field
      return { ...field, metadata: { ...field.metadata, [`${PREFIX}highWaterMark`]: long(mark) } }
    }),
  }
  return {
    ...table,
    schema,
    metadata: { ...table.metadata, schemaString: printSchemaString(schema) },
  }
}

/** `metadata` of a field without what a copy of the column must not go on with. */
export function withoutHighWaterMark(metadata: StructField['metadata']): StructField['metadata'] {
  return Object.fromEntries(
    Object.entries(metadata).filter(([key]) => key !== `${PREFIX}highWaterMark`),
  )
}

function long(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
