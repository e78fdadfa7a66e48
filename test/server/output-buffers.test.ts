/** Memory of output is used again only when nobody reads it any more. */

import { createHash } from 'node:crypto'
import net from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OUTPUT_BUFFER_BYTES, outputBuffer, releaseOutput } from '../../server/output-buffers.js'
import { startGateway, type TestGateway } from '../support/gateway.js'
import { cstring, message, startup } from '../support/raw-client.js'

let gateway: TestGateway

beforeAll(async () => {
  gateway = await startGateway()
})

afterAll(() => gateway?.close())

it('gives memory that was released to one taker only', () => {
  const first = outputBuffer(100_000)
  releaseOutput(first)
  releaseOutput(first)
  const [second, third] = [outputBuffer(OUTPUT_BUFFER_BYTES), outputBuffer(50_000)]
  expect(second.buffer).toBe(first.buffer)
  expect(third.buffer).not.toBe(second.buffer)
})

it('leaves memory of others alone', () => {
  const other = Buffer.from(new ArrayBuffer(OUTPUT_BUFFER_BYTES))
  releaseOutput(other)
  expect(outputBuffer(100_000).buffer).not.toBe(other.buffer)
  expect(outputBuffer(OUTPUT_BUFFER_BYTES + 1).length).toBe(OUTPUT_BUFFER_BYTES + 1)
})

/** The hash of all bytes that answer `sql`; a `slow` reader stops for a while after the first of them. */
function answer(sql: string, slow: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('md5')
    const socket = net.connect(gateway.port, '127.0.0.1')
    const ready = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
    let tail = Buffer.alloc(0)
    let asked = false
    let rested = false
    socket.on('error', reject)
    socket.on('connect', () => socket.write(startup()))
    socket.on('data', (chunk) => {
      if (asked) hash.update(chunk)
      tail = Buffer.concat([tail, chunk]).subarray(-6)
      if (tail.equals(ready)) {
        if (asked) {
          socket.destroy()
          resolve(hash.digest('hex'))
          return
        }
        asked = true
        socket.write(message('Q', cstring(sql)))
      } else if (slow && !rested) {
        rested = true
        socket.pause()
        setTimeout(() => socket.resume(), 1500)
      }
    })
  })
}

it('never mixes the rows of clients that read at different speeds', {
  timeout: 60_000,
}, async () => {
  const queries = ['a', 'b', 'c', 'd'].map(
    (letter) =>
      `SELECT i, repeat('${letter}', 1 + i % 200) || i FROM generate_series(1, 150000) g(i)`,
  )
  const alone: string[] = []
  for (const sql of queries) alone.push(await answer(sql, false))
  const together = await Promise.all(queries.map((sql, i) => answer(sql, i % 2 === 0)))
  expect(together).toEqual(alone)
  expect(new Set(alone).size).toBe(queries.length)
})
