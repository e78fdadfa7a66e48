/** Setting values: the settings whose values have a grammar of their own - styles, zones, encodings, locales. */

import { SqlError, SqlState } from '../storage/errors.js'
import { invalidValue } from './setting.js'

const STYLES: ReadonlyMap<string, string> = new Map([
  ['iso', 'ISO'],
  ['sql', 'SQL'],
  ['postgres', 'Postgres'],
  ['german', 'German'],
])

const ORDERS: ReadonlyMap<string, string> = new Map([
  ['mdy', 'MDY'],
  ['us', 'MDY'],
  ['noneuro', 'MDY'],
  ['noneuropean', 'MDY'],
  ['dmy', 'DMY'],
  ['euro', 'DMY'],
  ['european', 'DMY'],
  ['ymd', 'YMD'],
])

/**
 * DateStyle's kept form, `ISO, MDY`: a style, an order, or both in any sequence.
 *
 * `before` is the value in force, which gives what the client leaves out.
 */
export function acceptDateStyle(value: string, name: string, before: string): string {
  let [style = 'ISO', order = 'MDY'] = before.split(', ')
  const given = { style: false, order: false }
  const set = (what: 'style' | 'order', word: string): void => {
    const now = what === 'style' ? style : order
    if (given[what] && now !== word) {
      throw invalidValue(name, value, { detail: 'Conflicting "datestyle" specifications.' })
    }
    given[what] = true
    if (what === 'style') style = word
    else order = word
  }
  for (const part of value.split(',')) {
    const word = part.trim().toLowerCase()
    if (word === 'default') continue
    const asStyle = STYLES.get(word)
    const asOrder = ORDERS.get(word)
    if (asStyle !== undefined) {
      set('style', asStyle)
      if (asStyle === 'German' && !given.order) order = 'DMY'
    } else if (asOrder !== undefined) set('order', asOrder)
    else throw invalidValue(name, value, { detail: `Unrecognized key word: "${part.trim()}".` })
  }
  return `${style}, ${order}`
}

/** Hours ahead of and behind UTC that a zone may be given by. */
const ZONE_HOURS_MAX = 15

/** A time zone by its IANA name, or a whole number of hours in PostgreSQL's POSIX spelling: `<+02>-02`. */
export function acceptTimeZone(value: string, name: string): string {
  const text = value.trim()
  const hours = /^([+-]?\d+(?:\.\d+)?)$/.exec(text)?.[1]
  const clock = /^([+-]?)(\d{1,2}):(\d\d)(?::00)?$/.exec(text)
  if (hours !== undefined) return fixedZone(Number(hours), value, name)
  if (clock !== null) {
    const size = Number(clock[2]) + Number(clock[3]) / 60
    return fixedZone(clock[1] === '-' ? -size : size, value, name)
  }
  if (/^<[+-]\d\d>[+-]\d\d$/.test(text)) return text
  if (/^(default|local)$/i.test(text)) return 'UTC'
  const known = ZONES.get(text.toLowerCase())
  if (known !== undefined) return known
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
  } catch {
    throw invalidValue(name, value)
  }
  return text
}

const ZONES: ReadonlyMap<string, string> = new Map(
  [...Intl.supportedValuesOf('timeZone'), 'UTC', 'GMT', 'Zulu', 'Universal', 'UCT', 'Etc/UTC'].map(
    (zone) => [zone.toLowerCase(), zone] as const,
  ),
)

function fixedZone(hours: number, value: string, name: string): string {
  if (Math.abs(hours) > ZONE_HOURS_MAX) throw invalidValue(name, value)
  if (!Number.isInteger(hours)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      'a time zone given by hours and minutes is not supported',
      { hint: "Use the name of a zone, as in SET TIME ZONE 'Asia/Kolkata'." },
    )
  }
  // POSIX counts westwards what the name in the brackets counts eastwards.
  const digits = String(Math.abs(hours)).padStart(2, '0')
  return hours < 0 ? `<-${digits}>+${digits}` : `<+${digits}>-${digits}`
}

/** Encodings PostgreSQL knows by name, letters and digits only. */
const ENCODINGS =
  /^(big5|euccn|eucjis2004|eucjp|euckr|euctw|gb18030|gbk|iso8859[5-8]|johab|koi8[ru]?|latin(10|[1-9])|mule(internal)?|mskanji|shiftjis2004|sjis|uhc|win(866|874|125[0-8])|windows\d+|alt|tcvn\w*|vscii|abc|iso8859\d+|eucjp|euccn)$/

/** Only UTF8 is spoken: 0A000 for another encoding, 22023 for what is none. */
export function acceptEncoding(value: string, name: string): string {
  const plain = value
    .replace(/^['"]|['"]$/g, '')
    .replaceAll(/[^a-z0-9]/gi, '')
    .toLowerCase()
  if (plain === 'utf8' || plain === 'unicode' || plain === 'sqlascii') return 'UTF8'
  if (!ENCODINGS.test(plain)) throw invalidValue(name, value)
  throw new SqlError(
    SqlState.featureNotSupported,
    `conversion between ${plain.toUpperCase()} and UTF8 is not supported`,
  )
}

/** Printable ASCII, other bytes as `\x..`, as PostgreSQL 16 keeps it. */
export function acceptApplicationName(value: string): string {
  const clean = [...Buffer.from(value)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('')
  return clean.slice(0, 63)
}

/** Locales in which text is formatted as in C. */
export function acceptLocale(value: string, name: string): string {
  if (value === '' || /^(C|POSIX|C\.(UTF-8|utf8)|en_US(\.(UTF-8|utf8))?)$/.test(value)) return value
  throw invalidValue(name, value)
}

/** Takes only the value that is in force anyhow: the other would change answers. */
export function acceptOnly(only: string): (value: string, name: string) => string {
  return (value, name) => {
    if (value === only) return value
    throw new SqlError(SqlState.featureNotSupported, `${name} = ${value} is not supported`)
  }
}

/** Takes only names of a set; 22023 with PostgreSQL's detail for others. */
export function acceptName(
  what: string,
  names: readonly string[],
): (value: string, name: string) => string {
  return (value, name) => {
    if (names.includes(value)) return value
    throw invalidValue(name, value, { detail: `${what} "${value}" does not exist.` })
  }
}

/** The names of a comma-separated list, quotes taken off, unquoted ones folded; null when it is malformed. */
export function splitNames(text: string): readonly string[] | null {
  const names: string[] = []
  if (text.trim() === '') return names
  const name = /\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(,|$)/y
  for (;;) {
    const match = name.exec(text)
    if (match === null) return null
    names.push(match[1]?.replaceAll('""', '"') ?? (match[2] ?? '').toLowerCase())
    if (match[3] === '') return names
  }
}

/** A list of identifiers. */
export function acceptNames(value: string, name: string): string {
  if (splitNames(value) === null) {
    throw invalidValue(name, value, { detail: 'List syntax is invalid.' })
  }
  return value
}

/** Octal, as modes of files are shown. */
export function printMode(value: string): string {
  return `0${Number(value).toString(8)}`
}
