/** StringRuns: the stretches of DuckDB's memory in which the long strings of a column stand. */

/*
 * A string's entry is 16 bytes: u32 length, then up to 12 bytes of it; or four bytes of prefix and
 * its address in the process. The host copies each run into the heap; afterwards the prefix of an
 * entry holds the number of its run.
 */

import { Column, isNull } from './column'

/** A run: u64 address, u32 size, u32 place in the heap. */
export const RUN_BYTES: usize = 16

/** Two strings this far apart share a run: what lies between them is in pages that they are in. */
const GAP: u64 = 4096

/** How many runs back a string may lie, so that strings of a dictionary share theirs. */
const LOOK_BACK: u32 = 16

export const INLINE_BYTES: u32 = 12

/**
 * Finds the runs of rows `from` to `to` of a column and writes them at `runs`.
 *
 * Answers how many there are, or -1 when they are more than `runsMax` or hold more than `bytesMax`.
 */
export function findRuns(
  column: Column,
  from: u32,
  to: u32,
  runs: usize,
  runsMax: u32,
  bytesMax: u64,
): i32 {
  let count: u32 = 0
  let current: u32 = 0
  let total: u64 = 0
  for (let row = from; row < to; row++) {
    if (isNull(column, row)) continue
    const entry = column.data + (<usize>row << 4)
    const length = load<u32>(entry)
    if (length <= INLINE_BYTES) continue
    const address = load<u64>(entry, 8)
    const end = address + length
    let found = count > 0 && isNear(runs, current, address, end)
    for (let i: u32 = 1; !found && i <= LOOK_BACK && i <= count; i++) {
      current = count - i
      found = isNear(runs, current, address, end)
    }
    if (found) {
      const run = runs + <usize>current * RUN_BYTES
      const low = load<u64>(run)
      const size = <u64>load<u32>(run, 8)
      const begin = min(low, address)
      const grown = max(low + size, end) - begin
      total += grown - size
      if (total > bytesMax) return -1
      store<u64>(run, begin)
      store<u32>(run, <u32>grown, 8)
    } else {
      total += length
      if (count == runsMax || total > bytesMax) return -1
      current = count++
      const run = runs + <usize>current * RUN_BYTES
      store<u64>(run, address)
      store<u32>(run, length, 8)
    }
    store<u32>(entry, current, 4)
  }
  column.runs = runs
  return count
}

// @ts-ignore: decorator
@inline
function isNear(runs: usize, index: u32, address: u64, end: u64): bool {
  const run = runs + <usize>index * RUN_BYTES
  const low = load<u64>(run)
  return address < low + load<u32>(run, 8) + GAP && end + GAP > low
}

/** Where the long string of an entry stands in the heap. */
// @ts-ignore: decorator
@inline
export function heapAddress(column: Column, entry: usize): usize {
  const run = column.runs + <usize>load<u32>(entry, 4) * RUN_BYTES
  return <usize>(load<u64>(entry, 8) - load<u64>(run)) + load<u32>(run, 12)
}
