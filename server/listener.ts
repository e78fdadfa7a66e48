/** Listener: accepts connections on the PostgreSQL port and serves /metrics and health over HTTP; drains at shutdown. */

import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Gateway } from '../planner/gateway.js'
import { SqlError, SqlState } from '../storage/errors.js'
import { type Config, ConfigError } from './config.js'
import { Connection, type ConnectionContext } from './connection.js'
import { Credentials } from './credentials.js'
import { Metrics } from './metrics.js'
import { generateTlsIdentity, readTlsIdentity, type TlsIdentity } from './tls-identity.js'

/** An open gateway: its ports, and how to close it. */
export interface Listener {
  readonly port: number
  readonly httpPort: number
  /** Stops accepting, gives running statements the configured time, then closes every connection. */
  close(): Promise<void>
}

/** Opens both ports; ConfigError in plain words when one is taken. */
export async function listen(
  config: Config,
  gateway: Gateway,
  onBug: (bug: unknown) => void,
): Promise<Listener> {
  const metrics = new Metrics()
  const connections = new Set<Connection>()
  const given =
    config.tlsCert !== null && config.tlsKey !== null
      ? await readTlsIdentity(config.tlsCert, config.tlsKey)
      : null
  let identity: Promise<TlsIdentity> | undefined
  const context: ConnectionContext = {
    config,
    gateway,
    credentials: await Credentials.of(config.password, gateway.catalog),
    metrics,
    tlsIdentity: () =>
      (identity ??= given === null ? generateTlsIdentity() : Promise.resolve(given)),
    cancelKeys: new Map(),
    admit: () => gateway.sessions.size < config.maxConnections,
    onBug,
  }
  let closing = false
  const server = createServer((socket) => {
    const connection: Connection = new Connection(socket, context, () =>
      connections.delete(connection),
    )
    connections.add(connection)
  })
  const http = createHttpServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]
    if (path === '/metrics') {
      void metrics.registry.metrics().then((text) => {
        response.setHeader('content-type', metrics.registry.contentType)
        response.end(text)
      })
    } else if (path === '/healthz') response.end('ok\n')
    else if (path === '/readyz') {
      response.statusCode = closing ? 503 : 200
      response.end(closing ? 'closing\n' : 'ready\n')
    } else {
      response.statusCode = 404
      response.end('not found\n')
    }
  })
  const port = await open(server, config.host, config.port, 'LAKEGATE_PORT')
  let httpPort: number
  try {
    httpPort = await open(http, config.host, config.httpPort, 'LAKEGATE_HTTP_PORT')
  } catch (thrown) {
    server.close()
    throw thrown
  }
  return {
    port,
    httpPort,
    close: async () => {
      closing = true
      server.close()
      const until = Date.now() + config.shutdownTimeoutMs
      while (Date.now() < until && [...connections].some((connection) => !connection.idle)) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      await Promise.all(
        [...connections].map((connection) =>
          connection.terminate(
            new SqlError(
              SqlState.adminShutdown,
              'terminating connection due to administrator command',
              { severity: 'FATAL' },
            ),
          ),
        ),
      )
      http.close()
      http.closeAllConnections()
    },
  }
}

function open(
  server: Server | HttpServer,
  host: string,
  port: number,
  variable: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(
          new ConfigError(
            `port ${port} on ${host} is already taken; stop what listens there or set ${variable}`,
          ),
        )
      } else if (error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL') {
        reject(new ConfigError(`cannot listen on ${host}:${port}: ${error.code}; see ${variable}`))
      } else reject(error)
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}
