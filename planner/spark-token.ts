/** SparkToken: the tokens of an expression in Spark SQL. */

import { SqlError, SqlState } from '../storage/errors.js'

/**
 * `text` is a string's value, a quoted name without its quotes, else what is written; `start` and
 * `end` are its UTF-16 offsets.
 */
export interface SparkToken {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol'
  readonly text: string
  readonly start: number
  readonly end: number
}

const PATTERNS: readonly (readonly [SparkToken['kind'] | 'blank', RegExp])[] = [
  ['blank', /[ \t\r\n]+/y],
  ['string', /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y],
  ['quoted', /`(?:[^`]|``)+`/y],
  ['number', /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:BD|[LSYFD])?(?![\w.])/iy],
  ['word', /[A-Za-z_]\w*/y],
  ['symbol', /<=>|==|<>|!=|<=|>=|!<|!>|\|\||[-+*/%=<>().,!]/y],
]

/**
 * The tokens of `text`; 0A000 where there is none that can be read.
 *
 * Comments, strings that follow each other, raw strings and names that begin with a digit are
 * refused: versions of Spark differ about them, or nobody writes them.
 */
export function sparkTokens(text: string): readonly SparkToken[] {
  const tokens: SparkToken[] = []
  let at = 0
  while (at < text.length) {
    const [kind, found] = tokenAt(text, at)
    const place = { start: at, end: at + found.length }
    at = place.end
    if (kind === 'blank') continue
    const last = tokens.at(-1)
    if (kind === 'string' && last?.kind === 'string') throw refused("'…''…'")
    if ((found === '-' && text[at] === '-') || (found === '/' && text[at] === '*')) {
      throw refused('a comment')
    }
    if (kind === 'string') tokens.push({ kind, text: unescaped(found.slice(1, -1)), ...place })
    else if (kind === 'quoted')
      tokens.push({ kind, text: found.slice(1, -1).replaceAll('``', '`'), ...place })
    else if (found === '!') tokens.push({ kind: 'word', text: 'NOT', ...place })
    else tokens.push({ kind, text: found, ...place })
  }
  return tokens
}

function tokenAt(text: string, at: number): readonly [SparkToken['kind'] | 'blank', string] {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) return [kind, found]
  }
  throw refused(`"${text.slice(at, at + 10)}"`)
}

function refused(what: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${what} is not supported`)
}

/** What follows a backslash and stands for another character than itself. */
const ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
  Z: '\u001a',
  // Kept for LIKE.
  '%': '\\%',
  _: '\\_',
}

function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([01][0-7]{2})|([\s\S]))/g,
    (_, short?: string, long?: string, octal?: string, char?: string) => {
      const hex = short ?? long
      if (hex !== undefined) {
        const code = Number.parseInt(hex, 16)
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) throw refused('this escape')
        return String.fromCodePoint(code)
      }
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
      return ESCAPES[char ?? ''] ?? char ?? ''
    },
  )
}

/**
 * The literal whose value is `text` in every version of Spark: they differ about doubled quotes.
 */
export function sparkString(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`
}

/** Words that are more than a name to Spark, or to this reader. */
const SPOKEN: ReadonlySet<string> = new Set(
  (
    'all and anti any as authorization between both case cast check collate column constraint ' +
    'create cross current_date current_time current_timestamp current_user date distinct div else ' +
    'end escape except exists extract false fetch filter for foreign from full grant group having ' +
    'ilike in inner intersect interval into is join lateral leading left like minus natural not ' +
    'null offset on only or order outer over overlaps primary references regexp right rlike select ' +
    'semi session_user some table then time timestamp timestamp_ltz timestamp_ntz to trailing true ' +
    'union unique unknown user using when where with within'
  ).split(' '),
)

/** A name as Spark reads it, quoted where it must be. */
export function sparkName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !SPOKEN.has(name)
    ? name
    : `\`${name.replaceAll('`', '``')}\``
}
