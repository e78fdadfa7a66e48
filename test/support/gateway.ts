/** A whole gateway in this process, on free ports and a lake of its own. */

import { rmSync } from 'node:fs'
import { Gateway } from '../../planner/gateway.js'
import { readConfig } from '../../server/config.js'
import { listen } from '../../server/listener.js'
import { createDemoLake } from '../../storage/demo-lake.js'
import { Engine } from '../../storage/engine.js'
import type { ObjectStore } from '../../storage/object-store.js'
import { makeLakeFolder, openTestStore } from './test-store.js'

export interface TestGateway {
  readonly port: number
  readonly httpPort: number
  readonly lake: string
  /** The store of its lake. */
  readonly store: ObjectStore
  readonly bugs: unknown[]
  /** Its engine, to look at what is in memory. */
  readonly engine: Engine
  /** The process that answers system catalogs, once there is one. */
  catalogProcessId(): number | undefined
  /** Waits for what runs in the background; nothing more does afterwards. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** Starts a gateway on a demonstration lake of its own, or beside another one on `lake`. */
export async function startGateway(
  options: {
    readonly password?: string
    readonly lake?: string
    readonly copyDirectories?: readonly string[]
    /** Where a lake in a bucket is reached, in place of the server itself. */
    readonly s3Endpoint?: string
    /** What the gateway has instead of the lake's store. */
    readonly store?: (store: ObjectStore) => ObjectStore
  } = {},
): Promise<TestGateway> {
  const lake = options.lake ?? makeLakeFolder()
  const config = readConfig(
    ['--port=0', '--http-port=0', '--shutdown-timeout-ms=200'],
    options.password === undefined ? {} : { LAKEGATE_PASSWORD: options.password },
  )
  const { store, engineFolders, close } = await openTestStore(lake, options.s3Endpoint)
  const engine = await Engine.open({ allowedDirectories: engineFolders, tempDirectory: '' })
  const connection = await engine.connect()
  if (options.lake === undefined) await createDemoLake(store, connection)
  connection.close()
  const gateway = await Gateway.open({
    store: options.store?.(store) ?? store,
    engine,
    database: 'lake',
    snapshotCacheBytes: 64 * 1024 * 1024,
    groupTimeoutMs: 500,
    copyDirectories: options.copyDirectories ?? [],
  })
  const bugs: unknown[] = []
  const listener = await listen(config, gateway, (bug) => bugs.push(bug))
  return {
    port: listener.port,
    httpPort: listener.httpPort,
    lake,
    store,
    bugs,
    engine,
    catalogProcessId: () => gateway.pgCatalog.processId,
    settle: () => gateway.settle(),
    close: async () => {
      await listener.close()
      await gateway.settle()
      gateway.close()
      await engine.close()
      await close()
      if (options.lake === undefined) rmSync(lake, { recursive: true, force: true })
    },
  }
}
