/** The encoder's exports and its memory: input, heap of long strings, output. */

export { FLOAT_TEXT, POWERS_OF_TEN, writeDouble, writeSingle } from './float'
export { setZone } from './cell'
export { rowsEnd, writeBinaryRows } from './binary-rows'
export { setCopy, textRowsEnd, writeTextRows } from './text-rows'

import { COLUMN_BYTES, Column, Kind } from './column'
import { findRuns, RUN_BYTES } from './string-runs'

/** Room behind each area for copies of whole words. */
const MARGIN = 64
const INPUT_BYTES = 1 << 20
const RUNS_MAX = 4096
const HEAP_BYTES = 2 << 20
const OUTPUT_BYTES = 1 << 20

const inputArea: usize = memory.data(INPUT_BYTES + MARGIN, 16)
const runsArea: usize = memory.data(RUNS_MAX * 16, 16)
const heapArea: usize = memory.data(HEAP_BYTES + MARGIN, 16)
const outputArea: usize = memory.data(OUTPUT_BYTES + MARGIN, 16)

/** Where the host puts descriptors and values. */
export function input(): usize {
  return inputArea
}

export function inputBytes(): usize {
  return INPUT_BYTES
}

/** Where the runs of `findStrings` stand: u64 address, u32 size, u32 place to copy them to. */
export function runs(): usize {
  return runsArea
}

/** Where rows are written. */
export function output(): usize {
  return outputArea
}

export function outputBytes(): usize {
  return OUTPUT_BYTES
}

/**
 * Finds where the long strings of rows `from` to `to` of all columns stand.
 *
 * Answers the number of runs the host has to copy, or -1 when they are too many or too large for
 * the heap: then fewer rows have to do.
 */
export function findStrings(columns: usize, columnCount: u32, from: u32, to: u32): i32 {
  let count: u32 = 0
  let place = heapArea
  for (let i: u32 = 0; i < columnCount; i++) {
    const column = changetype<Column>(columns + <usize>i * COLUMN_BYTES)
    if (column.kind != Kind.bytes && column.kind != Kind.hex) continue
    const first = runsArea + <usize>count * RUN_BYTES
    const found = findRuns(column, from, to, first, RUNS_MAX - count, heapArea + HEAP_BYTES - place)
    if (found < 0) return -1
    for (let run = first; run < first + <usize>found * RUN_BYTES; run += RUN_BYTES) {
      store<u32>(run, <u32>place, 12)
      place += load<u32>(run, 8)
    }
    count += found
  }
  return count
}
