/** Open store: the ObjectStore of a lake, by the name its users give it. */

import { mkdir } from 'node:fs/promises'
import type { ObjectStore } from './object-store.js'
import { LocalStore } from './local-store.js'

/** How a lake on S3 is reached and where its files are copied to. */
export interface S3Settings {
  readonly endpoint: string | null
  readonly region: string | null
  /** Null where it follows from the endpoint. */
  readonly pathStyle: boolean | null
  readonly cacheFolder: string
  readonly cacheBytes: number
}

/** A store and what goes with it. */
export interface OpenedStore {
  readonly store: ObjectStore
  /** Folders in which the engine reads and writes the store's files. */
  readonly engineFolders: readonly string[]
  close(): Promise<void>
}

/** Whether `lake` names a bucket in place of a folder. */
export function isRemote(lake: string): boolean {
  return /^s3a?:\/\//i.test(lake)
}

/**
 * Opens `lake`, a folder or `s3://bucket/prefix`.
 *
 * A bucket is asked whether it can be written conditionally: 0A000 when not, 58030 when it cannot be
 * reached.
 */
export async function openStore(lake: string, s3: S3Settings): Promise<OpenedStore> {
  const found = /^s3a?:\/\/([^/]+)\/*(.*)$/i.exec(lake)
  if (found === null) {
    const store = new LocalStore(lake)
    return { store, engineFolders: [store.root], close: () => Promise.resolve() }
  }
  // The SDK takes a while to load: only those who need it wait.
  const [{ S3Store }, { CacheFolder }, { FileCache }] = await Promise.all([
    import('./s3-store.js'),
    import('./cache-folder.js'),
    import('./file-cache.js'),
  ])
  await mkdir(s3.cacheFolder, { recursive: true })
  const folder = await CacheFolder.take(s3.cacheFolder)
  try {
    const store = new S3Store(
      {
        bucket: found[1] ?? '',
        prefix: (found[2] ?? '').replace(/\/+$/, ''),
        endpoint: s3.endpoint ?? undefined,
        region: s3.region ?? undefined,
        pathStyle: s3.pathStyle ?? undefined,
      },
      await FileCache.open(folder.path, s3.cacheBytes),
    )
    await store.requireConditionalWrites()
    const close = async (): Promise<void> => {
      store.close()
      await folder.release()
    }
    return { store, engineFolders: [folder.path], close }
  } catch (thrown) {
    await folder.release()
    throw thrown
  }
}
