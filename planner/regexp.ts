/** Regular expressions: PostgreSQL's advanced dialect in the engine's (RE2). */

import { SqlError, SqlState } from '../storage/errors.js'

/**
 * `pattern` in RE2's dialect.
 *
 * 0A000 for what RE2 cannot do (back references, lookaround), 2201B for what is no expression.
 */
export function engineRegexp(pattern: string): string {
  let result = ''
  let rest = pattern
  const director = /^\*\*\*[:=]/.exec(rest)
  if (director !== null) {
    rest = rest.slice(4)
    if (director[0] === '***=') return rest.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  }
  let inBrackets = false
  while (rest !== '') {
    if (inBrackets) {
      const named = /^\[(?::\w+:|=.=|\..\.)\]/.exec(rest)
      if (named !== null) {
        result += named[0].startsWith('[:')
          ? (CLASSES[named[0].slice(2, -2)] ?? named[0])
          : named[0].slice(2, -2)
        rest = rest.slice(named[0].length)
        continue
      }
      if (rest.startsWith('\\')) {
        result += rest[1] === 'w' ? WORD : rest.slice(0, 2)
        rest = rest.slice(2)
        continue
      }
      if (rest.startsWith(']')) inBrackets = false
      result += rest.startsWith('[') ? '\\[' : rest[0]
      rest = rest.slice(1)
      continue
    }
    if (rest.startsWith('[[:<:]]') || rest.startsWith('[[:>:]]')) {
      result += '\\b'
      rest = rest.slice(7)
      continue
    }
    const open = /^\[\^?\]?/.exec(rest)
    if (open !== null) {
      inBrackets = true
      result += open[0].replace(/\]$/, '\\]')
      rest = rest.slice(open[0].length)
      continue
    }
    if (/^\(\?<?[=!]/.test(rest)) throw unsupported('lookaround')
    if (rest.startsWith('\\')) {
      const letter = rest[1] ?? ''
      if (/[1-9]/.test(letter)) throw unsupported('back references')
      if (letter === '') throw invalid('invalid escape \\ sequence')
      result += ESCAPES[letter] ?? `\\${letter}`
      rest = rest.slice(2)
      continue
    }
    result += rest[0]
    rest = rest.slice(1)
  }
  if (inBrackets) throw invalid('brackets [] not balanced')
  let depth = 0
  for (const char of result.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/g, '')) {
    if (char === '(') depth++
    if (char === ')' && --depth < 0) break
  }
  if (depth !== 0) throw invalid('parentheses () not balanced')
  if (/^[*+?]/.test(result)) throw invalid('quantifier operand invalid')
  return result
}

/** Letters of every script, where RE2's own classes know ASCII's only. */
const WORD = '\\pL\\pN_'

const CLASSES: Readonly<Record<string, string>> = {
  alpha: '\\pL',
  alnum: '\\pL\\pN',
  upper: '\\p{Lu}',
  lower: '\\p{Ll}',
  word: WORD,
}

const ESCAPES: Readonly<Record<string, string>> = {
  w: `[${WORD}]`,
  W: `[^${WORD}]`,
  m: '\\b',
  M: '\\b',
  y: '\\b',
  Y: '\\B',
  Z: '\\z',
  e: '\\x1b',
  B: '\\\\',
}

function unsupported(what: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `${what} in regular expressions are not supported`,
  )
}

function invalid(what: string): SqlError {
  return new SqlError(SqlState.invalidRegularExpression, `invalid regular expression: ${what}`)
}

/** Flags of the regexp functions as the engine's options; 22023 for unknown ones. */
export function regexpFlags(flags: string): { readonly options: string; readonly global: boolean } {
  let insensitive = false
  let newlines = false
  let global = false
  for (const flag of flags) {
    if (flag === 'g') global = true
    else if (flag === 'i') insensitive = true
    else if (flag === 'c') insensitive = false
    else if (flag === 'n' || flag === 'm') newlines = true
    else if (flag === 's') newlines = false
    else {
      throw /[bepqtwx]/.test(flag)
        ? unsupported(`option "${flag}"`)
        : new SqlError(
            SqlState.invalidParameterValue,
            `invalid regular expression option: "${flag}"`,
          )
    }
  }
  return { options: `${insensitive ? 'i' : 'c'}${newlines ? 'm' : 's'}`, global }
}

/** The regular expression of a SIMILAR TO pattern: it matches the whole text. */
export function similarRegexp(pattern: string, escapeChar = '\\'): string {
  let result = ''
  let inBrackets = false
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i)
    if (char === escapeChar && escapeChar !== '') {
      i++
      result += pattern.charAt(i).replace(/[\\^$.*+?()[\]{}|]/, '\\$&')
    } else if (inBrackets) {
      if (char === ']') inBrackets = false
      result += char === '\\' ? '\\\\' : char
    } else if (char === '[') {
      inBrackets = true
      result += char
    } else if (char === '%') result += '.*'
    else if (char === '_') result += '.'
    else if (char === '(') result += '(?:'
    else if (/[.^$\\]/.test(char)) result += `\\${char}`
    else result += char
  }
  return `\\A(?:${result})\\z`
}
