/** Column: what the encoder knows of one column of a slice of rows. */

/** How a column's values lie in memory and how they are written; `encoder-column.ts` has the same numbers. */
export namespace Kind {
  export const cells = 0
  export const bytes = 1
  export const hex = 2
  export const boolText = 3
  export const boolBinary = 4
  export const int8Text = 5
  export const int16Text = 6
  export const int32Text = 7
  export const int64Text = 8
  export const int8As2 = 9
  export const int16As2 = 10
  export const int32As4 = 11
  export const int64As8 = 12
  export const singleText = 13
  export const doubleText = 14
  export const decimal16Text = 15
  export const decimal32Text = 16
  export const decimal64Text = 17
  export const decimal128Text = 18
  export const decimal16Binary = 19
  export const decimal32Binary = 20
  export const decimal64Binary = 21
  export const decimal128Binary = 22
  export const dateText = 23
  export const dateBinary = 24
  export const timeText = 25
  export const timestampText = 26
  export const zonedText = 27
  export const timestampBinary = 28
  export const uuidText = 29
  export const uuidBinary = 30
}

/** Descriptors lie one after another. */
// @ts-ignore: decorator
@unmanaged
export class Column {
  kind: u32
  /** Where row 0's value is; of `cells` where the bytes of all cells begin. */
  data: usize
  /** Bit i of the bytes there is 1 where row i is not null; 0 when no row is null. */
  validity: usize
  /** Of `cells`: where each cell ends, 32 bits a row, counted from `data`; the cell before row 0 included. */
  ends: usize
  scale: u32
  /** CARE, FORCED. */
  flags: u32
  /** Of `bytes` and `hex`: the first of the column's runs, see string-runs.ts. */
  runs: usize
  unused: u32
}

export const COLUMN_BYTES: usize = 32

/** In COPY's text formats the values may hold what has to be escaped or quoted. */
export const CARE: u32 = 1
/** In csv the values are quoted always. */
export const FORCED: u32 = 2

/** Whether row `row` is null. */
// @ts-ignore: decorator
@inline
export function isNull(column: Column, row: u32): bool {
  const validity = column.validity
  return validity != 0 && ((load<u8>(validity + (row >> 3)) >> (row & 7)) & 1) == 0
}
