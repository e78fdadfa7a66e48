/** JSON whose numbers keep every digit: 64-bit integers and long decimals do not fit a double. */

/**
 * JSON with every number in quotes, so that parsing it loses no digit.
 *
 * @example
 * quoteNumbers('{"a":9007199254740993,"b":"1"}')   // '{"a":"9007199254740993","b":"1"}'
 */
export function quoteNumbers(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  )
}

/**
 * JSON as DuckDB prints it, with its bare `NaN` and `Infinity` in quotes, as Delta writes them.
 *
 * @example
 * quoteNonFinite('{"a":-Infinity,"b":"NaN"}')   // '{"a":"-Infinity","b":"NaN"}'
 */
export function quoteNonFinite(json: string): string {
  if (!json.includes('NaN') && !json.includes('Infinity')) return json
  return json.replace(/"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  )
}

/** Marks a whole number on its way through JSON.parse or JSON.stringify; no text of a log begins so. */
const MARK = '\u0000whole:'

/**
 * The value of a JSON text, whole numbers beyond 2^53 as bigint.
 *
 * @example
 * parseLossless('{"a":9007199254740993,"b":1}')   // { a: 9007199254740993n, b: 1 }
 */
export function parseLossless(json: string): unknown {
  if (!/\d{16}/.test(json)) return JSON.parse(json)
  const marked = json.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token))
      ? JSON.stringify(MARK + token)
      : token,
  )
  // Most long digits stand inside texts: only a mark that was set is worth the slower reading.
  if (marked === json) return JSON.parse(json)
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  )
}

/**
 * JSON on one line, a bigint as a number of as many digits as it has.
 *
 * @example
 * printLossless({ a: 9007199254740993n })   // '{"a":9007199254740993}'
 */
export function printLossless(value: unknown): string {
  const printed = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? MARK + String(part) : part,
  )
  return printed.replace(/"\\u0000whole:(-?\d+)"/g, '$1')
}

/**
 * The members of a JSON object, each value as it is written; none when the text is no object.
 *
 * @example
 * jsonMembers('{"a":1.50,"b":{"a":[]}}')   // [['a', '1.50'], ['b', '{"a":[]}']]
 */
export function jsonMembers(json: string): readonly (readonly [name: string, value: string])[] {
  const members: [string, string][] = []
  let depth = 0
  let start = 0
  let name: string | null = null
  for (const { 0: token, index } of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (token === '{' || token === '[') {
      depth++
      if (depth === 1) start = index + 1
    } else if (depth === 1 && token === ':' && name === null) {
      name = JSON.parse(json.slice(start, index)) as string
      start = index + 1
    } else if (depth === 1 && (token === ',' || token === '}')) {
      if (name !== null) members.push([name, json.slice(start, index).trim()])
      name = null
      start = index + 1
      if (token === '}') return members
    } else if (token === '}' || token === ']') depth--
  }
  return []
}
