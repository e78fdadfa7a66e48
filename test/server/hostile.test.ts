/** Bytes that no client sends: the gateway lives, and other sessions notice nothing. */

import net from 'node:net'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.js'

let gateway: TestGateway
let witness: pg.Client

beforeAll(async () => {
  gateway = await startGateway()
  witness = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
  })
  await witness.connect()
})

afterAll(async () => {
  await witness?.end()
  await gateway?.close()
  expect(gateway.bugs).toEqual([])
})

/** More by hand: LAKEGATE_FUZZ_RUNS=100000. */
const RUNS = Number(process.env.LAKEGATE_FUZZ_RUNS ?? 60)

function startup(): Buffer {
  const body = Buffer.from('\0\x03\0\0user\0lakegate\0database\0lake\0\0', 'latin1')
  const head = Buffer.alloc(4)
  head.writeInt32BE(body.length + 4)
  return Buffer.concat([head, body])
}

async function throwAt(bytes: Uint8Array, afterStartup: boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = net.connect(gateway.port, '127.0.0.1', () => {
      if (afterStartup) socket.write(startup())
      socket.write(bytes, () => setTimeout(() => socket.destroy(), 5))
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
  })
}

async function witnessAnswers(): Promise<void> {
  expect((await witness.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }])
}

it('survives random bytes before and after the startup', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), throwAt), {
    numRuns: RUNS,
    seed: 42,
  })
  await witnessAnswers()
})

it('survives messages of known types with random bodies', async () => {
  const message = fc
    .tuple(fc.constantFrom(...'QPBDECHSFdcfX'), fc.uint8Array({ maxLength: 60 }))
    .map(([type, body]) => {
      const head = Buffer.alloc(5)
      head.write(type, 0, 'latin1')
      head.writeInt32BE(body.length + 4, 1)
      return Buffer.concat([head, body])
    })
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 6 }), (messages) =>
      throwAt(Buffer.concat(messages), true),
    ),
    { numRuns: RUNS, seed: 7 },
  )
  await witnessAnswers()
})

it('survives hundreds of connections opened and dropped', async () => {
  const cut = (i: number): Buffer => (i % 2 === 0 ? startup() : startup().subarray(0, 9))
  await Promise.all(Array.from({ length: 300 }, (_, i) => throwAt(cut(i), false)))
  await witnessAnswers()
})

it('refuses a message length it would have to allocate', async () => {
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = net.connect(gateway.port, '127.0.0.1', () => {
        socket.write(startup())
        socket.write(Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]))
      })
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1')
      })
      socket.on('close', () => resolve(text))
    })
  let answer = await ask()
  // Connections that other tests have dropped are let go of first.
  for (let i = 0; i < 100 && answer.includes('C53300'); i++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer = await ask()
  }
  expect(answer).toContain('C08P01')
})
