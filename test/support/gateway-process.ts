/** A gateway in a process of its own, which can be killed. */

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

export interface GatewayProcess {
  readonly port: number
  readonly child: ChildProcess
  /** Resolved when the process has ended, however. */
  readonly ended: Promise<void>
  /** What it has printed so far. */
  output(): string
}

const bootstrap = fileURLToPath(new URL('../../dist/server/bootstrap.cjs', import.meta.url))

/** Starts the built gateway on the folder `lake`; fails when it ends before it serves. */
export function startGatewayProcess(lake: string): Promise<GatewayProcess> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bootstrap], {
      env: {
        ...process.env,
        LAKEGATE_LAKE: lake,
        LAKEGATE_PORT: '0',
        LAKEGATE_HTTP_PORT: '0',
        LAKEGATE_PASSWORD: '',
        // What a killed gateway left half done is looked after soon.
        LAKEGATE_GROUP_TIMEOUT_MS: '1000',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let printed = ''
    let isUp = false
    const ended = new Promise<void>((done) => child.on('close', () => done()))
    const read = (bytes: Buffer): void => {
      printed += bytes.toString()
      const port = / on 127\.0\.0\.1:(\d+),/.exec(printed)?.[1]
      if (isUp || port === undefined) return
      isUp = true
      resolve({ port: Number(port), child, ended, output: () => printed })
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('error', reject)
    void ended.then(() => reject(new Error(`the gateway did not start: ${printed}`)))
  })
}

/** A client of it whose broken connection is no unhandled error. */
export async function connectTo({ port }: Pick<GatewayProcess, 'port'>): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'lakegate', database: 'lake' })
  client.on('error', () => {})
  await client.connect()
  return client
}
