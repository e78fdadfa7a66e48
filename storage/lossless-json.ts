/** JSON whose numbers keep every digit: 64-bit integers and long decimals do not fit a double. */

/** A parsed value; integers beyond 2^53 are bigints. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | JsonObject

export interface JsonObject {
  readonly [key: string]: JsonValue
}

/**
 * The value of a JSON text; integers that a double would round are answered as bigints.
 *
 * Throws SyntaxError when the text is not one whole JSON value. Text behind an object is passed
 * over if `allowTrailing`: one known writer leaves such, and other readers accept it.
 */
export function parseLosslessJson(text: string): JsonValue {
  // A double holds every integer of 15 digits, and JSON.parse is several times faster.
  if (!/\d{16}/.test(text)) return JSON.parse(text) as JsonValue
  // JSON.parse judges the text: what follows may then trust its form.
  const plain = JSON.parse(text) as JsonValue
  return restore(plain, new Scanner(text))
}

/**
 * The raw text of the value at `path` in a JSON object, or null when there is none there.
 *
 * A string is answered decoded, a JSON null as null, a number with all its digits. The text must
 * be valid JSON; what lies beside the path is only skipped. Of repeated keys the first counts.
 *
 * @example
 * jsonTextAt('{"max":{"d":0.12345678901234567890}}', ['max', 'd'])   // '0.12345678901234567890'
 */
export function jsonTextAt(json: string, path: readonly string[]): string | null {
  const scanner = new Scanner(json)
  for (const name of path) if (!scanner.enter(name)) return null
  const text = scanner.value()
  if (text === 'null') return null
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}

/** `plain` with the numbers that lost digits read again from the text under `scanner`. */
function restore(plain: JsonValue, scanner: Scanner): JsonValue {
  if (Array.isArray(plain)) {
    const elements = plain as readonly JsonValue[]
    const restored: JsonValue[] = []
    scanner.open()
    for (const element of elements) {
      restored.push(restore(element, scanner))
      scanner.separator()
    }
    if (elements.length === 0) scanner.close()
    return restored
  }
  if (typeof plain === 'object' && plain !== null) {
    const restored = Object.create(null) as Record<string, JsonValue>
    scanner.open()
    while (!scanner.closed()) {
      const key = scanner.key()
      // Of repeated keys JSON.parse keeps the last, which the loop ends with too.
      restored[key] = scanner.restored()
      scanner.separator()
    }
    return restored
  }
  const text = scanner.value()
  if (typeof plain === 'number' && /^-?\d{16,}$/.test(text)) {
    const exact = BigInt(text)
    return Number.isSafeInteger(Number(text)) ? plain : exact
  }
  return plain
}

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  #blank(): void {
    while (this.#at < this.#text.length && this.#text.charCodeAt(this.#at) <= 0x20) this.#at++
  }

  open(): void {
    this.#blank()
    this.#at++
    this.#blank()
  }

  /** Whether the container ends here; steps over its end then. */
  closed(): boolean {
    this.#blank()
    const char = this.#text.charCodeAt(this.#at)
    if (char !== CLOSE_BRACE && char !== CLOSE_BRACKET) return false
    this.#at++
    return true
  }

  close(): void {
    this.closed()
  }

  /** Steps over a comma, or over the end of an array; an object's end is left for `closed`. */
  separator(): void {
    this.#blank()
    const char = this.#text.charCodeAt(this.#at)
    if (char === COMMA || char === CLOSE_BRACKET) this.#at++
  }

  key(): string {
    this.#blank()
    const start = this.#at
    this.#string()
    const key = this.#text.slice(start, this.#at)
    this.#blank()
    this.#at++
    return key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1)
  }

  /** The value here, with its numbers as `parseLosslessJson` answers them. */
  restored(): JsonValue {
    this.#blank()
    const start = this.#at
    this.#skip()
    return parseLosslessJson(this.#text.slice(start, this.#at))
  }

  /** Moves to the value of `name` in the object here; false when it has none or is no object. */
  enter(name: string): boolean {
    this.#blank()
    if (this.#text.charCodeAt(this.#at) !== OPEN_BRACE) return false
    this.open()
    while (!this.closed()) {
      if (this.#at >= this.#text.length) return false
      if (this.key() === name) return true
      this.#blank()
      this.#skip()
      this.separator()
    }
    return false
  }

  /** The text of the value here. */
  value(): string {
    this.#blank()
    const start = this.#at
    this.#skip()
    return this.#text.slice(start, this.#at)
  }

  #skip(): void {
    const text = this.#text
    let depth = 0
    while (this.#at < text.length) {
      const char = text.charCodeAt(this.#at)
      if (char === QUOTE) {
        this.#string()
      } else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
        depth++
        this.#at++
        continue
      } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) {
        // The end of what surrounds a bare number.
        if (depth === 0) return
        depth--
        this.#at++
      } else if (depth === 0 && (char === COMMA || char <= 0x20)) {
        return
      } else {
        this.#at++
        continue
      }
      if (depth === 0) return
    }
  }

  #string(): void {
    const text = this.#text
    let end = this.#at + 1
    for (;;) {
      end = text.indexOf('"', end)
      if (end < 0) {
        this.#at = text.length
        return
      }
      let escapes = 0
      while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++
      end++
      if (escapes % 2 === 0) break
    }
    this.#at = end
  }
}

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
