/** Array text: the items that PostgreSQL's array input reads out of `{…}`. */

import { SqlError, SqlState } from '../storage/errors.js'

/** One item of an array: its text, null, or a nested array. */
export type ArrayItem = string | null | readonly ArrayItem[]

/** Dimensions PostgreSQL allows. */
export const ARRAY_DIMENSIONS_MAX = 6

/** 54000: an array of that many dimensions. */
export function tooManyDimensions(count: number): SqlError {
  return new SqlError(
    SqlState.programLimitExceeded,
    `number of array dimensions (${count}) exceeds the maximum allowed (${ARRAY_DIMENSIONS_MAX})`,
  )
}

/** 0A000: what DuckDB's lists cannot say. */
export function otherLowerBound(): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    'arrays whose subscripts do not begin with 1 are not supported',
  )
}

/**
 * The items of an array's text, nested as deeply as its braces are.
 *
 * 22P02 when it is malformed or its dimensions do not match, 54000 beyond six dimensions, 0A000 for
 * lower bounds other than 1.
 */
export function parseArrayText(text: string): readonly ArrayItem[] {
  const malformed = (detail?: string): SqlError =>
    new SqlError(SqlState.invalidTextRepresentation, `malformed array literal: "${text}"`, {
      detail,
    })
  const head = /^\s*(?:((?:\[[-+\d:]*\]\s*)+)=\s*)?(?=\{)/.exec(text)
  if (head === null) throw malformed('Array value must start with "{" or dimension information.')
  const bounds = boundsOf(head[1] ?? '', malformed)
  let at = head[0].length
  const skip = (): void => {
    while (/[ \t\n\v\f\r]/.test(text.charAt(at))) at++
  }
  const unexpected = (): SqlError => {
    const char = text[at]
    return malformed(
      char === undefined ? 'Unexpected end of input.' : `Unexpected "${char}" character.`,
    )
  }
  const list = (depth: number): readonly ArrayItem[] => {
    if (depth > ARRAY_DIMENSIONS_MAX) throw tooManyDimensions(depth)
    const items: ArrayItem[] = []
    at++
    skip()
    if (text[at] === '}' && depth === 1) {
      at++
      return items
    }
    for (;;) {
      skip()
      items.push(text[at] === '{' ? list(depth + 1) : item())
      skip()
      if (text[at] !== '}' && text[at] !== ',') throw unexpected()
      if (text[at++] === '}') break
    }
    const nested = items.filter((one) => Array.isArray(one)) as (readonly ArrayItem[])[]
    if (nested.length > 0 && nested.length < items.length) throw unexpected()
    return items
  }
  const item = (): string | null => {
    let value = ''
    if (text[at] === '"') {
      at++
      for (;;) {
        const char = text[at++]
        if (char === undefined) throw malformed('Unexpected end of input.')
        if (char === '"') return value
        if (char === '\\' && at >= text.length) throw malformed('Unexpected end of input.')
        value += char === '\\' ? (text[at++] ?? '') : char
      }
    }
    let keep = 0
    let escaped = false
    for (;;) {
      const char = text[at]
      if (char === undefined) throw malformed('Unexpected end of input.')
      if (char === ',' || char === '}') break
      if (char === '{' || char === '"') throw unexpected()
      at++
      if (char === '\\') {
        if (at >= text.length) throw malformed('Unexpected end of input.')
        value += text[at++] ?? ''
        escaped = true
        keep = value.length
      } else {
        value += char
        if (!/[ \t\n\v\f\r]/.test(char)) keep = value.length
      }
    }
    value = value.slice(0, keep)
    if (value === '') throw unexpected()
    return !escaped && value.toLowerCase() === 'null' ? null : value
  }
  const items = list(1)
  skip()
  if (at < text.length) throw malformed('Junk after closing right brace.')
  const counts = dimensionsOf(items)
  if (counts === null) {
    throw malformed('Multidimensional arrays must have sub-arrays with matching dimensions.')
  }
  checkBounds(bounds, counts, malformed)
  return items
}

/** Elements by dimension; null when sub-arrays differ. */
function dimensionsOf(items: readonly ArrayItem[]): readonly number[] | null {
  if (items.length === 0) return []
  let inner: readonly number[] | undefined
  for (const item of items) {
    const counts = Array.isArray(item) ? dimensionsOf(item as readonly ArrayItem[]) : []
    if (counts === null || (inner !== undefined && inner.join() !== counts.join())) return null
    inner = counts
  }
  return [items.length, ...(inner ?? [])]
}

interface Bounds {
  readonly lower: number
  readonly count: number
}

function boundsOf(text: string, malformed: (detail?: string) => SqlError): readonly Bounds[] {
  const parts = text.match(/\[[^\]]*\]/g) ?? []
  if (parts.length > ARRAY_DIMENSIONS_MAX) throw tooManyDimensions(parts.length)
  return parts.map((part) => {
    const match = /^\[([+-]?\d+)(?::([+-]?\d+))?\]$/.exec(part)
    if (match === null) throw malformed('"[" must introduce explicitly-specified array dimensions.')
    const [lower, upper] =
      match[2] === undefined ? [1, Number(match[1])] : [Number(match[1]), Number(match[2])]
    if (upper < lower) {
      throw new SqlError(
        SqlState.arraySubscriptError,
        'upper bound cannot be less than lower bound',
      )
    }
    return { lower, count: upper - lower + 1 }
  })
}

function checkBounds(
  bounds: readonly Bounds[],
  counts: readonly number[],
  malformed: (detail?: string) => SqlError,
): void {
  if (bounds.length === 0) return
  if (bounds.map(({ count }) => count).join() !== counts.join()) {
    throw malformed('Specified array dimensions do not match array contents.')
  }
  if (bounds.some(({ lower }) => lower !== 1)) throw otherLowerBound()
}
