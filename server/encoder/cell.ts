/** Cell: one value of a column, written in its column's format. */

import { copyBytes, writeHex, writeUuidBinary, writeUuidText } from './bytes'
import {
  binaryDate,
  binaryTimestamp,
  writeDate,
  writeTime,
  writeTimestamp,
  writeZonedTimestamp,
} from './calendar'
import { Column, Kind } from './column'
import { writeDecimal, writeNumeric, writeWideDecimal, writeWideNumeric } from './decimal'
import { writeInteger, writeInteger32 } from './digits'
import { writeDouble, writeSingle } from './float'
import { heapAddress, INLINE_BYTES } from './string-runs'

/** The zone of the rows: a number from 1, or -1 where `zoneSeconds` is its offset at all times. */
export let zone: i32 = -1
export let zoneSeconds: i32 = 0

/** Sets the zone of timestamps with time zone. */
export function setZone(number: i32, seconds: i32): void {
  zone = number
  zoneSeconds = seconds
}

/**
 * Writes the value of `row`, which is not null, at `at`; answers where it ends.
 *
 * `room` is what a value of more than INLINE_BYTES may take; 0 is the answer when it needs more.
 */
// @ts-ignore: decorator
@inline
export function writeCell(column: Column, row: u32, at: usize, room: usize): usize {
  const data = column.data
  switch (column.kind) {
    case Kind.cells: {
      const ends = column.ends + (<usize>row << 2)
      const from = load<u32>(ends)
      const size = load<u32>(ends, 4) - from
      if (<usize>size > room) return 0
      copyBytes(at, data + from, size)
      return at + size
    }
    case Kind.bytes: {
      const entry = data + (<usize>row << 4)
      const size = load<u32>(entry)
      if (size <= INLINE_BYTES) {
        store<u64>(at, load<u64>(entry, 4))
        store<u32>(at, load<u32>(entry, 12), 8)
        return at + size
      }
      if (<usize>size > room) return 0
      copyBytes(at, heapAddress(column, entry), size)
      return at + size
    }
    case Kind.hex: {
      const entry = data + (<usize>row << 4)
      const size = load<u32>(entry)
      if (<usize>size > room || ((<usize>size) << 1) + 2 > room) return 0
      store<u16>(at, 0x785c)
      return writeHex(
        size <= INLINE_BYTES ? entry + 4 : heapAddress(column, entry),
        size,
        at + 2,
      )
    }
    case Kind.boolText:
      store<u8>(at, load<u8>(data + row) != 0 ? 0x74 : 0x66)
      return at + 1
    case Kind.boolBinary:
      store<u8>(at, load<u8>(data + row))
      return at + 1
    case Kind.int8Text:
      return writeInteger32(load<i8>(data + row), at)
    case Kind.int16Text:
      return writeInteger32(load<i16>(data + (<usize>row << 1)), at)
    case Kind.int32Text:
      return writeInteger32(load<i32>(data + (<usize>row << 2)), at)
    case Kind.int64Text:
      return writeInteger(load<i64>(data + (<usize>row << 3)), at)
    case Kind.int8As2:
      store<u16>(at, bswap<u16>(<u16>(<i16>load<i8>(data + row))))
      return at + 2
    case Kind.int16As2:
      store<u16>(at, bswap<u16>(load<u16>(data + (<usize>row << 1))))
      return at + 2
    case Kind.int32As4:
      store<u32>(at, bswap<u32>(load<u32>(data + (<usize>row << 2))))
      return at + 4
    case Kind.int64As8:
      store<u64>(at, bswap<u64>(load<u64>(data + (<usize>row << 3))))
      return at + 8
    case Kind.singleText:
      return writeSingle(load<f32>(data + (<usize>row << 2)), at)
    case Kind.doubleText:
      return writeDouble(load<f64>(data + (<usize>row << 3)), at)
    case Kind.decimal16Text:
      return writeDecimal(load<i16>(data + (<usize>row << 1)), column.scale, at)
    case Kind.decimal32Text:
      return writeDecimal(load<i32>(data + (<usize>row << 2)), column.scale, at)
    case Kind.decimal64Text:
      return writeDecimal(load<i64>(data + (<usize>row << 3)), column.scale, at)
    case Kind.decimal128Text: {
      const value = data + (<usize>row << 4)
      return writeWideDecimal(load<u64>(value), load<i64>(value, 8), column.scale, at)
    }
    case Kind.decimal16Binary:
      return writeNumeric(load<i16>(data + (<usize>row << 1)), column.scale, at)
    case Kind.decimal32Binary:
      return writeNumeric(load<i32>(data + (<usize>row << 2)), column.scale, at)
    case Kind.decimal64Binary:
      return writeNumeric(load<i64>(data + (<usize>row << 3)), column.scale, at)
    case Kind.decimal128Binary: {
      const value = data + (<usize>row << 4)
      return writeWideNumeric(load<u64>(value), load<i64>(value, 8), column.scale, at)
    }
    case Kind.dateText:
      return writeDate(load<i32>(data + (<usize>row << 2)), at)
    case Kind.dateBinary:
      store<u32>(at, bswap<u32>(binaryDate(load<i32>(data + (<usize>row << 2)))))
      return at + 4
    case Kind.timeText:
      return writeTime(load<i64>(data + (<usize>row << 3)), at)
    case Kind.timestampText:
      return writeTimestamp(load<i64>(data + (<usize>row << 3)), at)
    case Kind.zonedText:
      return writeZonedTimestamp(load<i64>(data + (<usize>row << 3)), zone, zoneSeconds, at)
    case Kind.timestampBinary:
      store<u64>(at, bswap<u64>(binaryTimestamp(load<i64>(data + (<usize>row << 3)))))
      return at + 8
    case Kind.uuidText:
      return writeUuidText(data + (<usize>row << 4), at)
    case Kind.uuidBinary:
      return writeUuidBinary(data + (<usize>row << 4), at)
    default:
      return unreachable()
  }
}
