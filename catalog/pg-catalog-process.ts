/** The process that holds a real PostgreSQL with an empty shadow of the lake's catalog; see pg-catalog.ts. */

import { PGlite } from '@electric-sql/pglite'
import {
  bind,
  type CatalogAnswer,
  type CatalogRequest,
  type CatalogResponse,
  columnsOf,
  cstring,
  type EncodedRows,
  errorOf,
  int16,
  int32,
  message,
  messagesOf,
  parameterOidsOf,
  type WireColumn,
  type WireError,
} from './catalog-wire.js'
import { applyShadow } from './shadow-apply.js'

const [folder = '', name = ''] = process.argv.slice(2)

const database = await PGlite.create({ dataDir: folder })
// The namespace of temporary objects is made once; only sessions that have one see it.
await database.exec(`
  UPDATE pg_database SET datname = $lakegate$${name}$lakegate$ WHERE datname = current_database();
  CREATE TEMP TABLE lakegate_first (); DROP TABLE lakegate_first;
  DELETE FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_';
  SET SESSION AUTHORIZATION lakegate;`)

let last: Promise<void> = Promise.resolve()
process.on('message', (request: CatalogRequest) => {
  last = last.then(async () => {
    process.send?.(await respond(request))
  })
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')

async function respond(request: CatalogRequest): Promise<CatalogResponse> {
  const { id, change } = request
  try {
    if (change !== null)
      await database.transaction((transaction) => applyShadow(transaction, change))
  } catch (thrown) {
    return { id, error: wireError(thrown), isShadow: true }
  }
  if (request.sql === null) return { id, answer: null }
  try {
    return { id, answer: await run(request, request.sql) }
  } catch (thrown) {
    return { id, error: wireError(thrown), isShadow: false }
  } finally {
    await raw(END)
  }
}

/** Runs the statement in a transaction that leaves nothing behind. */
async function run(request: CatalogRequest, sql: string): Promise<CatalogAnswer> {
  await simple('BEGIN')
  if (request.own !== null) await applyShadow(database, request.own)
  await simple(`${request.session}; SET TRANSACTION READ ONLY`)
  const parse = message(
    'P',
    cstring(STATEMENT),
    cstring(sql),
    int16(request.parameterOids.length),
    ...request.parameterOids.map(int32),
  )
  const described = await replies(
    Buffer.concat([parse, message('D', Buffer.from('S'), cstring(STATEMENT)), SYNC]),
  )
  const answer = { parameterOids: described.parameterOids, columns: described.columns }
  const rows: (EncodedRows | WireError)[] = []
  let rowCount = 0
  for (const formats of request.formats) {
    // What has no binary format fails alone.
    if (request.formats.length > 1) await simple('SAVEPOINT lakegate_format')
    try {
      const executed = await replies(
        Buffer.concat([bind(STATEMENT, request.parameters, formats), EXECUTE, SYNC]),
      )
      rowCount = executed.rowCount
      rows.push({ formats, bytes: executed.rows })
    } catch (thrown) {
      if (request.formats.length === 1) throw thrown
      rows.push(wireError(thrown))
      await simple('ROLLBACK TO lakegate_format')
    }
  }
  return { ...answer, rowCount, rows }
}

const SYNC = message('S')
/** Named, since a simple query between two executions would take an unnamed one away. */
const STATEMENT = 'lakegate'
const END = Buffer.concat([
  message('C', Buffer.from('S'), cstring(STATEMENT)),
  SYNC,
  message('Q', cstring('ROLLBACK')),
])
const EXECUTE = message('E', cstring(''), int32(0))

interface Replies {
  readonly parameterOids: readonly number[]
  readonly columns: readonly WireColumn[]
  readonly rows: Uint8Array
  readonly rowCount: number
}

/** An error of PostgreSQL's on its way out. */
class Refused extends Error {
  readonly wire: WireError

  constructor(wire: WireError) {
    super(wire.message)
    this.wire = wire
  }
}

async function simple(sql: string): Promise<void> {
  await replies(message('Q', cstring(sql)))
}

async function replies(messages: Uint8Array): Promise<Replies> {
  const bytes = await raw(messages)
  let parameterOids: readonly number[] = []
  let columns: readonly WireColumn[] = []
  let rowCount = 0
  const parts: Uint8Array[] = []
  let error: WireError | undefined
  for (const { type, start, body } of messagesOf(bytes)) {
    if (type === 'D') {
      rowCount++
      parts.push(bytes.subarray(start, start + 5 + body.length))
    } else if (type === 'T') columns = columnsOf(body)
    else if (type === 't') parameterOids = parameterOidsOf(body)
    else if (type === 'E') error ??= errorOf(body)
  }
  if (error !== undefined) throw new Refused(error)
  return { parameterOids, columns, rows: Buffer.concat(parts), rowCount }
}

async function raw(messages: Uint8Array): Promise<Uint8Array> {
  return database.execProtocolRaw(messages, { syncToFs: false })
}

function wireError(thrown: unknown): WireError {
  if (thrown instanceof Refused) return thrown.wire
  const { code, message: text } = thrown as { readonly code?: string; readonly message?: string }
  return { code: code ?? 'XX000', message: text ?? String(thrown) }
}
