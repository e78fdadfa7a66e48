/** Connection: one client from startup to terminate - receive, dispatch, reply; the outermost catch. */

import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Gateway } from '../planner/gateway.js'
import type { Role } from '../catalog/role.js'
import { GatewaySession } from '../planner/gateway-session.js'
import type { CopyIn, Result, ResultColumn } from '../planner/result.js'
import type { Session, SessionEvents } from '../planner/session.js'
import { plainAddress } from '../planner/session-activity.js'
import type { Cancellation } from '../storage/cancellation.js'
import { scalarType } from '../storage/engine-type.js'
import type { EngineValue } from '../storage/engine-value.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { decodeParameter } from './codecs.js'
import { type Config, isLoopback } from './config.js'
import { CopyDecoder } from './copy-decoder.js'
import { CopyEncoder } from './copy-encoder.js'
import { CopySpool } from './copy-spool.js'
import { type Credentials, type LoginMethod, mayConnect } from './credentials.js'
import {
  type Fields,
  type FrontendMessage,
  MessageReader,
  protocolViolation,
} from './message-reader.js'
import { MessageWriter } from './message-writer.js'
import type { Metrics } from './metrics.js'
import { releaseOutput } from './output-buffers.js'
import { RowEncoder, rowCountOf } from './row-encoder.js'
import { ScramExchange } from './scram.js'
import type { TlsIdentity } from './tls-identity.js'

/** What all connections of a listener share. */
export interface ConnectionContext {
  readonly config: Config
  readonly gateway: Gateway
  readonly credentials: Credentials
  readonly metrics: Metrics
  readonly tlsIdentity: () => Promise<TlsIdentity>
  /** Cancel keys by process id. */
  readonly cancelKeys: Map<number, Buffer>
  /** Whether another session may begin. */
  readonly admit: () => boolean
  readonly onBug: (bug: unknown) => void
}

const SSL_REQUEST = 80_877_103
const GSSENC_REQUEST = 80_877_104
const CANCEL_REQUEST = 80_877_102

/** Bytes collected before they are written to the socket. */
const FLUSH_BYTES = 64 * 1024
/** Unread bytes of a client at which its socket is no longer read. */
const READ_AHEAD_BYTES = 1024 * 1024

/** Parsed at Bind, needed again at Execute. */
interface PortalFormats {
  readonly codes: readonly number[]
}

/** One client's connection; lives until its socket closes. */
export class Connection {
  readonly #context: ConnectionContext
  readonly #onEnd: () => void
  #socket: Socket
  readonly #reader: MessageReader
  readonly #out = new MessageWriter()
  #session: GatewaySession | null = null
  #phase: 'startup' | 'password' | 'ready' = 'startup'
  #scram: ScramExchange | null = null
  #user = ''
  #startupSettings: (readonly [string, string])[] = []
  #minor = 0
  #secure = false
  #tlsHash: Buffer | null = null
  #pumping = false
  #ended = false
  #skipUntilSync = false
  #formats = new Map<string, PortalFormats>()
  #startupTimer: NodeJS.Timeout | undefined
  #idle = true
  /** A COPY FROM STDIN takes the client's messages. */
  #copying = false
  /** Wakes the COPY that waits for more bytes; null when none does. */
  #bytesWanted: (() => void) | null = null
  #pendingNotifications: (() => void)[] = []

  /** `onEnd` is called once, when the connection is over. */
  constructor(socket: Socket, context: ConnectionContext, onEnd: () => void) {
    this.#onEnd = onEnd
    this.#context = context
    this.#socket = socket
    this.#reader = new MessageReader(context.config.maxMessageBytes)
    this.#startupTimer = setTimeout(() => this.#destroy(), context.config.startupTimeoutMs)
    this.#listen(socket)
  }

  #listen(socket: Socket): void {
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', () => this.#destroy())
    socket.on('close', () => this.#destroy())
    socket.on('end', () => this.#destroy())
  }

  #receive(bytes: Buffer): void {
    if (this.#ended) return
    // Direct TLS: a handshake where a startup packet would be.
    if (
      this.#phase === 'startup' &&
      !this.#secure &&
      this.#reader.pendingBytes === 0 &&
      bytes[0] === 0x16
    ) {
      this.#socket.removeAllListeners('data')
      this.#socket.pause()
      this.#socket.unshift(bytes)
      void this.#startTls(false).catch(() => this.#destroy())
      return
    }
    this.#reader.push(bytes)
    const wanted = this.#bytesWanted
    const readAhead = this.#copying && wanted === null ? 0 : this.#context.config.maxMessageBytes
    if (this.#reader.pendingBytes > READ_AHEAD_BYTES + readAhead) this.#socket.pause()
    if (wanted !== null) wanted()
    else void this.#pump()
  }

  /** Handles messages one after another; what arrives meanwhile waits. */
  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    try {
      for (;;) {
        if (this.#ended) return
        const message = this.#reader.next()
        if (message === null) break
        this.#idle = false
        await this.#handle(message)
      }
      await this.#flush()
      this.#idle = true
      for (const send of this.#pendingNotifications.splice(0)) send()
      await this.#flush()
      if (!this.#ended && this.#socket.isPaused()) this.#socket.resume()
    } catch (thrown) {
      await this.#fatal(thrown)
    } finally {
      this.#pumping = false
    }
  }

  async #handle(message: FrontendMessage): Promise<void> {
    if (this.#phase === 'startup') return this.#startup(message.body)
    if (this.#phase === 'password') return this.#password(message)
    const session = this.#session
    if (session === null) throw protocolViolation('no session')
    const { type, body } = message
    if (this.#skipUntilSync && type !== 'S' && type !== 'X') return
    switch (type) {
      case 'Q':
        return this.#query(session, body)
      case 'P':
        return this.#extended(session, () => this.#parse(session, body))
      case 'B':
        return this.#extended(session, () => this.#bind(session, body))
      case 'D':
        return this.#extended(session, () => this.#describe(session, body))
      case 'E':
        return this.#extended(session, () => this.#execute(session, body))
      case 'C':
        return this.#extended(session, async () => {
          const kind = body.int8()
          const name = body.cstring()
          if (kind === 0x53) await session.closeStatement(name)
          else {
            this.#formats.delete(name)
            await session.closePortal(name)
          }
          this.#out.closeComplete()
        })
      case 'H':
        return this.#flush()
      case 'S':
        this.#skipUntilSync = false
        try {
          await session.sync()
        } catch (thrown) {
          this.#error(thrown)
        }
        this.#out.readyForQuery(statusOf(session))
        return this.#flush()
      case 'X':
        this.#destroy()
        return
      case 'd':
      case 'c':
      case 'f':
        // Left over from a COPY that has failed: PostgreSQL ignores them too.
        return
      case 'F':
        return this.#extended(session, () =>
          Promise.reject(
            new SqlError(
              SqlState.featureNotSupported,
              'function calls by protocol are not supported',
            ),
          ),
        )
      default:
        throw protocolViolation(`invalid frontend message type ${type.charCodeAt(0)}`)
    }
  }

  // ---- startup -----------------------------------------------------------------------------------

  async #startup(body: Fields): Promise<void> {
    const code = body.uint32()
    if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
      if (code === GSSENC_REQUEST || this.#secure) {
        await this.#write(Buffer.from('N'))
        return
      }
      // Bytes sent along in clear would be taken for encrypted ones afterwards: refused.
      if (this.#reader.pendingBytes > 0) {
        throw protocolViolation('received unencrypted data after SSL request')
      }
      this.#socket.removeAllListeners('data')
      this.#socket.pause()
      await this.#startTls(true)
      return
    }
    if (code === CANCEL_REQUEST) {
      const processId = body.int32()
      const secret = body.rest()
      const key = this.#context.cancelKeys.get(processId)
      if (key !== undefined && key.length === secret.length && key.equals(secret)) {
        this.#context.gateway.cancelSession(processId)
      }
      // Ended, not destroyed: over TLS the client waits for a clean close.
      this.#ended = true
      this.#socket.end()
      await this.#release()
      return
    }
    const major = code >>> 16
    const minor = code & 0xffff
    if (major !== 3) {
      throw new SqlError(
        SqlState.featureNotSupported,
        `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`,
        { severity: 'FATAL' },
      )
    }
    const parameters = new Map<string, string>()
    while (body.left > 1) {
      const name = body.cstring()
      if (name === '') break
      parameters.set(name, body.cstring())
    }
    const unknown = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'))
    this.#minor = minor >= 2 ? 2 : 0
    if (minor > 2 || minor === 1 || unknown.length > 0) {
      this.#out.negotiateProtocolVersion(this.#minor, unknown)
    }
    this.#user = parameters.get('user') ?? ''
    if (this.#user === '') {
      throw new SqlError(
        SqlState.invalidAuthorizationSpecification,
        'no PostgreSQL user name specified in startup packet',
        { severity: 'FATAL' },
      )
    }
    if ((parameters.get('replication') ?? 'false') !== 'false') {
      throw new SqlError(SqlState.featureNotSupported, 'replication is not supported', {
        severity: 'FATAL',
      })
    }
    this.#startupSettings = settingsOf(parameters)
    this.#database = parameters.get('database') || this.#user
    const isNear = isLoopback(this.#socket.remoteAddress ?? '')
    const method = await this.#context.credentials.methodOf(this.#user, isNear)
    if (method.kind === 'refuse') {
      throw new SqlError(
        SqlState.invalidAuthorizationSpecification,
        'connections from other machines need a password to be set',
        { severity: 'FATAL' },
      )
    }
    if (method.kind === 'trust') {
      await this.#begin(method.role)
      return
    }
    this.#method = method
    this.#phase = 'password'
    this.#reader.startupDone()
    const mechanisms =
      this.#tlsHash === null ? ['SCRAM-SHA-256'] : ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']
    this.#out.authentication(10, Buffer.from(`${mechanisms.join('\0')}\0\0`))
    await this.#flush()
  }

  #database = ''
  #method: Extract<LoginMethod, { kind: 'scram' }> | null = null

  async #startTls(answer: boolean): Promise<void> {
    const identity = await this.#context.tlsIdentity()
    if (answer) await new Promise<void>((resolve) => this.#socket.write('S', () => resolve()))
    const plain = this.#socket
    plain.removeAllListeners()
    plain.on('error', () => this.#destroy())
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: identity.context,
      ALPNProtocols: ['postgresql'],
    })
    this.#socket = secure
    this.#secure = true
    this.#tlsHash = identity.hash
    this.#listen(secure)
    plain.on('close', () => this.#destroy())
    secure.resume()
  }

  async #password(message: FrontendMessage): Promise<void> {
    if (message.type !== 'p') throw protocolViolation('expected a password message')
    const { body } = message
    if (this.#scram === null) {
      const mechanism = body.cstring()
      const plus = mechanism === 'SCRAM-SHA-256-PLUS'
      if (!plus && mechanism !== 'SCRAM-SHA-256') throw protocolViolation('unknown SASL mechanism')
      if (plus && this.#tlsHash === null) throw protocolViolation('channel binding needs TLS')
      const first = body.value()
      if (this.#method === null) throw protocolViolation('no method of authentication')
      const { verifier, known } = this.#method
      this.#scram = new ScramExchange(verifier, known, plus, this.#tlsHash)
      this.#out.authentication(
        11,
        Buffer.from(this.#scram.first((first ?? Buffer.alloc(0)).toString('utf8'))),
      )
      await this.#flush()
      return
    }
    const last = this.#scram.final(body.rest().toString('utf8'), this.#user)
    this.#out.authentication(12, Buffer.from(last))
    await this.#begin(this.#user)
  }

  /** Begins the session of a client that has shown to be the role `login`. */
  async #begin(login: string): Promise<void> {
    const { config, gateway } = this.#context
    const role = await this.#requireLogin(login)
    // A client that has gone meanwhile must not be given a session that nobody ends.
    if (this.#ended) return
    if (this.#database !== config.database && this.#database !== this.#user) {
      throw new SqlError(
        SqlState.invalidCatalogName,
        `database "${this.#database}" does not exist`,
        {
          severity: 'FATAL',
        },
      )
    }
    if (!this.#context.admit()) {
      throw new SqlError(SqlState.tooManyConnections, 'sorry, too many clients already', {
        severity: 'FATAL',
      })
    }
    clearTimeout(this.#startupTimer)
    let session: GatewaySession
    try {
      session = new GatewaySession({
        gateway,
        user: this.#user,
        login: role,
        isSuperuser: role.superuser,
        roleSettings: Object.entries(role.settings),
        events: this.#events(),
        settings: this.#startupSettings,
        client: {
          clientAddress: plainAddress(this.#socket.remoteAddress),
          clientPort: this.#socket.remotePort ?? null,
          serverAddress: plainAddress(this.#socket.localAddress),
          serverPort: this.#socket.localPort ?? null,
          secure: this.#secure,
        },
      })
    } catch (thrown) {
      throw thrown instanceof SqlError
        ? new SqlError(thrown.sqlState, thrown.message, { severity: 'FATAL', hint: thrown.hint })
        : thrown
    }
    this.#session = session
    this.#reader.startupDone()
    this.#phase = 'ready'
    this.#context.metrics.connections.inc()
    this.#out.authentication(0)
    for (const [name, value] of session.settings.reported()) this.#out.parameterStatus(name, value)
    const secret = randomBytes(this.#minor >= 2 ? 32 : 4)
    this.#context.cancelKeys.set(session.processId, secret)
    this.#out.backendKeyData(session.processId, secret)
    this.#out.readyForQuery('I')
    await this.#flush()
  }

  /** The role, which may log in now; FATAL 28000, 42501 and 53300 when it may not. */
  async #requireLogin(login: string): Promise<Role> {
    const { config, gateway } = this.#context
    const refused = (sqlState: SqlState, message: string, detail?: string): SqlError =>
      new SqlError(sqlState, message, { severity: 'FATAL', detail })
    const access = await gateway.catalog.access()
    const role = access.roles.named(login)
    if (role === undefined) {
      const message = `role "${login}" does not exist`
      throw refused(SqlState.invalidAuthorizationSpecification, message)
    }
    if (!role.login) {
      const message = `role "${login}" is not permitted to log in`
      throw refused(SqlState.invalidAuthorizationSpecification, message)
    }
    if (!mayConnect(access, role)) {
      throw refused(
        SqlState.insufficientPrivilege,
        `permission denied for database "${config.database}"`,
        'User does not have CONNECT privilege.',
      )
    }
    const open = [...gateway.sessions.values()].filter((one) => one.login === role.id).length
    if (!role.superuser && role.connectionLimit >= 0 && open >= role.connectionLimit) {
      throw refused(SqlState.tooManyConnections, `too many connections for role "${login}"`)
    }
    return role
  }

  #events(): SessionEvents {
    return {
      notice: ({ severity, sqlState, message, ...more }) =>
        this.#out.notice(severity, sqlState, message, more),
      parameterStatus: (name, value) => this.#out.parameterStatus(name, value),
      notification: ({ processId, channel, payload }) => {
        const send = (): void => this.#out.notification(processId, channel, payload)
        if (!this.#idle) this.#pendingNotifications.push(send)
        else {
          send()
          void this.#flush().catch(() => this.#destroy())
        }
      },
      terminate: (error) => {
        this.#session?.cancel(error)
        void this.#fatal(error)
      },
    }
  }

  // ---- messages ----------------------------------------------------------------------------------

  async #query(session: Session, body: Fields): Promise<void> {
    const stop = this.#context.metrics.duration.startTimer()
    try {
      const sql = body.cstring()
      for await (const result of session.query(sql)) {
        await this.#send(result, [], true)
      }
    } catch (thrown) {
      this.#error(thrown)
    }
    stop()
    this.#out.readyForQuery(statusOf(session))
    await this.#flush()
  }

  /** One message of the extended protocol: after an error all are skipped until Sync. */
  async #extended(session: Session, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (thrown) {
      this.#error(thrown)
      this.#skipUntilSync = true
      await session.fail()
    }
  }

  async #parse(session: Session, body: Fields): Promise<void> {
    const name = body.cstring()
    const sql = body.cstring()
    const oids = Array.from({ length: body.int16() }, () => body.uint32())
    if (name === '') await session.closeStatement('')
    await session.parse(name, sql, oids)
    this.#out.parseComplete()
  }

  async #bind(session: Session, body: Fields): Promise<void> {
    const portal = body.cstring()
    const statement = body.cstring()
    const formats = Array.from({ length: body.int16() }, () => formatCode(body.int16()))
    const raw = Array.from({ length: body.int16() }, () => body.value())
    const codes = Array.from({ length: body.int16() }, () => formatCode(body.int16()))
    const types = await session.parameterTypes(statement)
    if (formats.length > 1 && formats.length !== raw.length) {
      throw new SqlError(
        SqlState.protocolViolation,
        `bind message has ${formats.length} parameter formats but ${raw.length} parameters`,
      )
    }
    const isRelayed = await session.takesWireParameters(statement)
    const values: EngineValue[] = raw.map((bytes, i) => {
      const format = (formats.length === 1 ? formats[0] : formats[i]) ?? 0
      if (isRelayed) {
        return { type: scalarType('VARCHAR'), value: null, wire: { bytes, format } }
      }
      return decodeParameter(
        bytes,
        format,
        types[i] ?? { oid: 25, typmod: -1 },
        session.outputStyle,
      )
    })
    await session.bind(portal, statement, values, codes)
    this.#formats.set(portal, { codes })
    this.#out.bindComplete()
  }

  async #describe(session: Session, body: Fields): Promise<void> {
    const kind = body.int8()
    const name = body.cstring()
    if (kind === 0x53) {
      const { parameterTypes, columns } = await session.describeStatement(name)
      this.#out.parameterDescription(parameterTypes)
      if (columns === null) this.#out.noData()
      else this.#out.rowDescription(columns, [])
      return
    }
    const columns = await session.describePortal(name)
    if (columns === null) this.#out.noData()
    else this.#out.rowDescription(columns, this.#formatsOf(name, columns))
  }

  async #execute(session: Session, body: Fields): Promise<void> {
    const name = body.cstring()
    const limit = body.int32()
    const stop = this.#context.metrics.duration.startTimer()
    const result = await session.execute(name, Math.max(0, limit), this.#reader.nextIs('S'))
    const formats = result.kind === 'rows' ? this.#formatsOf(name, result.columns) : []
    await this.#send(result, formats, false)
    stop()
  }

  #formatsOf(portal: string, columns: readonly ResultColumn[]): (0 | 1)[] {
    const codes = this.#formats.get(portal)?.codes ?? []
    if (codes.length > 1 && codes.length !== columns.length) {
      throw new SqlError(
        SqlState.protocolViolation,
        `bind message has ${codes.length} result formats but query has ${columns.length} columns`,
      )
    }
    return columns.map((_, i) => ((codes.length === 1 ? codes[0] : codes[i]) === 1 ? 1 : 0))
  }

  async #send(result: Result, formats: readonly (0 | 1)[], describe: boolean): Promise<void> {
    const { metrics } = this.#context
    metrics.statements.inc({ outcome: 'ok' })
    switch (result.kind) {
      case 'empty':
        this.#out.emptyQuery()
        return
      case 'command':
        this.#out.commandComplete(result.tag)
        return
      case 'rows': {
        if (describe) this.#out.rowDescription(result.columns, formats)
        const encoder = new RowEncoder(result.columns, formats, result.style)
        let rowCount = 0
        for await (const batch of result.batches) {
          rowCount += rowCountOf(batch)
          for (const piece of encoder.encode(batch)) {
            this.#out.raw(piece)
            if (this.#out.sizeBytes >= FLUSH_BYTES) await this.#flush()
          }
        }
        metrics.rows.inc(rowCount)
        if (result.suspended()) this.#out.portalSuspended()
        else this.#out.commandComplete(result.tag(rowCount))
        return
      }
      case 'copy-out': {
        this.#out.copyOutResponse(result.copy.format === 'binary', result.columns.length)
        const encoder = new CopyEncoder(result.columns, result.copy, result.style)
        this.#out.raw(encoder.header())
        let rowCount = 0
        for await (const batch of result.batches) {
          rowCount += rowCountOf(batch)
          for (const piece of encoder.encode(batch)) {
            this.#out.raw(piece)
            if (this.#out.sizeBytes >= FLUSH_BYTES) await this.#flush()
          }
        }
        metrics.rows.inc(rowCount)
        this.#out.raw(encoder.trailer())
        this.#out.copyDone()
        this.#out.commandComplete(result.tag(rowCount))
        return
      }
      case 'copy-in':
        this.#out.commandComplete(await this.#copyIn(result.copy))
        return
    }
  }

  /** Takes the rows of a COPY FROM and answers its tag. */
  async #copyIn(copy: CopyIn): Promise<string> {
    try {
      const decoder = isSpooled(copy) ? new CopySpool(copy) : new CopyDecoder(copy)
      if (copy.source === 'client') {
        this.#out.copyInResponse(isBinary(copy), copy.columns.length)
        await this.#flush()
        await this.#receiveCopy(decoder, copy.cancellation)
      } else {
        for await (const file of copy.source) {
          for await (const bytes of file) await decoder.push(bytes)
          await decoder.end()
        }
      }
      return await copy.finish(decoder.rejectedCount)
    } catch (thrown) {
      throw await copy.abort(thrown)
    }
  }

  async #receiveCopy(decoder: CopyDecoder | CopySpool, cancellation: Cancellation): Promise<void> {
    this.#copying = true
    try {
      for (;;) {
        cancellation.check()
        const message = this.#reader.next()
        if (message === null) {
          await this.#moreBytes(cancellation)
          continue
        }
        const { type, body } = message
        switch (type) {
          case 'd': {
            const busy = decoder.push(body.rest())
            if (busy !== undefined) await busy
            break
          }
          case 'c':
            await decoder.end()
            return
          case 'f':
            throw new SqlError(SqlState.queryCanceled, `COPY from stdin failed: ${body.cstring()}`)
          case 'H':
          case 'S':
            // Clients that do not know yet what the statement is have sent them along.
            break
          default: {
            const code = type.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')
            throw protocolViolation(`unexpected message type 0x${code} during COPY from stdin`)
          }
        }
      }
    } finally {
      this.#copying = false
    }
  }

  /** Waits until the client has sent more, or the statement is cancelled. */
  async #moreBytes(cancellation: Cancellation): Promise<void> {
    await new Promise<void>((resolve) => {
      const unregister = cancellation.onCancel(() => resolve())
      this.#bytesWanted = () => {
        unregister()
        resolve()
      }
      if (this.#socket.isPaused()) this.#socket.resume()
    })
    this.#bytesWanted = null
  }

  // ---- ends --------------------------------------------------------------------------------------

  #error(thrown: unknown): void {
    if (!(thrown instanceof SqlError) || thrown.severity === 'FATAL') throw thrown
    this.#context.metrics.statements.inc({ outcome: thrown.sqlState })
    this.#out.error(thrown)
  }

  /** Tells the client and closes. */
  async #fatal(thrown: unknown): Promise<void> {
    if (this.#ended) return
    if (!(thrown instanceof SqlError)) this.#context.onBug(thrown)
    else if (thrown.severity !== 'FATAL') {
      thrown = new SqlError(thrown.sqlState, thrown.message, { severity: 'FATAL' })
    }
    this.#out.error(thrown)
    const bytes = this.#out.take()
    this.#ended = true
    this.#socket.end(bytes)
    setTimeout(() => this.#socket.destroy(), 1000).unref()
    await this.#release()
  }

  /** The client is told why and the connection closes; for shutdown. */
  async terminate(error: SqlError): Promise<void> {
    this.#session?.cancel(error)
    await this.#fatal(error)
  }

  /** Whether no statement is running. */
  get idle(): boolean {
    return this.#idle
  }

  #destroy(): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket.destroy()
    void this.#release()
  }

  async #release(): Promise<void> {
    clearTimeout(this.#startupTimer)
    this.#onEnd()
    const session = this.#session
    this.#session = null
    if (session === null) return
    this.#context.metrics.connections.dec()
    this.#context.cancelKeys.delete(session.processId)
    try {
      await session.close()
    } catch (thrown) {
      this.#context.onBug(thrown)
    }
  }

  async #flush(): Promise<void> {
    if (this.#out.sizeBytes > 0) await this.#write(this.#out.take())
  }

  /** Writes and waits while the client is slower: that holds back the stream and DuckDB with it. */
  async #write(bytes: Buffer): Promise<void> {
    const socket = this.#socket
    if (this.#ended || socket.write(bytes)) return
    const drained = await new Promise<boolean>((resolve) => {
      const settle = (answer: boolean): void => {
        socket.off('drain', onDrain)
        socket.off('close', onClose)
        resolve(answer)
      }
      const onDrain = (): void => settle(true)
      const onClose = (): void => settle(false)
      socket.on('drain', onDrain)
      socket.on('close', onClose)
    })
    // Nothing that was written before is left then.
    if (drained) releaseOutput(bytes)
  }
}

/** Whether the planner reads the bytes, not the server. */
function isSpooled({ format: { format } }: CopyIn): boolean {
  return format === 'parquet' || format === 'arrow'
}

/** Whether the client is to send bytes that are no text. */
function isBinary({ format: { format } }: CopyIn): boolean {
  return format !== 'text' && format !== 'csv'
}

function statusOf(session: Session): 'I' | 'T' | 'E' {
  switch (session.transactionStatus) {
    case 'idle':
      return 'I'
    case 'active':
      return 'T'
    case 'failed':
      return 'E'
  }
}

function formatCode(code: number): 0 | 1 {
  if (code === 0 || code === 1) return code
  throw new SqlError(SqlState.invalidParameterValue, `unsupported format code: ${code}`)
}

/** Settings a startup message carries: everything but the names of its own, and `options`. */
function settingsOf(parameters: ReadonlyMap<string, string>): (readonly [string, string])[] {
  const own = new Set(['user', 'database', 'options', 'replication'])
  const settings: (readonly [string, string])[] = []
  const options = parameters.get('options')
  if (options !== undefined) {
    const words = [...options.matchAll(/(?:\\.|\S)+/g)].map((match) =>
      match[0].replace(/\\(.)/g, '$1'),
    )
    for (let i = 0; i < words.length; i++) {
      const word = words[i] ?? ''
      const assignment =
        word === '-c' ? words[++i] : word.startsWith('--') ? word.slice(2) : word.replace(/^-c/, '')
      const at = assignment?.indexOf('=') ?? -1
      if (assignment === undefined || at < 1) {
        throw new SqlError(
          SqlState.syntaxError,
          `invalid command-line argument for server process: ${word}`,
          { severity: 'FATAL' },
        )
      }
      settings.push([assignment.slice(0, at).replaceAll('-', '_'), assignment.slice(at + 1)])
    }
  }
  for (const [name, value] of parameters) {
    if (!own.has(name) && !name.startsWith('_pq_.')) settings.push([name, value])
  }
  return settings
}
