/** Settings: the run-time parameters of a session - SET, SHOW and RESET, with PostgreSQL's validation. */

import { SqlError, SqlState } from '../storage/errors.js'
import { LAKE_SETTINGS } from './lake-settings.js'
import { PLANNER_SETTINGS } from './planner-settings.js'
import { SERVER_SETTINGS } from './server-settings.js'
import { SESSION_SETTINGS } from './session-settings.js'
import { parseSetting, printSetting, type Setting, settingMs } from './setting.js'
import { splitNames } from './setting-values.js'

const DEFINITIONS: ReadonlyMap<string, Setting> = new Map(
  [...SESSION_SETTINGS, ...PLANNER_SETTINGS, ...SERVER_SETTINGS, ...LAKE_SETTINGS]
    .sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
    .map((setting) => [setting.name.toLowerCase(), setting] as const),
)

const REPORTED: readonly Setting[] = [...DEFINITIONS.values()].filter(
  ({ reported }) => reported === true,
)

/** Names that mean another setting: older versions' and the grammar's. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['time zone', 'timezone'],
  ['sort_mem', 'work_mem'],
  ['vacuum_mem', 'maintenance_work_mem'],
  ['force_parallel_mode', 'debug_parallel_query'],
])

/** Settings of the transaction alone, and what each begins with. */
const OF_TRANSACTION: ReadonlyMap<string, string> = new Map([
  ['transaction_isolation', 'default_transaction_isolation'],
  ['transaction_read_only', 'default_transaction_read_only'],
  ['transaction_deferrable', 'default_transaction_deferrable'],
])

/** Settings of a name of their own (`app.user_id`) that a session may make. */
const PLACEHOLDERS_MAX = 10_000

/** One row of `pg_settings`; values are in base units, null where there is none. */
export interface SettingRow {
  readonly name: string
  readonly setting: string
  /** As SHOW prints it. */
  readonly shown: string
  readonly unit: string | null
  readonly category: string
  readonly context: string
  readonly vartype: string
  readonly source: string
  readonly min_val: string | null
  readonly max_val: string | null
  readonly enumvals: readonly string[] | null
  readonly boot_val: string | null
  readonly reset_val: string | null
  /** Left out of SHOW ALL and pg_settings. */
  readonly hidden: boolean
}

/** Values a session has set; immutable maps, so that a mark is two references. */
interface Values {
  readonly session: ReadonlyMap<string, string>
  /** SET LOCAL: in force until the transaction ends. */
  readonly local: ReadonlyMap<string, string>
}

/**
 * The settings of one session, taken back by a transaction block as PostgreSQL does it: SET with
 * ROLLBACK, SET LOCAL with the block, both to savepoints.
 *
 * 42704 for a name that is not known, 22023 for a wrong value, 55P02 for one that cannot be
 * changed; names with a dot are placeholders and take any text.
 */
export class Settings {
  readonly #onReport: (name: string, value: string) => void
  readonly #defaults = new Map<string, string>()
  readonly #placeholders = new Set<string>()
  readonly #told = new Map<string, string>()
  #values: Values = { session: new Map(), local: new Map() }
  #isSuperuser = true

  constructor(onReport: (name: string, value: string) => void) {
    this.#onReport = onReport
  }

  /** Makes `value` what RESET goes back to; for start-up only. */
  setDefault(name: string, value: string): void {
    const key = keyOf(name)
    this.#defaults.set(key, this.#accept(key, name, value))
  }

  /** The value in force, as SHOW prints it. */
  get(name: string): string {
    const key = keyOf(name)
    const definition = DEFINITIONS.get(key)
    const value = this.#kept(key)
    if (value === undefined) throw unrecognised(name)
    return definition === undefined ? value : printSetting(definition, value)
  }

  has(name: string): boolean {
    return this.#kept(keyOf(name)) !== undefined
  }

  /** PostgreSQL's spelling of a name: `TimeZone`; 42704 when it is not known. */
  nameOf(name: string): string {
    const key = keyOf(name)
    if (!this.has(name)) throw unrecognised(name)
    return DEFINITIONS.get(key)?.name ?? name
  }

  /** How a setting takes several values: identifiers, words, or not at all. */
  listOf(name: string): 'names' | 'words' | null {
    return DEFINITIONS.get(keyOf(name))?.list ?? null
  }

  /**
   * SET, or SET LOCAL when `local`; a null value is RESET. Answers what SHOW prints from now on.
   */
  assign(name: string, value: string | null, local: boolean): string {
    const key = keyOf(name)
    if (value === null && OF_TRANSACTION.has(key)) {
      throw new SqlError(SqlState.featureNotSupported, `parameter "${key}" cannot be reset`)
    }
    if (value === null && !this.has(name)) throw unrecognised(name)
    const accepted = value === null ? this.#changeable(key) : this.#accept(key, name, value)
    const session = new Map(this.#values.session)
    const inForce = new Map(this.#values.local)
    if (local || OF_TRANSACTION.has(key)) inForce.set(key, accepted)
    else {
      inForce.delete(key)
      if (value === null) session.delete(key)
      else session.set(key, accepted)
    }
    this.#values = { session, local: inForce }
    this.#report()
    return this.get(name)
  }

  resetAll(): void {
    const kept = (values: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
      new Map([...values].filter(([key]) => DEFINITIONS.get(key)?.keepsOnResetAll === true))
    this.#values = { session: kept(this.#values.session), local: kept(this.#values.local) }
    this.#report()
  }

  /** Remembers the values; what is answered brings them back. */
  mark(): () => Promise<void> {
    const values = this.#values
    return () => {
      this.#values = values
      this.#report()
      return Promise.resolve()
    }
  }

  /** Ends what was SET LOCAL. */
  commit(): Promise<void> {
    this.#values = { session: this.#values.session, local: new Map() }
    this.#report()
    return Promise.resolve()
  }

  /** What clients are told of at start: the values of the reported settings. */
  reported(): readonly (readonly [string, string])[] {
    return REPORTED.map(({ name }) => [name, this.get(name)] as const)
  }

  /** Remembers what has been told, so that only changes are told later. */
  markReported(): void {
    for (const [name, value] of this.reported()) this.#told.set(name, value)
  }

  /** Every setting, in order of name. */
  rows(): readonly SettingRow[] {
    const rows = [...DEFINITIONS].map(([key, setting]) => this.#row(key, setting))
    for (const key of this.#placeholders) {
      rows.push(
        this.#row(key, {
          name: key,
          category: 'Customized Options',
          context: 'user',
          type: { kind: 'string' },
          boot: '',
          hidden: true,
        }),
      )
    }
    return rows.sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
  }

  /** Milliseconds of a duration setting; null when it is off. */
  durationMs(name: string): number | null {
    const key = keyOf(name)
    const definition = DEFINITIONS.get(key)
    const ms = definition === undefined ? 0 : settingMs(definition, this.#kept(key) ?? '0')
    return ms <= 0 ? null : ms
  }

  /** The schemas of search_path, `$user` left out. */
  searchPath(): readonly string[] {
    return (splitNames(this.get('search_path')) ?? []).filter(
      (name) => name !== '$user' && name !== '',
    )
  }

  #row(key: string, setting: Setting): SettingRow {
    const { name, category, context, type, boot, hidden = false } = setting
    const range = type.kind === 'integer' || type.kind === 'real' ? type : null
    const value = this.#kept(key) ?? boot
    const isSet = this.#values.local.has(key) || this.#values.session.has(key)
    return {
      name,
      setting: setting.print?.(value) ?? value,
      shown: this.get(name),
      unit: range?.unit ?? null,
      category,
      context,
      vartype: type.kind,
      source: isSet ? 'session' : this.#defaults.has(key) ? 'client' : 'default',
      min_val: range === null ? null : bound(range.min),
      max_val: range === null ? null : bound(range.max),
      enumvals: type.kind === 'enum' ? type.values : null,
      boot_val: boot,
      reset_val: this.#defaults.get(key) ?? boot,
      hidden,
    }
  }

  /** The value in force, in base units; undefined when there is no such setting. */
  #kept(key: string): string | undefined {
    const own = this.#values.local.get(key) ?? this.#values.session.get(key)
    if (own !== undefined) return own
    const begins = OF_TRANSACTION.get(key)
    if (begins !== undefined) return this.#kept(begins)
    return (
      this.#defaults.get(key) ??
      DEFINITIONS.get(key)?.boot ??
      (this.#placeholders.has(key) ? '' : undefined)
    )
  }

  /** What a setting goes back to; 55P02 when nothing changes it. */
  #changeable(key: string): string {
    const definition = DEFINITIONS.get(key)
    if (definition !== undefined) this.#requireChangeable(definition)
    return this.#defaults.get(key) ?? definition?.boot ?? ''
  }

  #accept(key: string, name: string, value: string): string {
    const definition = DEFINITIONS.get(key)
    if (definition !== undefined) {
      this.#requireChangeable(definition)
      return parseSetting(definition, value, this.#kept(key) ?? definition.boot)
    }
    if (!key.includes('.')) throw unrecognised(name)
    if (
      !/^[a-z_\u0080-\uffff][\w$\u0080-\uffff]*(\.[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)+$/.test(
        key,
      )
    ) {
      throw new SqlError(SqlState.invalidName, `invalid configuration parameter name "${name}"`, {
        detail: 'Custom parameter names must be two or more simple identifiers separated by dots.',
      })
    }
    if (this.#placeholders.size >= PLACEHOLDERS_MAX) {
      throw new SqlError(SqlState.configurationLimitExceeded, 'too many custom parameters')
    }
    this.#placeholders.add(key)
    return value
  }

  /** Whether the session's role is a superuser's, who may change more; clients are told of it. */
  setSuperuser(isSuperuser: boolean): void {
    this.#isSuperuser = isSuperuser
    this.#defaults.set('is_superuser', isSuperuser ? 'on' : 'off')
    // Before the session has begun its client is told nothing.
    if (this.#told.size > 0) this.#report()
  }

  #requireChangeable(definition: Setting): void {
    requireChangeable(definition)
    if (definition.context !== 'superuser' || this.#isSuperuser) return
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `permission denied to set parameter "${definition.name}"`,
    )
  }

  #report(): void {
    for (const [name, value] of this.reported()) {
      if (this.#told.get(name) === value) continue
      this.#told.set(name, value)
      this.#onReport(name, value)
    }
  }
}

function keyOf(name: string): string {
  const key = name.toLowerCase()
  return ALIASES.get(key) ?? key
}

function bound(number: number): string {
  return number === Number.MAX_VALUE ? '1.79769e+308' : String(number)
}

function requireChangeable({ name, context }: Setting): void {
  const words: Partial<Record<typeof context, string>> = {
    internal: 'cannot be changed',
    postmaster: 'cannot be changed without restarting the server',
    sighup: 'cannot be changed now',
    backend: 'cannot be set after connection start',
    'superuser-backend': 'cannot be set after connection start',
  }
  const refusal = words[context]
  if (refusal === undefined) return
  throw new SqlError(SqlState.cantChangeRuntimeParam, `parameter "${name}" ${refusal}`)
}

function unrecognised(name: string): SqlError {
  return new SqlError(SqlState.undefinedObject, `unrecognized configuration parameter "${name}"`)
}
