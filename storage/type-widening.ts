/** Type widening: which types of columns may become which others without their files being rewritten. */

import type { DataType, PrimitiveName, StructField } from './schema.js'

const WIDER: Readonly<Partial<Record<PrimitiveName, readonly PrimitiveName[]>>> = {
  byte: ['short', 'integer', 'long', 'double'],
  short: ['integer', 'long', 'double'],
  integer: ['long', 'double'],
  float: ['double'],
  date: ['timestamp_ntz'],
}

/** Digits before the point that hold every value of an integer type. */
const INTEGER_DIGITS: Readonly<Partial<Record<PrimitiveName, number>>> = {
  byte: 10,
  short: 10,
  integer: 10,
  long: 20,
}

/** Whether a column of type `from` may become one of type `to` while its files stay. */
export function isWidening(from: DataType, to: DataType): boolean {
  if (from.kind === 'decimal' && to.kind === 'decimal') {
    const more = to.scale - from.scale
    return more >= 0 && to.precision - from.precision >= more
  }
  if (from.kind !== 'primitive') return false
  if (to.kind === 'decimal') {
    const digits = INTEGER_DIGITS[from.name]
    return digits !== undefined && to.precision - to.scale >= digits
  }
  return to.kind === 'primitive' && WIDER[from.name]?.includes(to.name) === true
}

interface TypeChange {
  readonly fromType: string
  readonly toType: string
  readonly fieldPath?: string
}

/**
 * `field` with the type `to`, the change noted in its metadata; null when `to` is not wider.
 *
 * The values in files of the old type are all values of the new one. Elements of arrays widen too.
 *
 * Delta protocol, "Type Widening".
 */
export function widenedField(field: StructField, to: DataType): StructField | null {
  const change = changeOf(field.type, to, [])
  if (change === null) return null
  const known = field.metadata['delta.typeChanges']
  const changes = [...(Array.isArray(known) ? (known as TypeChange[]) : []), change]
  return { ...field, type: to, metadata: { ...field.metadata, 'delta.typeChanges': changes } }
}

function changeOf(from: DataType, to: DataType, path: readonly string[]): TypeChange | null {
  if (from.kind === 'array' && to.kind === 'array') {
    return changeOf(from.element, to.element, [...path, 'element'])
  }
  if (!isWidening(from, to)) return null
  const names = { fromType: nameOf(from), toType: nameOf(to) }
  return path.length === 0 ? names : { ...names, fieldPath: path.join('.') }
}

function nameOf(type: DataType): string {
  if (type.kind === 'decimal') return `decimal(${type.precision},${type.scale})`
  return type.kind === 'primitive' ? type.name : type.kind
}
