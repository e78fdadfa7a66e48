/** Digits: whole numbers as decimal text. */

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

const ZEROS: u64 = 0x3030303030303030

/**
 * The eight digits of a value below 10^8 as the bytes 0 to 9 in the order they are written in.
 *
 * All at once: the halves of four digits, of two and of one are divided side by side in one word.
 */
// @ts-ignore: decorator
@inline
export function eightDigits(value: u32): u64 {
  const upper = value / 10000
  const fours = <u64>upper | (<u64>(value - upper * 10000) << 32)
  const hundreds = ((fours * 10486) >> 20) & 0x7f0000007f
  const twos = hundreds | ((fours - hundreds * 100) << 16)
  const tens = ((twos * 103) >> 10) & 0xf000f000f000f
  return tens | ((twos - tens * 10) << 8)
}

/** How many of eight digits are zeros in front; 7 for zero itself. */
// @ts-ignore: decorator
@inline
export function zerosBefore(digits: u64): u32 {
  return <u32>ctz(digits | 0x100000000000000) >> 3
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

/** Writes an unsigned number, and up to eight bytes behind it; answers where it ends. */
export function writeUnsigned32(value: u32, at: usize): usize {
  let to = at
  let rest = value
  if (rest >= 100000000) {
    const upper = rest / 100000000
    rest -= upper * 100000000
    if (upper >= 10) {
      writePair(upper, to)
      to += 2
    } else store<u8>(to++, 0x30 + upper)
    store<u64>(to, eightDigits(rest) | ZEROS)
    return to + 8
  }
  const digits = eightDigits(rest)
  const zeros = zerosBefore(digits)
  store<u64>(to, (digits | ZEROS) >> (zeros << 3))
  return to + 8 - zeros
}

/** Writes an unsigned number, and up to eight bytes behind it; answers where it ends. */
export function writeUnsigned(value: u64, at: usize): usize {
  if (value >> 32 == 0) return writeUnsigned32(<u32>value, at)
  const upper = value / 100000000
  const to = writeUnsigned(upper, at)
  store<u64>(to, eightDigits(<u32>(value - upper * 100000000)) | ZEROS)
  return to + 8
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
