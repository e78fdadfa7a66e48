/** Copy client: COPY in both directions on a connection of node-postgres, the bytes as they are. */

import type pg from 'pg'

interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(bytes: Uint8Array): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** What a COPY came to: a tag, or an error with its fields. */
export interface CopyOutcome {
  readonly tag?: string
  readonly code?: string
  readonly message?: string
  readonly where?: string
  readonly hint?: string
  readonly detail?: string
}

type ErrorFields = {
  readonly code?: string
  readonly message: string
  readonly where?: string
  readonly hint?: string
  readonly detail?: string
}

/** Sends `chunks` by COPY FROM STDIN; a string at the end is a CopyFail's. */
export function copyIn(
  client: pg.Client,
  sql: string,
  chunks: readonly (Uint8Array | string)[],
): Promise<CopyOutcome> {
  return new Promise((resolve) => {
    let outcome: CopyOutcome = {}
    const query = {
      submit: (connection: CopyConnection) => connection.query(sql),
      handleCopyInResponse: (connection: CopyConnection) => {
        for (const chunk of chunks) {
          if (typeof chunk === 'string') {
            connection.sendCopyFail(chunk)
            return
          }
          connection.sendCopyFromChunk(chunk)
        }
        connection.endCopyFrom()
      },
      handleCommandComplete: ({ text }: { readonly text: string }) => {
        outcome = { tag: text }
      },
      handleError: ({ code, message, where, hint, detail }: ErrorFields) => {
        outcome = {
          message,
          ...(code === undefined ? {} : { code }),
          ...(where === undefined ? {} : { where }),
          ...(hint === undefined ? {} : { hint }),
          ...(detail === undefined ? {} : { detail }),
        }
        // node-postgres tells an error only, and is ready by itself.
        resolve(outcome)
      },
      handleReadyForQuery: () => resolve(outcome),
      handleRowDescription: () => {},
      handleDataRow: () => {},
      handleCopyData: () => {},
      handlePortalSuspended: () => {},
      handleEmptyQuery: () => {},
    }
    client.query(query as unknown as pg.Submittable)
  })
}

/** The bytes that COPY TO STDOUT sends. */
export function copyOut(client: pg.Client, sql: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    const query = {
      submit: (connection: CopyConnection) => connection.query(sql),
      // The driver uses the bytes' memory again.
      handleCopyData: ({ chunk }: { readonly chunk: Uint8Array }) => parts.push(Buffer.from(chunk)),
      handleCommandComplete: () => {},
      handleError: reject,
      handleReadyForQuery: () => resolve(Buffer.concat(parts)),
      handleRowDescription: () => {},
      handleDataRow: () => {},
      handlePortalSuspended: () => {},
      handleEmptyQuery: () => {},
    }
    client.query(query as unknown as pg.Submittable)
  })
}
