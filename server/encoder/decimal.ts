/** Decimal: PostgreSQL's numeric, as text and in groups of four digits, from up to 128 bits. */

import { digitCount, eightDigits, writeDigits, zerosBefore } from './digits'

const POWERS: StaticArray<u32> = [1, 10, 100, 1000, 10000]

/** Digits of a number beyond 64 bits, right-aligned; longest is 39. */
const WIDE_BYTES = 40
const wide: usize = memory.data(WIDE_BYTES)

/** Limbs of 32 bits, lowest first. */
const limbs: usize = memory.data(16)

/** Groups of four digits, lowest first; 38 digits behind the point and one group of rounding. */
const groups: usize = memory.data(64)

/** Moves the last `scale` of the digits that end at `end` by one and sets the point before them. */
// @ts-ignore: decorator
@inline
function insertPoint(scale: u32, end: usize): usize {
  let at = end
  for (let i: u32 = 0; i < scale; i++) {
    store<u8>(at, load<u8>(at - 1))
    at--
  }
  store<u8>(at, 0x2e)
  return end + 1
}

/** Writes `value` / 10^scale as text; answers where it ends. */
export function writeDecimal(value: i64, scale: u32, start: usize): usize {
  let at = start
  let size = <u64>value
  if (value < 0) {
    store<u8>(at++, 0x2d)
    size = 0 - size
  }
  if (size < 100000000 && scale < 8) {
    // Eight digits in a word: what stands before the point, and what behind it.
    const digits = eightDigits(<u32>size)
    let zeros = zerosBefore(digits)
    if (zeros > 7 - scale) zeros = 7 - scale
    const text = (digits | 0x3030303030303030) >> (zeros << 3)
    store<u64>(at, text)
    at += 8 - zeros
    if (scale == 0) return at
    store<u8>(at - scale, 0x2e)
    store<u64>(at - scale, text >> ((8 - zeros - scale) << 3), 1)
    return at + 1
  }
  let count = digitCount(size)
  if (count <= scale) count = scale + 1
  at += count
  writeDigits(size, count, at)
  return scale == 0 ? at : insertPoint(scale, at)
}

/** Writes a number of 128 bits / 10^scale as text; answers where it ends. */
export function writeWideDecimal(low: u64, high: i64, scale: u32, start: usize): usize {
  if (high == <i64>low >> 63) return writeDecimal(<i64>low, scale, start)
  let at = start
  if (high < 0) store<u8>(at++, 0x2d)
  const digits = wideDigits(low, high, scale + 1)
  const count = <u32>(wide + WIDE_BYTES - digits)
  memory.copy(at, digits, count)
  at += count
  return scale == 0 ? at : insertPoint(scale, at)
}

/** The digits of |number| in `wide`, at least `atLeast` of them; answers where they begin. */
function wideDigits(low: u64, high: i64, atLeast: u32): usize {
  let lower = low
  let upper = <u64>high
  if (high < 0) {
    lower = 0 - lower
    upper = ~upper + (lower == 0 ? 1 : 0)
  }
  store<u32>(limbs, <u32>lower)
  store<u32>(limbs, <u32>(lower >> 32), 4)
  store<u32>(limbs, <u32>upper, 8)
  store<u32>(limbs, <u32>(upper >> 32), 12)
  // Nine digits at a time; 40 bytes take four such pieces and a last one of four digits.
  let end = wide + WIDE_BYTES
  for (let piece = 0; piece < 4; piece++) {
    writeDigits(divideLimbs(1000000000), 9, end)
    end -= 9
  }
  writeDigits(divideLimbs(10000), 4, end)
  let begin = wide
  const last = wide + WIDE_BYTES - atLeast
  while (begin < last && load<u8>(begin) == 0x30) begin++
  return begin
}

/** Divides `limbs` in place; answers the remainder. */
function divideLimbs(divisor: u64): u64 {
  let rest: u64 = 0
  for (let limb = limbs + 12; limb >= limbs; limb -= 4) {
    const current = (rest << 32) | load<u32>(limb)
    const next = current / divisor
    store<u32>(limb, <u32>next)
    rest = current - next * divisor
  }
  return rest
}

/** Writes numeric's binary form of `value` / 10^scale; answers where it ends. */
export function writeNumeric(value: i64, scale: u32, at: usize): usize {
  let rest = value < 0 ? 0 - <u64>value : <u64>value
  const behind = (scale + 3) >> 2
  const shift = (behind << 2) - scale
  let count: u32 = 0
  if (shift != 0) {
    // The last group is filled up by itself, so that the whole number never grows.
    const part = unchecked(POWERS[4 - shift])
    const next = rest / part
    store<u16>(groups, <u16>(<u32>(rest - next * part) * unchecked(POWERS[shift])))
    rest = next
    count = 1
  }
  while (rest >> 32 != 0) {
    const next = rest / 10000
    store<u16>(groups + (count << 1), <u16>(rest - next * 10000))
    rest = next
    count++
  }
  let small = <u32>rest
  while (small != 0) {
    const next = small / 10000
    store<u16>(groups + (count << 1), <u16>(small - next * 10000))
    small = next
    count++
  }
  return writeGroups(count, behind, scale, value < 0, at)
}

/** Writes numeric's binary form of a number of 128 bits / 10^scale; answers where it ends. */
export function writeWideNumeric(low: u64, high: i64, scale: u32, at: usize): usize {
  if (high == <i64>low >> 63) return writeNumeric(<i64>low, scale, at)
  const digits = wideDigits(low, high, 1)
  const behind = (scale + 3) >> 2
  const shift = (behind << 2) - scale
  let end = wide + WIDE_BYTES
  let count: u32 = 0
  if (shift != 0) {
    end -= 4 - shift
    store<u16>(groups, <u16>(group(end, 4 - shift, digits) * unchecked(POWERS[shift])))
    count = 1
  }
  while (end > digits) {
    end -= 4
    store<u16>(groups + (count << 1), <u16>group(end, 4, digits))
    count++
  }
  return writeGroups(count, behind, scale, high < 0, at)
}

/** The number that `size` digits at `from` make; digits before `begin` count as zeros. */
function group(from: usize, size: u32, begin: usize): u32 {
  let value: u32 = 0
  for (let at = from; at < from + size; at++) {
    value = value * 10 + (at < begin ? 0 : load<u8>(at) - 0x30)
  }
  return value
}

/** Header and `count` of `groups`, highest first, without zeros at either end. */
// @ts-ignore: decorator
@inline
function writeGroups(count: u32, behind: u32, scale: u32, negative: bool, at: usize): usize {
  let high = <i32>count - 1
  while (high >= 0 && load<u16>(groups + (high << 1)) == 0) high--
  let low = 0
  while (low <= high && load<u16>(groups + (low << 1)) == 0) low++
  const size = high - low + 1
  store<u16>(at, bswap<u16>(<u16>size))
  store<u16>(at, size == 0 ? 0 : bswap<u16>(<u16>(high - <i32>behind)), 2)
  store<u16>(at, negative ? 0x0040 : 0, 4)
  store<u16>(at, bswap<u16>(<u16>scale), 6)
  let to = at + 8
  for (let i = high; i >= low; i--) {
    store<u16>(to, bswap<u16>(load<u16>(groups + (i << 1))))
    to += 2
  }
  return to
}
