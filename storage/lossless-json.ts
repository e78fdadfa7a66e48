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
