/** TextRows: rows of COPY's text and csv formats, one CopyData message a row. */

import { writeCell } from './cell'
import { CARE, COLUMN_BYTES, Column, FORCED, isNull } from './column'
import { copyBytes } from './bytes'

const COPY_DATA = 0x64

let csv: bool = false
let delimiter: u32 = 0
let quote: u32 = 0
let escape: u32 = 0
let missing: usize = 0
let missingSize: u32 = 0

/** Letters behind the backslash, by byte; 0 where a byte stands for itself. */
const escapes: usize = memory.data(256)

/** Sets how the rows that follow are written; `nulls` is where the text of a null stands. */
export function setCopy(
  isCsv: bool,
  delimiterByte: u32,
  quoteByte: u32,
  escapeByte: u32,
  nulls: usize,
  nullsSize: u32,
): void {
  csv = isCsv
  delimiter = delimiterByte
  quote = quoteByte
  escape = escapeByte
  missing = nulls
  missingSize = nullsSize
  memory.fill(escapes, 0, 256)
  if (csv) return
  store<u8>(escapes, 0x62, 0x08)
  store<u8>(escapes, 0x74, 0x09)
  store<u8>(escapes, 0x6e, 0x0a)
  store<u8>(escapes, 0x76, 0x0b)
  store<u8>(escapes, 0x66, 0x0c)
  store<u8>(escapes, 0x72, 0x0d)
  store<u8>(escapes, 0x5c, 0x5c)
  if (delimiter != 0x09) store<u8>(escapes + delimiter, delimiter)
}

/** Where the rows that were written end. */
export let textRowsEnd: usize = 0

/**
 * Writes rows `from` to `to` at `at`, and not beyond `limit`.
 *
 * `fixed` is what a row takes at most beside values of any length, escapes included. Answers the
 * row that did not fit, or `to`; `textRowsEnd` is where the last row ends.
 */
export function writeTextRows(
  columns: usize,
  columnCount: u32,
  from: u32,
  to: u32,
  fixed: usize,
  at: usize,
  limit: usize,
): u32 {
  const columnsEnd = columns + <usize>columnCount * COLUMN_BYTES
  const reach = limit - fixed
  textRowsEnd = at
  for (let row = from; row < to; row++) {
    if (textRowsEnd > reach) return row
    const start = textRowsEnd
    store<u8>(start, COPY_DATA)
    let end = start + 5
    for (let column = columns; column < columnsEnd; column += COLUMN_BYTES) {
      const descriptor = changetype<Column>(column)
      if (column != columns) store<u8>(end++, delimiter)
      if (isNull(descriptor, row)) {
        copyBytes(end, missing, missingSize)
        end += missingSize
        continue
      }
      const flags = descriptor.flags
      let room = end < reach ? reach - end : 0
      if ((flags & (CARE | FORCED)) != 0) room >>= 1
      const after = writeCell(descriptor, row, end, room)
      if (after == 0) return row
      if (csv) {
        end =
          (flags & FORCED) != 0 || ((flags & CARE) != 0 && needsQuotes(end, after, columnCount))
            ? quoted(end, after)
            : after
      } else end = (flags & CARE) != 0 ? escaped(end, after) : after
    }
    store<u8>(end++, 0x0a)
    store<u32>(start, bswap<u32>(<u32>(end - start - 1)), 1)
    textRowsEnd = end
  }
  return to
}

/** Escapes what stands from `from` to `to`; answers where it ends then. */
function escaped(from: usize, to: usize): usize {
  let extra: usize = 0
  for (let at = from; at < to; at++) {
    if (load<u8>(escapes + load<u8>(at)) != 0) extra++
  }
  if (extra == 0) return to
  let target = to + extra
  const end = target
  for (let at = to - 1; target > at + 1; at--) {
    const byte = load<u8>(at)
    const letter = load<u8>(escapes + byte)
    if (letter != 0) {
      target -= 2
      store<u8>(target, 0x5c)
      store<u8>(target, letter, 1)
    } else store<u8>(--target, byte)
  }
  return end
}

/** Whether csv has to quote the value from `from` to `to`. */
function needsQuotes(from: usize, to: usize, columnCount: u32): bool {
  const size = <u32>(to - from)
  if (size == missingSize && memory.compare(from, missing, size) == 0) return true
  if (columnCount == 1 && size == 2 && load<u16>(from) == 0x2e5c) return true
  for (let at = from; at < to; at++) {
    const byte = <u32>load<u8>(at)
    if (byte == delimiter || byte == quote || byte == 0x0a || byte == 0x0d) return true
  }
  return false
}

/** Quotes what stands from `from` to `to`; answers where it ends then. */
function quoted(from: usize, to: usize): usize {
  let extra: usize = 2
  for (let at = from; at < to; at++) {
    const byte = <u32>load<u8>(at)
    if (byte == quote || byte == escape) extra++
  }
  let target = to + extra
  const end = target
  store<u8>(--target, quote)
  for (let at = to - 1; at >= from; at--) {
    const byte = <u32>load<u8>(at)
    store<u8>(--target, byte)
    if (byte == quote || byte == escape) store<u8>(--target, escape)
  }
  store<u8>(--target, quote)
  return end
}
