/** Setting: what is known of one run-time parameter - its type, its range, who may change it. */

import { SqlError, SqlState } from '../storage/errors.js'

/** When a setting may be changed; `pg_settings.context`. */
export type SettingContext =
  | 'internal'
  | 'postmaster'
  | 'sighup'
  | 'superuser-backend'
  | 'backend'
  | 'superuser'
  | 'user'

/** Unit in which an integer or real setting is kept; `pg_settings.unit`. */
export type SettingUnit = 'B' | 'kB' | '8kB' | 'MB' | 'ms' | 's' | 'min'

/** Type of a setting's values; `pg_settings.vartype`. */
export type SettingType =
  | { readonly kind: 'bool' }
  | {
      readonly kind: 'integer' | 'real'
      readonly min: number
      readonly max: number
      readonly unit: SettingUnit | null
    }
  | {
      readonly kind: 'enum'
      readonly values: readonly string[]
      /** Spellings that are taken but not told of. */
      readonly aliases: ReadonlyMap<string, string>
    }
  | { readonly kind: 'string' }

/** Definition of one setting. Values are kept as `pg_settings.setting` shows them, in base units. */
export interface Setting {
  /** In PostgreSQL's spelling: `DateStyle`. */
  readonly name: string
  readonly category: string
  readonly context: SettingContext
  readonly type: SettingType
  /** Value of a session that sets nothing. */
  readonly boot: string
  /** Takes a list, whose items are identifiers ('names') or words ('words'). */
  readonly list?: 'names' | 'words'
  /** Clients are told of changes (ParameterStatus). */
  readonly reported?: boolean
  /** Left out of SHOW ALL and pg_settings. */
  readonly hidden?: boolean
  /** Not touched by RESET ALL. */
  readonly keepsOnResetAll?: boolean
  /** Makes the kept form of a value its type has taken, or throws; `before` is the value in force. */
  readonly accept?: (value: string, name: string, before: string) => string
  /** Form of a kept value that SHOW prints, where its type does not tell. */
  readonly print?: (value: string) => string
}

/** What differs from the rule in a definition. */
export type SettingTraits = Partial<
  Pick<Setting, 'list' | 'reported' | 'hidden' | 'keepsOnResetAll' | 'accept' | 'print'>
>

type Uncategorised = Omit<Setting, 'category'>

/** Largest integer setting. */
export const MAX = 2_147_483_647

export function category(name: string, settings: readonly Uncategorised[]): Setting[] {
  return settings.map((setting) => ({ ...setting, category: name }))
}

export function bool(
  name: string,
  boot: 'on' | 'off',
  context: SettingContext = 'user',
  traits: SettingTraits = {},
): Uncategorised {
  return { name, boot, context, type: { kind: 'bool' }, ...traits }
}

export function integer(
  name: string,
  boot: number,
  min: number,
  max: number,
  unit: SettingUnit | null = null,
  context: SettingContext = 'user',
  traits: SettingTraits = {},
): Uncategorised {
  return { name, boot: String(boot), context, type: { kind: 'integer', min, max, unit }, ...traits }
}

export function real(
  name: string,
  boot: number,
  min: number,
  max: number,
  unit: SettingUnit | null = null,
  context: SettingContext = 'user',
): Uncategorised {
  return { name, boot: String(boot), context, type: { kind: 'real', min, max, unit } }
}

/** A value out of a list; where `on` or `off` is one of them, every spelling of them is taken. */
export function choice(
  name: string,
  boot: string,
  values: readonly string[],
  context: SettingContext = 'user',
  traits: SettingTraits & { readonly aliases?: ReadonlyMap<string, string> } = {},
): Uncategorised {
  const { aliases = values.includes('on') ? BOOLEAN_ALIASES : new Map(), ...rest } = traits
  return { name, boot, context, type: { kind: 'enum', values, aliases }, ...rest }
}

export function text(
  name: string,
  boot: string,
  context: SettingContext = 'user',
  traits: SettingTraits = {},
): Uncategorised {
  return { name, boot, context, type: { kind: 'string' }, ...traits }
}

const BOOLEAN_ALIASES: ReadonlyMap<string, string> = new Map([
  ['true', 'on'],
  ['yes', 'on'],
  ['1', 'on'],
  ['false', 'off'],
  ['no', 'off'],
  ['0', 'off'],
])

/** The kept form of what a client gives; 22023 in PostgreSQL's words when it is none. */
export function parseSetting(
  { name, type, accept }: Setting,
  value: string,
  before: string,
): string {
  const parsed = parseType(name, type, value)
  return accept === undefined ? parsed : accept(parsed, name, before)
}

function parseType(name: string, type: SettingType, value: string): string {
  switch (type.kind) {
    case 'bool':
      return parseBoolean(name, value)
    case 'enum': {
      const word = value.toLowerCase()
      const found = type.values.find((one) => one.toLowerCase() === word) ?? type.aliases.get(word)
      if (found !== undefined) return found
      throw invalidValue(name, value, {
        hint: `Available values: ${type.values.join(', ')}.`,
      })
    }
    case 'integer':
    case 'real':
      return parseNumber(name, type, value)
    case 'string':
      return value
  }
}

function parseBoolean(name: string, value: string): string {
  const word = value.trim().toLowerCase()
  const begins = (whole: string, least = 1): boolean =>
    word.length >= least && whole.startsWith(word)
  if (begins('true') || begins('yes') || word === 'on' || word === '1') return 'on'
  if (begins('false') || begins('no') || begins('off', 2) || word === '0') return 'off'
  throw new SqlError(SqlState.invalidParameterValue, `parameter "${name}" requires a Boolean value`)
}

/** Size of each unit in the smallest one of its family. */
const UNITS: readonly (readonly (readonly [string, number])[])[] = [
  [
    ['TB', 1024 ** 4],
    ['GB', 1024 ** 3],
    ['MB', 1024 ** 2],
    ['kB', 1024],
    ['B', 1],
  ],
  [
    ['d', 86_400_000_000],
    ['h', 3_600_000_000],
    ['min', 60_000_000],
    ['s', 1_000_000],
    ['ms', 1000],
    ['us', 1],
  ],
]

function familyOf(unit: SettingUnit): {
  readonly units: readonly (readonly [string, number])[]
  readonly base: number
} {
  const isMemory = unit.endsWith('B')
  const units = UNITS[isMemory ? 0 : 1] ?? []
  const base = unit === '8kB' ? 8192 : (units.find(([name]) => name === unit)?.[1] ?? 1)
  return { units, base }
}

function parseNumber(
  name: string,
  type: Extract<SettingType, { kind: 'integer' | 'real' }>,
  value: string,
): string {
  const match =
    /^\s*([+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))\s*([a-zA-Z]*)\s*$/.exec(
      value,
    )
  const written = match?.[1] ?? ''
  let number = numberOf(written, type.kind)
  const unit = match?.[2] ?? ''
  if (match === null) throw invalidValue(name, value)
  if (unit !== '') {
    if (type.unit === null) throw invalidValue(name, value)
    const { units, base } = familyOf(type.unit)
    const index = units.findIndex(([one]) => one === unit)
    const size = units[index]?.[1]
    if (size === undefined) {
      const names = units.map(([one]) => `"${one}"`).reverse()
      throw invalidValue(name, value, {
        hint: `Valid units for this parameter are ${names.slice(0, -1).join(', ')}, and ${names.at(-1)}.`,
      })
    }
    // A fraction is rounded to the next smaller unit, as in PostgreSQL: 30.1GB to whole MB.
    const smaller = units[index + 1]?.[1]
    number = (number * size) / base
    if (smaller !== undefined && smaller >= base) {
      number = roundHalfEven((number * base) / smaller) * (smaller / base)
    }
  }
  if (!Number.isFinite(number)) throw invalidValue(name, value)
  if (type.kind === 'integer') {
    number = roundHalfEven(number)
    if (Math.abs(number) > MAX) {
      throw invalidValue(name, value, { hint: 'Value exceeds integer range.' })
    }
  }
  if (number < type.min || number > type.max) {
    const suffix = type.unit === null ? '' : ` ${type.unit}`
    throw new SqlError(
      SqlState.invalidParameterValue,
      `${printReal(number)}${suffix} is outside the valid range for parameter "${name}" ` +
        `(${printReal(type.min)} .. ${printReal(type.max)})`,
    )
  }
  return type.kind === 'integer' ? String(number) : printReal(number)
}

function numberOf(written: string, kind: 'integer' | 'real'): number {
  const sign = written.startsWith('-') ? -1 : 1
  const digits = written.replace(/^[+-]/, '')
  if (kind === 'integer' && /^0[0-7]+$/.test(digits)) return sign * Number.parseInt(digits, 8)
  return sign * Number(digits)
}

function roundHalfEven(number: number): number {
  const floor = Math.floor(number)
  const rest = number - floor
  if (rest !== 0.5) return Math.round(number)
  return floor % 2 === 0 ? floor : floor + 1
}

/** As C's `%g`: six digits, without trailing noughts. */
function printReal(number: number): string {
  return Number.isInteger(number) && Math.abs(number) <= MAX
    ? String(number)
    : String(Number(number.toPrecision(6)))
}

/** What SHOW prints of a kept value: the largest unit in which it is whole. */
export function printSetting({ type, print }: Setting, value: string): string {
  if (print !== undefined) return print(value)
  if ((type.kind !== 'integer' && type.kind !== 'real') || type.unit === null) return value
  const number = Number(value)
  if (number <= 0) return value
  const { units, base } = familyOf(type.unit)
  const inSmallest = Math.round(number * base)
  const usable = units.filter(([, size]) => type.kind === 'real' || size >= Math.min(base, 1024))
  const [unit, size] = usable.find(([, one]) => inSmallest % one === 0) ?? [type.unit, base]
  return `${printReal(inSmallest / size)}${unit}`
}

/** Milliseconds of a kept value of a duration setting. */
export function settingMs({ type }: Setting, value: string): number {
  if (type.kind !== 'integer' || type.unit === null) return Number(value)
  return (Number(value) * familyOf(type.unit).base) / 1000
}

export function invalidValue(
  name: string,
  value: string,
  fields: { readonly detail?: string; readonly hint?: string } = {},
): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "${name}": "${value}"`,
    fields,
  )
}
