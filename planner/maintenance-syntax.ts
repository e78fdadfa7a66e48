/** Maintenance syntax: OPTIMIZE, VACUUM, RESTORE and REORG TABLE in a lakehouse's words. */

import { type Clause, Words } from './words.js'

/** A command that looks after a table without changing its rows, or takes it back to old ones. */
export type MaintenanceCommand =
  | {
      readonly kind: 'optimize'
      readonly name: readonly string[]
      readonly full: boolean
      readonly where: Clause | null
      readonly zOrderBy: readonly (readonly string[])[]
    }
  | {
      readonly kind: 'reorg'
      readonly name: readonly string[]
      readonly where: Clause | null
    }
  | {
      readonly kind: 'vacuum'
      readonly name: readonly string[]
      /** Hours, as written; null: as the table says. */
      readonly retainHours: number | null
      readonly dryRun: boolean
      /** By the log alone, without listing the table's folder. */
      readonly lite: boolean
    }
  | {
      readonly kind: 'analyze'
      readonly name: readonly string[]
      /** Null: all of them. */
      readonly columns: readonly string[] | null
    }
  | {
      readonly kind: 'restore'
      readonly name: readonly string[]
      readonly to: 'version' | 'timestamp'
      /** SQL of the version or time. */
      readonly expression: string
    }

/**
 * The maintenance command `sql` is, or null when it is none; plain `VACUUM t` is left to
 * PostgreSQL's grammar.
 *
 * 42601 with the position in `sql` for what is neither.
 */
export function parseMaintenance(sql: string): MaintenanceCommand | null {
  if (!/^(?:\s|--|\/\*|optimize|vacuum|restore|reorg|analyze)/i.test(sql)) return null
  const words = new Words(sql)
  if (words.take('optimize')) return optimize(words)
  if (words.take('restore')) return restore(words)
  if (words.take('reorg')) return reorg(words)
  if (words.take('analyze')) return words.take('table') ? analyze(words) : null
  return words.take('vacuum') ? vacuum(words) : null
}

/** `OPTIMIZE t [FULL] [WHERE p] [ZORDER BY (a, b)]`. */
function optimize(words: Words): MaintenanceCommand {
  words.take('table')
  const name = words.name()
  const full = words.take('full')
  const where = words.take('where') ? words.until('zorder') : null
  const zOrderBy: (readonly string[])[] = []
  if (words.take('zorder')) {
    words.need('by')
    const open = words.take('(')
    do zOrderBy.push(words.name())
    while (words.take(','))
    if (open) words.need(')')
  }
  words.end()
  return { kind: 'optimize', name, full, where, zOrderBy }
}

/** `REORG TABLE t [WHERE p] APPLY (PURGE)`. */
function reorg(words: Words): MaintenanceCommand {
  words.need('table')
  const name = words.name()
  const where = words.take('where') ? words.until('apply') : null
  for (const word of ['apply', '(', 'purge', ')']) words.need(word)
  words.end()
  return { kind: 'reorg', name, where }
}

/** `RESTORE [TABLE] t [TO] VERSION AS OF n | TIMESTAMP AS OF x`; AS OF may be left out. */
function restore(words: Words): MaintenanceCommand {
  words.take('table')
  const name = words.name()
  words.take('to')
  const to = words.take('timestamp') ? 'timestamp' : 'version'
  if (to === 'version') words.need('version')
  if (words.take('as')) words.need('of')
  return { kind: 'restore', name, to, expression: words.until(null).text }
}

/** `ANALYZE TABLE t COMPUTE STATISTICS [FOR ALL COLUMNS | FOR COLUMNS a, b | FOR COLUMNS (a, b)]`. */
function analyze(words: Words): MaintenanceCommand {
  const name = words.name()
  words.need('compute')
  words.need('statistics')
  if (!words.take('for')) {
    // Without columns it counts rows; NOSCAN would take what the log knows.
    words.take('noscan')
    words.end()
    return { kind: 'analyze', name, columns: [] }
  }
  if (words.take('all')) {
    words.need('columns')
    words.end()
    return { kind: 'analyze', name, columns: null }
  }
  words.need('columns')
  const columns: string[] = []
  const open = words.take('(')
  do columns.push(...words.name().slice(-1))
  while (words.take(','))
  if (open) words.need(')')
  words.end()
  return { kind: 'analyze', name, columns }
}

/** `VACUUM t` with RETAIN n HOURS, DRY RUN, LITE or FULL behind the name, in any order. */
function vacuum(words: Words): MaintenanceCommand | null {
  if (!words.isName()) return null
  const name = words.name()
  let retainHours: number | null = null
  let dryRun = false
  let lite = false
  let isOurs = false
  for (;;) {
    if (words.take('retain')) {
      retainHours = words.number()
      if (!words.take('hour')) words.need('hours')
    } else if (words.take('dry')) {
      words.need('run')
      dryRun = true
    } else if (words.take('lite')) lite = true
    else if (!words.take('full')) break
    isOurs = true
  }
  if (!isOurs) return null
  words.end()
  return { kind: 'vacuum', name, retainHours, dryRun, lite }
}
