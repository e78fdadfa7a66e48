/** Table features: which protocol versions and features can be read; the rest is refused. */

import type { Protocol } from './actions.js'
import { SqlError, SqlState } from './errors.js'

const READABLE: ReadonlySet<string> = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'v2Checkpoint',
  'vacuumProtocolCheck',
  'typeWidening',
  'typeWidening-preview',
  'variantType',
  'variantType-preview',
])

/**
 * Refuses (0A000) a table whose protocol names a reader feature that is not known.
 *
 * Delta protocol, "Table Features": reading such a table on best effort could give wrong rows.
 */
export function requireReadable(protocol: Protocol, table: string): void {
  const { minReaderVersion: reader, minWriterVersion: writer } = protocol
  if (!Number.isInteger(reader) || reader < 1 || reader > 3) {
    throw refused(table, `reader version ${reader}`)
  }
  if (reader === 3) {
    if (writer !== 7) throw refused(table, `reader version 3 with writer version ${writer}`)
    const unknown = (protocol.readerFeatures ?? []).filter((feature) => !READABLE.has(feature))
    if (unknown.length > 0) throw refused(table, `the table feature "${unknown.join('", "')}"`)
  }
}

function refused(table: string, what: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `table "${table}" cannot be read: it needs ${what}, which is not supported`,
  )
}
