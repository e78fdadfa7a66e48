/** ScramVerifier: what is kept of a password, in the form in which PostgreSQL keeps it. */

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { SqlError, SqlState } from '../storage/errors.js'

const derive = promisify(pbkdf2)
const ITERATIONS = 4096

/** What a server keeps of a password. */
export interface ScramVerifier {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** The verifier of `password`; the salt is random unless given. */
export async function makeVerifier(
  password: string,
  salt: Buffer = randomBytes(16),
  iterations: number = ITERATIONS,
): Promise<ScramVerifier> {
  const salted = await derive(password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  return {
    salt,
    iterations,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  }
}

/** `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. */
export function printVerifier({ salt, iterations, storedKey, serverKey }: ScramVerifier): string {
  const text = (bytes: Buffer): string => bytes.toString('base64')
  return `SCRAM-SHA-256$${iterations}:${text(salt)}$${text(storedKey)}:${text(serverKey)}`
}

/** The verifier that a text is; null when it is none. */
export function parseVerifier(text: string): ScramVerifier | null {
  const match =
    /^SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text)
  if (match === null) return null
  const bytes = (group: number): Buffer => Buffer.from(match[group] ?? '', 'base64')
  const [salt, storedKey, serverKey] = [bytes(2), bytes(3), bytes(4)]
  const iterations = Number(match[1])
  const isWhole = storedKey.length === 32 && serverKey.length === 32 && salt.length > 0
  return isWhole && iterations > 0 ? { salt, iterations, storedKey, serverKey } : null
}

/**
 * What is kept of the text of PASSWORD '…': a verifier as it is, anything else hashed.
 *
 * 0A000 for MD5 hashes, by which nobody could log in.
 */
export async function keptPassword(text: string, iterations: number): Promise<string> {
  if (parseVerifier(text) !== null) return text
  if (/^md5[0-9a-f]{32}$/.test(text)) {
    throw new SqlError(SqlState.featureNotSupported, 'MD5 passwords are not supported', {
      hint: 'Give the password itself, or a SCRAM-SHA-256 verifier.',
    })
  }
  return printVerifier(await makeVerifier(text, undefined, iterations))
}
