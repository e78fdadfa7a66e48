/** BinaryRows: rows whose cells bear their lengths: DataRow messages, and COPY's binary format. */

import { writeCell } from './cell'
import { COLUMN_BYTES, Column, isNull } from './column'

/** Where the rows that were written end. */
export let rowsEnd: usize = 0

/**
 * Writes rows `from` to `to` as messages of that type at `at`, and not beyond `limit`.
 *
 * `fixed` is what a row takes at most beside values of any length. Answers the row that did not
 * fit, or `to`; `rowsEnd` is where the last row ends.
 */
export function writeBinaryRows(
  columns: usize,
  columnCount: u32,
  from: u32,
  to: u32,
  type: u32,
  fixed: usize,
  at: usize,
  limit: usize,
): u32 {
  const columnsEnd = columns + <usize>columnCount * COLUMN_BYTES
  const head = bswap<u16>(<u16>columnCount)
  // What a value of any length may reach: all that the row takes besides has room behind it.
  const reach = limit - fixed
  rowsEnd = at
  for (let row = from; row < to; row++) {
    if (rowsEnd > reach) return row
    const start = rowsEnd
    store<u8>(start, type)
    store<u16>(start, head, 5)
    let end = start + 7
    for (let column = columns; column < columnsEnd; column += COLUMN_BYTES) {
      const descriptor = changetype<Column>(column)
      if (isNull(descriptor, row)) {
        store<u32>(end, 0xffffffff)
        end += 4
      } else {
        const value = end + 4
        const after = writeCell(descriptor, row, value, end < reach ? reach - end : 0)
        if (after == 0) return row
        store<u32>(end, bswap<u32>(<u32>(after - value)))
        end = after
      }
    }
    store<u32>(start, bswap<u32>(<u32>(end - start - 1)), 1)
    rowsEnd = end
  }
  return to
}
