/** Servers: a PostgreSQL and a gateway to compare, each a process of its own. */

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Folder of initdb and pg_ctl, or undefined where no PostgreSQL server is installed. */
export function findServer() {
  const places = (process.env.PATH ?? '').split(':')
  if (existsSync('/usr/lib/postgresql')) {
    for (const version of readdirSync('/usr/lib/postgresql').sort(
      (a, b) => Number(b) - Number(a),
    )) {
      places.unshift(`/usr/lib/postgresql/${version}/bin`)
    }
  }
  return places.find(
    (place) => existsSync(join(place, 'initdb')) && existsSync(join(place, 'pg_ctl')),
  )
}

/** Runs as a user who may own a PostgreSQL cluster: never root. */
function asOwner(command, args) {
  const root = process.getuid?.() === 0
  const line = [command, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  return root
    ? execFileSync('su', ['postgres', '-c', line], { stdio: 'pipe' })
    : execFileSync(command, args, { stdio: 'pipe' })
}

/** A throw-away cluster on a free port, its data under `work`; `options` go to the server. */
export async function startPostgres(bin, work, options = '-c fsync=off') {
  const data = join(work, 'pg')
  mkdirSync(data)
  if (process.getuid?.() === 0) {
    execFileSync('chmod', ['755', work])
    execFileSync('chown', ['postgres', data])
  }
  asOwner(join(bin, 'initdb'), [
    '-D',
    data,
    '-U',
    'lakegate',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--lc-collate=C',
    '--lc-ctype=C.UTF-8',
    '--no-sync',
  ])
  const port = 20000 + Math.floor(Math.random() * 20000)
  asOwner(join(bin, 'pg_ctl'), [
    '-D',
    data,
    '-w',
    '-l',
    join(data, 'log'),
    '-o',
    `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= ${options} -c timezone=UTC`,
    'start',
  ])
  return { port, stop: () => asOwner(join(bin, 'pg_ctl'), ['-D', data, '-m', 'immediate', 'stop']) }
}

/** A gateway process of the build at `gatewayPath`, serving `<work>/lake`. */
export async function startGateway(gatewayPath, work) {
  mkdirSync(join(work, 'lake'), { recursive: true })
  const child = spawn(process.execPath, [gatewayPath], {
    cwd: work,
    env: {
      ...process.env,
      LAKEGATE_PORT: '0',
      LAKEGATE_HTTP_PORT: '0',
      LAKEGATE_LAKE: join(work, 'lake'),
      LAKEGATE_PASSWORD: '',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const port = await new Promise((done, fail) => {
    let text = ''
    const read = (bytes) => {
      text += bytes
      const match = / on 127\.0\.0\.1:(\d+),/.exec(text)
      if (match) done(Number(match[1]))
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', () => fail(new Error(`the gateway did not start: ${text}`)))
  })
  return { port, pid: child.pid, stop: () => child.kill('SIGTERM') }
}
