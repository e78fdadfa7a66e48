/** Faulty proxy: an HTTP proxy before an S3 server that loses, delays, cuts and refuses requests. */

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What may go wrong with a request; each is a share of all of them. */
export interface Faults {
  /** Refused with 503 SlowDown. */
  readonly refused: number
  /** The connection breaks before the server sees the request. */
  readonly lost: number
  /** The connection breaks after the server has done what it was asked. */
  readonly unanswered: number
  /** The connection breaks half-way through the answer. */
  readonly cut: number
  readonly delayed: number
}

export interface FaultyProxy {
  readonly endpoint: string
  /** From now on; none at first. */
  faults: Faults | null
  /** How often each fault was made. */
  readonly counts: Record<keyof Faults, number>
  close(): Promise<void>
}

/** A proxy before `target` whose faults follow from `seed`. */
export async function startFaultyProxy(target: string, seed: number): Promise<FaultyProxy> {
  const upstream = new URL(target)
  let state = seed >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const counts = { refused: 0, lost: 0, unanswered: 0, cut: 0, delayed: 0 }
  const proxy = { faults: null as Faults | null }
  const choose = (): keyof Faults | null => {
    if (proxy.faults === null) return null
    let at = random()
    for (const [name, share] of Object.entries(proxy.faults) as [keyof Faults, number][]) {
      if (at < share) {
        counts[name]++
        return name
      }
      at -= share
    }
    return null
  }
  const serve = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const fault = choose()
    const body: Buffer[] = []
    for await (const chunk of incoming) body.push(chunk as Buffer)
    if (fault === 'refused') {
      answer.writeHead(503, { 'content-type': 'application/xml' })
      answer.end(
        '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
      )
      return
    }
    if (fault === 'lost') {
      incoming.socket.destroy()
      return
    }
    if (fault === 'delayed') await new Promise((done) => setTimeout(done, 20 + random() * 200))
    const outgoing = request({
      host: upstream.hostname,
      port: upstream.port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
    })
    outgoing.end(Buffer.concat(body))
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve)
      outgoing.on('error', reject)
    })
    const bytes: Buffer[] = []
    for await (const chunk of reply) bytes.push(chunk as Buffer)
    if (fault === 'unanswered') {
      incoming.socket.destroy()
      return
    }
    const whole = Buffer.concat(bytes)
    answer.writeHead(reply.statusCode ?? 500, reply.headers)
    if (fault === 'cut' && whole.length > 1) {
      answer.write(whole.subarray(0, whole.length >> 1), () => incoming.socket.destroy())
    } else answer.end(whole)
  }
  const server = createServer((incoming, answer) => {
    serve(incoming, answer).catch(() => incoming.socket.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return Object.assign(proxy, {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((done) => {
        server.close(() => done())
      })
    },
  })
}
