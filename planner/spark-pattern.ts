/** SparkPattern: LIKE and RLIKE with constant patterns, as Spark matches them. */

import { quoteLiteral } from '../storage/engine.js'
import { untranslatable } from './spark-expression.js'
import { BOOLEAN, guarded, made, type SparkValue } from './spark-value.js'

/** `value LIKE pattern`, with the backslash as escape character. */
export function matchesLike(value: SparkValue, pattern: string): SparkValue {
  if (!/^(?:[^\\]|\\[%_\\])*$/.test(pattern)) throw untranslatable(`the pattern '${pattern}'`)
  return made(`(${value.sql} LIKE ${quoteLiteral(pattern)} ESCAPE '\\')`, BOOLEAN, value)
}

/** Pieces of a regular expression that Java and RE2 read the same. */
const PIECES =
  /(?:[^\\[\](){}*+?|^$]|\\[-.*+?|^$()[\]{}/\\%@#!&=:;,"'~]|\\[dDws]|\((?:\?:)?|[)|^$]|\[\^?(?:[^\\[\]&^]|\\[-.*+?|^$()[\]{}/\\dws])+\]|(?<=[^*+?{}|(^])(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})(?![*+?]))/y

/** Java's white space, of which RE2's own class lacks the vertical tab. */
const SPACES = ' \\t\\n\\x0B\\f\\r'

/** `value RLIKE pattern`: whether Java's regular expression matches anywhere. */
export function matchesRegexp(value: SparkValue, pattern: string): SparkValue {
  PIECES.lastIndex = 0
  let translated = ''
  while (PIECES.lastIndex < pattern.length) {
    const piece = PIECES.exec(pattern)?.[0]
    if (piece === undefined) throw untranslatable(`the pattern '${pattern}'`)
    translated += piece.startsWith('[')
      ? piece.replaceAll(/\\[\s\S]/g, (escaped) => (escaped === '\\s' ? SPACES : escaped))
      : piece.replace(/^\\s$/, `[${SPACES}]`)
  }
  const matches = made(`regexp_matches(${value.sql}, ${quoteLiteral(translated)})`, BOOLEAN)
  if (!/[.$]|\[\^|\\D/.test(pattern)) return made(matches.sql, BOOLEAN, value)
  // They differ about which characters end a line.
  return guarded(
    `regexp_matches(${value.sql}, '[\\n\\r\\x{85}\\x{2028}\\x{2029}]')`,
    matches,
    'regular expressions over several lines are not supported',
  )
}
