/** Feed: a client that sends a file by COPY FROM STDIN as fast as the server takes it; prints seconds and rows. */

import { createReadStream } from 'node:fs'
import net from 'node:net'

/** Bytes of each CopyData message, as psql and drivers send them. */
const MESSAGE_BYTES = 64 * 1024

function message(type, body) {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return [head, body]
}

function feed(port, database, path, sql) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    const startup = Buffer.from(`\0\x03\0\0user\0lakegate\0database\0${database}\0\0`, 'latin1')
    const length = Buffer.alloc(4)
    length.writeInt32BE(startup.length + 4)
    let started = 0
    let fed = false
    let tail = Buffer.alloc(0)
    const send = async () => {
      for await (const bytes of createReadStream(path, { highWaterMark: MESSAGE_BYTES })) {
        const [head, body] = message('d', bytes)
        socket.write(head)
        if (!socket.write(body)) await new Promise((drained) => socket.once('drain', drained))
      }
      for (const part of message('c', Buffer.alloc(0))) socket.write(part)
    }
    socket.on('connect', () => socket.write(Buffer.concat([length, startup])))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      tail = Buffer.concat([tail, chunk]).subarray(-400)
      if (started !== 0 && !fed && chunk[0] === 0x47) {
        fed = true
        send().catch(reject)
        return
      }
      if (!tail.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return
      if (started !== 0) {
        socket.destroy()
        const tag = /COPY (\d+)\0/.exec(tail.toString('latin1'))?.[1]
        if (tag === undefined) reject(new Error(`COPY failed: ${tail.toString('latin1')}`))
        else resolve({ seconds: (performance.now() - started) / 1000, rows: Number(tag) })
        return
      }
      started = performance.now()
      socket.write(Buffer.concat(message('Q', Buffer.from(`${sql}\0`))))
    })
  })
}

const [port, database, path, sql] = process.argv.slice(2)
console.log(JSON.stringify(await feed(Number(port), database, path, sql)))
