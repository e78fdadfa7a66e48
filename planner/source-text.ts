/** SourceText: a statement's text, its parser's byte offsets, and edits by position. */

import { type Token, tokenize } from './lexer.js'

/** A replacement of the characters from `start` to `end`. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** One statement's text with what is worked out of it once. */
export class SourceText {
  readonly text: string
  readonly #offsets: Uint32Array | null
  #tokens: readonly Token[] | undefined

  constructor(text: string) {
    this.text = text
    this.#offsets = Buffer.byteLength(text, 'utf8') === text.length ? null : byteOffsets(text)
  }

  get tokens(): readonly Token[] {
    this.#tokens ??= tokenize(this.text)
    return this.#tokens
  }

  /** UTF-16 offset of a byte offset of the parser's. */
  offsetOf(byteOffset: number): number {
    return this.#offsets === null ? byteOffset : (this.#offsets[byteOffset] ?? this.text.length)
  }

  /** Index of the token that begins at or after `offset`. */
  tokenAt(offset: number): number {
    const index = this.tokens.findIndex((token) => token.start >= offset)
    return index < 0 ? this.tokens.length : index
  }

  /** End of the qualified name that begins at `offset`. */
  endOfName(offset: number): number {
    let i = this.tokenAt(offset)
    while (this.tokens[i + 1]?.text === '.') i += 2
    return this.tokens[i]?.end ?? offset
  }

  /** End of the operand that begins with token `i`: a primary with its casts and subscripts. */
  endOfOperand(i: number): number {
    const tokens = this.tokens
    const first = tokens[i]
    if (first === undefined) return i - 1
    if (first.kind === 'operator' && /^[+\-~]$/.test(first.text)) return this.endOfOperand(i + 1)
    let at = i
    const word = first.kind === 'identifier' ? first.text.toLowerCase() : ''
    if (word === 'case') at = this.#endOfCase(i)
    else if (first.text === '(') at = this.#endOfGroup(i)
    else if (first.kind === 'identifier' || first.kind === 'quoted') {
      if (tokens[at + 1]?.kind === 'string') at++
      while (tokens[at + 1]?.text === '.') at += 2
      if (tokens[at + 1]?.text === '(' || tokens[at + 1]?.text === '[')
        at = this.#endOfGroup(at + 1)
      while (/^(filter|over)$/i.test(tokens[at + 1]?.text ?? '') && tokens[at + 2]?.text === '(') {
        at = this.#endOfGroup(at + 2)
      }
    }
    for (;;) {
      const next = tokens[at + 1]?.text
      if (next === '[') at = this.#endOfGroup(at + 1)
      else if (next === '::') {
        at += 2
        while (tokens[at + 1]?.text === '.') at += 2
        if (
          /^(double|character|bit)$/i.test(tokens[at]?.text ?? '') &&
          /^(precision|varying)$/i.test(tokens[at + 1]?.text ?? '')
        )
          at++
        if (tokens[at + 1]?.text === '(') at = this.#endOfGroup(at + 1)
        if (
          /^(with|without)$/i.test(tokens[at + 1]?.text ?? '') &&
          /^time$/i.test(tokens[at + 2]?.text ?? '')
        )
          at += 3
      } else if (next === '^') at = this.endOfOperand(at + 2)
      else return at
    }
  }

  #endOfGroup(open: number): number {
    let depth = 0
    for (let at = open; at < this.tokens.length; at++) {
      const text = this.tokens[at]?.text
      if (text === '(' || text === '[') depth++
      if ((text === ')' || text === ']') && --depth === 0) return at
    }
    return this.tokens.length - 1
  }

  #endOfCase(start: number): number {
    let depth = 0
    for (let at = start; at < this.tokens.length; at++) {
      const token = this.tokens[at]
      if (token?.kind !== 'identifier') continue
      const word = token.text.toLowerCase()
      if (word === 'case') depth++
      if (word === 'end' && --depth === 0) return at
    }
    return this.tokens.length - 1
  }
}

/** An edited text that still knows where each of its characters comes from. */
export interface EditedText {
  readonly text: string
  /** Offset in the original of the character at `offset` of the edited text. */
  readonly locate: (offset: number) => number
}

/** `text` with `edits` made; of two edits one may lie inside another's text only at a point. */
export function applyEdits(text: string, edits: readonly Edit[]): EditedText {
  const sorted = edits
    .map((edit, order) => ({ ...edit, order }))
    .sort((a, b) => a.start - b.start || a.end - b.end || a.order - b.order)
  const pieces: { readonly at: number; readonly from: number; readonly copied: boolean }[] = []
  let result = ''
  let from = 0
  for (const edit of sorted) {
    if (edit.start < from) continue
    pieces.push({ at: result.length, from, copied: true })
    result += text.slice(from, edit.start)
    pieces.push({ at: result.length, from: edit.start, copied: false })
    result += edit.text
    from = edit.end
  }
  pieces.push({ at: result.length, from, copied: true })
  result += text.slice(from)
  return {
    text: result,
    locate: (offset) => {
      const piece = pieces.findLast((one) => one.at <= offset)
      if (piece === undefined) return offset
      return piece.copied ? piece.from + (offset - piece.at) : piece.from
    },
  }
}

function byteOffsets(text: string): Uint32Array {
  const bytes = Buffer.byteLength(text, 'utf8')
  const offsets = new Uint32Array(bytes + 1)
  let byte = 0
  for (let i = 0; i < text.length; ) {
    const point = text.codePointAt(i) ?? 0
    const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    for (let j = 0; j < size; j++) offsets[byte + j] = i
    byte += size
    i += point > 0xffff ? 2 : 1
  }
  offsets[bytes] = text.length
  return offsets
}
