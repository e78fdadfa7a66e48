/** Settings: the run-time parameters of a session - SET, SHOW and RESET, with PostgreSQL's validation. */

import { SqlError, SqlState } from '../storage/errors.js'

/** What SHOW calls the version of PostgreSQL whose behaviour is announced. */
export const SERVER_VERSION = '16.9'

interface Definition {
  readonly default: string
  /** The value as it is kept, or throws; absent: any text. */
  readonly accept?: (value: string, name: string) => string
  readonly readOnly?: boolean
  readonly reported?: boolean
}

const bool = (value: string, name: string): string => {
  const lower = value.toLowerCase()
  if (lower !== '' && ['on', 'true', 'yes', '1', 't', 'y'].includes(lower)) return 'on'
  if (['off', 'false', 'no', '0', 'f', 'n', 'of'].includes(lower)) return 'off'
  throw new SqlError(SqlState.invalidParameterValue, `parameter "${name}" requires a Boolean value`)
}

const oneOf =
  (...values: readonly string[]) =>
  (value: string, name: string): string => {
    const found = values.find((one) => one.toLowerCase() === value.toLowerCase())
    if (found !== undefined) return found
    throw new SqlError(
      SqlState.invalidParameterValue,
      `invalid value for parameter "${name}": "${value}"`,
      { hint: `Available values: ${values.join(', ')}.` },
    )
  }

const integer =
  (min: number, max: number) =>
  (value: string, name: string): string => {
    const number = Number(value)
    if (!/^\s*[+-]?\d+(\.\d+)?\s*$/.test(value)) throw invalid(name, value)
    const rounded = Math.round(number)
    if (rounded < min || rounded > max) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        `${rounded} is outside the valid range for parameter "${name}" (${min} .. ${max})`,
      )
    }
    return String(rounded)
  }

const UNITS_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A duration in milliseconds, shown in the largest unit that divides it. */
const duration = (value: string, name: string): string => {
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(value)
  const unit = match?.[2] ?? ''
  const factor = unit === '' ? 1 : UNITS_MS[unit]
  if (match === null || factor === undefined) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `invalid value for parameter "${name}": "${value}"`,
      { hint: 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".' },
    )
  }
  const ms = Math.round(Number(match[1]) * factor)
  if (ms < 0 || ms > 2_147_483_647) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `${ms} ms is outside the valid range for parameter "${name}" (0 ms .. 2147483647 ms)`,
    )
  }
  if (ms === 0) return '0'
  for (const [suffix, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${suffix}`
  }
  return `${ms}ms`
}

function invalid(name: string, value: string): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "${name}": "${value}"`,
  )
}

const STYLES: Readonly<Record<string, string>> = {
  iso: 'ISO',
  sql: 'SQL',
  postgres: 'Postgres',
  german: 'German',
}
const ORDERS: Readonly<Record<string, string>> = {
  mdy: 'MDY',
  us: 'MDY',
  noneuro: 'MDY',
  noneuropean: 'MDY',
  dmy: 'DMY',
  euro: 'DMY',
  european: 'DMY',
  ymd: 'YMD',
}

const dateStyle = (value: string, name: string): string => {
  let style = 'ISO'
  let order: string | undefined
  for (const part of value.split(',')) {
    const word = part.trim().toLowerCase()
    if (word === '') continue
    const asStyle = STYLES[word]
    if (asStyle !== undefined) {
      style = asStyle
      if (asStyle === 'German') order ??= 'DMY'
    } else if (ORDERS[word] !== undefined) order = ORDERS[word]
    else throw invalid(name, value)
  }
  return `${style}, ${order ?? 'MDY'}`
}

const timeZone = (value: string, name: string): string => {
  const text = value.trim()
  const fixed = /^([+-]?)(\d{1,2})(?::?(\d\d))?$/.exec(text)
  if (fixed !== null && Number(fixed[2]) <= 15) {
    // POSIX signs count westwards, as PostgreSQL shows a numeric zone.
    const sign = fixed[1] === '-' ? '-' : '+'
    return `<${sign}${(fixed[2] ?? '').padStart(2, '0')}${fixed[3] === undefined ? '' : `:${fixed[3]}`}>${sign === '-' ? '+' : '-'}${(fixed[2] ?? '').padStart(2, '0')}${fixed[3] === undefined ? '' : `:${fixed[3]}`}`
  }
  if (/^<[^>]+>[+-]?\d{1,2}(:\d\d)?$/.test(text)) return text
  if (/^(utc|zulu|z)$/i.test(text)) return 'UTC'
  if (/^gmt$/i.test(text)) return 'GMT'
  if (/^(default|local)$/i.test(text)) return 'UTC'
  try {
    const found = new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
    const spelled = Intl.supportedValuesOf('timeZone').find(
      (zone) => zone.toLowerCase() === text.toLowerCase(),
    )
    return spelled ?? (found.toLowerCase() === text.toLowerCase() ? found : text)
  } catch {
    throw invalid(name, value)
  }
}

const encoding = (value: string, name: string): string => {
  const plain = value
    .replace(/^['"]|['"]$/g, '')
    .replaceAll(/[-_ ]/g, '')
    .toLowerCase()
  if (plain === 'utf8' || plain === 'unicode') return 'UTF8'
  if (plain === 'sqlascii') return 'UTF8'
  throw invalid(name, value)
}

const isolation = oneOf('serializable', 'repeatable read', 'read committed', 'read uncommitted')

const DEFINITIONS: Readonly<Record<string, Definition>> = {
  application_name: {
    default: '',
    accept: (v) => v.replace(/[^\x20-\x7e]/g, '?').slice(0, 63),
    reported: true,
  },
  array_nulls: { default: 'on', accept: bool },
  backslash_quote: { default: 'safe_encoding' },
  bytea_output: { default: 'hex', accept: oneOf('escape', 'hex') },
  check_function_bodies: { default: 'on', accept: bool },
  client_encoding: { default: 'UTF8', accept: encoding, reported: true },
  client_min_messages: {
    default: 'notice',
    accept: oneOf(
      'debug5',
      'debug4',
      'debug3',
      'debug2',
      'debug1',
      'debug',
      'log',
      'notice',
      'warning',
      'error',
    ),
  },
  constraint_exclusion: { default: 'partition' },
  cursor_tuple_fraction: { default: '0.1' },
  datestyle: { default: 'ISO, MDY', accept: dateStyle, reported: true },
  default_tablespace: { default: '' },
  default_text_search_config: { default: 'pg_catalog.english' },
  default_transaction_deferrable: { default: 'off', accept: bool },
  default_transaction_isolation: { default: 'repeatable read', accept: isolation },
  default_transaction_read_only: { default: 'off', accept: bool, reported: true },
  default_with_oids: { default: 'off', accept: bool },
  effective_cache_size: { default: '4GB' },
  enable_bitmapscan: { default: 'on', accept: bool },
  enable_hashagg: { default: 'on', accept: bool },
  enable_hashjoin: { default: 'on', accept: bool },
  enable_indexscan: { default: 'on', accept: bool },
  enable_mergejoin: { default: 'on', accept: bool },
  enable_nestloop: { default: 'on', accept: bool },
  enable_seqscan: { default: 'on', accept: bool },
  enable_sort: { default: 'on', accept: bool },
  escape_string_warning: { default: 'on', accept: bool },
  extra_float_digits: { default: '1', accept: integer(-15, 3) },
  geqo: { default: 'on', accept: bool },
  gin_fuzzy_search_limit: { default: '0', accept: integer(0, 2_147_483_647) },
  idle_in_transaction_session_timeout: { default: '0', accept: duration },
  idle_session_timeout: { default: '0', accept: duration },
  in_hot_standby: { default: 'off', readOnly: true, reported: true },
  integer_datetimes: { default: 'on', readOnly: true, reported: true },
  intervalstyle: {
    default: 'postgres',
    accept: oneOf('postgres', 'postgres_verbose', 'sql_standard', 'iso_8601'),
    reported: true,
  },
  is_superuser: { default: 'on', readOnly: true, reported: true },
  jit: { default: 'off', accept: bool },
  lc_collate: { default: 'C', readOnly: true },
  lc_ctype: { default: 'C', readOnly: true },
  lc_messages: { default: 'C' },
  lc_monetary: { default: 'C' },
  lc_numeric: { default: 'C' },
  lc_time: { default: 'C' },
  lock_timeout: { default: '0', accept: duration },
  maintenance_work_mem: { default: '64MB' },
  max_connections: { default: '100', readOnly: true },
  max_identifier_length: { default: '63', readOnly: true },
  max_index_keys: { default: '32', readOnly: true },
  password_encryption: { default: 'scram-sha-256', accept: oneOf('scram-sha-256') },
  plan_cache_mode: { default: 'auto' },
  port: { default: '5432', readOnly: true },
  quote_all_identifiers: { default: 'off', accept: bool },
  random_page_cost: { default: '4' },
  role: { default: 'none' },
  row_security: { default: 'on', accept: bool },
  search_path: { default: '"$user", public, silver, gold, bronze' },
  seed: { default: 'unavailable' },
  seq_page_cost: { default: '1' },
  server_encoding: { default: 'UTF8', readOnly: true, reported: true },
  server_version: { default: SERVER_VERSION, readOnly: true, reported: true },
  server_version_num: { default: '160009', readOnly: true },
  session_authorization: { default: 'lakegate', reported: true },
  session_replication_role: { default: 'origin' },
  ssl_renegotiation_limit: { default: '0' },
  standard_conforming_strings: { default: 'on', accept: oneOf('on'), reported: true },
  statement_timeout: { default: '0', accept: duration },
  synchronize_seqscans: { default: 'on', accept: bool },
  synchronous_commit: { default: 'on' },
  tcp_keepalives_idle: { default: '0' },
  timezone: { default: 'UTC', accept: timeZone, reported: true },
  transaction_deferrable: { default: 'off', accept: bool },
  transaction_isolation: { default: 'repeatable read', accept: isolation },
  transaction_read_only: { default: 'off', accept: bool },
  transform_null_equals: { default: 'off', accept: bool },
  vacuum_cost_delay: { default: '0' },
  wal_level: { default: 'replica', readOnly: true },
  work_mem: { default: '4MB' },
  xmlbinary: { default: 'base64' },
  xmloption: { default: 'content' },
}

/** The spelling in which PostgreSQL reports names that are not lower case. */
const DISPLAY_NAMES: Readonly<Record<string, string>> = {
  datestyle: 'DateStyle',
  intervalstyle: 'IntervalStyle',
  timezone: 'TimeZone',
}

/** Every value of a session, as an immutable map: what a transaction block goes back to. */
export type SettingValues = ReadonlyMap<string, string>

/**
 * The settings of one session.
 *
 * 42704 for a name that is not known, 22023 for a wrong value, 55P02 for a read-only one; names
 * with a dot are placeholders and take any text, as in PostgreSQL.
 */
export class Settings {
  readonly #defaults = new Map<string, string>()
  readonly #onReport: (name: string, value: string) => void
  #values: Map<string, string> = new Map()
  readonly #told = new Map<string, string>()

  constructor(onReport: (name: string, value: string) => void) {
    this.#onReport = onReport
  }

  /** Makes `value` what RESET goes back to; for start-up only. */
  setDefault(name: string, value: string, override = false): void {
    const key = name.toLowerCase()
    this.#defaults.set(key, this.#accept(key, value, override))
  }

  get(name: string): string {
    const key = aliasOf(name.toLowerCase())
    const value = this.#values.get(key) ?? this.#defaults.get(key) ?? DEFINITIONS[key]?.default
    if (value === undefined) throw unrecognised(name)
    return value
  }

  has(name: string): boolean {
    const key = aliasOf(name.toLowerCase())
    return this.#values.has(key) || this.#defaults.has(key) || DEFINITIONS[key] !== undefined
  }

  set(name: string, value: string): void {
    const key = aliasOf(name.toLowerCase())
    this.#values = new Map(this.#values).set(key, this.#accept(key, value, false))
    this.#report()
  }

  reset(name: string): void {
    const key = aliasOf(name.toLowerCase())
    if (!this.has(key)) throw unrecognised(name)
    const values = new Map(this.#values)
    values.delete(key)
    this.#values = values
    this.#report()
  }

  resetAll(): void {
    this.#values = new Map()
    this.#report()
  }

  /** The values now, to be handed to `restore` later. */
  save(): SettingValues {
    return this.#values
  }

  restore(values: SettingValues): void {
    this.#values = new Map(values)
    this.#report()
  }

  /** What clients are told of at start: the values of the reported settings. */
  reported(): readonly (readonly [string, string])[] {
    return Object.entries(DEFINITIONS)
      .filter(([, definition]) => definition.reported === true)
      .map(([name]) => [DISPLAY_NAMES[name] ?? name, this.get(name)] as const)
  }

  /** Remembers what has been told, so that only changes are told later. */
  markReported(): void {
    for (const [name, value] of this.reported()) this.#told.set(name, value)
  }

  /** Names and values of all, in order of name. */
  all(): readonly (readonly [string, string])[] {
    const names = new Set([
      ...Object.keys(DEFINITIONS),
      ...this.#defaults.keys(),
      ...this.#values.keys(),
    ])
    return [...names].sort().map((name) => [DISPLAY_NAMES[name] ?? name, this.get(name)] as const)
  }

  /** Milliseconds of a duration setting; null when it is off. */
  durationMs(name: string): number | null {
    const match = /^(\d+)([a-z]*)$/.exec(this.get(name))
    const ms = Number(match?.[1] ?? 0) * (UNITS_MS[match?.[2] || 'ms'] ?? 1)
    return ms === 0 ? null : ms
  }

  /** The schemas of search_path, `$user` left out. */
  searchPath(): readonly string[] {
    return splitNames(this.get('search_path')).filter((name) => name !== '$user')
  }

  #accept(key: string, value: string, override: boolean): string {
    const definition = DEFINITIONS[key]
    if (definition === undefined) {
      if (/^[a-z_][\w$]*(\.[a-z_][\w$]*)+$/i.test(key)) return value
      throw unrecognised(key)
    }
    if (definition.readOnly === true && !override) {
      throw new SqlError(SqlState.cantChangeRuntimeParam, `parameter "${key}" cannot be changed`)
    }
    return definition.accept === undefined
      ? value
      : definition.accept(value, DISPLAY_NAMES[key] ?? key)
  }

  #report(): void {
    for (const [name, value] of this.reported()) {
      if (this.#told.get(name) === value) continue
      this.#told.set(name, value)
      this.#onReport(name, value)
    }
  }
}

function aliasOf(key: string): string {
  return key === 'time zone' ? 'timezone' : key
}

function unrecognised(name: string): SqlError {
  return new SqlError(SqlState.undefinedObject, `unrecognized configuration parameter "${name}"`)
}

/** The names of a comma-separated list, quotes taken off. */
function splitNames(text: string): string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"|([^,\s"]+)/g)].map((match) =>
    match[1] === undefined ? (match[2] ?? '').toLowerCase() : match[1].replaceAll('""', '"'),
  )
}
