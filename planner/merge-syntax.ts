/** Merge syntax: `UPDATE SET *` and `INSERT *`, which PostgreSQL's grammar lacks. */

import { identifierName, isKeyword, type Token, tokenize } from './lexer.js'

/** A star clause of a MERGE. */
export interface MergeStar {
  /** Which of its WHEN clauses, from 0. */
  readonly clause: number
  /** INSERT *, else UPDATE SET *. */
  readonly inserts: boolean
  /** Columns named in `* EXCEPT (…)`. */
  readonly except: readonly string[]
}

/**
 * Takes the star clauses out of a MERGE.
 *
 * Each becomes, at the same length, a clause that PostgreSQL's parser takes: `WHEN NOT MATCHED …
 * THEN INSERT *` is left as `WHEN MATCHED … THEN DELETE`, so a planner has to look at `stars`.
 * WITH SCHEMA EVOLUTION behind MERGE is blanked out.
 */
export function liftMergeStars(sql: string): {
  readonly text: string
  readonly stars: readonly MergeStar[]
  /** Whether the target gets columns that only the source has. */
  readonly evolves: boolean
} {
  const none = { text: sql, stars: [], evolves: false }
  if (!/\bmerge\b/i.test(sql) || !/\*|\bevolution\b/i.test(sql)) return none
  const tokens = tokenize(sql)
  const merge = tokens.findIndex(
    (token, i) =>
      isKeyword(token, 'merge') &&
      (isKeyword(tokens[i + 1], 'into') || isSchemaEvolution(tokens, i + 1)),
  )
  if (merge < 0) return none
  const stars: MergeStar[] = []
  let text = sql
  const replace = (from: Token, to: Token, by: string): void => {
    const length = to.end - from.start
    text = text.slice(0, from.start) + by.padEnd(length) + text.slice(to.end)
  }
  const evolves = isSchemaEvolution(tokens, merge + 1)
  if (evolves) replace(tokens[merge + 1] as Token, tokens[merge + 3] as Token, '')
  let clause = -1
  let when = 0
  let depth = 0
  let cases = 0
  for (const [i, token] of tokens.entries()) {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (depth > 0) continue
    if (isKeyword(token, 'case')) cases++
    if (isKeyword(token, 'end') && cases > 0) cases--
    if (cases > 0) continue
    const matched = isKeyword(tokens[i + 1], 'not') ? i + 2 : i + 1
    if (isKeyword(token, 'when') && isKeyword(tokens[matched], 'matched')) {
      clause++
      when = i
    }
    if (!isKeyword(token, 'then') || clause < 0) continue
    const inserts = isKeyword(tokens[i + 1], 'insert')
    const star = inserts ? i + 2 : i + 3
    const updates = isKeyword(tokens[i + 1], 'update') && isKeyword(tokens[i + 2], 'set')
    if ((!inserts && !updates) || tokens[star]?.text !== '*') continue
    const { names, last } = exceptList(tokens, star)
    stars.push({ clause, inserts, except: names })
    if (inserts) {
      const not = tokens[when + 1] as Token
      if (isKeyword(not, 'not')) replace(not, not, '')
      const by = tokens[when + 3]
      const side = tokens[when + 4]
      if (isKeyword(by, 'by') && isKeyword(side, 'target')) replace(by as Token, side as Token, '')
    }
    replace(tokens[i + 1] as Token, tokens[last] as Token, 'DELETE')
  }
  return { text, stars, evolves }
}

function isSchemaEvolution(tokens: readonly Token[], at: number): boolean {
  return ['with', 'schema', 'evolution', 'into'].every((word, i) => isKeyword(tokens[at + i], word))
}

function exceptList(
  tokens: readonly Token[],
  star: number,
): { readonly names: readonly string[]; readonly last: number } {
  if (!isKeyword(tokens[star + 1], 'except') || tokens[star + 2]?.text !== '(') {
    return { names: [], last: star }
  }
  const names: string[] = []
  let at = star + 3
  for (; tokens[at] !== undefined && tokens[at]?.text !== ')'; at++) {
    const token = tokens[at] as Token
    if (token.kind === 'identifier' || token.kind === 'quoted') names.push(identifierName(token))
  }
  return { names, last: at }
}
