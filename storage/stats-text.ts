/** Statistics text: statistics that a checkpoint held as a struct, as the JSON of `add.stats`. */

import type { AddFile } from './actions.js'
import { physicalNameOf } from './column-mapping.js'
import { parseTimestampMicros } from './data-skipping.js'
import type { DataType, StructField } from './schema.js'
import type { Snapshot } from './snapshot.js'
import { printTimestamp } from './time-text.js'

/** `add` with its statistics as text, where a checkpoint kept them only as a struct. */
export function withStatsText(
  snapshot: Pick<Snapshot, 'schema' | 'columnMapping'>,
  add: AddFile,
): AddFile {
  if (typeof add.stats === 'string' || (add.stats_parsed ?? null) === null) return add
  return { ...add, stats: printStatistics(snapshot, add.stats_parsed) }
}

type Nested = { readonly [name: string]: unknown }

/**
 * The text of `parsed`, in which every number is a string of its digits; null when it is not
 * statistics.
 *
 * A bound that cannot be printed as its column's type is left out, which readers take for unknown.
 */
export function printStatistics(
  snapshot: Pick<Snapshot, 'schema' | 'columnMapping'>,
  parsed: unknown,
): string | null {
  if (!isNested(parsed) || !isWhole(parsed.numRecords)) return null
  const parts = [`"numRecords":${parsed.numRecords}`]
  for (const side of ['minValues', 'maxValues'] as const) {
    const bounds = printFields(snapshot, snapshot.schema.fields, parsed[side], printBound)
    if (bounds !== null) parts.push(`"${side}":${bounds}`)
  }
  const counts = printFields(snapshot, snapshot.schema.fields, parsed.nullCount, (_type, value) =>
    isWhole(value) ? String(value) : null,
  )
  if (counts !== null) parts.push(`"nullCount":${counts}`)
  if (typeof parsed.tightBounds === 'boolean') parts.push(`"tightBounds":${parsed.tightBounds}`)
  return `{${parts.join(',')}}`
}

function printFields(
  snapshot: Pick<Snapshot, 'columnMapping'>,
  fields: readonly StructField[],
  values: unknown,
  print: (type: DataType, value: unknown) => string | null,
): string | null {
  if (!isNested(values)) return null
  const printed = fields.flatMap((field) => {
    const name = physicalNameOf(field, snapshot.columnMapping)
    const value = values[name] ?? null
    if (value === null) return []
    const text =
      field.type.kind === 'struct'
        ? printFields(snapshot, field.type.fields, value, print)
        : print(field.type, value)
    return text === null ? [] : [`${JSON.stringify(name)}:${text}`]
  })
  return `{${printed.join(',')}}`
}

function printBound(type: DataType, value: unknown): string | null {
  if (typeof value !== 'string') return null
  if (type.kind === 'decimal') return isNumber(value) ? value : null
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
    case 'float':
    case 'double':
      return isNumber(value) ? value : null
    case 'timestamp':
    case 'timestamp_ntz': {
      // As the engine prints it: with a space, without the zone's colon, to the microsecond.
      const micros = parseTimestampMicros(value)
      const text = micros === null ? null : printTimestamp(micros, 6)
      if (text === null) return null
      const iso = text.replace(' ', 'T')
      return JSON.stringify(type.name === 'timestamp' ? `${iso}Z` : iso)
    }
    case 'date':
    case 'string':
      return JSON.stringify(value)
    default:
      return null
  }
}

function isNumber(text: string): boolean {
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)
}

function isWhole(value: unknown): boolean {
  return /^\d+$/.test(String(value))
}

function isNested(value: unknown): value is Nested {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
