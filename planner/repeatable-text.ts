/** RepeatableText: whether a part of a statement's DuckDB text may be run by itself, with the same rows each time. */

import type { EngineConnection } from '../storage/engine.js'

/** `text` without what literals and quoted names hold. */
function bare(text: string): string {
  return text.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, (word) =>
    word[0] === "'" ? "''" : '""',
  )
}

/** Aliases that qualify columns in `text`. */
export function aliasesUsed(text: string): readonly string[] {
  const found = new Set<string>()
  for (const [, alias = ''] of bare(text).matchAll(/(?<![\w"])([A-Za-z_]\w*)\s*\./g)) {
    found.add(alias)
  }
  return [...found]
}

/** Aliases that `text` itself gives to relations. */
export function aliasesDefined(text: string): ReadonlySet<string> {
  const found = new Set<string>()
  for (const [, alias = ''] of bare(text).matchAll(/\bAS ([A-Za-z_]\w*)/g)) found.add(alias)
  return found
}

/** Those of `commonTables` that `text` needs, directly or not, in an order in which each may follow. */
export function commonTablesUsed(
  text: string,
  commonTables: ReadonlyMap<string, string>,
): readonly string[] {
  const needed = new Set<string>()
  const visit = (of: string): void => {
    for (const [name] of of.matchAll(/\bcte\d+\b/g)) {
      const inside = commonTables.get(name)
      if (inside === undefined || needed.has(name)) continue
      needed.add(name)
      visit(inside)
    }
  }
  visit(text)
  return [...commonTables].filter(([name]) => needed.has(name)).map(([, table]) => table)
}

/** Words that a parenthesis may follow and that are no function. */
const WORDS = new Set(
  'all and any array as between by case cast decimal distinct else end except exists from group having in interval intersect is join like materialized not on or order row select then union using values varchar when where with'.split(
    ' ',
  ),
)

/** Aggregates whose result does not depend on the order of their rows. */
const AGGREGATES = ['min', 'max', 'count', 'bool_and', 'bool_or']

/** What leaves open which rows there are, and whose value another moment changes. */
const OPEN =
  /\b(?:limit|offset|fetch|over|qualify|tablesample|sample|recursive|distinct on|current_\w+|localtime\w*|session_user|user)\b/i

/**
 * Whether a query of `text`, or one with the condition `text`, gives the same rows each time it is
 * run over the same files; `functions` are those of `repeatableFunctions`. Any doubt says no.
 */
export function isRepeatable(text: string, functions: ReadonlySet<string>): boolean {
  const words = bare(text).replaceAll(/\bAS [A-Za-z_]\w*\s*\(/g, '(')
  if (OPEN.test(words)) return false
  for (const [, name = ''] of words.matchAll(/([A-Za-z_]\w*)\s*\(/g)) {
    const lower = name.toLowerCase()
    if (!WORDS.has(lower) && !functions.has(lower) && !/^cte\d+$/.test(name)) return false
  }
  // A quoted name before a parenthesis may be any function.
  return !/"\s*\(/.test(words.replaceAll(/\bcte\d+\(/g, ''))
}

let known: Promise<ReadonlySet<string>> | undefined

/** Names of functions whose value their arguments alone decide; the same for every engine. */
export function repeatableFunctions(connection: EngineConnection): Promise<ReadonlySet<string>> {
  known ??= connection
    .query(
      `SELECT function_name FROM duckdb_functions() WHERE function_type <> 'pragma'
       GROUP BY function_name
       HAVING bool_and(function_type = 'scalar' AND stability = 'CONSISTENT')
           OR bool_and(function_type = 'macro' AND function_name LIKE 'lakegate\\_%' ESCAPE '\\')`,
    )
    .then((rows) => new Set([...rows.map(([name]) => String(name)), ...AGGREGATES]))
    .catch((thrown: unknown) => {
      known = undefined
      throw thrown
    })
  return known
}
