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
