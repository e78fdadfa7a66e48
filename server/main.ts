/** Main: configuration -> store -> engine -> gateway -> listener; signals. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Gateway } from '../planner/gateway.js'
import { warmCatalogs } from '../planner/warm-catalogs.js'
import { createDemoLake } from '../storage/demo-lake.js'
import { Engine } from '../storage/engine.js'
import { SqlError } from '../storage/errors.js'
import { LocalStore } from '../storage/local-store.js'
import { isRemote, openStore } from '../storage/open-store.js'
import { type Config, ConfigError, helpText, readConfig } from './config.js'
import { listen } from './listener.js'

try {
  if (process.argv.includes('--help')) process.stdout.write(helpText())
  else await start(readConfig())
} catch (thrown) {
  const plain = thrown instanceof ConfigError || thrown instanceof SqlError
  process.stderr.write(
    `lakegate: ${plain ? thrown.message : String((thrown as Error)?.stack ?? thrown)}\n`,
  )
  process.exitCode = 1
}

async function start(config: Config): Promise<void> {
  const remote = isRemote(config.lake)
  const lake = remote ? config.lake : resolve(config.lake)
  if (!remote) await prepareLake(config, lake)
  const opened = await openStore(lake, {
    endpoint: config.s3Endpoint,
    region: config.s3Region ?? (config.s3Endpoint === null ? null : 'us-east-1'),
    pathStyle: config.s3PathStyle,
    cacheFolder: config.cacheDirectory ?? join(tmpdir(), 'lakegate-cache'),
    cacheBytes: config.cacheBytes,
  })
  const spill = config.tempDirectory ?? join(tmpdir(), `lakegate-spill-${process.pid}`)
  const engine = await Engine.open({
    threads: config.threads ?? undefined,
    memoryLimitBytes: config.memoryLimitBytes ?? undefined,
    tempDirectory: spill,
    tempDirectoryMaxBytes: config.tempDirectoryMaxBytes,
    allowedDirectories: [...opened.engineFolders, spill],
  })
  const gateway = await Gateway.open({
    store: opened.store,
    engine,
    database: config.database,
    snapshotCacheBytes: config.snapshotCacheBytes,
    groupTimeoutMs: config.groupTimeoutMs,
    copyDirectories: config.copyDirectories,
    autoCompact: config.autoCompact,
  })
  let listener: Awaited<ReturnType<typeof listen>>
  try {
    listener = await listen(config, gateway, (bug) => {
      process.stderr.write(`lakegate: internal error: ${String((bug as Error)?.stack ?? bug)}\n`)
    })
  } catch (thrown) {
    await engine.close()
    await opened.close()
    throw thrown
  }
  process.stdout.write(
    `lakegate: serving ${lake} as database "${config.database}" on ${config.host}:${listener.port}, metrics on http://${config.host}:${listener.httpPort}/metrics\n`,
  )
  void warmCatalogs(gateway)
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    void (async () => {
      await listener.close()
      await gateway.settle()
      gateway.close()
      await engine.close()
      await opened.close()
      rmSync(join(tmpdir(), `lakegate-spill-${process.pid}`), { recursive: true, force: true })
      process.stdout.write('lakegate: stopped\n')
      process.exit(0)
    })()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

/** Makes the demonstration lake where none was named and none is there; a named one must exist. */
async function prepareLake(config: Config, lake: string): Promise<void> {
  if (existsSync(lake) && readdirSync(lake).length > 0) return
  if (config.lakeGiven) {
    if (!existsSync(lake))
      throw new ConfigError(`LAKEGATE_LAKE is "${config.lake}", but there is no such folder`)
    return
  }
  // Built aside and renamed, so that a crash leaves either no lake or a whole one.
  const building = `${lake}.building-${process.pid}`
  rmSync(building, { recursive: true, force: true })
  mkdirSync(building, { recursive: true })
  const engine = await Engine.open({})
  const connection = await engine.connect()
  try {
    await createDemoLake(new LocalStore(building), connection)
  } finally {
    await engine.close()
  }
  rmSync(lake, { recursive: true, force: true })
  renameSync(building, lake)
}
