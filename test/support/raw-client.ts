/** A client that speaks raw messages: for what no driver sends, and bytes no driver shows. */

import net from 'node:net'

/** One message of the server: its type as a letter, and its body. */
export interface BackendMessage {
  readonly type: string
  readonly body: Buffer
}

/** What ErrorResponse or NoticeResponse says, by field letter. */
export function fieldsOf(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const part of body.toString('utf8').split('\0')) {
    if (part !== '') fields[part.charAt(0)] = part.slice(1)
  }
  return fields
}

/** The cells of a DataRow. */
export function cellsOf(body: Buffer): (Buffer | null)[] {
  let at = 2
  return Array.from({ length: body.readInt16BE(0) }, () => {
    const length = body.readInt32BE(at)
    at += 4
    if (length < 0) return null
    at += length
    return body.subarray(at - length, at)
  })
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value & 0xffff)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8')
}

/** A frontend message; type '' makes a startup packet. */
export function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body])
}

/** A StartupMessage of protocol 3.`minor`. */
export function startup(parameters: Readonly<Record<string, string>> = {}, minor = 0): Buffer {
  const all = Object.entries({ user: 'lakegate', database: 'lake', ...parameters })
  return message(
    '',
    int32((3 << 16) | minor),
    ...all.flatMap(([name, value]) => [cstring(name), cstring(value)]),
    Buffer.of(0),
  )
}

export function parse(name: string, sql: string, oids: readonly number[] = []): Buffer {
  return message('P', cstring(name), cstring(sql), int16(oids.length), ...oids.map(int32))
}

export function bind(
  portal: string,
  statement: string,
  values: readonly (Uint8Array | null)[] = [],
  format: 0 | 1 = 0,
  resultFormat: 0 | 1 = 0,
): Buffer {
  const cells = values.flatMap((value) =>
    value === null ? [int32(-1)] : [int32(value.length), value],
  )
  return message(
    'B',
    cstring(portal),
    cstring(statement),
    int16(1),
    int16(format),
    int16(values.length),
    ...cells,
    int16(1),
    int16(resultFormat),
  )
}

export function execute(portal: string, limit = 0): Buffer {
  return message('E', cstring(portal), int32(limit))
}

export const sync: Buffer = message('S')

/** A socket whose bytes are cut into the server's messages. */
export class RawClient {
  readonly socket: net.Socket
  readonly #messages: BackendMessage[] = []
  readonly #waiting: (() => void)[] = []
  #pending = Buffer.alloc(0)
  #ended = false

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => this.#push(bytes))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  /** A connected socket, nothing sent. */
  static async open(port: number): Promise<RawClient> {
    const socket = net.connect(port, '127.0.0.1')
    const client = new RawClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return client
  }

  /** A session that is ready for queries. */
  static async start(
    port: number,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<RawClient> {
    const client = await RawClient.open(port)
    client.send(startup(parameters))
    await client.untilReady()
    return client
  }

  #push(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes])
    while (this.#pending.length >= 5) {
      const size = this.#pending.readInt32BE(1) + 1
      if (this.#pending.length < size) break
      this.#messages.push({
        type: this.#pending.toString('latin1', 0, 1),
        body: this.#pending.subarray(5, size),
      })
      this.#pending = this.#pending.subarray(size)
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  send(...messages: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages))
  }

  /** The next message, or null once the server has closed. */
  async next(): Promise<BackendMessage | null> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) return message
      if (this.#ended) return null
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Messages up to and with ReadyForQuery, or up to the end of the connection. */
  async untilReady(): Promise<BackendMessage[]> {
    const messages: BackendMessage[] = []
    for (;;) {
      const message = await this.next()
      if (message === null) return messages
      messages.push(message)
      if (message.type === 'Z') return messages
    }
  }

  /** Messages up to the end of the connection. */
  async untilClosed(): Promise<BackendMessage[]> {
    const messages: BackendMessage[] = []
    for (;;) {
      const message = await this.next()
      if (message === null) return messages
      messages.push(message)
    }
  }

  /** The rows of one extended query; throws the SQLSTATE of an error. */
  async rows(
    sql: string,
    options: {
      readonly oids?: readonly number[]
      readonly values?: readonly (Uint8Array | null)[]
      readonly format?: 0 | 1
      readonly resultFormat?: 0 | 1
    } = {},
  ): Promise<(Buffer | null)[][]> {
    const { oids = [], values = [], format = 0, resultFormat = 0 } = options
    this.send(parse('', sql, oids), bind('', '', values, format, resultFormat), execute(''), sync)
    const messages = await this.untilReady()
    const error = messages.find(({ type }) => type === 'E')
    if (error !== undefined) {
      const { C, M } = fieldsOf(error.body)
      throw new Error(`${C} ${M}`)
    }
    return messages.filter(({ type }) => type === 'D').map(({ body }) => cellsOf(body))
  }

  close(): void {
    this.socket.destroy()
  }
}
