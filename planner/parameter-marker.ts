/** ParameterMarker: what stands for a parameter in the texts of an analysis. */

/** Text that stands for parameter `number` until the whole statement's text is known. */
export function parameterMarker(number: number): string {
  return `\u0002${number}\u0002`
}

/**
 * `sql` with its parameters numbered without gaps, as DuckDB's bindings need them, and the values
 * in that order: a part of a statement may use $2 without $1.
 */
export function numberParameters<T>(
  sql: string,
  values: readonly T[],
): { readonly sql: string; readonly values: readonly T[] } {
  const places = new Map<number, number>()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no SQL text of ours holds this character.
  const text = sql.replaceAll(/\u0002(\d+)\u0002/g, (_, digits: string) => {
    const number = Number(digits)
    const place = places.get(number) ?? places.size + 1
    places.set(number, place)
    return `$${place}`
  })
  return {
    sql: text,
    values: [...places.keys()].flatMap((number) => values.slice(number - 1, number)),
  }
}
