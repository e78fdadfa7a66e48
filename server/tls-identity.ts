/** TlsIdentity: the certificate the gateway shows, its own or one generated at first use. */

import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import { ConfigError } from './config.js'

/** A certificate ready for handshakes. */
export interface TlsIdentity {
  readonly context: SecureContext
  readonly certificate: string
  readonly key: string
  /** Hash of the certificate for SCRAM channel binding; RFC 5929, "tls-server-end-point". */
  readonly hash: Buffer
}

/** The identity in two PEM files; ConfigError when they cannot be read or do not belong together. */
export async function readTlsIdentity(certPath: string, keyPath: string): Promise<TlsIdentity> {
  try {
    return identityOf(await readFile(certPath, 'utf8'), await readFile(keyPath, 'utf8'))
  } catch (thrown) {
    throw new ConfigError(
      `the TLS certificate "${certPath}" and key "${keyPath}" cannot be used: ${thrown instanceof Error ? thrown.message : thrown}`,
    )
  }
}

/** A self-signed identity for this run. */
export async function generateTlsIdentity(): Promise<TlsIdentity> {
  const { generate } = await import('selfsigned')
  const made = await generate([{ name: 'commonName', value: 'lakegate' }], {
    keySize: 2048,
    algorithm: 'sha256',
  })
  return identityOf(made.cert, made.private)
}

function identityOf(certificate: string, key: string): TlsIdentity {
  const context = createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' })
  const { raw } = new X509Certificate(certificate)
  return { context, certificate, key, hash: createHash('sha256').update(raw).digest() }
}
