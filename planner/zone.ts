/** Zone: a time zone, what its clocks show at a moment, and which moment they show a time at. */

import { daysOf } from './civil-date.js'

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** A zone offset in PostgreSQL's short form: `+00`, `+05:30`, `-07:52:58`. */
export function offsetText(seconds: number): string {
  const size = Math.abs(seconds)
  const minutes = Math.floor(size / 60) % 60
  const rest = size % 60
  return (
    `${seconds < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}` +
    (minutes !== 0 || rest !== 0 ? `:${two(minutes)}` : '') +
    (rest !== 0 ? `:${two(rest)}` : '')
  )
}

/** A time zone: what its clocks show at a moment. */
export class Zone {
  /** IANA name, or a fixed offset in PostgreSQL's POSIX spelling. */
  readonly name: string
  readonly #fixed: number | null
  readonly #format: Intl.DateTimeFormat | null
  /** Offsets by quarter of an hour, in which no zone changes twice. */
  readonly #offsets = new Map<number, number>()

  constructor(name: string) {
    this.name = name
    const fixed = /^<[^>]*>([+-]?)(\d{1,2})(?::(\d\d))?$/.exec(name)
    if (fixed !== null) {
      // POSIX counts westwards.
      const seconds = Number(fixed[2]) * 3600 + Number(fixed[3] ?? 0) * 60
      this.#fixed = fixed[1] === '-' ? seconds : -seconds
      this.#format = null
    } else if (name === 'UTC' || name === 'GMT') {
      this.#fixed = 0
      this.#format = null
    } else {
      this.#fixed = null
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        era: 'short',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      })
    }
  }

  /** Seconds east of UTC where they are the same at all times; null elsewhere. */
  get fixedSeconds(): number | null {
    return this.#fixed
  }

  /** Seconds east of UTC at `micros` since 1970. */
  offsetSeconds(micros: bigint): number {
    if (this.#fixed !== null || this.#format === null) return this.#fixed ?? 0
    let seconds = Number(micros / 1_000_000n)
    // Outside of what JavaScript dates can hold the rules of the nearest year apply.
    seconds = Math.max(-62_135_596_800, Math.min(seconds, 8_000_000_000_000))
    const quarter = Math.floor(seconds / 900)
    const known = this.#offsets.get(quarter)
    if (known !== undefined) return known
    const part: Record<string, string> = {}
    for (const { type, value } of this.#format.formatToParts(quarter * 900_000)) part[type] = value
    const year = part.era === 'BC' ? 1 - Number(part.year) : Number(part.year)
    const local =
      daysOf(year, Number(part.month), Number(part.day)) * 86_400 +
      Number(part.hour) * 3600 +
      Number(part.minute) * 60 +
      Number(part.second)
    const offset = local - quarter * 900
    if (this.#offsets.size > 100_000) this.#offsets.clear()
    this.#offsets.set(quarter, offset)
    return offset
  }

  /**
   * The moment at which its clocks show `local`: the later one where they show it twice, and by the
   * offset of the day before where they skip it.
   */
  utcMicros(local: bigint): bigint {
    const offsetAt = (micros: bigint): bigint => BigInt(this.offsetSeconds(micros)) * 1_000_000n
    const later = offsetAt(local + 86_400_000_000n)
    return offsetAt(local - later) === later
      ? local - later
      : local - offsetAt(local - 86_400_000_000n)
  }

  abbreviation(micros: bigint): string {
    if (this.#format === null)
      return this.name.startsWith('<') ? offsetText(this.#fixed ?? 0) : this.name
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: this.name,
      timeZoneName: 'short',
    }).formatToParts(Number(micros / 1000n))
    const short = parts.find(({ type }) => type === 'timeZoneName')?.value ?? ''
    return /^[A-Z]{2,5}$/.test(short) ? short : offsetText(this.offsetSeconds(micros))
  }
}
