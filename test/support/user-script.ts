/** User scripts: statements of several users in turn, with what each is answered. */

import type pg from 'pg'
import { expect, it } from 'vitest'
import { connect, outcome, type ScriptClient } from './session-script.js'

/** One statement of a script. */
export interface UserLine {
  readonly user: string
  readonly sql: string
  /** undefined: it must just succeed. */
  readonly expected: string | undefined
}

/** The lines of a script: `user: statement -> outcome`; without a user it is the first superuser's. */
export function userLines(lines: string): readonly UserLine[] {
  return lines
    .split('\n')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const [left = '', expected] = text.split(/\s+->\s+/)
      const [, user = 'lakegate', sql = ''] = /^(?:(\w+): )?(.*)$/s.exec(left) ?? []
      return { user, sql, expected }
    })
}

/** Connections by user, made when first needed. */
export class Users {
  readonly #open: (user: string) => Promise<ScriptClient>
  readonly #clients = new Map<string, Promise<ScriptClient>>()

  constructor(open: (user: string) => Promise<ScriptClient>) {
    this.#open = open
  }

  client(user: string): Promise<ScriptClient> {
    let client = this.#clients.get(user)
    if (client === undefined) {
      client = this.#open(user)
      this.#clients.set(user, client)
    }
    return client
  }

  async outcome({ user, sql }: Pick<UserLine, 'user' | 'sql'>): Promise<string> {
    return outcome(await this.client(user), sql)
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await (await client).client.end()
    this.#clients.clear()
  }
}

/**
 * Defines a test named `name` that runs a script, a session a user.
 *
 * `port` tells the gateway, `options` how a user connects.
 */
export function userScript(
  port: () => { readonly port: number },
  name: string,
  lines: string,
  options: (user: string) => pg.ClientConfig = () => ({}),
): void {
  it(name, async () => {
    const users = new Users((user) =>
      connect(port() as Parameters<typeof connect>[0], { user, ...options(user) }),
    )
    try {
      for (const line of userLines(lines)) {
        const answer = await users.outcome(line)
        const shown = `${line.user}: ${line.sql}`
        if (line.expected === undefined) expect(`${shown} -> ${answer}`).not.toContain('-> !')
        else expect(`${shown} -> ${answer}`).toBe(`${shown} -> ${line.expected}`)
      }
    } finally {
      await users.close()
    }
  })
}
