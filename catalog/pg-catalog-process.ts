/** The process that holds a real PostgreSQL with an empty shadow of the lake's catalog; see pg-catalog.ts. */

import { PGlite } from '@electric-sql/pglite'
import { SETTINGS_OVERLAY } from './settings-overlay.js'

/** A question of the gateway's. */
export interface CatalogRequest {
  readonly id: number
  /** Statements that bring the shadow up to date; null when nothing changed. */
  readonly mirror: string | null
  readonly session: string
  readonly sql: string
  readonly parameters: readonly (string | null)[]
  readonly describeOnly: boolean
}

/** The answer: every value as PostgreSQL's text. */
export type CatalogResponse =
  | {
      readonly id: number
      readonly parameterOids: readonly number[]
      readonly columns: readonly { readonly name: string; readonly oid: number }[]
      readonly rows: readonly (readonly (string | null)[])[]
    }
  | {
      readonly id: number
      readonly code: string
      readonly message: string
      readonly position: number | null
    }

const database = await PGlite.create()
await database.exec('CREATE ROLE lakegate SUPERUSER LOGIN')
await database.exec(SETTINGS_OVERLAY)

// Values are wanted as text, whatever their type, and parameters are text already.
const { rows: types } = await database.query<{ readonly oid: number }>('SELECT oid FROM pg_type')
const asText = Object.fromEntries(types.map(({ oid }) => [oid, (value: string) => value]))

let last: Promise<void> = Promise.resolve()

process.on('message', (request: CatalogRequest) => {
  last = last.then(async () => {
    process.send?.(await answer(request))
  })
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')

async function answer(request: CatalogRequest): Promise<CatalogResponse> {
  const { id } = request
  try {
    if (request.mirror !== null) {
      await database.exec(`BEGIN;\nSET ROLE lakegate;\n${request.mirror}\nRESET ROLE;\nCOMMIT;`)
    }
    await database.exec(request.session)
    if (request.describeOnly) {
      const described = await database.describeQuery(request.sql)
      return {
        id,
        parameterOids: described.queryParams.map((parameter) => parameter.dataTypeID),
        columns: described.resultFields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
        rows: [],
      }
    }
    const result = await database.query<(string | null)[]>(request.sql, [...request.parameters], {
      rowMode: 'array',
      parsers: asText,
      serializers: asText,
    })
    return {
      id,
      parameterOids: [],
      columns: result.fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
      rows: result.rows,
    }
  } catch (thrown) {
    await database.exec('ROLLBACK').catch(() => {})
    const error = thrown as {
      readonly code?: string
      readonly message?: string
      readonly position?: string
    }
    return {
      id,
      code: error.code ?? 'XX000',
      message: error.message ?? String(thrown),
      position: error.position === undefined ? null : Number(error.position),
    }
  }
}
