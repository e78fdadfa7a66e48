/** Lexer: PostgreSQL's tokens with their positions, enough to find statements and clauses without parsing. */

/** One token; `text` is as written, identifiers are not folded. */
export interface Token {
  readonly kind: 'identifier' | 'quoted' | 'string' | 'number' | 'parameter' | 'operator' | 'symbol'
  readonly text: string
  /** UTF-16 offsets into the source, end exclusive. */
  readonly start: number
  readonly end: number
}

const IDENTIFIER = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const NUMBER =
  /(?:0[xX][0-9a-fA-F_]+|\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?|\.\d[\d_]*(?:[eE][+-]?\d+)?)/y
const PARAMETER = /\$\d+/y
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
const OPERATOR = /[+\-*/<>=~!@#%^&|`?]+/y
const STRING_PREFIX = /(?:[eEbBxXnN]|[uU]&)?'/y

/** The tokens of `sql`, comments and blanks left out; what is unterminated runs to the end. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at
    return pattern.exec(sql)?.[0] ?? null
  }
  const push = (kind: Token['kind'], end: number): void => {
    tokens.push({ kind, text: sql.slice(at, end), start: at, end })
    at = end
  }
  while (at < sql.length) {
    const char = sql.charAt(at)
    if (/\s/.test(char)) {
      at++
      continue
    }
    if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at)
      at = end < 0 ? sql.length : end
      continue
    }
    if (sql.startsWith('/*', at)) {
      at = endOfComment(sql, at)
      continue
    }
    const prefix = match(STRING_PREFIX)
    if (prefix !== null) {
      push('string', endOfQuoted(sql, at + prefix.length, "'", /^[eE]/.test(prefix)))
      continue
    }
    if (char === '"' || /^[uU]&"/.test(sql.slice(at, at + 3))) {
      push('quoted', endOfQuoted(sql, sql.indexOf('"', at) + 1, '"', false))
      continue
    }
    const dollar = match(DOLLAR)
    if (dollar !== null) {
      const close = sql.indexOf(dollar, at + dollar.length)
      push('string', close < 0 ? sql.length : close + dollar.length)
      continue
    }
    const parameter = match(PARAMETER)
    if (parameter !== null) {
      push('parameter', at + parameter.length)
      continue
    }
    const number = match(NUMBER)
    if (number !== null && number !== '') {
      push('number', at + number.length)
      continue
    }
    const identifier = match(IDENTIFIER)
    if (identifier !== null) {
      push('identifier', at + identifier.length)
      continue
    }
    if (sql.startsWith('::', at) || sql.startsWith(':=', at)) {
      push('symbol', at + 2)
      continue
    }
    const operator = match(OPERATOR)
    if (operator !== null) {
      push('operator', at + operatorLength(operator))
      continue
    }
    push('symbol', at + 1)
  }
  return tokens
}

/** An operator ends before a comment, and keeps a trailing + or - only beside one of ~!@#%^&|`?. */
function operatorLength(run: string): number {
  const comment = run.search(/--|\/\*/)
  let length = comment > 0 ? comment : run.length
  while (
    length > 1 &&
    /[+-]/.test(run.charAt(length - 1)) &&
    !/[~!@#%^&|`?]/.test(run.slice(0, length))
  ) {
    length--
  }
  return length
}

function endOfComment(sql: string, start: number): number {
  let depth = 0
  let at = start
  while (at < sql.length) {
    if (sql.startsWith('/*', at)) {
      depth++
      at += 2
    } else if (sql.startsWith('*/', at)) {
      depth--
      at += 2
      if (depth === 0) return at
    } else at++
  }
  return sql.length
}

function endOfQuoted(sql: string, start: number, quote: string, escapes: boolean): number {
  let at = start
  while (at < sql.length) {
    const char = sql.charAt(at)
    if (escapes && char === '\\') at += 2
    else if (char === quote) {
      if (sql.charAt(at + 1) !== quote) return at + 1
      at += 2
    } else at++
  }
  return sql.length
}

/** Whether `token` is the keyword `word` (given in lower case), unquoted. */
export function isKeyword(token: Token | undefined, word: string): boolean {
  return token?.kind === 'identifier' && token.text.toLowerCase() === word
}

/** The name an identifier token stands for: folded to lower case, or taken out of its quotes. */
export function identifierName(token: Token): string {
  return token.kind === 'quoted'
    ? token.text
        .replace(/^[uU]&/, '')
        .slice(1, -1)
        .replaceAll('""', '"')
    : token.text.toLowerCase()
}
