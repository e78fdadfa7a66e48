/** MessageReader: socket bytes to framed messages, and the fields of one message. */

import { SqlError, SqlState } from '../storage/errors.js'

/** One framed message: its type byte as a letter ('' for a startup packet) and its body. */
export interface FrontendMessage {
  readonly type: string
  readonly body: Fields
}

/** Cuts the bytes of a socket into messages, however they were split into packets. */
export class MessageReader {
  readonly #messageBytesMax: number
  /** Bytes as they came; only the first may have been read in part. */
  readonly #chunks: Buffer[] = []
  #size = 0
  #started = false

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax
  }

  get pendingBytes(): number {
    return this.#size
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#size += bytes.length
  }

  /** From here on messages carry a type byte. */
  startupDone(): void {
    this.#started = true
  }

  /** Whether the next message, of which at least the type has come, is one of `type`. */
  nextIs(type: string): boolean {
    return this.#started && this.#chunks[0]?.[0] === type.charCodeAt(0)
  }

  /**
   * The next whole message, or null until more bytes come.
   *
   * 08P01 (FATAL) for a length that cannot be; it is looked at before anything is allocated.
   */
  next(): FrontendMessage | null {
    const head = this.#started ? 1 : 0
    if (this.#size < head + 4) return null
    const length = this.#first(head + 4).readInt32BE(head)
    const max = this.#started ? this.#messageBytesMax : STARTUP_BYTES_MAX
    if (length < 4 || length > max) {
      throw protocolViolation(
        this.#started ? 'invalid message length' : 'invalid length of startup packet',
      )
    }
    const size = head + length
    if (this.#size < size) return null
    const bytes = this.#first(size)
    const type = this.#started ? String.fromCharCode(bytes[0] ?? 0) : ''
    const body = bytes.subarray(head + 4, size)
    this.#size -= size
    if (bytes.length === size) this.#chunks.shift()
    else this.#chunks[0] = bytes.subarray(size)
    return { type, body: new Fields(body) }
  }

  /** The first chunk, with at least `size` bytes: joined once a message is whole, never before. */
  #first(size: number): Buffer {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= size) return first
    let count = 0
    for (let have = 0; have < size; count++) have += this.#chunks[count]?.length ?? size
    const joined = Buffer.concat(this.#chunks.splice(0, count))
    this.#chunks.unshift(joined)
    return joined
  }
}

/** PostgreSQL's own bound. */
const STARTUP_BYTES_MAX = 10_000

/** The fields of one message, read in order; 08P01 when they end too early. */
export class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  int8(): number {
    return this.#take(1).readUInt8(0)
  }

  int16(): number {
    return this.#take(2).readUInt16BE(0)
  }

  int32(): number {
    return this.#take(4).readInt32BE(0)
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0)
  }

  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw protocolViolation('invalid string in message')
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end + 1
    try {
      return UTF8.decode(bytes)
    } catch {
      throw new SqlError(
        SqlState.characterNotInRepertoire,
        'invalid byte sequence for encoding "UTF8"',
      )
    }
  }

  /** `length` bytes, or null for -1. */
  value(): Buffer | null {
    const length = this.int32()
    if (length === -1) return null
    if (length < 0) throw protocolViolation('invalid length in message')
    return this.#take(length)
  }

  rest(): Buffer {
    return this.#take(this.left)
  }

  #take(count: number): Buffer {
    if (this.left < count) throw protocolViolation('insufficient data left in message')
    const bytes = this.#bytes.subarray(this.#at, this.#at + count)
    this.#at += count
    return bytes
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** A FATAL protocol violation: the bytes that follow can no longer be trusted. */
export function protocolViolation(message: string): SqlError {
  return new SqlError(SqlState.protocolViolation, message, { severity: 'FATAL' })
}
