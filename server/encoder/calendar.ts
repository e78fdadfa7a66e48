/** Calendar: dates, times and timestamps in ISO style and in PostgreSQL's binary form. */

import { zoneOffset } from './host'
import { eightDigits, writePair, writeUnsigned32 } from './digits'

const DAY_MICROS: i64 = 86400000000
/** Days and microseconds between 1970-01-01 and PostgreSQL's epoch, 2000-01-01. */
const EPOCH_DAYS = 10957
const EPOCH_MICROS: i64 = 946684800000000

const INFINITE_DAYS: i32 = 0x7fffffff
const INFINITE_MICROS: i64 = 0x7fffffffffffffff

/** Offsets east of UTC by zone and quarter of an hour, in which no zone changes twice. */
const OFFSETS = 1024
const offsets: usize = memory.data(OFFSETS * 16, 8)

/** Texts of ten letters by day: most days of a result come again and again. */
const CIVILS = 4096
const civils: usize = memory.data(CIVILS * 16, 8)
// An empty slot must not look like the one of day 0.
store<i32>(civils, 1, 12)

let beforeChrist: bool = false

function writeInfinity(negative: bool, at: usize): usize {
  let to = at
  if (negative) store<u8>(to++, 0x2d)
  store<u64>(to, 0x7974696e69666e69)
  return to + 8
}

/** Writes year, month and day; leaves in `beforeChrist` whether ` BC` has to follow at the end. */
// @ts-ignore: decorator
@inline
function writeCivil(days: i32, at: usize): usize {
  const slot = civils + ((<usize>days & (CIVILS - 1)) << 4)
  if (load<i32>(slot, 12) == days) {
    beforeChrist = false
    store<u64>(at, load<u64>(slot))
    store<u16>(at, load<u16>(slot, 8), 8)
    return at + 10
  }
  const to = writeCivilAnew(days, at)
  if (!beforeChrist && to == at + 10) {
    store<u64>(slot, load<u64>(at))
    store<u16>(slot, load<u16>(at, 8), 8)
    store<i32>(slot, days, 12)
  }
  return to
}

function writeCivilAnew(days: i32, at: usize): usize {
  // Counted from 0000-03-01 in eras of 400 years, so that leap days come last.
  let era: i32
  let dayOfEra: u32
  if (days >= -719468 && days < 2000000000) {
    const shifted = <u32>(days + 719468)
    era = shifted / 146097
    dayOfEra = shifted - era * 146097
  } else {
    const shifted = <i64>days + 719468
    era = <i32>((shifted >= 0 ? shifted : shifted - 146096) / 146097)
    dayOfEra = <u32>(shifted - <i64>era * 146097)
  }
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  const shiftedMonth = (5 * dayOfYear + 2) / 153
  const day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  let year = <i32>yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  beforeChrist = year <= 0
  if (year <= 0) year = 1 - year
  let to = at
  if (year < 10000) {
    const century = <u32>year / 100
    writePair(century, to)
    writePair(year - century * 100, to + 2)
    to += 4
  } else to = writeUnsigned32(year, to)
  store<u8>(to, 0x2d)
  writePair(month, to + 1)
  store<u8>(to, 0x2d, 3)
  writePair(day, to + 4)
  return to + 6
}

function writeEra(at: usize): usize {
  store<u8>(at, 0x20)
  store<u16>(at, 0x4342, 1)
  return at + 3
}

/** Writes a date; answers where it ends. */
export function writeDate(days: i32, at: usize): usize {
  if (days == INFINITE_DAYS || days == -INFINITE_DAYS) return writeInfinity(days < 0, at)
  const to = writeCivil(days, at)
  return beforeChrist ? writeEra(to) : to
}

/** Writes a time of day; answers where it ends. */
export function writeTime(micros: i64, at: usize): usize {
  // Off by one at most; exact would be a division.
  let seconds = <u32>(<f64>micros * 1e-6)
  let fraction = <i32>(micros - <i64>seconds * 1000000)
  if (fraction < 0) {
    fraction += 1000000
    seconds--
  } else if (fraction >= 1000000) {
    fraction -= 1000000
    seconds++
  }
  const minutes = seconds / 60
  const hours = minutes / 60
  writePair(hours, at)
  store<u8>(at, 0x3a, 2)
  writePair(minutes - hours * 60, at + 3)
  store<u8>(at, 0x3a, 5)
  writePair(seconds - minutes * 60, at + 6)
  const to = at + 8
  if (fraction == 0) return to
  // Two zeros come first of the eight digits; those at the end are left out.
  const digits = eightDigits(fraction)
  store<u8>(to, 0x2e)
  store<u64>(to, (digits | 0x3030303030303030) >> 16, 1)
  return to + 9 - 2 - (<usize>clz(digits) >> 3)
}

/** The day, from 1970-01-01, in which `micros` lies. */
// @ts-ignore: decorator
@inline
function dayOf(micros: i64): i64 {
  // The product of doubles is off by one at most; dividing integers takes several times as long.
  const day = <i64>(<f64>micros * (1 / <f64>DAY_MICROS))
  const rest = micros - day * DAY_MICROS
  return rest < 0 ? day - 1 : rest >= DAY_MICROS ? day + 1 : day
}

/** Writes a timestamp; answers where it ends. */
export function writeTimestamp(micros: i64, at: usize): usize {
  if (micros == INFINITE_MICROS || micros == -INFINITE_MICROS) return writeInfinity(micros < 0, at)
  const to = writeMoment(micros, at)
  return beforeChrist ? writeEra(to) : to
}

// @ts-ignore: decorator
@inline
function writeMoment(micros: i64, at: usize): usize {
  const day = dayOf(micros)
  const to = writeCivil(<i32>day, at)
  store<u8>(to, 0x20)
  return writeTime(micros - day * DAY_MICROS, to + 1)
}

/** Writes a timestamp with time zone in zone number `zone`; answers where it ends. */
export function writeZonedTimestamp(micros: i64, zone: i32, fixed: i32, at: usize): usize {
  if (micros == INFINITE_MICROS || micros == -INFINITE_MICROS) return writeInfinity(micros < 0, at)
  const offset = zone < 0 ? fixed : offsetAt(micros, zone)
  const to = writeOffset(offset, writeMoment(micros + <i64>offset * 1000000, at))
  return beforeChrist ? writeEra(to) : to
}

/** Seconds east of UTC at `micros` in `zone`: asked of the host once for each quarter of an hour. */
function offsetAt(micros: i64, zone: i32): i32 {
  const seconds = micros / 1000000
  const quarter = (seconds >= 0 ? seconds : seconds - 899) / 900
  const slot = offsets + ((<usize>quarter & (OFFSETS - 1)) << 4)
  // Zones are numbered from 1, so that an empty slot is nobody's.
  if (load<i64>(slot) == quarter && load<i32>(slot, 8) == zone) return load<i32>(slot, 12)
  const offset = zoneOffset(micros)
  store<i64>(slot, quarter)
  store<i32>(slot, zone, 8)
  store<i32>(slot, offset, 12)
  return offset
}

/** `+00`, `+05:30`, `-07:52:58`. */
function writeOffset(seconds: i32, at: usize): usize {
  store<u8>(at, seconds < 0 ? 0x2d : 0x2b)
  const size = <u32>abs(seconds)
  const minutes = size / 60
  const hours = minutes / 60
  const restMinutes = minutes - hours * 60
  const restSeconds = size - minutes * 60
  writePair(hours, at + 1)
  let to = at + 3
  if (restMinutes != 0 || restSeconds != 0) {
    store<u8>(to, 0x3a)
    writePair(restMinutes, to + 1)
    to += 3
  }
  if (restSeconds != 0) {
    store<u8>(to, 0x3a)
    writePair(restSeconds, to + 1)
    to += 3
  }
  return to
}

/** Days from PostgreSQL's epoch, its infinities at the ends of the range. */
// @ts-ignore: decorator
@inline
export function binaryDate(days: i32): i32 {
  if (days == INFINITE_DAYS) return days
  return days == -INFINITE_DAYS ? i32.MIN_VALUE : days - EPOCH_DAYS
}

/** Microseconds from PostgreSQL's epoch, its infinities at the ends of the range. */
// @ts-ignore: decorator
@inline
export function binaryTimestamp(micros: i64): i64 {
  if (micros == INFINITE_MICROS) return micros
  return micros == -INFINITE_MICROS ? i64.MIN_VALUE : micros - EPOCH_MICROS
}
