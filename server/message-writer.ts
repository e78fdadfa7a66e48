/** MessageWriter: the messages a server sends, built into one buffer. */

import type { PgType } from '../catalog/pg-types.js'
import { pgTypeByOid } from '../catalog/pg-types.js'
import type { ResultColumn } from '../planner/result.js'
import { SqlError, SqlState, type ViolatedObject } from '../storage/errors.js'
import { releaseOutput } from './output-buffers.js'

/** Collects messages; `take` hands them over as one piece. */
export class MessageWriter {
  #parts: Uint8Array[] = []
  #size = 0

  get sizeBytes(): number {
    return this.#size
  }

  /** Bytes that are whole messages already; they must not change until they have been sent. */
  raw(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#parts.push(bytes)
    this.#size += bytes.length
  }

  take(): Buffer {
    const [first] = this.#parts
    // Rows come in large pieces: these go as they are.
    let bytes: Buffer
    if (first !== undefined && this.#parts.length === 1) {
      bytes = Buffer.from(first.buffer, first.byteOffset, first.byteLength)
    } else {
      bytes = Buffer.concat(this.#parts, this.#size)
      this.#parts.forEach(releaseOutput)
    }
    this.#parts = []
    this.#size = 0
    return bytes
  }

  #message(type: string, ...parts: readonly Uint8Array[]): void {
    const size = parts.reduce((sum, part) => sum + part.length, 4)
    const head = Buffer.allocUnsafe(5)
    head.write(type, 0, 'latin1')
    head.writeInt32BE(size, 1)
    this.raw(head)
    for (const part of parts) this.raw(part)
  }

  authentication(code: number, body: Uint8Array = new Uint8Array()): void {
    this.#message('R', int32(code), body)
  }

  parameterStatus(name: string, value: string): void {
    this.#message('S', cstring(name), cstring(value))
  }

  backendKeyData(processId: number, secret: Uint8Array): void {
    this.#message('K', int32(processId), secret)
  }

  negotiateProtocolVersion(minor: number, options: readonly string[]): void {
    this.#message('v', int32((3 << 16) | minor), int32(options.length), ...options.map(cstring))
  }

  readyForQuery(status: 'I' | 'T' | 'E'): void {
    this.#message('Z', Buffer.from(status, 'latin1'))
  }

  rowDescription(columns: readonly ResultColumn[], formats: readonly (0 | 1)[]): void {
    const parts: Uint8Array[] = [int16(columns.length)]
    for (const [i, column] of columns.entries()) {
      const fixed = Buffer.allocUnsafe(18)
      fixed.writeUInt32BE(column.tableOid, 0)
      fixed.writeInt16BE(column.attributeNumber, 4)
      fixed.writeUInt32BE(column.pgType.oid, 6)
      fixed.writeInt16BE(column.sizeBytes ?? pgTypeByOid(column.pgType.oid)?.sizeBytes ?? -1, 10)
      fixed.writeInt32BE(column.pgType.typmod, 12)
      fixed.writeInt16BE(formats[i] ?? 0, 16)
      parts.push(cstring(column.name), fixed)
    }
    this.#message('T', ...parts)
  }

  parameterDescription(types: readonly PgType[]): void {
    this.#message('t', int16(types.length), ...types.map((type) => int32(type.oid)))
  }

  commandComplete(tag: string): void {
    this.#message('C', cstring(tag))
  }

  copyOutResponse(binary: boolean, columnCount: number): void {
    const code = binary ? 1 : 0
    const formats = Array.from({ length: columnCount }, () => int16(code))
    this.#message('H', Uint8Array.of(code), int16(columnCount), ...formats)
  }

  copyInResponse(binary: boolean, columnCount: number): void {
    const code = binary ? 1 : 0
    const formats = Array.from({ length: columnCount }, () => int16(code))
    this.#message('G', Uint8Array.of(code), int16(columnCount), ...formats)
  }

  notification(processId: number, channel: string, payload: string): void {
    this.#message('A', int32(processId), cstring(channel), cstring(payload))
  }

  parseComplete(): void {
    this.#message('1')
  }

  bindComplete(): void {
    this.#message('2')
  }

  closeComplete(): void {
    this.#message('3')
  }

  noData(): void {
    this.#message('n')
  }

  emptyQuery(): void {
    this.#message('I')
  }

  portalSuspended(): void {
    this.#message('s')
  }

  copyDone(): void {
    this.#message('c')
  }

  notice(
    severity: string,
    sqlState: string,
    message: string,
    more: {
      readonly detail?: string | undefined
      readonly hint?: string | undefined
      readonly context?: string | undefined
    } = {},
  ): void {
    this.#message('N', fields(severity, sqlState, message, more))
  }

  /** ErrorResponse; what is no SqlError is a bug and told as FATAL XX000. */
  error(thrown: unknown): void {
    const error =
      thrown instanceof SqlError
        ? thrown
        : new SqlError(SqlState.internalError, 'internal error of the gateway', {
            severity: 'FATAL',
          })
    this.#message('E', fields(error.severity, error.sqlState, error.message, error))
  }
}

function fields(
  severity: string,
  sqlState: string,
  message: string,
  more: {
    readonly detail?: string | undefined
    readonly hint?: string | undefined
    readonly position?: number | undefined
    readonly context?: string | undefined
    readonly violated?: ViolatedObject | undefined
  },
): Uint8Array {
  let text = `S${severity}\0V${severity}\0C${sqlState}\0M${message.replaceAll('\0', '')}\0`
  if (more.detail !== undefined) text += `D${more.detail}\0`
  if (more.hint !== undefined) text += `H${more.hint}\0`
  if (more.position !== undefined) text += `P${more.position}\0`
  if (more.context !== undefined) text += `W${more.context.replaceAll('\0', '')}\0`
  const { schema, table, column, constraint } = more.violated ?? {}
  for (const [code, name] of Object.entries({ s: schema, t: table, c: column, n: constraint }))
    if (name !== undefined) text += `${code}${name.replaceAll('\0', '')}\0`
  return Buffer.from(`${text}\0`, 'utf8')
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text.replaceAll('\0', '')}\0`, 'utf8')
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeUInt16BE(value & 0xffff)
  return bytes
}
