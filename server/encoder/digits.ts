/** Digits: whole numbers as decimal text, two digits a step. */

const PAIRS: usize = memory.data<u8>([
  0x30, 0x30, 0x30, 0x31, 0x30, 0x32, 0x30, 0x33, 0x30, 0x34, 0x30, 0x35, 0x30, 0x36, 0x30, 0x37,
  0x30, 0x38, 0x30, 0x39, 0x31, 0x30, 0x31, 0x31, 0x31, 0x32, 0x31, 0x33, 0x31, 0x34, 0x31, 0x35,
  0x31, 0x36, 0x31, 0x37, 0x31, 0x38, 0x31, 0x39, 0x32, 0x30, 0x32, 0x31, 0x32, 0x32, 0x32, 0x33,
  0x32, 0x34, 0x32, 0x35, 0x32, 0x36, 0x32, 0x37, 0x32, 0x38, 0x32, 0x39, 0x33, 0x30, 0x33, 0x31,
  0x33, 0x32, 0x33, 0x33, 0x33, 0x34, 0x33, 0x35, 0x33, 0x36, 0x33, 0x37, 0x33, 0x38, 0x33, 0x39,
  0x34, 0x30, 0x34, 0x31, 0x34, 0x32, 0x34, 0x33, 0x34, 0x34, 0x34, 0x35, 0x34, 0x36, 0x34, 0x37,
  0x34, 0x38, 0x34, 0x39, 0x35, 0x30, 0x35, 0x31, 0x35, 0x32, 0x35, 0x33, 0x35, 0x34, 0x35, 0x35,
  0x35, 0x36, 0x35, 0x37, 0x35, 0x38, 0x35, 0x39, 0x36, 0x30, 0x36, 0x31, 0x36, 0x32, 0x36, 0x33,
  0x36, 0x34, 0x36, 0x35, 0x36, 0x36, 0x36, 0x37, 0x36, 0x38, 0x36, 0x39, 0x37, 0x30, 0x37, 0x31,
  0x37, 0x32, 0x37, 0x33, 0x37, 0x34, 0x37, 0x35, 0x37, 0x36, 0x37, 0x37, 0x37, 0x38, 0x37, 0x39,
  0x38, 0x30, 0x38, 0x31, 0x38, 0x32, 0x38, 0x33, 0x38, 0x34, 0x38, 0x35, 0x38, 0x36, 0x38, 0x37,
  0x38, 0x38, 0x38, 0x39, 0x39, 0x30, 0x39, 0x31, 0x39, 0x32, 0x39, 0x33, 0x39, 0x34, 0x39, 0x35,
  0x39, 0x36, 0x39, 0x37, 0x39, 0x38, 0x39, 0x39,
])

/** Writes the two digits of a value below 100. */
// @ts-ignore: decorator
@inline
export function writePair(value: u32, at: usize): void {
  store<u16>(at, load<u16>(PAIRS + (value << 1)))
}

// @ts-ignore: decorator
@inline
function digitCount32(value: u32): u32 {
  if (value < 100000) {
    if (value < 100) return value < 10 ? 1 : 2
    return value < 1000 ? 3 : value < 10000 ? 4 : 5
  }
  if (value < 10000000) return value < 1000000 ? 6 : 7
  return value < 100000000 ? 8 : value < 1000000000 ? 9 : 10
}

/** Digits of `value` in decimal; 1 for zero. */
export function digitCount(value: u64): u32 {
  if (value >> 32 == 0) return digitCount32(<u32>value)
  let count: u32 = 10
  let limit: u64 = 10000000000
  // 10^20 is beyond 64 bits: whatever is left has 20 digits.
  while (count < 20 && value >= limit) {
    count++
    limit *= 10
  }
  return count
}

/** Writes the last `count` digits of `value` so that they end before `end`, zeros in front. */
export function writeDigits32(value: u32, count: u32, end: usize): void {
  let rest = value
  let left = count
  let at = end
  while (left >= 2) {
    const next = rest / 100
    at -= 2
    store<u16>(at, load<u16>(PAIRS + ((rest - next * 100) << 1)))
    rest = next
    left -= 2
  }
  if (left != 0) store<u8>(at - 1, 0x30 + (rest % 10))
}

/** As `writeDigits32`, of up to 64 bits and any number of digits. */
export function writeDigits(value: u64, count: u32, end: usize): void {
  let rest = value
  let left = count
  let at = end
  while (rest >> 32 != 0 && left > 8) {
    const next = rest / 100000000
    writeDigits32(<u32>(rest - next * 100000000), 8, at)
    rest = next
    at -= 8
    left -= 8
  }
  while (left > 10) {
    const next = <u32>rest / 100000000
    writeDigits32(<u32>rest - next * 100000000, 8, at)
    rest = next
    at -= 8
    left -= 8
  }
  writeDigits32(<u32>rest, left, at)
}

/** Writes an unsigned number; answers where it ends. */
export function writeUnsigned32(value: u32, at: usize): usize {
  if (value < 10) {
    store<u8>(at, 0x30 + value)
    return at + 1
  }
  if (value < 100) {
    store<u16>(at, load<u16>(PAIRS + (value << 1)))
    return at + 2
  }
  const count = digitCount32(value)
  writeDigits32(value, count, at + count)
  return at + count
}

/** Writes an unsigned number; answers where it ends. */
export function writeUnsigned(value: u64, at: usize): usize {
  if (value >> 32 == 0) return writeUnsigned32(<u32>value, at)
  const count = digitCount(value)
  writeDigits(value, count, at + count)
  return at + count
}

/** Writes a signed number of up to 32 bits; answers where it ends. */
// @ts-ignore: decorator
@inline
export function writeInteger32(value: i32, at: usize): usize {
  if (value >= 0) return writeUnsigned32(value, at)
  store<u8>(at, 0x2d)
  return writeUnsigned32(0 - <u32>value, at + 1)
}

/** Writes a signed number; answers where it ends. */
// @ts-ignore: decorator
@inline
export function writeInteger(value: i64, at: usize): usize {
  if (value >= 0) return writeUnsigned(value, at)
  store<u8>(at, 0x2d)
  return writeUnsigned(0 - <u64>value, at + 1)
}
