/** PgCatalog: pg_catalog and information_schema, answered by PostgreSQL itself in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SqlError, SqlState } from '../storage/errors.js'
import type { CatalogRequest, CatalogResponse } from './pg-catalog-process.js'

/** What a catalog query gives. */
export type CatalogAnswer = Extract<CatalogResponse, { rows: unknown }>

/** A catalog query that takes longer is taken to hang; its process is replaced. */
const TIMEOUT_MS = 20_000

/**
 * A PostgreSQL (PGlite) that holds empty tables of the lake's shape.
 *
 * Started by the first catalog query; a crash or a hang costs that query an error and the next one
 * a new start. Queries of users never wait for it.
 */
export class PgCatalog {
  #child: ChildProcess | undefined
  #ready: Promise<void> | undefined
  #mirrored: string | null = null
  #nextId = 1
  readonly #waiting = new Map<
    number,
    { resolve: (answer: CatalogResponse) => void; reject: (error: unknown) => void }
  >()

  /**
   * Runs (or only describes) `sql` over a shadow made by `mirror`, with `session` in force.
   *
   * Throws PostgreSQL's own errors with their codes; 57P02 when the process ended or hung.
   */
  async query(
    request: Omit<CatalogRequest, 'id' | 'mirror'>,
    mirror: string,
  ): Promise<CatalogAnswer> {
    await this.#start()
    const id = this.#nextId++
    const sent = this.#mirrored === mirror ? null : mirror
    const answer = await new Promise<CatalogResponse>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#stop('the catalog process did not answer in time'),
        TIMEOUT_MS,
      )
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          this.#waiting.delete(id)
          settle(value)
        }
      this.#waiting.set(id, { resolve: done(resolve), reject: done(reject) })
      this.#child?.send({ ...request, id, mirror: sent } satisfies CatalogRequest)
    })
    if ('rows' in answer) {
      this.#mirrored = mirror
      return answer
    }
    this.#mirrored = null
    const known = Object.values(SqlState).find((state) => state === answer.code)
    throw new SqlError(known ?? SqlState.internalError, answer.message, {
      position: answer.position ?? undefined,
    })
  }

  /** Ends the process. */
  close(): void {
    this.#stop('the gateway is closing')
  }

  #start(): Promise<void> {
    this.#ready ??= new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(processUrl()), {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        serialization: 'advanced',
      })
      this.#child = child
      const timer = setTimeout(() => this.#stop('the catalog process did not start'), 60_000)
      child.on('message', (message: 'ready' | CatalogResponse) => {
        if (message === 'ready') {
          clearTimeout(timer)
          resolve()
        } else this.#waiting.get(message.id)?.resolve(message)
      })
      child.on('exit', () => {
        clearTimeout(timer)
        if (this.#child === child) this.#stop('the catalog process has ended')
        reject(crashed('the catalog process has ended'))
      })
    })
    this.#ready.catch(() => {})
    return this.#ready
  }

  #stop(why: string): void {
    const child = this.#child
    this.#child = undefined
    this.#ready = undefined
    this.#mirrored = null
    child?.kill('SIGKILL')
    for (const { reject } of [...this.#waiting.values()]) reject(crashed(why))
  }
}

/** The built process; tests run the sources, whose process is the one in dist too. */
function processUrl(): URL {
  const here = import.meta.url
  return here.endsWith('.ts')
    ? new URL('../dist/catalog/pg-catalog-process.js', here)
    : new URL('./pg-catalog-process.js', here)
}

function crashed(why: string): SqlError {
  return new SqlError(SqlState.crashShutdown, why, {
    hint: 'Tables of the lake can be queried meanwhile.',
  })
}

/** Whether an unresolved name is one of PostgreSQL's own relations. */
export function isCatalogRelation(schema: string | undefined, name: string): boolean {
  if (schema !== undefined) return schema === 'pg_catalog' || schema === 'information_schema'
  return name.startsWith('pg_')
}
