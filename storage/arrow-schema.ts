/** ArrowSchema: the fields of an Arrow IPC stream, and the engine's types for them. */

import { type EngineType, scalarType } from './engine-type.js'
import { SqlError, SqlState } from './errors.js'
import type { FlatTable } from './flat-table.js'

/** How the values of a field lie in its buffers; Arrow's columnar format, "Physical Memory Layout". */
export type ArrowLayout =
  | { readonly kind: 'null' }
  | { readonly kind: 'bits' }
  | { readonly kind: 'fixed'; readonly bytesPerRow: number }
  | { readonly kind: 'varying' | 'large-varying' | 'views' }
  | { readonly kind: 'list' | 'large-list'; readonly child: ArrowField }
  | { readonly kind: 'fixed-list'; readonly child: ArrowField; readonly length: number }
  | { readonly kind: 'struct'; readonly children: readonly ArrowField[] }

/** What becomes of a value on its way into the engine. */
export type ArrowConversion =
  | { readonly kind: 'same' }
  | { readonly kind: 'half' }
  | { readonly kind: 'text' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'fixed-bytes' }
  | { readonly kind: 'decimal'; readonly precision: number }
  /** Whole numbers multiplied and then divided, downwards, into `bytesPerRow`. */
  | {
      readonly kind: 'scaled'
      readonly multiplier: bigint
      readonly divisor: bigint
      readonly bytesPerRow: 4 | 8
    }
  | { readonly kind: 'map' }

/** A field: a column, or a part of one. */
export interface ArrowField {
  readonly name: string
  /** `SQLNULL` for one that holds nothing but nulls. */
  readonly type: EngineType
  readonly layout: ArrowLayout
  readonly conversion: ArrowConversion
  /** Of a dictionary-encoded field, how its keys lie; `layout` is that of the dictionary's values. */
  readonly dictionary?: ArrowDictionary
}

export interface ArrowDictionary {
  readonly id: bigint
  readonly bytesPerKey: number
  readonly isSigned: boolean
}

/** Levels of lists and structs that are followed. */
const DEPTH_MAX = 32

const SAME: ArrowConversion = { kind: 'same' }

/**
 * The fields of a Schema message.
 *
 * 0A000 for types that no table holds and for big-endian numbers, RangeError for what is no schema.
 */
export function readArrowSchema(schema: FlatTable): readonly ArrowField[] {
  if (schema.int16(0) !== 0) throw unsupported('big-endian numbers')
  return schema.tables(1).map((field) => readField(field, 0))
}

function readField(table: FlatTable, depth: number): ArrowField {
  if (depth > DEPTH_MAX) throw unsupported(`more than ${DEPTH_MAX} levels of nested values`)
  const name = table.text(0)
  const children = table.tables(5).map((child) => readField(child, depth + 1))
  const field = { name, ...readType(table.uint8(2), table.table(3), children, name) }
  const encoding = table.table(4)
  if (encoding === undefined) return field
  const index = encoding.table(1)
  const bytesPerKey = index === undefined ? 4 : widthOf(index.int32(0))
  const isSigned = index === undefined || index.uint8(1) !== 0
  return { ...field, dictionary: { id: encoding.int64(0), bytesPerKey, isSigned } }
}

type Typed = Pick<ArrowField, 'type' | 'layout' | 'conversion'>

/** Numbers of the union `Type` in Arrow's Schema.fbs. */
function readType(
  number: number,
  type: FlatTable | undefined,
  children: readonly ArrowField[],
  name: string,
): Typed {
  if (type === undefined) throw new RangeError('a field has no type')
  const only = (): ArrowField => {
    const [child] = children
    if (child === undefined || children.length > 1) throw new RangeError('a list has one child')
    return child
  }
  switch (number) {
    case 1:
      return { type: scalarType('SQLNULL'), layout: { kind: 'null' }, conversion: SAME }
    case 2:
      return integer(widthOf(type.int32(0)), type.uint8(1) !== 0)
    case 3:
      return floating(type.int16(0))
    case 4:
      return { type: scalarType('BLOB'), layout: { kind: 'varying' }, conversion: BYTES }
    case 5:
      return { type: scalarType('VARCHAR'), layout: { kind: 'varying' }, conversion: TEXT }
    case 6:
      return { type: scalarType('BOOLEAN'), layout: { kind: 'bits' }, conversion: SAME }
    case 7:
      return decimal(type.int32(0), type.int32(1), type.int32(2, 128))
    case 8:
      return type.int16(0, 1) === 0
        ? { type: scalarType('DATE'), layout: fixed(4), conversion: SAME }
        : { type: scalarType('DATE'), layout: fixed(8), conversion: scaled(1n, 86_400_000n, 4) }
    case 9:
      return time(type.int16(0, 1), widthOf(type.int32(1, 32)))
    case 10:
      return {
        type: scalarType(type.text(1) === '' ? 'TIMESTAMP' : 'TIMESTAMPTZ'),
        layout: fixed(8),
        conversion: microseconds(type.int16(0)),
      }
    case 12:
      return { ...list(only()), layout: { kind: 'list', child: only() } }
    case 13:
      return {
        type: { kind: 'struct', fields: children.map((child) => nestable(child)) },
        layout: { kind: 'struct', children },
        conversion: SAME,
      }
    case 15:
      return {
        type: scalarType('BLOB'),
        layout: fixed(positive(type.int32(0))),
        conversion: { kind: 'fixed-bytes' },
      }
    case 16:
      return {
        ...list(only()),
        layout: { kind: 'fixed-list', child: only(), length: positive(type.int32(0)) },
      }
    case 17:
      return map(only())
    case 19:
      return { type: scalarType('BLOB'), layout: { kind: 'large-varying' }, conversion: BYTES }
    case 20:
      return { type: scalarType('VARCHAR'), layout: { kind: 'large-varying' }, conversion: TEXT }
    case 21:
      return { ...list(only()), layout: { kind: 'large-list', child: only() } }
    case 23:
      return { type: scalarType('BLOB'), layout: { kind: 'views' }, conversion: BYTES }
    case 24:
      return { type: scalarType('VARCHAR'), layout: { kind: 'views' }, conversion: TEXT }
    default:
      throw unsupported(`the type ${TYPE_NAMES[number] ?? `number ${number}`} of column "${name}"`)
  }
}

const BYTES: ArrowConversion = { kind: 'bytes' }
const TEXT: ArrowConversion = { kind: 'text' }

const TYPE_NAMES: { readonly [number: number]: string } = {
  11: 'Interval',
  14: 'Union',
  18: 'Duration',
  22: 'RunEndEncoded',
  25: 'ListView',
  26: 'LargeListView',
}

function integer(bytesPerRow: number, isSigned: boolean): Typed {
  const name = ({ 1: 'TINYINT', 2: 'SMALLINT', 4: 'INTEGER', 8: 'BIGINT' } as const)[
    bytesPerRow as 1 | 2 | 4 | 8
  ]
  return {
    type: scalarType(isSigned ? name : (`U${name}` as const)),
    layout: fixed(bytesPerRow),
    conversion: SAME,
  }
}

function floating(precision: number): Typed {
  switch (precision) {
    case 0:
      return { type: scalarType('FLOAT'), layout: fixed(2), conversion: { kind: 'half' } }
    case 1:
      return { type: scalarType('FLOAT'), layout: fixed(4), conversion: SAME }
    case 2:
      return { type: scalarType('DOUBLE'), layout: fixed(8), conversion: SAME }
    default:
      throw new RangeError('a precision is none')
  }
}

function decimal(precision: number, scale: number, bits: number): Typed {
  if (![32, 64, 128, 256].includes(bits) || precision < 1) throw new RangeError('a decimal is none')
  if (precision > 38 || scale < 0 || scale > precision) {
    throw unsupported(`decimal(${precision},${scale})`)
  }
  return {
    type: { kind: 'decimal', width: precision, scale },
    layout: fixed(bits / 8),
    conversion: { kind: 'decimal', precision },
  }
}

function time(unit: number, bytesPerRow: number): Typed {
  if (bytesPerRow !== (unit < 2 ? 4 : 8)) throw new RangeError('a time has another width')
  const { conversion } = { conversion: microseconds(unit) }
  return { type: scalarType('TIME'), layout: fixed(bytesPerRow), conversion }
}

/** From seconds, milliseconds, microseconds or nanoseconds. */
function microseconds(unit: number): ArrowConversion {
  const conversion = [scaled(1_000_000n, 1n, 8), scaled(1000n, 1n, 8), SAME, scaled(1n, 1000n, 8)][
    unit
  ]
  if (conversion === undefined) throw new RangeError('a unit of time is none')
  return conversion
}

function scaled(multiplier: bigint, divisor: bigint, bytesPerRow: 4 | 8): ArrowConversion {
  return { kind: 'scaled', multiplier, divisor, bytesPerRow }
}

function list(child: ArrowField): Pick<Typed, 'type' | 'conversion'> {
  return { type: { kind: 'list', child: nestable(child).type }, conversion: SAME }
}

function map(entries: ArrowField): Typed {
  if (entries.layout.kind !== 'struct') throw new RangeError('entries of a map are structs')
  const [key, value] = entries.layout.children
  if (key === undefined || value === undefined || entries.layout.children.length > 2) {
    throw new RangeError('an entry of a map is a key and a value')
  }
  if (!['fixed', 'bits', 'varying', 'large-varying', 'views'].includes(key.layout.kind)) {
    throw unsupported('a map with nested keys')
  }
  return {
    type: { kind: 'map', key: key.type, value: nestable(value).type },
    layout: { kind: 'list', child: entries },
    conversion: { kind: 'map' },
  }
}

/** A field inside of a list, struct or map. */
function nestable(field: ArrowField): { readonly name: string; readonly type: EngineType } {
  if (field.layout.kind === 'null') throw unsupported('nested columns without a type')
  return { name: field.name, type: field.type }
}

function fixed(bytesPerRow: number): ArrowLayout & { readonly kind: 'fixed' } {
  return { kind: 'fixed', bytesPerRow }
}

function widthOf(bits: number): number {
  if (bits === 8 || bits === 16 || bits === 32 || bits === 64) return bits / 8
  throw new RangeError('a width is none')
}

function positive(count: number): number {
  if (count < 1) throw unsupported('values without a size')
  return count
}

function unsupported(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} in Arrow data is not supported`)
}
