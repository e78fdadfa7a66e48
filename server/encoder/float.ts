/** Float: the shortest decimal that reads back as the same binary number, as PostgreSQL prints it. */

/*
 * Method: Raffaello Giulietti's Schubfach. Of the decimals strictly between the two midpoints to
 * the neighbouring floats it takes those with the fewest digits, and of these the closest. The
 * midpoints themselves are left out as PostgreSQL leaves them out, who does not trust readers to
 * round them to even.
 */

import { digitCount, writeDigits, writePair, writeUnsigned } from './digits'

const POWER_MIN = -292
const POWER_MAX = 324

/** 10^k for every k of a double, 128 bits each rounded up, highest bit set; low word first. */
export const POWERS_OF_TEN: usize = memory.data((POWER_MAX - POWER_MIN + 1) * 16, 8)

/** Where the host finds a text it asked for. */
export const FLOAT_TEXT: usize = memory.data(64)

let digits: u64 = 0
let exponent: i32 = 0

/** Writes a float8; answers where it ends, at most 24 bytes on. */
export function writeDouble(value: f64, at: usize): usize {
  const bits = reinterpret<u64>(value)
  const fraction = bits & 0xfffffffffffff
  const biased = <u32>(bits >> 52) & 0x7ff
  let to = at
  if (biased == 0x7ff) return writeSpecial(fraction != 0, bits >> 63 != 0, to)
  if (bits >> 63 != 0) store<u8>(to++, 0x2d)
  if ((bits << 1) == 0) {
    store<u8>(to, 0x30)
    return to + 1
  }
  if (!fewDigits(abs(value))) {
    if (biased == 0) shortest(fraction, -1074, false)
    else shortest(fraction | 0x10000000000000, <i32>biased - 1075, fraction == 0 && biased > 1)
  }
  return writeParts(15, to)
}

/** Writes a float4; answers where it ends, at most 16 bytes on. */
export function writeSingle(value: f32, at: usize): usize {
  const bits = reinterpret<u32>(value)
  const fraction = bits & 0x7fffff
  const biased = (bits >> 23) & 0xff
  let to = at
  if (biased == 0xff) return writeSpecial(fraction != 0, bits >> 31 != 0, to)
  if (bits >> 31 != 0) store<u8>(to++, 0x2d)
  if (bits << 1 == 0) {
    store<u8>(to, 0x30)
    return to + 1
  }
  if (!fewDigitsSingle(abs(value))) {
    if (biased == 0) shortest(fraction, -149, false)
    else shortest(fraction | 0x800000, <i32>biased - 150, fraction == 0 && biased > 1)
  }
  return writeParts(6, to)
}

/** NaN, Infinity or -Infinity. */
function writeSpecial(nan: bool, negative: bool, at: usize): usize {
  let to = at
  if (nan) {
    store<u16>(to, 0x614e)
    store<u8>(to, 0x4e, 2)
    return to + 3
  }
  if (negative) store<u8>(to++, 0x2d)
  store<u64>(to, 0x7974696e69666e49)
  return to + 8
}

/**
 * Whether `value` is a decimal of at most four places and 15 digits: then that is its shortest
 * text, since no two such decimals read as one double, and it is left in `digits` and `exponent`.
 */
// @ts-ignore: decorator
@inline
function fewDigits(value: f64): bool {
  if (value < 1e15 && floor(value) == value) {
    digits = <u64>value
    exponent = 0
    strip()
    return true
  }
  const scaled = nearest(value * 10000)
  // Dividing two exact numbers rounds as reading the decimal does.
  if (scaled >= 1e15 || scaled / 10000 != value) return false
  digits = <u64>scaled
  exponent = -4
  strip()
  return true
}

/** As `fewDigits`: at most four places and 6 digits, which lie too far from any midpoint to be rounded twice. */
// @ts-ignore: decorator
@inline
function fewDigitsSingle(value: f32): bool {
  const scaled = nearest(<f64>value * 10000)
  if (scaled >= 1e6 || <f32>(scaled / 10000) != value) return false
  digits = <u64>scaled
  exponent = -4
  strip()
  return true
}

/** Takes zeros off the end of `digits`. */
function strip(): void {
  while (digits >> 32 != 0) {
    const next = digits / 10
    if (next * 10 != digits) return
    digits = next
    exponent++
  }
  let small = <u32>digits
  while (small >= 10) {
    const next = small / 10
    if (next * 10 != small) break
    small = next
    exponent++
  }
  digits = small
}

/**
 * Sets `digits` and `exponent` to the shortest decimal of `significand` * 2^binary.
 *
 * `closer`: the lower neighbour is half as far away as the upper one.
 */
function shortest(significand: u64, binary: i32, closer: bool): void {
  const center = significand << 2
  const lower = center - (closer ? 1 : 2)
  const upper = center + 2
  // floor(log10(2^binary)), of 3/4 of it where the lower neighbour is closer.
  const k = (binary * 1262611 - (closer ? 524031 : 0)) >> 22
  // floor(log2(10^-k)) + binary + 1
  const shift = ((-k * 1741647) >> 19) + binary + 1
  const power = POWERS_OF_TEN + ((-k - POWER_MIN) << 4)
  const low = load<u64>(power)
  const high = load<u64>(power, 8)
  const from = roundToOdd(low, high, lower << shift)
  const at = roundToOdd(low, high, center << shift)
  const to = roundToOdd(low, high, upper << shift)
  const whole = at >> 2
  if (whole >= 10) {
    const tenth = whole / 10
    const down = from < 40 * tenth
    const up = 40 * tenth + 40 < to
    if (down != up) {
      digits = tenth + (up ? 1 : 0)
      exponent = k + 1
      strip()
      return
    }
  }
  const down = from < whole << 2
  const up = (whole << 2) + 4 < to
  let round: bool
  if (down != up) round = up
  else {
    const middle = (whole << 2) + 2
    round = at > middle || (at == middle && (whole & 1) != 0)
  }
  digits = whole + (round ? 1 : 0)
  exponent = k
  strip()
}

/** The highest 64 bits of a product of 128 and 64 bits, the last one set if anything is lost. */
function roundToOdd(low: u64, high: u64, factor: u64): u64 {
  const carried = highProduct(low, factor)
  const lost = high * factor + carried
  const kept = highProduct(high, factor) + (lost < carried ? 1 : 0)
  return kept | (lost > 1 ? 1 : 0)
}

/** The upper 64 bits of a product. */
// @ts-ignore: decorator
@inline
function highProduct(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff
  const aHigh = a >> 32
  const bLow = b & 0xffffffff
  const bHigh = b >> 32
  const lowest = aLow * bLow
  const cross = aHigh * bLow + (lowest >> 32)
  const other = aLow * bHigh + (cross & 0xffffffff)
  return aHigh * bHigh + (cross >> 32) + (other >> 32)
}

/** Writes `digits` and `exponent`: plain from 10^-4 up to 10^limit, with an exponent elsewhere. */
function writeParts(limit: i32, start: usize): usize {
  const count = <i32>digitCount(digits)
  const point = count + exponent - 1
  let at = start
  if (point < -4 || point >= limit) {
    writeDigits(digits, count, at + 1 + count)
    store<u8>(at, load<u8>(at, 1))
    if (count > 1) {
      store<u8>(at, 0x2e, 1)
      at += count + 1
    } else at++
    store<u8>(at, 0x65)
    store<u8>(at, point < 0 ? 0x2d : 0x2b, 1)
    const size = <u32>abs(point)
    if (size >= 100) return writeUnsigned(size, at + 2)
    writePair(size, at + 2)
    return at + 4
  }
  if (point < 0) {
    store<u16>(at, 0x2e30)
    at += 2
    for (let i = point; i < -1; i++) store<u8>(at++, 0x30)
    writeDigits(digits, count, at + count)
    return at + count
  }
  if (exponent >= 0) {
    writeDigits(digits, count, at + count)
    at += count
    for (let i = 0; i < exponent; i++) store<u8>(at++, 0x30)
    return at
  }
  writeDigits(digits, count, at + count + 1)
  for (let i = 0; i <= point; i++) store<u8>(at + i, load<u8>(at + i, 1))
  store<u8>(at + point + 1, 0x2e)
  return at + count + 1
}
