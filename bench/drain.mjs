/** Drain: a client that asks for rows and throws their bytes away; `drain(port, database, sql, format)` answers seconds and bytes. */

import net from 'node:net'

function message(type, body) {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function drain(port, database, sql, format) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    const startup = Buffer.from(`\0\x03\0\0user\0lakegate\0database\0${database}\0\0`, 'latin1')
    const length = Buffer.alloc(4)
    length.writeInt32BE(startup.length + 4)
    let started = 0
    let bytes = 0
    let tail = Buffer.alloc(0)
    socket.on('connect', () => socket.write(Buffer.concat([length, startup])))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      bytes += chunk.length
      tail = Buffer.concat([tail, chunk.subarray(-400)]).subarray(-400)
      if (!tail.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return
      if (started !== 0) {
        socket.destroy()
        const text = tail.toString('latin1')
        const tag = /(?:SELECT|COPY) (\d+)\0/.exec(text)?.[1]
        if (tag === undefined) reject(new Error(`the query failed: ${text}`))
        else resolve({ seconds: (performance.now() - started) / 1000, bytes, rows: Number(tag) })
        return
      }
      started = performance.now()
      bytes = 0
      if (format === 'copy') socket.write(message('Q', Buffer.from(`${sql}\0`)))
      else {
        socket.write(
          Buffer.concat([
            message('P', Buffer.from(`\0${sql}\0\0\0`)),
            message('B', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, format === 'binary' ? 1 : 0])),
            message('E', Buffer.from([0, 0, 0, 0, 0])),
            message('S', Buffer.alloc(0)),
          ]),
        )
      }
    })
  })
}

const [port, database, format, sql] = process.argv.slice(2)
console.log(JSON.stringify(await drain(Number(port), database, sql, format)))
