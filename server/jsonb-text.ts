/** JsonbText: JSON as PostgreSQL prints jsonb - keys in its order, the last of equal ones, its spaces. */

/**
 * `text` (valid JSON) as jsonb prints it.
 *
 * Keys are sorted by length in bytes, then bytewise; numbers keep their digits, exponents written
 * out, as numeric does.
 */
export function jsonbText(text: string): string {
  let at = 0
  const skip = (): void => {
    while (/\s/.test(text.charAt(at))) at++
  }
  const string = (): string => {
    const start = at++
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
    at++
    const raw = text.slice(start, at)
    return raw.includes('\\') ? printString(JSON.parse(raw) as string) : raw
  }
  const value = (): string => {
    skip()
    const char = text[at]
    if (char === '"') return string()
    if (char === '{') return object()
    if (char === '[') return array()
    const word = /^[^\s,\]}]+/.exec(text.slice(at, at + 400))?.[0] ?? ''
    const whole = word.length < 400 ? word : (/^[^\s,\]}]+/.exec(text.slice(at))?.[0] ?? '')
    at += whole.length
    // numeric knows no negative zero.
    if (/^-0(?:\.0*)?(?:[eE]|$)/.test(whole)) return plainNumber(whole.slice(1))
    return /[eE]/.test(whole) && /^[-\d]/.test(whole) ? plainNumber(whole) : whole
  }
  const array = (): string => {
    const items: string[] = []
    at++
    for (skip(); text[at] !== ']' && at < text.length; skip()) {
      items.push(value())
      skip()
      if (text[at] === ',') at++
    }
    at++
    return `[${items.join(', ')}]`
  }
  const object = (): string => {
    const fields = new Map<string, string>()
    at++
    for (skip(); text[at] !== '}' && at < text.length; skip()) {
      const key = string()
      skip()
      at++
      fields.set(key, value())
      skip()
      if (text[at] === ',') at++
    }
    at++
    const keys = [...fields.keys()].sort(byJsonbOrder)
    return `{${keys.map((key) => `${key}: ${fields.get(key)}`).join(', ')}}`
  }
  return value()
}

function byJsonbOrder(a: string, b: string): number {
  const [one, other] = [Buffer.from(unquoted(a)), Buffer.from(unquoted(b))]
  return one.length - other.length || Buffer.compare(one, other)
}

function unquoted(key: string): string {
  return key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1)
}

/** PostgreSQL escapes control characters only, and writes everything else as it is. */
function printString(value: string): string {
  return JSON.stringify(value).replaceAll('\\u007f', '\u007f')
}

function plainNumber(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d+)$/.exec(text)
  if (match === null) return text
  const [, sign = '', whole = '0', fraction = '', power = '0'] = match
  const exponent = Number(power)
  if (Math.abs(exponent) > 1000) return text
  const digits = whole + fraction
  const point = whole.length + exponent
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) {
    return `${sign}${(digits + '0'.repeat(point - digits.length)).replace(/^0+(?=\d)/, '')}`
  }
  return `${sign}${digits.slice(0, point).replace(/^0+(?=\d)/, '')}.${digits.slice(point)}`
}
