/** COPY text and csv: bytes cut into lines and fields by PostgreSQL's rules. */

import { isUtf8 } from 'node:buffer'
import type { CopyInFormat } from '../planner/result.js'
import { BATCH_ROWS } from '../storage/column-batch.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type CopyFields, DEFAULT_FIELD, FIELD_STRIDE, NULL_FIELD } from './copy-fields.js'

/** An error of one line, raised once the lines before it have been taken. */
export interface LineError {
  readonly error: SqlError
  /** Its number; null where there are no lines yet. */
  readonly line: number | null
  /** Name of the column it is about. */
  readonly column?: string | undefined
  /** Where the line lies that is shown along with the error; null where it cannot be. */
  readonly shown: readonly [start: number, end: number] | null
  /** The line is a row of the fields too, whose own errors come first. */
  readonly isRow: boolean
}

/** Cuts bytes into the fields of rows. */
export interface Splitter {
  /** What is wrong with the line behind the rows that have been found; null while all is well. */
  readonly failure: LineError | null
  /** Whether the end of the data has been seen; what follows is ignored. */
  readonly ended: boolean
  /**
   * Finds rows in the bytes from `start` to `end`, until `fields` is full, and answers where the
   * first line begins that is not whole. With `final` no more bytes will come.
   */
  split(fields: CopyFields, start: number, end: number, final: boolean): number
  /** Forgets the failure, whose line is left out. */
  pass(): void
}

const NEWLINE = 0x0a
const RETURN = 0x0d
const BACKSLASH = 0x5c
const DOT = 0x2e

/** A line that is not whole yet. */
const INCOMPLETE = -1

type LineEnd = 'unknown' | 'newline' | 'return' | 'both'

/** What text and csv have in common: lines, their ends, headers, nulls. */
abstract class LineSplitter implements Splitter {
  failure: LineError | null = null
  ended = false
  protected readonly delimiter: number
  protected readonly columnCount: number
  protected lineEnd: LineEnd = 'unknown'
  protected line = 0
  /** Fields of the line at hand so far. */
  protected fieldCount = 0
  /** Where the line at hand ends, without its end's characters. */
  protected lineStop = 0
  /** What is wrong within the line at hand. */
  protected fault: SqlError | null = null
  /** The line at hand has been found to its end, whatever is wrong in it. */
  protected isWhole = false
  readonly #names: readonly string[]
  readonly #header: boolean | 'match'
  readonly #nullBytes: Uint8Array
  readonly #nullLength: number
  readonly #nullText: string
  readonly #defaultBytes: Uint8Array | null
  #heading: (string | null)[] | null = null
  /** Whether a field may be more than a value or null. */
  #isCareful: boolean
  /** End of the bytes that are known to be text. */
  #validTo = 0
  #dataEnd = 0

  constructor(format: CopyInFormat, names: readonly string[]) {
    this.delimiter = format.delimiter.charCodeAt(0)
    this.columnCount = names.length
    this.#names = names
    this.#header = format.header
    this.#nullText = format.nullText
    this.#nullBytes = Buffer.from(format.nullText, 'utf8')
    this.#nullLength = this.#nullBytes.length
    this.#defaultBytes =
      format.defaultText === null ? null : Buffer.from(format.defaultText, 'utf8')
    this.#isCareful = format.defaultText !== null
  }

  /**
   * Takes the fields of the line at `start`: answers where the next line begins, or INCOMPLETE.
   *
   * Sets `fieldCount`, `lineStop`, `fault` and, where the end of the data is marked, `ended`.
   */
  protected abstract takeLine(
    fields: CopyFields,
    start: number,
    end: number,
    final: boolean,
  ): number

  split(fields: CopyFields, start: number, end: number, final: boolean): number {
    let at = start
    this.#validTo = validUntil(fields.bytes, start, end)
    this.#dataEnd = end
    while (!this.ended && this.failure === null && fields.rowCount < BATCH_ROWS && at < end) {
      const lineBefore = this.line
      this.line++
      const isHeading = lineBefore === 0 && this.#header !== false
      if (isHeading) {
        this.#heading = []
        this.#isCareful = true
      }
      this.fieldCount = 0
      this.fault = null
      this.isWhole = false
      const next = this.takeLine(fields, at, end, final)
      if (next === INCOMPLETE) {
        this.line = lineBefore
        return at
      }
      this.#endLine(fields, at, isHeading)
      at = next
    }
    return at
  }

  #endLine(fields: CopyFields, start: number, isHeading: boolean): void {
    const stop = this.lineStop
    // The mark of the end stands alone on its line: there is no row before it.
    if (this.ended && stop === start) return
    const row = fields.rowCount
    fields.rowStarts[row] = start
    fields.rowEnds[row] = stop
    fields.lines[row] = this.line
    if (stop > this.#validTo) {
      this.fault = invalidUtf8(fields.bytes, start, stop, this.#dataEnd) ?? this.fault
    }
    const isBroken = this.fault !== null
    if (isHeading) {
      if (this.fault === null && this.#header === 'match') this.fault = this.#mismatch()
      this.#heading = null
      this.#isCareful = this.#defaultBytes !== null
    }
    if (this.fault !== null) {
      // What is no line cannot be shown, but for quotes that do not end.
      const shown = !isBroken || this.isWhole
      this.#fail(this.fault, shown ? [start, stop] : null, false)
      return
    }
    if (isHeading) return
    if (this.fieldCount > this.columnCount) {
      if (this.columnCount > 0 || stop > start) {
        this.#fail(badFormat('extra data after last expected column'), [start, stop], false)
        return
      }
    } else if (this.fieldCount < this.columnCount) {
      const name = this.#names[this.fieldCount] ?? ''
      this.#fail(badFormat(`missing data for column "${name}"`), [start, stop], true)
      for (let column = this.fieldCount; column < this.columnCount; column++) {
        fields.starts[column * FIELD_STRIDE + row] = NULL_FIELD
      }
    }
    fields.rowCount++
  }

  #fail(error: SqlError, shown: LineError['shown'], isRow: boolean): void {
    this.failure = { error, line: this.line, shown, isRow }
  }

  pass(): void {
    this.failure = null
  }

  /** Notes a field that lies in the bytes as it is, without quotes. */
  protected putPlain(fields: CopyFields, start: number, end: number): void {
    const mayBeNull =
      end - start === this.#nullLength &&
      (start === end || fields.bytes[start] === this.#nullBytes[0])
    if (mayBeNull || this.#isCareful) {
      this.put(fields, start, end, start, end, false)
      return
    }
    const column = this.fieldCount++
    if (column >= this.columnCount) return
    const index = column * FIELD_STRIDE + fields.rowCount
    fields.starts[index] = start
    fields.ends[index] = end
  }

  /** Notes a field of the line at hand; `quoted` is a field that can be no null. */
  protected put(
    fields: CopyFields,
    start: number,
    end: number,
    rawStart: number,
    rawEnd: number,
    quoted: boolean,
  ): void {
    const column = this.fieldCount++
    const { bytes } = fields
    const isNull = !quoted && equals(bytes, rawStart, rawEnd, this.#nullBytes)
    if (this.#heading !== null) {
      this.#heading.push(isNull ? null : Buffer.from(bytes.subarray(start, end)).toString('utf8'))
      return
    }
    if (column >= this.columnCount) return
    const index = column * FIELD_STRIDE + fields.rowCount
    if (this.nullAt(column, isNull, quoted, bytes, start, end)) fields.starts[index] = NULL_FIELD
    else if (
      this.#defaultBytes !== null &&
      !quoted &&
      equals(bytes, rawStart, rawEnd, this.#defaultBytes)
    ) {
      fields.starts[index] = DEFAULT_FIELD
    } else {
      fields.starts[index] = start
      fields.ends[index] = end
    }
  }

  /** Whether the field is null, given whether it reads like one; csv has options for it. */
  protected nullAt(
    _column: number,
    isNull: boolean,
    _quoted: boolean,
    _bytes: Uint8Array,
    _start: number,
    _end: number,
  ): boolean {
    return isNull
  }

  protected readsNull(bytes: Uint8Array, start: number, end: number): boolean {
    return equals(bytes, start, end, this.#nullBytes)
  }

  #mismatch(): SqlError | null {
    const heading = this.#heading ?? []
    if (heading.length !== this.columnCount) {
      return badFormat(
        `wrong number of fields in header line: got ${heading.length}, expected ${this.columnCount}`,
      )
    }
    for (const [i, name] of this.#names.entries()) {
      const given = heading[i]
      if (given === name) continue
      const got = given === null ? `null value ("${this.#nullText}")` : `"${given}"`
      return badFormat(
        `column name mismatch in header line field ${i + 1}: got ${got}, expected "${name}"`,
      )
    }
    return null
  }

  /**
   * The line ends at the newline or return at `at`: answers where the next one begins, or
   * INCOMPLETE where the next byte decides.
   */
  protected endAt(bytes: Uint8Array, at: number, end: number, final: boolean): number {
    this.lineStop = at
    if (bytes[at] === NEWLINE) {
      if (this.lineEnd === 'return' || this.lineEnd === 'both') {
        this.fault ??= this.strayEnd('newline', '\\n')
      } else this.lineEnd = 'newline'
      return at + 1
    }
    if (this.lineEnd === 'newline') {
      this.fault ??= this.strayEnd('carriage return', '\\r')
      return at + 1
    }
    if (this.lineEnd === 'return') return at + 1
    if (at + 1 >= end && !final) return INCOMPLETE
    if (at + 1 < end && bytes[at + 1] === NEWLINE) {
      this.lineEnd = 'both'
      return at + 2
    }
    if (this.lineEnd === 'both') this.fault ??= this.strayEnd('carriage return', '\\r')
    else this.lineEnd = 'return'
    return at + 1
  }

  protected abstract strayEnd(what: string, spelling: string): SqlError

  /**
   * Whether `\.` at `at` is followed by the end of its line.
   *
   * 'other': something else follows. 'style': the end of a line, but not of this data's kind.
   */
  protected marksEnd(
    bytes: Uint8Array,
    at: number,
    end: number,
    final: boolean,
  ): 'end' | 'other' | 'style' | 'incomplete' {
    let next = at + 2
    if (this.lineEnd === 'both') {
      if (next >= end && !final) return 'incomplete'
      if (bytes[next] === NEWLINE && next < end) return 'style'
      if (next >= end || bytes[next] !== RETURN) return 'other'
      next++
    }
    if (next >= end) return final ? 'other' : 'incomplete'
    const byte = bytes[next]
    if (byte !== NEWLINE && byte !== RETURN) return 'other'
    if (
      this.lineEnd === 'return' ? byte !== RETURN : this.lineEnd !== 'unknown' && byte !== NEWLINE
    )
      return 'style'
    return 'end'
  }
}

/** Lines of tab-separated text with backslash escapes. */
export class TextSplitter extends LineSplitter {
  readonly #special = new Uint8Array(256)

  constructor(format: CopyInFormat, names: readonly string[]) {
    super(format, names)
    for (const byte of [NEWLINE, RETURN, BACKSLASH, this.delimiter]) this.#special[byte] = 1
  }

  protected strayEnd(what: string, spelling: string): SqlError {
    return new SqlError(SqlState.badCopyFileFormat, `literal ${what} found in data`, {
      hint: `Use "${spelling}" to represent ${what}.`,
    })
  }

  protected takeLine(fields: CopyFields, start: number, end: number, final: boolean): number {
    const { bytes } = fields
    const special = this.#special
    const { delimiter } = this
    let from = start
    let escaped = false
    let at = start
    for (;;) {
      while (at < end && special[bytes[at] as number] === 0) at++
      if (at >= end) {
        if (!final) return INCOMPLETE
        this.lineStop = at
        this.#field(fields, from, at, escaped)
        return at
      }
      const byte = bytes[at]
      if (byte === delimiter) {
        this.#field(fields, from, at, escaped)
        from = ++at
        escaped = false
      } else if (byte === BACKSLASH) {
        if (at + 1 >= end && !final) return INCOMPLETE
        if (at + 1 < end && bytes[at + 1] === DOT) {
          const mark = this.marksEnd(bytes, at, end, final)
          if (mark === 'incomplete') return INCOMPLETE
          this.lineStop = at
          this.ended = true
          if (mark === 'end') {
            if (at > start) this.#field(fields, from, at, escaped)
          } else {
            this.lineStop = at + 2
            this.fault = badFormat(
              mark === 'style'
                ? 'end-of-copy marker does not match previous newline style'
                : 'end-of-copy marker corrupt',
            )
          }
          return end
        }
        escaped = true
        at = Math.min(at + 2, end)
      } else {
        const next = this.endAt(bytes, at, end, final)
        if (next !== INCOMPLETE) this.#field(fields, from, at, escaped)
        return next
      }
    }
  }

  #field(fields: CopyFields, from: number, to: number, escaped: boolean): void {
    if (!escaped) {
      this.putPlain(fields, from, to)
      return
    }
    const start = fields.resolvedEnd
    const isSure = resolveEscapes(fields, from, to)
    const end = fields.resolvedEnd
    this.put(fields, start, end, from, to, false)
    // A text that reads like the null is not looked at: `\N` is no escape then.
    if (!isSure && !this.readsNull(fields.bytes, from, to)) {
      this.fault ??= invalidUtf8(fields.bytes, start, end)
      this.isWhole = true
    }
  }
}

/** Appends the field with its escapes resolved; false when they made bytes that may be no UTF-8. */
function resolveEscapes(fields: CopyFields, from: number, to: number): boolean {
  const { bytes } = fields
  let out = fields.resolvedEnd
  let isSure = true
  for (let at = from; at < to; ) {
    let byte = bytes[at++] as number
    if (byte === BACKSLASH) {
      if (at >= to) break
      byte = bytes[at++] as number
      if (byte >= 0x30 && byte <= 0x37) {
        let value = byte - 0x30
        for (let i = 0; i < 2 && at < to && isOctal(bytes[at] as number); i++) {
          value = value * 8 + (bytes[at++] as number) - 0x30
        }
        byte = value & 0xff
        if (byte === 0 || byte > 0x7f) isSure = false
      } else if (byte === 0x78) {
        let value = 0
        let digits = 0
        for (; digits < 2 && at < to; digits++) {
          const digit = hexDigit(bytes[at] as number)
          if (digit < 0) break
          value = value * 16 + digit
          at++
        }
        if (digits > 0) {
          byte = value
          if (byte === 0 || byte > 0x7f) isSure = false
        }
      } else byte = ESCAPES.get(byte) ?? byte
    }
    bytes[out++] = byte
  }
  fields.resolvedEnd = out
  return isSure
}

const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x76, 0x0b],
])

function isOctal(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x37
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Lines of comma-separated values, in which quoted fields may hold anything. */
export class CsvSplitter extends LineSplitter {
  readonly #quote: number
  readonly #escape: number
  readonly #plain = new Uint8Array(256)
  readonly #inQuotes = new Uint8Array(256)
  readonly #forceNull: (column: number) => boolean
  readonly #forceNotNull: (column: number) => boolean

  constructor(format: CopyInFormat, names: readonly string[]) {
    super(format, names)
    this.#quote = format.quote.charCodeAt(0)
    this.#escape = format.escape.charCodeAt(0)
    for (const byte of [NEWLINE, RETURN, this.#quote, this.delimiter]) this.#plain[byte] = 1
    for (const byte of [NEWLINE, RETURN, this.#quote, this.#escape]) this.#inQuotes[byte] = 1
    const among = (list: readonly number[] | 'all') => (column: number) =>
      list === 'all' || list.includes(column)
    this.#forceNull = among(format.forceNull)
    this.#forceNotNull = among(format.forceNotNull)
  }

  protected strayEnd(what: string): SqlError {
    return new SqlError(SqlState.badCopyFileFormat, `unquoted ${what} found in data`, {
      hint: `Use quoted CSV field to represent ${what}.`,
    })
  }

  protected override nullAt(
    column: number,
    isNull: boolean,
    quoted: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    if (isNull) return !this.#forceNotNull(column)
    return quoted && this.#forceNull(column) && this.readsNull(bytes, start, end)
  }

  protected takeLine(fields: CopyFields, start: number, end: number, final: boolean): number {
    const { bytes } = fields
    if (bytes[start] === BACKSLASH) {
      if (start + 1 >= end && !final) return INCOMPLETE
      if (start + 1 < end && bytes[start + 1] === DOT) {
        const mark = this.marksEnd(bytes, start, end, final)
        if (mark === 'incomplete') return INCOMPLETE
        if (mark === 'end' || (mark === 'style' && this.lineEnd !== 'both')) {
          this.ended = true
          this.lineStop = start
          if (mark === 'style') {
            this.lineStop = start + 2
            this.fault = badFormat('end-of-copy marker does not match previous newline style')
          }
          return end
        }
      }
    }
    const resolvedBefore = fields.resolvedEnd
    let embedded = 0
    let at = start
    for (;;) {
      // One field: what is collected so far stands from `out`, what is not yet from `from`.
      const rawStart = at
      let out = -1
      let from = at
      let quoted = false
      field: for (;;) {
        while (at < end && this.#plain[bytes[at] as number] === 0) at++
        if (at >= end) break
        if (bytes[at] !== this.#quote) break
        // What was before the quote, if anything, is followed by what is inside.
        if (at > from || quoted) {
          if (out < 0) out = fields.resolvedEnd
          keep(fields, from, at)
        }
        quoted = true
        from = ++at
        for (;;) {
          while (at < end && this.#inQuotes[bytes[at] as number] === 0) at++
          if (at >= end) {
            if (!final) {
              fields.resolvedEnd = resolvedBefore
              return INCOMPLETE
            }
            this.lineStop = at
            this.line += embedded
            this.fault = badFormat('unterminated CSV quoted field')
            this.isWhole = true
            return at
          }
          const byte = bytes[at] as number
          if (byte === NEWLINE || byte === RETURN) {
            if (byte === (this.lineEnd === 'newline' ? NEWLINE : RETURN)) embedded++
            at++
            continue
          }
          if (byte === this.#escape) {
            if (at + 1 >= end && !final) {
              fields.resolvedEnd = resolvedBefore
              return INCOMPLETE
            }
            const next = bytes[at + 1]
            if (at + 1 < end && (next === this.#escape || next === this.#quote)) {
              if (out < 0) out = fields.resolvedEnd
              keep(fields, from, at)
              from = at + 1
              at += 2
              continue
            }
          }
          if (byte === this.#quote) {
            // The usual end: the field lies as it is between its quotes.
            if (out < 0 && rawStart + 1 === from) {
              const next = at + 1 < end ? (bytes[at + 1] as number) : -1
              if (next === this.delimiter || next === NEWLINE || next === RETURN) {
                this.put(fields, from, at, rawStart, at + 1, true)
                at++
                from = -1
                break field
              }
            }
            if (out < 0) out = fields.resolvedEnd
            keep(fields, from, at)
            from = ++at
            continue field
          }
          at++
        }
      }
      if (at >= end && !final) {
        fields.resolvedEnd = resolvedBefore
        return INCOMPLETE
      }
      const isReturn = at < end && bytes[at] === RETURN
      if (isReturn && at + 1 >= end && !final && this.lineEnd !== 'return') {
        fields.resolvedEnd = resolvedBefore
        return INCOMPLETE
      }
      if (from >= 0) {
        if (out < 0) this.putPlain(fields, from, at)
        else {
          keep(fields, from, at)
          this.put(fields, out, fields.resolvedEnd, rawStart, at, quoted)
        }
      }
      if (at < end && bytes[at] === this.delimiter) {
        at++
        continue
      }
      this.line += embedded
      if (at >= end) {
        this.lineStop = at
        return at
      }
      return this.endAt(bytes, at, end, final)
    }
  }
}

/** Appends a part of a field to those that have been put together. */
function keep(fields: CopyFields, from: number, to: number): void {
  fields.bytes.copyWithin(fields.resolvedEnd, from, to)
  fields.resolvedEnd += to - from
}

function badFormat(message: string): SqlError {
  return new SqlError(SqlState.badCopyFileFormat, message)
}

function equals(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false
  return true
}

/** How far the bytes are text, found by one look at all whole lines; `start` where they are not. */
function validUntil(bytes: Uint8Array, start: number, end: number): number {
  const part = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  const whole = part.subarray(0, part.lastIndexOf(NEWLINE) + 1)
  return isUtf8(whole) && !whole.includes(0) ? start + whole.length : start
}

/**
 * 22021 when the bytes are no UTF-8 or hold a zero byte; null when they are text.
 *
 * The error shows as many bytes as the character should have, up to `dataEnd`.
 */
export function invalidUtf8(
  bytes: Uint8Array,
  start: number,
  end: number,
  dataEnd: number = end,
): SqlError | null {
  const part = bytes.subarray(start, end)
  if (isUtf8(part) && !part.includes(0)) return null
  let at = 0
  while (at < part.length) {
    const length = sequenceLength(part[at] as number)
    const sequence = part.subarray(at, at + length)
    if (part[at] === 0 || sequence.length < length || !isUtf8(sequence)) break
    at += length
  }
  const stop = Math.min(start + at + sequenceLength(part[at] ?? 0), dataEnd)
  const bad = bytes.subarray(start + at, stop)
  const shown = [...bad].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')
  return new SqlError(
    SqlState.characterNotInRepertoire,
    `invalid byte sequence for encoding "UTF8": ${shown}`,
  )
}

/** Bytes of the character that begins with `byte`, as PostgreSQL counts them. */
function sequenceLength(byte: number): number {
  if (byte >= 0xf0 && byte < 0xf8) return 4
  if (byte >= 0xe0 && byte < 0xf0) return 3
  return byte >= 0xc0 && byte < 0xe0 ? 2 : 1
}
