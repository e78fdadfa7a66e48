/** EncoderColumn: which of a result's columns the encoder writes by itself, and from what. */

import { Oid } from '../catalog/pg-types.js'
import { decimalBytes } from '../storage/engine.js'
import type { ColumnFormat } from './column-bytes.js'

/** How values lie in memory and how they are written; server/encoder/column.ts has the same numbers. */
export const EncoderKind = {
  cells: 0,
  bytes: 1,
  hex: 2,
  boolText: 3,
  boolBinary: 4,
  int8Text: 5,
  int16Text: 6,
  int32Text: 7,
  int64Text: 8,
  int8As2: 9,
  int16As2: 10,
  int32As4: 11,
  int64As8: 12,
  singleText: 13,
  doubleText: 14,
  decimal16Text: 15,
  decimal32Text: 16,
  decimal64Text: 17,
  decimal128Text: 18,
  decimal16Binary: 19,
  decimal32Binary: 20,
  decimal64Binary: 21,
  decimal128Binary: 22,
  dateText: 23,
  dateBinary: 24,
  timeText: 25,
  timestampText: 26,
  zonedText: 27,
  timestampBinary: 28,
  uuidText: 29,
  uuidBinary: 30,
} as const

/** A column as the encoder takes it. */
export interface EncoderColumn {
  readonly kind: number
  /** Bytes a value takes in DuckDB's vector; 0 of `cells`, which JavaScript makes. */
  readonly bytesPerRow: number
  /** Most bytes the encoder writes for a value, beside strings and cells beyond 12 bytes. */
  readonly sizeMax: number
  /** Digits behind the point of a decimal. */
  readonly scale: number
}

/** Longest text of a date and of a timestamp, years of seven digits, offset and era included. */
const DATE_BYTES = 24
const TIMESTAMP_BYTES = 48
/** Sign, 39 digits and point. */
const DECIMAL_BYTES = 44

/** How the encoder writes a column; `cells` where only JavaScript knows its values. */
export function encoderColumn({ column, binary, context }: ColumnFormat): EncoderColumn {
  const type = column.engineType
  const { oid } = column.pgType
  const { style } = context
  if (column.digits !== undefined) return CELLS
  if (type.kind === 'decimal') return decimal(decimalBytes(type.width), type.scale, binary)
  if (type.kind !== 'scalar') return CELLS
  switch (type.name) {
    case 'VARCHAR':
      return oid === Oid.jsonb || oid === Oid.char ? CELLS : made(EncoderKind.bytes, 16, 12)
    case 'BLOB':
      if (binary) return made(EncoderKind.bytes, 16, 12)
      return oid === Oid.bytea && style.byteaOutput === 'hex'
        ? made(EncoderKind.hex, 16, 26)
        : CELLS
    case 'BOOLEAN':
      return made(binary ? EncoderKind.boolBinary : EncoderKind.boolText, 1, 1)
    case 'TINYINT':
      if (!binary) return made(EncoderKind.int8Text, 1, 4)
      return oid === Oid.int2 ? made(EncoderKind.int8As2, 1, 2) : CELLS
    case 'SMALLINT':
      if (!binary) return made(EncoderKind.int16Text, 2, 6)
      return oid === Oid.int2 ? made(EncoderKind.int16As2, 2, 2) : CELLS
    case 'INTEGER':
      if (!binary) return made(EncoderKind.int32Text, 4, 11)
      return oid === Oid.int2 ? CELLS : made(EncoderKind.int32As4, 4, 4)
    case 'BIGINT':
      if (!binary) return made(EncoderKind.int64Text, 8, 20)
      return oid === Oid.int8 ? made(EncoderKind.int64As8, 8, 8) : CELLS
    case 'HUGEINT':
      return oid === Oid.numeric ? decimal(16, 0, binary) : CELLS
    case 'FLOAT':
      if (binary) return made(EncoderKind.int32As4, 4, 4)
      return style.extraFloatDigits > 0 ? made(EncoderKind.singleText, 4, 32) : CELLS
    case 'DOUBLE':
      if (binary) return made(EncoderKind.int64As8, 8, 8)
      return style.extraFloatDigits > 0 ? made(EncoderKind.doubleText, 8, 32) : CELLS
    case 'DATE':
      if (binary) return made(EncoderKind.dateBinary, 4, 4)
      return style.dateStyle === 'ISO' ? made(EncoderKind.dateText, 4, DATE_BYTES) : CELLS
    case 'TIME':
      if (oid !== Oid.time) return CELLS
      return binary ? made(EncoderKind.int64As8, 8, 8) : made(EncoderKind.timeText, 8, 16)
    case 'TIMESTAMP':
    case 'TIMESTAMPTZ':
      if (binary) return made(EncoderKind.timestampBinary, 8, 8)
      if (style.dateStyle !== 'ISO') return CELLS
      return type.name === 'TIMESTAMP'
        ? made(EncoderKind.timestampText, 8, TIMESTAMP_BYTES)
        : made(EncoderKind.zonedText, 8, TIMESTAMP_BYTES)
    case 'UUID':
      if (oid !== Oid.uuid) return CELLS
      return binary ? made(EncoderKind.uuidBinary, 16, 16) : made(EncoderKind.uuidText, 16, 36)
    default:
      return CELLS
  }
}

const CELLS: EncoderColumn = made(EncoderKind.cells, 0, 0)

function made(kind: number, bytesPerRow: number, sizeMax: number, scale = 0): EncoderColumn {
  return { kind, bytesPerRow, sizeMax, scale }
}

function decimal(bytes: 2 | 4 | 8 | 16, scale: number, binary: boolean): EncoderColumn {
  const first = binary ? EncoderKind.decimal16Binary : EncoderKind.decimal16Text
  return made(first + Math.log2(bytes) - 1, bytes, DECIMAL_BYTES, scale)
}
