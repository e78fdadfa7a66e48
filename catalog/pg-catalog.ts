/** PgCatalog: pg_catalog and information_schema, answered by PostgreSQL itself in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { Cancellation } from '../storage/cancellation.js'
import { SqlError, SqlState } from '../storage/errors.js'
import type { CatalogAnswer, CatalogRequest, CatalogResponse, WireError } from './catalog-wire.js'
import type { ShadowChange } from './shadow.js'
import { builtFolder, copyTemplate } from './shadow-template.js'

/** What the shadow is made of, and when it changes. */
export interface ShadowSource {
  readonly version: number
  /** What a shadow of version `since` lacks, null for one that is empty; null when nothing. */
  changeSince(since: number | null): ShadowChange | null
}

/** A statement for the catalogs. */
export interface CatalogQuery
  extends Pick<CatalogRequest, 'own' | 'session' | 'parameterOids' | 'parameters' | 'formats'> {
  readonly sql: string
  /** Whether the answer depends on nothing but this and the shadow, so that it may be kept. */
  readonly isStable: boolean
}

/** A catalog query that takes longer is taken to hang; its process is replaced. */
const TIMEOUT_MS = 30_000

/** How long the process goes on with a statement that nobody waits for any more. */
const GRACE_MS = 1000

/** How often a process that works on a statement is looked at. */
const WATCH_MS = 500

/** Bytes of answers that are kept. */
const CACHE_BYTES = 16 * 1024 * 1024

interface Job {
  readonly query: CatalogQuery | null
  resolve: (answer: CatalogAnswer | null) => void
  reject: (error: unknown) => void
  /** Processes that have ended under it. */
  attempts: number
  abandoned: boolean
}

/** One process, its folder, and how far its shadow has come. */
class Worker {
  readonly folder: string
  readonly child: ChildProcess
  readonly ready: Promise<void>
  version: number | null = null

  constructor(folder: string, database: string, onMessage: (response: CatalogResponse) => void) {
    this.folder = folder
    this.child = fork(join(builtFolder(), 'pg-catalog-process.js'), [folder, database], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
    })
    this.ready = new Promise<void>((resolve, reject) => {
      this.child.on('message', (message: 'ready' | CatalogResponse) => {
        if (message === 'ready') resolve()
        else onMessage(message)
      })
      this.child.on('exit', () => reject(crashed('the catalog process has ended')))
      this.child.on('error', () => reject(crashed('the catalog process could not be started')))
    })
    this.ready.catch(() => {})
  }

  /** Whether the process has been stopped from outside, as far as the system tells. */
  async isStopped(): Promise<boolean> {
    const stat = await readFile(`/proc/${this.child.pid}/stat`, 'utf8').catch(() => '')
    return /^\S+ \(.*\) [Tt] /s.test(stat)
  }

  end(): void {
    this.child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/**
 * A PostgreSQL (PGlite) that holds empty tables of the lake's shape.
 *
 * Statements run one after another. A process that ends in the middle of one, or is stopped, is
 * replaced and the statement run again, once; one that takes too long costs its statement an
 * error. The folder for the next process is kept ready. Queries over the lake never wait for it.
 */
export class PgCatalog {
  readonly #database: string
  readonly #source: ShadowSource
  readonly #jobs: Job[] = []
  readonly #answers = new LRUCache<string, CatalogAnswer>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (answer, key) => key.length * 2 + sizeOf(answer),
  })
  #worker: Promise<Worker> | undefined
  #current: Worker | undefined
  #spare: Promise<string> | undefined
  #answered: ((response: CatalogResponse | SqlError) => void) | undefined
  #isRunning = false
  #closed = false
  #nextId = 1

  constructor(database: string, source: ShadowSource) {
    this.#database = database
    this.#source = source
  }

  /** The process that answers now, if one runs; for tests and metrics. */
  get processId(): number | undefined {
    return this.#current?.child.pid
  }

  /** Starts the process and fills the shadow, so that the first statement need not wait. */
  async warm(): Promise<void> {
    await new Promise<CatalogAnswer | null>((resolve, reject) => {
      this.#jobs.push({ query: null, resolve, reject, attempts: 0, abandoned: false })
      void this.#run()
    })
  }

  /**
   * Runs a statement, or only describes it.
   *
   * Throws PostgreSQL's own errors with their codes; 57P02 when the process ended twice, 57014 when
   * it took too long or `cancellation` came.
   */
  async query(query: CatalogQuery, cancellation?: Cancellation): Promise<CatalogAnswer> {
    const key = query.isStable ? keyOf(query, this.#source.version) : null
    const kept = key === null ? undefined : this.#answers.get(key)
    if (kept !== undefined) return kept
    cancellation?.check()
    const version = this.#source.version
    const answer = await new Promise<CatalogAnswer | null>((resolve, reject) => {
      const job: Job = { query, resolve, reject, attempts: 0, abandoned: false }
      const unregister = cancellation?.onCancel((reason) => {
        job.abandoned = true
        reject(reason)
      })
      job.resolve = (given) => {
        unregister?.()
        resolve(given)
      }
      job.reject = (thrown) => {
        unregister?.()
        reject(thrown)
      }
      this.#jobs.push(job)
      void this.#run()
    })
    if (answer === null) throw crashed('the catalog process did not answer')
    if (key !== null && version === this.#source.version) this.#answers.set(key, answer)
    return answer
  }

  /** Ends the process. */
  close(): void {
    this.#closed = true
    this.#replace(crashed('the gateway is closing'))
    for (const job of this.#jobs.splice(0)) job.reject(crashed('the gateway is closing'))
    void this.#spare
      ?.then((folder) => rmSync(folder, { recursive: true, force: true }))
      .catch(() => {})
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
        if (job.abandoned) continue
        try {
          job.resolve(await this.#answer(job))
        } catch (thrown) {
          job.reject(thrown)
        }
      }
    } finally {
      this.#isRunning = false
    }
  }

  async #answer(job: Job): Promise<CatalogAnswer | null> {
    for (;;) {
      const response = await this.#ask(job)
      if (response instanceof SqlError) {
        if (response.sqlState !== SqlState.crashShutdown || this.#closed || ++job.attempts > 1) {
          throw response
        }
      } else if ('answer' in response) return response.answer
      else if (response.isShadow) {
        // What is half applied is rolled back, but a shadow that cannot follow is made anew.
        const error = sqlError(response.error)
        this.#replace(error)
        if (++job.attempts > 1) throw error
      } else throw sqlError(response.error)
    }
  }

  async #ask(job: Job): Promise<CatalogResponse | SqlError> {
    let worker: Worker
    try {
      worker = await this.#start()
    } catch (thrown) {
      this.#worker = undefined
      return thrown instanceof SqlError
        ? thrown
        : crashed(`the catalog process did not start: ${String(thrown)}`)
    }
    const { version } = this.#source
    const change = this.#source.changeSince(worker.version)
    const id = this.#nextId++
    const response = await new Promise<CatalogResponse | SqlError>((resolve) => {
      const sentMs = Date.now()
      let abandonedMs: number | undefined
      const watch = setInterval(() => {
        const now = Date.now()
        if (job.abandoned) abandonedMs ??= now
        if (now - sentMs > TIMEOUT_MS) {
          this.#replace(
            new SqlError(
              SqlState.queryCanceled,
              'canceling statement: the system catalogs did not answer in time',
            ),
          )
        } else if (abandonedMs !== undefined && now - abandonedMs > GRACE_MS) {
          this.#replace(crashed('the statement was abandoned'))
        } else {
          void worker.isStopped().then((stopped) => {
            if (stopped && this.#current === worker)
              this.#replace(crashed('the catalog process was stopped'))
          })
        }
      }, WATCH_MS)
      this.#answered = (given) => {
        if (!(given instanceof SqlError) && given.id !== id) return
        clearInterval(watch)
        this.#answered = undefined
        resolve(given)
      }
      const { query } = job
      worker.child.send(
        {
          id,
          change,
          own: query?.own ?? null,
          session: query?.session ?? '',
          sql: query?.sql ?? null,
          parameterOids: query?.parameterOids ?? [],
          parameters: query?.parameters ?? [],
          formats: query?.formats ?? [],
        } satisfies CatalogRequest,
        () => {},
      )
    })
    if (!(response instanceof SqlError) && !('error' in response && response.isShadow)) {
      worker.version = version
    }
    return response
  }

  #start(): Promise<Worker> {
    this.#worker ??= this.#open()
    return this.#worker
  }

  async #open(): Promise<Worker> {
    const folder = await (this.#spare ?? makeFolder())
    this.#spare = undefined
    if (this.#closed) {
      await rm(folder, { recursive: true, force: true })
      throw crashed('the gateway is closing')
    }
    const worker = new Worker(folder, this.#database, (response) => this.#answered?.(response))
    this.#current = worker
    worker.child.on('exit', () => {
      if (this.#current === worker) this.#replace(crashed('the catalog process has ended'))
    })
    const timer = setTimeout(() => worker.child.kill('SIGKILL'), 2 * TIMEOUT_MS)
    try {
      await worker.ready
    } finally {
      clearTimeout(timer)
    }
    this.#spare = makeFolder()
    this.#spare.catch(() => {
      this.#spare = undefined
    })
    return worker
  }

  /** Ends the process that runs; what it works on gets `why`, and the next statement another process. */
  #replace(why: SqlError): void {
    const worker = this.#current
    this.#current = undefined
    this.#worker = undefined
    worker?.end()
    this.#answered?.(why)
  }
}

/** Folders of this process, which go when it ends in whatever way it can tell of. */
const folders = new Set<string>()
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Removes the folders of gateways that were killed. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = /^lakegate-catalog-(\d+)-/.exec(name)?.[1]
    if (owner === undefined || isAlive(Number(owner))) continue
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (thrown) {
    return (thrown as { readonly code?: string }).code === 'EPERM'
  }
}

async function makeFolder(): Promise<string> {
  await removeAbandoned()
  const folder = await mkdtemp(join(tmpdir(), `lakegate-catalog-${process.pid}-`))
  folders.add(folder)
  await copyTemplate(folder)
  return folder
}

function keyOf(query: CatalogQuery, version: number): string {
  const { own, session, sql, parameterOids, parameters, formats } = query
  const values = parameters.map(({ bytes, format }) => [
    format,
    bytes === null ? null : Buffer.from(bytes).toString('base64'),
  ])
  return JSON.stringify([version, session, sql, parameterOids, values, formats, own])
}

function sizeOf({ columns, rows }: CatalogAnswer): number {
  return rows.reduce(
    (sum, one) => sum + ('bytes' in one ? one.bytes.byteLength : 500),
    500 + columns.length * 200,
  )
}

/** PostgreSQL's error as one of this gateway's. */
export function sqlError(error: WireError): SqlError {
  // PostgreSQL's own codes are passed on, those this gateway never raises itself too.
  return new SqlError(error.code as SqlState, error.message, {
    detail: error.detail,
    hint: error.hint,
    position: error.position,
  })
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
