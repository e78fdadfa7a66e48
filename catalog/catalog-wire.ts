/** Catalog wire: what the gateway and its catalog process say to each other, and PostgreSQL's messages in it. */

import type { ShadowChange } from './shadow.js'

/** A parameter as the client sent it. */
export interface RawParameter {
  readonly bytes: Uint8Array | null
  readonly format: 0 | 1
}

/** A statement for the shadow. */
export interface CatalogRequest {
  readonly id: number
  /** Brings the shadow up to date, for good. */
  readonly change: ShadowChange | null
  /** Is there for this statement alone: what only its session sees. */
  readonly own: ShadowChange | null
  /** Commands that put the session's user, role and settings in force, for this statement alone. */
  readonly session: string
  /** Null when only the shadow is to be brought up to date. */
  readonly sql: string | null
  readonly parameterOids: readonly number[]
  readonly parameters: readonly RawParameter[]
  /** The rows are wanted once in each of these lists of format codes; none: it is only described. */
  readonly formats: readonly (readonly (0 | 1)[])[]
}

/** A column as RowDescription has it. */
export interface WireColumn {
  readonly name: string
  readonly tableOid: number
  readonly attributeNumber: number
  readonly oid: number
  readonly sizeBytes: number
  readonly typmod: number
}

/** Rows in one list of format codes: DataRow messages one after another. */
export interface EncodedRows {
  readonly formats: readonly (0 | 1)[]
  readonly bytes: Uint8Array
}

/** An error of PostgreSQL's. */
export interface WireError {
  readonly code: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** 1-based, in characters. */
  readonly position?: number | undefined
}

/** What a statement gives. */
export interface CatalogAnswer {
  readonly parameterOids: readonly number[]
  readonly columns: readonly WireColumn[]
  readonly rowCount: number
  /** An entry for each list of formats; the error where a type has no such format. */
  readonly rows: readonly (EncodedRows | WireError)[]
}

/** The process's answer to one request. */
export type CatalogResponse =
  | { readonly id: number; readonly answer: CatalogAnswer | null }
  | { readonly id: number; readonly error: WireError; readonly isShadow: boolean }

/** One frontend message. */
export function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + parts.reduce((sum, part) => sum + part.length, 0), 1)
  return Buffer.concat([head, ...parts])
}

export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8')
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

/** Bind of the unnamed portal. */
export function bind(
  statement: string,
  parameters: readonly RawParameter[],
  formats: readonly number[],
): Buffer {
  return message(
    'B',
    cstring(''),
    cstring(statement),
    int16(parameters.length),
    ...parameters.map(({ format }) => int16(format)),
    int16(parameters.length),
    ...parameters.flatMap(({ bytes }) =>
      bytes === null ? [int32(-1)] : [int32(bytes.length), bytes],
    ),
    int16(formats.length),
    ...formats.map(int16),
  )
}

/** Backend messages in `bytes`, which holds whole ones. */
export function* messagesOf(
  bytes: Uint8Array,
): Generator<{ readonly type: string; readonly start: number; readonly body: Buffer }> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let start = 0; start + 5 <= all.length; ) {
    const end = start + 1 + all.readInt32BE(start + 1)
    yield { type: String.fromCharCode(all[start] ?? 0), start, body: all.subarray(start + 5, end) }
    start = end
  }
}

/** The body of an ErrorResponse. */
export function errorOf(body: Buffer): WireError {
  const fields = new Map<string, string>()
  for (let at = 0; (body[at] ?? 0) !== 0; ) {
    const end = body.indexOf(0, at + 1)
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end))
    at = end + 1
  }
  const position = fields.get('P')
  return {
    code: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
    position: position === undefined ? undefined : Number(position),
  }
}

/** The body of a RowDescription. */
export function columnsOf(body: Buffer): readonly WireColumn[] {
  const columns: WireColumn[] = []
  let at = 2
  for (let i = 0; i < body.readInt16BE(0); i++) {
    const end = body.indexOf(0, at)
    columns.push({
      name: body.toString('utf8', at, end),
      tableOid: body.readUInt32BE(end + 1),
      attributeNumber: body.readInt16BE(end + 5),
      oid: body.readUInt32BE(end + 7),
      sizeBytes: body.readInt16BE(end + 11),
      typmod: body.readInt32BE(end + 13),
    })
    at = end + 19
  }
  return columns
}

/** The body of a ParameterDescription. */
export function parameterOidsOf(body: Buffer): readonly number[] {
  return Array.from({ length: body.readInt16BE(0) }, (_, i) => body.readUInt32BE(2 + i * 4))
}
