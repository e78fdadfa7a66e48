/** Warm catalogs: has the system catalogs ready before the first client asks for them. */

import type { Gateway } from './gateway.js'
import { GatewaySession } from './gateway-session.js'

/** Starts the catalogs' process and fills its shadow; a failure is left for the first client to see. */
export async function warmCatalogs(gateway: Gateway): Promise<void> {
  // The process starts while the lake is looked at.
  const started = gateway.pgCatalog.warm().catch(() => {})
  const session = new GatewaySession({
    gateway,
    user: 'lakegate',
    events: {
      notice: () => {},
      parameterStatus: () => {},
      notification: () => {},
      terminate: () => {},
    },
    settings: [],
  })
  // It is nobody's session: it shows nowhere.
  gateway.sessions.delete(session.processId)
  try {
    for await (const result of session.query('SELECT FROM pg_catalog.pg_class LIMIT 0')) {
      if (result.kind !== 'rows') continue
      for await (const batch of result.batches) void batch
    }
  } catch {
    // The first client's own statement tells what is wrong.
  } finally {
    await session.close()
    await started
  }
}
