/** Session scripts: statements with what a session answers to each, run by a real driver. */

import pg from 'pg'
import { expect, it } from 'vitest'
import type { TestGateway } from './gateway.js'

// Values as text, so that what is compared is what the wire said.
const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

/** A connection whose notices and notifications are kept in `heard`. */
export interface ScriptClient {
  readonly client: pg.Client
  readonly heard: string[]
}

export async function connect(
  gateway: TestGateway,
  more: pg.ClientConfig = {},
): Promise<ScriptClient> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gateway.port,
    user: 'lakegate',
    database: 'lake',
    types,
    ...more,
  })
  const heard: string[] = []
  client.on('error', () => {})
  client.on('notice', (notice) => heard.push(`~${notice.severity} ${notice.code}`))
  client.on('notification', ({ channel, payload }) => heard.push(`<${channel} ${payload}`))
  await client.connect()
  return { client, heard }
}

/**
 * One statement's outcome in one line: rows as `a,b|c,d` (∅ for null), a tag without rows as
 * `INSERT 2`, an error as `!42P01`, then the notices that came with it as `~WARNING 25P01`.
 */
export async function outcome({ client, heard }: ScriptClient, sql: string): Promise<string> {
  heard.length = 0
  let answer: string
  try {
    const result = await client.query({ text: sql, rowMode: 'array' })
    const all = (Array.isArray(result) ? result : [result]) as pg.QueryArrayResult<unknown[]>[]
    answer = all.map(printed).join(' ; ')
  } catch (thrown) {
    answer = `!${(thrown as { code?: string }).code}`
  }
  return [answer, ...heard].join(' ')
}

function printed({ command, rowCount, rows, fields }: pg.QueryArrayResult<unknown[]>): string {
  if (fields.length > 0 && rows.length > 0) {
    return rows.map((row) => row.map((value) => value ?? '∅').join(',')).join('|')
  }
  return rowCount === null ? command : `${command} ${rowCount}`
}

/**
 * Defines a test named `name` that runs a script on a new session.
 *
 * Each line is `statement -> outcome`; a line without an arrow must just succeed.
 */
export function script(gateway: () => TestGateway, name: string, lines: string): void {
  it(name, async () => {
    const session = await connect(gateway())
    try {
      for (const line of lines.split('\n').map((text) => text.trim())) {
        if (line === '') continue
        const [sql = '', expected] = line.split(/\s+->\s+/)
        const answer = await outcome(session, sql)
        if (expected === undefined) expect(`${sql} -> ${answer}`).not.toContain('-> !')
        else expect(`${sql} -> ${answer}`).toBe(`${sql} -> ${expected}`)
      }
    } finally {
      await session.client.end()
    }
  })
}
