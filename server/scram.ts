/** SCRAM-SHA-256, and -PLUS with the certificate's hash, as PostgreSQL speaks it (RFC 5802, 7677, 5929). */

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ScramVerifier } from '../catalog/scram-verifier.js'
import { SqlError, SqlState } from '../storage/errors.js'

/** One exchange: `first` then `final`; a failure of either looks the same to the client. */
export class ScramExchange {
  readonly #verifier: ScramVerifier
  readonly #known: boolean
  readonly #certificateHash: Buffer | null
  readonly #plus: boolean
  #clientFirstBare = ''
  #serverFirst = ''
  #gs2Header = ''
  #nonce = ''

  /** `known` false runs the whole exchange against a mock verifier and fails at its end. */
  constructor(
    verifier: ScramVerifier,
    known: boolean,
    plus: boolean,
    certificateHash: Buffer | null,
  ) {
    this.#verifier = verifier
    this.#known = known
    this.#plus = plus
    this.#certificateHash = certificateHash
  }

  /** server-first-message for the client's first. */
  first(message: string): string {
    const match =
      /^(n|y|p=([^,]*)),(a=[^,]*)?,((?:m=[^,]*,)?n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+).*)$/.exec(
        message,
      )
    if (match === null) throw malformed()
    const binding = match[1] ?? ''
    if (
      this.#plus !== binding.startsWith('p') ||
      (this.#plus && match[2] !== 'tls-server-end-point')
    ) {
      throw malformed()
    }
    // "y" says the client believes this server offers no -PLUS; over TLS it does: a downgrade.
    if (binding === 'y' && this.#certificateHash !== null) {
      throw new SqlError(
        SqlState.invalidAuthorizationSpecification,
        'SCRAM channel binding negotiation error',
        { severity: 'FATAL' },
      )
    }
    this.#gs2Header = `${binding},${match[3] ?? ''},`
    this.#clientFirstBare = match[4] ?? ''
    this.#nonce = `${match[5] ?? ''}${randomBytes(18).toString('base64')}`
    const { salt, iterations } = this.#verifier
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`
    return this.#serverFirst
  }

  /** server-final-message for the client's final; 28P01 when the proof is wrong. */
  final(message: string, user: string): string {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([^,]+).*),p=([A-Za-z0-9+/=]+)$/.exec(message)
    if (match === null) throw malformed()
    const binding = Buffer.from(match[2] ?? '', 'base64')
    const expected = this.#plus
      ? Buffer.concat([Buffer.from(this.#gs2Header), this.#certificateHash ?? Buffer.alloc(0)])
      : Buffer.from(this.#gs2Header)
    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${match[1]}`
    const { storedKey, serverKey } = this.#verifier
    const signature = hmac(storedKey, authMessage)
    const proof = Buffer.from(match[4] ?? '', 'base64')
    const clientKey = Buffer.alloc(32)
    for (let i = 0; i < 32; i++) clientKey[i] = (proof[i] ?? 0) ^ (signature[i] ?? 0)
    const hashed = createHash('sha256').update(clientKey).digest()
    const right =
      timingSafeEqual(hashed, storedKey) &&
      proof.length === 32 &&
      match[3] === this.#nonce &&
      binding.length === expected.length &&
      timingSafeEqual(binding, expected)
    if (!right || !this.#known) {
      throw new SqlError(
        SqlState.invalidPassword,
        `password authentication failed for user "${user}"`,
        { severity: 'FATAL' },
      )
    }
    return `v=${hmac(serverKey, authMessage).toString('base64')}`
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function malformed(): SqlError {
  return new SqlError(SqlState.protocolViolation, 'malformed SCRAM message', { severity: 'FATAL' })
}
